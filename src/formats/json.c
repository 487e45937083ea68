/* The JSON reader. */
#include "formats/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"

#define MAX_DEPTH 64
#define MOST_DIGITS 4300 /* of a number, as Python's int() takes */

typedef struct {
    kd__json_document *document;
    const char *what, *text, *at, *end;
    char *string; /* where the next decoded string goes */
    int64_t used;
    int depth;
} parser;

static kd_status bad(const parser *p, const char *why)
{
    return kd__fail(KD_ERR_FORMAT, "%s%sJSON: %s at byte %lld", p->what, *p->what ? ": " : "", why,
                    (long long)(p->at - p->text));
}

static void skip_space(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t'))
        p->at++;
}

static int hex4(const char *s)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

static void put_utf8(parser *p, uint32_t c)
{
    if (c < 0x80) *p->string++ = (char)c;
    else if (c < 0x800) {
        *p->string++ = (char)(0xc0 | c >> 6);
        *p->string++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *p->string++ = (char)(0xe0 | c >> 12);
        *p->string++ = (char)(0x80 | (c >> 6 & 63));
        *p->string++ = (char)(0x80 | (c & 63));
    } else {
        *p->string++ = (char)(0xf0 | c >> 18);
        *p->string++ = (char)(0x80 | (c >> 12 & 63));
        *p->string++ = (char)(0x80 | (c >> 6 & 63));
        *p->string++ = (char)(0x80 | (c & 63));
    }
}

/* \uXXXX, with its low surrogate when it has one; at points behind "\u". */
static kd_status parse_unicode(parser *p)
{
    int unit = p->end - p->at >= 4 ? hex4(p->at) : -1;
    if (unit < 0) return bad(p, "a \\u escape needs four hex digits");
    p->at += 4;
    uint32_t c = (uint32_t)unit;
    if (c >= 0xd800 && c < 0xdc00 && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u') {
        int low = hex4(p->at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
            p->at += 6;
        }
    }
    if (c >= 0xd800 && c < 0xe000) c = 0xfffd;
    put_utf8(p, c);
    return KD_OK;
}

static kd_status parse_escape(parser *p)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (p->at == p->end) return bad(p, "unfinished escape");
    char c = *p->at++;
    if (c == 'u') return parse_unicode(p);
    const char *found = c ? strchr(from, c) : NULL;
    if (!found) return bad(p, "unknown escape");
    *p->string++ = to[found - from];
    return KD_OK;
}

static kd_status parse_string(parser *p, const char **text, int64_t *length)
{
    char *start = p->string;
    p->at++;
    while (p->at < p->end && *p->at != '"') {
        if ((unsigned char)*p->at < 32) return bad(p, "control character in a string");
        if (*p->at == '\\') {
            p->at++;
            KD_TRY(parse_escape(p));
        } else *p->string++ = *p->at++;
    }
    if (p->at == p->end) return bad(p, "unfinished string");
    p->at++;
    *text = start;
    *length = p->string - start;
    *p->string++ = 0;
    return KD_OK;
}

static int is_digit(const parser *p) { return p->at < p->end && *p->at >= '0' && *p->at <= '9'; }

/* What Python's json writes for numbers that JSON has no text for. */
static kd_status no_value(const parser *p)
{
    static const char *const names[] = { "NaN", "Infinity" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t length = strlen(names[i]);
        if ((size_t)(p->end - p->at) < length || memcmp(p->at, names[i], length)) continue;
        return bad(p, i ? "Infinity is no JSON: expected a number or null"
                        : "NaN is no JSON: expected a number or null");
    }
    return bad(p, "expected a value");
}

/* The number's own text goes beside its value: a double does not hold every whole number. */
static void keep_digits(parser *p, kd__json *node, const char *start)
{
    node->text = p->string;
    node->length = p->at - start;
    memcpy(p->string, start, (size_t)node->length);
    p->string += node->length;
    *p->string++ = 0;
    node->number = kd__parse_double(p->document->context, node->text, NULL);
}

static kd_status parse_number(parser *p, kd__json *node)
{
    const char *start = p->at;
    if (*p->at == '-') p->at++;
    if (!is_digit(p)) return no_value(p);
    if (*p->at == '0') p->at++;
    else
        while (is_digit(p)) p->at++;
    if (p->at < p->end && *p->at == '.') {
        p->at++;
        if (!is_digit(p)) return bad(p, "expected a digit");
        while (is_digit(p)) p->at++;
    }
    if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-')) p->at++;
        if (!is_digit(p)) return bad(p, "expected a digit");
        while (is_digit(p)) p->at++;
    }
    if (p->at - start > MOST_DIGITS) return bad(p, "a number of more than 4300 characters");
    keep_digits(p, node, start);
    return KD_OK;
}

static kd_status parse_value(parser *p, kd__json **out);

static kd_status parse_word(parser *p, kd__json *node, const char *word, int32_t type,
                            double number)
{
    size_t length = strlen(word);
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length))
        return bad(p, "expected a value");
    p->at += length;
    node->type = type;
    node->number = number;
    return KD_OK;
}

static kd_status parse_key(parser *p, const char **key)
{
    int64_t length;
    skip_space(p);
    if (p->at == p->end || *p->at != '"') return bad(p, "expected a key");
    KD_TRY(parse_string(p, key, &length));
    if ((int64_t)strlen(*key) != length) return bad(p, "a key with a zero byte");
    skip_space(p);
    if (p->at == p->end || *p->at != ':') return bad(p, "expected ':'");
    p->at++;
    return KD_OK;
}

static kd_status parse_members(parser *p, kd__json *node)
{
    char close = node->type == KD__JSON_OBJECT ? '}' : ']';
    kd__json **tail = &node->first;
    if (++p->depth > MAX_DEPTH) return bad(p, "nested deeper than 64");
    p->at++;
    skip_space(p);
    if (p->at < p->end && *p->at == close) {
        p->at++;
        p->depth--;
        return KD_OK;
    }
    for (;;) {
        const char *key = NULL;
        if (node->type == KD__JSON_OBJECT) KD_TRY(parse_key(p, &key));
        KD_TRY(parse_value(p, tail));
        (*tail)->key = key;
        tail = &(*tail)->next;
        node->children++;
        skip_space(p);
        if (p->at < p->end && *p->at == ',') p->at++;
        else break;
    }
    if (p->at == p->end || *p->at != close)
        return bad(p,
                   node->type == KD__JSON_OBJECT ? "expected ',' or '}'" : "expected ',' or ']'");
    p->at++;
    p->depth--;
    return KD_OK;
}

static kd_status parse_value(parser *p, kd__json **out)
{
    skip_space(p);
    if (p->at == p->end) return bad(p, "expected a value");
    kd__json *node = &p->document->nodes[p->used++];
    *out = node;
    switch (*p->at) {
    case '"': node->type = KD__JSON_STRING; return parse_string(p, &node->text, &node->length);
    case '{': node->type = KD__JSON_OBJECT; return parse_members(p, node);
    case '[': node->type = KD__JSON_ARRAY; return parse_members(p, node);
    case 't': return parse_word(p, node, "true", KD__JSON_BOOL, 1);
    case 'f': return parse_word(p, node, "false", KD__JSON_BOOL, 0);
    case 'n': return parse_word(p, node, "null", KD__JSON_NULL, 0);
    default: node->type = KD__JSON_NUMBER; return parse_number(p, node);
    }
}

/* Every value ends at a comma, a bracket or the end: so many nodes are enough. */
static int64_t most_nodes(const char *text, size_t size)
{
    int64_t count = 2;
    for (size_t i = 0; i < size; i++) count += text[i] == ',' || text[i] == '[' || text[i] == '{';
    return count;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static kd_status check_duplicates(const parser *p, const char **keys)
{
    for (int64_t n = 0; n < p->used; n++) {
        const kd__json *object = &p->document->nodes[n];
        int64_t count = 0;
        if (object->type != KD__JSON_OBJECT) continue;
        for (const kd__json *member = object->first; member; member = member->next)
            keys[count++] = member->key;
        qsort(keys, (size_t)count, sizeof *keys, compare_keys);
        for (int64_t i = 1; i < count; i++)
            KD_FAIL_IF(!strcmp(keys[i - 1], keys[i]), KD_ERR_FORMAT,
                       "%s%sJSON: the key \"%.80s\" appears twice in one object", p->what,
                       *p->what ? ": " : "", keys[i]);
    }
    return KD_OK;
}

static kd_status parse_all(parser *p)
{
    kd__json_document *document = p->document;
    KD_TRY(parse_value(p, &document->root));
    skip_space(p);
    if (p->at != p->end) return bad(p, "more text behind the value");
    const char **keys = NULL;
    KD_TRY(kd__allocate(document->context, (void **)&keys, p->used, sizeof *keys));
    kd_status status = check_duplicates(p, keys);
    kd__release(document->context, keys);
    return status;
}

kd_status kd__json_parse(kd__json_document *document, kd_context *context, const char *text,
                         size_t size, const char *what)
{
    kd__json_document made = { .context = context };
    parser p = { .document = &made, .what = what, .text = text, .at = text, .end = text + size };
    kd_status status;
    KD_TRY_GOTO(status, KD_NEW(context, &made.nodes, most_nodes(text, size)), failed);
    KD_TRY_GOTO(status, KD_NEW(context, &made.strings, (int64_t)size + 1), failed);
    p.string = made.strings;
    KD_TRY_GOTO(status, parse_all(&p), failed);
    *document = made;
    return KD_OK;
failed:
    kd__json_free(&made);
    return status;
}

void kd__json_free(kd__json_document *document)
{
    if (!document->context) return;
    kd__release(document->context, document->nodes);
    kd__release(document->context, document->strings);
    *document = (kd__json_document){ 0 };
}

const kd__json *kd__json_member(const kd__json *object, const char *key)
{
    if (!object || object->type != KD__JSON_OBJECT) return NULL;
    for (const kd__json *member = object->first; member; member = member->next)
        if (!strcmp(member->key, key)) return member;
    return NULL;
}

kd_status kd__json_integer(const kd__json *node, int64_t low, int64_t high, int64_t *value,
                           const char *what)
{
    KD_FAIL_IF(node->type != KD__JSON_NUMBER || node->number != floor(node->number), KD_ERR_CONFIG,
               "%s: expected a whole number", what);
    KD_FAIL_IF(!(node->number >= (double)low && node->number <= (double)high), KD_ERR_CONFIG,
               "%s: expected %lld to %lld, got %g", what, (long long)low, (long long)high,
               node->number);
    *value = (int64_t)node->number;
    return KD_OK;
}

void kd__json_set(kd__json *node, double number)
{
    node->number = number;
    node->text = NULL;
}

kd_status kd__json_write(kd__text *to, const kd__json *node)
{
    const int object = node->type == KD__JSON_OBJECT;
    if (node->type == KD__JSON_NULL) return kd__text_append(to, "null", 4);
    if (node->type == KD__JSON_BOOL)
        return node->number != 0 ? kd__text_append(to, "true", 4) : kd__text_append(to, "false", 5);
    if (node->type == KD__JSON_NUMBER)
        return node->text ? kd__text_append(to, node->text, (size_t)node->length)
                          : kd__text_number(to, node->number);
    if (node->type == KD__JSON_STRING) return kd__text_quoted(to, node->text);
    KD_TRY(kd__text_append(to, object ? "{" : "[", 1));
    for (const kd__json *n = node->first; n; n = n->next) {
        if (n != node->first) KD_TRY(kd__text_append(to, ",", 1));
        if (object) {
            KD_TRY(kd__text_quoted(to, n->key));
            KD_TRY(kd__text_append(to, ":", 1));
        }
        KD_TRY(kd__json_write(to, n));
    }
    return kd__text_append(to, object ? "}" : "]", 1);
}
