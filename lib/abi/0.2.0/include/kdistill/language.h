/* kdistill/language.h - everything for language models. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_tokenizer_load(&tokenizer, context, folder);
 *   2.  kd_model_load(&teacher, context, folder, NULL);
 *   3.  kd_student_create(&student, teacher, &cut);
 *   4.  kd_generator_create(&generator, student, NULL);
 *   5.  kd_model_save_gguf(student, tokenizer, path, KD_INT8, KD_END_TOKEN_DEFAULT); */
#ifndef KDISTILL_LANGUAGE_H
#define KDISTILL_LANGUAGE_H

#include <kdistill/tokenizer.h>  /* text and token ids, chat formats */
#include <kdistill/generator.h>  /* text from language models */
#include <kdistill/student.h>    /* students cut from a language model */
#include <kdistill/towers.h>     /* a network for each modality, in one model */
#include <kdistill/align.h>      /* teachers with another tokenizer */
#include <kdistill/mask.h>       /* tokens hidden for masked language models */
#include <kdistill/block.h>      /* numbers in blocks of few bits */
#include <kdistill/importance.h> /* which inputs of matrices matter most */
#include <kdistill/lattice.h>    /* training on the numbers that a file of few bits holds */
#include <kdistill/gguf.h>       /* language models for llama.cpp */

#endif
