/* Who rendered a text: hashes of tokenizers and templates, in batches, in stores, in messages. */
#include "unit.h"

#include "textkit.h"

#include <sys/stat.h>
#include <unistd.h>

static kd_context *ctx;

static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

static kd_tokenizer *loaded(const char *path)
{
    kd_tokenizer *t;
    OK(kd_tokenizer_load(&t, ctx, path));
    return t;
}

static kd_tokenizer *bytes_named(const char *name, const char *added)
{
    const char *path = scratch_path(name);
    ck_assert_int_eq(bytes_tokenizer(path, TEXT_CUT, added), 0);
    return loaded(path);
}

static const char *hash_of(kd_tokenizer *t)
{
    static char texts[4][KD_HASH_BYTES];
    static int next;
    char *text = texts[next++ % 4];
    OK(kd_tokenizer_hash(t, KD_HASH_TOKENIZER, text));
    ck_assert_int_eq(strlen(text), 32);
    return text;
}

START_TEST(equal_tokenizers_have_equal_hashes)
{
    const char *folder = scratch_path("hash-saved");
    char none[KD_HASH_BYTES];
    kd_tokenizer *t = bytes_named("hash.json", TEXT_ADDED),
                 *other = bytes_named("hash2.json",
                                      "{\"id\":263,\"content\":\"<|end|>\",\"special\":true}");
    OK(kd_tokenizer_save(t, folder)); /* another text of the same content */
    kd_tokenizer *again = loaded(folder);
    ck_assert_str_eq(hash_of(t), hash_of(again));
    ck_assert_str_ne(hash_of(t), hash_of(other));
    const char *before = hash_of(t);
    int32_t id;
    OK(kd_tokenizer_add(t, "<think>", 1, &id));
    ck_assert_str_ne(hash_of(t), before);
    FAILS(kd_tokenizer_hash(t, KD_HASH_TEMPLATE, none), KD_ERR_NOT_FOUND, "no chat template");
    FAILS(kd_tokenizer_hash(t, 7, none), KD_ERR_RANGE, "got 7");
    kd_tokenizer_free(again);
    kd_tokenizer_free(other);
    kd_tokenizer_free(t);
}
END_TEST

static kd_tokenizer *with_template(const char *name, const char *text)
{
    const char *folder = scratch_path(name);
    char path[700];
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    ck_assert_int_eq(bytes_tokenizer(path, TEXT_CUT, TEXT_ADDED), 0);
    snprintf(path, sizeof path, "%s/chat_template.jinja", folder);
    write_file(path, text, strlen(text));
    return loaded(folder);
}

START_TEST(templates_have_hashes_of_their_text)
{
    static const char *const said[] = { "{{ messages[0]['content'] }}",
                                        "{% for m in messages %}{{ m['content'] }}{% endfor %}" };
    char texts[2][KD_HASH_BYTES];
    for (int i = 0; i < 2; i++) {
        kd_tokenizer *t = with_template(i ? "hash-chat1" : "hash-chat0", said[i]);
        OK(kd_tokenizer_hash(t, KD_HASH_TEMPLATE, texts[i]));
        kd_tokenizer_free(t);
    }
    ck_assert_str_ne(texts[0], texts[1]);
}
END_TEST

static void fill(kd_packer *p)
{
    kd_record r = KD_RECORD_INIT;
    r.prompt = "hello";
    r.completion = " world, hello";
    r.key[0] = 21, r.key[1] = 22;
    OK(kd_packer_add(p, &r, 0));
}

static void expect_rendering(kd_tokenizer *t, const kd_packer_options *options,
                             const char *expected)
{
    const char *tokenizer, *rendering;
    kd_packer *p;
    kd_batch *batch;
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_packer_create(&p, ctx, t, options));
    fill(p);
    OK(kd_packer_next(p, batch));
    OK(kd_batch_origin(batch, &tokenizer, &rendering));
    ck_assert_str_eq(rendering, expected);
    kd_packer_free(p);
    kd_batch_free(batch);
}

/* The longest ones are told whole. */
START_TEST(renderings_are_told_apart)
{
    static const char lines[] =
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '<|end|>\n' }}"
        "{% endfor %}";
    char hash[KD_HASH_BYTES], expected[KD_NAME_BYTES];
    kd_tokenizer *t = with_template("told-apart", lines);
    kd_packer_options o = KD_PACKER_OPTIONS_INIT;
    OK(kd_tokenizer_hash(t, KD_HASH_TEMPLATE, hash));
    for (o.keep_reasoning = -1; o.keep_reasoning <= 1; o.keep_reasoning++) {
        const char *end = o.keep_reasoning < 0 ? ""
                          : o.keep_reasoning   ? ", reasoning kept"
                                               : ", reasoning dropped";
        o.chat = KD_CHAT_AUTO;
        snprintf(expected, sizeof expected, "template %s%s", hash, end);
        expect_rendering(t, &o, expected);
        o.chat = KD_CHAT_CHATML;
        snprintf(expected, sizeof expected, "chatml%s", end);
        expect_rendering(t, &o, expected);
    }
    kd_tokenizer_free(t);
}
END_TEST

static kd_packer *packer_of(kd_tokenizer *t, int32_t chat, int32_t end_token)
{
    kd_packer *p;
    kd_packer_options o = KD_PACKER_OPTIONS_INIT;
    o.chat = chat;
    o.end_token = end_token;
    OK(kd_packer_create(&p, ctx, t, &o));
    fill(p);
    return p;
}

/* One record, two renderings: a store filled from one answers for it alone. */
START_TEST(a_store_of_another_rendering_is_refused)
{
    enum { WIDTH = 266, MOST = 200 };
    static float logits[MOST * WIDTH];
    const char *path = scratch_path("rendered.kdt"), *tokenizer, *rendering;
    kd_tokenizer *t = bytes_named("rendered.json", TEXT_ADDED);
    kd_packer *plain = packer_of(t, KD_CHAT_PLAIN, -1), *ended = packer_of(t, KD_CHAT_PLAIN, 264),
              *chat = packer_of(t, KD_CHAT_CHATML, -1);
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_store_writer *w;
    kd_teacher *teacher;
    kd_batch *batch;
    kd_targets *targets;
    int64_t rows;
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    unlink(path);
    o.vocabulary = WIDTH;
    o.align = KD_ALIGN_NEXT;
    f.kind = KD_STORE_TOPK;
    f.name = "topk";
    OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
    OK(kd_packer_next(plain, batch));
    OK(kd_batch_origin(batch, &tokenizer, &rendering));
    ck_assert_str_eq(tokenizer, hash_of(t));
    ck_assert_str_eq(rendering, "plain");
    OK(kd_batch_get_counts(batch, NULL, &rows));
    kd_array ls = KD_ARRAY_2D(logits, KD_FLOAT32, rows, WIDTH);
    for (int i = 0; i < MOST * WIDTH; i++) logits[i] = (float)(i % 91) * 0.1f;
    OK(kd_targets_begin(targets, rows));
    OK(kd_targets_set(targets, "logits", &ls, NULL));
    OK(kd_store_writer_add(w, batch, targets));
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    OK(kd_teacher_open(&teacher, ctx, path, NULL));
    OK(kd_packer_next(plain, batch));
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_packer_next(chat, batch));
    FAILS(kd_teacher_read(teacher, batch, targets), KD_ERR_MISMATCH,
          "rendering: the store says plain, the batch chatml");
    OK(kd_packer_next(ended, batch)); /* only its end token is more */
    FAILS(kd_teacher_read(teacher, batch, targets), KD_ERR_NOT_FOUND,
          "expected a record up to position");
    kd_teacher_free(teacher);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_packer_free(plain);
    kd_packer_free(ended);
    kd_packer_free(chat);
    kd_tokenizer_free(t);
}
END_TEST

Suite *origin_suite(void)
{
    Suite *suite = suite_create("origin");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, equal_tokenizers_have_equal_hashes);
    tcase_add_test(tests, templates_have_hashes_of_their_text);
    tcase_add_test(tests, renderings_are_told_apart);
    tcase_add_test(tests, a_store_of_another_rendering_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
