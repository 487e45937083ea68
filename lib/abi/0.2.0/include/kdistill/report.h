/* kdistill/report.h - what a run found: a JSON object filled by dotted names, also as text and
 * HTML.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_report_create(&report, context);
 *   2.  kd_report_set_number(report, "students.soft.accuracy", 0.97);
 *   3.  kd_report_write(report, "report.json");
 *
 * Tables, pictures, text and HTML: since 0.2. */
#ifndef KDISTILL_REPORT_H
#define KDISTILL_REPORT_H

#include <kdistill/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_report kd_report;

KD_API kd_status kd_report_create(kd_report **out, kd_context *context);
KD_API void kd_report_free(kd_report *report);
/* "students.soft.accuracy": objects are created as needed; a name set twice keeps the last value.
 * NaN and infinity become null. */
KD_API kd_status kd_report_set_number(kd_report *report, const char *name, double value);
KD_API kd_status kd_report_set_text(kd_report *report, const char *name, const char *text);
KD_API kd_status kd_report_set_numbers(kd_report *report, const char *name, const double *values,
                                       int64_t count);
/* The JSON text, valid until the report changes. */
KD_API kd_status kd_report_json(kd_report *report, const char **json);
/* Writes the JSON text to a temporary file and renames it to `path`. */
KD_API kd_status kd_report_write(kd_report *report, const char *path);

/* Sets a cell of a table; tables, rows and columns appear in the order in which they are first
 * named. standard_error NaN: none. In JSON: "tables": {table: {row: {column: value or {"value",
 * "standard_error"}}}}. */
KD_API kd_status kd_report_set_cell(kd_report *report, const char *table, const char *row,
                                    const char *column, double value, double standard_error);

#define KD_PICTURE_LINES 0
#define KD_PICTURE_POINTS 1 /* accuracy against size */
#define KD_PICTURE_BARS 2   /* x: left edges of the bars, or 0, 1, ... */
/* one row per series, with its name: x is low end, value, high end; y is NULL */
#define KD_PICTURE_INTERVALS 3

/* Adds the points (x, y) of a series to a picture; the page chooses a color and adds a legend. A
 * series named twice is replaced. In JSON: "pictures": {picture: {"kind", "series": {..}}}. */
KD_API kd_status kd_report_add_series(kd_report *report, const char *picture, const char *series,
                                      int32_t kind, const double *x, const double *y,
                                      int64_t count);
/* Labels the axes; `logarithmic` makes the x axis logarithmic. */
KD_API kd_status kd_report_set_axes(kd_report *report, const char *picture, const char *x,
                                    const char *y, int32_t logarithmic);
/* Everything as plain text: facts, then tables. Valid until the report changes. */
KD_API kd_status kd_report_text(kd_report *report, const char **text);
/* A self-contained page with its pictures: no script, nothing loaded from elsewhere. */
KD_API kd_status kd_report_write_html(kd_report *report, const char *path, const char *title);

#ifdef __cplusplus
}
#endif
#endif
