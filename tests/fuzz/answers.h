/* Answers for verifiers, of bytes that choose parts of formulas: a mutation changes a formula, not
 * a letter. */
#ifndef KD_FUZZ_ANSWERS_H
#define KD_FUZZ_ANSWERS_H

#include <kdistill.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TEXT = 1 << 16 };

typedef struct {
    char *at;
    size_t bytes;
    const uint8_t *next, *end; /* what chooses */
} answer_text;

static void put_answer(answer_text *t, const char *part, size_t bytes)
{
    if (t->bytes + bytes >= MOST_TEXT) return;
    memcpy(t->at + t->bytes, part, bytes);
    t->bytes += bytes;
}

static const char *const answer_parts[] = { "\\boxed{",
                                            "\\fbox{",
                                            "\\framebox{",
                                            "}",
                                            "{",
                                            "(",
                                            ")",
                                            "[",
                                            "]",
                                            "\\{",
                                            "\\}",
                                            "$",
                                            "\\(",
                                            "\\)",
                                            "<think>",
                                            "</think>",
                                            "<|im_end|>",
                                            "####",
                                            "\nQuestion: ",
                                            " answer is ",
                                            "\nA: ",
                                            " I hope it is correct",
                                            "1",
                                            "2",
                                            "3",
                                            "12",
                                            "000",
                                            "0",
                                            ".",
                                            ",",
                                            "{,}",
                                            "\\,",
                                            " ",
                                            "%",
                                            "\\%",
                                            "^",
                                            "^{",
                                            "_",
                                            "_2",
                                            "!",
                                            "|",
                                            "/",
                                            ":",
                                            "*",
                                            "+",
                                            "-",
                                            "\\pm ",
                                            "=",
                                            "<",
                                            "\\le ",
                                            "\\ne ",
                                            "\\approx ",
                                            "x",
                                            "y",
                                            "n",
                                            "i",
                                            "e",
                                            "\\pi ",
                                            "\\infty ",
                                            "\\frac{",
                                            "\\frac12",
                                            "\\dfrac",
                                            "\\sqrt{",
                                            "\\sqrt[3]",
                                            "\\sin ",
                                            "\\log_",
                                            "\\ln ",
                                            "exp(",
                                            "\\binom{",
                                            "\\over ",
                                            "\\cup ",
                                            "\\in ",
                                            "\\left(",
                                            "\\right)",
                                            "\\left|",
                                            "\\right|",
                                            "\\lfloor ",
                                            "\\rfloor ",
                                            "\\begin{pmatrix}",
                                            "\\end{pmatrix}",
                                            "\\begin{array}{c}",
                                            "\\end{array}",
                                            "&",
                                            "\\\\",
                                            "\\text{",
                                            " and ",
                                            " or ",
                                            " cm",
                                            "dollars ",
                                            "Monday",
                                            "the ",
                                            "million ",
                                            "^\\circ ",
                                            "\\overline{",
                                            "e5",
                                            "\xef\xbc\x91",
                                            "\xe2\x88\x92",
                                            "\xc2\xbd",
                                            "\xc2\xb2",
                                            "\xd9\xa3",
                                            "10:30",
                                            "\xc2\xa0",
                                            "\xff",
                                            "9999!",
                                            "2^{2003}",
                                            ";",
                                            "\\emptyset ",
                                            "\\mathbb{R}",
                                            "\\sum_{k=1}^{n} ",
                                            "\\int_0^1 ",
                                            "\\quad ",
                                            "\n" };

/* Part by part; a byte of 240 and above repeats what came last, up to 64 kB. */
static void write_parts(answer_text *t)
{
    enum { PARTS = sizeof answer_parts / sizeof *answer_parts, REPEAT = 240, MOST_REPEATED = 64 };
    for (; t->next < t->end; t->next++) {
        if (*t->next < REPEAT) {
            const char *part = answer_parts[*t->next % PARTS];
            put_answer(t, part, strlen(part));
            continue;
        }
        const size_t n = t->bytes < MOST_REPEATED ? t->bytes : MOST_REPEATED;
        for (int times = 1 << (*t->next - REPEAT); times; times--)
            put_answer(t, t->at + t->bytes - n, n);
    }
}

/* @: another of them. The first ones have none. */
static const char *const answer_forms[] = { "1",
                                            "2",
                                            "7",
                                            "x",
                                            "y",
                                            "0.5",
                                            "\\pi",
                                            "1,234",
                                            "\\infty",
                                            "\\frac{1}{2}",
                                            "3 \\text{ cm}",
                                            "30^\\circ",
                                            "0.\\overline{3}",
                                            "n!",
                                            "@+@",
                                            "@-@",
                                            "@ @",
                                            "-@",
                                            "(@)",
                                            "(@,@)",
                                            "[@,@)",
                                            "\\{@,@\\}",
                                            "@, @",
                                            "@ \\text{ or } @",
                                            "\\frac{@}{@}",
                                            "@/@",
                                            "\\sqrt{@}",
                                            "\\sqrt[3]{@}",
                                            "@^{@}",
                                            "@^2",
                                            "|@|",
                                            "\\lfloor @ \\rfloor",
                                            "\\binom{@}{@}",
                                            "@!",
                                            "\\sin(@)",
                                            "\\log_{2} @",
                                            "\\ln @",
                                            "@ = @",
                                            "x < @",
                                            "@ \\le x < @",
                                            "|x| < @",
                                            "@ \\cup @",
                                            "\\pm @",
                                            "@\\%",
                                            "@:@",
                                            "\\begin{pmatrix}@ & @ \\\\ @ & @\\end{pmatrix}",
                                            "\\begin{pmatrix}@ \\\\ @\\end{pmatrix}",
                                            "\\boxed{@}",
                                            "\\text{@}",
                                            "\\sum_{k=1}^{n} @",
                                            "{@ \\over @}" };

/* A formula whose brackets are closed, within what is left of the bytes. */
static void write_form(answer_text *t, int depth)
{
    enum { FORMS = sizeof answer_forms / sizeof *answer_forms, LEAVES = 14, DEEPEST = 24 };
    const int choice = t->next < t->end ? *t->next++ : 0;
    const char *form = answer_forms[choice % (depth < DEEPEST ? FORMS : LEAVES)];
    for (; *form; form++) {
        if (*form == '@') write_form(t, depth + 1);
        else put_answer(t, form, 1);
    }
}

/* Two answers, a line each: by parts (255), by forms (254), or as the bytes are. To be freed. */
static char *answers_of(const uint8_t *data, size_t size)
{
    answer_text t = { .at = malloc(MOST_TEXT + 1), .next = data + (size > 0), .end = data + size };
    const int how = size ? *data : 0;
    if (how == 255) write_parts(&t);
    else if (how == 254) {
        write_form(&t, 0);
        put_answer(&t, "\n", 1);
        write_form(&t, 0);
    } else put_answer(&t, (const char *)data, size);
    t.at[t.bytes] = 0;
    return t.at;
}

/* A verdict is the same both ways round, and an answer is itself. */
static void compare_answers(const char *a, const char *b, int32_t verifier)
{
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    int32_t right, back;
    int64_t bytes;
    const char *answer;
    o.verifiers = verifier;
    kd_verify_answer(a, b, &o, &right, NULL);
    kd_verify_answer(b, a, &o, &back, NULL);
    if (right != back) abort();
    kd_verify_answer(a, a, &o, &right, NULL);
    kd_verify_find_answer(a, &answer, &bytes);
    if (verifier == KD_VERIFY_LATEX && right != (bytes > 0)) abort();
}

static void use_answers(kd_context *context, const uint8_t *data, size_t size)
{
    char *a = answers_of(data, size), *line = strchr(a, '\n'), *b = line ? line + 1 : a;
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    int32_t right;
    double value;
    if (line) *line = 0;
    o.verifiers = 63;
    o.format = 3;
    o.pattern = b; /* a pattern too is a text of others */
    kd_verify_answer(a, b, &o, &right, NULL);
    kd_verify_find_number(a, &value, NULL);
    compare_answers(a, b, KD_VERIFY_LATEX);
    compare_answers(a, b, KD_VERIFY_NUMBER);
    /* ROUGE-L compares each word with each, which takes long where each comparison is traced */
    for (int32_t kind = KD_TEXT_BLEU;
         kind <= KD_TEXT_EXACT && strlen(a) + strlen(b) < MOST_TEXT / 4; kind++)
        kd_compare_texts(context, kind, (const char *const *)&a, (const char *const *)&b, 1,
                         &value);
    free(a);
}

#endif
