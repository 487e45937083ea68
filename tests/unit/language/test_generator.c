/* A generator computes what the model's own pass does, whoever else is in the batch. */
#include "generatorkit.h"

/* The text of one prompt among `others` that come and go. */
static void run_among(kd_model *model, int32_t sequences, int32_t rows, int32_t weights, int others,
                      int32_t ids[24], float logprobs[24])
{
    kd_generator *g = make_generator(model, sequences, rows, weights);
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    int32_t prompt[70];
    int64_t mine = -1, found = 0;
    s.seed = 5;
    for (int i = 0; i <= others; i++) {
        s.max_tokens = i == others / 2 ? 24 : 3 + i % 29;
        fill_prompt(prompt, 70, i == others / 2 ? 1000 : i);
        OK(kd_generator_add(g, prompt, i == others / 2 ? 41 : 1 + i * 7 % 70, &s,
                            i == others / 2 ? &mine : NULL));
    }
    kd_status status;
    while ((status = kd_generator_next(g, &text)) == KD_OK) {
        if (text.request != mine) continue;
        ck_assert_int_eq(text.count, 24);
        memcpy(ids, text.ids, 24 * sizeof *ids);
        memcpy(logprobs, text.logprobs, 24 * sizeof *logprobs);
        found++;
    }
    ck_assert_int_eq(status, KD_END);
    ck_assert_int_eq(found, 1);
    kd_generator_free(g);
}

START_TEST(a_text_does_not_depend_on_the_others)
{
    kd_context *ctx = make_context(1), *two = make_context(2);
    kd_model *model = make_model(ctx, config), *same = make_model(two, config);
    static const struct {
        int32_t sequences, rows, others;
    } ways[] = { { 2, 512, 1 }, { 31, 512, 30 }, { 32, 512, 90 }, { 32, 7, 60 }, { 5, 64, 40 } };
    for (int weights = 0; weights < 2; weights++) {
        int32_t alone[24], ids[24];
        float logprobs[24], again[24];
        run_among(model, 1, 512, weights ? KD_INT8 : KD_FLOAT32, 0, alone, logprobs);
        for (size_t i = 0; i < (getenv("KD_TEST_FEW") ? 2 : sizeof ways / sizeof *ways); i++) {
            run_among(i % 2 ? model : same, ways[i].sequences, ways[i].rows,
                      weights ? KD_INT8 : KD_FLOAT32, ways[i].others, ids, again);
            ck_assert(!memcmp(alone, ids, sizeof ids));
            ck_assert(!memcmp(logprobs, again, sizeof again));
        }
    }
    kd_model_free(model);
    kd_model_free(same);
    kd_context_free(two);
    kd_context_free(ctx);
}
END_TEST

/* The first token behind a prompt of some blocks, and its log-probability. */
static float first_logprob(kd_model *model, int32_t cache, int64_t *bytes)
{
    int32_t prompt[150];
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    kd_generator_info info = { .struct_size = sizeof info };
    cache_of = cache;
    kd_generator *g = make_generator(model, 1, 512, KD_FLOAT32);
    cache_of = KD_FLOAT32;
    fill_prompt(prompt, 150, 4);
    s.max_tokens = 1;
    s.seed = 3;
    OK(kd_generator_get_info(g, &info));
    *bytes = info.cache_bytes;
    OK(kd_generator_add(g, prompt, 150, &s, NULL));
    OK(kd_generator_next(g, &text));
    const float logprob = text.logprobs[0];
    kd_generator_free(g);
    return logprob;
}

START_TEST(a_cache_of_16_bits_is_half_as_large_and_near)
{
    static const char *const more[] = { "", ",\"head_dim\":10",
                                        ",\"attention_sinks\":2,\"sliding_window\":9" };
    for (int32_t isa = KD_ISA_PORTABLE; isa <= KD_ISA_AVX512; isa++)
        for (int i = 0; i < 3; i++) {
            kd_context *ctx = NULL;
            kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
            char json[600];
            int64_t whole, bytes;
            int32_t alone[24], ids[24];
            float logprobs[24], again[24];
            co.isa = isa;
            co.threads = 2;
            if (kd_context_create(&ctx, &co) == KD_ERR_UNSUPPORTED) continue;
            snprintf(json, sizeof json, "{\"model_type\":\"%s\"%.*s%s}",
                     i == 2 ? "mistral" : "llama", (int)strlen(config) - 22, config + 21, more[i]);
            kd_model *model = make_model(ctx, json);
            const float exact = first_logprob(model, KD_FLOAT32, &whole),
                        half = first_logprob(model, KD_FLOAT16, &bytes);
            ck_assert_int_eq(2 * bytes, whole);
            const float brain = first_logprob(model, KD_BFLOAT16, &bytes);
            ck_assert_msg(half != exact && fabsf(half - exact) < 4e-3f && brain != exact &&
                              fabsf(brain - exact) < 4e-2f,
                          "%g, float16 %g, bfloat16 %g", (double)exact, (double)half,
                          (double)brain);
            cache_of = KD_FLOAT16;
            run_among(model, 1, 512, KD_FLOAT32, 0, alone, logprobs);
            run_among(model, 5, 64, KD_FLOAT32, 12, ids, again);
            cache_of = KD_FLOAT32;
            ck_assert(!memcmp(alone, ids, sizeof ids) && !memcmp(logprobs, again, sizeof again));
            kd_model_free(model);
            kd_context_free(ctx);
        }
}
END_TEST

/* Logits of 8-bit products are near those of float32 on every instruction set, and training with
 * them is refused. */
START_TEST(eight_bits_are_near_float32)
{
    static const int32_t sets[] = { KD_ISA_AUTO, KD_ISA_AVX2, KD_ISA_PORTABLE };
    char json[600];
    snprintf(json, sizeof json, "%s", config);
    strcpy(strstr(json, ",\"initializer_range\""), "}"); /* the default: .02 */
    for (int i = 0; i < 3; i++) {
        kd_context *ctx = NULL;
        kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
        kd_model_options o = KD_MODEL_OPTIONS_INIT;
        kd_model *model, *eight;
        kd_batch *batch;
        int32_t prompt[30];
        float z[61];
        double error = 0, size = 0;
        co.isa = sets[i];
        co.seed = 7;
        if (kd_context_create(&ctx, &co) == KD_ERR_UNSUPPORTED) continue;
        o.frozen = 1;
        model = make_model(ctx, json);
        o.weights = KD_INT8;
        OK(kd_model_create(&eight, ctx, json, &o));
        fill_prompt(prompt, 30, 2);
        OK(kd_batch_create(&batch, ctx, NULL));
        memcpy(z, last_logits(model, batch, prompt, 30), sizeof z);
        const float *y = last_logits(eight, batch, prompt, 30);
        for (int v = 0; v < 61; v++) error += pow(y[v] - z[v], 2), size += pow(z[v], 2);
        ck_assert_msg(error > 0 && sqrt(error / size) < 0.05, "set %d: relative error %g", sets[i],
                      sqrt(error / size));
        kd_batch_free(batch);
        kd_model_free(eight);
        kd_model_free(model);
        o.frozen = 0;
        FAILS(kd_model_create(&eight, ctx, json, &o), KD_ERR_UNSUPPORTED, "frozen");
        o.frozen = 1;
        FAILS(kd_model_create(&eight, ctx,
                              "{\"model_type\":\"mlp\",\"input_size\":2,\"num_labels\":2}", &o),
              KD_ERR_UNSUPPORTED, "language models");
        kd_context_free(ctx);
    }
}
END_TEST

/* With and without windows and sinks, norms of q and k, biases. */
START_TEST(greedy_text_is_what_the_models_own_pass_says)
{
    static const char *const more[] = {
        "", ",\"attention_bias\":true,\"mlp_bias\":true,\"head_dim\":10",
        ",\"attention_sinks\":2,\"sliding_window\":9,\"layer_types\":[\"sliding_attention\",\"full_"
        "attention\"]"
    };
    kd_context *ctx = make_context(2);
    for (int i = 0; i < 4; i++) {
        char json[600];
        snprintf(json, sizeof json, "%.*s%s}", (int)strlen(config) - 1, config,
                 i < 3 ? more[i] : ",\"head_dim\":12");
        if (i == 3) memcpy(strstr(json, "llama"), "qwen3", 5);
        kd_model *model = make_model(ctx, json);
        kd_generator *g = make_generator(model, 2, 512, KD_FLOAT32);
        kd_batch *batch;
        kd_sampling s = KD_SAMPLING_INIT;
        kd_generated text = { .struct_size = sizeof text };
        int32_t all[100];
        s.temperature = 0;
        s.max_tokens = 50;
        s.keep_hidden = 1;
        fill_prompt(all, 20, 3);
        OK(kd_batch_create(&batch, ctx, NULL));
        OK(kd_generator_add(g, all, 20, &s, NULL));
        OK(kd_generator_next(g, &text));
        ck_assert_int_eq(text.count, 50);
        ck_assert(text.hidden.dims[0] == 50 && text.hidden.dims[1] == 32);
        for (int t = 0; t < 50; t++) {
            const float *z = last_logits(model, batch, all, 20 + t);
            kd_array hidden;
            double sum = 0;
            int best = 0;
            for (int v = 1; v < 61; v++) best = z[v] > z[best] ? v : best;
            for (int v = 0; v < 61; v++) sum += exp(z[v] - z[best]);
            ck_assert_int_eq(text.ids[t], best);
            NEAR(text.logprobs[t], -log(sum), 1e-4);
            OK(kd_model_output(model, "hidden", &hidden));
            for (int k = 0; k < 32; k++)
                NEAR(((float *)text.hidden.data)[t * 32 + k],
                     ((float *)hidden.data)[(20 + t - 1) * 32 + k], 1e-4);
            all[20 + t] = text.ids[t];
        }
        kd_batch_free(batch);
        kd_generator_free(g);
        kd_model_free(model);
    }
    kd_context_free(ctx);
}
END_TEST

/* Ten prompts of 60 tokens, 64 rows of prompts a step: ten steps at least before the last one's
 * first token. */
START_TEST(a_step_computes_no_more_of_prompts_than_was_asked)
{
    kd_context *ctx = make_context(1);
    kd_model *model = make_model(ctx, config);
    kd_generator *g = make_generator(model, 10, 64, KD_FLOAT32);
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    kd_generator_info info = { .struct_size = sizeof info };
    int32_t prompt[60];
    s.max_tokens = 1;
    for (int i = 0; i < 10; i++) {
        fill_prompt(prompt, 60, i);
        OK(kd_generator_add(g, prompt, 60, &s, NULL));
    }
    for (int i = 0; i < 10; i++) OK(kd_generator_next(g, &text));
    OK(kd_generator_get_info(g, &info));
    ck_assert_int_eq(info.steps, 10); /* 600 rows, 64 a step */
    kd_generator_free(g);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

START_TEST(prompts_that_begin_alike_share_the_work)
{
    kd_context *ctx = make_context(1);
    kd_model *model = make_model(ctx, config);
    kd_generator *g = make_generator(model, 8, 512, KD_FLOAT32);
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    kd_generator_info info = { .struct_size = sizeof info };
    int32_t prompt[100], first[3][10];
    s.max_tokens = 10;
    s.samples = 3;
    fill_prompt(prompt, 100, 1);
    OK(kd_generator_add(g, prompt, 100, &s, NULL));
    for (int i = 0; i < 3; i++) {
        OK(kd_generator_next(g, &text));
        memcpy(first[text.sample], text.ids, sizeof first[0]);
    }
    ck_assert(memcmp(first[0], first[1], sizeof first[0]) &&
              memcmp(first[0], first[2], sizeof first[0]));
    OK(kd_generator_get_info(g, &info));
    ck_assert(info.shared_tokens >= 2 * 64 && info.prompt_tokens + info.shared_tokens == 300);
    /* the blocks are still known, and the texts the same */
    OK(kd_generator_add(g, prompt, 100, &s, NULL));
    for (int i = 0; i < 3; i++) {
        OK(kd_generator_next(g, &text));
        ck_assert(!memcmp(first[text.sample], text.ids, sizeof first[0]));
    }
    kd_generator_free(g);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

Suite *generator_suite(void)
{
    Suite *suite = suite_create("generator");
    TCase *tests = tcase_create("generator");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_text_does_not_depend_on_the_others);
    tcase_add_test(tests, a_cache_of_16_bits_is_half_as_large_and_near);
    tcase_add_test(tests, eight_bits_are_near_float32);
    tcase_add_test(tests, greedy_text_is_what_the_models_own_pass_says);
    tcase_add_test(tests, a_step_computes_no_more_of_prompts_than_was_asked);
    tcase_add_test(tests, prompts_that_begin_alike_share_the_work);
    suite_add_tcase(suite, tests);
    return suite;
}
