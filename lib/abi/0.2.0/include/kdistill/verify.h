/* kdistill/verify.h - is an answer right? Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_verify_options options = KD_VERIFY_OPTIONS_INIT;
 *   2.  options.verifiers = KD_VERIFY_NUMBER | KD_VERIFY_LATEX;
 *   3.  kd_verify_answer(text, "3/4", &options, &right, NULL);
 *   4.  kd_verify_majority(texts, count, &options, &winner, &votes);
 *
 * Verifiers of a teacher's texts, for rejection sampling and pass@k. Threads may call them at once.
 * Nothing is allocated, 64 kB of stack is enough for any text, and the time is linear in the text's
 * length (docs/verify.md).
 *
 * Where a text's answer is; the first rule that applies wins:
 * - Everything up to the last </think> is ignored, and so is what follows a mark that ends a chat's
 *   turn (<|im_end|>, </s>). With an unclosed <think>, there is no answer.
 * - What the last \boxed{...}, \fbox{...} or \framebox{...} contains, or the box around it; braces
 *   may be missing (\boxed 5). Boxes joined by a comma, "and", "or" or nothing are one list. If the
 *   last box is not closed, there is no answer. "The final answer is 5. I hope it is correct."
 *   after it takes precedence.
 * - The line after the last "####", up to a line that begins another question ("Question:", "Q:",
 *   "Problem:").
 * - Likewise the line after the last "answer is", "answers are", "answer:" or, at the beginning of
 *   a line, "A:". A displayed formula there is taken whole.
 * - The whole text. */
#ifndef KDISTILL_VERIFY_H
#define KDISTILL_VERIFY_H

#include <kdistill/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Verifiers, as bits; `all` says how several are combined. */
#define KD_VERIFY_EXACT 1 /* the answers are the same bytes, ignoring white space at the ends */
/* the same, ignoring case, white space, final punctuation, and leading articles */
#define KD_VERIFY_NORMALIZED 2
#define KD_VERIFY_NUMBER 4 /* the same number: see below */
#define KD_VERIFY_CHOICE 8 /* the same letter: "B", "(B)", "B.", "option b", "B) 5 cm" */
#define KD_VERIFY_LATEX 16 /* the same in mathematics: see below */
/* the whole answer matches `pattern`: see below; `expected` is not read */
#define KD_VERIFY_PATTERN 32
#define KD_VERIFY_HOST 64 /* what `function` says */

/* KD_VERIFY_NUMBER. An answer is a number if all of it is one:
 * - digits, with a sign, a decimal point, an exponent (1e5, times 10^5); fractions (3/4, \frac34,
 *   {3 \over 4}); mixed numbers (1 1/2); 5 million;
 * - thousands separated by a comma, {,} \, \! or a space, in groups of three; 1,5, with other than
 *   three digits after its only comma, is 1.5;
 * - digits and minus signs of other scripts and of full width; a percent sign, a currency, degrees
 *   or a unit beside it;
 * - an equation of a name, or of numbers alone, whose last side is a number (x = 5, 3 * 6 = 18).
 *
 * In a sentence (words that are not units) it is the last number that stands alone: what signs join
 * to it must be a number as above. No number is taken out of an expression, a tuple, an interval, a
 * list, a matrix or plus-minus. Two numbers are the same:
 * - whole numbers and fractions: if they are equal, whatever their size;
 * - with a decimal fraction among them: if one is the other, rounded or truncated after its last
 *   digit (the shorter one decides where), and they differ by at most `tolerance` of their size;
 * - with a percent sign on one side alone: if that side or a hundredth of it is the other (50% is
 *   50 and is .5). */

/* KD_VERIFY_LATEX reads both answers, up to 2,000 bytes, as simple LaTeX or plain text:
 * - numbers as above, roots, powers, factorials (up to 10000!), binomials, |x|, floors and
 *   ceilings, repeating decimals, \pi, e, i, \infty, trigonometric functions, exp, log, ln, letters
 *   as variables;
 * - degrees (90 of them are 90 and are pi/2); units after numbers are ignored;
 * - tuples, matrices with their sums and products, sets, unions, lists ("1, 2 and 3"; without
 *   brackets, sets and unions in any order), plus-minus as both of its answers;
 * - intervals, also as inequalities of one variable (x < 3, |x| < 3, x \ne 3);
 * - equations: x = 5 is 5; two equations or inequalities are the same if one is a multiple of the
 *   other;
 * - sums, integrals and limits: the same if their bounds and what follows them are;
 * - words, literally.
 *
 * Expressions are compared by their values at four points and modulo three primes: (x+1)^2 is
 * x^2+2x+1, and 2^2003 is not 2^2004. What cannot be read, such as piecewise definitions and prose,
 * is the same only if the texts are. */

/* KD_VERIFY_PATTERN. An extended regular expression (POSIX) of at most 1,024 bytes and 1,000
 * states, over an answer of at most 2,000 bytes; the time is linear in the answer, whatever the
 * pattern.
 * - Characters are UTF-8; classes such as [[:digit:]] are ASCII.
 * - A backslash may precede punctuation only, so there are no back references.
 * - KD_ERR_INVALID: the pattern is not valid; the message says what was expected. */

/* Returns 1 (right), 0 (wrong) or a negative status (kd_set_error). Texts end with a 0. Called on
 * the thread that verifies. */
typedef int32_t (*kd_verify_function)(void *user, const char *text, const char *expected);

/* format: one <think>...</think> (or another pair of marks, docs/verify.md), closed, not empty,
 * with something after it */
#define KD_FORMAT_THINK 1
#define KD_FORMAT_BOXED 2 /* one \boxed{...}, closed */

typedef struct kd_verify_options {
    uint32_t struct_size;
    int32_t verifiers; /* bits */
    int32_t all;       /* 0: one is enough (union); 1: all must agree (intersection) */
    int32_t format;    /* bits that a text must also satisfy; 0: none */
    double tolerance;  /* decimal fractions: |a - b| <= tolerance max(|a|, |b|) */
    const char *pattern;
    kd_verify_function function;
    void *user;
} kd_verify_options;
#define KD_VERIFY_OPTIONS_INIT                                                                     \
    {                                                                                              \
        (uint32_t)sizeof(kd_verify_options), KD_VERIFY_NUMBER, 0, 0, 1e-6, NULL, NULL, NULL        \
    }
KD_API void kd_verify_options_init(kd_verify_options *options, size_t size);

/* Is the text's answer the expected one? `expected` is a text too, whose answer is found the same
 * way. *passed (may be NULL): bits of the verifiers that accept it. *right: their combined verdict,
 * format included. */
KD_API kd_status kd_verify_answer(const char *text, const char *expected,
                                  const kd_verify_options *options, int32_t *right,
                                  int32_t *passed);

/* Where a text's answer is. */
KD_API kd_status kd_verify_find_answer(const char *text, const char **answer, int64_t *bytes);
/* The number of an answer, as KD_VERIFY_NUMBER reads it. *percent (may be NULL): 1: a percent sign
 * follows it. KD_ERR_NOT_FOUND: there is none. */
KD_API kd_status kd_verify_find_number(const char *text, double *value, int32_t *percent);

/* The most frequent answer of several texts; answers are equal if kd_verify_answer says so.
 * *winner: the first text that has it; *votes: how many have it.
 * - Texts whose answer no verifier accepts agree with none, not even with themselves: *votes is 0
 *   if there are no others.
 * - Every text is compared with every other: the time grows with the square of `count`. */
KD_API kd_status kd_verify_majority(const char *const *texts, int32_t count,
                                    const kd_verify_options *options, int32_t *winner,
                                    int32_t *votes);

typedef struct kd_pass_at_k {
    uint32_t struct_size;
    int32_t samples;
    int64_t questions;
    double pass_1; /* mean over samples, then questions */
    /* of pass_1: sqrt(var(p_i) / Q), p_i the share of right samples of question i; covers the
     * draw of questions and of samples */
    double standard_error;
    /* the samples' part alone: sqrt(sum p_i (1 - p_i) / (n - 1)) / Q; 0 for one sample */
    double within_error;
    /* 1 - C(n - c, k) / C(n, k), mean over questions: unbiased [Chen et al. 2021, eq. 1] */
    double pass_k;
} kd_pass_at_k;

/* pass@1 and pass@k from verdicts `right` ((questions, samples) 0 or 1). Q = 1: the errors are 0.
 * KD_ERR_RANGE: k is not 1 to samples. */
KD_API kd_status kd_verify_pass_at_k(const int32_t *right, int64_t questions, int32_t samples,
                                     int32_t k, kd_pass_at_k *pass);

#ifdef __cplusplus
}
#endif
#endif
