#include "math/int8.h"

#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "math/kernels.h"
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define WIDE 32 /* outputs of a panel */
#define HIGH 12 /* rows of a tile */

/* sums[i][j] = sum_k a[k][i] b[k][j] over `fours` groups of four numbers, packed as a[group][row][4], b[group][output][4]; a is unsigned:
 * numbers + 128. Always HIGH rows.                                                                                            */
typedef void tile_function(int64_t fours, const uint8_t *a, const int8_t *b, int32_t sums[HIGH][WIDE]);

static void tile_portable(int64_t fours, const uint8_t *a, const int8_t *b, int32_t sums[HIGH][WIDE])
{
    memset(sums, 0, HIGH * WIDE * sizeof(int32_t));
    for (int64_t k = 0; k < fours; k++, b += 4 * WIDE)
        for (int i = 0; i < HIGH; i++)
            for (int j = 0; j < WIDE; j++) {
                const uint8_t *x = a + (k * HIGH + i) * 4;
                sums[i][j] += x[0] * b[4 * j] + x[1] * b[4 * j + 1] + x[2] * b[4 * j + 2] + x[3] * b[4 * j + 3];
            }
}

#ifdef __x86_64__
/* Sums are named, not numbered: compilers keep arrays of them in memory. */
#define EACH_ROW(x) x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11)
#define BEGIN(i) __m512i low##i = _mm512_setzero_si512(), high##i = low##i;
#define ADD(i)                                                                                                                                       \
    x = _mm512_set1_epi32(fours_of_a[i]);                                                                                                            \
    low##i = _mm512_dpbusd_epi32(low##i, x, b0);                                                                                                     \
    high##i = _mm512_dpbusd_epi32(high##i, x, b1);
#define END(i)                                                                                                                                       \
    _mm512_storeu_si512(sums[i], low##i);                                                                                                            \
    _mm512_storeu_si512(sums[i] + 16, high##i);

typedef int32_t aliased __attribute__((may_alias, aligned(1)));

__attribute__((target("avx512f,avx512bw,avx512vnni"))) static void tile_vnni(int64_t fours, const uint8_t *a, const int8_t *b,
                                                                             int32_t sums[HIGH][WIDE])
{
    EACH_ROW(BEGIN)
    for (int64_t k = 0; k < fours; k++, b += 4 * WIDE, a += 4 * HIGH) {
        const aliased *fours_of_a = (const aliased *)a;
        const __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 64);
        __m512i x;
        EACH_ROW(ADD)
    }
    EACH_ROW(END)
}

/* Pairs of 16-bit products: no sum of two overflows, as it would in 8 by 8 bits. Two rows by 32 outputs at a time. */
__attribute__((target("avx2"))) static void tile_avx2(int64_t fours, const uint8_t *a, const int8_t *b, int32_t sums[HIGH][WIDE])
{
    for (int i = 0; i < HIGH; i += 2)
        for (int j = 0; j < WIDE; j += 8) { /* 8 outputs: 32 bytes a group of four */
            __m256i s0 = _mm256_setzero_si256(), s1 = s0, t0 = s0, t1 = s0;
            for (int64_t k = 0; k < fours; k++) {
                const __m128i *at = (const __m128i *)(const void *)(b + (k * WIDE + j) * 4);
                const __m256i b0 = _mm256_cvtepi8_epi16(_mm_loadu_si128(at)), b1 = _mm256_cvtepi8_epi16(_mm_loadu_si128(at + 1));
                int32_t x, y;
                memcpy(&x, a + (k * HIGH + i) * 4, 4);
                memcpy(&y, a + (k * HIGH + i + 1) * 4, 4);
                const __m256i x4 = _mm256_cvtepu8_epi16(_mm_set1_epi32(x)), y4 = _mm256_cvtepu8_epi16(_mm_set1_epi32(y));
                s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(x4, b0));
                s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(x4, b1));
                t0 = _mm256_add_epi32(t0, _mm256_madd_epi16(y4, b0));
                t1 = _mm256_add_epi32(t1, _mm256_madd_epi16(y4, b1));
            }
            /* each output has two neighbouring sums; hadd puts the lanes as 0 1 4 5 2 3 6 7 */
            _mm256_storeu_si256((__m256i *)(void *)(sums[i] + j), _mm256_permute4x64_epi64(_mm256_hadd_epi32(s0, s1), 0xd8));
            _mm256_storeu_si256((__m256i *)(void *)(sums[i + 1] + j), _mm256_permute4x64_epi64(_mm256_hadd_epi32(t0, t1), 0xd8));
        }
}
#endif

static tile_function *choose(const kd_context *context)
{
#ifdef __x86_64__
    if (context->kernels->isa == KD_ISA_AVX512 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")) return tile_vnni;
    if (context->kernels->isa != KD_ISA_PORTABLE && __builtin_cpu_supports("avx2")) return tile_avx2;
#endif
    (void)context;
    return tile_portable;
}

/* ---- weights ---- */

static int64_t up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

int64_t kd__int8_bytes(int64_t outputs, int64_t inputs) { return up(outputs, WIDE) * up(inputs, 4) + outputs * 8; }

void kd__int8_free(kd__int8 *q, kd_context *context)
{
    kd__release(context, q->values);
    kd__release(context, q->scales);
    kd__release(context, q->sums);
    *q = (kd__int8){ 0 };
}

typedef struct {
    kd__int8 *q;
    const float *w;
} packing;

static void pack_row(void *argument, int64_t n, int32_t worker)
{
    const packing *p = argument;
    kd__int8 *q = p->q;
    const float *w = p->w + n * q->inputs;
    int8_t *to = q->values + n / WIDE * up(q->inputs, 4) * WIDE + n % WIDE * 4;
    float largest = 0;
    (void)worker;
    for (int64_t k = 0; k < q->inputs; k++) largest = fmaxf(largest, fabsf(w[k]));
    const float inverse = largest > 0 ? 127 / largest : 0;
    int32_t sum = 0;
    for (int64_t k = 0; k < q->inputs; k++) {
        const int32_t value = (int32_t)lrintf(w[k] * inverse);
        to[k / 4 * 4 * WIDE + k % 4] = (int8_t)value;
        sum += value;
    }
    q->scales[n] = largest / 127;
    q->sums[n] = sum;
}

kd_status kd__int8_make(kd__int8 *q, kd_context *context, const float *w, int64_t outputs, int64_t inputs)
{
    *q = (kd__int8){ .outputs = outputs, .inputs = inputs };
    kd_status status = KD_NEW(context, &q->values, up(outputs, WIDE) * up(inputs, 4));
    if (status == KD_OK) status = KD_NEW(context, &q->scales, outputs);
    if (status == KD_OK) status = KD_NEW(context, &q->sums, outputs);
    if (status != KD_OK) {
        kd__int8_free(q, context);
        return status;
    }
    packing p = { q, w };
    kd__parallel(context, outputs, pack_row, &p);
    return KD_OK;
}

/* ---- the product ---- */

typedef struct {
    const kd__int8 *q;
    const float *x;
    int64_t rows, lda, chunk;
    uint8_t *a;    /* (rows / HIGH, lda / 4, HIGH, 4) */
    float *scales; /* (rows) */
    float *y;
    tile_function *tile;
    const kd__kernels *kernels;
} product;

/* a = round(x inverse) + 128; |x inverse| is at most 127. */
static inline __attribute__((always_inline)) void to_bytes(const float *x, int64_t n, float inverse, uint8_t *a)
{
    for (int64_t k = 0; k < n; k++) a[k] = (uint8_t)(int32_t)(x[k] * inverse + 128.5f);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void to_bytes_avx2(const float *x, int64_t n, float inverse, uint8_t *a) { to_bytes(x, n, inverse, a); }
#endif

static void quantise_row(void *argument, int64_t r, int32_t worker)
{
    const product *p = argument;
    const int64_t n = p->q->inputs;
    const float *x = p->x + r * n;
    uint8_t piece[1024], *to = p->a + r / HIGH * HIGH * p->lda + r % HIGH * 4;
    const float largest = r < p->rows ? p->kernels->largest_size(x, n) : 0, inverse = largest > 0 ? 127 / largest : 0;
    (void)worker;
    for (int64_t at = 0; at < p->lda; at += 1024) {
        const int64_t count = n - at < 1024 ? n - at : 1024, whole = p->lda - at < 1024 ? p->lda - at : 1024;
        memset(piece, 128, sizeof piece);
        if (r >= p->rows) {
        }
#ifdef __x86_64__
        else if (p->kernels->isa != KD_ISA_PORTABLE)
            to_bytes_avx2(x + at, count, inverse, piece);
#endif
        else to_bytes(x + at, count, inverse, piece);
        for (int64_t k = 0; k < whole; k += 4) memcpy(to + (at + k) * HIGH, piece + k, 4);
    }
    if (r < p->rows) p->scales[r] = largest / 127;
}

static void write_tile(const product *p, int64_t first, int64_t panel, int32_t sums[HIGH][WIDE])
{
    const int64_t begin = panel * WIDE, columns = p->q->outputs - begin < WIDE ? p->q->outputs - begin : WIDE;
    const int64_t lines = p->rows - first < HIGH ? p->rows - first : HIGH;
    for (int64_t i = 0; i < lines; i++) {
        float *y = p->y + (first + i) * p->q->outputs + begin;
        const float scale = p->scales[first + i];
        for (int64_t j = 0; j < columns; j++) y[j] = scale * p->q->scales[begin + j] * (float)(sums[i][j] - 128 * p->q->sums[begin + j]);
    }
}

static void multiply(void *argument, int64_t piece, int32_t worker)
{
    const product *p = argument;
    const int64_t panels = up(p->q->outputs, WIDE) / WIDE, last = (piece + 1) * p->chunk < panels ? (piece + 1) * p->chunk : panels;
    int32_t sums[HIGH][WIDE];
    (void)worker;
    for (int64_t panel = piece * p->chunk; panel < last; panel++)
        for (int64_t first = 0; first < p->rows; first += HIGH) {
            p->tile(p->lda / 4, p->a + first * p->lda, p->q->values + panel * WIDE * p->lda, sums);
            write_tile(p, first, panel, sums);
        }
}

kd_status kd__int8_product(kd_context *context, const kd__int8 *q, const float *x, int64_t rows, float *y)
{
    product p = { .q = q, .x = x, .y = y, .rows = rows, .lda = up(q->inputs, 4), .tile = choose(context), .kernels = context->kernels };
    const int64_t lines = up(rows, HIGH), panels = up(q->outputs, WIDE) / WIDE;
    float *scratch;
    KD_TRY(kd__scratch_take(context, lines * p.lda / 4 + up(lines, 16) + 64, &scratch));
    p.scales = scratch;
    p.a = (uint8_t *)(void *)(scratch + up(lines, 16));
    p.chunk = panels >= 64 ? 8 : (panels + 2 * context->threads - 1) / (2 * context->threads);
    kd__parallel(context, lines, quantise_row, &p);
    kd__parallel(context, (panels + p.chunk - 1) / p.chunk, multiply, &p);
    kd__scratch_give(context, scratch);
    return KD_OK;
}
