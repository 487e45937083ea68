/* Products of float rows with weights of 8 bits. */
#include "math/cpu.h"
#include "math/int8.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/kernels.h"
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define WIDE 32                    /* outputs of a panel */
#define HIGH 6                     /* rows of a tile */
#define MOST KD__INT8_SMOOTH_GROUP /* inputs of a group */

/* y[i][j] = sum over groups of scales[group][j] by[i][group] (correction[group][j] + sum_k a[k][i]
 * b[k][j]), packed as a[input / 4][row][4], b[input / 4][output][4]. Always HIGH rows. */
typedef struct {
    int64_t groups, group, deep;
    const uint8_t *a;
    const float *by; /* (HIGH, groups) */
    const int8_t *b;
    const float *scales;
    const int32_t *corrections;
} tile_work;
typedef void tile_function(const tile_work *w, float y[HIGH][WIDE]);

/* Inputs of a group. */
static inline int64_t depth_of(const tile_work *w, int64_t g)
{
    return kd__min(w->group, w->deep - g * w->group);
}

/* Sums of one group to y. */
static void add_group(const tile_work *w, int64_t g, int32_t sums[HIGH][WIDE], float y[HIGH][WIDE])
{
    for (int i = 0; i < HIGH; i++)
        for (int j = 0; j < WIDE; j++)
            y[i][j] += (float)(sums[i][j] + w->corrections[g * WIDE + j]) *
                       (w->scales[g * WIDE + j] * w->by[i * w->groups + g]);
}

static void tile_portable(const tile_work *w, float y[HIGH][WIDE])
{
    const int8_t *b = w->b;
    const uint8_t *a = w->a;
    memset(y, 0, HIGH * WIDE * sizeof(float));
    for (int64_t g = 0; g < w->groups; g++) {
        const int64_t depth = depth_of(w, g);
        int32_t sums[HIGH][WIDE] = { { 0 } };
        for (int64_t k = 0; k < depth / 4; k++, b += 4 * WIDE, a += 4 * HIGH)
            for (int i = 0; i < HIGH; i++)
                for (int j = 0; j < WIDE; j++)
                    sums[i][j] += a[4 * i] * b[4 * j] + a[4 * i + 1] * b[4 * j + 1] +
                                  a[4 * i + 2] * b[4 * j + 2] + a[4 * i + 3] * b[4 * j + 3];
        add_group(w, g, sums, y);
    }
}

#ifdef __x86_64__
/* Sums are named, not numbered: compilers keep arrays of them in memory. */
#define EACH_ROW(x) x(0) x(1) x(2) x(3) x(4) x(5)
#define BEGIN(i) __m512 ylow##i = _mm512_setzero_ps(), yhigh##i = ylow##i;
#define CORRECT(i) __m512i low##i = c0, high##i = c1;
#define ADD(i)                                                                                     \
    x = _mm512_set1_epi32(fours[i]);                                                               \
    low##i = _mm512_dpbusd_epi32(low##i, x, b0);                                                   \
    high##i = _mm512_dpbusd_epi32(high##i, x, b1);
#define SCALE(i)                                                                                   \
    by = _mm512_set1_ps(w->by[i * w->groups + g]);                                                 \
    ylow##i = _mm512_fmadd_ps(_mm512_cvtepi32_ps(low##i), _mm512_mul_ps(s0, by), ylow##i);         \
    yhigh##i = _mm512_fmadd_ps(_mm512_cvtepi32_ps(high##i), _mm512_mul_ps(s1, by), yhigh##i);
#define END(i)                                                                                     \
    _mm512_storeu_ps(y[i], ylow##i);                                                               \
    _mm512_storeu_ps(y[i] + 16, yhigh##i);

typedef int32_t aliased __attribute__((may_alias, aligned(1)));

__attribute__((target("avx512f,avx512bw,avx512vnni"))) static void tile_vnni(const tile_work *w,
                                                                             float y[HIGH][WIDE])
{
    const int8_t *b = w->b;
    const uint8_t *a = w->a;
    EACH_ROW(BEGIN)
    for (int64_t g = 0; g < w->groups; g++) {
        const int64_t depth = depth_of(w, g);
        const __m512i c0 = _mm512_loadu_si512(w->corrections + g * WIDE),
                      c1 = _mm512_loadu_si512(w->corrections + g * WIDE + 16);
        EACH_ROW(CORRECT)
        for (int64_t k = 0; k < depth / 4; k++, b += 4 * WIDE, a += 4 * HIGH) {
            const aliased *fours = (const aliased *)a;
            const __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 64);
            __m512i x;
            EACH_ROW(ADD)
        }
        const __m512 s0 = _mm512_loadu_ps(w->scales + g * WIDE),
                     s1 = _mm512_loadu_ps(w->scales + g * WIDE + 16);
        __m512 by;
        EACH_ROW(SCALE)
    }
    EACH_ROW(END)
}

/* Pairs of 16-bit products: no sum of two overflows, as it would in 8 by 8 bits. Two rows by 8
 * outputs at a time. */
__attribute__((target("avx2"))) static void group_avx2(const uint8_t *a, const int8_t *b,
                                                       int64_t group, int32_t sums[HIGH][WIDE])
{
    for (int i = 0; i < HIGH; i += 2)
        for (int j = 0; j < WIDE; j += 8) {
            __m256i s0 = _mm256_setzero_si256(), s1 = s0, t0 = s0, t1 = s0;
            for (int64_t k = 0; k < group / 4; k++) {
                const __m128i *at = (const __m128i *)(const void *)(b + (k * WIDE + j) * 4);
                const __m256i b0 = _mm256_cvtepi8_epi16(_mm_loadu_si128(at)),
                              b1 = _mm256_cvtepi8_epi16(_mm_loadu_si128(at + 1));
                const aliased *fours = (const aliased *)(a + (k * HIGH + i) * 4);
                const __m256i x4 = _mm256_cvtepu8_epi16(_mm_set1_epi32(fours[0])),
                              y4 = _mm256_cvtepu8_epi16(_mm_set1_epi32(fours[1]));
                s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(x4, b0));
                s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(x4, b1));
                t0 = _mm256_add_epi32(t0, _mm256_madd_epi16(y4, b0));
                t1 = _mm256_add_epi32(t1, _mm256_madd_epi16(y4, b1));
            }
            /* each output has two neighboring sums; hadd puts the lanes as 0 1 4 5 2 3 6 7 */
            _mm256_storeu_si256((__m256i *)(void *)(sums[i] + j),
                                _mm256_permute4x64_epi64(_mm256_hadd_epi32(s0, s1), 0xd8));
            _mm256_storeu_si256((__m256i *)(void *)(sums[i + 1] + j),
                                _mm256_permute4x64_epi64(_mm256_hadd_epi32(t0, t1), 0xd8));
        }
}

static void tile_avx2(const tile_work *w, float y[HIGH][WIDE])
{
    memset(y, 0, HIGH * WIDE * sizeof(float));
    for (int64_t g = 0; g < w->groups; g++) {
        int32_t sums[HIGH][WIDE];
        group_avx2(w->a + g * w->group * HIGH, w->b + g * w->group * WIDE, depth_of(w, g), sums);
        add_group(w, g, sums, y);
    }
}
#endif

static tile_function *choose(const kd_context *context)
{
#ifdef __x86_64__
    if (context->kernels->isa == KD_ISA_AVX512 && context->cpu & KD__CPU_AVX512_VNNI)
        return tile_vnni;
    if (context->kernels->isa != KD_ISA_PORTABLE) return tile_avx2;
#endif
    (void)context;
    return tile_portable;
}

/* ---- weights ---- */

static int64_t group_for(int smooth, int64_t inputs)
{
    return smooth && inputs >= KD__INT8_MANY ? KD__INT8_SMOOTH_GROUP : KD__INT8_GROUP;
}

int64_t kd__int8_bytes(int64_t outputs, int64_t inputs, int smooth)
{
    const int64_t rows = kd__round_up(outputs, WIDE), group = group_for(smooth, inputs);
    return (smooth ? 4 * inputs : 0) + rows * kd__round_up(inputs, KD__INT8_GROUP) +
           rows * kd__ceil_div(inputs, group) * 8;
}

void kd__int8_free(kd__int8 *q, kd_context *context)
{
    kd__release(context, q->values);
    kd__release(context, q->scales);
    kd__release(context, q->corrections);
    kd__release(context, q->inverse);
    *q = (kd__int8){ 0 };
}

typedef struct {
    kd__int8 *q;
    const float *w, *s;
    int64_t first;
} packing;

static void pack_row(void *argument, int64_t index, int32_t worker)
{
    const packing *p = argument;
    kd__int8 *q = p->q;
    const float *w = p->w + index * q->inputs;
    const int64_t n = p->first + index;
    int8_t *to = q->values + n / WIDE * q->deep * WIDE + n % WIDE * 4;
    (void)worker;
    for (int64_t g = 0; g < q->groups; g++) {
        const int64_t first = g * q->group, last = kd__min(first + q->group, q->inputs),
                      at = (n / WIDE * q->groups + g) * WIDE + n % WIDE;
        float largest = 0, group[MOST];
        int32_t sum = 0;
        for (int64_t k = first; k < last; k++) {
            group[k - first] = p->s ? w[k] * p->s[k] : w[k];
            largest = fmaxf(largest, fabsf(group[k - first]));
        }
        const float inverse = largest > 0 ? 127 / largest : 0;
        for (int64_t k = first; k < last; k++) {
            const int32_t value = (int32_t)lrintf(group[k - first] * inverse);
            to[k / 4 * 4 * WIDE + k % 4] = (int8_t)value;
            sum += value;
        }
        q->scales[at] = largest / 127;
        q->corrections[at] = -128 * sum;
    }
}

kd_status kd__int8_begin(kd__int8 *q, kd_context *context, int64_t outputs, int64_t inputs,
                         const float *s)
{
    *q = (kd__int8){ .outputs = outputs,
                     .inputs = inputs,
                     .panels = kd__ceil_div(outputs, WIDE),
                     .groups = kd__ceil_div(inputs, group_for(s != NULL, inputs)),
                     .group = group_for(s != NULL, inputs),
                     .deep = kd__round_up(inputs, KD__INT8_GROUP) };
    kd_status status = KD_NEW(context, &q->values, q->panels * q->deep * WIDE);
    if (status == KD_OK) status = KD_NEW(context, &q->scales, q->panels * q->groups * WIDE);
    if (status == KD_OK) status = KD_NEW(context, &q->corrections, q->panels * q->groups * WIDE);
    if (status == KD_OK && s) status = KD_NEW(context, &q->inverse, inputs);
    if (status != KD_OK) {
        kd__int8_free(q, context);
        return status;
    }
    for (int64_t k = 0; s && k < inputs; k++) q->inverse[k] = 1 / s[k];
    return KD_OK;
}

void kd__int8_fill(kd__int8 *q, kd_context *context, const float *w, int64_t first, int64_t rows,
                   const float *s)
{
    packing p = { q, w, s, first };
    kd__parallel(context, rows, pack_row, &p);
}

kd_status kd__int8_make(kd__int8 *q, kd_context *context, const float *w, int64_t outputs,
                        int64_t inputs, const float *s)
{
    KD_TRY(kd__int8_begin(q, context, outputs, inputs, s));
    kd__int8_fill(q, context, w, 0, outputs, s);
    return KD_OK;
}

void kd__int8_row(const kd__int8 *q, int64_t row, float *to)
{
    const int8_t *from = q->values + row / WIDE * q->deep * WIDE + row % WIDE * 4;
    const float *scales = q->scales + row / WIDE * q->groups * WIDE + row % WIDE;
    for (int64_t k = 0; k < q->inputs; k++) {
        to[k] = (float)from[k / 4 * 4 * WIDE + k % 4] * scales[k / q->group * WIDE];
        if (q->inverse) to[k] *= q->inverse[k];
    }
}

/* ---- the product ---- */

typedef struct {
    const kd__int8 *q;
    const float *x;
    int64_t rows, chunk;
    uint8_t *a; /* (rows / HIGH, inputs / 4, HIGH, 4), inputs up to groups */
    float *by;  /* (rows, groups) */
    float *y;
    tile_function *tile;
    const kd__kernels *kernels;
} product;

/* a = round(x inverse) + 128; |x inverse| is at most 127. */
static inline __attribute__((always_inline)) void to_bytes(const float *x, int64_t n, float inverse,
                                                           uint8_t *a)
{
    for (int64_t k = 0; k < n; k++) a[k] = (uint8_t)(int32_t)(x[k] * inverse + 128.5f);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void to_bytes_avx2(const float *x, int64_t n, float inverse,
                                                          uint8_t *a)
{
    to_bytes(x, n, inverse, a);
}
#endif

/* A row's inputs of a group, smoothed into `room` where they are. */
static const float *group_of(const product *p, int64_t r, int64_t first, int64_t count, float *room)
{
    const float *x = p->x + r * p->q->inputs + first, *inverse = p->q->inverse;
    if (!inverse) return x;
    for (int64_t k = 0; k < count; k++) room[k] = x[k] * inverse[first + k];
    return room;
}

static void quantize_row(void *argument, int64_t r, int32_t worker)
{
    const product *p = argument;
    const int64_t n = p->q->inputs, group = p->q->group, deep = p->q->deep;
    uint8_t piece[MOST], *to = p->a + r / HIGH * HIGH * deep + r % HIGH * 4;
    float room[MOST];
    (void)worker;
    for (int64_t g = 0; g < p->q->groups; g++) {
        const int64_t first = g * group, count = kd__min(n - first, group);
        const float *x = r < p->rows ? group_of(p, r, first, count, room) : NULL;
        const float largest = x ? p->kernels->largest_size(x, count) : 0,
                    inverse = largest > 0 ? 127 / largest : 0;
        memset(piece, 128, sizeof piece);
        if (x) {
#ifdef __x86_64__
            if (p->kernels->isa != KD_ISA_PORTABLE) to_bytes_avx2(x, count, inverse, piece);
            else
#endif
                to_bytes(x, count, inverse, piece);
        }
        for (int64_t k = 0; k < group && first + k < deep; k += 4)
            memcpy(to + (first + k) * HIGH, piece + k, 4);
        p->by[r * p->q->groups + g] = largest / 127;
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

static void multiply(void *argument, int64_t piece, int32_t worker)
{
    const product *p = argument;
    const kd__int8 *q = p->q;
    const int64_t deep = q->deep, last = kd__min((piece + 1) * p->chunk, q->panels);
    float sums[HIGH][WIDE];
    (void)worker;
    for (int64_t panel = piece * p->chunk; panel < last; panel++)
        for (int64_t first = 0; first < p->rows; first += HIGH) {
            const tile_work w = { q->groups,
                                  q->group,
                                  deep,
                                  p->a + first * deep,
                                  p->by + first * q->groups,
                                  q->values + panel * WIDE * deep,
                                  q->scales + panel * q->groups * WIDE,
                                  q->corrections + panel * q->groups * WIDE };
            p->tile(&w, sums);
            write_tile(p, first, panel, sums);
        }
}

int64_t kd__int8_scratch(int64_t rows, int64_t inputs)
{
    const int64_t lines = kd__round_up(rows, HIGH), groups = kd__ceil_div(inputs, KD__INT8_GROUP);
    return lines * kd__round_up(inputs, KD__INT8_GROUP) / 4 + kd__round_up(lines * groups, 16);
}

kd_status kd__int8_product(kd_context *context, const kd__int8 *q, const float *x, int64_t rows,
                           float *y)
{
    product p = {
        .q = q, .x = x, .y = y, .rows = rows, .tile = choose(context), .kernels = context->kernels
    };
    const int64_t lines = kd__round_up(rows, HIGH);
    float *scratch;
    KD_TRY(kd__scratch_take(context, kd__int8_scratch(rows, q->inputs), &scratch));
    p.by = scratch;
    p.a = (uint8_t *)(void *)(scratch + kd__round_up(lines * q->groups, 16));
    p.chunk = q->panels >= 64 ? 8 : (q->panels + 2 * context->threads - 1) / (2 * context->threads);
    kd__parallel(context, lines, quantize_row, &p);
    kd__parallel(context, kd__ceil_div(q->panels, p.chunk), multiply, &p);
    kd__scratch_give(context, scratch);
    return KD_OK;
}
