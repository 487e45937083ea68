/* Objects of a recipe read by tables: one row a key says its type, its bounds and where it goes. */
#ifndef KD_TOOL_KEYS_H
#define KD_TOOL_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "tool/tree.h"
#include "tool/command_line.h"

typedef enum {
    KEY_TEXT,    /* const char *; "" for null */
    KEY_TEXTS,   /* texts: one or a list */
    KEY_INTEGER, /* int64_t, low to high */
    KEY_NUMBER,  /* double, low to high */
    KEY_BOOL,    /* int32_t */
    KEY_CHOICE,  /* int32_t: the value of a name in `choices` */
    KEY_OBJECT,  /* a struct at that place, read by `keys` */
    KEY_NODE,    /* const node *: read by its owner */
    KEY_SCHEDULE /* schedule_plan: a number, or an object (train_schedule.c) */
} key_type;

typedef struct recipe_key {
    const char *name; /* NULL ends a table */
    key_type type;
    size_t offset;
    double low, high;
    const choice *choices;
    const struct recipe_key *keys;
} recipe_key;

/* Where a message goes: the first one counts. */
typedef struct problem {
    const char *file;
    char text[768];
} problem;

/* Sets the message "file:line: where: ..". Returns 0. */
int wrong_at(problem *p, const node *n, const char *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Reads an object into `to`. What the object does not have is left alone. 0: the problem says which
 * key, what was expected and what is there. `where`: the object's path, "" for the whole. */
int keys_read(problem *p, const char *where, const node *object, const recipe_key *keys, void *to);
/* One value, as a row describes it. */
int keys_read_value(problem *p, const char *where, const node *n, const recipe_key *k, void *to);

#endif
