/* Stores that a live language model fills: through its head, a block of rows at a time. */
#include "unit.h"

#include <malloc.h>
#include <unistd.h>

static const char config[] =
    "{\"model_type\":\"llama\",\"vocab_size\":120,\"hidden_size\":24,\"intermediate_size\":40,"
    "\"num_hidden_layers\":2,\"num_attention_heads\":3,\"max_position_embeddings\":64}";

enum { SAMPLES = 3, ROWS = 50, V = 120, REAL = 111 };
static const int64_t offsets[SAMPLES + 1] = { 0, 20, 21, ROWS };

static kd_context *ctx;
static kd_model *model;
static kd_teacher *live;
static kd_batch *batch;
static kd_targets *targets, *dense, *got[2];

static void setup(void)
{
    static int64_t tokens[ROWS];
    static uint64_t keys[SAMPLES][2] = { { 1, 1 }, { 2, 1 }, { 3, 1 } };
    kd_array os = KD_ARRAY_1D((void *)(uintptr_t)offsets, KD_INT64, SAMPLES + 1),
             ts = KD_ARRAY_1D(tokens, KD_INT64, ROWS);
    kd_array ks = KD_ARRAY_2D(keys, KD_UINT64, SAMPLES, 2);
    ctx = make_context(2);
    for (int i = 0; i < ROWS; i++) tokens[i] = (i * 37 + 5) % V;
    OK(kd_model_create(&model, ctx, config, NULL));
    OK(kd_teacher_from_model(&live, model, NULL));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_targets_create(&dense, ctx, NULL));
    for (int i = 0; i < 2; i++) OK(kd_targets_create(&got[i], ctx, NULL));
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
}

static void teardown(void)
{
    for (int i = 0; i < 2; i++) kd_targets_free(got[i]);
    kd_targets_free(dense);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_teacher_free(live);
    kd_model_free(model);
    kd_context_free(ctx);
}

static kd_store_writer *writer_of(const char *path, int64_t vocabulary, int64_t padded)
{
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f[3] = { KD_STORE_FIELD_INIT, KD_STORE_FIELD_INIT, KD_STORE_FIELD_INIT };
    kd_store_writer *w;
    static const double temperatures[1] = { 2 };
    f[0].kind = KD_STORE_TOPK;
    f[0].name = "logits";
    f[0].k = 12;
    f[1].kind = KD_STORE_COUNTS;
    f[1].name = "draws";
    f[2].kind = KD_STORE_DENSE;
    f[2].name = "whole";
    f[2].source = "logits";
    f[2].encoding = KD_FLOAT32;
    o.vocabulary = vocabulary;
    o.padded_vocabulary = padded;
    o.temperatures = temperatures;
    o.temperature_count = 1;
    o.align = KD_ALIGN_NEXT;
    unlink(path);
    OK(kd_store_writer_create(&w, ctx, path, &o, f, 3));
    return w;
}

static kd_store *filled(const char *path, int64_t vocabulary, int64_t padded, kd_targets *said)
{
    kd_store *store;
    kd_store_writer *w = writer_of(path, vocabulary, padded);
    OK(kd_store_writer_add(w, batch, said));
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    OK(kd_store_open(&store, ctx, &path, 1, NULL));
    return store;
}

static void compare_sparse(const char *field)
{
    kd_array offs[2], ids[2], values[2], tails[2];
    for (int i = 0; i < 2; i++)
        OK(kd_targets_sparse(got[i], field, &offs[i], &ids[i], &values[i], &tails[i], NULL));
    ck_assert_int_eq(ids[0].dims[0], ids[1].dims[0]);
    ck_assert_mem_eq(offs[0].data, offs[1].data, (size_t)offs[0].dims[0] * 8);
    ck_assert_mem_eq(ids[0].data, ids[1].data, (size_t)ids[0].dims[0] * 4);
    for (int64_t i = 0; i < ids[0].dims[0]; i++)
        NEAR(((float *)values[0].data)[i], ((float *)values[1].data)[i], 0.02);
    for (int64_t i = 0; i < tails[0].dims[0] && !strcmp(field, "logits"); i++)
        NEAR(((float *)tails[0].data)[i], ((float *)tails[1].data)[i], 0.009);
}

START_TEST(a_live_language_model_fills_the_store_that_its_dense_logits_fill)
{
    static const int64_t real[2] = { V, REAL };
    for (int i = 0; i < 2; i++) {
        kd_array logits, whole[2];
        kd_store *stores[2];
        OK(kd_teacher_read(live, batch, targets));
        OK(kd_model_output(model, "logits", &logits));
        OK(kd_targets_begin(dense, ROWS));
        OK(kd_targets_set(dense, "logits", &logits, NULL));
        stores[0] = filled(scratch_path("live.kdt"), real[i], V, targets);
        stores[1] = filled(scratch_path("dense.kdt"), real[i], V, dense);
        for (int64_t r = 0; r < SAMPLES; r++) {
            for (int s = 0; s < 2; s++) OK(kd_store_read(stores[s], r, got[s]));
            compare_sparse("logits");
            compare_sparse("draws");
            for (int s = 0; s < 2; s++) OK(kd_targets_field(got[s], "whole", &whole[s], NULL));
            ck_assert_int_eq(whole[0].dims[1], V);
            ck_assert_int_eq(whole[0].dims[0], offsets[r + 1] - offsets[r]);
            for (int64_t e = 0; e < kd_array_count(&whole[0]); e++)
                NEAR(((float *)whole[0].data)[e], ((float *)whole[1].data)[e], 1e-5);
        }
        for (int s = 0; s < 2; s++) kd_store_free(stores[s]);
    }
}
END_TEST

START_TEST(what_the_targets_lack_is_said_once)
{
    kd_store_writer *w = writer_of(scratch_path("lack.kdt"), V, 0);
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    const char *other = scratch_path("lack2.kdt");
    OK(kd_targets_begin(targets, ROWS));
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_NOT_FOUND,
          "field 'logits': the targets have no 'logits': expected sparse rows, dense logits, or "
          "hidden states with a head");
    kd_store_writer_free(w);
    OK(kd_teacher_read(live, batch, targets));
    w = writer_of(scratch_path("lack.kdt"), V + 1, 0);
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_SHAPE,
          "expected logits of 121 classes, got 120");
    kd_store_writer_free(w);
    f.kind = KD_STORE_TOPK;
    f.name = "top";
    o.vocabulary = V;
    unlink(other);
    OK(kd_store_writer_create(&w, ctx, other, &o, &f, 1));
    OK(kd_targets_begin(targets, ROWS));
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_NOT_FOUND, "no 'top' and no 'logits'");
    /* the field's name is free: its source is "logits" */
    OK(kd_teacher_read(live, batch, targets));
    OK(kd_store_writer_add(w, batch, targets));
    kd_store_writer_free(w);
}
END_TEST

/* ---- memory ---- */

typedef struct {
    int64_t live, most;
} memory;

static void *take(void *user, size_t bytes)
{
    memory *m = user;
    void *block = malloc(bytes);
    __atomic_add_fetch(&m->live, (int64_t)malloc_usable_size(block), __ATOMIC_RELAXED);
    if (m->live > m->most) m->most = m->live;
    return block;
}

static void *take_again(void *user, void *block, size_t old_bytes, size_t new_bytes)
{
    (void)user, (void)old_bytes;
    return realloc(block, new_bytes);
}

static void give(void *user, void *block, size_t bytes)
{
    memory *m = user;
    (void)bytes;
    if (block) __atomic_sub_fetch(&m->live, (int64_t)malloc_usable_size(block), __ATOMIC_RELAXED);
    free(block);
}

START_TEST(rows_times_vocabulary_numbers_are_never_held)
{
    enum { MANY = 600, WIDE = 60000, D = 4 };
    memory m = { 0 };
    kd_allocator allocator = { .struct_size = sizeof allocator,
                               .user = &m,
                               .allocate = take,
                               .reallocate = take_again,
                               .release = give };
    kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
    kd_context *own;
    kd_targets *said;
    kd_batch *rows;
    kd_store_writer *w;
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_head h = KD_HEAD_INIT;
    const char *path = scratch_path("wide.kdt");
    uint64_t key[2] = { 4, 4 };
    int64_t ends[2] = { 0, MANY };
    float *weight = malloc(sizeof *weight * WIDE * D), *hidden = malloc(sizeof *hidden * MANY * D);
    kd_array ws = KD_ARRAY_2D(weight, KD_FLOAT32, WIDE, D),
             hs = KD_ARRAY_2D(hidden, KD_FLOAT32, MANY, D);
    kd_array es = KD_ARRAY_1D(ends, KD_INT64, 2), ks = KD_ARRAY_2D(key, KD_UINT64, 1, 2);
    for (int64_t i = 0; i < WIDE * D; i++) weight[i] = (float)((i * 7919) % 1009) / 1009 - 0.5f;
    for (int64_t i = 0; i < MANY * D; i++) hidden[i] = (float)((i * 104729) % 997) / 997 * 8 - 4;
    co.allocator = &allocator;
    co.threads = 2;
    OK(kd_context_create(&own, &co));
    OK(kd_targets_create(&said, own, NULL));
    OK(kd_batch_create(&rows, own, NULL));
    OK(kd_batch_begin_packed(rows, &es));
    OK(kd_batch_set_samples(rows, NULL, &ks, NULL));
    OK(kd_targets_begin(said, MANY));
    OK(kd_targets_set(said, "hidden", &hs, NULL));
    h.weight = &ws;
    OK(kd_targets_borrow_head(said, "logits", "hidden", &h));
    f.kind = KD_STORE_TOPK;
    f.name = "logits";
    f.k = 8;
    o.vocabulary = WIDE;
    unlink(path);
    OK(kd_store_writer_create(&w, own, path, &o, &f, 1));
    OK(kd_store_writer_add(w, rows, said));
    ck_assert_int_lt(m.most, (int64_t)MANY * WIDE * 4 * 3 / 4);
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);

    kd_store *store; /* rows of the first block, of the last one, and at the seam */
    kd_array ids, offs;
    OK(kd_store_open(&store, own, &path, 1, NULL));
    OK(kd_store_read(store, 0, said));
    OK(kd_targets_sparse(said, "logits", &offs, &ids, NULL, NULL, NULL));
    for (int64_t r = 0; r < MANY; r += 7) {
        double best = -1e9;
        int found = 0;
        for (int64_t v = 0; v < WIDE; v++) {
            double z = 0;
            for (int i = 0; i < D; i++) z += (double)hidden[r * D + i] * weight[v * D + i];
            if (z > best + 1e-5) best = z;
        }
        for (int64_t e = 8 * r; e < 8 * r + 8; e++) {
            double z = 0;
            const int64_t v = ((uint32_t *)ids.data)[e];
            for (int i = 0; i < D; i++) z += (double)hidden[r * D + i] * weight[v * D + i];
            found |= fabs(z - best) < 1e-4;
        }
        ck_assert_msg(found, "row %lld", (long long)r);
    }
    kd_store_free(store);
    kd_batch_free(rows);
    kd_targets_free(said);
    kd_context_free(own);
    ck_assert_int_eq(m.live, 0);
    free(weight);
    free(hidden);
}
END_TEST

Suite *live_suite(void)
{
    Suite *suite = suite_create("live");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_live_language_model_fills_the_store_that_its_dense_logits_fill);
    tcase_add_test(tests, what_the_targets_lack_is_said_once);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_set_timeout(slow, 60);
    tcase_add_test(slow, rows_times_vocabulary_numbers_are_never_held);
    suite_add_tcase(suite, slow);
    return suite;
}
