/* Transformers over patches: numbers against transformers, gradients against central differences,
 * ways of training. What is refused, and inputs, are in test_image_inputs.c; folders in
 * test_image_folders.c. */
#include "imagekit.h"

#include "../../goldens/image_goldens.h"

static kd_context *ctx;
static kd_batch *batch;
static void setup(void)
{
    ctx = make_context(2);
    batch = image_batch(ctx);
}
static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* ---- numbers of transformers ---- */

static void fill(kd_model *model)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array v;
        int sum = 0;
        OK(kd_model_tensor(model, i, &name, &v));
        for (const char *c = name; *c; c++) sum += *c;
        const int norm = strstr(name, "norm") && !strstr(name, ".bias");
        for (int64_t j = 0; j < kd_array_count(&v); j++)
            ((float *)v.data)[j] = (float)(0.5 * sin(0.37 * (double)j + sum % 100 / 10.0)) +
                                   (float)norm;
    }
}

static void compare(const kd_array *x, const double *expected, double tolerance)
{
    for (int64_t i = 0; i < kd_array_count(x); i++)
        NEAR((double)((float *)x->data)[i], expected[i], tolerance);
}

static void compare_gradients(kd_model *model, const char *const *names, const double *sums)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array g;
        double sum = 0;
        int32_t k = 0;
        OK(kd_model_tensor(model, i, &name, NULL));
        while (strcmp(names[k], name)) k++;
        OK(kd_model_tensor_gradient(model, i, &g));
        for (int64_t j = 0; j < kd_array_count(&g); j++)
            sum += (double)((float *)g.data)[j] * cos((double)j);
        ck_assert_msg(fabs(sum - sums[k]) <= 2e-4 * (1 + fabs(sums[k])), "%s: %g, expected %g",
                      name, sum, sums[k]);
    }
}

typedef struct {
    const char *config;
    int64_t rows;
    const double *hidden, *logits, *sums;
    const char *const *names;
} golden;

/* transformers' last hidden state is not normed. */
static void check_golden(const golden *g)
{
    static float wave[IMAGES * AST_ROWS * 12];
    float slopes[IMAGES * 3] = { 1, -2, 0.5f, 1, -2, 0.5f };
    const int64_t dims[] = { IMAGES, g->rows, 12 };
    kd_array h, z, w, s = KD_ARRAY_2D(slopes, KD_FLOAT32, IMAGES, 3);
    kd_model *model = encoder_made(ctx, g->config, NULL);
    fill(model);
    for (int i = 0; i < IMAGES * AST_ROWS * 12; i++) wave[i] = (float)sin(0.9 * i);
    OK(kd_array_init(&w, wave, KD_FLOAT32, 3, dims));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "hidden.1", &h));
    ck_assert_int_eq(h.rank, 3);
    ck_assert_mem_eq(h.dims, dims, sizeof dims);
    compare(&h, g->hidden, 2e-5);
    OK(kd_model_output(model, "logits", &z));
    ck_assert_int_eq(z.dims[0], IMAGES);
    compare(&z, g->logits, 2e-5);
    OK(kd_model_add_output_gradient(model, "hidden.1", &w));
    OK(kd_model_add_output_gradient(model, "logits", &s));
    OK(kd_model_backward(model));
    compare_gradients(model, g->names, g->sums);
    kd_model_free(model);
}

START_TEST(outputs_and_gradients_are_those_of_transformers)
{
    const golden goldens[] = {
        { VIT(VIT_CLASSES), VIT_ROWS, vit_hidden, vit_logits, vit_gradients, vit_names },
        { DEIT(TWO_HEADS), DEIT_ROWS, deit_hidden, deit_logits, deit_gradients, deit_names },
        { AST(AST_CLASSES), AST_ROWS, ast_hidden, ast_logits, ast_gradients, ast_names }
    };
    for (int i = 0; i < 3; i++) check_golden(&goldens[i]);
}
END_TEST

/* ---- gradients ---- */

/* The output's sum after one training pass of a fresh model, whose dropout draws the same masks,
 * with one number moved. */
static double moved(const char *config, const char *output, int32_t tensor, int64_t at, float by)
{
    kd_model *model = encoder_made(ctx, config, NULL);
    kd_array v;
    OK(kd_model_tensor(model, tensor, NULL, &v));
    ((float *)v.data)[at] += by;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    const double sum = output_sum(model, output);
    kd_model_free(model);
    return sum;
}

static void check_slopes(const char *config, const char *output)
{
    const float h = 4e-3f;
    kd_model *model = encoder_made(ctx, config, NULL);
    int32_t count;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    push_back(model, output);
    OK(kd_model_backward(model));
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i += getenv("KD_TEST_FEW") ? 5 : 1) {
        const char *name;
        kd_array g;
        OK(kd_model_tensor(model, i, &name, NULL));
        OK(kd_model_tensor_gradient(model, i, &g));
        for (int64_t at = kd_array_count(&g) / 3; at < kd_array_count(&g);
             at += 1 + kd_array_count(&g) / 2) {
            const double slope =
                (moved(config, output, i, at, h) - moved(config, output, i, at, -h)) / (2 * h);
            const double found = ((float *)g.data)[at];
            ck_assert_msg(fabs(slope - found) < 3e-3 + 0.02 * fabs(slope), "%s %s: %g, expected %g",
                          output, name, found, slope);
        }
    }
    kd_model_free(model);
}

START_TEST(gradients_are_those_of_central_differences)
{
    check_slopes(VIT(VIT_CLASSES), "logits");
    check_slopes(VIT(",\"qkv_bias\":false"), "hidden");
    check_slopes(VIT(",\"kd_normalize\":true,\"kd_dense\":[{\"out_features\":5}]"), "embedding");
    check_slopes(VIT(",\"kd_pooling\":\"mean\""), "pooled");
    check_slopes(DEIT(TWO_HEADS), "logits");
    check_slopes(DEIT(TWO_HEADS), "logits.distillation");
    check_slopes(DEIT(""), "hidden.embedding");
    check_slopes(AST(AST_CLASSES), "logits");
    check_slopes(AST(""), "pooled");
}
END_TEST

START_TEST(dropout_is_pushed_back_through_the_masks_that_were_drawn)
{
    check_slopes(VIT(",\"hidden_dropout_prob\":0.4" VIT_CLASSES), "logits");
    check_slopes(AST(",\"attention_probs_dropout_prob\":0.4" AST_CLASSES), "logits");
    check_slopes(DEIT(",\"hidden_dropout_prob\":0.4"), "hidden.embedding");
}
END_TEST

START_TEST(gradients_go_through_the_patches_that_are_kept)
{
    check_slopes(VIT(",\"kd_patch_dropout\":0.5" VIT_CLASSES), "logits");
    check_slopes(VIT(",\"kd_patch_dropout\":0.5,\"kd_pooling\":\"mean\""), "pooled");
    check_slopes(AST(",\"kd_patch_dropout\":0.3,\"attention_probs_dropout_prob\":0.4"), "pooled");
    check_slopes(DEIT(",\"kd_patch_dropout\":0.25,\"hidden_dropout_prob\":0.4"), "hidden");
}
END_TEST

/* Logits' gradient is both heads' halves, beside what each gets itself. */
START_TEST(the_mean_of_two_heads_shares_its_gradient)
{
    static const char config[] = DEIT(TWO_HEADS);
    static const char *const each[] = { "logits.class", "logits.distillation" };
    float half[IMAGES * 3];
    kd_array by_mean, by_heads, v, h = KD_ARRAY_2D(half, KD_FLOAT32, IMAGES, 3);
    kd_model *mean = encoder_made(ctx, config, NULL), *heads = encoder_made(ctx, config, NULL);
    for (int i = 0; i < IMAGES * 3; i++) half[i] = weight_at(i) / 2;
    OK(kd_model_forward(mean, batch, KD_MODE_TRAIN));
    OK(kd_model_forward(heads, batch, KD_MODE_TRAIN));
    double sum = 0;
    for (int i = 0; i < 2; i++) {
        sum += output_sum(heads, each[i]) / 2;
        OK(kd_model_add_output_gradient(heads, each[i], &h));
        OK(kd_model_output(heads, each[i], &v));
        ck_assert_int_eq(v.dims[0], IMAGES);
    }
    NEAR(output_sum(mean, "logits"), sum, 1e-6);
    push_back(mean, "logits");
    push_back(mean, "logits.class");
    OK(kd_model_add_output_gradient(heads, each[0], &h));
    OK(kd_model_add_output_gradient(heads, each[0], &h));
    OK(kd_model_backward(mean));
    OK(kd_model_backward(heads));
    OK(kd_model_gradients(mean, &by_mean));
    OK(kd_model_gradients(heads, &by_heads));
    for (int64_t i = 0; i < by_mean.dims[0]; i++)
        NEAR((double)((float *)by_mean.data)[i], (double)((float *)by_heads.data)[i], 2e-5);
    kd_model_free(mean);
    kd_model_free(heads);
}
END_TEST

/* ---- ways of training ---- */

/* All gradients after one pass, or the sum of two; the caller frees them. */
static float *gradients_with(const char *config, const kd_model_options *o, int passes,
                             int64_t *count)
{
    kd_model *model = encoder_made(ctx, config, o);
    kd_array g;
    for (int pass = 0; pass < passes; pass++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        push_back(model, "embedding");
        push_back(model, "hidden.0");
        OK(kd_model_backward(model));
    }
    OK(kd_model_gradients(model, &g));
    *count = g.dims[0];
    float *to = malloc((size_t)*count * sizeof *to);
    memcpy(to, g.data, (size_t)*count * sizeof *to);
    kd_model_free(model);
    return to;
}

#define DROPS ",\"hidden_dropout_prob\":0.2"

START_TEST(recomputing_gives_the_same_bits_and_16_bits_near_ones)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    int64_t n;
    float *whole = gradients_with(VIT(DROPS), NULL, 1, &n);
    for (int32_t layers = 0; layers < 2; layers++) {
        o.recompute = 1;
        o.recompute_layers = layers;
        float *again = gradients_with(VIT(DROPS), &o, 1, &n);
        ck_assert_mem_eq(whole, again, (size_t)n * sizeof *whole);
        free(again);
    }
    o = (kd_model_options)KD_MODEL_OPTIONS_INIT;
    o.activations = KD_BFLOAT16;
    float *halved = gradients_with(VIT(DROPS), &o, 1, &n);
    double error = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        error += pow((double)(halved[i] - whole[i]), 2);
        size += pow((double)whole[i], 2);
    }
    ck_assert_double_gt(error, 0);
    ck_assert_double_lt(error, 1e-4 * size);
    free(halved);
    free(whole);
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
        batch = image_batch(ctx);
        float *found = gradients_with(AST(DROPS), NULL, 1, &n);
        if (first) {
            ck_assert_mem_eq(first, found, (size_t)n * sizeof *first);
            free(found);
        } else first = found;
    }
    free(first);
}
END_TEST

START_TEST(gradients_add_up_until_a_step)
{
    int64_t n;
    float *once = gradients_with(DEIT(""), NULL, 1, &n),
          *twice = gradients_with(DEIT(""), NULL, 2, &n);
    for (int64_t i = 0; i < n; i++)
        NEAR((double)twice[i], 2 * (double)once[i], 1e-4 * (1 + fabs((double)once[i])));
    free(once);
    free(twice);
}
END_TEST

/* A pooler, and heads, that no output goes through, whatever was there before. */
START_TEST(what_no_output_uses_has_gradients_of_zero)
{
    static const char *const configs[] = { VIT(""), DEIT(TWO_HEADS), AST(AST_CLASSES) };
    for (int c = 0; c < 3; c++) {
        kd_model *model = encoder_made(ctx, configs[c], NULL);
        kd_array all, g;
        int32_t count;
        OK(kd_model_gradients(model, &all));
        for (int64_t i = 0; i < all.dims[0]; i++) ((float *)all.data)[i] = NAN;
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        push_back(model, "hidden.1");
        OK(kd_model_backward(model));
        OK(kd_model_tensor_count(model, &count));
        OK(kd_model_tensor_gradient(model, count - 1, &g));
        for (int64_t i = 0; i < g.dims[0]; i++) ck_assert(((float *)g.data)[i] == 0);
        for (int64_t i = 0; i < all.dims[0]; i++) ck_assert(isfinite(((float *)all.data)[i]));
        kd_model_free(model);
    }
}
END_TEST

START_TEST(adapters_train_and_the_trunk_stays)
{
    kd_model *model = encoder_made(ctx, VIT(""), NULL);
    kd_optimizer *optimizer;
    kd_array p;
    const char *name;
    int32_t count;
    OK(kd_model_add_lora(model, "*.query.weight", NULL));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    OK(kd_model_tensor(model, 0, NULL, &p));
    const float before = ((float *)p.data)[3];
    double sum[2];
    for (int step = 0; step < 2; step++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        sum[step] = output_sum(model, "hidden.1");
        push_back(model, "hidden.1");
        OK(kd_model_backward(model));
        OK(kd_optimizer_step(optimizer, 1e-2));
    }
    ck_assert_double_lt(sum[1], sum[0]);
    ck_assert(((float *)p.data)[3] == before);
    OK(kd_model_tensor_count(model, &count));
    OK(kd_model_tensor(model, count - 1, &name, NULL));
    ck_assert_str_eq(name, "encoder.layer.1.attention.attention.query.weight.lora_B");
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}
END_TEST

START_TEST(eight_bits_are_near_and_layers_may_share_gradients)
{
    static const char config[] = VIT(VIT_CLASSES);
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model *whole = encoder_made(ctx, config, NULL), *eight, *sharing;
    kd_optimizer *optimizer;
    o.frozen = 1;
    o.weights = KD_INT8;
    eight = encoder_made(ctx, config, &o);
    OK(kd_model_forward(whole, batch, KD_MODE_EVALUATE));
    OK(kd_model_forward(eight, batch, KD_MODE_EVALUATE));
    NEAR(output_sum(eight, "hidden"), output_sum(whole, "hidden"), 1);
    ck_assert(output_sum(eight, "hidden") != output_sum(whole, "hidden"));
    o = (kd_model_options)KD_MODEL_OPTIONS_INIT;
    o.shared_gradients = 1;
    sharing = encoder_made(ctx, config, &o);
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(optimizer, sharing));
    double sum[2];
    for (int step = 0; step < 2; step++) {
        OK(kd_model_forward(sharing, batch, KD_MODE_TRAIN));
        sum[step] = output_sum(sharing, "logits");
        OK(kd_optimizer_begin_step(optimizer, 1e-2));
        push_back(sharing, "logits");
        OK(kd_model_backward(sharing));
        OK(kd_optimizer_step(optimizer, 1e-2));
    }
    ck_assert_double_lt(sum[1], sum[0]);
    kd_optimizer_free(optimizer);
    kd_model_free(sharing);
    kd_model_free(eight);
    kd_model_free(whole);
}
END_TEST

/* ---- memory ---- */

#define LARGE                                                                                      \
    "{\"model_type\":\"vit\",\"image_size\":48,\"patch_size\":8,\"hidden_size\":96,"               \
    "\"num_hidden_layers\":2,\"num_attention_heads\":3,\"intermediate_size\":220}"

static int64_t memory_images(void) { return getenv("KD_TEST_FEW") ? 2 : 9; }

static void check_memory(const kd_model_options *o)
{
    static float pixels[9 * 3 * 48 * 48];
    const kd_array x = KD_ARRAY_2D(pixels, KD_FLOAT32, memory_images(), 3 * 48 * 48);
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    kd_model_memory_info info = { .struct_size = sizeof info };
    kd_context *own = make_context(2);
    kd_batch *its;
    kd_model *model;
    OK(kd_batch_create(&its, own, NULL));
    OK(kd_batch_begin(its, memory_images()));
    OK(kd_batch_borrow(its, "pixels", &x, NULL));
    OK(kd_context_get_info(own, &before));
    OK(kd_model_estimate_memory(own, LARGE, o, &info));
    model = encoder_made(own, LARGE, o);
    OK(kd_model_forward(model, its, o->frozen ? KD_MODE_EVALUATE : KD_MODE_TRAIN));
    if (!o->frozen) {
        push_back(model, "hidden");
        OK(kd_model_backward(model));
    }
    OK(kd_context_get_info(own, &after));
    const int64_t taken = (int64_t)(after.peak_bytes - before.bytes);
    ck_assert_msg(taken > info.total_bytes - 2000 && taken < info.total_bytes + 40000,
                  "%lld bytes were reported, %lld taken", (long long)info.total_bytes,
                  (long long)taken);
    kd_model_free(model);
    kd_batch_free(its);
    kd_context_free(own);
}

START_TEST(memory_is_known_before_it_is_taken)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.max_rows = memory_images();
    check_memory(&o);
    o.recompute = 1;
    check_memory(&o);
    o.recompute = 0;
    o.activations = KD_BFLOAT16;
    check_memory(&o);
    o.activations = KD_FLOAT32;
    o.frozen = 1;
    check_memory(&o);
    o.weights = KD_INT8;
    check_memory(&o);
    kd_model_memory_info info = { .struct_size = sizeof info };
    o.max_rows = (int64_t)1 << 60;
    FAILS(kd_model_estimate_memory(ctx, LARGE, &o, &info), KD_ERR_RANGE, "");
}
END_TEST

START_TEST(a_pass_allocates_nothing_after_the_first)
{
    kd_model *model = encoder_made(ctx, DEIT(TWO_HEADS), NULL);
    kd_context_info first = { .struct_size = sizeof first }, last = first;
    for (int pass = 0; pass < 300; pass++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        push_back(model, "embedding");
        push_back(model, "logits");
        push_back(model, "logits.distillation");
        push_back(model, "hidden.0");
        OK(kd_model_backward(model));
        if (!pass) OK(kd_context_get_info(ctx, &first));
    }
    OK(kd_context_get_info(ctx, &last));
    ck_assert_uint_eq(first.allocations, last.allocations);
    ck_assert_uint_eq(first.bytes, last.bytes);
    kd_model_free(model);
}
END_TEST

Suite *image_suite(void)
{
    Suite *suite = suite_create("image");
    TCase *tests = tcase_create("image");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, outputs_and_gradients_are_those_of_transformers);
    tcase_add_test(tests, gradients_are_those_of_central_differences);
    tcase_add_test(tests, dropout_is_pushed_back_through_the_masks_that_were_drawn);
    tcase_add_test(tests, gradients_go_through_the_patches_that_are_kept);
    tcase_add_test(tests, the_mean_of_two_heads_shares_its_gradient);
    tcase_add_test(tests, recomputing_gives_the_same_bits_and_16_bits_near_ones);
    tcase_add_test(tests, threads_do_not_change_a_bit);
    tcase_add_test(tests, gradients_add_up_until_a_step);
    tcase_add_test(tests, what_no_output_uses_has_gradients_of_zero);
    tcase_add_test(tests, adapters_train_and_the_trunk_stays);
    tcase_add_test(tests, eight_bits_are_near_and_layers_may_share_gradients);
    tcase_add_test(tests, memory_is_known_before_it_is_taken);
    tcase_add_test(tests, a_pass_allocates_nothing_after_the_first);
    suite_add_tcase(suite, tests);
    return suite;
}
