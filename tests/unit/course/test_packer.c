#include "textkit.h"
#include "unit.h"

static kd_packer *packer_of(kd_context *ctx, int64_t batch_tokens, int64_t max_tokens)
{
    kd_packer *p;
    kd_packer_options o = KD_PACKER_OPTIONS_INIT;
    o.batch_tokens = batch_tokens;
    o.max_tokens = max_tokens;
    OK(kd_packer_create(&p, ctx, NULL, &o));
    return p;
}

/* n texts of lengths 1 to 9 whose tokens tell text and place. */
static void add_texts(kd_packer *p, int n, int32_t task)
{
    for (int i = 0; i < n; i++) {
        int32_t ids[9];
        const uint64_t key[2] = { (uint64_t)i, (uint64_t)task };
        for (int j = 0; j < 9; j++) ids[j] = 1000 * task + 10 * i + j;
        OK(kd_packer_add_ids(p, ids, NULL, 1 + i % 9, key, task));
    }
}

START_TEST(every_text_comes_once_a_pass_and_batches_keep_to_their_size)
{
    kd_context *ctx = make_context(1);
    kd_packer *p = packer_of(ctx, 20, 100);
    kd_batch *batch;
    int seen[30] = { 0 }, given = 0;
    OK(kd_batch_create(&batch, ctx, NULL));
    FAILS(kd_packer_next(p, batch), KD_ERR_STATE, "with texts, got none");
    add_texts(p, 30, 0);
    while (given < 60) {
        kd_array keys, offsets, tokens;
        int64_t samples, rows;
        OK(kd_packer_next(p, batch));
        OK(kd_batch_get_counts(batch, &samples, &rows));
        OK(kd_batch_samples(batch, NULL, &keys, NULL));
        OK(kd_batch_offsets(batch, &offsets));
        OK(kd_batch_field(batch, "tokens", &tokens, NULL));
        ck_assert(rows <= 20 && rows >= 12);
        for (int64_t s = 0; s < samples && given < 60; s++, given++) {
            const int64_t i = (int64_t)((const uint64_t *)keys.data)[2 * s],
                          at = ((const int64_t *)offsets.data)[s];
            ck_assert_int_eq(((const int64_t *)tokens.data)[at], 10 * i);
            /* the second pass begins when the first is through */
            ck_assert_int_eq(seen[i]++, given / 30);
        }
    }
    kd_packer_free(p);
    p = packer_of(ctx, 1 << 20, 100); /* room for more than there is: each text once */
    add_texts(p, 30, 0);
    for (int i = 0; i < 3; i++) {
        int64_t samples;
        OK(kd_packer_next(p, batch));
        OK(kd_batch_get_counts(batch, &samples, NULL));
        ck_assert_int_eq(samples, 30);
    }
    kd_batch_free(batch);
    kd_packer_free(p);
    kd_context_free(ctx);
}
END_TEST

START_TEST(tasks_are_mixed_by_weight_and_temperature)
{
    kd_context *ctx = make_context(1);
    kd_batch *batch;
    OK(kd_batch_create(&batch, ctx, NULL));
    static const struct {
        double weights[3], temperature, share;
    } cases[] = { { { 1, 1, 1 }, 1, 0.1 },
                  { { 1, 1, 1 }, INFINITY, 0.5 },
                  { { 1, 1, 1 }, 2, 0.25 },
                  { { 1, 3, 1 }, INFINITY, 0.75 },
                  { { 1, 0, 1 }, 1, 0 } };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        kd_packer *p = packer_of(ctx, 50, 100);
        int32_t small, large;
        int64_t counts[3] = { 0 }, all = 0;
        OK(kd_packer_add_task(p, "small", 1, &small));
        OK(kd_packer_add_task(p, "large", 1, &large));
        FAILS(kd_packer_add_task(p, "small", 1, NULL), KD_ERR_INVALID, "already");
        add_texts(p, 20, small);
        add_texts(p, 180, large);
        OK(kd_packer_mix(p, cases[c].weights, 3, cases[c].temperature));
        for (int i = 0; i < 400; i++) {
            kd_array task, offsets;
            int64_t samples;
            OK(kd_packer_next(p, batch));
            OK(kd_batch_get_counts(batch, &samples, NULL));
            OK(kd_batch_field(batch, "task", &task, NULL));
            OK(kd_batch_offsets(batch, &offsets));
            for (int64_t s = 0; s < samples; s++, all++)
                counts[((const int64_t *)task.data)[((const int64_t *)offsets.data)[s]]]++;
        }
        NEAR((double)counts[small] / (double)all, cases[c].share, 0.03);
        kd_packer_free(p);
    }
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

START_TEST(a_packer_goes_on_from_its_state)
{
    kd_context *ctx = make_context(1);
    kd_packer *a = packer_of(ctx, 33, 100), *b = packer_of(ctx, 33, 100);
    kd_batch *batch;
    int64_t state[16], expected[33], rows;
    int32_t count = 16;
    kd_array tokens;
    OK(kd_batch_create(&batch, ctx, NULL));
    add_texts(a, 50, 0);
    add_texts(b, 50, 0);
    for (int i = 0; i < 23; i++) OK(kd_packer_next(a, batch));
    OK(kd_packer_get_state(a, state, &count));
    OK(kd_packer_next(a, batch));
    OK(kd_batch_get_counts(batch, NULL, &rows));
    OK(kd_batch_field(batch, "tokens", &tokens, NULL));
    memcpy(expected, tokens.data, (size_t)rows * sizeof *expected);
    OK(kd_packer_set_state(b, state, count));
    OK(kd_packer_next(b, batch));
    OK(kd_batch_field(batch, "tokens", &tokens, NULL));
    ck_assert_int_eq(memcmp(expected, tokens.data, (size_t)rows * sizeof *expected), 0);
    add_texts(b, 1, 0);
    FAILS(kd_packer_set_state(b, state, count), KD_ERR_MISMATCH, "50 texts");
    FAILS(kd_packer_set_state(b, state, 3), KD_ERR_MISMATCH, "numbers");
    kd_batch_free(batch);
    kd_packer_free(a);
    kd_packer_free(b);
    kd_context_free(ctx);
}
END_TEST

START_TEST(records_are_encoded_and_only_answers_are_learned)
{
    kd_context *ctx = make_context(1);
    const char *path = scratch_path("packer-tokenizer.json");
    kd_tokenizer *t;
    kd_packer *p;
    kd_packer_options o = KD_PACKER_OPTIONS_INIT;
    kd_packer_info info = { .struct_size = sizeof info };
    kd_record r = KD_RECORD_INIT;
    kd_batch *batch;
    kd_array answer, tokens;
    int64_t rows;
    ck_assert_int_eq(bytes_tokenizer(path, TEXT_CUT, TEXT_ADDED), 0);
    OK(kd_tokenizer_load(&t, ctx, path));
    OK(kd_batch_create(&batch, ctx, NULL));
    r.prompt = "2+2=";
    r.completion = "4!";
    for (int chat = 0; chat < 2; chat++) {
        o.chat = chat ? KD_CHAT_CHATML : KD_CHAT_PLAIN;
        o.end_token = 264;
        OK(kd_packer_create(&p, ctx, t, &o));
        OK(kd_packer_add(p, &r, 0));
        OK(kd_packer_next(p, batch));
        OK(kd_batch_get_counts(batch, NULL, &rows));
        OK(kd_batch_field(batch, "answer", &answer, NULL));
        OK(kd_batch_field(batch, "tokens", &tokens, NULL));
        OK(kd_packer_get_info(p, &info));
        const int64_t *learned = answer.data, *token = tokens.data;
        ck_assert_int_eq(info.answer_tokens, 3); /* '4', '!' and the end */
        int64_t sum = 0, last = 0;
        for (int64_t i = 0; i < rows; i++) {
            sum += learned[i];
            if (learned[i]) last = i;
        }
        ck_assert_int_eq(sum, 3);
        ck_assert_int_eq(token[last], 264);
        if (!chat) ck_assert(rows == 7 && last == 6 && learned[4] && learned[5]);
        else ck_assert(rows > 10 && learned[last - 1] && learned[last - 2]);
        r.completion = "";
        FAILS(kd_packer_add(p, &r, 0), KD_ERR_INVALID, "no answer");
        r.completion = "4!";
        OK(kd_packer_clear(p, 0));
        OK(kd_packer_get_info(p, &info));
        ck_assert(info.texts == 0 && info.tokens == 0 && info.answer_tokens == 0);
        kd_packer_free(p);
    }
    kd_batch_free(batch);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(recipes_have_the_published_numbers)
{
    kd_context *ctx = make_context(1);
    kd_recipe r = { .struct_size = sizeof r };
    kd_schedule *rate, *temperature;
    OK(kd_recipe_fill(&r, KD_RECIPE_R1, 7e9));
    NEAR(r.learning_rate, 8e-5, 1e-18);
    OK(kd_recipe_fill(&r, KD_RECIPE_R1, 1e5));
    NEAR(r.learning_rate, 1e-4, 1e-18);
    OK(kd_recipe_fill(&r, KD_RECIPE_MIXED, 20e9));
    ck_assert(r.learning_rate < 7e-5 && r.learning_rate > 6e-5 && r.soft_weight == 0.9);
    r.patience = 1;
    OK(kd_recipe_create_learning_rate(&rate, ctx, &r, 1000));
    OK(kd_recipe_create_temperature(&temperature, ctx, &r, 1000));
    NEAR(kd_schedule_value(temperature, 500), 1.5, 1e-12);
    ck_assert(kd_schedule_value(rate, 0) < r.learning_rate / 40);
    NEAR(kd_schedule_value(rate, 1000), r.learning_rate / 10, 1e-12);
    const double before = kd_schedule_value(rate, 500);
    for (int i = 0; i < 4; i++) OK(kd_schedule_report(rate, 2.0));
    NEAR(kd_schedule_value(rate, 500), before / 2, 1e-12);
    FAILS(kd_recipe_fill(&r, 9, 1), KD_ERR_RANGE, "recipe");
    kd_schedule_free(rate);
    kd_schedule_free(temperature);
    kd_context_free(ctx);
}
END_TEST

Suite *packer_suite(void)
{
    Suite *suite = suite_create("packer");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, every_text_comes_once_a_pass_and_batches_keep_to_their_size);
    tcase_add_test(tests, tasks_are_mixed_by_weight_and_temperature);
    tcase_add_test(tests, a_packer_goes_on_from_its_state);
    tcase_add_test(tests, records_are_encoded_and_only_answers_are_learned);
    tcase_add_test(tests, recipes_have_the_published_numbers);
    suite_add_tcase(suite, tests);
    return suite;
}
