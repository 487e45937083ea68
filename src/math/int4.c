/* Weights of 4 bits: how they are packed, and their products with float rows. */
#include "math/int4.h"

#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "formats/blocks/blocks.h"
#include "math/int4_tiles.h"
#include "math/kernels.h"

enum { HIGH = KD__INT4_HIGH, WIDE = KD__INT4_PANEL, GROUP = KD__INT4_GROUP };
enum { SCALES = 64, HALF = GROUP / 2, ROW_BLOCK = 2 + HALF };

/* ---- weights ---- */

int64_t kd__int4_bytes(int64_t outputs, int64_t inputs)
{
    return kd__ceil_div(outputs, WIDE) * kd__ceil_div(inputs, GROUP) * KD__INT4_BLOCK;
}

kd_status kd__int4_begin(kd__int4 *q, kd_context *context, int32_t format, int64_t outputs,
                         int64_t inputs)
{
    *q = (kd__int4){ .format = format,
                     .outputs = outputs,
                     .inputs = inputs,
                     .panels = kd__ceil_div(outputs, WIDE),
                     .groups = kd__ceil_div(inputs, GROUP) };
    return KD_NEW(context, &q->blocks, kd__int4_bytes(outputs, inputs));
}

void kd__int4_free(kd__int4 *q, kd_context *context)
{
    kd__release(context, q->blocks);
    *q = (kd__int4){ 0 };
}

/* Where a row's block of a group is. */
static uint8_t *block_of(const kd__int4 *q, int64_t row, int64_t group)
{
    return q->blocks + (row / WIDE * q->groups + group) * KD__INT4_BLOCK;
}

/* Input k of a row's 32: its byte, and whether the high half of it. */
static inline int64_t place_of(int64_t row, int64_t k)
{
    return SCALES + k / 4 * 64 + row % 16 * 4 + k % 4;
}
static inline int shift_of(int64_t row) { return row % WIDE < 16 ? 0 : 4; }

void kd__int4_fill_blocks(kd__int4 *q, int64_t row, const uint8_t *from)
{
    const int shift = shift_of(row);
    const uint8_t other = (uint8_t)(0xf0 >> shift);
    for (int64_t g = 0; g < q->groups; g++, from += ROW_BLOCK) {
        uint8_t *to = block_of(q, row, g);
        memcpy(to + row % WIDE * 2, from, 2);
        for (int64_t k = 0; k < GROUP; k++) {
            const int code = k < HALF ? from[2 + k] & 15 : from[2 + k - HALF] >> 4;
            uint8_t *byte = to + place_of(row, k);
            *byte = (uint8_t)((*byte & other) | code << shift);
        }
    }
}

void kd__int4_row(const kd__int4 *q, int64_t row, float *to)
{
    const kd__block_format *f = kd__block_find(q->format);
    const int shift = shift_of(row);
    uint8_t block[ROW_BLOCK];
    float x[GROUP];
    for (int64_t g = 0; g < q->groups; g++) {
        const uint8_t *from = block_of(q, row, g);
        memcpy(block, from + row % WIDE * 2, 2);
        for (int64_t k = 0; k < HALF; k++)
            block[2 + k] = (uint8_t)((from[place_of(row, k)] >> shift & 15) |
                                     (from[place_of(row, k + HALF)] >> shift & 15) << 4);
        f->decode(block, x);
        memcpy(to + g * GROUP, x, (size_t)kd__min(GROUP, q->inputs - g * GROUP) * sizeof *x);
    }
}

typedef struct {
    kd__int4 *q;
    const kd__block_format *format;
    const float *w;
    int64_t first, rows;
    float *room;     /* (threads, 2, deep) */
    uint8_t *blocks; /* (threads, row) */
    int32_t *bad;    /* (threads): rows that have no blocks */
} filling;

/* Rows of a pair of outputs that share bytes belong to one thread: a panel is one piece. */
static void fill_panel(void *argument, int64_t piece, int32_t worker)
{
    const filling *f = argument;
    kd__int4 *q = f->q;
    const int64_t deep = q->groups * GROUP, panel = f->first / WIDE + piece;
    const int64_t begin = kd__max(panel * WIDE, f->first),
                  end = kd__min((panel + 1) * WIDE, f->first + f->rows);
    float *x = f->room + worker * 2 * deep;
    uint8_t *blocks = f->blocks + worker * q->groups * ROW_BLOCK;
    for (int64_t row = begin; row < end; row++) {
        memset(x, 0, (size_t)deep * sizeof *x);
        memcpy(x, f->w + (row - f->first) * q->inputs, (size_t)q->inputs * sizeof *x);
        const kd__block_report report =
            kd__block_encode_row(f->format, x, deep, NULL, blocks, x + deep);
        f->bad[worker] += !report.finite;
        if (report.finite) kd__int4_fill_blocks(q, row, blocks);
    }
}

kd_status kd__int4_fill(kd__int4 *q, kd_context *context, const char *name, const float *w,
                        int64_t first, int64_t rows)
{
    const int64_t threads = context->threads, deep = q->groups * GROUP,
                  panels = kd__ceil_div(first + rows, WIDE) - first / WIDE;
    filling f = {
        .q = q, .format = kd__block_find(q->format), .w = w, .first = first, .rows = rows
    };
    int32_t bad = 0;
    kd_status status = KD_NEW(context, &f.room, threads * 2 * deep);
    if (status == KD_OK) status = KD_NEW(context, &f.blocks, threads * q->groups * ROW_BLOCK);
    if (status == KD_OK) status = KD_NEW(context, &f.bad, threads);
    if (status == KD_OK) kd__parallel(context, panels, fill_panel, &f);
    for (int64_t i = 0; i < threads && status == KD_OK; i++) bad += f.bad[i];
    kd__release(context, f.room);
    kd__release(context, f.blocks);
    kd__release(context, f.bad);
    KD_TRY(status);
    KD_FAIL_IF(bad, KD_ERR_RANGE,
               "%s: %d rows have a number that is not finite, or too large for a float16 scale of "
               "%s: load it with weights KD_INT8 or KD_FLOAT32",
               name, bad, kd__block_find(q->format)->name);
    return KD_OK;
}

/* ---- the product ---- */

typedef struct {
    const kd__int4 *q;
    const float *x;
    float *y;
    int64_t rows, chunk;
    const kd__int4_kernels *tiles;
    const kd__kernels *kernels;
    float *by;     /* (rows, groups), rows up to tiles */
    int32_t *sums; /* the same */
    int8_t *a;     /* (rows / HIGH, deep / 4, HIGH, 4) */
    uint8_t *wide; /* (threads, deep, WIDE); NULL: panels are read as they are */
} product;

static int is_widened(const kd_context *context, int64_t rows)
{
    return rows > HIGH && kd__int4_choose(context)->widen != NULL;
}

/* Floats of each part, in this order: by, sums, a, wide. */
static int64_t parts_of(const kd_context *context, int64_t rows, int64_t inputs, int64_t parts[4])
{
    const int64_t lines = kd__round_up(rows, HIGH), groups = kd__ceil_div(inputs, GROUP);
    parts[0] = parts[1] = kd__round_up(lines * groups, 16);
    parts[2] = kd__round_up(lines * groups * GROUP / 4, 16);
    parts[3] = is_widened(context, rows) ? context->threads * groups * GROUP * WIDE / 4 : 0;
    return parts[0] + parts[1] + parts[2] + parts[3];
}

int64_t kd__int4_scratch(const kd_context *context, int64_t rows, int64_t inputs)
{
    int64_t parts[4];
    return parts_of(context, rows, inputs, parts);
}

/* Row r of a tile's; those after the last are 0. */
static void round_row(void *argument, int64_t r, int32_t worker)
{
    const product *p = argument;
    const int64_t n = p->q->inputs, groups = p->q->groups;
    int8_t piece[GROUP], *to = p->a + r / HIGH * HIGH * groups * GROUP + r % HIGH * 4;
    (void)worker;
    for (int64_t g = 0; g < groups; g++, to += HIGH * GROUP) {
        const int64_t count = kd__min(n - g * GROUP, GROUP);
        const float *x = r < p->rows ? p->x + r * n + g * GROUP : NULL;
        const float largest = x ? p->kernels->largest_size(x, count) : 0;
        memset(piece, 0, sizeof piece);
        p->by[r * groups + g] = largest / 127;
        p->sums[r * groups + g] =
            x ? p->tiles->round(x, count, largest > 0 ? 127 / largest : 0, piece) : 0;
        for (int64_t k = 0; k < GROUP; k += 4) memcpy(to + k * HIGH, piece + k, 4);
    }
}

static void write_tile(const product *p, int64_t first, int64_t panel, float sums[HIGH][WIDE])
{
    const int64_t begin = panel * WIDE, columns = kd__min(p->q->outputs - begin, WIDE);
    const int64_t lines = kd__min(p->rows - first, HIGH);
    for (int64_t i = 0; i < lines; i++)
        memcpy(p->y + (first + i) * p->q->outputs + begin, sums[i],
               (size_t)columns * sizeof(float));
}

static void multiply_panel(const product *p, int64_t panel, uint8_t *wide)
{
    const kd__int4 *q = p->q;
    kd__int4_tile t = { .code = kd__int4_code_of(q->format),
                        .groups = q->groups,
                        .blocks = q->blocks + panel * q->groups * KD__INT4_BLOCK };
    float sums[HIGH][WIDE];
    if (wide) p->tiles->widen(&t, wide);
    t.wide = wide;
    for (int64_t first = 0; first < p->rows; first += HIGH) {
        t.rows = kd__min(p->rows - first, HIGH);
        t.a = p->a + first * q->groups * GROUP;
        t.by = p->by + first * q->groups;
        t.sums = p->sums + first * q->groups;
        p->tiles->tile(&t, sums);
        write_tile(p, first, panel, sums);
    }
}

static void multiply(void *argument, int64_t piece, int32_t worker)
{
    const product *p = argument;
    const int64_t last = kd__min((piece + 1) * p->chunk, p->q->panels);
    uint8_t *wide = p->wide ? p->wide + worker * p->q->groups * GROUP * WIDE : NULL;
    for (int64_t panel = piece * p->chunk; panel < last; panel++) multiply_panel(p, panel, wide);
}

kd_status kd__int4_product(kd_context *context, const kd__int4 *q, const float *x, int64_t rows,
                           float *y)
{
    product p = { .q = q,
                  .x = x,
                  .y = y,
                  .rows = rows,
                  .tiles = kd__int4_choose(context),
                  .kernels = context->kernels };
    int64_t parts[4];
    float *scratch;
    KD_TRY(kd__scratch_take(context, parts_of(context, rows, q->inputs, parts), &scratch));
    p.by = scratch;
    p.sums = (int32_t *)(void *)(scratch + parts[0]);
    p.a = (int8_t *)(void *)(scratch + parts[0] + parts[1]);
    if (parts[3]) p.wide = (uint8_t *)(void *)(scratch + parts[0] + parts[1] + parts[2]);
    p.chunk = q->panels >= 64 ? 8 : kd__ceil_div(q->panels, 2 * context->threads);
    kd__parallel(context, kd__round_up(rows, HIGH), round_row, &p);
    kd__parallel(context, kd__ceil_div(q->panels, p.chunk), multiply, &p);
    kd__scratch_give(context, scratch);
    return KD_OK;
}
