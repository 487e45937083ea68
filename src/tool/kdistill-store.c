/* kdistill-store - look at, check, join, convert and fill teacher stores. See docs/kdistill-store.1. */
#include <kdistill.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "store/store.h"

static const char usage[] = "usage: kdistill-store info STORE...\n"
                            "       kdistill-store stats STORE...\n"
                            "       kdistill-store show [--tokens TABLE] [--positions N] STORE RECORD\n"
                            "       kdistill-store verify STORE...\n"
                            "       kdistill-store merge OUT STORE...\n"
                            "       kdistill-store convert npy|safetensors|jsonl OUT STORE...\n"
                            "       kdistill-store import openai|vllm|flat [options] OUT FILE...\n"
                            "import: --vocabulary N [--k 64] [--temperature 1] [--align next|same] [--tokens TABLE] [--byte-level]\n"
                            "        [--tokenizer HASH] [--teacher NAME] [--positions N] [--most-unmapped 0.01] [--append]\n";

typedef struct {
    const char *tokens, *tokenizer, *teacher;
    int64_t positions, vocabulary, k;
    double temperature, most_unmapped;
    int32_t align, byte_level, append;
} settings;

static int fail(void)
{
    fprintf(stderr, "kdistill-store: %s\n", kd_last_error());
    return 1;
}

#define DO(call)                                                                                                                                     \
    do {                                                                                                                                             \
        if ((call) != KD_OK) return fail();                                                                                                          \
    } while (0)

/* A bar on the terminal while something long goes on. */
static int32_t progress(void *user, const char *stage, int64_t done, int64_t total)
{
    int *shown = user;
    const int width = 40, part = total > 0 ? (int)(done * width / total) : 0;
    if (!isatty(2) || total <= 0 || part == *shown) return 0;
    *shown = part;
    fprintf(stderr, "\r%-8s [%.*s%*s] %3d %%", stage, part, "########################################", width - part, "", (int)(done * 100 / total));
    return 0;
}

static void end_progress(const int *shown)
{
    if (*shown >= 0) fprintf(stderr, "\r%60s\r", "");
}

/* ---- info, stats, verify ---- */

static int info(kd_store *store)
{
    kd_store_info i = { .struct_size = sizeof i };
    const char *header;
    DO(kd_store_get_info(store, &i));
    DO(kd_store_header(store, &header));
    printf("shards %d, records %lld (%lld replaced), positions %lld, bytes %lld\n", i.shards, (long long)i.records, (long long)i.replaced,
           (long long)i.positions, (long long)i.bytes);
    if (i.torn_bytes || i.damaged)
        printf("passed over: %lld bytes of a torn tail, %lld damaged stretches\n", (long long)i.torn_bytes, (long long)i.damaged);
    const char *tokens = strstr(header, ",\n  \"tokens\": [");
    if (tokens) printf("%.*s,\n  \"tokens\": (kept)\n}\n", (int)(tokens - header), header);
    else printf("%s", header);
    return 0;
}

typedef struct {
    int64_t rows, entries, bytes, histogram[12];
    double mass, entropy;
} field_stats;

/* Entropy of a sparse row: of its ids, and of the tail as one class. */
static void add_sparse(field_stats *s, const kd__sparse *x)
{
    for (int64_t r = 0; r < x->rows; r++) {
        const int64_t k = x->offsets[r + 1] - x->offsets[r];
        double mass = 0, entropy = 0;
        int bin = 0;
        if (x->present && !x->present[r]) continue;
        for (int64_t i = x->offsets[r]; i < x->offsets[r + 1] && x->kind == KD_SPARSE_TOPK; i++) {
            mass += exp((double)x->values[i]);
            entropy -= exp((double)x->values[i]) * (double)x->values[i];
        }
        if (x->kind == KD_SPARSE_TOPK && x->tail[r] > -INFINITY) entropy -= exp((double)x->tail[r]) * (double)x->tail[r];
        if (x->kind == KD_SPARSE_COUNTS && x->has_entropy) entropy = x->entropy[r];
        while (bin < 11 && (1LL << bin) < k) bin++;
        s->histogram[bin]++;
        s->rows++;
        s->entries += k;
        s->mass += mass;
        s->entropy += entropy;
    }
}

static void print_stats(const kd__store_field *f, const field_stats *s, int64_t positions)
{
    printf("%-16s %12lld bytes, %.2f a position", f->name, (long long)s->bytes, positions ? (double)s->bytes / (double)positions : 0);
    if (f->kind != KD_STORE_TOPK && f->kind != KD_STORE_COUNTS) {
        printf("\n");
        return;
    }
    const double rows = s->rows ? (double)s->rows : 1;
    printf(", %.2f an entry; entries a position %.1f, entropy %.3f nat%s", s->entries ? (double)s->bytes / (double)s->entries : 0,
           (double)s->entries / rows, s->entropy / rows, f->kind == KD_STORE_TOPK ? " (tail as one class)" : "");
    if (f->kind == KD_STORE_TOPK) printf(", captured mass %.4f", s->mass / rows);
    printf("\n%-16s", "  k");
    for (int b = 0; b < 12; b++)
        if (s->histogram[b]) printf(" %s%d: %lld", b == 11 ? ">" : "<=", b == 11 ? 1024 : 1 << b, (long long)s->histogram[b]);
    printf("\n");
}

static int stats(kd_context *context, kd_store *store)
{
    kd_store_info i = { .struct_size = sizeof i };
    field_stats all[KD__MAX_FIELDS] = { 0 };
    kd_targets *targets;
    const kd__store_header *h = &store->shards[0].header;
    DO(kd_store_get_info(store, &i));
    DO(kd_targets_create(&targets, context, NULL));
    for (int64_t r = 0; r < i.records; r++) {
        DO(kd_store_read(store, r, targets));
        for (int32_t f = 0; f < h->field_count; f++) {
            int64_t bytes;
            if (kd_store_part_bytes(store, r, h->fields[f].name, &bytes) == KD_OK) all[f].bytes += bytes;
            const kd__sparse *s = kd__sparse_find(targets, h->fields[f].name);
            if (s) add_sparse(&all[f], s);
        }
        DO(kd__progress(context, "stats", r, i.records));
    }
    printf("records %lld, positions %lld, bytes %lld (%.2f a position, headers and index included)\n", (long long)i.records, (long long)i.positions,
           (long long)i.bytes, i.positions ? (double)i.bytes / (double)i.positions : 0);
    for (int32_t f = 0; f < h->field_count; f++) print_stats(&h->fields[f], &all[f], i.positions);
    kd_targets_free(targets);
    return 0;
}

static int verify(kd_store *store)
{
    int64_t bad;
    kd_store_info i = { .struct_size = sizeof i };
    DO(kd_store_verify(store, &bad));
    DO(kd_store_get_info(store, &i));
    printf("%lld records are whole\n", (long long)i.records);
    return 0;
}

/* ---- show ---- */

typedef struct {
    kd__json_document document;
    const kd__json **by_id; /* NULL: no string */
    int64_t count;
} names;

static int read_names(kd_context *context, names *n, const kd_store *store, const char *path)
{
    const kd__store_header *h = &store->shards[0].header;
    char *text = NULL;
    int64_t size = 0, id;
    memset(n, 0, sizeof *n);
    if (!path && !h->token_count) return 0;
    n->count = h->vocabulary;
    if (!(n->by_id = calloc((size_t)n->count + 1, sizeof *n->by_id))) return 1;
    if (path) {
        DO(kd__file_read(context, path, 1LL << 30, &text, &size));
        DO(kd__json_parse(&n->document, context, text, (size_t)size, path));
        kd__release(context, text);
        for (const kd__json *t = n->document.root->first; t; t = t->next)
            if (kd__json_integer(t, 0, n->count - 1, &id, "id") == KD_OK) n->by_id[id] = t;
        return 0;
    }
    DO(kd__json_parse(&n->document, context, h->json, (size_t)h->json_size, "header"));
    id = 0;
    for (const kd__json *t = kd__json_member(n->document.root, "tokens")->first; t; t = t->next) n->by_id[id++] = t;
    return 0;
}

static void print_id(const names *n, uint32_t id)
{
    const kd__json *t = id < n->count && n->by_id ? n->by_id[id] : NULL;
    printf(" %u", id);
    if (t) printf(" '%s'", t->key ? t->key : t->text);
}

static void show_row(const names *n, const kd__sparse *s, int64_t row)
{
    if (s->present && !s->present[row]) {
        printf("  absent\n");
        return;
    }
    float last = INFINITY;
    int64_t last_i = -1;
    for (int shown = 0; shown < 5; shown++) { /* the five largest */
        int64_t best = -1;
        for (int64_t i = s->offsets[row]; i < s->offsets[row + 1]; i++) {
            if (s->values[i] > last || (s->values[i] == last && i <= last_i)) continue;
            if (best < 0 || s->values[i] > s->values[best]) best = i;
        }
        if (best < 0) break;
        last = s->values[best];
        last_i = best;
        printf("%s", shown ? "," : " ");
        print_id(n, s->ids[best]);
        printf(s->kind == KD_SPARSE_TOPK ? " %.3f" : " x%.0f", (double)last);
    }
    if (s->kind == KD_SPARSE_TOPK) printf("; outside %.3f", exp((double)s->tail[row]));
    printf("\n");
}

static int show(kd_context *context, kd_store *store, int64_t record, const settings *o)
{
    const kd__store_header *h = &store->shards[0].header;
    kd_store_record r = { .struct_size = sizeof r };
    kd_targets *targets;
    names n;
    if (read_names(context, &n, store, o->tokens)) return 1;
    DO(kd_store_get_record(store, record, &r));
    DO(kd_targets_create(&targets, context, NULL));
    DO(kd_store_read(store, record, targets));
    printf("record %lld: key %016llx%016llx, view %lld, positions %lld to %lld, %lld bytes, shard %d\n", (long long)record,
           (unsigned long long)r.key[0], (unsigned long long)r.key[1], (long long)r.view, (long long)r.first, (long long)(r.first + r.positions - 1),
           (long long)r.bytes, r.shard);
    for (int32_t f = 0; f < h->field_count; f++) {
        const char *text;
        int64_t size;
        double score;
        uint64_t seed;
        const char *name = h->fields[f].name;
        const kd__sparse *s = kd__sparse_find(targets, name);
        if (h->fields[f].kind == KD_STORE_TEXT && kd_store_text(store, record, name, &text, &size) == KD_OK)
            printf("%s: %.*s\n", name, (int)(size > 4000 ? 4000 : size), text);
        if (h->fields[f].kind == KD_STORE_SCORE && kd_store_number(store, record, name, &score, NULL) == KD_OK) printf("%s: %g\n", name, score);
        if (h->fields[f].kind == KD_STORE_SEED && kd_store_number(store, record, name, NULL, &seed) == KD_OK)
            printf("%s: %llu\n", name, (unsigned long long)seed);
        for (int64_t i = 0; s && i < s->rows && i < o->positions; i++) {
            printf("%s %lld:", name, (long long)(r.first + i));
            show_row(&n, s, i);
        }
    }
    kd_targets_free(targets);
    if (n.by_id) kd__json_free(&n.document);
    free(n.by_id);
    return 0;
}

/* ---- convert ---- */

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

static column *column_of(table *t, const char *field, const char *part, const char *numpy, const char *tensor, int64_t width)
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
            good &= put(column_of(t, name, s->kind == KD_SPARSE_TOPK ? "log_probabilities" : "counts", "<f4", "F32", 0), s->values, s->entries, 4);
            if (s->kind == KD_SPARSE_TOPK) good &= put(column_of(t, name, "log_tail", "<f4", "F32", 0), s->tail, s->rows, 4);
        } else if (kd_targets_field(targets, name, &values, &present) == KD_OK) {
            const int labels = values.dtype == KD_INT64;
            good &= put(column_of(t, name, "", labels ? "<i8" : "<f4", labels ? "I64" : "F32", labels ? 0 : values.dims[1]), values.data,
                        values.dims[0], labels ? 8 : 4);
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
    if (c->width) snprintf(to, 64, "%s%lld, %lld%s", open, (long long)c->rows, (long long)c->width, close);
    else snprintf(to, 64, "%s%lld%s%s", open, (long long)c->rows, *open == '(' ? "," : "", close);
}

static int write_npy(table *t, const char *folder)
{
    mkdir(folder, 0777);
    for (int i = 0; i < t->count; i++) {
        column *c = &t->columns[i];
        char path[4096], shape[64], head[256];
        shape_of(c, shape, "(", ")");
        int n = snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", c->numpy, shape);
        const int padded = (10 + n + 1 + 63) / 64 * 64 - 10;
        snprintf(path, sizeof path, "%s/%s.npy", folder, c->name);
        FILE *file = fopen(path, "wb");
        if (!file) return 0;
        const unsigned char magic[10] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)padded, (unsigned char)(padded >> 8) };
        int good = fwrite(magic, 1, 10, file) == 10 && fprintf(file, "%s%*s\n", head, padded - 1 - n, "") == padded && copy_data(c, file);
        if (fclose(file) != 0 || !good) return 0;
    }
    return 1;
}

static int write_safetensors(table *t, const char *path)
{
    char *head = calloc((size_t)t->count + 1, 400), shape[64];
    int64_t at = 0, n = 0;
    FILE *file = fopen(path, "wb");
    if (!file || !head) return 0;
    n += sprintf(head, "{");
    for (int i = 0; i < t->count; i++) {
        const column *c = &t->columns[i];
        shape_of(c, shape, "[", "]");
        n += sprintf(head + n, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%lld,%lld]}", i ? "," : "", c->name, c->tensor, shape,
                     (long long)at, (long long)(at + c->bytes));
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
        fprintf(to, "%s\"%u\": %.6g", i > s->offsets[row] ? ", " : "", s->ids[i], (double)s->values[i]);
    if (s->kind == KD_SPARSE_TOPK && s->tail[row] > -INFINITY)
        fprintf(to, "%s\"outside\": %.6g", s->offsets[row + 1] > s->offsets[row] ? ", " : "", (double)s->tail[row]);
    fprintf(to, "}");
}

static int json_line(FILE *to, kd_context *context, kd_store *store, kd_targets *targets, int64_t record)
{
    const kd__store_header *h = &store->shards[0].header;
    const kd__entry *e = &store->entries[record];
    fprintf(to, "{\"key\": \"%016llx%016llx\", \"view\": %lld, \"first\": %lld, \"positions\": %lld", (unsigned long long)e->key[0],
            (unsigned long long)e->key[1], (long long)e->view, (long long)e->first, (long long)e->positions);
    for (int32_t f = 0; f < h->field_count; f++) {
        const char *name = h->fields[f].name, *bytes;
        const kd__sparse *s = kd__sparse_find(targets, name);
        kd_array values, present;
        int64_t size;
        double score;
        uint64_t seed;
        if (s) {
            fprintf(to, ", \"%s\": [", name);
            for (int64_t r = 0; r < s->rows; r++) {
                if (r) fprintf(to, ", ");
                json_row(to, s, r);
            }
            fprintf(to, "]");
        } else if (h->fields[f].kind == KD_STORE_TEXT && kd_store_text(store, record, name, &bytes, &size) == KD_OK) {
            kd__text text = { .context = context }, copy = { .context = context };
            if (kd__text_append(&copy, bytes, (size_t)size) == KD_OK && kd__text_quoted(&text, copy.bytes) == KD_OK)
                fprintf(to, ", \"%s\": %s", name, text.bytes);
            kd__text_free(&text);
            kd__text_free(&copy);
        } else if (h->fields[f].kind == KD_STORE_SCORE && kd_store_number(store, record, name, &score, NULL) == KD_OK)
            fprintf(to, ", \"%s\": %.17g", name, score);
        else if (h->fields[f].kind == KD_STORE_SEED && kd_store_number(store, record, name, NULL, &seed) == KD_OK)
            fprintf(to, ", \"%s\": %llu", name, (unsigned long long)seed);
        else if (h->fields[f].kind == KD_STORE_LABELS && kd_targets_field(targets, name, &values, &present) == KD_OK) {
            fprintf(to, ", \"%s\": [", name);
            for (int64_t r = 0; r < values.dims[0]; r++) fprintf(to, "%s%lld", r ? ", " : "", (long long)((const int64_t *)values.data)[r]);
            fprintf(to, "]");
        }
    }
    fprintf(to, "}\n");
    return !ferror(to);
}

static int convert(kd_context *context, kd_store *store, const char *form, const char *out)
{
    const int json = !strcmp(form, "jsonl");
    static table t;
    int64_t entries[KD__MAX_FIELDS] = { 0 };
    kd_targets *targets;
    FILE *file = json ? fopen(out, "w") : NULL;
    int good = !json || file;
    if (!json && strcmp(form, "npy") && strcmp(form, "safetensors")) {
        fprintf(stderr, "kdistill-store: convert to npy, safetensors or jsonl, not '%s'\n", form);
        return 2;
    }
    DO(kd_targets_create(&targets, context, NULL));
    for (int64_t r = 0; r < store->entry_count && good; r++) {
        DO(kd_store_read(store, r, targets));
        good = json ? json_line(file, context, store, targets, r) : gather(store, targets, r, &t, entries);
        DO(kd__progress(context, "convert", r, store->entry_count));
    }
    if (good && !json) good = strcmp(form, "npy") ? write_safetensors(&t, out) : write_npy(&t, out);
    if (file && fclose(file) != 0) good = 0;
    kd_targets_free(targets);
    if (good) return 0;
    fprintf(stderr, "kdistill-store: %s could not be written\n", out);
    return 1;
}

/* ---- import ---- */

static int import_files(kd_context *context, const char *form, const char *out, char **files, int count, const settings *o)
{
    const int32_t format = !strcmp(form, "openai") ? KD_IMPORT_OPENAI
                           : !strcmp(form, "vllm") ? KD_IMPORT_VLLM
                           : !strcmp(form, "flat") ? KD_IMPORT_FLAT
                                                   : 0;
    kd_store_options store = KD_STORE_OPTIONS_INIT;
    kd_store_field field = KD_STORE_FIELD_INIT;
    kd_import_options import = KD_IMPORT_OPTIONS_INIT;
    kd_store_writer *writer;
    if (!format || o->vocabulary < 1) {
        fprintf(stderr, "kdistill-store: import openai, vllm or flat, and --vocabulary\n");
        return 2;
    }
    store.vocabulary = o->vocabulary;
    store.temperature = o->temperature;
    store.align = o->align;
    store.tokenizer = o->tokenizer;
    store.teacher = o->teacher;
    store.append = o->append;
    field.kind = KD_STORE_TOPK;
    field.name = "topk";
    field.k = format == KD_IMPORT_FLAT ? o->k : o->k + 1; /* the chosen token may stand beside the top k */
    import.token_table = o->tokens;
    import.byte_level = o->byte_level;
    import.k = o->k;
    import.positions = o->positions;
    import.most_unmapped = o->most_unmapped;
    DO(kd_store_writer_create(&writer, context, out, &store, &field, 1));
    for (int i = 0; i < count; i++) {
        kd_import_counts c = { .struct_size = sizeof c };
        kd_status status = kd_store_import(writer, format, files[i], &import, &c);
        printf("%s: lines %lld, records %lld, positions %lld, entries %lld, unmapped %lld, absent %lld, doubled %lld\n", files[i], (long long)c.lines,
               (long long)c.records, (long long)c.positions, (long long)c.entries, (long long)c.unmapped, (long long)c.absent, (long long)c.doubled);
        if (status != KD_OK) {
            fail();
            kd_store_writer_close(writer);
            kd_store_writer_free(writer);
            return 1;
        }
    }
    DO(kd_store_writer_close(writer));
    kd_store_writer_free(writer);
    return 0;
}

/* ---- the command line ---- */

static int option(settings *o, const char *name, const char *value, int *takes)
{
    *takes = 1;
    if (!strcmp(name, "--tokens")) o->tokens = value;
    else if (!strcmp(name, "--tokenizer")) o->tokenizer = value;
    else if (!strcmp(name, "--teacher")) o->teacher = value;
    else if (!strcmp(name, "--positions")) o->positions = value ? atoll(value) : 0;
    else if (!strcmp(name, "--vocabulary")) o->vocabulary = value ? atoll(value) : 0;
    else if (!strcmp(name, "--k")) o->k = value ? atoll(value) : 0;
    else if (!strcmp(name, "--temperature")) o->temperature = value ? atof(value) : 0;
    else if (!strcmp(name, "--most-unmapped")) o->most_unmapped = value ? atof(value) : 0;
    else if (!strcmp(name, "--align") && value) o->align = !strcmp(value, "same") ? KD_ALIGN_SAME : KD_ALIGN_NEXT;
    else if (!strcmp(name, "--byte-level")) *takes = 0, o->byte_level = 1;
    else if (!strcmp(name, "--append")) *takes = 0, o->append = 1;
    else return 0;
    return !*takes || value;
}

static int run(kd_context *context, char **words, int count, const settings *o)
{
    const char *command = words[0];
    const int skip = !strcmp(command, "merge") ? 2 : !strcmp(command, "convert") ? 3 : 1, record = !strcmp(command, "show");
    if (!strcmp(command, "import") && count >= 4) return import_files(context, words[1], words[2], words + 3, count - 3, o);
    if (count - record <= skip) {
        fputs(usage, stderr);
        return 2;
    }
    kd_store *store;
    int status = 2;
    DO(kd_store_open(&store, context, (const char *const *)words + skip, count - skip - record, NULL));
    if (!strcmp(command, "info")) status = info(store);
    else if (!strcmp(command, "stats")) status = stats(context, store);
    else if (!strcmp(command, "verify")) status = verify(store);
    else if (!strcmp(command, "merge")) status = kd_store_compact(store, words[1]) == KD_OK ? 0 : fail();
    else if (!strcmp(command, "convert")) status = convert(context, store, words[1], words[2]);
    else if (record) status = show(context, store, atoll(words[count - 1]), o);
    else fputs(usage, stderr);
    kd_store_free(store);
    return status;
}

int main(int count, char **arguments)
{
    settings o = { .positions = 0, .k = 64, .temperature = 1, .most_unmapped = 0.01, .align = KD_ALIGN_NEXT };
    char *words[4096];
    int n = 0, takes, shown = -1;
    kd_context *context;
    kd_progress bar = { .struct_size = sizeof bar, .user = &shown, .progress = progress };
    kd_context_options options = KD_CONTEXT_OPTIONS_INIT;
    for (int i = 1; i < count && n < 4096; i++) {
        if (strncmp(arguments[i], "--", 2)) words[n++] = arguments[i];
        else if (option(&o, arguments[i], i + 1 < count ? arguments[i + 1] : NULL, &takes)) i += takes;
        else n = 4096; /* unknown: the usage */
    }
    if (!n || n == 4096) {
        fputs(usage, stderr);
        return 2;
    }
    if (!o.positions) o.positions = !strcmp(words[0], "show") ? 16 : 1;
    options.progress = &bar;
    DO(kd_context_create(&context, &options));
    const int status = run(context, words, n, &o);
    end_progress(&shown);
    kd_context_free(context);
    return status;
}
