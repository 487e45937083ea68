/* Values out of a server's JSON: each that is not what it should be is refused with its place in
 * the line. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "course/import/import.h"

kd_status kd__import_bad(const kd__import *m, const char *what)
{
    char choice[40] = "", item[40] = "";
    if (m->choice >= 0)
        snprintf(choice, sizeof choice, "choices[%lld]%s", (long long)m->choice,
                 m->member ? "." : "");
    if (m->item >= 0) snprintf(item, sizeof item, "[%lld]", (long long)m->item);
    const int placed = m->choice >= 0 || m->member;
    return kd__fail(KD_ERR_FORMAT, "%s%s%s%s%s", choice, m->member ? m->member : "", item,
                    placed ? ": " : "", what);
}

kd_status kd__import_list(kd__import *m, const kd__json *from, const char *name,
                          const kd__json **list)
{
    const kd__json *found = from && from->type == KD__JSON_OBJECT ? kd__json_member(from, name)
                                                                  : NULL;
    char what[120];
    *list = found && found->type != KD__JSON_NULL ? found : NULL;
    if (!*list || found->type == KD__JSON_ARRAY) return KD_OK;
    snprintf(what, sizeof what, "\"%s\": expected a list", name);
    return kd__import_bad(m, what);
}

static int is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (!strcmp(text, *words)) return 1;
    return 0;
}

kd_status kd__import_log(kd__import *m, const kd__json *node, double *log_p)
{
    static const char *const none[] = { "-Infinity", "-inf", "-Inf", "-INF", NULL };
    *log_p = -INFINITY;
    if (node && (node->type == KD__JSON_NULL ||
                 (node->type == KD__JSON_STRING && is_one_of(node->text, none))))
        return KD_OK;
    if (!node || node->type != KD__JSON_NUMBER)
        return kd__import_bad(m, "expected a log-probability: a number or null");
    *log_p = node->number;
    return KD_OK;
}

kd_status kd__import_integer(kd__import *m, const kd__json *node, int64_t *id)
{
    if (node && kd__json_integer(node, 0, UINT32_MAX, id, "an id") == KD_OK) return KD_OK;
    return kd__import_bad(m, "expected a token's id, a whole number");
}

/* The bytes of a token: what they spell counts before its text, which cannot show parts of
 * characters. */
static kd_status id_of_bytes(kd__import *m, const kd__json *bytes, int64_t *id)
{
    char room[4096];
    int64_t n = 0, value;
    for (const kd__json *b = bytes->first; b; b = b->next) {
        if (n == (int64_t)sizeof room || kd__json_integer(b, 0, 255, &value, "a byte") != KD_OK)
            return kd__import_bad(m,
                                  "\"bytes\": expected at most 4096 whole numbers from 0 to 255");
        room[n++] = (char)value;
    }
    *id = kd__import_id(m, room, n);
    return KD_OK;
}

static const kd__json *member_of(const kd__json *node, const char *const *names)
{
    for (; *names; names++) {
        const kd__json *found = kd__json_member(node, *names);
        if (found) return found;
    }
    return NULL;
}

static kd_status object_id(kd__import *m, const kd__json *node, int64_t *id)
{
    static const char *const texts[] = { "token", "text", "tok_str", "content", NULL };
    const kd__json *given = kd__json_member(node, "id"), *bytes = kd__json_member(node, "bytes"),
                   *text = member_of(node, texts);
    if (given && given->type == KD__JSON_NUMBER) return kd__import_integer(m, given, id);
    if (bytes && bytes->type == KD__JSON_ARRAY && bytes->children) return id_of_bytes(m, bytes, id);
    if (!text || text->type != KD__JSON_STRING)
        return kd__import_bad(m,
                              "an entry without a token: expected \"token\", \"bytes\" or \"id\"");
    *id = kd__import_id(m, text->text, text->length);
    return KD_OK;
}

kd_status kd__import_object(kd__import *m, const kd__json *node, int64_t *id, double *log_p)
{
    if (node->type != KD__JSON_OBJECT)
        return kd__import_bad(m, "expected an object for each entry");
    const kd__json *log = kd__json_member(node, "logprob"), *p = kd__json_member(node, "prob");
    if (!log && p) {
        if (p->type != KD__JSON_NUMBER || !(p->number >= 0))
            return kd__import_bad(m, "\"prob\": expected a number from 0 to 1");
        *log_p = log1p(p->number - 1);
    } else KD_TRY(kd__import_log(m, log, log_p));
    return object_id(m, node, id);
}

kd_status kd__import_prompt(kd__import *m, const kd__json *line, const kd__json *choice)
{
    const kd__json *ids;
    int64_t id;
    KD_TRY(kd__import_list(m, choice, "prompt_token_ids", &ids));
    if (!ids) KD_TRY(kd__import_list(m, line, "prompt_token_ids", &ids));
    for (const kd__json *n = ids ? ids->first : NULL; n; n = n->next) {
        KD_TRY(kd__import_integer(m, n, &id));
        KD_TRY(kd__import_token(m, id));
    }
    return KD_OK;
}
