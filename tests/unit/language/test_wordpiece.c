/* WordPiece tokenizers. Ids, types and texts are those of the tokenizers package 0.23. */
#include "textkit.h"
#include "unit.h"

#define IDS(...) { __VA_ARGS__ }, sizeof((const int32_t[]){ __VA_ARGS__ }) / 4
#define A10 "aaaaaaaaaa"
#define A100 A10 A10 A10 A10 A10 A10 A10 A10 A10 A10
#define BERT(lower, strip, clean, chinese)                                                         \
    WORD_BERT("\"clean_text\":" #clean ",\"handle_chinese_chars\":" #chinese                       \
              ",\"strip_accents\":" #strip ",\"lowercase\":" #lower)
#define NORMALIZED(normalizer)                                                                     \
    WORD_FILE(normalizer, WORD_TEMPLATE(WORD_PAIR), "", WORD_MODEL(WORD_VOCABULARY))
#define POST(post) WORD_FILE(WORD_BERT(WORD_UNCASED), post, "", WORD_MODEL(WORD_VOCABULARY))
#define MODEL(model) WORD_FILE(WORD_BERT(WORD_UNCASED), "null", "", model)
#define CLS_SEP(type) "{\"type\":\"" type "\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]}"

static kd_status read_text(kd_tokenizer **t, kd_context *ctx, const char *json)
{
    const char *path = scratch_path("words.json");
    write_file(path, json, strlen(json));
    return kd_tokenizer_load(t, ctx, path);
}

static kd_tokenizer *load(kd_context *ctx, const char *json)
{
    kd_tokenizer *t;
    OK(read_text(&t, ctx, json));
    return t;
}

static void equal(const int32_t *found, int64_t count, const int32_t *expected, size_t wanted)
{
    ck_assert_int_eq(count, wanted);
    for (int64_t i = 0; i < count; i++) ck_assert_int_eq(found[i], expected[i]);
}

static void encodes(kd_tokenizer *t, const char *text, const int32_t *expected, size_t wanted)
{
    int32_t ids[128];
    int64_t count;
    OK(kd_tokenizer_encode(t, text, -1, 0, ids, 128, &count));
    equal(ids, count, expected, wanted);
}

START_TEST(words_are_cut_into_their_longest_beginnings)
{
    static const struct {
        const char *text;
        int32_t ids[16];
        size_t count;
    } cases[] = {
        { "The playing, unplayable cafe.", IDS(5, 6, 7, 13, 9, 10, 11, 17, 12) },
        { "Caf\u00e9 CAF\u00c9", IDS(17, 17) },
        { "cafe\u0301", IDS(17) },
        { "\u4f60\u4f60\u597d", IDS(18, 18, 1) },
        { "don't!", IDS(16, 14, 15, 19) },
        { "xyz the unplayer", IDS(1, 5, 1) },
        { A100 "a", IDS(1) },
        { "[CLS] the[MASK]", IDS(2, 5, 4) },
        { "the\u200bplay\x01"
          "ed\u00a0the",
          IDS(5, 10, 8, 5) },
        { "## the##ing", IDS(25, 25, 5, 25, 25, 1) },
        { "\ufffd\x7f", { 0 }, 0 },
        { "", { 0 }, 0 },
    };
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, WORD_ALL);
    int64_t count;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        encodes(t, cases[i].text, cases[i].ids, cases[i].count);
    OK(kd_tokenizer_encode(t, A100, -1, 0, NULL, 0, &count));
    ck_assert_int_eq(count, 100); /* of 100 characters a word is cut still */
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(each_step_of_the_normalizer_can_be_left_out)
{
    static const struct {
        const char *json;
        int32_t ids[16];
        size_t count;
    } cases[] = {
        { NORMALIZED(BERT(true, null, true, true)), IDS(17, 5, 20, 21, 18, 5) },
        { NORMALIZED(BERT(false, null, true, true)), IDS(22, 1, 20, 21, 18, 5) },
        { NORMALIZED(BERT(true, false, true, true)), IDS(1, 5, 20, 21, 18, 5) },
        { NORMALIZED(BERT(true, null, false, true)), IDS(17, 5, 1, 18, 5) },
        { NORMALIZED(BERT(true, null, true, false)), IDS(17, 5, 20, 21, 1) },
        { NORMALIZED(BERT(false, true, true, true)), IDS(1, 1, 20, 21, 18, 5) },
        { NORMALIZED("{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},{\"type\":"
                     "\"StripAccents\"}," BERT(true, false, true, true) "]}"),
          IDS(17, 5, 20, 21, 18, 5) },
    };
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kd_tokenizer *t = load(ctx, cases[i].json);
        encodes(t,
                "Caf\u00e9 The a\x01"
                "a \u4f60the",
                cases[i].ids, cases[i].count);
        kd_tokenizer_free(t);
    }
    kd_context_free(ctx);
}
END_TEST

/* Without a pre-tokenizer the spaces that the normalizer makes are seen. */
START_TEST(cleaned_white_space_is_a_space)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, "{\"normalizer\":" WORD_BERT(WORD_UNCASED) ",\"model\":" WORD_MODEL(
                                    "\"a b\":0,\"[UNK]\":1,\"a \u4f60 b\":2,\"a\":3") "}");
    encodes(t, "A\tB", (const int32_t[]){ 0 }, 1);
    encodes(t, "a\u00a0b", (const int32_t[]){ 0 }, 1);
    encodes(t, "a\u3000b", (const int32_t[]){ 0 }, 1);
    encodes(t, "a\u4f60b", (const int32_t[]){ 2 }, 1);
    encodes(t, "a\x0b", (const int32_t[]){ 3 }, 1);
    encodes(t, "ab", (const int32_t[]){ 1 }, 1);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

static void pairs(kd_tokenizer *t, const char *first, const char *second, int32_t flags,
                  const int32_t *ids, const int32_t *types, size_t wanted)
{
    int32_t found[16], kinds[16];
    int64_t count;
    OK(kd_tokenizer_encode_pair(t, first, -1, second, -1, flags, found, kinds, 16, &count));
    equal(found, count, ids, wanted);
    equal(kinds, count, types, wanted);
}
#define SIZED(...)                                                                                 \
    (const int32_t[]) { __VA_ARGS__ }

START_TEST(pairs_have_the_types_of_the_file)
{
    static const char *const bert[] = { WORD_ALL, POST(CLS_SEP("BertProcessing")) };
    kd_context *ctx = make_context(1);
    for (int i = 0; i < 2; i++) {
        kd_tokenizer *t = load(ctx, bert[i]);
        pairs(t, "the play", "hello", KD_TOKENIZER_ADD_SPECIAL, SIZED(2, 5, 6, 3, 23, 3),
              SIZED(0, 0, 0, 0, 1, 1), 6);
        pairs(t, "the play", "hello", 0, SIZED(5, 6, 23), SIZED(0, 0, 1), 3);
        pairs(t, "", "hello", KD_TOKENIZER_ADD_SPECIAL, SIZED(2, 3, 23, 3), SIZED(0, 0, 1, 1), 4);
        pairs(t, "the", NULL, KD_TOKENIZER_ADD_SPECIAL, SIZED(2, 5, 3), SIZED(0, 0, 0), 3);
        kd_tokenizer_free(t);
    }
    kd_tokenizer *roberta = load(ctx, POST(CLS_SEP("RobertaProcessing"))),
                 *none = load(ctx, POST("null"));
    pairs(roberta, "the play", "hello", KD_TOKENIZER_ADD_SPECIAL, SIZED(2, 5, 6, 3, 3, 23, 3),
          SIZED(0, 0, 0, 0, 0, 0, 0), 7);
    pairs(roberta, "the", "hello", 0, SIZED(5, 23), SIZED(0, 0), 2);
    pairs(none, "the play", "hello", KD_TOKENIZER_ADD_SPECIAL, SIZED(5, 6, 23), SIZED(0, 0, 1), 3);
    kd_tokenizer_free(none);
    kd_tokenizer_free(roberta);
    kd_context_free(ctx);
}
END_TEST

START_TEST(a_pair_that_cannot_be_made_is_refused)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, WORD_ALL),
                 *twice = load(ctx, POST(WORD_TEMPLATE(WORD_SEQUENCE("A", 0) "," WORD_SEQUENCE(
                                        "B", 0) "," WORD_SEQUENCE("A", 1))));
    int32_t ids[8], types[8];
    int64_t count = 0;
    FAILS(kd_tokenizer_encode_pair(twice, "the", -1, "play", -1, 0, ids, types, 8, &count),
          KD_ERR_UNSUPPORTED, "template for pairs");
    OK(kd_tokenizer_encode_pair(twice, "the", -1, NULL, -1, 0, ids, types, 8, &count));
    FAILS(kd_tokenizer_encode_pair(t, "the the", -1, "play", -1, 1, ids, NULL, 5, &count),
          KD_ERR_RANGE, "ids: 6 are needed, there is room for 5");
    ck_assert_int_eq(count, 6);
    FAILS(kd_tokenizer_encode_pair(t, "the the", -1, "play", -1, 1, NULL, types, 5, &count),
          KD_ERR_RANGE, "types: 6 are needed");
    FAILS(kd_tokenizer_encode_pair(t, "the", -1, "play", -2, 0, ids, types, 8, &count),
          KD_ERR_RANGE, "expected -1 or more, got -2");
    FAILS(kd_tokenizer_encode_pair(t, "the", -1, "\xff", 1, 0, ids, types, 8, &count),
          KD_ERR_FORMAT, "byte 0");
    FAILS(kd_tokenizer_encode_pair(t, NULL, -1, "a", -1, 0, ids, types, 8, &count), KD_ERR_INVALID,
          "first is NULL");
    FAILS(kd_tokenizer_encode_pair(t, "a", -1, "a", -1, 2, ids, types, 8, &count), KD_ERR_INVALID,
          "got 2");
    kd_tokenizer_free(twice);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(decoding_joins_words_and_streams_the_same)
{
    static const struct {
        int32_t ids[8];
        size_t count;
        int32_t flags;
        const char *text;
    } cases[] = {
        { IDS(5, 6, 7, 12), 0, "the playing." },
        { IDS(7, 6, 8, 13, 5, 19), 0, "##ing played, the!" },
        { IDS(16, 14, 15), 0, "don ' t" },
        { IDS(2, 23, 3, 5), 0, "[CLS] hello [SEP] the" },
        { IDS(2, 23, 3, 5), KD_TOKENIZER_SKIP_SPECIAL, "hello the" },
    };
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, WORD_ALL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64], streamed[64] = "";
        const char *piece;
        kd_detokenizer *d;
        OK(kd_tokenizer_decode(t, cases[i].ids, (int64_t)cases[i].count, cases[i].flags, text,
                               sizeof text, NULL));
        ck_assert_str_eq(text, cases[i].text);
        OK(kd_detokenizer_create(&d, t, cases[i].flags));
        for (size_t k = 0; k < cases[i].count; k++) {
            OK(kd_detokenizer_push(d, cases[i].ids[k], &piece, NULL));
            strcat(streamed, piece);
        }
        OK(kd_detokenizer_finish(d, &piece, NULL));
        ck_assert_str_eq(strcat(streamed, piece), cases[i].text);
        kd_detokenizer_free(d);
    }
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

static void stands_for(kd_tokenizer *t, int32_t id, const char *expected)
{
    char found[16] = "";
    int64_t count;
    OK(kd_tokenizer_token_bytes(t, id, found, sizeof found - 1, &count, NULL));
    ck_assert_str_eq(found, expected);
}

START_TEST(tokens_stand_for_what_they_are_within_a_text)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, WORD_ALL), *bytes;
    int32_t map[27];
    int64_t shared;
    ck_assert(bytes_tokenizer(scratch_path("bytes.json"), TEXT_CUT, TEXT_ADDED) == 0);
    OK(kd_tokenizer_load(&bytes, ctx, scratch_path("bytes.json")));
    stands_for(t, 5, " the");
    stands_for(t, 7, "ing");
    stands_for(t, 12, ".");
    stands_for(t, 2, "[CLS]");
    OK(kd_tokenizer_map(t, bytes, map, 27, &shared));
    ck_assert_int_eq(map[21], 64); /* ##a and the byte a */
    ck_assert_int_eq(map[20], -1); /* no token of the other is " a" */
    kd_tokenizer_free(bytes);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(ends_are_places_in_the_text_before_it_was_normalized)
{
    static const int64_t expected[] = { 0, 5, 9, 16, 18, 21, 24, 25 };
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, WORD_ALL);
    int32_t ids[8];
    int64_t ends[8], count;
    /* white space of two bytes, and an invisible character of three within a word */
    OK(kd_tokenizer_encode_ends(t, "caf\u00e9\u00a0unp\u200blayed\u4f60xyz ", -1,
                                KD_TOKENIZER_ADD_SPECIAL, ids, ends, 8, &count));
    equal(ids, count, SIZED(2, 17, 9, 10, 8, 18, 1, 3), 8);
    for (int i = 0; i < 8; i++) ck_assert_int_eq(ends[i], expected[i]);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

/* sentence-transformers#1865, transformers#15179: the cut of this file is told; none is applied. */
START_TEST(truncation_and_padding_are_told_and_not_applied)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *plain = load(ctx, WORD_ALL),
                 *t = load(ctx, WORD_FILE(WORD_BERT(WORD_UNCASED), "null",
                                          "\"truncation\":{\"max_length\":3,\"strategy\":"
                                          "\"LongestFirst\",\"stride\":0,\"direction\":\"Right\"},"
                                          "\"padding\":{\"strategy\":{\"Fixed\":8},\"direction\":"
                                          "\"Right\",\"pad_to_multiple_of\":null,\"pad_id\":0,"
                                          "\"pad_type_id\":1,\"pad_token\":\"[PAD]\"},",
                                          WORD_MODEL(WORD_VOCABULARY)));
    kd_tokenizer_info info = { .struct_size = sizeof info };
    OK(kd_tokenizer_get_info(t, &info));
    ck_assert_int_eq(info.max_tokens, 3);
    ck_assert_int_eq(info.padding_tokens, 8);
    ck_assert_int_eq(info.padding_token, 0);
    ck_assert_int_eq(info.padding_type, 1);
    encodes(t, "the the the the", SIZED(5, 5, 5, 5), 4);
    encodes(t, "the", SIZED(5), 1);
    OK(kd_tokenizer_get_info(plain, &info));
    ck_assert_int_eq(info.max_tokens, 0);
    ck_assert_int_eq(info.padding_tokens, -1);
    ck_assert_int_eq(info.padding_token, -1);
    info.struct_size = 0;
    FAILS(kd_tokenizer_get_info(t, &info), KD_ERR_INVALID, "set struct_size");
    kd_tokenizer_free(plain);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(words_are_added_saved_and_hashed)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, WORD_ALL), *again, *other, *types;
    char ours[KD_HASH_BYTES], theirs[KD_HASH_BYTES];
    int32_t id;
    other = load(ctx, NORMALIZED(BERT(false, null, true, true)));
    types = load(ctx, POST(WORD_TEMPLATE(WORD_SEQUENCE("A", 0) "," WORD_SEQUENCE("B", 0))));
    OK(kd_tokenizer_hash(t, KD_HASH_TOKENIZER, ours));
    OK(kd_tokenizer_hash(other, KD_HASH_TOKENIZER, theirs));
    ck_assert_str_ne(ours, theirs);
    OK(kd_tokenizer_hash(types, KD_HASH_TOKENIZER, theirs));
    ck_assert_str_ne(ours, theirs);
    OK(kd_tokenizer_add(t, "<new>", 1, &id));
    ck_assert_int_eq(id, 27);
    OK(kd_tokenizer_save(t, scratch_path("words")));
    OK(kd_tokenizer_load(&again, ctx, scratch_path("words")));
    encodes(again, "the<new>playing", SIZED(5, 27, 6, 7), 4);
    pairs(again, "the", "<new>", KD_TOKENIZER_ADD_SPECIAL, SIZED(2, 5, 3, 27, 3),
          SIZED(0, 0, 0, 1, 1), 5);
    OK(kd_tokenizer_hash(t, KD_HASH_TOKENIZER, ours));
    OK(kd_tokenizer_hash(again, KD_HASH_TOKENIZER, theirs));
    ck_assert_str_eq(ours, theirs);
    kd_tokenizer_free(again);
    kd_tokenizer_free(types);
    kd_tokenizer_free(other);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

#define MEMBERS(prefix, longest)                                                                   \
    "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\"," prefix longest                              \
    "\"vocab\":{" WORD_VOCABULARY "}}"
#define PREFIX "\"continuing_subword_prefix\":\"##\","
#define LONGEST(number) "\"max_input_chars_per_word\":" number ","

#define STRIPPED(start, stop)                                                                      \
    "{\"decoder\":{\"type\":\"Strip\",\"content\":\" \",\"start\":" start ",\"stop\":" stop        \
    "},\"model\":" WORD_MODEL(WORD_VOCABULARY) "}"

START_TEST(what_is_not_supported_is_refused_by_name)
{
    static const struct {
        const char *json;
        kd_status status;
        const char *message;
    } refused[] = {
        { MODEL("{\"type\":\"Unigram\",\"vocab\":[]}"), KD_ERR_UNSUPPORTED,
          "type Unigram: expected BPE or WordPiece" },
        { MODEL(MEMBERS("", LONGEST("100"))), KD_ERR_FORMAT,
          "WordPiece: the key continuing_subword_prefix is missing" },
        { MODEL(MEMBERS(PREFIX, "")), KD_ERR_FORMAT,
          "WordPiece: the key max_input_chars_per_word is missing" },
        { MODEL("{\"type\":\"WordPiece\"," PREFIX LONGEST("9") "\"vocab\":{\"a\":0}}"),
          KD_ERR_FORMAT, "WordPiece: the key unk_token is missing" },
        { MODEL(MEMBERS("\"continuing_subword_prefix\":2,", LONGEST("9"))), KD_ERR_FORMAT,
          "WordPiece: continuing_subword_prefix: expected a text" },
        { MODEL(MEMBERS(PREFIX, LONGEST("-1"))), KD_ERR_CONFIG, "got -1" },
        { MODEL(MEMBERS(PREFIX, LONGEST("1.5"))), KD_ERR_CONFIG, "whole number" },
        { "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":" WORD_MODEL(WORD_VOCABULARY) "}",
          KD_ERR_UNSUPPORTED, "ByteLevel" },
        { STRIPPED("1", "9007199254740993"), KD_ERR_CONFIG, "stop: expected 0 to 2147483647" },
        { STRIPPED("-1", "0"), KD_ERR_CONFIG, "start: expected 0 to 2147483647, got -1" },
        { STRIPPED("0", "0.5"), KD_ERR_CONFIG, "stop: expected a whole number" },
        { POST("{\"type\":\"Sequence\",\"processors\":[" CLS_SEP("BertProcessing") "," CLS_SEP(
              "BertProcessing") "]}"),
          KD_ERR_UNSUPPORTED, "a second post-processor" },
        { POST("{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",99],\"cls\":[\"[CLS]\",2]}"),
          KD_ERR_FORMAT, "token [SEP] is not in the vocabulary" },
        { POST("{\"type\":\"TemplateProcessing\",\"single\":[" WORD_SEQUENCE(
              "A", 0) "," WORD_SEQUENCE("A", 0) "],\"pair\":[],\"special_tokens\":{}}"),
          KD_ERR_UNSUPPORTED, "expected it once" },
        { POST("{\"type\":\"TemplateProcessing\",\"single\":[" WORD_SEQUENCE(
              "C", 0) "],\"pair\":[],\"special_tokens\":{}}"),
          KD_ERR_FORMAT, "expected A or B, got C" },
        { POST("{\"type\":\"TemplateProcessing\",\"single\":[" WORD_SEQUENCE(
              "A", -1) "],\"pair\":[],\"special_tokens\":{}}"),
          KD_ERR_CONFIG, "type_id" },
    };
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        kd_tokenizer *t = NULL;
        FAILS(read_text(&t, ctx, refused[i].json), refused[i].status, refused[i].message);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(a_gguf_file_of_words_is_refused)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, WORD_ALL);
    kd_model *model;
    OK(kd_model_create(&model, ctx,
                       "{\"model_type\":\"llama\",\"vocab_size\":27,\"hidden_size\":8,"
                       "\"intermediate_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":1,"
                       "\"max_position_embeddings\":8}",
                       NULL));
    FAILS(kd_model_save_gguf(model, t, scratch_path("words.gguf"), KD_FLOAT32, KD_END_TOKEN_NONE),
          KD_ERR_UNSUPPORTED, "a WordPiece tokenizer is not written");
    kd_model_free(model);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

/* A token of many bytes would make a hostile file's texts slow. */
START_TEST(a_long_token_is_refused)
{
    char model[2048], word[1002];
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = NULL;
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = 0;
    snprintf(model, sizeof model, "{\"model\":" WORD_MODEL("\"%s\":0") "}", word);
    FAILS(read_text(&t, ctx, model), KD_ERR_UNSUPPORTED, "1001 bytes: expected at most 1000");
    kd_context_free(ctx);
}
END_TEST

START_TEST(an_unknown_word_needs_the_unknown_token)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, "{\"model\":" WORD_MODEL("\"a\":0,\"##b\":1") "}");
    int32_t ids[4];
    int64_t count;
    encodes(t, "ab", SIZED(0, 1), 2);
    FAILS(kd_tokenizer_encode(t, "abc", -1, 0, ids, 4, &count), KD_ERR_FORMAT,
          "unk_token '[UNK]' is not in the vocabulary");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

Suite *wordpiece_suite(void);
Suite *wordpiece_suite(void)
{
    Suite *suite = suite_create("wordpiece");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, words_are_cut_into_their_longest_beginnings);
    tcase_add_test(tc, each_step_of_the_normalizer_can_be_left_out);
    tcase_add_test(tc, cleaned_white_space_is_a_space);
    tcase_add_test(tc, pairs_have_the_types_of_the_file);
    tcase_add_test(tc, a_pair_that_cannot_be_made_is_refused);
    tcase_add_test(tc, decoding_joins_words_and_streams_the_same);
    tcase_add_test(tc, tokens_stand_for_what_they_are_within_a_text);
    tcase_add_test(tc, ends_are_places_in_the_text_before_it_was_normalized);
    tcase_add_test(tc, truncation_and_padding_are_told_and_not_applied);
    tcase_add_test(tc, words_are_added_saved_and_hashed);
    tcase_add_test(tc, what_is_not_supported_is_refused_by_name);
    tcase_add_test(tc, a_gguf_file_of_words_is_refused);
    tcase_add_test(tc, a_long_token_is_refused);
    tcase_add_test(tc, an_unknown_word_needs_the_unknown_token);
    suite_add_tcase(suite, tc);
    return suite;
}
