/* Whole numbers of sizes: least, most, rounded division, checked products. Decimal numbers in
 * text. */
#ifndef KD_BASE_NUMBERS_H
#define KD_BASE_NUMBERS_H

#include <kdistill/context.h>

#include "base/status.h"

static inline int64_t kd__min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t kd__max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t kd__clamp(int64_t x, int64_t low, int64_t high)
{
    return kd__max(low, kd__min(x, high));
}

/* n / unit, rounded up, and the multiple of unit that it gives; n >= 0, unit > 0. */
static inline int64_t kd__ceil_div(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }
static inline int64_t kd__round_up(int64_t n, int64_t unit) { return kd__ceil_div(n, unit) * unit; }

/* a * b of non-negative numbers; KD_ERR_RANGE when it does not fit in int64. */
static inline kd_status kd__multiply(int64_t a, int64_t b, int64_t *product)
{
    KD_FAIL_IF(a < 0 || b < 0 || __builtin_mul_overflow(a, b, product), KD_ERR_RANGE,
               "a size of %lld x %lld does not fit in 64 bits", (long long)a, (long long)b);
    return KD_OK;
}

/* An index of a list of `count`; `what` begins the message. */
static inline kd_status kd__check_index(int64_t index, int64_t count, const char *what)
{
    KD_FAIL_IF(!count, KD_ERR_RANGE, "%s: there is none, got %lld", what, (long long)index);
    KD_FAIL_IF(index < 0 || index >= count, KD_ERR_RANGE, "%s: expected 0 to %lld, got %lld", what,
               (long long)count - 1, (long long)index);
    return KD_OK;
}

/* strtod in the "C" locale, whatever the host's is. */
double kd__parse_double(kd_context *context, const char *text, char **end);
/* The shortest of %.15g and %.17g that reads back as the same number. */
void kd__format_double(kd_context *context, char text[32], double value);

#endif
