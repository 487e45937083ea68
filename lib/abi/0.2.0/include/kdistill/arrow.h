/* kdistill/arrow.h - records and stores as streams of Apache Arrow. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_record_reader_from_arrow(&reader, context, &stream, NULL);    a Parquet file, a table
 *   2.  while (kd_record_reader_next(reader, &record) == KD_OK) use(&record);
 *   3.  kd_record_reader_to_arrow(reader, &stream);                      to DuckDB, to Parquet
 *   4.  kd_store_to_arrow(store, &stream, NULL, 0);
 *
 * The structs are those of Arrow's C data and C stream interfaces, which every Arrow library has;
 * nothing is linked. A stream that is given away must be released by whoever has it then, and is
 * used by one thread at a time. */
#ifndef KDISTILL_ARROW_H
#define KDISTILL_ARROW_H

#include <kdistill/record.h>
#include <kdistill/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Its members are in the header of any Arrow library: get_schema, get_next, get_last_error,
 * release, private_data. */
typedef struct ArrowArrayStream kd_arrow_stream;

typedef struct kd_arrow_options {
    uint32_t struct_size;
    /* 1: a batch is released when it was read; kd_record_reader_rewind is then KD_ERR_STATE. 0: all
     * batches are kept, uncopied, while the reader lives */
    int32_t once;
    /* names of columns and what is refused, as for files; NULL: the defaults */
    const kd_record_options *records;
} kd_arrow_options;
#define KD_ARROW_OPTIONS_INIT                                                                      \
    {                                                                                              \
        (uint32_t)sizeof(kd_arrow_options), 0, NULL                                                \
    }
KD_API void kd_arrow_options_init(kd_arrow_options *options, size_t size);

/* A reader of the rows of a stream: each row is what a line's object is in a file, its columns are
 * the members (kdistill/record.h), null is absent. `stream` is moved: its release becomes NULL,
 * also if the call fails after the stream was looked at.
 * - Types: texts (utf8, large_utf8, utf8_view), numbers and bools, nulls, lists (list, large_list,
 *   their views, fixed_size_list) and structs of these, dictionaries. KD_ERR_UNSUPPORTED names a
 *   column of another type. NaN is null; infinity is refused.
 * - A column "extra" of texts, of the rows or in a list of turns, holds further members as a JSON
 *   object; columns whose names begin with "kd_" are left out. So a stream of
 *   kd_record_reader_to_arrow is read as the same records.
 * - KD_ERR_FORMAT: offsets, lengths or children of an array that do not fit; KD_ERR_IO: the stream
 *   reports an error. The rest is not read then. */
KD_API kd_status kd_record_reader_from_arrow(kd_record_reader **out, kd_context *context,
                                             kd_arrow_stream *stream,
                                             const kd_arrow_options *options);

/* Fills `stream`, whose old content is ignored, with the reader's remaining records, in batches of
 * about 1,000. The stream keeps the reader alive and moves it. Columns:
 * - id, domain, expected, teacher, finish, tools, chat_template_kwargs, extra: texts, null if
 *   empty; the last three are JSON. passed: list of texts. sample int32, seed uint64, temperature
 *   and score float64, null if unknown.
 * - messages: list of {role, content, extra, weight}, weight 0 where a turn is not learned.
 * - input_ids (int32), mask (bool), logprobs (float64), logprob_ends (int64): lists.
 * - kd_key and kd_prompt_key (32 hexadecimal digits, the first number first), kd_prompt,
 *   kd_completion, kd_line (int64): facts for queries, which a reader leaves out.
 * A record that cannot be read ends the stream with an error and the reader's message. */
KD_API kd_status kd_record_reader_to_arrow(kd_record_reader *reader, kd_arrow_stream *stream);

/* Fills `stream` with a store's records, one a row, in batches. The stream keeps the store alive.
 * - kd_key (32 hexadecimal digits), view, first, positions, bytes.
 * - fields: names of what else is wanted; NULL: all but dense logits, hidden states and vectors.
 *   Top-k and counts are NAME.ids (lists of uint32, one a position), NAME.values (lists of float32)
 *   and NAME.tail; labels lists of int64, rows of numbers lists of lists of float32, embeddings
 *   lists of float32; texts, scores (float64) and seeds (uint64) plain columns. Absent: null.
 * - KD_ERR_NOT_FOUND: the store has no field of that name. */
KD_API kd_status kd_store_to_arrow(kd_store *store, kd_arrow_stream *stream,
                                   const char *const *fields, int32_t count);

#ifdef __cplusplus
}
#endif
#endif
