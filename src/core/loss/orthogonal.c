/* Orthonormal rows or columns: the nearest such matrix, by Newton and Schulz's iteration
 * W <- W + 1/2 (I - W W') W, which turns every singular value into 1.
 * [Bjoerck and Bowie 1971; VkD, Miles et al. 2024]
 * It converges from singular values below sqrt(3): a matrix that is far from orthonormal is divided
 * by its Frobenius norm first. */
#include <math.h>

#include "base/context.h"
#include "base/memory.h"
#include "core/loss/loss.h"
#include "math/gemm.h"

#define MOST_TURNS 80
/* Largest entry of I - W W' that is left: what sums in float32 leave. */
#define CLOSE_ENOUGH 2e-6f

typedef struct {
    kd_context *context;
    float *w, *gram, *copy;
    int64_t to, from, small; /* small: the lesser of both */
} turns;

/* gram = I - W W', or I - W' W where W is tall; the largest entry, and the norm. */
static kd_status measure(const turns *t, float *largest, double *norm)
{
    const int tall = t->to > t->from;
    const kd__gemm g = { .a_t = tall,
                         .b_t = !tall,
                         .m = t->small,
                         .n = t->small,
                         .k = tall ? t->to : t->from,
                         .alpha = -1,
                         .a = t->w,
                         .lda = t->from,
                         .b = t->w,
                         .ldb = t->from,
                         .c = t->gram,
                         .ldc = t->small };
    const kd__kernels *kernels = t->context->kernels;
    KD_TRY(kd__gemm_float32(t->context, &g));
    for (int64_t i = 0; i < t->small; i++) t->gram[i * t->small + i] += 1;
    *largest = kernels->largest_size(t->gram, t->small * t->small);
    *norm = sqrt(kernels->sum_squares(t->gram, t->small * t->small));
    return KD_OK;
}

/* W += 1/2 gram W, or W gram. */
static kd_status turn(const turns *t)
{
    const int tall = t->to > t->from;
    const kd__gemm g = { .m = t->to,
                         .n = t->from,
                         .k = t->small,
                         .alpha = 0.5f,
                         .a = tall ? t->copy : t->gram,
                         .lda = t->small,
                         .b = tall ? t->gram : t->copy,
                         .ldb = t->from,
                         .beta = 1,
                         .c = t->w,
                         .ldc = t->from };
    t->context->kernels->axpby(t->copy, 1, t->w, 0, t->to * t->from);
    return kd__gemm_float32(t->context, &g);
}

static void shrink(const turns *t)
{
    const int64_t count = t->to * t->from;
    const double norm = sqrt(t->context->kernels->sum_squares(t->w, count));
    if (norm > 0 && isfinite(norm))
        t->context->kernels->axpby(t->w, 0, t->w, (float)(1 / norm), count);
}

static kd_status iterate(const turns *t)
{
    float largest;
    double norm;
    KD_TRY(measure(t, &largest, &norm));
    if (norm >= 1) {
        shrink(t);
        KD_TRY(measure(t, &largest, &norm));
    }
    for (int i = 0; i < MOST_TURNS && largest > CLOSE_ENOUGH; i++) {
        KD_TRY(turn(t));
        KD_TRY(measure(t, &largest, &norm));
    }
    return KD_OK;
}

kd_status kd__make_orthogonal(kd_context *context, float *w, int64_t to, int64_t from)
{
    turns t = { context, w, NULL, NULL, to, from, to < from ? to : from };
    const int64_t square = t.small * t.small;
    KD_TRY(kd__scratch_take(context, square + to * from, &t.gram));
    t.copy = t.gram + square;
    for (int64_t i = 0; i < to * from; i++) t.copy[i] = 0;
    const kd_status status = iterate(&t);
    kd__scratch_give(context, t.gram);
    return status;
}

kd_status kd__projections_retract(kd_loss *loss)
{
    for (int32_t i = 0; i < loss->projection_count; i++) {
        const kd__projection *p = &loss->projections[i];
        if (p->kind != KD_PROJECTION_ORTHOGONAL || !p->made) continue;
        const kd__tensor *tensor = &loss->parameters.tensors[p->tensor[KD__WEIGHT]];
        KD_TRY(kd__make_orthogonal(loss->object.context, loss->parameters.values + tensor->offset,
                                   tensor->dims[0], tensor->dims[1]));
    }
    return KD_OK;
}
