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

/* The batch's numbers once more: a field may not be set from itself. */
static kd_array pixels_of(int32_t rank, const int64_t *dims)
{
    static float pixels[IMAGES * PIXELS];
    kd_array found, made;
    OK(kd_batch_field(batch, "pixels", &found, NULL));
    memcpy(pixels, found.data, sizeof pixels);
    OK(kd_array_init(&made, pixels, KD_FLOAT32, rank, dims));
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

/* Rows are what everything agrees on: without any, images beside empty captions are passed over. */
START_TEST(images_beside_empty_captions_alone_are_an_empty_batch)
{
    const int64_t whole[] = { IMAGES, 2, 7, 9 }, none[] = { 0, 0, 0 }, some[] = { 0, 0, 1 };
    const kd_array x = pixels_of(4, whole), o = KD_ARRAY_1D(none, KD_INT64, 3),
                   p = KD_ARRAY_1D(some, KD_INT64, 3);
    const int64_t labels[IMAGES] = { 1, 2 };
    const kd_array l = KD_ARRAY_1D(labels, KD_INT64, IMAGES);
    kd_model *model = encoder_made(ctx, VIT(VIT_CLASSES), NULL);
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result result = { .struct_size = sizeof result };
    kd_loss *loss;
    kd_batch *other;
    kd_array v;
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    OK(kd_batch_create(&other, ctx, NULL));
    for (int i = 0; i < 2; i++) { /* one caption of a token, and all images count */
        OK(kd_batch_begin_packed(other, i ? &p : &o));
        OK(kd_batch_set_per_sample(other, "pixels", &x, NULL));
        OK(kd_batch_set_per_sample(other, "label", &l, NULL));
        OK(kd_model_forward(model, other, KD_MODE_TRAIN));
        if (!i)
            FAILS(kd_model_output(model, "logits", &v), KD_ERR_STATE,
                  "the last forward pass was of a batch without rows");
        OK(kd_loss_backward(loss, model, other, NULL, NULL, &result));
        ck_assert_int_eq(result.rows[0], i ? IMAGES : 0);
        OK(kd_loss_count(loss, other, NULL, &counts));
        ck_assert_int_eq(counts.rows[0], i ? IMAGES : 0);
    }
    kd_batch_free(other);
    kd_loss_free(loss);
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

/* ---- terms of features ---- */

static kd_loss *loss_of(int32_t kind, const char *output, int projected)
{
    kd_projection_options fit = KD_PROJECTION_OPTIONS_INIT;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss *loss;
    o.student_output = o.teacher_field = output;
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, kind, 1, &o, NULL));
    if (projected) OK(kd_loss_set_projection(loss, 0, &fit));
    return loss;
}

/* Relations of images take all rows of one, whatever patches both sides have; what relates the rows
 * of a sample, and what would project all of them at once, says so. */
START_TEST(relations_compare_images_whole)
{
    kd_model *student = encoder_made(ctx, VIT(""), NULL), *big = encoder_made(ctx, DEIT(""), NULL);
    kd_loss_result result = { .struct_size = sizeof result };
    kd_teacher *teacher;
    kd_targets *targets;
    kd_loss *loss[4] = { loss_of(KD_LOSS_GRAM, "hidden.0", 0), loss_of(KD_LOSS_GRAM, "hidden.0", 1),
                         loss_of(KD_LOSS_ATTENTION_RELATION, "attention.0.key", 0),
                         loss_of(KD_LOSS_HIDDEN_COSINE, "hidden.0", 1) };
    OK(kd_teacher_from_model(&teacher, big, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_keep_outputs(loss[2], student, teacher));
    OK(kd_loss_keep_outputs(loss[0], student, teacher));
    OK(kd_model_keep(big, "attention.0.key", 1));
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_model_forward(student, batch, KD_MODE_TRAIN));
    FAILS(kd_loss_prepare(loss[1], student, targets), KD_ERR_UNSUPPORTED,
          "each sample's 'hidden.0' has 5 rows of its own");
    FAILS(kd_loss_backward(loss[1], student, batch, targets, NULL, NULL), KD_ERR_UNSUPPORTED,
          "each sample's 'hidden.0' has 5 rows of its own");
    FAILS(kd_loss_backward_chunks(loss[1], student, &batch, &targets, 1, NULL, NULL),
          KD_ERR_UNSUPPORTED, "each sample's 'hidden.0' has 5 rows of its own");
    OK(kd_model_forward(student, batch, KD_MODE_TRAIN));
    FAILS(kd_loss_backward(loss[2], student, batch, targets, NULL, NULL), KD_ERR_UNSUPPORTED,
          "each sample's 'attention.0.key' has 5 rows of its own");
    FAILS(kd_loss_prepare(loss[3], student, targets), KD_ERR_SHAPE,
          "each sample's output 'hidden.0' has 5 rows, the teacher's 'hidden.0' has 6");
    OK(kd_loss_backward(loss[0], student, batch, targets, NULL, &result));
    ck_assert_int_eq(result.rows[0], IMAGES);
    ck_assert_double_gt(result.sum[0], 0);
    for (int i = 0; i < 4; i++) kd_loss_free(loss[i]);
    kd_targets_free(targets);
    kd_teacher_free(teacher);
    kd_model_free(big);
    kd_model_free(student);
}
END_TEST

/* The teacher's hidden states of the batch, once as they are and once as a store gives them. */
static kd_targets *targets_of(kd_model *model, int is_flat)
{
    static float values[2][IMAGES * VIT_ROWS * 18];
    kd_targets *targets;
    kd_array v;
    OK(kd_model_keep(model, "hidden.0", 1));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "hidden.0", &v));
    ck_assert_int_eq(kd_array_count(&v), IMAGES * VIT_ROWS * 18);
    memcpy(values[is_flat], v.data, sizeof values[0]);
    v.data = values[is_flat];
    if (is_flat) v = (kd_array)KD_ARRAY_2D(values[1], KD_FLOAT32, IMAGES, VIT_ROWS * 18);
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_targets_begin(targets, IMAGES));
    OK(kd_targets_set(targets, "hidden.0", &v, NULL));
    return targets;
}

#define WIDE_VIT                                                                                   \
    "{\"model_type\":\"vit\",\"hidden_size\":18,\"num_hidden_layers\":1,"                          \
    "\"num_attention_heads\":2,\"intermediate_size\":20,\"initializer_range\":0.3,"                \
    "\"image_size\":[7,9],\"patch_size\":[3,4],\"num_channels\":2}"

/* A projection takes one patch to one patch: 12 numbers to 18, not 60 to 90. */
START_TEST(hidden_states_of_images_are_projected_row_by_row)
{
    kd_model *student = encoder_made(ctx, VIT(""), NULL), *big = encoder_made(ctx, WIDE_VIT, NULL);
    double value[4], slopes[4];
    kd_array w, gradients;
    const char *name;
    for (int i = 0; i < 4; i++) { /* flat targets; in chunks */
        kd_loss *loss = loss_of(KD_LOSS_HIDDEN_COSINE, "hidden.0", 1);
        kd_targets *targets = targets_of(big, i % 2);
        kd_loss_counts counts = { .struct_size = sizeof counts };
        kd_loss_result result = { .struct_size = sizeof result };
        OK(kd_model_zero_gradients(student));
        OK(kd_model_forward(student, batch, KD_MODE_TRAIN));
        OK(kd_loss_prepare(loss, student, targets));
        OK(kd_loss_tensor(loss, 0, &name, &w));
        ck_assert_int_eq(w.dims[0], 18);
        ck_assert_int_eq(w.dims[1], 12);
        OK(kd_loss_count(loss, batch, targets, &counts));
        ck_assert_int_eq(counts.rows[0], IMAGES);
        if (i < 2) OK(kd_loss_backward(loss, student, batch, targets, &counts, &result));
        else OK(kd_loss_backward_chunks(loss, student, &batch, &targets, 1, &counts, &result));
        ck_assert_int_eq(result.rows[0], IMAGES);
        value[i] = result.value;
        slopes[i] = 0;
        OK(kd_model_gradients(student, &gradients));
        for (int64_t k = 0; k < gradients.dims[0]; k++)
            slopes[i] += fabs((double)((float *)gradients.data)[k]);
        ck_assert(value[i] == value[0] && slopes[i] == slopes[0]);
        FAILS(kd_student_append_projection(student, loss, 0), KD_ERR_UNSUPPORTED,
              "append: the model has no \"embedding\" that takes layers");
        kd_targets_free(targets);
        kd_loss_free(loss);
    }
    ck_assert_double_gt(slopes[0], 0);
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

static char warned[512];
static void keep_warning(void *user, int32_t level, const char *line)
{
    (void)user;
    if (level == KD_LOG_WARNING) snprintf(warned, sizeof warned, "%s", line);
}

static void expect_warning(kd_context *quiet, const char *config, const char *part)
{
    warned[0] = 0;
    kd_model_free(encoder_made(quiet, config, NULL));
    ck_assert_msg(part ? strstr(warned, part) != NULL : !*warned, "%s: %s", config, warned);
}

START_TEST(what_is_left_of_an_image_is_told)
{
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_logger logger = { .struct_size = sizeof logger,
                         .level = KD_LOG_WARNING,
                         .log = keep_warning };
    kd_context *told;
    o.logger = &logger;
    OK(kd_context_create(&told, &o));
    expect_warning(told, VIT(""),
                   "image_size (7, 9) is no multiple of patch_size (3, 4): the last "
                   "1 rows and 1 columns of an image are not seen");
    expect_warning(told, SIDES("8", "4", "3"), NULL);
    expect_warning(told, SIDES("[8,9]", "4", "3"), "0 rows and 1 columns");
    expect_warning(told, SIDES("[9,8]", "4", "3"), "1 rows and 0 columns");
    expect_warning(told, AST(""), NULL);
    kd_context_free(told);
}
END_TEST

/* Numbers in line 6 or column 8 of images of (7, 9) in patches of (3, 4). */
START_TEST(what_is_left_of_an_image_changes_nothing)
{
    const int64_t dims[] = { IMAGES, 2, 7, 9 };
    kd_array x = pixels_of(4, dims);
    float *pixels = x.data;
    kd_model *model = encoder_made(ctx, VIT(VIT_CLASSES), NULL);
    const double expected = sum_of(model, batch);
    for (int64_t i = 0; i < IMAGES * PIXELS; i++)
        if (i % 9 == 8 || i / 9 % 7 == 6) pixels[i] += 1;
    OK(kd_batch_set(batch, "pixels", &x, NULL));
    ck_assert(sum_of(model, batch) == expected);
    pixels[0] += 1;
    OK(kd_batch_set(batch, "pixels", &x, NULL));
    ck_assert(sum_of(model, batch) != expected);
    kd_model_free(model);
}
END_TEST

Suite *image_inputs_suite(void)
{
    Suite *suite = suite_create("image_inputs");
    TCase *tests = tcase_create("image_inputs");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_image_may_come_in_any_form_of_its_numbers);
    tcase_add_test(tests, images_beside_empty_captions_alone_are_an_empty_batch);
    tcase_add_test(tests, an_image_gives_the_same_in_every_batch);
    tcase_add_test(tests, images_that_do_not_fit_are_refused_with_both_shapes);
    tcase_add_test(tests, rows_of_an_image_are_one_entry_of_its_sample);
    tcase_add_test(tests, a_pass_stops_after_the_layer_that_is_asked_for);
    tcase_add_test(tests, predictions_are_one_row_an_image);
    tcase_add_test(tests, relations_compare_images_whole);
    tcase_add_test(tests, hidden_states_of_images_are_projected_row_by_row);
    tcase_add_test(tests, students_are_cut_out_of_images);
    tcase_add_test(tests, what_would_change_the_result_is_refused_by_name);
    tcase_add_test(tests, patches_that_do_not_fit_are_refused);
    tcase_add_test(tests, what_is_left_of_an_image_is_told);
    tcase_add_test(tests, what_is_left_of_an_image_changes_nothing);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_set_timeout(slow, 120);
    tcase_add_test(slow, shapes_are_learned_in_a_few_steps);
    suite_add_tcase(suite, slow);
    return suite;
}
