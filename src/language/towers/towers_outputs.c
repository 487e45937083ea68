/* Outputs of towers: embeddings, what they are fused to, scalars, and all that a tower's network
 * gives out, under the tower's name. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "language/towers/towers.h"
#include "language/trunk/trunk.h"

/* ---- names ---- */

kd__tower *kd__towers_find(const kd__network *net, int32_t slot, int32_t *inner)
{
    kd__towers *t = kd__towers_of(net);
    const int64_t n = slot - KD__TOWERS_EMBEDDINGS;
    *inner = -1;
    if (n < 0) return NULL;
    if (n < t->count) return &t->tower[n];
    for (int64_t i = 0; i < t->count; i++) {
        kd__tower *tower = &t->tower[i];
        *inner = slot - tower->first_slot;
        if (*inner < tower->slots) return tower;
    }
    return NULL;
}

/* A network of layers has a row for whatever its field has one for: a sample, in a tower. */
static int is_of_samples(const kd__tower *tower, const kd__output_facts *facts)
{
    return facts->unit == KD_UNIT_OF_SAMPLE || !kd__has_trunk(&tower->model);
}

static void describe_own(const kd__towers *t, int32_t slot, kd__output_facts *facts)
{
    static const char *const names[] = { "logit_scale", "logit_bias", "fused" };
    const int fused = slot == KD__TOWERS_FUSED;
    const int there = fused ? t->fusion.type != KD__FUSE_NOT : t->scalar[slot] >= 0;
    if (!there) return;
    snprintf(facts->name, sizeof facts->name, "%s", names[slot]);
    facts->width = fused ? t->fusion.width : 1;
    facts->unit = fused ? KD_UNIT_OF_SAMPLE : KD_UNIT_OF_BATCH;
    facts->is_kept = 1;
}

int kd__towers_describe(const kd__network *net, int32_t slot, kd__output_facts *facts)
{
    const kd__towers *t = kd__towers_of(net);
    char name[KD_NAME_BYTES];
    int32_t inner;
    memset(facts, 0, sizeof *facts);
    if (slot < KD__TOWERS_EMBEDDINGS) {
        describe_own(t, slot, facts);
        return 1;
    }
    const kd__tower *tower = kd__towers_find(net, slot, &inner);
    if (!tower) return 0;
    if (inner < 0) {
        snprintf(facts->name, sizeof facts->name, "embedding.%s", tower->name);
        facts->width = t->width;
        facts->unit = KD_UNIT_OF_SAMPLE;
        facts->is_kept = 1;
        facts->unit_length = t->normalize;
        return 1;
    }
    tower->model.net.engine->describe(&tower->model.net, inner, facts);
    if (is_of_samples(tower, facts)) facts->unit = KD_UNIT_OF_SAMPLE;
    facts->is_kept = 0;
    memcpy(name, facts->name, sizeof name);
    if (*name) snprintf(facts->name, sizeof facts->name, "%s.%.39s", tower->name, name);
    return 1;
}

/* ---- presence ---- */

/* Of the batch's rows, as the batch marks them or as the last pass saw them. */
static kd_status present_rows(kd_model *model, int64_t n, const kd_batch *batch,
                              const uint8_t **present)
{
    kd__towers *t = kd__towers_of(&model->net);
    const kd__tower *tower = &t->tower[n];
    const kd__tower_batch *seen = &tower->seen;
    const kd__field *field = batch ? kd__fields_find(&batch->fields, tower->model.net.input) : NULL;
    if (field) *present = field->present;
    if (batch || seen->rows == seen->all_rows) return KD_OK;
    KD_TRY(KD_RESERVE(model->object.context, &t->present_row[n], &t->present_row_room[n],
                      seen->all_rows));
    memset(t->present_row[n], 0, (size_t)seen->all_rows);
    for (int64_t i = 0; i < seen->rows; i++) t->present_row[n][seen->row[i]] = 1;
    *present = t->present_row[n];
    return KD_OK;
}

static kd_status reserve_present(kd_model *model, int64_t n, int64_t samples)
{
    kd__towers *t = kd__towers_of(&model->net);
    return KD_RESERVE(model->object.context, &t->present[n], &t->present_room[n], samples);
}

/* Of a tower's samples, in a batch or in the last pass. */
static kd_status present_samples(kd_model *model, int64_t n, const kd_batch *batch, int *all)
{
    kd__towers *t = kd__towers_of(&model->net);
    const kd__tower *tower = &t->tower[n];
    KD_TRY(reserve_present(model, n, batch ? batch->samples : tower->seen.all));
    if (batch) return kd__tower_presence(tower, batch, t->present[n], all);
    *all = tower->seen.samples == tower->seen.all;
    memcpy(t->present[n], tower->seen.present, (size_t)tower->seen.all);
    return KD_OK;
}

/* A sample has `fused` when it has one modality or more. */
static kd_status present_fused(kd_model *model, const kd_batch *batch, const uint8_t **present)
{
    kd__towers *t = kd__towers_of(&model->net);
    const int64_t samples = batch ? batch->samples : t->samples, last = KD__MOST_TOWERS;
    int all, any = 1;
    KD_TRY(reserve_present(model, last, samples));
    memset(t->present[last], 0, (size_t)samples);
    for (int64_t n = 0; n < t->count; n++) {
        KD_TRY(present_samples(model, n, batch, &all));
        for (int64_t s = 0; s < samples; s++) t->present[last][s] |= t->present[n][s];
    }
    for (int64_t s = 0; s < samples; s++) any &= t->present[last][s];
    *present = any ? NULL : t->present[last];
    return KD_OK;
}

kd_status kd__towers_present(kd_model *model, const kd_batch *batch, int32_t slot,
                             const uint8_t **present)
{
    kd__towers *t = kd__towers_of(&model->net);
    kd__output_facts facts;
    int32_t inner;
    int all;
    *present = NULL;
    if (slot == KD__TOWERS_FUSED) return present_fused(model, batch, present);
    const kd__tower *tower = kd__towers_find(&model->net, slot, &inner);
    if (!tower) return KD_OK;
    kd__towers_describe(&model->net, slot, &facts);
    if (facts.unit == KD_UNIT_OF_ROW) return present_rows(model, tower - t->tower, batch, present);
    KD_TRY(present_samples(model, tower - t->tower, batch, &all));
    *present = all ? NULL : t->present[tower - t->tower];
    return KD_OK;
}

/* ---- values ---- */

static void view(kd_array *values, float *data, int64_t rows, int64_t width)
{
    const int64_t dims[2] = { rows, width };
    kd__array_view(values, data, KD_FLOAT32, 2, dims);
}

static kd_status check_kept(const kd_model *model, const kd__tower *tower, int32_t inner)
{
    const int trained = model->mode == KD_MODE_TRAIN && !tower->is_frozen;
    KD_FAIL_IF(!trained && !tower->model.net.kept[inner], KD_ERR_NOT_FOUND,
               "tower '%s' is frozen, and its pass was not asked to keep this output: call "
               "kd_model_keep or kd_loss_keep_outputs before the pass",
               tower->name);
    return KD_OK;
}

/* The entries that an output of a tower has in the whole batch, and which of them are there. */
static kd_status entries_of(const kd__tower *tower, int32_t inner, int64_t *entries, int64_t *count,
                            const int64_t **which)
{
    const kd__tower_batch *seen = &tower->seen;
    kd__output_facts facts;
    tower->model.net.engine->describe(&tower->model.net, inner, &facts);
    const int by_rows = !is_of_samples(tower, &facts);
    const int one_each = seen->rows == seen->samples || facts.unit == KD_UNIT_OF_SAMPLE;
    KD_FAIL_IF(by_rows ? !seen->is_of_rows : !one_each, KD_ERR_UNSUPPORTED,
               "output '%s.%.40s': its rows are those of the field '%s', which are neither the "
               "batch's rows nor one a sample: what is pooled of them, embedding.%s, is there",
               tower->name, facts.name, tower->model.net.input, tower->name);
    *entries = by_rows ? seen->all_rows : seen->all;
    *count = by_rows ? seen->rows : seen->samples;
    *which = by_rows ? seen->row : seen->sample;
    return KD_OK;
}

/* (entries, ..): zeros where the tower had nothing to look at. */
static kd_status spread_output(kd_model *model, kd__tower *tower, int32_t inner, kd_array *values)
{
    kd_model *its = &tower->model;
    kd__spread *spread = &tower->spread[inner];
    kd__output_facts facts;
    kd_array from;
    int64_t entries, count, dims[KD_ARRAY_MAX_RANK] = { 0 };
    const int64_t *which;
    KD_TRY(entries_of(tower, inner, &entries, &count, &which));
    its->net.engine->describe(&its->net, inner, &facts);
    if (tower->has_run) KD_TRY(its->net.engine->output(its, inner, &from));
    if (tower->has_run && count == entries) {
        *values = from;
        return KD_OK;
    }
    KD_TRY(KD_RESERVE(model->object.context, &spread->values, &spread->values_room,
                      entries * facts.width));
    memset(spread->values, 0, (size_t)(entries * facts.width) * sizeof(float));
    view(values, spread->values, entries, facts.width);
    if (!tower->has_run) return KD_OK;
    for (int64_t i = 0; i < count; i++)
        memcpy(spread->values + which[i] * facts.width,
               (const float *)from.data + i * from.strides[0], (size_t)facts.width * sizeof(float));
    memcpy(dims, from.dims, (size_t)from.rank * sizeof *dims);
    dims[0] = entries;
    kd__array_view(values, spread->values, KD_FLOAT32, from.rank, dims);
    return KD_OK;
}

kd_status kd__towers_output(kd_model *model, int32_t slot, kd_array *values)
{
    kd__towers *t = kd__towers_of(&model->net);
    int32_t inner;
    if (slot == KD__TOWERS_FUSED) {
        view(values, t->fusion.value, t->samples, t->fusion.width);
        return KD_OK;
    }
    kd__tower *tower = kd__towers_find(&model->net, slot, &inner);
    if (!tower) {
        view(values, model->parameters + model->net.tensors[t->scalar[slot]].offset, 1, 1);
        return KD_OK;
    }
    if (inner < 0) {
        view(values, tower->embedding, t->samples, t->width);
        return KD_OK;
    }
    KD_TRY(check_kept(model, tower, inner));
    return spread_output(model, tower, inner, values);
}

/* ---- gradients ---- */

static kd_status spread_gradient(kd_model *model, kd__tower *tower, int32_t inner, float **to,
                                 int32_t *add)
{
    kd_model *its = &tower->model;
    kd__spread *spread = &tower->spread[inner];
    kd__output_facts facts;
    int64_t entries, count;
    const int64_t *which;
    KD_TRY(entries_of(tower, inner, &entries, &count, &which));
    if (tower->has_run && !tower->is_frozen && count == entries) {
        tower->is_given = 1;
        return its->net.engine->gradient(its, inner, to, add);
    }
    its->net.engine->describe(&its->net, inner, &facts);
    KD_TRY(KD_RESERVE(model->object.context, &spread->gradient, &spread->gradient_room,
                      entries * facts.width));
    *to = spread->gradient;
    *add = spread->has_gradient;
    spread->has_gradient = 1;
    return KD_OK;
}

static void own_gradient(kd__towers *t, int32_t slot, float **to, int32_t *add)
{
    int32_t *has = slot == KD__TOWERS_FUSED ? &t->fusion.has_gradient : &t->has_dscalar[slot];
    *to = slot == KD__TOWERS_FUSED ? t->fusion.gradient : &t->dscalar[slot];
    *add = *has;
    if (slot != KD__TOWERS_FUSED && !*has) t->dscalar[slot] = 0;
    *has = 1;
}

kd_status kd__towers_gradient(kd_model *model, int32_t slot, float **to, int32_t *add)
{
    kd__towers *t = kd__towers_of(&model->net);
    int32_t inner;
    kd__tower *tower = kd__towers_find(&model->net, slot, &inner);
    *add = 0;
    if (!tower) own_gradient(t, slot, to, add);
    else if (inner >= 0) return spread_gradient(model, tower, inner, to, add);
    else {
        *add = tower->has_gradient;
        *to = tower->dembedding;
        tower->has_gradient = 1;
    }
    return KD_OK;
}

void kd__towers_forget_gradients(kd_model *model)
{
    kd__towers *t = kd__towers_of(&model->net);
    t->fusion.has_gradient = 0;
    memset(t->has_dscalar, 0, sizeof t->has_dscalar);
    for (int64_t n = 0; n < t->count; n++) {
        kd__tower *tower = &t->tower[n];
        tower->has_gradient = tower->is_given = 0;
        for (int32_t s = 0; s < tower->slots; s++) tower->spread[s].has_gradient = 0;
        if (tower->has_run) tower->model.net.engine->forget_gradients(&tower->model);
    }
}

/* ---- heads ---- */

int32_t kd__towers_head(kd_model *model, int32_t slot, int gradient, kd_head *head)
{
    int32_t inner;
    kd__tower *tower = kd__towers_find(&model->net, slot, &inner);
    if (!tower || inner < 0 || !tower->model.net.engine->head) return -1;
    kd_model *its = &tower->model;
    const int makes = gradient && tower->has_run && !tower->is_frozen;
    kd__towers_bind(model);
    its->gradients_fresh = model->gradients_fresh;
    if (makes) tower->is_clear = 0;
    const int32_t from = its->net.engine->head(its, inner, makes, head);
    return from < 0 ? -1 : tower->first_slot + from;
}
