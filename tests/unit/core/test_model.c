#include <sys/stat.h>
#include <unistd.h>

#include "goldens/goldens.h"
#include "unit.h"

static kd_context *ctx;
static kd_batch *batch;
static void setup(void)
{
    ctx = make_context(2);
    OK(kd_batch_create(&batch, ctx, NULL));
}
static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static const char CNN[] = "{\"model_type\": \"sequential\", \"input_shape\": [2, 8, 8], "
                          "\"layers\": [{\"type\": \"conv2d\", \"channels\": 3, "
                          "\"kernel_size\": 3, \"padding\": 1, "
                          "\"activation\": \"relu\"}, {\"type\": \"max_pool2d\", \"kernel_size\": "
                          "2}, {\"type\": \"conv2d\", \"channels\": 4, "
                          "\"kernel_size\": 3, \"stride\": 2, "
                          "\"padding\": 1, \"activation\": \"tanh\"}, {\"type\": \"flatten\"}, "
                          "{\"type\": \"linear\", \"units\": 3}]}";

/* Weights and inputs as tests/goldens/make.py sets them. */
static kd_model *golden_model(const char *config, int64_t rows, int64_t rank, const int64_t *shape,
                              float *x)
{
    kd_model *model;
    kd_array p, xs;
    int64_t count = rows, dims[4] = { rows };
    OK(kd_model_create(&model, ctx, config, NULL));
    OK(kd_model_parameters(model, &p));
    for (int64_t i = 0; i < p.dims[0]; i++)
        ((float *)p.data)[i] = (float)(0.3 * sin(0.37 * (double)i + 1));
    for (int64_t i = 0; i < rank; i++) count *= dims[i + 1] = shape[i];
    for (int64_t i = 0; i < count; i++) x[i] = (float)cos(0.11 * (double)i);
    OK(kd_array_init(&xs, x, KD_FLOAT32, (int32_t)rank + 1, dims));
    OK(kd_batch_begin(batch, rows));
    OK(kd_batch_set(batch, "inputs", &xs, NULL));
    return model;
}

static void follows(kd_model *model, const double *logits, const double *gradient)
{
    kd_array z, g, dz;
    float weights[64];
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "logits", &z));
    int64_t count = kd_array_count(&z);
    for (int64_t i = 0; i < count; i++) {
        NEAR(((float *)z.data)[i], logits[i], 2e-6);
        weights[i] = (float)sin((double)i);
    }
    dz = z;
    dz.data = weights;
    OK(kd_model_add_output_gradient(model, "logits", &dz));
    OK(kd_model_backward(model));
    OK(kd_model_gradients(model, &g));
    for (int64_t i = 0; i < g.dims[0]; i++) NEAR(((float *)g.data)[i], gradient[i], 5e-6);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN)); /* a second pass adds */
    OK(kd_model_add_output_gradient(model, "logits", &dz));
    OK(kd_model_backward(model));
    for (int64_t i = 0; i < g.dims[0]; i++) NEAR(((float *)g.data)[i], 2 * gradient[i], 1e-5);
    kd_model_free(model);
}

START_TEST(outputs_and_gradients_follow_pytorch)
{
    static const struct {
        const char *act;
        const double *logits, *gradient;
    } mlps[] = { { "relu", golden_mlp_relu_logits, golden_mlp_relu_gradient },
                 { "gelu", golden_mlp_gelu_logits, golden_mlp_gelu_gradient },
                 { "tanh", golden_mlp_tanh_logits, golden_mlp_tanh_gradient },
                 { "sigmoid", golden_mlp_sigmoid_logits, golden_mlp_sigmoid_gradient } };
    float x[3 * 128];
    char config[200];
    for (int i = 0; i < 4; i++) {
        snprintf(config, sizeof config,
                 "{\"model_type\":\"mlp\",\"input_size\":5,\"hidden_sizes\":[7,4],\"num_labels\":3,"
                 "\"hidden_act\":\"%s\"}",
                 mlps[i].act);
        follows(golden_model(config, 4, 1, (const int64_t[]){ 5 }, x), mlps[i].logits,
                mlps[i].gradient);
    }
    follows(golden_model(CNN, 3, 3, (const int64_t[]){ 2, 8, 8 }, x), golden_cnn_logits,
            golden_cnn_gradient);
}
END_TEST

/* sum of logits * sin(n) + sum of hidden.0 * cos(n) */
static double objective(kd_model *model)
{
    kd_array z, h;
    double sum = 0;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "logits", &z));
    OK(kd_model_output(model, "hidden.0", &h));
    for (int64_t i = 0; i < kd_array_count(&z); i++) sum += ((float *)z.data)[i] * sin((double)i);
    for (int64_t i = 0; i < kd_array_count(&h); i++) sum += ((float *)h.data)[i] * cos((double)i);
    return sum;
}

static void add_weights(kd_model *model, const char *name, double (*f)(double))
{
    kd_array out, gradient;
    OK(kd_model_output(model, name, &out));
    int64_t count = kd_array_count(&out);
    float *weights = malloc((size_t)count * 4);
    for (int64_t i = 0; i < count; i++) weights[i] = (float)f((double)i);
    gradient = out;
    gradient.data = weights;
    OK(kd_model_add_output_gradient(model, name, &gradient));
    free(weights);
}

START_TEST(gradients_of_two_outputs_match_central_differences)
{
    float x[3 * 128];
    kd_array p, g;
    /* smooth everywhere but where a maximum moves; CNN with its ReLU is compared with PyTorch
     * above */
    const char *configs[] = {
        "{\"model_type\":\"sequential\",\"input_shape\":[2,8,8],\"layers\":[{\"type\":\"conv2d\","
        "\"channels\":3,\"kernel_size\":3,"
        "\"activation\":\"sigmoid\"},{\"type\":\"max_pool2d\",\"kernel_size\":3,\"stride\":2,"
        "\"padding\":1},{\"type\":\"conv2d\",\"channels\":4,"
        "\"kernel_size\":2,\"padding\":1,\"activation\":\"gelu\"},{\"type\":\"linear\",\"units\":3}"
        "]}",
        "{\"model_type\":\"sequential\",\"input_shape\":[128],\"layers\":[{\"type\":\"linear\","
        "\"units\":9,\"activation\":\"gelu\"},"
        "{\"type\":\"linear\",\"units\":4,\"activation\":\"tanh\"},{\"type\":\"linear\",\"units\":"
        "2}]}"
    };
    kd_model *model = golden_model(configs[_i], 3, _i ? 1 : 3,
                                   _i ? (const int64_t[]){ 128 } : (const int64_t[]){ 2, 8, 8 }, x);
    objective(model);
    add_weights(model, "logits", sin);
    add_weights(model, "hidden.0", cos);
    OK(kd_model_backward(model));
    OK(kd_model_parameters(model, &p));
    OK(kd_model_gradients(model, &g));
    for (int64_t i = 0; i < p.dims[0]; i += 1 + p.dims[0] / 60) {
        float *at = (float *)p.data + i, keep = *at;
        *at = keep + 1e-3f;
        double up = objective(model);
        *at = keep - 1e-3f;
        double down = objective(model);
        *at = keep;
        NEAR(((float *)g.data)[i], (up - down) / 2e-3, 5e-3 * (1 + fabs(((float *)g.data)[i])));
    }
    kd_model_free(model);
}
END_TEST

START_TEST(dropout_keeps_its_share_and_its_mask)
{
    kd_model *model;
    kd_array x, z, g, ones;
    static float in[100 * 400], weights[100 * 400];
    for (int i = 0; i < 40000; i++) in[i] = weights[i] = 1;
    OK(kd_model_create(&model, ctx,
                       "{\"model_type\":\"sequential\",\"input_shape\":[400],\"layers\":[{\"type\":"
                       "\"linear\",\"units\":400},"
                       "{\"type\":\"dropout\",\"p\":0.3}]}",
                       NULL));
    OK(kd_model_tensor(model, 0, NULL, &z));
    memset(z.data, 0, 400 * 400 * 4);
    OK(kd_model_tensor(model, 1, NULL, &z));
    for (int i = 0; i < 400; i++) ((float *)z.data)[i] = 1;
    OK(kd_array_init(&x, in, KD_FLOAT32, 2, (const int64_t[]){ 100, 400 }));
    OK(kd_batch_begin(batch, 100));
    OK(kd_batch_set(batch, "inputs", &x, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "logits", &z));
    double kept = 0;
    for (int i = 0; i < 40000; i++) {
        float y = ((float *)z.data)[i];
        ck_assert(y == 0 || fabs(y - 1 / 0.7) < 1e-5);
        kept += y > 0;
    }
    NEAR(kept / 40000, 0.7, 4 * sqrt(0.21 / 40000));
    double per_column[400] = { 0 };
    for (int i = 0; i < 40000; i++) per_column[i % 400] += ((float *)z.data)[i];
    ones = x;
    ones.data = weights;
    OK(kd_model_add_output_gradient(model, "logits", &ones));
    OK(kd_model_backward(model)); /* bias gradient: the same mask */
    OK(kd_model_tensor_gradient(model, 1, &g));
    for (int i = 0; i < 400; i++) NEAR(((float *)g.data)[i], per_column[i], 1e-3);
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "logits", &z));
    for (int i = 0; i < 40000; i++) ck_assert_float_eq(((float *)z.data)[i], 1);
    kd_model_free(model);
}
END_TEST

START_TEST(a_folder_holds_what_was_saved)
{
    kd_model *model, *again;
    kd_array a, b;
    const char *folder = scratch_path("model"), *config;
    OK(kd_model_create(&model, ctx, CNN, NULL));
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&again, ctx, folder, NULL));
    OK(kd_model_parameters(model, &a));
    OK(kd_model_parameters(again, &b));
    ck_assert_int_eq(memcmp(a.data, b.data, (size_t)a.dims[0] * 4), 0);
    OK(kd_model_config(again, &config));
    ck_assert_str_eq(config, CNN);
    kd_model_free(again);

    /* A file that was cut, or changed, or has other tensors: a message, never a model. */
    char path[600];
    size_t size;
    again = NULL;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    char *bytes = read_whole(path, &size);
    for (size_t cut = 0; cut < size; cut += size / 37 + 1) {
        write_file(path, bytes, cut);
        ck_assert_int_eq(kd_model_load(&again, ctx, folder, NULL), KD_ERR_FORMAT);
    }
    char *name = strstr(bytes + 8, "layers.2");
    ck_assert_ptr_nonnull(name);
    name[7] = '9';
    write_file(path, bytes, size);
    FAILS(kd_model_load(&again, ctx, folder, NULL), KD_ERR_MISMATCH, "no tensor 'layers.2");
    ck_assert_ptr_null(again);
    free(bytes);
    snprintf(path, sizeof path, "%s/config.json", folder);
    const char *huge =
        "{\"model_type\":\"mlp\",\"input_size\":900000,\"hidden_sizes\":[900000],\"num_labels\":2}";
    write_file(path, huge, strlen(huge));
    FAILS(kd_model_load(&again, ctx, folder, NULL), KD_ERR_FORMAT, "the config needs 81000");
    FAILS(kd_model_load(&again, ctx, scratch_path("nowhere"), NULL), KD_ERR_NOT_FOUND,
          "config.json");
    FAILS(kd_model_save(model, scratch_path("nowhere/deep"), NULL), KD_ERR_NOT_FOUND,
          "cannot make the folder");
    kd_model_free(model);
}
END_TEST

START_TEST(configs_are_checked_by_name)
{
    static const struct {
        const char *config, *message;
    } wrong[] = {
        { "{", "expected a key" },
        { "[1]", "expected an object" },
        { "{}", "model_type" },
        { "{\"model_type\":\"gpt\"}", "gpt" },
        { "{\"model_type\":\"mlp\",\"input_size\":4}", "num_labels" },
        { "{\"model_type\":\"mlp\",\"input_size\":4,\"num_labels\":2,\"color\":1}",
          "\"color\" is unknown" },
        { "{\"model_type\":\"mlp\",\"input_size\":-4,\"num_labels\":2}", "expected 1 to" },
        { "{\"model_type\":\"mlp\",\"input_size\":4,\"num_labels\":2,\"hidden_act\":\"swish\"}",
          "swish" },
        { "{\"model_type\":\"mlp\",\"input_size\":4,\"num_labels\":2,\"hidden_dropout_prob\":1}",
          "expected 0 to below 1" },
        { "{\"model_type\":\"mlp\",\"input_size\":4,\"input_size\":4,\"num_labels\":2}", "twice" },
        { "{\"model_type\":\"mlp\",\"input_size\":2000000000,\"hidden_sizes\":[2000000000],\"num_"
          "labels\":2}",
          "2^40" },
        { "{\"model_type\":\"sequential\",\"input_shape\":[4],\"layers\":[{\"type\":\"conv2d\","
          "\"channels\":1,\"kernel_size\":3}]}",
          "needs images" },
        { "{\"model_type\":\"sequential\",\"input_shape\":[1,4,4],\"layers\":[{\"type\":\"conv2d\","
          "\"channels\":1,\"kernel_size\":5}]}",
          "does not fit" },
        { "{\"model_type\":\"sequential\",\"input_shape\":[1,4,4],\"layers\":[{\"type\":\"magic\"}]"
          "}",
          "magic" },
        { "{\"model_type\":\"sequential\",\"input_shape\":[1,4,4],\"layers\":[]}", "layers" },
    };
    kd_model *model = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        kd_status status = kd_model_create(&model, ctx, wrong[i].config, NULL);
        ck_assert_msg(status == KD_ERR_CONFIG || status == KD_ERR_FORMAT, "%s: %d", wrong[i].config,
                      status);
        ck_assert_msg(strstr(kd_last_error(), wrong[i].message) != NULL, "%s: %s", wrong[i].config,
                      kd_last_error());
    }
    ck_assert_ptr_null(model);
}
END_TEST

START_TEST(memory_is_told_before_it_is_taken)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info plan = { .struct_size = sizeof plan };
    kd_context_info before = { .struct_size = sizeof before },
                    after = { .struct_size = sizeof after };
    kd_model *model;
    float x[3 * 128];
    model = golden_model(CNN, 3, 3, (const int64_t[]){ 2, 8, 8 }, x);
    /* the context's scratch for products is taken here */
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    add_weights(model, "logits", sin);
    OK(kd_model_backward(model));
    kd_model_free(model);
    o.max_rows = 3;
    OK(kd_model_estimate_memory(ctx, CNN, &o, &plan));
    OK(kd_context_get_info(ctx, &before));
    OK(kd_model_create(&model, ctx, CNN, &o));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    add_weights(model, "logits", sin);
    OK(kd_model_backward(model));
    OK(kd_context_get_info(ctx, &after));
    ck_assert_int_eq(plan.parameters, 3 * 18 + 3 + 4 * 27 + 4 + 48 + 3);
    double taken = (double)(after.bytes - before.bytes);
    ck_assert_msg(taken >= (double)plan.total_bytes && taken < (double)plan.total_bytes + 16384,
                  "told %lld, taken %.0f", (long long)plan.total_bytes, taken);
    kd_model_free(model);
}
END_TEST

START_TEST(calls_out_of_order_are_refused)
{
    kd_model *model, *frozen, *other;
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_array z;
    float x[3 * 128];
    model = golden_model(CNN, 3, 3, (const int64_t[]){ 2, 8, 8 }, x);
    FAILS(kd_model_backward(model), KD_ERR_STATE, "KD_MODE_TRAIN");
    FAILS(kd_model_output(model, "logits", &z), KD_ERR_STATE, "no forward pass");
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "logits", &z));
    FAILS(kd_model_output(model, "embedding", &z), KD_ERR_NOT_FOUND, "embedding");
    FAILS(kd_model_add_output_gradient(model, "logits", &z), KD_ERR_STATE, "KD_MODE_EVALUATE");
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    FAILS(kd_model_backward(model), KD_ERR_STATE, "for at least one output, got none");
    FAILS(kd_model_forward(model, batch, 7), KD_ERR_INVALID, "mode");
    o.frozen = 1;
    OK(kd_model_create(&frozen, ctx, CNN, &o));
    FAILS(kd_model_forward(frozen, batch, KD_MODE_TRAIN), KD_ERR_STATE, "frozen");
    FAILS(kd_model_gradients(frozen, &z), KD_ERR_STATE, "frozen");
    OK(kd_model_copy_parameters(frozen, model));
    OK(kd_model_create(&other, ctx, "{\"model_type\":\"mlp\",\"input_size\":4,\"num_labels\":2}",
                       NULL));
    FAILS(kd_model_copy_parameters(other, model), KD_ERR_MISMATCH, "the same tensors");
    FAILS(kd_model_forward(other, batch, KD_MODE_EVALUATE), KD_ERR_SHAPE,
          "expected 4 numbers a row, got 128");
    OK(kd_batch_begin(batch, 1));
    FAILS(kd_model_forward(other, batch, KD_MODE_EVALUATE), KD_ERR_NOT_FOUND, "'inputs'");
    kd_model_free(other);
    kd_model_free(frozen);
    kd_model_free(model);
}
END_TEST

START_TEST(seeds_decide_the_weights)
{
    kd_model *a, *b, *c;
    kd_array pa, pb, pc;
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    const char *config =
        "{\"model_type\":\"mlp\",\"input_size\":100,\"hidden_sizes\":[50],\"num_labels\":2}";
    o.seed = 5;
    OK(kd_model_create(&a, ctx, config, &o));
    OK(kd_model_create(&b, ctx, config, &o));
    o.seed = 6;
    OK(kd_model_create(&c, ctx, config, &o));
    OK(kd_model_parameters(a, &pa));
    OK(kd_model_parameters(b, &pb));
    OK(kd_model_parameters(c, &pc));
    ck_assert_int_eq(memcmp(pa.data, pb.data, (size_t)pa.dims[0] * 4), 0);
    ck_assert_int_ne(memcmp(pa.data, pc.data, (size_t)pa.dims[0] * 4), 0);
    double sum = 0, squares = 0;
    for (int i = 0; i < 5000; i++) {
        double w = ((float *)pa.data)[i];
        ck_assert(fabs(w) <= 0.1);
        sum += w;
        squares += w * w;
    }
    NEAR(sum / 5000, 0, 0.1 / sqrt(3) / sqrt(5000) * 4);
    NEAR(squares / 5000, 0.01 / 3, 2e-4);
    kd_model_free(a), kd_model_free(b), kd_model_free(c);
}
END_TEST

START_TEST(weights_that_are_no_numbers_are_told)
{
    kd_context *ctx = make_context(1);
    kd_model *model;
    kd_array p;
    int64_t count;
    const char *name;
    OK(kd_model_create(
        &model, ctx,
        "{\"model_type\":\"mlp\",\"input_size\":3,\"hidden_sizes\":[4],\"num_labels\":2}", NULL));
    OK(kd_model_count_nonfinite(model, &count, &name));
    ck_assert(count == 0 && name == NULL);
    OK(kd_model_parameters(model, &p));
    ((float *)p.data)[13] = NAN;
    ((float *)p.data)[20] = INFINITY;
    OK(kd_model_count_nonfinite(model, &count, &name));
    ck_assert_int_eq(count, 2);
    ck_assert_str_eq(name, "layers.0.bias");
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

Suite *model_suite(void)
{
    Suite *suite = suite_create("model");
    TCase *tests = tcase_create("model");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, outputs_and_gradients_follow_pytorch);
    tcase_add_loop_test(tests, gradients_of_two_outputs_match_central_differences, 0, 2);
    tcase_add_test(tests, dropout_keeps_its_share_and_its_mask);
    tcase_add_test(tests, a_folder_holds_what_was_saved);
    tcase_add_test(tests, configs_are_checked_by_name);
    tcase_add_test(tests, memory_is_told_before_it_is_taken);
    tcase_add_test(tests, calls_out_of_order_are_refused);
    tcase_add_test(tests, seeds_decide_the_weights);
    tcase_add_test(tests, weights_that_are_no_numbers_are_told);
    suite_add_tcase(suite, tests);
    return suite;
}
