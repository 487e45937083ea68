/* kdistill/generator.h - text from language models, many sequences at once. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_generator_create(&g, model, NULL);
 *   2.  kd_generator_add(g, ids, count, &sampling, &request);    any number, also between results
 *   3.  while (kd_generator_next(g, &text) == KD_OK) use(text.ids, text.count);
 *
 * A generator runs a language model on prompts that the host adds.
 * - All sequences advance together; a finished one makes room for the next.
 * - Keys and values are kept in blocks of a cache of known size. Prompts with the same beginning,
 *   and the samples of one prompt, share its blocks and its work.
 * - A sequence depends only on the model, its prompt, its sampling and its sample number: not on
 *   other sequences, not on threads, and not on drafts. */
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
    int32_t max_sequences; /* that run at once */
    /* total capacity in tokens; 0: max_sequences times 512 (or the model's positions, if fewer) */
    int64_t cache_tokens;
    int32_t prefill_tokens; /* prompt tokens computed per step, at most */
    /* KD_FLOAT32, or products of few bits as in kd_model_options: KD_INT8, KD_BLOCK_Q4_0 or
     * KD_BLOCK_IQ4_NL (block.h) */
    int32_t weights;
    /* for texts, stop texts and end tokens; NULL: ids only. Kept alive */
    kd_tokenizer *tokenizer;
    /* keys and values: KD_FLOAT32; KD_FLOAT16 or KD_BFLOAT16 (half the memory, rounded); KD_INT8 (a
     * little over a quarter): a scale per token and head, keys and queries rotated by a Hadamard
     * matrix of the largest power of two that divides head_dim, as loud channels would take all 8
     * bits. Since 0.2. */
    int32_t cache;
    int32_t reserved;
    /* A smaller model with the same tokens (a student, as a rule) that writes ahead; NULL: none.
     * Kept alive. The model computes what it proposes in one step and keeps what it would have
     * written itself: texts are the same with and without. docs/guide-language.md tells when it
     * pays. KD_ERR_MISMATCH: a vocabulary half or twice as large. Since 0.2. */
    kd_model *draft;
    int32_t draft_tokens; /* proposed for a sequence per step, at most; 0: 4 */
    /* Tokens that followed the last so many when they stood in prompt or text before are proposed
     * as well; 0: off, 3 as a rule. Where there are some, the draft is not asked. */
    int32_t lookup;
    /* 0: as many as pay, by what was right lately and what steps take; none where they do not.
     * 1: always draft_tokens of them, to measure a draft. */
    int32_t always_draft;
    int32_t reserved_end;
} kd_generator_options;
#define KD_GENERATOR_OPTIONS_INIT                                                                  \
    {                                                                                              \
        (uint32_t)sizeof(kd_generator_options), 32, 0, 512, KD_FLOAT32, NULL, KD_FLOAT32, 0, NULL, \
            0, 0, 0, 0                                                                             \
    }
KD_API void kd_generator_options_init(kd_generator_options *options, size_t size);

/* Keeps the model alive. The model must not be trained while sequences run; call
 * kd_generator_refresh after training. KD_ERR_UNSUPPORTED: not a language model. */
KD_API kd_status kd_generator_create(kd_generator **out, kd_model *model,
                                     const kd_generator_options *options);
KD_API void kd_generator_free(kd_generator *generator);

/* A token as it is generated; `text` is the text that it completes ("" without a tokenizer).
 * Returns nonzero to end the sequence here (KD_STOP_HOST). It must not call the generator. */
typedef int32_t (*kd_token_function)(void *user, int64_t request, int32_t sample, int32_t token,
                                     const char *text);

/* How a token is drawn from what the filters leave. */
/* One random number per token: the first candidate whose cumulative mass is above it. */
#define KD_DRAW_INVERSE 0
/* One per token and candidate: argmax (log p_j + g_j), g_j = -log(-log u_j), u_j from seed, prompt,
 * sample, position and j [Gumbel 1954]. Models with nearly the same distribution mostly draw the
 * same token, which a draft needs at temperatures above 0. Since 0.2. */
#define KD_DRAW_GUMBEL 1

typedef struct kd_sampling {
    uint32_t struct_size;
    int32_t samples;    /* texts for this prompt */
    int32_t max_tokens; /* per text, at most */
    int32_t top_k;      /* only the k most probable tokens; 0: all */
    double temperature; /* 0: always the most probable token (the lowest id on a tie) */
    double top_p;       /* the fewest most probable tokens with this mass; 1: all */
    double min_p;       /* only tokens with this share of the largest probability; 0: all */
    /* logits of tokens in prompt and text are divided by it if positive, else multiplied; 1: off
     * [Keskar et al. 2019] */
    double repetition_penalty;
    uint64_t seed;
    /* each ends a text, as its last token; NULL: the tokenizer's own (kd_tokenizer_end_tokens). For
     * none: not NULL, with a count of 0 */
    const int32_t *stop_tokens;
    int32_t stop_token_count;
    int32_t stop_text_count;
    const char *const *stop_texts; /* each ends a text that contains it; needs a tokenizer */
    kd_token_function token;       /* NULL: none */
    void *user;
    int32_t keep_hidden; /* 1: keeps the hidden state that each token was drawn from */
    /* KD_DRAW_INVERSE or KD_DRAW_GUMBEL: other texts of the same distribution. Since 0.2. */
    int32_t draw;
} kd_sampling;
#define KD_SAMPLING_INIT                                                                           \
    {                                                                                              \
        (uint32_t)sizeof(kd_sampling), 1, 256, 0, 1.0, 1.0, 0.0, 1.0, 0, NULL, 0, 0, NULL, NULL,   \
            NULL, 0, 0                                                                             \
    }
KD_API void kd_sampling_init(kd_sampling *sampling, size_t size);

/* Adds a prompt of `count` ids, with the begin token if the model's texts have one: see
 * KD_TOKENIZER_ADD_SPECIAL and kd_chat_encode. Everything is copied. *request numbers prompts from
 * 0. Filters apply in this order: penalty, temperature, top_k, top_p, min_p. KD_ERR_RANGE:
 * - an empty prompt, or an invalid id;
 * - prompt and max_tokens exceed the cache;
 * - the prompt exceeds the model's positions (max_tokens is reduced to fit them).
 * KD_ERR_INVALID: a temperature above 0 and KD_DRAW_INVERSE in a generator with a draft, which
 * would nearly never be right. */
KD_API kd_status kd_generator_add(kd_generator *generator, const int32_t *prompt, int64_t count,
                                  const kd_sampling *sampling, int64_t *request);

/* Why a text ended. */
#define KD_STOP_LENGTH 0
#define KD_STOP_TOKEN 1
#define KD_STOP_TEXT 2
#define KD_STOP_HOST 3

typedef struct kd_generated {
    uint32_t struct_size;
    int32_t reason;
    int64_t request;
    int32_t sample;
    int32_t reserved;
    int64_t count;      /* new tokens */
    const int32_t *ids; /* (count) */
    /* (count): log-probability of each in the model's own distribution: temperature 1, no filter */
    const float *logprobs;
    const char *text; /* without the stop token and stop text; NULL without a tokenizer */
    int64_t text_bytes;
    /* (count, hidden_size) float32 with keep_hidden: the state before each token */
    kd_array hidden;
} kd_generated;
/* To write this into a store (kdistill/store.h), use a field of kind KD_STORE_HIDDEN,
 * KD_ALIGN_NEXT, the model's head, and the key of prompt and text together (kd_store_key):
 *   kd_store_writer_begin(w, key0, key1, sample, prompt tokens - 1, text.count);
 *   kd_store_writer_put(w, "hidden", &text.hidden);
 *   kd_store_writer_commit(w); */

/* Runs until a text is finished; what `text` points to is valid until the next call.
 * - KD_END: all texts have been returned.
 * - KD_ERR_CANCELED: the context was canceled; the next call continues with what is running. */
KD_API kd_status kd_generator_next(kd_generator *generator, kd_generated *text);
/* Call after the model was trained: drops cached blocks and rebuilds 8-bit weights. KD_ERR_STATE:
 * prompts are waiting or running, or texts have not been fetched. */
KD_API kd_status kd_generator_refresh(kd_generator *generator);
/* Drops the rest of a prompt: waiting, running and finished samples. */
KD_API kd_status kd_generator_cancel(kd_generator *generator, int64_t request);

typedef struct kd_generator_info {
    uint32_t struct_size;
    int32_t block_tokens; /* tokens per cache block */
    int64_t cache_bytes;  /* of keys and values */
    int64_t cache_tokens;
    int64_t weight_bytes;  /* of weights besides the model's own; 0: none */
    int64_t prompt_tokens; /* computed so far */
    int64_t shared_tokens; /* of prompts, reused instead of computed */
    int64_t tokens;        /* generated so far */
    int64_t steps;
    /* Since 0.2. */
    int64_t draft_bytes; /* that drafts take at most besides: the draft's cache, weights, rows */
    int64_t drafted;     /* tokens proposed so far */
    int64_t accepted;    /* of them, those that the model wrote as well */
    /* tokens a second of the last steps with proposals over those without; NaN: not known */
    double draft_gain;
} kd_generator_info;
/* What a generator would take, before anything is allocated; the counts are 0. */
KD_API kd_status kd_generator_estimate_memory(kd_model *model, const kd_generator_options *options,
                                              kd_generator_info *info);
KD_API kd_status kd_generator_get_info(kd_generator *generator, kd_generator_info *info);

typedef struct kd_beam_options {
    uint32_t struct_size;
    int32_t beams;
    int32_t max_tokens;
    /* ends a beam; KD_END_TOKEN_DEFAULT: any of the tokenizer's own; KD_END_TOKEN_NONE */
    int32_t stop_token;
    double length_penalty; /* a text's score is its log-probability / tokens^penalty */
} kd_beam_options;
#define KD_BEAM_OPTIONS_INIT                                                                       \
    {                                                                                              \
        (uint32_t)sizeof(kd_beam_options), 4, 256, KD_END_TOKEN_DEFAULT, 1.0                       \
    }
KD_API void kd_beam_options_init(kd_beam_options *options, size_t size);

/* Beam search from one prompt: returns the best text (reason, count, ids, text, logprobs).
 * - KD_ERR_STATE: the generator is not idle.
 * - KD_ERR_RANGE: beams is not 1 to max_sequences (at most 256), or the cache is too small: it
 *   needs the prompt's blocks, and for each beam the blocks of its text and one more. */
KD_API kd_status kd_generator_beam_search(kd_generator *generator, const int32_t *prompt,
                                          int64_t count, const kd_beam_options *options,
                                          kd_generated *text, double *score);

/* ---- speed ---- */

typedef struct kd_speed_options {
    uint32_t struct_size;
    int32_t sequences;     /* at once */
    int32_t prompt_tokens; /* per sequence */
    int32_t new_tokens;
    int32_t repeats; /* the medians of this many are reported */
    int32_t weights; /* as in kd_generator_options */
    int32_t cache;   /* as in kd_generator_options; 0: KD_FLOAT32. Since 0.2 */
} kd_speed_options;
#define KD_SPEED_OPTIONS_INIT                                                                      \
    {                                                                                              \
        (uint32_t)sizeof(kd_speed_options), 1, 64, 64, 5, KD_FLOAT32, KD_FLOAT32                   \
    }
KD_API void kd_speed_options_init(kd_speed_options *options, size_t size);

typedef struct kd_speed {
    uint32_t struct_size;
    int32_t sequences;
    double prompt_tokens_per_second;
    /* of all sequences together, from the first token of the last sequence; NaN if new_tokens is
     * 1 */
    double tokens_per_second;
    double time_to_first_token;  /* seconds from the prompts to the last sequence's first token */
    double token_p50, token_p99; /* seconds per step: the time between two tokens of a sequence */
    int64_t parameter_bytes;     /* of the weights in use; 8-bit ones with their scales */
    int64_t cache_bytes;         /* keys and values */
    /* the most that the context's allocator held meanwhile, everything in the context included */
    int64_t peak_bytes;
} kd_speed;

/* Measures generation from prompts of arbitrary tokens. KD_ERR_RANGE: prompt and new tokens exceed
 * the model's positions. */
KD_API kd_status kd_model_measure_speed(kd_model *model, const kd_speed_options *options,
                                        kd_speed *speed);

#ifdef __cplusplus
}
#endif
#endif
