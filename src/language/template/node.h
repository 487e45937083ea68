/* A parsed template: a tree of nodes. */
#ifndef KD_TEMPLATE_NODE_H
#define KD_TEMPLATE_NODE_H

#include "language/template/template.h"

/* What a node is, and what its parts hold. Lists of nodes are chained by `next`. */
enum {
    /* statements */
    KD__TEXT,  /* value                                                            */
    KD__PRINT, /* a: the expression                                                */
    KD__IF,    /* a: test, b: body, c: else                                        */
    KD__FOR,   /* a: target, b: body, c: else, d: what is gone through, e: its filter */
    KD__BREAK,
    KD__CONTINUE,
    KD__SET,          /* a: target, b: expression                                         */
    KD__SET_BLOCK,    /* a: target, b: body, c: filters around KD__BLOCK_VALUE            */
    KD__WITH,         /* a: targets, c: their expressions, b: body                        */
    KD__DEFINE,       /* a macro; name, a: parameters (KD__NAME, a: default), b: body, flags */
    KD__CALL_BLOCK,   /* a: the call, c: parameters, b: body, flags                       */
    KD__FILTER_BLOCK, /* c: filters around KD__BLOCK_VALUE, b: body                     */
    KD__GENERATION,   /* b: body                                                          */
    /* expressions */
    KD__CONSTANT, /* value                                                            */
    KD__NAME,     /* name                                                             */
    KD__NAME_OF,  /* target of set: name, value: the attribute                        */
    KD__LIST_OF,  /* a: items; flags: type of the value                               */
    KD__DICT_OF,  /* a: keys and values in turn                                       */
    KD__CHOICE,   /* a: test, b: then, c: else                                        */
    KD__AND,
    KD__OR,
    KD__NOT,
    KD__COMPARE,    /* a: first, b: the others, each with op                            */
    KD__BINARY,     /* op, a, b                                                         */
    KD__UNARY,      /* op, a                                                            */
    KD__CONCAT,     /* a: parts                                                         */
    KD__ATTRIBUTE,  /* a: of, value: name                                               */
    KD__ITEM,       /* a: of, b: which                                                  */
    KD__SLICE,      /* a: of, b, c, d: start, stop, step                                */
    KD__CALL,       /* a: what, b: arguments                                            */
    KD__FILTER,     /* a: of, b: arguments, callable (NULL: unknown, value: its name)   */
    KD__TEST,       /* the same                                                         */
    KD__BLOCK_VALUE /* what the block around it wrote                                   */
};

/* op of an argument */
enum { KD__ARGUMENT_PLAIN, KD__ARGUMENT_NAMED, KD__ARGUMENT_LIST, KD__ARGUMENT_DICT };
/* op of comparisons and of arithmetic */
enum { KD__EQ, KD__NE, KD__LT, KD__LE, KD__GT, KD__GE, KD__IN, KD__NOT_IN };
enum { KD__ADD, KD__SUBTRACT, KD__MULTIPLY, KD__DIVIDE, KD__FLOOR_DIVIDE, KD__MODULO, KD__POWER };
/* flags of a macro: special names that its body uses */
#define KD__USES_CALLER 1
#define KD__USES_VARARGS 2
#define KD__USES_KWARGS 4

typedef struct kd__node {
    uint8_t type, op, flags;
    int32_t line;
    int32_t name;     /* number among the template's names */
    int32_t argument; /* of an argument: how it is given */
    kd__value value;
    const struct kd__callable *callable;
    struct kd__node *a, *b, *c, *d, *e, *next;
} kd__node;

struct kd__template {
    kd_context *context;
    kd__room room;
    const char *title; /* of messages */
    kd__node *body;
    kd__value *names; /* texts of the names, each once */
    int64_t name_count, names_held;
    int32_t generates;
};

#endif
