/* Calls: arguments, what can be called, macros. */
#include <string.h>

#include "language/template/render.h"

/* ---- arguments ---- */

static kd_status add_named(kd__render *r, kd__arguments *a, int64_t *held, const kd__value *name,
                           const kd__value *value)
{
    kd__named *named = (kd__named *)(uintptr_t)a->named;
    for (int64_t i = 0; i < a->named_count; i++)
        KD_FAIL_IF(named[i].name.bytes == name->bytes &&
                       !memcmp(named[i].name.text, name->text, (size_t)name->bytes),
                   KD_ERR_INVALID, "the argument %.*s is given twice", (int)name->bytes,
                   name->text);
    KD_TRY(KD_GROW(r->room, &named, held, a->named_count + 1));
    named[a->named_count++] = (kd__named){ *name, *value };
    a->named = named;
    return KD_OK;
}

static kd_status add_dict(kd__render *r, kd__arguments *a, int64_t *held, const kd__value *dict)
{
    KD_TRY(kd__need_defined(dict));
    KD_FAIL_IF(dict->type != KD__V_DICT, KD_ERR_INVALID, "expected a dict after **, got %s",
               kd__type_name(dict));
    for (int64_t i = 0; i < dict->dict->count; i++) {
        const kd__dict_entry *e = &dict->dict->entries[i];
        KD_FAIL_IF(e->key.type != KD__V_STRING, KD_ERR_INVALID, "an argument's name is no text");
        KD_TRY(add_named(r, a, held, &e->key, &e->value));
    }
    return KD_OK;
}

kd_status kd__arguments_of(kd__render *r, const kd__node *first, kd__arguments *a)
{
    int64_t named_held = 0;
    kd__value list = { 0 };
    *a = (kd__arguments){ 0 };
    if (!first) return KD_OK;
    KD_TRY(kd__list_new(r->room, KD__V_LIST, 0, &list));
    for (const kd__node *n = first; n; n = n->next) {
        kd__value v;
        kd__list items;
        KD_TRY(kd__value_of(r, n->a, &v));
        if (n->argument == KD__ARGUMENT_PLAIN) KD_TRY(kd__list_add(r->room, &list, &v));
        else if (n->argument == KD__ARGUMENT_NAMED)
            KD_TRY(add_named(r, a, &named_held, &n->value, &v));
        else if (n->argument == KD__ARGUMENT_DICT) KD_TRY(add_dict(r, a, &named_held, &v));
        else {
            KD_TRY(kd__iterate(r->room, &v, &items));
            for (int64_t i = 0; i < items.count; i++)
                KD_TRY(kd__list_add(r->room, &list, &items.items[i]));
        }
    }
    a->at = list.list->items;
    a->count = list.list->count;
    return KD_OK;
}

/* ---- callables ---- */

const kd__callable *kd__callable_find(const kd__callable *table, const char *name, int64_t bytes)
{
    for (; table->name; table++)
        if (!strncmp(table->name, name, (size_t)bytes) && !table->name[bytes]) return table;
    return NULL;
}

/* The number of a parameter; -1: none is called so. */
static int64_t parameter_number(const char *parameters, const kd__value *name, int64_t *count)
{
    int64_t found = -1;
    *count = 0;
    for (const char *at = parameters; *at; ++*count) {
        const size_t size = strcspn(at, " ");
        if (name && (int64_t)size == name->bytes && !memcmp(at, name->text, size)) found = *count;
        at += size + (at[size] == ' ');
    }
    return found;
}

static kd_status bind(kd__render *r, const kd__callable *c, const kd__arguments *a,
                      kd__arguments *bound)
{
    int64_t count, at;
    kd__value *slots = NULL;
    parameter_number(c->parameters, NULL, &count);
    KD_FAIL_IF(a->count > count, KD_ERR_INVALID, "%s: expected at most %lld arguments, got %lld",
               c->name, (long long)count, (long long)a->count);
    KD_TRY(KD_TAKE(r->room, &slots, count));
    if (a->count) memcpy(slots, a->at, (size_t)a->count * sizeof *slots);
    for (int64_t i = 0; i < a->named_count; i++) {
        const kd__value *name = &a->named[i].name;
        at = parameter_number(c->parameters, name, &count);
        KD_FAIL_IF(at < 0, KD_ERR_INVALID, "%s: it has no argument %.*s", c->name, (int)name->bytes,
                   name->text);
        KD_FAIL_IF(kd__given(&slots[at]), KD_ERR_INVALID, "%s: the argument %.*s is given twice",
                   c->name, (int)name->bytes, name->text);
        slots[at] = a->named[i].value;
    }
    for (int64_t i = 0; i < c->needed; i++)
        KD_FAIL_IF(!kd__given(&slots[i]), KD_ERR_INVALID, "%s: expected at least %d arguments",
                   c->name, c->needed);
    *bound = (kd__arguments){ .at = slots, .count = count };
    return KD_OK;
}

kd_status kd__callable_call(kd__render *r, const kd__callable *c, const kd__value *self,
                            const kd__arguments *a, kd__value *out)
{
    kd__arguments bound;
    if (!c->parameters) return c->call(r, self, a, out);
    KD_TRY(bind(r, c, a, &bound));
    return c->call(r, self, &bound, out);
}

kd_status kd__call_value(kd__render *r, const kd__value *what, const kd__arguments *a,
                         kd__value *out)
{
    switch (what->type) {
    case KD__V_MACRO: return kd__macro_call(r, what->macro, a, out);
    case KD__V_FUNCTION: return kd__callable_call(r, what->function, NULL, a, out);
    case KD__V_METHOD: return kd__callable_call(r, what->method, what->self, a, out);
    case KD__V_UNDEFINED: return kd__need_defined(what);
    default:
        return kd__fail(KD_ERR_INVALID, "a value of type %s cannot be called", kd__type_name(what));
    }
}

/* ---- macros ---- */

static const kd__value *named_argument(const kd__render *r, const kd__arguments *a, int32_t name,
                                       uint8_t *taken)
{
    const kd__value *text = &r->t->names[name];
    for (int64_t i = 0; i < a->named_count; i++)
        if (a->named[i].name.bytes == text->bytes &&
            !memcmp(a->named[i].name.text, text->text, (size_t)text->bytes)) {
            taken[i] = 1;
            return &a->named[i].value;
        }
    return NULL;
}

/* Parameters by place, then by name, then by their defaults, which may ask for parameters before
 * them. */
static kd_status bind_parameters(kd__render *r, const kd__macro *m, const kd__arguments *a,
                                 uint8_t *taken)
{
    int64_t place = 0;
    for (const kd__node *p = m->parameters; p; p = p->next, place++) {
        const kd__value *given = place < a->count ? &a->at[place]
                                                  : named_argument(r, a, p->name, taken);
        kd__value v = kd__undefined(r->t->names[p->name].text, r->t->names[p->name].bytes);
        if (given) v = *given;
        else if (p->a) KD_TRY(kd__value_of(r, p->a, &v));
        KD_TRY(kd__scope_set(r->room, r->scope, p->name, &v));
    }
    KD_FAIL_IF(a->count > place && !(m->node->flags & KD__USES_VARARGS), KD_ERR_INVALID,
               "macro %.*s: expected at most %lld arguments, got %lld", (int)m->name.bytes,
               m->name.text, (long long)place, (long long)a->count);
    return KD_OK;
}

static int32_t special_name(const kd__render *r, const char *name)
{
    for (int64_t i = 0; i < r->t->name_count; i++)
        if (kd__is_string(&r->t->names[i], name)) return (int32_t)i;
    return -1;
}

static kd_status set_caller(kd__render *r, const kd__arguments *a, uint8_t *taken)
{
    const int32_t name = special_name(r, "caller");
    const kd__value *given = named_argument(r, a, name, taken), none = kd__undefined("caller", 6);
    return kd__scope_set(r->room, r->scope, name, given ? given : &none);
}

static kd_status set_varargs(kd__render *r, const kd__macro *m, const kd__arguments *a)
{
    kd__value rest;
    int64_t place = 0;
    for (const kd__node *p = m->parameters; p; p = p->next) place++;
    KD_TRY(kd__list_new(r->room, KD__V_TUPLE, 0, &rest));
    for (; place < a->count; place++) KD_TRY(kd__list_add(r->room, &rest, &a->at[place]));
    return kd__scope_set(r->room, r->scope, special_name(r, "varargs"), &rest);
}

static kd_status set_kwargs(kd__render *r, const kd__arguments *a, uint8_t *taken)
{
    kd__value rest;
    KD_TRY(kd__dict_new(r->room, &rest));
    for (int64_t i = 0; i < a->named_count; i++) {
        if (taken[i]) continue;
        taken[i] = 1;
        KD_TRY(kd__dict_set(r->room, &rest, &a->named[i].name, &a->named[i].value));
    }
    return kd__scope_set(r->room, r->scope, special_name(r, "kwargs"), &rest);
}

static kd_status bind_all(kd__render *r, const kd__macro *m, const kd__arguments *a)
{
    uint8_t *taken = NULL;
    KD_TRY(KD_TAKE(r->room, &taken, a->named_count + 1));
    KD_TRY(bind_parameters(r, m, a, taken));
    if (m->node->flags & KD__USES_CALLER) KD_TRY(set_caller(r, a, taken));
    if (m->node->flags & KD__USES_KWARGS) KD_TRY(set_kwargs(r, a, taken));
    if (m->node->flags & KD__USES_VARARGS) KD_TRY(set_varargs(r, m, a));
    for (int64_t i = 0; i < a->named_count; i++)
        KD_FAIL_IF(!taken[i], KD_ERR_INVALID, "macro %.*s: it has no argument %.*s",
                   (int)m->name.bytes, m->name.text, (int)a->named[i].name.bytes,
                   a->named[i].name.text);
    return KD_OK;
}

kd_status kd__macro_call(kd__render *r, const kd__macro *m, const kd__arguments *a, kd__value *out)
{
    kd__scope *scope = r->scope, *parameters;
    KD_TRY(kd__deeper(r, m->node));
    KD_TRY(kd__scope_new(r->room, m->scope, &parameters));
    r->scope = parameters;
    KD_TRY(bind_all(r, m, a));
    r->scope = scope;
    KD_TRY(kd__capture(r, parameters, m->node->b, out));
    r->depth--;
    return KD_OK;
}

/* ---- arguments that must be of a kind ---- */

kd_status kd__text_argument(const kd__value *v, const char *what, kd__value *out)
{
    if (!kd__given(v)) return KD_OK;
    KD_TRY(kd__need_defined(v));
    KD_FAIL_IF(v->type != KD__V_STRING, KD_ERR_INVALID, "%s: expected a text, got %s", what,
               kd__type_name(v));
    *out = *v;
    return KD_OK;
}

kd_status kd__integer_argument(const kd__value *v, const char *what, int64_t *out)
{
    if (!kd__given(v)) return KD_OK;
    KD_TRY(kd__need_defined(v));
    KD_FAIL_IF(!kd__is_integer(v), KD_ERR_INVALID, "%s: expected a whole number, got %s", what,
               kd__type_name(v));
    *out = v->integer;
    return KD_OK;
}
