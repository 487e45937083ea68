/* Classes that a teacher with another tokenizer shares with the student. */
#include <kdistill/loss.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "core/loss/loss.h"

static void forget(kd_loss *loss, kd__shared *s)
{
    kd__release(loss->object.context, s->student);
    kd__release(loss->object.context, s->teacher);
    memset(s, 0, sizeof *s);
}

void kd__loss_free_shared(kd_loss *loss)
{
    for (int32_t t = 0; t < loss->count; t++) forget(loss, &loss->terms[t].shared);
}

/* `taken`: (teacher_classes), zero. */
static kd_status split(kd__shared *s, const int64_t *teacher_of, uint8_t *taken)
{
    for (int64_t i = 0; i < s->classes; i++) {
        const int64_t id = teacher_of[i];
        if (id == -1) continue;
        KD_FAIL_IF(id < 0 || id >= s->teacher_classes, KD_ERR_RANGE,
                   "teacher_of: class %lld: expected -1 to %lld, got %lld", (long long)i,
                   (long long)s->teacher_classes - 1, (long long)id);
        KD_FAIL_IF(taken[id]++, KD_ERR_RANGE,
                   "teacher_of: expected each class of the teacher once, got %lld twice",
                   (long long)id);
        s->student[s->pairs] = (uint32_t)i;
        s->teacher[s->pairs++] = (uint32_t)id;
    }
    for (int64_t i = 0; i < s->classes; i++)
        if (teacher_of[i] == -1) s->student[s->pairs + s->only_student++] = (uint32_t)i;
    for (int64_t i = 0; i < s->teacher_classes; i++)
        if (!taken[i]) s->teacher[s->pairs + s->only_teacher++] = (uint32_t)i;
    return KD_OK;
}

kd_status kd_loss_set_shared_classes(kd_loss *loss, int32_t term, const kd_array *teacher_of,
                                     int64_t teacher_classes)
{
    kd__shared made = { 0 };
    int64_t *ids = NULL;
    uint8_t *taken = NULL;
    kd_status status;
    KD_NEED(loss);
    KD_FAIL_IF(term < 0 || term >= loss->count, KD_ERR_RANGE, "term: expected 0 to %d, got %d",
               loss->count - 1, term);
    KD_FAIL_IF(kd__kind_of(loss->terms[term].kind)->teacher_width != KD__OWN_CLASSES,
               KD_ERR_INVALID, "term %d is not ULD: only ULD takes shared classes", term);
    if (teacher_of) {
        kd_context *context = loss->object.context;
        KD_TRY(kd__array_check(teacher_of, "teacher_of"));
        made.classes = kd_array_count(teacher_of);
        made.teacher_classes = teacher_classes;
        KD_FAIL_IF(made.classes < 1 || teacher_classes < 1 || teacher_classes > INT32_MAX ||
                       made.classes > INT32_MAX,
                   KD_ERR_RANGE,
                   "shared classes: expected 1 to 2^31 - 1 on both sides, got %lld of the student, "
                   "%lld of the teacher",
                   (long long)made.classes, (long long)teacher_classes);
        KD_TRY_GOTO(status, KD_NEW(context, &ids, made.classes), done);
        KD_TRY_GOTO(status, KD_NEW(context, &taken, teacher_classes), done);
        KD_TRY_GOTO(status, KD_NEW(context, &made.student, made.classes), done);
        KD_TRY_GOTO(status, KD_NEW(context, &made.teacher, teacher_classes), done);
        KD_TRY_GOTO(status, kd__array_to_int64(teacher_of, ids, "teacher_of"), done);
        status = split(&made, ids, taken);
    done:
        kd__release(context, ids);
        kd__release(context, taken);
        if (status != KD_OK) {
            forget(loss, &made);
            return status;
        }
    }
    forget(loss, &loss->terms[term].shared);
    loss->terms[term].shared = made;
    return KD_OK;
}
