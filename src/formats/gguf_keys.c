/* Metadata keys of GGUF files against a table of what a reader knows. */
#include "formats/gguf_keys.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/numbers.h"

typedef struct {
    const kd__gguf *file;
    const kd__gguf_pair *pair;
    const kd__gguf_key *key;
    double layers;
    char name[96], shown[80];
} question;

static const kd__gguf_key *find_key(const kd__gguf_table *table, kd__gguf_string name)
{
    for (size_t i = 0; i < table->count; i++)
        if (kd__gguf_equals(name, table->keys[i].name)) return &table->keys[i];
    return NULL;
}

static kd_status check_number(const question *q)
{
    const kd__gguf_pair *p = q->pair;
    double value = NAN;
    const int same = kd__gguf_uniform(p, &value), list = p->type == KD__GGUF_ARRAY;
    const int fits = same && q->key->kind == KD__GGUF_LAYERS && (double)p->count == q->layers;
    KD_FAIL_IF(list && !fits, KD_ERR_UNSUPPORTED,
               "%s: the key %s is a list, %s: only one number for all layers is supported",
               q->file->what, q->name, q->shown);
    KD_FAIL_IF(!same || !isfinite(value), KD_ERR_FORMAT,
               "%s: the key %s: expected a number, got %s", q->file->what, q->name, q->shown);
    KD_FAIL_IF(q->key->kind == KD__GGUF_FIXED && value != q->key->value, KD_ERR_UNSUPPORTED,
               "%s: the key %s is %s and changes the result: only %g is supported", q->file->what,
               q->name, q->shown, q->key->value);
    return KD_OK;
}

static kd_status check_key(const question *q)
{
    KD_FAIL_IF(!q->key, KD_ERR_UNSUPPORTED,
               "%s: the key %s (%s) is unknown and may change the result", q->file->what, q->name,
               q->shown);
    switch (q->key->kind) {
    case KD__GGUF_HARMLESS: return KD_OK;
    case KD__GGUF_TEXT:
        KD_FAIL_IF(q->pair->type != KD__GGUF_STRING, KD_ERR_FORMAT,
                   "%s: the key %s: expected a text, got %s", q->file->what, q->name, q->shown);
        return KD_OK;
    case KD__GGUF_LIST:
        KD_FAIL_IF(q->pair->type != KD__GGUF_ARRAY, KD_ERR_FORMAT,
                   "%s: the key %s: expected a list, got %s", q->file->what, q->name, q->shown);
        return KD_OK;
    default: return check_number(q);
    }
}

kd_status kd__gguf_check(const kd__gguf *file, const char *prefix, const kd__gguf_table *table)
{
    const int64_t shared = (int64_t)strlen(prefix);
    for (int64_t i = 0; i < file->pair_count; i++) {
        const kd__gguf_pair *p = &file->pairs[i];
        question q = { .file = file, .pair = p, .layers = table->layers };
        if (p->key.bytes < shared || memcmp(p->key.text, prefix, (size_t)shared)) continue;
        const kd__gguf_string rest = { p->key.text + shared, p->key.bytes - shared };
        q.key = find_key(table, rest);
        snprintf(q.name, sizeof q.name, "%.*s", (int)kd__min(p->key.bytes, 90), p->key.text);
        kd__gguf_show(p, q.shown, sizeof q.shown);
        KD_TRY(check_key(&q));
    }
    return KD_OK;
}
