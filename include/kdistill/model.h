/* kdistill/model.h - networks: students, and teachers' engines.   SPDX-License-Identifier: Apache-2.0
 *
 * A model is made from a JSON config with Hugging Face's key names. Trainable parameters and their gradients are one
 * flat float32 block each, with named views. A forward pass offers named outputs: "logits", and "hidden.i" after layer i
 * (counted from 0, activation included). Rows come from the batch; activations live until the next forward pass.
 *
 * Configs (docs/guide.md has all keys):
 *   {"model_type": "mlp", "input_size": 784, "hidden_sizes": [800, 800], "num_labels": 10, "hidden_act": "relu",
 *    "input_dropout_prob": 0.2, "hidden_dropout_prob": 0.5}
 *   {"model_type": "sequential", "input_shape": [1, 28, 28], "layers": [
 *      {"type": "conv2d", "channels": 6, "kernel_size": 5, "padding": 2, "activation": "relu"},
 *      {"type": "max_pool2d", "kernel_size": 2}, {"type": "dropout", "p": 0.5}, {"type": "linear", "units": 10}]}
 *   model_type "llama", "mistral", "qwen2", "qwen3": decoder language models with the keys of transformers 4 and 5 (rope_theta, rope_scaling,
 *   rope_parameters of type default, linear, dynamic, llama3, yarn; sliding windows; "attention_sinks": first tokens that every row sees;
 *   "kd_layer_repeats": n layers of num_hidden_layers share their tensors, "kd_layer_sharing": "block", neighbours, or "stack", in turn;
 *   "kd_embedding_size": E: tied embeddings are (vocabulary, E) numbers times a projection (hidden_size, E)  [Lan et al. 2020], "hidden" has E numbers).
 *
 * With architectures ["...ForSequenceClassification"] the head gives num_labels logits for every row (tensor "score.weight"); a text's class is
 * told by its last row: give its label there, and a mask, or absent labels, for the others.
 *
 * A language model reads "tokens" (rows) of packed sequences: attention and positions do not cross samples. Its outputs are "hidden" (the
 * last, normed), "logits", and after a KD_TRAIN pass "hidden.i". Losses on "logits" go through the head in blocks: tokens x vocabulary numbers
 * are made only when a host asks kd_model_output for them. When kd_loss_backward fails on such a model the gradient of its head is
 * undefined: call kd_model_zero_gradients. A key or architecture that would change the result is refused by name.                      */
#ifndef KDISTILL_MODEL_H
#define KDISTILL_MODEL_H

#include <kdistill/data.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_model kd_model;

#define KD_EVALUATE 0 /* no dropout; nothing kept for a backward pass */
#define KD_TRAIN 1    /* dropout; backward may follow                 */

typedef struct kd_model_options {
    uint32_t struct_size;
    int32_t frozen;   /* 1: no gradients; the model only evaluates (a teacher)                     */
    uint64_t seed;    /* of the initial weights and of dropout; 0: the context's                   */
    int64_t max_rows; /* activations are taken for so many rows at once, a larger batch takes more; 0: at the first forward */
    int32_t weights;  /* KD_FLOAT32, or KD_INT8 for a frozen language model: products of 8-bit weights with 8-bit activations, a
                         scale for every 64 inputs, logits too; kept beside the parameters, which must not change              */
    int32_t recompute; /* 1: a language model keeps only what enters each layer; backward passes make the rest again, a layer at a time */
    int32_t recompute_layers; /* with recompute: of the first so many layers only, a choice between memory and time; 0: of all */
    int32_t activations; /* KD_FLOAT32, or KD_BFLOAT16 for a language model: what a training pass keeps of a layer beside what enters it is
                            rounded for the backward pass, half the memory; the forward pass itself is not rounded         */
    int32_t shared_gradients; /* 1: the layers of a language model use one place for their gradients in turn, the memory of one layer's instead
                                 of all. Each backward pass needs kd_optimizer_begin_step before it, and gradients cannot be read. KD_ERR_UNSUPPORTED
                                 for other models, and for layers that are shared as a whole stack                              */
    int32_t reserved;
} kd_model_options;
#define KD_MODEL_OPTIONS_INIT { (uint32_t)sizeof(kd_model_options), 0, 0, 0, KD_FLOAT32, 0, 0, KD_FLOAT32, 0, 0 }
KD_API void kd_model_options_init(kd_model_options *options, size_t size);

/* A model with fresh weights: U(-a, a), a = 1 / sqrt(fan-in), for weights and biases (PyTorch's default), from the seed; language
 * models N(0, initializer_range) for matrices, norms 1, biases 0.
 * Errors: KD_ERR_CONFIG names the unknown key, or the layer that does not fit the one before it.                      */
KD_API kd_status kd_model_create(kd_model **out, kd_context *context, const char *config, const kd_model_options *options);

/* A model from a folder with config.json and model.safetensors, or the shards of model.safetensors.index.json (F32, F16, BF16, F64; mapped
 * while they are read), or from a GGUF file of architecture llama, qwen2 or qwen3 (F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K). A tensor that is missing, or not in the model, or of another shape is an error that names it.          */
KD_API kd_status kd_model_load(kd_model **out, kd_context *context, const char *folder, const kd_model_options *options);
KD_API void kd_model_free(kd_model *model);

typedef struct kd_model_save_options {
    uint32_t struct_size;
    int32_t dtype;  /* KD_FLOAT32, KD_FLOAT16 or KD_BFLOAT16 */
    int32_t expand; /* 1: layers that share tensors get copies, factorised embeddings are multiplied out, so that transformers loads the folder */
    int32_t reserved;
    int64_t shard_bytes; /* 0: one file; else weights that take more are cut into shards of at most so many bytes (a tensor is never cut) */
} kd_model_save_options;
#define KD_MODEL_SAVE_OPTIONS_INIT { (uint32_t)sizeof(kd_model_save_options), KD_FLOAT32, 0, 0, 0 }
KD_API void kd_model_save_options_init(kd_model_save_options *options, size_t size);

/* Writes config.json and model.safetensors, or shards and model.safetensors.index.json in its stead, into `folder` (made if it is not there),
 * each file beside its place and moved in; a model that was loaded takes its folder's tokenizer and generation files along. What a language
 * model writes, transformers loads. Errors: KD_ERR_RANGE (more than 1,000 shards), KD_ERR_UNSUPPORTED (dtype), KD_ERR_IO.            */
KD_API kd_status kd_model_save(kd_model *model, const char *folder, const kd_model_save_options *options);

/* What a model takes, told before anything is allocated. */
typedef struct kd_model_memory_info {
    uint32_t struct_size;
    int32_t reserved;
    int64_t parameters;        /* numbers                                        */
    int64_t parameter_bytes;
    int64_t gradient_bytes;    /* 0 for a frozen model                           */
    int64_t activation_bytes;  /* for max_rows rows: outputs, their gradients, masks, scratch; 8-bit copies of weights */
    int64_t total_bytes;       /* what the allocator is asked for by create and the forward and backward passes; a language model's
                                  whole logits and what a loss takes (kd_loss_memory) come beside */
} kd_model_memory_info;
KD_API kd_status kd_model_memory(kd_context *context, const char *config, const kd_model_options *options,
                                 kd_model_memory_info *info);

/* Runs the model on the batch's input field (config key "input", default "inputs"), mode KD_TRAIN or KD_EVALUATE. In KD_TRAIN
 * the random numbers of dropout are counted by pass (part of a checkpoint). Errors: KD_ERR_NOT_FOUND (no such field),
 * KD_ERR_SHAPE (row size), KD_ERR_STATE (KD_TRAIN on a frozen model).                                                         */
KD_API kd_status kd_model_forward(kd_model *model, kd_batch *batch, int32_t mode);

/* View (rows, ...) of a named output of the last forward pass; valid until the next one. */
KD_API kd_status kd_model_output(kd_model *model, const char *name, kd_array *values);

/* Adds gradients (same shape as the output) of one output for the backward pass that follows. kd_loss_backward does both;
 * these two are for hosts with a loss of their own.                                                                       */
KD_API kd_status kd_model_add_output_gradient(kd_model *model, const char *name, const kd_array *gradient);

/* Pushes the output gradients back: parameter gradients are accumulated. After kd_optimizer_step or
 * kd_model_zero_gradients the first backward pass overwrites instead. KD_ERR_STATE without a KD_TRAIN pass before, and with
 * shared_gradients without a step that was begun.                                                                    */
KD_API kd_status kd_model_backward(kd_model *model);
KD_API kd_status kd_model_zero_gradients(kd_model *model);

/* Runs the model (KD_EVALUATE) over a dataset in order and writes one output's rows into `values` (samples, width) float32. */
KD_API kd_status kd_model_predict(kd_model *model, kd_dataset *dataset, const char *output, int32_t batch_size, const kd_array *values);

/* The flat blocks, (parameters) float32. Writing into them is allowed between calls. Gradients: KD_ERR_STATE when frozen or shared. */
KD_API kd_status kd_model_parameters(kd_model *model, kd_array *values);
KD_API kd_status kd_model_gradients(kd_model *model, kd_array *values);

/* Named views into the blocks, in order: "layers.0.weight" (out, in) or (out, in, kh, kw), "layers.0.bias" (out). */
KD_API kd_status kd_model_tensors(kd_model *model, int32_t *count);
KD_API kd_status kd_model_tensor(kd_model *model, int32_t index, const char **name, kd_array *values);
KD_API kd_status kd_model_tensor_gradient(kd_model *model, int32_t index, kd_array *values);

/* Parameters whose name matches the pattern (* and ?) are left alone by optimisers (on = 1), or not (0). KD_ERR_NOT_FOUND
 * when nothing matches.                                                                                                   */
KD_API kd_status kd_model_freeze(kd_model *model, const char *pattern, int32_t on);

/* How many parameters are NaN or infinite; *tensor (may be NULL) names the first that has one, NULL: none. Loading does not look. */
KD_API kd_status kd_model_nonfinite(kd_model *model, int64_t *count, const char **tensor);

/* The config as JSON text; lives as long as the model. */
KD_API kd_status kd_model_config(kd_model *model, const char **json);

/* Copies the parameters of another model of the same config. KD_ERR_MISMATCH otherwise. */
KD_API kd_status kd_model_copy_parameters(kd_model *model, kd_model *from);

#ifdef __cplusplus
}
#endif
#endif
