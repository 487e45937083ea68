/* A run's log: lines of JSON that a report, and other programs, are made of. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "tool/say.h"
#include "tool/train.h"

static void put(FILE *to, const char *name, double value)
{
    fprintf(to, ", ");
    json_put_text(to, name);
    fprintf(to, ": ");
    json_put_number(to, value);
}

/* A new log, or one that is continued after what its checkpoint knew of. */
int train_log_open(train_run *run)
{
    char *path = take_text("%s/log.jsonl", run->folder);
    const int goes_on = run->state.log_bytes > 0;
    int code = goes_on ? file_cut(path, run->state.log_bytes) : EXIT_DONE;
    if (code == EXIT_DONE && !(run->log = kd__os_file(path, goes_on ? "ab" : "wb")))
        code = say(EXIT_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    free(path);
    if (code == EXIT_DONE && !goes_on) train_log_begin(run);
    return code;
}

static void put_model(FILE *to, const char *who, kd_model *model)
{
    kd_model_info info = { .struct_size = sizeof info };
    if (kd_model_get_info(model, &info) < 0) return;
    fprintf(to, ", \"%s\": {\"layers\": %d", who, info.layers);
    put(to, "parameters", (double)info.parameters);
    put(to, "bytes", (double)info.float32_bytes);
    fprintf(to, "}");
}

void train_log_begin(train_run *run)
{
    const recipe *r = &run->recipe;
    kd_packer_info info = { .struct_size = sizeof info };
    FILE *to = run->log;
    fprintf(to, "{\"run\": {\"steps\": %lld, \"texts\": %lld, \"held\": %lld, \"seed\": %lld",
            (long long)run->steps, (long long)run->train.texts, (long long)run->held.texts,
            (long long)r->seed);
    if (run->train.packer && kd_packer_get_info(run->train.packer, &info) == KD_OK)
        put(to, "tokens", (double)info.tokens);
    if (r->note) {
        fprintf(to, ", \"note\": ");
        json_put_text(to, r->note);
    }
    put_model(to, "student", run->student);
    if (run->teacher_count == 1) put_model(to, "teacher", run->teachers[0]);
    fprintf(to, ", \"library\": ");
    json_put_text(to, kd_build_info());
    fprintf(to, "}}\n");
    fflush(to);
}

void train_log_step(train_run *run, const kd_loss_result *result, double rate)
{
    const recipe *r = &run->recipe;
    kd_optimizer_info info = { .struct_size = sizeof info };
    FILE *to = run->log;
    fprintf(to, "{\"step\": %lld", (long long)run->state.step);
    put(to, "loss", result->value);
    put(to, "learning_rate", rate);
    for (int32_t i = 0; i < r->term_count; i++) {
        char name[80];
        snprintf(name, sizeof name, "term.%d.%.60s", i, r->terms[i].name);
        put(to, name, train_term_value(run, i, result));
    }
    for (int32_t i = 0; i < run->number_count; i++)
        if (run->numbers[i].changes)
            put(to, run->numbers[i].name,
                kd_schedule_value(run->numbers[i].schedule, run->state.step - 1));
    if (kd_optimizer_get_info(run->optimizer, &info) == KD_OK) {
        put(to, "gradient_norm", info.gradient_norm);
        put(to, "skipped", (double)info.skipped);
    }
    put(to, "rows", (double)run->state.rows);
    put(to, "seconds", run->state.seconds);
    fprintf(to, "}\n");
    fflush(to); /* reports of a run that goes on read it */
    run->state.rows = 0;
}

void train_log_found(train_run *run, const char *who, const train_found *found, int improved)
{
    FILE *to = run->log;
    fprintf(to, "{\"step\": %lld, \"of\": \"%s\"", (long long)run->state.step, who);
    if (isfinite(found->loss)) put(to, "held_loss", found->loss);
    if (isfinite(found->cross_entropy)) put(to, "cross_entropy", found->cross_entropy);
    if (isfinite(found->cross_entropy)) put(to, "perplexity", exp(found->cross_entropy));
    if (isfinite(found->accuracy)) put(to, "accuracy", found->accuracy);
    if (isfinite(found->agreement)) put(to, "agreement", found->agreement);
    fprintf(to, ", \"improved\": %s}\n", improved ? "true" : "false");
    fflush(to);
}

void train_log_end(train_run *run, const char *reason)
{
    double best;
    int64_t report;
    fprintf(run->log, "{\"end\": {\"step\": %lld, \"reason\": \"%s\"", (long long)run->state.step,
            reason);
    put(run->log, "seconds", run->state.seconds);
    if (run->monitor && kd_monitor_best(run->monitor, &best, &report) == KD_OK)
        put(run->log, "best", best);
    fprintf(run->log, "}}\n");
    fflush(run->log);
}
