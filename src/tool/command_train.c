/* kdistill train: a whole distillation from a recipe. */
#include <stdlib.h>
#include <string.h>

#include "tool/command.h"
#include "tool/say.h"
#include "tool/train.h"

static const char *init;
static texts overrides;
static int restart;

static const option options[] = {
    { "--init", WORD_TEXT, &init, "KIND",
      "print a recipe to begin with: language-model (text, a teacher that runs beside it), "
      "from-store (the same from stored answers), classifier (arrays)",
      0, 0, NULL },
    { "--set", WORD_TEXTS, &overrides, "KEY=VALUE",
      "another value for a key of the recipe, as batch.tokens=2048; may be repeated", 0, 0, NULL },
    { "--restart", WORD_FLAG, &restart, NULL, "forget what the folder has and begin again", 0, 0,
      NULL },
    COMMON_OPTIONS
};

static const page help = {
    "kdistill train",
    "train a student as a recipe says",
    "RECIPE.json [--set KEY=VALUE].. [--restart]\n--init KIND > RECIPE.json\n",
    "Reads a recipe, a JSON file (// begins a comment) that names teacher, student, data and how "
    "to "
    "learn; trains; and leaves in the recipe's folder \"out\" the student (a folder that "
    "transformers loads where it has such a model), report.html, report.json and log.jsonl.\n"
    "The state is saved as the run goes on. After a kill, a signal or a power failure the same "
    "command continues from there, and ends with the same bits as a run that was never stopped, "
    "for "
    "any number of threads. A run that is done prints its report.\n"
    "A key that is unknown is refused by name, with the one that is spelled most like it. Names of "
    "files are relative to the recipe's folder; \"-\" reads the recipe from standard input.",
    options,
    "kdistill train --init language-model > recipe.json\n"
    "kdistill train recipe.json\n"
    "kdistill train recipe.json --set learning_rate=3e-4 --set out=run-2\n"
};

int command_train(int count, char **words)
{
    static train_run run;
    const char **rest = take((size_t)count * sizeof *rest);
    int rest_count;
    int code = words_read(&help, count, words, rest, &rest_count);
    if (code < 0 && init) {
        code = recipe_start(init, stdout)
                   ? EXIT_DONE
                   : say(EXIT_USAGE, "--init: expected %s, got '%s'", recipe_start_kinds, init);
    } else if (code < 0 && rest_count != 1)
        code = say(EXIT_USAGE,
                   "expected a recipe, got %d words; kdistill train --init "
                   "language-model prints one to begin with",
                   rest_count);
    if (code < 0) {
        signals_watch();
        code = recipe_load(&run.recipe, rest[0], &overrides);
        if (code == EXIT_DONE) run.folder = recipe_path(&run.recipe, run.recipe.out);
        if (code == EXIT_DONE) code = train_go(&run, restart);
        train_free(&run);
    }
    free(overrides.items);
    free(rest);
    return code;
}
