/* Command lines: one table of options a command reads them, checks them and prints its help. */
#ifndef KD_TOOL_COMMAND_LINE_H
#define KD_TOOL_COMMAND_LINE_H

#include <stdint.h>

#include "tool/say.h"

enum {
    WORD_FLAG,    /* int: 1 */
    WORD_TEXT,    /* const char *: the next word */
    WORD_TEXTS,   /* texts: may be repeated */
    WORD_INTEGER, /* int64_t, low to high; also as 4e9 */
    WORD_SMALL,   /* int32_t, likewise */
    WORD_NUMBER,  /* double, low to high */
    WORD_CHOICE   /* int32_t: the value of a name in `choices` */
};

typedef struct texts {
    const char **items;
    int count;
} texts;

typedef struct choice {
    const char *name; /* NULL ends a list */
    int32_t value;
} choice;
/* The numbers that products are computed with. */
extern const choice choices_of_weights[];

typedef struct option {
    const char *name; /* "--max-tokens"; NULL ends a list */
    int kind;
    void *to;
    const char *value; /* what the help calls its value: "N" */
    const char *help;
    double low, high;
    const choice *choices;
} option;

/* A command's page. The help has the sections of a manual page. */
typedef struct page {
    const char *name;     /* "kdistill train" */
    const char *purpose;  /* in a line, lowercase */
    const char *synopsis; /* a line for each form, without the name */
    const char *text;     /* paragraphs, an empty line between them */
    const option *options;
    const char *examples; /* a line each */
} page;

/* Options that every command has. */
#define COMMON_OPTIONS                                                                             \
    { .name = "--json", .to = &saying.json, .help = "results and errors as JSON" },                \
        { .name = "--quiet", .to = &saying.quiet, .help = "no progress bar and no notes" },        \
        { .name = "--help", .help = "this page" },                                                 \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* Reads words[1] .. words[count - 1]. What is no option goes into `rest`, which has room for
 * `count` words. Returns -1: go on; else the exit code, after the help or a message. */
int words_read(const page *p, int count, char **words, const char **rest, int *rest_count);

/* Messages for whole words that are numbers. 0: it is none, and nothing is said. */
int read_integer(const char *text, int64_t *value);
int read_number(const char *text, double *value);
/* The value of a name; 0: there is no such name. */
int read_choice(const choice *choices, const char *name, int32_t *value);
/* "a, b or c" */
void list_choices(const choice *choices, char *to, int size);

/* The page as roff, for man. */
void words_print_man(const page *p);

#endif
