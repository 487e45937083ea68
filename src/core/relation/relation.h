/* The mathematics of relations between samples: how the rows of a batch lie to each other at the
 * student and at the teacher. Pure functions of two arrays: what is in a batch and what becomes of
 * the value is the loss's matter. Widths of the two sides may differ.
 *
 * Legend: b rows; S (b, ws) and T (b, wt) the rows of both sides; U, W the same rows at length 1;
 * A = X X^T the student's pairs and C = Y Y^T the teacher's, where X and Y are what the kind
 * compares: the rows themselves, U and W, or rows minus the mean row.
 *
 * Pairs are made in blocks of rows: nothing grows as b * b beyond `limit`, but for the angles.
 * Products are float32 by the library's own kernels, whose rows have the same bits in a block of
 * any size; sums over rows are double, in the order of the rows. So results have the same bits for
 * any limit and any number of threads. */
#ifndef KD_CORE_RELATION_RELATION_H
#define KD_CORE_RELATION_RELATION_H

#include <kdistill/context.h>

#include "base/status.h"

/* Kinds, by the numbers of their terms. */
enum {
    KD__RELATION_SIMILARITY = 25,
    KD__RELATION_GRAM,
    KD__RELATION_DISTANCE,
    KD__RELATION_ANGLE,
    KD__RELATION_PKT,
    KD__RELATION_CKA,
    KD__RELATION_KL
};

typedef struct kd__relation {
    kd_context *context;
    const float *s, *t; /* (b, ws), (b, wt): contiguous, finite */
    float *ds;          /* (b, ws): scale times the gradient of the value, overwritten; or NULL */
    int64_t b, ws, wt;
    double scale;
    double *shares;                          /* (b): of each row; their sum is b times the value */
    double temperature, teacher_temperature; /* kl */
    int32_t unbiased;                        /* cka */
    int64_t limit;                           /* bytes, as kd__relation_room was asked with */
    float *scratch;                          /* kd__relation_room floats, aligned to 64 bytes */
    /* Out: too few rows for the kind, or a side without any relation: all rows 0, all equal where
     * distances count, all equally far apart for an unbiased CKA. Value and gradient are 0 then. */
    int32_t degenerate;
} kd__relation;

/* Floats of scratch. `limit`, in bytes, bounds the blocks of pairs, one row of both sides at least
 * and 4 MiB at most; the rest grows as b (ws + wt). The angles take 6 b^2 + b max(ws, wt) doubles
 * whatever the limit: never b^3, and never b^2 of a width; 2^58 floats stand for any number above.
 * The matrix products take their packed side from the context's scratch. */
int64_t kd__relation_room(int32_t kind, int64_t b, int64_t ws, int64_t wt, int64_t limit);

/* Each fills shares, ds and degenerate. A row of zeros among others has no direction: its cosines
 * and its gradient are 0. Errors: no memory for the products. */
kd_status kd__relation_similarity(kd__relation *r);   /* b >= 2 */
kd_status kd__relation_gram(kd__relation *r);         /* b >= 2 */
kd_status kd__relation_rkd_distance(kd__relation *r); /* b >= 2 */
kd_status kd__relation_rkd_angle(kd__relation *r);    /* b >= 3 */
kd_status kd__relation_pkt(kd__relation *r);          /* b >= 2 */
kd_status kd__relation_cka(kd__relation *r);          /* b >= 2; unbiased: b >= 4 */
kd_status kd__relation_kl(kd__relation *r);           /* b >= 2 */

/* ---- one row of maps: attention transfer ---- */

/* A map (channels, height, width) of one row. */
typedef struct kd__maps {
    const float *x;
    int64_t channels, height, width;
} kd__maps;

/* 1/P sum_p (q_p - q^t_p)^2, where q is the mean over channels of squares, at length 1 over the P
 * places. Of each of height and width the smaller side's counts; a larger map is averaged to it
 * (adaptive average pooling). df: scale times the gradient by the student's map, overwritten; or
 * NULL. scratch: 3 P doubles, P of the smaller. A map of zeros: value and gradient 0, *degenerate
 * 1. [Zagoruyko and Komodakis 2017, as their code has it] */
double kd__attention_transfer(const kd__maps *student, const kd__maps *teacher, double scale,
                              float *df, double *scratch, int32_t *degenerate);

#endif
