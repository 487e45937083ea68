/* An optimizer whose steps several processes take together: who has the state of which piece is
 * decided by an exchange (core/exchange); here is only that others' pieces take no memory. */
#include <string.h>

#include "base/memory.h"
#include "core/optimizer/optimizer.h"

kd_status kd__optimizer_begin_shared(kd_optimizer *optimizer)
{
    KD_FAIL_IF(!optimizer->count, KD_ERR_STATE,
               "the optimizer has no parameters: add a model or an array");
    KD_FAIL_IF(optimizer->o.moments != KD_FLOAT32, KD_ERR_UNSUPPORTED,
               "moments: ranks share them in float32 only: expected KD_FLOAT32 (%d), got %d",
               KD_FLOAT32, optimizer->o.moments);
    KD_FAIL_IF(optimizer->kind == KD_OPTIMIZER_MUON, KD_ERR_UNSUPPORTED,
               "exchange: Muon needs whole matrices, which ranks do not share: expected "
               "KD_OPTIMIZER_ADAMW (%d)",
               KD_OPTIMIZER_ADAMW);
    optimizer->is_shared = 1;
    const kd_status status = kd__optimizer_cut(optimizer);
    if (status == KD_OK) return KD_OK;
    optimizer->is_shared = 0;
    return status;
}

void kd__optimizer_end_shared(kd_optimizer *optimizer)
{
    /* pieces of others are lost here: there is no step without them */
    if (optimizer->ready && optimizer->state_count != optimizer->total) return;
    optimizer->is_shared = 0;
    for (int64_t i = 0; i < optimizer->piece_count; i++) optimizer->pieces[i].is_others = 0;
}

static int64_t own_numbers(const kd_optimizer *optimizer)
{
    int64_t own = 0;
    for (int64_t i = 0; i < optimizer->piece_count; i++)
        own += optimizer->pieces[i].is_others ? 0 : optimizer->pieces[i].count;
    return own;
}

static int has_others(const kd_optimizer *optimizer)
{
    for (int64_t i = 0; i < optimizer->piece_count; i++)
        if (optimizer->pieces[i].is_others) return 1;
    return 0;
}

/* The own pieces of a whole block; NULL: of the parameters' values. */
static void copy_own(const kd_optimizer *optimizer, float *to, const float *from)
{
    int64_t at = 0;
    for (int64_t i = 0; i < optimizer->piece_count; i++) {
        const kd__piece *piece = &optimizer->pieces[i];
        const float *values = optimizer->parameters[piece->parameter].values + piece->first;
        if (piece->is_others) continue;
        memcpy(to + at, from ? from + piece->state : values, (size_t)piece->count * sizeof *to);
        at += piece->count;
    }
}

static void place_own(kd_optimizer *optimizer)
{
    int64_t at = 0;
    for (int64_t i = 0; i < optimizer->piece_count; i++) {
        kd__piece *piece = &optimizer->pieces[i];
        piece->state = piece->is_others ? -1 : at;
        at += piece->is_others ? 0 : piece->count;
    }
    optimizer->state_count = at;
}

kd_status kd__optimizer_keep_own(kd_optimizer *optimizer)
{
    kd_context *context = optimizer->object.context;
    float **blocks[] = { &optimizer->first, &optimizer->second, &optimizer->average };
    float *made[3] = { NULL };
    kd_status status = KD_OK;
    if (!has_others(optimizer)) return kd__optimizer_prepare(optimizer);
    const int64_t own = own_numbers(optimizer);
    for (int i = 0; i < 3 && status == KD_OK; i++)
        if (kd__optimizer_wants(optimizer, i)) status = KD_NEW(context, &made[i], own + 1);
    for (int i = 0; i < 3; i++) {
        if (!made[i]) continue;
        if (status != KD_OK) {
            kd__release(context, made[i]);
            continue;
        }
        if (*blocks[i] || i == 2) copy_own(optimizer, made[i], *blocks[i]);
        kd__release(context, *blocks[i]);
        *blocks[i] = made[i];
    }
    if (status != KD_OK) return status;
    place_own(optimizer);
    optimizer->ready = 1;
    return KD_OK;
}
