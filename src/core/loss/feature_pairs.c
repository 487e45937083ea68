/* The sides of a block compared: rows one with one, maps, or relations of all rows. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/loss/features.h"
#include "core/relation/relation.h"

#define TILE 8 /* rows of a piece of work, at least */

/* ---- rows compared one with one ---- */

static kd__compared compared_row(const kd__feature *f, int64_t i, int32_t worker)
{
    return (kd__compared){ .kernels = f->context->kernels,
                           .term = f->term,
                           .s = f->z.x + i * f->width,
                           .t = f->t.x + i * f->given,
                           .n = f->width,
                           .ds = f->student->dz ? f->p.dz + i * f->width : NULL,
                           .scale = f->scale * f->s->row_weight[f->entries[i / f->grid]] /
                                    (double)f->grid,
                           .precision = f->precision,
                           .log_variance = f->log_variance,
                           .shape = f->student->shape,
                           .teacher_shape = f->s->teacher_shape,
                           .room = (double *)(void *)f->scratch + worker * f->map_room,
                           .state = KD__ROW_VALID };
}

/* Row i of the block: its value and gradient. */
static int32_t compare_row(const kd__feature *f, int64_t i, int32_t worker, double *value)
{
    kd__compared row = compared_row(f, i, worker);
    if (f->z.bad[i] || f->t.bad[i]) return KD__ROW_NONFINITE;
    f->kind->compare(&row);
    f->row_scale[i] = (float)row.scale;
    *value += row.value;
    return isfinite(row.value) ? row.state : KD__ROW_NONFINITE;
}

/* Entry e: the mean of its rows, all of them or none. */
static void compare_entry(const kd__feature *f, int64_t e, int32_t worker)
{
    const int64_t r = f->entries[e], first = e * f->grid, rows = f->grid;
    int32_t state = f->s->state[r];
    double value = 0;
    for (int64_t k = 0; k < rows && state == KD__ROW_VALID; k++)
        state = compare_row(f, first + k, worker, &value);
    const int valid = state == KD__ROW_VALID;
    if (!valid && f->student->dz)
        memset(f->p.dz + first * f->width, 0, (size_t)(rows * f->width) * sizeof *f->p.dz);
    if (!valid) memset(f->row_scale + first, 0, (size_t)rows * sizeof *f->row_scale);
    f->s->state[r] = (uint8_t)state;
    f->s->value[r] = valid ? value / (double)rows * kd__term_t2(f->term) * f->s->row_weight[r] : 0;
}

static int64_t entries_of_tile(const kd__feature *f) { return kd__max(TILE / f->grid, 1); }

static void compare_tile(void *argument, int64_t tile, int32_t worker)
{
    const kd__feature *f = argument;
    const int64_t each = entries_of_tile(f), first = tile * each,
                  end = kd__min(first + each, f->entry_count.count);
    for (int64_t e = first; e < end; e++) compare_entry(f, e, worker);
}

/* ---- relations: every row has its share ---- */

static void share_out(const kd__feature *f, int degenerate)
{
    for (int64_t i = 0; i < f->count.count; i++) {
        const int64_t r = f->entries[i];
        f->s->value[r] = f->shares[i] * kd__term_t2(f->term);
        if (degenerate) f->s->state[r] = KD__ROW_MASKED;
        else if (!isfinite(f->s->value[r])) f->s->state[r] = KD__ROW_NONFINITE;
    }
}

static kd_status relate(kd__feature *f)
{
    const kd__numbers *n = &f->term->numbers;
    const double temperature = f->term->o.temperature;
    kd__relation r = { .context = f->context,
                       .s = f->z.x,
                       .t = f->t.x,
                       .ds = f->student->dz ? f->p.dz : NULL,
                       .b = f->count.count,
                       .ws = f->width,
                       .wt = f->given,
                       .scale = f->scale * (double)f->count.count,
                       .shares = f->shares,
                       .temperature = temperature,
                       .teacher_temperature = n->teacher_temperature > 0 ? n->teacher_temperature
                                                                         : temperature,
                       .unbiased = n->unbiased != 0,
                       .limit = f->loss->memory_limit,
                       .scratch = f->scratch };
    KD_TRY(f->kind->relate(&r));
    f->loss->terms[f->number].degenerate += r.degenerate;
    share_out(f, r.degenerate);
    return KD_OK;
}

kd_status kd__feature_compare(kd__feature *f)
{
    if (f->kind->relate) return relate(f);
    kd__parallel(f->context, kd__ceil_div(f->entry_count.count, entries_of_tile(f)), compare_tile,
                 f);
    return KD_OK;
}

/* ---- variances: v = softplus(rho) + a little ---- */

static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

void kd__variance_read(kd__feature *f)
{
    const kd__parameters *p = &f->loss->parameters;
    if (f->variance < 0) return;
    const float *rho = p->values + p->tensors[f->variance].offset;
    for (int64_t i = 0; i < f->width; i++) {
        const double v = softplus(rho[i]) + KD__LEAST_VARIANCE;
        f->precision[i] = 1 / v;
        f->log_variance += 0.5 * log(v) / (double)f->width;
    }
}

/* d rho = 1/n sum over rows of (1 / (2 v) - (s - t)^2 / (2 v^2)) sigmoid(rho) */
static void variance_some(const kd__kernels *kernels, const void *argument, int64_t first,
                          int64_t end)
{
    const kd__feature *f = argument;
    const kd__parameters *p = &f->loss->parameters;
    const int64_t offset = p->tensors[f->variance].offset;
    (void)kernels;
    for (int64_t k = first; k < end; k++) {
        const double precision = f->precision[k];
        double sum = 0;
        for (int64_t i = 0; i < f->count.count; i++) {
            const double d = (double)f->z.x[i * f->width + k] - f->t.x[i * f->given + k];
            sum += f->row_scale[i] * 0.5 * precision * (1 - d * d * precision);
        }
        const double slope = 1 / (1 + exp(-(double)p->values[offset + k]));
        p->fresh[offset + k] += (float)(sum * slope / (double)f->width);
    }
}

void kd__variance_back(kd__feature *f)
{
    if (f->variance >= 0) kd__for_columns(f->context, f->width, variance_some, f);
}
