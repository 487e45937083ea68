/* Steps that are begun before the backward pass, and layers that share one place for their
 * gradients. */
#include "unit.h"

#define ROWS 24
#define V 37
#define STEPS 3
#define RATE 1e-2

static kd_context *ctx;
static kd_batch *batch;
static kd_loss *loss;
static int64_t calls, last_call; /* of the host's progress callback; 0: it never stops a pass */

static int32_t count_calls(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)user, (void)stage, (void)done, (void)total;
    return ++calls == last_call;
}

static void setup(void)
{
    static const kd_progress progress = { .struct_size = sizeof progress, .progress = count_calls };
    static int64_t tokens[ROWS], offsets[] = { 0, 15, ROWS };
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 3), t = KD_ARRAY_1D(tokens, KD_INT64, ROWS);
    kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
    kd_term_options to = KD_TERM_OPTIONS_INIT;
    for (int i = 0; i < ROWS; i++) tokens[i] = (i * i + 3 * i) % V;
    to.label_field = "tokens";
    to.align = KD_ALIGN_NEXT;
    co.threads = 2;
    co.progress = &progress;
    last_call = 0;
    OK(kd_context_create(&ctx, &co));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &o));
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &to, NULL));
}

static void teardown(void)
{
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static const char *config(const char *family, const char *more)
{
    static char json[700];
    snprintf(
        json, sizeof json,
        "{\"model_type\":\"%s\",\"vocab_size\":37,\"hidden_size\":24,\"intermediate_size\":20,"
        "\"num_hidden_layers\":4,\"num_attention_heads\":4,"
        "\"num_key_value_heads\":2,\"max_position_embeddings\":64,\"initializer_range\":0.2%s}",
        family, more);
    return json;
}

static kd_model *make_model(const char *family, const char *more, int shared)
{
    kd_model *model;
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.seed = 3;
    o.recompute = shared; /* layers that are made again see the weights that they had */
    o.shared_gradients = shared;
    OK(kd_model_create(&model, ctx, config(family, more), &o));
    return model;
}

static kd_optimizer *make_optimizer(kd_model *model, int32_t kind, const kd_optimizer_options *o)
{
    kd_optimizer *optimizer;
    OK(kd_optimizer_create(&optimizer, ctx, kind, o));
    OK(kd_optimizer_add_model(optimizer, model));
    return optimizer;
}

static kd_status push_back(kd_model *model)
{
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    return kd_loss_backward(loss, model, batch, NULL, NULL, NULL);
}

typedef struct {
    int64_t count;
    float *values;
    double norm;
} trained;

static void keep(kd_model *model, trained *t)
{
    kd_array p;
    OK(kd_model_parameters(model, &p));
    t->count = kd_array_count(&p);
    t->values = malloc((size_t)t->count * sizeof *t->values);
    memcpy(t->values, p.data, (size_t)t->count * sizeof *t->values);
}

static int is_same(kd_model *model, const trained *t)
{
    kd_array p;
    OK(kd_model_parameters(model, &p));
    ck_assert_int_eq(kd_array_count(&p), t->count);
    return !memcmp(p.data, t->values, (size_t)t->count * sizeof *t->values);
}

/* Did the adapter of a factorized embedding's projection learn? B is zero at first. */
static int projection_learnt(kd_model *model)
{
    const char *name = "";
    kd_array b;
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count && strcmp(name, "model.embed_projection.weight.lora_B"); i++)
        OK(kd_model_tensor(model, i, &name, &b));
    return ((float *)b.data)[3] != 0;
}

/* begun 0: a step behind the pass; 1: begun before it; 2: and the layers share a place. */
static trained train(const char *family, const char *more, int lora, int32_t kind,
                     const kd_optimizer_options *o, int begun)
{
    trained t;
    kd_optimizer_info info = { .struct_size = sizeof info };
    kd_model *model = make_model(family, more, begun == 2);
    if (lora) OK(kd_model_add_lora(model, "*_proj*weight", NULL));
    kd_optimizer *optimizer = make_optimizer(model, kind, o);
    for (int i = 0; i < STEPS; i++) {
        if (begun) OK(kd_optimizer_begin_step(optimizer, RATE));
        OK(push_back(model));
        OK(kd_optimizer_step(optimizer, RATE));
        OK(kd_optimizer_get_info(optimizer, &info));
        ck_assert_int_eq(info.steps, i + 1);
        ck_assert_int_eq(info.last_skipped, 0);
    }
    if (lora) ck_assert(projection_learnt(model));
    t.norm = info.gradient_norm;
    keep(model, &t);
    kd_optimizer_free(optimizer);
    kd_model_free(model);
    return t;
}

static void compare(const char *family, const char *more, int lora, int32_t kind,
                    const kd_optimizer_options *o, int most)
{
    trained plain = train(family, more, lora, kind, o, 0);
    for (int begun = 1; begun <= most; begun++) {
        trained t = train(family, more, lora, kind, o, begun);
        ck_assert_int_eq(plain.count, t.count);
        ck_assert_msg(!memcmp(plain.values, t.values, (size_t)t.count * sizeof *t.values),
                      "%s%s, kind %d, begun %d", family, more, kind, begun);
        ck_assert(plain.norm == t.norm && t.norm > 0);
        free(t.values);
    }
    free(plain.values);
}

START_TEST(a_begun_step_gives_the_same_bits)
{
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT, all = o, sgd = o;
    all.weight_decay = 0.1;
    all.clip_value = 0.01;
    all.max_norm = 0.5;
    all.average_decay = 0.9;
    sgd.momentum = 0.9;
    compare("llama", "", 0, KD_OPTIMIZER_ADAMW, &o, 2);
    compare("llama", "", 0, KD_OPTIMIZER_MUON, &all, 2);
    compare("qwen2", ",\"tie_word_embeddings\":true", 0, KD_OPTIMIZER_ADAMW, &all, 2);
    compare("qwen3", ",\"kd_layer_repeats\":2", 0, KD_OPTIMIZER_ADAM, &o, 2);
    compare("llama", ",\"kd_embedding_size\":6,\"tie_word_embeddings\":true", 0, KD_OPTIMIZER_SGD,
            &sgd, 2);
    compare("llama", ",\"kd_embedding_size\":6,\"tie_word_embeddings\":true", 1, KD_OPTIMIZER_ADAMW,
            &o, 2);
    compare("llama", ",\"kd_layer_repeats\":2,\"kd_layer_sharing\":\"stack\"", 0,
            KD_OPTIMIZER_ADAMW, &o, 1);
}
END_TEST

/* Two batches with one without rows between them, as a rank gets that has fewer samples: momentum
 * moves the weights there as well. */
static trained train_with_gap(int32_t kind, const kd_optimizer_options *o, int begun)
{
    trained t;
    int64_t none = 0;
    kd_optimizer_info info = { .struct_size = sizeof info };
    kd_batch *full = batch, *empty;
    const kd_array offsets = KD_ARRAY_1D(&none, KD_INT64, 1);
    kd_model *model = make_model("llama", ",\"tie_word_embeddings\":true", begun == 2);
    kd_optimizer *optimizer = make_optimizer(model, kind, o);
    OK(kd_batch_create(&empty, ctx, NULL));
    OK(kd_batch_begin_packed(empty, &offsets));
    for (int i = 0; i < STEPS; i++) {
        batch = i == 1 ? empty : full;
        if (begun) OK(kd_optimizer_begin_step(optimizer, RATE));
        OK(push_back(model));
        OK(kd_optimizer_step(optimizer, RATE));
        OK(kd_optimizer_get_info(optimizer, &info));
        ck_assert(info.steps == i + 1 && !info.last_skipped &&
                  (info.gradient_norm == 0) == (i == 1));
    }
    batch = full;
    t.norm = info.gradient_norm;
    keep(model, &t);
    kd_batch_free(empty);
    kd_optimizer_free(optimizer);
    kd_model_free(model);
    return t;
}

START_TEST(a_begun_step_takes_a_batch_without_rows)
{
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    o.momentum = 0.9;
    for (int32_t kind = KD_OPTIMIZER_SGD; kind <= KD_OPTIMIZER_ADAMW; kind++) {
        trained plain = train_with_gap(kind, &o, 0);
        for (int begun = 1; begun <= 2; begun++) {
            trained t = train_with_gap(kind, &o, begun);
            ck_assert_msg(!memcmp(plain.values, t.values, (size_t)t.count * sizeof *t.values),
                          "kind %d, begun %d", kind, begun);
            ck_assert(plain.norm == t.norm);
            free(t.values);
        }
        free(plain.values);
    }
}
END_TEST

/* A model that is no language model is updated by the end of the step alone. */
START_TEST(other_models_may_be_begun_as_well)
{
    static const char mlp[] =
        "{\"model_type\":\"mlp\",\"input_size\":3,\"hidden_sizes\":[4],\"num_labels\":2}";
    static float x[6] = { 1, 2, 3, -1, 0, 1 };
    kd_array in = KD_ARRAY_2D(x, KD_FLOAT32, 2, 3), z;
    kd_batch *rows;
    trained t;
    OK(kd_batch_create(&rows, ctx, NULL));
    OK(kd_batch_begin(rows, 2));
    OK(kd_batch_borrow(rows, "inputs", &in, NULL));
    for (int begun = 0; begun < 2; begun++) {
        kd_model *model;
        OK(kd_model_create(&model, ctx, mlp, NULL));
        kd_optimizer *optimizer = make_optimizer(model, KD_OPTIMIZER_SGD, NULL);
        if (begun) OK(kd_optimizer_begin_step(optimizer, RATE));
        OK(kd_model_forward(model, rows, KD_MODE_TRAIN));
        OK(kd_model_output(model, "logits", &z));
        OK(kd_model_add_output_gradient(model, "logits", &z));
        OK(kd_model_backward(model));
        OK(kd_optimizer_step(optimizer, RATE));
        if (!begun) keep(model, &t);
        else ck_assert(is_same(model, &t));
        kd_optimizer_free(optimizer);
        kd_model_free(model);
    }
    free(t.values);
    kd_batch_free(rows);
}
END_TEST

START_TEST(gradients_of_one_layer_take_less_memory)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info whole = { .struct_size = sizeof whole }, shared = whole;
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    OK(kd_model_estimate_memory(ctx, config("llama", ""), &o, &whole));
    o.shared_gradients = 1;
    OK(kd_model_estimate_memory(ctx, config("llama", ""), &o, &shared));
    /* q, k and v, o; gate, up, down; norms */
    const int64_t layer = 24 * 24 * 3 + 24 * 20 * 3 + 2 * 24;
    ck_assert_int_eq(whole.gradient_bytes - shared.gradient_bytes, 3 * layer * 4);
    ck_assert_int_eq(whole.total_bytes - shared.total_bytes, 3 * layer * 4);
    int64_t taken[2];
    for (o.shared_gradients = 0; o.shared_gradients < 2; o.shared_gradients++) {
        kd_model *model;
        OK(kd_context_get_info(ctx, &before));
        OK(kd_model_create(&model, ctx, config("llama", ""), &o));
        OK(kd_context_get_info(ctx, &after));
        taken[o.shared_gradients] = (int64_t)(after.bytes - before.bytes);
        kd_model_free(model);
    }
    ck_assert_int_lt(llabs(taken[0] - taken[1] - 3 * layer * 4), 256);
}
END_TEST

START_TEST(what_needs_all_gradients_is_refused)
{
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    o.average_decay = 0.5;
    kd_model *model = make_model("llama", "", 1), *none;
    kd_optimizer *optimizer = make_optimizer(model, KD_OPTIMIZER_ADAMW, &o),
                 *other = make_optimizer(model, KD_OPTIMIZER_SGD, NULL), *clipped;
    kd_checkpoint *checkpoint;
    kd_array g;
    FAILS(push_back(model), KD_ERR_STATE, "kd_optimizer_begin_step");
    FAILS(kd_optimizer_step(optimizer, RATE), KD_ERR_STATE, "kd_optimizer_begin_step");
    FAILS(kd_model_gradients(model, &g), KD_ERR_STATE, "share");
    FAILS(kd_model_tensor_gradient(model, 0, &g), KD_ERR_STATE, "share");
    FAILS(kd_optimizer_begin_step(optimizer, -1), KD_ERR_RANGE, "learning rate");
    FAILS(kd_optimizer_begin_step(optimizer, NAN), KD_ERR_RANGE, "learning rate");
    OK(kd_model_zero_gradients(model)); /* as loops do that accumulate: nothing waits */
    FAILS(kd_optimizer_begin_step(NULL, 1), KD_ERR_INVALID, "NULL");
    o.clip_norm = 1;
    clipped = make_optimizer(model, KD_OPTIMIZER_SGD, &o);
    FAILS(kd_optimizer_begin_step(clipped, RATE), KD_ERR_STATE, "clip_norm");
    OK(kd_optimizer_begin_step(optimizer, RATE));
    FAILS(kd_optimizer_begin_step(other, RATE), KD_ERR_STATE, "another optimizer");
    FAILS(kd_optimizer_step(optimizer, RATE), KD_ERR_STATE, "backward pass");
    FAILS(kd_optimizer_set(optimizer, KD_STEP_CLIP_NORM, 1), KD_ERR_STATE, "a step is open");
    FAILS(kd_optimizer_swap_average(optimizer), KD_ERR_STATE, "a step is open");
    FAILS(kd_model_add_lora(model, NULL, NULL), KD_ERR_STATE,
          "a step is open"); /* either would leave the optimizer with places that are gone */
    FAILS(kd_model_resize_vocabulary(model, V + 1), KD_ERR_STATE, "a step is open");
    OK(push_back(model));
    FAILS(kd_optimizer_step(other, RATE), KD_ERR_STATE,
          "kd_optimizer_begin_step"); /* what lies in the place is one layer's */
    FAILS(push_back(model), KD_ERR_STATE, "had its backward pass");
    FAILS(kd_optimizer_begin_step(optimizer, RATE), KD_ERR_STATE, "earlier backward pass");
    FAILS(kd_optimizer_step(optimizer, 2 * RATE), KD_ERR_INVALID,
          "learning rate 0.01, kd_optimizer_step got 0.02");
    OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
    OK(kd_checkpoint_add_model(checkpoint, "model", model));
    FAILS(kd_checkpoint_save(checkpoint, scratch_path("begun.kdc")), KD_ERR_STATE,
          "a step is open");
    kd_checkpoint_free(checkpoint);
    OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
    OK(kd_checkpoint_add_optimizer(checkpoint, "optimizer", optimizer));
    FAILS(kd_checkpoint_save(checkpoint, scratch_path("begun.kdc")), KD_ERR_STATE,
          "a step is open");
    OK(kd_optimizer_step(optimizer, RATE));
    OK(kd_checkpoint_save(checkpoint, scratch_path("begun.kdc")));
    OK(kd_optimizer_begin_step(other, RATE));
    kd_optimizer_free(other); /* its step goes with it */
    OK(kd_optimizer_begin_step(optimizer, RATE));
    kd_model_options mo = KD_MODEL_OPTIONS_INIT;
    mo.shared_gradients = 1;
    FAILS(kd_model_create(&none, ctx,
                          config("llama", ",\"kd_layer_repeats\":2,\"kd_layer_sharing\":\"stack\""),
                          &mo),
          KD_ERR_UNSUPPORTED, "stack");
    FAILS(kd_model_create(
              &none, ctx,
              "{\"model_type\":\"mlp\",\"input_size\":3,\"hidden_sizes\":[4],\"num_labels\":2}",
              &mo),
          KD_ERR_UNSUPPORTED, "shared_gradients");
    kd_checkpoint_free(checkpoint);
    kd_optimizer_free(clipped);
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}
END_TEST

/* Accumulated gradients are refused, also where every tensor has a place of its own. */
START_TEST(gradients_that_wait_are_refused)
{
    kd_model *model = make_model("llama", "", 0);
    kd_optimizer *optimizer = make_optimizer(model, KD_OPTIMIZER_ADAMW, NULL);
    OK(push_back(model));
    FAILS(kd_optimizer_begin_step(optimizer, RATE), KD_ERR_STATE, "earlier backward pass");
    kd_model *shared =
        make_model("llama", "", 1); /* nor can a checkpoint with gradients come into one place */
    kd_checkpoint *from, *to;
    OK(kd_checkpoint_create(&from, ctx, NULL));
    OK(kd_checkpoint_add_model(from, "model", model));
    OK(kd_checkpoint_save(from, scratch_path("waiting.kdc")));
    OK(kd_checkpoint_create(&to, ctx, NULL));
    OK(kd_checkpoint_add_model(to, "model", shared));
    FAILS(kd_checkpoint_load(to, scratch_path("waiting.kdc")), KD_ERR_MISMATCH, "share");
    OK(kd_optimizer_step(optimizer, RATE));
    OK(kd_checkpoint_save(from, scratch_path("waiting.kdc")));
    OK(kd_checkpoint_load(to, scratch_path("waiting.kdc")));
    OK(kd_optimizer_begin_step(optimizer, RATE));
    kd_checkpoint_free(from);
    kd_checkpoint_free(to);
    kd_optimizer_free(optimizer);
    kd_model_free(shared);
    kd_model_free(model);
}
END_TEST

/* How many of a layer's numbers differ from what was kept; layer -1: the embedding's. */
static int differs(kd_model *model, const trained *t, int layer)
{
    kd_array p, all;
    const char *name;
    char prefix[40] = "model.embed";
    int32_t count;
    int different = 0;
    if (layer >= 0) snprintf(prefix, sizeof prefix, "model.layers.%d.", layer);
    OK(kd_model_parameters(model, &all));
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        OK(kd_model_tensor(model, i, &name, &p));
        if (strncmp(name, prefix, strlen(prefix))) continue;
        const float *x = p.data, *before = t->values + (x - (float *)all.data);
        for (int64_t j = 0; j < kd_array_count(&p); j++) different += x[j] != before[j];
    }
    return different;
}

START_TEST(what_is_not_finite_stays_as_it_was)
{
    float bad[ROWS * 24] = { 0 };
    kd_array g = KD_ARRAY_2D(bad, KD_FLOAT32, ROWS, 24);
    kd_optimizer_info info = { .struct_size = sizeof info };
    for (int clip = 0; clip < 2; clip++) {
        kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
        kd_model *model = make_model("llama", "", 1);
        o.clip_value = clip; /* which makes an infinity finite */
        kd_optimizer *optimizer = make_optimizer(model, KD_OPTIMIZER_ADAMW, &o);
        trained before;
        keep(model, &before);
        bad[5] = INFINITY;
        OK(kd_optimizer_begin_step(optimizer, RATE));
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_model_add_output_gradient(model, "hidden.1", &g));
        OK(kd_loss_backward(loss, model, batch, NULL, NULL, NULL));
        OK(kd_optimizer_step(optimizer, RATE));
        OK(kd_optimizer_get_info(optimizer, &info));
        ck_assert(info.last_skipped == 1 && info.steps == 0 && info.skipped == 1);
        ck_assert(differs(model, &before, 3) > 0 && differs(model, &before, 2) > 0);
        for (int layer = -1; layer < 2; layer++)
            ck_assert_int_eq(differs(model, &before, layer), 0);
        OK(kd_optimizer_begin_step(optimizer, RATE)); /* the next one is whole */
        OK(push_back(model));
        OK(kd_optimizer_step(optimizer, RATE));
        OK(kd_optimizer_get_info(optimizer, &info));
        ck_assert(info.last_skipped == 0 && info.steps == 1);
        for (int layer = -1; layer < 4; layer++) ck_assert(differs(model, &before, layer) > 0);
        free(before.values);
        kd_optimizer_free(optimizer);
        kd_model_free(model);
    }
}
END_TEST

START_TEST(a_pass_that_was_stopped_is_begun_again)
{
    kd_model *model = make_model("llama", "", 1);
    kd_optimizer *optimizer = make_optimizer(model, KD_OPTIMIZER_ADAMW, NULL);
    trained before;
    keep(model, &before);
    OK(kd_optimizer_begin_step(optimizer, RATE));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    last_call = calls + 3; /* the third layer that is pushed back */
    FAILS(kd_loss_backward(loss, model, batch, NULL, NULL, NULL), KD_ERR_CANCELED, "");
    last_call = 0;
    ck_assert(differs(model, &before, 3) > 0 && differs(model, &before, 2) > 0);
    ck_assert(!differs(model, &before, 1) && !differs(model, &before, 0) &&
              !differs(model, &before, -1));
    FAILS(kd_optimizer_step(optimizer, RATE), KD_ERR_STATE, "backward pass");
    kd_checkpoint *checkpoint; /* a host that stopped may keep what it has */
    OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
    OK(kd_checkpoint_add_model(checkpoint, "model", model));
    OK(kd_checkpoint_add_optimizer(checkpoint, "optimizer", optimizer));
    OK(kd_checkpoint_save(checkpoint, scratch_path("stopped.kdc")));
    OK(kd_checkpoint_load(checkpoint, scratch_path("stopped.kdc")));
    kd_checkpoint_free(checkpoint);
    OK(kd_optimizer_begin_step(optimizer, RATE));
    OK(push_back(model));
    OK(kd_optimizer_step(optimizer, RATE));
    ck_assert(differs(model, &before, 0) > 0 && differs(model, &before, -1) > 0);
    free(before.values);
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}
END_TEST

Suite *begun_suite(void)
{
    Suite *suite = suite_create("a step is open");
    TCase *tcase = tcase_create("a step is open");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_begun_step_gives_the_same_bits);
    tcase_add_test(tcase, a_begun_step_takes_a_batch_without_rows);
    tcase_add_test(tcase, other_models_may_be_begun_as_well);
    tcase_add_test(tcase, gradients_of_one_layer_take_less_memory);
    tcase_add_test(tcase, what_needs_all_gradients_is_refused);
    tcase_add_test(tcase, gradients_that_wait_are_refused);
    tcase_add_test(tcase, what_is_not_finite_stays_as_it_was);
    tcase_add_test(tcase, a_pass_that_was_stopped_is_begun_again);
    suite_add_tcase(suite, tcase);
    return suite;
}
