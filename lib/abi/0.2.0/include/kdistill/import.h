/* kdistill/import.h - answers of teachers that ran elsewhere, into a store. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_store_writer_create(&writer, context, path, &options, &field, 1);
 *   2.  kd_store_writer_import(writer, KD_IMPORT_OPENAI, "answers.jsonl", NULL, &counts);
 *   3.  kd_store_writer_close(writer);
 *
 * Servers answer in JSON, one response per line. Arrays in memory do not need this: see
 * kd_targets_set_sparse and kd_store_writer_add. */
#ifndef KDISTILL_IMPORT_H
#define KDISTILL_IMPORT_H

#include <kdistill/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What OpenAI-compatible servers return: choices[].logprobs.content[], each with top_logprobs, or
 * the older lists tokens, token_logprobs and top_logprobs (with "echo", the prompt is part of
 * them). vLLM's "token_id:17" is id 17; choices[].token_ids, if present, take precedence over the
 * tokens' texts, which are empty for special tokens.
 *
 * All formats except the flat one:
 * - A line is a complete response of a server (chunks of a stream are rejected); a choice is a
 *   record. A line in another format than requested is rejected, with its name.
 * - If the prompt's ids are there ("prompt_token_ids" in the line or the choice; a host may add
 *   them), the key is that of prompt and answer together, and the first row predicts the answer's
 *   first token (according to the store's alignment).
 * - Otherwise the key is that of the answer's ids. Under KD_ALIGN_NEXT, position 0 is then the
 *   prompt's last token, which predicts the answer's first, at position 1. A batch of that token
 *   and the answer, under the answer's key, finds its rows; the answer alone is rejected if it has
 *   five tokens or more. A warning reports such records.
 * - An entry's id is its "id" if there is one, else what its "bytes" or text is in the token table.
 * - null, -Infinity, "-inf" and -9999 mean "unknown". */
#define KD_IMPORT_OPENAI 1
/* vLLM's "prompt_logprobs", in the line or in choices[0]: a list whose first entry is null, each
 * further entry { "token id": { "logprob": x } } or { "token id": x }. Requires "prompt_token_ids".
 * The chosen token may appear besides the top k. */
#define KD_IMPORT_VLLM 2
/* A flat file: for each position k uint32 ids, then k float16 log-probabilities, little-endian.
 * `positions` per record; the key is that of the record's number as one little-endian uint64. */
#define KD_IMPORT_FLAT 3
/* llama.cpp's /completion: "completion_probabilities", with "top_logprobs" and ids, or the older
 * "probs" of { "tok_str", "prob" }. */
#define KD_IMPORT_LLAMA_CPP 4
/* SGLang's /generate: lists of [log-probability, id, text] in "meta_info": output_token_logprobs,
 * output_top_logprobs, and input_token_logprobs for the prompt's ids. A line may be a list of
 * answers. */
#define KD_IMPORT_SGLANG 5
/* TGI's /generate: "details" with "tokens", "top_tokens", and "prefill" for the prompt's ids. */
#define KD_IMPORT_TGI 6

typedef struct kd_import_options {
    uint32_t struct_size;
    /* 1: the table's strings use GPT-2's byte alphabet (detected if spaces are U+0120; tables with
     * U+2581 for spaces are recognized too) */
    int32_t byte_level;
    const char *field; /* of kind KD_STORE_TOPK; NULL: the store's first */
    /* JSON file { "token": id, ... } for strings; NULL: tokens cannot be mapped */
    const char *token_table;
    double max_unmapped;  /* fails if a larger share of the strings has no id */
    int64_t k, positions; /* flat files */
} kd_import_options;
#define KD_IMPORT_OPTIONS_INIT                                                                     \
    {                                                                                              \
        (uint32_t)sizeof(kd_import_options), 0, NULL, NULL, 0.01, 64, 1                            \
    }
KD_API void kd_import_options_init(kd_import_options *options, size_t size);

typedef struct kd_import_counts {
    uint32_t struct_size;
    int32_t reserved;
    int64_t lines, records, positions, entries;
    int64_t unmapped; /* strings without an id: their mass goes to the tail */
    int64_t absent;   /* -infinity and -9999, with which servers say "unknown" */
    /* entries whose id was there already (the chosen token besides the top k) */
    int64_t duplicates;
} kd_import_counts;

/* Reads the file into the writer's store, one record at a time, with all entries of each row,
 * whatever the field's k. The writer's temperature is what the server sampled at (no server reports
 * it). counts may be NULL. KD_ERR_FORMAT names the line; the records of the lines before it are
 * committed. */
KD_API kd_status kd_store_writer_import(kd_store_writer *writer, int32_t format, const char *path,
                                        const kd_import_options *options, kd_import_counts *counts);

#ifdef __cplusplus
}
#endif
#endif
