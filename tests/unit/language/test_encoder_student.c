/* Students cut out of encoders: layers, widths, what hangs on them, folders, refusals. */
#include "encoderkit.h"

#include <sys/stat.h>

#define TEACHER(type, sizes, more)                                                                 \
    "{\"model_type\":\"" type "\",\"vocab_size\":17," sizes                                        \
    ",\"max_position_embeddings\":14,\"initializer_range\":0.3" more "}"
#define SIZES                                                                                      \
    "\"hidden_size\":12,\"num_hidden_layers\":4,\"num_attention_heads\":3,"                        \
    "\"intermediate_size\":20"
#define SHORT_SIZES "\"dim\":12,\"n_layers\":4,\"n_heads\":3,\"hidden_dim\":20"
#define CLASSIFIER(stem)                                                                           \
    ",\"architectures\":[\"" stem "ForSequenceClassification\"],\"num_labels\":3"
#define TWO_DENSE                                                                                  \
    ",\"kd_pooling\":\"cls\",\"kd_normalize\":true,\"kd_max_length\":9,\"kd_dense\":["             \
    "{\"out_features\":5},{\"out_features\":4,\"bias\":false}]"
#define MODERN(more)                                                                               \
    TEACHER("modernbert", SIZES,                                                                   \
            ",\"local_attention\":4,\"norm_bias\":true,"                                           \
            "\"attention_bias\":true,\"mlp_bias\":true" more)
#define BERT_TEACHER TEACHER("bert", SIZES, TWO_DENSE)

static const char *const families[] = {
    TEACHER("bert", SIZES, CLASSIFIER("Bert") TWO_DENSE),
    TEACHER("distilbert", SHORT_SIZES, CLASSIFIER("DistilBert") TWO_DENSE),
    TEACHER("roberta", SIZES, CLASSIFIER("Roberta") TWO_DENSE),
    TEACHER("xlm-roberta", SIZES, TWO_DENSE), /* with its pooler */
};
enum { FAMILIES = 4 };

static kd_context *ctx;
static kd_batch *batch;
static void setup(void)
{
    ctx = make_context(2);
    batch = encoder_batch(ctx);
}
static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* Norms and biases that do something: no number is that of its neighbor. DistilBERT has no types of
 * tokens, and the batch says some: they do not matter to it. */
static kd_model *made_of(const char *config)
{
    kd_model *model = encoder_made(ctx, config, NULL);
    kd_array v;
    OK(kd_model_parameters(model, &v));
    for (int64_t i = 0; i < kd_array_count(&v); i++) ((float *)v.data)[i] += 0.2f * weight_at(i);
    return model;
}
static kd_model *teacher_of(int family) { return made_of(families[family]); }

/* The numbers of a model's tensor; NULL: it has none of that name. */
static float *tensor_of(kd_model *model, const char *name, kd_array *values)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *found;
        OK(kd_model_tensor(model, i, &found, values));
        if (!strcmp(found, name)) return values->data;
    }
    return NULL;
}

static double sum_of(kd_model *model, const char *output)
{
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    return output_sum(model, output);
}

/* ---- layers ---- */

START_TEST(a_student_of_everything_is_its_teacher)
{
    for (int f = 0; f < FAMILIES; f++) {
        static const char *const outputs[] = { "hidden", "pooled", "embedding", "logits" };
        kd_model *teacher = teacher_of(f), *student;
        OK(kd_student_create(&student, teacher, NULL));
        for (int i = 0; i < (f == 3 ? 3 : 4); i++)
            ck_assert(sum_of(student, outputs[i]) == sum_of(teacher, outputs[i]));
        kd_model_free(student);
        kd_model_free(teacher);
    }
}
END_TEST

START_TEST(the_first_layers_give_what_the_teacher_has_there)
{
    for (int f = 0; f < FAMILIES; f++) {
        kd_model *teacher = teacher_of(f), *student;
        kd_student_options o = KD_STUDENT_OPTIONS_INIT;
        o.layers = 2;
        o.choose = KD_LAYERS_FIRST;
        OK(kd_student_create(&student, teacher, &o));
        OK(kd_model_keep(teacher, "hidden.1", 1));
        ck_assert(sum_of(student, "hidden") == sum_of(teacher, "hidden.1"));
        kd_model_free(student);
        kd_model_free(teacher);
    }
}
END_TEST

/* ModernBERT: trunk, classifier, masked language model; BERT's with a tied and an own matrix. */
static const char *const heads[] = {
    MODERN(TWO_DENSE), MODERN(CLASSIFIER("ModernBert")),
    MODERN(",\"architectures\":[\"ModernBertForMaskedLM\"]"),
    TEACHER("bert", SIZES, ",\"architectures\":[\"BertForMaskedLM\"]"),
    TEACHER("bert", SIZES, ",\"architectures\":[\"BertForMaskedLM\"],\"tie_word_embeddings\":false")
};
enum { HEADS = 5 };

START_TEST(heads_of_the_teacher_go_along)
{
    for (int f = 0; f < HEADS; f++) {
        kd_model *teacher = made_of(heads[f]), *student;
        const char *output = f ? "logits" : "embedding";
        OK(kd_student_create(&student, teacher, NULL));
        ck_assert(sum_of(student, output) == sum_of(teacher, output));
        kd_model_free(student);
        kd_model_free(teacher);
    }
}
END_TEST

/* Rows `rows` on of a matrix of the student are those `from` on of the teacher's, as far as it is
 * wide. */
static void same_rows(kd_model *student, kd_model *teacher, const char *name, int64_t rows,
                      int64_t from, int64_t count)
{
    kd_array a, b;
    const float *x = tensor_of(student, name, &a), *y = tensor_of(teacher, name, &b);
    for (int64_t i = 0; i < count; i++)
        ck_assert(!memcmp(x + (rows + i) * a.dims[1], y + (from + i) * b.dims[1],
                          (size_t)a.dims[1] * sizeof *x));
}

/* Queries, keys and values in one matrix, gates and what they gate in another. */
START_TEST(parts_of_one_matrix_are_cut_each)
{
    kd_model *teacher = made_of(heads[2]), *student;
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    o.hidden_size = 8;
    o.intermediate_size = 7;
    o.layers = 2;
    o.choose = KD_LAYERS_FIRST;
    OK(kd_student_create(&student, teacher, &o));
    for (int part = 0; part < 3; part++)
        same_rows(student, teacher, "model.layers.1.attn.Wqkv.weight", part * 8, part * 12, 8);
    for (int part = 0; part < 2; part++)
        same_rows(student, teacher, "model.layers.1.mlp.Wi.weight", part * 7, part * 20, 7);
    same_rows(student, teacher, "head.dense.weight", 0, 0, 8);
    same_rows(student, teacher, "model.layers.0.mlp.Wo.weight", 0, 0, 8);
    OK(kd_model_forward(student, batch, KD_MODE_EVALUATE));
    kd_model_free(student);
    o.choose = KD_LAYERS_LAST;
    FAILS(kd_student_create(&student, teacher, &o), KD_ERR_UNSUPPORTED,
          "expected layer 0 for the student's layer 0 and for no other, got 2");
    o.choose = KD_LAYERS_FIRST;
    o.calibration = batch;
    OK(kd_student_create(&student, teacher, &o));
    OK(kd_model_forward(student, batch, KD_MODE_EVALUATE));
    kd_model_free(student);
    kd_model_free(teacher);
}
END_TEST

/* Tensors of layer `from` in the place of layer `to`'s. */
static void move_layer(kd_model *model, int from, int to)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        char other[KD_NAME_BYTES], *digit;
        kd_array values, old;
        OK(kd_model_tensor(model, i, &name, &values));
        snprintf(other, sizeof other, "%s", name);
        digit = strstr(other, "layer.");
        if (!digit || digit[6] != '0' + to) continue;
        digit[6] = (char)('0' + from);
        const float *moved = tensor_of(model, other, &old);
        memcpy(values.data, moved, (size_t)kd_array_count(&old) * sizeof *moved);
    }
}

/* Layers 3 and 1 of the teacher: the same as its first two, were these its layers 3 and 1. */
START_TEST(a_map_takes_layers_in_any_order)
{
    for (int f = 0; f < FAMILIES; f++) {
        kd_model *teacher = teacher_of(f), *student;
        kd_student_options o = KD_STUDENT_OPTIONS_INIT;
        o.layer_map = (const int32_t[]){ 3, 1 };
        o.layers = 2;
        OK(kd_student_create(&student, teacher, &o));
        move_layer(teacher, 3, 0);
        OK(kd_model_keep(teacher, "hidden.1", 1));
        ck_assert(sum_of(student, "hidden") == sum_of(teacher, "hidden.1"));
        kd_model_free(student);
        kd_model_free(teacher);
    }
}
END_TEST

/* ---- widths ---- */

/* Without texts the first ones are kept: every tensor is a corner of the teacher's. */
static void check_corners(kd_model *student, kd_model *teacher)
{
    int32_t count;
    OK(kd_model_tensor_count(student, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array a, b;
        OK(kd_model_tensor(student, i, &name, &a));
        const float *x = a.data, *y = tensor_of(teacher, name, &b);
        ck_assert_ptr_nonnull(y);
        const int64_t wide = a.rank == 2 ? a.dims[1] : 1, old = b.rank == 2 ? b.dims[1] : 1;
        for (int64_t r = 0; r < a.dims[0]; r++)
            ck_assert_msg(!memcmp(x + r * wide, y + r * old, (size_t)wide * sizeof *x),
                          "%s, row %lld", name, (long long)r);
    }
}

START_TEST(all_that_hangs_on_a_width_is_cut_with_it)
{
    for (int f = 0; f < FAMILIES; f++) {
        kd_model *teacher = teacher_of(f), *student;
        kd_student_options o = KD_STUDENT_OPTIONS_INIT;
        const char *json;
        kd_array v;
        o.hidden_size = 8;
        o.intermediate_size = 7;
        OK(kd_student_create(&student, teacher, &o));
        check_corners(student, teacher);
        OK(kd_model_config(student, &json));
        ck_assert_ptr_nonnull(strstr(json, f == 1 ? "\"n_heads\":2" : "\"num_attention_heads\":2"));
        ck_assert_ptr_nonnull(strstr(json, f == 1 ? "\"dim\":8" : "\"hidden_size\":8"));
        OK(kd_model_forward(student, batch, KD_MODE_EVALUATE));
        OK(kd_model_output(student, "embedding", &v));
        ck_assert_int_eq(v.dims[1], 4); /* the dense layers still give what they gave */
        kd_model_free(student);
        kd_model_free(teacher);
    }
}
END_TEST

static void clear_rows(kd_model *model, const char *pattern, int layer, int first, int count)
{
    char name[KD_NAME_BYTES];
    kd_array v;
    snprintf(name, sizeof name, pattern, layer);
    float *x = tensor_of(model, name, &v);
    const int64_t wide = v.rank == 2 ? v.dims[1] : 1;
    memset(x + first * wide, 0, (size_t)(count * wide) * sizeof *x);
}

/* Of a weight and of its bias. */
static void clear_both(kd_model *model, const char *part, int layer, int first, int count)
{
    char pattern[KD_NAME_BYTES];
    snprintf(pattern, sizeof pattern, "%s.weight", part);
    clear_rows(model, pattern, layer, first, count);
    snprintf(pattern, sizeof pattern, "%s.bias", part);
    clear_rows(model, pattern, layer, first, count);
}

/* gelu(0) = 0: numbers that say nothing are dropped first, and nobody misses them. */
START_TEST(feed_forward_numbers_that_say_nothing_are_cut)
{
    kd_model *teacher = made_of(BERT_TEACHER), *student;
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    for (int l = 0; l < 4; l++)
        for (int i = 0; i < 6; i++)
            clear_both(teacher, "encoder.layer.%d.intermediate.dense", l, 3 * i + l % 2, 1);
    o.intermediate_size = 14;
    o.calibration = batch;
    OK(kd_student_create(&student, teacher, &o));
    NEAR(sum_of(student, "embedding"), sum_of(teacher, "embedding"), 1e-5);
    NEAR(sum_of(student, "hidden"), sum_of(teacher, "hidden"), 1e-4);
    kd_model_free(student);
    kd_model_free(teacher);
}
END_TEST

static const int kept_hidden[] = { 0, 1, 3, 4, 6, 7, 9, 10 };
/* The teacher's row of queries, keys and values for each of the student's: layer l lost head l % 3
 * of three, which have 4 rows each. */
static int64_t head_row(int layer, int64_t row)
{
    const int64_t head = row / 4;
    return (head + (head >= layer % 3)) * 4 + row % 4;
}

static void check_kept(kd_model *student, kd_model *teacher, int32_t tensor)
{
    const char *name;
    kd_array a, b;
    OK(kd_model_tensor(student, tensor, &name, &a));
    const float *x = a.data, *y = tensor_of(teacher, name, &b);
    const char *place = strstr(name, "layer.");
    const int layer = place ? place[6] - '0' : 0, of_heads = strstr(name, ".self.") != NULL,
              from_heads = strstr(name, "attention.output.dense.weight") != NULL;
    const int64_t wide = a.rank == 2 ? a.dims[1] : 1, old = b.rank == 2 ? b.dims[1] : 1;
    for (int64_t r = 0; r < a.dims[0]; r++)
        for (int64_t j = 0; j < wide; j++) {
            const int64_t row = of_heads                 ? head_row(layer, r)
                                : a.dims[0] == b.dims[0] ? r
                                                         : kept_hidden[r],
                          column = from_heads    ? head_row(layer, j)
                                   : wide == old ? j
                                                 : kept_hidden[j];
            ck_assert_msg(x[r * wide + j] == y[row * old + column], "%s, row %lld, column %lld",
                          name, (long long)r, (long long)j);
        }
}

/* A head whose values are 0 goes; so do the hidden numbers that every norm makes 0. */
START_TEST(the_least_active_heads_and_hidden_numbers_are_cut)
{
    static const char *const norms[] = { "bert.embeddings.LayerNorm",
                                         "bert.encoder.layer.%d.attention.output.LayerNorm",
                                         "bert.encoder.layer.%d.output.LayerNorm" };
    kd_model *teacher = teacher_of(0), *student;
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    int32_t count;
    for (int l = 0; l < 4; l++) {
        clear_both(teacher, "bert.encoder.layer.%d.attention.self.value", l, l % 3 * 4, 4);
        for (int k = 0; k < 3; k++)
            for (int i = 2; i < 12; i += 3) clear_both(teacher, norms[k], l, i, 1);
    }
    o.hidden_size = 8;
    o.calibration = batch;
    OK(kd_student_create(&student, teacher, &o));
    OK(kd_model_tensor_count(student, &count));
    for (int32_t i = 0; i < count; i++) check_kept(student, teacher, i);
    kd_model_free(student);
    kd_model_free(teacher);
}
END_TEST

/* A narrow student reaches the teacher's width again by a dense layer of its own. */
START_TEST(what_the_teacher_lacks_is_new)
{
    kd_model *teacher = encoder_made(ctx, TEACHER("bert", SIZES, ",\"kd_pooling\":\"mean\""), NULL),
             *student;
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    kd_array v;
    o.hidden_size = 4;
    o.config = "{\"kd_dense\":[{\"out_features\":12,\"activation\":\"none\"}],"
               "\"max_position_embeddings\":11,\"type_vocab_size\":2,\"num_labels\":5,"
               "\"architectures\":[\"BertForSequenceClassification\"]}";
    OK(kd_student_create(&student, teacher, &o));
    OK(kd_model_forward(student, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(student, "embedding", &v));
    ck_assert_int_eq(v.dims[1], 12);
    OK(kd_model_output(student, "logits", &v));
    ck_assert_int_eq(v.dims[1], 5);
    tensor_of(student, "bert.embeddings.position_embeddings.weight", &v);
    ck_assert_int_eq(v.dims[0], 11);
    kd_model_free(student);
    kd_model_free(teacher);
}
END_TEST

/* Norms with a bias from norms without one, and the other way: the bias stays as it was made. */
START_TEST(a_students_norms_may_have_no_bias)
{
    static const char *const keys[] = { "{\"norm_bias\":false}", "{\"norm_bias\":true}" };
    static const char plain[] =
        TEACHER("modernbert", SIZES,
                ",\"local_attention\":4,\"architectures\":[\"ModernBertForMaskedLM\"]");
    for (int with = 0; with < 2; with++) {
        kd_model *teacher = made_of(with ? plain : heads[2]), *student;
        kd_student_options o = KD_STUDENT_OPTIONS_INIT;
        kd_array v;
        o.hidden_size = 8;
        o.config = keys[with];
        OK(kd_student_create(&student, teacher, &o));
        OK(kd_model_forward(student, batch, KD_MODE_EVALUATE));
        const float *bias = tensor_of(student, "head.norm.bias", &v);
        ck_assert(!bias == !with);
        for (int i = 0; with && i < 8; i++) ck_assert(bias[i] == 0);
        kd_model_free(student);
        kd_model_free(teacher);
    }
}
END_TEST

/* What a teacher says of each layer is said of the student's, too. */
START_TEST(full_attention_stays_full)
{
    kd_model *teacher = made_of(MODERN(",\"layer_types\":[\"full_attention\",\"full_attention\","
                                       "\"full_attention\",\"full_attention\"]")),
             *student;
    OK(kd_student_create(&student, teacher, NULL));
    ck_assert(sum_of(student, "hidden") == sum_of(teacher, "hidden"));
    kd_model_free(student);
    kd_model_free(teacher);
}
END_TEST

/* ---- folders ---- */

START_TEST(a_sentence_folder_goes_along)
{
    static const char *const beside[] = { "vocab.txt", "config_sentence_transformers.json" };
    const char *from = scratch_path("encoder-teacher"), *to = scratch_path("encoder-student"),
               *json;
    char path[700];
    kd_model *made = encoder_made(ctx, BERT_TEACHER, NULL), *teacher, *student, *again;
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    struct stat facts;
    o.layers = 3;
    OK(kd_model_save(made, from, NULL));
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", from, beside[i]);
        write_file(path, "{}", 2);
    }
    OK(kd_model_load(&teacher, ctx, from, NULL));
    OK(kd_student_create(&student, teacher, &o));
    kd_model_free(teacher);
    OK(kd_model_save(student, to, NULL));
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", to, beside[i]);
        ck_assert_int_eq(stat(path, &facts), 0);
    }
    OK(kd_model_load(&again, ctx, to, NULL));
    ck_assert(sum_of(again, "embedding") == sum_of(student, "embedding"));
    OK(kd_model_config(again, &json));
    ck_assert_ptr_nonnull(strstr(json, "\"kd_max_length\":9"));
    kd_model_free(again);
    kd_model_free(student);
    kd_model_free(made);
}
END_TEST

/* ---- refusals ---- */

static void refused(kd_model *teacher, const kd_student_options *o, kd_status status,
                    const char *message)
{
    kd_model *student = NULL;
    FAILS(kd_student_create(&student, teacher, o), status, message);
    ck_assert_ptr_null(student);
}

START_TEST(widths_that_do_not_fit_are_refused_by_name)
{
    kd_model *teacher = encoder_made(ctx, BERT_TEACHER, NULL);
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    o.hidden_size = 10;
    refused(teacher, &o, KD_ERR_RANGE, "hidden_size: the teacher's heads have 4 numbers each");
    o.hidden_size = 16;
    refused(teacher, &o, KD_ERR_RANGE, "hidden_size: expected 0 (all) to 12");
    o.hidden_size = 0;
    o.key_value_heads = 2;
    refused(teacher, &o, KD_ERR_RANGE, "key_value_heads: the teacher's heads have 4 numbers");
    o.key_value_heads = 0;
    o.layer_map = (const int32_t[]){ 4 };
    o.layers = 1;
    refused(teacher, &o, KD_ERR_RANGE, "layer_map: layer 0: the teacher has no layer 4");
    kd_model_free(teacher);
}
END_TEST

START_TEST(configs_that_do_not_fit_are_refused_by_name)
{
    static const struct {
        const char *config, *message;
    } cases[] = {
        { "{\"hidden_size\":8}", "hidden_size is a size" },
        { "{\"dim\":8}", "dim is a size" },
        { "{\"vocab_size\":18}", "changes a size" },
        { "{\"max_position_embeddings\":15}", "positions for 14 tokens" },
        { "{\"type_vocab_size\":3}", "type_vocab_size: the teacher has 2, 3" },
        { "{\"num_labels\":4}", "num_labels: the teacher has 3, 4 were" },
        { "{\"kd_dense\":[{\"out_features\":6}]}", "kd_dense: layer 0 of the teacher gives 5" },
        { "[]", "expected an object" },
    };
    kd_model *teacher = teacher_of(0);
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        o.config = cases[i].config;
        refused(teacher, &o, KD_ERR_CONFIG, cases[i].message);
    }
    o.config = "{\"model_type\":\"roberta\",\"architectures\":null,\"pad_token_id\":3}";
    refused(teacher, &o, KD_ERR_CONFIG, "model_type: a student is of its teacher's family");
    kd_model_free(teacher);
    teacher = encoder_made(ctx, TEACHER("bert", SIZES, ""), NULL);
    o.config = "{\"model_type\":\"llama\"}";
    refused(teacher, &o, KD_ERR_CONFIG, "model_type: a student is of its teacher's kind (bert,");
    kd_model_free(teacher);
    teacher = teacher_of(3);
    o.config = "{\"pad_token_id\":2}";
    refused(teacher, &o, KD_ERR_CONFIG, "from row 2 on, 11 from row 3 on were asked for");
    kd_model_free(teacher);
    teacher = encoder_made(ctx,
                           "{\"model_type\":\"static_embedding\",\"vocab_size\":9,"
                           "\"hidden_size\":4}",
                           NULL);
    o.config = NULL;
    refused(teacher, &o, KD_ERR_UNSUPPORTED, "neither a decoder nor an encoder");
    kd_model_free(teacher);
}
END_TEST

Suite *encoder_student_suite(void)
{
    Suite *suite = suite_create("encoder_student");
    TCase *tests = tcase_create("encoder_student");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_student_of_everything_is_its_teacher);
    tcase_add_test(tests, heads_of_the_teacher_go_along);
    tcase_add_test(tests, parts_of_one_matrix_are_cut_each);
    tcase_add_test(tests, the_first_layers_give_what_the_teacher_has_there);
    tcase_add_test(tests, a_map_takes_layers_in_any_order);
    tcase_add_test(tests, all_that_hangs_on_a_width_is_cut_with_it);
    tcase_add_test(tests, feed_forward_numbers_that_say_nothing_are_cut);
    tcase_add_test(tests, the_least_active_heads_and_hidden_numbers_are_cut);
    tcase_add_test(tests, what_the_teacher_lacks_is_new);
    tcase_add_test(tests, a_students_norms_may_have_no_bias);
    tcase_add_test(tests, full_attention_stays_full);
    tcase_add_test(tests, a_sentence_folder_goes_along);
    tcase_add_test(tests, widths_that_do_not_fit_are_refused_by_name);
    tcase_add_test(tests, configs_that_do_not_fit_are_refused_by_name);
    suite_add_tcase(suite, tests);
    return suite;
}
