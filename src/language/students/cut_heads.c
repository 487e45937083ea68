/* Heads for tasks of a student: those of its teacher that read something which the student has, cut
 * along with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/log.h"
#include "core/model/task_heads.h"
#include "language/students/cutter.h"
#include "language/trunk/slice.h"

/* ---- the config ---- */

/* The student's layer that is the teacher's layer `old`; -1: it has none. */
static int64_t layer_of(const kd__cutter *c, int64_t old)
{
    int64_t found = -1;
    for (int64_t i = 0; i < c->layers; i++)
        if (c->map[i] == old) found = i;
    return found;
}

/* What the head reads, by the student's numbers; 0: the student has no such layer. */
static int map_source(const kd__cutter *c, const kd__json *head, char to[KD_NAME_BYTES])
{
    const kd__json *from = kd__json_member(head, "from");
    long old;
    char end;
    *to = 0;
    if (!from || from->type != KD__JSON_STRING) return 1;
    if (sscanf(from->text, "hidden.%ld%c", &old, &end) != 1) return 1;
    const int64_t layer = layer_of(c, old);
    snprintf(to, KD_NAME_BYTES, "hidden.%lld", (long long)layer);
    return layer >= 0;
}

static kd_status put_head(const kd__json *head, const char *source, kd__text *to)
{
    KD_TRY(kd__text_quoted(to, head->key));
    KD_TRY(kd__text_format(to, ":{"));
    for (const kd__json *n = head->first; n; n = n->next) {
        if (n != head->first) KD_TRY(kd__text_format(to, ","));
        KD_TRY(kd__text_quoted(to, n->key));
        KD_TRY(kd__text_format(to, ":"));
        if (*source && !strcmp(n->key, "from")) KD_TRY(kd__text_quoted(to, source));
        else KD_TRY(kd__json_write(to, n));
    }
    return kd__text_format(to, "}");
}

kd_status kd__cutter_put_heads(const kd__cutter *c, const kd__json *heads, kd__text *to)
{
    char source[KD_NAME_BYTES];
    int first = 1;
    KD_TRY(kd__text_format(to, "{"));
    for (const kd__json *head = heads->first; head; head = head->next) {
        if (!map_source(c, head, source)) {
            kd__log(c->teacher->object.context, KD_LOG_WARNING,
                    "student: head '%s' is left out: it reads a layer that the student has not",
                    head->key);
            continue;
        }
        if (!first) KD_TRY(kd__text_format(to, ","));
        first = 0;
        KD_TRY(put_head(head, source, to));
    }
    return kd__text_format(to, "}");
}

/* ---- weights ---- */

static const kd__task_head *same_head(const kd_model *model, const char *output)
{
    const kd__task_heads *heads = model->net.heads;
    for (int64_t i = 0; heads && i < heads->count; i++)
        if (!strcmp(heads->head[i].output, output)) return &heads->head[i];
    return NULL;
}

/* Which numbers of the teacher's input are the student's; *fits 0: none are. */
static const int32_t *columns_of(const kd__cutter *c, const kd__task_head *to,
                                 const kd__task_head *from, int *fits)
{
    kd__output_facts facts;
    kd__network_describe(&c->teacher->net, from->source, &facts);
    const int is_stream = !facts.layers && from->width == c->t->hidden && to->width == c->hidden;
    *fits = is_stream || from->width == to->width;
    return is_stream ? c->keep_hidden : NULL;
}

static void cut_head(const kd__cutter *c, kd_model *student, const kd__task_head *to,
                     const kd__task_head *from)
{
    int fits;
    const int32_t *columns = columns_of(c, to, from, &fits);
    if (!fits || to->labels != from->labels || to->hidden != from->hidden) return;
    kd__slice_tensor(student, to->dense, c->teacher, from->dense, NULL, columns);
    kd__slice_tensor(student, to->dense_bias, c->teacher, from->dense_bias, NULL, NULL);
    kd__slice_tensor(student, to->weight, c->teacher, from->weight, NULL,
                     to->hidden ? NULL : columns);
    kd__slice_tensor(student, to->bias, c->teacher, from->bias, NULL, NULL);
}

void kd__cutter_heads(const kd__cutter *c, kd_model *student)
{
    const kd__task_heads *heads = student->net.heads;
    kd__task_heads_initialize(student, 0);
    for (int64_t i = 0; heads && i < heads->count; i++) {
        const kd__task_head *from = same_head(c->teacher, heads->head[i].output);
        if (from) cut_head(c, student, &heads->head[i], from);
    }
}
