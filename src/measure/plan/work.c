/* What a token costs: products and attention, from a config alone. Legend: h hidden size, q = H D
 * numbers of queries, k = K D of keys, i inner size, c keys that a token sees.
 *
 *   layer = 2 (h q + 2 h k + q h + (i + units) h),   attention = 4 q c,   head = 2 V o
 *   c = (L + 1) / 2,  L = mean length + deviation^2 / mean length: of a token, not of a sample */
#include <math.h>

#include "base/numbers.h"
#include "core/model/model.h"
#include "language/trunk/trunk.h"
#include "measure/plan/plan.h"

/* Mean of min(position, most) over positions 1 .. length. */
static double mean_keys(double length, double most)
{
    if (length <= most) return (length + 1) / 2;
    return (most * (most + 1) / 2 + (length - most) * most) / length;
}

static double keys_of(const kd__trunk_config *d, int64_t window, double length, double deviation)
{
    const double seen = length + deviation * deviation / length;
    if (!window) return d->both_sides ? seen : mean_keys(seen, seen);
    const double most = (double)(d->both_sides ? 2 * window - 1 : window + d->sinks);
    return d->both_sides ? fmin(seen, most) : mean_keys(seen, most);
}

static void add_layer(const kd__trunk_config *d, int64_t layer, double length, double deviation,
                      kd__work *work)
{
    const double h = (double)d->hidden, q = (double)(d->heads * d->width),
                 k = (double)(d->kv_heads * d->width),
                 middle = (double)(d->inner + kd__trunk_units(d));
    const double keys = keys_of(d, d->layer[layer].window, length, deviation);
    work->layers += 2 * h * (2 * q + 2 * k + middle);
    work->attention += 4 * q * keys;
    work->keys += keys / (double)d->layers;
}

static void read_trunk(const kd__network *net, double length, double deviation, kd__work *work)
{
    const kd__trunk_config *d = &((const kd__trunk *)net->state)->config;
    for (int64_t l = 0; l < d->layers; l++) add_layer(d, l, length, deviation, work);
    if (d->projection >= 0)
        work->layers += 2.0 * (double)d->embedded * (double)d->hidden *
                        (d->outer < d->hidden ? 2 : 1);
    if (d->embedding >= 0) work->embedding = net->tensors[d->embedding].count;
    work->layer_count = d->layers;
    work->classes = d->classes;
    work->width = d->outer;
    work->head = 2.0 * (double)d->classes * (double)d->outer;
}

static kd_status read_network(const kd__network *net, const char *what, double length,
                              double deviation, kd__work *work)
{
    const kd__engine *e = net->engine;
    work->parameters = net->parameters;
    if (e->configure == kd__trunk_configure &&
        !((const kd__trunk *)net->state)->config.patches.channels) {
        read_trunk(net, length, deviation, work);
        return KD_OK;
    }
    KD_FAIL_IF(!e->knows("mlp") || net->tensor_count < 1 || net->tensors[0].rank != 2,
               KD_ERR_UNSUPPORTED,
               "%s: expected the config of a language model, an encoder or an mlp: the work of "
               "others is not counted",
               what);
    work->layers = 2.0 * (double)net->parameters;
    return KD_OK;
}

kd_status kd__work_of(kd_context *context, const char *config, const char *what, double length,
                      double deviation, kd__work *work)
{
    kd__network net;
    *work = (kd__work){ 0 };
    KD_TRY(kd__network_read(&net, context, config));
    const kd_status status = read_network(&net, what, length, deviation, work);
    kd__network_free(&net, context);
    return status;
}
