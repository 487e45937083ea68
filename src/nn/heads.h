/* Queries, keys and values between their product and attention: bias, the norms of query and key
 * heads that Qwen3 has, rotary positions. Legend: R rows; H query heads and K key-value heads of D
 * numbers; a row of qkv is H D numbers of queries, K D of keys, K D of values; T = H + K heads
 * turn. */
#ifndef KD_NN_HEADS_H
#define KD_NN_HEADS_H

#include "nn/ranges.h"

typedef struct kd__heads {
    int64_t heads, kv_heads, head_dim; /* H, K, D */
    const float *bias;                 /* ((H + 2 K) D); NULL: none */
    const float *q_norm, *k_norm;      /* (D) each; NULL: none */
    double epsilon;                    /* of the norms */
    const float *cosine, *sine;        /* (R, D / 2); NULL: positions do not turn heads */
} kd__heads;

/* In place. raw (R, T D), inverse (R, T): the values before the norms and the norms' factors, for a
 * backward pass; NULL: not kept. */
void kd__heads_finish(const kd__rows *rows, const kd__heads *heads, float *qkv, float *raw,
                      float *inverse);
/* dqkv becomes the gradient of what the product gave, in place; dq_norm and dk_norm (D) = or +=
 * their weights' gradients, where there are norms; NULL: not wanted. */
void kd__heads_gradient(const kd__rows *rows, const kd__heads *heads, const float *raw,
                        const float *inverse, float *dqkv, float *dq_norm, float *dk_norm, int add);

#endif
