/* Towers: each is its own network, gradients of all that joins them, presence, frozen towers, what
 * is drawn, folders, chunks. */
#include "towerkit.h"

static kd_context *ctx;
static tower_batch all;

static const int nothing_lacks[PAIRS] = { 0 };
static const int some_lack[PAIRS] = {
    0, NO_IMAGE, NO_TEXT | NO_SOUND, NO_SOUND, NO_IMAGE | NO_TEXT | NO_SOUND, NO_TEXT
};

static void setup(void)
{
    ctx = make_context(2);
    memset(&all, 0, sizeof all);
}

static void teardown(void)
{
    kd_batch_free(all.batch);
    kd_context_free(ctx);
}

static kd_model *made(const char *config)
{
    kd_model *model;
    OK(kd_model_create(&model, ctx, config, NULL));
    return model;
}

/* Numbers other than those it began with, of a size that gradients can be measured by. */
static void stir(kd_model *model)
{
    kd_array p;
    OK(kd_model_parameters(model, &p));
    for (int64_t i = 0; i < p.dims[0]; i++) ((float *)p.data)[i] = 0.7f * number_at(3 * i + 1);
}

/* ---- a tower is its network ---- */

/* Copies the tower's tensors into a network of its own. */
static void copy_tower(kd_model *from, const char *prefix, kd_model *to)
{
    char name[128];
    const char *own;
    int32_t count, index;
    OK(kd_model_tensor_count(to, &count));
    for (int32_t i = 0; i < count; i++) {
        kd_array b;
        OK(kd_model_tensor(to, i, &own, &b));
        snprintf(name, sizeof name, "%s%s", prefix, own);
        const kd_array a = tensor_named(from, name, &index);
        memcpy(b.data, a.data, (size_t)kd_array_count(&a) * sizeof(float));
    }
}

START_TEST(an_embedding_is_what_the_tower_alone_gives_projected_to_length_one)
{
    kd_model *model = made(TOWERS(UNIT_LENGTH THREE)),
             *image = made("{\"model_type\":\"mlp\",\"input_size\":8,\"hidden_sizes\":[7],"
                           "\"hidden_act\":\"tanh\",\"num_labels\":6,\"input\":\"pixels\"}");
    kd_array e, x, w;
    int32_t index;
    fill_towers(&all, ctx, 0, PAIRS, nothing_lacks);
    copy_tower(model, "towers.image.", image);
    OK(kd_model_forward(model, all.batch, KD_MODE_EVALUATE));
    OK(kd_model_forward(image, all.batch, KD_MODE_EVALUATE));
    const float *got = output_of(model, "embedding.image", &e);
    const float *from = output_of(image, "logits", &x);
    w = tensor_named(model, "projection.image.weight", &index);
    ck_assert_int_eq(e.dims[0], PAIRS);
    ck_assert_int_eq(e.dims[1], JOINED);
    for (int s = 0; s < PAIRS; s++) {
        double y[JOINED] = { 0 }, size = 0;
        for (int i = 0; i < JOINED; i++) {
            for (int k = 0; k < 6; k++)
                y[i] += (double)((float *)w.data)[i * 6 + k] * from[s * 6 + k];
            size += y[i] * y[i];
        }
        for (int i = 0; i < JOINED; i++) NEAR(got[s * JOINED + i], y[i] / sqrt(size), 1e-6);
    }
    kd_model_free(image);
    kd_model_free(model);
}
END_TEST

/* Frames are pooled: the mean of a sample's rows, as a batch of that sample alone gives it. */
START_TEST(ragged_rows_are_pooled_and_a_sample_alone_is_the_same)
{
    kd_model *model = made(TOWERS(UNIT_LENGTH THREE));
    tower_batch one = { 0 };
    kd_array e, alone;
    fill_towers(&all, ctx, 0, PAIRS, some_lack);
    for (int64_t s = 0; s < PAIRS; s++) {
        static const char *const names[] = { "embedding.image", "embedding.text",
                                             "embedding.sound" };
        fill_towers(&one, ctx, s, 1, some_lack);
        for (int n = 0; n < 3; n++) {
            OK(kd_model_forward(model, all.batch, KD_MODE_EVALUATE));
            const float *of_all = output_of(model, names[n], &e);
            float kept[JOINED];
            memcpy(kept, of_all + s * JOINED, sizeof kept);
            if (some_lack[s] == (NO_IMAGE | NO_TEXT | NO_SOUND)) {
                for (int i = 0; i < JOINED; i++) ck_assert(kept[i] == 0);
                continue;
            }
            OK(kd_model_forward(model, one.batch, KD_MODE_EVALUATE));
            const float *of_one = output_of(model, names[n], &alone);
            for (int i = 0; i < JOINED; i++) NEAR(kept[i], of_one[i], 1e-6);
        }
    }
    kd_batch_free(one.batch);
    kd_model_free(model);
}
END_TEST

/* ---- gradients by central differences ---- */

static const char *const weighted[] = { "embedding.image", "embedding.text", "embedding.sound",
                                        "fused",           "logit_scale",    "image.hidden.0" };

/* Fixed numbers times all outputs. */
static double weighed(kd_model *model, int pushes)
{
    static float by[PAIRS * 16];
    double sum = 0;
    for (int n = 0; n < 6; n++) {
        kd_array out;
        const float *x = output_of(model, weighted[n], &out);
        const int64_t count = kd_array_count(&out);
        for (int64_t i = 0; i < count; i++) {
            by[i] = number_at(11 * n + 5 * i) / 2;
            sum += (double)by[i] * x[i];
        }
        kd_array g = out;
        g.data = by;
        if (pushes) OK(kd_model_add_output_gradient(model, weighted[n], &g));
    }
    return sum;
}

static double value_at(kd_model *model)
{
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    return weighed(model, 0);
}

static const char *const fusions[] = {
    TOWERS(SCALED UNIT_LENGTH THREE ",\"fusion\":{\"type\":\"mean\"}"),
    TOWERS(SCALED THREE ",\"fusion\":{\"type\":\"mean\",\"missing\":\"mean\"}"),
    TOWERS(SCALED UNIT_LENGTH THREE ",\"fusion\":{\"type\":\"concat\",\"out_features\":3}"),
    TOWERS(SCALED THREE ",\"fusion\":{\"type\":\"concat\",\"missing\":\"mean\"}"),
    TOWERS(SCALED UNIT_LENGTH THREE ",\"fusion\":{\"type\":\"gated\"}"),
    TOWERS(SCALED THREE ",\"fusion\":{\"type\":\"gated\",\"missing\":\"mean\"}")
};

START_TEST(gradients_of_every_fusion_are_those_of_central_differences)
{
    kd_model *model = made(fusions[_i]);
    kd_array p, g;
    stir(model);
    fill_towers(&all, ctx, 0, PAIRS, some_lack);
    value_at(model);
    weighed(model, 1);
    OK(kd_model_backward(model));
    OK(kd_model_parameters(model, &p));
    OK(kd_model_gradients(model, &g));
    float *x = p.data, *dx = g.data;
    double most = 0;
    for (int64_t i = 0; i < p.dims[0]; i++) {
        const float before = x[i];
        x[i] = before + 4e-3f;
        const double above = value_at(model);
        x[i] = before - 4e-3f;
        const double below = value_at(model);
        x[i] = before;
        NEAR((above - below) / 8e-3, dx[i], 2e-3 * (1 + fabs(dx[i])));
        most = fmax(most, fabs(dx[i]));
    }
    ck_assert(most > 0.1);
    kd_model_free(model);
}
END_TEST

/* ---- terms of pairs, with the model's scale ---- */

static kd_loss *pairs_loss(int32_t kind)
{
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_pair_options pairs = KD_PAIR_OPTIONS_INIT;
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "embedding.image";
    pairs.other_output = "embedding.text";
    pairs.scale_output = "logit_scale";
    if (kind == KD_LOSS_SIGMOID_CONTRASTIVE) pairs.bias_output = "logit_bias";
    if (kind == KD_LOSS_AFFINITY_KL) {
        o.teacher_field = "taught.image";
        pairs.other_teacher_field = "taught.text";
    }
    OK(kd_loss_add(loss, kind, 1, &o, NULL));
    OK(kd_loss_set_pairs(loss, 0, &pairs));
    return loss;
}

static kd_targets *taught(void)
{
    static float image[PAIRS * 3], text[PAIRS * 3];
    const kd_array a = KD_ARRAY_2D(image, KD_FLOAT32, PAIRS, 3),
                   b = KD_ARRAY_2D(text, KD_FLOAT32, PAIRS, 3);
    kd_targets *targets;
    for (int i = 0; i < PAIRS * 3; i++) image[i] = number_at(i), text[i] = number_at(i + 50);
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_targets_begin(targets, PAIRS));
    OK(kd_targets_set(targets, "taught.image", &a, NULL));
    OK(kd_targets_set(targets, "taught.text", &b, NULL));
    return targets;
}

static const int32_t pair_kinds[] = { KD_LOSS_CONTRASTIVE, KD_LOSS_SIGMOID_CONTRASTIVE,
                                      KD_LOSS_AFFINITY_KL };

START_TEST(terms_of_pairs_learn_towers_and_scale_together)
{
    kd_model *model = made(TOWERS(SCALED UNIT_LENGTH THREE));
    kd_loss *loss = pairs_loss(pair_kinds[_i]);
    kd_targets *targets = taught();
    kd_loss_result r = { .struct_size = sizeof r };
    kd_array p, g;
    int32_t index;
    stir(model);
    *(float *)tensor_named(model, "logit_scale", &index).data = 1.1f;
    fill_towers(&all, ctx, 0, PAIRS, some_lack);
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, all.batch, targets, NULL, &r));
    ck_assert_int_eq(r.rows[0], 2); /* those with image and text */
    ck_assert(largest_gradient(model, "logit_scale") > 1e-4);
    ck_assert(largest_gradient(model, "towers.sound.layers.0.weight") == 0);
    OK(kd_model_parameters(model, &p));
    OK(kd_model_gradients(model, &g));
    float *x = p.data, *dx = g.data;
    for (int64_t i = 0; i < p.dims[0]; i++) {
        double values[2];
        const float before = x[i];
        for (int side = 0; side < 2; side++) {
            x[i] = before + (side ? -4e-3f : 4e-3f);
            OK(kd_model_forward(model, all.batch, KD_MODE_EVALUATE));
            OK(kd_loss_forward(loss, model, all.batch, targets, NULL, &r));
            values[side] = r.value;
        }
        x[i] = before;
        NEAR((values[0] - values[1]) / 8e-3, dx[i], 2e-3 * (1 + fabs(dx[i])));
    }
    kd_targets_free(targets);
    kd_loss_free(loss);
    kd_model_free(model);
}
END_TEST

START_TEST(a_scale_beyond_the_bound_counts_as_the_bound_and_is_told)
{
    kd_model *model = made(TOWERS(SCALED UNIT_LENGTH TWO));
    kd_loss *loss = pairs_loss(KD_LOSS_CONTRASTIVE);
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    kd_loss_result at = { .struct_size = sizeof at }, above = at;
    kd_array out;
    int32_t index;
    float *scale = tensor_named(model, "logit_scale", &index).data;
    fill_towers(&all, ctx, 0, PAIRS, nothing_lacks);
    OK(kd_loss_set_diagnostics(loss, 1));
    *scale = (float)log(100);
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, all.batch, NULL, NULL, &at));
    *scale = 6;
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    NEAR(output_of(model, "logit_scale", &out)[0], 6, 0);
    OK(kd_loss_backward(loss, model, all.batch, NULL, NULL, &above));
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    NEAR(at.value, above.value, 1e-5 * fabs(at.value));
    NEAR(seen.scale, 100, 1e-6);
    ck_assert_int_eq(seen.guards, 1);
    kd_loss_free(loss);
    kd_model_free(model);
}
END_TEST

/* ---- presence ---- */

/* A tower whose samples are absent has a gradient of exactly 0; all absent is 0, never NaN. */
START_TEST(what_is_absent_passes_nothing_back)
{
    static const int no_text[PAIRS] = { NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT };
    kd_model *model = made(fusions[_i]);
    const uint8_t *there;
    kd_array out, present;
    stir(model);
    fill_towers(&all, ctx, 0, PAIRS, nothing_lacks);
    value_at(model);
    weighed(model, 1);
    OK(kd_model_backward(model));
    ck_assert(largest_gradient(model, "towers.text.embedding.weight") > 0);
    fill_towers(&all, ctx, 0, PAIRS, no_text);
    kd_optimizer *optimizer; /* after a step gradients are fresh */
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    OK(kd_optimizer_step(optimizer, 0));
    value_at(model);
    weighed(model, 1);
    OK(kd_model_backward(model));
    ck_assert(largest_gradient(model, "towers.text.embedding.weight") == 0);
    ck_assert(largest_gradient(model, "projection.text.weight") == 0);
    ck_assert(largest_gradient(model, "towers.image.layers.0.weight") > 0);
    fill_towers(&all, ctx, 0, PAIRS, some_lack);
    value_at(model);
    OK(kd_model_output_present(model, "fused", &present));
    there = present.data;
    const float *fused = output_of(model, "fused", &out);
    for (int s = 0; s < PAIRS; s++) {
        ck_assert_int_eq(there[s], some_lack[s] != 7);
        for (int64_t i = 0; i < out.dims[1]; i++) {
            ck_assert(isfinite(fused[s * out.dims[1] + i]));
            if (some_lack[s] == 7) ck_assert(fused[s * out.dims[1] + i] == 0);
        }
    }
    OK(kd_model_output_present(model, "embedding.text", &present));
    for (int s = 0; s < PAIRS; s++)
        ck_assert_int_eq(((uint8_t *)present.data)[s], !(some_lack[s] & NO_TEXT));
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}
END_TEST

/* Of a teacher that is a model of towers, what its samples lack is absent in the targets. */
START_TEST(a_teacher_of_towers_says_what_it_lacks)
{
    kd_model *model = made(TOWERS(SCALED UNIT_LENGTH THREE));
    kd_teacher *teacher;
    kd_targets *targets;
    kd_array values, present;
    fill_towers(&all, ctx, 0, PAIRS, some_lack);
    OK(kd_teacher_from_model(&teacher, model, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_teacher_read(teacher, all.batch, targets));
    OK(kd_targets_field(targets, "embedding.sound", &values, &present));
    for (int s = 0; s < PAIRS; s++)
        ck_assert_int_eq(((uint8_t *)present.data)[s], !(some_lack[s] & NO_SOUND));
    kd_targets_free(targets);
    kd_teacher_free(teacher);
    kd_model_free(model);
}
END_TEST

START_TEST(a_bias_is_of_the_kind_that_has_one)
{
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_pair_options pairs = KD_PAIR_OPTIONS_INIT;
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "embedding.image";
    pairs.other_output = "embedding.text";
    pairs.bias_output = "logit_bias";
    OK(kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &o, NULL));
    FAILS(kd_loss_set_pairs(loss, 0, &pairs), KD_ERR_INVALID, "has no bias");
    kd_loss_free(loss);
}
END_TEST

/* A feature term counts the samples that the student has; the teacher's field is whole. */
START_TEST(a_teacher_that_saw_all_teaches_what_the_student_sees)
{
    kd_model *model = made(TOWERS(UNIT_LENGTH THREE));
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_targets *targets;
    kd_loss_result r = { .struct_size = sizeof r };
    float wanted[PAIRS * JOINED];
    double sum = 0;
    kd_array out;
    const kd_array w = KD_ARRAY_2D(wanted, KD_FLOAT32, PAIRS, JOINED);
    for (int i = 0; i < PAIRS * JOINED; i++) wanted[i] = number_at(i + 9);
    fill_towers(&all, ctx, 0, PAIRS, some_lack);
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_targets_begin(targets, PAIRS));
    OK(kd_targets_set(targets, "taught", &w, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "embedding.sound";
    o.teacher_field = "taught";
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    const float *x = output_of(model, "embedding.sound", &out);
    int64_t rows = 0;
    for (int s = 0; s < PAIRS; s++) {
        double dot = 0, size = 0;
        if (some_lack[s] & NO_SOUND) continue;
        rows++;
        for (int i = 0; i < JOINED; i++) {
            dot += (double)x[s * JOINED + i] * wanted[s * JOINED + i];
            size += (double)wanted[s * JOINED + i] * wanted[s * JOINED + i];
        }
        sum += 1 - dot / sqrt(size);
    }
    OK(kd_loss_backward(loss, model, all.batch, targets, NULL, &r));
    ck_assert_int_eq(r.rows[0], rows);
    NEAR(r.sum[0], sum, 1e-5);
    /* none has it: a value of 0 over no rows */
    static const int no_sound[PAIRS] = { NO_SOUND, NO_SOUND, NO_SOUND, NO_SOUND, 7, NO_SOUND };
    fill_towers(&all, ctx, 0, PAIRS, no_sound);
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, all.batch, targets, NULL, &r));
    ck_assert_int_eq(r.rows[0], 0);
    ck_assert(r.value == 0);
    kd_targets_free(targets);
    kd_loss_free(loss);
    kd_model_free(model);
}
END_TEST

Suite *towers_suite(void)
{
    Suite *suite = suite_create("towers");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_embedding_is_what_the_tower_alone_gives_projected_to_length_one);
    tcase_add_test(tests, ragged_rows_are_pooled_and_a_sample_alone_is_the_same);
    tcase_add_loop_test(tests, gradients_of_every_fusion_are_those_of_central_differences, 0, 6);
    tcase_add_loop_test(tests, terms_of_pairs_learn_towers_and_scale_together, 0, 3);
    tcase_add_test(tests, a_scale_beyond_the_bound_counts_as_the_bound_and_is_told);
    tcase_add_loop_test(tests, what_is_absent_passes_nothing_back, 0, 6);
    tcase_add_test(tests, a_teacher_of_towers_says_what_it_lacks);
    tcase_add_test(tests, a_bias_is_of_the_kind_that_has_one);
    tcase_add_test(tests, a_teacher_that_saw_all_teaches_what_the_student_sees);
    suite_add_tcase(suite, tests);
    return suite;
}
