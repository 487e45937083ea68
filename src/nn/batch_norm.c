/* Batch norm, forward and backward: a strip of channels is one thread's, row by row. */
#include "nn/batch_norm.h"

#include <math.h>

#include "base/context.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/kernels.h"
#include "nn/activation.h"

typedef struct {
    kd_context *context;
    const kd__batch_norm *n;
    float *y, *pre, *stats, *mean, *variance, *dx, *dy, *dweight, *dbias;
    const float *x, *made; /* made: y, of the backward pass */
    int add;
} work;

/* Channels first .. end - 1: of vectors a line of a cache, of images one. */
#define STRIP 16
typedef struct {
    int64_t first, end;
} strip;

static int64_t strip_width(const kd__batch_norm *n) { return n->places == 1 ? STRIP : 1; }

static strip strip_at(const kd__batch_norm *n, int64_t index)
{
    const int64_t width = strip_width(n), first = index * width;
    return (strip){ first, kd__min(first + width, n->channels) };
}

static void for_strips(work *k, void (*run)(void *argument, int64_t index, int32_t worker))
{
    kd__parallel(k->context, kd__ceil_div(k->n->channels, strip_width(k->n)), run, k);
}

static int64_t channel_at(const kd__batch_norm *n, int64_t row, int64_t channel)
{
    return (row * n->channels + channel) * n->places;
}

/* y = f(a x + b) on the places of the strip's channels, of all rows. */
static void scale_strip(const work *k, strip p, const float *a, const float *b)
{
    const kd__batch_norm *n = k->n;
    const kd__kernels *kernels = k->context->kernels;
    float low = -INFINITY, high = INFINITY;
    const int clamps = kd__activation_clamps(n->activation, &low, &high);
    if (!clamps) low = -INFINITY, high = INFINITY;
    for (int64_t r = 0; r < n->rows; r++)
        for (int64_t c = p.first; c < p.end; c++) {
            const int64_t at = channel_at(n, r, c), i = c - p.first;
            kernels->scale_shift(k->y + at, k->x + at, n->places, a[i], b[i], low, high);
            if (clamps) continue;
            kd__activate_row(k->context, n->activation, k->y + at, k->y + at, NULL,
                             k->pre ? k->pre + at : NULL, n->places);
        }
}

/* ---- forward ---- */

static void set_stats(const work *k, int64_t channel, double mean, double variance)
{
    const kd__batch_norm *n = k->n;
    const double count = (double)(n->rows * n->places);
    const float unbiased = (float)(variance * count / (count - 1)), m = n->momentum;
    k->stats[2 * channel] = (float)mean;
    k->stats[2 * channel + 1] = (float)(1 / sqrt(variance + (double)n->epsilon));
    k->mean[channel] = (1 - m) * k->mean[channel] + m * (float)mean;
    k->variance[channel] = (1 - m) * k->variance[channel] + m * unbiased;
}

/* Sums of the strip's channels over all rows; around `mean`, where it is given, of squares. */
static void sum_strip(const work *k, strip p, const double *mean, double *sums)
{
    const kd__batch_norm *n = k->n;
    const kd__kernels *kernels = k->context->kernels;
    for (int64_t i = 0; i < p.end - p.first; i++) sums[i] = 0;
    for (int64_t r = 0; r < n->rows; r++)
        for (int64_t c = p.first; c < p.end; c++) {
            const float *x = k->x + channel_at(n, r, c);
            const int64_t i = c - p.first;
            sums[i] += mean ? kernels->spread(x, n->places, (float)mean[i])
                            : kernels->sum(x, n->places);
        }
}

static void train_strip(void *argument, int64_t index, int32_t worker)
{
    const work *k = argument;
    const kd__batch_norm *n = k->n;
    const double count = (double)(n->rows * n->places);
    const strip p = strip_at(n, index);
    double mean[STRIP], squares[STRIP];
    float a[STRIP], b[STRIP];
    (void)worker;
    sum_strip(k, p, NULL, mean);
    for (int64_t i = 0; i < p.end - p.first; i++) mean[i] /= count;
    sum_strip(k, p, mean, squares);
    for (int64_t c = p.first; c < p.end; c++) {
        const int64_t i = c - p.first;
        set_stats(k, c, mean[i], squares[i] / count);
        a[i] = n->weight[c] * k->stats[2 * c + 1];
        b[i] = n->bias[c] - (float)mean[i] * a[i];
    }
    scale_strip(k, p, a, b);
}

void kd__batch_norm_train(kd_context *context, const kd__batch_norm *n, float *y, float *pre,
                          const float *x, float *running_mean, float *running_variance,
                          float *stats)
{
    work k = { .context = context,
               .n = n,
               .y = y,
               .pre = pre,
               .x = x,
               .mean = running_mean,
               .variance = running_variance,
               .stats = stats };
    for_strips(&k, train_strip);
}

static void evaluate_strip(void *argument, int64_t index, int32_t worker)
{
    const work *k = argument;
    const kd__batch_norm *n = k->n;
    const strip p = strip_at(n, index);
    float a[STRIP], b[STRIP];
    (void)worker;
    for (int64_t c = p.first; c < p.end; c++) {
        const int64_t i = c - p.first;
        a[i] = n->weight[c] / sqrtf(k->variance[c] + n->epsilon);
        b[i] = n->bias[c] - k->mean[c] * a[i];
    }
    scale_strip(k, p, a, b);
}

void kd__batch_norm_evaluate(kd_context *context, const kd__batch_norm *n, float *y, const float *x,
                             const float *running_mean, const float *running_variance)
{
    work k = { .context = context,
               .n = n,
               .y = y,
               .x = x,
               .mean = (float *)(uintptr_t)running_mean,
               .variance = (float *)(uintptr_t)running_variance };
    for_strips(&k, evaluate_strip);
}

/* ---- backward ---- */

/* dy before the activation, and its sums with 1 and x - m. */
static void sum_slopes(const work *k, strip p, double (*sums)[2])
{
    const kd__batch_norm *n = k->n;
    float low, high;
    const int clamps = kd__activation_clamps(n->activation, &low, &high);
    for (int64_t i = 0; i < p.end - p.first; i++) sums[i][0] = sums[i][1] = 0;
    for (int64_t r = 0; r < n->rows; r++)
        for (int64_t c = p.first; c < p.end; c++) {
            const int64_t at = channel_at(n, r, c);
            double here[2];
            if (!clamps)
                kd__activation_slope(k->context, n->activation, k->dy + at, k->made + at,
                                     k->pre ? k->pre + at : NULL, n->places);
            k->context->kernels->norm_sums(k->dy + at,
                                           clamps && n->activation ? k->made + at : NULL, k->x + at,
                                           n->places, k->stats[2 * c], low, high, here);
            sums[c - p.first][0] += here[0];
            sums[c - p.first][1] += here[1];
        }
}

/* dx = a dy + slope (x - m) + shift */
typedef struct {
    float a, slope, shift;
} line;

static line line_of(const work *k, int64_t c, const double sums[2])
{
    const kd__batch_norm *n = k->n;
    const double count = (double)(n->rows * n->places), r = k->stats[2 * c + 1];
    const double a = n->weight[c] * r;
    return (line){ (float)a, (float)(-a * r * r * sums[1] / count), (float)(-a * sums[0] / count) };
}

static void add_slopes(const work *k, int64_t c, const double sums[2])
{
    const double r = k->stats[2 * c + 1];
    const float dweight = (float)(sums[1] * r), dbias = (float)sums[0];
    if (k->dweight) k->dweight[c] = k->add ? k->dweight[c] + dweight : dweight;
    if (k->dbias) k->dbias[c] = k->add ? k->dbias[c] + dbias : dbias;
}

static void backward_strip(void *argument, int64_t index, int32_t worker)
{
    const work *k = argument;
    const kd__batch_norm *n = k->n;
    const strip p = strip_at(n, index);
    double sums[STRIP][2];
    line to[STRIP];
    (void)worker;
    sum_slopes(k, p, sums);
    for (int64_t c = p.first; c < p.end; c++) {
        to[c - p.first] = line_of(k, c, sums[c - p.first]);
        add_slopes(k, c, sums[c - p.first]);
    }
    for (int64_t r = 0; k->dx && r < n->rows; r++)
        for (int64_t c = p.first; c < p.end; c++) {
            const int64_t at = channel_at(n, r, c);
            const line *l = &to[c - p.first];
            k->context->kernels->norm_slope(k->dx + at, k->dy + at, k->x + at, n->places,
                                            k->stats[2 * c], l->a, l->slope, l->shift);
        }
}

void kd__batch_norm_backward(kd_context *context, const kd__batch_norm *n, float *dx,
                             float *dweight, float *dbias, float *dy, const float *y,
                             const float *pre, const float *x, const float *stats, int add)
{
    work k = { .context = context,
               .n = n,
               .dx = dx,
               .dweight = dweight,
               .dbias = dbias,
               .dy = dy,
               .made = y,
               .pre = (float *)(uintptr_t)pre,
               .x = x,
               .stats = (float *)(uintptr_t)stats,
               .add = add };
    for_strips(&k, backward_strip);
}

/* ---- folding ---- */

void kd__batch_norm_fold(const kd__batch_norm *n, const float *running_mean,
                         const float *running_variance, const float *weight, const float *bias,
                         int64_t inputs, float *folded_weight, float *folded_bias)
{
    for (int64_t c = 0; c < n->channels; c++) {
        const float a = n->weight[c] / sqrtf(running_variance[c] + n->epsilon);
        for (int64_t i = 0; i < inputs; i++)
            folded_weight[c * inputs + i] = weight[c * inputs + i] * a;
        folded_bias[c] = ((bias ? bias[c] : 0) - running_mean[c]) * a + n->bias[c];
    }
}
