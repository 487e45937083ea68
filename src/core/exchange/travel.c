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

/* *done 1: the request is complete; wait 1: it is. */
static kd_status ask(kd_exchange *x, int32_t request, int wait, int32_t *done)
{
    const kd_transport *t = &x->transport;
    *done = 1;
    if (x->ranks == 1) return KD_OK;
    *done = 0;
    const kd_status status = t->complete(t->user, request, wait, done);
    if (status == KD_OK && wait) *done = 1;
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

enum {
    PACK_GRADIENTS,
    PACK_VALUES,
    PACK_SUMS,
    PACK_FORESEEN,
    UNPACK_VALUES,
    UNPACK_GRADIENTS,
    ADOPT
};

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
    const int packs_mine = m->what == PACK_VALUES || m->what == PACK_SUMS ||
                           m->what == PACK_FORESEEN;
    float *values = p->values + piece->first, *gradients = p->gradients + piece->first;
    if (at < 0 || is_mine(m, place) != packs_mine) return;
    char *there = m->bytes + at * (int64_t)sizeof(float);
    switch (m->what) {
    case PACK_GRADIENTS:
        kd__convert_from_float32(m->bytes + at * (x->o.wire == KD_FLOAT32 ? 4 : 2), x->o.wire,
                                 gradients, piece->count);
        break;
    case PACK_VALUES: memcpy(there, values, bytes); break;
    case PACK_SUMS: memcpy(there, gradients, bytes); break;
    case PACK_FORESEEN:
        kd__optimizer_foresee(x->optimizer, x->rate, x->order[place], (float *)(void *)there,
                              x->scratch + (int64_t)worker * 2 * x->largest);
        break;
    case UNPACK_VALUES: memcpy(values, there, bytes); break;
    case UNPACK_GRADIENTS: memcpy(gradients, there, bytes); break;
    default: memcpy(values, gradients, bytes); break;
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
        const int is_own = r == x->rank;
        const char *from = is_own ? NULL : s->received + r * s->stride + at * (wide ? 2 : 4);
        uint16_t rounded[KD__TILE];
        rows[r] = is_own ? own : (const float *)(const void *)from;
        if (!wide) continue;
        /* this rank's own numbers as the others' travel */
        if (is_own) kd__convert_from_float32(rounded, x->o.wire, own, n);
        kernels->widen(x->o.wire, is_own ? (const void *)rounded : from, n,
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
    if (x->ranks == 1 && x->o.wire == KD_FLOAT32) return; /* the sum of one */
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

/* ---- the owners' numbers to all ---- */

static kd_status start_share(kd_exchange *x, int64_t bucket, int early)
{
    static const int32_t packs[] = { 0, PACK_VALUES, PACK_SUMS, PACK_FORESEEN };
    const int32_t slot = (int32_t)(bucket % KD__SHARES), request = KD__FIRST_SHARE + slot;
    if (x->ranks == 1) return KD_OK;
    const int64_t *bytes = bytes_of(x, request, bucket, sizeof(float), x->from);
    move_bucket(x, bucket, packs[x->back], x->from, x->shares[slot]);
    const kd_status status =
        x->transport.start_share(x->transport.user, request, x->shares[slot], bytes);
    if (status != KD_OK) return kd__exchange_break(x, status);
    const int64_t sent = (bytes[x->rank + 1] - bytes[x->rank]) * (x->ranks - 1);
    x->sent_bytes += sent;
    if (early) x->early_bytes += sent;
    return KD_OK;
}

static void place_share(kd_exchange *x, int64_t bucket)
{
    move_bucket(x, bucket, x->back == KD__BACK_VALUES ? UNPACK_VALUES : UNPACK_GRADIENTS, x->from,
                x->shares[bucket % KD__SHARES]);
}

void kd__exchange_adopt(kd_exchange *x)
{
    for (int64_t b = 0; b < x->bucket_count; b++) move_bucket(x, b, ADOPT, -1, x->shares[0]);
}

/* ---- the order of sends, the same on all ranks ---- */

void kd__exchange_rewind(kd_exchange *x)
{
    x->started = x->summed = x->shared = x->placed = 0;
    x->back = KD__BACK_NOTHING;
    x->from = -1;
    x->is_begun = x->has_changed = 0;
    for (int64_t i = 0; i < x->ending_count; i++) x->endings[i].has_ended = 0;
}

/* Does the share of a bucket start before the gradients of another do? */
static int share_is_before(const kd_exchange *x, int64_t share, int64_t bucket)
{
    return share + KD__LAG <= bucket || bucket == x->bucket_count ||
           (share < x->ending_within && bucket >= x->ending_within);
}

static int share_is_next(const kd_exchange *x)
{
    return x->back != KD__BACK_NOTHING && x->shared < x->bucket_count &&
           share_is_before(x, x->shared, x->started);
}

/* *did 1: something was started. */
static kd_status start_next(kd_exchange *x, int all, int *did)
{
    if (share_is_next(x)) {
        if (x->summed <= x->shared || x->shared - x->placed == KD__SHARES) return KD_OK;
        KD_TRY(start_share(x, x->shared, !all));
        x->shared++;
    } else {
        if (x->started == x->bucket_count || x->started - x->summed == KD__SLOTS) return KD_OK;
        if (!all && !has_ended(x, x->started)) return KD_OK;
        KD_TRY(start_bucket(x, x->started, !all));
        x->started++;
    }
    *did = 1;
    return KD_OK;
}

static kd_status finish_bucket(kd_exchange *x, int wait, int *did)
{
    int32_t done;
    if (x->summed == x->started) return KD_OK;
    KD_TRY(ask(x, (int32_t)(x->summed % KD__SLOTS), wait, &done));
    if (!done) return KD_OK;
    sum_bucket(x, x->summed++);
    *did = 1;
    return KD_OK;
}

static kd_status finish_share(kd_exchange *x, int wait, int *did)
{
    int32_t done;
    if (x->placed == x->shared) return KD_OK;
    KD_TRY(ask(x, KD__FIRST_SHARE + (int32_t)(x->placed % KD__SHARES), wait, &done));
    if (!done) return KD_OK;
    place_share(x, x->placed++);
    *did = 1;
    return KD_OK;
}

/* All that can be done without waiting. */
static kd_status do_some(kd_exchange *x, int all, int *did)
{
    *did = 0;
    KD_TRY(start_next(x, all, did));
    KD_TRY(finish_bucket(x, 0, did));
    return finish_share(x, 0, did);
}

/* Waits for what was started first: other ranks can complete it, whatever they wait for. */
static kd_status wait_long(kd_exchange *x)
{
    int did;
    kd__log(x->object.context, KD_LOG_WARNING,
            "exchange: rank %d has waited %.0f s for other ranks, in bucket %lld of %lld of step "
            "%lld (the slowest of the step before: rank %d)",
            x->rank, x->o.patience, (long long)kd__min(x->summed, x->bucket_count - 1) + 1,
            (long long)x->bucket_count, (long long)x->steps + 1, x->slowest);
    if (x->placed < x->shared &&
        (x->summed == x->started || share_is_before(x, x->placed, x->summed)))
        return finish_share(x, 1, &did);
    return finish_bucket(x, 1, &did);
}

/* idle: since when nothing is to be done but wait; 0: there was something. */
static kd_status wait_on(kd_exchange *x, int did, double *idle)
{
    const double waited = kd__os_now() - *idle;
    const int is_long = !did && x->o.patience > 0 && waited > x->o.patience;
    if (!did && !is_long) {
        kd__os_yield();
        return KD_OK;
    }
    const double from = *idle;
    *idle = 0;
    const kd_status status = is_long ? wait_long(x) : KD_OK;
    x->waited += kd__os_now() - from;
    return status;
}

static int is_through(const kd_exchange *x)
{
    return x->summed == x->bucket_count &&
           (x->back == KD__BACK_NOTHING || x->placed == x->bucket_count);
}

kd_status kd__exchange_move(kd_exchange *x, int all)
{
    double idle = 0; /* since then; 0: not */
    int did;
    KD_TRY(kd__exchange_check_whole(x));
    while (!is_through(x)) {
        KD_TRY(do_some(x, all, &did));
        if (!did && !all) return KD_OK; /* the others have not ended */
        if (!did && !idle) idle = kd__os_now();
        if (idle) KD_TRY(wait_on(x, did, &idle));
    }
    return KD_OK;
}

kd_status kd__exchange_share(kd_exchange *x, int32_t back, int32_t from)
{
    x->started = x->summed = x->bucket_count;
    x->shared = x->placed = 0;
    x->back = back;
    x->from = from;
    const kd_status status = kd__exchange_move(x, 1);
    x->back = KD__BACK_NOTHING;
    x->from = -1;
    return status;
}
