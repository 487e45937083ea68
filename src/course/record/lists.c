/* Ids with what of them is learned, and log-probabilities. */
#include <math.h>
#include <string.h>

#include "course/record/shape.h"

static const char *const id_names[] = { "input_ids", "ids", "tokens", NULL };
/* 1 where a token is learned: this library's, TRL's and transformers' names. */
static const char *const mask_names[] = {
    "mask", "loss_mask", "completion_mask", "assistant_masks", "assistant_mask", NULL
};

static kd_status check_list(const kd__json *list, const kd__json *ids)
{
    if (list->type != KD__JSON_ARRAY || list->children != ids->children)
        BAD("'%s': expected a list of %d numbers, as many as ids", list->key, ids->children);
    for (const kd__json *one = list->first; one; one = one->next)
        if (one->type != KD__JSON_NUMBER && one->type != KD__JSON_BOOL)
            BAD("'%s': expected numbers", list->key);
    return KD_OK;
}

/* The record's mask, all of it learned at first. */
static kd_status make_mask(kd__shape *s)
{
    uint8_t *mask = NULL;
    if (s->record.mask) return KD_OK;
    KD_TRY(kd__arena_take(&s->arena, s->record.tokens, (void **)&mask));
    memset(mask, 1, (size_t)s->record.tokens);
    s->record.mask = mask;
    return KD_OK;
}

/* What several masks say is learned where all of them say so. */
static kd_status read_mask(kd__shape *s, const kd__json *ids, const char *name)
{
    const kd__json *list = kd__use_one(s, name);
    int64_t i = 0;
    if (!list) return KD_OK;
    KD_TRY(check_list(list, ids));
    KD_TRY(make_mask(s));
    uint8_t *mask = (uint8_t *)(uintptr_t)s->record.mask;
    for (const kd__json *one = list->first; one; one = one->next, i++) {
        if (one->number != 0 && one->number != 1)
            BAD("'%s': expected 0 or 1, got %.20s", name, one->text);
        mask[i] &= one->number != 0;
    }
    return KD_OK;
}

/* Labels are the ids, or -100 (any number below 0) where nothing is learned. */
static kd_status read_labels(kd__shape *s, const kd__json *ids)
{
    const kd__json *labels = kd__use_one(s, "labels"), *id = ids->first;
    int64_t i = 0;
    if (!labels) return KD_OK;
    KD_TRY(check_list(labels, ids));
    KD_TRY(make_mask(s));
    uint8_t *mask = (uint8_t *)(uintptr_t)s->record.mask;
    for (const kd__json *one = labels->first; one; one = one->next, id = id->next, i++) {
        mask[i] &= one->number >= 0;
        if (one->type != KD__JSON_NUMBER) BAD("'labels': expected numbers");
        if (one->number >= 0 && one->number != id->number)
            BAD("'labels': expected the ids themselves or -100, got %.20s for id %.20s", one->text,
                id->text);
    }
    return KD_OK;
}

/* Padding, at the beginning or the end, is left out. */
static kd_status cut_padding(kd__shape *s, const kd__json *ids)
{
    const kd__json *list = kd__use_one(s, "attention_mask");
    int64_t first = -1, last = -1, ones = 0, i = 0;
    if (!list) return KD_OK;
    KD_TRY(check_list(list, ids));
    for (const kd__json *one = list->first; one; one = one->next, i++) {
        if (one->number == 0) continue;
        if (first < 0) first = i;
        last = i;
        ones++;
    }
    if (!ones) BAD("'attention_mask': expected at least one token that is not padding");
    if (ones != last - first + 1)
        BAD("'attention_mask': expected padding before or after the tokens, got some between them");
    s->record.ids += first;
    s->record.tokens = ones;
    if (s->record.mask) s->record.mask += first;
    return KD_OK;
}

kd_status kd__read_ids(kd__shape *s)
{
    const kd__json *ids = kd__find(s->document.root, id_names);
    int32_t *made = NULL;
    int64_t i = 0, value;
    if (!ids || ids->type != KD__JSON_ARRAY) return KD_OK;
    kd__used(s, ids);
    if (!ids->children) BAD("ids: expected a list of whole numbers");
    KD_TRY(kd__arena_take(&s->arena, ids->children * (int64_t)sizeof *made, (void **)&made));
    for (const kd__json *id = ids->first; id; id = id->next) {
        KD_TRY(kd__json_integer(id, 0, INT32_MAX, &value, "ids"));
        made[i++] = (int32_t)value;
    }
    s->record.ids = made;
    s->record.tokens = i;
    for (const char *const *name = mask_names; *name; name++) KD_TRY(read_mask(s, ids, *name));
    KD_TRY(read_labels(s, ids));
    return cut_padding(s, ids);
}

/* ---- log-probabilities ---- */

/* Bytes of a server's token. */
static int64_t token_bytes(const kd__json *entry)
{
    const kd__json *token = kd__json_member(entry, "token"),
                   *bytes = kd__json_member(entry, "bytes");
    if (bytes && bytes->type == KD__JSON_ARRAY) return bytes->children;
    return token && token->type == KD__JSON_STRING ? token->length : 0;
}

/* [-0.1, ..] with ends, or {"content": [{"token": "..", "bytes": [..], "logprob": ..}]}. */
kd_status kd__read_logprobs(kd__shape *s, const kd__json *node, const kd__json *ends, kd_record *r)
{
    double *logprobs = NULL;
    int64_t *at = NULL, end = 0;
    int32_t n = 0;
    if (!node || node->type == KD__JSON_NULL) return KD_OK;
    if (node->type == KD__JSON_OBJECT) node = kd__json_member(node, "content");
    /* some servers' other forms: kept in "extra" only */
    if (!node || node->type != KD__JSON_ARRAY) return KD_OK;
    KD_TRY(
        kd__arena_take(&s->arena, node->children * (int64_t)sizeof *logprobs, (void **)&logprobs));
    KD_TRY(kd__arena_take(&s->arena, node->children * (int64_t)sizeof *at, (void **)&at));
    const int plain = !node->first || node->first->type == KD__JSON_NUMBER;
    if (plain && ends && (ends->type != KD__JSON_ARRAY || ends->children != node->children))
        BAD("logprob_ends: expected as many numbers as logprobs");
    const kd__json *given = plain && ends ? ends->first : NULL;
    for (const kd__json *one = node->first; one; one = one->next, n++) {
        const kd__json *value = plain ? one : kd__json_member(one, "logprob");
        if (!value || value->type != KD__JSON_NUMBER) BAD("logprobs: entry %d has no number", n);
        if (!isfinite(value->number))
            BAD("logprobs: entry %d: a double does not hold %.20s", n, value->text);
        logprobs[n] = value->number;
        if (!plain) end += token_bytes(one);
        if (given) {
            KD_TRY(kd__json_integer(given, 0, (int64_t)1 << 40, &end, "logprob_ends"));
            given = given->next;
        }
        at[n] = end;
    }
    r->logprobs = logprobs;
    r->logprob_ends = plain && !ends ? NULL : at;
    r->logprob_count = n;
    return KD_OK;
}
