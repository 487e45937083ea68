/* Keys and values of new tokens into the cache's blocks, in the numbers that it keeps. */
#include <string.h>

#include "language/generator/generate.h"
#include "math/kernels.h"

/* A column of a panel: `count` numbers of `size` bytes, `step` apart. */
static void place_column(char *to, int64_t step, const char *from, int64_t count, int64_t size)
{
    if (size == 4)
        for (int64_t p = 0; p < count; p++) memcpy(to + p * step * 4, from + p * 4, 4);
    else if (size == 2)
        for (int64_t p = 0; p < count; p++) memcpy(to + p * step * 2, from + p * 2, 2);
    else
        for (int64_t p = 0; p < count; p++) to[p * step] = from[p];
}

/* A row's key as a column of the block's panel, its value as a row of the panels of values. */
static void place_token(const kd__cache *c, char *keys, int64_t token, const char *k, const char *v)
{
    const int64_t b = c->block_tokens, d = c->width, size = c->size;
    const int64_t columns = c->context->kernels->tile_columns;
    char *values = keys + b * d * size;
    place_column(keys + token * size, b, k, d, size);
    for (int64_t p = 0; p < d; p += columns) {
        const int64_t numbers = kd__min(d - p, columns);
        memcpy(values + (p * b + token * columns) * size, v + p * size, (size_t)(numbers * size));
    }
}

/* A scale is a bfloat16 number already: its upper half tells it. */
static uint16_t upper_half(float scale)
{
    uint32_t bits;
    memcpy(&bits, &scale, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* Keys are rotated, rounded to 8 bits with a scale a token; values are rounded. */
static void put_eight(const kd__cache *c, void *head, int64_t token, const float *k, const float *v,
                      float *scratch)
{
    const kd__kernels *kernels = c->context->kernels;
    const int64_t d = c->width;
    uint16_t *scales = kd__cache_scales(c, head);
    int8_t *codes = (int8_t *)(scratch + d);
    memcpy(scratch, k, (size_t)d * sizeof *k);
    kernels->hadamard(scratch, d, kd__cache_rotation(c));
    scales[token] = upper_half(kernels->round_eight(scratch, d, codes));
    scales[c->block_tokens + token] = upper_half(kernels->round_eight(v, d, codes + d));
    place_token(c, head, token, (const char *)codes, (const char *)codes + d);
}

void kd__cache_put(const kd__cache *c, void *head, int64_t token, const float *k, const float *v,
                   float *scratch)
{
    const kd__kernels *kernels = c->context->kernels;
    char *narrow = (char *)(void *)scratch;
    if (c->dtype == KD_INT8) {
        put_eight(c, head, token, k, v, scratch);
        return;
    }
    if (c->dtype == KD_FLOAT32) {
        place_token(c, head, token, (const char *)k, (const char *)v);
        return;
    }
    kernels->narrow(c->dtype, k, c->width, narrow);
    kernels->narrow(c->dtype, v, c->width, narrow + c->width * c->size);
    place_token(c, head, token, narrow, narrow + c->width * c->size);
}
