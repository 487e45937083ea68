/* Causal attention over packed sequences. Legend: R rows of all sequences, H query heads over K key-value heads (G = H / K share one),
 * D numbers a head; a row of qkv is H D numbers of queries, K D of keys, K D of values; L keys that a row sees.
 * A row sees itself and earlier rows of its sequence; with a window w the last w of them, itself included, and the first `sinks`. */
#ifndef KD_NN_ATTENTION_H
#define KD_NN_ATTENTION_H

#include "base/context.h"

typedef struct kd__attention {
    int64_t heads, kv_heads, width; /* H, K, D */
    int64_t window, sinks;          /* 0: all, none */
    double scale;                   /* of q k, most often 1 / sqrt(D) */
    int64_t sequences;
    const int64_t *offsets; /* (sequences + 1) */
} kd__attention;

/* out (R, H D); lse (R, H), the log-sum-exp of each row's scores, may be NULL.      out = softmax(scale q k') v   [Dao et al. 2022] */
kd_status kd__attention_forward(kd_context *context, const kd__attention *a, const float *qkv, float *out, float *lse);

/* dqkv (R, (H + 2 K) D) is written. With P = exp(scale q k' - lse) and d = sum dout out a row and head:
 *   dv = P' dout,  dS = scale P (dout v' - d),  dq = dS k,  dk = dS' q                                            */
kd_status kd__attention_backward(kd_context *context, const kd__attention *a, const float *qkv, const float *out, const float *lse, const float *dout,
                                 float *dqkv);

/* Floats of scratch that either takes, whatever the length. */
int64_t kd__attention_scratch(const kd_context *context, const kd__attention *a);

#endif
