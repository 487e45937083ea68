/* Patches of images, and what stands before them. Legend in unfold.h. */
#include "nn/unfold.h"

#include <string.h>

static int64_t fitting(int64_t length, int64_t patch, int64_t stride)
{
    return length < patch ? 0 : (length - patch) / stride + 1;
}

static int64_t columns_of(const kd__patches *p)
{
    return fitting(p->width, p->patch_width, p->stride_width);
}

int64_t kd__patches_count(const kd__patches *p)
{
    return fitting(p->height, p->patch_height, p->stride_height) * columns_of(p);
}

/* ---- patches ---- */

typedef struct {
    const kd__patches *p;
    const float *x;
    const int32_t *chosen;
    float *u;
    int64_t down, across; /* numbers from a place to the one below it, and beside it */
} unfolding;

static void copy_patch(const unfolding *w, const float *from, float *to)
{
    const kd__patches *p = w->p;
    const int64_t wide = p->patch_width, channel = p->height * p->width;
    for (int64_t c = 0; c < p->channels; c++)
        for (int64_t k = 0; k < p->patch_height; k++, to += wide) {
            const float *line = from + c * channel + k * w->down;
            if (w->across == 1) memcpy(to, line, (size_t)wide * sizeof *to);
            else
                for (int64_t l = 0; l < wide; l++) to[l] = line[l * w->across];
        }
}

static void unfold_some(const kd__kernels *kernels, const void *argument, int64_t first,
                        int64_t end)
{
    const unfolding *w = argument;
    const kd__patches *p = w->p;
    const int64_t n = kd__patches_numbers(p), count = kd__patches_rows(p) - p->before,
                  columns = columns_of(p);
    (void)kernels;
    for (int64_t s = first; s < end; s++) {
        const float *image = w->x + s * kd__patches_image(p);
        float *to = w->u + s * kd__patches_rows(p) * n;
        memset(to, 0, (size_t)(p->before * n) * sizeof *to);
        to += p->before * n;
        for (int64_t k = 0; k < count; k++, to += n) {
            const int64_t i = p->kept ? w->chosen[s * count + k] : k;
            copy_patch(w,
                       image + i / columns * p->stride_height * w->down +
                           i % columns * p->stride_width * w->across,
                       to);
        }
    }
}

void kd__unfold(const kd__rows *images, const kd__patches *p, const float *x, const int32_t *chosen,
                float *u)
{
    const unfolding w = { .p = p,
                          .x = x,
                          .chosen = chosen,
                          .u = u,
                          .down = p->is_transposed ? 1 : p->width,
                          .across = p->is_transposed ? p->height : 1 };
    kd__for_rows(images, unfold_some, &w);
}

/* ---- tokens ---- */

typedef struct {
    const kd__patches *p;
    const float *const *tokens;
    float *const *dtokens;
    float *x;
    int64_t d, images;
    int add;
} placing;

static void place_some(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const placing *w = argument;
    const int64_t rows = kd__patches_rows(w->p);
    (void)kernels;
    for (int64_t s = first; s < end; s++)
        for (int64_t e = 0; e < w->p->before; e++)
            memcpy(w->x + (s * rows + e) * w->d, w->tokens[e], (size_t)w->d * sizeof *w->x);
}

void kd__place_tokens(const kd__rows *images, const kd__patches *p, const float *const *tokens,
                      int64_t d, float *x)
{
    const placing w = { .p = p, .tokens = tokens, .x = x, .d = d };
    kd__for_rows(images, place_some, &w);
}

static void take_some(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const placing *w = argument;
    const int64_t rows = kd__patches_rows(w->p), n = end - first;
    for (int64_t e = 0; e < w->p->before; e++) {
        float *to = w->dtokens[e] + first;
        if (!w->add) memset(to, 0, (size_t)n * sizeof *to);
        for (int64_t s = 0; s < w->images; s++) {
            float *from = w->x + (s * rows + e) * w->d + first;
            kernels->add_bias(to, to, from, n);
            memset(from, 0, (size_t)n * sizeof *from);
        }
    }
}

void kd__take_tokens(const kd__rows *images, const kd__patches *p, float *dx, int64_t d,
                     float *const *dtokens, int add)
{
    const placing w = {
        .p = p, .dtokens = dtokens, .x = dx, .d = d, .images = images->count, .add = add
    };
    kd__for_columns(images->context, d, take_some, &w);
}
