/* Lists: sorting, grouping, choosing; the filters that go through them. */
#include "language/template/list.h"

#include <string.h>

#include "base/numbers.h"
#include "language/template/characters.h"
#include "language/template/filters.h"
#include "language/template/strings.h"

/* ---- sorting ---- */

typedef struct {
    kd__value key, item;
} keyed;

/* Merges two sorted runs, [from, middle) and [middle, end). */
static kd_status merge(kd__render *r, const keyed *in, keyed *out, int64_t from, int64_t middle,
                       int64_t end, int32_t down)
{
    int64_t left = from, right = middle;
    for (int64_t i = from; i < end; i++) {
        int32_t order = 0;
        if (left < middle && right < end)
            KD_TRY(kd__order(r->room, &in[right].key, &in[left].key, &order));
        const int takes_right = left == middle || (right < end && order == (down ? 1 : -1));
        out[i] = takes_right ? in[right++] : in[left++];
    }
    return KD_OK;
}

kd_status kd__sort_by(kd__render *r, kd__list *list, kd__key *key, const void *how, int32_t down)
{
    const int64_t count = list->count;
    keyed *in = NULL, *out = NULL;
    kd__value *sorted = NULL;
    KD_TRY(KD_TAKE(r->room, &in, count));
    KD_TRY(KD_TAKE(r->room, &out, count));
    KD_TRY(KD_TAKE(r->room, &sorted, count));
    for (int64_t i = 0; i < count; i++) {
        in[i].item = list->items[i];
        KD_TRY(key(r, &list->items[i], how, &in[i].key));
    }
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t from = 0; from < count; from += 2 * width) {
            const int64_t middle = kd__min(from + width, count);
            KD_TRY(merge(r, in, out, from, middle, kd__min(from + 2 * width, count), down));
        }
        keyed *swap = in;
        in = out, out = swap;
    }
    for (int64_t i = 0; i < count; i++) sorted[i] = in[i].item;
    list->items = sorted;
    return KD_OK;
}

kd_status kd__by_first(kd__render *r, const kd__value *v, const void *how, kd__value *key)
{
    (void)r, (void)how;
    *key = v->list->items[0];
    return KD_OK;
}

static kd_status look_once(kd__render *r, const kd__value *v, const kd__value *path,
                           const kd__look *l, kd__value *key)
{
    const int otherwise = kd__given(&l->otherwise) && l->otherwise.type != KD__V_NONE;
    KD_TRY(kd__path(r, v, path, otherwise ? &l->otherwise : NULL, key));
    return !l->exact && key->type == KD__V_STRING ? kd__string_case(r, key, KD__TO_LOWER, key)
                                                  : KD_OK;
}

kd_status kd__by_look(kd__render *r, const kd__value *v, const void *how, kd__value *key)
{
    const kd__look *l = how;
    kd__value paths, made, separator = KD_LITERAL(",");
    if (!l->several) return look_once(r, v, &l->path, l, key);
    if (l->path.type == KD__V_STRING)
        KD_TRY(kd__string_split(r, &l->path, &separator, -1, KD__LEFT, &paths));
    else {
        KD_TRY(kd__list_new(r->room, KD__V_LIST, 0, &paths));
        KD_TRY(kd__list_add(r->room, &paths, &l->path));
    }
    KD_TRY(kd__list_new(r->room, KD__V_LIST, paths.list->count, &made));
    for (int64_t i = 0; i < paths.list->count; i++)
        KD_TRY(look_once(r, v, &paths.list->items[i], l, &made.list->items[made.list->count++]));
    *key = made;
    return KD_OK;
}

/* ---- results ---- */

static kd_status copy_list(kd__render *r, const kd__value *v, kd__value *out)
{
    kd__list items;
    kd__value made;
    KD_TRY(kd__iterate(r->room, v, &items));
    KD_TRY(kd__list_new(r->room, KD__V_LIST, items.count, &made));
    if (items.count)
        memcpy(made.list->items, items.items, (size_t)items.count * sizeof *items.items);
    made.list->count = items.count;
    *out = made;
    return KD_OK;
}

kd_status kd__filter_list(kd__render *r, const kd__value *self, const kd__arguments *a,
                          kd__value *out)
{
    (void)a;
    return copy_list(r, self, out);
}

kd_status kd__filter_sort(kd__render *r, const kd__value *self, const kd__arguments *a,
                          kd__value *out)
{
    const kd__look l = { .path = a->at[2], .exact = kd__truth(&a->at[1]), .several = 1 };
    KD_TRY(copy_list(r, self, out));
    return kd__sort_by(r, out->list, kd__by_look, &l, kd__truth(&a->at[0]));
}

kd_status kd__filter_dictsort(kd__render *r, const kd__value *self, const kd__arguments *a,
                              kd__value *out)
{
    kd__value by = KD_LITERAL("key");
    const kd__arguments none = { 0 };
    KD_TRY(kd__text_argument(&a->at[1], "dictsort: by", &by));
    const int value = kd__is_string(&by, "value");
    KD_FAIL_IF(!value && !kd__is_string(&by, "key"), KD_ERR_INVALID,
               "dictsort: by: expected 'key' or 'value'");
    KD_TRY(kd__need_defined(self));
    KD_FAIL_IF(self->type != KD__V_DICT, KD_ERR_INVALID, "dictsort: expected a dict, got %s",
               kd__type_name(self));
    KD_TRY(kd__callable_call(r, kd__method_find(self, "items", 5), self, &none, out));
    const kd__look l = { .path = kd__integer(value), .exact = kd__truth(&a->at[0]) };
    out->type = KD__V_LIST;
    return kd__sort_by(r, out->list, kd__by_look, &l, kd__truth(&a->at[2]));
}

kd_status kd__filter_unique(kd__render *r, const kd__value *self, const kd__arguments *a,
                            kd__value *out)
{
    const kd__look l = { .path = a->at[1], .exact = kd__truth(&a->at[0]) };
    kd__list items;
    kd__value seen, made;
    KD_TRY(kd__iterate(r->room, self, &items));
    KD_TRY(kd__dict_new(r->room, &seen));
    KD_TRY(kd__list_new(r->room, KD__V_ITERATOR, 0, &made));
    for (int64_t i = 0; i < items.count; i++) {
        kd__value key;
        const kd__value *there;
        KD_TRY(kd__by_look(r, &items.items[i], &l, &key));
        KD_TRY(kd__dict_find(r->room, seen.dict, &key, &there));
        if (there) continue;
        KD_TRY(kd__dict_set(r->room, &seen, &key, &key));
        KD_TRY(kd__list_add(r->room, &made, &items.items[i]));
    }
    *out = made;
    return KD_OK;
}

/* The first of the smallest (wanted -1) or largest (1). */
static kd_status extreme(kd__render *r, const kd__value *self, const kd__arguments *a,
                         int32_t wanted, kd__value *out)
{
    const kd__look l = { .path = a->at[1], .exact = kd__truth(&a->at[0]) };
    kd__list items;
    kd__value best;
    KD_TRY(kd__iterate(r->room, self, &items));
    *out = kd__undefined("an item of an empty list", 24);
    for (int64_t i = 0; i < items.count; i++) {
        kd__value key;
        int32_t order = wanted;
        KD_TRY(kd__by_look(r, &items.items[i], &l, &key));
        if (i) KD_TRY(kd__order(r->room, &key, &best, &order));
        if (order != wanted) continue;
        best = key;
        *out = items.items[i];
    }
    return KD_OK;
}

kd_status kd__filter_min(kd__render *r, const kd__value *self, const kd__arguments *a,
                         kd__value *out)
{
    return extreme(r, self, a, -1, out);
}

kd_status kd__filter_max(kd__render *r, const kd__value *self, const kd__arguments *a,
                         kd__value *out)
{
    return extreme(r, self, a, 1, out);
}

kd_status kd__filter_sum(kd__render *r, const kd__value *self, const kd__arguments *a,
                         kd__value *out)
{
    kd__list items;
    kd__value sum = kd__given(&a->at[1]) ? a->at[1] : kd__integer(0);
    KD_FAIL_IF(sum.type == KD__V_STRING, KD_ERR_INVALID, "sum: texts are joined, not added up");
    KD_TRY(kd__iterate(r->room, self, &items));
    for (int64_t i = 0; i < items.count; i++) {
        kd__value v;
        KD_TRY(kd__path(r, &items.items[i], &a->at[0], NULL, &v));
        KD_TRY(kd__binary(r, KD__ADD, &sum, &v, &sum));
    }
    *out = sum;
    return KD_OK;
}

/* ---- cutting up ---- */

kd_status kd__filter_batch(kd__render *r, const kd__value *self, const kd__arguments *a,
                           kd__value *out)
{
    kd__list items;
    kd__value made, part = { 0 };
    int64_t size = 0;
    KD_TRY(kd__integer_argument(&a->at[0], "batch: linecount", &size));
    KD_TRY(kd__iterate(r->room, self, &items));
    KD_TRY(kd__list_new(r->room, KD__V_ITERATOR, 0, &made));
    for (int64_t i = 0; i < items.count; i++) {
        if (!i || part.list->count == size) {
            KD_TRY(kd__list_new(r->room, KD__V_LIST, 0, &part));
            KD_TRY(kd__list_add(r->room, &made, &part));
        }
        KD_TRY(kd__list_add(r->room, &part, &items.items[i]));
    }
    const int fills = kd__given(&a->at[1]) && a->at[1].type != KD__V_NONE && items.count;
    while (fills && part.list->count < size) KD_TRY(kd__list_add(r->room, &part, &a->at[1]));
    *out = made;
    return KD_OK;
}

kd_status kd__filter_slice(kd__render *r, const kd__value *self, const kd__arguments *a,
                           kd__value *out)
{
    kd__list items;
    kd__value made;
    int64_t slices = 0, at = 0;
    KD_TRY(kd__integer_argument(&a->at[0], "slice: slices", &slices));
    KD_FAIL_IF(!slices, KD_ERR_INVALID, "slice: a division by zero");
    KD_TRY(kd__iterate(r->room, self, &items));
    KD_TRY(kd__list_new(r->room, KD__V_ITERATOR, 0, &made));
    for (int64_t i = 0; i < slices; i++) {
        kd__value part;
        const int larger = i < items.count % slices;
        KD_TRY(kd__list_new(r->room, KD__V_LIST, 0, &part));
        for (int64_t n = items.count / slices + larger; n; n--)
            KD_TRY(kd__list_add(r->room, &part, &items.items[at++]));
        if (!larger && kd__given(&a->at[1]) && a->at[1].type != KD__V_NONE)
            KD_TRY(kd__list_add(r->room, &part, &a->at[1]));
        KD_TRY(kd__list_add(r->room, &made, &part));
    }
    *out = made;
    return KD_OK;
}

kd_status kd__filter_groupby(kd__render *r, const kd__value *self, const kd__arguments *a,
                             kd__value *out)
{
    kd__look l = { .path = a->at[0], .otherwise = a->at[1], .exact = kd__truth(&a->at[2]) };
    kd__value sorted, made, last = { 0 }, members = { 0 };
    KD_TRY(copy_list(r, self, &sorted));
    KD_TRY(kd__sort_by(r, sorted.list, kd__by_look, &l, 0));
    KD_TRY(kd__list_new(r->room, KD__V_LIST, 0, &made));
    for (int64_t i = 0; i < sorted.list->count; i++) {
        const kd__value *item = &sorted.list->items[i];
        kd__value key, shown, group;
        int32_t same = 0;
        KD_TRY(kd__by_look(r, item, &l, &key));
        if (i) KD_TRY(kd__equal(r->room, &key, &last, &same));
        if (!same) {
            const kd__look exact = { .path = l.path, .otherwise = l.otherwise, .exact = 1 };
            KD_TRY(kd__by_look(r, item, &exact, &shown));
            KD_TRY(kd__list_new(r->room, KD__V_LIST, 0, &members));
            KD_TRY(kd__pair_new(r->room, &shown, &members, &group));
            KD_TRY(kd__list_add(r->room, &made, &group));
        }
        KD_TRY(kd__list_add(r->room, &members, item));
        last = key;
    }
    *out = made;
    return KD_OK;
}

kd_status kd__filter_join(kd__render *r, const kd__value *self, const kd__arguments *a,
                          kd__value *out)
{
    kd__value separator = kd__string("", 0), made;
    kd__list items;
    if (kd__given(&a->at[0])) KD_TRY(kd__to_text(r->room, &a->at[0], &separator));
    KD_TRY(kd__iterate(r->room, self, &items));
    KD_TRY(kd__list_new(r->room, KD__V_LIST, items.count, &made));
    for (int64_t i = 0; i < items.count; i++) {
        kd__value v;
        KD_TRY(kd__path(r, &items.items[i], &a->at[1], NULL, &v));
        KD_TRY(kd__to_text(r->room, &v, &made.list->items[made.list->count++]));
    }
    return kd__string_join(r, &separator, made.list, out);
}

kd_status kd__filter_first(kd__render *r, const kd__value *self, const kd__arguments *a,
                           kd__value *out)
{
    kd__list items;
    (void)a;
    if (self->type == KD__V_ITERATOR) { /* the others stay */
        kd__list *l = self->list;
        *out = l->at < l->count ? l->items[l->at++] : kd__undefined("the first item", 14);
        return KD_OK;
    }
    KD_TRY(kd__iterate(r->room, self, &items));
    *out = items.count ? items.items[0] : kd__undefined("the first item", 14);
    return KD_OK;
}

kd_status kd__filter_last(kd__render *r, const kd__value *self, const kd__arguments *a,
                          kd__value *out)
{
    kd__list items;
    (void)a;
    KD_FAIL_IF(self->type == KD__V_ITERATOR, KD_ERR_INVALID, "last: a generator has no last item");
    KD_TRY(kd__iterate(r->room, self, &items));
    *out = items.count ? items.items[items.count - 1] : kd__undefined("the last item", 13);
    return KD_OK;
}

kd_status kd__filter_reverse(kd__render *r, const kd__value *self, const kd__arguments *a,
                             kd__value *out)
{
    const kd__value backwards[3] = { kd__none(), kd__none(), kd__integer(-1) };
    (void)a;
    if (self->type == KD__V_STRING) return kd__slice(r, self, backwards, out);
    const int iterator = self->type != KD__V_ITERATOR; /* of which Python makes a list */
    KD_TRY(copy_list(r, self, out));
    KD_TRY(kd__slice(r, out, backwards, out));
    if (iterator) out->type = KD__V_ITERATOR;
    return KD_OK;
}
