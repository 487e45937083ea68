/* New tokens of many sequences through the model, their keys and values into the cache. Products are the library's own: a row's sums do not
 * depend on the rows beside it. Attention goes over whole blocks of the cache; a line is one query head of one new token.      */
#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "generate/generate.h"
#include "model/int8.h"
#include "math/gemm.h"
#include "math/kernels.h"

#define LINES 48 /* lines whose scores are held; a multiple of every tile_rows */
#define TILE 8

typedef struct {
    kd_generator *g;
    kd_context *context;
    const kd__decoder *d;
    const kd__decoder_layer *layer;
    const kd__kernels *kernels;
    int64_t index; /* of the layer */
    int64_t rows;
    float *x, *normed, *qkv, *att, *gu, *act, *cosine, *sine, *scratch;
    int64_t stride; /* of a thread's scratch */
    const float *from, *weight;
    float *to;
} pass;

static int64_t up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
static void for_rows(pass *w, kd__work *each) { kd__parallel(w->context, (w->rows + TILE - 1) / TILE, each, w); }
#define ROWS_OF(w, tile) (int64_t r = (tile)*TILE; r < (w)->rows && r < (tile)*TILE + TILE; r++)

/* ---- element-wise parts ---- */

static void embed(void *argument, int64_t tile, int32_t worker)
{
    const pass *w = argument;
    const kd__decoder *d = w->d;
    float inverse[512];
    (void)worker;
    kd__rope_frequencies(&d->rope, d->width, 1, inverse);
    for
        ROWS_OF(w, tile)
        {
            memcpy((d->projection < 0 ? w->x : w->normed) + r * d->embedded,
                   kd__tensor_values(w->g->model, d->embedding) + (int64_t)w->g->rows.tokens[r] * d->embedded, (size_t)d->embedded * sizeof(float));
            kd__rope_angles(&d->rope, d->width, inverse, w->g->rows.positions[r], w->cosine + r * d->width / 2, w->sine + r * d->width / 2);
        }
}

static void norm(void *argument, int64_t tile, int32_t worker)
{
    const pass *w = argument;
    (void)worker;
    for
        ROWS_OF(w, tile) w->kernels->rms_norm(w->to + r * w->d->hidden, w->from + r * w->d->hidden, w->weight, w->d->hidden, (float)w->d->epsilon);
}

static void normalise(pass *w, int32_t weight, const float *from, float *to)
{
    w->from = from, w->to = to, w->weight = kd__tensor_values(w->g->model, weight);
    for_rows(w, norm);
}

static void finish_qkv(void *argument, int64_t tile, int32_t worker)
{
    const pass *w = argument;
    const kd__decoder *d = w->d;
    const int64_t all = (d->heads + 2 * d->kv_heads) * d->width, half = d->width / 2;
    (void)worker;
    for
        ROWS_OF(w, tile) kd__decoder_finish_qkv(w->g->model, w->layer, w->qkv + r * all, NULL, NULL, w->cosine + r * half, w->sine + r * half);
}

static void gated(void *argument, int64_t tile, int32_t worker)
{
    const pass *w = argument;
    const int64_t n = w->d->inner;
    (void)worker;
    for
        ROWS_OF(w, tile) kd__decoder_gate(w->g->model, w->layer, w->gu + r * 2 * n, w->act + r * n);
}

/* x += what a product gave, and its bias */
static void add_rows(void *argument, int64_t tile, int32_t worker)
{
    const pass *w = argument;
    const int64_t n = w->d->hidden;
    (void)worker;
    for
        ROWS_OF(w, tile)
        {
            w->kernels->add_bias(w->x + r * n, w->x + r * n, w->from + r * n, n);
            if (w->weight) w->kernels->add_bias(w->x + r * n, w->x + r * n, w->weight, n);
        }
}

static void add_residual(pass *w, const float *from, int32_t bias)
{
    w->from = from, w->weight = kd__tensor_values(w->g->model, bias);
    for_rows(w, add_rows);
}

/* ---- attention over the cache ---- */

/* A column of a panel: `count` numbers of `size` bytes, `step` apart. */
static void place_column(char *to, int64_t step, const char *from, int64_t count, int64_t size)
{
    if (size == 4)
        for (int64_t p = 0; p < count; p++) memcpy(to + p * step * 4, from + p * 4, 4);
    else
        for (int64_t p = 0; p < count; p++) memcpy(to + p * step * 2, from + p * 2, 2);
}

/* A row's key as a column of the block's panel, its value as a row of the panels of values. `size`: bytes of a number. */
static void place_token(const kd__cache *c, char *keys, int64_t token, const char *k, const char *v, int64_t columns)
{
    const int64_t b = c->block_tokens, d = c->width, size = c->size;
    char *values = keys + b * d * size;
    place_column(keys + token * size, b, k, d, size);
    for (int64_t p = 0; p < d; p += columns)
        memcpy(values + (p * b + token * columns) * size, v + p * size, (size_t)((d - p < columns ? d - p : columns) * size));
}

/* Keys and values of a span's new rows into its blocks. */
static void write_cache(const pass *w, const struct kd__span *span, int64_t kv, char *narrow)
{
    const kd__decoder *d = w->d;
    const kd__cache *c = &w->g->cache;
    const int64_t all = (d->heads + 2 * d->kv_heads) * d->width, b = c->block_tokens;
    for (int64_t i = 0; i < span->count; i++) {
        const int64_t position = span->position + i;
        void *keys = kd__cache_at(c, w->index, span->sequence->blocks[position / b], kv);
        const float *k = w->qkv + (span->first + i) * all + (d->heads + kv) * d->width, *v = k + d->kv_heads * d->width;
        if (c->dtype != KD_FLOAT32) {
            w->kernels->narrow(c->dtype, k, d->width, narrow);
            w->kernels->narrow(c->dtype, v, d->width, narrow + d->width * c->size);
            place_token(c, keys, position % b, narrow, narrow + d->width * c->size, w->kernels->tile_columns);
        } else place_token(c, keys, position % b, (const char *)k, (const char *)v, w->kernels->tile_columns);
    }
}

/* Numbers of a block from `first` on, as float32. */
static const float *read_cache(const pass *w, int64_t block, int64_t kv, int64_t first, int64_t count, float *wide)
{
    const kd__cache *c = &w->g->cache;
    const char *at = (const char *)kd__cache_at(c, w->index, block, kv) + first * c->size;
    if (c->dtype == KD_FLOAT32) return (const float *)(const void *)at;
    w->kernels->widen(c->dtype, at, count, wide);
    return wide;
}

/* The same numbers, to be fetched while others are multiplied. */
static kd__ahead cache_ahead(const pass *w, int64_t block, int64_t kv, int64_t first, int64_t count)
{
    const kd__cache *c = &w->g->cache;
    const char *at = (const char *)kd__cache_at(c, w->index, block, kv) + first * c->size;
    return (kd__ahead){ (const float *)(const void *)at, 16, count * c->size / 64, 1 };
}

/* Scores of keys that a row does not see become -infinity: those behind it, and those before its window that are no sinks. */
static double soften(const pass *w, float *s, int64_t position, int64_t columns)
{
    int32_t bad;
    const int64_t window = w->layer->window;
    for (int64_t j = w->d->sinks; window && j < position - window + 1; j++) s[j] = -INFINITY;
    const float max = w->kernels->scan(s, position + 1, &bad);
    const double sum = w->kernels->exponentials(s, position + 1, max, 1, s);
    memset(s + position + 1, 0, (size_t)(columns - position - 1) * sizeof *s);
    return sum;
}

/* Blocks whose tokens no line sees: before the window of the first line, and no sinks. */
static int is_unseen(const pass *w, const struct kd__span *span, int64_t token, int64_t block)
{
    const int64_t window = w->layer->window, b = w->g->cache.block_tokens;
    return window && (block + 1) * b <= span->position + token - window + 1 && block * b >= w->d->sinks;
}

/* Lines first .. last - 1 of a span: line i is head i % G of new token i / G. */
static void attend_lines(const pass *w, const struct kd__span *span, int64_t kv, int64_t first, int64_t last, float *scratch)
{
    const kd__decoder *d = w->d;
    const kd__cache *c = &w->g->cache;
    const int64_t group = d->heads / d->kv_heads, all = (d->heads + 2 * d->kv_heads) * d->width, b = c->block_tokens, lines = last - first;
    const int64_t end = span->position + (last - 1) / group + 1, blocks = (end + b - 1) / b, ld = blocks * b, height = w->kernels->tile_rows,
                  columns = w->kernels->tile_columns, wide = up(d->width, columns);
    const int32_t *block = span->sequence->blocks;
    float *packed = scratch, *s = packed + LINES * (d->width > b ? d->width : b), *out = s + LINES * ld, *widened = out + LINES * wide;
    for (int64_t i = 0; i < lines; i += height) /* queries, packed by tile_rows lines */
        for (int64_t l = 0; l < height; l++) {
            const int64_t at = first + i + l;
            const float *q = w->qkv + (span->first + at / group) * all + (kv * group + at % group) * d->width;
            for (int64_t p = 0; p < d->width; p++) packed[i * d->width + p * height + l] = i + l < lines ? q[p] : 0;
        }
    const float scale = (float)(1 / sqrt((double)d->width));
    for (int64_t j = 0; j < blocks; j++) {
        if (is_unseen(w, span, first / group, j)) continue;
        const float *keys = read_cache(w, block[j], kv, 0, b * d->width, widened);
        const kd__ahead next = j + 1 < blocks ? cache_ahead(w, block[j + 1], kv, 0, b * d->width)
                                              : cache_ahead(w, block[0], kv, b * d->width, b * wide);
        for (int64_t i = 0; i < lines; i += height)
            w->kernels->tile(d->width, scale, packed + i * d->width, keys, 0, s + i * ld + j * b, ld,
                             (int32_t)(lines - i < height ? lines - i : height), (int32_t)b, i ? NULL : &next);
    }
    for (int64_t i = 0; i < lines; i++) {
        const double sum = soften(w, s + i * ld, span->position + (first + i) / group, ld);
        w->kernels->axpby(s + i * ld, (float)(1 / sum), s + i * ld, 0, ld);
    }
    for (int64_t j = 0; j < blocks; j++) {
        if (j && is_unseen(w, span, first / group, j)) continue; /* the first one clears `out` */
        const float *values = read_cache(w, block[j], kv, b * d->width, b * wide, widened);
        for (int64_t i = 0; i < lines; i += height) {
            const int64_t rows = lines - i < height ? lines - i : height;
            w->kernels->pack(s + i * ld + j * b, ld, 1, rows, b, height, packed);
            for (int64_t p = 0; p < d->width; p += columns) {
                const kd__ahead next = cache_ahead(w, block[j + 1 < blocks ? j + 1 : j], kv, b * (d->width + p), b * columns);
                w->kernels->tile(b, 1, packed, values + p * b, j ? 1 : 0, out + i * wide + p, wide, (int32_t)rows, (int32_t)columns,
                                 i ? NULL : &next);
            }
        }
    }
    for (int64_t i = 0; i < lines; i++)
        memcpy(w->att + (span->first + (first + i) / group) * d->heads * d->width + (kv * group + (first + i) % group) * d->width, out + i * wide,
               (size_t)d->width * sizeof(float));
}

static void write_job(void *argument, int64_t job, int32_t worker)
{
    const pass *w = argument;
    write_cache(w, &w->g->rows.spans[job / w->d->kv_heads], job % w->d->kv_heads, (char *)(void *)(w->scratch + worker * w->stride));
}

static void attend_job(void *argument, int64_t job, int32_t worker)
{
    const pass *w = argument;
    const struct kd__span *span = &w->g->rows.spans[job / w->d->kv_heads];
    const int64_t lines = span->count * (w->d->heads / w->d->kv_heads);
    for (int64_t first = 0; first < lines; first += LINES)
        attend_lines(w, span, job % w->d->kv_heads, first, first + LINES < lines ? first + LINES : lines, w->scratch + worker * w->stride);
}

/* ---- layers ---- */

/* y (rows, outputs) = x W' */
static kd_status linear(pass *w, int32_t weight, const float *x, int64_t inputs, int64_t outputs, float *y)
{
    if (w->g->int8) return kd__int8_product(w->context, kd__int8_find(w->g->int8, weight), x, w->rows, y);
    kd__gemm product = { 0, 1, w->rows, outputs, inputs, 1, x, inputs, kd__tensor_values(w->g->model, weight), inputs, 0, y, outputs };
    return kd__gemm_own(w->context, &product);
}

/* Never in 8 bits. */
static kd_status project(pass *w, int into, const float *x, float *y)
{
    const kd__gemm product = kd__decoder_projection(w->g->model, into, w->rows, x, y);
    return kd__gemm_own(w->context, &product);
}

static kd_status run_layer(pass *w)
{
    const kd__decoder *d = w->d;
    const kd__decoder_layer *l = w->layer;
    const int64_t q = d->heads * d->width, all = q + 2 * d->kv_heads * d->width, jobs = w->g->rows.span_count * d->kv_heads;
    normalise(w, l->norm1, w->x, w->normed);
    KD_TRY(linear(w, l->q, w->normed, d->hidden, all, w->qkv));
    for_rows(w, finish_qkv);
    kd__parallel(w->context, jobs, write_job, w);
    kd__parallel(w->context, jobs, attend_job, w);
    KD_TRY(linear(w, l->o, w->att, q, d->hidden, w->normed));
    add_residual(w, w->normed, l->ob);
    normalise(w, l->norm2, w->x, w->normed);
    KD_TRY(linear(w, l->gate, w->normed, d->hidden, 2 * d->inner, w->gu));
    for_rows(w, gated);
    KD_TRY(linear(w, l->down, w->act, d->inner, d->hidden, w->normed));
    add_residual(w, w->normed, l->downb);
    return KD_OK;
}

static int64_t place(int64_t *floats, int64_t count)
{
    const int64_t at = *floats;
    *floats += up(count, 16);
    return at;
}

/* Lays the step's activations out in the generator's block, which only grows. */
static kd_status prepare(pass *w)
{
    kd_generator *g = w->g;
    const kd__decoder *d = w->d;
    const int64_t r = w->rows, q = d->heads * d->width, all = q + 2 * d->kv_heads * d->width;
    int64_t floats = 0, longest = 0;
    for (int64_t i = 0; i < g->rows.span_count; i++) {
        const int64_t end = g->rows.spans[i].position + g->rows.spans[i].count;
        if (end > longest) longest = end;
    }
    const int64_t b = g->cache.block_tokens, deep = d->width > b ? d->width : b;
    const int64_t wide = up(d->width, w->kernels->tile_columns);
    w->stride = up(LINES * (deep + up(longest, b) + wide) + (g->cache.dtype == KD_FLOAT32 ? 0 : b * wide), 16);
    const int64_t x = place(&floats, r * d->hidden), normed = place(&floats, r * d->hidden), qkv = place(&floats, r * all),
                  att = place(&floats, r * q), gu = place(&floats, r * 2 * d->inner), act = place(&floats, r * d->inner),
                  cosine = place(&floats, r * d->width / 2), sine = place(&floats, r * d->width / 2),
                  scratch = place(&floats, w->stride * w->context->threads);
    if (floats > g->block_room) { /* nothing of the last step is needed */
        kd__release(w->context, g->block);
        g->block = NULL;
        g->block_room = 0;
        KD_TRY(KD_NEW(w->context, &g->block, floats));
        g->block_room = floats;
    }
    w->x = g->block + x, w->normed = g->block + normed, w->qkv = g->block + qkv, w->att = g->block + att, w->gu = g->block + gu;
    w->act = g->block + act, w->cosine = g->block + cosine, w->sine = g->block + sine, w->scratch = g->block + scratch;
    return KD_OK;
}

kd_status kd__generate_pass(kd_generator *g, float **hidden)
{
    const kd__decoder *d = g->model->net.decoder;
    pass w = { .g = g, .context = g->object.context, .d = d, .kernels = g->object.context->kernels, .rows = g->rows.count };
    KD_TRY(prepare(&w));
    for_rows(&w, embed);
    if (d->projection >= 0) KD_TRY(project(&w, 1, w.normed, w.x));
    for (w.index = 0; w.index < d->layers; w.index++) {
        w.layer = &d->layer[w.index];
        KD_TRY(run_layer(&w));
    }
    for (int64_t i = 0; i < g->rows.span_count; i++) { /* the last row of each span, in order: none is overwritten before it is read */
        const struct kd__span *span = &g->rows.spans[i];
        memmove(w.normed + i * d->hidden, w.x + (span->first + span->count - 1) * d->hidden, (size_t)d->hidden * sizeof(float));
    }
    w.rows = g->rows.span_count;
    normalise(&w, d->norm, w.normed, w.x);
    *hidden = d->outer < d->hidden ? w.normed : w.x;
    return d->outer < d->hidden ? project(&w, 0, w.x, w.normed) : KD_OK;
}

kd_status kd__generate_logits(kd_generator *g, const float *hidden)
{
    const kd__decoder *d = g->model->net.decoder;
    kd_context *context = g->object.context;
    pass w = { .g = g, .context = context, .d = d, .rows = g->rows.span_count };
    if (w.rows * d->vocabulary > g->logits_room) {
        kd__release(context, g->logits);
        g->logits = NULL;
        g->logits_room = 0;
        KD_TRY(KD_NEW(context, &g->logits, w.rows * d->vocabulary));
        g->logits_room = w.rows * d->vocabulary;
    }
    return linear(&w, d->head, hidden, d->outer, d->vocabulary, g->logits);
}
