/* One vector a sample in stores: as it is put, as it is read by key and view, and bad bytes of it.
 * (Random records: tests/property/stores.py.) */
#include "unit.h"

#include <unistd.h>

enum { S = 3, R = 9, D = 24 };
static const int64_t offsets[S + 1] = { 0, 4, 5, 9 };
static const uint64_t keys[S][2] = { { 1, 2 }, { 3, 4 }, { 5, 6 } };

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets, *got;
static float vectors[S * D];

/* A batch of these tokens for the three texts, however they are cut. */
static void pack(const int64_t ends[S + 1], int64_t token, const int64_t *views)
{
    int64_t tokens[64];
    for (int i = 0; i < 64; i++) tokens[i] = token + i;
    kd_array os = KD_ARRAY_1D(ends, KD_INT64, S + 1), ks = KD_ARRAY_2D(keys, KD_UINT64, S, 2),
             ts = KD_ARRAY_1D(tokens, KD_INT64, ends[S]), vs = KD_ARRAY_1D(views, KD_INT64, S);
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    OK(kd_batch_set_samples(batch, NULL, &ks, views ? &vs : NULL));
}

static void pack_without_keys(void)
{
    static int64_t tokens[R];
    const kd_array os = KD_ARRAY_1D(offsets, KD_INT64, S + 1),
                   ts = KD_ARRAY_1D(tokens, KD_INT64, R);
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
}

static void teach(const uint8_t *present)
{
    kd_array es = KD_ARRAY_2D(vectors, KD_FLOAT32, S, D), ps = KD_ARRAY_1D(present, KD_UINT8, S);
    OK(kd_targets_begin(targets, R));
    OK(kd_targets_set_per_sample(targets, "embedding", &es, present ? &ps : NULL));
}

static void setup(void)
{
    ctx = make_context(2);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_targets_create(&got, ctx, NULL));
    for (int i = 0; i < S * D; i++) vectors[i] = sinf(0.7f * (float)i);
    pack(offsets, 100, NULL);
    teach(NULL);
}

static void teardown(void)
{
    kd_targets_free(got);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static kd_store_field embedding(int32_t encoding)
{
    kd_store_field f = KD_STORE_FIELD_INIT;
    f.kind = KD_STORE_EMBEDDING;
    f.name = "embedding";
    f.encoding = encoding;
    f.width = D;
    return f;
}

static kd_store_writer *writer_of(const char *path, const kd_store_field *fields, int32_t count)
{
    kd_store_writer *w;
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    o.vocabulary = 4;
    o.align = KD_ALIGN_SAME;
    unlink(path);
    OK(kd_store_writer_create(&w, ctx, path, &o, fields, count));
    return w;
}

static void finish(kd_store_writer *w)
{
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
}

static kd_store *opened(const char *path, int32_t pread)
{
    kd_store *s;
    kd_store_open_options o = KD_STORE_OPEN_OPTIONS_INIT;
    o.pread = pread;
    OK(kd_store_open(&s, ctx, &path, 1, &o));
    return s;
}

static kd_teacher *teacher_of(const char *path, int32_t missing, int32_t any_view)
{
    kd_teacher *t;
    kd_teacher_options o = KD_TEACHER_OPTIONS_INIT;
    o.missing = missing;
    o.any_view = any_view;
    OK(kd_teacher_open(&t, ctx, path, &o));
    return t;
}

/* Sample s has vector `vector`, within `slack`. */
static void check(const kd_array *values, int64_t s, int vector, double slack)
{
    const float *row = (const float *)values->data + s * D;
    for (int i = 0; i < D; i++) NEAR(row[i], vectors[vector * D + i], slack);
}

START_TEST(vectors_come_back_by_key_whatever_the_tokens)
{
    static const struct {
        int32_t encoding;
        double slack;
        int64_t bytes; /* of a record: a header, one part, and no checksums of tokens */
    } cases[] = { { KD_FLOAT32, 0, 80 + 4 * D },
                  { KD_FLOAT16, 3e-4, 80 + 2 * D },
                  { KD_INT8, 1.0 / 127, 80 + 4 + D + 4 } };
    const int64_t other[S + 1] = { 0, 1, 20, 21 };
    const char *path = scratch_path("embedding.kdt");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const kd_store_field f = embedding(cases[c].encoding);
        kd_store_writer *w = writer_of(path, &f, 1);
        kd_array values, present;
        kd_store_record facts = { .struct_size = sizeof facts };
        pack(offsets, 100, NULL);
        OK(kd_store_writer_add(w, batch, targets));
        finish(w);
        for (int32_t pread = 0; pread < 2; pread++) {
            kd_store *s = opened(path, pread);
            kd_teacher *t;
            OK(kd_store_get_record(s, 2, &facts));
            ck_assert(facts.first == 0 && facts.positions == 0);
            ck_assert_int_eq(facts.bytes, cases[c].bytes);
            OK(kd_store_read(s, 2, got));
            OK(kd_targets_field(got, "embedding", &values, NULL));
            ck_assert_int_eq(values.dims[0], 1);
            check(&values, 0, 2, cases[c].slack);
            OK(kd_teacher_from_store(&t, s, NULL));
            pack(other, 7, NULL); /* another tokenizer's */
            OK(kd_teacher_read(t, batch, got));
            OK(kd_targets_field(got, "embedding", &values, &present));
            ck_assert(values.dims[0] == S && values.dims[1] == D && !present.data);
            for (int i = 0; i < S; i++) check(&values, i, i, cases[c].slack);
            OK(kd_store_verify(s, NULL));
            kd_teacher_free(t);
            kd_store_free(s);
        }
    }
}
END_TEST

START_TEST(views_and_missing_samples)
{
    const char *path = scratch_path("views.kdt"), *small = scratch_path("compact.kdt");
    const kd_store_field f = embedding(KD_FLOAT32);
    const int64_t second[S] = { 0, 1, 0 };
    const uint8_t has[S] = { 1, 1, 0 };
    kd_store_writer *w = writer_of(path, &f, 1);
    kd_array values, present;
    kd_store_info info = { .struct_size = sizeof info };
    teach(has);
    OK(kd_store_writer_add(w, batch, targets));
    for (int i = 0; i < D; i++) vectors[D + i] += 1;
    pack(offsets, 100, second);
    teach(has);
    OK(kd_store_writer_add(w, batch, targets));
    finish(w);
    kd_store *s = opened(path, 0);
    OK(kd_store_get_info(s, &info));
    ck_assert(info.records == 3 && info.replaced == 1 && info.positions == 0);
    unlink(small);
    OK(kd_store_compact(s, small));
    kd_store_free(s);
    kd_teacher *t = teacher_of(small, KD_MISSING_ABSENT, 0);
    OK(kd_teacher_read(t, batch, got));
    OK(kd_targets_field(got, "embedding", &values, &present));
    ck_assert_mem_eq(present.data, has, sizeof has);
    check(&values, 1, 1, 0);
    for (int i = 0; i < D; i++) ck_assert(((float *)values.data)[2 * D + i] == 0);
    kd_teacher_free(t);
    t = teacher_of(small, KD_MISSING_ERROR, 0);
    FAILS(kd_teacher_read(t, batch, got), KD_ERR_NOT_FOUND, "sample 2 (key");
    kd_teacher_free(t);
    const int64_t third[S] = { 9, 9, 9 };
    pack(offsets, 100, third);
    t = teacher_of(small, KD_MISSING_ABSENT, 1);
    OK(kd_teacher_read(t, batch, got));
    OK(kd_targets_field(got, "embedding", &values, NULL));
    for (int i = 0; i < D; i++) vectors[D + i] -= 1; /* the sample's own */
    check(&values, 1, 1, 1e-6);
    kd_teacher_free(t);
}
END_TEST

START_TEST(where_a_sample_is_a_row_its_vector_is_the_rows)
{
    const char *path = scratch_path("images.kdt");
    const kd_store_field f = embedding(KD_FLOAT32);
    kd_store_writer *w = writer_of(path, &f, 1);
    kd_array es = KD_ARRAY_2D(vectors, KD_FLOAT32, S, D), ks = KD_ARRAY_2D(keys, KD_UINT64, S, 2),
             values;
    OK(kd_batch_begin(batch, S));
    OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
    OK(kd_targets_begin(targets, S));
    OK(kd_targets_set(targets, "embedding", &es, NULL));
    OK(kd_store_writer_add(w, batch, targets));
    finish(w);
    kd_teacher *t = teacher_of(path, KD_MISSING_ERROR, 0);
    OK(kd_teacher_read(t, batch, got));
    OK(kd_targets_field(got, "embedding", &values, NULL));
    ck_assert_mem_eq(values.data, vectors, sizeof vectors);
    kd_teacher_free(t);
}
END_TEST

/* Rows beside the vector: tokens are checked, and a sample may have the one without the other. */
START_TEST(a_record_may_have_rows_and_a_vector)
{
    const char *path = scratch_path("both.kdt");
    float logits[R * 4];
    const uint8_t rows[R] = { 0, 0, 0, 0, 1, 1, 1, 1, 1 }, has[S] = { 1, 0, 1 };
    kd_store_field f[2] = { embedding(KD_FLOAT32), KD_STORE_FIELD_INIT };
    kd_array ls = KD_ARRAY_2D(logits, KD_FLOAT32, R, 4), ps = KD_ARRAY_1D(rows, KD_UINT8, R),
             values, present, lines, there;
    kd_store_record facts = { .struct_size = sizeof facts };
    for (int i = 0; i < R * 4; i++) logits[i] = (float)i;
    f[1].kind = KD_STORE_DENSE;
    f[1].name = "logits";
    f[1].encoding = KD_FLOAT32;
    kd_store_writer *w = writer_of(path, f, 2);
    teach(has);
    OK(kd_targets_set(targets, "logits", &ls, &ps));
    OK(kd_store_writer_add(w, batch, targets));
    finish(w);
    kd_store *s = opened(path, 0);
    OK(kd_store_get_record(s, 0, &facts));
    ck_assert(facts.first == 4 && facts.positions == 0);
    OK(kd_store_read(s, 0, got));
    OK(kd_targets_field(got, "embedding", &values, NULL));
    check(&values, 0, 0, 0);
    kd_store_free(s);
    kd_teacher *t = teacher_of(path, KD_MISSING_ERROR, 0);
    OK(kd_teacher_read(t, batch, got));
    OK(kd_targets_field(got, "embedding", &values, &present));
    OK(kd_targets_field(got, "logits", &lines, &there));
    ck_assert_mem_eq(present.data, has, sizeof has);
    ck_assert_mem_eq(there.data, rows, sizeof rows);
    check(&values, 0, 0, 0);
    check(&values, 2, 2, 0);
    ck_assert_mem_eq((float *)lines.data + 16, logits + 16, 20 * sizeof(float));
    pack(offsets, 101, NULL);
    FAILS(kd_teacher_read(t, batch, got), KD_ERR_MISMATCH, "are not the");
    kd_teacher_free(t);
}
END_TEST

START_TEST(a_projection_keeps_lengths_nearly)
{
    const char *path = scratch_path("projected.kdt");
    kd_store_field f = embedding(KD_FLOAT32);
    f.projection = 400;
    kd_store_writer *w = writer_of(path, &f, 1);
    kd_array values;
    OK(kd_store_writer_add(w, batch, targets));
    finish(w);
    kd_teacher *t = teacher_of(path, KD_MISSING_ERROR, 0);
    OK(kd_teacher_read(t, batch, got));
    OK(kd_targets_field(got, "embedding", &values, NULL));
    ck_assert_int_eq(values.dims[1], 400);
    double before = 0, after = 0;
    for (int i = 0; i < D; i++) before += vectors[i] * vectors[i];
    for (int i = 0; i < 400; i++) after += ((float *)values.data)[i] * ((float *)values.data)[i];
    NEAR(after / before, 1, 0.25);
    kd_teacher_free(t);
}
END_TEST

START_TEST(what_is_no_vector_is_refused)
{
    const char *path = scratch_path("refused.kdt");
    kd_store_field f[2] = { embedding(KD_FLOAT16), embedding(KD_FLOAT32) };
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_writer *w;
    float rows[R * D] = { 0 };
    kd_array rs = KD_ARRAY_2D(rows, KD_FLOAT32, R, D), es = KD_ARRAY_2D(vectors, KD_FLOAT32, S, D);
    kd_store_info info = { .struct_size = sizeof info };
    unlink(path);
    f[0].encoding = KD_BFLOAT16;
    FAILS(kd_store_writer_create(&w, ctx, path, &o, f, 1), KD_ERR_DTYPE, "encoding");
    f[0] = embedding(KD_FLOAT16);
    f[0].width = 0;
    FAILS(kd_store_writer_create(&w, ctx, path, &o, f, 1), KD_ERR_RANGE, "width");
    f[0].width = D;
    w = writer_of(path, f, 1);
    OK(kd_targets_begin(targets, R));
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_NOT_FOUND, "no 'embedding'");
    OK(kd_targets_set(targets, "embedding", &rs, NULL));
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_SHAPE,
          "'embedding' is per row (9), stored is one a sample");
    es.dims[0] = 2;
    OK(kd_targets_set_per_sample(targets, "embedding", &es, NULL));
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_SHAPE, "3 samples, the targets 2");
    vectors[D] = 70000;
    teach(NULL);
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_RANGE, "70000");
    vectors[D] = NAN;
    teach(NULL);
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_NONFINITE, "nan");
    OK(kd_store_writer_begin(w, 8, 8, 0, 0, 5));
    es.dims[0] = 1;
    OK(kd_store_writer_put(w, "embedding", &es));
    FAILS(kd_store_writer_put(w, "embedding", &es), KD_ERR_STATE, "already");
    OK(kd_store_writer_commit(w));
    OK(kd_store_writer_begin(w, 9, 9, 0, 0, 5));
    es.dims[0] = 5;
    FAILS(kd_store_writer_put(w, "embedding", &es), KD_ERR_SHAPE, "expected 1 rows of 24");
    pack_without_keys();
    vectors[D] = 1;
    teach(NULL);
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_STATE, "sample 0 of the batch has no key");
    pack(offsets, 100, NULL);
    teach(NULL);
    finish(w);
    kd_store *s = opened(path, 0);
    OK(kd_store_get_info(s, &info));
    ck_assert_int_eq(info.records, 2); /* sample 0, which was before the bad one, and the last */
    kd_store_free(s);

    f[1].kind = KD_STORE_VECTORS; /* and the other way round */
    w = writer_of(path, f + 1, 1);
    vectors[D] = 1;
    teach(NULL);
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_SHAPE,
          "'embedding' is per sample (3), stored is one a row");
    finish(w);
}
END_TEST

static void put32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t crc32_of(const uint8_t *bytes, int64_t size)
{
    uint32_t crc = ~0U;
    for (int64_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
    }
    return ~crc;
}

/* Bytes that no writer makes, with checksums that are right. */
static void mend(uint8_t *record, int64_t size)
{
    put32(record + 48, crc32_of(record + 64, size - 64));
    put32(record + 60, crc32_of(record, 60));
}

START_TEST(bad_bytes_of_a_vector_are_told)
{
    static const struct {
        int at;
        uint32_t value;
        const char *text;
    } cases[] = { { 68, 1, "the flags of an embedding" },
                  { 68, 256, "the flags of an embedding" },
                  { 72, 4 * D - 4, "the size of a part" },
                  { 72, 4 * D + 8, "its directory" },
                  { 72, 0, "the size of a part" } };
    const char *path = scratch_path("bytes.kdt");
    const kd_store_field f = embedding(KD_FLOAT32);
    kd_store_writer *w = writer_of(path, &f, 1);
    kd_store_record facts = { .struct_size = sizeof facts };
    OK(kd_store_writer_add(w, batch, targets));
    finish(w);
    kd_store *s = opened(path, 0);
    OK(kd_store_get_record(s, 1, &facts));
    kd_store_free(s);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        size_t size;
        const char *bad = scratch_path("bad-bytes.kdt");
        uint8_t *bytes = (uint8_t *)read_whole(path, &size);
        put32(bytes + facts.offset + cases[c].at, cases[c].value);
        mend(bytes + facts.offset, facts.bytes);
        write_file(bad, bytes, size);
        for (int32_t pread = 0; pread < 2; pread++) {
            s = opened(bad, pread);
            FAILS(kd_store_read(s, 1, got), KD_ERR_FORMAT, cases[c].text);
            FAILS(kd_store_verify(s, NULL), KD_ERR_FORMAT, "1 of 3 records");
            kd_teacher *t;
            OK(kd_teacher_from_store(&t, s, NULL));
            FAILS(kd_teacher_read(t, batch, got), KD_ERR_FORMAT, "damaged");
            kd_teacher_free(t);
            OK(kd_store_read(s, 2, got));
            kd_store_free(s);
        }
        free(bytes);
    }
}
END_TEST

Suite *store_embedding_suite(void)
{
    Suite *suite = suite_create("store_embedding");
    TCase *tests = tcase_create("store_embedding");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, vectors_come_back_by_key_whatever_the_tokens);
    tcase_add_test(tests, views_and_missing_samples);
    tcase_add_test(tests, where_a_sample_is_a_row_its_vector_is_the_rows);
    tcase_add_test(tests, a_record_may_have_rows_and_a_vector);
    tcase_add_test(tests, a_projection_keeps_lengths_nearly);
    tcase_add_test(tests, what_is_no_vector_is_refused);
    tcase_add_test(tests, bad_bytes_of_a_vector_are_told);
    suite_add_tcase(suite, tests);
    return suite;
}
