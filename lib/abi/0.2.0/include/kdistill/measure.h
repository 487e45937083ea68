/* kdistill/measure.h - is the student better, and what does it cost? Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_compare_runs(context, before, after, seeds, questions, samples, &difference);
 *   2.  kd_report_set_number(report, "students.soft.accuracy", accuracy);
 *   3.  kd_report_write(report, "report.json");
 *   4.  kd_plan_estimate(context, &options, &plan);                 before a run */
#ifndef KDISTILL_MEASURE_H
#define KDISTILL_MEASURE_H

#include <kdistill/compare.h> /* two models on the same questions; texts against references */
#include <kdistill/plan.h>    /* what a run will cost, before anything runs */
#include <kdistill/report.h>  /* what a run found, as JSON, text and HTML */

#endif
