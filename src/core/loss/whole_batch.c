/* Chunks of a batch put together. */
#include "core/loss/whole_batch.h"

#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"

/* ---- fields ---- */

/* One field of all chunks. */
typedef struct {
    kd__whole *whole;
    const char *name, *what;
    const kd__field **of; /* (count) */
    int32_t first;        /* the first chunk that has rows: nothing is asked of others */
    int32_t unit, has_presence;
} joined;

static int64_t rows_of(const kd__whole *w, int32_t chunk)
{
    return w->first_row[chunk + 1] - w->first_row[chunk];
}

/* Nothing is asked of the fields of others. */
static int is_passed(const kd__whole *w, int32_t chunk)
{
    return w->first_sample[chunk + 1] > w->first_sample[chunk];
}

static int64_t entries_of(const kd__whole *w, int32_t unit, int32_t first, int32_t end)
{
    const int64_t *at = unit == KD__OF_ROWS ? w->first_row : w->first_sample;
    return at[end] - at[first];
}

/* A field of rows is one of samples where each sample is one row. */
static kd_status check_entries(const joined *j, int32_t i)
{
    const kd__field *field = j->of[i];
    const int64_t expected = entries_of(j->whole, j->unit, i, i + 1),
                  samples = entries_of(j->whole, KD__OF_SAMPLES, i, i + 1);
    const int same = field->unit == j->unit || samples == rows_of(j->whole, i);
    KD_FAIL_IF(!same || field->unit == KD__RAGGED || field->values.dims[0] != expected,
               KD_ERR_SHAPE, "chunk %d: field '%s' is %s (%lld), expected %s (%lld)", i, j->name,
               kd__unit_name(field->unit), (long long)field->values.dims[0], kd__unit_name(j->unit),
               (long long)expected);
    return KD_OK;
}

static kd_status check_chunks(joined *j)
{
    const kd_array *first = &j->of[j->first]->values;
    j->unit = KD__OF_ROWS;
    for (int32_t i = 0; i < j->whole->count; i++) {
        if (!is_passed(j->whole, i)) continue;
        KD_FAIL_IF(!j->of[i], KD_ERR_NOT_FOUND,
                   "chunk %d: the %s no field '%s', which chunk %d has", i, j->what, j->name,
                   j->first);
        const kd_array *values = &j->of[i]->values;
        KD_FAIL_IF(values->dtype != first->dtype || kd__array_row(values) != kd__array_row(first),
                   KD_ERR_SHAPE, "chunk %d: field '%s' has %lld %s a row, in chunk %d %lld %s", i,
                   j->name, (long long)kd__array_row(values), kd__dtype_name(values->dtype),
                   j->first, (long long)kd__array_row(first), kd__dtype_name(first->dtype));
        if (j->of[i]->unit == KD__OF_SAMPLES) j->unit = KD__OF_SAMPLES;
        j->has_presence |= j->of[i]->present != NULL;
    }
    for (int32_t i = 0; i < j->whole->count; i++)
        if (is_passed(j->whole, i)) KD_TRY(check_entries(j, i));
    return KD_OK;
}

static kd_status fill(const joined *j, char *values, uint8_t *present, kd__fields *to)
{
    const kd__whole *w = j->whole;
    kd_array all = j->of[j->first]->values;
    int64_t dims[KD_ARRAY_MAX_RANK], at = 0;
    const int64_t bytes = kd__array_row(&all) * (int64_t)kd_dtype_bytes(all.dtype);
    for (int32_t i = 0; i < w->count; i++) {
        const kd__field *field = j->of[i];
        if (!is_passed(w, i)) continue;
        const int64_t entries = field->values.dims[0];
        memcpy(values + at * bytes, field->values.data, (size_t)(entries * bytes));
        if (field->present) memcpy(present + at, field->present, (size_t)entries);
        else memset(present + at, 1, (size_t)entries);
        at += entries;
    }
    memcpy(dims, all.dims, sizeof dims);
    dims[0] = at;
    kd__array_view(&all, values, all.dtype, all.rank, dims);
    const kd_array there = KD_ARRAY_1D(present, KD_UINT8, at);
    return kd__fields_set(to, j->unit, j->name, &all, j->has_presence ? &there : NULL, j->what);
}

/* A field that the first chunk with rows has; what lacks it says so later. */
static kd_status join(joined *j, kd__fields *to)
{
    kd_context *context = j->whole->context;
    char *values = NULL;
    uint8_t *present = NULL;
    kd_status status;
    while (!is_passed(j->whole, j->first)) j->first++;
    if (!j->of[j->first]) return KD_OK;
    KD_TRY(check_chunks(j));
    const kd_array *first = &j->of[j->first]->values;
    const int64_t entries = entries_of(j->whole, j->unit, 0, j->whole->count);
    const int64_t bytes = kd__array_row(first) * (int64_t)kd_dtype_bytes(first->dtype);
    KD_TRY_GOTO(status, KD_NEW(context, &values, entries * bytes), done);
    KD_TRY_GOTO(status, KD_NEW(context, &present, entries), done);
    status = fill(j, values, present, to);
done:
    kd__release(context, values);
    kd__release(context, present);
    return status;
}

typedef struct {
    kd__whole *whole;
    kd_batch *const *chunks;
    kd_targets *const *targets;
    const kd__field **of;
} joining;

static kd_status join_batch(const joining *j, const char *name)
{
    joined one = { j->whole, name, "batch has", j->of, 0, 0, 0 };
    if (!name || !*name) return KD_OK;
    for (int32_t i = 0; i < j->whole->count; i++)
        j->of[i] = kd__fields_find(&j->chunks[i]->fields, name);
    return join(&one, &j->whole->batch->fields);
}

static kd_status join_targets(const joining *j, const char *name)
{
    joined one = { j->whole, name, "targets have", j->of, 0, 0, 0 };
    if (!name || !*name || !j->targets) return KD_OK;
    for (int32_t i = 0; i < j->whole->count; i++)
        j->of[i] = j->targets[i] ? kd__fields_find(&j->targets[i]->fields, name) : NULL;
    return join(&one, &j->whole->targets->fields);
}

static kd_status join_term(const joining *j, const kd__term *term)
{
    const kd__pair_names *pairs = &term->pairs.names;
    KD_TRY(join_batch(j, term->o.mask_field));
    KD_TRY(join_batch(j, pairs->group));
    KD_TRY(join_batch(j, pairs->side));
    KD_TRY(join_targets(j, term->o.teacher_field));
    KD_TRY(join_targets(j, pairs->constant));
    return join_targets(j, pairs->taught);
}

static kd_status join_fields(const joining *j)
{
    for (int32_t t = 0; t < j->whole->loss->count; t++)
        if (j->whole->terms >> t & 1) KD_TRY(join_term(j, &j->whole->loss->terms[t]));
    return KD_OK;
}

/* ---- rows ---- */

static kd_status place_chunks(kd__whole *w, kd_batch *const *chunks)
{
    KD_TRY(KD_NEW(w->context, &w->first_row, w->count + 1));
    KD_TRY(KD_NEW(w->context, &w->first_sample, w->count + 1));
    w->first_row[0] = w->first_sample[0] = 0;
    for (int32_t i = 0; i < w->count; i++) {
        const int64_t rows = chunks[i]->fields.rows;
        w->first_row[i + 1] = w->first_row[i] + rows;
        w->first_sample[i + 1] = w->first_sample[i] +
                                 (rows || w->by_samples ? chunks[i]->samples : 0);
    }
    return KD_OK;
}

static kd_status begin_batch(kd__whole *w, kd_batch *const *chunks)
{
    const int64_t samples = w->first_sample[w->count];
    int64_t *offsets = NULL;
    KD_TRY(KD_NEW(w->context, &offsets, samples + 1));
    offsets[0] = 0;
    for (int32_t i = 0; i < w->count; i++)
        for (int64_t s = 0; s < w->first_sample[i + 1] - w->first_sample[i]; s++)
            offsets[w->first_sample[i] + s + 1] = w->first_row[i] + chunks[i]->offsets[s + 1];
    const kd_array all = KD_ARRAY_1D(offsets, KD_INT64, samples + 1);
    kd_status status = kd_batch_create(&w->batch, w->context, NULL);
    if (status == KD_OK) status = kd_batch_begin_packed(w->batch, &all);
    if (status == KD_OK) status = kd_targets_create(&w->targets, w->context, NULL);
    if (status == KD_OK) status = kd__targets_begin_for(w->targets, w->batch);
    kd__release(w->context, offsets);
    return status;
}

/* ---- outputs ---- */

static kd_status use(kd__whole *w, kd_model *model, int32_t output)
{
    kd_head head = KD_HEAD_INIT;
    kd__bound_output *bound = &w->loss->outputs[output];
    kd__whole_output *o = &w->output[output];
    KD_TRY(kd__output_bind(bound, model));
    KD_FAIL_IF(kd__model_head(model, bound->slot, 0, &head) >= 0, KD_ERR_UNSUPPORTED,
               "'%s' is computed by a head, in blocks: terms over a whole batch compare what a "
               "network holds",
               bound->name);
    o->is_used = 1;
    o->unit = kd__model_unit(model, bound->slot);
    return KD_OK;
}

static kd_status use_outputs(kd__whole *w, kd_model *model)
{
    for (int32_t t = 0; t < w->loss->count; t++) {
        const kd__term *term = &w->loss->terms[t];
        if (!(w->terms >> t & 1)) continue;
        KD_TRY(use(w, model, term->output));
        KD_TRY(use(w, model, term->key_output));
        for (int s = 0; s < KD__PAIR_SCALARS; s++)
            if (term->pairs.scalar[s]) KD_TRY(use(w, model, term->pairs.scalar[s] - 1));
    }
    return KD_OK;
}

kd_status kd__whole_begin(kd__whole *w, kd_loss *loss, uint64_t terms, kd_model *model,
                          kd_batch *const *chunks, kd_targets *const *targets, int32_t count)
{
    *w = (kd__whole){ .loss = loss,
                      .context = loss->object.context,
                      .terms = terms,
                      .count = count,
                      .by_samples = model->net.engine->by_samples };
    joining j = { w, chunks, targets, NULL };
    KD_TRY(use_outputs(w, model));
    KD_TRY(place_chunks(w, chunks));
    KD_TRY(begin_batch(w, chunks));
    KD_TRY(KD_NEW(w->context, &j.of, count));
    const kd_status status = join_fields(&j);
    kd__release(w->context, j.of);
    return status;
}

/* Entries before chunk i. */
static int64_t first_of(const kd__whole *w, const kd__whole_output *o, int32_t chunk)
{
    if (o->unit == KD_UNIT_OF_BATCH) return w->first_sample[chunk] > 0;
    return o->unit == KD_UNIT_OF_ROW ? w->first_row[chunk] : w->first_sample[chunk];
}

static kd_status make_room(kd__whole *w, kd__whole_output *o, const kd_array *values)
{
    int64_t floats;
    o->width = kd__array_row(values);
    kd__map_shape(values, o->shape);
    o->grid = o->unit == KD_UNIT_OF_BATCH ? 0 : kd__grid_of(values, KD__OF_SAMPLES, NULL);
    KD_TRY(kd__multiply(first_of(w, o, w->count), o->width, &floats));
    KD_TRY(KD_NEW(w->context, &o->values, floats));
    return KD_NEW(w->context, &o->gradient, floats);
}

/* Which of a chunk's entries are there. */
static kd_status take_presence(kd__whole *w, kd_model *model, int32_t output, int32_t chunk)
{
    kd__whole_output *o = &w->output[output];
    const uint8_t *present;
    const int64_t first = first_of(w, o, chunk), entries = first_of(w, o, chunk + 1) - first,
                  all = first_of(w, o, w->count);
    KD_TRY(kd__model_present(model, NULL, w->loss->outputs[output].slot, &present));
    if (!present) return KD_OK;
    if (!o->present) {
        KD_TRY(KD_NEW(w->context, &o->present, all));
        memset(o->present, 1, (size_t)all);
    }
    memcpy(o->present + first, present, (size_t)entries);
    return KD_OK;
}

kd_status kd__whole_take(kd__whole *w, kd_model *model, int32_t chunk)
{
    for (int32_t i = 0; i < w->loss->output_count; i++) {
        kd__whole_output *o = &w->output[i];
        kd_array values;
        if (!o->is_used) continue;
        KD_TRY(
            kd__model_output(model, w->loss->outputs[i].slot, w->loss->outputs[i].name, &values));
        if (!o->values) KD_TRY(make_room(w, o, &values));
        const int64_t first = first_of(w, o, chunk), entries = first_of(w, o, chunk + 1) - first;
        KD_FAIL_IF(o->unit != KD_UNIT_OF_BATCH && values.dims[0] != entries, KD_ERR_SHAPE,
                   "chunk %d has %lld rows, its output '%s' %lld", chunk, (long long)entries,
                   w->loss->outputs[i].name, (long long)values.dims[0]);
        for (int64_t r = 0; r < entries; r++)
            memcpy(o->values + (first + r) * o->width,
                   (const float *)values.data + r * values.strides[0],
                   (size_t)o->width * sizeof *o->values);
        KD_TRY(take_presence(w, model, i, chunk));
    }
    return KD_OK;
}

int32_t kd__whole_students(const kd__whole *w, kd__student *students)
{
    int32_t count = 0;
    for (int32_t i = 0; i < w->loss->output_count; i++) {
        const kd__whole_output *o = &w->output[i];
        if (!o->is_used) continue;
        kd__student *st = &students[count++];
        *st = (kd__student){ .name = w->loss->outputs[i].name,
                             .output = i,
                             .present = o->present,
                             .z = (const char *)o->values,
                             .dtype = KD_FLOAT32,
                             .z_step = o->width,
                             .dz = o->gradient,
                             .dz_step = o->width,
                             .width = o->width,
                             .grid = o->grid,
                             .hidden_width = o->width };
        memcpy(st->shape, o->shape, sizeof st->shape);
        kd__student_set_unit(st, w->batch, o->unit);
    }
    return count;
}

void kd__whole_give(const kd__whole *w, int32_t chunk, const kd__student *students)
{
    for (int32_t i = 0; i < w->loss->output_count; i++) {
        const kd__whole_output *o = &w->output[i];
        if (!o->is_used) continue;
        const int64_t first = first_of(w, o, chunk), end = first_of(w, o, chunk + 1);
        for (int64_t r = first; r < end; r++)
            w->context->kernels->axpby(students[i].dz + (r - first) * students[i].dz_step, 1,
                                       o->gradient + r * o->width, 1, o->width);
    }
}

void kd__whole_free(kd__whole *w)
{
    for (int32_t i = 0; i < KD__MOST_OUTPUTS && w->context; i++) {
        kd__release(w->context, w->output[i].values);
        kd__release(w->context, w->output[i].gradient);
        kd__release(w->context, w->output[i].present);
    }
    kd_targets_free(w->targets);
    kd_batch_free(w->batch);
    if (!w->context) return;
    kd__release(w->context, w->first_row);
    kd__release(w->context, w->first_sample);
}
