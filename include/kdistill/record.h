/* kdistill/record.h - texts to learn from: what was asked, what was answered, and where it came from.   SPDX-License-Identifier: Apache-2.0
 *
 * Records come from files of JSON lines, plain or gzip, one object a line, and are read one at a time: a file of any size needs the memory of its
 * longest line. The usual shapes are understood:
 *
 *   {"messages": [{"role": "user", "content": ".."}, {"role": "assistant", "content": "..", "reasoning_content": ".."}]}
 *   {"conversations": [{"from": "human", "value": ".."}, {"from": "gpt", "value": ".."}]}
 *   {"prompt": "..", "completion": ".."}               also question, problem, instruction (+ input); response, output, solution, generation
 *   {"prompt": "..", "reasoning": "..", "answer": ".."}     also reasoning_content, thinking: put between <think> tags before the answer
 *   {"prompt": "..", "completions": ["..", ".."]}      also responses, samples, generations: a record each
 *   {"input_ids": [..], "mask": [..]}                  also ids, tokens; labels, -100 where nothing is learned
 *   {"messages": [..], "choices": [{"message": {..}, "logprobs": {"content": [{"token": "..", "logprob": ..}]}}]}: a server's answers, also as
 *       {"request": {"messages": ..}, "response": {"choices": ..}}, one record a choice
 *
 * "expected" (also reference, ground_truth, and "answer" where it is not the completion) is the known answer; a record with a "question" and an
 * "answer" alone has it as both. "domain" (also task, source, category, subject), "id", "system", "teacher" (also model), "seed", "temperature",
 * "score", "sample", "finish" (also finish_reason), "passed" are kept; every member that none of this reads stays with the record as JSON text. null is
 * as if it were not there.                                                                                                     */
#ifndef KDISTILL_RECORD_H
#define KDISTILL_RECORD_H

#include <kdistill/tokenizer.h>
#include <math.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_record_reader kd_record_reader;
typedef struct kd_record_writer kd_record_writer;

/* Texts are UTF-8 with a 0 behind them, "" where there is none. A reader's record lives until its next call. */
typedef struct kd_record {
    uint32_t struct_size;
    int32_t sample;             /* number among the answers to its prompt                                    */
    int32_t message_count;
    int32_t logprob_count;
    int64_t line;               /* of its file, from 1                                                       */
    int64_t tokens;
    uint64_t key[2];            /* of prompt and completion: see kd_record_keys                              */
    uint64_t prompt_key[2];     /* of what was asked: system, turns before, prompt                           */
    uint64_t seed;              /* of the sampling that made it; 0: unknown                                  */
    double temperature;         /* NaN: unknown                                                              */
    double score;               /* NaN: none                                                                 */
    const kd_message *messages; /* (message_count): the whole chat; the last one is the assistant's, if there is an answer */
    const char *prompt;         /* the last thing asked                                                      */
    const char *completion;     /* the last answer, reasoning in its tags                                    */
    const char *expected;
    const char *domain;
    const char *id;
    const char *teacher;
    const char *finish;         /* "stop", "length": cut off before its end; "": unknown                    */
    const char *passed;         /* names of filters that kept it, a comma apart                              */
    const char *extra;          /* JSON object of all other members                                         */
    const int32_t *ids;         /* (tokens), where the file gives ids; else NULL                             */
    const uint8_t *mask;        /* (tokens): 1 is learned; NULL: all                                         */
    const double *logprobs;     /* (logprob_count): the teacher's log-probability of each of its tokens, as servers give them; else NULL */
    const int64_t *logprob_ends; /* (logprob_count): where each of them ends, in bytes of the completion: for kd_align_bytes              */
} kd_record;
#define KD_RECORD_INIT { (uint32_t)sizeof(kd_record), 0, 0, 0, 0, 0, { 0, 0 }, { 0, 0 }, 0, NAN, NAN, NULL, "", "", "", "", "", "", "", "", "", NULL, NULL, NULL, NULL }
KD_API void kd_record_init(kd_record *record, size_t size);

/* Fills both keys. Without messages they are taken from prompt and completion. MurmurHash3 x64 128 of the texts, each with its role and a 0 behind it. */
KD_API kd_status kd_record_keys(kd_record *record);
/* The record as one line of JSON without its end, in the first shape; freed by kd_text_free. KD_ERR_INVALID: what no reader would take: a text that is no
 * UTF-8, a message without role or content, an "extra" that is no object or has a member of the record's own.                    */
KD_API kd_status kd_record_json(kd_context *context, const kd_record *record, char **json);

/* ---- reading ---- */

#define KD_BAD_LINES_REFUSE 0 /* KD_ERR_FORMAT names the file and the line; the next call goes on behind it */
#define KD_BAD_LINES_SKIP 1   /* left out, counted, logged as a warning                                    */

typedef struct kd_record_options {
    uint32_t struct_size;
    int32_t bad_lines;            /* broken JSON, doubled keys, no UTF-8, no shape that is known, too long      */
    int64_t line_bytes;           /* longer lines are bad; read over, not kept                                 */
    const char *prompt_field;     /* names that this file uses; NULL: the usual ones                           */
    const char *completion_field;
    const char *expected_field;
    const char *domain_field;
} kd_record_options;
#define KD_RECORD_OPTIONS_INIT { (uint32_t)sizeof(kd_record_options), KD_BAD_LINES_REFUSE, 64 << 20, NULL, NULL, NULL, NULL }
KD_API void kd_record_options_init(kd_record_options *options, size_t size);

/* Opens files that are read one behind the other. KD_ERR_NOT_FOUND names the one that is missing. */
KD_API kd_status kd_record_reader_open(kd_record_reader **out, kd_context *context, const char *const *paths, int32_t count,
                                       const kd_record_options *options);
/* The same from a text of lines, copied. */
KD_API kd_status kd_record_reader_text(kd_record_reader **out, kd_context *context, const char *lines, int64_t bytes, const kd_record_options *options);
KD_API void kd_record_reader_free(kd_record_reader *reader);

/* KD_OK, KD_END, or an error. Empty lines are passed over. */
KD_API kd_status kd_record_reader_next(kd_record_reader *reader, kd_record *record);
/* To the first record again; the counts begin anew. */
KD_API kd_status kd_record_reader_rewind(kd_record_reader *reader);

typedef struct kd_record_counts {
    uint32_t struct_size;
    int32_t files;          /* opened so far                            */
    int64_t lines;          /* read so far, of all files                */
    int64_t records;
    int64_t empty;          /* lines with nothing but white space        */
    int64_t bad;
    int64_t first_bad_line; /* of its file; 0: none                     */
    int64_t bytes;
} kd_record_counts;
KD_API kd_status kd_record_reader_get_counts(kd_record_reader *reader, kd_record_counts *counts);

/* ---- writing ---- */

typedef struct kd_record_writer_options {
    uint32_t struct_size;
    int32_t append; /* 1: behind what is there; a last line without its end, which a killed writer left, is cut off first. 0: a new file, moved
                       into its place by close                                                                         */
} kd_record_writer_options;
#define KD_RECORD_WRITER_OPTIONS_INIT { (uint32_t)sizeof(kd_record_writer_options), 0 }
KD_API void kd_record_writer_options_init(kd_record_writer_options *options, size_t size);

KD_API kd_status kd_record_writer_open(kd_record_writer **out, kd_context *context, const char *path, const kd_record_writer_options *options);
/* Writes a line, whole or (with append) not at all. */
KD_API kd_status kd_record_writer_add(kd_record_writer *writer, const kd_record *record);
/* Everything is on the disk afterwards. A writer that is freed without it leaves no new file, and an appended one as far as it came. */
KD_API kd_status kd_record_writer_close(kd_record_writer *writer);
KD_API void kd_record_writer_free(kd_record_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
