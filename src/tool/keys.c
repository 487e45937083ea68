/* The reader of a recipe's objects. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool/keys.h"
#include "tool/train_schedule.h"

enum { PATH = 160 };

int wrong_at(problem *p, const node *n, const char *where, const char *format, ...)
{
    va_list arguments;
    int at = 0;
    if (*p->text) return 0;
    if (n && n->line) at = snprintf(p->text, 256, "%.180s:%d: ", p->file, n->line);
    else at = snprintf(p->text, 256, "%.180s: ", p->file);
    if (*where) at += snprintf(p->text + at, PATH + 8, "%.*s: ", PATH, where);
    va_start(arguments, format);
    vsnprintf(p->text + at, sizeof p->text - (size_t)at, format, arguments);
    va_end(arguments);
    return 0;
}

/* What a node is, for "got ..". */
static const char *shown(const node *n, char to[80])
{
    if (n->type == NODE_TEXT) snprintf(to, 80, "\"%.60s\"", n->text);
    else if (n->type == NODE_NUMBER) snprintf(to, 80, "%.60s", n->text);
    else if (n->type == NODE_BOOL) snprintf(to, 80, "%s", n->number != 0 ? "true" : "false");
    else snprintf(to, 80, "%s", node_kind(n));
    return to;
}

static int unknown_key(problem *p, const char *where, const node *n, const recipe_key *keys)
{
    const char *known[96], *near;
    char all[400];
    int count = 0, at = 0;
    for (const recipe_key *k = keys; k->name && count < 96; k++) known[count++] = k->name;
    near = nearest(n->key, known, count);
    *all = 0;
    for (int i = 0; i < count && at < (int)sizeof all - 1; i++)
        at += snprintf(all + at, sizeof all - (size_t)at, "%s%s", i ? ", " : "", known[i]);
    if (near)
        return wrong_at(p, n, where, "unknown key \"%.60s\"; did you mean \"%s\"?", n->key, near);
    return wrong_at(p, n, where, "unknown key \"%.60s\"; expected one of %s", n->key, all);
}

static int read_one_integer(problem *p, const char *where, const node *n, const recipe_key *k,
                            int64_t *to)
{
    char what[80];
    if (n->type != NODE_NUMBER || n->number != floor(n->number) || n->number < k->low ||
        n->number > k->high)
        return wrong_at(p, n, where, "expected a whole number from %.0f to %.0f, got %s", k->low,
                        k->high, shown(n, what));
    *to = (int64_t)n->number;
    return 1;
}

static int read_one_number(problem *p, const char *where, const node *n, const recipe_key *k,
                           double *to)
{
    char what[80];
    if (n->type != NODE_NUMBER || n->number < k->low || n->number > k->high)
        return wrong_at(p, n, where, "expected a number from %g to %g, got %s", k->low, k->high,
                        shown(n, what));
    *to = n->number;
    return 1;
}

static int read_one_choice(problem *p, const char *where, const node *n, const recipe_key *k,
                           int32_t *to)
{
    char what[80], names[600];
    const char *known[64], *near = NULL;
    int count = 0;
    if (n->type == NODE_TEXT && read_choice(k->choices, n->text, to)) return 1;
    list_choices(k->choices, names, sizeof names);
    for (const choice *c = k->choices; c->name && count < 64; c++) known[count++] = c->name;
    if (n->type == NODE_TEXT) near = nearest(n->text, known, count);
    if (near)
        return wrong_at(p, n, where, "unknown name %s; did you mean \"%s\"?", shown(n, what), near);
    return wrong_at(p, n, where, "expected %s, got %s", names, shown(n, what));
}

static int read_texts(problem *p, const char *where, const node *n, texts *to)
{
    char what[80];
    const node *first = n->type == NODE_LIST ? n->first : n;
    to->count = 0;
    to->items = take((size_t)(n->type == NODE_LIST ? n->count + 1 : 1) * sizeof *to->items);
    for (const node *m = first; m; m = n->type == NODE_LIST ? m->next : NULL) {
        if (m->type != NODE_TEXT || !*m->text)
            return wrong_at(p, m, where, "expected a text or a list of texts, got %s",
                            shown(m, what));
        to->items[to->count++] = m->text;
    }
    return to->count > 0 || wrong_at(p, n, where, "expected one text at least, got none");
}

int keys_read_value(problem *p, const char *where, const node *n, const recipe_key *k, void *to)
{
    char what[80];
    switch (k->type) {
    case KEY_TEXT:
        if (n->type != NODE_TEXT && n->type != NODE_NULL)
            return wrong_at(p, n, where, "expected a text, got %s", shown(n, what));
        *(const char **)to = n->type == NODE_TEXT ? n->text : "";
        return 1;
    case KEY_TEXTS: return read_texts(p, where, n, to);
    case KEY_INTEGER: return read_one_integer(p, where, n, k, to);
    case KEY_NUMBER: return read_one_number(p, where, n, k, to);
    case KEY_BOOL:
        if (n->type != NODE_BOOL)
            return wrong_at(p, n, where, "expected true or false, got %s", shown(n, what));
        *(int32_t *)to = n->number != 0;
        return 1;
    case KEY_CHOICE: return read_one_choice(p, where, n, k, to);
    case KEY_OBJECT: return keys_read(p, where, n, k->keys, to);
    case KEY_SCHEDULE: return schedule_read(p, where, n, k->low, k->high, to);
    case KEY_NODE: *(const node **)to = n; return 1;
    }
    return 0;
}

int keys_read(problem *p, const char *where, const node *object, const recipe_key *keys, void *to)
{
    char path[PATH + 80], what[80];
    if (object->type != NODE_OBJECT)
        return wrong_at(p, object, where, "expected an object { .. }, got %s", shown(object, what));
    for (const node *n = object->first; n; n = n->next) {
        const recipe_key *k = keys;
        while (k->name && strcmp(k->name, n->key)) k++;
        if (!k->name) return unknown_key(p, where, n, keys);
        snprintf(path, sizeof path, "%.*s%s%.60s", PATH, where, *where ? "." : "", n->key);
        if (!keys_read_value(p, path, n, k, (char *)to + k->offset)) return 0;
    }
    return 1;
}
