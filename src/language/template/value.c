/* Values of templates: none, booleans, numbers, strings, lists, mappings, callables. */
#include "language/template/value.h"

#include <math.h>
#include <string.h>

#include "base/numbers.h"
#include "language/template/characters.h"

/* ---- making them ---- */

kd__value kd__string_of(const char *text) { return kd__string(text, (int64_t)strlen(text)); }

kd_status kd__string_copy(kd__room *room, const char *text, int64_t bytes, kd__value *out)
{
    char *copy = NULL;
    KD_TRY(kd__room_take(room, bytes + 1, (void **)&copy));
    if (bytes) memcpy(copy, text, (size_t)bytes);
    *out = kd__string(copy, bytes);
    return KD_OK;
}

kd__value kd__undefined(const char *name, int64_t bytes)
{
    return (kd__value){ .type = KD__V_UNDEFINED, .bytes = bytes, .text = name };
}

kd__value kd__undefined_of(const kd__value *owner, const char *name, int64_t bytes)
{
    return (
        kd__value){ .type = KD__V_UNDEFINED, .owner = owner->type, .bytes = bytes, .text = name };
}

kd_status kd__list_new(kd__room *room, int32_t type, int64_t count, kd__value *out)
{
    kd__list *list = NULL;
    KD_TRY(KD_TAKE(room, &list, 1));
    if (count) KD_TRY(KD_TAKE(room, &list->items, count));
    list->held = count;
    *out = (kd__value){ .type = (uint8_t)type, .list = list };
    return KD_OK;
}

kd_status kd__list_add(kd__room *room, kd__value *list, const kd__value *item)
{
    kd__list *l = list->list;
    KD_TRY(KD_GROW(room, &l->items, &l->held, l->count + 1));
    l->items[l->count++] = *item;
    return KD_OK;
}

kd_status kd__pair_new(kd__room *room, const kd__value *first, const kd__value *second,
                       kd__value *out)
{
    kd__value pair;
    KD_TRY(kd__list_new(room, KD__V_TUPLE, 2, &pair));
    pair.list->items[0] = *first;
    pair.list->items[1] = *second;
    pair.list->count = 2;
    *out = pair;
    return KD_OK;
}

kd_status kd__dict_new(kd__room *room, kd__value *out)
{
    kd__dict *dict = NULL;
    KD_TRY(KD_TAKE(room, &dict, 1));
    *out = (kd__value){ .type = KD__V_DICT, .dict = dict };
    return KD_OK;
}

const kd__value *kd__dict_text(const kd__dict *dict, const char *key, int64_t bytes)
{
    for (int64_t i = 0; i < dict->count; i++) {
        const kd__value *k = &dict->entries[i].key;
        if (k->type == KD__V_STRING && k->bytes == bytes && !memcmp(k->text, key, (size_t)bytes))
            return &dict->entries[i].value;
    }
    return NULL;
}

static int changes(const kd__value *v)
{
    return v->type == KD__V_LIST || v->type == KD__V_DICT || kd__is_view(v);
}

int kd__is_hashable(const kd__value *v)
{
    int hashable = !changes(v);
    for (int64_t i = 0; v->type == KD__V_TUPLE && i < v->list->count; i++)
        hashable = hashable && !changes(&v->list->items[i]);
    return hashable;
}

static kd_status check_key(const kd__value *key)
{
    KD_FAIL_IF(!kd__is_hashable(key), KD_ERR_INVALID, "a value of type %s%s cannot be a key",
               kd__type_name(key), key->type == KD__V_TUPLE ? " that holds a list or a dict" : "");
    for (int64_t i = 0; key->type == KD__V_TUPLE && i < key->list->count; i++)
        KD_FAIL_IF(key->list->items[i].type == KD__V_TUPLE, KD_ERR_UNSUPPORTED,
                   "a tuple that holds a tuple is not supported as a key");
    return KD_OK;
}

kd_status kd__dict_find(kd__room *room, const kd__dict *dict, const kd__value *key,
                        const kd__value **found)
{
    *found = NULL;
    KD_TRY(check_key(key));
    KD_TRY(kd__work(room, dict->count >> 2));
    if (key->type == KD__V_STRING) {
        *found = kd__dict_text(dict, key->text, key->bytes);
        return KD_OK;
    }
    for (int64_t i = 0; i < dict->count; i++) {
        int32_t equal;
        KD_TRY(kd__equal(room, &dict->entries[i].key, key, &equal));
        if (equal) return *found = &dict->entries[i].value, KD_OK;
    }
    return KD_OK;
}

kd_status kd__dict_set(kd__room *room, kd__value *dict, const kd__value *key,
                       const kd__value *value)
{
    const kd__value *there;
    kd__dict *d = dict->dict;
    KD_TRY(kd__dict_find(room, d, key, &there));
    if (there) {
        ((kd__dict_entry *)((char *)(uintptr_t)there - offsetof(kd__dict_entry, value)))->value =
            *value;
        return KD_OK;
    }
    KD_TRY(KD_GROW(room, &d->entries, &d->held, d->count + 1));
    d->entries[d->count++] = (kd__dict_entry){ *key, *value };
    return KD_OK;
}

kd_status kd__dict_set_text(kd__room *room, kd__value *dict, const char *key,
                            const kd__value *value)
{
    const kd__value name = kd__string_of(key);
    return kd__dict_set(room, dict, &name, value);
}

/* ---- what they are ---- */

int kd__is_string(const kd__value *v, const char *text)
{
    return v->type == KD__V_STRING && v->bytes == (int64_t)strlen(text) &&
           !memcmp(v->text, text, (size_t)v->bytes);
}

int kd__is_list(const kd__value *v)
{
    return v->type == KD__V_LIST || v->type == KD__V_TUPLE || v->type == KD__V_RANGE;
}
int kd__is_view(const kd__value *v)
{
    return v->type == KD__V_KEYS || v->type == KD__V_VALUES || v->type == KD__V_ITEMS;
}
int kd__is_number(const kd__value *v) { return v->type >= KD__V_BOOL && v->type <= KD__V_FLOAT; }
int kd__is_integer(const kd__value *v) { return v->type == KD__V_BOOL || v->type == KD__V_INTEGER; }
double kd__as_float(const kd__value *v)
{
    return v->type == KD__V_FLOAT ? v->number : (double)v->integer;
}

int kd__truth(const kd__value *v)
{
    switch (v->type) {
    case KD__V_ABSENT:
    case KD__V_UNDEFINED:
    case KD__V_NONE: return 0;
    case KD__V_BOOL:
    case KD__V_INTEGER: return v->integer != 0;
    case KD__V_FLOAT: return v->number != 0;
    case KD__V_STRING: return v->bytes != 0;
    case KD__V_DICT: return v->dict->count != 0;
    default: return (!kd__is_list(v) && !kd__is_view(v)) || v->list->count != 0;
    }
}

const char *kd__type_name(const kd__value *v)
{
    static const char *const names[] = { "nothing",   "Undefined",   "NoneType",   "bool",
                                         "int",       "int",         "float",      "str",
                                         "list",      "tuple",       "range",      "generator",
                                         "dict_keys", "dict_values", "dict_items", "dict",
                                         "Namespace", "LoopContext", "Macro",      "function",
                                         "method" };
    return names[v->type];
}

kd_status kd__need_defined(const kd__value *v)
{
    if (v->type != KD__V_UNDEFINED) return KD_OK;
    const int bytes = (int)kd__min(v->bytes, 80);
    const kd__value owner = { .type = v->owner };
    KD_FAIL_IF(v->unsafe, KD_ERR_INVALID, "%.*s of a %s is refused: templates change no values",
               bytes, v->text, kd__type_name(&owner));
    KD_FAIL_IF(v->owner, KD_ERR_INVALID, "a value of type %s has no %.*s", kd__type_name(&owner),
               bytes, v->text);
    return kd__fail(KD_ERR_INVALID, "'%.*s' is undefined", bytes, v->text);
}

kd_status kd__iterate(kd__room *room, const kd__value *v, kd__list *out)
{
    *out = (kd__list){ 0 };
    if (v->type == KD__V_UNDEFINED) return KD_OK;
    if (kd__is_list(v) || kd__is_view(v)) {
        *out = (kd__list){ .items = v->list->items, .count = v->list->count };
        return KD_OK;
    }
    if (v->type == KD__V_ITERATOR) {
        *out = (kd__list){ .items = v->list->at ? v->list->items + v->list->at : v->list->items,
                           .count = v->list->count - v->list->at };
        v->list->at = v->list->count;
        return KD_OK;
    }
    if (v->type == KD__V_DICT) {
        KD_TRY(KD_TAKE(room, &out->items, v->dict->count));
        for (int64_t i = 0; i < v->dict->count; i++)
            out->items[out->count++] = v->dict->entries[i].key;
        return KD_OK;
    }
    KD_FAIL_IF(v->type != KD__V_STRING, KD_ERR_INVALID, "a value of type %s cannot be iterated",
               kd__type_name(v));
    KD_TRY(KD_TAKE(room, &out->items, kd__characters(v->text, v->bytes)));
    for (int64_t at = 0; at < v->bytes;) {
        const int32_t size = kd__character_bytes(v->text[at]);
        out->items[out->count++] =
            kd__string(v->text + at, size); /* plain, whatever the whole is */
        at += size;
    }
    return KD_OK;
}

/* ---- from JSON ---- */

static kd_status number_from_json(kd__room *room, const kd__json *node, kd__value *out)
{
    const int whole = !strpbrk(node->text, ".eE"), negative = node->text[0] == '-';
    int64_t number = 0;
    *out = kd__float(node->number);
    if (!whole) return KD_OK;
    for (const char *c = node->text + negative; *c; c++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_sub_overflow(number, *c - '0', &number)) {
            KD_TRY(kd__string_copy(room, node->text, node->length, out));
            out->type = KD__V_BIG;
            return KD_OK;
        }
    if (negative)
        *out =
            kd__integer(number); /* gathered below zero: the lowest number has no positive twin */
    else if (number != INT64_MIN) *out = kd__integer(-number);
    else {
        KD_TRY(kd__string_copy(room, node->text, node->length, out));
        out->type = KD__V_BIG;
    }
    return KD_OK;
}

static kd_status string_from_json(kd__room *room, const char *text, int64_t bytes, kd__value *out)
{
    KD_FAIL_IF(!kd__is_utf8(text, bytes), KD_ERR_FORMAT, "a text that is not UTF-8");
    return kd__string_copy(room, text, bytes, out);
}

static kd_status members_from_json(kd__room *room, const kd__json *node, kd__value *out)
{
    const int object = node->type == KD__JSON_OBJECT;
    KD_TRY(object ? kd__dict_new(room, out) : kd__list_new(room, KD__V_LIST, node->children, out));
    if (object) KD_TRY(KD_GROW(room, &out->dict->entries, &out->dict->held, node->children));
    for (const kd__json *n = node->first; n; n = n->next) {
        kd__value key, value;
        KD_TRY(kd__value_from_json(room, n, &value));
        if (!object) {
            KD_TRY(kd__list_add(room, out, &value));
            continue;
        }
        KD_TRY(string_from_json(room, n->key, (int64_t)strlen(n->key),
                                &key)); /* the reader refuses doubled keys */
        out->dict->entries[out->dict->count++] = (kd__dict_entry){ key, value };
    }
    return KD_OK;
}

kd_status kd__value_from_json(kd__room *room, const kd__json *node, kd__value *out)
{
    switch (node->type) {
    case KD__JSON_NULL: return *out = kd__none(), KD_OK;
    case KD__JSON_BOOL: return *out = kd__bool(node->number != 0), KD_OK;
    case KD__JSON_NUMBER: return number_from_json(room, node, out);
    case KD__JSON_STRING: return string_from_json(room, node->text, node->length, out);
    default: return members_from_json(room, node, out);
    }
}
