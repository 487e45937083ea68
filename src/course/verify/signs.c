/* Digits, signs, spaces and punctuation of other scripts as ASCII and LaTeX. */
#include "course/verify/verify.h"

typedef struct {
    char *out;
    int32_t n, room;
    char raised; /* '^' or '_' while small digits stand in a row: their brace is still open */
} spelling;

static void put(spelling *s, const char *text)
{
    for (; *text; text++) {
        if (s->n < s->room) s->out[s->n] = *text;
        s->n++;
    }
}

uint32_t kd__next_point(const char **at, const char *end)
{
    const unsigned char *p = (const unsigned char *)*at;
    const int more = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : p[0] < 0xf5 ? 3 : 0;
    uint32_t c = more ? p[0] & (0x3fu >> more) : p[0];
    for (int i = 1; i <= more; i++) {
        if (p + i >= (const unsigned char *)end || (p[i] & 0xc0) != 0x80) return *at += 1, p[0];
        c = c << 6 | (p[i] & 0x3f);
    }
    *at += more + 1;
    return c;
}

/* Digits by the code point of their zero: ten in a row each. */
static int digit_of(uint32_t c)
{
    static const uint16_t zeros[] = { 0x660, 0x6f0,  0x7c0,  0x966,  0x9e6, 0xa66, 0xae6,
                                      0xb66, 0xbe6,  0xc66,  0xce6,  0xd66, 0xe50, 0xed0,
                                      0xf20, 0x1040, 0x17e0, 0x1810, 0xff10 };
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
        if (c >= zeros[i] && c < zeros[i] + 10u) return (int)(c - zeros[i]);
    return c >= 0x1d7ce && c <= 0x1d7ff ? (int)((c - 0x1d7ce) % 10) : -1;
}

/* Small digits and signs above (*kind '^') or below ('_') the line. */
static const char *small_of(uint32_t c, char *kind)
{
    static const char *const texts[] = { "0", "1", "2", "3", "4", "5", "6", "7",
                                         "8", "9", "+", "-", "=", "(", ")", "n" };
    *kind = '^';
    if (c == 0xb9) return "1";
    if (c == 0xb2) return "2";
    if (c == 0xb3) return "3";
    if (c == 0x2070 || (c >= 0x2074 && c <= 0x207f)) return texts[c - 0x2070];
    if (c == 0x2071) return "i";
    *kind = '_';
    return c >= 0x2080 && c <= 0x208e ? texts[c - 0x2080] : NULL;
}

static const struct {
    uint16_t point;
    const char *as;
} signs[] = {
    /* signs of mathematics */
    { 0xb1, "\\pm " },
    { 0x2213, "\\mp " },
    { 0xd7, "\\times " },
    { 0x2715, "\\times " },
    { 0xf7, "\\div " },
    { 0xb7, "\\cdot " },
    { 0x2219, "\\cdot " },
    { 0x22c5, "\\cdot " },
    { 0x2022, "\\cdot " },
    { 0x2010, "-" },
    { 0x2011, "-" },
    { 0x2012, "-" },
    { 0x2013, "-" },
    { 0x2014, "-" },
    { 0x2212, "-" },
    { 0xfe63, "-" },
    { 0x2044, "/" },
    { 0x2215, "/" },
    { 0x2236, ":" },
    { 0x2217, "*" },
    { 0x2264, "\\le " },
    { 0x2266, "\\le " },
    { 0x2a7d, "\\le " },
    { 0x2265, "\\ge " },
    { 0x2267, "\\ge " },
    { 0x2a7e, "\\ge " },
    { 0x2260, "\\ne " },
    { 0x2248, "\\approx " },
    { 0x2208, "\\in " },
    { 0x222a, "\\cup " },
    { 0x2229, "\\cap " },
    { 0x221e, "\\infty " },
    { 0x2205, "\\emptyset " },
    { 0x221a, "\\sqrt " },
    { 0x221b, "\\sqrt[3]" },
    { 0x221c, "\\sqrt[4]" },
    { 0x211d, "\\mathbb{R}" },
    { 0xb0, "^\\circ " },
    { 0x2218, "^\\circ " },
    { 0x230a, "\\lfloor " },
    { 0x230b, "\\rfloor " },
    { 0x2308, "\\lceil " },
    { 0x2309, "\\rceil " },
    { 0x27e8, "\\langle " },
    { 0x27e9, "\\rangle " },
    { 0x2032, "'" },
    { 0x2019, "'" },
    /* Greek letters that answers have */
    { 0x3b1, "\\alpha " },
    { 0x3b2, "\\beta " },
    { 0x3b3, "\\gamma " },
    { 0x3b4, "\\delta " },
    { 0x3b8, "\\theta " },
    { 0x3bb, "\\lambda " },
    { 0x3bc, "\\mu " },
    { 0x3c0, "\\pi " },
    { 0x3c1, "\\rho " },
    { 0x3c3, "\\sigma " },
    { 0x3c6, "\\varphi " },
    { 0x3c9, "\\omega " },
    /* fractions */
    { 0xbc, "\\frac{1}{4}" },
    { 0xbd, "\\frac{1}{2}" },
    { 0xbe, "\\frac{3}{4}" },
    { 0x2150, "\\frac{1}{7}" },
    { 0x2151, "\\frac{1}{9}" },
    { 0x2152, "\\frac{1}{10}" },
    { 0x2153, "\\frac{1}{3}" },
    { 0x2154, "\\frac{2}{3}" },
    { 0x2155, "\\frac{1}{5}" },
    { 0x2156, "\\frac{2}{5}" },
    { 0x2157, "\\frac{3}{5}" },
    { 0x2158, "\\frac{4}{5}" },
    { 0x2159, "\\frac{1}{6}" },
    { 0x215a, "\\frac{5}{6}" },
    { 0x215b, "\\frac{1}{8}" },
    { 0x215c, "\\frac{3}{8}" },
    { 0x215d, "\\frac{5}{8}" },
    { 0x215e, "\\frac{7}{8}" },
    /* punctuation */
    { 0x3001, "," },
    { 0x3002, "." },
    { 0x60c, "," },
    { 0x66a, "%" },
    { 0x66b, "." },
    { 0x201c, "\"" },
    { 0x201d, "\"" },
    { 0x66c, "{,}" },
    /* currencies */
    { 0xa2, "\\$" },
    { 0xa3, "\\$" },
    { 0xa5, "\\$" },
    { 0x20ac, "\\$" },
    { 0x20b9, "\\$" },
    { 0x20bd, "\\$" },
    { 0x20a9, "\\$" },
    { 0xffe5, "\\$" },
    { 0xffe1, "\\$" },
    { 0xffe0, "\\$" },
    /* spaces, and what takes no space */
    { 0xa0, " " },
    { 0x202f, " " },
    { 0x205f, " " },
    { 0x3000, " " },
    { 0xad, "" },
    { 0x200b, "" },
    { 0x200c, "" },
    { 0x200d, "" },
    { 0x200e, "" },
    { 0x200f, "" },
    { 0x2060, "" },
    { 0xfeff, "" },
};

static const char *sign_of(uint32_t c)
{
    if (c >= 0x2000 && c <= 0x200a) return " ";
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (signs[i].point == c) return signs[i].as;
    return NULL;
}

static void put_small(spelling *s, const char *text, char kind)
{
    const char open[] = { kind, '{', 0 };
    if (s->raised != kind) {
        if (s->raised) put(s, "}");
        put(s, open);
    }
    put(s, text);
    s->raised = kind;
}

int kd__has_digit(uint32_t c)
{
    char kind;
    const char *small = small_of(c, &kind), *sign = sign_of(c);
    return digit_of(c) >= 0 || (small && kind == '^' && kd__is_digit(*small)) ||
           (sign && sign[0] && sign[1] == 'f' && sign[2] == 'r');
}

static void put_point(spelling *s, uint32_t c, const char *from, const char *to)
{
    char one[] = { 0, 0 };
    const int digit = digit_of(c);
    const char *sign = sign_of(c);
    if (digit >= 0) one[0] = (char)('0' + digit);
    else if (c > 0xff00 && c < 0xff5f) one[0] = (char)(c - 0xfee0);
    if (sign || one[0]) {
        put(s, sign ? sign : one);
        return;
    }
    for (; from < to; from++) {
        one[0] = *from;
        put(s, one);
    }
}

int32_t kd__plain_signs(kd__stretch text, char *out, int32_t room)
{
    spelling s = { .out = out, .room = room };
    for (const char *p = text.at; p < text.end;) {
        const char *from = p;
        char kind = 0;
        const uint32_t c = kd__next_point(&p, text.end);
        const char *small = c < 0x80 ? NULL : small_of(c, &kind);
        if (small) {
            put_small(&s, small, kind);
            continue;
        }
        if (s.raised) put(&s, "}");
        s.raised = 0;
        const char ascii[] = { (char)c, 0 };
        if (c < 0x80) put(&s, ascii);
        else put_point(&s, c, from, p);
    }
    if (s.raised) put(&s, "}");
    return s.n <= room ? s.n : -1;
}
