/* Pictures as SVG: lines, points, bars, intervals, each with a legend in HTML below it that wraps
 * with the page. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "measure/report/report.h"

typedef kd__report_node node;

/* In the units of the viewBox. A page shows it at 1.2 times this size, a telephone at three
 * quarters. */
enum {
    WIDTH = 480,
    HEIGHT = 280,
    LEFT = 52,
    RIGHT = 22,
    TOP = 26,
    BOTTOM = 42,
    LINE = 22,
    LETTER = 7,
    DIGIT = 8,
    Y_MARKS = 5,
    TURN = 8,
    MARK = 75, /* of the x axis: as far apart, about */
    MOST_NAME = 256
};

/* Of middle lightness: a contrast of at least 3 to a white page and to a dark one. */
static const char *const colors[] = { "#2f7ed8", "#d1495b", "#3a9d5d", "#c17d10",
                                      "#8a63c4", "#1a9aa6", "#a8744f", "#8b8b8b" };
static const char *const dashes[] = { "", " stroke-dasharray=\"7 3\"",
                                      " stroke-dasharray=\"2 3\"" };
enum { COLORS = sizeof colors / sizeof *colors, DASHES = sizeof dashes / sizeof *dashes };

typedef enum { LINES, POINTS, BARS, INTERVALS } picture_kind;

typedef struct {
    kd__text *t;
    const node *series; /* the first */
    int32_t count;
    picture_kind kind;
    int logarithmic;
    int left, height;
    double x0, x1, y0, y1;
} drawing;

static const char *color_of(int32_t number) { return colors[number % COLORS]; }
static const char *dash_of(int32_t number) { return dashes[number / COLORS % DASHES]; }

/* ---- places ---- */

static double place(double v, double from, double to)
{
    return to > from ? (v - from) / (to - from) : 0.5;
}

static double x_of(const drawing *d, double x)
{
    const double share = d->logarithmic ? place(log(x), log(d->x0), log(d->x1))
                                        : place(x, d->x0, d->x1);
    return d->left + (WIDTH - d->left - RIGHT) * share;
}

static double y_of(const drawing *d, double y)
{
    return TOP + (d->height - TOP - BOTTOM) * (1 - place(y, d->y0, d->y1));
}

static int is_drawn(const drawing *d, double x, double y)
{
    return isfinite(x) && isfinite(y) && (!d->logarithmic || x > 0);
}

/* ---- bounds ---- */

static void include(drawing *d, double x, double y)
{
    if (!is_drawn(d, x, y)) return;
    d->x0 = fmin(d->x0, x);
    d->x1 = fmax(d->x1, x);
    d->y0 = fmin(d->y0, y);
    d->y1 = fmax(d->y1, y);
}

static void find_values(drawing *d)
{
    d->x0 = d->y0 = INFINITY;
    d->x1 = d->y1 = -INFINITY;
    for (const node *s = d->series; s; s = s->next, d->count++) {
        const node *x = kd__report_find(s, "x"), *y = kd__report_find(s, "y");
        for (int64_t i = 0; x && i < x->count; i++)
            if (!y || i < y->count) include(d, x->numbers[i], y ? y->numbers[i] : 0);
    }
    if (isfinite(d->x0)) return;
    d->x0 = d->y0 = d->logarithmic = 0;
    d->x1 = d->y1 = 1;
}

/* Circles and ends of lines keep off the edges. */
static void widen(drawing *d)
{
    if (d->logarithmic) {
        const double factor = pow(d->x1 / d->x0, 0.06);
        d->x0 /= factor;
        d->x1 *= factor;
        return;
    }
    const double margin = 0.06 * (d->x1 - d->x0);
    d->x0 -= margin;
    d->x1 += margin;
}

/* Bars stand on 0; so does what comes near it. */
static void find_bounds(drawing *d)
{
    find_values(d);
    if (d->kind == POINTS || d->kind == INTERVALS) widen(d);
    const double margin = 0.06 * (d->y1 - d->y0);
    if (d->kind == BARS || (d->y0 > 0 && d->y0 < d->y1 / 2)) d->y0 = fmin(d->y0, 0);
    else if (d->y0 != 0) d->y0 -= margin;
    d->y1 += margin;
    if (d->y1 <= d->y0) d->y1 = d->y0 + 1;
    if (d->x1 <= d->x0) d->x1 = d->logarithmic ? d->x0 * 2 : d->x0 + 1;
}

/* ---- text ---- */

static kd_status label(drawing *d, double x, double y, const char *anchor, const char *text)
{
    KD_TRY(kd__text_format(d->t, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor));
    KD_TRY(kd__report_escape(d->t, text));
    return kd__text_append(d->t, "</text>\n", 8);
}

static void short_number(char text[32], double x)
{
    const double size = fabs(x), unit = size >= 1e6 ? 1e6 : size >= 1e4 ? 1e3 : 1;
    snprintf(text, 32, "%.4g%s", x / unit, unit == 1e6 ? "M" : unit == 1e3 ? "k" : "");
}

/* ---- axes ---- */

/* A round step for about so many marks: up to one and a half times as many. */
static double step_of(double range, double marks)
{
    const double power = pow(10, floor(log10(range / marks))), part = range / marks / power;
    return power * (part > 7 ? 10 : part > 3 ? 5 : part > 1.5 ? 2 : 1);
}

static kd_status rule(drawing *d, double x0, double y0, double x1, double y1, double opacity)
{
    return kd__text_format(
        d->t,
        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"currentColor\" "
        "stroke-opacity=\"%g\"/>\n",
        x0, y0, x1, y1, opacity);
}

static kd_status mark_x(drawing *d, double x)
{
    char text[32];
    short_number(text, x);
    if (d->kind == INTERVALS)
        KD_TRY(rule(d, x_of(d, x), TOP, x_of(d, x), d->height - BOTTOM, x == 0 ? 0.6 : 0.15));
    return label(d, x_of(d, x), d->height - BOTTOM + 18, "middle", text);
}

static kd_status mark_y(drawing *d, double y)
{
    char text[32];
    short_number(text, y);
    KD_TRY(rule(d, d->left, y_of(d, y), WIDTH - RIGHT, y_of(d, y), y == 0 ? 0.6 : 0.15));
    return label(d, d->left - 6, y_of(d, y) + 4, "end", text);
}

static kd_status each_mark(drawing *d, double from, double to, double marks,
                           kd_status (*mark)(drawing *d, double v))
{
    const double step = step_of(to - from, marks);
    for (double v = ceil(from / step) * step; v <= to + step / 1e6; v += step)
        KD_TRY(mark(d, fabs(v) < step / 1e6 ? 0 : v));
    return KD_OK;
}

/* Marks of many digits, as those of a small learning rate, push the axis to the right. */
static kd_status leave_room(drawing *d, double y)
{
    char text[32];
    short_number(text, y);
    const int wide = DIGIT * (int)strlen(text) + 8;
    if (wide > d->left) d->left = wide;
    return KD_OK;
}

static kd_status mark_y_axis(drawing *d)
{
    KD_TRY(each_mark(d, d->y0, d->y1, Y_MARKS, leave_room));
    return each_mark(d, d->y0, d->y1, Y_MARKS, mark_y);
}

static kd_status mark_x_axis(drawing *d)
{
    const double marks = (double)(WIDTH - d->left - RIGHT) / MARK;
    return each_mark(d, d->x0, d->x1, marks, mark_x);
}

/* 1, 2, 5 of each power of ten; of many powers 1 alone. */
static kd_status mark_powers(drawing *d)
{
    const int few = d->x1 / d->x0 < 300;
    for (double power = pow(10, floor(log10(d->x0))); power <= d->x1; power *= 10)
        for (int m = 1; m <= (few ? 5 : 1); m += m == 1 ? 1 : 3)
            if (power * m >= d->x0 * 0.999 && power * m <= d->x1 * 1.001)
                KD_TRY(mark_x(d, power * m));
    return KD_OK;
}

static kd_status draw_axes(drawing *d, const node *picture)
{
    const node *x = kd__report_find(picture, "x"), *y = kd__report_find(picture, "y");
    if (d->kind != INTERVALS) KD_TRY(mark_y_axis(d));
    if (d->logarithmic) KD_TRY(mark_powers(d));
    else if (d->kind != BARS) KD_TRY(mark_x_axis(d));
    const int rows = d->kind == INTERVALS; /* little room is left of the names for a long text */
    if (x && x->kind == KD__REPORT_TEXT)
        KD_TRY(label(d, rows ? WIDTH - 4 : (d->left + WIDTH - RIGHT) / 2.0, d->height - 8,
                     rows ? "end" : "middle", x->text));
    if (y && y->kind == KD__REPORT_TEXT) KD_TRY(label(d, 8, TOP - 12, "start", y->text));
    return KD_OK;
}

/* ---- series ---- */

static int same_numbers(const node *a, const node *b)
{
    return a && b && a->count == b->count &&
           !memcmp(a->numbers, b->numbers, (size_t)a->count * sizeof *a->numbers);
}

/* How many of the first `most` series take this way. */
static int same_way(const drawing *d, const node *x, const node *y, int32_t most)
{
    int same = 0;
    const node *s = d->series;
    for (int32_t i = 0; i < most; i++, s = s->next)
        same += same_numbers(kd__report_find(s, "x"), x) &&
                same_numbers(kd__report_find(s, "y"), y);
    return same;
}

/* Lines on one way take turns on it, so that none hides another. */
static kd_status start_line(drawing *d, const node *x, const node *y, int32_t number)
{
    const int all = same_way(d, x, y, d->count), before = same_way(d, x, y, number);
    KD_TRY(kd__text_format(d->t, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\"",
                           color_of(number)));
    if (!before) return kd__text_format(d->t, "%s d=\"", all > 1 ? "" : dash_of(number));
    return kd__text_format(d->t, " stroke-dasharray=\"%d %d\" stroke-dashoffset=\"%d\" d=\"", TURN,
                           TURN * (all - 1), -TURN * before);
}

static kd_status draw_line(drawing *d, const node *x, const node *y, int32_t number)
{
    int drawing_on = 0;
    KD_TRY(start_line(d, x, y, number));
    for (int64_t i = 0; i < x->count && i < y->count; i++) {
        const int drawn = is_drawn(d, x->numbers[i], y->numbers[i]);
        if (drawn)
            KD_TRY(kd__text_format(d->t, "%c%.1f %.1f", drawing_on ? 'L' : 'M',
                                   x_of(d, x->numbers[i]), y_of(d, y->numbers[i])));
        drawing_on = drawn;
    }
    return kd__text_format(d->t, "\"/>\n");
}

static kd_status draw_points(drawing *d, const node *x, const node *y, int32_t number)
{
    for (int64_t i = 0; i < x->count && i < y->count; i++)
        if (is_drawn(d, x->numbers[i], y->numbers[i]))
            KD_TRY(kd__text_format(d->t, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\"/>\n",
                                   x_of(d, x->numbers[i]), y_of(d, y->numbers[i]),
                                   color_of(number)));
    return KD_OK;
}

/* Of many bars only each second, third .. has room for its edge. */
static int64_t bars_a_label(const node *x, double slot)
{
    size_t longest = 0;
    for (int64_t i = 0; i < x->count; i++) {
        char text[32];
        short_number(text, x->numbers[i]);
        longest = strlen(text) > longest ? strlen(text) : longest;
    }
    return (int64_t)ceil((double)(DIGIT * longest + 4) / slot);
}

static kd_status draw_bars(drawing *d, const node *x, const node *y, int32_t number)
{
    const double slot = (double)(WIDTH - d->left - RIGHT) / (double)(x->count + 1),
                 wide = slot * 0.8 / d->count;
    const int64_t each = bars_a_label(x, slot);
    for (int64_t i = 0; i < x->count && i < y->count; i++) {
        char text[32];
        if (!is_drawn(d, x->numbers[i], y->numbers[i])) continue;
        const double from = d->left + slot * ((double)i + 0.5), zero = y_of(d, 0),
                     end = y_of(d, y->numbers[i]);
        KD_TRY(kd__text_format(
            d->t, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n",
            from + wide * number, fmin(end, zero), wide, fabs(zero - end), color_of(number)));
        if (number || i % each) continue;
        short_number(text, x->numbers[i]);
        KD_TRY(label(d, from + slot * 0.4, d->height - BOTTOM + 18, "middle", text));
    }
    return KD_OK;
}

/* At the end of its place before the rows. A name that is longer is squeezed. */
static kd_status draw_name(drawing *d, const char *name, double y)
{
    const int most = d->left - 12;
    KD_TRY(kd__text_format(d->t, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\"", d->left - 8, y));
    if (LETTER * kd__report_letters(name) > most)
        KD_TRY(kd__text_format(d->t, " textLength=\"%d\" lengthAdjust=\"spacingAndGlyphs\"", most));
    KD_TRY(kd__text_format(d->t, ">"));
    KD_TRY(kd__report_escape(d->t, name));
    return kd__text_format(d->t, "</text>\n");
}

/* A row: the name, a line from the low to the high end, a circle at the value. */
static kd_status draw_interval(drawing *d, const node *series, const node *x, int32_t number)
{
    const double y = TOP + LINE * (number + 0.5);
    KD_TRY(draw_name(d, series->name, y + 4));
    if (x->count < 3 || !is_drawn(d, x->numbers[1], 0)) return KD_OK;
    if (is_drawn(d, x->numbers[0], 0) && is_drawn(d, x->numbers[2], 0))
        KD_TRY(kd__text_format(d->t,
                               "<path stroke=\"%s\" stroke-width=\"2\" d=\"M%.1f %.1fH%.1f\"/>\n",
                               color_of(0), x_of(d, x->numbers[0]), y, x_of(d, x->numbers[2])));
    return kd__text_format(d->t, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n",
                           x_of(d, x->numbers[1]), y, color_of(0));
}

static kd_status draw_series(drawing *d)
{
    int32_t number = 0;
    for (const node *s = d->series; s; s = s->next, number++) {
        const node *x = kd__report_find(s, "x"), *y = kd__report_find(s, "y");
        if (!x || (!y && d->kind != INTERVALS)) continue;
        if (d->kind == LINES) KD_TRY(draw_line(d, x, y, number));
        else if (d->kind == POINTS) KD_TRY(draw_points(d, x, y, number));
        else if (d->kind == BARS) KD_TRY(draw_bars(d, x, y, number));
        else KD_TRY(draw_interval(d, s, x, number));
    }
    return KD_OK;
}

static kd_status draw_legend(drawing *d)
{
    int32_t number = 0;
    KD_TRY(kd__text_format(d->t, "<figcaption>"));
    for (const node *s = d->series; s; s = s->next, number++) {
        const int line = d->kind == LINES;
        KD_TRY(kd__text_format(
            d->t,
            "<span><svg width=\"24\" height=\"10\" aria-hidden=\"true\"><path stroke=\"%s\" "
            "stroke-width=\"%d\"%s d=\"M%d 5H%d\"/></svg> ",
            color_of(number), line ? 3 : 10, line ? dash_of(number) : "", line ? 0 : 7,
            line ? 24 : 17));
        KD_TRY(kd__report_escape(d->t, s->name));
        KD_TRY(kd__text_format(d->t, "</span>\n"));
    }
    return kd__text_format(d->t, "</figcaption>");
}

/* ---- a picture ---- */

static picture_kind kind_of(const char *name)
{
    if (!strcmp(name, "bars")) return BARS;
    if (!strcmp(name, "intervals")) return INTERVALS;
    return strcmp(name, "points") ? LINES : POINTS;
}

/* Rows of names need a place of their own, and a height that follows their number. */
static void make_room_for_names(drawing *d)
{
    int longest = 0;
    for (const node *s = d->series; s; s = s->next)
        longest = (int)fmax(longest, LETTER * kd__report_letters(s->name));
    d->left = longest + 16 < LEFT ? LEFT : longest + 16 < MOST_NAME ? longest + 16 : MOST_NAME;
    d->height = TOP + LINE * d->count + BOTTOM;
}

kd_status kd__report_picture(kd__text *to, const node *picture)
{
    const node *series = kd__report_find(picture, "series"),
               *kind = kd__report_find(picture, "kind"),
               *scale = kd__report_find(picture, "logarithmic");
    if (!series || !kind || kind->kind != KD__REPORT_TEXT) return KD_OK;
    drawing d = { .t = to,
                  .series = series->first,
                  .kind = kind_of(kind->text),
                  .left = LEFT,
                  .height = HEIGHT };
    d.logarithmic = scale && scale->number != 0 && d.kind != BARS;
    find_bounds(&d);
    if (d.kind == INTERVALS) make_room_for_names(&d);
    KD_TRY(kd__text_format(
        to,
        "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
        "font-size=\"13\" fill=\"currentColor\" role=\"img\" aria-label=\"",
        WIDTH, d.height));
    KD_TRY(kd__report_escape(to, picture->name));
    KD_TRY(kd__text_format(to, "\">\n"));
    KD_TRY(draw_axes(&d, picture));
    KD_TRY(draw_series(&d));
    KD_TRY(kd__text_format(to, "</svg>\n"));
    return d.kind == INTERVALS ? KD_OK : draw_legend(&d);
}
