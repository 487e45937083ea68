/* The head of masked language models. Legend: R rows of d numbers, V vocabulary.
 *
 *   states = transform(hidden);  logits = states E' + c
 *
 * E is the embedding where the two are tied. "hidden.head" is the states: what a loss multiplies
 * with E in blocks. */
#ifndef KD_ENCODER_MASKED_HEAD_H
#define KD_ENCODER_MASKED_HEAD_H

#include "language/sentence/transform.h"

typedef struct kd__masked_head {
    int32_t is_there, has_dense_bias, has_bias;
    kd__transform transform;
    int32_t is_made, has_gradient; /* of the last pass; made when asked for */
} kd__masked_head;

/* The name of a head's tensor where folders have another one; 0: there is none. */
int kd__masked_other_name(const kd__trunk_config *config, const char *name, char *to);
/* A tied matrix under the head's name. */
int kd__masked_is_tied(const kd__trunk_config *config, const char *name);
/* Tensors, and the trunk's head. */
kd_status kd__masked_tensors(kd__masked_head *head, kd__network *net, kd_context *context,
                             kd__trunk_config *config);

/* The states (R, d) of the last pass. */
kd_status kd__masked_forward(kd_model *model, kd__masked_head *head);
/* Gradients of the tensors are added to, and that of "hidden". */
kd_status kd__masked_backward(kd_model *model, kd__masked_head *head);

#endif
