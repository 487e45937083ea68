/* Keys and values of 8 bits: a quarter of the memory, near the float32 ones, and all that a
 * generator promises of its texts. */
#include "generatorkit.h"

enum { TOKENS = 24 };

typedef struct {
    int32_t ids[TOKENS];
    float logprobs[TOKENS];
} written;

static kd_model *model_of(kd_context *ctx, const char *type, const char *more)
{
    char json[600];
    snprintf(json, sizeof json, "{\"model_type\":\"%s\"%.*s%s}", type, (int)strlen(config) - 22,
             config + 21, more);
    return make_model(ctx, json);
}

/* One prompt's text among `others`; more than one sequence at once, steps of `rows` rows. */
static written write_among(kd_model *model, int32_t sequences, int32_t rows, int others)
{
    kd_generator *g = make_generator(model, sequences, rows, KD_FLOAT32);
    kd_generated text = { .struct_size = sizeof text };
    kd_sampling s = KD_SAMPLING_INIT;
    written w = { 0 };
    int32_t prompt[70];
    int64_t mine;
    fill_prompt(prompt, 70, 1000);
    s.seed = 5;
    s.max_tokens = TOKENS;
    OK(kd_generator_add(g, prompt, 41, &s, &mine));
    for (int i = 0; i < others; i++) {
        s.max_tokens = 3 + i % 17;
        fill_prompt(prompt, 70, i);
        OK(kd_generator_add(g, prompt, 1 + i * 7 % 70, &s, NULL));
    }
    while (kd_generator_next(g, &text) == KD_OK) {
        if (text.request != mine) continue;
        ck_assert_int_eq(text.count, TOKENS);
        memcpy(w.ids, text.ids, sizeof w.ids);
        memcpy(w.logprobs, text.logprobs, sizeof w.logprobs);
    }
    kd_generator_free(g);
    return w;
}

/* The widths of a head: a power of two, 4 x 3, 2 x 5; a window with sinks. */
static const char *const heads[] = { "", ",\"head_dim\":12", ",\"head_dim\":10",
                                     ",\"attention_sinks\":2,\"sliding_window\":9" };

START_TEST(texts_do_not_depend_on_others_or_threads)
{
    for (int32_t isa = KD_ISA_PORTABLE; isa <= KD_ISA_AVX512; isa++)
        for (int i = 0; i < 4; i++) {
            written first;
            for (int32_t threads = 1; threads <= 3; threads += 2) {
                kd_context *ctx = NULL;
                kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
                co.isa = isa;
                co.threads = threads;
                if (kd_context_create(&ctx, &co) == KD_ERR_UNSUPPORTED) continue;
                kd_model *model = model_of(ctx, i == 3 ? "mistral" : "llama", heads[i]);
                cache_of = KD_INT8;
                if (threads == 1) first = write_among(model, 1, 512, 0);
                const written again = write_among(model, 5, threads == 1 ? 7 : 64, 9);
                ck_assert(!memcmp(&first, &again, sizeof first));
                cache_of = KD_FLOAT32;
                const written other = write_among(model, 1, 512, 0);
                ck_assert(memcmp(first.logprobs, other.logprobs, sizeof first.logprobs));
                kd_model_free(model);
                kd_context_free(ctx);
            }
        }
}
END_TEST

/* ---- memory and numbers ---- */

/* Mean distance of the log-probabilities of the first tokens after some prompts from those of a
 * float32 cache. */
static double distance_of(kd_model *model, int32_t cache)
{
    float found[2][8];
    for (int k = 0; k < 2; k++) {
        cache_of = k ? cache : KD_FLOAT32;
        kd_generator *g = make_generator(model, 8, 512, KD_FLOAT32);
        cache_of = KD_FLOAT32;
        kd_generated text = { .struct_size = sizeof text };
        kd_sampling s = KD_SAMPLING_INIT;
        int32_t prompt[64];
        s.max_tokens = 1;
        s.temperature = 0;
        for (int i = 0; i < 8; i++) {
            fill_prompt(prompt, 64, i + 1);
            OK(kd_generator_add(g, prompt, 64, &s, NULL));
        }
        while (kd_generator_next(g, &text) == KD_OK) found[k][text.request] = text.logprobs[0];
        kd_generator_free(g);
    }
    double sum = 0;
    for (int i = 0; i < 8; i++) sum += fabs((double)(found[0][i] - found[1][i]));
    return sum / 8;
}

START_TEST(it_is_a_quarter_as_large_and_near)
{
    kd_context *ctx = make_context(1);
    for (int i = 0; i < 4; i++) {
        kd_model *model = model_of(ctx, i == 3 ? "mistral" : "llama", heads[i]);
        const double distance = distance_of(model, KD_INT8);
        ck_assert_msg(distance > 0 && distance < 0.02, "%g", distance);
        kd_model_free(model);
    }
    kd_model *model = model_of(ctx, "llama", ",\"head_dim\":64");
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_generator_info whole = { .struct_size = sizeof whole }, bytes = whole;
    OK(kd_generator_estimate_memory(model, &o, &whole));
    o.cache = KD_INT8;
    OK(kd_generator_estimate_memory(model, &o, &bytes));
    ck_assert_int_eq(bytes.cache_tokens, whole.cache_tokens);
    /* and 2 bytes of scale for a key and for a value, 2 layers of 2 heads */
    ck_assert_int_eq(bytes.cache_bytes, whole.cache_bytes / 4 + 2 * 2 * 4 * whole.cache_tokens);
    ck_assert(bytes.cache_bytes < .26 * (double)whole.cache_bytes);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

/* Keys of Qwen2 have biases in the hundreds: one channel would take all 8 bits, were it not spread
 * over the head. */
START_TEST(a_loud_channel_of_keys_does_little)
{
    kd_context *ctx = make_context(1);
    kd_model *model = model_of(ctx, "qwen2", ",\"head_dim\":64");
    kd_array bias;
    const char *name;
    int32_t count, found = 0;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        OK(kd_model_tensor(model, i, &name, &bias));
        if (!strstr(name, "k_proj.bias")) continue;
        for (int head = 0; head < 2; head++) ((float *)bias.data)[head * 64 + 31] = 300;
        found++;
    }
    ck_assert_int_eq(found, 2);
    const double distance = distance_of(model, KD_INT8);
    ck_assert_msg(distance < 0.35, "%g", distance);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

/* ---- blocks that are shared, copied, forgotten ---- */

/* One beam is the greedy text, and its last block is copied at each token, with its scales. */
START_TEST(a_beam_copies_blocks_with_their_scales)
{
    kd_context *ctx = make_context(1);
    kd_model *model = make_model(ctx, config);
    cache_of = KD_INT8;
    kd_generator *g = make_generator(model, 2, 512, KD_FLOAT32);
    cache_of = KD_FLOAT32;
    kd_generated text = { .struct_size = sizeof text };
    kd_sampling s = KD_SAMPLING_INIT;
    kd_beam_options o = KD_BEAM_OPTIONS_INIT;
    int32_t prompt[45], ids[12];
    double score, sum = 0;
    fill_prompt(prompt, 45, 3);
    o.beams = 1;
    o.max_tokens = 12;
    OK(kd_generator_beam_search(g, prompt, 45, &o, &text, &score));
    ck_assert_int_eq(text.count, 12);
    memcpy(ids, text.ids, sizeof ids);
    s.temperature = 0;
    s.max_tokens = 12;
    OK(kd_generator_add(g, prompt, 45, &s, NULL));
    OK(kd_generator_next(g, &text));
    ck_assert(!memcmp(ids, text.ids, sizeof ids));
    for (int i = 0; i < 12; i++) sum += text.logprobs[i];
    NEAR(score, sum / 12, 1e-6);
    kd_generator_free(g);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

/* A prompt that another began shares its blocks; after training nothing old is used; numbers that
 * are not finite are told, and a shorter text after them finds none in the blocks. */
START_TEST(blocks_are_shared_and_forgotten)
{
    kd_context *ctx = make_context(2);
    kd_model *model = make_model(ctx, config);
    cache_of = KD_INT8;
    kd_generator *g = make_generator(model, 2, 512, KD_FLOAT32);
    kd_generated text = { .struct_size = sizeof text };
    kd_generator_info info = { .struct_size = sizeof info };
    kd_sampling s = KD_SAMPLING_INIT;
    kd_array values;
    int32_t prompt[70];
    s.seed = 5;
    s.max_tokens = TOKENS;
    fill_prompt(prompt, 70, 1000);
    const written first = write_among(model, 1, 512, 0);
    OK(kd_model_parameters(model, &values));
    float *p = values.data;
    for (int round = 0; round < 3; round++) {
        OK(kd_generator_add(g, prompt, 41, &s, NULL));
        OK(kd_generator_next(g, &text));
        ck_assert(!memcmp(text.ids, first.ids, sizeof first.ids));
        ck_assert(!memcmp(text.logprobs, first.logprobs, sizeof first.logprobs));
        OK(kd_generator_get_info(g, &info));
        ck_assert_int_eq(info.shared_tokens > 0, round > 0);
        if (round < 1) continue;
        const float kept = p[prompt[0] * 32];
        p[prompt[0] * 32] = round == 1 ? NAN : 2 * kept + 1;
        OK(kd_generator_refresh(g));
        OK(kd_generator_add(g, prompt, 61, &s, NULL));
        if (round == 1) FAILS(kd_generator_next(g, &text), KD_ERR_NONFINITE, "not finite");
        else {
            OK(kd_generator_next(g, &text));
            ck_assert(memcmp(text.logprobs, first.logprobs, sizeof first.logprobs));
        }
        p[prompt[0] * 32] = kept;
        OK(kd_generator_refresh(g));
    }
    cache_of = KD_FLOAT32;
    kd_generator_free(g);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

Suite *eight_bit_cache_suite(void)
{
    Suite *suite = suite_create("eight_bit_cache");
    TCase *tests = tcase_create("eight_bit_cache");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, texts_do_not_depend_on_others_or_threads);
    tcase_add_test(tests, it_is_a_quarter_as_large_and_near);
    tcase_add_test(tests, a_loud_channel_of_keys_does_little);
    tcase_add_test(tests, a_beam_copies_blocks_with_their_scales);
    tcase_add_test(tests, blocks_are_shared_and_forgotten);
    suite_add_tcase(suite, tests);
    return suite;
}
