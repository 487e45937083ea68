/* The engine of decoder language models: a trunk with a config and a folder of its own. */
#include "language/decoder/decoder.h"
#include "language/trunk/lora.h"

static void free_state(kd__network *net, kd_context *context)
{
    kd__trunk *trunk = net->state;
    kd__samples_free(trunk->samples, context);
    kd__trunk_free(trunk, context);
}

const kd__engine kd__decoder_engine = {
    .model_types = "llama, mistral, qwen2, qwen3",
    .knows = kd__decoder_knows,
    .read = kd__decoder_read,
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
    .forward = kd__samples_forward,
    .backward = kd__samples_backward,
    .gradient_run = kd__trunk_gradient_run,
    .describe = kd__samples_describe,
    .output = kd__samples_output,
    .gradient = kd__samples_gradient,
    .forget_gradients = kd__samples_forget_gradients,
    .sequences = kd__trunk_sequences,
    .grow = kd__trunk_grow,
    .head_class = kd__decoder_head_class,
    .pull = kd__samples_pull,
    .append = kd__samples_append,
    .head = kd__trunk_head,
    .complete = kd__decoder_complete,
    .other_name = kd__decoder_other_name,
    .is_apart = kd__sentence_is_apart,
    .read_apart = kd__sentence_read,
    .write_apart = kd__sentence_write,
    .check_extra = kd__decoder_check_extra,
    .save_packed = kd__lora_save,
    .list_entries = kd__decoder_list_entries,
    .write_config = kd__decoder_write_config,
};
