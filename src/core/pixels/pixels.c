/* Arrays as images, and the middle of them. */
#include "core/pixels/pixels.h"

#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/numbers.h"
#include "base/thread.h"

static kd_status check_image(const kd_array *array, const char *what)
{
    KD_TRY(kd__array_check(array, what));
    KD_FAIL_IF(array->dtype != KD_UINT8 && array->dtype != KD_FLOAT32, KD_ERR_DTYPE,
               "%s: expected uint8 or float32, got %s", what, kd__dtype_name(array->dtype));
    KD_FAIL_IF(array->rank < 2 || array->rank > KD__AXES, KD_ERR_SHAPE,
               "%s: expected (height, width), (height, width, channels) or (samples, height, "
               "width, channels), got rank %d",
               what, array->rank);
    return KD_OK;
}

/* Which axis of an image an axis of an array is. */
static int axis_of(int32_t rank, int32_t axis) { return rank == KD__AXES ? axis : axis + 1; }

kd_status kd__pixels_read(kd__pixels *pixels, const kd_array *array, const char *what)
{
    int64_t step = 1;
    KD_TRY(check_image(array, what));
    const int packed = kd__array_contiguous(array);
    *pixels = (kd__pixels){ .data = array->data, .dtype = array->dtype, .dims = { 1, 1, 1, 1 } };
    for (int32_t i = array->rank - 1; i >= 0; step *= array->dims[i--]) {
        const int axis = axis_of(array->rank, i);
        pixels->dims[axis] = array->dims[i];
        pixels->steps[axis] = packed ? step : array->strides[i];
    }
    const int64_t *d = pixels->dims;
    KD_FAIL_IF(d[KD__AT_ROW] < 1 || d[KD__AT_COLUMN] < 1 || d[KD__AT_CHANNEL] < 1, KD_ERR_SHAPE,
               "%s: expected at least one pixel and channel, got (%lld, %lld, %lld)", what,
               (long long)d[KD__AT_ROW], (long long)d[KD__AT_COLUMN], (long long)d[KD__AT_CHANNEL]);
    KD_FAIL_IF(d[KD__AT_ROW] > KD__MOST_SIDE || d[KD__AT_COLUMN] > KD__MOST_SIDE, KD_ERR_RANGE,
               "%s: expected sides of at most %d, got (%lld, %lld)", what, KD__MOST_SIDE,
               (long long)d[KD__AT_ROW], (long long)d[KD__AT_COLUMN]);
    return KD_OK;
}

kd_status kd__pixels_read_pair(kd__pixels *from, kd__pixels *to, const kd_array *image,
                               const kd_array *made, const char *what)
{
    KD_TRY(kd__pixels_read(from, image, "image"));
    KD_TRY(kd__pixels_read(to, made, what));
    KD_FAIL_IF(to->dtype != from->dtype, KD_ERR_DTYPE, "%s: expected %s as the image, got %s", what,
               kd__dtype_name(from->dtype), kd__dtype_name(to->dtype));
    KD_FAIL_IF(made->rank != image->rank || to->dims[KD__AT_SAMPLE] != from->dims[KD__AT_SAMPLE] ||
                   to->dims[KD__AT_CHANNEL] != from->dims[KD__AT_CHANNEL],
               KD_ERR_SHAPE,
               "%s: expected rank %d, %lld samples and %lld channels as the image, got rank %d, "
               "%lld and %lld",
               what, image->rank, (long long)from->dims[KD__AT_SAMPLE],
               (long long)from->dims[KD__AT_CHANNEL], made->rank,
               (long long)to->dims[KD__AT_SAMPLE], (long long)to->dims[KD__AT_CHANNEL]);
    return KD_OK;
}

/* ---- the middle ---- */

typedef struct {
    const kd__pixels *from, *to;
    int64_t down, across; /* the image's pixel of the result's first one */
} cropping;

int64_t kd__pixels_middle(int64_t side, int64_t part)
{
    return side >= part ? (side - part) / 2 : -((part - side + 1) / 2);
}

static void crop_row(void *argument, int64_t index, int32_t worker)
{
    const cropping *c = argument;
    const kd__pixels *from = c->from, *to = c->to;
    const size_t bytes = kd_dtype_bytes(from->dtype);
    const int64_t height = to->dims[KD__AT_ROW], s = index / height, y = index % height,
                  row = y + c->down;
    char *line = to->data +
                 (s * to->steps[KD__AT_SAMPLE] + y * to->steps[KD__AT_ROW]) * (int64_t)bytes;
    (void)worker;
    for (int64_t x = 0; x < to->dims[KD__AT_COLUMN]; x++)
        for (int64_t k = 0; k < to->dims[KD__AT_CHANNEL]; k++) {
            char *put = line + (x * to->steps[KD__AT_COLUMN] + k * to->steps[KD__AT_CHANNEL]) *
                                   (int64_t)bytes;
            const int64_t column = x + c->across;
            if (row < 0 || row >= from->dims[KD__AT_ROW] || column < 0 ||
                column >= from->dims[KD__AT_COLUMN]) {
                memset(put, 0, bytes);
                continue;
            }
            memcpy(put,
                   from->data +
                       (s * from->steps[KD__AT_SAMPLE] + row * from->steps[KD__AT_ROW] +
                        column * from->steps[KD__AT_COLUMN] + k * from->steps[KD__AT_CHANNEL]) *
                           (int64_t)bytes,
                   bytes);
        }
}

kd_status kd_image_crop(kd_context *context, const kd_array *image, const kd_array *cropped)
{
    kd__pixels from, to;
    KD_NEED(context);
    KD_TRY(kd__pixels_read_pair(&from, &to, image, cropped, "cropped"));
    cropping c = { &from, &to, kd__pixels_middle(from.dims[KD__AT_ROW], to.dims[KD__AT_ROW]),
                   kd__pixels_middle(from.dims[KD__AT_COLUMN], to.dims[KD__AT_COLUMN]) };
    kd__parallel(context, to.dims[KD__AT_SAMPLE] * to.dims[KD__AT_ROW], crop_row, &c);
    return KD_OK;
}
