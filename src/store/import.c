/* Answers of servers into a store: JSON lines and flat files. Each record's rows are gathered as sparse entries, checked by
 * kd_targets_set_sparse as any host's are, and committed.                                                                      */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "store/writer.h"
#include <kdistill/import.h>

static const kd_import_options defaults = KD_IMPORT_OPTIONS_INIT;
void kd_import_options_init(kd_import_options *o, size_t size) { kd__options_init(o, size, &defaults, sizeof defaults); }

typedef struct {
    kd_context *context;
    kd_store_writer *writer;
    const char *path, *field;
    kd_import_options o;
    kd_import_counts counts;
    /* the token table: strings and ids, open addressing by their hash */
    kd__text strings;
    int64_t *places; /* (table_size): offset + 1 of an entry in `strings`: int32 length, int64 id, bytes */
    int64_t table_size, strings_seen;
    /* the record at hand */
    int64_t *offsets, *ids, *tokens;
    float *values;
    int64_t rows, entries, token_count, offsets_room, ids_room, values_room, tokens_room;
} import;

/* ---- token table ---- */

/* GPT-2's alphabet: printable bytes stand for themselves, the others for code points from 256 on. */
static int byte_of(uint32_t point)
{
    int next = 256;
    for (int b = 0; b < 256; b++) {
        const int plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if ((plain && point == (uint32_t)b) || (!plain && point == (uint32_t)next++)) return b;
    }
    return -1;
}

/* Code points of a UTF-8 string to bytes; the length, -1: not of the alphabet. */
static int64_t from_alphabet(const char *text, int64_t length, char *to)
{
    int64_t made = 0;
    for (int64_t i = 0; i < length;) {
        const unsigned char c = (unsigned char)text[i];
        uint32_t point = c;
        int64_t size = 1;
        if (c >= 0xc0 && i + 1 < length) {
            point = (uint32_t)(c & 0x1f) << 6 | ((unsigned char)text[i + 1] & 0x3f);
            size = 2;
        }
        const int b = c < 0x80 || (c >= 0xc0 && c < 0xe0) ? byte_of(point) : -1;
        if (b < 0) return -1;
        to[made++] = (char)b;
        i += size;
    }
    return made;
}

static int64_t *place_of(const import *m, const char *text, int64_t length)
{
    uint64_t key[2];
    kd__hash128(text, (size_t)length, key);
    int64_t at = (int64_t)(key[0] % (uint64_t)m->table_size);
    for (; m->places[at]; at = (at + 1) % m->table_size) {
        const char *entry = m->strings.bytes + m->places[at] - 1;
        int32_t size;
        memcpy(&size, entry, 4);
        if (size == length && !memcmp(entry + 12, text, (size_t)length)) break;
    }
    return &m->places[at];
}

static kd_status add_string(import *m, const kd__json *node)
{
    char bytes[4096];
    const char *text = node->key;
    int64_t length = (int64_t)strlen(text), id;
    KD_TRY(kd__json_integer(node, 0, UINT32_MAX, &id, "an id of the token table"));
    if (m->o.byte_level && length < (int64_t)sizeof bytes) {
        const int64_t made = from_alphabet(text, length, bytes);
        if (made >= 0) text = bytes, length = made;
    }
    int64_t *place = place_of(m, text, length);
    if (*place) return KD_OK; /* two strings of one text: the first counts */
    const int32_t size = (int32_t)length;
    const int64_t at = m->strings.size;
    KD_TRY(kd__text_append(&m->strings, &size, 4));
    KD_TRY(kd__text_append(&m->strings, &id, 8));
    KD_TRY(kd__text_append(&m->strings, text, (size_t)length));
    *place = at + 1;
    return KD_OK;
}

static kd_status read_table(import *m)
{
    kd__json_document document;
    char *text = NULL;
    int64_t size = 0;
    if (!m->o.token_table) return KD_OK;
    KD_TRY(kd__file_read(m->context, m->o.token_table, 1LL << 30, &text, &size));
    kd_status status = kd__json_parse(&document, m->context, text, (size_t)size, m->o.token_table);
    kd__release(m->context, text);
    KD_TRY(status);
    if (document.root->type != KD__JSON_OBJECT) status = kd__fail(KD_ERR_FORMAT, "%s: expected { \"token\": id, ... }", m->o.token_table);
    m->table_size = 2 * (int64_t)document.root->children + 1;
    if (status == KD_OK) status = KD_NEW(m->context, &m->places, m->table_size);
    for (const kd__json *n = document.root->first; n && status == KD_OK; n = n->next) status = add_string(m, n);
    kd__json_free(&document);
    return status;
}

static int64_t id_of(import *m, const char *text, int64_t length)
{
    m->strings_seen++;
    const int64_t at = m->table_size ? *place_of(m, text, length) : 0;
    int64_t id = -1;
    if (at) memcpy(&id, m->strings.bytes + at - 1 + 4, 8);
    if (id < 0) m->counts.unmapped++;
    return id;
}

/* ---- gathering a record ---- */

static kd_status begin_row(import *m)
{
    KD_TRY(KD_RESERVE(m->context, &m->offsets, &m->offsets_room, m->rows + 2));
    m->offsets[m->rows++] = m->entries;
    return KD_OK;
}

/* An entry of the row at hand, unless it is absent or there already. */
static kd_status add_entry(import *m, int64_t id, double log_p)
{
    KD_FAIL_IF(isnan(log_p), KD_ERR_NONFINITE, "a log-probability is NaN");
    if (log_p <= -9999 || !isfinite(log_p)) {
        m->counts.absent++;
        return KD_OK;
    }
    for (int64_t i = m->offsets[m->rows - 1]; i < m->entries; i++)
        if (m->ids[i] == id) {
            m->counts.doubled++;
            return KD_OK;
        }
    if (m->entries == m->ids_room) KD_TRY(KD_RESERVE(m->context, &m->ids, &m->ids_room, 2 * m->entries + 256));
    if (m->entries == m->values_room) KD_TRY(KD_RESERVE(m->context, &m->values, &m->values_room, 2 * m->entries + 256));
    m->ids[m->entries] = id;
    m->values[m->entries++] = (float)log_p;
    return KD_OK;
}

static kd_status add_token(import *m, int64_t id)
{
    if (m->token_count == m->tokens_room) KD_TRY(KD_RESERVE(m->context, &m->tokens, &m->tokens_room, 2 * m->token_count + 256));
    m->tokens[m->token_count++] = id;
    return KD_OK;
}

static void begin_record(import *m) { m->rows = m->entries = m->token_count = 0; }

static kd_status set_rows(import *m, uint8_t *present)
{
    kd_sparse sparse = KD_SPARSE_INIT;
    kd_array offsets = KD_ARRAY_1D(m->offsets, KD_INT64, m->rows + 1), ids = KD_ARRAY_1D(m->ids, KD_INT64, m->entries);
    kd_array values = KD_ARRAY_1D(m->values, KD_FLOAT32, m->entries), there = KD_ARRAY_1D(present, KD_UINT8, m->rows);
    for (int64_t r = 0; r < m->rows; r++) present[r] = m->offsets[r + 1] > m->offsets[r];
    sparse.vocabulary = m->writer->vocabulary;
    sparse.temperature = m->writer->temperature;
    sparse.offsets = &offsets;
    sparse.ids = &ids;
    sparse.values = &values;
    KD_TRY(kd_targets_begin(m->writer->selected, m->rows));
    return kd_targets_set_sparse(m->writer->selected, m->field, &sparse, &there);
}

static kd_status commit(import *m, uint64_t key[2], int64_t first)
{
    uint8_t *present = NULL;
    if (!m->rows || !m->entries) return KD_OK;
    KD_FAIL_IF(m->writer->temperature_count, KD_ERR_UNSUPPORTED, "servers do not tell tails at further temperatures: make the store without them");
    m->offsets[m->rows] = m->entries;
    KD_TRY(kd__allocate(m->context, (void **)&present, m->rows, 1));
    kd_status status = set_rows(m, present);
    kd__release(m->context, present);
    if (status == KD_OK) status = kd_store_writer_begin(m->writer, key[0], key[1], 0, first, m->rows);
    if (status == KD_OK) status = kd_store_writer_put_sparse(m->writer, m->field, m->writer->selected, m->field, 0);
    if (status == KD_OK) status = kd_store_writer_commit(m->writer);
    if (status != KD_OK) return status;
    m->counts.records++;
    m->counts.positions += m->rows;
    m->counts.entries += m->entries;
    return KD_OK;
}

static kd_status key_of_tokens(import *m, uint64_t key[2])
{
    const kd_array tokens = KD_ARRAY_1D(m->tokens, KD_INT64, m->token_count);
    return kd_store_key(m->context, &tokens, &key[0], &key[1]);
}

/* ---- JSON lines ---- */

static kd_status bad(const char *what) { return kd__fail(KD_ERR_FORMAT, "%s", what); }

static kd_status get_log(const kd__json *node, double *log_p)
{
    const kd__json *x = node->type == KD__JSON_OBJECT ? kd__json_member(node, "logprob") : node;
    if (x && x->type == KD__JSON_NULL) *log_p = -INFINITY;
    else if (x && x->type == KD__JSON_NUMBER) *log_p = x->number;
    else return bad("an entry without \"logprob\"");
    return KD_OK;
}

/* The id of { "token": text, "bytes": [..] }; -1: not in the table. */
static kd_status get_id(import *m, const kd__json *node, int64_t *id)
{
    const kd__json *token = kd__json_member(node, "token"), *bytes = kd__json_member(node, "bytes");
    char room[4096];
    if (bytes && bytes->type == KD__JSON_ARRAY && bytes->children && bytes->children < (int32_t)sizeof room) {
        int64_t n = 0, value;
        for (const kd__json *b = bytes->first; b; b = b->next) {
            KD_TRY(kd__json_integer(b, 0, 255, &value, "a byte"));
            room[n++] = (char)value;
        }
        *id = id_of(m, room, n);
        return KD_OK;
    }
    if (!token || token->type != KD__JSON_STRING) return bad("an entry without \"token\"");
    *id = id_of(m, token->text, token->length);
    return KD_OK;
}

static kd_status read_prompt(import *m, const kd__json *line)
{
    const kd__json *ids = kd__json_member(line, "prompt_token_ids");
    int64_t id;
    if (!ids || ids->type == KD__JSON_NULL) return KD_OK;
    if (ids->type != KD__JSON_ARRAY) return bad("\"prompt_token_ids\" is not a list");
    for (const kd__json *n = ids->first; n; n = n->next) {
        KD_TRY(kd__json_integer(n, 0, UINT32_MAX, &id, "a prompt's token"));
        KD_TRY(add_token(m, id));
    }
    return KD_OK;
}

static kd_status read_content(import *m, const kd__json *content)
{
    double log_p;
    int64_t id;
    for (const kd__json *n = content->first; n; n = n->next) {
        if (n->type != KD__JSON_OBJECT) return bad("an entry of \"content\" is not an object");
        const kd__json *top = kd__json_member(n, "top_logprobs");
        KD_TRY(begin_row(m));
        for (const kd__json *t = top && top->type == KD__JSON_ARRAY ? top->first : NULL; t; t = t->next) {
            if (t->type != KD__JSON_OBJECT) return bad("an entry of \"top_logprobs\" is not an object");
            KD_TRY(get_id(m, t, &id));
            KD_TRY(get_log(t, &log_p));
            if (id >= 0) KD_TRY(add_entry(m, id, log_p));
        }
        KD_TRY(get_id(m, n, &id));
        KD_TRY(get_log(n, &log_p));
        if (id >= 0) KD_TRY(add_entry(m, id, log_p));
        KD_TRY(add_token(m, id < 0 ? UINT32_MAX : id));
    }
    return KD_OK;
}

static kd_status read_openai(import *m, const kd__json *line)
{
    const kd__json *choices = kd__json_member(line, "choices");
    if (!choices || choices->type != KD__JSON_ARRAY) return bad("no list of \"choices\"");
    for (const kd__json *c = choices->first; c; c = c->next) {
        const kd__json *logs = c->type == KD__JSON_OBJECT ? kd__json_member(c, "logprobs") : NULL;
        const kd__json *content = logs && logs->type == KD__JSON_OBJECT ? kd__json_member(logs, "content") : NULL;
        uint64_t key[2];
        if (!content || content->type != KD__JSON_ARRAY) return bad("a choice without logprobs.content (was the server asked for logprobs?)");
        begin_record(m);
        KD_TRY(read_prompt(m, line));
        const int64_t prompt = m->token_count;
        KD_TRY(read_content(m, content));
        KD_TRY(key_of_tokens(m, key));
        KD_TRY(commit(m, key, m->writer->align == KD_ALIGN_NEXT && prompt ? prompt - 1 : prompt));
    }
    return KD_OK;
}

static kd_status read_vllm(import *m, const kd__json *line)
{
    const kd__json *logs = kd__json_member(line, "prompt_logprobs");
    uint64_t key[2];
    double log_p;
    if (!logs || logs->type != KD__JSON_ARRAY) return bad("no list \"prompt_logprobs\"");
    begin_record(m);
    KD_TRY(read_prompt(m, line));
    if (m->token_count != logs->children) return bad("\"prompt_token_ids\" must be as many as \"prompt_logprobs\"");
    for (const kd__json *n = logs->first ? logs->first->next : NULL; n; n = n->next) { /* the first is null: nothing predicts it */
        KD_TRY(begin_row(m));
        if (n->type == KD__JSON_NULL) continue;
        if (n->type != KD__JSON_OBJECT) return bad("an entry of \"prompt_logprobs\" is neither null nor an object");
        for (const kd__json *e = n->first; e; e = e->next) {
            char *end;
            const long long id = strtoll(e->key, &end, 10);
            if (!*e->key || *end || id < 0 || id > UINT32_MAX) return bad("an entry of \"prompt_logprobs\" is not keyed by a token id");
            KD_TRY(get_log(e, &log_p));
            KD_TRY(add_entry(m, id, log_p));
        }
    }
    KD_TRY(key_of_tokens(m, key));
    return commit(m, key, m->writer->align == KD_ALIGN_NEXT ? 0 : 1);
}

static kd_status read_line(import *m, int32_t format, const char *line, int64_t size)
{
    kd__json_document document;
    KD_TRY(kd__json_parse(&document, m->context, line, (size_t)size, "JSON"));
    kd_status status = document.root->type != KD__JSON_OBJECT ? bad("not an object")
                       : format == KD_IMPORT_OPENAI           ? read_openai(m, document.root)
                                                              : read_vllm(m, document.root);
    kd__json_free(&document);
    return status;
}

static kd_status check_share(const import *m)
{
    KD_FAIL_IF(m->counts.unmapped > m->o.most_unmapped * (double)m->strings_seen, KD_ERR_MISMATCH,
               "%lld of %lld token strings are not in the table (allowed: %g): is it the right tokenizer's?", (long long)m->counts.unmapped,
               (long long)m->strings_seen, m->o.most_unmapped);
    return KD_OK;
}

static kd_status finish_line(import *m, int32_t format, const kd__text *line)
{
    int64_t blank = 0;
    m->counts.lines++;
    while (blank < line->size && strchr(" \t\r\n", line->bytes[blank])) blank++;
    if (blank == line->size) return KD_OK;
    kd_status status = read_line(m, format, line->bytes, line->size);
    if (status == KD_OK && m->strings_seen >= 200) status = check_share(m); /* a wrong table is told before much is written */
    if (status == KD_OK) return KD_OK;
    char message[400];
    strncpy(message, kd_last_error(), sizeof message - 1);
    message[sizeof message - 1] = 0;
    return kd__fail(status, "%s: line %lld: %s", m->path, (long long)m->counts.lines, message);
}

static kd_status read_lines(import *m, int32_t format, kd__input *input)
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
        if (status == KD_OK) status = kd__progress(m->context, "import", read, total < 0 ? 0 : total);
    } while (status == KD_OK && got == PIECE);
    if (status == KD_OK && line.size) status = finish_line(m, format, &line);
    kd__text_free(&line);
    kd__release(m->context, piece);
    return status;
}

/* ---- flat files ---- */

static kd_status read_flat(import *m, kd__input *input)
{
    const int64_t k = m->o.k, row = 6 * k, total = kd__input_left(input);
    uint8_t *bytes = NULL;
    int64_t got = 0;
    KD_FAIL_IF(k < 1 || k > 1 << 20 || m->o.positions < 1, KD_ERR_RANGE, "flat file: k %lld, positions %lld", (long long)k,
               (long long)m->o.positions);
    KD_TRY(kd__allocate(m->context, (void **)&bytes, row, 1));
    kd_status status = KD_OK;
    begin_record(m);
    while (status == KD_OK && (status = kd__input_read_some(input, bytes, row, &got)) == KD_OK && got == row) {
        status = begin_row(m);
        for (int64_t i = 0; i < k && status == KD_OK; i++) {
            float log_p;
            const uint16_t half = (uint16_t)(bytes[4 * k + 2 * i] | bytes[4 * k + 2 * i + 1] << 8);
            kd__convert_float32(&log_p, &half, KD_FLOAT16, 1, 1, 0);
            status = add_entry(m, kd__get32(bytes + 4 * i), log_p);
        }
        if (status != KD_OK || m->rows < m->o.positions) continue;
        uint8_t number[8];
        uint64_t key[2];
        kd__put64(number, (uint64_t)m->counts.records);
        kd__hash128(number, 8, key);
        status = commit(m, key, 0);
        begin_record(m);
        if (status == KD_OK) status = kd__progress(m->context, "import", m->counts.positions * row, total < 0 ? 0 : total);
    }
    kd__release(m->context, bytes);
    KD_TRY(status);
    KD_FAIL_IF(got || m->rows, KD_ERR_FORMAT, "%s: ends in the middle of record %lld of %lld positions, k = %lld", m->path,
               (long long)m->counts.records, (long long)m->o.positions, (long long)k);
    return KD_OK;
}

/* ---- all of it ---- */

static kd_status find_field(import *m)
{
    const kd_store_writer *w = m->writer;
    for (int32_t i = 0; i < w->field_count; i++)
        if (w->fields[i].kind == KD_STORE_TOPK && (!m->o.field || !strcmp(m->o.field, w->fields[i].name))) {
            m->field = w->fields[i].name;
            return KD_OK;
        }
    return kd__fail(KD_ERR_NOT_FOUND, "import: the store has no top-k field '%.60s'", m->o.field ? m->o.field : "");
}

static kd_status run(import *m, int32_t format)
{
    kd__input *input;
    KD_TRY(find_field(m));
    KD_TRY(read_table(m));
    KD_TRY(kd__input_open(&input, m->context, m->path));
    kd_status status = format == KD_IMPORT_FLAT ? read_flat(m, input) : read_lines(m, format, input);
    kd__input_close(input);
    KD_TRY(status);
    return check_share(m);
}

kd_status kd_store_import(kd_store_writer *writer, int32_t format, const char *path, const kd_import_options *options, kd_import_counts *counts)
{
import m = {.counts = {.struct_size = sizeof m.counts }, .o = defaults };
    KD_NEED(writer);
    KD_FAIL_IF(format < KD_IMPORT_OPENAI || format > KD_IMPORT_FLAT, KD_ERR_RANGE, "import format %d", format);
    KD_FAIL_IF(!path || !*path, KD_ERR_INVALID, "the path is empty");
    KD_TRY(kd__options_read(&m.o, sizeof m.o, options, "kd_import_options"));
    m.context = m.strings.context = writer->object.context;
    m.writer = writer;
    m.path = path;
    kd_status status = run(&m, format);
    void *blocks[] = { m.places, m.offsets, m.ids, m.values, m.tokens };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(m.context, blocks[i]);
    kd__text_free(&m.strings);
    writer->open = 0;
    if (counts) {
        kd_status told = kd__info_write(counts, &m.counts, sizeof m.counts, "kd_import_counts");
        if (status == KD_OK) status = told;
    }
    return status;
}
