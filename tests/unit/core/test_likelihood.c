/* A teacher that does not speak of the labels is told of, once; one that does is not. */
#include "unit.h"

enum { R = 64, V = 40 };

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets;
static float teacher[R * V], student[R * V], gradient[R * V];
static int64_t labels[R];
static int32_t warnings;
static char last[600];

static void keep_line(void *user, int32_t level, const char *line)
{
    (void)user;
    if (level > KD_LOG_WARNING || !strstr(line, "finds the labels unlikely"))
        return; /* others are of the BLAS */
    warnings++;
    snprintf(last, sizeof last, "%s", line);
}

static uint64_t stream = 3;
static double uniform(void)
{
    stream = stream * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(stream >> 11) * 0x1p-53;
}

static void setup(void)
{
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_logger logger = { .struct_size = sizeof logger, .level = KD_LOG_WARNING, .log = keep_line };
    o.logger = &logger;
    warnings = 0;
    OK(kd_context_create(&ctx, &o));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    for (int i = 0; i < R * V; i++) student[i] = (float)(i % 11) * 0.1f;
}

static void teardown(void)
{
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static int64_t draw(const float *logits)
{
    double sum = 0, at;
    for (int j = 0; j < V; j++) sum += exp(logits[j]);
    at = uniform() * sum;
    int64_t j = 0;
    for (; j < V - 1 && at >= exp(logits[j]); j++) at -= exp(logits[j]);
    return j;
}

/* Teachers as sure as `scale` says. Labels: draws from the teacher; a share `noise` of them is any
 * class. */
static void fill(double scale, double noise)
{
    for (int r = 0; r < R; r++) {
        for (int j = 0; j < V; j++)
            teacher[r * V + j] = (float)(scale * (uniform() + uniform() - 1));
        labels[r] = uniform() < noise ? (int64_t)(uniform() * V) : draw(teacher + r * V);
    }
}

enum { DENSE, TOPK, DRAWS };

static kd_loss *loss_of(int32_t form, int32_t align, int32_t diagnostics)
{
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.teacher_field = form == DENSE ? "logits" : "sparse";
    o.align = align;
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, &o, NULL));
    OK(kd_loss_set_diagnostics(loss, diagnostics));
    return loss;
}

/* field "label" a row, or the tokens of one sample of R rows, whose row t speaks of token t + 1. */
static void run(kd_loss *loss, int32_t form, int tokens)
{
    int64_t ends[2] = { 0, R }, ids[R];
    kd_array es = KD_ARRAY_1D(ends, KD_INT64, 2), vs = KD_ARRAY_2D(teacher, KD_FLOAT32, R, V),
             zs = KD_ARRAY_2D(student, KD_FLOAT32, R, V),
             ds = KD_ARRAY_2D(gradient, KD_FLOAT32, R, V), ls = KD_ARRAY_1D(labels, KD_INT64, R),
             ts = KD_ARRAY_1D(ids, KD_INT64, R);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, &ds, NULL };
    kd_loss_result result = { .struct_size = sizeof result };
    for (int r = 0; r < R; r++) ids[r] = r ? labels[r - 1] : 0;
    if (tokens) OK(kd_batch_begin_packed(batch, &es));
    else OK(kd_batch_begin(batch, R));
    OK(kd_batch_set(batch, tokens ? "tokens" : "label", tokens ? &ts : &ls, NULL));
    OK(kd_targets_begin(targets, R));
    if (form == DENSE) OK(kd_targets_set(targets, "logits", &vs, NULL));
    if (form == TOPK) OK(kd_targets_select(targets, "sparse", &vs, 8, 0, 1, NULL));
    if (form == DRAWS) OK(kd_targets_sample(targets, "sparse", &vs, 50, 1, 5));
    OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &result));
}

static int32_t warned_after(double scale, double noise, int32_t form, int tokens, int32_t align)
{
    kd_loss *loss = loss_of(form, align, 0);
    warnings = 0;
    for (int i = 0; i < 80; i++) {
        fill(scale, noise);
        run(loss, form, tokens);
    }
    kd_loss_free(loss);
    return warnings;
}

START_TEST(teachers_of_these_labels_are_not_told_of)
{
    static const double scales[] = { 0, 1, 4, 8, 16, 40 };
    const int step = getenv("KD_TEST_FEW") ? 4 : 1;
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i += (size_t)step)
        for (int32_t form = DENSE; form <= DRAWS; form++) /* up to six of ten labels are wrong */
            for (double noise = 0; noise < 0.65; noise += 0.2 * step) {
                ck_assert_msg(!warned_after(scales[i], noise, form, 0, KD_ALIGN_SAME),
                              "scale %g noise %g: %s", scales[i], noise, last);
                ck_assert_msg(!warned_after(scales[i], noise, form, 1, KD_ALIGN_NEXT),
                              "scale %g noise %g: %s", scales[i], noise, last);
            }
}
END_TEST

START_TEST(teachers_of_something_else_are_told_of_once)
{
    /* sure of themselves, and the labels are any */
    for (int32_t form = DENSE; form <= DRAWS; form++) {
        ck_assert_int_eq(warned_after(16, 1, form, 0, KD_ALIGN_SAME), 1);
        ck_assert_int_eq(warned_after(16, 1, form, 1, KD_ALIGN_NEXT), 1);
        /* a language model's row speaks of the next token all the same */
        ck_assert_int_eq(warned_after(16, 1, form, 1, KD_ALIGN_SAME), 1);
        ck_assert_ptr_nonnull(strstr(last, "mean log-likelihood"));
    }
}
END_TEST

START_TEST(diagnostics_tell_what_was_sampled_and_results_stay)
{
    static float before[R * V];
    kd_loss_diagnostics d = { .struct_size = sizeof d };
    kd_loss *loss = loss_of(DENSE, KD_ALIGN_NEXT, 1);
    fill(16, 1);
    run(loss, DENSE, 1);
    OK(kd_loss_get_diagnostics(loss, 0, &d));
    ck_assert_int_eq(d.sampled, 16);
    ck_assert_int_eq(d.suspect, 0); /* too few rows to say */
    for (int i = 0; i < 3; i++) run(loss, DENSE, 1);
    OK(kd_loss_get_diagnostics(loss, 0, &d));
    ck_assert_int_eq(d.sampled, 64);
    ck_assert_int_eq(d.suspect, 1);
    ck_assert(d.sampled_log_likelihood < -4 - d.sampled_entropy);
    memcpy(before, gradient, sizeof before);
    for (int i = 0; i < 70; i++) run(loss, DENSE, 1); /* the check is over, and changed nothing */
    OK(kd_loss_get_diagnostics(loss, 0, &d));
    ck_assert_int_eq(d.sampled, 16 * 64);
    ck_assert_mem_eq(before, gradient, sizeof before);
    kd_loss_free(loss);
}
END_TEST

START_TEST(tokens_that_are_no_classes_tell_nothing)
{
    kd_loss *loss = loss_of(DENSE, KD_ALIGN_SAME, 0);
    for (int i = 0; i < 8; i++) {
        fill(16, 1);
        labels[5] = V + 100; /* a vocabulary, not the classes that rows are tagged with */
        run(loss, DENSE, 1);
    }
    ck_assert_int_eq(warnings, 0);
    kd_loss_free(loss);
}
END_TEST

Suite *likelihood_suite(void)
{
    Suite *suite = suite_create("likelihood");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, teachers_of_these_labels_are_not_told_of);
    tcase_add_test(tests, teachers_of_something_else_are_told_of_once);
    tcase_add_test(tests, diagnostics_tell_what_was_sampled_and_results_stay);
    tcase_add_test(tests, tokens_that_are_no_classes_tell_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}
