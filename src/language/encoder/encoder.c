/* The engine of encoder language models: a trunk, and outputs of samples. */
#include "language/encoder/encoder.h"

#include "base/memory.h"
#include "core/data/data.h"
#include "language/trunk/lora.h"

static void free_state(kd__network *net, kd_context *context)
{
    kd__encoder *e = net->state;
    for (int32_t n = 0; n < KD__CHAINS; n++) {
        kd__release(context, e->chain[n].block);
        kd__release(context, e->chain[n].transform.block);
    }
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

/* The length that sentence-transformers cuts at counts before the table of positions does. */
static kd_status check_lengths(const kd_model *model, kd_batch *batch)
{
    const int64_t most = kd__encoder_of(model)->max_length;
    kd_array offsets;
    KD_TRY(kd_batch_offsets(batch, &offsets));
    const int64_t *o = offsets.data;
    for (int64_t s = 0; s + 1 < offsets.dims[0]; s++)
        KD_FAIL_IF(
            o[s + 1] - o[s] > most, KD_ERR_RANGE,
            "sequence %lld has %lld tokens, the model takes %lld (max_seq_length, config key "
            "kd_max_length): cut it",
            (long long)s, (long long)(o[s + 1] - o[s]), (long long)most);
    return KD_OK;
}

static kd_status forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    kd__encoder *e = kd__encoder_of(model);
    kd__encoder_forget(e);
    KD_TRY(check_lengths(model, batch));
    return kd__trunk_run(model, batch, mode);
}

const kd__engine kd__encoder_engine = {
    .model_types = "bert, distilbert, roberta, xlm-roberta, modernbert",
    .knows = kd__encoder_knows,
    .read = kd__encoder_read,
    .free = free_state,
    .configure = kd__trunk_configure,
    .share_gradients = kd__trunk_share_gradients,
    .memory = memory,
    .int8_bytes = kd__trunk_int8_bytes,
    .active_parameters = kd__trunk_active_parameters,
    .layers = kd__trunk_layers,
    .reserve = kd__trunk_reserve,
    .initialize = kd__trunk_initialize,
    .finish = kd__trunk_finish,
    .refresh = kd__lora_refresh,
    .forward = forward,
    .backward = kd__encoder_backward,
    .describe = kd__encoder_describe,
    .output = kd__encoder_output,
    .gradient = kd__encoder_gradient,
    .forget_gradients = kd__encoder_forget_gradients,
    .head = kd__encoder_head,
    .complete = kd__sentence_complete,
    .other_name = kd__encoder_other_name,
    .is_apart = kd__sentence_is_apart,
    .read_apart = kd__sentence_read,
    .write_apart = kd__sentence_write,
    .check_extra = kd__encoder_check_extra,
    .list_entries = kd__encoder_list_entries,
    .write_config = kd__encoder_write_config,
};
