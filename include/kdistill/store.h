/* kdistill/store.h - what a teacher said, on disk: written once, read many times.   SPDX-License-Identifier: Apache-2.0
 *
 * One file a shard, or a folder of shards with a manifest. A record holds one view of one sample: its 128-bit key, a range of
 * its positions, and per position any of dense logits, top-k with tail, sampled counts, hidden states, labels; per sample text, a
 * score, a seed. Files are append-only: a record is committed when kd_store_writer_commit returned; after a kill at any byte
 * every committed record is found, at most one further whole record, and nothing else. docs/store-format.md has every byte. */
#ifndef KDISTILL_STORE_H
#define KDISTILL_STORE_H

#include <kdistill/head.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_store kd_store;
typedef struct kd_store_writer kd_store_writer;

/* Kinds of fields: what is kept of one row, or of one sample. */
#define KD_STORE_DENSE 1   /* logits, width = padded_vocabulary or vocabulary; encoding float32, float16, bfloat16    */
#define KD_STORE_TOPK 2    /* ids, log-probabilities, log of the mass outside at every temperature of the store       */
#define KD_STORE_COUNTS 3  /* ids and counts of draws at the store's temperature                                      */
#define KD_STORE_HIDDEN 4  /* the last hidden state (after the final norm), rotated, 3 to 8 bits; with the head in the store,
                              reading gives "logits" through it: dense, at any temperature                           */
#define KD_STORE_VECTORS 5 /* other hidden states, embeddings, one number a row: float32, float16, or int8 with a scale a row;
                              through a fixed random projection when projection is not 0                             */
#define KD_STORE_LABELS 6  /* one integer a row                                                                      */
#define KD_STORE_TEXT 7    /* bytes, one text a sample                                                               */
#define KD_STORE_SCORE 8   /* one float64 a sample (a verifier's)                                                    */
#define KD_STORE_SEED 9    /* one uint64 a sample (an augmentation's)                                                */

typedef struct kd_store_field {
    uint32_t struct_size;
    int32_t kind;       /* KD_STORE_DENSE ...                                                        */
    const char *name;   /* in targets when it is read                                                */
    const char *source; /* field of the targets that kd_store_writer_add takes; NULL: name, and "logits" for KD_STORE_TOPK
                           and KD_STORE_COUNTS when the targets have no sparse field of that name        */
    int32_t encoding;   /* KD_FLOAT32, KD_FLOAT16, KD_BFLOAT16 (dense), KD_INT8 (vectors)              */
    int32_t bits;       /* hidden: 3 to 8                                                            */
    int64_t width;      /* of hidden states and vectors as they come                                 */
    int64_t projection; /* vectors: width after a random projection; 0: none                          */
    int64_t k;          /* top-k: at most this many ids                                              */
    double mass;        /* top-k: the fewest ids that reach it; 0: k ids                             */
    int64_t bytes;      /* top-k: as many ids as fit into so many bytes a position; 0: no limit       */
    int64_t draws;      /* counts made from dense logits                                             */
} kd_store_field;
#define KD_STORE_FIELD_INIT { (uint32_t)sizeof(kd_store_field), 0, NULL, NULL, KD_FLOAT16, 8, 0, 0, 64, 0.0, 0, 50 }
KD_API void kd_store_field_init(kd_store_field *field, size_t size);

/* When data is forced to disk. */
#define KD_SYNC_NEVER 0  /* a kill of the process loses nothing; a power cut may */
#define KD_SYNC_CLOSE 1  /* at close                                              */
#define KD_SYNC_COMMIT 2 /* at every commit                                       */

typedef struct kd_store_options {
    uint32_t struct_size;
    int32_t sync;                  /* KD_SYNC_CLOSE                                                            */
    int32_t append;                /* 1: goes on in a store that is there, whose header must say the same; 0: it must not be there */
    int32_t shard;                 /* -1: one file; 0 and above: path is a folder, this writer's shard is of that number */
    const char *teacher;           /* its name, for people; NULL: ""                                           */
    int64_t vocabulary;            /* real classes                                                             */
    int64_t padded_vocabulary;     /* width of dense logits when padded; 0: vocabulary                           */
    double temperature;            /* that log-probabilities and draws are taken at                            */
    const double *temperatures;    /* further ones at which the tail is kept                                   */
    int32_t temperature_count;
    int32_t align;                 /* KD_ALIGN_NEXT: row t speaks of token t + 1; KD_ALIGN_SAME                  */
    const char *tokenizer;         /* hash of the tokenizer, any text; NULL: unknown                             */
    const char *chat_template;     /* hash of the chat template; NULL: unknown                                   */
    const char *const *tokens;     /* (vocabulary) strings of the ids, UTF-8; NULL: not kept                      */
    uint64_t seed;                 /* of rotations, projections and draws                                      */
} kd_store_options;
#define KD_STORE_OPTIONS_INIT \
    { (uint32_t)sizeof(kd_store_options), KD_SYNC_CLOSE, 0, -1, NULL, 0, 0, 1.0, NULL, 0, 0, NULL, NULL, NULL, 1 }
KD_API void kd_store_options_init(kd_store_options *options, size_t size);

/* The key of a sample: tokens (integers, hashed as little-endian uint32) or bytes (uint8), MurmurHash3_x64_128 with seed 0. It is
 * of the whole sample, before any cut to a training length.                                                                 */
KD_API kd_status kd_store_key(kd_context *context, const kd_array *content, uint64_t *key0, uint64_t *key1);

/* ---- writing: one writer a shard, used by one thread ---- */

/* Makes or continues a store. KD_ERR_STATE: it is open for writing elsewhere, or is there and append is 0; KD_ERR_MISMATCH:
 * the header there says otherwise (what, in the message). A torn tail is cut off and logged.                                */
KD_API kd_status kd_store_writer_create(kd_store_writer **out, kd_context *context, const char *path, const kd_store_options *options,
                                        const kd_store_field *fields, int32_t count);
/* The head that turns the field of kind KD_STORE_HIDDEN into logits: (vocabulary, width), kept once, as `encoding`
 * (KD_FLOAT32, KD_FLOAT16 or KD_BFLOAT16). Before the first record.                                                         */
KD_API kd_status kd_store_writer_head(kd_store_writer *writer, const kd_array *weight, int32_t encoding);
/* A record a sample of the batch, by its key and view, out of the targets; committed when it returns. Packed batches get
 * their keys by kd_batch_set_samples; a key of 0 is refused. A batch's field "position" counts as when reading. Rows that are absent in
 * all fields at a sample's begin and end are left out.                                                                      */
KD_API kd_status kd_store_writer_add(kd_store_writer *writer, kd_batch *batch, kd_targets *targets);
/* Piece by piece: begin, put every field, commit. `first` is the sample's position of row 0. */
KD_API kd_status kd_store_writer_begin(kd_store_writer *writer, uint64_t key0, uint64_t key1, int64_t view, int64_t first, int64_t positions);
KD_API kd_status kd_store_writer_put(kd_store_writer *writer, const char *field, const kd_array *rows);
/* Sparse rows first_row .. of a sparse field of targets. */
KD_API kd_status kd_store_writer_put_sparse(kd_store_writer *writer, const char *field, kd_targets *targets, const char *source, int64_t first_row);
KD_API kd_status kd_store_writer_put_text(kd_store_writer *writer, const char *field, const char *bytes, int64_t size);
KD_API kd_status kd_store_writer_commit(kd_store_writer *writer);
/* Writes the index that makes opening fast, and closes. kd_store_writer_free without it loses nothing but that. */
KD_API kd_status kd_store_writer_close(kd_store_writer *writer);
KD_API void kd_store_writer_free(kd_store_writer *writer);

/* ---- reading: any number of threads and processes, also beside a writer ---- */

typedef struct kd_store_open_options {
    uint32_t struct_size;
    int32_t pread;                 /* 1: reads instead of mapping: a file that shrinks under a mapping kills the process */
    int32_t align;                 /* expected; -1: as the store says                                          */
    int32_t reserved;
    const char *tokenizer;         /* expected hashes; NULL: not checked                                       */
    const char *chat_template;
    const char *const *tokens;     /* the host's vocabulary: compared id by id where the store has one          */
    int64_t token_count;
    const int64_t *exceptions;     /* ids that may differ                                                      */
    int64_t exception_count;
} kd_store_open_options;
#define KD_STORE_OPEN_OPTIONS_INIT { (uint32_t)sizeof(kd_store_open_options), 0, -1, 0, NULL, NULL, NULL, 0, NULL, 0 }
KD_API void kd_store_open_options_init(kd_store_open_options *options, size_t size);

/* Opens files or folders of shards as one. They must agree (fields, vocabulary, temperature, alignment, hashes): KD_ERR_MISMATCH
 * says what differs. KD_ERR_FORMAT: not a store, or a shard is there that the manifest does not name, or the other way round. */
KD_API kd_status kd_store_open(kd_store **out, kd_context *context, const char *const *paths, int32_t count, const kd_store_open_options *options);
KD_API void kd_store_free(kd_store *store);

typedef struct kd_store_info {
    uint32_t struct_size;
    int32_t shards;
    int64_t records;    /* that are read: the last committed of each key and view */
    int64_t replaced;   /* older ones of the same key and view                    */
    int64_t positions;
    int64_t bytes;      /* of the files                                           */
    int64_t torn_bytes; /* behind the last whole record                           */
    int64_t damaged;    /* stretches that are not records and were passed over    */
    int64_t vocabulary;
    double temperature;
    int32_t align;
    int32_t fields;
} kd_store_info;
KD_API kd_status kd_store_get_info(kd_store *store, kd_store_info *info);
/* The header as JSON text, of the first shard; valid while the store is. */
KD_API kd_status kd_store_header(kd_store *store, const char **json);

typedef struct kd_store_record {
    uint32_t struct_size;
    int32_t shard;
    uint64_t key[2];
    int64_t view, first, positions, bytes, offset;
} kd_store_record;
KD_API kd_status kd_store_get_record(kd_store *store, int64_t record, kd_store_record *info);
/* KD_ERR_NOT_FOUND when there is none. */
KD_API kd_status kd_store_find(kd_store *store, uint64_t key0, uint64_t key1, int64_t view, int64_t *record);
/* All of a record into targets (begun anew, a row a position). Text, score and seed come from the calls below.
 * KD_ERR_FORMAT names the record whose checksum is wrong.                                                                 */
KD_API kd_status kd_store_read(kd_store *store, int64_t record, kd_targets *targets);
/* Bytes of a field of kind text (valid while the store is, or until the next call with pread), score or seed. */
KD_API kd_status kd_store_text(kd_store *store, int64_t record, const char *field, const char **bytes, int64_t *size);
KD_API kd_status kd_store_number(kd_store *store, int64_t record, const char *field, double *score, uint64_t *seed);
/* The head as (vocabulary, width) float32: `rotated` 1 as hidden states are read, 0 as it was given. Valid while the store is. */
KD_API kd_status kd_store_head(kd_store *store, int32_t rotated, kd_array *weight);
/* Undoes the rotation of hidden states read from a store, in place: (rows, width) float32. */
KD_API kd_status kd_store_unrotate(kd_store *store, const char *field, const kd_array *rows);
/* Bytes of a record's part of a field, for statistics. */
KD_API kd_status kd_store_part_bytes(kd_store *store, int64_t record, const char *field, int64_t *bytes);
/* Sees what a writer has committed since. *added may be NULL. */
KD_API kd_status kd_store_refresh(kd_store *store, int64_t *added);
/* Reads and checks every byte; *bad is the number of records that are damaged, the first of which the message names. */
KD_API kd_status kd_store_verify(kd_store *store, int64_t *bad);
/* Copies the last record of every key and view into one new file: merges shards, and drops what was replaced. */
KD_API kd_status kd_store_compact(kd_store *store, const char *path);

/* A teacher on a store: looked up by key and view. A batch's field "position" ((rows) int64) says which position of its sample a
 * row is; without it a sample's rows begin at position 0. Positions that a record lacks are absent.                        */
KD_API kd_status kd_teacher_from_store(kd_teacher **out, kd_store *store, const kd_teacher_options *options);
/* The same in one call: opens path (a file or a folder). */
KD_API kd_status kd_teacher_open(kd_teacher **out, kd_context *context, const char *path, const kd_teacher_options *options);

#ifdef __cplusplus
}
#endif
#endif
