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
#include "core/loss/head_plan.h"
#include "core/loss/head_rows.h"
#include "math/gemm.h"

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
    int64_t taken;                      /* rows that are gone through */
    /* hidden states of the block at hand, and their gradient (NULL: not wanted) */
    const float *h;
    float *dh;
    int64_t h_step, dh_step;
    /* where chosen rows are gathered: hidden states, their gradient, the teachers' */
    float *own_h, *own_dh, *teacher_h;
    kd__cells cells; /* skipping */
} blocks;

int kd__needs_blocks(const kd__pass *w)
{
    if (w->student->has_head) return 1;
    for (int32_t i = 0; i < w->count; i++)
        if (w->loss->sources[w->terms[i]].head) return 1;
    return 0;
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
    float *dh = b->dh;
    if (dh && (!st->add || dh == b->own_dh))
        for (int64_t r = 0; r < rows; r++) memset(dh + r * b->dh_step, 0, (size_t)d * sizeof *dh);
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
                       .ldc = b->dh_step };
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
                       .b = b->h,
                       .ldb = b->h_step,
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

/* The block's hidden states where they lie, or gathered. */
static void take_hidden(blocks *b, int64_t rows)
{
    const kd__pass *w = b->w;
    const kd__student *st = b->student;
    const float *z = (const float *)(const void *)st->z;
    const int64_t d = st->hidden_width;
    if (!w->chosen) {
        b->h = z + w->first * st->z_step;
        b->dh = st->dz ? st->dz + w->first * st->dz_step : NULL;
        b->h_step = st->z_step;
        b->dh_step = st->dz_step;
        return;
    }
    kd__head_rows_gather(w->chosen + w->first, rows, z, st->z_step, d, b->own_h);
    b->h = b->own_h;
    b->dh = b->own_dh;
    b->h_step = b->dh_step = d;
}

/* A teacher's logits of the block. */
static kd_status teacher_logits(blocks *b, int32_t i, int64_t rows)
{
    const kd__pass *w = b->w;
    const kd__sources *s = b->sources[i];
    const int64_t d = s->teacher_width;
    const float *hidden = (const float *)(const void *)s->teacher;
    if (w->chosen) kd__head_rows_gather(w->chosen + w->first, rows, hidden, d, d, b->teacher_h);
    return kd__head_logits(b->context, &b->heads[i]->head,
                           w->chosen ? b->teacher_h : hidden + w->first * d, d, rows, b->v[i],
                           kd__row_step(b->heads[i]->weight.dims[0]));
}

/* Gradients of the block's logits: through the cap, and back. */
static kd_status finish_block(blocks *b, int64_t rows)
{
    const kd__student *st = b->student;
    const kd__pass *w = b->w;
    if (st->head.soft_cap > 0) {
        capped f = {
            b->context->kernels, b->z, b->dz, b->classes, b->step, (float)st->head.soft_cap
        };
        kd__parallel(b->context, rows, uncap_row, &f);
    }
    if (st->head.skip_bound > 0) kd__cells_mark(&b->cells, b->dz, b->step, rows, b->h, b->h_step);
    KD_TRY(push_back(b, rows));
    if (w->chosen && b->own_dh)
        kd__head_rows_add(b->context->kernels, w->chosen + w->first, rows, b->own_dh,
                          st->hidden_width, st->dz, st->dz_step);
    return KD_OK;
}

static kd_status run_block(blocks *b)
{
    kd__pass *w = b->w;
    const kd__student *st = b->student;
    const int64_t rows = w->last - w->first;
    for (int32_t i = 0; i < b->head_count; i++) KD_TRY(teacher_logits(b, i, rows));
    if (!st->has_head) {
        const int64_t first = w->chosen ? 0 : w->first;
        w->z = st->z + first * st->z_step * (int64_t)kd_dtype_bytes(st->dtype);
        w->dz = st->dz ? st->dz + first * st->dz_step : NULL;
        kd__run_rows(w);
        return KD_OK;
    }
    take_hidden(b, rows);
    KD_TRY(kd__head_logits(b->context, &st->head, b->h, b->h_step, rows, b->z, b->step));
    kd__run_rows(w);
    return w->dz ? finish_block(b, rows) : KD_OK;
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

/* Floats of a row that is gathered: both sides' hidden states, the student's gradient. A student
 * without a head stays where it lies. */
static int64_t gathered_floats(const blocks *b)
{
    const int64_t d = b->student->has_head ? b->student->hidden_width : 0;
    int64_t widest = 0;
    for (int32_t i = 0; i < b->head_count; i++)
        widest = kd__max(widest, b->sources[i]->teacher_width);
    return d + (b->student->dz ? d : 0) + widest;
}

/* Rows of a block. Masked rows are left out where the others, gathered, hold no more memory. */
static kd_status choose(blocks *b, const kd__head_sizes *all, kd__head_sizes *taken)
{
    kd__pass *w = b->w;
    kd_loss *loss = w->loss;
    const int32_t threads = b->context->threads;
    const kd__head_plan whole = kd__head_plan_make(loss->memory_limit, all, threads);
    b->block = whole.block;
    *taken = *all;
    KD_TRY(KD_RESERVE(b->context, &loss->chosen, &loss->chosen_room, b->rows + 1));
    kd__head_sizes some = *all;
    some.rows = kd__head_rows(w, loss->chosen);
    some.floats_a_row += gathered_floats(b);
    const kd__head_plan p =
        kd__head_plan_make(kd__min(loss->memory_limit, whole.covered), &some, threads);
    if (some.rows == b->rows || p.covered > whole.covered) return KD_OK;
    w->chosen = loss->chosen;
    w->by_row = !b->student->has_head;
    b->block = p.block;
    *taken = some;
    return KD_OK;
}

/* Gradients of rows that nothing looks at. Those of a head's hidden states are added up; logits get
 * theirs as a whole, and may lie under it until then. */
static void clear_gradient(const blocks *b, int64_t taken)
{
    const kd__student *st = b->student;
    const int64_t width = st->has_head ? st->hidden_width : st->width,
                  *next = st->has_head ? NULL : b->w->chosen, *end = b->w->chosen + taken;
    if (!b->w->chosen || !st->dz || st->add) return;
    for (int64_t r = 0; r < b->rows; r++)
        if (next && next < end && *next == r) next++;
        else memset(st->dz + r * st->dz_step, 0, (size_t)width * sizeof *st->dz);
}

static void place_gathered(blocks *b, float *at)
{
    const int64_t floats = b->block * b->student->hidden_width;
    if (!b->w->chosen) return;
    if (b->w->by_row) {
        b->teacher_h = at;
        return;
    }
    b->own_h = at;
    b->own_dh = b->student->dz ? at + floats : NULL;
    b->teacher_h = at + (b->own_dh ? 2 : 1) * floats;
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
    const kd__head_sizes all = {
        b->rows, floats, w->room, hidden, skip ? b->classes : 0, kd__wide_floats(loss, w->room)
    };
    kd__head_sizes taken;
    KD_TRY(choose(b, &all, &taken));
    const int64_t room = skip ? kd__cells_room(b->block, b->classes, st->hidden_width) : 0;
    KD_TRY(KD_RENEW(b->context, &loss->logits, &loss->logits_room,
                    room + b->block * taken.floats_a_row + 16));
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
    b->taken = taken.rows;
    place_gathered(b, st->has_head ? b->dz + b->block * b->step : at);
    clear_gradient(b, taken.rows);
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
                 .taken = w->last,
                 .classes = w->student->width };
    b.step = kd__row_step(b.classes);
    find_heads(&b);
    KD_TRY(lay_out(&b));
    for (int64_t first = 0; first < b.taken; first += b.block) {
        w->first = first;
        w->last = kd__min(first + b.block, b.taken);
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
