/* Insides of exchanges. Legend: N ranks; a bucket is a run of the optimizer's pieces, in the order
 * in which a backward pass ends them; of each bucket a rank owns a part, whole pieces again. */
#ifndef KD_EXCHANGE_EXCHANGE_H
#define KD_EXCHANGE_EXCHANGE_H

#include <kdistill/exchange.h>

#include "base/object.h"
#include "core/optimizer/optimizer.h"

/* ---- words: what ranks say to each other before they go on ---- */

/* What a rank is about to do. */
enum {
    KD__WORD_ADD = 1,
    KD__WORD_COUNTS,
    KD__WORD_STEP,
    KD__WORD_SUM,
    KD__WORD_COMPARE,
    KD__WORD_BYTES,
    KD__WORD_SWAP,
    KD__WORD_FAIL,
    KD__WORD_SAVE,
    KD__WORD_LOAD
};

#define KD__WORD_TEXT 440
#define KD__WORD_PAYLOAD 1544
/* 2048 bytes in every version, so that ranks of different versions can tell each other so. */
typedef struct kd__word {
    uint32_t magic, protocol;
    int32_t version; /* of the library */
    int32_t kind, status, rank, ranks, reserved;
    int64_t calls; /* words before this one */
    uint64_t unused[3];
    char text[KD__WORD_TEXT]; /* of a status that is not KD_OK */
    char payload[KD__WORD_PAYLOAD];
} kd__word;

enum { KD__EXCHANGE_MODELS = 16 }; /* of an optimizer, at most */

/* ---- buckets ---- */

enum { KD__TILE = 1024 }; /* numbers that are widened at a time */
enum { KD__SLOTS = 3 };   /* buckets of gradients under way: requests 0 to 2 */
enum { KD__SHARES = 2 };  /* shares under way: requests 4 and 5 */
enum { KD__FIRST_SHARE = 4, KD__REQUESTS = 8 };
/* Shares that travel with gradients: that of a bucket starts before the gradients of the third
 * after it do, and before those that a backward pass does not tell of, on all ranks. */
enum { KD__LAG = 3 };

/* What owners give to all. */
enum {
    KD__BACK_NOTHING,
    KD__BACK_VALUES,   /* parameters, into their places */
    KD__BACK_SUMS,     /* gradients, into theirs */
    KD__BACK_FORESEEN, /* what the step will make of parameters: into the gradients' places */
};

typedef struct kd__bucket {
    int64_t first, end; /* of the exchange's order of pieces */
    int64_t group;      /* it can leave when groups 0 .. group have ended */
} kd__bucket;

/* Tensors of a model whose gradients end together. */
typedef struct kd__ending {
    const kd_model *model;
    int64_t first, end;
    int32_t has_ended;
} kd__ending;

typedef struct kd__parcel {
    char *send, *received;
} kd__parcel;

/* What parameters are foreseen with. */
typedef struct kd__course {
    double gradient_scale, clip_norm, clip_value, momentum, weight_decay;
    uint64_t frozen;
} kd__course;

struct kd_exchange {
    kd__object object;
    kd_exchange_options o;
    kd_transport transport;
    int32_t rank, ranks;
    int32_t is_broken; /* the transport failed: no rank knows where the others are */
    kd_optimizer *optimizer;

    kd__word own, *words; /* (N): of the last gather */
    int64_t calls;

    kd__ending *endings;
    int64_t ending_count, ending_room;
    kd__bucket *buckets;
    int64_t bucket_count, bucket_room;
    int64_t ending_within; /* the first of them end within a backward pass */
    int64_t *order;        /* pieces, as they end */
    int64_t *cuts;         /* (buckets, N + 1): places in `order` where parts begin */
    int64_t *at; /* of each place in `order`: numbers before it in its bucket; -1: none travel */
    /* (buckets, N + 1): numbers of a bucket before each part; frozen ones do not travel */
    int64_t *offsets;
    int64_t most_owned;    /* pieces of the rank with most */
    const float **rows;    /* (threads, N): what is summed */
    float *widened;        /* (threads, N, KD__TILE): of 16-bit numbers; NULL: there are none */
    uint8_t *owned;        /* of each piece, by its number */
    int64_t *byte_offsets; /* (requests, N + 1) */
    kd__parcel slots[KD__SLOTS];
    char *shares[KD__SHARES]; /* of a bucket's size each */
    float *scratch;           /* (threads, 2, numbers of the largest piece) */
    int64_t largest;
    int64_t part_room; /* numbers of the largest part */
    int64_t state_bytes, buffer_bytes;
    double *partials, *all_partials; /* (own pieces of the rank with most), and of all ranks */
    uint64_t *hashes, *all_hashes;   /* (parameters + models), and of all ranks */

    /* the step */
    int32_t is_counted, is_begun, has_changed; /* a pass failed after gradients had left */
    int64_t started, summed;                   /* buckets */
    int64_t shared, placed;                    /* buckets whose shares started, ended */
    int32_t back, from;                        /* KD__BACK_..; of that rank, -1: of the owners */
    int32_t has_rate;                          /* the host has set it before the step */
    double rate;
    kd__course course; /* since the counts */
    int64_t steps;
    int32_t slowest;
    int64_t sent_bytes, early_bytes;
    double seconds, waited, told;
};

/* ---- agree.c ---- */

/* Tells all ranks `status` of what this one is about to do, with its message, and up to
 * KD__WORD_PAYLOAD bytes; hears theirs (exchange->words). Returns this rank's status where it is
 * not KD_OK; KD_ERR_PEER where another cannot go on or does something else. */
kd_status kd__exchange_agree(kd_exchange *exchange, int32_t kind, kd_status status,
                             const void *payload, size_t bytes);
/* The payload of a rank's last word. */
const void *kd__exchange_heard(const kd_exchange *exchange, int32_t rank);
/* A gather of any number of bytes. */
kd_status kd__exchange_gather(kd_exchange *exchange, const void *mine, void *all, int64_t bytes);
/* The transport failed: KD_ERR_CALLBACK or what it returned. */
kd_status kd__exchange_break(kd_exchange *exchange, kd_status status);
/* KD_ERR_STATE when it did before. */
kd_status kd__exchange_check_whole(const kd_exchange *exchange);
/* KD_ERR_STATE where a call between steps comes within one. */
kd_status kd__exchange_check_between(const kd_exchange *exchange, const char *call);
kd_status kd__exchange_check_optimizer(const kd_exchange *exchange);

/* ---- equal.c ---- */

/* What ranks must have in common of an optimizer. */
typedef struct kd__setup {
    int64_t whole[12];
    double numbers[10];
} kd__setup;
kd__setup kd__exchange_setup(const kd_exchange *exchange, const kd_optimizer *optimizer);
/* Of the setups that were heard: KD_ERR_MISMATCH names what differs. */
kd_status kd__exchange_compare_setups(const kd_exchange *exchange);
/* Names, sizes and groups of parameters; their values. */
kd_status kd__exchange_compare_layouts(kd_exchange *exchange, const kd_optimizer *optimizer);
kd_status kd__exchange_compare_values(kd_exchange *exchange, const kd_optimizer *optimizer);
const char *kd__exchange_name(int32_t kind);

/* ---- ownership.c ---- */

/* Who owns what, in which buckets; marks the optimizer's pieces. */
kd_status kd__exchange_plan(kd_exchange *exchange, kd_optimizer *optimizer);
void kd__exchange_free_plan(kd_exchange *exchange);
/* Numbers that travel: of parameters that are not frozen now, or (all 1) of all. */
void kd__exchange_place(kd_exchange *exchange, int all);
static inline const int64_t *kd__exchange_cuts(const kd_exchange *exchange, int64_t bucket)
{
    return exchange->cuts + bucket * (exchange->ranks + 1);
}
static inline const int64_t *kd__exchange_offsets(const kd_exchange *exchange, int64_t bucket)
{
    return exchange->offsets + bucket * (exchange->ranks + 1);
}

/* ---- travel.c ---- */

/* No bucket has left yet. */
void kd__exchange_rewind(kd_exchange *exchange);
/* Sends what has ended, sums what is there, and, where exchange->back says so, gives sums back;
 * `all` 1: until every bucket is through. */
kd_status kd__exchange_move(kd_exchange *exchange, int all);
/* The own parts go to all ranks (KD__BACK_..); from not -1: that rank's, of all parts. */
kd_status kd__exchange_share(kd_exchange *exchange, int32_t back, int32_t from);
/* What was foreseen takes its place: others' parameters. */
void kd__exchange_adopt(kd_exchange *exchange);

#endif
