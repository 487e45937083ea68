/* Networks as towers: transformers of packed and of ragged tokens, batch norms, decoders with a
 * head; what is refused. */
#include "towerkit.h"

static kd_context *ctx;
static tower_batch all;

static void setup(void)
{
    ctx = make_context(2);
    memset(&all, 0, sizeof all);
    fill_towers(&all, ctx, 0, PAIRS, NULL);
}

static void teardown(void)
{
    kd_batch_free(all.batch);
    kd_context_free(ctx);
}

static kd_model *made(const char *config)
{
    kd_model *model;
    OK(kd_model_create(&model, ctx, config, NULL));
    return model;
}

static int64_t bytes_of(kd_context *context)
{
    kd_context_info info = { .struct_size = sizeof info };
    OK(kd_context_get_info(context, &info));
    return info.bytes;
}

/* ---- transformers as towers ---- */

#define TRANSFORMERS                                                                               \
    "{\"model_type\":\"towers\",\"projection_dim\":6,\"normalize\":true,\"towers\":{"              \
    "\"image\":{\"model_type\":\"vit\",\"image_size\":4,\"patch_size\":2,\"num_channels\":1,"      \
    "\"hidden_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":2,"                         \
    "\"intermediate_size\":12,\"initializer_range\":0.3},"                                         \
    "\"text\":{\"model_type\":\"bert\",\"vocab_size\":17,\"hidden_size\":12,"                      \
    "\"num_hidden_layers\":2,\"num_attention_heads\":3,\"intermediate_size\":20,"                  \
    "\"max_position_embeddings\":12,\"initializer_range\":0.3,\"kd_pooling\":\"mean\","            \
    "\"hidden_dropout_prob\":0.0,\"attention_probs_dropout_prob\":0.0%s}},"                        \
    "\"fusion\":{\"type\":\"gated\"}}"

enum { TEXTS = 4, TEXT_ROWS = 9 };

/* Packed tokens beside images of samples; the third sample has no image, the second no text. */
static kd_batch *packed(int of_samples)
{
    static int64_t tokens[TEXT_ROWS] = { 2, 7, 16, 4, 11, 3, 9, 5, 12 },
                   offsets[] = { 0, 3, 3, 5, TEXT_ROWS };
    static float pixels[TEXTS * 16];
    static uint8_t there[TEXTS] = { 1, 1, 0, 1 };
    const kd_array o = KD_ARRAY_1D(offsets, KD_INT64, TEXTS + 1),
                   t = KD_ARRAY_1D(tokens, KD_INT64, TEXT_ROWS),
                   x = KD_ARRAY_2D(pixels, KD_FLOAT32, TEXTS, 16),
                   p = KD_ARRAY_1D(there, KD_UINT8, TEXTS);
    kd_batch *batch;
    for (int i = 0; i < TEXTS * 16; i++) pixels[i] = number_at(i);
    OK(kd_batch_create(&batch, ctx, NULL));
    if (of_samples) OK(kd_batch_begin(batch, TEXTS));
    else OK(kd_batch_begin_packed(batch, &o));
    if (of_samples) OK(kd_batch_set_ragged(batch, "tokens", &t, &o, NULL));
    else OK(kd_batch_set(batch, "tokens", &t, NULL));
    OK(kd_batch_set_per_sample(batch, "pixels", &x, &p));
    return batch;
}

static double push_all(kd_model *model, kd_batch *batch)
{
    static float by[TEXTS * 8];
    static const char *const names[] = { "embedding.image", "embedding.text", "fused" };
    double sum = 0;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    for (int n = 0; n < 3; n++) {
        kd_array g;
        const float *x = output_of(model, names[n], &g);
        for (int64_t i = 0; i < kd_array_count(&g); i++) {
            by[i] = number_at(7 * i + n);
            sum += (double)by[i] * x[i];
        }
        g.data = by;
        OK(kd_model_add_output_gradient(model, names[n], &g));
    }
    OK(kd_model_backward(model));
    return sum;
}

/* Packed rows of the batch, or ragged rows beside samples: the same, and gradients are right. */
START_TEST(transformers_are_towers_of_packed_and_of_ragged_tokens)
{
    char config[2000];
    kd_batch *rows = packed(0), *ragged = packed(1);
    kd_array g, p, out;
    snprintf(config, sizeof config, TRANSFORMERS, "");
    kd_model *model = made(config), *other = made(config);
    const double a = push_all(model, rows), b = push_all(other, ragged);
    NEAR(a, b, 1e-9);
    OK(kd_model_parameters(model, &p));
    OK(kd_model_gradients(model, &g));
    float *x = p.data, *dx = malloc((size_t)p.dims[0] * sizeof *dx);
    memcpy(dx, g.data, (size_t)p.dims[0] * sizeof *dx);
    for (int64_t i = 0; i < p.dims[0]; i += 13) {
        const float before = x[i];
        x[i] = before + 5e-3f;
        const double above = push_all(model, rows);
        x[i] = before - 5e-3f;
        const double below = push_all(model, rows);
        x[i] = before;
        NEAR((above - below) / 1e-2, dx[i], 5e-3 * (1 + fabs(dx[i])));
    }
    OK(kd_model_forward(model, rows, KD_MODE_TRAIN));
    OK(kd_model_output(model, "text.hidden.1", &out));
    ck_assert_int_eq(out.dims[0], TEXT_ROWS);
    OK(kd_model_output(model, "image.hidden.0", &out));
    ck_assert_int_eq(out.dims[0], TEXTS);
    ck_assert(((float *)out.data)[2 * out.dims[1] * out.dims[2]] == 0);
    OK(kd_model_forward(other, ragged, KD_MODE_TRAIN));
    FAILS(kd_model_output(other, "text.hidden.1", &out), KD_ERR_UNSUPPORTED, "its rows are those");
    OK(kd_model_output(other, "text.pooled", &out));
    free(dx);
    kd_batch_free(rows);
    kd_batch_free(ragged);
    kd_model_free(other);
    kd_model_free(model);
}
END_TEST

START_TEST(memory_of_transformers_is_told_and_less_where_a_tower_is_frozen)
{
    char config[2000];
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info plan[2] = { { .struct_size = sizeof *plan },
                                     { .struct_size = sizeof *plan } };
    kd_batch *rows = packed(0);
    for (int frozen = 0; frozen < 2; frozen++) {
        kd_context *fresh = make_context(2); /* without scratch */
        kd_model *model;
        snprintf(config, sizeof config, TRANSFORMERS,
                 frozen ? ",\"rows_per_sample\":4,\"frozen\":true" : ",\"rows_per_sample\":4");
        o.max_rows = TEXTS;
        OK(kd_model_estimate_memory(fresh, config, &o, &plan[frozen]));
        const int64_t before = bytes_of(fresh);
        OK(kd_model_create(&model, fresh, config, &o));
        push_all(model, rows);
        const int64_t taken = bytes_of(fresh) - before;
        ck_assert_msg(taken >= plan[frozen].total_bytes &&
                          taken < plan[frozen].total_bytes + 65536, /* tables of tensors */
                      "told %lld, taken %lld", (long long)plan[frozen].total_bytes,
                      (long long)taken);
        kd_model_free(model);
        kd_context_free(fresh);
    }
    ck_assert_int_lt(plan[1].activation_bytes, plan[0].activation_bytes);
    kd_batch_free(rows);
}
END_TEST

/* Each text lacks: packed tokens are no rows, and the images are still there. */
START_TEST(a_batch_of_images_whose_texts_all_lack_is_not_empty)
{
    char config[2000];
    int64_t offsets[] = { 0, 0, 0 }, none = 0;
    float pixels[32];
    const kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 3), t = KD_ARRAY_1D(&none, KD_INT64, 0),
                   x = KD_ARRAY_2D(pixels, KD_FLOAT32, 2, 16);
    kd_batch *batch;
    kd_array out, present;
    for (int i = 0; i < 32; i++) pixels[i] = number_at(i);
    snprintf(config, sizeof config, TRANSFORMERS, "");
    kd_model *model = made(config);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &o));
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    OK(kd_batch_set_per_sample(batch, "pixels", &x, NULL));
    push_all(model, batch);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    ck_assert(output_of(model, "embedding.image", &out)[0] != 0);
    OK(kd_model_output_present(model, "embedding.text", &present));
    ck_assert(!((uint8_t *)present.data)[0] && !((uint8_t *)present.data)[1]);
    OK(kd_model_output_present(model, "embedding.image", &present));
    ck_assert(!present.data);
    kd_batch_free(batch);
    kd_model_free(model);
}
END_TEST

/* ---- networks with peculiarities ---- */

#define WITH_NORM                                                                                  \
    TOWERS(UNIT_LENGTH ",\"towers\":{\"image\":{\"model_type\":\"sequential\",\"input_shape\":"    \
                       "[2,2,2],\"input\":\"pixels\",\"layers\":[{\"type\":\"conv2d\","            \
                       "\"channels\":3,\"kernel_size\":2},{\"type\":\"batch_norm2d\"},"            \
                       "{\"type\":\"linear\",\"units\":6}]}," TEXT_TOWER "}")

static kd_loss *pairs_loss(void)
{
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_pair_options pairs = KD_PAIR_OPTIONS_INIT;
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "embedding.image";
    pairs.other_output = "embedding.text";
    OK(kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &o, NULL));
    OK(kd_loss_set_pairs(loss, 0, &pairs));
    return loss;
}

/* Statistics are those of the samples that are there; a part of a batch has not the whole's. */
START_TEST(batch_norms_see_the_images_that_are_there_and_no_chunks)
{
    static const int lacks[PAIRS] = { 0, NO_IMAGE, 0, 0, NO_IMAGE, 0 };
    kd_model *model = made(WITH_NORM), *other = made(WITH_NORM);
    kd_loss *loss = pairs_loss();
    tower_batch parts[2] = { { 0 } };
    int32_t index;
    fill_towers(&all, ctx, 0, PAIRS, lacks);
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    for (int i = 0; i < 2 * PIXELS; i++) { /* what is absent may be anything */
        all.pixels[PIXELS + i % PIXELS] = 1e6f;
        all.pixels[4 * PIXELS + i % PIXELS] = -1e6f;
    }
    const kd_array x = KD_ARRAY_2D(all.pixels, KD_FLOAT32, PAIRS, PIXELS),
                   p = KD_ARRAY_1D(all.has_image, KD_UINT8, PAIRS);
    OK(kd_batch_set(all.batch, "pixels", &x, &p));
    OK(kd_model_forward(other, all.batch, KD_MODE_TRAIN));
    const kd_array a = tensor_named(model, "towers.image.layers.1.running_var", &index),
                   b = tensor_named(other, "towers.image.layers.1.running_var", &index);
    ck_assert_mem_eq(a.data, b.data, 3 * sizeof(float));
    ck_assert(((float *)a.data)[0] != 1);
    for (int i = 0; i < 2; i++) fill_towers(&parts[i], ctx, 3 * i, 3, lacks);
    kd_batch *chunks[] = { parts[0].batch, parts[1].batch };
    FAILS(kd_loss_backward_chunks(loss, model, chunks, NULL, 2, NULL, NULL), KD_ERR_UNSUPPORTED,
          "tower 'image': batch norm");
    kd_loss_free(loss); /* a term of rows, which needs no rehearsal */
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    float wanted[3 * JOINED] = { 0 };
    const kd_array w = KD_ARRAY_2D(wanted, KD_FLOAT32, 3, JOINED);
    o.student_output = "embedding.image";
    o.label_field = "wanted";
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_MEAN_SQUARED_ERROR, 1, &o, NULL));
    for (int i = 0; i < 2; i++) OK(kd_batch_set(chunks[i], "wanted", &w, NULL));
    FAILS(kd_loss_backward_chunks(loss, model, chunks, NULL, 2, NULL, NULL), KD_ERR_UNSUPPORTED,
          "tower 'image': batch norm");
    kd_batch_free(chunks[0]);
    kd_batch_free(chunks[1]);
    kd_loss_free(loss);
    kd_model_free(other);
    kd_model_free(model);
}
END_TEST

#define CAPTIONS                                                                                   \
    "{\"model_type\":\"towers\",\"projection_dim\":5,\"normalize\":true,\"towers\":{"              \
    "\"image\":{\"model_type\":\"mlp\",\"input_size\":16,\"num_labels\":6,"                        \
    "\"input\":\"pixels\"},\"text\":{\"model_type\":\"llama\",\"vocab_size\":17,"                  \
    "\"hidden_size\":8,\"intermediate_size\":12,\"num_hidden_layers\":2,"                          \
    "\"num_attention_heads\":2,\"max_position_embeddings\":16,\"initializer_range\":0.3}}}"

/* A decoder as a tower: next tokens through its head, in blocks, and pairs by its last rows. */
START_TEST(a_decoder_learns_captions_and_pairs_at_once)
{
    kd_model *model = made(CAPTIONS);
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_pair_options pairs = KD_PAIR_OPTIONS_INIT;
    kd_loss_result r = { .struct_size = sizeof r };
    kd_batch *batch = packed(0);
    kd_array p, g;
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "text.logits";
    o.label_field = "tokens";
    o.align = KD_ALIGN_NEXT;
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &o, NULL));
    o = (kd_term_options)KD_TERM_OPTIONS_INIT;
    o.student_output = "embedding.image";
    OK(kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &o, NULL));
    pairs.other_output = "embedding.text";
    OK(kd_loss_set_pairs(loss, 1, &pairs));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, batch, NULL, NULL, &r));
    ck_assert_int_eq(r.rows[0], 2 + 1 + 3);
    ck_assert_int_eq(r.rows[1], 2);
    OK(kd_model_parameters(model, &p));
    OK(kd_model_gradients(model, &g));
    float *x = p.data, *dx = g.data;
    OK(kd_model_keep(model, "text.logits", 1));
    for (int64_t i = 0; i < p.dims[0]; i += 7) {
        double values[2];
        const float before = x[i];
        for (int side = 0; side < 2; side++) {
            x[i] = before + (side ? -4e-3f : 4e-3f);
            OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
            OK(kd_loss_forward(loss, model, batch, NULL, NULL, &r));
            values[side] = r.value;
        }
        x[i] = before;
        NEAR((values[0] - values[1]) / 8e-3, dx[i], 3e-3 * (1 + fabs(dx[i])));
    }
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_model_free(model);
}
END_TEST

/* ---- what is refused ---- */

static void refuses(const char *config, kd_status status, const char *text)
{
    kd_model *none = NULL;
    FAILS(kd_model_create(&none, ctx, config, NULL), status, text);
    ck_assert(!none);
}

START_TEST(configs_that_make_no_sense_are_refused_by_name)
{
    refuses("{\"model_type\":\"towers\",\"towers\":{" IMAGE_TOWER "," TEXT_TOWER "}}",
            KD_ERR_CONFIG,
            "embedding.image has 6 numbers, embedding.text has 4: set "
            "projection_dim");
    refuses("{\"model_type\":\"towers\"}", KD_ERR_CONFIG, "an object of 1 to 16 towers");
    refuses("{\"model_type\":\"towers\",\"towers\":{}}", KD_ERR_CONFIG, "1 to 16 towers");
    refuses("{\"model_type\":\"towers\",\"towers\":{\"a.b\":{}}}", KD_ERR_CONFIG, "\"a.b\"");
    refuses("{\"model_type\":\"towers\",\"towers\":{\"a\":3}}", KD_ERR_CONFIG, "tower 'a'");
    refuses("{\"model_type\":\"towers\",\"towers\":{\"a\":{\"model_type\":\"towers\"}}}",
            KD_ERR_CONFIG, "none holds towers");
    refuses("{\"model_type\":\"towers\",\"towers\":{\"a\":{\"model_type\":\"mlp\",\"input_size\":3,"
            "\"num_labels\":2,\"kd_heads\":{\"b\":{\"num_labels\":2}}}}}",
            KD_ERR_CONFIG, "kd_heads beside \"towers\"");
    refuses(TOWERS(TWO ",\"fusion\":{\"type\":\"sum\"}"), KD_ERR_CONFIG, "mean, concat or gated");
    refuses(TOWERS(TWO ",\"fusion\":{\"missing\":\"zero\"}"), KD_ERR_CONFIG, "learned or mean");
    refuses(TOWERS(TWO ",\"fusion\":{\"drop\":{\"sound\":0.1}}"), KD_ERR_CONFIG,
            "no tower \"sound\"");
    refuses(TOWERS(TWO ",\"fusion\":{\"drop\":{\"text\":1.5}}"), KD_ERR_CONFIG,
            "drop: config: text: expected 0 to 1, got 1.5");
    refuses(TOWERS(TWO ",\"fusion\":{\"out_features\":9}"), KD_ERR_CONFIG, "as many numbers");
    refuses(TOWERS(TWO ",\"fusion\":7"), KD_ERR_CONFIG, "fusion: expected an object");
    refuses(TOWERS(TWO ",\"logit_scale_init_value\":5"), KD_ERR_CONFIG, "logit_scale_init_value");
    refuses(TOWERS(TWO ",\"pooling\":\"mean\""), KD_ERR_CONFIG, "\"pooling\" is unknown");
    refuses(TOWERS(",\"towers\":{\"image\":{\"model_type\":\"mlp\",\"input_size\":3,"
                   "\"num_labels\":2,\"output\":\"hidden.7\"}}"),
            KD_ERR_CONFIG, "tower 'image': config: output: expected an output of the network");
    refuses(TOWERS(",\"towers\":{\"image\":{\"model_type\":\"mlp\",\"input_size\":3,"
                   "\"num_labels\":2,\"pooling\":\"median\"}}"),
            KD_ERR_CONFIG, "pooling");
}
END_TEST

START_TEST(batches_and_calls_that_do_not_fit_are_refused_by_name)
{
    kd_model *model = made(TOWERS(SCALED UNIT_LENGTH THREE)), *none = NULL;
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_student_options cut = KD_STUDENT_OPTIONS_INIT;
    kd_batch *other;
    float x[6] = { 0 };
    const kd_array xs = KD_ARRAY_2D(x, KD_FLOAT32, 2, 3);
    OK(kd_batch_create(&other, ctx, NULL));
    OK(kd_batch_begin(other, 2));
    FAILS(kd_model_forward(model, other, KD_MODE_TRAIN), KD_ERR_NOT_FOUND,
          "none of the fields that the towers read: 'pixels', 'tokens', 'frames'");
    OK(kd_batch_set(other, "pixels", &xs, NULL));
    FAILS(kd_model_forward(model, other, KD_MODE_TRAIN), KD_ERR_SHAPE,
          "tower 'image': field 'pixels': expected 8 numbers a row, got 3");
    FAILS(kd_student_create(&none, model, &cut), KD_ERR_UNSUPPORTED, "towers");
    o.weights = KD_INT8;
    o.frozen = 1;
    FAILS(kd_model_create(&none, ctx, TOWERS(SCALED UNIT_LENGTH THREE), &o), KD_ERR_UNSUPPORTED,
          "float32 only");
    o.weights = KD_FLOAT32;
    o.frozen = 0;
    o.shared_gradients = 1;
    FAILS(kd_model_create(&none, ctx, TOWERS(SCALED UNIT_LENGTH THREE), &o), KD_ERR_UNSUPPORTED,
          "shared_gradients");
    kd_model *still = made(TOWERS(",\"towers\":{" TEXT_TOWER ",\"image\":{\"model_type\":\"mlp\","
                                  "\"input_size\":8,\"num_labels\":6,\"input\":\"pixels\","
                                  "\"frozen\":true}}"));
    OK(kd_model_forward(still, all.batch, KD_MODE_TRAIN));
    OK(kd_model_freeze(still, "towers.image.*", 0));
    FAILS(kd_model_forward(still, all.batch, KD_MODE_TRAIN), KD_ERR_STATE, "leave \"frozen\" out");
    kd_model_free(still);
    kd_batch_free(other);
    kd_model_free(model);
}
END_TEST

Suite *towers_networks_suite(void)
{
    Suite *suite = suite_create("towers_networks");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, memory_of_transformers_is_told_and_less_where_a_tower_is_frozen);
    tcase_add_test(tests, transformers_are_towers_of_packed_and_of_ragged_tokens);
    tcase_add_test(tests, a_batch_of_images_whose_texts_all_lack_is_not_empty);
    tcase_add_test(tests, batch_norms_see_the_images_that_are_there_and_no_chunks);
    tcase_add_test(tests, a_decoder_learns_captions_and_pairs_at_once);
    tcase_add_test(tests, configs_that_make_no_sense_are_refused_by_name);
    tcase_add_test(tests, batches_and_calls_that_do_not_fit_are_refused_by_name);
    suite_add_tcase(suite, tests);
    return suite;
}
