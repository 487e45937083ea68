/* Insides of imports: a record is gathered from a line, whatever its form, and committed. */
#ifndef KD_STORE_IMPORT_H
#define KD_STORE_IMPORT_H

#include <kdistill/import.h>

#include "base/file.h"
#include "base/table.h"
#include "formats/json.h"
#include "core/store/writer.h"

typedef struct kd__import {
    kd_context *context;
    kd_store_writer *writer;
    const char *path, *field;
    kd_import_options o;
    kd_import_counts counts;
    /* the token table */
    kd__text strings; /* entries: length, id, bytes */
    kd__table table;  /* of offsets in `strings`, by an entry's bytes */
    int64_t strings_seen;
    int32_t byte_level, marked; /* how the table spells: GPT-2's alphabet, U+2581 for a space */
    char unmapped[48];          /* the first string without an id */
    /* the record at hand */
    int64_t *offsets, *ids, *tokens;
    float *values;
    int64_t rows, entries, token_count, offsets_room, ids_room, values_room, tokens_room;
    int32_t unknown_tokens; /* of `tokens`: without an id */
    int64_t unseen;         /* records whose rows begin at a prompt that their lines do not have */
    /* where in the line: for messages */
    const char *member;
    int64_t choice, item; /* -1: none */
} kd__import;

/* ---- tokens (import_tokens.c) ---- */
kd_status kd__import_read_table(kd__import *m);
/* The id of a token's text as a server writes it; -1: it has none, which is counted. */
int64_t kd__import_id(kd__import *m, const char *text, int64_t length);

/* ---- rows (import_rows.c) ---- */
void kd__import_begin(kd__import *m);
kd_status kd__import_row(kd__import *m);
/* An entry of the row at hand, unless it is absent or there already; nothing for an id below 0. */
kd_status kd__import_entry(kd__import *m, int64_t id, double log_p);
/* A token of the text, -1: one without an id. */
kd_status kd__import_token(kd__import *m, int64_t id);
/* The record: its key is of its tokens, its first row predicts the token after `prompt` of them. */
kd_status kd__import_commit(kd__import *m, int64_t prompt);
kd_status kd__import_commit_numbered(kd__import *m);

/* ---- values of JSON (import_values.c) ---- */

/* KD_ERR_FORMAT: where in the line, and what. */
kd_status kd__import_bad(const kd__import *m, const char *what);
/* A list, or NULL where it is absent or null; something else is refused by its name. */
kd_status kd__import_list(kd__import *m, const kd__json *from, const char *name,
                          const kd__json **list);
/* A log-probability: a number, null or a text that stands for minus infinity. `node` NULL is
 * refused. */
kd_status kd__import_log(kd__import *m, const kd__json *node, double *log_p);
kd_status kd__import_integer(kd__import *m, const kd__json *node, int64_t *id);
/* { "id", "bytes", "token" or "text" or "tok_str", "logprob" or "prob" }: what of these is
 * there. */
kd_status kd__import_object(kd__import *m, const kd__json *node, int64_t *id, double *log_p);
/* Ids of the prompt in front of an answer, from "prompt_token_ids" of the line or of the choice. */
kd_status kd__import_prompt(kd__import *m, const kd__json *line, const kd__json *choice);

/* ---- forms (import_openai.c, import_servers.c) ---- */
kd_status kd__import_openai(kd__import *m, const kd__json *line);
kd_status kd__import_vllm(kd__import *m, const kd__json *line);
kd_status kd__import_llama_cpp(kd__import *m, const kd__json *line);
kd_status kd__import_sglang(kd__import *m, const kd__json *line);
kd_status kd__import_tgi(kd__import *m, const kd__json *line);

#endif
