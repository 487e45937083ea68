/* Blocks of a head's logits: how many rows one has, and the memory of a call. Legend in
 * blocks.c. */
#include "core/loss/head_plan.h"

#include "base/context.h"
#include "base/numbers.h"
#include "core/loss/cells.h"
#include "core/loss/features.h"
#include "math/gemm.h"

#define THREADS 2     /* whose scratch the limit covers; more take more, and the plan tells */
#define TILE_LINES 12 /* of the products' tiles */

/* packed: what the products take beside, for two threads. */
static kd__head_plan plan_with(int64_t limit, const kd__head_sizes *s, int64_t floats_a_row,
                               int64_t packed, int32_t threads)
{
    const int64_t a_thread = KD__ROWS_OF_SCRATCH * (s->widest + 32) + s->wide +
                             KD__LINES * KD__DEPTH;
    int64_t most = (limit / 4 - packed - THREADS * a_thread) / (floats_a_row + 4), pieces;
    if (most < 1) most = 1;
    if (most > s->rows) most = kd__max(s->rows, 1);
    pieces = kd__ceil_div(s->rows, most);
    kd__head_plan p = { .block = pieces ? kd__ceil_div(s->rows, pieces) : 1 };
    /* whole cells, or whole tiles of the products */
    for (int64_t unit = KD__CELL; pieces > 1 && unit >= TILE_LINES; unit -= KD__CELL - TILE_LINES) {
        const int64_t even = kd__round_up(p.block, unit), below = most / unit * unit;
        if (even <= most || (unit == TILE_LINES && below)) {
            p.block = even <= most ? even : below;
            break;
        }
    }
    if (p.block > s->rows && s->rows) p.block = s->rows;
    p.bytes = 4 * (p.block * floats_a_row + packed + threads * a_thread);
    p.covered = p.bytes + 4 * (THREADS - threads) * a_thread;
    return p;
}

kd__head_plan kd__head_plan_make(int64_t limit, const kd__head_sizes *s, int32_t threads)
{
    const int64_t lines = limit / 4 / (s->floats_a_row + 1), few = kd__min(lines, KD__THIN_LINES);
    const int64_t deep = kd__gemm_thin_scratch(few, kd__max(s->hidden, s->widest), THREADS);
    const int64_t thin = kd__gemm_thin_scratch(few, s->hidden, THREADS),
                  whole = KD__HEAD_CHUNK * (s->hidden + 64);
    if (s->skipped) {
        const int64_t many = 64 * KD__CELL, none = kd__cells_room(0, s->skipped, s->hidden);
        const int64_t a_row = (kd__cells_room(many, s->skipped, s->hidden) - none) / many +
                              s->hidden + 1;
        return plan_with(limit, s, s->floats_a_row + a_row,
                         kd__cells_room(KD__CELL, s->skipped, s->hidden) + whole, threads);
    }
    /* a result of fewer columns than lines packs all of them */
    const int64_t narrow = s->hidden < few ? (s->hidden + 32) * KD__MOST_DEPTH : 0;
    const int64_t packed = kd__max(thin, deep);
    const kd__head_plan p = plan_with(limit, s, s->floats_a_row, kd__max(packed, narrow), threads);
    return p.block <= KD__THIN_LINES ? p : plan_with(limit, s, s->floats_a_row, whole, threads);
}

/* Arrays of doubles that some kinds keep for all classes (src/core/loss/run.c). */
int64_t kd__wide_floats(const kd_loss *loss, int64_t classes)
{
    for (int32_t t = 0; t < loss->count; t++)
        if (kd__kind_of(loss->terms[t].kind)->doubles) return 8 * (classes + 6);
    return 0;
}

/* Sides of feature terms, one after the other; parameters, gradients, and those of a call. */
static int64_t feature_bytes(const kd_loss *loss, int64_t rows, int64_t width)
{
    int64_t most = 0;
    for (int32_t t = 0; t < loss->count; t++)
        if (kd__is_feature(&loss->terms[t]))
            most = kd__max(most, kd__feature_floats(loss, t, rows, width, width));
    return 4 * (most + 3 * loss->parameters.total);
}

kd_status kd_loss_estimate_memory(kd_loss *loss, int64_t rows, int64_t classes,
                                  int64_t student_width, int64_t teacher_width, int64_t *bytes,
                                  int64_t *block_rows)
{
    KD_NEED(loss);
    KD_FAIL_IF(rows < 0 || rows > (int64_t)1 << 48 || classes < 1 || classes > INT32_MAX ||
                   student_width < 0 || student_width > INT32_MAX || teacher_width < 0 ||
                   teacher_width > INT32_MAX,
               KD_ERR_RANGE,
               "kd_loss_estimate_memory: expected rows up to 2^48, classes and widths below 2^31, "
               "got %lld, %lld, %lld and %lld",
               (long long)rows, (long long)classes, (long long)student_width,
               (long long)teacher_width);
    kd_context *context = loss->object.context;
    const kd__head_sizes s = { .rows = rows,
                               .floats_a_row = ((student_width ? 1 : 0) + (teacher_width ? 1 : 0)) *
                                               kd__row_step(classes),
                               .widest = classes,
                               .hidden = kd__max(student_width, teacher_width),
                               .skipped = loss->skip_bound > 0 && student_width ? classes : 0,
                               .wide = kd__wide_floats(loss, classes) };
    const kd__head_plan p = kd__head_plan_make(loss->memory_limit, &s, context->threads);
    const int64_t features = feature_bytes(loss, rows, classes);
    if (bytes)
        *bytes = features + (s.floats_a_row ? p.bytes
                                            : 4 * context->threads *
                                                  (KD__ROWS_OF_SCRATCH * (classes + 32) + s.wide));
    if (block_rows) *block_rows = s.floats_a_row ? p.block : rows;
    return KD_OK;
}
