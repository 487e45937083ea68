/* What OpenAI-compatible servers return: log-probabilities of chats and of completions, vLLM's of
 * prompts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "course/import/import.h"

/* The next of the ids that a server gave beside its strings; -1: it gave none. */
static kd_status next_id(kd__import *m, const kd__json **at, int64_t *id)
{
    *id = -1;
    if (!*at) return KD_OK;
    KD_TRY(kd__import_integer(m, *at, id));
    *at = (*at)->next;
    return KD_OK;
}

static kd_status find_ids(kd__import *m, const kd__json *choice, int32_t tokens,
                          const kd__json **first)
{
    const kd__json *ids;
    KD_TRY(kd__import_list(m, choice, "token_ids", &ids));
    *first = ids ? ids->first : NULL;
    KD_FAIL_IF(ids && ids->children != tokens, KD_ERR_FORMAT,
               "choices[%lld].token_ids: expected one for each of %d tokens, got %d",
               (long long)m->choice, tokens, ids->children);
    return KD_OK;
}

/* Servers write every special token as "": an entry that spells as the chosen one, and is as
 * likely, is the chosen one. */
static int is_same(const kd__json *a, const kd__json *b)
{
    const kd__json *x = kd__json_member(a, "token"), *y = kd__json_member(b, "token");
    const kd__json *p = kd__json_member(a, "logprob"), *q = kd__json_member(b, "logprob");
    return x && y && p && q && x->type == KD__JSON_STRING && y->type == KD__JSON_STRING &&
           !strcmp(x->text, y->text) && p->type == KD__JSON_NUMBER && q->type == KD__JSON_NUMBER &&
           p->number == q->number;
}

/* ---- chats: { "token", "logprob", "bytes", "top_logprobs": [..] } for each token ---- */

static kd_status chat_row(kd__import *m, const kd__json *token, int64_t own)
{
    const kd__json *top;
    double log_p;
    int64_t id;
    if (token->type != KD__JSON_OBJECT)
        return kd__import_bad(m, "expected an object for each entry");
    KD_TRY(kd__import_list(m, token, "top_logprobs", &top));
    KD_TRY(kd__import_row(m));
    for (const kd__json *t = top ? top->first : NULL; t; t = t->next) {
        const int chosen = own >= 0 && t->type == KD__JSON_OBJECT && is_same(t, token);
        if (chosen) continue; /* it comes below */
        KD_TRY(kd__import_object(m, t, &id, &log_p));
        KD_TRY(kd__import_entry(m, id, log_p));
    }
    id = own;
    if (own < 0) KD_TRY(kd__import_object(m, token, &id, &log_p));
    else KD_TRY(kd__import_log(m, kd__json_member(token, "logprob"), &log_p));
    KD_TRY(kd__import_entry(m, id, log_p));
    return kd__import_token(m, id);
}

static kd_status read_chat(kd__import *m, const kd__json *choice, const kd__json *content)
{
    const kd__json *ids;
    int64_t own;
    KD_TRY(find_ids(m, choice, content->children, &ids));
    m->member = "logprobs.content";
    m->item = 0;
    for (const kd__json *n = content->first; n; n = n->next, m->item++) {
        KD_TRY(next_id(m, &ids, &own));
        KD_TRY(chat_row(m, n, own));
    }
    return KD_OK;
}

/* ---- completions, the older form: lists "tokens", "token_logprobs" and "top_logprobs" ---- */

static kd_status completion_row(kd__import *m, const kd__json *token, const kd__json *log,
                                const kd__json *top, int64_t own)
{
    double log_p, other;
    if (token->type != KD__JSON_STRING) return kd__import_bad(m, "\"tokens\": expected a text");
    KD_TRY(kd__import_log(m, log, &log_p));
    for (const kd__json *t = top && top->type == KD__JSON_OBJECT ? top->first : NULL; t;
         t = t->next) {
        KD_TRY(kd__import_log(m, t, &other));
        if (own >= 0 && !strcmp(t->key, token->text) && other == log_p) continue;
        KD_TRY(kd__import_entry(m, kd__import_id(m, t->key, (int64_t)strlen(t->key)), other));
    }
    const int64_t id = own >= 0 ? own : kd__import_id(m, token->text, token->length);
    KD_TRY(kd__import_entry(m, id, log_p));
    return kd__import_token(m, id);
}

/* With "echo" the prompt is part of the tokens, and nothing predicts the first: its log-probability
 * is null. */
static int is_echoed(const kd__json *logs)
{
    const kd__json *own = kd__json_member(logs, "token_logprobs");
    return own && own->type == KD__JSON_ARRAY && own->first && own->first->type == KD__JSON_NULL;
}

static kd_status read_completion(kd__import *m, const kd__json *choice, const kd__json *logs)
{
    const kd__json *tokens, *own, *top, *ids;
    int64_t id;
    KD_TRY(kd__import_list(m, logs, "tokens", &tokens));
    KD_TRY(kd__import_list(m, logs, "token_logprobs", &own));
    KD_TRY(kd__import_list(m, logs, "top_logprobs", &top));
    if (!tokens || !own || tokens->children != own->children ||
        (top && top->children != own->children))
        return kd__import_bad(m, "logprobs: \"tokens\", \"token_logprobs\" and \"top_logprobs\" "
                                 "must be lists of one length");
    KD_TRY(find_ids(m, choice, tokens->children, &ids));
    m->member = "logprobs.tokens";
    m->item = 0;
    const kd__json *log = own->first, *likely = top ? top->first : NULL;
    for (const kd__json *n = tokens->first; n;
         n = n->next, log = log->next, m->item++, likely = likely ? likely->next : NULL) {
        KD_TRY(next_id(m, &ids, &id));
        if (!m->item && is_echoed(logs) && n->type == KD__JSON_STRING) {
            KD_TRY(kd__import_token(m, id >= 0 ? id : kd__import_id(m, n->text, n->length)));
            continue;
        }
        KD_TRY(kd__import_row(m));
        KD_TRY(completion_row(m, n, log, likely, id));
    }
    return KD_OK;
}

/* ---- choices ---- */

static kd_status read_choice(kd__import *m, const kd__json *line, const kd__json *choice)
{
    const kd__json *logs = choice->type == KD__JSON_OBJECT ? kd__json_member(choice, "logprobs")
                                                           : NULL,
                   *content;
    if (choice->type == KD__JSON_OBJECT && kd__json_member(choice, "delta"))
        return kd__import_bad(m, "a chunk of a stream (\"delta\"): ask for whole responses");
    if (!logs || logs->type != KD__JSON_OBJECT)
        return kd__import_bad(m, "no \"logprobs\" (was the server asked for them?)");
    KD_TRY(kd__import_list(m, logs, "content", &content));
    const int chat = content != NULL, completion = !chat && kd__json_member(logs, "tokens");
    if (!chat && !completion)
        return kd__import_bad(m, "logprobs: neither \"content\" (chats) nor \"tokens\" and "
                                 "\"token_logprobs\" (the older form)");
    kd__import_begin(m);
    if (!is_echoed(logs)) KD_TRY(kd__import_prompt(m, line, choice));
    const int64_t prompt = is_echoed(logs) ? 1 : m->token_count;
    KD_TRY(chat ? read_chat(m, choice, content) : read_completion(m, choice, logs));
    m->member = NULL;
    m->item = -1;
    return kd__import_commit(m, prompt);
}

kd_status kd__import_openai(kd__import *m, const kd__json *line)
{
    const kd__json *choices;
    KD_TRY(kd__import_list(m, line, "choices", &choices));
    if (!choices) return kd__import_bad(m, "no list of \"choices\"");
    m->choice = 0;
    for (const kd__json *c = choices->first; c; c = c->next, m->choice++)
        KD_TRY(read_choice(m, line, c));
    m->choice = -1;
    return KD_OK;
}

/* ---- vLLM: "prompt_logprobs", of the line or of its first choice ---- */

static kd_status vllm_row(kd__import *m, const kd__json *row)
{
    double log_p;
    if (row->type != KD__JSON_OBJECT)
        return kd__import_bad(m, "expected null, or an object keyed by token ids");
    for (const kd__json *e = row->first; e; e = e->next) {
        char *end;
        const long long id = strtoll(e->key, &end, 10);
        if (*e->key < '0' || *e->key > '9' || *end || id > UINT32_MAX)
            return kd__import_bad(m, "an entry that is not keyed by a token id");
        KD_TRY(kd__import_log(m, e->type == KD__JSON_OBJECT ? kd__json_member(e, "logprob") : e,
                              &log_p));
        KD_TRY(kd__import_entry(m, id, log_p));
    }
    return KD_OK;
}

kd_status kd__import_vllm(kd__import *m, const kd__json *line)
{
    const kd__json *choices = kd__json_member(line, "choices"), *logs;
    const kd__json *choice =
        choices && choices->type == KD__JSON_ARRAY && choices->first ? choices->first : NULL;
    KD_TRY(kd__import_list(m, line, "prompt_logprobs", &logs));
    if (!logs) KD_TRY(kd__import_list(m, choice, "prompt_logprobs", &logs));
    if (!logs)
        return kd__import_bad(m, "no list \"prompt_logprobs\", in the line or in choices[0]");
    kd__import_begin(m);
    KD_TRY(kd__import_prompt(m, line, choice));
    KD_FAIL_IF(m->token_count != logs->children, KD_ERR_FORMAT,
               "\"prompt_token_ids\": expected %d, as many as \"prompt_logprobs\", got %lld",
               logs->children, (long long)m->token_count);
    m->member = "prompt_logprobs";
    m->item = 1;
    /* nothing predicts the first */
    for (const kd__json *n = logs->first ? logs->first->next : NULL; n; n = n->next, m->item++) {
        KD_TRY(kd__import_row(m));
        if (n->type != KD__JSON_NULL) KD_TRY(vllm_row(m, n));
    }
    return kd__import_commit(m, 1);
}
