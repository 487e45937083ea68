/* Tokens hidden for masked language models: how many, which never, and when the same. */
#include "unit.h"

enum { SAMPLES = 40, LENGTH = 250, ROWS = SAMPLES * LENGTH, V = 100, MASK = 3 };

static kd_context *ctx;
static kd_batch *batch;
static int64_t before[ROWS];
static const int32_t special[] = { 1, 2, 0, 2 };

static void setup(void)
{
    ctx = make_context(2);
    OK(kd_batch_create(&batch, ctx, NULL));
}
static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* Texts that begin with 1 and end with 2, the first `count` of them from `first` on. */
static void fill_from(int first, int count)
{
    static int64_t offsets[SAMPLES + 1];
    static uint64_t keys[2 * SAMPLES];
    for (int i = 0; i <= count; i++) offsets[i] = (int64_t)i * LENGTH;
    for (int r = 0; r < count * LENGTH; r++) {
        const int place = r % LENGTH, text = first + r / LENGTH;
        before[r] = !place ? 1 : place == LENGTH - 1 ? 2 : (text * 31 + place * 7) % V;
    }
    for (int i = 0; i < count; i++) keys[2 * i] = (uint64_t)(first + i + 1), keys[2 * i + 1] = 9;
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, count + 1),
             t = KD_ARRAY_1D(before, KD_INT64, (int64_t)count * LENGTH),
             k = KD_ARRAY_2D(keys, KD_UINT64, count, 2);
    OK(kd_batch_begin_packed(batch, &o));
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    OK(kd_batch_set_samples(batch, NULL, &k, NULL));
}

static kd_mask_options options_of(void)
{
    kd_mask_options o = KD_MASK_OPTIONS_INIT;
    o.mask_token = MASK;
    o.vocabulary_size = V;
    o.special_tokens = special;
    o.special_count = 4;
    o.seed = 5;
    return o;
}

static const int64_t *field(const char *name)
{
    kd_array v;
    OK(kd_batch_field(batch, name, &v, NULL));
    ck_assert_int_eq(v.dtype, KD_INT64);
    return v.data;
}

/* Shares of rows, within four standard deviations. */
START_TEST(shares_are_as_asked_and_special_tokens_stay)
{
    kd_mask_options o = options_of();
    double eligible = 0, chosen = 0, hidden = 0, other = 0;
    int64_t seen[V] = { 0 };
    fill_from(0, SAMPLES);
    OK(kd_batch_mask_tokens(batch, &o));
    const int64_t *t = field("tokens"), *y = field("label"), *m = field("mask");
    for (int r = 0; r < ROWS; r++) {
        ck_assert(m[r] ? y[r] == before[r] : y[r] == -100 && t[r] == before[r]);
        if (before[r] <= MASK) {
            ck_assert(!m[r]);
            continue;
        }
        eligible++;
        chosen += (double)m[r];
        hidden += m[r] && t[r] == MASK;
        other += m[r] && t[r] != MASK && t[r] != before[r];
        if (m[r] && t[r] != MASK && t[r] != before[r]) seen[t[r]]++;
    }
    NEAR(chosen / eligible, 0.15, 4 * sqrt(0.15 * 0.85 / eligible));
    NEAR(hidden / chosen, 0.8, 4 * sqrt(0.8 * 0.2 / chosen));
    NEAR(other / chosen, 0.1, 4 * sqrt(0.1 * 0.9 / chosen));
    for (int i = 0; i <= MASK; i++) ck_assert_int_eq(seen[i], 0);
    ck_assert(seen[4] + seen[5] + seen[V - 2] + seen[V - 1] > 0);
}
END_TEST

START_TEST(the_same_sample_is_hidden_the_same_way_in_every_batch)
{
    static int64_t kept[ROWS];
    kd_mask_options o = options_of();
    fill_from(0, SAMPLES);
    OK(kd_batch_mask_tokens(batch, &o));
    memcpy(kept, field("tokens"), sizeof kept);
    fill_from(7, 2);
    OK(kd_batch_mask_tokens(batch, &o));
    ck_assert_mem_eq(field("tokens"), kept + 7 * LENGTH, 2 * LENGTH * sizeof *kept);
    fill_from(7, 2);
    o.epoch = 1;
    OK(kd_batch_mask_tokens(batch, &o));
    ck_assert_mem_ne(field("tokens"), kept + 7 * LENGTH, 2 * LENGTH * sizeof *kept);
    fill_from(7, 2);
    o.epoch = 0;
    o.seed = 6;
    OK(kd_batch_mask_tokens(batch, &o));
    ck_assert_mem_ne(field("tokens"), kept + 7 * LENGTH, 2 * LENGTH * sizeof *kept);
}
END_TEST

/* Without keys: two texts are not hidden at the same places. */
START_TEST(samples_without_keys_draw_by_their_tokens)
{
    static const uint64_t none[2 * SAMPLES];
    static int64_t kept[ROWS];
    const kd_array k = KD_ARRAY_2D(none, KD_UINT64, SAMPLES, 2),
                   one = KD_ARRAY_2D(none, KD_UINT64, 1, 2);
    kd_mask_options o = options_of();
    fill_from(0, SAMPLES);
    OK(kd_batch_set_samples(batch, NULL, &k, NULL));
    OK(kd_batch_mask_tokens(batch, &o));
    memcpy(kept, field("mask"), sizeof kept);
    ck_assert_mem_ne(kept, kept + LENGTH, LENGTH * sizeof *kept);
    fill_from(1, 1);
    OK(kd_batch_set_samples(batch, NULL, &one, NULL));
    OK(kd_batch_mask_tokens(batch, &o));
    ck_assert_mem_eq(kept + LENGTH, field("mask"), LENGTH * sizeof *kept);
}
END_TEST

START_TEST(the_ends_of_shares_and_other_names_work)
{
    kd_mask_options o = options_of();
    fill_from(0, 2);
    o.share = 1;
    o.mask_share = 0;
    o.random_share = 1;
    o.label_field = "was";
    o.mask_field = "hidden";
    OK(kd_batch_mask_tokens(batch, &o));
    for (int r = 0; r < 2 * LENGTH; r++) ck_assert(field("hidden")[r] == (before[r] > MASK));
    for (int r = 0; r < 2 * LENGTH; r++)
        ck_assert(field("was")[r] == (before[r] > MASK ? before[r] : -100));
    fill_from(0, 2);
    o.share = 0;
    OK(kd_batch_mask_tokens(batch, &o));
    ck_assert_mem_eq(field("tokens"), before, 2 * LENGTH * sizeof *before);
    OK(kd_batch_begin(batch, 0));
    OK(kd_batch_mask_tokens(batch, &o));
}
END_TEST

static void refuse(const kd_mask_options *o, kd_status status, const char *text)
{
    fill_from(0, 2);
    FAILS(kd_batch_mask_tokens(batch, o), status, text);
    ck_assert_mem_eq(field("tokens"), before, 2 * LENGTH * sizeof *before);
}

START_TEST(what_does_not_fit_is_refused)
{
    kd_mask_options o = KD_MASK_OPTIONS_INIT;
    refuse(&o, KD_ERR_RANGE, "vocabulary_size: expected 2 to");
    o.vocabulary_size = V;
    refuse(&o, KD_ERR_RANGE, "mask_token: expected 0 to 99 (vocabulary_size), got -1");
    o = options_of();
    o.vocabulary_size = 50;
    refuse(&o, KD_ERR_RANGE, "is not in 0 to 49");
    o = options_of();
    o.share = 1.5;
    refuse(&o, KD_ERR_RANGE, "share: expected 0 to 1, got 1.5");
    o = options_of();
    o.random_share = 0.3;
    refuse(&o, KD_ERR_RANGE, "at most 1 together, got 0.8 and 0.3");
    o = options_of();
    o.special_tokens = NULL;
    refuse(&o, KD_ERR_INVALID, "special_tokens: expected 4 ids");
    o = options_of();
    o.tokens_field = "ids";
    refuse(&o, KD_ERR_NOT_FOUND, "no field 'ids' of tokens");
}
END_TEST

Suite *mask_tokens_suite(void)
{
    Suite *suite = suite_create("mask_tokens");
    TCase *tests = tcase_create("mask_tokens");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, shares_are_as_asked_and_special_tokens_stay);
    tcase_add_test(tests, the_same_sample_is_hidden_the_same_way_in_every_batch);
    tcase_add_test(tests, samples_without_keys_draw_by_their_tokens);
    tcase_add_test(tests, the_ends_of_shares_and_other_names_work);
    tcase_add_test(tests, what_does_not_fit_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
