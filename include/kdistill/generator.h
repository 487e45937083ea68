/* kdistill/generator.h - text from language models, many sequences at once.   SPDX-License-Identifier: Apache-2.0
 *
 * A generator runs a model (llama, mistral, qwen2, qwen3) on prompts that the host adds. All sequences advance together; one that is finished
 * makes room for the next. Keys and values lie in blocks of a cache whose size is told beforehand; prompts with the same beginning share
 * its blocks and its work, the samples of one prompt as well. What a sequence becomes depends on the model, its prompt, its sampling and its
 * sample's number alone: not on the others that run beside it, not on the threads.
 *
 *   kd_generator_create(&g, model, NULL);
 *   kd_generator_add(g, ids, count, &sampling, &request);              any number of them, also between results
 *   while (kd_generator_next(g, &text) == KD_OK) use(text.ids, text.count);                                              */
#ifndef KDISTILL_GENERATOR_H
#define KDISTILL_GENERATOR_H

#include <kdistill/model.h>
#include <kdistill/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_generator kd_generator;

typedef struct kd_generator_options {
    uint32_t struct_size;
    int32_t max_sequences;   /* that run at once                                                        */
    int64_t cache_tokens;    /* room for so many tokens of all of them; 0: max_sequences times 512, at most the model's positions each */
    int32_t prompt_rows;     /* tokens of prompts that one step computes at most                        */
    int32_t weights;         /* KD_FLOAT32, or KD_INT8: products of 8-bit numbers, as in kd_model_options   */
    kd_tokenizer *tokenizer; /* for texts and stop texts; NULL: ids only. Kept alive                    */
    int32_t cache;           /* keys and values are kept as KD_FLOAT32, KD_FLOAT16 or KD_BFLOAT16: half the memory, rounded */
    int32_t reserved;
} kd_generator_options;
#define KD_GENERATOR_OPTIONS_INIT { (uint32_t)sizeof(kd_generator_options), 32, 0, 512, KD_FLOAT32, NULL, KD_FLOAT32, 0 }
KD_API void kd_generator_options_init(kd_generator_options *options, size_t size);

/* Keeps the model alive, which must not train while sequences run; kd_generator_refresh after it did. Errors: KD_ERR_UNSUPPORTED (not a language model). */
KD_API kd_status kd_generator_create(kd_generator **out, kd_model *model, const kd_generator_options *options);
KD_API void kd_generator_free(kd_generator *generator);

/* A token as it comes: `text` is what it completes ("" without a tokenizer). Not 0: the sequence ends here (KD_STOP_HOST). It must not call the
 * generator.                                                                                                                   */
typedef int32_t (*kd_token_function)(void *user, int64_t request, int32_t sample, int32_t token, const char *text);

typedef struct kd_sampling {
    uint32_t struct_size;
    int32_t samples;           /* texts of this prompt                                               */
    int32_t max_tokens;        /* of each, at most                                                   */
    int32_t top_k;             /* only the k most probable tokens; 0: all                            */
    double temperature;        /* 0: always the most probable token (the lowest id of equal ones)    */
    double top_p;              /* the fewest most probable tokens with this mass; 1: all             */
    double min_p;              /* only tokens with this share of the largest probability; 0: all     */
    double repetition_penalty; /* logits of tokens in prompt and text are divided by it when above 0, else multiplied; 1: none [Keskar et al. 2019] */
    uint64_t seed;
    const int32_t *stop_tokens; /* any of them ends a text, and is its last token                     */
    int32_t stop_token_count;
    int32_t stop_text_count;
    const char *const *stop_texts; /* any of them in the text ends it; needs a tokenizer               */
    kd_token_function token;    /* NULL: none                                                        */
    void *user;
    int32_t keep_hidden;        /* 1: the hidden states that each token was drawn from are kept       */
    int32_t reserved;
} kd_sampling;
#define KD_SAMPLING_INIT { (uint32_t)sizeof(kd_sampling), 1, 256, 0, 1.0, 1.0, 0.0, 1.0, 0, NULL, 0, 0, NULL, NULL, NULL, 0, 0 }
KD_API void kd_sampling_init(kd_sampling *sampling, size_t size);

/* Adds a prompt of `count` ids; everything is copied. *request numbers prompts from 0. The order of filters is penalty, temperature, top_k,
 * top_p, min_p. Errors: KD_ERR_RANGE (an empty prompt; an id that is none; prompt and max_tokens beyond the cache; a prompt beyond the model's
 * positions - max_tokens is cut to them).                                                                                    */
KD_API kd_status kd_generator_add(kd_generator *generator, const int32_t *prompt, int64_t count, const kd_sampling *sampling, int64_t *request);

#define KD_STOP_LENGTH 0 /* why a text ended */
#define KD_STOP_TOKEN 1
#define KD_STOP_TEXT 2
#define KD_STOP_HOST 3

typedef struct kd_generated {
    uint32_t struct_size;
    int32_t reason;
    int64_t request;
    int32_t sample;
    int32_t reserved;
    int64_t count;         /* new tokens                                                                  */
    const int32_t *ids;    /* (count)                                                                     */
    const float *logprobs; /* (count): log-probability of each under the model's own distribution, temperature 1, no filter */
    const char *text;      /* without the stop token and the stop text; NULL without a tokenizer              */
    int64_t text_bytes;
    kd_array hidden;       /* (count, hidden_size) float32 with keep_hidden: teacher's states before each token */
} kd_generated;
/* Straight into a store (kdistill/store.h) with a field of kind KD_STORE_HIDDEN, KD_ALIGN_NEXT and the model's head: the key of prompt and text together
 * (kd_store_key), then kd_store_writer_begin(w, key0, key1, sample, prompt tokens - 1, text.count), kd_store_writer_put(w, "hidden", &text.hidden),
 * kd_store_writer_commit(w).                                                                                            */

/* Runs until a text is finished; what `text` points to is valid until the next call. KD_END: all are given out. KD_ERR_CANCELLED: the context
 * was cancelled; what runs goes on with the next call.                                                                        */
KD_API kd_status kd_generator_next(kd_generator *generator, kd_generated *text);
/* After the model was trained: blocks of the cache that were computed before are forgotten, 8-bit weights are made again. KD_ERR_STATE: prompts
 * wait or run, or texts are not given out.                                                                                       */
KD_API kd_status kd_generator_refresh(kd_generator *generator);
/* Drops what is left of a prompt: waiting, running and finished samples. */
KD_API kd_status kd_generator_cancel(kd_generator *generator, int64_t request);

typedef struct kd_generator_info {
    uint32_t struct_size;
    int32_t block_tokens;    /* tokens of a cache block                     */
    int64_t cache_bytes;     /* of keys and values                          */
    int64_t cache_tokens;
    int64_t weight_bytes;    /* of weights beside the model's own; 0: none  */
    int64_t prompt_tokens;   /* computed so far                             */
    int64_t shared_tokens;   /* of prompts, not computed again              */
    int64_t tokens;          /* generated so far                            */
    int64_t steps;
} kd_generator_info;
/* What a generator would take, before anything is allocated; the counts are 0. */
KD_API kd_status kd_generator_memory(kd_model *model, const kd_generator_options *options, kd_generator_info *info);
KD_API kd_status kd_generator_get_info(kd_generator *generator, kd_generator_info *info);

typedef struct kd_beam_options {
    uint32_t struct_size;
    int32_t beams;
    int32_t max_tokens;
    int32_t stop_token;     /* ends a beam; -1: none                             */
    double length_penalty;  /* a text's score is its log-probability / tokens^penalty */
} kd_beam_options;
#define KD_BEAM_OPTIONS_INIT { (uint32_t)sizeof(kd_beam_options), 4, 256, -1, 1.0 }
KD_API void kd_beam_options_init(kd_beam_options *options, size_t size);

/* Beam search from one prompt: the best text (reason, count, ids, text; logprobs are its own). Nothing else may run in the generator, and
 * max_sequences must be at least `beams`; the cache needs the prompt's blocks and, for each beam, its text's and one more (KD_ERR_STATE,
 * KD_ERR_RANGE).                                                                                                            */
KD_API kd_status kd_generator_beam(kd_generator *generator, const int32_t *prompt, int64_t count, const kd_beam_options *options, kd_generated *text,
                                   double *score);

#ifdef __cplusplus
}
#endif
#endif
