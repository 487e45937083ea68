/* Values of expressions: literals, names, lists, dicts, brackets; and what follows a value:
 * attributes, subscripts, calls, filters, tests. */
#include <string.h>

#include "base/numbers.h"
#include "language/template/callable.h"
#include "language/template/parse.h"

/* ---- values ---- */

static kd_status parse_items(kd__parser *p, kd__node **out)
{
    KD_TRY(kd__node_new(p, KD__LIST_OF, out));
    (*out)->flags = KD__V_LIST;
    kd__node **tail = &(*out)->a;
    KD_TRY(kd__parse_next(p));
    while (!kd__parse_is(&p->now, "]")) {
        KD_TRY(kd__parse_expression(p, 0, tail));
        tail = &(*tail)->next;
        if (!kd__parse_is(&p->now, "]")) KD_TRY(kd__parse_expect(p, ","));
    }
    return kd__parse_next(p);
}

static kd_status parse_pairs(kd__parser *p, kd__node **out)
{
    KD_TRY(kd__node_new(p, KD__DICT_OF, out));
    kd__node **tail = &(*out)->a;
    KD_TRY(kd__parse_next(p));
    while (!kd__parse_is(&p->now, "}")) {
        KD_TRY(kd__parse_expression(p, 0, tail));
        KD_TRY(kd__parse_expect(p, ":"));
        KD_TRY(kd__parse_expression(p, 0, &(*tail)->next));
        tail = &(*tail)->next->next;
        if (!kd__parse_is(&p->now, "}")) KD_TRY(kd__parse_expect(p, ","));
    }
    return kd__parse_next(p);
}

static kd_status parse_brackets(kd__parser *p, kd__node **out)
{
    KD_TRY(kd__parse_next(p));
    KD_TRY(kd__parse_several(p, 0, NULL, 0, out));
    if (!*out) {
        KD_TRY(kd__node_new(p, KD__LIST_OF, out));
        (*out)->flags = KD__V_TUPLE;
    }
    return kd__parse_expect(p, ")");
}

/* Digits without their underscores, in a buffer that ends with 0. */
static kd_status plain_digits(kd__parser *p, char digits[80])
{
    int64_t size = 0;
    for (int64_t i = 0; i < p->now.bytes; i++) {
        if (p->now.text[i] == '_') continue;
        KD_FAIL_IF(size == 79, KD_ERR_UNSUPPORTED, "%s, line %d: a number of more than 79 digits",
                   p->t->title, p->now.line);
        digits[size++] = p->now.text[i];
    }
    digits[size] = 0;
    return KD_OK;
}

kd_status kd__parse_number(kd__parser *p, kd__value *value)
{
    char digits[80], *at = digits;
    int64_t number = 0;
    int base = 10;
    KD_TRY(plain_digits(p, digits));
    if (p->now.type == KD__T_FLOAT)
        return *value = kd__float(kd__parse_double(p->t->context, digits, NULL)), KD_OK;
    if (digits[0] == '0' && digits[1] > '9') {
        base = (digits[1] | 32) == 'x' ? 16 : (digits[1] | 32) == 'o' ? 8 : 2;
        at += 2;
    }
    for (; *at; at++) {
        const int digit = *at <= '9' ? *at - '0' : (*at | 32) - 'a' + 10;
        if (digit >= base) return kd__parse_bad(p, "a digit that its base does not have");
        if (!__builtin_mul_overflow(number, base, &number) &&
            !__builtin_add_overflow(number, digit, &number))
            continue;
        return kd__parse_unsupported(p, "a whole number beyond 64 bits", digits,
                                     (int64_t)strlen(digits));
    }
    *value = kd__integer(number);
    return KD_OK;
}

static kd_status parse_texts(kd__parser *p, kd__value *value)
{
    const char *first = p->now.text;
    const int64_t bytes = p->now.bytes;
    KD_TRY(kd__parse_next(p));
    *value = kd__string(first, bytes);
    while (p->now.type == KD__T_STRING) { /* texts in a row are one */
        char *joined = NULL;
        KD_TRY(kd__room_take(&p->t->room, value->bytes + p->now.bytes + 1, (void **)&joined));
        memcpy(joined, value->text, (size_t)value->bytes);
        memcpy(joined + value->bytes, p->now.text, (size_t)p->now.bytes);
        *value = kd__string(joined, value->bytes + p->now.bytes);
        KD_TRY(kd__parse_next(p));
    }
    return KD_OK;
}

/* true, false, none; else a variable. */
kd_status kd__parse_word(kd__parser *p, kd__node *n)
{
    static const struct {
        const char *text;
        uint8_t type, truth;
    } words[] = {
        { "true", KD__V_BOOL, 1 },  { "True", KD__V_BOOL, 1 }, { "false", KD__V_BOOL, 0 },
        { "False", KD__V_BOOL, 0 }, { "none", KD__V_NONE, 0 }, { "None", KD__V_NONE, 0 }
    };
    static const char *const special[] = { "caller", "varargs", "kwargs" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (kd__parse_is_name(&p->now, words[i].text)) {
            n->value = (kd__value){ .type = words[i].type, .integer = words[i].truth };
            return kd__parse_next(p);
        }
    for (int i = 0; i < 3; i++)
        if (kd__parse_is_name(&p->now, special[i])) p->uses |= (uint8_t)(1 << i);
    n->type = KD__NAME;
    KD_TRY(kd__parse_name_number(p, p->now.text, p->now.bytes, &n->name));
    return kd__parse_next(p);
}

kd_status kd__parse_primary(kd__parser *p, kd__node **out)
{
    if (kd__parse_is(&p->now, "(")) return parse_brackets(p, out);
    if (kd__parse_is(&p->now, "[")) return parse_items(p, out);
    if (kd__parse_is(&p->now, "{")) return parse_pairs(p, out);
    KD_TRY(kd__node_new(p, KD__CONSTANT, out));
    if (p->now.type == KD__T_NAME) return kd__parse_word(p, *out);
    if (p->now.type == KD__T_STRING) return parse_texts(p, &(*out)->value);
    if (p->now.type != KD__T_INTEGER && p->now.type != KD__T_FLOAT)
        return kd__parse_unexpected(p, "an expression");
    KD_TRY(kd__parse_number(p, &(*out)->value));
    return kd__parse_next(p);
}

/* ---- what follows a value ---- */

/* One argument: x, name=x, *x or **x. */
static kd_status parse_argument(kd__parser *p, int32_t most, kd__node **out)
{
    kd__node *n;
    KD_TRY(kd__node_new(p, KD__NAME, &n));
    if (kd__parse_is(&p->now, "*")) n->argument = KD__ARGUMENT_LIST;
    else if (kd__parse_is(&p->now, "**")) n->argument = KD__ARGUMENT_DICT;
    else if (p->now.type == KD__T_NAME && kd__parse_is(&p->ahead, "=")) {
        n->argument = KD__ARGUMENT_NAMED;
        n->value = kd__string(p->now.text, p->now.bytes);
        KD_TRY(kd__parse_next(p));
    }
    if (n->argument) KD_TRY(kd__parse_next(p));
    if (n->argument < most && !(n->argument == KD__ARGUMENT_NAMED && most == KD__ARGUMENT_LIST))
        return kd__parse_bad(p, "an argument without a name after one with a name");
    if (n->argument >= KD__ARGUMENT_LIST && n->argument == most)
        return kd__parse_bad(p, "two lists of arguments");
    *out = n;
    return kd__parse_expression(p, 0, &n->a);
}

static kd_status parse_arguments(kd__parser *p, kd__node **out)
{
    int32_t most = KD__ARGUMENT_PLAIN;
    KD_TRY(kd__parse_expect(p, "("));
    while (!kd__parse_is(&p->now, ")")) {
        KD_TRY(parse_argument(p, most, out));
        if ((*out)->argument > most) most = (*out)->argument;
        out = &(*out)->next;
        if (!kd__parse_is(&p->now, ")")) KD_TRY(kd__parse_expect(p, ","));
    }
    return kd__parse_next(p);
}

kd_status kd__parse_call(kd__parser *p, kd__node **out)
{
    kd__node *n;
    KD_TRY(kd__node_new(p, KD__CALL, &n));
    n->a = *out;
    *out = n;
    return parse_arguments(p, &n->b);
}

static kd_status parse_dot(kd__parser *p, kd__node **out)
{
    kd__node *n;
    KD_TRY(kd__node_new(p, KD__ATTRIBUTE, &n));
    n->a = *out;
    *out = n;
    KD_TRY(kd__parse_next(p));
    if (p->now.type == KD__T_NAME) n->value = kd__string(p->now.text, p->now.bytes);
    else if (p->now.type == KD__T_INTEGER) {
        n->type = KD__ITEM;
        KD_TRY(kd__node_new(p, KD__CONSTANT, &n->b));
        KD_TRY(kd__parse_number(p, &n->b->value));
    } else return kd__parse_unexpected(p, "a name or a number");
    return kd__parse_next(p);
}

static kd_status parse_bound(kd__parser *p, kd__node **out)
{
    if (kd__parse_is(&p->now, ":") || kd__parse_is(&p->now, "]")) return KD_OK;
    return kd__parse_expression(p, 0, out);
}

/* a[b]; a[] and a[b, c] ask for a tuple. `*out` is b, or NULL. */
static kd_status parse_parts(kd__parser *p, kd__node **out)
{
    kd__node *tuple, **tail;
    int32_t comma;
    KD_TRY(kd__parse_skip(p, ",", &comma));
    if (!comma && *out) return kd__parse_expect(p, "]");
    KD_TRY(kd__node_new(p, KD__LIST_OF, &tuple));
    tuple->flags = KD__V_TUPLE;
    tuple->a = *out;
    *out = tuple;
    for (tail = tuple->a ? &tuple->a->next : &tuple->a; comma; tail = &(*tail)->next) {
        KD_TRY(kd__parse_expression(p, 0, tail));
        KD_TRY(kd__parse_skip(p, ",", &comma));
    }
    return kd__parse_expect(p, "]");
}

static kd_status parse_subscript(kd__parser *p, kd__node **out)
{
    kd__node *n;
    int32_t there;
    KD_TRY(kd__node_new(p, KD__ITEM, &n));
    n->a = *out;
    *out = n;
    KD_TRY(kd__parse_next(p));
    KD_TRY(parse_bound(p, &n->b));
    KD_TRY(kd__parse_skip(p, ":", &there));
    if (!there) return parse_parts(p, &n->b);
    n->type = KD__SLICE;
    KD_TRY(parse_bound(p, &n->c));
    KD_TRY(kd__parse_skip(p, ":", &there));
    if (there) KD_TRY(parse_bound(p, &n->d));
    if (kd__parse_is(&p->now, ","))
        return kd__parse_unsupported(p, "a slice among several parts", ",", 1);
    return kd__parse_expect(p, "]");
}

kd_status kd__parse_postfix(kd__parser *p, kd__node **out)
{
    for (;;) {
        if (kd__parse_is(&p->now, ".")) KD_TRY(parse_dot(p, out));
        else if (kd__parse_is(&p->now, "[")) KD_TRY(parse_subscript(p, out));
        else if (kd__parse_is(&p->now, "(")) KD_TRY(kd__parse_call(p, out));
        else return KD_OK;
    }
}

void kd__parse_unknown(kd__parser *p, kd__node *n)
{
    n->value = kd__string(p->now.text, p->now.bytes);
    if (!p->soft && !p->unknown) p->unknown = n;
}

kd_status kd__parse_filters(kd__parser *p, kd__node *of, int32_t first, kd__node **out)
{
    *out = of;
    while (first || kd__parse_is(&p->now, "|")) {
        kd__node *n;
        if (!first) KD_TRY(kd__parse_next(p));
        first = 0;
        KD_TRY(kd__node_new(p, KD__FILTER, &n));
        n->a = *out;
        *out = n;
        if (p->now.type != KD__T_NAME) return kd__parse_unexpected(p, "a filter's name");
        n->callable = kd__filter_find(p->now.text, p->now.bytes);
        if (!n->callable) kd__parse_unknown(p, n);
        KD_TRY(kd__parse_next(p));
        if (kd__parse_is(&p->now, "(")) KD_TRY(parse_arguments(p, &n->b));
    }
    return KD_OK;
}

/* A test's one argument may stand without brackets: x is divisibleby 3. */
static int begins_argument(const kd__parser *p)
{
    if (p->now.type == KD__T_NAME)
        return !kd__parse_is_name(&p->now, "else") && !kd__parse_is_name(&p->now, "or") &&
               !kd__parse_is_name(&p->now, "and");
    return p->now.type == KD__T_STRING || p->now.type == KD__T_INTEGER ||
           p->now.type == KD__T_FLOAT || kd__parse_is(&p->now, "[") || kd__parse_is(&p->now, "{");
}

kd_status kd__parse_test(kd__parser *p, kd__node **out)
{
    kd__node *n, *negation = NULL;
    int32_t negated;
    KD_TRY(kd__parse_next(p));
    KD_TRY(kd__parse_skip_name(p, "not", &negated));
    KD_TRY(kd__node_new(p, KD__TEST, &n));
    n->a = *out;
    if (p->now.type != KD__T_NAME) return kd__parse_unexpected(p, "a test's name");
    n->callable = kd__test_find(p->now.text, p->now.bytes);
    if (!n->callable) kd__parse_unknown(p, n);
    KD_TRY(kd__parse_next(p));
    if (kd__parse_is(&p->now, "(")) KD_TRY(parse_arguments(p, &n->b));
    else if (begins_argument(p)) {
        if (kd__parse_is_name(&p->now, "is"))
            return kd__parse_bad(p, "a test of a test: use brackets");
        KD_TRY(kd__node_new(p, KD__NAME, &n->b));
        KD_TRY(kd__parse_primary(p, &n->b->a));
        KD_TRY(kd__parse_postfix(p, &n->b->a));
    }
    if (negated) {
        KD_TRY(kd__node_new(p, KD__NOT, &negation));
        negation->a = n;
    }
    *out = negated ? negation : n;
    return KD_OK;
}
