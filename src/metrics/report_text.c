/* A report as plain text and as a page. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "metrics/report.h"

typedef kd__report_node node;

/* ---- tables ---- */

kd_status kd__report_columns(kd_context *context, const node *table, const char ***out, int32_t *count)
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

void kd__report_cell(char text[80], const node *cell, const char *sign)
{
    char value[32], error[32];
    *text = 0;
    if (!cell) return;
    if (cell->kind == KD__REPORT_TEXT) {
        snprintf(text, 80, "%s", cell->text);
        return;
    }
    const node *v = cell->kind == KD__REPORT_NUMBER ? cell : kd__report_find(cell, "value"), *e = kd__report_find(cell, "standard_error");
    if (!v) return;
    number_text(value, v->number);
    if (!e || cell->kind == KD__REPORT_NUMBER) {
        snprintf(text, 80, "%s", value);
        return;
    }
    number_text(error, e->number);
    if (fabs(v->number) < 1000 && isfinite(v->number)) snprintf(value, sizeof value, "%.4f", v->number);
    if (fabs(e->number) < 1000 && isfinite(e->number)) snprintf(error, sizeof error, "%.4f", e->number);
    snprintf(text, 80, "%s %s %s", value, sign, error);
}

static int32_t widest(const node *table, const char *column)
{
    char text[80];
    int32_t width = (int32_t)strlen(column);
    for (const node *row = table->first; row; row = row->next) {
        kd__report_cell(text, kd__report_find(row, column), "+-");
        if ((int32_t)strlen(text) > width) width = (int32_t)strlen(text);
    }
    return width;
}

static kd_status end_line(kd__text *t)
{
    while (t->size && t->bytes[t->size - 1] == ' ') t->size--;
    return kd__text_append(t, "\n", 1);
}

static kd_status table_rows(kd__text *t, const node *table, const char *const *columns, int32_t count)
{
    int32_t first = 0;
    for (const node *row = table->first; row; row = row->next) first = (int32_t)strlen(row->name) > first ? (int32_t)strlen(row->name) : first;
    KD_TRY(kd__text_format(t, "\n%s\n\n%-*s", table->name, first, ""));
    for (int32_t c = 0; c < count; c++) KD_TRY(kd__text_format(t, "  %*s", widest(table, columns[c]), columns[c]));
    KD_TRY(end_line(t));
    for (const node *row = table->first; row; row = row->next) {
        KD_TRY(kd__text_format(t, "%-*s", first, row->name));
        for (int32_t c = 0; c < count; c++) {
            char text[80];
            kd__report_cell(text, kd__report_find(row, columns[c]), "+-");
            KD_TRY(kd__text_format(t, "  %*s", widest(table, columns[c]), text));
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
        if (!*before && (!strcmp(child->name, "tables") || !strcmp(child->name, "pictures"))) continue;
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

typedef kd_status table_function(kd__text *t, const node *table, const char *const *columns, int32_t count);

static kd_status each_table(kd_report *report, kd__text *t, table_function *function)
{
    const node *tables = kd__report_find(&report->root, "tables");
    for (const node *table = tables ? tables->first : NULL; table; table = table->next) {
        const char **columns = NULL;
        int32_t count;
        KD_TRY(kd__report_columns(report->object.context, table, &columns, &count));
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

static kd_status escaped(kd__text *t, const char *text)
{
    for (; *text; text++) {
        const char *as = *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '&' ? "&amp;" : *text == '"' ? "&quot;" : NULL;
        KD_TRY(kd__text_append(t, as ? as : text, as ? strlen(as) : 1));
    }
    return KD_OK;
}

static kd_status put(kd__text *t, const char *markup) { return kd__text_append(t, markup, strlen(markup)); }

static kd_status element(kd__text *t, const char *open, const char *text, const char *close)
{
    KD_TRY(put(t, open));
    KD_TRY(escaped(t, text));
    return put(t, close);
}

static kd_status fact_row(kd__text *t, const char *name, const char *value)
{
    KD_TRY(element(t, "<tr><th>", name, "</th>"));
    return element(t, "<td>", value, "</td></tr>\n");
}

static kd_status html_table(kd__text *t, const node *table, const char *const *columns, int32_t count)
{
    KD_TRY(element(t, "<h2>", table->name, "</h2>\n<table><tr><th></th>"));
    for (int32_t c = 0; c < count; c++) KD_TRY(element(t, "<th>", columns[c], "</th>"));
    KD_TRY(put(t, "</tr>\n"));
    for (const node *row = table->first; row; row = row->next) {
        KD_TRY(element(t, "<tr><th>", row->name, "</th>"));
        for (int32_t c = 0; c < count; c++) {
            char text[80];
            kd__report_cell(text, kd__report_find(row, columns[c]), "\xc2\xb1");
            KD_TRY(element(t, "<td>", text, "</td>"));
        }
        KD_TRY(put(t, "</tr>\n"));
    }
    return put(t, "</table>\n");
}

static kd_status write_page(kd_report *report, kd__text *t, const char *title)
{
    const node *pictures = kd__report_find(&report->root, "pictures");
    KD_TRY(element(t, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>", title, "</title>\n"));
    KD_TRY(put(
        t, "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
           "table{border-collapse:collapse;margin:.5rem 0;font-variant-numeric:tabular-nums}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;"
           "text-align:right}th:first-child{text-align:left}svg{max-width:100%;height:auto}figure{margin:1rem 0}</style></head>\n<body>\n"));
    KD_TRY(element(t, "<h1>", title, "</h1>\n<table>\n"));
    KD_TRY(each_fact(t, &report->root, "", fact_row));
    KD_TRY(put(t, "</table>\n"));
    KD_TRY(each_table(report, t, html_table));
    for (const node *p = pictures ? pictures->first : NULL; p; p = p->next) {
        KD_TRY(element(t, "<h2>", p->name, "</h2>\n<figure>"));
        KD_TRY(kd__report_picture(t, p));
        KD_TRY(put(t, "</figure>\n"));
    }
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
