/* What the course found, as tables and pictures. */
#include "course.h"

static int find_arm(const course *c, const char *name)
{
    for (int i = 0; i < c->arms; i++)
        if (!strcmp(c->arm[i].name, name)) return i;
    return -1;
}

/* ---- means and differences, over seeds and questions ---- */

/* b less a, or b alone where a is NULL. With one seed the error is of the questions alone. */
static kd_difference compare(const course *c, const int32_t *a, const int32_t *b)
{
    kd_difference d = { .struct_size = sizeof d };
    CHECK(kd_compare_runs(c->ctx, a, b, c->seeds, c->questions, SAMPLES, &d));
    return d;
}

static double mean_of(const course *c, int arm) { return compare(c, NULL, c->rights[arm]).b; }

/* A row of a picture: the 95 % interval round a value. */
static void draw_interval(const course *c, const char *picture, const char *row,
                          const kd_difference *d)
{
    const double ends[] = { d->low, d->difference, d->high };
    CHECK(kd_report_add_series(c->report, picture, row, KD_PICTURE_INTERVALS, ends, NULL, 3));
}

static const char *interval_of(const course *c)
{
    return c->seeds > 1 ? "95 % intervals over seeds and questions"
                        : "95 % intervals over questions only, one run";
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

static double over_seeds(const course *c, const double of_seed[MOST_SEEDS])
{
    double mean = 0;
    for (int s = 0; s < c->seeds; s++) mean += of_seed[s] / c->seeds;
    return mean;
}

static void put_score(course *c, int arm, const char *column, double value, double error)
{
    CHECK(kd_report_set_cell(c->report, "accuracy", c->arm[arm].label, column, value, error));
}

static void report_answers(course *c, int arm)
{
    double consensus[MOST_SEEDS], bytes[MOST_SEEDS], cut[MOST_SEEDS], loss[MOST_SEEDS],
        agreement[MOST_SEEDS];
    for (int s = 0; s < c->seeds; s++) {
        const kd_answers_result *r = &c->result[arm][s];
        consensus[s] = r->consensus;
        bytes[s] = r->mean_bytes;
        cut[s] = r->unfinished;
        loss[s] = c->fit[arm][s].loss;
        agreement[s] = c->fit[arm][s].agreement;
    }
    put_score(c, arm, "cons@4", over_seeds(c, consensus), NAN);
    put_score(c, arm, "perplexity", exp(over_seeds(c, loss)), NAN);
    put_score(c, arm, "agreement", over_seeds(c, agreement), NAN);
    put_score(c, arm, "bytes per answer", over_seeds(c, bytes), NAN);
    put_score(c, arm, "cut off", over_seeds(c, cut), NAN);
}

static void report_seeds(course *c, int arm)
{
    for (int s = 0; s < c->seeds && c->seeds > 1; s++) {
        char seed[32];
        snprintf(seed, sizeof seed, "seed %d", s + 1);
        CHECK(kd_report_set_cell(c->report, "pass@1 of each seed", c->arm[arm].label, seed,
                                 c->result[arm][s].pass.pass_1, NAN));
    }
}

static void report_scores(course *c)
{
    const double teacher = mean_of(c, 0), base = mean_of(c, find_arm(c, "worked"));
    for (int i = 0; i < c->arms; i++) {
        const kd_difference easy = compare(c, NULL, c->rights[i]),
                            hard = compare(c, NULL, c->harder[i]);
        draw_interval(c, "pass@1", c->arm[i].label, &easy);
        put_score(c, i, "pass@1", easy.b, easy.standard_error);
        put_score(c, i, "recovery",
                  base < teacher ? kd_compare_recovery(easy.b, base, teacher) : NAN, NAN);
        put_score(c, i, "teacher wrong", i ? where_teacher_wrong(c, c->rights[i]) : NAN, NAN);
        put_score(c, i, "harder", hard.b, hard.standard_error);
        report_answers(c, i);
        report_seeds(c, i);
    }
    CHECK(kd_report_set_axes(c->report, "pass@1", interval_of(c), "", 0));
}

static void report_difference(course *c, const char *a, const char *b)
{
    static const char table[] = "differences of pass@1";
    const int x = find_arm(c, a), y = find_arm(c, b);
    char row[64];
    if (x < 0 || y < 0) return;
    snprintf(row, sizeof row, "%s - %s", b, a);
    const kd_difference d = compare(c, c->rights[x], c->rights[y]);
    draw_interval(c, table, row, &d);
    CHECK(kd_report_set_cell(c->report, table, row, "difference", d.difference, d.standard_error));
    CHECK(kd_report_set_cell(c->report, table, row, "low 95 %", d.low, NAN));
    CHECK(kd_report_set_cell(c->report, table, row, "high 95 %", d.high, NAN));
    if (c->seeds > 1) CHECK(kd_report_set_cell(c->report, table, row, "p", d.p_value, NAN));
}

static void report_differences(course *c)
{
    static const char *const pairs[][2] = {
        { "answers-only", "worked" }, { "worked", "as-many" },      { "worked", "verified" },
        { "worked", "unverified" },   { "as-many", "verified" },    { "unverified", "verified" },
        { "verified", "stored" },     { "teacher", "verified" },    { "teacher", "stored" },
        { "teacher", "same-size" },   { "verified", "on-policy" },  { "verified", "layers" },
        { "verified", "one-sample" }, { "verified", "short-long" }, { "one-sample", "two-samples" },
        { "same-size", "second" },    { "teacher", "second" },      { "teacher", "layers" },
        { "teacher", "more-inputs" }, { "teacher", "ensemble" },    { "more-inputs", "ensemble" }
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        report_difference(c, pairs[i][0], pairs[i][1]);
    CHECK(kd_report_set_axes(c->report, "differences of pass@1", interval_of(c), "", 0));
}

/* One arm of each size is measured, the first seed's. */
static int is_of_its_size(const char *name)
{
    static const char *const names[] = { "teacher", "verified", "tiny", "middle", "layers" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) return 1;
    return 0;
}

/* Figures of one model: a column of the table, and beside it the ratios to the teacher's (the first
 * model's). */
typedef struct {
    course *c;
    const char *model;
    int count;
    double size;
    double first[20]; /* the teacher's */
} column;

static void put_figure(column *to, const char *name, const char *unit, double value)
{
    double *teachers = &to->first[to->count++];
    char row[80];
    snprintf(row, sizeof row, "%s%s%s", name, *unit ? ", " : "", unit);
    if (isnan(*teachers)) *teachers = value;
    CHECK(kd_report_set_cell(to->c->report, "size and speed", row, to->model, value, NAN));
    CHECK(kd_report_set_cell(to->c->report, "size and speed, times the teacher's", name, to->model,
                             value / *teachers, NAN));
}

static void put_size(column *to, kd_model *model)
{
    kd_model_info f = { .struct_size = sizeof f };
    CHECK(kd_model_get_info(model, &f));
    to->size = (double)f.parameters;
    put_figure(to, "parameters", "", to->size);
    put_figure(to, "active parameters per token", "", (double)f.active_parameters);
    put_figure(to, "float32", "kB", (double)f.float32_bytes / 1e3);
    put_figure(to, "float16", "kB", (double)f.float16_bytes / 1e3);
    put_figure(to, "int8", "kB", (double)f.int8_bytes / 1e3);
    put_figure(to, "in memory", "kB", (double)f.memory_bytes / 1e3);
}

static void put_speed(column *to, kd_model *model, int sequences)
{
    kd_speed_options o = KD_SPEED_OPTIONS_INIT;
    kd_speed s = { .struct_size = sizeof s };
    char name[64];
    o.sequences = sequences;
    o.prompt_tokens = 16;
    CHECK(kd_model_measure_speed(model, &o, &s));
    const struct {
        const char *name, *unit;
        double value;
    } figures[] = { { "rate", "tokens/s", s.tokens_per_second },
                    { "prompt", "tokens/s", s.prompt_tokens_per_second },
                    { "first token", "ms", 1e3 * s.time_to_first_token },
                    { "median token", "ms", 1e3 * s.token_p50 },
                    { "p99 token", "ms", 1e3 * s.token_p99 },
                    { "cache", "kB", (double)s.cache_bytes / 1e3 },
                    { "peak memory", "kB", (double)s.peak_bytes / 1e3 } };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        snprintf(name, sizeof name, "%d at once: %s", sequences, figures[i].name);
        put_figure(to, name, figures[i].unit, figures[i].value);
    }
}

/* In a context of its own, so that the peak is this model's. */
static void measure_model(column *to, const char *folder)
{
    kd_context *alone;
    kd_model *model;
    kd_model_options mo = KD_MODEL_OPTIONS_INIT;
    mo.frozen = 1;
    CHECK(kd_context_create(&alone, NULL));
    CHECK(kd_context_set_blas_threads(alone, 1));
    CHECK(kd_model_load(&model, alone, folder, &mo));
    put_size(to, model);
    put_speed(to, model, 1);
    put_speed(to, model, 32);
    kd_model_free(model);
    kd_context_free(alone);
}

static void report_sizes(course *c)
{
    column to = { .c = c };
    for (int i = 0; i < 20; i++) to.first[i] = NAN;
    for (int i = 0; i < c->arms; i++) {
        if (!is_of_its_size(c->arm[i].name)) continue;
        to.model = c->arm[i].label;
        to.count = 0;
        measure_model(&to, course_path(c->folder, "%s-1", c->arm[i].name));
        const double mean = mean_of(c, i);
        CHECK(kd_report_add_series(c->report, "accuracy against size", to.model, KD_PICTURE_POINTS,
                                   &to.size, &mean, 1));
    }
    CHECK(kd_report_set_axes(c->report, "accuracy against size", "parameters", "pass@1", 1));
}

static void report_curves(course *c)
{
    for (int i = 0; i < c->arms; i++) {
        const course_curve *u = &c->curve[i];
        if (!u->count) continue;
        CHECK(kd_report_add_series(c->report, "training loss", c->arm[i].name, KD_PICTURE_LINES,
                                   u->step, u->loss, u->count));
        if (!c->arm[i].soft) continue;
        CHECK(kd_report_add_series(c->report, "temperature", c->arm[i].name, KD_PICTURE_LINES,
                                   u->step, u->temperature, u->count));
        CHECK(kd_report_add_series(c->report, "learning rate", c->arm[i].name, KD_PICTURE_LINES,
                                   u->step, u->rate, u->count));
    }
    CHECK(kd_report_set_axes(c->report, "training loss", "step",
                             "nats per token of the answers, the first seed", 0));
    CHECK(kd_report_set_axes(c->report, "temperature", "step", "the first seed", 0));
    CHECK(kd_report_set_axes(c->report, "learning rate", "step", "the first seed", 0));
}

static void report_facts(course *c)
{
    kd_context_info info = { .struct_size = sizeof info };
    char line[200];
    CHECK(kd_context_get_info(c->ctx, &info));
    snprintf(line, sizeof line,
             "%lld problems, %d answers each, temperature 0.6, top-p 0.95, %d seed%s",
             (long long)c->questions, SAMPLES, c->seeds, c->seeds > 1 ? "s" : "");
    CHECK(kd_report_set_text(c->report, "test", line));
    snprintf(line, sizeof line,
             "%d worked solutions and %d problems of each task, %lld steps of up to %lld tokens "
             "for each model%s",
             c->size.worked, c->size.problems, (long long)c->steps, (long long)c->batch_tokens,
             c->full ? "" : ", 7 of 10 of them for the teacher");
    CHECK(kd_report_set_text(c->report, "training", line));
    snprintf(line, sizeof line, "%d threads, kernels %s, %s", info.threads,
             info.isa == KD_ISA_AVX512 ? "AVX-512"
             : info.isa == KD_ISA_AVX2 ? "AVX2"
                                       : "portable",
             info.blas);
    CHECK(kd_report_set_text(c->report, "machine", line));
    CHECK(kd_report_set_text(c->report, "library", kd_build_info()));
    CHECK(kd_report_set_text(
        c->report, "errors",
        c->seeds > 1
            ? "after \xc2\xb1 one standard error, over seeds and questions, both drawn; 95 % "
              "intervals and p by Student's t"
            : "after \xc2\xb1 one standard error, over questions only, one training run: a second "
              "run may turn the sign of a difference"));
}

/* What the names of columns and of curves stand for. */
static void report_names(course *c)
{
    CHECK(kd_report_set_text(
        c->report, "accuracy",
        "shares from 0 to 1. pass@1: right answers; cons@4: right majorities of 4 answers; "
        "harder: pass@1 on harder problems; teacher wrong: pass@1 where the teacher is wrong; "
        "recovery: of the way from the student of worked solutions to the teacher; agreement: "
        "tokens chosen as the teacher does; cut off: answers without an end"));
    for (int i = 0; i < c->arms; i++)
        CHECK(kd_report_set_text(c->report, c->arm[i].name, c->arm[i].label));
}

void course_report(course *c)
{
    const char *text;
    report_facts(c);
    report_names(c);
    report_scores(c);
    report_differences(c);
    report_sizes(c);
    report_curves(c);
    CHECK(kd_report_write(c->report, course_path(c->folder, "report.json")));
    CHECK(kd_report_write_html(c->report, course_path(c->folder, "report.html"),
                               "The course in miniature"));
    CHECK(kd_report_text(c->report, &text));
    FILE *file = fopen(course_path(c->folder, "report.txt"), "wb");
    if (file) fputs(text, file), fclose(file);
    printf("%s\nwritten: %s\n", text, course_path(c->folder, "report.html"));
}
