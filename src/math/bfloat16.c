/* Products in bfloat16 on processors that have them, and which way of multiplying is fastest. */
#include "math/cpu.h"
#include "math/bfloat16.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/measure.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "math/kernels.h"
#ifdef __x86_64__
#include <immintrin.h>
#endif

/* A step of depth is two numbers of a line, the first in the low half of a 32-bit place: the order
 * of vdpbf16ps. */
#define HIGH 12 /* lines of a tile */
#define WIDE 32 /* columns */
#define DEEP 64 /* steps that are rounded before they are transposed */

typedef uint32_t pair __attribute__((may_alias));

/* ---- plain C ---- */

static inline uint32_t rounded(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x) return bits >> 16 | 0x40; /* NaN stays NaN */
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static inline float widened(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline __attribute__((always_inline)) void pack_plain(const float *x, int64_t row,
                                                             int64_t column, int64_t count,
                                                             int64_t depth, int64_t width,
                                                             float *to)
{
    pair *place = (pair *)(void *)to;
    for (int64_t p = 0; p < depth; p += 2, place += width) {
        for (int64_t i = 0; i < count; i++) {
            const float *at = x + i * row + p * column;
            place[i] = rounded(*at) | (p + 1 < depth ? rounded(at[column]) << 16 : 0);
        }
        for (int64_t i = count; i < width; i++) place[i] = 0;
    }
}

static inline __attribute__((always_inline)) void
tile_plain(int64_t steps, float alpha, const float *a, const float *b, float beta, float *c,
           int64_t ldc, int32_t rows, int32_t columns, const kd__ahead *ahead)
{
    const pair *x = (const pair *)(const void *)a, *y = (const pair *)(const void *)b;
    float sums[HIGH][WIDE] = { { 0 } };
    kd__fetching next = kd__fetch_begin(ahead);
    for (int64_t p = 0; p < steps; p++, x += HIGH, y += WIDE) {
        if (p % KD__AHEAD_STEPS == 0) kd__fetch_line(&next);
        float first[WIDE], second[WIDE];
        for (int j = 0; j < WIDE; j++)
            first[j] = widened(y[j] << 16), second[j] = widened(y[j] & 0xffff0000);
        for (int32_t i = 0; i < rows; i++) {
            const float low = widened(x[i] << 16), high = widened(x[i] & 0xffff0000);
            for (int j = 0; j < WIDE; j++)
                sums[i][j] = sums[i][j] + high * second[j] + low * first[j];
        }
    }
    for (int32_t i = 0; i < rows; i++, c += ldc)
        for (int32_t j = 0; j < columns; j++)
            c[j] = sums[i][j] * alpha + (beta != 0 ? c[j] * beta : 0);
}

#define PLAIN(name, attribute)                                                                     \
    attribute static void pack_##name(const float *x, int64_t row, int64_t column, int64_t count,  \
                                      int64_t depth, int64_t width, float *to)                     \
    {                                                                                              \
        pack_plain(x, row, column, count, depth, width, to);                                       \
    }                                                                                              \
    attribute static void tile_##name(int64_t steps, float alpha, const float *a, const float *b,  \
                                      float beta, float *c, int64_t ldc, int32_t rows,             \
                                      int32_t columns, const kd__ahead *ahead)                     \
    {                                                                                              \
        tile_plain(steps, alpha, a, b, beta, c, ldc, rows, columns, ahead);                        \
    }                                                                                              \
    static const kd__tiles tiles_##name = { HIGH, WIDE, 2, pack_##name, tile_##name };

PLAIN(portable, )

#ifdef __x86_64__
PLAIN(avx2, __attribute__((target("avx2,fma"))))

/* ---- AVX512-BF16 ---- */

#define NATIVE __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

/* `count` numbers of up to 16, the others 0, as bfloat16 in the low halves of 32-bit places. */
NATIVE static inline __m512i low_halves(const float *x, __mmask16 some)
{
    return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, x)));
}

static inline uint16_t mask_of(int64_t count)
{
    return (uint16_t)(count >= 16 ? 0xffff : (1 << kd__max(count, 0)) - 1);
}

/* Lines that lie beside each other: x[i + p * column]. */
NATIVE static void pack_beside(const float *x, int64_t column, int64_t count, int64_t depth,
                               int64_t width, float *to)
{
    for (int64_t p = 0; p < depth; p += 2, x += 2 * column, to += width)
        for (int64_t i = 0; i < width; i += 16) {
            const __mmask16 some = mask_of(count - i);
            __m512i both = low_halves(x + i, some);
            if (p + 1 < depth)
                both =
                    _mm512_or_si512(both, _mm512_slli_epi32(low_halves(x + column + i, some), 16));
            _mm512_mask_storeu_epi32(to + i, mask_of(width - i), both);
        }
}

/* A line's numbers beside each other: steps of some lines are rounded, then moved as floats are,
 * for moving changes no bit. */
NATIVE static void pack_along(const float *x, int64_t row, int64_t count, int64_t depth,
                              int64_t width, float *to)
{
    float steps[WIDE][DEEP];
    for (int64_t start = 0; start < depth; start += 2 * DEEP) {
        const int64_t some = kd__min(depth - start, 2 * DEEP);
        for (int64_t i = 0; i < count; i++)
            for (int64_t p = 0; p < some; p += 32) {
                const float *at = x + i * row + start + p;
                const __m512 first = _mm512_maskz_loadu_ps(mask_of(some - p), at),
                             second = _mm512_maskz_loadu_ps(mask_of(some - p - 16), at + 16);
                _mm512_storeu_si512(steps[i] + p / 2, (__m512i)_mm512_cvtne2ps_pbh(second, first));
            }
        kd__kernels_avx512.pack(steps[0], DEEP, 1, count, (some + 1) / 2, width,
                                to + start / 2 * width);
    }
}

NATIVE static void pack_native(const float *x, int64_t row, int64_t column, int64_t count,
                               int64_t depth, int64_t width, float *to)
{
    if (row == 1) pack_beside(x, column, count, depth, width, to);
    else pack_along(x, row, count, depth, width, to);
}

/* Sums are named, not numbered: compilers keep arrays of them in memory. */
#define SIX_ROWS(x) x(0) x(1) x(2) x(3) x(4) x(5)
#define TWELVE_ROWS(x) SIX_ROWS(x) x(6) x(7) x(8) x(9) x(10) x(11)
#define BEGIN(i) __m512 low##i = _mm512_setzero_ps(), high##i = low##i;
#define ADD(i)                                                                                     \
    x = (__m512bh)_mm512_set1_epi32(a[i]);                                                         \
    low##i = _mm512_dpbf16_ps(low##i, b0, x);                                                      \
    high##i = _mm512_dpbf16_ps(high##i, b1, x);
#define END(i)                                                                                     \
    if (i < rows) {                                                                                \
        float *to = c + i * ldc;                                                                   \
        __m512 y0 = _mm512_mul_ps(low##i, by), y1 = _mm512_mul_ps(high##i, by);                    \
        if (beta != 0) {                                                                           \
            y0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(left, to), kept, y0);                       \
            y1 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(right, to + 16), kept, y1);                 \
        }                                                                                          \
        _mm512_mask_storeu_ps(to, left, y0);                                                       \
        _mm512_mask_storeu_ps(to + 16, right, y1);                                                 \
    }
#define TILE(name, rows_of)                                                                        \
    NATIVE static void name(int64_t steps, float alpha, const float *lines, const float *panel,    \
                            float beta, float *c, int64_t ldc, int32_t rows, int32_t columns,      \
                            const kd__ahead *ahead)                                                \
    {                                                                                              \
        typedef int32_t aliased __attribute__((may_alias, aligned(4)));                            \
        const aliased *a = (const aliased *)(const void *)lines;                                   \
        const __mmask16 left = mask_of(columns), right = mask_of(columns - 16);                    \
        const __m512 by = _mm512_set1_ps(alpha), kept = _mm512_set1_ps(beta);                      \
        rows_of(BEGIN) for (int32_t i = 0; i < rows; i++)                                          \
        {                                                                                          \
            __builtin_prefetch(c + i * ldc, 1, 3);                                                 \
            __builtin_prefetch(c + i * ldc + columns - 1, 1, 3);                                   \
        }                                                                                          \
        kd__fetching next = kd__fetch_begin(ahead);                                                \
        for (int64_t p = 0; p < steps;) {                                                          \
            const int64_t stop = kd__min(p + KD__AHEAD_STEPS, steps);                              \
            kd__fetch_line(&next);                                                                 \
            for (; p < stop; p++, a += HIGH, panel += WIDE) {                                      \
                const __m512bh b0 = (__m512bh)_mm512_loadu_ps(panel),                              \
                               b1 = (__m512bh)_mm512_loadu_ps(panel + 16);                         \
                __m512bh x;                                                                        \
                rows_of(ADD)                                                                       \
            }                                                                                      \
        }                                                                                          \
        rows_of(END)                                                                               \
    }
TILE(tile_six, SIX_ROWS)
TILE(tile_twelve, TWELVE_ROWS)

static void tile_native(int64_t steps, float alpha, const float *a, const float *b, float beta,
                        float *c, int64_t ldc, int32_t rows, int32_t columns,
                        const kd__ahead *ahead)
{
    (rows <= 6 ? tile_six : tile_twelve)(steps, alpha, a, b, beta, c, ldc, rows, columns, ahead);
}

static const kd__tiles tiles_native = { HIGH, WIDE, 2, pack_native, tile_native };
#endif

const kd__tiles *kd__bfloat16_tiles(const kd_context *context)
{
#ifdef __x86_64__
    if (context->kernels->isa == KD_ISA_AVX512 && context->cpu & KD__CPU_AVX512_BF16)
        return &tiles_native;
    if (context->kernels->isa != KD_ISA_PORTABLE) return &tiles_avx2;
#endif
    (void)context;
    return &tiles_portable;
}

/* ---- which is faster ---- */

#define LINES 192
#define SIDE 768
#define TRIES 6
#define MOST_SECONDS 0.5 /* no further try after that: under an emulator all take a minute */

static kd_status time_product(kd_context *context, const kd__gemm *g, const kd__tiles *tiles,
                              double *speed)
{
    const double start = kd__os_now();
    KD_TRY(tiles ? kd__gemm_tiles(context, g, tiles) : kd__gemm_float32(context, g));
    const double seconds = kd__os_now() - start;
    if (seconds > 0) *speed = fmax(*speed, 2.0 * LINES * SIDE * SIDE / seconds);
    return KD_OK;
}

/* In turns, so that other work on the machine disturbs both. */
kd_status kd__measure_products(kd_context *context, double *float32, double *bfloat16)
{
    float *block = NULL;
    kd_status status = KD_OK;
    KD_TRY(KD_NEW(context, &block, 2 * LINES * SIDE + SIDE * SIDE));
    const int64_t lines = LINES * SIDE, square = SIDE * SIDE;
    const kd__gemm g = { .b_t = 1,
                         .m = LINES,
                         .n = SIDE,
                         .k = SIDE,
                         .alpha = 1,
                         .a = block,
                         .lda = SIDE,
                         .b = block + lines,
                         .ldb = SIDE,
                         .c = block + lines + square,
                         .ldc = SIDE };
    for (int64_t i = 0; i < lines + square; i++) block[i] = (float)(i % 13) - 6;
    *float32 = *bfloat16 = 0;
    const double start = kd__os_now();
    for (int i = 0; i < TRIES && status == KD_OK; i++) {
        if (i && kd__os_now() - start > MOST_SECONDS) break;
        status = time_product(context, &g, NULL, float32);
        if (status == KD_OK)
            status = time_product(context, &g, kd__bfloat16_tiles(context), bfloat16);
    }
    kd__release(context, block);
    return status;
}
