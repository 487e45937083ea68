/* What is in a store, and whether it is whole: info, stats, verify, check, show. */
#include <kdistill.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "formats/json.h"
#include "tool/bar.h"
#include "tool/store_tool.h"

/* ---- info, stats, verify ---- */

int store_info(kd_store *store)
{
    kd_store_info i = { .struct_size = sizeof i };
    const char *header;
    DO(kd_store_get_info(store, &i));
    DO(kd_store_header(store, &header));
    if (saying.json) {
        printf("{\"shards\": %d, \"records\": %lld, \"replaced\": %lld, \"positions\": %lld, "
               "\"bytes\": %lld, \"torn_bytes\": %lld, \"damaged\": %lld, \"vocabulary\": %lld, "
               "\"temperature\": %.9g}\n",
               i.shards, (long long)i.records, (long long)i.replaced, (long long)i.positions,
               (long long)i.bytes, (long long)i.torn_bytes, (long long)i.damaged,
               (long long)i.vocabulary, i.temperature);
        return 0;
    }
    printf("shards %d, records %lld (%lld replaced), positions %lld, bytes %lld\n", i.shards,
           (long long)i.records, (long long)i.replaced, (long long)i.positions, (long long)i.bytes);
    if (i.torn_bytes || i.damaged)
        printf("passed over: %lld bytes of a torn tail, %lld damaged stretches\n",
               (long long)i.torn_bytes, (long long)i.damaged);
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
        if (x->kind == KD_SPARSE_TOPK && x->tail[r] > -INFINITY)
            entropy -= exp((double)x->tail[r]) * (double)x->tail[r];
        if (x->kind == KD_SPARSE_COUNTS && x->has_entropy) entropy = x->entropy[r];
        while (bin < 11 && (1LL << bin) < k) bin++;
        s->histogram[bin]++;
        s->rows++;
        s->entries += k;
        s->mass += mass;
        s->entropy += entropy;
    }
}

static void print_stats(const kd__store_field *f, const field_stats *s, const kd_store_info *i)
{
    const int of_rows = kd__kind_is_of_rows(f->kind);
    const int64_t among = of_rows ? i->positions : i->records;
    printf("%-16s %12lld bytes, %.2f a %s", f->name, (long long)s->bytes,
           among ? (double)s->bytes / (double)among : 0, of_rows ? "position" : "record");
    if (f->kind != KD_STORE_TOPK && f->kind != KD_STORE_COUNTS) {
        printf("\n");
        return;
    }
    const double rows = s->rows ? (double)s->rows : 1;
    printf(", %.2f an entry; entries a position %.1f, entropy %.3f nat%s",
           s->entries ? (double)s->bytes / (double)s->entries : 0, (double)s->entries / rows,
           s->entropy / rows, f->kind == KD_STORE_TOPK ? " (tail as one class)" : "");
    if (f->kind == KD_STORE_TOPK) printf(", captured mass %.4f", s->mass / rows);
    printf("\n%-16s", "  k");
    for (int b = 0; b < 12; b++)
        if (s->histogram[b])
            printf(" %s%d: %lld", b == 11 ? ">" : "<=", b == 11 ? 1024 : 1 << b,
                   (long long)s->histogram[b]);
    printf("\n");
}

/* Of what samples a record is; known 0: it does not say. */
static kd_status sample_of(kd_store *store, int64_t record, kd__sample *sample)
{
    uint8_t *room = NULL;
    const uint8_t *bytes;
    kd_context *context = store->object.context;
    if (store->options.pread)
        KD_TRY(kd__allocate(context, (void **)&room, store->entries[record].size, 1));
    kd_status status = kd__store_bytes(store, record, room, &bytes);
    if (status == KD_OK) status = kd__store_sample(store, record, bytes, sample);
    sample->checks = NULL;
    kd__release(context, room);
    return status;
}

typedef struct {
    int64_t hashed, tokens, checks;
} sample_stats;

static void print_samples(const kd_store *store, const sample_stats *s, int64_t records)
{
    const kd__store_header *h = &store->shards[0].header;
    printf("tokens           checksums in %lld of %lld records: samples of %lld tokens, %lld of "
           "them checked one by one\n",
           (long long)s->hashed, (long long)records, (long long)s->tokens, (long long)s->checks);
    printf("made by          tokenizer %s, rendering %s\n",
           *h->tokenizer ? h->tokenizer : "unknown",
           *h->chat_template ? h->chat_template : "unknown");
}

int store_stats(kd_context *context, kd_store *store)
{
    kd_store_info i = { .struct_size = sizeof i };
    field_stats all[KD__MAX_FIELDS] = { 0 };
    sample_stats samples = { 0 };
    kd_targets *targets;
    const kd__store_header *h = &store->shards[0].header;
    DO(kd_store_get_info(store, &i));
    DO(kd_targets_create(&targets, context, NULL));
    for (int64_t r = 0; r < i.records; r++) {
        kd__sample sample;
        DO(kd_store_read(store, r, targets));
        DO(sample_of(store, r, &sample));
        samples.hashed += sample.hashed;
        samples.tokens += sample.tokens;
        samples.checks += sample.check_count;
        for (int32_t f = 0; f < h->field_count; f++) {
            int64_t bytes;
            if (kd_store_field_bytes(store, r, h->fields[f].name, &bytes) == KD_OK)
                all[f].bytes += bytes;
            const kd__sparse *s = kd__sparse_find(targets, h->fields[f].name);
            if (s) add_sparse(&all[f], s);
        }
        DO(kd__progress(context, "stats", r, i.records));
    }
    printf(
        "records %lld, positions %lld, bytes %lld (%.2f a position, headers and index included)\n",
        (long long)i.records, (long long)i.positions, (long long)i.bytes,
        i.positions ? (double)i.bytes / (double)i.positions : 0);
    for (int32_t f = 0; f < h->field_count; f++) print_stats(&h->fields[f], &all[f], &i);
    if (kd__header_has_rows(h)) print_samples(store, &samples, i.records);
    kd_targets_free(targets);
    return 0;
}

int store_verify(kd_store *store)
{
    int64_t bad;
    kd_store_info i = { .struct_size = sizeof i };
    DO(kd_store_verify(store, &bad));
    DO(kd_store_get_info(store, &i));
    printf("%lld records are whole\n", (long long)i.records);
    return 0;
}

/* ---- check ---- */

/* The strings of ids, where the store keeps them: *wrong counts those that are another token's
 * here, and the first is printed. */
static int compare_strings(kd_context *context, const kd_store *store, kd_tokenizer *tokenizer,
                           int64_t *wrong)
{
    const kd__store_header *h = &store->shards[0].header;
    kd__json_document document;
    int32_t id = 0;
    *wrong = 0;
    if (!h->token_count) return 0;
    DO(kd__json_parse(&document, context, h->json, (size_t)h->json_size, "header"));
    for (const kd__json *t = kd__json_member(document.root, "tokens")->first; t;
         t = t->next, id++) {
        const char *ours = NULL;
        if (kd_tokenizer_token(tokenizer, id, &ours, NULL) == KD_OK && !strcmp(ours, t->text))
            continue;
        if (!(*wrong)++)
            printf("id %d: the store's token is '%s', the tokenizer's '%s'\n", id, t->text,
                   ours ? ours : "(none)");
    }
    kd__json_free(&document);
    printf("strings of %lld ids compared: %lld differ\n", (long long)h->token_count,
           (long long)*wrong);
    return 0;
}

/* Was the store made with this tokenizer, as far as it says? 0: nothing differs. */
int store_check(kd_context *context, kd_store *store, const char *path)
{
    const kd__store_header *h = &store->shards[0].header;
    char hash[KD_HASH_BYTES], chat[KD_HASH_BYTES] = "none";
    kd_tokenizer *tokenizer;
    int64_t size, wrong;
    DO(kd_tokenizer_load(&tokenizer, context, path));
    DO(kd_tokenizer_hash(tokenizer, KD_HASH_TOKENIZER, hash));
    DO(kd_tokenizer_vocabulary_size(tokenizer, &size));
    if (kd_tokenizer_hash(tokenizer, KD_HASH_TEMPLATE, chat) != KD_OK) strcpy(chat, "none");
    const int same = !*h->tokenizer || !strcmp(h->tokenizer, hash);
    printf("tokenizer  store %s, here %s: %s\n", *h->tokenizer ? h->tokenizer : "unknown", hash,
           !*h->tokenizer ? "not known"
           : same         ? "equal"
                          : "DIFFERENT");
    printf("rendering  store %s; template here %s\n",
           *h->chat_template ? h->chat_template : "unknown", chat);
    printf("vocabulary store %lld, tokenizer %lld%s\n", (long long)h->vocabulary, (long long)size,
           size > h->vocabulary ? ": MORE TOKENS THAN CLASSES" : "");
    const int failed = compare_strings(context, store, tokenizer, &wrong);
    kd_tokenizer_free(tokenizer);
    return failed || wrong || !same || size > h->vocabulary;
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
    for (const kd__json *t = kd__json_member(n->document.root, "tokens")->first; t; t = t->next)
        n->by_id[id++] = t;
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

static void show_sample(const kd__sample *sample)
{
    if (!sample->known) return;
    if (sample->tokens)
        printf("made of %lld tokens, checksum %08x\n", (long long)sample->tokens, sample->whole);
    else
        printf("made of a part of its sample: %lld tokens are checked\n",
               (long long)sample->check_count);
}

/* Texts, scores and seeds: one a record. */
static void show_value(kd_store *store, int64_t record, const kd__store_field *field)
{
    const char *text, *name = field->name;
    int64_t size;
    double score;
    uint64_t seed;
    if (field->kind == KD_STORE_TEXT && kd_store_text(store, record, name, &text, &size) == KD_OK)
        printf("%s: %.*s\n", name, (int)kd__min(size, 4000), text);
    if (field->kind == KD_STORE_SCORE &&
        kd_store_number(store, record, name, &score, NULL) == KD_OK)
        printf("%s: %g\n", name, score);
    if (field->kind == KD_STORE_SEED && kd_store_number(store, record, name, NULL, &seed) == KD_OK)
        printf("%s: %llu\n", name, (unsigned long long)seed);
}

static void show_rows(const names *n, const kd__sparse *s, int64_t first, int64_t most)
{
    const int64_t rows = s ? kd__min(s->rows, most) : 0;
    for (int64_t i = 0; i < rows; i++) {
        printf("%s %lld:", s->name, (long long)(first + i));
        show_row(n, s, i);
    }
}

/* An embedding's length, and its first numbers. */
static void show_vector(const kd_targets *targets, const char *name)
{
    const kd__field *f = kd__fields_find(&targets->fields, name);
    if (!f || (f->present && !f->present[0])) return;
    const int64_t width = kd__array_row(&f->values);
    const float *x = f->values.data;
    double square = 0;
    for (int64_t i = 0; i < width; i++) square += (double)x[i] * x[i];
    printf("%s: %lld numbers, length %.4f:", name, (long long)width, sqrt(square));
    for (int64_t i = 0; i < kd__min(width, 8); i++) printf(" %.4g", (double)x[i]);
    printf("%s\n", width > 8 ? " .." : "");
}

static void show_place(const kd_store_record *r, int64_t record)
{
    printf("record %lld: key %016llx%016llx, view %lld, ", (long long)record,
           (unsigned long long)r->key[0], (unsigned long long)r->key[1], (long long)r->view);
    if (r->positions)
        printf("positions %lld to %lld, ", (long long)r->first,
               (long long)(r->first + r->positions - 1));
    else printf("no positions, ");
    printf("%lld bytes, shard %d\n", (long long)r->bytes, r->shard);
}

int store_show(kd_context *context, kd_store *store, int64_t record, const char *tokens,
               int64_t positions)
{
    const kd__store_header *h = &store->shards[0].header;
    kd_store_record r = { .struct_size = sizeof r };
    kd__sample sample;
    kd_targets *targets;
    names n;
    if (read_names(context, &n, store, tokens)) return 1;
    DO(kd_store_get_record(store, record, &r));
    DO(kd_targets_create(&targets, context, NULL));
    DO(kd_store_read(store, record, targets));
    show_place(&r, record);
    DO(sample_of(store, record, &sample));
    show_sample(&sample);
    for (int32_t f = 0; f < h->field_count; f++) {
        const kd__store_field *field = &h->fields[f];
        show_value(store, record, field);
        if (field->kind == KD_STORE_EMBEDDING) show_vector(targets, field->name);
        show_rows(&n, kd__sparse_find(targets, field->name), r.first, positions);
    }
    kd_targets_free(targets);
    if (n.by_id) kd__json_free(&n.document);
    free(n.by_id);
    return 0;
}
