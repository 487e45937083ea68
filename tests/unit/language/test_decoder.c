/* Language models: gradients against central differences, packed sequences, windows, folders, bad
 * input. */
#include "unit.h"

static kd_context *ctx;
static kd_batch *batch;
static kd_loss *loss;

static void begin(void)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    o.label_field = "tokens";
    o.align = KD_ALIGN_NEXT;
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &o, NULL));
}

static void setup(void)
{
    ctx = make_context(2);
    begin();
}

static void end(void)
{
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

#define SIZES                                                                                      \
    "\"vocab_size\":19,\"hidden_size\":16,\"intermediate_size\":20,\"num_hidden_layers\":2,\"num_" \
    "attention_heads\":4,\"num_key_value_heads\":2,"                                               \
    "\"max_position_embeddings\":256,\"initializer_range\":0.3"
static const char *const configs[] = {
    "{\"model_type\":\"llama\"," SIZES "}",
    "{\"model_type\":\"llama\"," SIZES
    ",\"tie_word_embeddings\":true,\"attention_bias\":true,\"mlp_bias\":true,\"head_dim\":6}",
    "{\"model_type\":\"qwen2\"," SIZES
    ",\"use_sliding_window\":true,\"sliding_window\":3,\"max_window_layers\":1}",
    "{\"model_type\":\"qwen3\"," SIZES
    ",\"head_dim\":4,\"rope_parameters\":{\"rope_type\":\"llama3\",\"factor\":4,\"original_max_"
    "position_embeddings\":16}}",
    "{\"model_type\":\"mistral\"," SIZES ",\"sliding_window\":4,\"attention_sinks\":2}",
    "{\"model_type\":\"llama\"," SIZES ",\"tie_word_embeddings\":true,\"kd_embedding_size\":6}",
};

static int64_t tokens[400];

static void fill(const int64_t *offsets, int64_t sequences)
{
    kd_array os = KD_ARRAY_1D(offsets, KD_INT64, sequences + 1),
             ts = KD_ARRAY_1D(tokens, KD_INT64, offsets[sequences]);
    for (int64_t i = 0; i < offsets[sequences]; i++) tokens[i] = (i * 7 + i * i % 11) % 19;
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
}

static double value_of(kd_model *model)
{
    kd_loss_result r = { .struct_size = sizeof r };
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_loss_forward(loss, model, batch, NULL, NULL, &r));
    return r.value;
}

START_TEST(gradients_are_central_differences_for_every_family)
{
    const int64_t offsets[4] = { 0, 9, 10, 23 };
    fill(offsets, 3);
    for (size_t c = 0; c < sizeof configs / sizeof *configs; c++) {
        kd_model *model;
        kd_array p, g;
        OK(kd_model_create(&model, ctx, configs[c], NULL));
        OK(kd_model_parameters(model, &p));
        OK(kd_model_gradients(model, &g));
        /* biases and norms too */
        for (int64_t i = 0; i < p.dims[0]; i += 3) ((float *)p.data)[i] += 0.05f * (float)(i % 5);
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(loss, model, batch, NULL, NULL, NULL));
        for (int64_t i = 0; i < p.dims[0]; i += getenv("KD_TEST_FEW") ? 89 : 13) {
            float *at = (float *)p.data + i, kept = *at;
            const float h = 3e-3f;
            *at = kept + h;
            const double up = value_of(model);
            *at = kept - h;
            const double slope = (up - value_of(model)) / (2 * (double)h);
            *at = kept;
            NEAR(((float *)g.data)[i], slope, 2e-3 + 0.02 * fabs(slope));
        }
        /* a second pass is added */
        float *once = malloc((size_t)g.dims[0] * sizeof *once);
        memcpy(once, g.data, (size_t)g.dims[0] * sizeof *once);
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(loss, model, batch, NULL, NULL, NULL));
        for (int64_t i = 0; i < g.dims[0]; i++) NEAR(((float *)g.data)[i], 2 * once[i], 1e-5);
        free(once);
        kd_model_free(model);
    }
}
END_TEST

/* Gradients of the first model, as a copy of the caller's to free, made with a context of the given
 * products. */
static float *gradients_with(int32_t products, int64_t *count, double *value)
{
    const int64_t offsets[3] = { 0, 200, 330 };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context *kept_ctx = ctx;
    kd_batch *kept_batch = batch;
    kd_loss *kept_loss = loss;
    kd_model *model;
    kd_array g;
    kd_loss_result r = { .struct_size = sizeof r };
    o.threads = 2;
    o.matmul_precision = products;
    OK(kd_context_create(&ctx, &o));
    begin();
    fill(offsets, 2);
    OK(kd_model_create(&model, ctx, configs[0], NULL));
    OK(kd_model_gradients(model, &g));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, batch, NULL, NULL, &r));
    *value = r.value;
    *count = g.dims[0];
    float *copy = malloc((size_t)*count * sizeof *copy);
    memcpy(copy, g.data, (size_t)*count * sizeof *copy);
    kd_model_free(model);
    end();
    ctx = kept_ctx, batch = kept_batch, loss = kept_loss;
    return copy;
}

START_TEST(bfloat16_products_give_nearly_the_same_gradients)
{
    int64_t count;
    double exact, rounded, size = 0, error = 0;
    float *a = gradients_with(KD_PRECISION_FLOAT32, &count, &exact),
          *b = gradients_with(KD_PRECISION_BFLOAT16, &count, &rounded);
    for (int64_t i = 0; i < count; i++)
        size += (double)a[i] * a[i], error += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    ck_assert_msg(sqrt(error / size) > 1e-4 && sqrt(error / size) < 5e-2,
                  "relative error of the gradient %g", sqrt(error / size));
    NEAR(rounded, exact, 1e-3);
    free(a), free(b);
}
END_TEST

START_TEST(packed_sequences_do_not_see_each_other)
{
    const int64_t both[3] = { 0, 210, 330 }, first[2] = { 0, 210 };
    for (size_t c = 0; c < sizeof configs / sizeof *configs; c++) {
        kd_model *model;
        kd_array z;
        static float alone[210 * 19];
        OK(kd_model_create(&model, ctx, configs[c], NULL));
        fill(first, 1);
        OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
        OK(kd_model_output(model, "logits", &z));
        memcpy(alone, z.data, sizeof alone);
        fill(both, 2);
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_model_output(model, "logits", &z));
        for (int i = 0; i < 210 * 19; i++) NEAR(((float *)z.data)[i], alone[i], 1e-5);
        kd_model_free(model);
    }
}
END_TEST

START_TEST(whole_logits_and_the_head_give_the_same_gradients)
{
    const int64_t offsets[2] = { 0, 12 };
    const int some[] = { 0, 1, 5 }; /* untied, tied, factorized */
    for (int n = 0, c = 0; n < 3; c = some[++n % 3]) {
        kd_model *model;
        kd_array z, g;
        float dz[12 * 19];
        kd_array zs = KD_ARRAY_2D(dz, KD_FLOAT32, 12, 19), ds = zs;
        kd_loss_output output = { sizeof output, 0, NULL, &zs, &ds, NULL };
        OK(kd_model_create(&model, ctx, configs[c], NULL));
        OK(kd_model_gradients(model, &g));
        float *through = malloc((size_t)g.dims[0] * sizeof *through);
        fill(offsets, 1);
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(loss, model, batch, NULL, NULL, NULL));
        memcpy(through, g.data, (size_t)g.dims[0] * sizeof *through);
        OK(kd_model_zero_gradients(model));
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_model_output(model, "logits", &z));
        memcpy(dz, z.data, sizeof dz);
        OK(kd_loss_evaluate(loss, &output, 1, batch, NULL, NULL, NULL));
        OK(kd_model_add_output_gradient(model, "logits", &ds));
        OK(kd_model_backward(model));
        for (int64_t i = 0; i < g.dims[0]; i++) NEAR(((float *)g.data)[i], through[i], 1e-5);
        free(through);
        kd_model_free(model);
    }
}
END_TEST

START_TEST(folders_keep_the_model_and_a_live_teacher_teaches_through_its_head)
{
    const int64_t offsets[2] = { 0, 15 };
    const char *folder = scratch_path("decoder");
    kd_model *model, *again;
    kd_teacher *teacher;
    kd_targets *targets;
    kd_loss *kl;
    kd_loss_result r = { .struct_size = sizeof r };
    kd_model_memory_info info = { .struct_size = sizeof info };
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    OK(kd_model_create(&model, ctx, configs[3], NULL));
    OK(kd_model_save(model, folder, NULL));
    o.frozen = 1;
    OK(kd_model_load(&again, ctx, folder, &o));
    OK(kd_teacher_from_model(&teacher, again, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_create(&kl, ctx, NULL));
    OK(kd_loss_add(kl, KD_LOSS_FORWARD_KL, 1, NULL, NULL));
    fill(offsets, 1);
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(kl, model, batch, targets, NULL, &r));
    NEAR(r.value, 0, 1e-6);
    OK(kd_model_estimate_memory(ctx, configs[3], NULL, &info));
    ck_assert_int_gt(info.parameters, 1000);
    o.frozen = 0;
    o.max_rows = 100;
    OK(kd_model_estimate_memory(ctx, configs[3], &o, &info));
    ck_assert_int_gt(info.activation_bytes, 100 * 12 * 4);
    kd_loss_free(kl);
    kd_targets_free(targets);
    kd_teacher_free(teacher);
    kd_model_free(again);
    kd_model_free(model);
}
END_TEST

START_TEST(a_models_head_skips_small_blocks)
{
    static const char wide[] = "{\"model_type\":\"llama\",\"vocab_size\":300,\"hidden_size\":16,"
                               "\"intermediate_size\":20,\"num_hidden_layers\":1,"
                               "\"num_attention_heads\":2,\"max_position_embeddings\":512}";
    const int64_t offsets[3] = { 0, 90, 150 };
    const double bounds[] = { 0, 0.01 };
    kd_model *model;
    kd_array g;
    kd_loss_options lo = KD_LOSS_OPTIONS_INIT;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result r = { .struct_size = sizeof r };
    int32_t tensors;
    fill(offsets, 2);
    OK(kd_model_create(&model, ctx, wide, NULL));
    OK(kd_model_tensor_count(model, &tensors));
    OK(kd_model_tensor_gradient(model, tensors - 1, &g)); /* lm_head.weight */
    static float exact[300 * 16];
    double error = 0;
    o.label_field = "tokens";
    o.align = KD_ALIGN_NEXT;
    for (int i = 0; i < 2; i++) {
        kd_loss *own;
        lo.skip_bound = bounds[i];
        OK(kd_loss_create(&own, ctx, &lo));
        OK(kd_loss_add(own, KD_LOSS_CROSS_ENTROPY, 1, &o, NULL));
        OK(kd_model_zero_gradients(model));
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(own, model, batch, NULL, NULL, &r));
        kd_loss_free(own);
        if (i) break;
        ck_assert(r.skipped_share == 0 && r.dw_error_bound == 0);
        memcpy(exact, g.data, sizeof exact);
    }
    /* labels are below 19: of seven blocks of ids one has them */
    ck_assert_double_eq_tol(r.skipped_share, 6.0 / 7, 1e-9);
    for (int i = 0; i < 300 * 16; i++) error += pow(((float *)g.data)[i] - exact[i], 2);
    ck_assert(error > 0 && sqrt(error) < r.dw_error_bound);
    lo.skip_bound = NAN;
    FAILS(kd_loss_create(&loss, ctx, &lo), KD_ERR_RANGE, "skip_bound");
    kd_model_free(model);
}
END_TEST

/* Bytes at most that a model's passes over 300 rows take, beside what it was told before. */
static int64_t memory_rows(void) { return getenv("KD_TEST_FEW") ? 70 : 300; }

static void check_memory(int32_t gemm, int32_t products, const kd_model_options *o,
                         const char *config)
{
    const int64_t rows = memory_rows(), offsets[4] = { 0, rows - 20, rows - 19, rows };
    kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    kd_model_memory_info info = { .struct_size = sizeof info };
    kd_context *own, *kept = ctx;
    kd_batch *its, *kept_batch = batch;
    kd_model *model;
    kd_array hidden;
    co.gemm = gemm;
    co.matmul_precision = products;
    co.threads = 2;
    OK(kd_context_create(&own, &co));
    OK(kd_batch_create(&its, own, NULL));
    ctx = own, batch = its;
    fill(offsets, 3);
    OK(kd_context_get_info(own, &before));
    OK(kd_model_estimate_memory(own, config, o, &info));
    OK(kd_model_create(&model, own, config, o));
    OK(kd_model_forward(model, batch, o->frozen ? KD_MODE_EVALUATE : KD_MODE_TRAIN));
    if (!o->frozen) {
        OK(kd_model_output(model, "hidden", &hidden));
        OK(kd_model_add_output_gradient(model, "hidden", &hidden));
        OK(kd_model_backward(model));
    }
    OK(kd_context_get_info(own, &after));
    const int64_t taken = (int64_t)(after.peak_bytes - before.bytes);
    ck_assert_msg(taken > info.total_bytes - 2000 && taken < info.total_bytes + 40000,
                  "told %lld bytes, taken %lld", (long long)info.total_bytes, (long long)taken);
    kd_model_free(model);
    kd_batch_free(batch);
    kd_context_free(ctx);
    ctx = kept, batch = kept_batch;
}

START_TEST(memory_is_told_before_it_is_taken)
{
    static const char big[] =
        "{\"model_type\":\"llama\",\"vocab_size\":19,\"hidden_size\":96,\"intermediate_size\":220,"
        "\"num_hidden_layers\":2,"
        "\"num_attention_heads\":6,\"num_key_value_heads\":2,\"max_position_embeddings\":512}";
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.max_rows = memory_rows();
    for (o.recompute = 0; o.recompute < 2; o.recompute++)
        check_memory(KD_GEMM_OWN, KD_PRECISION_FLOAT32, &o, big);
    o.recompute = o.recompute_layers = 1;
    check_memory(KD_GEMM_OWN, KD_PRECISION_FLOAT32, &o, big);
    o.recompute = o.recompute_layers = 0;
    o.activations = KD_BFLOAT16;
    check_memory(KD_GEMM_OWN, KD_PRECISION_FLOAT32, &o, big);
    o.activations = KD_FLOAT32;
    check_memory(KD_GEMM_AUTO, KD_PRECISION_BFLOAT16, &o, big);
    o.frozen = 1;
    check_memory(KD_GEMM_OWN, KD_PRECISION_FLOAT32, &o, big);
    o.weights = KD_INT8;
    check_memory(KD_GEMM_OWN, KD_PRECISION_FLOAT32, &o, big);
    kd_model *none;
    o.max_rows = (int64_t)1 << 62;
    FAILS(kd_model_create(&none, ctx, big, &o), KD_ERR_RANGE, "64 bits");
}
END_TEST

START_TEST(what_would_change_the_result_is_refused_by_name)
{
    static const struct {
        const char *config;
        kd_status status;
        const char *text;
    } bad[] = {
        { "{\"model_type\":\"gemma\"," SIZES "}", KD_ERR_CONFIG, "gemma" },
        { "{\"model_type\":\"llama\"," SIZES ",\"logit_scale\":2}", KD_ERR_CONFIG, "logit_scale" },
        { "{\"model_type\":\"llama\"," SIZES ",\"hidden_act\":\"gelu\"}", KD_ERR_UNSUPPORTED,
          "silu" },
        { "{\"model_type\":\"llama\"," SIZES ",\"attention_dropout\":0.1}", KD_ERR_UNSUPPORTED,
          "attention_dropout" },
        { "{\"model_type\":\"llama\"," SIZES ",\"architectures\":[\"FooForCausalLM\"]}",
          KD_ERR_UNSUPPORTED, "FooForCausalLM" },
        { "{\"model_type\":\"llama\"," SIZES
          ",\"rope_scaling\":{\"type\":\"longrope\",\"factor\":2}}",
          KD_ERR_CONFIG, "short_factor" },
        { "{\"model_type\":\"llama\"," SIZES
          ",\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,2],\"long_factor\":[1,3]}}",
          KD_ERR_UNSUPPORTED, "longrope" },
        { "{\"model_type\":\"llama\"," SIZES ",\"rope_scaling\":{\"type\":\"su\",\"factor\":2}}",
          KD_ERR_UNSUPPORTED, "rope_type \"su\"" },
        { "{\"model_type\":\"llama\"," SIZES
          ",\"sliding_window\":3,\"layer_types\":[\"sliding_attention\",\"full_attention\"]}",
          KD_ERR_CONFIG, "attention_sinks" },
        { "{\"model_type\":\"mistral\"," SIZES
          ",\"sliding_window\":3,\"layer_types\":[\"sliding_attention\",\"full_attention\"]}",
          KD_ERR_UNSUPPORTED, "full_attention" },
        { "{\"model_type\":\"qwen3\"," SIZES
          ",\"sliding_window\":3,\"layer_types\":[\"sliding_attention\",\"full_attention\"]}",
          KD_ERR_CONFIG, "use_sliding_window" },
        { "{\"model_type\":\"llama\"," SIZES ",\"rope_scaling\":{\"type\":\"linear\"}}",
          KD_ERR_CONFIG, "factor" },
        { "{\"model_type\":\"llama\"," SIZES
          ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2,\"odd\":1}}",
          KD_ERR_CONFIG, "odd" },
        { "{\"model_type\":\"qwen2\"," SIZES ",\"layer_types\":[\"full_attention\"]}",
          KD_ERR_CONFIG, "layer_types" },
        { "{\"model_type\":\"qwen2\"," SIZES
          ",\"layer_types\":[\"full_attention\",\"linear_attention\"]}",
          KD_ERR_UNSUPPORTED, "layer_types" },
        { "{\"model_type\":\"llama\"," SIZES ",\"architectures\":\"LlamaForCausalLM\"}",
          KD_ERR_CONFIG, "list" },
        { "{\"model_type\":\"llama\"," SIZES ",\"head_dim\":5}", KD_ERR_CONFIG, "even" },
        { "{\"model_type\":\"llama\",\"vocab_size\":5}", KD_ERR_CONFIG, "hidden_size" },
    };
    kd_model *model = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        FAILS(kd_model_create(&model, ctx, bad[i].config, NULL), bad[i].status, bad[i].text);
    ck_assert_ptr_null(model);
    const int64_t long_one[2] = { 0, 300 }, short_one[2] = { 0, 4 };
    kd_array values;
    OK(kd_model_create(&model, ctx, configs[0], NULL));
    fill(long_one, 1);
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_RANGE,
          "max_position_embeddings");
    fill(short_one, 1);
    tokens[2] = 19;
    kd_array ts = KD_ARRAY_1D(tokens, KD_INT64, 4);
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_RANGE, "row 2");
    fill(short_one, 1);
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    FAILS(kd_model_output(model, "hidden.0", &values), KD_ERR_NOT_FOUND, "kd_model_keep");
    FAILS(kd_model_output(model, "hidden.7", &values), KD_ERR_NOT_FOUND, "hidden.7");
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "hidden.1", &values));
    ck_assert_int_eq(values.dims[1], 16);
    FAILS(kd_model_backward(model), KD_ERR_STATE, "for at least one output");
    OK(kd_model_add_output_gradient(model, "hidden.1", &values)); /* features alone */
    OK(kd_model_backward(model));
    kd_model_free(model);
}
END_TEST

Suite *decoder_suite(void)
{
    Suite *suite = suite_create("decoder");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, end);
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, gradients_are_central_differences_for_every_family);
    tcase_add_test(tests, bfloat16_products_give_nearly_the_same_gradients);
    tcase_add_test(tests, packed_sequences_do_not_see_each_other);
    tcase_add_test(tests, whole_logits_and_the_head_give_the_same_gradients);
    tcase_add_test(tests, folders_keep_the_model_and_a_live_teacher_teaches_through_its_head);
    tcase_add_test(tests, a_models_head_skips_small_blocks);
    tcase_add_test(tests, memory_is_told_before_it_is_taken);
    tcase_add_test(tests, what_would_change_the_result_is_refused_by_name);
    suite_add_tcase(suite, tests);
    return suite;
}
