/* Records of a store for other programs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/context.h"
#include "base/log.h"
#include "base/numbers.h"
#include "base/os.h"
#include "tool/store_tool.h"

/* A growing array in a file of its own, so that nothing large is held. */
typedef struct {
    char name[160];
    const char *numpy, *tensor;
    int64_t rows, width, bytes; /* width 0: one axis */
    FILE *data;
} column;

typedef struct {
    column columns[8 * KD__MAX_FIELDS];
    int count;
} table;

static column *column_of(table *t, const char *field, const char *part, const char *numpy,
                         const char *tensor, int64_t width)
{
    char name[160];
    snprintf(name, sizeof name, "%s%s%s", field, *part ? "." : "", part);
    for (int i = 0; i < t->count; i++)
        if (!strcmp(t->columns[i].name, name)) return &t->columns[i];
    column *c = &t->columns[t->count++];
    *c = (column){ .numpy = numpy, .tensor = tensor, .width = width, .data = tmpfile() };
    memcpy(c->name, name, sizeof name);
    return c;
}

static int put(column *c, const void *data, int64_t rows, size_t element)
{
    const size_t bytes = (size_t)(rows * (c->width ? c->width : 1)) * element;
    c->rows += rows;
    c->bytes += (int64_t)bytes;
    return c->data && fwrite(data, 1, bytes, c->data) == bytes;
}

static int gather(kd_store *store, kd_targets *targets, int64_t record, table *t, int64_t *entries)
{
    const kd__store_header *h = &store->shards[0].header;
    const kd__entry *e = &store->entries[record];
    const int64_t position[4] = { e->view, e->first, e->positions, 0 };
    int good = put(column_of(t, "records", "keys", "<u8", "U64", 2), e->key, 1, 8);
    good &= put(column_of(t, "records", "view_first_positions", "<i8", "I64", 3), position, 1, 8);
    for (int32_t f = 0; f < h->field_count && good; f++) {
        const char *name = h->fields[f].name;
        const kd__sparse *s = kd__sparse_find(targets, name);
        kd_array values, present;
        if (s) {
            for (int64_t r = 0; r < s->rows && good; r++) {
                const int64_t end = entries[f] + s->offsets[r + 1];
                good &= put(column_of(t, name, "ends", "<i8", "I64", 0), &end, 1, 8);
            }
            entries[f] += s->entries;
            good &= put(column_of(t, name, "ids", "<u4", "U32", 0), s->ids, s->entries, 4);
            good &=
                put(column_of(t, name, s->kind == KD_SPARSE_TOPK ? "log_probabilities" : "counts",
                              "<f4", "F32", 0),
                    s->values, s->entries, 4);
            if (s->kind == KD_SPARSE_TOPK)
                good &= put(column_of(t, name, "log_tail", "<f4", "F32", 0), s->tail, s->rows, 4);
        } else if (kd_targets_field(targets, name, &values, &present) == KD_OK) {
            const int labels = values.dtype == KD_INT64;
            good &= put(column_of(t, name, "", labels ? "<i8" : "<f4", labels ? "I64" : "F32",
                                  labels ? 0 : values.dims[1]),
                        values.data, values.dims[0], labels ? 8 : 4);
        }
    }
    return good;
}

static int copy_data(column *c, FILE *to)
{
    char piece[1 << 16];
    rewind(c->data);
    for (size_t n; (n = fread(piece, 1, sizeof piece, c->data)) > 0;)
        if (fwrite(piece, 1, n, to) != n) return 0;
    return !ferror(c->data);
}

static void shape_of(const column *c, char to[64], const char *open, const char *close)
{
    if (c->width)
        snprintf(to, 64, "%s%lld, %lld%s", open, (long long)c->rows, (long long)c->width, close);
    else snprintf(to, 64, "%s%lld%s%s", open, (long long)c->rows, *open == '(' ? "," : "", close);
}

static int write_npy(table *t, const char *folder)
{
    kd__os_make_folder(folder);
    for (int i = 0; i < t->count; i++) {
        column *c = &t->columns[i];
        char path[4096], shape[64], head[256];
        shape_of(c, shape, "(", ")");
        int n = snprintf(head, sizeof head,
                         "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", c->numpy, shape);
        const int padded = kd__round_up(10 + n + 1, 64) - 10;
        snprintf(path, sizeof path, "%s/%s.npy", folder, c->name);
        FILE *file = kd__os_file(path, "wb");
        if (!file) return 0;
        const unsigned char magic[10] = {
            0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)padded, (unsigned char)(padded >> 8)
        };
        int good = fwrite(magic, 1, 10, file) == 10 &&
                   fprintf(file, "%s%*s\n", head, padded - 1 - n, "") == padded &&
                   copy_data(c, file);
        if (fclose(file) != 0 || !good) return 0;
    }
    return 1;
}

static int write_safetensors(table *t, const char *path)
{
    char *head = calloc((size_t)t->count + 1, 400), shape[64];
    int64_t at = 0, n = 0;
    FILE *file = kd__os_file(path, "wb");
    if (!file || !head) return 0;
    n += sprintf(head, "{");
    for (int i = 0; i < t->count; i++) {
        const column *c = &t->columns[i];
        shape_of(c, shape, "[", "]");
        n += sprintf(
            head + n, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%lld,%lld]}",
            i ? "," : "", c->name, c->tensor, shape, (long long)at, (long long)(at + c->bytes));
        at += c->bytes;
    }
    n += sprintf(head + n, "}");
    while (n % 8) head[n++] = ' ';
    uint8_t size[8];
    kd__put64(size, (uint64_t)n);
    int good = fwrite(size, 1, 8, file) == 8 && fwrite(head, 1, (size_t)n, file) == (size_t)n;
    for (int i = 0; i < t->count && good; i++) good = copy_data(&t->columns[i], file);
    free(head);
    return fclose(file) == 0 && good;
}

static void json_row(FILE *to, const kd__sparse *s, int64_t row)
{
    if (s->present && !s->present[row]) {
        fprintf(to, "null");
        return;
    }
    fprintf(to, "{");
    for (int64_t i = s->offsets[row]; i < s->offsets[row + 1]; i++)
        fprintf(to, "%s\"%u\": %.6g", i > s->offsets[row] ? ", " : "", s->ids[i],
                (double)s->values[i]);
    if (s->kind == KD_SPARSE_TOPK && s->tail[row] > -INFINITY)
        fprintf(to, "%s\"outside\": %.6g", s->offsets[row + 1] > s->offsets[row] ? ", " : "",
                (double)s->tail[row]);
    fprintf(to, "}");
}

static void json_rows(FILE *to, const kd__sparse *s, const char *name)
{
    fprintf(to, ", \"%s\": [", name);
    for (int64_t r = 0; r < s->rows; r++) {
        if (r) fprintf(to, ", ");
        json_row(to, s, r);
    }
    fprintf(to, "]");
}

static void json_labels(FILE *to, const kd_array *labels, const char *name)
{
    const int64_t *values = labels->data;
    fprintf(to, ", \"%s\": [", name);
    for (int64_t r = 0; r < labels->dims[0]; r++)
        fprintf(to, "%s%lld", r ? ", " : "", (long long)values[r]);
    fprintf(to, "]");
}

static void json_vector(FILE *to, const kd_targets *targets, const char *name)
{
    const kd__field *f = kd__fields_find(&targets->fields, name);
    if (!f || (f->present && !f->present[0])) return;
    fprintf(to, ", \"%s\": [", name);
    for (int64_t i = 0; i < kd__array_row(&f->values); i++) {
        const float x = ((const float *)f->values.data)[i];
        fprintf(to, isfinite(x) ? "%s%.9g" : "%snull", i ? ", " : "", (double)x);
    }
    fprintf(to, "]");
}

static void json_text(FILE *to, kd_context *context, const char *name, const char *bytes,
                      int64_t size)
{
    kd__text text = { .context = context };
    if (kd__text_quoted_bytes(&text, bytes, size) == KD_OK)
        fprintf(to, ", \"%s\": %s", name, text.bytes);
    kd__text_free(&text);
}

/* A field that is not sparse; nothing for one that the record does not have. */
static void json_value(FILE *to, kd_store *store, kd_targets *targets, int64_t record,
                       const kd__store_field *field)
{
    const char *name = field->name, *bytes;
    kd_array values, present;
    int64_t size;
    double score;
    uint64_t seed;
    if (field->kind == KD_STORE_TEXT && kd_store_text(store, record, name, &bytes, &size) == KD_OK)
        json_text(to, store->object.context, name, bytes, size);
    if (field->kind == KD_STORE_SCORE &&
        kd_store_number(store, record, name, &score, NULL) == KD_OK)
        fprintf(to, isfinite(score) ? ", \"%s\": %.17g" : ", \"%s\": null", name, score);
    if (field->kind == KD_STORE_SEED && kd_store_number(store, record, name, NULL, &seed) == KD_OK)
        fprintf(to, ", \"%s\": %llu", name, (unsigned long long)seed);
    if (field->kind == KD_STORE_LABELS &&
        kd_targets_field(targets, name, &values, &present) == KD_OK)
        json_labels(to, &values, name);
    if (field->kind == KD_STORE_EMBEDDING) json_vector(to, targets, name);
}

static int json_line(FILE *to, kd_store *store, kd_targets *targets, int64_t record)
{
    const kd__store_header *h = &store->shards[0].header;
    const kd__entry *e = &store->entries[record];
    fprintf(to,
            "{\"key\": \"%016llx%016llx\", \"view\": %lld, \"first\": %lld, \"positions\": %lld",
            (unsigned long long)e->key[0], (unsigned long long)e->key[1], (long long)e->view,
            (long long)e->first, (long long)e->positions);
    for (int32_t f = 0; f < h->field_count; f++) {
        const kd__store_field *field = &h->fields[f];
        const kd__sparse *s = kd__sparse_find(targets, field->name);
        if (s) json_rows(to, s, field->name);
        else json_value(to, store, targets, record, field);
    }
    fprintf(to, "}\n");
    return !ferror(to);
}

int convert(kd_context *context, kd_store *store, const char *form, const char *out)
{
    const int json = !strcmp(form, "jsonl");
    static table t;
    int64_t entries[KD__MAX_FIELDS] = { 0 };
    kd_targets *targets;
    FILE *file = json ? kd__os_file(out, "wb") : NULL;
    int good = !json || file;
    if (!json && strcmp(form, "npy") && strcmp(form, "safetensors")) {
        if (file) fclose(file);
        return say(EXIT_USAGE, "convert: expected npy, safetensors or jsonl, got '%s'", form);
    }
    DO(kd_targets_create(&targets, context, NULL));
    for (int64_t r = 0; r < store->entry_count && good; r++) {
        DO(kd_store_read(store, r, targets));
        good = json ? json_line(file, store, targets, r) : gather(store, targets, r, &t, entries);
        DO(kd__progress(context, "convert", r, store->entry_count));
    }
    if (good && !json) good = strcmp(form, "npy") ? write_safetensors(&t, out) : write_npy(&t, out);
    if (file && fclose(file) != 0) good = 0;
    kd_targets_free(targets);
    if (good) return 0;
    return say(EXIT_FAILED, "%s: could not be written", out);
}
