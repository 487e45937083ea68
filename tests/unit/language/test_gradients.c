/* What tasks send to the rows that they share: beside gradients that a host computes by itself, and
 * beside whole backward passes of one task after the other. */
#include "encoderkit.h"

enum { D = 12, LABELS = 3, R = ENCODER_ROWS, S = ENCODER_TEXTS, TERMS = 4 };
static const int64_t first_row[S + 1] = { 0, 7, R };

static kd_batch *batch;
static kd_targets *targets;
static float wanted[R * D], pooled[S * D];

static void set_fields(kd_batch *b, int64_t rows, int64_t samples)
{
    static const int64_t labels[S] = { 2, 0 };
    static const uint8_t masks[S] = { 1, 0 };
    kd_array ys = KD_ARRAY_1D(labels, KD_INT64, samples),
             ms = KD_ARRAY_1D(masks, KD_UINT8, samples),
             hs = KD_ARRAY_2D(wanted, KD_FLOAT32, rows, D),
             ps = KD_ARRAY_2D(pooled, KD_FLOAT32, samples, D);
    for (int i = 0; i < R * D; i++) wanted[i] = weight_at(i + 5);
    for (int i = 0; i < S * D; i++) pooled[i] = weight_at(3 * i);
    OK(kd_batch_set_per_sample(b, "label", &ys, NULL));
    OK(kd_batch_set_per_sample(b, "some", &ms, NULL));
    OK(kd_targets_begin(targets, rows));
    OK(kd_targets_set(targets, "hidden", &hs, NULL));
    OK(kd_targets_set_per_sample(targets, "pooled", &ps, NULL));
}

/* Classes of texts; the same of a text alone; vectors of texts; rows. */
static kd_loss *make_loss(kd_context *ctx)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss *loss;
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 0.7, &o, NULL));
    o.mask_field = "some";
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 2, &o, NULL));
    o.mask_field = NULL;
    o.student_output = o.teacher_field = "pooled";
    OK(kd_loss_add(loss, KD_LOSS_MEAN_SQUARED_ERROR, 3, &o, NULL));
    o.student_output = o.teacher_field = "hidden";
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1.5, &o, NULL));
    return loss;
}

static kd_model *make_encoder(kd_context *ctx)
{
    kd_model *model = encoder_made(ctx, BERT(NO_DROPOUT CLASSES ",\"kd_normalize\":true"), NULL);
    targets = NULL;
    OK(kd_targets_create(&targets, ctx, NULL));
    batch = encoder_batch(ctx);
    set_fields(batch, R, S);
    encoder_fill(model);
    return model;
}

static void release(kd_context *ctx, kd_model *model, kd_loss *loss)
{
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_model_free(model);
    kd_context_free(ctx);
}

static const float *tensor_of(kd_model *model, const char *wanted_name, int gradient)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array v;
        OK(kd_model_tensor(model, i, &name, &v));
        if (strcmp(name, wanted_name)) continue;
        if (gradient) OK(kd_model_tensor_gradient(model, i, &v));
        return v.data;
    }
    ck_abort_msg("no tensor %s", wanted_name);
}

/* ---- a host's own way back ---- */

/* g += the rows' gradient of dl (S, LABELS), through the classifier and the pooler. */
static void host_classes(kd_model *model, const float *hidden, const double *dl, double *g)
{
    const float *v = tensor_of(model, "classifier.weight", 0),
                *w = tensor_of(model, "bert.pooler.dense.weight", 0),
                *b = tensor_of(model, "bert.pooler.dense.bias", 0);
    for (int s = 0; s < S; s++) {
        const float *x = hidden + first_row[s] * D;
        for (int i = 0; i < D; i++) {
            double u = b[i], du = 0;
            for (int k = 0; k < D; k++) u += (double)w[i * D + k] * x[k];
            u = tanh(u);
            for (int c = 0; c < LABELS; c++) du += dl[s * LABELS + c] * v[c * D + i];
            for (int k = 0; k < D; k++)
                g[first_row[s] * D + k] += du * (1 - u * u) * (double)w[i * D + k];
        }
    }
}

static void host_cross_entropy(kd_model *model, const float *hidden, double weight, int samples,
                               double *g)
{
    static const int64_t labels[S] = { 2, 0 };
    double dl[S * LABELS] = { 0 };
    kd_array z;
    OK(kd_model_output(model, "logits", &z));
    for (int s = 0; s < samples; s++) {
        const float *x = (const float *)z.data + s * LABELS;
        double sum = 0;
        for (int c = 0; c < LABELS; c++) sum += exp((double)x[c]);
        for (int c = 0; c < LABELS; c++)
            dl[s * LABELS + c] = weight * (exp((double)x[c]) / sum - (c == labels[s])) / samples;
    }
    host_classes(model, hidden, dl, g);
}

static void host_vectors(kd_model *model, double weight, double *g)
{
    kd_array v;
    OK(kd_model_output(model, "pooled", &v));
    for (int s = 0; s < S; s++)
        for (int64_t r = first_row[s]; r < first_row[s + 1]; r++)
            for (int k = 0; k < D; k++)
                g[r * D + k] += weight * 2 *
                                ((double)((float *)v.data)[s * D + k] - pooled[s * D + k]) / D / S /
                                (double)(first_row[s + 1] - first_row[s]);
}

/* 1 - cos(x, t):  dx = -(t / |t| - cos x / |x|) / |x| */
static void host_rows(const float *hidden, double weight, double *g)
{
    for (int r = 0; r < R; r++) {
        const float *x = hidden + r * D, *t = wanted + r * D;
        double xx = 0, tt = 0, xt = 0;
        for (int k = 0; k < D; k++) {
            xx += (double)x[k] * x[k];
            tt += (double)t[k] * t[k];
            xt += (double)x[k] * t[k];
        }
        const double cosine = xt / sqrt(xx * tt);
        for (int k = 0; k < D; k++)
            g[r * D + k] -= weight / R * (t[k] / sqrt(tt) - cosine * x[k] / sqrt(xx)) / sqrt(xx);
    }
}

static double product(const double *x, const double *y)
{
    double sum = 0;
    for (int i = 0; i < R * D; i++) sum += x[i] * y[i];
    return sum;
}

static void compare(const double *g, int tasks, const double *norms, const double *cosines)
{
    for (int i = 0; i < tasks; i++) {
        const double *a = g + i * R * D, size = sqrt(product(a, a));
        NEAR(norms[i] / size, 1, 2e-5);
        for (int j = 0; j < tasks; j++) {
            const double *b = g + j * R * D;
            NEAR(cosines[i * tasks + j], product(a, b) / size / sqrt(product(b, b)), 2e-5);
            ck_assert(cosines[i * tasks + j] == cosines[j * tasks + i]);
        }
        ck_assert(cosines[i * tasks + i] == 1);
    }
}

START_TEST(norms_and_cosines_are_those_of_a_host)
{
    static double g[TERMS * R * D], of_tasks[2 * R * D];
    double norms[TERMS], cosines[TERMS * TERMS];
    const int32_t task_of[TERMS] = { 1, -1, 0, 1 };
    kd_gradient_options o = KD_GRADIENT_OPTIONS_INIT;
    kd_context *ctx = make_context(2);
    kd_model *model = make_encoder(ctx);
    kd_loss *loss = make_loss(ctx);
    kd_array hidden;
    memset(g, 0, sizeof g);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "hidden", &hidden));
    host_cross_entropy(model, hidden.data, 0.7, S, g);
    host_cross_entropy(model, hidden.data, 2, 1, g + R * D);
    host_vectors(model, 3, g + 2 * R * D);
    host_rows(hidden.data, 1.5, g + 3 * R * D);
    OK(kd_loss_measure_gradients(loss, model, batch, targets, NULL, norms, cosines));
    compare(g, TERMS, norms, cosines);
    for (int i = 0; i < R * D; i++) {
        of_tasks[i] = g[2 * R * D + i];
        of_tasks[R * D + i] = g[i] + g[3 * R * D + i];
    }
    o.tasks = 2;
    o.task_of = task_of;
    o.output = "hidden";
    OK(kd_loss_measure_gradients(loss, model, batch, targets, &o, norms, cosines));
    compare(of_tasks, 2, norms, cosines);
    OK(kd_loss_measure_gradients(loss, model, batch, targets, &o, norms, NULL));
    release(ctx, model, loss);
}
END_TEST

/* Of a batch of one row, the gradient of the last norm's bias is that of the row. */
START_TEST(a_row_is_that_of_two_backward_passes)
{
    static const int64_t token = 7, end[2] = { 0, 1 };
    static const char last[] = "bert.encoder.layer.1.output.LayerNorm.bias";
    kd_context *ctx = make_context(2);
    kd_model *model = make_encoder(ctx);
    kd_loss *loss = make_loss(ctx);
    kd_array os = KD_ARRAY_1D(end, KD_INT64, 2), ts = KD_ARRAY_1D(&token, KD_INT64, 1);
    double norms[TERMS], cosines[TERMS * TERMS], g[TERMS][D], size[TERMS] = { 0 };
    const double weights[TERMS] = { 0.7, 2, 3, 1.5 };
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    set_fields(batch, 1, 1);
    for (int t = 0; t < TERMS; t++) {
        for (int i = 0; i < TERMS; i++)
            OK(kd_loss_set(loss, i, KD_TERM_WEIGHT, i == t ? weights[t] : 0));
        OK(kd_model_zero_gradients(model));
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(loss, model, batch, targets, NULL, NULL));
        const float *d = tensor_of(model, last, 1);
        for (int k = 0; k < D; k++) g[t][k] = d[k], size[t] += g[t][k] * g[t][k];
    }
    for (int i = 0; i < TERMS; i++) OK(kd_loss_set(loss, i, KD_TERM_WEIGHT, weights[i]));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_measure_gradients(loss, model, batch, targets, NULL, norms, cosines));
    for (int t = 0; t < TERMS; t++) {
        double with_first = 0;
        for (int k = 0; k < D; k++) with_first += g[t][k] * g[0][k];
        NEAR(norms[t] / sqrt(size[t]), 1, 1e-6);
        NEAR(cosines[t], with_first / sqrt(size[t] * size[0]), 1e-6);
    }
    ck_assert(cosines[1] > 0.999999); /* of one row, both ask for the same class */
    release(ctx, model, loss);
}
END_TEST

enum { STEP_TERMS = TERMS + 1 };
#define DROPOUT ",\"hidden_dropout_prob\":0.2,\"attention_probs_dropout_prob\":0.1"

/* A step with or without a look; its gradients and what diagnostics tell. */
static void step(int looks, float *gradients, kd_loss_diagnostics *seen, int32_t threads,
                 double *numbers)
{
    kd_context *ctx = make_context(threads);
    kd_model *model = encoder_made(ctx, BERT(DROPOUT CLASSES), NULL);
    kd_loss *loss = make_loss(ctx);
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_array g, vs = KD_ARRAY_2D(wanted, KD_FLOAT32, S, LABELS);
    OK(kd_targets_create(&targets, ctx, NULL));
    batch = encoder_batch(ctx);
    set_fields(batch, R, S);
    OK(kd_targets_set_per_sample(targets, "logits", &vs, NULL));
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, &o, NULL)); /* what it says of labels is counted */
    OK(kd_loss_set_diagnostics(loss, 1));
    for (int i = 0; i < 2; i++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        if (looks)
            OK(kd_loss_measure_gradients(loss, model, batch, targets, NULL, numbers,
                                         numbers + STEP_TERMS));
        OK(kd_loss_backward(loss, model, batch, targets, NULL, NULL));
    }
    OK(kd_model_gradients(model, &g));
    ck_assert_int_lt(g.dims[0], 8192);
    memcpy(gradients, g.data, (size_t)g.dims[0] * sizeof *gradients);
    for (int t = 0; t < STEP_TERMS; t++) {
        seen[t].struct_size = sizeof *seen;
        OK(kd_loss_get_diagnostics(loss, t, &seen[t]));
    }
    release(ctx, model, loss);
}

START_TEST(a_look_changes_nothing)
{
    static float with[8192], without[8192];
    static kd_loss_diagnostics seen[2][STEP_TERMS];
    double numbers[STEP_TERMS + STEP_TERMS * STEP_TERMS];
    memset(with, 0, sizeof with);
    memset(without, 0, sizeof without);
    step(1, with, seen[0], 2, numbers);
    step(0, without, seen[1], 2, numbers);
    ck_assert_mem_eq(with, without, sizeof with);
    ck_assert_mem_eq(seen[0], seen[1], sizeof seen[0]);
    ck_assert_int_eq(seen[0][TERMS].sampled, 2 * S); /* of two steps, not of two looks */
}
END_TEST

START_TEST(threads_give_the_same_bits)
{
    static float unused[8192];
    static kd_loss_diagnostics seen[STEP_TERMS];
    double one[STEP_TERMS + STEP_TERMS * STEP_TERMS], more[STEP_TERMS + STEP_TERMS * STEP_TERMS];
    step(1, unused, seen, 1, one);
    for (int32_t threads = 2; threads < 6; threads++) {
        step(1, unused, seen, threads, more);
        ck_assert_mem_eq(one, more, sizeof one);
    }
}
END_TEST

START_TEST(a_second_look_allocates_nothing)
{
    kd_context *ctx = make_context(2);
    kd_model *model = make_encoder(ctx);
    kd_loss *loss = make_loss(ctx);
    double norms[TERMS], cosines[TERMS * TERMS];
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    for (int i = 0; i < 3; i++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_loss_measure_gradients(loss, model, batch, targets, NULL, norms, cosines));
        OK(kd_loss_backward(loss, model, batch, targets, NULL, NULL));
        OK(kd_context_get_info(ctx, i ? &after : &before));
    }
    ck_assert_uint_eq(after.allocations, before.allocations);
    release(ctx, model, loss);
}
END_TEST

START_TEST(both_sides_of_a_pair_count)
{
    kd_context *ctx = make_context(2);
    kd_model *model = make_encoder(ctx);
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_pair_options pairs = KD_PAIR_OPTIONS_INIT;
    static float gx[S * D], gy[S * D];
    kd_array hidden, xs, ys, dx = KD_ARRAY_2D(gx, KD_FLOAT32, S, D),
                             dy = KD_ARRAY_2D(gy, KD_FLOAT32, S, D);
    double norm, sum = 0;
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "pooled";
    pairs.other_output = "embedding";
    OK(kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &o, NULL));
    OK(kd_loss_set_pairs(loss, 0, &pairs));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_model_output(model, "hidden", &hidden));
    OK(kd_loss_measure_gradients(loss, model, batch, targets, NULL, &norm, NULL));
    OK(kd_model_output(model, "pooled", &xs));
    OK(kd_model_output(model, "embedding", &ys));
    const kd_loss_output outputs[2] = {
        { sizeof *outputs, 0, "pooled", &xs, &dx, NULL },
        { sizeof *outputs, 0, "embedding", &ys, &dy, NULL },
    };
    OK(kd_loss_evaluate(loss, outputs, 2, batch, targets, NULL, NULL));
    for (int s = 0; s < S; s++) { /* y = x / |x|, x a mean over the text's rows */
        const float *x = (const float *)xs.data + s * D, *y = (const float *)ys.data + s * D;
        const double rows = (double)(first_row[s + 1] - first_row[s]);
        double size = 0, along = 0;
        for (int k = 0; k < D; k++)
            size += (double)x[k] * x[k], along += (double)gy[s * D + k] * y[k];
        for (int k = 0; k < D; k++) {
            const double d = gx[s * D + k] + (gy[s * D + k] - along * y[k]) / sqrt(size);
            sum += d * d / rows;
        }
    }
    NEAR(norm / sqrt(sum), 1, 2e-5);
    release(ctx, model, loss);
}
END_TEST

#define LLAMA                                                                                      \
    "{\"model_type\":\"llama\",\"vocab_size\":17,\"hidden_size\":12,\"intermediate_size\":20,"     \
    "\"num_hidden_layers\":2,\"num_attention_heads\":3,\"max_position_embeddings\":12}"

/* Through a head in blocks, to its hidden states. */
START_TEST(logits_of_a_language_model_reach_its_hidden_states)
{
    kd_context *ctx = make_context(2);
    kd_model *model = encoder_made(ctx, LLAMA, NULL);
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_head head = KD_HEAD_INIT;
    static int64_t labels[2][R];
    static float g[3][R * D];
    static double exact[3 * R * D];
    double norms[3], cosines[9];
    OK(kd_targets_create(&targets, ctx, NULL));
    batch = encoder_batch(ctx);
    set_fields(batch, R, S);
    OK(kd_loss_create(&loss, ctx, NULL));
    for (int i = 0; i < 2; i++) {
        kd_array ys = KD_ARRAY_1D(labels[i], KD_INT64, R);
        for (int r = 0; r < R; r++) labels[i][r] = r % 3 == 2 ? -100 : (5 * r + 3 * i) % 17;
        OK(kd_batch_set(batch, i ? "b" : "a", &ys, NULL));
        o.label_field = i ? "b" : "a";
        OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1 + i, &o, NULL));
    }
    o.label_field = NULL;
    o.student_output = o.teacher_field = "hidden";
    OK(kd_loss_add(loss, KD_LOSS_MEAN_SQUARED_ERROR, 1, &o, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_measure_gradients(loss, model, batch, targets, NULL, norms, cosines));
    kd_array hidden, w = KD_ARRAY_2D(tensor_of(model, "lm_head.weight", 0), KD_FLOAT32, 17, D);
    OK(kd_model_output(model, "hidden", &hidden));
    head.weight = &w;
    for (int t = 0; t < 3; t++) {
        kd_array d[2] = { KD_ARRAY_2D(g[t], KD_FLOAT32, R, D),
                          KD_ARRAY_2D(g[t], KD_FLOAT32, R, D) };
        const kd_loss_output outputs[2] = {
            { sizeof *outputs, 0, "logits", &hidden, &d[0], &head },
            { sizeof *outputs, 1, "hidden", &hidden, &d[1], NULL },
        };
        for (int i = 0; i < 3; i++)
            OK(kd_loss_set(loss, i, KD_TERM_WEIGHT, i != t ? 0 : t == 1 ? 2 : 1));
        OK(kd_loss_evaluate(loss, outputs, 2, batch, targets, NULL, NULL));
        for (int i = 0; i < R * D; i++) exact[t * R * D + i] = g[t][i];
    }
    compare(exact, 3, norms, cosines);
    release(ctx, model, loss);
}
END_TEST

START_TEST(tasks_that_do_not_meet_are_told)
{
    kd_context *ctx = make_context(1);
    kd_model *model = make_encoder(ctx);
    kd_loss *loss = make_loss(ctx);
    kd_gradient_options o = KD_GRADIENT_OPTIONS_INIT;
    kd_term_options t = KD_TERM_OPTIONS_INIT;
    int32_t task_of[TERMS + 1] = { 0, 0, 0, 0, 2 };
    double norms[TERMS + 1], cosines[(TERMS + 1) * (TERMS + 1)];
    FAILS(kd_loss_measure_gradients(loss, model, batch, targets, NULL, norms, cosines),
          KD_ERR_STATE, "KD_MODE_TRAIN forward pass");
    t.student_output = "hidden.0";
    t.teacher_field = "hidden";
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &t, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    FAILS(kd_loss_measure_gradients(loss, model, batch, targets, NULL, norms, cosines),
          KD_ERR_INVALID, "'hidden' and 'hidden.0': name one");
    o.output = "hidden";
    OK(kd_loss_measure_gradients(loss, model, batch, targets, &o, norms, cosines));
    ck_assert(isnan(norms[TERMS]) && isnan(cosines[TERMS]) && norms[0] > 0);
    o.output = "nowhere";
    FAILS(kd_loss_measure_gradients(loss, model, batch, targets, &o, norms, cosines),
          KD_ERR_NOT_FOUND, "nowhere");
    o.output = NULL;
    o.task_of = task_of;
    FAILS(kd_loss_measure_gradients(loss, model, batch, targets, &o, norms, cosines), KD_ERR_RANGE,
          "expected 1 to 64, got 0");
    o.tasks = 2;
    FAILS(kd_loss_measure_gradients(loss, model, batch, targets, &o, norms, cosines), KD_ERR_RANGE,
          "the task of term 4: expected -1 (none) to 1, got 2");
    task_of[4] = -1;
    OK(kd_loss_measure_gradients(loss, model, batch, targets, &o, norms, cosines));
    ck_assert(isnan(norms[1]) && norms[0] > 0);
    FAILS(kd_loss_measure_gradients(loss, model, batch, targets, NULL, NULL, cosines),
          KD_ERR_INVALID, "norms is NULL");
    release(ctx, model, loss);
}
END_TEST

Suite *gradients_suite(void)
{
    Suite *suite = suite_create("gradients");
    TCase *tests = tcase_create("gradients");
    tcase_add_test(tests, norms_and_cosines_are_those_of_a_host);
    tcase_add_test(tests, a_row_is_that_of_two_backward_passes);
    tcase_add_test(tests, a_look_changes_nothing);
    tcase_add_test(tests, threads_give_the_same_bits);
    tcase_add_test(tests, a_second_look_allocates_nothing);
    tcase_add_test(tests, both_sides_of_a_pair_count);
    tcase_add_test(tests, logits_of_a_language_model_reach_its_hidden_states);
    tcase_add_test(tests, tasks_that_do_not_meet_are_told);
    suite_add_tcase(suite, tests);
    return suite;
}
