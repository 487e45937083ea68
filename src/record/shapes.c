/* The shapes that a line of JSON may have: every one becomes a chat whose last turn is the answer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "record/record.h"

static const char *const prompt_names[] = { "prompt", "question", "problem", "instruction", NULL };
static const char *const completion_names[] = { "completion", "response", "output", "solution", "generation", NULL };
static const char *const reasoning_names[] = { "reasoning", "reasoning_content", "thinking", NULL };
static const char *const expected_names[] = { "expected", "reference", "ground_truth", NULL };
static const char *const domain_names[] = { "domain", "task", "source", "category", "subject", NULL };
static const char *const teacher_names[] = { "teacher", "model", NULL };
static const char *const finish_names[] = { "finish", "finish_reason", NULL };
static const char *const list_names[] = { "completions", "responses", "samples", "generations", NULL };
static const char *const id_names[] = { "input_ids", "ids", "tokens", NULL };
static const char *const mask_names[] = { "mask", "loss_mask", "labels", NULL };

/* ---- the pile ---- */

struct kd__pile_block {
    struct kd__pile_block *next;
    int64_t pad;
};

kd_status kd__pile_take(kd__pile *pile, int64_t bytes, void **out)
{
    char *block = NULL;
    KD_TRY(KD_NEW(pile->context, &block, (int64_t)sizeof(struct kd__pile_block) + bytes));
    ((struct kd__pile_block *)block)->next = pile->first;
    pile->first = (struct kd__pile_block *)block;
    *out = block + sizeof(struct kd__pile_block);
    return KD_OK;
}

kd_status kd__pile_text(kd__pile *pile, const char *text, int64_t bytes, const char **out)
{
    void *copy = NULL;
    KD_TRY(kd__pile_take(pile, bytes + 1, &copy));
    memcpy(copy, text, (size_t)bytes);
    *out = copy;
    return KD_OK;
}

void kd__pile_empty(kd__pile *pile)
{
    while (pile->first) {
        struct kd__pile_block *next = pile->first->next;
        kd__release(pile->context, pile->first);
        pile->first = next;
    }
}

/* ---- members ---- */

#define BAD(...) return kd__fail(KD_ERR_FORMAT, __VA_ARGS__)

/* The first of several names that is there; null is not there. */
static const kd__json *find(const kd__json *object, const char *const *names)
{
    for (; *names; names++) {
        const kd__json *found = kd__json_member(object, *names);
        if (found && found->type != KD__JSON_NULL) return found;
    }
    return NULL;
}

/* A member of the line's object that is read: it does not go to "extra". `own`: the host's name for it, in place of the usual ones. */
static const kd__json *use(kd__shape *s, const char *own, const char *const *names)
{
    const char *const one[] = { own, NULL };
    const kd__json *found = find(s->document.root, own ? one : names);
    if (found && s->used_count < KD__MOST_USED) s->used[s->used_count++] = found;
    return found;
}

static const kd__json *use_one(kd__shape *s, const char *name) { return use(s, name, NULL); }

static kd_status append(kd__text *to, const kd__json *node)
{
    if (node->type == KD__JSON_STRING) return kd__text_append(to, node->text, (size_t)node->length);
    return kd__json_write(to, node);
}

static const kd__json *text_of_part(const kd__json *part)
{
    const kd__json *text = part->type == KD__JSON_OBJECT ? kd__json_member(part, "text") : part;
    return text && text->type == KD__JSON_STRING ? text : NULL;
}

/* A string; a number or bool as it is written; a list of parts as its texts, one behind the other. */
static kd_status text_of(kd__shape *s, const kd__json *node, const char *what, const char **out)
{
    kd__text made = { .context = s->pile.context };
    kd_status status = KD_OK;
    *out = "";
    if (!node || node->type == KD__JSON_NULL) return KD_OK;
    if (node->type == KD__JSON_STRING) {
        *out = node->text;
        return KD_OK;
    }
    if (node->type == KD__JSON_OBJECT) BAD("'%s': expected a text, got an object", what);
    if (node->type != KD__JSON_ARRAY) status = append(&made, node);
    else
        for (const kd__json *part = node->first; part && status == KD_OK; part = part->next) {
            const kd__json *text = text_of_part(part);
            status = text ? append(&made, text) : kd__fail(KD_ERR_FORMAT, "'%s': expected parts of text", what);
        }
    if (status == KD_OK) status = kd__pile_text(&s->pile, made.bytes ? made.bytes : "", made.size, out);
    kd__text_free(&made);
    return status;
}

static kd_status number_of(kd__shape *s, const char *name, double *value)
{
    const kd__json *node = use_one(s, name);
    *value = NAN;
    if (!node) return KD_OK;
    if (node->type != KD__JSON_NUMBER && node->type != KD__JSON_BOOL) BAD("'%s': expected a number", name);
    *value = node->number;
    return KD_OK;
}

static kd_status seed_of(kd__shape *s, uint64_t *seed)
{
    const kd__json *node = use_one(s, "seed");
    *seed = 0;
    if (!node) return KD_OK;
    if (node->type == KD__JSON_NUMBER && node->number >= 0 && node->number < 18446744073709551616.0) *seed = (uint64_t)node->number;
    else if (node->type == KD__JSON_STRING) {
        char *end;
        *seed = strtoull(node->text, &end, 10);
        if (*end || !*node->text) BAD("'seed': expected a number from 0, got '%.40s'", node->text);
    } else BAD("'seed': expected a number from 0 to 2^64 - 1");
    return KD_OK;
}

/* ["length", "verify"] or "length,verify". */
static kd_status passed_of(kd__shape *s)
{
    const kd__json *node = use_one(s, "passed");
    kd__text made = { .context = s->pile.context };
    kd_status status = KD_OK;
    if (!node || node->type != KD__JSON_ARRAY) return text_of(s, node, "passed", &s->record.passed);
    for (const kd__json *name = node->first; name && status == KD_OK; name = name->next) {
        if (made.size) status = kd__text_append(&made, ",", 1);
        if (status == KD_OK) status = append(&made, name);
    }
    if (status == KD_OK) status = kd__pile_text(&s->pile, made.bytes ? made.bytes : "", made.size, &s->record.passed);
    kd__text_free(&made);
    return status;
}

/* reasoning in its tags before the answer. */
static kd_status with_reasoning(kd__shape *s, const kd__json *reasoning, const char **answer)
{
    const char *thought, *begin = "<think>\n", *end = "\n</think>\n\n";
    char *both = NULL;
    KD_TRY(text_of(s, reasoning, "reasoning", &thought));
    if (!*thought) return KD_OK;
    const size_t room = strlen(begin) + strlen(thought) + strlen(end) + strlen(*answer) + 1;
    KD_TRY(kd__pile_take(&s->pile, (int64_t)room, (void **)&both));
    strcpy(both, begin);
    strcat(both, thought);
    strcat(both, end);
    strcat(both, *answer);
    *answer = both;
    return KD_OK;
}

/* ---- chats ---- */

static const char *role_of(const char *name)
{
    static const char *const other[][2] = {
        { "human", "user" }, { "gpt", "assistant" }, { "model", "assistant" }, { "bot", "assistant" }, { "chatgpt", "assistant" }
    };
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (!strcmp(name, other[i][0])) return other[i][1];
    return name;
}

static kd_status read_turn(kd__shape *s, const kd__json *turn, kd_message *message)
{
    const char *role;
    const kd__json *content;
    if (turn->type != KD__JSON_OBJECT) BAD("a turn of the chat is no object");
    content = kd__json_member(turn, "content");
    if (!content) content = kd__json_member(turn, "value");
    KD_TRY(text_of(s, kd__json_member(turn, "role") ? kd__json_member(turn, "role") : kd__json_member(turn, "from"), "role", &role));
    KD_TRY(text_of(s, content, "content", &message->content));
    if (!*role || !content) BAD("a turn of the chat has no %s", *role ? "content" : "role");
    message->role = role_of(role);
    if (!strcmp(message->role, "assistant")) KD_TRY(with_reasoning(s, find(turn, reasoning_names), &message->content));
    return KD_OK;
}

static kd_status read_chat(kd__shape *s, const kd__json *turns, int32_t more)
{
    kd_message *messages = NULL;
    int32_t n = 0;
    if (turns->type != KD__JSON_ARRAY || !turns->children) BAD("the chat: expected a list of turns");
    KD_TRY(kd__pile_take(&s->pile, (turns->children + more) * (int64_t)sizeof *messages, (void **)&messages));
    for (const kd__json *turn = turns->first; turn; turn = turn->next) KD_TRY(read_turn(s, turn, &messages[n++]));
    s->record.messages = messages;
    s->record.message_count = n;
    return KD_OK;
}

/* Prompt, last answer and the chat of system, prompt, answer. */
static kd_status make_chat(kd__shape *s, const char *system, const char *prompt)
{
    kd_message *messages = NULL;
    int32_t n = 0;
    KD_TRY(kd__pile_take(&s->pile, 3 * (int64_t)sizeof *messages, (void **)&messages));
    if (*system) messages[n++] = (kd_message){ "system", system };
    messages[n++] = (kd_message){ "user", prompt };
    s->record.messages = messages;
    s->record.message_count = n;
    return KD_OK;
}

/* Puts an answer behind the chat: every record of a line has its own list. */
static kd_status answer_chat(kd__shape *s, kd_record *r, const char *answer)
{
    kd_message *messages = NULL;
    KD_TRY(kd__pile_take(&s->pile, (r->message_count + 1) * (int64_t)sizeof *messages, (void **)&messages));
    memcpy(messages, r->messages, (size_t)r->message_count * sizeof *messages);
    messages[r->message_count++] = (kd_message){ "assistant", answer };
    r->messages = messages;
    return KD_OK;
}

static void find_texts(kd_record *r)
{
    int32_t last = r->message_count - 1;
    if (last >= 0 && !strcmp(r->messages[last].role, "assistant")) r->completion = r->messages[last--].content;
    if (last >= 0) r->prompt = r->messages[last].content;
}

static kd_status instruction(kd__shape *s, const char **prompt)
{
    const char *input;
    char *both = NULL;
    KD_TRY(text_of(s, use_one(s, "input"), "input", &input));
    if (!*input) return KD_OK;
    KD_TRY(kd__pile_take(&s->pile, (int64_t)(strlen(*prompt) + strlen(input) + 3), (void **)&both));
    strcpy(both, *prompt);
    strcat(both, "\n\n");
    strcat(both, input);
    *prompt = both;
    return KD_OK;
}

/* ---- answers with ids and log-probabilities ---- */

static kd_status read_ids(kd__shape *s, const kd__json *ids, const kd__json *mask)
{
    int32_t *made = NULL;
    uint8_t *learned = NULL;
    int64_t i = 0, value;
    if (ids->type != KD__JSON_ARRAY || !ids->children) BAD("ids: expected a list of whole numbers");
    KD_TRY(kd__pile_take(&s->pile, ids->children * (int64_t)sizeof *made, (void **)&made));
    for (const kd__json *id = ids->first; id; id = id->next) {
        KD_TRY(kd__json_integer(id, 0, INT32_MAX, &value, "ids"));
        made[i++] = (int32_t)value;
    }
    s->record.ids = made;
    s->record.tokens = i;
    if (!mask) return KD_OK;
    if (mask->type != KD__JSON_ARRAY || mask->children != ids->children) BAD("mask: expected a list of %d numbers, as many as ids", ids->children);
    KD_TRY(kd__pile_take(&s->pile, i, (void **)&learned));
    i = 0;
    for (const kd__json *one = mask->first; one; one = one->next) {
        if (one->type != KD__JSON_NUMBER && one->type != KD__JSON_BOOL) BAD("mask: expected numbers");
        learned[i++] = mask->key && !strcmp(mask->key, "labels") ? one->number >= 0 : one->number != 0;
    }
    s->record.mask = learned;
    return KD_OK;
}

/* [-0.1, ..] with ends, or {"content": [{"token": "..", "bytes": [..], "logprob": ..}]}. */
static kd_status read_logprobs(kd__shape *s, const kd__json *node, const kd__json *ends, kd_record *r)
{
    double *logprobs = NULL;
    int64_t *at = NULL, end = 0;
    int32_t n = 0;
    if (!node || node->type == KD__JSON_NULL) return KD_OK;
    if (node->type == KD__JSON_OBJECT) node = kd__json_member(node, "content");
    if (!node || node->type != KD__JSON_ARRAY) return KD_OK; /* some servers' other forms: kept in "extra" only */
    KD_TRY(kd__pile_take(&s->pile, node->children * (int64_t)sizeof *logprobs, (void **)&logprobs));
    KD_TRY(kd__pile_take(&s->pile, node->children * (int64_t)sizeof *at, (void **)&at));
    const int plain = !node->first || node->first->type == KD__JSON_NUMBER;
    if (plain && ends && (ends->type != KD__JSON_ARRAY || ends->children != node->children))
        BAD("logprob_ends: expected as many numbers as logprobs");
    const kd__json *given = plain && ends ? ends->first : NULL;
    for (const kd__json *one = node->first; one; one = one->next, n++) {
        const kd__json *value = plain ? one : kd__json_member(one, "logprob"), *token = plain ? NULL : kd__json_member(one, "token"),
                       *bytes = plain ? NULL : kd__json_member(one, "bytes");
        if (!value || value->type != KD__JSON_NUMBER) BAD("logprobs: entry %d has no number", n);
        logprobs[n] = value->number;
        if (bytes && bytes->type == KD__JSON_ARRAY) end += bytes->children;
        else if (token && token->type == KD__JSON_STRING) end += token->length;
        if (given) {
            KD_TRY(kd__json_integer(given, 0, (int64_t)1 << 40, &end, "logprob_ends"));
            given = given->next;
        }
        at[n] = end;
    }
    r->logprobs = logprobs;
    r->logprob_ends = plain && !ends ? NULL : at;
    r->logprob_count = n;
    return KD_OK;
}

/* ---- all other members ---- */

/* Names that the writer uses: a member that has one, but was not read as it, would stand twice in a line. */
static int is_written(const char *name)
{
    static const char *const names[] = { "id",    "domain", "messages", "expected",  "teacher", "sample",   "seed",        "temperature",
                                         "score", "finish", "passed",   "input_ids", "mask",    "logprobs", "logprob_ends" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) return 1;
    return 0;
}

static int stays(const kd__shape *s, const kd__json *member)
{
    for (int32_t i = 0; i < s->used_count; i++)
        if (s->used[i] == member) return 0;
    return !is_written(member->key);
}

static kd_status keep_extra(kd__shape *s)
{
    kd__text made = { .context = s->pile.context };
    kd_status status = KD_OK;
    for (const kd__json *member = s->document.root->first; member && status == KD_OK; member = member->next) {
        if (!stays(s, member)) continue;
        status = kd__text_append(&made, made.size ? ", " : "{", made.size ? 2 : 1);
        if (status == KD_OK) status = kd__text_quoted(&made, member->key);
        if (status == KD_OK) status = kd__text_append(&made, ": ", 2);
        if (status == KD_OK) status = kd__json_write(&made, member);
    }
    if (status == KD_OK && made.size) status = kd__text_append(&made, "}", 1);
    if (status == KD_OK && made.size) status = kd__pile_text(&s->pile, made.bytes, made.size, &s->record.extra);
    kd__text_free(&made);
    return status;
}

/* ---- a line ---- */

static kd_status read_facts(kd__shape *s)
{
    kd_record *r = &s->record;
    int64_t sample = 0;
    KD_TRY(text_of(s, use(s, s->options->expected_field, expected_names), "expected", &r->expected));
    KD_TRY(text_of(s, use(s, s->options->domain_field, domain_names), "domain", &r->domain));
    KD_TRY(text_of(s, use(s, NULL, teacher_names), "teacher", &r->teacher));
    KD_TRY(text_of(s, use(s, NULL, finish_names), "finish", &r->finish));
    KD_TRY(text_of(s, use_one(s, "id"), "id", &r->id));
    KD_TRY(number_of(s, "temperature", &r->temperature));
    KD_TRY(number_of(s, "score", &r->score));
    KD_TRY(seed_of(s, &r->seed));
    const kd__json *number = use_one(s, "sample");
    if (number) KD_TRY(kd__json_integer(number, 0, INT32_MAX, &sample, "sample"));
    r->sample = (int32_t)sample;
    return passed_of(s);
}

/* "answer" is the known one, unless it is what is learned. */
static kd_status read_answer(kd__shape *s, const char **text)
{
    KD_TRY(text_of(s, use_one(s, "answer"), "answer", text));
    if (!*s->record.expected) s->record.expected = *text;
    return KD_OK;
}

/* prompt with a completion, with reasoning and an answer, or with a list of completions. */
static kd_status read_pair(kd__shape *s, const kd__json *asked)
{
    const kd__json *completion = use(s, s->options->completion_field, completion_names), *reasoning = use(s, NULL, reasoning_names),
                   *list = completion ? NULL : use(s, NULL, list_names);
    const char *prompt, *system, *answer, *text, *expected = s->record.expected;
    KD_TRY(text_of(s, asked, "prompt", &prompt));
    if (!strcmp(asked->key, "instruction")) KD_TRY(instruction(s, &prompt));
    KD_TRY(text_of(s, use_one(s, "system"), "system", &system));
    KD_TRY(make_chat(s, system, prompt));
    KD_TRY(read_answer(s, &answer));
    if (reasoning && !completion) s->record.expected = expected; /* the answer stands behind the reasoning */
    if (list && list->type == KD__JSON_ARRAY) {
        s->answers = list;
        s->next = list->first;
        return KD_OK;
    }
    if (!completion && !*answer) return KD_OK;
    KD_TRY(text_of(s, completion, "completion", &text));
    if (!completion) text = answer;
    KD_TRY(with_reasoning(s, reasoning, &text));
    return answer_chat(s, &s->record, text);
}

static kd_status read_server(kd__shape *s)
{
    const kd__json *request = use_one(s, "request"), *response = use_one(s, "response"), *messages;
    if (response && kd__json_member(response, "body")) response = kd__json_member(response, "body");
    messages = request ? kd__json_member(request, "messages") : use_one(s, "messages");
    s->answers = response ? kd__json_member(response, "choices") : use_one(s, "choices");
    if (!messages || !s->answers || s->answers->type != KD__JSON_ARRAY) BAD("expected a request with messages and a response with choices");
    s->next = s->answers->first;
    if (!*s->record.teacher && response) KD_TRY(text_of(s, kd__json_member(response, "model"), "model", &s->record.teacher));
    return read_chat(s, messages, 1);
}

/* A prompt, and perhaps a completion, that are lists of turns. */
static kd_status read_turns(kd__shape *s, const kd__json *asked)
{
    const kd__json *completion = use(s, s->options->completion_field, completion_names);
    const char *text;
    KD_TRY(read_chat(s, asked, 1));
    if (!completion) return KD_OK;
    if (completion->type == KD__JSON_ARRAY && completion->first && completion->first->type == KD__JSON_OBJECT)
        completion = kd__json_member(completion->first, "content");
    KD_TRY(text_of(s, completion, "completion", &text));
    return answer_chat(s, &s->record, text);
}

static kd_status read_object(kd__shape *s)
{
    static const char *const chat_names[] = { "messages", "conversations", NULL }, *const choices[] = { "choices", NULL },
                             *const responses[] = { "response", NULL };
    const kd__json *object = s->document.root, *response = find(object, responses), *ids = find(object, id_names), *chat, *asked;
    const char *answer;
    KD_TRY(read_facts(s));
    if (ids && ids->type == KD__JSON_ARRAY) KD_TRY(read_ids(s, use(s, NULL, id_names), use(s, NULL, mask_names)));
    if (find(object, choices) || (response && response->type == KD__JSON_OBJECT)) {
        KD_TRY(read_answer(s, &answer));
        return read_server(s);
    }
    const kd__json *logprobs = kd__json_member(object, "logprobs");
    if (logprobs && logprobs->type == KD__JSON_ARRAY) KD_TRY(read_logprobs(s, use_one(s, "logprobs"), use_one(s, "logprob_ends"), &s->record));
    if ((chat = use(s, NULL, chat_names))) {
        KD_TRY(read_answer(s, &answer));
        return read_chat(s, chat, 0);
    }
    asked = use(s, s->options->prompt_field, prompt_names);
    if (asked && asked->type == KD__JSON_ARRAY && asked->first && asked->first->type == KD__JSON_OBJECT) return read_turns(s, asked);
    if (asked) return read_pair(s, asked);
    if (s->record.ids) return KD_OK;
    BAD("none of the shapes that are known: no messages, conversations, prompt or ids");
}

/* Texts end with a 0 here: one that holds a 0 would be cut. */
static int holds_zero(const kd__json *node)
{
    if (node->type == KD__JSON_STRING) return (int64_t)strlen(node->text) != node->length;
    for (const kd__json *child = node->first; child; child = child->next)
        if (holds_zero(child)) return 1;
    return 0;
}

kd_status kd__shape_begin(kd__shape *s, const char *line, int64_t bytes)
{
    static const kd_record none = KD_RECORD_INIT;
    kd__shape_end(s);
    s->record = none;
    s->record.temperature = s->record.score = NAN;
    s->sample = 0;
    if (!kd__is_utf8(line, bytes)) BAD("no UTF-8");
    KD_TRY(kd__json_parse(&s->document, s->pile.context, line, (size_t)bytes, "line"));
    if (s->document.root->type != KD__JSON_OBJECT) BAD("expected an object");
    if (holds_zero(s->document.root)) BAD("a text holds a zero byte");
    KD_TRY(read_object(s));
    return keep_extra(s);
}

kd_status kd__shape_next(kd__shape *s, kd_record *record)
{
    kd_record r = s->record;
    const char *text = "";
    if (s->sample < 0 || (s->answers && !s->next)) return KD_END;
    if (s->answers) {
        const kd__json *one = s->next;
        s->next = one->next;
        if (one->type == KD__JSON_OBJECT && kd__json_member(one, "message")) {
            kd_message message = { NULL, NULL };
            KD_TRY(read_turn(s, kd__json_member(one, "message"), &message));
            KD_TRY(read_logprobs(s, kd__json_member(one, "logprobs"), NULL, &r));
            KD_TRY(text_of(s, kd__json_member(one, "finish_reason"), "finish_reason", &r.finish));
            text = message.content;
        } else KD_TRY(text_of(s, one, "completions", &text));
        KD_TRY(answer_chat(s, &r, text));
        r.sample = s->sample++;
    } else s->sample = -1;
    find_texts(&r);
    KD_TRY(kd_record_keys(&r));
    *record = r;
    return KD_OK;
}

void kd__shape_end(kd__shape *s)
{
    kd__pile_empty(&s->pile);
    kd__json_free(&s->document);
    s->answers = s->next = NULL;
    s->used_count = 0;
    s->sample = -1;
}

/* ---- copies ---- */

static kd_status copy_text(kd__pile *pile, const char **text)
{
    return kd__pile_text(pile, *text ? *text : "", *text ? (int64_t)strlen(*text) : 0, text);
}

kd_status kd__record_copy(kd__pile *pile, const kd_record *from, kd_record *to)
{
    kd_record r = *from;
    kd_message *messages = NULL;
    const char **texts[] = { &r.prompt, &r.completion, &r.expected, &r.domain, &r.id, &r.teacher, &r.finish, &r.passed, &r.extra };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) KD_TRY(copy_text(pile, texts[i]));
    KD_TRY(kd__pile_take(pile, r.message_count * (int64_t)sizeof *messages, (void **)&messages));
    for (int32_t i = 0; i < r.message_count; i++) {
        messages[i] = from->messages[i];
        KD_TRY(copy_text(pile, &messages[i].role));
        KD_TRY(copy_text(pile, &messages[i].content));
    }
    r.messages = messages;
    r.ids = NULL;
    r.mask = NULL;
    r.logprobs = NULL;
    r.logprob_ends = NULL;
    r.tokens = r.logprob_count = 0;
    *to = r;
    return KD_OK;
}
