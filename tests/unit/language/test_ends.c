/* What ends a text: the folder's own files say it, and generator, packer and GGUF files follow. */
#include "textkit.h"
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

static kd_context *ctx;
static char folder[512];
static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

static const char *const names[] = { "tokenizer_config.json", "special_tokens_map.json",
                                     "generation_config.json", "config.json",
                                     "chat_template.jinja" };

/* A folder whose tokenizer has <|im_start|> 263, <|im_end|> 264 and two more; the files' texts in
 * the order of `names`. */
static kd_tokenizer *loaded(const char *const texts[5])
{
    kd_tokenizer *t;
    char path[600];
    snprintf(folder, sizeof folder, "%s", scratch_path("ends"));
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    ck_assert(bytes_tokenizer(path, TEXT_CUT,
                              TEXT_ADDED
                              ",{\"id\":265,\"content\":\"<end>\",\"special\":true},"
                              "{\"id\":266,\"content\":\"<begin>\",\"special\":true}") == 0);
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
        if (texts[i]) write_file(path, texts[i], strlen(texts[i]));
    }
    OK(kd_tokenizer_load(&t, ctx, folder));
    return t;
}

static void expect(const char *const texts[5], int32_t begin, int32_t count, const int32_t *ids)
{
    const int32_t *found;
    int32_t n, first;
    kd_tokenizer *t = loaded(texts);
    OK(kd_tokenizer_end_tokens(t, &found, &n));
    ck_assert_msg(n == count, "%d end tokens, expected %d", n, count);
    for (int32_t i = 0; i < n; i++) ck_assert_int_eq(found[i], ids[i]);
    OK(kd_tokenizer_begin_token(t, &first));
    ck_assert_int_eq(first, begin);
    kd_tokenizer_free(t);
}

static const char chatml[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";

START_TEST(every_file_that_says_what_ends_a_text_is_read)
{
    static const struct {
        const char *texts[5];
        int32_t begin, count, ids[4];
    } cases[] = {
        { { NULL, NULL, NULL, NULL, NULL }, -1, 0, { 0 } },
        { { "{\"eos_token\":\"<end>\",\"bos_token\":\"<begin>\"}" }, 266, 1, { 265 } },
        { { "{\"eos_token\":{\"content\":\"<end>\",\"special\":true},\"bos_token\":null}" },
          -1,
          1,
          { 265 } },
        { { NULL,
            "{\"eos_token\":{\"content\":\"<end>\"},\"bos_token\":{\"content\":\"<begin>\"}}" },
          266,
          1,
          { 265 } },
        { { NULL, NULL, "{\"eos_token_id\":265,\"bos_token_id\":266}" }, 266, 1, { 265 } },
        { { NULL, NULL, "{\"eos_token_id\":[264,265,264]}" }, -1, 2, { 264, 265 } },
        { { "{\"eos_token\":\"<end>\"}", NULL, "{\"eos_token_id\":[264,265]}" },
          -1,
          2,
          { 265, 264 } },
        { { NULL, NULL, NULL, "{\"eos_token_id\":264}" }, -1, 1, { 264 } },
        /* a config's default number does not count beside what was said */
        { { "{\"eos_token\":\"<end>\"}", NULL, NULL, "{\"eos_token_id\":2}" }, -1, 1, { 265 } },
        /* what is no token ends nothing; a file that is broken says nothing */
        { { "{\"eos_token\":\"<gone>\"}", NULL, "{\"eos_token_id\":[99999,-1,2.5,\"x\",265]}" },
          -1,
          1,
          { 265 } },
        { { NULL, "{\"eos_token\":", "{\"eos_token_id\":265}" }, -1, 1, { 265 } },
        { { NULL, NULL, "[265]" }, -1, 0, { 0 } },
        /* the end of a turn */
        { { NULL, NULL, NULL, NULL, chatml }, -1, 1, { 264 } },
        { { "{\"eos_token\":\"<end>\"}", NULL, NULL, NULL, chatml }, -1, 2, { 265, 264 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i].texts, cases[i].begin, cases[i].count, cases[i].ids);
}
END_TEST

static const char *const ended[5] = { "{\"eos_token\":\"<end>\",\"bos_token\":\"<begin>\"}", NULL,
                                      NULL, NULL, chatml };

static int32_t last_packed(kd_tokenizer *t, int32_t end)
{
    kd_packer *p;
    kd_packer_options o = KD_PACKER_OPTIONS_INIT;
    kd_record r = KD_RECORD_INIT;
    kd_batch *batch;
    kd_array tokens;
    o.chat = KD_CHAT_PLAIN;
    if (end != KD_END_TOKEN_DEFAULT) o.end_token = end;
    r.prompt = "he";
    r.completion = "llo";
    OK(kd_packer_create(&p, ctx, t, &o));
    OK(kd_packer_add(p, &r, 0));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_packer_next(p, batch));
    OK(kd_batch_field(batch, "tokens", &tokens, NULL));
    const int32_t last = (int32_t)((int64_t *)tokens.data)[tokens.dims[0] - 1];
    kd_batch_free(batch);
    kd_packer_free(p);
    return last;
}

START_TEST(a_packer_ends_texts_with_it)
{
    static const char *const nothing[5] = { NULL };
    kd_packer *p;
    kd_packer_options o = KD_PACKER_OPTIONS_INIT;
    kd_tokenizer *t = loaded(ended);
    ck_assert_int_eq(last_packed(t, KD_END_TOKEN_DEFAULT), 265);
    ck_assert_int_eq(last_packed(t, 263), 263);
    ck_assert_int_lt(last_packed(t, KD_END_TOKEN_NONE), 263);
    o.end_token = 9999;
    FAILS(kd_packer_create(&p, ctx, t, &o), KD_ERR_RANGE,
          "end_token: expected KD_END_TOKEN_DEFAULT");
    kd_tokenizer_free(t);
    t = loaded(nothing);
    ck_assert_int_lt(last_packed(t, KD_END_TOKEN_DEFAULT), 263);
    kd_tokenizer_free(t);
}
END_TEST

static const char config[] =
    "{\"model_type\":\"llama\",\"vocab_size\":267,\"hidden_size\":32,\"intermediate_size\":40,"
    "\"num_hidden_layers\":1,\"num_attention_heads\":2,\"max_position_embeddings\":128}";

/* A model that says one token always. */
static kd_model *parrot(int32_t token)
{
    kd_model *model;
    int32_t count;
    OK(kd_model_create(&model, ctx, config, NULL));
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array x;
        OK(kd_model_tensor(model, i, &name, &x));
        const int is_head = !strcmp(name, "lm_head.weight"),
                  is_embedding = !strcmp(name, "model.embed_tokens.weight");
        float *values = x.data;
        for (int64_t e = 0; e < kd_array_count(&x) && (is_head || is_embedding || x.rank == 2); e++)
            values[e] = is_embedding ? 1.0f : is_head && e / 32 == token ? 1.0f : 0.0f;
    }
    return model;
}

static int64_t generated(kd_generator *g, const int32_t *stops, int32_t count, int32_t *reason)
{
    const int32_t prompt[2] = { 1, 2 };
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    s.temperature = 0;
    s.max_tokens = 5;
    s.stop_tokens = stops;
    s.stop_token_count = count;
    OK(kd_generator_add(g, prompt, 2, &s, NULL));
    OK(kd_generator_next(g, &text));
    *reason = text.reason;
    return text.count;
}

static int64_t searched(kd_generator *g, int32_t stop)
{
    const int32_t prompt[2] = { 1, 2 };
    kd_beam_options o = KD_BEAM_OPTIONS_INIT;
    kd_generated text = { .struct_size = sizeof text };
    double score;
    o.beams = 1;
    o.max_tokens = 5;
    if (stop != KD_END_TOKEN_DEFAULT) o.stop_token = stop;
    OK(kd_generator_beam_search(g, prompt, 2, &o, &text, &score));
    return text.count;
}

START_TEST(a_generator_stops_at_each_of_them)
{
    static const int32_t says[2] = { 265, 264 }, other[1] = { 3 };
    for (int i = 0; i < 2; i++) {
        kd_tokenizer *t = loaded(ended);
        kd_model *model = parrot(says[i]);
        kd_generator *g;
        kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
        int32_t reason;
        o.tokenizer = t;
        o.max_sequences = 2;
        OK(kd_generator_create(&g, model, &o));
        ck_assert_int_eq(generated(g, NULL, 0, &reason), 1);
        ck_assert_int_eq(reason, KD_STOP_TOKEN);
        ck_assert_int_eq(generated(g, other, 0, &reason), 5); /* none */
        ck_assert_int_eq(reason, KD_STOP_LENGTH);
        ck_assert_int_eq(generated(g, other, 1, &reason), 5);
        ck_assert_int_eq(searched(g, KD_END_TOKEN_DEFAULT), 1);
        ck_assert_int_eq(searched(g, KD_END_TOKEN_NONE), 5);
        ck_assert_int_eq(searched(g, 3), 5);
        kd_generator_free(g);
        kd_model_free(model);
        kd_tokenizer_free(t);
    }
}
END_TEST

static void compare_gguf(kd_model *model, kd_tokenizer *t, int32_t end, int32_t count,
                         const int32_t *ids)
{
    const char *path = scratch_path("ends.gguf");
    const int32_t *found;
    int32_t n;
    kd_tokenizer *again;
    OK(kd_model_save_gguf(model, t, path, KD_FLOAT32, end));
    OK(kd_tokenizer_load(&again, ctx, path));
    OK(kd_tokenizer_end_tokens(again, &found, &n));
    ck_assert_int_eq(n, count);
    for (int32_t i = 0; i < n; i++) ck_assert_int_eq(found[i], ids[i]);
    OK(kd_tokenizer_begin_token(again, &n));
    ck_assert_int_eq(n, 266);
    kd_tokenizer_free(again);
}

START_TEST(gguf_files_carry_them)
{
    static const int32_t own[2] = { 265, 264 }, given[2] = { 263, 264 };
    kd_tokenizer *t = loaded(ended);
    kd_model *model = parrot(3);
    compare_gguf(model, t, KD_END_TOKEN_DEFAULT, 2, own);
    compare_gguf(model, t, 263, 2, given); /* the template in the file tells the turn's end */
    compare_gguf(model, t, KD_END_TOKEN_NONE, 1, &given[1]);
    FAILS(kd_model_save_gguf(model, t, scratch_path("ends.gguf"), KD_FLOAT32, 5000), KD_ERR_RANGE,
          "end_token");
    kd_model_free(model);
    kd_tokenizer_free(t);
}
END_TEST

Suite *ends_suite(void)
{
    Suite *suite = suite_create("ends");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_file_that_says_what_ends_a_text_is_read);
    tcase_add_test(tests, a_packer_ends_texts_with_it);
    tcase_add_test(tests, a_generator_stops_at_each_of_them);
    tcase_add_test(tests, gguf_files_carry_them);
    suite_add_tcase(suite, tests);
    return suite;
}
