/* Members of a line's object, and their values as texts. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "course/record/shape.h"

const kd__json *kd__find(const kd__json *object, const char *const *names)
{
    for (; *names; names++) {
        const kd__json *found = kd__json_member(object, *names);
        if (found && found->type != KD__JSON_NULL) return found;
    }
    return NULL;
}

const kd__json *kd__find_one(const kd__json *object, const char *name)
{
    const char *const names[] = { name, NULL };
    return kd__find(object, names);
}

void kd__used(kd__shape *s, const kd__json *member)
{
    if (member && s->used_count < KD__MOST_USED) s->used[s->used_count++] = member;
}

const kd__json *kd__use(kd__shape *s, const char *own, const char *const *names)
{
    const char *const one[] = { own, NULL };
    const kd__json *found = kd__find(s->document.root, own ? one : names);
    kd__used(s, found);
    return found;
}

const kd__json *kd__use_one(kd__shape *s, const char *name) { return kd__use(s, name, NULL); }

int kd__says_nothing(const kd__json *node)
{
    if (!node || node->type == KD__JSON_NULL) return 1;
    if (node->type == KD__JSON_STRING) return !node->length;
    return (node->type == KD__JSON_ARRAY || node->type == KD__JSON_OBJECT) && !node->children;
}

kd_status kd__keep(kd__shape *s, kd__text *made, kd_status status, const char **out)
{
    if (status == KD_OK)
        status = kd__arena_text(&s->arena, made->bytes ? made->bytes : "", made->size, out);
    kd__text_free(made);
    return status;
}

kd_status kd__begin_member(kd__text *made, const char *key)
{
    KD_TRY(kd__text_append(made, made->size ? ", " : "{", made->size ? 2 : 1));
    KD_TRY(kd__text_quoted(made, key));
    return kd__text_append(made, ": ", 2);
}

/* ---- texts ---- */

static int is_text_type(const kd__json *type)
{
    static const char *const types[] = { "text", "input_text", "output_text" };
    if (!type) return 1;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (type->type == KD__JSON_STRING && !strcmp(type->text, types[i])) return 1;
    return 0;
}

kd_status kd__part_text(const kd__json *part, const char *what, const char **out)
{
    const kd__json *type = kd__find_one(part, "type"),
                   *text = part->type == KD__JSON_OBJECT ? kd__json_member(part, "text") : part;
    if (text && text->type == KD__JSON_STRING && is_text_type(type))
        return *out = text->text, KD_OK;
    if (type && is_text_type(type))
        BAD("'%s': expected a text in its part of type '%.40s'", what, type->text);
    if (!type || type->type != KD__JSON_STRING) BAD("'%s': expected parts of text", what);
    BAD("'%s': expected parts of text, got one of type '%.40s', which is not supported", what,
        type->text);
}

static kd_status join_parts(kd__shape *s, const kd__json *parts, const char *what, const char **out)
{
    kd__text made = { .context = s->arena.context };
    kd_status status = KD_OK;
    for (const kd__json *part = parts->first; part && status == KD_OK; part = part->next) {
        const char *text = "";
        status = kd__part_text(part, what, &text);
        if (status == KD_OK) status = kd__text_append(&made, text, strlen(text));
    }
    return kd__keep(s, &made, status, out);
}

kd_status kd__text_of(kd__shape *s, const kd__json *node, const char *what, const char **out)
{
    *out = "";
    if (!node || node->type == KD__JSON_NULL) return KD_OK;
    if (node->type == KD__JSON_OBJECT) BAD("'%s': expected a text, got an object", what);
    if (node->type == KD__JSON_ARRAY) return join_parts(s, node, what, out);
    *out = node->type == KD__JSON_BOOL ? (node->number != 0 ? "true" : "false") : node->text;
    return KD_OK;
}

kd_status kd__words_only(kd__shape *s, const kd__json *node, const char *what, const char **out)
{
    if (node && (node->type == KD__JSON_NUMBER || node->type == KD__JSON_BOOL))
        BAD("'%s': expected a text, got a number or bool", what);
    return kd__text_of(s, node, what, out);
}

kd_status kd__fact_of(kd__shape *s, const kd__json *node, const char *what, const char **out)
{
    if (node && node->type == KD__JSON_ARRAY && node->children == 1) node = node->first;
    if (node && node->type == KD__JSON_ARRAY)
        BAD("'%s': expected one answer, got a list of %d", what, node->children);
    return kd__text_of(s, node, what, out);
}

/* ---- JSON ---- */

static kd_status write_checked(kd__shape *s, const kd__json *node, int32_t type, const char *what,
                               const char **out)
{
    kd__text made = { .context = s->arena.context };
    if (node->type != type)
        BAD("'%s': expected %s", what, type == KD__JSON_ARRAY ? "a list" : "an object");
    if (!node->children) return KD_OK;
    return kd__keep(s, &made, kd__json_write(&made, node), out);
}

kd_status kd__json_of(kd__shape *s, const kd__json *node, int32_t type, const char *what,
                      const char **out)
{
    kd__json_document inner = { 0 };
    char name[64];
    *out = "";
    if (kd__says_nothing(node)) return KD_OK;
    if (node->type != KD__JSON_STRING) return write_checked(s, node, type, what, out);
    snprintf(name, sizeof name, "'%s', a text", what);
    KD_TRY(kd__json_parse(&inner, s->arena.context, node->text, (size_t)node->length, name));
    const kd_status status = kd__holds_zero(inner.root)
                                 ? kd__fail(KD_ERR_FORMAT, "%s: it holds a zero byte", name)
                                 : write_checked(s, inner.root, type, what, out);
    kd__json_free(&inner);
    return status;
}

int kd__holds_zero(const kd__json *node)
{
    if (node->type == KD__JSON_STRING) return (int64_t)strlen(node->text) != node->length;
    for (const kd__json *child = node->first; child; child = child->next)
        if (kd__holds_zero(child)) return 1;
    return 0;
}

/* ---- what is told ---- */

static int was_named(const kd__shape *s, const char *name)
{
    for (int32_t i = 0; i < s->named_count; i++)
        if (!strcmp(s->named[i], name)) return 1;
    return s->named_count == KD__MOST_NAMED;
}

kd_status kd__count_member(kd__shape *s, int64_t *count, const char *where, const char *name)
{
    ++*count;
    if (was_named(s, name)) return KD_OK;
    KD_TRY(kd__arena_text(&s->noted, name, (int64_t)strlen(name), &s->named[s->named_count]));
    s->named_count++;
    kd__log(s->arena.context, KD_LOG_WARNING, "records: '%.60s' %s", name, where);
    return KD_OK;
}
