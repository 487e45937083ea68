/* kdistill/augment.h - more prompts out of those that are there.   SPDX-License-Identifier: Apache-2.0
 *
 * One call goes over a file of prompts once and writes new ones into another; kd_answers_collect then answers them, and a curation keeps what a
 * verifier passes (KD_FILTER_VERIFY) or enough of the answers agree on (KD_FILTER_AGREEMENT). A teacher that rewrites prompts:
 *
 *   o.kind = KD_AUGMENT_TEMPLATES;  o.templates = templates;  o.template_count = 1;    with templates[0] "Say this in other words: {prompt}"
 *   kd_augment(prompts, asked, &o, NULL);           kd_answers_collect(context, generator, ...) writes what the teacher says
 *   o.kind = KD_AUGMENT_ANSWERS;  o.keep_expected = 1;  kd_augment(said, rewritten, &o, NULL);
 *
 * One that invents them: a template such as "Here are two problems. Write a third. 1. {previous} 2. {prompt}", and keep_expected 0.      */
#ifndef KDISTILL_AUGMENT_H
#define KDISTILL_AUGMENT_H

#include <kdistill/record.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KD_AUGMENT_NUMBERS 1   /* the prompt with other numbers, `copies` times; the host's function says the answer          */
#define KD_AUGMENT_TEMPLATES 2 /* the prompt in each of the templates; answer and completion stay                            */
#define KD_AUGMENT_ANSWERS 3   /* the completion, behind its reasoning, as a prompt; cut off ones are dropped                  */

/* The new prompt's answer. `before` and `now` (count): the numbers of the old and the new prompt, in their order. `made` has the new prompt; the function sets
 * made->expected (and made->completion, if it likes) to texts of its own that live until its next call. Returns 1 to write the record, 0 to drop it
 * (the numbers make no sense), a negative status (kd_set_error) to end the call.                                              */
typedef int32_t (*kd_recompute_function)(void *user, const kd_record *original, const double *before, const double *now, int32_t count, kd_record *made);

typedef struct kd_augment_options {
    uint32_t struct_size;
    int32_t kind;
    int32_t copies;                 /* NUMBERS: of each prompt                                             */
    int32_t keep_expected;          /* ANSWERS: 1: the answer is still the old prompt's (it was only rewritten) */
    uint64_t seed;                  /* NUMBERS; 0: the context's. What comes of a prompt depends on it and the prompt alone */
    double low, high;               /* NUMBERS: a number n is drawn anew, evenly, from low n to high n; its decimals stay as many, 0 stays 0 */
    const char *const *templates;   /* with {prompt}, and {previous} for the prompt of the record before (the first record has none: it is passed over) */
    int32_t template_count;
    int32_t reserved;
    kd_recompute_function function; /* NUMBERS                                                             */
    void *user;
    const char *name;               /* put into "passed"; NULL: numbers, templates, answers                 */
} kd_augment_options;
#define KD_AUGMENT_OPTIONS_INIT { (uint32_t)sizeof(kd_augment_options), 0, 1, 0, 0, 0.5, 2.0, NULL, 0, 0, NULL, NULL, NULL }
KD_API void kd_augment_options_init(kd_augment_options *options, size_t size);

typedef struct kd_augment_counts {
    uint32_t struct_size;
    int32_t reserved;
    int64_t read, written;
    int64_t known;    /* new prompts that were no new ones: in the file, or made before     */
    int64_t refused;  /* by the host's function                                             */
    int64_t passed_over; /* records without a number, without a completion, cut off, or without one before */
} kd_augment_counts;

/* Numbers are runs of digits, with thousands separators (1,250) and decimals (3.5), not within a word (x2, 2nd), without a sign; equal ones become equal ones. Records
 * keep their domain, id and other members; what belonged to the old text (ids, log-probabilities, seed, score) goes; turns before the prompt stay but for ANSWERS.
 * The reader is rewound and read twice: prompts that are there already are not made again. counts may be NULL.
 * KD_ERR_INVALID: no function, no template, a template without {prompt}. KD_ERR_RANGE: kind, copies, low and high.             */
KD_API kd_status kd_augment(kd_record_reader *reader, kd_record_writer *writer, const kd_augment_options *options, kd_augment_counts *counts);

#ifdef __cplusplus
}
#endif
#endif
