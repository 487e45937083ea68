/* Added tokens, words and punctuation of tokenizer.json as the tokenizers package 0.23 takes them,
 * or refused by name. Ids are that package's. */
#include <time.h>

#include "unit.h"

#define VOCABULARY                                                                                 \
    "\"a\":0,\"b\":1,\" \":2,\"\u2581\":3,\"x\":4,\"\u200d\":5,\"\u00b2\":6,\"<unk>\":7"
#define MODEL(vocabulary, merges)                                                                  \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{" vocabulary "},\"merges\":[" merges "]}"
#define ADDED(list) "{\"added_tokens\":[" list "]," MODEL(VOCABULARY, "") "}"
#define TOKEN(id, content, more)                                                                   \
    "{\"id\":" #id ",\"content\":\"" content "\",\"normalized\":false" more "}"
#define IDS(...) { __VA_ARGS__ }, sizeof((const int32_t[]){ __VA_ARGS__ }) / 4

static kd_status load(kd_tokenizer **t, kd_context *ctx, const char *json)
{
    const char *path = scratch_path("added.json");
    write_file(path, json, strlen(json));
    return kd_tokenizer_load(t, ctx, path);
}

typedef struct {
    const char *json, *text;
    int32_t ids[12];
    size_t count;
} sample;

static void encode_all(const sample *samples, size_t count)
{
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < count; i++) {
        kd_tokenizer *t;
        int32_t ids[12];
        int64_t found;
        OK(load(&t, ctx, samples[i].json));
        OK(kd_tokenizer_encode(t, samples[i].text, -1, 0, ids, 12, &found));
        ck_assert_int_eq(found, samples[i].count);
        for (int64_t k = 0; k < found; k++) ck_assert_int_eq(ids[k], samples[i].ids[k]);
        kd_tokenizer_free(t);
    }
    kd_context_free(ctx);
}
#define ENCODE_ALL(samples) encode_all(samples, sizeof(samples) / sizeof *(samples))

/* huggingface/tokenizers#1528, #1169: the package gives ids of its own. */
START_TEST(ids_that_the_package_would_change_are_refused)
{
    static const struct {
        const char *json, *message;
    } refused[] = {
        { ADDED(TOKEN(9, "<s>", "")), "added token <s> has the id 9: expected 8" },
        { ADDED(TOKEN(8, "a", "")), "added token a has the id 8: expected 0" },
        { ADDED(TOKEN(8, "<s>", "") "," TOKEN(9, "<s>", "")), "has the id 9: expected 8" },
        { "{\"added_tokens\":[" TOKEN(2, "<s>", "") "]," MODEL("\"a\":0,\"b\":2", "") "}",
          "which is that of token b" },
        { ADDED(TOKEN(8, "<s>", "") "," TOKEN(8, "<s>", ",\"rstrip\":true")), "is there twice" },
        { "{\"normalizer\":{\"type\":\"Lowercase\"},\"added_tokens\":[{\"id\":8,\"content\":\"M\","
          "\"normalized\":true},"
          "{\"id\":9,\"content\":\"m\",\"normalized\":true}]," MODEL(VOCABULARY, "") "}",
          "added tokens 8 and 9 are the same text once normalized: m" },
        { "{\"normalizer\":{\"type\":\"Strip\"},\"added_tokens\":[{\"id\":2,\"content\":\" "
          "\",\"normalized\":true}]," MODEL(VOCABULARY, "") "}",
          "nothing is left of added token 2" },
    };
    kd_context *ctx = make_context(1);
    kd_tokenizer *t;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        FAILS(load(&t, ctx, refused[i].json), KD_ERR_UNSUPPORTED, refused[i].message);
    kd_context_free(ctx);
}
END_TEST

START_TEST(empty_and_repeated_tokens_are_passed_over)
{
    static const sample samples[] = {
        { ADDED(TOKEN(8, "", "") "," TOKEN(8, "<s>", "") "," TOKEN(8, "<s>", "") "," TOKEN(9, "<t>",
                                                                                           "")),
          "a<t><s>", IDS(0, 9, 8) },
    };
    ENCODE_ALL(samples);
}
END_TEST

/* White space that a token took is searched once more: what is found in it overlaps the token. */
START_TEST(tokens_are_found_in_white_space_that_was_taken)
{
    static const sample samples[] = {
        { ADDED(TOKEN(8, "<t>", ",\"rstrip\":true") "," TOKEN(2, " ", "")), "<t>  a",
          IDS(8, 2, 2, 0) },
        { ADDED(TOKEN(8, "<t>", ",\"rstrip\":true") "," TOKEN(9, " a", "")), "<t>  a", IDS(8, 9) },
        { ADDED(TOKEN(2, " ", ",\"lstrip\":true,\"rstrip\":true")), "  a", IDS(2, 0) },
    };
    ENCODE_ALL(samples);
}
END_TEST

/* Joiners are part of words, superscripts are not. */
START_TEST(words_are_those_of_rust)
{
    static const sample samples[] = {
        { ADDED(TOKEN(8, "ab", ",\"single_word\":true")), "a\u200dab b", IDS(0, 5, 0, 1, 2, 1) },
        { ADDED(TOKEN(8, "ab", ",\"single_word\":true")), "\u00b2ab b", IDS(6, 8, 2, 1) },
        { "{\"pre_tokenizer\":{\"type\":\"Whitespace\"}," MODEL(
              VOCABULARY ",\"a\u200d\":8,\"x\u00b2\":9", "\"a \u200d\",\"x \u00b2\"") "}",
          "a\u200dx\u00b2b", IDS(8, 4, 6, 1) },
    };
    ENCODE_ALL(samples);
}
END_TEST

START_TEST(punctuation_is_that_of_unicode_8)
{
    static const sample samples[] = {
        { "{\"pre_tokenizer\":{\"type\":\"Punctuation\",\"behavior\":\"Removed\"}," MODEL(
              "\"a\":0,\"b\":1,\"\u2e52\":8,\"\u166d\":9,\".\":10", "") "}",
          "a\u2e52b\u166d.a", IDS(0, 8, 1, 0) },
    };
    ENCODE_ALL(samples);
}
END_TEST

#define FIRST                                                                                      \
    "{\"type\":\"Metaspace\",\"replacement\":\"\u2581\",\"prepend_scheme\":\"first\",\"split\":"   \
    "true}"
/* A piece is first when it comes from the first character of the text that was given. */
START_TEST(the_first_piece_comes_from_the_first_character)
{
    static const sample samples[] = {
        { "{\"normalizer\":{\"type\":\"Strip\",\"strip_right\":false},\"pre_tokenizer\":" FIRST
          "," MODEL(VOCABULARY, "") "}",
          " a", IDS(0) },
        { "{\"normalizer\":{\"type\":\"Strip\",\"strip_right\":false},\"pre_tokenizer\":" FIRST
          "," MODEL(VOCABULARY, "") "}",
          "a", IDS(3, 0) },
        { "{\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"x\"},\"pre_tokenizer\":{\"type\":"
          "\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
          "\"pattern\":{\"String\":\"x\"},\"behavior\":\"Isolated\",\"invert\":false}," FIRST
          "]}," MODEL(VOCABULARY, "") "}",
          "a", IDS(3, 4, 3, 0) },
    };
    ENCODE_ALL(samples);
}
END_TEST

START_TEST(bytes_without_a_token_fall_back)
{
#define LEVEL                                                                                      \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define FALLS                                                                                      \
    "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"a\":0,\"<0x62>\":1,\"<0xC4>"  \
    "\":2,\"<0x8A>\":3},\"merges\":[]}"
    static const sample samples[] = {
        { "{" LEVEL "," FALLS "}", "b", IDS(1) },
        { "{" LEVEL "," FALLS "}", "a\n",
          IDS(0, 2, 3) }, /* a line feed is U+010A, which is C4 8A */
    };
    ENCODE_ALL(samples);
}
END_TEST

/* A special token that normalizing changes shows its normalized text, and is not left out. */
START_TEST(a_token_is_skipped_by_the_text_that_it_shows)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t;
    char text[32];
    OK(load(&t, ctx,
            "{\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"\u2581\"},\"decoder\":" FIRST
            ",\"added_tokens\":["
            "{\"id\":8,\"content\":\"<s>\",\"normalized\":true,\"special\":true}," TOKEN(
                9, "<t>", ",\"special\":true") "]," MODEL(VOCABULARY, "") "}"));
    OK(kd_tokenizer_decode(t, (const int32_t[]){ 0, 8, 9 }, 3, KD_TOKENIZER_SKIP_SPECIAL, text,
                           sizeof text, NULL));
    ck_assert_str_eq(text, "a <s>");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

/* Token by token comes the text of all. */
static void comes_in_pieces(const char *json, const int32_t *ids, int64_t count,
                            const char *expected)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t;
    kd_detokenizer *d;
    char whole[32], pieces[64] = "";
    const char *piece;
    OK(load(&t, ctx, json));
    OK(kd_tokenizer_decode(t, ids, count, 0, whole, sizeof whole, NULL));
    ck_assert_str_eq(whole, expected);
    OK(kd_detokenizer_create(&d, t, 0));
    for (int64_t i = 0; i < count; i++) {
        OK(kd_detokenizer_push(d, ids[i], &piece, NULL));
        strcat(pieces, piece);
    }
    OK(kd_detokenizer_finish(d, &piece, NULL));
    strcat(pieces, piece);
    ck_assert_str_eq(pieces, whole);
    kd_detokenizer_free(d);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}

START_TEST(spaces_that_a_text_may_not_begin_with_stay_within_it)
{
    comes_in_pieces("{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
                    "\"pattern\":{\"String\":\"\u2581\"},\"content\":\" \"},"
                    "{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" "
                    "\",\"start\":2,\"stop\":0}]}," MODEL(VOCABULARY, "") "}",
                    (const int32_t[]){ 0, 3, 3, 1, 3, 3, 3, 0 }, 8, "a  b   a");
}
END_TEST

START_TEST(an_id_without_a_token_does_not_end_a_run_of_bytes)
{
    comes_in_pieces("{\"decoder\":{\"type\":\"ByteFallback\"}," MODEL(
                        "\"<0x41>\":0,\"<0xFF>\":1,\"x\":3", "") "}",
                    (const int32_t[]){ 0, 2, 1, 3 }, 4, "\ufffd\ufffdx");
}
END_TEST

START_TEST(ends_where_a_normal_form_changes_characters)
{
    static const int64_t composed[] = { 3, 4 }, decomposed[] = { 2, 2, 3 };
    kd_context *ctx = make_context(1);
    kd_tokenizer *t;
    int32_t ids[4];
    int64_t ends[4], count;
    OK(load(
        &t, ctx,
        "{\"normalizer\":{\"type\":\"NFC\"}," MODEL("\"e\":0,\"\u00e9\":1,\"\u0301\":2", "") "}"));
    OK(kd_tokenizer_encode_ends(t, "e\u0301e", -1, 0, ids, ends, 4, &count));
    ck_assert_int_eq(count, 2);
    ck_assert_int_eq(memcmp(ends, composed, sizeof composed), 0);
    kd_tokenizer_free(t);
    OK(load(
        &t, ctx,
        "{\"normalizer\":{\"type\":\"NFD\"}," MODEL("\"e\":0,\"\u00e9\":1,\"\u0301\":2", "") "}"));
    OK(kd_tokenizer_encode_ends(t, "\u00e9e", -1, 0, ids, ends, 4, &count));
    ck_assert_int_eq(count, 3);
    ck_assert_int_eq(memcmp(ends, decomposed, sizeof decomposed), 0);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(an_added_token_gets_the_id_that_a_reader_gives_it)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t;
    int32_t id;
    OK(load(&t, ctx, "{" MODEL("\"a\":0,\"b\":7", "") "}"));
    OK(kd_tokenizer_add(t, "<s>", 0, &id));
    ck_assert_int_eq(id, 2); /* after two tokens: where a file with it puts it */
    kd_tokenizer_free(t);
    OK(load(&t, ctx, "{" MODEL("\"a\":0,\"b\":2", "") "}"));
    FAILS(kd_tokenizer_add(t, "<s>", 0, &id), KD_ERR_UNSUPPORTED, "have gaps");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(text_before_the_beginning_is_refused_where_it_would_be_doubled)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t;
    int64_t count;
    OK(load(&t, ctx,
            "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Replace\","
            "\"pattern\":{\"Regex\":\"^ *\"},\"content\":\"x\"},"
            "{\"type\":\"NFC\"}]}," MODEL(VOCABULARY, "") "}"));
    FAILS(kd_tokenizer_encode(t, "a", -1, 0, NULL, 0, &count), KD_ERR_UNSUPPORTED,
          "before the beginning");
    OK(kd_tokenizer_encode(t, " a", -1, 0, NULL, 0, &count));
    ck_assert_int_eq(count, 2);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

/* ---- long texts of one kind ---- */

static void encodes_in_time(kd_tokenizer *t, const char *unit)
{
    const size_t most = getenv("KD_TEST_FEW") ? 1 << 15 : 1 << 20, bytes = strlen(unit),
                 count = most / bytes * bytes;
    char *text = malloc(most);
    int64_t found;
    for (size_t i = 0; i < count; i++) text[i] = unit[i % bytes];
    const clock_t begin = clock();
    OK(kd_tokenizer_encode(t, text, (int64_t)count, 0, NULL, 0, &found));
    const double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    ck_assert_msg(seconds < (is_loose() ? 60 : 4), "%zu bytes of '%s': %.1f s", count, unit,
                  seconds);
    free(text);
}

/* One word, white space, emoji, marks, digits: by merges that double, by searches that begin
 * everywhere, by tokens that take white space. */
START_TEST(a_megabyte_of_anything_takes_little_time)
{
    static const char *const units[] = { "a", "ab", " ",  "\n", "\U0001f600", "\u0301\u0323",
                                         "7", "<",  "a ", "!?", "\u4eca",     "\u1100\u1161",
                                         "'s" };
    static const char *const files[] = {
        "{" MODEL("\"a\":0,\"aa\":1,\"aaaa\":2,\" \":3,\"  \":4,\"ab\":5,\"b\":6",
                  "\"a a\",\"aa aa\",[\" \",\" \"],\"a b\"") "}",
        "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKD\"},{\"type\":"
        "\"Lowercase\"},{\"type\":\"NFC\"},{\"type\":\"Strip\"}"
        "]},"
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
        "\"pattern\":{\"Regex\":\"\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)"
        "|\\\\s+\"},"
        "\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"Punctuation\"},{\"type\":"
        "\"Digits\",\"individual_digits\":true}," FIRST
        ",{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}]}," MODEL(
            VOCABULARY, "") "}",
        ADDED(TOKEN(2, " ", ",\"lstrip\":true,\"rstrip\":true") "," TOKEN(
            8, "<", ",\"lstrip\":true") "," TOKEN(9, "\\n", ",\"rstrip\":true")),
    };
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        kd_tokenizer *t;
        OK(load(&t, ctx, files[i]));
        for (size_t k = 0; k < sizeof units / sizeof *units; k++) encodes_in_time(t, units[k]);
        kd_tokenizer_free(t);
    }
    kd_context_free(ctx);
}
END_TEST

Suite *added_tokens_suite(void)
{
    Suite *suite = suite_create("added_tokens");
    TCase *tests = tcase_create("added_tokens");
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, ids_that_the_package_would_change_are_refused);
    tcase_add_test(tests, empty_and_repeated_tokens_are_passed_over);
    tcase_add_test(tests, tokens_are_found_in_white_space_that_was_taken);
    tcase_add_test(tests, words_are_those_of_rust);
    tcase_add_test(tests, punctuation_is_that_of_unicode_8);
    tcase_add_test(tests, the_first_piece_comes_from_the_first_character);
    tcase_add_test(tests, bytes_without_a_token_fall_back);
    tcase_add_test(tests, a_token_is_skipped_by_the_text_that_it_shows);
    tcase_add_test(tests, spaces_that_a_text_may_not_begin_with_stay_within_it);
    tcase_add_test(tests, an_id_without_a_token_does_not_end_a_run_of_bytes);
    tcase_add_test(tests, ends_where_a_normal_form_changes_characters);
    tcase_add_test(tests, an_added_token_gets_the_id_that_a_reader_gives_it);
    tcase_add_test(tests, text_before_the_beginning_is_refused_where_it_would_be_doubled);
    tcase_add_test(tests, a_megabyte_of_anything_takes_little_time);
    suite_add_tcase(suite, tests);
    return suite;
}
