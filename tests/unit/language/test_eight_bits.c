/* 8-bit models smooth themselves: a few loud channels behind the norms, which cost float32 nothing,
 * cost them little. */
#include "studentkit.h"

#include "encoderkit.h"

enum { D = 160 };

#define WIDE(type, more)                                                                           \
    "{\"model_type\":\"" type "\",\"vocab_size\":37,\"hidden_size\":160,"                          \
    "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"intermediate_size\":192,"                 \
    "\"max_position_embeddings\":64,\"initializer_range\":0.08" more "}"

static kd_context *ctx;
static kd_batch *batch;

static void setup(void)
{
    ctx = make_context(2);
    batch = make_batch(ctx);
}

static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* ---- loud channels ---- */

static int is_loud(int64_t j) { return j % 41 == 5; }

static void scale_columns(kd_model *model, const char *name, float by)
{
    kd_array v;
    float *w = tensor_of(model, name, &v);
    for (int64_t i = 0; i < kd_array_count(&v); i++)
        if (is_loud(i % D)) w[i] *= by;
}

/* Loud channels of a norm's weights, and the columns that read them the less: the same model. */
static void make_loud(kd_model *model, float by)
{
    static const char *const readers[][4] = {
        { "input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj" },
        { "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", NULL }
    };
    char name[100];
    for (int l = 0; l < 2; l++)
        for (int part = 0; part < 2; part++)
            for (int k = 0; k < 4 && readers[part][k]; k++) {
                snprintf(name, sizeof name, "model.layers.%d.%s.weight", l, readers[part][k]);
                scale_columns(model, name, k ? 1 / by : by);
            }
    scale_columns(model, "model.norm.weight", by);
    scale_columns(model, "lm_head.weight", 1 / by);
}

/* Relative error of a folder's 8-bit logits. */
static double error_of(kd_model *model)
{
    static float whole[ROWS * V], eight[ROWS * V];
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model *again;
    double off = 0, size = 0;
    logits_of(model, batch, whole);
    OK(kd_model_save(model, scratch_path("eight-bits"), NULL));
    o.frozen = 1;
    o.weights = KD_INT8;
    OK(kd_model_load(&again, ctx, scratch_path("eight-bits"), &o));
    logits_of(again, batch, eight);
    for (int i = 0; i < ROWS * V; i++) {
        off += pow(eight[i] - whole[i], 2);
        size += pow(whole[i], 2);
    }
    kd_model_free(again);
    return sqrt(off / size);
}

START_TEST(loud_channels_cost_little)
{
    static const char *const configs[] = { WIDE("llama", ",\"num_key_value_heads\":2"),
                                           WIDE("qwen2", ",\"num_key_value_heads\":2"),
                                           WIDE("qwen3", ",\"head_dim\":24") };
    for (int k = 0; k < 3; k++) {
        kd_model *model = encoder_made(ctx, configs[k], NULL);
        kd_array v;
        if (k == 1) /* biases come after the product */
            for (int i = 0; i < D; i++)
                tensor_of(model, "model.layers.0.self_attn.q_proj.bias", &v)[i] = weight_at(i);
        const double even = error_of(model);
        make_loud(model, 40);
        const double loud = error_of(model);
        ck_assert_msg(even > 0 && even < 0.05 && loud < 1.3 * even, "%d: %g, loud %g", k, even,
                      loud);
        kd_model_free(model);
    }
}
END_TEST

/* A channel that is always 0, and one whose columns are: nothing is divided by them. */
START_TEST(dead_channels_stay_as_they_are)
{
    kd_model *model = encoder_made(ctx, WIDE("llama", ",\"num_key_value_heads\":2"), NULL);
    kd_array v;
    tensor_of(model, "model.layers.0.input_layernorm.weight", &v)[3] = 0;
    tensor_of(model, "model.norm.weight", &v)[4] = 0;
    float *head = tensor_of(model, "lm_head.weight", &v);
    for (int i = 0; i < V; i++) head[i * D + 7] = 0;
    ck_assert(error_of(model) < 0.05);
    kd_model_free(model);
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    static float first[ROWS * V], logits[ROWS * V];
    for (int32_t threads = 1; threads <= 3; threads++) {
        kd_context *other = make_context(threads);
        kd_batch *its = make_batch(other);
        kd_model_options o = KD_MODEL_OPTIONS_INIT;
        o.frozen = 1;
        o.weights = KD_INT8;
        kd_model *model = encoder_made(other, WIDE("llama", ",\"num_key_value_heads\":2"), &o);
        logits_of(model, its, logits);
        if (threads == 1) memcpy(first, logits, sizeof first);
        ck_assert_mem_eq(first, logits, sizeof first);
        kd_model_free(model);
        kd_batch_free(its);
        kd_context_free(other);
    }
}
END_TEST

/* Layers that share their weights are smoothed for all of their inputs; texts may be no longer than
 * the model's positions. */
START_TEST(shared_layers_and_short_positions_are_smoothed)
{
    static const char *const configs[] = {
        WIDE("llama", ",\"num_key_value_heads\":2,\"kd_layer_repeats\":2"),
        "{\"model_type\":\"bert\",\"vocab_size\":37,\"hidden_size\":160,\"num_hidden_layers\":2,"
        "\"num_attention_heads\":4,\"intermediate_size\":192,\"max_position_embeddings\":16,"
        "\"initializer_range\":0.1}"
    };
    for (int k = 0; k < 2; k++) {
        kd_model_options o = KD_MODEL_OPTIONS_INIT;
        kd_model *whole = encoder_made(ctx, configs[k], NULL), *eight;
        kd_array x, y;
        double off = 0, size = 0;
        o.frozen = 1;
        o.weights = KD_INT8;
        eight = encoder_made(ctx, configs[k], &o);
        OK(kd_model_forward(whole, batch, KD_MODE_EVALUATE));
        OK(kd_model_forward(eight, batch, KD_MODE_EVALUATE));
        OK(kd_model_output(whole, "hidden", &x));
        OK(kd_model_output(eight, "hidden", &y));
        for (int64_t i = 0; i < kd_array_count(&x); i++) {
            off += pow(((float *)x.data)[i] - ((float *)y.data)[i], 2);
            size += pow(((float *)x.data)[i], 2);
        }
        ck_assert_msg(off > 0 && sqrt(off / size) < 0.03, "%d: %g", k, sqrt(off / size));
        kd_model_free(eight);
        kd_model_free(whole);
    }
}
END_TEST

/* ---- a published model ---- */

static double divergence(const float *v, const float *z, int64_t rows, int64_t n)
{
    double sum = 0;
    for (int64_t r = 0; r < rows; r++, v += n, z += n) {
        double sv = 0, sz = 0;
        for (int64_t i = 0; i < n; i++) sv += exp(v[i]), sz += exp(z[i]);
        for (int64_t i = 0; i < n; i++)
            sum += exp(v[i]) / sv * (v[i] - log(sv) - z[i] + log(sz)) / (double)rows;
    }
    return sum;
}

START_TEST(a_published_model_is_near_its_float32_logits)
{
    const char *const texts[] = { "Once upon a time, there was a little girl named Lily. She loved "
                                  "to play with her toys in the park. One day she found a big red "
                                  "ball and a small dog that was very sad." };
    const char *data = real_data("a_published_model_is_near_its_float32_logits");
    char folder[600];
    kd_tokenizer *tokenizer;
    kd_model *models[2];
    kd_array z[2];
    kd_batch *text;
    if (!data) return;
    snprintf(folder, sizeof folder, "%s/tinystories-656k", data);
    OK(kd_tokenizer_load(&tokenizer, ctx, folder));
    OK(kd_batch_create(&text, ctx, NULL));
    OK(kd_batch_begin_texts(text, tokenizer, texts, 1, KD_END_TOKEN_NONE));
    for (int k = 0; k < 2; k++) {
        kd_model_options o = KD_MODEL_OPTIONS_INIT;
        o.frozen = 1;
        o.weights = k ? KD_INT8 : KD_FLOAT32;
        OK(kd_model_load(&models[k], ctx, folder, &o));
        OK(kd_model_forward(models[k], text, KD_MODE_EVALUATE));
        OK(kd_model_output(models[k], "logits", &z[k]));
    }
    const double kl = divergence(z[0].data, z[1].data, z[0].dims[0], z[0].dims[1]);
    ck_assert_msg(kl > 0 && kl < 1.25e-3, /* 1.29e-3 as it is rounded without */ "%g nat a token",
                  kl);
    for (int k = 0; k < 2; k++) kd_model_free(models[k]);
    kd_batch_free(text);
    kd_tokenizer_free(tokenizer);
}
END_TEST

Suite *eight_bits_suite(void)
{
    Suite *suite = suite_create("eight_bits");
    TCase *tests = tcase_create("eight_bits");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, dead_channels_stay_as_they_are);
    tcase_add_test(tests, shared_layers_and_short_positions_are_smoothed);
    tcase_add_test(tests, a_published_model_is_near_its_float32_logits);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_add_test(slow, loud_channels_cost_little);
    tcase_add_test(slow, bits_do_not_depend_on_threads);
    suite_add_tcase(suite, slow);
    return suite;
}
