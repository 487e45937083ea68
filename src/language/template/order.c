/* Equality, order and membership, as Python has them. */
#include <math.h>
#include <string.h>

#include "base/numbers.h"
#include "base/os.h"
#include "language/template/value.h"

enum { MOST_DEPTH = 32 }; /* of lists in lists that are compared */

static kd_status equal_at(kd__room *room, const kd__value *a, const kd__value *b, int depth,
                          int32_t *equal);

static kd_status equal_lists(kd__room *room, const kd__list *a, const kd__list *b, int depth,
                             int32_t *equal)
{
    *equal = a->count == b->count;
    for (int64_t i = 0; *equal && i < a->count; i++)
        KD_TRY(equal_at(room, &a->items[i], &b->items[i], depth + 1, equal));
    return KD_OK;
}

static kd_status equal_dicts(kd__room *room, const kd__dict *a, const kd__dict *b, int depth,
                             int32_t *equal)
{
    *equal = a->count == b->count;
    for (int64_t i = 0; *equal && i < a->count; i++) {
        const kd__value *other;
        KD_TRY(kd__dict_find(room, b, &a->entries[i].key, &other));
        *equal = other != NULL;
        if (other) KD_TRY(equal_at(room, &a->entries[i].value, other, depth + 1, equal));
    }
    return KD_OK;
}

static int equal_numbers(const kd__value *a, const kd__value *b)
{
    if (a->type == KD__V_BIG || b->type == KD__V_BIG)
        return a->type == b->type && a->bytes == b->bytes &&
               !memcmp(a->text, b->text, (size_t)a->bytes);
    if (a->type != KD__V_FLOAT && b->type != KD__V_FLOAT) return a->integer == b->integer;
    return kd__as_float(a) == kd__as_float(b);
}

static kd_status equal_at(kd__room *room, const kd__value *a, const kd__value *b, int depth,
                          int32_t *equal)
{
    KD_FAIL_IF(depth > MOST_DEPTH, KD_ERR_RANGE, "values nested deeper than %d cannot be compared",
               MOST_DEPTH);
    KD_TRY(kd__work(room, 1));
    if (kd__is_number(a) && kd__is_number(b)) return *equal = equal_numbers(a, b), KD_OK;
    *equal = a->type == b->type;
    if (!*equal) return KD_OK;
    switch (a->type) {
    case KD__V_UNDEFINED:
    case KD__V_NONE: return KD_OK;
    case KD__V_STRING:
        *equal = a->bytes == b->bytes && !memcmp(a->text, b->text, (size_t)a->bytes);
        return kd__work_bytes(room, *equal ? a->bytes : 0);
    case KD__V_LIST:
    case KD__V_TUPLE:
    case KD__V_RANGE:
    case KD__V_KEYS:
    case KD__V_ITEMS: return equal_lists(room, a->list, b->list, depth, equal);
    case KD__V_DICT: return equal_dicts(room, a->dict, b->dict, depth, equal);
    default: return *equal = a->text == b->text && a->bytes == b->bytes, KD_OK;
    }
}

kd_status kd__equal(kd__room *room, const kd__value *a, const kd__value *b, int32_t *equal)
{
    return equal_at(room, a, b, 0, equal);
}

static kd_status order_at(kd__room *room, const kd__value *a, const kd__value *b, int depth,
                          int32_t *order);

static kd_status order_lists(kd__room *room, const kd__list *a, const kd__list *b, int depth,
                             int32_t *order)
{
    for (int64_t i = 0; i < a->count && i < b->count; i++) {
        int32_t equal;
        KD_TRY(equal_at(room, &a->items[i], &b->items[i], depth + 1, &equal));
        if (!equal) return order_at(room, &a->items[i], &b->items[i], depth + 1, order);
    }
    *order = (a->count > b->count) - (a->count < b->count);
    return KD_OK;
}

/* Bytes of UTF-8 have the order of their characters. */
static kd_status order_strings(kd__room *room, const kd__value *a, const kd__value *b,
                               int32_t *order)
{
    const int64_t shorter = kd__min(a->bytes, b->bytes);
    const int first = shorter ? memcmp(a->text, b->text, (size_t)shorter) : 0;
    *order = first ? (first > 0) - (first < 0) : (a->bytes > b->bytes) - (a->bytes < b->bytes);
    return kd__work_bytes(room, shorter);
}

static kd_status order_at(kd__room *room, const kd__value *a, const kd__value *b, int depth,
                          int32_t *order)
{
    KD_FAIL_IF(depth > MOST_DEPTH, KD_ERR_RANGE, "values nested deeper than %d cannot be compared",
               MOST_DEPTH);
    KD_TRY(kd__need_defined(a));
    KD_TRY(kd__need_defined(b));
    KD_FAIL_IF(a->type == KD__V_BIG || b->type == KD__V_BIG, KD_ERR_UNSUPPORTED,
               "whole numbers beyond 64 bits have no order here");
    if (kd__is_integer(a) && kd__is_integer(b)) {
        *order = (a->integer > b->integer) - (a->integer < b->integer);
        return KD_OK;
    }
    if (kd__is_number(a) && kd__is_number(b)) {
        const double x = kd__as_float(a), y = kd__as_float(b);
        *order = isnan(x) || isnan(y) ? 2 : (x > y) - (x < y);
        return KD_OK;
    }
    if (a->type == KD__V_STRING && b->type == KD__V_STRING) return order_strings(room, a, b, order);
    if (a->type == b->type && (a->type == KD__V_LIST || a->type == KD__V_TUPLE))
        return order_lists(room, a->list, b->list, depth, order);
    return kd__fail(KD_ERR_INVALID, "values of types %s and %s have no order", kd__type_name(a),
                    kd__type_name(b));
}

kd_status kd__order(kd__room *room, const kd__value *a, const kd__value *b, int32_t *order)
{
    KD_TRY(kd__work(room, 1));
    return order_at(room, a, b, 0, order);
}

kd_status kd__contains(kd__room *room, const kd__value *container, const kd__value *item,
                       int32_t *found)
{
    kd__list list;
    *found = 0;
    if (container->type == KD__V_STRING) {
        KD_FAIL_IF(item->type != KD__V_STRING, KD_ERR_INVALID,
                   "in: expected a text to look for in a text, got %s", kd__type_name(item));
        KD_TRY(kd__work_bytes(room, container->bytes));
        *found = !item->bytes || kd__os_find(container->text, (size_t)container->bytes, item->text,
                                             (size_t)item->bytes) != NULL;
        return KD_OK;
    }
    if (container->type == KD__V_DICT) {
        const kd__value *value;
        KD_TRY(kd__dict_find(room, container->dict, item, &value));
        *found = value != NULL;
        return KD_OK;
    }
    KD_TRY(kd__iterate(room, container, &list));
    for (int64_t i = 0; i < list.count && !*found; i++)
        KD_TRY(kd__equal(room, &list.items[i], item, found));
    return KD_OK;
}
