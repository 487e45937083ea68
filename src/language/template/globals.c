/* Functions that every template may call. */
#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "base/os.h"
#include "language/template/render.h"

enum { MOST_RANGE = 100000 }; /* as Jinja's sandbox */

static kd_status range(kd__render *r, const kd__value *self, const kd__arguments *a, kd__value *out)
{
    int64_t numbers[3] = { 0, 0, 1 };
    kd__value made;
    (void)self;
    KD_FAIL_IF(a->count < 1 || a->count > 3 || a->named_count, KD_ERR_INVALID,
               "range: expected 1 to 3 whole numbers");
    for (int64_t i = 0; i < a->count; i++)
        KD_TRY(kd__integer_argument(&a->at[i], "range", &numbers[a->count == 1 ? 1 : i]));
    const int64_t start = numbers[0], stop = numbers[1], step = numbers[2];
    KD_FAIL_IF(!step, KD_ERR_INVALID, "range: expected a step other than 0, got 0");
    const double distance = ((double)stop - (double)start) / (double)step;
    KD_FAIL_IF(distance > MOST_RANGE, KD_ERR_RANGE, "range: expected at most %d numbers",
               MOST_RANGE);
    KD_TRY(kd__list_new(r->room, KD__V_RANGE, 0, &made));
    made.list->start = start, made.list->stop = stop, made.list->step = step;
    for (int64_t at = start; step > 0 ? at < stop : at > stop; at += step) {
        const kd__value number = kd__integer(at);
        KD_TRY(kd__list_add(r->room, &made, &number));
    }
    *out = made;
    return KD_OK;
}

/* A dict of pairs, or of a dict, and of named values. */
static kd_status make_dict(kd__render *r, const kd__value *self, const kd__arguments *a,
                           kd__value *out)
{
    kd__value made;
    kd__list pairs = { 0 }, pair;
    (void)self;
    KD_FAIL_IF(a->count > 1, KD_ERR_INVALID, "dict: expected at most 1 value, got %lld",
               (long long)a->count);
    KD_TRY(kd__dict_new(r->room, &made));
    const kd__value *from = a->count ? &a->at[0] : NULL;
    for (int64_t i = 0; from && from->type == KD__V_DICT && i < from->dict->count; i++)
        KD_TRY(kd__dict_set(r->room, &made, &from->dict->entries[i].key,
                            &from->dict->entries[i].value));
    if (from && from->type != KD__V_DICT) KD_TRY(kd__iterate(r->room, from, &pairs));
    for (int64_t i = 0; i < pairs.count; i++) {
        KD_TRY(kd__iterate(r->room, &pairs.items[i], &pair));
        KD_FAIL_IF(pair.count != 2, KD_ERR_INVALID, "dict: expected pairs, got %lld values",
                   (long long)pair.count);
        KD_TRY(kd__dict_set(r->room, &made, &pair.items[0], &pair.items[1]));
    }
    for (int64_t i = 0; i < a->named_count; i++)
        KD_TRY(kd__dict_set(r->room, &made, &a->named[i].name, &a->named[i].value));
    *out = made;
    return KD_OK;
}

static kd_status make_namespace(kd__render *r, const kd__value *self, const kd__arguments *a,
                                kd__value *out)
{
    KD_TRY(make_dict(r, self, a, out));
    for (int64_t i = 0; i < out->dict->count; i++) {
        const kd__value *key = &out->dict->entries[i].key;
        KD_FAIL_IF(key->type == KD__V_STRING && key->bytes && key->text[0] == '_', KD_ERR_INVALID,
                   "a namespace has no attributes that begin with _");
    }
    out->type = KD__V_NAMESPACE;
    return KD_OK;
}

static kd_status raise_exception(kd__render *r, const kd__value *self, const kd__arguments *a,
                                 kd__value *out)
{
    kd__value text;
    (void)self, (void)out;
    KD_TRY(kd__to_text(r->room, &a->at[0], &text));
    return kd__fail(KD_ERR_INVALID, "the template refuses: %.*s", (int)kd__min(text.bytes, 200),
                    text.text);
}

/* Letters after % that C's strftime and Python's agree on. */
static kd_status check_format(const kd__value *format)
{
    for (int64_t i = 0; i < format->bytes; i++) {
        if (format->text[i] != '%') continue;
        const char c = ++i < format->bytes ? format->text[i] : 0;
        const char *known = c == '-' ? "dmHIMSjyeUWY" : "aAwdbBmyYHIpMSzZjUWcxXGuV%DeFTRhnt";
        if (c == '-') i++;
        KD_FAIL_IF(i >= format->bytes || !format->text[i] || !strchr(known, format->text[i]),
                   KD_ERR_UNSUPPORTED, "strftime_now: %%%.2s is not supported", format->text + i);
    }
    return KD_OK;
}

static kd_status strftime_now(kd__render *r, const kd__value *self, const kd__arguments *a,
                              kd__value *out)
{
    char pattern[256], text[1024];
    kd__value format;
    struct tm parts;
    (void)self;
    KD_TRY(kd__text_argument(&a->at[0], "strftime_now", &format));
    KD_FAIL_IF(format.bytes >= (int64_t)sizeof pattern - 1, KD_ERR_RANGE,
               "strftime_now: the format is longer than 254 bytes");
    KD_TRY(check_format(&format));
    memcpy(pattern, format.text, (size_t)format.bytes);
    pattern[format.bytes] = ' '; /* so that an empty result is told from one that does not fit */
    pattern[format.bytes + 1] = 0;
    const int64_t given = r->options ? r->options->now : 0;
    const time_t now = given ? (time_t)given : time(NULL);
    KD_FAIL_IF(kd__os_date(now, given != 0, &parts), KD_ERR_RANGE, "strftime_now: no such date");
    void *locale = r->room->context->locale;
    const size_t size = kd__os_format_date(locale, text, sizeof text, pattern, &parts);
    KD_FAIL_IF(!size, KD_ERR_RANGE, "strftime_now: the date is longer than %zu bytes", sizeof text);
    return kd__string_copy(r->room, text, (int64_t)size - 1, out);
}

static kd_status refuse(kd__render *r, const kd__value *self, const kd__arguments *a,
                        kd__value *out)
{
    (void)r, (void)self, (void)a, (void)out;
    return kd__fail(KD_ERR_UNSUPPORTED,
                    "the functions lipsum, cycler and joiner are not supported");
}

static const kd__callable globals[] = { { "range", range, NULL, 0 },
                                        { "dict", make_dict, NULL, 0 },
                                        { "namespace", make_namespace, NULL, 0 },
                                        { "raise_exception", raise_exception, "message", 1 },
                                        { "strftime_now", strftime_now, "format", 1 },
                                        { "lipsum", refuse, NULL, 0 },
                                        { "cycler", refuse, NULL, 0 },
                                        { "joiner", refuse, NULL, 0 },
                                        { 0 } };

const kd__callable *kd__global_find(const char *name, int64_t bytes)
{
    return kd__callable_find(globals, name, bytes);
}
