/* UTF-8 and properties of code points, from the tables beside. */
#include "language/text/unicode.h"

#include <string.h>

#include "base/memory.h"
#include "language/text/unicode_tables.h"

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

/* ---- pages ---- */

/* Values of one page of 256 code points from runs (first code point << 8 | value), the run at *at
 * covering its beginning. */
static void fill_page(const uint32_t *runs, int64_t count, int64_t *at, uint32_t first,
                      uint8_t page[256])
{
    for (uint32_t i = 0, end; i < 256; i = end) {
        while (*at + 1 < count && runs[*at + 1] >> 8 <= first + i) ++*at;
        end = *at + 1 < count && runs[*at + 1] >> 8 < first + 256 ? (runs[*at + 1] >> 8) - first
                                                                  : 256;
        memset(page + i, (int)(runs[*at] & 0xff), end - i);
    }
}

/* A page of one value throughout, as most are, is kept once. */
static kd_status make_pages(kd_context *context, const uint32_t *runs, int64_t count,
                            uint16_t index[0x1100], uint8_t **values)
{
    int64_t at = 0, pages = 0, room = 0, even[256];
    for (int i = 0; i < 256; i++) even[i] = -1;
    for (uint32_t i = 0; i < 0x1100; i++) {
        while (at + 1 < count && runs[at + 1] >> 8 <= i << 8) at++;
        const int is_even = at + 1 == count || runs[at + 1] >> 8 >= (i + 1) << 8;
        const uint8_t value = (uint8_t)runs[at];
        if (!is_even || even[value] < 0) {
            KD_TRY(KD_RESERVE(context, values, &room, (pages + 1) * 256));
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
    KD_TRY_GOTO(status,
                make_pages(context, kd__unicode_runs, COUNT(kd__unicode_runs), u->page, &u->values),
                failed);
    KD_TRY_GOTO(
        status,
        make_pages(context, kd__unicode_marks, COUNT(kd__unicode_marks), u->mark_page, &u->marks),
        failed);
    KD_TRY_GOTO(
        status,
        make_pages(context, kd__unicode_bert, COUNT(kd__unicode_bert), u->bert_page, &u->bert),
        failed);
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
    kd__release(u->context, u->bert);
    kd__release(u->context, u);
}

/* ---- UTF-8 ---- */

int32_t kd__utf8_put(char to[4], uint32_t c)
{
    if (c < 0x80) return to[0] = (char)c, 1;
    if (c < 0x800) return to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return to[0] = (char)(0xe0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 63)),
               to[2] = (char)(0x80 | (c & 63)), 3;
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 63));
    to[2] = (char)(0x80 | (c >> 6 & 63));
    to[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* Bytes of the character at p: its size; or 0 with the damaged part's length in *wrong, -1 when it
 * is cut off. */
static int64_t character(const unsigned char *p, int64_t left, int64_t *wrong)
{
    const int64_t size = p[0] < 0x80                   ? 1
                         : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                         : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                         : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                       : 0;
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
