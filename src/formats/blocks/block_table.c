/* The table of block formats, rows of blocks, and the calls of block.h. */
#include "formats/blocks/blocks.h"

#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/numbers.h"

#define BOTH(name) kd__##name##_decode, kd__##name##_encode, NULL, kd__##name##_ends
#define KEEP(name) kd__##name##_decode, kd__##name##_encode, kd__##name##_recode, kd__##name##_ends
#define READ(name) kd__##name##_decode, NULL, NULL, NULL

static const kd__block_format formats[] = {
    { KD_BLOCK_Q4_0, 32, 18, 32, 2, 4, "Q4_0", BOTH(q4_0) },
    { KD_BLOCK_Q4_1, 32, 20, 32, 4, 4, "Q4_1", BOTH(q4_1) },
    { KD_BLOCK_Q5_0, 32, 22, 32, 6, 4, "Q5_0", BOTH(q5_0) },
    { KD_BLOCK_Q5_1, 32, 24, 32, 8, 4, "Q5_1", BOTH(q5_1) },
    { KD_BLOCK_Q8_0, 32, 34, 32, 2, 8, "Q8_0", BOTH(q8_0) },
    { KD_BLOCK_Q2_K, 256, 84, 16, 0, 0, "Q2_K", READ(q2_k) },
    { KD_BLOCK_Q3_K, 256, 110, 16, 0, 0, "Q3_K", READ(q3_k) },
    { KD_BLOCK_Q4_K, 256, 144, 32, 16, 4, "Q4_K", KEEP(q4_k) },
    { KD_BLOCK_Q5_K, 256, 176, 32, 48, 4, "Q5_K", KEEP(q5_k) },
    { KD_BLOCK_Q6_K, 256, 210, 16, 0, 4, "Q6_K", BOTH(q6_k) },
    { KD_BLOCK_IQ4_NL, 32, 18, 32, 2, 4, "IQ4_NL", KEEP(iq4_nl) },
    { KD_BLOCK_IQ4_XS, 256, 136, 32, 0, 0, "IQ4_XS", READ(iq4_xs) },
    { KD_BLOCK_MXFP4, 32, 17, 32, 0, 0, "MXFP4", READ(mxfp4) },
};

const kd__block_format *kd__block_find(int32_t format)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].format == format) return &formats[i];
    return NULL;
}

float kd__block_half(const uint8_t *at)
{
    const uint16_t bits = kd__get16(at);
    float value;
    kd__convert_float32(&value, &bits, KD_FLOAT16, 1, 1, 0);
    return value;
}

float kd__block_put_half(uint8_t *to, float x)
{
    uint16_t bits;
    kd__convert_from_float32(&bits, KD_FLOAT16, &x, 1);
    kd__put16(to, bits);
    return kd__block_half(to);
}

/* ---- rows ---- */

void kd__block_decode_row(const kd__block_format *f, const uint8_t *from, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i += f->numbers, from += f->bytes) f->decode(from, to + i);
}

static int all_finite(const float *x, int64_t n)
{
    int32_t bad = 0;
    for (int64_t i = 0; i < n; i++) bad |= !(fabsf(x[i]) <= 3.402823466e38f);
    return !bad;
}

/* Of one block, what became of it. */
static void add_block(kd__block_report *to, const float *x, const float *y, int32_t n)
{
    double error = 0, square = 0, image = 0;
    for (int32_t i = 0; i < n; i++) {
        error += (double)(x[i] - y[i]) * (x[i] - y[i]);
        square += (double)x[i] * x[i];
        image += fabs((double)y[i]);
    }
    to->error += error;
    to->square += square;
    to->vanished += square > 0 && image == 0;
}

kd__block_report kd__block_encode_row(const kd__block_format *f, const float *x, int64_t n,
                                      const float *importance, uint8_t *to, float *spare)
{
    kd__block_report report = { .finite = all_finite(x, n) };
    if (!report.finite) return report;
    f->encode(x, n, importance, to);
    kd__block_decode_row(f, to, n, spare);
    report.finite = all_finite(spare, n);
    for (int64_t i = 0; i < n; i += f->numbers) add_block(&report, x + i, spare + i, f->numbers);
    return report;
}

/* ---- the calls ---- */

int64_t kd_block_bytes(int32_t format, int64_t count)
{
    const kd__block_format *f = kd__block_find(format);
    if (!f || count < 0 || count % f->numbers || count > INT64_MAX / f->bytes) return 0;
    return kd__block_row_bytes(f, count);
}

static kd_status find_format(int32_t format, const kd__block_format **f)
{
    *f = kd__block_find(format);
    KD_FAIL_IF(!*f, KD_ERR_UNSUPPORTED,
               "format: expected a constant such as KD_BLOCK_Q4_0 (%d), got %d", KD_BLOCK_Q4_0,
               format);
    return KD_OK;
}

/* What the bytes and the numbers say of each other. */
static kd_status check_rows(const kd__block_format *f, const kd_array *values, int64_t size,
                            int64_t *width)
{
    KD_TRY(kd__array_check_float32(values, "values"));
    const int64_t count = kd_array_count(values);
    *width = values->rank ? values->dims[values->rank - 1] : 1;
    KD_FAIL_IF(*width % f->numbers, KD_ERR_SHAPE,
               "values: %s needs rows of a multiple of %d numbers, got %lld", f->name, f->numbers,
               (long long)*width);
    KD_FAIL_IF(size != kd_block_bytes(f->format, count), KD_ERR_SHAPE,
               "size: %lld numbers are %lld bytes of %s, got %lld", (long long)count,
               (long long)kd_block_bytes(f->format, count), f->name, (long long)size);
    return KD_OK;
}

static kd_status check_importance(const kd_array *importance, int64_t width)
{
    if (!importance) return KD_OK;
    KD_TRY(kd__array_check_float32(importance, "importance"));
    KD_FAIL_IF(kd_array_count(importance) != width, KD_ERR_SHAPE,
               "importance: expected %lld numbers, one for each column, got %lld", (long long)width,
               (long long)kd_array_count(importance));
    const float *each = importance->data;
    for (int64_t i = 0; i < width; i++)
        KD_FAIL_IF(!(each[i] >= 0 && each[i] <= 3.402823466e38f), KD_ERR_RANGE,
                   "importance: number %lld: expected 0 or more, got %g", (long long)i,
                   (double)each[i]);
    return KD_OK;
}

static kd_status encode_rows(const kd__block_format *f, const kd_array *values, int64_t width,
                             const float *importance, uint8_t *to, float *spare)
{
    const int64_t rows = width ? kd_array_count(values) / width : 0;
    for (int64_t i = 0; i < rows; i++) {
        const kd__block_report report =
            kd__block_encode_row(f, (const float *)values->data + i * width, width, importance,
                                 to + i * kd__block_row_bytes(f, width), spare);
        KD_FAIL_IF(!report.finite, KD_ERR_RANGE,
                   "values: row %lld has a number that is not finite, or too large for a float16 "
                   "scale of %s",
                   (long long)i, f->name);
    }
    return KD_OK;
}

kd_status kd_block_encode(kd_context *context, int32_t format, const kd_array *values,
                          const kd_array *importance, void *bytes, int64_t size)
{
    const kd__block_format *f;
    int64_t width;
    float *spare = NULL;
    uint8_t *made = NULL;
    KD_NEED(context);
    KD_TRY(find_format(format, &f));
    KD_FAIL_IF(!f->encode, KD_ERR_UNSUPPORTED, "format: %s is only read; written are %s", f->name,
               KD__BLOCKS_WRITTEN);
    KD_TRY(check_rows(f, values, size, &width));
    KD_TRY(check_importance(importance, width));
    KD_FAIL_IF(size && !bytes, KD_ERR_INVALID, "bytes: expected room for %lld, got NULL",
               (long long)size);
    KD_TRY(KD_NEW(context, &spare, width));
    kd_status status = KD_NEW(context, &made, size);
    if (status == KD_OK)
        status = encode_rows(f, values, width, importance ? importance->data : NULL, made, spare);
    if (status == KD_OK && size) memcpy(bytes, made, (size_t)size);
    kd__release(context, made);
    kd__release(context, spare);
    return status;
}

kd_status kd_block_decode(kd_context *context, int32_t format, const void *bytes, int64_t size,
                          kd_array *values)
{
    const kd__block_format *f;
    int64_t width;
    KD_NEED(context);
    KD_TRY(find_format(format, &f));
    KD_TRY(check_rows(f, values, size, &width));
    KD_FAIL_IF(size && !bytes, KD_ERR_INVALID, "bytes: expected %lld, got NULL", (long long)size);
    kd__block_decode_row(f, bytes, kd_array_count(values), values->data);
    return KD_OK;
}
