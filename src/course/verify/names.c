/* What \name stands for: functions, fractions, roots, constants; the rest are variables. */
#include "course/verify/parser.h"

static double _Complex arccosine(double _Complex x) { return cacos(x); }
static double _Complex cotangent(double _Complex x) { return 1 / ctan(x); }
static double _Complex secant(double _Complex x) { return 1 / ccos(x); }
static double _Complex cosecant(double _Complex x) { return 1 / csin(x); }
static double _Complex arccotangent(double _Complex x) { return 1.57079632679489661923 - catan(x); }

/* A function and its inverse stand side by side, where both have a name. */
static const struct {
    const char *name;
    kd__function function;
} functions[] = {
    { "sin", csin },   { "arcsin", casin },  { "cos", ccos },      { "arccos", arccosine },
    { "tan", ctan },   { "arctan", catan },  { "cot", cotangent }, { "arccot", arccotangent },
    { "sinh", csinh }, { "arsinh", casinh }, { "cosh", ccosh },    { "arcosh", cacosh },
    { "tanh", ctanh }, { "artanh", catanh }, { "sec", secant },    { "csc", cosecant },
};
enum { FUNCTIONS = sizeof functions / sizeof *functions, WITH_INVERSE = 14 };

int kd__function_place(const char *name, int64_t bytes)
{
    for (int i = 0; i < FUNCTIONS; i++)
        if ((int64_t)strlen(functions[i].name) == bytes &&
            !memcmp(name, functions[i].name, (size_t)bytes))
            return i;
    return -1;
}

kd__function kd__function_at(int place) { return functions[place].function; }

int kd__parser_name(kd__parser *p, const char *name)
{
    const int64_t n = (int64_t)strlen(name);
    const char *at = p->at + 1;
    if (kd__parser_peek(p) != '\\' || p->end - at < n || memcmp(at, name, (size_t)n) ||
        (at + n < p->end && kd__is_letter(at[n])))
        return 0;
    p->at = at + n;
    return 1;
}

static uint16_t constant(kd__parser *p, const char *from, int which)
{
    const uint16_t node = kd__parser_node(p, KD__CONSTANT, from, 0);
    p->tree->nodes[node].what = (uint8_t)which;
    return node;
}

/* ---- functions ---- */

/* Is a letter or a Greek letter next, which goes on with an argument without brackets? Not e. */
static int goes_on(kd__parser *p)
{
    static const char *const greek[] = { "pi",  "theta", "alpha", "beta",
                                         "phi", "omega", "gamma", NULL };
    const char c = kd__parser_peek(p), *at = p->at;
    if (c != '\\') return kd__is_letter(c) && c != 'e' && c != 'i';
    for (const char *const *name = greek; *name; name++)
        if (kd__parser_name(p, *name)) {
            p->at = at;
            return 1;
        }
    return 0;
}

/* \sin(2x), \sin{2x}, and \sin 2x: a number and the letters after it. */
static uint16_t function_argument(kd__parser *p)
{
    const char *from = p->at;
    kd__chain factors = { 0 };
    kd__parser_take(p, KD__GAP);
    const char c = kd__parser_peek(p);
    const int minus = c == '-';
    p->at += minus;
    const int brackets = c == '(' || c == '[' || c == '{';
    kd__chain_add(p, &factors, brackets ? kd__parser_primary(p) : kd__parser_power(p), 0);
    if (!brackets)
        while (!p->failed && goes_on(p)) kd__chain_add(p, &factors, kd__parser_power(p), 0);
    uint16_t node = factors.first;
    if (factors.first != factors.last) node = kd__parser_node(p, KD__PRODUCT, from, factors.first);
    if (!minus) return node;
    p->tree->nodes[node].sign = '-';
    return kd__parser_node(p, KD__SUM, from, node);
}

static int is_minus_one(kd__parser *p, uint16_t node)
{
    const kd__node *n = &p->tree->nodes[node], *of = &p->tree->nodes[n->first];
    return n->op == KD__SUM && of->sign == '-' && of->op == KD__NUMBER && of->bytes == 1 &&
           p->tree->flat[of->at] == '1' && !of->next;
}

/* \sin^2 x; \sin^{-1} x is the inverse function. */
static uint16_t function(kd__parser *p, const char *from, int place)
{
    uint16_t exponent = 0;
    if (kd__parser_take(p, '^')) exponent = kd__parser_argument(p, 1);
    if (exponent && is_minus_one(p, exponent)) {
        if (place >= WITH_INVERSE || place % 2) return kd__parser_fail(p);
        place++;
        exponent = 0;
    }
    const uint16_t node = kd__parser_node(p, KD__FUNCTION, from, function_argument(p));
    p->tree->nodes[node].what = (uint8_t)place;
    return exponent ? kd__parser_pair(p, KD__POWER, node, exponent) : node;
}

/* \log_2 x, \log x to the base 10, \ln x */
static uint16_t logarithm(kd__parser *p, const char *from, int natural)
{
    uint16_t base = 0, exponent = 0;
    if (kd__parser_take(p, '_')) base = kd__parser_argument(p, 0);
    if (kd__parser_take(p, '^')) exponent = kd__parser_argument(p, 1);
    if (!base && natural) base = constant(p, from, KD__EULER);
    kd__parser_take(p, KD__GAP); /* \log_2 8 */
    const uint16_t of = function_argument(p);
    p->tree->nodes[of].next = base;
    const uint16_t node = kd__parser_node(p, KD__LOGARITHM, from, of);
    return exponent ? kd__parser_pair(p, KD__POWER, node, exponent) : node;
}

static uint16_t root(kd__parser *p, const char *from)
{
    uint16_t degree = 0;
    if (kd__parser_take(p, '[')) {
        degree = kd__parser_sum(p);
        if (!kd__parser_take(p, ']')) return kd__parser_fail(p);
    }
    const uint16_t of = kd__parser_argument(p, 0);
    p->tree->nodes[of].next = degree;
    return kd__parser_node(p, KD__ROOT, from, of);
}

/* ---- what has no value here ----
 *
 * \sum_{k=0}^{n}, \int_{a}^{b} and \lim_{x \to 0} are linear in what comes after them: as factors
 * of a name of their own they are the same where their bounds are, and what comes after them is. */

static int is_strange(const char *name, int64_t bytes)
{
    static const char *const strange[] = {
        "prod",    "begin",      "end",        "forall", "exists", "to",     "iff",
        "cap",     "dots",       "mod",        "pmod",   "bmod",   "equiv",  "sim",
        "mapsto",  "implies",    "setminus",   "bigcup", "bigcap", "subset", "subseteq",
        "notin",   "rightarrow", "Rightarrow", "max",    "min",    "gcd",    "lcm",
        "partial", "nabla",      "overline",   "not",    NULL
    };
    for (const char *const *s = strange; *s; s++)
        if ((int64_t)strlen(*s) == bytes && !memcmp(*s, name, (size_t)bytes)) return 1;
    return 0;
}

static uint16_t two_arguments(kd__parser *p, int binomial)
{
    const uint16_t top = kd__parser_argument(p, 0), bottom = kd__parser_argument(p, 0);
    return binomial ? kd__parser_pair(p, KD__BINOMIAL, top, bottom)
                    : kd__parser_quotient(p, top, bottom);
}

/* abs(x), floor(x), ceil(x) in plain text; \exp(x) is e^x. */
static uint16_t plain_function(kd__parser *p, const char *from, int op)
{
    if (op != KD__POWER) return kd__parser_node(p, op, from, kd__parser_argument(p, 0));
    const uint16_t base = constant(p, from, KD__EULER);
    return kd__parser_pair(p, KD__POWER, base, function_argument(p));
}

uint16_t kd__parser_command(kd__parser *p)
{
    const char *from = p->at;
    if (kd__parser_name(p, "frac")) return two_arguments(p, 0);
    if (kd__parser_name(p, "binom")) return two_arguments(p, 1);
    if (kd__parser_name(p, "sqrt")) return root(p, from);
    if (kd__parser_name(p, "pi")) return constant(p, from, KD__PI);
    if (kd__parser_name(p, "infty")) return constant(p, from, KD__INFINITY);
    if (kd__parser_name(p, "emptyset")) return constant(p, from, KD__EMPTY_SET);
    if (kd__parser_name(p, "log")) return logarithm(p, from, 0);
    if (kd__parser_name(p, "ln")) return logarithm(p, from, 1);
    if (kd__parser_name(p, "exp")) return plain_function(p, from, KD__POWER);
    if (kd__parser_name(p, "abs")) return plain_function(p, from, KD__ABSOLUTE);
    if (kd__parser_name(p, "floor")) return plain_function(p, from, KD__FLOOR);
    if (kd__parser_name(p, "ceil")) return plain_function(p, from, KD__CEILING);
    for (p->at++; kd__is_letter(p->at < p->end ? *p->at : 0); p->at++) continue;
    const int64_t n = p->at - from - 1;
    const int place = kd__function_place(from + 1, n);
    if (place >= 0) return function(p, from, place);
    return n < 1 || is_strange(from + 1, n) ? kd__parser_fail(p) : kd__parser_variable(p, from);
}
