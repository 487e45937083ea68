/* Heads for tasks above towers: on what is fused, and on a tower's own output. */
#include <kdistill/task.h>

#include "towerkit.h"

static kd_context *ctx;
static tower_batch all;
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

static const char config[] = TOWERS(UNIT_LENGTH THREE
                                    ",\"fusion\":{\"type\":\"gated\"},\"kd_heads\":{\"class\":{"
                                    "\"num_labels\":3,\"from\":\"fused\",\"hidden_size\":4,"
                                    "\"activation\":\"tanh\"},\"look\":{\"num_labels\":2,"
                                    "\"from\":\"embedding.image\"}}");
static const int lacks[PAIRS] = { 0, NO_IMAGE, NO_TEXT | NO_SOUND, NO_SOUND, 0, NO_TEXT };

static kd_loss *both_tasks(void)
{
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "logits.class";
    o.label_field = "label.class";
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &o, NULL));
    o.student_output = "logits.look";
    o.label_field = "label.look";
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 0.5, &o, NULL));
    return loss;
}

static void set_labels(void)
{
    int64_t of_class[PAIRS], look[PAIRS];
    const kd_array a = KD_ARRAY_1D(of_class, KD_INT64, PAIRS),
                   b = KD_ARRAY_1D(look, KD_INT64, PAIRS);
    fill_towers(&all, ctx, 0, PAIRS, lacks);
    for (int i = 0; i < PAIRS; i++) of_class[i] = i % 3, look[i] = i % 2;
    OK(kd_batch_set(all.batch, "label.class", &a, NULL));
    OK(kd_batch_set(all.batch, "label.look", &b, NULL));
}

static kd_loss_result learn(kd_model *model, kd_loss *loss)
{
    kd_loss_result result = { .struct_size = sizeof result };
    set_labels();
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, all.batch, NULL, NULL, &result));
    return result;
}

/* A sample without an image has no row of the head that reads images, and is no part of its count;
 * what is fused is always there. */
START_TEST(a_head_on_a_tower_has_the_samples_that_the_tower_has)
{
    kd_model *model;
    kd_loss *loss = both_tasks();
    OK(kd_model_create(&model, ctx, config, NULL));
    const kd_loss_result result = learn(model, loss);
    ck_assert_int_eq(result.rows[0], PAIRS);
    ck_assert_int_eq(result.rows[1], PAIRS - 1);
    kd_loss_free(loss);
    kd_model_free(model);
}
END_TEST

START_TEST(gradients_of_heads_go_through_fusion_and_towers)
{
    kd_model *model;
    kd_loss *loss = both_tasks();
    kd_array p, g;
    double most = 0;
    OK(kd_model_create(&model, ctx, config, NULL));
    OK(kd_model_parameters(model, &p));
    float *x = p.data;
    for (int64_t i = 0; i < p.dims[0]; i++) x[i] += 0.3f * number_at(i);
    learn(model, loss);
    OK(kd_model_gradients(model, &g));
    float kept[2000];
    ck_assert_int_lt(p.dims[0], 2000);
    memcpy(kept, g.data, (size_t)p.dims[0] * sizeof *kept);
    for (int64_t i = 0; i < p.dims[0]; i++) {
        const float before = x[i];
        x[i] = before + 4e-3f;
        const double above = learn(model, loss).value;
        x[i] = before - 4e-3f;
        const double below = learn(model, loss).value;
        x[i] = before;
        NEAR((above - below) / 8e-3, kept[i], 1e-3 * (1 + fabs(kept[i])));
        most = fmax(most, fabs(kept[i]));
    }
    ck_assert_double_gt(most, 0.05);
    kd_loss_free(loss);
    kd_model_free(model);
}
END_TEST

START_TEST(heads_are_added_to_towers_and_saved_with_them)
{
    kd_model *model, *again;
    kd_array x, y;
    char folder[600];
    snprintf(folder, sizeof folder, "%s", scratch_path("towers_heads"));
    OK(kd_model_create(&model, ctx, TOWERS(THREE ",\"fusion\":{\"type\":\"mean\"}"), NULL));
    OK(kd_model_add_head(model, "class", "{\"num_labels\":3,\"from\":\"fused\"}"));
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&again, ctx, folder, NULL));
    fill_towers(&all, ctx, 0, PAIRS, lacks);
    OK(kd_model_keep(model, "logits.class", 1));
    OK(kd_model_keep(again, "logits.class", 1));
    OK(kd_model_forward(model, all.batch, KD_MODE_EVALUATE));
    OK(kd_model_forward(again, all.batch, KD_MODE_EVALUATE));
    ck_assert_mem_eq(output_of(model, "logits.class", &x), output_of(again, "logits.class", &y),
                     PAIRS * 3 * sizeof(float));
    kd_model_free(again);
    kd_model_free(model);
}
END_TEST

Suite *towers_heads_suite(void)
{
    Suite *suite = suite_create("towers_heads");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_head_on_a_tower_has_the_samples_that_the_tower_has);
    tcase_add_test(tests, gradients_of_heads_go_through_fusion_and_towers);
    tcase_add_test(tests, heads_are_added_to_towers_and_saved_with_them);
    suite_add_tcase(suite, tests);
    return suite;
}
