/* A head as transformers' ViTForImageClassification or DeiTForImageClassification. */
#include <stdio.h>

#include "core/model/head_class.h"
#include "language/image/image.h"
#include "nn/sequence_pool.h"

static const char *const drops[] = { "pooler.",         "classifier.",
                                     "cls_classifier.", "distillation_classifier.",
                                     "dense.",          NULL };

kd_status kd__image_head_class(kd_model *model, const kd__task_head *h, kd__head_class *to)
{
    const kd__image *m = kd__image_of(model);
    const kd__head_form form = { .unit = KD_UNIT_OF_SAMPLE,
                                 .pooling = KD__POOL_FIRST,
                                 .has_bias = 1 };
    KD_FAIL_IF(m->trunk.config.family == KD__AST, KD_ERR_UNSUPPORTED,
               "save: head: ASTForAudioClassification has a norm before its labels, which a head "
               "of kd_heads has not");
    *to = (kd__head_class){ .weight = "classifier.weight",
                            .bias = "classifier.bias",
                            .prefix = kd__image_prefix(m),
                            .drops = drops };
    snprintf(to->name, sizeof to->name, "%sForImageClassification",
             m->trunk.config.family == KD__VIT ? "ViT" : "DeiT");
    return kd__head_check(model, h, to->name, &form);
}
