/* Training on the numbers that a file holds: what passes see, what gradients are, what is written
 * and read again. */
#include "textkit.h"
#include "unit.h"

enum { WORDS = 270, HIDDEN = 64, LAYERS = 2, LENGTH = 24 };

static kd_context *ctx;
static kd_tokenizer *tokenizer;
static void setup(void)
{
    ctx = make_context(2);
    ck_assert(bytes_tokenizer(scratch_path("lattice.json"), TEXT_CUT, TEXT_ADDED) == 0);
    OK(kd_tokenizer_load(&tokenizer, ctx, scratch_path("lattice.json")));
}
static void teardown(void)
{
    kd_tokenizer_free(tokenizer);
    kd_context_free(ctx);
}

static kd_model *model_of(int hidden, const char *type, kd_context *context, int shared_gradients)
{
    char json[500];
    kd_model *model;
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.shared_gradients = shared_gradients;
    snprintf(json, sizeof json,
             "{\"model_type\":\"%s\",\"vocab_size\":%d,\"hidden_size\":%d,"
             "\"intermediate_size\":%d,\"num_hidden_layers\":%d,\"num_attention_heads\":4,"
             "\"num_key_value_heads\":2,\"max_position_embeddings\":64,"
             "\"initializer_range\":0.1,\"tie_word_embeddings\":true}",
             type, WORDS, hidden, 2 * hidden, LAYERS);
    OK(kd_model_create(&model, context, json, &o));
    return model;
}

static kd_batch *batch_of(kd_context *context)
{
    static int64_t tokens[LENGTH], ends[2] = { 0, LENGTH };
    kd_array ts = KD_ARRAY_1D(tokens, KD_INT64, LENGTH), es = KD_ARRAY_1D(ends, KD_INT64, 2);
    kd_batch *batch;
    for (int i = 0; i < LENGTH; i++) tokens[i] = (i * 37 + 5) % WORDS;
    OK(kd_batch_create(&batch, context, NULL));
    OK(kd_batch_begin_packed(batch, &es));
    OK(kd_batch_set(batch, "tokens", &ts, NULL));
    return batch;
}

static void logits_of(kd_model *model, kd_batch *batch, float *to)
{
    kd_array values;
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "logits", &values));
    memcpy(to, values.data, LENGTH * WORDS * sizeof *to);
}

static void set(kd_model *model, const char *pattern, int32_t format, int32_t every)
{
    kd_lattice_options o = KD_LATTICE_OPTIONS_INIT;
    o.format = format;
    o.every = every;
    OK(kd_model_set_lattice(model, pattern, &o));
}

static int32_t index_of(kd_model *model, const char *name, kd_array *values)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *its;
        OK(kd_model_tensor(model, i, &its, values));
        if (!strcmp(its, name)) return i;
    }
    ck_abort_msg("no tensor %s", name);
    return -1;
}

/* Steps of a task that there is no sense in: the next token of a made-up text. */
static void train(kd_model *model, kd_batch *batch, int steps, double rate, int begins)
{
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    term.label_field = "tokens";
    term.align = KD_ALIGN_NEXT;
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &term, NULL));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAM, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    for (int i = 0; i < steps; i++) {
        kd_loss_result result = { .struct_size = sizeof result };
        if (begins) OK(kd_optimizer_begin_step(optimizer, rate));
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(loss, model, batch, NULL, NULL, &result));
        OK(kd_optimizer_step(optimizer, rate));
    }
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
}

static const int32_t formats[] = { KD_BLOCK_Q4_0, KD_BLOCK_Q4_1,   KD_BLOCK_Q5_0,
                                   KD_BLOCK_Q5_1, KD_BLOCK_IQ4_NL, KD_BLOCK_Q8_0,
                                   KD_BLOCK_Q4_K, KD_BLOCK_Q5_K,   KD_BLOCK_Q6_K };
enum { FORMATS = sizeof formats / sizeof *formats };

/* The promise: trained, written, read: the same logits to the bit, q and k turned and all. */
START_TEST(what_the_loss_saw_is_what_the_file_holds)
{
    static float seen[LENGTH * WORDS], read[LENGTH * WORDS];
    kd_batch *batch = batch_of(ctx);
    for (int i = 0; i < FORMATS; i++) {
        const int wide = formats[i] >= KD_BLOCK_Q4_K && formats[i] <= KD_BLOCK_Q6_K;
        kd_model *model = model_of(wide ? 256 : HIDDEN, i % 2 ? "qwen3" : "llama", ctx, 0), *again;
        kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
        kd_gguf_info info = { .struct_size = sizeof info };
        set(model, NULL, formats[i], 0);
        set(model, "*embed_tokens.weight", KD_BLOCK_Q8_0, 0);
        train(model, batch, 3, 1e-2, 0);
        logits_of(model, batch, seen);
        o.format = 0;
        OK(kd_model_write_gguf(model, tokenizer, scratch_path("lattice.gguf"), &o, &info));
        ck_assert(info.error == 0 && info.fallbacks == 0);
        OK(kd_model_load(&again, ctx, scratch_path("lattice.gguf"), NULL));
        logits_of(again, batch, read);
        ck_assert_msg(!memcmp(seen, read, sizeof seen), "format %d: the file says something else",
                      formats[i]);
        kd_model_free(again);
        OK(kd_model_save(model, scratch_path("lattice"), NULL));
        OK(kd_model_load(&again, ctx, scratch_path("lattice"), NULL));
        logits_of(again, batch, read);
        ck_assert(!memcmp(seen, read, sizeof seen));
        kd_model_free(again);
        kd_model_free(model);
    }
    kd_batch_free(batch);
}
END_TEST

/* Passes see the points of the parameters of now; off the lattice, the parameters. */
START_TEST(passes_see_points_and_parameters_stay)
{
    static float plain[LENGTH * WORDS], seen[LENGTH * WORDS], expected[LENGTH * WORDS];
    kd_model *model = model_of(HIDDEN, "llama", ctx, 0), *image = model_of(HIDDEN, "llama", ctx, 0);
    kd_batch *batch = batch_of(ctx);
    int32_t count;
    kd_lattice_info info = { .struct_size = sizeof info };
    OK(kd_model_copy_parameters(image, model));
    logits_of(model, batch, plain);
    set(model, NULL, KD_BLOCK_Q4_0, 0);
    logits_of(model, batch, seen);
    ck_assert(memcmp(seen, plain, sizeof seen));
    OK(kd_model_tensor_count(image, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array values;
        uint8_t bytes[1 << 15];
        OK(kd_model_tensor(image, i, &name, &values));
        if (!strstr(name, "_proj.weight")) continue;
        const int64_t size = kd_block_bytes(KD_BLOCK_Q4_0, kd_array_count(&values));
        OK(kd_block_encode(ctx, KD_BLOCK_Q4_0, &values, NULL, bytes, size));
        OK(kd_block_decode(ctx, KD_BLOCK_Q4_0, bytes, size, &values));
    }
    logits_of(image, batch, expected);
    ck_assert(!memcmp(seen, expected, sizeof seen));
    OK(kd_model_get_lattice_info(model, &info));
    ck_assert_int_eq(info.matrices, 7 * LAYERS);
    NEAR(info.bits, 4.5, 1e-9);
    NEAR(info.error, .0862, .01);
    ck_assert(info.changed_share == 0 && info.clipped_share > 0 && info.clipped_share < .02);
    train(model, batch, 1, 1e-2, 0);
    OK(kd_model_get_lattice_info(model, &info));
    ck_assert_msg(info.changed_share > .001 && info.changed_share < .9, "%g", info.changed_share);
    set(model, NULL, 0, 0);
    FAILS(kd_model_get_lattice_info(model, &info), KD_ERR_STATE, "kd_model_set_lattice");
    OK(kd_model_copy_parameters(image, model));
    logits_of(model, batch, seen);
    logits_of(image, batch, expected);
    ck_assert(!memcmp(seen, expected, sizeof seen)); /* float32 again */
    kd_batch_free(batch);
    kd_model_free(image);
    kd_model_free(model);
}
END_TEST

/* The gradient is that of a model whose parameters are the points, but 0 for numbers that are
 * clipped: beside the largest number's end of Q4_0 there are some at the other end. */
START_TEST(gradients_go_straight_through_and_stop_at_the_ends)
{
    kd_model *model = model_of(HIDDEN, "llama", ctx, 0), *image = model_of(HIDDEN, "llama", ctx, 0);
    kd_batch *batch = batch_of(ctx);
    kd_array x, point, dx, dpoint, logits;
    int64_t clipped = 0;
    static uint8_t bytes[1 << 15];
    OK(kd_model_copy_parameters(image, model));
    set(model, NULL, KD_BLOCK_Q4_0, 0);
    set(image, NULL, KD_BLOCK_Q4_0, 0);
    kd_model *both[2] = { model, image };
    /* the points as parameters, on no lattice */
    OK(kd_model_save(model, scratch_path("points"), NULL));
    kd_model_free(image);
    OK(kd_model_load(&image, ctx, scratch_path("points"), NULL));
    both[1] = image;
    for (int i = 0; i < 2; i++) {
        OK(kd_model_forward(both[i], batch, KD_MODE_TRAIN));
        OK(kd_model_output(both[i], "logits", &logits));
        float *ones = malloc(LENGTH * WORDS * sizeof *ones);
        for (int k = 0; k < LENGTH * WORDS; k++) ones[k] = (float)(k % 11 - 5);
        kd_array gradient = KD_ARRAY_2D(ones, KD_FLOAT32, LENGTH, WORDS);
        OK(kd_model_add_output_gradient(both[i], "logits", &gradient));
        OK(kd_model_backward(both[i]));
        free(ones);
    }
    const int32_t at = index_of(model, "model.layers.1.mlp.up_proj.weight", &x);
    index_of(image, "model.layers.1.mlp.up_proj.weight", &point);
    OK(kd_model_tensor_gradient(model, at, &dx));
    OK(kd_model_tensor_gradient(image, at, &dpoint));
    OK(kd_block_encode(ctx, KD_BLOCK_Q4_0, &x, NULL, bytes,
                       kd_block_bytes(KD_BLOCK_Q4_0, kd_array_count(&x))));
    for (int64_t i = 0; i < kd_array_count(&x); i++) {
        const float w = ((float *)x.data)[i], q = ((float *)point.data)[i];
        const uint8_t *block = bytes + i / 32 * 18;
        const int code = i % 32 < 16 ? block[2 + i % 16] & 15 : block[2 + i % 16] >> 4;
        const float step = fabsf(q) / fmaxf(1, fabsf((float)code - 8));
        const int is_clipped = code == 15 && fabsf(w) > fabsf(q) + .501f * step;
        clipped += is_clipped;
        if (is_clipped) ck_assert(((float *)dx.data)[i] == 0);
        else if (code != 15) ck_assert(((float *)dx.data)[i] == ((float *)dpoint.data)[i]);
    }
    ck_assert_int_gt(clipped, 10);
    kd_batch_free(batch);
    kd_model_free(image);
    kd_model_free(model);
}
END_TEST

/* The same bits with gradients that layers share, with other threads, and from a checkpoint. */
START_TEST(training_on_a_lattice_is_the_same_however_it_is_run)
{
    kd_context *alone = make_context(1);
    kd_model *models[3] = { model_of(256, "llama", ctx, 0), model_of(256, "llama", ctx, 1),
                            model_of(256, "llama", alone, 0) };
    kd_array first, values;
    kd_batch *batch = batch_of(ctx), *other = batch_of(alone);
    for (int i = 0; i < 3; i++) {
        kd_context *before = ctx;
        if (i) OK(kd_model_copy_parameters(models[i], models[0]));
        if (i == 2) ctx = alone;
        set(models[i], NULL, KD_BLOCK_Q4_K, 2);
        if (i == 0) OK(kd_model_copy_parameters(models[1], models[0]));
        if (i == 0) OK(kd_model_copy_parameters(models[2], models[0]));
        ctx = before;
    }
    for (int i = 0; i < 3; i++) {
        kd_context *before = ctx;
        if (i == 2) ctx = alone;
        train(models[i], i == 2 ? other : batch, 5, 1e-3, i > 0);
        ctx = before;
    }
    OK(kd_model_parameters(models[0], &first));
    for (int i = 1; i < 3; i++) {
        OK(kd_model_parameters(models[i], &values));
        ck_assert_msg(!memcmp(first.data, values.data, (size_t)values.dims[0] * sizeof(float)),
                      "model %d has learned something else", i);
    }
    kd_batch_free(batch);
    kd_batch_free(other);
    for (int i = 0; i < 3; i++) kd_model_free(models[i]);
    kd_context_free(alone);
}
END_TEST

/* Parts of one batch see one lattice, though the next search is due. */
START_TEST(a_lattice_stays_until_the_parameters_change)
{
    static float first[LENGTH * WORDS], second[LENGTH * WORDS];
    static const int32_t searched[] = { KD_BLOCK_Q4_K, KD_BLOCK_Q5_K, KD_BLOCK_IQ4_NL };
    kd_batch *batch = batch_of(ctx);
    for (int i = 0; i < 3; i++) {
        kd_model *model = model_of(256, "llama", ctx, 0);
        static float ones[LENGTH * WORDS];
        kd_array gradient = KD_ARRAY_2D(ones, KD_FLOAT32, LENGTH, WORDS);
        set(model, NULL, searched[i], 2);
        train(model, batch, 1, 1e-2, 0);
        logits_of(model, batch, first);
        for (int k = 0; k < LENGTH * WORDS; k++) ones[k] = 1;
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_model_add_output_gradient(model, "logits", &gradient));
        OK(kd_model_backward(model));
        logits_of(model, batch, second);
        ck_assert_msg(!memcmp(first, second, sizeof first), "format %d: the lattice moved",
                      searched[i]);
        kd_model_free(model);
    }
    kd_batch_free(batch);
}
END_TEST

/* A run goes on as the one that is restored from its checkpoint. */
START_TEST(a_checkpoint_holds_the_parameters_alone)
{
    static float first[LENGTH * WORDS], second[LENGTH * WORDS];
    kd_batch *batch = batch_of(ctx);
    kd_model *model = model_of(256, "llama", ctx, 0), *other = model_of(256, "llama", ctx, 0);
    kd_checkpoint *checkpoint;
    set(model, NULL, KD_BLOCK_Q4_K, 0);
    set(other, NULL, KD_BLOCK_Q4_K, 0);
    train(model, batch, 3, 1e-2, 0);
    OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
    OK(kd_checkpoint_add_model(checkpoint, "model", model));
    OK(kd_checkpoint_save(checkpoint, scratch_path("lattice.kdc")));
    kd_checkpoint_free(checkpoint);
    OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
    OK(kd_checkpoint_add_model(checkpoint, "model", other));
    OK(kd_checkpoint_load(checkpoint, scratch_path("lattice.kdc")));
    kd_checkpoint_free(checkpoint);
    logits_of(model, batch, first);
    logits_of(other, batch, second);
    ck_assert(!memcmp(first, second, sizeof first));
    kd_batch_free(batch);
    kd_model_free(other);
    kd_model_free(model);
}
END_TEST

START_TEST(what_does_not_go_together_is_refused)
{
    kd_model *model = model_of(HIDDEN, "llama", ctx, 0), *mlp;
    kd_lattice_options o = KD_LATTICE_OPTIONS_INIT;
    kd_gguf_options g = KD_GGUF_OPTIONS_INIT;
    kd_gguf_info info = { .struct_size = sizeof info };
    o.format = KD_BLOCK_Q4_K;
    FAILS(kd_model_set_lattice(model, NULL, &o), KD_ERR_SHAPE, "take Q4_0 or IQ4_NL");
    o.format = KD_BLOCK_Q3_K;
    FAILS(kd_model_set_lattice(model, NULL, &o), KD_ERR_UNSUPPORTED, "one that is written");
    o.format = KD_BLOCK_Q4_0;
    FAILS(kd_model_set_lattice(model, "nothing", &o), KD_ERR_NOT_FOUND, "'nothing'");
    o.every = -1;
    FAILS(kd_model_set_lattice(model, NULL, &o), KD_ERR_RANGE, "every");
    o.every = 0;
    g.format = 0;
    FAILS(kd_model_plan_gguf(model, &g, &info), KD_ERR_INVALID, "on no lattice");
    OK(kd_model_set_lattice(model, NULL, &o));
    g.format = KD_BLOCK_Q5_0;
    FAILS(kd_model_plan_gguf(model, &g, &info), KD_ERR_MISMATCH, "is on a lattice of Q4_0");
    g.format = KD_BLOCK_Q4_0;
    OK(kd_model_plan_gguf(model, &g, &info));
    FAILS(kd_model_add_lora(model, NULL, NULL), KD_ERR_STATE, "on a lattice");
    FAILS(kd_model_resize_vocabulary(model, WORDS + 2), KD_ERR_STATE, "on a lattice");
    o.format = 0;
    OK(kd_model_set_lattice(model, "*", &o));
    OK(kd_model_add_lora(model, NULL, NULL));
    o.format = KD_BLOCK_Q4_0;
    FAILS(kd_model_set_lattice(model, NULL, &o), KD_ERR_STATE, "adapters");
    kd_model_free(model);
    model = model_of(HIDDEN, "llama", ctx, 0);
    kd_array values;
    index_of(model, "model.layers.0.mlp.up_proj.weight", &values);
    ((float *)values.data)[7] = INFINITY;
    FAILS(kd_model_set_lattice(model, NULL, &o), KD_ERR_RANGE, "up_proj.weight: number 7");
    kd_model_free(model);
    OK(kd_model_create(&mlp, ctx,
                       "{\"model_type\":\"mlp\",\"input_size\":32,\"hidden_sizes\":[32],"
                       "\"num_labels\":2}",
                       NULL));
    FAILS(kd_model_set_lattice(mlp, "*", &o), KD_ERR_UNSUPPORTED, "not a language model");
    kd_model_free(mlp);
}
END_TEST

Suite *lattice_suite(void)
{
    Suite *suite = suite_create("lattice");
    TCase *tests = tcase_create("lattice");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, passes_see_points_and_parameters_stay);
    tcase_add_test(tests, gradients_go_straight_through_and_stop_at_the_ends);
    tcase_add_test(tests, what_does_not_go_together_is_refused);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow search");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_set_timeout(slow, 240);
    tcase_add_test(slow, what_the_loss_saw_is_what_the_file_holds);
    tcase_add_test(slow, training_on_a_lattice_is_the_same_however_it_is_run);
    tcase_add_test(slow, a_lattice_stays_until_the_parameters_change);
    tcase_add_test(slow, a_checkpoint_holds_the_parameters_alone);
    suite_add_tcase(suite, slow);
    return suite;
}
