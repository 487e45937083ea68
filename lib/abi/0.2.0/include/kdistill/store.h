/* kdistill/store.h - what a teacher said, on disk: written once, read many times. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_store_writer_create(&writer, context, path, &options, fields, count);
 *   2.  kd_teacher_read(teacher, batch, targets);
 *   3.  kd_store_writer_add(writer, batch, targets);
 *   4.  kd_store_writer_close(writer);
 *   5.  kd_teacher_open(&stored, context, path, NULL);    in later runs
 *
 * A store is one file per shard, or a folder of shards with a manifest. A record is one view of one
 * sample: its 128-bit key, a range of its positions; per position dense logits, top-k with tail,
 * sampled counts, hidden states or labels; per sample an embedding, a text, a score, a seed.
 * - Files are append-only. After a kill at any byte, every record whose kd_store_writer_commit
 *   returned is found, at most one further complete record, and nothing else
 *   (docs/store-format.md).
 * - What is put is read back exactly, or within its encoding's error. What an encoding cannot hold
 *   is rejected when it is put, and the store stays usable.
 * - A record has checksums of its tokens. kd_teacher_read compares them with the batch's field
 *   "tokens" and rejects another rendering of the same sample, complete or partial:
 *   KD_ERR_MISMATCH. kd_teacher_options.any_tokens switches this off. */
#ifndef KDISTILL_STORE_H
#define KDISTILL_STORE_H

#include <kdistill/teacher.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_store kd_store;
typedef struct kd_store_writer kd_store_writer;

/* Kinds of fields: what is kept per row, or per sample. */
/* logits, width = padded_vocabulary or vocabulary; encoding float32, float16, bfloat16 */
#define KD_STORE_DENSE 1
/* ids, log-probabilities, log of the mass outside at every temperature of the store */
#define KD_STORE_TOPK 2
#define KD_STORE_COUNTS 3 /* ids and counts of draws at the store's temperature */
/* the last hidden state (after the final norm), rotated, 3 to 8 bits; with the head in the store,
 * it is read as "logits": dense, at any temperature */
#define KD_STORE_HIDDEN 4
/* other hidden states, embeddings, one number per row: float32, float16, or int8 with a scale per
 * row; through a fixed random projection if projection is not 0 */
#define KD_STORE_VECTORS 5
#define KD_STORE_LABELS 6 /* one integer per row */
#define KD_STORE_TEXT 7   /* bytes, one text per sample */
#define KD_STORE_SCORE 8  /* one float64 per sample (a verifier's) */
#define KD_STORE_SEED 9   /* one uint64 per sample (an augmentation's) */
/* one vector per sample (a text's embedding): float32, float16, or int8 with a scale; through a
 * fixed random projection if projection is not 0. It is read as a field of samples. A record of
 * nothing else has no positions and answers for its key, whatever tokens a batch makes of it: a
 * student may have another tokenizer than the teacher */
#define KD_STORE_EMBEDDING 10

typedef struct kd_store_field {
    uint32_t struct_size;
    int32_t kind;     /* KD_STORE_DENSE ... */
    const char *name; /* in the targets when it is read */
    /* the field that kd_store_writer_add takes from the targets; NULL: name. Top-k and counts take
     * a sparse field of that name directly, or else are made from its logits, or from "logits":
     * dense ones, or hidden states with a head, processed in blocks of rows */
    const char *source;
    /* KD_FLOAT32, KD_FLOAT16, KD_BFLOAT16 (dense), KD_INT8 (vectors, embeddings) */
    int32_t encoding;
    int32_t bits;       /* hidden: 3 to 8 */
    int64_t width;      /* of hidden states, vectors and embeddings as they are put */
    int64_t projection; /* vectors, embeddings: width after a random projection; 0: none */
    /* top-k from dense logits: this many ids. Sparse rows keep all their entries, 1 to the
     * vocabulary: a server's k and its chosen token do not need k + 1 */
    int64_t k;
    double mass;   /* top-k: the fewest ids that reach it; 0: k ids */
    int64_t bytes; /* top-k: as many ids as fit into this many bytes per position; 0: no limit */
    /* counts from dense logits: this many draws; existing counts are kept unchanged */
    int64_t draws;
} kd_store_field;
#define KD_STORE_FIELD_INIT                                                                        \
    {                                                                                              \
        (uint32_t)sizeof(kd_store_field), 0, NULL, NULL, KD_FLOAT16, 8, 0, 0, 64, 0.0, 0, 50       \
    }
KD_API void kd_store_field_init(kd_store_field *field, size_t size);

/* When data is forced to disk. */
#define KD_SYNC_NEVER 0  /* a killed process loses nothing; a power failure may */
#define KD_SYNC_CLOSE 1  /* on close */
#define KD_SYNC_COMMIT 2 /* on every commit */

typedef struct kd_store_options {
    uint32_t struct_size;
    int32_t sync; /* KD_SYNC_CLOSE */
    /* 1: continues an existing store, whose header must agree; 0: the store must not exist */
    int32_t append;
    /* -1: one file; 0 and above: path is a folder, and this is the writer's shard number */
    int32_t shard;
    const char *teacher;       /* its name, for people; NULL: "" */
    int64_t vocabulary;        /* real classes */
    int64_t padded_vocabulary; /* width of padded dense logits; 0: vocabulary */
    double temperature;        /* of log-probabilities and draws */
    /* further ones at which a top-k's tail is kept; a loss interpolates between and above them.
     * NULL: 2 and 4 times the temperature. For none: not NULL, with a count of 0 */
    const double *temperatures;
    int32_t temperature_count;
    int32_t align; /* KD_ALIGN_NEXT: row t is about token t + 1; KD_ALIGN_SAME */
    /* hash of the tokenizer, any text; NULL: the first batch's (kd_batch_origin) */
    const char *tokenizer;
    /* how texts were rendered, any text; NULL: as the first batch says */
    const char *chat_template;
    const char *const *tokens; /* (vocabulary) strings of the ids, UTF-8; NULL: not kept */
    uint64_t seed;             /* of rotations, projections and draws */
} kd_store_options;
#define KD_STORE_OPTIONS_INIT                                                                      \
    {                                                                                              \
        (uint32_t)sizeof(kd_store_options), KD_SYNC_CLOSE, 0, -1, NULL, 0, 0, 1.0, NULL, 0, 0,     \
            NULL, NULL, NULL, 1                                                                    \
    }
KD_API void kd_store_options_init(kd_store_options *options, size_t size);

/* A key for the host's own samples: MurmurHash3_x64_128 with seed 0 of tokens (integers, hashed as
 * little-endian uint32) or bytes (uint8), of the whole sample, before it is truncated for training.
 * See kdistill/data.h. */
KD_API kd_status kd_store_key(kd_context *context, const kd_array *content, uint64_t *key0,
                              uint64_t *key1);

/* ---- writing: one writer per shard, used by one thread ----
 * Many workers, each its own shard of one folder: none waits for another but to be named in the
 * manifest, and readers follow with kd_store_refresh. A head is written into one of the shards. On
 * file systems without locks nothing keeps two writers out of one shard; a log line says so. */

/* Creates or continues a store. A torn tail is cut off and logged.
 * - KD_ERR_STATE: it is open for writing elsewhere, or it exists and append is 0.
 * - KD_ERR_MISMATCH: the existing header differs (the message says how). */
KD_API kd_status kd_store_writer_create(kd_store_writer **out, kd_context *context,
                                        const char *path, const kd_store_options *options,
                                        const kd_store_field *fields, int32_t count);
/* The head that turns the field of kind KD_STORE_HIDDEN into logits: (vocabulary, width), stored
 * once as `encoding` (KD_FLOAT32, KD_FLOAT16 or KD_BFLOAT16). Call it before the first record. */
KD_API kd_status kd_store_writer_set_head(kd_store_writer *writer, const kd_array *weight,
                                          int32_t encoding);
/* Writes one record per sample of the batch, under its key and view, from the targets; committed
 * when the call returns. If it fails, the samples before the failing one are committed.
 * - Packed batches get their keys from kd_batch_set_samples; a key of 0 is rejected.
 * - The batch's field "position" counts as in reading, and rises by one within a sample.
 * - Rows at either end of a sample that are absent in all fields are left out; a sample of which
 *   nothing is there gets no record.
 * - An embedding is a field of samples of the targets (kd_targets_set_per_sample).
 * - The field "tokens" gives the record its checksums.
 * - KD_ERR_NOT_FOUND: the targets lack a field's rows.
 * - KD_ERR_SHAPE: a field of samples where rows are stored, or vice versa.
 * - KD_ERR_RANGE, KD_ERR_NONFINITE: a number that its encoding cannot hold (float16 below 65520,
 *   quantized rows at most 1e18).
 * - KD_ERR_MISMATCH: another tokenizer than the store's. */
KD_API kd_status kd_store_writer_add(kd_store_writer *writer, kd_batch *batch, kd_targets *targets);
/* Piece by piece: begin, put every field, commit. `first` is the sample's position of row 0. */
KD_API kd_status kd_store_writer_begin(kd_store_writer *writer, uint64_t key0, uint64_t key1,
                                       int64_t view, int64_t first, int64_t positions);
KD_API kd_status kd_store_writer_put(kd_store_writer *writer, const char *field,
                                     const kd_array *rows);
/* Rows from first_row on of a sparse field of the targets. */
KD_API kd_status kd_store_writer_put_sparse(kd_store_writer *writer, const char *field,
                                            kd_targets *targets, const char *source,
                                            int64_t first_row);
KD_API kd_status kd_store_writer_put_text(kd_store_writer *writer, const char *field,
                                          const char *text, int64_t bytes);
/* The tokens of the whole sample (integers, before truncation). Only checksums are kept: they let a
 * reader check that its batch has the same tokens. kd_store_writer_add takes them from the batch's
 * field "tokens". At most once per record. */
KD_API kd_status kd_store_writer_put_tokens(kd_store_writer *writer, const kd_array *tokens);
KD_API kd_status kd_store_writer_commit(kd_store_writer *writer);
/* Writes the index that makes opening fast, and closes. kd_store_writer_free without it loses only
 * the index. */
KD_API kd_status kd_store_writer_close(kd_store_writer *writer);
KD_API void kd_store_writer_free(kd_store_writer *writer);

/* ---- reading: any number of threads and processes, also while a writer writes ---- */

typedef struct kd_store_open_options {
    uint32_t struct_size;
    /* 1: reads instead of mapping: a file that shrinks under a mapping kills the process */
    int32_t pread;
    int32_t align; /* expected; -1: whatever the store has */
    int32_t reserved;
    /* expected hashes (kd_tokenizer_hash if the library filled them in); NULL: not checked */
    const char *tokenizer;
    const char *chat_template;
    const char *const *tokens; /* the host's vocabulary: compared id by id if the store has one */
    int64_t token_count;
    const int64_t *exceptions; /* ids that may differ */
    int64_t exception_count;
    /* only records of shards whose number is `part` modulo `parts`; of files, by their place among
     * the paths. Each of several ranks then holds its part of the index; a head is found wherever
     * it is */
    int32_t part;
    int32_t parts;
} kd_store_open_options;
#define KD_STORE_OPEN_OPTIONS_INIT                                                                 \
    {                                                                                              \
        (uint32_t)sizeof(kd_store_open_options), 0, -1, 0, NULL, NULL, NULL, 0, NULL, 0, 0, 1      \
    }
KD_API void kd_store_open_options_init(kd_store_open_options *options, size_t size);

/* Opens files or folders of shards as one store.
 * - KD_ERR_MISMATCH: they differ (fields, vocabulary, temperature, alignment, hashes if both have
 *   them); the message says how.
 * - KD_ERR_FORMAT: not a store, or shards and manifest do not match. */
KD_API kd_status kd_store_open(kd_store **out, kd_context *context, const char *const *paths,
                               int32_t count, const kd_store_open_options *options);
KD_API void kd_store_free(kd_store *store);

typedef struct kd_store_info {
    uint32_t struct_size;
    int32_t shards;
    int64_t records;  /* readable: the last committed of each key and view */
    int64_t replaced; /* older ones of the same key and view */
    int64_t positions;
    int64_t bytes;      /* of the files */
    int64_t torn_bytes; /* after the last complete record */
    int64_t damaged;    /* stretches that are not records and were skipped */
    int64_t vocabulary;
    double temperature;
    int32_t align;
    int32_t fields;
} kd_store_info;
KD_API kd_status kd_store_get_info(kd_store *store, kd_store_info *info);
/* The header of the first shard as JSON text; valid while the store lives. */
KD_API kd_status kd_store_header(kd_store *store, const char **json);

typedef struct kd_store_record {
    uint32_t struct_size;
    int32_t shard;
    uint64_t key[2];
    int64_t view, first, positions, bytes, offset;
} kd_store_record;
KD_API kd_status kd_store_get_record(kd_store *store, int64_t record, kd_store_record *info);
/* KD_ERR_NOT_FOUND: no such record. */
KD_API kd_status kd_store_find(kd_store *store, uint64_t key0, uint64_t key1, int64_t view,
                               int64_t *record);
/* Reads all of a record into targets, replacing their contents: one row per position, one sample.
 * The calls below read text, score and seed. KD_ERR_FORMAT names the record whose checksum is
 * wrong. */
KD_API kd_status kd_store_read(kd_store *store, int64_t record, kd_targets *targets);
/* The value of a field of kind text (valid while the store lives, or with pread until the next
 * call), score or seed. */
KD_API kd_status kd_store_text(kd_store *store, int64_t record, const char *field,
                               const char **text, int64_t *bytes);
KD_API kd_status kd_store_number(kd_store *store, int64_t record, const char *field, double *score,
                                 uint64_t *seed);
/* The head as (vocabulary, width) float32: `rotated` 1: as hidden states are read; 0: as it was
 * given. Valid while the store lives. */
KD_API kd_status kd_store_head(kd_store *store, int32_t rotated, kd_array *weight);
/* Undoes the rotation of hidden states read from a store, overwriting them: (rows, width)
 * float32. */
KD_API kd_status kd_store_unrotate(kd_store *store, const char *field, const kd_array *rows);
/* Bytes that a field takes in a record, for statistics. */
KD_API kd_status kd_store_field_bytes(kd_store *store, int64_t record, const char *field,
                                      int64_t *bytes);
/* Picks up what writers have committed since, and shards that the folders' manifests name by now.
 * *added may be NULL. */
KD_API kd_status kd_store_refresh(kd_store *store, int64_t *added);
/* Reads and checks every byte; *bad is the number of damaged records, and the message names the
 * first. */
KD_API kd_status kd_store_verify(kd_store *store, int64_t *bad);
/* Names in the folder's manifest every shard that has records and that it does not name: files that
 * were copied in, or written where files have no locks. Nothing is rewritten. *added (may be NULL):
 * how many. Files that cannot be read as a store are left alone. Since 0.2. */
KD_API kd_status kd_store_adopt(kd_context *context, const char *folder, int64_t *added);
/* Copies the last record of every key and view into one new file: merges shards and drops replaced
 * records. */
KD_API kd_status kd_store_compact(kd_store *store, const char *path);

/* A teacher backed by a store: looked up by key and view. A batch's field "position" ((rows) int64)
 * is each row's position in its sample; without it, a sample's rows begin at position 0.
 * - Positions that were absent when the record was made are absent. Those at or beyond the end of
 *   its sample are KD_ERR_NOT_FOUND (absent with KD_MISSING_ABSENT).
 * - KD_ERR_MISMATCH: the batch's tokens are not the record's; names the key, the position and both
 *   makers.
 * - Records without checksums (older stores, pieces without kd_store_writer_put_tokens) are read
 *   unchecked, with one warning. */
KD_API kd_status kd_teacher_from_store(kd_teacher **out, kd_store *store,
                                       const kd_teacher_options *options);
/* The same in one call: opens path (a file or a folder). */
KD_API kd_status kd_teacher_open(kd_teacher **out, kd_context *context, const char *path,
                                 const kd_teacher_options *options);

#ifdef __cplusplus
}
#endif
#endif
