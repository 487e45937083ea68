/* One head of a model in a folder of another class: transformers' ...ForSequenceClassification and
 * the like, of whose tensors the engine tells the names. */
#ifndef KD_MODEL_HEAD_CLASS_H
#define KD_MODEL_HEAD_CLASS_H

#include "base/text.h"
#include "core/model/task_heads.h"

typedef struct kd__head_class {
    char name[80]; /* "BertForSequenceClassification" */
    /* tensors of the head in the folder; NULL: the class has none */
    const char *weight, *bias, *dense_weight, *dense_bias;
    const char *prefix;       /* of the trunk's tensors: "bert." */
    const char *const *drops; /* how tensors that the class lacks begin; NULL after the last */
    const char *dropout_key;  /* of the config; NULL: none */
} kd__head_class;

/* What a class asks of a head; KD_ERR_UNSUPPORTED says what this one has otherwise.
 * - hidden: units of a layer before the labels, 0: none. */
typedef struct kd__head_form {
    int32_t unit, pooling, activation; /* pooling, activation: where there are such */
    int64_t hidden;
    int32_t has_bias;
} kd__head_form;
kd_status kd__head_check(const kd_model *model, const kd__task_head *head, const char *name,
                         const kd__head_form *form);

/* The head of this name, as the model's engine has it in a class; KD_ERR_NOT_FOUND. */
kd_status kd__head_class_find(kd_model *model, const char *name, const kd__task_head **head,
                              kd__head_class *to);
/* Entries of the trunk and this head, under the names of the class. */
kd_status kd__head_class_entries(const kd_model *model, const kd__task_head *head,
                                 const kd__head_class *as, kd__entries *entries);
/* The config that was written for the model, as one of the class. */
kd_status kd__head_class_config(const kd__task_head *head, const kd__head_class *as,
                                const kd__text *config, kd__text *to);

#endif
