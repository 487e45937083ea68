/* preprocessor_config.json: numbers of transformers, sizes, forms, what is refused by name. */
#include "unit.h"

#include <sys/stat.h>

#include "../../goldens/pixel_goldens.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(2); }
static void teardown(void) { kd_context_free(ctx); }

static uint8_t pixels[9 * 13 * 3];

static kd_array image(void)
{
    const int64_t dims[] = { 9, 13, 3 };
    kd_array a;
    for (int64_t i = 0; i < 9 * 13 * 3; i++) pixels[i] = (uint8_t)((i * i * 37 + 11 * i) % 256);
    OK(kd_array_init(&a, pixels, KD_UINT8, 3, dims));
    return a;
}

static kd_image_processor *made(const char *json)
{
    kd_image_processor *p;
    OK(kd_image_processor_create(&p, ctx, json));
    return p;
}

static void check_pixels(kd_image_processor *p, int64_t height, int64_t width,
                         const float *expected)
{
    static float found[3 * 64];
    const int64_t dims[] = { 3, height, width };
    kd_array from = image(), to;
    int64_t h, w;
    OK(kd_image_processor_find_size(p, 9, 13, &h, &w));
    ck_assert(h == height && w == width);
    OK(kd_array_init(&to, found, KD_FLOAT32, 3, dims));
    OK(kd_image_processor_prepare(p, &from, &to));
    for (int64_t i = 0; i < 3 * height * width; i++)
        NEAR((double)found[i], (double)expected[i], 1e-6);
    kd_image_processor_free(p);
}

START_TEST(pixels_are_those_of_transformers)
{
    check_pixels(made("{\"image_processor_type\":\"ViTImageProcessor\","
                      "\"size\":{\"height\":6,\"width\":5},\"resample\":2}"),
                 6, 5, vit_pixels);
    check_pixels(
        made("{\"feature_extractor_type\":\"DeiTFeatureExtractor\",\"resample\":3,"
             "\"size\":{\"height\":6,\"width\":5},\"crop_size\":{\"height\":4,\"width\":7},"
             "\"do_center_crop\":true,\"rescale_factor\":0.00392156862745098}"),
        4, 7, deit_pixels);
    check_pixels(made("{\"image_processor_type\":\"CLIPImageProcessorFast\","
                      "\"size\":{\"shortest_edge\":5},\"crop_size\":4,\"do_convert_rgb\":true,"
                      "\"image_mean\":[0.48145466,0.4578275,0.40821073],\"do_pad\":false,"
                      "\"image_std\":[0.26862954,0.26130258,0.27577711],\"data_format\":"
                      "\"channels_first\",\"device\":null}"),
                 4, 4, clip_pixels);
}
END_TEST

static void check_size(const char *json, int64_t height, int64_t width, int64_t new_height,
                       int64_t new_width)
{
    kd_image_processor *p = made(json);
    int64_t h, w;
    OK(kd_image_processor_find_size(p, height, width, &h, &w));
    ck_assert_msg(h == new_height && w == new_width, "%s: (%d, %d)", json, (int)h, (int)w);
    kd_image_processor_free(p);
}

START_TEST(sizes_are_of_both_sides_or_of_the_shorter_one)
{
    check_size("{\"image_processor_type\":\"ViTImageProcessor\",\"size\":30}", 50, 70, 30, 30);
    check_size("{\"image_processor_type\":\"ViTImageProcessor\"}", 50, 70, 224, 224);
    check_size("{\"image_processor_type\":\"DeiTImageProcessor\"}", 50, 70, 224, 224);
    check_size("{\"image_processor_type\":\"DeiTImageProcessor\",\"do_center_crop\":false}", 50, 70,
               256, 256);
    check_size("{\"image_processor_type\":\"ViTImageProcessor\",\"size\":{\"shortest_edge\":30}}",
               50, 71, 30, 42); /* 42.6 */
    check_size("{\"image_processor_type\":\"CLIPImageProcessor\",\"size\":30,"
               "\"do_center_crop\":false}",
               71, 50, 42, 30);
    check_size("{\"image_processor_type\":\"ViTImageProcessor\",\"do_resize\":false}", 50, 71, 50,
               71);
}
END_TEST

START_TEST(a_folder_tells_its_type_itself_or_by_its_config)
{
    static const char plain[] = "{\"do_resize\":true,\"size\":12}",
                      config[] = "{\"model_type\":\"deit\"}", other[] = "{\"model_type\":\"swin\"}";
    char path[600], folder[512];
    kd_image_processor *p = NULL;
    int64_t h, w;
    snprintf(folder, sizeof folder, "%s", scratch_path("processor"));
    mkdir(folder, 0755);
    snprintf(path, sizeof path, "%s/preprocessor_config.json", folder);
    remove(path);
    FAILS(kd_image_processor_load(&p, ctx, folder), KD_ERR_NOT_FOUND, "preprocessor_config.json");
    write_file(path, plain, sizeof plain - 1);
    snprintf(path, sizeof path, "%s/config.json", folder);
    remove(path);
    FAILS(kd_image_processor_load(&p, ctx, folder), KD_ERR_UNSUPPORTED, "image_processor_type");
    write_file(path, other, sizeof other - 1);
    FAILS(kd_image_processor_load(&p, ctx, folder), KD_ERR_UNSUPPORTED, "swin");
    write_file(path, config, sizeof config - 1);
    OK(kd_image_processor_load(&p, ctx, folder));
    OK(kd_image_processor_find_size(p, 50, 70, &h, &w));
    ck_assert(h == 224 && w == 224); /* DeiT cuts */
    kd_image_processor_free(p);
}
END_TEST

/* Samples, a gray image with one number for all channels, and bytes as they are. */
START_TEST(several_images_and_any_number_of_channels)
{
    uint8_t gray[2 * 2 * 3] = { 0, 255, 51, 102, 153, 204, 1, 2, 3, 4, 5, 6 };
    float found[2 * 2 * 3];
    const int64_t dims[] = { 2, 2, 3, 1 }, out[] = { 2, 1, 2, 3 };
    kd_array from, to;
    OK(kd_array_init(&from, gray, KD_UINT8, 4, dims));
    OK(kd_array_init(&to, found, KD_FLOAT32, 4, out));
    kd_image_processor *p = made("{\"image_processor_type\":\"ViTImageProcessor\","
                                 "\"do_resize\":false,\"image_mean\":0.5,\"image_std\":0.5}");
    OK(kd_image_processor_prepare(p, &from, &to));
    for (int i = 0; i < 12; i++) NEAR((double)found[i], gray[i] / 127.5 - 1, 1e-6);
    kd_image_processor_free(p);
    p = made("{\"image_processor_type\":\"ViTImageProcessor\",\"do_resize\":false,"
             "\"do_rescale\":false,\"do_normalize\":false}");
    OK(kd_image_processor_prepare(p, &from, &to));
    for (int i = 0; i < 12; i++) ck_assert(found[i] == gray[i]);
    kd_image_processor_free(p);
}
END_TEST

START_TEST(what_would_change_the_result_is_refused_by_name)
{
    static const struct {
        const char *json;
        kd_status status;
        const char *word;
    } cases[] = {
        { "{}", KD_ERR_UNSUPPORTED, "image_processor_type" },
        { "[]", KD_ERR_CONFIG, "object" },
        { "{\"a\":", KD_ERR_FORMAT, "" },
        { "{\"image_processor_type\":\"BeitImageProcessor\"}", KD_ERR_UNSUPPORTED, "Beit" },
        { "{\"image_processor_type\":\"ViTImageProcessorX\"}", KD_ERR_UNSUPPORTED, "ViT" },
#define OF(rest) "{\"image_processor_type\":\"ViTImageProcessor\"," rest "}"
        { OF("\"crop_pct\":0.9"), KD_ERR_UNSUPPORTED, "crop_pct" },
        { OF("\"do_pad\":true"), KD_ERR_UNSUPPORTED, "do_pad" },
        { OF("\"data_format\":\"channels_last\""), KD_ERR_UNSUPPORTED, "data_format" },
        { OF("\"resample\":0"), KD_ERR_UNSUPPORTED, "nearest" },
        { OF("\"resample\":5"), KD_ERR_UNSUPPORTED, "Hamming" },
        { OF("\"resample\":9"), KD_ERR_CONFIG, "resample" },
        { OF("\"size\":0"), KD_ERR_CONFIG, "size" },
        { OF("\"size\":\"a\""), KD_ERR_CONFIG, "size" },
        { OF("\"size\":{\"height\":4}"), KD_ERR_CONFIG, "size" },
        { OF("\"size\":{\"shortest_edge\":4,\"longest_edge\":8}"), KD_ERR_UNSUPPORTED,
          "longest_edge" },
        { OF("\"size\":{\"shortest_edge\":4,\"height\":8}"), KD_ERR_CONFIG, "size" },
        { OF("\"crop_size\":{\"shortest_edge\":4}"), KD_ERR_CONFIG, "crop_size" },
        { OF("\"do_resize\":1"), KD_ERR_CONFIG, "do_resize" },
        { OF("\"rescale_factor\":0"), KD_ERR_CONFIG, "rescale_factor" },
        { OF("\"image_std\":[1,1,0]"), KD_ERR_CONFIG, "image_std" },
        { OF("\"image_mean\":[]"), KD_ERR_CONFIG, "image_mean" },
        { OF("\"image_mean\":[1,2]"), KD_ERR_CONFIG, "image_mean has 2" },
        { OF("\"image_mean\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]"), KD_ERR_CONFIG, "16" },
    };
    kd_image_processor *p = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        FAILS(kd_image_processor_create(&p, ctx, cases[i].json), cases[i].status, cases[i].word);
    ck_assert_ptr_null(p);
}
END_TEST

START_TEST(arrays_that_do_not_fit_are_refused)
{
    static float found[3 * 6 * 6];
    const int64_t fits[] = { 3, 6, 5 }, not [] = { 3, 5, 6 }, gray[] = { 9, 13, 1 };
    kd_image_processor *p = made(OF("\"size\":{\"height\":6,\"width\":5}"));
    kd_array from = image(), to, wrong, one, flat = KD_ARRAY_2D(pixels, KD_UINT8, 9, 13), floats;
    int64_t h, w;
    OK(kd_array_init(&to, found, KD_FLOAT32, 3, fits));
    OK(kd_array_init(&wrong, found, KD_FLOAT32, 3, not ));
    OK(kd_array_init(&one, pixels, KD_UINT8, 3, gray));
    OK(kd_array_init(&floats, found, KD_FLOAT32, 3, fits));
    FAILS(kd_image_processor_prepare(NULL, &from, &to), KD_ERR_INVALID, "processor");
    FAILS(kd_image_processor_prepare(p, &from, &from), KD_ERR_DTYPE, "pixels");
    FAILS(kd_image_processor_prepare(p, &from, &wrong), KD_ERR_SHAPE, "find_size");
    FAILS(kd_image_processor_prepare(p, &one, &to), KD_ERR_SHAPE, "3 channels");
    FAILS(kd_image_processor_prepare(p, &flat, &to), KD_ERR_DTYPE, "(height, width, channels)");
    FAILS(kd_image_processor_prepare(p, &floats, &to), KD_ERR_DTYPE, "uint8");
    FAILS(kd_image_processor_find_size(p, 0, 5, &h, &w), KD_ERR_RANGE, "sides");
    kd_image_processor_free(p);
    kd_image_processor_free(NULL);
}
END_TEST

Suite *image_processor_suite(void);
Suite *image_processor_suite(void)
{
    Suite *suite = suite_create("image_processor");
    TCase *tests = tcase_create("image_processor");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, pixels_are_those_of_transformers);
    tcase_add_test(tests, sizes_are_of_both_sides_or_of_the_shorter_one);
    tcase_add_test(tests, a_folder_tells_its_type_itself_or_by_its_config);
    tcase_add_test(tests, several_images_and_any_number_of_channels);
    tcase_add_test(tests, what_would_change_the_result_is_refused_by_name);
    tcase_add_test(tests, arrays_that_do_not_fit_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
