/* Statements. */
#include "language/template/render.h"

#include <string.h>

/* ---- places and errors ---- */

__attribute__((noinline)) kd_status kd__locate(kd__render *r, const kd__node *n, kd_status status)
{
    char message[300];
    if (r->located || status == KD_ERR_MEMORY) return status;
    r->located = 1;
    strncpy(message, kd_last_error(), sizeof message - 1);
    message[sizeof message - 1] = 0;
    return kd__fail(status, "%s, line %d: %s", r->t->title, n->line, message);
}

kd_status kd__deeper(kd__render *r, const kd__node *n)
{
    KD_TRY(kd__work(r->room, 1));
    if (++r->depth <= KD__TEMPLATE_DEPTH) return KD_OK;
    return kd__locate(
        r, n,
        kd__fail(KD_ERR_RANGE, "calls and expressions nested deeper than %d", KD__TEMPLATE_DEPTH));
}

/* ---- what is written ---- */

kd_status kd__put(kd__room *room, kd__sink *sink, const char *text, int64_t bytes)
{
    KD_TRY(KD_GROW(room, &sink->text, &sink->held, sink->bytes + bytes + 1));
    if (bytes) memcpy(sink->text + sink->bytes, text, (size_t)bytes);
    sink->bytes += bytes;
    sink->text[sink->bytes] = 0;
    return kd__work_bytes(room, bytes);
}

kd_status kd__put_text(kd__room *room, kd__sink *sink, const char *text)
{
    return kd__put(room, sink, text, (int64_t)strlen(text));
}

kd_status kd__write(kd__render *r, const char *text, int64_t bytes)
{
    return kd__put(r->room, r->sink, text, bytes);
}

kd_status kd__capture(kd__render *r, kd__scope *parent, const kd__node *body, kd__value *out)
{
    kd__sink *written = NULL, *sink = r->sink;
    kd__scope *scope = r->scope;
    KD_TRY(KD_TAKE(r->room, &written, 1));
    KD_TRY(kd__scope_new(r->room, parent, &r->scope));
    r->sink = written;
    const kd_status status = kd__execute(r, body);
    r->sink = sink;
    r->scope = scope;
    *out = kd__sink_value(written);
    return status;
}

/* ---- variables ---- */

kd_status kd__scope_new(kd__room *room, kd__scope *parent, kd__scope **out)
{
    kd__scope *made = NULL;
    KD_TRY(KD_TAKE(room, &made, 1));
    made->parent = parent;
    *out = made;
    return KD_OK;
}

kd_status kd__scope_set(kd__room *room, kd__scope *scope, int32_t name, const kd__value *value)
{
    for (int64_t i = 0; i < scope->count; i++)
        if (scope->variables[i].name == name) return scope->variables[i].value = *value, KD_OK;
    KD_TRY(KD_GROW(room, &scope->variables, &scope->held, scope->count + 1));
    scope->variables[scope->count++] = (kd__variable){ name, *value };
    return KD_OK;
}

static kd_status assign_attribute(kd__render *r, const kd__node *target, const kd__value *value)
{
    const kd__node name = { .type = KD__NAME, .name = target->name, .line = target->line };
    kd__value space;
    KD_TRY(kd__value_of(r, &name, &space));
    KD_FAIL_IF(space.type != KD__V_NAMESPACE, KD_ERR_INVALID,
               "only a namespace's attributes can be set, got one of a %s", kd__type_name(&space));
    KD_FAIL_IF(target->value.text[0] == '_', KD_ERR_INVALID,
               "a namespace has no attributes that begin with _");
    kd__value dict = { .type = KD__V_DICT, .dict = space.dict };
    return kd__dict_set(r->room, &dict, &target->value, value);
}

static kd_status assign_several(kd__render *r, const kd__node *targets, const kd__value *value)
{
    kd__list items;
    int64_t count = 0, i = 0;
    KD_TRY(kd__iterate(r->room, value, &items));
    for (const kd__node *n = targets; n; n = n->next) count++;
    KD_FAIL_IF(items.count != count, KD_ERR_INVALID,
               "expected %lld values to set as many names, got %lld", (long long)count,
               (long long)items.count);
    for (const kd__node *n = targets; n; n = n->next) KD_TRY(kd__assign(r, n, &items.items[i++]));
    return KD_OK;
}

kd_status kd__assign(kd__render *r, const kd__node *target, const kd__value *value)
{
    if (target->type == KD__LIST_OF) return assign_several(r, target->a, value);
    if (target->type == KD__NAME_OF) return assign_attribute(r, target, value);
    return kd__scope_set(r->room, r->scope, target->name, value);
}

/* ---- tags ---- */

static kd_status execute_text(kd__render *r, const kd__node *n)
{
    return kd__write(r, n->value.text, n->value.bytes);
}

static kd_status execute_print(kd__render *r, const kd__node *n)
{
    kd__value v;
    KD_TRY(kd__value_of(r, n->a, &v));
    KD_TRY(kd__to_text(r->room, &v, &v));
    return kd__write(r, v.text, v.bytes);
}

static kd_status execute_if(kd__render *r, const kd__node *n)
{
    for (;; n = n->c) {
        kd__value test;
        KD_TRY(kd__value_of(r, n->a, &test));
        if (kd__truth(&test)) return kd__execute(r, n->b);
        if (!n->c || n->c->type != KD__IF || n->c->next) return n->c ? kd__execute(r, n->c) : KD_OK;
    }
}

/* What a loop goes through: with a filter, what passes it. */
static kd_status loop_items(kd__render *r, const kd__node *n, kd__list *items)
{
    kd__value v;
    KD_TRY(kd__value_of(r, n->d, &v));
    KD_TRY(kd__iterate(r->room, &v, items));
    if (!n->e) return KD_OK;
    const kd__list all = *items;
    kd__scope *scope = r->scope;
    *items = (kd__list){ 0 };
    KD_TRY(KD_TAKE(r->room, &items->items, all.count));
    KD_TRY(kd__scope_new(r->room, scope, &r->scope));
    for (int64_t i = 0; i < all.count; i++) {
        KD_TRY(kd__assign(r, n->a, &all.items[i]));
        KD_TRY(kd__value_of(r, n->e, &v));
        if (kd__truth(&v)) items->items[items->count++] = all.items[i];
    }
    r->scope = scope;
    return KD_OK;
}

/* *through: some turn came to its end. As in jinja2, turns that break or continue do not count. */
static kd_status execute_turns(kd__render *r, const kd__node *n, kd__loop *loop, int32_t loop_name,
                               int32_t *through)
{
    const kd__value self = { .type = KD__V_LOOP, .loop = loop };
    for (; loop->at < loop->items.count && r->flow != KD__FLOW_BREAK; loop->at++) {
        r->scope->count = 0;
        if (loop_name >= 0) KD_TRY(kd__scope_set(r->room, r->scope, loop_name, &self));
        KD_TRY(kd__assign(r, n->a, &loop->items.items[loop->at]));
        KD_TRY(kd__execute(r, n->b));
        *through |= r->flow == KD__FLOW_ON;
        if (r->flow == KD__FLOW_CONTINUE) r->flow = KD__FLOW_ON;
    }
    r->flow = KD__FLOW_ON;
    return KD_OK;
}

static int32_t number_of(const kd__template *t, const char *name)
{
    for (int64_t i = 0; i < t->name_count; i++)
        if (kd__is_string(&t->names[i], name)) return (int32_t)i;
    return -1;
}

static kd_status execute_for(kd__render *r, const kd__node *n)
{
    kd__loop *loop = NULL;
    kd__scope *scope = r->scope;
    int32_t through = 0;
    KD_TRY(KD_TAKE(r->room, &loop, 1));
    KD_TRY(loop_items(r, n, &loop->items));
    KD_TRY(kd__scope_new(r->room, scope, &r->scope));
    KD_TRY(execute_turns(r, n, loop, number_of(r->t, "loop"), &through));
    r->scope->count = 0;
    if (!through) KD_TRY(kd__execute(r, n->c));
    r->scope = scope;
    return KD_OK;
}

static kd_status execute_flow(kd__render *r, const kd__node *n)
{
    r->flow = n->type == KD__BREAK ? KD__FLOW_BREAK : KD__FLOW_CONTINUE;
    return KD_OK;
}

static kd_status execute_set(kd__render *r, const kd__node *n)
{
    kd__value v;
    KD_TRY(kd__value_of(r, n->b, &v));
    return kd__assign(r, n->a, &v);
}

/* Filters around what a block wrote. */
static kd_status filter_block(kd__render *r, const kd__node *n, kd__value *out)
{
    const kd__value before = r->block;
    KD_TRY(kd__capture(r, r->scope, n->b, &r->block));
    KD_TRY(kd__value_of(r, n->c, out));
    r->block = before;
    return KD_OK;
}

static kd_status execute_set_block(kd__render *r, const kd__node *n)
{
    kd__value v;
    KD_TRY(filter_block(r, n, &v));
    return kd__assign(r, n->a, &v);
}

static kd_status execute_filter_block(kd__render *r, const kd__node *n)
{
    kd__value v;
    KD_TRY(filter_block(r, n, &v));
    KD_TRY(kd__to_text(r->room, &v, &v));
    return kd__write(r, v.text, v.bytes);
}

static kd_status execute_with(kd__render *r, const kd__node *n)
{
    kd__scope *outer = r->scope, *inner;
    KD_TRY(kd__scope_new(r->room, outer, &inner));
    for (const kd__node *target = n->a, *value = n->c; target;
         target = target->next, value = value->next) {
        kd__value v;
        KD_TRY(kd__value_of(r, value,
                            &v)); /* outside: the names set here are not seen by the values */
        r->scope = inner;
        KD_TRY(kd__assign(r, target, &v));
        r->scope = outer;
    }
    r->scope = inner;
    KD_TRY(kd__execute(r, n->b));
    r->scope = outer;
    return KD_OK;
}

static kd_status execute_define(kd__render *r, const kd__node *n)
{
    kd__macro *m = NULL;
    KD_TRY(KD_TAKE(r->room, &m, 1));
    *m = (kd__macro){ n, n->a, r->t->names[n->name], r->scope };
    const kd__value v = { .type = KD__V_MACRO, .macro = m };
    return kd__scope_set(r->room, r->scope, n->name, &v);
}

/* The call gets its body as one more argument, caller. */
static kd_status execute_call_block(kd__render *r, const kd__node *n)
{
    kd__macro *m = NULL;
    kd__arguments a;
    kd__named *named = NULL;
    kd__value what, v;
    KD_TRY(KD_TAKE(r->room, &m, 1));
    *m = (kd__macro){ n, n->c, KD_LITERAL("caller"), r->scope };
    KD_TRY(kd__value_of(r, n->a->a, &what));
    KD_TRY(kd__arguments_of(r, n->a->b, &a));
    KD_TRY(KD_TAKE(r->room, &named, a.named_count + 1));
    if (a.named_count) memcpy(named, a.named, (size_t)a.named_count * sizeof *named);
    named[a.named_count++] =
        (kd__named){ KD_LITERAL("caller"), { .type = KD__V_MACRO, .macro = m } };
    a.named = named;
    KD_TRY(kd__call_value(r, &what, &a, &v));
    KD_TRY(kd__to_text(r->room, &v, &v));
    return kd__write(r, v.text, v.bytes);
}

/* The block's place is known only where it is written to the template's own text; elsewhere (in
 * a macro, in a set block) none of the places counts: generated_count -1. */
static kd_status execute_generation(kd__render *r, const kd__node *n)
{
    kd__value v;
    const int64_t begin = r->top.bytes;
    KD_TRY(kd__capture(r, r->scope, n->b, &v));
    KD_TRY(kd__write(r, v.text, v.bytes));
    if (r->sink != &r->top) r->generated_count = -1;
    if (r->generated_count < 0) return KD_OK;
    KD_TRY(KD_GROW(r->room, &r->generated, &r->generated_held, 2 * r->generated_count + 2));
    r->generated[2 * r->generated_count] = begin;
    r->generated[2 * r->generated_count++ + 1] = r->top.bytes;
    return KD_OK;
}

typedef kd_status executor(kd__render *r, const kd__node *n);
static executor *const executors[] = {
    [KD__TEXT] = execute_text,
    [KD__PRINT] = execute_print,
    [KD__IF] = execute_if,
    [KD__FOR] = execute_for,
    [KD__BREAK] = execute_flow,
    [KD__CONTINUE] = execute_flow,
    [KD__SET] = execute_set,
    [KD__SET_BLOCK] = execute_set_block,
    [KD__WITH] = execute_with,
    [KD__DEFINE] = execute_define,
    [KD__CALL_BLOCK] = execute_call_block,
    [KD__FILTER_BLOCK] = execute_filter_block,
    [KD__GENERATION] = execute_generation,
};

kd_status kd__execute(kd__render *r, const kd__node *body)
{
    if (!body) return KD_OK;
    KD_TRY(kd__deeper(r, body));
    for (const kd__node *n = body; n && r->flow == KD__FLOW_ON; n = n->next) {
        const kd_status status = executors[n->type](r, n);
        if (status != KD_OK) return kd__locate(r, n, status);
    }
    r->depth--;
    return KD_OK;
}

/* ---- the whole ---- */

/* What each name of the template is where nothing sets it. */
static kd_status find_globals(kd__render *r, const kd__value *variables)
{
    const kd__template *t = r->t;
    kd__value *found = NULL;
    KD_TRY(KD_TAKE(r->room, &found, t->name_count));
    for (int64_t i = 0; i < t->name_count; i++) {
        const kd__value *name = &t->names[i],
                        *given = kd__dict_text(variables->dict, name->text, name->bytes);
        const kd__callable *function = given ? NULL : kd__global_find(name->text, name->bytes);
        if (given) found[i] = *given;
        else if (function) found[i] = (kd__value){ .type = KD__V_FUNCTION, .function = function };
        else found[i] = kd__undefined(name->text, name->bytes);
    }
    r->globals = found;
    return KD_OK;
}

kd_status kd__template_render(const kd__template *t, kd__room *room, const kd__value *variables,
                              const kd__template_options *options, kd__template_output *output)
{
    kd__render r = { .t = t, .room = room, .options = options };
    if (!room->most_work) room->most_work = room->work + KD__TEMPLATE_WORK;
    r.sink = &r.top;
    KD_TRY(find_globals(&r, variables));
    KD_TRY(kd__scope_new(room, NULL, &r.scope));
    KD_TRY(kd__execute(&r, t->body));
    *output = (kd__template_output){ kd__sink_value(&r.top).text, r.top.bytes, r.generated,
                                     r.generated_count };
    return KD_OK;
}
