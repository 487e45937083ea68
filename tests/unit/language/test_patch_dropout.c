/* Training passes that leave patches out: which stay, what is pushed back, and what stays as it
 * was. Gradients against central differences are in test_image.c. */
#include "imagekit.h"

#define HALF ",\"kd_patch_dropout\":0.5" /* two of four patches */
enum { WIDTH = 12, MOST_SAMPLES = 4 };

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

/* The same image so many times, with these numbers of samples; NULL: none. */
static kd_batch *numbered(const int64_t *numbers, int64_t samples)
{
    static float pixels[MOST_SAMPLES * PIXELS];
    const int64_t dims[] = { samples, 2, 7, 9 };
    kd_array x, n = KD_ARRAY_1D(numbers, KD_INT64, samples);
    kd_batch *made;
    for (int64_t i = 0; i < samples * PIXELS; i++) pixels[i] = (float)sin(0.7 * (i % PIXELS));
    OK(kd_array_init(&x, pixels, KD_FLOAT32, 4, dims));
    OK(kd_batch_create(&made, ctx, NULL));
    OK(kd_batch_begin(made, samples));
    OK(kd_batch_set(made, "pixels", &x, NULL));
    if (numbers) OK(kd_batch_set_samples(made, &n, NULL, NULL));
    return made;
}

/* What enters layer 0 in a training pass of a fresh model. */
static void embedded(const char *config, kd_batch *of, float *to, int64_t *rows)
{
    kd_model *model = encoder_made(ctx, config, NULL);
    kd_array h;
    OK(kd_model_forward(model, of, KD_MODE_TRAIN));
    OK(kd_model_output(model, "hidden.embedding", &h));
    *rows = h.dims[1];
    memcpy(to, h.data, (size_t)kd_array_count(&h) * sizeof *to);
    kd_model_free(model);
}

static int is_near(const float *a, const float *b)
{
    for (int i = 0; i < WIDTH; i++)
        if (fabs(a[i] - b[i]) > 1e-5) return 0;
    return 1;
}

/* The row of `all` that this one is, from `from` on. */
static int64_t find_row(const float *row, const float *all, int64_t rows, int64_t from)
{
    for (int64_t r = from; r < rows; r++)
        if (is_near(row, all + r * WIDTH)) return r;
    return -1;
}

START_TEST(tokens_stay_and_patches_keep_their_order_and_positions)
{
    static float some[IMAGES * DEIT_ROWS * WIDTH], all[IMAGES * DEIT_ROWS * WIDTH];
    int64_t kept, rows;
    embedded(DEIT(HALF), batch, some, &kept);
    embedded(DEIT(""), batch, all, &rows);
    ck_assert_int_eq(rows, DEIT_ROWS);
    ck_assert_int_eq(kept, 4);
    for (int64_t s = 0; s < IMAGES; s++) {
        const float *of = some + s * kept * WIDTH, *among = all + s * rows * WIDTH;
        int64_t at = -1;
        for (int64_t r = 0; r < kept; r++) {
            at = find_row(of + r * WIDTH, among, rows, at + 1);
            ck_assert_msg(at >= 0, "row %d is none of the image's, in order", (int)r);
            if (r < 2) ck_assert_int_eq(at, r);
        }
    }
}
END_TEST

START_TEST(a_sample_keeps_its_patches_whatever_the_batch)
{
    static const int64_t together[] = { 40, 7, 12, 9 }, alone[] = { 7 }, turned[] = { 9, 7 };
    static float a[MOST_SAMPLES * DEIT_ROWS * WIDTH], b[MOST_SAMPLES * DEIT_ROWS * WIDTH];
    const struct {
        const int64_t *numbers;
        int64_t samples, at, in_all;
    } cases[] = { { alone, 1, 0, 1 }, { turned, 2, 1, 1 }, { turned, 2, 0, 3 } };
    int64_t rows, differ = 0;
    kd_batch *all = numbered(together, 4);
    embedded(VIT(HALF), all, a, &rows);
    for (int i = 0; i < 3; i++) {
        kd_batch *other = numbered(cases[i].numbers, cases[i].samples);
        embedded(VIT(HALF), other, b, &rows);
        for (int64_t r = 0; r < rows; r++)
            ck_assert(is_near(a + (cases[i].in_all * rows + r) * WIDTH,
                              b + (cases[i].at * rows + r) * WIDTH));
        kd_batch_free(other);
    }
    for (int64_t s = 1; s < 4; s++) /* the images are the same: samples differ in patches alone */
        for (int64_t r = 0; r < rows; r++)
            differ += !is_near(a + r * WIDTH, a + (s * rows + r) * WIDTH);
    ck_assert_int_gt(differ, 0);
    kd_batch_free(all);
}
END_TEST

START_TEST(passes_draw_their_own_and_those_that_evaluate_keep_all)
{
    kd_model *model = encoder_made(ctx, VIT(HALF), NULL);
    kd_array h;
    double sum[8];
    int differ = 0;
    kd_output_info info = { .struct_size = sizeof info };
    OK(kd_model_get_output_info(model, "hidden", &info));
    ck_assert_int_eq(info.width, VIT_ROWS * WIDTH);
    for (int i = 0; i < 8; i++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        sum[i] = output_sum(model, "hidden.embedding");
        differ += i && sum[i] != sum[0];
        OK(kd_model_output(model, "hidden", &h));
        ck_assert_int_eq(h.dims[1], 3);
        OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
        OK(kd_model_output(model, "hidden", &h));
        ck_assert_int_eq(h.dims[1], VIT_ROWS);
    }
    ck_assert_int_gt(differ, 2);
    kd_model *whole = encoder_made(ctx, VIT(""), NULL);
    OK(kd_model_forward(whole, batch, KD_MODE_EVALUATE));
    ck_assert(output_sum(whole, "hidden") == output_sum(model, "hidden"));
    kd_model_free(whole);
    kd_model_free(model);
}
END_TEST

/* How often each patch stays: (1 - p) N of N, each as often as the others. */
START_TEST(every_patch_stays_as_often_as_the_others)
{
    static float all[DEIT_ROWS * WIDTH], some[MOST_SAMPLES * DEIT_ROWS * WIDTH];
    int64_t rows, kept, count[VIT_ROWS] = { 0 };
    kd_batch *one = numbered(NULL, 1);
    embedded(VIT(""), one, all, &rows);
    for (int64_t i = 0; i < 100; i++) {
        const int64_t numbers[] = { 4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3 };
        kd_batch *of = numbered(numbers, 4);
        embedded(VIT(HALF), of, some, &kept);
        for (int64_t r = 0; r < 4 * kept; r++) count[find_row(some + r * WIDTH, all, rows, 0)]++;
        kd_batch_free(of);
    }
    ck_assert_int_eq(count[0], 400);
    for (int r = 1; r < VIT_ROWS; r++) ck_assert(count[r] > 160 && count[r] < 240);
    kd_batch_free(one);
}
END_TEST

static float *trained(const char *config, const kd_model_options *o, int64_t *count)
{
    kd_model *model = encoder_made(ctx, config, o);
    kd_array g;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    push_back(model, "embedding");
    push_back(model, "hidden.0");
    OK(kd_model_backward(model));
    OK(kd_model_gradients(model, &g));
    *count = g.dims[0];
    float *to = malloc((size_t)*count * sizeof *to);
    memcpy(to, g.data, (size_t)*count * sizeof *to);
    kd_model_free(model);
    return to;
}

START_TEST(recomputing_and_threads_do_not_change_a_bit)
{
    static const char config[] = AST(HALF ",\"hidden_dropout_prob\":0.2");
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    int64_t n;
    float *whole = trained(config, NULL, &n);
    o.recompute = 1;
    float *again = trained(config, &o, &n);
    ck_assert_mem_eq(whole, again, (size_t)n * sizeof *whole);
    free(again);
    for (int32_t threads = 1; threads < 4; threads++) {
        teardown();
        ctx = make_context(threads);
        batch = image_batch(ctx);
        again = trained(config, NULL, &n);
        ck_assert_mem_eq(whole, again, (size_t)n * sizeof *whole);
        free(again);
    }
    free(whole);
}
END_TEST

/* A rehearsal has the patches of the pass that follows. */
START_TEST(a_rehearsal_has_the_patches_of_its_training_pass)
{
    kd_model *model = encoder_made(ctx, VIT(HALF), NULL);
    OK(kd_model_keep(model, "hidden", 1));
    for (int i = 0; i < 3; i++) {
        OK(kd_model_forward(model, batch, KD_MODE_REHEARSE));
        const double before = output_sum(model, "hidden");
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        ck_assert(before == output_sum(model, "hidden"));
    }
    kd_model_free(model);
}
END_TEST

static uint64_t bytes_now(void)
{
    kd_context_info info = { .struct_size = sizeof info };
    OK(kd_context_get_info(ctx, &info));
    return info.bytes;
}

START_TEST(fewer_patches_take_less_memory_as_was_told)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info all = { .struct_size = sizeof all }, half = all;
    o.max_rows = IMAGES;
    OK(kd_model_estimate_memory(ctx, VIT(""), &o, &all));
    OK(kd_model_estimate_memory(ctx, VIT(HALF), &o, &half));
    ck_assert_int_lt(half.activation_bytes, all.activation_bytes);
    kd_model *model = encoder_made(ctx, VIT(HALF), &o);
    for (int i = 0; i < 2; i++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        push_back(model, "hidden");
        OK(kd_model_backward(model));
        OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    }
    const uint64_t settled = bytes_now();
    for (int i = 0; i < 3; i++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        push_back(model, "hidden");
        OK(kd_model_backward(model));
        OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    }
    ck_assert_uint_eq(bytes_now(), settled);
    kd_model_free(model);
}
END_TEST

/* Terms over an image's rows meet a teacher of all patches. */
START_TEST(a_term_over_rows_says_that_patches_are_missing)
{
    static float rows[IMAGES * VIT_ROWS * WIDTH], sizes[IMAGES * WIDTH];
    const int64_t dims[] = { IMAGES, VIT_ROWS, WIDTH };
    kd_array t, p = KD_ARRAY_2D(sizes, KD_FLOAT32, IMAGES, WIDTH);
    kd_model *model = encoder_made(ctx, VIT(HALF), NULL);
    kd_targets *targets;
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result result = { .struct_size = sizeof result };
    for (int i = 0; i < IMAGES * VIT_ROWS * WIDTH; i++) rows[i] = weight_at(i);
    for (int i = 0; i < IMAGES * WIDTH; i++) sizes[i] = weight_at(i);
    OK(kd_array_init(&t, rows, KD_FLOAT32, 3, dims));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_targets_begin(targets, IMAGES));
    OK(kd_targets_set(targets, "hidden", &t, NULL));
    OK(kd_targets_set(targets, "pooled", &p, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = o.teacher_field = "hidden";
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    FAILS(kd_loss_backward(loss, model, batch, targets, NULL, &result), KD_ERR_SHAPE,
          "has 3 rows, the teacher's 'hidden' has 5");
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = o.teacher_field = "pooled"; /* of samples: as without */
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, batch, targets, NULL, &result));
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_model_free(model);
}
END_TEST

START_TEST(shares_that_are_none_are_refused)
{
    kd_model *model = NULL;
    FAILS(kd_model_create(&model, ctx, VIT(",\"kd_patch_dropout\":1"), NULL), KD_ERR_CONFIG,
          "kd_patch_dropout");
    FAILS(kd_model_create(&model, ctx, AST(",\"kd_patch_dropout\":-0.1"), NULL), KD_ERR_CONFIG,
          "kd_patch_dropout");
    FAILS(kd_model_create(&model, ctx, DEIT(",\"kd_patch_dropout\":\"a\""), NULL), KD_ERR_CONFIG,
          "kd_patch_dropout");
    kd_array h;
    model = encoder_made(ctx, VIT(",\"kd_patch_dropout\":0.9"), NULL); /* one stays */
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "hidden", &h));
    ck_assert_int_eq(h.dims[1], 2);
    kd_model_free(model);
}
END_TEST

Suite *patch_dropout_suite(void);
Suite *patch_dropout_suite(void)
{
    Suite *suite = suite_create("patch_dropout");
    TCase *tests = tcase_create("patch_dropout");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, tokens_stay_and_patches_keep_their_order_and_positions);
    tcase_add_test(tests, a_sample_keeps_its_patches_whatever_the_batch);
    tcase_add_test(tests, passes_draw_their_own_and_those_that_evaluate_keep_all);
    tcase_add_test(tests, every_patch_stays_as_often_as_the_others);
    tcase_add_test(tests, recomputing_and_threads_do_not_change_a_bit);
    tcase_add_test(tests, a_rehearsal_has_the_patches_of_its_training_pass);
    tcase_add_test(tests, fewer_patches_take_less_memory_as_was_told);
    tcase_add_test(tests, a_term_over_rows_says_that_patches_are_missing);
    tcase_add_test(tests, shares_that_are_none_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
