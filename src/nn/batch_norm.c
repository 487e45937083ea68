/* Batch norm, forward and backward: a channel is one thread's. */
#include "nn/batch_norm.h"

#include <math.h>

#include "base/context.h"
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

static int64_t channel_at(const kd__batch_norm *n, int64_t row, int64_t channel)
{
    return (row * n->channels + channel) * n->places;
}

/* y = f(a x + b) on the channel's places of all rows. */
static void scale_channel(const work *k, int64_t channel, float a, float b)
{
    const kd__batch_norm *n = k->n;
    const kd__kernels *kernels = k->context->kernels;
    float low, high;
    const int clamps = kd__activation_clamps(n->activation, &low, &high);
    for (int64_t r = 0; r < n->rows; r++) {
        const int64_t at = channel_at(n, r, channel);
        if (clamps) {
            kernels->scale_shift(k->y + at, k->x + at, n->places, a, b, low, high);
            continue;
        }
        kernels->scale_shift(k->y + at, k->x + at, n->places, a, b, -INFINITY, INFINITY);
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

static void train_channel(void *argument, int64_t channel, int32_t worker)
{
    const work *k = argument;
    const kd__batch_norm *n = k->n;
    const kd__kernels *kernels = k->context->kernels;
    const double count = (double)(n->rows * n->places);
    double sum = 0, squares = 0;
    (void)worker;
    for (int64_t r = 0; r < n->rows; r++)
        sum += kernels->sum(k->x + channel_at(n, r, channel), n->places);
    const double mean = sum / count;
    for (int64_t r = 0; r < n->rows; r++)
        squares += kernels->spread(k->x + channel_at(n, r, channel), n->places, (float)mean);
    set_stats(k, channel, mean, squares / count);
    const float a = n->weight[channel] * k->stats[2 * channel + 1];
    scale_channel(k, channel, a, n->bias[channel] - (float)mean * a);
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
    kd__parallel(context, n->channels, train_channel, &k);
}

static void evaluate_channel(void *argument, int64_t channel, int32_t worker)
{
    const work *k = argument;
    const kd__batch_norm *n = k->n;
    const float a = n->weight[channel] / sqrtf(k->variance[channel] + n->epsilon);
    (void)worker;
    scale_channel(k, channel, a, n->bias[channel] - k->mean[channel] * a);
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
    kd__parallel(context, n->channels, evaluate_channel, &k);
}

/* ---- backward ---- */

/* dy before the activation, and its sums with 1 and x - m. */
static void sum_channel(const work *k, int64_t channel, double *sums)
{
    const kd__batch_norm *n = k->n;
    float low, high;
    const int clamps = kd__activation_clamps(n->activation, &low, &high);
    sums[0] = sums[1] = 0;
    for (int64_t r = 0; r < n->rows; r++) {
        const int64_t at = channel_at(n, r, channel);
        double here[2];
        if (!clamps)
            kd__activation_slope(k->context, n->activation, k->dy + at, k->made + at,
                                 k->pre ? k->pre + at : NULL, n->places);
        k->context->kernels->norm_sums(k->dy + at, clamps && n->activation ? k->made + at : NULL,
                                       k->x + at, n->places, k->stats[2 * channel], low, high,
                                       here);
        sums[0] += here[0];
        sums[1] += here[1];
    }
}

static void backward_channel(void *argument, int64_t channel, int32_t worker)
{
    const work *k = argument;
    const kd__batch_norm *n = k->n;
    const double count = (double)(n->rows * n->places), r = k->stats[2 * channel + 1];
    const double a = n->weight[channel] * r;
    double sums[2];
    (void)worker;
    sum_channel(k, channel, sums);
    const float dweight = (float)(sums[1] * r), dbias = (float)sums[0];
    k->dweight[channel] = k->add ? k->dweight[channel] + dweight : dweight;
    k->dbias[channel] = k->add ? k->dbias[channel] + dbias : dbias;
    for (int64_t i = 0; k->dx && i < n->rows; i++) {
        const int64_t at = channel_at(n, i, channel);
        k->context->kernels->norm_slope(
            k->dx + at, k->dy + at, k->x + at, n->places, k->stats[2 * channel], (float)a,
            (float)(-a * r * r * sums[1] / count), (float)(-a * sums[0] / count));
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
    kd__parallel(context, n->channels, backward_channel, &k);
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
