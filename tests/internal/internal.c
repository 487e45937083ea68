/* What the public interface hides: keys, JSON, safetensors, kernels, files that fail. */
#include <check.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <dirent.h>
#include <unistd.h>
#include <signal.h>

#include "base/file.h"
#include "formats/formats.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/thread.h"
#include "suites.h"
#include "course/curation/curation.h"
#include "math/cpu.h"
#include "math/kernels.h"
#include "math/random.h"
#include "nn/attention.h"
#include "templates.h"

static kd_context *ctx;
static void setup(void) { ck_assert_int_eq(kd_context_create(&ctx, NULL), KD_OK); }
static void teardown(void) { kd_context_free(ctx); }

START_TEST(keys_are_murmur3)
{
    /* Values of the mmh3 package, hash64(text, seed 0). */
    static const struct {
        const char *text;
        uint64_t a, b;
    } known[] = { { "", 0, 0 },
                  { "hello", 0xcbd8a7b341bd9b02ULL, 0x5b1e906a48ae1d19ULL },
                  { "The quick brown fox jumps over the lazy dog", 0xe34bbc7bbc071b6cULL,
                    0x7a433ca9c49a9347ULL } };
    for (int i = 0; i < 3; i++) {
        uint64_t key[2];
        kd__hash128(known[i].text, strlen(known[i].text), key);
        ck_assert_uint_eq(key[0], known[i].a);
        ck_assert_uint_eq(key[1], known[i].b);
    }
    ck_assert_uint_eq(kd__crc32(0, "123456789", 9), 0xcbf43926);
}
END_TEST

static kd_status parse(const char *text, kd__json_document *d)
{
    return kd__json_parse(d, ctx, text, strlen(text), "test");
}

START_TEST(json_is_read_and_nonsense_refused)
{
    kd__json_document d;
    static const char *const wrong[] = {
        "",
        "{",
        "[1,]",
        "{\"a\"}",
        "{\"a\":1,}",
        "01",
        "1.",
        "+1",
        "nul",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"a",
        "[1 2]",
        "{\"a\":1,\"a\":2}",
        "1 2",
        "\"\n\"",
        "-",
        "1e",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1"
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(parse(wrong[i], &d) == KD_ERR_FORMAT, "%s", wrong[i]);
    ck_assert_int_eq(
        parse(" {\"a\": [1, -2.5e3, true, null], \"\\u00e9\\ud83d\\ude00\": \"x\\ty\\u0000z\"} ",
              &d),
        KD_OK);
    const kd__json *a = kd__json_member(d.root, "a");
    ck_assert_int_eq(a->children, 4);
    ck_assert(a->first->next->number == -2500 && a->first->next->next->type == KD__JSON_BOOL);
    const kd__json *text = kd__json_member(d.root, "\xc3\xa9\xf0\x9f\x98\x80");
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(text->length, 5);
    ck_assert_int_eq(memcmp(text->text, "x\ty\0z", 6), 0);
    kd__json_free(&d);
}
END_TEST

static kd_status tensors(const char *header, int64_t data)
{
    char bytes[2048];
    kd__safetensors file;
    uint64_t length = strlen(header);
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    kd_status status = kd__safetensors_parse(&file, ctx, bytes, 8 + (int64_t)length + data, "test");
    if (status == KD_OK) kd__safetensors_free(&file);
    return status;
}

START_TEST(safetensors_cover_their_data)
{
    ck_assert_int_eq(tensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                             "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}",
                             12),
                     KD_OK);
    ck_assert_int_eq(tensors("{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]},"
                             "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
                             12),
                     KD_OK);
    static const struct {
        const char *header;
        int64_t data;
    } wrong[] = {
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
          12 }, /* a gap at the end */
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":"
          "\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
          12 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4503599627370496,4503599627370496],\"data_"
          "offsets\":[0,8]}}",
          8 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8 },
        { "{\"a\":{\"dtype\":\"F99\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8 },
        { "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8 },
        { "[]", 0 },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(tensors(wrong[i].header, wrong[i].data) < 0, "%s", wrong[i].header);
    char lying[16] = { 0 };
    kd__safetensors file;
    memset(lying, 0xff, 8);
    ck_assert_int_eq(kd__safetensors_parse(&file, ctx, lying, 16, "test"), KD_ERR_FORMAT);
}
END_TEST

START_TEST(kernels_agree_with_double_arithmetic)
{
    static float x[1000], e[1000], y[1000];
    for (int32_t isa = KD_ISA_PORTABLE; isa <= KD_ISA_AVX512; isa++) {
        const kd__kernels *k = NULL;
        if (kd__kernels_choose(isa, &k) != KD_OK) continue;
        for (int n = 1; n < 1000; n = n < 40 ? n + 1 : n + 191) {
            double sum = 0, squares = 0, all = 0;
            int32_t bad;
            for (int i = 0; i < n; i++) {
                x[i] = (float)(-60 * fabs(sin(i * 0.7)));
                sum += exp(x[i] * 0.5);
                squares += (double)x[i] * x[i];
                all += x[i];
                y[i] = (float)i;
            }
            ck_assert(fabs(k->exponentials(x, n, 0, 0.5f, e) / sum - 1) < 5e-7);
            for (int i = 0; i < n; i++)
                ck_assert(fabs(e[i] - exp(x[i] * 0.5)) <= 3e-7 * exp(x[i] * 0.5));
            ck_assert(fabs(k->sum_squares(x, n) / (squares + 1e-30) - 1) < 1e-6 || squares == 0);
            ck_assert(fabs(k->sum(x, n) - all) <= 1e-5 * fabs(all));
            ck_assert_int_eq(k->argmax(y, n), n - 1);
            ck_assert(k->scan(y, n, &bad) == (float)(n - 1) && !bad);
            y[n / 2] = NAN;
            k->scan(y, n, &bad);
            ck_assert(bad);
            y[n / 2] = INFINITY;
            k->scan(y, n, &bad);
            ck_assert(bad);
            y[n / 2] = -INFINITY;
            k->scan(y, n, &bad);
            ck_assert(!bad);
        }
    }
    ck_assert(kd__matches("layers.*.bias", "layers.12.bias") && !kd__matches("*.bias", "bias.x") &&
              kd__matches("*", "") && kd__matches("a?c", "abc"));
}
END_TEST

/* ---- a disk that is full, a folder that may not be written ---- */

static int count_files(const char *folder)
{
    int count = 0;
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));) count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

START_TEST(a_full_disk_leaves_the_old_file)
{
    char folder[600], path[700];
    static char bytes[200000];
    /* no file may grow beyond it: the write fails as on a full disk */
    struct rlimit limit, before;
    char *back = NULL;
    int64_t size;
    snprintf(folder, sizeof folder, "%s/full",
             getenv("KD_TEST_DIR") ? getenv("KD_TEST_DIR") : "/tmp");
    snprintf(path, sizeof path, "%s/file", folder);
    mkdir(folder, 0777);
    ck_assert_int_eq(kd__file_replace(ctx, path, "old", 3), KD_OK);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){ .rlim_cur = 100000, .rlim_max = before.rlim_max };
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(kd__file_replace(ctx, path, bytes, sizeof bytes), KD_ERR_IO);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0); /* the next test may be this process */
    ck_assert_ptr_nonnull(strstr(kd_last_error(), "cannot write"));
    ck_assert_int_eq(kd__file_read(ctx, path, 100, &back, &size), KD_OK);
    ck_assert(size == 3 && !memcmp(back, "old", 3));
    kd__release(ctx, back);
    ck_assert_int_eq(count_files(folder), 1); /* nothing half-written stays */
    ck_assert_int_eq(kd__file_read(ctx, path, 2, &back, &size), KD_ERR_FORMAT);
    ck_assert_int_eq(kd__file_read(ctx, folder, 2, &back, &size), KD_ERR_IO);
}
END_TEST

/* ---- attention in blocks against sums over whole rows in double ---- */

static int sees(const kd__attention *a, int64_t t, int64_t j)
{
    if (a->both_sides) return !a->window || llabs(t - j) < a->window;
    return j <= t && (!a->window || t - j < a->window || j < a->sinks);
}

static double dot(const float *x, const float *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * y[i];
    return sum;
}

/* Output of one row and head, and what it adds to the gradient of its sequence. `x` and `grad` are
 * row 0 of the sequence. */
static void plain_row(const kd__attention *a, const float *x, int64_t row, int64_t rows, int64_t t,
                      int64_t h, double *p, double *out, const float *dout, double *grad)
{
    const int64_t d = a->width, kv = h / (a->heads / a->kv_heads), key = (a->heads + kv) * d,
                  value = key + a->kv_heads * d;
    double sum = 0, mean = 0;
    for (int64_t j = 0; j < rows; j++)
        sum += p[j] = sees(a, t, j) ? exp(a->scale * dot(x + t * row + h * d, x + j * row + key, d))
                                    : 0;
    for (int64_t i = 0; i < d; i++) out[i] = 0;
    for (int64_t j = 0; j < rows; j++) {
        p[j] /= sum;
        for (int64_t i = 0; i < d; i++) out[i] += p[j] * x[j * row + value + i];
    }
    for (int64_t i = 0; i < d; i++) mean += dout[i] * out[i];
    for (int64_t j = 0; j < rows; j++) {
        const double s = a->scale * p[j] * (dot(dout, x + j * row + value, d) - mean);
        for (int64_t i = 0; i < d; i++) {
            grad[j * row + value + i] += p[j] * dout[i];
            grad[j * row + key + i] += s * x[t * row + h * d + i];
            grad[t * row + h * d + i] += s * x[j * row + key + i];
        }
    }
}

static void compare_attention(const kd__attention *a)
{
    const int64_t rows = a->offsets[a->sequences], row = (a->heads + 2 * a->kv_heads) * a->width,
                  wide = a->heads * a->width;
    float *x = malloc((size_t)(rows * (2 * row + 2 * wide + a->heads)) * sizeof *x),
          *dx = x + rows * row, *out = dx + rows * row, *dout = out + rows * wide,
          *lse = dout + rows * wide;
    double *grad = calloc((size_t)(rows * row + rows + a->width), sizeof *grad),
           *p = grad + rows * row, *y = p + rows, worst = 0, worst_gradient = 0;
    for (int64_t i = 0; i < rows * row; i++)
        x[i] =
            (float)(sin(.37 * (double)(i % 100003)) * (1 + 3. * (double)i / (double)(rows * row))),
        dx[i] = NAN;
    for (int64_t i = 0; i < rows * wide; i++)
        dout[i] = (float)cos(.73 * (double)(i % 100003)), out[i] = NAN;
    ck_assert_int_eq(kd__attention_forward(ctx, a, x, out, lse), KD_OK);
    ck_assert_int_eq(kd__attention_backward(ctx, a, x, out, lse, dout, dx), KD_OK);
    for (int64_t s = 0; s < a->sequences; s++)
        for (int64_t t = 0; t < a->offsets[s + 1] - a->offsets[s]; t++)
            for (int64_t h = 0; h < a->heads; h++) {
                const int64_t at = (a->offsets[s] + t) * wide + h * a->width;
                plain_row(a, x + a->offsets[s] * row, row, a->offsets[s + 1] - a->offsets[s], t, h,
                          p, y, dout + at, grad + a->offsets[s] * row);
                for (int64_t i = 0; i < a->width; i++)
                    worst =
                        fmax(worst, isfinite(out[at + i]) ? fabs(out[at + i] - y[i]) : INFINITY);
            }
    for (int64_t i = 0; i < rows * row; i++)
        worst_gradient = fmax(worst_gradient, isfinite(dx[i])
                                                  ? fabs(dx[i] - grad[i]) / (1 + fabs(grad[i]))
                                                  : INFINITY);
    ck_assert_msg(worst < 2e-5 && worst_gradient < 1e-4, "window %d, sinks %d, both %d: %g, %g",
                  (int)a->window, (int)a->sinks, a->both_sides, worst, worst_gradient);
    free(x);
    free(grad);
}

/* Registers as the manuals describe them: each feature needs the processor and the system. */
START_TEST(features_need_the_processor_and_the_system)
{
    const kd__cpu_registers all = { 0x38001000u, 0xc0030020u, 0x800u, 0x20u, 0xe7 };
    kd__cpu_registers r = all;
    ck_assert_uint_eq(kd__cpu_read(&r),
                      KD__CPU_AVX2 | KD__CPU_AVX512 | KD__CPU_AVX512_VNNI | KD__CPU_AVX512_BF16);
    r.xcr0 = 0x7; /* the system saves no ZMM */
    ck_assert_uint_eq(kd__cpu_read(&r), KD__CPU_AVX2);
    r.xcr0 = 0x3;
    ck_assert_uint_eq(kd__cpu_read(&r), 0);
    r = all, r.leaf7_ebx &= ~(1u << 31);
    ck_assert_uint_eq(kd__cpu_read(&r), KD__CPU_AVX2);
    r = all, r.leaf1_ecx &= ~(1u << 12);
    ck_assert_uint_eq(kd__cpu_read(&r), 0);
    r = all, r.leaf71_eax = 0;
    ck_assert_uint_eq(kd__cpu_read(&r), KD__CPU_AVX2 | KD__CPU_AVX512 | KD__CPU_AVX512_VNNI);
    r = all, r.leaf71_eax = 0x10, r.xcr0 = 0x7; /* a processor without AVX-512 */
    ck_assert_uint_eq(kd__cpu_read(&r), KD__CPU_AVX2 | KD__CPU_AVX_VNNI);
}
END_TEST

static void put_file(const char *root, const char *name, const char *text)
{
    char path[1200];
    snprintf(path, sizeof path, "%s%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = 0;
        mkdir(path, 0777);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(processors_are_those_of_the_control_group)
{
    const char *folder = getenv("KD_TEST_DIR");
    char root[600];
    snprintf(root, sizeof root, "%s/cgroup-%d", folder ? folder : "/tmp", (int)getpid());
    mkdir(root, 0777);
    const int32_t bound = kd__processors(root); /* no groups there */
    ck_assert_int_ge(bound, 1);
    put_file(root, "/proc/self/cgroup", "0::/a/b\n");
    put_file(root, "/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    ck_assert_int_eq(kd__processors(root), bound);
    put_file(root, "/sys/fs/cgroup/a/cpu.max",
             "50000 100000\n"); /* half a processor, one level up */
    ck_assert_int_eq(kd__processors(root), 1);
    put_file(root, "/proc/self/cgroup", "5:cpu,cpuacct:/c\n4:cpuset:/\n");
    ck_assert_int_eq(kd__processors(root), bound);
    put_file(root, "/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "100000\n");
    put_file(root, "/sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n");
    ck_assert_int_eq(kd__processors(root), 1);
    put_file(root, "/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "-1\n");
    ck_assert_int_eq(kd__processors(root), bound);
}
END_TEST

START_TEST(attention_in_blocks_is_attention)
{
    static const int64_t all[] = { 0, 1, 50, 1180, 1180, 1693 },
                         few[] = { 0, 1, 20, 550, 550, 560 }, long_sinks[] = { 0, 1130 };
    const int is_few = getenv("KD_TEST_FEW") != NULL;
    kd__attention a = { .heads = is_few ? 2 : 4,
                        .kv_heads = is_few ? 1 : 2,
                        .width = 10,
                        .scale = .3,
                        .sequences = 5,
                        .offsets = is_few ? few : all };
    static const int64_t masks[][2] = { { 0, 0 },   { 1, 0 },   { 37, 0 },  { 37, 4 },
                                        { 600, 0 }, { 530, 3 }, { 5000, 2 } };
    kd__attention b = { .heads = 1,
                        .kv_heads = 1,
                        .width = 33,
                        .window = 100,
                        .sinks = 700,
                        .scale = .2,
                        .sequences = 1,
                        .offsets = long_sinks };
    kd_context *own = ctx;
    for (int32_t isa = KD_ISA_PORTABLE; isa <= KD_ISA_AVX512; isa++) {
        kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
        o.isa = isa;
        o.threads = 2;
        if (kd_context_create(&ctx, &o)) continue;
        for (size_t i = 0; i < sizeof masks / sizeof *masks; i += is_few ? 5 : 1) {
            a.window = masks[i][0], a.sinks = masks[i][1], a.both_sides = 0;
            compare_attention(&a);
            a.sinks = 0, a.both_sides = 1;
            compare_attention(&a);
        }
        if (!is_few) compare_attention(&b);
        kd_context_free(ctx);
    }
    ctx = own;
}
END_TEST

/* Each row's values are a unit vector, so that outputs are probabilities: dropped or scaled. */
START_TEST(attention_drops_probabilities)
{
    enum { N = 64, ROW = 3 * N };
    static const int64_t offsets[] = { 0, N };
    static float x[N * ROW], whole[N * N], dropped[N * N], lse[N];
    kd__attention a = { .heads = 1,
                        .kv_heads = 1,
                        .width = N,
                        .both_sides = 1,
                        .scale = 0.05,
                        .sequences = 1,
                        .offsets = offsets };
    int64_t none = 0;
    for (int i = 0; i < N * ROW; i++) x[i] = (float)sin(0.37 * i);
    for (int r = 0; r < N; r++)
        for (int i = 0; i < N; i++) x[r * ROW + 2 * N + i] = r == i;
    ck_assert_int_eq(kd__attention_forward(ctx, &a, x, whole, lse), KD_OK);
    a.dropout = 0.25, a.stream = 5;
    ck_assert_int_eq(kd__attention_forward(ctx, &a, x, dropped, lse), KD_OK);
    for (int i = 0; i < N * N; i++) {
        none += dropped[i] == 0;
        if (dropped[i] != 0) ck_assert_double_eq_tol(dropped[i], whole[i] / 0.75, 1e-6);
    }
    ck_assert_int_gt(none, N * N * 22 / 100);
    ck_assert_int_lt(none, N * N * 28 / 100);
}
END_TEST

/* Words of scripts with spaces: runs of ASCII's letters and digits and of bytes beyond ASCII, A to
 * Z as a to z. */
static int next_run(const unsigned char **at, uint64_t *hash)
{
    uint64_t h = 0x9e3779b97f4a7c15ULL;
    while (**at && **at < 0x80 && !isalnum(**at)) ++*at;
    if (!**at) return 0;
    for (; **at >= 0x80 || isalnum(**at); ++*at)
        h = (h ^ (uint64_t)(**at < 0x80 ? tolower(**at) : **at)) * 0x100000001b3ULL;
    *hash = kd__mix(h);
    return 1;
}

/* The hashes of an n-gram are of its words in their order, and of nothing else. */
typedef struct {
    uint64_t words[512];
    int32_t n, at;
} run_of_words;

static int compare_gram(void *user, uint64_t hash)
{
    run_of_words *r = user;
    uint64_t sum = 0;
    for (int32_t i = 0; i < r->n; i++) sum = sum * 0xd1342543de82ef95ULL + r->words[r->at + i];
    r->at++;
    return hash != kd__mix(sum);
}

START_TEST(words_of_scripts_with_spaces_are_runs_of_letters)
{
    static const char *const parts[] = { "The",
                                         "x2",
                                         "caf\u00e9",
                                         "na\u00efve",
                                         "\u00dcber",
                                         "\u041f\u0440\u0438\u0432\u0435\u0442",
                                         "\u03bb\u03cc\u03b3\u03bf\u03c2",
                                         "\u0645\u0631\u062d\u0628\u0627",
                                         "\u0928\u092e\u0938\u094d\u0924\u0947",
                                         "\ud55c\uad6d\uc5b4",
                                         "\u2019",
                                         "\u2014",
                                         "\U0001f600",
                                         " ",
                                         "  ",
                                         "\n",
                                         ", ",
                                         ". ",
                                         "-",
                                         "'",
                                         "(",
                                         "\t" };
    uint64_t state = 7;
    for (int text = 0; text < 2000; text++) {
        char bytes[2048] = "";
        run_of_words run = { .n = 1 + text % 6 };
        int32_t count = 0;
        for (int i = 0; i < 60; i++)
            strcat(bytes, parts[(state = kd__mix(state + 1)) % (sizeof parts / sizeof *parts)]);
        kd__words words = text & 1 ? kd__words_of(bytes) : kd__words_by_worth(bytes);
        const unsigned char *at = (const unsigned char *)bytes;
        for (uint64_t mine, hash; next_run(&at, &hash); count++) {
            ck_assert_msg(kd__next_word(&words, &mine) && mine == hash, "word %d of: %s",
                          (int)count, bytes);
            run.words[count] = hash;
        }
        if (count < run.n) continue;
        ck_assert_msg(!kd__each_gram(kd__words_by_worth(bytes), run.n, compare_gram, &run),
                      "%d-gram %d of: %s", run.n, run.at, bytes);
        ck_assert_int_eq(run.at, count - run.n + 1);
    }
}
END_TEST

static int32_t grams_of(kd__words words, int32_t n)
{
    run_of_words run = { .n = 0 };
    kd__each_gram(words, n, compare_gram, &run); /* it ends at the first, which is of no 0 words */
    return run.at;
}

/* By their worth 15 characters of Han, 30 of kana and 40 letters of Thai are ten words; else each
 * is one. */
START_TEST(characters_without_spaces_are_parts_of_words)
{
    static const struct {
        const char *character;
        int32_t ten;
    } scripts[] = { { "\u4eca", 15 }, { "\u3042", 30 }, { "\u0e01", 40 }, { "\u0e81", 40 },
                    { "\u1780", 40 }, { "\u1000", 40 }, { "a ", 10 },     { "\uff41\u3000", 10 } };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        char text[256] = "";
        for (int32_t k = 0; k < scripts[i].ten; k++) {
            ck_assert_int_eq(kd__has_gram(kd__words_by_worth(text), 10), 0);
            ck_assert_int_eq(kd__has_gram(kd__words_of(text), 10), k >= 10);
            strcat(text, scripts[i].character);
        }
        ck_assert_int_eq(kd__has_gram(kd__words_by_worth(text), 10), 1);
        /* a shorter text is one n-gram */
        ck_assert_int_eq(grams_of(kd__words_by_worth(text), 64), 1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("internal");
    TCase *tests = tcase_create("internal");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, keys_are_murmur3);
    tcase_add_test(tests, json_is_read_and_nonsense_refused);
    tcase_add_test(tests, safetensors_cover_their_data);
    tcase_add_test(tests, kernels_agree_with_double_arithmetic);
    tcase_add_test(tests, features_need_the_processor_and_the_system);
    tcase_add_test(tests, processors_are_those_of_the_control_group);
    tcase_add_test(tests, attention_in_blocks_is_attention);
    tcase_add_test(tests, attention_drops_probabilities);
    tcase_add_test(tests, words_of_scripts_with_spaces_are_runs_of_letters);
    tcase_add_test(tests, characters_without_spaces_are_parts_of_words);
    tcase_add_test(tests, a_full_disk_leaves_the_old_file); /* last: without fork its limit stays */
    suite_add_tcase(suite, tests);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a log tells how far a run came */
    SRunner *runner = srunner_create(bounds_suite());
    srunner_add_suite(runner, base_suite());
    srunner_add_suite(runner, draft_length_suite());
    srunner_add_suite(runner, int4_suite());
    srunner_add_suite(runner, int8_suite());
    srunner_add_suite(runner, kernels_suite());
    srunner_add_suite(runner, layers_suite());
    srunner_add_suite(runner, many_ranks_suite());
    srunner_add_suite(runner, relation_suite());
    srunner_add_suite(runner, loss_state_suite());
    srunner_add_suite(runner, token_relation_suite());
    srunner_add_suite(runner, relation_goldens_suite());
    srunner_add_suite(runner, packed_suite());
    srunner_add_suite(runner, positions_suite());
    srunner_add_suite(runner, eigen_suite());
    srunner_add_suite(runner, templates_suite());
    srunner_add_suite(runner, suite);
    srunner_add_suite(runner, system_suite());
    srunner_add_suite(runner, os_suite());
    srunner_add_suite(runner, sorter_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
