/* Products of float rows with weights of 4 bits, in the blocks that a GGUF file has of them: 32
 * inputs of an output share a float16 scale d, and a code c of 4 bits stands for d v(c). Rows are
 * rounded to 8 bits, 32 inputs a scale too. Sums of a group are whole numbers; groups are added up
 * in float, the first one first, by fused multiply-adds: every instruction set gives the same bits,
 * and a row's do not depend on the rows beside it. */
#ifndef KD_MATH_INT4_H
#define KD_MATH_INT4_H

#include <kdistill/block.h>

#include "base/status.h"

#define KD__INT4_GROUP 32  /* inputs */
#define KD__INT4_PANEL 32  /* outputs */
#define KD__INT4_BLOCK 576 /* bytes of a group of a panel */

/* W (outputs, inputs) in panels of 32 outputs: blocks[panel][group] is 32 scales, then
 * codes[input / 4][output % 16][4] of 8 bits: low 4 of output 0 .. 15, high 4 of 16 .. 31. */
typedef struct kd__int4 {
    int32_t format; /* KD_BLOCK_Q4_0 or KD_BLOCK_IQ4_NL */
    int64_t outputs, inputs, panels, groups;
    uint8_t *blocks;
} kd__int4;

static inline int kd__int4_has(int32_t format)
{
    return format == KD_BLOCK_Q4_0 || format == KD_BLOCK_IQ4_NL;
}
int64_t kd__int4_bytes(int64_t outputs, int64_t inputs);
/* Room for W; rows follow, in any order and number. */
kd_status kd__int4_begin(kd__int4 *q, kd_context *context, int32_t format, int64_t outputs,
                         int64_t inputs);
void kd__int4_free(kd__int4 *q, kd_context *context);
/* `rows` rows of W from row `first` on, rounded as kd_block_encode does. KD_ERR_RANGE: a number
 * that is not finite, or too large for a float16 scale; `name` is W's for the message. */
kd_status kd__int4_fill(kd__int4 *q, kd_context *context, const char *name, const float *w,
                        int64_t first, int64_t rows);
/* A row's blocks as a GGUF file has them. */
void kd__int4_fill_blocks(kd__int4 *q, int64_t row, const uint8_t *blocks);

/* A row of W as float32: what its blocks stand for. */
void kd__int4_row(const kd__int4 *q, int64_t row, float *to);

/* Floats of scratch that a product of so many rows takes. */
int64_t kd__int4_scratch(const kd_context *context, int64_t rows, int64_t inputs);
/* y (rows, outputs) = x W' */
kd_status kd__int4_product(kd_context *context, const kd__int4 *q, const float *x, int64_t rows,
                           float *y);

#endif
