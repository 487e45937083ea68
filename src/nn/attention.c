#include "nn/attention.h"

#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "math/gemm.h"
#include "math/kernels.h"

/* Work is cut into chunks of rows of one sequence and key-value head; a block of rows keeps its scores for every key it sees, so that
 * memory is linear in the length. Products go through the kernels' tile on packed sides.                                       */
#define CHUNK 192 /* rows that share packed keys and values */
#define BLOCK 48  /* rows whose scores are held; a multiple of every tile_rows */

typedef struct {
    const kd__attention *a;
    const kd__kernels *kernels;
    const float *qkv, *lse, *out, *dout;
    float *to, *to_lse, *dqkv;
    int64_t row;     /* numbers of a row of qkv */
    int64_t longest; /* rows of the longest sequence */
    float *scratch;
    int64_t stride;     /* of a thread's scratch */
    int64_t *first_job; /* (sequences + 1): forward jobs before each sequence */
} pass;

/* The keys that rows first .. last - 1 of a sequence may see: the first `sunk`, then from .. last - 1. */
typedef struct {
    int64_t sunk, from, count;
} keys;

static keys keys_of(const kd__attention *a, int64_t first, int64_t last)
{
    keys k = { 0, 0, last };
    if (a->window && first - a->window + 1 > 0) k.from = first - a->window + 1;
    k.sunk = a->sinks < k.from ? a->sinks : k.from;
    k.count = k.sunk + last - k.from;
    return k;
}

static int64_t most_keys(const kd__attention *a, int64_t longest)
{
    const int64_t seen = a->window ? a->window + a->sinks + CHUNK : longest;
    return (seen < longest ? seen : longest) + 32;
}

static int64_t up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/* Scratch of a thread: packed k' and v (and v', k), a block's packed q and dout, scores and their gradient, packed again; dk, dv of a sequence. */
static int64_t floats_a_thread(const kd__attention *a, int64_t longest)
{
    const int64_t d = up(a->width, 32), l = up(most_keys(a, longest), 32) + 32, packed = l * d;
    return 4 * packed + 6 * BLOCK * d + 4 * BLOCK * l + 2 * longest * a->width + BLOCK * 4 + 64;
}

int64_t kd__attention_scratch(const kd_context *context, const kd__attention *a, int64_t longest)
{
    return (int64_t)context->threads * floats_a_thread(a, longest);
}

/* Panels of `tile_columns` keys, D deep: to[panel][p][key]. `x` is row 0 of the sequence. */
static void pack_keys(const pass *w, const float *x, keys k, float *to)
{
    const int64_t width = w->kernels->tile_columns, d = w->a->width;
    for (int64_t at = 0; at < k.count; at += width) {
        float *panel = to + at * d;
        const int64_t count = k.count - at < width ? k.count - at : width;
        if (at >= k.sunk) kd__pack(x + (k.from + at - k.sunk) * w->row, w->row, 1, count, d, width, panel);
        else
            for (int64_t p = 0; p < d; p++)
                for (int64_t i = 0; i < width; i++) {
                    const int64_t j = at + i;
                    panel[p * width + i] = i < count ? x[(j < k.sunk ? j : k.from + j - k.sunk) * w->row + p] : 0;
                }
    }
}

/* Panels of `tile_columns` of the D numbers, as deep as there are keys: to[panel][key][p]. */
static void pack_numbers(const pass *w, const float *x, keys k, float *to)
{
    const int64_t width = w->kernels->tile_columns, d = w->a->width;
    for (int64_t at = 0; at < d; at += width) {
        float *panel = to + at * k.count;
        const int64_t count = d - at < width ? d - at : width;
        kd__pack(x + at, 1, w->row, count, k.sunk, width, panel);
        kd__pack(x + k.from * w->row + at, 1, w->row, count, k.count - k.sunk, width, panel + k.sunk * width);
    }
}

/* c (lines x columns, ldc) = alpha a b + beta c; a packed by blocks of tile_rows lines, b by panels of tile_columns, both `depth` deep. */
static void product(const kd__kernels *kernels, int64_t lines, int64_t columns, int64_t depth, float alpha, const float *a, const float *b,
                    float beta, float *c, int64_t ldc)
{
    const int64_t height = kernels->tile_rows, width = kernels->tile_columns;
    for (int64_t j = 0; j < columns; j += width)
        for (int64_t i = 0; i < lines; i += height)
            kernels->tile(depth, alpha, a + i * depth, b + j * depth, beta, c + i * ldc + j, ldc, (int32_t)(lines - i < height ? lines - i : height),
                          (int32_t)(columns - j < width ? columns - j : width));
}

static void pack_lines(const kd__kernels *kernels, const float *x, int64_t row, int64_t column, int64_t lines, int64_t depth, float *to)
{
    const int64_t height = kernels->tile_rows;
    for (int64_t i = 0; i < lines; i += height)
        kd__pack(x + i * row, row, column, lines - i < height ? lines - i : height, depth, height, to + i * depth);
}

/* Keys of row t among the packed ones: [0, sunk) and [*from, *to). */
static void seen_keys(const kd__attention *a, keys k, int64_t t, int64_t *from, int64_t *to)
{
    const int64_t low = a->window && t - a->window + 1 > k.from ? t - a->window + 1 : k.from;
    *from = low - k.from + k.sunk;
    *to = t - k.from + k.sunk + 1;
}

/* A sink inside the window's reach is seen once: keys_of keeps `sunk` below `from`, but rows later in the chunk may see sinks that lie
 * between: those are keys k.sunk + (sink - from), left of the row's window.                                                      */
static int64_t sinks_beside(const kd__attention *a, keys k, int64_t from)
{
    const int64_t more = a->sinks - k.from; /* sinks among the keys from k.from on */
    if (more <= 0) return 0;
    return more < from - k.sunk ? more : from - k.sunk;
}

/* Scores that a row does not see become -infinity; returns the largest. */
static float mask_row(const pass *w, float *s, keys k, int64_t t, int64_t columns)
{
    int64_t from, to;
    int32_t bad;
    seen_keys(w->a, k, t, &from, &to);
    for (int64_t j = k.sunk + sinks_beside(w->a, k, from); j < from; j++) s[j] = -INFINITY;
    for (int64_t j = to; j < columns; j++) s[j] = -INFINITY;
    return w->kernels->scan(s, to, &bad);
}

/* ---- forward ---- */

typedef struct {
    int64_t sequence, first, last, kv; /* rows of the sequence */
} job;

static job find_job(const pass *w, int64_t index)
{
    int64_t s = 0, high = w->a->sequences;
    while (high - s > 1) {
        const int64_t middle = (s + high) / 2;
        if (w->first_job[middle] <= index) s = middle;
        else high = middle;
    }
    const int64_t local = index - w->first_job[s], rows = w->a->offsets[s + 1] - w->a->offsets[s];
    job j = { s, local / w->a->kv_heads * CHUNK, 0, local % w->a->kv_heads };
    j.last = j.first + CHUNK < rows ? j.first + CHUNK : rows;
    return j;
}

static void forward_block(const pass *w, const job *j, int64_t head, int64_t first, int64_t last, keys k, const float *packed_k,
                          const float *packed_v, float *spare)
{
    const kd__attention *a = w->a;
    const kd__kernels *kernels = w->kernels;
    const int64_t d = a->width, begin = a->offsets[j->sequence], lines = last - first, seen = k.sunk + last - k.from, ld = up(seen, 32);
    float *q = spare, *s = q + BLOCK * d, *p = s + BLOCK * ld;
    pack_lines(kernels, w->qkv + (begin + first) * w->row + head * d, w->row, 1, lines, d, q);
    product(kernels, lines, seen, d, (float)a->scale, q, packed_k, 0, s, ld);
    for (int64_t i = 0; i < lines; i++) {
        float *row = s + i * ld;
        const float max = mask_row(w, row, k, first + i, seen);
        const double sum = kernels->exponentials(row, seen, max, 1, row);
        kernels->axpby(row, (float)(1 / sum), row, 0, seen);
        if (w->to_lse) w->to_lse[(begin + first + i) * a->heads + head] = (float)(max + log(sum));
    }
    pack_lines(kernels, s, ld, 1, lines, seen, p);
    float *out = w->to + (begin + first) * a->heads * d + head * d;
    for (int64_t at = 0; at < d; at += kernels->tile_columns) /* panels of v are k.count deep, of which `seen` are used */
        product(kernels, lines, d - at < kernels->tile_columns ? d - at : kernels->tile_columns, seen, 1, p, packed_v + at * k.count, 0, out + at,
                a->heads * d);
}

static void forward_job(void *argument, int64_t index, int32_t worker)
{
    const pass *w = argument;
    const kd__attention *a = w->a;
    const job j = find_job(w, index);
    const int64_t d = a->width, group = a->heads / a->kv_heads;
    const keys k = keys_of(a, j.first, j.last);
    const float *base = w->qkv + a->offsets[j.sequence] * w->row;
    float *packed_k = w->scratch + worker * w->stride, *packed_v = packed_k + up(k.count, 32) * d, *spare = packed_v + k.count * up(d, 32);
    pack_keys(w, base + (a->heads + j.kv) * d, k, packed_k);
    pack_numbers(w, base + (a->heads + a->kv_heads + j.kv) * d, k, packed_v);
    for (int64_t first = j.first; first < j.last; first += BLOCK)
        for (int64_t g = 0; g < group; g++)
            forward_block(w, &j, j.kv * group + g, first, first + BLOCK < j.last ? first + BLOCK : j.last, k, packed_k, packed_v, spare);
}

static int64_t longest_of(const kd__attention *a)
{
    int64_t longest = 0;
    for (int64_t s = 0; s < a->sequences; s++)
        if (a->offsets[s + 1] - a->offsets[s] > longest) longest = a->offsets[s + 1] - a->offsets[s];
    return longest;
}

/* Room for first_job lies behind the threads' scratch. */
static kd_status begin(kd_context *context, pass *w, const kd__attention *a)
{
    w->a = a;
    w->kernels = context->kernels;
    w->row = (a->heads + 2 * a->kv_heads) * a->width;
    w->longest = longest_of(a);
    w->stride = floats_a_thread(a, w->longest);
    KD_TRY(kd__scratch_take(context, w->stride * context->threads + 2 * (a->sequences + 2), &w->scratch));
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

/* ---- backward: one job is a sequence and key-value head, which owns their dk and dv ---- */

typedef struct {
    float *packed_k, *packed_vt, *k_numbers, *dk, *dv, *spare;
} backward_room;

static void add_keys(const pass *w, keys k, int64_t seen, const float *packed, const float *numbers, int64_t lines, float *to)
{
    /* to[key] += sum over lines of p[line][key] x[line]; keys of sinks and of the window lie apart */
    const int64_t d = w->a->width;
    if (k.sunk) product(w->kernels, k.sunk, d, lines, 1, packed, numbers, 1, to, d);
    product(w->kernels, seen - k.sunk, d, lines, 1, packed + up(k.sunk, w->kernels->tile_rows) * lines, numbers, 1, to + k.from * d, d);
}

/* p' packed by blocks of keys: sinks, then the others from a new block on. */
static void pack_scores(const pass *w, const float *s, int64_t ld, keys k, int64_t seen, int64_t lines, float *to)
{
    pack_lines(w->kernels, s, 1, ld, k.sunk, lines, to);
    pack_lines(w->kernels, s + k.sunk, 1, ld, seen - k.sunk, lines, to + up(k.sunk, w->kernels->tile_rows) * lines);
}

static void backward_block(const pass *w, int64_t sequence, int64_t head, int64_t first, int64_t last, keys k, const backward_room *r)
{
    const kd__attention *a = w->a;
    const kd__kernels *kernels = w->kernels;
    const int64_t d = a->width, lines = last - first, seen = k.sunk + last - k.from, ld = up(seen, 32), wide = a->heads * d;
    const int64_t at = a->offsets[sequence] + first;
    const float *q = w->qkv + at * w->row + head * d, *dout = w->dout + at * wide + head * d, *out = w->out + at * wide + head * d;
    float *packed = r->spare, *numbers = packed + BLOCK * up(d, 32), *s = numbers + BLOCK * up(d, 32), *ds = s + BLOCK * ld, *again = ds + BLOCK * ld;
    pack_lines(kernels, q, w->row, 1, lines, d, packed);
    product(kernels, lines, seen, d, (float)a->scale, packed, r->packed_k, 0, s, ld);
    pack_lines(kernels, dout, wide, 1, lines, d, packed);
    product(kernels, lines, seen, d, 1, packed, r->packed_vt, 0, ds, ld);
    for (int64_t i = 0; i < lines; i++) {
        double sum = 0;
        mask_row(w, s + i * ld, k, first + i, seen);
        kernels->exponentials(s + i * ld, seen, w->lse[(at + i) * a->heads + head], 1, s + i * ld);
        for (int64_t p = 0; p < d; p++) sum += (double)dout[i * wide + p] * out[i * wide + p];
        kernels->softmax_gradient(ds + i * ld, s + i * ld, ds + i * ld, seen, (float)a->scale, (float)sum, 0);
    }
    for (int64_t p = 0; p < d; p += kernels->tile_columns) { /* x packed as the right side, lines deep */
        const int64_t columns = d - p < kernels->tile_columns ? d - p : kernels->tile_columns;
        kd__pack(dout + p, 1, wide, columns, lines, kernels->tile_columns, numbers + p * lines);
    }
    pack_scores(w, s, ld, k, seen, lines, again);
    add_keys(w, k, seen, again, numbers, lines, r->dv);
    for (int64_t p = 0; p < d; p += kernels->tile_columns) {
        const int64_t columns = d - p < kernels->tile_columns ? d - p : kernels->tile_columns;
        kd__pack(q + p, 1, w->row, columns, lines, kernels->tile_columns, numbers + p * lines);
    }
    pack_scores(w, ds, ld, k, seen, lines, again);
    add_keys(w, k, seen, again, numbers, lines, r->dk);
    pack_lines(kernels, ds, ld, 1, lines, seen, again);
    float *dq = w->dqkv + at * w->row + head * d;
    for (int64_t p = 0; p < d; p += kernels->tile_columns)
        product(kernels, lines, d - p < kernels->tile_columns ? d - p : kernels->tile_columns, seen, 1, again, r->k_numbers + p * k.count, 0, dq + p,
                w->row);
}

static void backward_job(void *argument, int64_t index, int32_t worker)
{
    const pass *w = argument;
    const kd__attention *a = w->a;
    const int64_t d = a->width, group = a->heads / a->kv_heads, sequence = index / a->kv_heads, kv = index % a->kv_heads;
    const int64_t rows = a->offsets[sequence + 1] - a->offsets[sequence];
    const float *base = w->qkv + a->offsets[sequence] * w->row;
    float *to = w->dqkv + a->offsets[sequence] * w->row;
    backward_room r = { .dk = w->scratch + worker * w->stride };
    r.dv = r.dk + rows * d;
    memset(r.dk, 0, (size_t)(2 * rows * d) * sizeof(float));
    for (int64_t chunk = 0; chunk < rows; chunk += CHUNK) {
        const int64_t end = chunk + CHUNK < rows ? chunk + CHUNK : rows;
        const keys k = keys_of(a, chunk, end);
        r.packed_k = r.dv + rows * d;
        r.packed_vt = r.packed_k + up(k.count, 32) * d;
        r.k_numbers = r.packed_vt + up(k.count, 32) * d;
        r.spare = r.k_numbers + k.count * up(d, 32);
        pack_keys(w, base + (a->heads + kv) * d, k, r.packed_k);
        pack_keys(w, base + (a->heads + a->kv_heads + kv) * d, k, r.packed_vt);
        pack_numbers(w, base + (a->heads + kv) * d, k, r.k_numbers);
        for (int64_t first = chunk; first < end; first += BLOCK)
            for (int64_t g = 0; g < group; g++) backward_block(w, sequence, kv * group + g, first, first + BLOCK < end ? first + BLOCK : end, k, &r);
    }
    for (int64_t t = 0; t < rows; t++) {
        memcpy(to + t * w->row + (a->heads + kv) * d, r.dk + t * d, (size_t)d * sizeof *to);
        memcpy(to + t * w->row + (a->heads + a->kv_heads + kv) * d, r.dv + t * d, (size_t)d * sizeof *to);
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
