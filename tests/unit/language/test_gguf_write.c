/* GGUF files of few bits: what is read back is what the formats hold, llama.cpp's mixtures and
 * substitutes, and what is told of them. */
#include "textkit.h"
#include "unit.h"

#include <unistd.h>

enum { WORDS = 270, LAYERS = 9 };

static kd_context *ctx;
static int warned;
static void count_warnings(void *user, int32_t level, const char *message)
{
    (void)user;
    warned += level == KD_LOG_WARNING && strstr(message, "is no multiple of") != NULL;
}

static kd_tokenizer *tokenizer;
static void setup(void)
{
    const kd_logger logger = { .struct_size = sizeof logger,
                               .level = KD_LOG_WARNING,
                               .log = count_warnings };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    o.logger = &logger;
    o.threads = 3;
    o.seed = 7;
    OK(kd_context_create(&ctx, &o));
    ck_assert(bytes_tokenizer(scratch_path("few.json"), TEXT_CUT, TEXT_ADDED) == 0);
    OK(kd_tokenizer_load(&tokenizer, ctx, scratch_path("few.json")));
    warned = 0;
}
static void teardown(void)
{
    kd_tokenizer_free(tokenizer);
    kd_context_free(ctx);
}

static kd_model *model_of(int width, int inner, int tied, kd_context *context)
{
    char json[600];
    kd_model *model;
    snprintf(json, sizeof json,
             "{\"model_type\":\"llama\",\"vocab_size\":%d,\"hidden_size\":%d,"
             "\"intermediate_size\":%d,\"num_hidden_layers\":%d,\"num_attention_heads\":4,"
             "\"num_key_value_heads\":2,\"max_position_embeddings\":64,"
             "\"initializer_range\":0.1,\"tie_word_embeddings\":%s}",
             WORDS, width, inner, LAYERS, tied ? "true" : "false");
    OK(kd_model_create(&model, context, json, NULL));
    return model;
}

static float *values_of(kd_model *model, const char *name, int64_t *rows, int64_t *width)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *its;
        kd_array values;
        OK(kd_model_tensor(model, i, &its, &values));
        if (strcmp(its, name)) continue;
        *rows = values.dims[0];
        *width = values.rank > 1 ? values.dims[1] : 1;
        return values.data;
    }
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

/* Whether a tensor that was written and read is its image in a format. */
static int is_image(kd_model *model, kd_model *read, const char *name, int32_t format)
{
    int64_t rows, width;
    const float *x = values_of(model, name, &rows, &width),
                *y = values_of(read, name, &rows, &width);
    const int64_t size = kd_block_bytes(format, rows * width);
    uint8_t *bytes = malloc((size_t)size + 1);
    float *made = malloc((size_t)(rows * width) * sizeof *made);
    kd_array from = KD_ARRAY_2D(x, KD_FLOAT32, rows, width),
             to = KD_ARRAY_2D(made, KD_FLOAT32, rows, width);
    OK(kd_block_encode(ctx, format, &from, NULL, bytes, size));
    OK(kd_block_decode(ctx, format, bytes, size, &to));
    const int same = !memcmp(made, y, (size_t)(rows * width) * sizeof *made);
    free(bytes);
    free(made);
    return same;
}

static kd_gguf_info write_file_of(kd_model *model, const kd_gguf_options *o, kd_model **read)
{
    kd_gguf_info info = { .struct_size = sizeof info };
    OK(kd_model_write_gguf(model, tokenizer, scratch_path("few.gguf"), o, &info));
    OK(kd_model_load(read, ctx, scratch_path("few.gguf"), NULL));
    return info;
}

static void expect(kd_model *model, kd_model *read, const char *part, int layer, int32_t format)
{
    char name[64];
    if (layer < 0) snprintf(name, sizeof name, "%s", part);
    else snprintf(name, sizeof name, "model.layers.%d.%s", layer, part);
    ck_assert_msg(is_image(model, read, name, format), "%s is not in format %d", name, format);
}

/* Nine layers: an eighth is one; more bits for 0, 3, 6, 7 and 8. */
START_TEST(q4_k_m_of_a_wide_model_is_llama_cpp_s_mixture)
{
    kd_model *model = model_of(256, 512, 1, ctx), *read;
    const kd_gguf_info info = write_file_of(model, NULL, &read);
    for (int i = 0; i < LAYERS; i++) {
        const int32_t more = i == 0 || i == 3 || i >= 6 ? KD_BLOCK_Q6_K : KD_BLOCK_Q4_K;
        expect(model, read, "self_attn.q_proj.weight", i, KD_BLOCK_Q4_K);
        expect(model, read, "self_attn.k_proj.weight", i, KD_BLOCK_Q4_K);
        expect(model, read, "self_attn.v_proj.weight", i, more);
        expect(model, read, "mlp.up_proj.weight", i, KD_BLOCK_Q4_K);
        expect(model, read, "mlp.down_proj.weight", i, more);
    }
    expect(model, read, "model.embed_tokens.weight", -1, KD_BLOCK_Q6_K);
    ck_assert_int_eq(info.fallbacks, 0);
    ck_assert_int_eq(warned, 0);
    ck_assert(info.fallback == NULL);
    ck_assert_msg(info.bits > 4.5 && info.bits < 6.56 && info.error > .02 && info.error < .08,
                  "%g bits, error %g", info.bits, info.error);
    kd_model_free(read);
    kd_model_free(model);
}
END_TEST

START_TEST(the_small_mixture_has_more_bits_in_the_first_layers)
{
    kd_model *model = model_of(256, 512, 0, ctx), *read;
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    o.mixture = KD_MIX_SMALL;
    write_file_of(model, &o, &read);
    for (int i = 0; i < LAYERS; i++) {
        expect(model, read, "self_attn.v_proj.weight", i, i < 4 ? KD_BLOCK_Q5_K : KD_BLOCK_Q4_K);
        expect(model, read, "mlp.down_proj.weight", i, i < 1 ? KD_BLOCK_Q5_K : KD_BLOCK_Q4_K);
    }
    expect(model, read, "lm_head.weight", -1, KD_BLOCK_Q6_K);
    expect(model, read, "model.embed_tokens.weight", -1, KD_BLOCK_Q4_K);
    kd_model_free(read);
    kd_model_free(model);
}
END_TEST

/* Rows of 96 and 160 are no multiple of 256. */
START_TEST(rows_that_do_not_fit_get_substitutes_and_it_is_told)
{
    kd_model *model = model_of(96, 160, 1, ctx), *read;
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    const kd_gguf_info info = write_file_of(model, NULL, &read);
    expect(model, read, "self_attn.q_proj.weight", 0, KD_BLOCK_Q5_0);
    expect(model, read, "mlp.down_proj.weight", 0, KD_BLOCK_Q8_0);
    expect(model, read, "mlp.down_proj.weight", 1, KD_BLOCK_Q5_0);
    expect(model, read, "model.embed_tokens.weight", -1, KD_BLOCK_Q8_0);
    ck_assert_int_eq(info.fallbacks, 7 * LAYERS + 1);
    ck_assert_int_eq(warned, 7 * LAYERS + 1);
    ck_assert_str_eq(info.fallback, "model.embed_tokens.weight");
    ck_assert_int_eq(info.wanted, KD_BLOCK_Q6_K);
    ck_assert_int_eq(info.used, KD_BLOCK_Q8_0);
    kd_model_free(read);
    o.mixture = KD_MIX_PURE;
    FAILS(kd_model_write_gguf(model, tokenizer, scratch_path("few.gguf"), &o, NULL), KD_ERR_SHAPE,
          "96 is no multiple of 256, which Q4_K needs: take IQ4_NL");
    o.format = KD_BLOCK_IQ4_NL;
    write_file_of(model, &o, &read);
    expect(model, read, "model.embed_tokens.weight", -1, KD_BLOCK_IQ4_NL);
    expect(model, read, "mlp.down_proj.weight", 0, KD_BLOCK_IQ4_NL);
    kd_model_free(read);
    kd_model_free(model);
}
END_TEST

START_TEST(rows_of_no_multiple_of_32_are_float16_and_it_is_told)
{
    kd_model *model = model_of(64, 40, 1, ctx), *read;
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    o.format = KD_BLOCK_Q4_0;
    o.head = KD_BLOCK_Q8_0;
    const kd_gguf_info info = write_file_of(model, &o, &read);
    ck_assert_int_eq(info.fallbacks, LAYERS);
    ck_assert_str_eq(info.fallback, "model.layers.0.mlp.down_proj.weight");
    ck_assert_int_eq(info.used, KD_FLOAT16);
    expect(model, read, "model.embed_tokens.weight", -1, KD_BLOCK_Q8_0);
    expect(model, read, "mlp.up_proj.weight", 3, KD_BLOCK_Q4_0);
    kd_model_free(read);
    kd_model_free(model);
}
END_TEST

START_TEST(rules_come_before_the_mixture)
{
    kd_model *model = model_of(64, 96, 1, ctx), *read;
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    kd_gguf_info info = { .struct_size = sizeof info };
    const kd_gguf_rule rules[] = { { "blk.1.ffn_down.weight", KD_BLOCK_Q5_1, 0 },
                                   { "*.down_proj.weight", KD_BLOCK_Q8_0, 0 },
                                   { "lm_head.weight", KD_BLOCK_Q8_0, 0 } };
    o.format = KD_BLOCK_Q4_0;
    o.rules = rules;
    o.rule_count = 2;
    write_file_of(model, &o, &read);
    expect(model, read, "mlp.down_proj.weight", 0, KD_BLOCK_Q8_0);
    expect(model, read, "mlp.down_proj.weight", 1, KD_BLOCK_Q5_1);
    expect(model, read, "mlp.up_proj.weight", 1, KD_BLOCK_Q4_0);
    kd_model_free(read);
    o.rule_count = 3;
    FAILS(kd_model_plan_gguf(model, &o, &info), KD_ERR_NOT_FOUND,
          "'lm_head.weight' (the head is the embedding)");
    kd_model_free(model);
}
END_TEST

START_TEST(a_plan_tells_what_writing_tells_and_threads_change_nothing)
{
    kd_context *alone = make_context(1);
    kd_model *model = model_of(256, 512, 1, ctx), *other = model_of(256, 512, 1, alone);
    kd_gguf_info plan = { .struct_size = sizeof plan }, info = plan;
    size_t size, other_size;
    OK(kd_model_copy_parameters(other, model));
    OK(kd_model_plan_gguf(model, NULL, &plan));
    OK(kd_model_write_gguf(model, tokenizer, scratch_path("few.gguf"), NULL, &info));
    ck_assert(!memcmp(&plan, &info, sizeof info));
    OK(kd_model_write_gguf(other, tokenizer, scratch_path("other.gguf"), NULL, &info));
    ck_assert(info.error == plan.error && info.bytes == plan.bytes);
    char *bytes = read_whole(scratch_path("few.gguf"), &size);
    char *other_bytes = read_whole(scratch_path("other.gguf"), &other_size);
    ck_assert(size == other_size && !memcmp(bytes, other_bytes, size));
    ck_assert((int64_t)size > info.bytes && (int64_t)size < info.bytes + 20000);
    free(bytes);
    free(other_bytes);
    kd_model_free(other);
    kd_model_free(model);
    kd_context_free(alone);
}
END_TEST

START_TEST(numbers_that_no_block_holds_are_refused_by_name)
{
    kd_model *model = model_of(64, 96, 1, ctx);
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    kd_gguf_info info = { .struct_size = sizeof info };
    int64_t rows, width;
    float *x = values_of(model, "model.layers.2.mlp.up_proj.weight", &rows, &width);
    const char *path = scratch_path("refused.gguf");
    o.format = KD_BLOCK_Q4_0;
    unlink(path);
    x[5] = NAN;
    FAILS(kd_model_write_gguf(model, tokenizer, path, &o, NULL), KD_ERR_RANGE,
          "model.layers.2.mlp.up_proj.weight has a number that is not finite");
    x[5] = 1e6f;
    FAILS(kd_model_write_gguf(model, tokenizer, path, &o, NULL), KD_ERR_RANGE, "float16 scale");
    ck_assert(access(path, F_OK) != 0);
    for (int i = 0; i < 64; i++) x[i] = 1e-12f;
    OK(kd_model_plan_gguf(model, &o, &info));
    ck_assert_int_eq(info.vanished, 2);
    kd_model_free(model);
}
END_TEST

START_TEST(options_that_say_nothing_are_refused)
{
    kd_model *model = model_of(64, 96, 1, ctx);
    kd_gguf_info info = { .struct_size = sizeof info };
    const kd_gguf_rule nameless = { NULL, KD_BLOCK_Q8_0, 0 };
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    o.format = 77;
    FAILS(kd_model_plan_gguf(model, &o, &info), KD_ERR_UNSUPPORTED, "format: expected");
    o.format = KD_BLOCK_IQ4_XS;
    FAILS(kd_model_plan_gguf(model, &o, &info), KD_ERR_UNSUPPORTED, "IQ4_XS is only read");
    o.format = KD_BLOCK_Q4_0;
    o.head = KD_INT8;
    FAILS(kd_model_plan_gguf(model, &o, &info), KD_ERR_UNSUPPORTED, "head: expected");
    o.head = 0;
    o.mixture = 3;
    FAILS(kd_model_plan_gguf(model, &o, &info), KD_ERR_RANGE, "mixture: expected");
    o.mixture = 0;
    o.rule_count = 1;
    FAILS(kd_model_plan_gguf(model, &o, &info), KD_ERR_INVALID, "rules");
    o.rules = &nameless;
    FAILS(kd_model_plan_gguf(model, &o, &info), KD_ERR_INVALID, "a rule's pattern");
    FAILS(kd_model_save_gguf(model, tokenizer, scratch_path("x.gguf"), KD_BFLOAT16, -1),
          KD_ERR_UNSUPPORTED, "kd_model_write_gguf");
    kd_model_free(model);
}
END_TEST

Suite *gguf_write_suite(void)
{
    Suite *suite = suite_create("gguf_write");
    TCase *tests = tcase_create("gguf_write");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, rows_that_do_not_fit_get_substitutes_and_it_is_told);
    tcase_add_test(tests, rows_of_no_multiple_of_32_are_float16_and_it_is_told);
    tcase_add_test(tests, rules_come_before_the_mixture);
    tcase_add_test(tests, numbers_that_no_block_holds_are_refused_by_name);
    tcase_add_test(tests, options_that_say_nothing_are_refused);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow search");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_set_timeout(slow, 120);
    tcase_add_test(slow, a_plan_tells_what_writing_tells_and_threads_change_nothing);
    tcase_add_test(slow, q4_k_m_of_a_wide_model_is_llama_cpp_s_mixture);
    tcase_add_test(slow, the_small_mixture_has_more_bits_in_the_first_layers);
    suite_add_tcase(suite, slow);
    return suite;
}
