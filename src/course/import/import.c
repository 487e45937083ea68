/* Answers of servers into a store: JSON lines and flat files. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "course/import/import.h"

static const kd_import_options defaults = KD_IMPORT_OPTIONS_INIT;
void kd_import_options_init(kd_import_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

/* ---- JSON lines ---- */

typedef kd_status form(kd__import *m, const kd__json *line);

/* By KD_IMPORT_..., and what a line of each is known by. */
static const struct {
    const char *name, *member;
    form *read;
} forms[] = { { NULL, NULL, NULL },
              { "KD_IMPORT_OPENAI", "choices", kd__import_openai },
              { "KD_IMPORT_VLLM", "prompt_logprobs", kd__import_vllm },
              { NULL, NULL, NULL },
              { "KD_IMPORT_LLAMA_CPP", "completion_probabilities", kd__import_llama_cpp },
              { "KD_IMPORT_SGLANG", "meta_info", kd__import_sglang },
              { "KD_IMPORT_TGI", "details", kd__import_tgi } };
#define FORMS ((int32_t)(sizeof forms / sizeof *forms))

static void leave_places(kd__import *m)
{
    m->member = NULL;
    m->choice = m->item = -1;
}

/* A line of another form says which. */
static kd_status check_form(const kd__import *m, int32_t format, const kd__json *line)
{
    if (kd__json_member(line, forms[format].member) ||
        (format == KD_IMPORT_VLLM && kd__json_member(line, "choices")))
        return KD_OK;
    for (int32_t i = 1; i < FORMS; i++)
        KD_FAIL_IF(forms[i].name && kd__json_member(line, forms[i].member), KD_ERR_FORMAT,
                   "expected \"%s\" (%s), found \"%s\": that is %s", forms[format].member,
                   forms[format].name, forms[i].member, forms[i].name);
    const kd__json *error = kd__json_member(line, "error");
    const kd__json *message =
        error && error->type == KD__JSON_OBJECT ? kd__json_member(error, "message") : error;
    KD_FAIL_IF(error, KD_ERR_FORMAT, "the server's error instead of an answer: %.120s",
               message && message->type == KD__JSON_STRING ? message->text : "(no text)");
    return kd__import_bad(m, "expected the answer of a server");
}

static kd_status read_answer(kd__import *m, int32_t format, const kd__json *line)
{
    leave_places(m);
    if (line->type != KD__JSON_OBJECT) return kd__import_bad(m, "expected an object");
    KD_TRY(check_form(m, format, line));
    const kd_status status = forms[format].read(m, line);
    leave_places(m);
    return status;
}

/* Python writes -Infinity, which JSON has not: null says the same here. NaN and Infinity are no
 * log-probabilities. */
static kd_status replace_words(char *line, int64_t size)
{
    static const char minus[] = "-Infinity";
    const int64_t n = (int64_t)sizeof minus - 1;
    int text = 0;
    for (int64_t i = 0; i < size; i++) {
        if (line[i] == '"') text = !text;
        if (text && line[i] == '\\') i++;
        if (text || (line[i] != '-' && line[i] != 'N' && line[i] != 'I')) continue;
        KD_FAIL_IF(size - i >= 3 && !memcmp(line + i, "NaN", 3), KD_ERR_NONFINITE,
                   "byte %lld: NaN, expected a log-probability", (long long)i);
        KD_FAIL_IF(size - i >= 8 && !memcmp(line + i, "Infinity", 8), KD_ERR_NONFINITE,
                   "byte %lld: Infinity, expected a log-probability", (long long)i);
        if (size - i < n || memcmp(line + i, minus, (size_t)n)) continue;
        memcpy(line + i, "null     ", (size_t)n);
        i += n - 1;
    }
    return KD_OK;
}

/* SGLang answers several prompts with a list. */
static kd_status read_line(kd__import *m, int32_t format, char *line, int64_t size)
{
    kd__json_document document;
    KD_FAIL_IF(size >= 5 && !memcmp(line, "data:", 5), KD_ERR_FORMAT,
               "a line of a stream (\"data:\"): ask for whole responses");
    KD_TRY(replace_words(line, size));
    KD_TRY(kd__json_parse(&document, m->context, line, (size_t)size, "JSON"));
    const kd__json *root = document.root;
    kd_status status = KD_OK;
    if (root->type != KD__JSON_ARRAY || format != KD_IMPORT_SGLANG)
        status = read_answer(m, format, root);
    else
        for (const kd__json *n = root->first; n && status == KD_OK; n = n->next)
            status = read_answer(m, format, n);
    kd__json_free(&document);
    return status;
}

static kd_status check_share(const kd__import *m)
{
    KD_FAIL_IF(m->counts.unmapped > m->o.max_unmapped * (double)m->strings_seen, KD_ERR_MISMATCH,
               "%lld of %lld token strings are not in the table (allowed: %g; the first: \"%s\"): "
               "is it the right tokenizer's?",
               (long long)m->counts.unmapped, (long long)m->strings_seen, m->o.max_unmapped,
               m->unmapped);
    return KD_OK;
}

static kd_status finish_line(kd__import *m, int32_t format, kd__text *line)
{
    static const char mark[] = "\xef\xbb\xbf"; /* of a file's first bytes */
    int64_t from = 0;
    if (!m->counts.lines++ && line->size >= 3 && !memcmp(line->bytes, mark, 3)) from = 3;
    while (from < line->size && strchr(" \t\r\n", line->bytes[from])) from++;
    if (from == line->size) return KD_OK;
    kd_status status = read_line(m, format, line->bytes + from, line->size - from);
    /* a wrong table is told before much is written */
    if (status == KD_OK && m->strings_seen >= 200) status = check_share(m);
    if (status == KD_OK) return KD_OK;
    char message[400];
    snprintf(message, sizeof message, "%s", kd_last_error());
    return kd__fail(status, "%s: line %lld: %s", m->path, (long long)m->counts.lines, message);
}

static kd_status read_lines(kd__import *m, int32_t format, kd__input *input)
{
    enum { PIECE = 1 << 16 };
    kd__text line = { .context = m->context };
    char *piece = NULL;
    int64_t got = 0, read = 0, total = kd__input_left(input);
    KD_TRY(kd__allocate(m->context, (void **)&piece, PIECE, 1));
    kd_status status = KD_OK;
    do {
        status = kd__input_read_some(input, piece, PIECE, &got);
        read += got;
        for (int64_t i = 0; i < got && status == KD_OK;) {
            const char *end = memchr(piece + i, '\n', (size_t)(got - i));
            const int64_t n = end ? end - (piece + i) : got - i;
            status = kd__text_append(&line, piece + i, (size_t)n);
            i += n + (end != NULL);
            if (!end || status != KD_OK) continue;
            status = finish_line(m, format, &line);
            line.size = 0;
        }
        if (status == KD_OK) status = kd__progress(m->context, "import", read, kd__max(total, 0));
    } while (status == KD_OK && got == PIECE);
    if (status == KD_OK && line.size) status = finish_line(m, format, &line);
    kd__text_free(&line);
    kd__release(m->context, piece);
    return status;
}

/* ---- flat files ---- */

static kd_status flat_row(kd__import *m, const uint8_t *bytes)
{
    const int64_t k = m->o.k;
    KD_TRY(kd__import_row(m));
    for (int64_t i = 0; i < k; i++) {
        float log_p;
        const uint16_t half = (uint16_t)(bytes[4 * k + 2 * i] | bytes[4 * k + 2 * i + 1] << 8);
        kd__convert_float32(&log_p, &half, KD_FLOAT16, 1, 1, 0);
        KD_TRY(kd__import_entry(m, kd__get32(bytes + 4 * i), log_p));
    }
    return KD_OK;
}

static kd_status read_flat(kd__import *m, kd__input *input)
{
    const int64_t k = m->o.k, row = 6 * k, total = kd__input_left(input);
    uint8_t *bytes = NULL;
    int64_t got = 0;
    KD_FAIL_IF(k < 1 || k > 1 << 20 || m->o.positions < 1, KD_ERR_RANGE,
               "flat file: expected k of 1 to 2^20 and positions of at least 1, got %lld and %lld",
               (long long)k, (long long)m->o.positions);
    KD_TRY(kd__allocate(m->context, (void **)&bytes, row, 1));
    kd_status status = KD_OK;
    kd__import_begin(m);
    while (status == KD_OK && (status = kd__input_read_some(input, bytes, row, &got)) == KD_OK &&
           got == row) {
        status = flat_row(m, bytes);
        if (status != KD_OK || m->rows < m->o.positions) continue;
        status = kd__import_commit_numbered(m);
        kd__import_begin(m);
        if (status == KD_OK)
            status =
                kd__progress(m->context, "import", m->counts.positions * row, kd__max(total, 0));
    }
    kd__release(m->context, bytes);
    KD_TRY(status);
    KD_FAIL_IF(got || m->rows, KD_ERR_FORMAT,
               "%s: ends in the middle of record %lld of %lld positions, k = %lld", m->path,
               (long long)m->counts.records, (long long)m->o.positions, (long long)k);
    return KD_OK;
}

/* ---- all of it ---- */

static kd_status find_field(kd__import *m)
{
    const kd_store_writer *w = m->writer;
    for (int32_t i = 0; i < w->field_count; i++)
        if (w->fields[i].kind == KD_STORE_TOPK &&
            (!m->o.field || !strcmp(m->o.field, w->fields[i].name))) {
            m->field = w->fields[i].name;
            return KD_OK;
        }
    return kd__fail(KD_ERR_NOT_FOUND, "import: no top-k field '%.60s'",
                    m->o.field ? m->o.field : "");
}

static void warn_of_unseen(const kd__import *m)
{
    if (!m->unseen) return;
    kd__log(m->context, KD_LOG_WARNING,
            "%s: %lld records have no \"prompt_token_ids\": their first row predicts the answer's "
            "first token, so that their position 0 is the prompt's last token",
            m->path, (long long)m->unseen);
}

static kd_status run(kd__import *m, int32_t format)
{
    kd__input *input;
    KD_TRY(find_field(m));
    KD_TRY(kd__import_read_table(m));
    KD_TRY(kd__input_open(&input, m->context, m->path));
    kd_status status = format == KD_IMPORT_FLAT ? read_flat(m, input)
                                                : read_lines(m, format, input);
    kd__input_close(input);
    warn_of_unseen(m);
    KD_TRY(status);
    return check_share(m);
}

kd_status kd_store_writer_import(kd_store_writer *writer, int32_t format, const char *path,
                                 const kd_import_options *options, kd_import_counts *counts)
{
    kd__import m = { .counts = { .struct_size = sizeof m.counts }, .o = defaults };
    KD_NEED(writer);
    KD_FAIL_IF(format < 1 || format >= FORMS, KD_ERR_RANGE,
               "import format: expected 1 to %d, got %d", FORMS - 1, format);
    KD_TRY(kd__name_given(path, "path"));
    KD_TRY(kd__options_read(&m.o, sizeof m.o, options, "kd_import_options"));
    m.context = m.strings.context = m.table.context = writer->object.context;
    m.writer = writer;
    m.path = path;
    kd_status status = run(&m, format);
    void *blocks[] = { m.offsets, m.ids, m.values, m.tokens };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(m.context, blocks[i]);
    kd__text_free(&m.strings);
    kd__table_free(&m.table);
    writer->open = 0;
    if (counts) {
        kd_status told = kd__info_write(counts, &m.counts, sizeof m.counts, "kd_import_counts");
        if (status == KD_OK) status = told;
    }
    return status;
}
