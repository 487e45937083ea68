/* Filters on texts and on any value, and the table of all. */
#include "language/template/filters.h"

#include <string.h>

#include "language/template/characters.h"
#include "language/template/strings.h"

/* soft_str of markupsafe: a text stays what it is, safe or not. */
static kd_status soft_text(kd__render *r, const kd__value *v, kd__value *out)
{
    if (v->type == KD__V_STRING) return *out = *v, KD_OK;
    return kd__to_text(r->room, v, out);
}

static kd_status string(kd__render *r, const kd__value *self, const kd__arguments *a,
                        kd__value *out)
{
    (void)a;
    return soft_text(r, self, out);
}

static kd_status upper(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    kd__value s;
    (void)a;
    KD_TRY(soft_text(r, self, &s));
    return kd__string_case(r, &s, KD__TO_UPPER, out);
}

static kd_status lower(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    kd__value s;
    (void)a;
    KD_TRY(soft_text(r, self, &s));
    return kd__string_case(r, &s, KD__TO_LOWER, out);
}

static kd_status capitalize(kd__render *r, const kd__value *self, const kd__arguments *a,
                            kd__value *out)
{
    kd__value s;
    (void)a;
    KD_TRY(soft_text(r, self, &s));
    return kd__string_capitalize(r, &s, out);
}

static int begins_word(uint32_t c)
{
    return kd__is_space(c) || (c < 128 && c && strchr("-({[<", (int)c));
}

/* Jinja's own: words begin after white space and opening brackets. */
static kd_status title(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    kd__value s;
    kd__sink sink = { 0 };
    int first = 1;
    (void)a;
    KD_TRY(soft_text(r, self, &s));
    for (int64_t at = 0, size; at < s.bytes; at += size) {
        size = kd__character_bytes(s.text[at]);
        const int begins = begins_word(kd__character_at(s.text + at));
        int64_t end = at + size;
        while (!first && !begins && end < s.bytes && !begins_word(kd__character_at(s.text + end)))
            end += kd__character_bytes(s.text[end]);
        kd__value part = kd__string(s.text + at, end - at);
        KD_TRY(kd__string_case(r, &part, first || begins ? KD__TO_UPPER : KD__TO_LOWER, &part));
        KD_TRY(kd__put(r->room, &sink, part.text, part.bytes));
        size = end - at;
        first = begins;
    }
    *out = kd__sink_value(&sink);
    return KD_OK;
}

static kd_status trim(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    kd__value s;
    KD_TRY(soft_text(r, self, &s));
    return kd__string_strip(r, &s, &a->at[0], KD__LEFT | KD__RIGHT, out);
}

static kd_status center(kd__render *r, const kd__value *self, const kd__arguments *a,
                        kd__value *out)
{
    kd__value s;
    int64_t width = 80;
    KD_TRY(kd__integer_argument(&a->at[0], "center: width", &width));
    KD_TRY(soft_text(r, self, &s));
    return kd__string_pad(r, &s, width, ' ', KD__LEFT | KD__RIGHT, out);
}

static kd_status replace(kd__render *r, const kd__value *self, const kd__arguments *a,
                         kd__value *out)
{
    kd__value s, from, to;
    int64_t most = -1;
    if (a->at[2].type != KD__V_NONE)
        KD_TRY(kd__integer_argument(&a->at[2], "replace: count", &most));
    KD_TRY(kd__to_text(r->room, self, &s));
    KD_TRY(kd__to_text(r->room, &a->at[0], &from));
    KD_TRY(kd__to_text(r->room, &a->at[1], &to));
    return kd__string_replace(r, &s, &from, &to, most, out);
}

static kd_status put_indented(kd__render *r, const kd__value *lines, const kd__value *indent,
                              int blank, kd__sink *sink)
{
    for (int64_t i = 0; i < lines->list->count; i++) {
        const kd__value *line = &lines->list->items[i];
        if (i) KD_TRY(kd__put(r->room, sink, "\n", 1));
        if (i && (blank || line->bytes))
            KD_TRY(kd__put(r->room, sink, indent->text, indent->bytes));
        KD_TRY(kd__put(r->room, sink, line->text, line->bytes));
    }
    return KD_OK;
}

static kd_status indent(kd__render *r, const kd__value *self, const kd__arguments *a,
                        kd__value *out)
{
    kd__value with = kd__string("", 0), lines, s, newline = KD_LITERAL("\n");
    kd__sink sink = { 0 };
    int64_t width = 4;
    KD_TRY(kd__text_argument(self, "indent", &s));
    if (a->at[0].type == KD__V_STRING) with = a->at[0];
    else {
        KD_TRY(kd__integer_argument(&a->at[0], "indent: width", &width));
        KD_TRY(kd__string_pad(r, &with, width, ' ', KD__LEFT, &with));
    }
    KD_TRY(kd__binary(r, KD__ADD, &s, &newline, &s)); /* so that an empty last line counts */
    KD_TRY(kd__string_lines(r, &s, 0, &lines));
    if (kd__truth(&a->at[1])) KD_TRY(kd__put(r->room, &sink, with.text, with.bytes));
    KD_TRY(put_indented(r, &lines, &with, kd__truth(&a->at[2]), &sink));
    *out = kd__sink_value(&sink);
    out->safe = self->safe;
    return KD_OK;
}

static kd_status length_of(kd__render *r, const kd__value *v, int64_t *count);

static kd_status truncate(kd__render *r, const kd__value *self, const kd__arguments *a,
                          kd__value *out)
{
    int64_t length = 255, leeway = 5, count;
    kd__value end = KD_LITERAL("..."), s, words, space = KD_LITERAL(" ");
    KD_TRY(kd__integer_argument(&a->at[0], "truncate: length", &length));
    KD_TRY(kd__text_argument(&a->at[2], "truncate: end", &end));
    if (a->at[3].type != KD__V_NONE)
        KD_TRY(kd__integer_argument(&a->at[3], "truncate: leeway", &leeway));
    const int64_t tail = kd__characters(end.text, end.bytes);
    KD_FAIL_IF(length < tail || leeway < 0, KD_ERR_INVALID,
               "truncate: expected a length of at least %lld, and a leeway of at least 0",
               (long long)tail);
    KD_TRY(length_of(r, self, &count));
    if (count <= length + leeway) return *out = *self, KD_OK;
    KD_TRY(kd__text_argument(self, "truncate", &s));
    s.bytes = kd__character_offset(s.text, s.bytes, length - tail);
    if (!kd__truth(&a->at[1])) {
        KD_TRY(kd__string_split(r, &s, &space, 1, KD__RIGHT, &words));
        s = words.list->items[0];
    }
    return kd__binary(r, KD__ADD, &s, &end, out);
}

static kd_status wordcount(kd__render *r, const kd__value *self, const kd__arguments *a,
                           kd__value *out)
{
    kd__value s;
    int64_t count = 0;
    int inside = 0;
    (void)a;
    KD_TRY(soft_text(r, self, &s));
    for (int64_t at = 0; at < s.bytes; at += kd__character_bytes(s.text[at])) {
        const uint32_t c = kd__character_at(s.text + at);
        const int word = c == '_' || (kd__character_class(c) & (KD__ALPHA | KD__NUMERIC));
        count += word && !inside;
        inside = word;
    }
    *out = kd__integer(count);
    return KD_OK;
}

static kd_status safe(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    (void)a;
    KD_TRY(soft_text(r, self, out));
    out->safe = 1;
    return KD_OK;
}

static kd_status escape(kd__render *r, const kd__value *self, const kd__arguments *a,
                        kd__value *out)
{
    (void)a;
    return kd__escaped(r->room, self, out);
}

static kd_status forceescape(kd__render *r, const kd__value *self, const kd__arguments *a,
                             kd__value *out)
{
    kd__value s;
    (void)a;
    KD_TRY(kd__to_text(r->room, self, &s));
    return kd__escaped(r->room, &s, out);
}

static kd_status format(kd__render *r, const kd__value *self, const kd__arguments *a,
                        kd__value *out)
{
    kd__value s, values;
    KD_FAIL_IF(a->count && a->named_count, KD_ERR_INVALID,
               "format: expected values, or values with names, not both");
    KD_TRY(soft_text(r, self, &s));
    KD_TRY(a->named_count ? kd__dict_new(r->room, &values)
                          : kd__list_new(r->room, KD__V_TUPLE, 0, &values));
    for (int64_t i = 0; i < a->count; i++) KD_TRY(kd__list_add(r->room, &values, &a->at[i]));
    for (int64_t i = 0; i < a->named_count; i++)
        KD_TRY(kd__dict_set(r->room, &values, &a->named[i].name, &a->named[i].value));
    return kd__format_percent(r, &s, &values, out);
}

static kd_status length_of(kd__render *r, const kd__value *v, int64_t *count)
{
    if (v->type == KD__V_STRING) KD_TRY(kd__work_bytes(r->room, v->bytes));
    if (v->type == KD__V_STRING) *count = kd__characters(v->text, v->bytes);
    else if (v->type == KD__V_DICT) *count = v->dict->count;
    else if (kd__is_list(v) || kd__is_view(v)) *count = v->list->count;
    else if (v->type == KD__V_LOOP) *count = v->loop->items.count;
    else if (v->type == KD__V_UNDEFINED) *count = 0;
    else return kd__fail(KD_ERR_INVALID, "length: a value of type %s has none", kd__type_name(v));
    return KD_OK;
}

static kd_status length(kd__render *r, const kd__value *self, const kd__arguments *a,
                        kd__value *out)
{
    int64_t count;
    (void)a;
    KD_TRY(length_of(r, self, &count));
    *out = kd__integer(count);
    return KD_OK;
}

static kd_status otherwise(kd__render *r, const kd__value *self, const kd__arguments *a,
                           kd__value *out)
{
    (void)r;
    const int missing = self->type == KD__V_UNDEFINED || (kd__truth(&a->at[1]) && !kd__truth(self));
    *out = !missing ? *self : kd__given(&a->at[0]) ? a->at[0] : kd__string("", 0);
    return KD_OK;
}

static kd_status items(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    if (self->type == KD__V_UNDEFINED) return kd__list_new(r->room, KD__V_ITERATOR, 0, out);
    KD_FAIL_IF(self->type != KD__V_DICT, KD_ERR_INVALID, "items: expected a dict, got %s",
               kd__type_name(self));
    KD_TRY(kd__callable_call(r, kd__method_find(self, "items", 5), self, a, out));
    out->type = KD__V_ITERATOR;
    return KD_OK;
}

/* Attributes alone, not elements. */
static kd_status attribute(kd__render *r, const kd__value *self, const kd__arguments *a,
                           kd__value *out)
{
    kd__value name, v = *self;
    KD_TRY(kd__text_argument(&a->at[0], "attr", &name));
    KD_TRY(kd__need_defined(self));
    const kd__value empty = { .type = v.type };
    if (v.type == KD__V_DICT && !kd__method_find(&empty, name.text, name.bytes)) {
        *out = kd__undefined_of(&v, name.text, name.bytes);
        return KD_OK;
    }
    return kd__attribute(r, &v, &name, out);
}

static const kd__callable filters[] = {
    { "abs", kd__filter_abs, "", 0 },
    { "attr", attribute, "name", 1 },
    { "batch", kd__filter_batch, "linecount fill_with", 1 },
    { "capitalize", capitalize, "", 0 },
    { "center", center, "width", 0 },
    { "count", length, "", 0 },
    { "d", otherwise, "default_value boolean", 0 },
    { "default", otherwise, "default_value boolean", 0 },
    { "dictsort", kd__filter_dictsort, "case_sensitive by reverse", 0 },
    { "e", escape, "", 0 },
    { "escape", escape, "", 0 },
    { "first", kd__filter_first, "", 0 },
    { "float", kd__filter_float, "default", 0 },
    { "forceescape", forceescape, "", 0 },
    { "format", format, NULL, 0 },
    { "groupby", kd__filter_groupby, "attribute default case_sensitive", 1 },
    { "indent", indent, "width first blank", 0 },
    { "int", kd__filter_int, "default base", 0 },
    { "items", items, "", 0 },
    { "join", kd__filter_join, "d attribute", 0 },
    { "last", kd__filter_last, "", 0 },
    { "length", length, "", 0 },
    { "list", kd__filter_list, "", 0 },
    { "lower", lower, "", 0 },
    { "map", kd__filter_map, NULL, 0 },
    { "max", kd__filter_max, "case_sensitive attribute", 0 },
    { "min", kd__filter_min, "case_sensitive attribute", 0 },
    { "reject", kd__filter_reject, NULL, 0 },
    { "rejectattr", kd__filter_rejectattr, NULL, 0 },
    { "replace", replace, "old new count", 2 },
    { "reverse", kd__filter_reverse, "", 0 },
    { "round", kd__filter_round, "precision method", 0 },
    { "safe", safe, "", 0 },
    { "select", kd__filter_select, NULL, 0 },
    { "selectattr", kd__filter_selectattr, NULL, 0 },
    { "slice", kd__filter_slice, "slices fill_with", 1 },
    { "sort", kd__filter_sort, "reverse case_sensitive attribute", 0 },
    { "string", string, "", 0 },
    { "sum", kd__filter_sum, "attribute start", 0 },
    { "title", title, "", 0 },
    { "tojson", kd__filter_tojson, "ensure_ascii indent separators sort_keys", 0 },
    { "trim", trim, "chars", 0 },
    { "truncate", truncate, "length killwords end leeway", 0 },
    { "unique", kd__filter_unique, "case_sensitive attribute", 0 },
    { "upper", upper, "", 0 },
    { "wordcount", wordcount, "", 0 },
    { 0 }
};

const kd__callable *kd__filter_find(const char *name, int64_t bytes)
{
    return kd__callable_find(filters, name, bytes);
}
