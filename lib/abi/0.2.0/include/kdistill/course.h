/* kdistill/course.h - from prompts to a student: answers, verdicts, curation, packing. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_answers_collect(...)      a teacher answers a file of prompts
 *   2.  kd_curation_run(...)         the right and useful answers are kept
 *   3.  kd_packer_add_reader(...)    they become packed batches of tokens
 *   4.  kd_packer_next(packer, batch) */
#ifndef KDISTILL_COURSE_H
#define KDISTILL_COURSE_H

#include <kdistill/record.h>   /* prompts and answers as JSON lines */
#include <kdistill/answers.h>  /* answers to many prompts, written to a file */
#include <kdistill/import.h>   /* answers of servers, into a store */
#include <kdistill/arrow.h>    /* records and stores as streams of Apache Arrow */
#include <kdistill/verify.h>   /* is an answer right? */
#include <kdistill/curation.h> /* which texts a student learns from */
#include <kdistill/augment.h>  /* more prompts from existing ones */
#include <kdistill/packer.h>   /* records into packed batches */
#include <kdistill/recipe.h>   /* settings of training runs known to work */

#endif
