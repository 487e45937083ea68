/* kdistill.h - knowledge distillation for C and C++ programs. Includes every public header.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The host owns the training loop; the library owns the mathematics, the memory plan and the files.
 * Start with docs/guide.md; each header below is the reference of one noun.                        */
#ifndef KDISTILL_H
#define KDISTILL_H

#include <kdistill/status.h>     /* statuses, messages, version            */
#include <kdistill/array.h>      /* views of the host's arrays             */
#include <kdistill/context.h>    /* allocator, threads, log, seed, BLAS    */
#include <kdistill/data.h>       /* dataset, loader, batch                 */
#include <kdistill/model.h>      /* networks: students and frozen teachers */
#include <kdistill/student.h>    /* students cut out of language models */
#include <kdistill/teacher.h>    /* teacher outputs, targets of a batch    */
#include <kdistill/head.h>       /* logits computed inside a loss         */
#include <kdistill/store.h>      /* teacher outputs on disk               */
#include <kdistill/import.h>     /* answers of servers, into a store      */
#include <kdistill/tokenizer.h>  /* text and token ids, chats             */
#include <kdistill/record.h>     /* prompts and answers in files of JSON lines */
#include <kdistill/generator.h>  /* text from language models          */
#include <kdistill/gguf.h>       /* language models for llama.cpp       */
#include <kdistill/verify.h>     /* is an answer right?               */
#include <kdistill/loss.h>       /* weighted sums of terms, with gradients */
#include <kdistill/schedule.h>   /* numbers as functions of the step       */
#include <kdistill/optimizer.h>  /* SGD, AdamW, Adam; clipping; averaging  */
#include <kdistill/monitor.h>    /* early stopping, keeping the best       */
#include <kdistill/metrics.h>    /* accuracy, agreement, calibration, speed */
#include <kdistill/packer.h>     /* records into packed batches; recipes    */
#include <kdistill/answers.h>    /* many prompts' answers, into a file      */
#include <kdistill/curation.h>   /* which texts a student learns from       */
#include <kdistill/augment.h>    /* more prompts out of those that are there */
#include <kdistill/compare.h>    /* two models on the same questions; speed */
#include <kdistill/checkpoint.h> /* a whole run in one file                */

#endif
