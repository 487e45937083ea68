/* A small JSON reader (RFC 8259): a tree of nodes over one block of memory. Hostile input gives
 * KD_ERR_FORMAT with the byte where it went wrong. Depth at most 64; duplicate keys are refused;
 * strings may hold zero bytes (length is kept). */
#ifndef KD_BASE_JSON_H
#define KD_BASE_JSON_H

#include <kdistill/context.h>

#include "base/status.h"

enum {
    KD__JSON_NULL,
    KD__JSON_BOOL,
    KD__JSON_NUMBER,
    KD__JSON_STRING,
    KD__JSON_ARRAY,
    KD__JSON_OBJECT
};

typedef struct kd__json {
    int32_t type;
    int32_t children; /* of an array or object */
    const char *key;  /* in an object, else NULL */
    const char *text; /* string, decoded; number, as it is written; a 0 after it */
    int64_t length;
    double number; /* number; 0 or 1 for a bool */
    struct kd__json *first, *next;
} kd__json;

typedef struct kd__json_document {
    kd_context *context;
    kd__json *nodes;
    char *strings;
    kd__json *root;
} kd__json_document;

/* `what` begins the messages; "": nothing does. */
kd_status kd__json_parse(kd__json_document *document, kd_context *context, const char *text,
                         size_t size, const char *what);
void kd__json_free(kd__json_document *document);

/* The member of an object, or NULL. */
const kd__json *kd__json_member(const kd__json *object, const char *key);
/* Changes a number, its text with it. */
void kd__json_set(kd__json *node, double number);
/* Appends a value as JSON text. */
struct kd__text;
kd_status kd__json_write(struct kd__text *to, const kd__json *node);
/* A whole number within bounds; `what` begins the message. */
kd_status kd__json_integer(const kd__json *node, int64_t low, int64_t high, int64_t *value,
                           const char *what);

#endif
