/* One vector of several modalities. Legend in towers.h: v_n is the embedding of tower n where the
 * sample has it and training does not drop it; else, with `learns`, a vector of the model for that
 * modality, which takes part as any other; without, the modality takes no part in a mean or a gated
 * sum, and in a row of all of them the mean of what is there stands in its place. A sample that
 * lacks all modalities is 0 and has no gradient.
 *
 * Which modalities of a sample are dropped is drawn by (seed, pass, the sample's key): neighbors
 * and chunks change nothing, and one is always left. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "language/towers/towers.h"
#include "math/random.h"
#include "nn/linear.h"

#define SITE 0x6d6f6461 /* of the draws */

/* ---- which modalities take part ---- */

static uint64_t stream_of(const kd_model *model, const uint64_t *key, int64_t sample)
{
    const uint64_t place = (uint64_t)(model->draws.first_sample + sample);
    const uint64_t whose = key[0] || key[1] ? kd__mix(key[0]) ^ key[1] : place;
    return kd__stream(model->seed ^ SITE, (uint64_t)model->draws.pass, whose);
}

/* used (N): without those that are dropped; of all that would be, the one that came nearest to
 * staying stays. */
static void drop(const kd__towers *t, uint64_t stream, uint8_t *used)
{
    int64_t nearest = -1, left = 0;
    double most = -1;
    uint8_t kept[KD__MOST_TOWERS] = { 0 };
    for (int64_t n = 0; n < t->count; n++) {
        const double share = t->tower[n].drop, u = kd__uniform(stream, (uint64_t)n);
        if (!used[n]) continue;
        kept[n] = u >= share;
        left += kept[n];
        if (share > 0 && u / share > most) most = u / share, nearest = n;
    }
    if (!left && nearest >= 0) kept[nearest] = 1;
    memcpy(used, kept, (size_t)t->count);
}

static int drops_any(const kd__towers *t)
{
    for (int64_t n = 0; n < t->count; n++)
        if (t->tower[n].drop > 0) return 1;
    return 0;
}

static kd_status choose(kd_model *model, kd_batch *batch)
{
    kd__towers *t = kd__towers_of(&model->net);
    const uint64_t *keys = NULL;
    const int drops = model->mode != KD_MODE_EVALUATE && drops_any(t);
    if (drops) KD_TRY(kd__batch_keys(batch, &keys));
    for (int64_t s = 0; s < t->samples; s++) {
        uint8_t *used = t->fusion.used + s * t->count;
        for (int64_t n = 0; n < t->count; n++) used[n] = t->tower[n].seen.present[s];
        if (drops) drop(t, stream_of(model, keys + 2 * s, s), used);
    }
    return KD_OK;
}

static int64_t used_count(const kd__towers *t, int64_t s)
{
    int64_t count = 0;
    for (int64_t n = 0; n < t->count; n++) count += t->fusion.used[s * t->count + n];
    return count;
}

/* ---- v: (S, N, P) ---- */

static const float *tensor(const kd_model *model, int32_t index)
{
    return model->parameters + model->net.tensors[index].offset;
}

/* v of a modality that a sample lacks, of which it has others. */
static void stand_in(const kd_model *model, int64_t s, int64_t n, int64_t count, float *v)
{
    const kd__towers *t = kd__towers_of(&model->net);
    if (t->fusion.learns) {
        memcpy(v, tensor(model, t->tower[n].missing), (size_t)t->width * sizeof *v);
        return;
    }
    for (int64_t m = 0; m < t->count; m++)
        if (t->fusion.used[s * t->count + m])
            model->object.context->kernels->axpby(
                v, 1 / (float)count, t->tower[m].embedding + s * t->width, 1, t->width);
}

static void fill(const kd_model *model)
{
    const kd__towers *t = kd__towers_of(&model->net);
    memset(t->fusion.input, 0, (size_t)(t->samples * t->count * t->width) * sizeof(float));
    for (int64_t s = 0; s < t->samples; s++) {
        const int64_t count = used_count(t, s);
        for (int64_t n = 0; n < t->count && count; n++) {
            float *v = t->fusion.input + (s * t->count + n) * t->width;
            if (t->fusion.used[s * t->count + n])
                memcpy(v, t->tower[n].embedding + s * t->width, (size_t)t->width * sizeof *v);
            else stand_in(model, s, n, count, v);
        }
    }
}

/* ---- shares of a mean or a gated sum: gate (S, N) ---- */

static int takes_part(const kd__towers *t, int64_t s, int64_t n, int64_t count)
{
    return count && (t->fusion.learns || t->fusion.used[s * t->count + n]);
}

static void equal_shares(const kd__towers *t)
{
    for (int64_t s = 0; s < t->samples; s++) {
        const int64_t count = used_count(t, s), parts = t->fusion.learns ? t->count : count;
        for (int64_t n = 0; n < t->count; n++)
            t->fusion.gate[s * t->count + n] = takes_part(t, s, n, count) ? 1 / (float)parts : 0;
    }
}

static double dot(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)a[i] * b[i];
    return sum;
}

static void gated_shares(const kd_model *model)
{
    const kd__towers *t = kd__towers_of(&model->net);
    const float *u = tensor(model, t->fusion.weight), *c = tensor(model, t->fusion.bias);
    for (int64_t s = 0; s < t->samples; s++) {
        const int64_t count = used_count(t, s);
        double score[KD__MOST_TOWERS], most = -INFINITY, sum = 0;
        float *gate = t->fusion.gate + s * t->count;
        for (int64_t n = 0; n < t->count; n++) {
            const float *v = t->fusion.input + (s * t->count + n) * t->width;
            score[n] = takes_part(t, s, n, count) ? dot(v, u + n * t->width, t->width) + c[n]
                                                  : -INFINITY;
            most = fmax(most, score[n]);
        }
        for (int64_t n = 0; n < t->count && count; n++) sum += exp(score[n] - most);
        for (int64_t n = 0; n < t->count; n++)
            gate[n] = count ? (float)(exp(score[n] - most) / sum) : 0;
    }
}

/* ---- forward ---- */

static void add_shares(const kd_model *model)
{
    const kd__towers *t = kd__towers_of(&model->net);
    memset(t->fusion.value, 0, (size_t)(t->samples * t->width) * sizeof(float));
    for (int64_t i = 0; i < t->samples * t->count; i++)
        if (t->fusion.gate[i] > 0)
            model->object.context->kernels->axpby(t->fusion.value + i / t->count * t->width,
                                                  t->fusion.gate[i], t->fusion.input + i * t->width,
                                                  1, t->width);
}

/* Samples that lack all modalities. */
static void clear_empty(const kd__towers *t, float *rows)
{
    for (int64_t s = 0; s < t->samples; s++)
        if (!used_count(t, s))
            memset(rows + s * t->fusion.width, 0, (size_t)t->fusion.width * sizeof *rows);
}

static kd_status join(kd_model *model)
{
    kd__towers *t = kd__towers_of(&model->net);
    const kd__rows rows = { model->object.context, t->samples };
    KD_TRY(kd__linear(&rows, t->fusion.input, t->count * t->width, tensor(model, t->fusion.weight),
                      t->fusion.width, t->fusion.value));
    for (int64_t s = 0; s < t->samples; s++)
        rows.context->kernels->add_bias(t->fusion.value + s * t->fusion.width,
                                        t->fusion.value + s * t->fusion.width,
                                        tensor(model, t->fusion.bias), t->fusion.width);
    clear_empty(t, t->fusion.value);
    return KD_OK;
}

kd_status kd__fusion_forward(kd_model *model, kd_batch *batch)
{
    const kd__towers *t = kd__towers_of(&model->net);
    KD_TRY(choose(model, batch));
    fill(model);
    if (t->fusion.type == KD__FUSE_CONCAT) return join(model);
    if (t->fusion.type == KD__FUSE_GATED) gated_shares(model);
    else equal_shares(t);
    add_shares(model);
    return KD_OK;
}

/* ---- backward: dv (S, N, P) ---- */

static kd_status join_gradient(kd_model *model)
{
    kd__towers *t = kd__towers_of(&model->net);
    const kd__rows rows = { model->object.context, t->samples };
    const int64_t inputs = t->count * t->width;
    kd__bias_gradient(&rows, t->fusion.gradient, t->fusion.width,
                      kd__tensor_gradient(model, t->fusion.bias), 1);
    KD_TRY(kd__linear_weight_gradient(&rows, t->fusion.input, inputs, t->fusion.gradient,
                                      t->fusion.width, kd__tensor_gradient(model, t->fusion.weight),
                                      1));
    return kd__linear_input_gradient(&rows, t->fusion.gradient, t->fusion.width,
                                     tensor(model, t->fusion.weight), inputs, t->fusion.dinput);
}

/* dv_n = g_n dfused */
static void share_gradient(const kd_model *model)
{
    const kd__towers *t = kd__towers_of(&model->net);
    memset(t->fusion.dinput, 0, (size_t)(t->samples * t->count * t->width) * sizeof(float));
    for (int64_t i = 0; i < t->samples * t->count; i++)
        model->object.context->kernels->axpby(t->fusion.dinput + i * t->width, t->fusion.gate[i],
                                              t->fusion.gradient + i / t->count * t->width, 1,
                                              t->width);
}

/* The score's gradient, g_n (dfused v_n - sum_m g_m dfused v_m), to v_n, u_n and c_n. */
static void gate_gradient(kd_model *model)
{
    const kd__towers *t = kd__towers_of(&model->net);
    const kd__kernels *kernels = model->object.context->kernels;
    const float *u = tensor(model, t->fusion.weight);
    float *du = kd__tensor_gradient(model, t->fusion.weight),
          *dc = kd__tensor_gradient(model, t->fusion.bias);
    for (int64_t s = 0; s < t->samples; s++) {
        const float *gate = t->fusion.gate + s * t->count, *dy = t->fusion.gradient + s * t->width;
        double along[KD__MOST_TOWERS], mean = 0;
        for (int64_t n = 0; n < t->count; n++) {
            along[n] = dot(dy, t->fusion.input + (s * t->count + n) * t->width, t->width);
            mean += gate[n] * along[n];
        }
        for (int64_t n = 0; n < t->count; n++) {
            const float d = (float)(gate[n] * (along[n] - mean));
            const int64_t at = (s * t->count + n) * t->width;
            kernels->axpby(t->fusion.dinput + at, d, u + n * t->width, 1, t->width);
            kernels->axpby(du + n * t->width, d, t->fusion.input + at, 1, t->width);
            dc[n] += d;
        }
    }
}

/* ---- backward: to the embeddings ---- */

static void give(const kd_model *model, int64_t s, int64_t n, float share, const float *dv)
{
    const kd__towers *t = kd__towers_of(&model->net);
    model->object.context->kernels->axpby(kd__tower_dembedding(t, &t->tower[n]) + s * t->width,
                                          share, dv, 1, t->width);
}

/* What stood in gets what came to it. */
static void give_stand_in(kd_model *model, int64_t s, int64_t n, int64_t count, const float *dv)
{
    const kd__towers *t = kd__towers_of(&model->net);
    if (t->fusion.learns) {
        model->object.context->kernels->axpby(kd__tensor_gradient(model, t->tower[n].missing), 1,
                                              dv, 1, t->width);
        return;
    }
    for (int64_t m = 0; m < t->count; m++)
        if (t->fusion.used[s * t->count + m]) give(model, s, m, 1 / (float)count, dv);
}

static void give_back(kd_model *model)
{
    const kd__towers *t = kd__towers_of(&model->net);
    for (int64_t s = 0; s < t->samples; s++) {
        const int64_t count = used_count(t, s);
        for (int64_t n = 0; n < t->count && count; n++) {
            const float *dv = t->fusion.dinput + (s * t->count + n) * t->width;
            if (t->fusion.used[s * t->count + n]) give(model, s, n, 1, dv);
            else give_stand_in(model, s, n, count, dv);
        }
    }
}

kd_status kd__fusion_backward(kd_model *model)
{
    kd__towers *t = kd__towers_of(&model->net);
    clear_empty(t, t->fusion.gradient);
    if (t->fusion.type == KD__FUSE_CONCAT) KD_TRY(join_gradient(model));
    else share_gradient(model);
    if (t->fusion.type == KD__FUSE_GATED) gate_gradient(model);
    give_back(model);
    return KD_OK;
}
