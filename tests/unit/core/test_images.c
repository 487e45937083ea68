/* Networks of images: batch norm, groups, means, sums of branches. tests/property compares random
 * ones with torch. */
#include "run.h"
#include "unit.h"

enum { ROWS = 6, PIXELS = 36 };

static kd_context *ctx;
static kd_batch *batch;
static float images[ROWS * PIXELS];

static void setup(void)
{
    kd_array x;
    ctx = make_context(2);
    OK(kd_batch_create(&batch, ctx, NULL));
    for (int i = 0; i < ROWS * PIXELS; i++) images[i] = (float)sin(0.7 * i + i / PIXELS);
    OK(kd_array_init(&x, images, KD_FLOAT32, 4, (const int64_t[]){ ROWS, 1, 6, 6 }));
    OK(kd_batch_begin(batch, ROWS));
    OK(kd_batch_set(batch, "inputs", &x, NULL));
}
static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static kd_model *make(const char *config, int32_t frozen)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model *model;
    o.frozen = frozen;
    OK(kd_model_create(&model, ctx, config, &o));
    return model;
}

static float *values_of(kd_model *model, const char *tensor)
{
    const char *name;
    kd_array values;
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        OK(kd_model_tensor(model, i, &name, &values));
        if (!strcmp(name, tensor)) return values.data;
    }
    ck_abort_msg("no tensor %s", tensor);
}

#define NORM                                                                                       \
    "{\"model_type\":\"sequential\",\"input_shape\":[1,6,6],\"layers\":["                          \
    "{\"type\":\"batch_norm2d\",\"momentum\":0.25,\"eps\":0.001}]}"

START_TEST(running_statistics_are_of_every_training_pass)
{
    kd_model *model = make(NORM, 0);
    kd_array y;
    double mean = 0, variance = 0;
    const int n = ROWS * PIXELS;
    for (int i = 0; i < n; i++) mean += images[i] / (double)n;
    for (int i = 0; i < n; i++) variance += pow(images[i] - mean, 2) / n;
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE)); /* changes nothing: mean 0, variance 1 */
    OK(kd_model_output(model, "logits", &y));
    NEAR(((float *)y.data)[5], images[5] / sqrt(1.001), 1e-6);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "logits", &y));
    NEAR(((float *)y.data)[5], (images[5] - mean) / sqrt(variance + 1e-3), 1e-5);
    NEAR(*values_of(model, "layers.0.running_mean"), 0.25 * mean, 1e-7);
    NEAR(*values_of(model, "layers.0.running_var"), 0.75 + 0.25 * variance * n / (n - 1), 1e-6);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN)); /* a micro-batch more, a step more of them */
    NEAR(*values_of(model, "layers.0.running_mean"), 0.4375 * mean, 1e-7);
    kd_model_free(model);
}
END_TEST

START_TEST(no_optimizer_moves_running_statistics)
{
    static run_parts r;
    memset(&r, 0, sizeof r);
    r.config = RUN_IMAGES;
    OK(run_make(&r, ctx));
    OK(run_steps(&r, 2));
    OK(kd_model_freeze(r.model, "*", 0));
    float *mean = values_of(r.model, "layers.1.running_mean"), before[4], *weight;
    kd_array g;
    weight = values_of(r.model, "layers.1.weight");
    OK(kd_loader_next(r.loader, r.batch));
    OK(kd_model_forward(r.model, r.batch, KD_MODE_TRAIN));
    memcpy(before, mean, sizeof before);
    const float first = *weight;
    OK(kd_model_zero_gradients(r.model));
    OK(kd_model_gradients(r.model, &g));
    for (int64_t i = 0; i < g.dims[0]; i++) ((float *)g.data)[i] = 1;
    OK(kd_optimizer_step(r.optimizer, 0.1));
    ck_assert_int_eq(memcmp(before, mean, sizeof before), 0);
    ck_assert(*weight != first);
    run_free(&r);
}
END_TEST

/* sum of logits * sin(n), in training */
static double objective(kd_model *model)
{
    kd_array z;
    double sum = 0;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "logits", &z));
    for (int64_t i = 0; i < kd_array_count(&z); i++) sum += ((float *)z.data)[i] * sin((double)i);
    return sum;
}

/* Smooth everywhere. */
#define SMOOTH                                                                                     \
    "{\"model_type\":\"sequential\",\"input_shape\":[1,6,6],\"layers\":["                          \
    "{\"type\":\"conv2d\",\"channels\":4,\"kernel_size\":[3,2],\"stride\":[1,2],"                  \
    "\"padding\":[1,0]},{\"type\":\"batch_norm2d\",\"activation\":\"silu\"},"                      \
    "{\"type\":\"conv2d\",\"channels\":4,\"kernel_size\":3,\"padding\":1,\"groups\":2},"           \
    "{\"type\":\"add\",\"from\":\"hidden.1\",\"activation\":\"gelu\"},"                            \
    "{\"type\":\"avg_pool2d\",\"kernel_size\":2},{\"type\":\"linear\",\"units\":3}]}"

START_TEST(gradients_match_central_differences)
{
    kd_array p, g, z;
    float weights[ROWS * 3];
    kd_model *model = make(SMOOTH, 0);
    objective(model);
    OK(kd_model_output(model, "logits", &z));
    for (int i = 0; i < ROWS * 3; i++) weights[i] = (float)sin(i);
    z.data = weights;
    OK(kd_model_add_output_gradient(model, "logits", &z));
    OK(kd_model_backward(model));
    OK(kd_model_parameters(model, &p));
    OK(kd_model_gradients(model, &g));
    for (int64_t i = 0; i < p.dims[0]; i++) {
        float *at = (float *)p.data + i, keep = *at;
        *at = keep + 4e-3f;
        const double up = objective(model);
        *at = keep - 4e-3f;
        const double down = objective(model);
        *at = keep;
        NEAR(((float *)g.data)[i], (up - down) / 8e-3, 5e-3 * (1 + fabs(((float *)g.data)[i])));
    }
    kd_model_free(model);
}
END_TEST

static void push_back(kd_model *model)
{
    kd_array z;
    float slopes[ROWS * 3];
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "logits", &z));
    for (int i = 0; i < ROWS * 3; i++) slopes[i] = (float)cos(i);
    z.data = slopes;
    OK(kd_model_add_output_gradient(model, "logits", &z));
    OK(kd_model_backward(model));
}

/* What is trained has the gradients of a model without frozen layers, what is frozen none, below
 * the lowest trained layer and above it. */
START_TEST(frozen_layers_get_no_gradients)
{
    static const char *const frozen[] = { "layers.0.*",      "layers.[01]*", "layers.1.*",
                                          "layers.2.weight", "layers.5.*",   "*" };
    for (size_t k = 0; k < sizeof frozen / sizeof *frozen; k++) {
        kd_model *model = make(SMOOTH, 0), *free_one = make(SMOOTH, 0);
        int32_t count;
        push_back(model); /* old gradients everywhere */
        push_back(free_one);
        OK(kd_model_zero_gradients(free_one));
        OK(kd_model_zero_gradients(model));
        push_back(model);
        if (k == 1) {
            OK(kd_model_freeze(model, "layers.0.*", 1));
            OK(kd_model_freeze(model, "layers.1.*", 1));
        } else OK(kd_model_freeze(model, frozen[k], 1));
        push_back(model); /* the second of two that are added up */
        push_back(free_one);
        push_back(free_one);
        OK(kd_model_tensor_count(model, &count));
        for (int32_t i = 0; i < count; i++) {
            const char *name;
            kd_array g, f;
            OK(kd_model_tensor(model, i, &name, NULL));
            OK(kd_model_tensor_gradient(model, i, &g));
            OK(kd_model_tensor_gradient(free_one, i, &f));
            const int is_frozen = k == 1 ? name[7] < '2'
                                         : k == 5 ||
                                               !strncmp(name, frozen[k], strcspn(frozen[k], "*"));
            for (int64_t j = 0; j < kd_array_count(&g); j++)
                ck_assert_msg(((float *)g.data)[j] == (is_frozen ? 0 : ((float *)f.data)[j]),
                              "%s: %s", frozen[k], name);
        }
        kd_model_free(free_one);
        kd_model_free(model);
    }
}
END_TEST

static kd_model *trained(int32_t threads, kd_context **own)
{
    static run_parts r;
    memset(&r, 0, sizeof r);
    r.config = RUN_IMAGES;
    *own = make_context(threads);
    OK(run_make(&r, *own));
    OK(run_steps(&r, 4));
    kd_model *model = r.model;
    r.model = NULL;
    run_free(&r);
    return model;
}

START_TEST(threads_do_not_change_bits)
{
    kd_array a, b;
    kd_context *contexts[2];
    kd_model *one = trained(1, &contexts[0]), *three = trained(3, &contexts[1]);
    OK(kd_model_parameters(one, &a));
    OK(kd_model_parameters(three, &b));
    ck_assert_int_eq(memcmp(a.data, b.data, (size_t)a.dims[0] * 4), 0);
    kd_model_free(one);
    kd_model_free(three);
    kd_context_free(contexts[0]);
    kd_context_free(contexts[1]);
}
END_TEST

START_TEST(a_frozen_folder_folds_its_norms)
{
    kd_context *own;
    kd_model *model = trained(2, &own), *frozen;
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_array z, kept, hidden;
    float folded[ROWS * 3];
    const char *folder = scratch_path("images");
    o.frozen = 1;
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&frozen, own, folder, &o));
    ck_assert_int_eq(memcmp(values_of(model, "layers.3.running_var"),
                            values_of(frozen, "layers.3.running_var"), 16),
                     0);
    OK(kd_model_forward(frozen, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(frozen, "logits", &z));
    memcpy(folded, z.data, sizeof folded);
    FAILS(kd_model_output(frozen, "hidden.0", &hidden), KD_ERR_NOT_FOUND, "kd_model_keep");
    OK(kd_model_keep(frozen, "hidden.0", 1)); /* then this one is not folded */
    OK(kd_model_forward(frozen, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(frozen, "logits", &kept));
    OK(kd_model_output(frozen, "hidden.0", &hidden));
    for (int i = 0; i < ROWS * 3; i++) NEAR(((float *)kept.data)[i], folded[i], 1e-5);
    *values_of(frozen, "layers.1.running_mean") += 1; /* what is folded follows the tensors */
    OK(kd_model_keep(frozen, "hidden.0", 0));
    OK(kd_model_forward(frozen, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(frozen, "logits", &z));
    ck_assert_int_ne(memcmp(folded, z.data, sizeof folded), 0);
    kd_model_free(frozen);
    kd_model_free(model);
    kd_context_free(own);
}
END_TEST

START_TEST(a_layer_that_two_read_gets_both_gradients)
{
    kd_model *model = make("{\"model_type\":\"sequential\",\"input_shape\":[1,6,6],\"layers\":["
                           "{\"type\":\"linear\",\"units\":2,\"name\":\"a\"},"
                           "{\"type\":\"add\",\"from\":\"a\"}]}",
                           0);
    kd_array z, g;
    float ones[2 * ROWS];
    for (int i = 0; i < 2 * ROWS; i++) ones[i] = 1;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "logits", &z));
    z.data = ones;
    OK(kd_model_add_output_gradient(model, "logits", &z));
    OK(kd_model_backward(model));
    OK(kd_model_tensor_gradient(model, 1, &g));
    NEAR(((float *)g.data)[0], 2 * ROWS, 0);
    kd_model_free(model);
}
END_TEST

#define LAYERS(list) "{\"model_type\":\"sequential\",\"input_shape\":[4,6,6],\"layers\":[" list "]}"

START_TEST(what_does_not_fit_is_refused_by_name)
{
    static const struct {
        const char *config, *message;
    } wrong[] = {
        { LAYERS("{\"type\":\"conv2d\",\"channels\":6,\"kernel_size\":3,\"groups\":4}"),
          "groups: expected a divisor of 4 channels in and 6 out, got 4" },
        { LAYERS("{\"type\":\"conv2d\",\"channels\":6,\"kernel_size\":3,\"groups\":3}"), "got 3" },
        { LAYERS("{\"type\":\"conv2d\",\"channels\":6,\"kernel_size\":3,\"name\":\"a\"},"
                 "{\"type\":\"max_pool2d\",\"kernel_size\":2},{\"type\":\"add\",\"from\":\"a\"}"),
          "add: expected two of one shape, the layer before gives [6, 2, 2] and \"a\" [6, 4, 4]" },
        { LAYERS("{\"type\":\"add\"}"), "the key \"from\" is missing" },
        { LAYERS("{\"type\":\"flatten\"},{\"type\":\"add\",\"from\":\"b\"}"),
          "no earlier layer is named \"b\"" },
        { LAYERS("{\"type\":\"flatten\",\"name\":\"b\"},{\"type\":\"flatten\",\"name\":\"b\"}"),
          "\"b\" is layer 0" },
        { LAYERS("{\"type\":\"flatten\",\"name\":\"hidden.7\"}"), "not inputs or hidden.N" },
        { LAYERS("{\"type\":\"flatten\"},{\"type\":\"batch_norm2d\"}"), "use batch_norm1d" },
        { LAYERS("{\"type\":\"batch_norm1d\"}"), "gives images: use batch_norm2d" },
        { LAYERS("{\"type\":\"batch_norm2d\",\"momentum\":2}"), "momentum: expected a number" },
        { LAYERS("{\"type\":\"batch_norm2d\",\"eps\":0}"), "eps: expected a number" },
        { LAYERS("{\"type\":\"avg_pool2d\",\"kernel_size\":[2,2,2]}"),
          "expected a number or [height, width], got a list of 3" },
        { LAYERS("{\"type\":\"avg_pool2d\",\"kernel_size\":[2,7]}"), "does not fit" },
        { LAYERS("{\"type\":\"conv2d\",\"channels\":2,\"kernel_size\":[1,3],\"padding\":1}"),
          "padding: expected less than kernel_size 1, got 1" },
        { LAYERS("{\"type\":\"linear\",\"units\":2,\"activation\":\"mish\"}"), "hardswish" },
        { LAYERS("{\"type\":\"global_avg_pool2d\",\"kernel_size\":2}"), "unknown" },
        { LAYERS("{\"type\":\"max_pool2d\",\"kernel_size\":2,\"activation\":\"relu\"}"),
          "unknown" },
        { LAYERS("{\"type\":\"flatten\",\"units\":2}"), "unknown" },
        { LAYERS("{\"type\":\"dropout\",\"p\":0.1},{\"type\":\"dropout\"},"
                 "{\"type\":\"add\",\"from\":\"\"}"),
          "expected the name of an earlier layer" },
    };
    kd_model *model = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        FAILS(kd_model_create(&model, ctx, wrong[i].config, NULL), KD_ERR_CONFIG, wrong[i].message);
    kd_array x = KD_ARRAY_2D(images, KD_FLOAT32, 1, 4);
    model = make("{\"model_type\":\"sequential\",\"input_shape\":[4],\"layers\":["
                 "{\"type\":\"batch_norm1d\"}]}",
                 0);
    OK(kd_batch_begin(batch, 1));
    OK(kd_batch_set(batch, "inputs", &x, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_TRAIN), KD_ERR_SHAPE,
          "expects at least 2 numbers a channel, got 1");
    FAILS(kd_model_forward(model, batch, KD_MODE_REHEARSE), KD_ERR_UNSUPPORTED,
          "cannot be passed in parts");
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    kd_model_free(model);
}
END_TEST

/* A window as large as its image that begins before it is not the image. */
START_TEST(a_padded_window_of_the_images_size_is_not_the_image)
{
    static const char *const configs[] = {
        "{\"model_type\":\"sequential\",\"input_shape\":[1,4,4],\"layers\":["
        "{\"type\":\"avg_pool2d\",\"kernel_size\":4,\"padding\":1}]}",
        "{\"model_type\":\"sequential\",\"input_shape\":[1,4,4],\"layers\":["
        "{\"type\":\"avg_pool2d\",\"kernel_size\":4,\"padding\":1,\"count_include_pad\":false}]}"
    };
    static const double expected[] = { 45 / 16., 5 }; /* of the 3 x 3 numbers that it covers */
    float numbers[16];
    kd_array x = KD_ARRAY_2D(numbers, KD_FLOAT32, 1, 16), y;
    for (int i = 0; i < 16; i++) numbers[i] = (float)i;
    kd_model *model = make(configs[_i], 0);
    OK(kd_batch_begin(batch, 1));
    OK(kd_batch_set(batch, "inputs", &x, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "logits", &y));
    NEAR(*(const float *)y.data, expected[_i], 1e-6);
    kd_model_free(model);
}
END_TEST

START_TEST(memory_is_told_before_it_is_taken)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info plan = { .struct_size = sizeof plan };
    kd_context_info before = { .struct_size = sizeof before },
                    after = { .struct_size = sizeof after };
    kd_model *model = make(RUN_IMAGES, 0); /* the context's scratch for products is taken here */
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    kd_model_free(model);
    o.max_rows = 100 * ROWS; /* much beside the config and the list of layers */
    o.frozen = _i;
    OK(kd_model_estimate_memory(ctx, RUN_IMAGES, &o, &plan));
    OK(kd_context_get_info(ctx, &before));
    OK(kd_model_create(&model, ctx, RUN_IMAGES, &o));
    OK(kd_model_forward(model, batch, _i ? KD_MODE_EVALUATE : KD_MODE_TRAIN));
    OK(kd_context_get_info(ctx, &after));
    const double taken = (double)(after.bytes - before.bytes);
    ck_assert_msg(taken > 0.9 * (double)plan.total_bytes &&
                      taken < (double)plan.total_bytes + 32768,
                  "told %lld, taken %.0f", (long long)plan.total_bytes, taken);
    kd_model_free(model);
}
END_TEST

START_TEST(padding_beyond_all_memory_is_told)
{
    kd_model_memory_info plan = { .struct_size = sizeof plan };
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.max_rows = 1;
    FAILS(kd_model_estimate_memory(
              ctx,
              "{\"model_type\":\"sequential\",\"input_shape\":[1,1,2147483648],\"layers\":[{"
              "\"type\":\"conv2d\",\"channels\":1,\"kernel_size\":[2147483648,1],"
              "\"padding\":[2147483647,0],\"stride\":[2147483648,1]}]}",
              &o, &plan),
          KD_ERR_RANGE, "padded image");
}
END_TEST

Suite *images_suite(void)
{
    Suite *suite = suite_create("images");
    TCase *tests = tcase_create("images");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, running_statistics_are_of_every_training_pass);
    tcase_add_test(tests, no_optimizer_moves_running_statistics);
    tcase_add_test(tests, gradients_match_central_differences);
    tcase_add_test(tests, frozen_layers_get_no_gradients);
    tcase_add_test(tests, threads_do_not_change_bits);
    tcase_add_test(tests, a_frozen_folder_folds_its_norms);
    tcase_add_test(tests, a_layer_that_two_read_gets_both_gradients);
    tcase_add_test(tests, what_does_not_fit_is_refused_by_name);
    tcase_add_test(tests, padding_beyond_all_memory_is_told);
    tcase_add_loop_test(tests, a_padded_window_of_the_images_size_is_not_the_image, 0, 2);
    tcase_add_loop_test(tests, memory_is_told_before_it_is_taken, 0, 2);
    return suite;
}
