/* Divergences that make no sense, and sparse teachers that are wrong, are refused with the
 * reason. */
#include "divergencekit.h"

START_TEST(pairs_that_make_no_sense_are_refused_with_the_reason)
{
    static const struct {
        int32_t kind, tail;
        const char *why;
    } pairs[] = {
        { KD_LOSS_REVERSE_KL, KD_TAIL_TRUNCATE, "minimum" },
        { KD_LOSS_ACCEPTANCE, KD_TAIL_TRUNCATE, "accepted elsewhere counts as refused" },
        { KD_LOSS_TAID, KD_TAIL_BUCKET, "mixes the logits" },
        { KD_LOSS_DKD, KD_TAIL_BUCKET, "label's probability" },
        { KD_LOSS_LOGIT_MSE, KD_TAIL_BUCKET, "logit of every class" },
        { KD_LOSS_DIST, KD_TAIL_UNIFORM, "columns" },
        { KD_LOSS_ULD, KD_TAIL_TRUNCATE, "ranks whole distributions" },
        { KD_LOSS_ALPHA_BETA, KD_TAIL_BUCKET, "alpha + beta = 1" },
    };
    int64_t label = 3;
    kd_array labels = KD_ARRAY_1D(&label, KD_INT64, 1),
             vs = KD_ARRAY_2D(golden_v, KD_FLOAT32, 1, 8);
    double value;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        kd_term_options o = plain(1);
        o.teacher_field = "topk";
        o.tail = pairs[i].tail;
        top(golden_v, 8, 3, 1);
        OK(kd_batch_set(batch, "label", &labels, NULL));
        if (pairs[i].tail != KD_TAIL_BUCKET) { /* asked for by name: told when the term is added */
            FAILS(kd_loss_add(loss, pairs[i].kind, 1, &o, NULL), KD_ERR_UNSUPPORTED, pairs[i].why);
            continue;
        }
        restart(pairs[i].kind, &o);
        FAILS(row(golden_z, 8, NULL, &value), KD_ERR_UNSUPPORTED, pairs[i].why);
    }
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_sample(targets, "topk", &vs, 20, 1, 1));
    kd_term_options o = plain(1);
    o.teacher_field = "topk";
    restart(KD_LOSS_REVERSE_KL, &o);
    FAILS(row(golden_z, 8, NULL, &value), KD_ERR_UNSUPPORTED, "sampled counts");
    o.temperature = 2;
    restart(KD_LOSS_FORWARD_KL, &o);
    FAILS(row(golden_z, 8, NULL, &value), KD_ERR_MISMATCH, "cannot serve temperature 2");
}
END_TEST

START_TEST(bad_sparse_input_is_refused_with_its_row)
{
    int64_t ids[4] = { 1, 3, 1, 9 };
    float values[4] = { -1, -2, -1.5f, -3 }, tail[2] = { -2, -2 };
    kd_sparse s = KD_SPARSE_INIT;
    kd_array is = KD_ARRAY_2D(ids, KD_INT64, 2, 2), vs = KD_ARRAY_2D(values, KD_FLOAT32, 2, 2),
             ts = KD_ARRAY_1D(tail, KD_FLOAT32, 2);
    s.ids = &is;
    s.values = &vs;
    s.vocabulary = 10;
    OK(kd_targets_begin(targets, 2));
    OK(kd_targets_set_sparse(targets, "topk", &s, NULL));
    ids[0] = 3;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE,
          "row 0: expected each id once, got one twice");
    ids[0] = 1, ids[3] = 10;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "row 1: id 10");
    ids[3] = -1;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "got -1");
    ids[3] = 9, values[1] = 0.1f;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "row 0");
    values[1] = NAN;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_NONFINITE, "row 0");
    values[0] = values[1] = -0.5f;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "more than 1");
    values[0] = -1, values[1] = -2;
    s.tail = &ts;
    tail[1] = -0.1f;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "row 1");
    tail[1] = 1;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "tail");
    s.tail = NULL;
    s.kind = KD_SPARSE_COUNTS;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE,
          "expected finite counts from 0, got -1");
    s.kind = KD_SPARSE_TOPK;
    s.temperature = 0;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "temperature");
    double value;
    float z[16] = { 0 }; /* ids at or above the student's classes */
    kd_term_options o = plain(1);
    o.teacher_field = "topk";
    s.temperature = 1;
    ids[3] = 9, s.vocabulary = 0;
    OK(kd_batch_begin(batch, 2));
    OK(kd_targets_set_sparse(targets, "topk", &s, NULL));
    restart(KD_LOSS_FORWARD_KL, &o);
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, 2, 8);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, NULL, NULL };
    kd_loss_result result = { .struct_size = sizeof result };
    FAILS(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &result), KD_ERR_RANGE, "id 9");
    (void)value;
}
END_TEST

Suite *divergence_refusals_suite(void)
{
    Suite *suite = suite_create("divergence_refusals");
    TCase *tests = tcase_create("divergence_refusals");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, pairs_that_make_no_sense_are_refused_with_the_reason);
    tcase_add_test(tests, bad_sparse_input_is_refused_with_its_row);
    suite_add_tcase(suite, tests);
    return suite;
}
