/* kdistill/checkpoint.h - a whole run in one file.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_checkpoint_create(&checkpoint, context, NULL);
 *   2.  kd_checkpoint_add_model(checkpoint, "student", student);
 *   3.  kd_checkpoint_add_optimizer(checkpoint, "optimizer", optimizer);
 *   4.  kd_checkpoint_add_loader(checkpoint, "loader", loader);
 *   5.  kd_checkpoint_borrow_bytes(checkpoint, "step", &step, sizeof(step));
 *   6.  kd_checkpoint_load(checkpoint, path);    KD_ERR_NOT_FOUND: a new run
 *   7.  kd_checkpoint_save(checkpoint, path);    as often as you like
 *
 * A checkpoint is a list of parts; the same list saves and loads. A run that is stopped and resumed
 * gives the same bits as one that was never stopped. */
#ifndef KDISTILL_CHECKPOINT_H
#define KDISTILL_CHECKPOINT_H

#include <kdistill/balance.h>
#include <kdistill/exchange.h>
#include <kdistill/loss.h>
#include <kdistill/monitor.h>
#include <kdistill/optimizer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_checkpoint kd_checkpoint;

typedef struct kd_checkpoint_options {
    uint32_t struct_size;
    /* 1: fsync the file and its folder, so that a saved checkpoint survives a power failure */
    int32_t sync;
} kd_checkpoint_options;
#define KD_CHECKPOINT_OPTIONS_INIT                                                                 \
    {                                                                                              \
        (uint32_t)sizeof(kd_checkpoint_options), 1                                                 \
    }
KD_API void kd_checkpoint_options_init(kd_checkpoint_options *options, size_t size);

KD_API kd_status kd_checkpoint_create(kd_checkpoint **out, kd_context *context,
                                      const kd_checkpoint_options *options);
KD_API void kd_checkpoint_free(kd_checkpoint *checkpoint);

/* Registers a part under a name that no other part has, and keeps the handle alive. Bytes belong to
 * the host (a step counter and the like) and are borrowed until the checkpoint is freed. */
KD_API kd_status kd_checkpoint_add_model(kd_checkpoint *checkpoint, const char *name,
                                         kd_model *model);
KD_API kd_status kd_checkpoint_add_optimizer(kd_checkpoint *checkpoint, const char *name,
                                             kd_optimizer *optimizer);
KD_API kd_status kd_checkpoint_add_loader(kd_checkpoint *checkpoint, const char *name,
                                          kd_loader *loader);
KD_API kd_status kd_checkpoint_add_schedule(kd_checkpoint *checkpoint, const char *name,
                                            kd_schedule *schedule);
KD_API kd_status kd_checkpoint_add_loss(kd_checkpoint *checkpoint, const char *name, kd_loss *loss);
KD_API kd_status kd_checkpoint_add_monitor(kd_checkpoint *checkpoint, const char *name,
                                           kd_monitor *monitor);
/* Since 0.2. */
KD_API kd_status kd_checkpoint_add_balance(kd_checkpoint *checkpoint, const char *name,
                                           kd_balance *balance);
/* A run of several ranks: the exchange takes the place of its optimizer (of which each rank has a
 * part of the state). Saving and loading are then calls of all ranks, `path` a folder that all see,
 * and `sync` is 1 for the manifest and the states of ranks:
 *   PATH/save-0000012/common.kdc                            rank 0's parts
 *   PATH/save-0000012/state-00001-of-00004.safetensors      of each rank: its ranges of moments
 *   PATH/save-0000012/manifest.json                         last: sizes and checksums of the files
 * - A run is loaded by as many ranks as saved it, in the same bits, or by others.
 * - Loading takes the newest save that has a manifest; KD_ERR_NOT_FOUND: there is none. If a file
 *   of it is damaged, KD_ERR_FORMAT names it and nothing changes: remove that save to load the one
 *   before.
 * - The newest save and the one before it are kept.
 * - Other parts must be the same on all ranks; a loader's place becomes each rank's own. Since
 *   0.2. */
KD_API kd_status kd_checkpoint_add_exchange(kd_checkpoint *checkpoint, const char *name,
                                            kd_exchange *exchange);
KD_API kd_status kd_checkpoint_borrow_bytes(kd_checkpoint *checkpoint, const char *name, void *data,
                                            size_t bytes);

/* Writes all parts to a temporary file and renames it to `path`: the old file stays until the new
 * one is complete. */
KD_API kd_status kd_checkpoint_save(kd_checkpoint *checkpoint, const char *path);

/* Reads all parts. The whole file is checked first; nothing changes if it is damaged or does not
 * match. Errors:
 * - KD_ERR_NOT_FOUND: no file.
 * - KD_ERR_FORMAT: damaged.
 * - KD_ERR_VERSION: written by a newer version.
 * - KD_ERR_MISMATCH: belongs to another run. */
KD_API kd_status kd_checkpoint_load(kd_checkpoint *checkpoint, const char *path);

#ifdef __cplusplus
}
#endif
#endif
