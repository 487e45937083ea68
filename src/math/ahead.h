/* Memory that will be read next comes while sums are made: a tile of a product fetches a cache line
 * every few steps (one of few rows every step), so that it waits for none. All at once they would
 * wait for each other. */
#ifndef KD_MATH_AHEAD_H
#define KD_MATH_AHEAD_H

#include <stdint.h>

#define KD__AHEAD_STEPS 4 /* of a tile's sums for each line */

/* `rows` lines that lie `step` floats apart, and beside them the next column of lines, `columns` in
 * all. */
typedef struct kd__ahead {
    const float *at;
    int64_t step, rows, columns;
} kd__ahead;

typedef struct {
    const float *at, *column;
    int64_t step, rows, row, left;
} kd__fetching;

static inline kd__fetching kd__fetch_begin(const kd__ahead *ahead)
{
    if (!ahead) return (kd__fetching){ 0 };
    return (kd__fetching){ ahead->at,   ahead->at, ahead->step,
                           ahead->rows, 0,         ahead->rows * ahead->columns };
}

static inline void kd__fetch_line(kd__fetching *f)
{
    if (f->left <= 0) return;
    __builtin_prefetch(f->at, 0, 2);
    f->left--;
    f->at += f->step;
    if (++f->row < f->rows) return;
    f->row = 0;
    f->column += 16;
    f->at = f->column;
}

#endif
