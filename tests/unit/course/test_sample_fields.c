/* Numbers that travel with texts through a packer. */
#include "unit.h"

static kd_context *ctx;
static kd_packer *packer;
static kd_batch *batch;

static void setup(void)
{
    kd_packer_options o = KD_PACKER_OPTIONS_INIT;
    o.batch_tokens = 12;
    ctx = make_context(1);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_packer_create(&packer, ctx, NULL, &o));
}

static void teardown(void)
{
    kd_packer_free(packer);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* Text i: tokens and key tell its number. */
static kd_status add(int32_t i, const char *extra, double score)
{
    int32_t ids[5];
    kd_record r = KD_RECORD_INIT;
    for (int j = 0; j < 5; j++) ids[j] = i;
    r.ids = ids;
    r.tokens = 1 + i % 5;
    r.key[0] = (uint64_t)i + 1;
    r.line = i + 1;
    r.extra = extra;
    r.score = score;
    return kd_packer_add(packer, &r, 0);
}

START_TEST(numbers_of_records_travel_with_their_texts)
{
    kd_array keys, label, pair, score, present, there;
    int given = 0;
    OK(kd_packer_add_field(packer, "label", KD_INT64, 1));
    OK(kd_packer_add_field(packer, "pair", KD_FLOAT32, 2));
    OK(kd_packer_add_field(packer, "score", KD_FLOAT32, 1));
    for (int32_t i = 0; i < 30; i++) {
        char extra[80], label[40] = "";
        if (i % 3) snprintf(label, sizeof label, ",\"label\":%d", 100 + i);
        snprintf(extra, sizeof extra, "{\"pair\":[%d,0.5]%s}", i, label);
        OK(add(i, extra, i % 2 ? i / 4.0 : NAN));
    }
    while (given < 60) {
        int64_t samples;
        OK(kd_packer_next(packer, batch));
        OK(kd_batch_get_counts(batch, &samples, NULL));
        OK(kd_batch_samples(batch, NULL, &keys, NULL));
        OK(kd_batch_field(batch, "label", &label, &present));
        OK(kd_batch_field(batch, "pair", &pair, NULL));
        OK(kd_batch_field(batch, "score", &score, &there));
        ck_assert(label.dtype == KD_INT64 && pair.dtype == KD_FLOAT32);
        ck_assert(label.dims[0] == samples && pair.dims[0] == samples && pair.dims[1] == 2);
        for (int64_t s = 0; s < samples; s++, given++) {
            const int64_t i = (int64_t)((const uint64_t *)keys.data)[2 * s] - 1;
            const int64_t *y = label.data;
            const float *p = pair.data, *q = score.data;
            ck_assert_int_eq(((const uint8_t *)present.data)[s], i % 3 != 0);
            ck_assert_int_eq(((const uint8_t *)there.data)[s], i % 2);
            if (i % 3) ck_assert_int_eq(y[s], 100 + i);
            ck_assert(p[2 * s] == (float)i && p[2 * s + 1] == 0.5f);
            if (i % 2) ck_assert_float_eq(q[s], (float)i / 4);
        }
    }
}
END_TEST

START_TEST(texts_of_ids_get_numbers_by_a_call)
{
    const int32_t ids[3] = { 1, 2, 3 };
    const int64_t label = 1LL << 60;
    const float pair[2] = { 1, 2 };
    kd_array one = KD_ARRAY_1D(&label, KD_INT64, 1), two = KD_ARRAY_1D(pair, KD_FLOAT32, 2), got,
             present;
    OK(kd_packer_add_field(packer, "label", KD_INT64, 1));
    OK(kd_packer_add_field(packer, "pair", KD_FLOAT32, 2));
    FAILS(kd_packer_set_field(packer, "label", &one), KD_ERR_STATE, "no text");
    OK(kd_packer_add_ids(packer, ids, NULL, 3, NULL, 0));
    OK(kd_packer_set_field(packer, "label", &one));
    FAILS(kd_packer_set_field(packer, "other", &one), KD_ERR_NOT_FOUND, "other");
    FAILS(kd_packer_set_field(packer, "pair", &one), KD_ERR_SHAPE, "expected 2 numbers, got 1");
    two.dims[0] = 1;
    FAILS(kd_packer_set_field(packer, "label", &two), KD_ERR_DTYPE, "expected integers");
    OK(kd_packer_next(packer, batch));
    OK(kd_batch_field(batch, "label", &got, NULL));
    ck_assert_int_eq(*(int64_t *)got.data, label);
    OK(kd_batch_field(batch, "pair", &got, &present));
    ck_assert_int_eq(*(uint8_t *)present.data, 0);
    OK(kd_packer_clear(packer, 0));
    FAILS(kd_packer_set_field(packer, "label", &one), KD_ERR_STATE, "no text");
    OK(kd_packer_add_ids(packer, ids, NULL, 3, NULL, 0)); /* it has nothing of the text before */
    OK(kd_packer_next(packer, batch));
    OK(kd_batch_field(batch, "label", NULL, &present));
    ck_assert_int_eq(*(uint8_t *)present.data, 0);
}
END_TEST

START_TEST(what_is_no_number_is_told_with_its_line)
{
    static const struct {
        const char *extra;
        kd_status status;
        const char *text;
    } cases[] = { { "{\"label\":\"cat\"}", KD_ERR_DTYPE, "line 8: 'label': expected a number" },
                  { "{\"label\":1.5}", KD_ERR_DTYPE, "expected an integer, got 1.5" },
                  { "{\"label\":1e300}", KD_ERR_DTYPE, "expected an integer" },
                  { "{\"label\":[1,2]}", KD_ERR_SHAPE, "expected 1 numbers, got 2" },
                  { "{\"pair\":1}", KD_ERR_SHAPE, "expected 2 numbers, got 1" },
                  { "{\"pair\":[1,[2]]}", KD_ERR_DTYPE, "'pair': expected a number" },
                  { "{\"pair\":[1,1e39]}", KD_ERR_RANGE, "beyond float32" },
                  { "{\"pair\":{}}", KD_ERR_SHAPE, "got 1" },
                  { "{\"pair\":", KD_ERR_FORMAT, "extra" } };
    kd_packer_info info = { .struct_size = sizeof info };
    kd_array label, present;
    OK(kd_packer_add_field(packer, "label", KD_INT64, 1));
    OK(kd_packer_add_field(packer, "pair", KD_FLOAT32, 2));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        FAILS(add(7, cases[i].extra, NAN), cases[i].status, cases[i].text);
    OK(kd_packer_get_info(packer, &info));
    ck_assert_int_eq(info.texts, 0);
    OK(add(0, "{\"label\":true,\"pair\":null}", NAN));
    OK(kd_packer_next(packer, batch));
    OK(kd_batch_field(batch, "label", &label, NULL));
    ck_assert_int_eq(*(int64_t *)label.data, 1);
    OK(kd_batch_field(batch, "pair", NULL, &present));
    ck_assert_int_eq(*(uint8_t *)present.data, 0);
}
END_TEST

START_TEST(fields_are_named_before_texts)
{
    FAILS(kd_packer_add_field(packer, "tokens", KD_INT64, 1), KD_ERR_INVALID, "field of rows");
    FAILS(kd_packer_add_field(packer, "x", KD_UINT8, 1), KD_ERR_DTYPE, "uint8");
    FAILS(kd_packer_add_field(packer, "x", KD_INT64, 0), KD_ERR_RANGE, "width");
    OK(kd_packer_add_field(packer, "x", KD_INT64, 1));
    FAILS(kd_packer_add_field(packer, "x", KD_INT64, 1), KD_ERR_INVALID, "already");
    for (int i = 1; i < 32; i++) {
        char name[8];
        snprintf(name, sizeof name, "x%d", i);
        OK(kd_packer_add_field(packer, name, KD_INT64, 1));
    }
    FAILS(kd_packer_add_field(packer, "y", KD_INT64, 1), KD_ERR_RANGE, "at most 32");
    OK(add(3, "", NAN));
    FAILS(kd_packer_add_field(packer, "y", KD_INT64, 1), KD_ERR_STATE, "before the first text");
}
END_TEST

Suite *sample_fields_suite(void)
{
    Suite *suite = suite_create("sample_fields");
    TCase *tests = tcase_create("sample_fields");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, numbers_of_records_travel_with_their_texts);
    tcase_add_test(tests, texts_of_ids_get_numbers_by_a_call);
    tcase_add_test(tests, what_is_no_number_is_told_with_its_line);
    tcase_add_test(tests, fields_are_named_before_texts);
    suite_add_tcase(suite, tests);
    return suite;
}
