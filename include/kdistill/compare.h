/* kdistill/compare.h - teacher against student, on the same questions: tests of differences, texts against references, speed.   SPDX-License-Identifier: Apache-2.0 */
#ifndef KDISTILL_COMPARE_H
#define KDISTILL_COMPARE_H

#include <kdistill/generator.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- are two models different? ---- */

typedef struct kd_difference {
    uint32_t struct_size;
    int32_t reserved;
    double a, b;           /* rates of the two                                               */
    double difference;     /* b - a                                                          */
    double standard_error; /* of the difference                                              */
    double low, high;      /* 95 %                                                           */
    double p_value;        /* of "they are equal", two-sided                                  */
    int64_t only_a, only_b; /* questions that only one has right (McNemar)                     */
} kd_difference;

/* One answer a question, (questions) 0 or 1: exact binomial test over the questions on which they differ.               [McNemar 1947] */
KD_API kd_status kd_mcnemar(const int32_t *a, const int32_t *b, int64_t questions, kd_difference *difference);

/* Several answers a question, (seeds, questions, samples) 0 or 1 of each model; the questions are the same for both and for all seeds. Questions, and
 * seeds where there are several, are drawn again `resamples` times (10,000 are usual), the same for both models; the p-value is twice the share of
 * resampled differences on the other side of 0, at least 1 / resamples.                                   [Efron and Tibshirani 1993] */
KD_API kd_status kd_paired_bootstrap(kd_context *context, const int32_t *a, const int32_t *b, int32_t seeds, int64_t questions, int32_t samples,
                                     int32_t resamples, uint64_t seed, kd_difference *difference);

/* (student - baseline) / (teacher - baseline): 1, the student has all that the teacher has more than the baseline; above 1, it exceeds it. NaN when
 * teacher and baseline are equal.                                                                                            */
KD_API double kd_recovery(double student, double baseline, double teacher);

/* ---- texts against references ---- */

#define KD_TEXT_BLEU 1    /* corpus BLEU-4, words and signs apart as "13a" of sacreBLEU does, 0 to 100                       [Papineni et al. 2002] */
#define KD_TEXT_CHRF 2    /* chrF2: characters' 1- to 6-grams without white space, b = 2, over the corpus, 0 to 100               [Popovic 2015] */
#define KD_TEXT_ROUGE_L 3 /* F1 of the longest common subsequence of words, small letters, mean over texts, 0 to 1            [Lin 2004] */
#define KD_TEXT_F1 4      /* F1 of the bags of words as SQuAD does (no articles, punctuation, case), mean over texts, 0 to 1   [Rajpurkar et al. 2016] */
#define KD_TEXT_EXACT 5   /* share of texts that are equal, white space at their ends aside                                  */
#define KD_TEXT_MACRO_F1 6 /* texts as labels, white space at their ends aside: mean over the references' labels of 2 P R / (P + R); a text that is no
                              label of theirs is wrong and no class of its own                                                */

/* One reference a text. KD_ERR_RANGE: count below 1, an unknown kind. */
KD_API kd_status kd_text_metric(kd_context *context, int32_t kind, const char *const *texts, const char *const *references, int64_t count,
                                double *value);

/* ---- speed ---- */

typedef struct kd_speed_options {
    uint32_t struct_size;
    int32_t sequences;      /* at once                                  */
    int32_t prompt_tokens;  /* of each                                  */
    int32_t new_tokens;
    int32_t repeats;        /* the medians of so many                   */
    int32_t weights;        /* KD_FLOAT32 or KD_INT8                     */
    int32_t reserved;
} kd_speed_options;
#define KD_SPEED_OPTIONS_INIT { (uint32_t)sizeof(kd_speed_options), 1, 64, 64, 5, KD_FLOAT32, 0 }
KD_API void kd_speed_options_init(kd_speed_options *options, size_t size);

typedef struct kd_speed {
    uint32_t struct_size;
    int32_t sequences;
    double prompt_tokens_per_second;
    double tokens_per_second;     /* generated, all sequences together, from the last one's first token on; NaN when new_tokens is 1 */
    double first_token;           /* seconds from the prompts to the first token of the last one */
    double token_p50, token_p99;  /* seconds of one step: the time between two tokens of a sequence */
    int64_t parameter_bytes;      /* of the weights that are used, 8-bit ones with their scales */
    int64_t cache_bytes;          /* keys and values                               */
    int64_t peak_bytes;           /* that the context's allocator held at most meanwhile, everything in the context included */
} kd_speed;

/* Generates from prompts of arbitrary tokens and tells how fast. The model's positions must hold prompt and new tokens (KD_ERR_RANGE). */
KD_API kd_status kd_generation_speed(kd_model *model, const kd_speed_options *options, kd_speed *speed);

typedef struct kd_model_facts {
    uint32_t struct_size;
    int32_t layers;
    int64_t parameters;       /* different numbers                                          */
    int64_t active;           /* that one token goes through: without the embedding rows of other tokens; layers that repeat count each time */
    int64_t memory_bytes;     /* parameters and, if it trains, gradients                     */
    int64_t float32_bytes, float16_bytes, int8_bytes; /* of the parameters, on disk or mapped  */
} kd_model_facts;
KD_API kd_status kd_model_get_facts(kd_model *model, kd_model_facts *facts);

#ifdef __cplusplus
}
#endif
#endif
