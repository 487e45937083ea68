/* kdistill/data.h - datasets, loaders, batches.   SPDX-License-Identifier: Apache-2.0
 *
 * A dataset is named fields over N samples ("inputs", "label", "weight", ...). A loader gives them out in batches.
 * A batch is named fields over S samples and R rows; a row is what a loss is counted over. For images and vectors
 * a row is a sample. Every sample has a 128-bit key, the MurmurHash3 x64 128 (seed 0) of the bytes of its first field
 * as stored, and a view number (0: as stored, else 1 + the epoch whose random augmentation made it).                  */
#ifndef KDISTILL_DATA_H
#define KDISTILL_DATA_H

#include <kdistill/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_dataset kd_dataset;
typedef struct kd_loader kd_loader;
typedef struct kd_batch kd_batch;
typedef struct kd_teacher kd_teacher; /* kdistill/teacher.h */

#define KD_MAX_NAME 64 /* longest name of a field, output or tensor, the end mark included */

/* ---- dataset ---- */

typedef struct kd_dataset_options {
    uint32_t struct_size;
    int32_t reserved;
} kd_dataset_options;
#define KD_DATASET_OPTIONS_INIT { (uint32_t)sizeof(kd_dataset_options), 0 }
KD_API void kd_dataset_options_init(kd_dataset_options *options, size_t size);

/* How a field is read into a batch: float32 value = stored * scale + shift. Integer fields with scale 1 and shift 0
 * whose name is not "inputs" stay integers (labels).                                                               */
typedef struct kd_field_options {
    uint32_t struct_size;
    int32_t reserved;
    double scale;
    double shift;
    const kd_array *present; /* (samples) uint8, 0: this sample has no such field; NULL: all have it */
} kd_field_options;
#define KD_FIELD_OPTIONS_INIT { (uint32_t)sizeof(kd_field_options), 0, 1.0, 0.0, NULL }
KD_API void kd_field_options_init(kd_field_options *options, size_t size);

/* An empty dataset; the first field fixes the number of samples. */
KD_API kd_status kd_dataset_create(kd_dataset **out, kd_context *context, const kd_dataset_options *options);
KD_API void kd_dataset_free(kd_dataset *dataset);

/* Adds a field from an array (samples, ...): any dtype but float16 and bfloat16, any strides; copied.
 * The borrow form keeps the pointer: contiguous, alive and unchanged until the dataset is freed.
 * Errors: KD_ERR_SHAPE (other number of samples), KD_ERR_INVALID (name taken, empty or too long).   */
KD_API kd_status kd_dataset_add(kd_dataset *dataset, const char *name, const kd_array *values, const kd_field_options *options);
KD_API kd_status kd_dataset_borrow(kd_dataset *dataset, const char *name, const kd_array *values, const kd_field_options *options);

/* Adds a field from an IDX or npy file, plain or gzip; the format is told by its first bytes.
 * Errors: KD_ERR_NOT_FOUND, KD_ERR_IO, KD_ERR_FORMAT (truncated, sizes that lie), as kd_dataset_add otherwise. */
KD_API kd_status kd_dataset_add_file(kd_dataset *dataset, const char *name, const char *path, const kd_field_options *options);

/* Loads a folder of IDX files as MNIST names them: <part>-images-idx3-ubyte[.gz] as "inputs" (scaled to 0..1) and
 * <part>-labels-idx1-ubyte[.gz] as "label". part: "train" or "t10k".                                             */
KD_API kd_status kd_dataset_load_idx(kd_dataset **out, kd_context *context, const char *folder, const char *part,
                                     const kd_dataset_options *options);

typedef struct kd_csv_options {
    uint32_t struct_size;
    int32_t separator;    /* a character code; ','                                     */
    int32_t header;       /* 1: the first line holds names                             */
    int32_t label_column; /* column of the integer label; -1: last, -2: no label       */
} kd_csv_options;
#define KD_CSV_OPTIONS_INIT { (uint32_t)sizeof(kd_csv_options), ',', 1, -1 }
KD_API void kd_csv_options_init(kd_csv_options *options, size_t size);

/* Loads numbers from a CSV file (RFC 4180, plain or gzip): "inputs" (samples, columns) float32 and "label" int64. An empty
 * label means that the sample has none. KD_ERR_FORMAT names the line and column of what is not a number.                */
KD_API kd_status kd_dataset_load_csv(kd_dataset **out, kd_context *context, const char *path, const kd_csv_options *options);

/* New dataset of the samples whose numbers are given ((n) int64, repeats allowed). The fields are copied. */
KD_API kd_status kd_dataset_select(kd_dataset **out, kd_dataset *dataset, const kd_array *indices);

/* New dataset of all samples of `parts` in order. Fields are joined by name and must agree in dtype, shape, scale and
 * shift; a part without a field leaves it absent there: a labelled and an unlabelled part become one dataset.         */
KD_API kd_status kd_dataset_concat(kd_dataset **out, kd_dataset *const *parts, int32_t count);

/* Facts. A field's view stays valid until the dataset is freed or gets another field of the same name.
 * `present` is (samples) uint8, data NULL when every sample has the field. KD_ERR_NOT_FOUND for an unknown name. */
KD_API kd_status kd_dataset_samples(kd_dataset *dataset, int64_t *samples);
KD_API kd_status kd_dataset_fields(kd_dataset *dataset, int32_t *count);
KD_API kd_status kd_dataset_field_name(kd_dataset *dataset, int32_t index, const char **name);
KD_API kd_status kd_dataset_field(kd_dataset *dataset, const char *name, kd_array *values, kd_array *present);
/* The key of a sample: two 64-bit words. */
KD_API kd_status kd_dataset_key(kd_dataset *dataset, int64_t sample, uint64_t key[2]);

typedef struct kd_pseudo_label_options {
    uint32_t struct_size;
    int32_t batch_size;
    double threshold;    /* samples whose highest probability is below it are dropped          */
    int64_t per_class;   /* at most so many a class, the most confident first; 0: no limit      */
    int32_t balance;     /* 1: every class gets as many as the rarest one has (or per_class)    */
    int32_t reserved;
    const char *field;   /* teacher's field with logits; NULL: "logits"                         */
} kd_pseudo_label_options;
#define KD_PSEUDO_LABEL_OPTIONS_INIT { (uint32_t)sizeof(kd_pseudo_label_options), 256, 0.0, 0, 0, 0, NULL }
KD_API void kd_pseudo_label_options_init(kd_pseudo_label_options *options, size_t size);

typedef struct kd_pseudo_label_counts {
    uint32_t struct_size;
    int32_t classes;
    int64_t came;            /* samples looked at                     */
    int64_t below_threshold; /* dropped by confidence                 */
    int64_t over_balance;    /* dropped by per_class or balance       */
    int64_t without_teacher; /* dropped: the teacher knows them not   */
    int64_t kept;
} kd_pseudo_label_counts;

/* New dataset of the samples that the teacher labels with enough confidence: the fields of `dataset` but for "label",
 * which holds the teacher's argmax, and "confidence" (float32), its probability. The order is kept. counts may be NULL. */
KD_API kd_status kd_dataset_pseudo_label(kd_dataset **out, kd_dataset *dataset, kd_teacher *teacher,
                                         const kd_pseudo_label_options *options, kd_pseudo_label_counts *counts);

/* ---- loader ---- */

typedef struct kd_loader_options {
    uint32_t struct_size;
    int32_t batch_size;   /* samples a batch, at least 1                                               */
    int32_t epochs;       /* KD_END comes after so many passes, at least 1                             */
    int32_t shuffle;      /* 1: a new order each epoch, from (seed, epoch)                             */
    int32_t drop_last;    /* 1: no batch smaller than batch_size                                       */
    int32_t shift;        /* images are moved by up to so many pixels each way, filled with 0 as stored */
    int32_t flip;         /* 1: images are mirrored left to right with probability 1/2                 */
    int32_t rank;         /* this process of `ranks`; each gets every ranks-th batch                   */
    int32_t ranks;
    int32_t reserved;
    uint64_t seed;        /* 0: the context's */
} kd_loader_options;
#define KD_LOADER_OPTIONS_INIT { (uint32_t)sizeof(kd_loader_options), 128, 1, 1, 0, 0, 0, 0, 1, 0, 0 }
KD_API void kd_loader_options_init(kd_loader_options *options, size_t size);

/* A loader over a dataset. Augmentation moves the last two axes of "inputs" (rank 3: N,H,W or 4: N,C,H,W) and depends
 * on (seed, sample, epoch) alone. Errors: KD_ERR_RANGE, KD_ERR_SHAPE (augmentation of what is no image).            */
KD_API kd_status kd_loader_create(kd_loader **out, kd_dataset *dataset, const kd_loader_options *options);
KD_API void kd_loader_free(kd_loader *loader);

/* Fills `batch` with the next samples. KD_OK, or KD_END after `epochs` passes; the call after KD_END begins the next pass. */
KD_API kd_status kd_loader_next(kd_loader *loader, kd_batch *batch);

/* Where the loader stands: passes begun before this one, samples given out in this one, batches in a pass. */
KD_API kd_status kd_loader_position(kd_loader *loader, int64_t *epoch, int64_t *sample, int64_t *batches);
/* Goes to the beginning of a pass. */
KD_API kd_status kd_loader_seek(kd_loader *loader, int64_t epoch);

/* ---- batch ---- */

typedef struct kd_batch_options {
    uint32_t struct_size;
    int32_t reserved;
} kd_batch_options;
#define KD_BATCH_OPTIONS_INIT { (uint32_t)sizeof(kd_batch_options), 0 }
KD_API void kd_batch_options_init(kd_batch_options *options, size_t size);

/* An empty batch. It is filled by a loader, or by the host with kd_batch_set. */
KD_API kd_status kd_batch_create(kd_batch **out, kd_context *context, const kd_batch_options *options);
KD_API void kd_batch_free(kd_batch *batch);

/* Starts a batch of the host's own: `samples` samples of one row each; fields, keys and presence are forgotten. */
KD_API kd_status kd_batch_begin(kd_batch *batch, int64_t samples);

/* The same for packed sequences: sample i has the rows offsets[i] .. offsets[i + 1] - 1; (samples + 1) integers from 0, never
 * falling. Fields have one entry a row.                                                                                      */
KD_API kd_status kd_batch_begin_packed(kd_batch *batch, const kd_array *offsets);

/* Sets a field (rows, ...) from the host's array, copied as float32 or int64; `present` ((rows) uint8) may be NULL.
 * The borrow form keeps the pointers until the batch begins anew: contiguous float32 or int64.                     */
KD_API kd_status kd_batch_set(kd_batch *batch, const char *name, const kd_array *values, const kd_array *present);
KD_API kd_status kd_batch_borrow(kd_batch *batch, const char *name, const kd_array *values, const kd_array *present);

/* Views of what the batch holds, valid until it is filled again. data of `present` is NULL when every row has it. */
KD_API kd_status kd_batch_field(kd_batch *batch, const char *name, kd_array *values, kd_array *present);
KD_API kd_status kd_batch_size(kd_batch *batch, int64_t *samples, int64_t *rows);
/* First row of each sample and the number of rows at the end: (samples + 1) int64. */
KD_API kd_status kd_batch_offsets(kd_batch *batch, kd_array *offsets);
/* Samples' numbers in the dataset ((samples) int64), keys ((samples, 2) uint64) and views ((samples) int64).
 * Any of the three may be NULL. Without a loader: 0, 1, 2 ..., keys 0 and views 0.                          */
KD_API kd_status kd_batch_samples(kd_batch *batch, kd_array *numbers, kd_array *keys, kd_array *views);
/* Gives the host's own batch its sample numbers, keys and views; each may be NULL (unchanged). Copied. */
KD_API kd_status kd_batch_set_samples(kd_batch *batch, const kd_array *numbers, const kd_array *keys, const kd_array *views);

#ifdef __cplusplus
}
#endif
#endif
