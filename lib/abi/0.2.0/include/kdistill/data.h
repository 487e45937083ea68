/* kdistill/data.h - datasets, loaders, batches.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_dataset_load_idx(&dataset, context, "mnist", "train", NULL);
 *   2.  kd_loader_create(&loader, dataset, &options);
 *   3.  kd_batch_create(&batch, context, NULL);
 *   4.  while (kd_loader_next(loader, batch) == KD_OK) train(batch);
 *
 * A dataset is named fields over N samples ("inputs", "label", "weight", ...). A loader delivers
 * them in batches. A batch is named fields over S samples and R rows. For images and vectors, a row
 * is a sample; a packed text is a sample with a row for each of its tokens, and fields are of rows
 * (tokens) or of samples (a text's label). Losses count rows, or samples where they compare an
 * output of samples. Every sample has a 128-bit key and a view number (0: as stored, else 1 + the
 * epoch whose random augmentation made it).
 *
 * A key identifies a sample by its content, whatever is made of it later:
 * - a dataset's sample: MurmurHash3 x64 128 (seed 0) of the stored bytes of its first field;
 * - a packer's sample: the key of its record (of the texts);
 * - a text of kd_batch_begin_texts (kdistill/align.h): the key of its tokens;
 * - a host's sample: what the host sets (kd_store_key of tokens or bytes).
 * Two renderings of one record have the same key; that a teacher's answer belongs to the same
 * tokens is checked separately (kdistill/store.h). */
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

/* ---- dataset ---- */

typedef struct kd_dataset_options {
    uint32_t struct_size;
    int32_t reserved;
} kd_dataset_options;
#define KD_DATASET_OPTIONS_INIT                                                                    \
    {                                                                                              \
        (uint32_t)sizeof(kd_dataset_options), 0                                                    \
    }
KD_API void kd_dataset_options_init(kd_dataset_options *options, size_t size);

/* How a field is read into a batch: float32 value = stored * scale + shift; then, where there are
 * channel_scale and channel_shift, times the one and plus the other of its channel. Integer fields
 * with scale 1, shift 0 and neither whose name is not "inputs" stay integers (labels). */
typedef struct kd_field_options {
    uint32_t struct_size;
    int32_t reserved;
    double scale;
    double shift;
    /* (samples) uint8, 0: this sample lacks the field; NULL: all have it */
    const kd_array *present;
    /* A number for each channel: (dims[1]) of the field, (1) where it is (samples, height, width)
     * or (samples); copied. For mean m and deviation d: 1 / d and -m / d, as torchvision's
     * Normalize. NULL: 1 and 0. */
    const kd_array *channel_scale;
    const kd_array *channel_shift;
} kd_field_options;
#define KD_FIELD_OPTIONS_INIT                                                                      \
    {                                                                                              \
        (uint32_t)sizeof(kd_field_options), 0, 1.0, 0.0, NULL, NULL, NULL                          \
    }
KD_API void kd_field_options_init(kd_field_options *options, size_t size);

/* An empty dataset; the first field fixes the number of samples. */
KD_API kd_status kd_dataset_create(kd_dataset **out, kd_context *context,
                                   const kd_dataset_options *options);
KD_API void kd_dataset_free(kd_dataset *dataset);

/* Adds a field from an array (samples, ...): any dtype but float16 and bfloat16, any strides;
 * copied. The borrow form keeps the pointer: contiguous, alive and unchanged until the dataset is
 * freed.
 * - KD_ERR_SHAPE: another number of samples; channel_scale of another number of channels.
 * - KD_ERR_INVALID: the name is taken, empty or too long. */
KD_API kd_status kd_dataset_add(kd_dataset *dataset, const char *name, const kd_array *values,
                                const kd_field_options *options);
KD_API kd_status kd_dataset_borrow(kd_dataset *dataset, const char *name, const kd_array *values,
                                   const kd_field_options *options);

/* Adds a field from an IDX or npy file (C or Fortran order), plain or gzip; the first bytes decide
 * the format. Errors, besides those of kd_dataset_add:
 * - KD_ERR_NOT_FOUND, KD_ERR_IO
 * - KD_ERR_FORMAT: truncated, or sizes that do not match the file. */
KD_API kd_status kd_dataset_add_file(kd_dataset *dataset, const char *name, const char *path,
                                     const kd_field_options *options);

/* Loads a folder of IDX files with MNIST's names: <part>-images-idx3-ubyte[.gz] as "inputs" (scaled
 * to 0..1) and <part>-labels-idx1-ubyte[.gz] as "label". part: "train" or "t10k". */
KD_API kd_status kd_dataset_load_idx(kd_dataset **out, kd_context *context, const char *folder,
                                     const char *part, const kd_dataset_options *options);

typedef struct kd_csv_options {
    uint32_t struct_size;
    int32_t separator;    /* a character code; ',' */
    int32_t header;       /* 1: the first line holds names */
    int32_t label_column; /* column of the integer label; -1: the last, -2: no label */
} kd_csv_options;
#define KD_CSV_OPTIONS_INIT                                                                        \
    {                                                                                              \
        (uint32_t)sizeof(kd_csv_options), ',', 1, -1                                               \
    }
KD_API void kd_csv_options_init(kd_csv_options *options, size_t size);

/* Loads numbers from a CSV file (RFC 4180, plain or gzip): "inputs" (samples, columns) float32 and
 * "label" int64.
 * - An empty cell is NaN; an empty label means that the sample has none.
 * - A number beyond float32 is KD_ERR_FORMAT. A first line of numbers alone that is taken as names
 *   gives a warning.
 * - Empty lines are skipped, unless there is only one column.
 * - KD_ERR_FORMAT names the line and column of what is not a number, and lines with another number
 *   of columns. */
KD_API kd_status kd_dataset_load_csv(kd_dataset **out, kd_context *context, const char *path,
                                     const kd_csv_options *options);

/* New dataset of the samples with the given numbers ((n) int64, repeats allowed). Fields are
 * copied. */
KD_API kd_status kd_dataset_select(kd_dataset **out, kd_dataset *dataset, const kd_array *indices);

/* New dataset of all samples of `parts`, in order. Fields are joined by name and must agree in
 * dtype, shape, scale and shift, those of channels too. A field that a part lacks is absent there,
 * so a labeled and an unlabeled part make one dataset. */
KD_API kd_status kd_dataset_concat(kd_dataset **out, kd_dataset *const *parts, int32_t count);

/* Facts. A field's view has the values as stored, before scale and shift, and stays valid until the
 * dataset is freed. `present` (may be NULL) is (samples) uint8, with data NULL if every sample has
 * the field. KD_ERR_NOT_FOUND: unknown name. */
KD_API kd_status kd_dataset_sample_count(kd_dataset *dataset, int64_t *samples);
KD_API kd_status kd_dataset_field_count(kd_dataset *dataset, int32_t *count);
KD_API kd_status kd_dataset_field_name(kd_dataset *dataset, int32_t index, const char **name);
KD_API kd_status kd_dataset_field(kd_dataset *dataset, const char *name, kd_array *values,
                                  kd_array *present);
/* The key of a sample: two 64-bit words. */
KD_API kd_status kd_dataset_key(kd_dataset *dataset, int64_t sample, uint64_t key[2]);

typedef struct kd_pseudo_label_options {
    uint32_t struct_size;
    int32_t batch_size;
    double threshold;  /* samples whose highest probability is lower are dropped */
    int64_t per_class; /* at most this many per class, the most confident first; 0: no limit */
    int32_t balance;   /* 1: every class gets as many as the rarest (or per_class) */
    int32_t reserved;
    const char *field; /* the teacher's field with logits; NULL: "logits" */
} kd_pseudo_label_options;
#define KD_PSEUDO_LABEL_OPTIONS_INIT                                                               \
    {                                                                                              \
        (uint32_t)sizeof(kd_pseudo_label_options), 256, 0.0, 0, 0, 0, NULL                         \
    }
KD_API void kd_pseudo_label_options_init(kd_pseudo_label_options *options, size_t size);

typedef struct kd_pseudo_label_counts {
    uint32_t struct_size;
    int32_t classes;
    int64_t seen;            /* samples examined */
    int64_t below_threshold; /* dropped by confidence */
    int64_t over_balance;    /* dropped by per_class or balance */
    int64_t without_teacher; /* dropped: the teacher has no answer for them */
    int64_t kept;
} kd_pseudo_label_counts;

/* New dataset of the samples that the teacher labels with enough confidence, in order: the fields
 * of `dataset`, with "label" replaced by the teacher's argmax, and "confidence" (float32), its
 * probability. counts may be NULL. */
KD_API kd_status kd_dataset_pseudo_label(kd_dataset **out, kd_dataset *dataset, kd_teacher *teacher,
                                         const kd_pseudo_label_options *options,
                                         kd_pseudo_label_counts *counts);

/* ---- loader ---- */

typedef struct kd_loader_options {
    uint32_t struct_size;
    int32_t batch_size; /* samples per batch, at least 1 */
    int32_t epochs;     /* KD_END comes after this many passes, at least 1 */
    int32_t shuffle;    /* 1: a new order each epoch, from (seed, epoch) */
    int32_t drop_last;  /* 1: no batch smaller than batch_size */
    int32_t shift;      /* images move by up to this many pixels each way, filled with a stored 0 */
    int32_t flip;       /* 1: images are mirrored left to right with probability 1/2 */
    int32_t rank;       /* this process, out of `ranks`; each gets every ranks-th batch */
    int32_t ranks;
    int32_t reserved;
    uint64_t seed; /* 0: the context's */
    /* batches of a pass that cannot be split evenly. 0: the last ones, up to ranks - 1, are dropped
     * in this pass; 1: ranks that get none of them get a batch without samples, so that all ranks
     * take the same number of steps and every sample is used once */
    int32_t uneven;
    int32_t unused;
} kd_loader_options;
#define KD_LOADER_OPTIONS_INIT                                                                     \
    {                                                                                              \
        (uint32_t)sizeof(kd_loader_options), 128, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0                  \
    }
KD_API void kd_loader_options_init(kd_loader_options *options, size_t size);

/* A loader over a dataset. Augmentation moves the last two axes of "inputs" (rank 3: N,H,W or 4:
 * N,C,H,W) and depends on (seed, sample, epoch) alone. Errors: KD_ERR_RANGE, KD_ERR_SHAPE
 * (augmentation of something that is not an image). */
KD_API kd_status kd_loader_create(kd_loader **out, kd_dataset *dataset,
                                  const kd_loader_options *options);
KD_API void kd_loader_free(kd_loader *loader);

/* Fills `batch` with the next samples. Returns KD_OK, or KD_END after `epochs` passes; the call
 * after KD_END starts the next pass. */
KD_API kd_status kd_loader_next(kd_loader *loader, kd_batch *batch);

/* Where the loader is: passes started before this one, samples delivered in this one to all ranks,
 * and batches of this rank per pass. A checkpoint keeps the samples delivered to all ranks. Another
 * number of ranks or another batch size can resume from it if that is a whole number of their
 * rounds; else KD_ERR_MISMATCH. */
KD_API kd_status kd_loader_position(kd_loader *loader, int64_t *epoch, int64_t *sample,
                                    int64_t *batches);
/* Goes to the beginning of a pass. */
KD_API kd_status kd_loader_seek(kd_loader *loader, int64_t epoch);

/* ---- batch ---- */

typedef struct kd_batch_options {
    uint32_t struct_size;
    int32_t reserved;
} kd_batch_options;
#define KD_BATCH_OPTIONS_INIT                                                                      \
    {                                                                                              \
        (uint32_t)sizeof(kd_batch_options), 0                                                      \
    }
KD_API void kd_batch_options_init(kd_batch_options *options, size_t size);

/* An empty batch, to be filled by a loader, by the host with kd_batch_set, or with texts: by
 * kd_batch_begin_texts (kdistill/align.h) or a packer. */
KD_API kd_status kd_batch_create(kd_batch **out, kd_context *context,
                                 const kd_batch_options *options);
KD_API void kd_batch_free(kd_batch *batch);

/* Starts a batch of the host: `samples` samples of one row each. Fields, keys and presence are
 * cleared. */
KD_API kd_status kd_batch_begin(kd_batch *batch, int64_t samples);

/* The same for packed sequences: sample i has the rows offsets[i] .. offsets[i + 1] - 1; (samples +
 * 1) integers, starting at 0 and never decreasing. Fields have one entry per row. A batch without
 * rows is an empty one for every model and loss, whatever fields of samples it has: where the texts
 * beside images may all be empty, give each one token at least. */
KD_API kd_status kd_batch_begin_packed(kd_batch *batch, const kd_array *offsets);

/* Sets a field (rows, ...) from the host's array, copied as float32 or int64; `present` ((rows)
 * uint8) may be NULL. The borrow form keeps the pointers until the next kd_batch_begin: contiguous
 * float32 or int64. */
KD_API kd_status kd_batch_set(kd_batch *batch, const char *name, const kd_array *values,
                              const kd_array *present);
KD_API kd_status kd_batch_borrow(kd_batch *batch, const char *name, const kd_array *values,
                                 const kd_array *present);

/* Sets a field (samples, ...): a text's label, its group, its picture; `present` is (samples) uint8
 * or NULL. Copied as kd_batch_set does. Since 0.2.
 * - Where each sample has one row, it is the same as kd_batch_set.
 * - Labels and teachers of a term are of the unit of its output; a mask or weight of samples also
 *   serves outputs of rows: each row takes its sample's (kdistill/loss.h). */
KD_API kd_status kd_batch_set_per_sample(kd_batch *batch, const char *name, const kd_array *values,
                                         const kd_array *present);
/* Sets a field with its own rows, as speech frames beside tokens: values (its rows, ...), of
 * which sample i has offsets[i] .. offsets[i + 1] - 1. offsets: (samples + 1) integers, starting at
 * 0, never decreasing, the last one the number of its rows. `present` as above. Copied. Since 0.2.
 * KD_ERR_RANGE, KD_ERR_SHAPE: offsets that are not so. */
KD_API kd_status kd_batch_set_ragged(kd_batch *batch, const char *name, const kd_array *values,
                                     const kd_array *offsets, const kd_array *present);

/* Views of the batch, valid until it is filled again. data of `present` (may be NULL) is NULL if
 * every row (or sample) has the field. */
KD_API kd_status kd_batch_field(kd_batch *batch, const char *name, kd_array *values,
                                kd_array *present);
/* The offsets of a field of kd_batch_set_ragged: (samples + 1) int64. KD_ERR_INVALID: the field has
 * no offsets. Since 0.2. */
KD_API kd_status kd_batch_field_offsets(kd_batch *batch, const char *name, kd_array *offsets);
KD_API kd_status kd_batch_get_counts(kd_batch *batch, int64_t *samples, int64_t *rows);
/* First row of each sample, and the number of rows at the end: (samples + 1) int64. */
KD_API kd_status kd_batch_offsets(kd_batch *batch, kd_array *offsets);
/* The samples' numbers in the dataset ((samples) int64), keys ((samples, 2) uint64) and views
 * ((samples) int64). Any of the three may be NULL. Without a loader: 0, 1, 2 ..., keys 0 and views
 * 0. */
KD_API kd_status kd_batch_samples(kd_batch *batch, kd_array *numbers, kd_array *keys,
                                  kd_array *views);
/* Who made a batch's tokens: a hash of the tokenizer (kd_tokenizer_hash) and how texts were
 * rendered, both shorter than KD_NAME_BYTES; "": unknown. A packer sets them, a store keeps those
 * of its first batch, and messages name both. Valid until the batch begins again, so set them after
 * that. Either may be NULL. Since 0.2. */
KD_API kd_status kd_batch_origin(kd_batch *batch, const char **tokenizer, const char **rendering);
KD_API kd_status kd_batch_set_origin(kd_batch *batch, const char *tokenizer, const char *rendering);
/* Gives the host's batch its sample numbers, keys and views; each may be NULL (unchanged).
 * Copied. */
KD_API kd_status kd_batch_set_samples(kd_batch *batch, const kd_array *numbers,
                                      const kd_array *keys, const kd_array *views);

#ifdef __cplusplus
}
#endif
#endif
