/* Resizing images: across into a block of rows, then down. Every number is summed in the order of
 * the filter's taps, so that the bits depend on nothing but the image and the sizes. */
#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/pixels/pixels.h"

#define ROWS_A_TILE 8
#define BYTES_AT_ONCE (4 << 20) /* of rows between the two passes, from the second image on */

static const kd_resize_options defaults = KD_RESIZE_OPTIONS_INIT;
void kd_resize_options_init(kd_resize_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

typedef struct {
    const kd__pixels *from, *to;
    kd__filter across, down;
    int64_t first, count; /* images of this round */
    int64_t top, rows;    /* of an image, that the second pass reads */
    int64_t line;         /* numbers of such a row: columns of the result, channels */
    char *between;        /* (count, rows, line) */
    double *sums;         /* (threads, line) */
} resizing;

static uint8_t to_byte(uint32_t sum)
{
    return (uint8_t)kd__clamp((int32_t)sum >> KD__FIXED_BITS, 0, 255);
}

/* ---- across ---- */

static void across_bytes(const resizing *r, const uint8_t *from, uint8_t *to)
{
    const kd__filter *f = &r->across;
    const int64_t step = r->from->steps[KD__AT_COLUMN], channel = r->from->steps[KD__AT_CHANNEL],
                  channels = r->from->dims[KD__AT_CHANNEL];
    for (int64_t i = 0; i < f->count; i++)
        for (int64_t c = 0; c < channels; c++) {
            const int32_t *w = f->fixed + i * f->room;
            const uint8_t *x = from + f->first[i] * step + c * channel;
            uint32_t sum = 1u << (KD__FIXED_BITS - 1);
            for (int32_t t = 0; t < f->taps[i]; t++) sum += x[t * step] * (uint32_t)w[t];
            *to++ = to_byte(sum);
        }
}

static void across_floats(const resizing *r, const float *from, float *to)
{
    const kd__filter *f = &r->across;
    const int64_t step = r->from->steps[KD__AT_COLUMN], channel = r->from->steps[KD__AT_CHANNEL],
                  channels = r->from->dims[KD__AT_CHANNEL];
    for (int64_t i = 0; i < f->count; i++)
        for (int64_t c = 0; c < channels; c++) {
            const double *w = f->weights + i * f->room;
            const float *x = from + f->first[i] * step + c * channel;
            double sum = 0;
            for (int32_t t = 0; t < f->taps[i]; t++) sum += (double)x[t * step] * w[t];
            *to++ = (float)sum;
        }
}

static void across_tile(void *argument, int64_t tile, int32_t worker)
{
    const resizing *r = argument;
    const kd__pixels *p = r->from;
    const int64_t last = kd__min((tile + 1) * ROWS_A_TILE, r->count * r->rows);
    (void)worker;
    for (int64_t i = tile * ROWS_A_TILE; i < last; i++) {
        const int64_t at = (r->first + i / r->rows) * p->steps[KD__AT_SAMPLE] +
                           (r->top + i % r->rows) * p->steps[KD__AT_ROW];
        if (p->dtype == KD_UINT8)
            across_bytes(r, (const uint8_t *)p->data + at, (uint8_t *)r->between + i * r->line);
        else
            across_floats(r, (const float *)(const void *)p->data + at,
                          (float *)(void *)r->between + i * r->line);
    }
}

/* ---- down ---- */

static void down_bytes(const resizing *r, int64_t y, const uint8_t *rows, uint32_t *sums,
                       uint8_t *to)
{
    const kd__filter *f = &r->down;
    const int64_t column = r->to->steps[KD__AT_COLUMN], channel = r->to->steps[KD__AT_CHANNEL],
                  channels = r->to->dims[KD__AT_CHANNEL];
    const int32_t *w = f->fixed + y * f->room;
    for (int64_t i = 0; i < r->line; i++) sums[i] = 1u << (KD__FIXED_BITS - 1);
    for (int32_t t = 0; t < f->taps[y]; t++) {
        const uint8_t *x = rows + (f->first[y] - r->top + t) * r->line;
        for (int64_t i = 0; i < r->line; i++) sums[i] += x[i] * (uint32_t)w[t];
    }
    for (int64_t i = 0; i < r->to->dims[KD__AT_COLUMN]; i++)
        for (int64_t c = 0; c < channels; c++) to[i * column + c * channel] = to_byte(*sums++);
}

static void down_floats(const resizing *r, int64_t y, const float *rows, double *sums, float *to)
{
    const kd__filter *f = &r->down;
    const int64_t column = r->to->steps[KD__AT_COLUMN], channel = r->to->steps[KD__AT_CHANNEL],
                  channels = r->to->dims[KD__AT_CHANNEL];
    const double *w = f->weights + y * f->room;
    for (int64_t i = 0; i < r->line; i++) sums[i] = 0;
    for (int32_t t = 0; t < f->taps[y]; t++) {
        const float *x = rows + (f->first[y] - r->top + t) * r->line;
        for (int64_t i = 0; i < r->line; i++) sums[i] += (double)x[i] * w[t];
    }
    for (int64_t i = 0; i < r->to->dims[KD__AT_COLUMN]; i++)
        for (int64_t c = 0; c < channels; c++) to[i * column + c * channel] = (float)*sums++;
}

static void down_tile(void *argument, int64_t tile, int32_t worker)
{
    const resizing *r = argument;
    const kd__pixels *p = r->to;
    const int64_t height = p->dims[KD__AT_ROW],
                  last = kd__min((tile + 1) * ROWS_A_TILE, r->count * height);
    double *sums = r->sums + worker * r->line;
    for (int64_t i = tile * ROWS_A_TILE; i < last; i++) {
        const int64_t y = i % height, rows = i / height * r->rows * r->line,
                      at = (r->first + i / height) * p->steps[KD__AT_SAMPLE] +
                           y * p->steps[KD__AT_ROW];
        if (p->dtype == KD_UINT8)
            down_bytes(r, y, (const uint8_t *)r->between + rows, (uint32_t *)(void *)sums,
                       (uint8_t *)p->data + at);
        else
            down_floats(r, y, (const float *)(void *)r->between + rows, sums,
                        (float *)(void *)p->data + at);
    }
}

/* ---- all images ---- */

/* Rows of as many images as fit into BYTES_AT_ONCE, and sums. */
static kd_status reserve(resizing *r, kd_context *context)
{
    const int64_t samples = r->from->dims[KD__AT_SAMPLE],
                  last = r->down.first[r->down.count - 1] + r->down.taps[r->down.count - 1];
    int64_t bytes;
    r->top = r->down.first[0];
    r->rows = last - r->top;
    KD_TRY(kd__multiply(r->to->dims[KD__AT_COLUMN], r->to->dims[KD__AT_CHANNEL], &r->line));
    KD_TRY(kd__multiply(r->rows, r->line, &bytes));
    KD_TRY(kd__multiply(bytes, (int64_t)kd_dtype_bytes(r->from->dtype), &bytes));
    r->count = kd__clamp(BYTES_AT_ONCE / bytes, 1, kd__max(samples, 1));
    KD_TRY(kd__multiply(bytes, r->count, &bytes));
    KD_TRY(KD_NEW(context, &r->between, bytes));
    return KD_NEW(context, &r->sums, r->line * context->threads);
}

static kd_status run(resizing *r, kd_context *context)
{
    KD_TRY(reserve(r, context));
    const int64_t samples = r->from->dims[KD__AT_SAMPLE], together = r->count;
    for (; r->first < samples; r->first += together) {
        r->count = kd__min(together, samples - r->first);
        kd__parallel(context, kd__ceil_div(r->count * r->rows, ROWS_A_TILE), across_tile, r);
        kd__parallel(context, kd__ceil_div(r->count * r->to->dims[KD__AT_ROW], ROWS_A_TILE),
                     down_tile, r);
    }
    return KD_OK;
}

/* low .. high along one side; both 0 all of it. */
static kd_status check_part(double *low, double *high, int whole, int64_t side, const char *names)
{
    if (whole) {
        *low = 0;
        *high = (double)side;
    }
    KD_FAIL_IF(!(*low >= 0 && *high <= (double)side && (float)*low < (float)*high), KD_ERR_RANGE,
               "%s: expected 0 <= first < second <= %lld, got %g and %g", names, (long long)side,
               *low, *high);
    return KD_OK;
}

static void swap(double *a, double *b)
{
    const double first = *a;
    *a = *b;
    *b = first;
}

/* Rows and columns change places: what goes across first went down first. */
static kd__pixels turned(const kd__pixels *pixels)
{
    kd__pixels found = *pixels;
    found.dims[KD__AT_ROW] = pixels->dims[KD__AT_COLUMN];
    found.dims[KD__AT_COLUMN] = pixels->dims[KD__AT_ROW];
    found.steps[KD__AT_ROW] = pixels->steps[KD__AT_COLUMN];
    found.steps[KD__AT_COLUMN] = pixels->steps[KD__AT_ROW];
    return found;
}

static kd_status resize_down_first(kd_context *context, const kd__pixels *from,
                                   const kd__pixels *to, const kd_resize_options *options)
{
    const kd__pixels image = turned(from), made = turned(to);
    kd_resize_options o = *options;
    o.down_first = 0;
    swap(&o.left, &o.top);
    swap(&o.right, &o.bottom);
    return kd__resize(context, &image, &made, &o);
}

kd_status kd__resize(kd_context *context, const kd__pixels *from, const kd__pixels *to,
                     const kd_resize_options *options)
{
    kd_resize_options o = *options;
    if (o.down_first) return resize_down_first(context, from, to, options);
    resizing r = { .from = from, .to = to };
    const int whole = !o.left && !o.top && !o.right && !o.bottom;
    const int64_t height = from->dims[KD__AT_ROW], width = from->dims[KD__AT_COLUMN];
    KD_FAIL_IF(o.resample < KD_RESAMPLE_LANCZOS || o.resample > KD_RESAMPLE_BOX, KD_ERR_RANGE,
               "resample: expected 1 (Lanczos), 2 (bilinear), 3 (bicubic) or 4 (box), got %d",
               o.resample);
    KD_TRY(check_part(&o.left, &o.right, whole, width, "left, right"));
    KD_TRY(check_part(&o.top, &o.bottom, whole, height, "top, bottom"));
    kd_status status = kd__filter_make(&r.across, context, o.resample, width, o.left, o.right,
                                       to->dims[KD__AT_COLUMN]);
    if (status == KD_OK)
        status = kd__filter_make(&r.down, context, o.resample, height, o.top, o.bottom,
                                 to->dims[KD__AT_ROW]);
    if (status == KD_OK) status = run(&r, context);
    kd__filter_free(&r.across);
    kd__filter_free(&r.down);
    kd__release(context, r.between);
    kd__release(context, r.sums);
    return status;
}

kd_status kd_image_resize(kd_context *context, const kd_array *image, const kd_array *resized,
                          const kd_resize_options *options)
{
    kd_resize_options o = defaults;
    kd__pixels from, to;
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_resize_options"));
    KD_TRY(kd__pixels_read_pair(&from, &to, image, resized, "resized"));
    return kd__resize(context, &from, &to, &o);
}
