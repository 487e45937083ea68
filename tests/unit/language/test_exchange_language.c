/* Language models on several ranks: gradients leave layer by layer, and the steps are those of one
 * rank, with adapters, frozen and shared layers, dropout, lazy tables, micro-batches, projections
 * of the loss, and a rank without texts. */
#include "rankkit.h"

enum { TEXTS = 7, LENGTH = 9, STEPS = 5, WORDS = 120, MOST = 400000, WIDTH = 64, NARROW = 24 };

#define DECODER(more)                                                                              \
    "{\"model_type\":\"llama\",\"vocab_size\":120,\"hidden_size\":64,\"intermediate_size\":128,"   \
    "\"num_hidden_layers\":4,\"num_attention_heads\":4,\"num_key_value_heads\":2,"                 \
    "\"max_position_embeddings\":64,\"initializer_range\":0.1" more "}"
#define ENCODER                                                                                    \
    "{\"model_type\":\"bert\",\"vocab_size\":120,\"hidden_size\":48,\"num_hidden_layers\":2,"      \
    "\"num_attention_heads\":3,\"intermediate_size\":80,\"max_position_embeddings\":32,"           \
    "\"initializer_range\":0.2,\"hidden_dropout_prob\":0.1,"                                       \
    "\"attention_probs_dropout_prob\":0.1,\"architectures\":[\"BertForSequenceClassification\"],"  \
    "\"num_labels\":3}"
#define TABLE                                                                                      \
    "{\"model_type\":\"static_embedding\",\"vocab_size\":120,\"hidden_size\":24,\"num_labels\":3}"

typedef struct {
    const char *name, *config;
    int32_t of_samples; /* one label a text */
    int32_t lora, recompute, activations, lazy, parts;
    const char *frozen;
    double clip_norm;
    int32_t lonely;   /* 1: the last rank has no texts */
    int32_t early;    /* 1: gradients leave during the pass */
    int32_t projects; /* 1: hidden states come near a teacher's through a projection that learns */
} language_case;

static const language_case cases[] = {
    { "layers", DECODER(""), .early = 1 },
    { "a tied head, clipped", DECODER(",\"tie_word_embeddings\":true"), .clip_norm = 0.5,
      .early = 1 },
    { "adapters", DECODER(""), .lora = 1 },
    { "layers made again, 16 bits kept", DECODER(""), .recompute = 1, .activations = KD_BFLOAT16,
      .early = 1 },
    { "layers twice", DECODER(",\"kd_layer_repeats\":2"), .early = 1 },
    { "a frozen layer", DECODER(""), .frozen = "model.layers.1.*", .early = 1 },
    { "two parts a step", DECODER(""), .parts = 2, .clip_norm = 0.5, .early = 1 },
    { "a rank without texts", DECODER(""), .lonely = 1, .early = 1 },
    { "a projection", DECODER(""), .projects = 1, .early = 1 },
    { "a projection and a rank without texts", DECODER(""), .projects = 1, .lonely = 1,
      .clip_norm = 0.5, .early = 1 },
    { "an encoder with dropout", ENCODER, .of_samples = 1 },
    { "dropout and a rank without texts", ENCODER, .of_samples = 1, .lonely = 1 },
    { "a lazy table", TABLE, .of_samples = 1, .lazy = 1 },
};
enum { CASES = sizeof cases / sizeof *cases };

typedef struct {
    const language_case *of;
    int32_t begins, tells;
    float parameters[KIT_RANKS][MOST];
    int64_t count, early[KIT_RANKS];
    double losses[KIT_RANKS][STEPS];
} language_run;

typedef struct {
    kd_batch *batch[2];
    kd_targets *targets; /* NULL: there is no teacher */
    kd_model *model;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_exchange *exchange;
} language_parts;

#define TRY(call)                                                                                  \
    do {                                                                                           \
        const kd_status try_status = (call);                                                       \
        if (try_status < 0) return try_status;                                                     \
    } while (0)

static kd_status make_model(language_parts *p, const language_case *c, kd_context *ctx)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_lora_options lora = KD_LORA_OPTIONS_INIT;
    o.recompute = c->recompute;
    if (c->activations) o.activations = c->activations;
    o.seed = 11;
    lora.seed = 3;
    TRY(kd_model_create(&p->model, ctx, c->config, &o));
    if (c->lora) TRY(kd_model_add_lora(p->model, NULL, &lora));
    return c->frozen ? kd_model_freeze(p->model, c->frozen, 1) : KD_OK;
}

/* 64 numbers of a row become 24, which are compared with the teacher's. */
static kd_status add_projection(language_parts *p, kd_context *ctx)
{
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    int32_t number;
    term.student_output = "hidden.1";
    term.teacher_field = "hidden";
    o.name = "fit";
    o.from = WIDTH;
    o.to = NARROW;
    TRY(kd_targets_create(&p->targets, ctx, NULL));
    TRY(kd_loss_add(p->loss, KD_LOSS_HIDDEN_COSINE, 0.5, &term, &number));
    TRY(kd_loss_set_projection(p->loss, number, &o));
    return kd_optimizer_add_loss(p->optimizer, p->loss);
}

static kd_status make_parts(language_parts *p, const language_run *run, kd_context *ctx,
                            const kd_transport *transport)
{
    const language_case *c = run->of;
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    kd_exchange_options eo = KD_EXCHANGE_OPTIONS_INIT;
    kd_group_options group = KD_GROUP_OPTIONS_INIT;
    for (int i = 0; i < 2; i++) TRY(kd_batch_create(&p->batch[i], ctx, NULL));
    TRY(make_model(p, c, ctx));
    TRY(kd_loss_create(&p->loss, ctx, NULL));
    term.label_field = c->of_samples ? "label" : "tokens";
    if (!c->of_samples) term.align = KD_ALIGN_NEXT;
    TRY(kd_loss_add(p->loss, KD_LOSS_CROSS_ENTROPY, 1, &term, NULL));
    o.clip_norm = c->clip_norm;
    o.epsilon = 1e-3; /* or rounding would choose the direction of tiny gradients */
    o.weight_decay = 0.01;
    TRY(kd_optimizer_create(&p->optimizer, ctx, KD_OPTIMIZER_ADAMW, &o));
    TRY(kd_optimizer_add_model(p->optimizer, p->model));
    if (c->projects) TRY(add_projection(p, ctx));
    group.lazy = 1;
    if (c->lazy) TRY(kd_optimizer_add_group(p->optimizer, "*embedding*", &group));
    eo.bucket_bytes = 1;
    TRY(kd_exchange_create(&p->exchange, ctx, transport->ranks > 1 ? transport : NULL, &eo));
    return kd_exchange_add_optimizer(p->exchange, p->optimizer);
}

static void free_parts(language_parts *p)
{
    for (int i = 0; i < 2; i++) kd_batch_free(p->batch[i]);
    kd_targets_free(p->targets);
    kd_exchange_free(p->exchange); /* in any order */
    kd_model_free(p->model);
    kd_loss_free(p->loss);
    kd_optimizer_free(p->optimizer);
}

/* Texts first .. end - 1 of a step's part. */
static kd_status fill(kd_batch *batch, int32_t step, int32_t first, int32_t end)
{
    int64_t tokens[TEXTS * LENGTH + 1], types[TEXTS * LENGTH + 1] = { 0 }, labels[TEXTS + 1];
    int64_t offsets[TEXTS + 1] = { 0 }, rows = 0;
    for (int32_t text = first; text < end; text++) {
        for (int32_t i = 0; i < LENGTH - text % 3; i++)
            tokens[rows++] = (step * 31 + text * 17 + i * i * 5 + i) % WORDS;
        labels[text - first] = (text + step) % 3;
        offsets[text - first + 1] = rows;
    }
    const kd_array o = KD_ARRAY_1D(offsets, KD_INT64, end - first + 1),
                   t = KD_ARRAY_1D(tokens, KD_INT64, rows), k = KD_ARRAY_1D(types, KD_INT64, rows),
                   y = KD_ARRAY_1D(labels, KD_INT64, end - first);
    TRY(kd_batch_begin_packed(batch, &o));
    TRY(kd_batch_set(batch, "tokens", &t, NULL));
    TRY(kd_batch_set(batch, "token_types", &k, NULL));
    return kd_batch_set_per_sample(batch, "label", &y, NULL);
}

/* Of the texts that `fill` makes, whoever reads them. */
static kd_status fill_targets(kd_targets *targets, int32_t step, int32_t first, int32_t end)
{
    float values[TEXTS * LENGTH + 1][NARROW];
    int64_t rows = 0;
    for (int32_t text = first; text < end; text++)
        for (int32_t i = 0; i < LENGTH - text % 3; i++, rows++)
            for (int32_t j = 0; j < NARROW; j++)
                values[rows][j] = sinf((float)(step + 3 * text + 7 * i) + 0.9f * (float)(j * j));
    const kd_array hidden = KD_ARRAY_2D(values, KD_FLOAT32, rows, NARROW);
    TRY(kd_targets_begin(targets, rows));
    return kd_targets_set(targets, "hidden", &hidden, NULL);
}

static kd_status take_step(language_parts *p, const language_run *run, int32_t step, int32_t rank,
                           int32_t ranks, double *loss)
{
    const language_case *c = run->of;
    const int32_t parts = c->parts ? c->parts : 1, of = ranks - (c->lonely && ranks > 1);
    const int32_t first = rank < of ? TEXTS * rank / of : TEXTS,
                  end = rank < of ? TEXTS * (rank + 1) / of : TEXTS;
    kd_loss_counts counts = { .struct_size = sizeof counts };
    int64_t samples;
    *loss = 0;
    if (p->targets) TRY(fill_targets(p->targets, 10 * step, first, end));
    for (int32_t i = 0; i < parts; i++) {
        kd_loss_counts more = { .struct_size = sizeof more };
        TRY(fill(p->batch[i], 10 * step + i, first, end));
        TRY(kd_loss_count(p->loss, p->batch[i], p->targets, &more));
        TRY(kd_loss_counts_add(&counts, &more));
    }
    if (run->tells) TRY(kd_exchange_set_learning_rate(p->exchange, 0.01));
    TRY(kd_exchange_sum_counts(p->exchange, parts == 1 ? p->batch[0] : NULL, &counts, &samples));
    if (parts == 1 && samples != TEXTS) return kd_set_error(KD_ERR_STATE, "other samples");
    for (int32_t i = 0; i < parts; i++) {
        kd_loss_result result = { .struct_size = sizeof result };
        if (run->begins && i == parts - 1) TRY(kd_exchange_begin(p->exchange));
        TRY(kd_model_forward(p->model, p->batch[i], KD_MODE_TRAIN));
        TRY(kd_loss_backward(p->loss, p->model, p->batch[i], p->targets, &counts, &result));
        *loss += result.value;
    }
    TRY(kd_exchange_step(p->exchange, 0.01));
    return kd_exchange_sum(p->exchange, loss, 1);
}

static kd_status train(void *user, int32_t rank, kd_context *ctx, const kd_transport *transport)
{
    language_run *run = user;
    language_parts p = { 0 };
    kd_array values;
    kd_exchange_info info = { .struct_size = sizeof info };
    kd_status status = make_parts(&p, run, ctx, transport);
    for (int32_t step = 0; step < STEPS && status == KD_OK; step++)
        status = take_step(&p, run, step, rank, transport->ranks, &run->losses[rank][step]);
    if (status == KD_OK) status = kd_exchange_compare(p.exchange);
    if (status == KD_OK) status = kd_model_parameters(p.model, &values);
    if (status == KD_OK) status = kd_exchange_get_info(p.exchange, &info);
    if (status == KD_OK) {
        const int64_t count = kd_array_count(&values);
        if (!rank) run->count = count;
        run->early[rank] = info.early_bytes;
        memcpy(run->parameters[rank], values.data, (size_t)count * sizeof(float));
    }
    free_parts(&p);
    return status;
}

static language_run *run_on(const language_case *c, int32_t ranks, int32_t begins, int32_t late,
                            int32_t tells)
{
    language_run *run = calloc(1, sizeof *run);
    mesh net;
    rank_thread t[KIT_RANKS];
    run->of = c;
    run->begins = begins;
    run->tells = tells;
    mesh_make(&net, ranks);
    net.late = late;
    on_ranks(&net, t, 1, train, run);
    for (int32_t r = 0; r < ranks; r++)
        ck_assert_msg(t[r].status == KD_OK, "%s: rank %d of %d: %s", c->name, r, ranks,
                      t[r].message);
    for (int32_t r = 1; r < ranks; r++)
        ck_assert_mem_eq(run->parameters[r], run->parameters[0],
                         (size_t)run->count * sizeof(float));
    return run;
}

START_TEST(language_models_take_the_steps_of_one_rank)
{
    const language_case *c = &cases[_i];
    language_run *one = run_on(c, 1, 0, 0, 0), *late = run_on(c, 3, 0, 4, 0),
                 *told = run_on(c, 3, 1, 0, 1);
    ck_assert_mem_eq(told->parameters[0], late->parameters[0], (size_t)one->count * sizeof(float));
    for (int32_t ranks = 2; ranks < 5; ranks++) {
        language_run *many = run_on(c, ranks, 1, ranks % 2 * 5, ranks % 2 == 0);
        ck_assert_int_le(one->count, MOST);
        for (int s = 0; s < STEPS; s++)
            NEAR(many->losses[0][s], one->losses[0][s], 3e-6 * (1 + fabs(one->losses[0][s])));
        for (int64_t i = 0; i < one->count; i++)
            NEAR(many->parameters[0][i], one->parameters[0][i],
                 4e-5 * (0.1 + fabs(one->parameters[0][i])));
        if (c->early) ck_assert_int_gt(many->early[0], 0);
        if (ranks == 3)
            ck_assert_mem_eq(many->parameters[0], late->parameters[0],
                             (size_t)one->count * sizeof(float));
        free(many);
    }
    ck_assert_int_eq(late->early[0], 0);
    free(late);
    free(told);
    free(one);
}
END_TEST

Suite *exchange_language_suite(void)
{
    Suite *suite = suite_create("exchange_language");
    TCase *tests = tcase_create("exchange_language");
    tcase_set_tags(tests, "slow"); /* threads that wait for each other */
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, language_models_take_the_steps_of_one_rank, 0, CASES);
    suite_add_tcase(suite, tests);
    return suite;
}
