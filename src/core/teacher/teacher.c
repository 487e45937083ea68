/* Teacher handles: models, arrays, stores and callbacks behind one call. */
#include "core/teacher/teacher.h"

#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"

static const kd_teacher_options defaults = KD_TEACHER_OPTIONS_INIT;
void kd_teacher_options_init(kd_teacher_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

kd_status kd__teacher_new(kd_teacher **out, kd_context *context, const kd_teacher_options *options)
{
    kd_teacher_options o = defaults;
    kd_teacher *teacher = NULL;
    char name[KD_NAME_BYTES];
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_teacher_options"));
    KD_FAIL_IF(o.lookup != KD_LOOKUP_INDEX && o.lookup != KD_LOOKUP_KEY, KD_ERR_RANGE,
               "lookup: expected KD_LOOKUP_INDEX or KD_LOOKUP_KEY, got %d", o.lookup);
    KD_FAIL_IF(o.missing != KD_MISSING_ERROR && o.missing != KD_MISSING_ABSENT, KD_ERR_RANGE,
               "missing: expected KD_MISSING_ERROR or KD_MISSING_ABSENT, got %d", o.missing);
    KD_TRY(kd__name_copy(name, o.name ? o.name : "teacher", "teacher"));
    KD_TRY(kd__object_create((void **)&teacher, context, sizeof *teacher));
    memcpy(teacher->name, name, sizeof name);
    teacher->options = o;
    teacher->options.name = teacher->name;
    teacher->fields.context = context;
    teacher->samples = -1;
    *out = teacher;
    return KD_OK;
}

void kd_teacher_free(kd_teacher *teacher)
{
    if (!kd__object_drop(teacher)) return;
    kd_context *context = teacher->object.context;
    kd__fields_free(&teacher->fields);
    kd__release(context, teacher->keys);
    kd__table_free(&teacher->table);
    kd_model_free(teacher->model);
    for (int64_t i = 0; i < teacher->member_count; i++) kd_teacher_free(teacher->members[i]);
    kd__release(context, teacher->members);
    kd__release(context, teacher->weights);
    kd__release(context, teacher->task_names);
    if (teacher->callbacks.destroy) teacher->callbacks.destroy(teacher->callbacks.user);
    if (teacher->store) teacher->free_store(teacher->store);
    kd__object_destroy(teacher);
}

/* ---- arrays ---- */

typedef struct {
    const kd_teacher *teacher;
    const uint64_t *key;
} wanted;

static int has_key(const void *key, int64_t sample)
{
    const wanted *w = key;
    return !memcmp(w->teacher->keys + 2 * sample, w->key, 16);
}

static int64_t find_sample(const kd_teacher *teacher, const uint64_t key[2])
{
    const wanted w = { teacher, key };
    return kd__table_find(&teacher->table, key[0], has_key, &w);
}

/* The last of equal keys counts: it is added first. */
kd_status kd__teacher_set_keys(kd_teacher *teacher, const uint64_t *keys, int64_t samples)
{
    kd_context *context = teacher->object.context;
    teacher->samples = samples;
    teacher->table.context = context;
    KD_TRY(KD_NEW(context, &teacher->keys, 2 * samples));
    memcpy(teacher->keys, keys, (size_t)samples * 16);
    for (int64_t i = samples; i-- > 0;)
        if (find_sample(teacher, keys + 2 * i) < 0)
            KD_TRY(kd__table_add(&teacher->table, keys[2 * i], i));
    return KD_OK;
}

static int64_t look_up(const kd_teacher *teacher, const kd_batch *batch, const uint64_t *keys,
                       int64_t i)
{
    if (batch->views[i] && !teacher->options.any_view) return -1;
    if (teacher->options.lookup == KD_LOOKUP_KEY) return find_sample(teacher, keys + 2 * i);
    return batch->numbers[i] >= 0 && batch->numbers[i] < teacher->samples ? batch->numbers[i] : -1;
}

static kd_status find_samples(const kd_teacher *teacher, kd_batch *batch, kd_targets *targets,
                              int64_t *missing)
{
    const uint64_t *keys = NULL;
    *missing = 0;
    if (teacher->options.lookup == KD_LOOKUP_KEY) KD_TRY(kd__batch_keys(batch, &keys));
    KD_TRY(KD_RESERVE(targets->object.context, &targets->places, &targets->places_room,
                      batch->samples));
    for (int64_t i = 0; i < batch->samples; i++) {
        targets->places[i] = look_up(teacher, batch, keys, i);
        if (targets->places[i] >= 0) continue;
        KD_FAIL_IF(teacher->options.missing == KD_MISSING_ERROR, KD_ERR_NOT_FOUND,
                   "%s has no answer for sample %lld (view %lld)", teacher->name,
                   (long long)batch->numbers[i], (long long)batch->views[i]);
        ++*missing;
    }
    return KD_OK;
}

static kd_status gather_field(const kd__field *from, kd_targets *targets, int64_t missing)
{
    kd__field *to;
    int64_t dims[KD_ARRAY_MAX_RANK];
    size_t row = (size_t)kd__array_row(&from->values) * kd_dtype_bytes(from->values.dtype);
    memcpy(dims, from->values.dims, sizeof dims);
    dims[0] = targets->fields.samples;
    KD_TRY(kd__fields_open_unit(&targets->fields, KD__OF_SAMPLES, from->name, from->values.dtype,
                                from->values.rank, dims, &to));
    if (missing || from->present) KD_TRY(kd__fields_open_present(&targets->fields, to));
    for (int64_t i = 0; i < dims[0]; i++) {
        int64_t place = targets->places[i];
        int here = place >= 0 && (!from->present || from->present[place]);
        if (to->present) to->present_buffer[i] = (uint8_t)here;
        if (here)
            memcpy(to->buffer + (size_t)i * row,
                   (const char *)from->values.data + (size_t)place * row, row);
        else memset(to->buffer + (size_t)i * row, 0, row);
    }
    return KD_OK;
}

static kd_status read_arrays(kd_teacher *teacher, kd_batch *batch, kd_targets *targets)
{
    int64_t missing;
    int active = 0;
    KD_TRY(find_samples(teacher, batch, targets, &missing));
    for (int64_t f = 0; f < teacher->fields.count; f++) {
        if (!teacher->fields.items[f].active) continue;
        KD_TRY(gather_field(&teacher->fields.items[f], targets, missing));
        active++;
    }
    KD_FAIL_IF(!active, KD_ERR_STATE, "%s has no fields yet", teacher->name);
    return KD_OK;
}

kd_status kd_teacher_create(kd_teacher **out, kd_context *context, const kd_array *keys,
                            const kd_teacher_options *options)
{
    kd_teacher *teacher = NULL;
    uint64_t *words = NULL;
    KD_TRY(kd__teacher_new(out ? &teacher : NULL, context, options));
    teacher->read = read_arrays;
    kd_status status = KD_OK;
    int by_key = teacher->options.lookup == KD_LOOKUP_KEY;
    if (by_key != (keys != NULL))
        status = kd__fail(KD_ERR_INVALID, by_key ? "KD_LOOKUP_KEY needs keys"
                                                 : "keys are given, but lookup is KD_LOOKUP_INDEX");
    if (status == KD_OK && keys) {
        status = kd__array_check(keys, "keys");
        if (status == KD_OK && (keys->rank != 2 || keys->dims[1] != 2 ||
                                (keys->dtype != KD_UINT64 && keys->dtype != KD_INT64)))
            status = kd__fail(KD_ERR_SHAPE, "keys: expected (samples, 2) uint64");
        if (status == KD_OK) status = KD_NEW(context, &words, 2 * keys->dims[0]);
        if (status == KD_OK) kd__array_copy(keys, words);
        if (status == KD_OK) status = kd__teacher_set_keys(teacher, words, keys->dims[0]);
        kd__release(context, words);
    }
    if (status != KD_OK) {
        kd_teacher_free(teacher);
        return status;
    }
    *out = teacher;
    return KD_OK;
}

static kd_status begin_field(kd_teacher *teacher, const char *field, const kd_array *values)
{
    KD_NEED(teacher);
    KD_FAIL_IF(teacher->read != read_arrays, KD_ERR_STATE, "%s is not made from arrays",
               teacher->name);
    KD_TRY(kd__array_check(values, field ? field : "field"));
    KD_FAIL_IF(!field || values->rank < 1, KD_ERR_SHAPE,
               "a teacher's field: expected a name and a rank of at least 1");
    KD_FAIL_IF(kd__fields_find(&teacher->fields, field), KD_ERR_INVALID,
               "%s has a field '%.60s' already", teacher->name, field);
    KD_FAIL_IF(!strcmp(field, "label") && !kd__dtype_is_integer(values->dtype), KD_ERR_DTYPE,
               "label: expected integers, got %s", kd__dtype_name(values->dtype));
    if (teacher->samples < 0) teacher->samples = values->dims[0];
    teacher->fields.rows = teacher->samples;
    return KD_OK;
}

/* Rows of probabilities to their logarithms, in place. */
static kd_status take_logarithms(float *values, int64_t rows, int64_t width)
{
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t i = 0; i < width; i++) {
            float p = values[r * width + i];
            KD_FAIL_IF(!(p >= 0 && p <= 1.001f), KD_ERR_RANGE,
                       "probabilities: row %lld: expected 0 to 1, got %g", (long long)r, p);
            sum += p;
        }
        KD_FAIL_IF(fabs(sum - 1) > 1e-3, KD_ERR_RANGE,
                   "probabilities: row %lld: expected a sum of 1, got %.6f", (long long)r, sum);
        for (int64_t i = 0; i < width; i++) values[r * width + i] = logf(values[r * width + i]);
    }
    return KD_OK;
}

kd_status kd_teacher_add(kd_teacher *teacher, const char *field, const kd_array *values)
{
    KD_TRY(begin_field(teacher, field, values));
    int probabilities = !strcmp(field, "probabilities");
    const char *name = probabilities ? "logits" : field;
    KD_FAIL_IF(probabilities && kd__fields_find(&teacher->fields, name), KD_ERR_INVALID,
               "%s has logits already", teacher->name);
    KD_TRY(kd__fields_set(&teacher->fields, KD__OF_ROWS, name, values, NULL, teacher->name));
    if (!probabilities) return KD_OK;
    kd__field *made = (kd__field *)(uintptr_t)kd__fields_find(&teacher->fields, name);
    kd_status status =
        made->values.dtype == KD_FLOAT32
            ? take_logarithms(made->values.data, made->values.dims[0], kd__array_row(&made->values))
            : kd__fail(KD_ERR_DTYPE, "probabilities: expected floats");
    if (status != KD_OK) made->active = 0;
    return status;
}

kd_status kd_teacher_borrow(kd_teacher *teacher, const char *field, const kd_array *values)
{
    KD_TRY(begin_field(teacher, field, values));
    KD_FAIL_IF(!strcmp(field, "probabilities"), KD_ERR_INVALID,
               "probabilities cannot be borrowed: the library keeps their logarithms, so add them");
    return kd__fields_borrow(&teacher->fields, KD__OF_ROWS, field, values, NULL, 1, teacher->name);
}

kd_status kd_teacher_field(kd_teacher *teacher, const char *field, kd_array *values)
{
    KD_NEED(teacher);
    KD_NEED(values);
    return kd__fields_view(&teacher->fields, field, values, NULL, teacher->name);
}

/* ---- a live model ---- */

/* An output that the pass kept; the logits of a language model as its hidden states and its
 * head. */
static kd_status offer(const kd_teacher *teacher, int32_t slot, kd_targets *targets)
{
    kd_model *model = teacher->model;
    kd__output_facts facts, hidden;
    kd_array values, there;
    const uint8_t *present;
    kd_head head = KD_HEAD_INIT;
    kd__network_describe(&model->net, slot, &facts);
    if (facts.unit == KD_UNIT_OF_BATCH) return KD_OK; /* it says nothing of a row */
    const int32_t from = kd__model_head(model, slot, 0, &head);
    if (from >= 0) {
        kd__network_describe(&model->net, from, &hidden);
        return kd_targets_borrow_head(targets, facts.name, hidden.name, &head);
    }
    KD_TRY(kd__model_output(model, slot, facts.name, &values));
    const int32_t unit = facts.unit == KD_UNIT_OF_SAMPLE ? KD__OF_SAMPLES : KD__OF_ROWS;
    KD_TRY(kd__model_present(model, NULL, slot, &present));
    kd__array_view(&there, (void *)(uintptr_t)present, KD_UINT8, 1, values.dims);
    KD_TRY(
        kd__fields_borrow(&targets->fields, unit, facts.name, &values, &there, 0, teacher->name));
    kd__fields_set_attention(&targets->fields, facts.name, facts.attention);
    return KD_OK;
}

static kd_status read_model(kd_teacher *teacher, kd_batch *batch, kd_targets *targets)
{
    kd_model *model = teacher->model;
    KD_TRY(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    for (int32_t s = 0; s < model->net.slots; s++) /* what a head reads is kept, and not offered */
        if (model->net.kept[s] && model->net.asked[s]) KD_TRY(offer(teacher, s, targets));
    return KD_OK;
}

kd_status kd__teacher_keep(kd_teacher *teacher, const char *const *names, int32_t count)
{
    int32_t slot;
    if (teacher->task_names) return kd__tasks_keep(teacher, names, count);
    for (int64_t i = 0; i < teacher->member_count; i++)
        KD_TRY(kd__teacher_keep(teacher->members[i], names, count));
    if (!teacher->model || !count) return KD_OK;
    for (int32_t i = 0; i < count; i++) KD_TRY(kd__model_slot(teacher->model, names[i], &slot));
    KD_TRY(kd_model_keep(teacher->model, "*", 0));
    for (int32_t i = 0; i < count; i++) KD_TRY(kd_model_keep(teacher->model, names[i], 1));
    return KD_OK;
}

kd_status kd_teacher_from_model(kd_teacher **out, kd_model *model,
                                const kd_teacher_options *options)
{
    kd_teacher *teacher = NULL;
    KD_NEED(model);
    KD_TRY(kd__teacher_new(out ? &teacher : NULL, model->object.context, options));
    teacher->model = kd__object_hold(model);
    teacher->read = read_model;
    *out = teacher;
    return KD_OK;
}

/* ---- the host's own ---- */

static kd_status read_callbacks(kd_teacher *teacher, kd_batch *batch, kd_targets *targets)
{
    kd_status status = teacher->callbacks.read(teacher->callbacks.user, batch, targets);
    if (status < 0) return status;
    KD_FAIL_IF(status > 0, KD_ERR_CALLBACK,
               "%s: the read callback returned %d: expected 0 or a negative status", teacher->name,
               status);
    return KD_OK;
}

kd_status kd_teacher_from_callbacks(kd_teacher **out, kd_context *context,
                                    const kd_teacher_callbacks *callbacks,
                                    const kd_teacher_options *options)
{
    kd_teacher_callbacks c = { .struct_size = sizeof c };
    kd_teacher *teacher = NULL;
    KD_NEED(callbacks);
    KD_TRY(kd__options_read(&c, sizeof c, callbacks, "kd_teacher_callbacks"));
    KD_FAIL_IF(!c.read, KD_ERR_INVALID,
               "kd_teacher_callbacks: read: expected a function, got NULL");
    KD_TRY(kd__teacher_new(out ? &teacher : NULL, context, options));
    teacher->callbacks = c;
    teacher->read = read_callbacks;
    *out = teacher;
    return KD_OK;
}

/* ---- reading ---- */

kd_status kd_teacher_read(kd_teacher *teacher, kd_batch *batch, kd_targets *targets)
{
    KD_NEED(teacher);
    KD_NEED(batch);
    KD_NEED(targets);
    KD_TRY(kd__targets_begin_for(targets, batch));
    if (teacher->model ? !kd__model_entries(teacher->model, batch) : !batch->fields.rows)
        return KD_OK;
    kd_status status = teacher->read(teacher, batch, targets);
    if (status != KD_OK) kd_targets_begin(targets, 0);
    return status;
}
