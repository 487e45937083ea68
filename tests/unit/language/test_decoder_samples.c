/* Decoders that give out one vector for each text: pooled, dense, of length 1; their gradients, and
 * folders of sentence-transformers. Parity with the package is in tests/property. */
#include "encoderkit.h"

#include <sys/stat.h>

#define QWEN(more)                                                                                 \
    "{\"model_type\":\"qwen3\",\"vocab_size\":17,\"hidden_size\":12,\"num_hidden_layers\":2,"      \
    "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"head_dim\":4,\"intermediate_size\":20," \
    "\"max_position_embeddings\":12,\"initializer_range\":0.3" more "}"
#define BARE ",\"architectures\":[\"Qwen3Model\"]"
#define TIED ",\"tie_word_embeddings\":true"
#define LAST ",\"kd_pooling\":\"last\",\"kd_normalize\":true,\"kd_dense\":[{\"out_features\":5}]"

enum { HIDDEN = 12, DENSE = 5 };

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

static double sum_of(kd_model *model, const char *output)
{
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    return output_sum(model, output);
}

/* ---- what is pooled ---- */

static void check_pooled(const char *pooling, const float *hidden, const float *pooled)
{
    static const int first[] = { 0, 7 }, end[] = { 7, ENCODER_ROWS };
    for (int t = 0; t < ENCODER_TEXTS; t++)
        for (int i = 0; i < HIDDEN; i++) {
            double mean = 0, weighted = 0, most = -1e9;
            for (int r = first[t]; r < end[t]; r++) {
                const double x = (double)hidden[r * HIDDEN + i];
                mean += x / (end[t] - first[t]);
                weighted += x * (r - first[t] + 1);
                most = x > most ? x : most;
            }
            weighted /= (end[t] - first[t]) * (end[t] - first[t] + 1) / 2.0;
            const double expected = !strcmp(pooling, "mean")  ? mean
                                    : !strcmp(pooling, "max") ? most
                                    : !strcmp(pooling, "cls")
                                        ? (double)hidden[first[t] * HIDDEN + i]
                                    : !strcmp(pooling, "last")
                                        ? (double)hidden[(end[t] - 1) * HIDDEN + i]
                                        : weighted;
            NEAR((double)pooled[t * HIDDEN + i], expected, 1e-6);
        }
}

START_TEST(every_pooling_is_of_the_rows_that_leave_the_model)
{
    static const char *const poolings[] = { "cls", "mean", "max", "last", "weightedmean" };
    for (int k = 0; k < 5; k++) {
        char config[600];
        kd_array hidden, pooled;
        snprintf(config, sizeof config, QWEN(",\"kd_pooling\":\"%s\""), poolings[k]);
        kd_model *model = encoder_made(ctx, config, NULL);
        OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
        OK(kd_model_output(model, "hidden", &hidden));
        OK(kd_model_output(model, "pooled", &pooled));
        check_pooled(poolings[k], hidden.data, pooled.data);
        kd_model_free(model);
    }
}
END_TEST

/* A language model gives its last row when it is asked, and keeps it for nobody else. */
START_TEST(a_language_model_pools_when_it_is_asked)
{
    kd_model *model = encoder_made(ctx, QWEN(""), NULL);
    kd_array hidden, pooled;
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    FAILS(kd_model_output(model, "pooled", &pooled), KD_ERR_NOT_FOUND, "call kd_model_keep");
    OK(kd_model_keep(model, "pooled", 1));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "hidden", &hidden));
    OK(kd_model_output(model, "pooled", &pooled));
    check_pooled("last", hidden.data, pooled.data);
    kd_model_free(model);
}
END_TEST

/* The rows of a prompt are seen by those after them, and are not in the mean. */
START_TEST(a_prompt_is_left_out_of_the_pooling)
{
    kd_model *model = encoder_made(
        ctx, QWEN(",\"kd_pooling\":\"weightedmean\",\"kd_include_prompt\":false"), NULL);
    const int64_t lengths[] = { 3, 9 }, wrong[] = { 3, -1 };
    const kd_array l = KD_ARRAY_1D(lengths, KD_INT64, 2), w = KD_ARRAY_1D(wrong, KD_INT64, 2);
    kd_array hidden, pooled;
    const double whole = sum_of(model, "pooled");
    OK(kd_batch_set_per_sample(batch, "prompt_length", &l, NULL));
    ck_assert(sum_of(model, "pooled") != whole);
    OK(kd_model_output(model, "hidden", &hidden));
    OK(kd_model_output(model, "pooled", &pooled));
    for (int i = 0; i < HIDDEN; i++) {
        double sum = 0;
        for (int r = 3; r < 7; r++) sum += (r + 1) * (double)((float *)hidden.data)[r * HIDDEN + i];
        NEAR((double)((float *)pooled.data)[i], sum / 22, 1e-6);
        ck_assert(((float *)pooled.data)[HIDDEN + i] == 0); /* all of it is prompt */
    }
    OK(kd_batch_set_per_sample(batch, "prompt_length", &w, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_RANGE,
          "'prompt_length': sample 1: expected 0 or more, got -1");
    kd_model_free(model);
}
END_TEST

/* The first row is then the first after the prompt; a sample that is all prompt is zeros. */
START_TEST(the_first_row_comes_after_a_prompt)
{
    kd_model *model =
        encoder_made(ctx, QWEN(",\"kd_pooling\":\"cls\",\"kd_include_prompt\":false"), NULL);
    const int64_t lengths[] = { 3, 9 };
    const kd_array l = KD_ARRAY_1D(lengths, KD_INT64, 2);
    kd_array hidden, pooled;
    for (int row = 0; row <= 3; row += 3) { /* without prompts, with them */
        if (row) OK(kd_batch_set_per_sample(batch, "prompt_length", &l, NULL));
        OK(kd_model_keep(model, "pooled", 1));
        OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
        OK(kd_model_output(model, "hidden", &hidden));
        OK(kd_model_output(model, "pooled", &pooled));
        const float *h = hidden.data, *p = pooled.data;
        for (int i = 0; i < HIDDEN; i++) {
            ck_assert(p[i] == h[row * HIDDEN + i]);
            ck_assert(p[HIDDEN + i] == (row ? 0 : h[7 * HIDDEN + i]));
        }
    }
    kd_model_free(model);
}
END_TEST

/* ---- gradients ---- */

static double moved(const char *config, int32_t tensor, int64_t at, float by)
{
    kd_model *model = encoder_made(ctx, config, NULL);
    kd_array v;
    OK(kd_model_tensor(model, tensor, NULL, &v));
    ((float *)v.data)[at] += by;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    const double sum = output_sum(model, "embedding");
    kd_model_free(model);
    return sum;
}

static void check_slopes(const char *config)
{
    const float h = 4e-3f;
    kd_model *model = encoder_made(ctx, config, NULL);
    int32_t count;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    push_back(model, "embedding");
    OK(kd_model_backward(model));
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i += getenv("KD_TEST_FEW") ? 5 : 1) {
        const char *name;
        kd_array g;
        OK(kd_model_tensor(model, i, &name, NULL));
        OK(kd_model_tensor_gradient(model, i, &g));
        for (int64_t at = kd_array_count(&g) / 3; at < kd_array_count(&g);
             at += 1 + kd_array_count(&g) / 2) {
            const double slope = (moved(config, i, at, h) - moved(config, i, at, -h)) / (2 * h);
            const double found = ((float *)g.data)[at];
            ck_assert_msg(fabs(slope - found) < 3e-3 + 0.02 * fabs(slope), "%s: %g, expected %g",
                          name, found, slope);
        }
    }
    kd_model_free(model);
}

START_TEST(gradients_are_those_of_central_differences)
{
    check_slopes(QWEN(LAST));
    check_slopes(QWEN(LAST TIED));
    check_slopes(QWEN(LAST BARE));
    check_slopes(QWEN(",\"kd_pooling\":\"weightedmean\""));
    check_slopes(QWEN(",\"kd_pooling\":\"mean\",\"kd_normalize\":true"));
}
END_TEST

/* Logits of the rows and vectors of the texts at once: the gradients are the sums of both. */
START_TEST(terms_on_logits_and_on_embeddings_add_up)
{
    float *sums[3] = { NULL };
    int64_t total = 0;
    for (int part = 0; part < 3; part++) {
        kd_model *model = encoder_made(ctx, QWEN(LAST TIED), NULL);
        kd_array g;
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        if (part != 1) push_back(model, "logits");
        if (part != 0) push_back(model, "embedding");
        OK(kd_model_backward(model));
        OK(kd_model_gradients(model, &g));
        total = kd_array_count(&g);
        sums[part] = malloc((size_t)total * sizeof(float));
        memcpy(sums[part], g.data, (size_t)total * sizeof(float));
        kd_model_free(model);
    }
    for (int64_t i = 0; i < total; i++)
        NEAR((double)sums[2][i], (double)sums[0][i] + (double)sums[1][i], 1e-4);
    for (int part = 0; part < 3; part++) free(sums[part]);
}
END_TEST

/* A decoder learns the vectors that another one gives the same texts. */
START_TEST(embeddings_are_learned_from_a_live_decoder)
{
    kd_model *model = encoder_made(ctx, QWEN(LAST BARE), NULL), *student;
    kd_teacher *teacher;
    kd_loss *loss;
    kd_targets *targets;
    kd_optimizer *optimizer;
    kd_context_options other = KD_CONTEXT_OPTIONS_INIT;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_context *its;
    double first = 0, last = 0;
    other.seed = 99;
    OK(kd_context_create(&its, &other));
    student = encoder_made(its, QWEN(LAST), NULL);
    o.student_output = o.teacher_field = "embedding";
    OK(kd_teacher_from_model(&teacher, model, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAM, NULL));
    OK(kd_optimizer_add_model(optimizer, student));
    for (int step = 0; step < 30; step++) {
        kd_loss_result result = { .struct_size = sizeof result };
        OK(kd_model_forward(student, batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(loss, student, batch, targets, NULL, &result));
        OK(kd_optimizer_step(optimizer, 1e-2));
        ck_assert_int_eq(result.rows[0], ENCODER_TEXTS);
        if (!step) first = result.value;
        last = result.value;
    }
    ck_assert_double_lt(last, 0.1 * first);
    kd_optimizer_free(optimizer);
    kd_targets_free(targets);
    kd_loss_free(loss);
    kd_teacher_free(teacher);
    kd_model_free(student);
    kd_context_free(its);
    kd_model_free(model);
}
END_TEST

/* ---- folders ---- */

static char *text_of(const char *folder, const char *name)
{
    char path[700];
    size_t size;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *text = read_whole(path, &size);
    text[size] = 0;
    return text;
}

START_TEST(a_folder_of_sentence_transformers_comes_back_whole)
{
    static const char *const configs[] = {
        QWEN(LAST ",\"kd_max_length\":9"), QWEN(LAST BARE ",\"kd_max_length\":9"),
        QWEN(LAST BARE TIED ",\"kd_max_length\":9"),
        QWEN(LAST TIED ",\"kd_max_length\":9,\"kd_include_prompt\":false")
    };
    for (int i = 0; i < 4; i++) {
        const char *folder = scratch_path("decoder-sentence"), *json;
        kd_model *model = encoder_made(ctx, configs[i], NULL), *again;
        OK(kd_model_save(model, folder, NULL));
        OK(kd_model_load(&again, ctx, folder, NULL));
        ck_assert(sum_of(model, "embedding") == sum_of(again, "embedding"));
        OK(kd_model_config(again, &json));
        ck_assert_ptr_nonnull(strstr(json, "\"kd_max_length\":9"));
        char *config = text_of(folder, "config.json"), *modules = text_of(folder, "modules.json");
        ck_assert_ptr_null(strstr(config, "kd_"));
        ck_assert_ptr_nonnull(strstr(modules, "\"3_Normalize\""));
        ck_assert_int_eq(!strstr(json, "kd_include_prompt"), i != 3);
        free(config), free(modules);
        kd_model_free(again);
        kd_model_free(model);
    }
}
END_TEST

/* As Qwen3-Embedding is published: a causal model's config beside the Model's names of tensors. */
START_TEST(a_causal_model_s_folder_may_have_the_names_of_its_trunk)
{
    const char *folder = scratch_path("decoder-names");
    char path[700], *config;
    kd_model *model = encoder_made(ctx, QWEN(LAST BARE TIED), NULL), *again;
    kd_array v;
    OK(kd_model_save(model, folder, NULL));
    config = text_of(folder, "config.json");
    char *name = strstr(config, "\"Qwen3Model\"");
    ck_assert_ptr_nonnull(name);
    char *made = malloc(strlen(config) + 64);
    sprintf(made, "%.*s\"Qwen3ForCausalLM\"%s", (int)(name - config), config, name + 12);
    snprintf(path, sizeof path, "%s/config.json", folder);
    write_file(path, made, strlen(made));
    OK(kd_model_load(&again, ctx, folder, NULL));
    ck_assert(sum_of(model, "embedding") == sum_of(again, "embedding"));
    OK(kd_model_output(again, "logits", &v));
    ck_assert_int_eq(v.dims[1], 17);
    free(config), free(made);
    kd_model_free(again);
    kd_model_free(model);
}
END_TEST

START_TEST(layers_and_widths_are_cut_with_the_dense_layers)
{
    kd_model *model = encoder_made(ctx, QWEN(LAST), NULL), *student;
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    kd_array v;
    OK(kd_student_create(&student, model, &o));
    ck_assert(sum_of(model, "embedding") == sum_of(student, "embedding"));
    kd_model_free(student);
    o.layers = 1;
    o.hidden_size = 8;
    OK(kd_student_create(&student, model, &o));
    OK(kd_model_forward(student, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(student, "pooled", &v));
    ck_assert_int_eq(v.dims[1], 8);
    OK(kd_model_output(student, "embedding", &v));
    ck_assert_int_eq(v.dims[1], DENSE);
    kd_model_free(student);
    o.config = "{\"kd_dense\":[{\"out_features\":3}]}";
    FAILS(kd_student_create(&student, model, &o), KD_ERR_CONFIG, "3 were asked for");
    kd_model_free(model);
}
END_TEST

/* ---- what is refused ---- */

static void refuse(const char *config, kd_status status, const char *text)
{
    kd_model *model = NULL;
    FAILS(kd_model_create(&model, ctx, config, NULL), status, text);
    ck_assert_ptr_null(model);
}

START_TEST(what_has_no_meaning_is_refused_by_name)
{
    kd_model *model;
    kd_generator *generator;
    refuse(QWEN(",\"kd_pooling\":\"median\""), KD_ERR_CONFIG, "got \"median\"");
    refuse(QWEN(",\"kd_dense\":[{\"width\":3}]"), KD_ERR_CONFIG, "\"width\" is unknown");
    refuse(QWEN(",\"architectures\":[\"LlamaModel\"]"), KD_ERR_UNSUPPORTED, "\"LlamaModel\"");
    refuse(QWEN(TIED ",\"kd_embedding_size\":4,\"kd_pooling\":\"last\""), KD_ERR_UNSUPPORTED,
           "factorized embedding");
    model = encoder_made(ctx, QWEN(",\"kd_max_length\":6"), NULL);
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_RANGE,
          "sequence 0 has 7 tokens, the model takes 6");
    kd_model_free(model);
    model = encoder_made(ctx, QWEN(BARE), NULL);
    FAILS(kd_generator_create(&generator, model, NULL), KD_ERR_UNSUPPORTED, "has no head");
    kd_array v;
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    FAILS(kd_model_output(model, "logits", &v), KD_ERR_NOT_FOUND, "logits");
    kd_model_free(model);
}
END_TEST

Suite *decoder_samples_suite(void)
{
    Suite *suite = suite_create("decoder_samples");
    TCase *tests = tcase_create("decoder_samples");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_pooling_is_of_the_rows_that_leave_the_model);
    tcase_add_test(tests, a_language_model_pools_when_it_is_asked);
    tcase_add_test(tests, a_prompt_is_left_out_of_the_pooling);
    tcase_add_test(tests, the_first_row_comes_after_a_prompt);
    tcase_add_test(tests, gradients_are_those_of_central_differences);
    tcase_add_test(tests, terms_on_logits_and_on_embeddings_add_up);
    tcase_add_test(tests, embeddings_are_learned_from_a_live_decoder);
    tcase_add_test(tests, a_folder_of_sentence_transformers_comes_back_whole);
    tcase_add_test(tests, a_causal_model_s_folder_may_have_the_names_of_its_trunk);
    tcase_add_test(tests, layers_and_widths_are_cut_with_the_dense_layers);
    tcase_add_test(tests, what_has_no_meaning_is_refused_by_name);
    suite_add_tcase(suite, tests);
    return suite;
}
