/* Heads for tasks on trunks of every kind: values, gradients, what is computed, folders, training
 * in its several ways. */
#include "imagekit.h"

#include <unistd.h>

#define QWEN(more)                                                                                 \
    "{\"model_type\":\"qwen3\",\"vocab_size\":17,\"hidden_size\":12,\"num_hidden_layers\":2,"      \
    "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"head_dim\":4,\"intermediate_size\":20," \
    "\"max_position_embeddings\":12,\"initializer_range\":0.3" more "}"
#define MLP(more)                                                                                  \
    "{\"model_type\":\"mlp\",\"input_size\":5,\"hidden_sizes\":[8,6],\"num_labels\":3" more "}"
#define HEADS(list) ",\"kd_heads\":{" list "}"
#define MOOD "\"mood\":{\"num_labels\":2,\"level\":\"sample\",\"initializer_range\":0.3}"
#define TOPIC                                                                                      \
    "\"topic\":{\"num_labels\":6,\"pooling\":\"cls\",\"hidden_size\":7,\"activation\":\"gelu\","   \
    "\"initializer_range\":0.3}"
#define TAGS                                                                                       \
    "\"tags\":{\"num_labels\":4,\"level\":\"row\",\"from\":\"hidden.0\",\"initializer_range\":0."  \
    "3}"
#define SENSES                                                                                     \
    "\"senses\":{\"num_labels\":3,\"level\":\"row\",\"from\":\"hidden.0\",\"initializer_range\":"  \
    "0.3}"
#define ALL HEADS(MOOD "," TOPIC "," TAGS)

static kd_context *ctx;
static kd_batch *texts, *images, *numbers;

static void setup(void)
{
    static float x[4 * 5];
    kd_array xs = KD_ARRAY_2D(x, KD_FLOAT32, 4, 5);
    ctx = make_context(2);
    texts = encoder_batch(ctx);
    images = image_batch(ctx);
    for (int i = 0; i < 20; i++) x[i] = weight_at(3 * i);
    OK(kd_batch_create(&numbers, ctx, NULL));
    OK(kd_batch_begin(numbers, 4));
    OK(kd_batch_set(numbers, "inputs", &xs, NULL));
}

static void teardown(void)
{
    kd_batch_free(texts);
    kd_batch_free(images);
    kd_batch_free(numbers);
    kd_context_free(ctx);
}

static kd_batch *batch_of(const char *config)
{
    return strstr(config, "vit") ? images : strstr(config, "mlp") ? numbers : texts;
}

static float *tensor_of(kd_model *model, const char *name, kd_array *values, int gradient)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *found;
        OK(kd_model_tensor(model, i, &found, values));
        if (strcmp(found, name)) continue;
        if (gradient) OK(kd_model_tensor_gradient(model, i, values));
        return values->data;
    }
    return NULL;
}

static int has_tensor(kd_model *model, const char *name)
{
    kd_array v;
    return tensor_of(model, name, &v, 0) != NULL;
}

/* ---- values ---- */

/* logits = W x + b of entries of d numbers. */
static void expect_linear(kd_model *model, const char *head, const float *x, int entries, int d)
{
    char name[64];
    kd_array w, b, z;
    snprintf(name, sizeof name, "heads.%s.weight", head);
    tensor_of(model, name, &w, 0);
    snprintf(name, sizeof name, "heads.%s.bias", head);
    tensor_of(model, name, &b, 0);
    snprintf(name, sizeof name, "logits.%s", head);
    OK(kd_model_output(model, name, &z));
    ck_assert_int_eq(z.dims[0], entries);
    for (int e = 0; e < entries; e++)
        for (int c = 0; c < z.dims[1]; c++) {
            double sum = (double)((float *)b.data)[c];
            for (int i = 0; i < d; i++)
                sum += (double)((float *)w.data)[c * d + i] * (double)x[e * d + i];
            NEAR(((float *)z.data)[e * z.dims[1] + c], sum, 1e-5);
        }
}

static void set_bias(kd_model *model, const char *name)
{
    kd_array b;
    if (!tensor_of(model, name, &b, 0)) return;
    for (int64_t i = 0; i < kd_array_count(&b); i++) ((float *)b.data)[i] = weight_at(i);
}

START_TEST(logits_are_a_matrix_times_rows_or_pooled_rows)
{
    kd_model *model = encoder_made(ctx, BERT(NO_DROPOUT ALL), NULL);
    const int64_t at[] = { 0, 7, ENCODER_ROWS };
    float pooled[2 * 12] = { 0 };
    kd_array h;
    kd_output_info info = { .struct_size = sizeof info };
    set_bias(model, "heads.mood.bias");
    OK(kd_model_keep(model, "logits.*", 1));
    OK(kd_model_keep(model, "hidden.0", 1));
    OK(kd_model_forward(model, texts, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "hidden", &h));
    for (int s = 0; s < 2; s++)
        for (int64_t r = at[s]; r < at[s + 1]; r++)
            for (int i = 0; i < 12; i++)
                pooled[s * 12 + i] += ((float *)h.data)[r * 12 + i] / (float)(at[s + 1] - at[s]);
    expect_linear(model, "mood", pooled, 2, 12);
    OK(kd_model_output(model, "hidden.0", &h));
    expect_linear(model, "tags", h.data, ENCODER_ROWS, 12);
    OK(kd_model_get_output_info(model, "logits.topic", &info));
    ck_assert(info.unit == KD_UNIT_OF_SAMPLE && info.width == 6 && info.is_kept);
    OK(kd_model_get_output_info(model, "logits.tags", &info));
    ck_assert(info.unit == KD_UNIT_OF_ROW && info.width == 4);
    kd_model_free(model);
}
END_TEST

START_TEST(a_head_of_images_reads_the_class_token_or_all_patches)
{
    kd_model *model = encoder_made(
        ctx,
        VIT(HEADS("\"cls\":{\"num_labels\":3,\"pooling\":\"cls\",\"initializer_range\":0.3},"
                  "\"all\":{\"num_labels\":2,\"from\":\"hidden.0\",\"initializer_range\":0.3}")),
        NULL);
    float first[IMAGES * 12], mean[IMAGES * 12] = { 0 };
    kd_array h;
    OK(kd_model_keep(model, "*", 1));
    OK(kd_model_forward(model, images, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "hidden", &h));
    for (int s = 0; s < IMAGES; s++)
        memcpy(first + s * 12, (float *)h.data + s * VIT_ROWS * 12, 12 * sizeof(float));
    expect_linear(model, "cls", first, IMAGES, 12);
    OK(kd_model_output(model, "hidden.0", &h));
    for (int r = 0; r < IMAGES * VIT_ROWS; r++)
        for (int i = 0; i < 12; i++)
            mean[r / VIT_ROWS * 12 + i] += ((float *)h.data)[r * 12 + i] / VIT_ROWS;
    expect_linear(model, "all", mean, IMAGES, 12);
    kd_model_free(model);
}
END_TEST

START_TEST(a_network_of_layers_has_heads_on_any_of_them)
{
    kd_model *model =
        encoder_made(ctx,
                     MLP(HEADS("\"a\":{\"num_labels\":2,\"initializer_range\":0.3},\"b\":{"
                               "\"num_labels\":4,\"from\":\"hidden.0\",\"level\":\"sample\"}")),
                     NULL);
    kd_array h;
    kd_output_info info = { .struct_size = sizeof info };
    OK(kd_model_keep(model, "*", 1));
    OK(kd_model_forward(model, numbers, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "hidden.1", &h));
    expect_linear(model, "a", h.data, 4, 6);
    OK(kd_model_output(model, "hidden.0", &h));
    expect_linear(model, "b", h.data, 4, 8);
    OK(kd_model_get_output_info(model, "logits.a", &info));
    ck_assert_int_eq(info.unit, KD_UNIT_OF_ROW);
    OK(kd_model_get_output_info(model, "logits.b", &info));
    ck_assert_int_eq(info.unit, KD_UNIT_OF_SAMPLE);
    kd_model_free(model);
}
END_TEST

/* ---- gradients ---- */

static double moved(const char *config, const char *output, int32_t tensor, int64_t at, float by)
{
    kd_model *model = encoder_made(ctx, config, NULL);
    kd_array v;
    OK(kd_model_tensor(model, tensor, NULL, &v));
    ((float *)v.data)[at] += by;
    OK(kd_model_forward(model, batch_of(config), KD_MODE_TRAIN));
    const double sum = output_sum(model, output);
    kd_model_free(model);
    return sum;
}

static void check_slopes(const char *config, const char *output)
{
    const float h = 4e-3f;
    kd_model *model = encoder_made(ctx, config, NULL);
    int32_t count;
    OK(kd_model_forward(model, batch_of(config), KD_MODE_TRAIN));
    push_back(model, output);
    OK(kd_model_backward(model));
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i += getenv("KD_TEST_FEW") ? 4 : 1) {
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
    check_slopes(BERT(NO_DROPOUT ALL), "logits.mood");
    check_slopes(BERT(NO_DROPOUT ALL), "logits.topic");
    check_slopes(BERT(NO_DROPOUT ALL), "logits.tags");
    check_slopes(QWEN(HEADS("\"last\":{\"num_labels\":3,\"pooling\":\"last\",\"bias\":false,"
                            "\"dropout\":0.4,\"initializer_range\":0.3}")),
                 "logits.last");
    check_slopes(BERT(NO_DROPOUT SENTENCE HEADS("\"e\":{\"num_labels\":3,\"from\":\"embedding\","
                                                "\"hidden_size\":4,\"activation\":\"relu\","
                                                "\"initializer_range\":0.3}")),
                 "logits.e");
    check_slopes(VIT(HEADS(TOPIC)), "logits.topic");
    check_slopes(MLP(HEADS("\"a\":{\"num_labels\":2,\"dropout\":0.5,\"hidden_size\":5,"
                           "\"activation\":\"silu\",\"initializer_range\":0.5}")),
                 "logits.a");
}
END_TEST

/* Gradients of all tensors whose names end so, after a pass with these outputs' gradients. */
static kd_model *trained_once(const char *config, const kd_model_options *o, const char *outputs)
{
    kd_model *model = encoder_made(ctx, config, o);
    char list[80], *name = list;
    snprintf(list, sizeof list, "%s", outputs);
    OK(kd_model_forward(model, batch_of(config), KD_MODE_TRAIN));
    for (name = strtok(list, ","); name; name = strtok(NULL, ",")) push_back(model, name);
    OK(kd_model_backward(model));
    return model;
}

/* A head begins alike, drops alike and computes alike whatever others there are; a trunk's gradient
 * is the sum of those of its heads. */
static void compare_alone(const char *together, const char *const *alone, const char *const *names,
                          int count)
{
    kd_model *all = NULL, *one[3];
    char list[80] = "";
    int32_t tensors;
    for (int k = 0; k < count; k++) {
        snprintf(list + strlen(list), sizeof list - strlen(list), "%slogits.%s", k ? "," : "",
                 names[k]);
        char output[64];
        snprintf(output, sizeof output, "logits.%s", names[k]);
        one[k] = trained_once(alone[k], NULL, output);
    }
    all = trained_once(together, NULL, list);
    OK(kd_model_tensor_count(all, &tensors));
    for (int32_t i = 0; i < tensors; i++) {
        const char *name;
        kd_array g, a;
        OK(kd_model_tensor(all, i, &name, NULL));
        OK(kd_model_tensor_gradient(all, i, &g));
        double size = 0, far = 0;
        for (int64_t j = 0; j < kd_array_count(&g); j++) {
            double sum = 0;
            for (int k = 0; k < count; k++)
                if (tensor_of(one[k], name, &a, 1)) sum += (double)((float *)a.data)[j];
            size += sum * sum;
            far += pow((double)((float *)g.data)[j] - sum, 2);
        }
        ck_assert_msg(sqrt(far) <= 1e-6 * (1 + sqrt(size)), "%s: %g of %g", name, sqrt(far),
                      sqrt(size));
    }
    for (int k = 0; k < count; k++) kd_model_free(one[k]);
    kd_model_free(all);
}

START_TEST(heads_at_once_are_models_of_one_head_each)
{
    static const char *const names[] = { "mood", "topic", "tags" };
    static const char *const bert[] = { BERT(NO_DROPOUT HEADS(MOOD)), BERT(NO_DROPOUT HEADS(TOPIC)),
                                        BERT(NO_DROPOUT HEADS(TAGS)) };
    static const char *const qwen[] = { QWEN(HEADS(MOOD)), QWEN(HEADS(TOPIC)), QWEN(HEADS(TAGS)) };
    static const char *const mlp[] = { MLP(HEADS(MOOD)), MLP(HEADS(TOPIC)), MLP(HEADS(TAGS)) };
    compare_alone(BERT(NO_DROPOUT ALL), bert, names, 3);
    compare_alone(QWEN(ALL), qwen, names, 3);
    compare_alone(MLP(ALL), mlp, names, 3);
    /* two that read the same rows */
    static const char *const of_rows[] = { "tags", "senses" };
    static const char *const same[] = { QWEN(HEADS(TAGS)), QWEN(HEADS(SENSES)) };
    compare_alone(QWEN(HEADS(TAGS "," SENSES)), same, of_rows, 2);
}
END_TEST

START_TEST(a_head_that_nobody_asks_for_gets_no_gradient_and_is_not_kept)
{
    kd_model *model = trained_once(BERT(NO_DROPOUT ALL), NULL, "logits.mood");
    kd_array v;
    const float *g = tensor_of(model, "heads.tags.weight", &v, 1);
    for (int i = 0; i < 4 * 12; i++) ck_assert(g[i] == 0);
    g = tensor_of(model, "heads.mood.weight", &v, 1);
    ck_assert(g[0] != 0);
    OK(kd_model_forward(model, texts, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "hidden", &v));
    FAILS(kd_model_output(model, "logits.mood", &v), KD_ERR_NOT_FOUND, "kd_model_keep");
    /* the last pass's gradients do not stay where no output gets one now */
    OK(kd_model_zero_gradients(model));
    OK(kd_model_forward(model, texts, KD_MODE_TRAIN));
    push_back(model, "hidden");
    OK(kd_model_backward(model));
    g = tensor_of(model, "heads.mood.weight", &v, 1);
    for (int i = 0; i < 2 * 12; i++) ck_assert(g[i] == 0);
    OK(kd_model_forward(model, texts, KD_MODE_TRAIN));
    FAILS(kd_model_backward(model), KD_ERR_STATE, "expected a gradient for at least one output");
    kd_model_free(model);
}
END_TEST

static int32_t count_layers(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)done, (void)total;
    *(int *)user += !strcmp(stage, "forward");
    return 0;
}

START_TEST(an_evaluating_pass_stops_after_what_the_heads_need)
{
    int layers = 0;
    const kd_progress progress = { .struct_size = sizeof progress,
                                   .user = &layers,
                                   .progress = count_layers };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context *counting;
    o.threads = 2;
    o.progress = &progress;
    OK(kd_context_create(&counting, &o));
    kd_model *model = encoder_made(counting, BERT(NO_DROPOUT ALL), NULL);
    OK(kd_model_forward(model, texts, KD_MODE_TRAIN));
    const double whole = output_sum(model, "logits.tags");
    ck_assert_int_eq(layers, 2);
    OK(kd_model_keep(model, "*", 0));
    OK(kd_model_keep(model, "logits.tags", 1));
    OK(kd_model_forward(model, texts, KD_MODE_EVALUATE));
    NEAR(output_sum(model, "logits.tags"), whole, 1e-6);
    ck_assert_int_eq(layers, 3);
    kd_model_free(model);
    kd_context_free(counting);
}
END_TEST

/* ---- ways of training ---- */

START_TEST(a_frozen_trunk_is_not_gone_back_through)
{
    static const char *const configs[] = { BERT(NO_DROPOUT ALL), QWEN(ALL), MLP(ALL) };
    for (int k = 0; k < 3; k++) {
        kd_model *free_ = trained_once(configs[k], NULL, "logits.topic,logits.tags");
        kd_model *model = trained_once(configs[k], NULL, "logits.topic,logits.tags,logits.mood");
        kd_optimizer *optimizer;
        kd_array g, f;
        int32_t count;
        /* what the pass before has left counts no more, though nothing has cleared it */
        OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
        OK(kd_optimizer_add_model(optimizer, model));
        OK(kd_optimizer_step(optimizer, 0));
        kd_optimizer_free(optimizer);
        OK(kd_model_freeze(model, "*", 1));
        OK(kd_model_freeze(model, "heads.*", 0));
        OK(kd_model_forward(model, batch_of(configs[k]), KD_MODE_TRAIN));
        push_back(model, "logits.topic");
        push_back(model, "logits.tags");
        OK(kd_model_backward(model));
        OK(kd_model_tensor_count(model, &count));
        for (int32_t i = 0; i < count; i++) {
            const char *name;
            OK(kd_model_tensor(model, i, &name, NULL));
            OK(kd_model_tensor_gradient(model, i, &g));
            OK(kd_model_tensor_gradient(free_, i, &f));
            const int is_head = !strncmp(name, "heads.", 6);
            for (int64_t j = 0; j < kd_array_count(&g); j++)
                ck_assert(((float *)g.data)[j] == (is_head ? ((float *)f.data)[j] : 0));
        }
        /* a frozen head lets the gradient through and gets none */
        OK(kd_model_zero_gradients(model));
        OK(kd_model_freeze(model, "*", 0));
        OK(kd_model_freeze(model, "heads.*", 1));
        OK(kd_model_forward(model, batch_of(configs[k]), KD_MODE_TRAIN));
        push_back(model, "logits.topic");
        push_back(model, "logits.tags");
        OK(kd_model_backward(model));
        OK(kd_model_tensor_gradient(model, 0, &g));
        OK(kd_model_tensor_gradient(free_, 0, &f));
        ck_assert_mem_eq(g.data, f.data, (size_t)kd_array_count(&g) * sizeof(float));
        const float *none = tensor_of(model, "heads.topic.dense.bias", &g, 1);
        for (int j = 0; j < 7; j++) ck_assert(none[j] == 0);
        kd_model_free(model);
        kd_model_free(free_);
    }
}
END_TEST

static float *all_gradients(const char *config, const kd_model_options *o, int64_t *count)
{
    kd_model *model = trained_once(config, o, "logits.mood,logits.topic,logits.tags");
    kd_array g;
    OK(kd_model_gradients(model, &g));
    *count = g.dims[0];
    float *to = malloc((size_t)*count * sizeof *to);
    memcpy(to, g.data, (size_t)*count * sizeof *to);
    kd_model_free(model);
    return to;
}

START_TEST(recomputing_gives_the_same_bits_and_16_bits_near_ones)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    int64_t n;
    float *whole = all_gradients(QWEN(ALL), NULL, &n);
    o.recompute = 1;
    float *again = all_gradients(QWEN(ALL), &o, &n);
    ck_assert_mem_eq(whole, again, (size_t)n * sizeof *whole);
    o.recompute = 0;
    o.activations = KD_BFLOAT16;
    free(again);
    again = all_gradients(QWEN(ALL), &o, &n);
    for (int64_t i = 0; i < n; i++) NEAR(again[i], whole[i], 0.02 + 0.05 * fabs(whole[i]));
    free(again);
    free(whole);
}
END_TEST

START_TEST(the_number_of_threads_changes_no_bit)
{
    static const char config[] = BERT(ALL);
    int64_t n;
    float *first = NULL;
    for (int32_t threads = 1; threads <= 8; threads = threads == 3 ? 8 : threads + 1) {
        kd_context *before = ctx;
        ctx = make_context(threads);
        float *found = all_gradients(config, NULL, &n);
        kd_context_free(ctx);
        ctx = before;
        if (first) ck_assert_mem_eq(first, found, (size_t)n * sizeof *first);
        if (first) free(found);
        else first = found;
    }
    free(first);
}
END_TEST

static void step(kd_model *model, kd_optimizer *optimizer, const char *output)
{
    OK(kd_optimizer_begin_step(optimizer, 1e-2));
    OK(kd_model_forward(model, texts, KD_MODE_TRAIN));
    push_back(model, output);
    OK(kd_model_backward(model));
    OK(kd_optimizer_step(optimizer, 1e-2));
}

START_TEST(shared_gradients_and_adapters_train_heads_as_well)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_array a, b;
    o.shared_gradients = 1;
    for (int adapters = 0; adapters < 2; adapters++) {
        kd_model *model[2] = { encoder_made(ctx, QWEN(HEADS(TOPIC)), &o),
                               encoder_made(ctx, QWEN(HEADS(TOPIC)), NULL) };
        float before[6 * 7], first[12 * 12];
        for (int k = 0; k < 2; k++) {
            kd_optimizer *optimizer;
            OK(kd_model_add_head(model[k], "mood", "{\"num_labels\":2,\"pooling\":\"last\"}"));
            if (adapters) OK(kd_model_add_lora(model[k], NULL, NULL));
            if (adapters) ck_assert(!has_tensor(model[k], "heads.topic.weight.lora_A"));
            memcpy(before, tensor_of(model[k], "heads.topic.weight", &a, 0), sizeof before);
            memcpy(first, tensor_of(model[k], "model.layers.0.self_attn.q_proj.weight", &a, 0),
                   8 * 12 * sizeof *first);
            OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAM, NULL));
            OK(kd_optimizer_add_model(optimizer, model[k]));
            step(model[k], optimizer, "logits.topic");
            step(model[k], optimizer, "logits.mood");
            ck_assert(memcmp(before, tensor_of(model[k], "heads.topic.weight", &a, 0),
                             sizeof before) != 0);
            const float *q = tensor_of(model[k], "model.layers.0.self_attn.q_proj.weight", &a, 0);
            ck_assert_int_eq(memcmp(first, q, 8 * 12 * sizeof *first) == 0, adapters);
            kd_optimizer_free(optimizer);
        }
        tensor_of(model[0], "heads.mood.weight", &a, 0);
        tensor_of(model[1], "heads.mood.weight", &b, 0);
        ck_assert_mem_eq(a.data, b.data, 2 * 12 * sizeof(float));
        kd_model_free(model[0]);
        kd_model_free(model[1]);
    }
}
END_TEST

START_TEST(a_frozen_trunk_of_shared_gradients_trains_its_heads)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_optimizer *optimizer;
    kd_array v;
    float before[6 * 7];
    o.shared_gradients = 1;
    kd_model *model = encoder_made(ctx, QWEN(HEADS(TOPIC)), &o);
    OK(kd_model_freeze(model, "*", 1));
    OK(kd_model_freeze(model, "heads.*", 0));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAM, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    memcpy(before, tensor_of(model, "heads.topic.weight", &v, 0), sizeof before);
    step(model, optimizer, "logits.topic");
    ck_assert(memcmp(before, tensor_of(model, "heads.topic.weight", &v, 0), sizeof before) != 0);
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}
END_TEST

/* ---- losses ---- */

START_TEST(a_part_without_rows_of_a_task_adds_nothing)
{
    kd_model *model = encoder_made(ctx, BERT(NO_DROPOUT ALL), NULL);
    const int64_t labels[2] = { 1, 0 }, mask[2] = { 1, 1 }, none[2] = { 0, 0 };
    kd_array ls = KD_ARRAY_1D(labels, KD_INT64, 2), ms = KD_ARRAY_1D(mask, KD_INT64, 2),
             ns = KD_ARRAY_1D(none, KD_INT64, 2), g;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_counts counts = { .struct_size = sizeof counts }, part = counts;
    kd_loss_result result = { .struct_size = sizeof result };
    kd_loss *loss;
    float alone[2 * 12];
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "logits.mood";
    o.label_field = "label.mood";
    o.mask_field = "task.mood";
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &o, NULL));
    OK(kd_batch_set_per_sample(texts, "label.mood", &ls, NULL));
    OK(kd_batch_set_per_sample(texts, "task.mood", &ms, NULL));
    OK(kd_loss_count(loss, texts, NULL, &counts));
    ck_assert_int_eq(counts.rows[0], 2);
    OK(kd_model_forward(model, texts, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, texts, NULL, &counts, &result));
    ck_assert(result.value > 0);
    memcpy(alone, tensor_of(model, "heads.mood.weight", &g, 1), sizeof alone);
    /* one more part of the same step: its texts are none of the task's */
    OK(kd_batch_set_per_sample(texts, "task.mood", &ns, NULL));
    OK(kd_loss_count(loss, texts, NULL, &part));
    ck_assert_int_eq(part.rows[0], 0);
    OK(kd_model_forward(model, texts, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, texts, NULL, &counts, &result));
    ck_assert(result.value == 0 && result.rows[0] == 0);
    ck_assert_mem_eq(alone, tensor_of(model, "heads.mood.weight", &g, 1), sizeof alone);
    kd_loss_free(loss);
    kd_model_free(model);
}
END_TEST

START_TEST(a_teacher_with_heads_teaches_by_their_names)
{
    kd_model_options frozen = KD_MODEL_OPTIONS_INIT;
    frozen.frozen = 1;
    frozen.seed = 99;
    kd_model *student = encoder_made(ctx, QWEN(ALL), NULL),
             *model = encoder_made(ctx, BERT(NO_DROPOUT ALL), &frozen);
    static const char *const names[] = { "logits.mood", "logits.tags" };
    kd_teacher *teacher;
    kd_targets *targets;
    kd_loss *loss;
    kd_loss_result result = { .struct_size = sizeof result };
    kd_array v;
    OK(kd_teacher_from_model(&teacher, model, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    for (int k = 0; k < 2; k++) {
        kd_term_options o = KD_TERM_OPTIONS_INIT;
        o.student_output = o.teacher_field = names[k];
        OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 0.5, &o, NULL));
    }
    OK(kd_loss_keep_outputs(loss, student, teacher));
    OK(kd_teacher_read(teacher, texts, targets));
    OK(kd_targets_field(targets, "logits.mood", &v, NULL));
    ck_assert(v.dims[0] == 2 && v.dims[1] == 2);
    FAILS(kd_targets_field(targets, "hidden.0", &v, NULL), KD_ERR_NOT_FOUND, "hidden.0");
    FAILS(kd_targets_field(targets, "logits.topic", &v, NULL), KD_ERR_NOT_FOUND, "logits.topic");
    OK(kd_model_forward(student, texts, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, student, texts, targets, NULL, &result));
    ck_assert(result.rows[0] == 2 && result.rows[1] == ENCODER_ROWS && result.value > 0);
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_teacher_free(teacher);
    kd_model_free(model);
    kd_model_free(student);
}
END_TEST

/* ---- folders, checkpoints ---- */

static void check_folder(const char *config, const char *head)
{
    static int number;
    char name[32];
    snprintf(name, sizeof name, "task-heads-%d", number++);
    const char *folder = scratch_path(name);
    kd_model *model = encoder_made(ctx, config, NULL), *again;
    kd_batch *batch = batch_of(config);
    char output[64];
    kd_array a, b;
    OK(kd_model_add_head(model, "more", "{\"num_labels\":5,\"hidden_size\":3,\"dropout\":0.1}"));
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&again, ctx, folder, NULL));
    OK(kd_model_parameters(model, &a));
    OK(kd_model_parameters(again, &b));
    ck_assert_int_eq(a.dims[0], b.dims[0]);
    ck_assert_mem_eq(a.data, b.data, (size_t)a.dims[0] * sizeof(float));
    for (int k = 0; k < 2; k++) {
        double sum[2];
        kd_model *both[2] = { model, again };
        snprintf(output, sizeof output, "logits.%s", k ? "more" : head);
        for (int m = 0; m < 2; m++) {
            OK(kd_model_keep(both[m], output, 1));
            OK(kd_model_forward(both[m], batch, KD_MODE_EVALUATE));
            sum[m] = output_sum(both[m], output);
        }
        ck_assert(sum[0] == sum[1] && sum[0] != 0);
    }
    kd_model_free(model);
    kd_model_free(again);
}

START_TEST(folders_keep_heads_with_equal_bits)
{
    check_folder(BERT(NO_DROPOUT ALL), "topic");
    check_folder(BERT(SENTENCE ALL), "mood");
    check_folder(QWEN(",\"architectures\":[\"Qwen3Model\"]" ALL), "tags");
    check_folder(VIT(HEADS(TOPIC)), "topic");
    check_folder(VIT(VIT_CLASSES HEADS(TOPIC)), "topic");
    check_folder(MLP(ALL), "tags");
}
END_TEST

START_TEST(checkpoints_go_on_where_they_were)
{
    const char *path = scratch_path("task-heads.kdc");
    double sum[2];
    for (int k = 0; k < 2; k++) {
        kd_model *model = encoder_made(ctx, BERT(ALL), NULL);
        kd_optimizer *optimizer;
        kd_checkpoint *checkpoint;
        OK(kd_model_add_head(model, "more", "{\"num_labels\":5,\"dropout\":0.3}"));
        OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAM, NULL));
        OK(kd_optimizer_add_model(optimizer, model));
        OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
        OK(kd_checkpoint_add_model(checkpoint, "model", model));
        OK(kd_checkpoint_add_optimizer(checkpoint, "optimizer", optimizer));
        if (k) OK(kd_checkpoint_load(checkpoint, path));
        else {
            step(model, optimizer, "logits.more");
            OK(kd_checkpoint_save(checkpoint, path));
        }
        step(model, optimizer, "logits.more");
        OK(kd_model_forward(model, texts, KD_MODE_TRAIN));
        sum[k] = output_sum(model, "logits.more");
        kd_checkpoint_free(checkpoint);
        kd_optimizer_free(optimizer);
        kd_model_free(model);
    }
    ck_assert(sum[0] == sum[1]);
}
END_TEST

START_TEST(eight_bit_teachers_have_heads)
{
    const char *folder = scratch_path("task-heads-int8");
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model *model = encoder_made(ctx, QWEN(ALL), NULL), *small;
    kd_array a, b;
    OK(kd_model_save(model, folder, NULL));
    o.frozen = 1;
    o.weights = KD_INT8;
    OK(kd_model_load(&small, ctx, folder, &o));
    kd_model *both[2] = { model, small };
    for (int m = 0; m < 2; m++) {
        OK(kd_model_keep(both[m], "logits.*", 1));
        OK(kd_model_forward(both[m], texts, KD_MODE_EVALUATE));
    }
    OK(kd_model_output(model, "logits.topic", &a));
    OK(kd_model_output(small, "logits.topic", &b));
    for (int i = 0; i < 12; i++) NEAR(((float *)b.data)[i], ((float *)a.data)[i], 0.1);
    FAILS(kd_model_add_head(small, "more", "{\"num_labels\":2}"), KD_ERR_STATE, "frozen");
    kd_model_free(model);
    kd_model_free(small);
}
END_TEST

/* Logits of a folder's class, and those of the head it was made of. */
static void check_class(const char *config, const char *output, const char *class_name)
{
    const char *folder = scratch_path(class_name);
    kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
    kd_model *model = encoder_made(ctx, config, NULL), *again;
    kd_array a, b;
    const char *text;
    set_bias(model, "heads.x.bias");
    o.head = "x";
    OK(kd_model_save(model, folder, &o));
    OK(kd_model_load(&again, ctx, folder, NULL));
    OK(kd_model_config(again, &text));
    ck_assert(strstr(text, class_name) && !strstr(text, "kd_heads"));
    OK(kd_model_keep(model, "logits.x", 1));
    OK(kd_model_forward(model, batch_of(config), KD_MODE_EVALUATE));
    OK(kd_model_forward(again, batch_of(config), KD_MODE_EVALUATE));
    OK(kd_model_output(model, "logits.x", &a));
    OK(kd_model_output(again, output, &b));
    const int64_t last[] = { 6, ENCODER_ROWS - 1 };
    for (int64_t i = 0; i < kd_array_count(&a); i++) {
        const int64_t row = b.dims[0] == ENCODER_ROWS ? last[i / 3] : i / 3;
        NEAR(((float *)a.data)[i], ((float *)b.data)[row * 3 + i % 3], 1e-6);
    }
    kd_model_free(model);
    kd_model_free(again);
}

#define X(more) ",\"kd_heads\":{\"x\":{\"num_labels\":3,\"initializer_range\":0.3" more "}}"

START_TEST(one_head_is_a_classifier_of_its_own)
{
    kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
    check_class(BERT(NO_DROPOUT X(",\"pooling\":\"cls\",\"hidden_size\":12")), "logits",
                "BertForSequenceClassification");
    check_class("{\"model_type\":\"roberta\",\"vocab_size\":17,\"hidden_size\":12,"
                "\"num_hidden_layers\":1,\"num_attention_heads\":3,\"intermediate_size\":20,"
                "\"max_position_embeddings\":20" X(",\"pooling\":\"cls\",\"hidden_size\":12") "}",
                "logits", "RobertaForSequenceClassification");
    check_class("{\"model_type\":\"distilbert\",\"vocab_size\":17,\"dim\":12,\"n_layers\":1,"
                "\"n_heads\":3,\"hidden_dim\":20,\"max_position_embeddings\":12" X(
                    ",\"pooling\":\"cls\",\"hidden_size\":12,\"activation\":\"relu\"") "}",
                "logits", "DistilBertForSequenceClassification");
    check_class(QWEN(X(",\"pooling\":\"last\",\"bias\":false")), "logits",
                "Qwen3ForSequenceClassification");
    check_class(VIT(X(",\"pooling\":\"cls\"")), "logits", "ViTForImageClassification");
    kd_model *model = encoder_made(ctx, BERT(ALL), NULL),
             *layers = encoder_made(ctx, MLP(ALL), NULL);
    o.head = "mood";
    FAILS(kd_model_save(model, scratch_path("no-class"), &o), KD_ERR_UNSUPPORTED,
          "'logits.mood' is no head of BertForSequenceClassification, which has from hidden, level "
          "sample, pooling cls, hidden_size 12, activation tanh, bias true");
    FAILS(kd_model_save(layers, scratch_path("no-class"), &o), KD_ERR_UNSUPPORTED, "no class");
    o.head = "none";
    FAILS(kd_model_save(model, scratch_path("no-class"), &o), KD_ERR_NOT_FOUND, "\"none\"");
    kd_model_free(model);
    kd_model_free(layers);
}
END_TEST

START_TEST(students_keep_heads_of_layers_that_they_have)
{
    const char *heads =
        HEADS(MOOD "," TOPIC "," TAGS ",\"late\":{\"num_labels\":2,\"from\":\"hidden.1\"}");
    char json[1400];
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    const int32_t second = 1;
    kd_model *student;
    kd_array a, b;
    snprintf(json, sizeof json, BERT(NO_DROPOUT "%s"), heads);
    kd_model *teacher = encoder_made(ctx, json, NULL);
    o.layers = 1;
    o.hidden_size = 8;
    o.layer_map = &second;
    OK(kd_student_create(&student, teacher, &o));
    ck_assert(!has_tensor(student, "heads.tags.weight"));
    const float *t = tensor_of(teacher, "heads.mood.weight", &a, 0),
                *s = tensor_of(student, "heads.mood.weight", &b, 0);
    for (int i = 0; i < 2 * 8; i++) ck_assert(s[i] == t[i / 8 * 12 + i % 8]);
    t = tensor_of(teacher, "heads.topic.weight", &a, 0);
    s = tensor_of(student, "heads.topic.weight", &b, 0);
    ck_assert_mem_eq(s, t, 6 * 7 * sizeof *s);
    OK(kd_model_forward(student, texts, KD_MODE_TRAIN));
    OK(kd_model_output(student, "logits.late", &a)); /* of hidden.0 now */
    ck_assert_int_eq(a.dims[0], ENCODER_ROWS);
    const char *config;
    OK(kd_model_config(student, &config));
    ck_assert(strstr(config, "\"from\":\"hidden.0\"") && !strstr(config, "hidden.1"));
    kd_model_free(student);
    /* the caller's own */
    o.config = "{\"kd_heads\":{\"mood\":{\"num_labels\":2},\"new\":{\"num_labels\":3}}}";
    OK(kd_student_create(&student, teacher, &o));
    t = tensor_of(teacher, "heads.mood.weight", &a, 0);
    ck_assert(tensor_of(student, "heads.mood.weight", &b, 0)[7] == t[7]);
    ck_assert(tensor_of(student, "heads.new.weight", &b, 0)[7] != 0);
    ck_assert(!has_tensor(student, "heads.topic.weight"));
    kd_model_free(student);
    kd_model_free(teacher);
}
END_TEST

/* ---- adding ---- */

START_TEST(a_head_that_is_added_is_as_one_of_the_config)
{
    kd_model *model = encoder_made(ctx, BERT(HEADS(MOOD "," TAGS)), NULL),
             *added = encoder_made(ctx, BERT(HEADS(MOOD)), NULL);
    kd_array a, b;
    const char *config;
    OK(kd_model_forward(added, texts, KD_MODE_EVALUATE));
    OK(kd_model_add_head(added, "tags",
                         "{\"num_labels\":4,\"level\":\"row\",\"from\":\"hidden.0\","
                         "\"initializer_range\":0.3}"));
    FAILS(kd_model_output(added, "hidden", &a), KD_ERR_STATE, "no forward pass yet");
    OK(kd_model_parameters(model, &a));
    OK(kd_model_parameters(added, &b));
    ck_assert_int_eq(a.dims[0], b.dims[0]);
    ck_assert_mem_eq(a.data, b.data, (size_t)a.dims[0] * sizeof(float));
    OK(kd_model_config(added, &config));
    ck_assert(strstr(config, "\"tags\"") && strstr(config, "\"mood\""));
    FAILS(kd_model_add_head(added, "tags", "{\"num_labels\":4}"), KD_ERR_CONFIG,
          "has a head \"tags\" already");
    OK(kd_model_parameters(added, &b));
    ck_assert_int_eq(a.dims[0], b.dims[0]);
    FAILS(kd_model_append_dense(added, NULL, &a, NULL, NULL), KD_ERR_STATE, "append first");
    kd_model_free(model);
    kd_model_free(added);
}
END_TEST

/* What the estimate says of a head that is asked for is what its pass takes. */
START_TEST(memory_of_heads_that_are_asked_for_is_told)
{
    static const char config[] = QWEN(
        HEADS("\"big\":{\"num_labels\":700,\"level\":\"row\",\"hidden_size\":90,\"activation\":"
              "\"gelu\",\"dropout\":0.1},\"small\":{\"num_labels\":3,\"pooling\":\"mean\"}"));
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info without = { .struct_size = sizeof without }, with = without;
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    int64_t rows;
    kd_model *model;
    kd_array values;
    OK(kd_batch_get_counts(texts, NULL, &rows));
    o.max_rows = rows;
    OK(kd_model_estimate_memory(ctx, config, &o, &without));
    o.keep = "logits.big";
    OK(kd_model_estimate_memory(ctx, config, &o, &with));
    OK(kd_model_create(&model, ctx, config, &o));
    OK(kd_model_forward(model, texts, KD_MODE_TRAIN));
    OK(kd_context_get_info(ctx, &before));
    OK(kd_model_output(model, "logits.big", &values));
    OK(kd_model_add_output_gradient(model, "logits.big", &values));
    OK(kd_context_get_info(ctx, &after));
    ck_assert_int_gt(with.total_bytes, without.total_bytes + 4 * 2 * 700 * rows);
    const int64_t taken = (int64_t)(after.bytes - before.bytes);
    const int64_t told = with.total_bytes - without.total_bytes;
    ck_assert_msg(taken >= told && taken < told + 200, "%lld bytes were told, %lld taken",
                  (long long)told, (long long)taken); /* an allocation has a head of its own */
    kd_model_free(model);
    o.max_rows = (int64_t)1 << 60;
    FAILS(kd_model_estimate_memory(ctx, config, &o, &with), KD_ERR_RANGE, "");
}
END_TEST

Suite *task_heads_suite(void)
{
    Suite *suite = suite_create("task_heads");
    TCase *tests = tcase_create("task_heads");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, logits_are_a_matrix_times_rows_or_pooled_rows);
    tcase_add_test(tests, a_head_of_images_reads_the_class_token_or_all_patches);
    tcase_add_test(tests, a_network_of_layers_has_heads_on_any_of_them);
    tcase_add_test(tests, gradients_are_those_of_central_differences);
    tcase_add_test(tests, a_head_that_nobody_asks_for_gets_no_gradient_and_is_not_kept);
    tcase_add_test(tests, an_evaluating_pass_stops_after_what_the_heads_need);
    tcase_add_test(tests, a_frozen_trunk_is_not_gone_back_through);
    tcase_add_test(tests, recomputing_gives_the_same_bits_and_16_bits_near_ones);
    tcase_add_test(tests, the_number_of_threads_changes_no_bit);
    tcase_add_test(tests, shared_gradients_and_adapters_train_heads_as_well);
    tcase_add_test(tests, a_frozen_trunk_of_shared_gradients_trains_its_heads);
    tcase_add_test(tests, a_part_without_rows_of_a_task_adds_nothing);
    tcase_add_test(tests, a_teacher_with_heads_teaches_by_their_names);
    tcase_add_test(tests, folders_keep_heads_with_equal_bits);
    tcase_add_test(tests, checkpoints_go_on_where_they_were);
    tcase_add_test(tests, eight_bit_teachers_have_heads);
    tcase_add_test(tests, one_head_is_a_classifier_of_its_own);
    tcase_add_test(tests, students_keep_heads_of_layers_that_they_have);
    tcase_add_test(tests, a_head_that_is_added_is_as_one_of_the_config);
    tcase_add_test(tests, memory_of_heads_that_are_asked_for_is_told);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_set_timeout(slow, 300);
    tcase_add_test(slow, heads_at_once_are_models_of_one_head_each);
    suite_add_tcase(suite, slow);
    return suite;
}
