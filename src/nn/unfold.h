/* Patches of images as the rows of a matrix: a convolution without padding is one product then.
 * Legend: S images of C channels, H x W; a patch has h x w places of each channel, n = C h w
 * numbers, and begins at every a-th line and every b-th column: P of them, in lines of `columns`.
 * Before an image's patches stand E rows of something else, so that it has T = E + P rows.
 *
 *   u[s T + E + i columns + j][(c h + k) w + l] = x[s][c][i a + k][j b + l]
 *   u[s T + e] = 0 for e < E
 *
 * Of an image, K chosen patches may stand for all: the E rows, then those, T = E + K.
 *
 * Nothing comes before an image: there is no gradient of x. */
#ifndef KD_NN_UNFOLD_H
#define KD_NN_UNFOLD_H

#include "nn/ranges.h"

typedef struct kd__patches {
    int64_t channels, height, width;     /* C, H, W; 0: there are no images */
    int64_t patch_height, patch_width;   /* h, w */
    int64_t stride_height, stride_width; /* a, b */
    int64_t before;                      /* E */
    int64_t kept;                        /* K; 0: all P patches of an image */
    int32_t is_transposed; /* 1: an image lies as (C, W, H), as frames of a sound do */
} kd__patches;

/* P; 0: no patch fits into the image. */
int64_t kd__patches_count(const kd__patches *patches);
/* T */
static inline int64_t kd__patches_rows(const kd__patches *p)
{
    return p->before + (p->kept ? p->kept : kd__patches_count(p));
}
/* n */
static inline int64_t kd__patches_numbers(const kd__patches *p)
{
    return p->channels * p->patch_height * p->patch_width;
}
/* C H W */
static inline int64_t kd__patches_image(const kd__patches *p)
{
    return p->channels * p->height * p->width;
}
/* u (S T, n) of x (S, C, H, W); images->count is S. chosen (S, K): which patches are kept. */
void kd__unfold(const kd__rows *images, const kd__patches *patches, const float *x,
                const int32_t *chosen, float *u);

/* The E rows before the patches, which are the same for each image: rows s T + e of x (S T, d) =
 * tokens[e] (d). */
void kd__place_tokens(const kd__rows *images, const kd__patches *patches,
                      const float *const *tokens, int64_t d, float *x);
/* dtokens[e] (d) = or, with add, += sum over images of rows s T + e of dx; those rows become 0. */
void kd__take_tokens(const kd__rows *images, const kd__patches *patches, float *dx, int64_t d,
                     float *const *dtokens, int add);

#endif
