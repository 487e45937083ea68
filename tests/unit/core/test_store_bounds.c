/* What could not be read is refused when it is put. (Random records: tests/property/stores.py.) */
#include "unit.h"

#include <unistd.h>

enum { V = 30, R = 4, D = 6 };

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets, *got;
static float logits[R * V], wide[R * D];

static void setup(void)
{
    int64_t ends[2] = { 0, R };
    uint64_t key[2] = { 5, 6 };
    kd_array es = KD_ARRAY_1D(ends, KD_INT64, 2), ks = KD_ARRAY_2D(key, KD_UINT64, 1, 2),
             ls = KD_ARRAY_2D(logits, KD_FLOAT32, R, V);
    ctx = make_context(1);
    for (int i = 0; i < R * V; i++) logits[i] = (float)(i * 13 % 29) * 0.3f;
    for (int i = 0; i < R * D; i++) wide[i] = (float)i;
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_targets_create(&got, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &es));
    OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
    OK(kd_targets_begin(targets, R));
    OK(kd_targets_set(targets, "logits", &ls, NULL));
}

static void teardown(void)
{
    kd_targets_free(got);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static kd_store_field field_of(int32_t kind, const char *name, int32_t encoding)
{
    kd_store_field f = KD_STORE_FIELD_INIT;
    f.kind = kind;
    f.name = name;
    f.encoding = encoding;
    f.width = D;
    f.k = 2;
    return f;
}

static kd_store_writer *writer_of(const char *path, kd_store_field *fields, int32_t count,
                                  int32_t append)
{
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_writer *w;
    o.vocabulary = V;
    o.append = append;
    if (!append) unlink(path);
    OK(kd_store_writer_create(&w, ctx, path, &o, fields, count));
    return w;
}

static int64_t entries_of(const char *path, const char *field, int64_t record)
{
    kd_store *s;
    kd_array ids;
    OK(kd_store_open(&s, ctx, &path, 1, NULL));
    OK(kd_store_verify(s, NULL));
    OK(kd_store_read(s, record, got));
    OK(kd_targets_sparse(got, field, NULL, &ids, NULL, NULL, NULL));
    kd_store_free(s);
    return ids.dims[0];
}

/* k bounds what is selected; rows that come with more entries, as servers' rows do
 * (vllm-project/vllm#3752), are kept whole. */
START_TEST(rows_of_more_entries_than_k_are_kept)
{
    const char *path = scratch_path("more.kdt");
    kd_store_field f = field_of(KD_STORE_TOPK, "topk", KD_FLOAT16);
    kd_array ls = KD_ARRAY_2D(logits, KD_FLOAT32, R, V);
    kd_store_writer *w = writer_of(path, &f, 1, 0);
    for (int64_t k = 1; k <= V; k += k == 3 ? 12 : 1) { /* 1, 2, 3, 15 .. 30 */
        OK(kd_targets_select(targets, "topk", &ls, k, 0, 1, NULL));
        OK(kd_store_writer_begin(w, (uint64_t)k, 1, 0, 0, R));
        OK(kd_store_writer_put_sparse(w, "topk", targets, "topk", 0));
        OK(kd_store_writer_commit(w));
    }
    kd_store_writer_free(w);
    ck_assert_int_eq(entries_of(path, "topk", 2), 3 * R);
    ck_assert_int_eq(entries_of(path, "topk", 18), V * R);
    f.k = 20; /* and a store goes on with another k */
    w = writer_of(path, &f, 1, 1);
    OK(kd_targets_begin(targets, R));
    OK(kd_targets_set(targets, "logits", &ls, NULL));
    OK(kd_store_writer_add(w, batch, targets));
    kd_store_writer_free(w);
    ck_assert_int_eq(entries_of(path, "topk", 19), 20 * R);
}
END_TEST

START_TEST(fields_of_one_source_have_their_own_k)
{
    const char *path = scratch_path("two_k.kdt");
    kd_store_field f[3] = { field_of(KD_STORE_TOPK, "few", 0), field_of(KD_STORE_TOPK, "many", 0),
                            field_of(KD_STORE_COUNTS, "draws", 0) };
    f[0].source = f[1].source = f[2].source = "logits";
    f[1].k = 9;
    kd_store_writer *w = writer_of(path, f, 3, 0);
    OK(kd_store_writer_add(w, batch, targets));
    kd_store_writer_free(w);
    ck_assert_int_eq(entries_of(path, "few", 0), 2 * R);
    ck_assert_int_eq(entries_of(path, "many", 0), 9 * R);
    ck_assert_int_gt(entries_of(path, "draws", 0), R);
}
END_TEST

START_TEST(draws_of_more_classes_than_asked_for_are_kept)
{
    const char *path = scratch_path("draws.kdt");
    static const float counts[] = { 16777218, 33554434, 999999936, 1, 2, 3 };
    int64_t ids[] = { 0, 1, 2, 3, 4, 5 }, offsets[R + 1] = { 0, 3, 4, 5, 6 };
    kd_store_field f = field_of(KD_STORE_COUNTS, "draws", 0);
    kd_sparse s = KD_SPARSE_INIT;
    kd_array is = KD_ARRAY_1D(ids, KD_INT64, 6),
             vs = KD_ARRAY_1D((void *)(uintptr_t)counts, KD_FLOAT32, 6),
             os = KD_ARRAY_1D(offsets, KD_INT64, R + 1), values;
    f.draws = 1;
    s.kind = KD_SPARSE_COUNTS;
    s.ids = &is, s.values = &vs, s.offsets = &os;
    kd_store_writer *w = writer_of(path, &f, 1, 0);
    OK(kd_targets_set_sparse(targets, "draws", &s, NULL));
    OK(kd_store_writer_add(w, batch, targets));
    kd_store_writer_free(w);
    ck_assert_int_eq(entries_of(path, "draws", 0), 6);
    OK(kd_targets_sparse(got, "draws", NULL, NULL, &values, NULL, NULL));
    ck_assert_mem_eq(values.data, counts, sizeof counts); /* large ones exactly */
}
END_TEST

START_TEST(numbers_beyond_an_encoding_are_refused)
{
    const struct {
        int32_t kind, encoding;
        float number;
        const char *says;
    } cases[] = { { KD_STORE_VECTORS, KD_FLOAT16, 65520, "65520" },
                  { KD_STORE_VECTORS, KD_INT8, 2e18f, "2e+18" },
                  { KD_STORE_VECTORS, KD_INT8, -1e30f, "1e+18" },
                  { KD_STORE_HIDDEN, 0, 1e20f, "1e+18" },
                  { KD_STORE_DENSE, KD_BFLOAT16, 3.4e38f, "3.4e+38" },
                  { KD_STORE_DENSE, KD_FLOAT16, -1e6f, "65520" },
                  { KD_STORE_VECTORS, KD_FLOAT32, -INFINITY, "-inf" },
                  { KD_STORE_DENSE, KD_FLOAT32, NAN, "nan" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = scratch_path("beyond_encoding.kdt");
        const int dense = cases[i].kind == KD_STORE_DENSE;
        kd_store_field f = field_of(cases[i].kind, "f", cases[i].encoding);
        float *x = dense ? logits : wide, keep = x[1];
        kd_array xs = KD_ARRAY_2D(x, KD_FLOAT32, R, dense ? V : D);
        kd_store_writer *w = writer_of(path, &f, 1, 0);
        OK(kd_store_writer_begin(w, 1, 2, 0, 0, R));
        x[1] = cases[i].number;
        FAILS(kd_store_writer_put(w, "f", &xs), isfinite(x[1]) ? KD_ERR_RANGE : KD_ERR_NONFINITE,
              cases[i].says);
        x[1] = keep;
        OK(kd_store_writer_put(w, "f", &xs)); /* the record is as it was */
        OK(kd_store_writer_commit(w));
        kd_store_writer_free(w);
    }
}
END_TEST

START_TEST(a_head_that_is_no_numbers_is_refused)
{
    const char *path = scratch_path("head.kdt");
    float head[V * D] = { 0 };
    kd_store_field f[2] = { field_of(KD_STORE_HIDDEN, "hidden", 0),
                            field_of(KD_STORE_HIDDEN, "other", 0) };
    kd_array hs = KD_ARRAY_2D(head, KD_FLOAT32, V, D), xs = KD_ARRAY_2D(wide, KD_FLOAT32, R, D);
    f[1].width = 2 * D;
    kd_store_writer *w = writer_of(path, f, 2, 0);
    head[7] = 1e6f;
    FAILS(kd_store_writer_set_head(w, &hs, KD_FLOAT16), KD_ERR_RANGE, "row 1");
    FAILS(kd_store_writer_put(w, "hidden", &xs), KD_ERR_STATE, "no record");
    head[7] = NAN;
    FAILS(kd_store_writer_set_head(w, &hs, KD_FLOAT32), KD_ERR_NONFINITE, "row 1");
    head[7] = 1;
    OK(kd_store_writer_set_head(w, &hs, KD_FLOAT16));
    OK(kd_store_writer_begin(w, 5, 6, 0, 0, R));
    OK(kd_store_writer_put(w, "hidden", &xs));
    OK(kd_store_writer_commit(w));
    kd_store_writer_free(w);
    /* the head's logits are those of its own field, though another one is hidden too */
    kd_teacher *teacher;
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_array zs = KD_ARRAY_2D(logits, KD_FLOAT32, R, V);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, NULL, NULL };
    kd_loss_result result = { .struct_size = sizeof result };
    OK(kd_teacher_open(&teacher, ctx, path, NULL));
    OK(kd_teacher_read(teacher, batch, got));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, &o, NULL));
    OK(kd_loss_evaluate(loss, &output, 1, batch, got, NULL, &result));
    ck_assert(isfinite(result.value));
    kd_loss_free(loss);
    kd_teacher_free(teacher);
}
END_TEST

START_TEST(positions_that_no_reader_takes_are_refused)
{
    const char *path = scratch_path("positions.kdt");
    kd_store_field f[2] = { field_of(KD_STORE_TEXT, "text", 0),
                            field_of(KD_STORE_LABELS, "label", 0) };
    kd_store_writer *w = writer_of(path, f, 2, 0);
    OK(kd_store_writer_begin(w, 1, 1, 0, 0, 70000));
    OK(kd_store_writer_put_text(w, "text", "abc", 3));
    FAILS(kd_store_writer_commit(w), KD_ERR_RANGE, "70000 positions");
    OK(kd_store_writer_begin(w, 1, 1, 0, 0, 60000));
    OK(kd_store_writer_put_text(w, "text", "abc", 3));
    OK(kd_store_writer_commit(w));
    uint64_t big[R] = { 1, 2, 1ULL << 63, 3 };
    kd_array bs = KD_ARRAY_1D(big, KD_UINT64, R);
    OK(kd_store_writer_begin(w, 2, 1, 0, 0, R));
    FAILS(kd_store_writer_put(w, "label", &bs), KD_ERR_RANGE, "row 2");
    kd_store_writer_free(w);
    kd_store *s;
    OK(kd_store_open(&s, ctx, &path, 1, NULL));
    OK(kd_store_read(s, 0, got));
    kd_store_free(s);
}
END_TEST

/* What a batch cannot give is told; nothing is left out in silence. */
START_TEST(a_batch_without_a_fields_rows_is_refused)
{
    const char *path = scratch_path("lacking.kdt");
    kd_store_field f[2] = { field_of(KD_STORE_LABELS, "label", 0),
                            field_of(KD_STORE_TEXT, "text", 0) };
    kd_store_writer *w = writer_of(path, f, 2, 0);
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_NOT_FOUND, "the targets have no 'label'");
    kd_store_writer_free(w);
    w = writer_of(path, f + 1, 1, 0);
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_STATE, "piece by piece");
    kd_store_writer_free(w);
}
END_TEST

START_TEST(entropies_that_cannot_be_kept_are_refused)
{
    const char *path = scratch_path("entropy.kdt");
    kd_store_field f = field_of(KD_STORE_COUNTS, "draws", 0);
    kd_sparse s = KD_SPARSE_INIT;
    int64_t ids[R] = { 0, 1, 2, 3 }, ones[R] = { 1, 1, 1, 1 };
    float entropy[R] = { 0, 1, NAN, 31 };
    kd_array is = KD_ARRAY_2D(ids, KD_INT64, R, 1), vs = KD_ARRAY_2D(ones, KD_INT64, R, 1),
             es = KD_ARRAY_1D(entropy, KD_FLOAT32, R);
    kd_store_writer *w = writer_of(path, &f, 1, 0);
    s.kind = KD_SPARSE_COUNTS;
    s.ids = &is, s.values = &vs, s.entropy = &es;
    OK(kd_targets_set_sparse(targets, "draws", &s, NULL));
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_RANGE,
          "row 2: expected an entropy of 0 to 31.99 nat, got nan");
    entropy[2] = 33;
    OK(kd_targets_set_sparse(targets, "draws", &s, NULL));
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_RANGE,
          "row 2: expected an entropy of 0 to 31.99 nat, got 33");
    entropy[2] = 2;
    OK(kd_targets_set_sparse(targets, "draws", &s, NULL));
    OK(kd_store_writer_add(w, batch, targets));
    kd_store_writer_free(w);
    ck_assert_int_eq(entries_of(path, "draws", 0), R);
}
END_TEST

Suite *store_bounds_suite(void)
{
    Suite *suite = suite_create("store bounds");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, rows_of_more_entries_than_k_are_kept);
    tcase_add_test(tests, fields_of_one_source_have_their_own_k);
    tcase_add_test(tests, draws_of_more_classes_than_asked_for_are_kept);
    tcase_add_test(tests, numbers_beyond_an_encoding_are_refused);
    tcase_add_test(tests, a_head_that_is_no_numbers_is_refused);
    tcase_add_test(tests, positions_that_no_reader_takes_are_refused);
    tcase_add_test(tests, a_batch_without_a_fields_rows_is_refused);
    tcase_add_test(tests, entropies_that_cannot_be_kept_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
