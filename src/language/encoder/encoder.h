/* Encoder language models: BERT, DistilBERT, RoBERTa, XLM-RoBERTa. What a row goes through is the
 * trunk's; here are their configs, the names of their tensors, what is made of a sample's rows, and
 * their folders, sentence-transformers' among them. Legend in language/trunk/trunk.h. */
#ifndef KD_ENCODER_ENCODER_H
#define KD_ENCODER_ENCODER_H

#include "language/sentence/samples.h"

enum { KD__BERT, KD__DISTILBERT, KD__ROBERTA, KD__XLM_ROBERTA };

typedef struct kd__encoder {
    kd__trunk trunk;             /* first: kd__trunk_of finds it */
    int32_t classifier;          /* ForSequenceClassification */
    int32_t has_pooler;          /* dense and tanh of the first row, whether it is used or not */
    int32_t pooler, pooler_bias; /* tensors, -1: none */
    double head_dropout;
    char other[KD_NAME_BYTES]; /* a tensor's name in older folders */
} kd__encoder;

extern const kd__engine kd__encoder_engine;

static inline kd__encoder *kd__encoder_of(const kd_model *model) { return model->net.state; }

/* ---- configs and tensors ---- */

int kd__encoder_knows(const char *model_type);
kd_status kd__encoder_read_config(kd__encoder *encoder, kd_context *context, const kd__json *root);
/* Reads the config; makes tensors. */
kd_status kd__encoder_read(kd__network *net, kd_context *context, const kd__json *root);
/* What stands before a trunk's names in a folder with a head: "bert.". */
const char *kd__encoder_prefix(const kd__encoder *encoder);
/* What an encoder adds to its trunk, cut out of a teacher's (kd__trunk_kind). */
kd_status kd__encoder_slice(kd_model *student, const kd_model *teacher, const int32_t *hidden);

/* ---- folders ---- */

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
