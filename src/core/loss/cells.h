/* Skipping: cells of a block's gradient without an entry above a threshold stay out of the two
 * products with it. In a cell's place stands, for the product with the hidden states, its
 * projection on one direction over its rows (the same for all cells of these rows), and for the
 * product with the head its rows' means: sums of numbers of one sign, which are most of what is
 * small, are kept. */
#ifndef KD_LOSS_CELLS_H
#define KD_LOSS_CELLS_H

#include "math/gemm.h"

typedef struct kd__cells {
    kd_context *context;
    int64_t classes, width, across; /* across: cells of classes */
    float threshold;
    const float *z; /* the gradient (rows, classes) of the block at hand */
    int64_t z_step;
    int64_t rows;
    const float *hidden; /* its hidden states */
    int64_t hidden_step;
    uint8_t *active; /* (row cells, across): 1, multiplied as it is */
    float *sums;     /* (rows, across): of a row's numbers in a cell that is off; 0 in others */
    float *means;    /* (across, width): the head's rows of a cell of classes, their mean */
    float *weights;  /* (rows): the direction, of length 1 for each cell of rows */
    float *columns;  /* (row cells, classes): weights times the numbers of cells that are off */
    float *states;   /* (row cells, width): weights times hidden states */
    /* (rows, 2): of what no stand-in has, squares for the product with the hidden states, sizes for
     * that with the head */
    double *left;
    double cells, skipped, squares, row_sizes;
} kd__cells;

/* Floats that blocks of so many rows take. */
int64_t kd__cells_room(int64_t rows, int64_t classes, int64_t width);
void kd__cells_lay_out(kd__cells *c, float *room, int64_t rows);
/* Once for all blocks: the means. weight: (classes, width). */
void kd__cells_head(kd__cells *c, const float *weight);
/* Which cells of a block are off, and what stands in for them. */
void kd__cells_mark(kd__cells *c, const float *z, int64_t z_step, int64_t rows, const float *hidden,
                    int64_t hidden_step);
/* The products: with the head's rows from class `first` on (a multiple of KD__CELL), and with the
 * hidden states. */
kd_status kd__cells_times_head(const kd__cells *c, const kd__gemm *product, int64_t first);
kd_status kd__cells_times_hidden(const kd__cells *c, const kd__gemm *product);

#endif
