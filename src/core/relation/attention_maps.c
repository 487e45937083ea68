/* Attention transfer on maps: where a row's map is large, summed up over channels. With a_p =
 * 1/C sum_c f_cp^2 and q = a / |a|,
 *   value = 1/P sum_p (q_p - q^t_p)^2,
 *   dq = 2 (q - q^t) / P,   da = (dq - (dq . q) q) / |a|,   df_cp = 2 da_p f_cp / C. */
#include <math.h>
#include <string.h>

#include "base/numbers.h"
#include "core/relation/relation.h"

/* ---- adaptive average pooling: of `from` numbers to `to` <= `from`, place i is the mean of
 * floor(i from / to) .. ceil((i + 1) from / to) - 1                                       ---- */

typedef struct {
    int64_t first, end;
} span;

static span span_of(int64_t i, int64_t from, int64_t to)
{
    return (span){ i * from / to, kd__ceil_div((i + 1) * from, to) };
}

typedef struct {
    int64_t height, width; /* of what is compared */
} grid;

static void pool(const kd__maps *map, const float *x, const grid *g, double *to)
{
    for (int64_t i = 0; i < g->height; i++)
        for (int64_t j = 0; j < g->width; j++) {
            const span rows = span_of(i, map->height, g->height),
                       columns = span_of(j, map->width, g->width);
            double sum = 0;
            for (int64_t r = rows.first; r < rows.end; r++)
                for (int64_t c = columns.first; c < columns.end; c++) sum += x[r * map->width + c];
            to[i * g->width + j] =
                sum / (double)((rows.end - rows.first) * (columns.end - columns.first));
        }
}

/* dx += the pooled gradient, spread evenly; places may share numbers. */
static void spread(const kd__maps *map, const double *gradient, const grid *g, float *dx)
{
    for (int64_t i = 0; i < g->height; i++)
        for (int64_t j = 0; j < g->width; j++) {
            const span rows = span_of(i, map->height, g->height),
                       columns = span_of(j, map->width, g->width);
            const double each = gradient[i * g->width + j] /
                                (double)((rows.end - rows.first) * (columns.end - columns.first));
            for (int64_t r = rows.first; r < rows.end; r++)
                for (int64_t c = columns.first; c < columns.end; c++)
                    dx[r * map->width + c] += (float)each;
        }
}

/* q of a map; returns |a|. */
static double attention_of(const kd__maps *map, const grid *g, double *pooled, double *q)
{
    const int64_t places = g->height * g->width;
    double squares = 0;
    memset(q, 0, (size_t)places * sizeof *q);
    for (int64_t c = 0; c < map->channels; c++) {
        pool(map, map->x + c * map->height * map->width, g, pooled);
        for (int64_t p = 0; p < places; p++) q[p] += pooled[p] * pooled[p];
    }
    for (int64_t p = 0; p < places; p++) {
        q[p] /= (double)map->channels;
        squares += q[p] * q[p];
    }
    const double length = sqrt(squares);
    for (int64_t p = 0; p < places && length > 0; p++) q[p] /= length;
    return length;
}

/* da in the place of q^t */
static void attention_gradient(const double *q, double *t, int64_t places, double length)
{
    double along = 0;
    for (int64_t p = 0; p < places; p++) {
        t[p] = 2 * (q[p] - t[p]) / (double)places;
        along += t[p] * q[p];
    }
    for (int64_t p = 0; p < places; p++) t[p] = (t[p] - along * q[p]) / length;
}

static void map_gradient(const kd__maps *map, const grid *g, const double *da, double scale,
                         double *pooled, float *df)
{
    const int64_t places = g->height * g->width, numbers = map->height * map->width;
    memset(df, 0, (size_t)(map->channels * numbers) * sizeof *df);
    for (int64_t c = 0; c < map->channels; c++) {
        pool(map, map->x + c * numbers, g, pooled);
        for (int64_t p = 0; p < places; p++) pooled[p] *= 2 * scale * da[p] / (double)map->channels;
        spread(map, pooled, g, df + c * numbers);
    }
}

double kd__attention_transfer(const kd__maps *student, const kd__maps *teacher, double scale,
                              float *df, double *scratch, int32_t *degenerate)
{
    const grid g = { kd__min(student->height, teacher->height),
                     kd__min(student->width, teacher->width) };
    const int64_t places = g.height * g.width;
    double *pooled = scratch, *q = scratch + places, *t = scratch + 2 * places, value = 0;
    const double length = attention_of(student, &g, pooled, q);
    *degenerate = length == 0 || attention_of(teacher, &g, pooled, t) == 0;
    if (*degenerate) {
        if (df) memset(df, 0, (size_t)(student->channels * student->height * student->width) * 4);
        return 0;
    }
    for (int64_t p = 0; p < places; p++) value += (q[p] - t[p]) * (q[p] - t[p]);
    if (!df) return value / (double)places;
    attention_gradient(q, t, places, length);
    map_gradient(student, &g, t, scale, pooled, df);
    return value / (double)places;
}
