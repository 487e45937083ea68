/* Outputs of samples of a model that stands on a trunk: "pooled", "embedding" and the logits of a
 * class, with the keys of a config that say how they are made, and the folders of
 * sentence-transformers that have them. Legend of the chains in chain.h. */
#ifndef KD_SENTENCE_SAMPLES_H
#define KD_SENTENCE_SAMPLES_H

#include "language/sentence/chain.h"

enum { KD__CHAIN_POOLED, KD__CHAIN_EMBEDDING, KD__CHAIN_LOGITS, KD__CHAINS };

typedef struct kd__samples {
    int32_t chains;     /* KD__CHAIN_LOGITS; KD__CHAINS with a class for each sample */
    int32_t sentence;   /* kd_pooling is there: the folder is sentence-transformers' */
    int32_t is_kept;    /* evaluating passes keep them unless somebody says otherwise */
    int64_t max_length; /* kd_max_length */
    /* kd_include_prompt is false: so many first rows of a sample, the batch's "prompt_length", are
     * not pooled; prompts (samples) NULL: none in this pass */
    int32_t leaves_out_prompt;
    int64_t *prompts, *prompts_block, prompts_room;
    kd__chain chain[KD__CHAINS];
    char dense_folder[KD__MOST_STAGES][KD_NAME_BYTES]; /* "": with the trunk */
} kd__samples;

static inline kd__samples *kd__samples_of(const kd_model *model)
{
    return kd__trunk_of(model)->samples;
}

/* ---- configs and tensors ---- */

/* The keys kd_pooling (`pooling` where it is missing), kd_dense, kd_normalize, kd_max_length,
 * kd_include_prompt. The trunk's config has been read. */
kd_status kd__samples_read(kd__trunk *trunk, kd_context *context, const kd__json *root,
                           const char *pooling);
/* "dense.0.weight" .., after the model's other tensors; of one stage. */
kd_status kd__stage_tensors(kd__network *net, kd_context *context, kd__stage *stage,
                            int64_t number);
kd_status kd__samples_tensors(kd__network *net, kd_context *context, kd__chain *embedding);
void kd__samples_free(kd__samples *samples, kd_context *context);

/* ---- passes and outputs: of an engine's table, where its network has samples ---- */

/* A sequence is no longer than kd_max_length; what chains made of the last pass is forgotten. */
kd_status kd__samples_forward(kd_model *model, kd_batch *batch, int32_t mode);
int kd__samples_describe(const kd__network *net, int32_t slot, kd__output_facts *facts);
kd_status kd__samples_output(kd_model *model, int32_t slot, kd_array *values);
kd_status kd__samples_gradient(kd_model *model, int32_t slot, float **to, int32_t *add);
kd_status kd__samples_pull(kd_model *model, int32_t slot, const float *dy, int32_t *source,
                           float *dx);
void kd__samples_forget_gradients(kd_model *model);
/* The trunk's pass as well. Fresh gradients of tensors of no chain, and of none of the trunk's,
 * are the engine's to clear. */
kd_status kd__samples_backward(kd_model *model);
/* Dense layers that a model takes in (append.c). */
kd_status kd__samples_append(kd_model *model, const kd__dense *dense, int64_t count);

/* ---- students: hidden is the teacher's number of each of the student's hidden units ---- */

/* rows, columns: as in kd__slice_tensor. */
void kd__stage_slice(kd_model *student, const kd__stage *to, const kd_model *teacher,
                     const kd__stage *from, const int32_t *rows, const int32_t *columns);
/* A layer that the teacher lacks stays as it was initialized. */
kd_status kd__samples_slice(kd_model *student, const kd_model *teacher, const int32_t *hidden);

/* ---- folders of sentence-transformers: modules.json and what it names ---- */

/* Keys of the config that the folder's other files say, each after a comma; none: it has no
 * modules.json. */
kd_status kd__sentence_find(kd_context *context, const char *folder, struct kd__weights *weights,
                            kd__text *found);
/* The config's own keys, then those that were found. */
kd_status kd__sentence_join(const kd__json *root, const kd__text *found, kd__text *to);
/* What the folder's other files say, and its config does not say twice. */
int kd__sentence_is_key(const kd_model *model, const char *key);
/* A dense layer's tensor; where the folder that is read, or written, has it apart. */
int kd__sentence_is_dense(const kd_model *model, int32_t tensor, int64_t *stage);
int kd__sentence_is_apart(const kd_model *model, int32_t tensor);
int kd__sentence_is_written_apart(const kd_model *model, int32_t tensor);
kd_status kd__sentence_read(kd_model *model, const char *folder);
kd_status kd__sentence_write(kd_model *model, const char *folder,
                             const kd_model_save_options *options);

#endif
