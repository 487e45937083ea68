/* A batch of random tokens, for measuring a model without texts. */
#include "base/memory.h"
#include "base/numbers.h"
#include "language/trunk/trunk.h"
#include "math/random.h"

kd_status kd__trunk_random_tokens(kd_batch **out, const kd_model *model, uint64_t seed,
                                  int64_t rows, int64_t longest)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const int64_t length = kd__min(kd__min(longest, d->positions), rows),
                  texts = kd__ceil_div(rows, length);
    const uint64_t stream = kd__stream(0x72616e64, (uint64_t)d->vocabulary, seed);
    kd_context *context = model->object.context;
    kd_batch *batch = NULL;
    int64_t *ids = NULL, *offsets = NULL;
    kd_status status = KD_NEW(context, &ids, rows);
    if (status == KD_OK) status = KD_NEW(context, &offsets, texts + 1);
    for (int64_t i = 0; i < rows && status == KD_OK; i++)
        ids[i] = (int64_t)(kd__uniform(stream, (uint64_t)i) * (double)d->vocabulary);
    for (int64_t i = 0; i <= texts && status == KD_OK; i++) offsets[i] = kd__min(i * length, rows);
    const kd_array os = KD_ARRAY_1D(offsets, KD_INT64, texts + 1),
                   ts = KD_ARRAY_1D(ids, KD_INT64, rows);
    if (status == KD_OK) status = kd_batch_create(&batch, context, NULL);
    if (status == KD_OK) status = kd_batch_begin_packed(batch, &os);
    if (status == KD_OK) status = kd_batch_set(batch, model->net.input, &ts, NULL);
    kd__release(context, ids);
    kd__release(context, offsets);
    if (status == KD_OK) *out = batch;
    else kd_batch_free(batch);
    return status;
}
