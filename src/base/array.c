/* Checks, conversions and copies of kd_array views. Files of arrays are in formats/. */
#include "base/array.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
    int integer;
} dtypes[] = {
    { "none", 0, 0 },     { "float32", 4, 0 }, { "float64", 8, 0 }, { "float16", 2, 0 },
    { "bfloat16", 2, 0 }, { "int8", 1, 1 },    { "int16", 2, 1 },   { "int32", 4, 1 },
    { "int64", 8, 1 },    { "uint8", 1, 1 },   { "uint16", 2, 1 },  { "uint32", 4, 1 },
    { "uint64", 8, 1 },
};

static int known(int32_t dtype) { return dtype >= KD_FLOAT32 && dtype <= KD_UINT64; }
size_t kd_dtype_bytes(int32_t dtype) { return known(dtype) ? dtypes[dtype].size : 0; }
const char *kd__dtype_name(int32_t dtype)
{
    return known(dtype) ? dtypes[dtype].name : "an unknown dtype";
}
int kd__dtype_is_integer(int32_t dtype) { return known(dtype) && dtypes[dtype].integer; }

int64_t kd_array_count(const kd_array *array)
{
    int64_t count = 1;
    if (!array || !known(array->dtype) || array->rank < 0 || array->rank > KD_ARRAY_MAX_RANK)
        return -1;
    for (int32_t i = 0; i < array->rank; i++)
        if (array->dims[i] < 0 || __builtin_mul_overflow(count, array->dims[i], &count)) return -1;
    return count > INT64_MAX / 8 ? -1 : count;
}

/* Dims that hold a 0 or come from a hostile header may be too large for a stride: it is not used
 * then, and must not trap. */
static int64_t wrapping_product(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

void kd__array_view(kd_array *view, void *data, int32_t dtype, int32_t rank, const int64_t *dims)
{
    memset(view, 0, sizeof *view);
    view->data = data;
    view->dtype = dtype;
    view->rank = rank;
    for (int32_t i = rank - 1; i >= 0; i--) {
        view->dims[i] = dims[i];
        view->strides[i] = i == rank - 1 ? 1 : wrapping_product(view->strides[i + 1], dims[i + 1]);
    }
}

kd_status kd_array_init(kd_array *array, void *data, int32_t dtype, int32_t rank,
                        const int64_t *dims)
{
    KD_NEED(array);
    KD_FAIL_IF(!known(dtype), KD_ERR_INVALID,
               "dtype: expected a constant such as KD_FLOAT32, got %d", dtype);
    KD_FAIL_IF(rank < 0 || rank > KD_ARRAY_MAX_RANK, KD_ERR_INVALID,
               "rank: expected 0 to %d, got %d", KD_ARRAY_MAX_RANK, rank);
    KD_FAIL_IF(rank && !dims, KD_ERR_INVALID, "dims: expected %d sizes, got NULL", rank);
    kd_array made;
    memset(&made, 0, sizeof made);
    made.dtype = dtype;
    made.rank = rank;
    for (int32_t i = 0; i < rank; i++) {
        KD_FAIL_IF(dims[i] < 0, KD_ERR_INVALID, "dims[%d]: expected 0 or more, got %lld", i,
                   (long long)dims[i]);
        made.dims[i] = dims[i];
    }
    KD_FAIL_IF(kd_array_count(&made) < 0, KD_ERR_RANGE, "the array's size does not fit in 64 bits");
    kd__array_view(array, data, dtype, rank, made.dims);
    return KD_OK;
}

static int all_zero(const kd_array *array)
{
    for (int32_t i = 0; i < array->rank; i++)
        if (array->strides[i]) return 0;
    return 1;
}

kd_status kd__array_check(const kd_array *array, const char *what)
{
    KD_FAIL_IF(!array, KD_ERR_INVALID, "%s: expected an array, got NULL", what);
    KD_FAIL_IF(!known(array->dtype), KD_ERR_DTYPE,
               "%s: expected a dtype such as KD_FLOAT32, got %d", what, array->dtype);
    KD_FAIL_IF(array->rank < 0 || array->rank > KD_ARRAY_MAX_RANK, KD_ERR_SHAPE,
               "%s: expected a rank of 0 to %d, got %d", what, KD_ARRAY_MAX_RANK, array->rank);
    KD_FAIL_IF(array->device, KD_ERR_UNSUPPORTED, "%s: expected device 0 (host memory), got %d",
               what, array->device);
    int64_t count = kd_array_count(array);
    KD_FAIL_IF(count < 0, KD_ERR_SHAPE,
               "%s: expected dims of 0 or more and a size that fits in 64 bits", what);
    KD_FAIL_IF(count > 0 && !array->data, KD_ERR_INVALID,
               "%s: expected data for %lld values, got NULL", what, (long long)count);
    return KD_OK;
}

kd_status kd__array_check_float32(const kd_array *array, const char *what)
{
    KD_TRY(kd__array_check(array, what));
    const int contiguous = kd__array_contiguous(array);
    KD_FAIL_IF(array->dtype != KD_FLOAT32 || !contiguous, KD_ERR_DTYPE,
               "%s: expected contiguous float32, got %s%s", what, contiguous ? "" : "strided ",
               kd__dtype_name(array->dtype));
    return KD_OK;
}

int kd__array_contiguous(const kd_array *array)
{
    int64_t expected = 1;
    if (all_zero(array)) return 1;
    for (int32_t i = array->rank - 1; i >= 0; i--) {
        if (array->dims[i] != 1 && array->strides[i] != expected) return 0;
        expected = wrapping_product(expected, array->dims[i]);
    }
    return 1;
}

int64_t kd__array_row(const kd_array *array)
{
    int64_t row = 1;
    for (int32_t i = 1; i < array->rank; i++) row = wrapping_product(row, array->dims[i]);
    return row;
}

/* IEEE half to float: exponent and fraction moved, subnormals by arithmetic. */
static float from_float16(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31,
             fraction = bits & 1023, word;
    float value;
    if (exponent == 0) {
        value = ldexpf((float)fraction, -24);
        return sign ? -value : value;
    }
    word = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    memcpy(&value, &word, 4);
    return value;
}

static uint16_t to_bfloat16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40); /* NaN stays one */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t to_float16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return sign | 0x7e00;
    if (bits >= 0x477ff000) return sign | 0x7c00; /* 65520 and more round to infinity */
    if (bits < 0x33000001) return sign;           /* at most half of the smallest number */
    const int32_t exponent = (int32_t)(bits >> 23) - 127;
    uint32_t mantissa = (bits & 0x7fffff) | 0x800000;
    const int32_t shift = exponent < -14 ? 13 + (-14 - exponent) : 13;
    const uint32_t half = 1u << (shift - 1), rest = mantissa & ((1u << shift) - 1);
    mantissa >>= shift;
    mantissa += rest > half || (rest == half && (mantissa & 1));
    return (uint16_t)(sign |
                      (exponent < -14 ? mantissa
                                      : mantissa - 0x400 + ((uint32_t)(exponent + 15) << 10)));
}

void kd__convert_from_float32(void *to, int32_t dtype, const float *from, int64_t count)
{
    uint16_t *half = to;
    if (dtype == KD_FLOAT32) memcpy(to, from, (size_t)count * sizeof *from);
    else
        for (int64_t i = 0; i < count; i++)
            half[i] = dtype == KD_FLOAT16 ? to_float16(from[i]) : to_bfloat16(from[i]);
}

static float from_bfloat16(uint16_t bits)
{
    uint32_t word = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &word, 4);
    return value;
}

#define EACH(type, expression)                                                                     \
    for (int64_t i = 0; i < count; i++) {                                                          \
        type x;                                                                                    \
        memcpy(&x, (const char *)from + (size_t)i * sizeof x, sizeof x);                           \
        to[i] = expression;                                                                        \
    }                                                                                              \
    break

void kd__convert_float32(float *to, const void *from, int32_t dtype, int64_t count, double scale,
                         double shift)
{
    float a = (float)scale, b = (float)shift;
    switch (dtype) {
    case KD_FLOAT32:
        if (scale == 1 && shift == 0) {
            memcpy(to, from, (size_t)count * 4);
            break;
        }
        EACH(float, x *a + b);
    case KD_FLOAT64: EACH(double, (float)(x * scale + shift));
    case KD_FLOAT16: EACH(uint16_t, from_float16(x) * a + b);
    case KD_BFLOAT16: EACH(uint16_t, from_bfloat16(x) * a + b);
    case KD_INT8: EACH(int8_t, (float)x * a + b);
    case KD_INT16: EACH(int16_t, (float)x * a + b);
    case KD_INT32: EACH(int32_t, (float)(x * scale + shift));
    case KD_INT64: EACH(int64_t, (float)((double)x * scale + shift));
    case KD_UINT8: EACH(uint8_t, (float)x * a + b);
    case KD_UINT16: EACH(uint16_t, (float)x * a + b);
    case KD_UINT32: EACH(uint32_t, (float)(x * scale + shift));
    case KD_UINT64: EACH(uint64_t, (float)((double)x * scale + shift));
    default: break;
    }
}

void kd__convert_int64(int64_t *to, const void *from, int32_t dtype, int64_t count)
{
    switch (dtype) {
    case KD_INT8: EACH(int8_t, x);
    case KD_INT16: EACH(int16_t, x);
    case KD_INT32: EACH(int32_t, x);
    case KD_INT64: EACH(int64_t, x);
    case KD_UINT8: EACH(uint8_t, x);
    case KD_UINT16: EACH(uint16_t, x);
    case KD_UINT32: EACH(uint32_t, x);
    case KD_UINT64: EACH(uint64_t, (int64_t)x);
    default: break;
    }
}

/* Calls `run` for each innermost run of elements that lie `stride` apart, in C order. */
static void each_run(const kd_array *array,
                     void (*run)(void *user, const char *from, int64_t stride, int64_t count),
                     void *user)
{
    size_t size = kd_dtype_bytes(array->dtype);
    int64_t index[KD_ARRAY_MAX_RANK] = { 0 }, strides[KD_ARRAY_MAX_RANK];
    kd_array whole;
    kd__array_view(&whole, array->data, array->dtype, array->rank, array->dims);
    memcpy(strides, all_zero(array) ? whole.strides : array->strides, sizeof strides);
    int32_t last = array->rank - 1;
    if (kd_array_count(array) == 0) return;
    if (array->rank == 0) {
        run(user, array->data, 1, 1);
        return;
    }
    for (;;) {
        int64_t offset = 0;
        for (int32_t i = 0; i < last; i++) offset += index[i] * strides[i];
        run(user, (const char *)array->data + offset * (int64_t)size, strides[last],
            array->dims[last]);
        int32_t i = last - 1;
        while (i >= 0 && ++index[i] == array->dims[i]) index[i--] = 0;
        if (i < 0) return;
    }
}

typedef struct {
    char *to;
    int32_t dtype;
    size_t to_size;
} conversion;

static void convert_element(conversion *c, const char *from)
{
    if (c->to_size == 0) memcpy(c->to, from, kd_dtype_bytes(c->dtype));
    else if (c->to_size == 4) kd__convert_float32((float *)(void *)c->to, from, c->dtype, 1, 1, 0);
    else kd__convert_int64((int64_t *)(void *)c->to, from, c->dtype, 1);
}

static void convert_run(void *user, const char *from, int64_t stride, int64_t count)
{
    conversion *c = user;
    size_t size = kd_dtype_bytes(c->dtype), step = c->to_size ? c->to_size : size;
    if (stride == 1) {
        if (c->to_size == 0) memcpy(c->to, from, (size_t)count * size);
        else if (c->to_size == 4)
            kd__convert_float32((float *)(void *)c->to, from, c->dtype, count, 1, 0);
        else kd__convert_int64((int64_t *)(void *)c->to, from, c->dtype, count);
        c->to += (size_t)count * step;
        return;
    }
    for (int64_t i = 0; i < count; i++, c->to += step)
        convert_element(c, from + i * stride * (int64_t)size);
}

void kd__array_copy(const kd_array *array, void *to)
{
    conversion c = { to, array->dtype, 0 };
    each_run(array, convert_run, &c);
}

kd_status kd__array_to_float32(const kd_array *array, float *to, const char *what)
{
    KD_TRY(kd__array_check(array, what));
    conversion c = { (char *)to, array->dtype, 4 };
    each_run(array, convert_run, &c);
    return KD_OK;
}

kd_status kd__array_to_int64(const kd_array *array, int64_t *to, const char *what)
{
    KD_TRY(kd__array_check(array, what));
    KD_FAIL_IF(!kd__dtype_is_integer(array->dtype), KD_ERR_DTYPE, "%s: expected integers, got %s",
               what, kd__dtype_name(array->dtype));
    conversion c = { (char *)to, array->dtype, 8 };
    each_run(array, convert_run, &c);
    return KD_OK;
}
