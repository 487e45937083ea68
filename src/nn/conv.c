/* Two-dimensional convolution over patches, forward and backward. */
#include "nn/conv.h"

#include <string.h>

#include "base/numbers.h"
#include "base/thread.h"
#include "math/kernels.h"
#include "nn/activation.h"
#include "nn/linear.h"

#define PIECE_FLOATS (1 << 20)

static int64_t patch_size(const kd__window *w) { return kd__window_taps(w); }
static int64_t places(const kd__window *w) { return kd__window_places(w); }

/* Samples a piece. */
static int64_t piece_of(const kd__window *w)
{
    int64_t samples = PIECE_FLOATS / (places(w) * patch_size(w));
    return kd__max(samples, 1);
}

int64_t kd__conv_scratch(const kd__window *w, int64_t rows)
{
    int64_t piece = kd__min(piece_of(w), rows);
    return piece * places(w) * (patch_size(w) + w->out_channels);
}

typedef struct {
    kd_context *context;
    const kd__window *w;
    int32_t activation;
    const float *x; /* images */
    float *patches; /* (samples places, patch) */
    float *product; /* (samples places, N)     */
    float *y, *pre; /* (samples, N, places)    */
    const float *bias, *dy;
    float *dx;
} work;

/* One row of a patch: kernel numbers from image row `row`, zero outside. */
static void copy_line(const kd__window *w, float *to, const float *plane, int64_t row,
                      int64_t column)
{
    for (int64_t k = 0; k < w->kernel[1]; k++) {
        int64_t at = column + k;
        to[k] = row >= 0 && row < w->height && at >= 0 && at < w->width ? plane[row * w->width + at]
                                                                        : 0;
    }
}

static void add_line(const kd__window *w, float *plane, const float *from, int64_t row,
                     int64_t column)
{
    if (row < 0 || row >= w->height) return;
    for (int64_t k = 0; k < w->kernel[1]; k++)
        if (column + k >= 0 && column + k < w->width) plane[row * w->width + column + k] += from[k];
}

static void image_to_patches(void *argument, int64_t sample, int32_t worker)
{
    work *k = argument;
    const kd__window *w = k->w;
    const float *image = k->x + sample * w->channels * w->height * w->width;
    float *to = k->patches + sample * places(w) * patch_size(w);
    (void)worker;
    for (int64_t i = 0; i < w->out_height; i++)
        for (int64_t j = 0; j < w->out_width; j++)
            for (int64_t c = 0; c < w->channels; c++)
                for (int64_t l = 0; l < w->kernel[0]; l++, to += w->kernel[1])
                    copy_line(w, to, image + c * w->height * w->width,
                              i * w->stride[0] - w->padding[0] + l,
                              j * w->stride[1] - w->padding[1]);
}

static void patches_to_image(void *argument, int64_t sample, int32_t worker)
{
    work *k = argument;
    const kd__window *w = k->w;
    float *image = k->dx + sample * w->channels * w->height * w->width;
    const float *from = k->patches + sample * places(w) * patch_size(w);
    (void)worker;
    memset(image, 0, (size_t)(w->channels * w->height * w->width) * sizeof *image);
    for (int64_t i = 0; i < w->out_height; i++)
        for (int64_t j = 0; j < w->out_width; j++)
            for (int64_t c = 0; c < w->channels; c++)
                for (int64_t l = 0; l < w->kernel[0]; l++, from += w->kernel[1])
                    add_line(w, image + c * w->height * w->width, from,
                             i * w->stride[0] - w->padding[0] + l,
                             j * w->stride[1] - w->padding[1]);
}

/* (places, N) -> (N, places), with bias and activation */
static void product_to_output(void *argument, int64_t sample, int32_t worker)
{
    work *k = argument;
    const int64_t n = k->w->out_channels, p = places(k->w);
    const float *from = k->product + sample * n * p;
    float *y = k->y + sample * n * p, *pre = k->pre ? k->pre + sample * n * p : NULL;
    (void)worker;
    for (int64_t c = 0; c < n; c++) {
        for (int64_t i = 0; i < p; i++) y[c * p + i] = from[i * n + c] + k->bias[c];
        kd__activate_row(k->context, k->activation, y + c * p, y + c * p, NULL,
                         pre ? pre + c * p : NULL, p);
    }
}

static void gradient_to_product(void *argument, int64_t sample, int32_t worker)
{
    work *k = argument;
    const int64_t n = k->w->out_channels, p = places(k->w);
    (void)worker;
    for (int64_t c = 0; c < n; c++)
        for (int64_t i = 0; i < p; i++)
            k->product[(sample * p + i) * n + c] = k->dy[(sample * n + c) * p + i];
}

static void set_scratch(work *k, int64_t piece, float *scratch)
{
    k->patches = scratch;
    k->product = scratch + piece * places(k->w) * patch_size(k->w);
}

kd_status kd__conv_forward(kd_context *context, const kd__window *w, int32_t activation, float *y,
                           float *pre, const float *x, const float *weight, const float *bias,
                           int64_t rows, float *scratch)
{
    const int64_t most = kd__min(piece_of(w), rows), in = w->channels * w->height * w->width,
                  out = w->out_channels * places(w);
    work k = { .context = context, .w = w, .activation = activation, .bias = bias };
    set_scratch(&k, most, scratch);
    for (int64_t r = 0; r < rows; r += most) {
        int64_t piece = kd__min(rows - r, most);
        k.x = x + r * in, k.y = y + r * out, k.pre = pre ? pre + r * out : NULL;
        kd__parallel(context, piece, image_to_patches, &k);
        const kd__rows lines = { context, piece * places(w) };
        KD_TRY(kd__linear(&lines, k.patches, patch_size(w), weight, w->out_channels, k.product));
        kd__parallel(context, piece, product_to_output, &k);
    }
    return KD_OK;
}

kd_status kd__conv_backward(kd_context *context, const kd__window *w, float *dx, float *dweight,
                            float *dbias, const float *dy, const float *x, const float *weight,
                            int64_t rows, int add, float *scratch)
{
    const int64_t most = kd__min(piece_of(w), rows), in = w->channels * w->height * w->width,
                  out = w->out_channels * places(w);
    work k = { .context = context, .w = w };
    set_scratch(&k, most, scratch);
    for (int64_t r = 0; r < rows; r += most) {
        const int64_t piece = kd__min(rows - r, most);
        const kd__rows lines = { context, piece * places(w) };
        k.x = x + r * in, k.dy = dy + r * out, k.dx = dx ? dx + r * in : NULL;
        kd__parallel(context, piece, gradient_to_product, &k);
        kd__bias_gradient(&lines, k.product, w->out_channels, dbias, add || r);
        if (dweight) {
            kd__parallel(context, piece, image_to_patches, &k);
            KD_TRY(kd__linear_weight_gradient(&lines, k.patches, patch_size(w), k.product,
                                              w->out_channels, dweight, add || r));
        }
        if (!dx) continue;
        KD_TRY(kd__linear_input_gradient(&lines, k.product, w->out_channels, weight, patch_size(w),
                                         k.patches));
        kd__parallel(context, piece, patches_to_image, &k);
    }
    return KD_OK;
}
