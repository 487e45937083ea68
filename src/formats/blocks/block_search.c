/* Searches for scales. Codes l of numbers x with weights w; the scale that is best for given codes
 * is that of least squares, so candidates are roundings at a few scales nearby, each with its own
 * least squares. Sums are float and in order, as ggml has them: sums of another precision choose
 * another candidate where two are alike. */
#include <math.h>
#include <string.h>

#include "formats/blocks/blocks.h"

#define NOTHING 1e-15f /* numbers below it are zeros to ggml */

float kd__block_mean_square(const float *x, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sum / (float)n;
}

void kd__block_weights(const float *x, int n, const float *importance, float spread, float *to)
{
    for (int i = 0; i < n; i++) to[i] = importance[i] * sqrtf(spread + x[i] * x[i]);
}

/* ---- x ~ scale l, l of both signs ---- */

typedef struct {
    float xl, ll; /* sums of w x l, w l^2 */
} products;

/* The sum of squares that is left is sum w x^2 - xl^2 / ll. */
static products signed_products(const float *x, int n, int half, const float *weight, float inverse)
{
    products p = { 0, 0 };
    for (int i = 0; i < n; i++) {
        const float l = (float)kd__block_code(inverse * x[i], (float)-half, (float)(half - 1));
        p.xl += weight[i] * x[i] * l;
        p.ll += weight[i] * l * l;
    }
    return p;
}

/* The number of largest size. */
static float largest(const float *x, int n)
{
    float most = 0, size = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > size) size = fabsf(x[i]), most = x[i];
    return most;
}

float kd__block_fit_signed(const float *x, int n, int half, const float *weight, uint8_t *codes)
{
    float squares[KD__GROUP_MOST];
    const float most = largest(x, n);
    if (fabsf(most) < NOTHING) return memset(codes, 0, (size_t)n), 0.0f;
    if (!weight) {
        for (int i = 0; i < n; i++) squares[i] = x[i] * x[i];
        weight = squares;
    }
    float inverse = (float)-half / most;
    const products first = signed_products(x, n, half, weight, inverse);
    float scale = first.ll ? first.xl / first.ll : 0.0f, best = scale * first.xl;
    for (int step = -9; step <= 9; step++) {
        const float candidate = -((float)half + 0.1f * (float)step) / most;
        if (!step) continue;
        const products p = signed_products(x, n, half, weight, candidate);
        if (!(p.ll > 0 && p.xl * p.xl > best * p.ll)) continue;
        inverse = candidate;
        scale = p.xl / p.ll;
        best = scale * p.xl;
    }
    for (int i = 0; i < n; i++)
        codes[i] =
            (uint8_t)(half + kd__block_code(inverse * x[i], (float)-half, (float)(half - 1)));
    return scale;
}

/* ---- x ~ scale l + low ---- */

typedef struct {
    float w, x, l, ll, xl; /* sums of w, w x, w l, w l^2, w l x */
} moments;

typedef struct {
    float scale, low;
} line;

static void shifted_codes(const float *x, int n, int most, float inverse, float low, float *codes)
{
    for (int i = 0; i < n; i++)
        codes[i] = (float)kd__block_code(inverse * (x[i] - low), 0, (float)most);
}

static void add_moments(const float *x, int n, const float *weight, const float *codes, moments *m)
{
    m->l = m->ll = m->xl = 0;
    for (int i = 0; i < n; i++) {
        const float wl = weight[i] * codes[i];
        m->l += wl;
        m->ll += wl * codes[i];
        m->xl += wl * x[i];
    }
}

/* Least squares of both; a line that would begin above 0 begins at 0. Returns 0: the codes do not
 * say. */
static int fit_line(const moments *m, line *to)
{
    const float determinant = m->w * m->ll - m->l * m->l;
    if (!(determinant > 0)) return 0;
    to->scale = (m->w * m->xl - m->x * m->l) / determinant;
    to->low = (m->ll * m->x - m->l * m->xl) / determinant;
    if (to->low > 0) *to = (line){ m->xl / m->ll, 0 };
    return 1;
}

static float line_error(const float *x, int n, const float *weight, const float *codes, line at)
{
    float error = 0;
    for (int i = 0; i < n; i++) {
        const float left = at.scale * codes[i] + at.low - x[i];
        error += weight[i] * (left * left);
    }
    return error;
}

/* From the smallest number, or 0 if all are above it, to the largest; sums of w and w x. */
static void range_of(const float *x, int n, const float *weight, float *low, float *high,
                     moments *m)
{
    *low = *high = x[0];
    *m = (moments){ .w = weight[0], .x = weight[0] * x[0] };
    for (int i = 1; i < n; i++) {
        *low = x[i] < *low ? x[i] : *low;
        *high = x[i] > *high ? x[i] : *high;
        m->w += weight[i];
        m->x += weight[i] * x[i];
    }
    if (*low > 0) *low = 0;
}

float kd__block_fit_shifted(const float *x, int n, int most, const float *weight,
                            const kd__block_steps *steps, uint8_t *codes, float *minimum)
{
    float low, high, kept[KD__GROUP_MOST] = { 0 }, tried[KD__GROUP_MOST];
    moments m;
    range_of(x, n, weight, &low, &high, &m);
    *minimum = -low;
    if (!(high > low)) return memset(codes, 0, (size_t)n), 0.0f;
    const float start = low, inverse = (float)most / (high - low);
    line best = { 1 / inverse, low };
    shifted_codes(x, n, most, inverse, start, kept);
    float least = line_error(x, n, weight, kept, best);
    for (int i = 0; i <= steps->count; i++) {
        const float more = steps->first + steps->step * (float)i;
        line now;
        shifted_codes(x, n, most, (more + (float)most) / (high - best.low), best.low, tried);
        add_moments(x, n, weight, tried, &m);
        if (!fit_line(&m, &now)) continue;
        const float error = line_error(x, n, weight, tried, now);
        if (!(error < least)) continue;
        least = error;
        best = now;
        memcpy(kept, tried, (size_t)n * sizeof *kept);
    }
    for (int i = 0; i < n; i++) codes[i] = (uint8_t)kept[i];
    *minimum = -best.low;
    return best.scale;
}

/* ---- x ~ scale l of numbers 0 or more: scales of groups, and their minima ---- */

static float positive_error(const float *x, int n, int most, const float *weight, float inverse)
{
    const float scale = 1 / inverse;
    float error = 0;
    for (int i = 0; i < n; i++) {
        const float left = x[i] - scale * (float)kd__block_code(inverse * x[i], 0, (float)most);
        error += weight[i] * left * left;
    }
    return error;
}

/* One code at a time: what is best for it while the others stay. Returns how many changed. */
static int improve(const float *x, int n, int most, const float *weight, uint8_t *codes,
                   products *p)
{
    int changed = 0;
    for (int i = 0; i < n; i++) {
        const float w = weight[i], l = (float)codes[i];
        float xl = p->xl - w * x[i] * l, ll = p->ll - w * l * l;
        if (!(xl > 0 && ll > 0)) continue;
        const float now = (float)kd__block_code(x[i] * ll / xl, 0, (float)most);
        if (now == l) continue;
        xl += w * x[i] * now;
        ll += w * now * now;
        if (!(xl * xl * p->ll > p->xl * p->xl * ll)) continue;
        codes[i] = (uint8_t)now;
        *p = (products){ xl, ll };
        changed++;
    }
    return changed;
}

float kd__block_fit_positive(const float *x, int n, int most, const float *weight, uint8_t *codes)
{
    float high = 0;
    for (int i = 0; i < n; i++) high = x[i] > high ? x[i] : high;
    if (high < NOTHING) return memset(codes, 0, (size_t)n), 0.0f;
    float inverse = (float)most / high, least = positive_error(x, n, most, weight, inverse);
    for (int step = -4; step <= 4; step++) {
        const float candidate = (0.1f * (float)step + (float)most) / high;
        const float error = step ? positive_error(x, n, most, weight, candidate) : least;
        if (!(error < least)) continue;
        least = error;
        inverse = candidate;
    }
    products p = { 0, 0 };
    for (int i = 0; i < n; i++) {
        codes[i] = (uint8_t)kd__block_code(inverse * x[i], 0, (float)most);
        p.xl += weight[i] * x[i] * (float)codes[i];
        p.ll += weight[i] * (float)codes[i] * (float)codes[i];
    }
    for (int turn = 0; turn < 5 && improve(x, n, most, weight, codes, &p); turn++) {}
    return p.ll > 0 ? p.xl / p.ll : 0.0f;
}
