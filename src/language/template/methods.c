/* Methods of lists, dicts and loops, and which methods a value has. */
#include "language/template/methods.h"

#include <string.h>

#include "language/template/render.h"

/* ---- lists ---- */

static kd_status list_count(kd__render *r, const kd__value *self, const kd__arguments *a,
                            kd__value *out)
{
    int64_t count = 0;
    for (int64_t i = 0; i < self->list->count; i++) {
        int32_t equal;
        KD_TRY(kd__equal(r->room, &self->list->items[i], &a->at[0], &equal));
        count += equal;
    }
    *out = kd__integer(count);
    return KD_OK;
}

static kd_status list_index(kd__render *r, const kd__value *self, const kd__arguments *a,
                            kd__value *out)
{
    for (int64_t i = 0; i < self->list->count; i++) {
        int32_t equal;
        KD_TRY(kd__equal(r->room, &self->list->items[i], &a->at[0], &equal));
        if (equal) return *out = kd__integer(i), KD_OK;
    }
    return kd__fail(KD_ERR_INVALID, "index: the value is not there");
}

static kd_status copy(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    (void)r, (void)a;
    *out = *self; /* nothing changes it */
    return KD_OK;
}

/* ---- dicts ---- */

static kd_status get(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    const kd__value *found;
    KD_TRY(kd__dict_find(r->room, self->dict, &a->at[0], &found));
    *out = found ? *found : kd__given(&a->at[1]) ? a->at[1] : kd__none();
    return KD_OK;
}

static kd_status view(kd__render *r, const kd__value *self, int32_t type, kd__value *out)
{
    const kd__dict *dict = self->dict;
    kd__value made;
    KD_TRY(kd__list_new(r->room, type, dict->count, &made));
    for (int64_t i = 0; i < dict->count; i++) {
        const kd__dict_entry *e = &dict->entries[i];
        if (type == KD__V_ITEMS)
            KD_TRY(kd__pair_new(r->room, &e->key, &e->value, &made.list->items[i]));
        else made.list->items[i] = type == KD__V_KEYS ? e->key : e->value;
    }
    made.list->count = dict->count;
    *out = made;
    return KD_OK;
}

static kd_status items(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    (void)a;
    return view(r, self, KD__V_ITEMS, out);
}

static kd_status keys(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    (void)a;
    return view(r, self, KD__V_KEYS, out);
}

static kd_status values(kd__render *r, const kd__value *self, const kd__arguments *a,
                        kd__value *out)
{
    (void)a;
    return view(r, self, KD__V_VALUES, out);
}

/* ---- loops ---- */

static kd_status cycle(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    (void)r;
    KD_FAIL_IF(!a->count || a->named_count, KD_ERR_INVALID, "cycle: expected values");
    *out = a->at[self->loop->at % a->count];
    return KD_OK;
}

static kd_status changed(kd__render *r, const kd__value *self, const kd__arguments *a,
                         kd__value *out)
{
    kd__value now;
    int32_t same = 0;
    KD_TRY(kd__list_new(r->room, KD__V_TUPLE, a->count, &now));
    for (int64_t i = 0; i < a->count; i++) now.list->items[now.list->count++] = a->at[i];
    if (kd__given(&self->loop->changed))
        KD_TRY(kd__equal(r->room, &self->loop->changed, &now, &same));
    self->loop->changed = now;
    *out = kd__bool(!same);
    return KD_OK;
}

/* ---- tables ---- */

static const kd__callable of_lists[] = { { "count", list_count, "value", 1 },
                                         { "index", list_index, "value", 1 },
                                         { "copy", copy, "", 0 },
                                         { 0 } };
static const kd__callable of_dicts[] = {
    { "get", get, "key default", 1 }, { "items", items, "", 0 }, { "keys", keys, "", 0 },
    { "values", values, "", 0 },      { "copy", copy, "", 0 },   { 0 }
};
static const kd__callable of_loops[] = { { "cycle", cycle, NULL, 0 },
                                         { "changed", changed, NULL, 0 },
                                         { 0 } };

const kd__callable *kd__method_find(const kd__value *self, const char *name, int64_t bytes)
{
    const kd__callable *table = self->type == KD__V_STRING ? kd__string_methods
                                : kd__is_list(self)        ? of_lists
                                : self->type == KD__V_DICT ? of_dicts
                                : self->type == KD__V_LOOP ? of_loops
                                                           : NULL;
    const kd__callable *found = table ? kd__callable_find(table, name, bytes) : NULL;
    const int copies_tuple = found && found->call == copy && self->type != KD__V_LIST &&
                             self->type != KD__V_DICT;
    return copies_tuple ? NULL : found;
}

int kd__method_is_unsafe(const kd__value *self, const char *name, int64_t bytes)
{
    static const char *const names[] = { "clear",  "pop",    "popitem", "setdefault",
                                         "update", "append", "reverse", "insert",
                                         "sort",   "extend", "remove" };
    const int list = self->type == KD__V_LIST, dict = self->type == KD__V_DICT;
    for (int i = 0; i < 11; i++)
        if (!strncmp(names[i], name, (size_t)bytes) && !names[i][bytes])
            return (dict && i < 5) || (list && i != 2 && i != 3 && i != 4);
    return 0;
}
