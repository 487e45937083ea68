/* The filters map, select, reject and their kin. */
#include "language/template/filters.h"
#include "language/template/list.h"

/* What is false, a number too, is as good as empty. */
static kd_status iterate_true(kd__render *r, const kd__value *v, kd__list *items)
{
    *items = (kd__list){ 0 };
    return kd__truth(v) ? kd__iterate(r->room, v, items) : KD_OK;
}

static kd_status map_attribute(kd__render *r, const kd__value *self, const kd__arguments *a,
                               kd__value *out)
{
    kd__look l = { .exact = 1 };
    kd__list items;
    kd__value made;
    for (int64_t i = 0; i < a->named_count; i++) {
        const kd__value *name = &a->named[i].name;
        if (kd__is_string(name, "attribute")) l.path = a->named[i].value;
        else if (kd__is_string(name, "default")) l.otherwise = a->named[i].value;
        else
            return kd__fail(KD_ERR_INVALID, "map: it has no argument %.*s", (int)name->bytes,
                            name->text);
    }
    KD_TRY(iterate_true(r, self, &items));
    KD_TRY(kd__list_new(r->room, KD__V_ITERATOR, items.count, &made));
    for (int64_t i = 0; i < items.count; i++)
        KD_TRY(kd__by_look(r, &items.items[i], &l, &made.list->items[made.list->count++]));
    *out = made;
    return KD_OK;
}

/* The arguments after the first ones. */
static kd__arguments after_first(const kd__arguments *a, int64_t first)
{
    const int64_t count = a->count > first ? a->count - first : 0;
    return (kd__arguments){ count ? a->at + first : NULL, count, a->named, a->named_count };
}

static const kd__value *named(const kd__arguments *a, const char *name)
{
    for (int64_t i = 0; i < a->named_count; i++)
        if (kd__is_string(&a->named[i].name, name)) return &a->named[i].value;
    return NULL;
}

kd_status kd__filter_map(kd__render *r, const kd__value *self, const kd__arguments *a,
                         kd__value *out)
{
    kd__list items;
    kd__value made;
    if (!a->count && named(a, "attribute")) return map_attribute(r, self, a, out);
    KD_TRY(iterate_true(r, self, &items));
    KD_TRY(kd__list_new(r->room, KD__V_ITERATOR, items.count, &made));
    if (items.count)
        KD_FAIL_IF(!a->count || a->at[0].type != KD__V_STRING, KD_ERR_INVALID,
                   "map: expected a filter's name");
    const kd__arguments rest = after_first(a, 1);
    const kd__callable *filter = items.count ? kd__filter_find(a->at[0].text, a->at[0].bytes)
                                             : NULL;
    KD_FAIL_IF(items.count && !filter, KD_ERR_UNSUPPORTED,
               "map: the filter '%.*s' is not supported", (int)a->at[0].bytes, a->at[0].text);
    for (int64_t i = 0; i < items.count; i++)
        KD_TRY(kd__callable_call(r, filter, &items.items[i], &rest,
                                 &made.list->items[made.list->count++]));
    *out = made;
    return KD_OK;
}

/* by_attribute: the first argument is a path into each item; then a test's name and its
 * arguments, or nothing: truth. */
static kd_status choose(kd__render *r, const kd__value *self, const kd__arguments *a,
                        int by_attribute, int wanted, kd__value *out)
{
    kd__list items;
    kd__value made;
    const kd__callable *test = NULL;
    KD_TRY(iterate_true(r, self, &items));
    KD_TRY(kd__list_new(r->room, KD__V_ITERATOR, 0, &made));
    *out = made;
    if (!items.count) return KD_OK;
    KD_FAIL_IF(a->count < by_attribute, KD_ERR_INVALID, "selectattr: expected an attribute's name");
    const kd__value *name = a->count > by_attribute ? &a->at[by_attribute] : NULL;
    if (name)
        KD_FAIL_IF(name->type != KD__V_STRING, KD_ERR_INVALID, "select: expected a test's name");
    if (name) test = kd__test_find(name->text, name->bytes);
    KD_FAIL_IF(name && !test, KD_ERR_UNSUPPORTED, "select: the test '%.*s' is not supported",
               (int)name->bytes, name->text);
    const kd__arguments rest = after_first(a, by_attribute + 1);
    for (int64_t i = 0; i < items.count; i++) {
        kd__value v = items.items[i];
        if (by_attribute) KD_TRY(kd__path(r, &v, &a->at[0], NULL, &v));
        if (test) KD_TRY(kd__callable_call(r, test, &v, &rest, &v));
        if (kd__truth(&v) == wanted) KD_TRY(kd__list_add(r->room, &made, &items.items[i]));
    }
    return KD_OK;
}

kd_status kd__filter_select(kd__render *r, const kd__value *self, const kd__arguments *a,
                            kd__value *out)
{
    return choose(r, self, a, 0, 1, out);
}

kd_status kd__filter_reject(kd__render *r, const kd__value *self, const kd__arguments *a,
                            kd__value *out)
{
    return choose(r, self, a, 0, 0, out);
}

kd_status kd__filter_selectattr(kd__render *r, const kd__value *self, const kd__arguments *a,
                                kd__value *out)
{
    return choose(r, self, a, 1, 1, out);
}

kd_status kd__filter_rejectattr(kd__render *r, const kd__value *self, const kd__arguments *a,
                                kd__value *out)
{
    return choose(r, self, a, 1, 0, out);
}
