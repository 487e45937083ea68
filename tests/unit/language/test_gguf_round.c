/* GGUF files of random models and tokenizers: read again they are what was written, to the bit and
 * to the id, or writing them is refused by name. */
#include "textkit.h"
#include "unit.h"

enum { WORDS = 270, LENGTH = 48 };

static kd_context *ctx;
static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

static uint32_t state = 5;
static uint32_t any(uint32_t count)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % count;
}

/* ---- models ---- */

static const char *const scalings[] = {
    "{\"rope_type\":\"default\"}",
    "{\"rope_type\":\"linear\",\"factor\":1.7}",
    "{\"rope_type\":\"yarn\",\"factor\":1.0,\"attention_factor\":1.3,\"original_max_position_"
    "embeddings\":16}",
    "{\"rope_type\":\"yarn\",\"factor\":3.7,\"original_max_position_embeddings\":16}",
    "{\"rope_type\":\"yarn\",\"factor\":4.0,\"mscale\":0.9,\"mscale_all_dim\":0.4}",
    "{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
    "\"original_max_position_embeddings\":32}",
    "{\"rope_type\":\"longrope\",\"short_factor\":[1.1,1.7,3.3,9],\"long_factor\":[1.1,1.7,3.3,9],"
    "\"attention_factor\":1.21}",
};

static kd_model *scaled_model(int32_t family, const char *scaling)
{
    static const char *const families[] = { "llama", "mistral", "qwen2", "qwen3" };
    const uint32_t shared = 1 + any(2), heads = shared * (1 + any(3));
    const uint32_t inner = 8 + any(20), layers = 1 + any(2);
    const char *epsilon = any(2) ? "1e-5" : "1e-6";
    const char *theta = any(2) ? "123.45" : "500000.0";
    const char *tied = any(2) ? "true" : "false";
    char json[1200];
    kd_model *model;
    snprintf(json, sizeof json,
             "{\"model_type\":\"%s\",\"vocab_size\":%d,\"hidden_size\":%u,\"intermediate_size\":%u,"
             "\"num_hidden_layers\":%u,"
             "\"num_attention_heads\":%u,\"num_key_value_heads\":%u,\"head_dim\":8,\"max_position_"
             "embeddings\":64,"
             "\"rms_norm_eps\":%s,\"rope_theta\":%s,\"tie_word_embeddings\":%s,\"initializer_"
             "range\":0.3,"
             "\"sliding_window\":null,\"rope_scaling\":%s}",
             families[family], WORDS, heads * 8, inner, layers, heads, shared, epsilon, theta, tied,
             scaling);
    OK(kd_model_create(&model, ctx, json, NULL));
    return model;
}

static kd_model *random_model(int32_t family, int scaling)
{
    return scaled_model(family, scalings[scaling]);
}

static void logits_of(kd_model *model, float *to)
{
    static int64_t tokens[LENGTH], ends[2] = { 0, LENGTH };
    kd_array ts = KD_ARRAY_1D(tokens, KD_INT64, LENGTH), es = KD_ARRAY_1D(ends, KD_INT64, 2),
             values;
    kd_batch *batch;
    for (int i = 0; i < LENGTH; i++) tokens[i] = (i * 97 + i / 7) % WORDS;
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &es));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "logits", &values));
    memcpy(to, values.data, LENGTH * WORDS * sizeof *to);
    kd_batch_free(batch);
}

static void check_equal(const char *path, const float *expected, const char *what)
{
    static float found[LENGTH * WORDS];
    kd_model *model;
    OK(kd_model_load(&model, ctx, path, NULL));
    logits_of(model, found);
    kd_model_free(model);
    ck_assert_msg(!memcmp(found, expected, sizeof found), "%s: other logits", what);
}

START_TEST(random_models_come_back_to_the_bit)
{
    static float expected[LENGTH * WORDS];
    kd_tokenizer *t;
    kd_model *again;
    ck_assert(bytes_tokenizer(scratch_path("round.json"), TEXT_CUT, TEXT_ADDED) == 0);
    OK(kd_tokenizer_load(&t, ctx, scratch_path("round.json")));
    for (int i = 0; i < 28; i += getenv("KD_TEST_FEW") ? 5 : 1) {
        const int family = i % 4, scaling = i / 4;
        kd_model *model = random_model(family, scaling);
        const char *path = scratch_path("round.gguf");
        const kd_status status =
            kd_model_save_gguf(model, t, path, KD_FLOAT32, KD_END_TOKEN_DEFAULT);
        if (family >= 2 && scaling >= 5)
            ck_assert(status == KD_ERR_UNSUPPORTED && strstr(kd_last_error(), "rope_freqs.weight"));
        else {
            ck_assert_msg(status == KD_OK, "%s", kd_last_error());
            logits_of(model, expected);
            check_equal(path, expected, scalings[scaling]);
            OK(kd_model_load(&again, ctx, path, NULL));
            OK(kd_model_save(again, scratch_path("round"), NULL));
            kd_model_free(again);
            check_equal(scratch_path("round"), expected, scalings[scaling]);
        }
        kd_model_free(model);
    }
    kd_tokenizer_free(t);
}
END_TEST

/* llama.cpp takes 32 and 1 for these architectures, whatever a file says, and rounds the ramp. */
START_TEST(a_ramp_of_yarn_that_readers_do_not_have_is_refused)
{
    static const struct {
        const char *scaling, *message;
    } bad[] = {
        { "{\"rope_type\":\"yarn\",\"factor\":4.0,\"beta_fast\":8.0}",
          "beta_fast 8 and beta_slow 1" },
        { "{\"rope_type\":\"yarn\",\"factor\":2.0,\"beta_slow\":2.0}",
          "beta_fast 32 and beta_slow 2" },
        { "{\"rope_type\":\"yarn\",\"factor\":2.0,\"truncate\":false}", "truncate false" },
        { "{\"rope_type\":\"yarn\",\"factor\":2.0,\"original_max_position_embeddings\":1,"
          "\"rope_theta\":100.0}",
          "ramp ends" },
        { "{\"rope_type\":\"yarn\",\"factor\":1.0,\"beta_slow\":2.0,\"beta_fast\":9.0}", NULL },
    };
    kd_tokenizer *t;
    ck_assert(bytes_tokenizer(scratch_path("round.json"), TEXT_CUT, TEXT_ADDED) == 0);
    OK(kd_tokenizer_load(&t, ctx, scratch_path("round.json")));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kd_model *model = scaled_model((int32_t)i % 4, bad[i].scaling);
        const kd_status status = kd_model_save_gguf(model, t, scratch_path("round.gguf"),
                                                    KD_FLOAT32, KD_END_TOKEN_DEFAULT);
        if (!bad[i].message) ck_assert_int_eq(status, KD_OK);
        else FAILS(status, KD_ERR_UNSUPPORTED, bad[i].message);
        kd_model_free(model);
    }
    kd_tokenizer_free(t);
}
END_TEST

/* ---- tokenizers ---- */

#define ABC "\"<unk>\":0,\"a\":1,\"b\":2,\"c\":3"

/* Characters a, b, c and what merges make of them. */
static kd_tokenizer *letters(const char *vocabulary, const char *merges, const char *added,
                             const char *model)
{
    static const char form[] = "{\"added_tokens\":[%s],\"normalizer\":{\"type\":\"Replace\","
                               "\"pattern\":{\"String\":\" \"},\"content\":\"\u2581\"},"
                               "\"pre_tokenizer\":null,\"post_processor\":null,\"decoder\":null,"
                               "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",%s,"
                               "\"vocab\":{" ABC "%s},\"merges\":[%s]}}";
    char text[4000];
    kd_tokenizer *t;
    const int size = snprintf(text, sizeof text, form, added, model, vocabulary, merges);
    write_file(scratch_path("letters.json"), text, (size_t)size);
    OK(kd_tokenizer_load(&t, ctx, scratch_path("letters.json")));
    return t;
}

#define PLAIN "\"byte_fallback\":true,\"fuse_unk\":true"
#define UNKNOWN "{\"id\":0,\"content\":\"<unk>\",\"special\":true,\"normalized\":false}"

static kd_status save(kd_tokenizer *t)
{
    kd_model *model = random_model(0, 0);
    const kd_status status =
        kd_model_save_gguf(model, t, scratch_path("letters.gguf"), KD_FLOAT16, KD_END_TOKEN_NONE);
    kd_model_free(model);
    kd_tokenizer_free(t);
    return status;
}

START_TEST(flags_of_added_tokens_without_a_name_are_refused)
{
    static const char *const flags[] = { "lstrip", "rstrip", "single_word" };
    for (int i = 0; i < 3; i++) {
        char added[300];
        snprintf(
            added, sizeof added,
            UNKNOWN
            ",{\"id\":4,\"content\":\"<mark>\",\"special\":%s,\"normalized\":false,\"%s\":true}",
            i ? "true" : "false", flags[i]);
        FAILS(save(letters("", "", added, PLAIN)), KD_ERR_UNSUPPORTED, flags[i]);
        ck_assert(strstr(kd_last_error(), "token 4, \"<mark>\"") != NULL);
    }
}
END_TEST

START_TEST(other_ways_with_unknown_characters_are_refused)
{
    FAILS(save(letters("", "", UNKNOWN, "\"byte_fallback\":false,\"fuse_unk\":true")),
          KD_ERR_UNSUPPORTED, "byte_fallback");
    FAILS(save(letters("", "", UNKNOWN, "\"byte_fallback\":true,\"fuse_unk\":false")),
          KD_ERR_UNSUPPORTED, "fuse_unk");
    FAILS(save(letters("", "", UNKNOWN, PLAIN ",\"ignore_merges\":true")), KD_ERR_UNSUPPORTED,
          "ignore_merges");
    OK(save(letters("", "", UNKNOWN, PLAIN)));
}
END_TEST

START_TEST(special_and_plain_added_tokens_stay_what_they_are)
{
    static const char added[] = UNKNOWN
        ",{\"id\":4,\"content\":\"<think>\",\"special\":false,\"normalized\":false},"
        "{\"id\":5,\"content\":\"<end>\",\"special\":true,\"normalized\":false},"
        "{\"id\":6,\"content\":\"[PAD9]\",\"special\":false,\"normalized\":false}";
    static const int32_t expected[] = { KD_TOKEN_ADDED, KD_TOKEN_ADDED | KD_TOKEN_SPECIAL,
                                        KD_TOKEN_ADDED };
    kd_tokenizer *t;
    const char *text;
    OK(save(letters("", "", added, PLAIN)));
    OK(kd_tokenizer_load(&t, ctx, scratch_path("letters.gguf")));
    for (int i = 0; i < 3; i++) {
        int32_t flags;
        OK(kd_tokenizer_token(t, 4 + i, &text, &flags));
        ck_assert_int_eq(flags & (KD_TOKEN_ADDED | KD_TOKEN_SPECIAL), expected[i]);
    }
    OK(kd_tokenizer_token(t, 9, &text, NULL)); /* of an id that the tokenizer has no token for */
    ck_assert_str_eq(text, "[PAD9]_");
    kd_tokenizer_free(t);
}
END_TEST

static int warned;
static void count_warnings(void *user, int32_t level, const char *message)
{
    (void)user;
    warned += level == KD_LOG_WARNING &&
              strstr(message, "\"<mark>\" is looked for in normalized text") != NULL;
}

START_TEST(an_added_token_in_normalized_text_is_told)
{
    static const char added[] = UNKNOWN
        ",{\"id\":4,\"content\":\"<mark>\",\"special\":true,\"normalized\":true}";
    const kd_logger logger = { .struct_size = sizeof logger,
                               .level = KD_LOG_WARNING,
                               .log = count_warnings };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context *quiet = ctx;
    o.logger = &logger;
    OK(kd_context_create(&ctx, &o));
    OK(save(letters("", "", added, PLAIN)));
    ck_assert_int_eq(warned, 1);
    OK(save(letters("", "", UNKNOWN, PLAIN)));
    ck_assert_int_eq(warned, 1);
    kd_context_free(ctx);
    ctx = quiet;
}
END_TEST

START_TEST(merges_that_one_rank_a_token_cannot_say_are_refused)
{
    static const char three[] = ",\"ab\":4,\"bc\":5,\"abc\":6";
    FAILS(save(letters(three, "\"b c\",\"a b\",\"ab c\"", UNKNOWN, PLAIN)), KD_ERR_UNSUPPORTED,
          "do not make token 6, \"abc\"");
    FAILS(save(letters(three, "\"a b\",\"ab c\",\"b c\",\"a bc\"", UNKNOWN, PLAIN)),
          KD_ERR_UNSUPPORTED, "makes token 6, \"abc\", once more");
    FAILS(save(letters(three, "\"a b\",\"b c\"", UNKNOWN, PLAIN)), KD_ERR_UNSUPPORTED,
          "token 6, \"abc\", is made by no merge");
    OK(save(letters(three, "\"a b\",\"b c\",\"ab c\"", UNKNOWN, PLAIN)));
}
END_TEST

/* ---- random merges: every text of up to seven letters ---- */

static void compare_ids(kd_tokenizer *t, kd_tokenizer *read)
{
    for (int length = 1, count = 3; length <= 7; length++, count *= 3)
        for (int number = 0; number < count; number++) {
            char text[8] = { 0 };
            int32_t a[32], b[32];
            int64_t as, bs;
            for (int i = 0, n = number; i < length; i++, n /= 3) text[i] = (char)('a' + n % 3);
            OK(kd_tokenizer_encode(t, text, length, 0, a, 32, &as));
            OK(kd_tokenizer_encode(read, text, length, 0, b, 32, &bs));
            ck_assert_msg(as == bs && !memcmp(a, b, (size_t)as * sizeof *a), "%s has other ids",
                          text);
        }
}

/* Six merges of tokens that are there already. */
static void random_merges(char *vocabulary, char *merges)
{
    char tokens[16][64] = { "a", "b", "c" }, pairs[6][130];
    int count = 3, written = 0;
    *vocabulary = *merges = 0;
    while (written < 6) {
        const char *left = tokens[any((uint32_t)count)], *right = tokens[any((uint32_t)count)];
        char whole[64];
        int known = 0;
        if (strlen(left) + strlen(right) > 6) continue;
        snprintf(pairs[written], sizeof *pairs, "\"%s %s\"", left, right);
        for (int i = 0; i < written; i++) known |= !strcmp(pairs[i], pairs[written]);
        if (known) continue;
        sprintf(merges + strlen(merges), "%s%s", written ? "," : "", pairs[written]);
        written++;
        snprintf(whole, sizeof whole, "%.30s%.30s", left, right);
        for (int i = 0; i < count; i++) known |= !strcmp(tokens[i], whole);
        if (known) continue;
        sprintf(vocabulary + strlen(vocabulary), ",\"%s\":%d", whole, count + 1);
        strcpy(tokens[count++], whole);
    }
}

START_TEST(random_merges_come_back_or_are_refused)
{
    const int cases = getenv("KD_TEST_FEW") ? 24 : 120;
    int kept = 0, refused = 0;
    for (int i = 0; i < cases; i++) {
        char vocabulary[600], merges[1200];
        kd_tokenizer *read, *t;
        random_merges(vocabulary, merges);
        t = letters(vocabulary, merges, UNKNOWN, PLAIN);
        if (save(t) != KD_OK) {
            ck_assert_msg(strstr(kd_last_error(), "readers of such files") ||
                              strstr(kd_last_error(), "one rank"),
                          "%s", kd_last_error());
            refused++;
            continue;
        }
        OK(kd_tokenizer_load(&t, ctx, scratch_path("letters.json")));
        OK(kd_tokenizer_load(&read, ctx, scratch_path("letters.gguf")));
        compare_ids(t, read);
        kd_tokenizer_free(read);
        kd_tokenizer_free(t);
        kept++;
    }
    ck_assert_msg(kept > cases / 8 && refused > cases / 8, "%d kept, %d refused", kept, refused);
}
END_TEST

Suite *gguf_round_suite(void)
{
    Suite *suite = suite_create("gguf_round");
    TCase *tests = tcase_create("gguf_round");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, random_models_come_back_to_the_bit);
    tcase_add_test(tests, a_ramp_of_yarn_that_readers_do_not_have_is_refused);
    tcase_add_test(tests, flags_of_added_tokens_without_a_name_are_refused);
    tcase_add_test(tests, other_ways_with_unknown_characters_are_refused);
    tcase_add_test(tests, special_and_plain_added_tokens_stay_what_they_are);
    tcase_add_test(tests, an_added_token_in_normalized_text_is_told);
    tcase_add_test(tests, merges_that_one_rank_a_token_cannot_say_are_refused);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_set_timeout(slow, 60);
    tcase_add_test(slow, random_merges_come_back_or_are_refused);
    suite_add_tcase(suite, slow);
    return suite;
}
