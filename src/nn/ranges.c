/* Cutting rows and columns into ranges for the thread pool. */
#include "nn/ranges.h"

#include "base/context.h"
#include "base/numbers.h"
#include "base/thread.h"

#define TILE 8 /* rows of a piece */

typedef struct {
    const kd__kernels *kernels;
    kd__range_work *work;
    const void *argument;
    int64_t count, piece;
} ranges;

static void run_piece(void *argument, int64_t index, int32_t worker)
{
    const ranges *r = argument;
    const int64_t first = index * r->piece, left = r->count - first;
    (void)worker;
    r->work(r->kernels, r->argument, first, first + kd__min(left, r->piece));
}

static void run(kd_context *context, int64_t count, int64_t piece, kd__range_work *work,
                const void *argument)
{
    ranges r = { context->kernels, work, argument, count, piece };
    kd__parallel(context, kd__ceil_div(count, piece), run_piece, &r);
}

void kd__for_rows(const kd__rows *rows, kd__range_work *work, const void *argument)
{
    run(rows->context, rows->count, TILE, work, argument);
}

void kd__for_columns(kd_context *context, int64_t width, kd__range_work *work, const void *argument)
{
    run(context, width, KD__COLUMNS, work, argument);
}
