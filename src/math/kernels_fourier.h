/* Kernels of Fourier transforms: the passes of Stockham's algorithm, whose result needs no sorting.
 * [Van Loan, Computational Frameworks for the FFT, 1992, 1.7] */
#ifndef KD_MATH_KERNELS_FOURIER_H
#define KD_MATH_KERNELS_FOURIER_H

typedef struct complex_lanes {
    vd re, im;
} complex_lanes;

static inline vd load_lanes(const double *p) { return load_wide(p, WIDE); }

/* y_k = sum over j < 4 of x_j (-i)^jk; 2: the same of -1. */
static inline void butterfly2(complex_lanes *x)
{
    const complex_lanes a = x[0], b = x[1];
    x[0] = (complex_lanes){ a.re + b.re, a.im + b.im };
    x[1] = (complex_lanes){ a.re - b.re, a.im - b.im };
}

static inline void butterfly4(complex_lanes *x)
{
    const complex_lanes a = { x[0].re + x[2].re, x[0].im + x[2].im },
                        b = { x[0].re - x[2].re, x[0].im - x[2].im },
                        c = { x[1].re + x[3].re, x[1].im + x[3].im },
                        d = { x[1].re - x[3].re, x[1].im - x[3].im };
    x[0] = (complex_lanes){ a.re + c.re, a.im + c.im };
    x[1] = (complex_lanes){ b.re + d.im, b.im - d.re };
    x[2] = (complex_lanes){ a.re - c.re, a.im - c.im };
    x[3] = (complex_lanes){ b.re - d.im, b.im + d.re };
}

/* Odd radix r: with p_j = x_j + x_(r-j), m_j = x_j - x_(r-j) and angle a = 2 pi jk / r,
 *   y_k, y_(r-k) = x_0 + sum_j p_j cos a -+ i sum_j m_j sin a. */
static inline __attribute__((always_inline)) void butterfly_odd(int r, complex_lanes *x,
                                                                const double *roots)
{
    const int h = (r - 1) / 2;
    complex_lanes p[4], m[4], y[7];
    y[0] = x[0];
    for (int j = 1; j <= h; j++) {
        p[j] = (complex_lanes){ x[j].re + x[r - j].re, x[j].im + x[r - j].im };
        m[j] = (complex_lanes){ x[j].re - x[r - j].re, x[j].im - x[r - j].im };
        y[0].re = y[0].re + p[j].re;
        y[0].im = y[0].im + p[j].im;
    }
    for (int k = 1; k <= h; k++) {
        complex_lanes c = x[0], s = { { 0 }, { 0 } };
        for (int j = 1; j <= h; j++) {
            const double *root = roots + 2 * (j * k % r);
            c.re = c.re + p[j].re * root[0];
            c.im = c.im + p[j].im * root[0];
            s.re = s.re + m[j].re * root[1];
            s.im = s.im + m[j].im * root[1];
        }
        y[k] = (complex_lanes){ c.re + s.im, c.im - s.re };
        y[r - k] = (complex_lanes){ c.re - s.im, c.im + s.re };
    }
    for (int k = 0; k < r; k++) x[k] = y[k];
}

/* Numbers p, p + length, .. of a transform become its numbers radix p, radix p + 1, ..; the first
 * of them (p = 0) are not turned. */
static inline __attribute__((always_inline)) void
fourier_radix(int r, const kd__fourier_pass *t, const double *const from[2], double *const to[2])
{
    const int64_t s = t->stride, step = s * t->length;
    for (int64_t p = 0; p < t->length; p++) {
        const double *w = t->turns + 2 * (r - 1) * p;
        for (int64_t i = 0; i < s; i += WIDE) {
            const int64_t in = s * p + i, out = s * r * p + i;
            complex_lanes x[7];
            for (int j = 0; j < r; j++)
                x[j] = (complex_lanes){ load_lanes(from[0] + in + j * step),
                                        load_lanes(from[1] + in + j * step) };
            if (r == 2) butterfly2(x);
            else if (r == 4) butterfly4(x);
            else butterfly_odd(r, x, t->roots);
            for (int k = 0; k < r; k++) {
                complex_lanes y = x[k];
                if (p && k) {
                    const double c = w[2 * k - 2], d = w[2 * k - 1];
                    y = (complex_lanes){ y.re * c - y.im * d, y.re * d + y.im * c };
                }
                store_wide(to[0] + out + k * s, y.re, WIDE);
                store_wide(to[1] + out + k * s, y.im, WIDE);
            }
        }
    }
}

static void fourier_pass(const kd__fourier_pass *pass, const double *const from[2],
                         double *const to[2])
{
    switch (pass->radix) {
    case 2: fourier_radix(2, pass, from, to); break;
    case 3: fourier_radix(3, pass, from, to); break;
    case 4: fourier_radix(4, pass, from, to); break;
    case 5: fourier_radix(5, pass, from, to); break;
    default: fourier_radix(7, pass, from, to); break;
    }
}

/* X_k = (Z_k + conj Z_(h-k)) / 2 - i e^(-i pi k / h) (Z_k - conj Z_(h-k)) / 2, Z_h = Z_0. */
static void fourier_power(double *power, const double *const z[2], const double *turns,
                          int64_t half)
{
    for (int64_t k = 0; k <= half; k++) {
        const int64_t at = (k == half ? 0 : k) * KD__LANES,
                      mirrored = (k ? half - k : 0) * KD__LANES;
        const double c = turns[2 * k], s = turns[2 * k + 1];
        for (int64_t i = 0; i < KD__LANES; i += WIDE) {
            const vd a = load_lanes(z[0] + at + i), b = load_lanes(z[1] + at + i),
                     d = load_lanes(z[0] + mirrored + i), e = load_lanes(z[1] + mirrored + i);
            const vd odd_re = b + e, odd_im = d - a; /* -i (Z_k - conj Z_(h-k)) */
            const vd re = (a + d + odd_re * c - odd_im * s) * 0.5,
                     im = (b - e + odd_re * s + odd_im * c) * 0.5;
            store_wide(power + k * KD__LANES + i, re * re + im * im, WIDE);
        }
    }
}

static void weigh_lanes(double *y, const double *w, const double *x, int64_t n)
{
    for (int64_t i = 0; i < KD__LANES; i += WIDE) {
        vd s = { 0 };
        for (int64_t k = 0; k < n; k++) s = s + load_lanes(x + k * KD__LANES + i) * w[k];
        store_wide(y + i, s, WIDE);
    }
}

static float inner_product(const float *x, const float *y, int64_t n)
{
    vf s[4] = { { 0 }, { 0 }, { 0 }, { 0 } };
    int64_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W)
        for (int k = 0; k < 4; k++) s[k] = s[k] + load(x + i + k * W) * load(y + i + k * W);
    for (; i < n; i += W) s[0] = s[0] + load_at(x + i, n - i, 0) * load_at(y + i, n - i, 0);
    return (float)sum_lanes((s[0] + s[1]) + (s[2] + s[3]));
}

#endif
