/* Who owns what. Pieces are put in the order in which a backward pass ends their gradients, cut
 * into buckets, and each bucket into one part a rank, as equal as whole pieces allow. All of it
 * depends on parameters, the number of ranks and bucket_bytes: every rank makes the same plan. */
#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "core/exchange/exchange.h"

#define LEAST_BYTES_A_RANK 65536
#define USUAL_BYTES 4194304
#define USUAL_BYTES_A_RANK 524288

/* ---- what ends together ---- */

static kd_status add_endings(kd_exchange *x, const kd_model *model)
{
    const kd__engine *engine = model->net.engine;
    int64_t first, end;
    for (int64_t n = 0; engine->gradient_run && engine->gradient_run(model, n, &first, &end); n++) {
        KD_TRY(KD_RESERVE(x->object.context, &x->endings, &x->ending_room, x->ending_count + 1));
        x->endings[x->ending_count++] = (kd__ending){ model, first, end, 0 };
    }
    return KD_OK;
}

/* The ending that a parameter belongs to; ending_count: the end of the pass. */
static int64_t ending_of(const kd_exchange *x, const kd__parameter *p)
{
    int64_t i = 0;
    while (i < x->ending_count &&
           (x->endings[i].model != p->model || p->tensor < x->endings[i].first ||
            p->tensor >= x->endings[i].end))
        i++;
    return i;
}

static int64_t parameter_of(const kd_optimizer *optimizer, int64_t piece)
{
    return optimizer->pieces[piece].parameter;
}

static void put_in_order(kd_exchange *x, const kd_optimizer *optimizer)
{
    int64_t placed = 0;
    for (int64_t group = 0; group <= x->ending_count; group++)
        for (int64_t i = 0; i < optimizer->piece_count;) {
            const int64_t parameter = parameter_of(optimizer, i);
            const int wanted = ending_of(x, &optimizer->parameters[parameter]) == group;
            for (; i < optimizer->piece_count && parameter_of(optimizer, i) == parameter; i++)
                if (wanted) x->order[placed++] = i;
        }
}

/* ---- buckets and parts ---- */

static const kd__piece *piece_at(const kd_optimizer *optimizer, const kd_exchange *x, int64_t place)
{
    return &optimizer->pieces[x->order[place]];
}

static int64_t bucket_numbers(const kd_exchange *x)
{
    int64_t bytes = x->o.bucket_bytes;
    if (!bytes) bytes = kd__max(USUAL_BYTES, (int64_t)USUAL_BYTES_A_RANK * x->ranks);
    return kd__max(bytes, (int64_t)LEAST_BYTES_A_RANK * x->ranks) / (int64_t)sizeof(float);
}

static kd_status make_buckets(kd_exchange *x, const kd_optimizer *optimizer)
{
    const int64_t full = bucket_numbers(x);
    int64_t numbers = 0, first = 0;
    for (int64_t i = 0; i < optimizer->piece_count; i++) {
        const kd__piece *piece = piece_at(optimizer, x, i);
        numbers += piece->count;
        if (numbers < full && i + 1 < optimizer->piece_count) continue;
        KD_TRY(KD_RESERVE(x->object.context, &x->buckets, &x->bucket_room, x->bucket_count + 1));
        x->buckets[x->bucket_count++] =
            (kd__bucket){ first, i + 1, ending_of(x, &optimizer->parameters[piece->parameter]) };
        if (x->buckets[x->bucket_count - 1].group < x->ending_count)
            x->ending_within = x->bucket_count;
        first = i + 1;
        numbers = 0;
    }
    return KD_OK;
}

/* Part r begins with the first piece whose middle lies in the r-th of N equal ranges. */
static void cut_bucket(const kd_exchange *x, const kd_optimizer *optimizer, int64_t bucket)
{
    const kd__bucket *b = &x->buckets[bucket];
    int64_t *cuts = x->cuts + bucket * (x->ranks + 1), all = 0, before = 0, place = b->first;
    for (int64_t i = b->first; i < b->end; i++) all += piece_at(optimizer, x, i)->count;
    for (int32_t r = 0; r <= x->ranks; r++) {
        while (place < b->end) {
            const int64_t count = piece_at(optimizer, x, place)->count;
            if ((double)before + (double)count / 2 >= (double)all / x->ranks * r) break;
            before += count;
            place++;
        }
        cuts[r] = r == x->ranks ? b->end : place;
    }
}

static void mark_owned(kd_exchange *x, kd_optimizer *optimizer)
{
    int64_t *mine = x->at; /* pieces of each rank, until positions are put there */
    memset(mine, 0, (size_t)x->ranks * sizeof *mine);
    for (int64_t b = 0; b < x->bucket_count; b++)
        for (int32_t r = 0; r < x->ranks; r++) {
            const int64_t *cuts = kd__exchange_cuts(x, b);
            mine[r] += cuts[r + 1] - cuts[r];
            for (int64_t i = cuts[r]; i < cuts[r + 1]; i++) x->owned[x->order[i]] = r == x->rank;
        }
    x->most_owned = 0;
    for (int32_t r = 0; r < x->ranks; r++) x->most_owned = kd__max(x->most_owned, mine[r]);
    for (int64_t i = 0; i < optimizer->piece_count; i++)
        optimizer->pieces[i].is_others = x->o.shard && !x->owned[i];
}

void kd__exchange_place(kd_exchange *x, int all)
{
    const kd_optimizer *optimizer = x->optimizer;
    for (int64_t b = 0; b < x->bucket_count; b++) {
        const int64_t *cuts = kd__exchange_cuts(x, b);
        int64_t *offsets = x->offsets + b * (x->ranks + 1);
        offsets[0] = 0;
        for (int32_t r = 0; r < x->ranks; r++) {
            int64_t numbers = 0;
            for (int64_t i = cuts[r]; i < cuts[r + 1]; i++) {
                const kd__piece *piece = piece_at(optimizer, x, i);
                const kd__parameter *p = &optimizer->parameters[piece->parameter];
                const int travels = all || !kd__parameter_is_frozen(p);
                x->at[i] = travels ? offsets[r] + numbers : -1;
                numbers += travels ? piece->count : 0;
            }
            offsets[r + 1] = offsets[r] + numbers;
        }
    }
}

/* ---- memory ---- */

static int64_t most_numbers(const kd_exchange *x, const kd_optimizer *optimizer, int of_parts)
{
    int64_t most = 0;
    for (int64_t b = 0; b < x->bucket_count; b++) {
        const int64_t *cuts = kd__exchange_cuts(x, b);
        int64_t whole = 0;
        for (int32_t r = 0; r < x->ranks; r++) {
            int64_t part = 0;
            for (int64_t i = cuts[r]; i < cuts[r + 1]; i++)
                part += piece_at(optimizer, x, i)->count;
            whole += part;
            if (of_parts) most = kd__max(most, part);
        }
        if (!of_parts) most = kd__max(most, whole);
    }
    return most;
}

/* What travels; one rank alone sends nothing. */
static kd_status take_buffers(kd_exchange *x, const kd_optimizer *optimizer)
{
    kd_context *context = x->object.context;
    const int64_t whole = most_numbers(x, optimizer, 0) * 4, received = x->part_room * 4 * x->ranks;
    for (int i = 0; i < KD__SLOTS; i++) {
        kd__parcel *slot = &x->slots[i];
        KD_TRY(KD_NEW(context, &slot->send, whole + 4));
        KD_TRY(KD_NEW(context, &slot->received, received + 4));
    }
    for (int i = 0; i < KD__SHARES; i++) KD_TRY(KD_NEW(context, &x->shares[i], whole + 4));
    x->buffer_bytes = KD__SLOTS * (whole + received) + KD__SHARES * whole;
    KD_TRY(KD_NEW(context, &x->byte_offsets, (int64_t)KD__REQUESTS * (x->ranks + 1)));
    if (!x->o.shard) return KD_OK;
    return KD_NEW(context, &x->scratch, (int64_t)context->threads * 2 * x->largest);
}

static kd_status take_memory(kd_exchange *x, const kd_optimizer *optimizer)
{
    kd_context *context = x->object.context;
    const int64_t items = optimizer->count + optimizer->model_count;
    x->part_room = most_numbers(x, optimizer, 1);
    x->largest = 0;
    for (int64_t i = 0; i < optimizer->piece_count; i++)
        x->largest = kd__max(x->largest, optimizer->pieces[i].count);
    x->buffer_bytes = 0;
    if (x->ranks > 1) KD_TRY(take_buffers(x, optimizer));
    KD_TRY(KD_NEW(context, &x->partials, x->most_owned + 1));
    KD_TRY(KD_NEW(context, &x->all_partials, (x->most_owned + 1) * x->ranks));
    KD_TRY(KD_NEW(context, &x->rows, (int64_t)context->threads * x->ranks));
    if (x->o.wire != KD_FLOAT32)
        KD_TRY(KD_NEW(context, &x->widened, (int64_t)context->threads * x->ranks * KD__TILE));
    KD_TRY(KD_NEW(context, &x->hashes, items));
    return KD_NEW(context, &x->all_hashes, items * x->ranks);
}

void kd__exchange_free_plan(kd_exchange *x)
{
    kd_context *context = x->object.context;
    void *blocks[] = { x->endings,      x->buckets,  x->order,        x->cuts,    x->at,
                       x->offsets,      x->owned,    x->byte_offsets, x->hashes,  x->all_hashes,
                       x->all_partials, x->partials, (void *)x->rows, x->widened, x->scratch };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
    for (int i = 0; i < KD__SLOTS; i++) {
        kd__release(context, x->slots[i].send);
        kd__release(context, x->slots[i].received);
    }
    for (int i = 0; i < KD__SHARES; i++) kd__release(context, x->shares[i]);
    memset(x->slots, 0, sizeof x->slots);
    memset((void *)x->shares, 0, sizeof x->shares);
    x->scratch = NULL;
    x->endings = NULL, x->buckets = NULL, x->order = x->cuts = x->at = x->offsets = NULL;
    x->owned = NULL, x->byte_offsets = NULL, x->hashes = x->all_hashes = NULL;
    x->partials = x->all_partials = NULL, x->rows = NULL, x->widened = NULL;
    x->ending_count = x->ending_room = x->bucket_count = x->bucket_room = 0;
    x->ending_within = 0;
}

kd_status kd__exchange_plan(kd_exchange *x, kd_optimizer *optimizer)
{
    kd_context *context = x->object.context;
    const int64_t pieces = optimizer->piece_count;
    for (int64_t i = 0; i < optimizer->model_count; i++)
        KD_TRY(add_endings(x, optimizer->models[i]));
    KD_TRY(KD_NEW(context, &x->order, pieces + 1));
    KD_TRY(KD_NEW(context, &x->at, pieces + x->ranks));
    KD_TRY(KD_NEW(context, &x->owned, pieces + 1));
    put_in_order(x, optimizer);
    KD_TRY(make_buckets(x, optimizer));
    const int64_t cuts = x->bucket_count * (x->ranks + 1);
    KD_TRY(KD_NEW(context, &x->cuts, cuts + 1));
    KD_TRY(KD_NEW(context, &x->offsets, cuts + 1));
    for (int64_t b = 0; b < x->bucket_count; b++) cut_bucket(x, optimizer, b);
    mark_owned(x, optimizer);
    return take_memory(x, optimizer);
}
