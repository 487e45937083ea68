/* How numbers lie in a record: top-k rows, and quantized vectors. docs/store-format.md has every
 * bit. */
#ifndef KD_STORE_CODEC_H
#define KD_STORE_CODEC_H

#include "core/store/bits.h"

/* ---- top-k ---- */

/* log-probabilities go through a curve whose steps are STEP / sqrt(p), at most STEP_MOST: what each
 * adds to the divergence is then alike. Codes 0 .. KD__CURVE - 1; the last stands for probability
 * 0. */
#define KD__CURVE 1024
typedef struct kd__curve {
    float log_p[KD__CURVE];
} kd__curve;
void kd__curve_make(kd__curve *curve);

void kd__topk_codes(int64_t k, const float *log_p, uint32_t *codes);

/* One row: ids rise. Appends its bits; `tails`: logs of the mass outside at every temperature of
 * the store. */
void kd__topk_encode(kd__bits_out *out, int64_t vocabulary, int64_t k, const uint32_t *ids,
                     const uint32_t *codes, int32_t tail_count, const float *tails);
/* Bits that encoding would append. */
int64_t kd__topk_bits(int64_t vocabulary, int64_t k, const uint32_t *ids, const uint32_t *codes,
                      int32_t tail_count);
/* Entries of the next row; -1: more than the vocabulary, or than bits are left (each takes one at
 * least). */
int64_t kd__topk_count(kd__bits_in *in, int64_t vocabulary);
/* Then the `k` entries. Ids rise and lie below the vocabulary whatever the bits say. */
void kd__topk_decode(kd__bits_in *in, const kd__curve *curve, int64_t vocabulary, int64_t k,
                     uint32_t *ids, float *log_p, int32_t tail_count, float *tails);

/* Counts of draws: ids as above, counts - 1 in Rice codes. */
void kd__counts_encode(kd__bits_out *out, int64_t vocabulary, int64_t k, const uint32_t *ids,
                       const float *counts);
int64_t kd__counts_count(kd__bits_in *in, int64_t vocabulary);
void kd__counts_decode(kd__bits_in *in, int64_t vocabulary, int64_t k, uint32_t *ids,
                       float *counts);
/* At most so many bytes a row of k entries takes. */
int64_t kd__row_room(int64_t k);

/* ---- vectors ---- */

/* A fixed orthogonal map of d numbers: signs from the seed, then a Hadamard transform over the
 * first 2^m and over the last 2^m. */
void kd__rotate(float *x, int64_t d, uint64_t seed);
void kd__unrotate(float *x, int64_t d, uint64_t seed);

/* of a row that is quantized, and of its scale: squares stay within float32 */
#define KD__MOST_QUANTIZED 1e18f
#define KD__LEAST_QUANTIZED 1e-30f /* rows below it become zeros */
/* d numbers at `bits` (3 to 8) with one float32 scale in front: kd__quantized_bytes(d, bits)
 * bytes. */
int64_t kd__quantized_bytes(int64_t d, int32_t bits);
void kd__quantize(const float *x, int64_t d, int32_t bits, uint8_t *to);
void kd__dequantize(const uint8_t *from, int64_t d, int32_t bits, float *x);

/* float32 to 16 bits, rounded to even. */
uint16_t kd__half_of(float x);
uint16_t kd__bfloat16_of(float x);

/* y = P x, P (to, from) of random signs / sqrt(to). */
void kd__project(const float *x, int64_t from, float *y, int64_t to, uint64_t seed);

#endif
