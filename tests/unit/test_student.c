#include "textkit.h"
#include <unistd.h>

#include "unit.h"

#define ROWS 24
#define V 37

static const char base[] =
    "{\"model_type\":\"%s\",\"vocab_size\":37,\"hidden_size\":24,\"intermediate_size\":20,\"num_hidden_layers\":4,\"num_attention_heads\":4,"
    "\"num_key_value_heads\":2,\"max_position_embeddings\":64,\"initializer_range\":0.2%s}";

static kd_model *make_model(kd_context *ctx, const char *type, const char *more, const kd_model_options *o)
{
    char json[700];
    kd_model *model;
    snprintf(json, sizeof json, base, type, more);
    OK(kd_model_create(&model, ctx, json, o));
    return model;
}

static kd_batch *make_batch(kd_context *ctx)
{
    static int64_t tokens[ROWS], offsets[] = { 0, 15, ROWS };
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 3), t = KD_ARRAY_1D(tokens, KD_INT64, ROWS);
    kd_batch *batch;
    for (int i = 0; i < ROWS; i++) tokens[i] = (i * i + 3 * i) % V;
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &o));
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    return batch;
}

static kd_loss *make_loss(kd_context *ctx)
{
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.label_field = "tokens";
    o.align = KD_ALIGN_NEXT;
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &o, NULL));
    return loss;
}

static void logits_of(kd_model *model, kd_batch *batch, float *to)
{
    kd_array z;
    OK(kd_model_forward(model, batch, KD_EVALUATE));
    OK(kd_model_output(model, "logits", &z));
    memcpy(to, z.data, sizeof(float) * ROWS * V);
}

static double distance(const float *a, const float *b, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++) most = fmax(most, fabs(a[i] - b[i]));
    return most;
}

static float *tensor_of(kd_model *model, const char *name, kd_array *values)
{
    int32_t count;
    OK(kd_model_tensors(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *found;
        OK(kd_model_tensor(model, i, &found, values));
        if (!strcmp(found, name)) return values->data;
    }
    ck_abort_msg("no tensor %s", name);
}

START_TEST(a_student_of_everything_is_its_teacher)
{
    kd_context *ctx = make_context(2);
    static const char *const more[] = { "", ",\"sliding_window\":5,\"use_sliding_window\":true,\"max_window_layers\":2",
                                        ",\"tie_word_embeddings\":true,\"head_dim\":10" };
    static const char *const types[] = { "llama", "qwen2", "qwen3" };
    kd_batch *batch = make_batch(ctx);
    for (int i = 0; i < 3; i++) {
        kd_model *teacher = make_model(ctx, types[i], more[i], NULL), *student, *half;
        kd_student_options o = KD_STUDENT_OPTIONS_INIT;
        static float a[ROWS * V], b[ROWS * V];
        OK(kd_model_student(&student, teacher, NULL));
        logits_of(teacher, batch, a);
        logits_of(student, batch, b);
        ck_assert(!memcmp(a, b, sizeof a));
        o.layers = 2;
        OK(kd_model_student(&half, teacher, &o));
        kd_array x, y;
        float *first = tensor_of(half, "model.layers.1.mlp.up_proj.weight", &x), *last = tensor_of(teacher, "model.layers.3.mlp.up_proj.weight", &y);
        ck_assert(!memcmp(first, last, 24 * 20 * sizeof *first));
        kd_model_free(half);
        kd_model_free(student);
        kd_model_free(teacher);
    }
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

/* Feed-forward numbers and key-value heads that say nothing are dropped first, and nobody misses them. */
START_TEST(what_is_least_active_is_cut)
{
    kd_context *ctx = make_context(1);
    kd_batch *batch = make_batch(ctx);
    kd_model *teacher = make_model(ctx, "llama", "", NULL), *student;
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    static float a[ROWS * V], b[ROWS * V];
    for (int l = 0; l < 4; l++) {
        char name[KD_MAX_NAME];
        kd_array values;
        snprintf(name, sizeof name, "model.layers.%d.mlp.up_proj.weight", l);
        for (int i = 0; i < 8; i++) memset(tensor_of(teacher, name, &values) + (i * 2 + l % 2) * 24, 0, 24 * sizeof(float));
        snprintf(name, sizeof name, "model.layers.%d.self_attn.v_proj.weight", l);
        memset(tensor_of(teacher, name, &values) + l % 2 * 6 * 24, 0, 6 * 24 * sizeof(float));
    }
    o.intermediate_size = 12;
    o.key_value_heads = 1;
    o.calibration = batch;
    OK(kd_model_student(&student, teacher, &o));
    logits_of(teacher, batch, a);
    logits_of(student, batch, b);
    ck_assert_msg(distance(a, b, ROWS * V) < 1e-5, "distance %g", distance(a, b, ROWS * V));
    kd_model_free(student);
    o.hidden_size = 16;
    o.layer_map = (const int32_t[]){ 3, 0, 0 };
    o.layers = 3;
    o.config = "{\"sliding_window\":4,\"attention_sinks\":1,\"layer_types\":[\"full_attention\",\"sliding_attention\",\"sliding_attention\"]}";
    OK(kd_model_student(&student, teacher, &o));
    logits_of(student, batch, b);
    for (int i = 0; i < ROWS * V; i++) ck_assert(isfinite(b[i]));
    kd_model_free(student);
    o.config = "{\"hidden_size\":8}";
    FAILS(kd_model_student(&student, teacher, &o), KD_ERR_CONFIG, "size");
    o.config = NULL;
    o.hidden_size = 25;
    FAILS(kd_model_student(&student, teacher, &o), KD_ERR_RANGE, "hidden_size");
    o.hidden_size = 0;
    o.layer_map = (const int32_t[]){ 4, 0, 0 };
    FAILS(kd_model_student(&student, teacher, &o), KD_ERR_RANGE, "no layer 4");
    kd_model_free(teacher);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

static double value_of(kd_model *model, kd_batch *batch, kd_loss *loss)
{
    kd_loss_result info = { .struct_size = sizeof info };
    OK(kd_model_zero_gradients(model));
    OK(kd_model_forward(model, batch, KD_TRAIN));
    OK(kd_loss_backward(loss, model, batch, NULL, NULL, &info));
    return info.value;
}

/* Central differences of one number of each tensor. */
static void check_gradients(kd_model *model, kd_batch *batch, kd_loss *loss, const char *only)
{
    int32_t count;
    OK(kd_model_tensors(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array values, gradient;
        OK(kd_model_tensor(model, i, &name, &values));
        if (only && !strstr(name, only)) continue;
        value_of(model, batch, loss);
        OK(kd_model_tensor_gradient(model, i, &gradient));
        const int64_t at = kd_array_count(&values) / 3;
        const float expected = ((float *)gradient.data)[at], kept = ((float *)values.data)[at], h = 0.02f;
        ((float *)values.data)[at] = kept + h;
        const double up = value_of(model, batch, loss);
        ((float *)values.data)[at] = kept - h;
        const double down = value_of(model, batch, loss);
        ((float *)values.data)[at] = kept;
        ck_assert_msg(fabs((up - down) / (2 * h) - expected) < 2e-3 + 0.03 * fabs(expected), "%s: %g, expected %g", name, (up - down) / (2 * h),
                      (double)expected);
    }
}

/* The model as it comes back from a folder, and its logits. */
static kd_model *reloaded(kd_context *ctx, kd_model *model, const char *folder, const kd_model_save_options *o, kd_batch *batch, float *logits)
{
    kd_model *again;
    OK(kd_model_save(model, folder, o));
    OK(kd_model_load(&again, ctx, folder, NULL));
    logits_of(again, batch, logits);
    return again;
}

START_TEST(shards_are_written_and_stand_for_the_file)
{
    kd_context *ctx = make_context(1);
    kd_batch *batch = make_batch(ctx);
    kd_model *model = make_model(ctx, "llama", "", NULL), *again;
    kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
    const char *folder = scratch_path("shards");
    static float a[ROWS * V], b[ROWS * V];
    static char text[20000];
    char path[600];
    for (int i = 0; i < 3; i++) { /* one file, shards in its place, and one file again, which is then read */
        o.shard_bytes = i == 1 ? 6000 : 0;
        kd_array p;
        OK(kd_model_parameters(model, &p));
        ((float *)p.data)[0] += 1;
        logits_of(model, batch, a);
        again = reloaded(ctx, model, folder, &o, batch, b);
        ck_assert(!memcmp(a, b, sizeof a));
        kd_model_free(again);
        snprintf(path, sizeof path, "%s/model.safetensors", folder);
        ck_assert_int_eq(access(path, F_OK), i == 1 ? -1 : 0);
    }
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    ck_assert_ptr_nonnull(strstr(text, "\"model.norm.weight\":\"model-00"));
    ck_assert_ptr_nonnull(strstr(text, "\"metadata\":{\"total_size\":"));
    o.shard_bytes = -1;
    FAILS(kd_model_save(model, folder, &o), KD_ERR_RANGE, "shard_bytes");
    o.shard_bytes = 1; /* a shard a tensor */
    again = reloaded(ctx, model, folder, &o, batch, b);
    ck_assert(!memcmp(a, b, sizeof a));
    kd_model_free(again);
    kd_model_free(model);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

START_TEST(shared_layers_train_and_expand)
{
    kd_context *ctx = make_context(2);
    kd_batch *batch = make_batch(ctx);
    kd_loss *loss = make_loss(ctx);
    static const char *const kinds[] = { "block", "stack" };
    for (int i = 0; i < 2; i++) {
        char more[100];
        snprintf(more, sizeof more, ",\"kd_layer_repeats\":2,\"kd_layer_sharing\":\"%s\"", kinds[i]);
        kd_model *model = make_model(ctx, "llama", more, NULL), *again, *whole;
        kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
        static float a[ROWS * V], b[ROWS * V];
        int32_t own, all;
        check_gradients(model, batch, loss, NULL);
        logits_of(model, batch, a);
        again = reloaded(ctx, model, scratch_path("shared"), NULL, batch, b);
        ck_assert(!memcmp(a, b, sizeof a));
        o.expand = 1;
        whole = reloaded(ctx, model, scratch_path("expanded"), &o, batch, b);
        ck_assert(!memcmp(a, b, sizeof a));
        OK(kd_model_tensors(model, &own));
        OK(kd_model_tensors(whole, &all));
        ck_assert_int_eq(all - own, 2 * 9);
        kd_model_free(whole);
        kd_model_free(again);
        kd_model_free(model);
    }
    kd_model *model;
    char json[700];
    snprintf(json, sizeof json, base, "llama", ",\"kd_layer_repeats\":3");
    FAILS(kd_model_create(&model, ctx, json, NULL), KD_ERR_CONFIG, "kd_layer_repeats");
    snprintf(json, sizeof json, base, "llama", ",\"kd_layer_repeats\":2,\"kd_layer_sharing\":\"half\"");
    FAILS(kd_model_create(&model, ctx, json, NULL), KD_ERR_CONFIG, "kd_layer_sharing");
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

/* The first `count` greedy tokens after a prompt. */
static void greedy(kd_model *model, int32_t weights, int32_t *to, int32_t count)
{
    const int32_t prompt[] = { 3, 1, 4, 1, 5 };
    kd_generator *generator;
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated g = { .struct_size = sizeof g };
    int64_t request;
    o.weights = weights;
    s.temperature = 0;
    s.max_tokens = count;
    s.keep_hidden = 1;
    OK(kd_generator_create(&generator, model, &o));
    OK(kd_generator_add(generator, prompt, 5, &s, &request));
    OK(kd_generator_next(generator, &g));
    ck_assert_int_eq(g.count, count);
    memcpy(to, g.ids, (size_t)count * sizeof *to);
    kd_generator_free(generator);
}

START_TEST(factorised_embeddings_train_generate_and_expand)
{
    kd_context *ctx = make_context(2);
    kd_batch *batch = make_batch(ctx);
    kd_loss *loss = make_loss(ctx);
    static float a[ROWS * V], b[ROWS * V];
    kd_model *teacher = make_model(ctx, "qwen3", ",\"head_dim\":6,\"tie_word_embeddings\":true", NULL), *student, *again, *whole;
    kd_student_options so = KD_STUDENT_OPTIONS_INIT;
    kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
    kd_model_facts facts[2] = { { .struct_size = sizeof *facts }, { .struct_size = sizeof *facts } };
    int32_t ids[2][20];
    kd_array e, p;
    float *embedding = tensor_of(teacher, "model.embed_tokens.weight", &e);
    for (int i = 0; i < V; i++)
        for (int j = 0; j < 24; j++)
            embedding[i * 24 + j] = 0.2f * (sinf((float)(i * 2)) * cosf((float)j) + (float)(i % 5 - 2) * sinf((float)(j * j)) * 0.4f);
    so.config = "{\"kd_embedding_size\":5}"; /* two are enough for these */
    OK(kd_model_student(&student, teacher, &so));
    tensor_of(student, "model.embed_projection.weight", &p);
    ck_assert_int_eq(p.dims[1], 5);
    logits_of(teacher, batch, a);
    logits_of(student, batch, b);
    ck_assert(distance(a, b, ROWS * V) < 1e-4);
    check_gradients(student, batch, loss, NULL);
    logits_of(student, batch, a);
    again = reloaded(ctx, student, scratch_path("factorised"), NULL, batch, b);
    ck_assert(!memcmp(a, b, sizeof a));
    o.expand = 1;
    whole = reloaded(ctx, student, scratch_path("expanded"), &o, batch, b);
    ck_assert(distance(a, b, ROWS * V) < 1e-4);
    OK(kd_model_get_facts(student, &facts[0]));
    OK(kd_model_get_facts(whole, &facts[1]));
    ck_assert_int_eq(facts[1].parameters - facts[0].parameters, V * 24 - V * 5 - 24 * 5);
    for (int w = 0; w < 2; w++) { /* 8-bit numbers: it runs */
        greedy(student, w ? KD_INT8 : KD_FLOAT32, ids[0], 20);
        greedy(whole, w ? KD_INT8 : KD_FLOAT32, ids[1], 20);
        if (!w) ck_assert(!memcmp(ids[0], ids[1], sizeof ids[0]));
    }
    OK(kd_model_resize(student, V + 3));
    logits_of(whole, batch, a);
    OK(kd_model_forward(student, batch, KD_EVALUATE));
    OK(kd_model_output(student, "logits", &e));
    for (int r = 0; r < ROWS; r++) ck_assert(distance(a + r * V, (float *)e.data + r * (V + 3), V) < 1e-4);
    FAILS(kd_model_student(&again, student, NULL), KD_ERR_UNSUPPORTED, "factorised");
    kd_model_free(whole);
    kd_model_free(again);
    kd_model_free(student);
    kd_model_free(teacher);
    char json[700];
    snprintf(json, sizeof json, base, "llama", ",\"kd_embedding_size\":30");
    FAILS(kd_model_create(&student, ctx, json, NULL), KD_ERR_CONFIG, "at most hidden_size");
    snprintf(json, sizeof json, base, "llama", ",\"kd_embedding_size\":3");
    FAILS(kd_model_create(&student, ctx, json, NULL), KD_ERR_CONFIG, "tie_word_embeddings");
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

/* Values of all layers or of the first ones are made again: the same bits, and less memory. */
START_TEST(recomputed_gradients_are_the_same_bits)
{
    kd_context *ctx = make_context(2);
    kd_batch *batch = make_batch(ctx);
    kd_loss *loss = make_loss(ctx);
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info info = { .struct_size = sizeof info };
    int64_t bytes[3];
    const char *more = ",\"kd_layer_repeats\":2";
    char json[700];
    kd_array x, y;
    kd_model *whole = make_model(ctx, "qwen3", more, NULL);
    const double value = value_of(whole, batch, loss);
    OK(kd_model_gradients(whole, &x));
    snprintf(json, sizeof json, base, "qwen3", "");
    o.max_rows = 1000;
    for (int i = 0; i < 3; i++) {
        o.recompute = i > 0;
        o.recompute_layers = i == 1;
        kd_model *model = make_model(ctx, "qwen3", more, &o);
        ck_assert(value == value_of(model, batch, loss));
        OK(kd_model_gradients(model, &y));
        ck_assert(!memcmp(x.data, y.data, (size_t)kd_array_count(&x) * sizeof(float)));
        OK(kd_model_memory(ctx, json, &o, &info));
        bytes[i] = info.activation_bytes;
        kd_model_free(model);
    }
    ck_assert_int_lt(bytes[2], bytes[0] / 2);
    ck_assert_int_lt(bytes[2], bytes[1]);
    ck_assert_int_lt(bytes[1], bytes[0]);
    kd_model *none;
    o.recompute_layers = 100;
    FAILS(kd_model_create(&none, ctx, json, &o), KD_ERR_RANGE, "recompute_layers");
    o.recompute_layers = -1;
    FAILS(kd_model_memory(ctx, json, &o, &info), KD_ERR_RANGE, "recompute_layers");
    o.recompute = 0, o.recompute_layers = 1;
    FAILS(kd_model_create(&none, ctx, json, &o), KD_ERR_RANGE, "recompute_layers");
    kd_model_free(whole);
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

/* Kept in 16 bits: the forward pass is the same, gradients are near, memory is less; with layers computed again, too. */
START_TEST(activations_are_kept_in_16_bits)
{
    kd_context *ctx = make_context(2);
    kd_batch *batch = make_batch(ctx);
    kd_loss *loss = make_loss(ctx);
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info info = { .struct_size = sizeof info };
    char json[700];
    kd_array x, y;
    kd_model *whole = make_model(ctx, "qwen3", "", NULL), *none;
    const double value = value_of(whole, batch, loss);
    OK(kd_model_gradients(whole, &x));
    const int64_t n = kd_array_count(&x);
    snprintf(json, sizeof json, base, "qwen3", "");
    o.max_rows = 1000;
    OK(kd_model_memory(ctx, json, &o, &info));
    const int64_t before = info.activation_bytes;
    o.activations = KD_BFLOAT16;
    for (o.recompute = 0; o.recompute < 2; o.recompute++) {
        o.recompute_layers = o.recompute;
        kd_model *model = make_model(ctx, "qwen3", "", &o);
        double apart = 0, size = 0;
        ck_assert(value == value_of(model, batch, loss));
        OK(kd_model_gradients(model, &y));
        for (int64_t i = 0; i < n; i++) {
            const double a = ((const float *)x.data)[i], b = ((const float *)y.data)[i];
            apart += (a - b) * (a - b), size += a * a;
        }
        ck_assert_msg(apart > 0 && sqrt(apart / size) < 0.01, "relative error %g", sqrt(apart / size));
        OK(kd_model_memory(ctx, json, &o, &info));
        ck_assert_int_lt(info.activation_bytes, before);
        kd_model_free(model);
    }
    o.activations = KD_FLOAT16;
    FAILS(kd_model_create(&none, ctx, json, &o), KD_ERR_UNSUPPORTED, "activations");
    kd_model_free(whole);
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

START_TEST(adapters_alone_learn_and_are_merged_when_saved)
{
    kd_context *ctx = make_context(2);
    kd_batch *batch = make_batch(ctx);
    kd_loss *loss = make_loss(ctx);
    kd_model *model = make_model(ctx, "llama", "", NULL), *again;
    kd_lora_options o = KD_LORA_OPTIONS_INIT;
    kd_optimizer *optimizer;
    static float a[ROWS * V], b[ROWS * V];
    kd_array values;
    float frozen[24 * 24];
    logits_of(model, batch, a);
    o.rank = 3;
    FAILS(kd_model_add_lora(model, "nothing", &o), KD_ERR_NOT_FOUND, "nothing");
    OK(kd_model_add_lora(model, "*.q_proj.weight", &o));
    OK(kd_model_add_lora(model, "*down_proj.weight", &o));
    logits_of(model, batch, b);
    ck_assert(!memcmp(a, b, sizeof a));
    float *up = tensor_of(model, "model.layers.1.self_attn.q_proj.weight.lora_B", &values);
    for (int i = 0; i < 24 * 3; i++) up[i] = 0.1f * (float)(i % 7 - 3);
    check_gradients(model, batch, loss, ".lora_");
    memcpy(frozen, tensor_of(model, "model.layers.1.self_attn.q_proj.weight", &values), sizeof frozen);
    const double before = value_of(model, batch, loss);
    OK(kd_optimizer_create(&optimizer, ctx, KD_ADAMW, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    for (int step = 0; step < 20; step++) {
        value_of(model, batch, loss);
        OK(kd_optimizer_step(optimizer, 1e-2));
    }
    ck_assert(value_of(model, batch, loss) < before - 0.1);
    ck_assert(!memcmp(frozen, tensor_of(model, "model.layers.1.self_attn.q_proj.weight", &values), sizeof frozen));
    logits_of(model, batch, a);
    OK(kd_model_save(model, scratch_path("merged"), NULL));
    OK(kd_model_load(&again, ctx, scratch_path("merged"), NULL));
    logits_of(again, batch, b);
    ck_assert(!memcmp(a, b, sizeof a));
    FAILS(kd_model_resize(model, 40), KD_ERR_STATE, "adapters");
    kd_optimizer_free(optimizer);
    kd_model_free(again);
    kd_model_free(model);
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

START_TEST(a_vocabulary_grows_and_shrinks)
{
    kd_context *ctx = make_context(1);
    kd_batch *batch = make_batch(ctx);
    for (int tied = 0; tied < 2; tied++) {
        kd_model *model = make_model(ctx, "llama", tied ? ",\"tie_word_embeddings\":true" : "", NULL);
        static float a[ROWS * V];
        kd_array z, e;
        logits_of(model, batch, a);
        OK(kd_model_resize(model, V + 3));
        OK(kd_model_forward(model, batch, KD_EVALUATE));
        OK(kd_model_output(model, "logits", &z));
        ck_assert_int_eq(z.dims[1], V + 3);
        for (int r = 0; r < ROWS; r++) ck_assert(distance((float *)z.data + r * (V + 3), a + r * V, V) < 1e-6);
        float *rows = tensor_of(model, "model.embed_tokens.weight", &e);
        double mean = 0;
        for (int i = 0; i < V; i++) mean += rows[i * 24 + 5] / V;
        NEAR(rows[(V + 2) * 24 + 5], mean, 1e-6);
        OK(kd_model_resize(model, V));
        static float b[ROWS * V];
        logits_of(model, batch, b);
        ck_assert(distance(a, b, ROWS * V) < 1e-6);
        FAILS(kd_model_resize(model, 0), KD_ERR_RANGE, "vocabulary");
        kd_model_free(model);
    }
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

START_TEST(gguf_files_come_back)
{
    kd_context *ctx = make_context(1);
    static const char *const types[] = { "llama", "qwen2", "qwen3" };
    kd_tokenizer *t, *read;
    const char *source = scratch_path("gguf-tokenizer.json"), *path = scratch_path("model.gguf");
    static const char cut[] = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"ByteLevel\","
                              "\"add_prefix_space\":false}]}";
    ck_assert(bytes_tokenizer(source, cut, TEXT_ADDED) == 0);
    OK(kd_tokenizer_load(&t, ctx, source));
    for (int i = 0; i < 3; i++) {
        char json[700];
        kd_model *model, *again;
        kd_batch *batch = make_batch(ctx);
        kd_array a, b;
        snprintf(json, sizeof json, base, types[i], i == 2 ? ",\"head_dim\":8,\"kd_layer_repeats\":2" : "");
        memmove(strstr(json, "37,") + 3, strstr(json, "37,") + 2, strlen(strstr(json, "37,") + 2) + 1);
        memcpy(strstr(json, "37"), "265", 3);
        OK(kd_model_create(&model, ctx, json, NULL));
        static const int32_t dtypes[] = { KD_FLOAT32, KD_FLOAT16, KD_INT8 };
        static const double limits[] = { 1e-6, 1e-2, 0.2 }; /* rows of 24 numbers stay float16 in the third */
        for (int k = 0; k < 3; k++) {
            OK(kd_gguf_save(model, t, path, dtypes[k], 264));
            OK(kd_model_load(&again, ctx, path, NULL));
            OK(kd_model_forward(model, batch, KD_EVALUATE));
            OK(kd_model_forward(again, batch, KD_EVALUATE));
            OK(kd_model_output(model, "logits", &a));
            OK(kd_model_output(again, "logits", &b));
            ck_assert_msg(distance(a.data, b.data, ROWS * 265) < limits[k], "%s, dtype %d: %g", types[i], dtypes[k],
                          distance(a.data, b.data, ROWS * 265));
            kd_model_free(again);
        }
        FAILS(kd_gguf_save(model, t, path, KD_BFLOAT16, -1), KD_ERR_UNSUPPORTED, "8 bits");
        OK(kd_tokenizer_load(&read, ctx, path));
        int64_t differences;
        OK(kd_tokenizer_compare(t, read, NULL, 0, 0, &differences, NULL));
        ck_assert_int_eq(differences, 0);
        kd_tokenizer_free(read);
        if (i == 0) { /* cut short anywhere it is refused */
            size_t size;
            char *bytes = read_whole(path, &size);
            for (size_t keep = 4; keep < size; keep += size / 61 + 1) {
                write_file(scratch_path("torn.gguf"), bytes, keep);
                ck_assert(kd_model_load(&again, ctx, scratch_path("torn.gguf"), NULL) < 0);
            }
            free(bytes);
        }
        kd_batch_free(batch);
        kd_model_free(model);
    }
    kd_tokenizer *prefixed; /* a way to cut that has no name there is refused, not dropped */
    char json[700];
    kd_model *model;
    ck_assert(bytes_tokenizer(source, "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}", TEXT_ADDED) == 0);
    OK(kd_tokenizer_load(&prefixed, ctx, source));
    snprintf(json, sizeof json, base, "llama", "");
    OK(kd_model_create(&model, ctx, json, NULL));
    FAILS(kd_gguf_save(model, prefixed, path, KD_FLOAT32, -1), KD_ERR_UNSUPPORTED, "no name");
    kd_tokenizer_free(prefixed);
    kd_model_free(model);
    kd_model *window = make_model(ctx, "qwen2", ",\"sliding_window\":5,\"use_sliding_window\":true,\"max_window_layers\":0", NULL);
    FAILS(kd_gguf_save(window, t, path, KD_FLOAT32, -1), KD_ERR_UNSUPPORTED, "windows");
    kd_model_free(window);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(an_index_of_shards_that_lies_is_refused)
{
    kd_context *ctx = make_context(1);
    kd_model *model = make_model(ctx, "llama", "", NULL), *again;
    static const struct {
        const char *map, *message;
    } bad[] = { { "{\"a\":\"../model.safetensors\"}", "in the folder" },
                { "{\"a\":5}", "in the folder" },
                { "{}", "no weight_map" },
                { "{\"a\":\"none.safetensors\"}", "cannot open" },
                { "{\"a\":\"part.safetensors\"}", "weight_map has 1" } };
    char path[600], other[600];
    OK(kd_model_save(model, scratch_path("lying"), NULL));
    snprintf(path, sizeof path, "%s/model.safetensors", scratch_path("lying"));
    snprintf(other, sizeof other, "%s/part.safetensors", scratch_path("lying"));
    ck_assert_int_eq(rename(path, other), 0);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", scratch_path("lying"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char json[200];
        snprintf(json, sizeof json, "{\"weight_map\":%s}", bad[i].map);
        write_file(path, json, strlen(json));
        const kd_status status = kd_model_load(&again, ctx, scratch_path("lying"), NULL);
        ck_assert_msg(status < 0 && strstr(kd_last_error(), bad[i].message), "%s: %s", bad[i].map, kd_last_error());
    }
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

START_TEST(ready_configs_are_about_as_large_as_their_names)
{
    kd_context *ctx = make_context(1);
    static const struct {
        const char *name;
        double parameters;
    } sizes[] = { { "100k", 1e5 }, { "1m", 1e6 }, { "5m", 5e6 }, { "15m", 15e6 }, { "40m", 40e6 }, { "150m", 150e6 } };
    for (int i = 0; i < 12; i++) {
        char name[40];
        const char *json;
        kd_model_memory_info info = { .struct_size = sizeof info };
        snprintf(name, sizeof name, "%s-%s", i % 2 ? "qwen3" : "llama", sizes[i / 2].name);
        OK(kd_ready_config(name, &json));
        OK(kd_model_memory(ctx, json, NULL, &info));
        ck_assert_msg(fabs((double)info.parameters / sizes[i / 2].parameters - 1) < 0.2, "%s: %lld", name, (long long)info.parameters);
    }
    const char *json;
    FAILS(kd_ready_config("gpt", &json), KD_ERR_NOT_FOUND, "llama-100k");
    kd_context_free(ctx);
}
END_TEST

Suite *student_suite(void)
{
    Suite *suite = suite_create("student");
    TCase *tests = tcase_create("student");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_student_of_everything_is_its_teacher);
    tcase_add_test(tests, what_is_least_active_is_cut);
    tcase_add_test(tests, shards_are_written_and_stand_for_the_file);
    tcase_add_test(tests, shared_layers_train_and_expand);
    tcase_add_test(tests, factorised_embeddings_train_generate_and_expand);
    tcase_add_test(tests, recomputed_gradients_are_the_same_bits);
    tcase_add_test(tests, activations_are_kept_in_16_bits);
    tcase_add_test(tests, adapters_alone_learn_and_are_merged_when_saved);
    tcase_add_test(tests, a_vocabulary_grows_and_shrinks);
    tcase_add_test(tests, gguf_files_come_back);
    tcase_add_test(tests, an_index_of_shards_that_lies_is_refused);
    tcase_add_test(tests, ready_configs_are_about_as_large_as_their_names);
    suite_add_tcase(suite, tests);
    return suite;
}
