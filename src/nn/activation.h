/* Bias and activation of a dense layer. Legend: R rows, N width; y (R, N) layer output, pre (R, N)
 * what went into the activation. */
#ifndef KD_NN_ACTIVATION_H
#define KD_NN_ACTIVATION_H

#include <kdistill/context.h>

enum { KD__NONE, KD__RELU, KD__GELU, KD__TANH, KD__SIGMOID, KD__RELU6, KD__HARDSWISH, KD__SILU };
#define KD__ACTIVATIONS "none, relu, gelu, tanh, sigmoid, relu6, hardswish or silu"

/* The kind by its name in a config ("none", "relu", ...); -1 when it is unknown. */
int32_t kd__activation_kind(const char *name);
const char *kd__activation_name(int32_t kind);
/* 1: the backward pass needs `pre`. */
int kd__activation_keeps_input(int32_t kind);

/* 1: y = x between *low and *high, and these beyond: none, relu, relu6. */
int kd__activation_clamps(int32_t kind, float *low, float *high);

/* One row: y = f(x + bias); bias may be NULL; pre (NULL: not kept) gets x + bias. x may be y. */
void kd__activate_row(kd_context *context, int32_t kind, float *y, const float *x,
                      const float *bias, float *pre, int64_t n);
/* y (R, N) = f(y + bias) */
void kd__activation_forward(kd_context *context, int32_t kind, float *y, const float *bias,
                            float *pre, int64_t rows, int64_t width);
/* dy (R, N) = dy * f'(pre), in place */
void kd__activation_backward(kd_context *context, int32_t kind, float *dy, const float *y,
                             const float *pre, int64_t rows, int64_t width);
/* The same of one row of n. */
void kd__activation_slope(kd_context *context, int32_t kind, float *dy, const float *y,
                          const float *pre, int64_t n);

#endif
