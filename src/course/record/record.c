/* A record's keys, and a record as JSON. */
#include "course/record/record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

static const kd_record defaults = KD_RECORD_INIT;
void kd_record_init(kd_record *r, size_t size)
{
    kd__options_init(r, size, &defaults, sizeof defaults);
}

/* ---- keys ---- */

/* A chain: the key of (key so far, role, content). Long texts are not copied together. */
static void chain(uint64_t key[2], const char *role, const char *content)
{
    uint64_t link[6];
    memcpy(link, key, 16);
    kd__hash128(role, strlen(role) + 1, link + 2);
    kd__hash128(content, strlen(content) + 1, link + 4);
    kd__hash128(link, sizeof link, key);
}

/* The next bytes of JSON without the white space between its values; 0 at its end. */
static size_t take_json(const char **at, int *quoted, char *to, size_t room)
{
    size_t n = 0;
    for (; **at && n + 2 < room; ++*at) {
        const char c = **at;
        if (!*quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) continue;
        to[n++] = c;
        if (c == '"') *quoted = !*quoted;
        if (c == '\\' && (*at)[1]) to[n++] = *++*at;
    }
    to[n] = 0;
    return n;
}

/* JSON that says nothing leaves the key as it is. */
static void chain_json(uint64_t key[2], const char *what, const char *json)
{
    char piece[256];
    int quoted = 0;
    if (!json || !*json || !strcmp(json, "{}") || !strcmp(json, "[]")) return;
    while (take_json(&json, &quoted, piece, sizeof piece)) chain(key, what, piece);
}

static void chain_turn(uint64_t key[2], const kd_message *m)
{
    chain(key, m->role, m->content);
    chain_json(key, "\1members", m->extra);
}

static kd_status check(const kd_record *r)
{
    KD_FAIL_IF(r->message_count < 0 || r->tokens < 0 || r->logprob_count < 0 || r->sample < 0,
               KD_ERR_RANGE, "record: a count or number is negative");
    KD_FAIL_IF(r->message_count && !r->messages, KD_ERR_INVALID,
               "record: expected %d messages, got NULL", r->message_count);
    for (int32_t i = 0; i < r->message_count; i++)
        KD_FAIL_IF(!r->messages[i].role || !r->messages[i].content, KD_ERR_INVALID,
                   "record: message %d has no role or no content", i);
    return KD_OK;
}

kd_status kd_record_set_keys(kd_record *record)
{
    KD_NEED(record);
    KD_FAIL_IF(record->struct_size < sizeof *record, KD_ERR_INVALID,
               "kd_record: expected struct_size %zu, got %u", sizeof *record, record->struct_size);
    KD_TRY(check(record));
    kd_record *r = record;
    const int32_t n = r->message_count;
    const int answered = n > 0 && !strcmp(r->messages[n - 1].role, "assistant");
    uint64_t key[2] = { 0, 0 };
    chain_json(key, "\1tools", r->tools);
    chain_json(key, "\1variables", r->variables);
    for (int32_t i = 0; i < n - answered; i++) chain_turn(key, &r->messages[i]);
    if (!n && r->prompt && *r->prompt) chain(key, "user", r->prompt);
    if (!n && r->ids) kd__hash128(r->ids, (size_t)r->tokens * sizeof *r->ids, key);
    memcpy(r->prompt_key, key, sizeof key);
    if (answered) chain_turn(key, &r->messages[n - 1]);
    else if (!n && r->completion && *r->completion) chain(key, "assistant", r->completion);
    memcpy(r->key, key, sizeof key);
    return KD_OK;
}

/* ---- JSON ---- */

static kd_status name_of(kd__text *t, const char *name)
{
    return kd__text_format(t, "%s\"%s\": ", t->size > 1 ? ", " : "", name);
}

static kd_status text_member(kd__text *t, const char *name, const char *value)
{
    if (!value || !*value) return KD_OK;
    KD_TRY(name_of(t, name));
    return kd__text_quoted(t, value);
}

static kd_status number_member(kd__text *t, const char *name, double value)
{
    if (isnan(value)) return KD_OK;
    KD_TRY(name_of(t, name));
    return kd__text_number(t, value);
}

/* The members of a JSON object, without its braces, after a comma. */
static kd_status members(kd__text *t, const char *object)
{
    const size_t size = object ? strlen(object) : 0;
    if (size <= 2) return KD_OK;
    if (t->size > 1) KD_TRY(kd__text_append(t, ", ", 2));
    return kd__text_append(t, object + 1, size - 2);
}

static kd_status json_member(kd__text *t, const char *name, const char *json)
{
    if (!json || !*json) return KD_OK;
    KD_TRY(name_of(t, name));
    return kd__text_append(t, json, strlen(json));
}

static kd_status turn(kd__text *t, const kd_message *m, const char *before)
{
    KD_TRY(kd__text_format(t, "%s{\"role\": ", before));
    KD_TRY(kd__text_quoted(t, m->role));
    KD_TRY(kd__text_append(t, ", \"content\": ", 13));
    KD_TRY(kd__text_quoted(t, m->content));
    KD_TRY(members(t, m->extra));
    if (m->skip) KD_TRY(kd__text_append(t, ", \"weight\": 0", 13));
    return kd__text_append(t, "}", 1);
}

static kd_status chat(kd__text *t, const kd_record *r)
{
    const int plain = !r->message_count;
    const kd_message asked = KD_MESSAGE("user", r->prompt ? r->prompt : ""),
                     answered = KD_MESSAGE("assistant", r->completion);
    if (plain && !(r->prompt && *r->prompt) && !(r->completion && *r->completion)) return KD_OK;
    KD_TRY(name_of(t, "messages"));
    KD_TRY(kd__text_append(t, "[", 1));
    for (int32_t i = 0; i < r->message_count; i++) KD_TRY(turn(t, &r->messages[i], i ? ", " : ""));
    if (plain) KD_TRY(turn(t, &asked, ""));
    if (plain && r->completion && *r->completion) KD_TRY(turn(t, &answered, ", "));
    return kd__text_append(t, "]", 1);
}

static kd_status passed(kd__text *t, const char *names)
{
    if (!names || !*names) return KD_OK;
    KD_TRY(name_of(t, "passed"));
    for (const char *at = names;; at++) {
        const size_t length = strcspn(at, ",");
        KD_TRY(kd__text_append(t, at == names ? "[" : ", ", at == names ? 1 : 2));
        KD_TRY(kd__text_quoted_bytes(t, at, (int64_t)length));
        at += length;
        if (!*at) break;
    }
    return kd__text_append(t, "]", 1);
}

static kd_status lists(kd__text *t, const kd_record *r)
{
    if (r->ids) {
        KD_TRY(name_of(t, "input_ids"));
        for (int64_t i = 0; i < r->tokens; i++)
            KD_TRY(kd__text_format(t, "%s%d", i ? ", " : "[", r->ids[i]));
        KD_TRY(kd__text_append(t, "]", 1));
    }
    if (r->ids && r->mask) {
        KD_TRY(name_of(t, "mask"));
        for (int64_t i = 0; i < r->tokens; i++)
            KD_TRY(kd__text_format(t, "%s%d", i ? ", " : "[", r->mask[i] != 0));
        KD_TRY(kd__text_append(t, "]", 1));
    }
    if (!r->logprobs || !r->logprob_count) return KD_OK;
    KD_TRY(name_of(t, "logprobs"));
    for (int32_t i = 0; i < r->logprob_count; i++) {
        KD_TRY(kd__text_append(t, i ? ", " : "[", i ? 2 : 1));
        KD_TRY(kd__text_number(t, r->logprobs[i]));
    }
    KD_TRY(kd__text_append(t, "]", 1));
    if (!r->logprob_ends) return KD_OK;
    KD_TRY(name_of(t, "logprob_ends"));
    for (int32_t i = 0; i < r->logprob_count; i++)
        KD_TRY(kd__text_format(t, "%s%lld", i ? ", " : "[", (long long)r->logprob_ends[i]));
    return kd__text_append(t, "]", 1);
}

static kd_status write(kd__text *t, const kd_record *r)
{
    KD_TRY(kd__text_append(t, "{", 1));
    KD_TRY(text_member(t, "id", r->id));
    KD_TRY(text_member(t, "domain", r->domain));
    KD_TRY(json_member(t, "tools", r->tools));
    KD_TRY(json_member(t, "chat_template_kwargs", r->variables));
    KD_TRY(chat(t, r));
    KD_TRY(text_member(t, "expected", r->expected));
    KD_TRY(text_member(t, "teacher", r->teacher));
    if (r->sample) KD_TRY(number_member(t, "sample", r->sample));
    if (r->seed) {
        KD_TRY(name_of(t, "seed"));
        KD_TRY(r->seed >> 53 ? kd__text_format(t, "\"%llu\"", (unsigned long long)r->seed)
                             : kd__text_format(t, "%llu", (unsigned long long)r->seed));
    }
    KD_TRY(number_member(t, "temperature", r->temperature));
    KD_TRY(number_member(t, "score", r->score));
    KD_TRY(text_member(t, "finish", r->finish));
    KD_TRY(passed(t, r->passed));
    KD_TRY(lists(t, r));
    KD_TRY(members(t, r->extra));
    return kd__text_append(t, "}", 1);
}

/* JSON that a host gave stands in the line as it is: each piece is one value of its type, from its
 * first byte to its last. */
static kd_status check_piece(kd_context *context, const char *json, char open, const char *what)
{
    kd__json_document parsed = { 0 };
    if (!json || !*json) return KD_OK;
    const char close = open == '{' ? '}' : ']';
    const size_t size = strlen(json);
    const int outside = size < 2 || json[0] != open || json[size - 1] != close;
    const kd_status status = outside ? KD_ERR_FORMAT
                                     : kd__json_parse(&parsed, context, json, size, what);
    kd__json_free(&parsed);
    return status == KD_OK || status == KD_ERR_MEMORY
               ? status
               : kd__fail(KD_ERR_INVALID, "record: %s: expected a JSON %s: %.200s", what,
                          open == '{' ? "object" : "list", json);
}

static kd_status check_pieces(kd_context *context, const kd_record *r)
{
    KD_TRY(check_piece(context, r->extra, '{', "extra"));
    KD_TRY(check_piece(context, r->tools, '[', "tools"));
    KD_TRY(check_piece(context, r->variables, '{', "variables"));
    for (int32_t i = 0; i < r->message_count; i++)
        KD_TRY(check_piece(context, r->messages[i].extra, '{', "extra of a message"));
    return KD_OK;
}

/* What a host gave can be no UTF-8, or hold a member twice: a line that no reader would take is not
 * written. */
static kd_status check_line(kd_context *context, const kd__text *t)
{
    kd__json_document parsed = { 0 };
    KD_FAIL_IF(!kd__is_utf8(t->bytes, t->size), KD_ERR_INVALID, "record: a text is not UTF-8");
    const kd_status status = kd__json_parse(&parsed, context, t->bytes, (size_t)t->size,
                                            "record, with its extra members");
    kd__json_free(&parsed);
    if (status != KD_ERR_FORMAT) return status;
    char why[256];
    snprintf(why, sizeof why, "%s", kd_last_error());
    return kd__fail(KD_ERR_INVALID, "%s", why);
}

const char *kd__record_beyond_plain(const kd_record *r)
{
    const int32_t n = r->message_count,
                  answered = n && !strcmp(r->messages[n - 1].role, "assistant");
    if (r->tools && *r->tools) return "tools";
    if (r->variables && *r->variables) return "variables of a chat template";
    for (int32_t i = 0; i < n; i++)
        if (r->messages[i].extra) return "other members of a turn";
    if (n && n - answered > 1)
        return strcmp(r->messages[0].role, "system") ? "turns before the prompt"
                                                     : "a system message";
    return n && !answered && strcmp(r->messages[n - 1].role, "user") ? "a turn that is no user's"
                                                                     : NULL;
}

kd_status kd_record_to_json(kd_context *context, const kd_record *record, char **json)
{
    kd_record r = defaults;
    KD_NEED(context);
    KD_NEED(record);
    KD_NEED(json);
    KD_TRY(kd__options_read(&r, sizeof r, record, "kd_record"));
    kd__text t = { .context = context };
    kd_status status = check(&r);
    if (status == KD_OK) status = check_pieces(context, &r);
    if (status == KD_OK) status = write(&t, &r);
    if (status == KD_OK) status = check_line(context, &t);
    if (status != KD_OK) kd__text_free(&t);
    else *json = t.bytes;
    return status;
}
