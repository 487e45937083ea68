/* Exchange handles: making, the optimizer, sums, facts. A step is in step_together.c. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "core/exchange/exchange.h"

enum { MOST_RANKS = 4096, MOST_SUMS = 128 };

static const kd_exchange_options defaults = KD_EXCHANGE_OPTIONS_INIT;
void kd_exchange_options_init(kd_exchange_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

/* ---- making ---- */

static kd_status check_options(const kd_exchange_options *o)
{
    KD_FAIL_IF(o->wire != KD_FLOAT32 && o->wire != KD_BFLOAT16, KD_ERR_DTYPE,
               "exchange: wire: expected KD_FLOAT32 or KD_BFLOAT16, got %d", o->wire);
    KD_FAIL_IF(o->bucket_bytes < 0 || o->bucket_bytes > (int64_t)1 << 40, KD_ERR_RANGE,
               "exchange: bucket_bytes: expected 0 to 2^40, got %lld", (long long)o->bucket_bytes);
    KD_FAIL_IF(!(o->patience >= 0) || !isfinite(o->patience), KD_ERR_RANGE,
               "exchange: patience: expected seconds from 0, got %g", o->patience);
    return KD_OK;
}

static kd_status check_transport(const kd_transport *t)
{
    KD_FAIL_IF(t->ranks < 1 || t->ranks > MOST_RANKS, KD_ERR_RANGE,
               "transport: expected 1 to %d ranks, got %d", MOST_RANKS, t->ranks);
    KD_FAIL_IF(t->rank < 0 || t->rank >= t->ranks, KD_ERR_RANGE,
               "transport: rank: expected 0 to %d, got %d", t->ranks - 1, t->rank);
    KD_FAIL_IF(t->ranks > 1 && (!t->gather || !t->start_pieces || !t->start_share || !t->complete),
               KD_ERR_INVALID,
               "transport: expected gather, start_pieces, start_share and complete, got NULL");
    return KD_OK;
}

kd_status kd_exchange_create(kd_exchange **out, kd_context *context, const kd_transport *transport,
                             const kd_exchange_options *options)
{
    kd_exchange_options o = defaults;
    kd_transport t = { .struct_size = sizeof t, .ranks = 1 };
    kd_exchange *made = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_exchange_options"));
    KD_TRY(kd__options_read(&t, sizeof t, transport, "kd_transport"));
    KD_TRY(check_options(&o));
    KD_TRY(check_transport(&t));
    o.shard = o.shard != 0;
    o.spread = o.spread != 0;
    KD_TRY(kd__object_create((void **)&made, context, sizeof *made));
    made->o = o;
    made->rank = t.rank;
    made->ranks = t.ranks;
    made->slowest = -1;
    const kd_status status = KD_NEW(context, &made->words, t.ranks);
    if (status != KD_OK) {
        kd__object_drop(made);
        kd__object_destroy(made);
        return status;
    }
    made->transport = t;
    *out = made;
    return KD_OK;
}

static void let_go_of_models(kd_exchange *exchange)
{
    kd_optimizer *optimizer = exchange->optimizer;
    for (int64_t i = 0; optimizer && i < optimizer->model_count; i++) {
        kd_model *model = optimizer->models[i];
        if (model->on_gradients_user == exchange) model->on_gradients = NULL;
        model->gradients_wait = 0;
        model->rows_before = model->samples_before = 0;
        model->empty_counts = 0;
    }
}

void kd_exchange_free(kd_exchange *exchange)
{
    if (!kd__object_drop(exchange)) return;
    let_go_of_models(exchange);
    if (exchange->optimizer) kd__optimizer_end_shared(exchange->optimizer);
    kd_optimizer_free(exchange->optimizer);
    if (exchange->transport.destroy) exchange->transport.destroy(exchange->transport.user);
    kd__exchange_free_plan(exchange);
    kd__release(exchange->object.context, exchange->words);
    kd__object_destroy(exchange);
}

/* ---- the optimizer ---- */

static kd_status check_model(const kd_model *model)
{
    KD_FAIL_IF(model->gradients_shared, KD_ERR_UNSUPPORTED,
               "exchange: a model with shared_gradients has no gradients to send when they are "
               "asked for: create it without");
    KD_FAIL_IF(model->on_gradients, KD_ERR_STATE,
               "exchange: a step is open: call kd_optimizer_step first");
    for (int64_t i = 0; i < model->net.tensor_count; i++)
        KD_FAIL_IF(model->net.tensors[i].is_statistic, KD_ERR_UNSUPPORTED,
                   "exchange: '%.60s' is a running statistic of batch normalization, which a rank "
                   "would take from its own rows alone: use a network without, or train it on one "
                   "rank",
                   model->net.tensors[i].name);
    return KD_OK;
}

static kd_status check_new_optimizer(const kd_exchange *exchange, const kd_optimizer *optimizer)
{
    KD_FAIL_IF(!optimizer, KD_ERR_INVALID, "kd_exchange_add_optimizer: optimizer is NULL");
    KD_FAIL_IF(exchange->optimizer, KD_ERR_STATE, "exchange: expected one optimizer, got a second");
    KD_FAIL_IF(optimizer->model_count > KD__EXCHANGE_MODELS, KD_ERR_UNSUPPORTED,
               "exchange: expected an optimizer of at most %d models, got %lld",
               KD__EXCHANGE_MODELS, (long long)optimizer->model_count);
    KD_FAIL_IF(optimizer->is_shared, KD_ERR_STATE,
               "exchange: the optimizer is another exchange's, or was");
    KD_FAIL_IF(optimizer->begun, KD_ERR_STATE,
               "exchange: a step is open: call kd_optimizer_step first");
    for (int64_t i = 0; i < optimizer->model_count; i++) KD_TRY(check_model(optimizer->models[i]));
    return KD_OK;
}

static int64_t blocks_of(const kd_optimizer *optimizer)
{
    return (optimizer->first != NULL) + (optimizer->second != NULL) + (optimizer->average != NULL);
}

/* Pieces and buffers of this rank; others may have failed. */
static kd_status begin_sharing(kd_exchange *exchange, kd_optimizer *optimizer, int *began)
{
    KD_TRY(check_new_optimizer(exchange, optimizer));
    KD_TRY(kd__optimizer_begin_shared(optimizer));
    *began = 1;
    return kd__exchange_plan(exchange, optimizer);
}

/* The words of all ranks on one optimizer, in the same order on each. */
static kd_status agree_on(kd_exchange *exchange, kd_optimizer *optimizer, kd_status status)
{
    kd__setup setup = { { 0 }, { 0 } };
    if (status == KD_OK) setup = kd__exchange_setup(exchange, optimizer);
    KD_TRY(kd__exchange_agree(exchange, KD__WORD_ADD, status, &setup, sizeof setup));
    KD_TRY(kd__exchange_compare_setups(exchange));
    KD_TRY(kd__exchange_compare_layouts(exchange, optimizer));
    exchange->optimizer = optimizer;
    if (exchange->o.spread) {
        kd__exchange_place(exchange, 1);
        KD_TRY(kd__exchange_share(exchange, KD__BACK_VALUES, 0));
    }
    KD_TRY(kd__exchange_compare_values(exchange, optimizer));
    return kd__exchange_agree(exchange, KD__WORD_ADD, kd__optimizer_keep_own(optimizer), NULL, 0);
}

kd_status kd_exchange_add_optimizer(kd_exchange *exchange, kd_optimizer *optimizer)
{
    KD_NEED(exchange);
    KD_TRY(kd__exchange_check_between(exchange, "kd_exchange_add_optimizer"));
    const int is_second = exchange->optimizer != NULL;
    int began = 0;
    kd_status status = begin_sharing(exchange, optimizer, &began);
    status = agree_on(exchange, optimizer, status);
    if (status == KD_OK) {
        kd__object_hold(optimizer);
        /* sums of other ranks come to places that this rank's passes do not reach */
        for (int64_t i = 0; i < optimizer->model_count; i++)
            optimizer->models[i]->gradients_foreign = KD__FOREIGN_VIEWED;
        exchange->state_bytes = optimizer->state_count * 4 * blocks_of(optimizer);
        return KD_OK;
    }
    if (is_second) return status;
    exchange->optimizer = NULL;
    kd__exchange_free_plan(exchange);
    if (began) kd__optimizer_end_shared(optimizer);
    return status;
}

/* ---- sums ---- */

kd_status kd_exchange_sum(kd_exchange *exchange, double *values, int64_t count)
{
    double own[MOST_SUMS] = { 0 }, other[MOST_SUMS];
    kd_status status = KD_OK;
    KD_NEED(exchange);
    KD_TRY(kd__exchange_check_between(exchange, "kd_exchange_sum"));
    if (count < 0 || count > MOST_SUMS || (count && !values))
        status = kd__fail(KD_ERR_RANGE, "kd_exchange_sum: expected 0 to %d values, got %lld%s",
                          MOST_SUMS, (long long)count, values ? "" : " at NULL");
    else if (count) memcpy(own, values, (size_t)count * sizeof *own);
    KD_TRY(kd__exchange_agree(exchange, KD__WORD_SUM, status, own, sizeof own));
    for (int64_t i = 0; i < count; i++) values[i] = 0;
    for (int32_t r = 0; r < exchange->ranks; r++) {
        memcpy(other, kd__exchange_heard(exchange, r), sizeof other);
        for (int64_t i = 0; i < count; i++) values[i] += other[i];
    }
    return KD_OK;
}

kd_status kd_exchange_get_info(kd_exchange *exchange, kd_exchange_info *info)
{
    KD_NEED(exchange);
    kd_exchange_info now = { .rank = exchange->rank,
                             .ranks = exchange->ranks,
                             .slowest = exchange->slowest,
                             .buckets = exchange->bucket_count,
                             .state_bytes = exchange->state_bytes,
                             .buffer_bytes = exchange->buffer_bytes,
                             .sent_bytes = exchange->sent_bytes,
                             .early_bytes = exchange->early_bytes,
                             .seconds = exchange->seconds,
                             .waited_seconds = exchange->waited };
    return kd__info_write(info, &now, sizeof now, "kd_exchange_info");
}
