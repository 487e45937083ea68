/* The report: numbers as JSON, and one page with pictures and tables. */
#include "demo.h"

#include <math.h>

static void cell(kd_report *report, const char *table, const row *r, const char *column,
                 double value, double error)
{
    CHECK(kd_report_set_cell(report, table, r->a.name, column, value, error));
}

/* ---- teacher against students ---- */

static void put_scores(kd_report *report, const row *r)
{
    static const char table[] = "accuracy";
    cell(report, table, r, "accuracy, %", 100 * r->accuracy.b, 100 * r->accuracy.standard_error);
    cell(report, table, r, "low 95 %", 100 * r->accuracy.low, NAN);
    cell(report, table, r, "high 95 %", 100 * r->accuracy.high, NAN);
    cell(report, table, r, "agreement with the teacher", r->mean.agreement, NAN);
    cell(report, table, r, "right where the teacher is wrong", r->mean.where_wrong, NAN);
    cell(report, table, r, "macro F1", r->mean.f1, NAN);
    cell(report, table, r, "ECE", r->mean.ece, NAN);
    cell(report, table, r, "NLL, nats", r->mean.nll, NAN);
}

static void put_seeds(kd_report *report, const row *r, int seeds)
{
    for (int s = 0; s < seeds; s++) {
        char column[32];
        snprintf(column, sizeof column, "seed %d", s + 1);
        cell(report, "accuracy of each seed, %", r, column, 100 * r->runs[s].accuracy, NAN);
    }
}

/* A row of the table of sizes and speeds, or of its ratios to the teacher, which have no unit. */
static void put_size(kd_report *report, const char *table, const row *r, const row *unit)
{
    const struct {
        const char *name, *ratio;
        double value, one;
    } figures[] = {
        { "parameters", "parameters", (double)r->parameters, unit ? (double)unit->parameters : 1 },
        { "size, kB", "size", (double)r->bytes / 1e3, unit ? (double)unit->bytes / 1e3 : 1 },
        { "one image, median, \xc2\xb5s", "one image, median", 1e6 * r->single.p50,
          unit ? 1e6 * unit->single.p50 : 1 },
        { "one image, p99, \xc2\xb5s", "one image, p99", 1e6 * r->single.p99,
          unit ? 1e6 * unit->single.p99 : 1 },
        { "images/s, 256 at once", "rate, 256 at once", r->many.samples_per_second,
          unit ? unit->many.samples_per_second : 1 }
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        cell(report, table, r, unit ? figures[i].ratio : figures[i].name,
             figures[i].value / figures[i].one, NAN);
}

static void put_differences(const demo *d, kd_report *report)
{
    static const char table[] = "points more than hard labels give";
    for (int i = 2; i < d->row_count; i++) {
        const row *r = &d->rows[i];
        const kd_difference *of = &r->against_hard;
        cell(report, table, r, "points", 100 * of->difference, 100 * of->standard_error);
        cell(report, table, r, "low 95 %", 100 * of->low, NAN);
        cell(report, table, r, "high 95 %", 100 * of->high, NAN);
        if (d->seeds > 1) cell(report, table, r, "p", of->p_value, NAN);
    }
}

/* ---- pictures ---- */

static void draw_accuracy(const demo *d, kd_report *report)
{
    static const char picture[] = "test accuracy, %";
    for (int i = 0; i < d->row_count; i++) {
        const row *r = &d->rows[i];
        const double ends[] = { 100 * r->accuracy.low, 100 * r->accuracy.b,
                                100 * r->accuracy.high };
        CHECK(
            kd_report_add_series(report, picture, r->a.name, KD_PICTURE_INTERVALS, ends, NULL, 3));
    }
    CHECK(kd_report_set_axes(report, picture,
                             d->seeds > 1 ? "95 % intervals over seeds and images (teacher: images)"
                                          : "95 % intervals over images only, one run",
                             "", 0));
}

static void draw(kd_report *report, const char *picture, const row *r, const double *values)
{
    const curve *c = &r->curves[0];
    if (c->count && isfinite(values[0]))
        CHECK(kd_report_add_series(report, picture, r->a.name, KD_PICTURE_LINES, c->step, values,
                                   c->count));
}

static void draw_curves(const demo *d, kd_report *report)
{
    static const char *const pictures[] = { "validation accuracy", "training loss", "learning rate",
                                            "temperature" };
    static const char *const units[] = { "share right, the first seed", "nats, the first seed",
                                         "the first seed", "the first seed" };
    for (int i = 0; i < d->row_count; i++) {
        const curve *c = &d->rows[i].curves[0];
        const double *const values[] = { c->accuracy, c->loss, c->rate, c->temperature };
        for (int k = 0; k < 4; k++) draw(report, pictures[k], &d->rows[i], values[k]);
    }
    for (int k = 0; k < 4; k++) CHECK(kd_report_set_axes(report, pictures[k], "step", units[k], 0));
}

/* ---- the files ---- */

static void put_facts(const demo *d, kd_report *report)
{
    kd_context_info info = { .struct_size = sizeof info };
    char line[240];
    CHECK(kd_context_get_info(d->ctx, &info));
    snprintf(line, sizeof line,
             "%d images; %d training images have true labels, all others the teacher's alone", TEST,
             LABELED);
    CHECK(kd_report_set_text(report, "test", line));
    for (int i = 0; i < d->row_count; i++)
        CHECK(kd_report_set_text(report, d->rows[i].a.name, d->rows[i].a.what));
    snprintf(line, sizeof line, "%d of each student, one teacher", d->seeds);
    CHECK(kd_report_set_text(report, "seeds", line));
    CHECK(kd_report_set_text(
        report, "errors",
        d->seeds > 1
            ? "after \xc2\xb1 one standard error, over seeds and images, both drawn; 95 % "
              "intervals "
              "and p by Student's t"
            : "after \xc2\xb1 one standard error, over images only, one training run: a second run "
              "may turn the sign of a difference"));
    snprintf(line, sizeof line,
             "%lld images came, %lld below the confidence threshold, %lld over the balance of "
             "classes, %lld kept",
             (long long)d->pseudo.seen, (long long)d->pseudo.below_threshold,
             (long long)d->pseudo.over_balance, (long long)d->pseudo.kept);
    CHECK(kd_report_set_text(report, "pseudo-labels", line));
    CHECK(kd_report_set_text(report, "library", kd_build_info()));
    snprintf(line, sizeof line, "%d threads, %s, kernels %s", info.threads, info.blas,
             info.blas_kernels);
    CHECK(kd_report_set_text(report, "machine", line));
    snprintf(line, sizeof line, "%.0f s", seconds() - d->began);
    CHECK(kd_report_set_text(report, "whole run", line));
}

static void put_tables(const demo *d, kd_report *report)
{
    for (int i = 0; i < d->row_count; i++) put_scores(report, &d->rows[i]);
    put_differences(d, report);
    for (int i = 1; i < d->row_count && d->seeds > 1; i++) put_seeds(report, &d->rows[i], d->seeds);
    for (int i = 0; i < d->row_count; i++) put_size(report, "size and speed", &d->rows[i], NULL);
    for (int i = 0; i < d->row_count; i++)
        put_size(report, "size and speed, times the teacher's", &d->rows[i], &d->rows[0]);
}

void write_report(const demo *d, const char *folder)
{
    char path[1024];
    kd_report *report;
    CHECK(kd_report_create(&report, d->ctx));
    put_facts(d, report);
    draw_accuracy(d, report);
    draw_curves(d, report);
    put_tables(d, report);
    snprintf(path, sizeof path, "%s/report.json", folder);
    CHECK(kd_report_write(report, path));
    printf("wrote %s\n", path);
    snprintf(path, sizeof path, "%s/report.html", folder);
    CHECK(kd_report_write_html(report, path, "Teacher against students"));
    printf("wrote %s\n", path);
    kd_report_free(report);
}
