/* Insides of verifiers: where an answer is, what it says as a tree, what that is worth.
 *
 * Nothing here allocates: an answer is read into a kd__tree on the caller's stack, of a size that
 * does not depend on the text. What does not fit into a tree is compared as text. */
#ifndef KD_VERIFY_VERIFY_H
#define KD_VERIFY_VERIFY_H

#include <complex.h>
#include <kdistill/verify.h>
#include <string.h>

#include "base/status.h"

/* As CMPLX, which not every compiler has with every C library: no product that makes NaN of an
 * infinity. */
static inline double _Complex kd__complex(double real, double imaginary)
{
    union {
        double parts[2];
        double _Complex whole;
    } made = { { real, imaginary } };
    return made.whole;
}

/* ---- texts: a part of a text that is not ended with 0 ---- */

typedef struct {
    const char *at, *end;
} kd__stretch;

static inline int kd__is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static inline int kd__is_digit(char c) { return c >= '0' && c <= '9'; }
static inline int kd__is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static inline char kd__lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
static inline int64_t kd__length(kd__stretch s) { return s.end - s.at; }

kd__stretch kd__trimmed(kd__stretch s);
/* Does s begin with `word` (small letters), whatever the case? */
int kd__begins(kd__stretch s, const char *word);
int kd__same_bytes(kd__stretch a, kd__stretch b);
int kd__same_plain(kd__stretch a, kd__stretch b);
int kd__same_choice(kd__stretch a, kd__stretch b);

/* ---- where the answer is (answer.c, boxes.c) ---- */

typedef struct {
    kd__stretch inside; /* of the box that was closed last */
    /* from the first to the last box of several that are one list; else `inside` */
    kd__stretch list;
    const char *end; /* after that box */
    int64_t count;
    int closed; /* the last box is closed; 0: what came before it was given up */
} kd__boxes;

kd__boxes kd__boxes_of(kd__stretch s);
/* The bytes of \boxed or its kin at s.at, and of the white space after it; 0: it is none. */
int64_t kd__box_command(kd__stretch s);
/* What a box holds that is all of s; else s. */
kd__stretch kd__without_box(kd__stretch s);

typedef struct {
    kd__stretch text;
    int marked; /* a box or a mark said where it is; 0: it is the whole text */
} kd__answer;

kd__answer kd__answer_of(const char *text);
int kd__keeps_format(const char *text, int32_t format);
/* The first (last) formula between $ .. $, $$ .. $$, \( .. \) or \[ .. \]. 0: there is none. */
int kd__formula_of(kd__answer answer, kd__stretch *formula);

/* ---- one spelling for what is written in many (signs.c, flat.c) ---- */

enum {
    KD__LONGEST_ANSWER = 2000, /* bytes: a longer one is compared as text */
    KD__FLAT = 1024,
    KD__NODES = 400,
    KD__DEEPEST = 16, /* brackets, braces, arguments and exponents within each other */
    KD__TALLEST = 36  /* nodes from a tree's root to a leaf */
};

/* ASCII and LaTeX for the digits, signs, spaces and punctuation of other scripts. Returns the bytes
 * written, -1: more than `room`. */
int32_t kd__plain_signs(kd__stretch s, char *out, int32_t room);

/* The code point at *at, which moves after it; a damaged byte is one by itself. */
uint32_t kd__next_point(const char **at, const char *end);
/* A digit of any script, a small one above the line, a fraction in one sign. */
int kd__has_digit(uint32_t c);

/* Signs of one byte in a flat text, beside the printable ones. */
enum {
    KD__NAME_END = 1, /* after \name, where a letter follows */
    KD__SET_OPEN,
    KD__SET_CLOSE,
    KD__LESS_EQUAL,
    KD__MORE_EQUAL,
    KD__NOT_EQUAL,
    KD__PLUS_MINUS,
    KD__MINUS_PLUS,
    KD__UNION,
    KD__ROW,
    KD__IN,
    KD__ABOUT,  /* approximately equal */
    KD__WORD,   /* before and after a word that is no product of its letters */
    KD__GAP,    /* white space between digits */
    KD__DEGREE, /* a postfix, as % is */
    KD__REPEAT, /* before the digits that repeat for ever */
    KD__MATRIX_OPEN,
    KD__DETERMINANT_OPEN,
    KD__MATRIX_CLOSE,
    KD__ABS_OPEN,
    KD__ABS_CLOSE,
    KD__FLOOR_OPEN,
    KD__FLOOR_CLOSE,
    KD__CEILING_OPEN,
    KD__CEILING_CLOSE
};

/* LaTeX or plain text without white space and layout, in out[KD__FLAT], ended with 0. *prose: it
 * has words that are no units of a number and no name of a function. Returns its length; 0: it does
 * not fit. */
int32_t kd__flatten(kd__stretch s, char *out, int *prose);

/* ---- trees (parse.c) ---- */

enum {
    KD__NUMBER = 1, /* digits, as they stand from `at` on */
    KD__VARIABLE,   /* a letter or \name, with its subscript */
    KD__BASED,      /* digits with a subscript: a number in another base */
    KD__CONSTANT,   /* what: KD__PI .. */
    KD__SUM,        /* of children; a child's sign: '-', KD__PLUS_MINUS, KD__MINUS_PLUS or 0 */
    KD__PRODUCT,    /* of children; a child's sign: '/' or 0 */
    KD__MIXED,      /* a whole number and a fraction */
    KD__POWER,      /* base, exponent */
    KD__ROOT,       /* of, degree */
    KD__FUNCTION,   /* what: its place in the table of functions; argument */
    KD__LOGARITHM,  /* of, base (none: 10) */
    KD__FACTORIAL,
    KD__DOUBLE_FACTORIAL,
    KD__BINOMIAL,
    KD__ABSOLUTE,
    KD__FLOOR,
    KD__CEILING,
    KD__PERCENT,
    KD__DEGREES,
    KD__RATIO,    /* 3:4 */
    KD__TIME,     /* 10:30 */
    KD__WORDS,    /* a text, as it stands */
    KD__TUPLE,    /* children; the brackets are the bytes at `at` and at `at + bytes - 1` */
    KD__SET,      /* children */
    KD__LIST,     /* children, without brackets */
    KD__UNIONS,   /* children */
    KD__RELATION, /* children; a child's sign: the relation before it */
    KD__MATRIX,   /* children: rows */
    KD__MATRIX_ROW
};
enum { KD__PI, KD__EULER, KD__IMAGINARY, KD__INFINITY, KD__EMPTY_SET };

typedef struct {
    uint8_t op, sign;     /* the sign before it as a child */
    uint8_t what;         /* which constant or function; a matrix: 1 is a determinant */
    uint8_t height;       /* 1: a leaf */
    uint16_t at, bytes;   /* of the flat text */
    uint16_t first, next; /* child, sibling; 0: none */
} kd__node;

typedef struct {
    char flat[KD__FLAT];
    kd__node nodes[KD__NODES]; /* 0 stands for none */
    int32_t length;            /* of flat; 0: the answer did not fit */
    uint16_t count, root;      /* root 0: flat is no mathematics */
    int prose;
} kd__tree;

void kd__tree_read(kd__tree *tree, kd__stretch answer);
typedef double _Complex (*kd__function)(double _Complex);
/* The function of a name (sin), or NULL; and of its place, by which a node knows it. */
int kd__function_place(const char *name, int64_t bytes);
kd__function kd__function_at(int place);

/* A node, and the sign that plus-minus has in it: 1 or -1. */
typedef struct {
    const kd__tree *tree;
    uint16_t node;
    int16_t branch;
} kd__item;

static inline const kd__node *kd__node_of(kd__item i) { return &i.tree->nodes[i.node]; }
static inline kd__item kd__child(kd__item i, uint16_t node)
{
    return (kd__item){ i.tree, node, i.branch };
}
static inline kd__item kd__first(kd__item i) { return kd__child(i, kd__node_of(i)->first); }
static inline kd__item kd__next(kd__item i) { return kd__child(i, kd__node_of(i)->next); }
int kd__children(kd__item i);
/* Is there a node of one of the `count` kinds in the tree under i? */
int kd__holds(kd__item i, const uint8_t *kinds, int count);

/* ---- values (value.c, evaluate.c) ---- */

/* m 2^e, and where the number is rational (or a polynomial of variables, pi and e) its residues
 * modulo three primes, which tell such numbers apart exactly whatever their size. `size` 2^e bounds
 * what was added up on the way, which says how much was canceled. */
enum { KD__PRIMES = 3 };
typedef struct {
    double _Complex m;
    int64_t e;
    double size;
    int32_t places; /* of a decimal fraction: its last digit is worth 10^-places */
    uint32_t residue[KD__PRIMES];
    uint8_t exact;   /* residues are known */
    uint8_t decimal; /* 1: a decimal fraction was read in it; 2: it is one, places is known */
    uint8_t failed;
} kd__value;

kd__value kd__value_whole(int64_t n);
kd__value kd__value_plain(double _Complex x);
kd__value kd__value_failed(void);
kd__value kd__value_add(kd__value a, kd__value b);
kd__value kd__value_multiply(kd__value a, kd__value b);
kd__value kd__value_negative(kd__value a);
kd__value kd__value_inverse(kd__value a);
/* a 10^-places, as exact a decimal fraction as a is. */
kd__value kd__value_share(kd__value a, int32_t places);
kd__value kd__value_power(kd__value a, kd__value b);
kd__value kd__value_log(kd__value a);
kd__value kd__value_digits(const char *at, const char *end);
/* A number that depends on the name and the trial alone. */
kd__value kd__value_named(const char *name, int64_t bytes, int trial);
kd__value kd__value_pi(void);
kd__value kd__value_euler(void);
kd__value kd__value_imaginary(void);
/* As one complex number; 0: it does not fit. */
int kd__value_number(kd__value a, double _Complex *x);
int kd__value_is_zero(kd__value a);
/* A whole number of at most 2^53. */
int kd__value_is_whole(kd__value a, int64_t *n);
int kd__value_same(kd__value a, kd__value b, double tolerance);

/* The work that a comparison may still do, in steps; when it is spent, nothing is equal any
 * more. */
typedef struct {
    int64_t steps;
    double tolerance;
    int bare_degrees; /* \sin 30^\circ as \sin 30: whoever writes the second means the first */
} kd__work;

kd__value kd__evaluate(kd__item item, int trial, kd__work *work);

/* ---- verdicts (same.c, relation.c, number.c, pattern.c) ---- */

int kd__same(kd__item a, kd__item b, kd__work *work, int depth);
int kd__same_value(kd__item a, kd__item b, kd__work *work);
int kd__same_relations(kd__item a, kd__item b, kd__work *work, int depth);
/* Are both the same interval, each an inequality of one variable or two bounds in brackets? */
int kd__same_interval(kd__item a, kd__item b, kd__work *work);
/* Is one an inequality of a name's absolute value, or one that leaves out a number, and the other
 * the intervals that it means? */
int kd__same_distance(kd__item a, kd__item b, kd__work *work);
int kd__same_matrices(kd__item a, kd__item b, kd__work *work, int depth);
int kd__is_name(kd__item i, int depth);
/* x = 5, k = 1/3 \approx 0.33: the value's node; else i. */
kd__item kd__without_name(kd__item i, kd__work *work);
/* 1/3 \approx 0.33: the first side's node; else i. */
kd__item kd__exact_side(kd__item i, kd__work *work);
int kd__same_mathematics(kd__answer a, kd__answer b, double tolerance);
int kd__same_number(kd__answer a, kd__answer b, double tolerance);
/* The number of an answer; 0: it has none. */
int kd__number_of(kd__answer answer, kd__value *value, int *percent);
/* Does all of the text match the extended regular expression? */
kd_status kd__pattern_match(const char *pattern, kd__stretch text, int *yes);

#endif
