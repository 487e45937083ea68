/* Kernels of image layers, part of kernels_body.h: one source, compiled once an instruction set. */

/* ---- planes: y_r(i) = sum over taps of w_rt x(offset_t + i) ---- */

#if W == 16
#define MOST_LINES 8 /* of y whose sums are in registers at once */
#define DOTS 6       /* taps of a gradient, times 4 lines */
#else
#define MOST_LINES 4
#define DOTS 2
#endif

static inline float sum_of_lanes(vf x)
{
#if W == 16
    return _mm512_reduce_add_ps((__m512)x);
#elif W == 8
    const float s[4] = { x[0] + x[4], x[1] + x[5], x[2] + x[6], x[3] + x[7] };
    return (s[0] + s[2]) + (s[1] + s[3]);
#else
    return (x[0] + x[2]) + (x[1] + x[3]);
#endif
}

/* `lines` rows of y times `vectors` vectors; the weights of a tap lie `step` apart. `left` < 0: all
 * vectors are whole; else one vector, of which so many numbers count. */
static inline __attribute__((always_inline)) void correlate_block(int lines, int vectors, float *y,
                                                                  int64_t ldy, const float *x,
                                                                  const float *w, int64_t step,
                                                                  const kd__taps *t, int64_t left)
{
    vf s[8][8];
    for (int r = 0; r < lines; r++)
        for (int v = 0; v < vectors; v++) s[r][v] = splat(0);
    for (int64_t k = 0; k < t->taps; k++, w += step) {
        const float *from = x + t->offsets[k];
        vf b[8];
        for (int v = 0; v < vectors; v++)
            b[v] = left < 0 ? load(from + v * W) : load_some(from, left, 0);
        for (int r = 0; r < lines; r++)
            for (int v = 0; v < vectors; v++) s[r][v] = s[r][v] + b[v] * w[r];
    }
    for (int r = 0; r < lines; r++)
        for (int v = 0; v < vectors; v++)
            store_at(y + r * ldy + v * W, s[r][v], left < 0 ? W : left);
}

/* All n numbers of `lines` rows. */
static inline __attribute__((always_inline)) void correlate_lines(int lines, float *y, int64_t ldy,
                                                                  const float *x, const float *w,
                                                                  int64_t step, const kd__taps *t,
                                                                  int64_t n)
{
    const int vectors = lines == 1 ? 8 : 3;
    int64_t i = 0;
    for (; i + vectors * W <= n; i += vectors * W)
        correlate_block(lines, vectors, y + i, ldy, x + i, w, step, t, -1);
    if (i + 2 * W <= n) {
        correlate_block(lines, 2, y + i, ldy, x + i, w, step, t, -1);
        i += 2 * W;
    }
    for (; i + W <= n; i += W) correlate_block(lines, 1, y + i, ldy, x + i, w, step, t, -1);
    if (i < n) correlate_block(lines, 1, y + i, ldy, x + i, w, step, t, n - i);
}

static void correlate(float *y, int64_t ldy, const float *x, const kd__taps *t, int64_t n)
{
    for (int64_t first = 0; first < t->rows; first += KD__LINES_AT_ONCE) {
        const int64_t left = t->rows - first,
                      step = left < KD__LINES_AT_ONCE ? left : KD__LINES_AT_ONCE;
        const float *w = t->w + first * t->taps;
        float *to = y + first * ldy;
        int64_t r = 0;
        for (; r + MOST_LINES <= step; r += MOST_LINES)
            correlate_lines(MOST_LINES, to + r * ldy, ldy, x, w + r, step, t, n);
        for (; r + 2 <= step; r += 2) correlate_lines(2, to + r * ldy, ldy, x, w + r, step, t, n);
        if (r < step) correlate_lines(1, to + r * ldy, ldy, x, w + r, step, t, n);
    }
}

/* The dots of `lines` rows of dy with `dots` taps: vectors along the plane, added up at the end. */
static inline __attribute__((always_inline)) void dots_of(int lines, int dots, float *d,
                                                          const float *dy, int64_t ldy,
                                                          const float *x, const int64_t *offsets,
                                                          const kd__taps *t, int64_t n)
{
    vf s[4][9];
    for (int r = 0; r < lines; r++)
        for (int k = 0; k < dots; k++) s[r][k] = splat(0);
    for (int64_t sample = 0; sample < t->samples; sample++, dy += t->dy_step, x += t->x_step) {
        int64_t i = 0;
        for (; i + W <= n; i += W) {
            vf g[4];
            for (int r = 0; r < lines; r++) g[r] = load(dy + r * ldy + i);
            for (int k = 0; k < dots; k++) {
                const vf v = load(x + offsets[k] + i);
                for (int r = 0; r < lines; r++) s[r][k] = s[r][k] + g[r] * v;
            }
        }
        if (i == n) continue;
        for (int k = 0; k < dots; k++) {
            const vf v = load_some(x + offsets[k] + i, n - i, 0);
            for (int r = 0; r < lines; r++)
                s[r][k] = s[r][k] + load_some(dy + r * ldy + i, n - i, 0) * v;
        }
    }
    for (int r = 0; r < lines; r++)
        for (int k = 0; k < dots; k++) d[r * t->taps + k] += sum_of_lanes(s[r][k]);
}

static inline __attribute__((always_inline)) void dots_of_lines(int lines, float *d,
                                                                const float *dy, int64_t ldy,
                                                                const float *x, const kd__taps *t,
                                                                int64_t n)
{
    const int most = lines == 1 ? 9 : DOTS;
    int64_t k = 0;
    for (; k + most <= t->taps; k += most)
        dots_of(lines, most, d + k, dy, ldy, x, t->offsets + k, t, n);
    for (; k + 3 <= t->taps; k += 3) dots_of(lines, 3, d + k, dy, ldy, x, t->offsets + k, t, n);
    for (; k < t->taps; k++) dots_of(lines, 1, d + k, dy, ldy, x, t->offsets + k, t, n);
}

static void correlate_gradient(float *d, const float *dy, int64_t ldy, const float *x,
                               const kd__taps *t, int64_t n)
{
    int64_t r = 0;
    for (; r + 4 <= t->rows; r += 4) dots_of_lines(4, d + r * t->taps, dy + r * ldy, ldy, x, t, n);
    for (; r < t->rows; r++) dots_of_lines(1, d + r * t->taps, dy + r * ldy, ldy, x, t, n);
}

/* Every second number of `count` (1 to W) of them. */
static inline vf load_second(const float *p, int64_t count)
{
#if W == 16
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const int64_t read = 2 * count - 1;
    const vf low = load_at(p, read, 0), high = read > W ? load_at(p + W, read - W, 0) : low;
    return (vf)_mm512_permutex2var_ps((__m512)low, even, (__m512)high);
#else
    vf x = splat(0);
    for (int64_t j = 0; j < count; j++) x[j] = p[2 * j];
    return x;
#endif
}

static void copy_rows(float *to, int64_t to_pitch, const float *from, int64_t from_pitch,
                      int64_t rows, int64_t columns, int64_t step)
{
    for (int64_t i = 0; i < rows; i++, to += to_pitch, from += from_pitch) {
        if (step == 1) EACH_VECTOR(v, columns) store_at(to + v, load_at(from + v, left, 0), left);
        else if (step == 2) EACH_VECTOR(v, columns)
        store_at(to + v, load_second(from + 2 * v, left < W ? left : W), left);
        else for (int64_t j = 0; j < columns; j++) to[j] = from[j * step]; }
}

/* ---- batch norm ---- */

static double spread(const float *x, int64_t n, float mean)
{
    double total = 0;
    for (int64_t start = 0; start < n; start += BLOCK * W) {
        vf s = { 0 };
        const int64_t stop = n - start < BLOCK * W ? n : start + BLOCK * W;
        for (int64_t i = start; i < stop; i += W) {
            const vf d = load_at(x + i, stop - i, mean) - mean;
            s = s + d * d;
        }
        total += sum_lanes(s);
    }
    return total;
}

static void scale_shift(float *y, const float *x, int64_t n, float a, float b, float low,
                        float high)
{
    EACH_VECTOR(i, n)
    {
        vf r = load_at(x + i, left, 0) * a + b;
        r = choose(r < splat(low), splat(low), r); /* NaN stays NaN */
        store_at(y + i, choose(r > splat(high), splat(high), r), left);
    }
}

static inline __attribute__((always_inline)) void norm_sums_of(int masks, float *dy, const float *y,
                                                               const float *x, int64_t n,
                                                               float mean, float low, float high,
                                                               double *sums)
{
    double total = 0, along = 0;
    for (int64_t start = 0; start < n; start += BLOCK * W) {
        vf s = { 0 }, t = { 0 };
        const int64_t stop = n - start < BLOCK * W ? n : start + BLOCK * W;
        for (int64_t i = start; i < stop; i += W) {
            vf g = load_at(dy + i, stop - i, 0);
            if (masks) {
                const vf v = load_at(y + i, stop - i, 0);
                g = choose((v > splat(low)) & (v < splat(high)), g, splat(0));
                store_at(dy + i, g, stop - i);
            }
            s = s + g;
            t = t + g * (load_at(x + i, stop - i, mean) - mean);
        }
        total += sum_lanes(s);
        along += sum_lanes(t);
    }
    sums[0] = total;
    sums[1] = along;
}

static void norm_sums(float *dy, const float *y, const float *x, int64_t n, float mean, float low,
                      float high, double *sums)
{
    if (y) norm_sums_of(1, dy, y, x, n, mean, low, high, sums);
    else norm_sums_of(0, dy, y, x, n, mean, low, high, sums);
}

static void norm_slope(float *dx, const float *dy, const float *x, int64_t n, float mean, float a,
                       float b, float c)
{
    EACH_VECTOR(i, n)
    {
        const vf d = load_at(x + i, left, mean) - mean;
        store_at(dx + i, load_at(dy + i, left, 0) * a + d * b + c, left);
    }
}

/* ---- activations ---- */

static void clamp_gradient(float *dy, const float *y, int64_t n, float low, float high)
{
    EACH_VECTOR(i, n)
    {
        const vf v = load_at(y + i, left, 0);
        const vi between = (v > splat(low)) & (v < splat(high));
        store_at(dy + i, choose(between, load_at(dy + i, left, 0), splat(0)), left);
    }
}

static void hardswish(float *y, int64_t n)
{
    EACH_VECTOR(i, n)
    {
        const vf x = load_at(y + i, left, 0);
        vf gate = x + 3.0f;
        gate = choose(gate < splat(0), splat(0), gate);
        gate = choose(gate > splat(6), splat(6), gate);
        store_at(y + i, x * gate * (1.0f / 6), left);
    }
}

/* 0 up to -3, 1 from 3 on, x / 3 + 1 / 2 between */
static void hardswish_gradient(float *dy, const float *x, int64_t n)
{
    EACH_VECTOR(i, n)
    {
        const vf v = load_at(x + i, left, 0);
        vf slope = v * (1.0f / 3) + 0.5f;
        slope = choose(v <= splat(-3), splat(0), slope);
        slope = choose(v >= splat(3), splat(1), slope);
        store_at(dy + i, load_at(dy + i, left, 0) * slope, left);
    }
}

static void silu(float *y, int64_t n)
{
    EACH_VECTOR(i, n)
    {
        const vf x = load_at(y + i, left, 0);
        store_at(y + i, x * logistic(x), left);
    }
}

/* s (1 + x (1 - s)), s = 1 / (1 + e^-x) */
static void silu_gradient(float *dy, const float *x, int64_t n)
{
    EACH_VECTOR(i, n)
    {
        const vf v = load_at(x + i, left, 0), s = logistic(v);
        store_at(dy + i, load_at(dy + i, left, 0) * s * (1.0f + v * (1.0f - s)), left);
    }
}
