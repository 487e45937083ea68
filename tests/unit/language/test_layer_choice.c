/* Which layers a student has: by influence and by what a removal costs, beside the same numbers
 * made of outputs and of students. */
#include "studentkit.h"

#include "encoderkit.h"

enum { L = 4 };

#define TINY_BERT(layers)                                                                          \
    "{\"model_type\":\"bert\",\"vocab_size\":37,\"hidden_size\":12,\"num_hidden_layers\":" layers  \
    ",\"num_attention_heads\":3,\"intermediate_size\":20,\"max_position_embeddings\":32,"          \
    "\"initializer_range\":0.3" NO_DROPOUT "}"
#define TINY_VIT                                                                                   \
    "{\"model_type\":\"vit\",\"image_size\":8,\"patch_size\":4,\"num_channels\":1,"                \
    "\"hidden_size\":12,\"num_hidden_layers\":3,\"num_attention_heads\":3,"                        \
    "\"intermediate_size\":20}"

static kd_context *ctx;
static kd_batch *batch;

static void setup(void)
{
    ctx = make_context(2);
    batch = make_batch(ctx);
}

static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* Layer 1 hardly changes the stream, layer 2 a little, the others much. */
static kd_model *uneven(const char *type, const char *more)
{
    static const float sizes[L] = { 1.5f, 0.02f, 0.4f, 1 };
    kd_model *model = make_model(ctx, type, more, NULL);
    for (int l = 0; l < L; l++)
        for (int k = 0; k < 2; k++) {
            char name[80];
            kd_array v;
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", l,
                     k ? "mlp.down_proj" : "self_attn.o_proj");
            float *w = tensor_of(model, name, &v);
            for (int64_t i = 0; i < kd_array_count(&v); i++) w[i] *= sizes[l];
        }
    return model;
}

/* ---- influence ---- */

static double cosine_of(const float *x, const float *y, int64_t n)
{
    double xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < n; i++)
        xx += (double)x[i] * x[i], yy += (double)y[i] * y[i], xy += (double)x[i] * y[i];
    return xy / sqrt(xx * yy);
}

static void influence_by_outputs(kd_model *model, double *to)
{
    OK(kd_model_keep(model, "hidden.*", 1));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    for (int l = 0; l < L; l++) {
        char name[32];
        kd_array x, y;
        double sum = 0;
        snprintf(name, sizeof name, "hidden.%d", l);
        OK(kd_model_output(model, name, &y));
        snprintf(name, sizeof name, "hidden.%d", l - 1);
        OK(kd_model_output(model, l ? name : "hidden.embedding", &x));
        const int64_t d = x.dims[1];
        for (int r = 0; r < ROWS; r++)
            sum += cosine_of((float *)x.data + r * d, (float *)y.data + r * d, d);
        to[l] = 1 - sum / ROWS;
    }
}

START_TEST(influence_is_what_the_outputs_say)
{
    const char *const types[] = { "llama", "qwen3" };
    for (int k = 0; k < 3; k++) {
        kd_model *model = k < 2 ? uneven(types[k], "") : encoder_made(ctx, TINY_BERT("4"), NULL);
        double expected[L], found[L + 1] = { 0 };
        int32_t count = 0;
        influence_by_outputs(model, expected);
        OK(kd_student_measure_influence(model, batch, NULL, 0, &count));
        ck_assert_int_eq(count, L);
        OK(kd_student_measure_influence(model, batch, found, L, &count));
        for (int l = 0; l < L; l++) NEAR(found[l], expected[l], 1e-6);
        ck_assert(found[0] > 0 && found[L] == 0);
        FAILS(kd_student_measure_influence(model, batch, found, L - 1, &count), KD_ERR_RANGE,
              "4 layers, got room for 3");
        OK(kd_student_measure_influence(model, NULL, found, L, &count)); /* of random tokens */
        ck_assert(k == 2 || (found[1] < found[2] && found[2] < found[0]));
        kd_model_free(model);
    }
}
END_TEST

static void is_map(kd_model *model, int32_t choose, kd_batch *texts, int32_t layers,
                   const int32_t *expected)
{
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    int32_t map[L] = { 0 };
    o.layers = layers;
    o.choose = choose;
    o.calibration = texts;
    OK(kd_student_map_layers(model, &o, map));
    for (int i = 0; i < layers; i++)
        ck_assert_msg(map[i] == expected[i], "layer %d: %d, expected %d", i, map[i], expected[i]);
}

START_TEST(layers_of_influence_stay_and_the_last_one)
{
    static const int32_t one[] = { 3 }, two[] = { 0, 3 }, three[] = { 0, 2, 3 },
                         all[] = { 0, 1, 2, 3 };
    const int32_t *const expected[] = { one, two, three, all };
    kd_model *model = uneven("llama", "");
    for (int n = 1; n <= L; n++)
        for (int random = 0; random < 2; random++)
            is_map(model, KD_LAYERS_INFLUENCE, random ? NULL : batch, n, expected[n - 1]);
    kd_model_free(model);
}
END_TEST

/* ---- greedily ---- */

/* KL(whole, rest) of logits in double, or the squared distance of "hidden". */
static double cost_of(kd_model *whole, kd_model *rest, int has_head)
{
    kd_array x, y;
    double sum = 0;
    OK(kd_model_forward(whole, batch, KD_MODE_EVALUATE));
    OK(kd_model_forward(rest, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(whole, has_head ? "logits" : "hidden", &x));
    OK(kd_model_output(rest, has_head ? "logits" : "hidden", &y));
    const int64_t n = x.dims[1];
    for (int64_t r = 0; r < x.dims[0]; r++) {
        const float *v = (float *)x.data + r * n, *z = (float *)y.data + r * n;
        double sv = 0, sz = 0, off = 0, size = 0;
        for (int64_t i = 0; i < n; i++) sv += exp(v[i]), sz += exp(z[i]);
        for (int64_t i = 0; i < n; i++) {
            off += has_head ? exp(v[i]) / sv * (v[i] - log(sv) - z[i] + log(sz))
                            : ((double)v[i] - z[i]) * ((double)v[i] - z[i]);
            size += (double)v[i] * v[i];
        }
        sum += has_head ? off : off / size;
    }
    return sum;
}

static void greedy_by_students(kd_model *model, int32_t layers, int has_head, int32_t *left)
{
    int32_t count = L;
    for (int i = 0; i < L; i++) left[i] = i;
    for (; count > layers; count--) {
        int best = 0;
        double least = INFINITY;
        for (int gone = 0; gone < count; gone++) {
            kd_student_options o = KD_STUDENT_OPTIONS_INIT;
            kd_model *student;
            int32_t map[L], n = 0;
            for (int i = 0; i < count; i++)
                if (i != gone) map[n++] = left[i];
            o.layers = n;
            o.layer_map = map;
            OK(kd_student_create(&student, model, &o));
            const double cost = cost_of(model, student, has_head);
            if (cost <= least) least = cost, best = gone;
            kd_model_free(student);
        }
        for (int i = best; i + 1 < count; i++) left[i] = left[i + 1];
    }
}

START_TEST(greedy_layers_are_those_whose_students_are_nearest)
{
    static const char *const more[] = { "", ",\"tie_word_embeddings\":true",
                                        ",\"layer_types\":[\"sliding_attention\","
                                        "\"full_attention\",\"sliding_attention\","
                                        "\"full_attention\"],\"sliding_window\":4,"
                                        "\"use_sliding_window\":true" };
    for (int k = 0; k < 4; k++)
        for (int32_t layers = 1; layers < L; layers++) {
            int32_t expected[L];
            kd_model *model = k < 3 ? make_model(ctx, k == 2 ? "qwen3" : "llama", more[k], NULL)
                                    : encoder_made(ctx, TINY_BERT("4"), NULL);
            greedy_by_students(model, layers, k < 3, expected);
            is_map(model, KD_LAYERS_GREEDY, batch, layers, expected);
            kd_model_free(model);
        }
}
END_TEST

START_TEST(choices_do_not_depend_on_threads)
{
    int32_t maps[2][2][2];
    for (int t = 0; t < 2; t++) {
        kd_context *other = make_context(t ? 3 : 1);
        kd_model *model = make_model(other, "llama", "", NULL);
        for (int k = 0; k < 2; k++) {
            kd_student_options o = KD_STUDENT_OPTIONS_INIT;
            o.layers = 2;
            o.choose = k ? KD_LAYERS_GREEDY : KD_LAYERS_INFLUENCE;
            OK(kd_student_map_layers(model, &o, maps[t][k]));
        }
        kd_model_free(model);
        kd_context_free(other);
    }
    ck_assert_mem_eq(maps[0], maps[1], sizeof maps[0]);
}
END_TEST

/* ---- students ---- */

START_TEST(a_student_has_the_layers_of_its_map)
{
    const int32_t choices[] = { KD_LAYERS_UNIFORM, KD_LAYERS_INFLUENCE, KD_LAYERS_GREEDY };
    kd_model *model = uneven("llama", "");
    for (int k = 0; k < 3; k++) {
        kd_student_options o = KD_STUDENT_OPTIONS_INIT;
        kd_model *chosen, *mapped;
        kd_array p, q;
        int32_t map[2];
        o.layers = 2;
        o.hidden_size = 16;
        o.choose = choices[k];
        o.calibration = batch;
        OK(kd_student_map_layers(model, &o, map));
        OK(kd_student_create(&chosen, model, &o));
        o.layer_map = map;
        o.choose = KD_LAYERS_FIRST; /* the map overrides it */
        OK(kd_student_create(&mapped, model, &o));
        OK(kd_model_parameters(chosen, &p));
        OK(kd_model_parameters(mapped, &q));
        ck_assert_int_eq(kd_array_count(&p), kd_array_count(&q));
        ck_assert_mem_eq(p.data, q.data, (size_t)kd_array_count(&p) * sizeof(float));
        kd_model_free(chosen);
        kd_model_free(mapped);
    }
    kd_model_free(model);
}
END_TEST

static int32_t stop_third(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)user;
    if (strcmp(stage, "choose layers")) return 0;
    ck_assert_int_eq(total, 4 + 3 + 2);
    return done == 2;
}

START_TEST(choices_that_cannot_be_made_are_refused)
{
    static const kd_progress progress = { .struct_size = sizeof progress, .progress = stop_third };
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
    kd_context *other;
    kd_model *model, *none;
    int32_t map[L] = { 9, 9, 9, 9 }, count;
    o.layers = 1;
    o.choose = 6;
    model = make_model(ctx, "llama", "", NULL);
    FAILS(kd_student_map_layers(model, &o, map), KD_ERR_RANGE, "choose: expected 0 to 5, got 6");
    FAILS(kd_student_map_layers(NULL, &o, map), KD_ERR_INVALID, "teacher");
    FAILS(kd_student_map_layers(model, &o, NULL), KD_ERR_INVALID, "map");
    FAILS(kd_loss_map_layers(KD_LAYERS_GREEDY, 2, 4, map), KD_ERR_RANGE, "map");
    kd_model_free(model);
    OK(kd_model_create(&none, ctx,
                       "{\"model_type\":\"mlp\",\"input_size\":2,\"hidden_sizes\":[2],"
                       "\"num_labels\":2}",
                       NULL));
    FAILS(kd_student_measure_influence(none, NULL, NULL, 0, &count), KD_ERR_UNSUPPORTED, "mlp");
    FAILS(kd_student_map_layers(none, &o, map), KD_ERR_UNSUPPORTED, "mlp");
    kd_model_free(none);
    model = encoder_made(ctx, TINY_VIT, NULL);
    for (o.choose = KD_LAYERS_INFLUENCE; o.choose <= KD_LAYERS_GREEDY; o.choose++)
        FAILS(kd_student_map_layers(model, &o, map), KD_ERR_INVALID, "calibration");
    kd_model_free(model);
    co.progress = &progress;
    OK(kd_context_create(&other, &co));
    model = make_model(other, "llama", "", NULL);
    o.choose = KD_LAYERS_GREEDY;
    FAILS(kd_student_map_layers(model, &o, map), KD_ERR_CANCELED, "choose layers");
    ck_assert_int_eq(map[0], 9);
    kd_model_free(model);
    kd_context_free(other);
}
END_TEST

Suite *layer_choice_suite(void)
{
    Suite *suite = suite_create("layer_choice");
    TCase *tests = tcase_create("layer_choice");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, influence_is_what_the_outputs_say);
    tcase_add_test(tests, layers_of_influence_stay_and_the_last_one);
    tcase_add_test(tests, choices_do_not_depend_on_threads);
    tcase_add_test(tests, a_student_has_the_layers_of_its_map);
    tcase_add_test(tests, choices_that_cannot_be_made_are_refused);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_add_test(slow, greedy_layers_are_those_whose_students_are_nearest);
    suite_add_tcase(suite, slow);
    return suite;
}
