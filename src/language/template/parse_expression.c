/* Expressions, by precedence climbing. From loosest to tightest: x if y else z; or; and; not;
 * comparisons; + -; ~; * / // %; **; signs; then attributes, subscripts, calls, and filters and
 * tests, which bind tighter than a sign before them does not. */
#include "language/template/parse.h"

enum {
    LEVEL_OR = 1,
    LEVEL_AND,
    LEVEL_NOT,
    LEVEL_COMPARE,
    LEVEL_ADD,
    LEVEL_CONCAT,
    LEVEL_MULTIPLY,
    LEVEL_POWER
};

static kd_status parse_unary(kd__parser *p, int32_t with_filters, kd__node **out);

/* ---- operators between two values ---- */

typedef struct {
    const char *text;
    int32_t level, op, is_name;
} infix;

static const infix infixes[] = { { "or", LEVEL_OR, 0, 1 },
                                 { "and", LEVEL_AND, 0, 1 },
                                 { "==", LEVEL_COMPARE, KD__EQ, 0 },
                                 { "!=", LEVEL_COMPARE, KD__NE, 0 },
                                 { "<", LEVEL_COMPARE, KD__LT, 0 },
                                 { "<=", LEVEL_COMPARE, KD__LE, 0 },
                                 { ">", LEVEL_COMPARE, KD__GT, 0 },
                                 { ">=", LEVEL_COMPARE, KD__GE, 0 },
                                 { "in", LEVEL_COMPARE, KD__IN, 1 },
                                 { "not", LEVEL_COMPARE, KD__NOT_IN, 1 }, /* when "in" follows */
                                 { "+", LEVEL_ADD, KD__ADD, 0 },
                                 { "-", LEVEL_ADD, KD__SUBTRACT, 0 },
                                 { "~", LEVEL_CONCAT, 0, 0 },
                                 { "*", LEVEL_MULTIPLY, KD__MULTIPLY, 0 },
                                 { "/", LEVEL_MULTIPLY, KD__DIVIDE, 0 },
                                 { "//", LEVEL_MULTIPLY, KD__FLOOR_DIVIDE, 0 },
                                 { "%", LEVEL_MULTIPLY, KD__MODULO, 0 },
                                 { "**", LEVEL_POWER, KD__POWER, 0 } };

static const infix *find_infix(const kd__parser *p)
{
    if (p->now.type != KD__T_NAME && p->now.type != KD__T_OPERATOR) return NULL;
    for (size_t i = 0; i < sizeof infixes / sizeof *infixes; i++) {
        const infix *x = &infixes[i];
        if (!(x->is_name ? kd__parse_is_name(&p->now, x->text) : kd__parse_is(&p->now, x->text)))
            continue;
        return x->op == KD__NOT_IN && x->is_name && *x->text == 'n' &&
                       !kd__parse_is_name(&p->ahead, "in")
                   ? NULL
                   : x;
    }
    return NULL;
}

static int32_t type_of_level(int32_t level)
{
    static const int32_t types[] = { 0,          KD__OR,     KD__AND,    KD__NOT,   KD__COMPARE,
                                     KD__BINARY, KD__CONCAT, KD__BINARY, KD__BINARY };
    return types[level];
}

static kd_status parse_binary(kd__parser *p, int32_t lowest, kd__node **out);

/* Operators of one level in a row are one node: `first` and a list of what follows, each with
 * its operator. */
static kd_status parse_chain(kd__parser *p, const infix *x, kd__node *first, kd__node **out)
{
    const int32_t level = x->level;
    kd__node **tail;
    KD_TRY(kd__node_new(p, type_of_level(level), out));
    (*out)->line = first->line;
    (*out)->a = first;
    tail = &(*out)->b;
    for (; x && x->level == level; x = find_infix(p), tail = &(*tail)->next) {
        kd__node *link, *operand;
        KD_TRY(kd__parse_next(p));
        if (x->op == KD__NOT_IN && level == LEVEL_COMPARE) KD_TRY(kd__parse_next(p));
        KD_TRY(parse_binary(p, level == LEVEL_AND ? LEVEL_NOT : level + 1, &operand));
        KD_TRY(kd__node_new(p, KD__CHOICE, &link)); /* a link: its operator and its operand */
        link->op = (uint8_t)x->op;
        link->a = operand;
        *tail = link;
    }
    return KD_OK;
}

static kd_status parse_not(kd__parser *p, kd__node **out)
{
    kd__node *operand;
    KD_TRY(kd__node_new(p, KD__NOT, out));
    KD_TRY(kd__parse_next(p));
    KD_TRY(parse_binary(p, LEVEL_NOT, &operand));
    (*out)->a = operand;
    return KD_OK;
}

static kd_status parse_binary(kd__parser *p, int32_t lowest, kd__node **out)
{
    KD_TRY(kd__parse_deeper(p));
    const int negated = lowest <= LEVEL_NOT && kd__parse_is_name(&p->now, "not");
    KD_TRY(negated ? parse_not(p, out) : parse_unary(p, 1, out));
    for (const infix *x = find_infix(p);
         x && x->level >= lowest && !(negated && x->level > LEVEL_NOT); x = find_infix(p))
        KD_TRY(parse_chain(p, x, *out, out));
    p->depth--;
    return KD_OK;
}

kd_status kd__parse_expression(kd__parser *p, int32_t flags, kd__node **out)
{
    const kd__node *unknown = p->unknown;
    int32_t there;
    KD_TRY(parse_binary(p, LEVEL_OR, out));
    if (flags & KD__NO_CHOICE) return KD_OK;
    KD_TRY(kd__parse_skip_name(p, "if", &there));
    while (there) {
        kd__node *choice;
        KD_TRY(kd__node_new(p, KD__CHOICE, &choice));
        choice->b = *out;
        *out = choice;
        KD_TRY(parse_binary(p, LEVEL_OR, &choice->a));
        KD_TRY(kd__parse_skip_name(p, "else", &there));
        if (there) {
            KD_TRY(kd__parse_deeper(p));
            KD_TRY(kd__parse_expression(p, 0, &choice->c));
            p->depth--;
        }
        p->unknown = unknown; /* what a choice does not come to is no error */
        KD_TRY(kd__parse_skip_name(p, "if", &there));
    }
    return KD_OK;
}

static int ends_tuple(const kd__parser *p, const char *stop)
{
    return p->now.type == KD__T_VARIABLE_END || p->now.type == KD__T_BLOCK_END ||
           kd__parse_is(&p->now, ")") || (stop && kd__parse_is_name(&p->now, stop));
}

/* One thing, or with commas a tuple of them. */
kd_status kd__parse_several(kd__parser *p, int32_t flags, const char *stop, int32_t targets,
                            kd__node **out)
{
    kd__node *first = NULL, **tail = &first;
    int32_t comma = 0, line = p->now.line;
    while (!ends_tuple(p, stop)) {
        KD_TRY(targets ? kd__parse_target(p, NULL, targets - 1, tail)
                       : kd__parse_expression(p, flags, tail));
        tail = &(*tail)->next;
        if (!kd__parse_is(&p->now, ",")) break;
        KD_TRY(kd__parse_next(p));
        comma = 1;
    }
    if (!comma) return *out = first, KD_OK;
    KD_TRY(kd__node_new(p, KD__LIST_OF, out));
    (*out)->flags = KD__V_TUPLE;
    (*out)->line = line;
    (*out)->a = first;
    return KD_OK;
}

kd_status kd__parse_tuple(kd__parser *p, int32_t flags, const char *stop, kd__node **out)
{
    KD_TRY(kd__parse_several(p, flags, stop, 0, out));
    return *out ? KD_OK : kd__parse_unexpected(p, "an expression");
}

/* ---- signs ---- */

static kd_status parse_sign(kd__parser *p, kd__node **out)
{
    kd__node *n;
    KD_TRY(kd__node_new(p, KD__UNARY, &n));
    n->op = kd__parse_is(&p->now, "-") ? KD__SUBTRACT : KD__ADD;
    KD_TRY(kd__parse_next(p));
    KD_TRY(parse_unary(p, 0, &n->a));
    *out = n;
    return KD_OK;
}

static kd_status parse_unary(kd__parser *p, int32_t with_filters, kd__node **out)
{
    KD_TRY(kd__parse_deeper(p));
    const int sign = kd__parse_is(&p->now, "-") || kd__parse_is(&p->now, "+");
    KD_TRY(sign ? parse_sign(p, out) : kd__parse_primary(p, out));
    KD_TRY(kd__parse_postfix(p, out));
    while (with_filters) {
        if (kd__parse_is(&p->now, "|")) KD_TRY(kd__parse_filters(p, *out, 0, out));
        else if (kd__parse_is_name(&p->now, "is")) KD_TRY(kd__parse_test(p, out));
        else if (kd__parse_is(&p->now, "(")) KD_TRY(kd__parse_call(p, out));
        else break;
    }
    p->depth--;
    return KD_OK;
}

/* ---- targets ---- */

static kd_status parse_single_target(kd__parser *p, int32_t with_attributes, kd__node **out)
{
    int32_t there;
    KD_TRY(kd__node_new(p, KD__CONSTANT, out));
    if (p->now.type != KD__T_NAME) return kd__parse_unexpected(p, "a name to set");
    KD_TRY(kd__parse_word(p, *out));
    if ((*out)->type == KD__CONSTANT) return kd__parse_bad(p, "true, false and none cannot be set");
    if (!with_attributes) return KD_OK;
    KD_TRY(kd__parse_skip(p, ".", &there));
    if (!there) return KD_OK;
    if (p->now.type != KD__T_NAME) return kd__parse_unexpected(p, "an attribute's name");
    (*out)->type = KD__NAME_OF;
    (*out)->value = kd__string(p->now.text, p->now.bytes);
    return kd__parse_next(p);
}

kd_status kd__parse_target(kd__parser *p, const char *stop, int32_t with_attributes, kd__node **out)
{
    int32_t there;
    const uint8_t uses = p->uses; /* a name that is set is not used */
    KD_TRY(kd__parse_deeper(p));
    if (stop) KD_TRY(kd__parse_several(p, 0, stop, with_attributes + 1, out));
    else {
        KD_TRY(kd__parse_skip(p, "(", &there));
        KD_TRY(there ? kd__parse_several(p, 0, NULL, with_attributes + 1, out)
                     : parse_single_target(p, with_attributes, out));
        if (there) KD_TRY(kd__parse_expect(p, ")"));
    }
    p->depth--;
    p->uses = uses;
    return *out ? KD_OK : kd__parse_unexpected(p, "a name to set");
}
