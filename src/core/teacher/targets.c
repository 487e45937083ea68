/* Targets: what teachers said about one batch, as named fields. */
#include "base/array.h"
#include "base/memory.h"
#include "core/teacher/teacher.h"

static const kd_targets_options defaults = KD_TARGETS_OPTIONS_INIT;
void kd_targets_options_init(kd_targets_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

kd_status kd_targets_create(kd_targets **out, kd_context *context,
                            const kd_targets_options *options)
{
    kd_targets_options o = defaults;
    kd_targets *targets = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_targets_options"));
    KD_TRY(kd__object_create((void **)&targets, context, sizeof *targets));
    targets->fields.context = context;
    *out = targets;
    return KD_OK;
}

static void let_go(kd_targets *targets)
{
    if (targets->held) targets->free_held(targets->held);
    targets->held = NULL;
}

void kd_targets_free(kd_targets *targets)
{
    if (!kd__object_drop(targets)) return;
    for (int64_t i = 0; i < targets->member_count; i++) kd_targets_free(targets->members[i]);
    kd__release(targets->object.context, targets->members);
    kd__release(targets->object.context, targets->places);
    kd__release(targets->object.context, targets->scratch);
    kd__release(targets->object.context, targets->logits);
    kd__release(targets->object.context, targets->records);
    kd__release(targets->object.context, targets->blob);
    let_go(targets);
    kd__sparse_free(targets);
    kd__fields_free(&targets->fields);
    kd__object_destroy(targets);
}

kd_status kd_targets_begin(kd_targets *targets, int64_t rows)
{
    KD_NEED(targets);
    KD_FAIL_IF(rows < 0, KD_ERR_RANGE, "rows: expected 0 or more, got %lld", (long long)rows);
    let_go(targets);
    kd__fields_begin(&targets->fields, rows);
    for (int64_t i = 0; i < targets->sparse_count; i++) targets->sparse[i]->active = 0;
    for (int i = 0; i < KD__MAX_HEADS; i++) targets->heads[i].active = 0;
    return KD_OK;
}

kd_status kd__targets_begin_for(kd_targets *targets, const kd_batch *batch)
{
    KD_TRY(kd_targets_begin(targets, batch->fields.rows));
    targets->fields.samples = batch->samples;
    targets->fields.one_row = batch->fields.one_row;
    return KD_OK;
}

kd_status kd_targets_set(kd_targets *targets, const char *field, const kd_array *values,
                         const kd_array *present)
{
    KD_NEED(targets);
    return kd__fields_set(&targets->fields, KD__OF_ROWS, field, values, present, "targets field");
}

kd_status kd_targets_set_per_sample(kd_targets *targets, const char *field, const kd_array *values,
                                    const kd_array *present)
{
    KD_NEED(targets);
    KD_TRY(kd__array_check(values, field ? field : "targets field"));
    if (targets->fields.samples < 0 && values->rank) targets->fields.samples = values->dims[0];
    return kd__fields_set(&targets->fields, KD__OF_SAMPLES, field, values, present,
                          "targets field");
}

kd_status kd_targets_borrow(kd_targets *targets, const char *field, const kd_array *values,
                            const kd_array *present)
{
    KD_NEED(targets);
    return kd__fields_borrow(&targets->fields, KD__OF_ROWS, field, values, present, 1,
                             "targets field");
}

kd_status kd_targets_field(kd_targets *targets, const char *field, kd_array *values,
                           kd_array *present)
{
    KD_NEED(targets);
    return kd__fields_view(&targets->fields, field, values, present, "targets");
}
