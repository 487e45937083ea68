/* Outputs of layers and of attention: in training passes, in evaluating passes that were asked to
 * keep them, as a live teacher's fields, and their way back. */
#include "unit.h"

enum { LAYERS = 3, ROWS = 23, D = 16, V = 19, MOST = 64 * ROWS };

#define SIZES                                                                                      \
    "\"vocab_size\":19,\"hidden_size\":16,\"intermediate_size\":20,\"num_hidden_layers\":3,"       \
    "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"max_position_embeddings\":256,"         \
    "\"initializer_range\":0.3"
static const char *const configs[] = {
    "{\"model_type\":\"llama\"," SIZES ",\"attention_bias\":true,\"head_dim\":6}",
    "{\"model_type\":\"qwen2\"," SIZES
    ",\"use_sliding_window\":true,\"sliding_window\":3,\"max_window_layers\":1}",
    "{\"model_type\":\"qwen3\"," SIZES ",\"head_dim\":4}",
    "{\"model_type\":\"llama\"," SIZES ",\"tie_word_embeddings\":true,\"kd_embedding_size\":6}",
    "{\"model_type\":\"llama\"," SIZES ",\"kd_layer_repeats\":3}",
    "{\"model_type\":\"bert\",\"vocab_size\":19,\"hidden_size\":16,\"intermediate_size\":20,"
    "\"num_hidden_layers\":3,\"num_attention_heads\":4,\"max_position_embeddings\":256,"
    "\"initializer_range\":0.3,\"hidden_dropout_prob\":0,\"attention_probs_dropout_prob\":0}",
};
enum { CONFIGS = sizeof configs / sizeof *configs };
static const char *const names[] = { "hidden.embedding",  "hidden.0",          "hidden.2",
                                     "attention.0.query", "attention.0.value", "attention.1.key",
                                     "attention.2.query", "attention.2.value" };
enum { NAMES = sizeof names / sizeof *names };

static kd_context *ctx;
static kd_batch *batch;
static int64_t tokens[400];

static void fill_batch(kd_batch *to, const int64_t *offsets, int64_t sequences)
{
    kd_array os = KD_ARRAY_1D((void *)(uintptr_t)offsets, KD_INT64, sequences + 1),
             ts = KD_ARRAY_1D(tokens, KD_INT64, offsets[sequences]);
    for (int64_t i = 0; i < offsets[sequences]; i++) tokens[i] = (i * 7 + i * i % 11) % V;
    OK(kd_batch_begin_packed(to, &os));
    OK(kd_batch_set(to, "tokens", &ts, NULL));
}

static void setup(void)
{
    static const int64_t offsets[4] = { 0, 9, 10, ROWS };
    ctx = make_context(2);
    OK(kd_batch_create(&batch, ctx, NULL));
    fill_batch(batch, offsets, 3);
}

static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* Weights of all kinds off their first values, so that biases and norms count. */
static kd_model *model_of(const char *config, const kd_model_options *options)
{
    kd_model *model;
    kd_array p;
    OK(kd_model_create(&model, ctx, config, options));
    OK(kd_model_parameters(model, &p));
    for (int64_t i = 0; i < p.dims[0]; i += 3) ((float *)p.data)[i] += 0.05f * (float)(i % 5);
    return model;
}

/* An output's numbers, row after row; how many a row has. */
static int64_t read_output(kd_model *model, const char *name, float *to)
{
    kd_array values;
    OK(kd_model_output(model, name, &values));
    ck_assert_int_eq(values.rank, 2);
    ck_assert_int_eq(values.strides[1], 1);
    for (int64_t r = 0; r < values.dims[0]; r++)
        memcpy(to + r * values.dims[1], (const float *)values.data + r * values.strides[0],
               (size_t)values.dims[1] * sizeof *to);
    return values.dims[1];
}

/* ---- what is kept ---- */

START_TEST(an_evaluating_pass_keeps_what_a_training_pass_has)
{
    static float trained[NAMES][MOST], kept[MOST];
    for (int c = 0; c < CONFIGS; c++) {
        kd_model *model = model_of(configs[c], NULL);
        int64_t widths[NAMES];
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        for (int i = 0; i < NAMES; i++) widths[i] = read_output(model, names[i], trained[i]);
        OK(kd_model_keep(model, "hidden.*", 1));
        OK(kd_model_keep(model, "attention.*", 1));
        OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
        for (int i = 0; i < NAMES; i++) {
            ck_assert_int_eq(read_output(model, names[i], kept), widths[i]);
            ck_assert_mem_eq(kept, trained[i], (size_t)(ROWS * widths[i]) * sizeof *kept);
        }
        read_output(model, "hidden", kept); /* as before */
        kd_model_free(model);
    }
}
END_TEST

/* softmax(q k / sqrt(D)) v of one row, head after head, of rows first .. r */
static void attend(const float *q, const float *k, const float *v, int64_t first, int64_t r,
                   int64_t n, double *out)
{
    const int64_t heads = 4, groups = 2;
    for (int64_t h = 0; h < heads; h++) {
        const int64_t g = h / (heads / groups);
        double sum = 0, weights[ROWS];
        for (int64_t j = first; j <= r; j++) {
            double score = 0;
            for (int64_t i = 0; i < n; i++)
                score += (double)q[(r * heads + h) * n + i] * k[(j * groups + g) * n + i];
            weights[j] = exp(score / sqrt((double)n));
            sum += weights[j];
        }
        for (int64_t i = 0; i < n; i++) {
            double y = 0;
            for (int64_t j = first; j <= r; j++)
                y += weights[j] / sum * v[(j * groups + g) * n + i];
            out[h * n + i] = y;
        }
    }
}

static float *tensor_of(kd_model *model, const char *name)
{
    int32_t count;
    const char *found;
    kd_array values;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        OK(kd_model_tensor(model, i, &found, &values));
        if (!strcmp(found, name)) return values.data;
    }
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

START_TEST(queries_keys_and_values_are_those_that_attention_multiplies)
{
    static const int64_t offsets[4] = { 0, 9, 10, ROWS };
    static float q[MOST], k[MOST], v[MOST], before[MOST], after[MOST];
    const int64_t n = 4, heads = 4;
    kd_model *model = model_of(configs[2], NULL); /* norms of heads, rotation */
    const float *o = tensor_of(model, "model.layers.0.self_attn.o_proj.weight");
    memset(tensor_of(model, "model.layers.0.mlp.down_proj.weight"), 0, 20 * D * sizeof(float));
    OK(kd_model_keep(model, "*", 1));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    read_output(model, "attention.0.query", q);
    read_output(model, "attention.0.key", k);
    read_output(model, "attention.0.value", v);
    read_output(model, "hidden.embedding", before);
    read_output(model, "hidden.0", after);
    for (int s = 0; s < 3; s++)
        for (int64_t r = offsets[s]; r < offsets[s + 1]; r++) {
            double out[64];
            attend(q, k, v, offsets[s], r, n, out);
            for (int64_t i = 0; i < D; i++) {
                double x = before[r * D + i];
                for (int64_t j = 0; j < heads * n; j++) x += o[i * heads * n + j] * out[j];
                NEAR(after[r * D + i], x, 1e-4);
            }
        }
    kd_model_free(model);
}
END_TEST

START_TEST(layers_whose_values_are_made_again_keep_attention_when_asked)
{
    static float whole[NAMES][MOST], kept[MOST];
    kd_model *model = model_of(configs[2], NULL);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    for (int i = 0; i < NAMES; i++) read_output(model, names[i], whole[i]);
    kd_model_free(model);
    for (int form = 0; form < 3; form++) {
        kd_model_options o = KD_MODEL_OPTIONS_INIT;
        kd_array values;
        o.recompute = form < 2;
        o.recompute_layers = form == 1; /* layer 0 alone */
        o.activations = form == 2 ? KD_BFLOAT16 : KD_FLOAT32;
        model = model_of(configs[2], &o);
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        FAILS(kd_model_output(model, "attention.0.key", &values), KD_ERR_NOT_FOUND,
              "kd_model_keep");
        OK(kd_model_keep(model, "attention.*", 1));
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        for (int i = 0; i < NAMES; i++) {
            const int64_t width = read_output(model, names[i], kept);
            ck_assert_mem_eq(kept, whole[i], (size_t)(ROWS * width) * sizeof *kept);
        }
        kd_model_free(model);
    }
}
END_TEST

/* ---- how far a pass goes ---- */

static int32_t count_layers(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)done, (void)total;
    *(int *)user += !strcmp(stage, "forward");
    return 0;
}

START_TEST(a_pass_stops_at_the_highest_layer_that_is_asked)
{
    static const struct {
        const char *name;
        int layers;
    } asked[] = { { "hidden.embedding", 0 },
                  { "hidden.0", 1 },
                  { "hidden.1", 2 },
                  { "attention.1.key", 2 },
                  { "attention.2.value", 3 },
                  { "hidden.2", 3 },
                  { "attention.0.query", 1 },
                  { "hidden", 3 },
                  { "logits", 3 } };
    int layers;
    const kd_progress progress = { .struct_size = sizeof progress,
                                   .user = &layers,
                                   .progress = count_layers };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context *own, *before = ctx;
    kd_batch *its;
    kd_array values;
    static const int64_t offsets[2] = { 0, 12 };
    static float whole[MOST], short_one[MOST];
    o.progress = &progress;
    OK(kd_context_create(&own, &o));
    ctx = own;
    OK(kd_batch_create(&its, own, NULL));
    fill_batch(its, offsets, 1);
    kd_model *model = model_of(configs[0], NULL);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        OK(kd_model_keep(model, "*", 1));
        OK(kd_model_forward(model, its, KD_MODE_EVALUATE));
        const int64_t width = read_output(model, asked[i].name, whole);
        OK(kd_model_keep(model, "*", 0));
        OK(kd_model_keep(model, asked[i].name, 1));
        layers = 0;
        OK(kd_model_forward(model, its, KD_MODE_EVALUATE));
        ck_assert_int_eq(layers, asked[i].layers);
        read_output(model, asked[i].name, short_one);
        ck_assert_mem_eq(whole, short_one, (size_t)(12 * width) * sizeof *whole);
        if (i == 8) continue;
        FAILS(kd_model_output(model, "logits", &values), KD_ERR_NOT_FOUND, "kd_model_keep");
    }
    layers = 0;
    OK(kd_model_forward(model, its, KD_MODE_TRAIN)); /* runs whole */
    ck_assert_int_eq(layers, LAYERS);
    OK(kd_model_output(model, "logits", &values));
    kd_model_free(model);
    kd_batch_free(its);
    kd_context_free(own);
    ctx = before;
}
END_TEST

START_TEST(what_is_asked_counts_from_the_next_pass_on)
{
    kd_array values;
    kd_output_info info = { .struct_size = sizeof info };
    kd_model *model = model_of(configs[0], NULL);
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_keep(model, "hidden.1", 1));
    FAILS(kd_model_output(model, "hidden.1", &values), KD_ERR_NOT_FOUND, "before the pass");
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_keep(model, "hidden.1", 0));
    OK(kd_model_output(model, "hidden.1", &values));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    FAILS(kd_model_output(model, "hidden.1", &values), KD_ERR_NOT_FOUND, "hidden.1");
    /* logits keep what they are made from */
    OK(kd_model_keep(model, "hidden", 0));
    OK(kd_model_get_output_info(model, "hidden", &info));
    ck_assert_int_eq(info.is_kept, 1);
    OK(kd_model_keep(model, "attention.2.value", 1));
    OK(kd_model_resize_vocabulary(model, V + 2));
    OK(kd_model_get_output_info(model, "attention.2.value", &info));
    ck_assert_int_eq(info.is_kept, 1);
    ck_assert_int_eq(info.unit, KD_UNIT_OF_ROW);
    ck_assert_int_eq(info.dtype, KD_FLOAT32);
    ck_assert_int_eq(info.width, 12); /* of two key-value heads */
    ck_assert_int_eq(info.row_bytes, 48);
    OK(kd_model_get_output_info(model, "logits", &info));
    ck_assert_int_eq(info.width, V + 2);
    kd_model_free(model);
}
END_TEST

START_TEST(outputs_of_samples_need_all_layers)
{
    static float whole[3 * D];
    kd_array values;
    kd_output_info info = { .struct_size = sizeof info };
    kd_model *model = model_of(configs[CONFIGS - 1], NULL); /* an encoder */
    OK(kd_model_get_output_info(model, "embedding", &info));
    ck_assert_int_eq(info.unit, KD_UNIT_OF_SAMPLE);
    ck_assert_int_eq(info.is_kept, 1);
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "embedding", &values));
    ck_assert_int_eq(values.dims[0], 3);
    memcpy(whole, values.data, sizeof whole);
    OK(kd_model_keep(model, "*", 0));
    OK(kd_model_keep(model, "embedding", 1));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "embedding", &values));
    ck_assert_mem_eq(whole, values.data, sizeof whole);
    OK(kd_model_keep(model, "embedding", 0));
    OK(kd_model_keep(model, "hidden.0", 1));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    FAILS(kd_model_output(model, "embedding", &values), KD_ERR_NOT_FOUND, "kd_model_keep");
    FAILS(kd_model_output(model, "hidden", &values), KD_ERR_NOT_FOUND, "kd_model_keep");
    kd_model_free(model);
}
END_TEST

START_TEST(names_that_no_output_has_are_answered_with_those_that_are)
{
    kd_array values;
    kd_output_info info = { .struct_size = sizeof info };
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model *model = model_of(configs[0], NULL), *none = NULL;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    FAILS(kd_model_output(model, "hidden.3", &values), KD_ERR_NOT_FOUND, "hidden.0 .. hidden.2");
    FAILS(kd_model_output(model, "hidden.3", &values), KD_ERR_NOT_FOUND,
          "transformers' hidden_states[3] is hidden.2 here");
    FAILS(kd_model_output(model, "hidden.03", &values), KD_ERR_NOT_FOUND, "hidden.embedding");
    FAILS(kd_model_output(model, "attention.3.key", &values), KD_ERR_NOT_FOUND,
          "attention.0.key .. attention.2.key");
    FAILS(kd_model_output(model, "", &values), KD_ERR_INVALID, "empty");
    FAILS(kd_model_keep(model, "hidden.9*", 1), KD_ERR_NOT_FOUND, "hidden.9*");
    FAILS(kd_model_keep(model, "", 1), KD_ERR_INVALID, "empty");
    FAILS(kd_model_get_output_info(model, "attention.0", &info), KD_ERR_NOT_FOUND, "logits");
    kd_model_free(model);
    o.keep = "hidden.1,attention.7.*";
    FAILS(kd_model_create(&none, ctx, configs[0], &o), KD_ERR_NOT_FOUND, "attention.7.*");
    o.keep = "hidden.1,";
    FAILS(kd_model_create(&none, ctx, configs[0], &o), KD_ERR_INVALID, "ends with a comma");
    o.keep = ",hidden.1";
    FAILS(kd_model_create(&none, ctx, configs[0], &o), KD_ERR_INVALID, "commas between");
    ck_assert_ptr_null(none);
}
END_TEST

/* ---- memory ---- */

/* Bytes at the peak, and what was told. */
static int64_t taken(const char *config, const kd_model_options *o, int64_t *told)
{
    static const int64_t offsets[3] = { 0, 41, 60 };
    kd_context *own = make_context(1);
    kd_batch *its;
    kd_model *model;
    kd_array hidden;
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    kd_model_memory_info info = { .struct_size = sizeof info };
    OK(kd_batch_create(&its, own, NULL));
    fill_batch(its, offsets, 2);
    OK(kd_context_get_info(own, &before));
    OK(kd_model_estimate_memory(own, config, o, &info));
    OK(kd_model_create(&model, own, config, o));
    OK(kd_model_forward(model, its, o->frozen ? KD_MODE_EVALUATE : KD_MODE_TRAIN));
    if (!o->frozen) {
        OK(kd_model_output(model, "hidden", &hidden));
        OK(kd_model_add_output_gradient(model, "hidden", &hidden));
        OK(kd_model_backward(model));
        OK(kd_model_forward(model, its, KD_MODE_EVALUATE));
    }
    OK(kd_context_get_info(own, &after));
    kd_model_free(model);
    kd_batch_free(its);
    kd_context_free(own);
    *told = info.total_bytes;
    return (int64_t)(after.peak_bytes - before.bytes);
}

START_TEST(kept_outputs_are_told_to_the_byte)
{
    static const char *const keeps[] = { "hidden.*", "attention.1.*", "hidden.1,attention.*", "*" };
    for (int form = 0; form < 8; form++)
        for (size_t k = 0; k < sizeof keeps / sizeof *keeps; k++) {
            kd_model_options o = KD_MODEL_OPTIONS_INIT;
            int64_t told[2], got[2];
            o.max_rows = 60;
            o.frozen = form & 1;
            o.recompute = form >> 1 & 1;
            o.activations = form >> 2 ? KD_BFLOAT16 : KD_FLOAT32;
            got[0] = taken(configs[2], &o, &told[0]);
            o.keep = keeps[k];
            got[1] = taken(configs[2], &o, &told[1]);
            ck_assert_int_eq(got[1] - got[0], told[1] - told[0]);
            if (o.frozen) ck_assert_int_gt(told[1], told[0]);
        }
}
END_TEST

START_TEST(a_thousand_passes_leave_nothing_behind)
{
    static const int64_t offsets[3] = { 0, 5, ROWS };
    kd_context_info first = { .struct_size = sizeof first }, now = first;
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.recompute = 1;
    kd_model *model = model_of(configs[0], &o);
    for (int pass = 0; pass < (getenv("KD_TEST_FEW") ? 80 : 1000); pass++) {
        kd_array values;
        fill_batch(batch, offsets, pass % 7 ? 2 : 1);
        OK(kd_model_keep(model, "*", pass % 3 != 0));
        OK(kd_model_keep(model, pass % 2 ? "attention.*" : "hidden.1", 1));
        OK(kd_model_forward(model, batch, pass % 5 ? KD_MODE_EVALUATE : KD_MODE_TRAIN));
        OK(kd_model_output(model, pass % 2 ? "attention.1.key" : "hidden.1", &values));
        if (pass == 60) OK(kd_context_get_info(ctx, &first));
    }
    OK(kd_context_get_info(ctx, &now));
    ck_assert_int_eq(now.bytes, first.bytes);
    ck_assert_int_eq(now.peak_bytes, first.peak_bytes);
    kd_model_free(model);
}
END_TEST

/* ---- the way back ---- */

static double weight_of(int output, int64_t i) { return sin(1.3 * output + 0.37 * (double)i); }

/* sum of weights times all outputs of the list */
static double weighted_sum(kd_model *model)
{
    static float values[MOST];
    double sum = 0;
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    for (int o = 0; o < NAMES; o++) {
        const int64_t count = read_output(model, names[o], values) * ROWS;
        for (int64_t i = 0; i < count; i++) sum += weight_of(o, i) * values[i];
    }
    return sum;
}

static void push_weights(kd_model *model)
{
    static float values[MOST];
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    for (int o = 0; o < NAMES; o++) {
        const int64_t width = read_output(model, names[o], values);
        for (int64_t i = 0; i < ROWS * width; i++) values[i] = (float)weight_of(o, i);
        const kd_array g = KD_ARRAY_2D(values, KD_FLOAT32, ROWS, width);
        OK(kd_model_add_output_gradient(model, names[o], &g));
    }
    OK(kd_model_backward(model));
}

START_TEST(gradients_of_layers_and_attention_are_central_differences)
{
    const int64_t step = getenv("KD_TEST_FEW") ? 103 : 17;
    for (int c = 0; c < CONFIGS; c++) {
        kd_array p, g;
        kd_model *model = model_of(configs[c], NULL);
        OK(kd_model_keep(model, "*", 1));
        OK(kd_model_parameters(model, &p));
        OK(kd_model_gradients(model, &g));
        push_weights(model);
        for (int64_t i = 0; i < p.dims[0]; i += step) {
            float *at = (float *)p.data + i, was = *at;
            const float h = 3e-3f;
            *at = was + h;
            const double up = weighted_sum(model);
            *at = was - h;
            const double slope = (up - weighted_sum(model)) / (2 * (double)h);
            *at = was;
            NEAR(((float *)g.data)[i], slope, 1e-2 + 0.02 * fabs(slope));
        }
        kd_model_free(model);
    }
}
END_TEST

START_TEST(recomputed_layers_push_the_same_bits_back)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_array a, b;
    kd_model *whole = model_of(configs[2], NULL);
    o.recompute = 1;
    kd_model *again = model_of(configs[2], &o);
    OK(kd_model_keep(again, "attention.*", 1));
    push_weights(whole);
    push_weights(again);
    OK(kd_model_gradients(whole, &a));
    OK(kd_model_gradients(again, &b));
    ck_assert_mem_eq(a.data, b.data, (size_t)a.dims[0] * sizeof(float));
    kd_model_free(whole);
    kd_model_free(again);
}
END_TEST

/* ---- losses and live teachers ---- */

START_TEST(a_live_teacher_gives_the_layers_that_a_loss_names)
{
    int32_t teacher_of[2], term;
    kd_model *model = model_of(configs[0], NULL), *small;
    kd_teacher *teacher;
    kd_targets *targets;
    kd_loss *loss;
    kd_loss_result result = { .struct_size = sizeof result };
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_array values;
    static float whole[MOST];
    small = model_of("{\"model_type\":\"llama\",\"vocab_size\":19,\"hidden_size\":16,"
                     "\"intermediate_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":4}",
                     NULL);
    OK(kd_teacher_from_model(&teacher, model, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_map_layers(KD_LAYERS_UNIFORM, 2, LAYERS, teacher_of));
    teacher_of[1] = 1;
    o.student_output = o.teacher_field = "hidden.%d";
    OK(kd_loss_add_mapped(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, teacher_of, 2, &term));
    OK(kd_model_forward(small, batch, KD_MODE_TRAIN));
    /* not asked yet */
    OK(kd_teacher_read(teacher, batch, targets));
    FAILS(kd_loss_backward(loss, small, batch, targets, NULL, &result), KD_ERR_NOT_FOUND,
          "kd_loss_keep_outputs");
    OK(kd_loss_keep_outputs(loss, small, teacher));
    OK(kd_teacher_read(teacher, batch, targets));
    FAILS(kd_targets_field(targets, "hidden", &values, NULL), KD_ERR_NOT_FOUND, "hidden");
    FAILS(kd_model_output(model, "logits", &values), KD_ERR_NOT_FOUND, "kd_model_keep");
    OK(kd_loss_backward(loss, small, batch, targets, NULL, &result));
    ck_assert_int_eq(result.rows[1], ROWS);
    OK(kd_targets_field(targets, "hidden.1", &values, NULL));
    OK(kd_model_keep(model, "*", 1));
    memcpy(whole, values.data, ROWS * D * sizeof *whole);
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_targets_field(targets, "hidden.1", &values, NULL));
    ck_assert_mem_eq(whole, values.data, ROWS * D * sizeof *whole);
    /* the student evaluates the same terms */
    OK(kd_model_forward(small, batch, KD_MODE_EVALUATE));
    OK(kd_loss_forward(loss, small, batch, targets, NULL, &result));
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_teacher_free(teacher);
    kd_model_free(small);
    kd_model_free(model);
}
END_TEST

START_TEST(terms_on_attention_train_like_terms_on_copies_of_it)
{
    static float q[MOST], dq[MOST], targets_of[MOST];
    kd_model *model = model_of(configs[2], NULL);
    kd_loss *loss;
    kd_targets *targets;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_array g;
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    o.student_output = o.teacher_field = "attention.2.query";
    OK(kd_loss_add(loss, KD_LOSS_MEAN_SQUARED_ERROR, 1, &o, NULL));
    for (int i = 0; i < ROWS * D; i++) targets_of[i] = (float)cos(i);
    const kd_array ts = KD_ARRAY_2D(targets_of, KD_FLOAT32, ROWS, D);
    OK(kd_targets_begin(targets, ROWS));
    OK(kd_targets_set(targets, "attention.2.query", &ts, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    ck_assert_int_eq(read_output(model, "attention.2.query", q), D);
    OK(kd_loss_backward(loss, model, batch, targets, NULL, NULL));
    OK(kd_model_gradients(model, &g));
    float *by_loss = malloc((size_t)g.dims[0] * sizeof *by_loss);
    memcpy(by_loss, g.data, (size_t)g.dims[0] * sizeof *by_loss);
    for (int i = 0; i < ROWS * D; i++) dq[i] = 2 * (q[i] - targets_of[i]) / (ROWS * D);
    const kd_array given = KD_ARRAY_2D(dq, KD_FLOAT32, ROWS, D);
    OK(kd_model_zero_gradients(model));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_add_output_gradient(model, "attention.2.query", &given));
    OK(kd_model_backward(model));
    for (int64_t i = 0; i < g.dims[0]; i++)
        NEAR(by_loss[i], ((float *)g.data)[i], 1e-6 + 1e-4 * fabs((double)by_loss[i]));
    free(by_loss);
    kd_targets_free(targets);
    kd_loss_free(loss);
    kd_model_free(model);
}
END_TEST

Suite *kept_outputs_suite(void)
{
    Suite *suite = suite_create("kept_outputs");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, an_evaluating_pass_keeps_what_a_training_pass_has);
    tcase_add_test(tests, queries_keys_and_values_are_those_that_attention_multiplies);
    tcase_add_test(tests, layers_whose_values_are_made_again_keep_attention_when_asked);
    tcase_add_test(tests, a_pass_stops_at_the_highest_layer_that_is_asked);
    tcase_add_test(tests, what_is_asked_counts_from_the_next_pass_on);
    tcase_add_test(tests, outputs_of_samples_need_all_layers);
    tcase_add_test(tests, names_that_no_output_has_are_answered_with_those_that_are);
    tcase_add_test(tests, kept_outputs_are_told_to_the_byte);
    tcase_add_test(tests, a_thousand_passes_leave_nothing_behind);
    tcase_add_test(tests, gradients_of_layers_and_attention_are_central_differences);
    tcase_add_test(tests, recomputed_layers_push_the_same_bits_back);
    tcase_add_test(tests, a_live_teacher_gives_the_layers_that_a_loss_names);
    tcase_add_test(tests, terms_on_attention_train_like_terms_on_copies_of_it);
    suite_add_tcase(suite, tests);
    return suite;
}
