/* Lazy groups: a step passes over rows without a gradient. Which rows those are is told by the
 * gradients alone, so that threads, checkpoints and models that know their rows change nothing. */
#include "base/numbers.h"
#include "core/optimizer/optimizer.h"

static int is_lazy(const kd__parameter *p) { return p->grouped && p->group.lazy; }

void kd__optimizer_find_touched(kd_optimizer *optimizer)
{
    for (int64_t i = 0; i < optimizer->count; i++) {
        kd__parameter *p = &optimizer->parameters[i];
        if (p->model) p->touched = kd__model_touched(p->model, p->tensor);
    }
}

static int has_gradient(const kd__parameter *p, int64_t row)
{
    const float *g = p->gradients + row * p->width;
    if (p->touched && !(p->touched[row / 64] >> row % 64 & 1)) return 0;
    for (int64_t i = 0; i < p->width; i++)
        if (g[i] != 0) return 1;
    return 0;
}

int kd__optimizer_next(const kd__parameter *p, const kd__piece *piece, int64_t *at, int64_t *end)
{
    const int64_t last = piece->first + piece->count;
    *end = last;
    if (*at >= last || !is_lazy(p)) return *at < last;
    for (int64_t row = *at / p->width; row * p->width < last; row++) {
        if (!has_gradient(p, row)) continue;
        *at = kd__max(*at, row * p->width);
        *end = kd__min(last, (row + 1) * p->width);
        return 1;
    }
    return 0;
}
