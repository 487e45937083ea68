/* Queries and keys normed and turned, forward and backward. */
#include "nn/heads.h"

#include <string.h>

#include "base/thread.h"

typedef struct {
    const kd__heads *h;
    float *qkv, *raw, *inverse;  /* forward */
    const float *kept, *factors; /* backward */
    float *dqkv, *dq_norm, *dk_norm;
    int64_t rows, turned, row; /* heads that turn; numbers of a row */
    int add;
} work;

static work begin(const kd__rows *rows, const kd__heads *h)
{
    const int64_t turned = h->heads + h->kv_heads;
    return (work){
        .h = h, .rows = rows->count, .turned = turned, .row = (turned + h->kv_heads) * h->head_dim
    };
}

static const float *weight_of(const kd__heads *h, int64_t head)
{
    return head < h->heads ? h->q_norm : h->k_norm;
}

/* ---- forward ---- */

static void finish_row(const kd__kernels *kernels, const work *w, int64_t r)
{
    const kd__heads *h = w->h;
    const int64_t n = h->head_dim;
    float *row = w->qkv + r * w->row, *raw = w->raw ? w->raw + r * w->turned * n : NULL;
    if (h->bias) kernels->add_bias(row, row, h->bias, w->row);
    if (h->q_norm && raw) memcpy(raw, row, (size_t)(w->turned * n) * sizeof *raw);
    for (int64_t i = 0; i < w->turned; i++) {
        float *head = row + i * n;
        if (h->q_norm) {
            const float *from = raw ? raw + i * n : head;
            const float factor =
                kernels->rms_norm(head, from, weight_of(h, i), n, (float)h->epsilon);
            if (w->inverse) w->inverse[r * w->turned + i] = factor;
        }
        if (h->cosine) kernels->rotate(head, h->cosine + r * n / 2, h->sine + r * n / 2, n / 2, 1);
    }
}

static void finish(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    for (int64_t r = first; r < end; r++) finish_row(kernels, argument, r);
}

void kd__heads_finish(const kd__rows *rows, const kd__heads *heads, float *qkv, float *raw,
                      float *inverse)
{
    work w = begin(rows, heads);
    w.qkv = qkv, w.raw = raw, w.inverse = inverse;
    kd__for_rows(rows, finish, &w);
}

/* ---- backward ---- */

static void turn_back(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const work *w = argument;
    const int64_t n = w->h->head_dim, half = n / 2;
    for (int64_t r = first; r < end; r++)
        for (int64_t i = 0; i < w->turned; i++)
            kernels->rotate(w->dqkv + r * w->row + i * n, w->h->cosine + r * half,
                            w->h->sine + r * half, half, -1);
}

static void undo_norms(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const work *w = argument;
    const int64_t n = w->h->head_dim;
    for (int64_t r = first; r < end; r++)
        for (int64_t i = 0; i < w->turned; i++) {
            float *dy = w->dqkv + r * w->row + i * n;
            const float *x = w->kept + (r * w->turned + i) * n,
                        factor = w->factors[r * w->turned + i];
            kernels->rms_norm_gradient(dy, dy, x, weight_of(w->h, i), n, factor, 0);
        }
}

/* A norm's weight is shared by all its heads: one thread adds up a few numbers of each. */
static void sum_norm(void *argument, int64_t keys, int32_t worker)
{
    const work *w = argument;
    const int64_t n = w->h->head_dim, first = keys ? w->h->heads : 0,
                  end = keys ? w->turned : w->h->heads;
    float *to = keys ? w->dk_norm : w->dq_norm;
    (void)worker;
    if (!to) return;
    if (!w->add) memset(to, 0, (size_t)n * sizeof *to);
    for (int64_t r = 0; r < w->rows; r++)
        for (int64_t i = first; i < end; i++) {
            const float *dy = w->dqkv + r * w->row + i * n, *x = w->kept + (r * w->turned + i) * n;
            const float factor = w->factors[r * w->turned + i];
            for (int64_t p = 0; p < n; p++) to[p] += dy[p] * x[p] * factor;
        }
}

void kd__heads_gradient(const kd__rows *rows, const kd__heads *heads, const float *raw,
                        const float *inverse, float *dqkv, float *dq_norm, float *dk_norm, int add)
{
    work w = begin(rows, heads);
    w.kept = raw, w.factors = inverse, w.dqkv = dqkv, w.dq_norm = dq_norm, w.dk_norm = dk_norm,
    w.add = add;
    if (heads->cosine) kd__for_rows(rows, turn_back, &w);
    if (!heads->q_norm) return;
    kd__parallel(rows->context, 2, sum_norm, &w);
    kd__for_rows(rows, undo_norms, &w);
}
