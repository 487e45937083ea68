/* Products with weights of 4 bits: whole numbers and one order of sums, the same bits of a scalar
 * reference in every instruction set. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "formats/blocks/blocks.h"
#include "math/cpu.h"
#include "math/int4_tiles.h"
#include "suites.h"

enum { ROWS = 13, OUT = 70, IN = 335 }; /* the last group and the last panel are not whole */
enum { DEEP = 352, GROUPS = 11, BYTES = GROUPS * 18 };
static const int32_t formats[] = { KD_BLOCK_Q4_0, KD_BLOCK_IQ4_NL };
static float x[ROWS * IN], w[OUT * IN], y[ROWS * OUT], again[ROWS * OUT], seen[OUT * IN];
static uint8_t blocks[OUT * BYTES];

static float wave(int64_t i, double step)
{
    return (float)sin(step * (double)i * (1 + 1e-3 * (double)i));
}

static void fill(void)
{
    for (int64_t i = 0; i < ROWS * IN; i++) x[i] = wave(i, 0.7) * (i % IN % 50 == 7 ? 60.0f : 1.0f);
    for (int64_t i = 0; i < OUT * IN; i++) w[i] = wave(i, 0.31);
    memset(x + 3 * IN, 0, IN * sizeof *x);      /* a silent row */
    memset(w + 5 * IN + 32, 0, 32 * sizeof *w); /* a silent group */
    for (int i = 0; i < IN; i++) x[4 * IN + i] = i % 2 ? 1e30f : -1e30f;
}

/* The blocks that block.h makes of the weights, and what they stand for. */
static void encode(kd_context *ctx, int32_t format)
{
    static float wide[OUT * DEEP], back[OUT * DEEP];
    kd_array v = KD_ARRAY_2D(wide, KD_FLOAT32, OUT, DEEP),
             b = KD_ARRAY_2D(back, KD_FLOAT32, OUT, DEEP);
    memset(wide, 0, sizeof wide);
    for (int o = 0; o < OUT; o++) memcpy(wide + o * DEEP, w + o * IN, IN * sizeof *w);
    ck_assert_int_eq(kd_block_encode(ctx, format, &v, NULL, blocks, sizeof blocks), KD_OK);
    ck_assert_int_eq(kd_block_decode(ctx, format, blocks, sizeof blocks, &b), KD_OK);
    for (int o = 0; o < OUT; o++) memcpy(seen + o * IN, back + o * DEEP, IN * sizeof *w);
}

static float half_at(kd_context *ctx, int o, int g)
{
    static uint8_t block[18];
    static float values[32];
    kd_array v = KD_ARRAY_1D(values, KD_FLOAT32, 32);
    memcpy(block, blocks + o * BYTES + g * 18, 2);
    memset(block + 2, 0x99, 16); /* every code 9: 1 of Q4_0 */
    ck_assert_int_eq(kd_block_decode(ctx, KD_BLOCK_Q4_0, block, 18, &v), KD_OK);
    return values[0];
}

/* One number of the product, as the header says. */
static float reference(kd_context *ctx, int32_t format, int r, int o)
{
    static const int8_t uneven[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
                                       1,    13,   25,  38,  53,  69,  89,  113 };
    float sum = 0;
    for (int g = 0; g < GROUPS; g++) {
        const int count = g == GROUPS - 1 ? IN - 32 * g : 32;
        const float *its = x + r * IN + 32 * g;
        const uint8_t *block = blocks + o * BYTES + g * 18 + 2;
        float largest = 0;
        int32_t dot = 0;
        for (int k = 0; k < count; k++) largest = fmaxf(largest, fabsf(its[k]));
        const float inverse = largest > 0 ? 127 / largest : 0;
        for (int k = 0; k < count; k++) {
            const int code = k < 16 ? block[k] & 15 : block[k - 16] >> 4;
            const int value = format == KD_BLOCK_Q4_0 ? code - 8 : uneven[code];
            dot += value * (int)nearbyint((double)its[k] * inverse);
        }
        sum = fmaf((float)dot, half_at(ctx, o, g) * (largest / 127), sum);
    }
    return sum;
}

typedef struct {
    int32_t isa;
    uint32_t without; /* features that the context is told it has not */
} way;
static const way ways[] = {
    { KD_ISA_PORTABLE, 0 },
    { KD_ISA_AVX2, KD__CPU_AVX_VNNI },
    { KD_ISA_AVX2, 0 },
    { KD_ISA_AVX512, KD__CPU_AVX512_VNNI | KD__CPU_AVX_VNNI },
    { KD_ISA_AVX512, KD__CPU_AVX512_VNNI },
    { KD_ISA_AVX512, 0 },
};

static kd_context *context_of(const way *its)
{
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context *ctx;
    o.isa = its->isa;
    o.threads = 2;
    if (kd_context_create(&ctx, &o) == KD_ERR_UNSUPPORTED) return NULL;
    ctx->cpu &= ~its->without;
    return ctx;
}

START_TEST(every_set_gives_the_bits_of_the_reference)
{
    fill();
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        kd_context *ctx = context_of(&ways[k]);
        for (int f = 0; ctx && f < 2; f++) {
            kd__int4 q;
            encode(ctx, formats[f]);
            ck_assert_int_eq(kd__int4_begin(&q, ctx, formats[f], OUT, IN), KD_OK);
            /* in two parts that share a panel */
            ck_assert_int_eq(kd__int4_fill(&q, ctx, "w", w, 0, 9), KD_OK);
            ck_assert_int_eq(kd__int4_fill(&q, ctx, "w", w + 9 * IN, 9, OUT - 9), KD_OK);
            ck_assert_int_eq(kd__int4_product(ctx, &q, x, ROWS, y), KD_OK);
            for (int r = 0; r < ROWS; r++)
                for (int o = 0; o < OUT; o++) {
                    const float expected = reference(ctx, formats[f], r, o);
                    ck_assert_msg(!memcmp(&expected, &y[r * OUT + o], sizeof expected),
                                  "way %d, format %d, row %d, output %d: %.9g, not %.9g", (int)k, f,
                                  r, o, y[r * OUT + o], expected);
                }
            kd__int4_free(&q, ctx);
        }
        kd_context_free(ctx);
    }
}
END_TEST

/* Any number of rows at once, and each alone. */
START_TEST(a_row_does_not_depend_on_its_neighbors)
{
    fill();
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        kd_context *ctx = context_of(&ways[k]);
        kd__int4 q;
        if (!ctx) continue;
        ck_assert_int_eq(kd__int4_begin(&q, ctx, KD_BLOCK_Q4_0, OUT, IN), KD_OK);
        ck_assert_int_eq(kd__int4_fill(&q, ctx, "w", w, 0, OUT), KD_OK);
        ck_assert_int_eq(kd__int4_product(ctx, &q, x, ROWS, y), KD_OK);
        for (int rows = 1; rows <= 5; rows++)
            for (int r = 0; r + rows <= ROWS; r += 4) {
                ck_assert_int_eq(kd__int4_product(ctx, &q, x + r * IN, rows, again), KD_OK);
                ck_assert_mem_eq(again, y + r * OUT, (size_t)rows * OUT * sizeof *y);
            }
        kd__int4_free(&q, ctx);
        kd_context_free(ctx);
    }
}
END_TEST

/* Input k of a row, read where int4.h says that its code is. */
static float number_at(const kd__int4 *q, int64_t row, int64_t k)
{
    const int64_t lane = row % 32, group = k / 32, at = k % 32;
    const uint8_t *block = q->blocks + (row / 32 * q->groups + group) * KD__INT4_BLOCK;
    const uint8_t both = block[64 + at / 4 * 64 + lane % 16 * 4 + at % 4];
    const int code = lane < 16 ? both & 15 : both >> 4;
    return kd__block_half(block + 2 * lane) * (float)kd__int4_code_of(q->format)->value[code];
}

/* Rows that come as blocks, in any order, are those that come as numbers; both read back as the
 * format says. */
START_TEST(blocks_are_taken_and_read_back_as_they_are)
{
    kd_context *ctx = context_of(&ways[0]);
    fill();
    for (int f = 0; f < 2; f++) {
        kd__int4 a, b;
        encode(ctx, formats[f]);
        ck_assert_int_eq(kd__int4_begin(&a, ctx, formats[f], OUT, IN), KD_OK);
        ck_assert_int_eq(kd__int4_begin(&b, ctx, formats[f], OUT, IN), KD_OK);
        ck_assert_int_eq(kd__int4_fill(&a, ctx, "w", w, 0, OUT), KD_OK);
        for (int o = OUT; o-- > 0;) kd__int4_fill_blocks(&b, o, blocks + o * BYTES);
        ck_assert_mem_eq(a.blocks, b.blocks, (size_t)kd__int4_bytes(OUT, IN));
        for (int o = 0; o < OUT; o++)
            for (int i = 0; i < IN; i++) ck_assert(number_at(&a, o, i) == seen[o * IN + i]);
        kd__int4_free(&a, ctx);
        kd__int4_free(&b, ctx);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(numbers_that_have_no_blocks_are_refused)
{
    static const float bad[] = { NAN, INFINITY, 1e30f };
    kd_context *ctx = context_of(&ways[0]);
    for (int i = 0; i < 3; i++) {
        kd__int4 q;
        fill();
        w[33 * IN + 3] = bad[i];
        ck_assert_int_eq(kd__int4_begin(&q, ctx, KD_BLOCK_Q4_0, OUT, IN), KD_OK);
        ck_assert_int_eq(kd__int4_fill(&q, ctx, "its.name", w, 0, OUT), KD_ERR_RANGE);
        ck_assert_ptr_nonnull(strstr(kd_last_error(), "its.name: 1 rows have a number"));
        kd__int4_free(&q, ctx);
    }
    kd_context_free(ctx);
}
END_TEST

Suite *int4_suite(void)
{
    Suite *suite = suite_create("int4");
    TCase *tests = tcase_create("int4");
    tcase_add_test(tests, every_set_gives_the_bits_of_the_reference);
    tcase_add_test(tests, a_row_does_not_depend_on_its_neighbors);
    tcase_add_test(tests, blocks_are_taken_and_read_back_as_they_are);
    tcase_add_test(tests, numbers_that_have_no_blocks_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
