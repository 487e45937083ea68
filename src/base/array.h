/* Checks and conversions of kd_array. */
#ifndef KD_BASE_ARRAY_H
#define KD_BASE_ARRAY_H

#include <kdistill/array.h>

#include "base/status.h"

/* Valid description: dtype, rank, dims, device 0, data unless empty. `what` begins the message. */
kd_status kd__array_check(const kd_array *array, const char *what);
/* The same, of contiguous float32. */
kd_status kd__array_check_float32(const kd_array *array, const char *what);
int kd__array_contiguous(const kd_array *array);
/* Elements of one step along dims[0] (the product of the other dims). */
int64_t kd__array_row(const kd_array *array);
/* Copies all elements, any strides, converted; float32 or int64 in C order. Floats to int64 only
 * when whole. */
kd_status kd__array_to_float32(const kd_array *array, float *to, const char *what);
kd_status kd__array_to_int64(const kd_array *array, int64_t *to, const char *what);
/* Copies all elements in C order without conversion. */
void kd__array_copy(const kd_array *array, void *to);
const char *kd__dtype_name(int32_t dtype);
int kd__dtype_is_integer(int32_t dtype);
/* `count` numbers of a dtype, contiguous, to float32: value * scale + shift. */
void kd__convert_float32(float *to, const void *from, int32_t dtype, int64_t count, double scale,
                         double shift);
/* float32 to KD_FLOAT32, KD_FLOAT16 or KD_BFLOAT16, to nearest, ties to even. */
void kd__convert_from_float32(void *to, int32_t dtype, const float *from, int64_t count);
/* `count` integers to int64. */
void kd__convert_int64(int64_t *to, const void *from, int32_t dtype, int64_t count);
/* Fills a view of contiguous memory. */
void kd__array_view(kd_array *view, void *data, int32_t dtype, int32_t rank, const int64_t *dims);

#endif
