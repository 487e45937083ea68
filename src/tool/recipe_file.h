/* A recipe: what `kdistill train` is told, read and checked before anything starts. Names of files
 * are relative to the recipe's folder. docs/command.md lists the keys. */
#ifndef KD_TOOL_RECIPE_FILE_H
#define KD_TOOL_RECIPE_FILE_H

#include <kdistill.h>

#include "tool/keys.h"
#include "tool/train_schedule.h"

enum {
    TERM_NUMBERS = 23, /* KD_TERM_TEMPERATURE .. but the weight */
    UNSET = -99
};

typedef struct recipe_teacher {
    texts model; /* several: an ensemble */
    texts store;
    const node *arrays; /* {"logits": file} */
    int32_t weights, packed_only, missing, any_tokens, any_view, once;
} recipe_teacher;

typedef struct recipe_lora {
    int64_t rank; /* 0: none */
    double alpha; /* 0: twice the rank */
    const char *pattern;
} recipe_lora;

typedef struct recipe_student {
    const char *model, *preset, *from;
    const node *config; /* an object, or a file's name */
    const node *change; /* keys over the teacher's, for a cut */
    recipe_lora lora;
    texts freeze;
    int64_t layers, hidden_size, intermediate_size, key_value_heads;
    int32_t choose, calibrate, recompute, activations, weights, packed_only;
} recipe_student;

/* One of text, records, arrays, idx, csv. */
typedef struct recipe_data {
    texts text, records;
    const node *arrays;
    const char *idx, *part, *csv;
    int64_t length, max_tokens, limit, label_column;
    int32_t split, chat, bad_lines, unsupported, train_on_prompt, keep_reasoning, header;
} recipe_data;

#define SPLIT_WINDOW 0
#define SPLIT_LINE 1

typedef struct recipe_validation {
    recipe_data data;
    double share;
    int64_t every, limit, patience;
    int32_t metric, keep;
} recipe_validation;

#define METRIC_LOSS 0
#define METRIC_CROSS_ENTROPY 1
#define METRIC_ACCURACY 2
#define METRIC_AGREEMENT 3

typedef struct recipe_batch {
    int64_t samples, tokens, texts, accumulate, shift;
    int32_t shuffle, drop_last, flip;
} recipe_batch;

typedef struct recipe_projection {
    int32_t kind, start; /* kind 0: none */
    const char *name;
} recipe_projection;

typedef struct recipe_term {
    const char *name;
    const char *student_output, *teacher_field, *label_field, *mask_field, *weight_field;
    recipe_projection projection;
    int64_t classes, ignore_label;
    int32_t kind, align, t2, nonfinite, count, tail, retemper, correction, layers;
    schedule_plan weight, numbers[TERM_NUMBERS];
} recipe_term;

typedef struct recipe_group {
    const char *pattern;
    double learning_rate, weight_decay, max_norm;
    int32_t frozen, lazy;
} recipe_group;

typedef struct recipe_optimizer {
    int32_t kind, nesterov;
    double momentum, beta1, beta2, epsilon, weight_decay, clip_norm, clip_value, max_norm,
        average_decay;
    const node *groups_node;
    recipe_group *groups;
    int32_t group_count;
} recipe_optimizer;

typedef struct recipe_save {
    int32_t dtype, expand;
    int64_t shard_bytes;
} recipe_save;

typedef struct recipe {
    const char *out, *tokenizer, *note;
    int64_t seed, threads, steps, checkpoint_every, log_every;
    double epochs;
    int32_t precision, has_teacher, has_validation;
    recipe_teacher teacher;
    recipe_student student;
    recipe_data data;
    recipe_validation validation;
    recipe_batch batch;
    recipe_optimizer optimizer;
    recipe_save save;
    schedule_plan learning_rate;
    recipe_term *terms;
    int32_t term_count;
    const node *terms_node;
    tree source;
    char *folder;    /* that names of files begin at, with '/' at its end; "" here */
    char *text;      /* the file's bytes */
    char *canonical; /* the recipe without what does not change its result */
} recipe;

/* Numbers of a term by name, in the order of recipe_term.numbers. */
typedef struct term_number {
    const char *name;
    int32_t number;
} term_number;
extern const term_number term_numbers[TERM_NUMBERS + 1];
/* Names of kinds of terms. */
extern const choice term_kinds[];
const char *term_kind_name(int32_t kind);

/* Reads a file ("-": standard input) with the overrides "key=value" of the command line. Returns an
 * exit code; the message was said. */
int recipe_load(recipe *r, const char *path, const texts *overrides);
void recipe_free(recipe *r);
/* The list "loss" (recipe_terms.c). */
int recipe_read_terms(problem *p, recipe *r);
/* A name of the recipe as a path: "$NAME/.." begins with a variable of the environment. Freed by
 * free(). */
char *recipe_path(const recipe *r, const char *name);
/* Does the data consist of tokens? */
int recipe_is_of_tokens(const recipe_data *d);
int recipe_has_data(const recipe_data *d);

/* A whole file with a 0 after it; NULL after a message. */
char *file_read(const char *path, size_t *size);
int file_exists(const char *path);
/* Makes a folder and those above it. */
int folder_make(const char *path);
/* Keeps other processes out of a folder until this one ends. */
int folder_lock(const char *folder);
/* Cuts a file at so many bytes. */
int file_cut(const char *path, int64_t bytes);
/* Writes a whole file beside its place and renames it. */
int file_write(const char *path, const char *text, size_t size);
/* Copies a file where there is one and the other is not there yet. */
int file_copy(const char *from, const char *to);

/* Prints a recipe to begin with; 0: there is no such kind. */
int recipe_start(const char *kind, FILE *to);
extern const char recipe_start_kinds[];

#endif
