/* Expressions. */
#include <string.h>

#include "base/numbers.h"
#include "language/template/render.h"

static kd_status evaluate_constant(kd__render *r, const kd__node *n, kd__value *out)
{
    (void)r;
    *out = n->value;
    return KD_OK;
}

static kd_status evaluate_name(kd__render *r, const kd__node *n, kd__value *out)
{
    for (const kd__scope *s = r->scope; s; s = s->parent)
        for (int64_t i = 0; i < s->count; i++)
            if (s->variables[i].name == n->name) return *out = s->variables[i].value, KD_OK;
    *out = r->globals[n->name];
    return KD_OK;
}

static kd_status evaluate_list(kd__render *r, const kd__node *n, kd__value *out)
{
    kd__value list;
    KD_TRY(kd__list_new(r->room, n->flags, 0, &list));
    for (const kd__node *item = n->a; item; item = item->next) {
        kd__value v;
        KD_TRY(kd__value_of(r, item, &v));
        KD_TRY(kd__list_add(r->room, &list, &v));
    }
    *out = list;
    return KD_OK;
}

static kd_status evaluate_dict(kd__render *r, const kd__node *n, kd__value *out)
{
    kd__value dict;
    KD_TRY(kd__dict_new(r->room, &dict));
    for (const kd__node *key = n->a; key; key = key->next->next) {
        kd__value k, v;
        KD_TRY(kd__value_of(r, key, &k));
        KD_TRY(kd__value_of(r, key->next, &v));
        KD_TRY(kd__dict_set(r->room, &dict, &k, &v));
    }
    *out = dict;
    return KD_OK;
}

static kd_status evaluate_choice(kd__render *r, const kd__node *n, kd__value *out)
{
    KD_TRY(kd__value_of(r, n->a, out));
    if (kd__truth(out)) return kd__value_of(r, n->b, out);
    *out = kd__undefined("the value of an if without else", 31);
    return n->c ? kd__value_of(r, n->c, out) : KD_OK;
}

/* and: the first that is false, or: the first that is true, or the last. */
static kd_status evaluate_logic(kd__render *r, const kd__node *n, kd__value *out)
{
    const int stop = n->type == KD__OR;
    KD_TRY(kd__value_of(r, n->a, out));
    for (const kd__node *link = n->b; link && kd__truth(out) != stop; link = link->next)
        KD_TRY(kd__value_of(r, link->a, out));
    return KD_OK;
}

static kd_status evaluate_not(kd__render *r, const kd__node *n, kd__value *out)
{
    KD_TRY(kd__value_of(r, n->a, out));
    *out = kd__bool(!kd__truth(out));
    return KD_OK;
}

static kd_status compare(kd__render *r, int32_t op, const kd__value *a, const kd__value *b,
                         int32_t *is)
{
    int32_t order;
    if (op == KD__EQ || op == KD__NE) {
        KD_TRY(kd__equal(r->room, a, b, is));
        return *is ^= op == KD__NE, KD_OK;
    }
    if (op == KD__IN || op == KD__NOT_IN) {
        KD_TRY(kd__contains(r->room, b, a, is));
        return *is ^= op == KD__NOT_IN, KD_OK;
    }
    KD_TRY(kd__order(r->room, a, b, &order));
    *is = op == KD__LT   ? order == -1
          : op == KD__LE ? order == -1 || order == 0
          : op == KD__GT ? order == 1
                         : order == 1 || order == 0;
    return KD_OK;
}

static kd_status evaluate_compare(kd__render *r, const kd__node *n, kd__value *out)
{
    kd__value left, right;
    int32_t is = 1;
    KD_TRY(kd__value_of(r, n->a, &left));
    for (const kd__node *link = n->b; link && is; link = link->next) {
        KD_TRY(kd__value_of(r, link->a, &right));
        KD_TRY(compare(r, link->op, &left, &right, &is));
        left = right;
    }
    *out = kd__bool(is);
    return KD_OK;
}

static kd_status evaluate_binary(kd__render *r, const kd__node *n, kd__value *out)
{
    kd__value right;
    KD_TRY(kd__value_of(r, n->a, out));
    for (const kd__node *link = n->b; link; link = link->next) {
        KD_TRY(kd__value_of(r, link->a, &right));
        KD_TRY(kd__binary(r, link->op, out, &right, out));
    }
    return KD_OK;
}

static kd_status evaluate_unary(kd__render *r, const kd__node *n, kd__value *out)
{
    KD_TRY(kd__value_of(r, n->a, out));
    return kd__sign(r, n->op, out, out);
}

static kd_status put_part(kd__render *r, const kd__node *part, kd__sink *sink)
{
    kd__value v;
    KD_TRY(kd__value_of(r, part, &v));
    KD_TRY(kd__to_text(r->room, &v, &v));
    return kd__put(r->room, sink, v.text, v.bytes);
}

static kd_status evaluate_concat(kd__render *r, const kd__node *n, kd__value *out)
{
    kd__sink sink = { 0 };
    KD_TRY(put_part(r, n->a, &sink));
    for (const kd__node *link = n->b; link; link = link->next) KD_TRY(put_part(r, link->a, &sink));
    *out = kd__sink_value(&sink);
    return KD_OK;
}

static kd_status evaluate_attribute(kd__render *r, const kd__node *n, kd__value *out)
{
    KD_TRY(kd__value_of(r, n->a, out));
    return kd__attribute(r, out, &n->value, out);
}

static kd_status evaluate_item(kd__render *r, const kd__node *n, kd__value *out)
{
    kd__value which;
    KD_TRY(kd__value_of(r, n->a, out));
    KD_TRY(kd__value_of(r, n->b, &which));
    return kd__item(r, out, &which, out);
}

static kd_status evaluate_slice(kd__render *r, const kd__node *n, kd__value *out)
{
    const kd__node *const parts[3] = { n->b, n->c, n->d };
    kd__value bounds[3];
    KD_TRY(kd__value_of(r, n->a, out));
    for (int i = 0; i < 3; i++) {
        bounds[i] = kd__none();
        if (parts[i]) KD_TRY(kd__value_of(r, parts[i], &bounds[i]));
    }
    return kd__slice(r, out, bounds, out);
}

static kd_status evaluate_call(kd__render *r, const kd__node *n, kd__value *out)
{
    kd__arguments a;
    KD_TRY(kd__value_of(r, n->a, out));
    KD_TRY(kd__arguments_of(r, n->b, &a));
    return kd__call_value(r, out, &a, out);
}

/* Filters and tests. */
static kd_status evaluate_callable(kd__render *r, const kd__node *n, kd__value *out)
{
    kd__arguments a;
    kd__value self;
    KD_FAIL_IF(!n->callable, KD_ERR_UNSUPPORTED, "the %s '%.*s' is not supported",
               n->type == KD__FILTER ? "filter" : "test", (int)kd__min(n->value.bytes, 60),
               n->value.text);
    KD_TRY(kd__value_of(r, n->a, &self));
    KD_TRY(kd__arguments_of(r, n->b, &a));
    return kd__callable_call(r, n->callable, &self, &a, out);
}

static kd_status evaluate_block(kd__render *r, const kd__node *n, kd__value *out)
{
    (void)n;
    *out = r->block;
    return KD_OK;
}

typedef kd_status evaluator(kd__render *r, const kd__node *n, kd__value *out);
static evaluator *const evaluators[] = {
    [KD__CONSTANT] = evaluate_constant,
    [KD__NAME] = evaluate_name,
    [KD__LIST_OF] = evaluate_list,
    [KD__DICT_OF] = evaluate_dict,
    [KD__CHOICE] = evaluate_choice,
    [KD__AND] = evaluate_logic,
    [KD__OR] = evaluate_logic,
    [KD__NOT] = evaluate_not,
    [KD__COMPARE] = evaluate_compare,
    [KD__BINARY] = evaluate_binary,
    [KD__UNARY] = evaluate_unary,
    [KD__CONCAT] = evaluate_concat,
    [KD__ATTRIBUTE] = evaluate_attribute,
    [KD__ITEM] = evaluate_item,
    [KD__SLICE] = evaluate_slice,
    [KD__CALL] = evaluate_call,
    [KD__FILTER] = evaluate_callable,
    [KD__TEST] = evaluate_callable,
    [KD__BLOCK_VALUE] = evaluate_block,
};

kd_status kd__value_of(kd__render *r, const kd__node *n, kd__value *out)
{
    KD_TRY(kd__deeper(r, n));
    const kd_status status = evaluators[n->type](r, n, out);
    if (status != KD_OK) return kd__locate(r, n, status);
    r->depth--;
    return KD_OK;
}
