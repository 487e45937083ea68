/* Tiles of products with weights of 4 bits. Legend in int4_tiles.h. Sums of 32 products are whole
 * numbers and exact in every way here; then one multiply-add in float for each. */
#include "math/int4_tiles.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "formats/blocks/blocks.h"
#include "math/cpu.h"
#include "math/kernels.h"
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { HIGH = KD__INT4_HIGH, WIDE = KD__INT4_PANEL, STEPS = 8, SCALES = 64 };
enum { A_GROUP = STEPS * HIGH * 4, WIDE_GROUP = STEPS * WIDE * 4 };

/* ---- codes ---- */

static const int8_t even[16] = { -8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7 };
static const kd__int4_code steps = {
    even,
    { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
    8,
};
static const kd__int4_code uneven = {
    kd__block_uneven,
    { 1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241 },
    128,
};

const kd__int4_code *kd__int4_code_of(int32_t format)
{
    return format == KD_BLOCK_IQ4_NL ? &uneven : &steps;
}

/* ---- portable ---- */

/* A sum of whole numbers as a number that round to nearest leaves at the end of its float. */
#define SHIFT 12582912.0f

static inline __attribute__((always_inline)) int32_t round_all(const float *x, int64_t n,
                                                               float inverse, int8_t *to)
{
    int32_t sum = 0;
    for (int64_t k = 0; k < n; k++) {
        const float shifted = __builtin_fmaf(x[k], inverse, SHIFT);
        int32_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        bits -= 0x4b400000; /* of SHIFT */
        to[k] = (int8_t)bits;
        sum += to[k];
    }
    return sum;
}

static int32_t round_portable(const float *x, int64_t n, float inverse, int8_t *to)
{
    return round_all(x, n, inverse, to);
}

/* sums[i][j] = sum_k a[k][i] v(code[k][j]) of a group */
static void group_portable(const kd__int4_tile *t, const uint8_t *codes, const int8_t *a,
                           int32_t sums[HIGH][WIDE])
{
    const int8_t *value = t->code->value;
    memset(sums, 0, HIGH * WIDE * sizeof(int32_t));
    for (int k = 0; k < STEPS; k++, a += 4 * HIGH)
        for (int j = 0; j < 16; j++, codes += 4) {
            int8_t low[4], high[4];
            for (int b = 0; b < 4; b++)
                low[b] = value[codes[b] & 15], high[b] = value[codes[b] >> 4];
            for (int i = 0; i < t->rows; i++)
                for (int b = 0; b < 4; b++) {
                    sums[i][j] += a[4 * i + b] * low[b];
                    sums[i][j + 16] += a[4 * i + b] * high[b];
                }
        }
}

static void tile_of_portable(const kd__int4_tile *t, float y[HIGH][WIDE])
{
    const uint8_t *block = t->blocks;
    memset(y, 0, HIGH * WIDE * sizeof(float));
    for (int64_t g = 0; g < t->groups; g++, block += KD__INT4_BLOCK) {
        int32_t sums[HIGH][WIDE];
        float d[WIDE];
        for (int j = 0; j < WIDE; j++) d[j] = kd__block_half(block + 2 * j);
        group_portable(t, block + SCALES, t->a + g * A_GROUP, sums);
        for (int i = 0; i < t->rows; i++)
            for (int j = 0; j < WIDE; j++)
                y[i][j] =
                    __builtin_fmaf((float)sums[i][j], d[j] * t->by[i * t->groups + g], y[i][j]);
    }
}

static const kd__int4_kernels portable = { tile_of_portable, NULL, round_portable };

#ifdef __x86_64__

/* ---- 256 bits ---- */

typedef int32_t aliased __attribute__((may_alias, aligned(1)));
/* Each with its own instruction for sums of four products; the rest is the same. */
#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE static inline __attribute__((always_inline))

AVX2 static int32_t round_avx2(const float *x, int64_t n, float inverse, int8_t *to)
{
    return round_all(x, n, inverse, to);
}

/* A step's codes of outputs 0 .. 7, 8 .. 15, 16 .. 23, 24 .. 31, a byte each. */
AVX2 INLINE void nibbles(const uint8_t *codes, __m256i v[4])
{
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)codes),
                  b = _mm256_loadu_si256((const __m256i *)(const void *)(codes + 32));
    v[0] = _mm256_and_si256(a, low);
    v[1] = _mm256_and_si256(b, low);
    v[2] = _mm256_and_si256(_mm256_srli_epi16(a, 4), low);
    v[3] = _mm256_and_si256(_mm256_srli_epi16(b, 4), low);
}

AVX2 INLINE void look_up(const void *table, __m256i v[4])
{
    const __m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
    for (int p = 0; p < 4; p++) v[p] = _mm256_shuffle_epi8(t, v[p]);
}

/* Codes 0 .. 15 times numbers of at most 127: sixteen products fit in 16 bits, and a group has that
 * many for each half of an output's four inputs. */
AVX2 static void steps_avx2(const kd__int4_tile *t, const uint8_t *codes, const int8_t *a,
                            int32_t sum, __m256i to[4])
{
    const __m256i ones = _mm256_set1_epi16(1), less = _mm256_set1_epi32(-8 * sum);
    __m256i s[4] = { _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                     _mm256_setzero_si256() };
    (void)t;
    for (int k = 0; k < STEPS; k++) {
        const __m256i x = _mm256_set1_epi32(*(const aliased *)(a + k * 4 * HIGH));
        __m256i v[4];
        nibbles(codes + 64 * k, v);
        for (int p = 0; p < 4; p++) s[p] = _mm256_add_epi16(s[p], _mm256_maddubs_epi16(v[p], x));
    }
    for (int p = 0; p < 4; p++) to[p] = _mm256_add_epi32(_mm256_madd_epi16(s[p], ones), less);
}

/* Sizes of at most 127 on both sides: two products fit in 16 bits. */
AVX2 static void uneven_avx2(const kd__int4_tile *t, const uint8_t *codes, const int8_t *a,
                             int32_t sum, __m256i to[4])
{
    const __m256i ones = _mm256_set1_epi16(1);
    (void)sum;
    for (int p = 0; p < 4; p++) to[p] = _mm256_setzero_si256();
    for (int k = 0; k < STEPS; k++) {
        const __m256i x = _mm256_set1_epi32(*(const aliased *)(a + k * 4 * HIGH));
        __m256i v[4];
        nibbles(codes + 64 * k, v);
        look_up(t->code->value, v);
        for (int p = 0; p < 4; p++) {
            const __m256i two =
                _mm256_maddubs_epi16(_mm256_abs_epi8(v[p]), _mm256_sign_epi8(x, v[p]));
            to[p] = _mm256_add_epi32(to[p], _mm256_madd_epi16(two, ones));
        }
    }
}

/* One row's group into its 32 sums. */
AVX2 INLINE void add_256(const __m256i sums[4], const uint8_t *block, float by, float y[WIDE])
{
    for (int p = 0; p < 4; p++) {
        const __m128i half = _mm_loadu_si128((const __m128i *)(const void *)(block + 16 * p));
        const __m256 d = _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(by));
        _mm256_storeu_ps(
            y + 8 * p, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[p]), d, _mm256_loadu_ps(y + 8 * p)));
    }
}

typedef void group_function(const kd__int4_tile *t, const uint8_t *codes, const int8_t *a,
                            int32_t sum, __m256i to[4]);

AVX2 INLINE void tile_256(const kd__int4_tile *t, float y[HIGH][WIDE], group_function *group)
{
    const uint8_t *block = t->blocks;
    memset(y, 0, HIGH * WIDE * sizeof(float));
    for (int64_t g = 0; g < t->groups; g++, block += KD__INT4_BLOCK)
        for (int64_t i = 0; i < t->rows; i++) {
            const int64_t at = i * t->groups + g;
            __m256i sums[4];
            group(t, block + SCALES, t->a + g * A_GROUP + 4 * i, t->sums[at], sums);
            add_256(sums, block, t->by[at], y[i]);
        }
}

AVX2 static void tile_of_avx2(const kd__int4_tile *t, float y[HIGH][WIDE])
{
    if (t->code->offset == 8) tile_256(t, y, steps_avx2);
    else tile_256(t, y, uneven_avx2);
}

static const kd__int4_kernels avx2 = { tile_of_avx2, NULL, round_avx2 };

#if __GNUC__ >= 11 || __clang_major__ >= 12
#define HAS_AVX_VNNI 1
#define AVX_VNNI __attribute__((target("avx2,fma,f16c,avxvnni")))

AVX_VNNI static void group_avx_vnni(const kd__int4_tile *t, const uint8_t *codes, const int8_t *a,
                                    int32_t sum, __m256i to[4])
{
    for (int p = 0; p < 4; p++) to[p] = _mm256_set1_epi32(-t->code->offset * sum);
    for (int k = 0; k < STEPS; k++) {
        const __m256i x = _mm256_set1_epi32(*(const aliased *)(a + k * 4 * HIGH));
        __m256i v[4];
        nibbles(codes + 64 * k, v);
        look_up(t->code->shifted, v);
        for (int p = 0; p < 4; p++) to[p] = _mm256_dpbusd_avx_epi32(to[p], v[p], x);
    }
}

AVX_VNNI static void tile_of_avx_vnni(const kd__int4_tile *t, float y[HIGH][WIDE])
{
    tile_256(t, y, group_avx_vnni);
}

static const kd__int4_kernels avx_vnni = { tile_of_avx_vnni, NULL, round_avx2 };
#endif

/* ---- 512 bits ---- */

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vnni")))
/* Sums are named, not numbered: compilers keep arrays of them in memory. */
#define EACH_ROW(x) x(0) x(1) x(2) x(3)
#define FIRST_ROW(x) x(0)
#define BEGIN(i) __m512 ylow##i = _mm512_setzero_ps(), yhigh##i = ylow##i;
#define CORRECT(i)                                                                                 \
    __m512i low##i = _mm512_set1_epi32(-t->code->offset * t->sums[i * t->groups + g]),             \
            high##i = low##i;
#define ADD(i)                                                                                     \
    x = _mm512_set1_epi32(fours[i]);                                                               \
    low##i = _mm512_dpbusd_epi32(low##i, b0, x);                                                   \
    high##i = _mm512_dpbusd_epi32(high##i, b1, x);
#define SCALE(i)                                                                                   \
    by = _mm512_set1_ps(t->by[i * t->groups + g]);                                                 \
    ylow##i = _mm512_fmadd_ps(_mm512_cvtepi32_ps(low##i), _mm512_mul_ps(d0, by), ylow##i);         \
    yhigh##i = _mm512_fmadd_ps(_mm512_cvtepi32_ps(high##i), _mm512_mul_ps(d1, by), yhigh##i);
#define END(i)                                                                                     \
    _mm512_storeu_ps(y[i], ylow##i);                                                               \
    _mm512_storeu_ps(y[i] + 16, yhigh##i);

/* A step's codes, a byte each, shifted. */
#define FROM_BLOCK                                                                                 \
    const __m512i both = _mm512_loadu_si512(block + SCALES + 64 * k);                              \
    const __m512i b0 = _mm512_shuffle_epi8(table, _mm512_and_si512(both, mask)),                   \
                  b1 = _mm512_shuffle_epi8(table,                                                  \
                                           _mm512_and_si512(_mm512_srli_epi16(both, 4), mask));
#define FROM_WIDE                                                                                  \
    const uint8_t *at = t->wide + g * WIDE_GROUP + k * 4 * WIDE;                                   \
    const __m512i b0 = _mm512_loadu_si512(at), b1 = _mm512_loadu_si512(at + 64);

#define VNNI_TILE(name, EACH, FROM)                                                                \
    AVX512 static void name(const kd__int4_tile *t, float y[HIGH][WIDE])                           \
    {                                                                                              \
        const uint8_t *block = t->blocks;                                                          \
        const int8_t *a = t->a;                                                                    \
        const __m512i mask = _mm512_set1_epi8(15), table = table_of(t);                            \
        (void)mask, (void)table;                                                                   \
        EACH(BEGIN)                                                                                \
        for (int64_t g = 0; g < t->groups; g++, block += KD__INT4_BLOCK) {                         \
            EACH(CORRECT)                                                                          \
            for (int k = 0; k < STEPS; k++, a += 4 * HIGH) {                                       \
                const aliased *fours = (const aliased *)a;                                         \
                FROM __m512i x;                                                                    \
                EACH(ADD)                                                                          \
            }                                                                                      \
            const __m512 d0 = scales_of(block), d1 = scales_of(block + 32);                        \
            __m512 by;                                                                             \
            EACH(SCALE)                                                                            \
        }                                                                                          \
        EACH(END)                                                                                  \
    }

AVX512 INLINE __m512i table_of(const kd__int4_tile *t)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)t->code->shifted));
}

AVX512 INLINE __m512 scales_of(const uint8_t *at)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)at));
}

VNNI_TILE(one_row, FIRST_ROW, FROM_BLOCK)
VNNI_TILE(narrow_rows, EACH_ROW, FROM_BLOCK)
VNNI_TILE(wide_rows, EACH_ROW, FROM_WIDE)

static void tile_of_vnni(const kd__int4_tile *t, float y[HIGH][WIDE])
{
    if (t->wide) wide_rows(t, y);
    else if (t->rows == 1) one_row(t, y);
    else narrow_rows(t, y);
}

AVX512 static void widen_vnni(const kd__int4_tile *t, uint8_t *to)
{
    const __m512i mask = _mm512_set1_epi8(15), table = table_of(t);
    const uint8_t *block = t->blocks;
    for (int64_t g = 0; g < t->groups; g++, block += KD__INT4_BLOCK)
        for (int k = 0; k < STEPS; k++, to += 4 * WIDE) {
            FROM_BLOCK
            _mm512_storeu_si512(to, b0);
            _mm512_storeu_si512(to + 64, b1);
        }
}

static const kd__int4_kernels vnni = { tile_of_vnni, widen_vnni, round_avx2 };

const kd__int4_kernels *kd__int4_choose(const kd_context *context)
{
    const int32_t isa = context->kernels->isa;
    if (isa == KD_ISA_PORTABLE) return &portable;
    if (isa == KD_ISA_AVX512 && context->cpu & KD__CPU_AVX512_VNNI) return &vnni;
#ifdef HAS_AVX_VNNI
    if (context->cpu & KD__CPU_AVX_VNNI) return &avx_vnni;
#endif
    return &avx2;
}

#else

const kd__int4_kernels *kd__int4_choose(const kd_context *context)
{
    (void)context;
    return &portable;
}

#endif
