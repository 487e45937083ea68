/* Values of templates: those of Python that Jinja knows. Texts are views of UTF-8 that is valid;
 * nothing that a value points to changes once the value is made, but for namespaces, loops and
 * iterators that are used up. */
#ifndef KD_TEMPLATE_VALUE_H
#define KD_TEMPLATE_VALUE_H

#include "formats/json.h"
#include "language/template/room.h"

enum {
    KD__V_ABSENT, /* an argument that was not given; never seen by a template */
    KD__V_UNDEFINED,
    KD__V_NONE,
    KD__V_BOOL,
    KD__V_INTEGER,
    /* a whole number beyond 64 bits, as text: printed and compared, not calculated with */
    KD__V_BIG,
    KD__V_FLOAT,
    KD__V_STRING,
    KD__V_LIST,
    KD__V_TUPLE,
    KD__V_RANGE,
    KD__V_ITERATOR, /* a generator: gone through once */
    KD__V_KEYS,     /* views of a dict */
    KD__V_VALUES,
    KD__V_ITEMS,
    KD__V_DICT,
    KD__V_NAMESPACE,
    KD__V_LOOP,
    KD__V_MACRO,
    KD__V_FUNCTION, /* of the globals */
    KD__V_METHOD    /* of a value */
};

typedef struct kd__list kd__list;
typedef struct kd__dict kd__dict;

typedef struct kd__value {
    uint8_t type;
    uint8_t safe;   /* STRING: a Markup: what is added to it is escaped; METHOD: of such a string */
    uint8_t owner;  /* UNDEFINED: type of the value that has no such attribute, ABSENT: a name */
    uint8_t unsafe; /* UNDEFINED: the sandbox refuses it */
    int32_t spare;
    union {
        int64_t bytes; /* STRING, BIG, and the name of UNDEFINED */
        int64_t integer;
        double number;
        const struct kd__callable *method;
    };
    union {
        const char *text;
        kd__list *list;
        kd__dict *dict;
        struct kd__loop *loop;
        struct kd__macro *macro;
        const struct kd__callable *function;
        const struct kd__value *self; /* METHOD */
    };
} kd__value;

struct kd__list {
    kd__value *items;
    int64_t count, held;
    int64_t at;                /* ITERATOR: how many are gone */
    int64_t start, stop, step; /* RANGE, for its repr */
};

typedef struct kd__dict_entry {
    kd__value key, value;
} kd__dict_entry;

struct kd__dict {
    kd__dict_entry *entries; /* in the order in which they came */
    int64_t count, held;
};

static inline kd__value kd__none(void) { return (kd__value){ .type = KD__V_NONE }; }
static inline kd__value kd__bool(int truth)
{
    return (kd__value){ .type = KD__V_BOOL, .integer = truth != 0 };
}
static inline kd__value kd__integer(int64_t number)
{
    return (kd__value){ .type = KD__V_INTEGER, .integer = number };
}
static inline kd__value kd__float(double number)
{
    return (kd__value){ .type = KD__V_FLOAT, .number = number };
}
static inline kd__value kd__string(const char *text, int64_t bytes)
{
    return (kd__value){ .type = KD__V_STRING, .bytes = bytes, .text = text };
}
#define KD_LITERAL(text) kd__string((text), (int64_t)sizeof(text) - 1)
kd__value kd__string_of(const char *text); /* up to its 0 */
kd_status kd__string_copy(kd__room *room, const char *text, int64_t bytes, kd__value *out);
kd__value kd__undefined(const char *name, int64_t bytes);
/* `owner` has no attribute or element of that name. */
kd__value kd__undefined_of(const kd__value *owner, const char *name, int64_t bytes);

kd_status kd__list_new(kd__room *room, int32_t type, int64_t count, kd__value *out);
kd_status kd__list_add(kd__room *room, kd__value *list, const kd__value *item);
kd_status kd__pair_new(kd__room *room, const kd__value *first, const kd__value *second,
                       kd__value *out);
kd_status kd__dict_new(kd__room *room, kd__value *out);
kd_status kd__dict_set(kd__room *room, kd__value *dict, const kd__value *key,
                       const kd__value *value);
kd_status kd__dict_set_text(kd__room *room, kd__value *dict, const char *key,
                            const kd__value *value);
int kd__is_hashable(const kd__value *v); /* it can be a key of a dict */
/* *found NULL: it has none. A key that cannot be one (a list, a dict) is an error. */
kd_status kd__dict_find(kd__room *room, const kd__dict *dict, const kd__value *key,
                        const kd__value **found);
const kd__value *kd__dict_text(const kd__dict *dict, const char *key, int64_t bytes);
/* A JSON tree; its texts are copied, and must be UTF-8. */
kd_status kd__value_from_json(kd__room *room, const kd__json *node, kd__value *out);

/* ---- what Python's operators ask ---- */

int kd__is_string(const kd__value *v, const char *text);
int kd__is_list(const kd__value *v);    /* LIST, TUPLE, RANGE */
int kd__is_view(const kd__value *v);    /* KEYS, VALUES, ITEMS */
int kd__is_number(const kd__value *v);  /* BOOL, INTEGER, BIG, FLOAT */
int kd__is_integer(const kd__value *v); /* BOOL, INTEGER */
double kd__as_float(const kd__value *v);
int kd__truth(const kd__value *v);
const char *kd__type_name(const kd__value *v);
kd_status kd__equal(kd__room *room, const kd__value *a, const kd__value *b, int32_t *equal);
/* -1, 0, 1; values of kinds that have no order are an error. */
kd_status kd__order(kd__room *room, const kd__value *a, const kd__value *b, int32_t *order);
kd_status kd__contains(kd__room *room, const kd__value *container, const kd__value *item,
                       int32_t *found);
/* Everything that can be gone through as a list; an iterator is used up. */
kd_status kd__iterate(kd__room *room, const kd__value *v, kd__list *out);
/* KD_ERR_INVALID with what is wrong with a value that is undefined; for others KD_OK. */
kd_status kd__need_defined(const kd__value *v);

#endif
