/* Matrices in few bits that are made a layer or some rows at a time are those that are made of a
 * whole model's float32 numbers, byte for byte: heads that are tied to an embedding too. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "language/trunk/packed.h"
#include "suites.h"

#define MODEL_OF(words, type, more)                                                                \
    "{\"model_type\":\"" type "\",\"vocab_size\":" words ",\"hidden_size\":96,"                    \
    "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"intermediate_size\":192,"                 \
    "\"max_position_embeddings\":64,\"initializer_range\":0.1" more "}"

#define MODEL(type, more) MODEL_OF("65", type, more)

static kd_model *made(kd_context *ctx, const char *config, int32_t weights, int32_t packed_only)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model *model;
    o.frozen = 1;
    o.seed = 3;
    o.weights = weights;
    o.packed_only = packed_only;
    const kd_status status = kd_model_create(&model, ctx, config, &o);
    ck_assert_msg(status == KD_OK, "%s", kd_last_error());
    return model;
}

static void same_bytes(const void *a, const void *b, int64_t bytes, const char *what)
{
    ck_assert_msg(!a == !b, "%s: one has none", what);
    if (a) ck_assert_msg(!memcmp(a, b, (size_t)bytes), "%s differ", what);
}

static void same_matrix(const kd__packed_matrix *a, const kd__packed_matrix *b)
{
    const kd__int8 *x = &a->eight, *y = &b->eight;
    const int64_t groups = x->panels * x->groups * 32;
    ck_assert_int_eq(x->panels, y->panels);
    ck_assert_int_eq(x->groups, y->groups);
    same_bytes(x->values, y->values, x->panels * x->deep * 32, "values");
    same_bytes(x->scales, y->scales, groups * 4, "scales");
    same_bytes(x->corrections, y->corrections, groups * 4, "corrections");
    same_bytes(x->inverse, y->inverse, x->inputs * 4, "smoothing");
    ck_assert_int_eq(a->four.panels, b->four.panels);
    same_bytes(a->four.blocks, b->four.blocks, kd__int4_bytes(a->four.outputs, a->four.inputs),
               "blocks");
}

static const char *const configs[] = {
    MODEL("qwen2", ",\"num_key_value_heads\":2,\"tie_word_embeddings\":true"),
    /* its head is more than is read at once */
    MODEL_OF("2900", "llama", ",\"num_key_value_heads\":2,\"tie_word_embeddings\":true"),
    MODEL("qwen3", ",\"head_dim\":24"),
    MODEL("llama", ",\"tie_word_embeddings\":true,\"kd_embedding_size\":48"),
    MODEL("llama", ",\"architectures\":[\"LlamaForSequenceClassification\"],\"num_labels\":3"),
    MODEL("bert", ",\"architectures\":[\"BertForMaskedLM\"]"),
    "{\"model_type\":\"vit\",\"hidden_size\":96,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
    "\"intermediate_size\":192,\"image_size\":8,\"patch_size\":4,\"num_channels\":1}",
    MODEL("bert", "")
};

START_TEST(matrices_are_those_of_a_whole_model)
{
    static const int32_t kinds[] = { KD_INT8, KD_BLOCK_Q4_0, KD_BLOCK_IQ4_NL };
    kd_context *ctx;
    ck_assert_int_eq(kd_context_create(&ctx, NULL), KD_OK);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        const int32_t weights = kinds[i % 3];
        kd_model *whole = made(ctx, configs[i], weights, 0),
                 *alone = made(ctx, configs[i], weights, 1);
        const kd__packed *a = kd__trunk_of(whole)->packed, *b = kd__trunk_of(alone)->packed;
        int64_t matrices = 0;
        ck_assert_int_eq(a->count, b->count);
        for (int64_t k = 0; k < a->count; k++) {
            matrices += a->matrices[k].eight.values || a->matrices[k].four.blocks;
            same_matrix(&a->matrices[k], &b->matrices[k]);
        }
        ck_assert_int_eq(matrices, 8 + (kd__trunk_config_of(whole)->head >= 0));
        ck_assert_ptr_null(kd__trunk_of(alone)->staged);
        kd_model_free(whole);
        kd_model_free(alone);
    }
    kd_context_free(ctx);
}
END_TEST

/* A row of 8 bits is read back within half a step of its group. */
START_TEST(rows_are_read_back)
{
    enum { OUT = 37, IN = 200 };
    static float w[OUT * IN], s[IN], row[IN];
    kd_context *ctx;
    ck_assert_int_eq(kd_context_create(&ctx, NULL), KD_OK);
    for (int i = 0; i < OUT * IN; i++) w[i] = (float)sin(0.37 * i * (1 + 1e-3 * i));
    for (int i = 0; i < IN; i++) s[i] = 0.5f + (float)(i % 7);
    for (int smooth = 0; smooth < 2; smooth++) {
        kd__int8 q;
        ck_assert_int_eq(kd__int8_make(&q, ctx, w, OUT, IN, smooth ? s : NULL), KD_OK);
        for (int o = 0; o < OUT; o++) {
            kd__int8_row(&q, o, row);
            for (int i = 0; i < IN; i++) {
                const float by = smooth ? s[i] : 1, most = smooth ? 6.5f : 1;
                ck_assert_float_le(fabsf(row[i] - w[o * IN + i]) * by, most / 127 * 0.51f);
            }
        }
        kd__int8_free(&q, ctx);
    }
    kd_context_free(ctx);
}
END_TEST

Suite *packed_suite(void)
{
    Suite *suite = suite_create("packed");
    TCase *tests = tcase_create("packed");
    tcase_add_test(tests, matrices_are_those_of_a_whole_model);
    tcase_add_test(tests, rows_are_read_back);
    suite_add_tcase(suite, tests);
    return suite;
}
