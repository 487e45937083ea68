/* Eigenvalues and eigenvectors of a symmetric matrix. */
#ifndef KD_MATH_EIGEN_H
#define KD_MATH_EIGEN_H

#include <kdistill/context.h>

#include "base/status.h"

/* a (n, n), destroyed;  a = sum over k of values[k] v_k v_k',  v_k (n) = row k of `vectors`, of
 * length 1, values from the largest down. KD_ERR_NONFINITE: a is not finite. By Householder's
 * reflections to three diagonals, then by QL steps with implicit shifts [Golub and Van Loan 2013,
 * 8.3]. One thread, in double: the same bits everywhere. */
kd_status kd__eigen(kd_context *context, double *a, int64_t n, double *values, double *vectors);
/* The same in scratch (3 n) of the caller's. */
kd_status kd__eigen_in(double *scratch, double *a, int64_t n, double *values, double *vectors);

#endif
