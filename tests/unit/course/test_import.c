/* Answers of servers, in each form that they have: right ids and values, or a refusal that names
 * the place. */
#include "unit.h"

#include <unistd.h>

static kd_context *ctx;
static kd_targets *got;
static void setup(void)
{
    ctx = make_context(1);
    OK(kd_targets_create(&got, ctx, NULL));
}
static void teardown(void)
{
    kd_targets_free(got);
    kd_context_free(ctx);
}

enum { V = 40 };
static const char plain[] =
    "{\"a\": 0, \"b\": 1, \" c\": 2, \"d\": 8, \"\\u00e9\": 9, \"\\n\": 10}";
static const char pieces[] = "{\"<0x0A>\": 10, \"a\": 0, \"b\": 1, \"\\u2581c\": 2, \"d\": 8, "
                             "\"\\u00e9\": 9, \"<0xC3>\": 11}";
static const char alphabet[] = "{\"a\": 0, \"b\": 1, \"\\u0120c\": 2, \"d\": 8, "
                               "\"\\u00c3\\u00a9\": 9, \"\\u010a\": 10, \"\\u00c3\": 11}";

static kd_status import(int32_t format, const char *table, const char *text, int32_t align,
                        kd_import_counts *counts, kd_store **store)
{
    const char *path = scratch_path("served.kdt"), *lines = scratch_path("served.jsonl"),
               *ids = scratch_path("served.json");
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_import_options io = KD_IMPORT_OPTIONS_INIT;
    kd_store_writer *w;
    write_file(lines, text, strlen(text));
    if (table) write_file(ids, table, strlen(table));
    io.token_table = table ? ids : NULL;
    o.vocabulary = V;
    o.align = align;
    f.kind = KD_STORE_TOPK;
    f.name = "logits";
    f.k = 8;
    unlink(path);
    OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
    counts->struct_size = sizeof *counts;
    const kd_status status = kd_store_writer_import(w, format, lines, &io, counts);
    if (status == KD_OK) OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    if (status == KD_OK) OK(kd_store_open(store, ctx, &path, 1, NULL));
    return status;
}

/* Rows as text: "0:-0.1 8:-3|1:-0.2", values to a tenth; "-" for an absent one. */
static const char *rows_of(kd_store *store, int64_t record)
{
    static char text[600];
    int at = 0;
    kd_array offs, ids, values, present;
    text[0] = 0;
    OK(kd_store_read(store, record, got));
    OK(kd_targets_sparse(got, "logits", &offs, &ids, &values, NULL, &present));
    for (int64_t r = 0; r + 1 < offs.dims[0]; r++) {
        const int64_t *o = offs.data;
        if (r) at += sprintf(text + at, "|");
        if (!((uint8_t *)present.data)[r]) at += sprintf(text + at, "-");
        for (int64_t e = o[r]; e < o[r + 1]; e++)
            at += sprintf(text + at, "%s%u:%.1f", e > o[r] ? " " : "", ((uint32_t *)ids.data)[e],
                          ((float *)values.data)[e]);
    }
    return text;
}

static void expect(int32_t format, const char *table, const char *text, const char *rows,
                   int64_t first, int64_t count, const int64_t *tokens)
{
    kd_import_counts c;
    kd_store *store = NULL;
    int64_t record;
    uint64_t key[2];
    kd_store_record r = { .struct_size = sizeof r };
    kd_array ts = KD_ARRAY_1D((void *)(uintptr_t)tokens, KD_INT64, count);
    const kd_status status = import(format, table, text, KD_ALIGN_NEXT, &c, &store);
    ck_assert_msg(status == KD_OK, "%s: %s", text, kd_last_error());
    OK(kd_store_key(ctx, &ts, &key[0], &key[1]));
    ck_assert_msg(kd_store_find(store, key[0], key[1], 0, &record) == KD_OK, "%s: another key",
                  text);
    OK(kd_store_get_record(store, record, &r));
    ck_assert_int_eq(r.first, first);
    ck_assert_str_eq(rows_of(store, record), rows);
    kd_store_free(store);
}

#define TOKENS(...)                                                                                \
    (sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }

START_TEST(chats_of_openai_compatible_servers)
{
    expect(KD_IMPORT_OPENAI, plain,
           "{\"choices\":[{\"logprobs\":{\"content\":[{\"token\":\"a\",\"logprob\":-0.1,\"top_"
           "logprobs\":[{\"token\":\"a\",\"logprob\":-0.1},"
           "{\"token\":\" "
           "c\",\"logprob\":-3}]},{\"token\":\"\\n\",\"logprob\":-0.5,\"top_logprobs\":null}]}}]}",
           "0:-0.1 2:-3.0|10:-0.5", 0, TOKENS(0, 10));
    expect(KD_IMPORT_OPENAI, NULL, /* vllm-project/vllm#57574 */
           "{\"prompt_token_ids\":[4,5],\"choices\":[{\"logprobs\":{\"content\":[{\"token\":"
           "\"token_id:7\",\"logprob\":-0.1,\"top_logprobs\":["
           "{\"token\":\"token_id:7\",\"logprob\":-0.1},{\"token\":\"token_id:39\",\"logprob\":-2."
           "5}]}]}}]}",
           "7:-0.1 39:-2.5", 1, TOKENS(4, 5, 7));
    /* special tokens are written as "": the ids beside them tell; -Infinity and -9999 are not
     * known */
    expect(KD_IMPORT_OPENAI, plain,
           "{\"choices\":[{\"prompt_token_ids\":[4],\"token_ids\":[0,33],\"logprobs\":{\"content\":"
           "[{\"token\":\"a\",\"logprob\":-0.2,"
           "\"top_logprobs\":[{\"token\":\"a\",\"logprob\":-0.2},{\"token\":\"b\",\"logprob\":-"
           "Infinity},{\"token\":\"d\",\"logprob\":-9999.0}]},"
           "{\"token\":\"\",\"bytes\":[],\"logprob\":-0.3,\"top_logprobs\":[{\"token\":\"\","
           "\"bytes\":[],\"logprob\":-0.3},"
           "{\"token\":\"b\",\"logprob\":null}]}]}}]}",
           "0:-0.2|33:-0.3", 0, TOKENS(4, 0, 33));
    /* llama.cpp's server gives ids beside its tokens */
    expect(KD_IMPORT_OPENAI, NULL,
           "{\"choices\":[{\"logprobs\":{\"content\":[{\"id\":12,\"token\":\"x\",\"bytes\":[120],"
           "\"logprob\":-1,\"top_logprobs\":["
           "{\"id\":3,\"token\":\"y\",\"bytes\":[121],\"logprob\":-0.7}]}]}}]}",
           "3:-0.7 12:-1.0", 0, TOKENS(12));
}
END_TEST

START_TEST(the_older_form_of_completions)
{
    expect(KD_IMPORT_OPENAI, plain, /* abetlen/llama-cpp-python#2 */
           "{\"choices\":[{\"text\":\"ab\",\"logprobs\":{\"tokens\":[\"a\",\"b\"],\"token_"
           "logprobs\":[-0.1,-0.2],\"top_logprobs\":["
           "{\"a\":-0.1,\"d\":-3},null],\"text_offset\":[0,1]}}]}",
           "0:-0.1 8:-3.0|1:-0.2", 0, TOKENS(0, 1));
    expect(KD_IMPORT_OPENAI, plain, /* echoed: nothing predicts the first */
           "{\"prompt_token_ids\":[0],\"choices\":[{\"logprobs\":{\"tokens\":[\"a\",\"b\",\" "
           "c\"],\"token_logprobs\":[null,-0.2,-0.4],"
           "\"top_logprobs\":[null,{\"b\":-0.2,\"a\":-2},{\"\\u00e9\":-1.5}]}}]}",
           "0:-2.0 1:-0.2|2:-0.4 9:-1.5", 0, TOKENS(0, 1, 2));
    expect(KD_IMPORT_OPENAI, plain,
           "{\"prompt_token_ids\":[5,6],\"choices\":[{\"token_ids\":[30],\"logprobs\":{\"tokens\":["
           "\"\"],\"token_logprobs\":[-0.4],"
           "\"top_logprobs\":[{\"\":-0.4,\"b\":-2}]}}]}",
           "1:-2.0 30:-0.4", 1, TOKENS(5, 6, 30));
    expect(KD_IMPORT_OPENAI, NULL,
           "{\"choices\":[{\"logprobs\":{\"tokens\":[\"token_id:3\"],\"token_logprobs\":[-0.4],"
           "\"top_logprobs\":["
           "{\"token_id:3\":-0.4,\"token_id:4\":-2}]}}]}",
           "3:-0.4 4:-2.0", 0, TOKENS(3));
}
END_TEST

START_TEST(tables_in_every_spelling)
{
    static const char *const tables[] = { plain, pieces, alphabet };
    static const char *const spaces[] = { " c", "\\u2581c" };
    for (int t = 0; t < 3; t++)
        for (int s = 0; s < (t == 2 ? 1 : 2); s++) {
            char line[600];
            snprintf(line, sizeof line,
                     "{\"choices\":[{\"logprobs\":{\"content\":[{\"token\":\"%s\",\"logprob\":-1,"
                     "\"top_logprobs\":[{\"token\":\"\\u00e9\","
                     "\"logprob\":-2},{\"token\":\"\\n\",\"bytes\":[10],\"logprob\":-3}]}]}}]}",
                     spaces[s]);
            expect(KD_IMPORT_OPENAI, tables[t], line, "2:-1.0 9:-2.0 10:-3.0", 0, TOKENS(2));
        }
    expect(KD_IMPORT_OPENAI, alphabet,
           "{\"choices\":[{\"logprobs\":{\"content\":[{\"token\":\"\\u0120c\",\"logprob\":-1}]}}]}",
           "2:-1.0", 0, TOKENS(2));
    /* a part of a character has bytes alone */
    for (int t = 1; t < 3; t++)
        expect(KD_IMPORT_OPENAI, tables[t],
               "{\"choices\":[{\"logprobs\":{\"content\":[{\"token\":\"\\ufffd\",\"bytes\":[195],"
               "\"logprob\":-1,\"top_logprobs\":[]}]}}]}",
               "11:-1.0", 0, TOKENS(11));
}
END_TEST

START_TEST(prompts_of_vllm)
{
    static const char rows[] = "5:-0.4 6:-3.0|-|7:-0.1";
    expect(KD_IMPORT_VLLM, NULL,
           "\xef\xbb\xbf{\"prompt_token_ids\":[5,6,9,7],\"prompt_logprobs\":[null,{\"6\":{"
           "\"logprob\":-3.0,\"rank\":9,\"decoded_token\":\"x\"},"
           "\"5\":{\"logprob\":-0.4}},null,{\"7\":-0.1}]}",
           rows, 0, TOKENS(5, 6, 9, 7));
    expect(KD_IMPORT_VLLM, NULL,
           "{\"choices\":[{\"prompt_token_ids\":[5,6,9,7],\"prompt_logprobs\":[null,{\"6\":-3.0,"
           "\"5\":-0.4},{\"4\":-Infinity},{\"7\":-0.1}]}]}",
           rows, 0, TOKENS(5, 6, 9, 7));
}
END_TEST

START_TEST(llama_cpp_sglang_and_tgi)
{
    expect(KD_IMPORT_LLAMA_CPP, NULL,
           "{\"content\":\"x\",\"completion_probabilities\":[{\"id\":12,\"token\":\"x\",\"bytes\":["
           "120],\"logprob\":-0.1,\"top_logprobs\":["
           "{\"id\":12,\"token\":\"x\",\"logprob\":-0.1},{\"id\":3,\"token\":\"y\",\"logprob\":-2."
           "5}]}]}",
           "3:-2.5 12:-0.1", 0, TOKENS(12));
    expect(KD_IMPORT_LLAMA_CPP, plain,
           "{\"completion_probabilities\":[{\"content\":\"a\",\"probs\":[{\"tok_str\":\"a\","
           "\"prob\":0.5},{\"tok_str\":\" c\",\"prob\":0.25},"
           "{\"tok_str\":\"b\",\"prob\":0}]}]}",
           "0:-0.7 2:-1.4", 0, TOKENS(0));
    static const char sglang[] = "{\"text\":\"x\",\"meta_info\":{\"input_token_logprobs\":[[null,4,"
                                 "null],[-2.0,5,null]],\"output_token_logprobs\":["
                                 "[-0.1,12,\"x\"],[-0.3,2,null]],\"output_top_logprobs\":[[[-0.1,"
                                 "12,\"x\"],[-2.5,3,null]],null]}}";
    expect(KD_IMPORT_SGLANG, NULL, sglang, "3:-2.5 12:-0.1|2:-0.3", 1, TOKENS(4, 5, 12, 2));
    char list[600];
    snprintf(list, sizeof list, "[%s]", sglang);
    expect(KD_IMPORT_SGLANG, NULL, list, "3:-2.5 12:-0.1|2:-0.3", 1, TOKENS(4, 5, 12, 2));
    expect(KD_IMPORT_TGI, NULL,
           "{\"generated_text\":\"x\",\"details\":{\"prefill\":[{\"id\":4,\"text\":\"p\","
           "\"logprob\":null}],\"tokens\":[{\"id\":12,\"text\":\"x\","
           "\"logprob\":-0.1,\"special\":false}],\"top_tokens\":[[{\"id\":12,\"text\":\"x\","
           "\"logprob\":-0.1},{\"id\":3,\"text\":\"y\",\"logprob\":-"
           "2.5}]]}}",
           "3:-2.5 12:-0.1", 0, TOKENS(4, 12));
}
END_TEST

START_TEST(what_is_no_answer_is_refused_with_its_place)
{
    static const struct {
        int32_t format;
        const char *text;
        kd_status status;
        const char *says;
    } cases[] = {
        { KD_IMPORT_OPENAI, "\n{\"choices\":[{\"delta\":{},\"logprobs\":null}]}", KD_ERR_FORMAT,
          "line 2: choices[0]: a chunk of a stream" },
        { KD_IMPORT_OPENAI, "data: {\"choices\":[]}", KD_ERR_FORMAT, "line 1: a line of a stream" },
        { KD_IMPORT_OPENAI, "{\"choices\":[{\"logprobs\":null}]}", KD_ERR_FORMAT,
          "choices[0]: no \"logprobs\"" },
        { KD_IMPORT_OPENAI, "{\"choices\":[{\"logprobs\":{\"refusal\":[]}}]}", KD_ERR_FORMAT,
          "neither \"content\"" },
        { KD_IMPORT_OPENAI, "{\"choices\":{}}", KD_ERR_FORMAT, "\"choices\": expected a list" },
        { KD_IMPORT_OPENAI, "{\"error\":{\"message\":\"too many requests\"}}", KD_ERR_FORMAT,
          "too many requests" },
        { KD_IMPORT_OPENAI, "{\"meta_info\":{}}", KD_ERR_FORMAT, "that is KD_IMPORT_SGLANG" },
        { KD_IMPORT_VLLM, "{\"completion_probabilities\":[]}", KD_ERR_FORMAT,
          "that is KD_IMPORT_LLAMA_CPP" },
        { KD_IMPORT_OPENAI,
          "{\"choices\":[{\"logprobs\":{\"content\":[{\"token\":\"a\",\"logprob\":\"low\"}]}}]}",
          KD_ERR_FORMAT, "choices[0].logprobs.content[0]: expected a log-probability" },
        { KD_IMPORT_OPENAI,
          "{\"choices\":[{\"logprobs\":{\"content\":[{\"token\":\"a\",\"logprob\":NaN}]}}]}",
          KD_ERR_NONFINITE, "NaN" },
        { KD_IMPORT_OPENAI,
          "{\"choices\":[{\"logprobs\":{\"content\":[{\"token\":\"a\",\"logprob\":Infinity}]}}]}",
          KD_ERR_NONFINITE, "Infinity" },
        { KD_IMPORT_OPENAI,
          "{\"choices\":[{\"token_ids\":[1,2],\"logprobs\":{\"content\":[{\"token\":\"a\","
          "\"logprob\":-1}]}}]}",
          KD_ERR_FORMAT, "choices[0].token_ids: expected one for each of 1 tokens, got 2" },
        { KD_IMPORT_OPENAI,
          "{\"choices\":[{\"logprobs\":{\"tokens\":[\"a\"],\"token_logprobs\":[-1,-2]}}]}",
          KD_ERR_FORMAT, "lists of one length" },
        { KD_IMPORT_OPENAI,
          "{\"choices\":[{\"logprobs\":{\"content\":[{\"token\":\"?!\",\"logprob\":-1}]}}]}",
          KD_ERR_MISMATCH, "the first: \"?!\"" },
        { KD_IMPORT_OPENAI,
          "{\"choices\":[{\"logprobs\":{\"content\":[{\"token\":\"token_id:77\",\"logprob\":-1}]}}]"
          "}",
          KD_ERR_RANGE, "line 1: sparse field" },
        { KD_IMPORT_VLLM, "{\"prompt_token_ids\":[1],\"prompt_logprobs\":[null,{}]}", KD_ERR_FORMAT,
          "expected 2" },
        { KD_IMPORT_VLLM, "{\"prompt_token_ids\":[1,2],\"prompt_logprobs\":[null,{\"x\":-1}]}",
          KD_ERR_FORMAT, "prompt_logprobs[1]" },
        { KD_IMPORT_LLAMA_CPP,
          "{\"completion_probabilities\":[{\"id\":1,\"token\":\"x\",\"prob\":0.5,\"top_probs\":[]}]"
          "}",
          KD_ERR_FORMAT, "post_sampling_probs" },
        { KD_IMPORT_SGLANG, "{\"meta_info\":{\"output_token_logprobs\":[[-1]]}}", KD_ERR_FORMAT,
          "expected [log-probability, id, text]" },
        { KD_IMPORT_TGI, "{\"details\":{\"tokens\":[{\"text\":3}]}}", KD_ERR_FORMAT,
          "details.tokens[0]" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kd_import_counts c;
        kd_store *store = NULL;
        FAILS(import(cases[i].format, plain, cases[i].text, KD_ALIGN_NEXT, &c, &store),
              cases[i].status, cases[i].says);
    }
}
END_TEST

Suite *import_suite(void)
{
    Suite *suite = suite_create("import");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, chats_of_openai_compatible_servers);
    tcase_add_test(tests, the_older_form_of_completions);
    tcase_add_test(tests, tables_in_every_spelling);
    tcase_add_test(tests, prompts_of_vllm);
    tcase_add_test(tests, llama_cpp_sglang_and_tgi);
    tcase_add_test(tests, what_is_no_answer_is_refused_with_its_place);
    suite_add_tcase(suite, tests);
    return suite;
}
