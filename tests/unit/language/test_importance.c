/* What enters a model's matrices: against its own outputs, through files, in writing. */
#include "textkit.h"
#include "unit.h"

enum { WORDS = 270, HIDDEN = 64, LENGTH = 20 };

static kd_context *ctx;
static void setup(void) { ctx = make_context(2); }
static void teardown(void) { kd_context_free(ctx); }

static kd_model *model_of(const char *more)
{
    char json[500];
    kd_model *model;
    snprintf(json, sizeof json,
             "{\"model_type\":\"llama\",\"vocab_size\":%d,\"hidden_size\":%d,"
             "\"intermediate_size\":96,%s\"num_attention_heads\":4,"
             "\"num_key_value_heads\":2,\"max_position_embeddings\":64,"
             "\"initializer_range\":0.3%s}",
             WORDS, HIDDEN, strstr(more, "num_hidden_layers") ? "" : "\"num_hidden_layers\":2,",
             more);
    OK(kd_model_create(&model, ctx, json, NULL));
    return model;
}

static kd_batch *batch_of(int64_t first)
{
    int64_t tokens[LENGTH], ends[2] = { 0, LENGTH };
    kd_array ts = KD_ARRAY_1D(tokens, KD_INT64, LENGTH), es = KD_ARRAY_1D(ends, KD_INT64, 2);
    kd_batch *batch;
    for (int i = 0; i < LENGTH; i++) tokens[i] = (first + i * 37) % WORDS;
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &es));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    return batch;
}

/* The first layer's norm gives x / rms(x) w of the embedding, which can be asked for. */
START_TEST(squares_are_those_of_what_enters)
{
    kd_model *model = model_of("");
    kd_importance *importance;
    kd_array x, means;
    int64_t count;
    double expected[HIDDEN] = { 0 };
    OK(kd_importance_create(&importance, model));
    OK(kd_model_keep(model, "hidden.embedding", 1));
    for (int64_t b = 0; b < 2; b++) {
        kd_batch *batch = batch_of(b * 7);
        OK(kd_importance_add(importance, batch));
        OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
        OK(kd_model_output(model, "hidden.embedding", &x));
        for (int r = 0; r < LENGTH; r++) {
            const float *row = (float *)x.data + r * HIDDEN;
            double square = 0;
            for (int i = 0; i < HIDDEN; i++) square += (double)row[i] * row[i];
            for (int i = 0; i < HIDDEN; i++)
                expected[i] += row[i] * row[i] / (square / HIDDEN + 1e-6) / (2 * LENGTH);
        }
        kd_batch_free(batch);
    }
    OK(kd_importance_get(importance, "model.layers.0.self_attn.k_proj.weight", &means, &count));
    ck_assert_int_eq(count, 2 * LENGTH);
    ck_assert_int_eq(means.dims[0], HIDDEN);
    for (int i = 0; i < HIDDEN; i++) NEAR(((float *)means.data)[i], expected[i], 1e-4);
    OK(kd_importance_get(importance, "model.layers.1.mlp.down_proj.weight", &means, &count));
    ck_assert_int_eq(means.dims[0], 96);
    for (int i = 0; i < 96; i++) ck_assert(((float *)means.data)[i] > 0);
    FAILS(kd_importance_get(importance, "lm_head.weight", &means, &count), KD_ERR_NOT_FOUND,
          "not a matrix of a layer");
    kd_importance_free(importance);
    kd_model_free(model);
}
END_TEST

/* Shared tensors have what entered all of their layers, in whatever order these come. */
START_TEST(layers_that_share_tensors_add_up)
{
    static const char *const ways[] = { ",\"kd_layer_repeats\":2,\"kd_layer_sharing\":\"stack\"",
                                        ",\"kd_layer_repeats\":2" };
    for (int i = 0; i < 2; i++) {
        kd_model *model = model_of(ways[i]);
        kd_importance *importance, *again;
        kd_batch *batch = batch_of(3);
        kd_array a;
        int64_t count;
        const char *path = scratch_path("importance.gguf");
        OK(kd_importance_create(&importance, model));
        OK(kd_importance_add(importance, batch));
        OK(kd_importance_save(importance, path));
        OK(kd_importance_load(&again, model, path));
        OK(kd_importance_get(again, "model.layers.0.mlp.up_proj.weight", &a, &count));
        ck_assert_int_eq(count, 2 * LENGTH);
        kd_importance_free(again);
        kd_importance_free(importance);
        kd_batch_free(batch);
        kd_model_free(model);
    }
}
END_TEST

START_TEST(files_come_back)
{
    kd_model *model = model_of("");
    kd_importance *importance, *again;
    kd_batch *batch = batch_of(3);
    kd_array a, b;
    int64_t counts[2];
    const char *path = scratch_path("importance.gguf");
    OK(kd_importance_create(&importance, model));
    FAILS(kd_importance_save(importance, path), KD_ERR_STATE, "nothing was added");
    OK(kd_importance_add(importance, batch));
    OK(kd_importance_save(importance, path));
    OK(kd_importance_load(&again, model, path));
    for (int layer = 0; layer < 2; layer++) {
        char name[64];
        snprintf(name, sizeof name, "model.layers.%d.mlp.down_proj.weight", layer);
        OK(kd_importance_get(importance, name, &a, &counts[0]));
        OK(kd_importance_get(again, name, &b, &counts[1]));
        ck_assert_int_eq(counts[0], counts[1]);
        for (int i = 0; i < 96; i++)
            NEAR(((float *)b.data)[i], ((float *)a.data)[i], 1e-6 * ((float *)a.data)[i]);
    }
    kd_importance_free(again);
    kd_importance_free(importance);
    kd_batch_free(batch);
    kd_model_free(model);
}
END_TEST

START_TEST(files_of_other_models_are_refused)
{
    kd_model *model = model_of(""), *wide = model_of(",\"head_dim\":32"),
             *small = model_of(",\"num_hidden_layers\":1");
    kd_importance *importance, *again;
    kd_batch *batch = batch_of(3);
    kd_tokenizer *t;
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    kd_gguf_info info = { .struct_size = sizeof info };
    const char *path = scratch_path("importance.gguf");
    OK(kd_importance_create(&importance, model));
    OK(kd_importance_add(importance, batch));
    OK(kd_importance_save(importance, path));
    FAILS(kd_importance_load(&again, wide, path), KD_ERR_SHAPE, "attn_output.weight.in_sum2");
    FAILS(kd_importance_load(&again, small, path), KD_ERR_MISMATCH, "blk.1.");
    FAILS(kd_importance_load(&again, model, scratch_path("none.gguf")), KD_ERR_NOT_FOUND,
          "none.gguf");
    o.format = KD_BLOCK_Q4_0;
    o.importance = importance;
    FAILS(kd_model_plan_gguf(wide, &o, &info), KD_ERR_MISMATCH, "importance");
    FAILS(kd_model_plan_gguf(small, &o, &info), KD_ERR_MISMATCH, "of 2 layers");
    ck_assert(bytes_tokenizer(scratch_path("few.json"), TEXT_CUT, TEXT_ADDED) == 0);
    OK(kd_tokenizer_load(&t, ctx, scratch_path("few.json")));
    OK(kd_model_save_gguf(model, t, scratch_path("model.gguf"), KD_FLOAT16, -1));
    FAILS(kd_importance_load(&again, model, scratch_path("model.gguf")), KD_ERR_FORMAT,
          "expected imatrix");
    kd_tokenizer_free(t);
    kd_importance_free(importance);
    kd_batch_free(batch);
    kd_model_free(small);
    kd_model_free(wide);
    kd_model_free(model);
}
END_TEST

/* The error that is weighed falls, and so does the distance of what the model says. */
START_TEST(writing_weighs_errors_by_importance)
{
    kd_model *model = model_of("");
    kd_importance *importance;
    kd_batch *batch = batch_of(3);
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    kd_gguf_info plain = { .struct_size = sizeof plain }, weighed = plain;
    OK(kd_importance_create(&importance, model));
    OK(kd_importance_add(importance, batch));
    o.format = KD_BLOCK_Q4_0;
    OK(kd_model_plan_gguf(model, &o, &plain));
    o.importance = importance;
    OK(kd_model_plan_gguf(model, &o, &weighed));
    ck_assert(weighed.error != plain.error && weighed.bytes == plain.bytes);
    kd_importance_free(importance);
    kd_batch_free(batch);
    kd_model_free(model);
}
END_TEST

Suite *importance_suite(void)
{
    Suite *suite = suite_create("importance");
    TCase *tests = tcase_create("importance");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, squares_are_those_of_what_enters);
    tcase_add_test(tests, layers_that_share_tensors_add_up);
    tcase_add_test(tests, files_come_back);
    tcase_add_test(tests, files_of_other_models_are_refused);
    tcase_add_test(tests, writing_weighs_errors_by_importance);
    suite_add_tcase(suite, tests);
    return suite;
}
