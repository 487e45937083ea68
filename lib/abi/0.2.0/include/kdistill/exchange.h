/* kdistill/exchange.h - several processes (ranks) train one model.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_transport_from_mpi(&transport, MPI_COMM_WORLD);      kdistill/mpi.h; or your own
 *   2.  kd_exchange_create(&exchange, context, &transport, NULL);
 *   3.  kd_exchange_add_optimizer(exchange, optimizer);
 *   4.  while (kd_loader_next(loader, batch) == KD_OK) {        options rank, ranks, uneven
 *   5.      kd_loss_count(loss, batch, targets, &counts);
 *   6.      kd_exchange_sum_counts(exchange, batch, &counts, NULL);
 *   7.      kd_exchange_begin(exchange);
 *   8.      kd_model_forward(student, batch, KD_MODE_TRAIN);
 *   9.      kd_loss_backward(loss, student, batch, targets, &counts, &result);
 *  10.      kd_exchange_step(exchange, rate);                   instead of kd_optimizer_step
 *  11.  }
 *
 * - Every rank makes the same calls in the same order. Those that say "all ranks" wait for the
 *   others; whatever one rank finds wrong, all return an error from the same call.
 * - N ranks with batches of B samples take the steps of one rank with batches of N B, to rounding.
 *   docs/scale.md lists what that does not hold for.
 * - A gradient is summed over ranks 0, 1, 2, ... in float64 and rounded once: the same bits for
 *   every transport, size of buckets, and overlap. Another number of ranks differs by rounding.
 * - A rank keeps the optimizer's state of its pieces alone, updates these, and gives them to the
 *   others (ZeRO-1) [Rajbhandari et al. 2020, section 5.1]: parameters are the same bits on all
 *   ranks, whatever their processors are.
 * - A parameter's gradient is of no use to the host from kd_exchange_begin to the end of the step.
 * - One thread a rank calls an exchange, its optimizer and its models. */
#ifndef KDISTILL_EXCHANGE_H
#define KDISTILL_EXCHANGE_H

#include <kdistill/optimizer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_exchange kd_exchange;

/* How bytes get from rank to rank: MPI, or whatever a host has. Every rank calls the same functions
 * in the same order with the same numbers; a transport needs no tags. They return a status; after
 * a negative one (kd_set_error gives the reason) the exchange refuses all further calls.
 * - Requests have numbers 0 to 7. One is not started again before it is complete, and its buffers
 *   stay until then. They may complete in any order.
 * - `offsets` has ranks + 1 entries, in bytes, from 0 on, never less than the one before. They are
 *   the same on all ranks.
 * - Functions are called from the thread that calls the exchange or runs a backward pass. Since
 *   0.2. */
typedef struct kd_transport {
    uint32_t struct_size;
    int32_t rank; /* of this process, 0 .. ranks - 1 */
    int32_t ranks;
    int32_t reserved;
    void *user;
    /* `bytes` (1 to 65536, the same on all ranks) of every rank, in rank order, into
     * all (ranks * bytes). Waits for all ranks. */
    kd_status (*gather)(void *user, const void *mine, void *all, int64_t bytes);
    /* Starts: bytes offsets[r] .. offsets[r + 1] - 1 of `send` go to rank r; what rank r sends to
     * this one comes to received + r * stride. A rank's own bytes need not be moved. */
    kd_status (*start_pieces)(void *user, int32_t request, const void *send, const int64_t *offsets,
                              void *received, int64_t stride);
    /* Starts: bytes offsets[rank] .. offsets[rank + 1] - 1 of `values` go to all; those of the
     * others come into their places. */
    kd_status (*start_share)(void *user, int32_t request, void *values, const int64_t *offsets);
    /* *done = 1 when the request is complete. wait 0: returns soon; it is called after each layer
     * of a backward pass, and a transport that needs calls to move bytes moves them here. wait 1:
     * returns when the request is complete. */
    kd_status (*complete)(void *user, int32_t request, int32_t wait, int32_t *done);
    /* Called once, when the exchange is freed. NULL: nothing is to be freed. */
    void (*destroy)(void *user);
} kd_transport;

typedef struct kd_exchange_options {
    uint32_t struct_size;
    /* 1: a rank keeps the optimizer's state of its pieces alone; 0: of all parameters, and updates
     * them all itself */
    int32_t shard;
    int32_t wire;   /* gradients travel as KD_FLOAT32 or KD_BFLOAT16; parameters as float32 */
    int32_t spread; /* 1: rank 0's parameters go to all at first; 0: they must be equal */
    /* of gradients that travel together; 0: 4 MiB, or 512 KiB a rank if that is more. Raised to 64
     * KiB a rank. */
    int64_t bucket_bytes;
    /* seconds that a call waits for other ranks before it logs a warning; 0: never. The transport's
     * own waits are not counted. */
    double patience;
} kd_exchange_options;
#define KD_EXCHANGE_OPTIONS_INIT                                                                   \
    {                                                                                              \
        (uint32_t)sizeof(kd_exchange_options), 1, KD_FLOAT32, 0, 0, 60.0                           \
    }
KD_API void kd_exchange_options_init(kd_exchange_options *options, size_t size);

/* Copies `transport`; kd_exchange_free calls its `destroy`, and so does nobody if this call fails.
 * NULL: this process alone, one rank of one. */
KD_API kd_status kd_exchange_create(kd_exchange **out, kd_context *context,
                                    const kd_transport *transport,
                                    const kd_exchange_options *options);
/* Waits for nobody. An optimizer of which this rank has a part of the state takes no steps
 * afterward. */
KD_API void kd_exchange_free(kd_exchange *exchange);

/* All ranks: the optimizer whose steps this exchange takes, with all its sources and groups, which
 * cannot change any more; kept alive. An exchange has one optimizer, an optimizer one exchange.
 * Before anything is changed the ranks compare the library's version, the exchange's options, the
 * optimizer's kind, options and state, the names, sizes and groups of parameters, seeds of models,
 * and, unless `spread` is 1, the values.
 * - KD_ERR_MISMATCH: they differ; the message names what, and the first rank that has it otherwise
 *   than rank 0.
 * - KD_ERR_UNSUPPORTED: batch normalization, shared_gradients, or moments in bfloat16.
 *   docs/scale.md says why. */
KD_API kd_status kd_exchange_add_optimizer(kd_exchange *exchange, kd_optimizer *optimizer);

/* All ranks, once before each step. Replaces a rank's counts, of all its batches of the step, by
 * the sums over ranks: denominators for kd_loss_backward.
 * - batch: this rank's. Its rows take the random numbers (dropout) that they would have in one
 *   batch of all ranks' samples. NULL: several batches make the step, or there is none; a rank's
 *   random numbers are then its own.
 * - samples: of all ranks' batches; where batch is NULL, a rank with rows in its counts counts as
 *   one. 0: no rank has any, and no step is open: all ranks may end their loop here, also where
 *   their data are of different lengths. NULL: not wanted. */
KD_API kd_status kd_exchange_sum_counts(kd_exchange *exchange, kd_batch *batch,
                                        kd_loss_counts *counts, int64_t *samples);

/* The next backward pass of each model is the last of this step: gradients leave while it runs,
 * layer by layer where the kind of model tells (language models). Optional; without it they leave
 * in kd_exchange_step, in the same bits. KD_ERR_STATE: no kd_exchange_sum_counts. */
KD_API kd_status kd_exchange_begin(kd_exchange *exchange);

/* Before kd_exchange_sum_counts: the learning rate that the coming kd_exchange_step will be given
 * (another is KD_ERR_INVALID there). Where all ranks have set it, and there is neither clip_norm
 * nor max_norm, parameters go back to the ranks while gradients still travel, within the backward
 * pass after kd_exchange_begin: the same bits, less to wait for. Optional, and for one step. With
 * shard 0 it need not be set. The optimizer's numbers and what is frozen then change before
 * kd_exchange_sum_counts, not within a step. */
KD_API kd_status kd_exchange_set_learning_rate(kd_exchange *exchange, double learning_rate);

/* All ranks: sums the gradients, clips by the norm over all parameters, updates, and returns when
 * this rank has all parameters. The optimizer's info tells steps, norm, and whether it was skipped:
 * where one rank has a gradient that is not finite, all skip.
 * After an error nothing is updated, on any rank, and the gradients count as zero. */
KD_API kd_status kd_exchange_step(kd_exchange *exchange, double learning_rate);

/* All ranks, instead of this one's next call: this rank cannot go on, because a call returned
 * `status` (not KD_OK). The other ranks' next call, or the step that they are in, returns
 * KD_ERR_PEER with this rank's number and the message of kd_last_error. Returns KD_OK when they
 * heard it. Afterward all may continue with the next step, or end. */
KD_API kd_status kd_exchange_fail(kd_exchange *exchange, kd_status status);

/* All ranks, between steps: values[i] becomes the sum over ranks, in rank order. At most 128
 * values: a loss of a step, sums for a metric. */
KD_API kd_status kd_exchange_sum(kd_exchange *exchange, double *values, int64_t count);

/* All ranks, between steps. KD_ERR_MISMATCH names the first parameter, or these bytes by their
 * name, and the first rank whose bits are not rank 0's. For what the ranks must have in common: a
 * tokenizer's hash, keys of a dataset. */
KD_API kd_status kd_exchange_compare(kd_exchange *exchange);
KD_API kd_status kd_exchange_compare_bytes(kd_exchange *exchange, const char *name,
                                           const void *data, size_t bytes);

/* All ranks, between steps: kd_optimizer_swap_average for an optimizer whose ranks keep pieces of
 * the average. */
KD_API kd_status kd_exchange_swap_average(kd_exchange *exchange);

typedef struct kd_exchange_info {
    uint32_t struct_size;
    int32_t rank;
    int32_t ranks;
    int32_t slowest;       /* rank that the others waited for most in the last step; -1: none yet */
    int64_t buckets;       /* of one step */
    int64_t state_bytes;   /* of the optimizer's state on this rank */
    int64_t buffer_bytes;  /* of what travels; 0 where there is one rank */
    int64_t sent_bytes;    /* by this rank, since the exchange was made */
    int64_t early_bytes;   /* of these: left during a backward pass */
    double seconds;        /* in kd_exchange_step and, during backward passes, in the exchange */
    double waited_seconds; /* of these: waiting for other ranks */
} kd_exchange_info;
KD_API kd_status kd_exchange_get_info(kd_exchange *exchange, kd_exchange_info *info);

#ifdef __cplusplus
}
#endif
#endif
