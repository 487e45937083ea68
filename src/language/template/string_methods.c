/* Methods of texts. */
#include <string.h>

#include "base/numbers.h"
#include "language/template/characters.h"
#include "language/template/methods.h"
#include "language/template/strings.h"

static kd_status upper(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    (void)a;
    return kd__string_case(r, s, KD__TO_UPPER, out);
}

static kd_status lower(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    (void)a;
    return kd__string_case(r, s, KD__TO_LOWER, out);
}

static kd_status title(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    (void)a;
    return kd__string_title(r, s, out);
}

static kd_status capitalize(kd__render *r, const kd__value *s, const kd__arguments *a,
                            kd__value *out)
{
    (void)a;
    return kd__string_capitalize(r, s, out);
}

static kd_status swapcase(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    (void)a;
    return kd__string_swapcase(r, s, out);
}

static kd_status strip(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    return kd__string_strip(r, s, &a->at[0], KD__LEFT | KD__RIGHT, out);
}

static kd_status lstrip(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    return kd__string_strip(r, s, &a->at[0], KD__LEFT, out);
}

static kd_status rstrip(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    return kd__string_strip(r, s, &a->at[0], KD__RIGHT, out);
}

static kd_status split(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    int64_t most = -1;
    KD_TRY(kd__integer_argument(&a->at[1], "split: maxsplit", &most));
    return kd__string_split(r, s, &a->at[0], most, KD__LEFT, out);
}

static kd_status rsplit(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    int64_t most = -1;
    KD_TRY(kd__integer_argument(&a->at[1], "rsplit: maxsplit", &most));
    return kd__string_split(r, s, &a->at[0], most, KD__RIGHT, out);
}

static kd_status splitlines(kd__render *r, const kd__value *s, const kd__arguments *a,
                            kd__value *out)
{
    return kd__string_lines(r, s, kd__truth(&a->at[0]), out);
}

/* Three parts: before, the separator, after. Not found: the text stands first, or last. */
static kd_status partition_side(kd__render *r, const kd__value *s, const kd__value *given,
                                int32_t side, kd__value *out)
{
    kd__value separator, made;
    KD_TRY(kd__text_argument(given, "partition", &separator));
    KD_FAIL_IF(!separator.bytes, KD_ERR_INVALID,
               "partition: expected a separator, got an empty one");
    KD_TRY(kd__work_bytes(r->room, s->bytes));
    const int64_t at = kd__string_find(s->text, s->bytes, &separator, side),
                  after = at + separator.bytes;
    kd__value parts[3] = { kd__string("", 0), kd__string("", 0), kd__string("", 0) };
    if (at < 0) parts[side == KD__LEFT ? 0 : 2] = *s;
    else {
        parts[0] = kd__string(s->text, at);
        parts[1] = separator;
        parts[2] = kd__string(s->text + after, s->bytes - after);
    }
    KD_TRY(kd__list_new(r->room, KD__V_TUPLE, 3, &made));
    for (int i = 0; i < 3; i++) {
        parts[i].safe = s->safe;
        made.list->items[made.list->count++] = parts[i];
    }
    *out = made;
    return KD_OK;
}

static kd_status partition(kd__render *r, const kd__value *s, const kd__arguments *a,
                           kd__value *out)
{
    return partition_side(r, s, &a->at[0], KD__LEFT, out);
}

static kd_status rpartition(kd__render *r, const kd__value *s, const kd__arguments *a,
                            kd__value *out)
{
    return partition_side(r, s, &a->at[0], KD__RIGHT, out);
}

/* The part of a text that start and end name, in characters. first: the number of its first
 * character. 0: there is none. */
static kd_status window(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *part,
                        int64_t *first, int32_t *there)
{
    const int64_t count = kd__characters(s->text, s->bytes);
    int64_t start = 0, end = count;
    if (a->at[1].type != KD__V_NONE) KD_TRY(kd__integer_argument(&a->at[1], "start", &start));
    if (a->at[2].type != KD__V_NONE) KD_TRY(kd__integer_argument(&a->at[2], "end", &end));
    KD_TRY(kd__work_bytes(r->room, s->bytes));
    if (start < 0) start = kd__max(start + count, 0);
    if (end < 0) end = kd__max(end + count, 0);
    if (end > count) end = count;
    *first = start;
    *there = start <= end;
    *part = kd__string(s->text, 0);
    if (!*there) return KD_OK;
    const int64_t from = kd__character_offset(s->text, s->bytes, start);
    *part = kd__string(s->text + from,
                       kd__character_offset(s->text + from, s->bytes - from, end - start));
    return KD_OK;
}

static kd_status has_end(const kd__value *part, const kd__value *end, int32_t side, int32_t *has)
{
    kd__value text;
    KD_TRY(kd__text_argument(end, side == KD__LEFT ? "startswith" : "endswith", &text));
    const char *at = side == KD__LEFT ? part->text : part->text + part->bytes - text.bytes;
    *has = text.bytes <= part->bytes && !memcmp(at, text.text, (size_t)text.bytes);
    return KD_OK;
}

static kd_status has_some_end(kd__render *r, const kd__value *s, const kd__arguments *a,
                              int32_t side, kd__value *out)
{
    const kd__value *ends = &a->at[0];
    kd__value part;
    int64_t first;
    int32_t there, has = 0;
    KD_TRY(window(r, s, a, &part, &first, &there));
    if (ends->type != KD__V_TUPLE) KD_TRY(has_end(&part, ends, side, &has));
    for (int64_t i = 0; ends->type == KD__V_TUPLE && i < ends->list->count && !has; i++)
        KD_TRY(has_end(&part, &ends->list->items[i], side, &has));
    *out = kd__bool(has && there);
    return KD_OK;
}

static kd_status startswith(kd__render *r, const kd__value *s, const kd__arguments *a,
                            kd__value *out)
{
    return has_some_end(r, s, a, KD__LEFT, out);
}

static kd_status endswith(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    return has_some_end(r, s, a, KD__RIGHT, out);
}

static kd_status find_side(kd__render *r, const kd__value *s, const kd__arguments *a, int32_t side,
                           kd__value *out)
{
    kd__value part, what;
    int64_t first;
    int32_t there;
    KD_TRY(kd__text_argument(&a->at[0], "find", &what));
    KD_TRY(window(r, s, a, &part, &first, &there));
    const int64_t at = there ? kd__string_find(part.text, part.bytes, &what, side) : -1;
    *out = kd__integer(at < 0 ? -1 : first + kd__characters(part.text, at));
    return KD_OK;
}

static kd_status find(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    return find_side(r, s, a, KD__LEFT, out);
}

static kd_status rfind(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    return find_side(r, s, a, KD__RIGHT, out);
}

static kd_status string_index(kd__render *r, const kd__value *s, const kd__arguments *a,
                              kd__value *out)
{
    KD_TRY(find_side(r, s, a, KD__LEFT, out));
    KD_FAIL_IF(out->integer < 0, KD_ERR_INVALID, "index: the text is not there");
    return KD_OK;
}

static kd_status string_rindex(kd__render *r, const kd__value *s, const kd__arguments *a,
                               kd__value *out)
{
    KD_TRY(find_side(r, s, a, KD__RIGHT, out));
    KD_FAIL_IF(out->integer < 0, KD_ERR_INVALID, "rindex: the text is not there");
    return KD_OK;
}

static kd_status string_count(kd__render *r, const kd__value *s, const kd__arguments *a,
                              kd__value *out)
{
    kd__value part, what;
    int64_t first, count = 0;
    int32_t there;
    KD_TRY(kd__text_argument(&a->at[0], "count", &what));
    KD_TRY(window(r, s, a, &part, &first, &there));
    if (!what.bytes) count = there ? kd__characters(part.text, part.bytes) + 1 : 0;
    for (int64_t at = 0, found; what.bytes && there; at += found + what.bytes, count++) {
        found = kd__string_find(part.text + at, part.bytes - at, &what, KD__LEFT);
        if (found < 0) break;
    }
    *out = kd__integer(count);
    return KD_OK;
}

static kd_status replace(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    kd__value from, to;
    int64_t most = -1;
    KD_TRY(kd__text_argument(&a->at[0], "replace", &from));
    if (s->safe) KD_TRY(kd__escaped(r->room, &a->at[1], &to));
    else KD_TRY(kd__text_argument(&a->at[1], "replace", &to));
    KD_TRY(kd__integer_argument(&a->at[2], "replace: count", &most));
    return kd__string_replace(r, s, &from, &to, most, out);
}

static kd_status join(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    kd__list items;
    KD_TRY(kd__iterate(r->room, &a->at[0], &items));
    for (int64_t i = 0; i < items.count && !s->safe; i++)
        KD_FAIL_IF(items.items[i].type != KD__V_STRING, KD_ERR_INVALID,
                   "join: item %lld: expected a text, got %s", (long long)i,
                   kd__type_name(&items.items[i]));
    return kd__string_join(r, s, &items, out);
}

static kd_status format(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    return kd__format_braces(r, s, a, out);
}

static kd_status removeprefix(kd__render *r, const kd__value *s, const kd__arguments *a,
                              kd__value *out)
{
    int32_t has;
    (void)r;
    KD_TRY(has_end(s, &a->at[0], KD__LEFT, &has));
    const int64_t cut = has ? a->at[0].bytes : 0;
    *out = kd__string(s->text + cut, s->bytes - cut);
    return KD_OK;
}

static kd_status removesuffix(kd__render *r, const kd__value *s, const kd__arguments *a,
                              kd__value *out)
{
    int32_t has;
    (void)r;
    KD_TRY(has_end(s, &a->at[0], KD__RIGHT, &has));
    *out = kd__string(s->text, s->bytes - (has ? a->at[0].bytes : 0));
    return KD_OK;
}

static kd_status pad(kd__render *r, const kd__value *s, const kd__arguments *a, int32_t sides,
                     kd__value *out)
{
    int64_t width = 0;
    kd__value fill = KD_LITERAL(" ");
    KD_TRY(kd__integer_argument(&a->at[0], "width", &width));
    KD_TRY(kd__text_argument(&a->at[1], "fillchar", &fill));
    KD_FAIL_IF(fill.bytes != 1, KD_ERR_UNSUPPORTED, "fillchar: expected one ASCII character");
    return kd__string_pad(r, s, width, *fill.text, sides, out);
}

static kd_status center(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    return pad(r, s, a, KD__LEFT | KD__RIGHT, out);
}

static kd_status ljust(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    return pad(r, s, a, KD__RIGHT, out);
}

static kd_status rjust(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    return pad(r, s, a, KD__LEFT, out);
}

static kd_status zfill(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    int64_t width = 0;
    kd__value digits = *s, filled;
    const int sign = s->bytes && (*s->text == '-' || *s->text == '+');
    KD_TRY(kd__integer_argument(&a->at[0], "zfill: width", &width));
    digits.text += sign;
    digits.bytes -= sign;
    KD_TRY(kd__string_pad(r, &digits, width - sign, '0', KD__LEFT, &filled));
    const kd__value before = kd__string(s->text, sign);
    return kd__binary(r, KD__ADD, &before, &filled, out);
}

/* ---- what all characters of a text are ---- */

static kd_status all_are(kd__render *r, const kd__value *s, int classes, kd__value *out)
{
    int all = s->bytes > 0;
    KD_TRY(kd__work_bytes(r->room, s->bytes));
    for (int64_t at = 0; all && at < s->bytes; at += kd__character_bytes(s->text[at]))
        all = (kd__character_class(kd__character_at(s->text + at)) & classes) != 0;
    *out = kd__bool(all);
    return KD_OK;
}

static kd_status isalpha_(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    (void)a;
    return all_are(r, s, KD__ALPHA, out);
}

static kd_status isalnum_(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    (void)a;
    return all_are(r, s, KD__ALPHA | KD__DECIMAL | KD__DIGIT | KD__NUMERIC, out);
}

static kd_status isdecimal_(kd__render *r, const kd__value *s, const kd__arguments *a,
                            kd__value *out)
{
    (void)a;
    return all_are(r, s, KD__DECIMAL, out);
}

static kd_status isdigit_(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    (void)a;
    return all_are(r, s, KD__DIGIT, out);
}

static kd_status isnumeric_(kd__render *r, const kd__value *s, const kd__arguments *a,
                            kd__value *out)
{
    (void)a;
    return all_are(r, s, KD__NUMERIC, out);
}

static kd_status isspace_(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    (void)a;
    int all = s->bytes > 0;
    KD_TRY(kd__work_bytes(r->room, s->bytes));
    for (int64_t at = 0; all && at < s->bytes; at += kd__character_bytes(s->text[at]))
        all = kd__is_space(kd__character_at(s->text + at));
    *out = kd__bool(all);
    return KD_OK;
}

/* Some character has this case, and none another one. */
static kd_status has_case(kd__render *r, const kd__value *s, int wanted, int others, kd__value *out)
{
    int found = 0, other = 0;
    KD_TRY(kd__work_bytes(r->room, s->bytes));
    for (int64_t at = 0; at < s->bytes; at += kd__character_bytes(s->text[at])) {
        const int class = kd__character_class(kd__character_at(s->text + at));
        found |= (class & wanted) != 0;
        other |= (class & others) != 0;
    }
    *out = kd__bool(found && !other);
    return KD_OK;
}

static kd_status isupper_(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    (void)a;
    return has_case(r, s, KD__UPPER, KD__LOWER | KD__TITLE, out);
}

static kd_status islower_(kd__render *r, const kd__value *s, const kd__arguments *a, kd__value *out)
{
    (void)a;
    return has_case(r, s, KD__LOWER, KD__UPPER | KD__TITLE, out);
}

/* ---- the table ---- */

const kd__callable kd__string_methods[] = { { "strip", strip, "chars", 0 },
                                            { "lstrip", lstrip, "chars", 0 },
                                            { "rstrip", rstrip, "chars", 0 },
                                            { "split", split, "sep maxsplit", 0 },
                                            { "rsplit", rsplit, "sep maxsplit", 0 },
                                            { "splitlines", splitlines, "keepends", 0 },
                                            { "partition", partition, "sep", 1 },
                                            { "rpartition", rpartition, "sep", 1 },
                                            { "startswith", startswith, "prefix start end", 1 },
                                            { "endswith", endswith, "suffix start end", 1 },
                                            { "find", find, "sub start end", 1 },
                                            { "rfind", rfind, "sub start end", 1 },
                                            { "index", string_index, "sub start end", 1 },
                                            { "rindex", string_rindex, "sub start end", 1 },
                                            { "count", string_count, "sub start end", 1 },
                                            { "replace", replace, "old new count", 2 },
                                            { "join", join, "iterable", 1 },
                                            { "format", format, NULL, 0 },
                                            { "upper", upper, "", 0 },
                                            { "lower", lower, "", 0 },
                                            { "title", title, "", 0 },
                                            { "capitalize", capitalize, "", 0 },
                                            { "swapcase", swapcase, "", 0 },
                                            { "removeprefix", removeprefix, "prefix", 1 },
                                            { "removesuffix", removesuffix, "suffix", 1 },
                                            { "center", center, "width fillchar", 1 },
                                            { "ljust", ljust, "width fillchar", 1 },
                                            { "rjust", rjust, "width fillchar", 1 },
                                            { "zfill", zfill, "width", 1 },
                                            { "isalpha", isalpha_, "", 0 },
                                            { "isalnum", isalnum_, "", 0 },
                                            { "isdecimal", isdecimal_, "", 0 },
                                            { "isdigit", isdigit_, "", 0 },
                                            { "isnumeric", isnumeric_, "", 0 },
                                            { "isspace", isspace_, "", 0 },
                                            { "isupper", isupper_, "", 0 },
                                            { "islower", islower_, "", 0 },
                                            { 0 } };
