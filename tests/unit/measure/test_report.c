/* A report's page as its reader sees it: what is drawn, named and kept on one line. */
#include "unit.h"

#include <math.h>

/* The page of a report; the caller frees it. */
static char *page_of(kd_report *report)
{
    const char *path = scratch_path("page.html");
    size_t size;
    OK(kd_report_write_html(report, path, "a page"));
    char *page = read_whole(path, &size);
    page[size] = 0;
    return page;
}

static int count_of(const char *page, const char *part)
{
    int count = 0;
    for (; (page = strstr(page, part)); page += strlen(part)) count++;
    return count;
}

/* ---- words in pictures ---- */

typedef struct {
    double left, right, y;
} word_box;

/* The next <text>: of its own length, or 8 units a letter, as wide as a wide font's digits. */
static const char *next_word(const char *at, word_box *box)
{
    double x, wide;
    char anchor[8];
    at = strstr(at, "<text ");
    if (!at) return NULL;
    ck_assert_int_eq(
        sscanf(at, "<text x=\"%lf\" y=\"%lf\" text-anchor=\"%7[a-z]\"", &x, &box->y, anchor), 3);
    const char *word = strchr(at, '>') + 1, *length = strstr(at, "textLength=\"");
    if (length && length < word) wide = atof(length + 12);
    else wide = 8.0 * (double)strcspn(word, "<");
    box->left = x - wide * (strcmp(anchor, "end") ? strcmp(anchor, "middle") ? 0 : 0.5 : 1);
    box->right = box->left + wide;
    return word;
}

/* No word leaves the drawing of 480 units, none lies on another. */
static void check_words(const char *svg)
{
    word_box box[64];
    int count = 0;
    for (const char *at = svg; count < 64 && (at = next_word(at, &box[count])); count++) {
        ck_assert_msg(box[count].left >= 0 && box[count].right <= 484, "%.20s leaves", at);
        for (int i = 0; i < count; i++)
            ck_assert_msg(fabs(box[i].y - box[count].y) >= 13 || box[i].right <= box[count].left ||
                              box[count].right <= box[i].left,
                          "%.20s lies on another word", at);
    }
    ck_assert_int_gt(count, 1);
}

START_TEST(words_neither_leave_a_picture_nor_overlap)
{
    kd_context *ctx = make_context(1);
    kd_report *r;
    double edges[18], counts[18];
    const double steps[] = { 0, 3000 }, rates[] = { 3e-4, 1e-5 }, falls[] = { -2.5e-3, 3.1e-3 };
    for (int i = 0; i < 18; i++) edges[i] = ldexp(4, i), counts[i] = 100 * i;
    const double *const values[] = { rates, falls, counts };
    for (int i = 0; i < 4; i++) {
        OK(kd_report_create(&r, ctx));
        const int kind = i == 2 ? KD_PICTURE_BARS : KD_PICTURE_LINES;
        if (i < 3)
            OK(kd_report_add_series(r, "p", "s", kind, i == 2 ? edges : steps, values[i],
                                    i == 2 ? 18 : 2));
        else
            OK(kd_report_add_series(r, "p", "a name of 42 letters, which are squeezed in",
                                    KD_PICTURE_INTERVALS, (double[]){ -0.035, 0, 0.034 }, NULL, 3));
        OK(kd_report_set_axes(r, "p", "step", "", 0));
        char *page = page_of(r);
        check_words(strstr(page, "<svg class=\"plot\""));
        free(page);
        kd_report_free(r);
    }
    kd_context_free(ctx);
}
END_TEST

/* ---- curves ---- */

/* How the curve `number` is drawn: its color and its dashes. */
static void stroke_of(const char *page, int number, char stroke[96])
{
    const char *at = page;
    for (int i = 0; i <= number; i++) at = strstr(at, "<path fill=\"none\" ") + 1;
    at = strstr(at, "stroke=");
    snprintf(stroke, 96, "%.*s", (int)(strstr(at, " d=") - at), at);
}

START_TEST(each_curve_has_a_stroke_and_a_legend_entry_of_its_own)
{
    enum { CURVES = 24 };
    kd_context *ctx = make_context(1);
    kd_report *r;
    char stroke[CURVES][96];
    OK(kd_report_create(&r, ctx));
    for (int i = 0; i < CURVES; i++) {
        char name[32];
        snprintf(name, sizeof name, "curve-%d.", i);
        OK(kd_report_add_series(r, "loss", name, KD_PICTURE_LINES, (double[]){ 0, 1 },
                                (double[]){ i, 2 * i + 1 }, 2));
    }
    char *page = page_of(r), *legend = strstr(page, "<figcaption>");
    ck_assert_int_eq(count_of(page, "<path fill=\"none\" "), CURVES);
    ck_assert_int_eq(count_of(legend, "<span>"), CURVES);
    for (int i = 0; i < CURVES; i++) {
        stroke_of(page, i, stroke[i]);
        for (int k = 0; k < i; k++) ck_assert_str_ne(stroke[i], stroke[k]);
    }
    free(page);
    kd_report_free(r);
    kd_context_free(ctx);
}
END_TEST

START_TEST(curves_on_one_way_take_turns)
{
    kd_context *ctx = make_context(1);
    kd_report *r;
    const double x[] = { 0, 1, 2 }, y[] = { 3, 2, NAN };
    char stroke[96];
    OK(kd_report_create(&r, ctx));
    OK(kd_report_add_series(r, "rate", "a", KD_PICTURE_LINES, x, y, 3));
    OK(kd_report_add_series(r, "rate", "other", KD_PICTURE_LINES, x, x, 3));
    OK(kd_report_add_series(r, "rate", "b", KD_PICTURE_LINES, x, y, 3));
    OK(kd_report_add_series(r, "rate", "c", KD_PICTURE_LINES, x, y, 3));
    char *page = page_of(r);
    const char *const dashes[] = { "", "", "\"8 16\" stroke-dashoffset=\"-8\"",
                                   "\"8 16\" stroke-dashoffset=\"-16\"" };
    for (int i = 0; i < 4; i++) {
        stroke_of(page, i, stroke);
        ck_assert(*dashes[i] ? !!strstr(stroke, dashes[i]) : !strstr(stroke, "dash"));
    }
    free(page);
    kd_report_free(r);
    kd_context_free(ctx);
}
END_TEST

/* The share of light of a color "#rrggbb" (WCAG 2, relative luminance). */
static double luminance(const char *color)
{
    unsigned rgb[3];
    double sum = 0;
    ck_assert_int_eq(sscanf(color, "#%2x%2x%2x", &rgb[0], &rgb[1], &rgb[2]), 3);
    for (int i = 0; i < 3; i++) {
        const double c = rgb[i] / 255.0;
        sum += (double[]){ 0.2126, 0.7152, 0.0722 }[i] *
               (c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4));
    }
    return sum;
}

static double contrast(const char *a, const char *b)
{
    const double x = luminance(a), y = luminance(b);
    return (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);
}

/* WCAG 2: 3 for pictures (1.4.11), 4.5 for text (1.4.3). */
START_TEST(colors_are_seen_on_a_white_page_and_on_a_dark_one)
{
    kd_context *ctx = make_context(1);
    kd_report *r;
    char stroke[96], name[2] = "a";
    OK(kd_report_create(&r, ctx));
    for (; *name <= 'h'; ++*name)
        OK(kd_report_add_series(r, "p", name, KD_PICTURE_LINES, (double[]){ 0, 1 },
                                (double[]){ 0, *name }, 2));
    char *page = page_of(r);
    const char *dark = strstr(strstr(page, "--page:") + 1, "--page:") + 7;
    for (int i = 0; i < 8; i++) {
        stroke_of(page, i, stroke);
        ck_assert_double_ge(contrast(strchr(stroke, '#'), "#ffffff"), 3);
        ck_assert_double_ge(contrast(strchr(stroke, '#'), dark), 3);
    }
    ck_assert_double_ge(contrast(strstr(strstr(page, "scheme:dark)"), "--text:") + 7, dark), 4.5);
    free(page);
    kd_report_free(r);
    kd_context_free(ctx);
}
END_TEST

/* ---- tables ---- */

START_TEST(figures_stay_whole_and_wide_tables_scroll)
{
    kd_context *ctx = make_context(1);
    kd_report *r;
    const char *text;
    OK(kd_report_create(&r, ctx));
    OK(kd_report_set_text(r, "test", "10000 images at 95 %"));
    OK(kd_report_set_cell(r, "scores", "soft", "low 95 %", 83.4, NAN));
    OK(kd_report_set_cell(r, "scores", "a row", "low 95 %", 999.96, NAN));
    OK(kd_report_set_cell(r, "scores", "soft", "one image, \xc2\xb5s", 1273118.8, NAN));
    OK(kd_report_set_cell(r, "scores", "a row", "one image, \xc2\xb5s", 3, NAN));
    OK(kd_report_text(r, &text));
    ck_assert_ptr_nonnull(strstr(text, "low 95 %  one image, \xc2\xb5s\n"
                                       "soft      83.40        1273119\n"
                                       "a row      1000              3\n"));
    char *page = page_of(r);
    ck_assert(strstr(page, "low 95\xc2\xa0%") &&
              strstr(page, "10000\xc2\xa0images at 95\xc2\xa0%"));
    ck_assert_int_eq(count_of(page, "<table>"), count_of(page, "<div class=\"wide\" style=\""));
    ck_assert_ptr_nonnull(strstr(page, "--name:5ch"));
    ck_assert_ptr_nonnull(strstr(page, ".wide{overflow-x:auto"));
    free(page);
    kd_report_free(r);
    kd_context_free(ctx);
}
END_TEST

Suite *report_suite(void)
{
    Suite *suite = suite_create("report");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, words_neither_leave_a_picture_nor_overlap);
    tcase_add_test(tests, each_curve_has_a_stroke_and_a_legend_entry_of_its_own);
    tcase_add_test(tests, curves_on_one_way_take_turns);
    tcase_add_test(tests, colors_are_seen_on_a_white_page_and_on_a_dark_one);
    tcase_add_test(tests, figures_stay_whole_and_wide_tables_scroll);
    suite_add_tcase(suite, tests);
    return suite;
}
