/* Attributes, elements and slices. A dict's methods are found before its keys by a dot, after
 * them by brackets. */
#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "language/template/characters.h"
#include "language/template/render.h"

/* ---- loops ---- */

static kd_status loop_attribute(const kd__loop *loop, const kd__value *name, kd__value *out)
{
    const int64_t at = loop->at, count = loop->items.count;
    const struct {
        const char *name;
        kd__value value;
    } numbers[] = { { "index", kd__integer(at + 1) },
                    { "index0", kd__integer(at) },
                    { "revindex", kd__integer(count - at) },
                    { "revindex0", kd__integer(count - at - 1) },
                    { "length", kd__integer(count) },
                    { "first", kd__bool(at == 0) },
                    { "last", kd__bool(at == count - 1) },
                    { "depth", kd__integer(1) },
                    { "depth0", kd__integer(0) } };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (kd__is_string(name, numbers[i].name)) return *out = numbers[i].value, KD_OK;
    const int previous = kd__is_string(name, "previtem"), next = kd__is_string(name, "nextitem");
    if (previous && at > 0) *out = loop->items.items[at - 1];
    else if (next && at < count - 1) *out = loop->items.items[at + 1];
    else *out = kd__undefined(name->text, name->bytes);
    return KD_OK;
}

/* ---- attributes ---- */

static kd_status bound_method(kd__render *r, const kd__value *of, const kd__callable *method,
                              kd__value *out)
{
    kd__value *self = NULL;
    KD_TRY(KD_TAKE(r->room, &self, 1));
    *self = *of;
    *out = (kd__value){ .type = KD__V_METHOD, .safe = of->safe, .method = method, .self = self };
    return KD_OK;
}

static kd_status parameter_names(kd__render *r, const kd__macro *m, kd__value *out)
{
    kd__value names;
    KD_TRY(kd__list_new(r->room, KD__V_TUPLE, 0, &names));
    for (const kd__node *n = m->parameters; n; n = n->next)
        KD_TRY(kd__list_add(r->room, &names, &r->t->names[n->name]));
    *out = names;
    return KD_OK;
}

static kd_status macro_attribute(kd__render *r, const kd__macro *m, const kd__value *name,
                                 kd__value *out)
{
    static const struct {
        const char *name;
        uint8_t flag;
    } uses[] = { { "caller", KD__USES_CALLER },
                 { "catch_varargs", KD__USES_VARARGS },
                 { "catch_kwargs", KD__USES_KWARGS } };
    if (kd__is_string(name, "name")) *out = m->name;
    if (kd__is_string(name, "arguments")) return parameter_names(r, m, out);
    for (int i = 0; i < 3; i++)
        if (kd__is_string(name, uses[i].name)) *out = kd__bool(m->node->flags & uses[i].flag);
    return KD_OK;
}

/* Of Python's own: methods, and what a loop tells. *out stays KD__V_ABSENT when there is none. */
static kd_status own_attribute(kd__render *r, const kd__value *of, const kd__value *name,
                               kd__value *out)
{
    const kd__callable *method = kd__method_find(of, name->text, name->bytes);
    *out = (kd__value){ .type = KD__V_ABSENT };
    if (method) return bound_method(r, of, method, out);
    if (of->type == KD__V_LOOP) return loop_attribute(of->loop, name, out);
    if (of->type == KD__V_MACRO) KD_TRY(macro_attribute(r, of->macro, name, out));
    if (kd__given(out)) return KD_OK;
    if (kd__method_is_unsafe(of, name->text, name->bytes) ||
        (name->bytes > 1 && !memcmp(name->text, "__", 2))) {
        *out = kd__undefined_of(of, name->text, name->bytes);
        out->unsafe = 1;
    }
    return KD_OK;
}

static const kd__value *find_key(const kd__value *of, const kd__value *name)
{
    return of->type == KD__V_DICT ? kd__dict_text(of->dict, name->text, name->bytes) : NULL;
}

kd_status kd__attribute(kd__render *r, const kd__value *of, const kd__value *name, kd__value *out)
{
    const kd__value v = *of;
    KD_TRY(kd__need_defined(&v));
    if (v.type == KD__V_NAMESPACE) {
        const kd__value *found = kd__dict_text(v.dict, name->text, name->bytes);
        *out = found ? *found : kd__undefined_of(&v, name->text, name->bytes);
        return KD_OK;
    }
    KD_TRY(own_attribute(r, &v, name, out));
    if (kd__given(out) && !out->unsafe) return KD_OK;
    const kd__value *found = out->unsafe ? NULL : find_key(&v, name);
    if (found) *out = *found;
    else if (!kd__given(out)) *out = kd__undefined_of(&v, name->text, name->bytes);
    return KD_OK;
}

/* ---- elements ---- */

static kd_status string_item(const kd__value *v, int64_t index, kd__value *out)
{
    const int64_t count = kd__characters(v->text, v->bytes);
    if (index < 0) index += count;
    if (index < 0 || index >= count) return KD_OK;
    const int64_t at = kd__character_offset(v->text, v->bytes, index);
    const uint8_t safe = v->safe;
    *out = kd__string(v->text + at, kd__character_bytes(v->text[at]));
    out->safe = safe;
    return KD_OK;
}

static kd_status element(kd__render *r, const kd__value *v, const kd__value *which, kd__value *out)
{
    const kd__value *found = NULL;
    if (v->type == KD__V_DICT) {
        if (kd__is_hashable(which)) KD_TRY(kd__dict_find(r->room, v->dict, which, &found));
        if (found) *out = *found;
    } else if (v->type == KD__V_STRING && kd__is_integer(which)) {
        KD_TRY(kd__work_bytes(r->room, v->bytes));
        KD_TRY(string_item(v, which->integer, out));
    } else if (kd__is_list(v) && kd__is_integer(which)) {
        const int64_t at = which->integer < 0 ? which->integer + v->list->count : which->integer;
        if (at >= 0 && at < v->list->count) *out = v->list->items[at];
    }
    return KD_OK;
}

kd_status kd__item(kd__render *r, const kd__value *of, const kd__value *which, kd__value *out)
{
    const kd__value v = *of;
    KD_TRY(kd__need_defined(&v));
    *out = (kd__value){ .type = KD__V_ABSENT };
    KD_TRY(element(r, &v, which, out));
    if (kd__given(out)) return KD_OK;
    if (which->type == KD__V_STRING && v.type == KD__V_NAMESPACE)
        return kd__attribute(r, &v, which, out);
    if (which->type == KD__V_STRING) KD_TRY(own_attribute(r, &v, which, out));
    if (kd__given(out)) return KD_OK;
    if (which->type == KD__V_STRING) *out = kd__undefined_of(&v, which->text, which->bytes);
    else *out = kd__undefined_of(&v, "such element", 12);
    return KD_OK;
}

/* ---- slices ---- */

static kd_status slice_bound(const kd__value *v, int64_t count, int64_t lowest, int64_t highest,
                             int64_t *bound)
{
    if (v->type == KD__V_NONE) return KD_OK;
    KD_TRY(kd__need_defined(v));
    KD_FAIL_IF(!kd__is_integer(v), KD_ERR_INVALID, "a slice: expected whole numbers, got %s",
               kd__type_name(v));
    *bound = v->integer < 0 ? v->integer + count : v->integer;
    if (*bound < lowest) *bound = lowest;
    if (*bound > highest) *bound = highest;
    return KD_OK;
}

/* start, stop and step as Python's slice.indices gives them; how many elements that are. */
static kd_status slice_range(const kd__value bounds[3], int64_t count, int64_t range[3],
                             int64_t *taken)
{
    int64_t step = 1;
    if (bounds[2].type != KD__V_NONE)
        KD_TRY(kd__integer_argument(&bounds[2], "a slice's step", &step));
    KD_FAIL_IF(!step, KD_ERR_INVALID, "slice: expected a step other than 0, got 0");
    if (step > count) step = count + 1;
    if (step < -count) step = -count - 1;
    const int64_t lowest = step < 0 ? -1 : 0, highest = step < 0 ? count - 1 : count;
    range[0] = step < 0 ? count - 1 : 0;
    range[1] = step < 0 ? -1 : count;
    range[2] = step;
    KD_TRY(slice_bound(&bounds[0], count, lowest, highest, &range[0]));
    KD_TRY(slice_bound(&bounds[1], count, lowest, highest, &range[1]));
    const int64_t distance = step < 0 ? range[0] - range[1] : range[1] - range[0],
                  stride = step < 0 ? -step : step;
    *taken = distance > 0 ? kd__ceil_div(distance, stride) : 0;
    return KD_OK;
}

static kd_status slice_list(kd__render *r, const kd__value *v, const kd__value bounds[3],
                            kd__value *out)
{
    int64_t range[3], taken;
    kd__value made;
    KD_TRY(slice_range(bounds, v->list->count, range, &taken));
    KD_TRY(kd__list_new(r->room, v->type, taken, &made));
    for (int64_t i = 0; i < taken; i++)
        made.list->items[i] = v->list->items[range[0] + i * range[2]];
    made.list->count = taken;
    if (v->type == KD__V_RANGE) {
        const int64_t step = v->list->step;
        made.list->start = v->list->start + range[0] * step;
        made.list->stop = v->list->start + range[1] * step;
        made.list->step = step * range[2];
    }
    *out = made;
    return KD_OK;
}

static kd_status slice_string(kd__render *r, const kd__value *v, const kd__value bounds[3],
                              kd__value *out)
{
    int64_t range[3], taken;
    kd__list characters;
    kd__sink sink = { 0 };
    const uint8_t safe = v->safe;
    KD_TRY(slice_range(bounds, kd__characters(v->text, v->bytes), range, &taken));
    KD_TRY(kd__work_bytes(r->room, v->bytes));
    if (range[2] == 1) {
        const int64_t begin = kd__character_offset(v->text, v->bytes, range[0]);
        const int64_t bytes = kd__character_offset(v->text + begin, v->bytes - begin, taken);
        *out = kd__string(v->text + begin, bytes);
    } else {
        KD_TRY(kd__iterate(r->room, v, &characters));
        for (int64_t i = 0; i < taken; i++) {
            const kd__value *c = &characters.items[range[0] + i * range[2]];
            KD_TRY(kd__put(r->room, &sink, c->text, c->bytes));
        }
        *out = kd__sink_value(&sink);
    }
    out->safe = safe;
    return KD_OK;
}

kd_status kd__slice(kd__render *r, const kd__value *of, const kd__value bounds[3], kd__value *out)
{
    const kd__value v = *of;
    KD_TRY(kd__need_defined(&v));
    if (kd__is_list(&v)) return slice_list(r, &v, bounds, out);
    if (v.type == KD__V_STRING) return slice_string(r, &v, bounds, out);
    return kd__fail(KD_ERR_INVALID, "a value of type %s has no slices", kd__type_name(&v));
}

/* ---- paths ---- */

static kd_status path_part(kd__render *r, const char *text, int64_t bytes,
                           const kd__value *otherwise, kd__value *v)
{
    kd__value part = kd__string(text, bytes);
    int64_t number = 0, i = 0;
    while (i < bytes && text[i] >= '0' && text[i] <= '9' && i < 18)
        number = number * 10 + (text[i++] - '0');
    if (bytes && i == bytes) part = kd__integer(number);
    KD_TRY(kd__item(r, v, &part, v));
    if (v->type == KD__V_UNDEFINED && otherwise) *v = *otherwise;
    return KD_OK;
}

kd_status kd__path(kd__render *r, const kd__value *of, const kd__value *path,
                   const kd__value *otherwise, kd__value *out)
{
    kd__value v = *of;
    if (path->type == KD__V_STRING) {
        const char *at = path->text, *end = at + path->bytes, *dot;
        do {
            dot = at < end ? memchr(at, '.', (size_t)(end - at)) : NULL;
            KD_TRY(path_part(r, at, (dot ? dot : end) - at, otherwise, &v));
            at = dot ? dot + 1 : end;
        } while (dot);
    } else if (kd__given(path) && path->type != KD__V_NONE) {
        KD_TRY(kd__item(r, &v, path, &v));
        if (v.type == KD__V_UNDEFINED && otherwise) v = *otherwise;
    }
    *out = v;
    return KD_OK;
}
