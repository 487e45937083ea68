/* A report's tree. */
#ifndef KD_METRICS_REPORT_H
#define KD_METRICS_REPORT_H

#include <kdistill/report.h>

#include "base/object.h"
#include "base/text.h"

enum { KD__REPORT_OBJECT, KD__REPORT_NUMBER, KD__REPORT_TEXT, KD__REPORT_NUMBERS };

typedef struct kd__report_node {
    char name[KD_NAME_BYTES];
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

/* The characters of UTF-8. */
int kd__report_letters(const char *text);

/* Text as markup. A number stays on one line with the unit after it. */
kd_status kd__report_escape(kd__text *to, const char *text);

/* One picture as SVG. */
kd_status kd__report_picture(kd__text *to, const kd__report_node *picture);

#endif
