/* Messages that say what to do next, where a first program goes wrong. */
#include "losskit.h"

#include <unistd.h>

enum { ROWS = 2, N = 3 };

static float z[ROWS * N];

static kd_status evaluate_now(void)
{
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, ROWS, N);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, NULL, NULL };
    return kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL);
}

START_TEST(a_struct_without_its_size_is_told_how_to_get_one)
{
    kd_loss_output output = { 0 };
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    OK(kd_batch_begin(batch, ROWS));
    FAILS(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL), KD_ERR_INVALID,
          "set it to sizeof(kd_loss_output)");
}
END_TEST

START_TEST(missing_labels_name_the_option_that_says_where_they_are)
{
    kd_term_options from_teacher = KD_TERM_OPTIONS_INIT;
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    OK(kd_batch_begin(batch, ROWS));
    OK(kd_targets_begin(targets, ROWS));
    FAILS(evaluate_now(), KD_ERR_NOT_FOUND, "the batch has no field 'label'");
    FAILS(evaluate_now(), KD_ERR_NOT_FOUND, "label_field");
    from_teacher.label_field = "teacher:label";
    restart(KD_LOSS_CROSS_ENTROPY, &from_teacher);
    FAILS(evaluate_now(), KD_ERR_NOT_FOUND, "the targets have no field 'label'");
}
END_TEST

START_TEST(targets_that_are_not_the_batchs_name_the_calls_that_fill_them)
{
    uint32_t ids[3] = { 0, 1, 2 };
    float logs[3] = { -2, -2, -2 };
    kd_array is = KD_ARRAY_2D(ids, KD_UINT32, ROWS + 1, 1);
    kd_array ls = KD_ARRAY_2D(logs, KD_FLOAT32, ROWS + 1, 1);
    kd_sparse sparse = KD_SPARSE_INIT;
    sparse.ids = &is;
    sparse.values = &ls;
    sparse.vocabulary = N;
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, NULL, NULL));
    OK(kd_batch_begin(batch, ROWS));
    OK(kd_targets_begin(targets, ROWS));
    FAILS(evaluate_now(), KD_ERR_NOT_FOUND, "kd_teacher_read");
    OK(kd_targets_begin(targets, ROWS + 1));
    OK(kd_targets_set_sparse(targets, "logits", &sparse, NULL));
    FAILS(evaluate_now(), KD_ERR_SHAPE, "kd_targets_align_batch");
}
END_TEST

START_TEST(kinds_of_losses_have_bounds_in_the_message)
{
    FAILS(kd_loss_add(loss, 777, 1, NULL, NULL), KD_ERR_INVALID, "expected 1 to 40, got 777");
    FAILS(kd_loss_bounds(0, KD_TERM_SKEW, NULL, NULL, NULL), KD_ERR_INVALID, "got 0");
}
END_TEST

START_TEST(a_prediction_of_the_wrong_shape_says_which_one_came)
{
    float inputs[4] = { 0 }, outputs[4];
    kd_array in = KD_ARRAY_2D(inputs, KD_FLOAT32, 2, 2);
    kd_array out = KD_ARRAY_2D(outputs, KD_FLOAT32, 4, 1);
    kd_dataset *data;
    kd_model *model;
    OK(kd_dataset_create(&data, ctx, NULL));
    OK(kd_dataset_add(data, "inputs", &in, NULL));
    OK(kd_model_create(&model, ctx, "{\"model_type\":\"mlp\",\"input_size\":2,\"num_labels\":2}",
                       NULL));
    FAILS(kd_model_predict(model, data, "logits", 2, &out), KD_ERR_SHAPE,
          "expected (2, 2), got (4, 1)");
    kd_model_free(model);
    kd_dataset_free(data);
}
END_TEST

/* A store of one record, whose key is 1, 2, by the tokenizer "one". */
static void write_store(const char *path)
{
    uint64_t key[2] = { 1, 2 };
    kd_array ks = KD_ARRAY_2D(key, KD_UINT64, 1, 2), zs = KD_ARRAY_2D(z, KD_FLOAT32, 1, N);
    kd_store_options options = KD_STORE_OPTIONS_INIT;
    kd_store_field field = KD_STORE_FIELD_INIT;
    kd_store_writer *writer;
    field.kind = KD_STORE_TOPK;
    field.name = "logits";
    field.k = 2;
    FAILS(kd_store_writer_create(&writer, ctx, path, &options, &field, 1), KD_ERR_RANGE,
          "vocabulary: expected the number of classes, got 0");
    options.vocabulary = N;
    options.tokenizer = "one";
    OK(kd_store_writer_create(&writer, ctx, path, &options, &field, 1));
    OK(kd_batch_begin(batch, 1));
    OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_set(targets, "logits", &zs, NULL));
    OK(kd_store_writer_add(writer, batch, targets));
    OK(kd_store_writer_close(writer));
    kd_store_writer_free(writer);
    FAILS(kd_store_writer_create(&writer, ctx, path, &options, &field, 1), KD_ERR_STATE,
          "append = 1");
}

START_TEST(a_sample_without_a_record_says_what_is_wrong_with_its_key)
{
    const char *path = scratch_path("next_steps.kdt");
    uint64_t key[2] = { 3, 4 };
    kd_array ks = KD_ARRAY_2D(key, KD_UINT64, 1, 2);
    kd_teacher *teacher;
    unlink(path);
    write_store(path);
    OK(kd_teacher_open(&teacher, ctx, path, NULL));
    OK(kd_batch_begin(batch, 1));
    FAILS(kd_teacher_read(teacher, batch, targets), KD_ERR_NOT_FOUND, "kd_batch_set_samples");
    OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
    OK(kd_batch_set_origin(batch, "another", NULL));
    FAILS(kd_teacher_read(teacher, batch, targets), KD_ERR_NOT_FOUND,
          "tokenizer: the store says one, the batch another");
    kd_teacher_free(teacher);
}
END_TEST

Suite *next_steps_suite(void)
{
    Suite *suite = suite_create("next_steps");
    TCase *tests = tcase_create("next_steps");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_struct_without_its_size_is_told_how_to_get_one);
    tcase_add_test(tests, missing_labels_name_the_option_that_says_where_they_are);
    tcase_add_test(tests, targets_that_are_not_the_batchs_name_the_calls_that_fill_them);
    tcase_add_test(tests, kinds_of_losses_have_bounds_in_the_message);
    tcase_add_test(tests, a_prediction_of_the_wrong_shape_says_which_one_came);
    tcase_add_test(tests, a_sample_without_a_record_says_what_is_wrong_with_its_key);
    suite_add_tcase(suite, tests);
    return suite;
}
