/* The engine of encoder language models: a trunk, and outputs of samples. */
#include "language/encoder/encoder.h"

#include "base/memory.h"
#include "language/trunk/lora.h"

static void free_state(kd__network *net, kd_context *context)
{
    kd__encoder *e = net->state;
    kd__samples_free(e->trunk.samples, context);
    kd__release(context, e->masked.transform.block);
    kd__trunk_free(&e->trunk, context);
}

static kd_status memory(kd__network *net, const kd_context *context,
                        const kd_model_options *options, int64_t *floats)
{
    const kd__encoder *e = net->state;
    KD_TRY(kd__trunk_memory(net, context, options, floats));
    if (e->masked.is_there) *floats += kd__transform_floats(&e->trunk.config, options->max_rows);
    return KD_OK;
}

const kd__engine kd__encoder_engine = {
    .model_types = "bert, distilbert, roberta, xlm-roberta, modernbert",
    .knows = kd__encoder_knows,
    .read = kd__encoder_read,
    .free = free_state,
    .configure = kd__trunk_configure,
    .pack = kd__trunk_pack,
    .share_gradients = kd__trunk_share_gradients,
    .memory = memory,
    .scratch = kd__trunk_scratch,
    .int8_bytes = kd__trunk_int8_bytes,
    .active_parameters = kd__trunk_active_parameters,
    .layers = kd__trunk_layers,
    .reserve = kd__trunk_reserve,
    .initialize = kd__trunk_initialize,
    .finish = kd__trunk_finish,
    .refresh = kd__trunk_refresh,
    .forward = kd__encoder_forward,
    .backward = kd__encoder_backward,
    .gradient_run = kd__trunk_gradient_run,
    .describe = kd__encoder_describe,
    .output = kd__encoder_output,
    .gradient = kd__encoder_gradient,
    .forget_gradients = kd__encoder_forget_gradients,
    .pull = kd__samples_pull,
    .head = kd__encoder_head,
    .sequences = kd__trunk_sequences,
    .grow = kd__trunk_grow,
    .head_class = kd__encoder_head_class,
    .append = kd__samples_append,
    .complete = kd__encoder_complete,
    .other_name = kd__encoder_other_name,
    .is_apart = kd__sentence_is_apart,
    .read_apart = kd__sentence_read,
    .write_apart = kd__sentence_write,
    .check_extra = kd__encoder_check_extra,
    .save_packed = kd__lora_save,
    .list_entries = kd__encoder_list_entries,
    .write_config = kd__encoder_write_config,
};
