/* Adapters on a base that is kept in few bits alone: exact gradients, the numbers of a float32
 * model whose weights are what the bits stand for, memory of the adapters and nothing else. */
#include "studentkit.h"

#include "encoderkit.h"

#define CONFIG(type, more)                                                                         \
    "{\"model_type\":\"" type "\",\"vocab_size\":37,\"hidden_size\":96,\"num_hidden_layers\":2,"   \
    "\"num_attention_heads\":4,\"intermediate_size\":160,\"max_position_embeddings\":64,"          \
    "\"initializer_range\":0.1" more "}"
static const char llama[] = CONFIG("llama", ",\"num_key_value_heads\":2");
static const char tied[] =
    CONFIG("qwen2", ",\"num_key_value_heads\":2,\"tie_word_embeddings\":true");
static const int32_t kinds[] = { KD_INT8, KD_BLOCK_Q4_0, KD_BLOCK_IQ4_NL };

static kd_context *ctx;
static kd_batch *batch;
static kd_loss *loss;
static double alpha = 16;

static void begin(int32_t threads)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.label_field = "tokens";
    o.align = KD_ALIGN_NEXT;
    ctx = make_context(threads);
    batch = make_batch(ctx);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &o, NULL));
}

static void setup(void) { begin(2); }

static void teardown(void)
{
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static kd_model_options packed(int32_t weights)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.weights = weights;
    o.packed_only = 1;
    return o;
}

/* Adapters with numbers of their own on both sides. */
static void adapt(kd_model *model, const char *pattern)
{
    kd_lora_options o = KD_LORA_OPTIONS_INIT;
    int32_t count;
    o.rank = 3;
    o.seed = 9;
    o.alpha = alpha;
    OK(kd_model_add_lora(model, pattern, &o));
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array v;
        OK(kd_model_tensor(model, i, &name, NULL));
        if (!strstr(name, ".lora_B")) continue;
        OK(kd_model_tensor(model, i, NULL, &v));
        for (int64_t j = 0; j < kd_array_count(&v); j++)
            ((float *)v.data)[j] = 0.05f * (float)((j * 5 + i) % 7 - 3);
    }
}

static double value_of(kd_model *model)
{
    kd_loss_result info = { .struct_size = sizeof info };
    OK(kd_model_zero_gradients(model));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, batch, NULL, NULL, &info));
    return info.value;
}

/* Central differences of one number of every `step`-th tensor that matches. */
static int check_gradients(kd_model *model, const char *only, int step)
{
    int32_t count, checked = 0;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array values, gradient;
        OK(kd_model_tensor(model, i, &name, NULL));
        if (!strstr(name, only) || i % step) continue;
        OK(kd_model_tensor(model, i, NULL, &values));
        value_of(model);
        OK(kd_model_tensor_gradient(model, i, &gradient));
        const int64_t at = kd_array_count(&values) / 3;
        const float expected = ((float *)gradient.data)[at], kept = ((float *)values.data)[at],
                    h = 0.01f;
        ((float *)values.data)[at] = kept + h;
        const double up = value_of(model);
        ((float *)values.data)[at] = kept - h;
        const double down = value_of(model);
        ((float *)values.data)[at] = kept;
        ck_assert_msg(fabs((up - down) / (2 * h) - expected) < 2e-4 + 0.02 * fabs(expected),
                      "%s: %g, expected %g", name, (up - down) / (2 * h), (double)expected);
        checked++;
    }
    return checked;
}

START_TEST(gradients_of_adapters_are_exact)
{
    for (int k = 0; k < 3; k++) {
        kd_model_options o = packed(kinds[k]);
        o.recompute = k == 1;
        kd_model *model = encoder_made(ctx, k == 2 ? tied : llama, &o);
        adapt(model, NULL);
        if (k < 2) adapt(model, "lm_head.weight");
        ck_assert_int_ge(check_gradients(model, ".lora_", 3), 9);
        OK(kd_model_freeze(model, "*norm.weight", 0)); /* they are float32 */
        ck_assert_int_eq(check_gradients(model, "model.norm.weight", 1), 1);
        kd_model_free(model);
    }
}
END_TEST

/* Weights that blocks of Q4_0 (and the head's 8 bits) hold exactly. */
static void put_on_blocks(kd_model *model)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array v;
        OK(kd_model_tensor(model, i, &name, &v));
        for (int64_t j = 0; j < kd_array_count(&v) && v.rank == 2; j++) {
            const int64_t k = j % 32, n = (j * 2654435761 >> 7) + i;
            ((float *)v.data)[j] = !strcmp(name, "lm_head.weight")
                                       ? (float)(k ? n % 253 - 126 : 127) / 1024
                                       : (float)(k ? n % 15 - 7 : -8) / 64;
        }
    }
}

static void both(kd_model **few, kd_model **whole)
{
    const kd_model_options o = packed(KD_BLOCK_Q4_0);
    kd_model *made = encoder_made(ctx, llama, NULL);
    put_on_blocks(made);
    OK(kd_model_save(made, scratch_path("packed-lora"), NULL));
    kd_model_free(made);
    OK(kd_model_load(few, ctx, scratch_path("packed-lora"), &o));
    OK(kd_model_load(whole, ctx, scratch_path("packed-lora"), NULL));
}

/* The largest difference of numbers or gradients of adapters, in parts of the largest. */
static double apart(kd_model *a, kd_model *b, int gradient)
{
    int32_t count;
    double most = 0, off = 0;
    OK(kd_model_tensor_count(a, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array x, y;
        OK(kd_model_tensor(a, i, &name, NULL));
        if (!strstr(name, ".lora_")) continue;
        OK((gradient ? kd_model_tensor_gradient(a, i, &x) : kd_model_tensor(a, i, NULL, &x)));
        OK((gradient ? kd_model_tensor_gradient(b, i, &y) : kd_model_tensor(b, i, NULL, &y)));
        for (int64_t j = 0; j < kd_array_count(&x); j++) {
            most = fmax(most, fabs(((float *)y.data)[j]));
            off = fmax(off, fabs(((float *)x.data)[j] - ((float *)y.data)[j]));
        }
    }
    ck_assert(most > 0);
    return off / most;
}

static void train(kd_model *model, int steps)
{
    kd_optimizer *optimizer;
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    for (int i = 0; i < steps; i++) {
        value_of(model);
        OK(kd_optimizer_step(optimizer, 0.005));
    }
    kd_optimizer_free(optimizer);
}

START_TEST(numbers_are_those_of_a_float32_model_of_the_same_weights)
{
    static float x[ROWS * V], y[ROWS * V];
    kd_model *few, *whole;
    both(&few, &whole);
    adapt(few, NULL);
    adapt(whole, NULL);
    adapt(few, "lm_head.weight");
    adapt(whole, "lm_head.weight");
    logits_of(few, batch, x);
    logits_of(whole, batch, y);
    ck_assert(distance(x, y, ROWS * V) < 1e-6 * (1 + fabs((double)y[0])));
    ck_assert(fabs(value_of(few) / value_of(whole) - 1) < 1e-6);
    ck_assert_msg(apart(few, whole, 1) < 1e-5, "%g", apart(few, whole, 1));
    const double before = value_of(few);
    train(few, 10);
    train(whole, 10);
    ck_assert_msg(value_of(few) < 0.95 * before, "%g, before %g", value_of(few), before);
    ck_assert_msg(apart(few, whole, 0) < 1e-4, "%g", apart(few, whole, 0));
    kd_model_free(few);
    kd_model_free(whole);
}
END_TEST

static void trained_tensor(int32_t threads, float to[3 * 96])
{
    const kd_model_options o = packed(KD_BLOCK_Q4_0);
    kd_array v;
    int32_t count;
    begin(threads);
    kd_model *model = encoder_made(ctx, llama, &o);
    adapt(model, NULL);
    train(model, 3);
    OK(kd_model_tensor_count(model, &count));
    OK(kd_model_tensor(model, count - 14 * 2, NULL, &v));
    ck_assert_int_eq(kd_array_count(&v), 3 * 96);
    memcpy(to, v.data, 3 * 96 * sizeof *to);
    kd_model_free(model);
    teardown();
}

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    float one[3 * 96], three[3 * 96];
    teardown();
    trained_tensor(1, one);
    trained_tensor(3, three);
    ck_assert_mem_eq(one, three, sizeof one);
    setup();
}
END_TEST

/* Steps `first` to 5 of a run whose checkpoint lies after step 3. */
static kd_model *run_from(int first)
{
    const kd_model_options o = packed(KD_INT8);
    kd_model *model = encoder_made(ctx, llama, &o);
    kd_optimizer *optimizer;
    kd_checkpoint *checkpoint;
    adapt(model, NULL);
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
    OK(kd_checkpoint_add_model(checkpoint, "model", model));
    OK(kd_checkpoint_add_optimizer(checkpoint, "optimizer", optimizer));
    if (first) OK(kd_checkpoint_load(checkpoint, scratch_path("packed-lora.ckpt")));
    for (int i = first; i < 6; i++) {
        if (i == 3 && !first) OK(kd_checkpoint_save(checkpoint, scratch_path("packed-lora.ckpt")));
        value_of(model);
        OK(kd_optimizer_step(optimizer, 1e-2));
    }
    kd_checkpoint_free(checkpoint);
    kd_optimizer_free(optimizer);
    return model;
}

START_TEST(a_checkpoint_continues_with_the_same_bits)
{
    kd_model *a = run_from(0), *b = run_from(3);
    ck_assert(apart(a, b, 0) == 0);
    kd_model_free(a);
    kd_model_free(b);
}
END_TEST

static uint64_t bytes_now(void)
{
    kd_context_info info = { .struct_size = sizeof info };
    OK(kd_context_get_info(ctx, &info));
    return info.bytes;
}

/* Adapters of 2 x rank x (inputs + outputs) numbers, their gradients and moments are all that
 * training adds to the packed base and its passes. */
START_TEST(memory_is_the_base_and_the_adapters)
{
    static const char config[] =
        "{\"model_type\":\"llama\",\"vocab_size\":64,\"hidden_size\":256,\"num_hidden_layers\":4,"
        "\"num_attention_heads\":4,\"intermediate_size\":512,\"max_position_embeddings\":64}";
    kd_model_options o = packed(KD_BLOCK_Q4_0);
    kd_model_info base = { .struct_size = sizeof base }, all = base;
    kd_model_memory_info estimate = { .struct_size = sizeof estimate };
    kd_optimizer *optimizer;
    kd_lora_options lora = KD_LORA_OPTIONS_INIT;
    o.max_rows = ROWS;
    OK(kd_model_estimate_memory(ctx, config, &o, &estimate));
    kd_model *model = encoder_made(ctx, config, &o);
    OK(kd_model_get_info(model, &base));
    ck_assert_int_eq(base.memory_bytes, estimate.parameter_bytes + estimate.gradient_bytes);
    ck_assert(base.memory_bytes < 0.62 * (double)base.parameters);
    lora.rank = 4;
    OK(kd_model_add_lora(model, NULL, &lora));
    OK(kd_model_get_info(model, &all));
    const int64_t adapters = 4 * 4 * (4 * 2 * 256 + 3 * (256 + 512));
    ck_assert_int_eq(all.parameters - base.parameters, adapters);
    ck_assert_int_eq(all.memory_bytes - base.memory_bytes, 8 * adapters);
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    value_of(model);
    const uint64_t before = bytes_now();
    OK(kd_optimizer_step(optimizer, 1e-3));
    ck_assert(bytes_now() - before < (uint64_t)(8 * adapters + 65536)); /* both moments */
    value_of(model);
    const uint64_t steady = bytes_now();
    OK(kd_optimizer_step(optimizer, 1e-3));
    value_of(model);
    ck_assert_int_eq(bytes_now(), steady);
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}
END_TEST

static void greedy(kd_model *model, int32_t weights, int32_t ids[8])
{
    static const int32_t prompt[] = { 3, 5, 7 };
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    kd_generator *g;
    o.weights = weights;
    s.temperature = 0;
    s.max_tokens = 8;
    OK(kd_generator_create(&g, model, &o));
    OK(kd_generator_add(g, prompt, 3, &s, NULL));
    while (kd_generator_next(g, &text) == KD_OK) memcpy(ids, text.ids, 8 * sizeof *ids);
    kd_generator_free(g);
}

/* The packed products and the adapters beside them say what the float32 model says. */
START_TEST(generators_see_the_adapters)
{
    int32_t plain[8], few_ids[8], whole_ids[8];
    kd_model *few, *whole;
    both(&few, &whole);
    greedy(few, KD_BLOCK_Q4_0, plain);
    alpha = 300;
    for (int i = 0; i < 2; i++) {
        adapt(i ? whole : few, NULL);
        adapt(i ? whole : few, "lm_head.weight");
    }
    alpha = 16;
    greedy(few, KD_BLOCK_Q4_0, few_ids);
    greedy(whole, KD_FLOAT32, whole_ids);
    ck_assert_mem_eq(few_ids, whole_ids, sizeof few_ids);
    ck_assert_mem_ne(few_ids, plain, sizeof few_ids);
    kd_model_free(few);
    kd_model_free(whole);
}
END_TEST

START_TEST(wrong_combinations_say_what_to_do)
{
    kd_model_options o = packed(KD_BLOCK_Q4_0);
    kd_model *model, *none;
    kd_array v;
    o.packed_only = 0;
    FAILS(kd_model_create(&none, ctx, llama, &o), KD_ERR_UNSUPPORTED, "with packed_only 1 its");
    o.packed_only = 1;
    o.shared_gradients = 1;
    FAILS(kd_model_create(&none, ctx, llama, &o), KD_ERR_UNSUPPORTED,
          "expected 0 with packed_only");
    o.shared_gradients = 0;
    o.frozen = 1;
    model = encoder_made(ctx, llama, &o);
    FAILS(kd_model_add_lora(model, NULL, NULL), KD_ERR_STATE, "load it with frozen 0");
    kd_model_free(model);
    o.frozen = 0;
    model = encoder_made(ctx, llama, &o);
    FAILS(kd_model_add_lora(model, "*embed_tokens*", NULL), KD_ERR_NOT_FOUND, "no matrix");
    FAILS(kd_model_freeze(model, "*", 0), KD_ERR_STATE, "give it an adapter");
    OK(kd_model_freeze(model, "*", 1));
    OK(kd_model_freeze(model, "*norm.weight", 0));
    FAILS(kd_model_tensor_gradient(model, 0, &v), KD_ERR_STATE, "has no gradient: an adapter has");
    FAILS(kd_model_gradients(model, &v), KD_ERR_STATE, "gradients: expected");
    FAILS(kd_model_save(model, scratch_path("packed-lora"), NULL), KD_ERR_STATE, "save: expected");
    adapt(model, NULL);
    OK(kd_model_freeze(model, "*norm.weight", 0));
    FAILS(kd_model_save(model, scratch_path("packed-lora"), NULL), KD_ERR_UNSUPPORTED,
          "is trained besides the adapters");
    OK(kd_model_freeze(model, "*norm.weight", 1));
    OK(kd_model_save(model, scratch_path("packed-lora-adapter"), NULL));
    kd_model_free(model);
}
END_TEST

/* ---- folders of adapters ---- */

/* The logits of a new model of the config with the adapters of the folder. */
static void loaded(const kd_model_options *o, const char *folder, float *to)
{
    kd_model *model = encoder_made(ctx, llama, o);
    OK(kd_model_load_lora(model, folder));
    logits_of(model, batch, to);
    kd_model_free(model);
}

START_TEST(saved_adapters_give_the_same_model_again)
{
    static float x[ROWS * V], y[ROWS * V];
    const kd_model_options few = packed(KD_BLOCK_Q4_0), whole = KD_MODEL_OPTIONS_INIT;
    for (int i = 0; i < 2; i++) {
        const kd_model_options *o = i ? &whole : &few;
        const char *folder = scratch_path("lora-again");
        kd_model *model = encoder_made(ctx, llama, o);
        adapt(model, "*proj.weight");
        adapt(model, "lm_head.weight");
        OK(kd_model_save_lora(model, folder, NULL));
        logits_of(model, batch, x);
        loaded(o, folder, y);
        ck_assert_mem_eq(x, y, sizeof x);
        kd_model_free(model);
    }
}
END_TEST

/* adapter_config.json beside the numbers of a model with `alpha`. */
static void configure(const char *folder, const char *more)
{
    char path[700], text[300];
    snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    const int n = snprintf(text, sizeof text, "{\"peft_type\":\"LORA\",\"lora_alpha\":16%s}", more);
    write_file(path, text, (size_t)n);
}

START_TEST(scales_are_those_of_peft)
{
    static float x[ROWS * V], y[ROWS * V];
    const kd_model_options o = KD_MODEL_OPTIONS_INIT;
    const char *folder = scratch_path("lora-scales");
    kd_model *model = encoder_made(ctx, llama, &o);
    adapt(model, NULL);
    OK(kd_model_save_lora(model, folder, NULL));
    logits_of(model, batch, x);
    kd_model_free(model);
    configure(folder, ",\"bias\":\"none\",\"modules_to_save\":null");
    loaded(&o, folder, y);
    ck_assert_mem_eq(x, y, sizeof x);
    configure(folder, ",\"lora_dropout\":0.1,\"alpha_pattern\":{\"proj\":3}");
    loaded(&o, folder, y); /* "proj" is no part of a name */
    ck_assert_mem_eq(x, y, sizeof x);
    configure(folder, ",\"alpha_pattern\":{\"q_proj\":3}");
    loaded(&o, folder, y);
    ck_assert(distance(x, y, ROWS * V) > 1e-4);
    alpha = 16 * sqrt(3); /* over 3 as 16 over the root of it */
    model = encoder_made(ctx, llama, &o);
    adapt(model, NULL);
    alpha = 16;
    logits_of(model, batch, x);
    kd_model_free(model);
    configure(folder, ",\"use_rslora\":true");
    loaded(&o, folder, y);
    ck_assert(distance(x, y, ROWS * V) < 1e-5);
}
END_TEST

static void refuses(const char *folder, const char *more, kd_status status, const char *says)
{
    const kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model *model = encoder_made(ctx, llama, &o);
    int32_t before, after;
    OK(kd_model_tensor_count(model, &before));
    configure(folder, more);
    FAILS(kd_model_load_lora(model, folder), status, says);
    OK(kd_model_tensor_count(model, &after));
    ck_assert_int_eq(before, after);
    kd_model_free(model);
}

START_TEST(foreign_adapters_are_refused_by_name)
{
    const kd_model_options o = KD_MODEL_OPTIONS_INIT;
    const char *folder = scratch_path("lora-foreign");
    kd_model *model = encoder_made(ctx, llama, &o), *other = encoder_made(ctx, tied, &o);
    FAILS(kd_model_save_lora(model, folder, NULL), KD_ERR_STATE, "expected adapters");
    FAILS(kd_model_load_lora(model, scratch_path("nowhere")), KD_ERR_NOT_FOUND,
          "adapter_config.json");
    adapt(model, NULL);
    adapt(model, "lm_head.weight");
    OK(kd_model_save_lora(model, folder, NULL));
    FAILS(kd_model_load_lora(model, folder), KD_ERR_STATE, "has an adapter already");
    FAILS(kd_model_load_lora(other, folder), KD_ERR_NOT_FOUND, "lm_head: the model has no such");
    kd_model_free(model);
    kd_model_free(other);
    refuses(folder, ",\"use_dora\":true", KD_ERR_UNSUPPORTED, "use_dora");
    refuses(folder, ",\"bias\":\"all\"", KD_ERR_UNSUPPORTED, "bias");
    refuses(folder, ",\"modules_to_save\":[\"score\"]", KD_ERR_UNSUPPORTED, "modules_to_save");
    refuses(folder, ",\"alpha_pattern\":{\".*q\":1}", KD_ERR_UNSUPPORTED, "names of modules");
    refuses(folder, ",\"lora_alpha\":1", KD_ERR_FORMAT, "adapter_config.json");
    model = encoder_made(ctx, CONFIG("llama", ",\"num_key_value_heads\":1"), &o);
    configure(folder, "");
    FAILS(kd_model_load_lora(model, folder), KD_ERR_SHAPE, "k_proj: expected floats");
    kd_model_free(model);
}
END_TEST

Suite *packed_lora_suite(void)
{
    Suite *suite = suite_create("packed_lora");
    TCase *tests = tcase_create("packed_lora");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, gradients_of_adapters_are_exact);
    tcase_add_test(tests, numbers_are_those_of_a_float32_model_of_the_same_weights);
    tcase_add_test(tests, any_number_of_threads_gives_the_same_bits);
    tcase_add_test(tests, a_checkpoint_continues_with_the_same_bits);
    tcase_add_test(tests, memory_is_the_base_and_the_adapters);
    tcase_add_test(tests, generators_see_the_adapters);
    tcase_add_test(tests, wrong_combinations_say_what_to_do);
    tcase_add_test(tests, saved_adapters_give_the_same_model_again);
    tcase_add_test(tests, scales_are_those_of_peft);
    tcase_add_test(tests, foreign_adapters_are_refused_by_name);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return suite;
}
