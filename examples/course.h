/* The course in miniature: what its files share. */
#ifndef EXAMPLE_COURSE_H
#define EXAMPLE_COURSE_H

#include "check.h"
#include <math.h>
#include <string.h>
#include <time.h>

enum { MOST_SEEDS = 8, CURVE = 256 };

/* ---- course_data.c: problems, a program that works them, a tokenizer ---- */

enum { MULTIPLY = 1, ADD = 2, WORDS = 4, COUNTDOWN = 8 };

typedef struct {
    int32_t tasks;                  /* bits                                                 */
    int32_t worked, problems, test; /* of each task: worked solutions, problems in all, test problems */
} course_size;

/* Writes tokenizer.json, worked.jsonl, problems.jsonl, plain.jsonl (answers only), test.jsonl and harder.jsonl into the folder. */
void course_write_data(kd_context *ctx, const char *folder, const course_size *size);
/* Numbers are compared; of COUNTDOWN the expression is worked out: every given number at most once, and the target comes out. */
extern const kd_verify_options course_verify;
/* folder/name, in one of eight static buffers */
const char *course_path(const char *folder, const char *name, ...) __attribute__((format(printf, 2, 3)));
int course_exists(const char *path);

/* ---- course_train.c ---- */

typedef struct {
    int layers, hidden, inner, heads;
} course_shape;

typedef struct {
    double step[CURVE], loss[CURVE], temperature[CURVE], rate[CURVE];
    int count;
} course_curve;

typedef struct {
    int64_t steps, batch_tokens;
    uint64_t seed;
    const char *store;   /* a teacher's distributions; NULL: hard tokens only                 */
    kd_model *live;      /* on-policy: the teacher that scores the student's own answers; NULL: none */
    const char *prompts; /* on-policy: file of prompts                                        */
    double own_share;    /* on-policy: lambda, the share of steps on own answers              */
} course_training;

kd_model *course_model(kd_context *ctx, kd_tokenizer *tokenizer, course_shape shape, uint64_t seed);
/* Trains a model on files of records, and saves it with its tokenizer and curve into `folder`: where that is there already it is loaded instead. */
kd_model *course_student(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *fresh, const char *const *files, int count, const course_training *t,
                         const char *folder, course_curve *curve);
/* What the teacher says about every text of the files, into a store, if it is not there. */
void course_store(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *teacher, const char *const *files, int count, const char *path);
/* n answers to each prompt of a file, and their judgement. rights: (questions, n). */
void course_answers(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *model, const char *prompts, int n, uint64_t seed, const char *teacher,
                    const char *path);
kd_answers_result course_judge(kd_context *ctx, const char *answers, int32_t *rights, int64_t room);
int32_t course_end_token(kd_tokenizer *tokenizer);

#endif
