/* A matrix as the product of two thin ones. */
#ifndef KD_MODEL_FACTORIZE_H
#define KD_MODEL_FACTORIZE_H

#include <kdistill/context.h>

#include "base/status.h"

/* x (n, d) is nearly rows (n, e) columns' with columns (d, e): the best such product but for what
 * some rounds leave, columns orthonormal. The principal subspace by orthogonal iteration [Golub and
 * Van Loan 2013, 8.2.4]. */
kd_status kd__factorize(kd_context *context, const float *x, int64_t n, int64_t d, int64_t e,
                        float *rows, float *columns);

#endif
