/* Memory of a trunk's passes: where activations are, how much all of it takes. */
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "language/trunk/trunk.h"
#include "language/trunk/packed.h"
#include "language/trunk/smooth.h"

static int64_t place(int64_t *floats, int64_t rows, int64_t width)
{
    const int64_t at = *floats;
    *floats += kd__round_up(rows * width, 16);
    return at;
}

/* Places for the values of layers that are kept, after the first: as they are, or in 16 bits. */
static void keep_layers(kd__trunk_plan *p, const kd__trunk_config *d, int32_t train, int64_t place)
{
    const int64_t kept = d->layers - p->kept.recompute;
    if (!train || !kept) return;
    if (p->kept.dtype == KD_FLOAT32) {
        p->step = place;
        p->floats += p->step * (kept - 1);
        return;
    }
    p->stored = p->floats;
    p->stored_step = p->halved / 2 + p->whole;
    p->floats += p->stored_step * kept;
}

/* What belongs to no layer: norms of both ends, angles of positions. */
static void lay_out_ends(kd__trunk_plan *p, const kd__trunk_config *d, int64_t rows)
{
    if (d->norm >= 0) p->last_r = place(&p->floats, rows, kd__trunk_stats(d));
    if (d->embedding_norm >= 0) {
        p->summed = place(&p->floats, rows, d->hidden);
        p->summed_r = place(&p->floats, rows, kd__trunk_stats(d));
    }
    if (d->no_rotation) return;
    p->cosine = place(&p->floats, rows, d->width / 2);
    p->sine = place(&p->floats, rows, d->width / 2);
    if (!d->two_ropes) return;
    p->local_turn = place(&p->floats, rows, d->width / 2) - p->cosine;
    place(&p->floats, rows, d->width / 2);
}

/* A pass that is not pushed back keeps one layer's values, and the next layer writes over them. */
static void lay_out_values(kd__trunk_plan *p, const kd__trunk_config *d, kd__trunk_kept kept,
                           int64_t rows, int32_t train)
{
    const int64_t q = d->heads * d->width, all = q + 2 * d->kv_heads * d->width;
    const int64_t stats = kd__trunk_stats(d), units = kd__trunk_units(d);
    memset(p, 0, sizeof *p);
    p->rows = rows;
    p->kept = kept;
    p->x = place(&p->floats, rows, d->hidden);
    p->x_step = train ? p->floats : 0;
    p->floats += p->x_step * d->layers;
    const int64_t first = p->floats;
    p->qkv = place(&p->floats, rows, all);
    if (d->qk_norm) p->raw = place(&p->floats, rows, q + d->kv_heads * d->width);
    p->att = place(&p->floats, rows, q);
    p->gu = place(&p->floats, rows, units);
    p->mid = place(&p->floats, rows, d->hidden);
    if (d->post_norm) p->sum = place(&p->floats, rows, d->hidden);
    p->halved = p->floats - first;
    p->lse = place(&p->floats, rows, d->heads);
    p->r1 = place(&p->floats, rows, stats);
    p->r2 = place(&p->floats, rows, stats);
    if (d->qk_norm) p->rq = place(&p->floats, rows, d->heads + d->kv_heads);
    p->whole = p->floats - first - p->halved;
    keep_layers(p, d, train, p->floats - first);
    p->hidden = d->norm < 0 ? p->x + d->layers * p->x_step : place(&p->floats, rows, d->outer);
    if (d->projection >= 0) p->gathered = place(&p->floats, rows, d->embedded);
    lay_out_ends(p, d, rows);
    p->normed = place(&p->floats, rows, d->hidden);
    p->act = place(&p->floats, rows, train ? kd__max(d->inner, all) : d->inner);
    if (!train) return;
    /* one is over where the other begins: trunk_backward.c */
    p->dy = p->normed;
    p->dqkv = p->act;
    p->dx = place(&p->floats, rows, d->hidden);
    p->wide = place(&p->floats, rows, kd__max(d->inner, q));
    if (d->projection >= 0 && d->embedding >= 0)
        p->dgathered = place(&p->floats, rows, d->embedded);
}

void kd__trunk_lay_out(kd__trunk_plan *p, const kd__trunk_config *d, kd__trunk_kept kept,
                       int64_t rows, int32_t train)
{
    lay_out_values(p, d, kept, rows, train);
    kd__trunk_place_outputs(p, d);
}

/* The most that one of a layer's products takes: y (rows, outputs) = x W', and backwards dx and
 * dW. */
static int64_t product_scratch(const kd_context *context, int64_t rows, int64_t inputs,
                               int64_t outputs, int32_t train, int32_t weights)
{
    if (kd__packed_has(weights) && train)
        return kd__packed_train_scratch(context, rows, inputs, outputs);
    if (kd__packed_has(weights)) return kd__packed_scratch(context, weights, rows, inputs);
    const int64_t y = kd__gemm_scratch(context, rows, outputs, inputs),
                  dx = train ? kd__gemm_scratch(context, rows, inputs, outputs) : 0,
                  dw = train ? kd__gemm_scratch(context, outputs, inputs, rows) : 0;
    return y > dx ? (y > dw ? y : dw) : (dx > dw ? dx : dw);
}

static int64_t most_scratch(const kd__trunk_config *d, const kd_context *context, int64_t rows,
                            int32_t train, int32_t weights)
{
    const int64_t q = d->heads * d->width, all = q + 2 * d->kv_heads * d->width;
    const int64_t shapes[][2] = { { d->hidden, all },
                                  { q, d->hidden },
                                  { d->hidden, kd__trunk_units(d) },
                                  { d->inner, d->hidden },
                                  { d->embedded, d->hidden } };
    const kd__trunk_pass longest = { .sequences = rows /* at most */ };
    const kd__attention a = kd__trunk_attention(d, &longest, &d->layer[0]);
    int64_t most = kd__attention_scratch(context, &a);
    for (int i = 0; i < (d->projection < 0 ? 4 : 5); i++) {
        const int64_t one = product_scratch(context, rows, shapes[i][0], shapes[i][1], train,
                                            i == 4 ? KD_FLOAT32 : weights);
        if (one > most) most = one;
    }
    return most;
}

int64_t kd__trunk_scratch(const kd__network *net, const kd_context *context,
                          const kd_model_options *o)
{
    const kd__trunk_config *d = &((const kd__trunk *)net->state)->config;
    const int64_t rows = o->max_rows * kd__max(1, kd__trunk_image_rows(d));
    const int64_t most = rows ? most_scratch(d, context, rows, !o->frozen, o->weights) : 0;
    if (!kd__packed_measures(d, o->weights)) return most;
    return kd__max(most, most_scratch(d, context, KD__SMOOTH_ROWS, 0, KD_FLOAT32));
}

kd_status kd__trunk_memory(kd__network *net, const kd_context *context, const kd_model_options *o,
                           int64_t *floats)
{
    const kd__trunk *state = net->state;
    const kd__trunk_config *d = &state->config;
    const int32_t train = !o->frozen;
    kd__trunk_kept kept = state->kept;
    kd__trunk_plan plan;
    int64_t rows, trained, a_row, whole;
    KD_TRY(kd__multiply(o->max_rows, kd__trunk_rows_of_pass(d, 0), &rows));
    KD_TRY(kd__multiply(o->max_rows, kd__trunk_rows_of_pass(d, train), &trained));
    if (kd__packed_measures(d, o->weights)) /* the rows that 8-bit weights are made with */
        rows = trained = kd__max(rows, KD__SMOOTH_ROWS);
    kept.outputs = net->asked;
    kd__trunk_lay_out(&plan, d, kept, 1, train);
    KD_TRY(kd__multiply(plan.floats, rows, &a_row));
    KD_TRY(kd__multiply(a_row, 8, &whole)); /* fits in bytes */
    kd__trunk_lay_out(&plan, d, kept, trained, train);
    *floats = plan.floats + (train ? trained * d->outer : 0);
    if (trained < rows) { /* an evaluating pass has all patches */
        kd__trunk_lay_out(&plan, d, kept, rows, 0);
        *floats = kd__max(*floats, plan.floats + trained * d->outer);
        *floats += o->max_rows * d->kept_patches;
    }
    if (d->embedding >= 0) *floats += rows;
    if (d->position_table >= 0) *floats += rows;
    if (d->type_table >= 0) *floats += rows;
    *floats += kd__trunk_scratch(net, context, o);
    if (kd__packed_has(o->weights) && !o->packed_only)
        *floats += kd__packed_bytes(d, o->weights) / 4;
    if (kd__packed_has(o->weights) && train) *floats += kd__packed_made_floats(d);
    return KD_OK;
}

kd_status kd__trunk_pass_reserve(kd__trunk_pass *pass, const kd_model *model, kd__trunk_kept kept,
                                 int64_t rows, int32_t train)
{
    kd__trunk_plan *p = &pass->plan;
    const int64_t floats = p->floats;
    const kd__trunk_config *d = kd__trunk_config_of(model);
    /* where passes of two sizes take turns, the larger one keeps less of a row */
    kd__trunk_lay_out(p, d, kept, d->kept_patches ? rows : kd__max(rows, p->rows), train);
    pass->rows = 0;
    if (pass->block && p->floats <= floats) {
        p->floats = floats; /* the block stays as large as it was */
        return KD_OK;
    }
    kd__release(model->object.context, pass->block);
    pass->block = NULL;
    const kd_status status = KD_NEW(model->object.context, &pass->block, p->floats);
    if (status != KD_OK) memset(p, 0, sizeof *p);
    return status;
}

void kd__trunk_pass_free(kd__trunk_pass *pass, kd_context *context)
{
    kd__release(context, pass->block);
    kd__release(context, pass->tokens);
    kd__release(context, pass->positions);
    kd__release(context, pass->types);
    kd__release(context, pass->offsets);
    kd__release(context, pass->chosen_block);
    memset(pass, 0, sizeof *pass);
}
