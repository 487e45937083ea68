/* Bytes of a store by its rule. What has a fixed size follows docs/store-format.md; top-k and draws
 * are coded, and take what docs/store-figures.md measured. */
#include <kdistill/store.h>
#include <math.h>

#include "measure/plan/plan.h"

/* Bytes of an entry of a top-k: through the measured points (16, 2.29), (64, 1.87), (128, 1.76). */
static double entry_bytes(double k)
{
    const double at = log2(k);
    if (at <= 6) return fmin(3, 2.29 + (1.87 - 2.29) / 2 * (at - 4));
    return fmax(1.5, 1.87 + (1.76 - 1.87) * (at - 6));
}

double kd__plan_position_bytes(const kd_plan_options *o, int64_t classes, int64_t width)
{
    const double n = (double)o->entries;
    if (o->position_bytes > 0) return o->kind ? o->position_bytes : 0;
    switch (o->kind) {
    case 0: return 0;
    case KD_STORE_TOPK: return n * entry_bytes(n);
    /* draws meet the same ids again: 28.6 bytes for 50, 65.7 for 200, between both texts */
    case KD_STORE_COUNTS: return 2.735 * pow(n, 0.6);
    case KD_STORE_HIDDEN: return 4 + ceil((double)width * o->bits / 8);
    case KD_STORE_DENSE: return (double)classes * (double)kd_dtype_bytes(o->encoding);
    default: return NAN;
    }
}

/* The record's header, directory of two parts, sample part with one check a position and one more,
 * both parts padded to 8 bytes; the index's entry. */
double kd__plan_record_bytes(double positions)
{
    return 64 + 2 * 16 + 16 + positions + 1 + 2 * 3.5 + 56;
}
