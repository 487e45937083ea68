/* A flat text as a tree.
 *
 *   list      = relation {(, ;) relation}        relation = unions {(= < > ..) unions}
 *   unions    = quotient {\cup quotient}         quotient = sum [\over sum]
 *   sum       = [sign] product {(+ - \pm) product}
 *   product   = power {[* / :] power} [unit]     power    = primary {^ argument | ! | % | degree}
 *
 * The parser is as deep as brackets are nested, which KD__DEEPEST bounds; sums, products and lists
 * are nodes of many children, and KD__TALLEST bounds the tree. A parser that fails stands at the
 * end of its text. */
#include <stddef.h>

#include "course/verify/parser.h"

static uint16_t list(kd__parser *p, const char *separators);

uint16_t kd__parser_fail(kd__parser *p)
{
    p->failed = 1;
    p->at = p->end;
    return 0;
}

static int height_of(const kd__tree *t, uint16_t child)
{
    int tallest = 0;
    for (; child; child = t->nodes[child].next)
        if (t->nodes[child].height > tallest) tallest = t->nodes[child].height;
    return tallest + 1;
}

uint16_t kd__parser_node(kd__parser *p, int op, const char *at, uint16_t first)
{
    kd__tree *t = p->tree;
    if (p->failed || t->count + 1 >= KD__NODES) return kd__parser_fail(p);
    const int height = height_of(t, first);
    if (height > KD__TALLEST) return kd__parser_fail(p);
    t->nodes[++t->count] = (kd__node){ .op = (uint8_t)op,
                                       .height = (uint8_t)height,
                                       .at = (uint16_t)(at - t->flat),
                                       .bytes = (uint16_t)(p->at - at),
                                       .first = first };
    return t->count;
}

/* A node of two children. */
uint16_t kd__parser_pair(kd__parser *p, int op, uint16_t first, uint16_t second)
{
    p->tree->nodes[first].next = second;
    return kd__parser_node(p, op, p->tree->flat + p->tree->nodes[first].at, first);
}

/* first / second, which no product around it may take apart. */
uint16_t kd__parser_quotient(kd__parser *p, uint16_t first, uint16_t second)
{
    p->tree->nodes[second].sign = '/';
    return kd__parser_pair(p, KD__PRODUCT, first, second);
}

int kd__parser_take(kd__parser *p, char c)
{
    if (kd__parser_peek(p) != c) return 0;
    p->at++;
    return 1;
}

/* ---- brackets ---- */

static int closes(char open, char close)
{
    return open == '(' || open == '[' ? close == ')' || close == ']'
                                      : close == (open == '{' ? '}' : KD__SET_CLOSE);
}

static int op_of(const kd__parser *p, uint16_t node) { return p->tree->nodes[node].op; }

/* What stands in brackets: one thing for itself, several as a tuple. */
static uint16_t bracketed(kd__parser *p)
{
    const char *from = p->at, open = *p->at++;
    const int bars = p->bars;
    p->bars = 0;
    if (open == KD__SET_OPEN && kd__parser_take(p, KD__SET_CLOSE)) {
        const uint16_t empty = kd__parser_node(p, KD__CONSTANT, from, 0);
        p->tree->nodes[empty].what = KD__EMPTY_SET;
        p->bars = bars;
        return empty;
    }
    const uint16_t inside = kd__parser_list(p);
    if (!closes(open, kd__parser_peek(p))) return kd__parser_fail(p);
    const char close = *p->at++;
    p->bars = bars;
    if (open == '{') return inside;
    const int several = op_of(p, inside) == KD__LIST;
    if (open == KD__SET_OPEN)
        return kd__parser_node(p, KD__SET, from, several ? p->tree->nodes[inside].first : inside);
    if (several) return kd__parser_node(p, KD__TUPLE, from, p->tree->nodes[inside].first);
    return (open == '(') == (close == ')') ? inside : kd__parser_fail(p);
}

/* |x| and its kin, each with its own end. */
static uint16_t enclosed(kd__parser *p, char close, int op)
{
    const char *from = p->at++;
    const int bar = close == '|';
    p->bars += bar;
    const uint16_t inside = kd__parser_sum(p);
    p->bars -= bar;
    if (!kd__parser_take(p, close)) return kd__parser_fail(p);
    return kd__parser_node(p, op, from, inside);
}

static uint16_t matrix(kd__parser *p)
{
    const char *from = p->at;
    const int determinant = *p->at++ == KD__DETERMINANT_OPEN;
    kd__chain rows = { 0 };
    while (!p->failed && kd__parser_peek(p) != KD__MATRIX_CLOSE) {
        kd__chain cells = { 0 };
        const char *row = p->at;
        do kd__chain_add(p, &cells, kd__parser_sum(p), 0);
        while (kd__parser_take(p, '&'));
        kd__chain_add(p, &rows, kd__parser_node(p, KD__MATRIX_ROW, row, cells.first), 0);
        if (!kd__parser_take(p, KD__ROW)) break;
    }
    if (!kd__parser_take(p, KD__MATRIX_CLOSE) || !rows.first) return kd__parser_fail(p);
    const uint16_t node = kd__parser_node(p, KD__MATRIX, from, rows.first);
    p->tree->nodes[node].what = (uint8_t)determinant;
    return node;
}

/* ---- primaries ---- */

static const char *after_digits(const char *p, const char *end)
{
    while (p < end && kd__is_digit(*p)) p++;
    return p;
}

/* 1.2e5 and 1e-5: an exponent, not Euler's number. */
static const char *after_exponent(const char *p, const char *end)
{
    if (end - p < 2 || (*p != 'e' && *p != 'E')) return p;
    const char *digits = p + 1 + (p[1] == '-' || p[1] == '+');
    const char *to = after_digits(digits, end);
    return to > digits ? to : p;
}

static void skip_subscript(kd__parser *p)
{
    if (!kd__parser_take(p, '_')) return;
    const int braces = kd__parser_take(p, '{');
    if (!braces && p->at < p->end) p->at++;
    while (braces && p->at < p->end && *p->at != '}') p->at++;
    p->at += braces && p->at < p->end;
}

static uint16_t number(kd__parser *p)
{
    const char *from = p->at;
    int point = 0;
    p->at = after_digits(p->at, p->end);
    if (kd__parser_peek(p) == '.') {
        point = 1;
        p->at = after_digits(p->at + 1, p->end);
        if (kd__parser_peek(p) == KD__REPEAT) p->at = after_digits(p->at + 1, p->end);
    }
    if (p->at == from + 1 && point) return kd__parser_fail(p);
    p->at = after_exponent(p->at, p->end);
    if (kd__parser_peek(p) != '_') return kd__parser_node(p, KD__NUMBER, from, 0);
    skip_subscript(p);
    return kd__parser_node(p, KD__BASED, from, 0);
}

/* Words in a row; a single letter is a name. */
static uint16_t words(kd__parser *p)
{
    const char *from = p->at;
    int count = 0, letters = 0;
    for (; p->at < p->end && *p->at == KD__WORD; count++) {
        for (p->at++; p->at < p->end && *p->at != KD__WORD; p->at++) letters++;
        p->at += p->at < p->end;
    }
    return kd__parser_node(p, count == 1 && letters == 1 ? KD__VARIABLE : KD__WORDS, from, 0);
}

uint16_t kd__parser_variable(kd__parser *p, const char *from)
{
    skip_subscript(p);
    while (kd__parser_peek(p) == '\'') p->at++;
    return kd__parser_node(p, KD__VARIABLE, from, 0);
}

static uint16_t letter(kd__parser *p)
{
    const char *from = p->at, c = *p->at++;
    if ((c != 'e' && c != 'i') || kd__parser_peek(p) == '_') return kd__parser_variable(p, from);
    const uint16_t node = kd__parser_node(p, KD__CONSTANT, from, 0);
    p->tree->nodes[node].what = c == 'e' ? KD__EULER : KD__IMAGINARY;
    return node;
}

static uint16_t primary(kd__parser *p)
{
    const char c = kd__parser_peek(p);
    if (kd__is_digit(c) || c == '.') return number(p);
    if (kd__is_letter(c)) return letter(p);
    switch (c) {
    case '(':
    case '[':
    case '{':
    case KD__SET_OPEN: return bracketed(p);
    case '|': return enclosed(p, '|', KD__ABSOLUTE);
    case KD__ABS_OPEN: return enclosed(p, KD__ABS_CLOSE, KD__ABSOLUTE);
    case KD__FLOOR_OPEN: return enclosed(p, KD__FLOOR_CLOSE, KD__FLOOR);
    case KD__CEILING_OPEN: return enclosed(p, KD__CEILING_CLOSE, KD__CEILING);
    case KD__MATRIX_OPEN:
    case KD__DETERMINANT_OPEN: return matrix(p);
    case KD__WORD: return words(p);
    case '\\': return kd__parser_command(p);
    default: return kd__parser_fail(p);
    }
}

uint16_t kd__parser_primary(kd__parser *p)
{
    if (++p->depth > KD__DEEPEST) return kd__parser_fail(p);
    const uint16_t node = primary(p);
    p->depth--;
    return node;
}

static uint16_t negative(kd__parser *p, const char *from, uint16_t node)
{
    p->tree->nodes[node].sign = '-';
    return kd__parser_node(p, KD__SUM, from, node);
}

/* What a fraction, a root or an exponent takes without braces: a digit (all of them for `many`), a
 * letter, a name. */
uint16_t kd__parser_argument(kd__parser *p, int many)
{
    const char *from = p->at;
    kd__parser_take(p, KD__GAP);
    const int minus = kd__parser_take(p, '-');
    if (!minus) kd__parser_take(p, '+');
    uint16_t node;
    if (kd__is_digit(kd__parser_peek(p)) && !many) {
        p->at++;
        node = kd__parser_node(p, KD__NUMBER, p->at - 1, 0);
    } else node = kd__parser_primary(p);
    return minus ? negative(p, from, node) : node;
}

/* ---- powers and products ---- */

/* After a '!': n!! is n (n - 2) (n - 4) .., not (n!)!. */
static uint16_t factorial(kd__parser *p, const char *from, uint16_t of)
{
    const int op = kd__parser_take(p, '!') ? KD__DOUBLE_FACTORIAL : KD__FACTORIAL;
    return kd__parser_node(p, op, from, of);
}

uint16_t kd__parser_power(kd__parser *p)
{
    uint16_t node = kd__parser_primary(p);
    for (int i = 0; i < 4; i++) {
        const char *from = p->tree->flat + p->tree->nodes[node].at;
        if (kd__parser_take(p, '!')) node = factorial(p, from, node);
        else if (kd__parser_take(p, '%')) node = kd__parser_node(p, KD__PERCENT, from, node);
        else if (kd__parser_take(p, KD__DEGREE)) node = kd__parser_node(p, KD__DEGREES, from, node);
        else if (kd__parser_take(p, '^'))
            node = kd__parser_pair(p, KD__POWER, node, kd__parser_argument(p, 1));
        else break;
    }
    return node;
}

/* May a factor begin here without a sign before it? */
static int begins_factor(kd__parser *p)
{
    const char c = kd__parser_peek(p);
    if (c == '\\') return memcmp(p->at, "\\over\1", 6) && memcmp(p->at, "\\choose\1", 8);
    if (c == '|') return !p->bars;
    return kd__is_letter(c) || kd__is_digit(c) || c == '(' || c == '[' || c == '{' ||
           c == KD__ABS_OPEN || c == KD__FLOOR_OPEN || c == KD__CEILING_OPEN ||
           c == KD__MATRIX_OPEN || c == KD__DETERMINANT_OPEN;
}

static void skip_unit_power(kd__parser *p)
{
    if (!kd__parser_take(p, '^')) return;
    const int braces = kd__parser_take(p, '{');
    if (!braces) kd__parser_take(p, '-');
    p->at = after_digits(p->at + (braces && kd__parser_peek(p) == '-'), p->end);
    if (braces) kd__parser_take(p, '}');
}

/* cm, square inches, km/h, m/s^2: after a number, and with nothing after it that it could belong
 * to. */
static int skip_unit(kd__parser *p)
{
    do {
        if (kd__parser_peek(p) == KD__WORD) words(p);
        else if (kd__is_letter(kd__parser_peek(p))) p->at++;
        else return 0;
        skip_unit_power(p);
        kd__parser_take(p, '.');
    } while (kd__parser_peek(p) == KD__WORD || kd__parser_take(p, '/'));
    return !begins_factor(p) && kd__parser_peek(p) != KD__GAP;
}

static int is_plain(const kd__parser *p, uint16_t node)
{
    const kd__node *n = &p->tree->nodes[node];
    return n->op == KD__NUMBER &&
           after_digits(p->tree->flat + n->at, p->tree->flat + n->at + n->bytes) ==
               p->tree->flat + n->at + n->bytes;
}

/* A whole number and a fraction of whole numbers. */
static int is_mixed(const kd__parser *p, uint16_t whole, uint16_t fraction)
{
    const kd__node *n = &p->tree->nodes[fraction];
    const uint16_t second = p->tree->nodes[n->first].next;
    return is_plain(p, whole) && n->op == KD__PRODUCT && is_plain(p, n->first) &&
           is_plain(p, second) && !p->tree->nodes[second].next &&
           p->tree->nodes[second].sign == '/';
}

/* 1 1/2: after a gap only a fraction may come. */
static uint16_t after_gap(kd__parser *p, uint16_t whole)
{
    p->at++;
    const uint16_t top = number(p);
    if (!kd__parser_take(p, '/')) return kd__parser_fail(p);
    const uint16_t fraction = kd__parser_quotient(p, top, number(p));
    return is_mixed(p, whole, fraction) ? kd__parser_pair(p, KD__MIXED, whole, fraction)
                                        : kd__parser_fail(p);
}

/* 10:30, 7:05:00 */
static int is_time(const char *at, const char *end)
{
    int64_t n = after_digits(at, end) - at;
    if (n < 1 || n > 2 || (n == 2 && (*at > '2' || (*at == '2' && at[1] > '3')))) return 0;
    for (at += n; at < end; at += 3)
        if (end - at < 3 || *at != ':' || at[1] > '5' || at[1] < '0' || !kd__is_digit(at[2]))
            return 0;
    return 1;
}

static uint16_t ratio(kd__parser *p, const char *from, uint16_t first)
{
    kd__chain parts = { 0 };
    kd__chain_add(p, &parts, first, 0);
    while (kd__parser_take(p, ':')) kd__chain_add(p, &parts, kd__parser_power(p), '/');
    const uint16_t node = kd__parser_node(p, KD__RATIO, from, parts.first);
    if (!p->failed && is_time(from, p->at)) p->tree->nodes[node].op = KD__TIME;
    return node;
}

/* Does a factor come next? *sign: the one in front of it, 0: there is none. */
static int next_factor(kd__parser *p, char *sign)
{
    *sign = kd__parser_take(p, '*') ? '*' : kd__parser_take(p, '/') ? '/' : 0;
    return *sign || begins_factor(p);
}

static uint16_t signed_power(kd__parser *p)
{
    const char *from = p->at;
    int minus = 0;
    while (kd__parser_peek(p) == '-' || kd__parser_peek(p) == '+') minus ^= *p->at++ == '-';
    const uint16_t node = kd__parser_power(p);
    return minus ? negative(p, from, node) : node;
}

/* The factor that came last becomes 3 1/2; `before`: the one in front of it, 0: there is none. */
static void make_mixed(kd__parser *p, kd__chain *factors, uint16_t before, uint16_t fraction)
{
    const uint16_t whole = factors->last;
    if (before) p->tree->nodes[before].next = 0;
    factors->last = before;
    if (!before) factors->first = 0;
    kd__chain_add(p, factors, kd__parser_pair(p, KD__MIXED, whole, fraction), 0);
}

static uint16_t product(kd__parser *p)
{
    const char *from = p->at;
    kd__chain factors = { 0 };
    uint16_t node = signed_power(p), before = 0;
    char sign = 0, last_sign = '*';
    if (kd__parser_peek(p) == KD__GAP) node = after_gap(p, node);
    if (kd__parser_peek(p) == ':') node = ratio(p, from, node);
    if (op_of(p, node) == KD__WORDS) return node;
    kd__chain_add(p, &factors, node, 0);
    while (!p->failed && next_factor(p, &sign)) {
        const int apart = p->at[-1] == ')' || sign || last_sign != '*';
        const uint16_t factor = signed_power(p), last = factors.last;
        const int mixed = !apart && p->at[-1] != ')' && is_mixed(p, last, factor);
        if (mixed) make_mixed(p, &factors, before, factor);
        else {
            kd__chain_add(p, &factors, factor, sign == '/' ? '/' : 0);
            before = last;
        }
        last_sign = sign;
    }
    if (kd__parser_peek(p) == KD__WORD && !skip_unit(p)) return kd__parser_fail(p);
    if (factors.first == factors.last) return factors.first;
    return kd__parser_node(p, KD__PRODUCT, from, factors.first);
}

/* ---- sums and what is larger ---- */

static int sum_sign(kd__parser *p)
{
    const char c = kd__parser_peek(p);
    if (c != '+' && c != '-' && c != KD__PLUS_MINUS && c != KD__MINUS_PLUS) return 0;
    p->at++;
    return c;
}

uint16_t kd__parser_sum(kd__parser *p)
{
    const char *from = p->at;
    kd__chain terms = { 0 };
    int sign = sum_sign(p);
    do {
        const uint16_t term = product(p);
        if (!sign && !terms.first && kd__parser_peek(p) != '+' && kd__parser_peek(p) != '-' &&
            kd__parser_peek(p) != KD__PLUS_MINUS && kd__parser_peek(p) != KD__MINUS_PLUS)
            return term;
        kd__chain_add(p, &terms, term, sign == '+' ? 0 : (char)sign);
        sign = sum_sign(p);
    } while (sign && !p->failed);
    return kd__parser_node(p, KD__SUM, from, terms.first);
}

static uint16_t quotient(kd__parser *p)
{
    const uint16_t node = kd__parser_sum(p);
    if (kd__parser_name(p, "over")) return kd__parser_quotient(p, node, kd__parser_sum(p));
    if (kd__parser_name(p, "choose"))
        return kd__parser_pair(p, KD__BINOMIAL, node, kd__parser_sum(p));
    return node;
}

static uint16_t unions(kd__parser *p)
{
    const char *from = p->at;
    kd__chain parts = { 0 };
    do kd__chain_add(p, &parts, quotient(p), 0);
    while (kd__parser_take(p, KD__UNION));
    return parts.first == parts.last ? parts.first
                                     : kd__parser_node(p, KD__UNIONS, from, parts.first);
}

static char relation_sign(kd__parser *p)
{
    static const char relations[] = {
        '=', '<', '>', KD__LESS_EQUAL, KD__MORE_EQUAL, KD__NOT_EQUAL, KD__IN, KD__ABOUT, 0
    };
    const char c = kd__parser_peek(p);
    if (!c || !strchr(relations, c)) return 0;
    p->at++;
    return c;
}

static uint16_t relation(kd__parser *p)
{
    const char *from = p->at;
    kd__chain parts = { 0 };
    char sign = 0;
    do {
        kd__chain_add(p, &parts, unions(p), 0);
        if (sign && parts.last) p->tree->nodes[parts.last].sign = (uint8_t)sign;
        sign = relation_sign(p);
    } while (sign && !p->failed);
    return parts.first == parts.last ? parts.first
                                     : kd__parser_node(p, KD__RELATION, from, parts.first);
}

static uint16_t list(kd__parser *p, const char *separators)
{
    const char *from = p->at;
    kd__chain parts = { 0 };
    do kd__chain_add(p, &parts, separators[1] ? list(p, separators + 1) : relation(p), 0);
    while (!p->failed && kd__parser_take(p, separators[0]));
    return parts.first == parts.last ? parts.first
                                     : kd__parser_node(p, KD__LIST, from, parts.first);
}

uint16_t kd__parser_list(kd__parser *p) { return list(p, ";,"); }

void kd__tree_read(kd__tree *tree, kd__stretch answer)
{
    tree->count = tree->root = 0;
    tree->nodes[0] = (kd__node){ 0 };
    tree->length = kd__flatten(answer, tree->flat, &tree->prose);
    kd__parser p = { .tree = tree, .at = tree->flat, .end = tree->flat + tree->length };
    if (!tree->length) return;
    /* what it is said of stands in the question */
    if (!kd__parser_take(&p, '=')) kd__parser_take(&p, KD__ABOUT);
    const uint16_t root = kd__parser_list(&p);
    if (!p.failed && p.at == p.end) tree->root = root;
}

int kd__children(kd__item i)
{
    int count = 0;
    for (kd__item c = kd__first(i); c.node; c = kd__next(c)) count++;
    return count;
}

int kd__holds(kd__item i, const uint8_t *kinds, int count)
{
    if (count > 0 && memchr(kinds, kd__node_of(i)->op, (size_t)count)) return 1;
    for (kd__item c = kd__first(i); c.node; c = kd__next(c))
        if (kd__holds(c, kinds, count)) return 1;
    return 0;
}
