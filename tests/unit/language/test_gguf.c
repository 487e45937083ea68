/* GGUF files: what would change the result is used or refused by name, and what is saved comes
 * back. */
#include "textkit.h"
#include "unit.h"

#include <stdint.h>

enum { LAYERS = 2, HIDDEN = 16, HEADS = 2, KV = 1, WIDTH = 8, INNER = 12, WORDS = 11, LENGTH = 40 };
enum { U32 = 4, I32 = 5, F32 = 6, BOOL = 7, STRING = 8, ARRAY = 9 };

static kd_context *ctx;
static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

/* ---- a file by hand: keys, tensors' entries, numbers ---- */

typedef struct {
    char keys[1 << 14], infos[1 << 14];
    size_t key_bytes, info_bytes;
    uint64_t key_count, tensor_count;
    float numbers[1 << 14];
    size_t number_count;
} builder;

static void add(char *to, size_t *size, const void *bytes, size_t count)
{
    memcpy(to + *size, bytes, count);
    *size += count;
}

static void add_string(char *to, size_t *size, const char *text)
{
    const uint64_t bytes = strlen(text);
    add(to, size, &bytes, 8);
    add(to, size, text, bytes);
}

static void begin_key(builder *b, const char *name, int32_t type)
{
    add_string(b->keys, &b->key_bytes, name);
    add(b->keys, &b->key_bytes, &type, 4);
    b->key_count++;
}

static void key_count(builder *b, const char *name, uint32_t value)
{
    begin_key(b, name, U32);
    add(b->keys, &b->key_bytes, &value, 4);
}

static void key_float(builder *b, const char *name, float value)
{
    begin_key(b, name, F32);
    add(b->keys, &b->key_bytes, &value, 4);
}

static void key_text(builder *b, const char *name, const char *text)
{
    begin_key(b, name, STRING);
    add_string(b->keys, &b->key_bytes, text);
}

static void begin_list(builder *b, const char *name, int32_t items, uint64_t count)
{
    begin_key(b, name, ARRAY);
    add(b->keys, &b->key_bytes, &items, 4);
    add(b->keys, &b->key_bytes, &count, 8);
}

static void key_counts(builder *b, const char *name, uint64_t count, const int32_t *values)
{
    begin_list(b, name, I32, count);
    add(b->keys, &b->key_bytes, values, 4 * count);
}

static void key_texts(builder *b, const char *name, uint64_t count, const char *const *texts)
{
    begin_list(b, name, STRING, count);
    for (uint64_t i = 0; i < count; i++) add_string(b->keys, &b->key_bytes, texts[i]);
}

/* Numbers that are never twice the same; rows of 8 floats keep every tensor at 32 bytes. */
static float *tensor(builder *b, const char *name, uint64_t rows, uint64_t width)
{
    const uint64_t dims[2] = { width, rows }, offset = 4 * b->number_count;
    const int32_t rank = rows ? 2 : 1, type = 0;
    const size_t count = (size_t)((rows ? rows : 1) * width);
    float *values = b->numbers + b->number_count;
    add_string(b->infos, &b->info_bytes, name);
    add(b->infos, &b->info_bytes, &rank, 4);
    add(b->infos, &b->info_bytes, dims, 8 * (size_t)rank);
    add(b->infos, &b->info_bytes, &type, 4);
    add(b->infos, &b->info_bytes, &offset, 8);
    for (size_t i = 0; i < count; i++)
        values[i] = rows ? (float)((i * 37 + b->tensor_count * 11) % 23) / 23 - 0.45f : 1;
    b->number_count += (count + 7) / 8 * 8;
    b->tensor_count++;
    return values;
}

static const char *written(const builder *b)
{
    const char *path = scratch_path("hand.gguf");
    const uint32_t magic = 0x46554747, version = 3;
    const size_t head = 24 + b->key_bytes + b->info_bytes;
    static const char zeros[32];
    FILE *file = fopen(path, "wb");
    fwrite(&magic, 4, 1, file);
    fwrite(&version, 4, 1, file);
    fwrite(&b->tensor_count, 8, 1, file);
    fwrite(&b->key_count, 8, 1, file);
    fwrite(b->keys, 1, b->key_bytes, file);
    fwrite(b->infos, 1, b->info_bytes, file);
    fwrite(zeros, 1, (32 - head % 32) % 32, file);
    fwrite(b->numbers, 4, b->number_count, file);
    fclose(file);
    return path;
}

static void put_layer(builder *b, int layer)
{
    static const struct {
        const char *name;
        int rows, width;
    } each[] = { { "attn_norm", 0, HIDDEN },
                 { "attn_q", HEADS * WIDTH, HIDDEN },
                 { "attn_k", KV * WIDTH, HIDDEN },
                 { "attn_v", KV * WIDTH, HIDDEN },
                 { "attn_output", HIDDEN, HEADS * WIDTH },
                 { "ffn_norm", 0, HIDDEN },
                 { "ffn_gate", INNER, HIDDEN },
                 { "ffn_up", INNER, HIDDEN },
                 { "ffn_down", HIDDEN, INNER } };
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.%s.weight", layer, each[i].name);
        tensor(b, name, (uint64_t)each[i].rows, (uint64_t)each[i].width);
    }
}

static const char *const sizes[] = { "context_length", "embedding_length", "block_count",
                                     "feed_forward_length", "attention.head_count" };
static const uint32_t size_values[] = { 64, HIDDEN, LAYERS, INNER, HEADS };

/* A plain model of `architecture` but for head_count_kv. */
static builder *plain(const char *architecture)
{
    static builder b;
    char name[80];
    b.key_bytes = b.info_bytes = b.number_count = 0;
    b.key_count = b.tensor_count = 0;
    key_text(&b, "general.architecture", architecture);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s.%s", architecture, sizes[i]);
        key_count(&b, name, size_values[i]);
    }
    snprintf(name, sizeof name, "%s.attention.layer_norm_rms_epsilon", architecture);
    key_float(&b, name, 1e-6f);
    tensor(&b, "token_embd.weight", WORDS, HIDDEN);
    for (int layer = 0; layer < LAYERS; layer++) put_layer(&b, layer);
    tensor(&b, "output_norm.weight", 0, HIDDEN);
    return &b;
}

static builder *llama(void)
{
    builder *b = plain("llama");
    key_count(b, "llama.attention.head_count_kv", KV);
    return b;
}

static kd_status load(const builder *b, kd_model **model)
{
    return kd_model_load(model, ctx, written(b), NULL);
}

static void logits_of(kd_model *model, float *to)
{
    kd_batch *batch;
    kd_array values;
    int64_t tokens[LENGTH];
    const int64_t offsets[2] = { 0, LENGTH };
    for (int i = 0; i < LENGTH; i++) tokens[i] = (i * 7 + i / 5) % WORDS;
    kd_array ts = KD_ARRAY_1D(tokens, KD_INT64, LENGTH);
    kd_array ends = KD_ARRAY_1D((int64_t *)(uintptr_t)offsets, KD_INT64, 2);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &ends));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "logits", &values));
    memcpy(to, values.data, LENGTH * WORDS * sizeof *to);
    kd_batch_free(batch);
}

static double difference(const float *a, const float *b)
{
    double largest = 0;
    for (int i = 0; i < LENGTH * WORDS; i++)
        largest = fmax(largest, fabs((double)a[i] - (double)b[i]));
    return largest;
}

/* The file's logits, and those of its weights with another rope_scaling in a folder's config. */
static double against(const builder *b, const char *scaling)
{
    static float found[LENGTH * WORDS], expected[LENGTH * WORDS];
    kd_model *model;
    char path[600], config[1200];
    OK(load(b, &model));
    logits_of(model, found);
    OK(kd_model_save(model, scratch_path("hand"), NULL));
    kd_model_free(model);
    snprintf(path, sizeof path, "%s/config.json", scratch_path("hand"));
    snprintf(config, sizeof config,
             "{\"model_type\":\"llama\",\"tie_word_embeddings\":true,\"vocab_size\":%d,\"hidden_"
             "size\":%d,"
             "\"num_hidden_layers\":%d,\"intermediate_size\":%d,\"num_attention_heads\":%d,\"num_"
             "key_value_heads\":%d,"
             "\"max_position_embeddings\":64,\"rms_norm_eps\":1e-6,\"rope_theta\":10000.0,\"rope_"
             "scaling\":%s}",
             WORDS, HIDDEN, LAYERS, INNER, HEADS, KV, scaling);
    write_file(path, config, strlen(config));
    OK(kd_model_load(&model, ctx, scratch_path("hand"), NULL));
    logits_of(model, expected);
    kd_model_free(model);
    return difference(found, expected);
}

/* ---- promises ---- */

START_TEST(a_key_that_changes_the_result_is_refused_by_name)
{
    static const struct {
        const char *name;
        float value;
    } bad[] = { { "logit_scale", 0.25f },
                { "attention.sliding_window", 8 },
                { "residual_scale", 2 },
                { "embedding_scale", 4 },
                { "attention.scale", 0.5f },
                { "attention.clamp_kqv", 8 },
                { "attn_logit_softcapping", 50 },
                { "final_logit_softcapping", 30 },
                { "expert_count", 4 },
                { "attention.causal", 0 },
                { "use_parallel_residual", 1 },
                { "rope.scaling.yarn_ext_factor", 0.5f },
                { "rope.scaling.yarn_attn_factor", 2 },
                { "rope.scaling.yarn_beta_fast", 8 },
                { "rope.scaling.yarn_beta_slow", 2 },
                { "rope.scaling.yarn_log_multiplier", 0.7f },
                { "attention.value_length", 4 },
                { "rope.dimension_count", 4 },
                { "rope.freq_base_swa", 500 },
                { "attention.temperature_scale", 0.1f },
                { "nobody_knows", 1 } };
    static const char *const types[] = { "llama", "qwen2", "qwen3" };
    kd_model *model = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int t = 0; t < 3; t++) {
            builder *b = plain(types[t]);
            char name[100];
            snprintf(name, sizeof name, "%s.%s", types[t], bad[i].name);
            key_float(b, name, bad[i].value);
            const kd_status status = load(b, &model);
            ck_assert_msg(status < 0 && strstr(kd_last_error(), bad[i].name) &&
                              strstr(kd_last_error(), "hand.gguf"),
                          "%s: %s", name, status < 0 ? kd_last_error() : "loaded");
        }
    builder *b = llama();
    key_text(b, "llama.attention.key_length", "8");
    FAILS(load(b, &model), KD_ERR_FORMAT,
          "llama.attention.key_length: expected a number, got \"8\"");
    b = llama();
    key_text(b, "llama.rope.scaling.type", "longrope");
    FAILS(load(b, &model), KD_ERR_UNSUPPORTED, "rope.scaling.type longrope");
    b = llama();
    key_count(b, "split.count", 3);
    FAILS(load(b, &model), KD_ERR_UNSUPPORTED, "split.count");
    b = llama();
    key_text(b, "general.type", "adapter");
    FAILS(load(b, &model), KD_ERR_UNSUPPORTED, "adapter");
    b = llama();
    key_count(b, "llama.vocab_size", WORDS + 1);
    FAILS(load(b, &model), KD_ERR_MISMATCH, "vocab_size");
    b = llama();
    key_count(b, "llama.block_count", 1);
    FAILS(load(b, &model), KD_ERR_FORMAT, "the key llama.block_count appears twice");
}
END_TEST

START_TEST(a_key_without_influence_is_passed_over)
{
    static float first[LENGTH * WORDS], second[LENGTH * WORDS];
    kd_model *model;
    OK(load(llama(), &model));
    logits_of(model, first);
    kd_model_free(model);
    builder *b = llama();
    key_text(b, "llama.tensor_data_layout", "Meta AI original pth");
    key_text(b, "general.name", "any");
    key_count(b, "general.quantization_version", 2);
    key_count(b, "llama.vocab_size", WORDS);
    key_count(b, "llama.attention.sliding_window", 0);
    key_float(b, "llama.logit_scale", 1);
    key_float(b, "llama.rope.scaling.attn_factor", 1);
    key_text(b, "qwen2.logit_scale", "of another architecture");
    OK(load(b, &model));
    logits_of(model, second);
    kd_model_free(model);
    ck_assert(difference(first, second) == 0);
}
END_TEST

/* What attention multiplies with anyway, as a single-precision number; and nothing near it. */
START_TEST(an_attention_scale_of_its_own_changes_nothing)
{
    static float first[LENGTH * WORDS], second[LENGTH * WORDS];
    const float own = 1 / sqrtf(WIDTH);
    kd_model *model;
    OK(load(llama(), &model));
    logits_of(model, first);
    kd_model_free(model);
    builder *b = llama();
    key_float(b, "llama.attention.scale", own);
    OK(load(b, &model));
    logits_of(model, second);
    kd_model_free(model);
    ck_assert(difference(first, second) == 0);
    b = llama();
    key_float(b, "llama.attention.scale", own * 1.00001f);
    FAILS(load(b, &model), KD_ERR_UNSUPPORTED,
          "attention.scale: expected 1/sqrt(8) = 0.353553, as for heads of 8 numbers");
    b = llama();
    key_float(b, "llama.attention.scale", 0);
    OK(load(b, &model));
    kd_model_free(model);
}
END_TEST

START_TEST(a_tensor_without_a_place_is_refused_by_name)
{
    static const char *const bad[] = { "blk.1.attn_q.bias",           "blk.2.attn_q.weight",
                                       "blk.0.ffn_gate_exps.weight",  "rope_factors_long.weight",
                                       "blk.0.attn_post_norm.weight", "output.bias",
                                       "blk.0.attn_q.scale" };
    kd_model *model = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        builder *b = llama();
        tensor(b, bad[i], 0, HIDDEN);
        FAILS(load(b, &model), KD_ERR_MISMATCH, bad[i]);
    }
    builder *b = llama();
    tensor(b, "output_norm.weight", 0, HIDDEN);
    FAILS(load(b, &model), KD_ERR_FORMAT, "the tensor output_norm.weight appears twice");
}
END_TEST

START_TEST(a_list_of_one_number_for_each_layer_is_that_number)
{
    static float first[LENGTH * WORDS], second[LENGTH * WORDS];
    static const int32_t same[] = { KV, KV, KV }, mixed[] = { 1, 2 };
    kd_model *model;
    OK(load(llama(), &model));
    logits_of(model, first);
    kd_model_free(model);
    builder *b = plain("llama");
    key_counts(b, "llama.attention.head_count_kv", LAYERS, same);
    OK(load(b, &model));
    logits_of(model, second);
    kd_model_free(model);
    ck_assert(difference(first, second) == 0);
    b = plain("llama");
    key_counts(b, "llama.attention.head_count_kv", LAYERS, mixed);
    FAILS(load(b, &model), KD_ERR_UNSUPPORTED, "llama.attention.head_count_kv is a list, [1, 2]");
    b = plain("llama");
    key_counts(b, "llama.attention.head_count_kv", LAYERS + 1, same);
    FAILS(load(b, &model), KD_ERR_UNSUPPORTED, "llama.attention.head_count_kv is a list");
}
END_TEST

/* ggml-org/llama.cpp#8676 */
START_TEST(rope_freqs_are_the_divisors_themselves)
{
    static const float given[] = { 1, 1.5f, 7, 31 };
    builder *b = llama();
    memcpy(tensor(b, "rope_freqs.weight", 0, WIDTH / 2), given, sizeof given);
    static const char scaling[] =
        "{\"rope_type\":\"longrope\",\"attention_factor\":1.0,\"short_factor\":[1,1.5,7,31],"
        "\"long_factor\":[1,1.5,7,31],\"original_max_position_embeddings\":64}";
    ck_assert(against(b, scaling) < 1e-6);
    ck_assert(against(b, "{\"rope_type\":\"default\"}") > 1e-3);
    kd_model *model = NULL;
    b = llama();
    memcpy(tensor(b, "rope_freqs.weight", 0, WIDTH), given, sizeof given);
    FAILS(load(b, &model), KD_ERR_SHAPE, "rope_freqs.weight");
    b = llama();
    tensor(b, "rope_freqs.weight", 0, WIDTH / 2)[2] = 0;
    FAILS(load(b, &model), KD_ERR_FORMAT, "number 2: expected 1e-6 to 1e9, got 0");
    b = llama();
    tensor(b, "rope_freqs.weight", 0, WIDTH / 2);
    key_text(b, "llama.rope.scaling.type", "yarn");
    FAILS(load(b, &model), KD_ERR_UNSUPPORTED, "rope_freqs.weight beside");
}
END_TEST

/* oobabooga/text-generation-webui#6111 */
START_TEST(a_factor_without_a_type_is_linear)
{
    static const char linear[] = "{\"rope_type\":\"linear\",\"factor\":4}";
    builder *b = llama();
    key_float(b, "llama.rope.scaling.factor", 4);
    ck_assert(against(b, linear) < 1e-6);
    b = llama();
    key_float(b, "llama.rope.scale_linear", 4);
    ck_assert(against(b, linear) < 1e-6);
    b = llama();
    key_text(b, "llama.rope.scaling.type", "none");
    key_float(b, "llama.rope.scaling.factor", 4);
    ck_assert(against(b, "{\"rope_type\":\"default\"}") < 1e-6);
}
END_TEST

/* Readers multiply rope.scaling.attn_factor with yarn's own 0.1 log(factor) + 1. */
START_TEST(yarn_has_its_keys)
{
    char scaling[300];
    builder *b = llama();
    key_text(b, "llama.rope.scaling.type", "yarn");
    key_float(b, "llama.rope.scaling.factor", 4);
    key_float(b, "llama.rope.scaling.attn_factor", 1.25f);
    key_float(b, "llama.rope.scaling.yarn_beta_fast", 32);
    key_float(b, "llama.rope.scaling.yarn_beta_slow", 1);
    key_count(b, "llama.rope.scaling.original_context_length", 16);
    snprintf(scaling, sizeof scaling,
             "{\"rope_type\":\"yarn\",\"factor\":4,\"attention_factor\":%.12f,"
             "\"original_max_position_embeddings\":16}",
             1.25 * (0.1 * log(4.0) + 1));
    ck_assert(against(b, scaling) < 1e-6);
}
END_TEST

/* llama.cpp keeps a step where the ramp would descend; the config's class turns it around. */
START_TEST(a_descending_ramp_of_yarn_is_refused)
{
    static const struct {
        float theta;
        int64_t original;
    } bad[] = { { 10, 1 }, { 10, 1 << 20 } };
    for (int i = 0; i < 2; i++) {
        builder *b = llama();
        kd_model *model;
        key_text(b, "llama.rope.scaling.type", "yarn");
        key_float(b, "llama.rope.scaling.factor", 4);
        key_float(b, "llama.rope.freq_base", bad[i].theta);
        key_count(b, "llama.rope.scaling.original_context_length", bad[i].original);
        FAILS(load(b, &model), KD_ERR_UNSUPPORTED, "its ramp ends (at pair");
    }
}
END_TEST

/* ---- tokenizers ---- */

static const char *const letters[] = { "<unk>", "<s>", "</s>", "a", "b", "ab" };

static builder *words(const char *model, uint64_t count, const char *const *texts)
{
    static const char *const merges[] = { "a b" };
    builder *b = llama();
    key_text(b, "tokenizer.ggml.model", model);
    key_texts(b, "tokenizer.ggml.tokens", count, texts);
    key_texts(b, "tokenizer.ggml.merges", 1, merges);
    return b;
}

/* ggml-org/llama.cpp#25739 */
START_TEST(a_token_that_stands_twice_is_named_with_its_ids)
{
    static const char *const twice[] = { "a", "b", "c", "ab", "d", "ab" };
    kd_tokenizer *t = NULL;
    builder *b = words("gpt2", 6, twice);
    FAILS(kd_tokenizer_load(&t, ctx, written(b)), KD_ERR_FORMAT,
          "the token \"ab\" has two ids, 3 and 5");
    b = words("gpt2", 6, letters);
    OK(kd_tokenizer_load(&t, ctx, written(b)));
    kd_tokenizer_free(t);
}
END_TEST

START_TEST(what_changes_ids_is_refused_by_name)
{
    static const int32_t kinds[] = { 1, 1 };
    kd_tokenizer *t = NULL;
    builder *b = words("gpt2", 6, letters);
    key_count(b, "tokenizer.ggml.add_sep_token", 1);
    FAILS(kd_tokenizer_load(&t, ctx, written(b)), KD_ERR_UNSUPPORTED,
          "tokenizer.ggml.add_sep_token");
    b = words("gpt2", 6, letters);
    key_count(b, "tokenizer.ggml.remove_extra_whitespaces", 1);
    FAILS(kd_tokenizer_load(&t, ctx, written(b)), KD_ERR_UNSUPPORTED, "remove_extra_whitespaces");
    b = words("gpt2", 6, letters);
    key_text(b, "tokenizer.ggml.precompiled_charsmap", "x");
    FAILS(kd_tokenizer_load(&t, ctx, written(b)), KD_ERR_UNSUPPORTED, "precompiled_charsmap");
    b = words("gpt2", 6, letters);
    key_text(b, "tokenizer.ggml.pre", "tekken");
    FAILS(kd_tokenizer_load(&t, ctx, written(b)), KD_ERR_UNSUPPORTED, "tokenizer.ggml.pre tekken");
    b = words("gpt2", 6, letters);
    key_counts(b, "tokenizer.ggml.token_type", 2, kinds);
    FAILS(kd_tokenizer_load(&t, ctx, written(b)), KD_ERR_FORMAT, "token_type: expected 6 int32");
    b = words("gpt2", 6, letters);
    key_count(b, "tokenizer.ggml.add_bos_token", 1);
    key_count(b, "tokenizer.ggml.bos_token_id", 6);
    FAILS(kd_tokenizer_load(&t, ctx, written(b)), KD_ERR_FORMAT,
          "bos_token_id is 6: expected one of 6 tokens");
    b = words("llama", 6, letters);
    key_count(b, "tokenizer.ggml.unknown_token_id", 6);
    FAILS(kd_tokenizer_load(&t, ctx, written(b)), KD_ERR_FORMAT,
          "unknown_token_id is 6: expected one of 6 tokens");
}
END_TEST

/* Merges of a vocabulary with scores are found by cutting its tokens: a small file may not be hours
 * of that. */
START_TEST(tokens_that_would_take_long_to_cut_are_refused)
{
    enum { MANY = 140 };
    static char runs[MANY][MANY + 1], longest[514];
    static float scores[MANY];
    const char *texts[MANY], *three[] = { "<unk>", "a", longest };
    kd_tokenizer *t = NULL;
    memset(longest, 'a', sizeof longest - 1);
    builder *b = words("llama", 3, three);
    begin_list(b, "tokenizer.ggml.scores", F32, 3);
    add(b->keys, &b->key_bytes, scores, sizeof *scores * 3);
    FAILS(kd_tokenizer_load(&t, ctx, written(b)), KD_ERR_UNSUPPORTED, "token 2 has 513 bytes");
    for (int i = 0; i < MANY; i++) texts[i] = memset(runs[i], 'a', (size_t)i + 1);
    b = words("llama", MANY, texts);
    begin_list(b, "tokenizer.ggml.scores", F32, MANY);
    add(b->keys, &b->key_bytes, scores, sizeof scores);
    FAILS(kd_tokenizer_load(&t, ctx, written(b)), KD_ERR_UNSUPPORTED, "in more than 8960 ways");
}
END_TEST

static int warned;
static void count_warnings(void *user, int32_t level, const char *message)
{
    (void)user;
    warned += level == KD_LOG_WARNING && strstr(message, "tokenizer.ggml.pre") != NULL;
}

/* ggml-org/llama.cpp#7476 */
START_TEST(a_way_to_cut_that_is_guessed_is_said)
{
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    const kd_logger logger = { .struct_size = sizeof logger,
                               .level = KD_LOG_WARNING,
                               .log = count_warnings };
    static const char *const pre[] = { NULL, "default", "gpt-2" };
    kd_context *loud;
    kd_tokenizer *t;
    o.logger = &logger;
    OK(kd_context_create(&loud, &o));
    for (int i = 0; i < 3; i++) {
        builder *b = words("gpt2", 6, letters);
        if (pre[i]) key_text(b, "tokenizer.ggml.pre", pre[i]);
        OK(kd_tokenizer_load(&t, loud, written(b)));
        kd_tokenizer_free(t);
        ck_assert_int_eq(warned, i < 2 ? i + 1 : 2);
    }
    kd_context_free(loud);
}
END_TEST

Suite *gguf_suite(void)
{
    Suite *suite = suite_create("gguf");
    TCase *tests = tcase_create("gguf");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_key_that_changes_the_result_is_refused_by_name);
    tcase_add_test(tests, a_key_without_influence_is_passed_over);
    tcase_add_test(tests, an_attention_scale_of_its_own_changes_nothing);
    tcase_add_test(tests, a_tensor_without_a_place_is_refused_by_name);
    tcase_add_test(tests, a_list_of_one_number_for_each_layer_is_that_number);
    tcase_add_test(tests, rope_freqs_are_the_divisors_themselves);
    tcase_add_test(tests, a_factor_without_a_type_is_linear);
    tcase_add_test(tests, yarn_has_its_keys);
    tcase_add_test(tests, a_descending_ramp_of_yarn_is_refused);
    tcase_add_test(tests, a_token_that_stands_twice_is_named_with_its_ids);
    tcase_add_test(tests, what_changes_ids_is_refused_by_name);
    tcase_add_test(tests, tokens_that_would_take_long_to_cut_are_refused);
    tcase_add_test(tests, a_way_to_cut_that_is_guessed_is_said);
    suite_add_tcase(suite, tests);
    return suite;
}
