/* Pictures as SVG: lines, points with names, bars. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "metrics/report.h"

typedef kd__report_node node;

enum { WIDTH = 760, HEIGHT = 340, LEFT = 70, RIGHT = 200, TOP = 20, BOTTOM = 46 };

static const char *const colours[] = { "#1b6ca8", "#d1495b", "#3a7d44", "#e08e1b", "#6a4c93", "#00798c", "#8d6a45", "#7a7a7a" };

typedef struct {
    kd__text *t;
    const node *series; /* the first */
    int32_t count;
    int logarithmic, bars, points;
    double x0, x1, y0, y1;
} drawing;

static double place(double v, double from, double to) { return to > from ? (v - from) / (to - from) : 0.5; }
static double x_of(const drawing *d, double x)
{
    if (d->logarithmic) return LEFT + (WIDTH - LEFT - RIGHT) * place(log(x), log(d->x0), log(d->x1));
    return LEFT + (WIDTH - LEFT - RIGHT) * place(x, d->x0, d->x1);
}
static double y_of(const drawing *d, double y) { return TOP + (HEIGHT - TOP - BOTTOM) * (1 - place(y, d->y0, d->y1)); }

static int is_drawn(const drawing *d, double x, double y) { return isfinite(x) && isfinite(y) && (!d->logarithmic || x > 0); }

static void find_bounds(drawing *d)
{
    d->x0 = d->y0 = INFINITY;
    d->x1 = d->y1 = -INFINITY;
    for (const node *s = d->series; s; s = s->next, d->count++) {
        const node *x = kd__report_find(s, "x"), *y = kd__report_find(s, "y");
        for (int64_t i = 0; x && y && i < x->count && i < y->count; i++) {
            if (!is_drawn(d, x->numbers[i], y->numbers[i])) continue;
            d->x0 = fmin(d->x0, x->numbers[i]);
            d->x1 = fmax(d->x1, x->numbers[i]);
            d->y0 = fmin(d->y0, y->numbers[i]);
            d->y1 = fmax(d->y1, y->numbers[i]);
        }
    }
    if (!isfinite(d->x0)) d->x0 = d->y0 = 0, d->x1 = d->y1 = 1, d->logarithmic = 0;
    if (d->points && d->x1 > d->x0) { /* names and circles keep off the edges */
        const double share = d->logarithmic ? pow(d->x1 / d->x0, 0.06) : 0.06 * (d->x1 - d->x0);
        d->x0 = d->logarithmic ? d->x0 / share : d->x0 - share;
        d->x1 = d->logarithmic ? d->x1 * share : d->x1 + share;
        d->y1 += 0.06 * (d->y1 - fmin(0, d->y0));
    }
    if (d->bars || d->y0 > 0) d->y0 = d->y0 < 0 ? d->y0 : 0;
    if (d->y1 <= d->y0) d->y1 = d->y0 + 1;
    if (d->x1 <= d->x0) d->x1 = d->logarithmic ? d->x0 * 2 : d->x0 + 1;
}

/* A round step for about five marks. */
static double step_of(double range)
{
    const double power = pow(10, floor(log10(range / 5))), part = range / 5 / power;
    return power * (part > 5 ? 10 : part > 2 ? 5 : part > 1 ? 2 : 1);
}

static kd_status label(drawing *d, double x, double y, const char *anchor, const char *text)
{
    KD_TRY(kd__text_format(d->t, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor));
    for (; *text; text++) {
        const char *as = *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '&' ? "&amp;" : NULL;
        KD_TRY(kd__text_append(d->t, as ? as : text, as ? strlen(as) : 1));
    }
    return kd__text_append(d->t, "</text>\n", 8);
}

static void short_number(char text[32], double x)
{
    const double size = fabs(x), unit = size >= 1e6 ? 1e6 : size >= 1e4 ? 1e3 : 1;
    snprintf(text, 32, "%.4g%s", x / unit, unit == 1e6 ? "M" : unit == 1e3 ? "k" : "");
}

static kd_status mark_x(drawing *d, double x)
{
    char text[32];
    short_number(text, x);
    return label(d, x_of(d, x), HEIGHT - BOTTOM + 18, "middle", text);
}

static kd_status draw_heights(drawing *d)
{
    const double step = step_of(d->y1 - d->y0);
    for (double y = ceil(d->y0 / step) * step; y <= d->y1 + step / 1e6; y += step) {
        char text[32];
        KD_TRY(kd__text_format(d->t, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", LEFT, WIDTH - RIGHT, y_of(d, y),
                               y_of(d, y)));
        short_number(text, fabs(y) < step / 1e6 ? 0 : y);
        KD_TRY(label(d, LEFT - 8, y_of(d, y) + 4, "end", text));
    }
    return KD_OK;
}

static kd_status draw_widths(drawing *d)
{
    if (!d->logarithmic) {
        const double across = step_of(d->x1 - d->x0);
        for (double x = ceil(d->x0 / across) * across; x <= d->x1 + across / 1e6; x += across) KD_TRY(mark_x(d, x));
        return KD_OK;
    }
    for (double power = pow(10, floor(log10(d->x0))); power <= d->x1; power *= 10)
        for (int m = 1; m <= 5; m += m == 1 ? 1 : 3) /* 1, 2, 5 */
            if (power * m >= d->x0 * 0.999 && power * m <= d->x1 * 1.001) KD_TRY(mark_x(d, power * m));
    return KD_OK;
}

static kd_status draw_names(drawing *d, const node *picture)
{
    const node *x = kd__report_find(picture, "x"), *y = kd__report_find(picture, "y");
    if (x && x->kind == KD__REPORT_TEXT) KD_TRY(label(d, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8, "middle", x->text));
    if (y && y->kind == KD__REPORT_TEXT) KD_TRY(label(d, LEFT, TOP - 2, "start", y->text));
    return KD_OK;
}

static kd_status draw_line(drawing *d, const node *x, const node *y, const char *colour)
{
    int begun = 0;
    KD_TRY(kd__text_format(d->t, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\" d=\"", colour));
    for (int64_t i = 0; i < x->count && i < y->count; i++) {
        const int drawn = is_drawn(d, x->numbers[i], y->numbers[i]);
        if (drawn) KD_TRY(kd__text_format(d->t, "%c%.1f %.1f", begun ? 'L' : 'M', x_of(d, x->numbers[i]), y_of(d, y->numbers[i])));
        begun = drawn;
    }
    return kd__text_format(d->t, "\"/>\n");
}

static kd_status draw_points(drawing *d, const node *series, const node *x, const node *y, const char *colour)
{
    for (int64_t i = 0; i < x->count && i < y->count; i++) {
        if (!is_drawn(d, x->numbers[i], y->numbers[i])) continue;
        const double at = x_of(d, x->numbers[i]), up = y_of(d, y->numbers[i]);
        KD_TRY(kd__text_format(d->t, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", at, up, colour));
        KD_TRY(label(d, at + 8, up + 4, "start", series->name));
    }
    return KD_OK;
}

static kd_status draw_bars(drawing *d, const node *x, const node *y, const char *colour, int32_t number)
{
    for (int64_t i = 0; i < x->count && i < y->count; i++) {
        if (!is_drawn(d, x->numbers[i], y->numbers[i])) continue;
        const double slot = (double)(WIDTH - LEFT - RIGHT) / (double)(x->count + 1), from = LEFT + slot * ((double)i + 0.5);
        const double wide = slot * 0.8 / d->count, top = y_of(d, y->numbers[i]);
        KD_TRY(kd__text_format(d->t, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", from + wide * number, top, wide,
                               y_of(d, 0) - top, colour));
        if (number) continue;
        char text[32];
        short_number(text, x->numbers[i]);
        KD_TRY(label(d, from + slot * 0.4, HEIGHT - BOTTOM + 18, "middle", text));
    }
    return KD_OK;
}

static kd_status draw_series(drawing *d, const char *kind)
{
    int32_t number = 0;
    for (const node *s = d->series; s; s = s->next, number++) {
        const node *x = kd__report_find(s, "x"), *y = kd__report_find(s, "y");
        const char *colour = colours[number % (int32_t)(sizeof colours / sizeof *colours)];
        if (!x || !y) continue;
        if (!strcmp(kind, "bars")) KD_TRY(draw_bars(d, x, y, colour, number));
        else if (!strcmp(kind, "points")) KD_TRY(draw_points(d, s, x, y, colour));
        else KD_TRY(draw_line(d, x, y, colour));
        if (!strcmp(kind, "points")) continue;
        const double at = TOP + 10 + 18.0 * number;
        KD_TRY(kd__text_format(d->t, "<rect x=\"%d\" y=\"%.1f\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", WIDTH - RIGHT + 14, at - 10, colour));
        KD_TRY(label(d, WIDTH - RIGHT + 32, at, "start", s->name));
    }
    return KD_OK;
}

kd_status kd__report_picture(kd__text *to, const node *picture)
{
    const node *series = kd__report_find(picture, "series"), *kind = kd__report_find(picture, "kind"),
               *scale = kd__report_find(picture, "logarithmic");
    if (!series || !kind || kind->kind != KD__REPORT_TEXT) return KD_OK;
    drawing d = { .t = to,
                  .series = series->first,
                  .bars = !strcmp(kind->text, "bars"),
                  .points = !strcmp(kind->text, "points"),
                  .logarithmic = scale && scale->number != 0 };
    if (d.bars) d.logarithmic = 0;
    find_bounds(&d);
    KD_TRY(kd__text_format(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" font-size=\"12\" fill=\"#333\">\n",
                           WIDTH, HEIGHT, WIDTH));
    KD_TRY(draw_heights(&d));
    if (!d.bars) KD_TRY(draw_widths(&d)); /* bars stand beside each other, whatever their edges */
    KD_TRY(draw_names(&d, picture));
    KD_TRY(draw_series(&d, kind->text));
    return kd__text_format(to, "</svg>\n");
}
