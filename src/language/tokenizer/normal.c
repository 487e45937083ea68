/* Normal forms and lower case (Unicode 15, sections 3.11 and 3.12), and BERT's normalizer. */
#include <string.h>

#include "base/memory.h"
#include "language/text/unicode.h"
#include "language/text/unicode_tables.h"

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

/* A map from code points to texts, as unicode_tables.h has it. */
typedef struct {
    const kd__unicode_run *runs;
    int64_t count; /* without the end */
    const uint8_t *lengths;
    const uint32_t *pool;
} point_map;

#define MAP(name)                                                                                  \
    (point_map) { name, COUNT(name) - 1, name##_lengths, name##_pool }

/* Code points of c's text, 0 where it has none. A run is at most 32 code points long. */
static int64_t mapped(point_map map, uint32_t c, const uint32_t **found)
{
    int64_t low = 0, high = map.count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (map.runs[middle].first <= c) low = middle + 1;
        else high = middle;
    }
    if (!low) return 0;
    const kd__unicode_run *run = map.runs + low - 1;
    const int64_t entry = (int64_t)run->entry + c - run->first;
    if (entry >= run[1].entry) return 0;
    const uint32_t *at = map.pool + run->begin;
    for (int64_t i = run->entry; i < entry; i++) at += map.lengths[i];
    *found = at;
    return map.lengths[entry];
}

/* A code point, its combining class, and the bytes of the text that it comes from. */
typedef struct {
    uint32_t c;
    uint8_t mark;
    int64_t from, behind;
} point;

typedef struct {
    point *at;
    int64_t count, room;
    int64_t from, behind; /* of the character that is decomposed */
} points;

static kd_status push(const kd__unicode *u, points *to, uint32_t c)
{
    KD_TRY(KD_RESERVE(u->context, &to->at, &to->room, to->count + 1));
    to->at[to->count++] = (point){ c, kd__unicode_class(u, c), to->from, to->behind };
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
    int64_t count = compatible ? mapped(MAP(kd__unicode_compatible), c, &found) : 0;
    if (!count) count = mapped(MAP(kd__unicode_canonical), c, &found);
    if (!count) return push(u, to, c);
    for (int64_t i = 0; i < count; i++) KD_TRY(push(u, to, found[i]));
    return KD_OK;
}

/* Marks after a starter in the order of their classes, equal ones as they came: a counting sort,
 * for runs may be long. */
static kd_status sort_marks(const kd__unicode *u, point *run, int64_t count)
{
    int64_t starts[257] = { 0 }, room = 0;
    point *sorted = NULL;
    KD_TRY(KD_RESERVE(u->context, &sorted, &room, count));
    for (int64_t i = 0; i < count; i++) starts[run[i].mark + 1]++;
    for (int c = 0; c < 256; c++) starts[c + 1] += starts[c];
    for (int64_t i = 0; i < count; i++) sorted[starts[run[i].mark]++] = run[i];
    memcpy(run, sorted, (size_t)count * sizeof *run);
    kd__release(u->context, sorted);
    return KD_OK;
}

static kd_status order_marks(const kd__unicode *u, points *p)
{
    for (int64_t first = 0, end; first < p->count; first = end + 1) {
        int ordered = 1;
        for (end = first; end < p->count && p->at[end].mark; end++)
            ordered &= end == first || p->at[end - 1].mark <= p->at[end].mark;
        if (!ordered) KD_TRY(sort_marks(u, p->at + first, end - first));
    }
    return KD_OK;
}

static uint32_t composed(uint32_t a, uint32_t b)
{
    if (a >= 0x1100 && a < 0x1113 && b >= 0x1161 && b < 0x1176)
        return 0xac00 + ((a - 0x1100) * 21 + (b - 0x1161)) * 28;
    if (a >= 0xac00 && a < 0xac00 + 11172 && (a - 0xac00) % 28 == 0 && b > 0x11a7 && b < 0x11c3)
        return a + (b - 0x11a7);
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

static void join(point *starter, const point *other, uint32_t joined)
{
    starter->c = joined;
    if (other->from < starter->from) starter->from = other->from;
    if (other->behind > starter->behind) starter->behind = other->behind;
}

/* Each character joins the last starter unless one of the same or a higher class stands between
 * (Unicode 15, section 3.11). */
static void compose(points *p)
{
    int64_t starter = -1, kept = 0;
    int last = -1; /* class of the last character kept after the starter; -1: none */
    for (int64_t i = 0; i < p->count; i++) {
        const point next = p->at[i];
        const uint32_t joined =
            starter >= 0 && last < (int)next.mark ? composed(p->at[starter].c, next.c) : 0;
        if (joined) {
            join(&p->at[starter], &next, joined);
            continue;
        }
        p->at[kept] = next;
        if (!next.mark) starter = kept, last = -1;
        else last = next.mark;
        kept++;
    }
    p->count = kept;
}

/* 1: the form leaves the text as it is, told by its first look: no character that any form changes
 * or that joins another. */
static int is_plain(int32_t form, const char *text, int64_t bytes)
{
    /* 0xcc begins U+0300, the first combining mark */
    const unsigned limit = form == KD__NFC ? 0xcc : 0x80;
    for (int64_t i = 0; i < bytes; i++)
        if ((unsigned char)text[i] >= limit) return 0;
    return 1;
}

static kd_status put_point(const kd__piece *piece, uint32_t c, int64_t from, int64_t behind,
                           kd__traced *to)
{
    char character[4];
    return kd__traced_put(to, piece, from, behind, character, kd__utf8_put(character, c));
}

kd_status kd__normal_form(const kd__unicode *u, int32_t form, const kd__piece *piece,
                          kd__traced *to)
{
    points p = { 0 };
    kd_status status = KD_OK;
    if (is_plain(form, piece->at, piece->bytes)) return kd__traced_keep(to, piece, 0, piece->bytes);
    for (const char *at = piece->at, *end = at + piece->bytes; at < end && status == KD_OK;) {
        p.from = at - piece->at;
        const uint32_t c = kd__utf8_next(&at);
        p.behind = at - piece->at;
        status = decompose(u, form == KD__NFKC || form == KD__NFKD, c, &p);
    }
    if (status == KD_OK) status = order_marks(u, &p);
    if (status == KD_OK && (form == KD__NFC || form == KD__NFKC)) compose(&p);
    for (int64_t i = 0; i < p.count && status == KD_OK; i++)
        status = put_point(piece, p.at[i].c, p.at[i].from, p.at[i].behind, to);
    kd__release(u->context, p.at);
    return status;
}

static kd_status put_lower(const kd__piece *piece, uint32_t c, int64_t from, int64_t behind,
                           kd__traced *to)
{
    const uint32_t *found = NULL;
    const int64_t count = mapped(MAP(kd__unicode_lower), c, &found);
    if (!count) return put_point(piece, c, from, behind, to);
    for (int64_t i = 0; i < count; i++) KD_TRY(put_point(piece, found[i], from, behind, to));
    return KD_OK;
}

kd_status kd__lower_case(const kd__piece *piece, kd__traced *to)
{
    for (const char *at = piece->at, *end = at + piece->bytes; at < end;) {
        const int64_t from = at - piece->at;
        const uint32_t c = kd__utf8_next(&at);
        KD_TRY(put_lower(piece, c, from, at - piece->at, to));
    }
    return KD_OK;
}

kd_status kd__strip_marks(const kd__unicode *u, const kd__piece *piece, kd__traced *to)
{
    for (const char *at = piece->at, *end = at + piece->bytes; at < end;) {
        const int64_t from = at - piece->at;
        const uint32_t c = kd__utf8_next(&at);
        if (!(kd__unicode_bert_class(u, c) & KD__BERT_MARK))
            KD_TRY(kd__traced_keep(to, piece, from, at - piece->at));
    }
    return KD_OK;
}

/* ---- BERT's normalizer ---- Stretches of ASCII that clean_text keeps are changed byte by byte:
 * such a character is a starter that no mark joins, so that what lies between them can be
 * decomposed and put in order by itself. */

static int is_plain_byte(const kd__unicode *u, int32_t steps, unsigned char c)
{
    return c < 0x80 && !(steps & KD__BERT_CLEAN && kd__unicode_bert_class(u, c) & KD__BERT_REMOVED);
}

static int64_t plain_end(const kd__unicode *u, int32_t steps, const kd__piece *piece, int64_t at)
{
    while (at < piece->bytes && is_plain_byte(u, steps, (unsigned char)piece->at[at])) at++;
    return at;
}

static int64_t other_end(const kd__unicode *u, int32_t steps, const kd__piece *piece, int64_t at)
{
    while (at < piece->bytes && !is_plain_byte(u, steps, (unsigned char)piece->at[at])) at++;
    return at;
}

static kd_status put_plain(const kd__unicode *u, int32_t steps, const kd__piece *piece,
                           int64_t from, int64_t behind, kd__traced *to)
{
    const int64_t start = to->text.size;
    KD_TRY(kd__traced_keep(to, piece, from, behind));
    for (int64_t i = start; i < to->text.size; i++) {
        char *c = &to->text.bytes[i];
        const uint8_t value = kd__unicode_bert_class(u, (unsigned char)*c);
        if (steps & KD__BERT_CLEAN && value & KD__BERT_BLANK) *c = ' ';
        if (steps & KD__BERT_LOWER && *c >= 'A' && *c <= 'Z') *c = (char)(*c + 32);
    }
    return KD_OK;
}

/* Cleaned, with spaces around what is Chinese, decomposed if accents are stripped. */
static kd_status push_bert(const kd__unicode *u, int32_t steps, uint32_t c, points *to)
{
    const uint8_t value = kd__unicode_bert_class(u, c);
    const int is_chinese = steps & KD__BERT_HANDLE_CHINESE && value & KD__BERT_CHINESE;
    if (steps & KD__BERT_CLEAN && value & KD__BERT_REMOVED) return KD_OK;
    if (steps & KD__BERT_CLEAN && value & KD__BERT_BLANK) return push(u, to, ' ');
    if (is_chinese) KD_TRY(push(u, to, ' '));
    KD_TRY(steps & KD__BERT_STRIP ? decompose(u, 0, c, to) : push(u, to, c));
    return is_chinese ? push(u, to, ' ') : KD_OK;
}

static kd_status put_bert(const kd__unicode *u, int32_t steps, const kd__piece *piece,
                          const point *p, kd__traced *to)
{
    if (steps & KD__BERT_STRIP && kd__unicode_bert_class(u, p->c) & KD__BERT_ACCENT) return KD_OK;
    return steps & KD__BERT_LOWER ? put_lower(piece, p->c, p->from, p->behind, to)
                                  : put_point(piece, p->c, p->from, p->behind, to);
}

static kd_status put_others(const kd__unicode *u, int32_t steps, const kd__piece *piece,
                            int64_t from, int64_t behind, points *p, kd__traced *to)
{
    p->count = 0;
    for (const char *at = piece->at + from, *end = piece->at + behind; at < end;) {
        p->from = at - piece->at;
        const uint32_t c = kd__utf8_next(&at);
        p->behind = at - piece->at;
        KD_TRY(push_bert(u, steps, c, p));
    }
    if (steps & KD__BERT_STRIP) KD_TRY(order_marks(u, p));
    for (int64_t i = 0; i < p->count; i++) KD_TRY(put_bert(u, steps, piece, &p->at[i], to));
    return KD_OK;
}

kd_status kd__bert_form(const kd__unicode *u, int32_t steps, const kd__piece *piece, kd__traced *to)
{
    points p = { 0 };
    kd_status status = KD_OK;
    for (int64_t at = 0, end; at < piece->bytes && status == KD_OK; at = end) {
        end = plain_end(u, steps, piece, at);
        if (end > at) {
            status = put_plain(u, steps, piece, at, end, to);
            continue;
        }
        end = other_end(u, steps, piece, at);
        status = put_others(u, steps, piece, at, end, &p, to);
    }
    kd__release(u->context, p.at);
    return status;
}
