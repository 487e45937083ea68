/* A store's records speak for the tokens that they were made of, and for no others. */
#include "unit.h"

#include <unistd.h>

enum { V = 50, N = 24 };

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets, *got;
static float logits[2 * N * V];
static int64_t tokens[2 * N];
static int32_t warnings;

static void count_warning(void *user, int32_t level, const char *line)
{
    (void)user;
    if (level == KD_LOG_WARNING && strstr(line, "without checksums")) warnings++;
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
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_targets_create(&got, ctx, NULL));
    for (int i = 0; i < 2 * N; i++) tokens[i] = (i * 7 + 3) % V;
    for (int i = 0; i < 2 * N * V; i++) logits[i] = (float)(i * 31 % 97) * 0.1f;
}

static void teardown(void)
{
    kd_targets_free(got);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* One sample of n rows; position: of the first, -1: no such field. */
static void begin(int64_t n, int64_t position)
{
    int64_t ends[2] = { 0, n }, places[2 * N];
    uint64_t key[2] = { 11, 12 };
    kd_array es = KD_ARRAY_1D(ends, KD_INT64, 2), ks = KD_ARRAY_2D(key, KD_UINT64, 1, 2),
             ts = KD_ARRAY_1D(tokens, KD_INT64, n), ps = KD_ARRAY_1D(places, KD_INT64, n);
    if (position >= 0) ts.data = tokens + position;
    for (int64_t i = 0; i < n; i++) places[i] = position + i;
    OK(kd_batch_begin_packed(batch, &es));
    OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    if (position >= 0) OK(kd_batch_set(batch, "position", &ps, NULL));
}

static kd_store_writer *writer_of(const char *path, int32_t append, const char *tokenizer)
{
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_store_writer *w;
    o.vocabulary = V;
    o.align = KD_ALIGN_NEXT;
    o.append = append;
    o.tokenizer = tokenizer;
    f.kind = KD_STORE_TOPK;
    f.name = "topk";
    f.source = "logits";
    f.k = 4;
    OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
    return w;
}

/* A store of the sample's rows from..to - 1 of N. */
static const char *stored(const char *name, int64_t from, int64_t to, int64_t position)
{
    const char *path = scratch_path(name);
    uint8_t there[N];
    kd_array ls = KD_ARRAY_2D(logits, KD_FLOAT32, N, V), ps = KD_ARRAY_1D(there, KD_UINT8, N);
    for (int i = 0; i < N; i++) there[i] = i >= from && i < to;
    unlink(path);
    kd_store_writer *w = writer_of(path, 0, NULL);
    begin(N, position);
    OK(kd_targets_begin(targets, N));
    OK(kd_targets_set(targets, "logits", &ls, &ps));
    OK(kd_store_writer_add(w, batch, targets));
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    return path;
}

static kd_teacher *teacher_of(const char *path, int32_t missing, int32_t any_tokens)
{
    kd_teacher *teacher;
    kd_teacher_options o = KD_TEACHER_OPTIONS_INIT;
    o.missing = missing;
    o.any_tokens = any_tokens;
    OK(kd_teacher_open(&teacher, ctx, path, &o));
    return teacher;
}

static uint8_t has_teacher(int64_t row)
{
    kd_array present;
    OK(kd_targets_sparse(got, "topk", NULL, NULL, NULL, NULL, &present));
    return ((uint8_t *)present.data)[row];
}

START_TEST(one_other_token_anywhere_is_refused)
{
    kd_teacher *teacher = teacher_of(stored("exchanged.kdt", 0, N, -1), KD_MISSING_ERROR, 0);
    for (int n = 0; n < N; n++)
        for (int more = 1; more < V; more += 7) {
            const int64_t keep = tokens[n];
            tokens[n] = (keep + more) % V;
            begin(N, -1);
            FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_MISMATCH,
                  "000000000000000b000000000000000c");
            FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_MISMATCH,
                  "24 tokens that the store's record was made of");
            tokens[n] = keep;
        }
    begin(N, -1);
    OK(kd_teacher_read(teacher, batch, got));
    tokens[9]++;
    begin(N, -1);
    FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_MISMATCH, "from position 9 on");
    kd_teacher_free(teacher);
    teacher = teacher_of(scratch_path("exchanged.kdt"), KD_MISSING_ABSENT, 0);
    FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_MISMATCH, "any_tokens");
    kd_teacher_free(teacher);
    teacher = teacher_of(scratch_path("exchanged.kdt"), KD_MISSING_ERROR, 1);
    OK(kd_teacher_read(teacher, batch, got));
    kd_teacher_free(teacher);
    ck_assert_int_eq(warnings, 0);
}
END_TEST

START_TEST(cut_samples_and_windows_are_answered_and_compared)
{
    kd_teacher *teacher = teacher_of(stored("cut.kdt", 0, N, -1), KD_MISSING_ERROR, 0);
    for (int64_t n = 1; n <= N; n++) {
        begin(n, -1);
        OK(kd_teacher_read(teacher, batch, got));
        ck_assert_int_eq(has_teacher(n - 1), 1);
    }
    for (int64_t from = 0; from < N; from++) {
        begin(N - from, from);
        OK(kd_teacher_read(teacher, batch, got));
    }
    /* the second of eight tokens has four checks at least: bytes */
    for (int64_t from = 0; from + 8 <= N; from++) {
        tokens[from + 1]++;
        begin(8, from);
        FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_MISMATCH, "position");
        tokens[from + 1]--;
    }
    kd_teacher_free(teacher);
    /* and the writer's batch may begin in the middle */
    teacher = teacher_of(stored("middle.kdt", 0, N, 6), KD_MISSING_ERROR, 0);
    begin(10, 8);
    OK(kd_teacher_read(teacher, batch, got));
    tokens[12]++;
    begin(10, 8);
    FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_MISMATCH, "from position 12 on");
    kd_teacher_free(teacher);
}
END_TEST

START_TEST(a_record_shorter_than_its_sample_is_an_error)
{
    const char *path = stored("short.kdt", 0, N, -1);
    kd_teacher *teacher = teacher_of(path, KD_MISSING_ERROR, 0);
    begin(N + 5, -1);
    FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_NOT_FOUND,
          "up to position 24, got one of 24 tokens, the sample has 29");
    kd_teacher_free(teacher);
    teacher = teacher_of(path, KD_MISSING_ABSENT, 0);
    OK(kd_teacher_read(teacher, batch, got));
    ck_assert_int_eq(has_teacher(N - 1), 1);
    ck_assert_int_eq(has_teacher(N), 0);
    tokens[N - 1]++; /* what follows is another text, not a longer one */
    begin(N + 5, -1);
    FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_MISMATCH, "from position 23 on");
    kd_teacher_free(teacher);
}
END_TEST

START_TEST(a_record_of_the_answer_alone_knows_its_prompt)
{
    kd_teacher *teacher = teacher_of(stored("answer.kdt", 10, N - 1, -1), KD_MISSING_ERROR, 0);
    begin(N, -1);
    /* rows that were absent when it was made are absent, and no error */
    OK(kd_teacher_read(teacher, batch, got));
    ck_assert_int_eq(has_teacher(9), 0);
    ck_assert_int_eq(has_teacher(10), 1);
    ck_assert_int_eq(has_teacher(N - 1), 0);
    tokens[4]++;
    begin(N, -1);
    FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_MISMATCH, "within its first 10 tokens");
    kd_teacher_free(teacher);
}
END_TEST

START_TEST(pieces_tell_their_tokens)
{
    const char *path = scratch_path("pieces.kdt");
    kd_array all = KD_ARRAY_1D(tokens, KD_INT64, N), few = KD_ARRAY_1D(tokens, KD_INT64, 5),
             ls = KD_ARRAY_2D(logits, KD_FLOAT32, N, V);
    unlink(path);
    kd_store_writer *w = writer_of(path, 0, NULL);
    OK(kd_targets_begin(targets, N));
    OK(kd_targets_select(targets, "topk", &ls, 4, 0, 1, NULL));
    FAILS(kd_store_writer_put_tokens(w, &all), KD_ERR_STATE, "no record");
    OK(kd_store_writer_begin(w, 11, 12, 0, 0, N));
    FAILS(kd_store_writer_put_tokens(w, &few), KD_ERR_SHAPE, "at least 24");
    OK(kd_store_writer_put_tokens(w, &all));
    FAILS(kd_store_writer_put_tokens(w, &all), KD_ERR_STATE, "already");
    FAILS(kd_store_writer_commit(w), KD_ERR_STATE, "no field");
    OK(kd_store_writer_put_sparse(w, "topk", targets, "topk", 0));
    OK(kd_store_writer_commit(w));
    OK(kd_store_writer_begin(w, 13, 14, 0, 0, N)); /* and one that tells nothing */
    OK(kd_store_writer_put_sparse(w, "topk", targets, "topk", 0));
    OK(kd_store_writer_commit(w));
    kd_store_writer_free(w);
    kd_teacher *teacher = teacher_of(path, KD_MISSING_ERROR, 0);
    begin(N, -1);
    OK(kd_teacher_read(teacher, batch, got));
    ck_assert_int_eq(warnings, 0);
    tokens[20]++;
    begin(N, -1);
    FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_MISMATCH, "from position 20 on");
    uint64_t other[2] = { 13, 14 };
    kd_array os = KD_ARRAY_2D(other, KD_UINT64, 1, 2);
    for (int i = 0; i < 2; i++) { /* told once */
        OK(kd_batch_set_samples(batch, NULL, &os, NULL));
        OK(kd_teacher_read(teacher, batch, got));
    }
    ck_assert_int_eq(warnings, 1);
    begin(N + 2, -1);
    OK(kd_batch_set_samples(batch, NULL, &os, NULL));
    FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_NOT_FOUND, "position 24");
    kd_teacher_free(teacher);
}
END_TEST

START_TEST(positions_of_a_sample_rise_by_one)
{
    const char *path = scratch_path("jump.kdt");
    int64_t places[4] = { 0, 1, 3, 4 };
    kd_array ps = KD_ARRAY_1D(places, KD_INT64, 4), ls = KD_ARRAY_2D(logits, KD_FLOAT32, 4, V);
    unlink(path);
    kd_store_writer *w = writer_of(path, 0, NULL);
    begin(4, -1);
    OK(kd_batch_set(batch, "position", &ps, NULL));
    OK(kd_targets_begin(targets, 4));
    OK(kd_targets_set(targets, "logits", &ls, NULL));
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_RANGE, "got 3 after 1");
    kd_store_writer_free(w);
}
END_TEST

/* ---- who made the tokens ---- */

#define TOK_A "0123456789abcdef0123456789abcdef"
#define TOK_B "ffffffffffffffff0123456789abcdef"

static void add_by(kd_store_writer *w, const char *tokenizer, const char *rendering,
                   kd_status expected)
{
    kd_array ls = KD_ARRAY_2D(logits, KD_FLOAT32, N, V);
    begin(N, -1);
    OK(kd_batch_set_origin(batch, tokenizer, rendering));
    OK(kd_targets_begin(targets, N));
    OK(kd_targets_set(targets, "logits", &ls, NULL));
    ck_assert_int_eq(kd_store_writer_add(w, batch, targets), expected);
}

static void expect_origin(const char *path, const char *tokenizer, const char *rendering)
{
    kd_store *s;
    const char *json;
    char text[200];
    kd_store_open_options o = KD_STORE_OPEN_OPTIONS_INIT;
    OK(kd_store_open(&s, ctx, &path, 1, NULL));
    OK(kd_store_header(s, &json));
    snprintf(text, sizeof text, "\"tokenizer\": \"%s\",\n  \"chat_template\": \"%s\"", tokenizer,
             rendering);
    ck_assert_msg(strstr(json, text) != NULL, "%s", json);
    kd_store_free(s);
    o.tokenizer = "another";
    FAILS(kd_store_open(&s, ctx, &path, 1, &o), KD_ERR_MISMATCH, tokenizer);
}

START_TEST(a_store_tells_who_made_its_tokens)
{
    const char *path = scratch_path("origin.kdt"), *small = scratch_path("origin2.kdt");
    unlink(path);
    unlink(small);
    kd_store_writer *w = writer_of(path, 0, NULL);
    add_by(w, TOK_A, "plain", KD_OK);
    add_by(w, TOK_A, "chatml", KD_OK); /* keys tell samples apart; each record knows its tokens */
    add_by(w, TOK_B, "plain", KD_ERR_MISMATCH);
    kd_store_writer_free(w);
    expect_origin(path, TOK_A, "plain");
    w = writer_of(path, 1, NULL); /* who appends and says nothing agrees */
    add_by(w, TOK_B, "plain", KD_ERR_MISMATCH);
    add_by(w, "", "", KD_OK);
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    expect_origin(path, TOK_A, "plain");
    kd_store *s;
    OK(kd_store_open(&s, ctx, &path, 1, NULL));
    OK(kd_store_compact(s, small));
    kd_store_free(s);
    expect_origin(small, TOK_A, "plain");
    /* what the host said stays */
    unlink(path);
    w = writer_of(path, 0, "mine");
    add_by(w, TOK_A, "plain", KD_OK);
    add_by(w, TOK_B, "plain", KD_OK);
    kd_store_writer_free(w);
    expect_origin(path, "mine", "plain");
    /* a mismatch names both sides */
    kd_teacher *teacher = teacher_of(path, KD_MISSING_ERROR, 0);
    tokens[0]++;
    begin(N, -1);
    OK(kd_batch_set_origin(batch, "tok-c", "chatml"));
    FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_MISMATCH,
          "tokenizer: the store says mine, the batch tok-c; rendering: the store says plain, the "
          "batch chatml");
    kd_teacher_free(teacher);
}
END_TEST

/* ---- files of earlier versions ---- */

START_TEST(stores_without_checksums_are_read_with_one_warning)
{
    enum { OLD_ROWS = 3 };
    char path[600];
    kd_array es = KD_ARRAY_1D(((int64_t[]){ 0, OLD_ROWS + 1 }), KD_INT64, 2),
             ks = KD_ARRAY_2D(((uint64_t[]){ 1, 7 }), KD_UINT64, 1, 2),
             ts = KD_ARRAY_1D(tokens, KD_INT64, OLD_ROWS + 1);
    ck_assert_ptr_nonnull(getenv("KD_OLD_FILES"));
    snprintf(path, sizeof path, "%s/store-v1.kdt", getenv("KD_OLD_FILES"));
    kd_teacher *teacher = teacher_of(path, KD_MISSING_ERROR, 0);
    for (int i = 0; i < 3; i++) {
        OK(kd_batch_begin_packed(batch, &es));
        OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
        OK(kd_batch_set(batch, "tokens", &ts, NULL));
        OK(kd_teacher_read(teacher, batch, got));
        ck_assert_int_eq(has_teacher(OLD_ROWS), 0);
    }
    ck_assert_int_eq(warnings, 1);
    kd_teacher_free(teacher);
}
END_TEST

/* Made by 0.2.0: one sample of key (11, 12) and tokens 3, 10, 17 ..., top 4 of the logits above,
 * and a row of five entries. */
START_TEST(stores_with_checksums_open_for_ever)
{
    char path[600];
    kd_array offsets;
    ck_assert_ptr_nonnull(getenv("KD_OLD_FILES"));
    snprintf(path, sizeof path, "%s/store-v1-tokens.kdt", getenv("KD_OLD_FILES"));
    expect_origin(path, "04fcc3081aaa7a64d74729216defad75", "plain");
    kd_teacher *teacher = teacher_of(path, KD_MISSING_ERROR, 0);
    begin(N, -1);
    OK(kd_teacher_read(teacher, batch, got));
    OK(kd_targets_sparse(got, "topk", &offsets, NULL, NULL, NULL, NULL));
    ck_assert_int_eq(((int64_t *)offsets.data)[1], 5);
    ck_assert_int_eq(((int64_t *)offsets.data)[N], 4 * N + 1);
    tokens[3]++;
    begin(N, -1);
    FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_MISMATCH, "from position 3 on");
    kd_teacher_free(teacher);
}
END_TEST

Suite *store_tokens_suite(void)
{
    Suite *suite = suite_create("store tokens");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, one_other_token_anywhere_is_refused);
    tcase_add_test(tests, cut_samples_and_windows_are_answered_and_compared);
    tcase_add_test(tests, a_record_shorter_than_its_sample_is_an_error);
    tcase_add_test(tests, a_record_of_the_answer_alone_knows_its_prompt);
    tcase_add_test(tests, pieces_tell_their_tokens);
    tcase_add_test(tests, positions_of_a_sample_rise_by_one);
    tcase_add_test(tests, a_store_tells_who_made_its_tokens);
    tcase_add_test(tests, stores_without_checksums_are_read_with_one_warning);
    tcase_add_test(tests, stores_with_checksums_open_for_ever);
    suite_add_tcase(suite, tests);
    return suite;
}
