/* Properties of code points, as Python has them. */
#include "language/template/characters.h"

#include <string.h>

#include "language/template/character_tables.h"

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

static int continues(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

/* Bytes of the well-formed character at `text`, 0: none (Unicode 15, table 3-7). */
static int32_t well_formed(const char *text, int64_t bytes)
{
    const unsigned char first = (unsigned char)text[0];
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    const int32_t size = kd__character_bytes(text[0]);
    if (size > bytes) return 0;
    for (int32_t i = 1; i < size; i++)
        if (!continues(text[i])) return 0;
    const uint32_t c = kd__character_at(text);
    const int overlong = (size == 3 && c < 0x800) || (size == 4 && c < 0x10000);
    return overlong || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff ? 0 : size;
}

int kd__is_utf8(const char *text, int64_t bytes)
{
    for (int64_t at = 0; at < bytes;) {
        const int32_t size = well_formed(text + at, bytes - at);
        if (!size) return 0;
        at += size;
    }
    return 1;
}

uint32_t kd__character_at(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80) return p[0];
    if (p[0] < 0xe0) return (uint32_t)(p[0] & 31) << 6 | (p[1] & 63);
    if (p[0] < 0xf0) return (uint32_t)(p[0] & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (p[2] & 63);
    return (uint32_t)(p[0] & 7) << 18 | (uint32_t)(p[1] & 63) << 12 | (uint32_t)(p[2] & 63) << 6 |
           (p[3] & 63);
}

int32_t kd__character_put(char *to, uint32_t c)
{
    if (c < 0x80) return to[0] = (char)c, 1;
    const int32_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int32_t i = size - 1; i > 0; i--, c >>= 6) to[i] = (char)(0x80 | (c & 63));
    to[0] = (char)((size == 2 ? 0xc0 : size == 3 ? 0xe0 : 0xf0) | c);
    return size;
}

int64_t kd__characters(const char *text, int64_t bytes)
{
    int64_t count = 0;
    for (int64_t i = 0; i < bytes; i++) count += !continues(text[i]);
    return count;
}

int64_t kd__character_offset(const char *text, int64_t bytes, int64_t index)
{
    int64_t at = 0;
    while (index > 0 && at < bytes) {
        at += kd__character_bytes(text[at]);
        index--;
    }
    return at;
}

static int64_t run_of(uint32_t c)
{
    int64_t low = 0, high = COUNT(kd__class_runs);
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (kd__class_runs[middle] >> 8 <= c) low = middle;
        else high = middle;
    }
    return low;
}

int kd__character_class(uint32_t c) { return (int)(kd__class_runs[run_of(c)] & 0xff); }

/* Digits of a script follow each other, 0 to 9, and a run of them begins with a 0. */
int kd__decimal_digit(uint32_t c) { return (int)((c - (kd__class_runs[run_of(c)] >> 8)) % 10); }

int kd__is_space(uint32_t c)
{
    if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

int kd__is_line_end(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

static const char *text_of(const kd__case_text *texts, int64_t count, uint32_t c)
{
    for (int64_t i = 0; i < count; i++)
        if (texts[i].character == c) return texts[i].text;
    return NULL;
}

static uint32_t single_of(const kd__case_run *runs, int64_t count, uint32_t c)
{
    int64_t low = 0, high = count;
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (runs[middle].first <= c) low = middle;
        else high = middle;
    }
    const kd__case_run *run = &runs[low];
    if (c >= run->first && c <= run->last && (c - run->first) % (uint32_t)run->step == 0)
        return (uint32_t)((int64_t)c + run->difference);
    return c;
}

int32_t kd__character_case(uint32_t c, int32_t to, char *out)
{
    static const struct {
        const kd__case_run *runs;
        int64_t run_count;
        const kd__case_text *texts;
        int64_t text_count;
    } cases[] = {
        { kd__upper_runs, COUNT(kd__upper_runs), kd__upper_texts, COUNT(kd__upper_texts) },
        { kd__lower_runs, COUNT(kd__lower_runs), kd__lower_texts, COUNT(kd__lower_texts) },
        { kd__title_runs, COUNT(kd__title_runs), kd__title_texts, COUNT(kd__title_texts) }
    };
    const char *several = c < 0x80 ? NULL : text_of(cases[to].texts, cases[to].text_count, c);
    if (!several) return kd__character_put(out, single_of(cases[to].runs, cases[to].run_count, c));
    const size_t bytes = strlen(several);
    memcpy(out, several, bytes);
    return (int32_t)bytes;
}
