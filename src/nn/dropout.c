/* Dropout by counter-based random numbers: the mask is made again, never stored. */
#include "nn/dropout.h"

#include "base/numbers.h"
#include "base/thread.h"
#include "math/random.h"

#define ROWS_A_TILE 8

typedef struct {
    float *y;
    const float *x;
    uint64_t stream;
    int64_t rows, width;
    uint32_t threshold;
    float scale;
} work;

/* One 64-bit number decides four neighbors. */
static void drop_row(const work *w, float *y, const float *x, uint64_t row)
{
    uint64_t stream = kd__mix(kd__dropout_from(w->stream, (int64_t)row));
    for (int64_t i = 0; i < w->width; i += 4) {
        uint64_t draw = kd__random(stream, (uint64_t)i);
        for (int64_t j = i; j < i + 4 && j < w->width; j++, draw >>= 16)
            y[j] = (draw & 0xffff) < w->threshold ? 0 : x[j] * w->scale;
    }
}

static void drop_rows(void *argument, int64_t tile, int32_t worker)
{
    work *w = argument;
    int64_t last = kd__min((tile + 1) * ROWS_A_TILE, w->rows);
    (void)worker;
    for (int64_t r = tile * ROWS_A_TILE; r < last; r++)
        drop_row(w, w->y + r * w->width, w->x + r * w->width, (uint64_t)r);
}

void kd__dropout(kd_context *context, float *y, const float *x, double p, uint64_t stream,
                 int64_t rows, int64_t width)
{
    work w = { y, x, stream, rows, width, (uint32_t)(p * 65536 + 0.5), (float)(1 / (1 - p)) };
    kd__parallel(context, kd__ceil_div(rows, ROWS_A_TILE), drop_rows, &w);
}
