/* Innermost loops of products with weights of 4 bits: a few rows times a panel of 32 outputs. */
#ifndef KD_MATH_INT4_TILES_H
#define KD_MATH_INT4_TILES_H

#include <kdistill/context.h>

#include "math/int4.h"

#define KD__INT4_HIGH 4 /* rows of a tile */

/* What the 16 codes of a format stand for; the same + offset, from 0 on. */
typedef struct kd__int4_code {
    const int8_t *value; /* (16) */
    uint8_t shifted[16];
    int32_t offset;
} kd__int4_code;
const kd__int4_code *kd__int4_code_of(int32_t format);

/* y[i][j] = sum over groups of d[group][j] by[i][group] sum_k a[k][i] v(code[k][j]) */
typedef struct kd__int4_tile {
    const kd__int4_code *code;
    int64_t groups;
    int64_t rows;          /* that are wanted: 1, or up to KD__INT4_HIGH */
    const int8_t *a;       /* [input / 4][row][4], always KD__INT4_HIGH rows */
    const float *by;       /* (KD__INT4_HIGH, groups) */
    const int32_t *sums;   /* (KD__INT4_HIGH, groups): of a group's inputs */
    const uint8_t *blocks; /* (groups, KD__INT4_BLOCK) */
    /* the panel as kd__int4_widen leaves it; NULL: it is read from the blocks */
    const uint8_t *wide;
} kd__int4_tile;
typedef void kd__int4_function(const kd__int4_tile *t, float y[KD__INT4_HIGH][KD__INT4_PANEL]);

typedef struct kd__int4_kernels {
    kd__int4_function *tile;
    /* A panel's codes as bytes, shifted: [input / 4][output][4]; for many rows. NULL: no gain. */
    void (*widen)(const kd__int4_tile *t, uint8_t *to);
    /* Whole numbers of a group, x inverse rounded, ties to even; their sum. */
    int32_t (*round)(const float *x, int64_t n, float inverse, int8_t *to);
} kd__int4_kernels;
/* Those of the context's instruction set. */
const kd__int4_kernels *kd__int4_choose(const kd_context *context);

#endif
