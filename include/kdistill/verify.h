/* kdistill/verify.h - is an answer right?   SPDX-License-Identifier: Apache-2.0
 *
 * Verifiers of a teacher's texts, for rejection sampling and for pass@k. Threads may call them at once; nothing is allocated but by libc for patterns.
 * A text's answer is, in this order: what the last \boxed{...} holds; what stands behind the last "####"; behind the last "A:" or "Answer:"
 * that begins a line; behind the last "answer is"; and else the whole text. What is thought before </think> does not count.        */
#ifndef KDISTILL_VERIFY_H
#define KDISTILL_VERIFY_H

#include <kdistill/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Verifiers, bits: several are joined by `all`. */
#define KD_VERIFY_EXACT 1      /* the answers are the same bytes, white space at their ends aside                                */
#define KD_VERIFY_NORMALISED 2 /* the same but for case, white space, punctuation at the end, and articles at the beginning        */
#define KD_VERIFY_NUMBER 4     /* the same number: thousands separators, currency, units behind, percent, fractions (3/4, 1 1/2, \frac{3}{4}),
                                  decimals, exponents. Where the answer is a sentence, its last number. 50% is 50 and is .5          */
#define KD_VERIFY_CHOICE 8     /* the same letter: "B", "(B)", "B.", "option b"                                                    */

#define KD_VERIFY_LATEX 16     /* the same in mathematics: see below                                                               */
#define KD_VERIFY_PATTERN 32   /* the answer, all of it, matches the extended regular expression (POSIX) `pattern`; `expected` is not read   */
#define KD_VERIFY_HOST 64      /* what `function` says                                                                              */

/* KD_VERIFY_LATEX reads both answers as simple LaTeX or plain text: numbers, fractions, roots, powers, signs, |x|, n!, \pi, e, i, \infty,
 * trigonometric functions, exp, log, ln, binomials, letters as variables, plus-minus, degrees and units behind numbers left out; intervals, tuples,
 * sets, unions, matrices, lists (a comma list without brackets, a set and a union in any order), equations (x = 5 is 5; two equations are equal when one is a
 * multiple of the other), inequalities side by side. Expressions are compared by their values at some points, so that (x+1)^2 is x^2+2x+1. Words are
 * compared as they stand. It stops at integrals, sums, limits, piecewise definitions and prose: those are equal only where the texts are.     */

/* Returns 1 (right), 0 or a negative status (kd_set_error). Texts end with a 0. Called by the thread that verifies. */
typedef int32_t (*kd_verify_function)(void *user, const char *text, const char *expected);

#define KD_FORMAT_THINK 1  /* format: one <think>...</think>, closed, with something in it and something behind it */
#define KD_FORMAT_BOXED 2  /* one \boxed{...}, closed                                                             */

typedef struct kd_verify_options {
    uint32_t struct_size;
    int32_t verifiers;  /* bits                                                              */
    int32_t all;        /* 0: one of them is enough (union); 1: all must agree (intersection) */
    int32_t format;     /* bits that a text must keep to besides; 0: none                      */
    double tolerance;   /* numbers: |a - b| <= tolerance max(1, |b|)                            */
    const char *pattern;
    kd_verify_function function;
    void *user;
} kd_verify_options;
#define KD_VERIFY_OPTIONS_INIT { (uint32_t)sizeof(kd_verify_options), KD_VERIFY_NUMBER, 0, 0, 1e-6, NULL, NULL, NULL }
KD_API void kd_verify_options_init(kd_verify_options *options, size_t size);

/* Is the text's answer the expected one (a text too: its answer is taken the same way)? *passed: bits of the verifiers that said yes, and *right: what
 * they say together, the format included. passed may be NULL.                                                                     */
KD_API kd_status kd_verify(const char *text, const char *expected, const kd_verify_options *options, int32_t *right, int32_t *passed);

/* Where a text's answer lies. */
KD_API kd_status kd_answer_find(const char *text, const char **answer, int64_t *bytes);
/* The number of an answer, as KD_VERIFY_NUMBER reads it. KD_ERR_NOT_FOUND: it has none. *percent (may be NULL): 1: a percent sign stands behind it. */
KD_API kd_status kd_answer_number(const char *text, double *value, int32_t *percent);

/* The most frequent answer of several texts: answers are counted as equal when kd_verify says so. *winner: the first text that has it; *votes: how
 * many have. Texts whose answer no verifier takes agree with none, not with themselves: *votes is 0 when there are no others.    */
KD_API kd_status kd_majority(const char *const *texts, int32_t count, const kd_verify_options *options, int32_t *winner, int32_t *votes);

typedef struct kd_pass {
    uint32_t struct_size;
    int32_t samples;
    int64_t questions;
    double pass_1;         /* mean over samples, then questions                                                              */
    double standard_error; /* of pass_1: sqrt(var(p_i) / Q), p_i the share of right samples of question i; holds the questions' draw and the samples' */
    double within_error;   /* the part of the samples alone: sqrt(sum p_i (1 - p_i) / (n - 1)) / Q; 0 for one sample             */
    double pass_k;         /* 1 - C(n - c, k) / C(n, k), mean over questions: unbiased                     [Chen et al. 2021, eq. 1] */
} kd_pass;

/* pass@1 and pass@k from verdicts `right` ((questions, samples) 0 or 1). Q = 1: the errors are 0. KD_ERR_RANGE: k is not 1 to samples. */
KD_API kd_status kd_pass_rates(const int32_t *right, int64_t questions, int32_t samples, int32_t k, kd_pass *pass);

#ifdef __cplusplus
}
#endif
#endif
