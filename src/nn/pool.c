/* Pooling of images, forward and backward. */
#include "nn/pool.h"

#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/kernels.h"

static int64_t places(const kd__window *w) { return kd__window_places(w); }

/* ---- the largest ---- */

typedef struct {
    const kd__window *w;
    float *y;
    int32_t *places;
    const float *x;
} pool_work;

static void pool_window(const pool_work *k, const float *plane, int64_t i, int64_t j,
                        float *largest, int32_t *place)
{
    const kd__window *w = k->w;
    *place = -1;
    *largest = 0;
    const int64_t top = i * w->stride[0] - w->padding[0], left = j * w->stride[1] - w->padding[1];
    const int64_t bottom = kd__min(top + w->kernel[0], w->height),
                  right = kd__min(left + w->kernel[1], w->width);
    for (int64_t a = kd__max(top, 0); a < bottom; a++)
        for (int64_t b = kd__max(left, 0); b < right; b++) {
            float x = plane[a * w->width + b];
            if (*place >= 0 && !(x > *largest) && x == x) continue;
            *largest = x;
            *place = (int32_t)(a * w->width + b);
        }
}

static void pool_sample(void *argument, int64_t sample, int32_t worker)
{
    pool_work *k = argument;
    const kd__window *w = k->w;
    int64_t at = sample * w->channels * places(w);
    (void)worker;
    for (int64_t c = 0; c < w->channels; c++)
        for (int64_t i = 0; i < w->out_height; i++)
            for (int64_t j = 0; j < w->out_width; j++, at++)
                pool_window(k, k->x + (sample * w->channels + c) * w->height * w->width, i, j,
                            &k->y[at], &k->places[at]);
}

void kd__max_pool_forward(kd_context *context, const kd__window *w, float *y, int32_t *where,
                          const float *x, int64_t rows)
{
    pool_work k = { w, y, where, x };
    kd__parallel(context, rows, pool_sample, &k);
}

static void unpool_sample(void *argument, int64_t sample, int32_t worker)
{
    pool_work *k = argument; /* y is dx, x is dy */
    const kd__window *w = k->w;
    (void)worker;
    memset(k->y + sample * w->channels * w->height * w->width, 0,
           (size_t)(w->channels * w->height * w->width) * sizeof(float));
    for (int64_t c = 0; c < w->channels; c++)
        for (int64_t p = 0; p < places(w); p++) {
            int64_t at = (sample * w->channels + c) * places(w) + p;
            k->y[(sample * w->channels + c) * w->height * w->width + k->places[at]] += k->x[at];
        }
}

void kd__max_pool_backward(kd_context *context, const kd__window *w, float *dx, const float *dy,
                           const int32_t *where, int64_t rows)
{
    pool_work k = { w, dx, (int32_t *)(uintptr_t)where, dy };
    kd__parallel(context, rows, unpool_sample, &k);
}

/* ---- the mean ---- */

typedef struct {
    const kd__kernels *kernels;
    const kd__window *w;
    int counts_padding;
    float *y;
    const float *x;
} mean_work;

/* What the window at place (i, j) covers of the image: rows top to bottom - 1, columns left to
 * right - 1; and 1 / numbers that it counts. */
typedef struct {
    int64_t top, bottom, left, right;
    float share;
} cover;

static cover cover_of(const mean_work *k, int64_t i, int64_t j)
{
    const kd__window *w = k->w;
    const int64_t top = i * w->stride[0] - w->padding[0], left = j * w->stride[1] - w->padding[1];
    cover c = { kd__max(top, 0), kd__min(top + w->kernel[0], w->height), kd__max(left, 0),
                kd__min(left + w->kernel[1], w->width), 0 };
    const int64_t inside = (c.bottom - c.top) * (c.right - c.left),
                  rows = kd__min(top + w->kernel[0], w->height + w->padding[0]) - top,
                  columns = kd__min(left + w->kernel[1], w->width + w->padding[1]) - left;
    c.share = 1 / (float)(k->counts_padding ? rows * columns : inside);
    return c;
}

static int is_whole(const kd__window *w)
{
    return places(w) == 1 && !w->padding[0] && !w->padding[1] && w->kernel[0] == w->height &&
           w->kernel[1] == w->width;
}

static void mean_sample(void *argument, int64_t sample, int32_t worker)
{
    const mean_work *k = argument;
    const kd__window *w = k->w;
    const int64_t plane = w->height * w->width;
    const float *x = k->x + sample * w->channels * plane;
    float *y = k->y + sample * w->channels * places(w);
    (void)worker;
    for (int64_t c = 0; c < w->channels; c++, x += plane) {
        if (is_whole(w)) {
            *y++ = (float)(k->kernels->sum(x, plane) / (double)plane);
            continue;
        }
        for (int64_t i = 0; i < w->out_height; i++)
            for (int64_t j = 0; j < w->out_width; j++) {
                const cover at = cover_of(k, i, j);
                float sum = 0;
                for (int64_t a = at.top; a < at.bottom; a++)
                    for (int64_t b = at.left; b < at.right; b++) sum += x[a * w->width + b];
                *y++ = sum * at.share;
            }
    }
}

void kd__mean_pool_forward(kd_context *context, const kd__window *w, int counts_padding, float *y,
                           const float *x, int64_t rows)
{
    mean_work k = { context->kernels, w, counts_padding, y, x };
    kd__parallel(context, rows, mean_sample, &k);
}

static void spread_sample(void *argument, int64_t sample, int32_t worker)
{
    const mean_work *k = argument; /* y is dx, x is dy */
    const kd__window *w = k->w;
    const int64_t plane = w->height * w->width;
    float *dx = k->y + sample * w->channels * plane;
    const float *dy = k->x + sample * w->channels * places(w);
    (void)worker;
    memset(dx, 0, (size_t)(w->channels * plane) * sizeof *dx);
    for (int64_t c = 0; c < w->channels; c++, dx += plane)
        for (int64_t i = 0; i < w->out_height; i++)
            for (int64_t j = 0; j < w->out_width; j++) {
                const cover at = cover_of(k, i, j);
                const float each = *dy++ * at.share;
                for (int64_t a = at.top; a < at.bottom; a++)
                    for (int64_t b = at.left; b < at.right; b++) dx[a * w->width + b] += each;
            }
}

void kd__mean_pool_backward(kd_context *context, const kd__window *w, int counts_padding, float *dx,
                            const float *dy, int64_t rows)
{
    mean_work k = { context->kernels, w, counts_padding, dx, dy };
    kd__parallel(context, rows, spread_sample, &k);
}
