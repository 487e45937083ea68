/* kdistill/checkpoint.h - a whole run in one file.   SPDX-License-Identifier: Apache-2.0
 *
 * A checkpoint is a list of parts. The same list saves and loads: register the run's parts once, load if a file is there, save
 * as often as wanted. A run that was stopped and resumed gives the same bits as one that was not.                          */
#ifndef KDISTILL_CHECKPOINT_H
#define KDISTILL_CHECKPOINT_H

#include <kdistill/loss.h>
#include <kdistill/monitor.h>
#include <kdistill/optimizer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_checkpoint kd_checkpoint;

typedef struct kd_checkpoint_options {
    uint32_t struct_size;
    int32_t sync; /* 1: fsync the file and its folder, so that a committed checkpoint survives a power cut */
} kd_checkpoint_options;
#define KD_CHECKPOINT_OPTIONS_INIT { (uint32_t)sizeof(kd_checkpoint_options), 1 }
KD_API void kd_checkpoint_options_init(kd_checkpoint_options *options, size_t size);

KD_API kd_status kd_checkpoint_create(kd_checkpoint **out, kd_context *context, const kd_checkpoint_options *options);
KD_API void kd_checkpoint_free(kd_checkpoint *checkpoint);

/* Registers a part under a name of its own; the handle is kept alive. Bytes are the host's: its step counter and the like,
 * borrowed until the checkpoint is freed.                                                                                  */
KD_API kd_status kd_checkpoint_add_model(kd_checkpoint *checkpoint, const char *name, kd_model *model);
KD_API kd_status kd_checkpoint_add_optimizer(kd_checkpoint *checkpoint, const char *name, kd_optimizer *optimizer);
KD_API kd_status kd_checkpoint_add_loader(kd_checkpoint *checkpoint, const char *name, kd_loader *loader);
KD_API kd_status kd_checkpoint_add_schedule(kd_checkpoint *checkpoint, const char *name, kd_schedule *schedule);
KD_API kd_status kd_checkpoint_add_loss(kd_checkpoint *checkpoint, const char *name, kd_loss *loss);
KD_API kd_status kd_checkpoint_add_monitor(kd_checkpoint *checkpoint, const char *name, kd_monitor *monitor);
KD_API kd_status kd_checkpoint_borrow_bytes(kd_checkpoint *checkpoint, const char *name, void *bytes, size_t size);

/* Writes all parts beside `path` and moves the file in: the old one stays until the new one is whole. */
KD_API kd_status kd_checkpoint_save(kd_checkpoint *checkpoint, const char *path);

/* Reads all parts. The file is checked whole first, and nothing changes when it is damaged or does not match.
 * KD_ERR_NOT_FOUND (no file), KD_ERR_FORMAT (damaged), KD_ERR_VERSION (newer), KD_ERR_MISMATCH (another run's).     */
KD_API kd_status kd_checkpoint_load(kd_checkpoint *checkpoint, const char *path);

#ifdef __cplusplus
}
#endif
#endif
