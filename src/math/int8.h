/* Products of 8-bit numbers: both sides in groups of inputs with a scale each, sums of a group in
 * 32-bit integers, groups added up in float. A row's bits do not depend on the rows beside it.
 * Inputs may be smoothed [Xiao et al. 2023]: x W' = (x / s) (W s)' for a number s of each input, so
 * that neither side has numbers far larger than their neighbors. Many smoothed ones do with larger
 * groups, whose sums are scaled half as often. */
#ifndef KD_MATH_INT8_H
#define KD_MATH_INT8_H

#include <kdistill/context.h>

#include "base/status.h"

#define KD__INT8_GROUP 64
#define KD__INT8_SMOOTH_GROUP 128
#define KD__INT8_MANY 512 /* inputs */

/* W (outputs, inputs) as q s, s = max |w| / 127 of a group. Panels of 32 outputs:
 * values[panel][input / 4][output][4], scales and corrections [panel][group][output]; a correction
 * is -128 sum q, for activations are stored as numbers + 128. */
typedef struct kd__int8 {
    int64_t outputs, inputs, panels, groups;
    int64_t group; /* inputs of one; the last may have fewer */
    int64_t deep;  /* inputs, up to a multiple of KD__INT8_GROUP */
    int8_t *values;
    float *scales;
    int32_t *corrections;
    float *inverse; /* (inputs): 1 / s; NULL: inputs are as they are */
} kd__int8;

/* smooth 1: with the numbers s. */
int64_t kd__int8_bytes(int64_t outputs, int64_t inputs, int smooth);
/* s (inputs), above 0, or NULL. */
kd_status kd__int8_make(kd__int8 *q, kd_context *context, const float *w, int64_t outputs,
                        int64_t inputs, const float *s);
void kd__int8_free(kd__int8 *q, kd_context *context);
/* The same in steps: room for W, then `rows` rows of it from row `first` on. */
kd_status kd__int8_begin(kd__int8 *q, kd_context *context, int64_t outputs, int64_t inputs,
                         const float *s);
void kd__int8_fill(kd__int8 *q, kd_context *context, const float *w, int64_t first, int64_t rows,
                   const float *s);
/* A row of W as float32, as it was before it was smoothed. */
void kd__int8_row(const kd__int8 *q, int64_t row, float *to);

/* Floats of scratch that a product of so many rows takes. */
int64_t kd__int8_scratch(int64_t rows, int64_t inputs);
/* y (rows, outputs) = x W' */
kd_status kd__int8_product(kd_context *context, const kd__int8 *q, const float *x, int64_t rows,
                           float *y);

#endif
