/* The formulas of relations, written plainly in double: what the library's are compared with. */
#ifndef RELATIONKIT_H
#define RELATIONKIT_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/relation/relation.h"

#define MOST_ROWS 9
#define MOST_WIDTH 17

/* Rows of a side; numbers are kept as float32, so that both read the same ones. */
typedef struct {
    int64_t b, width;
    double x[MOST_ROWS * MOST_WIDTH];
} rows;

typedef struct {
    int32_t kind, unbiased;
    double temperature, teacher_temperature;
} relation_case;

typedef double pairs[MOST_ROWS][MOST_ROWS];

static inline double dot(const double *x, const double *y, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += x[k] * y[k];
    return sum;
}

static inline const double *row_of(const rows *r, int64_t i) { return r->x + i * r->width; }

static inline void gram_of(const rows *r, pairs g)
{
    for (int64_t i = 0; i < r->b; i++)
        for (int64_t j = 0; j < r->b; j++) g[i][j] = dot(row_of(r, i), row_of(r, j), r->width);
}

static inline void cosines_of(const rows *r, pairs g)
{
    pairs gram;
    gram_of(r, gram);
    for (int64_t i = 0; i < r->b; i++)
        for (int64_t j = 0; j < r->b; j++) {
            const double lengths = sqrt(gram[i][i] * gram[j][j]);
            g[i][j] = lengths > 0 ? gram[i][j] / lengths : 0;
        }
}

static inline void centered_gram_of(const rows *r, pairs g)
{
    rows c = *r;
    for (int64_t k = 0; k < r->width; k++) {
        double mean = 0;
        for (int64_t i = 0; i < r->b; i++) mean += r->x[i * r->width + k] / (double)r->b;
        for (int64_t i = 0; i < r->b; i++) c.x[i * r->width + k] -= mean;
    }
    gram_of(&c, g);
}

static inline double square_of_difference(pairs x, pairs y, int64_t b)
{
    double sum = 0;
    for (int64_t i = 0; i < b; i++)
        for (int64_t j = 0; j < b; j++) sum += (x[i][j] - y[i][j]) * (x[i][j] - y[i][j]);
    return sum / (double)(b * b);
}

static inline void rows_to_length_one(pairs g, int64_t b)
{
    for (int64_t i = 0; i < b; i++) {
        const double length = sqrt(dot(g[i], g[i], b));
        for (int64_t j = 0; j < b; j++) g[i][j] = length > 0 ? g[i][j] / length : 0;
    }
}

static inline double huber(double x) { return fabs(x) < 1 ? x * x / 2 : fabs(x) - 0.5; }

static inline double similarity_of(const rows *s, const rows *t)
{
    pairs a, c;
    gram_of(s, a);
    gram_of(t, c);
    rows_to_length_one(a, s->b);
    rows_to_length_one(c, s->b);
    return square_of_difference(a, c, s->b);
}

static inline double gram_distance_of(const rows *s, const rows *t)
{
    pairs a, c;
    cosines_of(s, a);
    cosines_of(t, c);
    return square_of_difference(a, c, s->b);
}

static inline double distance_between(const rows *r, int64_t i, int64_t j)
{
    double sum = 0;
    for (int64_t k = 0; k < r->width; k++) {
        const double apart = row_of(r, i)[k] - row_of(r, j)[k];
        sum += apart * apart;
    }
    return sqrt(sum);
}

/* Distances divided by the mean of those above 0. */
static inline void distances_of(const rows *r, pairs d)
{
    double sum = 0, count = 0;
    for (int64_t i = 0; i < r->b; i++)
        for (int64_t j = 0; j < r->b; j++) {
            d[i][j] = distance_between(r, i, j);
            sum += d[i][j];
            count += d[i][j] > 0;
        }
    for (int64_t i = 0; i < r->b; i++)
        for (int64_t j = 0; j < r->b; j++) d[i][j] = sum > 0 ? d[i][j] * count / sum : 0;
}

static inline double rkd_distance_of(const rows *s, const rows *t)
{
    pairs a, c;
    double sum = 0;
    distances_of(s, a);
    distances_of(t, c);
    for (int64_t i = 0; i < s->b; i++)
        for (int64_t j = 0; j < s->b; j++) sum += huber(a[i][j] - c[i][j]);
    return sum / (double)(s->b * s->b);
}

static inline double angle_at(const rows *r, int64_t i, int64_t j, int64_t k)
{
    const double lengths = distance_between(r, i, j) * distance_between(r, i, k);
    double sum = 0;
    for (int64_t n = 0; n < r->width; n++)
        sum += (row_of(r, j)[n] - row_of(r, i)[n]) * (row_of(r, k)[n] - row_of(r, i)[n]);
    return lengths > 0 ? sum / lengths : 0;
}

static inline double rkd_angle_of(const rows *s, const rows *t)
{
    const int64_t b = s->b;
    double sum = 0;
    for (int64_t i = 0; i < b; i++)
        for (int64_t j = 0; j < b; j++)
            for (int64_t k = 0; k < b; k++)
                sum += huber(angle_at(s, i, j, k) - angle_at(t, i, j, k));
    return sum / (double)(b * b * b);
}

static inline void kernel_shares_of(const rows *r, pairs p)
{
    cosines_of(r, p);
    for (int64_t i = 0; i < r->b; i++) {
        double sum = 0;
        for (int64_t j = 0; j < r->b; j++) sum += p[i][j] = (1 + p[i][j]) / 2;
        for (int64_t j = 0; j < r->b; j++) p[i][j] /= sum;
    }
}

static inline double pkt_of(const rows *s, const rows *t)
{
    pairs q, p;
    double sum = 0;
    kernel_shares_of(s, q);
    kernel_shares_of(t, p);
    for (int64_t i = 0; i < s->b; i++)
        for (int64_t j = 0; j < s->b; j++)
            sum += p[i][j] * log((p[i][j] + 1e-7) / (q[i][j] + 1e-7));
    return sum / (double)(s->b * s->b);
}

/* HSIC of two centered Gram matrices, up to a factor: biased, or HSIC_1 of Song et al. 2012. */
static inline double hsic(pairs k, pairs l, int64_t b, int unbiased)
{
    const double n = (double)b;
    double trace = 0, all_k = 0, all_l = 0, both = 0;
    for (int64_t i = 0; i < b; i++) {
        double row_k = 0, row_l = 0;
        for (int64_t j = 0; j < b; j++) {
            if (i == j && unbiased) continue;
            trace += k[i][j] * l[i][j];
            row_k += k[i][j];
            row_l += l[i][j];
        }
        all_k += row_k;
        all_l += row_l;
        both += row_k * row_l;
    }
    if (!unbiased) return trace;
    return trace + all_k * all_l / ((n - 1) * (n - 2)) - 2 / (n - 2) * both;
}

static inline double cka_of(const rows *s, const rows *t, int unbiased)
{
    pairs a, c;
    centered_gram_of(s, a);
    centered_gram_of(t, c);
    return 1 - hsic(a, c, s->b, unbiased) /
                   sqrt(hsic(a, a, s->b, unbiased) * hsic(c, c, s->b, unbiased));
}

static inline void softmax_of(const rows *r, double temperature, pairs p)
{
    cosines_of(r, p);
    for (int64_t i = 0; i < r->b; i++) {
        double sum = 0;
        for (int64_t j = 0; j < r->b; j++)
            sum += p[i][j] = i == j ? 0 : exp((p[i][j] - 1) / temperature);
        for (int64_t j = 0; j < r->b; j++) p[i][j] /= sum;
    }
}

static inline double relation_kl_of(const rows *s, const rows *t, const relation_case *c)
{
    pairs q, p;
    double sum = 0;
    softmax_of(s, c->temperature, q);
    softmax_of(t, c->teacher_temperature, p);
    for (int64_t i = 0; i < s->b; i++)
        for (int64_t j = 0; j < s->b; j++)
            if (i != j) sum += p[i][j] * log(p[i][j] / q[i][j]);
    return sum / (double)s->b;
}

static inline double relation_of(const relation_case *c, const rows *s, const rows *t)
{
    switch (c->kind) {
    case KD__RELATION_SIMILARITY: return similarity_of(s, t);
    case KD__RELATION_GRAM: return gram_distance_of(s, t);
    case KD__RELATION_DISTANCE: return rkd_distance_of(s, t);
    case KD__RELATION_ANGLE: return rkd_angle_of(s, t);
    case KD__RELATION_PKT: return pkt_of(s, t);
    case KD__RELATION_CKA: return cka_of(s, t, c->unbiased);
    default: return relation_kl_of(s, t, c);
    }
}

#endif
