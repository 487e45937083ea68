/* Attention over packed sequences, forward and backward, in tiles. */
#include "nn/attention.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/gemm.h"
#include "math/kernels.h"
#include "math/random.h"
#include "nn/dropout.h"

/* Work is cut into blocks of rows and of keys, whose scores alone are held: scratch does not depend
 * on the length. A forward row keeps the largest score and the sum of exponentials so far and
 * rescales its output when the largest grows [Dao et al. 2022]; a backward row needs only its
 * log-sum-exp. Blocks that no row of a block sees are not visited. Products go through the kernels'
 * tile on packed sides. */
#define CHUNK 192 /* rows that share packed keys and values in the forward pass */
#define BLOCK 48  /* rows of a block; a multiple of every tile_rows */
/* of a block; above CHUNK, so that each row sees a key of the first block that its chunk visits */
#define KEYS 512

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

/* Scratch of a thread: keys and values of a block packed three ways, packed q, dout and their
 * numbers, scores, their gradient, packed again; the largest score and sum of each row of a chunk
 * and head of a group. */
static int64_t floats_a_thread(const kd__attention *a)
{
    const int64_t d = kd__round_up(a->width, 32);
    return 3 * KEYS * d + 2 * BLOCK * d + 3 * BLOCK * (KEYS + 32) +
           2 * CHUNK * (a->heads / a->kv_heads) + 64;
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
    const int64_t limit = first < sinks ? kd__min(sinks, end) : end;
    return (block){ first, kd__min(first + KEYS, limit), first < sinks };
}

/* Rows before `last` of a sequence see keys before this one. */
static int64_t reach(const kd__attention *a, int64_t last)
{
    if (!a->both_sides) return last;
    return a->window ? last - 1 + a->window : INT64_MAX;
}

/* What row t sees of a block: keys *from .. *to - 1, counted from its first. */
static void seen(const kd__attention *a, block b, int64_t t, int64_t *from, int64_t *to)
{
    const int64_t low = a->window && !b.sinks ? t - a->window + 1 : 0;
    *from = low > b.first ? low - b.first : 0;
    *to = kd__min(b.last, reach(a, t + 1)) - b.first;
    if (*to < 0) *to = 0;
}

/* The part of a block that rows from `first` on see: whole panels at its begin that left the window
 * are cut off. */
static block part_of(const pass *w, block b, int64_t first)
{
    const int64_t gone = w->a->window && !b.sinks ? first - w->a->window + 1 - b.first : 0;
    if (gone > 0) b.first += gone / w->kernels->tile_columns * w->kernels->tile_columns;
    return b;
}

/* Scores that row t does not see become -infinity; returns the largest, -infinity when it sees
 * none. */
static float mask_row(const pass *w, float *s, block b, int64_t t, int64_t columns)
{
    int64_t from, to;
    int32_t bad;
    seen(w->a, b, t, &from, &to);
    for (int64_t j = 0; j < kd__min(from, columns); j++) s[j] = -INFINITY;
    for (int64_t j = to; j < columns; j++) s[j] = -INFINITY;
    return from < to ? w->kernels->scan(s, to, &bad) : -INFINITY;
}

/* Rows of a head beside the part of a block of keys that they see. */
typedef struct {
    block keys;
    int64_t first, lines; /* rows, counted from the sequence's first */
    int64_t columns, ld;  /* of the scores (lines, ld) */
    int64_t stored, gone; /* keys that are packed, and those before `keys` */
    int64_t at, head;     /* the first row among all, and the head */
} patch;

static patch patch_of(const pass *w, int64_t sequence, int64_t head, int64_t first, int64_t last,
                      block whole)
{
    const block keys = part_of(w, whole, first);
    const int64_t columns = kd__min(keys.last, reach(w->a, last)) - keys.first;
    return (patch){ .keys = keys,
                    .first = first,
                    .lines = last - first,
                    .columns = columns,
                    .ld = kd__round_up(columns, 32),
                    .stored = whole.last - whole.first,
                    .gone = keys.first - whole.first,
                    .at = w->a->offsets[sequence] + first,
                    .head = head };
}

/* A row's numbers of a block, dropped or scaled. `at`: the row times the heads, and its head. One
 * 64-bit number decides four neighboring keys of a sequence. */
static void drop_row(const kd__attention *a, float *x, block b, int64_t at, int64_t columns)
{
    const uint64_t stream = kd__mix(kd__dropout_from(a->stream, at));
    const uint32_t threshold = (uint32_t)(a->dropout * 65536 + 0.5);
    const float scale = (float)(1 / (1 - a->dropout));
    if (!(a->dropout > 0)) return;
    for (int64_t key = b.first, end = b.first + columns; key < end;) {
        uint64_t draw = kd__random(stream, (uint64_t)key / 4) >> key % 4 * 16;
        for (const int64_t stop = kd__min(key / 4 * 4 + 4, end); key < stop; key++, draw >>= 16) {
            float *number = x + key - b.first;
            *number = (draw & 0xffff) < threshold ? 0 : *number * scale;
        }
    }
}

/* ---- products ---- */

/* Lines of x as panels of `width`, `depth` deep: to[panel][p][line]. x(line, p) = x[line * row + p
 * * column]. */
static void pack(const kd__kernels *kernels, const float *x, int64_t row, int64_t column,
                 int64_t lines, int64_t depth, int64_t width, float *to)
{
    for (int64_t i = 0; i < lines; i += width)
        kernels->pack(x + i * row, row, column, kd__min(lines - i, width), depth, width,
                      to + i * depth);
}

/* Lines of x (lines, row) for the left side of a product. */
static void pack_left(const kd__kernels *kernels, const float *x, int64_t row, int64_t lines,
                      int64_t depth, float *to)
{
    pack(kernels, x, row, 1, lines, depth, kernels->tile_rows, to);
}

/* c (lines x columns, ldc) = alpha a b + beta c; a packed by tile_rows, b by panels of tile_columns
 * that are `stored` deep, of which `depth` count. */
static void product(const kd__kernels *kernels, int64_t lines, int64_t columns, int64_t depth,
                    float alpha, const float *a, const float *b, int64_t stored, float beta,
                    float *c, int64_t ldc)
{
    const int64_t height = kernels->tile_rows, width = kernels->tile_columns;
    for (int64_t j = 0; j < columns; j += width) {
        const int32_t across = (int32_t)kd__min(columns - j, width);
        for (int64_t i = 0; i < lines; i += height) {
            const int32_t down = (int32_t)kd__min(lines - i, height);
            float *tile = c + i * ldc + j;
            kernels->tile(depth, alpha, a + i * depth, b + j * stored, beta, tile, ldc, down,
                          across, NULL);
        }
    }
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

static forward_room forward_room_of(const pass *w, int32_t worker)
{
    const int64_t d = kd__round_up(w->a->width, 32), group = w->a->heads / w->a->kv_heads;
    forward_room r = { .packed_k = w->scratch + worker * w->stride };
    r.packed_v = r.packed_k + KEYS * d;
    r.q = r.packed_v + KEYS * d;
    r.s = r.q + BLOCK * d;
    r.p = r.s + BLOCK * (KEYS + 32);
    r.max = r.p + BLOCK * (KEYS + 32);
    r.sum = r.max + CHUNK * group;
    for (int64_t i = 0; i < group * CHUNK; i++) {
        r.max[i] = -INFINITY;
        r.sum[i] = 0;
    }
    return r;
}

static job find_job(const pass *w, int64_t index)
{
    int64_t s = 0, high = w->a->sequences;
    while (high - s > 1) {
        const int64_t middle = (s + high) / 2;
        if (w->first_job[middle] <= index) s = middle;
        else high = middle;
    }
    const int64_t local = index - w->first_job[s];
    const int64_t rows = w->a->offsets[s + 1] - w->a->offsets[s];
    const int64_t first = local / w->a->kv_heads * CHUNK;
    return (job){ s, first, kd__min(first + CHUNK, rows), local % w->a->kv_heads };
}

/* Row t's scores of a block become exponentials over its new largest; what was summed up before is
 * rescaled to it. */
static void add_row(const pass *w, float *s, block b, int64_t t, int64_t columns, float *out,
                    float *max, float *sum)
{
    const float here = mask_row(w, s, b, t, columns);
    const float top = here > *max ? here : *max;
    const double total = w->kernels->exponentials(s, columns, top, 1, s);
    const float kept = *max == top ? 1 : expf(*max - top);
    if (kept != 1 && *sum > 0) w->kernels->axpby(out, kept, out, 0, w->a->width);
    *sum = (float)(*sum * (double)kept + total);
    *max = top;
}

static void forward_block(const pass *w, const job *j, int64_t g, int64_t first, int64_t last,
                          block whole, const forward_room *r)
{
    const kd__attention *a = w->a;
    const kd__kernels *kernels = w->kernels;
    const int64_t d = a->width;
    const int64_t wide = a->heads * d;
    const int64_t group = a->heads / a->kv_heads;
    const patch t = patch_of(w, j->sequence, j->kv * group + g, first, last, whole);
    const float *q = w->qkv + t.at * w->row + t.head * d;
    const float *k = r->packed_k + t.gone * d;
    const float *v = r->packed_v + t.gone * kernels->tile_columns;
    float *out = w->to + t.at * wide + t.head * d;
    float *max = r->max + g * CHUNK + first - j->first;
    float *sum = r->sum + g * CHUNK + first - j->first;
    const float beta = *sum > 0; /* of all its rows or of none */

    pack_left(kernels, q, w->row, t.lines, d, r->q);
    product(kernels, t.lines, t.columns, d, (float)a->scale, r->q, k, d, 0, r->s, t.ld);
    for (int64_t i = 0; i < t.lines; i++) {
        float *s = r->s + i * t.ld;
        add_row(w, s, t.keys, first + i, t.columns, out + i * wide, max + i, sum + i);
        drop_row(a, s, t.keys, (t.at + i) * a->heads + t.head, t.columns);
    }
    pack_left(kernels, r->s, t.ld, t.lines, t.columns, r->p);
    product(kernels, t.lines, d, t.columns, 1, r->p, v, t.stored, beta, out, wide);
}

/* Outputs over their sums, and log-sum-exps. */
static void finish_rows(const pass *w, const job *j, const forward_room *r)
{
    const kd__attention *a = w->a;
    const int64_t group = a->heads / a->kv_heads, begin = a->offsets[j->sequence];
    for (int64_t g = 0; g < group; g++)
        for (int64_t t = j->first; t < j->last; t++) {
            const int64_t at = (begin + t) * a->heads + j->kv * group + g;
            const int64_t i = g * CHUNK + t - j->first;
            float *out = w->to + at * a->width;
            w->kernels->axpby(out, 1 / r->sum[i], out, 0, a->width);
            if (w->to_lse) w->to_lse[at] = r->max[i] + logf(r->sum[i]);
        }
}

static void pack_forward(const pass *w, const job *j, block b, const forward_room *r)
{
    const kd__attention *a = w->a;
    const int64_t d = a->width;
    const int64_t width = w->kernels->tile_columns;
    const int64_t keys = b.last - b.first;
    const float *row = w->qkv + (a->offsets[j->sequence] + b.first) * w->row;
    const float *k = row + (a->heads + j->kv) * d;
    const float *v = k + a->kv_heads * d;
    pack(w->kernels, k, w->row, 1, keys, d, width, r->packed_k);
    pack(w->kernels, v, 1, w->row, d, keys, width, r->packed_v);
}

static void forward_job(void *argument, int64_t index, int32_t worker)
{
    const pass *w = argument;
    const kd__attention *a = w->a;
    const job j = find_job(w, index);
    const forward_room r = forward_room_of(w, worker);
    const int64_t group = a->heads / a->kv_heads;
    const int64_t sinks = a->window ? a->sinks : 0;
    const int64_t from = a->window && j.first >= a->window ? j.first - a->window + 1 : 0;
    const int64_t rows = a->offsets[j.sequence + 1] - a->offsets[j.sequence];
    const int64_t end = kd__min(reach(a, j.last), rows);
    for (int64_t key = sinks ? 0 : from; key < end;) {
        const block b = block_at(a, key, end);
        pack_forward(w, &j, b, &r);
        for (int64_t first = j.first; first < j.last; first += BLOCK) {
            const int64_t last = kd__min(first + BLOCK, j.last);
            if (reach(a, last) <= b.first) continue;
            for (int64_t g = 0; g < group; g++) forward_block(w, &j, g, first, last, b, &r);
        }
        const int leaves_sinks = b.sinks && b.last == sinks;
        key = leaves_sinks && from > sinks ? from : b.last;
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
    w->first_job = (int64_t *)(void *)(w->scratch + kd__round_up(w->stride * context->threads, 2));
    return KD_OK;
}

kd_status kd__attention_forward(kd_context *context, const kd__attention *a, const float *qkv,
                                float *out, float *lse)
{
    pass w = { .qkv = qkv, .to = out, .to_lse = lse };
    KD_TRY(begin(context, &w, a));
    w.first_job[0] = 0;
    for (int64_t s = 0; s < a->sequences; s++)
        w.first_job[s + 1] = w.first_job[s] +
                             kd__ceil_div(a->offsets[s + 1] - a->offsets[s], CHUNK) * a->kv_heads;
    kd__parallel(context, w.first_job[a->sequences], forward_job, &w);
    kd__scratch_give(context, w.scratch);
    return KD_OK;
}

/* ---- backward: one job is a sequence and key-value head, which owns their dk and dv and the dq of
 * its group ---- */

typedef struct {
    /* of a block: keys and values for scores, keys for dq */
    float *packed_k, *packed_v, *k_numbers;
    float *lines, *numbers, *s, *ds, *again; /* of rows */
    int64_t sequence, kv;
} backward_room;

static backward_room backward_room_of(const pass *w, int32_t worker)
{
    const int64_t d = kd__round_up(w->a->width, 32);
    backward_room r = { .packed_k = w->scratch + worker * w->stride };
    r.packed_v = r.packed_k + KEYS * d;
    r.k_numbers = r.packed_v + KEYS * d;
    r.lines = r.k_numbers + KEYS * d;
    r.numbers = r.lines + BLOCK * d;
    r.s = r.numbers + BLOCK * d;
    r.ds = r.s + BLOCK * (KEYS + 32);
    r.again = r.ds + BLOCK * (KEYS + 32);
    return r;
}

/* to[key] += sum over lines of s[line][key] x[line], x (lines, row). */
static void add_to_keys(const pass *w, const backward_room *r, const float *s, int64_t ld,
                        int64_t columns, const float *x, int64_t row, int64_t lines, float *to)
{
    const kd__kernels *kernels = w->kernels;
    const int64_t d = w->a->width;
    pack(kernels, s, 1, ld, columns, lines, kernels->tile_rows, r->again);
    pack(kernels, x, 1, row, d, lines, kernels->tile_columns, r->numbers);
    product(kernels, columns, d, lines, 1, r->again, r->numbers, lines, 1, to, w->row);
}

/* Scores of row t become probabilities, ds their gradient: it holds dout v' before. `at`: the row
 * times the heads, and its head. */
static void backward_row(const pass *w, block b, int64_t t, int64_t at, int64_t columns,
                         const float *dout, const float *out, float *s, float *ds)
{
    float sum = 0;
    mask_row(w, s, b, t, columns);
    w->kernels->exponentials(s, columns, w->lse[at], 1, s);
    drop_row(w->a, ds, b, at, columns);
    for (int64_t p = 0; p < w->a->width; p++) sum += dout[p] * out[p];
    w->kernels->softmax_gradient(ds, s, ds, columns, (float)w->a->scale, sum, 0);
    drop_row(w->a, s, b, at, columns);
}

/* r->s becomes the patch's probabilities, r->ds their scores' gradient. */
static void backward_scores(const pass *w, const patch *t, const backward_room *r)
{
    const kd__attention *a = w->a;
    const kd__kernels *kernels = w->kernels;
    const int64_t d = a->width;
    const int64_t wide = a->heads * d;
    const float *q = w->qkv + t->at * w->row + t->head * d;
    const float *k = r->packed_k + t->gone * d;
    const float *v = r->packed_v + t->gone * d;
    const float *out = w->out + t->at * wide + t->head * d;
    const float *dout = w->dout + t->at * wide + t->head * d;
    pack_left(kernels, q, w->row, t->lines, d, r->lines);
    product(kernels, t->lines, t->columns, d, (float)a->scale, r->lines, k, d, 0, r->s, t->ld);
    pack_left(kernels, dout, wide, t->lines, d, r->lines);
    product(kernels, t->lines, t->columns, d, 1, r->lines, v, d, 0, r->ds, t->ld);
    for (int64_t i = 0; i < t->lines; i++) {
        float *s = r->s + i * t->ld;
        float *ds = r->ds + i * t->ld;
        const int64_t at = (t->at + i) * a->heads + t->head;
        backward_row(w, t->keys, t->first + i, at, t->columns, dout + i * wide, out + i * wide, s,
                     ds);
    }
}

static void backward_block(const pass *w, int64_t head, int64_t first, int64_t last, block whole,
                           const backward_room *r)
{
    const kd__attention *a = w->a;
    const kd__kernels *kernels = w->kernels;
    const int64_t d = a->width;
    const int64_t wide = a->heads * d;
    const patch t = patch_of(w, r->sequence, head, first, last, whole);
    const int64_t key = a->offsets[r->sequence] + t.keys.first;
    const float *q = w->qkv + t.at * w->row + head * d;
    const float *k = r->k_numbers + t.gone * kernels->tile_columns;
    const float *dout = w->dout + t.at * wide + head * d;
    float *dq = w->dqkv + t.at * w->row + head * d;
    float *dk = w->dqkv + key * w->row + (a->heads + r->kv) * d;
    float *dv = dk + a->kv_heads * d;
    backward_scores(w, &t, r);
    add_to_keys(w, r, r->s, t.ld, t.columns, dout, wide, t.lines, dv);
    add_to_keys(w, r, r->ds, t.ld, t.columns, q, w->row, t.lines, dk);
    pack_left(kernels, r->ds, t.ld, t.lines, t.columns, r->again);
    product(kernels, t.lines, d, t.columns, 1, r->again, k, t.stored, 1, dq, w->row);
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

static void pack_backward(const pass *w, block b, const backward_room *r)
{
    const kd__attention *a = w->a;
    const int64_t d = a->width;
    const int64_t width = w->kernels->tile_columns;
    const int64_t keys = b.last - b.first;
    const float *row = w->qkv + (a->offsets[r->sequence] + b.first) * w->row;
    const float *k = row + (a->heads + r->kv) * d;
    const float *v = k + a->kv_heads * d;
    pack(w->kernels, k, w->row, 1, keys, d, width, r->packed_k);
    pack(w->kernels, v, w->row, 1, keys, d, width, r->packed_v);
    pack(w->kernels, k, 1, w->row, d, keys, width, r->k_numbers);
}

/* The first row that sees a key of the block. */
static int64_t first_row(const kd__attention *a, block b)
{
    if (!a->both_sides) return b.first;
    return a->window ? kd__max(b.first - a->window + 1, 0) : 0;
}

static void backward_job(void *argument, int64_t index, int32_t worker)
{
    const pass *w = argument;
    const kd__attention *a = w->a;
    const int64_t group = a->heads / a->kv_heads;
    backward_room r = backward_room_of(w, worker);
    r.sequence = index / a->kv_heads;
    r.kv = index % a->kv_heads;
    const int64_t rows = a->offsets[r.sequence + 1] - a->offsets[r.sequence];
    clear_gradient(w, &r, rows);
    for (int64_t key = 0; key < rows;) {
        const block b = block_at(a, key, rows);
        const int64_t end = a->window && !b.sinks ? kd__min(rows, b.last - 1 + a->window) : rows;
        pack_backward(w, b, &r);
        for (int64_t first = first_row(a, b); first < end; first += BLOCK) {
            const int64_t last = kd__min(first + BLOCK, end);
            for (int64_t g = 0; g < group; g++)
                backward_block(w, r.kv * group + g, first, last, b, &r);
        }
        key = b.last;
    }
}

kd_status kd__attention_backward(kd_context *context, const kd__attention *a, const float *qkv,
                                 const float *out, const float *lse, const float *dout, float *dqkv)
{
    pass w = { .qkv = qkv, .out = out, .lse = lse, .dout = dout, .dqkv = dqkv };
    KD_TRY(begin(context, &w, a));
    kd__parallel(context, a->sequences * a->kv_heads, backward_job, &w);
    kd__scratch_give(context, w.scratch);
    return KD_OK;
}
