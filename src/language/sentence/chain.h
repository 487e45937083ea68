/* Outputs of a sample: its rows pooled, then dense layers, then, if asked for, length 1. Legend: S
 * samples, R rows of d numbers; a stage has I inputs and N outputs.
 *
 *   v_0 = pool(hidden), or transform(pool(hidden))
 *   v_i = f_i(dropout(v_(i-1)) W_i' + b_i);  output = v_n, or v_n / |v_n|
 *
 * where a stage may norm v_(i-1), of d numbers, before all else.
 *
 * "pooled" is a chain of no stages, "embedding" and the logits of a class are others. */
#ifndef KD_SENTENCE_CHAIN_H
#define KD_SENTENCE_CHAIN_H

#include "language/sentence/transform.h"
#include "nn/sequence_pool.h"

#define KD__MOST_STAGES 4

typedef struct kd__stage {
    int32_t weight, bias; /* tensors; bias -1: none */
    int64_t inputs, outputs;
    int32_t activation;
    double dropout; /* of the inputs, in a training pass */
    /* is_normed 1: the inputs go through a layer norm first, with the tensor norm and its next */
    int32_t is_normed, norm;
} kd__stage;

typedef struct kd__chain {
    int32_t pooling, normalize;
    int32_t skips_prompt;  /* rows of a prompt (kd__samples) are not pooled */
    int64_t count, width;  /* stages; d */
    int32_t has_transform; /* between pooling and stages, of which there is one at least */
    kd__transform transform;
    kd__stage stage[KD__MOST_STAGES];
    /* of the last pass: values, lengths, the output's gradient, scratch; made when asked for */
    float *block;
    int64_t room, samples;
    int32_t is_made, has_gradient;
} kd__chain;

/* Numbers of an output. */
static inline int64_t kd__chain_outputs(const kd__chain *c)
{
    return c->count ? c->stage[c->count - 1].outputs : c->width;
}
/* site: of the first stage's dropout. */
kd_status kd__chain_forward(kd_model *model, kd__chain *chain, int64_t site);
const float *kd__chain_output(const kd__chain *chain);
/* (S, outputs): of the output, to be written before the backward pass. */
float *kd__chain_gradient(const kd__chain *chain);
/* Gradients of the stages' tensors are added to; dhidden (R, d) as well. */
kd_status kd__chain_backward(kd_model *model, kd__chain *chain, int64_t site, float *dhidden);
/* dhidden += what dy (S, outputs) gives it; no tensor's gradient changes. The chain has no
 * transform. */
kd_status kd__chain_pull(kd_model *model, kd__chain *chain, int64_t site, const float *dy,
                         float *dhidden);

#endif
