/* Every kernel of every instruction set beside the portable one. The lists of src/math name the
 * kernels: one that has no run_<name> here does not compile. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/kernels.h"
#include "suites.h"

#include <kdistill/context.h>

#define N 640
#define SMALL 20 /* the depth of packed lines */

/* What kernels read and write, all of it compared afterwards. */
typedef struct {
    float a[N], b[N];   /* logits from -8 to 8 */
    float ea[N], eb[N]; /* their exponentials */
    float out[N];
    uint32_t words[N], seeds[N], odd[N];
    uint16_t halves[N];
} numbers;

static void fill(numbers *w)
{
    for (int i = 0; i < N; i++) {
        w->a[i] = (float)(8 * sin(i * 0.7));
        w->b[i] = (float)(8 * cos(i * 1.3));
        w->ea[i] = (float)exp(w->a[i] - 8);
        w->eb[i] = (float)exp(w->b[i] - 8);
        w->out[i] = (float)(i % 7) - 3;
        w->words[i] = UINT32_MAX;
        w->seeds[i] = (uint32_t)i * 2654435761u;
        w->odd[i] = (uint32_t)i * 40503u | 1;
        w->halves[i] = (uint16_t)(i * 40);
    }
}

static double sum_of(const float *e, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += e[i];
    return sum;
}
static kd__side side_a(numbers *w, int64_t n)
{
    return (kd__side){ .x = w->a, .max = 8, .e = w->ea, .sum = sum_of(w->ea, n) };
}
static kd__side side_b(numbers *w, int64_t n)
{
    return (kd__side){ .x = w->b, .max = 8, .e = w->eb, .sum = sum_of(w->eb, n) };
}

/* RUN(name): calls the kernel on the first n numbers; what it returns is compared as well. */
#define RUN(name) static double run_##name(const kd__kernels *k, numbers *w, int64_t n)

/* ---- rows ---- */

RUN(scan)
{
    int32_t bad;
    return k->scan(w->a, n, &bad) + 100 * bad;
}
RUN(scan_groups) /* groups differ with the lanes: the largest of all does not */
{
    float maxima[N + 16], most = -INFINITY;
    int32_t bad;
    const float all = k->scan_groups(w->a, n, &bad, maxima);
    for (int64_t i = 0; i < kd__groups(n, k->lanes); i++) most = fmaxf(most, maxima[i]);
    ck_assert(most == all);
    return all + 100 * bad;
}
RUN(count_from) { return (double)k->count_from(w->a, n, 1); }
RUN(collect_from)
{
    const int64_t count = k->collect_from(w->a, n, 1, 5, w->words, w->out);
    memset(w->words + count, 0, (size_t)(N - count) * sizeof *w->words);
    memset(w->out + count, 0, (size_t)(N - count) * sizeof *w->out);
    return (double)count;
}
RUN(sum_from) { return k->sum_from(w->a, w->ea, n, 1); }
RUN(weighted_sum) { return k->weighted_sum(w->a, w->ea, n, 8); }
RUN(argmax) { return (double)k->argmax(w->a, n); }
RUN(sum) { return k->sum(w->ea, n); }
RUN(sum_squares) { return k->sum_squares(w->ea, n); }
RUN(exponentials) { return k->exponentials(w->a, n, 8, 0.5f, w->out); }
RUN(exponentials_below) { return k->exponentials_below(w->a, n, 8, 0.5f, 1); }
RUN(largest_size) { return k->largest_size(w->b, n); }
RUN(widen)
{
    k->widen(KD_FLOAT16, w->halves, n, w->out);
    k->widen(KD_BFLOAT16, w->halves, n, w->ea);
    return 0;
}
RUN(narrow)
{
    k->narrow(KD_FLOAT16, w->a, n, w->halves);
    k->narrow(KD_BFLOAT16, w->b, n, w->words);
    return 0;
}
RUN(minhash)
{
    k->minhash(w->words, w->seeds, w->odd, n / 16 * 16, w->seeds, 9);
    return 0;
}

/* ---- divergences ---- */

RUN(relative)
{
    kd__side a = side_a(w, n), b = side_b(w, n);
    int64_t hits = 0;
    const double value = k->relative(&a, &b, n, 0.5f, -6, &hits);
    return value + a.sum + b.sum + (double)hits;
}
RUN(combine)
{
    k->combine(w->out, w->ea, 2, w->eb, 3, n, 1);
    return 0;
}
RUN(reverse_gradient)
{
    const kd__side a = side_a(w, n), b = side_b(w, n);
    k->reverse_gradient(w->out, &a, &b, n, 1, -20, 0.25f, 2, 0.5f, 1);
    return 0;
}
RUN(jensen)
{
    const kd__side a = side_a(w, n), b = side_b(w, n);
    double mean;
    const double value = k->jensen(&a, &b, n, 1, 0.3f, &mean);
    return value + mean;
}
RUN(mixture)
{
    const kd__side a = side_a(w, n);
    double total = 0, mean;
    for (int32_t kind = KD__SKEWED_FORWARD; kind <= KD__VARIATION; kind++) {
        fill(w);
        const kd__side b = side_b(w, n);
        total += (kind + 1) * k->mixture(kind, &a, &b, n, 1, 0.3f, &mean);
        total += mean;
    }
    return total;
}
RUN(gap)
{
    const kd__gap gap = { w->ea, w->eb, w->a, w->b, 1, 1, 0, 0.01f };
    double total = 0, moved = 0;
    for (int32_t kind = KD__GAP_KL; kind <= KD__GAP_VARIATION; kind++)
        total += (kind + 1) * k->gap(kind, &gap, n, 0.3f, &moved);
    return total;
}
RUN(softmax_gradient)
{
    k->softmax_gradient(w->out, w->ea, w->b, n, 2, 0.5f, 1);
    return 0;
}

/* ---- elements ---- */

RUN(axpby)
{
    k->axpby(w->out, 2, w->a, 3, n);
    return 0;
}
RUN(sum_across)
{
    const float *const rows[] = { w->a, w->b, w->a };
    k->sum_across(w->out, rows, 3, n);
    return 0;
}
RUN(relu)
{
    k->relu(w->out, w->a, w->b, n);
    return 0;
}
RUN(add_bias)
{
    k->add_bias(w->out, w->a, w->b, n);
    return 0;
}
RUN(relu_gradient)
{
    k->relu_gradient(w->out, w->a, w->b, n);
    return 0;
}
RUN(soft_cap)
{
    k->soft_cap(w->a, n, 5);
    return 0;
}
RUN(soft_cap_gradient)
{
    k->soft_cap_gradient(w->out, w->a, n, 9);
    return 0;
}
RUN(sgd)
{
    k->sgd(w->out, w->a, n, 0.5f, 0.1f, 0.01f, 3);
    return 0;
}
RUN(momentum)
{
    k->momentum(w->out, w->a, w->b, n, 0.5f, 0.1f, 0.01f, 3, 0.9f, 1);
    return 0;
}
RUN(adam)
{
    const kd__adam_step step = { .learning_rate = 0.1f,
                                 .beta1 = 0.9f,
                                 .beta2 = 0.99f,
                                 .epsilon = 1e-6f,
                                 .decay = 0.01f,
                                 .correction1 = 2,
                                 .correction2 = 3 };
    k->adam(w->out, w->a, w->b, w->eb, n, 0.5f, 3, &step);
    return 0;
}

/* ---- layers of language models ---- */

RUN(rms_norm) { return k->rms_norm(w->out, w->a, w->b, n, 1e-6f); }
RUN(rms_norm_gradient)
{
    k->rms_norm_gradient(w->out, w->ea, w->a, w->b, n, 0.25f, 1);
    return 0;
}
RUN(swiglu)
{
    k->swiglu(w->out, w->a, w->b, n);
    return 0;
}
RUN(swiglu_gradient)
{
    k->swiglu_gradient(w->out, w->ea, w->eb, w->b, w->a, w->b, n);
    return 0;
}
RUN(layer_norm)
{
    float mean = 0;
    const float r = k->layer_norm(w->out, w->a, w->b, w->ea, n, 1e-6f, &mean);
    return (double)r + (double)mean;
}
RUN(layer_norm_gradient)
{
    k->layer_norm_gradient(w->out, w->ea, w->a, w->b, n, 0.125f, 0.25f, 1);
    return 0;
}
RUN(gelu)
{
    k->gelu(w->out, w->a, n);
    return 0;
}
RUN(gelu_gradient)
{
    k->gelu_gradient(w->out, w->ea, w->b, w->a, n);
    return 0;
}
RUN(rotate)
{
    k->rotate(w->out, w->a, w->b, n / 2, -1);
    return 0;
}

/* ---- layers of images ---- */

RUN(correlate) /* 13 rows of a block and a part of one, 5 taps, of which planes are read aslant */
{
    static const int64_t offsets[5] = { 0, 1, 7, 8, 20 };
    const kd__taps taps = { .offsets = offsets, .w = w->b, .taps = 5, .rows = 13 };
    const int64_t count = n < 40 ? n : 40;
    k->correlate(w->out, count, w->a + 3, &taps, count);
    return 0;
}
RUN(correlate_gradient) /* of two samples, 6 rows and 13 taps */
{
    static const int64_t offsets[13] = { 0, 1, 2, 7, 8, 9, 14, 15, 16, 20, 21, 22, 23 };
    const kd__taps taps = {
        .offsets = offsets, .taps = 13, .rows = 6, .samples = 2, .dy_step = 300, .x_step = 200
    };
    const int64_t count = n < 40 ? n : 40;
    k->correlate_gradient(w->out, w->ea, count, w->a, &taps, count);
    return 0;
}
RUN(copy_rows)
{
    k->copy_rows(w->out, 45, w->a, 50, 3, n < 40 ? n : 40, 1);
    k->copy_rows(w->out + 200, 45, w->b, 90, 3, n < 40 ? n : 40, 2);
    return 0;
}
RUN(spread) { return k->spread(w->a, n, 0.5f); }
RUN(scale_shift)
{
    k->scale_shift(w->out, w->a, n, 0.5f, 1, -2, 3);
    return 0;
}
RUN(norm_sums)
{
    double sums[2];
    k->norm_sums(w->ea, w->out, w->a, n, 0.5f, 0, 2.5f, sums);
    const double masked = sums[0] + 2 * sums[1];
    k->norm_sums(w->eb, NULL, w->b, n, 0.5f, 0, 2.5f, sums);
    return masked + 3 * sums[0] + 4 * sums[1];
}
RUN(norm_slope)
{
    k->norm_slope(w->out, w->ea, w->a, n, 0.5f, 2, 3, 4);
    return 0;
}
RUN(clamp_gradient)
{
    k->clamp_gradient(w->out, w->a, n, 0, 6);
    return 0;
}
RUN(hardswish)
{
    k->hardswish(w->a, n);
    return 0;
}
RUN(hardswish_gradient)
{
    k->hardswish_gradient(w->out, w->a, n);
    return 0;
}
RUN(silu)
{
    k->silu(w->a, n);
    return 0;
}
RUN(silu_gradient)
{
    k->silu_gradient(w->out, w->a, n);
    return 0;
}

/* ---- products ---- */

RUN(pack)
{
    k->pack(w->a, n % 30 + SMALL, 1, 13, SMALL, 16, w->out);
    return 0;
}
RUN(tile) /* c (3, 5) = 2 a (3, n) b (n, 5) + 3 c, of packed sides */
{
    static float left[SMALL * 64], right[SMALL * 64];
    const int64_t depth = n < SMALL ? n : SMALL;
    k->pack(w->a, depth, 1, 3, depth, k->tile_rows, left);
    k->pack(w->b, 1, 5, 5, depth, k->tile_columns, right);
    k->tile(depth, 2, left, right, 3, w->out, 5, 3, 5, NULL);
    return 0;
}

/* ---- 8-bit rows ---- */

RUN(hadamard)
{
    memcpy(w->out, w->a, sizeof w->out);
    k->hadamard(w->out, n / 32 * 32, 32);
    return 0;
}
RUN(round_eight) { return (double)k->round_eight(w->a, n, (int8_t *)w->words); }
RUN(widen_eight)
{
    k->widen_eight((const int8_t *)w->seeds, n, w->out);
    return 0;
}
RUN(scale_eight)
{
    k->scale_eight(w->a, w->halves, n);
    return 0;
}

/* ---- relations ---- */

RUN(angles)
{
    double rows[6][N], m[N], sums[3];
    for (int i = 0; i < N; i++) {
        rows[0][i] = w->a[i];
        rows[1][i] = w->b[i];
        rows[2][i] = i % 5 ? 0.1 + w->ea[i] : 0;
        rows[3][i] = 3 - w->b[i];
        rows[4][i] = w->a[i] / 3;
        rows[5][i] = i % 7 ? 0.2 - w->eb[i] / 8 : 0;
        m[i] = w->out[i];
    }
    const kd__leg s = { rows[0], rows[1], rows[2], 0.25, 0.5 },
                  t = { rows[3], rows[4], rows[5], -1, 0.75 };
    k->angles(&s, &t, n, m, sums);
    for (int i = 0; i < N; i++) w->out[i] = (float)m[i];
    return sums[0] + 2 * sums[1] + 3 * sums[2];
}

/* ---- Fourier transforms ---- */

RUN(fourier_pass) /* of each radix: twice as many numbers as it has, all lanes */
{
    static const int64_t radices[] = { 2, 3, 4, 5, 7 };
    const int64_t r = radices[n % 5], count = 2 * r * KD__LANES;
    double from[2][N], to[2][N] = { { 0 } }, turns[24], roots[14];
    for (int i = 0; i < N; i++) from[0][i] = w->a[i], from[1][i] = w->b[i];
    for (int i = 0; i < 24; i++) turns[i] = w->a[i + 9];
    for (int i = 0; i < 7; i++)
        roots[2 * i] = cos(2 * M_PI * i / (double)r),
                  roots[2 * i + 1] = sin(2 * M_PI * i / (double)r);
    const kd__fourier_pass pass = { r, 2, KD__LANES, turns, roots };
    const double *const x[2] = { from[0], from[1] };
    double *const y[2] = { to[0], to[1] };
    k->fourier_pass(&pass, x, y);
    for (int64_t i = 0; i < count; i++) w->out[i] = (float)to[0][i], w->ea[i] = (float)to[1][i];
    return 0;
}
RUN(fourier_power)
{
    const int64_t half = 1 + n % 60;
    double from[2][N], turns[2 * N], power[N];
    for (int i = 0; i < N; i++) {
        from[0][i] = w->a[i];
        from[1][i] = w->b[i];
        turns[2 * i] = w->ea[i];
        turns[2 * i + 1] = w->eb[i];
    }
    const double *const z[2] = { from[0], from[1] };
    k->fourier_power(power, z, turns, half);
    for (int64_t i = 0; i < (half + 1) * KD__LANES; i++) w->out[i] = (float)power[i];
    return 0;
}
RUN(weigh_lanes)
{
    double x[N], weights[N], y[KD__LANES];
    for (int i = 0; i < N; i++) x[i] = w->a[i], weights[i] = w->ea[i];
    k->weigh_lanes(y, weights, x, n / KD__LANES);
    for (int i = 0; i < KD__LANES; i++) w->out[i] = (float)y[i];
    return 0;
}
RUN(inner_product) { return k->inner_product(w->ea, w->eb, n); }

/* ---- all of them ---- */

static const struct {
    const char *name;
    double (*run)(const kd__kernels *k, numbers *w, int64_t n);
} kernels[] = {
#define KERNEL(result, name, arguments) { #name, run_##name },
#include "math/kernels.inc"
};
#define COUNT (sizeof kernels / sizeof *kernels)

static void expect_near(const char *name, int64_t n, int64_t i, double value, double expected)
{
    const double least = 2e-5 * fmax(1, fabs(expected));
    if (fabs(value - expected) <= least) return;
    ck_abort_msg("%s, n %lld, number %lld: %.9g, expected %.9g", name, (long long)n, (long long)i,
                 value, expected);
}

static void expect_same(const char *name, int64_t n, const numbers *w, const numbers *expected)
{
    const float *value = w->a, *wanted = expected->a; /* a, b, ea, eb, out follow each other */
    for (int64_t i = 0; i < 5 * N; i++) expect_near(name, n, i, value[i], wanted[i]);
    ck_assert_msg(!memcmp(w->words, expected->words, sizeof w->words), "%s: words", name);
    ck_assert_msg(!memcmp(w->halves, expected->halves, sizeof w->halves), "%s: halves", name);
}

START_TEST(every_kernel_agrees_with_the_portable_one)
{
    static numbers here, there;
    const int64_t step = getenv("KD_TEST_FEW") ? 5 : 1;
    for (int32_t isa = KD_ISA_AVX2; isa <= KD_ISA_AVX512; isa++) {
        const kd__kernels *k;
        if (kd__kernels_choose(isa, &k) != KD_OK) continue;
        for (size_t j = 0; j < COUNT; j++)
            for (int64_t n = 2; n < 600; n += n < 40 ? step : 67) {
                fill(&here);
                fill(&there);
                const double value = kernels[j].run(k, &here, n);
                const double expected = kernels[j].run(&kd__kernels_portable, &there, n);
                expect_near(kernels[j].name, n, -1, value, expected);
                expect_same(kernels[j].name, n, &here, &there);
            }
    }
}
END_TEST

/* A table of the wrong file, or one kernel for two members, is found by its addresses. */
START_TEST(every_member_has_a_kernel_of_its_own)
{
    for (int32_t isa = KD_ISA_PORTABLE; isa <= KD_ISA_AVX512; isa++) {
        const kd__kernels *k;
        if (kd__kernels_choose(isa, &k) != KD_OK) continue;
        ck_assert_int_eq(k->isa, isa);
        void (*const members[])(void) = {
#define KERNEL(result, name, arguments) (void (*)(void)) k->name,
#include "math/kernels.inc"
        };
        for (size_t i = 0; i < COUNT; i++) {
            ck_assert_msg(members[i] != NULL, "%s: no %s", k->name, kernels[i].name);
            for (size_t j = 0; j < i; j++)
                ck_assert_msg(members[i] != members[j], "%s: %s is %s", k->name, kernels[i].name,
                              kernels[j].name);
        }
    }
}
END_TEST

/* ---- 8-bit rows: their definition, and the same bits on every instruction set ---- */

/* A row with one loud number, whose channel is `loud`; 0: none. */
static void fill_row(float *x, int64_t n, float loud)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(sin((double)i * 0.9 + 1) * (1 + 0.1 * (double)i));
    if (loud != 0) x[n / 3] = loud;
}

static void expect_hadamard(const kd__kernels *k, int64_t n, int64_t width)
{
    float x[128], y[128];
    fill_row(x, n, 0);
    memcpy(y, x, sizeof y);
    k->hadamard(y, n, width);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < width; j++)
            sum += (__builtin_parityll((uint64_t)(i % width & j)) ? -1 : 1) *
                   (double)x[i / width * width + j];
        ck_assert(fabs((double)y[i] - sum) <= 1e-6 * 8 * (double)width);
    }
    k->hadamard(y, n, width);
    for (int64_t i = 0; i < n; i++)
        ck_assert(fabs((double)(y[i] / (float)width - x[i])) <= 1e-6 * 8);
}

static void expect_rounded(const kd__kernels *k, int64_t n, float loud)
{
    float x[128], back[128];
    int8_t codes[129] = { [128] = 99 };
    double largest = 0;
    fill_row(x, n, loud);
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)x[i]));
    codes[n] = 99;
    const float scale = k->round_eight(x, n, codes);
    uint32_t raw;
    memcpy(&raw, &scale, sizeof raw);
    ck_assert(!(raw & 0xffff) && codes[n] == 99);
    ck_assert((double)scale * 127 >= largest * (1 - 1e-6));
    ck_assert((double)scale * 127 <= largest * (1 + 1. / 128));
    k->widen_eight(codes, n, back);
    const uint16_t upper[2] = { (uint16_t)(raw >> 16), (uint16_t)(raw >> 16) };
    for (int64_t i = 0; i < n; i++) {
        ck_assert(codes[i] >= -127);
        k->scale_eight(back + i, upper, 1);
        ck_assert(fabs((double)(back[i] - x[i])) <= (double)scale * 0.500001);
    }
    const kd__kernels *p = &kd__kernels_portable;
    float turned[128];
    int8_t others[128];
    memcpy(turned, x, sizeof turned);
    const float same = p->round_eight(x, n, others);
    ck_assert(!memcmp(&same, &scale, sizeof same) && !memcmp(codes, others, (size_t)n));
    k->hadamard(x, n, n & -n);
    p->hadamard(turned, n, n & -n);
    ck_assert(!memcmp(x, turned, (size_t)n * sizeof *x));
}

static void expect_edges(const kd__kernels *k)
{
    static const float wrong[] = { NAN, INFINITY, -INFINITY };
    int8_t codes[20];
    float x[20];
    for (int i = 0; i < 60; i++) {
        fill_row(x, 20, 0);
        x[i % 20] = wrong[i / 20];
        ck_assert(isnan(k->round_eight(x, 20, codes)));
        for (int j = 0; j < 20; j++) ck_assert_int_eq(codes[j], 0);
    }
    for (int i = 0; i < 20; i++) x[i] = i % 2 ? 0x1p-101f : -1e-44f;
    ck_assert(k->round_eight(x, 20, codes) == 0);
    for (int i = 0; i < 20; i++) ck_assert_int_eq(codes[i], 0);
    x[7] = -3.4028235e38f; /* the largest number there is */
    ck_assert(k->round_eight(x, 20, codes) > 2e36f);
    for (int i = 0; i < 20; i++) ck_assert(i == 7 ? codes[i] <= -126 : !codes[i]);
}

START_TEST(eight_bit_rows_have_the_same_bits_everywhere)
{
    static const float loud[] = { 0, 700, -1e20f, 1e-20f };
    for (int32_t isa = KD_ISA_PORTABLE; isa <= KD_ISA_AVX512; isa++) {
        const kd__kernels *k;
        if (kd__kernels_choose(isa, &k) != KD_OK) continue;
        for (int64_t n = 2; n <= 128; n++) {
            expect_hadamard(k, n, n & -n);
            for (int i = 0; i < 4; i++) expect_rounded(k, n, loud[i]);
        }
        expect_edges(k);
    }
}
END_TEST

Suite *kernels_suite(void)
{
    Suite *suite = suite_create("kernels");
    TCase *tests = tcase_create("kernels");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, every_kernel_agrees_with_the_portable_one);
    tcase_add_test(tests, every_member_has_a_kernel_of_its_own);
    tcase_add_test(tests, eight_bit_rows_have_the_same_bits_everywhere);
    return suite;
}
