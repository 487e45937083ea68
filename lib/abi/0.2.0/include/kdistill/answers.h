/* kdistill/answers.h - the answers of a teacher or student to many prompts. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_record_reader_open(&prompts, context, paths, 1, NULL);
 *   2.  kd_answers_options_init(&options, sizeof options);
 *   3.  options.samples = 8;  options.verify = &verify;
 *   4.  kd_answers_collect(context, generator, prompts, "answers.jsonl", &options, NULL);
 *   5.  kd_answers_judge(answers, &verify, 8, NULL, 0, &result);    pass@1, pass@8 */
#ifndef KDISTILL_ANSWERS_H
#define KDISTILL_ANSWERS_H

#include <kdistill/generator.h>
#include <kdistill/record.h>
#include <kdistill/verify.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One answer from another engine or a server: writes sample number `sample` for the record's prompt
 * into `text` (capacity bytes, terminating 0 included) and sets *bytes to its length. Returns a
 * status.
 * - With KD_ERR_RANGE and *bytes set, it is called once more with that capacity.
 * - It must give the same answer for the same seed if a resumed run is to make the
 *   same file. */
typedef kd_status (*kd_answers_function)(void *user, const kd_record *prompt, int32_t sample,
                                         uint64_t seed, char *text, int64_t capacity,
                                         int64_t *bytes);

typedef struct kd_answers_progress {
    uint32_t struct_size;
    int32_t reserved;
    int64_t done, total; /* answers; total -1: unknown */
    int64_t tokens;      /* made by this call */
    int64_t right;       /* of this call's answers, if `verify` is set */
    double seconds;
    double tokens_per_second;
    double seconds_left; /* NaN: unknown */
} kd_answers_progress;

typedef struct kd_answers_options {
    uint32_t struct_size;
    int32_t samples; /* answers per prompt */
    /* how prompts are written: KD_CHAT_AUTO ..., or KD_CHAT_PLAIN (kdistill/packer.h) */
    int32_t chat;
    int32_t window;      /* prompts in progress at once */
    int64_t max_prompts; /* at most this many; 0: all */
    /* temperature, top_p, seed, stops ...; its `samples` is ignored. NULL: DeepSeek's .6 and .95 */
    const kd_sampling *sampling;
    kd_answers_function function; /* used instead of a generator */
    void *user;
    /* sets each record's score to 1 or 0 by its "expected"; NULL: no score */
    const kd_verify_options *verify;
    const char *teacher; /* name written into the records */
    /* after each prompt; nonzero: KD_ERR_CANCELED */
    int32_t (*progress)(void *user, const kd_answers_progress *progress);
    void *progress_user;
    int64_t first; /* this many prompts are read over; max_prompts counts from here */
    /* of kd_answers_collect_chunks: prompts a chunk; seconds after which a worker that was not
     * heard of counts as gone, more than the longest window of prompts takes and than clocks
     * differ */
    int64_t chunk_prompts;
    double lease;
} kd_answers_options;
KD_API void kd_answers_options_init(kd_answers_options *options, size_t size);

/* Reads prompts (records; their completions are ignored) and appends `samples` records per prompt
 * to `path`, in the prompts' order: answer, its number, seed, temperature, teacher, score. `done`
 * (may be NULL) gets the final progress.
 * - A file from a call that was killed or canceled is continued after its last complete line, and
 *   ends with the bytes of an uninterrupted run: an answer depends only on model, prompt, sampling
 *   and number.
 * - generator may be NULL if there is a function. Otherwise it needs a tokenizer and must be idle.
 * - KD_ERR_MISMATCH: a line of the file answers another prompt than the reader's, or was sampled
 *   with another seed or temperature.
 * - KD_ERR_INVALID: a prompt that has only ids. */
KD_API kd_status kd_answers_collect(kd_context *context, kd_generator *generator,
                                    kd_record_reader *prompts, const char *path,
                                    const kd_answers_options *options, kd_answers_progress *done);

/* The same by many workers (processes, machines) that share a folder, each with all prompts in the
 * same order: a worker takes chunks of prompts that nobody has answered or holds, until there is
 * none. The file of a chunk appears as a whole; a worker that is killed loses its chunk alone,
 * which another takes when the lease is over. Since 0.2.
 * - done->done < done->total: chunks are still held by others; call again, or leave it to them.
 * - max_prompts limits all workers together; `first` must be 0.
 * - KD_ERR_MISMATCH: other prompts, samples, chunks or sampling than those who began in that folder
 *   (plan.json). */
KD_API kd_status kd_answers_collect_chunks(kd_context *context, kd_generator *generator,
                                           kd_record_reader *prompts, const char *folder,
                                           const kd_answers_options *options,
                                           kd_answers_progress *done);
/* One file of a folder's chunks, moved into its place: the bytes that kd_answers_collect would have
 * written, whoever answered. KD_ERR_STATE: chunks are missing. Since 0.2. */
KD_API kd_status kd_answers_concat(kd_context *context, const char *folder, const char *path);

typedef struct kd_answers_result {
    uint32_t struct_size;
    int32_t samples; /* answers per prompt */
    int64_t questions;
    kd_pass_at_k pass; /* pass@1 with its errors, pass@k */
    /* cons@k: share of prompts whose most frequent answer (the first on a tie) is right */
    double consensus;
    double format_errors;    /* share of answers without the format of `verify` */
    double unfinished;       /* share of answers that were truncated */
    double mean_bytes;       /* over all answers */
    double mean_right_bytes; /* over right answers; NaN: none */
} kd_answers_result;

/* Judges a file of answers against their "expected". The answers to a prompt are consecutive, and
 * every prompt has the same number. The caller sets result->struct_size.
 * - k: for pass@k, at most the answers per prompt.
 * - rights (NULL, or room for capacity int32): (questions, samples) 0 or 1, for comparisons.
 * - KD_ERR_SHAPE: a prompt with another number of answers.
 * - KD_ERR_INVALID: a record without "expected".
 * - KD_ERR_RANGE: capacity, k. */
KD_API kd_status kd_answers_judge(kd_record_reader *answers, const kd_verify_options *verify,
                                  int32_t k, int32_t *rights, int64_t capacity,
                                  kd_answers_result *result);

#ifdef __cplusplus
}
#endif
#endif
