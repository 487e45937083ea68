/* kdistill/import.h - teachers that ran elsewhere, into a store.   SPDX-License-Identifier: Apache-2.0
 *
 * Servers answer in JSON: one response a line. Arrays in memory need none of this: kd_targets_set_sparse and
 * kd_store_writer_add take them.                                                                                           */
#ifndef KDISTILL_IMPORT_H
#define KDISTILL_IMPORT_H

#include <kdistill/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A line is what an OpenAI-compatible server returns: choices[].logprobs.content[], each with top_logprobs of token strings (and
 * bytes, which count where they are there). A choice is a record. A line with "prompt_token_ids" gives records whose key is of
 * prompt and answer together and whose first position is the one that predicts the answer's first token (as the store's
 * alignment says); without, the key is of the answer's ids.                                                                 */
#define KD_IMPORT_OPENAI 1
/* A line holds vLLM's "prompt_logprobs": a list whose first entry is null, each entry { "token id": { "logprob": x } }, and
 * "prompt_token_ids", which the key is of. The chosen token may stand beside the top k.                                     */
#define KD_IMPORT_VLLM 2
/* A flat file: for each position k uint32 ids, then k float16 log-probabilities, little-endian; `positions` a record, keys of the
 * record's number as one little-endian uint64.                                                                              */
#define KD_IMPORT_FLAT 3

typedef struct kd_import_options {
    uint32_t struct_size;
    int32_t byte_level;       /* 1: the table's strings are written in GPT-2's byte alphabet                  */
    const char *field;        /* of kind KD_STORE_TOPK; NULL: the store's first                               */
    const char *token_table;  /* JSON file { "token": id, ... } for strings; NULL: tokens cannot be mapped      */
    double most_unmapped;     /* refused when a larger share of the strings has no id                         */
    int64_t k, positions;     /* flat files                                                                   */
} kd_import_options;
#define KD_IMPORT_OPTIONS_INIT { (uint32_t)sizeof(kd_import_options), 0, NULL, NULL, 0.01, 64, 1 }
KD_API void kd_import_options_init(kd_import_options *options, size_t size);

typedef struct kd_import_counts {
    uint32_t struct_size;
    int32_t reserved;
    int64_t lines, records, positions, entries;
    int64_t unmapped; /* strings without an id: their mass goes to the tail                  */
    int64_t absent;   /* -infinity and -9999, which servers write for "not known"             */
    int64_t doubled;  /* entries whose id was there already (the chosen token beside the top k) */
} kd_import_counts;

/* Reads the file into the writer's store, a record at a time; the writer's temperature is what the server sampled at (no server
 * states it). counts may be NULL. KD_ERR_FORMAT names the line; records of the lines before it are committed.              */
KD_API kd_status kd_store_import(kd_store_writer *writer, int32_t format, const char *path, const kd_import_options *options,
                                 kd_import_counts *counts);

#ifdef __cplusplus
}
#endif
#endif
