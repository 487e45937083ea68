/* Frozen models that keep their matrices in few bits alone, made a layer at a time: the same
 * products as beside float32 numbers, a fraction of the memory. */
#include "studentkit.h"

#include <kdistill/gguf.h>
#include <kdistill/importance.h>

#include "encoderkit.h"

#define PACKED(type, more)                                                                         \
    "{\"model_type\":\"" type "\",\"vocab_size\":37,\"hidden_size\":96,\"num_hidden_layers\":3,"   \
    "\"num_attention_heads\":4,\"intermediate_size\":160,\"max_position_embeddings\":64,"          \
    "\"initializer_range\":0.1" more "}"
#define TIED ",\"num_key_value_heads\":2,\"tie_word_embeddings\":true"
static const char llama[] = PACKED("llama", ",\"num_key_value_heads\":2");
static const int32_t kinds[] = { KD_INT8, KD_BLOCK_Q4_0, KD_BLOCK_IQ4_NL };

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

static kd_model_options frozen(int32_t weights, int32_t packed_only)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.frozen = 1;
    o.weights = weights;
    o.packed_only = packed_only;
    return o;
}

static kd_model *loaded(const char *path, int32_t weights, int32_t packed_only)
{
    const kd_model_options o = frozen(weights, packed_only);
    kd_model *model;
    OK(kd_model_load(&model, ctx, path, &o));
    return model;
}

/* Rows of the embedding that blocks of each format hold exactly: -8 d .. 7 d; -127 d, 1 d, 113 d;
 * 127 d. */
static void put_on_blocks(kd_model *model, const char *name, int32_t weights)
{
    kd_array v;
    float *w = tensor_of(model, name, &v);
    for (int64_t i = 0; i < kd_array_count(&v); i++) {
        const int64_t k = i % 32;
        const int code = weights == KD_BLOCK_Q4_0 ? (int)(k ? (i * 7) % 15 - 7 : -8)
                         : weights == KD_INT8     ? (int)(k ? (i * 37) % 253 - 126 : 127)
                         : k % 3 == 0             ? -127
                         : k % 3 == 1             ? 1
                                                  : 113;
        w[i] = (float)code / (weights == KD_BLOCK_Q4_0 ? 64.0f : 1024.0f);
    }
}

static void same_output(kd_model *a, kd_model *b, const char *name, const char *what)
{
    kd_array x, y;
    OK(kd_model_output(a, name, &x));
    OK(kd_model_output(b, name, &y));
    ck_assert_int_eq(kd_array_count(&x), kd_array_count(&y));
    ck_assert_msg(!memcmp(x.data, y.data, (size_t)kd_array_count(&x) * sizeof(float)),
                  "%s of %s differs", name, what);
}

/* What is packed is what would be packed out of float32 numbers, bit for bit, of every family, out
 * of one file or of shards. */
START_TEST(products_have_the_same_bits)
{
    static const char *const configs[] = { llama,
                                           PACKED("qwen2", ",\"num_key_value_heads\":2"),
                                           PACKED("qwen3", ",\"head_dim\":24"),
                                           PACKED("mistral", ",\"num_key_value_heads\":2"),
                                           PACKED("bert", ""),
                                           PACKED("modernbert", ",\"pad_token_id\":0") };
    static const char *const embeddings[] = {
        "model.embed_tokens.weight",         "model.embed_tokens.weight",
        "model.embed_tokens.weight",         "model.embed_tokens.weight",
        "embeddings.word_embeddings.weight", "embeddings.tok_embeddings.weight"
    };
    for (int i = 0; i < 8; i++) { /* each family once, the first one in all weights */
        const int k = i < 6 ? i : 0;
        const int32_t weights = kinds[i < 6 ? i % 3 : i - 5];
        kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
        kd_model *whole = encoder_made(ctx, configs[k], NULL);
        put_on_blocks(whole, embeddings[k], weights);
        o.shard_bytes = i % 2 ? 60000 : 0;
        char folder[40];
        snprintf(folder, sizeof folder, "packed-only-%d", i);
        OK(kd_model_save(whole, scratch_path(folder), &o));
        kd_model *beside = loaded(scratch_path(folder), weights, 0),
                 *alone = loaded(scratch_path(folder), weights, 1);
        OK(kd_model_keep(beside, "hidden.*", 1));
        OK(kd_model_keep(alone, "hidden.*", 1));
        OK(kd_model_forward(beside, batch, KD_MODE_EVALUATE));
        OK(kd_model_forward(alone, batch, KD_MODE_EVALUATE));
        same_output(beside, alone, "hidden.embedding", configs[k]);
        same_output(beside, alone, "hidden.2", configs[k]);
        same_output(beside, alone, "hidden", configs[k]);
        if (k < 4) same_output(beside, alone, "logits", configs[k]);
        kd_model_free(whole);
        kd_model_free(beside);
        kd_model_free(alone);
    }
}
END_TEST

static double apart(kd_model *a, kd_model *b, const char *name)
{
    kd_array x, y;
    double off = 0, size = 0;
    OK(kd_model_forward(a, batch, KD_MODE_EVALUATE));
    OK(kd_model_forward(b, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(a, name, &x));
    OK(kd_model_output(b, name, &y));
    for (int64_t i = 0; i < kd_array_count(&x); i++) {
        off += pow(((float *)x.data)[i] - ((float *)y.data)[i], 2);
        size += pow(((float *)x.data)[i], 2);
    }
    return sqrt(off / size);
}

/* A tied embedding's rows come out of the head in 8 bits, smoothed or not. */
START_TEST(tied_embeddings_are_rows_of_the_head)
{
    static const char *const configs[] = { PACKED("llama", TIED), PACKED("qwen2", TIED),
                                           PACKED("bert",
                                                  ",\"architectures\":[\"BertForMaskedLM\"]") };
    for (int k = 0; k < 9; k++) {
        const kd_model_options beside = frozen(kinds[k % 3], 0), alone = frozen(kinds[k % 3], 1);
        kd_model *a = encoder_made(ctx, configs[k / 3], &beside),
                 *b = encoder_made(ctx, configs[k / 3], &alone);
        OK(kd_model_keep(a, "hidden.embedding", 1));
        OK(kd_model_keep(b, "hidden.embedding", 1));
        const double rows = apart(a, b, "hidden.embedding"), logits = apart(a, b, "logits");
        ck_assert_msg(rows > 0 && rows < 0.01 && logits > 0 && logits < 0.06, "%d: %g, %g", k, rows,
                      logits);
        kd_model_free(a);
        kd_model_free(b);
    }
}
END_TEST

/* Blocks of a GGUF file are taken as they are: what the file holds, where rounding its numbers once
 * more can lose. */
START_TEST(blocks_of_a_file_are_taken_as_they_are)
{
    static const int32_t formats[] = { KD_BLOCK_Q4_0, KD_BLOCK_IQ4_NL, KD_BLOCK_Q8_0 };
    static const char config[] =
        "{\"model_type\":\"llama\",\"vocab_size\":265,\"hidden_size\":96,\"num_hidden_layers\":2,"
        "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":160,"
        "\"max_position_embeddings\":64,\"initializer_range\":0.1}";
    kd_tokenizer *tokenizer;
    ck_assert(bytes_tokenizer(scratch_path("packed-only.json"), TEXT_CUT, TEXT_ADDED) == 0);
    OK(kd_tokenizer_load(&tokenizer, ctx, scratch_path("packed-only.json")));
    for (int k = 0; k < 3; k++) {
        kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
        kd_model *whole = encoder_made(ctx, config, NULL);
        const int32_t weights = k == 2 ? KD_INT8 : formats[k];
        o.format = formats[k];
        OK(kd_model_write_gguf(whole, tokenizer, scratch_path("packed-only.gguf"), &o, NULL));
        kd_model *beside = loaded(scratch_path("packed-only.gguf"), weights, 0),
                 *alone = loaded(scratch_path("packed-only.gguf"), weights, 1);
        kd_model_free(whole);
        whole = loaded(scratch_path("packed-only.gguf"), KD_FLOAT32, 0);
        const double off = apart(whole, alone, "hidden"), twice = apart(whole, beside, "hidden");
        ck_assert_msg(off < 0.03 && off < 1.1 * twice, "%d: %g, rounded again %g", k, off, twice);
        kd_model_free(whole);
        kd_model_free(beside);
        kd_model_free(alone);
    }
    kd_tokenizer_free(tokenizer);
}
END_TEST

/* ---- who works with them ---- */

static void greedy(kd_model *model, int32_t weights, int32_t ids[8])
{
    static const int32_t prompt[] = { 3, 5, 7 };
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_generator_info info = { .struct_size = sizeof info };
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    kd_generator *g;
    o.weights = weights;
    s.temperature = 0;
    s.max_tokens = 8;
    OK(kd_generator_estimate_memory(model, &o, &info));
    ck_assert_int_eq(info.weight_bytes, 0); /* the model's own */
    OK(kd_generator_create(&g, model, &o));
    OK(kd_generator_add(g, prompt, 3, &s, NULL));
    while (kd_generator_next(g, &text) == KD_OK) memcpy(ids, text.ids, 8 * sizeof *ids);
    OK(kd_generator_refresh(g));
    kd_generator_free(g);
}

START_TEST(generators_share_the_weights)
{
    for (int k = 0; k < 3; k++) {
        kd_model *whole = encoder_made(ctx, llama, NULL);
        int32_t a[8], b[8];
        put_on_blocks(whole, "model.embed_tokens.weight", kinds[k]);
        OK(kd_model_save(whole, scratch_path("packed-only"), NULL));
        kd_model *beside = loaded(scratch_path("packed-only"), kinds[k], 0),
                 *alone = loaded(scratch_path("packed-only"), kinds[k], 1);
        greedy(beside, kinds[k], a);
        greedy(alone, kinds[k], b);
        ck_assert_mem_eq(a, b, sizeof a);
        kd_model_free(whole);
        kd_model_free(beside);
        kd_model_free(alone);
    }
}
END_TEST

/* A teacher gives whole logits out of its 8-bit head: a loss sees what "logits" are. */
START_TEST(teachers_give_their_logits)
{
    const kd_model_options o = frozen(KD_INT8, 1);
    kd_model *student = encoder_made(ctx, llama, NULL), *model = encoder_made(ctx, llama, &o);
    kd_teacher *teacher;
    kd_targets *targets;
    kd_loss *loss;
    kd_loss_result result = { .struct_size = sizeof result };
    kd_array z, given;
    OK(kd_teacher_from_model(&teacher, model, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, NULL, NULL));
    OK(kd_loss_keep_outputs(loss, student, teacher));
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_targets_field(targets, "logits", &given, NULL));
    OK(kd_model_output(model, "logits", &z));
    ck_assert_mem_eq(z.data, given.data, (size_t)kd_array_count(&z) * sizeof(float));
    OK(kd_model_forward(student, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, student, batch, targets, NULL, &result));
    ck_assert(result.value > 0 && result.value < 1e-2); /* the same numbers, rounded */
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_teacher_free(teacher);
    kd_model_free(student);
    kd_model_free(model);
}
END_TEST

/* ---- memory ---- */

static uint64_t bytes_of(uint64_t *peak)
{
    kd_context_info info = { .struct_size = sizeof info };
    OK(kd_context_get_info(ctx, &info));
    if (peak) *peak = info.peak_bytes;
    return info.bytes;
}

/* At most `most` bytes a parameter, as counted, as estimated and as told; while it is made so many
 * numbers in float32 more, and scratch. */
static void takes(const char *config, int32_t weights, double most, int64_t staged)
{
    const kd_model_options o = frozen(weights, 1);
    kd_model_memory_info estimate = { .struct_size = sizeof estimate };
    kd_model_info facts = { .struct_size = sizeof facts };
    uint64_t peak;
    teardown(); /* a peak of its own */
    setup();
    const uint64_t before = bytes_of(NULL);
    kd_model *model = encoder_made(ctx, config, &o);
    const uint64_t after = bytes_of(&peak);
    OK(kd_model_get_info(model, &facts));
    OK(kd_model_estimate_memory(ctx, config, &o, &estimate));
    kd_model_free(model);
    /* its own: the context keeps scratch */
    const double n = (double)facts.parameters, held = (double)(after - bytes_of(NULL));
    ck_assert_msg(held <= most * n, "%d: held %g bytes a parameter", weights, held / n);
    const double more = (double)(peak - before) - held, room = 3 << 20;
    ck_assert_msg(more <= 4 * (double)staged + room, "%d: %g bytes more while it is made", weights,
                  more);
    ck_assert(fabs((double)facts.memory_bytes - held) < 0.01 * n + 65536);
    ck_assert_int_eq(estimate.parameter_bytes, facts.memory_bytes);
    ck_assert_int_eq(estimate.parameters, facts.parameters);
}

#define LARGE(vocabulary, hidden, layers, inner)                                                   \
    "{\"model_type\":\"llama\",\"vocab_size\":" vocabulary ",\"hidden_size\":" hidden              \
    ",\"num_hidden_layers\":" layers ",\"num_attention_heads\":8,\"num_key_value_heads\":2,"       \
    "\"max_position_embeddings\":64,\"intermediate_size\":" inner "}"

/* Numbers of a layer's matrices. */
#define LAYER(hidden, inner) ((int64_t)(hidden) * (2 * (hidden) + (hidden) / 2 + 3 * (inner)))

START_TEST(memory_is_a_fraction)
{
    static const char config[] = LARGE("400", "128", "6", "384");
    takes(config, KD_INT8, 1.2, LAYER(128, 384));
    takes(config, KD_BLOCK_Q4_0, 0.62, 0);
}
END_TEST

START_TEST(memory_of_ten_million_parameters)
{
    static const char config[] = LARGE("3000", "256", "12", "768");
    takes(config, KD_INT8, 1.2, LAYER(256, 768));
    takes(config, KD_BLOCK_Q4_0, 0.62, 0);
    takes(config, KD_BLOCK_IQ4_NL, 0.62, 0);
}
END_TEST

/* A pass takes what was estimated, and no more. */
START_TEST(passes_stay_within_the_estimate)
{
    kd_model_options o = frozen(KD_INT8, 1);
    kd_model_memory_info estimate = { .struct_size = sizeof estimate };
    kd_array hidden;
    o.max_rows = ROWS;
    OK(kd_model_estimate_memory(ctx, llama, &o, &estimate));
    const uint64_t before = bytes_of(NULL);
    kd_model *model = encoder_made(ctx, llama, &o);
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "hidden", &hidden));
    const int64_t held = (int64_t)(bytes_of(NULL) - before);
    ck_assert_msg(held < estimate.total_bytes + 65536, "%lld, estimated %lld", (long long)held,
                  (long long)estimate.total_bytes);
    kd_model_free(model);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(what_needs_float32_says_so)
{
    const kd_model_options o = frozen(KD_BLOCK_Q4_0, 1);
    kd_student_options cut = KD_STUDENT_OPTIONS_INIT;
    kd_generator_options g = KD_GENERATOR_OPTIONS_INIT;
    kd_monitor_options keep = KD_MONITOR_OPTIONS_INIT;
    kd_gguf_info info = { .struct_size = sizeof info };
    kd_model *model = encoder_made(ctx, llama, &o), *other = encoder_made(ctx, llama, NULL), *made;
    kd_generator *generator;
    kd_importance *importance;
    kd_checkpoint *checkpoint;
    kd_monitor *monitor;
    kd_array v;
    const char *name;
    int64_t count;
    FAILS(kd_model_parameters(model, &v), KD_ERR_STATE, "parameters: expected a model with all");
    OK(kd_model_tensor(model, 0, &name, NULL));
    FAILS(kd_model_tensor(model, 0, &name, &v), KD_ERR_STATE, "model.embed_tokens.weight: exp");
    ck_assert_ptr_nonnull(tensor_of(other, "model.norm.weight", &v));
    int32_t tensors;
    OK(kd_model_tensor_count(model, &tensors));
    for (int32_t i = 0; i < tensors; i++) {
        OK(kd_model_tensor(model, i, &name, NULL));
        if (strcmp(name, "model.norm.weight")) continue;
        OK(kd_model_tensor(model, i, &name, &v));
        ck_assert(((float *)v.data)[95] == 1);
    }
    FAILS(kd_model_save(model, scratch_path("packed-only"), NULL), KD_ERR_STATE, "save: expected");
    FAILS(kd_model_count_nonfinite(model, &count, NULL), KD_ERR_STATE, "nonfinite parameters");
    FAILS(kd_model_copy_parameters(model, other), KD_ERR_STATE, "copied parameters");
    FAILS(kd_model_copy_parameters(other, model), KD_ERR_STATE, "load it with packed_only 0");
    FAILS(kd_model_resize_vocabulary(model, 40), KD_ERR_STATE, "vocabulary");
    FAILS(kd_student_create(&made, model, &cut), KD_ERR_STATE, "student: teacher");
    cut.model = o;
    FAILS(kd_student_create(&made, other, &cut), KD_ERR_UNSUPPORTED, "student: packed_only");
    FAILS(kd_model_plan_gguf(model, NULL, &info), KD_ERR_STATE, "gguf");
    FAILS(kd_importance_create(&importance, model), KD_ERR_STATE, "importance");
    keep.keep_best = 1;
    FAILS(kd_monitor_create(&monitor, model, &keep), KD_ERR_STATE, "keep_best");
    g.weights = KD_INT8;
    FAILS(kd_generator_create(&generator, model, &g), KD_ERR_UNSUPPORTED, "no float32 matrices");
    FAILS(kd_generator_create(&generator, model, NULL), KD_ERR_UNSUPPORTED, "its own weights");
    FAILS(kd_model_add_lora(model, NULL, NULL), KD_ERR_STATE, "frozen");
    OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
    OK(kd_checkpoint_add_model(checkpoint, "model", model));
    FAILS(kd_checkpoint_save(checkpoint, scratch_path("packed-only.ckpt")), KD_ERR_STATE,
          "checkpoint: expected");
    kd_checkpoint_free(checkpoint);
    kd_model_free(model);
    kd_model_free(other);
}
END_TEST

START_TEST(what_has_no_packed_form_is_refused)
{
    kd_model_options o = frozen(KD_FLOAT32, 1);
    kd_model *model;
    FAILS(kd_model_create(&model, ctx, llama, &o), KD_ERR_INVALID, "packed_only: expected weights");
    o.weights = KD_INT8;
    FAILS(kd_model_create(&model, ctx,
                          PACKED("llama", ",\"num_key_value_heads\":2,\"kd_layer_repeats\":3"), &o),
          KD_ERR_UNSUPPORTED, "layers that are shared");
    static const char mlp[] = "{\"model_type\":\"mlp\",\"input_size\":2,\"num_labels\":2}";
    FAILS(kd_model_create(&model, ctx, mlp, &o), KD_ERR_UNSUPPORTED, "");
    kd_model *whole = encoder_made(ctx, llama, NULL);
    kd_array v;
    tensor_of(whole, "model.layers.1.mlp.down_proj.weight", &v)[7] = NAN;
    OK(kd_model_save(whole, scratch_path("packed-only-nan"), NULL));
    o.weights = KD_BLOCK_Q4_0;
    FAILS(kd_model_load(&model, ctx, scratch_path("packed-only-nan"), &o), KD_ERR_RANGE,
          "model.layers.1.mlp.down_proj.weight: 1 rows");
    kd_model_free(whole);
    whole = encoder_made(ctx, llama, NULL);
    tensor_of(whole, "model.embed_tokens.weight", &v)[700] = INFINITY;
    OK(kd_model_save(whole, scratch_path("packed-only-nan"), NULL));
    FAILS(kd_model_load(&model, ctx, scratch_path("packed-only-nan"), &o), KD_ERR_RANGE,
          "model.embed_tokens.weight: 1 rows");
    kd_model_free(whole);
}
END_TEST

Suite *packed_only_suite(void)
{
    Suite *suite = suite_create("packed_only");
    TCase *tests = tcase_create("packed_only"), *slow = tcase_create("slow");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, products_have_the_same_bits);
    tcase_add_test(tests, tied_embeddings_are_rows_of_the_head);
    tcase_add_test(tests, blocks_of_a_file_are_taken_as_they_are);
    tcase_add_test(tests, generators_share_the_weights);
    tcase_add_test(tests, teachers_give_their_logits);
    tcase_add_test(tests, memory_is_a_fraction);
    tcase_add_test(tests, passes_stay_within_the_estimate);
    tcase_add_test(tests, what_needs_float32_says_so);
    tcase_add_test(tests, what_has_no_packed_form_is_refused);
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_add_test(slow, memory_of_ten_million_parameters);
    tcase_set_tags(slow, "slow");
    tcase_set_timeout(slow, 60);
    suite_add_tcase(suite, slow);
    return suite;
}
