/* A student cut out of a model that stands on a trunk, in steps: what is kept (importance.c), the
 * config (student_config.c), the weights (cut_weights.c). */
#ifndef KD_STUDENTS_CUTTER_H
#define KD_STUDENTS_CUTTER_H

#include <kdistill/student.h>

#include "base/text.h"
#include "language/trunk/trunk.h"

/* What is kept of a teacher: its numbers, in rising order. */
typedef struct kd__cutter {
    kd_model *teacher;
    const kd__trunk_config *t;
    kd_student_options o;
    int64_t layers, hidden, inner, kv; /* of the student */
    int32_t *map;                      /* (layers) */
    int32_t *keep_hidden;              /* (hidden) */
    int32_t *keep_inner;               /* (layers, inner) */
    int32_t *keep_kv;                  /* (layers, kv) */
} kd__cutter;

/* map (layers): those that KD_LAYERS_INFLUENCE or _GREEDY keep, ascending; calibration NULL: random
 * tokens. */
kd_status kd__influential_layers(kd_model *teacher, kd_batch *calibration, int64_t layers,
                                 int32_t *map);
kd_status kd__greedy_layers(kd_model *teacher, kd_batch *calibration, int64_t layers, int32_t *map);
/* The host's batch, or (*own) random tokens in its place. */
kd_status kd__calibration_of(kd_model *teacher, kd_batch *calibration, kd_batch **used,
                             kd_batch **own);
/* Fills keep_hidden .. keep_kv. */
kd_status kd__cutter_choose(kd__cutter *cutter);
kd_status kd__cutter_config(const kd__cutter *cutter, kd__text *to);
/* Of the teacher's kd_heads those that read something which the student has. */
kd_status kd__cutter_put_heads(const kd__cutter *cutter, const kd__json *heads, kd__text *to);
/* Their weights; a head that the teacher has not in this form begins at random. */
void kd__cutter_heads(const kd__cutter *cutter, kd_model *student);
/* The student was made from that config. */
kd_status kd__cutter_weights(const kd__cutter *cutter, kd_model *student);

#endif
