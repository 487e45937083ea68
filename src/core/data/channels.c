/* A factor and an offset for each channel of a field, as images are normalized by mean and
 * deviation: y = (x scale + shift) channel_scale[c] + channel_shift[c], as one product and one
 * sum. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "core/data/data.h"

/* Channels of a field (samples, channels, ...), or of images of one (samples, height, width). */
static int64_t channels_of(const kd_array *values)
{
    return values->rank < 2 || values->rank == 3 ? 1 : values->dims[1];
}

static kd_status read_numbers(const kd_array *given, int64_t count, float fallback, float *to,
                              const char *what)
{
    for (int64_t i = 0; i < count; i++) to[i] = fallback;
    if (!given) return KD_OK;
    KD_TRY(kd__array_check(given, what));
    KD_FAIL_IF(given->rank != 1 || given->dims[0] != count, KD_ERR_SHAPE,
               "%s: expected one number for each of %lld channels, got %lld of rank %d", what,
               (long long)count, (long long)(given->rank ? given->dims[0] : 1), given->rank);
    KD_TRY(kd__array_to_float32(given, to, what));
    for (int64_t i = 0; i < count; i++)
        KD_FAIL_IF(!isfinite(to[i]), KD_ERR_RANGE, "%s[%lld]: expected a finite number, got %g",
                   what, (long long)i, (double)to[i]);
    return KD_OK;
}

kd_status kd__channels_read(kd_context *context, const kd_array *values, const kd_field_options *o,
                            double **out, int64_t *count)
{
    const int64_t n = channels_of(values);
    float *given = NULL;
    double *made = NULL;
    *out = NULL;
    *count = 0;
    if ((!o->channel_scale && !o->channel_shift) || n < 1) return KD_OK;
    KD_TRY(KD_NEW(context, &given, 2 * n));
    kd_status status = read_numbers(o->channel_scale, n, 1, given, "channel_scale");
    if (status == KD_OK) status = read_numbers(o->channel_shift, n, 0, given + n, "channel_shift");
    if (status == KD_OK) status = KD_NEW(context, &made, 2 * n);
    for (int64_t c = 0; c < n && status == KD_OK; c++) {
        made[2 * c] = o->scale * (double)given[c];
        made[2 * c + 1] = o->shift * (double)given[c] + (double)given[n + c];
    }
    kd__release(context, given);
    if (status != KD_OK) return status;
    *out = made;
    *count = n;
    return KD_OK;
}

kd_status kd__channels_copy(kd_context *context, const kd__column *column, double **out)
{
    *out = NULL;
    if (!column->channel_count) return KD_OK;
    KD_TRY(KD_NEW(context, out, 2 * column->channel_count));
    memcpy(*out, column->channels, (size_t)column->channel_count * 2 * sizeof **out);
    return KD_OK;
}

int kd__channels_equal(const kd__column *a, const kd__column *b)
{
    if (a->channel_count != b->channel_count) return 0;
    return !a->channel_count ||
           !memcmp(a->channels, b->channels, (size_t)a->channel_count * 2 * sizeof *a->channels);
}

void kd__column_read(const kd__column *column, const void *from, int64_t row, float *to)
{
    const int32_t dtype = column->values.dtype;
    if (!column->channel_count) {
        kd__convert_float32(to, from, dtype, row, column->scale, column->shift);
        return;
    }
    const int64_t n = row / column->channel_count;
    const size_t bytes = (size_t)n * kd_dtype_bytes(dtype);
    for (int64_t c = 0; c < column->channel_count; c++)
        kd__convert_float32(to + c * n, (const char *)from + (size_t)c * bytes, dtype, n,
                            column->channels[2 * c], column->channels[2 * c + 1]);
}

double kd__column_zero(const kd__column *column, int64_t channel)
{
    return column->channel_count ? column->channels[2 * channel + 1] : column->shift;
}
