/* What a host calls on a model of any kind: checks, then the engine's passes. */
#include <string.h>

#include "base/array.h"
#include "data/data.h"
#include "math/kernels.h"
#include "model/decoder.h"
#include "model/model.h"

kd_status kd_model_forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    KD_NEED(model);
    KD_NEED(batch);
    KD_FAIL_IF(mode != KD_TRAIN && mode != KD_EVALUATE, KD_ERR_INVALID, "mode: expected KD_TRAIN or KD_EVALUATE, got %d", mode);
    KD_FAIL_IF(mode == KD_TRAIN && model->frozen, KD_ERR_STATE, "a frozen model cannot train");
    KD_TRY(kd__lora_refresh(model));
    kd_status status = model->engine->forward(model, batch, mode);
    if (status != KD_OK) model->rows = 0;
    return status;
}

static kd_status check_output(kd_model *model, const char *name)
{
    KD_FAIL_IF(!name || !*name, KD_ERR_INVALID, "the output's name is empty");
    KD_FAIL_IF(!model->rows, KD_ERR_STATE, "output '%.60s': no forward pass yet", name);
    return KD_OK;
}

kd_status kd_model_output(kd_model *model, const char *name, kd_array *values)
{
    KD_NEED(model);
    KD_NEED(values);
    KD_TRY(check_output(model, name));
    return model->engine->output(model, name, values);
}

/* May a backward pass make gradients now? */
static kd_status check_gradients(const kd_model *model)
{
    KD_FAIL_IF(model->gradients_shared && !model->on_gradients, KD_ERR_STATE,
               "the layers share one place for their gradients: begin a step (kd_optimizer_begin_step) before the backward pass");
    KD_FAIL_IF(model->on_gradients && !model->gradients_fresh, KD_ERR_STATE, "a step was begun: after one backward pass kd_optimizer_step ends it");
    return KD_OK;
}

kd_status kd__model_gradient_slot(kd_model *model, const char *name, float **to, int32_t *add)
{
    KD_TRY(check_output(model, name));
    KD_FAIL_IF(model->mode != KD_TRAIN, KD_ERR_STATE, "the last forward pass was KD_EVALUATE: nothing can be pushed back");
    KD_TRY(check_gradients(model));
    return model->engine->gradient_slot(model, name, to, add);
}

void kd__model_forget_gradients(kd_model *model) { model->engine->forget_gradients(model); }

kd_status kd_model_add_output_gradient(kd_model *model, const char *name, const kd_array *values)
{
    float *to;
    int32_t add;
    kd_array output;
    KD_NEED(model);
    KD_TRY(check_output(model, name));
    KD_TRY(kd__array_check(values, "gradient"));
    KD_FAIL_IF(values->dtype != KD_FLOAT32 || !kd__array_contiguous(values), KD_ERR_DTYPE, "gradient: expected contiguous float32");
    KD_TRY(model->engine->output(model, name, &output));
    const int64_t width = kd__array_row(&output);
    KD_FAIL_IF(values->rank < 1 || values->dims[0] != model->rows || kd__array_row(values) != width, KD_ERR_SHAPE,
               "gradient of '%s': expected %lld rows of %lld numbers", name, (long long)model->rows, (long long)width);
    KD_TRY(kd__model_gradient_slot(model, name, &to, &add));
    model->object.context->kernels->axpby(to, 1, values->data, add ? 1 : 0, model->rows * width);
    return KD_OK;
}

kd_status kd_model_backward(kd_model *model)
{
    KD_NEED(model);
    KD_FAIL_IF(!model->rows || model->mode != KD_TRAIN, KD_ERR_STATE, "backward needs a KD_TRAIN forward pass before it");
    KD_TRY(check_gradients(model));
    kd_status status = model->engine->backward(model);
    if (status == KD_ERR_STATE) return status; /* no output got a gradient: the pass waits for one */
    model->engine->forget_gradients(model);
    model->rows = 0; /* what the pass kept is consumed */
    if (status == KD_OK) model->gradients_fresh = 0;
    return status;
}

/* ---- predict ---- */

static kd_status predict_range(kd_model *model, kd_dataset *dataset, kd_batch *batch, const char *output, int64_t first, int64_t count,
                               const kd_array *to)
{
    kd_array values;
    KD_TRY(kd__batch_range(batch, dataset, first, count));
    KD_TRY(kd_model_forward(model, batch, KD_EVALUATE));
    KD_TRY(kd_model_output(model, output, &values));
    const int64_t width = kd__array_row(&values);
    KD_FAIL_IF(to->dims[0] != dataset->samples || kd__array_row(to) != width, KD_ERR_SHAPE, "values: expected (%lld, %lld)",
               (long long)dataset->samples, (long long)width);
    memcpy((float *)to->data + first * width, values.data, (size_t)(count * width) * sizeof(float));
    return KD_OK;
}

kd_status kd_model_predict(kd_model *model, kd_dataset *dataset, const char *output, int32_t batch_size, const kd_array *values)
{
    kd_batch *batch = NULL;
    kd_status status = KD_OK;
    KD_NEED(model);
    KD_NEED(dataset);
    KD_NEED(output);
    KD_FAIL_IF(batch_size < 1, KD_ERR_RANGE, "batch_size: expected at least 1, got %d", batch_size);
    KD_TRY(kd__array_check(values, "values"));
    KD_FAIL_IF(values->dtype != KD_FLOAT32 || !kd__array_contiguous(values), KD_ERR_DTYPE, "values: expected contiguous float32");
    KD_FAIL_IF(values->rank < 1, KD_ERR_SHAPE, "values: expected (%lld, ...)", (long long)dataset->samples);
    KD_TRY(kd_batch_create(&batch, model->object.context, NULL));
    for (int64_t i = 0; i < dataset->samples && status == KD_OK; i += batch_size) {
        int64_t count = dataset->samples - i < batch_size ? dataset->samples - i : batch_size;
        status = kd__progress(model->object.context, "predict", i, dataset->samples);
        if (status == KD_OK) status = predict_range(model, dataset, batch, output, i, count, values);
    }
    kd_batch_free(batch);
    return status;
}

int kd__model_head(kd_model *model, const char *output, int gradient, kd_head *head, const char **hidden)
{
    if (!model->net.decoder || strcmp(output, "logits")) return 0;
    kd__decoder_head(model, head, gradient);
    *hidden = "hidden";
    return 1;
}
