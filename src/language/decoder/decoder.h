/* Decoder language models: Llama, Qwen2, Qwen3, Mistral. What they compute is the trunk's; here are
 * their configs, the names of their tensors, their folders. */
#ifndef KD_DECODER_DECODER_H
#define KD_DECODER_DECODER_H

#include "language/sentence/samples.h"

enum { KD__LLAMA, KD__QWEN2, KD__QWEN3, KD__MISTRAL };

typedef struct kd__decoder {
    kd__trunk trunk; /* first: kd__trunk_of finds it */
    int32_t bare;    /* the family's Model: without a head, unless it is the embedding */
} kd__decoder;

extern const kd__engine kd__decoder_engine;

static inline kd__decoder *kd__decoder_of(const kd_model *model) { return model->net.state; }

static inline int kd__is_decoder(const kd_model *model)
{
    return model->net.engine == &kd__decoder_engine;
}

int kd__decoder_knows(const char *model_type);
kd_status kd__decoder_read(kd__network *net, kd_context *context, const kd__json *root);
kd_status kd__decoder_read_config(kd__decoder *decoder, kd_context *context, const kd__json *root);

/* ---- folders ---- */

/* A head as a class of transformers (kd__engine.head_class). */
kd_status kd__decoder_head_class(kd_model *model, const struct kd__task_head *head,
                                 struct kd__head_class *to);

/* The config with what sentence-transformers' files say. */
kd_status kd__decoder_complete(kd_context *context, const kd__json *root, const char *folder,
                               struct kd__weights *weights, kd__text *to);
const char *kd__decoder_other_name(const kd_model *model, int32_t tensor, int32_t n);
kd_status kd__decoder_check_extra(const kd_model *model, const char *name, const kd_array *values,
                                  const char *folder);
kd_status kd__decoder_list_entries(kd_model *model, const kd_model_save_options *options,
                                   kd__entries *to);
kd_status kd__decoder_write_config(kd_model *model, const kd_model_save_options *options,
                                   kd__text *to);

#endif
