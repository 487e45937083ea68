/* kdistill/record.h - texts to learn from: what was asked and answered, and by whom. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_record_reader_open(&reader, context, paths, count, NULL);
 *   2.  while (kd_record_reader_next(reader, &record) == KD_OK) use(&record);
 *   3.  kd_record_writer_open(&writer, context, path, NULL);
 *   4.  kd_record_writer_add(writer, &record);
 *   5.  kd_record_writer_close(writer);
 *
 * Records come from files of JSON lines (one object per line) or of one JSON array, plain or gzip,
 * read one at a time: a file of any size needs the memory of its longest record. These shapes are
 * understood (docs/records.md lists every name):
 *   {"messages": [{"role": "user", "content": ".."}, {"role": "assistant", "content": "..",
 *     "reasoning_content": ".."}]}
 *   {"conversations": [{"from": "human", "value": ".."}, {"from": "gpt", "value": ".."}]}
 *   {"prompt": "..", "completion": ".."}
 *     also question, problem, instruction (+ input); response, output, solution, generation
 *   {"prompt": "..", "reasoning": "..", "answer": ".."}
 *     also reasoning_content, thinking: put in <think> tags before the answer
 *   {"prompt": "..", "completions": ["..", ".."]}
 *     also responses, samples, generations: one record each
 *   {"input_ids": [..], "mask": [..]}   also ids, tokens; labels, -100 where nothing is learned
 *   {"messages": [..], "choices": [{"message": {..}, "logprobs": {"content": [..]}}]}
 *     a server's answers, also {"request": .., "response": {"choices": ..}}: a record per choice
 *
 * - Further members: "system", "history" (pairs of question and answer), "tools" or "functions",
 *   "chat_template_kwargs".
 * - A turn keeps its other members (tool_calls, tool_call_id, name) in kd_message.extra. With
 *   "weight", "train" or the like 0, it is not learned.
 * - Members that would change what is learned but are not supported (pictures, preferences, weights
 *   other than 0 and 1 ...) are rejected by name, or counted: kd_record_options.unsupported.
 * - "expected" (also reference, ground_truth, and "answer" if it is not the completion) is the
 *   known answer; in a record with only "question" and "answer", the answer is both.
 * - Also kept: "domain" (or task, source, category, subject), "id", "teacher" (or model), "seed",
 *   "temperature", "score", "sample", "finish" (or finish_reason), "passed"; all others as JSON
 *   text.
 * - null is the same as an absent member. Numbers that become texts keep all their digits. */
#ifndef KDISTILL_RECORD_H
#define KDISTILL_RECORD_H

#include <kdistill/tokenizer.h>
#include <math.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_record_reader kd_record_reader;
typedef struct kd_record_writer kd_record_writer;

/* Texts are UTF-8 and end with a 0; "" if there is none. A reader's record is valid until its next
 * call. */
typedef struct kd_record {
    uint32_t struct_size;
    int32_t sample; /* number among the answers to its prompt */
    int32_t message_count;
    int32_t logprob_count;
    int64_t line; /* in its file, from 1 */
    int64_t tokens;
    uint64_t key[2]; /* of prompt and completion: see kd_record_set_keys */
    /* of the question: tools, variables, system, earlier turns, prompt, their other members */
    uint64_t prompt_key[2];
    uint64_t seed;      /* of the sampling that made it; 0: unknown */
    double temperature; /* NaN: unknown */
    double score;       /* NaN: none */
    /* (message_count): the whole chat; ends with the assistant's turn if there is an answer */
    const kd_message *messages;
    const char *prompt;     /* the last question */
    const char *completion; /* the last answer, reasoning in its tags */
    const char *expected;
    const char *domain;
    const char *id;
    const char *teacher;
    const char *finish;  /* "stop"; "length": truncated; "": unknown */
    const char *passed;  /* names of filters that kept it, separated by commas */
    const char *extra;   /* JSON object of all other members */
    const int32_t *ids;  /* (tokens), if the file has ids; else NULL */
    const uint8_t *mask; /* (tokens): 1 is learned; NULL: all */
    /* (logprob_count): the teacher's log-probabilities of its tokens, as servers report them; else
     * NULL */
    const double *logprobs;
    /* (logprob_count): where each token ends, in bytes of the completion: for
     * kd_align_find_chunks */
    const int64_t *logprob_ends;
    const char *tools;     /* JSON array of the tools that the chat may call; "": none */
    const char *variables; /* JSON object of further variables of the chat template; "": none */
} kd_record;
#define KD_RECORD_INIT                                                                             \
    {                                                                                              \
        (uint32_t)sizeof(kd_record), 0, 0, 0, 0, 0, { 0, 0 }, { 0, 0 }, 0, NAN, NAN, NULL, "", "", \
            "", "", "", "", "", "", "", NULL, NULL, NULL, NULL, "", ""                             \
    }
KD_API void kd_record_init(kd_record *record, size_t size);

/* Fills in both keys: MurmurHash3 x64 128 of the texts, each with its role and a 0 after it.
 * Without messages, prompt and completion are used. */
KD_API kd_status kd_record_set_keys(kd_record *record);
/* The record as one line of JSON in the first shape, without a line break; freed by
 * kd_context_free_text. KD_ERR_INVALID: what no reader would accept: a text that is not UTF-8, a
 * message without role or content, an "extra" that is not an object or repeats a member of the
 * record. */
KD_API kd_status kd_record_to_json(kd_context *context, const kd_record *record, char **json);

/* ---- reading ---- */

/* KD_ERR_FORMAT names the file and line; the next call continues after it */
#define KD_BAD_LINES_REFUSE 0
#define KD_BAD_LINES_SKIP 1 /* left out, counted, logged as a warning */

#define KD_MEMBERS_REFUSE 0 /* the line is bad: the message names the member */
#define KD_MEMBERS_KEEP 1   /* kept in "extra" and counted; one warning in the log names it */
#define KD_MEMBERS_DROP 2   /* left out, counted and logged */

#define KD_REASONING_TAGS 0 /* <think>\n..\n</think>\n\n before the answer's text */
/* a member of its turn, for templates that read one; `completion` has it in tags regardless */
#define KD_REASONING_MEMBER 1

typedef struct kd_record_options {
    uint32_t struct_size;
    /* broken JSON, repeated keys, not UTF-8, an unknown shape, too long, a rejected member */
    int32_t bad_lines;
    int64_t line_bytes;       /* longer lines are bad; skipped, not kept */
    const char *prompt_field; /* names that this file uses; NULL: the usual ones */
    const char *completion_field;
    const char *expected_field;
    const char *domain_field;
    /* KD_MEMBERS_REFUSE ..: members beside the turns that would change what is learned and are not
     * supported */
    int32_t unsupported;
    /* KD_MEMBERS_KEEP ..: unknown members of a turn; if kept, a template may read them */
    int32_t unknown;
    int32_t reasoning; /* KD_REASONING_TAGS .. */
    int32_t reserved;
    /* only records whose prompt_key[0] is `part` modulo `parts`: each of several workers reads its
     * own, a prompt's answers together, whatever file and order they come in */
    int32_t part;
    int32_t parts;
} kd_record_options;
#define KD_RECORD_OPTIONS_INIT                                                                     \
    {                                                                                              \
        (uint32_t)sizeof(kd_record_options), KD_BAD_LINES_REFUSE, 64 << 20, NULL, NULL, NULL,      \
            NULL, KD_MEMBERS_REFUSE, KD_MEMBERS_KEEP, KD_REASONING_TAGS, 0, 0, 1                   \
    }
KD_API void kd_record_options_init(kd_record_options *options, size_t size);

/* Opens files to be read one after another. KD_ERR_NOT_FOUND names a missing one. */
KD_API kd_status kd_record_reader_open(kd_record_reader **out, kd_context *context,
                                       const char *const *paths, int32_t count,
                                       const kd_record_options *options);
/* The same from a text of lines, copied. */
KD_API kd_status kd_record_reader_open_text(kd_record_reader **out, kd_context *context,
                                            const char *lines, int64_t bytes,
                                            const kd_record_options *options);
KD_API void kd_record_reader_free(kd_record_reader *reader);

/* KD_OK, KD_END, or an error. Empty lines are skipped. */
KD_API kd_status kd_record_reader_next(kd_record_reader *reader, kd_record *record);
/* Back to the first record; the counts restart too. */
KD_API kd_status kd_record_reader_rewind(kd_record_reader *reader);

typedef struct kd_record_counts {
    uint32_t struct_size;
    int32_t files; /* opened so far */
    int64_t lines; /* read so far, in all files */
    int64_t records;
    int64_t empty; /* lines with only white space */
    int64_t bad;
    int64_t first_bad_line; /* in its file; 0: none */
    int64_t bytes;
    int64_t broken_files; /* truncated, damaged, or of another kind: read up to that point */
    /* members that would change what is learned, kept or left out according to the options */
    int64_t unsupported;
    int64_t unknown;     /* unknown members of turns, kept or left out */
    int64_t other_parts; /* records of other parts (kd_record_options.parts) */
} kd_record_counts;
KD_API kd_status kd_record_reader_get_counts(kd_record_reader *reader, kd_record_counts *counts);

/* ---- writing ---- */

typedef struct kd_record_writer_options {
    uint32_t struct_size;
    /* 1: appends; an incomplete last line left by a killed writer is cut off first. 0: a new file,
     * renamed into place on close */
    int32_t append;
} kd_record_writer_options;
#define KD_RECORD_WRITER_OPTIONS_INIT                                                              \
    {                                                                                              \
        (uint32_t)sizeof(kd_record_writer_options), 0                                              \
    }
KD_API void kd_record_writer_options_init(kd_record_writer_options *options, size_t size);

KD_API kd_status kd_record_writer_open(kd_record_writer **out, kd_context *context,
                                       const char *path, const kd_record_writer_options *options);
/* Writes a line completely or (with append) not at all. */
KD_API kd_status kd_record_writer_add(kd_record_writer *writer, const kd_record *record);
/* Everything is on disk afterward. A writer freed without it leaves no new file, and an appended
 * file with the lines written so far. */
KD_API kd_status kd_record_writer_close(kd_record_writer *writer);
KD_API void kd_record_writer_free(kd_record_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
