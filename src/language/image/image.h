/* Transformers over patches: ViT and DeiT of images, AST of spectrograms. What a row goes through
 * is the trunk's; here are their configs, the names of their tensors, their heads and their
 * folders. Legend in language/trunk/trunk.h. */
#ifndef KD_IMAGE_IMAGE_H
#define KD_IMAGE_IMAGE_H

#include "language/sentence/samples.h"

enum { KD__VIT, KD__DEIT, KD__AST };

/* KD__TWO_HEADS: "logits" is the mean of a head on the class token and one on the distillation
 * token. */
enum { KD__NO_HEAD, KD__ONE_HEAD, KD__TWO_HEADS };
enum { KD__HEAD_CLASS, KD__HEAD_DISTILLATION, KD__HEADS };

/* "audio_spectrogram_transformer.encoder.layer.11.attention.attention.query.weight" */
typedef char kd__long_name[128];

typedef struct kd__image {
    kd__trunk trunk;             /* first: kd__trunk_of finds it */
    int32_t head;                /* KD__NO_HEAD .. */
    int32_t has_pooler;          /* dense and tanh of the first row: nothing goes through it */
    int64_t pooler_size;         /* numbers that it gives */
    int32_t pooler, pooler_bias; /* tensors, -1: none */
    /* with two heads: each, and their mean with its gradient, (S, labels) both */
    kd__chain heads[KD__HEADS];
    float *mean, *dmean;
    int64_t mean_room, dmean_room;
    int32_t has_mean, has_dmean;
    kd__long_name other;   /* a tensor's name in other folders */
    kd__long_name *folder; /* those of a folder with a head, where they are too long for a model */
} kd__image;

extern const kd__engine kd__image_engine;

static inline kd__image *kd__image_of(const kd_model *model) { return model->net.state; }

/* ---- configs and tensors ---- */

int kd__image_knows(const char *model_type);
/* "deit." before the names of a trunk in a folder with a head; a model has it where names that are
 * so long fit (KD_NAME_BYTES). */
const char *kd__image_prefix(const kd__image *image);
static inline int kd__image_has_prefix(const kd__image *image)
{
    return image->head != KD__NO_HEAD && image->trunk.config.family != KD__AST;
}
kd_status kd__image_read_config(kd__image *image, kd_context *context, const kd__json *root);
/* Reads the config; makes tensors. */
kd_status kd__image_read(kd__network *net, kd_context *context, const kd__json *root);
/* The name of the field that is read, where the config does not say. */
const char *kd__image_field(const kd__image *image);

/* Tokens, patches and heads of a student that is cut out of the teacher. */
kd_status kd__image_slice(kd_model *student, const kd_model *teacher, const int32_t *hidden);

/* ---- outputs: those of rows and samples, and of two heads (two_heads.c) ---- */

kd_status kd__image_forward(kd_model *model, kd_batch *batch, int32_t mode);
int kd__image_describe(const kd__network *net, int32_t slot, kd__output_facts *facts);
kd_status kd__image_output(kd_model *model, int32_t slot, kd_array *values);
kd_status kd__image_gradient(kd_model *model, int32_t slot, float **to, int32_t *add);
void kd__image_forget_gradients(kd_model *model);
kd_status kd__image_backward(kd_model *model);

/* ---- folders ---- */

/* A head as a class of transformers (kd__engine.head_class). */
kd_status kd__image_head_class(kd_model *model, const struct kd__task_head *head,
                               struct kd__head_class *to);

/* The config, and whether there is a pooler. */
kd_status kd__image_complete(kd_context *context, const kd__json *root, const char *folder,
                             struct kd__weights *weights, kd__text *to);
const char *kd__image_other_name(const kd_model *model, int32_t tensor, int32_t n);
kd_status kd__image_check_extra(const kd_model *model, const char *name, const kd_array *values,
                                const char *folder);
kd_status kd__image_list_entries(kd_model *model, const kd_model_save_options *options,
                                 kd__entries *to);
kd_status kd__image_write_config(kd_model *model, const kd_model_save_options *options,
                                 kd__text *to);

#endif
