/* kdistill.h - knowledge distillation for C and C++ programs. Includes every public header.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The host owns the training loop; the library owns the mathematics, the memory plan and the files.
 * Each header documents one noun and opens with its intended usage. docs/guide.md is the tutorial.
 *
 * The core tier: the functions of a training loop, in the order in which a host meets them.
 *
 *   status      kd_last_error, kd_status_name, kd_version
 *   array       kd_array_init
 *   context     kd_context_create, kd_context_get_info
 *   dataset     kd_dataset_add, _load_idx, _load_csv, _select
 *   loader      kd_loader_create, _next
 *   batch       kd_batch_create, _begin, _set
 *   model       kd_model_create, _load, _save, _forward, _predict, _estimate_memory
 *   teacher     kd_teacher_from_model, _open, _read, and kd_targets_create
 *   loss        kd_loss_create, _add, _set, _backward, _get_diagnostics
 *   schedule    kd_schedule_create_cosine, _value
 *   balance     kd_balance_create, _report, _value
 *   optimizer   kd_optimizer_create, _add_model, _step
 *   monitor     kd_monitor_create, _report
 *   checkpoint  kd_checkpoint_create, _add_model and the other parts, _save, _load
 *   metrics     kd_metrics_create, _add, _get
 *
 * Every handle has a _free function, and every options struct a KD_..._INIT and an _init function.
 *
 * For custom loops: a student of your own (kd_loss_evaluate, kd_optimizer_borrow_array), a loss of
 * your own (kd_model_add_output_gradient, kd_model_backward), micro-batches and several ranks
 * (kd_loss_count), host callbacks (kd_context_options, kd_teacher_from_callbacks), and the further
 * functions of the core headers. */
#ifndef KDISTILL_H
#define KDISTILL_H

/* ---- the core ---- */
#include <kdistill/status.h>     /* statuses, error messages, version       */
#include <kdistill/array.h>      /* views of the host's arrays              */
#include <kdistill/context.h>    /* allocator, threads, log, seed, BLAS     */
#include <kdistill/data.h>       /* dataset, loader, batch                  */
#include <kdistill/image.h>      /* images before they enter a model       */
#include <kdistill/model.h>      /* networks: students and frozen teachers  */
#include <kdistill/teacher.h>    /* teacher outputs, targets of a batch     */
#include <kdistill/loss.h>       /* weighted sums of terms, with gradients  */
#include <kdistill/feature.h>    /* terms of hidden states, projections     */
#include <kdistill/task.h>       /* several tasks in one model              */
#include <kdistill/contrast.h>   /* terms of two sides: pairs of a batch    */
#include <kdistill/gradient.h>   /* what tasks send to what they share      */
#include <kdistill/schedule.h>   /* numbers as functions of the step        */
#include <kdistill/balance.h>    /* weights of several tasks                */
#include <kdistill/optimizer.h>  /* SGD, AdamW, Adam; clipping; averaging   */
#include <kdistill/exchange.h>   /* several processes train one model       */
#include <kdistill/monitor.h>    /* early stopping, keeping the best        */
#include <kdistill/checkpoint.h> /* a whole run in one file                 */
#include <kdistill/metrics.h>    /* accuracy, agreement, calibration, speed */
#include <kdistill/store.h>      /* teacher outputs on disk                 */
#include <kdistill/head.h>       /* logits computed inside a loss           */

/* ---- the wings ---- */
#include <kdistill/language.h> /* language models: text, tokens, generation            */
#include <kdistill/course.h>   /* from prompts to a student: answers and their curation */
#include <kdistill/audio.h>    /* sounds: WAV files, sample rates, mel spectrograms      */
#include <kdistill/measure.h>  /* is the student better, and what does it cost?         */

#endif
