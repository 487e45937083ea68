/* A recipe as a tree: JSON (RFC 8259) with comments from // to the line's end. Every value knows
 * its line. Depth at most 32; a key stands once in an object; texts are UTF-8 without zeros. */
#ifndef KD_TOOL_TREE_H
#define KD_TOOL_TREE_H

#include <stddef.h>
#include <stdio.h>

typedef enum { NODE_NULL, NODE_BOOL, NODE_NUMBER, NODE_TEXT, NODE_LIST, NODE_OBJECT } node_type;

typedef struct node {
    node_type type;
    int line, count;  /* count: entries of a list or an object */
    double number;    /* a number; 0 or 1 for a bool */
    const char *key;  /* in an object, else NULL */
    const char *text; /* a text; a number as it is written */
    struct node *first, *last, *next;
} node;

typedef struct tree {
    node *root;
    struct tree_block *blocks;
    const char *name; /* of the file, for messages */
    char error[512];  /* "recipe.json:12: expected .., got .." */
} tree;

/* Parses a text; `name` must live as long as the tree. 0: tree->error says what is wrong. Free it
 * either way. */
int tree_read(tree *t, const char *text, size_t size, const char *name);
void tree_free(tree *t);

/* The member of an object; NULL: it has none. */
node *node_member(const node *object, const char *key);
/* Puts a value under a dotted path ("batch.tokens"), making objects on the way. `value` is JSON;
 * what is none is a text. 0: tree->error. */
int tree_set(tree *t, const char *path, const char *value);
/* "a text", "a list", .. */
const char *node_kind(const node *n);
/* As JSON, without spaces. `leave_out`: a member of the root that is left out; NULL: none. Freed by
 * free(). */
char *node_write(const node *n, const char *leave_out);

#endif
