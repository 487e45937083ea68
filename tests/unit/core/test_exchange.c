/* Several ranks take the steps of one: to rounding beside one rank, and to the bit whatever the
 * buckets, the overlap, the threads and the transport's timing are. */
#include "rankcourse.h"

/* ---- beside one rank ---- */

typedef struct {
    const char *name;
    int32_t kind;
    double momentum, clip_norm, clip_value, max_norm, average, decay;
    int32_t nesterov;
    const char *dropout;
} optimizer_case;

static const optimizer_case cases[] = {
    { "sgd", KD_OPTIMIZER_SGD, 0, 0, 0, 0, 0, 0, 0, "0" },
    { "nesterov, decay", KD_OPTIMIZER_SGD, 0.9, 0, 0, 0, 0, 0.01, 1, "0" },
    { "clipped momentum", KD_OPTIMIZER_SGD, 0.9, 0.2, 0.05, 0, 0, 0, 0, "0" },
    { "adamw", KD_OPTIMIZER_ADAMW, 0, 0.3, 0, 0, 0, 0.01, 0, "0" },
    { "adam, max_norm, average", KD_OPTIMIZER_ADAM, 0, 0, 0, 0.8, 0.9, 0.01, 0, "0" },
    { "adamw, dropout", KD_OPTIMIZER_ADAMW, 0, 0.3, 0, 0, 0.9, 0.01, 0, "0.2" },
};
enum { CASES = sizeof cases / sizeof *cases };

static course_run *run_of(const optimizer_case *o)
{
    course_run *c = new_run(o->kind, 8);
    c->optimizer.momentum = o->momentum;
    c->optimizer.nesterov = o->nesterov;
    c->optimizer.clip_norm = o->clip_norm;
    c->optimizer.clip_value = o->clip_value;
    c->optimizer.max_norm = o->max_norm;
    c->optimizer.average_decay = o->average;
    c->optimizer.weight_decay = o->decay;
    c->optimizer.epsilon = 1e-4; /* a step is no sign of a rounding error */
    c->dropout = o->dropout;
    return c;
}

START_TEST(ranks_take_the_steps_of_one)
{
    const optimizer_case *o = &cases[_i / 6];
    course_run *one = run_of(o), *many = run_of(o);
    many->exchange.shard = _i % 2;
    many->begins = _i % 2;
    many->tells = _i / 2 % 2;
    run_on(one, 1, 1, 0);
    run_on(many, 2 + _i / 2 % 3, 1, _i % 3);
    near_each_other(many, one);
    ck_assert_int_eq(many->info[0].clipped, one->info[0].clipped);
    free(one);
    free(many);
}
END_TEST

/* Kinds that compare row with row: a rank's rows are enough. */
static const int32_t row_kinds[] = { KD_LOSS_CROSS_ENTROPY,
                                     KD_LOSS_FORWARD_KL,
                                     KD_LOSS_REVERSE_KL,
                                     KD_LOSS_JSD,
                                     KD_LOSS_LOGIT_MSE,
                                     KD_LOSS_DKD,
                                     KD_LOSS_BINARY_KL,
                                     KD_LOSS_HUBER,
                                     KD_LOSS_MEAN_SQUARED_ERROR,
                                     KD_LOSS_SKEWED_FORWARD_KL,
                                     KD_LOSS_TOTAL_VARIATION,
                                     KD_LOSS_SKEWED_REVERSE_KL,
                                     KD_LOSS_ALPHA_BETA,
                                     KD_LOSS_ADAPTIVE_KL,
                                     KD_LOSS_TAID,
                                     KD_LOSS_STANDARDIZED_KL,
                                     KD_LOSS_ULD,
                                     KD_LOSS_ACCEPTANCE };
enum { ROW_KINDS = sizeof row_kinds / sizeof *row_kinds };

START_TEST(every_kind_of_rows_is_that_of_one_rank)
{
    course_run *one = new_run(KD_OPTIMIZER_SGD, 3), *many = new_run(KD_OPTIMIZER_SGD, 3);
    one->term = many->term = row_kinds[_i];
    one->samples = many->samples = 29; /* uneven, too */
    many->begins = many->tells = 1;
    run_on(one, 1, 1, 0);
    run_on(many, 2 + _i % 3, 1, 0);
    ck_assert(one->losses[0][0] != 0 && one->losses[0][2] != one->losses[0][0]);
    near_each_other(many, one);
    free(one);
    free(many);
}
END_TEST

/* ---- to the bit ---- */

typedef struct {
    int64_t bucket_bytes;
    int32_t shard, begins, threads, late, tells;
} form;
static const form forms[] = { { 1, 1, 1, 1, 0, 0 },       { 1, 0, 0, 3, 2, 0 },
                              { 262144, 1, 0, 2, 0, 1 },  { 262144, 0, 1, 1, 7, 0 },
                              { 0, 1, 0, 1, 3, 0 },       { 0, 0, 1, 2, 0, 1 },
                              { 1 << 30, 1, 1, 3, 1, 0 }, { 1, 1, 1, 2, 5, 1 },
                              { 1, 1, 0, 1, 0, 1 } };
enum { FORMS = sizeof forms / sizeof *forms };

/* Clipped or not, and with 16 bits on the wire. */
static course_run *formed(int kind, const form *f)
{
    course_run *c = new_run(KD_OPTIMIZER_ADAMW, 4);
    c->dropout = "0.1";
    c->optimizer.clip_norm = kind % 2 ? 0.2 : 0;
    c->exchange.wire = kind / 2 ? KD_BFLOAT16 : KD_FLOAT32;
    c->exchange.bucket_bytes = f->bucket_bytes;
    c->exchange.shard = f->shard;
    c->begins = f->begins;
    c->tells = f->tells;
    return c;
}

START_TEST(bits_are_the_same_whatever_the_buckets_are)
{
    course_run *first = formed(_i, &forms[0]);
    run_on(first, 3, forms[0].threads, forms[0].late);
    ck_assert_int_gt(first->traffic[0].buckets, 1);
    ck_assert_int_eq(first->info[0].clipped > 0, _i % 2);
    for (int i = 1; i < FORMS; i++) {
        course_run *other = formed(_i, &forms[i]);
        run_on(other, 3, forms[i].threads, forms[i].late);
        ck_assert_mem_eq(other->parameters[0], first->parameters[0],
                         (size_t)first->count * sizeof(float));
        ck_assert(other->info[2].gradient_norm == first->info[0].gradient_norm);
        free(other);
    }
    free(first);
}
END_TEST

/* The same run without an exchange. */
static kd_status train_alone(void *user, int32_t rank, kd_context *ctx,
                             const kd_transport *transport)
{
    course_run *c = user;
    course_parts p = { 0 };
    kd_array values;
    kd_loss_result result = { .struct_size = sizeof result };
    kd_status status = make_parts(&p, c, ctx, transport);
    kd_exchange_free(p.exchange); /* of one rank: the optimizer is free again */
    p.exchange = NULL;
    for (int32_t step = 0; step < c->steps && status >= 0; step++) {
        status = kd_loader_next(p.loader, p.batch);
        if (status == KD_END) status = kd_loader_next(p.loader, p.batch);
        if (status == KD_OK) status = kd_teacher_read(p.teacher, p.batch, p.targets);
        if (status == KD_OK) status = kd_model_forward(p.model, p.batch, KD_MODE_TRAIN);
        if (status == KD_OK)
            status = kd_loss_backward(p.loss, p.model, p.batch, p.targets, NULL, &result);
        if (status == KD_OK) status = kd_optimizer_step(p.optimizer, 0.02);
    }
    if (status == KD_OK) status = kd_model_parameters(p.model, &values);
    if (status == KD_OK) keep_parameters(c, rank, &values);
    free_parts(&p);
    return status;
}

START_TEST(one_rank_takes_the_steps_of_the_optimizer_alone)
{
    course_run *with = run_of(&cases[_i]), *without = run_of(&cases[_i]);
    mesh net;
    rank_thread t[KIT_RANKS];
    run_on(with, 1, 2, 0);
    mesh_make(&net, 1);
    on_ranks(&net, t, 2, train_alone, without);
    ck_assert_msg(t[0].status == KD_OK, "%s", t[0].message);
    ck_assert_mem_eq(with->parameters[0], without->parameters[0],
                     (size_t)with->count * sizeof(float));
    free(with);
    free(without);
}
END_TEST

START_TEST(a_rank_keeps_the_state_of_its_pieces_alone)
{
    course_run *c = new_run(KD_OPTIMIZER_ADAMW, 1);
    c->exchange.bucket_bytes = 1;
    run_on(c, 4, 1, 0);
    int64_t all = 0;
    for (int r = 0; r < 4; r++) {
        all += c->traffic[r].state_bytes;
        ck_assert_int_lt(c->traffic[r].state_bytes, 8 * c->count);
        ck_assert_int_eq(c->traffic[r].rank, r);
    }
    ck_assert_int_eq(all, 8 * c->count);
    free(c);
}
END_TEST

/* Lists of pieces alone: nothing is packed, sent or received. */
static kd_status count_bytes_of_one(void *user, int32_t rank, kd_context *ctx,
                                    const kd_transport *transport)
{
    const kd_array numbers = KD_ARRAY_1D(inputs_made, KD_FLOAT32, SAMPLES * PIXELS);
    kd_exchange_options eo = KD_EXCHANGE_OPTIONS_INIT;
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    kd_exchange_info info = { .struct_size = sizeof info };
    kd_optimizer *optimizer = NULL;
    kd_exchange *exchange = NULL;
    eo.wire = *(int32_t *)user;
    TRY(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL)); /* without a state */
    TRY(kd_optimizer_borrow_array(optimizer, "w", &numbers, &numbers));
    TRY(kd_context_get_info(ctx, &before));
    TRY(kd_exchange_create(&exchange, ctx, transport, &eo));
    TRY(kd_exchange_add_optimizer(exchange, optimizer));
    TRY(kd_context_get_info(ctx, &after));
    TRY(kd_exchange_get_info(exchange, &info));
    const int64_t taken = (int64_t)(after.bytes - before.bytes), all = sizeof inputs_made;
    const int64_t widened = eo.wire == KD_FLOAT32 ? 0 : 4096; /* a tile */
    ck_assert_int_eq(rank, 0);
    ck_assert_int_eq(info.buffer_bytes, 0);
    ck_assert_int_lt(taken, all / 2 + widened);
    kd_exchange_free(exchange);
    kd_optimizer_free(optimizer);
    return KD_OK;
}

START_TEST(one_rank_has_no_buffers)
{
    static int32_t wires[] = { KD_FLOAT32, KD_BFLOAT16 };
    mesh net;
    rank_thread t[KIT_RANKS];
    mesh_make(&net, 1);
    on_ranks(&net, t, 1, count_bytes_of_one, &wires[_i]);
    ck_assert_msg(t[0].status == KD_OK, "%s", t[0].message);
}
END_TEST

/* 41 samples in rounds of 24: a rank of the second round gets five samples, others none. */
START_TEST(uneven_rounds_are_those_of_one_rank)
{
    course_run *one = new_run(KD_OPTIMIZER_ADAMW, 6), *many = new_run(KD_OPTIMIZER_ADAMW, 6);
    one->optimizer.epsilon = many->optimizer.epsilon = 1e-4;
    one->dropout = many->dropout = "0.1";
    one->samples = many->samples = 29;
    many->begins = _i % 2;
    many->exchange.shard = _i / 2;
    run_on(one, 1, 1, 0);
    run_on(many, 4, 1, 0);
    near_each_other(many, one);
    free(one);
    free(many);
}
END_TEST

START_TEST(convolutions_take_the_steps_of_one)
{
    course_run *one = new_run(KD_OPTIMIZER_ADAMW, 8), *many = new_run(KD_OPTIMIZER_ADAMW, 8);
    one->optimizer.epsilon = many->optimizer.epsilon = 1e-4;
    one->dropout = many->dropout = "0.1";
    one->grid = many->grid = many->begins = many->tells = 1;
    run_on(one, 1, 1, 0);
    run_on(many, 2 + _i, 1, 0);
    near_each_other(many, one);
    free(one);
    free(many);
}
END_TEST

/* A number is computed by its owner alone, whatever its processor makes of it. */
START_TEST(ranks_of_other_processors_stay_together)
{
    course_run *c = new_run(KD_OPTIMIZER_ADAMW, 8);
    c->optimizer.clip_norm = _i == 2 ? 0.2 : 0;
    c->exchange.bucket_bytes = 1;
    c->last_isa = KD_ISA_PORTABLE;
    c->begins = c->tells = _i > 0;
    run_on(c, 3, 1, 0); /* compares the parameters of all ranks */
    free(c);
}
END_TEST

Suite *exchange_suite(void)
{
    Suite *suite = suite_create("exchange");
    TCase *tests = tcase_create("exchange");
    tcase_set_tags(tests, "slow"); /* threads that wait for each other */
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, ranks_take_the_steps_of_one, 0, 6 * CASES);
    tcase_add_loop_test(tests, every_kind_of_rows_is_that_of_one_rank, 0, ROW_KINDS);
    tcase_add_loop_test(tests, bits_are_the_same_whatever_the_buckets_are, 0, 4);
    tcase_add_loop_test(tests, one_rank_takes_the_steps_of_the_optimizer_alone, 0, CASES);
    tcase_add_test(tests, a_rank_keeps_the_state_of_its_pieces_alone);
    tcase_add_loop_test(tests, one_rank_has_no_buffers, 0, 2);
    tcase_add_loop_test(tests, convolutions_take_the_steps_of_one, 0, 3);
    tcase_add_loop_test(tests, ranks_of_other_processors_stay_together, 0, 3);
    tcase_add_loop_test(tests, uneven_rounds_are_those_of_one_rank, 0, 4);
    suite_add_tcase(suite, tests);
    return suite;
}
