/* kdistill - distillation without a line of code: docs/command.md. */
#include <kdistill.h>
#include <string.h>

#include "base/os.h"
#include "tool/command.h"
#include "tool/command_line.h"

static const struct {
    const char *name, *purpose;
    int (*run)(int count, char **words);
} commands[] = {
    { "train", "train a student as a recipe says; a killed run continues", command_train },
    { "store", "fill, look at, check, join and convert teacher stores", command_store },
    { "generate", "write texts with a language model", command_generate },
    { "judge", "judge answers by what was expected: pass@1 and pass@k", command_judge },
    { "report", "reports of runs as HTML, Markdown or text", command_report },
    { "plan", "what a run will cost, before anything runs", command_plan },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static int help(FILE *to, int code)
{
    fprintf(to, "usage: kdistill COMMAND [options]\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "  kdistill %-10s %s\n", commands[i].name, commands[i].purpose);
    fprintf(to, "\nkdistill COMMAND --help shows the options of a command, kdistill --version the "
                "version.\nA first run: kdistill train --init language-model > recipe.json\n");
    return code;
}

static const option options[] = { { .name = "--version",
                                    .help = "the library's version and how it was built" },
                                  { .name = "--help", .help = "the commands" },
                                  { .name = NULL } };

/* docs/kdistill.1 */
static const page whole = {
    "kdistill",
    "distillation of models without a line of code",
    "COMMAND [options]\n",
    "train: trains a student as a recipe says; a killed run continues.\n"
    "store: fills, shows, checks, joins and converts teacher stores.\n"
    "generate: writes texts with a language model.\n"
    "judge: judges answers by what was expected: pass@1 and pass@k.\n"
    "report: reports of runs as HTML, Markdown or text.\n"
    "plan: what a run will cost, before anything runs.\n"
    "Each has a page of its own, as kdistill-train(1), and --help.",
    options,
    "kdistill train --init language-model > recipe.json\nkdistill train recipe.json\n"
};

static int unknown(const char *word)
{
    const char *known[COMMANDS];
    for (int i = 0; i < COMMANDS; i++) known[i] = commands[i].name;
    const char *near = nearest(word, known, COMMANDS);
    say(EXIT_USAGE, "expected a command, got '%s'%s%s%s", word, near ? "; did you mean '" : "",
        near ? near : "", near ? "'?" : "");
    return help(stderr, EXIT_USAGE);
}

/* The program's name without its folder: a link named kdistill-store is `kdistill store`. */
static const char *named_command(const char *program)
{
    const char *name = program + strlen(program);
    while (name > program && !kd__os_separates(name[-1])) name--;
    return strncmp(name, "kdistill-", 9) ? NULL : name + 9;
}

int main(int count, char **words)
{
    kd__os_begin_program(&count, &words);
    const char *of_name = named_command(count ? words[0] : "");
    for (int i = 0; of_name && i < COMMANDS; i++)
        if (!strcmp(of_name, commands[i].name)) return commands[i].run(count, words);
    if (count < 2) return help(stderr, EXIT_USAGE);
    const char *word = words[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help"))
        return help(stdout, EXIT_DONE);
    if (!strcmp(word, "--help-man")) return words_print_man(&whole), EXIT_DONE;
    if (!strcmp(word, "--version")) return puts(kd_build_info()), EXIT_DONE;
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(word, commands[i].name)) return commands[i].run(count - 1, words + 1);
    return unknown(word);
}
