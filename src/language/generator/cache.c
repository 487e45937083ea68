/* Keys and values of running sequences. */
#include <string.h>

#include "language/generator/generate.h"
#include "math/kernels.h"

void kd__cache_size(kd__cache *c, const kd_context *context, const kd__trunk_config *d,
                    int64_t tokens, int32_t dtype)
{
    const int64_t columns = context->kernels->tile_columns;
    c->block_tokens = columns;
    c->blocks = kd__ceil_div(tokens, columns);
    c->width = d->width;
    c->kv_heads = d->kv_heads;
    c->layers = d->layers;
    c->dtype = dtype;
    c->size = (int32_t)kd_dtype_bytes(dtype);
    c->head_numbers = columns * (d->width + kd__round_up(d->width, columns));
    c->head_bytes = c->head_numbers * c->size;
    if (dtype == KD_INT8) c->head_bytes += 2 * columns * (int64_t)sizeof(uint16_t);
}

int64_t kd__cache_bytes(const kd__cache *c)
{
    return c->layers * c->blocks * c->kv_heads * c->head_bytes;
}

kd_status kd__cache_make(kd__cache *c, kd_context *context)
{
    c->context = context;
    KD_TRY(KD_NEW(context, &c->block, c->blocks));
    return KD_NEW(context, &c->values, kd__cache_bytes(c));
}

void kd__cache_free(kd__cache *c)
{
    if (!c->context) return;
    kd__release(c->context, c->block);
    kd__release(c->context, c->values);
}

int64_t kd__cache_unused(const kd__cache *c)
{
    int64_t count = 0;
    for (int64_t i = 0; i < c->blocks; i++) count += !c->block[i].users;
    return count;
}

int32_t kd__cache_take(kd__cache *c)
{
    int64_t best = -1;
    for (int64_t i = 0; i < c->blocks; i++) {
        const kd__block *b = &c->block[i], *than = best < 0 ? NULL : &c->block[best];
        if (b->users || (than && (b->known > than->known ||
                                  (b->known == than->known && b->used_at >= than->used_at))))
            continue;
        best = i;
        if (!b->known) break;
    }
    if (best >= 0) c->block[best] = (kd__block){ .users = 1 };
    return (int32_t)best;
}

void kd__cache_drop(kd__cache *c, int32_t block) { c->block[block].users--; }

void kd__cache_forget(kd__cache *c)
{
    for (int64_t i = 0; i < c->blocks; i++) c->block[i].known = 0;
}

int32_t kd__cache_share(kd__cache *c, const uint64_t key[2], int64_t step)
{
    for (int64_t i = 0; i < c->blocks; i++) {
        kd__block *b = &c->block[i];
        if (!b->known || b->key[0] != key[0] || b->key[1] != key[1]) continue;
        b->users++;
        b->used_at = step;
        return (int32_t)i;
    }
    return -1;
}
