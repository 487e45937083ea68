/* Buckets on their way: packed, sent to the owners of their parts, summed there in rank order; and
 * the owners' numbers back to all. Up to KD__SLOTS are under way. */
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/log.h"
#include "base/os.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/exchange/exchange.h"
#include "math/kernels.h"

/* ---- requests ---- */

static kd_status wait_for(kd_exchange *x, int32_t request, int64_t bucket)
{
    const kd_transport *t = &x->transport;
    const double from = kd__os_now();
    int32_t done = 0;
    while (!done) {
        const kd_status status = t->complete(t->user, request, 0, &done);
        if (status != KD_OK) return kd__exchange_break(x, status);
        if (done) break;
        kd__os_yield();
        if (x->o.patience > 0 && kd__os_now() - from > x->o.patience) {
            kd__log(
                x->object.context, KD_LOG_WARNING,
                "exchange: rank %d has waited %.0f s for other ranks, in bucket %lld of %lld of "
                "step %lld (the slowest of the step before: rank %d)",
                x->rank, x->o.patience, (long long)bucket + 1, (long long)x->bucket_count,
                (long long)x->steps + 1, x->slowest);
            const kd_status waited = t->complete(t->user, request, 1, &done);
            if (waited != KD_OK) return kd__exchange_break(x, waited);
        }
    }
    x->waited += kd__os_now() - from;
    return KD_OK;
}

/* *done 1: complete; wait 1: it is. */
static kd_status ask(kd_exchange *x, int32_t request, int64_t bucket, int wait, int32_t *done)
{
    *done = 1;
    if (x->ranks == 1) return KD_OK;
    if (wait) return wait_for(x, request, bucket);
    *done = 0;
    const kd_status status = x->transport.complete(x->transport.user, request, 0, done);
    return status == KD_OK ? KD_OK : kd__exchange_break(x, status);
}

/* A bucket's offsets in bytes; `from` not -1: all of it is that rank's. They stay until the request
 * is complete. */
static const int64_t *bytes_of(const kd_exchange *x, int32_t request, int64_t bucket, int64_t size,
                               int32_t from)
{
    const int64_t *numbers = kd__exchange_offsets(x, bucket);
    int64_t *bytes = x->byte_offsets + (int64_t)request * (x->ranks + 1);
    for (int32_t r = 0; r <= x->ranks; r++)
        bytes[r] = (from < 0 ? numbers[r] : r > from ? numbers[x->ranks] : 0) * size;
    return bytes;
}

/* ---- what is done to the pieces of a bucket ---- */

enum { PACK_GRADIENTS, PACK_VALUES, PACK_SUMS, UNPACK_VALUES, UNPACK_SUMS };

typedef struct {
    const kd_exchange *x;
    int64_t bucket;
    int32_t what;
    int32_t from; /* -1: a piece is its owner's */
    char *bytes;
} moving;

static int is_mine(const moving *m, int64_t place)
{
    const kd_exchange *x = m->x;
    return m->from < 0 ? x->owned[x->order[place]] : m->from == x->rank;
}

static void move_piece(void *argument, int64_t index, int32_t worker)
{
    const moving *m = argument;
    const kd_exchange *x = m->x;
    const int64_t place = x->buckets[m->bucket].first + index, at = x->at[place];
    const kd__piece *piece = &x->optimizer->pieces[x->order[place]];
    const kd__parameter *p = &x->optimizer->parameters[piece->parameter];
    const size_t bytes = (size_t)piece->count * sizeof(float);
    const int packs_mine = m->what == PACK_VALUES || m->what == PACK_SUMS;
    float *values = p->values + piece->first, *gradients = p->gradients + piece->first;
    (void)worker;
    if (at < 0 || is_mine(m, place) != packs_mine) return;
    char *there = m->bytes + at * (int64_t)sizeof(float);
    switch (m->what) {
    case PACK_GRADIENTS:
        kd__convert_from_float32(m->bytes + at * (x->o.wire == KD_FLOAT32 ? 4 : 2), x->o.wire,
                                 gradients, piece->count);
        break;
    case PACK_VALUES: memcpy(there, values, bytes); break;
    case PACK_SUMS: memcpy(there, gradients, bytes); break;
    case UNPACK_VALUES: memcpy(values, there, bytes); break;
    default: memcpy(gradients, there, bytes); break;
    }
}

static void move_bucket(const kd_exchange *x, int64_t bucket, int32_t what, int32_t from,
                        char *bytes)
{
    const kd__bucket *b = &x->buckets[bucket];
    moving m = { x, bucket, what, from, bytes };
    if (x->ranks > 1) kd__parallel(x->object.context, b->end - b->first, move_piece, &m);
}

/* ---- sums ---- */

typedef struct {
    const kd_exchange *x;
    int64_t bucket;
    const char *received;
    int64_t stride; /* bytes of a rank's part */
} summing;

/* Numbers first .. first + n - 1 of an own piece, `at` numbers into the part, of every rank. */
static void gather_rows(const summing *s, float *own, int64_t at, int64_t n, int32_t worker)
{
    const kd_exchange *x = s->x;
    const kd__kernels *kernels = x->object.context->kernels;
    const float **rows = x->rows + (int64_t)worker * x->ranks;
    float *wide = x->widened ? x->widened + (int64_t)worker * x->ranks * KD__TILE : NULL;
    for (int32_t r = 0; r < x->ranks; r++) {
        const char *from = s->received + r * s->stride + at * (wide ? 2 : 4);
        uint16_t rounded[KD__TILE];
        rows[r] = r == x->rank ? own : (const float *)(const void *)from;
        if (!wide) continue;
        /* this rank's own numbers as the others' travel */
        if (r == x->rank) kd__convert_from_float32(rounded, x->o.wire, own, n);
        kernels->widen(x->o.wire, r == x->rank ? (const void *)rounded : from, n,
                       wide + (int64_t)r * KD__TILE);
        rows[r] = wide + (int64_t)r * KD__TILE;
    }
}

static void sum_piece(void *argument, int64_t index, int32_t worker)
{
    const summing *s = argument;
    const kd_exchange *x = s->x;
    const int64_t place = kd__exchange_cuts(x, s->bucket)[x->rank] + index;
    const kd__piece *piece = &x->optimizer->pieces[x->order[place]];
    const int64_t at = x->at[place] - kd__exchange_offsets(x, s->bucket)[x->rank];
    float *own = x->optimizer->parameters[piece->parameter].gradients + piece->first;
    if (x->at[place] < 0) return;
    for (int64_t i = 0; i < piece->count; i += KD__TILE) {
        const int64_t n = kd__min(KD__TILE, piece->count - i);
        gather_rows(s, own + i, at + i, n, worker);
        x->object.context->kernels->sum_across(own + i, x->rows + (int64_t)worker * x->ranks,
                                               x->ranks, n);
    }
}

static void sum_bucket(kd_exchange *x, int64_t bucket)
{
    const int64_t *cuts = kd__exchange_cuts(x, bucket), *offsets = kd__exchange_offsets(x, bucket);
    const int64_t size = x->o.wire == KD_FLOAT32 ? 4 : 2;
    summing s = { x, bucket, x->slots[bucket % KD__SLOTS].received,
                  (offsets[x->rank + 1] - offsets[x->rank]) * size };
    kd__parallel(x->object.context, cuts[x->rank + 1] - cuts[x->rank], sum_piece, &s);
}

/* ---- gradients ---- */

static kd_status start_bucket(kd_exchange *x, int64_t bucket, int early)
{
    const int32_t request = (int32_t)(bucket % KD__SLOTS);
    const int64_t *numbers = kd__exchange_offsets(x, bucket);
    const int64_t size = x->o.wire == KD_FLOAT32 ? 4 : 2;
    const int64_t own = (numbers[x->rank + 1] - numbers[x->rank]) * size;
    const kd__parcel *slot = &x->slots[request];
    if (x->ranks == 1) return KD_OK;
    move_bucket(x, bucket, PACK_GRADIENTS, -1, slot->send);
    const int64_t *bytes = bytes_of(x, request, bucket, size, -1);
    const kd_status status = x->transport.start_pieces(x->transport.user, request, slot->send,
                                                       bytes, slot->received, own);
    if (status != KD_OK) return kd__exchange_break(x, status);
    x->sent_bytes += bytes[x->ranks] - own;
    if (early) x->early_bytes += bytes[x->ranks] - own;
    return KD_OK;
}

static int has_ended(const kd_exchange *x, int64_t bucket)
{
    const int64_t last = x->buckets[bucket].group;
    for (int64_t i = 0; i <= last; i++)
        if (i == x->ending_count || !x->endings[i].has_ended) return 0;
    return 1;
}

void kd__exchange_rewind(kd_exchange *x)
{
    x->started = x->summed = 0;
    x->is_begun = x->has_changed = 0;
    for (int64_t i = 0; i < x->ending_count; i++) x->endings[i].has_ended = 0;
}

kd_status kd__exchange_move(kd_exchange *x, int all)
{
    KD_TRY(kd__exchange_check_whole(x));
    while (x->summed < x->bucket_count) {
        while (x->started < x->bucket_count && x->started - x->summed < KD__SLOTS &&
               (all || has_ended(x, x->started))) {
            KD_TRY(start_bucket(x, x->started, !all));
            x->started++;
        }
        int32_t done;
        if (x->summed == x->started) return KD_OK; /* the others have not ended */
        KD_TRY(ask(x, (int32_t)(x->summed % KD__SLOTS), x->summed, all, &done));
        if (!done) return KD_OK;
        sum_bucket(x, x->summed++);
    }
    return KD_OK;
}

/* ---- the owners' numbers to all ---- */

static kd_status start_share(kd_exchange *x, int64_t bucket, int of_gradients, int32_t from)
{
    const int32_t slot = (int32_t)(bucket % KD__SLOTS), request = KD__SLOTS + slot;
    const int64_t *bytes = bytes_of(x, request, bucket, sizeof(float), from);
    move_bucket(x, bucket, of_gradients ? PACK_SUMS : PACK_VALUES, from, x->slots[slot].send);
    const kd_status status =
        x->transport.start_share(x->transport.user, request, x->slots[slot].send, bytes);
    if (status != KD_OK) return kd__exchange_break(x, status);
    x->sent_bytes += (bytes[x->rank + 1] - bytes[x->rank]) * (x->ranks - 1);
    return KD_OK;
}

kd_status kd__exchange_share(kd_exchange *x, int of_gradients, int32_t from)
{
    int64_t started = 0;
    KD_TRY(kd__exchange_check_whole(x));
    if (x->ranks == 1) return KD_OK;
    for (int64_t b = 0; b < x->bucket_count; b++) {
        const int32_t slot = (int32_t)(b % KD__SLOTS);
        int32_t done;
        for (; started < x->bucket_count && started - b < KD__SLOTS; started++)
            KD_TRY(start_share(x, started, of_gradients, from));
        KD_TRY(ask(x, KD__SLOTS + slot, b, 1, &done));
        move_bucket(x, b, of_gradients ? UNPACK_SUMS : UNPACK_VALUES, from, x->slots[slot].send);
    }
    return KD_OK;
}
