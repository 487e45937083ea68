/* Rows that a head is multiplied with. Legend in head_rows.h. */
#include "core/loss/head_rows.h"

#include <string.h>

static int is_valid(const kd__pass *w, int64_t row)
{
    for (int32_t i = 0; i < w->count; i++)
        if (w->loss->sources[w->terms[i]].state[row] == KD__ROW_VALID) return 1;
    return 0;
}

int64_t kd__head_rows(const kd__pass *w, int64_t *rows)
{
    int64_t count = 0;
    for (int64_t r = 0; r < w->student->rows; r++)
        if (is_valid(w, r)) rows[count++] = r;
    return count;
}

void kd__head_rows_gather(const int64_t *rows, int64_t count, const float *from, int64_t step,
                          int64_t width, float *to)
{
    for (int64_t i = 0; i < count; i++)
        memcpy(to + i * width, from + rows[i] * step, (size_t)width * sizeof *to);
}

void kd__head_rows_add(const kd__kernels *kernels, const int64_t *rows, int64_t count,
                       const float *from, int64_t width, float *to, int64_t step)
{
    for (int64_t i = 0; i < count; i++)
        kernels->axpby(to + rows[i] * step, 1, from + i * width, 1, width);
}
