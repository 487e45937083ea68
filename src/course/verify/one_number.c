/* KD_VERIFY_NUMBER: the number that an answer is.
 *
 * An answer is a number when all of it is one: digits, a fraction or a mixed number of such, a
 * power of ten as a factor, each with a sign, a currency, a percent sign, degrees or a unit; or
 * when it is an equation of a name, or of numbers alone, whose last side is one. A sentence (it has
 * words that are no unit) gives its last number, when that stands alone: what is joined to it up to
 * the words around it must be a number as above. */
#include "course/verify/verify.h"

static int op_of(kd__item i) { return kd__node_of(i)->op; }

/* Children of a sum or product that has one or two. */
static kd__item second_of(kd__item i) { return kd__next(kd__first(i)); }

static int is_signed_number(kd__item i)
{
    if (op_of(i) == KD__SUM && kd__children(i) == 1 &&
        kd__node_of(kd__first(i))->sign != KD__PLUS_MINUS)
        i = kd__first(i);
    return op_of(i) == KD__NUMBER && kd__node_of(i)->sign != KD__MINUS_PLUS;
}

/* 10^5 */
static int is_power_of_ten(kd__item i)
{
    const kd__node *base = kd__node_of(kd__first(i));
    return op_of(i) == KD__POWER && base->op == KD__NUMBER && base->bytes == 2 &&
           !memcmp(i.tree->flat + base->at, "10", 2) && is_signed_number(second_of(i));
}

/* m, g or s after a number of a sentence: a letter that is a unit, with its power. */
static int is_unit(kd__item i)
{
    if (op_of(i) == KD__POWER) i = kd__first(i);
    return op_of(i) == KD__VARIABLE && kd__node_of(i)->bytes == 1 &&
           strchr("mgshlLNJWV", i.tree->flat[kd__node_of(i)->at]);
}

static int is_product_literal(kd__item i, int sentence)
{
    const kd__item first = kd__first(i), second = second_of(i);
    if (kd__children(i) != 2 || !is_signed_number(first)) return 0;
    if (kd__node_of(second)->sign == '/') return is_signed_number(second);
    return is_power_of_ten(second) || (sentence && is_unit(second));
}

static int is_literal(kd__item i, int sentence)
{
    if (op_of(i) == KD__SUM && kd__children(i) == 1) {
        const int sign = kd__node_of(kd__first(i))->sign;
        if (sign == KD__PLUS_MINUS || sign == KD__MINUS_PLUS) return 0;
        i = kd__first(i);
    }
    if (op_of(i) == KD__PERCENT || op_of(i) == KD__DEGREES) i = kd__first(i);
    if (op_of(i) == KD__NUMBER || op_of(i) == KD__MIXED) return 1;
    return op_of(i) == KD__PRODUCT && is_product_literal(i, sentence);
}

static int value_of(const kd__tree *tree, int sentence, kd__value *value, int *percent)
{
    static const uint8_t percents[] = { KD__PERCENT };
    kd__work work = { .steps = 20000 };
    const kd__item item = kd__without_name((kd__item){ tree, tree->root, 0 }, &work);
    if (!tree->root || !is_literal(item, sentence)) return 0;
    const kd__item inner = op_of(item) == KD__SUM ? kd__first(item) : item;
    *percent = kd__holds(item, percents, 1);
    if (sentence && op_of(inner) == KD__PRODUCT && is_unit(second_of(inner))) {
        *value = kd__evaluate(kd__first(inner), 0, &work);
        if (kd__node_of(inner)->sign == '-') *value = kd__value_negative(*value);
    } else *value = kd__evaluate(item, 0, &work);
    return !value->failed;
}

/* ---- a sentence's last number ---- */

enum { LONGEST_NAME = 24 };

/* A letter of a word: not of \name, and of one letter alone only "a" and "I". */
static int in_word(kd__stretch s, const char *p)
{
    const char *from = p;
    if (!kd__is_letter(*p)) return 0;
    while (from > s.at && p - from < LONGEST_NAME && (kd__is_letter(from[-1]) || from[-1] == '\''))
        from--;
    const int first = from == s.at, last = p + 1 == s.end;
    if (!first && from[-1] == '\\') return 0;
    if (from < p || (!last && kd__is_letter(p[1]))) return 1;
    return strchr("aAI", *p) && (first || kd__is_space(from[-1])) && (last || kd__is_space(p[1]));
}

/* Where the last digit ends, in any script; NULL: there is none. */
static const char *last_digit(kd__stretch s)
{
    for (const char *p = s.end; p > s.at; p--) {
        const char *from = p - 1;
        if (kd__is_digit(*from)) return p;
        if (((unsigned char)*from & 0xc0) != 0x80) continue;
        while (from > s.at && p - from < 4 && ((unsigned char)*from & 0xc0) == 0x80) from--;
        if (kd__has_digit(kd__next_point(&from, s.end)) && from == p) return p;
    }
    return NULL;
}

static int is_ordinal(const char *digit, const char *end)
{
    static const char *const ends[] = { "st", "nd", "rd", "th" };
    for (int i = 0; i < 4; i++)
        if (end - digit >= 2 && kd__begins((kd__stretch){ digit, end }, ends[i]) &&
            (end - digit == 2 || !kd__is_letter(digit[2])))
            return 1;
    return 0;
}

/* Does a word, or what a colon ends, end before `from`? */
static int ends_clause(kd__stretch s, const char *from)
{
    if (kd__is_letter(from[-1])) return in_word(s, from - 1);
    return from[-1] == '\n' || (from[-1] == ':' && from - s.at > 1 && kd__is_letter(from[-2]));
}

/* One sign more, where an operator follows after white space: the number is part of an
 * expression. */
static const char *with_operator(const char *to, const char *end)
{
    const char *after = to;
    while (after < end && kd__is_space(*after)) after++;
    if (after == end || !strchr("%+-*/^=<>!", *after)) return to;
    const int dash = *after == '-' && after + 1 < end && kd__is_space(after[1]);
    return dash ? to : after + 1;
}

static int holds(kd__stretch s, char c)
{
    return kd__length(s) > 0 && memchr(s.at, c, (size_t)kd__length(s));
}

/* Without punctuation at the ends; a closing bracket stays where its opening one is there. */
static kd__stretch without_punctuation(kd__stretch s)
{
    while (s.at < s.end && strchr(" \t\r,.;:)}]*_'\"`", *s.at) &&
           !(*s.at == '.' && s.end - s.at > 1 && kd__is_digit(s.at[1])))
        s.at++;
    while (s.at < s.end && strchr(".,;:!?*_'\"`)}", s.end[-1])) {
        const char close = s.end[-1];
        if ((close == '}' && holds(s, '{')) || (close == ')' && holds(s, '('))) break;
        s.end--;
    }
    if (kd__length(s) > 2 && *s.at == '-' && kd__is_space(s.at[1])) s.at += 2; /* a dash */
    return s;
}

/* From the last word before `digit` to the next white space or word after it. */
static kd__stretch around(kd__stretch s, const char *digit)
{
    enum { FARTHEST = 400 };
    const char *from = digit, *to = digit;
    while (from > s.at && digit - from < FARTHEST && !ends_clause(s, from)) from--;
    while (to < s.end && to - digit < FARTHEST && !kd__is_space(*to) && !in_word(s, to)) to++;
    return without_punctuation((kd__stretch){ from, with_operator(to, s.end) });
}

/* A comma before other than three digits, the only one: of a decimal fraction, as many languages
 * write it. */
static int decimal_comma(kd__tree *tree, kd__value *value, int *percent)
{
    char *comma = memchr(tree->flat, ',', (size_t)tree->length);
    if (!comma || comma == tree->flat ||
        memchr(comma + 1, ',', (size_t)(tree->flat + tree->length - comma - 1)))
        return 0;
    for (const char *p = tree->flat; p < tree->flat + tree->length; p++)
        if (p != comma && !kd__is_digit(*p) && !(*p == '-' && p == tree->flat) && *p != '%')
            return 0;
    char text[64];
    if (tree->length >= 64) return 0;
    memcpy(text, tree->flat, (size_t)tree->length);
    text[comma - tree->flat] = '.';
    kd__tree_read(tree, (kd__stretch){ text, text + tree->length });
    return value_of(tree, 0, value, percent);
}

static int sentence_number(kd__tree *tree, kd__stretch s, kd__value *value, int *percent)
{
    for (int i = 0; i < 16; i++) {
        const char *digit = last_digit(s);
        if (!digit) return 0;
        if (!is_ordinal(digit, s.end)) {
            kd__tree_read(tree, around(s, digit));
            return value_of(tree, 1, value, percent) || decimal_comma(tree, value, percent);
        }
        while (digit > s.at && kd__is_digit(digit[-1])) digit--;
        s.end = digit;
    }
    return 0;
}

/* Words beside a number: a long text has them. */
static int is_sentence(const kd__tree *tree, kd__stretch s)
{
    return tree->prose || kd__length(s) > KD__LONGEST_ANSWER;
}

int kd__number_of(kd__answer answer, kd__value *value, int *percent)
{
    kd__tree tree;
    kd__tree_read(&tree, answer.text);
    const int sentence = is_sentence(&tree, answer.text);
    if (value_of(&tree, 0, value, percent) || decimal_comma(&tree, value, percent)) return 1;
    return sentence && sentence_number(&tree, answer.text, value, percent);
}

int kd__same_number(kd__answer a, kd__answer b, double tolerance)
{
    kd__value x, y;
    int p, q;
    if (!kd__number_of(a, &x, &p) || !kd__number_of(b, &y, &q)) return 0;
    if (kd__value_same(x, y, tolerance)) return 1;
    if (p == q) return 0;
    return kd__value_same(p ? kd__value_share(x, 2) : x, q ? kd__value_share(y, 2) : y, tolerance);
}
