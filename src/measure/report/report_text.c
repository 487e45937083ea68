/* A report as plain text and as a page. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "measure/report/report.h"

typedef kd__report_node node;

int kd__report_letters(const char *text)
{
    int letters = 0;
    for (; *text; text++) letters += ((unsigned char)*text & 0xc0) != 0x80;
    return letters;
}

/* ---- tables ---- */

/* The columns of a table, in the order in which rows name them. *out is a new block. */
static kd_status columns_of(kd_context *context, const node *table, const char ***out,
                            int32_t *count)
{
    const char **names = NULL;
    int64_t room = 0;
    int32_t n = 0;
    for (const node *row = table->first; row; row = row->next)
        for (const node *cell = row->first; cell; cell = cell->next) {
            int32_t i = 0;
            while (i < n && strcmp(names[i], cell->name)) i++;
            if (i < n) continue;
            const kd_status status = KD_RESERVE(context, &names, &room, n + 1);
            if (status != KD_OK) {
                kd__release(context, names);
                return status;
            }
            names[n++] = cell->name;
        }
    *out = names;
    *count = n;
    return KD_OK;
}

static void number_text(char text[32], double x)
{
    if (!isfinite(x)) snprintf(text, 32, "-");
    else if (x == floor(x) && fabs(x) < 1e15) snprintf(text, 32, "%.0f", x);
    else if (fabs(x) >= 1000) snprintf(text, 32, "%.1f", x);
    else snprintf(text, 32, "%.4g", x);
}

/* Four digits, also where the last ones are 0: the cells of a column stand in line. */
static void measured_text(char text[32], double x)
{
    if (!isfinite(x) || x == floor(x)) number_text(text, x);
    else snprintf(text, 32, fabs(x) >= 999.95 ? "%.0f" : "%#.4g", x);
}

/* Decimal places that show three digits of an error: at most four. */
static int places_of(double error)
{
    const double size = fabs(error);
    if (!(size > 0) || !isfinite(size)) return 4;
    return (int)fmin(4, fmax(0, 2 - floor(log10(size))));
}

/* A cell as text: "0.8125 +- 0.0112"; `sign` stands between; "" for a cell that is not there. */
static void write_cell(char text[80], const node *cell, const char *sign)
{
    char value[32], error[32];
    *text = 0;
    if (!cell) return;
    if (cell->kind == KD__REPORT_TEXT) {
        snprintf(text, 80, "%s", cell->text);
        return;
    }
    const node *v = cell->kind == KD__REPORT_NUMBER ? cell : kd__report_find(cell, "value"),
               *e = kd__report_find(cell, "standard_error");
    if (!v) return;
    measured_text(value, v->number);
    if (!e || cell->kind == KD__REPORT_NUMBER) {
        snprintf(text, 80, "%s", value);
        return;
    }
    measured_text(error, e->number);
    const int places = places_of(e->number);
    if (fabs(v->number) < 1000 && isfinite(v->number))
        snprintf(value, sizeof value, "%.*f", places, v->number);
    if (fabs(e->number) < 1000 && isfinite(e->number))
        snprintf(error, sizeof error, "%.*f", places, e->number);
    snprintf(text, 80, "%s %s %s", value, sign, error);
}

static int32_t widest(const node *table, const char *column)
{
    char text[80];
    int32_t width = kd__report_letters(column);
    for (const node *row = table->first; row; row = row->next) {
        write_cell(text, kd__report_find(row, column), "+-");
        if (kd__report_letters(text) > width) width = kd__report_letters(text);
    }
    return width;
}

static int32_t longest_row(const node *table)
{
    int32_t longest = 0;
    for (const node *row = table->first; row; row = row->next)
        if (kd__report_letters(row->name) > longest) longest = kd__report_letters(row->name);
    return longest;
}

/* printf counts bytes, columns are counted in letters. */
static int field(int32_t letters, const char *text)
{
    return letters + (int)strlen(text) - kd__report_letters(text);
}

static kd_status end_line(kd__text *t)
{
    while (t->size && t->bytes[t->size - 1] == ' ') t->size--;
    return kd__text_append(t, "\n", 1);
}

static kd_status table_rows(kd__text *t, const node *table, const char *const *columns,
                            int32_t count)
{
    const int32_t first = longest_row(table);
    KD_TRY(kd__text_format(t, "\n%s\n\n%-*s", table->name, first, ""));
    for (int32_t c = 0; c < count; c++)
        KD_TRY(
            kd__text_format(t, "  %*s", field(widest(table, columns[c]), columns[c]), columns[c]));
    KD_TRY(end_line(t));
    for (const node *row = table->first; row; row = row->next) {
        KD_TRY(kd__text_format(t, "%-*s", field(first, row->name), row->name));
        for (int32_t c = 0; c < count; c++) {
            char text[80];
            write_cell(text, kd__report_find(row, columns[c]), "+-");
            KD_TRY(kd__text_format(t, "  %*s", field(widest(table, columns[c]), text), text));
        }
        KD_TRY(end_line(t));
    }
    return KD_OK;
}

/* ---- facts: everything that is no table and no picture ---- */

typedef kd_status fact_function(kd__text *t, const char *name, const char *value);

static kd_status each_fact(kd__text *t, const node *n, const char *before, fact_function *function)
{
    for (const node *child = n->first; child; child = child->next) {
        char name[256], value[32];
        if (!*before && (!strcmp(child->name, "tables") || !strcmp(child->name, "pictures")))
            continue;
        snprintf(name, sizeof name, "%s%s%s", before, *before ? "." : "", child->name);
        if (child->kind == KD__REPORT_OBJECT) KD_TRY(each_fact(t, child, name, function));
        else if (child->kind == KD__REPORT_TEXT) KD_TRY(function(t, name, child->text));
        else if (child->kind == KD__REPORT_NUMBER) {
            number_text(value, child->number);
            KD_TRY(function(t, name, value));
        }
    }
    return KD_OK;
}

static kd_status fact_line(kd__text *t, const char *name, const char *value)
{
    KD_TRY(kd__text_format(t, "%s: ", name));
    KD_TRY(kd__text_append(t, value, strlen(value)));
    return kd__text_append(t, "\n", 1);
}

typedef kd_status table_function(kd__text *t, const node *table, const char *const *columns,
                                 int32_t count);

static kd_status each_table(kd_report *report, kd__text *t, table_function *function)
{
    const node *tables = kd__report_find(&report->root, "tables");
    for (const node *table = tables ? tables->first : NULL; table; table = table->next) {
        const char **columns = NULL;
        int32_t count;
        KD_TRY(columns_of(report->object.context, table, &columns, &count));
        const kd_status status = function(t, table, columns, count);
        kd__release(report->object.context, columns);
        if (status != KD_OK) return status;
    }
    return KD_OK;
}

kd_status kd_report_text(kd_report *report, const char **text)
{
    KD_NEED(report);
    KD_NEED(text);
    kd__text *t = &report->json;
    t->size = 0;
    KD_TRY(kd__text_append(t, "", 0));
    KD_TRY(each_fact(t, &report->root, "", fact_line));
    KD_TRY(each_table(report, t, table_rows));
    *text = t->bytes;
    return KD_OK;
}

/* ---- the page ---- */

static const char *markup_of(const char *at, int after_digit)
{
    switch (*at) {
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '&': return "&amp;";
    case '"': return "&quot;";
    case ' ': return after_digit ? "\xc2\xa0" : NULL; /* does not break */
    default: return NULL;
    }
}

kd_status kd__report_escape(kd__text *to, const char *text)
{
    int after_digit = 0;
    for (; *text; text++) {
        const char *as = markup_of(text, after_digit);
        KD_TRY(kd__text_append(to, as ? as : text, as ? strlen(as) : 1));
        after_digit = *text >= '0' && *text <= '9';
    }
    return KD_OK;
}

static kd_status put(kd__text *t, const char *markup)
{
    return kd__text_append(t, markup, strlen(markup));
}

static kd_status element(kd__text *t, const char *open, const char *text, const char *close)
{
    KD_TRY(put(t, open));
    KD_TRY(kd__report_escape(t, text));
    return put(t, close);
}

static kd_status fact_row(kd__text *t, const char *name, const char *value)
{
    KD_TRY(element(t, "<tr><th>", name, "</th>"));
    return element(t, "<td>", value, "</td></tr>\n");
}

static kd_status html_table(kd__text *t, const node *table, const char *const *columns,
                            int32_t count)
{
    KD_TRY(element(t, "<h2>", table->name, "</h2>\n"));
    KD_TRY(kd__text_format(t, "<div class=\"wide\" style=\"--name:%dch\">", longest_row(table)));
    KD_TRY(put(t, "<table><tr><th></th>"));
    for (int32_t c = 0; c < count; c++) KD_TRY(element(t, "<th>", columns[c], "</th>"));
    KD_TRY(put(t, "</tr>\n"));
    for (const node *row = table->first; row; row = row->next) {
        KD_TRY(element(t, "<tr><th>", row->name, "</th>"));
        for (int32_t c = 0; c < count; c++) {
            char text[80];
            write_cell(text, kd__report_find(row, columns[c]), "\xc2\xb1");
            KD_TRY(element(t, "<td>", text, "</td>"));
        }
        KD_TRY(put(t, "</tr>\n"));
    }
    return put(t, "</table></div>\n");
}

/* A figure never breaks over two lines: wide tables scroll by themselves, with a shadow at the
 * edge where they go on and the names of the rows kept in sight; what wraps is names. */
static const char style[] =
    "<style>:root{color-scheme:light dark;--text:#222;--page:#fff;--line:#ddd;--edge:#0004}\n"
    "@media (prefers-color-scheme:dark){:root{--text:#dcdfe3;--page:#15181c;--line:#363c44;"
    "--edge:#000c}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;"
    "color:var(--text);background:var(--page);overflow-wrap:break-word}\n"
    "h1{font-size:1.6rem}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}\n"
    ".wide{overflow-x:auto;background:"
    "linear-gradient(to left,var(--page) 50%,transparent) right/3rem 110% no-repeat local,"
    "linear-gradient(to left,var(--edge),transparent) right/1rem 100% no-repeat}\n"
    "table{border-collapse:separate;border-spacing:0;font-variant-numeric:tabular-nums}\n"
    "td,th{padding:.2rem .5rem;border-bottom:1px solid var(--line);text-align:right;"
    "white-space:nowrap}\n"
    "th{font-weight:600}"
    ".wide tr:first-child th{white-space:normal;min-width:4rem;vertical-align:bottom}\n"
    "th:first-child{text-align:left;padding-left:0}\n"
    ".wide th:first-child{white-space:normal;min-width:min(var(--name),15rem,40vw);"
    "position:sticky;left:0;background:var(--page)}\n"
    ".facts th{vertical-align:top;white-space:normal;min-width:min(8rem,30vw);max-width:40vw}"
    ".facts td{text-align:left;white-space:normal;overflow-wrap:anywhere}\n"
    ".pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,28rem),1fr));"
    "gap:0 2rem}\n"
    "figure{margin:0}.plot{width:100%;max-width:36rem;height:auto;display:block}\n"
    "figcaption{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;font-size:.87rem}</style>";

static kd_status html_pictures(kd__text *t, const node *pictures)
{
    if (!pictures || !pictures->first) return KD_OK;
    KD_TRY(put(t, "<div class=\"pictures\">\n"));
    for (const node *p = pictures->first; p; p = p->next) {
        KD_TRY(element(t, "<div><h2>", p->name, "</h2>\n<figure>"));
        KD_TRY(kd__report_picture(t, p));
        KD_TRY(put(t, "</figure></div>\n"));
    }
    return put(t, "</div>\n");
}

static kd_status write_page(kd_report *report, kd__text *t, const char *title)
{
    KD_TRY(element(t, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>",
                   title, "</title>\n"));
    KD_TRY(put(t, "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"));
    KD_TRY(put(t, style));
    KD_TRY(element(t, "</head>\n<body><h1>", title, "</h1>\n<table class=\"facts\">\n"));
    KD_TRY(each_fact(t, &report->root, "", fact_row));
    KD_TRY(put(t, "</table>\n"));
    KD_TRY(html_pictures(t, kd__report_find(&report->root, "pictures")));
    KD_TRY(each_table(report, t, html_table));
    return put(t, "</body></html>\n");
}

kd_status kd_report_write_html(kd_report *report, const char *path, const char *title)
{
    KD_NEED(report);
    KD_NEED(path);
    KD_NEED(title);
    kd__text t = { .context = report->object.context };
    kd_status status = write_page(report, &t, title);
    if (status == KD_OK) status = kd__file_replace(report->object.context, path, t.bytes, t.size);
    kd__text_free(&t);
    return status;
}
