/* Students cut out of a language model, decoder or encoder. */
#include <kdistill/student.h>

#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/model/layer_map.h"
#include "language/students/cutter.h"

static const kd_student_options defaults = KD_STUDENT_OPTIONS_INIT;
void kd_student_options_init(kd_student_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

/* ---- options ---- */

static kd_status size_of(int32_t asked, int64_t whole, const char *name, int64_t *size)
{
    KD_FAIL_IF(asked < 0 || asked > whole, KD_ERR_RANGE,
               "%s: expected 0 (all) to %lld, which the teacher has, got %d", name,
               (long long)whole, asked);
    *size = asked ? asked : whole;
    return KD_OK;
}

static kd_status make_map(kd__cutter *c)
{
    const int64_t n = c->layers, whole = c->t->layers;
    KD_FAIL_IF(c->o.choose < KD_LAYERS_UNIFORM || c->o.choose > KD_LAYERS_GREEDY, KD_ERR_RANGE,
               "choose: expected 0 to %d, got %d", KD_LAYERS_GREEDY, c->o.choose);
    if (c->o.choose == KD_LAYERS_INFLUENCE && !c->o.layer_map)
        return kd__influential_layers(c->teacher, c->o.calibration, n, c->map);
    if (c->o.choose == KD_LAYERS_GREEDY && !c->o.layer_map)
        return kd__greedy_layers(c->teacher, c->o.calibration, n, c->map);
    for (int64_t i = 0; i < n; i++) {
        c->map[i] = c->o.layer_map ? c->o.layer_map[i]
                                   : (int32_t)kd__mapped_layer(c->o.choose, i, n, whole);
        KD_FAIL_IF(c->map[i] < 0 || c->map[i] >= whole, KD_ERR_RANGE,
                   "layer_map: layer %lld: the teacher has no layer %d", (long long)i, c->map[i]);
    }
    return KD_OK;
}

/* Where a family has no key for the width of a head, heads fill a row: their number follows from
 * hidden_size. */
static kd_status match_heads(kd__cutter *c)
{
    const int64_t width = c->t->width;
    if (c->t->kind->width) return KD_OK;
    KD_FAIL_IF(c->hidden % width, KD_ERR_RANGE,
               "hidden_size: the teacher's heads have %lld numbers each and fill a row: expected a "
               "multiple of that, got %lld",
               (long long)width, (long long)c->hidden);
    KD_FAIL_IF(c->o.key_value_heads && c->o.key_value_heads * width != c->hidden, KD_ERR_RANGE,
               "key_value_heads: the teacher's heads have %lld numbers each and fill a row: "
               "hidden_size %lld has %lld of them, got %d",
               (long long)width, (long long)c->hidden, (long long)(c->hidden / width),
               c->o.key_value_heads);
    c->kv = c->hidden / width;
    return KD_OK;
}

static kd_status prepare(kd__cutter *c)
{
    kd_context *context = c->teacher->object.context;
    KD_TRY(size_of(c->o.layers, c->o.layer_map ? 4096 : c->t->layers, "layers", &c->layers));
    KD_FAIL_IF(c->o.layer_map && !c->o.layers, KD_ERR_INVALID,
               "layer_map needs the number of layers");
    KD_TRY(size_of(c->o.hidden_size, c->t->hidden, "hidden_size", &c->hidden));
    KD_TRY(size_of(c->o.intermediate_size, c->t->inner, "intermediate_size", &c->inner));
    KD_TRY(size_of(c->o.key_value_heads, c->t->kv_heads, "key_value_heads", &c->kv));
    KD_TRY(match_heads(c));
    KD_TRY(KD_NEW(context, &c->map, c->layers));
    KD_TRY(KD_NEW(context, &c->keep_hidden, c->hidden));
    KD_TRY(KD_NEW(context, &c->keep_inner, c->layers * c->inner));
    KD_TRY(KD_NEW(context, &c->keep_kv, c->layers * c->kv));
    return make_map(c);
}

static kd_status begin(kd__cutter *c, const kd_student_options *options)
{
    kd_model *teacher = c->teacher;
    KD_TRY(kd__options_read(&c->o, sizeof c->o, options, "kd_student_options"));
    KD_FAIL_IF(!kd__has_trunk(teacher) || !kd__trunk_config_of(teacher)->kind, KD_ERR_UNSUPPORTED,
               "student: the teacher is neither a decoder nor an encoder of language (model_type: "
               "%s); a tower is one after kd_towers_save",
               teacher->net.engine->model_types);
    KD_TRY(kd__model_check_whole(teacher, "student: teacher"));
    KD_FAIL_IF(c->o.model.packed_only, KD_ERR_UNSUPPORTED,
               "student: packed_only: expected 0, since it is cut out in float32: save it and load "
               "it with packed_only 1");
    c->t = kd__trunk_config_of(teacher);
    return kd__model_refresh(teacher);
}

static void end(kd__cutter *c)
{
    kd_context *context = c->teacher->object.context;
    kd__release(context, c->map);
    kd__release(context, c->keep_hidden);
    kd__release(context, c->keep_inner);
    kd__release(context, c->keep_kv);
}

kd_status kd_student_map_layers(kd_model *teacher, const kd_student_options *options, int32_t *map)
{
    kd__cutter c = { .teacher = teacher, .o = defaults };
    KD_NEED(teacher);
    KD_NEED(map);
    KD_TRY(begin(&c, options));
    const kd_status status = prepare(&c);
    if (status == KD_OK) memcpy(map, c.map, (size_t)c.layers * sizeof *map);
    end(&c);
    return status;
}

kd_status kd_student_create(kd_model **out, kd_model *teacher, const kd_student_options *options)
{
    kd__cutter c = { .teacher = teacher, .o = defaults };
    kd_model *student = NULL;
    KD_NEED(out);
    KD_NEED(teacher);
    KD_TRY(begin(&c, options));
    kd_context *context = teacher->object.context;
    kd__text config = { .context = context };
    kd_status status = prepare(&c);
    if (status == KD_OK) status = kd__cutter_choose(&c);
    if (status == KD_OK) status = kd__cutter_config(&c, &config);
    if (status == KD_OK) status = kd__model_make(&student, context, config.bytes, &c.o.model);
    if (status == KD_OK) status = kd__cutter_weights(&c, student);
    if (status == KD_OK) status = kd__model_finish(student);
    if (status == KD_OK && teacher->folder)
        status = kd__copy_text(context, &student->folder, teacher->folder);
    kd__text_free(&config);
    end(&c);
    if (status != KD_OK) {
        kd_model_free(student);
        return status;
    }
    *out = student;
    return KD_OK;
}
