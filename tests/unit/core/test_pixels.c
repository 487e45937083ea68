/* Images that are resized and cut: numbers of Pillow, views, parts, threads, what is refused. */
#include "unit.h"

#include "../../goldens/pixel_goldens.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(2); }
static void teardown(void) { kd_context_free(ctx); }

enum { MOST = 64 * 64 * 3 };

static void fill(uint8_t *to, int64_t count)
{
    for (int64_t i = 0; i < count; i++) to[i] = (uint8_t)((i * i * 37 + 11 * i) % 256);
}

static kd_array image_of(void *data, int32_t dtype, int64_t height, int64_t width)
{
    const int64_t dims[] = { height, width, 3 };
    kd_array a;
    OK(kd_array_init(&a, data, dtype, 3, dims));
    return a;
}

typedef struct {
    int64_t from[2], to[2];
    int32_t resample;
    double left, top, right, bottom;
    const uint8_t *bytes;
    const float *floats;
} golden;

#define WHOLE 0, 0, 0, 0
static const golden goldens[] = {
    { { 9, 13 }, { 4, 5 }, KD_RESAMPLE_LANCZOS, WHOLE, resized_0, resized_floats_0 },
    { { 9, 13 }, { 4, 5 }, KD_RESAMPLE_BILINEAR, WHOLE, resized_1, resized_floats_1 },
    { { 9, 13 }, { 4, 5 }, KD_RESAMPLE_BICUBIC, WHOLE, resized_2, resized_floats_2 },
    { { 9, 13 }, { 4, 5 }, KD_RESAMPLE_BOX, WHOLE, resized_3, resized_floats_3 },
    { { 5, 4 }, { 7, 6 }, KD_RESAMPLE_LANCZOS, WHOLE, resized_4, resized_floats_4 },
    { { 5, 4 }, { 7, 6 }, KD_RESAMPLE_BICUBIC, WHOLE, resized_5, resized_floats_5 },
    { { 9, 13 }, { 3, 6 }, KD_RESAMPLE_BILINEAR, 1.5, 0.25, 11.75, 8, resized_6, resized_floats_6 },
};
#define GOLDENS ((int)(sizeof goldens / sizeof *goldens))

static kd_resize_options options_of(const golden *g)
{
    kd_resize_options o = KD_RESIZE_OPTIONS_INIT;
    o.resample = g->resample;
    o.left = g->left;
    o.top = g->top;
    o.right = g->right;
    o.bottom = g->bottom;
    return o;
}

START_TEST(bytes_are_those_of_pillow)
{
    static uint8_t pixels[MOST], made[MOST];
    for (int i = 0; i < GOLDENS; i++) {
        const golden *g = &goldens[i];
        const kd_resize_options o = options_of(g);
        kd_array from = image_of(pixels, KD_UINT8, g->from[0], g->from[1]),
                 to = image_of(made, KD_UINT8, g->to[0], g->to[1]);
        fill(pixels, kd_array_count(&from));
        OK(kd_image_resize(ctx, &from, &to, &o));
        ck_assert_mem_eq(made, g->bytes, (size_t)kd_array_count(&to));
    }
}
END_TEST

START_TEST(floats_are_those_of_its_mode_f)
{
    static uint8_t pixels[MOST];
    static float plane[MOST], made[MOST];
    for (int i = 0; i < GOLDENS; i++) {
        const golden *g = &goldens[i];
        const kd_resize_options o = options_of(g);
        kd_array from = KD_ARRAY_2D(plane, KD_FLOAT32, g->from[0], g->from[1]),
                 to = KD_ARRAY_2D(made, KD_FLOAT32, g->to[0], g->to[1]);
        fill(pixels, 3 * kd_array_count(&from));
        for (int64_t k = 0; k < kd_array_count(&from); k++) plane[k] = pixels[3 * k];
        OK(kd_image_resize(ctx, &from, &to, &o));
        for (int64_t k = 0; k < kd_array_count(&to); k++)
            NEAR((double)made[k], (double)g->floats[k], 1e-4);
    }
}
END_TEST

/* Planes of (channels, height, width), twice, as a view of (samples, height, width, channels); the
 * results go to planes as well. */
START_TEST(views_of_planes_are_images_too)
{
    static uint8_t pixels[9 * 13 * 3], planes[2 * 9 * 13 * 3], made[2 * 4 * 5 * 3];
    const int64_t dims[] = { 2, 9, 13, 3 }, small[] = { 2, 4, 5, 3 };
    kd_array from, to;
    fill(pixels, 9 * 13 * 3);
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < 9 * 13; i++)
            for (int c = 0; c < 3; c++)
                planes[(s * 3 + c) * 117 + i] =
                    (uint8_t)(s ? 255 - pixels[3 * i + c] : pixels[3 * i + c]);
    OK(kd_array_init(&from, planes, KD_UINT8, 4, dims));
    OK(kd_array_init(&to, made, KD_UINT8, 4, small));
    from.strides[0] = 351, from.strides[1] = 13, from.strides[2] = 1, from.strides[3] = 117;
    to.strides[0] = 60, to.strides[1] = 5, to.strides[2] = 1, to.strides[3] = 20;
    kd_resize_options o = KD_RESIZE_OPTIONS_INIT;
    o.resample = KD_RESAMPLE_BICUBIC;
    OK(kd_image_resize(ctx, &from, &to, &o));
    for (int i = 0; i < 20; i++)
        for (int c = 0; c < 3; c++) ck_assert_int_eq(made[c * 20 + i], resized_2[3 * i + c]);
}
END_TEST

START_TEST(many_images_and_threads_give_the_same_bits)
{
    enum { SAMPLES = 70 };
    static float images[SAMPLES * 40 * 30], once[SAMPLES * 17 * 33], made[SAMPLES * 17 * 33];
    const int64_t dims[] = { SAMPLES, 40, 30, 1 }, small[] = { SAMPLES, 17, 33, 1 };
    kd_array from, to;
    for (int i = 0; i < SAMPLES * 1200; i++) images[i] = (float)sin(0.37 * i);
    OK(kd_array_init(&from, images, KD_FLOAT32, 4, dims));
    for (int32_t threads = 1; threads < 9; threads += threads == 1 ? 1 : 3) {
        teardown();
        ctx = make_context(threads);
        OK(kd_array_init(&to, threads == 1 ? once : made, KD_FLOAT32, 4, small));
        OK(kd_image_resize(ctx, &from, &to, NULL));
        if (threads > 1) ck_assert_mem_eq(once, made, sizeof once);
    }
    kd_array one = KD_ARRAY_2D(images + 69 * 1200, KD_FLOAT32, 40, 30),
             alone = KD_ARRAY_2D(made, KD_FLOAT32, 17, 33);
    OK(kd_image_resize(ctx, &one, &alone, NULL));
    ck_assert_mem_eq(once + 69 * 17 * 33, made, 17 * 33 * sizeof *made);
}
END_TEST

/* Down first is across first of the image that is turned. */
START_TEST(down_first_changes_the_order)
{
    static uint8_t pixels[9 * 13], turned[9 * 13], made[20], other[20];
    kd_resize_options o = KD_RESIZE_OPTIONS_INIT, p = o;
    kd_array from = KD_ARRAY_2D(pixels, KD_UINT8, 9, 13), to = KD_ARRAY_2D(made, KD_UINT8, 4, 5),
             back = KD_ARRAY_2D(turned, KD_UINT8, 13, 9), out = KD_ARRAY_2D(other, KD_UINT8, 5, 4);
    fill(pixels, 9 * 13);
    for (int i = 0; i < 9 * 13; i++) turned[i % 13 * 9 + i / 13] = pixels[i];
    o.resample = p.resample = KD_RESAMPLE_LANCZOS;
    o.left = p.top = 1;
    o.right = p.bottom = 12;
    o.top = p.left = 0.5;
    o.bottom = p.right = 8;
    o.down_first = 1;
    OK(kd_image_resize(ctx, &from, &to, &o));
    OK(kd_image_resize(ctx, &back, &out, &p));
    for (int i = 0; i < 20; i++) ck_assert_int_eq(made[i], other[i % 5 * 4 + i / 5]);
}
END_TEST

START_TEST(the_middle_is_cut_or_stands_in_zeros)
{
    static uint8_t pixels[5 * 4], made[3 * 7];
    kd_array from = KD_ARRAY_2D(pixels, KD_UINT8, 5, 4), to = KD_ARRAY_2D(made, KD_UINT8, 3, 7);
    for (int i = 0; i < 20; i++) pixels[i] = (uint8_t)(i + 1);
    memset(made, 99, sizeof made);
    OK(kd_image_crop(ctx, &from, &to));
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 7; x++) /* floor((4 - 7) / 2) = -2 */
            ck_assert_int_eq(made[7 * y + x], x < 2 || x > 5 ? 0 : pixels[4 * (y + 1) + x - 2]);
}
END_TEST

START_TEST(what_is_no_image_is_refused)
{
    static uint8_t pixels[60], made[60];
    static double wide[60];
    kd_resize_options o = KD_RESIZE_OPTIONS_INIT;
    kd_array from = image_of(pixels, KD_UINT8, 5, 4), to = image_of(made, KD_UINT8, 2, 3),
             flat = KD_ARRAY_2D(made, KD_UINT8, 2, 3), line = KD_ARRAY_1D(made, KD_UINT8, 6),
             none = image_of(made, KD_UINT8, 0, 3), big = image_of(wide, KD_FLOAT64, 5, 4),
             floats = image_of(wide, KD_FLOAT32, 2, 3);
    FAILS(kd_image_resize(NULL, &from, &to, NULL), KD_ERR_INVALID, "context");
    FAILS(kd_image_resize(ctx, NULL, &to, NULL), KD_ERR_INVALID, "image");
    FAILS(kd_image_resize(ctx, &from, &flat, NULL), KD_ERR_SHAPE, "3 channels");
    FAILS(kd_image_resize(ctx, &line, &to, NULL), KD_ERR_SHAPE, "(height, width)");
    FAILS(kd_image_resize(ctx, &from, &none, NULL), KD_ERR_SHAPE, "at least one pixel");
    FAILS(kd_image_resize(ctx, &big, &to, NULL), KD_ERR_DTYPE, "uint8 or float32");
    FAILS(kd_image_resize(ctx, &from, &floats, NULL), KD_ERR_DTYPE, "uint8");
    FAILS(kd_image_crop(ctx, &from, &floats), KD_ERR_DTYPE, "uint8");
    static const int32_t filters[] = { -1, 0, 5, 1 << 30 };
    for (int i = 0; i < 4; i++) {
        o.resample = filters[i];
        FAILS(kd_image_resize(ctx, &from, &to, &o), KD_ERR_RANGE, "resample");
    }
    o = (kd_resize_options)KD_RESIZE_OPTIONS_INIT;
    static const double parts[][4] = { { -1, 0, 4, 5 },  { 0, 0, 4.5, 5 }, { 2, 0, 2, 5 },
                                       { 3, 0, 2, 5 },   { 0, 0, 4, 5.5 }, { 0, 5, 4, 5 },
                                       { NAN, 0, 4, 5 }, { 0, 0, 4, NAN }, { 0, 0, INFINITY, 5 } };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        o.left = parts[i][0];
        o.top = parts[i][1];
        o.right = parts[i][2];
        o.bottom = parts[i][3];
        FAILS(kd_image_resize(ctx, &from, &to, &o), KD_ERR_RANGE, "expected 0 <= first");
    }
}
END_TEST

Suite *pixels_suite(void);
Suite *pixels_suite(void)
{
    Suite *suite = suite_create("pixels");
    TCase *tests = tcase_create("pixels");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, bytes_are_those_of_pillow);
    tcase_add_test(tests, floats_are_those_of_its_mode_f);
    tcase_add_test(tests, views_of_planes_are_images_too);
    tcase_add_test(tests, many_images_and_threads_give_the_same_bits);
    tcase_add_test(tests, down_first_changes_the_order);
    tcase_add_test(tests, the_middle_is_cut_or_stands_in_zeros);
    tcase_add_test(tests, what_is_no_image_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
