/* Values as text: str() and repr() of Python. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "base/os.h"
#include "language/template/characters.h"
#include "language/template/render.h"

enum { MOST_DEPTH = 32 };

/* The shortest digits that read back as the same number, with an exponent when it is below -4 or
 * 16 and more. */
int32_t kd__float_text(kd_context *context, double number, char text[40])
{
    char digits[40];
    if (isnan(number)) return snprintf(text, 40, "nan");
    if (isinf(number)) return snprintf(text, 40, number < 0 ? "-inf" : "inf");
    void *locale = context->locale;
    int precision = 1;
    do kd__os_print_double(locale, digits, sizeof digits, "%.*e", precision - 1, number);
    while (kd__os_parse_double(locale, digits, NULL) != number && ++precision <= 17);
    const int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (exponent < -4 || exponent >= 16) {
        *strchr(digits, 'e') = 0;
        return snprintf(text, 40, "%se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent));
    }
    const int places = precision - 1 - exponent;
    return kd__os_print_double(locale, text, 40, "%.*f", (int)kd__max(places, 1), number);
}

static kd_status put_float(kd__room *room, kd__sink *sink, double number)
{
    char text[40];
    const int32_t size = kd__float_text(room->context, number, text);
    return kd__put(room, sink, text, size);
}

static kd_status put_character(kd__room *room, kd__sink *sink, const char *at, char quote)
{
    static const char from[] = "\n\r\t\\", into[] = "nrt\\";
    const uint32_t c = kd__character_at(at);
    const char *found = c && c < 128 ? strchr(from, (int)c) : NULL;
    char text[16] = { '\\' };
    if (found || c == (uint32_t)quote) {
        text[1] = found ? into[found - from] : quote;
        return kd__put(room, sink, text, 2);
    }
    if (kd__character_class(c) & KD__PRINTABLE)
        return kd__put(room, sink, at, kd__character_bytes(*at));
    snprintf(text, sizeof text, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    return kd__put_text(room, sink, text);
}

/* In single quotes, unless it holds some and no double ones. */
static kd_status put_quoted(kd__room *room, kd__sink *sink, const kd__value *v)
{
    const size_t bytes = (size_t)v->bytes;
    const char quote = bytes && memchr(v->text, '\'', bytes) && !memchr(v->text, '"', bytes) ? '"'
                                                                                             : '\'';
    if (v->safe) KD_TRY(kd__put_text(room, sink, "Markup("));
    KD_TRY(kd__put(room, sink, &quote, 1));
    for (int64_t at = 0; at < v->bytes; at += kd__character_bytes(v->text[at]))
        KD_TRY(put_character(room, sink, v->text + at, quote));
    KD_TRY(kd__put(room, sink, &quote, 1));
    return v->safe ? kd__put_text(room, sink, ")") : KD_OK;
}

static kd_status put_items(kd__room *room, kd__sink *sink, const kd__value *v, int32_t depth)
{
    static const char *const begins[] = {
        "[", "(", "", "", "dict_keys([", "dict_values([", "dict_items(["
    };
    static const char *const ends[] = { "]", ")", "", "", "])", "])", "])" };
    const int kind = v->type - KD__V_LIST;
    KD_TRY(kd__put_text(room, sink, begins[kind]));
    for (int64_t i = 0; i < v->list->count; i++) {
        if (i) KD_TRY(kd__put(room, sink, ", ", 2));
        KD_TRY(kd__put_repr(room, sink, &v->list->items[i], depth + 1));
    }
    if (v->type == KD__V_TUPLE && v->list->count == 1) KD_TRY(kd__put(room, sink, ",", 1));
    return kd__put_text(room, sink, ends[kind]);
}

static kd_status put_dict(kd__room *room, kd__sink *sink, const kd__dict *dict, int32_t depth)
{
    KD_TRY(kd__put(room, sink, "{", 1));
    for (int64_t i = 0; i < dict->count; i++) {
        if (i) KD_TRY(kd__put(room, sink, ", ", 2));
        KD_TRY(kd__put_repr(room, sink, &dict->entries[i].key, depth + 1));
        KD_TRY(kd__put(room, sink, ": ", 2));
        KD_TRY(kd__put_repr(room, sink, &dict->entries[i].value, depth + 1));
    }
    return kd__put(room, sink, "}", 1);
}

static kd_status put_range(kd__room *room, kd__sink *sink, const kd__list *l)
{
    char text[80];
    snprintf(text, sizeof text, l->step == 1 ? "range(%lld, %lld)" : "range(%lld, %lld, %lld)",
             (long long)l->start, (long long)l->stop, (long long)l->step);
    return kd__put_text(room, sink, text);
}

static kd_status put_integer(kd__room *room, kd__sink *sink, int64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)number);
    return kd__put_text(room, sink, text);
}

/* Python prints an address for the others, which no template can mean. */
static kd_status no_text(const kd__value *v)
{
    return kd__fail(KD_ERR_UNSUPPORTED, "a value of type %s cannot be written as text",
                    kd__type_name(v));
}

kd_status kd__put_repr(kd__room *room, kd__sink *sink, const kd__value *v, int32_t depth)
{
    KD_FAIL_IF(depth > MOST_DEPTH, KD_ERR_RANGE, "values nested deeper than %d cannot be written",
               MOST_DEPTH);
    switch (v->type) {
    case KD__V_UNDEFINED: return kd__put_text(room, sink, "Undefined");
    case KD__V_NONE: return kd__put_text(room, sink, "None");
    case KD__V_BOOL: return kd__put_text(room, sink, v->integer ? "True" : "False");
    case KD__V_INTEGER: return put_integer(room, sink, v->integer);
    case KD__V_BIG: return kd__put(room, sink, v->text, v->bytes);
    case KD__V_FLOAT: return put_float(room, sink, v->number);
    case KD__V_STRING: return put_quoted(room, sink, v);
    case KD__V_RANGE: return put_range(room, sink, v->list);
    case KD__V_LIST:
    case KD__V_TUPLE:
    case KD__V_KEYS:
    case KD__V_VALUES:
    case KD__V_ITEMS: return put_items(room, sink, v, depth);
    case KD__V_DICT: return put_dict(room, sink, v->dict, depth);
    case KD__V_NAMESPACE:
        KD_TRY(kd__put_text(room, sink, "<Namespace "));
        KD_TRY(put_dict(room, sink, v->dict, depth));
        return kd__put(room, sink, ">", 1);
    default: return no_text(v);
    }
}

kd_status kd__to_text(kd__room *room, const kd__value *v, kd__value *out)
{
    kd__sink sink = { 0 };
    if (v->type == KD__V_STRING) *out = kd__string(v->text, v->bytes);
    else if (v->type == KD__V_UNDEFINED) *out = kd__string("", 0);
    else {
        KD_TRY(kd__put_repr(room, &sink, v, 0));
        *out = kd__sink_value(&sink);
    }
    return KD_OK;
}

kd_status kd__escaped(kd__room *room, const kd__value *v, kd__value *out)
{
    static const char from[] = "&<>'\"";
    static const char *const into[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
    kd__sink sink = { 0 };
    kd__value text;
    if (v->type == KD__V_STRING && v->safe) return *out = *v, KD_OK;
    KD_TRY(kd__to_text(room, v, &text));
    for (int64_t i = 0; i < text.bytes; i++) {
        const char *found = text.text[i] ? strchr(from, text.text[i]) : NULL;
        KD_TRY(found ? kd__put_text(room, &sink, into[found - from])
                     : kd__put(room, &sink, text.text + i, 1));
    }
    *out = kd__sink_value(&sink);
    out->safe = 1;
    return KD_OK;
}
