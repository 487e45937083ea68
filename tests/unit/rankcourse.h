/* A small course of several ranks: made-up data, a network with a dropout, two terms. */
#ifndef UNIT_RANKCOURSE_H
#define UNIT_RANKCOURSE_H

#include "rankkit.h"

enum { SAMPLES = 96, PIXELS = 40, CLASSES = 6, MOST_STEPS = 12, MOST_PARAMETERS = 120000 };

/* Tensors of several pieces: 40 x 1500 numbers are more than one has. */
static const char wide_network[] =
    "{\"model_type\":\"sequential\",\"input_shape\":[40],\"layers\":["
    "{\"type\":\"linear\",\"units\":1500,\"activation\":\"gelu\"},"
    "{\"type\":\"linear\",\"units\":%d,\"activation\":\"relu\"},"
    "{\"type\":\"dropout\",\"p\":%s},"
    "{\"type\":\"linear\",\"units\":6}]}";
static const char norm_network[] =
    "{\"model_type\":\"sequential\",\"input_shape\":[40],\"layers\":["
    "{\"type\":\"linear\",\"units\":%d},{\"type\":\"batch_norm1d\"},"
    "{\"type\":\"dropout\",\"p\":%s},{\"type\":\"linear\",\"units\":6}]}";

static const char grid_network[] =
    "{\"model_type\":\"sequential\",\"input_shape\":[1,5,8],\"layers\":["
    "{\"type\":\"conv2d\",\"channels\":%d,\"kernel_size\":3,\"activation\":\"relu\"},"
    "{\"type\":\"flatten\"},{\"type\":\"dropout\",\"p\":%s},{\"type\":\"linear\",\"units\":6}]}";

typedef struct {
    const char *dropout; /* a share, as text */
    int32_t kind;        /* of optimizer */
    kd_optimizer_options optimizer;
    kd_exchange_options exchange;
    int32_t begins, steps, batch; /* samples of all ranks */
    int32_t tells;                /* 1: the learning rate before the step */
    int32_t samples;              /* of the data; 0: all */
    int32_t grid;                 /* 1: a network of convolutions */
    int32_t last_isa;             /* of the last rank; 0: as the others */
    int32_t odd;                  /* what this rank has otherwise; 0: nothing */
    int32_t term;                 /* one of this kind alone; 0: two terms */
    /* what all ranks came to, in the same bits */
    float parameters[KIT_RANKS][MOST_PARAMETERS];
    int64_t count;
    double losses[KIT_RANKS][MOST_STEPS];
    kd_optimizer_info info[KIT_RANKS];
    kd_exchange_info traffic[KIT_RANKS];
} course_run;

typedef struct {
    kd_dataset *data;
    kd_loader *loader;
    kd_batch *batch;
    kd_teacher *teacher;
    kd_targets *targets;
    kd_model *model;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_exchange *exchange;
} course_parts;

#define TRY(call)                                                                                  \
    do {                                                                                           \
        const kd_status try_status = (call);                                                       \
        if (try_status < 0) return try_status;                                                     \
    } while (0)

/* The same samples for the ranks of all runs, which are threads: made once. */
static float inputs_made[SAMPLES * PIXELS], logits_made[SAMPLES * CLASSES];
static int64_t labels_made[SAMPLES];
static pthread_once_t data_once = PTHREAD_ONCE_INIT;

static inline void fill_data(void)
{
    for (int i = 0; i < SAMPLES * PIXELS; i++) inputs_made[i] = (float)sin(0.37 * i + i / PIXELS);
    for (int i = 0; i < SAMPLES * CLASSES; i++) logits_made[i] = (float)(3 * cos(1.7 * i));
    for (int i = 0; i < SAMPLES; i++) labels_made[i] = i * i % CLASSES;
}

static inline kd_status make_data(course_parts *p, kd_context *ctx, int32_t samples)
{
    kd_teacher_options o = KD_TEACHER_OPTIONS_INIT;
    pthread_once(&data_once, fill_data);
    const kd_array inputs = KD_ARRAY_2D(inputs_made, KD_FLOAT32, samples, PIXELS),
                   labels = KD_ARRAY_1D(labels_made, KD_INT64, samples),
                   logits = KD_ARRAY_2D(logits_made, KD_FLOAT32, samples, CLASSES);
    TRY(kd_dataset_create(&p->data, ctx, NULL));
    TRY(kd_dataset_add(p->data, "inputs", &inputs, NULL));
    TRY(kd_dataset_add(p->data, "label", &labels, NULL));
    o.any_view = 1;
    TRY(kd_teacher_create(&p->teacher, ctx, NULL, &o));
    return kd_teacher_add(p->teacher, "logits", &logits);
}

static inline kd_status make_parts(course_parts *p, const course_run *c, kd_context *ctx,
                                   const kd_transport *transport)
{
    char config[300];
    kd_loader_options o = KD_LOADER_OPTIONS_INIT;
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    kd_model_options mo = KD_MODEL_OPTIONS_INIT;
    static float extra[2];
    const kd_array more = KD_ARRAY_1D(extra, KD_FLOAT32, 1),
                   more_gradients = KD_ARRAY_1D(extra + 1, KD_FLOAT32, 1);
    kd_array values;
    TRY(make_data(p, ctx, c->samples ? c->samples : SAMPLES));
    o.rank = transport->rank, o.ranks = transport->ranks, o.uneven = 1;
    o.batch_size = c->batch / transport->ranks;
    TRY(kd_loader_create(&p->loader, p->data, &o));
    TRY(kd_batch_create(&p->batch, ctx, NULL));
    TRY(kd_targets_create(&p->targets, ctx, NULL));
    snprintf(config, sizeof config,
             c->grid       ? grid_network
             : c->odd == 7 ? norm_network
                           : wide_network,
             c->odd == 1 || c->odd == 7 ? 31 : 30, c->dropout ? c->dropout : "0");
    mo.seed = c->odd == 2 ? 9 : 8;
    TRY(kd_model_create(&p->model, ctx, config, &mo));
    if (c->odd == 3) TRY(kd_model_parameters(p->model, &values));
    if (c->odd == 3) ((float *)values.data)[77] += 1;
    TRY(kd_loss_create(&p->loss, ctx, NULL));
    term.temperature = 2;
    if (c->term) {
        const int compares = c->term == KD_LOSS_MEAN_SQUARED_ERROR || c->term == KD_LOSS_HUBER;
        if (compares) term.teacher_field = "logits";
        TRY(kd_loss_add(p->loss, c->term, 1, &term, NULL));
    } else {
        TRY(kd_loss_add(p->loss, KD_LOSS_FORWARD_KL, 0.7, &term, NULL));
        TRY(kd_loss_add(p->loss, KD_LOSS_CROSS_ENTROPY, 0.3, NULL, NULL));
    }
    TRY(kd_optimizer_create(&p->optimizer, ctx, c->kind, &c->optimizer));
    TRY(kd_optimizer_add_model(p->optimizer, p->model));
    if (c->odd == 4) TRY(kd_optimizer_add_group(p->optimizer, "*.bias", NULL));
    if (c->odd == 5) TRY(kd_optimizer_borrow_array(p->optimizer, "more", &more, &more_gradients));
    if (c->odd == 6) TRY(kd_model_freeze(p->model, "layers.0.*", 1));
    TRY(kd_exchange_create(&p->exchange, ctx, transport->ranks > 1 ? transport : NULL,
                           &c->exchange));
    return kd_exchange_add_optimizer(p->exchange, p->optimizer);
}

static inline void free_parts(course_parts *p)
{
    kd_dataset_free(p->data);
    kd_loader_free(p->loader);
    kd_batch_free(p->batch);
    kd_teacher_free(p->teacher);
    kd_targets_free(p->targets);
    kd_model_free(p->model);
    kd_loss_free(p->loss);
    kd_exchange_free(p->exchange);
    kd_optimizer_free(p->optimizer);
}

static inline kd_status take_step(course_parts *p, const course_run *c, double *loss)
{
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result result = { .struct_size = sizeof result };
    int64_t samples;
    kd_status status = kd_loader_next(p->loader, p->batch);
    if (status == KD_END) status = kd_loader_next(p->loader, p->batch);
    TRY(status);
    TRY(kd_teacher_read(p->teacher, p->batch, p->targets));
    TRY(kd_loss_count(p->loss, p->batch, p->targets, &counts));
    if (c->tells) TRY(kd_exchange_set_learning_rate(p->exchange, 0.02));
    TRY(kd_exchange_sum_counts(p->exchange, p->batch, &counts, &samples));
    if (c->begins) TRY(kd_exchange_begin(p->exchange));
    TRY(kd_model_forward(p->model, p->batch, KD_MODE_TRAIN));
    TRY(kd_loss_backward(p->loss, p->model, p->batch, p->targets, &counts, &result));
    TRY(kd_exchange_step(p->exchange, 0.02));
    *loss = result.value;
    return kd_exchange_sum(p->exchange, loss, 1);
}

/* Ranks have as many parameters as each other; one of them says how many. */
static inline void keep_parameters(course_run *c, int32_t rank, const kd_array *values)
{
    const int64_t count = kd_array_count(values);
    if (!rank) c->count = count;
    memcpy(c->parameters[rank], values->data, (size_t)count * sizeof(float));
}

static inline kd_status train_parts(course_parts *p, course_run *c, int32_t rank)
{
    kd_array values;
    for (int32_t step = 0; step < c->steps; step++) TRY(take_step(p, c, &c->losses[rank][step]));
    TRY(kd_exchange_compare(p->exchange));
    TRY(kd_model_parameters(p->model, &values));
    keep_parameters(c, rank, &values);
    c->info[rank].struct_size = sizeof *c->info;
    c->traffic[rank].struct_size = sizeof *c->traffic;
    TRY(kd_optimizer_get_info(p->optimizer, &c->info[rank]));
    return kd_exchange_get_info(p->exchange, &c->traffic[rank]);
}

static inline kd_status train(void *user, int32_t rank, kd_context *ctx,
                              const kd_transport *transport)
{
    course_parts p = { 0 };
    kd_status status = make_parts(&p, user, ctx, transport);
    if (status == KD_OK) status = train_parts(&p, user, rank);
    free_parts(&p);
    return status;
}

static inline course_run *new_run(int32_t kind, int32_t steps)
{
    course_run *c = calloc(1, sizeof *c);
    kd_optimizer_options_init(&c->optimizer, sizeof c->optimizer);
    kd_exchange_options_init(&c->exchange, sizeof c->exchange);
    c->kind = kind;
    c->steps = steps;
    c->batch = 24;
    return c;
}

/* On so many ranks; the parameters of all ranks are one. */
static inline void run_on(course_run *c, int32_t ranks, int32_t threads, int32_t late)
{
    mesh net;
    rank_thread t[KIT_RANKS];
    mesh_make(&net, ranks);
    net.late = late;
    net.last_isa = c->last_isa;
    on_ranks(&net, t, threads, train, c);
    for (int32_t r = 0; r < ranks; r++)
        ck_assert_msg(t[r].status == KD_OK, "rank %d of %d: %s", r, ranks, t[r].message);
    ck_assert_int_eq(net.destroyed, ranks > 1 ? ranks : 0);
    for (int32_t r = 1; r < ranks; r++)
        ck_assert_mem_eq(c->parameters[r], c->parameters[0], (size_t)c->count * sizeof(float));
}

static inline void near_each_other(const course_run *a, const course_run *b)
{
    ck_assert_int_eq(a->count, b->count);
    for (int32_t s = 0; s < a->steps; s++)
        NEAR(a->losses[0][s], b->losses[0][s], 2e-6 * (1 + fabs(b->losses[0][s])));
    for (int64_t i = 0; i < a->count; i++)
        NEAR(a->parameters[0][i], b->parameters[0][i], 3e-5 * (0.05 + fabs(b->parameters[0][i])));
}

#endif
