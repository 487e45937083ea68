/* Rows and columns of a matrix. */
#include "language/trunk/slice.h"

#include "language/trunk/trunk.h"

/* A table of one entry, (1, rows, columns), has its rows inside. */
static int64_t rows_of(const kd__tensor *t) { return t->dims[t->rank == 3]; }

void kd__slice_tensor(kd_model *student, int32_t to, const kd_model *teacher, int32_t from,
                      const int32_t *rows, const int32_t *columns)
{
    if (to < 0 || from < 0) return;
    const kd__tensor *a = &student->net.tensors[to], *b = &teacher->net.tensors[from];
    float *y = kd__tensor_values(student, to);
    const float *x = kd__tensor_values(teacher, from);
    const int64_t count = rows_of(a), wide = a->count / count, old = b->count / rows_of(b);
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < wide; j++)
            y[i * wide + j] =
                x[(rows ? rows[i] : i) * old + (columns && a->rank > 1 ? columns[j] : j)];
}
