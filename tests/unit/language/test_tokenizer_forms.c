/* Forms of tokenizer.json beyond the usual ones. Ids are those of the tokenizers package 0.23. */
#include "textkit.h"
#include "unit.h"

#define BYTES "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define SPLIT(regex, behavior)                                                                     \
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"        \
    "\"" regex "\"},\"behavior\":\"" behavior "\",\"invert\":false}," BYTES "]}"

static kd_tokenizer *load_cut(kd_context *ctx, const char *cut)
{
    kd_tokenizer *t;
    const char *path = scratch_path("forms.json");
    ck_assert(bytes_tokenizer(path, cut, "") == 0);
    OK(kd_tokenizer_load(&t, ctx, path));
    return t;
}

static kd_tokenizer *load_text(kd_context *ctx, const char *json)
{
    kd_tokenizer *t;
    const char *path = scratch_path("forms.json");
    write_file(path, json, strlen(json));
    OK(kd_tokenizer_load(&t, ctx, path));
    return t;
}

static void encodes(kd_tokenizer *t, const char *text, const int32_t *expected, int64_t count)
{
    int32_t ids[64];
    int64_t found;
    OK(kd_tokenizer_encode(t, text, -1, 0, ids, 64, &found));
    ck_assert_int_eq(found, count);
    for (int64_t i = 0; i < count; i++) ck_assert_int_eq(ids[i], expected[i]);
}
#define IDS(...) (const int32_t[]){ __VA_ARGS__ }, sizeof((const int32_t[]){ __VA_ARGS__ }) / 4

/* huggingface/swift-transformers#55: an expression that can match nothing cuts where it does. */
START_TEST(empty_matches_cut)
{
    static const struct {
        const char *cut;
        int32_t ids[16];
        int64_t count;
    } cases[] = {
        { SPLIT("\\\\d*", "Isolated"),
          { 71, 68, 75, 75, 78, 220, 19, 17, 220, 86, 78, 81, 75, 67 },
          14 },
        { SPLIT("\\\\d*", "Removed"), { 71, 68, 75, 75, 78, 220, 220, 86, 78, 81, 75, 67 }, 12 },
        { SPLIT("|z", "MergedWithNext"),
          { 71, 68, 75, 75, 78, 220, 19, 17, 220, 86, 78, 81, 75, 67 },
          14 },
        { SPLIT("(?=o)", "Isolated"), { 258, 78, 220, 19, 17, 260, 78, 262, 67 }, 9 },
        { SPLIT("(?=o)", "MergedWithPrevious"), { 258, 78, 220, 19, 17, 260, 78, 262, 67 }, 9 },
        { SPLIT("l*?", "Contiguous"),
          { 71, 68, 75, 75, 78, 220, 19, 17, 220, 86, 78, 81, 75, 67 },
          14 },
    };
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kd_tokenizer *t = load_cut(ctx, cases[i].cut);
        encodes(t, "hello 42 world", cases[i].ids, cases[i].count);
        kd_tokenizer_free(t);
    }
    kd_context_free(ctx);
}
END_TEST

/* huggingface/tokenizers#1541: the first line of a merges.txt is no merge. */
START_TEST(a_version_line_is_no_merge)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load_text(
        ctx, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"abb\":3},"
             "\"merges\":[\"#version: 0.2\",\"a b\",\"ab b\"]}}");
    encodes(t, "abbab", IDS(3, 2));
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

/* The first piece is the one that the text begins with: not what is left where that was removed. */
START_TEST(the_first_piece_begins_the_text)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load_text(
        ctx,
        "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Punctuation\","
        "\"behavior\":\"Removed\"},{\"type\":\"Metaspace\",\"replacement\":\"\u2581\","
        "\"prepend_scheme\":\"first\",\"split\":true}]},\"model\":{\"type\":\"BPE\","
        "\"vocab\":{\"a\":0,\"\u2581\":1,\"\u2581a\":2},\"merges\":[\"\u2581 a\"]}}");
    encodes(t, ".a", IDS(0));
    encodes(t, "a.a", IDS(2, 0));
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(ends_are_places_in_the_given_text)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load_cut(ctx, TEXT_CUT);
    static const int64_t expected[] = { 5, 8, 10, 11, 12, 13, 14 };
    int32_t ids[8];
    int64_t ends[8], count;
    OK(kd_tokenizer_encode_ends(t, "hello world \u00e9", -1, 0, ids, ends, 8,
                                &count)); /* hello, _wo, rl, d, _, two bytes */
    ck_assert_int_eq(count, 7);
    for (int i = 0; i < 7; i++) ck_assert_int_eq(ends[i], expected[i]);
    FAILS(kd_tokenizer_encode_ends(t, "hello world", -1, 0, ids, ends, 3, &count), KD_ERR_RANGE,
          "4 are needed");
    OK(kd_tokenizer_encode_ends(t, "hello", -1, 0, ids, NULL, 8, &count));
    ck_assert_int_eq(ids[0], 259);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

static void stands_for(kd_tokenizer *t, int32_t id, const char *expected, int64_t bytes)
{
    char found[16];
    int64_t count;
    OK(kd_tokenizer_token_bytes(t, id, found, sizeof found, &count, NULL));
    ck_assert_int_eq(count, bytes);
    ck_assert_int_eq(memcmp(found, expected, (size_t)bytes), 0);
}

START_TEST(tokens_stand_for_bytes)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *bytes = load_cut(ctx, TEXT_CUT), *characters;
    char one;
    int64_t count;
    ck_assert(characters_tokenizer(scratch_path("characters.json")) == 0);
    OK(kd_tokenizer_load(&characters, ctx, scratch_path("characters.json")));
    stands_for(bytes, 261, " wo", 3);
    stands_for(bytes, 188, "\0", 1);
    stands_for(characters, 263, " ab", 3);
    stands_for(characters, 2 + 0x0a, "\n", 1);
    stands_for(characters, 2 + 0xc3, "\xc3", 1);
    FAILS(kd_tokenizer_token_bytes(bytes, 261, &one, 1, &count, NULL), KD_ERR_RANGE, "3");
    FAILS(kd_tokenizer_token_bytes(bytes, 9999, &one, 1, &count, NULL), KD_ERR_NOT_FOUND, "9999");
    kd_tokenizer_free(characters);
    kd_tokenizer_free(bytes);
    kd_context_free(ctx);
}
END_TEST

START_TEST(tokens_of_the_same_bytes_are_shared)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *bytes = load_cut(ctx, TEXT_CUT), *characters;
    int32_t map[264];
    int64_t shared;
    ck_assert(characters_tokenizer(scratch_path("characters.json")) == 0);
    OK(kd_tokenizer_load(&characters, ctx, scratch_path("characters.json")));
    OK(kd_tokenizer_map(characters, bytes, map, 264, &shared));
    ck_assert_int_eq(shared, 256); /* every byte, once */
    ck_assert_int_eq(map[0], -1);  /* <unk> */
    ck_assert_int_eq(map[258], 220);
    ck_assert_int_eq(map[259], 64);           /* a */
    ck_assert_int_eq(map[2 + 'a'], -1);       /* the letter itself was first */
    ck_assert_int_eq(map[2 + 'd'], 'd' - 33); /* which the characters lack */
    ck_assert_int_eq(map[262], -1);           /* ab */
    FAILS(kd_tokenizer_map(characters, bytes, map, 10, &shared), KD_ERR_RANGE, "264");
    kd_tokenizer_free(characters);
    kd_tokenizer_free(bytes);
    kd_context_free(ctx);
}
END_TEST

Suite *tokenizer_forms_suite(void)
{
    Suite *suite = suite_create("tokenizer_forms");
    TCase *tests = tcase_create("tokenizer_forms");
    tcase_add_test(tests, empty_matches_cut);
    tcase_add_test(tests, a_version_line_is_no_merge);
    tcase_add_test(tests, the_first_piece_begins_the_text);
    tcase_add_test(tests, ends_are_places_in_the_given_text);
    tcase_add_test(tests, tokens_stand_for_bytes);
    tcase_add_test(tests, tokens_of_the_same_bytes_are_shared);
    suite_add_tcase(suite, tests);
    return suite;
}
