/* Batch norm of channels [Ioffe and Szegedy 2015], with an activation. Legend: R rows, C channels,
 * P places of a channel (1 for vectors); x, y (R, C, P); M = R P numbers of a channel.
 *   m = mean x, v = mean (x - m)^2, r = 1 / sqrt(v + eps);  y = f(w r (x - m) + b)
 *   running mean += momentum (m - running mean), running variance the same with v M / (M - 1)
 *   with g = dy f'(pre):  db = sum g, dw = r sum g (x - m),
 *   dx = w r (g - sum g / M - (x - m) r^2 sum g (x - m) / M)
 * Sums run over the rows in order, in double. */
#ifndef KD_NN_BATCH_NORM_H
#define KD_NN_BATCH_NORM_H

#include <kdistill/context.h>

typedef struct kd__batch_norm {
    int64_t rows, channels, places;
    float epsilon, momentum;
    int32_t activation;
    const float *weight, *bias; /* (C) */
} kd__batch_norm;

/* stats (C, 2): m and r, for the backward pass; pre as y, NULL unless the activation keeps it. M is
 * at least 2. */
void kd__batch_norm_train(kd_context *context, const kd__batch_norm *n, float *y, float *pre,
                          const float *x, float *running_mean, float *running_variance,
                          float *stats);
/* With the running statistics. */
void kd__batch_norm_evaluate(kd_context *context, const kd__batch_norm *n, float *y, const float *x,
                             const float *running_mean, const float *running_variance);
/* dy is consumed; dweight, dbias: = or +=; each NULL: not wanted, dx too; dx may be dy. */
void kd__batch_norm_backward(kd_context *context, const kd__batch_norm *n, float *dx,
                             float *dweight, float *dbias, float *dy, const float *y,
                             const float *pre, const float *x, const float *stats, int add);

/* weight (C, inputs) and bias (C) of the layer before, with the norm's running statistics in them:
 * y = w' x + b' is its norm. bias NULL: zeros. */
void kd__batch_norm_fold(const kd__batch_norm *n, const float *running_mean,
                         const float *running_variance, const float *weight, const float *bias,
                         int64_t inputs, float *folded_weight, float *folded_bias);

#endif
