/* Tensors of a student, cut out of its teacher's. */
#ifndef KD_TRUNK_SLICE_H
#define KD_TRUNK_SLICE_H

#include "core/model/model.h"

/* The student's tensor becomes rows (or numbers) and columns of the teacher's: one index for each
 * that the student has; NULL: the first ones. A tensor of -1: nothing is done. */
void kd__slice_tensor(kd_model *student, int32_t to, const kd_model *teacher, int32_t from,
                      const int32_t *rows, const int32_t *columns);

#endif
