#include <fenv.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

START_TEST(options_initializers_agree_byte_for_byte)
{
#define AGREE(type, MACRO, function)                                                               \
    do {                                                                                           \
        type macro = MACRO, by_function, part;                                                     \
        memset(&by_function, 0xee, sizeof by_function);                                            \
        function(&by_function, sizeof by_function);                                                \
        ck_assert_int_eq(memcmp(&macro, &by_function, sizeof macro), 0);                           \
        memset(&part, 0xee, sizeof part);                                                          \
        function(&part, 8); /* never beyond the given size */                                      \
        for (size_t i = 8; i < sizeof part; i++)                                                   \
            ck_assert_uint_eq(((unsigned char *)&part)[i], 0xee);                                  \
    } while (0)
    AGREE(kd_context_options, KD_CONTEXT_OPTIONS_INIT, kd_context_options_init);
    AGREE(kd_dataset_options, KD_DATASET_OPTIONS_INIT, kd_dataset_options_init);
    AGREE(kd_field_options, KD_FIELD_OPTIONS_INIT, kd_field_options_init);
    AGREE(kd_csv_options, KD_CSV_OPTIONS_INIT, kd_csv_options_init);
    AGREE(kd_pseudo_label_options, KD_PSEUDO_LABEL_OPTIONS_INIT, kd_pseudo_label_options_init);
    AGREE(kd_loader_options, KD_LOADER_OPTIONS_INIT, kd_loader_options_init);
    AGREE(kd_batch_options, KD_BATCH_OPTIONS_INIT, kd_batch_options_init);
    AGREE(kd_model_options, KD_MODEL_OPTIONS_INIT, kd_model_options_init);
    AGREE(kd_model_save_options, KD_MODEL_SAVE_OPTIONS_INIT, kd_model_save_options_init);
    AGREE(kd_teacher_options, KD_TEACHER_OPTIONS_INIT, kd_teacher_options_init);
    AGREE(kd_ensemble_options, KD_ENSEMBLE_OPTIONS_INIT, kd_ensemble_options_init);
    AGREE(kd_targets_options, KD_TARGETS_OPTIONS_INIT, kd_targets_options_init);
    AGREE(kd_loss_options, KD_LOSS_OPTIONS_INIT, kd_loss_options_init);
    AGREE(kd_term_options, KD_TERM_OPTIONS_INIT, kd_term_options_init);
    AGREE(kd_plateau_options, KD_PLATEAU_OPTIONS_INIT, kd_plateau_options_init);
    AGREE(kd_optimizer_options, KD_OPTIMIZER_OPTIONS_INIT, kd_optimizer_options_init);
    AGREE(kd_group_options, KD_GROUP_OPTIONS_INIT, kd_group_options_init);
    AGREE(kd_monitor_options, KD_MONITOR_OPTIONS_INIT, kd_monitor_options_init);
    AGREE(kd_metrics_options, KD_METRICS_OPTIONS_INIT, kd_metrics_options_init);
    AGREE(kd_checkpoint_options, KD_CHECKPOINT_OPTIONS_INIT, kd_checkpoint_options_init);
}
END_TEST

START_TEST(structs_of_other_versions_are_understood)
{
    struct {
        kd_loader_options known;
        int64_t more;
    } newer = { KD_LOADER_OPTIONS_INIT, 0 };
    kd_context *ctx = make_context(1);
    kd_dataset *data;
    kd_loader *loader = NULL;
    float x[4] = { 0 };
    kd_array xs = KD_ARRAY_2D(x, KD_FLOAT32, 4, 1);
    OK(kd_dataset_create(&data, ctx, NULL));
    OK(kd_dataset_add(data, "inputs", &xs, NULL));
    newer.known.struct_size = sizeof newer;
    OK(kd_loader_create(&loader, data, &newer.known)); /* unknown bytes that are zero */
    kd_loader_free(loader);
    newer.more = 1;
    FAILS(kd_loader_create(&loader, data, &newer.known), KD_ERR_VERSION, "knows only");
    newer.known.struct_size = 8; /* an older caller that knew the batch size alone */
    newer.known.batch_size = 2;
    OK(kd_loader_create(&loader, data, &newer.known));
    kd_loader_free(loader);
    newer.known.struct_size = 0;
    FAILS(kd_loader_create(&loader, data, &newer.known), KD_ERR_INVALID, "struct_size");
    kd_context_info small = { .struct_size = 8, .isa = 77 };
    OK(kd_context_get_info(ctx, &small));
    ck_assert_int_eq(small.isa, 77); /* nothing beyond the size given */
    ck_assert_int_eq(small.threads, 1);
    kd_dataset_free(data);
    kd_context_free(ctx);
}
END_TEST

static void *take_block(void *user, size_t bytes)
{
    ++*(int *)user;
    return aligned_alloc(16, (bytes + 15) / 16 * 16 + 16);
}
static void give_block(void *user, void *block, size_t bytes)
{
    (void)bytes;
    *(int *)user -= block != NULL;
    free(block);
}

START_TEST(an_allocator_needs_no_reallocate)
{
    kd_context *ctx;
    int blocks = 0;
    kd_allocator a = { sizeof a, 0, &blocks, take_block, NULL, give_block };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    o.allocator = &a;
    OK(kd_context_create(&ctx, &o));
    ck_assert_int_gt(blocks, 0);
    kd_context_free(ctx);
    ck_assert_int_eq(blocks, 0);
    a.release = NULL;
    FAILS(kd_context_create(&ctx, &o), KD_ERR_INVALID, "expected both allocate and release");
}
END_TEST

START_TEST(facts_and_limits)
{
    kd_context *ctx = NULL;
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context_info info = { .struct_size = sizeof info };
    o.threads = 2000;
    FAILS(kd_context_create(&ctx, &o), KD_ERR_RANGE, "0 to 1024");
    o.threads = 0;
    o.isa = 9;
    FAILS(kd_context_create(&ctx, &o), KD_ERR_RANGE, "isa");
    ck_assert_ptr_null(ctx); /* untouched by failures */
    ctx = make_context(2);
    OK(kd_context_get_info(ctx, &info));
    ck_assert_int_eq(info.threads, 2);
    ck_assert_uint_eq(info.seed, 7);
    ck_assert_int_eq(info.deterministic, 1);
    ck_assert(strlen(info.blas) > 3 && strlen(info.blas_kernels) > 0);
    ck_assert_int_eq(info.blas_is_slow, strlen(info.blas_remedy) > 0);
    ck_assert(info.bytes > 0 && info.peak_bytes >= info.bytes);
    FAILS(kd_context_set_blas_threads(ctx, 0), KD_ERR_RANGE, "1 to 1024");
    kd_context_free(ctx);
    ck_assert_int_eq(kd_version(), KD_VERSION_NUMBER);
    ck_assert(strstr(kd_build_info(), "kdistill 0.") != NULL);
    ck_assert_str_eq(kd_status_name(KD_ERR_SHAPE), "KD_ERR_SHAPE");
    ck_assert_str_eq(kd_status_name(-999), "unknown status");
    ck_assert_int_eq(kd_set_error(KD_ERR_CALLBACK, "mine"), KD_ERR_CALLBACK);
    ck_assert_str_eq(kd_last_error(), "mine");
    FAILS(kd_context_get_info(NULL, &info), KD_ERR_INVALID, "NULL");
}
END_TEST

static int lines;
static void take_line(void *user, int32_t level, const char *line)
{
    (void)user, (void)level, (void)line;
    lines++;
}

START_TEST(an_old_blas_is_said_once_and_only_to_the_logger)
{
    kd_context *ctx;
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context_info info = { .struct_size = sizeof info };
    kd_logger logger = { sizeof logger, KD_LOG_WARNING, NULL, take_line };
    o.logger = &logger;
    OK(kd_context_create(&ctx, &o));
    OK(kd_context_get_info(ctx, &info));
    ck_assert_int_eq(lines, info.blas_is_slow);
    kd_context_free(ctx);
}
END_TEST

/* ---- products ---- */

/* The nearest bfloat16, ties to even. */
static float as_bfloat16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    memcpy(&x, &bits, 4);
    return x;
}

static void check_products(kd_context *ctx, int rounded)
{
    static const int64_t all[][3] = { { 1, 1, 1 },       { 5, 7, 3 },      { 33, 65, 17 },
                                      { 128, 100, 300 }, { 200, 31, 400 }, { 13, 97, 4100 },
                                      { 40, 33, 8300 } },
                         few[][3] = { { 1, 1, 1 },   { 5, 7, 3 },    { 13, 17, 7 }, { 17, 33, 60 },
                                      { 50, 5, 80 }, { 2, 3, 4100 }, { 2, 2, 8300 } };
    const int64_t(*shapes)[3] = getenv("KD_TEST_FEW") ? few : all;
    for (int s = 0; s < 6 + rounded; s++)
        for (int flags = 0; flags < 4; flags++) {
            int64_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
            int ta = flags & 1, tb = flags >> 1;
            float *a = malloc((size_t)(m * k) * 4), *b = malloc((size_t)(k * n) * 4),
                  *c = malloc((size_t)(m * n) * 4);
            for (int64_t i = 0; i < m * k; i++) a[i] = (float)sin((double)i);
            for (int64_t i = 0; i < k * n; i++) b[i] = (float)cos(1.1 * (double)i);
            for (int64_t i = 0; i < m * n; i++) c[i] = 1;
            OK(kd_context_matmul(ctx, ta, tb, m, n, k, 2, a, ta ? m : k, b, tb ? k : n, 0.5f, c,
                                 n));
            for (int64_t i = 0; i < m * k && rounded; i++) a[i] = as_bfloat16(a[i]);
            for (int64_t i = 0; i < k * n && rounded; i++) b[i] = as_bfloat16(b[i]);
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < n; j++) {
                    double sum = 0;
                    for (int64_t p = 0; p < k; p++)
                        sum += (double)a[ta ? p * m + i : i * k + p] *
                               b[tb ? j * k + p : p * n + j];
                    NEAR(c[i * n + j], 2 * sum + 0.5, 2e-5 * sqrt((double)k) + 1e-5);
                }
            free(a), free(b), free(c);
        }
}

static int products_of_mine;
static kd_status my_matmul(void *user, int32_t ta, int32_t tb, int64_t m, int64_t n, int64_t k,
                           float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
                           float beta, float *c, int64_t ldc)
{
    if (user) return kd_set_error(KD_ERR_CALLBACK, "no product today");
    products_of_mine++;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += (double)a[ta ? p * lda + i : i * lda + p] *
                       b[tb ? j * ldb + p : p * ldb + j];
            c[i * ldc + j] = (float)(alpha * sum) + (beta == 0 ? 0 : beta * c[i * ldc + j]);
        }
    return KD_OK;
}

START_TEST(products_are_right_whoever_computes_them)
{
    for (int32_t gemm = KD_GEMM_BLAS; gemm <= KD_GEMM_OWN; gemm++)
        for (int32_t isa = KD_ISA_PORTABLE; isa <= KD_ISA_AVX512; isa++)
            for (int32_t threads = 1; threads <= 2; threads++) {
                kd_context *ctx = NULL;
                kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
                o.gemm = gemm;
                o.isa = isa;
                o.threads = threads;
                if (kd_context_create(&ctx, &o) == KD_ERR_UNSUPPORTED) continue;
                OK(kd_context_set_blas_threads(ctx, threads));
                check_products(ctx, 0);
                OK(kd_context_set_blas_threads(ctx, 1));
                kd_context_free(ctx);
            }
    kd_matmul mine = { sizeof mine, 0, NULL, my_matmul };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context *ctx;
    float one = 1;
    o.matmul = &mine;
    OK(kd_context_create(&ctx, &o));
    check_products(ctx, 0);
    ck_assert_int_eq(products_of_mine, 24);
    kd_context_free(ctx);
    mine.user = &one;
    OK(kd_context_create(&ctx, &o));
    FAILS(kd_context_matmul(ctx, 0, 0, 1, 1, 1, 1, &one, 1, &one, 1, 0, &one, 1), KD_ERR_CALLBACK,
          "no product today");
    FAILS(kd_context_matmul(ctx, 0, 0, 2, 2, 2, 1, &one, 1, &one, 2, 0, &one, 2), KD_ERR_SHAPE,
          "lda, ldb and ldc");
    kd_context_free(ctx);
}
END_TEST

START_TEST(products_of_bfloat16_round_both_sides)
{
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context_info info = { .struct_size = sizeof info };
    kd_matmul mine = { sizeof mine, 0, NULL, my_matmul };
    kd_context *ctx = NULL;
    double float32 = 0, bfloat16 = 0;
    float nan_and_one[2] = { NAN, 1 }, two[2] = { 1, 1 }, sum = 0;
    o.matmul_precision = KD_PRECISION_BFLOAT16;
    for (o.isa = KD_ISA_PORTABLE; o.isa <= KD_ISA_AVX512; o.isa++)
        for (o.threads = 1; o.threads <= 2; o.threads++) {
            if (kd_context_create(&ctx, &o) == KD_ERR_UNSUPPORTED) continue;
            OK(kd_context_get_info(ctx, &info));
            ck_assert_int_eq(info.matmul_precision, KD_PRECISION_BFLOAT16);
            ck_assert_int_eq(info.deterministic, 1);
            check_products(ctx, 1);
            OK(kd_context_matmul(ctx, 0, 0, 1, 1, 2, 1, nan_and_one, 2, two, 1, 0, &sum, 1));
            ck_assert(isnan(sum));
            kd_context_free(ctx);
        }
    o.isa = KD_ISA_AUTO;
    o.matmul_precision = KD_PRECISION_MEASURED;
    OK(kd_context_create(&ctx, &o));
    OK(kd_context_measure_matmul(ctx, &float32, &bfloat16));
    ck_assert(float32 > 0 && bfloat16 > 0);
    FAILS(kd_context_measure_matmul(ctx, NULL, &bfloat16), KD_ERR_INVALID, "NULL");
    kd_context_free(ctx);
    o.matmul = &mine;
    FAILS(kd_context_create(&ctx, &o), KD_ERR_INVALID, "matmul");
    o.matmul = NULL;
    o.matmul_precision = 3;
    FAILS(kd_context_create(&ctx, &o), KD_ERR_RANGE, "matmul_precision");
}
END_TEST

/* ---- the host's process ---- */

static double train_a_little(kd_context *ctx)
{
    float x[64 * 4], value;
    int64_t y[64];
    kd_model *model;
    kd_loss *loss;
    kd_batch *batch;
    kd_optimizer *optimizer;
    kd_loss_result result = { .struct_size = sizeof result };
    for (int i = 0; i < 256; i++) x[i] = (float)sin(i);
    for (int i = 0; i < 64; i++) y[i] = i % 3;
    kd_array xs = KD_ARRAY_2D(x, KD_FLOAT32, 64, 4), ys = KD_ARRAY_1D(y, KD_INT64, 64);
    OK(kd_model_create(
        &model, ctx,
        "{\"model_type\":\"mlp\",\"input_size\":4,\"hidden_sizes\":[40],\"num_labels\":3}", NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    for (int i = 0; i < 5; i++) {
        OK(kd_batch_begin(batch, 64));
        OK(kd_batch_set(batch, "inputs", &xs, NULL));
        OK(kd_batch_set(batch, "label", &ys, NULL));
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(loss, model, batch, NULL, NULL, &result));
        OK(kd_optimizer_step(optimizer, 0.01));
    }
    value = (float)result.value;
    kd_optimizer_free(optimizer);
    kd_batch_free(batch);
    kd_loss_free(loss);
    kd_model_free(model);
    return value;
}

START_TEST(fork_is_safe_before_and_after_use)
{
    if (getenv("KD_EMULATED")) { /* qemu-user cannot start threads in a forked child */
        printf("SKIPPED fork_is_safe_before_and_after_use: under an emulator\n");
        return;
    }
    kd_context *ctx = make_context(4);
    for (int used = 0; used < 2; used++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(300); /* a child that hangs dies, and the test tells it */
            double value = train_a_little(ctx);
            kd_context_free(ctx);
            _exit(isfinite(value) ? 0 : 1);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        train_a_little(ctx);
    }
    kd_context_free(ctx);
}
END_TEST

static void *train_thread(void *ctx)
{
    double *value = malloc(sizeof *value);
    *value = train_a_little(ctx);
    return value;
}

START_TEST(several_threads_share_a_context)
{
    kd_context *ctx = make_context(2);
    pthread_t threads[4];
    double expected = train_a_little(ctx);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, train_thread, ctx), 0);
    for (int i = 0; i < 4; i++) {
        void *value;
        pthread_join(threads[i], &value);
        NEAR(*(double *)value, expected, 0);
        free(value);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(floating_point_mode_and_environment_are_left_alone)
{
    extern char **environ;
    size_t before = 0, after = 0;
    fenv_t mode, now;
    for (char **e = environ; *e; e++) before += strlen(*e);
    fesetround(FE_UPWARD);
    fegetenv(&mode);
    kd_context *ctx = make_context(2);
    train_a_little(ctx);
    kd_context_free(ctx);
    fegetenv(&now);
    ck_assert_int_eq(fegetround(), FE_UPWARD);
#ifdef __x86_64__
    /* rounding, masks, flush and denormals */
    ck_assert_uint_eq(mode.__mxcsr & 0xffc0, now.__mxcsr & 0xffc0);
#endif
    fesetround(FE_TONEAREST);
    for (char **e = environ; *e; e++) after += strlen(*e);
    ck_assert_uint_eq(before, after);
    volatile float tiny = 1e-40f;
    ck_assert(tiny / 2 > 0); /* denormals work */
}
END_TEST

static int32_t stop_at_once(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)stage, (void)done, (void)total;
    return ++*(int *)user > 1;
}

START_TEST(long_calls_can_be_canceled)
{
    int calls = 0;
    kd_progress progress = { sizeof progress, 0, &calls, stop_at_once };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context *ctx;
    kd_dataset *data;
    kd_model *model;
    float x[40] = { 0 }, z[20];
    kd_array xs = KD_ARRAY_2D(x, KD_FLOAT32, 10, 4), zs = KD_ARRAY_2D(z, KD_FLOAT32, 10, 2);
    o.progress = &progress;
    OK(kd_context_create(&ctx, &o));
    OK(kd_dataset_create(&data, ctx, NULL));
    OK(kd_dataset_add(data, "inputs", &xs, NULL));
    OK(kd_model_create(&model, ctx, "{\"model_type\":\"mlp\",\"input_size\":4,\"num_labels\":2}",
                       NULL));
    FAILS(kd_model_predict(model, data, "logits", 2, &zs), KD_ERR_CANCELED, "progress callback");
    calls = -100;
    OK(kd_model_predict(model, data, "logits", 2, &zs));
    OK(kd_context_cancel(ctx, 1));
    FAILS(kd_model_predict(model, data, "logits", 2, &zs), KD_ERR_CANCELED, "kd_context_cancel");
    OK(kd_context_cancel(ctx, 0));
    OK(kd_model_predict(model, data, "logits", 2, &zs));
    kd_model_free(model);
    kd_dataset_free(data);
    kd_context_free(ctx);
}
END_TEST

START_TEST(arrays_describe_themselves)
{
    kd_array a;
    float x[6];
    OK(kd_array_init(&a, x, KD_FLOAT32, 2, (const int64_t[]){ 2, 3 }));
    ck_assert_int_eq(kd_array_count(&a), 6);
    ck_assert_int_eq(a.strides[0], 3);
    ck_assert_uint_eq(kd_dtype_bytes(KD_BFLOAT16), 2);
    ck_assert_uint_eq(kd_dtype_bytes(99), 0);
    FAILS(kd_array_init(&a, x, 99, 1, (const int64_t[]){ 2 }), KD_ERR_INVALID, "got 99");
    FAILS(kd_array_init(&a, x, KD_FLOAT32, 9, (const int64_t[]){ 2 }), KD_ERR_INVALID, "rank");
    FAILS(kd_array_init(&a, x, KD_FLOAT32, 2, (const int64_t[]){ 2, -1 }), KD_ERR_INVALID,
          "dims[1]");
    FAILS(kd_array_init(&a, x, KD_FLOAT32, 2, (const int64_t[]){ INT64_MAX, 2 }), KD_ERR_RANGE,
          "64 bits");
    kd_array nonsense = KD_ARRAY_1D(NULL, KD_FLOAT32, 3);
    nonsense.rank = 77;
    ck_assert_int_eq(kd_array_count(&nonsense), -1);
}
END_TEST

Suite *context_suite(void)
{
    Suite *suite = suite_create("context");
    TCase *tests = tcase_create("context");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, options_initializers_agree_byte_for_byte);
    tcase_add_test(tests, structs_of_other_versions_are_understood);
    tcase_add_test(tests, an_allocator_needs_no_reallocate);
    tcase_add_test(tests, facts_and_limits);
    tcase_add_test(tests, an_old_blas_is_said_once_and_only_to_the_logger);
    tcase_add_test(tests, products_are_right_whoever_computes_them);
    tcase_add_test(tests, products_of_bfloat16_round_both_sides);
#ifndef __SANITIZE_THREAD__ /* ThreadSanitizer itself cannot start threads in a forked child */
    tcase_add_test(tests, fork_is_safe_before_and_after_use);
#else
    (void)fork_is_safe_before_and_after_use;
#endif
    tcase_add_test(tests, several_threads_share_a_context);
    tcase_add_test(tests, floating_point_mode_and_environment_are_left_alone);
    tcase_add_test(tests, long_calls_can_be_canceled);
    tcase_add_test(tests, arrays_describe_themselves);
    suite_add_tcase(suite, tests);
    return suite;
}
