/* A run of `kdistill train`: its parts, each made from the recipe by a file of its own. */
#ifndef KD_TOOL_TRAIN_H
#define KD_TOOL_TRAIN_H

#include <kdistill.h>

#include "tool/recipe_file.h"

enum { MOST_TEACHERS = 16, MOST_BATCHES = 64, MOST_SCHEDULES = 256, PACKER_STATE = 7 };

/* Where batches come from: a packer of texts, or a loader over a dataset. */
typedef struct train_source {
    kd_packer *packer;
    kd_dataset *dataset;
    kd_loader *loader;
    int64_t texts;               /* or samples */
    int64_t first[PACKER_STATE]; /* the packer's state before its first batch */
} train_source;

/* A number of a term that changes: of the terms first .. first + count - 1 of the loss. */
typedef struct train_number {
    char name[96]; /* "forward_kl.temperature" */
    kd_schedule *schedule;
    int32_t first, count, number;
    int32_t is_told;       /* 1: it hears the term's loss after each step (TAID) */
    int32_t changes, term; /* of the recipe */
    double scale;          /* of weights: layers share one */
} train_number;

/* What a checkpoint keeps beside the handles. */
typedef struct train_state {
    int64_t step, log_bytes, reports, stopped;
    int64_t rows;        /* seen since the last line of the log */
    int64_t texts, held; /* what the data had: another file is another run */
    int64_t packer[PACKER_STATE];
    double seconds, best;
} train_state;

typedef struct train_found {
    double loss, cross_entropy, accuracy, agreement; /* NaN: not known */
} train_found;

typedef struct train_run {
    recipe recipe;
    char *folder; /* recipe.out as a path */
    kd_context *context;
    kd_tokenizer *tokenizer;
    kd_model *teachers[MOST_TEACHERS], *student;
    int32_t teacher_count;
    kd_teacher *teacher, *held_teacher;
    train_source train, held;
    kd_dataset *whole;      /* of arrays, before a part is held out */
    kd_loss *loss, *labels; /* labels: cross-entropy alone, for validation */
    int32_t first_term[KD_LOSS_MAX_TERMS], terms_of[KD_LOSS_MAX_TERMS]; /* by the recipe's terms */
    train_number numbers[MOST_SCHEDULES];
    int32_t number_count;
    kd_schedule *rate;
    kd_optimizer *optimizer;
    kd_monitor *monitor;
    kd_checkpoint *checkpoint;
    kd_batch *batches[MOST_BATCHES];
    kd_targets *targets[MOST_BATCHES];
    FILE *log;
    int64_t steps;
    train_state state;
} train_run;

/* Context, data, models, loss (train_data.c, train_models.c, train_loss.c). Exit codes. */
int train_open_context(train_run *run);
int train_open_tokenizer(train_run *run);
int train_open_data(train_run *run);
int train_open_teacher(train_run *run);
int train_open_student(train_run *run);
int train_open_loss(train_run *run);
void train_free(train_run *run);

/* The next batch; sources never end. */
kd_status source_next(train_source *source, kd_batch *batch);
/* Back to the first one. */
kd_status source_rewind(train_source *source);
/* Steps of the whole run. */
int train_count_steps(train_run *run);

/* Do the targets of this run live until the next read? (Those of a live teacher do not.) */
int train_teacher_is_live(const train_run *run);
/* Writes the student and the files that its users need into a folder. */
int train_save_student(train_run *run, const char *folder);

/* Sets the loss's numbers as the schedules say. */
kd_status train_set_numbers(train_run *run, int64_t step);
/* The values of all terms of one line of the recipe. */
double train_term_value(const train_run *run, int32_t term, const kd_loss_result *result);

/* What the student does on the texts held out (train_validate.c). */
int train_validate(train_run *run, train_found *found);
/* The same of a live teacher, for the report. */
int train_judge_teacher(train_run *run, train_found *found);
int32_t train_metric_is_better(const train_run *run);
double train_metric(const train_run *run, const train_found *found);

/* Lines of the log (train_log.c). */
int train_log_open(train_run *run);
void train_log_begin(train_run *run);
void train_log_step(train_run *run, const kd_loss_result *result, double rate);
void train_log_found(train_run *run, const char *who, const train_found *found, int improved);
void train_log_end(train_run *run, const char *reason);

/* A report of the logs of runs: facts, curves, tables (run_report.c). `name` stands before what is
 * one run's where there are several; "" for one alone. */
int report_add_run(kd_report *report, const char *folder, const char *name);
/* Facts and tables as Markdown. */
int report_print_markdown(kd_report *report, const char *title, FILE *to);

/* The run, from its last checkpoint on; its report is printed (train_run.c). */
int train_go(train_run *run, int restart);

#endif
