/* Answers of servers become records of a store. */
#include "samplekit.h"

START_TEST(answers_of_servers_are_imported)
{
    const char *path = scratch_path("import.kdt"), *lines = scratch_path("answers.jsonl"),
               *table = scratch_path("table.json");
    static const char openai[] =
        "{\"prompt_token_ids\":[5,6],\"choices\":[{\"logprobs\":{\"content\":[{\"token\":\" "
        "a\",\"logprob\":-0.5,\"top_logprobs\":["
        "{\"token\":\" "
        "a\",\"logprob\":-0.5},{\"token\":\"b\",\"logprob\":-1.5},{\"token\":\"?\",\"logprob\":-"
        "9999.0}]},"
        "{\"token\":\"x\",\"bytes\":[98],\"logprob\":-0.25,\"top_logprobs\":[]}]}}]}\n\n";
    static const char vllm[] = "{\"prompt_token_ids\":[5,6,7],\"prompt_logprobs\":[null,{\"6\":{"
                               "\"logprob\":-3.0,\"rank\":9},\"2\":{\"logprob\":-0.5}},"
                               "{\"7\":{\"logprob\":-0.125},\"3\":{\"logprob\":-Infinity}}]}\n";
    kd_store_options o = options();
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_import_options import = KD_IMPORT_OPTIONS_INIT;
    kd_import_counts c = { .struct_size = sizeof c };
    kd_store_writer *w;
    kd_store_record r = { .struct_size = sizeof r };
    kd_array ids, values;
    uint64_t key[2];
    int64_t tokens[4] = { 5, 6, 10, 11 }, record;
    write_file(lines, openai, sizeof openai - 1);
    static const char ids_of[] = "{\"\\u0120a\": 10, \"b\": 11}";
    write_file(table, ids_of, sizeof ids_of - 1);
    unlink(path);
    f.kind = KD_STORE_TOPK;
    f.name = "topk";
    OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
    import.token_table = table;
    import.byte_level = 1;
    import.max_unmapped = 0.5;
    OK(kd_store_writer_import(w, KD_IMPORT_OPENAI, lines, &import, &c));
    ck_assert_int_eq(c.records, 1);
    ck_assert_int_eq(c.positions, 2);
    ck_assert_int_eq(c.unmapped, 1);
    ck_assert_int_eq(c.duplicates, 1);
    kd_store *s = opened(path, 0);
    kd_array ts = KD_ARRAY_1D(tokens, KD_INT64, 4);
    OK(kd_store_key(ctx, &ts, &key[0], &key[1]));
    OK(kd_store_find(s, key[0], key[1], 0, &record));
    OK(kd_store_get_record(s, record, &r));
    /* the row of the prompt's last token predicts the answer's first */
    ck_assert_int_eq(r.first, 1);
    OK(kd_store_read(s, record, got));
    OK(kd_targets_sparse(got, "topk", NULL, &ids, &values, NULL, NULL));
    ck_assert_uint_eq(((uint32_t *)ids.data)[0], 10);
    NEAR(((float *)values.data)[0], -0.5, 0.06);
    ck_assert_uint_eq(((uint32_t *)ids.data)[2], 11);
    kd_store_free(s);
    import.max_unmapped = 0.01;
    FAILS(kd_store_writer_import(w, KD_IMPORT_OPENAI, lines, &import, &c), KD_ERR_MISMATCH, "1 of");
    /* JSON has no -Infinity; vLLM's server writes -9999 */
    char text[512];
    snprintf(text, sizeof text, "%s", vllm);
    memcpy(strstr(text, "-Infinity"), "-9999.0  ", 9);
    write_file(lines, text, strlen(text));
    OK(kd_store_writer_import(w, KD_IMPORT_VLLM, lines, &import, &c));
    ck_assert_int_eq(c.records, 1);
    ck_assert_int_eq(c.absent, 1);
    ck_assert_int_eq(c.entries, 3);
    write_file(lines, "{\"choices\": [{}]}\n", 18);
    FAILS(kd_store_writer_import(w, KD_IMPORT_OPENAI, lines, &import, &c), KD_ERR_FORMAT, "line 1");
    /* a flat file: k ids, k float16 */
    const uint8_t flat[12] = { 1, 0, 0, 0, 9, 0, 0, 0, 0, 0xb8, 0, 0xc0 };
    write_file(lines, flat, 12);
    import.k = 2;
    OK(kd_store_writer_import(w, KD_IMPORT_FLAT, lines, &import, &c));
    ck_assert_int_eq(c.entries, 2);
    write_file(lines, flat, 11);
    FAILS(kd_store_writer_import(w, KD_IMPORT_FLAT, lines, &import, &c), KD_ERR_FORMAT,
          "ends in the middle");
    kd_store_writer_free(w);
}
END_TEST

Suite *import_store_suite(void)
{
    Suite *suite = suite_create("import_store");
    TCase *tests = tcase_create("import_store");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, answers_of_servers_are_imported);
    suite_add_tcase(suite, tests);
    return suite;
}
