/* A reader's records as columns. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "course/arrow/arrow.h"

/* Each column's number is its place here: those of a list or struct follow it. */
enum {
    ROW,
    ID,
    RECORD_DOMAIN,
    TOOLS,
    VARIABLES,
    MESSAGES,
    TURN,
    ROLE,
    CONTENT,
    TURN_EXTRA,
    WEIGHT,
    EXPECTED,
    TEACHER,
    SAMPLE,
    SEED,
    TEMPERATURE,
    SCORE,
    FINISH,
    PASSED,
    FILTER,
    IDS,
    TOKEN,
    MASK,
    LEARNED,
    LOGPROBS,
    LOGPROB,
    ENDS,
    END,
    EXTRA,
    KEY,
    PROMPT_KEY,
    PROMPT,
    COMPLETION,
    LINE,
    COLUMNS
};

static const struct {
    const char *name, *format;
    int32_t children;
} columns[COLUMNS] = {
    [ROW] = { "", "+s", 23 },
    [ID] = { "id", "U", 0 },
    [RECORD_DOMAIN] = { "domain", "U", 0 },
    [TOOLS] = { "tools", "U", 0 },
    [VARIABLES] = { "chat_template_kwargs", "U", 0 },
    [MESSAGES] = { "messages", "+L", 1 },
    [TURN] = { "item", "+s", 4 },
    [ROLE] = { "role", "U", 0 },
    [CONTENT] = { "content", "U", 0 },
    [TURN_EXTRA] = { "extra", "U", 0 },
    [WEIGHT] = { "weight", "c", 0 },
    [EXPECTED] = { "expected", "U", 0 },
    [TEACHER] = { "teacher", "U", 0 },
    [SAMPLE] = { "sample", "i", 0 },
    [SEED] = { "seed", "L", 0 },
    [TEMPERATURE] = { "temperature", "g", 0 },
    [SCORE] = { "score", "g", 0 },
    [FINISH] = { "finish", "U", 0 },
    [PASSED] = { "passed", "+L", 1 },
    [FILTER] = { "item", "U", 0 },
    [IDS] = { "input_ids", "+L", 1 },
    [TOKEN] = { "item", "i", 0 },
    [MASK] = { "mask", "+L", 1 },
    [LEARNED] = { "item", "b", 0 },
    [LOGPROBS] = { "logprobs", "+L", 1 },
    [LOGPROB] = { "item", "g", 0 },
    [ENDS] = { "logprob_ends", "+L", 1 },
    [END] = { "item", "l", 0 },
    [EXTRA] = { "extra", "U", 0 },
    [KEY] = { "kd_key", "U", 0 },
    [PROMPT_KEY] = { "kd_prompt_key", "U", 0 },
    [PROMPT] = { "kd_prompt", "U", 0 },
    [COMPLETION] = { "kd_completion", "U", 0 },
    [LINE] = { "kd_line", "l", 0 },
};

static kd_status put_text(kd__build *b, int32_t column, const char *text)
{
    return text && *text ? kd__build_text(b, column, text, (int64_t)strlen(text))
                         : kd__build_null(b, column);
}

static kd_status put_double(kd__build *b, int32_t column, double value)
{
    return isnan(value) ? kd__build_null(b, column)
                        : kd__build_number(b, column, &value, sizeof value);
}

static kd_status put_messages(kd__build *b, const kd_record *r)
{
    static const int8_t none = 0;
    if (!r->message_count) return kd__build_null(b, MESSAGES);
    for (int32_t i = 0; i < r->message_count; i++) {
        const kd_message *m = &r->messages[i];
        KD_TRY(kd__build_text(b, ROLE, m->role, (int64_t)strlen(m->role)));
        KD_TRY(kd__build_text(b, CONTENT, m->content, (int64_t)strlen(m->content)));
        KD_TRY(put_text(b, TURN_EXTRA, m->extra));
        KD_TRY(m->skip ? kd__build_number(b, WEIGHT, &none, 1) : kd__build_null(b, WEIGHT));
        KD_TRY(kd__build_entry(b, TURN));
    }
    return kd__build_entry(b, MESSAGES);
}

static kd_status put_passed(kd__build *b, const char *names)
{
    if (!*names) return kd__build_null(b, PASSED);
    for (const char *at = names;; at++) {
        const size_t length = strcspn(at, ",");
        KD_TRY(kd__build_text(b, FILTER, at, (int64_t)length));
        at += length;
        if (!*at) break;
    }
    return kd__build_entry(b, PASSED);
}

static kd_status put_list(kd__build *b, int32_t column, const void *numbers, int64_t count,
                          size_t size)
{
    if (!numbers) return kd__build_null(b, column);
    KD_TRY(kd__build_numbers(b, column + 1, numbers, count, size));
    return kd__build_entry(b, column);
}

static kd_status put_mask(kd__build *b, const kd_record *r)
{
    if (!r->ids || !r->mask) return kd__build_null(b, MASK);
    for (int64_t i = 0; i < r->tokens; i++) KD_TRY(kd__build_bool(b, LEARNED, r->mask[i]));
    return kd__build_entry(b, MASK);
}

static kd_status put_lists(kd__build *b, const kd_record *r)
{
    const int64_t count = r->logprob_count;
    KD_TRY(put_passed(b, r->passed));
    KD_TRY(put_list(b, IDS, r->ids, r->tokens, sizeof *r->ids));
    KD_TRY(put_mask(b, r));
    KD_TRY(put_list(b, LOGPROBS, count ? r->logprobs : NULL, count, sizeof *r->logprobs));
    return put_list(b, ENDS, count ? r->logprob_ends : NULL, count, sizeof *r->logprob_ends);
}

static kd_status put_facts(kd__build *b, const kd_record *r)
{
    const struct {
        int32_t column;
        const char *text;
    } texts[] = { { ID, r->id },
                  { RECORD_DOMAIN, r->domain },
                  { TOOLS, r->tools },
                  { VARIABLES, r->variables },
                  { EXPECTED, r->expected },
                  { TEACHER, r->teacher },
                  { FINISH, r->finish },
                  { EXTRA, r->extra },
                  { PROMPT, r->prompt },
                  { COMPLETION, r->completion } };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        KD_TRY(put_text(b, texts[i].column, texts[i].text));
    KD_TRY(kd__build_number(b, SAMPLE, &r->sample, sizeof r->sample));
    KD_TRY(r->seed ? kd__build_number(b, SEED, &r->seed, sizeof r->seed) : kd__build_null(b, SEED));
    KD_TRY(put_double(b, TEMPERATURE, r->temperature));
    KD_TRY(put_double(b, SCORE, r->score));
    return kd__build_number(b, LINE, &r->line, sizeof r->line);
}

static kd_status put_record(kd__build *b, const kd_record *r)
{
    char key[33];
    KD_TRY(put_facts(b, r));
    KD_TRY(put_messages(b, r));
    KD_TRY(put_lists(b, r));
    kd__key_text(key, r->key);
    KD_TRY(kd__build_text(b, KEY, key, 32));
    kd__key_text(key, r->prompt_key);
    KD_TRY(kd__build_text(b, PROMPT_KEY, key, 32));
    return kd__build_entry(b, ROW);
}

static kd_status fill(void *self, kd__build *b)
{
    kd_record r = KD_RECORD_INIT;
    while (b->columns[ROW].length < KD__BATCH_ROWS && b->bytes < KD__BATCH_BYTES) {
        kd_status status = kd_record_reader_next(self, &r);
        if (status != KD_OK) return status;
        status = put_record(b, &r);
        if (status != KD_OK) kd__build_clear(b); /* its columns are of unlike lengths */
        if (status != KD_OK) return status;
    }
    return KD_OK;
}

static void free_reader(void *self) { kd_record_reader_free(self); }

kd_status kd_record_reader_to_arrow(kd_record_reader *reader, kd_arrow_stream *stream)
{
    KD_NEED(reader);
    KD_NEED(stream);
    kd__build build = { .context = ((kd__object *)reader)->context };
    KD_TRY(KD_NEW(build.context, &build.columns, COLUMNS));
    build.count = COLUMNS;
    for (int32_t i = 0; i < COLUMNS; i++) {
        build.columns[i].format = columns[i].format;
        build.columns[i].children = columns[i].children;
        strcpy(build.columns[i].name, columns[i].name);
    }
    const kd__source source = { kd__object_hold(reader), fill, free_reader };
    return kd__stream_open(stream, build.context, &build, &source);
}
