/* Encoders: numbers against transformers, gradients against central differences, what training and
 * frozen models may do. Folders are in test_encoder_folders.c. */
#include "encoderkit.h"

#include "../../goldens/encoder_goldens.h"

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

static void compare(const float *x, const double *expected, int64_t count, double tolerance)
{
    for (int64_t i = 0; i < count; i++) NEAR((double)x[i], expected[i], tolerance);
}

static void check_golden(const char *config, const double *hidden, const double *logits,
                         const char *const *names, const double *sums)
{
    static float wave[ENCODER_ROWS * 12];
    float slopes[ENCODER_TEXTS * 3] = { 1, -2, 0.5f, 1, -2, 0.5f };
    kd_array h, z, w = KD_ARRAY_2D(wave, KD_FLOAT32, ENCODER_ROWS, 12),
                   s = KD_ARRAY_2D(slopes, KD_FLOAT32, ENCODER_TEXTS, 3);
    kd_model *model = encoder_made(ctx, config, NULL);
    encoder_fill(model);
    for (int i = 0; i < ENCODER_ROWS * 12; i++) wave[i] = (float)sin(0.9 * i);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "hidden", &h));
    compare(h.data, hidden, ENCODER_ROWS * 12, 2e-5);
    OK(kd_model_output(model, "logits", &z));
    ck_assert_int_eq(z.dims[0], ENCODER_TEXTS);
    compare(z.data, logits, ENCODER_TEXTS * 3, 2e-5);
    OK(kd_model_add_output_gradient(model, "hidden", &w));
    OK(kd_model_add_output_gradient(model, "logits", &s));
    OK(kd_model_backward(model));
    encoder_compare_gradients(model, names, sums);
    kd_model_free(model);
}

START_TEST(outputs_and_gradients_are_those_of_transformers)
{
    check_golden(BERT(NO_DROPOUT CLASSES), bert_hidden, bert_logits, bert_names, bert_gradients);
    check_golden(
        "{\"model_type\":\"roberta\",\"vocab_size\":17,\"hidden_size\":12,"
        "\"num_hidden_layers\":2,\"num_attention_heads\":3,\"intermediate_size\":20,"
        "\"max_position_embeddings\":12,"
        "\"architectures\":[\"RobertaForSequenceClassification\"],\"num_labels\":3" NO_DROPOUT "}",
        roberta_hidden, roberta_logits, roberta_names, roberta_gradients);
    check_golden("{\"model_type\":\"distilbert\",\"vocab_size\":17,\"dim\":12,\"n_layers\":2,"
                 "\"n_heads\":3,\"hidden_dim\":20,\"max_position_embeddings\":12,\"dropout\":0.0,"
                 "\"attention_dropout\":0.0,\"seq_classif_dropout\":0.0,\"num_labels\":3,"
                 "\"architectures\":[\"DistilBertForSequenceClassification\"]}",
                 distilbert_hidden, distilbert_logits, distilbert_names, distilbert_gradients);
}
END_TEST

/* ---- gradients ---- */

/* The output's sum after one training pass of a fresh model, whose dropout draws the same masks,
 * with one number moved. */
static double moved(const char *config, const char *output, int32_t tensor, int64_t at, float by)
{
    kd_model *model = encoder_made(ctx, config, NULL);
    kd_array v;
    OK(kd_model_tensor(model, tensor, NULL, &v));
    ((float *)v.data)[at] += by;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    const double sum = output_sum(model, output);
    kd_model_free(model);
    return sum;
}

static void check_slopes(const char *config, const char *output)
{
    const float h = 4e-3f;
    kd_model *model = encoder_made(ctx, config, NULL);
    int32_t count;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    push_back(model, output);
    OK(kd_model_backward(model));
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i += getenv("KD_TEST_FEW") ? 7 : 1) {
        const char *name;
        kd_array g;
        OK(kd_model_tensor(model, i, &name, NULL));
        OK(kd_model_tensor_gradient(model, i, &g));
        for (int64_t at = kd_array_count(&g) / 3; at < kd_array_count(&g);
             at += 1 + kd_array_count(&g) / 2) {
            const double slope =
                (moved(config, output, i, at, h) - moved(config, output, i, at, -h)) / (2 * h);
            const double found = ((float *)g.data)[at];
            ck_assert_msg(fabs(slope - found) < 3e-3 + 0.02 * fabs(slope), "%s %s: %g, expected %g",
                          output, name, found, slope);
        }
    }
    kd_model_free(model);
}

START_TEST(gradients_are_those_of_central_differences)
{
    check_slopes(BERT(CLASSES NO_DROPOUT), "logits");
    check_slopes(BERT(SENTENCE NO_DROPOUT), "embedding");
    check_slopes(BERT(NO_DROPOUT ",\"kd_pooling\":\"cls\""), "pooled");
    check_slopes(BERT(NO_DROPOUT ",\"kd_pooling\":\"last\""), "pooled");
    check_slopes(BERT(NO_DROPOUT ",\"kd_pooling\":\"max\""), "pooled");
    check_slopes(BERT(NO_DROPOUT ",\"kd_pooling\":\"weightedmean\""), "pooled");
    check_slopes(BERT(NO_DROPOUT), "hidden.embedding");
    check_slopes(BERT(NO_DROPOUT), "hidden.0");
}
END_TEST

START_TEST(dropout_is_pushed_back_through_the_masks_that_were_drawn)
{
    check_slopes(BERT(",\"hidden_dropout_prob\":0.4" CLASSES), "logits");
    check_slopes(BERT(",\"hidden_dropout_prob\":0.4" SENTENCE), "embedding");
    check_slopes(BERT(",\"attention_probs_dropout_prob\":0.4,\"hidden_dropout_prob\":0"), "hidden");
}
END_TEST

START_TEST(dropout_is_of_training_passes_only_and_each_draws_its_own)
{
    kd_model *model = encoder_made(ctx, BERT(CLASSES), NULL);
    double evaluated[2], trained[2];
    for (int i = 0; i < 2; i++) {
        OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
        evaluated[i] = output_sum(model, "logits");
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        trained[i] = output_sum(model, "logits");
    }
    ck_assert(evaluated[0] == evaluated[1]);
    ck_assert(trained[0] != trained[1] && trained[0] != evaluated[0]);
    kd_model_free(model);
}
END_TEST

/* ---- ways of training ---- */

/* All gradients after one pass; the caller frees them. */
static float *gradients_with(const char *config, const kd_model_options *o, int64_t *count)
{
    kd_model *model = encoder_made(ctx, config, o);
    kd_array g;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    push_back(model, "embedding");
    push_back(model, "hidden.0");
    OK(kd_model_backward(model));
    OK(kd_model_gradients(model, &g));
    *count = g.dims[0];
    float *to = malloc((size_t)*count * sizeof *to);
    memcpy(to, g.data, (size_t)*count * sizeof *to);
    kd_model_free(model);
    return to;
}

START_TEST(recomputing_gives_the_same_bits_and_16_bits_near_ones)
{
    static const char config[] = BERT(",\"hidden_dropout_prob\":0.2" SENTENCE);
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    int64_t n;
    float *whole = gradients_with(config, NULL, &n);
    for (int32_t layers = 0; layers < 2; layers++) {
        o.recompute = 1;
        o.recompute_layers = layers;
        float *again = gradients_with(config, &o, &n);
        ck_assert_mem_eq(whole, again, (size_t)n * sizeof *whole);
        free(again);
    }
    o = (kd_model_options)KD_MODEL_OPTIONS_INIT;
    o.activations = KD_BFLOAT16;
    float *halved = gradients_with(config, &o, &n);
    double error = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        error += pow((double)(halved[i] - whole[i]), 2);
        size += pow((double)whole[i], 2);
    }
    ck_assert_double_gt(error, 0);
    ck_assert_double_lt(error, 1e-4 * size);
    free(halved);
    free(whole);
}
END_TEST

START_TEST(threads_do_not_change_a_bit)
{
    static const char config[] = BERT(",\"hidden_dropout_prob\":0.2" SENTENCE);
    static const int32_t threads[] = { 1, 2, 3, 8 };
    float *first = NULL;
    int64_t n;
    for (int i = 0; i < 4; i++) {
        teardown();
        ctx = make_context(threads[i]);
        batch = encoder_batch(ctx);
        float *found = gradients_with(config, NULL, &n);
        if (first) {
            ck_assert_mem_eq(first, found, (size_t)n * sizeof *first);
            free(found);
        } else first = found;
    }
    free(first);
}
END_TEST

START_TEST(gradients_add_up_until_a_step)
{
    static const char config[] = BERT(NO_DROPOUT CLASSES);
    kd_model *model = encoder_made(ctx, config, NULL);
    kd_array g;
    float *once = NULL;
    for (int pass = 0; pass < 2; pass++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        push_back(model, "logits");
        OK(kd_model_backward(model));
        OK(kd_model_gradients(model, &g));
        if (!once) {
            once = malloc((size_t)g.dims[0] * sizeof *once);
            memcpy(once, g.data, (size_t)g.dims[0] * sizeof *once);
        }
    }
    for (int64_t i = 0; i < g.dims[0]; i++)
        NEAR((double)((float *)g.data)[i], 2 * (double)once[i], 1e-4 * (1 + fabs((double)once[i])));
    free(once);
    kd_model_free(model);
}
END_TEST

/* A pooler that no output goes through has gradients of 0, whatever was there before. */
START_TEST(what_no_output_uses_has_gradients_of_zero)
{
    kd_model *model = encoder_made(ctx, BERT(NO_DROPOUT), NULL);
    kd_array all, g;
    const char *name;
    int32_t count;
    OK(kd_model_gradients(model, &all));
    for (int64_t i = 0; i < all.dims[0]; i++) ((float *)all.data)[i] = NAN;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    push_back(model, "embedding");
    OK(kd_model_backward(model));
    OK(kd_model_tensor_count(model, &count));
    OK(kd_model_tensor(model, count - 1, &name, NULL));
    ck_assert_str_eq(name, "pooler.dense.bias");
    OK(kd_model_tensor_gradient(model, count - 1, &g));
    for (int64_t i = 0; i < g.dims[0]; i++) ck_assert(((float *)g.data)[i] == 0);
    for (int64_t i = 0; i < all.dims[0]; i++) ck_assert(isfinite(((float *)all.data)[i]));
    kd_model_free(model);
}
END_TEST

START_TEST(adapters_train_and_the_trunk_stays)
{
    kd_model *model = encoder_made(ctx, BERT(NO_DROPOUT SENTENCE), NULL);
    kd_optimizer *optimizer;
    kd_array p, v;
    const char *name;
    int32_t count;
    OK(kd_model_add_lora(model, "*.query.weight", NULL));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    OK(kd_model_tensor(model, 0, NULL, &p));
    const float before = ((float *)p.data)[3];
    double sum[2];
    for (int step = 0; step < 2; step++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        sum[step] = output_sum(model, "embedding");
        push_back(model, "embedding");
        OK(kd_model_backward(model));
        OK(kd_optimizer_step(optimizer, 1e-2));
    }
    ck_assert_double_lt(sum[1], sum[0]);
    ck_assert(((float *)p.data)[3] == before);
    OK(kd_model_tensor_count(model, &count));
    OK(kd_model_tensor(model, count - 1, &name, &v));
    ck_assert_str_eq(name, "encoder.layer.1.attention.self.query.weight.lora_B");
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}
END_TEST

START_TEST(eight_bits_are_near_and_layers_may_share_gradients)
{
    static const char config[] = BERT(NO_DROPOUT SENTENCE);
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model *whole = encoder_made(ctx, config, NULL), *eight, *sharing;
    kd_model_info facts = { .struct_size = sizeof facts };
    kd_optimizer *optimizer;
    o.frozen = 1;
    o.weights = KD_INT8;
    eight = encoder_made(ctx, config, &o);
    OK(kd_model_forward(whole, batch, KD_MODE_EVALUATE));
    OK(kd_model_forward(eight, batch, KD_MODE_EVALUATE));
    NEAR(output_sum(eight, "hidden"), output_sum(whole, "hidden"), 1);
    ck_assert(output_sum(eight, "hidden") != output_sum(whole, "hidden"));
    OK(kd_model_get_info(eight, &facts));
    ck_assert_int_eq(facts.layers, 2);
    o = (kd_model_options)KD_MODEL_OPTIONS_INIT;
    o.shared_gradients = 1;
    sharing = encoder_made(ctx, config, &o);
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(optimizer, sharing));
    double sum[2];
    for (int step = 0; step < 2; step++) {
        OK(kd_model_forward(sharing, batch, KD_MODE_TRAIN));
        sum[step] = output_sum(sharing, "embedding");
        OK(kd_optimizer_begin_step(optimizer, 1e-2));
        push_back(sharing, "embedding");
        OK(kd_model_backward(sharing));
        OK(kd_optimizer_step(optimizer, 1e-2));
    }
    ck_assert_double_lt(sum[1], sum[0]);
    kd_optimizer_free(optimizer);
    kd_model_free(sharing);
    kd_model_free(eight);
    kd_model_free(whole);
}
END_TEST

/* ---- samples ---- */

/* Texts alone, and one of no rows between them. */
START_TEST(a_text_gives_the_same_in_every_batch_and_no_rows_give_zero)
{
    kd_model *model = encoder_made(ctx, BERT(NO_DROPOUT SENTENCE), NULL);
    int64_t tokens[ENCODER_ROWS] = { 2, 7, 16, 4, 11, 3, 9, 5, 12, 8, 14 },
            offsets[] = { 0, 7, 7, 11 }, alone[] = { 0, 4 };
    const kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 4), a = KD_ARRAY_1D(alone, KD_INT64, 2),
                   t = KD_ARRAY_1D(tokens, KD_INT64, ENCODER_ROWS),
                   last = KD_ARRAY_1D(tokens + 7, KD_INT64, 4);
    kd_array v;
    float kept[15];
    OK(kd_batch_begin_packed(batch, &o));
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "embedding", &v));
    ck_assert_int_eq(v.dims[0], 3);
    memcpy(kept, v.data, sizeof kept);
    OK(kd_model_output(model, "pooled", &v));
    for (int i = 12; i < 24; i++) ck_assert(((float *)v.data)[i] == 0);
    push_back(model, "pooled");
    OK(kd_model_backward(model));
    OK(kd_batch_begin_packed(batch, &a));
    OK(kd_batch_set(batch, "tokens", &last, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "embedding", &v));
    for (int i = 0; i < 5; i++) NEAR((double)((float *)v.data)[i], (double)kept[10 + i], 1e-6);
    kd_model_free(model);
}
END_TEST

/* ---- memory ---- */

static int64_t memory_rows(void) { return getenv("KD_TEST_FEW") ? 70 : 300; }

static kd_batch *long_batch(kd_context *own)
{
    const int64_t rows = memory_rows(), half = rows / 2 + 20;
    int64_t tokens[300], offsets[] = { 0, half, half + 1, rows };
    const kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 4), t = KD_ARRAY_1D(tokens, KD_INT64, rows);
    kd_batch *made;
    for (int i = 0; i < rows; i++) tokens[i] = (i * i + 3 * i) % 19;
    OK(kd_batch_create(&made, own, NULL));
    OK(kd_batch_begin_packed(made, &o));
    OK(kd_batch_set(made, "tokens", &t, NULL));
    return made;
}

#define MEMORY(more)                                                                               \
    "{\"model_type\":\"bert\",\"vocab_size\":19,\"hidden_size\":96,\"num_hidden_layers\":2,"       \
    "\"num_attention_heads\":3,\"intermediate_size\":220,\"max_position_embeddings\":256" more "}"

static double numbers_a_row(int64_t rows)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info info = { .struct_size = sizeof info };
    o.max_rows = rows;
    o.recompute = 1;
    OK(kd_model_estimate_memory(ctx, MEMORY(""), &o, &info));
    return (double)info.activation_bytes / sizeof(float);
}

/* Numbers of a row of a recomputed training pass: what enters each layer and what the last leaves,
 * the gradient of that; sums of embeddings; the layer at hand: queries, keys, values, attention,
 * the middle, two sums, and what norms and softmaxes keep; its gradients: of the stream, of a part,
 * of the middle, of queries, keys and values or the middle's output. */
START_TEST(a_recomputed_layer_writes_over_what_is_over)
{
    enum { H = 96, INNER = 220, LAYERS = 2, HEADS = 3, IDS = 3 };
    const double wanted = (LAYERS + 2) * H + (H + 2) + (3 * H + H + INNER + 2 * H + HEADS + 4) +
                          (2 * H + INNER + 3 * H) + IDS;
    const double found = (numbers_a_row(80000) - numbers_a_row(40000)) / 40000;
    ck_assert_msg(found < 1.02 * wanted && found > 0.98 * wanted, "%g numbers a row, expected %g",
                  found, wanted);
}
END_TEST

static void check_memory(const char *config, const char *output, const kd_model_options *o)
{
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    kd_model_memory_info info = { .struct_size = sizeof info };
    kd_context *own = make_context(2);
    kd_batch *its = long_batch(own);
    kd_model *model;
    OK(kd_context_get_info(own, &before));
    OK(kd_model_estimate_memory(own, config, o, &info));
    model = encoder_made(own, config, o);
    OK(kd_model_forward(model, its, o->frozen ? KD_MODE_EVALUATE : KD_MODE_TRAIN));
    if (!o->frozen) {
        push_back(model, output);
        OK(kd_model_backward(model));
    }
    OK(kd_context_get_info(own, &after));
    const int64_t taken = (int64_t)(after.peak_bytes - before.bytes);
    ck_assert_msg(taken > info.total_bytes - 2000 && taken < info.total_bytes + 40000,
                  "%lld bytes were reported, %lld taken", (long long)info.total_bytes,
                  (long long)taken);
    kd_model_free(model);
    kd_batch_free(its);
    kd_context_free(own);
}

START_TEST(memory_is_known_before_it_is_taken)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.max_rows = memory_rows();
    check_memory(MEMORY(""), "hidden", &o);
    check_memory(MEMORY(",\"architectures\":[\"BertForMaskedLM\"]"), "hidden.head", &o);
    o.recompute = 1;
    check_memory(MEMORY(""), "hidden", &o);
    o.recompute = 0;
    o.activations = KD_BFLOAT16;
    check_memory(MEMORY(""), "hidden", &o);
    o.activations = KD_FLOAT32;
    o.frozen = 1;
    check_memory(MEMORY(""), "hidden", &o);
    o.weights = KD_INT8;
    check_memory(MEMORY(""), "hidden", &o);
}
END_TEST

START_TEST(a_pass_allocates_nothing_after_the_first)
{
    kd_model *model = encoder_made(ctx, BERT(CLASSES SENTENCE), NULL);
    kd_context_info first = { .struct_size = sizeof first }, last = first;
    for (int pass = 0; pass < (getenv("KD_TEST_FEW") ? 20 : 300); pass++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        push_back(model, "embedding");
        push_back(model, "logits");
        push_back(model, "hidden.0");
        OK(kd_model_backward(model));
        if (!pass) OK(kd_context_get_info(ctx, &first));
    }
    OK(kd_context_get_info(ctx, &last));
    ck_assert_uint_eq(first.allocations, last.allocations);
    ck_assert_uint_eq(first.bytes, last.bytes);
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

START_TEST(what_would_change_the_result_is_refused_by_name)
{
    refuse(BERT(",\"hidden_act\":\"gelu_new\""), KD_ERR_UNSUPPORTED, "hidden_act: only gelu");
    refuse(BERT(",\"position_embedding_type\":\"relative_key\""), KD_ERR_UNSUPPORTED,
           "position_embedding_type");
    refuse(BERT(",\"architectures\":[\"BertForQuestionAnswering\"]"), KD_ERR_UNSUPPORTED,
           "\"BertForQuestionAnswering\" is not supported");
    refuse(BERT(",\"architectures\":[\"RobertaModel\"]"), KD_ERR_UNSUPPORTED, "RobertaModel");
    refuse(BERT(",\"is_decoder\":true"), KD_ERR_UNSUPPORTED, "is_decoder");
    refuse(BERT(",\"rope_theta\":1"), KD_ERR_CONFIG, "\"rope_theta\" is unknown");
    refuse(BERT(",\"kd_pooling\":\"median\""), KD_ERR_CONFIG,
           "cls, mean, max, last or weightedmean");
    refuse(BERT(",\"kd_dense\":[{\"out_features\":3,\"activation\":\"gelu\"}]"), KD_ERR_UNSUPPORTED,
           "got \"gelu\"");
    refuse(BERT(",\"kd_dense\":[{\"out_features\":0}]"), KD_ERR_CONFIG, "out_features");
    refuse(BERT(",\"kd_dense\":[{\"width\":3}]"), KD_ERR_CONFIG, "\"width\" is unknown");
    refuse(BERT(",\"kd_dense\":[{\"out_features\":3,\"folder\":\"../2_Dense\"}]"), KD_ERR_CONFIG,
           "got \"../2_Dense\"");
    refuse(BERT(",\"kd_pooler\":false" CLASSES), KD_ERR_CONFIG, "needs its pooler");
    refuse("{\"model_type\":\"bert\",\"vocab_size\":9,\"hidden_size\":10,\"num_hidden_layers\":1,"
           "\"num_attention_heads\":3,\"intermediate_size\":4}",
           KD_ERR_CONFIG, "10 numbers do not divide into 3 heads");
    refuse("{\"model_type\":\"roberta\",\"vocab_size\":9,\"hidden_size\":9,\"num_hidden_layers\":1,"
           "\"num_attention_heads\":3,\"intermediate_size\":4,\"max_position_embeddings\":2}",
           KD_ERR_CONFIG, "max_position_embeddings");
}
END_TEST

#define POSITIONS(type, count)                                                                     \
    "{\"model_type\":\"" type "\",\"vocab_size\":17,\"hidden_size\":4,\"num_hidden_layers\":1,"    \
    "\"num_attention_heads\":1,\"intermediate_size\":4,\"max_position_embeddings\":" count "}"

START_TEST(batches_that_do_not_fit_are_refused_with_their_place)
{
    kd_model *model = encoder_made(ctx, BERT(NO_DROPOUT ",\"kd_max_length\":6"), NULL);
    int64_t types[ENCODER_ROWS] = { 0, 0, 2 }, tokens[ENCODER_ROWS] = { 0 };
    const kd_array k = KD_ARRAY_1D(types, KD_INT64, ENCODER_ROWS),
                   t = KD_ARRAY_1D(tokens, KD_INT64, ENCODER_ROWS);
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_RANGE,
          "sequence 0 has 7 tokens, the model takes 6");
    kd_model_free(model);
    model = encoder_made(ctx, POSITIONS("bert", "6"), NULL);
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_RANGE,
          "sequence 0 has 7 tokens, the model has positions for 6");
    kd_model_free(model);
    model = encoder_made(ctx, POSITIONS("roberta", "8"), NULL); /* two are padding's */
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_RANGE,
          "sequence 0 has 7 tokens, the model has positions for 6");
    kd_model_free(model);
    model = encoder_made(ctx, BERT(""), NULL);
    tokens[2] = 17;
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_RANGE,
          "field 'tokens': row 2: token 17 is not in 0 to 16");
    tokens[2] = -1;
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_RANGE, "token -1");
    tokens[2] = 0;
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    OK(kd_batch_set(batch, "token_types", &k, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_RANGE,
          "row 2: type 2 is not in 0 to 1");
    kd_model_free(model);
}
END_TEST

Suite *encoder_suite(void)
{
    Suite *suite = suite_create("encoder");
    TCase *tests = tcase_create("encoder");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, outputs_and_gradients_are_those_of_transformers);
    tcase_add_test(tests, gradients_are_those_of_central_differences);
    tcase_add_test(tests, dropout_is_pushed_back_through_the_masks_that_were_drawn);
    tcase_add_test(tests, dropout_is_of_training_passes_only_and_each_draws_its_own);
    tcase_add_test(tests, recomputing_gives_the_same_bits_and_16_bits_near_ones);
    tcase_add_test(tests, threads_do_not_change_a_bit);
    tcase_add_test(tests, gradients_add_up_until_a_step);
    tcase_add_test(tests, what_no_output_uses_has_gradients_of_zero);
    tcase_add_test(tests, adapters_train_and_the_trunk_stays);
    tcase_add_test(tests, eight_bits_are_near_and_layers_may_share_gradients);
    tcase_add_test(tests, a_text_gives_the_same_in_every_batch_and_no_rows_give_zero);
    tcase_add_test(tests, a_pass_allocates_nothing_after_the_first);
    tcase_add_test(tests, what_would_change_the_result_is_refused_by_name);
    tcase_add_test(tests, batches_that_do_not_fit_are_refused_with_their_place);
    tcase_add_test(tests, a_recomputed_layer_writes_over_what_is_over);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_set_timeout(slow, 120);
    tcase_add_test(slow, memory_is_known_before_it_is_taken);
    suite_add_tcase(suite, slow);
    return suite;
}
