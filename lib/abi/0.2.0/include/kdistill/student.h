/* kdistill/student.h - students made from a language model, decoder or encoder: fewer layers,
 * smaller widths, static embeddings. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_student_options_init(&options, sizeof options);
 *   2.  options.layers = 6;  options.hidden_size = 256;  options.calibration = batch;
 *   3.  kd_student_create(&student, teacher, &options);
 *   4.  kd_model_add_lora(student, NULL, NULL);    optional */
#ifndef KDISTILL_STUDENT_H
#define KDISTILL_STUDENT_H

#include <kdistill/loss.h>
#include <kdistill/model.h>
#include <kdistill/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_student_options {
    uint32_t struct_size;
    int32_t layers;      /* of the student; 0: all */
    int32_t choose;      /* KD_LAYERS_UNIFORM ...; how layers are chosen: see below */
    int32_t hidden_size; /* how many of each to keep; 0: all */
    int32_t intermediate_size;
    int32_t key_value_heads;  /* each with its group of query heads; encoders: see below */
    const int32_t *layer_map; /* (layers): the teacher's layer for each; overrides `choose` */
    /* tokens: keeps what has the largest mean absolute activation on them [Muralidharan et al.
     * 2024]; what layers are chosen on */
    kd_batch *calibration;
    /* JSON object whose keys replace those of the teacher's config: windows, sinks, positions,
     * kd_layer_repeats; NULL: none */
    const char *config;
    kd_model_options model; /* of the student */
} kd_student_options;
#define KD_STUDENT_OPTIONS_INIT                                                                    \
    {                                                                                              \
        (uint32_t)sizeof(kd_student_options), 0, KD_LAYERS_UNIFORM, 0, 0, 0, NULL, NULL, NULL,     \
            KD_MODEL_OPTIONS_INIT                                                                  \
    }
KD_API void kd_student_options_init(kd_student_options *options, size_t size);

/* A student with the teacher's vocabulary, its embeddings and the kept part of its layers. Teachers
 * are decoders, encoders and transformers over patches.
 * - Widths are cut by importance: feed-forward and heads in each layer separately, hidden units the
 *   same everywhere. Without `calibration`, the first ones are kept.
 * - With kd_layer_repeats, shared layers take the weights of the first teacher layer mapped to
 *   them.
 * - An encoder's heads fill its rows: hidden_size is a multiple of a head's width, and the number
 *   of heads follows from it. Tables of positions and types, pooler, classifier, dense layers are
 *   cut along; an "embedding" without dense layers has hidden_size numbers. What `config` adds to
 *   the teacher, as a dense layer (kd_dense) after a narrower trunk, begins at random.
 * - Transformers over patches are cut as encoders are, tokens, patches and heads along; the
 *   calibration is a batch of images. Images and patches stay the teacher's.
 * - Heads of kd_heads are cut along. One that reads "hidden.i" reads the student's layer that was
 *   made of the teacher's layer i; where there is none it is left out, with a warning. With
 *   `kd_heads` in `config` the student has those; what the teacher has not so begins at random.
 * - The teacher's folder is remembered, so that its tokenizer, and what sentence-transformers has
 *   beside it, is copied when the student is saved.
 * - KD_ERR_UNSUPPORTED: the teacher is none of them.
 * - KD_ERR_RANGE: more than the teacher has, or heads that do not fill a row.
 * - KD_ERR_CONFIG: keys of `config` that ask for another size than the options, or for more
 *   positions, types or other labels than the teacher has. */
KD_API kd_status kd_student_create(kd_model **out, kd_model *teacher,
                                   const kd_student_options *options);

/* Which of the teacher's layers a student has, `choose`:
 * - KD_LAYERS_UNIFORM, _FIRST, _LAST, _BLOCKS: by number.
 * - KD_LAYERS_INFLUENCE: those that change what goes through them most, 1 - mean cosine of what
 *   enters a layer and what it leaves, and the last one [ShortGPT, Men et al. 2024]. Of equal ones
 *   the lower. One pass.
 * - KD_LAYERS_GREEDY: again and again the layer goes whose loss costs least, as KL(teacher, rest)
 *   of the logits, or without a head as the squared distance of "hidden" [SLEB, Song et al. 2024].
 *   Of equal ones the higher. From L to l layers (L (L + 1) - l (l + 1)) / 2 passes of half the
 *   layers, which the context's progress counts and may stop; beside a pass, memory for what enters
 *   each layer and for (tokens, vocabulary) logits, in blocks from 16 million numbers on.
 * The last two look at `calibration`, some hundred tokens; without it at 256 random ones.
 * kd_student_map_layers: map (options->layers), ascending. It is what kd_student_create takes with
 * the same options, to be given to several students as layer_map, or to terms of layers
 * (kd_loss_add_mapped). KD_ERR_INVALID: a teacher of images and no calibration. Since 0.2. */
KD_API kd_status kd_student_map_layers(kd_model *teacher, const kd_student_options *options,
                                       int32_t *map);
/* influence (capacity; NULL: only *count): of each layer, from 0 (it changes nothing) to 2; *count:
 * the teacher's layers. calibration NULL: 256 random tokens. KD_ERR_RANGE: a smaller capacity.
 * Since 0.2. */
KD_API kd_status kd_student_measure_influence(kd_model *teacher, kd_batch *calibration,
                                              double *influence, int32_t capacity, int32_t *count);

typedef struct kd_static_options {
    uint32_t struct_size;
    int32_t hidden_size; /* at most; the teacher's where that is less; 0: the teacher's */
    int32_t normalize;   /* 1: embeddings of length 1 */
    int32_t batch_size;  /* tokens in a pass of the teacher */
    /* a of a / (a + p): p is the share of a token in texts, by Zipf's law from its id; 0: all
     * tokens weigh the same */
    double sif_coefficient;
    const char *output; /* the teacher's, one for each sample; NULL: "pooled" */
    /* tokens whose text matches (* and ?) get rows of 0, as special tokens do; NULL: "[unused*]";
     * "": none */
    const char *skip;
    kd_model_options model; /* of the student */
} kd_static_options;
#define KD_STATIC_OPTIONS_INIT                                                                     \
    {                                                                                              \
        (uint32_t)sizeof(kd_static_options), 256, 1, 256, 1e-4, NULL, NULL, KD_MODEL_OPTIONS_INIT  \
    }
KD_API void kd_static_options_init(kd_static_options *options, size_t size);

/* A static embedding (model_type "static_embedding") from an encoder: each token of the tokenizer,
 * between what the tokenizer puts around a text, goes through the teacher alone; the rows are
 * turned to their principal axes, the first hidden_size of which are kept, each with its largest
 * number positive; then weighted [Arora et al. 2017]. The recipe of model2vec, for the teacher's
 * own vocabulary.
 * - Ranks count the tokens that are not skipped, in the order of their ids.
 * - Unknown tokens are left out of a text's mean (config key ignored_token).
 * - The teacher's folder is remembered, so that its tokenizer is copied when the student is saved.
 * - The student is trained as any model is: put its table into a `lazy` group (optimizer.h).
 * - KD_ERR_SHAPE: the output has not one row for each sample. KD_ERR_NOT_FOUND: there is none. */
KD_API kd_status kd_student_create_static(kd_model **out, kd_model *teacher,
                                          kd_tokenizer *tokenizer,
                                          const kd_static_options *options);

/* Gives the model's embeddings (and its head) `vocabulary` rows. New rows are the mean of the old
 * ones [Hewitt 2021]; rows beyond `vocabulary` are removed. Gradients and optimizer state become
 * invalid: create optimizers afterward. */
KD_API kd_status kd_model_resize_vocabulary(kd_model *model, int64_t vocabulary);

/* Puts a dense layer f(x W' + b) into a language model, after those that its "embedding" has and
 * before its length 1.
 * - output: "embedding", or NULL for it: no other takes layers.
 * - weight (N, numbers of the embedding), bias (N) or NULL: float32, copied.
 * - activation: "none", "relu", "tanh" or "sigmoid"; NULL: "none".
 * - Its tensors, "dense.0.weight" and ".bias" where it is the first, are trained as others are.
 * - The model is saved as a folder of sentence-transformers from then on, with 2_Dense; its config
 *   says kd_pooling and kd_dense.
 * - A static embedding takes its table times the weight, and a layer without bias and activation
 *   alone.
 * - Views and optimizers made before become invalid; so do passes.
 * KD_ERR_SHAPE: other widths. KD_ERR_RANGE: more than 4 layers. KD_ERR_STATE: a step is open. */
KD_API kd_status kd_model_append_dense(kd_model *model, const char *output, const kd_array *weight,
                                       const kd_array *bias, const char *activation);

/* The same with the projection of a term that compares "embedding", or "pooled" where the student
 * has no dense layers: the student's embeddings are in the teacher's space then. An MLP becomes two
 * layers, an orthogonal projection is made orthogonal first.
 * - Of embeddings of length 1 only a projection without bias is taken: the layer comes before that
 *   length, where a bias would weigh otherwise.
 * - The loss keeps its own: continue with one whose term has none.
 * KD_ERR_NOT_FOUND: the term has none. KD_ERR_STATE: its widths are open (kd_loss_prepare).
 * KD_ERR_UNSUPPORTED: the term compares another output. */
KD_API kd_status kd_student_append_projection(kd_model *student, kd_loss *loss, int32_t term);

typedef struct kd_lora_options {
    uint32_t struct_size;
    int32_t rank;
    double alpha;  /* the product is scaled by alpha / rank */
    uint64_t seed; /* for A; 0: the model's */
} kd_lora_options;
#define KD_LORA_OPTIONS_INIT                                                                       \
    {                                                                                              \
        (uint32_t)sizeof(kd_lora_options), 8, 16.0, 0                                              \
    }
KD_API void kd_lora_options_init(kd_lora_options *options, size_t size);

/* Gives every matrix whose name matches the pattern (NULL: "*_proj.weight") a low-rank adapter:
 * tensors name.lora_A (rank, in), random, and name.lora_B (out, rank), zero. [Hu et al. 2022]
 * - The first call freezes all other tensors (kd_model_freeze can unfreeze some).
 * - Passes, generators and kd_model_save see W + alpha / rank B A: a saved folder has it merged.
 * - Views and optimizers made before become invalid.
 * - May be called again for other matrices.
 * - Of a model of packed_only that is not frozen (QLoRA): the base stays in few bits, and A and B
 *   alone have gradients and moments. Passes make W + alpha / rank B A in float32, some rows at a
 *   time, and do not round their inputs: gradients are exact. Generators of the same `weights` add
 *   the adapters to the packed products. kd_model_save writes adapter_config.json and
 *   adapter_model.safetensors, which PEFT loads; checkpoints hold the adapters, not the base. */
KD_API kd_status kd_model_add_lora(kd_model *model, const char *pattern,
                                   const kd_lora_options *options);

/* Writes the adapters alone as a folder that PEFT loads: adapter_config.json and
 * adapter_model.safetensors (of `options` dtype counts). KD_ERR_STATE: the model has none.
 * KD_ERR_UNSUPPORTED: another tensor is trained besides. Since 0.2. */
KD_API kd_status kd_model_save_lora(kd_model *model, const char *folder,
                                    const kd_model_save_options *options);
/* Adapters from such a folder, PEFT's or our own, as kd_model_add_lora adds them: with their ranks,
 * scales (alpha / rank, or alpha / sqrt(rank) with "use_rslora") and numbers.
 * - The model is the one they were trained on. To merge them: load it in float32, load them, then
 *   kd_model_save.
 * - Keys of "alpha_pattern" are names of modules or ends of them, not regular expressions.
 * - KD_ERR_UNSUPPORTED: biases, DoRA, "modules_to_save", adapters of embeddings.
 * - KD_ERR_NOT_FOUND: the model lacks a matrix. KD_ERR_SHAPE: one of other dims. KD_ERR_STATE: one
 *   that has an adapter. After an error the model is as it was. Since 0.2. */
KD_API kd_status kd_model_load_lora(kd_model *model, const char *folder);

/* A ready-made config as static JSON text: "llama-100k", "llama-1m", "llama-5m", "llama-15m",
 * "llama-40m", "llama-150m", and the same with "qwen3-". The name gives the approximate number of
 * parameters with 2,048 tokens (100k, 1m), 8,192 (5m, 15m) or 49,152 (40m, 150m). KD_ERR_NOT_FOUND
 * lists the names. */
KD_API kd_status kd_student_preset(const char *name, const char **json);

#ifdef __cplusplus
}
#endif
#endif
