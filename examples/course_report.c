/* What the course found, as tables and pictures. */
#include "course.h"

static int find_arm(const course *c, const char *name)
{
    for (int i = 0; i < c->arms; i++)
        if (!strcmp(c->arm[i].name, name)) return i;
    return -1;
}

/* ---- the report ---- */

/* Mean over seeds, and an error that holds the questions' draw, the samples' and the seeds'. */
static void mean_of(const course *c, const int32_t *rights, double *mean, double *error)
{
    const int64_t q = c->questions;
    double over_seeds[MOST_SEEDS] = { 0 }, of_questions = 0, of_seeds = 0;
    *mean = 0;
    for (int s = 0; s < c->seeds; s++) {
        for (int64_t i = 0; i < q * SAMPLES; i++) over_seeds[s] += rights[s * q * SAMPLES + i];
        over_seeds[s] /= (double)(q * SAMPLES);
        *mean += over_seeds[s] / c->seeds;
    }
    for (int64_t i = 0; i < q; i++) {
        double p = 0;
        for (int s = 0; s < c->seeds; s++)
            for (int k = 0; k < SAMPLES; k++) p += rights[(s * q + i) * SAMPLES + k];
        p /= c->seeds * SAMPLES;
        of_questions += (p - *mean) * (p - *mean) / (double)(q - 1);
    }
    for (int s = 0; s < c->seeds && c->seeds > 1; s++) of_seeds += (over_seeds[s] - *mean) * (over_seeds[s] - *mean) / (c->seeds - 1);
    *error = sqrt(of_questions / (double)q + of_seeds / c->seeds);
}

/* Accuracy on questions, each weighed by how often the teacher was wrong on it. */
static double where_teacher_wrong(const course *c, const int32_t *rights)
{
    double right = 0, weight = 0;
    for (int64_t i = 0; i < c->seeds * c->questions; i++) {
        double student = 0, teacher = 0;
        for (int k = 0; k < SAMPLES; k++) {
            student += rights[i * SAMPLES + k];
            teacher += c->rights[0][i * SAMPLES + k];
        }
        right += student / SAMPLES * (SAMPLES - teacher);
        weight += SAMPLES - teacher;
    }
    return weight > 0 ? right / weight : NAN;
}

static void report_scores(course *c)
{
    const int base = find_arm(c, "worked");
    double mean[MOST_ARMS], error;
    for (int i = 0; i < c->arms; i++) mean_of(c, c->rights[i], &mean[i], &error);
    for (int i = 0; i < c->arms; i++) {
        const char *table = "accuracy", *row = c->arm[i].label;
        double hard, hard_error, cons = 0, bytes = 0, cut = 0, loss = 0, agreement = 0;
        mean_of(c, c->rights[i], &mean[i], &error);
        mean_of(c, c->harder[i], &hard, &hard_error);
        for (int s = 0; s < c->seeds; s++) {
            cons += c->result[i][s].consensus / c->seeds;
            bytes += c->result[i][s].mean_bytes / c->seeds;
            cut += c->result[i][s].unfinished / c->seeds;
            loss += c->fit[i][s].loss / c->seeds;
            agreement += c->fit[i][s].agreement / c->seeds;
        }
        CHECK(kd_report_set_cell(c->report, table, row, "pass@1", mean[i], error));
        CHECK(kd_report_set_cell(c->report, table, row, "cons@4", cons, NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "recovery", kd_recovery(mean[i], mean[base], mean[0]), NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "teacher wrong", i ? where_teacher_wrong(c, c->rights[i]) : NAN, NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "harder", hard, hard_error));
        CHECK(kd_report_set_cell(c->report, table, row, "perplexity", exp(loss), NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "agreement", agreement, NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "bytes", bytes, NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "cut off", cut, NAN));
    }
}

static void report_difference(course *c, const char *a, const char *b)
{
    kd_difference d = { .struct_size = sizeof d };
    const int x = find_arm(c, a), y = find_arm(c, b);
    char row[64];
    if (x < 0 || y < 0) return;
    snprintf(row, sizeof row, "%s - %s", b, a);
    CHECK(kd_paired_bootstrap(c->ctx, c->rights[x], c->rights[y], c->seeds, c->questions, SAMPLES, 10000, 1, &d));
    CHECK(kd_report_set_cell(c->report, "differences of pass@1", row, "difference", d.difference, d.standard_error));
    CHECK(kd_report_set_cell(c->report, "differences of pass@1", row, "low 95 %", d.low, NAN));
    CHECK(kd_report_set_cell(c->report, "differences of pass@1", row, "high 95 %", d.high, NAN));
    CHECK(kd_report_set_cell(c->report, "differences of pass@1", row, "p", d.p_value, NAN));
}

static void report_differences(course *c)
{
    static const char *const pairs[][2] = { { "answers-only", "worked" },    { "worked", "unverified" },   { "as-many", "verified" },
                                            { "unverified", "verified" },    { "verified", "stored" },     { "teacher", "verified" },
                                            { "teacher", "stored" },         { "teacher", "same-size" },   { "verified", "on-policy" },
                                            { "verified", "layers" },        { "verified", "one-sample" }, { "verified", "short-long" },
                                            { "one-sample", "two-samples" }, { "same-size", "second" },    { "teacher", "second" },
                                            { "teacher", "layers" },         { "teacher", "more-inputs" }, { "teacher", "ensemble" },
                                            { "more-inputs", "ensemble" } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) report_difference(c, pairs[i][0], pairs[i][1]);
}

/* One arm of each size is measured, the first seed's. */
static int is_of_its_size(const char *name)
{
    static const char *const names[] = { "teacher", "verified", "tiny", "middle", "layers" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) return 1;
    return 0;
}

/* A figure into its table, and its ratio to the teacher's (the first row's) into the table of ratios. */
static void put_figure(course *c, const char *row, const char *column, double value, double *teachers)
{
    if (isnan(*teachers)) *teachers = value;
    CHECK(kd_report_set_cell(c->report, "size and speed", row, column, value, NAN));
    CHECK(kd_report_set_cell(c->report, "size and speed, times the teacher's", row, column, value / *teachers, NAN));
}

static void report_sizes(course *c)
{
    double first[17];
    for (int i = 0; i < 17; i++) first[i] = NAN;
    for (int i = 0; i < c->arms; i++) {
        const char *row = c->arm[i].label;
        kd_model_facts f = { .struct_size = sizeof f };
        kd_speed_options so = KD_SPEED_OPTIONS_INIT;
        double mean, error;
        if (!is_of_its_size(c->arm[i].name)) continue;
        kd_context *alone; /* so that the peak is this model's */
        kd_model *model;
        kd_model_options mo = KD_MODEL_OPTIONS_INIT;
        mo.frozen = 1;
        CHECK(kd_context_create(&alone, NULL));
        CHECK(kd_context_set_blas_threads(alone, 1));
        CHECK(kd_model_load(&model, alone, course_path(c->folder, "%s-1", c->arm[i].name), &mo));
        CHECK(kd_model_get_facts(model, &f));
        put_figure(c, row, "parameters", (double)f.parameters, &first[0]);
        put_figure(c, row, "active", (double)f.active, &first[1]);
        put_figure(c, row, "float32 kB", (double)f.float32_bytes / 1e3, &first[2]);
        put_figure(c, row, "float16 kB", (double)f.float16_bytes / 1e3, &first[3]);
        put_figure(c, row, "int8 kB", (double)f.int8_bytes / 1e3, &first[4]);
        put_figure(c, row, "in memory kB", (double)f.memory_bytes / 1e3, &first[5]);
        for (int k = 0; k < 2; k++) {
            kd_speed speed = { .struct_size = sizeof speed };
            so.sequences = k ? 32 : 1;
            so.prompt_tokens = 16;
            CHECK(kd_generation_speed(model, &so, &speed));
            put_figure(c, row, k ? "tokens/s at 32" : "tokens/s at 1", speed.tokens_per_second, &first[6 + k]);
            put_figure(c, row, k ? "prompt tokens/s at 32" : "prompt tokens/s at 1", speed.prompt_tokens_per_second, &first[8 + k]);
            put_figure(c, row, k ? "cache kB at 32" : "cache kB at 1", (double)speed.cache_bytes / 1e3, &first[10 + k]);
            put_figure(c, row, k ? "peak kB at 32" : "peak kB at 1", (double)speed.peak_bytes / 1e3, &first[15 + k]);
            if (k) continue;
            put_figure(c, row, "first token ms", 1e3 * speed.first_token, &first[12]);
            put_figure(c, row, "p50 ms", 1e3 * speed.token_p50, &first[13]);
            put_figure(c, row, "p99 ms", 1e3 * speed.token_p99, &first[14]);
        }
        kd_model_free(model);
        kd_context_free(alone);
        mean_of(c, c->rights[i], &mean, &error);
        const double size = (double)f.parameters;
        CHECK(kd_report_add_series(c->report, "accuracy against size", row, KD_PICTURE_POINTS, &size, &mean, 1));
    }
    CHECK(kd_report_set_axes(c->report, "accuracy against size", "parameters", "pass@1", 1));
}

static void report_curves(course *c)
{
    for (int i = 0; i < c->arms; i++) {
        const course_curve *u = &c->curve[i];
        if (!u->count) continue;
        CHECK(kd_report_add_series(c->report, "training loss", c->arm[i].name, KD_PICTURE_LINES, u->step, u->loss, u->count));
        if (!c->arm[i].soft) continue;
        CHECK(kd_report_add_series(c->report, "temperature", c->arm[i].name, KD_PICTURE_LINES, u->step, u->temperature, u->count));
        CHECK(kd_report_add_series(c->report, "learning rate", c->arm[i].name, KD_PICTURE_LINES, u->step, u->rate, u->count));
    }
    CHECK(kd_report_set_axes(c->report, "training loss", "step", "loss", 0));
}

static void report_facts(course *c)
{
    kd_context_info info = { .struct_size = sizeof info };
    char line[200];
    CHECK(kd_context_get_info(c->ctx, &info));
    snprintf(line, sizeof line, "%lld problems, %d answers each, temperature 0.6, top-p 0.95, %d seeds", (long long)c->questions, SAMPLES, c->seeds);
    CHECK(kd_report_set_text(c->report, "test", line));
    snprintf(line, sizeof line, "%d worked solutions and %d problems of each task, %lld steps of up to 3072 tokens for each model", c->size.worked,
             c->size.problems, (long long)c->steps);
    CHECK(kd_report_set_text(c->report, "training", line));
    snprintf(line, sizeof line, "%d threads, kernels %s, %s", info.threads,
             info.isa == KD_ISA_AVX512 ? "AVX-512"
             : info.isa == KD_ISA_AVX2 ? "AVX2"
                                       : "portable",
             info.blas);
    CHECK(kd_report_set_text(c->report, "machine", line));
    CHECK(kd_report_set_text(c->report, "library", kd_build_info()));
    CHECK(kd_report_set_text(c->report, "errors",
                             "of pass@1: questions, samples and seeds; of differences: 10,000 paired bootstrap resamples of questions and seeds"));
}

void course_report(course *c)
{
    const char *text;
    report_facts(c);
    report_scores(c);
    report_differences(c);
    report_sizes(c);
    report_curves(c);
    CHECK(kd_report_write(c->report, course_path(c->folder, "report.json")));
    CHECK(kd_report_write_html(c->report, course_path(c->folder, "report.html"), "The course in miniature"));
    CHECK(kd_report_text(c->report, &text));
    FILE *file = fopen(course_path(c->folder, "report.txt"), "wb");
    if (file) fputs(text, file), fclose(file);
    printf("%s\nwritten: %s\n", text, course_path(c->folder, "report.html"));
}
