/* The loop of a run: steps, validation, checkpoints, the end. What is killed goes on from its last
 * checkpoint and ends with the same bits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "tool/bar.h"
#include "tool/say.h"
#include "tool/train.h"

enum { MOST_SKIPPED = 50 };

/* ---- the folder ---- */

static char *in_folder(const train_run *run, const char *name)
{
    return take_text("%s/%s", run->folder, name);
}

static void forget(const train_run *run)
{
    static const char *const names[] = { "recipe.json", "checkpoint.kdc", "log.jsonl",
                                         "report.json", "report.html" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = in_folder(run, names[i]);
        kd__os_remove(path);
        free(path);
    }
}

static int has(const train_run *run, const char *name)
{
    char *path = in_folder(run, name);
    const int there = file_exists(path);
    free(path);
    return there;
}

static int is_done(const train_run *run) { return has(run, "report.json"); }

/* Whether the run has come as far as its log: a start that failed leaves a recipe alone. */
static int has_begun(const train_run *run)
{
    return has(run, "log.jsonl") || has(run, "checkpoint.kdc") || is_done(run);
}

/* The folder belongs to this recipe, or to none yet. */
static int check_recipe(train_run *run)
{
    char *path = in_folder(run, "recipe.json");
    const char *ours = run->recipe.canonical;
    size_t size;
    int code = EXIT_DONE;
    if (!has_begun(run) || !file_exists(path)) code = file_write(path, ours, strlen(ours));
    else {
        char *theirs = file_read(path, &size);
        if (!theirs) code = EXIT_FAILED;
        else if (strcmp(theirs, ours)) {
            size_t at = 0;
            while (theirs[at] && theirs[at] == ours[at]) at++;
            const size_t from = at > 20 ? at - 20 : 0;
            code = say(EXIT_REFUSED,
                       "%s: expected the recipe that this run began with (.. %.50s), got another "
                       "one (.. %.50s); take another \"out\", or --restart to begin again",
                       run->folder, theirs + from, ours + from);
        }
        free(theirs);
    }
    free(path);
    return code;
}

static int open_folder(train_run *run, int restart)
{
    PART(folder_make(run->folder));
    PART(folder_lock(run->folder));
    if (restart) forget(run);
    return check_recipe(run);
}

/* ---- checkpoints ---- */

static int save_checkpoint(train_run *run)
{
    int32_t count = PACKER_STATE;
    char *path = in_folder(run, "checkpoint.kdc");
    kd_status status = KD_OK;
    if (run->train.packer)
        status = kd_packer_get_state(run->train.packer, run->state.packer, &count);
    fflush(run->log);
    fseek(run->log, 0, SEEK_END);
    run->state.log_bytes = ftell(run->log);
    run->state.texts = run->train.texts;
    run->state.held = run->held.texts;
    if (status == KD_OK) status = kd_checkpoint_save(run->checkpoint, path);
    free(path);
    return status < 0 ? say_library() : EXIT_DONE;
}

static int load_checkpoint(train_run *run)
{
    char *path = in_folder(run, "checkpoint.kdc");
    const kd_status status = kd_checkpoint_load(run->checkpoint, path);
    free(path);
    if (status == KD_ERR_NOT_FOUND) return EXIT_DONE;
    if (status == KD_ERR_MISMATCH)
        return say(EXIT_FAILED,
                   "%s: %s; bring back the files that the run began with, or --restart to begin "
                   "again",
                   run->folder, kd_last_error());
    NEED(status);
    if (run->state.texts != run->train.texts || run->state.held != run->held.texts)
        return say(EXIT_FAILED,
                   "%s: expected data of %lld and %lld texts, as when the run began, got %lld and "
                   "%lld; bring the files back, or --restart to begin again",
                   run->folder, (long long)run->state.texts, (long long)run->state.held,
                   (long long)run->train.texts, (long long)run->held.texts);
    if (run->train.packer)
        NEED(kd_packer_set_state(run->train.packer, run->state.packer, PACKER_STATE));
    say_note("continues after step %lld of %lld", (long long)run->state.step,
             (long long)run->steps);
    return EXIT_DONE;
}

/* ---- a step ---- */

static void add_result(kd_loss_result *to, const kd_loss_result *more)
{
    to->terms = more->terms;
    to->value += more->value;
    for (int32_t i = 0; i < more->terms; i++) {
        to->sum[i] += more->sum[i];
        to->rows[i] += more->rows[i];
    }
}

/* The batches of a step and what all of them count, where there are several. */
static kd_status read_batches(train_run *run, kd_loss_counts *counts)
{
    const int64_t n = run->recipe.batch.accumulate;
    kd_status status = KD_OK;
    for (int64_t i = 0; i < n && status == KD_OK; i++) {
        kd_loss_counts more = { .struct_size = sizeof more };
        int64_t rows = 0;
        status = source_next(&run->train, run->batches[i]);
        if (status == KD_OK) status = kd_batch_get_counts(run->batches[i], NULL, &rows);
        if (status == KD_OK && run->teacher)
            status = kd_teacher_read(run->teacher, run->batches[i], run->targets[i]);
        run->state.rows += rows;
        if (n == 1 || status != KD_OK) continue;
        status = kd_loss_count(run->loss, run->batches[i], run->teacher ? run->targets[i] : NULL,
                               i ? &more : counts);
        if (i && status == KD_OK) status = kd_loss_counts_add(counts, &more);
    }
    return status;
}

static kd_status learn(train_run *run, kd_loss_result *result)
{
    const int64_t n = run->recipe.batch.accumulate;
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_status status = read_batches(run, &counts);
    for (int64_t i = 0; i < n && status == KD_OK; i++) {
        kd_loss_result part = { .struct_size = sizeof part };
        kd_targets *targets = run->teacher ? run->targets[i] : NULL;
        if (n > 1 && train_teacher_is_live(run)) /* its outputs live until its next pass */
            status = kd_teacher_read(run->teacher, run->batches[i], targets);
        if (status == KD_OK)
            status = kd_model_forward(run->student, run->batches[i], KD_MODE_TRAIN);
        if (status == KD_OK)
            status = kd_loss_backward(run->loss, run->student, run->batches[i], targets,
                                      n > 1 ? &counts : NULL, &part);
        if (status == KD_OK) add_result(result, &part);
    }
    return status;
}

/* What TAID's schedules hear. */
static kd_status tell_schedules(train_run *run, const kd_loss_result *result)
{
    kd_status status = KD_OK;
    for (int32_t i = 0; i < run->number_count && status == KD_OK; i++)
        if (run->numbers[i].is_told)
            status = kd_schedule_report(run->numbers[i].schedule,
                                        train_term_value(run, run->numbers[i].term, result));
    return status;
}

static int take_step(train_run *run, kd_loss_result *result, double *rate, int *skipped)
{
    kd_optimizer_info info = { .struct_size = sizeof info };
    *rate = kd_schedule_value(run->rate, run->state.step);
    memset(result, 0, sizeof *result);
    result->struct_size = sizeof *result;
    NEED(train_set_numbers(run, run->state.step));
    NEED(learn(run, result));
    NEED(kd_optimizer_step(run->optimizer, *rate));
    NEED(kd_optimizer_get_info(run->optimizer, &info));
    NEED(tell_schedules(run, result));
    run->state.step++;
    *skipped = info.last_skipped ? *skipped + 1 : 0;
    if (*skipped < MOST_SKIPPED) return EXIT_DONE;
    return say(EXIT_FAILED,
               "expected finite gradients, got none in the last %d steps; take a lower "
               "learning_rate, a warmup or optimizer.clip_norm, and --restart",
               MOST_SKIPPED);
}

/* ---- validation ---- */

static kd_status swap_average(train_run *run)
{
    return run->recipe.optimizer.average_decay > 0 ? kd_optimizer_swap_average(run->optimizer)
                                                   : KD_OK;
}

static int validate(train_run *run)
{
    train_found found;
    int32_t verdict = 0;
    char note[80];
    NEED(swap_average(run));
    PART(train_validate(run, &found));
    const double metric = train_metric(run, &found);
    NEED(kd_monitor_report(run->monitor, metric, &verdict));
    NEED(swap_average(run));
    NEED(kd_schedule_report(run->rate, metric));
    for (int32_t i = 0; i < run->number_count; i++)
        if (!run->numbers[i].is_told) NEED(kd_schedule_report(run->numbers[i].schedule, metric));
    train_log_found(run, "student", &found, verdict & KD_MONITOR_IMPROVED);
    if (verdict & KD_MONITOR_STOP) run->state.stopped = 1;
    run->state.reports++;
    snprintf(note, sizeof note, "%.4g", metric);
    say_note("step %lld: held out %s%s", (long long)run->state.step, note,
             verdict & KD_MONITOR_IMPROVED ? ", the best so far" : "");
    return EXIT_DONE;
}

/* ---- the loop ---- */

static int64_t every(int64_t asked, int64_t steps, int64_t times)
{
    if (asked) return asked;
    return steps / times > 0 ? steps / times : 1;
}

static int go_on(train_run *run)
{
    const recipe *r = &run->recipe;
    const int64_t log = every(r->log_every, run->steps, 100),
                  check = every(r->checkpoint_every, run->steps, 20),
                  valid = every(r->validation.every, run->steps, 10);
    const double began = seconds_now(), before = run->state.seconds;
    static kd_loss_result result;
    double rate = 0;
    int skipped = 0;
    bar_begin("train", "steps", run->state.step, run->steps);
    while (run->state.step < run->steps && !run->state.stopped && !signals_came()) {
        char note[40];
        PART(take_step(run, &result, &rate, &skipped));
        const int64_t step = run->state.step;
        const int is_last = step >= run->steps;
        run->state.seconds = before + seconds_now() - began;
        snprintf(note, sizeof note, "loss %.4g", result.value);
        bar_show(step, note);
        if (step % log == 0 || step == 1 || is_last) train_log_step(run, &result, rate);
        if (r->has_validation && (step % valid == 0 || is_last)) PART(validate(run));
        if (step % check == 0 || is_last || run->state.stopped || signals_came())
            PART(save_checkpoint(run));
    }
    bar_end();
    return EXIT_DONE;
}

/* The student as it is given out: the best one, or the last, with averaged weights where asked. */
static int finish(train_run *run)
{
    train_found found;
    char *folder = in_folder(run, "student");
    if (run->recipe.validation.keep && run->monitor) NEED(kd_monitor_restore(run->monitor));
    else NEED(swap_average(run));
    const int code = train_save_student(run, folder);
    free(folder);
    PART(code);
    if (run->recipe.has_validation) {
        PART(train_judge_teacher(run, &found));
        if (isfinite(found.cross_entropy)) train_log_found(run, "teacher", &found, 0);
    }
    train_log_end(run, run->state.stopped ? "patience" : "steps");
    return EXIT_DONE;
}

/* ---- the report ---- */

static int write_report(train_run *run)
{
    char *json = in_folder(run, "report.json"), *html = in_folder(run, "report.html");
    kd_report *report = NULL;
    const char *text = "";
    kd_status status = kd_report_create(&report, run->context);
    int code = status < 0 ? say_library() : report_add_run(report, run->folder, "");
    if (code == EXIT_DONE) {
        status = kd_report_write_html(report, html, "A distillation");
        if (status == KD_OK)
            status = kd_report_write(report, json); /* the last file: all is done */
        if (status == KD_OK)
            status = saying.json ? kd_report_json(report, &text) : kd_report_text(report, &text);
        if (status < 0) code = say_library();
        else printf("%s%s", text, *text && text[strlen(text) - 1] != '\n' ? "\n" : "");
    }
    kd_report_free(report);
    free(html);
    free(json);
    return code;
}

/* The state is of no use any more. */
static void drop_checkpoint(const train_run *run)
{
    char *path = in_folder(run, "checkpoint.kdc");
    kd__os_remove(path);
    free(path);
}

int train_go(train_run *run, int restart)
{
    PART(train_open_context(run));
    PART(open_folder(run, restart));
    if (is_done(run)) {
        say_note("%s is done; --restart begins again", run->folder);
        return write_report(run);
    }
    PART(train_open_tokenizer(run));
    PART(train_open_data(run));
    PART(train_open_teacher(run));
    PART(train_count_steps(run));
    PART(train_open_student(run));
    PART(train_open_loss(run));
    PART(load_checkpoint(run));
    PART(train_log_open(run));
    signals_hold(1);
    PART(go_on(run));
    signals_hold(0);
    if (run->state.step < run->steps && !run->state.stopped)
        return say(EXIT_STOPPED, "stopped after step %lld of %lld; the same command continues",
                   (long long)run->state.step, (long long)run->steps);
    PART(finish(run));
    PART(write_report(run));
    drop_checkpoint(run);
    if (!saying.json) printf("student: %s/student\n", run->folder);
    return EXIT_DONE;
}
