/* Dense layers that a model takes in after it was made, and projections of a loss among them. */
#include "encoderkit.h"

#define QWEN(more)                                                                                 \
    "{\"model_type\":\"qwen3\",\"vocab_size\":17,\"hidden_size\":12,\"num_hidden_layers\":2,"      \
    "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"head_dim\":4,\"intermediate_size\":20," \
    "\"max_position_embeddings\":12,\"initializer_range\":0.3" more "}"
#define STATIC(more)                                                                               \
    "{\"model_type\":\"static_embedding\",\"vocab_size\":17,\"hidden_size\":12" more "}"
#define UNIT ",\"kd_normalize\":true"

enum { FROM = 12, TO = 7 };

static kd_context *ctx;
static kd_batch *batch;
static float w[TO * FROM], b[TO];
static kd_array weight, bias;

static void setup(void)
{
    ctx = make_context(2);
    batch = encoder_batch(ctx);
    for (int i = 0; i < TO * FROM; i++) w[i] = weight_at(3 * i + 1) / 2;
    for (int i = 0; i < TO; i++) b[i] = weight_at(7 * i);
    weight = (kd_array)KD_ARRAY_2D(w, KD_FLOAT32, TO, FROM);
    bias = (kd_array)KD_ARRAY_1D(b, KD_FLOAT32, TO);
}

static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static const float *embeddings(kd_model *model, int64_t width)
{
    kd_array v;
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "embedding", &v));
    ck_assert_int_eq(v.dims[0], ENCODER_TEXTS);
    ck_assert_int_eq(v.dims[1], width);
    return v.data;
}

static void unit_length(double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * x[i];
    for (int i = 0; i < n; i++) x[i] /= sqrt(sum);
}

static void expect(const float *found, const float *x, int tanh_, int with_bias, int unit)
{
    for (int t = 0; t < ENCODER_TEXTS; t++) {
        double y[TO];
        for (int i = 0; i < TO; i++) {
            y[i] = with_bias ? (double)b[i] : 0;
            for (int j = 0; j < FROM; j++)
                y[i] += (double)w[i * FROM + j] * (double)x[t * FROM + j];
            if (tanh_) y[i] = tanh(y[i]);
        }
        if (unit) unit_length(y, TO);
        for (int i = 0; i < TO; i++) NEAR((double)found[t * TO + i], y[i], 2e-6);
    }
}

/* ---- what it gives ---- */

static const char *const configs[] = { BERT(NO_DROPOUT), QWEN(""), QWEN(",\"kd_pooling\":\"mean\""),
                                       BERT(NO_DROPOUT UNIT), QWEN(UNIT) };

START_TEST(a_layer_comes_after_what_is_pooled_and_before_length_1)
{
    for (int k = 0; k < 5; k++) {
        kd_model *model = encoder_made(ctx, configs[k], NULL), *again;
        const char *folder = scratch_path("appended"), *json;
        kd_array pooled;
        float kept[ENCODER_TEXTS * FROM];
        OK(kd_model_keep(model, "pooled", 1));
        OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
        OK(kd_model_output(model, "pooled", &pooled));
        memcpy(kept, pooled.data, sizeof kept);
        OK(kd_model_append_dense(model, NULL, &weight, &bias, "tanh"));
        expect(embeddings(model, TO), kept, 1, 1, k > 2);
        OK(kd_model_config(model, &json));
        ck_assert_ptr_nonnull(strstr(json, "\"kd_dense\":[{\"out_features\":7,\"bias\":true,"));
        OK(kd_model_save(model, folder, NULL));
        OK(kd_model_load(&again, ctx, folder, NULL));
        const float *a = embeddings(model, TO), *c = embeddings(again, TO);
        ck_assert_mem_eq(a, c, ENCODER_TEXTS * TO * sizeof(float));
        kd_model_free(again);
        kd_model_free(model);
    }
}
END_TEST

/* One after another, of a folder that has layers already; a frozen one in 8 bits among them. */
/* A view of the model's own numbers, which lie elsewhere when it has grown. */
START_TEST(a_layer_may_be_a_view_of_the_model)
{
    static const char large[] =
        "{\"model_type\":\"bert\",\"vocab_size\":9000,\"hidden_size\":12,\"num_hidden_layers\":1,"
        "\"num_attention_heads\":2,\"intermediate_size\":8,\"max_position_embeddings\":12}";
    kd_model *model = encoder_made(ctx, large, NULL);
    kd_array w = { 0 }, b = { 0 }, v;
    float kept[12 * 12];
    const char *name;
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        OK(kd_model_tensor(model, i, &name, &v));
        if (!strcmp(name, "pooler.dense.weight")) w = v;
        if (!strcmp(name, "pooler.dense.bias")) b = v;
    }
    memcpy(kept, w.data, sizeof kept);
    OK(kd_model_append_dense(model, NULL, &w, &b, "tanh"));
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        OK(kd_model_tensor(model, i, &name, &v));
        if (!strcmp(name, "dense.0.weight")) ck_assert(!memcmp(v.data, kept, sizeof kept));
    }
    kd_model_free(model);
}
END_TEST

START_TEST(layers_follow_those_that_are_there)
{
    static const float two[2 * TO] = { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -2 };
    const kd_array narrow = KD_ARRAY_2D(two, KD_FLOAT32, 2, TO);
    const char *folder = scratch_path("appended-twice");
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model *model = encoder_made(ctx, QWEN(""), NULL), *again;
    OK(kd_model_append_dense(model, "embedding", &weight, NULL, NULL));
    OK(kd_model_save(model, folder, NULL));
    o.frozen = 1;
    o.weights = KD_INT8;
    OK(kd_model_load(&again, ctx, folder, &o));
    float first[ENCODER_TEXTS * TO];
    memcpy(first, embeddings(again, TO), sizeof first);
    OK(kd_model_append_dense(again, NULL, &narrow, NULL, "none"));
    const float *y = embeddings(again, 2);
    for (int t = 0; t < ENCODER_TEXTS; t++) {
        NEAR((double)y[2 * t], (double)first[t * TO], 1e-6);
        NEAR((double)y[2 * t + 1], -2 * (double)first[t * TO + TO - 1], 1e-5);
    }
    OK(kd_model_save(again, folder, NULL));
    kd_model_free(again);
    OK(kd_model_load(&again, ctx, folder, NULL));
    embeddings(again, 2);
    kd_model_free(again);
    kd_model_free(model);
}
END_TEST

/* ---- trained further ---- */

static kd_model *appended(const char *config, int adapters)
{
    kd_model *model = encoder_made(ctx, config, NULL);
    kd_lora_options lora = KD_LORA_OPTIONS_INIT;
    lora.rank = 2;
    if (adapters) OK(kd_model_add_lora(model, NULL, &lora));
    OK(kd_model_append_dense(model, NULL, &weight, &bias, "tanh"));
    return model;
}

static double moved(const char *config, int adapters, int32_t tensor, int64_t at, float by)
{
    kd_model *model = appended(config, adapters);
    kd_array v;
    OK(kd_model_tensor(model, tensor, NULL, &v));
    ((float *)v.data)[at] += by;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    const double sum = output_sum(model, "embedding");
    kd_model_free(model);
    return sum;
}

static void check_slopes(const char *config, int adapters)
{
    const float h = 4e-3f;
    kd_model *model = appended(config, adapters);
    int32_t count;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    push_back(model, "embedding");
    OK(kd_model_backward(model));
    OK(kd_model_tensor_count(model, &count));
    int dense = 0;
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array g;
        OK(kd_model_tensor(model, i, &name, NULL));
        if (adapters && !strstr(name, "dense.0") && !strstr(name, ".lora_")) continue;
        dense += !strncmp(name, "dense.0", 7);
        if (getenv("KD_TEST_FEW") && i % 3) continue;
        OK(kd_model_tensor_gradient(model, i, &g));
        for (int64_t at = kd_array_count(&g) / 3; at < kd_array_count(&g);
             at += 1 + kd_array_count(&g) / 2) {
            const double slope =
                (moved(config, adapters, i, at, h) - moved(config, adapters, i, at, -h)) / (2 * h);
            const double found = ((float *)g.data)[at];
            ck_assert_msg(fabs(slope - found) < 3e-3 + 0.02 * fabs(slope), "%s: %g, expected %g",
                          name, found, slope);
        }
    }
    ck_assert_int_eq(dense, 2);
    kd_model_free(model);
}

START_TEST(gradients_of_the_layer_are_those_of_central_differences)
{
    check_slopes(BERT(NO_DROPOUT UNIT), 0);
    check_slopes(QWEN(UNIT), 0);
    check_slopes(QWEN(""), 1);
}
END_TEST

/* Layers that share their gradients' place are told of the new tensors. */
START_TEST(a_step_of_shared_gradients_trains_the_layer)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_optimizer *optimizer;
    kd_array v;
    o.shared_gradients = 1;
    kd_model *model = encoder_made(ctx, QWEN(""), &o), *plain = encoder_made(ctx, QWEN(""), NULL);
    kd_model *both[2] = { model, plain };
    float found[2][TO * FROM];
    for (int k = 0; k < 2; k++) {
        int32_t index;
        OK(kd_model_append_dense(both[k], NULL, &weight, NULL, NULL));
        OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAM, NULL));
        OK(kd_optimizer_add_model(optimizer, both[k]));
        OK(kd_optimizer_begin_step(optimizer, 1e-2));
        OK(kd_model_forward(both[k], batch, KD_MODE_TRAIN));
        push_back(both[k], "embedding");
        OK(kd_model_backward(both[k]));
        OK(kd_optimizer_step(optimizer, 1e-2));
        OK(kd_model_tensor_count(both[k], &index));
        OK(kd_model_tensor(both[k], index - 1, NULL, &v));
        memcpy(found[k], v.data, sizeof found[k]);
        kd_optimizer_free(optimizer);
        kd_model_free(both[k]);
    }
    ck_assert_mem_eq(found[0], found[1], sizeof found[0]);
    ck_assert(memcmp(found[0], w, sizeof w) != 0);
}
END_TEST

/* ---- projections ---- */

static float target[ENCODER_TEXTS * TO];

/* A loss with one term that projects `output` to TO numbers; trained for a few steps, when `steps`
 * says so. */
static kd_loss *projecting(kd_model *model, kd_targets *targets, const char *output, int32_t kind,
                           int steps)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_projection_options p = KD_PROJECTION_OPTIONS_INIT;
    kd_loss *loss;
    kd_optimizer *optimizer;
    int64_t rows;
    for (int i = 0; i < ENCODER_TEXTS * TO; i++) target[i] = weight_at(5 * i);
    const kd_array t = KD_ARRAY_2D(target, KD_FLOAT32, ENCODER_TEXTS, TO);
    o.student_output = output;
    o.teacher_field = "embedding";
    p.kind = kind;
    OK(kd_batch_get_counts(batch, NULL, &rows));
    OK(kd_targets_begin(targets, rows));
    OK(kd_targets_set_per_sample(targets, "embedding", &t, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    OK(kd_loss_set_projection(loss, 0, &p));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_prepare(loss, model, targets));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAM, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    OK(kd_optimizer_add_loss(optimizer, loss));
    for (int i = 0; i < steps; i++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(loss, model, batch, targets, NULL, NULL));
        OK(kd_optimizer_step(optimizer, 1e-2));
    }
    kd_optimizer_free(optimizer);
    return loss;
}

static double value_of(kd_loss *loss, kd_model *model, kd_targets *targets)
{
    kd_loss_result result = { .struct_size = sizeof result };
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_forward(loss, model, batch, targets, NULL, &result));
    return result.value;
}

/* The term with its projection before, and a term without one after, are the same number. */
static void check_projection(const char *config, const char *output, int32_t kind)
{
    kd_model *model = encoder_made(ctx, config, NULL);
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_targets *targets;
    kd_loss *bare;
    OK(kd_targets_create(&targets, ctx, NULL));
    kd_loss *loss = projecting(model, targets, output, kind, 5);
    const double before = value_of(loss, model, targets);
    OK(kd_student_append_projection(model, loss, 0));
    o.student_output = o.teacher_field = "embedding";
    OK(kd_loss_create(&bare, ctx, NULL));
    OK(kd_loss_add(bare, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    NEAR(value_of(bare, model, targets), before, 2e-6);
    OK(kd_loss_backward(bare, model, batch, targets, NULL, NULL));
    kd_loss_free(bare);
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_model_free(model);
}

START_TEST(every_form_of_projection_goes_along)
{
    for (int32_t kind = KD_PROJECTION_LINEAR; kind <= KD_PROJECTION_ORTHOGONAL; kind++) {
        check_projection(BERT(NO_DROPOUT), "embedding", kind);
        check_projection(QWEN(""), "pooled", kind);
        check_projection(QWEN(UNIT), "pooled", kind);
    }
    check_projection(QWEN(UNIT), "embedding", KD_PROJECTION_LINEAR);
    check_projection(BERT(NO_DROPOUT UNIT), "embedding", KD_PROJECTION_ORTHOGONAL);
    check_projection(STATIC(""), "embedding", KD_PROJECTION_LINEAR);
    check_projection(STATIC(",\"normalize\":true,\"token_weights\":true"), "embedding",
                     KD_PROJECTION_ORTHOGONAL);
}
END_TEST

/* ---- static embeddings ---- */

START_TEST(a_static_embedding_takes_the_matrix_into_its_table)
{
    kd_model *model = encoder_made(ctx, STATIC(""), NULL), *again;
    const char *folder = scratch_path("appended-static");
    float kept[ENCODER_TEXTS * FROM];
    memcpy(kept, embeddings(model, FROM), sizeof kept);
    FAILS(kd_model_append_dense(model, NULL, &weight, &bias, NULL), KD_ERR_UNSUPPORTED,
          "without a bias");
    FAILS(kd_model_append_dense(model, NULL, &weight, NULL, "tanh"), KD_ERR_UNSUPPORTED,
          "without a bias");
    OK(kd_model_append_dense(model, NULL, &weight, NULL, NULL));
    expect(embeddings(model, TO), kept, 0, 0, 0);
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&again, ctx, folder, NULL));
    const float *a = embeddings(model, TO), *c = embeddings(again, TO);
    ck_assert_mem_eq(a, c, ENCODER_TEXTS * TO * sizeof(float));
    kd_model_free(again);
    kd_model_free(model);
    model = encoder_made(ctx, STATIC(",\"num_labels\":3"), NULL);
    FAILS(kd_model_append_dense(model, NULL, &weight, NULL, NULL), KD_ERR_UNSUPPORTED,
          "has a classifier");
    kd_model_free(model);
}
END_TEST

/* ---- what is refused; the model stays as it was ---- */

START_TEST(arrays_and_names_that_do_not_fit_are_refused)
{
    kd_model *model = encoder_made(ctx, QWEN(""), NULL), *other;
    const kd_array wide = KD_ARRAY_2D(w, KD_FLOAT32, FROM, TO),
                   flat = KD_ARRAY_1D(w, KD_FLOAT32, 12),
                   integers = KD_ARRAY_2D(w, KD_INT32, TO, FROM),
                   shorter = KD_ARRAY_1D(b, KD_FLOAT32, TO - 1);
    const char *before, *after;
    OK(kd_model_config(model, &before));
    FAILS(kd_model_append_dense(model, NULL, &wide, NULL, NULL), KD_ERR_SHAPE,
          "expected rows of 12 numbers, which \"embedding\" has, got 7 in rank 2");
    FAILS(kd_model_append_dense(model, NULL, &flat, NULL, NULL), KD_ERR_SHAPE, "in rank 1");
    FAILS(kd_model_append_dense(model, NULL, &integers, NULL, NULL), KD_ERR_DTYPE, "weight");
    FAILS(kd_model_append_dense(model, NULL, &weight, &shorter, NULL), KD_ERR_SHAPE,
          "expected 7 numbers, one for each row of the weight, got 6");
    FAILS(kd_model_append_dense(model, NULL, &weight, NULL, "gelu"), KD_ERR_UNSUPPORTED,
          "got \"gelu\"");
    FAILS(kd_model_append_dense(model, "pooled", &weight, NULL, NULL), KD_ERR_UNSUPPORTED,
          "output 'pooled': expected \"embedding\"");
    FAILS(kd_model_append_dense(model, NULL, NULL, NULL, NULL), KD_ERR_INVALID, "weight");
    OK(kd_model_config(model, &after));
    ck_assert_str_eq(before, after);
    OK(kd_model_append_dense(model, NULL, &weight, NULL, NULL));
    const float square[TO * TO] = { 1 };
    const kd_array same = KD_ARRAY_2D(square, KD_FLOAT32, TO, TO);
    for (int i = 0; i < 3; i++) OK(kd_model_append_dense(model, NULL, &same, NULL, NULL));
    FAILS(kd_model_append_dense(model, NULL, &same, NULL, NULL), KD_ERR_RANGE, "at most 4");
    kd_model_free(model);
    other = encoder_made(
        ctx, "{\"model_type\":\"mlp\",\"input_size\":12,\"hidden_sizes\":[4],\"num_labels\":2}",
        NULL);
    FAILS(kd_model_append_dense(other, NULL, &weight, NULL, NULL), KD_ERR_UNSUPPORTED,
          "has no \"embedding\"");
    kd_model_free(other);
    other = encoder_made(ctx, QWEN(",\"tie_word_embeddings\":true,\"kd_embedding_size\":12"), NULL);
    kd_model_free(other);
    other = encoder_made(ctx, QWEN(",\"tie_word_embeddings\":true,\"kd_embedding_size\":6"), NULL);
    const kd_array six = KD_ARRAY_2D(w, KD_FLOAT32, TO, 6);
    FAILS(kd_model_append_dense(other, NULL, &six, NULL, NULL), KD_ERR_UNSUPPORTED, "factorized");
    kd_model_free(other);
}
END_TEST

START_TEST(projections_that_are_not_the_embeddings_are_refused)
{
    kd_model *model = encoder_made(ctx, QWEN(UNIT), NULL);
    kd_targets *targets;
    OK(kd_targets_create(&targets, ctx, NULL));
    kd_loss *loss = projecting(model, targets, "embedding", KD_PROJECTION_LINEAR_BIAS, 0);
    FAILS(kd_student_append_projection(model, loss, 0), KD_ERR_UNSUPPORTED,
          "projects embeddings of length 1 with a bias");
    FAILS(kd_student_append_projection(model, loss, 1), KD_ERR_RANGE, "the loss has 1 terms");
    kd_loss_free(loss);
    loss = projecting(model, targets, "pooled", KD_PROJECTION_LINEAR, 0);
    OK(kd_student_append_projection(model, loss, 0));
    FAILS(kd_student_append_projection(model, loss, 0), KD_ERR_UNSUPPORTED,
          "\"pooled\" of a model without dense layers");
    kd_loss_free(loss);
    kd_model_free(model);

    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_projection_options p = KD_PROJECTION_OPTIONS_INIT;
    model = encoder_made(ctx, QWEN(""), NULL);
    o.student_output = "hidden.0";
    o.teacher_field = "hidden.5";
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    FAILS(kd_student_append_projection(model, loss, 0), KD_ERR_NOT_FOUND, "has no projection");
    OK(kd_loss_set_projection(loss, 0, &p));
    FAILS(kd_student_append_projection(model, loss, 0), KD_ERR_STATE, "are open");
    o.student_output = "embedding";
    p.from = 9;
    p.to = 4;
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    OK(kd_loss_set_projection(loss, 1, &p));
    FAILS(kd_student_append_projection(model, loss, 1), KD_ERR_SHAPE,
          "takes 9 numbers, \"embedding\" has 12");
    o.student_output = "hidden.0";
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    OK(kd_loss_set_projection(loss, 2, &p));
    FAILS(kd_student_append_projection(model, loss, 2), KD_ERR_UNSUPPORTED, "projects 'hidden.0'");
    kd_loss_free(loss);
    kd_model_free(model);
    kd_targets_free(targets);
}
END_TEST

Suite *append_suite(void)
{
    Suite *suite = suite_create("append");
    TCase *tests = tcase_create("append");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_layer_comes_after_what_is_pooled_and_before_length_1);
    tcase_add_test(tests, a_layer_may_be_a_view_of_the_model);
    tcase_add_test(tests, layers_follow_those_that_are_there);
    tcase_add_test(tests, gradients_of_the_layer_are_those_of_central_differences);
    tcase_add_test(tests, a_step_of_shared_gradients_trains_the_layer);
    tcase_add_test(tests, every_form_of_projection_goes_along);
    tcase_add_test(tests, a_static_embedding_takes_the_matrix_into_its_table);
    tcase_add_test(tests, arrays_and_names_that_do_not_fit_are_refused);
    tcase_add_test(tests, projections_that_are_not_the_embeddings_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
