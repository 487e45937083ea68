/* Arithmetic, as Python has it; whole numbers are of 64 bits, and what does not fit is refused. */
#include <math.h>
#include <string.h>

#include "language/template/render.h"

static kd_status too_large(void)
{
    return kd__fail(KD_ERR_UNSUPPORTED, "a whole number beyond 64 bits is not supported");
}

static kd_status no_operator(int32_t op, const kd__value *a, const kd__value *b)
{
    static const char *const signs[] = { "+", "-", "*", "/", "//", "%", "**" };
    KD_FAIL_IF(a->type == KD__V_BIG || b->type == KD__V_BIG, KD_ERR_UNSUPPORTED,
               "whole numbers beyond 64 bits are not calculated with");
    return kd__fail(KD_ERR_INVALID, "%s has no meaning between values of types %s and %s",
                    signs[op], kd__type_name(a), kd__type_name(b));
}

/* ---- numbers ---- */

/* Quotient rounded down, as Python does; the remainder has the divisor's sign. */
static kd_status divide_integers(int32_t op, int64_t a, int64_t b, kd__value *out)
{
    KD_FAIL_IF(!b, KD_ERR_INVALID, "a division by zero");
    if (op == KD__DIVIDE) return *out = kd__float((double)a / (double)b), KD_OK;
    if (b == -1 && a == INT64_MIN)
        return op == KD__MODULO ? (*out = kd__integer(0), KD_OK) : too_large();
    int64_t quotient = a / b, rest = a % b;
    if (rest && (rest < 0) != (b < 0)) {
        quotient--;
        rest += b;
    }
    *out = kd__integer(op == KD__MODULO ? rest : quotient);
    return KD_OK;
}

static kd_status power_integers(int64_t a, int64_t b, kd__value *out)
{
    int64_t result = 1;
    KD_FAIL_IF(b < 0 && !a, KD_ERR_INVALID, "a division by zero");
    if (b < 0) return *out = kd__float(pow((double)a, (double)b)), KD_OK;
    for (int64_t base = a; b; b >>= 1) {
        if ((b & 1) && __builtin_mul_overflow(result, base, &result)) return too_large();
        if (b > 1 && __builtin_mul_overflow(base, base, &base)) return too_large();
    }
    *out = kd__integer(result);
    return KD_OK;
}

static kd_status integers(int32_t op, int64_t a, int64_t b, kd__value *out)
{
    int64_t result = 0;
    int overflow = 0;
    if (op == KD__ADD) overflow = __builtin_add_overflow(a, b, &result);
    else if (op == KD__SUBTRACT) overflow = __builtin_sub_overflow(a, b, &result);
    else if (op == KD__MULTIPLY) overflow = __builtin_mul_overflow(a, b, &result);
    else return op == KD__POWER ? power_integers(a, b, out) : divide_integers(op, a, b, out);
    if (overflow) return too_large();
    *out = kd__integer(result);
    return KD_OK;
}

static double modulo(double a, double b)
{
    double rest = fmod(a, b);
    if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
    return rest != 0 ? rest : copysign(0, b);
}

/* Python's float_floor_div: the quotient that goes with the remainder, corrected to a whole
 * number. */
static double floor_divide(double a, double b)
{
    const double rest = modulo(a, b), quotient = (a - rest) / b;
    if (quotient == 0) return copysign(0, a / b);
    double whole = floor(quotient);
    if (quotient - whole > .5) whole += 1;
    return whole;
}

static kd_status floats(int32_t op, double a, double b, kd__value *out)
{
    const int divides = op == KD__DIVIDE || op == KD__FLOOR_DIVIDE || op == KD__MODULO;
    KD_FAIL_IF(b == 0 && divides, KD_ERR_INVALID, "a division by zero");
    KD_FAIL_IF(op == KD__POWER && a == 0 && b < 0, KD_ERR_INVALID, "a division by zero");
    KD_FAIL_IF(op == KD__POWER && a < 0 && isfinite(b) && b != floor(b), KD_ERR_UNSUPPORTED,
               "complex numbers are not supported");
    const double result = op == KD__ADD        ? a + b
                          : op == KD__SUBTRACT ? a - b
                          : op == KD__MULTIPLY ? a * b
                          : op == KD__DIVIDE   ? a / b
                          : op == KD__POWER    ? pow(a, b)
                          : op == KD__MODULO   ? modulo(a, b)
                                               : floor_divide(a, b);
    KD_FAIL_IF(op == KD__POWER && isinf(result) && isfinite(a) && isfinite(b), KD_ERR_INVALID,
               "the power is too large");
    *out = kd__float(result);
    return KD_OK;
}

/* ---- texts and lists ---- */

static kd_status add_strings(kd__render *r, const kd__value *a, const kd__value *b, kd__value *out)
{
    kd__value first = *a, second = *b;
    kd__sink sink = { 0 };
    const uint8_t safe = a->safe | b->safe;
    if (safe && !a->safe)
        KD_TRY(kd__escaped(r->room, a, &first)); /* what is added to a safe text is escaped */
    if (safe && !b->safe) KD_TRY(kd__escaped(r->room, b, &second));
    KD_TRY(KD_GROW(r->room, &sink.text, &sink.held, first.bytes + second.bytes + 1));
    KD_TRY(kd__put(r->room, &sink, first.text, first.bytes));
    KD_TRY(kd__put(r->room, &sink, second.text, second.bytes));
    *out = kd__sink_value(&sink);
    out->safe = safe;
    return KD_OK;
}

static kd_status add_lists(kd__render *r, const kd__value *a, const kd__value *b, kd__value *out)
{
    const kd__list *first = a->list, *second = b->list;
    kd__value made;
    KD_TRY(kd__list_new(r->room, a->type, first->count + second->count, &made));
    if (first->count)
        memcpy(made.list->items, first->items, (size_t)first->count * sizeof *first->items);
    if (second->count)
        memcpy(made.list->items + first->count, second->items,
               (size_t)second->count * sizeof *first->items);
    made.list->count = first->count + second->count;
    *out = made;
    return KD_OK;
}

static kd_status repeat(kd__render *r, const kd__value *what, int64_t times, kd__value *out)
{
    kd__sink sink = { 0 };
    kd__value made;
    if (times < 0) times = 0;
    const int64_t size = what->type == KD__V_STRING
                             ? what->bytes
                             : what->list->count * (int64_t)sizeof *what->list->items;
    KD_FAIL_IF(size && times > 8 * (int64_t)KD__TEMPLATE_WORK / size, KD_ERR_RANGE,
               "a value repeated %lld times is too large", (long long)times);
    if (!size) times = 0;
    if (what->type == KD__V_STRING) {
        const uint8_t safe = what->safe;
        for (int64_t i = 0; i < times; i++)
            KD_TRY(kd__put(r->room, &sink, what->text, what->bytes));
        *out = kd__sink_value(&sink);
        out->safe = safe;
        return KD_OK;
    }
    KD_TRY(kd__list_new(r->room, what->type, times * what->list->count, &made));
    for (int64_t i = 0; i < times * what->list->count; i++)
        made.list->items[made.list->count++] = what->list->items[i % what->list->count];
    *out = made;
    return KD_OK;
}

static int is_repeated(const kd__value *v)
{
    return v->type == KD__V_STRING || v->type == KD__V_LIST || v->type == KD__V_TUPLE;
}

kd_status kd__binary(kd__render *r, int32_t op, const kd__value *a, const kd__value *b,
                     kd__value *out)
{
    KD_TRY(kd__need_defined(a));
    if (op == KD__MODULO && a->type == KD__V_STRING) return kd__format_percent(r, a, b, out);
    KD_TRY(kd__need_defined(b));
    if (kd__is_integer(a) && kd__is_integer(b)) return integers(op, a->integer, b->integer, out);
    const int numbers = kd__is_number(a) && kd__is_number(b) && a->type != KD__V_BIG &&
                        b->type != KD__V_BIG;
    if (numbers) return floats(op, kd__as_float(a), kd__as_float(b), out);
    if (op == KD__ADD && a->type == KD__V_STRING && b->type == KD__V_STRING)
        return add_strings(r, a, b, out);
    if (op == KD__ADD && a->type == b->type && (a->type == KD__V_LIST || a->type == KD__V_TUPLE))
        return add_lists(r, a, b, out);
    if (op == KD__MULTIPLY && is_repeated(a) && kd__is_integer(b))
        return repeat(r, a, b->integer, out);
    if (op == KD__MULTIPLY && is_repeated(b) && kd__is_integer(a))
        return repeat(r, b, a->integer, out);
    return no_operator(op, a, b);
}

/* Of digits: a minus is taken off, or put before them. */
static kd_status negate_big(kd__render *r, const kd__value *a, kd__value *out)
{
    kd__sink sink = { 0 };
    const int negative = *a->text == '-';
    if (!negative) KD_TRY(kd__put(r->room, &sink, "-", 1));
    KD_TRY(kd__put(r->room, &sink, a->text + negative, a->bytes - negative));
    *out = kd__sink_value(&sink);
    out->type = KD__V_BIG;
    return KD_OK;
}

kd_status kd__sign(kd__render *r, int32_t op, const kd__value *a, kd__value *out)
{
    KD_TRY(kd__need_defined(a));
    KD_FAIL_IF(!kd__is_number(a), KD_ERR_INVALID, "a value of type %s has no sign",
               kd__type_name(a));
    if (a->type == KD__V_BIG)
        return op == KD__SUBTRACT ? negate_big(r, a, out) : (*out = *a, KD_OK);
    if (a->type == KD__V_FLOAT)
        return *out = kd__float(op == KD__SUBTRACT ? -a->number : a->number), KD_OK;
    if (a->integer == INT64_MIN && op == KD__SUBTRACT) return too_large();
    *out = kd__integer(op == KD__SUBTRACT ? -a->integer : a->integer);
    return KD_OK;
}
