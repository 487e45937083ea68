/* Students in training: shared layers, factorized embeddings, recomputing, 16 bits, adapters. */
#include "studentkit.h"

static kd_loss *make_loss(kd_context *ctx)
{
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.label_field = "tokens";
    o.align = KD_ALIGN_NEXT;
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &o, NULL));
    return loss;
}

static double value_of(kd_model *model, kd_batch *batch, kd_loss *loss)
{
    kd_loss_result info = { .struct_size = sizeof info };
    OK(kd_model_zero_gradients(model));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, batch, NULL, NULL, &info));
    return info.value;
}

/* Central differences of one number of each tensor. */
static void check_gradients(kd_model *model, kd_batch *batch, kd_loss *loss, const char *only)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array values, gradient;
        OK(kd_model_tensor(model, i, &name, &values));
        if (only && !strstr(name, only)) continue;
        value_of(model, batch, loss);
        OK(kd_model_tensor_gradient(model, i, &gradient));
        const int64_t at = kd_array_count(&values) / 3;
        const float expected = ((float *)gradient.data)[at], kept = ((float *)values.data)[at],
                    h = 0.02f;
        ((float *)values.data)[at] = kept + h;
        const double up = value_of(model, batch, loss);
        ((float *)values.data)[at] = kept - h;
        const double down = value_of(model, batch, loss);
        ((float *)values.data)[at] = kept;
        ck_assert_msg(fabs((up - down) / (2 * h) - expected) < 2e-3 + 0.03 * fabs(expected),
                      "%s: %g, expected %g", name, (up - down) / (2 * h), (double)expected);
    }
}

START_TEST(shared_layers_train_and_expand)
{
    kd_context *ctx = make_context(2);
    kd_batch *batch = make_batch(ctx);
    kd_loss *loss = make_loss(ctx);
    static const char *const kinds[] = { "block", "stack" };
    for (int i = 0; i < 2; i++) {
        char more[100];
        snprintf(more, sizeof more, ",\"kd_layer_repeats\":2,\"kd_layer_sharing\":\"%s\"",
                 kinds[i]);
        kd_model *model = make_model(ctx, "llama", more, NULL), *again, *whole;
        kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
        static float a[ROWS * V], b[ROWS * V];
        int32_t own, all;
        check_gradients(model, batch, loss, NULL);
        logits_of(model, batch, a);
        again = reloaded(ctx, model, scratch_path("shared"), NULL, batch, b);
        ck_assert(!memcmp(a, b, sizeof a));
        o.expand = 1;
        whole = reloaded(ctx, model, scratch_path("expanded"), &o, batch, b);
        ck_assert(!memcmp(a, b, sizeof a));
        OK(kd_model_tensor_count(model, &own));
        OK(kd_model_tensor_count(whole, &all));
        ck_assert_int_eq(all - own, 2 * 9);
        kd_model_free(whole);
        kd_model_free(again);
        kd_model_free(model);
    }
    kd_model *model;
    char json[700];
    snprintf(json, sizeof json, base, "llama", ",\"kd_layer_repeats\":3");
    FAILS(kd_model_create(&model, ctx, json, NULL), KD_ERR_CONFIG, "kd_layer_repeats");
    snprintf(json, sizeof json, base, "llama",
             ",\"kd_layer_repeats\":2,\"kd_layer_sharing\":\"half\"");
    FAILS(kd_model_create(&model, ctx, json, NULL), KD_ERR_CONFIG, "kd_layer_sharing");
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

/* The first `count` greedy tokens after a prompt. */
static void greedy(kd_model *model, int32_t weights, int32_t *to, int32_t count)
{
    const int32_t prompt[] = { 3, 1, 4, 1, 5 };
    kd_generator *generator;
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated g = { .struct_size = sizeof g };
    int64_t request;
    o.weights = weights;
    s.temperature = 0;
    s.max_tokens = count;
    s.keep_hidden = 1;
    OK(kd_generator_create(&generator, model, &o));
    OK(kd_generator_add(generator, prompt, 5, &s, &request));
    OK(kd_generator_next(generator, &g));
    ck_assert_int_eq(g.count, count);
    memcpy(to, g.ids, (size_t)count * sizeof *to);
    kd_generator_free(generator);
}

START_TEST(factorized_embeddings_train_generate_and_expand)
{
    kd_context *ctx = make_context(2);
    kd_batch *batch = make_batch(ctx);
    kd_loss *loss = make_loss(ctx);
    static float a[ROWS * V], b[ROWS * V];
    kd_model *teacher =
                 make_model(ctx, "qwen3", ",\"head_dim\":6,\"tie_word_embeddings\":true", NULL),
             *student, *again, *whole;
    kd_student_options so = KD_STUDENT_OPTIONS_INIT;
    kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
    kd_model_info facts[2] = { { .struct_size = sizeof *facts }, { .struct_size = sizeof *facts } };
    int32_t ids[2][20];
    kd_array e, p;
    float *embedding = tensor_of(teacher, "model.embed_tokens.weight", &e);
    for (int i = 0; i < V; i++)
        for (int j = 0; j < 24; j++)
            embedding[i * 24 + j] = 0.2f * (sinf((float)(i * 2)) * cosf((float)j) +
                                            (float)(i % 5 - 2) * sinf((float)(j * j)) * 0.4f);
    so.config = "{\"kd_embedding_size\":5}"; /* two are enough for these */
    OK(kd_student_create(&student, teacher, &so));
    tensor_of(student, "model.embed_projection.weight", &p);
    ck_assert_int_eq(p.dims[1], 5);
    logits_of(teacher, batch, a);
    logits_of(student, batch, b);
    ck_assert(distance(a, b, ROWS * V) < 1e-4);
    check_gradients(student, batch, loss, NULL);
    logits_of(student, batch, a);
    again = reloaded(ctx, student, scratch_path("factorized"), NULL, batch, b);
    ck_assert(!memcmp(a, b, sizeof a));
    o.expand = 1;
    whole = reloaded(ctx, student, scratch_path("expanded"), &o, batch, b);
    ck_assert(distance(a, b, ROWS * V) < 1e-4);
    OK(kd_model_get_info(student, &facts[0]));
    OK(kd_model_get_info(whole, &facts[1]));
    ck_assert_int_eq(facts[1].parameters - facts[0].parameters, V * 24 - V * 5 - 24 * 5);
    for (int w = 0; w < 2; w++) { /* 8-bit numbers: it runs */
        greedy(student, w ? KD_INT8 : KD_FLOAT32, ids[0], 20);
        greedy(whole, w ? KD_INT8 : KD_FLOAT32, ids[1], 20);
        if (!w) ck_assert(!memcmp(ids[0], ids[1], sizeof ids[0]));
    }
    OK(kd_model_resize_vocabulary(student, V + 3));
    logits_of(whole, batch, a);
    OK(kd_model_forward(student, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(student, "logits", &e));
    for (int r = 0; r < ROWS; r++)
        ck_assert(distance(a + r * V, (float *)e.data + r * (V + 3), V) < 1e-4);
    FAILS(kd_student_create(&again, student, NULL), KD_ERR_UNSUPPORTED, "factorized");
    kd_model_free(whole);
    kd_model_free(again);
    kd_model_free(student);
    kd_model_free(teacher);
    char json[700];
    snprintf(json, sizeof json, base, "llama", ",\"kd_embedding_size\":30");
    FAILS(kd_model_create(&student, ctx, json, NULL), KD_ERR_CONFIG, "at most hidden_size");
    snprintf(json, sizeof json, base, "llama", ",\"kd_embedding_size\":3");
    FAILS(kd_model_create(&student, ctx, json, NULL), KD_ERR_CONFIG, "tie_word_embeddings");
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

/* Values of all layers or of the first ones are made again: the same bits, and less memory. */
START_TEST(recomputed_gradients_are_the_same_bits)
{
    kd_context *ctx = make_context(2);
    kd_batch *batch = make_batch(ctx);
    kd_loss *loss = make_loss(ctx);
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info info = { .struct_size = sizeof info };
    int64_t bytes[3];
    const char *more = ",\"kd_layer_repeats\":2";
    char json[700];
    kd_array x, y;
    kd_model *whole = make_model(ctx, "qwen3", more, NULL);
    const double value = value_of(whole, batch, loss);
    OK(kd_model_gradients(whole, &x));
    snprintf(json, sizeof json, base, "qwen3", "");
    o.max_rows = 1000;
    for (int i = 0; i < 3; i++) {
        o.recompute = i > 0;
        o.recompute_layers = i == 1;
        kd_model *model = make_model(ctx, "qwen3", more, &o);
        ck_assert(value == value_of(model, batch, loss));
        OK(kd_model_gradients(model, &y));
        ck_assert(!memcmp(x.data, y.data, (size_t)kd_array_count(&x) * sizeof(float)));
        OK(kd_model_estimate_memory(ctx, json, &o, &info));
        bytes[i] = info.activation_bytes;
        kd_model_free(model);
    }
    ck_assert_int_lt(bytes[2], bytes[0] / 2);
    ck_assert_int_lt(bytes[2], bytes[1]);
    ck_assert_int_lt(bytes[1], bytes[0]);
    kd_model *none;
    o.recompute_layers = 100;
    FAILS(kd_model_create(&none, ctx, json, &o), KD_ERR_RANGE, "recompute_layers");
    o.recompute_layers = -1;
    FAILS(kd_model_estimate_memory(ctx, json, &o, &info), KD_ERR_RANGE, "recompute_layers");
    o.recompute = 0, o.recompute_layers = 1;
    FAILS(kd_model_create(&none, ctx, json, &o), KD_ERR_RANGE, "recompute_layers");
    kd_model_free(whole);
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

/* Kept in 16 bits: the forward pass is the same, gradients are near, memory is less; with layers
 * computed again, too. */
START_TEST(activations_are_kept_in_16_bits)
{
    kd_context *ctx = make_context(2);
    kd_batch *batch = make_batch(ctx);
    kd_loss *loss = make_loss(ctx);
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info info = { .struct_size = sizeof info };
    char json[700];
    kd_array x, y;
    kd_model *whole = make_model(ctx, "qwen3", "", NULL), *none;
    const double value = value_of(whole, batch, loss);
    OK(kd_model_gradients(whole, &x));
    const int64_t n = kd_array_count(&x);
    snprintf(json, sizeof json, base, "qwen3", "");
    o.max_rows = 1000;
    OK(kd_model_estimate_memory(ctx, json, &o, &info));
    const int64_t before = info.activation_bytes;
    o.activations = KD_BFLOAT16;
    for (o.recompute = 0; o.recompute < 2; o.recompute++) {
        o.recompute_layers = o.recompute;
        kd_model *model = make_model(ctx, "qwen3", "", &o);
        double apart = 0, size = 0;
        ck_assert(value == value_of(model, batch, loss));
        OK(kd_model_gradients(model, &y));
        for (int64_t i = 0; i < n; i++) {
            const double a = ((const float *)x.data)[i], b = ((const float *)y.data)[i];
            apart += (a - b) * (a - b), size += a * a;
        }
        ck_assert_msg(apart > 0 && sqrt(apart / size) < 0.01, "relative error %g",
                      sqrt(apart / size));
        OK(kd_model_estimate_memory(ctx, json, &o, &info));
        ck_assert_int_lt(info.activation_bytes, before);
        kd_model_free(model);
    }
    o.activations = KD_FLOAT16;
    FAILS(kd_model_create(&none, ctx, json, &o), KD_ERR_UNSUPPORTED, "activations");
    kd_model_free(whole);
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

START_TEST(adapters_alone_learn_and_are_merged_when_saved)
{
    kd_context *ctx = make_context(2);
    kd_batch *batch = make_batch(ctx);
    kd_loss *loss = make_loss(ctx);
    kd_model *model = make_model(ctx, "llama", "", NULL), *again;
    kd_lora_options o = KD_LORA_OPTIONS_INIT;
    kd_optimizer *optimizer;
    static float a[ROWS * V], b[ROWS * V];
    kd_array values;
    float frozen[24 * 24];
    logits_of(model, batch, a);
    o.rank = 3;
    FAILS(kd_model_add_lora(model, "nothing", &o), KD_ERR_NOT_FOUND, "nothing");
    OK(kd_model_add_lora(model, "*.q_proj.weight", &o));
    OK(kd_model_add_lora(model, "*down_proj.weight", &o));
    logits_of(model, batch, b);
    ck_assert(!memcmp(a, b, sizeof a));
    float *up = tensor_of(model, "model.layers.1.self_attn.q_proj.weight.lora_B", &values);
    for (int i = 0; i < 24 * 3; i++) up[i] = 0.1f * (float)(i % 7 - 3);
    check_gradients(model, batch, loss, ".lora_");
    memcpy(frozen, tensor_of(model, "model.layers.1.self_attn.q_proj.weight", &values),
           sizeof frozen);
    const double before = value_of(model, batch, loss);
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    for (int step = 0; step < 20; step++) {
        value_of(model, batch, loss);
        OK(kd_optimizer_step(optimizer, 1e-2));
    }
    ck_assert(value_of(model, batch, loss) < before - 0.1);
    ck_assert(!memcmp(frozen, tensor_of(model, "model.layers.1.self_attn.q_proj.weight", &values),
                      sizeof frozen));
    logits_of(model, batch, a);
    OK(kd_model_save(model, scratch_path("merged"), NULL));
    OK(kd_model_load(&again, ctx, scratch_path("merged"), NULL));
    logits_of(again, batch, b);
    ck_assert(!memcmp(a, b, sizeof a));
    FAILS(kd_model_resize_vocabulary(model, 40), KD_ERR_STATE, "adapters");
    kd_optimizer_free(optimizer);
    kd_model_free(again);
    kd_model_free(model);
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

Suite *student_training_suite(void)
{
    Suite *suite = suite_create("student_training");
    TCase *tests = tcase_create("student_training");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, shared_layers_train_and_expand);
    tcase_add_test(tests, factorized_embeddings_train_generate_and_expand);
    tcase_add_test(tests, recomputed_gradients_are_the_same_bits);
    tcase_add_test(tests, activations_are_kept_in_16_bits);
    tcase_add_test(tests, adapters_alone_learn_and_are_merged_when_saved);
    suite_add_tcase(suite, tests);
    return suite;
}
