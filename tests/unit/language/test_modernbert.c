/* ModernBERT: numbers of transformers, windows, ways of training, configs of both versions. */
#include "encoderkit.h"

#include "../../goldens/encoder_heads_goldens.h"

#define MODERN(more)                                                                               \
    "{\"model_type\":\"modernbert\",\"vocab_size\":17,\"hidden_size\":12,"                         \
    "\"num_hidden_layers\":3,\"num_attention_heads\":3,\"intermediate_size\":20,"                  \
    "\"max_position_embeddings\":12,\"local_attention\":4,\"initializer_range\":0.3" more "}"
#define MASKED ",\"architectures\":[\"ModernBertForMaskedLM\"]"
#define POOLED                                                                                     \
    ",\"architectures\":[\"ModernBertForSequenceClassification\"],\"num_labels\":3,"               \
    "\"classifier_pooling\":\"mean\""
#define BIASES                                                                                     \
    ",\"norm_bias\":true,\"attention_bias\":true,\"mlp_bias\":true,\"classifier_bias\":true"
#define ROPES(type)                                                                                \
    ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"default\",\"rope_theta\":160000},"  \
    "\"sliding_attention\":{\"rope_type\":\"" type "\",\"rope_theta\":10000}}"

static kd_context *ctx;
static kd_batch *batch;
static void setup(void)
{
    ctx = make_context(2);
    batch = encoder_batch(ctx);
}
static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* ---- numbers of transformers ---- */

static void check_golden(const char *config, const double *logits, const char *const *names,
                         const double *sums)
{
    static float wave[ENCODER_ROWS * 17];
    kd_model *model = encoder_made(ctx, config, NULL);
    kd_array z;
    encoder_fill(model);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "logits", &z));
    const int64_t count = kd_array_count(&z);
    for (int64_t i = 0; i < count; i++) {
        NEAR((double)((float *)z.data)[i], logits[i], 2e-5);
        wave[i] = (float)sin(0.9 * (double)i);
    }
    z.data = wave;
    OK(kd_model_add_output_gradient(model, "logits", &z));
    OK(kd_model_backward(model));
    encoder_compare_gradients(model, names, sums);
    kd_model_free(model);
}

START_TEST(logits_and_gradients_are_those_of_transformers)
{
    check_golden(MODERN(MASKED), modernbert_masked_logits, modernbert_masked_names,
                 modernbert_masked_gradients);
    check_golden(MODERN(POOLED BIASES), modernbert_classes_logits, modernbert_classes_names,
                 modernbert_classes_gradients);
}
END_TEST

static double sum_of(kd_model *model, const char *output)
{
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    return output_sum(model, output);
}

static double sum_with(const char *config, const char *output)
{
    kd_model *model = encoder_made(ctx, config, NULL);
    const double sum = sum_of(model, output);
    kd_model_free(model);
    return sum;
}

/* A window is as wide on both sides; what is beyond it does not count. */
START_TEST(windows_end_where_they_should)
{
    int64_t tokens[ENCODER_ROWS] = { 2, 7, 16, 4, 11, 3, 9, 5, 12, 8, 14 };
    const kd_array t = KD_ARRAY_1D(tokens, KD_INT64, ENCODER_ROWS);
    kd_model *model = encoder_made(
        ctx,
        MODERN(",\"layer_types\":[\"sliding_attention\",\"full_attention\",\"full_attention\"]"),
        NULL);
    float kept[7 * 12];
    kd_array v;
    OK(kd_model_keep(model, "hidden.0", 1));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "hidden.0", &v));
    memcpy(kept, v.data, sizeof kept);
    tokens[3] = 6;
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "hidden.0", &v));
    for (int r = 0; r < 7; r++) {
        double moved = 0;
        for (int i = 0; i < 12; i++)
            moved += fabs((double)((float *)v.data)[r * 12 + i] - (double)kept[r * 12 + i]);
        if (r == 0 || r == 6) ck_assert_double_lt(moved, 1e-5);
        else ck_assert_double_gt(moved, 1e-3);
    }
    kd_model_free(model);
}
END_TEST

/* ---- configs ---- */

START_TEST(keys_of_both_versions_give_the_same_model)
{
    const double expected = sum_with(MODERN(""), "hidden");
    ck_assert(sum_with(MODERN(ROPES("default") ",\"layer_types\":[\"full_attention\","
                                               "\"sliding_attention\",\"sliding_attention\"]"),
                       "hidden") == expected);
    ck_assert(sum_with(MODERN(",\"global_rope_theta\":160000.0,\"local_rope_theta\":10000.0,"
                              "\"global_attn_every_n_layers\":3"),
                       "hidden") == expected);
    ck_assert(sum_with(MODERN(",\"global_rope_theta\":500"), "hidden") != expected);
    ck_assert(sum_with(MODERN(",\"local_rope_theta\":500"), "hidden") != expected);
    ck_assert(sum_with(MODERN(",\"local_rope_theta\":null"), "hidden") != expected);
    ck_assert(sum_with(MODERN(",\"global_attn_every_n_layers\":2"), "hidden") != expected);
}
END_TEST

static void refuse(const char *config, kd_status status, const char *text)
{
    kd_model *model = NULL;
    FAILS(kd_model_create(&model, ctx, config, NULL), status, text);
    ck_assert_ptr_null(model);
}

START_TEST(what_would_change_the_result_is_refused_by_name)
{
    refuse(MODERN(",\"hidden_activation\":\"gelu_new\""), KD_ERR_UNSUPPORTED, "hidden_activation");
    refuse(MODERN(",\"mlp_dropout\":0.1"), KD_ERR_UNSUPPORTED, "mlp_dropout: only 0");
    refuse(MODERN(",\"rope_theta\":1"), KD_ERR_CONFIG, "\"rope_theta\" is unknown");
    refuse(MODERN(ROPES("yarn")), KD_ERR_UNSUPPORTED, "sliding_attention: only rope_type default");
    refuse(MODERN(",\"rope_parameters\":{\"rope_theta\":1}"), KD_ERR_CONFIG,
           "an object \"full_attention\"");
    refuse(MODERN(",\"layer_types\":[\"full_attention\"]"), KD_ERR_CONFIG, "a list of 3 names");
    refuse(MODERN(",\"layer_types\":[\"full_attention\",\"full_attention\",\"linear\"]"),
           KD_ERR_CONFIG, "got \"linear\"");
    refuse(MODERN(POOLED ",\"classifier_activation\":\"silu\""), KD_ERR_UNSUPPORTED,
           "classifier_activation");
    refuse(MODERN(",\"architectures\":[\"ModernBertForTokenClassification\"]"), KD_ERR_UNSUPPORTED,
           "ModernBertForMaskedLM and");
    refuse("{\"model_type\":\"modernbert\",\"vocab_size\":9,\"hidden_size\":9,"
           "\"num_hidden_layers\":1,\"num_attention_heads\":3,\"intermediate_size\":4}",
           KD_ERR_CONFIG, "expected an even number, got 3");
}
END_TEST

/* ---- gradients and ways of training ---- */

static float *gradients_with(const char *config, const kd_model_options *o, int64_t *count)
{
    kd_model *model = encoder_made(ctx, config, o);
    kd_array g;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    push_back(model, "embedding");
    push_back(model, "logits");
    push_back(model, "hidden.0");
    push_back(model, "hidden.2");
    OK(kd_model_backward(model));
    OK(kd_model_gradients(model, &g));
    *count = g.dims[0];
    float *to = malloc((size_t)*count * sizeof *to);
    memcpy(to, g.data, (size_t)*count * sizeof *to);
    kd_model_free(model);
    return to;
}

static void check_ways(const char *config)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    int64_t n;
    double error = 0, size = 0;
    float *whole = gradients_with(config, NULL, &n);
    for (int32_t layers = 0; layers < 3; layers++) {
        o.recompute = 1;
        o.recompute_layers = layers;
        float *again = gradients_with(config, &o, &n);
        ck_assert_mem_eq(whole, again, (size_t)n * sizeof *whole);
        free(again);
    }
    o = (kd_model_options)KD_MODEL_OPTIONS_INIT;
    o.activations = KD_BFLOAT16;
    float *halved = gradients_with(config, &o, &n);
    for (int64_t i = 0; i < n; i++) {
        error += pow((double)(halved[i] - whole[i]), 2);
        size += pow((double)whole[i], 2);
    }
    ck_assert_double_gt(error, 0);
    ck_assert_double_lt(error, 1e-3 * size);
    free(whole), free(halved);
}

START_TEST(recomputing_gives_the_same_bits_and_16_bits_near_ones)
{
    check_ways(MODERN(MASKED));
    check_ways(MODERN(POOLED BIASES));
}
END_TEST

START_TEST(threads_do_not_change_a_bit)
{
    static const int32_t threads[] = { 1, 2, 3, 8 };
    float *first = NULL;
    int64_t n;
    for (int i = 0; i < 4; i++) {
        teardown();
        ctx = make_context(threads[i]);
        batch = encoder_batch(ctx);
        float *found = gradients_with(MODERN(MASKED), NULL, &n);
        if (!first) {
            first = found;
            continue;
        }
        ck_assert_mem_eq(first, found, (size_t)n * sizeof *first);
        free(found);
    }
    free(first);
}
END_TEST

/* The output's sum with one number of a tensor moved. */
static double moved(const char *config, int32_t tensor, int64_t at, float by)
{
    kd_model *model = encoder_made(ctx, config, NULL);
    kd_array v;
    OK(kd_model_tensor(model, tensor, NULL, &v));
    ((float *)v.data)[at] += by;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    const double sum = output_sum(model, "logits");
    kd_model_free(model);
    return sum;
}

START_TEST(dropout_of_a_classifier_is_pushed_back)
{
    static const char config[] = MODERN(POOLED ",\"classifier_dropout\":0.4");
    const float h = 4e-3f;
    kd_model *model = encoder_made(ctx, config, NULL);
    int32_t count;
    kd_array g;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    push_back(model, "logits");
    OK(kd_model_backward(model));
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i += getenv("KD_TEST_FEW") ? 5 : 1) {
        OK(kd_model_tensor_gradient(model, i, &g));
        const int64_t at = kd_array_count(&g) / 2;
        const double slope = (moved(config, i, at, h) - moved(config, i, at, -h)) / (2 * h);
        NEAR((double)((float *)g.data)[at], slope, 5e-3 + 0.02 * fabs(slope));
    }
    kd_model_free(model);
}
END_TEST

START_TEST(eight_bits_are_near_and_adapters_train)
{
    kd_model *whole = encoder_made(ctx, MODERN(MASKED), NULL), *eight;
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_optimizer *optimizer;
    double sum[2];
    o.frozen = 1;
    o.weights = KD_INT8;
    eight = encoder_made(ctx, MODERN(MASKED), &o);
    const double expected = sum_of(whole, "hidden"), found = sum_of(eight, "hidden");
    ck_assert(found != expected);
    NEAR(found, expected, 1);
    OK(kd_model_add_lora(whole, "*.Wqkv.weight", NULL));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(optimizer, whole));
    for (int step = 0; step < 2; step++) {
        OK(kd_model_forward(whole, batch, KD_MODE_TRAIN));
        sum[step] = output_sum(whole, "logits");
        push_back(whole, "logits");
        OK(kd_model_backward(whole));
        OK(kd_optimizer_step(optimizer, 1e-3));
    }
    ck_assert_double_lt(sum[1], sum[0]);
    kd_optimizer_free(optimizer);
    kd_model_free(eight);
    kd_model_free(whole);
}
END_TEST

/* ---- folders and memory ---- */

static void check_folder(const char *config, const char *name, const char *output)
{
    const char *folder = scratch_path(name);
    kd_model *model = encoder_made(ctx, config, NULL), *again;
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&again, ctx, folder, NULL));
    ck_assert(sum_of(model, output) == sum_of(again, output));
    kd_model_free(again);
    kd_model_free(model);
}

START_TEST(folders_come_back_and_trunks_are_found_in_them)
{
    const char *folder = scratch_path("modern-trunk");
    char path[700];
    kd_model *model = encoder_made(ctx, MODERN(MASKED), NULL), *trunk;
    check_folder(MODERN(MASKED), "modern-masked", "logits");
    check_folder(MODERN(POOLED BIASES), "modern-pooled", "logits");
    check_folder(MODERN(",\"kd_pooling\":\"cls\",\"kd_normalize\":true"), "modern-sentence",
                 "embedding");
    OK(kd_model_save(model, folder, NULL));
    snprintf(path, sizeof path, "%s/config.json", folder);
    write_file(path, MODERN(""), strlen(MODERN("")));
    OK(kd_model_load(&trunk, ctx, folder, NULL)); /* without the head, names without "model." */
    ck_assert(sum_of(model, "hidden") == sum_of(trunk, "hidden"));
    kd_model_free(trunk);
    kd_model_free(model);
}
END_TEST

START_TEST(a_pass_allocates_nothing_after_the_first)
{
    kd_model *model = encoder_made(ctx, MODERN(POOLED), NULL);
    kd_context_info first = { .struct_size = sizeof first }, last = first;
    for (int pass = 0; pass < 200; pass++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        push_back(model, "logits");
        OK(kd_model_backward(model));
        if (!pass) OK(kd_context_get_info(ctx, &first));
    }
    OK(kd_context_get_info(ctx, &last));
    ck_assert_uint_eq(first.allocations, last.allocations);
    kd_model_free(model);
}
END_TEST

Suite *modernbert_suite(void)
{
    Suite *suite = suite_create("modernbert");
    TCase *tests = tcase_create("modernbert");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, logits_and_gradients_are_those_of_transformers);
    tcase_add_test(tests, windows_end_where_they_should);
    tcase_add_test(tests, keys_of_both_versions_give_the_same_model);
    tcase_add_test(tests, what_would_change_the_result_is_refused_by_name);
    tcase_add_test(tests, recomputing_gives_the_same_bits_and_16_bits_near_ones);
    tcase_add_test(tests, threads_do_not_change_a_bit);
    tcase_add_test(tests, dropout_of_a_classifier_is_pushed_back);
    tcase_add_test(tests, eight_bits_are_near_and_adapters_train);
    tcase_add_test(tests, folders_come_back_and_trunks_are_found_in_them);
    tcase_add_test(tests, a_pass_allocates_nothing_after_the_first);
    suite_add_tcase(suite, tests);
    return suite;
}
