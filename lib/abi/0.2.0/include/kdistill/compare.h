/* kdistill/compare.h - are two models different? Do texts match their references? Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_difference d = { .struct_size = sizeof d };
 *   2.  kd_compare_mcnemar(before, after, questions, &d);
 *   3.  kd_compare_runs(context, before, after, seeds, questions, samples, &d);
 *   4.  kd_compare_texts(context, KD_TEXT_ROUGE_L, texts, references, count, &score);
 *
 * Answers to the same questions are compared. With one training run each, only the two models can
 * be told apart, not the ways of training that made them. */
#ifndef KDISTILL_COMPARE_H
#define KDISTILL_COMPARE_H

#include <kdistill/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- are two models different? ---- */

typedef struct kd_difference {
    uint32_t struct_size;
    int32_t reserved;
    double a, b;            /* the two rates */
    double difference;      /* b - a */
    double standard_error;  /* of the difference */
    double low, high;       /* 95 % interval */
    double p_value;         /* of "they are equal", two-sided */
    int64_t only_a, only_b; /* questions that only one got right (McNemar) */
} kd_difference;

/* One answer per question, (questions) 0 or 1: an exact binomial test over the questions on which
 * the two differ. [McNemar 1947] */
KD_API kd_status kd_compare_mcnemar(const int32_t *a, const int32_t *b, int64_t questions,
                                    kd_difference *difference);

/* Compares two ways of training by several runs of each: (seeds, questions, samples) 0 or 1. Run s
 * of both has the same seed, and all runs answer the same questions. Seeds and questions are
 * crossed random effects in an analysis of variance; the test is Student's t with Satterthwaite's
 * degrees of freedom. only_a and only_b count cells. [Cornfield and Tukey 1956, Satterthwaite 1946]
 * - a NULL: b alone, its mean and error.
 * - One seed: the error covers the questions alone, and p_value is NaN. One run of each does not
 *   show how far a second run would be from it, so it says nothing about two ways of training.
 * - Two seeds are few: a difference that does not exist is found in up to one of eight cases
 *   instead of one of twenty.
 * - KD_ERR_RANGE: fewer than 1 seed, 2 questions or 1 sample; a number other than 0 and 1. */
KD_API kd_status kd_compare_runs(kd_context *context, const int32_t *a, const int32_t *b,
                                 int32_t seeds, int64_t questions, int32_t samples,
                                 kd_difference *difference);

/* The same figures by resampling: questions, and seeds if there are several, are drawn `resamples`
 * times (usually 10,000), the same draws for both models. The p-value is twice the share of
 * resampled differences on the other side of 0, at least 1 / resamples. [Efron and Tibshirani 1993]
 * - One seed: the result is about these two models, not about how they were trained.
 * - A few seeds: the error is too small; use kd_compare_runs. */
KD_API kd_status kd_compare_bootstrap(kd_context *context, const int32_t *a, const int32_t *b,
                                      int32_t seeds, int64_t questions, int32_t samples,
                                      int32_t resamples, uint64_t seed, kd_difference *difference);

/* (student - baseline) / (teacher - baseline). 1: the student has all of the teacher's advantage
 * over the baseline; above 1: it exceeds the teacher. NaN if teacher and baseline are equal. */
KD_API double kd_compare_recovery(double student, double baseline, double teacher);

/* ---- texts against references ---- */

/* corpus BLEU-4, tokenized like sacreBLEU's "13a", 0 to 100 [Papineni et al. 2002] */
#define KD_TEXT_BLEU 1
/* chrF2: character 1- to 6-grams without white space, beta = 2, over the corpus, 0 to 100 [Popovic
 * 2015] */
#define KD_TEXT_CHRF 2
/* F1 of the longest common subsequence of lowercase words, mean over texts, 0 to 1 [Lin 2004] */
#define KD_TEXT_ROUGE_L 3
/* F1 of the bags of words like SQuAD's (no articles, punctuation, case), mean over texts, 0 to 1
 * [Rajpurkar et al. 2016] */
#define KD_TEXT_F1 4
#define KD_TEXT_EXACT 5 /* share of texts that are equal, ignoring white space at the ends */
/* texts as labels, ignoring white space at the ends: mean of 2 P R / (P + R) over the references'
 * labels; a text that is none of these labels is wrong and does not form a class */
#define KD_TEXT_MACRO_F1 6

/* Compares each text with one reference. KD_TEXT_ROUGE_L takes time proportional to the product of
 * the two numbers of words (0.1 s for 50,000 and 50,000); the others are linear in the number of
 * bytes. KD_ERR_RANGE: count below 1, an unknown kind. */
KD_API kd_status kd_compare_texts(kd_context *context, int32_t kind, const char *const *texts,
                                  const char *const *references, int64_t count, double *value);

#ifdef __cplusplus
}
#endif
#endif
