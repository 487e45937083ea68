#include "tokenizer/unicode.h"

#include <string.h>

#include "tokenizer/unicode_tables.h"

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

/* ---- pages ---- */

/* Values of one page of 256 code points from runs (first code point << 8 | value), the run at *at covering its beginning. */
static void fill_page(const uint32_t *runs, int64_t count, int64_t *at, uint32_t first, uint8_t page[256])
{
    for (uint32_t i = 0, end; i < 256; i = end) {
        while (*at + 1 < count && runs[*at + 1] >> 8 <= first + i) ++*at;
        end = *at + 1 < count && runs[*at + 1] >> 8 < first + 256 ? (runs[*at + 1] >> 8) - first : 256;
        memset(page + i, (int)(runs[*at] & 0xff), end - i);
    }
}

/* A page of one value throughout, as most are, is kept once. */
static kd_status make_pages(kd_context *context, const uint32_t *runs, int64_t count, uint16_t index[0x1100], uint8_t **values)
{
    int64_t at = 0, pages = 0, room = 0, even[256];
    for (int i = 0; i < 256; i++) even[i] = -1;
    for (uint32_t i = 0; i < 0x1100; i++) {
        while (at + 1 < count && runs[at + 1] >> 8 <= i << 8) at++;
        const int is_even = at + 1 == count || runs[at + 1] >> 8 >= (i + 1) << 8;
        const uint8_t value = (uint8_t)runs[at];
        if (!is_even || even[value] < 0) {
            if (pages * 256 == room) KD_TRY(KD_RESERVE(context, values, &room, 2 * room + 64 * 256));
            fill_page(runs, count, &at, i << 8, *values + pages * 256);
            if (is_even) even[value] = pages;
            index[i] = (uint16_t)pages++;
        } else index[i] = (uint16_t)even[value];
    }
    return KD_OK;
}

kd_status kd__unicode_make(kd__unicode **out, kd_context *context)
{
    kd__unicode *u = NULL;
    kd_status status;
    KD_TRY(KD_NEW(context, &u, 1));
    u->context = context;
    KD_TRY_GOTO(status, make_pages(context, kd__unicode_runs, COUNT(kd__unicode_runs), u->page, &u->values), failed);
    KD_TRY_GOTO(status, make_pages(context, kd__unicode_marks, COUNT(kd__unicode_marks), u->mark_page, &u->marks), failed);
    *out = u;
    return KD_OK;
failed:
    kd__unicode_free(u);
    return status;
}

void kd__unicode_free(kd__unicode *u)
{
    if (!u) return;
    kd__release(u->context, u->values);
    kd__release(u->context, u->marks);
    kd__release(u->context, u);
}

/* ---- UTF-8 ---- */

int32_t kd__utf8_put(char to[4], uint32_t c)
{
    if (c < 0x80) return to[0] = (char)c, 1;
    if (c < 0x800) return to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000) return to[0] = (char)(0xe0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 63)), to[2] = (char)(0x80 | (c & 63)), 3;
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 63));
    to[2] = (char)(0x80 | (c >> 6 & 63));
    to[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* Bytes of the character at p: its size; or 0 with the damaged part's length in *wrong, -1 when it is cut off. */
static int64_t character(const unsigned char *p, int64_t left, int64_t *wrong)
{
    const int64_t size = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
    if (size == 1) return 1;
    *wrong = 1;
    if (!size) return 0;
    for (int64_t i = 1; i < size; i++) {
        if (i == left) return *wrong = -1, 0;
        const unsigned low = i > 1 ? 0x80 : p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
        const unsigned high = i > 1 ? 0xbf : p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
        if (p[i] < low || p[i] > high) return *wrong = i, 0;
    }
    return size;
}

int64_t kd__utf8_valid(const char *text, int64_t bytes, int64_t *wrong)
{
    int64_t at = 0, ignored;
    if (!wrong) wrong = &ignored;
    *wrong = 0;
    while (at < bytes) {
        uint64_t eight;
        if (bytes - at >= 8 && (memcpy(&eight, text + at, 8), !(eight & 0x8080808080808080u))) {
            at += 8;
            continue;
        }
        const int64_t size = character((const unsigned char *)text + at, bytes - at, wrong);
        if (!size) return at;
        at += size;
    }
    *wrong = 0;
    return at;
}

/* ---- normal forms ---- */

/* Code points of c's entry in a table of (code point, end in the pool); 0: none. */
static int64_t mapped(const uint32_t *table, int64_t entries, const uint32_t *pool, uint32_t c, const uint32_t **found)
{
    int64_t low = 0, high = entries;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (table[2 * middle] < c) low = middle + 1;
        else high = middle;
    }
    if (low == entries || table[2 * low] != c) return 0;
    const uint32_t begin = low ? table[2 * low - 1] : 0;
    *found = pool + begin;
    return table[2 * low + 1] - begin;
}

typedef struct {
    uint32_t *at;
    uint8_t *marks;
    int64_t count, room, marks_room;
} points;

static kd_status push(const kd__unicode *u, points *to, uint32_t c)
{
    if (to->count == to->room) {
        KD_TRY(KD_RESERVE(u->context, &to->at, &to->room, 2 * to->count + 64));
        KD_TRY(KD_RESERVE(u->context, &to->marks, &to->marks_room, 2 * to->count + 64));
    }
    to->at[to->count] = c;
    to->marks[to->count++] = kd__unicode_class(u, c);
    return KD_OK;
}

/* Hangul syllables by arithmetic (Unicode 15, section 3.12). */
static kd_status decompose(const kd__unicode *u, int compatible, uint32_t c, points *to)
{
    const uint32_t *found;
    if (c >= 0xac00 && c < 0xac00 + 11172) {
        const uint32_t s = c - 0xac00;
        KD_TRY(push(u, to, 0x1100 + s / 588));
        KD_TRY(push(u, to, 0x1161 + s % 588 / 28));
        return s % 28 ? push(u, to, 0x11a7 + s % 28) : KD_OK;
    }
    int64_t count = compatible ? mapped(kd__unicode_compatible, COUNT(kd__unicode_compatible) / 2, kd__unicode_compatible_pool, c, &found) : 0;
    if (!count) count = mapped(kd__unicode_canonical, COUNT(kd__unicode_canonical) / 2, kd__unicode_canonical_pool, c, &found);
    if (!count) return push(u, to, c);
    for (int64_t i = 0; i < count; i++) KD_TRY(push(u, to, found[i]));
    return KD_OK;
}

/* Marks behind a starter in the order of their classes, equal ones as they came: a counting sort, for runs may be long. */
static kd_status order_marks(const kd__unicode *u, points *p)
{
    for (int64_t first = 0; first < p->count; first++) {
        int64_t end = first, starts[257] = { 0 };
        int ordered = 1;
        for (; end < p->count && p->marks[end]; end++) ordered &= end == first || p->marks[end - 1] <= p->marks[end];
        if (ordered) {
            first = end;
            continue;
        }
        points sorted = { 0 };
        KD_TRY(KD_RESERVE(u->context, &sorted.at, &sorted.room, end - first));
        for (int64_t i = first; i < end; i++) starts[p->marks[i] + 1]++;
        for (int c = 0; c < 256; c++) starts[c + 1] += starts[c];
        for (int64_t i = first; i < end; i++) sorted.at[starts[p->marks[i]]++] = p->at[i];
        memcpy(p->at + first, sorted.at, (size_t)(end - first) * sizeof *p->at);
        for (int64_t i = first; i < end; i++) p->marks[i] = kd__unicode_class(u, p->at[i]);
        kd__release(u->context, sorted.at);
        first = end;
    }
    return KD_OK;
}

static uint32_t composed(uint32_t a, uint32_t b)
{
    if (a >= 0x1100 && a < 0x1113 && b >= 0x1161 && b < 0x1176) return 0xac00 + ((a - 0x1100) * 21 + (b - 0x1161)) * 28;
    if (a >= 0xac00 && a < 0xac00 + 11172 && (a - 0xac00) % 28 == 0 && b > 0x11a7 && b < 0x11c3) return a + (b - 0x11a7);
    int64_t low = 0, high = COUNT(kd__unicode_pairs) / 3;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        const uint32_t *pair = kd__unicode_pairs + 3 * middle;
        if (pair[0] == a && pair[1] == b) return pair[2];
        if (pair[0] < a || (pair[0] == a && pair[1] < b)) low = middle + 1;
        else high = middle;
    }
    return 0;
}

/* Each character joins the last starter unless one of the same or a higher class stands between (Unicode 15, section 3.11). */
static void compose(points *p)
{
    int64_t starter = -1, kept = 0;
    int last = -1; /* class of the last character kept behind the starter; -1: none */
    for (int64_t i = 0; i < p->count; i++) {
        const uint32_t joined = starter >= 0 && (last < (int)p->marks[i]) ? composed(p->at[starter], p->at[i]) : 0;
        if (joined) {
            p->at[starter] = joined;
            continue;
        }
        p->at[kept] = p->at[i];
        p->marks[kept] = p->marks[i];
        if (!p->marks[i]) starter = kept, last = -1;
        else last = p->marks[i];
        kept++;
    }
    p->count = kept;
}

/* 1: the form leaves the text as it is, told by its first look: no character that any form changes or that joins another. */
static int is_plain(int32_t form, const char *text, int64_t bytes)
{
    const unsigned limit = form == KD__NFC ? 0xcc : 0x80; /* 0xcc begins U+0300, the first combining mark */
    for (int64_t i = 0; i < bytes; i++)
        if ((unsigned char)text[i] >= limit) return 0;
    return 1;
}

kd_status kd__normal_form(const kd__unicode *u, int32_t form, const char *text, int64_t bytes, kd__text *to)
{
    points p = { 0 };
    kd_status status = KD_OK;
    if (is_plain(form, text, bytes)) return kd__text_append(to, text, (size_t)bytes);
    for (const char *at = text, *end = text + bytes; at < end && status == KD_OK;)
        status = decompose(u, form == KD__NFKC || form == KD__NFKD, kd__utf8_next(&at), &p);
    if (status == KD_OK) status = order_marks(u, &p);
    if (status == KD_OK && (form == KD__NFC || form == KD__NFKC)) compose(&p);
    for (int64_t i = 0; i < p.count && status == KD_OK; i++) {
        char character[4];
        status = kd__text_append(to, character, (size_t)kd__utf8_put(character, p.at[i]));
    }
    kd__release(u->context, p.at);
    kd__release(u->context, p.marks);
    return status;
}

kd_status kd__lower_case(const char *text, int64_t bytes, kd__text *to)
{
    for (const char *at = text, *end = text + bytes; at < end;) {
        const uint32_t *found = NULL, c = kd__utf8_next(&at);
        const int64_t count = mapped(kd__unicode_lower, COUNT(kd__unicode_lower) / 2, kd__unicode_lower_pool, c, &found);
        char character[4];
        if (!count) KD_TRY(kd__text_append(to, character, (size_t)kd__utf8_put(character, c)));
        for (int64_t i = 0; i < count; i++) KD_TRY(kd__text_append(to, character, (size_t)kd__utf8_put(character, found[i])));
    }
    return KD_OK;
}
