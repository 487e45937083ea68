/* What a command says, how it ends, and the memory that it takes: shared by all subcommands. */
#ifndef KD_TOOL_SAY_H
#define KD_TOOL_SAY_H

#include <kdistill.h>
#include <stddef.h>
#include <stdio.h>

/* How a command ends: docs/command.md lists these. */
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,   /* something could not be done: standard error says what */
    EXIT_USAGE = 2,    /* the command line is wrong */
    EXIT_REFUSED = 3,  /* the recipe is wrong: nothing was started */
    EXIT_STOPPED = 130 /* a signal stopped it: the same command continues */
};

/* Whose messages follow ("kdistill train"); `json`: errors are also JSON on standard output;
 * `quiet`: no bar and no notes; `listens`: the library's warnings are passed on (once its context
 * is there: what it says of BLAS before that it repairs itself). */
extern struct saying {
    const char *command;
    int json, quiet, listens;
} saying;

/* An error in one line; returns `code`. */
int say(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The library's last error; EXIT_FAILED, or EXIT_STOPPED if a signal ended the call. */
int say_library(void);
/* A line for people on standard error; nothing with --quiet. */
void say_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The library's warnings, as lines on standard error. */
extern const kd_logger say_logger;

/* Ends the function with the library's error. */
#define NEED(call)                                                                                 \
    do {                                                                                           \
        if ((call) < 0) return say_library();                                                      \
    } while (0)
/* Ends the function with the code of a part that did not end well. */
#define PART(call)                                                                                 \
    do {                                                                                           \
        const int code_of_part = (call);                                                           \
        if (code_of_part != EXIT_DONE) return code_of_part;                                        \
    } while (0)

/* Memory: zeros, or the command ends with a message. */
void *take(size_t bytes);
void *take_more(void *block, size_t bytes);
char *take_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A text as JSON writes it, quotes included; a number, null where it is not finite. */
void json_put_text(FILE *to, const char *text);
void json_put_number(FILE *to, double number);

/* The known word that is spelled most like this one; NULL: none is near. */
const char *nearest(const char *word, const char *const *known, int count);

/* The first SIGINT or SIGTERM is remembered, so that a command ends where it can continue; the
 * second one kills. */
void signals_watch(void);
int signals_came(void);
/* on: the library's calls are not stopped in their middle. */
void signals_hold(int on);
int signals_are_held(void);

#endif
