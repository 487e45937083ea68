/* What a model gives out beside its trunk's rows: outputs of samples, and their way back. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "core/data/data.h"
#include "language/sentence/samples.h"

static const char *const chain_names[KD__CHAINS] = { "pooled", "embedding", "logits" };

static int32_t first_slot(const kd_model *model)
{
    return kd__trunk_slots(kd__trunk_config_of(model));
}

/* The chain of a slot; NULL: the trunk's rows. */
static kd__chain *chain_of(const kd_model *model, int32_t slot)
{
    const int32_t n = slot - first_slot(model);
    return n < 0 ? NULL : &kd__samples_of(model)->chain[n];
}

/* Dropout's sites come after the trunk's. */
static int64_t site_of(const kd_model *model, int32_t n)
{
    return kd__trunk_site(kd__trunk_config_of(model)->layers, 0) + n * KD__MOST_STAGES;
}

int kd__samples_describe(const kd__network *net, int32_t slot, kd__output_facts *facts)
{
    const kd__trunk *trunk = net->state;
    const kd__samples *s = trunk->samples;
    const int32_t n = slot - kd__trunk_slots(&trunk->config);
    if (n < 0) return kd__trunk_describe(net, slot, facts);
    memset(facts, 0, sizeof *facts);
    if (n >= s->chains) return 0;
    snprintf(facts->name, sizeof facts->name, "%s", chain_names[n]);
    facts->width = kd__chain_outputs(&s->chain[n]);
    facts->unit = KD_UNIT_OF_SAMPLE;
    facts->layers = s->chain[n].count;
    facts->unit_length = s->chain[n].normalize;
    facts->is_kept = s->is_kept;
    return 1;
}

static kd_status make(kd_model *model, int32_t slot)
{
    return kd__chain_forward(model, chain_of(model, slot),
                             site_of(model, slot - first_slot(model)));
}

kd_status kd__samples_output(kd_model *model, int32_t slot, kd_array *values)
{
    const kd__chain *c = chain_of(model, slot);
    if (!c) return kd__trunk_output(model, slot, values);
    KD_TRY(make(model, slot));
    const int64_t dims[2] = { c->samples, kd__chain_outputs(c) };
    kd__array_view(values, (float *)(uintptr_t)kd__chain_output(c), KD_FLOAT32, 2, dims);
    return KD_OK;
}

kd_status kd__samples_gradient(kd_model *model, int32_t slot, float **to, int32_t *add)
{
    kd__chain *c = chain_of(model, slot);
    if (!c) return kd__trunk_gradient(model, slot, to, add);
    KD_TRY(make(model, slot));
    *to = kd__chain_gradient(c);
    *add = c->has_gradient;
    c->has_gradient = 1;
    return KD_OK;
}

/* Outputs of samples are made of the trunk's last rows. */
kd_status kd__samples_pull(kd_model *model, int32_t slot, const float *dy, int32_t *source,
                           float *dx)
{
    const int32_t n = slot - first_slot(model);
    kd__chain *c = n >= 0 && n < kd__samples_of(model)->chains ? chain_of(model, slot) : NULL;
    *source = c && !c->has_transform ? KD__SLOT_HIDDEN : -1;
    return *source < 0 || !dx ? KD_OK : kd__chain_pull(model, c, site_of(model, n), dy, dx);
}

void kd__samples_forget_gradients(kd_model *model)
{
    kd__samples *s = kd__samples_of(model);
    for (int32_t n = 0; n < KD__CHAINS; n++) s->chain[n].has_gradient = 0;
    kd__trunk_forget_gradients(model);
}

/* ---- the way there ---- */

/* The length that sentence-transformers cuts at counts before the trunk's positions do. */
static kd_status check_lengths(const kd_model *model, kd_batch *batch)
{
    const int64_t most = kd__samples_of(model)->max_length;
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

/* A batch without the field has no prompts. */
static kd_status take_prompts(const kd_model *model, kd_batch *batch)
{
    kd__samples *s = kd__samples_of(model);
    const kd__field *f = kd__fields_find(&batch->fields, "prompt_length");
    kd_array offsets;
    s->prompts = NULL;
    if (!s->leaves_out_prompt || !f) return KD_OK;
    KD_TRY(kd_batch_offsets(batch, &offsets));
    const int64_t count = offsets.dims[0] - 1, *from = f->values.data;
    const int fits = f->unit != KD__RAGGED && f->values.rank == 1 && f->values.dims[0] == count &&
                     f->values.dtype == KD_INT64;
    KD_FAIL_IF(!fits, KD_ERR_SHAPE,
               "field 'prompt_length': expected one integer for each of %lld samples",
               (long long)count);
    KD_TRY(KD_RESERVE(model->object.context, &s->prompts_block, &s->prompts_room, count));
    for (int64_t i = 0; i < count; i++) {
        KD_FAIL_IF(from[i] < 0, KD_ERR_RANGE,
                   "field 'prompt_length': sample %lld: expected 0 or more, got %lld", (long long)i,
                   (long long)from[i]);
        s->prompts_block[i] = from[i];
    }
    s->prompts = s->prompts_block;
    return KD_OK;
}

kd_status kd__samples_forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    kd__samples *s = kd__samples_of(model);
    for (int32_t n = 0; n < KD__CHAINS; n++) s->chain[n].is_made = s->chain[n].has_gradient = 0;
    KD_TRY(check_lengths(model, batch));
    KD_TRY(take_prompts(model, batch));
    return kd__trunk_run(model, batch, mode);
}

/* ---- the way back ---- */

/* Gradients of chains' tensors are added to, and 0 where no output uses them. */
static void clear_stages(kd_model *model)
{
    const kd__samples *s = kd__samples_of(model);
    for (int32_t n = 0; n < s->chains; n++) {
        if (s->chain[n].has_transform) kd__transform_clear(model, &s->chain[n].transform);
        for (int64_t i = 0; i < s->chain[n].count; i++) {
            kd__trunk_clear(model, s->chain[n].stage[i].weight);
            kd__trunk_clear(model, s->chain[n].stage[i].bias);
            if (!s->chain[n].stage[i].is_normed) continue;
            kd__trunk_clear(model, s->chain[n].stage[i].norm);
            kd__trunk_clear(model, s->chain[n].stage[i].norm + 1);
        }
    }
}

static int has_any(const kd__samples *s)
{
    int any = 0;
    for (int32_t n = 0; n < KD__CHAINS; n++) any |= s->chain[n].has_gradient;
    return any;
}

/* dhidden (R, O) += what the outputs of samples say. */
static kd_status push_samples(kd_model *model)
{
    kd__samples *s = kd__samples_of(model);
    const int64_t width = kd__trunk_config_of(model)->outer;
    float *dhidden;
    int32_t add;
    KD_TRY(kd__trunk_gradient(model, KD__SLOT_HIDDEN, &dhidden, &add));
    if (!add) memset(dhidden, 0, (size_t)(model->rows * width) * sizeof *dhidden);
    for (int32_t n = 0; n < KD__CHAINS; n++)
        if (s->chain[n].has_gradient)
            KD_TRY(kd__chain_backward(model, &s->chain[n], site_of(model, n), dhidden));
    return KD_OK;
}

kd_status kd__samples_backward(kd_model *model)
{
    if (model->gradients_fresh) clear_stages(model);
    if (has_any(kd__samples_of(model))) KD_TRY(push_samples(model));
    return kd__trunk_backward(model);
}
