/* Attention over packed sequences. Legend: R rows of all sequences, H query heads over K
 * key-value heads (G = H / K share one), D numbers a head; a row of qkv is H D numbers of queries,
 * K D of keys, K D of values; L keys that a row sees. A row sees itself and earlier rows of its
 * sequence; with a window w the last w of them, itself included, and the first `sinks`. With
 * both_sides it sees the later rows as well, with a window those nearer than w on either side, and
 * there are no sinks. */
#ifndef KD_NN_ATTENTION_H
#define KD_NN_ATTENTION_H

#include <kdistill/context.h>

#include "base/status.h"

typedef struct kd__attention {
    int64_t heads, kv_heads, width; /* H, K, D */
    int64_t window, sinks;          /* 0: all, none */
    int32_t both_sides;             /* 0: causal */
    double scale;                   /* of q k, most often 1 / sqrt(D) */
    /* of probabilities, as kd__dropout; which are dropped depends on (stream, row, head, key) */
    double dropout;
    uint64_t stream;
    int64_t sequences;
    const int64_t *offsets; /* (sequences + 1) */
} kd__attention;

/* out (R, H D); lse (R, H), the log-sum-exp of each row's scores, may be NULL.
 *     out = dropout(softmax(scale q k')) v [Dao et al. 2022] */
kd_status kd__attention_forward(kd_context *context, const kd__attention *a, const float *qkv,
                                float *out, float *lse);

/* dqkv (R, (H + 2 K) D) is written. With P = exp(scale q k' - lse) and d = sum dout out a row and
 * head, and M = 1 / (1 - dropout) where a probability was kept, else 0:
 *   dv = (P M)' dout,  dS = scale P (M dout v' - d),  dq = dS k,  dk = dS' q */
kd_status kd__attention_backward(kd_context *context, const kd__attention *a, const float *qkv,
                                 const float *out, const float *lse, const float *dout,
                                 float *dqkv);

/* Floats of scratch that either takes, whatever the length. */
int64_t kd__attention_scratch(const kd_context *context, const kd__attention *a);

#endif
