/* kdistill/model.h - networks: students, and models that act as teachers.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_model_create(&model, context, config, NULL);     or kd_model_load
 *   2.  kd_model_forward(model, batch, KD_MODE_TRAIN);
 *   3.  kd_loss_backward(loss, model, batch, targets, NULL, &result);
 *   4.  kd_optimizer_step(optimizer, rate);
 *   5.  kd_model_save(model, folder, NULL);
 *
 * A model is made from a JSON config with Hugging Face's key names. Trainable parameters and their
 * gradients are one flat float32 block each, with named views. A forward pass offers named outputs:
 * "logits", and "hidden.i" after layer i (from 0, activation included). Activations live until the
 * next forward pass. Evaluating passes of a language model keep "hidden" and "logits", and what
 * kd_model_keep asks for.
 *
 * Configs by model_type; keys, inputs and outputs of each are in docs/configs.md:
 * - "mlp", "sequential": networks of layers, for numbers and images.
 * - "llama", "mistral", "qwen2", "qwen3": language models.
 * - "bert", "distilbert", "roberta", "xlm-roberta", "modernbert": encoders.
 * - "vit", "deit", "audio-spectrogram-transformer": transformers over patches.
 * - "static_embedding": a vector for each token, and their mean.
 * - "towers": several of these, one for each modality (towers.h).
 * Keys that would change the result but are not supported are rejected by name. */
#ifndef KDISTILL_MODEL_H
#define KDISTILL_MODEL_H

#include <kdistill/data.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_model kd_model;

#define KD_MODE_EVALUATE 0 /* no dropout; nothing is kept for a backward pass */
#define KD_MODE_TRAIN 1    /* dropout; a backward pass may follow */
/* What a KD_MODE_TRAIN pass would give, dropout included, with the memory of KD_MODE_EVALUATE: see
 * kd_model_forward. Since 0.2 */
#define KD_MODE_REHEARSE 3

/* What an output has one row for. Since 0.2. */
#define KD_UNIT_OF_ROW 0
#define KD_UNIT_OF_SAMPLE 1
#define KD_UNIT_OF_BATCH 2 /* a parameter that is read as an output: "logit_scale" */

/* Which of L layers of a teacher belongs to layer i of a student's l (kd_student_create,
 * kd_loss_map_layers). */
#define KD_LAYERS_UNIFORM 0 /* round(i (L - 1) / (l - 1)): first and last are kept */
#define KD_LAYERS_FIRST 1   /* i */
#define KD_LAYERS_LAST 2    /* L - l + i */
#define KD_LAYERS_BLOCKS 3  /* (i + 1) L / l - 1: the ends of l equal blocks */
/* found on texts, for kd_student_options.choose alone: see there */
#define KD_LAYERS_INFLUENCE 4
#define KD_LAYERS_GREEDY 5

typedef struct kd_model_options {
    uint32_t struct_size;
    int32_t frozen; /* 1: no gradients; the model only evaluates (a teacher) */
    uint64_t seed;  /* of initial weights and dropout; 0: the context's */
    /* activations are allocated for this many rows, more if a batch needs it; 0: at the first
     * forward */
    int64_t max_rows;
    /* KD_FLOAT32, or KD_INT8 for a frozen language model: 8-bit weights times 8-bit activations,
     * one scale per 64 or 128 inputs, logits included; kept in addition to the parameters, which
     * must not change. Loading runs 256 random tokens through the model: loud inputs are evened out
     * before they are rounded [Xiao et al. 2023]. Or KD_BLOCK_Q4_0 or KD_BLOCK_IQ4_NL (block.h):
     * the layers' matrices as blocks of 4 bits times 8-bit activations, 32 inputs a scale on both
     * sides, the head in 8 bits, the same bits in every instruction set; KD_ERR_RANGE: a matrix has
     * numbers that the blocks do not have. Since 0.2 */
    int32_t weights;
    /* 1: a language model keeps only each layer's input and recomputes the rest in the backward
     * pass, one layer at a time */
    int32_t recompute;
    /* with recompute: how many layers, from the first, recompute (memory against time); 0: all */
    int32_t recompute_layers;
    /* KD_FLOAT32, or KD_BFLOAT16 for a language model: what a training pass keeps of a layer
     * besides its input is rounded for the backward pass, which halves that memory; the forward
     * pass is not rounded */
    int32_t activations;
    /* 1: the layers of a language model take turns using memory for one layer's gradients. Every
     * backward pass then needs kd_optimizer_begin_step before it, and gradients cannot be read.
     * KD_ERR_UNSUPPORTED: other models, and layers shared as a whole stack */
    int32_t shared_gradients;
    /* 1: with `weights` of few bits, a model keeps its matrices in them alone, and is made a
     * layer at a time: about 1.1 (KD_INT8) or .6 bytes a parameter, and a layer in float32 while it
     * is made. The products' weights are those of packed_only 0, bit for bit; rows of the embedding
     * come out of the 8-bit head where it is tied, else out of blocks of KD_BLOCK_Q8_0 or of
     * `weights`, and logits out of the 8-bit head in losses too. Passes, teachers, generators of
     * the same `weights` and size facts work. What needs float32 matrices is KD_ERR_STATE and says
     * so: kd_model_parameters, kd_model_tensor of a matrix, saving, checkpoints, copying, cutting
     * students, GGUF files. KD_ERR_UNSUPPORTED: other models, and layers that are shared. Not
     * frozen, it trains adapters (kd_model_add_lora), norms, biases and heads. Since 0.2 */
    int32_t packed_only;
    /* names or patterns of outputs, with commas between: kd_model_keep for each. NULL: none */
    const char *keep;
} kd_model_options;
#define KD_MODEL_OPTIONS_INIT                                                                      \
    {                                                                                              \
        (uint32_t)sizeof(kd_model_options), 0, 0, 0, KD_FLOAT32, 0, 0, KD_FLOAT32, 0, 0, NULL      \
    }
KD_API void kd_model_options_init(kd_model_options *options, size_t size);

/* A model with fresh weights: U(-a, a), a = 1 / sqrt(fan-in), for weights and biases (PyTorch's
 * default), from the seed; batch norms 1 and 0, running means 0 and variances 1. Language models:
 * N(0, initializer_range) for matrices, norms 1, biases 0. KD_ERR_CONFIG names the unknown key, or
 * the layer that does not fit the one before it. */
KD_API kd_status kd_model_create(kd_model **out, kd_context *context, const char *config,
                                 const kd_model_options *options);

/* A model from one of these; a tensor that is missing, unknown or of the wrong shape is an error
 * that names it:
 * - a folder with config.json and model.safetensors, or the shards of model.safetensors.index.json
 *   (F32, F16, BF16, F64; mapped while they are read);
 * - a folder of static embeddings: model2vec's, or one whose modules.json names a StaticEmbedding
 *   and a Normalize or nothing after it. Since 0.2;
 * - a GGUF file of architecture llama, qwen2 or qwen3 (F32, F16, BF16, and the formats of
 *   block.h). Since 0.2. */
KD_API kd_status kd_model_load(kd_model **out, kd_context *context, const char *folder,
                               const kd_model_options *options);
KD_API void kd_model_free(kd_model *model);

typedef struct kd_model_save_options {
    uint32_t struct_size;
    int32_t dtype; /* KD_FLOAT32, KD_FLOAT16 or KD_BFLOAT16 */
    /* 1: shared layers are copied and factorized embeddings multiplied out, so that transformers
     * loads the folder */
    int32_t expand;
    int32_t reserved;
    /* 0: one file; else larger weights are split into shards of at most this many bytes (a tensor
     * is never split) */
    int64_t shard_bytes;
    /* one head of kd_heads: the folder is that of a classifier with this head alone, as
     * transformers' BertForSequenceClassification; see kd_model_save. NULL: the whole model */
    const char *head;
} kd_model_save_options;
#define KD_MODEL_SAVE_OPTIONS_INIT                                                                 \
    {                                                                                              \
        (uint32_t)sizeof(kd_model_save_options), KD_FLOAT32, 0, 0, 0, NULL                         \
    }
KD_API void kd_model_save_options_init(kd_model_save_options *options, size_t size);

/* Writes config.json and model.safetensors (or shards and model.safetensors.index.json) into
 * `folder`, which is created if needed. Each file is written to a temporary name and renamed. A
 * loaded model brings its folder's tokenizer and generation files along. transformers loads what a
 * language model writes; of a model with kd_heads its trunk.
 * - head: a head of samples as ...ForSequenceClassification of bert, distilbert, roberta,
 *   xlm-roberta (pooling cls, a hidden layer as wide as the trunk), llama, mistral, qwen2, qwen3
 *   (pooling last, no bias), as ...ForImageClassification of vit and deit (pooling cls); a head of
 *   rows as ...ForTokenClassification of the language models. Another form is KD_ERR_UNSUPPORTED,
 *   which says what the class has; KD_ERR_NOT_FOUND: there is no such head.
 * Errors: KD_ERR_RANGE (over 1,000 shards), KD_ERR_UNSUPPORTED (dtype), KD_ERR_IO. */
KD_API kd_status kd_model_save(kd_model *model, const char *folder,
                               const kd_model_save_options *options);

/* What a model will take, before anything is allocated. */
typedef struct kd_model_memory_info {
    uint32_t struct_size;
    int32_t reserved;
    int64_t parameters; /* numbers */
    int64_t parameter_bytes;
    int64_t gradient_bytes; /* 0 for a frozen model */
    /* for max_rows rows: outputs (those of options->keep too, with the heads that it names), their
     * gradients, masks, scratch; 8-bit copies of weights */
    int64_t activation_bytes;
    /* what create, forward and backward ask the allocator for; a language model's complete logits
     * and a loss's memory (kd_loss_estimate_memory) are extra */
    int64_t total_bytes;
} kd_model_memory_info;
KD_API kd_status kd_model_estimate_memory(kd_context *context, const char *config,
                                          const kd_model_options *options,
                                          kd_model_memory_info *info);

/* Runs the model on the batch's input field (config key "input", default "inputs"), mode
 * KD_MODE_TRAIN, KD_MODE_EVALUATE or KD_MODE_REHEARSE. KD_MODE_TRAIN counts dropout's random
 * numbers per pass (part of a checkpoint). If parts of a batch are rehearsed and then trained in
 * the same order, all these passes draw the numbers of one pass over the whole batch: what was
 * rehearsed is what is trained (kd_loss_backward_chunks does both). Errors: KD_ERR_NOT_FOUND (no
 * such field), KD_ERR_SHAPE (row size), KD_ERR_STATE (another mode than KD_MODE_EVALUATE on a
 * frozen model), KD_ERR_UNSUPPORTED (KD_MODE_REHEARSE with batch norm). */
KD_API kd_status kd_model_forward(kd_model *model, kd_batch *batch, int32_t mode);

/* Forgets what was rehearsed and not trained: the next passes are of another batch. A rehearsal
 * ends by itself when all of it was trained, when it fails, and when a checkpoint is saved. Since
 * 0.2 */
KD_API kd_status kd_model_end_rehearsal(kd_model *model);

/* View (rows or samples, ...) of a named output of the last forward pass; valid until the next one.
 * Rows of "attention.i..." may lie further apart than they are wide: strides tell.
 * KD_ERR_NOT_FOUND: there is no such output (the message lists those that are), or the pass was not
 * asked to keep it. */
KD_API kd_status kd_model_output(kd_model *model, const char *name, kd_array *values);

/* Makes evaluating passes from now on keep the outputs whose names match the pattern (* and ?), as
 * "hidden.*" or "attention.5.*" (on = 1), or not (0). Since 0.2.
 * - Before any call, language models keep "hidden", "logits" and outputs of samples; others keep
 *   all.
 * - Keeping "logits" that a head makes from "hidden" keeps "hidden".
 * - A pass stops after the highest layer that is asked for: kd_model_keep(teacher, "*", 0), then
 *   kd_model_keep(teacher, "hidden.5", 1) leaves out the layers from 6 on and the head, and asking
 *   for "logits" then is KD_ERR_NOT_FOUND. Teachers from a model offer what is kept.
 * - Training passes run whole; they keep "attention.i..." of layers that recompute if asked to.
 * - What is kept takes kd_output_info.row_bytes a row, until the next pass.
 * KD_ERR_NOT_FOUND: nothing matches. */
KD_API kd_status kd_model_keep(kd_model *model, const char *pattern, int32_t on);

typedef struct kd_output_info {
    uint32_t struct_size;
    int32_t unit;    /* KD_UNIT_OF_ROW or KD_UNIT_OF_SAMPLE */
    int32_t dtype;   /* KD_FLOAT32 */
    int32_t is_kept; /* 1: evaluating passes keep it */
    int64_t width;   /* numbers a row (or sample) */
    int64_t row_bytes;
} kd_output_info;
/* KD_ERR_NOT_FOUND lists the model's outputs. Since 0.2. */
KD_API kd_status kd_model_get_output_info(kd_model *model, const char *name, kd_output_info *info);

/* Adds gradients (same shape as the output) of one output for the next kd_model_backward. For hosts
 * with a loss of their own; kd_loss_backward does both. */
KD_API kd_status kd_model_add_output_gradient(kd_model *model, const char *name,
                                              const kd_array *gradient);

/* Propagates the output gradients back and accumulates parameter gradients. After kd_optimizer_step
 * or kd_model_zero_gradients, the first backward pass overwrites instead. KD_ERR_STATE: no
 * KD_MODE_TRAIN pass before, or shared_gradients without kd_optimizer_begin_step. */
KD_API kd_status kd_model_backward(kd_model *model);
KD_API kd_status kd_model_zero_gradients(kd_model *model);

/* Runs the model (KD_MODE_EVALUATE) over a dataset in order and writes one output's rows into
 * `values` (samples, width) float32. KD_ERR_SHAPE: the output has several rows per sample. */
KD_API kd_status kd_model_predict(kd_model *model, kd_dataset *dataset, const char *output,
                                  int32_t batch_size, const kd_array *values);

/* The flat blocks, (parameters) float32; the host may write to them between calls.
 * - Gradients: KD_ERR_STATE if frozen or shared.
 * - A host that makes gradients itself calls kd_model_zero_gradients before it writes them: before
 *   the first backward pass and after each kd_optimizer_step they count as zero, whatever the block
 *   holds. */
KD_API kd_status kd_model_parameters(kd_model *model, kd_array *values);
KD_API kd_status kd_model_gradients(kd_model *model, kd_array *values);

/* Named views into the blocks, in order: "layers.0.weight" (out, in) or (out, in, kh, kw),
 * "layers.0.bias" (out). */
KD_API kd_status kd_model_tensor_count(kd_model *model, int32_t *count);
KD_API kd_status kd_model_tensor(kd_model *model, int32_t index, const char **name,
                                 kd_array *values);
KD_API kd_status kd_model_tensor_gradient(kd_model *model, int32_t index, kd_array *values);

/* Makes optimizers skip (on = 1) or update (0) parameters whose name matches the pattern (* and ?).
 * - Their gradients become 0. A backward pass ends at the lowest layer that is trained, and leaves
 *   the gradients of frozen layers unchanged.
 * - KD_ERR_NOT_FOUND: nothing matches. */
KD_API kd_status kd_model_freeze(kd_model *model, const char *pattern, int32_t on);

/* How many parameters are NaN or infinite; *tensor (may be NULL) is the first tensor that has one,
 * or NULL. Loading does not check this. */
KD_API kd_status kd_model_count_nonfinite(kd_model *model, int64_t *count, const char **tensor);

/* The config as JSON text; lives as long as the model. */
KD_API kd_status kd_model_config(kd_model *model, const char **json);

/* Copies the parameters of another model with the same config, else KD_ERR_MISMATCH. */
KD_API kd_status kd_model_copy_parameters(kd_model *model, kd_model *from);

/* ---- size ---- */

typedef struct kd_model_info {
    uint32_t struct_size;
    int32_t layers;
    int64_t parameters; /* distinct numbers */
    /* used by one token: without the embedding rows of other tokens; repeated layers count each
     * time */
    int64_t active_parameters;
    /* parameters (packed_only: as they are kept) and, if it trains, gradients */
    int64_t memory_bytes;
    int64_t float32_bytes, float16_bytes, int8_bytes; /* of the parameters, on disk or mapped */
} kd_model_info;
KD_API kd_status kd_model_get_info(kd_model *model, kd_model_info *info);

#ifdef __cplusplus
}
#endif
#endif
