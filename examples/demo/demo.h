/* What the demo's three files share: demo.c (the course), demo_measure.c (measuring and the table),
 * demo_page.c (report and page). */
#ifndef DEMO_H
#define DEMO_H

#include "../check.h"

enum {
    TEST = 10000,
    VALIDATION = 5000,
    LABELED = 2000,
    SEEDS = 3,
    MAX_SEEDS = 10,
    ARMS = 5,
    STEPS = 2400,
    TEACHER_STEPS = 3000,
    ROUND = 200,
    POINTS = 64
};

/* One way of training: what a run needs. */
typedef struct {
    const char *name, *what, *config;
    kd_dataset *data;
    double soft, hard, temperature, learning_rate;
    int64_t steps;
} arm;

/* A run seen round by round. */
typedef struct {
    double step[POINTS], accuracy[POINTS], rate[POINTS], temperature[POINTS], loss[POINTS];
    int count;
} curve;

typedef struct {
    double accuracy, agreement, ece, nll, f1, where_wrong;
} figures;

/* One line of the comparison. */
typedef struct {
    arm a;
    figures runs[MAX_SEEDS];
    curve curves[MAX_SEEDS];
    figures mean;    /* over seeds */
    int32_t *rights; /* (seeds, TEST) */
    kd_difference accuracy, against_hard;
    int64_t parameters, bytes;
    kd_latency single, many;
} row;

typedef struct {
    kd_context *ctx;
    int seeds;
    kd_dataset *all, *labeled, *unlabeled, *validation, *test;
    kd_model *teacher;
    kd_teacher *outputs;   /* what the teacher said about every training image */
    float *teacher_logits; /* (TEST, 10) */
    curve teacher_curve;
    kd_pseudo_label_counts pseudo;
    row rows[ARMS + 1]; /* the teacher first */
    int row_count;
    /* progress */
    const char *stage;
    int64_t total;
    double started, shown, began;
    int terminal;
} demo;

kd_model *train(demo *d, const arm *a, uint64_t seed, curve *out);

/* demo_measure.c */
void demo_open(demo *d);
void demo_close(demo *d);
void progress_begin(demo *d, const char *stage, int64_t total);
void progress_show(demo *d, int64_t done);
void progress_end(demo *d, double accuracy);
void curve_add(curve *c, int64_t step, double accuracy, double rate, double temperature,
               double loss);
/* teacher_logits and right: of the test set, or NULL. right: (TEST) 1 where the model's class is
 * the label. */
figures evaluate(demo *d, kd_model *model, kd_dataset *data, const float *teacher_logits,
                 int32_t *right);
kd_dataset *with_labels(demo *d, kd_dataset *data);
void run_arms(demo *d, const arm *arms, int count);
void show_table(const demo *d);
double seconds(void);

/* demo_page.c */
void write_report(const demo *d, const char *folder);

#endif
