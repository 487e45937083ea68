/* Words: a gather of 2048 bytes of each rank, with which every call of several ranks begins or
 * ends. They say what a rank does and whether it can, so that nobody waits for one that failed. */
#include <stdio.h>
#include <string.h>

#include "base/os.h"
#include "base/numbers.h"
#include "core/exchange/exchange.h"

#define MAGIC 0x6b644578u /* its bytes tell the order of bytes as well */
#define PROTOCOL 1
#define MOST_GATHERED 65536

_Static_assert(sizeof(kd__word) == 2048, "the same in every version");

static const char *const names[] = { "nothing",
                                     "kd_exchange_add_optimizer",
                                     "kd_exchange_sum_counts",
                                     "kd_exchange_step",
                                     "kd_exchange_sum",
                                     "kd_exchange_compare",
                                     "kd_exchange_compare_bytes",
                                     "kd_exchange_swap_average",
                                     "kd_exchange_fail",
                                     "kd_checkpoint_save",
                                     "kd_checkpoint_load" };

const char *kd__exchange_name(int32_t kind)
{
    return kind > 0 && kind <= KD__WORD_LOAD ? names[kind] : "an unknown call";
}

kd_status kd__exchange_break(kd_exchange *exchange, kd_status status)
{
    exchange->is_broken = 1;
    if (status < 0) return status;
    return kd__fail(KD_ERR_CALLBACK, "transport: expected KD_OK or a negative status, got %d",
                    status);
}

kd_status kd__exchange_check_whole(const kd_exchange *exchange)
{
    KD_FAIL_IF(exchange->is_broken, KD_ERR_STATE,
               "exchange: the transport failed before: all ranks must begin again");
    return KD_OK;
}

static kd_status gather_some(kd_exchange *exchange, const char *mine, char *all, int64_t bytes)
{
    if (exchange->ranks == 1) {
        memcpy(all, mine, (size_t)bytes);
        return KD_OK;
    }
    const double from = kd__os_now();
    const kd_status status = exchange->transport.gather(exchange->transport.user, mine, all, bytes);
    exchange->waited += kd__os_now() - from;
    exchange->sent_bytes += bytes * (exchange->ranks - 1);
    return status == KD_OK ? KD_OK : kd__exchange_break(exchange, status);
}

/* Parts of at most 64 KiB, each gathered into `all` after the others and moved to its place: rank
 * r's bytes end at all + r * bytes. */
kd_status kd__exchange_gather(kd_exchange *exchange, const void *mine, void *all, int64_t bytes)
{
    char part[MOST_GATHERED];
    const int64_t most = MOST_GATHERED / exchange->ranks;
    KD_TRY(kd__exchange_check_whole(exchange));
    for (int64_t at = 0; at < bytes; at += most) {
        const int64_t here = kd__min(most, bytes - at);
        KD_TRY(gather_some(exchange, (const char *)mine + at, part, here));
        for (int32_t r = 0; r < exchange->ranks; r++)
            memcpy((char *)all + r * bytes + at, part + r * here, (size_t)here);
    }
    return KD_OK;
}

/* ---- what was heard ---- */

static kd_status check_word(const kd_exchange *exchange, const kd__word *word, int32_t rank)
{
    KD_FAIL_IF(word->magic != MAGIC, KD_ERR_PEER,
               "rank %d: it sent no word of an exchange (expected 0x%x first, got 0x%x): is it "
               "another program, or of another byte order?",
               rank, MAGIC, word->magic);
    KD_FAIL_IF(word->protocol != PROTOCOL, KD_ERR_PEER,
               "rank %d: kdistill %d.%d.%d exchanges by protocol %u, this rank's %d.%d.%d by %u: "
               "expected one version on all ranks",
               rank, word->version / 10000, word->version / 100 % 100, word->version % 100,
               word->protocol, KD_VERSION_MAJOR, KD_VERSION_MINOR, KD_VERSION_PATCH, PROTOCOL);
    KD_FAIL_IF(word->rank != rank || word->ranks != exchange->ranks, KD_ERR_PEER,
               "rank %d of %d: it says that it is rank %d of %d: expected the transport's order",
               rank, exchange->ranks, word->rank, word->ranks);
    return KD_OK;
}

static kd_status check_status(const kd__word *word, int32_t rank)
{
    KD_FAIL_IF(word->status != KD_OK, KD_ERR_PEER, "rank %d: %s: %.400s", rank,
               kd_status_name(word->status), word->text);
    return KD_OK;
}

static kd_status check_kind(const kd_exchange *exchange, const kd__word *word, int32_t rank,
                            int32_t kind)
{
    KD_FAIL_IF(word->kind != kind || word->calls != exchange->calls, KD_ERR_PEER,
               "rank %d calls %s (its %lldth), rank %d %s (%lldth): expected the same calls in the "
               "same order on all ranks",
               rank, kd__exchange_name(word->kind), (long long)word->calls, exchange->rank,
               kd__exchange_name(kind), (long long)exchange->calls);
    return KD_OK;
}

/* The first that cannot go on, in rank order. */
static kd_status check_words(const kd_exchange *exchange, int32_t kind)
{
    for (int32_t r = 0; r < exchange->ranks; r++) {
        ((kd__word *)&exchange->words[r])->text[KD__WORD_TEXT - 1] = 0;
        KD_TRY(check_word(exchange, &exchange->words[r], r));
    }
    for (int32_t r = 0; r < exchange->ranks; r++) KD_TRY(check_status(&exchange->words[r], r));
    for (int32_t r = 0; r < exchange->ranks; r++)
        KD_TRY(check_kind(exchange, &exchange->words[r], r, kind));
    return KD_OK;
}

kd_status kd__exchange_agree(kd_exchange *exchange, int32_t kind, kd_status status,
                             const void *payload, size_t bytes)
{
    kd__word *own = &exchange->own;
    KD_TRY(kd__exchange_check_whole(exchange));
    memset(own, 0, sizeof *own);
    own->magic = MAGIC;
    own->protocol = PROTOCOL;
    own->version = KD_VERSION_NUMBER;
    own->kind = kind;
    own->status = status;
    own->rank = exchange->rank;
    own->ranks = exchange->ranks;
    own->calls = ++exchange->calls;
    if (status != KD_OK) snprintf(own->text, sizeof own->text, "%.430s", kd_last_error());
    if (bytes) memcpy(own->payload, payload, bytes);
    KD_TRY(gather_some(exchange, (const char *)own, (char *)exchange->words, sizeof *own));
    if (status != KD_OK) return kd__fail(status, "%.430s", own->text);
    return check_words(exchange, kind);
}

const void *kd__exchange_heard(const kd_exchange *exchange, int32_t rank)
{
    return exchange->words[rank].payload;
}

/* ---- order of calls ---- */

kd_status kd__exchange_check_between(const kd_exchange *exchange, const char *call)
{
    KD_FAIL_IF(exchange->is_counted, KD_ERR_STATE,
               "%s: a step is open since kd_exchange_sum_counts: expected kd_exchange_step, or "
               "kd_exchange_fail",
               call);
    return kd__exchange_check_whole(exchange);
}

kd_status kd__exchange_check_optimizer(const kd_exchange *exchange)
{
    KD_FAIL_IF(!exchange->optimizer, KD_ERR_STATE,
               "the exchange has no optimizer: call kd_exchange_add_optimizer first");
    return KD_OK;
}
