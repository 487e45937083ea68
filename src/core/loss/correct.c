/* When the teacher is wrong, or not sure: corrections by the label and confidence gates. With p_max
 * the largest probability: SWAP exchanges p_max and p_y. MIX takes p' = b onehot(y) + (1 - b) p
 * with the smallest b that makes the label win: p'_y = p'_max needs b / (1 - b) = p_max - p_y, so
 * that p' is p with p_y raised to p_max, normalized again. */
#include <math.h>
#include <string.h>

#include "core/loss/loss.h"

static double confidence(const kd__row *row)
{
    int32_t bad;
    float max = row->kernels->scan(row->v, row->n, &bad);
    if (bad || max == -INFINITY) return 1;
    return 1 / row->kernels->exponentials(row->v, row->n, max,
                                          (float)(1 / row->term->o.temperature), row->ev);
}

int kd__correct_dense(kd__row *row, float *copy)
{
    const kd_term_options *o = &row->term->o;
    const double power = row->term->numbers.confidence_power;
    if (power > 0) {
        double gate = pow(confidence(row), power);
        row->scale *= gate;
        row->gate = gate;
    }
    if (!o->correction || row->label < 0) return 1;
    int64_t best = row->kernels->argmax(row->v, row->n), y = row->label;
    if (best == y) return 1;
    row->corrected = o->correction;
    if (o->correction == KD_CORRECT_DROP) return 0;
    if (row->v != copy) memcpy(copy, row->v, (size_t)row->n * sizeof *copy);
    const float largest = copy[best];
    if (o->correction == KD_CORRECT_SWAP) copy[best] = copy[y];
    copy[y] = o->correction == KD_CORRECT_MIX ? nextafterf(largest, INFINITY) : largest;
    row->v = copy;
    return 1;
}
