/* Texts of a generator: how they are drawn, where they end, where they go. */
#include "generatorkit.h"

static void with_vocabulary(char json[600], int size)
{
    const char *rest = strstr(config, ",\"hidden_size\"");
    snprintf(json, 600, "{\"model_type\":\"llama\",\"vocab_size\":%d%s", size, rest);
}

/* Pearson's chi-square of 4,000 first tokens (500 where tests are slow: KD_TEST_FEW) against the
 * probabilities that the filters leave. */
static void check_distribution(kd_context *ctx, kd_model *model, kd_sampling s,
                               const double *expected)
{
    kd_generator *g = make_generator(model, 64, 512, KD_FLOAT32);
    kd_generated text = { .struct_size = sizeof text };
    int32_t prompt[5] = { 1, 2, 3, 4, 5 }, counts[61] = { 0 };
    double chi = 0;
    int cells = -1;
    const int32_t draws = getenv("KD_TEST_FEW") ? 500 : 4000;
    (void)ctx;
    s.samples = draws;
    s.max_tokens = 1;
    s.seed = 11;
    OK(kd_generator_add(g, prompt, 5, &s, NULL));
    while (kd_generator_next(g, &text) == KD_OK) counts[text.ids[0]]++;
    double rest_expected = 0, rest = 0;
    for (int v = 0; v < 61; v++) {
        if (expected[v] == 0) ck_assert_int_eq(counts[v], 0);
        if (expected[v] * draws < 5) rest_expected += expected[v] * draws, rest += counts[v];
        else chi += pow(counts[v] - expected[v] * draws, 2) / (expected[v] * draws), cells++;
    }
    if (rest_expected >= 5) chi += pow(rest - rest_expected, 2) / rest_expected, cells++;
    ck_assert_msg(chi < cells + 4 * sqrt(2.0 * cells) + 4, "chi-square %g with %d degrees", chi,
                  cells);
    kd_generator_free(g);
}

START_TEST(draws_follow_the_filtered_distribution)
{
    kd_context *ctx = make_context(2);
    kd_model *model = make_model(ctx, config);
    kd_batch *batch;
    int32_t prompt[5] = { 1, 2, 3, 4, 5 };
    OK(kd_batch_create(&batch, ctx, NULL));
    float z[61];
    memcpy(z, last_logits(model, batch, prompt, 5), sizeof z);
    for (int kind = 0; kind < 6; kind++) {
        kd_sampling s = KD_SAMPLING_INIT;
        double p[61], sum = 0, max = -1e9;
        if (kind == 1) s.temperature = 0.5;
        if (kind == 2) s.top_k = 5;
        if (kind == 3) s.top_p = 0.6;
        if (kind == 4) s.min_p = 0.2;
        if (kind == 5)
            s.repetition_penalty = 3, s.top_k = 40, s.top_p = 0.9, s.min_p = 0.02,
            s.temperature = 1.5;
        for (int v = 0; v < 61; v++) {
            p[v] = z[v];
            if (kind == 5 && v >= 1 && v <= 5) p[v] = z[v] > 0 ? z[v] / 3 : z[v] * 3;
            max = fmax(max, p[v]);
        }
        for (int v = 0; v < 61; v++) p[v] = exp((p[v] - max) / s.temperature);
        int order[61];
        for (int v = 0; v < 61; v++) order[v] = v;
        for (int i = 0; i < 61; i++)
            for (int j = i + 1; j < 61; j++)
                if (p[order[j]] > p[order[i]]) {
                    int t = order[i];
                    order[i] = order[j];
                    order[j] = t;
                }
        for (int i = s.top_k ? s.top_k : 61; i < 61; i++) p[order[i]] = 0;
        double all = 0, mass = 0;
        for (int v = 0; v < 61; v++) all += p[v];
        for (int i = 0; i < 61 && s.top_p < 1; i++) {
            if (i && mass >= s.top_p * all) p[order[i]] = 0;
            mass += p[order[i]];
        }
        for (int v = 0; v < 61; v++)
            if (p[v] < s.min_p) p[v] = 0; /* the largest is 1 */
        for (int v = 0; v < 61; v++) sum += p[v];
        for (int v = 0; v < 61; v++) p[v] /= sum;
        check_distribution(ctx, model, s, p);
        s.draw = KD_DRAW_GUMBEL;
        check_distribution(ctx, model, s, p);
    }
    kd_batch_free(batch);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

static int32_t stop_after_four(void *user, int64_t request, int32_t sample, int32_t token,
                               const char *text)
{
    (void)request, (void)sample, (void)token, (void)text;
    return ++*(int *)user == 4;
}

START_TEST(texts_end_where_they_should)
{
    kd_context *ctx = make_context(1);
    char json[600];
    with_vocabulary(json, 265);
    kd_model *model = make_model(ctx, json);
    kd_tokenizer *tokenizer;
    kd_generator *g;
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    int32_t prompt[4] = { 5, 6, 7, 8 }, ids[30];
    int calls = 0;
    int64_t request;
    const char *path = scratch_path("generator.json");
    ck_assert(bytes_tokenizer(path, TEXT_CUT, TEXT_ADDED) == 0);
    OK(kd_tokenizer_load(&tokenizer, ctx, path));
    o.tokenizer = tokenizer;
    o.max_sequences = 2;
    OK(kd_generator_create(&g, model, &o));
    kd_tokenizer_free(tokenizer); /* the generator keeps it */
    s.max_tokens = 30;
    OK(kd_generator_add(g, prompt, 4, &s, &request));
    OK(kd_generator_next(g, &text));
    ck_assert_int_eq(text.reason, KD_STOP_LENGTH);
    ck_assert_int_eq(text.count, 30);
    memcpy(ids, text.ids, sizeof ids);
    char whole[300]; /* it may hold any byte */
    const int64_t bytes = text.text_bytes;
    ck_assert(bytes > 8 && bytes < 300);
    memcpy(whole, text.text, (size_t)bytes);
    s.stop_tokens = ids + 10;
    s.stop_token_count = 1;
    OK(kd_generator_add(g, prompt, 4, &s, NULL));
    OK(kd_generator_next(g, &text));
    ck_assert_int_eq(text.reason, KD_STOP_TOKEN);
    ck_assert(text.count <= 11 && text.ids[text.count - 1] == ids[10]);
    ck_assert(!memcmp(text.text, whole, (size_t)text.text_bytes));
    s.stop_token_count = 0;
    int64_t cut = 0;
    /* two characters that a C text can name */
    while (cut < bytes - 1 && !(whole[cut] > 32 && whole[cut + 1] > 32)) cut++;
    if (cut < bytes - 1) {
        char stop[3] = { whole[cut], whole[cut + 1], 0 };
        const char *stops[1] = { stop };
        s.stop_texts = stops;
        s.stop_text_count = 1;
        OK(kd_generator_add(g, prompt, 4, &s, NULL));
        OK(kd_generator_next(g, &text));
        ck_assert_int_eq(text.reason, KD_STOP_TEXT);
        ck_assert_int_eq(text.text_bytes, cut);
        s.stop_text_count = 0;
    }
    s.token = stop_after_four;
    s.user = &calls;
    OK(kd_generator_add(g, prompt, 4, &s, NULL));
    OK(kd_generator_next(g, &text));
    ck_assert_int_eq(text.reason, KD_STOP_HOST);
    ck_assert_int_eq(text.count, 4);
    s.token = NULL;
    s.samples = 5;
    OK(kd_generator_add(g, prompt, 4, &s, &request));
    OK(kd_generator_next(g, &text));
    OK(kd_generator_cancel(g, request));
    ck_assert_int_eq(kd_generator_next(g, &text), KD_END);
    FAILS(kd_generator_cancel(g, request), KD_ERR_NOT_FOUND, "neither waiting nor running");
    kd_generator_free(g);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

/* Four tokens, three steps, 64 beams: every text is looked at, so the best of all must come out;
 * one beam is greedy. */
START_TEST(beams_find_the_best_text)
{
    kd_context *ctx = make_context(1);
    char json[600];
    with_vocabulary(json, 4);
    kd_model *model = make_model(ctx, json);
    kd_generator *g = make_generator(model, 64, 512, KD_FLOAT32);
    kd_batch *batch;
    kd_beam_options o = KD_BEAM_OPTIONS_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    int32_t all[8] = { 1, 2, 3, 0, 1 }, greedy[3];
    double score, best = -1e9;
    OK(kd_batch_create(&batch, ctx, NULL));
    o.max_tokens = 3;
    o.beams = 64;
    OK(kd_generator_beam_search(g, all, 5, &o, &text, &score));
    for (int i = 0; i < 64; i++) {
        double sum = 0;
        for (int t = 0; t < 3; t++) {
            const float *z = last_logits(model, batch, all, 5 + t);
            all[5 + t] = i >> (2 * t) & 3;
            sum += z[all[5 + t]] - log(exp(z[0]) + exp(z[1]) + exp(z[2]) + exp(z[3]));
        }
        best = fmax(best, sum);
    }
    NEAR(score, best / 3, 1e-5);
    o.beams = 1;
    OK(kd_generator_beam_search(g, all, 5, &o, &text, &score));
    memcpy(greedy, text.ids, sizeof greedy);
    s.temperature = 0;
    s.max_tokens = 3;
    OK(kd_generator_add(g, all, 5, &s, NULL));
    FAILS(kd_generator_beam_search(g, all, 5, &o, &text, &score), KD_ERR_STATE, "no other prompt");
    OK(kd_generator_next(g, &text));
    ck_assert(!memcmp(greedy, text.ids, sizeof greedy));
    o.beams = 65;
    ck_assert_int_eq(kd_generator_next(g, &text), KD_END);
    FAILS(kd_generator_beam_search(g, all, 5, &o, &text, &score), KD_ERR_RANGE, "beams");
    kd_batch_free(batch);
    kd_generator_free(g);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

/* What a teacher wrote goes into a store as it came, and the store says about the text what the
 * live teacher says. */
START_TEST(texts_go_straight_into_a_store)
{
    kd_context *ctx = make_context(1);
    kd_model *model = make_model(ctx, config);
    kd_generator *g = make_generator(model, 1, 512, KD_FLOAT32);
    kd_store_writer *writer;
    kd_teacher *teacher;
    kd_batch *batch;
    kd_targets *targets;
    kd_store_options so = KD_STORE_OPTIONS_INIT;
    kd_store_field field = KD_STORE_FIELD_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    kd_array head, found, present, live;
    const char *path = scratch_path("generated.kdt"), *name;
    int32_t prompt[9];
    int64_t tokens[19], offsets[2] = { 0, 19 };
    uint64_t key[2];
    kd_array all = KD_ARRAY_1D(tokens, KD_INT64, 19), o = KD_ARRAY_1D(offsets, KD_INT64, 2),
             keys = KD_ARRAY_2D(key, KD_UINT64, 1, 2);
    fill_prompt(prompt, 9, 4);
    s.max_tokens = 10;
    s.keep_hidden = 1;
    OK(kd_generator_add(g, prompt, 9, &s, NULL));
    OK(kd_generator_next(g, &text));
    for (int i = 0; i < 19; i++) tokens[i] = i < 9 ? prompt[i] : text.ids[i - 9];
    OK(kd_store_key(ctx, &all, &key[0], &key[1]));
    remove(path);
    so.vocabulary = 61;
    so.align = KD_ALIGN_NEXT;
    field.kind = KD_STORE_HIDDEN;
    field.name = "hidden";
    field.width = 32;
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    OK(kd_model_tensor(model, count - 1, &name, &head));
    ck_assert_str_eq(name, "lm_head.weight");
    OK(kd_store_writer_create(&writer, ctx, path, &so, &field, 1));
    OK(kd_store_writer_set_head(writer, &head, KD_FLOAT32));
    OK(kd_store_writer_begin(writer, key[0], key[1], 0, 8, text.count));
    OK(kd_store_writer_put(writer, "hidden", &text.hidden));
    OK(kd_store_writer_commit(writer));
    OK(kd_store_writer_close(writer));
    kd_store_writer_free(writer);
    OK(kd_teacher_open(&teacher, ctx, path, NULL));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &o));
    OK(kd_batch_set(batch, "tokens", &all, NULL));
    OK(kd_batch_set_samples(batch, NULL, &keys, NULL));
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_targets_field(targets, "hidden", &found, &present));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "hidden", &live));
    for (int r = 0; r < 19; r++) ck_assert_int_eq(((uint8_t *)present.data)[r], r >= 8 && r < 18);
    kd_loss *loss;
    kd_loss_result result = { .struct_size = sizeof result };
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, NULL, NULL));
    /* the model against its own stored words */
    OK(kd_loss_forward(loss, model, batch, targets, NULL, &result));
    ck_assert_int_eq(result.rows[0], 10);
    ck_assert_msg(result.value >= 0 && result.value < 1e-2, "KL of a model to its own store: %g",
                  result.value);
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_teacher_free(teacher);
    kd_generator_free(g);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

/* A shared beginning that was computed before the weights changed would be stale, as would 8-bit
 * weights. */
START_TEST(a_refreshed_generator_sees_the_trained_model)
{
    kd_context *ctx = make_context(1);
    for (int eight = 0; eight < 2; eight++) {
        kd_model *model = make_model(ctx, config);
        kd_generator *g = make_generator(model, 1, 512, eight ? KD_INT8 : KD_FLOAT32), *fresh;
        kd_sampling s = KD_SAMPLING_INIT;
        kd_generated text = { .struct_size = sizeof text };
        kd_array p;
        int32_t prompt[70];
        float expected[8];
        s.max_tokens = 8;
        s.temperature = 0;
        fill_prompt(prompt, 70, 5);
        OK(kd_generator_add(g, prompt, 70, &s, NULL));
        FAILS(kd_generator_refresh(g), KD_ERR_STATE, "no prompt in progress");
        OK(kd_generator_next(g, &text));
        OK(kd_model_parameters(model, &p));
        for (int64_t i = 0; i < p.dims[0]; i += 3) ((float *)p.data)[i] *= 1.3f;
        OK(kd_generator_refresh(g));
        fresh = make_generator(model, 1, 512, eight ? KD_INT8 : KD_FLOAT32);
        OK(kd_generator_add(fresh, prompt, 70, &s, NULL));
        OK(kd_generator_next(fresh, &text));
        memcpy(expected, text.logprobs, sizeof expected);
        OK(kd_generator_add(g, prompt, 70, &s, NULL));
        OK(kd_generator_next(g, &text));
        ck_assert(!memcmp(expected, text.logprobs, sizeof expected));
        kd_generator_free(fresh);
        kd_generator_free(g);
        kd_model_free(model);
    }
    kd_context_free(ctx);
}
END_TEST

/* What on-policy terms learn from: texts drawn together have, token by token, the log-probabilities
 * of the pass that trains on them, in float32 and in 8 bits. */
START_TEST(log_probabilities_are_those_of_the_pass_that_learns)
{
    enum { TEXTS = 6, NEW = 20, MOST = TEXTS * 90 };
    kd_context *ctx = make_context(2);
    for (int eight = 0; eight < 2; eight++) {
        kd_model_options o = KD_MODEL_OPTIONS_INIT;
        kd_model *model;
        kd_sampling s = KD_SAMPLING_INIT;
        kd_generated text = { .struct_size = sizeof text };
        int64_t tokens[MOST], offsets[TEXTS + 1] = { 0 }, count[TEXTS];
        float logprobs[TEXTS][NEW];
        kd_batch *batch;
        kd_array z;
        o.frozen = eight;
        o.weights = eight ? KD_INT8 : KD_FLOAT32;
        OK(kd_model_create(&model, ctx, config, &o));
        kd_generator *g = make_generator(model, 3, 64, o.weights);
        s.temperature = 0.8;
        s.top_p = 0.9;
        s.max_tokens = NEW;
        for (int i = 0; i < TEXTS; i++) {
            int32_t prompt[70];
            s.seed = (uint64_t)i + 1;
            fill_prompt(prompt, 70, i);
            OK(kd_generator_add(g, prompt, 11 * (i + 1), &s, NULL));
        }
        for (int i = 0; i < TEXTS; i++) {
            int32_t prompt[70];
            int64_t at = offsets[i];
            OK(kd_generator_next(g, &text));
            const int64_t length = 11 * (text.request + 1);
            fill_prompt(prompt, 70, (int32_t)text.request);
            for (int64_t k = 0; k < length; k++) tokens[at++] = prompt[k];
            for (int64_t k = 0; k < text.count; k++) tokens[at++] = text.ids[k];
            memcpy(logprobs[i], text.logprobs, (size_t)text.count * sizeof(float));
            count[i] = text.count;
            offsets[i + 1] = at;
        }
        kd_array os = KD_ARRAY_1D(offsets, KD_INT64, TEXTS + 1),
                 ts = KD_ARRAY_1D(tokens, KD_INT64, offsets[TEXTS]);
        OK(kd_batch_create(&batch, ctx, NULL));
        OK(kd_batch_begin_packed(batch, &os));
        OK(kd_batch_set(batch, "tokens", &ts, NULL));
        OK(kd_model_forward(model, batch, eight ? KD_MODE_EVALUATE : KD_MODE_TRAIN));
        OK(kd_model_output(model, "logits", &z));
        for (int i = 0; i < TEXTS; i++)
            for (int64_t k = 0; k < count[i]; k++) {
                const int64_t row = offsets[i + 1] - count[i] + k;
                const float *x = (const float *)z.data + (row - 1) * 61;
                double most = x[0], sum = 0;
                for (int v = 1; v < 61; v++) most = fmax(most, x[v]);
                for (int v = 0; v < 61; v++) sum += exp(x[v] - most);
                NEAR(logprobs[i][k], x[tokens[row]] - most - log(sum), 1e-5);
            }
        kd_batch_free(batch);
        kd_generator_free(g);
        kd_model_free(model);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(generators_refuse_bad_input)
{
    kd_context *ctx = make_context(1);
    kd_model *model = make_model(ctx, config),
             *layers =
                 make_model(ctx, "{\"model_type\":\"mlp\",\"input_size\":2,\"num_labels\":2}");
    kd_generator *g, *none;
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_generator_info info = { .struct_size = sizeof info };
    kd_sampling s = KD_SAMPLING_INIT;
    int32_t prompt[300] = { 0 }, wrong[1] = { 61 };
    kd_array p;
    kd_generated text = { .struct_size = sizeof text };
    FAILS(kd_generator_create(&none, layers, NULL), KD_ERR_UNSUPPORTED, "not a language model");
    o.max_sequences = 2;
    o.cache_tokens = 128;
    OK(kd_generator_estimate_memory(model, &o, &info));
    ck_assert_int_eq(info.cache_bytes % 4, 0);
    ck_assert(info.cache_tokens >= 128);
    OK(kd_generator_create(&g, model, &o));
    FAILS(kd_generator_add(g, prompt, 0, NULL, NULL), KD_ERR_RANGE, "at least one token");
    FAILS(kd_generator_add(g, wrong, 1, NULL, NULL), KD_ERR_RANGE, "61");
    FAILS(kd_generator_add(g, prompt, 256, NULL, NULL), KD_ERR_RANGE, "positions");
    FAILS(kd_generator_add(g, prompt, 200, NULL, NULL), KD_ERR_RANGE, "cache");
    s.top_p = 0;
    FAILS(kd_generator_add(g, prompt, 1, &s, NULL), KD_ERR_RANGE, "top_p");
    s.top_p = 1;
    s.stop_texts = (const char *[]){ "x" };
    s.stop_text_count = 1;
    FAILS(kd_generator_add(g, prompt, 1, &s, NULL), KD_ERR_INVALID, "tokenizer");
    s.stop_text_count = 0;
    s.max_tokens = 5;
    OK(kd_generator_add(g, prompt, 3, &s, NULL));
    OK(kd_model_parameters(model, &p));
    const float kept = ((float *)p.data)[0];
    ((float *)p.data)[0] = NAN;
    FAILS(kd_generator_next(g, &text), KD_ERR_NONFINITE, "not finite");
    FAILS(kd_generator_beam_search(g, prompt, 1,
                                   &(kd_beam_options){ sizeof(kd_beam_options), 1, 3, -1, 1 },
                                   &text, NULL),
          KD_ERR_NONFINITE, "not finite");
    ((float *)p.data)[0] = kept;
    OK(kd_generator_add(g, prompt, 3, &s, NULL)); /* it goes on */
    OK(kd_generator_next(g, &text));
    ck_assert_int_eq(text.count, 5);
    o.weights = KD_FLOAT64;
    FAILS(kd_generator_create(&none, model, &o), KD_ERR_UNSUPPORTED, "weights");
    o.weights = KD_FLOAT32;
    o.cache = KD_INT16;
    FAILS(kd_generator_create(&none, model, &o), KD_ERR_UNSUPPORTED, "cache");
    kd_generator_free(g);
    kd_model_free(layers);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

Suite *generator_texts_suite(void)
{
    Suite *suite = suite_create("generator_texts");
    TCase *tests = tcase_create("generator_texts");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, draws_follow_the_filtered_distribution);
    tcase_add_test(tests, texts_end_where_they_should);
    tcase_add_test(tests, beams_find_the_best_text);
    tcase_add_test(tests, texts_go_straight_into_a_store);
    tcase_add_test(tests, a_refreshed_generator_sees_the_trained_model);
    tcase_add_test(tests, log_probabilities_are_those_of_the_pass_that_learns);
    tcase_add_test(tests, generators_refuse_bad_input);
    suite_add_tcase(suite, tests);
    return suite;
}
