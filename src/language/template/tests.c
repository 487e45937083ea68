/* Tests: x is .. */
#include "language/template/strings.h"

enum {
    IS_DEFINED,
    IS_UNDEFINED,
    IS_NONE,
    IS_STRING,
    IS_MAPPING,
    IS_ITERABLE,
    IS_SEQUENCE,
    IS_NUMBER,
    IS_INTEGER,
    IS_FLOAT,
    IS_BOOLEAN,
    IS_TRUE,
    IS_FALSE,
    IS_CALLABLE,
    IS_ESCAPED
};

static int is_sequence(const kd__value *v)
{
    return v->type == KD__V_STRING || kd__is_list(v) || v->type == KD__V_DICT ||
           v->type == KD__V_UNDEFINED;
}

static int is_iterable(const kd__value *v)
{
    return is_sequence(v) || kd__is_view(v) || v->type == KD__V_ITERATOR || v->type == KD__V_LOOP;
}

static int is_callable(const kd__value *v)
{
    return v->type == KD__V_UNDEFINED || v->type == KD__V_MACRO || v->type == KD__V_FUNCTION ||
           v->type == KD__V_METHOD;
}

static int is_kind(const kd__value *v, int32_t kind)
{
    switch (kind) {
    case IS_DEFINED: return v->type != KD__V_UNDEFINED;
    case IS_UNDEFINED: return v->type == KD__V_UNDEFINED;
    case IS_NONE: return v->type == KD__V_NONE;
    case IS_STRING: return v->type == KD__V_STRING;
    case IS_MAPPING: return v->type == KD__V_DICT;
    case IS_ITERABLE: return is_iterable(v);
    case IS_SEQUENCE: return is_sequence(v);
    case IS_NUMBER: return kd__is_number(v);
    case IS_INTEGER: return v->type == KD__V_INTEGER || v->type == KD__V_BIG;
    case IS_FLOAT: return v->type == KD__V_FLOAT;
    case IS_BOOLEAN: return v->type == KD__V_BOOL;
    case IS_TRUE: return v->type == KD__V_BOOL && v->integer;
    case IS_FALSE: return v->type == KD__V_BOOL && !v->integer;
    case IS_CALLABLE: return is_callable(v);
    default: return v->type == KD__V_STRING && v->safe;
    }
}

/* What a value is does not depend on arguments; which question it is stands in the table. */
#define KIND(name, kind)                                                                \
    static kd_status name(kd__render *r, const kd__value *self, const kd__arguments *a, \
                          kd__value *out)                                               \
    {                                                                                   \
        (void)r, (void)a;                                                               \
        *out = kd__bool(is_kind(self, kind));                                           \
        return KD_OK;                                                                   \
    }
KIND(is_defined, IS_DEFINED)
KIND(is_undefined, IS_UNDEFINED)
KIND(is_none, IS_NONE)
KIND(is_string, IS_STRING)
KIND(is_mapping, IS_MAPPING)
KIND(test_iterable, IS_ITERABLE)
KIND(test_sequence, IS_SEQUENCE)
KIND(is_number, IS_NUMBER)
KIND(is_integer, IS_INTEGER)
KIND(is_float, IS_FLOAT)
KIND(is_boolean, IS_BOOLEAN)
KIND(is_true, IS_TRUE)
KIND(is_false, IS_FALSE)
KIND(test_callable, IS_CALLABLE)
KIND(is_escaped, IS_ESCAPED)

static kd_status rest_is(kd__render *r, const kd__value *self, const kd__value *divisor,
                         int64_t wanted, kd__value *out)
{
    int32_t equal;
    kd__value rest;
    const kd__value number = kd__integer(wanted);
    KD_TRY(kd__binary(r, KD__MODULO, self, divisor, &rest));
    KD_TRY(kd__equal(r->room, &rest, &number, &equal));
    *out = kd__bool(equal);
    return KD_OK;
}

static kd_status is_odd(kd__render *r, const kd__value *self, const kd__arguments *a,
                        kd__value *out)
{
    const kd__value two = kd__integer(2);
    (void)a;
    return rest_is(r, self, &two, 1, out);
}

static kd_status is_even(kd__render *r, const kd__value *self, const kd__arguments *a,
                         kd__value *out)
{
    const kd__value two = kd__integer(2);
    (void)a;
    return rest_is(r, self, &two, 0, out);
}

static kd_status is_divisible(kd__render *r, const kd__value *self, const kd__arguments *a,
                              kd__value *out)
{
    return rest_is(r, self, &a->at[0], 0, out);
}

static kd_status is_equal(kd__render *r, const kd__value *self, const kd__arguments *a,
                          kd__value *out)
{
    int32_t equal;
    KD_TRY(kd__equal(r->room, self, &a->at[0], &equal));
    *out = kd__bool(equal);
    return KD_OK;
}

static kd_status is_other(kd__render *r, const kd__value *self, const kd__arguments *a,
                          kd__value *out)
{
    KD_TRY(is_equal(r, self, a, out));
    out->integer = !out->integer;
    return KD_OK;
}

static kd_status ordered(kd__render *r, const kd__value *self, const kd__arguments *a, int wanted,
                         int or_equal, kd__value *out)
{
    int32_t order;
    KD_TRY(kd__order(r->room, self, &a->at[0], &order));
    *out = kd__bool(order == wanted || (or_equal && !order));
    return KD_OK;
}

static kd_status is_less(kd__render *r, const kd__value *self, const kd__arguments *a,
                         kd__value *out)
{
    return ordered(r, self, a, -1, 0, out);
}

static kd_status is_at_most(kd__render *r, const kd__value *self, const kd__arguments *a,
                            kd__value *out)
{
    return ordered(r, self, a, -1, 1, out);
}

static kd_status is_greater(kd__render *r, const kd__value *self, const kd__arguments *a,
                            kd__value *out)
{
    return ordered(r, self, a, 1, 0, out);
}

static kd_status is_at_least(kd__render *r, const kd__value *self, const kd__arguments *a,
                             kd__value *out)
{
    return ordered(r, self, a, 1, 1, out);
}

static kd_status is_in(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    int32_t found;
    KD_TRY(kd__contains(r->room, &a->at[0], self, &found));
    *out = kd__bool(found);
    return KD_OK;
}

/* The same object: of what Python keeps once, the same value. */
/* A name without a value is another one each time that it is asked for. */
static kd_status is_same(kd__render *r, const kd__value *self, const kd__arguments *a,
                         kd__value *out)
{
    const kd__value *b = &a->at[0];
    (void)r;
    const int scalar = self->type <= KD__V_INTEGER;
    const int same = self->type == KD__V_STRING ? self->text == b->text && self->bytes == b->bytes
                                                : self->list == b->list;
    *out = kd__bool(self->type == b->type && self->type != KD__V_UNDEFINED &&
                    (scalar ? self->integer == b->integer : same));
    return KD_OK;
}

static kd_status has_case(kd__render *r, const kd__value *self, const char *method, kd__value *out)
{
    kd__value s;
    const kd__arguments none = { 0 };
    KD_TRY(kd__to_text(r->room, self, &s));
    return kd__callable_call(r, kd__method_find(&s, method, 7), &s, &none, out);
}

static kd_status is_lower(kd__render *r, const kd__value *self, const kd__arguments *a,
                          kd__value *out)
{
    (void)a;
    return has_case(r, self, "islower", out);
}

static kd_status is_upper(kd__render *r, const kd__value *self, const kd__arguments *a,
                          kd__value *out)
{
    (void)a;
    return has_case(r, self, "isupper", out);
}

static kd_status is_filter(kd__render *r, const kd__value *self, const kd__arguments *a,
                           kd__value *out)
{
    (void)r, (void)a;
    *out = kd__bool(self->type == KD__V_STRING && kd__filter_find(self->text, self->bytes));
    return KD_OK;
}

static kd_status is_test(kd__render *r, const kd__value *self, const kd__arguments *a,
                         kd__value *out)
{
    (void)r, (void)a;
    *out = kd__bool(self->type == KD__V_STRING && kd__test_find(self->text, self->bytes));
    return KD_OK;
}

static const kd__callable tests[] = { { "defined", is_defined, "", 0 },
                                      { "undefined", is_undefined, "", 0 },
                                      { "none", is_none, "", 0 },
                                      { "string", is_string, "", 0 },
                                      { "mapping", is_mapping, "", 0 },
                                      { "iterable", test_iterable, "", 0 },
                                      { "sequence", test_sequence, "", 0 },
                                      { "number", is_number, "", 0 },
                                      { "integer", is_integer, "", 0 },
                                      { "float", is_float, "", 0 },
                                      { "boolean", is_boolean, "", 0 },
                                      { "true", is_true, "", 0 },
                                      { "false", is_false, "", 0 },
                                      { "callable", test_callable, "", 0 },
                                      { "escaped", is_escaped, "", 0 },
                                      { "odd", is_odd, "", 0 },
                                      { "even", is_even, "", 0 },
                                      { "divisibleby", is_divisible, "num", 1 },
                                      { "in", is_in, "seq", 1 },
                                      { "sameas", is_same, "other", 1 },
                                      { "lower", is_lower, "", 0 },
                                      { "upper", is_upper, "", 0 },
                                      { "filter", is_filter, "", 0 },
                                      { "test", is_test, "", 0 },
                                      { "==", is_equal, "other", 1 },
                                      { "eq", is_equal, "other", 1 },
                                      { "equalto", is_equal, "other", 1 },
                                      { "!=", is_other, "other", 1 },
                                      { "ne", is_other, "other", 1 },
                                      { "<", is_less, "other", 1 },
                                      { "lt", is_less, "other", 1 },
                                      { "lessthan", is_less, "other", 1 },
                                      { "<=", is_at_most, "other", 1 },
                                      { "le", is_at_most, "other", 1 },
                                      { ">", is_greater, "other", 1 },
                                      { "gt", is_greater, "other", 1 },
                                      { "greaterthan", is_greater, "other", 1 },
                                      { ">=", is_at_least, "other", 1 },
                                      { "ge", is_at_least, "other", 1 },
                                      { 0 } };

const kd__callable *kd__test_find(const char *name, int64_t bytes)
{
    return kd__callable_find(tests, name, bytes);
}
