/* Filters on numbers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "base/os.h"
#include "language/template/characters.h"
#include "language/template/filters.h"
#include "language/template/strings.h"

/* ---- texts as numbers ---- */

/* The text without white space around it, in ASCII with the digits of all scripts as 0 to 9,
 * underscores between digits left out; 0: it is longer than `room` or an underscore stands
 * elsewhere. */
static kd_status plain_text(kd__render *r, const kd__value *s, char *plain, int64_t room,
                            int32_t *good)
{
    const kd__value nothing = { .type = KD__V_ABSENT };
    kd__value t;
    int64_t size = 0;
    KD_TRY(kd__string_strip(r, s, &nothing, KD__LEFT | KD__RIGHT, &t));
    *good = t.bytes > 0;
    for (int64_t at = 0; at < t.bytes && *good; at += kd__character_bytes(t.text[at])) {
        const uint32_t c = kd__character_at(t.text + at);
        const int decimal = (kd__character_class(c) & KD__DECIMAL) != 0;
        const int digits_around = size > 0 && (unsigned)(plain[size - 1] - '0') < 36 + 'a' - '0' &&
                                  at + 1 < t.bytes;
        if (c == '_' && digits_around && plain[size - 1] != '_' && t.text[at + 1] != '_') continue;
        *good = size < room - 1 && (c < 128 || decimal) && c != '_';
        if (*good) plain[size++] = c < 128 ? (char)c : (char)('0' + kd__decimal_digit(c));
    }
    plain[size] = 0;
    return KD_OK;
}

/* 1: a whole number, -1: one that does not fit, 0: none. */
static int parse_integer(const char *at, int base, int64_t *number)
{
    const int negative = *at == '-';
    int64_t value = 0;
    int fits = 1;
    if (*at == '-' || *at == '+') at++;
    const int prefix = at[0] == '0' ? at[1] | 32 : 0;
    const int named = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
    if (named && (base == named || !base)) at += 2, base = named;
    else if (!base) {
        if (*at == '0' && strspn(at, "0") != strlen(at)) return 0;
        base = 10;
    }
    if (!*at) return 0;
    for (; *at; at++) {
        const int digit = *at >= '0' && *at <= '9'                 ? *at - '0'
                          : (*at | 32) >= 'a' && (*at | 32) <= 'z' ? (*at | 32) - 'a' + 10
                                                                   : 99;
        if (digit >= base) return 0;
        fits = fits && !__builtin_mul_overflow(value, base, &value) &&
               !__builtin_sub_overflow(value, digit, &value);
    }
    if (!fits || (!negative && value == INT64_MIN)) return -1;
    *number = negative ? value : -value;
    return 1;
}

/* What Python's float() takes: decimal digits, an exponent, inf, infinity, nan. */
static int parse_float(kd_context *context, const char *text, double *number)
{
    char *end;
    const char *digits = text + (*text == '-' || *text == '+');
    const int word = !kd__os_compare_letters(digits, "inf") ||
                     !kd__os_compare_letters(digits, "infinity") ||
                     !kd__os_compare_letters(digits, "nan");
    if (!word && strspn(digits, "0123456789.eE+-") != strlen(digits)) return 0;
    *number = kd__parse_double(context, text, &end);
    return end != text && !*end;
}

static kd_status integer_of_float(double number, kd__value *out)
{
    KD_FAIL_IF(!(fabs(number) < 9.2e18), KD_ERR_UNSUPPORTED,
               "a whole number beyond 64 bits is not supported");
    *out = kd__integer((int64_t)number);
    return KD_OK;
}

static kd_status integer_of_text(kd__render *r, const kd__value *self, int64_t base,
                                 const kd__value *otherwise, kd__value *out)
{
    char text[400];
    int32_t good;
    int64_t whole;
    double number;
    KD_TRY(plain_text(r, self, text, sizeof text, &good));
    const int has_base = !base || (base >= 2 && base <= 36);
    const int parsed = good && has_base ? parse_integer(text, (int)base, &whole) : 0;
    KD_FAIL_IF(parsed < 0, KD_ERR_UNSUPPORTED, "a whole number beyond 64 bits is not supported");
    if (parsed) return *out = kd__integer(whole), KD_OK;
    if (good && parse_float(r->room->context, text, &number) && isfinite(number))
        return integer_of_float(number, out);
    *out = *otherwise;
    return KD_OK;
}

kd_status kd__filter_int(kd__render *r, const kd__value *self, const kd__arguments *a,
                         kd__value *out)
{
    const kd__value otherwise = kd__given(&a->at[0]) ? a->at[0] : kd__integer(0);
    int64_t base = 10;
    KD_TRY(kd__integer_argument(&a->at[1], "int: base", &base));
    KD_TRY(kd__need_defined(self));
    if (self->type == KD__V_STRING) return integer_of_text(r, self, base, &otherwise, out);
    if (self->type == KD__V_FLOAT && isfinite(self->number))
        return integer_of_float(trunc(self->number), out);
    *out = kd__is_integer(self)      ? kd__integer(self->integer)
           : self->type == KD__V_BIG ? *self
                                     : otherwise;
    return KD_OK;
}

kd_status kd__filter_float(kd__render *r, const kd__value *self, const kd__arguments *a,
                           kd__value *out)
{
    char text[400];
    int32_t good = 0;
    double number = 0;
    const kd__value otherwise = kd__given(&a->at[0]) ? a->at[0] : kd__float(0);
    KD_TRY(kd__need_defined(self));
    if (self->type == KD__V_STRING) KD_TRY(plain_text(r, self, text, sizeof text, &good));
    if (self->type == KD__V_BIG) good = parse_float(r->room->context, self->text, &number);
    else if (self->type != KD__V_STRING && kd__is_number(self))
        return *out = kd__float(kd__as_float(self)), KD_OK;
    else if (good) good = parse_float(r->room->context, text, &number);
    *out = good ? kd__float(number) : otherwise;
    return KD_OK;
}

/* ---- numbers ---- */

kd_status kd__filter_abs(kd__render *r, const kd__value *self, const kd__arguments *a,
                         kd__value *out)
{
    (void)a;
    KD_TRY(kd__need_defined(self));
    KD_FAIL_IF(!kd__is_number(self), KD_ERR_INVALID, "abs: expected a number, got %s",
               kd__type_name(self));
    if (self->type == KD__V_BIG)
        return kd__sign(r, *self->text == '-' ? KD__SUBTRACT : KD__ADD, self, out);
    if (self->type == KD__V_FLOAT) return *out = kd__float(fabs(self->number)), KD_OK;
    return kd__sign(r, self->integer < 0 ? KD__SUBTRACT : KD__ADD, self, out);
}

/* To a decimal place, halves to even, by the number's exact value. */
static double round_to(kd_context *context, double number, int64_t places)
{
    char text[400];
    if (!isfinite(number) || places > 323) return number;
    if (places < -308) return copysign(0, number);
    if (places < 0) {
        const double unit = pow(10, (double)-places);
        return rint(number / unit) * unit;
    }
    const int digits = (int)kd__min(places, 60);
    kd__os_print_double(context->locale, text, sizeof text, "%.*f", digits, number);
    return kd__os_parse_double(context->locale, text, NULL);
}

static kd_status round_integer(int64_t number, int64_t places, kd__value *out)
{
    int64_t unit = 1;
    *out = kd__integer(number);
    if (places >= 0) return KD_OK;
    for (int64_t i = places; i < 0; i++)
        if (__builtin_mul_overflow(unit, 10, &unit)) return *out = kd__integer(0), KD_OK;
    const int64_t rest = number % unit, whole = number - rest,
                  twice = 2 * (rest < 0 ? -rest : rest);
    const int up = twice > unit || (twice == unit && (whole / unit) % 2);
    *out = kd__integer(whole + (up ? (rest < 0 ? -unit : unit) : 0));
    return KD_OK;
}

/* To a decimal place a whole number is itself; floor and ceil make it a float. */
static kd_status round_big(kd__render *r, const kd__value *self, int64_t places, int32_t as_float,
                           kd__value *out)
{
    char *end;
    KD_FAIL_IF(places < 0, KD_ERR_UNSUPPORTED, "a whole number beyond 64 bits is not supported");
    if (!as_float) return *out = *self, KD_OK;
    *out = kd__float(kd__parse_double(r->room->context, self->text, &end));
    KD_FAIL_IF(!isfinite(out->number), KD_ERR_INVALID, "round: the number is too large");
    return KD_OK;
}

kd_status kd__filter_round(kd__render *r, const kd__value *self, const kd__arguments *a,
                           kd__value *out)
{
    int64_t places = 0;
    kd__value method = KD_LITERAL("common");
    KD_TRY(kd__integer_argument(&a->at[0], "round: precision", &places));
    KD_TRY(kd__text_argument(&a->at[1], "round: method", &method));
    KD_TRY(kd__need_defined(self));
    const int up = kd__is_string(&method, "ceil"), down = kd__is_string(&method, "floor");
    KD_FAIL_IF(!up && !down && !kd__is_string(&method, "common"), KD_ERR_INVALID,
               "round: method: expected common, ceil or floor, got %.*s",
               (int)kd__min(method.bytes, 40), method.text);
    KD_FAIL_IF(!kd__is_number(self), KD_ERR_INVALID, "round: expected a number, got %s",
               kd__type_name(self));
    if (self->type == KD__V_BIG) return round_big(r, self, places, up || down, out);
    if (!up && !down && self->type != KD__V_FLOAT) return round_integer(self->integer, places, out);
    if (!up && !down)
        return *out = kd__float(round_to(r->room->context, self->number, places)), KD_OK;
    if (self->type != KD__V_FLOAT && places >= 0)
        return *out = kd__float(kd__as_float(self)), KD_OK;
    const double unit = pow(10, (double)places), scaled = kd__as_float(self) * unit;
    KD_FAIL_IF(!isfinite(scaled), KD_ERR_INVALID, "round: the number is too large");
    *out = kd__float((up ? ceil(scaled) : floor(scaled)) / unit);
    return KD_OK;
}
