/* Parts of a plan. Formulas and their sources: docs/plan.md. */
#ifndef KD_PLAN_PLAN_H
#define KD_PLAN_PLAN_H

#include <kdistill/plan.h>

#include "base/status.h"

/* A model's work on one token: FLOP of a forward pass, and what a head multiplies. */
typedef struct kd__work {
    int64_t parameters, embedding; /* numbers; of these, in the token embedding */
    int64_t classes, width;        /* of the head; 0: none */
    int64_t layer_count;
    double layers, attention;      /* products of all layers; scores and weighted sums */
    double head;
    double keys;
} kd__work;

/* `what` names the config in messages. length: tokens of a sample, with its deviation. */
kd_status kd__work_of(kd_context *context, const char *config, const char *what, double length,
                      double deviation, kd__work *work);

/* Bytes of a position in a store; NaN: there is no such rule. `classes` and `width` of the
 * teacher. */
double kd__plan_position_bytes(const kd_plan_options *o, int64_t classes, int64_t width);
/* Of a record beside its positions, and of a position's check. */
double kd__plan_record_bytes(double positions);

#endif
