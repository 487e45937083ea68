/* Folders with a model: tensors that are there count or are refused by name, missing keys are the
 * family's. */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

enum { WORDS = 9, HIDDEN = 8, INNER = 8, LENGTH = 30 };

static kd_context *ctx;
static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

/* ---- a folder by hand ---- */

typedef struct {
    const char *name;
    int rows, width; /* rows 0: a vector */
    int seed;
} entry;

static const entry whole[] = {
    { "model.embed_tokens.weight", WORDS, HIDDEN, 1 },
    { "model.layers.0.input_layernorm.weight", 0, HIDDEN, 2 },
    { "model.layers.0.self_attn.q_proj.weight", HIDDEN, HIDDEN, 3 },
    { "model.layers.0.self_attn.k_proj.weight", HIDDEN, HIDDEN, 4 },
    { "model.layers.0.self_attn.v_proj.weight", HIDDEN, HIDDEN, 5 },
    { "model.layers.0.self_attn.o_proj.weight", HIDDEN, HIDDEN, 6 },
    { "model.layers.0.post_attention_layernorm.weight", 0, HIDDEN, 7 },
    { "model.layers.0.mlp.gate_proj.weight", INNER, HIDDEN, 8 },
    { "model.layers.0.mlp.up_proj.weight", INNER, HIDDEN, 9 },
    { "model.layers.0.mlp.down_proj.weight", HIDDEN, INNER, 10 },
    { "model.norm.weight", 0, HIDDEN, 11 },
    { "lm_head.weight", WORDS, HIDDEN, 12 },
};
enum { TENSORS = sizeof whole / sizeof *whole };

static void put_tensors(const char *path, const entry *entries, int count)
{
    static float numbers[1 << 12];
    char json[1 << 12] = "{";
    size_t total = 0;
    for (int e = 0; e < count; e++) {
        const entry *t = &entries[e];
        const size_t n = (size_t)((t->rows ? t->rows : 1) * t->width);
        char shape[32];
        if (t->rows) snprintf(shape, sizeof shape, "%d,%d", t->rows, t->width);
        else snprintf(shape, sizeof shape, "%d", t->width);
        sprintf(json + strlen(json),
                "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                e ? "," : "", t->name, shape, 4 * total, 4 * (total + n));
        for (size_t i = 0; i < n; i++)
            numbers[total + i] = (float)((i * 37 + (size_t)t->seed * 11) % 23) / 12 - 0.9f;
        total += n;
    }
    strcat(json, "}");
    const uint64_t size = strlen(json);
    FILE *file = fopen(path, "wb");
    fwrite(&size, 8, 1, file);
    fwrite(json, 1, size, file);
    fwrite(numbers, 4, total, file);
    fclose(file);
}

static const char *in(const char *folder, const char *name)
{
    static char paths[4][700];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof *paths, "%s/%s", folder, name);
    return path;
}

/* An empty folder but for a config, whose last keys are given. */
static const char *folder_of(const char *type, const char *rest)
{
    static const char *const files[] = { "model.safetensors", "model.safetensors.index.json" };
    const char *folder = scratch_path("by-hand");
    char config[1000];
    mkdir(folder, 0777);
    for (int i = 0; i < 2; i++) unlink(in(folder, files[i]));
    const int size = snprintf(
        config, sizeof config,
        "{\"model_type\":\"%s\",\"vocab_size\":%d,\"hidden_size\":%d,\"intermediate_size\":%d,"
        "\"num_hidden_layers\":1,\"num_attention_heads\":1,\"num_key_value_heads\":1,\"head_dim\":"
        "8%s}",
        type, WORDS, HIDDEN, INNER, rest);
    write_file(in(folder, "config.json"), config, (size_t)size);
    return folder;
}

static void logits_of(const char *folder, float *to)
{
    static int64_t tokens[LENGTH], ends[2] = { 0, LENGTH };
    kd_array ts = KD_ARRAY_1D(tokens, KD_INT64, LENGTH), es = KD_ARRAY_1D(ends, KD_INT64, 2),
             values;
    kd_batch *batch;
    kd_model *model;
    for (int i = 0; i < LENGTH; i++) tokens[i] = (i * 5 + i / 4) % WORDS;
    OK(kd_model_load(&model, ctx, folder, NULL));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &es));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "logits", &values));
    memcpy(to, values.data, LENGTH * WORDS * sizeof *to);
    kd_batch_free(batch);
    kd_model_free(model);
}

/* ---- promises ---- */

/* vllm-project/vllm#6758 */
START_TEST(a_tied_head_is_the_embedding_or_refused)
{
    static float without[LENGTH * WORDS], beside[LENGTH * WORDS], alone[LENGTH * WORDS],
        untied[LENGTH * WORDS];
    entry entries[TENSORS];
    kd_model *model = NULL;
    memcpy(entries, whole, sizeof whole);
    const char *folder = folder_of("llama", ",\"tie_word_embeddings\":true");
    put_tensors(in(folder, "model.safetensors"), entries, TENSORS);
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_MISMATCH,
          "'lm_head.weight' differs from 'model.embed_tokens.weight'");
    ck_assert(strstr(kd_last_error(), "tie_word_embeddings") != NULL);
    put_tensors(in(folder, "model.safetensors"), entries, TENSORS - 1);
    logits_of(folder, without);
    entries[TENSORS - 1].seed = entries[0].seed;
    put_tensors(in(folder, "model.safetensors"), entries, TENSORS);
    logits_of(folder, beside);
    put_tensors(in(folder, "model.safetensors"), entries + 1, TENSORS - 1);
    logits_of(folder, alone);
    ck_assert(!memcmp(without, beside, sizeof without) && !memcmp(without, alone, sizeof without));
    folder = folder_of("llama", ",\"tie_word_embeddings\":false");
    put_tensors(in(folder, "model.safetensors"), whole, TENSORS);
    logits_of(folder, untied);
    ck_assert(memcmp(without, untied, sizeof without) != 0);
    entries[TENSORS - 1] = (entry){ "lm_head.weight", WORDS + 1, HIDDEN, 1 };
    folder = folder_of("llama", ",\"tie_word_embeddings\":true");
    put_tensors(in(folder, "model.safetensors"), entries, TENSORS);
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_MISMATCH, "lm_head.weight");
}
END_TEST

/* vllm-project/vllm#7268 */
START_TEST(a_tensor_without_a_place_is_named)
{
    static const char *const strangers[] = { "model.layers.0.self_attn.q_proj.bias",
                                             "model.layers.1.input_layernorm.weight",
                                             "model.layers.0.self_attn.q_proj.weight_scale",
                                             "lm_head.bias", "score.weight" };
    entry entries[TENSORS + 1];
    kd_model *model = NULL;
    const char *folder = folder_of("llama", "");
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        memcpy(entries, whole, sizeof whole);
        entries[TENSORS] = (entry){ strangers[i], 0, HIDDEN, 1 };
        put_tensors(in(folder, "model.safetensors"), entries, TENSORS + 1);
        FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_MISMATCH, strangers[i]);
        /* in the place of one that is needed: as many as there must be */
        entries[TENSORS - 1] = entries[TENSORS];
        put_tensors(in(folder, "model.safetensors"), entries, TENSORS);
        FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_MISMATCH,
              "no tensor 'lm_head.weight'");
    }
    memcpy(entries, whole, sizeof whole);
    entries[TENSORS] = (entry){ "model.layers.0.self_attn.rotary_emb.inv_freq", 0, HIDDEN / 2,
                                1 }; /* a table of old versions */
    put_tensors(in(folder, "model.safetensors"), entries, TENSORS + 1);
    OK(kd_model_load(&model, ctx, folder, NULL));
    kd_model_free(model);
}
END_TEST

static void put_index(const char *folder, int split)
{
    char text[2000] = "{\"weight_map\":{";
    for (int i = 0; i < TENSORS; i++)
        sprintf(text + strlen(text), "%s\"%s\":\"%s.safetensors\"", i ? "," : "", whole[i].name,
                i < split ? "a" : "b");
    strcat(text, "}}");
    write_file(in(folder, "model.safetensors.index.json"), text, strlen(text));
}

START_TEST(two_shards_are_one_file)
{
    enum { SPLIT = 5 };
    static float one[LENGTH * WORDS], two[LENGTH * WORDS];
    entry entries[TENSORS + 1];
    kd_model *model = NULL;
    const char *folder = folder_of("llama", "");
    put_tensors(in(folder, "model.safetensors"), whole, TENSORS);
    logits_of(folder, one);
    folder = folder_of("llama", "");
    put_index(folder, SPLIT);
    put_tensors(in(folder, "a.safetensors"), whole, SPLIT);
    put_tensors(in(folder, "b.safetensors"), whole + SPLIT, TENSORS - SPLIT);
    logits_of(folder, two);
    ck_assert(!memcmp(one, two, sizeof one));

    put_tensors(in(folder, "a.safetensors"), whole, SPLIT + 1); /* one of the other shard's, too */
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_FORMAT, "is in two shards");
    ck_assert(strstr(kd_last_error(), whole[SPLIT].name) != NULL);
    memcpy(entries, whole, sizeof whole);
    entries[TENSORS] = (entry){ "model.layers.0.foo.weight", 0, HIDDEN, 1 };
    put_tensors(in(folder, "a.safetensors"), whole, SPLIT);
    put_tensors(in(folder, "b.safetensors"), entries + SPLIT, TENSORS + 1 - SPLIT);
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_FORMAT,
          "tensor 'model.layers.0.foo.weight' is in a shard alone");
    put_tensors(in(folder, "b.safetensors"), whole + SPLIT, TENSORS - 1 - SPLIT);
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_FORMAT,
          "tensor 'lm_head.weight' is in no shard");
    entries[TENSORS - 1] = entries[TENSORS]; /* as many as the map has */
    put_tensors(in(folder, "b.safetensors"), entries + SPLIT, TENSORS - SPLIT);
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_MISMATCH, "no tensor 'lm_head.weight'");
    unlink(in(folder, "b.safetensors"));
    FAILS(kd_model_load(&model, ctx, folder, NULL), KD_ERR_NOT_FOUND, "b.safetensors");
}
END_TEST

/* Where max_position_embeddings is missing it is that of transformers' class, which yarn's original
 * length is then. */
START_TEST(missing_positions_are_the_familys)
{
    static const struct {
        const char *type;
        int positions;
    } families[] = { { "llama", 2048 }, { "mistral", 131072 } };
    static float missing[LENGTH * WORDS], given[LENGTH * WORDS];
#define YARN ",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4.0}"
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        char rest[200];
        const char *folder = folder_of(families[i].type, YARN);
        put_tensors(in(folder, "model.safetensors"), whole, TENSORS);
        logits_of(folder, missing);
        snprintf(rest, sizeof rest, ",\"max_position_embeddings\":%d" YARN, families[i].positions);
        folder = folder_of(families[i].type, rest);
        put_tensors(in(folder, "model.safetensors"), whole, TENSORS);
        logits_of(folder, given);
        ck_assert_msg(!memcmp(missing, given, sizeof given), "%s has other positions",
                      families[i].type);
    }
    const char *folder = folder_of("mistral", ",\"max_position_embeddings\":2048" YARN);
    put_tensors(in(folder, "model.safetensors"), whole, TENSORS);
    logits_of(folder, missing);
    ck_assert(memcmp(missing, given, sizeof given) != 0);
}
END_TEST

Suite *folder_suite(void)
{
    Suite *suite = suite_create("folder");
    TCase *tests = tcase_create("folder");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_tied_head_is_the_embedding_or_refused);
    tcase_add_test(tests, a_tensor_without_a_place_is_named);
    tcase_add_test(tests, two_shards_are_one_file);
    tcase_add_test(tests, missing_positions_are_the_familys);
    suite_add_tcase(suite, tests);
    return suite;
}
