/* The filter tojson: json.dumps of Python, without the escaping of HTML that Jinja's own has. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "language/template/characters.h"
#include "language/template/filters.h"
#include "language/template/list.h"
#include "language/template/render.h"

enum { MOST_DEPTH = 32 };

typedef struct {
    kd__render *r;
    kd__sink sink;
    kd__value indent; /* KD__V_ABSENT: on one line */
    kd__value item_separator, key_separator;
    int32_t ascii, sorted;
} writer;

static kd_status put(writer *w, const char *text)
{
    return kd__put_text(w->r->room, &w->sink, text);
}

static kd_status put_escaped(writer *w, uint32_t c)
{
    char text[16];
    if (c >= 0x10000)
        snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                 0xdc00 + ((c - 0x10000) & 0x3ff));
    else snprintf(text, sizeof text, "\\u%04x", c);
    return put(w, text);
}

static kd_status put_string(writer *w, const kd__value *v)
{
    static const char from[] = "\"\\\n\r\t\b\f", into[] = "\"\\nrtbf";
    int64_t plain = 0, at = 0;
    KD_TRY(put(w, "\""));
    while (at < v->bytes) {
        const uint32_t c = kd__character_at(v->text + at);
        const int32_t size = kd__character_bytes(v->text[at]);
        if (c >= 32 && c != '"' && c != '\\' && (c < 127 || !w->ascii)) {
            at += size;
            continue;
        }
        KD_TRY(kd__put(w->r->room, &w->sink, v->text + plain, at - plain));
        plain = at += size;
        const char *found = c && c < 128 ? strchr(from, (int)c) : NULL;
        const char escape[2] = { '\\', found ? into[found - from] : 0 };
        KD_TRY(found ? kd__put(w->r->room, &w->sink, escape, 2) : put_escaped(w, c));
    }
    KD_TRY(kd__put(w->r->room, &w->sink, v->text + plain, at - plain));
    return put(w, "\"");
}

static kd_status put_scalar(writer *w, const kd__value *v)
{
    char text[40];
    switch (v->type) {
    case KD__V_NONE: return put(w, "null");
    case KD__V_BOOL: return put(w, v->integer ? "true" : "false");
    case KD__V_INTEGER:
    case KD__V_BIG: return kd__put_repr(w->r->room, &w->sink, v, 0);
    case KD__V_FLOAT:
        if (!isfinite(v->number))
            return put(w, isnan(v->number) ? "NaN" : v->number < 0 ? "-Infinity" : "Infinity");
        kd__float_text(w->r->room->context, v->number, text);
        return put(w, text);
    case KD__V_STRING: return put_string(w, v);
    default:
        return kd__fail(KD_ERR_INVALID, "tojson: a value of type %s cannot be written as JSON",
                        kd__type_name(v));
    }
}

static kd_status put_line(writer *w, int32_t depth)
{
    if (!kd__given(&w->indent)) return KD_OK;
    KD_TRY(put(w, "\n"));
    for (int32_t i = 0; i < depth; i++)
        KD_TRY(kd__put(w->r->room, &w->sink, w->indent.text, w->indent.bytes));
    return KD_OK;
}

static kd_status put_value(writer *w, const kd__value *v, int32_t depth);

static kd_status put_list(writer *w, const kd__list *list, int32_t depth)
{
    if (!list->count) return put(w, "[]");
    KD_TRY(put(w, "["));
    for (int64_t i = 0; i < list->count; i++) {
        if (i)
            KD_TRY(kd__put(w->r->room, &w->sink, w->item_separator.text, w->item_separator.bytes));
        KD_TRY(put_line(w, depth + 1));
        KD_TRY(put_value(w, &list->items[i], depth + 1));
    }
    KD_TRY(put_line(w, depth));
    return put(w, "]");
}

/* Keys are texts; of other scalars, their text. */
static kd_status put_key(writer *w, const kd__value *key)
{
    if (key->type == KD__V_STRING) return put_string(w, key);
    KD_FAIL_IF(key->type != KD__V_NONE && !kd__is_number(key), KD_ERR_INVALID,
               "tojson: a value of type %s cannot be a key in JSON", kd__type_name(key));
    KD_TRY(put(w, "\""));
    KD_TRY(put_scalar(w, key));
    return put(w, "\"");
}

static kd_status put_entry(writer *w, const kd__dict_entry *e, int32_t depth)
{
    KD_TRY(put_line(w, depth + 1));
    KD_TRY(put_key(w, &e->key));
    KD_TRY(kd__put(w->r->room, &w->sink, w->key_separator.text, w->key_separator.bytes));
    return put_value(w, &e->value, depth + 1);
}

static kd_status sorted_entries(writer *w, const kd__dict *dict, kd__list *order)
{
    *order = (kd__list){ 0 };
    KD_TRY(KD_TAKE(w->r->room, &order->items, dict->count));
    for (int64_t i = 0; i < dict->count; i++)
        KD_TRY(kd__pair_new(w->r->room, &dict->entries[i].key, &dict->entries[i].value,
                            &order->items[i]));
    order->count = dict->count;
    return w->sorted ? kd__sort_by(w->r, order, kd__by_first, NULL, 0) : KD_OK;
}

static kd_status put_dict(writer *w, const kd__dict *dict, int32_t depth)
{
    kd__list order;
    if (!dict->count) return put(w, "{}");
    KD_TRY(sorted_entries(w, dict, &order));
    KD_TRY(put(w, "{"));
    for (int64_t i = 0; i < order.count; i++) {
        const kd__dict_entry e = { order.items[i].list->items[0], order.items[i].list->items[1] };
        if (i)
            KD_TRY(kd__put(w->r->room, &w->sink, w->item_separator.text, w->item_separator.bytes));
        KD_TRY(put_entry(w, &e, depth));
    }
    KD_TRY(put_line(w, depth));
    return put(w, "}");
}

static kd_status put_value(writer *w, const kd__value *v, int32_t depth)
{
    KD_FAIL_IF(depth > MOST_DEPTH, KD_ERR_RANGE, "tojson: values nested deeper than %d",
               MOST_DEPTH);
    if (v->type == KD__V_LIST || v->type == KD__V_TUPLE) return put_list(w, v->list, depth);
    return v->type == KD__V_DICT ? put_dict(w, v->dict, depth) : put_scalar(w, v);
}

/* indent: a number of spaces, or a text. */
static kd_status read_indent(writer *w, const kd__value *v)
{
    kd__sink spaces = { 0 };
    if (!kd__given(v) || v->type == KD__V_NONE) return KD_OK;
    if (v->type == KD__V_STRING) return w->indent = *v, KD_OK;
    int64_t count = 0;
    KD_TRY(kd__integer_argument(v, "tojson: indent", &count));
    KD_FAIL_IF(count > 1000, KD_ERR_RANGE, "tojson: indent: expected at most 1000, got %lld",
               (long long)count);
    for (int64_t i = 0; i < count; i++) KD_TRY(kd__put(w->r->room, &spaces, " ", 1));
    w->indent = kd__sink_value(&spaces);
    return KD_OK;
}

static kd_status read_separators(writer *w, const kd__value *v)
{
    kd__list pair;
    if (!kd__given(v) || v->type == KD__V_NONE) return KD_OK;
    KD_TRY(kd__iterate(w->r->room, v, &pair));
    KD_FAIL_IF(pair.count != 2, KD_ERR_INVALID, "tojson: separators: expected 2 texts, got %lld",
               (long long)pair.count);
    KD_TRY(kd__text_argument(&pair.items[0], "tojson: separators", &w->item_separator));
    return kd__text_argument(&pair.items[1], "tojson: separators", &w->key_separator);
}

kd_status kd__filter_tojson(kd__render *r, const kd__value *self, const kd__arguments *a,
                            kd__value *out)
{
    writer w = { .r = r, .key_separator = KD_LITERAL(": ") };
    w.ascii = kd__truth(&a->at[0]);
    w.sorted = kd__truth(&a->at[3]);
    KD_TRY(read_indent(&w, &a->at[1]));
    w.item_separator = kd__given(&w.indent) ? KD_LITERAL(",") : KD_LITERAL(", ");
    KD_TRY(read_separators(&w, &a->at[2]));
    KD_TRY(put_value(&w, self, 0));
    *out = kd__sink_value(&w.sink);
    return KD_OK;
}
