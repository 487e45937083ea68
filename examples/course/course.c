/* The course in miniature, end to end: a teacher is trained on few worked solutions and is right
 * two times out of three; it answers more problems, several times each; a verifier and filters keep
 * what is right; small students learn from it; a report compares them all.
 *
 *   course FOLDER [SEEDS [STEPS [small|full|brief]]]
 *
 * Everything lies in FOLDER as real files: tokenizer.json, JSON lines, Hugging Face folders, a
 * store, report.json, report.txt, report.html. A run that was killed goes on where it was. `small`
 * has few problems, to see that everything runs; `full` adds tasks, sizes and arms, and GSM8K's
 * rationales where KD_DATA is set (make reproduce-course); `brief` is `full` with few problems. */
#include "course.h"
#include <sys/stat.h>

static const course_shape large = { 4, 96, 256, 4 }, small = { 2, 64, 176, 4 },
                          tiny = { 2, 40, 112, 4 }, middle = { 3, 80, 208, 4 };

/* ---- the plan: who learns from what ---- */

static void plan(course *c)
{
    static const arm arms[] = {
        { "teacher", "teacher: worked solutions", large, { "worked.jsonl" }, 0, 0, 0, 0 },
        { "worked", "student: worked solutions", small, { "worked.jsonl" }, 0, 0, 0, 0 },
        { "answers-only", "student: answers only", small, { "plain.jsonl" }, 0, 0, 0, 0 },
        { "as-many",
          "student: + as many unverified",
          small,
          { "worked.jsonl", "as-many-%d.jsonl" },
          0,
          0,
          0,
          0 },
        { "verified",
          "student: + verified traces",
          small,
          { "worked.jsonl", "verified-%d.jsonl" },
          0,
          0,
          0,
          0 },
        { "stored",
          "student: + verified, distributions",
          small,
          { "worked.jsonl", "verified-%d.jsonl" },
          1,
          0,
          0,
          0 },
    };
    static const arm more[] = {
        { "unverified",
          "student: + unverified traces",
          small,
          { "worked.jsonl", "unverified-%d.jsonl" },
          0,
          0,
          0,
          0 },
        { "same-size",
          "teacher's size: + verified traces",
          large,
          { "worked.jsonl", "verified-%d.jsonl" },
          0,
          0,
          0,
          0 },
        { "tiny",
          "smaller: + verified traces",
          tiny,
          { "worked.jsonl", "verified-%d.jsonl" },
          0,
          0,
          0,
          0 },
        { "middle",
          "between: + verified traces",
          middle,
          { "worked.jsonl", "verified-%d.jsonl" },
          0,
          0,
          0,
          0 },
        { "layers",
          "student of 2 of the teacher's layers",
          large,
          { "worked.jsonl", "verified-%d.jsonl" },
          0,
          0,
          2,
          0 },
        { "on-policy",
          "student: + verified, on-policy",
          small,
          { "worked.jsonl", "verified-%d.jsonl" },
          0,
          1,
          0,
          0 },
        { "one-sample",
          "student: + verified, 1 sample a prompt",
          small,
          { "worked.jsonl", "one-%d.jsonl" },
          0,
          0,
          0,
          0 },
        { "two-samples",
          "student: + verified, 2 samples a prompt",
          small,
          { "worked.jsonl", "two-%d.jsonl" },
          0,
          0,
          0,
          0 },
        { "short-long",
          "student: + verified, short : long 4 : 1",
          small,
          { "worked.jsonl", "mixed-%d.jsonl" },
          0,
          0,
          0,
          0 },
        { "more-inputs",
          "teacher's size: + unverified traces",
          large,
          { "worked.jsonl", "unverified-%d.jsonl" },
          0,
          0,
          0,
          0 },
        { "teacher-b", "a second teacher", large, { "worked.jsonl" }, 0, 0, 0, 1 },
        { "teacher-c", "a third teacher", large, { "worked.jsonl" }, 0, 0, 0, 2 },
        { "ensemble",
          "teacher's size: + three teachers' majority",
          large,
          { "worked.jsonl", "agreed-%d.jsonl" },
          0,
          0,
          0,
          0 },
        { "second",
          "teacher's size, second round",
          large,
          { "worked.jsonl", "verified-%d.jsonl", "second-%d.jsonl" },
          0,
          0,
          0,
          0 },
    };
    c->arms = 0;
    for (size_t i = 0; i < sizeof arms / sizeof *arms; i++) c->arm[c->arms++] = arms[i];
    for (size_t i = 0; c->full && i < sizeof more / sizeof *more; i++) c->arm[c->arms++] = more[i];
}

static kd_record_reader *read_files(course *c, const char *const *paths, int count)
{
    kd_record_reader *reader;
    CHECK(kd_record_reader_open(&reader, c->ctx, paths, count, NULL));
    return reader;
}

static int64_t count_records(course *c, const char *path)
{
    kd_record_reader *reader = read_files(c, &path, 1);
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
    /* only the most frequent answer to each prompt, if it is half of all: no verifier */
    int agreed;
} choice;

static void add_with(kd_curation *curation, int32_t kind, int32_t number, double value)
{
    int32_t step;
    CHECK(kd_curation_add(curation, kind, NULL, &step));
    CHECK(kd_curation_set(curation, step, number, value));
}

/* Files of answers -> kept; the number of records that were kept. The funnel goes into the report
 * under `title`, where there is one. */
static int64_t curate(course *c, const char *const *answers, int files, const char *kept,
                      const choice *how, const char *title)
{
    kd_curation *curation;
    kd_record_writer *writer;
    kd_filter_options tests = KD_FILTER_OPTIONS_INIT, right = KD_FILTER_OPTIONS_INIT;
    const char *tested = course_path(c->folder, "test.jsonl");
    kd_record_reader *reader = read_files(c, answers, files), *test = read_files(c, &tested, 1);
    kd_funnel funnel = { .struct_size = sizeof funnel };
    char *table;
    int32_t steps;
    CHECK(kd_curation_create(&curation, c->ctx, NULL));
    CHECK(kd_curation_add(curation, KD_FILTER_LENGTH, NULL, NULL));
    CHECK(kd_curation_add(curation, KD_FILTER_MARKUP, NULL, NULL));
    CHECK(kd_curation_add(curation, KD_FILTER_REPETITION, NULL, NULL));
    if (how->agreed) CHECK(kd_curation_add(curation, KD_FILTER_AGREEMENT, NULL, NULL));
    CHECK(kd_curation_add(curation, KD_FILTER_DUPLICATES, NULL, NULL));
    tests.tests = test;
    CHECK(kd_curation_add(curation, KD_FILTER_CONTAMINATION, &tests, NULL));
    right.verify = &course_verify;
    if (how->verified) CHECK(kd_curation_add(curation, KD_FILTER_VERIFY, &right, NULL));
    if (how->best) add_with(curation, KD_FILTER_BEST, KD_CURATION_MAX_PER_PROMPT, how->best);
    if (how->most) add_with(curation, KD_FILTER_SAMPLE, KD_CURATION_MAX_RECORDS, how->most);
    if (how->mixed) add_with(curation, KD_FILTER_LENGTH_MIX, KD_CURATION_SHORT_LENGTH, 40);
    CHECK(kd_record_writer_open(&writer, c->ctx, kept, NULL));
    CHECK(kd_curation_run(curation, reader, writer, NULL));
    CHECK(kd_record_writer_close(writer));
    CHECK(kd_curation_step_count(curation, &steps));
    CHECK(kd_curation_get_step(curation, steps - 1, &funnel));
    if (title) {
        CHECK(kd_curation_to_text(curation, &table));
        fprintf(stderr, "%s\n", table);
        kd_context_free_text(c->ctx, table);
        CHECK(kd_curation_fill_report(curation, c->report, title));
    }
    kd_record_writer_free(writer);
    kd_record_reader_free(test);
    kd_record_reader_free(reader);
    kd_curation_free(curation);
    return funnel.kept;
}

static void curate_all(course *c, int seed)
{
    char path[600];
    const char *answers[] = { path };
    snprintf(path, sizeof path, "%s", course_path(c->folder, "answers-%d.jsonl", seed));
    const choice verified = { .verified = 1 }, unverified = { 0 },
                 one = { .verified = 1, .best = 1 }, two = { .verified = 1, .best = 2 },
                 mixed = { .verified = 1, .mixed = 1 };
    const int64_t kept = curate(c, answers, 1, course_path(c->folder, "verified-%d.jsonl", seed),
                                &verified, seed == 1 ? "curation of the teacher's answers" : NULL);
    const choice as_many = { .most = (int)kept };
    curate(c, answers, 1, course_path(c->folder, "as-many-%d.jsonl", seed), &as_many, NULL);
    if (!c->full) return;
    curate(c, answers, 1, course_path(c->folder, "unverified-%d.jsonl", seed), &unverified, NULL);
    curate(c, answers, 1, course_path(c->folder, "one-%d.jsonl", seed), &one, NULL);
    curate(c, answers, 1, course_path(c->folder, "two-%d.jsonl", seed), &two, NULL);
    curate(c, answers, 1, course_path(c->folder, "mixed-%d.jsonl", seed), &mixed, NULL);
}

/* Three teachers' answers, and what most of them say. */
static void curate_ensemble(course *c, int seed)
{
    static const char *const names[] = { "answers-%d.jsonl", "answers-teacher-b-%d.jsonl",
                                         "answers-teacher-c-%d.jsonl" };
    char paths[3][600];
    const char *answers[3];
    const choice agreed = { .agreed = 1 };
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, names[i], seed);
        snprintf(paths[i], sizeof paths[i], "%s", course_path(c->folder, "%s", name));
        answers[i] = paths[i];
    }
    curate(c, answers, 3, course_path(c->folder, "agreed-%d.jsonl", seed), &agreed,
           seed == 1 ? "curation of three teachers' answers" : NULL);
}

/* The student of the first round answers, too. */
static void curate_second(course *c, int seed, kd_model *student, const char *problems)
{
    char path[600];
    const char *answers[] = { path };
    const choice verified = { .verified = 1 };
    snprintf(path, sizeof path, "%s", course_path(c->folder, "second-answers-%d.jsonl", seed));
    course_answers(c->ctx, c->tokenizer, student, problems, SAMPLES, 50 + (uint64_t)seed,
                   "same-size", path);
    curate(c, answers, 1, course_path(c->folder, "second-%d.jsonl", seed), &verified,
           seed == 1 ? "curation of the second round" : NULL);
}

/* ---- one arm of one seed ---- */

static kd_model *fresh_model(course *c, const arm *a, int seed, kd_model *teacher)
{
    kd_model *model;
    kd_student_options so = KD_STUDENT_OPTIONS_INIT;
    so.layers = a->from_teacher;
    if (!a->from_teacher)
        return course_model(c->ctx, c->tokenizer, a->shape, 160,
                            (uint64_t)seed * 100 + 7 + 10 * (uint64_t)a->draw);
    CHECK(kd_student_create(&model, teacher, &so));
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
    course_training t = { .steps = c->steps,
                          .batch_tokens = c->batch_tokens,
                          .seed = (uint64_t)seed + 1000 * (uint64_t)a->draw };
    if (!strcmp(a->name, "teacher") && !c->full)
        t.steps = t.steps * 7 / 10; /* one that is often wrong */
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
    return course_student(c->ctx, c->tokenizer, fresh_model(c, a, seed, teacher), files, count, &t,
                          folder, &c->curve[i]);
}

static void judge_arm(course *c, int i, int seed, kd_model *model, kd_model *teacher)
{
    static const char *const sets[2] = { "test", "harder" };
    const int64_t room = c->questions * SAMPLES;
    for (int s = 0; s < 2; s++) {
        char path[600], prompts[600];
        int32_t *rights = (s ? c->harder : c->rights)[i] + (seed - 1) * room;
        snprintf(path, sizeof path, "%s",
                 course_path(c->folder, "%s-%s-%d.jsonl", sets[s], c->arm[i].name, seed));
        snprintf(prompts, sizeof prompts, "%s", course_path(c->folder, "%s.jsonl", sets[s]));
        course_answers(c->ctx, c->tokenizer, model, prompts, SAMPLES, 1000 + (uint64_t)seed,
                       c->arm[i].name, path);
        (s ? c->hard : c->result)[i][seed - 1] = course_judge(c->ctx, path, rights, room);
    }
    c->fit[i][seed - 1] = course_measure(c->ctx, c->tokenizer, model, teacher,
                                         course_path(c->folder, "held-out.jsonl"), INT64_MAX);
    fprintf(stderr, "  pass@1 %.1f %%\n", 100 * c->result[i][seed - 1].pass.pass_1);
}

static void run_seed(course *c, int seed)
{
    char problems[600];
    kd_model *teacher = NULL, *same_size = NULL;
    snprintf(problems, sizeof problems, "%s", course_path(c->folder, "problems.jsonl"));
    for (int i = 0; i < c->arms; i++) {
        const char *name = c->arm[i].name;
        if (!strcmp(name, "ensemble")) curate_ensemble(c, seed);
        if (!strcmp(name, "second")) curate_second(c, seed, same_size, problems);
        kd_model *model = train_arm(c, i, seed, teacher);
        judge_arm(c, i, seed, model, teacher ? teacher : model);
        if (!strcmp(name, "teacher-b") || !strcmp(name, "teacher-c"))
            course_answers(c->ctx, c->tokenizer, model, problems, SAMPLES, (uint64_t)seed, name,
                           course_path(c->folder, "answers-%s-%d.jsonl", name, seed));
        if (i == 0) {
            teacher = model;
            course_answers(c->ctx, c->tokenizer, teacher, problems, SAMPLES, (uint64_t)seed,
                           "teacher", course_path(c->folder, "answers-%d.jsonl", seed));
            curate_all(c, seed);
        }
        if (!strcmp(name, "same-size")) same_size = model;
        if (i && model != same_size) kd_model_free(model);
    }
    kd_model_free(same_size);
    kd_model_free(teacher);
}

int main(int argc, char **argv)
{
    static course c;
    if (argc < 2) {
        fprintf(stderr, "course FOLDER [SEEDS [STEPS [small|full|brief]]]\n");
        return 2;
    }
    c.folder = argv[1];
    c.seeds = argc > 2 ? atoi(argv[2]) : 3;
    c.steps = argc > 3 ? atoll(argv[3]) : 1500;
    c.full = argc > 4 && strcmp(argv[4], "small");
    if (c.seeds < 1 || c.seeds > MOST_SEEDS || c.steps < 1)
        return fprintf(stderr, "1 to %d seeds, at least 1 step\n", MOST_SEEDS), 2;
    if (c.full && strcmp(argv[4], "full") && strcmp(argv[4], "brief"))
        return fprintf(stderr, "'%s': expected small, full or brief\n", argv[4]), 2;
    if (c.full && !strcmp(argv[4], "brief"))
        c.size = (course_size){ MULTIPLY | ADD | WORDS | COUNTDOWN, 40, 60, 10 };
    else if (c.full) c.size = (course_size){ MULTIPLY | ADD | WORDS | COUNTDOWN, 2000, 6000, 100 };
    else if (argc > 4) c.size = (course_size){ MULTIPLY, 40, 60, 10 };
    else c.size = (course_size){ MULTIPLY, 1700, 7000, 400 };
    c.batch_tokens = c.full ? 3072 : 1536;
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
    if (c.full && getenv("KD_DATA"))
        course_rationales(c.ctx, c.report, c.folder, getenv("KD_DATA"),
                          c.size.problems > 60 ? 2000 : 50, c.seeds, c.steps / 2 + 1);
    course_report(&c);
    for (int i = 0; i < c.arms; i++) {
        free(c.rights[i]);
        free(c.harder[i]);
    }
    kd_report_free(c.report);
    kd_tokenizer_free(c.tokenizer);
    kd_context_free(c.ctx);
    return 0;
}
