/* Where a server's distributions stand: each speaks of the token that it was asked for, whether the
 * line has the prompt or not. */
#include "unit.h"

#include <unistd.h>

enum { V = 40, ANSWER = 6, LAST = 39 };

static const int64_t answer[ANSWER] = { 3, 11, 5, 8, 2, 30 };

static kd_context *ctx;
static kd_targets *got;
static int32_t warnings;

static void count_warning(void *user, int32_t level, const char *line)
{
    (void)user;
    warnings += level == KD_LOG_WARNING && strstr(line, "prompt_token_ids") != NULL;
}

static void setup(void)
{
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_logger logger = { .struct_size = sizeof logger,
                         .level = KD_LOG_WARNING,
                         .log = count_warning };
    o.logger = &logger;
    warnings = 0;
    OK(kd_context_create(&ctx, &o));
    OK(kd_targets_create(&got, ctx, NULL));
}

static void teardown(void)
{
    kd_targets_free(got);
    kd_context_free(ctx);
}

/* A line of each form, in which every row's likeliest entry is the answer's token. */
static void put(char *to, const char *format, int64_t count, const char *between)
{
    for (int64_t i = 0; i < count; i++) {
        to += sprintf(to, "%s", i ? between : "");
        to += sprintf(to, format, (int)answer[i], (int)answer[i]);
    }
}

static void write_line(char *line, int32_t form, int64_t count, const char *prompt)
{
    char rows[2000], more[2000];
    if (form == KD_IMPORT_OPENAI) {
        put(rows,
            "{\"token\":\"token_id:%d\",\"logprob\":-0.1,\"top_logprobs\":[{\"token\":\"token_id:%"
            "d\",\"logprob\":-0.1}]}",
            count, ",");
        sprintf(line, "{%s\"choices\":[{\"logprobs\":{\"content\":[%s]}}]}", prompt, rows);
    } else if (form == KD_IMPORT_LLAMA_CPP) {
        put(rows,
            "{\"id\":%d,\"token\":\"x\",\"logprob\":-0.1,\"top_logprobs\":[{\"id\":%d,\"token\":"
            "\"x\",\"logprob\":-0.1}]}",
            count, ",");
        sprintf(line, "{%s\"completion_probabilities\":[%s]}", prompt, rows);
    } else if (form == KD_IMPORT_SGLANG) {
        put(rows, "[-0.1,%d,null]", count, ",");
        sprintf(line, "{%s\"meta_info\":{\"output_token_logprobs\":[%s]}}", prompt, rows);
    } else {
        put(rows, "{\"id\":%d,\"text\":\"x\",\"logprob\":-0.1}", count, ",");
        put(more, "[{\"id\":%d,\"text\":\"x\",\"logprob\":-0.1}]", count, ",");
        sprintf(line, "{%s\"details\":{\"tokens\":[%s],\"top_tokens\":[%s]}}", prompt, rows, more);
    }
}

static kd_teacher *import(int32_t form, int64_t count, const char *prompt, int32_t align)
{
    const char *path = scratch_path("placed.kdt"), *lines = scratch_path("placed.jsonl");
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_store_writer *w;
    kd_teacher *teacher;
    char line[6000];
    write_line(line, form, count, prompt);
    write_file(lines, line, strlen(line));
    o.vocabulary = V;
    o.align = align;
    f.kind = KD_STORE_TOPK;
    f.name = "logits";
    unlink(path);
    OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
    OK(kd_store_writer_import(w, form, lines, NULL, NULL));
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    OK(kd_teacher_open(&teacher, ctx, path, NULL));
    return teacher;
}

/* One sample of `front` prompt tokens and the answer, under the key of `keyed` of its last
 * tokens. */
static kd_status read_text(kd_teacher *teacher, int64_t front, int64_t count, int64_t keyed)
{
    int64_t tokens[ANSWER + 4], ends[2] = { 0, front + count };
    uint64_t key[2];
    kd_batch *batch;
    for (int64_t i = 0; i < front; i++) tokens[i] = LAST - (front - 1 - i);
    memcpy(tokens + front, answer, (size_t)count * sizeof *answer);
    const kd_array es = KD_ARRAY_1D(ends, KD_INT64, 2),
                   ts = KD_ARRAY_1D(tokens, KD_INT64, front + count);
    const kd_array ks = KD_ARRAY_2D(key, KD_UINT64, 1, 2),
                   of = KD_ARRAY_1D(tokens + front + count - keyed, KD_INT64, keyed);
    OK(kd_store_key(ctx, &of, &key[0], &key[1]));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &es));
    OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    const kd_status status = kd_teacher_read(teacher, batch, got);
    kd_batch_free(batch);
    return status;
}

/* Every row from `from` on says the token that follows it, or its own; those before say nothing. */
static void expect_rows(int64_t front, int64_t count, int64_t from, int64_t ahead)
{
    kd_array offs, ids, present;
    OK(kd_targets_sparse(got, "logits", &offs, &ids, NULL, NULL, &present));
    const int64_t *o = offs.data;
    for (int64_t r = 0; r < front + count; r++) {
        const int there = r >= from && r + ahead < front + count;
        ck_assert_int_eq(((uint8_t *)present.data)[r], there);
        if (there) ck_assert_int_eq(((uint32_t *)ids.data)[o[r]], answer[r + ahead - front]);
    }
}

static const int32_t forms[] = { KD_IMPORT_OPENAI, KD_IMPORT_LLAMA_CPP, KD_IMPORT_SGLANG,
                                 KD_IMPORT_TGI };

START_TEST(after_a_prompt_the_row_before_the_answer_speaks_of_its_first_token)
{
    kd_teacher *teacher =
        import(forms[_i], ANSWER, "\"prompt_token_ids\":[37,38,39],", KD_ALIGN_NEXT);
    OK(read_text(teacher, 3, ANSWER, ANSWER + 3));
    expect_rows(3, ANSWER, 2, 1);
    ck_assert_int_eq(warnings, 0);
    kd_teacher_free(teacher);
}
END_TEST

START_TEST(without_the_prompt_position_0_is_its_last_token)
{
    for (int64_t count = 1; count <= ANSWER; count++) {
        kd_teacher *teacher = import(forms[_i], count, "", KD_ALIGN_NEXT);
        OK(read_text(teacher, 1, count, count));
        expect_rows(1, count, 0, 1);
        kd_teacher_free(teacher);
    }
    ck_assert_int_eq(warnings, ANSWER);
}
END_TEST

START_TEST(without_the_prompt_the_answer_alone_is_another_text)
{
    for (int64_t count = 5; count <= ANSWER; count++) {
        kd_teacher *teacher = import(forms[_i], count, "", KD_ALIGN_NEXT);
        FAILS(read_text(teacher, 0, count, count), KD_ERR_MISMATCH, "not the tokens");
        kd_teacher_free(teacher);
    }
}
END_TEST

START_TEST(rows_of_their_own_tokens_need_no_prompt)
{
    kd_teacher *teacher = import(forms[_i], ANSWER, "", KD_ALIGN_SAME);
    OK(read_text(teacher, 0, ANSWER, ANSWER));
    expect_rows(0, ANSWER, 0, 0);
    ck_assert_int_eq(warnings, 0);
    kd_teacher_free(teacher);
}
END_TEST

Suite *import_place_suite(void)
{
    Suite *suite = suite_create("import_place");
    TCase *tests = tcase_create("all");
    const int count = sizeof forms / sizeof *forms;
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, after_a_prompt_the_row_before_the_answer_speaks_of_its_first_token,
                        0, count);
    tcase_add_loop_test(tests, without_the_prompt_position_0_is_its_last_token, 0, count);
    tcase_add_loop_test(tests, without_the_prompt_the_answer_alone_is_another_text, 0, count);
    tcase_add_loop_test(tests, rows_of_their_own_tokens_need_no_prompt, 0, count);
    suite_add_tcase(suite, tests);
    return suite;
}
