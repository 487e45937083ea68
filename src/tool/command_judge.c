/* kdistill judge: answers against what was expected. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "tool/bar.h"
#include "tool/command.h"
#include "tool/say.h"
#include "tool/command_line.h"

static const choice verifiers[] = { { "exact", KD_VERIFY_EXACT },
                                    { "normalized", KD_VERIFY_NORMALIZED },
                                    { "number", KD_VERIFY_NUMBER },
                                    { "choice", KD_VERIFY_CHOICE },
                                    { "latex", KD_VERIFY_LATEX },
                                    { "pattern", KD_VERIFY_PATTERN },
                                    { NULL, 0 } };
static const choice formats[] = { { "think", KD_FORMAT_THINK },
                                  { "boxed", KD_FORMAT_BOXED },
                                  { NULL, 0 } };

static struct {
    const char *verifiers, *format, *pattern, *out, *prompt_field, *completion_field,
        *expected_field;
    double tolerance, at_least;
    int64_t k;
    int all;
} asked = { .verifiers = "number,latex", .tolerance = 1e-6, .k = 1 };

static const option options[] = {
    { "--verifiers", WORD_TEXT, &asked.verifiers, "LIST",
      "exact, normalized, number, choice, latex, pattern, with commas (number,latex); one is "
      "enough",
      0, 0, NULL },
    { "--all", WORD_FLAG, &asked.all, NULL, "all verifiers must agree", 0, 0, NULL },
    { "--format", WORD_TEXT, &asked.format, "LIST", "what an answer must also have: think, boxed",
      0, 0, NULL },
    { "--tolerance", WORD_NUMBER, &asked.tolerance, "X", "of decimal fractions, relative (1e-6)", 0,
      1, NULL },
    { "--pattern", WORD_TEXT, &asked.pattern, "REGEX", "of the verifier pattern", 0, 0, NULL },
    { "--k", WORD_INTEGER, &asked.k, "K", "of pass@k, at most the answers of a prompt (1)", 1, 1e6,
      NULL },
    { "--out", WORD_TEXT, &asked.out, "FILE", "a verdict for each answer, as JSON lines", 0, 0,
      NULL },
    { "--expected-field", WORD_TEXT, &asked.expected_field, "NAME", "of the files", 0, 0, NULL },
    { "--completion-field", WORD_TEXT, &asked.completion_field, "NAME", "of the files", 0, 0,
      NULL },
    { "--prompt-field", WORD_TEXT, &asked.prompt_field, "NAME", "of the files", 0, 0, NULL },
    { "--at-least", WORD_NUMBER, &asked.at_least, "SHARE",
      "exit status 1 where pass@1 is lower, for tests", 0, 1, NULL },
    COMMON_OPTIONS
};

static const page help = {
    "kdistill judge",
    "judge answers by what was expected",
    "ANSWERS.. [--verifiers LIST] [--k K] [--out FILE]\n",
    "Reads records with answers and what was expected (docs/records.md), as kdistill generate "
    "--records writes them, and prints pass@1 with its standard error over questions, pass@k, the "
    "share of prompts whose most frequent answer is right, lengths and errors of format. Answers "
    "to "
    "one prompt follow each other. docs/verify.md says how an answer is found in a text and when "
    "two are the same.",
    options,
    "kdistill judge answers.jsonl\n"
    "kdistill judge answers.jsonl --verifiers choice --k 4 --json\n"
    "kdistill judge answers.jsonl --out verdicts.jsonl --at-least 0.5\n"
};

typedef struct {
    kd_context *context;
    kd_record_reader *reader;
    kd_verify_options verify;
    const char **files;
    int count;
} work;

/* "number,latex" as bits. */
static int read_bits(const char *what, const char *list, const choice *names, int32_t *bits)
{
    char all[200];
    *bits = 0;
    list_choices(names, all, sizeof all);
    while (list && *list) {
        char word[40];
        int32_t bit;
        const int length = (int)strcspn(list, ",");
        snprintf(word, sizeof word, "%.*s", length > 39 ? 39 : length, list);
        if (!read_choice(names, word, &bit))
            return say(EXIT_USAGE, "%s: expected %s with commas between them, got '%s'", what, all,
                       word);
        *bits |= bit;
        list += length + (list[length] == ',');
    }
    return EXIT_DONE;
}

static int open_answers(work *w)
{
    static const kd_progress progress = { sizeof progress, 0, NULL, bar_progress };
    kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
    kd_record_options o = KD_RECORD_OPTIONS_INIT;
    co.threads = 1;
    co.logger = &say_logger;
    co.progress = &progress;
    kd_verify_options_init(&w->verify, sizeof w->verify);
    PART(read_bits("--verifiers", asked.verifiers, verifiers, &w->verify.verifiers));
    PART(read_bits("--format", asked.format, formats, &w->verify.format));
    if (w->verify.verifiers & KD_VERIFY_PATTERN && !asked.pattern)
        return say(EXIT_USAGE, "--pattern: expected an expression for the verifier, got none");
    w->verify.all = asked.all;
    w->verify.tolerance = asked.tolerance;
    w->verify.pattern = asked.pattern;
    o.prompt_field = asked.prompt_field;
    o.completion_field = asked.completion_field;
    o.expected_field = asked.expected_field;
    NEED(kd_context_create(&w->context, &co));
    saying.listens = 1;
    NEED(kd_record_reader_open(&w->reader, w->context, w->files, w->count, &o));
    return EXIT_DONE;
}

static int write_verdicts(work *w, FILE *to)
{
    kd_record r = KD_RECORD_INIT;
    kd_status status = kd_record_reader_rewind(w->reader);
    while (status == KD_OK && (status = kd_record_reader_next(w->reader, &r)) == KD_OK) {
        int32_t right = 0, passed = 0;
        int written = 0;
        status = kd_verify_answer(r.completion, r.expected, &w->verify, &right, &passed);
        if (status != KD_OK) break;
        fprintf(to, "{\"line\": %lld, \"sample\": %d, \"right\": %s, \"passed\": [",
                (long long)r.line, r.sample, right ? "true" : "false");
        for (const choice *c = verifiers; c->name; c++)
            if (passed & c->value) fprintf(to, "%s\"%s\"", written++ ? ", " : "", c->name);
        fprintf(to, "], \"expected\": ");
        json_put_text(to, r.expected);
        if (*r.id) {
            fprintf(to, ", \"id\": ");
            json_put_text(to, r.id);
        }
        fprintf(to, "}\n");
    }
    return status < 0 ? say_library() : EXIT_DONE;
}

static int put_verdicts(work *w)
{
    if (!asked.out) return EXIT_DONE;
    FILE *file = kd__os_file(asked.out, "wb");
    if (!file) return say(EXIT_FAILED, "%s: cannot be written", asked.out);
    int code = write_verdicts(w, file);
    if (fclose(file) != 0 && code == EXIT_DONE)
        code = say(EXIT_FAILED, "%s: could not be written", asked.out);
    return code;
}

static void put_json(const kd_answers_result *r)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = { { "pass_1", r->pass.pass_1 },
                    { "standard_error", r->pass.standard_error },
                    { "within_error", r->pass.within_error },
                    { "pass_k", r->pass.pass_k },
                    { "consensus", r->consensus },
                    { "format_errors", r->format_errors },
                    { "unfinished", r->unfinished },
                    { "mean_bytes", r->mean_bytes },
                    { "mean_right_bytes", r->mean_right_bytes } };
    printf("{\"questions\": %lld, \"samples\": %d, \"k\": %lld", (long long)r->questions,
           r->samples, (long long)asked.k);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        printf(", \"%s\": ", numbers[i].name);
        json_put_number(stdout, numbers[i].value);
    }
    puts("}");
}

static void put_text(const kd_answers_result *r)
{
    printf("%lld questions, %d answers each\n", (long long)r->questions, r->samples);
    printf("pass@1     %.4f +- %.4f\n", r->pass.pass_1, r->pass.standard_error);
    if (asked.k > 1) printf("pass@%-5lld %.4f\n", (long long)asked.k, r->pass.pass_k);
    if (r->samples > 1) printf("consensus  %.4f\n", r->consensus);
    if (asked.format) printf("without the format  %.4f\n", r->format_errors);
    printf("truncated  %.4f\nmean bytes %.1f", r->unfinished, r->mean_bytes);
    if (isfinite(r->mean_right_bytes)) printf(", of right answers %.1f", r->mean_right_bytes);
    putchar('\n');
}

static int judge(work *w)
{
    kd_answers_result r = { .struct_size = sizeof r };
    PART(open_answers(w));
    NEED(kd_answers_judge(w->reader, &w->verify, (int32_t)asked.k, NULL, 0, &r));
    PART(put_verdicts(w));
    if (saying.json) put_json(&r);
    else put_text(&r);
    if (r.pass.pass_1 >= asked.at_least) return EXIT_DONE;
    fprintf(stderr, "%s: expected a pass@1 of at least %g, got %.4f\n", saying.command,
            asked.at_least, r.pass.pass_1);
    return EXIT_FAILED;
}

int command_judge(int count, char **words)
{
    static work w;
    const char **rest = take((size_t)count * sizeof *rest);
    int code = words_read(&help, count, words, rest, &w.count);
    if (code < 0 && w.count < 1) code = say(EXIT_USAGE, "expected a file of answers, got none");
    if (code < 0) {
        signals_watch();
        w.files = rest;
        code = judge(&w);
    }
    kd_record_reader_free(w.reader);
    kd_context_free(w.context);
    free(rest);
    return code;
}
