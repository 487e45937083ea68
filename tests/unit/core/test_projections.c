/* Projections of a loss: names, widths, starts, a step of an optimizer, checkpoints, files. */
#include "featurekit.h"

enum { ROWS = 6, INPUTS = 5, HIDDEN = 4, TEACHER = 7 };

/* A student with hidden states of HIDDEN numbers beside a teacher's of TEACHER. */
typedef struct {
    kd_model *model;
    kd_optimizer *optimizer;
    kd_checkpoint *checkpoint;
} run;

static float inputs[ROWS * INPUTS];

static void begin_inputs(void)
{
    kd_array xs = KD_ARRAY_2D(inputs, KD_FLOAT32, ROWS, INPUTS),
             ts = KD_ARRAY_2D(side_t, KD_FLOAT32, ROWS, TEACHER);
    fill(inputs, ROWS * INPUTS, 0.9);
    fill(side_t, ROWS * TEACHER, 1.7);
    OK(kd_batch_begin(batch, ROWS));
    OK(kd_batch_set(batch, "inputs", &xs, NULL));
    OK(kd_targets_begin(targets, ROWS));
    OK(kd_targets_set(targets, "hidden.5", &ts, NULL));
}

static kd_term_options layers(void)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.student_output = "hidden.0";
    o.teacher_field = "hidden.5";
    return o;
}

static int32_t add_layers(int32_t kind)
{
    const kd_term_options o = layers();
    int32_t term;
    OK(kd_loss_add(loss, kind, 1, &o, &term));
    return term;
}

static run start(const kd_optimizer_options *o)
{
    run r = { 0 };
    begin_inputs();
    OK(kd_model_create(&r.model, ctx,
                       "{\"model_type\":\"mlp\",\"input_size\":5,\"hidden_sizes\":[4],\"num_"
                       "labels\":3,\"hidden_act\":\"tanh\"}",
                       NULL));
    OK(kd_optimizer_create(&r.optimizer, ctx, KD_OPTIMIZER_ADAMW, o));
    OK(kd_optimizer_add_model(r.optimizer, r.model));
    return r;
}

static void finish(run *r)
{
    kd_checkpoint_free(r->checkpoint);
    kd_optimizer_free(r->optimizer);
    kd_model_free(r->model);
}

static double step_of(run *r, int begin)
{
    kd_loss_result result = { .struct_size = sizeof result };
    if (begin) OK(kd_optimizer_begin_step(r->optimizer, 0.02));
    OK(kd_model_forward(r->model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, r->model, batch, targets, NULL, &result));
    OK(kd_optimizer_step(r->optimizer, 0.02));
    return result.value;
}

START_TEST(a_student_follows_a_wider_teacher_through_a_projection)
{
    run r = start(NULL);
    const int32_t term = add_layers(KD_LOSS_HIDDEN_COSINE);
    add_projection(term, KD_PROJECTION_LINEAR, KD_PROJECTION_START_UNIFORM, NULL);
    OK(kd_model_forward(r.model, batch, KD_MODE_EVALUATE));
    OK(kd_loss_prepare(loss, r.model, targets));
    OK(kd_optimizer_add_loss(r.optimizer, loss));
    const double before = step_of(&r, 0);
    double after = before;
    for (int i = 0; i < 400; i++) after = step_of(&r, i % 2);
    ck_assert_msg(after < 0.1 * before, "%g, then %g", before, after);
    finish(&r);
}
END_TEST

START_TEST(gradients_are_zero_after_a_step)
{
    run r = start(NULL);
    kd_array gradient;
    kd_loss_result result = { .struct_size = sizeof result };
    add_projection(add_layers(KD_LOSS_VARIATIONAL), KD_PROJECTION_LINEAR_BIAS, 0, NULL);
    OK(kd_model_forward(r.model, batch, KD_MODE_TRAIN));
    OK(kd_loss_prepare(loss, r.model, targets));
    OK(kd_optimizer_add_loss(r.optimizer, loss));
    OK(kd_loss_backward(loss, r.model, batch, targets, NULL, &result));
    tensor_named("variance.0", &gradient);
    ck_assert_float_ne(((float *)gradient.data)[0], 0);
    OK(kd_optimizer_step(r.optimizer, 0.1));
    int32_t count;
    OK(kd_loss_tensor_count(loss, &count));
    ck_assert_int_eq(count, 3);
    for (int32_t t = 0; t < count; t++) {
        OK(kd_loss_tensor_gradient(loss, t, &gradient));
        for (int64_t i = 0; i < kd_array_count(&gradient); i++)
            ck_assert_float_eq(((float *)gradient.data)[i], 0);
    }
    finish(&r);
}
END_TEST

/* A group of its own rate, 0: the projection stays, the student moves. */
START_TEST(groups_reach_the_tensors_of_a_loss)
{
    run r = start(NULL);
    kd_group_options still = KD_GROUP_OPTIONS_INIT;
    float before[HIDDEN * TEACHER];
    add_projection(add_layers(KD_LOSS_HIDDEN_COSINE), KD_PROJECTION_LINEAR, 0, "fit");
    OK(kd_model_forward(r.model, batch, KD_MODE_EVALUATE));
    OK(kd_loss_prepare(loss, r.model, targets));
    OK(kd_optimizer_add_loss(r.optimizer, loss));
    still.learning_rate = 0;
    FAILS(kd_optimizer_add_group(r.optimizer, "projection.other.*", &still), KD_ERR_NOT_FOUND,
          "projection.other");
    OK(kd_optimizer_add_group(r.optimizer, "projection.*", &still));
    const kd_array weight = tensor_named("projection.fit.weight", NULL);
    memcpy(before, weight.data, sizeof before);
    const double first = step_of(&r, 0);
    ck_assert_double_ne(first, step_of(&r, 0));
    ck_assert(!memcmp(before, weight.data, sizeof before));
    finish(&r);
}
END_TEST

START_TEST(a_step_that_was_begun_gives_the_bits_of_one_after_the_pass)
{
    float weights[2][HIDDEN * TEACHER];
    for (int begun = 0; begun < 2; begun++) {
        run r = start(NULL);
        kd_loss_free(loss);
        OK(kd_loss_create(&loss, ctx, NULL));
        add_projection(add_layers(KD_LOSS_HIDDEN_COSINE), KD_PROJECTION_LINEAR, 0, "fit");
        OK(kd_model_forward(r.model, batch, KD_MODE_EVALUATE));
        OK(kd_loss_prepare(loss, r.model, targets));
        OK(kd_optimizer_add_loss(r.optimizer, loss));
        for (int i = 0; i < 5; i++) step_of(&r, begun);
        memcpy(weights[begun], tensor_named("projection.fit.weight", NULL).data,
               sizeof weights[begun]);
        finish(&r);
    }
    ck_assert(!memcmp(weights[0], weights[1], sizeof weights[0]));
}
END_TEST

/* ---- how they begin ---- */

static void same_as_without(int32_t kind, int64_t width)
{
    static float without[MOST_NUMBERS];
    kd_loss_result plain, projected;
    fill(side_s, 5 * width, 1.2);
    fill(side_t, 5 * width, 2.3);
    begin_rows(5, width);
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    const int32_t term = add_feature(KD_LOSS_HIDDEN_COSINE);
    OK(run_rows(5, width, without, &plain));
    add_projection(term, kind, KD_PROJECTION_START_IDENTITY, NULL);
    OK(run_rows(5, width, side_ds, &projected));
    ck_assert_double_eq(plain.value, projected.value);
    for (int64_t i = 0; i < 5 * width; i++) ck_assert_float_eq(without[i], side_ds[i]);
}

START_TEST(an_identity_is_no_projection)
{
    for (int32_t kind = KD_PROJECTION_LINEAR; kind <= KD_PROJECTION_ORTHOGONAL; kind++)
        for (int64_t width = 1; width < 40; width += 6) same_as_without(kind, width);
}
END_TEST

static void is_orthonormal(const kd_array *w)
{
    const int64_t to = w->dims[0], from = w->dims[1], n = to < from ? to : from;
    const float *x = w->data;
    for (int64_t a = 0; a < n; a++)
        for (int64_t b = 0; b < n; b++) {
            double dot = 0;
            for (int64_t k = 0; k < (to < from ? from : to); k++)
                dot += to < from ? (double)x[a * from + k] * x[b * from + k]
                                 : (double)x[k * from + a] * x[k * from + b];
            NEAR(dot, a == b, 1e-5);
        }
}

START_TEST(an_orthogonal_start_is_orthonormal)
{
    static const int64_t widths[][2] = { { 1, 1 }, { 3, 8 }, { 8, 3 }, { 17, 17 }, { 40, 33 } };
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (int32_t kind = 0; kind < 2; kind++) {
            char name[16];
            snprintf(name, sizeof name, "%zu.%d", i, kind);
            o.name = name;
            o.kind = kind ? KD_PROJECTION_ORTHOGONAL : KD_PROJECTION_LINEAR;
            o.start = kind ? KD_PROJECTION_START_UNIFORM : KD_PROJECTION_START_ORTHOGONAL;
            o.from = widths[i][0];
            o.to = widths[i][1];
            OK(kd_loss_set_projection(loss, add_feature(KD_LOSS_HIDDEN_COSINE), &o));
            kd_array w;
            OK(kd_loss_tensor(loss, (int32_t)(2 * i) + kind, NULL, &w));
            is_orthonormal(&w);
        }
}
END_TEST

START_TEST(an_orthogonal_projection_stays_so)
{
    run r = start(NULL);
    add_projection(add_layers(KD_LOSS_HIDDEN_COSINE), KD_PROJECTION_ORTHOGONAL, 0, "fit");
    OK(kd_model_forward(r.model, batch, KD_MODE_EVALUATE));
    OK(kd_loss_prepare(loss, r.model, targets));
    OK(kd_optimizer_add_loss(r.optimizer, loss));
    const double first = step_of(&r, 0);
    double last = first;
    for (int i = 0; i < 100; i++) last = step_of(&r, 0);
    OK(kd_model_forward(r.model, batch, KD_MODE_EVALUATE));
    OK(kd_loss_forward(loss, r.model, batch, targets, NULL, NULL)); /* a pass begins */
    const kd_array w = tensor_named("projection.fit.weight", NULL);
    is_orthonormal(&w);
    ck_assert(last < first);
    finish(&r);
}
END_TEST

START_TEST(uniform_starts_keep_to_their_bound_and_follow_the_name)
{
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    o.from = 100;
    o.to = 30;
    OK(kd_loss_set_projection(loss, add_feature(KD_LOSS_HIDDEN_COSINE), &o));
    OK(kd_loss_set_projection(loss, add_feature(KD_LOSS_HIDDEN_COSINE), &o));
    const float *a = tensor_named("projection.term.0.weight", NULL).data;
    const float *b = tensor_named("projection.term.1.weight", NULL).data;
    double mean = 0, square = 0;
    for (int i = 0; i < 3000; i++) {
        ck_assert(fabs(a[i]) <= 0.1);
        mean += a[i] / 3000;
        square += a[i] * a[i] / 3000;
    }
    NEAR(mean, 0, 0.005);
    NEAR(square, 0.01 / 3, 2e-4);
    ck_assert(memcmp(a, b, 3000 * sizeof *a) != 0);
}
END_TEST

/* ---- shared by name ---- */

START_TEST(terms_of_one_name_share_the_parameters)
{
    static float alone[2][MOST_NUMBERS];
    kd_array gradient;
    int32_t count;
    kd_loss_result result;
    fill(side_s, 5 * 4, 1.2);
    fill(side_t, 5 * 6, 2.3);
    begin_rows(5, 6);
    for (int i = 0; i < 2; i++)
        add_projection(add_feature(KD_LOSS_HIDDEN_COSINE + i), KD_PROJECTION_LINEAR, 0, "fit");
    for (int i = 0; i < 2; i++) {
        OK(kd_loss_set(loss, i, KD_TERM_WEIGHT, 1));
        OK(kd_loss_set(loss, 1 - i, KD_TERM_WEIGHT, 0));
        OK(run_rows(5, 4, side_ds, &result));
        OK(kd_loss_tensor_gradient(loss, 0, &gradient));
        memcpy(alone[i], gradient.data, 24 * sizeof(float));
        OK(kd_loss_zero_gradients(loss));
    }
    for (int i = 0; i < 2; i++) OK(kd_loss_set(loss, i, KD_TERM_WEIGHT, 1));
    OK(kd_loss_tensor_count(loss, &count));
    ck_assert_int_eq(count, 1);
    OK(run_rows(5, 4, side_ds, &result));
    for (int i = 0; i < 24; i++) NEAR(((float *)gradient.data)[i], alone[0][i] + alone[1][i], 1e-6);
    OK(run_rows(5, 4, side_ds, &result)); /* calls add up */
    for (int i = 0; i < 24; i++)
        NEAR(((float *)gradient.data)[i], 2 * (alone[0][i] + alone[1][i]), 1e-6);
}
END_TEST

/* ---- files ---- */

START_TEST(tensors_are_saved_and_loaded)
{
    const char *path = scratch_path("projections.safetensors");
    float before[2][64];
    kd_loss_result first, second;
    kd_array a;
    fill(side_s, 5 * 4, 1.2);
    fill(side_t, 5 * 6, 2.3);
    begin_rows(5, 6);
    for (int again = 0; again < 2; again++) {
        kd_loss_free(loss);
        OK(kd_loss_create(&loss, ctx, NULL));
        add_projection(add_feature(KD_LOSS_VARIATIONAL), KD_PROJECTION_MLP, 0, again ? "x" : "x");
        if (again) OK(kd_loss_load_tensors(loss, path)); /* widths that are open take the file's */
        OK(run_rows(5, 4, NULL, again ? &second : &first));
        a = tensor_named("projection.x.2.weight", NULL);
        if (!again) {
            for (int i = 0; i < 48; i++) ((float *)a.data)[i] += 0.1f;
            OK(run_rows(5, 4, NULL, &first));
            OK(kd_loss_save_tensors(loss, path));
        }
        memcpy(before[again], a.data, 48 * sizeof(float));
    }
    ck_assert(!memcmp(before[0], before[1], 48 * sizeof(float)));
    ck_assert_double_eq(first.value, second.value);
}
END_TEST

START_TEST(a_file_of_other_tensors_is_refused)
{
    const char *path = scratch_path("others.safetensors");
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    FAILS(kd_loss_save_tensors(loss, path), KD_ERR_STATE, "the loss has no tensors");
    o.name = "x";
    o.from = 3;
    o.to = 4;
    OK(kd_loss_set_projection(loss, add_feature(KD_LOSS_HIDDEN_COSINE), &o));
    OK(kd_loss_save_tensors(loss, path));
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    o.to = 5;
    OK(kd_loss_set_projection(loss, add_feature(KD_LOSS_HIDDEN_COSINE), &o));
    FAILS(kd_loss_load_tensors(loss, path), KD_ERR_SHAPE,
          "'projection.x.weight': expected 5 x 3 numbers, got 4 x 3");
    o.name = "y";
    OK(kd_loss_set_projection(loss, add_feature(KD_LOSS_HIDDEN_COSINE), &o));
    FAILS(kd_loss_load_tensors(loss, scratch_path("none.safetensors")), KD_ERR_NOT_FOUND, "none");
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_set_projection(loss, add_feature(KD_LOSS_HIDDEN_COSINE), &o));
    FAILS(kd_loss_load_tensors(loss, path), KD_ERR_NOT_FOUND, "no tensor 'projection.y.weight'");
    write_file(path, "not a file of tensors", 21);
    FAILS(kd_loss_load_tensors(loss, path), KD_ERR_FORMAT, "");
}
END_TEST

/* Layers of 1 x 100000 and 100000 x 1 would be an MLP of 20 billion numbers. */
START_TEST(layers_that_do_not_fit_together_make_nothing)
{
    const char *path = scratch_path("layers.safetensors");
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    o.from = 100000;
    o.to = 1;
    o.name = "x.0";
    OK(kd_loss_set_projection(loss, add_feature(KD_LOSS_HIDDEN_COSINE), &o));
    o.name = "x.2";
    OK(kd_loss_set_projection(loss, add_feature(KD_LOSS_HIDDEN_COSINE), &o));
    OK(kd_loss_save_tensors(loss, path));
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    add_projection(add_feature(KD_LOSS_HIDDEN_COSINE), KD_PROJECTION_MLP, 0, "x");
    OK(kd_context_get_info(ctx, &before));
    OK(kd_loss_load_tensors(loss, path)); /* the width stays open */
    OK(kd_context_get_info(ctx, &after));
    ck_assert(after.peak_bytes < before.peak_bytes + 10000000);
}
END_TEST

static void checkpoint_of(run *r)
{
    OK(kd_checkpoint_create(&r->checkpoint, ctx, NULL));
    OK(kd_checkpoint_add_model(r->checkpoint, "student", r->model));
    OK(kd_checkpoint_add_optimizer(r->checkpoint, "optimizer", r->optimizer));
    OK(kd_checkpoint_add_loss(r->checkpoint, "loss", loss));
}

static run start_whole(void)
{
    run r = start(NULL);
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    add_projection(add_layers(KD_LOSS_VARIATIONAL), KD_PROJECTION_MLP, 0, "fit");
    add_projection(add_layers(KD_LOSS_HIDDEN_COSINE), KD_PROJECTION_ORTHOGONAL, 0, NULL);
    OK(kd_model_forward(r.model, batch, KD_MODE_EVALUATE));
    OK(kd_loss_prepare(loss, r.model, targets));
    OK(kd_optimizer_add_loss(r.optimizer, loss));
    checkpoint_of(&r);
    return r;
}

START_TEST(a_resumed_run_gives_the_same_bits)
{
    const char *path = scratch_path("projections.kd");
    float kept[64];
    run r = start_whole();
    for (int i = 0; i < 4; i++) step_of(&r, 0);
    OK(kd_checkpoint_save(r.checkpoint, path));
    double straight = 0;
    for (int i = 0; i < 3; i++) straight = step_of(&r, 0);
    memcpy(kept, tensor_named("variance.0", NULL).data, TEACHER * sizeof *kept);
    finish(&r);
    r = start_whole();
    OK(kd_checkpoint_load(r.checkpoint, path));
    double resumed = 0;
    for (int i = 0; i < 3; i++) resumed = step_of(&r, 0);
    ck_assert_double_eq(straight, resumed);
    ck_assert(!memcmp(kept, tensor_named("variance.0", NULL).data, TEACHER * sizeof *kept));
    finish(&r);
}
END_TEST

START_TEST(a_checkpoint_keeps_gradients_that_wait_for_a_step)
{
    const char *path = scratch_path("waiting.kd");
    kd_loss_result result = { .struct_size = sizeof result };
    float kept[64];
    run r = start_whole();
    OK(kd_model_forward(r.model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, r.model, batch, targets, NULL, &result));
    OK(kd_checkpoint_save(r.checkpoint, path));
    OK(kd_optimizer_step(r.optimizer, 0.02));
    memcpy(kept, tensor_named("variance.0", NULL).data, TEACHER * sizeof *kept);
    finish(&r);
    r = start_whole();
    OK(kd_checkpoint_load(r.checkpoint, path));
    OK(kd_optimizer_step(r.optimizer, 0.02));
    ck_assert(!memcmp(kept, tensor_named("variance.0", NULL).data, TEACHER * sizeof *kept));
    finish(&r);
}
END_TEST

START_TEST(a_checkpoint_of_another_loss_is_refused)
{
    const char *path = scratch_path("other.kd");
    kd_checkpoint *checkpoint;
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    for (int wider = 0; wider < 3; wider++) {
        kd_loss_free(loss);
        OK(kd_loss_create(&loss, ctx, NULL));
        const int32_t term = add_feature(KD_LOSS_HIDDEN_COSINE);
        o.from = 3;
        o.to = 4 + wider;
        if (wider < 2) OK(kd_loss_set_projection(loss, term, &o));
        OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
        OK(kd_checkpoint_add_loss(checkpoint, "loss", loss));
        if (!wider) OK(kd_checkpoint_save(checkpoint, path));
        else
            FAILS(kd_checkpoint_load(checkpoint, path), KD_ERR_MISMATCH,
                  wider == 1 ? "expected tensor 'projection.term.0.weight' (5 x 3), the file has "
                               "'projection.term.0.weight' (4 x 3)"
                             : "it holds 1 tensors of the loss, this one has 0");
        kd_checkpoint_free(checkpoint);
    }
}
END_TEST

START_TEST(widths_that_are_open_take_the_checkpoints)
{
    const char *path = scratch_path("widths.kd");
    float kept[12];
    kd_checkpoint *checkpoint;
    for (int again = 0; again < 2; again++) {
        kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
        kd_loss_free(loss);
        OK(kd_loss_create(&loss, ctx, NULL));
        o.from = again ? 0 : 3;
        o.to = again ? 0 : 4;
        OK(kd_loss_set_projection(loss, add_feature(KD_LOSS_HIDDEN_COSINE), &o));
        if (!again) fill(tensor_named("projection.term.0.weight", NULL).data, 12, 3.3);
        OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
        OK(kd_checkpoint_add_loss(checkpoint, "loss", loss));
        OK(again ? kd_checkpoint_load(checkpoint, path) : kd_checkpoint_save(checkpoint, path));
        kd_checkpoint_free(checkpoint);
        const float *now = tensor_named("projection.term.0.weight", NULL).data;
        if (again) ck_assert(!memcmp(kept, now, sizeof kept));
        memcpy(kept, now, sizeof kept);
    }
}
END_TEST

/* ---- what is refused ---- */

START_TEST(options_are_checked)
{
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    const int32_t term = add_feature(KD_LOSS_HIDDEN_COSINE);
    int32_t hard;
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, &hard));
    FAILS(kd_loss_set_projection(loss, hard, &o), KD_ERR_INVALID,
          "cross-entropy (term 1) takes no projection");
    FAILS(kd_loss_set_projection(loss, 7, &o), KD_ERR_RANGE,
          "term: got 7, but the loss has 2 terms");
    o.kind = 9;
    FAILS(kd_loss_set_projection(loss, term, &o), KD_ERR_INVALID, "kind: expected 1 to 4, got 9");
    o.kind = KD_PROJECTION_LINEAR;
    o.start = -1;
    FAILS(kd_loss_set_projection(loss, term, &o), KD_ERR_INVALID, "start: expected 0 to 2, got -1");
    o.start = 0;
    o.from = -3;
    FAILS(kd_loss_set_projection(loss, term, &o), KD_ERR_RANGE, "got from -3");
    o.from = 0;
    o.name = "a name of fifty-three bytes, which is longer than fits";
    FAILS(kd_loss_set_projection(loss, term, &o), KD_ERR_INVALID,
          "expected a name of at most 63 bytes");
    o.name = NULL;
    OK(kd_loss_set_projection(loss, term, &o));
    FAILS(kd_loss_set_projection(loss, term, &o), KD_ERR_STATE, "has the projection 'term.0'");
}
END_TEST

START_TEST(names_are_shared_by_equal_projections_alone)
{
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    int32_t count;
    for (int i = 0; i < 3; i++) add_feature(KD_LOSS_HIDDEN_COSINE);
    o.name = "fit";
    o.from = 4;
    o.to = 6;
    OK(kd_loss_set_projection(loss, 0, &o));
    o.to = 8;
    FAILS(kd_loss_set_projection(loss, 2, &o), KD_ERR_MISMATCH,
          "projection 'fit' (of term 0) maps 4 to 6 numbers, term 2 needs 4 to 8");
    o.to = 6;
    o.kind = KD_PROJECTION_MLP;
    FAILS(kd_loss_set_projection(loss, 2, &o), KD_ERR_MISMATCH, "'fit': term 0 has it with kind 1");
    o.kind = KD_PROJECTION_LINEAR;
    o.from = o.to = 0;
    OK(kd_loss_set_projection(loss, 2, &o));
    OK(kd_loss_tensor_count(loss, &count));
    ck_assert_int_eq(count, 1);
}
END_TEST

START_TEST(widths_that_differ_need_a_projection)
{
    kd_loss_result result;
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    fill(side_s, 20, 1.2);
    fill(side_t, 30, 2.3);
    begin_rows(5, 6);
    add_feature(KD_LOSS_HIDDEN_COSINE);
    FAILS(
        run_rows(5, 4, NULL, &result), KD_ERR_SHAPE,
        "hidden cosine: the student's 'hidden' has 4 numbers, the teacher's 'hidden' has 6: set a "
        "projection");
    kd_term_options t = KD_TERM_OPTIONS_INIT;
    t.student_output = t.teacher_field = "hidden";
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_MEAN_SQUARED_ERROR, 1, &t, NULL));
    FAILS(run_rows(5, 4, NULL, &result), KD_ERR_SHAPE, "has 6: set a projection");
    o.from = 3;
    OK(kd_loss_set_projection(loss, 0, &o));
    FAILS(run_rows(5, 4, NULL, &result), KD_ERR_SHAPE,
          "projection 'term.0' maps 3 to any numbers, term 0 needs 4 to 6");
}
END_TEST

/* A host may always add its loss: one without projections has nothing to learn, and gets none. */
START_TEST(a_loss_without_parameters_adds_none)
{
    run r = start(NULL);
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    add_layers(KD_LOSS_GRAM);
    OK(kd_optimizer_add_loss(r.optimizer, loss));
    FAILS(kd_optimizer_add_loss(r.optimizer, loss), KD_ERR_INVALID, "already");
    FAILS(kd_loss_set_projection(loss, 0, &o), KD_ERR_STATE, "an optimizer has the loss");
    OK(kd_model_forward(r.model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, r.model, batch, targets, NULL, NULL));
    OK(kd_optimizer_step(r.optimizer, 1e-3));
    finish(&r);
}
END_TEST

START_TEST(an_optimizer_needs_all_widths)
{
    run r = start(NULL);
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    add_projection(add_layers(KD_LOSS_HIDDEN_COSINE), KD_PROJECTION_LINEAR, 0, NULL);
    add_layers(KD_LOSS_HIDDEN_COSINE);
    FAILS(kd_optimizer_add_loss(r.optimizer, loss), KD_ERR_STATE,
          "widths are open: give the projection from and to, or call kd_loss_prepare");
    FAILS(kd_loss_prepare(loss, NULL, targets), KD_ERR_INVALID, "'hidden.0' is open: give a model");
    FAILS(kd_loss_prepare(loss, r.model, targets), KD_ERR_STATE, "");
    OK(kd_model_forward(r.model, batch, KD_MODE_EVALUATE));
    FAILS(kd_loss_prepare(loss, r.model, NULL), KD_ERR_INVALID, "give targets");
    OK(kd_loss_prepare(loss, r.model, targets));
    OK(kd_optimizer_add_loss(r.optimizer, loss));
    FAILS(kd_optimizer_add_loss(r.optimizer, loss), KD_ERR_INVALID, "already");
    FAILS(kd_loss_set_projection(loss, 1, &o), KD_ERR_STATE, "an optimizer has the loss");
    finish(&r);
    OK(kd_loss_set_projection(loss, 1, &o)); /* it has gone */
}
END_TEST

Suite *projections_suite(void)
{
    Suite *suite = suite_create("projections");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_student_follows_a_wider_teacher_through_a_projection);
    tcase_add_test(tests, gradients_are_zero_after_a_step);
    tcase_add_test(tests, groups_reach_the_tensors_of_a_loss);
    tcase_add_test(tests, a_step_that_was_begun_gives_the_bits_of_one_after_the_pass);
    tcase_add_test(tests, an_identity_is_no_projection);
    tcase_add_test(tests, an_orthogonal_start_is_orthonormal);
    tcase_add_test(tests, an_orthogonal_projection_stays_so);
    tcase_add_test(tests, uniform_starts_keep_to_their_bound_and_follow_the_name);
    tcase_add_test(tests, terms_of_one_name_share_the_parameters);
    tcase_add_test(tests, tensors_are_saved_and_loaded);
    tcase_add_test(tests, a_file_of_other_tensors_is_refused);
    tcase_add_test(tests, layers_that_do_not_fit_together_make_nothing);
    tcase_add_test(tests, a_resumed_run_gives_the_same_bits);
    tcase_add_test(tests, a_checkpoint_keeps_gradients_that_wait_for_a_step);
    tcase_add_test(tests, a_checkpoint_of_another_loss_is_refused);
    tcase_add_test(tests, widths_that_are_open_take_the_checkpoints);
    tcase_add_test(tests, options_are_checked);
    tcase_add_test(tests, names_are_shared_by_equal_projections_alone);
    tcase_add_test(tests, widths_that_differ_need_a_projection);
    tcase_add_test(tests, a_loss_without_parameters_adds_none);
    tcase_add_test(tests, an_optimizer_needs_all_widths);
    suite_add_tcase(suite, tests);
    return suite;
}
