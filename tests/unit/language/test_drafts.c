/* A draft changes how long a text takes, never the text. */
#include "generatorkit.h"

enum { PROMPTS = 10, MOST = 60 };

/* Smaller models with the same tokens: some ids fewer or more, fewer positions. */
static const char *const draft_configs[] = {
    "{\"model_type\":\"llama\",\"vocab_size\":61,\"hidden_size\":16,\"intermediate_size\":24,"
    "\"num_hidden_layers\":1,\"num_attention_heads\":2,\"max_position_embeddings\":256,"
    "\"initializer_range\":0.3}",
    "{\"model_type\":\"llama\",\"vocab_size\":50,\"hidden_size\":16,\"intermediate_size\":24,"
    "\"num_hidden_layers\":1,\"num_attention_heads\":2,\"max_position_embeddings\":256}",
    "{\"model_type\":\"qwen3\",\"vocab_size\":77,\"hidden_size\":16,\"intermediate_size\":24,"
    "\"num_hidden_layers\":1,\"num_attention_heads\":2,\"head_dim\":8,"
    "\"max_position_embeddings\":40,\"initializer_range\":0.3}",
};

typedef struct {
    int32_t sequences, rows, weights, cache, draft_tokens, lookup, always;
    kd_model *draft;
    int32_t stops; /* stops: a stop token, a host that ends some texts */
    double temperature;
} way;

/* All that texts tell, by request and sample. */
typedef struct {
    int32_t reason[PROMPTS][2], ids[PROMPTS][2][MOST];
    int64_t count[PROMPTS][2];
    float logprobs[PROMPTS][2][MOST], hidden[PROMPTS][2][MOST];
    kd_generator_info info;
} told;

static int32_t end_some(void *user, int64_t request, int32_t sample, int32_t token,
                        const char *text)
{
    (void)user, (void)sample, (void)text;
    return request % 3 == 1 && token % 7 == 3;
}

static kd_generator *generator_of(kd_model *model, const way *w)
{
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_generator *g;
    o.max_sequences = w->sequences;
    o.prefill_tokens = w->rows;
    o.weights = w->weights;
    o.cache = w->cache;
    o.cache_tokens = (int64_t)w->sequences * 128;
    o.draft = w->draft;
    o.draft_tokens = w->draft_tokens;
    o.lookup = w->lookup;
    o.always_draft = w->always;
    OK(kd_generator_create(&g, model, &o));
    return g;
}

static void write_all(kd_generator *g, const way *w, told *t)
{
    static const int32_t stop = 17;
    kd_generated text = { .struct_size = sizeof text };
    kd_status status;
    memset(t, 0, sizeof *t);
    t->info.struct_size = sizeof t->info;
    for (int32_t i = 0; i < PROMPTS; i++) {
        kd_sampling s = KD_SAMPLING_INIT;
        int32_t prompt[70];
        s.samples = 2;
        s.max_tokens = 1 + i * 53 % MOST;
        s.temperature = w->temperature;
        s.draw = KD_DRAW_GUMBEL;
        s.seed = (uint64_t)i + 1;
        s.keep_hidden = 1;
        if (i % 4 == 1) s.top_k = 9;
        if (i % 4 == 2) s.top_p = 0.8;
        if (i % 4 == 3) s.repetition_penalty = 1.2;
        s.stop_tokens = &stop;
        s.stop_token_count = w->stops;
        s.token = w->stops ? end_some : NULL;
        fill_prompt(prompt, 70, i % 5);
        for (int k = 0; k < 70 && i % 3 == 0; k++) prompt[k] = k % 6; /* for the look-up */
        OK(kd_generator_add(g, prompt, 1 + i * 7 % 64, &s, NULL));
    }
    while ((status = kd_generator_next(g, &text)) == KD_OK) {
        const int64_t r = text.request % PROMPTS, n = text.count;
        t->reason[r][text.sample] = text.reason + 1;
        t->count[r][text.sample] = n;
        memcpy(t->ids[r][text.sample], text.ids, (size_t)n * sizeof(int32_t));
        memcpy(t->logprobs[r][text.sample], text.logprobs, (size_t)n * sizeof(float));
        for (int64_t k = 0; k < n; k++)
            t->hidden[r][text.sample][k] = ((float *)text.hidden.data)[k * text.hidden.dims[1]];
    }
    ck_assert_int_eq(status, KD_END);
    OK(kd_generator_get_info(g, &t->info));
}

static void write_with(kd_model *model, const way *w, told *t)
{
    kd_generator *g = generator_of(model, w);
    write_all(g, w, t);
    kd_generator_free(g);
}

static void same_texts(const told *a, const told *b)
{
    ck_assert(!memcmp(a->reason, b->reason, sizeof a->reason));
    ck_assert(!memcmp(a->count, b->count, sizeof a->count));
    ck_assert(!memcmp(a->ids, b->ids, sizeof a->ids));
    ck_assert(!memcmp(a->logprobs, b->logprobs, sizeof a->logprobs));
    ck_assert(!memcmp(a->hidden, b->hidden, sizeof a->hidden));
}

static told without, with;

START_TEST(texts_are_the_same_with_and_without_a_draft)
{
    kd_context *ctx = make_context(2);
    kd_model *model = make_model(ctx, config), *drafts[4] = { NULL };
    for (int i = 0; i < 3; i++) drafts[i] = make_model(ctx, draft_configs[i]);
    drafts[3] = model;
    static const double temperatures[] = { 0, .6, 1, 1.5 };
    static const struct {
        int32_t sequences, rows, tokens, lookup, always, weights, cache;
    } ways[] = {
        { 1, 512, 4, 0, 1, KD_FLOAT32, KD_FLOAT32 }, { 8, 512, 1, 3, 1, KD_FLOAT32, KD_FLOAT16 },
        { 5, 16, 9, 0, 0, KD_FLOAT32, KD_FLOAT32 },  { 3, 64, 3, 2, 1, KD_INT8, KD_FLOAT32 },
        { 2, 9, 0, 1, 0, KD_FLOAT32, KD_BFLOAT16 },  { 4, 32, 5, 2, 1, KD_FLOAT32, KD_INT8 },
    };
    for (int i = 0; i < 6; i++)
        for (int t = 0; t < 4; t++) {
            way w = { .sequences = ways[i].sequences,
                      .rows = ways[i].rows,
                      .weights = ways[i].weights,
                      .cache = ways[i].cache };
            w.stops = (i + t) % 2;
            w.temperature = temperatures[t];
            write_with(model, &w, &without);
            w.draft_tokens = ways[i].tokens;
            w.lookup = ways[i].lookup;
            w.always = ways[i].always;
            w.draft = i == 4 ? NULL : drafts[(i + t) % 4];
            write_with(model, &w, &with);
            same_texts(&without, &with);
            ck_assert(with.info.tokens == without.info.tokens && without.info.drafted == 0);
            ck_assert(!w.always || with.info.drafted > 0);
            ck_assert(with.info.accepted <= with.info.drafted);
        }
    for (int i = 0; i < 4; i++) kd_model_free(drafts[i]);
    kd_context_free(ctx);
}
END_TEST

/* A model that is its own draft is always right, at every temperature; a step then writes
 * draft_tokens and one. */
START_TEST(an_equal_draft_is_always_right)
{
    kd_context *ctx = make_context(1);
    kd_model *model = make_model(ctx, config);
    for (int t = 0; t < 2; t++) {
        way w = { 1, 512, KD_FLOAT32, KD_FLOAT32, 4, 0, 1, model, 0, t };
        kd_generator *g = generator_of(model, &w);
        kd_sampling s = KD_SAMPLING_INIT;
        kd_generated text = { .struct_size = sizeof text };
        kd_generator_info info = { .struct_size = sizeof info };
        int32_t prompt[20];
        fill_prompt(prompt, 20, 2);
        s.max_tokens = 51;
        s.temperature = t;
        s.draw = KD_DRAW_GUMBEL;
        OK(kd_generator_add(g, prompt, 20, &s, NULL));
        OK(kd_generator_next(g, &text));
        OK(kd_generator_get_info(g, &info));
        ck_assert_int_eq(info.drafted, 40);
        ck_assert_int_eq(info.accepted, 40);
        ck_assert_int_eq(info.steps, 11); /* the prompt's, then 50 tokens, 5 a step */
        kd_generator_free(g);
    }
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

/* A greedy text of a small model comes to repeat itself: what it repeats is found. */
START_TEST(what_a_text_repeats_is_found)
{
    kd_context *ctx = make_context(1);
    kd_model *model = make_model(ctx, config);
    way w = { 1, 512, KD_FLOAT32, KD_FLOAT32, 4, 2, 1, NULL, 0, 0 };
    kd_generator *g = generator_of(model, &w);
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    kd_generator_info info = { .struct_size = sizeof info };
    int32_t prompt[4] = { 1, 2, 3, 4 };
    s.max_tokens = 120;
    s.temperature = 0;
    OK(kd_generator_add(g, prompt, 4, &s, NULL));
    OK(kd_generator_next(g, &text));
    OK(kd_generator_get_info(g, &info));
    ck_assert_msg(info.accepted > 20 && info.steps < 100, "%lld accepted, %lld steps",
                  (long long)info.accepted, (long long)info.steps);
    kd_generator_free(g);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

static int64_t peak_of(const way *w, told *t, int64_t *stated)
{
    kd_context *ctx = make_context(2);
    kd_model *model = make_model(ctx, config), *draft = make_model(ctx, draft_configs[0]);
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    kd_generator_info info = { .struct_size = sizeof info };
    way own = *w;
    own.draft = w->draft_tokens && !w->lookup ? draft : NULL;
    OK(kd_context_get_info(ctx, &before));
    kd_generator *g = generator_of(model, &own);
    OK(kd_generator_get_info(g, &info));
    *stated = info.draft_bytes;
    write_all(g, &own, t);
    OK(kd_context_get_info(ctx, &after));
    kd_generator_free(g);
    kd_model_free(draft);
    kd_model_free(model);
    kd_context_free(ctx);
    return (int64_t)(after.peak_bytes - before.bytes);
}

START_TEST(drafts_take_no_more_memory_than_is_told)
{
    for (int i = 0; i < 4; i++) {
        way w = { .sequences = i < 2 ? 8 : 1,
                  .rows = 64,
                  .weights = i % 2 ? KD_INT8 : KD_FLOAT32,
                  .cache = KD_FLOAT32 };
        int64_t stated;
        w.temperature = 1;
        const int64_t plain = peak_of(&w, &without, &stated);
        ck_assert_int_eq(stated, 0);
        w.draft_tokens = 6;
        w.always = 1;
        for (w.lookup = 0; w.lookup < 3; w.lookup += 2) {
            const int64_t more = peak_of(&w, &with, &stated) - plain;
            same_texts(&without, &with);
            ck_assert_msg(more <= stated, "%lld bytes, %lld stated", (long long)more,
                          (long long)stated);
        }
    }
}
END_TEST

/* Canceled prompts, a trained model and a trained draft: blocks are free again, nothing old is
 * used. */
START_TEST(a_drafting_generator_goes_on_after_cancel_and_refresh)
{
    kd_context *ctx = make_context(2);
    kd_model *model = make_model(ctx, config), *draft = make_model(ctx, draft_configs[0]);
    way w = { 4, 16, KD_INT8, KD_FLOAT32, 5, 0, 1, draft, 0, 1 };
    kd_generator *g = generator_of(model, &w);
    kd_generated text = { .struct_size = sizeof text };
    kd_sampling s = KD_SAMPLING_INIT;
    kd_array values[2];
    int32_t prompt[40];
    int64_t number;
    s.draw = KD_DRAW_GUMBEL;
    s.max_tokens = 30;
    s.samples = 3;
    fill_prompt(prompt, 40, 1);
    OK(kd_generator_add(g, prompt, 40, &s, &number));
    OK(kd_generator_next(g, &text));
    OK(kd_generator_cancel(g, number));
    ck_assert_int_eq(kd_generator_next(g, &text), KD_END);
    OK(kd_model_parameters(model, &values[0]));
    OK(kd_model_parameters(draft, &values[1]));
    for (int i = 0; i < 2; i++)
        for (int64_t k = 0; k < kd_array_count(&values[i]); k++)
            ((float *)values[i].data)[k] *= 0.9f;
    OK(kd_generator_refresh(g));
    for (int i = 0; i < 10; i++)
        OK(kd_generator_cancel(g, (kd_generator_add(g, prompt, 40, &s, &number), number)));
    way plain = { 4, 16, KD_INT8, KD_FLOAT32, 0, 0, 0, NULL, 0, 1 };
    write_with(model, &plain, &without);
    kd_generator_free(g);
    g = generator_of(model, &w);
    write_all(g, &w, &with);
    same_texts(&without, &with);
    kd_generator_free(g);
    kd_model_free(draft);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

START_TEST(drafts_refuse_bad_input)
{
    kd_context *ctx = make_context(1), *other = make_context(1);
    kd_model *model = make_model(ctx, config), *draft = make_model(ctx, draft_configs[0]);
    kd_model *foreign = make_model(other, draft_configs[0]);
    kd_model *layers =
        make_model(ctx, "{\"model_type\":\"mlp\",\"input_size\":2,\"num_labels\":2}");
    kd_model *large = make_model(ctx,
                                 "{\"model_type\":\"llama\",\"vocab_size\":123,\"hidden_size\":16,"
                                 "\"intermediate_size\":24,\"num_hidden_layers\":1,"
                                 "\"num_attention_heads\":2,\"max_position_embeddings\":32}");
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generator *g;
    const int32_t prompt[2] = { 1, 2 };
    o.draft = layers;
    FAILS(kd_generator_create(&g, model, &o), KD_ERR_UNSUPPORTED, "language model");
    o.draft = foreign;
    FAILS(kd_generator_create(&g, model, &o), KD_ERR_INVALID, "another context");
    o.draft = large;
    FAILS(kd_generator_create(&g, model, &o), KD_ERR_MISMATCH, "vocabulary");
    o.draft = draft;
    o.draft_tokens = 65;
    FAILS(kd_generator_create(&g, model, &o), KD_ERR_RANGE, "draft_tokens");
    o.draft_tokens = 2;
    o.lookup = -1;
    FAILS(kd_generator_create(&g, model, &o), KD_ERR_RANGE, "lookup");
    o.lookup = 0;
    o.always_draft = 2;
    FAILS(kd_generator_create(&g, model, &o), KD_ERR_INVALID, "always_draft");
    o.always_draft = 0;
    OK(kd_generator_create(&g, model, &o));
    FAILS(kd_generator_add(g, prompt, 2, &s, NULL), KD_ERR_INVALID, "KD_DRAW_GUMBEL");
    s.temperature = 0; /* greedy texts need no noise */
    OK(kd_generator_add(g, prompt, 2, &s, NULL));
    s.draw = 2;
    FAILS(kd_generator_add(g, prompt, 2, &s, NULL), KD_ERR_INVALID, "draw");
    kd_generator_free(g);
    kd_model_free(large);
    kd_model_free(layers);
    kd_model_free(foreign);
    kd_model_free(draft);
    kd_model_free(model);
    kd_context_free(other);
    kd_context_free(ctx);
}
END_TEST

Suite *drafts_suite(void)
{
    Suite *suite = suite_create("drafts");
    TCase *tests = tcase_create("drafts");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_equal_draft_is_always_right);
    tcase_add_test(tests, what_a_text_repeats_is_found);
    tcase_add_test(tests, a_drafting_generator_goes_on_after_cancel_and_refresh);
    tcase_add_test(tests, drafts_refuse_bad_input);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_set_timeout(slow, 60);
    tcase_add_test(slow, texts_are_the_same_with_and_without_a_draft);
    tcase_add_test(slow, drafts_take_no_more_memory_than_is_told);
    suite_add_tcase(suite, slow);
    return suite;
}
