/* A report: a tree of names, written as JSON. */
#include <kdistill/metrics.h>

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "measure/report/report.h"

#define OBJECT KD__REPORT_OBJECT
#define NUMBER KD__REPORT_NUMBER
#define TEXT KD__REPORT_TEXT
#define NUMBERS KD__REPORT_NUMBERS

typedef kd__report_node node;

kd_status kd_report_create(kd_report **out, kd_context *context)
{
    kd_report *report = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__object_create((void **)&report, context, sizeof *report));
    report->json.context = context;
    *out = report;
    return KD_OK;
}

static void clear(kd_context *context, node *n)
{
    for (node *child = n->first, *next; child; child = next) {
        next = child->next;
        clear(context, child);
        kd__release(context, child);
    }
    kd__release(context, n->text);
    kd__release(context, n->numbers);
    n->first = NULL;
    n->text = NULL;
    n->numbers = NULL;
    n->kind = OBJECT;
}

void kd_report_free(kd_report *report)
{
    if (!kd__object_drop(report)) return;
    clear(report->object.context, &report->root);
    kd__text_free(&report->json);
    kd__object_destroy(report);
}

static kd_status find_child(kd_report *report, node *parent, const char *name, size_t length,
                            node **out)
{
    node **place = &parent->first;
    KD_FAIL_IF(!length || length >= KD_NAME_BYTES, KD_ERR_INVALID,
               "report: a part of the name is empty or longer than %d bytes", KD_NAME_BYTES - 1);
    for (; *place; place = &(*place)->next)
        if (strlen((*place)->name) == length && !memcmp((*place)->name, name, length)) break;
    if (!*place) {
        node *made = NULL;
        KD_TRY(KD_NEW(report->object.context, &made, 1));
        memcpy(made->name, name, length);
        *place = made;
    }
    *out = *place;
    return KD_OK;
}

/* The node of names in each other, which may have dots in them. */
static kd_status find_path(kd_report *report, const char *const *names, int32_t count, node **out)
{
    node *at;
    KD_NEED(report);
    at = &report->root;
    for (int32_t i = 0; i < count; i++) {
        KD_NEED(names[i]);
        KD_FAIL_IF(at->kind != OBJECT, KD_ERR_INVALID, "report: '%s' holds a value already",
                   at->name);
        KD_TRY(find_child(report, at, names[i], strlen(names[i]), &at));
    }
    report->json.size = 0;
    *out = at;
    return KD_OK;
}

static kd_status find_node(kd_report *report, const char *name, node **out)
{
    node *at;
    KD_NEED(report);
    KD_NEED(name);
    at = &report->root;
    for (const char *part = name;; part++) {
        size_t length = strcspn(part, ".");
        KD_FAIL_IF(at->kind != OBJECT, KD_ERR_INVALID,
                   "report: '%.100s': '%s' holds a value already", name, at->name);
        KD_TRY(find_child(report, at, part, length, &at));
        part += length;
        if (!*part) break;
    }
    KD_FAIL_IF(at->first, KD_ERR_INVALID, "report: '%.100s' is an object already", name);
    *out = at;
    report->json.size = 0;
    return KD_OK;
}

kd_status kd_report_set_number(kd_report *report, const char *name, double value)
{
    node *n;
    KD_TRY(find_node(report, name, &n));
    clear(report->object.context, n);
    n->kind = NUMBER;
    n->number = value;
    return KD_OK;
}

kd_status kd_report_set_text(kd_report *report, const char *name, const char *text)
{
    node *n;
    char *copy;
    KD_NEED(text);
    KD_TRY(find_node(report, name, &n));
    KD_TRY(kd__copy_text(report->object.context, &copy, text));
    clear(report->object.context, n);
    n->kind = TEXT;
    n->text = copy;
    return KD_OK;
}

kd_status kd_report_set_numbers(kd_report *report, const char *name, const double *values,
                                int64_t count)
{
    node *n;
    double *copy = NULL;
    KD_NEED(values);
    KD_FAIL_IF(count < 0, KD_ERR_RANGE, "report: expected 0 or more numbers, got %lld",
               (long long)count);
    KD_TRY(find_node(report, name, &n));
    KD_TRY(KD_NEW(report->object.context, &copy, count));
    memcpy(copy, values, (size_t)count * sizeof *values);
    clear(report->object.context, n);
    n->kind = NUMBERS;
    n->numbers = copy;
    n->count = count;
    return KD_OK;
}

/* ---- tables and pictures ---- */

static kd_status put_number(kd_report *report, node *parent, const char *name, double value)
{
    node *n;
    KD_TRY(find_child(report, parent, name, strlen(name), &n));
    clear(report->object.context, n);
    n->kind = NUMBER;
    n->number = value;
    return KD_OK;
}

static kd_status put_text(kd_report *report, node *parent, const char *name, const char *text)
{
    node *n;
    char *copy;
    KD_TRY(find_child(report, parent, name, strlen(name), &n));
    KD_TRY(kd__copy_text(report->object.context, &copy, text));
    clear(report->object.context, n);
    n->kind = TEXT;
    n->text = copy;
    return KD_OK;
}

static kd_status put_numbers(kd_report *report, node *parent, const char *name,
                             const double *values, int64_t count)
{
    node *n;
    double *copy = NULL;
    KD_TRY(find_child(report, parent, name, strlen(name), &n));
    KD_TRY(KD_NEW(report->object.context, &copy, count));
    memcpy(copy, values, (size_t)count * sizeof *values);
    clear(report->object.context, n);
    n->kind = NUMBERS;
    n->numbers = copy;
    n->count = count;
    return KD_OK;
}

kd_status kd_report_set_cell(kd_report *report, const char *table, const char *row,
                             const char *column, double value, double standard_error)
{
    const char *const names[] = { "tables", table, row, column };
    node *n;
    KD_TRY(find_path(report, names, 4, &n));
    clear(report->object.context, n);
    if (standard_error != standard_error) {
        n->kind = NUMBER;
        n->number = value;
        return KD_OK;
    }
    KD_TRY(put_number(report, n, "value", value));
    return put_number(report, n, "standard_error", standard_error);
}

kd_status kd_report_add_series(kd_report *report, const char *picture, const char *series,
                               int32_t kind, const double *x, const double *y, int64_t count)
{
    static const char *const kinds[] = { "lines", "points", "bars", "intervals" };
    const char *const names[] = { "pictures", picture, "series", series };
    node *of_picture, *n;
    KD_NEED(x);
    KD_FAIL_IF(kind < 0 || kind > KD_PICTURE_INTERVALS, KD_ERR_RANGE,
               "picture: expected a kind of 0 to 3, got %d", kind);
    if (kind != KD_PICTURE_INTERVALS) KD_NEED(y);
    KD_FAIL_IF(count < 1, KD_ERR_RANGE, "picture: expected at least 1 point, got %lld",
               (long long)count);
    KD_FAIL_IF(kind == KD_PICTURE_INTERVALS && count != 3, KD_ERR_RANGE,
               "picture: an interval has 3 numbers (low, value, high), got %lld", (long long)count);
    KD_TRY(find_path(report, names, 2, &of_picture));
    KD_TRY(put_text(report, of_picture, "kind", kinds[kind]));
    KD_TRY(find_path(report, names, 4, &n));
    KD_TRY(put_numbers(report, n, "x", x, count));
    return kind == KD_PICTURE_INTERVALS ? KD_OK : put_numbers(report, n, "y", y, count);
}

kd_status kd_report_set_axes(kd_report *report, const char *picture, const char *x, const char *y,
                             int32_t logarithmic)
{
    const char *const names[] = { "pictures", picture };
    node *n;
    KD_NEED(x);
    KD_NEED(y);
    KD_TRY(find_path(report, names, 2, &n));
    KD_TRY(put_text(report, n, "x", x));
    KD_TRY(put_text(report, n, "y", y));
    return put_number(report, n, "logarithmic", logarithmic != 0);
}

const node *kd__report_find(const node *parent, const char *name)
{
    for (const node *n = parent ? parent->first : NULL; n; n = n->next)
        if (!strcmp(n->name, name)) return n;
    return NULL;
}

/* ---- JSON ---- */

static kd_status indent(kd__text *text, int depth)
{
    KD_TRY(kd__text_append(text, "\n", 1));
    for (int i = 0; i < depth; i++) KD_TRY(kd__text_append(text, "  ", 2));
    return KD_OK;
}

static kd_status write_node(kd__text *text, const node *n, int depth)
{
    if (n->kind == NUMBER) return kd__text_number(text, n->number);
    if (n->kind == TEXT) return kd__text_quoted(text, n->text);
    if (n->kind == NUMBERS) {
        KD_TRY(kd__text_append(text, "[", 1));
        for (int64_t i = 0; i < n->count; i++) {
            if (i) KD_TRY(kd__text_append(text, ", ", 2));
            KD_TRY(kd__text_number(text, n->numbers[i]));
        }
        return kd__text_append(text, "]", 1);
    }
    KD_TRY(kd__text_append(text, "{", 1));
    for (const node *child = n->first; child; child = child->next) {
        if (child != n->first) KD_TRY(kd__text_append(text, ",", 1));
        KD_TRY(indent(text, depth + 1));
        KD_TRY(kd__text_quoted(text, child->name));
        KD_TRY(kd__text_append(text, ": ", 2));
        KD_TRY(write_node(text, child, depth + 1));
    }
    if (n->first) KD_TRY(indent(text, depth));
    return kd__text_append(text, "}", 1);
}

kd_status kd_report_json(kd_report *report, const char **json)
{
    KD_NEED(report);
    KD_NEED(json);
    report->json.size = 0;
    KD_TRY(write_node(&report->json, &report->root, 0));
    KD_TRY(kd__text_append(&report->json, "\n", 1));
    *json = report->json.bytes;
    return KD_OK;
}

kd_status kd_report_write(kd_report *report, const char *path)
{
    const char *json;
    KD_TRY(kd_report_json(report, &json));
    return kd__file_replace(report->object.context, path, json, report->json.size);
}
