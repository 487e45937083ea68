/* The value of a flat expression. Variables have values that depend on their name and on the trial: two expressions that agree at some points
 * of the complex plane are taken as equal.
 *
 *   sum = product {(+|-) product};   product = factor {[*|/] factor};   factor = (+|-) factor | power;   power = postfix [^ argument]     */
#include <complex.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "verify/verify.h"

typedef double _Complex number;

typedef struct {
    const char *at, *end;
    int trial, depth, failed;
} parser;

static number sum(parser *p);
static number factor(parser *p);
static number power(parser *p);
static number argument_of(parser *p);

static int is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static int is_digit(char c) { return c >= '0' && c <= '9'; }
static char peek(parser *p)
{
    if (p->at < p->end && *p->at == KD__NAME_END) p->at++;
    return p->at < p->end ? *p->at : 0;
}

static number fail(parser *p)
{
    p->failed = 1;
    p->at = p->end;
    return 0;
}

static int take(parser *p, char c)
{
    if (peek(p) != c) return 0;
    p->at++;
    return 1;
}

static int take_name(parser *p, const char *name)
{
    const size_t n = strlen(name);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, name, n) || (p->at + n < p->end && is_letter(p->at[n]))) return 0;
    p->at += n;
    return 1;
}

/* A value for a name: on a circle that the trial chooses, never a round number. */
static number variable(const parser *p, const char *name, int64_t bytes)
{
    uint64_t h = 0xcbf29ce484222325ULL + (uint64_t)p->trial * 0x9e3779b97f4a7c15ULL;
    for (int64_t i = 0; i < bytes; i++)
        if (name[i] != '{' && name[i] != '}') h = (h ^ (unsigned char)name[i]) * 0x100000001b3ULL; /* x_{2} is x_2 */
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9ULL;
    h ^= h >> 32;
    const double unit = (double)(h >> 11) * 0x1p-53;
    return p->trial % 2 ? -(0.7 + unit) : 0.6 + 1.3 * unit;
}

static number closed(parser *p, char close)
{
    const number value = sum(p);
    return take(p, close) ? value : fail(p);
}

/* {..}, or one digit, letter or command. */
static number argument(parser *p)
{
    if (++p->depth > 60) return fail(p);
    const number value = argument_of(p);
    p->depth--;
    return value;
}

static number argument_of(parser *p)
{
    if (take(p, '{')) return closed(p, '}');
    if (is_digit(peek(p))) return *p->at++ - '0';
    if (peek(p) == '-') {
        p->at++;
        return -argument(p);
    }
    return power(p);
}

/* _2, _{10}: a part of the name. */
static void skip_subscript(parser *p)
{
    if (!take(p, '_')) return;
    if (take(p, '{')) {
        while (p->at < p->end && *p->at != '}') p->at++;
        if (p->at < p->end) p->at++;
    } else if (p->at < p->end) p->at++;
}

static number digits(parser *p)
{
    char text[64];
    const char *from = p->at;
    int64_t n;
    while (is_digit(peek(p)) || (peek(p) == '.' && !memchr(from, '.', (size_t)(p->at - from)))) p->at++;
    n = p->at - from;
    if (n > 60 || (n == 1 && *from == '.')) return fail(p);
    if (peek(p) == '_') { /* a number in another base is a name */
        skip_subscript(p);
        return variable(p, from, p->at - from);
    }
    double value = 0, scale = 1;
    memcpy(text, from, (size_t)n);
    text[n] = 0;
    for (const char *c = text, *point = strchr(text, '.'); *c; c++) {
        if (c == point) continue;
        value = value * 10 + (*c - '0');
        if (point && c > point) scale *= 10;
    }
    value /= scale;
    if (peek(p) == '\\' && !memchr(from, '.', (size_t)n) && take_name(p, "\\frac")) { /* 3\frac{1}{2} */
        const int plain = peek(p) == '{' ? is_digit(p->at + 1 < p->end ? p->at[1] : 0) : is_digit(peek(p));
        const number top = argument(p), bottom = argument(p);
        return plain ? value + top / bottom : value * (top / bottom);
    }
    return value;
}

static number root(parser *p)
{
    number degree = 2;
    if (take(p, '[')) degree = closed(p, ']');
    const number of = peek(p) == '(' ? (p->at++, closed(p, ')')) : argument(p);
    if (degree == 2) return csqrt(of);
    if (cimag(of) == 0 && creal(of) < 0 && fmod(creal(degree), 2) == 1) return -cpow(-of, 1 / degree); /* the real root */
    return cpow(of, 1 / degree);
}

static double binomial(double n, double k)
{
    double value = 1;
    if (k < 0 || k > 1000) return NAN;
    for (double i = 1; i <= k; i++) value *= (n - k + i) / i;
    return value;
}

static number arccosine(number x) { return cacos(x); }
static number cotangent(number x) { return 1 / ctan(x); }
static number secant(number x) { return 1 / ccos(x); }
static number cosecant(number x) { return 1 / csin(x); }

/* A function's argument: brackets, braces, or the factor that follows; its own power, \sin^2 x, comes before. */
static number apply(parser *p, number (*function)(number))
{
    number exponent = 1;
    if (take(p, '^')) exponent = argument(p);
    const number value = function(factor(p));
    return exponent == 1 ? value : exponent == -1 ? fail(p) : cpow(value, exponent);
}

static number logarithm(parser *p)
{
    number base = 10;
    if (take(p, '_')) base = argument(p);
    const number value = clog(factor(p));
    return value / clog(base);
}

static number command(parser *p)
{
    static const struct {
        const char *name;
        number (*function)(number);
    } functions[] = { { "\\sin", csin },     { "\\cos", ccos },      { "\\tan", ctan },   { "\\arcsin", casin }, { "\\arccos", arccosine },
                      { "\\arctan", catan }, { "\\sinh", csinh },    { "\\cosh", ccosh }, { "\\tanh", ctanh },   { "\\ln", clog },
                      { "\\exp", cexp },     { "\\cot", cotangent }, { "\\sec", secant }, { "\\csc", cosecant } };
    static const char *const strange[] = { "\\int",    "\\sum", "\\lim", "\\prod", "\\begin",    "\\end", "\\forall",
                                           "\\exists", "\\to",  "\\iff", "\\cap",  "\\overline", NULL };
    for (const char *const *s = strange; *s; s++)
        if (take_name(p, *s)) return fail(p);
    if (take_name(p, "\\frac")) {
        const number top = argument(p), bottom = argument(p);
        return top / bottom;
    }
    if (take_name(p, "\\sqrt")) return root(p);
    if (take_name(p, "\\pi")) return 3.14159265358979323846;
    if (take_name(p, "\\infty")) return 7.3e15;
    if (take_name(p, "\\log")) return logarithm(p);
    if (take_name(p, "\\binom")) {
        const double n = creal(argument(p));
        return binomial(n, creal(argument(p)));
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (take_name(p, functions[i].name)) return apply(p, functions[i].function);
    const char *from = p->at++;
    while (is_letter(peek(p))) p->at++;
    skip_subscript(p);
    return p->at - from > 1 ? variable(p, from, p->at - from) : fail(p);
}

static number primary(parser *p)
{
    const char c = peek(p);
    if (is_digit(c) || c == '.') return digits(p);
    if (take(p, '(')) return closed(p, ')');
    if (take(p, '[')) return closed(p, ']');
    if (take(p, '{')) return closed(p, '}');
    if (take(p, '|')) return cabs(closed(p, '|'));
    if (c == '\\') return command(p);
    if (take_name(p, "sqrt")) return root(p);
    if (take_name(p, "pi")) return 3.14159265358979323846;
    if (!is_letter(c)) return fail(p);
    const char *from = p->at++;
    if (c == 'i' && peek(p) != '_') return I;
    if (c == 'e' && peek(p) != '_') return 2.71828182845904523536;
    skip_subscript(p);
    return variable(p, from, p->at - from);
}

static number power(parser *p)
{
    if (++p->depth > 60) return fail(p);
    number value = primary(p);
    while (peek(p) == '!') {
        p->at++;
        value = tgamma(creal(value) + 1);
    }
    if (take(p, '^')) {
        const number exponent = is_digit(peek(p)) ? digits(p) : argument(p); /* 2^10 is meant as it looks */
        const double whole = creal(exponent);
        if (cimag(exponent) == 0 && whole == floor(whole) && fabs(whole) <= 64) { /* products: no rounding by logarithms */
            number product = 1;
            for (int i = 0; i < (int)fabs(whole); i++) product *= value;
            value = whole < 0 ? 1 / product : product;
        } else value = cpow(value, exponent);
    }
    p->depth--;
    return value;
}

static number factor(parser *p)
{
    if (++p->depth > 60) return fail(p);
    const number value = take(p, '-') ? -factor(p) : take(p, '+') ? factor(p) : power(p);
    p->depth--;
    return value;
}

/* A factor may begin here without a sign before it. */
static int begins_factor(char c) { return c == '(' || c == '[' || c == '{' || c == '\\' || is_letter(c) || is_digit(c); }

static number product(parser *p)
{
    number value = factor(p);
    for (;;) {
        if (take(p, '*')) value *= factor(p);
        else if (take(p, '/') || take(p, ':')) value /= factor(p);
        else if (begins_factor(peek(p))) value *= power(p);
        else return value;
    }
}

static number sum(parser *p)
{
    if (++p->depth > 60) return fail(p);
    number value = product(p);
    for (;;) {
        if (take(p, '+')) value += product(p);
        else if (take(p, '-')) value -= product(p);
        else break;
    }
    p->depth--;
    return value;
}

int kd__evaluate(const char *from, const char *end, int trial, double _Complex *value)
{
    parser p = { from, end, trial, 0, 0 };
    *value = sum(&p);
    return !p.failed && p.at == end && isfinite(creal(*value)) && isfinite(cimag(*value));
}
