/* Block formats, one room for all: a table of what each is and does. Numbers of a block share
 * scales; blocks are laid out as ggml has them, little-endian. */
#ifndef KD_BLOCKS_BLOCKS_H
#define KD_BLOCKS_BLOCKS_H

#include <kdistill/block.h>

#include "base/bytes.h"
#include "base/status.h"

enum { KD__BLOCK_MOST = 256 }; /* numbers of a block */

typedef struct kd__block_format {
    int32_t format;         /* KD_BLOCK_Q4_0 .. */
    int32_t numbers, bytes; /* of a block */
    int32_t group;          /* numbers with one range of values (ends) */
    /* of a block: where its codes begin, of 8 bits, or nibbles: all of a code or its low bits */
    int32_t codes_at, code_bits;
    const char *name;
    void (*decode)(const uint8_t *block, float *y);
    /* A row of n numbers. importance (n): what squared errors weigh; NULL: the format's own
     * weights. NULL: the format is only read. */
    void (*encode)(const float *x, int64_t n, const float *importance, uint8_t *to);
    /* Codes of other numbers for blocks whose scales stay. NULL: encode does not search. */
    void (*recode)(const float *x, int64_t n, uint8_t *blocks);
    /* The smallest and the largest value that the codes of a group have, each half a step further:
     * numbers between them have a code that is nearest, others are clipped. NULL: not known. */
    void (*ends)(const uint8_t *block, int32_t group, float *low, float *high);
} kd__block_format;

/* NULL: there is no such format. */
const kd__block_format *kd__block_find(int32_t format);
static inline int64_t kd__block_row_bytes(const kd__block_format *f, int64_t count)
{
    return count / f->numbers * f->bytes;
}
/* Names of the formats that are written, for messages. */
#define KD__BLOCKS_WRITTEN "Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, IQ4_NL"

/* Rows of blocks to float32. */
void kd__block_decode_row(const kd__block_format *f, const uint8_t *from, int64_t n, float *to);

/* What became of a row. */
typedef struct kd__block_report {
    double error, square; /* sums of squared errors, of squared numbers */
    int64_t vanished;     /* blocks of numbers other than 0 that became 0 */
    int32_t finite;       /* 0: a number, or its image, is not finite */
} kd__block_report;

/* Blocks of a row, back into `spare` (n), and what became of it. */
kd__block_report kd__block_encode_row(const kd__block_format *f, const float *x, int64_t n,
                                      const float *importance, uint8_t *to, float *spare);

/* ---- float16 scales ---- */

float kd__block_half(const uint8_t *at);
/* What the codes of IQ4_NL stand for: (16). */
extern const int8_t kd__block_uneven[16];
/* The scale as it is read again. */
float kd__block_put_half(uint8_t *to, float x);

/* ---- codes ---- */

/* x rounded to the nearest whole number, ties to even, within low .. high; NaN: low. Adding 1.5
 * 2^23 leaves no bits for a fraction. */
static inline int32_t kd__block_code(float x, float low, float high)
{
    const float shift = 12582912.0f;
    x = x > low ? x : low;
    x = x < high ? x : high;
    return (int32_t)((x + shift) - shift);
}

/* Two codes of 4 bits a byte: number j of 32 beside number j + 16. */
static inline void kd__block_put_nibbles(uint8_t *to, const uint8_t *codes)
{
    for (int j = 0; j < 16; j++) to[j] = (uint8_t)((codes[j] & 15) | codes[j + 16] << 4);
}

/* ---- searches: which scale has the least weighted squared error ---- */

enum { KD__GROUP_MOST = 32 };

/* x ~ scale (code - half), codes 0 .. 2 half - 1. weight NULL: x^2. */
float kd__block_fit_signed(const float *x, int n, int half, const float *weight, uint8_t *codes);

typedef struct kd__block_steps {
    float first, step; /* what is added to the codes' largest, in turn */
    int count;
} kd__block_steps;

/* x ~ scale code - *minimum, codes 0 .. most, *minimum 0 or more. */
float kd__block_fit_shifted(const float *x, int n, int most, const float *weight,
                            const kd__block_steps *steps, uint8_t *codes, float *minimum);

/* x ~ scale code of numbers 0 or more, codes 0 .. most. */
float kd__block_fit_positive(const float *x, int n, int most, const float *weight, uint8_t *codes);

/* Weights of a group: importance sqrt(spread + x^2). */
void kd__block_weights(const float *x, int n, const float *importance, float spread, float *to);
/* Mean of squares, in float as ggml adds them. */
float kd__block_mean_square(const float *x, int64_t n);

/* ---- the formats ---- */

void kd__q4_k_recode(const float *x, int64_t n, uint8_t *blocks);
void kd__q5_k_recode(const float *x, int64_t n, uint8_t *blocks);
void kd__iq4_nl_recode(const float *x, int64_t n, uint8_t *blocks);
void kd__q4_0_decode(const uint8_t *block, float *y);
void kd__q4_0_encode(const float *x, int64_t n, const float *importance, uint8_t *to);
void kd__q4_0_ends(const uint8_t *block, int32_t group, float *low, float *high);
void kd__q4_1_decode(const uint8_t *block, float *y);
void kd__q4_1_encode(const float *x, int64_t n, const float *importance, uint8_t *to);
void kd__q4_1_ends(const uint8_t *block, int32_t group, float *low, float *high);
void kd__q5_0_decode(const uint8_t *block, float *y);
void kd__q5_0_encode(const float *x, int64_t n, const float *importance, uint8_t *to);
void kd__q5_0_ends(const uint8_t *block, int32_t group, float *low, float *high);
void kd__q5_1_decode(const uint8_t *block, float *y);
void kd__q5_1_encode(const float *x, int64_t n, const float *importance, uint8_t *to);
void kd__q5_1_ends(const uint8_t *block, int32_t group, float *low, float *high);
void kd__q8_0_decode(const uint8_t *block, float *y);
void kd__q8_0_encode(const float *x, int64_t n, const float *importance, uint8_t *to);
void kd__q8_0_ends(const uint8_t *block, int32_t group, float *low, float *high);
void kd__q4_k_decode(const uint8_t *block, float *y);
void kd__q4_k_encode(const float *x, int64_t n, const float *importance, uint8_t *to);
void kd__q4_k_ends(const uint8_t *block, int32_t group, float *low, float *high);
void kd__q5_k_decode(const uint8_t *block, float *y);
void kd__q5_k_encode(const float *x, int64_t n, const float *importance, uint8_t *to);
void kd__q5_k_ends(const uint8_t *block, int32_t group, float *low, float *high);
void kd__q6_k_decode(const uint8_t *block, float *y);
void kd__q6_k_encode(const float *x, int64_t n, const float *importance, uint8_t *to);
void kd__q6_k_ends(const uint8_t *block, int32_t group, float *low, float *high);
void kd__iq4_nl_decode(const uint8_t *block, float *y);
void kd__iq4_nl_encode(const float *x, int64_t n, const float *importance, uint8_t *to);
void kd__iq4_nl_ends(const uint8_t *block, int32_t group, float *low, float *high);
void kd__iq4_xs_decode(const uint8_t *block, float *y);
void kd__mxfp4_decode(const uint8_t *block, float *y);
void kd__q2_k_decode(const uint8_t *block, float *y);
void kd__q3_k_decode(const uint8_t *block, float *y);

#endif
