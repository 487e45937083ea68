/* The shapes that a line of JSON may have: every one becomes a chat whose last turn is the
 * answer. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "course/record/shape.h"

static const char *const prompt_names[] = { "prompt",      "question", "problem",
                                            "instruction", "query",    NULL };
static const char *const completion_names[] = { "completion", "response",   "output",
                                                "solution",   "generation", NULL };
static const char *const expected_names[] = { "expected", "reference", "ground_truth", NULL };
static const char *const domain_names[] = {
    "domain", "task", "source", "category", "subject", NULL
};
static const char *const teacher_names[] = { "teacher", "model", NULL };
static const char *const finish_names[] = { "finish", "finish_reason", NULL };
static const char *const list_names[] = { "completions", "responses", "samples", "generations",
                                          NULL };
static const char *const chat_names[] = { "messages", "conversations", "conversation", NULL };

/* ---- facts ---- */

static kd_status number_of(kd__shape *s, const char *name, double *value)
{
    const kd__json *node = kd__use_one(s, name);
    *value = NAN;
    if (!node) return KD_OK;
    if (node->type != KD__JSON_NUMBER && node->type != KD__JSON_BOOL)
        BAD("'%s': expected a number", name);
    if (!isfinite(node->number))
        BAD("'%s': expected a number that a double holds, got %.40s", name, node->text);
    *value = node->number;
    return KD_OK;
}

/* Every digit counts: a double would round a seed above 2^53. */
static kd_status seed_of(kd__shape *s, uint64_t *seed)
{
    const kd__json *node = kd__use_one(s, "seed");
    char *end = NULL;
    *seed = 0;
    if (!node) return KD_OK;
    if (node->type != KD__JSON_NUMBER && node->type != KD__JSON_STRING)
        BAD("'seed': expected a number from 0 to 2^64 - 1");
    errno = 0;
    if (*node->text >= '0' && *node->text <= '9') *seed = strtoull(node->text, &end, 10);
    if (!end || *end || errno == ERANGE)
        BAD("'seed': expected a whole number from 0 to 2^64 - 1, got '%.40s'", node->text);
    return KD_OK;
}

/* ["length", "verify"] or "length,verify". */
static kd_status passed_of(kd__shape *s)
{
    const kd__json *node = kd__use_one(s, "passed");
    kd__text made = { .context = s->arena.context };
    kd_status status = KD_OK;
    if (!node || node->type != KD__JSON_ARRAY)
        return kd__text_of(s, node, "passed", &s->record.passed);
    for (const kd__json *name = node->first; name && status == KD_OK; name = name->next) {
        const char *text = "";
        status = kd__text_of(s, name, "passed", &text);
        if (status == KD_OK && made.size) status = kd__text_append(&made, ",", 1);
        if (status == KD_OK) status = kd__text_append(&made, text, strlen(text));
    }
    return kd__keep(s, &made, status, &s->record.passed);
}

static kd_status read_facts(kd__shape *s)
{
    kd_record *r = &s->record;
    int64_t sample = 0;
    KD_TRY(kd__fact_of(s, kd__use(s, s->options->expected_field, expected_names), "expected",
                       &r->expected));
    KD_TRY(
        kd__text_of(s, kd__use(s, s->options->domain_field, domain_names), "domain", &r->domain));
    KD_TRY(kd__text_of(s, kd__use(s, NULL, teacher_names), "teacher", &r->teacher));
    KD_TRY(kd__text_of(s, kd__use(s, NULL, finish_names), "finish", &r->finish));
    KD_TRY(kd__text_of(s, kd__use_one(s, "id"), "id", &r->id));
    KD_TRY(number_of(s, "temperature", &r->temperature));
    KD_TRY(number_of(s, "score", &r->score));
    KD_TRY(seed_of(s, &r->seed));
    const kd__json *number = kd__use_one(s, "sample");
    if (number) KD_TRY(kd__json_integer(number, 0, INT32_MAX, &sample, "sample"));
    r->sample = (int32_t)sample;
    return passed_of(s);
}

/* "answer" is the known one, unless it is what is learned. */
static kd_status read_answer(kd__shape *s, const char **text)
{
    KD_TRY(kd__fact_of(s, kd__use_one(s, "answer"), "answer", text));
    if (!*s->record.expected) s->record.expected = *text;
    return KD_OK;
}

/* ---- a prompt with its answers ---- */

/* What Alpaca gives beside an instruction; beside another prompt nobody says how they belong
 * together. */
static kd_status with_input(kd__shape *s, const kd__json *asked, const char **prompt)
{
    static const char *const names[] = { "input", "context", NULL };
    const kd__json *node = kd__find(s->document.root, names);
    const char *input;
    char *both = NULL;
    if (kd__says_nothing(node)) return KD_OK;
    if (strcmp(asked->key, "instruction"))
        return kd__unsupported(s, node, "it stands beside a prompt that is not an 'instruction'");
    kd__used(s, node);
    KD_TRY(kd__text_of(s, node, "input", &input));
    KD_TRY(
        kd__arena_take(&s->arena, (int64_t)(strlen(*prompt) + strlen(input) + 3), (void **)&both));
    strcpy(both, *prompt);
    strcat(both, "\n\n");
    strcat(both, input);
    *prompt = both;
    return KD_OK;
}

static int has_answer(const kd_record *r)
{
    return r->message_count && !strcmp(r->messages[r->message_count - 1].role, "assistant");
}

/* A list of turns (what is asked in them is not learned), or a text. */
static kd_status read_prompt(kd__shape *s, const kd__json *asked, int answered)
{
    const char *prompt;
    if (kd__is_turns(asked)) {
        if (!kd__says_nothing(kd__find_one(s->document.root, "history")))
            BAD("'history' beside a list of turns is not supported");
        KD_TRY(kd__read_turns(s, &s->record, asked, answered));
        if (answered && has_answer(&s->record))
            BAD("the prompt's last turn is the assistant's: an answer that goes on is not "
                "supported");
        return KD_OK;
    }
    KD_TRY(kd__text_of(s, asked, "prompt", &prompt));
    KD_TRY(with_input(s, asked, &prompt));
    KD_TRY(kd__read_history(s));
    return kd__add_turn(s, &s->record, (kd_message)KD_MESSAGE("user", prompt));
}

/* A completion that is a list of turns, or a text. */
static kd_status add_completion(kd__shape *s, kd_record *r, const kd__json *completion)
{
    const char *text;
    if (kd__is_turn(completion)) {
        kd_message turn;
        KD_TRY(kd__read_turn(s, completion, NULL, r->message_count, &turn));
        return kd__add_turn(s, r, turn);
    }
    if (kd__is_turns(completion)) return kd__read_turns(s, r, completion, 0);
    KD_TRY(kd__text_of(s, completion, "completion", &text));
    return kd__add_answer(s, r, text, NULL);
}

/* prompt with a completion, with reasoning and an answer, or with a list of completions. */
static kd_status read_pair(kd__shape *s, const kd__json *asked)
{
    const kd__json *root = s->document.root,
                   *completion = kd__use(s, s->options->completion_field, completion_names),
                   *list = completion ? NULL : kd__use(s, NULL, list_names);
    const char *answer, *expected = s->record.expected, *name, *thought;
    KD_TRY(read_prompt(s, asked, completion || list));
    KD_TRY(kd__read_system(s, root));
    KD_TRY(read_answer(s, &answer));
    KD_TRY(kd__read_thought(s, root, &name, &thought));
    if (list && list->type == KD__JSON_ARRAY) {
        if (name) BAD("'%s' beside a list of answers is not supported", name);
        s->answers = list;
        s->next = list->first;
        return KD_OK;
    }
    if (completion) {
        KD_TRY(add_completion(s, &s->record, completion));
        return kd__read_reasoning(s);
    }
    if (name) s->record.expected = expected; /* the answer stands behind the reasoning */
    if (*answer && !has_answer(&s->record)) return kd__add_answer(s, &s->record, answer, root);
    return KD_OK;
}

/* ---- chats ---- */

static kd_status read_messages(kd__shape *s, const kd__json *chat)
{
    const char *answer;
    KD_TRY(read_answer(s, &answer));
    if (!kd__says_nothing(kd__find_one(s->document.root, "history")))
        BAD("'history' beside a list of turns is not supported");
    KD_TRY(kd__read_turns(s, &s->record, chat, 0));
    KD_TRY(kd__read_system(s, s->document.root));
    return kd__read_reasoning(s);
}

static const kd__json *inside(const kd__json *node, const char *name)
{
    return kd__json_member(node, name) ? kd__json_member(node, name) : node;
}

/* What was sent to a server and what came back, as such, or as lines of OpenAI's batches. */
static kd_status read_server(kd__shape *s)
{
    const kd__json *root = s->document.root, *request = inside(kd__use_one(s, "request"), "body"),
                   *response = inside(kd__use_one(s, "response"), "body");
    const kd__json *messages = request ? kd__json_member(request, "messages")
                                       : kd__use_one(s, "messages");
    const char *answer;
    KD_TRY(read_answer(s, &answer));
    s->answers = response ? kd__json_member(response, "choices") : kd__use_one(s, "choices");
    if (!messages || !s->answers || s->answers->type != KD__JSON_ARRAY)
        BAD("expected a request with messages and a response with choices");
    s->next = s->answers->first;
    if (!*s->record.teacher && response)
        KD_TRY(kd__text_of(s, kd__json_member(response, "model"), "model", &s->record.teacher));
    KD_TRY(kd__read_turns(s, &s->record, messages, 0));
    if (request) KD_TRY(kd__read_template(s, request));
    return kd__read_system(s, request ? request : root);
}

/* ---- a line ---- */

/* The first names that stand there, for a line of no shape. */
static kd_status no_shape(const kd__json *object)
{
    const kd__json *first = object->first, *second = first ? first->next : NULL;
    BAD("none of the shapes that are known: no messages, conversations, prompt or "
        "ids%s%.40s%s%.40s",
        first ? "; its members begin with " : "", first ? first->key : "", second ? ", " : "",
        second ? second->key : "");
}

int kd__is_server(const kd__json *object)
{
    const kd__json *response = kd__find_one(object, "response"),
                   *choices = kd__find_one(object, "choices");
    return (choices && choices->type == KD__JSON_ARRAY &&
            kd__find_one(choices->first, "message")) ||
           (response && response->type == KD__JSON_OBJECT && !kd__is_turn(response));
}

static kd_status read_object(kd__shape *s)
{
    const kd__json *object = s->document.root, *logprobs = kd__json_member(object, "logprobs"),
                   *found;
    KD_TRY(read_facts(s));
    KD_TRY(kd__read_ids(s));
    KD_TRY(kd__check_members(s));
    KD_TRY(kd__read_template(s, object));
    if (kd__is_server(object)) return read_server(s);
    if (logprobs && logprobs->type == KD__JSON_ARRAY)
        KD_TRY(kd__read_logprobs(s, kd__use_one(s, "logprobs"), kd__use_one(s, "logprob_ends"),
                                 &s->record));
    if ((found = kd__use(s, NULL, chat_names))) return read_messages(s, found);
    if ((found = kd__use(s, s->options->prompt_field, prompt_names))) return read_pair(s, found);
    return s->record.ids ? KD_OK : no_shape(object);
}

static void begin(kd__shape *s)
{
    static const kd_record none = KD_RECORD_INIT;
    kd__shape_end(s);
    s->record = none;
    s->record.temperature = s->record.score = NAN;
    s->sample = 0;
    s->said = "";
}

static kd_status read_root(kd__shape *s)
{
    if (s->document.root->type != KD__JSON_OBJECT) BAD("expected an object");
    if (kd__holds_zero(s->document.root)) BAD("a text holds a zero byte");
    KD_TRY(read_object(s));
    return kd__keep_extra(s);
}

kd_status kd__shape_begin(kd__shape *s, const char *line, int64_t bytes)
{
    begin(s);
    if (!kd__is_utf8(line, bytes)) BAD("the line is not UTF-8");
    KD_TRY(kd__json_parse(&s->document, s->arena.context, line, (size_t)bytes, ""));
    return read_root(s);
}

kd_status kd__shape_begin_row(kd__shape *s, const kd__json *row)
{
    begin(s);
    s->document = (kd__json_document){ .root = (kd__json *)(uintptr_t)row }; /* owns nothing */
    return read_root(s);
}

/* ---- its records ---- */

/* One of a server's choices: its turn, log-probabilities and why it ended. */
static kd_status add_choice(kd__shape *s, kd_record *r, const kd__json *choice)
{
    kd_message turn;
    KD_TRY(
        kd__read_turn(s, kd__json_member(choice, "message"), "assistant", r->message_count, &turn));
    KD_TRY(kd__read_logprobs(s, kd__json_member(choice, "logprobs"), NULL, r));
    KD_TRY(kd__text_of(s, kd__json_member(choice, "finish_reason"), "finish_reason", &r->finish));
    return kd__add_turn(s, r, turn);
}

static void find_texts(const kd__shape *s, kd_record *r)
{
    const int answered = has_answer(r);
    const int32_t last = r->message_count - 1 - answered;
    if (answered) r->completion = s->said;
    if (last >= 0) r->prompt = r->messages[last].content;
}

static void swap_arenas(kd__shape *s)
{
    const kd__arena arena = s->arena;
    s->arena = s->shared;
    s->shared = arena;
}

/* The next answer of several, in memory of its own: what the one before took is given back. */
static kd_status take_answer(kd__shape *s, kd_record *r)
{
    const kd__json *one = s->next;
    s->next = one->next;
    swap_arenas(s);
    kd__arena_empty(&s->arena);
    const int choice = one->type == KD__JSON_OBJECT && kd__json_member(one, "message");
    const kd_status status = choice ? add_choice(s, r, one) : add_completion(s, r, one);
    swap_arenas(s);
    r->sample = s->sample++;
    return status;
}

kd_status kd__shape_next(kd__shape *s, kd_record *record)
{
    kd_record r = s->record;
    if (s->sample < 0 || (s->answers && !s->next)) return KD_END;
    if (s->answers) KD_TRY(take_answer(s, &r));
    else s->sample = -1;
    find_texts(s, &r);
    KD_TRY(kd_record_set_keys(&r));
    *record = r;
    return KD_OK;
}

void kd__shape_end(kd__shape *s)
{
    kd__arena_empty(&s->arena);
    kd__arena_empty(&s->shared);
    kd__json_free(&s->document);
    s->document.root = NULL;
    s->answers = s->next = NULL;
    s->used_count = 0;
    s->sample = -1;
}

void kd__shape_reset(kd__shape *s)
{
    kd__shape_end(s);
    kd__arena_empty(&s->noted);
    s->unsupported = s->unknown = 0;
    s->named_count = 0;
}
