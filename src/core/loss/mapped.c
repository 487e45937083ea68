/* Terms of several layers at once, and what their models are to keep. */
#include <stdio.h>
#include <string.h>

#include <kdistill/feature.h>

#include "core/loss/loss.h"
#include "core/model/layer_map.h"

/* ---- maps of layers ---- */

kd_status kd_loss_map_layers(int32_t map, int32_t student_layers, int32_t teacher_layers,
                             int32_t *teacher_of)
{
    KD_NEED(teacher_of);
    KD_FAIL_IF(map < KD_LAYERS_UNIFORM || map > KD_LAYERS_BLOCKS, KD_ERR_RANGE,
               "map: expected %d (KD_LAYERS_UNIFORM) to %d (KD_LAYERS_BLOCKS), got %d",
               KD_LAYERS_UNIFORM, KD_LAYERS_BLOCKS, map);
    KD_FAIL_IF(student_layers < 1 || student_layers > teacher_layers, KD_ERR_RANGE,
               "student_layers: expected 1 to %d, the teacher's, got %d", teacher_layers,
               student_layers);
    for (int32_t i = 0; i < student_layers; i++)
        teacher_of[i] = (int32_t)kd__mapped_layer(map, i, student_layers, teacher_layers);
    return KD_OK;
}

/* ---- a term for each pair ---- */

/* "hidden.%d" */
static kd_status check_marked(const char *name, const char *what)
{
    const char *mark = name ? strstr(name, "%d") : NULL;
    const int one = mark && strchr(name, '%') == mark && !strchr(mark + 1, '%');
    KD_FAIL_IF(!one || strlen(name) >= KD_NAME_BYTES, KD_ERR_INVALID,
               "%s: expected a name with one %%d for the layer, got '%.60s'", what,
               name ? name : "NULL");
    return KD_OK;
}

static void mark(char to[2 * KD_NAME_BYTES], const char *name, int32_t layer)
{
    const char *at = strstr(name, "%d");
    snprintf(to, 2 * KD_NAME_BYTES, "%.*s%d%s", (int)(at - name), name, layer, at + 2);
}

static kd_status count_mapped(const kd_loss *loss, const int32_t *teacher_of, int32_t layers,
                              int32_t *count)
{
    *count = 0;
    for (int32_t i = 0; i < layers; i++) {
        KD_FAIL_IF(teacher_of[i] < -1, KD_ERR_RANGE,
                   "teacher_of: layer %d: expected a layer, or -1 for none, got %d", i,
                   teacher_of[i]);
        *count += teacher_of[i] >= 0;
    }
    KD_FAIL_IF(!*count, KD_ERR_INVALID, "teacher_of: no layer is mapped");
    KD_FAIL_IF(*count > KD_LOSS_MAX_TERMS - loss->count, KD_ERR_RANGE,
               "%d layers are mapped, but a loss has at most %d terms and this one %d", *count,
               KD_LOSS_MAX_TERMS, loss->count);
    return KD_OK;
}

static kd_status add_pair(kd_loss *loss, int32_t kind, double weight, const kd_term_options *o,
                          int32_t layer, int32_t teacher_layer)
{
    char output[2 * KD_NAME_BYTES], field[2 * KD_NAME_BYTES];
    kd_term_options pair = *o;
    mark(output, o->student_output, layer);
    mark(field, o->teacher_field, teacher_layer);
    pair.student_output = output;
    pair.teacher_field = field;
    return kd_loss_add(loss, kind, weight, &pair, NULL);
}

kd_status kd_loss_add_mapped(kd_loss *loss, int32_t kind, double weight,
                             const kd_term_options *options, const int32_t *teacher_of,
                             int32_t student_layers, int32_t *first_term)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    int32_t count;
    kd_status status = KD_OK;
    KD_NEED(loss);
    KD_NEED(options);
    KD_NEED(teacher_of);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_term_options"));
    o.struct_size = sizeof o;
    KD_TRY(check_marked(o.student_output, "student_output"));
    KD_TRY(check_marked(o.teacher_field, "teacher_field"));
    KD_TRY(count_mapped(loss, teacher_of, student_layers, &count));
    const int32_t terms = loss->count, outputs = loss->output_count;
    for (int32_t i = 0; i < student_layers && status == KD_OK; i++)
        if (teacher_of[i] >= 0) status = add_pair(loss, kind, weight / count, &o, i, teacher_of[i]);
    if (status != KD_OK) {
        loss->count = terms;
        loss->output_count = outputs;
        return status;
    }
    if (first_term) *first_term = terms;
    return KD_OK;
}

/* ---- what is kept ---- */

static kd_status keep_student(const kd_loss *loss, kd_model *student)
{
    int32_t slot;
    for (int32_t i = 0; i < loss->output_count; i++)
        KD_TRY(kd__model_slot(student, loss->outputs[i].name, &slot));
    for (int32_t i = 0; i < loss->output_count; i++)
        KD_TRY(kd_model_keep(student, loss->outputs[i].name, 1));
    return KD_OK;
}

static kd_status keep_teacher(const kd_loss *loss, kd_teacher *teacher)
{
    const char *names[5 * KD_LOSS_MAX_TERMS];
    int32_t count = 0;
    for (int32_t t = 0; t < loss->count; t++) {
        const kd_term_options *o = &loss->terms[t].o;
        if (o->teacher_field) names[count++] = o->teacher_field;
        if (*loss->terms[t].key_field) names[count++] = loss->terms[t].key_field;
        const kd__pair_names *pairs = &loss->terms[t].pairs.names;
        if (*pairs->constant) names[count++] = pairs->constant;
        if (*pairs->taught) names[count++] = pairs->taught;
        if (!strncmp(o->label_field, "teacher:", 8)) names[count++] = o->label_field + 8;
    }
    return kd__teacher_keep(teacher, names, count);
}

kd_status kd_loss_keep_outputs(kd_loss *loss, kd_model *student, kd_teacher *teacher)
{
    KD_NEED(loss);
    KD_FAIL_IF(!loss->count, KD_ERR_STATE, "the loss has no terms");
    if (student) KD_TRY(keep_student(loss, student));
    return teacher ? keep_teacher(loss, teacher) : KD_OK;
}
