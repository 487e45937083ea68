/* The teacher that reads a store: records are looked up by key and view, and a record speaks only
 * for the tokens that it was made of. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "core/store/store.h"

typedef struct {
    kd_teacher *teacher;
    kd_batch *batch;
    kd_targets *targets;
    const uint64_t *keys;
    const int64_t *tokens, *positions; /* of all rows; NULL: none, and 0, 1, 2 ... */
} lesson;

static int64_t position_of(const lesson *l, int64_t s, int64_t row)
{
    return l->positions ? l->positions[row] : row - l->batch->offsets[s];
}

/* Room for a teacher's name, a sample's number and its key. */
enum { SAMPLE_TEXT = 512 };

/* "store: sample 3 (key 0123...)", with which messages about a sample begin. */
static const char *name_sample(const lesson *l, int64_t s, char to[SAMPLE_TEXT])
{
    const unsigned long long first = l->keys[2 * s], second = l->keys[2 * s + 1];
    snprintf(to, SAMPLE_TEXT, "%s: sample %lld (key %016llx%016llx)", l->teacher->name,
             (long long)l->batch->numbers[s], first, second);
    return to;
}

/* "; tokenizer: the store says x, the batch y", where they do not say the same. */
static void tell_origin(char *to, size_t room, const char *what, const char *store,
                        const char *batch)
{
    *to = 0;
    if (!strcmp(store, batch)) return;
    snprintf(to, room, "; %s: the store says %s, the batch %s", what, *store ? store : "nothing",
             *batch ? batch : "nothing");
}

/* No record has the sample's key: says what may be wrong with the key. */
static kd_status no_record(const lesson *l, int64_t s)
{
    const uint64_t *key = l->keys + 2 * s;
    const int has_key = key[0] || key[1];
    const kd_store *store = l->teacher->store;
    char tokenizer[192] = "", text[SAMPLE_TEXT];
    if (store->shard_count)
        tell_origin(tokenizer, sizeof tokenizer, "tokenizer", store->shards[0].header.tokenizer,
                    l->batch->tokenizer);
    return kd__fail(KD_ERR_NOT_FOUND, "%s: the store has no record of it (view %lld)%s%s",
                    name_sample(l, s, text), (long long)l->batch->views[s],
                    has_key ? "" : ": it has no key, kd_batch_set_samples sets it", tokenizer);
}

static kd_status look_up(const lesson *l, int64_t s, int64_t *record)
{
    kd_store *store = l->teacher->store;
    const uint64_t *key = l->keys + 2 * s;
    *record = kd__store_look_up(store, key, l->batch->views[s]);
    if (*record < 0 && l->teacher->options.any_view) *record = kd__store_look_up(store, key, 0);
    if (*record < 0 && l->teacher->options.missing == KD_MISSING_ERROR) return no_record(l, s);
    return KD_OK;
}

/* Where each row of the sample lies in its record. */
static void place_rows(const lesson *l, int64_t s, int64_t record)
{
    const kd__entry *e = record >= 0 ? &l->teacher->store->entries[record] : NULL;
    for (int64_t r = l->batch->offsets[s]; r < l->batch->offsets[s + 1]; r++) {
        const int64_t p = position_of(l, s, r);
        const int here = e && p >= e->first && p - e->first < e->positions;
        l->targets->places[2 * r] = here ? record : -1;
        l->targets->places[2 * r + 1] = here ? p - e->first : -1;
    }
}

/* ---- is it the sample that the record was made of? ---- */

static kd_status differs(const lesson *l, int64_t s, int64_t record, const kd__sample *made_of,
                         int64_t at)
{
    const kd_store *store = l->teacher->store;
    const kd__store_header *h = &store->shards[store->entries[record].shard].header;
    const kd_batch *b = l->batch;
    const long long tokens = b->offsets[s + 1] - b->offsets[s];
    char sample[SAMPLE_TEXT], place[64], count[32] = "", tokenizer[192], rendering[192];
    if (at >= made_of->from) snprintf(place, sizeof place, "from position %lld on", (long long)at);
    else snprintf(place, sizeof place, "within its first %lld tokens", (long long)made_of->from);
    if (made_of->tokens) snprintf(count, sizeof count, "%lld ", (long long)made_of->tokens);
    tell_origin(tokenizer, sizeof tokenizer, "tokenizer", h->tokenizer, b->tokenizer);
    tell_origin(rendering, sizeof rendering, "rendering", h->chat_template, b->rendering);
    return kd__fail(KD_ERR_MISMATCH,
                    "%s: its %lld tokens are not the %stokens that the store's record was made of, "
                    "%s%s%s (option any_tokens takes the record as it is)",
                    name_sample(l, s, sample), tokens, count, place, tokenizer, rendering);
}

static void warn_once(const lesson *l)
{
    kd_store *store = l->teacher->store;
    if (atomic_exchange(&store->warned, 1)) return;
    kd__log(store->object.context, KD_LOG_WARNING,
            "%s: the store has records without checksums of their tokens: whether they match the "
            "batch's tokens is not checked",
            l->teacher->name);
}

/* Rows beyond the sample that the record was made of. The last row of a sample has no next token,
 * so that nobody misses it. */
static kd_status check_length(const lesson *l, int64_t s, int64_t record, const kd__sample *made_of)
{
    const kd_store *store = l->teacher->store;
    const kd__entry *e = &store->entries[record];
    const kd__store_header *h = &store->shards[e->shard].header;
    const int64_t begin = l->batch->offsets[s], end = l->batch->offsets[s + 1];
    const int known = made_of->tokens || (h->checked && !made_of->known);
    const int guessed = !made_of->tokens;
    char sample[SAMPLE_TEXT];
    if (l->teacher->options.missing == KD_MISSING_ABSENT || !known) return KD_OK;
    const int64_t tokens = guessed ? e->first + e->positions : made_of->tokens;
    const int64_t last = guessed && h->align == KD_ALIGN_NEXT ? end - 1 : end;
    for (int64_t r = begin; r < last; r++) {
        const long long position = position_of(l, s, r);
        KD_FAIL_IF(position >= tokens, KD_ERR_NOT_FOUND,
                   "%s: expected a record up to position %lld, got one of %lld tokens, the sample "
                   "has %lld (KD_MISSING_ABSENT allows such rows)",
                   name_sample(l, s, sample), position, (long long)tokens,
                   (long long)(end - begin));
    }
    return KD_OK;
}

static kd_status check_tokens(const lesson *l, int64_t s, int64_t record, const kd__sample *made_of)
{
    const int64_t begin = l->batch->offsets[s], rows = l->batch->offsets[s + 1] - begin;
    const int64_t *positions = l->positions ? l->positions + begin : NULL;
    if (!l->tokens || l->teacher->options.any_tokens) return KD_OK;
    if (!made_of->hashed) {
        warn_once(l);
        return KD_OK;
    }
    const int64_t at = kd__sample_compare(made_of, l->tokens + begin, positions, rows);
    return at < 0 ? KD_OK : differs(l, s, record, made_of, at);
}

static kd_status check_sample(const lesson *l, int64_t s, int64_t record, const uint8_t *bytes)
{
    kd__sample made_of;
    if (!kd__header_has_rows(&l->teacher->store->shards[0].header)) return KD_OK;
    KD_TRY(kd__store_sample(l->teacher->store, record, bytes, &made_of));
    KD_TRY(check_tokens(l, s, record, &made_of));
    return check_length(l, s, record, &made_of);
}

/* ---- the teacher ---- */

static kd_status read_store(kd_teacher *teacher, kd_batch *batch, kd_targets *targets)
{
    kd_store *store = teacher->store;
    lesson l = { .teacher = teacher, .batch = batch, .targets = targets };
    const int64_t rows = batch->fields.rows;
    l.tokens = kd__batch_tokens(batch);
    KD_TRY(kd__batch_integers(batch, "position", &l.positions));
    KD_TRY(kd__batch_keys(batch, &l.keys));
    KD_TRY(KD_RESERVE(targets->object.context, &targets->places, &targets->places_room,
                      2 * rows + batch->samples));
    int64_t *found = targets->places + 2 * rows;
    for (int64_t s = 0; s < batch->samples; s++) {
        KD_TRY(look_up(&l, s, &found[s]));
        place_rows(&l, s, found[s]);
    }
    const kd__places places = { rows, batch->samples, batch->offsets, found, targets->places };
    KD_TRY(kd__store_find(store, targets, &places));
    for (int64_t s = 0; s < batch->samples; s++)
        if (found[s] >= 0) KD_TRY(check_sample(&l, s, found[s], targets->records[rows + s]));
    return kd__store_fill(store, targets, &places);
}

kd_status kd_teacher_from_store(kd_teacher **out, kd_store *store,
                                const kd_teacher_options *options)
{
    kd_teacher *teacher = NULL;
    KD_NEED(store);
    KD_TRY(kd__teacher_new(out ? &teacher : NULL, store->object.context, options));
    teacher->store = kd__object_hold(store);
    teacher->free_store = kd_store_free;
    teacher->read = read_store;
    *out = teacher;
    return KD_OK;
}

kd_status kd_teacher_open(kd_teacher **out, kd_context *context, const char *path,
                          const kd_teacher_options *options)
{
    kd_store *store = NULL;
    KD_NEED(out);
    KD_TRY(kd_store_open(&store, context, &path, 1, NULL));
    kd_status status = kd_teacher_from_store(out, store, options);
    kd_store_free(store);
    return status;
}
