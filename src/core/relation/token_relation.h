/* Relations between the tokens of one sample: how each row attends to the others at the student and
 * at the teacher. Pure functions, as those of relation.h.
 *
 * Legend: L rows of a sample; A heads on both sides, K key heads (A / K heads share one), D numbers
 * of a head, which may differ between the sides. Row i sees n_i rows: all, or those up to i.
 *
 *   z_ij = q_i . k_j / sqrt(D)
 *   divergence:  1/A sum_a KL(softmax z^t_i, softmax z_i)      [Wang et al. 2020, 2021]
 *   squares:     1/A sum_a 1/n_i sum_j (z_ij - z^t_ij)^2       [Jiao et al. 2020]
 *
 * MiniLM v2's relations of queries (or keys, or values) are the divergence with q = k = x, cut into
 * A heads of whatever width: A need not be the heads of either model. A row's scores are all that
 * is ever held, never L * L of them. */
#ifndef KD_CORE_RELATION_TOKEN_RELATION_H
#define KD_CORE_RELATION_TOKEN_RELATION_H

#include <kdistill/context.h>

#include "base/status.h"

typedef struct kd__token_side {
    const float *q, *k;       /* (L, A D), (L, K D) */
    int64_t q_step, k_step;   /* numbers from row to row */
    int64_t key_heads, width; /* K, D */
} kd__token_side;

typedef struct kd__token_relation {
    kd_context *context;
    kd__token_side s, t;
    int64_t rows, heads; /* L, A */
    int32_t is_causal;   /* row i sees rows 0 .. i, on both sides */
    int32_t is_squares;
    /* scale times the gradient of the sum of shares is added: contiguous (L, A D), (L, K D), the
     * same array where q and k are; NULL: values only */
    float *dq, *dk;
    double scale;
    double *shares; /* (L): each row's value */
    float *scratch; /* kd__token_relation_room floats, aligned to 64 bytes */
} kd__token_relation;

int64_t kd__token_relation_room(const kd__token_relation *r);
/* The same bits on any number of threads. */
void kd__token_relation_run(const kd__token_relation *r);

#endif
