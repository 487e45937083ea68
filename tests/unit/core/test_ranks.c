/* Several ranks read one dataset: every sample once, the same number of steps, places that move to
 * another number of ranks, and batches without rows. */
#include "unit.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(2); }
static void teardown(void) { kd_context_free(ctx); }

enum { MOST = 41 };

static kd_dataset *numbered(int64_t samples)
{
    static float values[MOST * 2];
    static int64_t labels[MOST];
    kd_dataset *data;
    for (int i = 0; i < MOST; i++)
        values[2 * i] = (float)i, values[2 * i + 1] = 1, labels[i] = i % 2;
    const kd_array x = KD_ARRAY_2D(values, KD_FLOAT32, samples, 2),
                   y = KD_ARRAY_1D(labels, KD_INT64, samples);
    OK(kd_dataset_create(&data, ctx, NULL));
    OK(kd_dataset_add(data, "inputs", &x, NULL));
    OK(kd_dataset_add(data, "label", &y, NULL));
    return data;
}

static kd_loader *loader_of(kd_dataset *data, int32_t batch_size, int32_t rank, int32_t ranks,
                            int32_t uneven, int32_t drop_last)
{
    kd_loader *loader;
    kd_loader_options o = KD_LOADER_OPTIONS_INIT;
    o.batch_size = batch_size, o.rank = rank, o.ranks = ranks, o.uneven = uneven,
    o.drop_last = drop_last, o.seed = 5;
    OK(kd_loader_create(&loader, data, &o));
    return loader;
}

/* Steps of a rank's pass; counts every sample that it got. */
static int run_pass(kd_loader *loader, int seen[MOST])
{
    kd_batch *batch;
    kd_array numbers;
    int steps = 0;
    OK(kd_batch_create(&batch, ctx, NULL));
    for (; kd_loader_next(loader, batch) == KD_OK; steps++) {
        OK(kd_batch_samples(batch, &numbers, NULL, NULL));
        for (int64_t i = 0; i < numbers.dims[0]; i++) seen[((const int64_t *)numbers.data)[i]]++;
    }
    kd_batch_free(batch);
    return steps;
}

START_TEST(uneven_ranks_lose_and_double_nothing)
{
    for (int64_t samples = 1; samples <= MOST; samples += 4)
        for (int32_t batch_size = 1; batch_size < 9; batch_size += 3)
            for (int32_t ranks = 1; ranks < 6; ranks++)
                for (int32_t drop_last = 0; drop_last < 2; drop_last++) {
                    kd_dataset *data = numbered(samples);
                    int seen[MOST] = { 0 }, steps[5], given = 0;
                    for (int32_t rank = 0; rank < ranks; rank++) {
                        kd_loader *loader = loader_of(data, batch_size, rank, ranks, 1, drop_last);
                        steps[rank] = run_pass(loader, seen);
                        kd_loader_free(loader);
                    }
                    for (int32_t rank = 1; rank < ranks; rank++)
                        ck_assert_int_eq(steps[rank], steps[0]);
                    for (int i = 0; i < MOST; i++) {
                        ck_assert_int_le(seen[i], 1);
                        given += seen[i];
                    }
                    ck_assert_int_eq(given,
                                     drop_last ? samples / batch_size * batch_size : samples);
                    kd_dataset_free(data);
                }
}
END_TEST

START_TEST(even_ranks_leave_the_last_batches_out)
{
    kd_dataset *data = numbered(41);
    int seen[MOST] = { 0 }, given = 0;
    for (int32_t rank = 0; rank < 3; rank++) {
        kd_loader *loader = loader_of(data, 4, rank, 3, 0, 0); /* 11 batches: 9 in three rounds */
        ck_assert_int_eq(run_pass(loader, seen), 3);
        kd_loader_free(loader);
    }
    for (int i = 0; i < MOST; i++) given += seen[i];
    ck_assert_int_eq(given, 36);
    kd_dataset_free(data);
}
END_TEST

static kd_checkpoint *checkpoint_of(kd_loader *loader)
{
    kd_checkpoint *made;
    OK(kd_checkpoint_create(&made, ctx, NULL));
    OK(kd_checkpoint_add_loader(made, "loader", loader));
    return made;
}

START_TEST(a_place_moves_to_other_ranks_or_is_refused)
{
    const char *path = scratch_path("ranks.kdc");
    kd_dataset *data = numbered(41);
    kd_batch *batch;
    kd_loader *from = loader_of(data, 2, 0, 3, 1, 0), *to = loader_of(data, 3, 1, 2, 1, 0),
              *other = loader_of(data, 5, 0, 2, 1, 0);
    kd_checkpoint *a = checkpoint_of(from), *b = checkpoint_of(to), *c = checkpoint_of(other);
    int64_t sample;
    OK(kd_batch_create(&batch, ctx, NULL));
    for (int i = 0; i < 3; i++) OK(kd_loader_next(from, batch)); /* 18 samples */
    OK(kd_checkpoint_save(a, path));
    OK(kd_checkpoint_load(b, path));
    OK(kd_loader_position(to, NULL, &sample, NULL));
    ck_assert_int_eq(sample, 18);
    FAILS(kd_checkpoint_load(c, path), KD_ERR_MISMATCH, "multiple of 10");
    /* the end of the pass: 42 places for 41 samples */
    for (int i = 0; i < 4; i++) OK(kd_loader_next(from, batch));
    OK(kd_checkpoint_save(a, path));
    OK(kd_checkpoint_load(c, path));
    ck_assert_int_eq(kd_loader_next(other, batch), KD_END);
    kd_checkpoint_free(a), kd_checkpoint_free(b), kd_checkpoint_free(c);
    kd_loader_free(from), kd_loader_free(to), kd_loader_free(other);
    kd_batch_free(batch);
    kd_dataset_free(data);
}
END_TEST

/* A pass over no rows: loss 0 of 0 rows, gradients 0, an optimizer's step that changes nothing. */
static void pass_over_nothing(kd_model *model, const char *output)
{
    kd_batch *batch;
    kd_targets *targets;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result result = { .struct_size = sizeof result };
    kd_array gradients, parameters, values;
    int64_t none = 0;
    const kd_array offsets = KD_ARRAY_1D(&none, KD_INT64, 1);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &offsets));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_targets_begin(targets, 0));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, NULL, NULL));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    OK(kd_loss_count(loss, batch, targets, &counts));
    ck_assert(counts.terms == 2 && counts.rows[0] == 0 && counts.rows[1] == 0);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    FAILS(kd_model_output(model, output, &values), KD_ERR_STATE, "without rows");
    OK(kd_loss_backward(loss, model, batch, targets, &counts, &result));
    ck_assert(result.terms == 2 && result.value == 0 && result.sum[0] == 0 && result.rows[1] == 0);
    OK(kd_model_gradients(model, &gradients));
    for (int64_t i = 0; i < kd_array_count(&gradients); i++)
        ck_assert(((const float *)gradients.data)[i] == 0);
    OK(kd_model_parameters(model, &parameters));
    const float before = *(const float *)parameters.data;
    OK(kd_optimizer_step(optimizer, 0.1));
    ck_assert(*(const float *)parameters.data == before);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_model_free(model);
}

START_TEST(a_batch_without_rows_gives_nothing)
{
    kd_model *model;
    OK(kd_model_create(
        &model, ctx,
        "{\"model_type\":\"mlp\",\"input_size\":2,\"hidden_sizes\":[3],\"num_labels\":2}", NULL));
    pass_over_nothing(model, "logits");
    OK(kd_model_create(&model, ctx,
                       "{\"model_type\":\"llama\",\"vocab_size\":11,\"hidden_size\":8,"
                       "\"intermediate_size\":12,\"num_hidden_layers\":1,"
                       "\"num_attention_heads\":2,\"max_position_embeddings\":16}",
                       NULL));
    pass_over_nothing(model, "logits");
}
END_TEST

/* All kinds of networks, and live teachers of them. */
START_TEST(every_engine_takes_a_batch_without_rows)
{
    static const char *const configs[] = {
        "{\"model_type\":\"sequential\",\"input_shape\":[1,6,6],\"layers\":[{\"type\":\"conv2d\","
        "\"channels\":2,\"kernel_size\":3},{\"type\":\"batch_norm2d\"},{\"type\":\"flatten\"},{\"type\":\"linear\","
        "\"units\":2}]}",
        "{\"model_type\":\"bert\",\"architectures\":[\"BertForMaskedLM\"],\"vocab_size\":11,"
        "\"hidden_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":2,"
        "\"intermediate_size\":8,\"max_position_embeddings\":16,\"type_vocab_size\":2}",
        "{\"model_type\":\"vit\",\"architectures\":[\"ViTForImageClassification\"],"
        "\"hidden_size\":8,\"num_hidden_layers\":1,"
        "\"num_attention_heads\":2,\"intermediate_size\":8,\"image_size\":8,\"patch_size\":4,"
        "\"num_channels\":1,\"num_labels\":2}",
        "{\"model_type\":\"static_embedding\",\"vocab_size\":11,\"hidden_size\":4,"
        "\"num_labels\":2}",
    };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        kd_model *model, *live;
        kd_teacher *teacher;
        kd_targets *targets;
        kd_batch *batch;
        OK(kd_model_create(&model, ctx, configs[i], NULL));
        pass_over_nothing(model, "logits");
        OK(kd_model_create(&live, ctx, configs[i], NULL));
        OK(kd_teacher_from_model(&teacher, live, NULL));
        OK(kd_targets_create(&targets, ctx, NULL));
        OK(kd_batch_create(&batch, ctx, NULL));
        OK(kd_batch_begin(batch, 0));
        OK(kd_teacher_read(teacher, batch, targets));
        kd_batch_free(batch), kd_targets_free(targets), kd_teacher_free(teacher);
        kd_model_free(live);
    }
}
END_TEST

Suite *ranks_suite(void)
{
    Suite *suite = suite_create("ranks");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, uneven_ranks_lose_and_double_nothing);
    tcase_add_test(tests, even_ranks_leave_the_last_batches_out);
    tcase_add_test(tests, a_place_moves_to_other_ranks_or_is_refused);
    tcase_add_test(tests, a_batch_without_rows_gives_nothing);
    tcase_add_test(tests, every_engine_takes_a_batch_without_rows);
    suite_add_tcase(suite, tests);
    return suite;
}
