/* Characters as curation reads them: what belongs to a word, what is a word by itself, what stands
 * between words. */
#include "course/curation/curation.h"

typedef struct {
    uint32_t first, last;
} range;

static int is_in(const range *ranges, size_t count, uint32_t c)
{
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (c > ranges[middle].last) low = middle + 1;
        else high = middle;
    }
    return low < count && c >= ranges[low].first;
}

/* Blocks of the scripts that are written without spaces between words (Unicode's Blocks.txt): there
 * every character counts as a word. */
static int stands_alone(uint32_t c)
{
    static const range scripts[] = {
        { 0x0e00, 0x0eff },   /* Thai, Lao                                     */
        { 0x0f00, 0x0fff },   /* Tibetan                                       */
        { 0x1000, 0x109f },   /* Myanmar                                       */
        { 0x1780, 0x17ff },   /* Khmer                                         */
        { 0x1950, 0x19ff },   /* Tai Le, New Tai Lue, Khmer symbols            */
        { 0x1a20, 0x1aaf },   /* Tai Tham                                      */
        { 0x2e80, 0x2fdf },   /* CJK radicals                                  */
        { 0x3005, 0x3007 },   /* iteration mark, closing mark, number zero     */
        { 0x3021, 0x302f },   /* Hangzhou numerals                             */
        { 0x3031, 0x312f },   /* kana, Bopomofo                                */
        { 0x31a0, 0x31bf },   /* Bopomofo extended                             */
        { 0x31f0, 0x31ff },   /* Katakana extended                             */
        { 0x3400, 0x4dbf },   /* CJK extension A                               */
        { 0x4e00, 0x9fff },   /* CJK                                           */
        { 0xa000, 0xa4cf },   /* Yi                                            */
        { 0xa980, 0xa9ff },   /* Javanese, Myanmar extended B                  */
        { 0xaa60, 0xaadf },   /* Myanmar extended A, Tai Viet                  */
        { 0xf900, 0xfaff },   /* CJK compatibility                             */
        { 0xff66, 0xff9f },   /* halfwidth Katakana                            */
        { 0x1b000, 0x1b16f }, /* kana supplement and extensions                */
        { 0x20000, 0x3ffff }, /* CJK extensions B and later                    */
    };
    return is_in(scripts, sizeof scripts / sizeof *scripts, c);
}

/* White space, and what is invisible between words. */
static int is_space(uint32_t c)
{
    static const range spaces[] = {
        { 0x09, 0x0d },     { 0x20, 0x20 },     { 0x85, 0x85 },     { 0xa0, 0xa0 },
        { 0x1680, 0x1680 }, { 0x2000, 0x200b }, { 0x2028, 0x2029 }, { 0x202f, 0x202f },
        { 0x205f, 0x2060 }, { 0x3000, 0x3000 }, { 0xfeff, 0xfeff },
    };
    return is_in(spaces, sizeof spaces / sizeof *spaces, c);
}

/* Marks of the scripts above; those of others stay in their words. */
static int is_mark(uint32_t c)
{
    static const range marks[] = {
        { 0x3001, 0x3004 }, { 0x3008, 0x3020 }, { 0x3030, 0x3030 },
        { 0xfe10, 0xfe1f }, { 0xfe30, 0xfe4f }, { 0xff01, 0xff0f },
        { 0xff1a, 0xff20 }, { 0xff3b, 0xff40 }, { 0xff5b, 0xff65 },
    };
    return is_in(marks, sizeof marks / sizeof *marks, c);
}

static int is_plain(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The next code point; what is no whole character counts as one byte. */
static uint32_t next_code(const unsigned char **at)
{
    const char *p = (const char *)*at;
    const int32_t size = kd__utf8_size(*p);
    for (int32_t i = 1; i < size; i++)
        if ((p[i] & 0xc0) != 0x80) return *(*at)++;
    const uint32_t c = kd__utf8_next(&p);
    *at = (const unsigned char *)p;
    return c;
}

/* How many of them make a word: one and a half of Han, three of kana, four letters and signs of the
 * others. */
static int32_t worth_of(uint32_t c)
{
    static const range kana[] = { { 0x3031, 0x312f }, { 0x31f0, 0x31ff }, { 0xff66, 0xff9f } };
    static const range han[] = { { 0x2e80, 0x9fff }, { 0xf900, 0xfaff }, { 0x20000, 0x3ffff } };
    if (is_in(kana, sizeof kana / sizeof *kana, c)) return KD__WORD_WORTH / 3;
    if (is_in(han, sizeof han / sizeof *han, c)) return KD__WORD_WORTH * 2 / 3;
    return KD__LEAST_WORTH;
}

kd__letter kd__next_letter(const unsigned char **at)
{
    uint32_t c = next_code(at);
    if (c >= 0xff10 && c <= 0xff5a && is_plain(c - 0xfee0)) c -= 0xfee0; /* full width */
    const uint32_t lower = c >= 'A' && c <= 'Z' ? c + 32 : c;
    const int mark = c < 0x80 ? !is_plain(c) : is_mark(c);
    kd__letter letter = { .code = lower, .kind = KD__LETTER_OF_WORD, .worth = KD__WORD_WORTH };
    if (is_space(c)) letter.kind = KD__LETTER_SPACE;
    else if (mark) letter.kind = KD__LETTER_MARK;
    else if (stands_alone(c)) {
        letter.kind = KD__LETTER_ALONE;
        letter.worth = worth_of(c);
    }
    return letter;
}
