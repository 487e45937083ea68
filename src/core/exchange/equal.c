/* Do the ranks train the same thing? What differs is named, with the first rank that has it
 * otherwise than rank 0. Every rank compares what all have sent, so that all come to the same
 * answer. */
#include <string.h>

#include "base/hash.h"
#include "core/exchange/exchange.h"

/* ---- options ---- */

static const char *const whole_names[] = {
    "the option shard",         "the option wire",
    "the option spread",        "the option bucket_bytes",
    "the kind of optimizer",    "nesterov",
    "the number of parameters", "the numbers of all parameters",
    "the optimizer's steps",    "averaged weights in place",
    "the seed of a model",      "training passes of a model"
};
static const char *const number_names[] = { "momentum",      "beta1",        "beta2",
                                            "epsilon",       "weight_decay", "clip_norm",
                                            "clip_value",    "max_norm",     "average_decay",
                                            "gradient_scale" };
enum {
    WHOLE = sizeof whole_names / sizeof *whole_names,
    NUMBERS = sizeof number_names / sizeof *number_names
};

kd__setup kd__exchange_setup(const kd_exchange *exchange, const kd_optimizer *optimizer)
{
    const kd_exchange_options *o = &exchange->o;
    const kd_optimizer_options *n = &optimizer->o;
    uint64_t seeds = 0, passes = 0;
    for (int64_t i = 0; i < optimizer->model_count; i++) {
        seeds = seeds * 31 + optimizer->models[i]->seed;
        passes = passes * 31 + (uint64_t)optimizer->models[i]->passes;
    }
    return (
        kd__setup){ { o->shard, o->wire, o->spread, o->bucket_bytes, optimizer->kind, n->nesterov,
                      optimizer->count, optimizer->total, optimizer->steps + optimizer->skipped,
                      optimizer->swapped, (int64_t)seeds, (int64_t)passes },
                    { n->momentum, n->beta1, n->beta2, n->epsilon, n->weight_decay, n->clip_norm,
                      n->clip_value, n->max_norm, n->average_decay, optimizer->gradient_scale } };
}

static kd_status compare_setup(const kd__setup *first, const kd__setup *other, int32_t rank)
{
    for (int i = 0; i < WHOLE; i++)
        KD_FAIL_IF(first->whole[i] != other->whole[i], KD_ERR_MISMATCH,
                   "%s: rank %d has %lld, rank 0 has %lld: expected the same on all ranks",
                   whole_names[i], rank, (long long)other->whole[i], (long long)first->whole[i]);
    for (int i = 0; i < NUMBERS; i++)
        KD_FAIL_IF(memcmp(&first->numbers[i], &other->numbers[i], sizeof(double)), KD_ERR_MISMATCH,
                   "%s: rank %d has %.17g, rank 0 has %.17g: expected the same on all ranks",
                   number_names[i], rank, other->numbers[i], first->numbers[i]);
    return KD_OK;
}

kd_status kd__exchange_compare_setups(const kd_exchange *exchange)
{
    kd__setup first, other;
    memcpy(&first, kd__exchange_heard(exchange, 0), sizeof first);
    for (int32_t r = 0; r < exchange->ranks; r++) {
        const int32_t version = exchange->words[r].version, here = exchange->words[0].version;
        KD_FAIL_IF(version != here, KD_ERR_MISMATCH,
                   "rank %d has kdistill %d.%d.%d, rank 0 has %d.%d.%d: expected one version", r,
                   version / 10000, version / 100 % 100, version % 100, here / 10000,
                   here / 100 % 100, here % 100);
        memcpy(&other, kd__exchange_heard(exchange, r), sizeof other);
        KD_TRY(compare_setup(&first, &other, r));
    }
    return KD_OK;
}

/* ---- parameters ---- */

static uint64_t hash_of(const void *data, size_t bytes)
{
    uint64_t key[2];
    kd__hash128(data, bytes, key);
    return key[0] ^ key[1];
}

static uint64_t layout_of(const kd__parameter *p)
{
    struct {
        char name[KD_NAME_BYTES];
        int64_t count, rows, frozen, lazy, grouped;
        double numbers[3];
    } said;
    memset(&said, 0, sizeof said);
    memcpy(said.name, p->name, strlen(p->name));
    said.count = p->count;
    said.rows = p->rows;
    said.frozen = kd__parameter_is_frozen(p);
    said.grouped = p->grouped;
    if (p->grouped) {
        said.lazy = p->group.lazy;
        said.numbers[0] = p->group.learning_rate;
        said.numbers[1] = p->group.weight_decay;
        said.numbers[2] = p->group.max_norm;
    }
    return hash_of(&said, sizeof said);
}

/* Of the hashes of all ranks, the first that is not rank 0's: item and rank. */
static int find_other(const kd_exchange *exchange, int64_t items, int64_t *item, int32_t *rank)
{
    for (*item = 0; *item < items; ++*item)
        for (*rank = 1; *rank < exchange->ranks; ++*rank)
            if (exchange->all_hashes[*rank * items + *item] != exchange->all_hashes[*item])
                return 1;
    return 0;
}

kd_status kd__exchange_compare_layouts(kd_exchange *exchange, const kd_optimizer *optimizer)
{
    int64_t item;
    int32_t rank;
    for (int64_t i = 0; i < optimizer->count; i++)
        exchange->hashes[i] = layout_of(&optimizer->parameters[i]);
    KD_TRY(kd__exchange_gather(exchange, exchange->hashes, exchange->all_hashes,
                               optimizer->count * (int64_t)sizeof *exchange->hashes));
    KD_FAIL_IF(find_other(exchange, optimizer->count, &item, &rank), KD_ERR_MISMATCH,
               "parameter %lld ('%.60s' on rank %d): rank %d has another name, shape, group or "
               "frozen state than rank 0: expected the same on all ranks",
               (long long)item, optimizer->parameters[item].name, exchange->rank, rank);
    return KD_OK;
}

/* Parameters, then what else the models have: statistics, and what adapters hang on. */
kd_status kd__exchange_compare_values(kd_exchange *exchange, const kd_optimizer *optimizer)
{
    const int64_t count = optimizer->count, items = count + optimizer->model_count;
    int64_t item;
    int32_t rank;
    for (int64_t i = 0; i < items; i++) {
        const kd_model *model = i < count ? NULL : optimizer->models[i - count];
        const kd__parameter *p = &optimizer->parameters[model ? 0 : i];
        exchange->hashes[i] = model ? hash_of(model->parameters,
                                              (size_t)kd__network_held(&model->net) * sizeof(float))
                                    : hash_of(p->values, (size_t)p->count * sizeof(float));
    }
    KD_TRY(kd__exchange_gather(exchange, exchange->hashes, exchange->all_hashes,
                               items * (int64_t)sizeof *exchange->hashes));
    if (!find_other(exchange, items, &item, &rank)) return KD_OK;
    KD_FAIL_IF(item >= count, KD_ERR_MISMATCH,
               "a tensor of model %lld that is not trained: rank %d has other values than rank 0",
               (long long)(item - count), rank);
    return kd__fail(KD_ERR_MISMATCH, "parameter '%.60s': rank %d has other values than rank 0",
                    optimizer->parameters[item].name, rank);
}

/* ---- public ---- */

kd_status kd_exchange_compare(kd_exchange *exchange)
{
    KD_NEED(exchange);
    KD_TRY(kd__exchange_check_optimizer(exchange));
    KD_TRY(kd__exchange_check_between(exchange, "kd_exchange_compare"));
    KD_TRY(kd__exchange_agree(exchange, KD__WORD_COMPARE, KD_OK, NULL, 0));
    return kd__exchange_compare_values(exchange, exchange->optimizer);
}

typedef struct {
    char name[KD_NAME_BYTES];
    uint64_t bytes, hash[2];
} compared_bytes;

kd_status kd_exchange_compare_bytes(kd_exchange *exchange, const char *name, const void *data,
                                    size_t bytes)
{
    compared_bytes own = { .bytes = bytes }, first, other;
    KD_NEED(exchange);
    KD_TRY(kd__exchange_check_between(exchange, "kd_exchange_compare_bytes"));
    kd_status status = kd__name_copy(own.name, name, "bytes to compare");
    if (status == KD_OK && bytes && !data)
        status = kd__fail(KD_ERR_INVALID, "%s: expected %zu bytes, got NULL", own.name, bytes);
    if (status == KD_OK) kd__hash128(data, bytes, own.hash);
    KD_TRY(kd__exchange_agree(exchange, KD__WORD_BYTES, status, &own, sizeof own));
    memcpy(&first, kd__exchange_heard(exchange, 0), sizeof first);
    for (int32_t r = 1; r < exchange->ranks; r++) {
        memcpy(&other, kd__exchange_heard(exchange, r), sizeof other);
        KD_FAIL_IF(strncmp(first.name, other.name, sizeof first.name), KD_ERR_MISMATCH,
                   "rank %d compares '%.60s', rank 0 '%.60s': expected the same order of calls", r,
                   other.name, first.name);
        KD_FAIL_IF(first.bytes != other.bytes || memcmp(first.hash, other.hash, sizeof first.hash),
                   KD_ERR_MISMATCH, "%.60s: rank %d has other bytes (%llu) than rank 0 (%llu)",
                   first.name, r, (unsigned long long)other.bytes, (unsigned long long)first.bytes);
    }
    return KD_OK;
}
