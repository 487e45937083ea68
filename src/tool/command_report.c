/* kdistill report: one run or several, from their logs. */
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "tool/command.h"
#include "tool/say.h"
#include "tool/train.h"

static const char *html, *markdown, *title = "A distillation";

static const option options[] = {
    { "--html", WORD_TEXT, &html, "FILE", "write a page with the curves, in one file", 0, 0, NULL },
    { "--markdown", WORD_TEXT, &markdown, "FILE", "write facts and tables; -: standard output", 0,
      0, NULL },
    { "--title", WORD_TEXT, &title, "TEXT", "of the page", 0, 0, NULL },
    COMMON_OPTIONS
};

static const page help = {
    "kdistill report",
    "reports of runs as HTML, Markdown, JSON or text",
    "RUN.. [--html FILE] [--markdown FILE] [--json]\n",
    "Reads the logs of runs of kdistill train, those that still go on too, and reports what was "
    "trained on what, the curves, and the figures of held-out data. Several runs are put beside "
    "each other under the names of their folders. Without an option it prints text.",
    options,
    "kdistill report run\nkdistill report run-1 run-2 --html both.html\n"
    "kdistill report run --markdown - >> notes.md\n"
};

/* The last part of a path. */
static char *name_of(const char *path)
{
    size_t end = strlen(path);
    while (end && kd__os_separates(path[end - 1])) end--;
    size_t from = end;
    while (from && !kd__os_separates(path[from - 1])) from--;
    return take_text("%.*s", (int)(end - from), path + from);
}

static int add_runs(kd_report *report, const char **runs, int count)
{
    for (int i = 0; i < count; i++) {
        char *name = count > 1 ? name_of(runs[i]) : take_text("%s", "");
        const int code = report_add_run(report, runs[i], name);
        free(name);
        PART(code);
    }
    return EXIT_DONE;
}

static int write_markdown(kd_report *report)
{
    FILE *file = strcmp(markdown, "-") ? kd__os_file(markdown, "wb") : stdout;
    if (!file) return say(EXIT_FAILED, "%s: cannot be written", markdown);
    int code = report_print_markdown(report, title, file);
    if (file != stdout && fclose(file) != 0)
        code = say(EXIT_FAILED, "%s: could not be written", markdown);
    return code;
}

static int put_out(kd_report *report)
{
    const char *text;
    if (html) NEED(kd_report_write_html(report, html, title));
    if (markdown) PART(write_markdown(report));
    if (saying.json) {
        NEED(kd_report_json(report, &text));
        puts(text);
    } else if (!html && !markdown) {
        NEED(kd_report_text(report, &text));
        puts(text);
    }
    return EXIT_DONE;
}

int command_report(int count, char **words)
{
    kd_context *context = NULL;
    kd_report *report = NULL;
    const char **rest = take((size_t)count * sizeof *rest);
    int rest_count;
    int code = words_read(&help, count, words, rest, &rest_count);
    if (code < 0 && rest_count < 1)
        code = say(EXIT_USAGE, "expected the folder of a run, got none");
    if (code < 0) {
        kd_status status = kd_context_create(&context, NULL);
        if (status == KD_OK) status = kd_report_create(&report, context);
        code = status < 0 ? say_library() : add_runs(report, rest, rest_count);
        if (code == EXIT_DONE) code = put_out(report);
    }
    kd_report_free(report);
    kd_context_free(context);
    free(rest);
    return code;
}
