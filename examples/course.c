/* The course in miniature, end to end: a teacher is trained on few worked solutions and is right three times out of four; it answers more problems,
 * several times each; a verifier and filters keep what is right; small students learn from it; a report compares them all.
 *
 *   course FOLDER [SEEDS [STEPS [small|full]]]
 *
 * Everything lies in FOLDER as real files: tokenizer.json, JSON lines, Hugging Face folders, a store, report.json, report.txt, report.html. A run that was
 * killed goes on where it was. `small` has few problems, to see that everything runs; `full` adds tasks, sizes and arms
 * (make reproduce-course). */
#include "course.h"
#include <sys/stat.h>

enum { SAMPLES = 4, MOST_ARMS = 24, MOST_FILES = 4 };

typedef struct {
    const char *name, *label;
    course_shape shape;
    const char *files[MOST_FILES]; /* %d: the seed */
    int soft, on_policy, from_teacher;
    double steps; /* times the run's */
} arm;

typedef struct {
    const char *folder;
    int seeds, full, arms;
    int64_t steps;
    course_size size;
    kd_context *ctx;
    kd_tokenizer *tokenizer;
    arm arm[MOST_ARMS];
    int32_t *rights[MOST_ARMS], *harder[MOST_ARMS]; /* (seeds, questions, SAMPLES) */
    int64_t questions;
    kd_answers_result result[MOST_ARMS][MOST_SEEDS], hard[MOST_ARMS][MOST_SEEDS];
    kd_model *last[MOST_ARMS]; /* of the first seed, for its size and speed */
    course_curve curve[MOST_ARMS];
    kd_report *report;
} course;

static const course_shape large = { 4, 96, 256, 4 }, small = { 2, 64, 176, 4 }, tiny = { 2, 40, 112, 4 }, middle = { 3, 80, 208, 4 };

/* ---- the plan: who learns from what ---- */

static void plan(course *c)
{
    static const arm arms[] = {
        { "teacher", "teacher: worked solutions", large, { "worked.jsonl" }, 0, 0, 0, 1 },
        { "worked", "student: worked solutions", small, { "worked.jsonl" }, 0, 0, 0, 1 },
        { "answers-only", "student: answers only", small, { "plain.jsonl" }, 0, 0, 0, 1 },
        { "unverified", "student: + unverified traces", small, { "worked.jsonl", "unverified-%d.jsonl" }, 0, 0, 0, 1 },
        { "as-many", "student: + as many unverified", small, { "worked.jsonl", "as-many-%d.jsonl" }, 0, 0, 0, 1 },
        { "verified", "student: + verified traces", small, { "worked.jsonl", "verified-%d.jsonl" }, 0, 0, 0, 1 },
        { "stored", "student: + verified, distributions", small, { "worked.jsonl", "verified-%d.jsonl" }, 1, 0, 0, 1 },
        { "same-size", "teacher's size: + verified traces", large, { "worked.jsonl", "verified-%d.jsonl" }, 0, 0, 0, 1 },
    };
    static const arm more[] = {
        { "tiny", "smaller: + verified traces", tiny, { "worked.jsonl", "verified-%d.jsonl" }, 0, 0, 0, 1 },
        { "middle", "between: + verified traces", middle, { "worked.jsonl", "verified-%d.jsonl" }, 0, 0, 0, 1 },
        { "layers", "student of 2 of the teacher's layers", large, { "worked.jsonl", "verified-%d.jsonl" }, 0, 0, 2, 1 },
        { "on-policy", "student: + verified, on-policy", small, { "worked.jsonl", "verified-%d.jsonl" }, 0, 1, 0, 1 },
        { "one-sample", "student: + verified, 1 sample a prompt", small, { "worked.jsonl", "one-%d.jsonl" }, 0, 0, 0, 1 },
        { "short-long", "student: + verified, short : long 4 : 1", small, { "worked.jsonl", "mixed-%d.jsonl" }, 0, 0, 0, 1 },
        { "second", "teacher's size, second round", large, { "worked.jsonl", "verified-%d.jsonl", "second-%d.jsonl" }, 0, 0, 0, 1 },
    };
    c->arms = 0;
    for (size_t i = 0; i < sizeof arms / sizeof *arms; i++) c->arm[c->arms++] = arms[i];
    c->arm[0].steps = c->full ? 1.5 : 0.7;
    for (size_t i = 0; c->full && i < sizeof more / sizeof *more; i++) c->arm[c->arms++] = more[i];
}

static int find_arm(const course *c, const char *name)
{
    for (int i = 0; i < c->arms; i++)
        if (!strcmp(c->arm[i].name, name)) return i;
    return -1;
}

static kd_record_reader *read_file(course *c, const char *path)
{
    kd_record_reader *reader;
    CHECK(kd_record_reader_open(&reader, c->ctx, &path, 1, NULL));
    return reader;
}

static int64_t count_records(course *c, const char *path)
{
    kd_record_reader *reader = read_file(c, path);
    kd_record r = KD_RECORD_INIT;
    int64_t n = 0;
    while (kd_record_reader_next(reader, &r) == KD_OK) n++;
    kd_record_reader_free(reader);
    return n;
}

/* ---- curation ---- */

typedef struct {
    int verified; /* only right ones                               */
    int most;     /* records, drawn; 0: all                        */
    int best;     /* answers to a prompt; 0: all                   */
    int mixed;    /* short : long                                  */
} choice;

/* answers -> kept; the number of records that were kept. The funnel goes into the report under `title`, where there is one. */
static int64_t curate(course *c, const char *answers, const char *kept, const choice *how, const char *title)
{
    kd_curation *curation;
    kd_record_writer *writer;
    kd_filter_options o = KD_FILTER_OPTIONS_INIT, tests = KD_FILTER_OPTIONS_INIT, right = KD_FILTER_OPTIONS_INIT;
    kd_record_reader *reader = read_file(c, answers), *test = read_file(c, course_path(c->folder, "test.jsonl"));
    kd_funnel funnel = { .struct_size = sizeof funnel };
    char *table;
    int32_t steps;
    CHECK(kd_curation_create(&curation, c->ctx, NULL));
    CHECK(kd_curation_add(curation, KD_FILTER_LENGTH, NULL));
    CHECK(kd_curation_add(curation, KD_FILTER_MARKUP, NULL));
    CHECK(kd_curation_add(curation, KD_FILTER_REPETITION, NULL));
    CHECK(kd_curation_add(curation, KD_FILTER_DUPLICATES, NULL));
    tests.tests = test;
    CHECK(kd_curation_add(curation, KD_FILTER_CONTAMINATION, &tests));
    right.verify = &course_verify;
    if (how->verified) CHECK(kd_curation_add(curation, KD_FILTER_VERIFY, &right));
    o.high = how->best;
    if (how->best) CHECK(kd_curation_add(curation, KD_FILTER_BEST, &o));
    o.high = how->most;
    if (how->most) CHECK(kd_curation_add(curation, KD_FILTER_SAMPLE, &o));
    o.low = 40;
    if (how->mixed) CHECK(kd_curation_add(curation, KD_FILTER_LENGTH_MIX, &o));
    CHECK(kd_record_writer_open(&writer, c->ctx, kept, NULL));
    CHECK(kd_curation_run(curation, reader, writer, NULL));
    CHECK(kd_record_writer_close(writer));
    CHECK(kd_curation_steps(curation, &steps));
    CHECK(kd_curation_funnel(curation, steps - 1, &funnel));
    if (title) {
        CHECK(kd_curation_text(curation, &table));
        fprintf(stderr, "%s\n", table);
        kd_text_free(c->ctx, table);
        CHECK(kd_curation_report(curation, c->report, title));
    }
    kd_record_writer_free(writer);
    kd_record_reader_free(test);
    kd_record_reader_free(reader);
    kd_curation_free(curation);
    return funnel.kept;
}

static void curate_all(course *c, int seed)
{
    char answers[600];
    snprintf(answers, sizeof answers, "%s", course_path(c->folder, "answers-%d.jsonl", seed));
    const choice verified = { 1, 0, 0, 0 }, unverified = { 0, 0, 0, 0 }, one = { 1, 0, 1, 0 }, mixed = { 1, 0, 0, 1 };
    const int64_t kept =
        curate(c, answers, course_path(c->folder, "verified-%d.jsonl", seed), &verified, seed == 1 ? "curation of the teacher's answers" : NULL);
    const choice as_many = { 0, (int)kept, 0, 0 };
    curate(c, answers, course_path(c->folder, "unverified-%d.jsonl", seed), &unverified, NULL);
    curate(c, answers, course_path(c->folder, "as-many-%d.jsonl", seed), &as_many, NULL);
    if (!c->full) return;
    curate(c, answers, course_path(c->folder, "one-%d.jsonl", seed), &one, NULL);
    curate(c, answers, course_path(c->folder, "mixed-%d.jsonl", seed), &mixed, NULL);
}

/* ---- one arm of one seed ---- */

static kd_model *fresh_model(course *c, const arm *a, int seed, kd_model *teacher)
{
    kd_model *model;
    kd_student_options so = KD_STUDENT_OPTIONS_INIT;
    so.layers = a->from_teacher;
    if (!a->from_teacher) return course_model(c->ctx, c->tokenizer, a->shape, (uint64_t)seed * 100 + 7);
    CHECK(kd_model_student(&model, teacher, &so));
    return model;
}

static kd_model *train_arm(course *c, int i, int seed, kd_model *teacher)
{
    const arm *a = &c->arm[i];
    char names[MOST_FILES][600], prompts[600], store[600], folder[600];
    const char *files[MOST_FILES];
    int count = 0;
    for (; count < MOST_FILES && a->files[count]; count++) {
        char name[64];
        snprintf(name, sizeof name, a->files[count], seed);
        snprintf(names[count], sizeof names[count], "%s", course_path(c->folder, "%s", name));
        files[count] = names[count];
    }
    snprintf(prompts, sizeof prompts, "%s", course_path(c->folder, "problems.jsonl"));
    snprintf(folder, sizeof folder, "%s", course_path(c->folder, "%s-%d", a->name, seed));
    snprintf(store, sizeof store, "%s", course_path(c->folder, "teacher-%d.kdt", seed));
    course_training t = { .steps = (int64_t)((double)c->steps * a->steps), .batch_tokens = 3072, .seed = (uint64_t)seed };
    if (a->soft) {
        course_store(c->ctx, c->tokenizer, teacher, files, count, store);
        t.store = store;
    }
    if (a->on_policy) {
        t.live = teacher;
        t.prompts = prompts;
        t.own_share = 0.5;
    }
    fprintf(stderr, "seed %d: %s\n", seed, a->label);
    return course_student(c->ctx, c->tokenizer, fresh_model(c, a, seed, teacher), files, count, &t, folder, &c->curve[i]);
}

static void judge_arm(course *c, int i, int seed, kd_model *model)
{
    static const char *const sets[2] = { "test", "harder" };
    const int64_t room = c->questions * SAMPLES;
    for (int s = 0; s < 2; s++) {
        char path[600], prompts[600];
        int32_t *rights = (s ? c->harder : c->rights)[i] + (seed - 1) * room;
        snprintf(path, sizeof path, "%s", course_path(c->folder, "%s-%s-%d.jsonl", sets[s], c->arm[i].name, seed));
        snprintf(prompts, sizeof prompts, "%s", course_path(c->folder, "%s.jsonl", sets[s]));
        course_answers(c->ctx, c->tokenizer, model, prompts, SAMPLES, 1000 + (uint64_t)seed, c->arm[i].name, path);
        (s ? c->hard : c->result)[i][seed - 1] = course_judge(c->ctx, path, rights, room);
    }
    fprintf(stderr, "  pass@1 %.1f %%\n", 100 * c->result[i][seed - 1].pass.pass_1);
}

static void run_seed(course *c, int seed)
{
    char problems[600], second[600], kept[600];
    const choice verified = { 1, 0, 0, 0 };
    kd_model *teacher = NULL, *same_size = NULL;
    snprintf(problems, sizeof problems, "%s", course_path(c->folder, "problems.jsonl"));
    snprintf(second, sizeof second, "%s", course_path(c->folder, "second-answers-%d.jsonl", seed));
    snprintf(kept, sizeof kept, "%s", course_path(c->folder, "second-%d.jsonl", seed));
    for (int i = 0; i < c->arms; i++) {
        if (!strcmp(c->arm[i].name, "second")) { /* the student of the first round answers, too */
            course_answers(c->ctx, c->tokenizer, same_size, problems, SAMPLES, 50 + (uint64_t)seed, "same-size", second);
            curate(c, second, kept, &verified, seed == 1 ? "curation of the second round" : NULL);
        }
        kd_model *model = train_arm(c, i, seed, teacher);
        judge_arm(c, i, seed, model);
        if (i == 0) {
            teacher = model;
            course_answers(c->ctx, c->tokenizer, teacher, problems, SAMPLES, (uint64_t)seed, "teacher",
                           course_path(c->folder, "answers-%d.jsonl", seed));
            curate_all(c, seed);
        }
        if (!strcmp(c->arm[i].name, "same-size")) same_size = model;
        if (seed == 1) c->last[i] = model;
        else if (i && model != same_size) kd_model_free(model);
    }
    if (seed > 1) {
        kd_model_free(same_size);
        kd_model_free(teacher);
    }
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
        double hard, hard_error, cons = 0, bytes = 0, cut = 0;
        mean_of(c, c->rights[i], &mean[i], &error);
        mean_of(c, c->harder[i], &hard, &hard_error);
        for (int s = 0; s < c->seeds; s++) {
            cons += c->result[i][s].consensus / c->seeds;
            bytes += c->result[i][s].mean_bytes / c->seeds;
            cut += c->result[i][s].unfinished / c->seeds;
        }
        CHECK(kd_report_set_cell(c->report, table, row, "pass@1", mean[i], error));
        CHECK(kd_report_set_cell(c->report, table, row, "cons@4", cons, NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "recovery", kd_recovery(mean[i], mean[base], mean[0]), NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "teacher wrong", i ? where_teacher_wrong(c, c->rights[i]) : NAN, NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "harder", hard, hard_error));
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
    static const char *const pairs[][2] = { { "answers-only", "worked" }, { "worked", "unverified" },   { "as-many", "verified" },
                                            { "unverified", "verified" }, { "verified", "stored" },     { "teacher", "verified" },
                                            { "teacher", "stored" },      { "teacher", "same-size" },   { "verified", "on-policy" },
                                            { "verified", "layers" },     { "verified", "one-sample" }, { "verified", "short-long" },
                                            { "same-size", "second" },    { "teacher", "second" },      { "teacher", "layers" } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) report_difference(c, pairs[i][0], pairs[i][1]);
}

/* One arm of each size is measured. */
static int is_of_its_size(const char *name)
{
    static const char *const names[] = { "teacher", "verified", "tiny", "middle", "layers" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) return 1;
    return 0;
}

static void report_sizes(course *c)
{
    kd_speed first[2] = { { 0 } };
    kd_model_facts whole = { 0 };
    for (int i = 0; i < c->arms; i++) {
        const char *table = "size and speed", *row = c->arm[i].label;
        kd_model_facts f = { .struct_size = sizeof f };
        kd_speed_options so = KD_SPEED_OPTIONS_INIT;
        double mean, error;
        if (!is_of_its_size(c->arm[i].name)) continue;
        CHECK(kd_model_get_facts(c->last[i], &f));
        if (!i) whole = f;
        CHECK(kd_report_set_cell(c->report, table, row, "parameters", (double)f.parameters, NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "ratio", (double)whole.parameters / (double)f.parameters, NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "active", (double)f.active, NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "float32 kB", (double)f.float32_bytes / 1e3, NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "float16 kB", (double)f.float16_bytes / 1e3, NAN));
        CHECK(kd_report_set_cell(c->report, table, row, "int8 kB", (double)f.int8_bytes / 1e3, NAN));
        for (int k = 0; k < 2; k++) {
            kd_speed speed = { .struct_size = sizeof speed };
            so.sequences = k ? 32 : 1;
            so.prompt_tokens = 16;
            CHECK(kd_generation_speed(c->last[i], &so, &speed));
            if (!i) first[k] = speed;
            CHECK(kd_report_set_cell(c->report, table, row, k ? "tokens/s at 32" : "tokens/s at 1", speed.tokens_per_second, NAN));
            CHECK(kd_report_set_cell(c->report, table, row, k ? "ratio at 32" : "ratio at 1", speed.tokens_per_second / first[k].tokens_per_second,
                                     NAN));
            if (k) continue;
            CHECK(kd_report_set_cell(c->report, table, row, "prompt tokens/s", speed.prompt_tokens_per_second, NAN));
            CHECK(kd_report_set_cell(c->report, table, row, "first token ms", 1e3 * speed.first_token, NAN));
            CHECK(kd_report_set_cell(c->report, table, row, "p50 ms", 1e3 * speed.token_p50, NAN));
            CHECK(kd_report_set_cell(c->report, table, row, "p99 ms", 1e3 * speed.token_p99, NAN));
            CHECK(kd_report_set_cell(c->report, table, row, "cache kB", (double)speed.cache_bytes / 1e3, NAN));
        }
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

static void write_report(course *c)
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

int main(int argc, char **argv)
{
    static course c;
    if (argc < 2) {
        fprintf(stderr, "course FOLDER [SEEDS [STEPS [small|full]]]\n");
        return 2;
    }
    c.folder = argv[1];
    c.seeds = argc > 2 ? atoi(argv[2]) : 1;
    c.steps = argc > 3 ? atoll(argv[3]) : 1500;
    c.full = argc > 4 && !strcmp(argv[4], "full");
    if (c.seeds < 1 || c.seeds > MOST_SEEDS || c.steps < 1) return fprintf(stderr, "1 to %d seeds, at least 1 step\n", MOST_SEEDS), 2;
    if (argc > 4 && !c.full && strcmp(argv[4], "small")) return fprintf(stderr, "'%s': expected small or full\n", argv[4]), 2;
    if (c.full) c.size = (course_size){ MULTIPLY | ADD | WORDS | COUNTDOWN, 2000, 6000, 100 };
    else if (argc > 4) c.size = (course_size){ MULTIPLY, 40, 60, 10 };
    else c.size = (course_size){ MULTIPLY, 1700, 7000, 400 };
    plan(&c);
    CHECK(kd_context_create(&c.ctx, NULL));
    CHECK(kd_context_set_blas_threads(c.ctx, 1)); /* the library's own threads */
    CHECK(kd_report_create(&c.report, c.ctx));
    mkdir(c.folder, 0777);
    course_write_data(c.ctx, c.folder, &c.size);
    CHECK(kd_tokenizer_load(&c.tokenizer, c.ctx, c.folder));
    c.questions = count_records(&c, course_path(c.folder, "test.jsonl"));
    for (int i = 0; i < c.arms; i++) {
        c.rights[i] = calloc((size_t)(c.seeds * c.questions * SAMPLES), sizeof *c.rights[i]);
        c.harder[i] = calloc((size_t)(c.seeds * c.questions * SAMPLES), sizeof *c.harder[i]);
    }
    for (int seed = 1; seed <= c.seeds; seed++) run_seed(&c, seed);
    write_report(&c);
    for (int i = 0; i < c.arms; i++) {
        kd_model_free(c.last[i]);
        free(c.rights[i]);
        free(c.harder[i]);
    }
    kd_report_free(c.report);
    kd_tokenizer_free(c.tokenizer);
    kd_context_free(c.ctx);
    return 0;
}
