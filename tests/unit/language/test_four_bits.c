/* Frozen models and generators whose layers are in blocks of 4 bits: the numbers that a file of
 * these blocks holds, with rows rounded to 8 bits. */
#include "studentkit.h"

#include <kdistill/lattice.h>

#include "encoderkit.h"

#define FOUR(type, more)                                                                           \
    "{\"model_type\":\"" type "\",\"vocab_size\":37,\"hidden_size\":96,\"num_hidden_layers\":2,"   \
    "\"num_attention_heads\":4,\"intermediate_size\":160,\"max_position_embeddings\":64,"          \
    "\"initializer_range\":0.1" more "}"
static const char *const llama = FOUR("llama", ",\"num_key_value_heads\":2");
static const int32_t formats[] = { KD_BLOCK_Q4_0, KD_BLOCK_IQ4_NL };

static kd_context *ctx;
static kd_batch *batch;

static void setup(void)
{
    ctx = make_context(2);
    batch = make_batch(ctx);
}

static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static kd_model *frozen(kd_context *context, const char *config, int32_t weights)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.frozen = 1;
    o.weights = weights;
    return encoder_made(context, config, &o);
}

/* Relative distance of an output. */
static double apart(kd_model *a, kd_model *b, const char *name)
{
    kd_array x, y;
    double off = 0, size = 0;
    OK(kd_model_forward(a, batch, KD_MODE_EVALUATE));
    OK(kd_model_forward(b, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(a, name, &x));
    OK(kd_model_output(b, name, &y));
    for (int64_t i = 0; i < kd_array_count(&x); i++) {
        off += pow(((float *)x.data)[i] - ((float *)y.data)[i], 2);
        size += pow(((float *)x.data)[i], 2);
    }
    return sqrt(off / size);
}

/* Numbers on the lattice of a format are what its products see: what remains is the rounding of
 * rows to 8 bits, far less than that of weights to 4. */
START_TEST(products_see_the_numbers_of_the_format)
{
    for (int f = 0; f < 2; f++) {
        kd_lattice_options lattice = KD_LATTICE_OPTIONS_INIT;
        kd_model *whole = encoder_made(ctx, llama, NULL), *on = encoder_made(ctx, llama, NULL);
        kd_model *four = frozen(ctx, llama, formats[f]);
        lattice.format = formats[f];
        OK(kd_model_set_lattice(on, NULL, &lattice));
        const double rows = apart(on, four, "logits"), all = apart(whole, four, "logits");
        ck_assert_msg(rows > 0 && rows < 0.03 && all > 3 * rows && all < 0.4, "%d: %g, %g", f, rows,
                      all);
        kd_model_free(whole);
        kd_model_free(on);
        kd_model_free(four);
    }
}
END_TEST

/* Encoders have them too. */
START_TEST(other_trunks_have_them)
{
    static const char *const configs[] = {
        FOUR("qwen3", ",\"head_dim\":24"), FOUR("qwen2", ",\"num_key_value_heads\":2"),
        FOUR("bert", ""), FOUR("llama", ",\"num_key_value_heads\":2,\"kd_layer_repeats\":2")
    };
    for (int k = 0; k < 4; k++) {
        kd_model *whole = frozen(ctx, configs[k], KD_FLOAT32),
                 *four = frozen(ctx, configs[k], KD_BLOCK_Q4_0);
        const double off = apart(whole, four, "hidden");
        ck_assert_msg(off > 0.005 && off < 0.4, "%d: %g", k, off);
        kd_model_free(whole);
        kd_model_free(four);
    }
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    static float first[ROWS * V], logits[ROWS * V];
    for (int32_t threads = 1; threads <= 3; threads++) {
        kd_context *other = make_context(threads);
        kd_batch *its = make_batch(other);
        kd_model *model = frozen(other, llama, KD_BLOCK_IQ4_NL);
        logits_of(model, its, logits);
        if (threads == 1) memcpy(first, logits, sizeof first);
        ck_assert_mem_eq(first, logits, sizeof first);
        kd_model_free(model);
        kd_batch_free(its);
        kd_context_free(other);
    }
}
END_TEST

static void greedy(kd_model *model, int32_t weights, int32_t sequences, int32_t ids[8])
{
    static const int32_t prompt[] = { 3, 5, 7 }, other[] = { 9, 2, 4, 6, 8, 1 };
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    kd_generator *g;
    int64_t request = -1, at;
    o.weights = weights;
    s.temperature = 0;
    s.max_tokens = 8;
    OK(kd_generator_create(&g, model, &o));
    OK(kd_generator_add(g, prompt, 3, &s, &request));
    for (int32_t i = 1; i < sequences; i++) OK(kd_generator_add(g, other, 6, &s, &at));
    while (kd_generator_next(g, &text) == KD_OK)
        if (text.request == request) memcpy(ids, text.ids, 8 * sizeof *ids);
    kd_generator_free(g);
}

/* A frozen model's own blocks or a generator's give one text, whatever runs beside it. */
START_TEST(texts_are_the_same_from_either_and_among_others)
{
    kd_model *whole = frozen(ctx, llama, KD_FLOAT32), *four = frozen(ctx, llama, KD_BLOCK_Q4_0);
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_generator_info info = { .struct_size = sizeof info };
    int32_t a[8], b[8], c[8];
    greedy(whole, KD_BLOCK_Q4_0, 1, a);
    greedy(four, KD_BLOCK_Q4_0, 1, b);
    greedy(four, KD_BLOCK_Q4_0, 7, c);
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert_mem_eq(a, c, sizeof a);
    o.weights = KD_BLOCK_Q4_0;
    OK(kd_generator_estimate_memory(four, &o, &info));
    ck_assert_int_eq(info.weight_bytes, 0);
    OK(kd_generator_estimate_memory(whole, &o, &info));
    const int64_t four_bits = info.weight_bytes;
    o.weights = KD_INT8;
    OK(kd_generator_estimate_memory(whole, &o, &info));
    ck_assert(four_bits > 0 && (double)four_bits < 0.6 * (double)info.weight_bytes);
    kd_model_free(whole);
    kd_model_free(four);
}
END_TEST

START_TEST(what_is_not_there_is_refused)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_generator_options g = KD_GENERATOR_OPTIONS_INIT;
    kd_model *model;
    kd_generator *generator;
    kd_array v;
    o.weights = KD_BLOCK_Q4_0;
    FAILS(kd_model_create(&model, ctx, llama, &o), KD_ERR_UNSUPPORTED, "for one that trains");
    o.frozen = 1;
    o.weights = KD_BLOCK_Q4_K;
    FAILS(kd_model_create(&model, ctx, llama, &o), KD_ERR_UNSUPPORTED, "KD_BLOCK_IQ4_NL");
    model = encoder_made(ctx, llama, NULL);
    g.weights = KD_BLOCK_Q8_0;
    FAILS(kd_generator_create(&generator, model, &g), KD_ERR_UNSUPPORTED, "KD_BLOCK_Q4_0");
    tensor_of(model, "model.layers.1.mlp.down_proj.weight", &v)[7] = NAN;
    g.weights = KD_BLOCK_Q4_0;
    FAILS(kd_generator_create(&generator, model, &g), KD_ERR_RANGE,
          "model.layers.1.mlp.down_proj.weight: 1 rows");
    kd_model_free(model);
}
END_TEST

Suite *four_bits_suite(void)
{
    Suite *suite = suite_create("four_bits");
    TCase *tests = tcase_create("four_bits");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, products_see_the_numbers_of_the_format);
    tcase_add_test(tests, other_trunks_have_them);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    tcase_add_test(tests, texts_are_the_same_from_either_and_among_others);
    tcase_add_test(tests, what_is_not_there_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
