/* Operations on strings by code points. */
#include "language/template/strings.h"

#include <string.h>

#include "base/os.h"
#include "language/template/characters.h"

static kd__value like(const kd__value *s, kd__value made)
{
    made.safe = s->safe;
    return made;
}

/* ---- case ---- */

#define CASED (KD__UPPER | KD__LOWER | KD__TITLE)
#define SIGMA 0x3a3
#define FINAL_SIGMA 0x3c2

static int is_cased(const char *at)
{
    return (kd__character_class(kd__character_at(at)) & CASED) != 0;
}

/* A capital sigma at the end of a word becomes the final one. */
static int ends_word(const kd__value *s, int64_t at)
{
    const int64_t after = at + 2;
    int64_t before = at;
    if (!before) return 0;
    do before--;
    while (before > 0 && ((unsigned char)s->text[before] & 0xc0) == 0x80);
    return is_cased(s->text + before) && (after >= s->bytes || !is_cased(s->text + after));
}

static kd_status put_case(kd__render *r, kd__sink *sink, const kd__value *s, int64_t at, int32_t to)
{
    char text[KD__CHARACTER_BYTES];
    const uint32_t c = kd__character_at(s->text + at);
    int32_t size = kd__character_case(c, to, text);
    if (c == SIGMA && to == KD__TO_LOWER && ends_word(s, at))
        size = kd__character_put(text, FINAL_SIGMA);
    return kd__put(r->room, sink, text, size);
}

kd_status kd__string_case(kd__render *r, const kd__value *s, int32_t to, kd__value *out)
{
    kd__sink sink = { 0 };
    KD_TRY(KD_GROW(r->room, &sink.text, &sink.held, s->bytes + 1));
    for (int64_t at = 0; at < s->bytes; at += kd__character_bytes(s->text[at]))
        KD_TRY(put_case(r, &sink, s, at, to));
    *out = like(s, kd__sink_value(&sink));
    return KD_OK;
}

kd_status kd__string_capitalize(kd__render *r, const kd__value *s, kd__value *out)
{
    kd__sink sink = { 0 };
    for (int64_t at = 0; at < s->bytes; at += kd__character_bytes(s->text[at]))
        KD_TRY(put_case(r, &sink, s, at, at ? KD__TO_LOWER : KD__TO_TITLE));
    *out = like(s, kd__sink_value(&sink));
    return KD_OK;
}

kd_status kd__string_title(kd__render *r, const kd__value *s, kd__value *out)
{
    kd__sink sink = { 0 };
    int inside = 0;
    for (int64_t at = 0; at < s->bytes; at += kd__character_bytes(s->text[at])) {
        KD_TRY(put_case(r, &sink, s, at, inside ? KD__TO_LOWER : KD__TO_TITLE));
        inside = is_cased(s->text + at);
    }
    *out = like(s, kd__sink_value(&sink));
    return KD_OK;
}

kd_status kd__string_swapcase(kd__render *r, const kd__value *s, kd__value *out)
{
    kd__sink sink = { 0 };
    for (int64_t at = 0; at < s->bytes; at += kd__character_bytes(s->text[at])) {
        const int upper = kd__character_class(kd__character_at(s->text + at)) & KD__UPPER;
        KD_TRY(put_case(r, &sink, s, at, upper ? KD__TO_LOWER : KD__TO_UPPER));
    }
    *out = like(s, kd__sink_value(&sink));
    return KD_OK;
}

/* ---- ends ---- */

static int is_among(const char *at, const kd__value *characters)
{
    if (!characters) return kd__is_space(kd__character_at(at));
    return kd__os_find(characters->text, (size_t)characters->bytes, at,
                       (size_t)kd__character_bytes(*at)) != NULL;
}

kd_status kd__string_strip(kd__render *r, const kd__value *s, const kd__value *characters,
                           int32_t sides, kd__value *out)
{
    const char *from = s->text, *end = s->text + s->bytes;
    kd__value given = { .type = KD__V_ABSENT };
    if (characters->type != KD__V_NONE) KD_TRY(kd__text_argument(characters, "strip", &given));
    const kd__value *among = kd__given(&given) ? &given : NULL;
    KD_TRY(kd__work(r->room, among ? s->bytes * (1 + among->bytes / 8) / 8 : s->bytes / 8));
    while ((sides & KD__LEFT) && from < end && is_among(from, among))
        from += kd__character_bytes(*from);
    while ((sides & KD__RIGHT) && end > from) {
        const char *last = end;
        do last--;
        while (((unsigned char)*last & 0xc0) == 0x80);
        if (!is_among(last, among)) break;
        end = last;
    }
    *out = like(s, kd__string(from, end - from));
    return KD_OK;
}

kd_status kd__string_pad(kd__render *r, const kd__value *s, int64_t width, char fill, int32_t sides,
                         kd__value *out)
{
    kd__sink sink = { 0 };
    const int64_t count = kd__characters(s->text, s->bytes),
                  missing = width > count ? width - count : 0;
    const int64_t left = sides == KD__LEFT    ? missing
                         : sides == KD__RIGHT ? 0
                                              : missing / 2 + (missing & width & 1);
    for (int64_t i = 0; i < left; i++) KD_TRY(kd__put(r->room, &sink, &fill, 1));
    KD_TRY(kd__put(r->room, &sink, s->text, s->bytes));
    for (int64_t i = left; i < missing; i++) KD_TRY(kd__put(r->room, &sink, &fill, 1));
    *out = like(s, kd__sink_value(&sink));
    return KD_OK;
}

/* ---- finding and replacing ---- */

int64_t kd__string_find(const char *text, int64_t bytes, const kd__value *what, int32_t side)
{
    if (side == KD__LEFT) {
        const char *found =
            what->bytes ? kd__os_find(text, (size_t)bytes, what->text, (size_t)what->bytes) : text;
        return found ? found - text : -1;
    }
    for (int64_t at = bytes - what->bytes; at >= 0; at--)
        if (!memcmp(text + at, what->text, (size_t)what->bytes)) return at;
    return -1;
}

/* Nothing is found before every character and at the end. */
static kd_status replace_nothing(kd__render *r, const kd__value *s, const kd__value *to,
                                 int64_t most, kd__sink *sink)
{
    for (int64_t at = 0;; most--) {
        if (most) KD_TRY(kd__put(r->room, sink, to->text, to->bytes));
        if (at >= s->bytes) return KD_OK;
        const int32_t size = kd__character_bytes(s->text[at]);
        KD_TRY(kd__put(r->room, sink, s->text + at, most ? size : s->bytes - at));
        at += most ? size : s->bytes - at;
        if (!most) return KD_OK;
    }
}

kd_status kd__string_replace(kd__render *r, const kd__value *s, const kd__value *from,
                             const kd__value *to, int64_t most, kd__value *out)
{
    kd__sink sink = { 0 };
    int64_t at = 0;
    KD_TRY(kd__work_bytes(r->room, s->bytes));
    if (!from->bytes) KD_TRY(replace_nothing(r, s, to, most, &sink));
    for (; from->bytes && most; most--) {
        const int64_t found = kd__string_find(s->text + at, s->bytes - at, from, KD__LEFT);
        if (found < 0) break;
        KD_TRY(kd__put(r->room, &sink, s->text + at, found));
        KD_TRY(kd__put(r->room, &sink, to->text, to->bytes));
        at += found + from->bytes;
    }
    if (from->bytes) KD_TRY(kd__put(r->room, &sink, s->text + at, s->bytes - at));
    *out = like(s, kd__sink_value(&sink));
    return KD_OK;
}

/* ---- cutting ---- */

static kd_status add_part(kd__render *r, kd__value *list, const kd__value *s, int64_t from,
                          int64_t end)
{
    const kd__value part = like(s, kd__string(s->text + from, end - from));
    return kd__list_add(r->room, list, &part);
}

static void turn_around(kd__list *list)
{
    for (int64_t i = 0, j = list->count - 1; i < j; i++, j--) {
        const kd__value item = list->items[i];
        list->items[i] = list->items[j];
        list->items[j] = item;
    }
}

static kd_status split_spaces(kd__render *r, const kd__value *s, int64_t most, kd__value *list)
{
    int64_t at = 0;
    for (;; most--) {
        while (at < s->bytes && kd__is_space(kd__character_at(s->text + at)))
            at += kd__character_bytes(s->text[at]);
        if (at >= s->bytes) return KD_OK;
        int64_t end = at;
        while (end < s->bytes && (!most || !kd__is_space(kd__character_at(s->text + end))))
            end += kd__character_bytes(s->text[end]);
        KD_TRY(add_part(r, list, s, at, end));
        at = end;
    }
}

static int64_t character_before(const kd__value *s, int64_t end)
{
    do end--;
    while (((unsigned char)s->text[end] & 0xc0) == 0x80);
    return end;
}

static int space_before(const kd__value *s, int64_t end)
{
    return kd__is_space(kd__character_at(s->text + character_before(s, end)));
}

/* What is left when no more cuts are allowed keeps its white space in front. */
static kd_status rsplit_spaces(kd__render *r, const kd__value *s, int64_t most, kd__value *list)
{
    int64_t end = s->bytes;
    for (;; most--) {
        while (end > 0 && space_before(s, end)) end = character_before(s, end);
        if (!end) break;
        int64_t from = end;
        while (from > 0 && (!most || !space_before(s, from))) from = character_before(s, from);
        KD_TRY(add_part(r, list, s, from, end));
        end = from;
    }
    turn_around(list->list);
    return KD_OK;
}

static kd_status split_at(kd__render *r, const kd__value *s, const kd__value *separator,
                          int64_t most, kd__value *list)
{
    int64_t at = 0;
    for (; most; most--) {
        const int64_t found = kd__string_find(s->text + at, s->bytes - at, separator, KD__LEFT);
        if (found < 0) break;
        KD_TRY(add_part(r, list, s, at, at + found));
        at += found + separator->bytes;
    }
    return add_part(r, list, s, at, s->bytes);
}

static kd_status rsplit_at(kd__render *r, const kd__value *s, const kd__value *separator,
                           int64_t most, kd__value *list)
{
    int64_t end = s->bytes;
    for (; most; most--) {
        const int64_t found = kd__string_find(s->text, end, separator, KD__RIGHT);
        if (found < 0) break;
        KD_TRY(add_part(r, list, s, found + separator->bytes, end));
        end = found;
    }
    KD_TRY(add_part(r, list, s, 0, end));
    turn_around(list->list);
    return KD_OK;
}

kd_status kd__string_split(kd__render *r, const kd__value *s, const kd__value *separator,
                           int64_t most, int32_t side, kd__value *out)
{
    const kd__value text = *s;
    kd__value list, given = { .type = KD__V_ABSENT };
    if (separator->type != KD__V_NONE) KD_TRY(kd__text_argument(separator, "split", &given));
    KD_FAIL_IF(kd__given(&given) && !given.bytes, KD_ERR_INVALID,
               "split: expected a separator, got an empty one");
    KD_TRY(kd__work_bytes(r->room, s->bytes));
    KD_TRY(kd__list_new(r->room, KD__V_LIST, 0, &list));
    if (kd__given(&given))
        KD_TRY(side == KD__LEFT ? split_at(r, &text, &given, most, &list)
                                : rsplit_at(r, &text, &given, most, &list));
    else
        KD_TRY(side == KD__LEFT ? split_spaces(r, &text, most, &list)
                                : rsplit_spaces(r, &text, most, &list));
    *out = list;
    return KD_OK;
}

kd_status kd__string_lines(kd__render *r, const kd__value *s, int32_t keep_ends, kd__value *out)
{
    const kd__value text = *s;
    kd__value list;
    KD_TRY(kd__list_new(r->room, KD__V_LIST, 0, &list));
    KD_TRY(kd__work_bytes(r->room, s->bytes));
    for (int64_t at = 0, end; at < text.bytes; at = end) {
        for (end = at; end < text.bytes && !kd__is_line_end(kd__character_at(text.text + end));)
            end += kd__character_bytes(text.text[end]);
        const int64_t stop = end;
        if (end < text.bytes) {
            const int pair = text.text[end] == '\r' && end + 1 < text.bytes &&
                             text.text[end + 1] == '\n';
            end += pair ? 2 : kd__character_bytes(text.text[end]);
        }
        KD_TRY(add_part(r, &list, &text, at, keep_ends ? end : stop));
    }
    *out = list;
    return KD_OK;
}

kd_status kd__string_join(kd__render *r, const kd__value *separator, const kd__list *items,
                          kd__value *out)
{
    kd__sink sink = { 0 };
    for (int64_t i = 0; i < items->count; i++) {
        kd__value item = items->items[i];
        if (separator->safe) KD_TRY(kd__escaped(r->room, &item, &item));
        if (i) KD_TRY(kd__put(r->room, &sink, separator->text, separator->bytes));
        KD_TRY(kd__put(r->room, &sink, item.text, item.bytes));
    }
    *out = like(separator, kd__sink_value(&sink));
    return KD_OK;
}
