/* The engine of encoder language models: a trunk, and outputs of samples. */
#include "language/encoder/encoder.h"

#include <string.h>

#include "language/trunk/lora.h"

static void free_state(kd__network *net, kd_context *context)
{
    kd__trunk *trunk = net->state;
    kd__samples_free(trunk->samples, context);
    kd__trunk_free(trunk, context);
}

/* Where no output goes through the pooler it is kept along, with gradients of 0. */
static kd_status backward(kd_model *model)
{
    const int32_t tensors[] = { kd__encoder_of(model)->pooler, kd__encoder_of(model)->pooler_bias };
    for (int i = 0; i < 2 && model->gradients_fresh; i++)
        if (tensors[i] >= 0)
            memset(kd__tensor_gradient(model, tensors[i]), 0,
                   (size_t)model->net.tensors[tensors[i]].count * sizeof(float));
    return kd__samples_backward(model);
}

const kd__engine kd__encoder_engine = {
    .model_types = "bert, distilbert, roberta, xlm-roberta",
    .knows = kd__encoder_knows,
    .read = kd__encoder_read,
    .free = free_state,
    .configure = kd__trunk_configure,
    .share_gradients = kd__trunk_share_gradients,
    .memory = kd__trunk_memory,
    .int8_bytes = kd__trunk_int8_bytes,
    .active_parameters = kd__trunk_active_parameters,
    .layers = kd__trunk_layers,
    .reserve = kd__trunk_reserve,
    .initialize = kd__trunk_initialize,
    .finish = kd__trunk_finish,
    .refresh = kd__lora_refresh,
    .forward = kd__samples_forward,
    .backward = backward,
    .describe = kd__samples_describe,
    .output = kd__samples_output,
    .gradient = kd__samples_gradient,
    .forget_gradients = kd__samples_forget_gradients,
    .append = kd__samples_append,
    .complete = kd__encoder_complete,
    .other_name = kd__encoder_other_name,
    .is_apart = kd__sentence_is_apart,
    .read_apart = kd__sentence_read,
    .write_apart = kd__sentence_write,
    .check_extra = kd__encoder_check_extra,
    .list_entries = kd__encoder_list_entries,
    .write_config = kd__encoder_write_config,
};
