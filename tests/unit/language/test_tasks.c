/* Teachers of several tasks as one: a live language model, a store and arrays, whose fields have
 * the same names, beside each of them alone. */
#include "unit.h"

#include <unistd.h>

#define DECODER(layers)                                                                            \
    "{\"model_type\":\"llama\",\"vocab_size\":40,\"hidden_size\":16,\"intermediate_size\":24,"     \
    "\"num_hidden_layers\":" #layers ",\"num_attention_heads\":2,\"max_position_embeddings\":64}"

enum { SAMPLES = 4, ROWS = 30, WIDTH = 16, MEMBERS = 3 };
static const int64_t offsets[SAMPLES + 1] = { 0, 9, 10, 22, ROWS };
static uint64_t keys[SAMPLES][2] = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 1 } };

static kd_context *ctx;
static kd_model *model[3]; /* the student, a live teacher, one that filled a store */
static kd_teacher *member[MEMBERS], *tasks;
static kd_batch *batch;
static kd_targets *targets;
static int64_t tokens[ROWS];
static float embeddings[2][WIDTH];
static const char *const names[MEMBERS] = { "live", "store", "topic" };

static void pack(kd_batch *to, int64_t samples)
{
    kd_array os = KD_ARRAY_1D(offsets, KD_INT64, samples + 1),
             ts = KD_ARRAY_1D(tokens, KD_INT64, offsets[samples]),
             ks = KD_ARRAY_2D(keys, KD_UINT64, samples, 2);
    OK(kd_batch_begin_packed(to, &os));
    OK(kd_batch_set(to, "tokens", &ts, NULL));
    OK(kd_batch_set_samples(to, NULL, &ks, NULL));
}

/* It knows the first two samples. */
static kd_teacher *store_teacher(void)
{
    const char *path = scratch_path("tasks.kdt");
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_teacher_options missing = KD_TEACHER_OPTIONS_INIT;
    kd_store_writer *w;
    kd_teacher *live, *made;
    o.vocabulary = 40;
    f.kind = KD_STORE_TOPK;
    f.name = "logits";
    f.k = 7;
    unlink(path);
    OK(kd_teacher_from_model(&live, model[2], NULL));
    pack(batch, 2);
    OK(kd_teacher_read(live, batch, targets));
    OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
    OK(kd_store_writer_add(w, batch, targets));
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    kd_teacher_free(live);
    missing.missing = KD_MISSING_ABSENT;
    OK(kd_teacher_open(&made, ctx, path, &missing));
    return made;
}

/* It knows samples 1 and 2: labels and vectors of samples. */
static kd_teacher *array_teacher(void)
{
    static const int64_t labels[2] = { 1, 0 };
    kd_teacher_options o = KD_TEACHER_OPTIONS_INIT;
    kd_array ks = KD_ARRAY_2D(keys[1], KD_UINT64, 2, 2),
             vs = KD_ARRAY_2D(embeddings, KD_FLOAT32, 2, WIDTH),
             ys = KD_ARRAY_1D(labels, KD_INT64, 2);
    kd_teacher *made;
    o.lookup = KD_LOOKUP_KEY;
    o.missing = KD_MISSING_ABSENT;
    OK(kd_teacher_create(&made, ctx, &ks, &o));
    OK(kd_teacher_add(made, "logits", &vs));
    OK(kd_teacher_add(made, "label", &ys));
    return made;
}

static void setup(void)
{
    ctx = make_context(2);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    for (int i = 0; i < ROWS; i++) tokens[i] = (i * 17 + 3) % 40;
    for (int i = 0; i < 2 * WIDTH; i++) embeddings[i / WIDTH][i % WIDTH] = sinf(0.9f * (float)i);
    static const char *const configs[3] = { DECODER(1), DECODER(2), DECODER(3) };
    for (int i = 0; i < 3; i++) OK(kd_model_create(&model[i], ctx, configs[i], NULL));
    OK(kd_teacher_from_model(&member[0], model[1], NULL));
    member[1] = store_teacher();
    member[2] = array_teacher();
    OK(kd_teacher_from_tasks(&tasks, ctx, member, names, MEMBERS));
    pack(batch, SAMPLES);
}

static void teardown(void)
{
    kd_teacher_free(tasks);
    for (int i = 0; i < MEMBERS; i++) kd_teacher_free(member[i]);
    for (int i = 0; i < 3; i++) kd_model_free(model[i]);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

START_TEST(each_field_is_that_of_its_teacher)
{
    kd_targets *alone;
    kd_array got[4], want[4], present, same;
    OK(kd_targets_create(&alone, ctx, NULL));
    OK(kd_teacher_read(tasks, batch, targets));
    FAILS(kd_targets_field(targets, "logits", &got[0], NULL), KD_ERR_NOT_FOUND, "logits");
    OK(kd_teacher_read(member[2], batch, alone));
    OK(kd_targets_field(targets, "logits.topic", &got[0], &present));
    OK(kd_targets_field(alone, "logits", &want[0], &same));
    ck_assert(got[0].rank == 2 && got[0].dims[0] == SAMPLES && got[0].dims[1] == WIDTH);
    ck_assert_mem_eq(got[0].data, want[0].data, sizeof(float) * SAMPLES * WIDTH);
    ck_assert_mem_eq(present.data, ((const uint8_t[SAMPLES]){ 0, 1, 1, 0 }), SAMPLES);
    OK(kd_targets_field(targets, "label.topic", &got[0], NULL));
    ck_assert_int_eq(((const int64_t *)got[0].data)[1], 1);
    OK(kd_teacher_read(member[1], batch, alone));
    OK(kd_targets_sparse(targets, "logits.store", &got[0], &got[1], &got[2], &got[3], &present));
    OK(kd_targets_sparse(alone, "logits", &want[0], &want[1], &want[2], &want[3], &same));
    ck_assert_int_eq(got[1].dims[0], 7 * offsets[2]);
    ck_assert_mem_eq(got[0].data, want[0].data, sizeof(int64_t) * (ROWS + 1));
    ck_assert_mem_eq(got[1].data, want[1].data, sizeof(uint32_t) * (size_t)got[1].dims[0]);
    ck_assert_mem_eq(got[2].data, want[2].data, sizeof(float) * (size_t)got[1].dims[0]);
    for (int r = 0; r < ROWS; r++)
        ck_assert_int_eq(((const uint8_t *)present.data)[r], r < offsets[2]);
    kd_targets_free(alone);
}
END_TEST

/* Terms of all three teachers; `one` >= 0: only that of one, whose fields have their own names. */
static kd_loss *make_loss(int one)
{
    static const char *const fields[MEMBERS] = { "logits.live", "logits.store", "logits.topic" };
    kd_loss *loss;
    OK(kd_loss_create(&loss, ctx, NULL));
    for (int i = 0; i < MEMBERS; i++) {
        kd_term_options o = KD_TERM_OPTIONS_INIT;
        o.teacher_field = one < 0 ? fields[i] : "logits";
        o.student_output = i < 2 ? "logits" : "pooled";
        if (one < 0 || one == i)
            OK(kd_loss_add(loss, i < 2 ? KD_LOSS_FORWARD_KL : KD_LOSS_MEAN_SQUARED_ERROR, 0.5 + i,
                           &o, NULL));
    }
    return loss;
}

static void run(kd_teacher *teacher, int one, kd_loss_result *result, float *gradients)
{
    kd_loss *loss = make_loss(one);
    kd_array g;
    result->struct_size = sizeof *result;
    OK(kd_model_zero_gradients(model[0]));
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_model_forward(model[0], batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model[0], batch, targets, NULL, result));
    OK(kd_model_gradients(model[0], &g));
    for (int64_t i = 0; i < g.dims[0]; i++) gradients[i] += ((const float *)g.data)[i];
    kd_loss_free(loss);
}

START_TEST(terms_of_several_tasks_are_those_of_each_alone)
{
    static float all[8192], sum[8192];
    const int64_t rows[MEMBERS] = { ROWS, 10, 2 }; /* who is absent is absent there alone */
    kd_loss_result whole, part;
    kd_array g;
    memset(all, 0, sizeof all);
    memset(sum, 0, sizeof sum);
    OK(kd_model_gradients(model[0], &g));
    ck_assert_int_lt(g.dims[0], 8192);
    run(tasks, -1, &whole, all);
    for (int i = 0; i < MEMBERS; i++) {
        run(member[i], i, &part, sum);
        ck_assert(part.sum[0] == whole.sum[i] && part.sum[0] > 0);
        ck_assert_int_eq(part.rows[0], rows[i]);
        ck_assert_int_eq(whole.rows[i], rows[i]);
    }
    for (int64_t i = 0; i < g.dims[0]; i++) NEAR(all[i], sum[i], 1e-5 * (1 + fabs(sum[i])));
}
END_TEST

START_TEST(reading_again_allocates_nothing)
{
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    OK(kd_teacher_read(tasks, batch, targets));
    OK(kd_context_get_info(ctx, &before));
    for (int i = 0; i < 3; i++) OK(kd_teacher_read(tasks, batch, targets));
    OK(kd_context_get_info(ctx, &after));
    ck_assert_uint_eq(after.allocations, before.allocations);
    /* what was a view becomes the host's own field, a larger one, and a view again */
    int64_t ids[4 * ROWS];
    float values[4 * ROWS];
    for (int i = 0; i < 4 * ROWS; i++) ids[i] = i % 4, values[i] = -2;
    kd_array is = KD_ARRAY_2D(ids, KD_INT64, ROWS, 4),
             vs = KD_ARRAY_2D(values, KD_FLOAT32, ROWS, 4), got;
    kd_sparse s = KD_SPARSE_INIT;
    s.ids = &is, s.values = &vs;
    OK(kd_targets_begin(targets, ROWS));
    OK(kd_targets_set_sparse(targets, "logits.store", &s, NULL));
    OK(kd_targets_sparse(targets, "logits.store", NULL, &got, NULL, NULL, NULL));
    ck_assert_int_eq(got.dims[0], 4 * ROWS);
    OK(kd_teacher_read(tasks, batch, targets));
    OK(kd_targets_sparse(targets, "logits.store", NULL, &got, NULL, NULL, NULL));
    ck_assert_int_eq(got.dims[0], 7 * offsets[2]);
}
END_TEST

START_TEST(live_teachers_keep_what_terms_ask_of_them)
{
    kd_teacher *both, *live[2];
    const char *const two[2] = { "a", NULL };
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_array got;
    for (int i = 0; i < 2; i++) OK(kd_teacher_from_model(&live[i], model[1 + i], NULL));
    OK(kd_teacher_from_tasks(&both, ctx, live, two, 2));
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "hidden";
    o.teacher_field = "hidden.0.a";
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    o.teacher_field = "hidden.2";
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    OK(kd_loss_keep_outputs(loss, model[0], both));
    OK(kd_teacher_read(both, batch, targets));
    OK(kd_targets_field(targets, "hidden.0.a", &got, NULL));
    OK(kd_targets_field(targets, "hidden.2", &got, NULL));
    FAILS(kd_targets_field(targets, "hidden.0", &got, NULL), KD_ERR_NOT_FOUND, "hidden.0");
    FAILS(kd_targets_field(targets, "hidden.1.a", &got, NULL), KD_ERR_NOT_FOUND, "hidden.1.a");
    o.teacher_field = "hidden.1.b";
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    FAILS(kd_loss_keep_outputs(loss, NULL, tasks), KD_ERR_NOT_FOUND, "as 'logits.live' does");
    kd_loss_free(loss);
    kd_teacher_free(both);
    for (int i = 0; i < 2; i++) kd_teacher_free(live[i]);
}
END_TEST

START_TEST(names_that_collide_are_refused)
{
    kd_teacher *made = NULL, *nothing[2] = { member[2], NULL };
    const char *const twice[2] = { "a", "a" }, *const dotted[2] = { "a.b", "c" },
                      *const none[2] = { NULL, "" };
    char longest[KD_NAME_BYTES];
    const char *const of_length[1] = { longest };
    FAILS(kd_teacher_from_tasks(&made, ctx, member, twice, 2), KD_ERR_INVALID,
          "'a' is there twice");
    FAILS(kd_teacher_from_tasks(&made, ctx, member, dotted, 2), KD_ERR_INVALID, "without '.'");
    FAILS(kd_teacher_from_tasks(&made, ctx, member, twice, 0), KD_ERR_RANGE, "1 to 1024");
    FAILS(kd_teacher_from_tasks(&made, ctx, nothing, names, 2), KD_ERR_INVALID, "member 1");
    FAILS(kd_teacher_from_tasks(&made, ctx, member, NULL, 2), KD_ERR_INVALID, "names is NULL");
    ck_assert_ptr_null(made);
    OK(kd_teacher_from_tasks(&made, ctx, member + 1, none, 2));
    FAILS(kd_teacher_read(made, batch, targets), KD_ERR_INVALID,
          "two teachers give a field 'logits'");
    kd_teacher_free(made);
    memset(longest, 'x', sizeof longest - 1);
    longest[KD_NAME_BYTES - 1] = 0;
    OK(kd_teacher_from_tasks(&made, ctx, member, of_length, 1));
    FAILS(kd_teacher_read(made, batch, targets), KD_ERR_INVALID, "at most 63 bytes");
    kd_teacher_free(made);
}
END_TEST

Suite *tasks_suite(void)
{
    Suite *suite = suite_create("tasks");
    TCase *tests = tcase_create("tasks");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, each_field_is_that_of_its_teacher);
    tcase_add_test(tests, terms_of_several_tasks_are_those_of_each_alone);
    tcase_add_test(tests, reading_again_allocates_nothing);
    tcase_add_test(tests, live_teachers_keep_what_terms_ask_of_them);
    tcase_add_test(tests, names_that_collide_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
