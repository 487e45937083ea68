/* kdistill/array.h - views of arrays that somebody else owns.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  float points[32 * 10];
 *   2.  kd_array view = KD_ARRAY_2D(points, KD_FLOAT32, 32, 10);
 *   3.  kd_batch_set(batch, "inputs", &view, NULL);
 *
 * A kd_array is a plain description (pointer, dtype, dims, strides) that maps to numpy and DLPack
 * without a copy. The library never keeps the pointer after a call returns, unless the function's
 * name contains "borrow". */
#ifndef KDISTILL_ARRAY_H
#define KDISTILL_ARRAY_H

#include <kdistill/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Element types. */
#define KD_FLOAT32 1
#define KD_FLOAT64 2
#define KD_FLOAT16 3
#define KD_BFLOAT16 4
#define KD_INT8 5
#define KD_INT16 6
#define KD_INT32 7
#define KD_INT64 8
#define KD_UINT8 9
#define KD_UINT16 10
#define KD_UINT32 11
#define KD_UINT64 12

#define KD_ARRAY_MAX_RANK 8

typedef struct kd_array {
    void *data;                         /* first element; may be NULL only if some dim is 0 */
    int32_t dtype;                      /* KD_FLOAT32 ... */
    int32_t rank;                       /* 0 (a single number) to KD_ARRAY_MAX_RANK */
    int64_t dims[KD_ARRAY_MAX_RANK];    /* dims[0] is the slowest */
    int64_t strides[KD_ARRAY_MAX_RANK]; /* in elements; all zero: contiguous, row-major */
    int32_t device;                     /* 0: host memory; nothing else is accepted yet */
    int32_t reserved0;                  /* 0 */
    uint64_t reserved[3];               /* 0 */
} kd_array;

/* Initializers: kd_array x = KD_ARRAY_2D(data, KD_FLOAT32, rows, cols); */
#define KD_ARRAY_1D(data, dtype, n)                                                                \
    {                                                                                              \
        (void *)(data), (dtype), 1, { (n), 0, 0, 0, 0, 0, 0, 0 }, { 1, 0, 0, 0, 0, 0, 0, 0 }, 0,   \
            0,                                                                                     \
        {                                                                                          \
            0, 0, 0                                                                                \
        }                                                                                          \
    }
#define KD_ARRAY_2D(data, dtype, rows, cols)                                                       \
    {                                                                                              \
        (void *)(data), (dtype), 2, { (rows), (cols), 0, 0, 0, 0, 0, 0 },                          \
            { (cols), 1, 0, 0, 0, 0, 0, 0 }, 0, 0,                                                 \
        {                                                                                          \
            0, 0, 0                                                                                \
        }                                                                                          \
    }

/* Describes a contiguous array: data, dtype and `rank` dims.
 * - KD_ERR_INVALID: unknown dtype, rank above KD_ARRAY_MAX_RANK, negative dim.
 * - KD_ERR_RANGE: the number of bytes does not fit in int64. */
KD_API kd_status kd_array_init(kd_array *array, void *data, int32_t dtype, int32_t rank,
                               const int64_t *dims);

/* The number of elements, or -1 if the description is not valid. */
KD_API int64_t kd_array_count(const kd_array *array);

/* The size of one element of a dtype in bytes; 0 for an unknown dtype. */
KD_API size_t kd_dtype_bytes(int32_t dtype);

#ifdef __cplusplus
}
#endif
#endif
