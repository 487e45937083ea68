/* A report's tree. */
#ifndef KD_METRICS_REPORT_H
#define KD_METRICS_REPORT_H

#include <kdistill/metrics.h>

#include "base/text.h"

enum { KD__REPORT_OBJECT, KD__REPORT_NUMBER, KD__REPORT_TEXT, KD__REPORT_NUMBERS };

typedef struct kd__report_node {
    char name[KD_MAX_NAME];
    int32_t kind;
    double number;
    char *text;
    double *numbers;
    int64_t count;
    struct kd__report_node *first, *next;
} kd__report_node;

struct kd_report {
    kd__object object;
    kd__report_node root;
    kd__text json; /* or the plain text: what was asked for last */
};

const kd__report_node *kd__report_find(const kd__report_node *parent, const char *name);

/* The columns of a table, in the order in which rows name them. *out is a new block. */
kd_status kd__report_columns(kd_context *context, const kd__report_node *table, const char ***out, int32_t *count);
/* A cell as text: "0.8125 +- 0.0112"; `sign` stands between; "" for a cell that is not there. */
void kd__report_cell(char text[80], const kd__report_node *cell, const char *sign);

/* One picture as SVG. */
kd_status kd__report_picture(kd__text *to, const kd__report_node *picture);

#endif
