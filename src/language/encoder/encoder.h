/* Encoder language models: BERT, DistilBERT, RoBERTa, XLM-RoBERTa, ModernBERT. What a row goes
 * through is the trunk's; here are their configs, the names of their tensors, what is made of a
 * sample's rows, and their folders, sentence-transformers' among them. Legend in
 * language/trunk/trunk.h. */
#ifndef KD_ENCODER_ENCODER_H
#define KD_ENCODER_ENCODER_H

#include "language/encoder/masked_head.h"
#include "language/sentence/samples.h"
#include "language/trunk/config_keys.h"

enum { KD__BERT, KD__DISTILBERT, KD__ROBERTA, KD__XLM_ROBERTA, KD__MODERNBERT };

typedef struct kd__encoder {
    kd__trunk trunk;             /* first: kd__trunk_of finds it */
    int32_t classifier;          /* ForSequenceClassification */
    int32_t has_pooler;          /* dense and tanh of the first row, whether it is used or not */
    int32_t pooler, pooler_bias; /* tensors, -1: none */
    double head_dropout;
    kd__masked_head masked;    /* ForMaskedLM */
    char other[KD_NAME_BYTES]; /* a tensor's name in older folders */
} kd__encoder;

extern const kd__engine kd__encoder_engine;

static inline kd__encoder *kd__encoder_of(const kd_model *model) { return model->net.state; }

/* ---- configs and tensors ---- */

int kd__encoder_knows(const char *model_type);
kd_status kd__encoder_read_config(kd__encoder *encoder, kd_context *context, const kd__json *root);
kd_status kd__encoder_check_sizes(const kd__trunk_config *config);
/* Reads the config; makes tensors. */
kd_status kd__encoder_read(kd__network *net, kd_context *context, const kd__json *root);
/* What stands before a trunk's names in a folder with a head: "bert.". */
const char *kd__encoder_prefix(const kd__encoder *encoder);
/* What an encoder adds to its trunk, cut out of a teacher's (kd__trunk_kind). */
kd_status kd__encoder_slice(kd_model *student, const kd_model *teacher, const int32_t *hidden);

/* ---- outputs: of samples, and of a masked language model's rows ---- */

kd_status kd__encoder_forward(kd_model *model, kd_batch *batch, int32_t mode);
int kd__encoder_describe(const kd__network *net, int32_t slot, kd__output_facts *facts);
kd_status kd__encoder_output(kd_model *model, int32_t slot, kd_array *values);
kd_status kd__encoder_gradient(kd_model *model, int32_t slot, float **to, int32_t *add);
void kd__encoder_forget_gradients(kd_model *model);
kd_status kd__encoder_backward(kd_model *model);
int32_t kd__encoder_head(kd_model *model, int32_t slot, int gradient, kd_head *head);

/* ---- folders ---- */

/* A head as a class of transformers (kd__engine.head_class). */
kd_status kd__encoder_head_class(kd_model *model, const struct kd__task_head *head,
                                 struct kd__head_class *to);

/* The config with what sentence-transformers' files say, and whether there is a pooler. */
kd_status kd__encoder_complete(kd_context *context, const kd__json *root, const char *folder,
                               struct kd__weights *weights, kd__text *to);
const char *kd__encoder_other_name(const kd_model *model, int32_t tensor, int32_t n);
kd_status kd__encoder_check_extra(const kd_model *model, const char *name, const kd_array *values,
                                  const char *folder);
kd_status kd__encoder_list_entries(kd_model *model, const kd_model_save_options *options,
                                   kd__entries *to);
kd_status kd__encoder_write_config(kd_model *model, const kd_model_save_options *options,
                                   kd__text *to);

#endif
