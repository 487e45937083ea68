/* A head as transformers' ...ForSequenceClassification (of the first row, through a dense layer) or
 * ...ForTokenClassification of an encoder. */
#include <stdio.h>

#include "core/model/head_class.h"
#include "language/encoder/encoder.h"
#include "nn/activation.h"
#include "nn/sequence_pool.h"

static const char *const drops[] = { "pooler.",  "classifier.", "pre_classifier.", "cls.",
                                     "lm_head.", "vocab_",      "dense.",          NULL };

/* By family: BERT's dense layer is its pooler. */
static const struct {
    const char *stem, *prefix, *dense_weight, *dense_bias, *weight, *bias, *dropout;
    int32_t activation;
} classes[KD__MODERNBERT] = {
    [KD__BERT] = { "Bert", "bert.", "bert.pooler.dense.weight", "bert.pooler.dense.bias",
                   "classifier.weight", "classifier.bias", "classifier_dropout", KD__TANH },
    [KD__DISTILBERT] = { "DistilBert", "distilbert.", "pre_classifier.weight",
                         "pre_classifier.bias", "classifier.weight", "classifier.bias",
                         "seq_classif_dropout", KD__RELU },
    [KD__ROBERTA] = { "Roberta", "roberta.", "classifier.dense.weight", "classifier.dense.bias",
                      "classifier.out_proj.weight", "classifier.out_proj.bias",
                      "classifier_dropout", KD__TANH },
    [KD__XLM_ROBERTA] = { "XLMRoberta", "roberta.", "classifier.dense.weight",
                          "classifier.dense.bias", "classifier.out_proj.weight",
                          "classifier.out_proj.bias", "classifier_dropout", KD__TANH },
};

kd_status kd__encoder_head_class(kd_model *model, const kd__task_head *h, kd__head_class *to)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const int of_rows = h->unit == KD_UNIT_OF_ROW;
    KD_FAIL_IF(d->family == KD__MODERNBERT, KD_ERR_UNSUPPORTED,
               "save: head: ModernBERT's classes have a norm before their labels, which a head of "
               "kd_heads has not");
    const kd__head_form form = { .unit = h->unit,
                                 .pooling = KD__POOL_FIRST,
                                 .activation = classes[d->family].activation,
                                 .hidden = of_rows ? 0 : d->hidden,
                                 .has_bias = 1 };
    *to = (kd__head_class){ .weight = of_rows ? "classifier.weight" : classes[d->family].weight,
                            .bias = of_rows ? "classifier.bias" : classes[d->family].bias,
                            .dense_weight = classes[d->family].dense_weight,
                            .dense_bias = classes[d->family].dense_bias,
                            .prefix = classes[d->family].prefix,
                            .drops = drops,
                            .dropout_key = of_rows && d->family == KD__DISTILBERT
                                               ? NULL
                                               : classes[d->family].dropout };
    snprintf(to->name, sizeof to->name, "%sFor%sClassification", classes[d->family].stem,
             of_rows ? "Token" : "Sequence");
    return kd__head_check(model, h, to->name, &form);
}
