/* A head as transformers' ...ForSequenceClassification (of the last row) or
 * ...ForTokenClassification of a decoder. */
#include <stdio.h>

#include "core/model/head_class.h"
#include "language/decoder/decoder.h"
#include "nn/sequence_pool.h"

static const char *const drops[] = { "lm_head.", "score.", "dense.", NULL };
static const char *const stems[] = {
    [KD__LLAMA] = "Llama", [KD__QWEN2] = "Qwen2", [KD__QWEN3] = "Qwen3", [KD__MISTRAL] = "Mistral"
};

kd_status kd__decoder_head_class(kd_model *model, const kd__task_head *h, kd__head_class *to)
{
    const int of_rows = h->unit == KD_UNIT_OF_ROW;
    const kd__head_form form = { .unit = h->unit, .pooling = KD__POOL_LAST, .has_bias = of_rows };
    *to = (kd__head_class){
        .weight = "score.weight", .bias = "score.bias", .prefix = "model.", .drops = drops
    };
    snprintf(to->name, sizeof to->name, "%sFor%sClassification",
             stems[kd__trunk_config_of(model)->family], of_rows ? "Token" : "Sequence");
    return kd__head_check(model, h, to->name, &form);
}
