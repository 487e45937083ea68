/* What one rank finds wrong, all are told, in the same call: nobody waits for ever, nobody updates
 * alone. */
#include "rankcourse.h"

#include <time.h>

/* ---- ranks that do not train the same ---- */

typedef struct {
    const char *text; /* of the message on every rank */
    void (*change)(course_run *c);
    kd_status status;
} difference;

static void other_rate(course_run *c) { c->optimizer.beta1 = 0.8; }
static void other_kind(course_run *c) { c->kind = KD_OPTIMIZER_ADAM; }
static void other_clip(course_run *c) { c->optimizer.clip_norm = 0.25; }
static void other_wire(course_run *c) { c->exchange.wire = KD_BFLOAT16; }
static void other_buckets(course_run *c) { c->exchange.bucket_bytes = 1 << 20; }
static void other_shard(course_run *c) { c->exchange.shard = 0; }
static void other_config(course_run *c) { c->odd = 1; }
static void other_seed(course_run *c) { c->odd = 2; }
static void other_values(course_run *c) { c->odd = 3; }
static void other_group(course_run *c) { c->odd = 4; }
static void more_parameters(course_run *c) { c->odd = 5; }
static void a_frozen_tensor(course_run *c) { c->odd = 6; }
static void batch_norm(course_run *c) { c->odd = 7; }

static const difference differences[] = {
    { "beta1: rank 1 has 0.8", other_rate, KD_ERR_MISMATCH },
    { "kind of optimizer: rank 1", other_kind, KD_ERR_MISMATCH },
    { "clip_norm: rank 1 has 0.25", other_clip, KD_ERR_MISMATCH },
    { "wire: rank 1", other_wire, KD_ERR_MISMATCH },
    { "bucket_bytes: rank 1", other_buckets, KD_ERR_MISMATCH },
    { "shard: rank 1 has 0", other_shard, KD_ERR_MISMATCH },
    { "numbers of all parameters: rank 1", other_config, KD_ERR_MISMATCH },
    { "seed of a model: rank 1", other_seed, KD_ERR_MISMATCH },
    { "parameter 'layers.0.weight': rank 1 has other values", other_values, KD_ERR_MISMATCH },
    { "rank 1 has another name, shape, group", other_group, KD_ERR_MISMATCH },
    { "number of parameters: rank 1", more_parameters, KD_ERR_MISMATCH },
    { "'layers.0.weight' on rank", a_frozen_tensor, KD_ERR_MISMATCH },
    { "running statistic of batch normalization", batch_norm, KD_ERR_PEER },
};
enum { DIFFERENCES = sizeof differences / sizeof *differences };

static kd_status one_differs(void *user, int32_t rank, kd_context *ctx,
                             const kd_transport *transport)
{
    const difference *d = user;
    course_parts p = { 0 };
    course_run *c = new_run(KD_OPTIMIZER_ADAMW, 1);
    if (rank == 1) d->change(c);
    const kd_status status = make_parts(&p, c, ctx, transport);
    if (status != KD_OK && p.optimizer) {
        /* the optimizer is its own again */
        kd_exchange_free(p.exchange);
        p.exchange = NULL;
        char message[512];
        snprintf(message, sizeof message, "%s", kd_last_error());
        if (kd_optimizer_step(p.optimizer, 0.1) != KD_OK) return KD_ERR_INVALID;
        kd_set_error(status, message);
    }
    free_parts(&p);
    free(c);
    return status;
}

START_TEST(what_differs_is_named_on_all_ranks)
{
    const difference *d = &differences[_i];
    mesh net;
    rank_thread t[KIT_RANKS];
    mesh_make(&net, 3);
    on_ranks(&net, t, 1, one_differs, (void *)(uintptr_t)d);
    for (int r = 0; r < 3; r++) {
        const kd_status expected = d->status == KD_ERR_PEER && r == 1 ? KD_ERR_UNSUPPORTED
                                                                      : d->status;
        ck_assert_msg(t[r].status == expected && strstr(t[r].message, d->text), "rank %d: %s: %s",
                      r, kd_status_name(t[r].status), t[r].message);
    }
}
END_TEST

static kd_status spread(void *user, int32_t rank, kd_context *ctx, const kd_transport *transport)
{
    course_run *c = user, own = *c;
    course_parts p = { 0 };
    own.odd = rank ? 3 : 0; /* other values than rank 0 */
    kd_status status = make_parts(&p, &own, ctx, transport);
    if (status == KD_OK) status = train_parts(&p, c, rank);
    free_parts(&p);
    return status;
}

START_TEST(values_of_rank_0_go_to_all_where_they_are_spread)
{
    course_run *c = new_run(KD_OPTIMIZER_SGD, 3), *same = new_run(KD_OPTIMIZER_SGD, 3);
    mesh net;
    rank_thread t[KIT_RANKS];
    c->exchange.spread = 1;
    mesh_make(&net, 3);
    on_ranks(&net, t, 1, spread, c);
    for (int r = 0; r < 3; r++) ck_assert_msg(t[r].status == KD_OK, "%s", t[r].message);
    run_on(same, 3, 1, 0);
    ck_assert_mem_eq(c->parameters[2], same->parameters[0], (size_t)c->count * sizeof(float));
    free(c);
    free(same);
}
END_TEST

/* ---- a rank that cannot go on ---- */

/* Where rank 1 fails in step 1, and how. */
enum {
    BEFORE_COUNTS,
    AFTER_COUNTS,
    AFTER_BEGIN,
    AFTER_FORWARD,
    INSTEAD_OF_STEP,
    BAD_RATE,
    OTHER_RATE,
    BAD_COUNTS,
    NOT_FINITE,
    OTHER_SCALE,
    WAYS
};
static const kd_status peer_status[] = { KD_ERR_PEER, KD_ERR_PEER,    KD_ERR_PEER,     KD_ERR_PEER,
                                         KD_ERR_PEER, KD_ERR_PEER,    KD_ERR_MISMATCH, KD_ERR_PEER,
                                         KD_OK,       KD_ERR_MISMATCH };

typedef struct {
    course_run *run;
    int32_t way, begins, tells;
    kd_status seen[KIT_RANKS];
    char message[KIT_RANKS][512];
} failing;

static kd_status lose(course_parts *p)
{
    kd_set_error(KD_ERR_IO, "the disk of this rank is gone");
    return kd_exchange_fail(p->exchange, KD_ERR_IO);
}

#define LOSE_AT(place)                                                                             \
    if (way == (place)) return lose(p) == KD_OK ? KD_ERR_IO : KD_ERR_INVALID

/* One step in which rank 1 may fail; the samples go on the same way on all ranks. */
static kd_status step_that_fails(course_parts *p, failing *f, int32_t way)
{
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_array gradients;
    int64_t samples;
    kd_status status = kd_loader_next(p->loader, p->batch);
    if (status == KD_END) status = kd_loader_next(p->loader, p->batch);
    TRY(status);
    TRY(kd_teacher_read(p->teacher, p->batch, p->targets));
    TRY(kd_loss_count(p->loss, p->batch, p->targets, &counts));
    LOSE_AT(BEFORE_COUNTS);
    if (way == BAD_COUNTS) counts.terms = 99;
    if (f->tells) TRY(kd_exchange_set_learning_rate(p->exchange, 0.02));
    TRY(kd_exchange_sum_counts(p->exchange, p->batch, &counts, &samples));
    LOSE_AT(AFTER_COUNTS);
    if (f->begins) TRY(kd_exchange_begin(p->exchange));
    LOSE_AT(AFTER_BEGIN);
    TRY(kd_model_forward(p->model, p->batch, KD_MODE_TRAIN));
    LOSE_AT(AFTER_FORWARD);
    TRY(kd_loss_backward(p->loss, p->model, p->batch, p->targets, &counts, NULL));
    LOSE_AT(INSTEAD_OF_STEP);
    if (way == NOT_FINITE) {
        TRY(kd_model_gradients(p->model, &gradients));
        ((float *)gradients.data)[40000] = NAN;
    }
    if (way == OTHER_SCALE) TRY(kd_optimizer_set(p->optimizer, KD_STEP_GRADIENT_SCALE, 2));
    status = kd_exchange_step(p->exchange, way == BAD_RATE ? -1 : way == OTHER_RATE ? 0.5 : 0.02);
    if (way == OTHER_SCALE) kd_optimizer_set(p->optimizer, KD_STEP_GRADIENT_SCALE, 1);
    return status;
}

static kd_status train_failing(void *user, int32_t rank, kd_context *ctx,
                               const kd_transport *transport)
{
    failing *f = user;
    course_parts p = { 0 };
    kd_array values;
    kd_status status = make_parts(&p, f->run, ctx, transport);
    for (int32_t step = 0; step < 4 && status == KD_OK; step++) {
        status = step_that_fails(&p, f, rank == 1 && step == 1 ? f->way : -1);
        if (step != 1) continue;
        f->seen[rank] = status;
        snprintf(f->message[rank], 512, "%s", kd_last_error());
        status = KD_OK; /* and on */
    }
    if (status == KD_OK) status = kd_exchange_compare(p.exchange);
    if (status == KD_OK) status = kd_model_parameters(p.model, &values);
    if (status == KD_OK) keep_parameters(f->run, rank, &values);
    f->run->info[rank].struct_size = sizeof *f->run->info;
    if (status == KD_OK) status = kd_optimizer_get_info(p.optimizer, &f->run->info[rank]);
    free_parts(&p);
    return status;
}

static failing *fail_on(int32_t way, int32_t begins, int32_t tells)
{
    failing *f = calloc(1, sizeof *f);
    mesh net;
    rank_thread t[KIT_RANKS];
    f->run = new_run(KD_OPTIMIZER_ADAMW, 4);
    f->run->exchange.bucket_bytes = 1;
    f->way = way;
    f->begins = begins;
    f->tells = tells;
    mesh_make(&net, 3);
    on_ranks(&net, t, 1, train_failing, f);
    for (int r = 0; r < 3; r++)
        ck_assert_msg(t[r].status == KD_OK, "way %d, rank %d: %s", way, r, t[r].message);
    return f;
}

/* All drop the step, in the same bits, whatever the way; and the run goes on. */
START_TEST(a_rank_that_fails_is_heard_and_the_step_is_no_ones)
{
    failing *first = fail_on(AFTER_COUNTS, 0, 0), *f = fail_on(_i / 3, _i % 3 > 0, _i % 3 > 1);
    const int is_foreseen = f->tells && (f->way == OTHER_RATE || f->way == OTHER_SCALE);
    for (int r = 0; r < 3; r++) {
        if (r == 1 && f->way < BAD_RATE) continue;
        const kd_status expected = r == 1 && f->way == BAD_RATE     ? KD_ERR_RANGE
                                   : r == 1 && f->way == BAD_COUNTS ? KD_ERR_RANGE
                                   : !is_foreseen                   ? peer_status[f->way]
                                   : r != 1                         ? KD_ERR_PEER
                                   : f->way == OTHER_RATE           ? KD_ERR_INVALID
                                                                    : KD_ERR_STATE;
        ck_assert_msg(f->seen[r] == expected, "way %d, rank %d: %s: %s", f->way, r,
                      kd_status_name(f->seen[r]), f->message[r]);
        if (f->way < BAD_RATE)
            ck_assert_msg(strstr(f->message[r], "rank 1: KD_ERR_IO: the disk of this rank"), "%s",
                          f->message[r]);
    }
    if (f->way != BEFORE_COUNTS && f->way != BAD_COUNTS && f->way != AFTER_COUNTS &&
        f->way != AFTER_BEGIN)
        ck_assert_int_eq(f->run->info[0].steps, 3);
    for (int r = 0; r < 3; r++) {
        ck_assert_int_eq(f->run->info[r].steps, 3);
        ck_assert_int_eq(f->run->info[r].skipped, f->way == NOT_FINITE);
        ck_assert_mem_eq(f->run->parameters[r], f->run->parameters[0],
                         (size_t)f->run->count * sizeof(float));
    }
    ck_assert_mem_eq(f->run->parameters[0], first->run->parameters[0],
                     (size_t)first->run->count * sizeof(float));
    free(first->run);
    free(first);
    free(f->run);
    free(f);
}
END_TEST

/* ---- transports that fail, and ranks that lie ---- */

START_TEST(a_transport_that_fails_ends_every_rank)
{
    int64_t calls = 1;
    for (int ended = 0; !ended; calls += 1 + calls / 8) {
        course_run *c = new_run(KD_OPTIMIZER_ADAMW, 3);
        mesh net;
        rank_thread t[KIT_RANKS];
        c->exchange.bucket_bytes = 1;
        c->exchange.spread = 1;
        c->begins = (int32_t)(calls % 2);
        mesh_make(&net, 3);
        net.fail_at = calls;
        on_ranks(&net, t, 1, train, c);
        ended = t[2].status == KD_OK;
        for (int r = 0; r < 3 && !ended; r++)
            ck_assert_msg(t[r].status == KD_ERR_IO || t[r].status == KD_ERR_STATE ||
                              (t[r].status == KD_OK && r < 2),
                          "%lld: rank %d: %s: %s", (long long)calls, r, kd_status_name(t[r].status),
                          t[r].message);
        free(c);
    }
    ck_assert_int_gt(calls, 20);
}
END_TEST

static int32_t lie_kind;
enum { LIE_MAGIC, LIE_PROTOCOL, LIE_VERSION, LIE_RANK, LIE_RANKS, LIE_KIND, LIE_NOISE, LIES };
static const char *const lie_texts[] = { "rank 1: it sent no word of an exchange",
                                         "exchanges by protocol 7",
                                         "rank 1 has kdistill 0.9.1",
                                         "it says that it is rank 0",
                                         "of 1000",
                                         "expected the same calls in the same order",
                                         "rank 1: it sent no word of an exchange" };

/* Places of a word: magic, protocol, version, kind, status, rank, ranks, of 4 bytes each. */
static void tell_lies(mesh_rank *rank, char *mine, int64_t bytes)
{
    static const int32_t place[] = { 0, 4, 8, 20, 24, 12, 0 },
                         value[] = { 5, 7, 901, 0, 1000, 77, 0 };
    if (rank->rank != 1 || bytes != 2048) return;
    memcpy(mine + place[lie_kind], &value[lie_kind], 4);
    for (int64_t i = 0; i < bytes && lie_kind == LIE_NOISE; i++) mine[i] = (char)(i * i * 37 + 11);
}

START_TEST(ranks_that_are_something_else_are_told_by_name)
{
    course_run *c = new_run(KD_OPTIMIZER_SGD, 1);
    mesh net;
    rank_thread t[KIT_RANKS];
    lie_kind = _i;
    mesh_make(&net, 2);
    net.lie = tell_lies;
    on_ranks(&net, t, 1, train, c);
    for (int r = 0; r < 2; r++)
        ck_assert_msg((t[r].status == KD_ERR_PEER || t[r].status == KD_ERR_MISMATCH) &&
                          strstr(t[r].message, lie_texts[_i]),
                      "%s: %s", kd_status_name(t[r].status), t[r].message);
    free(c);
}
END_TEST

static kd_status other_calls(void *user, int32_t rank, kd_context *ctx,
                             const kd_transport *transport)
{
    course_parts p = { 0 };
    double sum = rank;
    kd_status status = make_parts(&p, user, ctx, transport);
    if (status == KD_OK)
        status = rank ? kd_exchange_compare_bytes(p.exchange, "tokenizer", "abc", 3)
                      : kd_exchange_sum(p.exchange, &sum, 1);
    if (status == KD_ERR_PEER && strstr(kd_last_error(), "same order")) status = KD_OK;
    if (status == KD_OK) status = kd_exchange_compare_bytes(p.exchange, "tokenizer", "abc", 3);
    if (status == KD_OK) {
        status = kd_exchange_compare_bytes(p.exchange, "keys", rank == 1 ? "abd" : "abc", 3);
        status = status == KD_ERR_MISMATCH && strstr(kd_last_error(), "keys: rank 1")
                     ? KD_OK
                     : KD_ERR_STATE;
    }
    if (status == KD_OK) status = kd_exchange_sum(p.exchange, &sum, 1);
    free_parts(&p);
    return sum == 3 ? status : KD_ERR_NONFINITE;
}

START_TEST(other_calls_and_other_bytes_are_told)
{
    course_run *c = new_run(KD_OPTIMIZER_SGD, 1);
    mesh net;
    rank_thread t[KIT_RANKS];
    mesh_make(&net, 3);
    on_ranks(&net, t, 1, other_calls, c);
    for (int r = 0; r < 3; r++) ck_assert_msg(t[r].status == KD_OK, "%s", t[r].message);
    free(c);
}
END_TEST

/* ---- one rank's mistakes ---- */

static kd_context *ctx;
static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

START_TEST(options_and_transports_are_checked)
{
    kd_exchange *made;
    kd_exchange_options o = KD_EXCHANGE_OPTIONS_INIT;
    kd_transport t = { .struct_size = sizeof t, .ranks = 2 };
    FAILS(kd_exchange_create(NULL, ctx, NULL, NULL), KD_ERR_INVALID, "out is NULL");
    FAILS(kd_exchange_create(&made, NULL, NULL, NULL), KD_ERR_INVALID, "context is NULL");
    FAILS(kd_exchange_create(&made, ctx, &t, NULL), KD_ERR_INVALID, "start_pieces");
    t.rank = 2;
    FAILS(kd_exchange_create(&made, ctx, &t, NULL), KD_ERR_RANGE, "rank: expected 0 to 1, got 2");
    t.ranks = 0;
    FAILS(kd_exchange_create(&made, ctx, &t, NULL), KD_ERR_RANGE, "expected 1 to 4096 ranks");
    o.wire = KD_INT8;
    FAILS(kd_exchange_create(&made, ctx, NULL, &o), KD_ERR_DTYPE, "wire");
    o.wire = KD_FLOAT32, o.bucket_bytes = -1;
    FAILS(kd_exchange_create(&made, ctx, NULL, &o), KD_ERR_RANGE, "bucket_bytes");
    o.bucket_bytes = 0, o.patience = NAN;
    FAILS(kd_exchange_create(&made, ctx, NULL, &o), KD_ERR_RANGE, "patience");
    kd_exchange_free(NULL);
}
END_TEST

START_TEST(calls_in_the_wrong_order_are_refused)
{
    course_run *c = new_run(KD_OPTIMIZER_ADAMW, 1);
    course_parts p = { 0 };
    kd_exchange *second, *bare;
    kd_loss_counts counts = { .struct_size = sizeof counts, .terms = 2, .rows = { 1, 1 } };
    const kd_transport one = { .struct_size = sizeof one, .ranks = 1 };
    double values[2] = { 1, 2 };
    c->optimizer.average_decay = 0.5;
    OK(make_parts(&p, c, ctx, &one));
    OK(kd_exchange_create(&bare, ctx, NULL, NULL));
    OK(kd_exchange_create(&second, ctx, NULL, NULL));
    FAILS(kd_exchange_step(bare, 0.1), KD_ERR_STATE, "no optimizer");
    FAILS(kd_exchange_set_learning_rate(bare, 0.1), KD_ERR_STATE, "no optimizer");
    FAILS(kd_exchange_set_learning_rate(p.exchange, -1), KD_ERR_RANGE, "got -1");
    FAILS(kd_exchange_set_learning_rate(p.exchange, NAN), KD_ERR_RANGE, "0 or more");
    FAILS(kd_exchange_add_optimizer(bare, NULL), KD_ERR_INVALID, "optimizer is NULL");
    FAILS(kd_exchange_add_optimizer(second, p.optimizer), KD_ERR_STATE, "another exchange's");
    FAILS(kd_exchange_add_optimizer(p.exchange, p.optimizer), KD_ERR_STATE, "got a second");
    FAILS(kd_exchange_step(p.exchange, 0.1), KD_ERR_STATE, "expected kd_exchange_sum_counts");
    FAILS(kd_exchange_begin(p.exchange), KD_ERR_STATE, "expected kd_exchange_sum_counts");
    FAILS(kd_optimizer_step(p.optimizer, 0.1), KD_ERR_STATE, "kd_exchange_step");
    FAILS(kd_optimizer_begin_step(p.optimizer, 0.1), KD_ERR_STATE, "kd_exchange_step");
    FAILS(kd_optimizer_swap_average(p.optimizer), KD_ERR_STATE, "kd_exchange_swap_average");
    FAILS(kd_optimizer_add_group(p.optimizer, "*", NULL), KD_ERR_STATE, "before");
    FAILS(kd_optimizer_add_model(p.optimizer, p.model), KD_ERR_INVALID, "already");
    FAILS(kd_optimizer_set(p.optimizer, KD_STEP_MAX_NORM, 1), KD_ERR_STATE, "rows are cut");
    FAILS(kd_exchange_sum(p.exchange, values, 129), KD_ERR_RANGE, "0 to 128");
    FAILS(kd_exchange_fail(p.exchange, KD_OK), KD_ERR_INVALID, "got KD_OK");
    FAILS(kd_exchange_sum_counts(p.exchange, NULL, NULL, NULL), KD_ERR_INVALID, "counts is NULL");
    OK(kd_exchange_sum_counts(p.exchange, NULL, &counts, NULL));
    FAILS(kd_exchange_sum(p.exchange, values, 2), KD_ERR_STATE, "a step is open");
    FAILS(kd_exchange_compare(p.exchange), KD_ERR_STATE, "a step is open");
    FAILS(kd_exchange_set_learning_rate(p.exchange, 0.1), KD_ERR_STATE, "a step is open");
    OK(kd_exchange_begin(p.exchange));
    FAILS(kd_exchange_begin(p.exchange), KD_ERR_STATE, "begun already");
    OK(kd_exchange_step(p.exchange, 0.1)); /* without a pass: gradients of 0 */
    OK(kd_exchange_swap_average(p.exchange));
    OK(kd_exchange_sum_counts(p.exchange, NULL, &counts, NULL));
    FAILS(kd_exchange_step(p.exchange, 0.1), KD_ERR_STATE, "averaged weights");
    OK(kd_exchange_swap_average(p.exchange));
    memset(counts.rows, 0, sizeof counts.rows);
    int64_t samples = 5;
    OK(kd_exchange_sum_counts(p.exchange, NULL, &counts, &samples));
    ck_assert_int_eq(samples, 0);
    OK(kd_exchange_sum(p.exchange, values, 2)); /* no step is open */
    kd_exchange_free(bare);
    kd_exchange_free(second);
    free_parts(&p);
    free(c);
}
END_TEST

/* ---- a rank that others wait for ---- */

enum { LINES = 8 };
typedef struct {
    pthread_mutex_t mutex;
    char text[LINES][300];
    int32_t level[LINES], count;
} lines;

static void keep_line(void *user, int32_t level, const char *line)
{
    lines *l = user;
    pthread_mutex_lock(&l->mutex);
    if (l->count < LINES) snprintf(l->text[l->count], sizeof *l->text, "%s", line);
    if (l->count < LINES) l->level[l->count++] = level;
    pthread_mutex_unlock(&l->mutex);
}

/* Two steps; rank 1 comes late to the second, with its gradients. */
static kd_status come_late(void *user, int32_t rank, kd_context *unused,
                           const kd_transport *transport)
{
    const kd_logger logger = { sizeof logger, KD_LOG_WARNING, user, keep_line };
    const struct timespec nap = { 0, 150000000 };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    course_run *c = new_run(KD_OPTIMIZER_SGD, 1);
    course_parts p = { 0 };
    kd_context *ctx;
    double loss;
    (void)unused;
    o.threads = 1;
    if (!rank) o.logger = &logger;
    TRY(kd_context_create(&ctx, &o));
    c->exchange.patience = 0.02;
    kd_status status = make_parts(&p, c, ctx, transport);
    if (status == KD_OK) status = take_step(&p, c, &loss);
    kd_loss_counts counts = { .struct_size = sizeof counts, .terms = 2, .rows = { 1, 1 } };
    if (status == KD_OK) status = kd_exchange_sum_counts(p.exchange, NULL, &counts, NULL);
    if (rank) nanosleep(&nap, NULL);
    if (status == KD_OK) status = kd_exchange_step(p.exchange, 0.01);
    free_parts(&p);
    kd_context_free(ctx);
    free(c);
    return status;
}

START_TEST(who_waits_long_says_so)
{
    mesh net;
    rank_thread t[KIT_RANKS];
    lines heard = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    mesh_make(&net, 2);
    on_ranks(&net, t, 1, come_late, &heard);
    for (int r = 0; r < 2; r++) ck_assert_msg(t[r].status == KD_OK, "%s", t[r].message);
    ck_assert_int_ge(heard.count, 1);
    ck_assert_int_eq(heard.level[heard.count - 1], KD_LOG_WARNING);
    const char *line = heard.text[heard.count - 1];
    ck_assert_msg(strstr(line, "rank 0 has waited") && strstr(line, "of step 2") &&
                      strstr(line, "the slowest of the step before: rank"),
                  "%s", line);
}
END_TEST

Suite *exchange_errors_suite(void)
{
    Suite *suite = suite_create("exchange_errors");
    TCase *ranks = tcase_create("ranks"), *alone = tcase_create("alone");
    tcase_set_tags(ranks, "slow"); /* threads that wait for each other */
    tcase_set_timeout(ranks, 240);
    tcase_add_loop_test(ranks, what_differs_is_named_on_all_ranks, 0, DIFFERENCES);
    tcase_add_test(ranks, values_of_rank_0_go_to_all_where_they_are_spread);
    tcase_add_loop_test(ranks, a_rank_that_fails_is_heard_and_the_step_is_no_ones, 0, 3 * WAYS);
    tcase_add_test(ranks, a_transport_that_fails_ends_every_rank);
    tcase_add_loop_test(ranks, ranks_that_are_something_else_are_told_by_name, 0, LIES);
    tcase_add_test(ranks, other_calls_and_other_bytes_are_told);
    tcase_add_test(ranks, who_waits_long_says_so);
    tcase_add_checked_fixture(alone, setup, teardown);
    tcase_add_test(alone, options_and_transports_are_checked);
    tcase_add_test(alone, calls_in_the_wrong_order_are_refused);
    suite_add_tcase(suite, ranks);
    suite_add_tcase(suite, alone);
    return suite;
}
