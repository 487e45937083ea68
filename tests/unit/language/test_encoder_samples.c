/* Encoders taught a text at a time: classes, and a teacher's vectors out of arrays and stores. */
#include "encoderkit.h"

#include <unistd.h>

enum { WIDTH = 5, CLASSES_OF_HEAD = 3 };

static kd_context *ctx;
static kd_batch *batch;
static kd_loss *loss;
static kd_targets *targets;

static void setup(void)
{
    ctx = make_context(2);
    batch = encoder_batch(ctx);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
}

static void teardown(void)
{
    kd_targets_free(targets);
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

START_TEST(classes_of_texts_are_labels_of_samples)
{
    kd_model *model = encoder_made(ctx, BERT(NO_DROPOUT CLASSES), NULL);
    const int64_t rows[ENCODER_ROWS] = { 1, 2 }, texts[ENCODER_TEXTS] = { 1, 2 };
    kd_array per_row = KD_ARRAY_1D(rows, KD_INT64, ENCODER_ROWS),
             per_text = KD_ARRAY_1D(texts, KD_INT64, ENCODER_TEXTS), z, g;
    kd_loss_result result = { .struct_size = sizeof result };
    float by_loss[64], slopes[ENCODER_TEXTS * CLASSES_OF_HEAD];
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    OK(kd_batch_set(batch, "label", &per_row, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    FAILS(kd_loss_backward(loss, model, batch, NULL, NULL, NULL), KD_ERR_SHAPE,
          "field 'label' of the batch is per row (11), output 'logits' is per sample (2)");
    OK(kd_batch_set_per_sample(batch, "label", &per_text, NULL));
    OK(kd_loss_backward(loss, model, batch, NULL, NULL, &result));
    ck_assert_int_eq(result.rows[0], ENCODER_TEXTS);
    OK(kd_model_tensor_gradient(model, 0, &g));
    const int64_t count = kd_array_count(&g) < 64 ? kd_array_count(&g) : 64;
    memcpy(by_loss, g.data, (size_t)count * sizeof *by_loss);

    /* softmax less the label, a text's share of the mean */
    OK(kd_model_zero_gradients(model));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "logits", &z));
    for (int t = 0; t < ENCODER_TEXTS; t++) {
        const float *x = (const float *)z.data + t * CLASSES_OF_HEAD;
        double sum = 0;
        for (int c = 0; c < CLASSES_OF_HEAD; c++) sum += exp((double)x[c]);
        for (int c = 0; c < CLASSES_OF_HEAD; c++)
            slopes[t * CLASSES_OF_HEAD + c] =
                (float)((exp((double)x[c]) / sum - (c == texts[t])) / ENCODER_TEXTS);
    }
    kd_array s = KD_ARRAY_2D(slopes, KD_FLOAT32, ENCODER_TEXTS, CLASSES_OF_HEAD);
    OK(kd_model_add_output_gradient(model, "logits", &s));
    OK(kd_model_backward(model));
    for (int64_t i = 0; i < count; i++) NEAR(by_loss[i], ((float *)g.data)[i], 1e-6);
    kd_model_free(model);
}
END_TEST

START_TEST(a_mask_of_texts_holds_for_their_tokens)
{
    kd_model *model = encoder_made(ctx, BERT(NO_DROPOUT SENTENCE), NULL);
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    const int64_t mask[ENCODER_TEXTS] = { 0, 1 };
    const float same[ENCODER_ROWS * 12] = { 0 };
    kd_array ms = KD_ARRAY_1D(mask, KD_INT64, ENCODER_TEXTS), offsets,
             hs = KD_ARRAY_2D(same, KD_FLOAT32, ENCODER_ROWS, 12);
    o.student_output = "hidden";
    o.label_field = "hidden";
    o.mask_field = "task";
    OK(kd_loss_add(loss, KD_LOSS_MEAN_SQUARED_ERROR, 1, &o, NULL));
    OK(kd_batch_set_per_sample(batch, "task", &ms, NULL));
    OK(kd_batch_set(batch, "hidden", &hs, NULL));
    OK(kd_batch_offsets(batch, &offsets));
    OK(kd_loss_count(loss, batch, NULL, &counts));
    const int64_t *at = offsets.data;
    ck_assert_int_eq(counts.rows[0], at[2] - at[1]);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, batch, NULL, &counts, NULL));
    kd_model_free(model);
}
END_TEST

static kd_teacher *stored(const float *vectors, const kd_array *keys)
{
    const char *path = scratch_path("encoder-samples.kdt");
    kd_array vs = KD_ARRAY_2D(vectors, KD_FLOAT32, ENCODER_TEXTS, WIDTH);
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_store_writer *w;
    kd_teacher *teacher;
    int64_t rows;
    f.kind = KD_STORE_EMBEDDING;
    f.name = "embedding";
    f.width = WIDTH;
    f.encoding = KD_FLOAT32;
    unlink(path);
    OK(kd_batch_set_samples(batch, NULL, keys, NULL));
    OK(kd_batch_get_counts(batch, NULL, &rows));
    OK(kd_targets_begin(targets, rows));
    OK(kd_targets_set_per_sample(targets, "embedding", &vs, NULL));
    OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
    OK(kd_store_writer_add(w, batch, targets));
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    OK(kd_teacher_open(&teacher, ctx, path, NULL));
    return teacher;
}

static kd_teacher *arrays(const float *vectors, const kd_array *keys)
{
    kd_array vs = KD_ARRAY_2D(vectors, KD_FLOAT32, ENCODER_TEXTS, WIDTH);
    kd_teacher_options o = KD_TEACHER_OPTIONS_INIT;
    kd_teacher *teacher;
    o.lookup = KD_LOOKUP_KEY;
    OK(kd_teacher_create(&teacher, ctx, keys, &o));
    OK(kd_teacher_add(teacher, "embedding", &vs));
    return teacher;
}

/* A student's embeddings come near to vectors that are kept for each text. */
START_TEST(embeddings_are_learned_from_vectors_of_texts)
{
    const float vectors[ENCODER_TEXTS * WIDTH] = { 1, 0, 0, 0, 0, 0, 0.6f, 0, 0.8f, 0 };
    const uint64_t words[ENCODER_TEXTS][2] = { { 1, 2 }, { 3, 4 } };
    kd_array keys = KD_ARRAY_2D(words, KD_UINT64, ENCODER_TEXTS, 2);
    kd_teacher *teachers[2] = { stored(vectors, &keys), arrays(vectors, &keys) };
    double sums[2][40];
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.student_output = "embedding";
    o.teacher_field = "embedding";
    OK(kd_loss_add(loss, KD_LOSS_MEAN_SQUARED_ERROR, 1, &o, NULL));
    for (int t = 0; t < 2; t++) {
        kd_model *student = encoder_made(ctx, BERT(NO_DROPOUT SENTENCE), NULL);
        kd_optimizer *optimizer;
        OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAM, NULL));
        OK(kd_optimizer_add_model(optimizer, student));
        for (int step = 0; step < 40; step++) {
            kd_loss_result result = { .struct_size = sizeof result };
            OK(kd_teacher_read(teachers[t], batch, targets));
            OK(kd_model_forward(student, batch, KD_MODE_TRAIN));
            OK(kd_loss_backward(loss, student, batch, targets, NULL, &result));
            OK(kd_optimizer_step(optimizer, 1e-2));
            ck_assert_int_eq(result.rows[0], ENCODER_TEXTS);
            sums[t][step] = result.value;
        }
        ck_assert_double_lt(sums[t][39], 0.1 * sums[t][0]);
        kd_optimizer_free(optimizer);
        kd_model_free(student);
        kd_teacher_free(teachers[t]);
    }
    ck_assert_mem_eq(sums[0], sums[1], sizeof sums[0]);
}
END_TEST

/* A live teacher gives its outputs of samples; pairs of texts are compared as well as texts. */
START_TEST(a_live_encoder_teaches_text_by_text)
{
    static const int32_t kinds[] = { KD_LOSS_HIDDEN_COSINE, KD_LOSS_SIMILARITY,
                                     KD_LOSS_RKD_DISTANCE };
    kd_model *model = encoder_made(ctx, BERT(NO_DROPOUT SENTENCE), NULL), *student;
    kd_teacher *teacher;
    kd_array got, kept;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    OK(kd_teacher_from_model(&teacher, model, NULL));
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_targets_field(targets, "embedding", &got, NULL));
    ck_assert_int_eq(got.dims[0], ENCODER_TEXTS);
    OK(kd_model_output(model, "embedding", &kept));
    ck_assert_mem_eq(got.data, kept.data, ENCODER_TEXTS * WIDTH * sizeof(float));
    OK(kd_targets_field(targets, "hidden", &got, NULL));
    ck_assert_int_eq(got.dims[0], ENCODER_ROWS);
    o.student_output = o.teacher_field = "embedding";
    for (int k = 0; k < 3; k++) OK(kd_loss_add(loss, kinds[k], 1, &o, NULL));
    kd_context_options other = KD_CONTEXT_OPTIONS_INIT;
    other.seed = 99;
    kd_context *its;
    OK(kd_context_create(&its, &other));
    student = encoder_made(its, BERT(NO_DROPOUT SENTENCE), NULL);
    kd_loss_result result = { .struct_size = sizeof result };
    OK(kd_model_forward(student, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, student, batch, targets, NULL, &result));
    ck_assert_double_gt(result.value, 0);
    ck_assert_int_eq(result.rows[0], ENCODER_TEXTS);
    o.teacher_field = "hidden";
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    OK(kd_model_forward(student, batch, KD_MODE_TRAIN));
    FAILS(kd_loss_backward(loss, student, batch, targets, NULL, NULL), KD_ERR_SHAPE,
          "field 'hidden' of the targets is per row (11), output 'embedding' is per sample (2)");
    kd_model_free(student);
    kd_context_free(its);
    kd_teacher_free(teacher);
    kd_model_free(model);
}
END_TEST

Suite *encoder_samples_suite(void)
{
    Suite *suite = suite_create("encoder_samples");
    TCase *tests = tcase_create("encoder_samples");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, classes_of_texts_are_labels_of_samples);
    tcase_add_test(tests, a_mask_of_texts_holds_for_their_tokens);
    tcase_add_test(tests, embeddings_are_learned_from_vectors_of_texts);
    tcase_add_test(tests, a_live_encoder_teaches_text_by_text);
    suite_add_tcase(suite, tests);
    return suite;
}
