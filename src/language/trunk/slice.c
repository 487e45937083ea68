/* Rows and columns of a matrix. */
#include "language/trunk/slice.h"

#include "language/trunk/trunk.h"

void kd__slice_tensor(kd_model *student, int32_t to, const kd_model *teacher, int32_t from,
                      const int32_t *rows, const int32_t *columns)
{
    if (to < 0 || from < 0) return;
    const kd__tensor *a = &student->net.tensors[to], *b = &teacher->net.tensors[from];
    float *y = kd__tensor_values(student, to);
    const float *x = kd__tensor_values(teacher, from);
    const int64_t wide = a->rank == 2 ? a->dims[1] : 1, old = b->rank == 2 ? b->dims[1] : 1;
    for (int64_t i = 0; i < a->dims[0]; i++)
        for (int64_t j = 0; j < wide; j++)
            y[i * wide + j] =
                x[(rows ? rows[i] : i) * old + (columns && a->rank == 2 ? columns[j] : j)];
}
