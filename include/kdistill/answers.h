/* kdistill/answers.h - a teacher's (or a student's own) answers to many prompts, into a file.   SPDX-License-Identifier: Apache-2.0 */
#ifndef KDISTILL_ANSWERS_H
#define KDISTILL_ANSWERS_H

#include <kdistill/generator.h>
#include <kdistill/record.h>
#include <kdistill/verify.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One answer of another engine or a server: sample number `sample` of the record's prompt into `text` (room bytes, the 0 counted; *bytes: its length).
 * Returns a status; with KD_ERR_RANGE and *bytes set it is asked once more with that room. Must give the same answer for the same seed where
 * a run that was killed is to end with the same file.                                                                            */
typedef kd_status (*kd_answer_function)(void *user, const kd_record *prompt, int32_t sample, uint64_t seed, char *text, int64_t room, int64_t *bytes);

typedef struct kd_answers_progress {
    uint32_t struct_size;
    int32_t reserved;
    int64_t done, total;        /* answers; total -1: not known                               */
    int64_t tokens;             /* made by this call                                          */
    int64_t right;              /* of this call's, where `verify` is given                     */
    double seconds;
    double tokens_per_second;
    double seconds_left;        /* NaN: not known                                             */
} kd_answers_progress;

typedef struct kd_answers_options {
    uint32_t struct_size;
    int32_t samples;                /* answers to each prompt                                   */
    int32_t chat;                   /* how prompts are written: KD_CHAT_AUTO ..., or KD_CHAT_PLAIN (kdistill/packer.h) */
    int32_t window;                 /* prompts that are in work at once                         */
    int64_t prompts;                /* at most so many; 0: all                                  */
    const kd_sampling *sampling;    /* temperature, top_p, seed, stops ...; its `samples` is not read. NULL: DeepSeek's .6 and .95 */
    kd_answer_function function;    /* in place of a generator                                  */
    void *user;
    const kd_verify_options *verify; /* score of each record becomes 1 or 0 against its "expected"; NULL: no score     */
    const char *teacher;            /* name written into the records                            */
    int32_t (*progress)(void *user, const kd_answers_progress *progress); /* after each prompt; not 0: KD_ERR_CANCELLED */
    void *progress_user;
} kd_answers_options;
KD_API void kd_answers_options_init(kd_answers_options *options, size_t size);

/* Reads prompts (records; completions they have are left out), and writes `samples` records a prompt behind what `path` holds, in the prompts'
 * order: answer, its number, seed, temperature, teacher, score. A file that a killed or cancelled call left is gone on with, from its last whole
 * line on, and ends with the bytes of an unbroken run, as an answer depends on model, prompt, sampling and its number alone. generator may be NULL
 * with a function; otherwise it needs a tokenizer, and nothing of the host's may run in it (it would be lost). `done` (may be NULL) gets the last progress.
 * KD_ERR_MISMATCH: a line of the file answers another prompt than the reader's, or was sampled with another seed or temperature. KD_ERR_INVALID: a
 * prompt of ids only.                                                                                                          */
KD_API kd_status kd_answers_collect(kd_context *context, kd_generator *generator, kd_record_reader *prompts, const char *path,
                                    const kd_answers_options *options, kd_answers_progress *done);

typedef struct kd_answers_result {
    uint32_t struct_size;
    int32_t samples;         /* answers to each prompt                                                  */
    int64_t questions;
    kd_pass pass;            /* pass@1 with its errors, pass@k                                         */
    double consensus;        /* cons@k: share of prompts whose most frequent answer is right (the first of equal ones) */
    double format_errors;    /* share of answers without the format of `verify`                        */
    double unfinished;       /* share of answers that were cut off                                     */
    double mean_bytes;       /* of answers                                                             */
    double mean_right_bytes; /* of right ones; NaN: none                                                */
} kd_answers_result;

/* Judges a file of answers, each prompt's answers together and as many for each, against their "expected". k: of pass@k, at most the answers to a
 * prompt. rights (NULL or room for room int32): (questions, samples) 0 or 1, for comparisons. result->struct_size is set by the caller.
 * Errors: KD_ERR_SHAPE (another number of answers), KD_ERR_INVALID (a record without "expected"), KD_ERR_RANGE (room, k).              */
KD_API kd_status kd_answers_judge(kd_record_reader *answers, const kd_verify_options *verify, int32_t k, int32_t *rights, int64_t room,
                                  kd_answers_result *result);

#ifdef __cplusplus
}
#endif
#endif
