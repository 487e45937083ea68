/* Chunks of a batch put together: outputs that terms compare, and the fields that these terms
 * read. */
#ifndef KD_LOSS_WHOLE_BATCH_H
#define KD_LOSS_WHOLE_BATCH_H

#include "core/loss/loss.h"

typedef struct kd__whole_output {
    int32_t is_used, unit;    /* KD_UNIT_OF_ROW .. */
    int64_t width, shape[3];  /* of maps; 0: none */
    int64_t grid;             /* rows inside each sample; 0: none */
    float *values, *gradient; /* (entries, width) */
    uint8_t *present;         /* (entries): which of them are there; NULL: all */
} kd__whole_output;

typedef struct kd__whole {
    kd_loss *loss;
    kd_context *context;
    uint64_t terms; /* a bit each */
    kd_batch *batch;
    kd_targets *targets;
    int32_t count, by_samples;         /* by_samples 1: a chunk of samples without rows counts */
    int64_t *first_row, *first_sample; /* (count + 1): of each chunk */
    kd__whole_output output[KD__MOST_OUTPUTS];
} kd__whole;

/* The fields of all chunks, some of which have rows, and which outputs the terms compare; room for
 * these comes with the first chunk. */
kd_status kd__whole_begin(kd__whole *whole, kd_loss *loss, uint64_t terms, kd_model *model,
                          kd_batch *const *chunks, kd_targets *const *targets, int32_t count);
static inline int kd__whole_has(const kd__whole *whole, int32_t output)
{
    return whole->output[output].is_used;
}
/* A chunk's outputs, after its pass. */
kd_status kd__whole_take(kd__whole *whole, kd_model *model, int32_t chunk);
/* The outputs as students of the whole batch, with gradients; how many there are. */
int32_t kd__whole_students(const kd__whole *whole, kd__student *students);
/* A chunk's rows of the gradients are added to its students'. */
void kd__whole_give(const kd__whole *whole, int32_t chunk, const kd__student *students);
void kd__whole_free(kd__whole *whole);

#endif
