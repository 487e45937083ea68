/* Insides of datasets, loaders and batches. */
#ifndef KD_DATA_DATA_H
#define KD_DATA_DATA_H

#include "base/state.h"
#include "base/object.h"
#include "core/data/fields.h"

typedef struct kd__column {
    char name[KD_NAME_BYTES];
    kd_array values; /* contiguous, (samples, ...) */
    int32_t owned;
    double scale, shift;
    /* (channel_count, 2), owned: what a stored number is multiplied by and what is added, in place
     * of scale and shift; 0: none */
    double *channels;
    int64_t channel_count;
    uint8_t *present; /* owned; NULL: every sample */
} kd__column;

struct kd_dataset {
    kd__object object;
    int64_t samples; /* -1 until the first field */
    kd__column *columns;
    int64_t count, room;
    uint64_t *keys; /* (samples, 2), made when first asked for */
};

struct kd_batch {
    kd__object object;
    kd__fields fields;
    int64_t samples;
    int64_t *numbers, *views, *offsets; /* (samples), (samples), (samples + 1) */
    uint64_t *keys;                     /* (samples, 2) */
    int64_t numbers_room, views_room, offsets_room, keys_room;
    int32_t keys_known, numbers_known; /* numbers: a dataset's, or set by the host */
    /* who made the tokens; "": not known */
    char tokenizer[KD_NAME_BYTES], rendering[KD_NAME_BYTES];
    /* whose samples these are; kept alive; NULL: the host's own */
    kd_dataset *dataset;
};

struct kd_loader {
    kd__object object;
    kd_dataset *dataset;
    kd_loader_options options;
    uint64_t seed;
    int64_t batches;         /* in a pass, for this rank */
    int64_t all_batches;     /* for all ranks            */
    int64_t epoch, position; /* pass, batches given out in it */
    int64_t passes;          /* since the last KD_END */
    int64_t *order;
    int64_t order_epoch; /* whose order it is; -1: none yet */
};

/* Adds a column whose block was taken from the context's allocator: the dataset owns it, also when
 * the call fails. It is read as `like` is; NULL: as it is stored. */
kd_status kd__dataset_take(kd_dataset *dataset, const char *name, const kd_array *values,
                           const kd__column *like, const uint8_t *present);
kd_status kd__dataset_keys(kd_dataset *dataset, const uint64_t **keys);
const kd__column *kd__dataset_column(const kd_dataset *dataset, const char *name);
/* How a column is read into a batch: KD_FLOAT32 or KD_INT64. */
int32_t kd__column_dtype(const kd__column *column);
/* (channels, 2) of a field's options, or *out NULL and *count 0: there are none. */
kd_status kd__channels_read(kd_context *context, const kd_array *values,
                            const kd_field_options *options, double **out, int64_t *count);
kd_status kd__channels_copy(kd_context *context, const kd__column *column, double **out);
int kd__channels_equal(const kd__column *a, const kd__column *b);
/* `row` stored numbers of one sample, as float32. */
void kd__column_read(const kd__column *column, const void *from, int64_t row, float *to);
/* What a stored 0 becomes. */
double kd__column_zero(const kd__column *column, int64_t channel);
/* Begins a batch of `samples` one-row samples of a dataset (may be NULL), in order, without
 * fields. */
kd_status kd__batch_begin(kd_batch *batch, kd_dataset *dataset, int64_t samples);
/* What a model reads: a field of rows, or an error that names it. */
kd_status kd__batch_input(const kd_batch *batch, const char *field, kd_array *values);
/* A field of one integer a row; NULL when the batch has none. KD_ERR_DTYPE: it is not of
 * integers. */
kd_status kd__batch_integers(const kd_batch *batch, const char *field, const int64_t **values);
/* The field "tokens" where it holds one a row, else NULL. */
const int64_t *kd__batch_tokens(const kd_batch *batch);
kd_status kd__batch_keys(kd_batch *batch, const uint64_t **keys);
/* Fills a batch with samples first .. first + count - 1, not augmented. */
kd_status kd__batch_range(kd_batch *batch, kd_dataset *dataset, int64_t first, int64_t count);
/* Fills the fields for batch->numbers. */
kd_status kd__batch_gather(kd_batch *batch, kd_dataset *dataset);

kd_status kd__loader_save(kd_loader *loader, kd__text *state);
/* Reads and checks; applies only when apply is 1. */
kd_status kd__loader_restore(kd_loader *loader, kd__state_reader *reader, int apply);

#endif
