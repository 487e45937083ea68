/* Insides of teachers and targets. */
#ifndef KD_TEACHER_TEACHER_H
#define KD_TEACHER_TEACHER_H

#include <kdistill/teacher.h>

#include "base/object.h"
#include "base/table.h"
#include "core/data/data.h"
#include "core/model/model.h"
#include "core/teacher/sparse.h"

#define KD__MAX_HEADS 8

struct kd_targets {
    kd__object object;
    kd__fields fields;
    kd_targets **members; /* of an ensemble */
    int64_t member_count;
    int64_t *places; /* scratch: a batch's rows in the teacher's arrays */
    int64_t places_room;
    float *scratch;
    int64_t scratch_room;
    float *logits; /* a block of a head's, while rows are chosen from them */
    int64_t logits_room;
    kd__sparse **sparse;
    int64_t sparse_count, sparse_room;
    kd__virtual heads[KD__MAX_HEADS];
    const uint8_t **records; /* a batch's records of a store */
    int64_t records_room;
    uint8_t *blob; /* their bytes, when they are read and not mapped */
    int64_t blob_room;
    void *held; /* what a borrowed head lies in, until the targets begin anew */
    void (*free_held)(void *held);
};

struct kd_teacher {
    kd__object object;
    char name[KD_NAME_BYTES];
    kd_teacher_options options;
    kd_status (*read)(kd_teacher *teacher, kd_batch *batch, kd_targets *targets);
    /* arrays */
    kd__fields fields;
    int64_t samples; /* -1 until keys or the first field say */
    uint64_t *keys;  /* (samples, 2); NULL: by index */
    kd__table table; /* of samples, by key */
    /* the other kinds */
    kd_model *model;
    kd_teacher **members;
    int64_t member_count;
    double *weights;                   /* of an ensemble, sum to 1; NULL: */
    char (*task_names)[KD_NAME_BYTES]; /* teachers of tasks, (members); "": fields as they are */
    kd_ensemble_options ensemble;
    char ensemble_field[KD_NAME_BYTES];
    kd_teacher_callbacks callbacks;
    struct kd_store *store;
    void (*free_store)(struct kd_store *store); /* stores lie on a floor above */
};

kd_status kd__teacher_new(kd_teacher **out, kd_context *context, const kd_teacher_options *options);
/* Sets the keys of an array teacher: builds the table. */
kd_status kd__teacher_set_keys(kd_teacher *teacher, const uint64_t *keys, int64_t samples);
/* Targets of as many rows and samples as the batch. */
kd_status kd__targets_begin_for(kd_targets *targets, const kd_batch *batch);
/* Live models among a teacher and its members keep these outputs and no others; other teachers
 * give what they have. */
kd_status kd__teacher_keep(kd_teacher *teacher, const char *const *names, int32_t count);
/* 1 to 1024 members, held; `what` begins messages. */
kd_status kd__members_hold(kd_teacher *made, kd_teacher *const *teachers, int32_t count,
                           const char *what);
/* What each says about the batch, into targets->members. */
kd_status kd__members_read(kd_teacher *teacher, kd_batch *batch, kd_targets *targets);
/* kd__teacher_keep of teachers of tasks: each keeps what is asked of it, by its own names. */
kd_status kd__tasks_keep(kd_teacher *teacher, const char *const *names, int32_t count);
kd_status kd__read_ensemble(kd_teacher *teacher, kd_batch *batch, kd_targets *targets);
/* Members' answers are in targets->members, at least one of them sparse
 * (src/core/teacher/ensemble_sparse.c). */
kd_status kd__ensemble_merge_sparse(kd_teacher *teacher, kd_targets *targets);

#endif
