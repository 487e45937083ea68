/* Teachers of several tasks as one: what teacher "a" calls "logits" is "logits.a". Nothing is
 * averaged or copied: the fields are views of the members' targets. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "core/teacher/teacher.h"

/* ---- making ---- */

static kd_status set_name(kd_teacher *made, int32_t task, const char *name)
{
    char *to = made->task_names[task];
    if (!name || !*name) return KD_OK;
    KD_TRY(kd__name_copy(to, name, "task"));
    KD_FAIL_IF(strchr(name, '.'), KD_ERR_INVALID, "task: expected a name without '.', got '%s'",
               to);
    for (int32_t i = 0; i < task; i++)
        KD_FAIL_IF(!strcmp(made->task_names[i], to), KD_ERR_INVALID,
                   "tasks: expected a name of its own for each teacher, '%s' is there twice", to);
    return KD_OK;
}

static kd_status fill(kd_teacher *made, kd_teacher *const *teachers, const char *const *names,
                      int32_t count)
{
    KD_TRY(kd__members_hold(made, teachers, count, "tasks"));
    KD_TRY(KD_NEW(made->object.context, &made->task_names, count));
    for (int32_t i = 0; i < count; i++) KD_TRY(set_name(made, i, names[i]));
    return KD_OK;
}

/* ---- fields under their new names ---- */

static kd_status join_names(const kd_teacher *teacher, int64_t task, const char *field, char *to)
{
    const char *name = teacher->task_names[task];
    const int needed = snprintf(to, KD_NAME_BYTES, "%s%s%s", field, *name ? "." : "", name);
    KD_FAIL_IF(needed >= KD_NAME_BYTES, KD_ERR_INVALID,
               "tasks: '%s.%s': expected a name of at most %d bytes", field, name,
               KD_NAME_BYTES - 1);
    return KD_OK;
}

static kd_status rename_field(const kd_teacher *teacher, int64_t task, const char *field,
                              const kd_targets *targets, char *to)
{
    KD_TRY(join_names(teacher, task, field, to));
    const int is_there = kd__fields_find(&targets->fields, to) || kd__sparse_find(targets, to) ||
                         kd__virtual_find(targets, to);
    KD_FAIL_IF(is_there, KD_ERR_INVALID,
               "tasks: two teachers give a field '%s': name their tasks, so that it is '%s.NAME'",
               to, field);
    return KD_OK;
}

static kd_status show_fields(const kd_teacher *teacher, int64_t task, const kd__fields *from,
                             kd_targets *targets)
{
    char name[KD_NAME_BYTES];
    for (int64_t i = 0; i < from->count; i++) {
        const kd__field *f = &from->items[i];
        if (!f->active) continue;
        const int64_t entries = f->values.dims[0];
        kd_array present = KD_ARRAY_1D(f->present, KD_UINT8, entries);
        KD_TRY(rename_field(teacher, task, f->name, targets, name));
        KD_TRY(kd__fields_borrow(&targets->fields, f->unit, name, &f->values,
                                 f->present ? &present : NULL, 1, teacher->name));
        kd__fields_set_attention(&targets->fields, name, f->attention);
    }
    return KD_OK;
}

/* A head names the field of its hidden states. */
static kd_status show_head(const kd_teacher *teacher, int64_t task, const kd__virtual *head,
                           kd_targets *targets)
{
    char name[KD_NAME_BYTES], hidden[KD_NAME_BYTES];
    KD_TRY(rename_field(teacher, task, head->name, targets, name));
    KD_TRY(join_names(teacher, task, head->hidden, hidden));
    return kd_targets_borrow_head(targets, name, hidden, &head->head);
}

static kd_status show(const kd_teacher *teacher, int64_t task, const kd_targets *from,
                      kd_targets *targets)
{
    char name[KD_NAME_BYTES];
    KD_TRY(show_fields(teacher, task, &from->fields, targets));
    for (int64_t i = 0; i < from->sparse_count; i++) {
        if (!from->sparse[i]->active) continue;
        KD_TRY(rename_field(teacher, task, from->sparse[i]->name, targets, name));
        KD_TRY(kd__sparse_borrow(targets, name, from->sparse[i]));
    }
    for (int32_t i = 0; i < KD__MAX_HEADS; i++)
        if (from->heads[i].active) KD_TRY(show_head(teacher, task, &from->heads[i], targets));
    return KD_OK;
}

static kd_status read_tasks(kd_teacher *teacher, kd_batch *batch, kd_targets *targets)
{
    KD_TRY(kd__members_read(teacher, batch, targets));
    for (int64_t i = 0; i < teacher->member_count; i++)
        KD_TRY(show(teacher, i, targets->members[i], targets));
    return KD_OK;
}

kd_status kd_teacher_from_tasks(kd_teacher **out, kd_context *context, kd_teacher *const *teachers,
                                const char *const *names, int32_t count)
{
    kd_teacher *made = NULL;
    KD_NEED(teachers);
    KD_NEED(names);
    KD_TRY(kd__teacher_new(out ? &made : NULL, context, NULL));
    made->read = read_tasks;
    const kd_status status = fill(made, teachers, names, count);
    if (status != KD_OK) {
        kd_teacher_free(made);
        return status;
    }
    *out = made;
    return KD_OK;
}

/* ---- what live models keep ---- */

/* The member that a field's last part names; else one without a name; -1: neither. *length: of
 * the field's name as that member has it. */
static int64_t task_of(const kd_teacher *teacher, const char *field, size_t *length)
{
    const char *dot = strrchr(field, '.');
    int64_t unnamed = -1;
    for (int64_t i = 0; i < teacher->member_count; i++) {
        *length = dot ? (size_t)(dot - field) : 0;
        if (dot && *teacher->task_names[i] && !strcmp(dot + 1, teacher->task_names[i])) return i;
        if (!*teacher->task_names[i]) unnamed = i;
    }
    *length = strlen(field);
    return unnamed;
}

static kd_status check_asked(const kd_teacher *teacher, const char *const *names, int32_t count)
{
    size_t length;
    for (int32_t i = 0; i < count; i++)
        KD_FAIL_IF(task_of(teacher, names[i], &length) < 0, KD_ERR_NOT_FOUND,
                   "tasks: no teacher gives '%.60s': expected a field that ends with '.' and the "
                   "name of a task, as 'logits.%s' does",
                   names[i], teacher->task_names[0]);
    return KD_OK;
}

static kd_status keep_of(kd_teacher *teacher, int64_t task, const char *const *names, int32_t count,
                         char (*own)[KD_NAME_BYTES], const char **list)
{
    int32_t asked = 0;
    for (int32_t i = 0; i < count; i++) {
        size_t length;
        const int64_t found = task_of(teacher, names[i], &length);
        const int is_its = found == task || (found >= 0 && !*teacher->task_names[found] &&
                                             !*teacher->task_names[task]);
        if (!is_its || length >= KD_NAME_BYTES) continue;
        memcpy(own[asked], names[i], length);
        own[asked][length] = 0;
        list[asked] = own[asked];
        asked++;
    }
    return kd__teacher_keep(teacher->members[task], list, asked);
}

kd_status kd__tasks_keep(kd_teacher *teacher, const char *const *names, int32_t count)
{
    kd_context *context = teacher->object.context;
    char(*own)[KD_NAME_BYTES] = NULL;
    const char **list = NULL;
    kd_status status;
    KD_TRY(check_asked(teacher, names, count));
    KD_TRY_GOTO(status, KD_NEW(context, &own, count + 1), done);
    KD_TRY_GOTO(status, KD_NEW(context, &list, count + 1), done);
    for (int64_t i = 0; i < teacher->member_count && status == KD_OK; i++)
        status = keep_of(teacher, i, names, count, own, list);
done:
    kd__release(context, own);
    kd__release(context, list);
    return status;
}
