/* Insides of the parser: tokens with one ahead, and how nodes are made. */
#ifndef KD_TEMPLATE_PARSE_H
#define KD_TEMPLATE_PARSE_H

#include "language/template/lexer.h"
#include "language/template/node.h"

typedef struct kd__parser {
    kd__template *t;
    kd__lexer lexer;
    kd__lexeme now, ahead;
    int32_t depth;
    int32_t loops; /* for tags around this place, within the same macro */
    uint8_t uses;  /* special names that the macro being read uses */
    int32_t soft;  /* directly within an if: an unknown filter is an error when it is reached */
    const kd__node *unknown; /* a filter or a test whose tag is at fault, if it is no x if y */
} kd__parser;

kd_status kd__parse_bad(const kd__parser *p, const char *why);
kd_status kd__parse_unexpected(const kd__parser *p, const char *expected);
kd_status kd__parse_unsupported(const kd__parser *p, const char *what, const char *name,
                                int64_t bytes);

kd_status kd__parse_next(kd__parser *p);
int kd__parse_is(const kd__lexeme *token, const char *text);      /* an operator */
int kd__parse_is_name(const kd__lexeme *token, const char *text); /* a name */
/* Goes over it when it is there: *there. */
kd_status kd__parse_skip(kd__parser *p, const char *text, int32_t *there);
kd_status kd__parse_skip_name(kd__parser *p, const char *text, int32_t *there);
kd_status kd__parse_expect(kd__parser *p, const char *text);
/* Every kind of thing inside another begins with this, and ends with p->depth--. */
kd_status kd__parse_deeper(kd__parser *p);

kd_status kd__node_new(kd__parser *p, int32_t type, kd__node **out);
kd_status kd__parse_name_number(kd__parser *p, const char *text, int64_t bytes, int32_t *number);

/* ---- values, in parse_value.c ---- */
kd_status kd__parse_primary(kd__parser *p, kd__node **out);
kd_status kd__parse_postfix(kd__parser *p, kd__node **out);
kd_status kd__parse_call(kd__parser *p, kd__node **out);
kd_status kd__parse_test(kd__parser *p, kd__node **out);
/* The node's filter or test is none: its name is the token that is next. */
void kd__parse_unknown(kd__parser *p, kd__node *n);
/* A name: true, false and none are constants, others variables. */
kd_status kd__parse_word(kd__parser *p, kd__node *n);
kd_status kd__parse_number(kd__parser *p, kd__value *value);

/* ---- expressions ---- */
#define KD__NO_CHOICE 1 /* no x if y else z */
kd_status kd__parse_expression(kd__parser *p, int32_t flags, kd__node **out);
/* An expression, or a tuple of them; `stop` (may be NULL): a name that ends it. */
kd_status kd__parse_tuple(kd__parser *p, int32_t flags, const char *stop, kd__node **out);
/* The same where there may be none, of values (targets 0) or targets (1; 2: with attributes). */
kd_status kd__parse_several(kd__parser *p, int32_t flags, const char *stop, int32_t targets,
                            kd__node **out);
/* What set, for and with give values to; `stop` as above. */
kd_status kd__parse_target(kd__parser *p, const char *stop, int32_t with_attributes,
                           kd__node **out);
/* Filters after `of`: |a|b(c); first: a name follows at once, as in {% filter a|b %}. */
kd_status kd__parse_filters(kd__parser *p, kd__node *of, int32_t first, kd__node **out);

#endif
