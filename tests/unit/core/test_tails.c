/* Tails of sparse teachers at temperatures that were not stored: interpolated where they can be,
 * refused where not. */
#include "unit.h"

#include <unistd.h>

enum { V = 400, ROWS = 24, K = 16 };

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets, *whole;
static kd_loss *loss;
static float teacher[ROWS][V], student[ROWS][V], slope[ROWS][V];

static uint64_t stream = 5;
static double noise(void)
{
    stream = stream * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(stream >> 11) * 0x1p-53;
}

/* Logits whose tails are long, as language models' are: from nearly flat to nearly one-hot. */
static void setup(void)
{
    uint64_t key[2] = { 8, 8 };
    int64_t ends[2] = { 0, ROWS };
    kd_array es = KD_ARRAY_1D(ends, KD_INT64, 2), ks = KD_ARRAY_2D(key, KD_UINT64, 1, 2);
    kd_array vs = KD_ARRAY_2D(teacher, KD_FLOAT32, ROWS, V);
    ctx = make_context(1);
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < V; j++) {
            teacher[r][j] = (float)(-1.5 * log(noise() + 1e-4) + (j == 3 * r) * r / 2.0);
            student[r][j] = (float)(2 * noise());
        }
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_targets_create(&whole, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &es));
    OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
    OK(kd_targets_begin(whole, ROWS));
    OK(kd_targets_set(whole, "logits", &vs, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
}

static void teardown(void)
{
    kd_loss_free(loss);
    kd_targets_free(whole);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static void choose(kd_targets *to, double temperature, int32_t count, float *further)
{
    kd_array vs = KD_ARRAY_2D(teacher, KD_FLOAT32, ROWS, V),
             ts = KD_ARRAY_1D(further, KD_FLOAT32, count);
    OK(kd_targets_begin(to, ROWS));
    OK(kd_targets_select(to, "logits", &vs, K, 0, temperature, count ? &ts : NULL));
}

static kd_status evaluate(kd_targets *said, double temperature, double *mass, double *value)
{
    kd_array zs = KD_ARRAY_2D(student, KD_FLOAT32, ROWS, V),
             dz = KD_ARRAY_2D(slope, KD_FLOAT32, ROWS, V);
    kd_loss_output output = { .struct_size = sizeof output, .value = &zs, .gradient = &dz };
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    kd_loss_result r = { .struct_size = sizeof r };
    OK(kd_loss_set(loss, 0, KD_TERM_TEMPERATURE, temperature));
    const kd_status status = kd_loss_evaluate(loss, &output, 1, batch, said, NULL, &r);
    if (status != KD_OK) return status;
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    if (mass) *mass = seen.captured_mass;
    if (value) *value = r.value;
    return KD_OK;
}

static void term(int32_t tail, int32_t retemper)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.tail = tail;
    if (retemper >= 0) o.retemper = retemper;
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_set_diagnostics(loss, 1));
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, &o, NULL));
}

START_TEST(a_tail_between_two_temperatures_is_nearly_what_it_is)
{
    static const double temperatures[] = { 1.05, 1.2, 1.5, 1.8, 2.4, 3, 3.7, 5, 9, 30, 900 };
    float further[] = { 2, 4 }, grid[] = { 8, 1.5f, 2, 4, 3, 1.25f };
    term(KD_TAIL_BUCKET, -1);
    for (size_t i = 0; i < sizeof temperatures / sizeof *temperatures; i++) {
        double exact, found, finer, uniform, value, other;
        choose(targets, temperatures[i], 0, NULL);
        OK(evaluate(targets, temperatures[i], &exact, &value));
        choose(targets, 1, 2, further);
        OK(evaluate(targets, temperatures[i], &found, &other));
        NEAR(found, exact, 0.004);
        NEAR(other, value, 0.01 * (1 + value) * temperatures[i]);
        choose(targets, 1, 6, grid);
        OK(evaluate(targets, temperatures[i], &finer, NULL));
        NEAR(finer, exact, 0.001);
        if (temperatures[i] < 1.2 || temperatures[i] > 5) continue;
        choose(targets, 1, 0, NULL); /* what an even spread would say is far off */
        term(KD_TAIL_BUCKET, KD_RETEMPER_UNIFORM);
        OK(evaluate(targets, temperatures[i], &uniform, NULL));
        ck_assert_double_gt(fabs(uniform - exact), 10 * fabs(found - exact));
        term(KD_TAIL_BUCKET, -1);
    }
}
END_TEST

START_TEST(a_record_without_a_tail_has_none_at_any_temperature)
{
    float further[] = { 2 };
    double mass;
    for (int r = 0; r < ROWS; r++)
        for (int j = K; j < V; j++) teacher[r][j] = -INFINITY;
    choose(targets, 1, 1, further);
    term(KD_TAIL_BUCKET, -1);
    OK(evaluate(targets, 1.5, &mass, NULL));
    NEAR(mass, 1, 0);
}
END_TEST

START_TEST(what_is_not_known_is_refused_with_what_is)
{
    float further[] = { 2, 4 };
    double mass;
    term(KD_TAIL_BUCKET, -1);
    choose(targets, 1, 0, NULL);
    FAILS(evaluate(targets, 1.5, &mass, NULL), KD_ERR_MISMATCH,
          "at temperature 1.5, policy BUCKET: the records hold no tail there (known at: 1)");
    choose(targets, 1, 2, further);
    FAILS(evaluate(targets, 0.5, &mass, NULL), KD_ERR_MISMATCH, "(known at: 1, 2, 4)");
    term(KD_TAIL_BUCKET, KD_RETEMPER_EXACT);
    OK(evaluate(targets, 2, &mass, NULL));
    FAILS(evaluate(targets, 3, &mass, NULL), KD_ERR_MISMATCH, "(known at: 1, 2, 4)");
    term(KD_TAIL_RENORM_BOTH, -1); /* needs none */
    choose(targets, 1, 0, NULL);
    OK(evaluate(targets, 3, &mass, NULL));
}
END_TEST

/* ---- stores ---- */

static kd_store_writer *writer_of(const char *path, const double *temperatures, int32_t count,
                                  int32_t append)
{
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_store_writer *w;
    f.kind = KD_STORE_TOPK;
    f.name = "logits";
    f.k = K;
    o.vocabulary = V;
    o.append = append;
    o.temperatures = temperatures;
    o.temperature_count = count;
    if (!append) unlink(path);
    OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
    return w;
}

static kd_status finish(kd_store_writer *w, kd_targets *said)
{
    const kd_status status = kd_store_writer_add(w, batch, said);
    if (status == KD_OK) OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    return status;
}

static kd_targets *reread(const char *path)
{
    kd_teacher *said;
    OK(kd_teacher_open(&said, ctx, path, NULL));
    OK(kd_teacher_read(said, batch, targets));
    kd_teacher_free(said);
    return targets;
}

START_TEST(a_temperature_falls_over_a_default_store)
{
    const char *path = scratch_path("falling.kdt");
    double exact, found;
    kd_schedule *temperature;
    OK(finish(writer_of(path, NULL, 0, 0), whole));
    term(KD_TAIL_BUCKET, -1);
    OK(kd_schedule_create_linear(&temperature, ctx, 2.5, 1, 12));
    for (int64_t step = 0; step <= 12; step++) {
        const double t = kd_schedule_value(temperature, step);
        OK(evaluate(reread(path), t, &found, NULL));
        choose(targets, t, 0, NULL);
        OK(evaluate(targets, t, &exact, NULL));
        NEAR(found, exact, 0.008);
    }
    kd_schedule_free(temperature);
}
END_TEST

START_TEST(a_store_keeps_what_it_is_asked_for)
{
    static const double none[1] = { 0 }, two[1] = { 2 };
    const char *path = scratch_path("asked.kdt");
    double mass;
    term(KD_TAIL_BUCKET, -1);
    OK(finish(writer_of(path, none, 0, 0), whole));
    FAILS(evaluate(reread(path), 2, &mass, NULL), KD_ERR_MISMATCH, "(known at: 1)");
    OK(finish(writer_of(path, NULL, 0, 1), whole)); /* one that is there goes on as it is */
    FAILS(evaluate(reread(path), 2, &mass, NULL), KD_ERR_MISMATCH, "(known at: 1)");
    OK(finish(writer_of(path, two, 1, 0), whole));
    OK(evaluate(reread(path), 2, &mass, NULL));
    OK(evaluate(reread(path), 1.5, &mass, NULL));
}
END_TEST

START_TEST(rows_without_further_tails_are_kept_and_refused_by_their_number)
{
    static const double two[1] = { 2 };
    const char *path = scratch_path("without.kdt");
    double mass, found;
    term(KD_TAIL_BUCKET, -1);
    choose(targets, 1, 0, NULL);
    FAILS(finish(writer_of(path, two, 1, 0), targets), KD_ERR_MISMATCH,
          "temperature 2, which the sparse field lacks");
    choose(targets, 1, 0, NULL);
    OK(finish(writer_of(path, NULL, 0, 0), targets)); /* nobody asked for them */
    OK(evaluate(targets, 1, &mass, NULL));
    OK(evaluate(reread(path), 1, &found, NULL));
    NEAR(found, mass, 0.01);
    FAILS(evaluate(targets, 2, &mass, NULL), KD_ERR_MISMATCH,
          "row 0 is of a record that holds no tail there");
    FAILS(evaluate(targets, 1.5, &mass, NULL), KD_ERR_MISMATCH, "row 0 is of a record");
    term(KD_TAIL_BUCKET, KD_RETEMPER_UNIFORM);
    OK(evaluate(targets, 2, &mass, NULL));
}
END_TEST

Suite *tails_suite(void)
{
    Suite *suite = suite_create("tails");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_tail_between_two_temperatures_is_nearly_what_it_is);
    tcase_add_test(tests, a_record_without_a_tail_has_none_at_any_temperature);
    tcase_add_test(tests, what_is_not_known_is_refused_with_what_is);
    tcase_add_test(tests, a_temperature_falls_over_a_default_store);
    tcase_add_test(tests, a_store_keeps_what_it_is_asked_for);
    tcase_add_test(tests, rows_without_further_tails_are_kept_and_refused_by_their_number);
    suite_add_tcase(suite, tests);
    return suite;
}
