/* Unicode as Hugging Face's tokenizers package knows it: categories, normal forms, lower case. Text
 * is UTF-8 that was checked before. */
#ifndef KD_TOKENIZER_UNICODE_H
#define KD_TOKENIZER_UNICODE_H

#include <kdistill/context.h>
#include "language/text/trace.h"

/* The value of a code point: its category (below), and three classes. */
#define KD__CATEGORY 0x1f
#define KD__WORD 0x20
#define KD__SPACE 0x40
#define KD__NUMBER 0x80
enum {
    KD__CN,
    KD__CO,
    KD__CC,
    KD__CF,
    KD__LU,
    KD__LL,
    KD__LT,
    KD__LM,
    KD__LO,
    KD__MN,
    KD__MC,
    KD__ME,
    KD__ND,
    KD__NL,
    KD__NO,
    KD__PC,
    KD__PD,
    KD__PS,
    KD__PE,
    KD__PI,
    KD__PF,
    KD__PO,
    KD__SM,
    KD__SC,
    KD__SK,
    KD__SO,
    KD__ZS,
    KD__ZL,
    KD__ZP,
    KD__CATEGORIES
};

enum { KD__NFC, KD__NFD, KD__NFKC, KD__NFKD };

/* Code points in a row that have texts: in the tables of lengths and of texts they begin there. */
typedef struct {
    uint32_t first;
    uint16_t entry, begin;
} kd__unicode_run;

/* What BERT's normalizer and pre-tokenizer, and StripAccents, take a code point for. */
#define KD__BERT_REMOVED 0x01     /* by clean_text */
#define KD__BERT_BLANK 0x02       /* a space after clean_text */
#define KD__BERT_CHINESE 0x04     /* gets spaces around it */
#define KD__BERT_ACCENT 0x08      /* removed by strip_accents, after NFD */
#define KD__BERT_PUNCTUATION 0x10 /* a piece of its own */
#define KD__BERT_SPACE 0x20       /* between pieces */
#define KD__BERT_MARK 0x40        /* removed by StripAccents */

/* Steps of BERT's normalizer, in their order. */
#define KD__BERT_CLEAN 1
#define KD__BERT_HANDLE_CHINESE 2
#define KD__BERT_STRIP 4
#define KD__BERT_LOWER 8

/* Values, BERT's classes and combining classes in pages of 256 code points; a page of one value
 * throughout is kept once. */
typedef struct kd__unicode {
    kd_context *context;
    uint16_t page[0x1100], mark_page[0x1100], bert_page[0x1100];
    uint8_t *values, *marks, *bert;
} kd__unicode;

kd_status kd__unicode_make(kd__unicode **out, kd_context *context);
void kd__unicode_free(kd__unicode *unicode);

static inline uint8_t kd__unicode_value(const kd__unicode *u, uint32_t c)
{
    return u->values[((uint32_t)u->page[c >> 8] << 8) | (c & 255)];
}
static inline uint8_t kd__unicode_class(const kd__unicode *u, uint32_t c)
{
    return u->marks[((uint32_t)u->mark_page[c >> 8] << 8) | (c & 255)];
}
static inline uint8_t kd__unicode_bert_class(const kd__unicode *u, uint32_t c)
{
    return u->bert[((uint32_t)u->bert_page[c >> 8] << 8) | (c & 255)];
}

/* \w of Rust's regular expressions, which added tokens and some pre-tokenizers use: Oniguruma's,
 * which KD__WORD is, takes the superscripts and fractions of Latin 1 for words, and not the
 * joiners. */
static inline int kd__unicode_is_word(const kd__unicode *u, uint32_t c)
{
    const uint8_t value = kd__unicode_value(u, c);
    return c == 0x200c || c == 0x200d || (value & KD__WORD && (value & KD__CATEGORY) != KD__NO);
}

/* The code point at *at, which moves behind it. */
static inline uint32_t kd__utf8_next(const char **at)
{
    const unsigned char *p = (const unsigned char *)*at;
    if (p[0] < 0x80) return *at += 1, p[0];
    if (p[0] < 0xe0) return *at += 2, (uint32_t)(p[0] & 31) << 6 | (p[1] & 63);
    if (p[0] < 0xf0)
        return *at += 3, (uint32_t)(p[0] & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (p[2] & 63);
    return *at += 4, (uint32_t)(p[0] & 7) << 18 | (uint32_t)(p[1] & 63) << 12 |
                         (uint32_t)(p[2] & 63) << 6 | (p[3] & 63);
}
static inline int32_t kd__utf8_size(char first)
{
    const unsigned char c = (unsigned char)first;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}
/* The character before `at`. */
static inline const char *kd__utf8_back(const char *at)
{
    do at--;
    while (((unsigned char)*at & 0xc0) == 0x80);
    return at;
}
int32_t kd__utf8_put(char to[4], uint32_t c);
/* Bytes of valid UTF-8 at the beginning (no surrogates, nothing overlong); *wrong (may be NULL) is
 * set to the length of the bytes behind them that count as one damaged character (Unicode 15,
 * section 3.9, maximal subparts), and -1 when the text ends inside a character. */
int64_t kd__utf8_valid(const char *text, int64_t bytes, int64_t *wrong);

/* Appends a piece in a normal form, or in lower case. */
kd_status kd__normal_form(const kd__unicode *u, int32_t form, const kd__piece *piece,
                          kd__traced *to);
kd_status kd__lower_case(const kd__piece *piece, kd__traced *to);
/* Appends a piece as BERT's normalizer leaves it; `steps`: KD__BERT_CLEAN .. */
kd_status kd__bert_form(const kd__unicode *u, int32_t steps, const kd__piece *piece,
                        kd__traced *to);
/* Appends a piece without its combining marks. */
kd_status kd__strip_marks(const kd__unicode *u, const kd__piece *piece, kd__traced *to);

#endif
