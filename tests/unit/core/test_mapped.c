/* Maps of layers, terms of mapped layers, and what networks of layers keep. */
#include "unit.h"

static kd_context *ctx;
static kd_loss *loss;

static void setup(void)
{
    ctx = make_context(1);
    OK(kd_loss_create(&loss, ctx, NULL));
}

static void teardown(void)
{
    kd_loss_free(loss);
    kd_context_free(ctx);
}

START_TEST(maps_choose_ends_blocks_first_and_last_layers)
{
    static const struct {
        int32_t map, student, teacher, expected[6];
    } maps[] = {
        { KD_LAYERS_UNIFORM, 4, 12, { 0, 4, 7, 11 } },
        { KD_LAYERS_UNIFORM, 6, 6, { 0, 1, 2, 3, 4, 5 } },
        { KD_LAYERS_UNIFORM, 1, 12, { 0 } },
        { KD_LAYERS_UNIFORM, 3, 30, { 0, 15, 29 } },
        { KD_LAYERS_BLOCKS, 4, 12, { 2, 5, 8, 11 } }, /* TinyBERT's, counted from 0 */
        { KD_LAYERS_BLOCKS, 3, 10, { 2, 5, 9 } },
        { KD_LAYERS_BLOCKS, 1, 7, { 6 } },
        { KD_LAYERS_FIRST, 3, 12, { 0, 1, 2 } },
        { KD_LAYERS_LAST, 3, 12, { 9, 10, 11 } },
    };
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        int32_t got[6];
        OK(kd_loss_map_layers(maps[i].map, maps[i].student, maps[i].teacher, got));
        for (int l = 0; l < maps[i].student; l++) ck_assert_int_eq(got[l], maps[i].expected[l]);
    }
    int32_t got[6];
    FAILS(kd_loss_map_layers(4, 2, 4, got), KD_ERR_RANGE, "expected 0 (KD_LAYERS_UNIFORM)");
    FAILS(kd_loss_map_layers(-1, 2, 4, got), KD_ERR_RANGE, "map");
    FAILS(kd_loss_map_layers(KD_LAYERS_LAST, 5, 4, got), KD_ERR_RANGE, "expected 1 to 4");
    FAILS(kd_loss_map_layers(KD_LAYERS_LAST, 0, 4, got), KD_ERR_RANGE, "got 0");
    FAILS(kd_loss_map_layers(KD_LAYERS_LAST, 1, 4, NULL), KD_ERR_INVALID, "teacher_of");
}
END_TEST

START_TEST(each_mapped_layer_is_a_term_of_its_share_of_the_weight)
{
    static const int32_t teacher_of[4] = { 2, -1, 8, 11 };
    static const char *const outputs[3] = { "attention.0.key", "attention.2.key",
                                            "attention.3.key" };
    static const char *const fields[3] = { "kept.2", "kept.8", "kept.11" };
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    int32_t first = -1;
    double weight;
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, NULL, NULL));
    o.student_output = "attention.%d.key";
    o.teacher_field = "kept.%d";
    o.mask_field = "mask";
    OK(kd_loss_add_mapped(loss, KD_LOSS_SIMILARITY, 6, &o, teacher_of, 4, &first));
    ck_assert_int_eq(first, 1);
    for (int32_t t = 0; t < 3; t++) {
        kd_term_options got = { .struct_size = sizeof got };
        int32_t kind;
        OK(kd_loss_get_term(loss, first + t, &kind, &got));
        OK(kd_loss_get(loss, first + t, KD_TERM_WEIGHT, &weight));
        ck_assert_int_eq(kind, KD_LOSS_SIMILARITY);
        ck_assert_str_eq(got.student_output, outputs[t]);
        ck_assert_str_eq(got.teacher_field, fields[t]);
        ck_assert_str_eq(got.mask_field, "mask");
        NEAR(weight, 2, 1e-12);
    }
    FAILS(kd_loss_get_term(loss, 4, NULL, NULL), KD_ERR_RANGE, "4 terms");
}
END_TEST

START_TEST(what_cannot_be_mapped_adds_no_term)
{
    static const char *const bad[] = { NULL,         "hidden",     "hidden.%s", "hidden.%d.%d",
                                       "%hidden.%d", "hidden.%d%", "hidden.%5d" };
    static const int32_t map[2] = { 0, 1 }, none[2] = { -1, -1 }, wrong[2] = { 0, -2 };
    int32_t many[KD_LOSS_MAX_TERMS + 1];
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.student_output = "hidden.%d";
        o.teacher_field = bad[i];
        FAILS(kd_loss_add_mapped(loss, KD_LOSS_GRAM, 1, &o, map, 2, NULL), KD_ERR_INVALID,
              "teacher_field: expected a name with one %d");
        o.student_output = bad[i];
        FAILS(kd_loss_add_mapped(loss, KD_LOSS_GRAM, 1, &o, map, 2, NULL), KD_ERR_INVALID,
              "student_output: expected a name with one %d");
    }
    o.student_output = o.teacher_field = "hidden.%d";
    FAILS(kd_loss_add_mapped(loss, KD_LOSS_GRAM, 1, &o, none, 2, NULL), KD_ERR_INVALID,
          "no layer is mapped");
    FAILS(kd_loss_add_mapped(loss, KD_LOSS_GRAM, 1, &o, wrong, 2, NULL), KD_ERR_RANGE, "layer 1");
    FAILS(kd_loss_add_mapped(loss, 999, 1, &o, map, 2, NULL), KD_ERR_INVALID, "999");
    for (int i = 0; i <= KD_LOSS_MAX_TERMS; i++) many[i] = i;
    FAILS(kd_loss_add_mapped(loss, KD_LOSS_GRAM, 1, &o, many, KD_LOSS_MAX_TERMS + 1, NULL),
          KD_ERR_RANGE, "at most 64 terms");
    /* the second term's name has a letter too many */
    static const int32_t far[2] = { 5, 100 };
    char name[KD_NAME_BYTES];
    memset(name, 'n', sizeof name);
    memcpy(name + KD_NAME_BYTES - 3, "%d", 3);
    o.teacher_field = name;
    FAILS(kd_loss_add_mapped(loss, KD_LOSS_GRAM, 1, &o, far, 2, NULL), KD_ERR_INVALID,
          "teacher_field");
    FAILS(kd_loss_keep_outputs(loss, NULL, NULL), KD_ERR_STATE, "no terms");
    FAILS(kd_loss_get_term(loss, 0, NULL, NULL), KD_ERR_RANGE, "0 terms");
}
END_TEST

START_TEST(networks_of_layers_stop_and_offer_as_they_are_asked)
{
    static const char config[] =
        "{\"model_type\":\"mlp\",\"input_size\":3,\"hidden_sizes\":[4,5],\"num_labels\":2}";
    float x[6] = { 1, 2, 3, 4, 5, 6 };
    const kd_array xs = KD_ARRAY_2D(x, KD_FLOAT32, 2, 3);
    kd_model *model;
    kd_batch *batch;
    kd_teacher *teacher;
    kd_targets *targets;
    kd_array values;
    kd_output_info info = { .struct_size = sizeof info };
    OK(kd_model_create(&model, ctx, config, NULL));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_teacher_from_model(&teacher, model, NULL));
    OK(kd_batch_begin(batch, 2));
    OK(kd_batch_set(batch, "inputs", &xs, NULL));
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_targets_field(targets, "hidden.1", &values, NULL));
    OK(kd_targets_field(targets, "logits", &values, NULL));
    OK(kd_model_get_output_info(model, "hidden.1", &info));
    ck_assert_int_eq(info.is_kept, 1);
    ck_assert_int_eq(info.width, 5);
    OK(kd_model_keep(model, "*", 0));
    OK(kd_model_keep(model, "hidden.0", 1));
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_targets_field(targets, "hidden.0", &values, NULL));
    FAILS(kd_targets_field(targets, "hidden.1", &values, NULL), KD_ERR_NOT_FOUND, "hidden.1");
    FAILS(kd_model_output(model, "logits", &values), KD_ERR_NOT_FOUND, "kd_model_keep");
    FAILS(kd_model_output(model, "hidden.2", &values), KD_ERR_NOT_FOUND,
          "hidden.0 .. hidden.1, logits");
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "logits", &values));
    kd_teacher_free(teacher);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_model_free(model);
}
END_TEST

Suite *mapped_suite(void)
{
    Suite *suite = suite_create("mapped");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, maps_choose_ends_blocks_first_and_last_layers);
    tcase_add_test(tests, each_mapped_layer_is_a_term_of_its_share_of_the_weight);
    tcase_add_test(tests, what_cannot_be_mapped_adds_no_term);
    tcase_add_test(tests, networks_of_layers_stop_and_offer_as_they_are_asked);
    suite_add_tcase(suite, tests);
    return suite;
}
