/* What a run will cost, beside what it costs: work, memory, stores, networks. */
#include <sys/stat.h>

#include "unit.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(2); }
static void teardown(void) { kd_context_free(ctx); }

#define LLAMA(vocabulary, hidden, inner, layers, heads, kv_heads, rest)                            \
    "{\"model_type\":\"llama\",\"vocab_size\":" #vocabulary ",\"hidden_size\":" #hidden            \
    ",\"intermediate_size\":" #inner ",\"num_hidden_layers\":" #layers                             \
    ",\"num_attention_heads\":" #heads ",\"num_key_value_heads\":" #kv_heads                       \
    ",\"max_position_embeddings\":512" rest "}"

static const char smollm2[] = LLAMA(49152, 576, 1536, 30, 9, 3, ",\"tie_word_embeddings\":true");

static kd_plan_options options_of(const char *student)
{
    kd_plan_options o = KD_PLAN_OPTIONS_INIT;
    o.student = student;
    o.samples = 1000;
    o.tokens = 256000;
    o.batch_tokens = 2560;
    o.flops = 1e11;
    return o;
}

static kd_plan_info plan_of(const kd_plan_options *o)
{
    kd_plan_info p = { .struct_size = sizeof p };
    OK(kd_plan_estimate(ctx, o, &p));
    return p;
}

/* docs/performance.md: .834 GFLOP a token, sequences of 256, from the products of its layers. */
START_TEST(work_is_that_of_the_layers)
{
    kd_plan_options o = options_of(smollm2);
    const kd_plan_info p = plan_of(&o);
    /* 2 h (2 q + 2 k + 3 i) a layer, 4 q c of attention, 2 V h */
    const double layer = 2.0 * 576 * (2 * 576 + 2 * 192 + 3 * 1536), attention = 4.0 * 576 * 128.5,
                 head = 2.0 * 49152 * 576;
    ck_assert_int_eq(p.parameters, 134515008);
    NEAR(p.keys, 128.5, 1e-9);
    NEAR(p.forward_flops, 30 * (layer + attention) + head, 1);
    NEAR(p.train_flops, 3 * p.forward_flops, 3);
    NEAR(p.train_flops / 0.834e9, 1, 0.01);
    NEAR(p.attention_share, 3 * 30 * attention / p.train_flops, 1e-12);
    o.recompute = 1;
    o.recompute_layers = 10;
    NEAR(plan_of(&o).train_flops, p.train_flops + 10 * (layer + attention), 5);
    o.answer_share = 0.25;
    NEAR(plan_of(&o).train_flops, p.train_flops + 10 * (layer + attention) - 2.25 * head, 5);
    ck_assert_int_eq(p.steps, 100);
    NEAR(p.step_seconds, p.train_flops * 2560 / (0.83 * 1e11), 1e-9);
    NEAR(p.hours, 100 * p.step_seconds / 3600, 1e-9);
}
END_TEST

START_TEST(windows_and_lengths_tell_the_keys)
{
    kd_plan_options o =
        options_of("{\"model_type\":\"mistral\",\"vocab_size\":64,\"hidden_size\":16,"
                   "\"intermediate_size\":16,\"num_hidden_layers\":1,\"num_attention_heads\":2,"
                   "\"num_key_value_heads\":1,\"max_position_embeddings\":512,"
                   "\"sliding_window\":32}");
    double sum = 0;
    for (int j = 1; j <= 256; j++) sum += j < 32 ? j : 32;
    NEAR(plan_of(&o).keys, sum / 256, 1e-9);
    o = options_of(smollm2);
    o.length_deviation = 64; /* long texts have more of the tokens */
    NEAR(plan_of(&o).keys, (256 + 64 * 64 / 256.0 + 1) / 2, 1e-9);
    o.student = "{\"model_type\":\"bert\",\"vocab_size\":17,\"hidden_size\":12,"
                "\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":16,"
                "\"max_position_embeddings\":512}";
    o.length_deviation = 0;
    NEAR(plan_of(&o).keys, 256, 1e-9);
}
END_TEST

START_TEST(the_network_is_what_ranks_send)
{
    kd_plan_options o = options_of(smollm2);
    const double numbers = 134515008, wide = 49152.0 * 576;
    o.ranks = 4;
    o.latency = 0;
    kd_plan_info p = plan_of(&o);
    NEAR(p.sent_bytes, 0.75 * 8 * numbers, 1);
    NEAR(p.exchange_seconds, p.sent_bytes / 1.25e9, 1e-9);
    /* the backward pass hides the gradients, but for the embedding's */
    NEAR(p.exposed_seconds, 0.75 * (4 * numbers + 4 * wide) / 1.25e9, 1e-9);
    NEAR(p.network_share, p.exposed_seconds / (p.step_seconds + p.exposed_seconds), 1e-12);
    NEAR(p.tokens_per_second, 2560 / (p.step_seconds + p.exposed_seconds), 1e-6);
    ck_assert_int_eq(p.state_bytes, (int64_t)(2 * numbers));
    o.clip = 0;
    NEAR(plan_of(&o).exposed_seconds, 0.75 * 8 * wide / 1.25e9, 1e-9);
    o.wire = KD_BFLOAT16;
    NEAR(plan_of(&o).sent_bytes, 0.75 * 6 * numbers, 1);
    o.link_bytes = 1e6; /* nothing hides that */
    p = plan_of(&o);
    NEAR(p.exposed_seconds, p.exchange_seconds - 2.0 / 3 * p.step_seconds, 1e-6);
    ck_assert(p.advice & KD_PLAN_NETWORK);
    o.failure_hours = 2;
    p = plan_of(&o);
    NEAR(p.checkpoint_bytes, 3 * numbers, 1);
    NEAR(p.save_interval, sqrt(2 * p.save_seconds * 7200), 1e-6);
}
END_TEST

/* 28 bytes of a parameter in AdamW's update; of ranks, a part, and what they pack, sum, unpack. */
START_TEST(updates_are_told_apart_from_passes)
{
    kd_plan_options o = options_of(smollm2);
    const double numbers = 134515008, passes = plan_of(&o).step_seconds;
    ck_assert(plan_of(&o).update_seconds == 0);
    o.update_bytes = 1e10;
    NEAR(plan_of(&o).update_seconds, 28 * numbers / 1e10, 1e-9);
    NEAR(plan_of(&o).step_seconds, passes + 28 * numbers / 1e10, 1e-9);
    o.state_bytes = 0;
    NEAR(plan_of(&o).update_seconds, 12 * numbers / 1e10, 1e-9);
    o.state_bytes = 8;
    o.ranks = 2;
    NEAR(plan_of(&o).update_seconds, (14 + 18) * numbers / 1e10, 1e-9);
    o.shard = 0;
    NEAR(plan_of(&o).update_seconds, (28 + 18) * numbers / 1e10, 1e-9);
}
END_TEST

/* As kd_exchange takes them: none for one rank, 4 MiB, more from nine ranks on, at most all. */
START_TEST(buffers_are_those_of_the_exchange)
{
    kd_plan_options o = options_of(smollm2);
    const int64_t mib = 1 << 20;
    ck_assert_int_eq(plan_of(&o).buffer_bytes, 0);
    o.ranks = 2;
    ck_assert_int_eq(plan_of(&o).buffer_bytes, 8 * 4 * mib);
    o.ranks = 16;
    ck_assert_int_eq(plan_of(&o).buffer_bytes, 8 * 8 * mib);
    o.bucket_bytes = 1;
    ck_assert_int_eq(plan_of(&o).buffer_bytes, 8 * mib);
    o.bucket_bytes = 1000 * mib;
    ck_assert_int_eq(plan_of(&o).buffer_bytes, 8 * 4 * plan_of(&o).parameters);
}
END_TEST

/* ---- memory ---- */

static kd_batch *tokens_of(kd_context *context, int64_t rows, int64_t length, int64_t classes)
{
    kd_batch *batch;
    int64_t *ids = malloc((size_t)rows * 8), *offsets = malloc((size_t)(rows / length + 1) * 8);
    for (int64_t i = 0; i < rows; i++) ids[i] = i * i % classes;
    for (int64_t i = 0; i <= rows / length; i++) offsets[i] = i * length;
    const kd_array values = KD_ARRAY_1D(ids, KD_INT64, rows),
                   bounds = KD_ARRAY_1D(offsets, KD_INT64, rows / length + 1);
    OK(kd_batch_create(&batch, context, NULL));
    OK(kd_batch_begin_packed(batch, &bounds));
    OK(kd_batch_set(batch, "tokens", &values, NULL));
    OK(kd_batch_set(batch, "label", &values, NULL));
    free(ids), free(offsets);
    return batch;
}

/* What a context of its own holds at most in two steps. */
static double memory_of_steps(const kd_plan_options *o, int64_t rows, int64_t length,
                              int64_t classes)
{
    kd_context *context = make_context(2);
    kd_context_info info = { .struct_size = sizeof info };
    kd_model_options mo = KD_MODEL_OPTIONS_INIT;
    kd_model *model;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_batch *batch = tokens_of(context, rows, length, classes);
    mo.recompute = o->recompute;
    mo.activations = o->activations;
    OK(kd_model_create(&model, context, o->student, &mo));
    OK(kd_loss_create(&loss, context, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    OK(kd_optimizer_create(&optimizer, context, KD_OPTIMIZER_ADAMW, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    for (int i = 0; i < 2; i++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(loss, model, batch, NULL, NULL, NULL));
        OK(kd_optimizer_step(optimizer, 1e-3));
    }
    OK(kd_context_get_info(context, &info));
    kd_optimizer_free(optimizer), kd_loss_free(loss), kd_model_free(model), kd_batch_free(batch);
    kd_context_free(context);
    return (double)info.peak_bytes;
}

START_TEST(memory_is_what_a_context_counts)
{
    static const char *const configs[] = {
        LLAMA(4096, 64, 128, 4, 4, 2, ""),
        LLAMA(512, 128, 256, 3, 4, 4, ",\"tie_word_embeddings\":true"),
    };
    static const int64_t classes[] = { 4096, 512 };
    for (int c = 0; c < 2; c++)
        for (int form = 0; form < 3; form++) {
            kd_plan_options o = options_of(configs[c]);
            o.batch_tokens = o.pass_tokens = 1024;
            o.tokens = o.samples * 128;
            o.recompute = form == 1;
            o.activations = form == 2 ? KD_BFLOAT16 : KD_FLOAT32;
            const kd_plan_info p = plan_of(&o);
            const double taken = memory_of_steps(&o, 1024, 128, classes[c]),
                         told = (double)(p.total_bytes - p.data_bytes);
            ck_assert_msg(fabs(told / taken - 1) < 0.15,
                          "config %d, form %d: %.0f bytes were told, %.0f were taken", c, form,
                          told, taken);
        }
}
END_TEST

/* ---- stores ---- */

enum { WIDTH = 48, POSITIONS = 40, RECORDS = 60, CLASSES = 500 };

static double store_size(const char *path)
{
    struct stat facts;
    ck_assert_int_eq(stat(path, &facts), 0);
    return (double)facts.st_size;
}

/* A store of one field; *position: bytes of it a position, as `kdistill-store stats` counts. */
static double write_store(const char *path, kd_store_field *field, const char *source,
                          int64_t width, double *position)
{
    static float values[POSITIONS * CLASSES];
    int64_t offsets[2] = { 0, POSITIONS }, tokens[POSITIONS];
    uint64_t key[2] = { 1, 0 };
    int64_t bytes, sum = 0;
    kd_store_options so = KD_STORE_OPTIONS_INIT;
    kd_store_writer *writer;
    kd_batch *batch;
    kd_targets *targets;
    kd_store *store;
    const kd_array bounds = KD_ARRAY_1D(offsets, KD_INT64, 2),
                   ids = KD_ARRAY_1D(tokens, KD_INT64, POSITIONS),
                   keys = KD_ARRAY_2D(key, KD_UINT64, 1, 2),
                   rows = KD_ARRAY_2D(values, KD_FLOAT32, POSITIONS, width);
    remove(path);
    so.vocabulary = CLASSES;
    OK(kd_store_writer_create(&writer, ctx, path, &so, field, 1));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    for (int r = 0; r < RECORDS; r++) {
        key[0] = (uint64_t)r + 1;
        for (int64_t i = 0; i < POSITIONS; i++) tokens[i] = (i * 7 + r) % CLASSES;
        for (int64_t i = 0; i < POSITIONS * width; i++)
            values[i] = 4 * sinf((float)(i * (r + 3))) + (i % width == (i / width) % width ? 9 : 0);
        OK(kd_batch_begin_packed(batch, &bounds));
        OK(kd_batch_set(batch, "tokens", &ids, NULL));
        OK(kd_batch_set_samples(batch, NULL, &keys, NULL));
        OK(kd_targets_begin(targets, POSITIONS));
        OK(kd_targets_set(targets, source, &rows, NULL));
        OK(kd_store_writer_add(writer, batch, targets));
    }
    OK(kd_store_writer_close(writer));
    OK(kd_store_open(&store, ctx, &path, 1, NULL));
    for (int r = 0; r < RECORDS; r++) {
        OK(kd_store_field_bytes(store, r, field->name, &bytes));
        sum += bytes;
    }
    *position = (double)sum / RECORDS / POSITIONS;
    kd_store_writer_free(writer), kd_batch_free(batch), kd_targets_free(targets);
    kd_store_free(store);
    return store_size(path);
}

static void compare_store(const kd_plan_options *o, double size)
{
    const kd_plan_info p = plan_of(o);
    const double head = o->kind == KD_STORE_HIDDEN ? 2.0 * CLASSES * WIDTH : 0; /* not written */
    const double told = p.store_bytes - head, header = 1000;
    ck_assert_msg(fabs(told / (size - header) - 1) < 0.02, "kind %d: %.0f bytes told, %.0f written",
                  o->kind, told, size);
}

START_TEST(stores_have_the_size_of_their_rule)
{
    kd_plan_options o = options_of(LLAMA(500, 48, 16, 1, 2, 2, ""));
    kd_store_field field = KD_STORE_FIELD_INIT;
    double position;
    const char *path = scratch_path("plan.kdt");
    o.samples = RECORDS;
    o.tokens = RECORDS * POSITIONS;
    o.kind = field.kind = KD_STORE_HIDDEN;
    o.bits = field.bits = 5;
    field.name = "hidden";
    field.width = WIDTH;
    compare_store(&o, write_store(path, &field, "hidden", WIDTH, &position));
    NEAR(plan_of(&o).position_bytes, position, 0.01);
    o.kind = field.kind = KD_STORE_DENSE;
    o.encoding = field.encoding = KD_FLOAT16;
    field.name = "logits";
    compare_store(&o, write_store(path, &field, "logits", CLASSES, &position));
    NEAR(plan_of(&o).position_bytes, position, 0.01);
    /* coded: as many bytes as a first shard had */
    o.kind = field.kind = KD_STORE_TOPK;
    o.entries = field.k = 16;
    field.name = "topk";
    const double size = write_store(path, &field, "logits", CLASSES, &position);
    o.position_bytes = position;
    compare_store(&o, size);
    o.position_bytes = 0; /* and of the order that other texts have */
    NEAR(plan_of(&o).position_bytes / position, 1, 0.35);
}
END_TEST

/* ---- the rest ---- */

START_TEST(wrong_numbers_are_named)
{
    kd_plan_info p = { .struct_size = sizeof p };
    kd_plan_options o = options_of(smollm2);
    kd_plan_machine m = { .struct_size = sizeof m };
    o.flops = 0;
    FAILS(kd_plan_estimate(ctx, &o, &p), KD_ERR_RANGE, "kd_plan_measure_machine");
    o = options_of(NULL);
    FAILS(kd_plan_estimate(ctx, &o, &p), KD_ERR_INVALID, "student");
    o = options_of("{\"model_type\":\"llama\"}");
    ck_assert_int_eq(kd_plan_estimate(ctx, &o, &p), KD_ERR_CONFIG);
    o = options_of("{\"model_type\":\"static_embedding\",\"vocab_size\":9,\"hidden_size\":3}");
    FAILS(kd_plan_estimate(ctx, &o, &p), KD_ERR_UNSUPPORTED, "language model");
    o = options_of(smollm2);
    o.tokens = 10;
    FAILS(kd_plan_estimate(ctx, &o, &p), KD_ERR_RANGE, "tokens: expected 1000");
    o = options_of(smollm2);
    o.link_bytes = NAN;
    FAILS(kd_plan_estimate(ctx, &o, &p), KD_ERR_RANGE, "link_bytes");
    o = options_of(smollm2);
    o.kind = KD_STORE_SCORE;
    FAILS(kd_plan_estimate(ctx, &o, &p), KD_ERR_RANGE, "kind");
    FAILS(kd_plan_estimate(ctx, &o, NULL), KD_ERR_INVALID, "NULL");
    FAILS(kd_plan_measure_machine(ctx, NULL, 61, &m), KD_ERR_RANGE, "seconds");
    ck_assert_int_ne(kd_plan_measure_machine(ctx, "/nowhere/at/all", 0, &m), KD_OK);
    ck_assert_int_eq(p.steps, 0);
}
END_TEST

START_TEST(a_plan_is_printed)
{
    kd_plan_options o = options_of(smollm2);
    char *text;
    o.ranks = 2;
    o.memory_bytes = 1e6;
    const kd_plan_info p = plan_of(&o);
    OK(kd_plan_to_text(ctx, &p, &text));
    ck_assert(strstr(text, "134515008") && strstr(text, "A rank needs more memory"));
    kd_context_free_text(ctx, text);
    OK(kd_plan_to_json(ctx, &p, &text));
    ck_assert(strstr(text, "\"parameters\":134515008,") && strstr(text, "\"ranks\":2,"));
    kd_context_free_text(ctx, text);
}
END_TEST

START_TEST(a_machine_is_measured)
{
    kd_plan_machine m = { .struct_size = sizeof m };
    const char *folder = getenv("KD_TEST_DIR");
    OK(kd_plan_measure_machine(ctx, folder ? folder : "/tmp", 0, &m));
    ck_assert(m.threads == 2 && m.flops > 1e6 && m.efficiency > 0 && m.efficiency <= 1);
    ck_assert(m.disk_bytes > 0 && m.seconds > 0);
    ck_assert(m.update_bytes > 1e7 && m.update_bytes < 1e13);
    struct stat facts;
    ck_assert_int_ne(stat(scratch_path("kdistill-plan"), &facts), 0);
}
END_TEST

Suite *plan_suite(void)
{
    Suite *suite = suite_create("plan");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, work_is_that_of_the_layers);
    tcase_add_test(tests, windows_and_lengths_tell_the_keys);
    tcase_add_test(tests, the_network_is_what_ranks_send);
    tcase_add_test(tests, updates_are_told_apart_from_passes);
    tcase_add_test(tests, buffers_are_those_of_the_exchange);
    tcase_add_test(tests, stores_have_the_size_of_their_rule);
    tcase_add_test(tests, wrong_numbers_are_named);
    tcase_add_test(tests, a_plan_is_printed);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_set_timeout(slow, 120);
    tcase_add_test(slow, memory_is_what_a_context_counts);
    tcase_add_test(slow, a_machine_is_measured);
    suite_add_tcase(suite, slow);
    return suite;
}
