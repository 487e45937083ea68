/* kdistill/augment.h - more prompts from existing ones. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A teacher that rewrites prompts:
 *   1.  o.kind = KD_AUGMENT_TEMPLATES;  o.templates = templates;  o.template_count = 1;
 *   2.  kd_augment_prompts(prompts, asked, &o, NULL);   "Say this in other words: {prompt}"
 *   3.  kd_answers_collect(context, generator, ...);    the teacher answers `asked`
 *   4.  o.kind = KD_AUGMENT_ANSWERS;  o.keep_expected = 1;
 *   5.  kd_augment_prompts(said, rewritten, &o, NULL);  its answers become prompts
 *
 * For a teacher that invents prompts, use a template such as "Here are two problems. Write a third.
 * 1. {previous} 2. {prompt}" and keep_expected 0. kd_answers_collect then answers the new prompts,
 * and a curation keeps the answers that a verifier accepts (KD_FILTER_VERIFY) or that enough
 * samples agree on (KD_FILTER_AGREEMENT). */
#ifndef KDISTILL_AUGMENT_H
#define KDISTILL_AUGMENT_H

#include <kdistill/record.h>

#ifdef __cplusplus
extern "C" {
#endif

/* the prompt with other numbers, `copies` times; the host's function supplies the answer */
#define KD_AUGMENT_NUMBERS 1
#define KD_AUGMENT_TEMPLATES 2 /* the prompt in each template; answer and completion are kept */
/* the completion, after its reasoning, as a prompt; truncated completions are dropped */
#define KD_AUGMENT_ANSWERS 3

/* Supplies the new prompt's answer. `before` and `now` (count) are the numbers of the old and the
 * new prompt, in order. `made` has the new prompt; the function sets made->expected (and optionally
 * made->completion) to its own texts, which must live until its next call. Returns:
 * - 1 to write the record,
 * - 0 to drop it (the numbers make no sense),
 * - a negative status (kd_set_error) to end the call. */
typedef int32_t (*kd_augment_function)(void *user, const kd_record *original, const double *before,
                                       const double *now, int32_t count, kd_record *made);

typedef struct kd_augment_options {
    uint32_t struct_size;
    int32_t kind;
    int32_t copies; /* NUMBERS: new prompts per prompt */
    /* ANSWERS: 1: the old prompt's answer still holds (it was only rephrased) */
    int32_t keep_expected;
    /* NUMBERS: 0: the context's; a prompt's result depends on it and the prompt alone */
    uint64_t seed;
    /* NUMBERS: a number n is redrawn uniformly from low n to high n; it keeps its number of
     * decimals, and 0 stays 0 */
    double low, high;
    /* with {prompt}, and {previous} for the preceding record's prompt (the first record has none
     * and is skipped) */
    const char *const *templates;
    int32_t template_count;
    int32_t reserved;
    kd_augment_function function; /* NUMBERS */
    void *user;
    const char *name; /* added to "passed"; NULL: numbers, templates, answers */
} kd_augment_options;
#define KD_AUGMENT_OPTIONS_INIT                                                                    \
    {                                                                                              \
        (uint32_t)sizeof(kd_augment_options), 0, 1, 0, 0, 0.5, 2.0, NULL, 0, 0, NULL, NULL, NULL   \
    }
KD_API void kd_augment_options_init(kd_augment_options *options, size_t size);

typedef struct kd_augment_counts {
    uint32_t struct_size;
    int32_t reserved;
    int64_t read, written;
    int64_t known;   /* prompts that are not new: in the file, or already made */
    int64_t refused; /* by the host's function */
    /* records without a number, completion or predecessor, truncated ones, and those whose last
     * question does not come from a user (a tool's answer) */
    int64_t skipped;
} kd_augment_counts;

/* Reads all prompts and writes new ones. The reader is rewound and read twice, so that existing
 * prompts are not made again. counts may be NULL.
 * - Numbers are runs of digits, with thousands separators (1,250) and decimals (3.5), without a
 *   sign, and not inside a word (x2, 2nd). Equal numbers stay equal.
 * - Records keep their domain, id and other members. What belonged to the old text (ids,
 *   log-probabilities, seed, score) is removed. Earlier turns stay, except with KD_AUGMENT_ANSWERS.
 * - KD_ERR_INVALID: no function, no template, a template without {prompt}.
 * - KD_ERR_RANGE: kind, copies, low and high. */
KD_API kd_status kd_augment_prompts(kd_record_reader *reader, kd_record_writer *writer,
                                    const kd_augment_options *options, kd_augment_counts *counts);

#ifdef __cplusplus
}
#endif
#endif
