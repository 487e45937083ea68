/* Masked language models: numbers of transformers, losses through the fused head, folders. */
#include "encoderkit.h"

#include "../../goldens/encoder_heads_goldens.h"

#define MASKED(more) BERT(NO_DROPOUT ",\"architectures\":[\"BertForMaskedLM\"]" more)
#define DISTILBERT                                                                                 \
    "{\"model_type\":\"distilbert\",\"vocab_size\":17,\"dim\":12,\"n_layers\":2,\"n_heads\":3,"    \
    "\"hidden_dim\":20,\"max_position_embeddings\":12,\"dropout\":0.0,"                            \
    "\"attention_dropout\":0.0,\"initializer_range\":0.3,"                                         \
    "\"architectures\":[\"DistilBertForMaskedLM\"]}"
#define ROBERTA                                                                                    \
    "{\"model_type\":\"roberta\",\"vocab_size\":17,\"hidden_size\":12,\"num_hidden_layers\":2,"    \
    "\"num_attention_heads\":3,\"intermediate_size\":20,\"max_position_embeddings\":12,"           \
    "\"initializer_range\":0.3,\"tie_word_embeddings\":false,"                                     \
    "\"architectures\":[\"RobertaForMaskedLM\"]" NO_DROPOUT "}"
enum { V = 17, D = 12 };

static kd_context *ctx;
static kd_batch *batch;
static void setup(void)
{
    ctx = make_context(2);
    batch = encoder_batch(ctx);
}
static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* ---- numbers of transformers ---- */

static void check_golden(const char *config, int typed, const double *logits,
                         const char *const *names, const double *sums)
{
    static float wave[ENCODER_ROWS * V];
    int64_t none[ENCODER_ROWS] = { 0 };
    kd_array z, w = KD_ARRAY_2D(wave, KD_FLOAT32, ENCODER_ROWS, V),
                k = KD_ARRAY_1D(none, KD_INT64, ENCODER_ROWS);
    kd_model *model = encoder_made(ctx, config, NULL);
    encoder_fill(model);
    for (int i = 0; i < ENCODER_ROWS * V; i++) wave[i] = (float)sin(0.9 * i);
    if (!typed) OK(kd_batch_set(batch, "token_types", &k, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "logits", &z));
    ck_assert_int_eq(z.dims[0], ENCODER_ROWS);
    for (int i = 0; i < ENCODER_ROWS * V; i++) NEAR((double)((float *)z.data)[i], logits[i], 2e-5);
    OK(kd_model_add_output_gradient(model, "logits", &w));
    OK(kd_model_backward(model));
    encoder_compare_gradients(model, names, sums);
    kd_model_free(model);
}

START_TEST(logits_and_gradients_are_those_of_transformers)
{
    check_golden(MASKED(""), 1, bert_masked_logits, bert_masked_names, bert_masked_gradients);
    check_golden(DISTILBERT, 0, distilbert_masked_logits, distilbert_masked_names,
                 distilbert_masked_gradients);
    check_golden(ROBERTA, 0, roberta_masked_logits, roberta_masked_names, roberta_masked_gradients);
}
END_TEST

/* ---- losses ---- */

/* Gradients of cross-entropy on the rows of a mask, through the fused head, or of a host that holds
 * logits. The caller frees them. */
static float *gradients_of(kd_model *model, int fused, int64_t *count)
{
    int64_t labels[ENCODER_ROWS], mask[ENCODER_ROWS];
    static float dz[ENCODER_ROWS * V];
    kd_array y = KD_ARRAY_1D(labels, KD_INT64, ENCODER_ROWS),
             m = KD_ARRAY_1D(mask, KD_INT64, ENCODER_ROWS),
             d = KD_ARRAY_2D(dz, KD_FLOAT32, ENCODER_ROWS, V), z, g;
    kd_term_options options = KD_TERM_OPTIONS_INIT;
    kd_loss *loss;
    for (int i = 0; i < ENCODER_ROWS; i++) labels[i] = 3 * i % V, mask[i] = i % 4 == 1;
    options.mask_field = "mask";
    OK(kd_batch_set(batch, "label", &y, NULL));
    OK(kd_batch_set(batch, "mask", &m, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &options, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    if (fused) OK(kd_loss_backward(loss, model, batch, NULL, NULL, NULL));
    else {
        OK(kd_model_output(model, "logits", &z));
        kd_loss_output output = { sizeof output, 0, NULL, &z, &d, NULL };
        OK(kd_loss_evaluate(loss, &output, 1, batch, NULL, NULL, NULL));
        OK(kd_model_add_output_gradient(model, "logits", &d));
        OK(kd_model_backward(model));
    }
    OK(kd_model_gradients(model, &g));
    *count = g.dims[0];
    float *to = malloc((size_t)*count * sizeof *to);
    memcpy(to, g.data, (size_t)*count * sizeof *to);
    kd_loss_free(loss);
    return to;
}

/* Of a matrix of its own, through logits and through the fused head. */
START_TEST(an_adapter_of_the_head_learns)
{
    static const char untied[] = BERT(",\"architectures\":[\"BertForMaskedLM\"],"
                                      "\"tie_word_embeddings\":false");
    for (int fused = 0; fused < 2; fused++) {
        kd_model *model = encoder_made(ctx, untied, NULL);
        kd_array v;
        const char *name;
        int32_t count;
        int64_t floats;
        double sum = 0;
        OK(kd_model_add_lora(model, "cls.predictions.decoder.weight", NULL));
        free(gradients_of(model, fused, &floats));
        OK(kd_model_tensor_count(model, &count));
        for (int32_t i = 0; i < count; i++) {
            OK(kd_model_tensor(model, i, &name, &v));
            if (strcmp(name, "cls.predictions.decoder.weight.lora_B")) continue;
            OK(kd_model_tensor_gradient(model, i, &v));
            for (int64_t k = 0; k < kd_array_count(&v); k++) sum += fabs(((float *)v.data)[k]);
        }
        ck_assert(sum > 0);
        kd_model_free(model);
    }
}
END_TEST

START_TEST(the_fused_head_gives_what_whole_logits_give)
{
    static const char *const configs[] = { MASKED(""), DISTILBERT, ROBERTA };
    int64_t n;
    for (int i = 0; i < 3; i++) {
        kd_model *one = encoder_made(ctx, configs[i], NULL),
                 *other = encoder_made(ctx, configs[i], NULL);
        float *fused = gradients_of(one, 1, &n), *whole = gradients_of(other, 0, &n);
        double size = 0;
        for (int64_t j = 0; j < n; j++) size += fabs((double)whole[j]);
        ck_assert_double_gt(size, 1);
        for (int64_t j = 0; j < n; j++) NEAR((double)fused[j], (double)whole[j], 2e-6);
        free(fused), free(whole);
        kd_model_free(one), kd_model_free(other);
    }
}
END_TEST

/* A live teacher gives its states and its head, the bias included. */
START_TEST(a_teacher_teaches_through_both_heads)
{
    kd_model *model = encoder_made(ctx, MASKED(""), NULL),
             *same = encoder_made(ctx, MASKED(""), NULL);
    kd_loss_result result = { .struct_size = sizeof result };
    kd_teacher *teacher;
    kd_targets *targets;
    kd_loss *loss;
    const char *name;
    kd_array v;
    int32_t count;
    OK(kd_teacher_from_model(&teacher, same, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, NULL, NULL));
    OK(kd_loss_keep_outputs(loss, model, teacher));
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, batch, targets, NULL, &result));
    NEAR(result.value, 0, 1e-9);
    OK(kd_model_tensor_count(same, &count));
    OK(kd_model_tensor(same, count - 1, &name, &v));
    ck_assert_str_eq(name, "cls.predictions.bias");
    ((float *)v.data)[3] = 4;
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, batch, targets, NULL, &result));
    ck_assert_double_gt(result.value, 0.05);
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_teacher_free(teacher);
    kd_model_free(same);
    kd_model_free(model);
}
END_TEST

/* ---- ways of training ---- */

static float *gradients_with(const char *config, const kd_model_options *o, int64_t *n)
{
    kd_model *model = encoder_made(ctx, config, o);
    float *to = gradients_of(model, 1, n);
    kd_model_free(model);
    return to;
}

START_TEST(recomputing_gives_the_same_bits_and_16_bits_near_ones)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    int64_t n;
    double error = 0, size = 0;
    float *whole = gradients_with(MASKED(""), NULL, &n);
    o.recompute = 1;
    float *again = gradients_with(MASKED(""), &o, &n);
    ck_assert_mem_eq(whole, again, (size_t)n * sizeof *whole);
    o.recompute = 0;
    o.activations = KD_BFLOAT16;
    float *halved = gradients_with(MASKED(""), &o, &n);
    for (int64_t i = 0; i < n; i++) {
        error += pow((double)(halved[i] - whole[i]), 2);
        size += pow((double)whole[i], 2);
    }
    ck_assert_double_gt(error, 0);
    ck_assert_double_lt(error, 1e-3 * size);
    free(whole), free(again), free(halved);
}
END_TEST

START_TEST(gradients_add_up_and_eight_bits_are_near)
{
    kd_model *model = encoder_made(ctx, MASKED(""), NULL), *eight;
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    int64_t n;
    float *once = gradients_of(model, 1, &n), *twice = gradients_of(model, 1, &n);
    for (int64_t i = 0; i < n; i++)
        NEAR((double)twice[i], 2 * (double)once[i], 1e-5 * (1 + fabs((double)once[i])));
    o.frozen = 1;
    o.weights = KD_INT8;
    eight = encoder_made(ctx, MASKED(""), &o);
    OK(kd_model_forward(eight, batch, KD_MODE_EVALUATE));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    ck_assert(output_sum(eight, "logits") != output_sum(model, "logits"));
    NEAR(output_sum(eight, "logits"), output_sum(model, "logits"), 2);
    free(once), free(twice);
    kd_model_free(eight);
    kd_model_free(model);
}
END_TEST

START_TEST(a_pass_allocates_nothing_after_the_first)
{
    kd_model *model = encoder_made(ctx, MASKED(""), NULL);
    kd_context_info first = { .struct_size = sizeof first }, last = first;
    for (int pass = 0; pass < 200; pass++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        push_back(model, "logits");
        push_back(model, "hidden.head");
        OK(kd_model_backward(model));
        if (!pass) OK(kd_context_get_info(ctx, &first));
    }
    OK(kd_context_get_info(ctx, &last));
    ck_assert_uint_eq(first.allocations, last.allocations);
    kd_model_free(model);
}
END_TEST

/* ---- folders ---- */

static double sum_of(kd_model *model)
{
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    return output_sum(model, "logits");
}

static void check_folder(const char *config, const char *name, const char *from, const char *to)
{
    const char *folder = scratch_path(name);
    kd_model *model = encoder_made(ctx, config, NULL), *again;
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&again, ctx, folder, NULL));
    ck_assert(sum_of(model) == sum_of(again));
    kd_model_free(again);
    encoder_rename(folder, from, to);
    OK(kd_model_load(&again, ctx, folder, NULL));
    ck_assert(sum_of(model) == sum_of(again));
    kd_model_free(again);
    kd_model_free(model);
}

START_TEST(folders_come_back_under_every_name)
{
    check_folder(MASKED(""), "masked-bert", "cls.predictions.bias", "cls.predictions.decoder.bias");
    check_folder(MASKED(""), "masked-prefix", "\"bert.", "\"");
    check_folder(MASKED(""), "masked-gamma", "transform.LayerNorm.weight",
                 "transform.LayerNorm.gamma");
    check_folder(DISTILBERT, "masked-distilbert", "\"distilbert.", "\"");
    check_folder(ROBERTA, "masked-roberta", "lm_head.decoder.bias", "lm_head.bias");
}
END_TEST

/* A tied matrix that is also under the head's name must be the embedding. */
START_TEST(a_tied_head_in_the_file_is_the_embedding)
{
    const char *folder = scratch_path("masked-tied");
    char path[700];
    kd_model *model = encoder_made(ctx, MASKED(",\"tie_word_embeddings\":false"), NULL), *again;
    OK(kd_model_save(model, folder, NULL));
    snprintf(path, sizeof path, "%s/config.json", folder);
    write_file(path, MASKED(""), strlen(MASKED("")));
    FAILS(kd_model_load(&again, ctx, folder, NULL), KD_ERR_MISMATCH,
          "'cls.predictions.decoder.weight' differs from 'bert.embeddings.word_embeddings.weight'");
    kd_model_free(model);
}
END_TEST

Suite *masked_suite(void)
{
    Suite *suite = suite_create("masked");
    TCase *tests = tcase_create("masked");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, logits_and_gradients_are_those_of_transformers);
    tcase_add_test(tests, an_adapter_of_the_head_learns);
    tcase_add_test(tests, the_fused_head_gives_what_whole_logits_give);
    tcase_add_test(tests, a_teacher_teaches_through_both_heads);
    tcase_add_test(tests, recomputing_gives_the_same_bits_and_16_bits_near_ones);
    tcase_add_test(tests, gradients_add_up_and_eight_bits_are_near);
    tcase_add_test(tests, a_pass_allocates_nothing_after_the_first);
    tcase_add_test(tests, folders_come_back_under_every_name);
    tcase_add_test(tests, a_tied_head_in_the_file_is_the_embedding);
    suite_add_tcase(suite, tests);
    return suite;
}
