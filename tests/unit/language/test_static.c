/* Static embeddings: means of rows of a table, trained like any other model. */
#include "unit.h"

static const char config[] =
    "{\"model_type\":\"static_embedding\",\"vocab_size\":40,\"hidden_size\":8,\"num_labels\":3}";
static const char normalized[] =
    "{\"model_type\":\"static_embedding\",\"vocab_size\":40,\"hidden_size\":8,"
    "\"normalize\":true,\"token_weights\":true,\"ignored_token\":7}";
enum { ROWS = 30, LENGTH = 6, CLASSES = 3 };

static kd_context *ctx;
static kd_model *model;
static kd_batch *batch;
static kd_loss *loss;
static int64_t tokens[ROWS * LENGTH], labels[ROWS];

/* A text's label is in every one of its tokens; texts have 1 to 6 of them. */
static void setup(void)
{
    const kd_array ts = KD_ARRAY_2D(tokens, KD_INT64, ROWS, LENGTH),
                   ls = KD_ARRAY_1D(labels, KD_INT64, ROWS);
    ctx = make_context(2);
    for (int r = 0; r < ROWS; r++) {
        labels[r] = r % CLASSES;
        for (int i = 0; i < LENGTH; i++)
            tokens[r * LENGTH + i] = i <= r % LENGTH ? 3 * ((r * 7 + i * 5) % 13) + labels[r] : -1;
    }
    OK(kd_model_create(&model, ctx, config, NULL));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin(batch, ROWS));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    OK(kd_batch_set(batch, "label", &ls, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
}

static void teardown(void)
{
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_model_free(model);
    kd_context_free(ctx);
}

static double value_now(void)
{
    kd_loss_result r = { .struct_size = sizeof r };
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_loss_forward(loss, model, batch, NULL, NULL, &r));
    return r.value;
}

START_TEST(its_gradients_are_those_of_central_differences)
{
    kd_array p, g;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, batch, NULL, NULL, NULL));
    OK(kd_model_parameters(model, &p));
    OK(kd_model_gradients(model, &g));
    float *x = p.data, *dx = g.data;
    for (int64_t i = 0; i < p.dims[0]; i += 7) {
        const float before = x[i];
        x[i] = before + 1e-2f;
        const double above = value_now();
        x[i] = before - 1e-2f;
        const double below = value_now();
        x[i] = before;
        ck_assert_double_eq_tol((above - below) / 2e-2, dx[i], 2e-5);
    }
}
END_TEST

/* The loss of a normalized embedding with token weights: fixed numbers times the output. */
static double weighted_sum(kd_model *m, const float *by, int64_t count)
{
    kd_array out;
    double sum = 0;
    OK(kd_model_forward(m, batch, KD_MODE_TRAIN));
    OK(kd_model_output(m, "embedding", &out));
    for (int64_t i = 0; i < count; i++) sum += (double)by[i] * ((const float *)out.data)[i];
    return sum;
}

START_TEST(gradients_go_through_lengths_and_token_weights)
{
    static float by[ROWS * 8];
    const kd_array bs = KD_ARRAY_2D(by, KD_FLOAT32, ROWS, 8);
    kd_model *m;
    kd_array p, g;
    for (int i = 0; i < ROWS * 8; i++) by[i] = (float)((i * 37) % 17 - 8) / 16;
    OK(kd_model_create(&m, ctx, normalized, NULL));
    weighted_sum(m, by, ROWS * 8);
    OK(kd_model_add_output_gradient(m, "embedding", &bs));
    OK(kd_model_backward(m));
    OK(kd_model_parameters(m, &p));
    OK(kd_model_gradients(m, &g));
    float *x = p.data, *dx = g.data;
    ck_assert_int_eq(p.dims[0], 40 * 8 + 40);
    for (int64_t i = 0; i < p.dims[0]; i += i < 320 ? 7 : 1) {
        const float before = x[i];
        x[i] = before + 1e-3f;
        const double above = weighted_sum(m, by, ROWS * 8);
        x[i] = before - 1e-3f;
        const double below = weighted_sum(m, by, ROWS * 8);
        x[i] = before;
        ck_assert_double_eq_tol((above - below) / 2e-3, dx[i], 1e-3 * (1 + fabs(dx[i])));
    }
    for (int i = 0; i < 8; i++) ck_assert(dx[7 * 8 + i] == 0); /* the ignored token */
    kd_model_free(m);
}
END_TEST

/* Packed, and padded with -1: the same bits, whoever stands beside whom. */
START_TEST(packed_and_padded_texts_give_the_same_bits)
{
    int64_t packed[ROWS * LENGTH], offsets[ROWS + 1] = { 0 };
    const kd_array os = KD_ARRAY_1D(offsets, KD_INT64, ROWS + 1);
    float padded[ROWS * 8];
    kd_model *m;
    kd_array out;
    for (int r = 0; r < ROWS; r++) {
        offsets[r + 1] = offsets[r];
        for (int i = 0; i < LENGTH; i++)
            if (tokens[r * LENGTH + i] >= 0) packed[offsets[r + 1]++] = tokens[r * LENGTH + i];
    }
    const kd_array ts = KD_ARRAY_1D(packed, KD_INT64, offsets[ROWS]);
    OK(kd_model_create(&m, ctx, normalized, NULL));
    OK(kd_model_forward(m, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(m, "embedding", &out));
    memcpy(padded, out.data, sizeof padded);
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    OK(kd_model_forward(m, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(m, "embedding", &out));
    ck_assert_int_eq(out.dims[0], ROWS);
    ck_assert_mem_eq(out.data, padded, sizeof padded);
    kd_model_free(m);
}
END_TEST

START_TEST(a_text_without_tokens_is_zero_and_passes_nothing_back)
{
    int64_t ids[2][2] = { { 7, -1 }, { 3, 4 } };
    float by[2 * 8];
    const kd_array ts = KD_ARRAY_2D(ids, KD_INT64, 2, 2), bs = KD_ARRAY_2D(by, KD_FLOAT32, 2, 8);
    kd_model *m;
    kd_array out, g;
    for (int i = 0; i < 16; i++) by[i] = 1;
    OK(kd_model_create(&m, ctx, normalized, NULL));
    OK(kd_batch_begin(batch, 2));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    OK(kd_model_forward(m, batch, KD_MODE_TRAIN));
    OK(kd_model_output(m, "embedding", &out));
    for (int i = 0; i < 8; i++) ck_assert(((const float *)out.data)[i] == 0);
    OK(kd_model_add_output_gradient(m, "embedding", &bs));
    OK(kd_model_backward(m));
    OK(kd_model_gradients(m, &g));
    for (int i = 0; i < 360; i++) ck_assert(isfinite(((const float *)g.data)[i]));
    kd_model_free(m);
}
END_TEST

START_TEST(it_learns_through_the_same_loop_as_every_model)
{
    kd_optimizer *optimizer;
    kd_array logits;
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    const double first = value_now();
    for (int step = 0; step < 200; step++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(loss, model, batch, NULL, NULL, NULL));
        OK(kd_optimizer_step(optimizer, 1e-2));
    }
    ck_assert_double_lt(value_now(), 0.1 * first);
    OK(kd_model_output(model, "logits", &logits));
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < CLASSES; c++)
            ck_assert(((float *)logits.data)[r * CLASSES + c] <=
                      ((float *)logits.data)[r * CLASSES + labels[r]]);
    kd_optimizer_free(optimizer);
}
END_TEST

START_TEST(it_is_saved_loaded_measured_and_refuses_what_it_does_not_know)
{
    kd_model *loaded, *other;
    kd_model_info facts = { .struct_size = sizeof facts };
    kd_model_memory_info info = { .struct_size = sizeof info };
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_array a, b;
    const char *folder = scratch_path("static");
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&loaded, ctx, folder, NULL));
    OK(kd_model_parameters(model, &a));
    OK(kd_model_parameters(loaded, &b));
    ck_assert_mem_eq(a.data, b.data, (size_t)a.dims[0] * sizeof(float));
    OK(kd_model_get_info(loaded, &facts));
    ck_assert_int_eq(facts.parameters, 40 * 8 + 3 * 8 + 3);
    ck_assert_int_eq(facts.layers, 0);
    o.max_rows = ROWS;
    OK(kd_model_estimate_memory(ctx, config, &o, &info));
    ck_assert_int_gt(info.activation_bytes, ROWS * 5 * 8 * 4);
    FAILS(kd_model_create(&other, ctx, "{\"model_type\":\"static_embedding\",\"dropout\":1}", NULL),
          KD_ERR_CONFIG, "\"dropout\" is unknown");
    FAILS(kd_model_create(&other, ctx,
                          "{\"model_type\":\"static_embedding\",\"vocab_size\":9,"
                          "\"hidden_size\":2,\"embedding_rows\":4}",
                          NULL),
          KD_ERR_CONFIG, "4 rows for 9 tokens need a mapping");
    FAILS(kd_model_create(&other, ctx,
                          "{\"model_type\":\"static_embedding\",\"vocab_size\":9,"
                          "\"hidden_size\":2,\"ignored_token\":9}",
                          NULL),
          KD_ERR_CONFIG, "expected a token below 9, got 9");
    FAILS(kd_model_create(&other, ctx,
                          "{\"model_type\":\"static_embedding\",\"vocab_size\":9,"
                          "\"hidden_size\":2,\"layout\":\"fasttext\"}",
                          NULL),
          KD_ERR_CONFIG, "\"fasttext\"");
    FAILS(kd_model_create(&other, ctx, "{\"model_type\":\"fasttext\"}", NULL), KD_ERR_CONFIG,
          "is not one of mlp, sequential, llama");
    const kd_array ts = KD_ARRAY_2D(tokens, KD_INT64, ROWS, LENGTH);
    tokens[0] = 40;
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_RANGE,
          "token: expected 0 to 39, got 40");
    o.recompute_layers = -3;
    FAILS(kd_model_create(&other, ctx, config, &o), KD_ERR_RANGE, "recompute_layers");
    o.recompute_layers = 0;
    o.weights = KD_INT8;
    o.frozen = 1;
    FAILS(kd_model_create(&other, ctx, config, &o), KD_ERR_UNSUPPORTED, "float32 only");
    kd_model_free(loaded);
}
END_TEST

/* A loss that met a model without its output goes on with the model that has it. */
START_TEST(a_loss_goes_from_model_to_model)
{
    static const char mlp[] = "{\"model_type\":\"mlp\",\"input\":\"x\",\"input_size\":2,"
                              "\"num_labels\":3}";
    static float x[ROWS][2];
    const kd_array xs = KD_ARRAY_2D(x, KD_FLOAT32, ROWS, 2);
    kd_model *other;
    kd_loss *hidden;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.student_output = "pooled";
    o.label_field = "x";
    OK(kd_model_create(&other, ctx, mlp, NULL));
    OK(kd_batch_set(batch, "x", &xs, NULL));
    OK(kd_loss_create(&hidden, ctx, NULL));
    OK(kd_loss_add(hidden, KD_LOSS_HUBER, 1, &o, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    FAILS(kd_loss_forward(hidden, model, batch, NULL, NULL, NULL), KD_ERR_SHAPE, "8 numbers a row");
    OK(kd_model_forward(other, batch, KD_MODE_EVALUATE));
    for (int i = 0; i < 2; i++) {
        FAILS(kd_loss_forward(hidden, other, batch, NULL, NULL, NULL), KD_ERR_NOT_FOUND,
              "no output 'pooled'");
        FAILS(kd_loss_forward(hidden, model, batch, NULL, NULL, NULL), KD_ERR_SHAPE,
              "8 numbers a row");
        OK(kd_loss_forward(loss, other, batch, NULL, NULL, NULL));
        OK(kd_loss_forward(loss, model, batch, NULL, NULL, NULL));
    }
    kd_loss_free(hidden);
    kd_model_free(other);
}
END_TEST

Suite *static_suite(void)
{
    Suite *suite = suite_create("static");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, its_gradients_are_those_of_central_differences);
    tcase_add_test(tests, gradients_go_through_lengths_and_token_weights);
    tcase_add_test(tests, packed_and_padded_texts_give_the_same_bits);
    tcase_add_test(tests, a_text_without_tokens_is_zero_and_passes_nothing_back);
    tcase_add_test(tests, it_learns_through_the_same_loop_as_every_model);
    tcase_add_test(tests, it_is_saved_loaded_measured_and_refuses_what_it_does_not_know);
    tcase_add_test(tests, a_loss_goes_from_model_to_model);
    suite_add_tcase(suite, tests);
    return suite;
}
