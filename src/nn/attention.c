#include "nn/attention.h"

#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "math/gemm.h"
#include "math/kernels.h"

/* Work is cut into blocks of rows and of keys, whose scores alone are held: scratch does not depend on the length. A forward row keeps the
 * largest score and the sum of exponentials so far and rescales its output when the largest grows [Dao et al. 2022]; a backward row needs
 * only its log-sum-exp. Blocks that no row of a block sees are not visited. Products go through the kernels' tile on packed sides.      */
#define CHUNK 192 /* rows that share packed keys and values in the forward pass */
#define BLOCK 48  /* rows of a block; a multiple of every tile_rows */
#define KEYS 512  /* of a block; above CHUNK, so that each row sees a key of the first block that its chunk visits */

typedef struct {
    const kd__attention *a;
    const kd__kernels *kernels;
    const float *qkv, *lse, *out, *dout;
    float *to, *to_lse, *dqkv;
    int64_t row; /* numbers of a row of qkv */
    float *scratch;
    int64_t stride;     /* of a thread's scratch */
    int64_t *first_job; /* (sequences + 1): forward jobs before each sequence */
} pass;

static int64_t up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Scratch of a thread: keys and values of a block packed three ways, packed q, dout and their numbers, scores, their gradient, packed again;
 * the largest score and sum of each row of a chunk and head of a group.                                                               */
static int64_t floats_a_thread(const kd__attention *a)
{
    const int64_t d = up(a->width, 32);
    return 3 * KEYS * d + 2 * BLOCK * d + 3 * BLOCK * (KEYS + 32) + 2 * CHUNK * (a->heads / a->kv_heads) + 64;
}

int64_t kd__attention_scratch(const kd_context *context, const kd__attention *a)
{
    return context->threads * floats_a_thread(a) + 2 * (a->sequences + 2);
}

/* ---- blocks ---- */

/* Keys first .. last - 1 of a sequence: all of them sinks or none. */
typedef struct {
    int64_t first, last;
    int sinks;
} block;

/* The block that begins at `first`, for rows before `end`. */
static block block_at(const kd__attention *a, int64_t first, int64_t end)
{
    const int64_t sinks = a->window ? a->sinks : 0;
    const int64_t limit = first < sinks && sinks < end ? sinks : end;
    return (block){ first, least(first + KEYS, limit), first < sinks };
}

/* What row t sees of a block: keys *from .. *to - 1, counted from its first. */
static void seen(const kd__attention *a, block b, int64_t t, int64_t *from, int64_t *to)
{
    const int64_t low = a->window && !b.sinks ? t - a->window + 1 : 0;
    *from = low > b.first ? low - b.first : 0;
    *to = least(b.last, t + 1) - b.first;
    if (*to < 0) *to = 0;
}

/* The part of a block that rows from `first` on see: whole panels at its begin that left the window are cut off. */
static block part_of(const pass *w, block b, int64_t first)
{
    const int64_t gone = w->a->window && !b.sinks ? first - w->a->window + 1 - b.first : 0;
    if (gone > 0) b.first += gone / w->kernels->tile_columns * w->kernels->tile_columns;
    return b;
}

/* Scores that row t does not see become -infinity; returns the largest, -infinity when it sees none. */
static float mask_row(const pass *w, float *s, block b, int64_t t, int64_t columns)
{
    int64_t from, to;
    int32_t bad;
    seen(w->a, b, t, &from, &to);
    for (int64_t j = 0; j < least(from, columns); j++) s[j] = -INFINITY;
    for (int64_t j = to; j < columns; j++) s[j] = -INFINITY;
    return from < to ? w->kernels->scan(s, to, &bad) : -INFINITY;
}

/* ---- products ---- */

/* Lines of x as panels of `width`, `depth` deep: to[panel][p][line]. x(line, p) = x[line * row + p * column]. */
static void pack(const kd__kernels *kernels, const float *x, int64_t row, int64_t column, int64_t lines, int64_t depth, int64_t width, float *to)
{
    for (int64_t i = 0; i < lines; i += width) kernels->pack(x + i * row, row, column, least(lines - i, width), depth, width, to + i * depth);
}

/* c (lines x columns, ldc) = alpha a b + beta c; a packed by tile_rows, b by panels of tile_columns that are `stored` deep, of which `depth` count. */
static void product(const kd__kernels *kernels, int64_t lines, int64_t columns, int64_t depth, float alpha, const float *a, const float *b,
                    int64_t stored, float beta, float *c, int64_t ldc)
{
    const int64_t height = kernels->tile_rows, width = kernels->tile_columns;
    for (int64_t j = 0; j < columns; j += width)
        for (int64_t i = 0; i < lines; i += height)
            kernels->tile(depth, alpha, a + i * depth, b + j * stored, beta, c + i * ldc + j, ldc, (int32_t)least(lines - i, height),
                          (int32_t)least(columns - j, width), NULL);
}

/* ---- forward ---- */

typedef struct {
    int64_t sequence, first, last, kv; /* rows of the sequence */
} job;

/* What a forward job holds in its thread's scratch. */
typedef struct {
    float *packed_k, *packed_v, *q, *s, *p;
    float *max, *sum; /* (group, CHUNK) */
} forward_room;

static job find_job(const pass *w, int64_t index)
{
    int64_t s = 0, high = w->a->sequences;
    while (high - s > 1) {
        const int64_t middle = (s + high) / 2;
        if (w->first_job[middle] <= index) s = middle;
        else high = middle;
    }
    const int64_t local = index - w->first_job[s], rows = w->a->offsets[s + 1] - w->a->offsets[s];
    const int64_t first = local / w->a->kv_heads * CHUNK;
    return (job){ s, first, least(first + CHUNK, rows), local % w->a->kv_heads };
}

/* Row t's scores of a block become exponentials over its new largest; what was summed up before is rescaled to it. */
static void add_row(const pass *w, float *s, block b, int64_t t, int64_t columns, float *out, float *max, float *sum)
{
    const float here = mask_row(w, s, b, t, columns), top = here > *max ? here : *max;
    const double total = w->kernels->exponentials(s, columns, top, 1, s);
    const float kept = *max == top ? 1 : expf(*max - top);
    if (kept != 1 && *sum > 0) w->kernels->axpby(out, kept, out, 0, w->a->width);
    *sum = (float)(*sum * (double)kept + total);
    *max = top;
}

static void forward_block(const pass *w, const job *j, int64_t g, int64_t first, int64_t last, block whole, const forward_room *r)
{
    const block b = part_of(w, whole, first);
    const kd__attention *a = w->a;
    const kd__kernels *kernels = w->kernels;
    const int64_t d = a->width, head = j->kv * (a->heads / a->kv_heads) + g, at = a->offsets[j->sequence] + first, wide = a->heads * d;
    const int64_t lines = last - first, columns = least(b.last, last) - b.first, ld = up(columns, 32), gone = b.first - whole.first;
    float *out = w->to + at * wide + head * d, *max = r->max + g * CHUNK + first - j->first, *sum = r->sum + g * CHUNK + first - j->first;
    const float beta = *sum > 0; /* of all its rows or of none */
    pack(w->kernels, w->qkv + at * w->row + head * d, w->row, 1, lines, d, kernels->tile_rows, r->q);
    product(kernels, lines, columns, d, (float)a->scale, r->q, r->packed_k + gone * d, d, 0, r->s, ld);
    for (int64_t i = 0; i < lines; i++) add_row(w, r->s + i * ld, b, first + i, columns, out + i * wide, max + i, sum + i);
    pack(w->kernels, r->s, ld, 1, lines, columns, kernels->tile_rows, r->p);
    product(kernels, lines, d, columns, 1, r->p, r->packed_v + gone * kernels->tile_columns, whole.last - whole.first, beta, out, wide);
}

/* Outputs over their sums, and log-sum-exps. */
static void finish_rows(const pass *w, const job *j, const forward_room *r)
{
    const kd__attention *a = w->a;
    const int64_t group = a->heads / a->kv_heads, begin = a->offsets[j->sequence];
    for (int64_t g = 0; g < group; g++)
        for (int64_t t = j->first; t < j->last; t++) {
            const int64_t at = (begin + t) * a->heads + j->kv * group + g, i = g * CHUNK + t - j->first;
            w->kernels->axpby(w->to + at * a->width, 1 / r->sum[i], w->to + at * a->width, 0, a->width);
            if (w->to_lse) w->to_lse[at] = r->max[i] + logf(r->sum[i]);
        }
}

static void forward_job(void *argument, int64_t index, int32_t worker)
{
    const pass *w = argument;
    const kd__attention *a = w->a;
    const job j = find_job(w, index);
    const int64_t d = a->width, group = a->heads / a->kv_heads, width = w->kernels->tile_columns;
    const int64_t sinks = a->window ? a->sinks : 0, from = a->window && j.first >= a->window ? j.first - a->window + 1 : 0;
    const float *keys = w->qkv + a->offsets[j.sequence] * w->row + (a->heads + j.kv) * d, *values = keys + a->kv_heads * d;
    forward_room r = { .packed_k = w->scratch + worker * w->stride };
    r.packed_v = r.packed_k + KEYS * up(d, 32), r.q = r.packed_v + KEYS * up(d, 32), r.s = r.q + BLOCK * up(d, 32);
    r.p = r.s + BLOCK * (KEYS + 32), r.max = r.p + BLOCK * (KEYS + 32), r.sum = r.max + CHUNK * group;
    for (int64_t i = 0; i < group * CHUNK; i++) r.max[i] = -INFINITY, r.sum[i] = 0;
    for (int64_t key = sinks ? 0 : from; key < j.last;) {
        const block b = block_at(a, key, j.last);
        const int64_t count = b.last - b.first;
        pack(w->kernels, keys + key * w->row, w->row, 1, count, d, width, r.packed_k);
        pack(w->kernels, values + key * w->row, 1, w->row, d, count, width, r.packed_v);
        for (int64_t first = j.first; first < j.last; first += BLOCK)
            for (int64_t g = 0; g < group && first + BLOCK > b.first; g++) forward_block(w, &j, g, first, least(first + BLOCK, j.last), b, &r);
        key = b.sinks && b.last == sinks && from > sinks ? from : b.last;
    }
    finish_rows(w, &j, &r);
}

/* Room for first_job lies behind the threads' scratch. */
static kd_status begin(kd_context *context, pass *w, const kd__attention *a)
{
    w->a = a;
    w->kernels = context->kernels;
    w->row = (a->heads + 2 * a->kv_heads) * a->width;
    w->stride = floats_a_thread(a);
    KD_TRY(kd__scratch_take(context, kd__attention_scratch(context, a), &w->scratch));
    w->first_job = (int64_t *)(void *)(w->scratch + up(w->stride * context->threads, 2));
    return KD_OK;
}

kd_status kd__attention_forward(kd_context *context, const kd__attention *a, const float *qkv, float *out, float *lse)
{
    pass w = { .qkv = qkv, .to = out, .to_lse = lse };
    KD_TRY(begin(context, &w, a));
    w.first_job[0] = 0;
    for (int64_t s = 0; s < a->sequences; s++)
        w.first_job[s + 1] = w.first_job[s] + (a->offsets[s + 1] - a->offsets[s] + CHUNK - 1) / CHUNK * a->kv_heads;
    kd__parallel(context, w.first_job[a->sequences], forward_job, &w);
    kd__scratch_give(context, w.scratch);
    return KD_OK;
}

/* ---- backward: one job is a sequence and key-value head, which owns their dk and dv and the dq of its group ---- */

typedef struct {
    float *packed_k, *packed_v, *k_numbers;  /* of a block: keys and values for scores, keys for dq */
    float *lines, *numbers, *s, *ds, *again; /* of rows */
    int64_t sequence, kv;
} backward_room;

/* to[key] += sum over lines of s[line][key] x[line], x (lines, row). */
static void add_to_keys(const pass *w, const backward_room *r, const float *s, int64_t ld, int64_t columns, const float *x, int64_t row,
                        int64_t lines, float *to)
{
    const int64_t d = w->a->width;
    pack(w->kernels, s, 1, ld, columns, lines, w->kernels->tile_rows, r->again);
    pack(w->kernels, x, 1, row, d, lines, w->kernels->tile_columns, r->numbers);
    product(w->kernels, columns, d, lines, 1, r->again, r->numbers, lines, 1, to, w->row);
}

static void backward_block(const pass *w, int64_t head, int64_t first, int64_t last, block whole, const backward_room *r)
{
    const block b = part_of(w, whole, first);
    const kd__attention *a = w->a;
    const kd__kernels *kernels = w->kernels;
    const int64_t d = a->width, begin = a->offsets[r->sequence], at = begin + first, wide = a->heads * d;
    const int64_t lines = last - first, columns = least(b.last, last) - b.first, ld = up(columns, 32), gone = b.first - whole.first;
    const float *q = w->qkv + at * w->row + head * d, *dout = w->dout + at * wide + head * d, *out = w->out + at * wide + head * d;
    float *dk = w->dqkv + (begin + b.first) * w->row + (a->heads + r->kv) * d;
    pack(w->kernels, q, w->row, 1, lines, d, kernels->tile_rows, r->lines);
    product(kernels, lines, columns, d, (float)a->scale, r->lines, r->packed_k + gone * d, d, 0, r->s, ld);
    pack(w->kernels, dout, wide, 1, lines, d, kernels->tile_rows, r->lines);
    product(kernels, lines, columns, d, 1, r->lines, r->packed_v + gone * d, d, 0, r->ds, ld);
    for (int64_t i = 0; i < lines; i++) {
        float *s = r->s + i * ld, *ds = r->ds + i * ld, sum = 0;
        mask_row(w, s, b, first + i, columns);
        kernels->exponentials(s, columns, w->lse[(at + i) * a->heads + head], 1, s);
        for (int64_t p = 0; p < d; p++) sum += dout[i * wide + p] * out[i * wide + p];
        kernels->softmax_gradient(ds, s, ds, columns, (float)a->scale, sum, 0);
    }
    add_to_keys(w, r, r->s, ld, columns, dout, wide, lines, dk + a->kv_heads * d);
    add_to_keys(w, r, r->ds, ld, columns, q, w->row, lines, dk);
    pack(w->kernels, r->ds, ld, 1, lines, columns, kernels->tile_rows, r->again);
    product(kernels, lines, d, columns, 1, r->again, r->k_numbers + gone * kernels->tile_columns, whole.last - whole.first, 1,
            w->dqkv + at * w->row + head * d, w->row);
}

static void clear_gradient(const pass *w, const backward_room *r, int64_t rows)
{
    const kd__attention *a = w->a;
    const int64_t d = a->width, group = a->heads / a->kv_heads;
    float *to = w->dqkv + a->offsets[r->sequence] * w->row;
    for (int64_t t = 0; t < rows; t++, to += w->row) {
        memset(to + r->kv * group * d, 0, (size_t)(group * d) * sizeof *to);
        memset(to + (a->heads + r->kv) * d, 0, (size_t)d * sizeof *to);
        memset(to + (a->heads + a->kv_heads + r->kv) * d, 0, (size_t)d * sizeof *to);
    }
}

static void backward_job(void *argument, int64_t index, int32_t worker)
{
    const pass *w = argument;
    const kd__attention *a = w->a;
    const int64_t d = a->width, wide = up(d, 32), group = a->heads / a->kv_heads, width = w->kernels->tile_columns;
    backward_room r = { .sequence = index / a->kv_heads, .kv = index % a->kv_heads, .packed_k = w->scratch + worker * w->stride };
    const int64_t rows = a->offsets[r.sequence + 1] - a->offsets[r.sequence];
    const float *keys = w->qkv + a->offsets[r.sequence] * w->row + (a->heads + r.kv) * d, *values = keys + a->kv_heads * d;
    r.packed_v = r.packed_k + KEYS * wide, r.k_numbers = r.packed_v + KEYS * wide, r.lines = r.k_numbers + KEYS * wide;
    r.numbers = r.lines + BLOCK * wide, r.s = r.numbers + BLOCK * wide, r.ds = r.s + BLOCK * (KEYS + 32), r.again = r.ds + BLOCK * (KEYS + 32);
    clear_gradient(w, &r, rows);
    for (int64_t key = 0; key < rows;) {
        const block b = block_at(a, key, rows);
        const int64_t count = b.last - b.first, end = a->window && !b.sinks ? least(rows, b.last - 1 + a->window) : rows;
        pack(w->kernels, keys + key * w->row, w->row, 1, count, d, width, r.packed_k);
        pack(w->kernels, values + key * w->row, w->row, 1, count, d, width, r.packed_v);
        pack(w->kernels, keys + key * w->row, 1, w->row, d, count, width, r.k_numbers);
        for (int64_t first = b.first; first < end; first += BLOCK)
            for (int64_t g = 0; g < group; g++) backward_block(w, r.kv * group + g, first, least(first + BLOCK, end), b, &r);
        key = b.last;
    }
}

kd_status kd__attention_backward(kd_context *context, const kd__attention *a, const float *qkv, const float *out, const float *lse, const float *dout,
                                 float *dqkv)
{
    pass w = { .qkv = qkv, .out = out, .lse = lse, .dout = dout, .dqkv = dqkv };
    KD_TRY(begin(context, &w, a));
    kd__parallel(context, a->sequences * a->kv_heads, backward_job, &w);
    kd__scratch_give(context, w.scratch);
    return KD_OK;
}
