/* What transformers over patches read and give out: forms of an image, units of outputs, a loss by
 * labels of images, a small training; what is refused. */
#include "imagekit.h"

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

/* ---- inputs ---- */

static kd_array pixels_of(int32_t rank, const int64_t *dims)
{
    kd_array found, made;
    OK(kd_batch_field(batch, "pixels", &found, NULL));
    OK(kd_array_init(&made, found.data, KD_FLOAT32, rank, dims));
    return made;
}

static double sum_of(kd_model *model, kd_batch *from)
{
    OK(kd_model_forward(model, from, KD_MODE_EVALUATE));
    return output_sum(model, "logits");
}

/* As an image, as a row of numbers, as one of the fields of longer samples. */
START_TEST(an_image_may_come_in_any_form_of_its_numbers)
{
    const int64_t whole[] = { IMAGES, 2, 7, 9 }, flat[] = { IMAGES, PIXELS },
                  offsets[] = { 0, 4, 11 };
    const kd_array x = pixels_of(4, whole), y = pixels_of(2, flat),
                   o = KD_ARRAY_1D(offsets, KD_INT64, 3);
    kd_model *model = encoder_made(ctx, VIT(VIT_CLASSES), NULL);
    kd_batch *other;
    const double expected = sum_of(model, batch);
    OK(kd_batch_create(&other, ctx, NULL));
    OK(kd_batch_begin(other, IMAGES));
    OK(kd_batch_set(other, "pixels", &y, NULL));
    ck_assert(sum_of(model, other) == expected);
    OK(kd_batch_begin_packed(other, &o));
    OK(kd_batch_set_per_sample(other, "pixels", &x, NULL));
    ck_assert(sum_of(model, other) == expected);
    kd_batch_free(other);
    kd_model_free(model);
}
END_TEST

START_TEST(an_image_gives_the_same_in_every_batch)
{
    const int64_t one[] = { 1, 2, 7, 9 };
    kd_model *model = encoder_made(ctx, VIT(VIT_CLASSES), NULL);
    kd_array x = pixels_of(4, one), v;
    kd_batch *alone;
    float kept[3];
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "logits", &v));
    memcpy(kept, (float *)v.data + 3, sizeof kept);
    x.data = (float *)x.data + PIXELS;
    OK(kd_batch_create(&alone, ctx, NULL));
    OK(kd_batch_begin(alone, 1));
    OK(kd_batch_set(alone, "pixels", &x, NULL));
    OK(kd_model_forward(model, alone, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "logits", &v));
    for (int i = 0; i < 3; i++) NEAR((double)((float *)v.data)[i], (double)kept[i], 1e-5);
    kd_batch_free(alone);
    kd_model_free(model);
}
END_TEST

START_TEST(images_that_do_not_fit_are_refused_with_both_shapes)
{
    const int64_t turned[] = { IMAGES, 2, 9, 7 }, channels[] = { IMAGES, 3, 7, 6 },
                  flat[] = { IMAGES, 125 }, three[] = { 3, 2, 3, 7 }, offsets[] = { 0, 1, 3 };
    const kd_array t = pixels_of(4, turned), c = pixels_of(4, channels), f = pixels_of(2, flat),
                   longer = pixels_of(4, three), o = KD_ARRAY_1D(offsets, KD_INT64, 3);
    const int64_t classes[IMAGES * PIXELS] = { 0 };
    kd_array integers = KD_ARRAY_2D(classes, KD_INT64, IMAGES, PIXELS);
    kd_model *model = encoder_made(ctx, VIT(""), NULL), *sound = encoder_made(ctx, AST(""), NULL);
    OK(kd_batch_set(batch, "pixels", &t, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_SHAPE,
          "takes (2, 7, 9) or 126 numbers a sample, got (2, 9, 7)");
    OK(kd_batch_set(batch, "pixels", &c, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_SHAPE, "got (3, 7, 6)");
    OK(kd_batch_set(batch, "pixels", &f, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_SHAPE, "got (125)");
    OK(kd_batch_set(batch, "pixels", &integers, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_DTYPE, "expected float32");
    OK(kd_batch_set(batch, "mel", &f, NULL));
    FAILS(kd_model_forward(sound, batch, KD_MODE_EVALUATE), KD_ERR_SHAPE,
          "field 'mel': the model takes (9, 6) or 54 numbers");
    OK(kd_batch_begin_packed(batch, &o));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_NOT_FOUND,
          "no field 'pixels', which the model reads");
    OK(kd_batch_set(batch, "pixels", &longer, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_SHAPE,
          "is per row (3): expected one image a sample (2)");
    kd_model_free(sound);
    kd_model_free(model);
}
END_TEST

/* ---- outputs ---- */

START_TEST(rows_of_an_image_are_one_entry_of_its_sample)
{
    kd_model *model = encoder_made(ctx, VIT(VIT_CLASSES), NULL);
    kd_output_info info = { .struct_size = sizeof info };
    const int64_t dims[] = { IMAGES, VIT_ROWS, 12 };
    kd_array v, w, h;
    OK(kd_model_get_output_info(model, "hidden.0", &info));
    ck_assert_int_eq(info.unit, KD_UNIT_OF_SAMPLE);
    ck_assert_int_eq(info.width, VIT_ROWS * 12);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    FAILS(kd_model_output(model, "attention.1.key", &v), KD_ERR_NOT_FOUND, "kd_model_keep");
    OK(kd_model_keep(model, "attention.*", 1));
    OK(kd_model_keep(model, "hidden.0", 1));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "attention.1.key", &v));
    ck_assert_int_eq(v.rank, 3);
    ck_assert_mem_eq(v.dims, dims, sizeof dims);
    const double trained = output_sum(model, "attention.1.key"),
                 layer = output_sum(model, "hidden.0");
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    ck_assert(output_sum(model, "attention.1.key") == trained);
    ck_assert(output_sum(model, "hidden.0") == layer);
    OK(kd_model_output(model, "hidden", &h));
    OK(kd_model_output(model, "pooled", &w)); /* the first row of each */
    for (int i = 0; i < 12; i++)
        ck_assert(((float *)w.data)[12 + i] == ((float *)h.data)[VIT_ROWS * 12 + i]);
    kd_model_free(model);
}
END_TEST

START_TEST(a_pass_stops_after_the_layer_that_is_asked_for)
{
    kd_model *model = encoder_made(ctx, VIT(VIT_CLASSES), NULL);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    const double expected = output_sum(model, "hidden.0");
    kd_array v;
    OK(kd_model_keep(model, "*", 0));
    OK(kd_model_keep(model, "hidden.0", 1));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    ck_assert(output_sum(model, "hidden.0") == expected);
    FAILS(kd_model_output(model, "logits", &v), KD_ERR_NOT_FOUND, "was not asked to keep it");
    kd_model_free(model);
}
END_TEST

START_TEST(predictions_are_one_row_an_image)
{
    kd_model *model = encoder_made(ctx, VIT(VIT_CLASSES), NULL);
    const int64_t whole[] = { IMAGES, 2, 7, 9 };
    const kd_array x = pixels_of(4, whole);
    float found[IMAGES * 3];
    kd_array f = KD_ARRAY_2D(found, KD_FLOAT32, IMAGES, 3), z;
    kd_dataset *dataset;
    OK(kd_dataset_create(&dataset, ctx, NULL));
    OK(kd_dataset_add(dataset, "pixels", &x, NULL));
    OK(kd_model_predict(model, dataset, "logits", 1, &f));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "logits", &z));
    for (int i = 0; i < IMAGES * 3; i++) NEAR((double)found[i], (double)((float *)z.data)[i], 1e-5);
    kd_dataset_free(dataset);
    kd_model_free(model);
}
END_TEST

/* Relations of images take all rows of one; what would look at a row by itself says so. */
START_TEST(terms_compare_images_whole)
{
    kd_model *student = encoder_made(ctx, VIT(""), NULL), *big = encoder_made(ctx, DEIT(""), NULL);
    kd_projection_options fit = KD_PROJECTION_OPTIONS_INIT;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result result = { .struct_size = sizeof result };
    kd_teacher *teacher;
    kd_targets *targets;
    kd_loss *loss[3];
    int32_t term;
    OK(kd_teacher_from_model(&teacher, big, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    for (int i = 0; i < 3; i++) OK(kd_loss_create(&loss[i], ctx, NULL));
    o.student_output = o.teacher_field = "hidden.0";
    OK(kd_loss_add(loss[0], KD_LOSS_GRAM, 1, &o, NULL));
    OK(kd_loss_add(loss[1], KD_LOSS_MEAN_SQUARED_ERROR, 1, &o, &term));
    OK(kd_loss_set_projection(loss[1], term, &fit));
    o.student_output = o.teacher_field = "attention.0.key";
    OK(kd_loss_add(loss[2], KD_LOSS_ATTENTION_RELATION, 1, &o, NULL));
    OK(kd_model_keep(big, "hidden.0", 1));
    OK(kd_loss_keep_outputs(loss[2], student, teacher));
    OK(kd_loss_keep_outputs(loss[0], student, teacher));
    OK(kd_model_keep(big, "attention.0.key", 1));
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_model_forward(student, batch, KD_MODE_TRAIN));
    FAILS(kd_loss_prepare(loss[1], student, targets), KD_ERR_UNSUPPORTED,
          "each sample's 'hidden.0' has 5 rows of its own");
    FAILS(kd_loss_backward(loss[2], student, batch, targets, NULL, NULL), KD_ERR_UNSUPPORTED,
          "each sample's 'attention.0.key' has 5 rows of its own");
    OK(kd_loss_backward(loss[0], student, batch, targets, NULL, &result));
    ck_assert_int_eq(result.rows[0], IMAGES);
    ck_assert_double_gt(result.sum[0], 0);
    for (int i = 0; i < 3; i++) kd_loss_free(loss[i]);
    kd_targets_free(targets);
    kd_teacher_free(teacher);
    kd_model_free(big);
    kd_model_free(student);
}
END_TEST

/* ---- students ---- */

/* Layers alone are the teacher with those layers; widths are cut everywhere. */
static void check_student(const char *config, const char *output)
{
    const int32_t all[] = { 0, 1 }, one[] = { 1 };
    kd_model *teacher = encoder_made(ctx, config, NULL), *student, *again;
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    kd_output_info info = { .struct_size = sizeof info };
    const char *folder = scratch_path("image-student");
    o.layers = 2;
    o.layer_map = all;
    OK(kd_student_create(&student, teacher, &o));
    OK(kd_model_forward(teacher, batch, KD_MODE_EVALUATE));
    OK(kd_model_forward(student, batch, KD_MODE_EVALUATE));
    ck_assert(output_sum(student, output) == output_sum(teacher, output));
    kd_model_free(student);
    o.layers = 1;
    o.layer_map = one;
    o.hidden_size = 8;
    o.key_value_heads = 2;
    o.intermediate_size = 7;
    o.calibration = batch;
    OK(kd_student_create(&student, teacher, &o));
    OK(kd_model_get_output_info(student, "pooled", &info));
    ck_assert_int_eq(info.width, 8);
    OK(kd_model_save(student, folder, NULL));
    OK(kd_model_load(&again, ctx, folder, NULL));
    OK(kd_model_forward(again, batch, KD_MODE_EVALUATE));
    OK(kd_model_forward(student, batch, KD_MODE_EVALUATE));
    ck_assert(output_sum(student, output) == output_sum(again, output));
    kd_model_free(again);
    kd_model_free(student);
    kd_model_free(teacher);
}

START_TEST(students_are_cut_out_of_images)
{
    kd_model *teacher = encoder_made(ctx, VIT(""), NULL), *student;
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    check_student(VIT(VIT_CLASSES), "logits");
    check_student(VIT(",\"kd_dense\":[{\"out_features\":3}]"), "embedding");
    check_student(DEIT(TWO_HEADS), "logits");
    check_student(AST(AST_CLASSES), "logits");
    o.config = "{\"patch_size\":3}";
    FAILS(kd_student_create(&student, teacher, &o), KD_ERR_CONFIG,
          "its teacher's images and patches: (2, 7, 9) in patches of (3, 4)");
    kd_model_free(teacher);
    teacher = encoder_made(ctx, AST(AST_CLASSES), NULL);
    o.config = "{\"num_labels\":4}";
    FAILS(kd_student_create(&student, teacher, &o), KD_ERR_CONFIG, "num_labels: the teacher has 3");
    kd_model_free(teacher);
}
END_TEST

/* ---- training ---- */

enum { SHAPES = 24, SIDE = 12 };

/* A line across, a line down, a block: somewhere in the image, over noise. */
static void draw(float *image, int kind, int place)
{
    for (int i = 0; i < SIDE * SIDE; i++) {
        const int y = i / SIDE, x = i % SIDE, at = 1 + place % (SIDE - 4);
        const int on = kind == 0   ? y == at
                       : kind == 1 ? x == at
                                   : y >= at && y < at + 3 && x >= at && x < at + 3;
        image[i] = (float)on + 0.1f * (float)sin(12.9898 * i + 78.233 * place);
    }
}

#define SMALL                                                                                      \
    "\"hidden_size\":16,\"num_hidden_layers\":2,\"num_attention_heads\":2,"                        \
    "\"intermediate_size\":32,\"initializer_range\":0.2,\"num_labels\":3"

static double cross_entropy(kd_loss *loss, kd_model *model, kd_optimizer *optimizer, kd_batch *its)
{
    kd_loss_result result = { .struct_size = sizeof result };
    OK(kd_model_forward(model, its, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, its, NULL, NULL, &result));
    OK(kd_optimizer_step(optimizer, 5e-3));
    ck_assert_int_eq(result.rows[0], SHAPES);
    return result.sum[0] / (double)result.rows[0];
}

static void check_training(const char *config, const char *field)
{
    static float pixels[SHAPES * SIDE * SIDE];
    int64_t kinds[SHAPES];
    const kd_array x = KD_ARRAY_2D(pixels, KD_FLOAT32, SHAPES, SIDE * SIDE),
                   k = KD_ARRAY_1D(kinds, KD_INT64, SHAPES);
    kd_model *model = encoder_made(ctx, config, NULL);
    kd_optimizer *optimizer;
    kd_loss *loss;
    kd_batch *its;
    for (int i = 0; i < SHAPES; i++) {
        kinds[i] = i % 3;
        draw(pixels + i * SIDE * SIDE, i % 3, i);
    }
    OK(kd_batch_create(&its, ctx, NULL));
    OK(kd_batch_begin(its, SHAPES));
    OK(kd_batch_set(its, field, &x, NULL));
    OK(kd_batch_set(its, "label", &k, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    const double first = cross_entropy(loss, model, optimizer, its);
    double last = first;
    for (int step = 0; step < 60; step++) last = cross_entropy(loss, model, optimizer, its);
    ck_assert_msg(last < first / 4, "from %g to %g", first, last);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_batch_free(its);
    kd_model_free(model);
}

START_TEST(shapes_are_learned_in_a_few_steps)
{
    check_training("{\"model_type\":\"vit\",\"image_size\":12,\"patch_size\":4,\"num_channels\":1,"
                   "\"architectures\":[\"ViTForImageClassification\"]," SMALL "}",
                   "pixels");
    check_training("{\"model_type\":\"deit\",\"image_size\":12,\"patch_size\":4,"
                   "\"num_channels\":1,\"input\":\"image\","
                   "\"architectures\":[\"DeiTForImageClassificationWithTeacher\"]," SMALL "}",
                   "image");
    check_training("{\"model_type\":\"audio-spectrogram-transformer\",\"num_mel_bins\":12,"
                   "\"max_length\":12,\"patch_size\":4,\"frequency_stride\":3,\"time_stride\":3,"
                   "\"architectures\":[\"ASTForAudioClassification\"]," SMALL "}",
                   "mel");
}
END_TEST

/* ---- configs ---- */

static void refuse(const char *config, kd_status status, const char *text)
{
    kd_model *model = NULL;
    FAILS(kd_model_create(&model, ctx, config, NULL), status, text);
    ck_assert_ptr_null(model);
}

START_TEST(what_would_change_the_result_is_refused_by_name)
{
    refuse(VIT(",\"hidden_act\":\"gelu_new\""), KD_ERR_UNSUPPORTED, "hidden_act: only gelu");
    refuse(VIT(",\"architectures\":[\"ViTForMaskedImageModeling\"]"), KD_ERR_UNSUPPORTED,
           "\"ViTForMaskedImageModeling\" is not supported; vit has ViTModel, "
           "ViTForImageClassification");
    refuse(DEIT(",\"architectures\":[\"DeiTForMaskedImageModeling\"]"), KD_ERR_UNSUPPORTED,
           "DeiTForImageClassificationWithTeacher");
    refuse(VIT(",\"architectures\":[\"ViTForImageClassificationWithTeacher\"]"), KD_ERR_UNSUPPORTED,
           "is not supported");
    refuse(AST(",\"architectures\":[\"ASTForImageClassification\"]"), KD_ERR_UNSUPPORTED,
           "ASTForAudioClassification");
    refuse(VIT(",\"time_stride\":3"), KD_ERR_CONFIG, "\"time_stride\" is unknown");
    refuse(AST(",\"image_size\":3"), KD_ERR_CONFIG, "\"image_size\" is unknown");
    refuse(VIT(",\"head_dim\":8"), KD_ERR_CONFIG, "\"head_dim\" is unknown");
    refuse(VIT(",\"kd_max_length\":8"), KD_ERR_CONFIG, "\"kd_max_length\" is unknown");
    refuse(VIT(",\"vocab_size\":8"), KD_ERR_CONFIG, "\"vocab_size\" is unknown");
    refuse(VIT(",\"kd_pooling\":\"median\""), KD_ERR_CONFIG, "kd_pooling: expected cls");
    refuse(VIT(",\"num_labels\":0,\"architectures\":[\"ViTForImageClassification\"]"),
           KD_ERR_CONFIG, "num_labels");
    refuse(VIT(",\"pooler_output_size\":20000000"), KD_ERR_CONFIG, "pooler_output_size");
}
END_TEST

#define SIDES(image, patch, channels)                                                              \
    PATCHES("vit", ",\"image_size\":" image ",\"patch_size\":" patch ",\"num_"                     \
                   "channels\":" channels)

START_TEST(patches_that_do_not_fit_are_refused)
{
    refuse(SIDES("8", "9", "3"), KD_ERR_CONFIG, "a patch of (9, 9) does not fit into (8, 8)");
    refuse(SIDES("[8,20]", "[9,9]", "3"), KD_ERR_CONFIG, "does not fit into (8, 20)");
    refuse(SIDES("[8,8,8]", "2", "3"), KD_ERR_CONFIG, "a number or [height, width]");
    refuse(SIDES("[8,\"8\"]", "2", "3"), KD_ERR_CONFIG, "image_size");
    refuse(SIDES("\"8\"", "2", "3"), KD_ERR_CONFIG, "image_size");
    refuse(SIDES("0", "2", "3"), KD_ERR_CONFIG, "image_size");
    refuse(SIDES("70000", "2", "3"), KD_ERR_CONFIG, "image_size: expected at most 65536");
    refuse(SIDES("65536", "1", "3"), KD_ERR_CONFIG, "more than 2^24");
    refuse(SIDES("60000", "60000", "3"), KD_ERR_CONFIG, "more than 2^24");
    refuse(SIDES("8", "2", "5000"), KD_ERR_CONFIG, "num_channels: expected at most 4096");
    refuse(PATCHES("audio-spectrogram-transformer", ",\"num_mel_bins\":6,\"max_length\":9"),
           KD_ERR_CONFIG, "a patch of (16, 16) does not fit into (6, 9)");
    refuse(PATCHES("audio-spectrogram-transformer",
                   ",\"num_mel_bins\":6,\"max_length\":9,\"patch_size\":[3,3]"),
           KD_ERR_CONFIG, "patch_size");
    refuse("{\"model_type\":\"vit\",\"hidden_size\":10,\"num_hidden_layers\":1,"
           "\"num_attention_heads\":3,\"intermediate_size\":4}",
           KD_ERR_CONFIG, "10 numbers do not divide into 3 heads");
    refuse("{\"model_type\":\"vit\"}", KD_ERR_CONFIG, "\"hidden_size\" is missing");
}
END_TEST

Suite *image_inputs_suite(void)
{
    Suite *suite = suite_create("image_inputs");
    TCase *tests = tcase_create("image_inputs");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_image_may_come_in_any_form_of_its_numbers);
    tcase_add_test(tests, an_image_gives_the_same_in_every_batch);
    tcase_add_test(tests, images_that_do_not_fit_are_refused_with_both_shapes);
    tcase_add_test(tests, rows_of_an_image_are_one_entry_of_its_sample);
    tcase_add_test(tests, a_pass_stops_after_the_layer_that_is_asked_for);
    tcase_add_test(tests, predictions_are_one_row_an_image);
    tcase_add_test(tests, terms_compare_images_whole);
    tcase_add_test(tests, students_are_cut_out_of_images);
    tcase_add_test(tests, shapes_are_learned_in_a_few_steps);
    tcase_add_test(tests, what_would_change_the_result_is_refused_by_name);
    tcase_add_test(tests, patches_that_do_not_fit_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
