/* What a host calls on a model of any kind: checks, then the engine's passes. */
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/log.h"
#include "base/numbers.h"
#include "core/data/data.h"
#include "math/kernels.h"
#include "core/model/model.h"
#include "core/model/task_heads.h"

/* A pass over no rows, as a rank without samples has in an uneven round: no outputs, and gradients
 * of 0. With an exchange it counts, so that the next pass has the random numbers of other ranks. */
static kd_status begin_nothing(kd_model *model, int32_t mode)
{
    model->rows = 0;
    model->mode = mode;
    model->passes += mode == KD_MODE_TRAIN && model->empty_counts && !model->rehearsal.rows;
    return KD_OK;
}

/* ---- whose random numbers a pass draws ---- */

void kd__model_begin_rehearsal(kd_model *model, int64_t rows, int64_t samples)
{
    kd__model_end_rehearsal(model);
    model->rehearsal = (kd__rehearsal){ .rows = rows, .samples = samples };
}

void kd__model_end_rehearsal(kd_model *model)
{
    model->passes += model->rehearsal.trained_rows > 0;
    memset(&model->rehearsal, 0, sizeof model->rehearsal);
}

kd_status kd_model_end_rehearsal(kd_model *model)
{
    KD_NEED(model);
    kd__model_end_rehearsal(model);
    return KD_OK;
}

static void choose_draws(kd_model *model, int32_t mode)
{
    const kd__rehearsal *r = &model->rehearsal;
    if (mode == KD_MODE_REHEARSE && r->trained_rows) kd__model_end_rehearsal(model);
    model->draws = mode == KD_MODE_REHEARSE
                       ? (kd__draws){ model->passes, r->rows, r->samples }
                       : (kd__draws){ model->passes, r->trained_rows, r->trained_samples };
    if (mode == KD_MODE_EVALUATE) return;
    model->draws.first_row += model->rows_before;
    model->draws.first_sample += model->samples_before;
}

static void count_pass(kd_model *model, const kd_batch *batch, int32_t mode)
{
    kd__rehearsal *r = &model->rehearsal;
    if (mode == KD_MODE_REHEARSE) {
        r->rows += kd__model_entries(model, batch);
        r->samples += batch->samples;
    }
    if (mode != KD_MODE_TRAIN) return;
    if (!r->rows) {
        model->passes++;
        return;
    }
    r->trained_rows += kd__model_entries(model, batch);
    r->trained_samples += batch->samples;
    if (r->trained_rows >= r->rows) kd__model_end_rehearsal(model);
}

kd_status kd__model_pass(kd_model *model, kd_batch *batch, int32_t mode, const kd__draws *draws)
{
    KD_TRY(kd__model_refresh(model));
    model->draws = *draws;
    return model->net.engine->forward(model, batch, mode);
}

kd_status kd_model_forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    KD_NEED(model);
    KD_NEED(batch);
    KD_FAIL_IF(mode != KD_MODE_TRAIN && mode != KD_MODE_EVALUATE && mode != KD_MODE_REHEARSE,
               KD_ERR_INVALID,
               "mode: expected KD_MODE_TRAIN, KD_MODE_EVALUATE or KD_MODE_REHEARSE, got %d", mode);
    KD_FAIL_IF(mode != KD_MODE_EVALUATE && model->frozen, KD_ERR_STATE,
               "a frozen model cannot train");
    model->empty = !kd__model_entries(model, batch);
    if (model->empty) return begin_nothing(model, mode);
    memcpy(model->net.kept, model->net.asked, (size_t)model->net.slots);
    choose_draws(model, mode);
    model->engine_has_gradient = 0;
    const kd__draws draws = model->draws;
    kd_status status = kd__task_heads_begin(model, batch);
    if (status == KD_OK) status = kd__model_pass(model, batch, mode, &draws);
    kd__task_heads_end(model);
    if (status == KD_OK) count_pass(model, batch, mode);
    else model->rows = 0;
    if (status != KD_OK && mode == KD_MODE_REHEARSE) kd__model_end_rehearsal(model);
    return status;
}

static kd_status check_pass(const kd_model *model, const char *name)
{
    KD_FAIL_IF(!model->rows, KD_ERR_STATE, "output '%.60s': %s", name,
               model->empty ? "the last forward pass was of a batch without rows"
                            : "no forward pass yet");
    return KD_OK;
}

static kd_status output_of(kd_model *model, int32_t slot, kd_array *values)
{
    const kd__network *net = &model->net;
    if (slot < net->engine_slots) return net->engine->output(model, slot, values);
    return kd__task_head_output(model, slot - net->engine_slots, values);
}

kd_status kd__model_output(kd_model *model, int32_t slot, const char *name, kd_array *values)
{
    KD_TRY(check_pass(model, name));
    KD_FAIL_IF(
        model->mode != KD_MODE_TRAIN && !model->net.kept[slot], KD_ERR_NOT_FOUND,
        "output '%.60s': the last pass, without KD_MODE_TRAIN, was not asked to keep it: call "
        "kd_model_keep or kd_loss_keep_outputs before the pass",
        name);
    return output_of(model, slot, values);
}

kd_status kd__model_present(kd_model *model, const kd_batch *batch, int32_t slot,
                            const uint8_t **present)
{
    const kd__engine *engine = model->net.engine;
    *present = NULL;
    slot = kd__task_head_entries_of(model, slot);
    return engine->present && slot >= 0 ? engine->present(model, batch, slot, present) : KD_OK;
}

kd_status kd_model_output(kd_model *model, const char *name, kd_array *values)
{
    int32_t slot;
    KD_NEED(model);
    KD_NEED(values);
    KD_TRY(kd__model_slot(model, name, &slot));
    return kd__model_output(model, slot, name, values);
}

/* May a backward pass make gradients now? */
static kd_status check_gradients(const kd_model *model)
{
    KD_FAIL_IF(model->gradients_shared && !model->on_gradients, KD_ERR_STATE,
               "shared gradients: call kd_optimizer_begin_step before the backward pass");
    KD_FAIL_IF(model->on_gradients && !model->gradients_fresh && !model->gradients_wait,
               KD_ERR_STATE, "a step is open and had its backward pass: call kd_optimizer_step");
    return KD_OK;
}

kd_status kd__model_gradient(kd_model *model, int32_t slot, const char *name, float **to,
                             int32_t *add)
{
    KD_TRY(check_pass(model, name));
    KD_FAIL_IF(model->mode != KD_MODE_TRAIN, KD_ERR_STATE,
               "the last forward pass was %s: no backward pass can follow",
               model->mode == KD_MODE_REHEARSE ? "KD_MODE_REHEARSE" : "KD_MODE_EVALUATE");
    KD_TRY(check_gradients(model));
    if (slot >= model->net.engine_slots)
        return kd__task_head_gradient(model, slot - model->net.engine_slots, to, add);
    model->engine_has_gradient = 1;
    return model->net.engine->gradient(model, slot, to, add);
}

void kd__model_forget_gradients(kd_model *model)
{
    model->engine_has_gradient = 0;
    kd__task_heads_forget(model->net.heads);
    model->net.engine->forget_gradients(model);
}

kd_status kd_model_add_output_gradient(kd_model *model, const char *name, const kd_array *values)
{
    float *to;
    int32_t add, slot;
    kd_array output;
    KD_NEED(model);
    KD_TRY(kd__model_slot(model, name, &slot));
    KD_TRY(check_pass(model, name));
    KD_TRY(kd__array_check_float32(values, "gradient"));
    KD_TRY(output_of(model, slot, &output));
    const int64_t width = kd__array_row(&output);
    const int64_t rows = output.dims[0];
    KD_FAIL_IF(
        values->rank < 1 || values->dims[0] != rows || kd__array_row(values) != width, KD_ERR_SHAPE,
        "gradient of '%s': expected %lld rows of %lld numbers, got %lld of %lld", name,
        (long long)rows, (long long)width, (long long)(values->rank < 1 ? 0 : values->dims[0]),
        (long long)kd__array_row(values));
    KD_TRY(kd__model_gradient(model, slot, name, &to, &add));
    model->object.context->kernels->axpby(to, 1, values->data, add ? 1 : 0, rows * width);
    return KD_OK;
}

/* Gradients of no rows are zero, in the one place that layers may share as well: a step that was
 * begun finds them at its end. */
static kd_status end_nothing(kd_model *model)
{
    KD_TRY(check_gradients(model));
    if (model->gradients_fresh)
        memset(model->gradients, 0, (size_t)model->gradient_count * sizeof *model->gradients);
    model->gradients_fresh = model->gradients_wait = model->empty = 0;
    return KD_OK;
}

kd_status kd_model_backward(kd_model *model)
{
    KD_NEED(model);
    if (model->empty && model->mode == KD_MODE_TRAIN) return end_nothing(model);
    KD_FAIL_IF(!model->rows || model->mode != KD_MODE_TRAIN, KD_ERR_STATE,
               "backward: expected a KD_MODE_TRAIN forward pass before it");
    KD_TRY(check_gradients(model));
    int done = 0;
    kd_status status = kd__task_heads_backward(model, &done);
    if (status == KD_OK && !done) status = model->net.engine->backward(model);
    /* no output got a gradient: the pass waits for one */
    if (status == KD_ERR_STATE) return status;
    kd__model_forget_gradients(model);
    model->rows = 0; /* what the pass kept is consumed */
    if (status == KD_OK) model->gradients_fresh = model->gradients_wait = 0;
    return status;
}

/* ---- predict ---- */

static kd_status predict_range(kd_model *model, kd_dataset *dataset, kd_batch *batch,
                               const char *output, int64_t first, int64_t count, const kd_array *to)
{
    kd_array values;
    KD_TRY(kd__batch_range(batch, dataset, first, count));
    KD_TRY(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    KD_TRY(kd_model_output(model, output, &values));
    const int64_t width = kd__array_row(&values);
    KD_FAIL_IF(values.dims[0] != count, KD_ERR_SHAPE,
               "output '%.60s' has %lld rows for %lld samples: predict takes one a sample", output,
               (long long)values.dims[0], (long long)count);
    KD_FAIL_IF(to->dims[0] != dataset->samples || kd__array_row(to) != width, KD_ERR_SHAPE,
               "values: expected (%lld, %lld), got (%lld, %lld)", (long long)dataset->samples,
               (long long)width, (long long)to->dims[0], (long long)kd__array_row(to));
    memcpy((float *)to->data + first * width, values.data, (size_t)(count * width) * sizeof(float));
    return KD_OK;
}

kd_status kd_model_predict(kd_model *model, kd_dataset *dataset, const char *output,
                           int32_t batch_size, const kd_array *values)
{
    kd_batch *batch = NULL;
    kd_status status = KD_OK;
    KD_NEED(model);
    KD_NEED(dataset);
    KD_NEED(output);
    KD_FAIL_IF(batch_size < 1, KD_ERR_RANGE, "batch_size: expected at least 1, got %d", batch_size);
    KD_TRY(kd__array_check_float32(values, "values"));
    KD_FAIL_IF(values->rank < 1, KD_ERR_SHAPE, "values: expected (%lld, ...), got a single number",
               (long long)dataset->samples);
    KD_TRY(kd_batch_create(&batch, model->object.context, NULL));
    for (int64_t i = 0; i < dataset->samples && status == KD_OK; i += batch_size) {
        int64_t count = kd__min(dataset->samples - i, batch_size);
        status = kd__progress(model->object.context, "predict", i, dataset->samples);
        if (status == KD_OK)
            status = predict_range(model, dataset, batch, output, i, count, values);
    }
    kd_batch_free(batch);
    return status;
}

int32_t kd__model_head(kd_model *model, int32_t slot, int gradient, kd_head *head)
{
    const kd__engine *engine = model->net.engine;
    const int is_engines = slot < model->net.engine_slots;
    return is_engines && engine->head ? engine->head(model, slot, gradient, head) : -1;
}

kd_status kd__model_pull(kd_model *model, int32_t slot, const float *dy, int32_t *source, float *dx)
{
    const kd__engine *engine = model->net.engine;
    *source = -1;
    if (slot >= model->net.engine_slots)
        return kd__task_head_pull(model, slot - model->net.engine_slots, dy, source, dx);
    return engine->pull ? engine->pull(model, slot, dy, source, dx) : KD_OK;
}
