/* Heads: logits that are computed a block of rows at a time, turned into their gradient in place,
 * and multiplied back. Legend: N rows, B of a block, d width of the hidden states, V classes; Z (B,
 * V) logits, then dZ. Memory: Z, the teacher's logits where it has a head too, a second Z under a
 * soft cap (whose slope needs the logits), and what the products pack. Rows of a block depend on
 * the shape and the limit alone, so that sums have one order whatever the number of threads. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/loss/cells.h"
#include "core/loss/features.h"
#include "math/gemm.h"

#define THREADS 2         /* whose scratch the limit covers; more take more, and the plan tells */
#define TILE_LINES 12     /* of the products' tiles */
#define COLUMN_CHUNK 1024 /* classes of a piece of the bias's gradient */

typedef struct {
    kd__pass *w;
    kd_context *context;
    const kd__student *student; /* has_head may be 0 */
    float *z, *dz, *v[KD__MAX_HEADS];
    const kd__virtual *heads[KD__MAX_HEADS];
    const kd__sources *sources[KD__MAX_HEADS];
    int32_t head_count;
    int64_t rows, block, classes, step; /* step: of z and dz */
    kd__cells cells;                    /* skipping */
} blocks;

int kd__needs_blocks(const kd__pass *w)
{
    if (w->student->has_head) return 1;
    for (int32_t i = 0; i < w->count; i++)
        if (w->loss->sources[w->terms[i]].head) return 1;
    return 0;
}

/* ---- the plan ---- */

typedef struct {
    int64_t block, bytes;
} plan;

/* What a call has to hold. */
typedef struct {
    int64_t rows, floats_a_row; /* logits held for one row */
    int64_t widest, hidden;     /* classes, hidden states: of the wider side */
    int64_t skipped;            /* classes of a head whose small cells are skipped, or 0 */
    int64_t wide;               /* floats of a thread's arrays of doubles */
} sizes;

/* packed: what the products take beside, for two threads. */
static plan plan_with(int64_t limit, const sizes *s, int64_t floats_a_row, int64_t packed,
                      int32_t threads)
{
    const int64_t a_thread = KD__ROWS_OF_SCRATCH * (s->widest + 32) + s->wide +
                             KD__LINES * KD__DEPTH;
    int64_t most = (limit / 4 - packed - THREADS * a_thread) / (floats_a_row + 4), pieces;
    if (most < 1) most = 1;
    if (most > s->rows) most = kd__max(s->rows, 1);
    pieces = kd__ceil_div(s->rows, most);
    plan p = { pieces ? kd__ceil_div(s->rows, pieces) : 1, 0 };
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
    return p;
}

static plan make_plan(int64_t limit, const sizes *s, int32_t threads)
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
    const plan p = plan_with(limit, s, s->floats_a_row, kd__max(packed, narrow), threads);
    return p.block <= KD__THIN_LINES ? p : plan_with(limit, s, s->floats_a_row, whole, threads);
}

/* Arrays of doubles that some kinds keep for all classes (src/core/loss/run.c). */
static int64_t wide_floats(const kd_loss *loss, int64_t classes)
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
    const sizes s = { .rows = rows,
                      .floats_a_row = ((student_width ? 1 : 0) + (teacher_width ? 1 : 0)) *
                                      kd__row_step(classes),
                      .widest = classes,
                      .hidden = kd__max(student_width, teacher_width),
                      .skipped = loss->skip_bound > 0 && student_width ? classes : 0,
                      .wide = wide_floats(loss, classes) };
    const plan p = make_plan(loss->memory_limit, &s, context->threads);
    const int64_t features = feature_bytes(loss, rows, classes);
    if (bytes)
        *bytes = features + (s.floats_a_row ? p.bytes
                                            : 4 * context->threads *
                                                  (KD__ROWS_OF_SCRATCH * (classes + 32) + s.wide));
    if (block_rows) *block_rows = s.floats_a_row ? p.block : rows;
    return KD_OK;
}

/* ---- soft caps ---- */

typedef struct {
    const kd__kernels *kernels;
    float *x, *y;
    int64_t n, step;
    float cap;
} capped;

static void uncap_row(void *argument, int64_t r, int32_t worker)
{
    capped *f = argument;
    (void)worker;
    f->kernels->soft_cap_gradient(f->y + r * f->step, f->x + r * f->step, f->n, f->cap);
}

/* ---- products ---- */

typedef struct {
    const float *dz;
    float *db;
    int64_t rows, n, step;
    float scale;
} bias_sum;

static void add_bias_chunk(void *argument, int64_t chunk, int32_t worker)
{
    bias_sum *s = argument;
    const int64_t first = chunk * COLUMN_CHUNK, last = kd__min(first + COLUMN_CHUNK, s->n);
    (void)worker;
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t i = first; i < last; i++) s->db[i] += s->scale * s->dz[r * s->step + i];
}

/* dH = dZ W and dW += dZ^T H, times the head's scale. */
static kd_status push_back(blocks *b, int64_t rows)
{
    const kd__student *st = b->student;
    const kd_head *head = &st->head;
    const int64_t n = b->classes, d = st->hidden_width, skip = head->skip_bound > 0,
                  chunk = skip ? KD__HEAD_CHUNK / KD__CELL * KD__CELL
                               : kd__head_chunk(b->context, rows, n);
    float *dh = st->dz ? st->dz + b->w->first * st->dz_step : NULL;
    const float *h = (const float *)(const void *)st->z + b->w->first * st->z_step;
    if (dh && !st->add)
        for (int64_t r = 0; r < rows; r++) memset(dh + r * st->dz_step, 0, (size_t)d * sizeof *dh);
    for (int64_t i = 0; i < n && dh; i += chunk) {
        kd__gemm g = { .m = rows,
                       .n = d,
                       .k = kd__min(n - i, chunk),
                       .alpha = (float)head->scale,
                       .a = b->dz + i,
                       .lda = b->step,
                       .b = (const float *)head->weight->data + i * d,
                       .ldb = d,
                       .beta = 1,
                       .c = dh,
                       .ldc = st->dz_step };
        if (skip) KD_TRY(kd__cells_times_head(&b->cells, &g, i));
        else KD_TRY(kd__gemm_block(b->context, &g));
    }
    if (head->weight_gradient) {
        kd__gemm g = { .a_t = 1,
                       .m = n,
                       .n = d,
                       .k = rows,
                       .alpha = (float)head->scale,
                       .a = b->dz,
                       .lda = b->step,
                       .b = h,
                       .ldb = st->z_step,
                       .beta = 1,
                       .c = head->weight_gradient->data,
                       .ldc = d };
        if (skip) KD_TRY(kd__cells_times_hidden(&b->cells, &g));
        else KD_TRY(kd__gemm_block(b->context, &g));
    }
    if (head->bias_gradient) {
        bias_sum s = { b->dz, head->bias_gradient->data, rows, n, b->step, (float)head->scale };
        kd__parallel(b->context, kd__ceil_div(n, COLUMN_CHUNK), add_bias_chunk, &s);
    }
    return KD_OK;
}

static kd_status run_block(blocks *b)
{
    kd__pass *w = b->w;
    const kd__student *st = b->student;
    const int64_t rows = w->last - w->first;
    for (int32_t i = 0; i < b->head_count; i++) {
        const kd__sources *s = b->sources[i];
        const float *hidden = (const float *)(const void *)s->teacher + w->first * s->teacher_width;
        KD_TRY(kd__head_logits(b->context, &b->heads[i]->head, hidden, s->teacher_width, rows,
                               b->v[i], kd__row_step(b->heads[i]->weight.dims[0])));
    }
    if (!st->has_head) {
        w->z = st->z + w->first * st->z_step * (int64_t)kd_dtype_bytes(st->dtype);
        w->dz = st->dz ? st->dz + w->first * st->dz_step : NULL;
        kd__run_rows(w);
        return KD_OK;
    }
    const float *h = (const float *)(const void *)st->z + w->first * st->z_step;
    KD_TRY(kd__head_logits(b->context, &st->head, h, st->z_step, rows, b->z, b->step));
    kd__run_rows(w);
    if (!w->dz) return KD_OK;
    if (st->head.soft_cap > 0) {
        capped f = {
            b->context->kernels, b->z, b->dz, b->classes, b->step, (float)st->head.soft_cap
        };
        kd__parallel(b->context, rows, uncap_row, &f);
    }
    if (st->head.skip_bound > 0)
        kd__cells_mark(&b->cells, b->dz, b->step, rows,
                       (const float *)(const void *)st->z + w->first * st->z_step, st->z_step);
    return push_back(b, rows);
}

static double norm_of(const kd__kernels *kernels, const float *x, int64_t rows, int64_t step,
                      int64_t width)
{
    double sum = 0;
    for (int64_t r = 0; r < rows; r++) sum += kernels->sum_squares(x + r * step, width);
    return sqrt(sum);
}

static void report(blocks *b, kd_loss_result *made)
{
    const kd_head *head = &b->student->head;
    const kd__kernels *kernels = b->context->kernels;
    if (!b->student->has_head || head->skip_bound == 0 || b->cells.cells == 0) return;
    const float *w = head->weight->data;
    double longest = 0, scale = fabs(head->scale);
    for (int64_t i = 0; i < b->classes; i++) {
        const double square =
            kernels->sum_squares(w + i * b->student->hidden_width, b->student->hidden_width);
        longest = square > longest ? square : longest;
    }
    made->skipped_share = b->cells.skipped / b->cells.cells;
    made->dw_error_bound = scale * sqrt(b->cells.squares) *
                           norm_of(kernels, (const float *)(const void *)b->student->z, b->rows,
                                   b->student->z_step, b->student->hidden_width);
    made->dh_error_bound = scale * sqrt(b->cells.row_sizes * longest);
}

/* Buffers behind each other in loss->logits. */
static kd_status lay_out(blocks *b)
{
    kd__pass *w = b->w;
    kd_loss *loss = w->loss;
    const kd__student *st = b->student;
    const int wants = st->has_head &&
                      (st->dz || st->head.weight_gradient || st->head.bias_gradient);
    const int apart = wants && st->head.soft_cap > 0; /* dz beside z */
    int64_t floats = st->has_head ? (apart ? 2 : 1) * b->step : 0, hidden = st->hidden_width;
    for (int32_t i = 0; i < b->head_count; i++) {
        floats += kd__row_step(b->heads[i]->weight.dims[0]);
        if (b->heads[i]->weight.dims[1] > hidden) hidden = b->heads[i]->weight.dims[1];
    }
    const int skip = wants && st->head.skip_bound > 0;
    const sizes size = {
        b->rows, floats, w->room, hidden, skip ? b->classes : 0, wide_floats(loss, w->room)
    };
    b->block = make_plan(loss->memory_limit, &size, b->context->threads).block;
    const int64_t room = skip ? kd__cells_room(b->block, b->classes, st->hidden_width) : 0;
    KD_TRY(KD_RENEW(b->context, &loss->logits, &loss->logits_room, room + b->block * floats + 16));
    float *at = loss->logits + room;
    if (skip) {
        b->cells.context = b->context;
        b->cells.classes = b->classes;
        b->cells.width = st->hidden_width;
        kd__cells_lay_out(&b->cells, loss->logits, b->block);
        kd__cells_head(&b->cells, st->head.weight->data);
    }
    for (int32_t i = 0; i < b->head_count; i++) {
        b->v[i] = at;
        at += b->block * kd__row_step(b->heads[i]->weight.dims[0]);
    }
    b->z = at;
    b->dz = apart ? at + b->block * b->step : at;
    if (!st->has_head) return KD_OK;
    w->z = (const char *)b->z;
    w->z_dtype = KD_FLOAT32;
    w->dz = wants ? b->dz : NULL;
    w->z_step = w->dz_step = b->step;
    w->add = 0;
    w->alias = wants && !apart;
    return KD_OK;
}

/* The teachers' heads, each once. */
static void find_heads(blocks *b)
{
    kd__pass *w = b->w;
    for (int32_t i = 0; i < w->count; i++) {
        const kd__sources *s = &w->loss->sources[w->terms[i]];
        int32_t at = 0;
        if (!s->head) continue;
        while (at < b->head_count && b->heads[at] != s->head) at++;
        b->heads[at] = s->head;
        b->sources[at] = s;
        if (at == b->head_count) b->head_count++;
    }
    for (int32_t i = 0; i < w->count; i++) {
        const double size = fabs(w->scales[w->terms[i]]) * b->student->head.skip_bound;
        if (size > b->cells.threshold) b->cells.threshold = (float)size;
    }
}

kd_status kd__run_blocks(kd__pass *w, kd_loss_result *made)
{
    blocks b = { .w = w,
                 .context = w->loss->object.context,
                 .student = w->student,
                 .rows = w->last,
                 .classes = w->student->width };
    b.step = kd__row_step(b.classes);
    find_heads(&b);
    KD_TRY(lay_out(&b));
    for (int64_t first = 0; first < b.rows; first += b.block) {
        w->first = first;
        w->last = kd__min(first + b.block, b.rows);
        for (int32_t i = 0; i < w->count; i++) {
            kd__sources *s = &w->loss->sources[w->terms[i]];
            for (int32_t h = 0; h < b.head_count; h++)
                if (s->head == b.heads[h]) s->virtual_logits = b.v[h];
        }
        KD_TRY(run_block(&b));
    }
    report(&b, made);
    return KD_OK;
}
