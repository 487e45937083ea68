/* The own forms of llama.cpp's server, of SGLang and of TGI. */
#include <math.h>
#include <string.h>

#include "course/import/import.h"

static kd_status objects(kd__import *m, const kd__json *list)
{
    double log_p;
    int64_t id;
    for (const kd__json *n = list ? list->first : NULL; n; n = n->next) {
        KD_TRY(kd__import_object(m, n, &id, &log_p));
        KD_TRY(kd__import_entry(m, id, log_p));
    }
    return KD_OK;
}

/* ---- llama.cpp: "completion_probabilities", newer ones with "top_logprobs", older ones with
 * "probs" ---- */

static kd_status llama_row(kd__import *m, const kd__json *token)
{
    const kd__json *top, *probs;
    double log_p;
    int64_t id = -1;
    if (token->type != KD__JSON_OBJECT)
        return kd__import_bad(m, "expected an object for each entry");
    if (kd__json_member(token, "top_probs"))
        return kd__import_bad(
            m,
            "\"top_probs\" are probabilities after sampling: ask with post_sampling_probs false");
    KD_TRY(kd__import_list(m, token, "top_logprobs", &top));
    KD_TRY(kd__import_list(m, token, "probs", &probs));
    KD_TRY(kd__import_row(m));
    KD_TRY(objects(m, top ? top : probs));
    if (kd__json_member(token, "logprob")) {
        KD_TRY(kd__import_object(m, token, &id, &log_p));
        KD_TRY(kd__import_entry(m, id, log_p));
    } else { /* the older form: its text alone */
        const kd__json *text = kd__json_member(token, "content");
        if (!text || text->type != KD__JSON_STRING)
            return kd__import_bad(m, "expected \"logprob\", or \"content\" with \"probs\"");
        id = kd__import_id(m, text->text, text->length);
    }
    return kd__import_token(m, id);
}

kd_status kd__import_llama_cpp(kd__import *m, const kd__json *line)
{
    const kd__json *rows;
    KD_TRY(kd__import_list(m, line, "completion_probabilities", &rows));
    if (!rows)
        return kd__import_bad(
            m, "no list \"completion_probabilities\" (was the server asked for n_probs?)");
    kd__import_begin(m);
    KD_TRY(kd__import_prompt(m, line, NULL));
    const int64_t prompt = m->token_count;
    m->member = "completion_probabilities";
    m->item = 0;
    for (const kd__json *n = rows->first; n; n = n->next, m->item++) KD_TRY(llama_row(m, n));
    return kd__import_commit(m, prompt);
}

/* ---- SGLang: lists of [log-probability, id, text] in "meta_info" ---- */

static kd_status triple(kd__import *m, const kd__json *node, double *log_p, int64_t *id)
{
    if (node->type != KD__JSON_ARRAY || node->children < 2)
        return kd__import_bad(m, "expected [log-probability, id, text]");
    KD_TRY(kd__import_log(m, node->first, log_p));
    return kd__import_integer(m, node->first->next, id);
}

static kd_status sglang_row(kd__import *m, const kd__json *token, const kd__json *top)
{
    double log_p;
    int64_t id;
    KD_TRY(kd__import_row(m));
    for (const kd__json *n = top && top->type == KD__JSON_ARRAY ? top->first : NULL; n;
         n = n->next) {
        KD_TRY(triple(m, n, &log_p, &id));
        KD_TRY(kd__import_entry(m, id, log_p));
    }
    KD_TRY(triple(m, token, &log_p, &id));
    KD_TRY(kd__import_entry(m, id, log_p));
    return kd__import_token(m, id);
}

/* The prompt's ids, when the server gave all of them: nothing predicts the first. */
static kd_status sglang_prompt(kd__import *m, const kd__json *line, const kd__json *info)
{
    const kd__json *input;
    double log_p;
    int64_t id;
    KD_TRY(kd__import_prompt(m, line, NULL));
    KD_TRY(kd__import_list(m, info, "input_token_logprobs", &input));
    const kd__json *first = input ? input->first : NULL;
    const int whole = first && first->type == KD__JSON_ARRAY && first->first &&
                      first->first->type == KD__JSON_NULL;
    if (m->token_count || !whole) return KD_OK;
    for (const kd__json *n = first; n; n = n->next) {
        KD_TRY(triple(m, n, &log_p, &id));
        KD_TRY(kd__import_token(m, id));
    }
    return KD_OK;
}

kd_status kd__import_sglang(kd__import *m, const kd__json *line)
{
    const kd__json *info = kd__json_member(line, "meta_info"), *tokens, *top;
    if (!info || info->type != KD__JSON_OBJECT) return kd__import_bad(m, "no object \"meta_info\"");
    KD_TRY(kd__import_list(m, info, "output_token_logprobs", &tokens));
    KD_TRY(kd__import_list(m, info, "output_top_logprobs", &top));
    if (!tokens)
        return kd__import_bad(m, "meta_info: no list \"output_token_logprobs\" (was the server "
                                 "asked for return_logprob?)");
    if (top && top->children != tokens->children)
        return kd__import_bad(
            m, "meta_info: \"output_top_logprobs\" must be as many as \"output_token_logprobs\"");
    kd__import_begin(m);
    KD_TRY(sglang_prompt(m, line, info));
    const int64_t prompt = m->token_count;
    const kd__json *likely = top ? top->first : NULL;
    m->member = "meta_info.output_token_logprobs";
    m->item = 0;
    for (const kd__json *n = tokens->first; n;
         n = n->next, m->item++, likely = likely ? likely->next : NULL)
        KD_TRY(sglang_row(m, n, likely));
    return kd__import_commit(m, prompt);
}

/* ---- TGI: "details" with "tokens", "top_tokens" and the prompt in "prefill" ---- */

kd_status kd__import_tgi(kd__import *m, const kd__json *line)
{
    const kd__json *details = kd__json_member(line, "details"), *tokens, *top, *prefill;
    double log_p;
    int64_t id;
    if (!details || details->type != KD__JSON_OBJECT)
        return kd__import_bad(m, "no object \"details\" (was the server asked for them?)");
    KD_TRY(kd__import_list(m, details, "tokens", &tokens));
    KD_TRY(kd__import_list(m, details, "top_tokens", &top));
    KD_TRY(kd__import_list(m, details, "prefill", &prefill));
    if (!tokens || (top && top->children != tokens->children))
        return kd__import_bad(m,
                              "details: \"tokens\" and \"top_tokens\" must be lists of one length");
    kd__import_begin(m);
    KD_TRY(kd__import_prompt(m, line, NULL));
    for (const kd__json *n = prefill && !m->token_count ? prefill->first : NULL; n; n = n->next) {
        KD_TRY(kd__import_integer(m, n->type == KD__JSON_OBJECT ? kd__json_member(n, "id") : NULL,
                                  &id));
        KD_TRY(kd__import_token(m, id));
    }
    const int64_t prompt = m->token_count;
    const kd__json *likely = top ? top->first : NULL;
    m->member = "details.tokens";
    m->item = 0;
    for (const kd__json *n = tokens->first; n;
         n = n->next, m->item++, likely = likely ? likely->next : NULL) {
        KD_TRY(kd__import_row(m));
        if (likely && likely->type == KD__JSON_ARRAY) KD_TRY(objects(m, likely));
        KD_TRY(kd__import_object(m, n, &id, &log_p));
        KD_TRY(kd__import_entry(m, id, log_p));
        KD_TRY(kd__import_token(m, id));
    }
    return kd__import_commit(m, prompt);
}
