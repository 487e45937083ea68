/* Static students of encoders, and lazy training of static embeddings. */
#include "textkit.h"
#include "unit.h"

#define TEACHER                                                                                    \
    "{\"model_type\":\"bert\",\"vocab_size\":%d,\"hidden_size\":12,\"num_hidden_layers\":2,"       \
    "\"num_attention_heads\":3,\"intermediate_size\":20,\"max_position_embeddings\":16,"           \
    "\"type_vocab_size\":1,\"hidden_act\":\"gelu\",\"hidden_dropout_prob\":0,"                     \
    "\"attention_probs_dropout_prob\":0,\"initializer_range\":0.5}"

#define DECODER                                                                                    \
    "{\"model_type\":\"qwen3\",\"vocab_size\":%d,\"hidden_size\":12,\"num_hidden_layers\":2,"      \
    "\"num_attention_heads\":3,\"head_dim\":4,\"intermediate_size\":20,\"kd_pooling\":\"last\","   \
    "\"architectures\":[\"Qwen3Model\"],\"initializer_range\":0.5}"

static kd_context *ctx;
static kd_tokenizer *tokenizer;
static kd_model *teacher;
static int64_t tokens;

static void setup(void)
{
    char config[600];
    const char *path = scratch_path("static-words.json");
    ctx = make_context(2);
    ck_assert_int_eq(words_tokenizer(path), 0);
    OK(kd_tokenizer_load(&tokenizer, ctx, path));
    OK(kd_tokenizer_vocabulary_size(tokenizer, &tokens));
    snprintf(config, sizeof config, TEACHER, (int)tokens);
    OK(kd_model_create(&teacher, ctx, config, NULL));
}

static void teardown(void)
{
    kd_model_free(teacher);
    kd_tokenizer_free(tokenizer);
    kd_context_free(ctx);
}

/* The student's table (tokens, width). */
static const float *table_of(kd_model *student, int64_t *width)
{
    kd_array t;
    const char *name;
    OK(kd_model_tensor(student, 0, &name, &t));
    ck_assert_str_eq(name, "embedding.weight");
    ck_assert_int_eq(t.dims[0], tokens);
    *width = t.dims[1];
    return t.data;
}

static int is_special(int32_t id)
{
    const char *text;
    int32_t flags;
    return kd_tokenizer_token(tokenizer, id, &text, &flags) != KD_OK || (flags & KD_TOKEN_SPECIAL);
}

START_TEST(axes_are_orthogonal_ordered_and_positive_at_their_largest)
{
    kd_static_options o = KD_STATIC_OPTIONS_INIT;
    kd_model *student;
    int64_t width;
    double last = 1e30;
    o.hidden_size = 5;
    o.sif_coefficient = 0;
    OK(kd_student_create_static(&student, teacher, tokenizer, &o));
    const float *y = table_of(student, &width);
    ck_assert_int_eq(width, 5);
    for (int j = 0; j < 5; j++)
        for (int k = 0; k <= j; k++) {
            double sum = 0;
            float most = 0;
            for (int64_t v = 0; v < tokens; v++) {
                sum += (double)y[v * 5 + j] * y[v * 5 + k];
                if (fabsf(y[v * 5 + j]) > fabsf(most)) most = y[v * 5 + j];
            }
            if (j != k) NEAR(sum, 0, 1e-4);
            if (j == k) ck_assert(sum <= last && most > 0);
            if (j == k) last = sum;
        }
    for (int32_t v = 0; v < tokens; v++)
        for (int k = 0; k < 5 && is_special(v); k++) ck_assert(y[v * 5 + k] == 0);
    kd_model_free(student);
}
END_TEST

/* All axes together keep every distance between tokens. */
static void check_distances(kd_model *of)
{
    kd_static_options o = KD_STATIC_OPTIONS_INIT;
    kd_model *student;
    kd_batch *batch;
    kd_array out;
    int64_t width, offsets[3] = { 0, 3, 6 }, ids[6] = { 2, 5, 3, 2, 8, 3 };
    const kd_array os = KD_ARRAY_1D(offsets, KD_INT64, 3), ts = KD_ARRAY_1D(ids, KD_INT64, 6);
    double mine = 0, theirs = 0;
    o.sif_coefficient = 0;
    o.batch_size = 3;
    OK(kd_student_create_static(&student, of, tokenizer, &o));
    const float *y = table_of(student, &width);
    ck_assert_int_eq(width, 12);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    OK(kd_model_forward(of, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(of, "pooled", &out));
    const float *x = out.data;
    for (int i = 0; i < 12; i++) {
        mine += pow(y[5 * 12 + i] - y[8 * 12 + i], 2);
        theirs += pow(x[i] - x[12 + i], 2);
    }
    NEAR(mine, theirs, 1e-3 * theirs);
    kd_batch_free(batch);
    kd_model_free(student);
}

START_TEST(distances_are_those_of_the_teacher_s_embeddings)
{
    char config[600];
    kd_model *decoder;
    check_distances(teacher);
    snprintf(config, sizeof config, DECODER, (int)tokens);
    OK(kd_model_create(&decoder, ctx, config, NULL));
    check_distances(decoder);
    kd_model_free(decoder);
}
END_TEST

START_TEST(later_tokens_weigh_more)
{
    kd_static_options o = KD_STATIC_OPTIONS_INIT;
    kd_model *plain, *weighted;
    int64_t width, kept = 0, rank = 0;
    double sum = 0;
    o.sif_coefficient = 0;
    OK(kd_student_create_static(&plain, teacher, tokenizer, &o));
    o.sif_coefficient = 1e-2;
    OK(kd_student_create_static(&weighted, teacher, tokenizer, &o));
    const float *x = table_of(plain, &width), *y = table_of(weighted, &width);
    for (int32_t v = 0; v < tokens; v++) kept += !is_special(v);
    for (int64_t r = 0; r < kept; r++) sum += 1 / (double)(r + 2);
    for (int32_t v = 0; v < tokens; v++) {
        if (is_special(v)) continue;
        const double p = 1 / (double)(rank++ + 2) / sum, by = 1e-2 / (1e-2 + p);
        for (int64_t i = 0; i < width; i++)
            NEAR(y[v * width + i], x[v * width + i] * by, 1e-6 + 1e-4 * fabs(x[v * width + i]));
    }
    kd_model_free(plain);
    kd_model_free(weighted);
}
END_TEST

START_TEST(what_cannot_be_made_is_refused)
{
    kd_static_options o = KD_STATIC_OPTIONS_INIT;
    kd_model *student;
    o.output = "hidden";
    FAILS(kd_student_create_static(&student, teacher, tokenizer, &o), KD_ERR_SHAPE,
          "needs one for each");
    o.output = "nothing";
    FAILS(kd_student_create_static(&student, teacher, tokenizer, &o), KD_ERR_NOT_FOUND, "nothing");
    o.output = NULL;
    o.skip = "*";
    FAILS(kd_student_create_static(&student, teacher, tokenizer, &o), KD_ERR_RANGE, "2 tokens");
    o.batch_size = 0;
    FAILS(kd_student_create_static(&student, teacher, tokenizer, &o), KD_ERR_RANGE, "batch_size");
    o.batch_size = 1;
    o.sif_coefficient = NAN;
    FAILS(kd_student_create_static(&student, teacher, tokenizer, &o), KD_ERR_RANGE, "sif_");
    o.sif_coefficient = 0;
    o.hidden_size = -1;
    FAILS(kd_student_create_static(&student, teacher, tokenizer, &o), KD_ERR_RANGE, "hidden_size");
}
END_TEST

START_TEST(the_initializers_of_options_agree)
{
    const kd_static_options macro = KD_STATIC_OPTIONS_INIT;
    kd_static_options made;
    memset(&made, 0xee, sizeof made);
    kd_static_options_init(&made, sizeof made);
    ck_assert_mem_eq(&made, &macro, sizeof made);
}
END_TEST

/* ---- lazy training ---- */

enum { VOCABULARY = 500, WIDTH = 20, TEXTS = 16, LENGTH = 9, STEPS = 8 };

typedef struct {
    kd_context *context;
    kd_model *model;
    kd_optimizer *optimizer;
    kd_checkpoint *checkpoint;
    kd_batch *batch;
} run;

static run run_create(int32_t threads)
{
    static const char config[] =
        "{\"model_type\":\"static_embedding\",\"vocab_size\":500,\"hidden_size\":20,"
        "\"normalize\":true,\"token_weights\":true}";
    run r = { .context = make_context(threads) };
    kd_group_options group = KD_GROUP_OPTIONS_INIT;
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    o.clip_norm = .5;
    group.lazy = 1;
    group.weight_decay = .01;
    OK(kd_model_create(&r.model, r.context, config, NULL));
    OK(kd_optimizer_create(&r.optimizer, r.context, KD_OPTIMIZER_ADAMW, &o));
    OK(kd_optimizer_add_model(r.optimizer, r.model));
    OK(kd_optimizer_add_group(r.optimizer, "*", &group));
    OK(kd_batch_create(&r.batch, r.context, NULL));
    OK(kd_checkpoint_create(&r.checkpoint, r.context, NULL));
    OK(kd_checkpoint_add_model(r.checkpoint, "model", r.model));
    OK(kd_checkpoint_add_optimizer(r.checkpoint, "optimizer", r.optimizer));
    return r;
}

static void run_free(run *r)
{
    kd_checkpoint_free(r->checkpoint);
    kd_batch_free(r->batch);
    kd_optimizer_free(r->optimizer);
    kd_model_free(r->model);
    kd_context_free(r->context);
}

static void run_pass(run *r, int n)
{
    static int64_t ids[TEXTS * LENGTH];
    static float wanted[TEXTS * WIDTH];
    const kd_array ts = KD_ARRAY_2D(ids, KD_INT64, TEXTS, LENGTH),
                   ws = KD_ARRAY_2D(wanted, KD_FLOAT32, TEXTS, WIDTH);
    for (int i = 0; i < TEXTS * LENGTH; i++) ids[i] = (i * i * 7 + n * 131 + i) % VOCABULARY;
    for (int i = 0; i < TEXTS * WIDTH; i++) wanted[i] = (float)((i * 13 + n) % 29 - 14) / 16;
    OK(kd_batch_begin(r->batch, TEXTS));
    OK(kd_batch_set(r->batch, "tokens", &ts, NULL));
    OK(kd_model_forward(r->model, r->batch, KD_MODE_TRAIN));
    OK(kd_model_add_output_gradient(r->model, "embedding", &ws));
    OK(kd_model_backward(r->model));
}

/* Two passes a step. */
static void run_step(run *r, int n)
{
    run_pass(r, 2 * n);
    run_pass(r, 2 * n + 1);
    OK(kd_optimizer_step(r->optimizer, .05));
}

static void run_values(run *r, float *to)
{
    kd_array p;
    OK(kd_model_parameters(r->model, &p));
    memcpy(to, p.data, (size_t)p.dims[0] * sizeof *to);
}

static float expected[VOCABULARY * (WIDTH + 1)], found[VOCABULARY * (WIDTH + 1)];

static void expect(void)
{
    run r = run_create(1);
    for (int n = 0; n < STEPS; n++) run_step(&r, n);
    run_values(&r, expected);
    run_free(&r);
}

START_TEST(lazy_training_gives_the_same_bits_for_any_number_of_threads)
{
    expect();
    run r = run_create(_i);
    for (int n = 0; n < STEPS; n++) run_step(&r, n);
    run_values(&r, found);
    ck_assert_mem_eq(found, expected, sizeof found);
    run_free(&r);
}
END_TEST

/* A view from the start, in the middle, or only looked at once: rows are found by their gradients
 * then, which changes nothing. */
START_TEST(a_host_that_looks_at_gradients_changes_no_bit)
{
    kd_array g;
    expect();
    run r = run_create(2);
    for (int n = 0; n < STEPS; n++) {
        if (n == _i) OK(kd_model_gradients(r.model, &g));
        run_step(&r, n);
    }
    run_values(&r, found);
    ck_assert_mem_eq(found, expected, sizeof found);
    run_free(&r);
}
END_TEST

/* What a host writes into a gradient that no pass reached is taken by the step. */
START_TEST(rows_that_a_host_writes_are_rows_with_gradients)
{
    kd_array g, p;
    run r = run_create(2);
    OK(kd_model_gradients(r.model, &g));
    OK(kd_model_parameters(r.model, &p));
    for (int n = 0; n < 2; n++) {
        run_pass(&r, 0);
        float *row = NULL;
        for (int v = 0; v < VOCABULARY && !row; v++)
            if (((float *)g.data)[v * WIDTH] == 0) row = (float *)g.data + v * WIDTH;
        const float *value = (float *)p.data + (row - (float *)g.data), before = *value;
        row[0] = 1;
        OK(kd_optimizer_step(r.optimizer, .05));
        ck_assert(*value < before);
        run_pass(&r, 0);
        ck_assert(row[0] == 0); /* and the next pass begins from nothing */
        OK(kd_optimizer_step(r.optimizer, .05));
    }
    run_free(&r);
}
END_TEST

/* Between steps, and between the two passes of a step. */
START_TEST(a_checkpoint_resumes_with_the_same_bits)
{
    const char *path = scratch_path("static-lazy.kdc");
    expect();
    run r = run_create(2);
    for (int n = 0; n < 4; n++) run_step(&r, n);
    if (_i) run_pass(&r, 8);
    OK(kd_checkpoint_save(r.checkpoint, path));
    run_free(&r);
    r = run_create(1);
    run_step(&r, 40); /* what is there before is overwritten */
    OK(kd_checkpoint_load(r.checkpoint, path));
    if (_i) run_pass(&r, 9);
    if (_i) OK(kd_optimizer_step(r.optimizer, .05));
    for (int n = 4 + _i; n < STEPS; n++) run_step(&r, n);
    run_values(&r, found);
    ck_assert_mem_eq(found, expected, sizeof found);
    run_free(&r);
}
END_TEST

Suite *static_student_suite(void)
{
    Suite *suite = suite_create("static_student");
    TCase *students = tcase_create("students"), *training = tcase_create("training");
    tcase_add_checked_fixture(students, setup, teardown);
    tcase_add_test(students, axes_are_orthogonal_ordered_and_positive_at_their_largest);
    tcase_add_test(students, distances_are_those_of_the_teacher_s_embeddings);
    tcase_add_test(students, later_tokens_weigh_more);
    tcase_add_test(students, the_initializers_of_options_agree);
    tcase_add_test(students, what_cannot_be_made_is_refused);
    tcase_add_loop_test(training, lazy_training_gives_the_same_bits_for_any_number_of_threads, 2,
                        5);
    tcase_add_loop_test(training, a_host_that_looks_at_gradients_changes_no_bit, 0, 3);
    tcase_add_test(training, rows_that_a_host_writes_are_rows_with_gradients);
    tcase_add_loop_test(training, a_checkpoint_resumes_with_the_same_bits, 0, 2);
    suite_add_tcase(suite, students);
    suite_add_tcase(suite, training);
    return suite;
}
