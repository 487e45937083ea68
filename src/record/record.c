/* A record's keys, and a record as JSON. */
#include "record/record.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"

static const kd_record defaults = KD_RECORD_INIT;
void kd_record_init(kd_record *r, size_t size) { kd__options_init(r, size, &defaults, sizeof defaults); }

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

static kd_status check(const kd_record *r)
{
    KD_FAIL_IF(r->message_count < 0 || r->tokens < 0 || r->logprob_count < 0 || r->sample < 0, KD_ERR_RANGE, "record: a count or number is negative");
    KD_FAIL_IF(r->message_count && !r->messages, KD_ERR_INVALID, "record: messages is NULL");
    for (int32_t i = 0; i < r->message_count; i++)
        KD_FAIL_IF(!r->messages[i].role || !r->messages[i].content, KD_ERR_INVALID, "record: message %d has no role or no content", i);
    return KD_OK;
}

kd_status kd_record_keys(kd_record *record)
{
    KD_NEED(record);
    KD_FAIL_IF(record->struct_size < sizeof *record, KD_ERR_INVALID, "kd_record: expected struct_size %zu, got %u", sizeof *record,
               record->struct_size);
    KD_TRY(check(record));
    kd_record *r = record;
    const int32_t n = r->message_count;
    const int answered = n > 0 && !strcmp(r->messages[n - 1].role, "assistant");
    uint64_t key[2] = { 0, 0 };
    for (int32_t i = 0; i < n - answered; i++) chain(key, r->messages[i].role, r->messages[i].content);
    if (!n && r->prompt && *r->prompt) chain(key, "user", r->prompt);
    if (!n && r->ids) kd__hash128(r->ids, (size_t)r->tokens * sizeof *r->ids, key);
    memcpy(r->prompt_key, key, sizeof key);
    if (answered || (!n && r->completion && *r->completion)) chain(key, "assistant", answered ? r->messages[n - 1].content : r->completion);
    memcpy(r->key, key, sizeof key);
    return KD_OK;
}

/* ---- JSON ---- */

static kd_status name_of(kd__text *t, const char *name) { return kd__text_format(t, "%s\"%s\": ", t->size > 1 ? ", " : "", name); }

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

static kd_status turn(kd__text *t, const char *role, const char *content, const char *before)
{
    KD_TRY(kd__text_format(t, "%s{\"role\": ", before));
    KD_TRY(kd__text_quoted(t, role));
    KD_TRY(kd__text_append(t, ", \"content\": ", 13));
    KD_TRY(kd__text_quoted(t, content));
    return kd__text_append(t, "}", 1);
}

static kd_status chat(kd__text *t, const kd_record *r)
{
    const int plain = !r->message_count;
    if (plain && !(r->prompt && *r->prompt) && !(r->completion && *r->completion)) return KD_OK;
    KD_TRY(name_of(t, "messages"));
    KD_TRY(kd__text_append(t, "[", 1));
    for (int32_t i = 0; i < r->message_count; i++) KD_TRY(turn(t, r->messages[i].role, r->messages[i].content, i ? ", " : ""));
    if (plain) KD_TRY(turn(t, "user", r->prompt ? r->prompt : "", ""));
    if (plain && r->completion && *r->completion) KD_TRY(turn(t, "assistant", r->completion, ", "));
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
        for (int64_t i = 0; i < r->tokens; i++) KD_TRY(kd__text_format(t, "%s%d", i ? ", " : "[", r->ids[i]));
        KD_TRY(kd__text_append(t, "]", 1));
    }
    if (r->ids && r->mask) {
        KD_TRY(name_of(t, "mask"));
        for (int64_t i = 0; i < r->tokens; i++) KD_TRY(kd__text_format(t, "%s%d", i ? ", " : "[", r->mask[i] != 0));
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
    for (int32_t i = 0; i < r->logprob_count; i++) KD_TRY(kd__text_format(t, "%s%lld", i ? ", " : "[", (long long)r->logprob_ends[i]));
    return kd__text_append(t, "]", 1);
}

static kd_status write(kd__text *t, const kd_record *r)
{
    KD_TRY(kd__text_append(t, "{", 1));
    KD_TRY(text_member(t, "id", r->id));
    KD_TRY(text_member(t, "domain", r->domain));
    KD_TRY(chat(t, r));
    KD_TRY(text_member(t, "expected", r->expected));
    KD_TRY(text_member(t, "teacher", r->teacher));
    if (r->sample) KD_TRY(number_member(t, "sample", r->sample));
    if (r->seed) {
        KD_TRY(name_of(t, "seed"));
        KD_TRY(r->seed >> 53 ? kd__text_format(t, "\"%llu\"", (unsigned long long)r->seed) : kd__text_format(t, "%llu", (unsigned long long)r->seed));
    }
    KD_TRY(number_member(t, "temperature", r->temperature));
    KD_TRY(number_member(t, "score", r->score));
    KD_TRY(text_member(t, "finish", r->finish));
    KD_TRY(passed(t, r->passed));
    KD_TRY(lists(t, r));
    const size_t extra = r->extra ? strlen(r->extra) : 0;
    if (extra > 2) {
        if (t->size > 1) KD_TRY(kd__text_append(t, ", ", 2));
        KD_TRY(kd__text_append(t, r->extra + 1, extra - 2));
    }
    return kd__text_append(t, "}", 1);
}

/* What a host gave can be no UTF-8, and its "extra" anything: a line that no reader would take is not written. */
static kd_status check_line(kd_context *context, const kd__text *t, const kd_record *r)
{
    kd__json_document parsed = { 0 };
    KD_FAIL_IF(!kd__is_utf8(t->bytes, t->size), KD_ERR_INVALID, "record: a text is no UTF-8");
    const size_t size = r->extra ? strlen(r->extra) : 0;
    if (!size) return KD_OK;
    KD_FAIL_IF(size < 2 || r->extra[0] != '{' || r->extra[size - 1] != '}', KD_ERR_INVALID, "record: extra is no JSON object: %.200s", r->extra);
    const kd_status status = kd__json_parse(&parsed, context, t->bytes, (size_t)t->size, "record, with its extra");
    kd__json_free(&parsed);
    return status == KD_ERR_MEMORY || status == KD_OK
               ? status
               : kd__fail(KD_ERR_INVALID, "record: extra is no JSON object of other members: %.200s", r->extra);
}

kd_status kd_record_json(kd_context *context, const kd_record *record, char **json)
{
    kd_record r = defaults;
    KD_NEED(context);
    KD_NEED(record);
    KD_NEED(json);
    KD_TRY(kd__options_read(&r, sizeof r, record, "kd_record"));
    kd__text t = { .context = context };
    kd_status status = check(&r);
    if (status == KD_OK) status = write(&t, &r);
    if (status == KD_OK) status = check_line(context, &t, &r);
    if (status != KD_OK) kd__text_free(&t);
    else *json = t.bytes;
    return status;
}
