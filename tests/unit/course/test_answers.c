#define _GNU_SOURCE
#include "textkit.h"
#include "unit.h"

static const char config[] =
    "{\"model_type\":\"llama\",\"vocab_size\":265,\"hidden_size\":32,\"intermediate_size\":40,"
    "\"num_hidden_layers\":1,\"num_attention_heads\":4,"
    "\"num_key_value_heads\":2,\"max_position_embeddings\":128,\"initializer_range\":0.3}";

typedef struct {
    kd_context *ctx;
    kd_tokenizer *tokenizer;
    kd_model *model;
    kd_generator *generator;
    kd_record_reader *prompts;
} kit;

static void make_kit(kit *k, int prompts)
{
    const char *path = scratch_path("answers-tokenizer.json");
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    char lines[8192] = "";
    k->ctx = make_context(1);
    ck_assert_int_eq(bytes_tokenizer(path, TEXT_CUT, TEXT_ADDED), 0);
    OK(kd_tokenizer_load(&k->tokenizer, k->ctx, path));
    OK(kd_model_create(&k->model, k->ctx, config, NULL));
    o.max_sequences = 5;
    o.tokenizer = k->tokenizer;
    OK(kd_generator_create(&k->generator, k->model, &o));
    for (int i = 0; i < prompts; i++)
        sprintf(lines + strlen(lines), "{\"prompt\":\"%d+1=\",\"expected\":\"%d\",\"kept\":true}\n",
                i, i + 1);
    OK(kd_record_reader_open_text(&k->prompts, k->ctx, lines, -1, NULL));
}

static void free_kit(kit *k)
{
    kd_record_reader_free(k->prompts);
    kd_generator_free(k->generator);
    kd_model_free(k->model);
    kd_tokenizer_free(k->tokenizer);
    kd_context_free(k->ctx);
}

static int32_t stop_at(void *user, const kd_answers_progress *p)
{
    ck_assert_uint_eq(p->struct_size, sizeof *p);
    return p->done >= *(int64_t *)user;
}

static kd_answers_options sampled(const kd_sampling *s)
{
    kd_answers_options o;
    static kd_verify_options verify = KD_VERIFY_OPTIONS_INIT;
    kd_answers_options_init(&o, sizeof o);
    o.samples = 3;
    o.window = 4;
    o.chat = KD_CHAT_PLAIN;
    o.sampling = s;
    o.verify = &verify;
    o.teacher = "tiny";
    return o;
}

/* Stopped after some answers, or torn in the middle of a line, a file goes on to the bytes of an
 * unbroken run. */
START_TEST(collecting_goes_on_to_the_same_bytes)
{
    kit k;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_answers_progress done = { .struct_size = sizeof done };
    size_t whole_size, size;
    make_kit(&k, 20);
    s.max_tokens = 12;
    kd_answers_options o = sampled(&s);
    const char *whole = scratch_path("answers-whole.jsonl"),
               *broken = scratch_path("answers-broken.jsonl");
    remove(whole);
    remove(broken);
    OK(kd_answers_collect(k.ctx, k.generator, k.prompts, whole, &o, &done));
    ck_assert(done.done == 60 && done.total == 60 && done.tokens > 60);
    char *expected = read_whole(whole, &whole_size);
    ck_assert(memmem(expected, whole_size, "\"teacher\": \"tiny\"", 17) &&
              memmem(expected, whole_size, "\"kept\": true", 12));
    for (int64_t stop = 1; stop < 60; stop += 17) {
        remove(broken);
        o.progress = stop_at;
        o.progress_user = &stop;
        FAILS(kd_answers_collect(k.ctx, k.generator, k.prompts, broken, &o, NULL), KD_ERR_CANCELED,
              "progress");
        char *part = read_whole(broken, &size);
        ck_assert(size < whole_size && !memcmp(part, expected, size));
        write_file(broken, part, size - (size_t)stop % 7 * 10); /* and torn */
        free(part);
        o.progress = NULL;
        OK(kd_answers_collect(k.ctx, k.generator, k.prompts, broken, &o, &done));
        part = read_whole(broken, &size);
        ck_assert(size == whole_size && !memcmp(part, expected, size));
        free(part);
        /* nothing is left to do */
        OK(kd_answers_collect(k.ctx, k.generator, k.prompts, broken, &o, &done));
        ck_assert(done.done == 60 && done.tokens == 0);
    }
    free(expected);
    kd_record_reader *others;
    OK(kd_record_reader_open_text(&others, k.ctx, "{\"prompt\":\"other\"}", -1, NULL));
    FAILS(kd_answers_collect(k.ctx, k.generator, others, broken, &o, NULL), KD_ERR_MISMATCH,
          "another prompt");
    kd_record_reader_free(others);
    OK(kd_record_reader_open_text(&others, k.ctx, "{\"ids\":[1,2]}", -1, NULL));
    remove(broken);
    FAILS(kd_answers_collect(k.ctx, k.generator, others, broken, &o, NULL), KD_ERR_INVALID,
          "ids only");
    kd_record_reader_free(others);
    OK(kd_answers_collect(k.ctx, k.generator, k.prompts, broken, &o, NULL));
    s.seed = 9;
    FAILS(kd_answers_collect(k.ctx, k.generator, k.prompts, broken, &o, NULL), KD_ERR_MISMATCH,
          "seed 0");
    free_kit(&k);
}
END_TEST

typedef struct {
    int calls, fail_at;
} host;

/* Right for even prompts; long for prompt 3; fails when it is told to. */
static kd_status answer(void *user, const kd_record *prompt, int32_t sample, uint64_t seed,
                        char *text, int64_t room, int64_t *bytes)
{
    host *h = user;
    const int a = atoi(prompt->prompt);
    ck_assert(seed != 0);
    if (++h->calls == h->fail_at) return kd_set_error(KD_ERR_IO, "the server is gone");
    *bytes = a == 3 ? 70000 : 8;
    if (*bytes >= room) return KD_ERR_RANGE;
    memset(text, ' ', (size_t)*bytes);
    memcpy(text, "####", 4);
    text[5] = (char)('0' + (a + 1 + (a % 2 || sample == 1)) % 10);
    return KD_OK;
}

START_TEST(a_hosts_function_answers_and_judges_count)
{
    kit k;
    host h = { 0, 8 };
    kd_answers_result result = { .struct_size = sizeof result };
    int32_t rights[18];
    size_t size;
    make_kit(&k, 6);
    kd_answers_options o = sampled(NULL);
    const char *path = scratch_path("answers-host.jsonl");
    remove(path);
    o.function = answer;
    o.user = &h;
    FAILS(kd_answers_collect(k.ctx, k.generator, k.prompts, path, &o, NULL), KD_ERR_INVALID,
          "one of them");
    FAILS(kd_answers_collect(k.ctx, NULL, k.prompts, path, &o, NULL), KD_ERR_IO,
          "the server is gone");
    char *part = read_whole(path, &size);
    int lines = 0;
    for (size_t i = 0; i < size; i++) lines += part[i] == '\n';
    ck_assert_int_eq(lines, 6); /* two prompts, whole */
    free(part);
    OK(kd_answers_collect(k.ctx, NULL, k.prompts, path, &o, NULL));
    ck_assert_int_eq(h.calls, 8 + 12 + 1); /* and the long one was asked again, once for its room */
    kd_record_reader *answers;
    OK(kd_record_reader_open(&answers, k.ctx, &path, 1, NULL));
    OK(kd_answers_judge(answers, NULL, 2, rights, 18, &result));
    ck_assert(result.questions == 6 && result.samples == 3 && rights[0] && !rights[1] &&
              rights[2] && !rights[3]);
    NEAR(result.pass.pass_1, 1.0 / 3, 1e-12);
    NEAR(result.pass.pass_k, 0.5, 1e-12);
    NEAR(result.consensus, 0.5, 1e-12);
    OK(kd_record_reader_rewind(answers));
    FAILS(kd_answers_judge(answers, NULL, 2, rights, 17, &result), KD_ERR_RANGE, "room");
    kd_record_reader_free(answers);
    free_kit(&k);
}
END_TEST

Suite *answers_suite(void)
{
    Suite *suite = suite_create("answers");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, collecting_goes_on_to_the_same_bytes);
    tcase_add_test(tests, a_hosts_function_answers_and_judges_count);
    suite_add_tcase(suite, tests);
    return suite;
}
