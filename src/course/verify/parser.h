/* The parser of flat texts: parse.c has the grammar, names.c what \name stands for. */
#ifndef KD_VERIFY_PARSER_H
#define KD_VERIFY_PARSER_H

#include "course/verify/verify.h"

typedef struct {
    kd__tree *tree;
    const char *at, *end;
    int depth, failed;
    int bars; /* open | of absolute values, whose next | closes */
} kd__parser;

/* Children in the order in which they are added. */
typedef struct {
    uint16_t first, last;
} kd__chain;

static inline void kd__chain_add(kd__parser *p, kd__chain *chain, uint16_t node, char sign)
{
    if (sign) p->tree->nodes[node].sign = (uint8_t)sign;
    if (chain->last) p->tree->nodes[chain->last].next = node;
    else chain->first = node;
    chain->last = node;
}

/* The next sign, 0 at the end. */
static inline char kd__parser_peek(kd__parser *p)
{
    if (p->at < p->end && *p->at == KD__NAME_END) p->at++;
    return p->at < p->end ? *p->at : 0;
}

uint16_t kd__parser_fail(kd__parser *p);
uint16_t kd__parser_node(kd__parser *p, int op, const char *at, uint16_t first);
uint16_t kd__parser_pair(kd__parser *p, int op, uint16_t first, uint16_t second);
uint16_t kd__parser_quotient(kd__parser *p, uint16_t first, uint16_t second);
int kd__parser_take(kd__parser *p, char c);
/* Takes \name. */
int kd__parser_name(kd__parser *p, const char *name);
uint16_t kd__parser_command(kd__parser *p);
uint16_t kd__parser_variable(kd__parser *p, const char *from);
uint16_t kd__parser_primary(kd__parser *p);
uint16_t kd__parser_argument(kd__parser *p, int many);
uint16_t kd__parser_power(kd__parser *p);
uint16_t kd__parser_sum(kd__parser *p);
uint16_t kd__parser_list(kd__parser *p);

#endif
