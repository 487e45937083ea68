/* A teacher with another tokenizer: its rows lie where both have seen the same bytes and the next
 * tokens end together. */
#include "textkit.h"
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

static kd_context *ctx;
/* bytes with a few merges, and characters that begin with <s> */
static kd_tokenizer *ours, *theirs;
static kd_batch *batch, *their_batch;
static kd_targets *said, *targets;
static const char *const texts[2] = { "hello abc", "ab" };

static kd_tokenizer *ended(const char *name, int (*write)(const char *), const char *end)
{
    char folder[512], path[600], config[100];
    kd_tokenizer *t;
    snprintf(folder, sizeof folder, "%s", scratch_path(name));
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    ck_assert(write(path) == 0);
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    snprintf(config, sizeof config, "{\"eos_token\":\"%s\"}", end);
    write_file(path, config, strlen(config));
    OK(kd_tokenizer_load(&t, ctx, folder));
    return t;
}

static int of_bytes(const char *path) { return bytes_tokenizer(path, TEXT_CUT, TEXT_ADDED); }

static void setup(void)
{
    ctx = make_context(1);
    ours = ended("align-ours", of_bytes, "<|im_end|>");
    theirs = ended("align-theirs", characters_tokenizer, "<unk>");
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_create(&their_batch, ctx, NULL));
    OK(kd_targets_create(&said, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_batch_begin_texts(batch, ours, texts, 2, KD_END_TOKEN_DEFAULT));
    OK(kd_batch_begin_texts(their_batch, theirs, texts, 2, KD_END_TOKEN_DEFAULT));
}

static void teardown(void)
{
    kd_targets_free(targets);
    kd_targets_free(said);
    kd_batch_free(their_batch);
    kd_batch_free(batch);
    kd_tokenizer_free(theirs);
    kd_tokenizer_free(ours);
    kd_context_free(ctx);
}

static const int64_t *field(kd_batch *b, const char *name, int64_t *rows)
{
    kd_array a;
    OK(kd_batch_field(b, name, &a, NULL));
    if (rows) *rows = a.dims[0];
    return a.data;
}

START_TEST(texts_become_samples_with_ends_and_keys)
{
    /* "hello", " ", "a", "b", "c", end; "a", "b", end */
    static const int64_t ends[] = { 5, 6, 7, 8, 9, 9, 1, 2, 2 };
    int64_t rows;
    uint64_t key[2];
    kd_array keys, offsets;
    const int64_t *found = field(batch, "end", &rows), *tokens = field(batch, "tokens", NULL);
    ck_assert_int_eq(rows, 9);
    for (int64_t i = 0; i < rows; i++) ck_assert_int_eq(found[i], ends[i]);
    ck_assert_int_eq(tokens[5], 264);
    OK(kd_batch_offsets(batch, &offsets));
    ck_assert_int_eq(((int64_t *)offsets.data)[1], 6);
    OK(kd_batch_samples(batch, NULL, &keys, NULL));
    kd_array second = KD_ARRAY_1D((void *)(uintptr_t)(tokens + 6), KD_INT64, 3);
    OK(kd_store_key(ctx, &second, &key[0], &key[1]));
    ck_assert(((uint64_t *)keys.data)[2] == key[0] && ((uint64_t *)keys.data)[3] == key[1]);
    OK(kd_batch_begin_texts(batch, ours, texts, 2, KD_END_TOKEN_NONE));
    field(batch, "end", &rows);
    ck_assert_int_eq(rows, 7);
    FAILS(kd_batch_begin_texts(batch, ours, texts, 0, KD_END_TOKEN_NONE), KD_ERR_RANGE,
          "at least 1");
}
END_TEST

/* What each row of the student is expected to get: the teacher's that has seen as many bytes, where
 * the next tokens end together. */
static int64_t partner(int64_t row)
{
    const int64_t *a = field(batch, "end", NULL), *b = field(their_batch, "end", NULL);
    kd_array ours_at, theirs_at;
    OK(kd_batch_offsets(batch, &ours_at));
    OK(kd_batch_offsets(their_batch, &theirs_at));
    const int64_t *p = ours_at.data, *q = theirs_at.data, s = row >= p[1];
    int64_t found = -1;
    if (row + 1 >= p[s + 1]) return -1;
    for (int64_t j = q[s]; j + 1 < q[s + 1]; j++) {
        const int last = row + 2 == p[s + 1], other_last = j + 2 == q[s + 1];
        if (a[row] == b[j] && a[row + 1] == b[j + 1] &&
            (a[row + 1] > a[row] || (last && other_last)))
            found = j;
    }
    return found;
}

START_TEST(rows_are_moved_where_bytes_agree)
{
    int64_t rows, their_rows, aligned, expected = 0;
    float values[64][3];
    kd_array present, moved, vs = KD_ARRAY_2D(values, KD_FLOAT32, 0, 3);
    field(batch, "end", &rows);
    field(their_batch, "end", &their_rows);
    vs.dims[0] = their_rows;
    for (int i = 0; i < 64 * 3; i++) values[i / 3][i % 3] = (float)i;
    OK(kd_targets_begin(said, their_rows));
    OK(kd_targets_set(said, "logits", &vs, NULL));
    OK(kd_targets_select(said, "top", &vs, 2, 0, 1, NULL));
    OK(kd_targets_align_batch(targets, batch, said, their_batch, &aligned));
    OK(kd_targets_field(targets, "logits", &moved, &present));
    for (int64_t r = 0; r < rows; r++) {
        const int64_t from = partner(r);
        ck_assert_int_eq(((uint8_t *)present.data)[r], from >= 0);
        if (from < 0) continue;
        expected++;
        for (int i = 0; i < 3; i++)
            ck_assert_float_eq(((float *)moved.data)[3 * r + i], values[from][i]);
    }
    ck_assert_int_eq(aligned, expected);
    ck_assert_int_ge(aligned, 3); /* "c" and both ends at least */
    kd_array offs, there;
    OK(kd_targets_sparse(targets, "top", &offs, NULL, NULL, NULL, &there));
    for (int64_t r = 0; r < rows; r++)
        ck_assert_int_eq(((int64_t *)offs.data)[r + 1] - ((int64_t *)offs.data)[r],
                         partner(r) >= 0 ? 2 : 0);
    OK(kd_targets_align_batch(targets, batch, said, their_batch, NULL)); /* begun anew each time */
}
END_TEST

START_TEST(a_batch_with_itself_is_aligned_but_for_the_last_rows)
{
    int64_t rows, aligned;
    float x[16] = { 0 };
    kd_array xs = KD_ARRAY_2D(x, KD_FLOAT32, 0, 1);
    field(batch, "end", &rows);
    xs.dims[0] = rows;
    OK(kd_targets_begin(said, rows));
    OK(kd_targets_set(said, "logits", &xs, NULL));
    OK(kd_targets_align_batch(targets, batch, said, batch, &aligned));
    ck_assert_int_eq(aligned, rows - 2);
    FAILS(kd_targets_align_batch(said, batch, said, batch, NULL), KD_ERR_INVALID, "must differ");
    OK(kd_targets_begin(said, rows + 1));
    FAILS(kd_targets_align_batch(targets, batch, said, batch, NULL), KD_ERR_SHAPE, "its targets");
    OK(kd_batch_begin(their_batch, 2));
    OK(kd_targets_begin(said, 2));
    FAILS(kd_targets_align_batch(targets, batch, said, their_batch, NULL), KD_ERR_NOT_FOUND,
          "field 'end'");
}
END_TEST

START_TEST(shared_tokens_are_paired_and_both_ends)
{
    kd_loss *loss;
    int64_t shared, ids = 0, n, m;
    int32_t map[300];
    OK(kd_tokenizer_vocabulary_size(ours, &n));
    OK(kd_tokenizer_vocabulary_size(theirs, &m));
    OK(kd_tokenizer_map(ours, theirs, map, 300, &ids));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_ULD, 1, NULL, NULL));
    OK(kd_loss_set_shared_tokens(loss, 0, ours, n + 5, theirs, m, &shared));
    ck_assert_int_eq(shared, ids + 1); /* <|im_end|> and <unk> end texts here */
    FAILS(kd_loss_set_shared_tokens(loss, 0, ours, n - 1, theirs, m, NULL), KD_ERR_RANGE,
          "at least 265");
    kd_loss_free(loss);
}
END_TEST

Suite *align_suite(void)
{
    Suite *suite = suite_create("align");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, texts_become_samples_with_ends_and_keys);
    tcase_add_test(tests, rows_are_moved_where_bytes_agree);
    tcase_add_test(tests, a_batch_with_itself_is_aligned_but_for_the_last_rows);
    tcase_add_test(tests, shared_tokens_are_paired_and_both_ends);
    suite_add_tcase(suite, tests);
    return suite;
}
