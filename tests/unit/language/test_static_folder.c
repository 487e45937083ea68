/* Folders of static embeddings: model2vec's and sentence-transformers'. */
#include <sys/stat.h>

#include "unit.h"

static kd_context *ctx;
static char folder[512];

static void setup(void)
{
    ctx = make_context(1);
    snprintf(folder, sizeof folder, "%s", scratch_path("static-folder"));
    mkdir(folder, 0777);
    static const char *const names[] = { "config.json", "modules.json", "model.safetensors",
                                         "tokenizer.json" };
    for (int i = 0; i < 4; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
}

static void teardown(void) { kd_context_free(ctx); }

static void put(const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_file(path, text, strlen(text));
}

/* A safetensors file of a header and bytes. */
static void put_tensors(const char *header, const void *data, size_t size)
{
    char path[600];
    unsigned char bytes[2000] = { 0 };
    const size_t length = strlen(header);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(length >> 8 * i);
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + length, data, size);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    write_file(path, bytes, 8 + length + size);
}

#define PLAIN "{\"embeddings\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]}}"
#define SENTENCE                                                                                   \
    "{\"embedding.weight\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]}}"
#define MAPPED                                                                                     \
    "{\"embeddings\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]},"                 \
    "\"weights\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[24,40]},"                      \
    "\"mapping\":{\"dtype\":\"I32\",\"shape\":[4],\"data_offsets\":[40,56]}}"
#define STATIC_MODULE                                                                              \
    "{\"idx\":0,\"name\":\"0\",\"path\":\"\",\"type\":\"sentence_transformers.models."             \
    "StaticEmbedding\"}"
#define MODULE(type) "{\"idx\":1,\"name\":\"1\",\"path\":\"1_X\",\"type\":\"" type "\"}"

static const float table[6] = { 3, 0, 1, 4, -1, 8 };
static struct {
    float table[6], weights[4];
    int32_t mapping[4];
} mapped = { { 3, 0, 1, 4, -1, 8 }, { 1, 2, .5f, 4 }, { 2, 0, 1, 0 } };

/* The embedding of one text. */
static void embed(kd_model *model, const int64_t *ids, int64_t count, float *to)
{
    const kd_array ts = KD_ARRAY_2D((int64_t *)(uintptr_t)ids, KD_INT64, 1, count);
    kd_batch *batch;
    kd_array out;
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin(batch, 1));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "embedding", &out));
    memcpy(to, out.data, (size_t)kd_array_count(&out) * sizeof *to);
    kd_batch_free(batch);
}

static kd_model *load(void)
{
    kd_model *model;
    OK(kd_model_load(&model, ctx, folder, NULL));
    return model;
}

START_TEST(a_token_has_its_row_its_weight_and_its_place_in_the_mapping)
{
    static const int64_t ids[] = { 0, 1, 3 };
    float e[2];
    put("config.json", "{\"model_type\":\"model2vec\",\"normalize\":false,\"pooling\":\"mean\"}");
    put_tensors(MAPPED, &mapped, sizeof mapped);
    kd_model *model = load();
    embed(model, ids, 3, e);
    NEAR(e[0], (-1 * 1 + 3 * 2 + 3 * 4) / 3.0, 1e-6);
    NEAR(e[1], (8 * 1 + 0 + 0) / 3.0, 1e-6);
    kd_model_free(model);
}
END_TEST

START_TEST(what_is_saved_is_read_back)
{
    static const int64_t ids[] = { 2, 1, 1 };
    static const int32_t dtypes[] = { KD_FLOAT32, KD_FLOAT16, KD_BFLOAT16 };
    kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
    float before[2], after[2];
    put("config.json", "{\"model_type\":\"model2vec\",\"normalize\":true,\"max_length\":null}");
    put_tensors(MAPPED, &mapped, sizeof mapped);
    kd_model *model = load(), *again;
    const char *to = scratch_path("static-saved");
    o.dtype = dtypes[_i];
    OK(kd_model_save(model, to, &o));
    OK(kd_model_load(&again, ctx, to, NULL));
    embed(model, ids, 3, before);
    embed(again, ids, 3, after);
    ck_assert_mem_eq(before, after, sizeof before);
    NEAR(before[0] * before[0] + before[1] * before[1], 1, 1e-6);
    kd_model_free(again);
    kd_model_free(model);
}
END_TEST

/* model2vec leaves unknown tokens out, sentence-transformers counts them. */
START_TEST(whose_folder_it_is_tells_what_an_unknown_token_counts)
{
    static const int64_t ids[] = { 0, 2 };
    float e[2];
    put("tokenizer.json", "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\",\"vocab\":"
                          "{\"a\":0,\"b\":1,\"?\":2}}}");
    put("modules.json", "[" STATIC_MODULE "]");
    put_tensors(PLAIN, table, sizeof table);
    kd_model *model = load();
    embed(model, ids, 2, e);
    NEAR(e[0], 3, 0);
    NEAR(e[1], 0, 0);
    kd_model_free(model);
    put_tensors(SENTENCE, table, sizeof table);
    model = load();
    embed(model, ids, 2, e);
    NEAR(e[0], 1, 1e-6);
    NEAR(e[1], 4, 1e-6);
    kd_model_free(model);
}
END_TEST

START_TEST(an_unknown_token_is_found_wherever_tokenizers_has_it)
{
    static const char *const files[] = {
        "{\"added_tokens\":[{\"id\":2,\"content\":\"?\"}],\"model\":{\"unk_token\":\"?\","
        "\"vocab\":{\"?\":1}}}",
        "{\"model\":{\"type\":\"Unigram\",\"unk_id\":2,\"vocab\":[[\"a\",-1]]}}",
        "{\"model\":{\"unk_token\":\"?\",\"vocab\":{\"?\":2}}}"
    };
    static const int64_t ids[] = { 2, 1 };
    float e[2];
    put("modules.json", "[" STATIC_MODULE "]");
    put("tokenizer.json", files[_i]);
    put_tensors(PLAIN, table, sizeof table);
    kd_model *model = load();
    embed(model, ids, 2, e);
    NEAR(e[1], 4, 0);
    kd_model_free(model);
}
END_TEST

/* What a hostile tokenizer.json says is no token. */
START_TEST(an_unknown_token_that_is_none_is_ignored)
{
    static const char *const files[] = {
        "{\"added_tokens\":[{\"content\":\"?\"}],\"model\":{\"unk_token\":\"?\"}}",
        "{\"model\":{\"unk_id\":1e300}}",
        "{\"model\":{\"unk_id\":-5}}",
        "{\"model\":{\"unk_id\":\"2\"}}",
        "{\"model\":[]}",
        "[]"
    };
    static const int64_t ids[] = { 2, 1 };
    float e[2];
    put("modules.json", "[" STATIC_MODULE "]");
    put("tokenizer.json", files[_i]);
    put_tensors(PLAIN, table, sizeof table);
    kd_model *model = load();
    embed(model, ids, 2, e);
    NEAR(e[1], 6, 0);
    kd_model_free(model);
}
END_TEST

START_TEST(a_folder_that_would_give_other_numbers_is_refused_by_name)
{
    kd_model *model;
    put("modules.json", "[" STATIC_MODULE "," MODULE("sentence_transformers.models.Dense") "]");
    put_tensors(SENTENCE, table, sizeof table);
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_UNSUPPORTED, "models.Dense");
    put("modules.json", "[{\"path\":\"../up\",\"type\":\"sentence_transformers.models."
                        "StaticEmbedding\"}]");
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_CONFIG, "path");
    put("modules.json", "[" STATIC_MODULE "]");
    put_tensors("{\"other\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]}}", table,
                24);
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_MISMATCH, "no tensor 'embeddings'");
    put_tensors("{\"embeddings\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
                "\"bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]}}",
                table, 24);
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_MISMATCH, "2 tensors, 1 of them known");
    put_tensors("{\"embeddings\":{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[0,24]}}", table,
                24);
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_SHAPE, "rank 1");
    mapped.mapping[1] = 3;
    put_tensors(MAPPED, &mapped, sizeof mapped);
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_RANGE,
          "token 1: row: expected 0 to 2, got 3");
    mapped.mapping[1] = 0;
    put_tensors("{\"embeddings\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
                "\"weights\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[16,24]}}",
                table, 24);
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_SHAPE, "one for each of 2 tokens");
    put("config.json", "{\"model_type\":\"model2vec\",\"normalize\":3}");
    put_tensors(PLAIN, table, sizeof table);
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_CONFIG, "normalize");
}
END_TEST

Suite *static_folder_suite(void)
{
    Suite *suite = suite_create("static_folder");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_token_has_its_row_its_weight_and_its_place_in_the_mapping);
    tcase_add_loop_test(tests, what_is_saved_is_read_back, 0, 3);
    tcase_add_test(tests, whose_folder_it_is_tells_what_an_unknown_token_counts);
    tcase_add_loop_test(tests, an_unknown_token_is_found_wherever_tokenizers_has_it, 0, 3);
    tcase_add_loop_test(tests, an_unknown_token_that_is_none_is_ignored, 0, 6);
    tcase_add_test(tests, a_folder_that_would_give_other_numbers_is_refused_by_name);
    suite_add_tcase(suite, tests);
    return suite;
}
