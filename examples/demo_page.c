/* The report (JSON), the picture (SVG) and the page that holds both (HTML, one file, nothing fetched). */
#include "demo.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

static const char *const colours[] = { "#444444", "#c0392b", "#2471a3", "#d68910", "#1e8449", "#8e44ad" };

/* ---- report.json ---- */

static void number(kd_report *report, const char *prefix, const char *name, double value)
{
    char path[160];
    snprintf(path, sizeof path, "%s.%s", prefix, name);
    CHECK(kd_report_set_number(report, path, value));
}

static void report_row(kd_report *report, const row *r, const row *teacher, int runs)
{
    char prefix[64], path[128];
    double accuracies[MAX_SEEDS];
    snprintf(prefix, sizeof prefix, "models.%s", r->a.name);
    snprintf(path, sizeof path, "%s.what", prefix);
    CHECK(kd_report_set_text(report, path, r->a.what));
    const struct {
        const char *name;
        double value, teacher;
    } values[] = { { "accuracy", r->mean.accuracy, teacher->mean.accuracy },
                   { "agreement", r->mean.agreement, teacher->mean.agreement },
                   { "ece", r->mean.ece, teacher->mean.ece },
                   { "nll", r->mean.nll, teacher->mean.nll },
                   { "macro_f1", r->mean.f1, teacher->mean.f1 },
                   { "parameters", (double)r->parameters, (double)teacher->parameters },
                   { "bytes", (double)r->bytes, (double)teacher->bytes },
                   { "latency_seconds_batch_1", r->single.p50, teacher->single.p50 },
                   { "samples_per_second", r->many.samples_per_second, teacher->many.samples_per_second } };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        number(report, prefix, values[i].name, values[i].value);
        snprintf(path, sizeof path, "ratio_to_teacher.%s", values[i].name);
        number(report, prefix, path, values[i].value / values[i].teacher);
    }
    number(report, prefix, "accuracy_standard_error", r->error.accuracy);
    number(report, prefix, "accuracy_where_teacher_wrong", r->mean.where_wrong);
    number(report, prefix, "latency_seconds_p99", r->single.p99);
    for (int s = 0; s < runs; s++) accuracies[s] = r->runs[s].accuracy;
    snprintf(path, sizeof path, "%s.accuracy_by_seed", prefix);
    CHECK(kd_report_set_numbers(report, path, accuracies, runs));
    const curve *c = &r->curves[0];
    const struct {
        const char *name;
        const double *values;
    } lines[] = { { "step", c->step },
                  { "validation_accuracy", c->accuracy },
                  { "learning_rate", c->rate },
                  { "temperature", c->temperature },
                  { "loss", c->loss } };
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s.curve.%s", prefix, lines[i].name);
        CHECK(kd_report_set_numbers(report, path, lines[i].values, c->count));
    }
}

static kd_report *make_report(const demo *d)
{
    kd_report *report;
    kd_context_info info = { .struct_size = sizeof info };
    CHECK(kd_context_get_info(d->ctx, &info));
    CHECK(kd_report_create(&report, d->ctx));
    CHECK(kd_report_set_text(report, "library", kd_build_info()));
    CHECK(kd_report_set_text(report, "blas", info.blas));
    CHECK(kd_report_set_text(report, "blas_kernels", info.blas_kernels));
    CHECK(kd_report_set_number(report, "threads", info.threads));
    CHECK(kd_report_set_number(report, "seeds", d->seeds));
    CHECK(kd_report_set_number(report, "test_images", TEST));
    CHECK(kd_report_set_number(report, "true_labels", LABELLED));
    CHECK(kd_report_set_number(report, "seconds", seconds() - d->began));
    CHECK(kd_report_set_number(report, "pseudo_labels.came", (double)d->pseudo.came));
    CHECK(kd_report_set_number(report, "pseudo_labels.below_threshold", (double)d->pseudo.below_threshold));
    CHECK(kd_report_set_number(report, "pseudo_labels.over_balance", (double)d->pseudo.over_balance));
    CHECK(kd_report_set_number(report, "pseudo_labels.kept", (double)d->pseudo.kept));
    for (int i = 0; i < d->row_count; i++) report_row(report, &d->rows[i], &d->rows[0], i ? d->seeds : 1);
    return report;
}

/* ---- picture.svg: accuracies with their errors, and the curves of the first seed ---- */

static void bars(const demo *d, FILE *out)
{
    double low = 1, high = 0;
    for (int i = 0; i < d->row_count; i++) {
        low = fmin(low, d->rows[i].mean.accuracy - 2 * d->rows[i].error.accuracy);
        high = fmax(high, d->rows[i].mean.accuracy + 2 * d->rows[i].error.accuracy);
    }
    low = floor(low * 50) / 50;
    high = ceil(high * 50) / 50;
    fprintf(out, "<text x='60' y='24' class='t'>Test accuracy, mean and two standard errors</text>\n");
    for (double tick = low; tick < high + 1e-9; tick += 0.02) {
        double y = 260 - 220 * (tick - low) / (high - low);
        fprintf(out, "<line x1='60' x2='430' y1='%.1f' y2='%.1f' class='g'/><text x='54' y='%.1f' class='r'>%.0f %%</text>\n", y, y, y + 4,
                100 * tick);
    }
    for (int i = 0; i < d->row_count; i++) {
        const row *r = &d->rows[i];
        double x = 75 + 60 * i, y = 260 - 220 * (r->mean.accuracy - low) / (high - low), e = 440 * r->error.accuracy / (high - low);
        fprintf(out, "<rect x='%.1f' y='%.1f' width='36' height='%.1f' fill='%s'/>", x, y, 260 - y, colours[i]);
        fprintf(out, "<path d='M%.1f %.1f v%.1f m-6 0 h12 m-12 %.1f h12' class='e'/>", x + 18, y - e, 2 * e, -2 * e);
        fprintf(out, "<text x='%.1f' y='278' class='m'>%s</text>\n", x + 18, r->a.name);
    }
}

static void line(FILE *out, const curve *c, const double *values, double x, double y, double width, double height, double low, double high,
                 const char *colour)
{
    double last = c->count ? c->step[c->count - 1] : 1;
    fprintf(out, "<polyline fill='none' stroke='%s' stroke-width='1.6' points='", colour);
    for (int i = 0; i < c->count; i++)
        if (isfinite(values[i])) fprintf(out, "%.1f,%.1f ", x + width * c->step[i] / last, y + height - height * (values[i] - low) / (high - low));
    fprintf(out, "'/>\n");
}

static void curves(const demo *d, FILE *out)
{
    double low = 1, high = 0, rate = 0, temperature = 1;
    for (int i = 0; i < d->row_count; i++)
        for (int k = 0; k < d->rows[i].curves[0].count; k++) {
            const curve *c = &d->rows[i].curves[0];
            low = fmin(low, c->accuracy[k]);
            high = fmax(high, c->accuracy[k]);
            rate = fmax(rate, c->rate[k]);
            if (isfinite(c->temperature[k])) temperature = fmax(temperature, c->temperature[k]);
        }
    fprintf(out,
            "<text x='490' y='24' class='t'>Validation accuracy, %.2f to %.2f, over the run</text><rect x='490' y='40' width='380' height='130' "
            "class='b'/>\n",
            low, high);
    fprintf(out,
            "<text x='490' y='196' class='t'>Learning rate, 0 to %.4f; pale: T, 0 to %.1f</text><rect x='490' y='204' width='380' height='70' "
            "class='b'/>\n",
            rate, temperature);
    for (int i = 0; i < d->row_count; i++) {
        const curve *c = &d->rows[i].curves[0];
        line(out, c, c->accuracy, 490, 40, 380, 130, low, high, colours[i]);
        line(out, c, c->rate, 490, 204, 380, 70, 0, rate, colours[i]);
        line(out, c, c->temperature, 490, 204, 380, 70, 0, temperature, "#7fb3d5");
    }
}

static void draw(const demo *d, FILE *out)
{
    fprintf(out, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 900 300' width='900' height='300' font-family='sans-serif' font-size='11'>\n"
                 "<style>.t{font-size:13px;font-weight:bold}.g{stroke:#ddd}.r{text-anchor:end}.m{text-anchor:middle}.e{stroke:#000;fill:none}.b{fill:"
                 "none;stroke:#bbb}</style>\n"
                 "<rect width='900' height='300' fill='#fff'/>\n");
    bars(d, out);
    curves(d, out);
    fprintf(out, "</svg>\n");
}

/* ---- report.html ---- */

static void cell(FILE *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("<td>", out);
    vfprintf(out, format, arguments);
    fputs("</td>", out);
    va_end(arguments);
}

static void html_row(FILE *out, const row *r, const row *t)
{
    fprintf(out, "<tr><th>%s<br><small>%s</small></th>", r->a.name, r->a.what);
    cell(out, "%.2f &plusmn; %.2f %%<br><small>%.3f</small>", 100 * r->mean.accuracy, 100 * r->error.accuracy, r->mean.accuracy / t->mean.accuracy);
    cell(out, "%.4f<br><small>%.3f</small>", r->mean.agreement, r->mean.agreement / t->mean.agreement);
    cell(out, "%.4f<br><small>%.2f</small>", r->mean.ece, r->mean.ece / t->mean.ece);
    cell(out, "%.4f<br><small>%.2f</small>", r->mean.nll, r->mean.nll / t->mean.nll);
    cell(out, "%lld<br><small>%.4f</small>", (long long)r->parameters, (double)r->parameters / (double)t->parameters);
    cell(out, "%lld<br><small>%.4f</small>", (long long)r->bytes, (double)r->bytes / (double)t->bytes);
    cell(out, "%.1f &micro;s<br><small>%.3f</small>", 1e6 * r->single.p50, r->single.p50 / t->single.p50);
    cell(out, "%.0f<br><small>%.1f</small>", r->many.samples_per_second, r->many.samples_per_second / t->many.samples_per_second);
    fputs("</tr>\n", out);
}

static void write_page(const demo *d, FILE *out)
{
    fputs("<!doctype html><html lang='en'><meta charset='utf-8'><title>Teacher against students</title><style>body{font:15px "
          "sans-serif;max-width:960px;margin:2em auto;"
          "padding:0 1em;color:#222}table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.4em .5em;text-align:right}"
          "th:first-child{text-align:left}small{color:#666;font-weight:normal}svg{max-width:100%;height:auto}</style><h1>Teacher against "
          "students</h1>\n",
          out);
    fprintf(out,
            "<p>%d test images; %d seeds a student, errors over seeds (the teacher's over the test set); %d images with true labels, "
            "all others labelled by the teacher alone. Under each figure its ratio to the teacher's.</p>\n",
            TEST, d->seeds, LABELLED);
    draw(d, out);
    fputs("<table><tr><th></th><th>accuracy</th><th>agreement</th><th>ECE</th><th>NLL</th><th>parameters</th><th>bytes</th><th>latency, batch 1</th>"
          "<th>samples a second, batch 256</th></tr>\n",
          out);
    for (int i = 0; i < d->row_count; i++) html_row(out, &d->rows[i], &d->rows[0]);
    fprintf(out,
            "</table><p>Pseudo-labels: %lld images came, %lld were below the confidence threshold, %lld over the class balance, %lld kept.</p>\n",
            (long long)d->pseudo.came, (long long)d->pseudo.below_threshold, (long long)d->pseudo.over_balance, (long long)d->pseudo.kept);
    fprintf(out, "<p><small>%s. The whole run took %.0f s.</small></p></html>\n", kd_build_info(), seconds() - d->began);
}

static void write_file(const demo *d, const char *folder, const char *name, void (*writer)(const demo *, FILE *))
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    if (!out) {
        perror(path);
        exit(1);
    }
    writer(d, out);
    if (fclose(out) != 0) {
        perror(path);
        exit(1);
    }
    printf("wrote %s\n", path);
}

void write_report(const demo *d, const char *folder)
{
    char path[1024];
    kd_report *report = make_report(d);
    snprintf(path, sizeof path, "%s/report.json", folder);
    CHECK(kd_report_write(report, path));
    printf("wrote %s\n", path);
    kd_report_free(report);
    write_file(d, folder, "picture.svg", draw);
    write_file(d, folder, "report.html", write_page);
}
