/* kdistill/block.h - numbers in blocks of few bits, as ggml lays them out. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_block_bytes(KD_BLOCK_Q4_0, 4096)                how many bytes a row of 4096 takes
 *   2.  kd_block_encode(context, KD_BLOCK_Q4_0, &values, NULL, bytes, size);
 *   3.  kd_block_decode(context, KD_BLOCK_Q4_0, bytes, size, &values);
 *
 * A block is 32 numbers, or 256 in the formats _K and IQ4_XS, with its own scales. Blocks lie
 * along rows, so a row's length is a multiple of the block. Bits a number, and what a number is:
 *
 *   Q4_0    4.5    d q, q -8 .. 7
 *   Q4_1    5      d q + m, q 0 .. 15
 *   Q5_0    5.5    d q, q -16 .. 15
 *   Q5_1    6      d q + m, q 0 .. 31
 *   Q8_0    8.5    d q, q -127 .. 127
 *   Q4_K    4.5    d s q - m n, q 0 .. 15; s, n: 6 bits for each 32 of 256
 *   Q5_K    5.5    the same, q 0 .. 31
 *   Q6_K    6.56   d s q, q -32 .. 31; s: 8 bits for each 16 of 256
 *   IQ4_NL  4.5    d t(q), t: 16 numbers that lie closer near 0
 *   Q2_K 2.63, Q3_K 3.44, IQ4_XS 4.25, MXFP4 4.25: read only */
#ifndef KDISTILL_BLOCK_H
#define KDISTILL_BLOCK_H

#include <kdistill/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Formats: ggml's number of the type + 256. */
#define KD_BLOCK_Q4_0 258
#define KD_BLOCK_Q4_1 259
#define KD_BLOCK_Q5_0 262
#define KD_BLOCK_Q5_1 263
#define KD_BLOCK_Q8_0 264
#define KD_BLOCK_Q2_K 266
#define KD_BLOCK_Q3_K 267
#define KD_BLOCK_Q4_K 268
#define KD_BLOCK_Q5_K 269
#define KD_BLOCK_Q6_K 270
#define KD_BLOCK_IQ4_NL 276
#define KD_BLOCK_IQ4_XS 279
#define KD_BLOCK_MXFP4 295

/* Bytes of `count` numbers of a format; 0: no such format, or count is no whole number of
 * blocks. */
KD_API int64_t kd_block_bytes(int32_t format, int64_t count);

/* Writes `values`, contiguous float32 (rows, n) or (n), as blocks, row by row.
 * - importance: (n) float32, 0 or more: what the squared errors of each column weigh in the search
 *   for scales, as llama.cpp's importance matrices say. NULL: none.
 * - bytes, size: the caller's, size = kd_block_bytes(format, rows * n).
 * Equal to ggml's own bytes for Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0; the others search, and may differ
 * from ggml in the last bits of sums that decide between two candidates of the same error.
 * Errors: KD_ERR_UNSUPPORTED (a format that is only read), KD_ERR_SHAPE, KD_ERR_RANGE (a number
 * that is not finite, or scales beyond float16: nothing is written). */
KD_API kd_status kd_block_encode(kd_context *context, int32_t format, const kd_array *values,
                                 const kd_array *importance, void *bytes, int64_t size);

/* Reads blocks into `values`, contiguous float32, whose count the bytes must have. */
KD_API kd_status kd_block_decode(kd_context *context, int32_t format, const void *bytes,
                                 int64_t size, kd_array *values);

#ifdef __cplusplus
}
#endif
#endif
