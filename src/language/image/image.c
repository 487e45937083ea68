/* The engine of transformers over patches: a trunk, outputs of samples, one head or two. */
#include "language/image/image.h"

#include "base/memory.h"
#include "language/trunk/lora.h"

static void free_state(kd__network *net, kd_context *context)
{
    kd__image *m = net->state;
    for (int i = 0; i < KD__HEADS; i++) kd__release(context, m->heads[i].block);
    kd__release(context, m->mean);
    kd__release(context, m->dmean);
    kd__release(context, m->folder);
    kd__samples_free(m->trunk.samples, context);
    kd__trunk_free(&m->trunk, context);
}

const kd__engine kd__image_engine = {
    .model_types = "vit, deit, audio-spectrogram-transformer",
    .knows = kd__image_knows,
    .read = kd__image_read,
    .free = free_state,
    .configure = kd__trunk_configure,
    .pack = kd__trunk_pack,
    .share_gradients = kd__trunk_share_gradients,
    .memory = kd__trunk_memory,
    .scratch = kd__trunk_scratch,
    .int8_bytes = kd__trunk_int8_bytes,
    .active_parameters = kd__trunk_active_parameters,
    .layers = kd__trunk_layers,
    .reserve = kd__trunk_reserve,
    .initialize = kd__trunk_initialize,
    .finish = kd__trunk_finish,
    .refresh = kd__trunk_refresh,
    .forward = kd__image_forward,
    .backward = kd__image_backward,
    .gradient_run = kd__trunk_gradient_run,
    .describe = kd__image_describe,
    .output = kd__image_output,
    .gradient = kd__image_gradient,
    .forget_gradients = kd__image_forget_gradients,
    .sequences = kd__trunk_sequences,
    .grow = kd__trunk_grow,
    .head_class = kd__image_head_class,
    .pull = kd__samples_pull,
    .complete = kd__image_complete,
    .other_name = kd__image_other_name,
    .check_extra = kd__image_check_extra,
    .save_packed = kd__lora_save,
    .list_entries = kd__image_list_entries,
    .write_config = kd__image_write_config,
};
