/* A thousand ranks in one process: who owns what of a model of 3 x 10^9 numbers, of which there are
 * addresses alone; and steps over a transport that makes up the other ranks. */
#include <check.h>
#include <kdistill.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/context.h"
#include "core/exchange/exchange.h"
#include "internal/suites.h"

/* ---- a transport whose other ranks say what this one says, and send zeros ---- */

typedef struct {
    int32_t rank, ranks, under_way[8];
    int64_t pieces, shares, bytes;
} echo;

static kd_status echo_gather(void *user, const void *mine, void *all, int64_t bytes)
{
    const echo *e = user;
    for (int32_t r = 0; r < e->ranks; r++) {
        kd__word *word = (void *)((char *)all + r * bytes);
        memcpy(word, mine, (size_t)bytes);
        if (bytes == (int64_t)sizeof *word) word->rank = r;
    }
    return KD_OK;
}

static void check_offsets(const echo *e, const int64_t *offsets)
{
    int wrong = offsets[0] != 0;
    for (int32_t r = 0; r < e->ranks; r++) wrong += offsets[r + 1] < offsets[r];
    ck_assert_int_eq(wrong, 0);
}

static kd_status echo_pieces(void *user, int32_t request, const void *send, const int64_t *offsets,
                             void *received, int64_t stride)
{
    echo *e = user;
    (void)send;
    check_offsets(e, offsets);
    ck_assert(!e->under_way[request]++);
    ck_assert(stride == offsets[e->rank + 1] - offsets[e->rank]);
    if (stride) memset(received, 0, (size_t)(stride * e->ranks));
    e->pieces++;
    e->bytes += offsets[e->ranks];
    return KD_OK;
}

static kd_status echo_share(void *user, int32_t request, void *values, const int64_t *offsets)
{
    echo *e = user;
    (void)values;
    check_offsets(e, offsets);
    ck_assert(!e->under_way[request]++);
    ck_assert(e->shares < e->pieces); /* no bucket comes back before it was summed */
    e->shares++;
    return KD_OK;
}

static kd_status echo_complete(void *user, int32_t request, int32_t wait, int32_t *done)
{
    echo *e = user;
    (void)wait;
    ck_assert(e->under_way[request] == 1);
    e->under_way[request] = 0;
    *done = 1;
    return KD_OK;
}

static kd_transport transport_of(echo *e)
{
    return (kd_transport){ .struct_size = sizeof(kd_transport),
                           .rank = e->rank,
                           .ranks = e->ranks,
                           .user = e,
                           .gather = echo_gather,
                           .start_pieces = echo_pieces,
                           .start_share = echo_share,
                           .complete = echo_complete };
}

/* ---- who owns what ---- */

#define NUMBERS 3000000000

typedef struct {
    kd_context *context;
    kd_optimizer *optimizer;
    kd_exchange *exchange;
    void *address;
} large;

static void make_large(large *l, echo *e)
{
    const kd_transport transport = transport_of(e);
    kd_exchange_options o = KD_EXCHANGE_OPTIONS_INIT;
    o.bucket_bytes = 1; /* 64 KiB a rank */
    ck_assert(kd_context_create(&l->context, NULL) == KD_OK);
    l->address = mmap(NULL, (size_t)NUMBERS * 4, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(l->address != MAP_FAILED);
    const kd_array values = KD_ARRAY_2D(l->address, KD_FLOAT32, NUMBERS / 1000, 1000);
    ck_assert(kd_optimizer_create(&l->optimizer, l->context, KD_OPTIMIZER_SGD, NULL) == KD_OK);
    ck_assert(kd_optimizer_borrow_array(l->optimizer, "w", &values, &values) == KD_OK);
    ck_assert(kd_exchange_create(&l->exchange, l->context, &transport, &o) == KD_OK);
    ck_assert(kd__optimizer_begin_shared(l->optimizer) == KD_OK);
    ck_assert(kd__exchange_plan(l->exchange, l->optimizer) == KD_OK);
    l->exchange->optimizer = l->optimizer;
    kd__exchange_place(l->exchange, 1);
}

static void free_large(large *l)
{
    l->exchange->optimizer = NULL;
    kd_exchange_free(l->exchange);
    kd_optimizer_free(l->optimizer);
    kd_context_free(l->context);
    munmap(l->address, (size_t)NUMBERS * 4);
}

START_TEST(a_thousand_ranks_share_three_thousand_million_numbers)
{
    static const int32_t sizes[] = { 100, 1000 };
    int64_t taken[2];
    for (int i = 0; i < 2; i++) {
        echo e = { .rank = sizes[i] - 1, .ranks = sizes[i] };
        large l;
        int64_t sum = 0, place = 0, mine = 0, wrong = 0;
        make_large(&l, &e);
        const kd_exchange *x = l.exchange;
        for (int64_t b = 0; b < x->bucket_count; b++) {
            const int64_t *cuts = kd__exchange_cuts(x, b), *at = kd__exchange_offsets(x, b);
            wrong += cuts[0] != place || at[0] != 0;
            for (int32_t r = 0; r < x->ranks; r++) {
                wrong += cuts[r + 1] < cuts[r] || at[r + 1] < at[r];
                wrong += at[r + 1] - at[r] > x->part_room;
            }
            place = cuts[x->ranks];
            sum += at[x->ranks];
            mine += at[x->rank + 1] - at[x->rank];
        }
        ck_assert_int_eq(wrong, 0);
        ck_assert(place == l.optimizer->piece_count && sum == NUMBERS);
        /* no rank has much more than its part: a piece a bucket at most */
        ck_assert(mine > 0 && mine <= NUMBERS / x->ranks + 32768 * x->bucket_count);
        taken[i] = x->buffer_bytes;
        free_large(&l);
    }
    ck_assert(taken[1] < 12 * taken[0]); /* linear in the number of ranks */
    ck_assert(taken[1] < 2000000000);
}
END_TEST

/* ---- steps ---- */

static const char config[] =
    "{\"model_type\":\"llama\",\"vocab_size\":50,\"hidden_size\":64,\"intermediate_size\":128,"
    "\"num_hidden_layers\":12,\"num_attention_heads\":4,\"max_position_embeddings\":16}";

static void step(kd_exchange *x, kd_model *model, kd_loss *loss, kd_batch *batch, int tells)
{
    int64_t tokens[8] = { 1, 5, 3, 40, 2, 9, 33, 7 }, offsets[2] = { 0, 8 };
    const kd_array t = KD_ARRAY_1D(tokens, KD_INT64, 8), o = KD_ARRAY_1D(offsets, KD_INT64, 2);
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result result = { .struct_size = sizeof result };
    ck_assert(kd_batch_begin_packed(batch, &o) == KD_OK);
    ck_assert(kd_batch_set(batch, "tokens", &t, NULL) == KD_OK);
    ck_assert(kd_loss_count(loss, batch, NULL, &counts) == KD_OK);
    if (tells) ck_assert(kd_exchange_set_learning_rate(x, 0.01) == KD_OK);
    ck_assert(kd_exchange_sum_counts(x, batch, &counts, NULL) == KD_OK);
    ck_assert(kd_exchange_begin(x) == KD_OK);
    ck_assert(kd_model_forward(model, batch, KD_MODE_TRAIN) == KD_OK);
    ck_assert(kd_loss_backward(loss, model, batch, NULL, &counts, &result) == KD_OK);
    ck_assert_msg(kd_exchange_step(x, 0.01) == KD_OK, "%s", kd_last_error());
}

/* The share of the bytes that left during the pass. */
static double train(int32_t ranks, int32_t shard, double clip, int tells)
{
    echo e = { .rank = ranks / 2, .ranks = ranks };
    const kd_transport transport = transport_of(&e);
    kd_context *context;
    kd_model *model;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_exchange *exchange;
    kd_batch *batch;
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    kd_exchange_options eo = KD_EXCHANGE_OPTIONS_INIT;
    kd_exchange_info info = { .struct_size = sizeof info };
    term.label_field = "tokens";
    term.align = KD_ALIGN_NEXT;
    o.clip_norm = clip;
    eo.bucket_bytes = 1;
    eo.shard = shard;
    ck_assert(kd_context_create(&context, NULL) == KD_OK);
    ck_assert(kd_model_create(&model, context, config, NULL) == KD_OK);
    ck_assert(kd_loss_create(&loss, context, NULL) == KD_OK);
    ck_assert(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &term, NULL) == KD_OK);
    ck_assert(kd_optimizer_create(&optimizer, context, KD_OPTIMIZER_ADAMW, &o) == KD_OK);
    ck_assert(kd_optimizer_add_model(optimizer, model) == KD_OK);
    ck_assert(kd_batch_create(&batch, context, NULL) == KD_OK);
    ck_assert(kd_exchange_create(&exchange, context, &transport, &eo) == KD_OK);
    ck_assert_msg(kd_exchange_add_optimizer(exchange, optimizer) == KD_OK, "%s", kd_last_error());
    for (int i = 0; i < 2; i++) step(exchange, model, loss, batch, tells);
    ck_assert(kd_exchange_get_info(exchange, &info) == KD_OK);
    ck_assert(e.pieces == 2 * info.buckets && e.shares == 2 * info.buckets);
    kd_batch_free(batch);
    kd_exchange_free(exchange);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_model_free(model);
    kd_context_free(context);
    return (double)info.early_bytes / (double)info.sent_bytes;
}

START_TEST(a_step_of_a_thousand_ranks) { train(1000, 1, 0, 1); }
END_TEST

/* With a transport that is done at once: what stays for the end is the embedding, the head, and
 * words. */
START_TEST(parameters_leave_early_where_they_may)
{
    const double begun = train(4, 1, 0, 0), told = train(4, 1, 0, 1), clipped = train(4, 1, 1, 1),
                 whole = train(4, 0, 1, 0);
    ck_assert_msg(begun > 0.3 && begun < 0.5, "%g", begun);
    ck_assert_msg(told > 1.9 * begun, "%g of %g", told, begun);
    ck_assert(clipped == begun);
    ck_assert(whole == told); /* sums go back where every rank has all of the state */
}
END_TEST

Suite *many_ranks_suite(void)
{
    Suite *suite = suite_create("many_ranks");
    TCase *tests = tcase_create("all");
    tcase_set_tags(tests, "slow");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_thousand_ranks_share_three_thousand_million_numbers);
    tcase_add_test(tests, a_step_of_a_thousand_ranks);
    tcase_add_test(tests, parameters_leave_early_where_they_may);
    suite_add_tcase(suite, tests);
    return suite;
}
