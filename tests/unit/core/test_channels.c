/* A mean and a deviation for each channel of a field: as torchvision's Normalize, through loaders,
 * new datasets and augmentation. */
#include "unit.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(2); }
static void teardown(void) { kd_context_free(ctx); }

enum { SAMPLES = 5, CHANNELS = 3, PLACES = 4 * 6 };
static uint8_t pixels[SAMPLES * CHANNELS * PLACES];
static const double mean[] = { 0.485, 0.456, 0.406 }, deviation[] = { 0.229, 0.224, 0.225 };

static kd_dataset *normalized(void)
{
    const int64_t dims[] = { SAMPLES, CHANNELS, 4, 6 };
    float scale[CHANNELS], shift[CHANNELS];
    kd_array x, a = KD_ARRAY_1D(scale, KD_FLOAT32, CHANNELS),
                b = KD_ARRAY_1D(shift, KD_FLOAT32, CHANNELS);
    kd_field_options o = KD_FIELD_OPTIONS_INIT;
    kd_dataset *data;
    for (int i = 0; i < SAMPLES * CHANNELS * PLACES; i++) pixels[i] = (uint8_t)(i * 7 + 3);
    for (int c = 0; c < CHANNELS; c++) {
        scale[c] = (float)(1 / deviation[c]);
        shift[c] = (float)(-mean[c] / deviation[c]);
    }
    OK(kd_array_init(&x, pixels, KD_UINT8, 4, dims));
    OK(kd_dataset_create(&data, ctx, NULL));
    o.scale = 1.0 / 255;
    o.channel_scale = &a;
    o.channel_shift = &b;
    OK(kd_dataset_add(data, "inputs", &x, &o));
    return data;
}

static double expected(int64_t sample, int64_t i)
{
    const int64_t c = i / PLACES;
    return (pixels[sample * CHANNELS * PLACES + i] / 255.0 - mean[c]) / deviation[c];
}

/* The first batch of a loader over all samples. */
static kd_batch *first_batch(kd_dataset *data, int32_t shift)
{
    kd_loader_options o = KD_LOADER_OPTIONS_INIT;
    kd_loader *loader;
    kd_batch *batch;
    o.shift = shift;
    OK(kd_loader_create(&loader, data, &o));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_loader_next(loader, batch));
    kd_loader_free(loader);
    return batch;
}

static void check_batch(kd_dataset *data, const int64_t *sample_of)
{
    kd_batch *batch = first_batch(data, 0);
    kd_array x, numbers;
    OK(kd_batch_field(batch, "inputs", &x, NULL));
    OK(kd_batch_samples(batch, &numbers, NULL, NULL));
    ck_assert_int_eq(x.dtype, KD_FLOAT32);
    for (int64_t s = 0; s < x.dims[0]; s++)
        for (int64_t i = 0; i < CHANNELS * PLACES; i++) {
            const int64_t n = ((int64_t *)numbers.data)[s];
            NEAR((double)((float *)x.data)[s * CHANNELS * PLACES + i],
                 expected(sample_of ? sample_of[n] : n, i), 1e-6);
        }
    kd_batch_free(batch);
}

START_TEST(channels_are_normalized_as_by_torchvision)
{
    kd_dataset *data = normalized(), *some, *both;
    int64_t chosen[] = { 4, 1, 1 }, all[] = { 4, 1, 1, 0, 1, 2, 3, 4 };
    kd_array indices = KD_ARRAY_1D(chosen, KD_INT64, 3);
    check_batch(data, NULL);
    OK(kd_dataset_select(&some, data, &indices));
    check_batch(some, chosen);
    kd_dataset *const parts[] = { some, data };
    OK(kd_dataset_concat(&both, parts, 2));
    check_batch(both, all);
    kd_dataset_free(both);
    kd_dataset_free(some);
    kd_dataset_free(data);
}
END_TEST

/* What an image leaves behind as it moves is a stored 0: black, in each channel. */
START_TEST(what_moves_in_is_a_stored_zero)
{
    kd_dataset *data = normalized();
    int64_t found[CHANNELS] = { 0 };
    for (int i = 0; i < SAMPLES * CHANNELS * PLACES; i++) pixels[i] = 255;
    kd_dataset *bright = normalized();
    memset(pixels, 255, sizeof pixels);
    kd_array stored;
    OK(kd_dataset_field(bright, "inputs", &stored, NULL));
    memset(stored.data, 255, SAMPLES * CHANNELS * PLACES);
    kd_batch *batch = first_batch(bright, 2);
    kd_array x;
    OK(kd_batch_field(batch, "inputs", &x, NULL));
    for (int64_t i = 0; i < SAMPLES * CHANNELS * PLACES; i++) {
        const int64_t c = i / PLACES % CHANNELS;
        const double v = ((float *)x.data)[i], black = -mean[c] / deviation[c],
                     white = (1 - mean[c]) / deviation[c];
        ck_assert(fabs(v - black) < 1e-5 || fabs(v - white) < 1e-5);
        found[c] += fabs(v - black) < 1e-5;
    }
    for (int c = 0; c < CHANNELS; c++) ck_assert_int_gt(found[c], 0);
    kd_batch_free(batch);
    kd_dataset_free(bright);
    kd_dataset_free(data);
}
END_TEST

START_TEST(gray_images_have_one_channel_and_labels_may_be_scaled)
{
    uint8_t gray[2 * 3 * 2] = { 0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110 };
    float scale[] = { 2 };
    const int64_t dims[] = { 2, 3, 2 };
    kd_array x, a = KD_ARRAY_1D(scale, KD_FLOAT32, 1), found;
    kd_field_options o = KD_FIELD_OPTIONS_INIT;
    kd_dataset *data;
    OK(kd_array_init(&x, gray, KD_UINT8, 3, dims));
    OK(kd_dataset_create(&data, ctx, NULL));
    o.channel_scale = &a;
    OK(kd_dataset_add(data, "numbers", &x, &o)); /* no integers any more */
    kd_batch *batch = first_batch(data, 0);
    OK(kd_batch_field(batch, "numbers", &found, NULL));
    ck_assert_int_eq(found.dtype, KD_FLOAT32);
    double sum = 0;
    for (int i = 0; i < 12; i++) sum += (double)((float *)found.data)[i];
    NEAR(sum, 2 * 660, 1e-3);
    kd_batch_free(batch);
    kd_dataset_free(data);
}
END_TEST

START_TEST(channels_that_do_not_fit_are_refused)
{
    kd_dataset *data = normalized(), *plain, *both;
    float numbers[] = { 1, 2, NAN };
    const int64_t dims[] = { SAMPLES, CHANNELS, 4, 6 };
    kd_array x, two = KD_ARRAY_1D(numbers, KD_FLOAT32, 2),
                three = KD_ARRAY_1D(numbers, KD_FLOAT32, 3);
    kd_field_options o = KD_FIELD_OPTIONS_INIT;
    OK(kd_array_init(&x, pixels, KD_UINT8, 4, dims));
    o.channel_shift = &two;
    FAILS(kd_dataset_add(data, "other", &x, &o), KD_ERR_SHAPE, "channel_shift");
    o.channel_shift = NULL;
    o.channel_scale = &three;
    FAILS(kd_dataset_borrow(data, "other", &x, &o), KD_ERR_RANGE, "channel_scale[2]");
    OK(kd_dataset_create(&plain, ctx, NULL));
    o = (kd_field_options)KD_FIELD_OPTIONS_INIT;
    o.scale = 1.0 / 255;
    OK(kd_dataset_add(plain, "inputs", &x, &o));
    kd_dataset *const parts[] = { data, plain };
    FAILS(kd_dataset_concat(&both, parts, 2), KD_ERR_SHAPE, "channel_scale");
    kd_dataset_free(plain);
    kd_dataset_free(data);
}
END_TEST

Suite *channels_suite(void);
Suite *channels_suite(void)
{
    Suite *suite = suite_create("channels");
    TCase *tests = tcase_create("channels");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, channels_are_normalized_as_by_torchvision);
    tcase_add_test(tests, what_moves_in_is_a_stored_zero);
    tcase_add_test(tests, gray_images_have_one_channel_and_labels_may_be_scaled);
    tcase_add_test(tests, channels_that_do_not_fit_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
