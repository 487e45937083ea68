/* Steps of an optimizer without a backward pass before them: gradients of 0, whoever owns the
 * parameters. */
#include "unit.h"

#define ROWS 12
#define V 19
#define RATE 0.05

static kd_context *ctx;
static kd_batch *tokens, *vectors;
static kd_loss *next_token, *label;

static void make_tokens(void)
{
    static int64_t ids[ROWS], offsets[] = { 0, 7, ROWS };
    const kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 3), t = KD_ARRAY_1D(ids, KD_INT64, ROWS);
    kd_term_options to = KD_TERM_OPTIONS_INIT;
    for (int i = 0; i < ROWS; i++) ids[i] = (5 * i * i + 2 * i) % V;
    to.label_field = "tokens";
    to.align = KD_ALIGN_NEXT;
    OK(kd_batch_create(&tokens, ctx, NULL));
    OK(kd_batch_begin_packed(tokens, &o));
    OK(kd_batch_set(tokens, "tokens", &t, NULL));
    OK(kd_loss_create(&next_token, ctx, NULL));
    OK(kd_loss_add(next_token, KD_LOSS_CROSS_ENTROPY, 1, &to, NULL));
}

static void make_vectors(void)
{
    static float x[ROWS * 4];
    static int64_t y[ROWS];
    const kd_array inputs = KD_ARRAY_2D(x, KD_FLOAT32, ROWS, 4),
                   labels = KD_ARRAY_1D(y, KD_INT64, ROWS);
    for (int i = 0; i < ROWS * 4; i++) x[i] = (float)sin(1.7 * i);
    for (int i = 0; i < ROWS; i++) y[i] = i % 3;
    OK(kd_batch_create(&vectors, ctx, NULL));
    OK(kd_batch_begin(vectors, ROWS));
    OK(kd_batch_set(vectors, "inputs", &inputs, NULL));
    OK(kd_batch_set(vectors, "label", &labels, NULL));
    OK(kd_loss_create(&label, ctx, NULL));
    OK(kd_loss_add(label, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
}

static void setup(void)
{
    ctx = make_context(2);
    make_tokens();
    make_vectors();
}

static void teardown(void)
{
    kd_loss_free(label);
    kd_loss_free(next_token);
    kd_batch_free(vectors);
    kd_batch_free(tokens);
    kd_context_free(ctx);
}

/* ---- the owners ---- */

enum { MLP, LANGUAGE, LORA, MODELS };

static kd_model *make_model(int owner)
{
    static const char language[] =
        "{\"model_type\":\"llama\",\"vocab_size\":19,\"hidden_size\":16,\"intermediate_size\":20,"
        "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"max_position_embeddings\":32,"
        "\"initializer_range\":0.2}";
    static const char mlp[] =
        "{\"model_type\":\"mlp\",\"input_size\":4,\"hidden_sizes\":[8],\"num_labels\":3}";
    kd_model *model;
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.seed = 5;
    OK(kd_model_create(&model, ctx, owner == MLP ? mlp : language, &o));
    if (owner == LORA) OK(kd_model_add_lora(model, "*_proj.weight", NULL));
    return model;
}

static void push_back(kd_model *model, int owner)
{
    OK(kd_model_forward(model, owner == MLP ? vectors : tokens, KD_MODE_TRAIN));
    OK(kd_loss_backward(owner == MLP ? label : next_token, model, owner == MLP ? vectors : tokens,
                        NULL, NULL, NULL));
}

static kd_array parameters_of(kd_model *model)
{
    kd_array values;
    OK(kd_model_parameters(model, &values));
    return values;
}

static void same_numbers(kd_model *a, kd_model *b)
{
    const kd_array x = parameters_of(a), y = parameters_of(b);
    ck_assert_int_eq(kd_array_count(&x), kd_array_count(&y));
    /* 0 and -0 are the same number: valgrind gives a fused 0 - lr 0 the other sign */
    for (int64_t i = 0; i < kd_array_count(&x); i++)
        ck_assert(((float *)x.data)[i] == ((float *)y.data)[i]);
}

/* ---- every owner, every kind ---- */

static const int32_t kinds[] = { KD_OPTIMIZER_SGD, KD_OPTIMIZER_ADAMW, KD_OPTIMIZER_ADAM };
enum { KINDS = sizeof kinds / sizeof *kinds };

static kd_optimizer *make_optimizer(int32_t kind)
{
    kd_optimizer *optimizer;
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    o.momentum = kind == KD_OPTIMIZER_SGD ? 0.9 : 0;
    o.weight_decay = 0.1;
    OK(kd_optimizer_create(&optimizer, ctx, kind, &o));
    return optimizer;
}

/* A pass, a step, and two steps more; `zeroed`: by a host that zeroes its gradients before each of
 * them. */
static kd_model *three_steps(int owner, int32_t kind, int zeroed)
{
    kd_model *model = make_model(owner);
    kd_optimizer *optimizer = make_optimizer(kind);
    kd_optimizer_info info = { .struct_size = sizeof info };
    OK(kd_optimizer_add_model(optimizer, model));
    push_back(model, owner);
    OK(kd_optimizer_step(optimizer, RATE));
    for (int i = 0; i < 2; i++) {
        if (zeroed) OK(kd_model_zero_gradients(model));
        OK(kd_optimizer_step(optimizer, RATE));
        OK(kd_optimizer_get_info(optimizer, &info));
        ck_assert(info.gradient_norm == 0 && !info.last_skipped && info.steps == 2 + i);
    }
    kd_optimizer_free(optimizer);
    return model;
}

START_TEST(a_second_step_of_a_model_has_gradients_of_0)
{
    const int owner = _i / KINDS, kind = kinds[_i % KINDS];
    kd_model *zeroed = three_steps(owner, kind, 1), *plain = three_steps(owner, kind, 0);
    same_numbers(zeroed, plain);
    kd_model_free(plain);
    kd_model_free(zeroed);
}
END_TEST

START_TEST(a_second_step_of_an_array_has_gradients_of_0)
{
    float values[2][3] = { { 1, -2, 3 }, { 1, -2, 3 } }, g[2][3];
    for (int zeroed = 0; zeroed < 2; zeroed++) {
        const kd_array v = KD_ARRAY_1D(values[zeroed], KD_FLOAT32, 3),
                       d = KD_ARRAY_1D(g[zeroed], KD_FLOAT32, 3);
        kd_optimizer *optimizer = make_optimizer(kinds[_i]);
        for (int i = 0; i < 3; i++) g[zeroed][i] = 0.5f * (float)(i - 1) + 0.25f;
        OK(kd_optimizer_borrow_array(optimizer, "w", &v, &d));
        OK(kd_optimizer_step(optimizer, RATE));
        if (zeroed) memset(g[zeroed], 0, sizeof g[zeroed]);
        OK(kd_optimizer_step(optimizer, RATE));
        kd_optimizer_free(optimizer);
    }
    ck_assert(!memcmp(values[0], values[1], sizeof values[0]));
}
END_TEST

/* Without moments and decay nothing moves: not the model, whose pass is over, and not the array
 * beside it. */
START_TEST(sources_of_one_optimizer_keep_one_rule)
{
    kd_model *model = make_model(_i);
    kd_optimizer *optimizer;
    float w[2] = { 1, 2 }, g[2] = { 0.5f, -0.5f };
    const kd_array v = KD_ARRAY_1D(w, KD_FLOAT32, 2), d = KD_ARRAY_1D(g, KD_FLOAT32, 2),
                   p = parameters_of(model);
    const size_t bytes = (size_t)kd_array_count(&p) * sizeof(float);
    float *before = malloc(bytes);
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    OK(kd_optimizer_borrow_array(optimizer, "w", &v, &d));
    push_back(model, _i);
    OK(kd_optimizer_step(optimizer, RATE));
    memcpy(before, p.data, bytes);
    ck_assert_float_eq(w[0], 1 - (float)RATE * 0.5f);
    g[0] = 1; /* the array has a gradient, the model has had no pass */
    OK(kd_optimizer_step(optimizer, RATE));
    ck_assert(!memcmp(before, p.data, bytes));
    ck_assert(w[0] < 1 - (float)RATE);
    free(before);
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}
END_TEST

/* ---- what else comes before a step ---- */

static float *gradients_of(kd_model *model, int64_t *count)
{
    kd_array g;
    OK(kd_model_gradients(model, &g));
    *count = kd_array_count(&g);
    return g.data;
}

START_TEST(a_first_step_without_a_pass_has_gradients_of_0)
{
    kd_model *model = make_model(_i), *same = make_model(_i);
    kd_optimizer *optimizer;
    int64_t count;
    float *g = gradients_of(model, &count);
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    for (int64_t i = 0; i < count; i++) g[i] = 1; /* nobody said that these are gradients */
    OK(kd_optimizer_step(optimizer, RATE));
    same_numbers(model, same);
    kd_optimizer_free(optimizer);
    kd_model_free(same);
    kd_model_free(model);
}
END_TEST

START_TEST(gradients_that_a_host_writes_count_after_it_zeroed_them)
{
    kd_model *model = make_model(_i), *before = make_model(_i);
    kd_optimizer *optimizer;
    kd_optimizer_info info = { .struct_size = sizeof info };
    int64_t count;
    float *g = gradients_of(model, &count);
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    for (int step = 0; step < 2; step++) {
        OK(kd_model_zero_gradients(model));
        g[count - 1] = 1;
        OK(kd_optimizer_step(optimizer, RATE));
        OK(kd_optimizer_get_info(optimizer, &info));
        ck_assert(info.gradient_norm == 1);
    }
    const kd_array x = parameters_of(model), y = parameters_of(before);
    NEAR(((float *)x.data)[count - 1], ((float *)y.data)[count - 1] - 2 * RATE, 1e-6);
    kd_optimizer_free(optimizer);
    kd_model_free(before);
    kd_model_free(model);
}
END_TEST

START_TEST(a_step_after_one_that_was_skipped_is_not_skipped_again)
{
    kd_model *model = make_model(_i);
    kd_optimizer *optimizer = make_optimizer(KD_OPTIMIZER_ADAMW);
    kd_optimizer_info info = { .struct_size = sizeof info };
    int64_t count;
    OK(kd_optimizer_add_model(optimizer, model));
    push_back(model, _i);
    gradients_of(model, &count)[count - 1] = NAN;
    for (int step = 0; step < 2; step++) {
        OK(kd_optimizer_step(optimizer, RATE));
        OK(kd_optimizer_get_info(optimizer, &info));
        ck_assert(info.last_skipped == !step && info.steps == step && info.skipped == 1);
    }
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}
END_TEST

START_TEST(a_second_optimizer_finds_gradients_of_0)
{
    kd_model *model = make_model(_i), *same = make_model(_i);
    kd_optimizer *first, *second;
    OK(kd_optimizer_create(&first, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_create(&second, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(first, model));
    OK(kd_optimizer_add_model(second, model));
    push_back(model, _i);
    OK(kd_optimizer_step(first, 0));
    OK(kd_optimizer_step(second, RATE));
    same_numbers(model, same);
    kd_optimizer_free(second);
    kd_optimizer_free(first);
    kd_model_free(same);
    kd_model_free(model);
}
END_TEST

Suite *steps_suite(void)
{
    Suite *suite = suite_create("steps");
    TCase *c = tcase_create("steps without a pass");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, a_second_step_of_a_model_has_gradients_of_0, 0, MODELS * KINDS);
    tcase_add_loop_test(c, a_second_step_of_an_array_has_gradients_of_0, 0, KINDS);
    tcase_add_loop_test(c, sources_of_one_optimizer_keep_one_rule, 0, MODELS);
    tcase_add_loop_test(c, a_first_step_without_a_pass_has_gradients_of_0, 0, MODELS);
    tcase_add_loop_test(c, gradients_that_a_host_writes_count_after_it_zeroed_them, 0, MODELS);
    tcase_add_loop_test(c, a_step_after_one_that_was_skipped_is_not_skipped_again, 0, MODELS);
    tcase_add_loop_test(c, a_second_optimizer_finds_gradients_of_0, 0, MODELS);
    suite_add_tcase(suite, c);
    return suite;
}
