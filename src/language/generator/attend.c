/* Attention over the cache: keys and values of new tokens into its blocks, then softmax(q k' /
 * sqrt(D)) v over whole blocks. A line is one query head of one new token; products are the
 * library's own, so that a line's sums do not depend on the lines beside it. */
#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "language/generator/generate.h"
#include "math/kernels.h"

#define LINES 48 /* lines whose scores are held; a multiple of every tile_rows */

/* Lines first .. first + count - 1 of a span that share key-value head `kv`, whose G query heads
 * are kv G .. kv G + G - 1: line i is head i % G of new token i / G. B tokens a block. */
typedef struct {
    const kd__attend *w;
    const kd__trunk_config *d;
    const kd__kernels *kernels;
    const struct kd__span *span;
    int64_t kv, group, first, count;
    int64_t blocks;   /* that hold what the last line sees */
    int64_t ld;       /* blocks B: scores of a line */
    int64_t wide;     /* D, rounded up to the tile's columns */
    int64_t rotation; /* numbers that a Hadamard matrix turns together; 1: none */
    float *packed;    /* a side of a product */
    float *scores;    /* (count, ld) */
    float *out;       /* (count, wide) */
    float *widened;   /* a block's keys or values in float32 */
} lines;

/* ---- the cache ---- */

/* Numbers of head and row: queries of all heads, then keys, then values. */
static int64_t row_numbers(const kd__trunk_config *d)
{
    return (d->heads + 2 * d->kv_heads) * d->width;
}

/* Keys and values of a span's new rows into its blocks. */
static void write_span(const kd__attend *w, const struct kd__span *span, int64_t kv, float *scratch)
{
    const kd__trunk_config *d = kd__trunk_config_of(w->g->model);
    const kd__cache *c = &w->g->cache;
    for (int64_t i = 0; i < span->count; i++) {
        const int64_t position = span->position + i, token = position % c->block_tokens;
        const int32_t block = span->sequence->blocks[position / c->block_tokens];
        const float *row = w->qkv + (span->first + i) * row_numbers(d);
        const float *k = row + (d->heads + kv) * d->width;
        const float *v = k + d->kv_heads * d->width;
        kd__cache_put(c, kd__cache_at(c, w->layer, block, kv), token, k, v, scratch);
    }
}

/* Number `first` of the sequence's block j. */
static const char *block_numbers(const lines *l, int64_t j, int64_t first)
{
    const kd__cache *c = &l->w->g->cache;
    const char *at = kd__cache_at(c, l->w->layer, l->span->sequence->blocks[j], l->kv);
    return at + first * c->size;
}

/* `count` numbers of block j, as float32. */
static const float *read_block(const lines *l, int64_t j, int64_t first, int64_t count)
{
    const int32_t dtype = l->w->g->cache.dtype;
    const char *at = block_numbers(l, j, first);
    if (dtype == KD_FLOAT32) return (const float *)(const void *)at;
    if (dtype == KD_INT8) l->kernels->widen_eight((const int8_t *)at, count, l->widened);
    else l->kernels->widen(dtype, at, count, l->widened);
    return l->widened;
}

/* Numbers of a line times the scales of block j's keys, or of its values. */
static void scale_block(const lines *l, int64_t j, int of_values, float *s, int64_t count)
{
    const kd__cache *c = &l->w->g->cache;
    void *head = kd__cache_at(c, l->w->layer, l->span->sequence->blocks[j], l->kv);
    const uint16_t *scales = kd__cache_scales(c, head);
    l->kernels->scale_eight(s, scales + (of_values ? c->block_tokens : 0), count);
}

/* The same numbers, to be fetched while others are multiplied. */
static kd__ahead block_ahead(const lines *l, int64_t j, int64_t first, int64_t count)
{
    const float *at = (const float *)(const void *)block_numbers(l, j, first);
    return (kd__ahead){ at, 16, count * l->w->g->cache.size / 64, 1 };
}

/* ---- lines ---- */

static int is_eight(const lines *l) { return l->w->g->cache.dtype == KD_INT8; }

static int64_t token_of(const lines *l, int64_t i) { return (l->first + i) / l->group; }

/* Where line i's head begins in a row of queries or of results. */
static int64_t head_of(const lines *l, int64_t i)
{
    return (l->kv * l->group + (l->first + i) % l->group) * l->d->width;
}

/* Blocks whose tokens no line sees: before the window of the first line, and no sinks. */
static int is_unseen(const lines *l, int64_t j)
{
    const int64_t window = l->d->layer[l->w->layer].window, b = l->w->g->cache.block_tokens;
    const int64_t seen_from = l->span->position + token_of(l, 0) - window + 1;
    return window && (j + 1) * b <= seen_from && j * b >= l->d->sinks;
}

/* Queries, packed by tile_rows lines; what is missing in the last tile is zero. */
static void pack_queries(const lines *l)
{
    const int64_t height = l->kernels->tile_rows, d = l->d->width;
    for (int64_t i = 0; i < kd__round_up(l->count, height); i++) {
        float *to = l->packed + i / height * height * d + i % height;
        if (i >= l->count) {
            for (int64_t p = 0; p < d; p++) to[p * height] = 0;
            continue;
        }
        const int64_t row = l->span->first + token_of(l, i);
        const float *q = l->w->qkv + row * row_numbers(l->d) + head_of(l, i);
        if (l->rotation > 1) {
            memcpy(l->widened, q, (size_t)d * sizeof *q);
            l->kernels->hadamard(l->widened, d, l->rotation);
            q = l->widened;
        }
        for (int64_t p = 0; p < d; p++) to[p * height] = q[p];
    }
}

/* scores = q k' / sqrt(D); with rotated ones (H q) (H k)' / (P sqrt(D)), H of P rows */
static void score_block(const lines *l, int64_t j)
{
    const int64_t b = l->w->g->cache.block_tokens, d = l->d->width;
    const int64_t height = l->kernels->tile_rows;
    const float scale = (float)(1 / sqrt((double)d) / (double)l->rotation);
    const float *keys = read_block(l, j, 0, b * d);
    const kd__ahead next = j + 1 < l->blocks ? block_ahead(l, j + 1, 0, b * d)
                                             : block_ahead(l, 0, b * d, b * l->wide);
    for (int64_t i = 0; i < l->count; i += height) {
        const int32_t rows = (int32_t)kd__min(l->count - i, height);
        float *to = l->scores + i * l->ld + j * b;
        l->kernels->tile(d, scale, l->packed + i * d, keys, 0, to, l->ld, rows, (int32_t)b,
                         i ? NULL : &next);
    }
    for (int64_t i = 0; is_eight(l) && i < l->count; i++)
        scale_block(l, j, 0, l->scores + i * l->ld + j * b, b);
}

/* Softmax of the scores that a line sees: none before its window but the sinks, none after it. The
 * scales of 8-bit values are multiplied in. */
static void soften(const lines *l, int64_t i)
{
    const int64_t window = l->d->layer[l->w->layer].window;
    const int64_t position = l->span->position + token_of(l, i);
    float *s = l->scores + i * l->ld;
    int32_t bad;
    for (int64_t j = l->d->sinks; window && j < position - window + 1; j++) s[j] = -INFINITY;
    const float max = l->kernels->scan(s, position + 1, &bad);
    const double sum = l->kernels->exponentials(s, position + 1, max, 1, s);
    memset(s + position + 1, 0, (size_t)(l->ld - position - 1) * sizeof *s);
    l->kernels->axpby(s, (float)(1 / sum), s, 0, l->ld);
    for (int64_t j = 0, b = l->w->g->cache.block_tokens; is_eight(l) && j * b <= position; j++)
        scale_block(l, j, 1, s + j * b, kd__min(b, position + 1 - j * b));
}

/* out += scores v over one block; the first one clears `out`. */
static void weigh_block(const lines *l, int64_t j)
{
    const int64_t b = l->w->g->cache.block_tokens, d = l->d->width;
    const int64_t height = l->kernels->tile_rows, columns = l->kernels->tile_columns;
    const int64_t after = kd__min(j + 1, l->blocks - 1);
    const float *values = read_block(l, j, b * d, b * l->wide);
    for (int64_t i = 0; i < l->count; i += height) {
        const int32_t rows = (int32_t)kd__min(l->count - i, height);
        l->kernels->pack(l->scores + i * l->ld + j * b, l->ld, 1, rows, b, height, l->packed);
        for (int64_t p = 0; p < d; p += columns) {
            const kd__ahead next = block_ahead(l, after, b * (d + p), b * columns);
            l->kernels->tile(b, 1, l->packed, values + p * b, j ? 1 : 0, l->out + i * l->wide + p,
                             l->wide, rows, (int32_t)columns, i ? NULL : &next);
        }
    }
}

static void store_line(const lines *l, int64_t i)
{
    const int64_t row = l->span->first + token_of(l, i);
    float *to = l->w->att + row * l->d->heads * l->d->width + head_of(l, i);
    memcpy(to, l->out + i * l->wide, (size_t)l->d->width * sizeof *to);
}

static void attend_lines(const lines *l)
{
    pack_queries(l);
    for (int64_t j = 0; j < l->blocks; j++)
        if (!is_unseen(l, j)) score_block(l, j);
    for (int64_t i = 0; i < l->count; i++) soften(l, i);
    for (int64_t j = 0; j < l->blocks; j++)
        if (!j || !is_unseen(l, j)) weigh_block(l, j);
    for (int64_t i = 0; i < l->count; i++) store_line(l, i);
}

/* ---- jobs: a span and a key-value head ---- */

/* Lines from `first` on, at most LINES of `all`; what they need lies in `scratch`. */
static lines lines_from(const kd__attend *w, const struct kd__span *span, int64_t first,
                        int64_t all, float *scratch)
{
    const kd__trunk_config *d = kd__trunk_config_of(w->g->model);
    lines l = { .w = w, .d = d, .span = span, .first = first };
    l.kernels = w->g->object.context->kernels;
    l.group = d->heads / d->kv_heads;
    l.count = kd__min(all - first, LINES);
    l.blocks = kd__cache_blocks_for(&w->g->cache, span->position + token_of(&l, l.count - 1) + 1);
    l.ld = l.blocks * w->g->cache.block_tokens;
    l.wide = kd__round_up(d->width, l.kernels->tile_columns);
    l.rotation = kd__cache_rotation(&w->g->cache);
    l.packed = scratch;
    l.scores = l.packed + LINES * kd__max(d->width, w->g->cache.block_tokens);
    l.out = l.scores + LINES * l.ld;
    l.widened = l.out + LINES * l.wide;
    return l;
}

int64_t kd__attend_floats(const kd_generator *g, int64_t tokens)
{
    const kd__trunk_config *d = kd__trunk_config_of(g->model);
    const int64_t b = g->cache.block_tokens;
    const int64_t wide = kd__round_up(d->width, g->object.context->kernels->tile_columns);
    const int64_t widened = g->cache.dtype == KD_FLOAT32 ? 0 : b * wide;
    const int64_t line = kd__max(d->width, b) + kd__round_up(tokens, b) + wide;
    return kd__round_up(LINES * line + widened, 16);
}

int64_t kd__attend_scratch(const kd_generator *g)
{
    int64_t longest = 0;
    for (int64_t i = 0; i < g->rows.span_count; i++)
        longest = kd__max(longest, g->rows.spans[i].position + g->rows.spans[i].count);
    return kd__attend_floats(g, longest);
}

static void write_job(void *argument, int64_t job, int32_t worker)
{
    const kd__attend *w = argument;
    const int64_t kv_heads = w->g->cache.kv_heads;
    write_span(w, &w->g->rows.spans[job / kv_heads], job % kv_heads,
               w->scratch + worker * w->stride);
}

static void attend_job(void *argument, int64_t job, int32_t worker)
{
    const kd__attend *w = argument;
    const kd__trunk_config *d = kd__trunk_config_of(w->g->model);
    const struct kd__span *span = &w->g->rows.spans[job / d->kv_heads];
    const int64_t all = span->count * (d->heads / d->kv_heads);
    for (int64_t first = 0; first < all; first += LINES) {
        lines l = lines_from(w, span, first, all, w->scratch + worker * w->stride);
        l.kv = job % d->kv_heads;
        attend_lines(&l);
    }
}

void kd__attend_run(kd__attend *w)
{
    kd_context *context = w->g->object.context;
    const int64_t jobs = w->g->rows.span_count * w->g->cache.kv_heads;
    kd__parallel(context, jobs, write_job, w);
    kd__parallel(context, jobs, attend_job, w);
}
