/* Relations of tokens as terms: values and gradients of arrays and of models, samples, masks, and
 * what does not fit. */
#include "featurekit.h"

enum { ROWS = 9, A = 2, D = 3, TD = 5, WS = A * D, WT = A * TD, MOST_ROWS = 9 };

static float keys_s[MOST_NUMBERS], keys_t[MOST_NUMBERS], keys_ds[MOST_NUMBERS];
static int64_t offsets[] = { 0, 4, 5, ROWS };
static float mask[ROWS];

static const int32_t kinds[] = { KD_LOSS_ATTENTION_RELATION, KD_LOSS_ATTENTION_KL,
                                 KD_LOSS_ATTENTION_MSE };
enum { KINDS = sizeof kinds / sizeof *kinds };

static int32_t add_attention(int32_t kind, int masked, double heads, double causal)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    int32_t term;
    o.student_output = "attention.1.query";
    o.teacher_field = "attention.3.query";
    o.mask_field = masked ? "mask" : NULL;
    OK(kd_loss_add(loss, kind, 1, &o, &term));
    OK(kd_loss_set(loss, term, KD_TERM_RELATION_HEADS, heads));
    OK(kd_loss_set(loss, term, KD_TERM_CAUSAL, causal));
    return term;
}

static void begin_samples(void)
{
    kd_array os = KD_ARRAY_1D(offsets, KD_INT64, 4), ms = KD_ARRAY_1D(mask, KD_FLOAT32, ROWS),
             q = KD_ARRAY_2D(side_t, KD_FLOAT32, ROWS, WT),
             k = KD_ARRAY_2D(keys_t, KD_FLOAT32, ROWS, WT);
    fill(side_s, ROWS * WS, 1.3);
    fill(keys_s, ROWS * WS, 0.7);
    fill(side_t, ROWS * WT, 2.1);
    fill(keys_t, ROWS * WT, 1.7);
    for (int i = 0; i < ROWS; i++) mask[i] = i != 2 && i != 5;
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_batch_set(batch, "mask", &ms, NULL));
    OK(kd_targets_begin(targets, ROWS));
    OK(kd_targets_set(targets, "attention.3.query", &q, NULL));
    OK(kd_targets_set(targets, "attention.3.key", &k, NULL));
}

static kd_status run(float *dq, float *dk, int32_t count, kd_loss_result *result)
{
    kd_array q = KD_ARRAY_2D(side_s, KD_FLOAT32, ROWS, WS),
             k = KD_ARRAY_2D(keys_s, KD_FLOAT32, ROWS, WS),
             dqs = KD_ARRAY_2D(dq, KD_FLOAT32, ROWS, WS),
             dks = KD_ARRAY_2D(dk, KD_FLOAT32, ROWS, WS);
    const kd_loss_output outputs[] = {
        { sizeof outputs[0], 0, "attention.1.query", &q, dq ? &dqs : NULL, NULL },
        { sizeof outputs[0], 0, "attention.1.key", &k, dk ? &dks : NULL, NULL },
    };
    *result = (kd_loss_result){ .struct_size = sizeof *result };
    return kd_loss_evaluate(loss, outputs, count, batch, targets, NULL, result);
}

/* ---- plainly ---- */

typedef struct {
    int32_t kind;
    int masked, causal;
} form;

static int64_t visible(const form *f, int64_t first, int64_t end, int64_t i, int64_t *rows)
{
    int64_t count = 0;
    for (int64_t j = first; j < end; j++)
        if ((!f->masked || mask[j] != 0) && (!f->causal || j <= i)) rows[count++] = j;
    return count;
}

static double scores(const float *q, const float *k, int64_t width, int64_t i, int64_t head,
                     const int64_t *rows, int64_t count, double *z)
{
    double sum = 0;
    for (int64_t n = 0; n < count; n++) {
        z[n] = 0;
        for (int64_t c = 0; c < width; c++)
            z[n] += (double)q[(i * A + head) * width + c] * k[(rows[n] * A + head) * width + c] /
                    sqrt((double)width);
        sum += exp(z[n]);
    }
    return log(sum);
}

static double plain_row(const form *f, int64_t i, const int64_t *rows, int64_t count)
{
    const int own = f->kind == KD_LOSS_ATTENTION_RELATION;
    double z[MOST_ROWS], t[MOST_ROWS], value = 0;
    for (int64_t a = 0; a < A; a++) {
        const double log_z = scores(side_s, own ? side_s : keys_s, D, i, a, rows, count, z),
                     log_t = scores(side_t, own ? side_t : keys_t, TD, i, a, rows, count, t);
        for (int64_t n = 0; n < count; n++)
            value += f->kind == KD_LOSS_ATTENTION_MSE
                         ? (z[n] - t[n]) * (z[n] - t[n]) / (double)count
                         : exp(t[n] - log_t) * (t[n] - log_t - z[n] + log_z);
    }
    return value / A;
}

static double plain(const form *f)
{
    double sum = 0;
    int64_t rows[MOST_ROWS], valid = 0;
    for (int s = 0; s < 3; s++)
        for (int64_t i = offsets[s]; i < offsets[s + 1]; i++) {
            if (f->masked && mask[i] == 0) continue;
            const int64_t count = visible(f, offsets[s], offsets[s + 1], i, rows);
            sum += plain_row(f, i, rows, count);
            valid++;
        }
    return sum / (double)valid;
}

static double slope(const form *f, float *x)
{
    const float kept = *x;
    *x = kept + 1e-3f;
    const double above = plain(f), up = *x;
    *x = kept - 1e-3f;
    const double found = (above - plain(f)) / (up - *x);
    *x = kept;
    return found;
}

/* 3 kinds, with and without a mask, causal or not */
START_TEST(values_and_gradients_are_those_of_plain_formulas)
{
    const form f = { kinds[_i % KINDS], _i / KINDS % 2, _i / KINDS / 2 };
    kd_loss_result result;
    begin_samples();
    add_attention(f.kind, f.masked, A, f.causal);
    const int32_t outputs = f.kind == KD_LOSS_ATTENTION_RELATION ? 1 : 2;
    OK(run(side_ds, keys_ds, outputs, &result));
    ck_assert_int_eq(result.rows[0], f.masked ? ROWS - 2 : ROWS);
    NEAR(result.value, plain(&f), 1e-6);
    ck_assert(result.value > 1e-3);
    for (int i = 0; i < ROWS * WS; i++) {
        NEAR(side_ds[i], slope(&f, &side_s[i]), 1e-5);
        if (outputs == 2) NEAR(keys_ds[i], slope(&f, &keys_s[i]), 1e-5);
    }
}
END_TEST

START_TEST(a_sample_is_related_as_it_is_alone)
{
    kd_loss_result all, kept;
    begin_samples();
    add_attention(kinds[_i], 1, A, 0);
    double sum = 0;
    for (int s = 0; s < 3; s++) {
        kd_array ms = KD_ARRAY_1D(mask, KD_FLOAT32, ROWS);
        for (int i = 0; i < ROWS; i++) mask[i] = i >= offsets[s] && i < offsets[s + 1];
        OK(kd_batch_set(batch, "mask", &ms, NULL));
        OK(run(NULL, NULL, 2, &kept));
        sum += kept.sum[0];
    }
    for (int i = 0; i < ROWS; i++) mask[i] = 1;
    kd_array ms = KD_ARRAY_1D(mask, KD_FLOAT32, ROWS);
    OK(kd_batch_set(batch, "mask", &ms, NULL));
    OK(run(NULL, NULL, 2, &all));
    NEAR(all.sum[0], sum, 1e-12);
}
END_TEST

START_TEST(rows_that_are_not_finite_are_refused_or_left_out)
{
    kd_loss_result result;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    begin_samples();
    add_attention(KD_LOSS_ATTENTION_KL, 0, A, 0);
    keys_s[6 * WS + 1] = NAN;
    FAILS(run(side_ds, keys_ds, 2, &result), KD_ERR_NONFINITE, "row 6");
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "attention.1.query";
    o.teacher_field = "attention.3.query";
    o.nonfinite = KD_NONFINITE_SKIP;
    OK(kd_loss_add(loss, KD_LOSS_ATTENTION_KL, 1, &o, NULL));
    OK(kd_loss_set(loss, 0, KD_TERM_RELATION_HEADS, A));
    OK(run(side_ds, keys_ds, 2, &result));
    ck_assert_int_eq(result.rows[0], ROWS - 1);
    ck_assert_int_eq(result.skipped[0], 1);
    for (int i = 0; i < ROWS * WS; i++) ck_assert(isfinite(side_ds[i]) && isfinite(keys_ds[i]));
}
END_TEST

START_TEST(names_weights_and_outputs_that_do_not_fit_are_refused)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_projection_options p = KD_PROJECTION_OPTIONS_INIT;
    kd_loss_result result;
    FAILS(kd_loss_add(loss, KD_LOSS_ATTENTION_KL, 1, NULL, NULL), KD_ERR_INVALID, "ends in .query");
    o.student_output = "attention.1.query";
    o.teacher_field = "attention.3.key";
    FAILS(kd_loss_add(loss, KD_LOSS_ATTENTION_MSE, 1, &o, NULL), KD_ERR_INVALID, "teacher_field");
    o.weight_field = "weight";
    FAILS(kd_loss_add(loss, KD_LOSS_ATTENTION_RELATION, 1, &o, NULL), KD_ERR_UNSUPPORTED,
          "a row has no weight in its relations");
    begin_samples();
    add_attention(KD_LOSS_ATTENTION_KL, 0, A, 0);
    FAILS(kd_loss_set_projection(loss, 0, &p), KD_ERR_INVALID, "takes no projection");
    FAILS(run(NULL, NULL, 1, &result), KD_ERR_NOT_FOUND, "'attention.1.key': the second");
    FAILS(run(side_s, keys_ds, 2, &result), KD_ERR_INVALID, "lies over its value");
}
END_TEST

START_TEST(heads_that_do_not_fit_are_refused)
{
    kd_loss_result result;
    begin_samples();
    add_attention(KD_LOSS_ATTENTION_RELATION, 0, 7, 0);
    FAILS(run(NULL, NULL, 2, &result), KD_ERR_RANGE, "expected one of 1, 2");
    OK(kd_loss_set(loss, 0, KD_TERM_RELATION_HEADS, 0));
    FAILS(run(NULL, NULL, 2, &result), KD_ERR_INVALID, "set the number relation_heads");
    OK(kd_loss_set(loss, 0, KD_TERM_RELATION_HEADS, 1));
    OK(run(NULL, NULL, 2, &result));
    add_attention(KD_LOSS_ATTENTION_KL, 0, 0, 0);
    FAILS(run(NULL, NULL, 2, &result), KD_ERR_INVALID, "are not known");
    OK(kd_loss_set(loss, 1, KD_TERM_RELATION_HEADS, 4));
    FAILS(run(NULL, NULL, 2, &result), KD_ERR_SHAPE, "expected 4 heads");
}
END_TEST

/* ---- models ---- */

#define CONFIG(type, heads, width, more)                                                           \
    "{\"model_type\":\"" type "\",\"vocab_size\":19,\"hidden_size\":" width                        \
    ",\"intermediate_size\":20,\"num_hidden_layers\":2,\"num_attention_heads\":" heads             \
    ",\"max_position_embeddings\":64,\"initializer_range\":0.3" more "}"

static void run_models(const char *student_config, const char *teacher_config, int32_t kind,
                       kd_status status, const char *text)
{
    kd_model *student, *big;
    kd_teacher *teacher;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_array ts = KD_ARRAY_1D(NULL, KD_INT64, ROWS), os = KD_ARRAY_1D(offsets, KD_INT64, 4);
    int64_t tokens[ROWS];
    kd_loss_result result = { .struct_size = sizeof result };
    ts.data = tokens;
    for (int i = 0; i < ROWS; i++) tokens[i] = i * 5 % 19;
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_model_create(&student, ctx, student_config, NULL));
    OK(kd_model_create(&big, ctx, teacher_config, NULL));
    OK(kd_teacher_from_model(&teacher, big, NULL));
    o.student_output = "attention.0.query";
    o.teacher_field = "attention.1.query";
    OK(kd_loss_add(loss, kind, 1, &o, NULL));
    OK(kd_loss_keep_outputs(loss, student, teacher));
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_model_forward(student, batch, KD_MODE_TRAIN));
    if (status == KD_OK) {
        OK(kd_loss_backward(loss, student, batch, targets, NULL, &result));
        ck_assert_int_eq(result.rows[0], ROWS);
        ck_assert(result.value > 0);
    } else FAILS(kd_loss_backward(loss, student, batch, targets, NULL, &result), status, text);
    kd_teacher_free(teacher);
    kd_model_free(big);
    kd_model_free(student);
}

START_TEST(models_say_their_heads_and_what_their_rows_see)
{
    static const char small[] = CONFIG("llama", "4", "16", ",\"num_key_value_heads\":2"),
                      big[] = CONFIG("llama", "4", "32", ""),
                      other[] = CONFIG("llama", "2", "32", ""),
                      both_sides[] = CONFIG("bert", "4", "16", "");
    for (int k = 0; k < KINDS; k++) {
        run_models(small, big, kinds[k], KD_OK, NULL);
        run_models(both_sides, both_sides, kinds[k], KD_OK, NULL);
        run_models(small, both_sides, kinds[k], KD_ERR_MISMATCH, "see earlier rows only");
    }
    run_models(small, other, KD_LOSS_ATTENTION_RELATION, KD_OK, NULL);
    run_models(small, other, KD_LOSS_ATTENTION_KL, KD_ERR_MISMATCH, "KD_LOSS_ATTENTION_RELATION");
}
END_TEST

START_TEST(threads_do_not_change_a_bit)
{
    float ds[2][ROWS * WS], dk[2][ROWS * WS];
    kd_loss_result result[2];
    for (int n = 0; n < 2; n++) {
        teardown();
        ctx = make_context(n ? 4 : 1);
        OK(kd_batch_create(&batch, ctx, NULL));
        OK(kd_targets_create(&targets, ctx, NULL));
        OK(kd_loss_create(&loss, ctx, NULL));
        begin_samples();
        add_attention(kinds[_i], 0, A, 0);
        OK(run(ds[n], dk[n], 2, &result[n]));
    }
    ck_assert(result[0].value == result[1].value);
    ck_assert_int_eq(memcmp(ds[0], ds[1], sizeof ds[0]), 0);
    ck_assert_int_eq(memcmp(dk[0], dk[1], sizeof dk[0]), 0);
}
END_TEST

/* The query's rows are the longest sample's: the others lie in the same place. */
START_TEST(a_batch_takes_what_its_longest_sample_does)
{
    enum { LONG = 64, ALL = 4 * LONG, WIDE = MOST_NUMBERS / ALL };
    const int64_t ends[] = { 0, LONG, 2 * LONG, 3 * LONG, ALL };
    kd_array os = KD_ARRAY_1D(ends, KD_INT64, 5), q = KD_ARRAY_2D(side_s, KD_FLOAT32, ALL, WIDE),
             k = KD_ARRAY_2D(keys_s, KD_FLOAT32, ALL, WIDE),
             dq = KD_ARRAY_2D(side_ds, KD_FLOAT32, ALL, WIDE),
             dk = KD_ARRAY_2D(keys_ds, KD_FLOAT32, ALL, WIDE);
    const kd_loss_output outputs[] = {
        { sizeof outputs[0], 0, "attention.1.query", &q, &dq, NULL },
        { sizeof outputs[0], 0, "attention.1.key", &k, &dk, NULL },
    };
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    int64_t bytes;
    fill(side_s, MOST_NUMBERS, 1.3);
    fill(keys_s, MOST_NUMBERS, 0.7);
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_targets_begin(targets, ALL));
    OK(kd_targets_set(targets, "attention.3.query", &k, NULL));
    OK(kd_targets_set(targets, "attention.3.key", &q, NULL));
    add_attention(kinds[_i], 0, A, 0);
    OK(kd_context_get_info(ctx, &before));
    OK(kd_loss_estimate_memory(loss, LONG, WIDE, 0, 0, &bytes, NULL));
    OK(kd_loss_evaluate(loss, outputs, 2, batch, targets, NULL, NULL));
    OK(kd_context_get_info(ctx, &after));
    const int64_t taken = (int64_t)(after.peak_bytes - before.bytes);
    ck_assert_msg(taken <= bytes + ALL * 64, "%lld bytes taken, %lld reported", (long long)taken,
                  (long long)bytes);
}
END_TEST

START_TEST(memory_is_what_the_query_says_and_does_not_grow)
{
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    kd_loss_result result;
    int64_t bytes;
    begin_samples();
    add_attention(kinds[_i], 0, A, 0);
    OK(kd_context_get_info(ctx, &before));
    OK(kd_loss_estimate_memory(loss, ROWS, WT, 0, 0, &bytes, NULL));
    OK(run(side_ds, keys_ds, 2, &result));
    OK(kd_context_get_info(ctx, &after));
    const int64_t taken = (int64_t)(after.peak_bytes - before.bytes);
    ck_assert_msg(taken <= bytes + ROWS * 256 + 4096, "%lld bytes taken, %lld told",
                  (long long)taken, (long long)bytes);
    const uint64_t calls = after.allocations;
    const int again = getenv("KD_TEST_FEW") ? 2 : 100;
    for (int i = 0; i < again; i++) OK(run(side_ds, keys_ds, 2, &result));
    OK(kd_context_get_info(ctx, &after));
    ck_assert_uint_eq(after.allocations, calls);
}
END_TEST

Suite *attention_suite(void)
{
    Suite *suite = suite_create("attention");
    TCase *tests = tcase_create("attention");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, values_and_gradients_are_those_of_plain_formulas, 0, 4 * KINDS);
    tcase_add_loop_test(tests, a_sample_is_related_as_it_is_alone, 0, KINDS);
    tcase_add_test(tests, rows_that_are_not_finite_are_refused_or_left_out);
    tcase_add_test(tests, names_weights_and_outputs_that_do_not_fit_are_refused);
    tcase_add_test(tests, heads_that_do_not_fit_are_refused);
    tcase_add_test(tests, models_say_their_heads_and_what_their_rows_see);
    tcase_add_loop_test(tests, threads_do_not_change_a_bit, 0, KINDS);
    tcase_add_loop_test(tests, memory_is_what_the_query_says_and_does_not_grow, 0, KINDS);
    tcase_add_loop_test(tests, a_batch_takes_what_its_longest_sample_does, 0, KINDS);
    suite_add_tcase(suite, tests);
    return suite;
}
