/* Numbers s_j that make the inputs of 8-bit products even: x_j / s_j meets w_j s_j.
 *   s_j = sqrt(r_j / w_j), of geometric mean 1, within 1/100 .. 100
 * r_j, w_j: root mean squares of input j over rows, and of column j of the weights. What enters
 * queries, keys and values, the gates and the head comes out of norms, and a few channels of it are
 * far louder than the others in every text: random tokens show them.
 * [Xiao et al. 2023, SmoothQuant, eq. 4, alpha 1/2, root mean squares in place of the largest] */
#ifndef KD_TRUNK_SMOOTH_H
#define KD_TRUNK_SMOOTH_H

#include "language/trunk/trunk.h"

enum { KD__INTO_ATTENTION, KD__INTO_FEED_FORWARD, KD__SMOOTHED };
#define KD__SMOOTH_ROWS 64 /* of a text */
#define KD__SMOOTH_TEXTS 4

/* Is a model measured so? Images are not made at random. */
static inline int kd__smooths(const kd__trunk_config *d) { return !d->patches.channels; }
/* Its head? Those of encoders do not read "hidden", but what they make of it. */
static inline int kd__smooths_head(const kd__trunk_config *d)
{
    return kd__smooths(d) && !d->both_sides;
}
/* squares ((L KD__SMOOTHED + 1), d) of 256 random tokens in passes of KD__SMOOTH_ROWS: by layer and
 * product, then of the head. */
kd_status kd__smooth_squares(const kd_model *model, kd__trunk_pass *pass, double **squares);
/* The same where a layer's matrices are there for a while only: the layers in order, each when its
 * matrices are there; run->squares then. `end` after a failure, too. */
typedef struct kd__smooth_run {
    double *squares;
    kd_batch *batches[KD__SMOOTH_TEXTS];
    float *streams;  /* (texts, KD__SMOOTH_ROWS, d): what enters the next layer */
    uint8_t *wanted; /* (slots) */
} kd__smooth_run;
kd_status kd__smooth_begin(kd__smooth_run *run, const kd_model *model, kd__trunk_pass *pass);
kd_status kd__smooth_layer(kd__smooth_run *run, const kd_model *model, kd__trunk_pass *pass,
                           int64_t layer);
void kd__smooth_end(kd__smooth_run *run, kd_context *context);
/* A pass that measures adds what enters a product to its squares. The first row of each text is
 * left out: its stream is a hundred times as large as any other row's. */
void kd__smooth_measure(const kd__trunk_config *config, const kd__trunk_pass *pass, int64_t layer,
                        int product, const float *x);
/* s (inputs) of the weights W (outputs, inputs); columns (inputs): scratch. */
void kd__smooth_numbers(const double *squares, const float *w, int64_t outputs, int64_t inputs,
                        double *columns, float *s);
/* The same in steps: squares of the columns of some rows, from 0 on; then s. */
void kd__smooth_add_columns(const float *w, int64_t rows, int64_t inputs, double *columns);
void kd__smooth_finish(const double *squares, int64_t inputs, double *columns, float *s);

#endif
