/* "%5.2f and %(name)s" % values, and "{0:>5} and {name!r}".format(..), in the forms that
 * templates use. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "base/os.h"
#include "language/template/characters.h"
#include "language/template/strings.h"

enum { MOST_WIDTH = 1000, NUMBER_ROOM = 1500 };

/* [[fill]align][sign][#][0][width][,][.precision][type], as Python's format() has it. */
typedef struct {
    char fill[4], align, sign, comma, type;
    int32_t fill_bytes, alternate, zero, width, precision; /* precision -1: none */
} spec;

static kd_status unsupported(const char *what, const char *text, int64_t bytes)
{
    return kd__fail(KD_ERR_UNSUPPORTED, "format: %s '%.*s' is not supported", what,
                    (int)kd__min(bytes, 40), text);
}

/* ---- one value ---- */

static kd_status put_padded(kd__render *r, kd__sink *sink, const kd__value *text, const spec *s,
                            char align)
{
    const int64_t count = kd__characters(text->text, text->bytes),
                  missing = s->width > count ? s->width - count : 0;
    const int64_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
    for (int64_t i = 0; i < left; i++) KD_TRY(kd__put(r->room, sink, s->fill, s->fill_bytes));
    KD_TRY(kd__put(r->room, sink, text->text, text->bytes));
    for (int64_t i = left; i < missing; i++) KD_TRY(kd__put(r->room, sink, s->fill, s->fill_bytes));
    return KD_OK;
}

static kd_status put_string(kd__render *r, kd__sink *sink, kd__value text, const spec *s)
{
    if (s->precision >= 0) text.bytes = kd__character_offset(text.text, text.bytes, s->precision);
    return put_padded(r, sink, &text, s, s->align ? s->align : '<');
}

/* Digits in groups of three, up to the point. */
static void put_commas(char *digits)
{
    const size_t whole = strspn(digits, "0123456789");
    for (size_t at = whole; at > 3; at -= 3) {
        memmove(digits + at - 2, digits + at - 3, strlen(digits + at - 3) + 1);
        digits[at - 3] = ',';
    }
}

/* Sign, zeros and digits; a number stands at the right. */
static kd_status put_number(kd__render *r, kd__sink *sink, const char *digits, int negative,
                            const char *prefix, const spec *s)
{
    char text[NUMBER_ROOM];
    const char sign = negative ? '-' : s->sign == '+' || s->sign == ' ' ? s->sign : 0;
    int32_t size = 0;
    if (sign) text[size++] = sign;
    size += snprintf(text + size, 4, "%s", prefix);
    const int32_t zeros =
        (s->zero && !s->align) || s->align == '=' ? s->width - size - (int32_t)strlen(digits) : 0;
    for (int32_t i = 0; i < zeros && size < MOST_WIDTH; i++)
        text[size++] = s->align == '=' && !s->zero ? *s->fill : '0';
    size += snprintf(text + size, sizeof text - (size_t)size, "%s", digits);
    const kd__value v = kd__string(text, size);
    return put_padded(r, sink, &v, s, s->align && s->align != '=' ? s->align : '>');
}

static kd_status put_integer(kd__render *r, kd__sink *sink, int64_t number, const spec *s)
{
    char digits[120];
    const uint64_t size = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    const char *prefix = !s->alternate    ? ""
                         : s->type == 'x' ? "0x"
                         : s->type == 'X' ? "0X"
                         : s->type == 'o' ? "0o"
                         : s->type == 'b' ? "0b"
                                          : "";
    if (s->type == 'b') {
        int32_t at = 0, bits = 64 - __builtin_clzll(size | 1);
        while (bits--) digits[at++] = (char)('0' + (size >> bits & 1));
        digits[at] = 0;
    } else
        snprintf(digits, sizeof digits,
                 s->type == 'x'   ? "%llx"
                 : s->type == 'X' ? "%llX"
                 : s->type == 'o' ? "%llo"
                                  : "%llu",
                 (unsigned long long)size);
    if (s->comma) put_commas(digits);
    return put_number(r, sink, digits, number < 0, prefix, s);
}

static kd_status put_float(kd__render *r, kd__sink *sink, double number, const spec *s)
{
    char digits[NUMBER_ROOM / 2], form[8] = "%.*f";
    const int percent = s->type == '%';
    const int precision = s->precision < 0 ? 6 : s->precision;
    KD_FAIL_IF(precision > 300, KD_ERR_RANGE, "format: expected at most 300 decimal places, got %d",
               precision);
    if (!s->type && s->precision >= 0) return unsupported("a precision without a type", ".", 1);
    if (isfinite(number) && !s->type) kd__float_text(r->room->context, fabs(number), digits);
    else {
        form[3] = percent || !s->type ? 'f' : s->type;
        kd__os_print_double(r->room->context->locale, digits, sizeof digits, form, precision,
                            fabs(percent ? number * 100 : number));
    }
    if (s->comma) put_commas(digits);
    if (percent) strcat(digits, "%");
    return put_number(r, sink, digits, signbit(number) && !isnan(number), "", s);
}

static kd_status put_value(kd__render *r, kd__sink *sink, const kd__value *v, const spec *s)
{
    const int real = s->type && strchr("eEfFgG%", s->type),
              whole = s->type && strchr("dxXob", s->type);
    kd__value text;
    if (v->type == KD__V_FLOAT || (kd__is_integer(v) && real)) {
        KD_FAIL_IF(whole, KD_ERR_INVALID, "format: %c asks for a whole number, got a float",
                   s->type);
        return put_float(r, sink, kd__as_float(v), s);
    }
    const int shows_word = v->type == KD__V_BOOL && !whole && !s->width && !s->type;
    if (kd__is_integer(v) && !shows_word && s->type != 's')
        return put_integer(r, sink, v->integer, s);
    KD_FAIL_IF(v->type == KD__V_BIG && (real || whole), KD_ERR_UNSUPPORTED,
               "format: a whole number beyond 64 bits is not supported");
    KD_FAIL_IF((real || whole) && s->type, KD_ERR_INVALID, "format: %c asks for a number, got %s",
               s->type, kd__type_name(v));
    KD_TRY(kd__to_text(r->room, v, &text));
    return put_string(r, sink, text, s);
}

static kd_status read_width(const char **at, const char *end, int32_t *number)
{
    int64_t value = 0;
    while (*at < end && **at >= '0' && **at <= '9' && value <= MOST_WIDTH)
        value = value * 10 + (*(*at)++ - '0');
    KD_FAIL_IF(value > MOST_WIDTH, KD_ERR_RANGE, "format: expected a width of at most %d",
               MOST_WIDTH);
    *number = (int32_t)value;
    return KD_OK;
}

/* ---- % ---- */

typedef struct {
    kd__render *r;
    const kd__value *values;
    int64_t at; /* how many of the values are used */
    int32_t named;
    kd__sink sink;
} percent;

static kd_status next_value(percent *p, kd__value *out)
{
    const int tuple = p->values->type == KD__V_TUPLE;
    const int64_t count = tuple ? p->values->list->count : 1;
    KD_FAIL_IF(p->at >= count, KD_ERR_INVALID, "format: expected more than %lld values",
               (long long)count);
    *out = tuple ? p->values->list->items[p->at] : *p->values;
    p->at++;
    return KD_OK;
}

static kd_status named_value(percent *p, const char **at, const char *end, kd__value *out)
{
    const char *close = memchr(*at, ')', (size_t)(end - *at));
    KD_FAIL_IF(!close, KD_ERR_INVALID, "format: expected ')' after a name");
    KD_FAIL_IF(p->values->type != KD__V_DICT, KD_ERR_INVALID, "format: expected a dict, got %s",
               kd__type_name(p->values));
    const kd__value *found = kd__dict_text(p->values->dict, *at, close - *at);
    KD_FAIL_IF(!found, KD_ERR_INVALID, "format: no value is called %.*s", (int)(close - *at), *at);
    *at = close + 1;
    *out = *found;
    p->named = 1;
    return KD_OK;
}

static kd_status read_percent(const char **at, const char *end, spec *s)
{
    *s = (spec){ .fill = " ", .fill_bytes = 1, .align = '>', .precision = -1 };
    for (; *at < end && **at && strchr("#0- +", **at); ++*at) {
        if (**at == '#') s->alternate = 1;
        else if (**at == '-') s->align = '<';
        else if (**at == '0') s->zero = 1;
        else if (s->sign != '+') s->sign = **at;
    }
    KD_TRY(read_width(at, end, &s->width));
    if (*at < end && **at == '.') {
        ++*at;
        KD_TRY(read_width(at, end, &s->precision));
    }
    KD_FAIL_IF(*at >= end, KD_ERR_INVALID, "format: expected a letter after %%, got the end");
    s->type = *(*at)++;
    return KD_OK;
}

static kd_status put_percent(percent *p, const kd__value *v, spec *s)
{
    kd__value text, number = *v;
    kd__sink repr = { 0 };
    if (s->type == 'r') {
        KD_TRY(kd__put_repr(p->r->room, &repr, v, 0));
        text = kd__sink_value(&repr);
    } else if (s->type == 's') KD_TRY(kd__to_text(p->r->room, v, &text));
    if (s->type == 's' || s->type == 'r') return put_string(p->r, &p->sink, text, s);
    KD_TRY(kd__need_defined(v));
    KD_FAIL_IF(!s->type || !strchr("diuxXofFeEgG", s->type), KD_ERR_UNSUPPORTED,
               "format: %%%c is not supported", s->type);
    KD_FAIL_IF(v->type == KD__V_BIG, KD_ERR_UNSUPPORTED,
               "format: a whole number beyond 64 bits is not supported");
    KD_FAIL_IF(!kd__is_number(v), KD_ERR_INVALID, "format: %%%c asks for a number, got %s", s->type,
               kd__type_name(v));
    if (s->zero && s->align == '>') s->align = 0; /* zeros go between sign and digits */
    if (strchr("fFeEgG", s->type)) return put_float(p->r, &p->sink, kd__as_float(&number), s);
    KD_FAIL_IF(v->type == KD__V_FLOAT && (strchr("xXo", s->type) || !(fabs(v->number) < 9e18)),
               KD_ERR_INVALID, "format: %%%c asks for a whole number of 64 bits", s->type);
    if (strchr("iu", s->type)) s->type = 'd';
    return put_integer(p->r, &p->sink, v->type == KD__V_FLOAT ? (int64_t)v->number : v->integer, s);
}

static kd_status one_percent(percent *p, const char **at, const char *end)
{
    spec s;
    kd__value v;
    KD_FAIL_IF(*at >= end, KD_ERR_INVALID, "format: expected a letter after %%, got the end");
    const int named = **at == '(';
    if (named) {
        ++*at;
        KD_TRY(named_value(p, at, end, &v));
    }
    KD_TRY(read_percent(at, end, &s));
    if (s.type == '%') return kd__put(p->r->room, &p->sink, "%", 1);
    if (!named) KD_TRY(next_value(p, &v));
    return put_percent(p, &v, &s);
}

kd_status kd__format_percent(kd__render *r, const kd__value *format, const kd__value *values,
                             kd__value *out)
{
    const char *at = format->text, *end = at + format->bytes;
    const uint8_t safe = format->safe;
    kd__value kept = *values;
    percent p = { .r = r, .values = &kept };
    while (at < end) {
        const char *mark = memchr(at, '%', (size_t)(end - at));
        KD_TRY(kd__put(r->room, &p.sink, at, (mark ? mark : end) - at));
        at = mark ? mark + 1 : end;
        if (mark) KD_TRY(one_percent(&p, &at, end));
    }
    const int tuple = kept.type == KD__V_TUPLE,
              mapping = kept.type == KD__V_DICT || kept.type == KD__V_LIST;
    KD_FAIL_IF(tuple ? p.at < kept.list->count : !p.at && !mapping && !p.named, KD_ERR_INVALID,
               "format: expected a place for each value, got more values");
    *out = kd__sink_value(&p.sink);
    out->safe = safe;
    return KD_OK;
}

/* ---- {} ---- */

typedef struct {
    kd__render *r;
    const kd__arguments *a;
    int64_t at; /* the next {} */
    kd__sink sink;
} braces;

static kd_status first_of_field(braces *b, const char *text, int64_t bytes, kd__value *out)
{
    int64_t number = 0, digits = 0;
    while (digits < bytes && text[digits] >= '0' && text[digits] <= '9' && digits < 9)
        number = number * 10 + (text[digits++] - '0');
    if (digits == bytes) {
        if (!bytes) number = b->at++;
        KD_FAIL_IF(number >= b->a->count, KD_ERR_INVALID, "format: value %lld is not given",
                   (long long)number);
        return *out = b->a->at[number], KD_OK;
    }
    for (int64_t i = 0; i < b->a->named_count; i++) {
        const kd__value *name = &b->a->named[i].name;
        if (name->bytes == bytes && !memcmp(name->text, text, (size_t)bytes))
            return *out = b->a->named[i].value, KD_OK;
    }
    return kd__fail(KD_ERR_INVALID, "format: no value is called %.*s", (int)kd__min(bytes, 40),
                    text);
}

/* name, name.attribute, name[element] */
static kd_status read_field(braces *b, const char *at, const char *end, kd__value *out)
{
    const char *part = at;
    while (part < end && *part != '.' && *part != '[') part++;
    KD_TRY(first_of_field(b, at, part - at, out));
    while (part < end) {
        const int dot = *part++ == '.';
        const char *stop = part;
        while (stop < end && (dot ? *stop != '.' && *stop != '[' : *stop != ']')) stop++;
        KD_FAIL_IF(stop == part || (!dot && stop == end), KD_ERR_INVALID,
                   "format: expected an attribute's name, got an empty one");
        const kd__value name = kd__string(part, stop - part);
        KD_TRY(dot ? kd__attribute(b->r, out, &name, out) : kd__path(b->r, out, &name, NULL, out));
        part = stop + !dot;
    }
    return KD_OK;
}

static kd_status read_spec(const char *at, const char *end, spec *s)
{
    *s = (spec){ .fill = " ", .fill_bytes = 1, .precision = -1 };
    const char *text = at;
    const int32_t first = at < end ? kd__character_bytes(*at) : 0;
    if (first && at + first < end && strchr("<>^=", at[first])) {
        memcpy(s->fill, at, (size_t)first);
        s->fill_bytes = first;
        s->align = at[first];
        at += first + 1;
    } else if (at < end && *at && strchr("<>^=", *at)) s->align = *at++;
    if (at < end && *at && strchr("+- ", *at)) s->sign = *at++;
    if (at < end && *at == '#') s->alternate = *at++ != 0;
    if (at < end && *at == '0') s->zero = *at++ != 0;
    KD_TRY(read_width(&at, end, &s->width));
    if (at < end && *at == ',') s->comma = *at++;
    if (at < end && *at == '.') {
        at++;
        KD_TRY(read_width(&at, end, &s->precision));
    }
    if (at < end) s->type = *at++;
    if (at < end || (s->type && !strchr("sdxXobeEfFgG%", s->type)))
        return unsupported("the form", text, end - text);
    return KD_OK;
}

static kd_status put_field(braces *b, const char *at, const char *end)
{
    const char *colon = memchr(at, ':', (size_t)(end - at)), *stop = colon ? colon : end;
    const char *bang = memchr(at, '!', (size_t)(stop - at));
    kd__value v;
    spec s;
    KD_TRY(read_field(b, at, bang ? bang : stop, &v));
    if (bang) {
        kd__sink sink = { 0 };
        if (stop - bang != 2 || (bang[1] != 'r' && bang[1] != 's'))
            return unsupported("the conversion", bang, stop - bang);
        if (bang[1] == 'r') KD_TRY(kd__put_repr(b->r->room, &sink, &v, 0));
        else KD_TRY(kd__to_text(b->r->room, &v, &v));
        if (bang[1] == 'r') v = kd__sink_value(&sink);
    }
    KD_TRY(read_spec(colon ? colon + 1 : end, end, &s));
    KD_FAIL_IF(colon && colon + 1 < end && v.type != KD__V_STRING && !kd__is_number(&v),
               KD_ERR_INVALID, "format: a value of type %s takes no form", kd__type_name(&v));
    return put_value(b->r, &b->sink, &v, &s);
}

kd_status kd__format_braces(kd__render *r, const kd__value *format, const kd__arguments *a,
                            kd__value *out)
{
    const char *at = format->text, *end = at + format->bytes;
    const uint8_t safe = format->safe;
    braces b = { .r = r, .a = a };
    while (at < end) {
        const char *mark = at;
        while (mark < end && *mark != '{' && *mark != '}') mark++;
        KD_TRY(kd__put(r->room, &b.sink, at, mark - at));
        at = mark;
        if (at == end) break;
        if (at + 1 < end && at[1] == *at) {
            KD_TRY(kd__put(r->room, &b.sink, at, 1));
            at += 2;
            continue;
        }
        const char *close = *at == '{' ? memchr(at, '}', (size_t)(end - at)) : NULL;
        KD_FAIL_IF(!close, KD_ERR_INVALID, "format: a single %c", *at);
        if (memchr(at + 1, '{', (size_t)(close - at - 1)))
            return unsupported("a field in a field", at, close - at + 1);
        KD_TRY(put_field(&b, at + 1, close));
        at = close + 1;
    }
    *out = kd__sink_value(&b.sink);
    out->safe = safe;
    return KD_OK;
}
