#include "textkit.h"
#include "unit.h"

static kd_tokenizer *make(kd_context *ctx, const char *name, const char *cut, const char *added)
{
    kd_tokenizer *t;
    const char *path = scratch_path(name);
    ck_assert(bytes_tokenizer(path, cut, added) == 0);
    OK(kd_tokenizer_load(&t, ctx, path));
    return t;
}

static void encodes(kd_tokenizer *t, const char *text, int32_t flags, const int32_t *expected,
                    int64_t count)
{
    int32_t ids[64];
    int64_t found;
    OK(kd_tokenizer_encode(t, text, -1, flags, ids, 64, &found));
    ck_assert_int_eq(found, count);
    for (int64_t i = 0; i < count; i++) ck_assert_int_eq(ids[i], expected[i]);
}
#define ENCODES(t, text, flags, ...)                                                               \
    encodes(t, text, flags, (const int32_t[]){ __VA_ARGS__ },                                      \
            sizeof((const int32_t[]){ __VA_ARGS__ }) / 4)

static void decodes(kd_tokenizer *t, const int32_t *ids, int64_t count, int32_t flags,
                    const char *expected)
{
    char text[256];
    int64_t bytes;
    OK(kd_tokenizer_decode(t, ids, count, flags, text, sizeof text, &bytes));
    ck_assert_str_eq(text, expected);
    ck_assert_int_eq(bytes, strlen(expected));
}
#define DECODES(t, expected, flags, ...)                                                           \
    decodes(t, (const int32_t[]){ __VA_ARGS__ }, sizeof((const int32_t[]){ __VA_ARGS__ }) / 4,     \
            flags, expected)

START_TEST(bytes_are_merged_and_come_back)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = make(ctx, "bytes.json", TEXT_CUT, TEXT_ADDED);
    int64_t count, size;
    int32_t id, flags;
    const char *text;
    ENCODES(t, "hello world", 0, 259, 261, 262, 67); /* hello, _wo, rl, d */
    ENCODES(t, "hello<|im_end|>hell", 0, 259, 264, 258);
    DECODES(t, "hello<|im_end|>", 0, 259, 264);
    DECODES(t, "hello", KD_TOKENIZER_SKIP_SPECIAL, 259, 264);
    DECODES(t, "hello", 0, 259, 300); /* no token has this id */
    OK(kd_tokenizer_vocabulary_size(t, &size));
    ck_assert_int_eq(size, 265);
    OK(kd_tokenizer_token_id(t, "<|im_end|>", &id));
    OK(kd_tokenizer_token(t, id, &text, &flags));
    ck_assert_str_eq(text, "<|im_end|>");
    ck_assert_int_eq(flags, KD_TOKEN_SPECIAL | KD_TOKEN_ADDED);
    OK(kd_tokenizer_encode(t, "", -1, 0, NULL, 0, &count));
    ck_assert_int_eq(count, 0);
    FAILS(kd_tokenizer_encode(t, "hello world", -1, 0, &id, 1, &count), KD_ERR_RANGE,
          "4 are needed");
    FAILS(kd_tokenizer_encode(t, "a\xff", -1, 0, NULL, 0, &count), KD_ERR_FORMAT, "byte 1");
    FAILS(kd_tokenizer_encode(t, "\xed\xa0\x80", -1, 0, NULL, 0, &count), KD_ERR_FORMAT,
          "byte 0"); /* a surrogate */
    FAILS(kd_tokenizer_decode(t, (const int32_t[]){ -1 }, 1, 0, NULL, 0, NULL), KD_ERR_RANGE, "-1");
    FAILS(kd_tokenizer_token(t, 265, &text, NULL), KD_ERR_NOT_FOUND, "265");
    FAILS(kd_tokenizer_token_id(t, "nothing", &id), KD_ERR_NOT_FOUND, "nothing");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(characters_fall_back_to_bytes)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t;
    const char *path = scratch_path("characters.json");
    ck_assert(characters_tokenizer(path) == 0);
    OK(kd_tokenizer_load(&t, ctx, path));
    ENCODES(t, "ab c", KD_TOKENIZER_ADD_SPECIAL, 1, 263, 258, 261);
    ENCODES(t, "\xc3\xa9", 0, 258, 0xc3 + 2, 0xa9 + 2);
    DECODES(t, "ab \xc3\xa9", 0, 263, 258, 0xc3 + 2, 0xa9 + 2);
    DECODES(t, "ab\xef\xbf\xbd\xef\xbf\xbd", 0, 263, 0xc3 + 2, 0xc3 + 2);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(streams_hold_characters_back_until_they_are_whole)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = make(ctx, "stream.json", TEXT_CUT, TEXT_ADDED);
    kd_detokenizer *d;
    int32_t ids[16];
    int64_t count;
    const char *text;
    OK(kd_tokenizer_encode(t, "hello \xf0\x9f\x98\x80!", -1, 0, ids, 16, &count));
    OK(kd_detokenizer_create(&d, t, 0));
    kd_tokenizer_free(t); /* the stream keeps it */
    char all[64] = "";
    for (int64_t i = 0; i < count; i++) {
        OK(kd_detokenizer_push(d, ids[i], &text, NULL));
        if (i == count - 3) ck_assert_str_eq(text, ""); /* half of the face */
        strcat(all, text);
    }
    ck_assert_str_eq(all, "hello \xf0\x9f\x98\x80!");
    OK(kd_detokenizer_push(d, ids[2], &text, NULL));
    ck_assert_str_eq(text, "");
    OK(kd_detokenizer_finish(d, &text, NULL));
    ck_assert_str_eq(text, "\xef\xbf\xbd");
    kd_detokenizer_free(d);
    kd_context_free(ctx);
}
END_TEST

START_TEST(tokens_are_added_renamed_compared_and_saved)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = make(ctx, "edit.json", TEXT_CUT, TEXT_ADDED),
                 *before = make(ctx, "edit.json", TEXT_CUT, TEXT_ADDED), *again;
    int32_t id;
    int64_t differences;
    char *text;
    OK(kd_tokenizer_add(t, "<think>", 0, &id));
    ck_assert_int_eq(id, 265);
    OK(kd_tokenizer_add(t, "<think>", 0, &id));
    ck_assert_int_eq(id, 265);
    OK(kd_tokenizer_rename(t, "<|im_end|>", "<end>"));
    FAILS(kd_tokenizer_rename(t, "h", "<h>"), KD_ERR_INVALID, "model's own");
    FAILS(kd_tokenizer_rename(t, "<end>", "<think>"), KD_ERR_INVALID, "already");
    ENCODES(t, "hello<think><end>", 0, 259, 265, 264);
    OK(kd_tokenizer_compare(t, before, NULL, 0, 10, &differences, &text));
    ck_assert_int_eq(differences, 2);
    ck_assert_str_eq(text, "264: <end> | <|im_end|>\n265: <think> | (none)\n");
    kd_context_free_text(ctx, text);
    OK(kd_tokenizer_compare(t, before, (const char *[]){ "<end>", "<thi*" }, 2, 0, &differences,
                            NULL));
    ck_assert_int_eq(differences, 0);
    OK(kd_tokenizer_save(t, scratch_path("edited")));
    OK(kd_tokenizer_load(&again, ctx, scratch_path("edited")));
    OK(kd_tokenizer_compare(t, again, NULL, 0, 0, &differences, NULL));
    ck_assert_int_eq(differences, 0);
    ENCODES(again, "hello<think><end>", 0, 259, 265, 264);
    kd_tokenizer_free(again);
    kd_tokenizer_free(before);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(what_is_not_supported_is_refused_by_name)
{
    kd_context *ctx = make_context(1);
    static const struct {
        const char *cut, *message;
        kd_status status;
    } bad[] = {
        { "{\"type\":\"UnicodeScripts\"}", "UnicodeScripts", KD_ERR_UNSUPPORTED },
        { "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?<=a)b\"},\"behavior\":\"Isolated\"}",
          "group", KD_ERR_UNSUPPORTED },
        { "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a\"},\"behavior\":\"Isolated\"}", "')'",
          KD_ERR_UNSUPPORTED },
        { "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a{3,1}\"},\"behavior\":\"Isolated\"}",
          "count", KD_ERR_UNSUPPORTED },
        { "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a\"},\"behavior\":\"Isolated\"}", "']'",
          KD_ERR_UNSUPPORTED },
        { "{\"type\":\"Sequence\",\"pretokenizers\":[" TEXT_CUT ",{\"type\":\"Digits\"}]}",
          "after ByteLevel", KD_ERR_UNSUPPORTED }
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kd_tokenizer *t;
        const char *path = scratch_path("bad.json");
        ck_assert(bytes_tokenizer(path, bad[i].cut, "") == 0);
        FAILS(kd_tokenizer_load(&t, ctx, path), bad[i].status, bad[i].message);
    }
    static const char *const texts[][2] = {
        { "[]", "expected a JSON object" },
        { "{\"model\":{\"type\":\"WordPiece\"}}", "WordPiece" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}",
          "not in the vocabulary" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}",
          "expected a pair" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1e9},\"merges\":[]}}", "expected 0 to" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"\xff\":0},\"merges\":[]}}",
          "byte 33 is not UTF-8" },
        { "{\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"\xff\xff\xff\xff\"},\"model\":{"
          "\"type\":\"BPE\"}}",
          "not UTF-8" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}",
          "belongs to" }
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        kd_tokenizer *t;
        const char *path = scratch_path("bad.json");
        write_file(path, texts[i][0], strlen(texts[i][0]));
        kd_status status = kd_tokenizer_load(&t, ctx, path);
        ck_assert_msg(status < 0 && strstr(kd_last_error(), texts[i][1]), "%s: %s", texts[i][0],
                      kd_last_error());
    }
    kd_context_free(ctx);
}
END_TEST

/* An expression that would take 2^60 steps ends with an error. */
START_TEST(expressions_that_explode_are_stopped)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = make(
        ctx, "explode.json",
        "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?:a|a|a)*b\"},\"behavior\":\"Isolated\"}",
        "");
    int64_t count;
    FAILS(kd_tokenizer_encode(t, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac",
                              -1, 0, NULL, 0, &count),
          KD_ERR_RANGE, "too many steps");
    OK(kd_tokenizer_encode(t, "aaab", -1, 0, NULL, 0, &count));
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

Suite *tokenizer_suite(void)
{
    Suite *suite = suite_create("tokenizer");
    TCase *tests = tcase_create("tokenizer");
    tcase_add_test(tests, bytes_are_merged_and_come_back);
    tcase_add_test(tests, characters_fall_back_to_bytes);
    tcase_add_test(tests, streams_hold_characters_back_until_they_are_whole);
    tcase_add_test(tests, tokens_are_added_renamed_compared_and_saved);
    tcase_add_test(tests, what_is_not_supported_is_refused_by_name);
    tcase_add_test(tests, expressions_that_explode_are_stopped);
    suite_add_tcase(suite, tests);
    return suite;
}
