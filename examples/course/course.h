/* The course in miniature: what its files share. */
#ifndef EXAMPLE_COURSE_H
#define EXAMPLE_COURSE_H

#include "../check.h"
#include <math.h>
#include <string.h>
#include <time.h>

enum { MOST_SEEDS = 8, CURVE = 256 };

/* ---- course_data.c: problems, a program that works them, a tokenizer ---- */

enum { MULTIPLY = 1, ADD = 2, WORDS = 4, COUNTDOWN = 8 };

typedef struct {
    int32_t tasks; /* bits                                                 */
    /* of each task: worked solutions, problems in all, test problems */
    int32_t worked, problems, test;
} course_size;

/* Writes tokenizer.json, worked.jsonl, problems.jsonl, plain.jsonl (answers only), test.jsonl,
 * held-out.jsonl (its worked solutions) and harder.jsonl into the folder. */
void course_write_data(kd_context *ctx, const char *folder, const course_size *size);
/* One token a byte, and an end: for text of any kind. */
void course_byte_tokenizer(const char *path);
/* Numbers are compared; of COUNTDOWN the expression is worked out: every given number at most once,
 * and the target comes out. */
extern const kd_verify_options course_verify;
/* folder/name, in one of eight static buffers */
const char *course_path(const char *folder, const char *name, ...)
    __attribute__((format(printf, 2, 3)));
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
    const char *store; /* a teacher's distributions; NULL: hard tokens only                 */
    /* on-policy: the teacher that scores the student's own answers; NULL: none */
    kd_model *live;
    const char *prompts; /* on-policy: file of prompts                                        */
    double own_share;    /* on-policy: lambda, the share of steps on own answers              */
} course_training;

typedef struct {
    /* nats a token of the answers, and its standard error over the texts */
    double loss, error;
    /* share of tokens of which teacher and student find the same most probable */
    double agreement;
    int64_t texts, tokens;
} course_fit;

/* positions: the longest text in tokens */
kd_model *course_model(kd_context *ctx, kd_tokenizer *tokenizer, course_shape shape, int positions,
                       uint64_t seed);
/* Trains a model on files of records, and saves it with its tokenizer and curve into `folder`:
 * where that is there already it is loaded instead. */
kd_model *course_student(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *fresh,
                         const char *const *files, int count, const course_training *t,
                         const char *folder, course_curve *curve);
/* What the teacher says about every text of the files, into a store, if it is not there. */
void course_store(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *teacher,
                  const char *const *files, int count, const char *path);
/* n answers to each prompt of a file, and their judgement. rights: (questions, n). */
void course_answers(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *model, const char *prompts,
                    int n, uint64_t seed, const char *teacher, const char *path);
kd_answers_result course_judge(kd_context *ctx, const char *answers, int32_t *rights, int64_t room);
/* How well a model foretells the answers of a file, at most so many texts of it; teacher NULL: no
 * agreement. */
course_fit course_measure(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *model,
                          kd_model *teacher, const char *file, int64_t most);

/* ---- course.c ---- */

enum { SAMPLES = 4, MOST_ARMS = 24, MOST_FILES = 4 };

typedef struct {
    const char *name, *label;
    course_shape shape;
    const char *files[MOST_FILES]; /* %d: the seed */
    int soft, on_policy, from_teacher;
    int draw; /* of the first weights and the order: another teacher has another one */
} arm;

typedef struct {
    const char *folder;
    int seeds, full, arms;
    int64_t steps, batch_tokens;
    course_size size;
    kd_context *ctx;
    kd_tokenizer *tokenizer;
    arm arm[MOST_ARMS];
    int32_t *rights[MOST_ARMS], *harder[MOST_ARMS]; /* (seeds, questions, SAMPLES) */
    int64_t questions;
    kd_answers_result result[MOST_ARMS][MOST_SEEDS], hard[MOST_ARMS][MOST_SEEDS];
    course_fit fit[MOST_ARMS][MOST_SEEDS];
    course_curve curve[MOST_ARMS];
    kd_report *report;
} course;

/* ---- course_text.c: GSM8K's rationales ---- */

/* Teacher and students on people's worked solutions, and their losses on ones that none has seen: a
 * table of the report. data: the folder that has gsm8k; texts: as many are learned, a fifth of it
 * is held out. */
void course_rationales(kd_context *ctx, kd_report *report, const char *folder, const char *data,
                       int texts, int seeds, int64_t steps);

/* ---- course_report.c ---- */

void course_report(course *c);

#endif
