/* The reader of recipes and of a run's log. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool/say.h"
#include "tool/tree.h"

enum { DEEPEST = 32, BLOCK = 1 << 16 };

typedef struct tree_block {
    struct tree_block *next;
    size_t used, size;
    char bytes[];
} tree_block;

typedef struct {
    tree *to;
    const char *at, *end;
    int line, depth;
} cursor;

static node *read_value(cursor *c);

/* ---- memory ---- */

static void *tree_take(tree *t, size_t bytes)
{
    tree_block *b = t->blocks;
    bytes = (bytes + 15) / 16 * 16;
    if (!b || b->size - b->used < bytes) {
        const size_t size = bytes > BLOCK ? bytes : BLOCK;
        b = take(sizeof *b + size);
        b->size = size;
        b->next = t->blocks;
        t->blocks = b;
    }
    b->used += bytes;
    return b->bytes + b->used - bytes;
}

void tree_free(tree *t)
{
    while (t->blocks) {
        tree_block *next = t->blocks->next;
        free(t->blocks);
        t->blocks = next;
    }
    t->root = NULL;
}

/* ---- errors ---- */

__attribute__((format(printf, 2, 3))) static node *wrong(cursor *c, const char *format, ...)
{
    va_list arguments;
    const int n = snprintf(c->to->error, sizeof c->to->error / 2, "%s:%d: ", c->to->name, c->line);
    va_start(arguments, format);
    vsnprintf(c->to->error + n, sizeof c->to->error - (size_t)n, format, arguments);
    va_end(arguments);
    return NULL;
}

/* What stands at the cursor, for a message. */
static const char *found(const cursor *c, char to[16])
{
    const unsigned char x = c->at < c->end ? (unsigned char)*c->at : 0;
    if (c->at >= c->end) return "the end of the file";
    if (x > ' ' && x < 127) snprintf(to, 16, "'%c'", x);
    else snprintf(to, 16, "byte 0x%02x", x);
    return to;
}

/* ---- pieces ---- */

static void skip_space(cursor *c)
{
    for (; c->at < c->end; c->at++) {
        if (*c->at == '\n') c->line++;
        else if (*c->at == '/' && c->at + 1 < c->end && c->at[1] == '/') {
            while (c->at + 1 < c->end && c->at[1] != '\n') c->at++;
        } else if (*c->at != ' ' && *c->at != '\t' && *c->at != '\r') return;
    }
}

static int hex4(const char *at, const char *end, unsigned *value)
{
    *value = 0;
    if (end - at < 4) return 0;
    for (int i = 0; i < 4; i++) {
        const char x = at[i];
        const int digit = x >= '0' && x <= '9'   ? x - '0'
                          : x >= 'a' && x <= 'f' ? x - 'a' + 10
                          : x >= 'A' && x <= 'F' ? x - 'A' + 10
                                                 : -1;
        if (digit < 0) return 0;
        *value = *value * 16 + (unsigned)digit;
    }
    return 1;
}

static int put_utf8(char *to, unsigned x)
{
    if (x < 0x80) return to[0] = (char)x, 1;
    if (x < 0x800) return to[0] = (char)(0xc0 | x >> 6), to[1] = (char)(0x80 | (x & 63)), 2;
    if (x < 0x10000) {
        to[0] = (char)(0xe0 | x >> 12);
        to[1] = (char)(0x80 | (x >> 6 & 63));
        to[2] = (char)(0x80 | (x & 63));
        return 3;
    }
    to[0] = (char)(0xf0 | x >> 18);
    to[1] = (char)(0x80 | (x >> 12 & 63));
    to[2] = (char)(0x80 | (x >> 6 & 63));
    to[3] = (char)(0x80 | (x & 63));
    return 4;
}

/* What follows a backslash; the number of bytes, 0: it is none. */
static int read_escape(cursor *c, char *to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    unsigned x, low;
    if (c->at >= c->end) return 0;
    const char *known = *c->at ? strchr(from, *c->at) : NULL;
    if (known) return *to = into[known - from], c->at++, 1;
    if (*c->at != 'u' || !hex4(c->at + 1, c->end, &x) || !x) return 0;
    c->at += 5;
    if (x >= 0xdc00 && x < 0xe000) return 0;
    if (x < 0xd800 || x >= 0xdc00) return put_utf8(to, x);
    if (c->end - c->at < 6 || c->at[0] != '\\' || c->at[1] != 'u' ||
        !hex4(c->at + 2, c->end, &low) || low < 0xdc00 || low >= 0xe000)
        return 0;
    c->at += 6;
    return put_utf8(to, 0x10000 + ((x - 0xd800) << 10) + (low - 0xdc00));
}

/* The length of a character of UTF-8; 0: it is none. */
static int utf8_length(const char *at, const char *end)
{
    const unsigned char *b = (const unsigned char *)at;
    const int n = *b < 0x80                 ? 1
                  : *b >= 0xc2 && *b < 0xe0 ? 2
                  : *b >= 0xe0 && *b < 0xf0 ? 3
                  : *b >= 0xf0 && *b < 0xf5 ? 4
                                            : 0;
    if (!n || end - at < n) return 0;
    for (int i = 1; i < n; i++)
        if ((b[i] & 0xc0) != 0x80) return 0;
    if ((*b == 0xe0 && b[1] < 0xa0) || (*b == 0xed && b[1] > 0x9f)) return 0;
    return (*b == 0xf0 && b[1] < 0x90) || (*b == 0xf4 && b[1] > 0x8f) ? 0 : n;
}

/* A text after its opening quote; NULL after an error. */
static const char *read_text(cursor *c)
{
    const char *close = c->at;
    while (close < c->end && *close != '"' && *close != '\n') close += 1 + (*close == '\\');
    if (close >= c->end || *close != '"') {
        wrong(c, "expected a quote at the end of the text, got the end of the line");
        return NULL;
    }
    char *text = tree_take(c->to, (size_t)(close - c->at) + 1), *to = text;
    while (*c->at != '"') {
        int n;
        if (*c->at == '\\') {
            c->at++;
            if (!(n = read_escape(c, to))) {
                wrong(c, "expected an escape of JSON after the backslash (\\\\ is a backslash)");
                return NULL;
            }
            to += n;
            continue;
        }
        n = (unsigned char)*c->at < 0x20 ? 0 : utf8_length(c->at, c->end);
        if (!n) {
            char what[16];
            wrong(c, "expected UTF-8 without control characters, got %s", found(c, what));
            return NULL;
        }
        memcpy(to, c->at, (size_t)n);
        to += n;
        c->at += n;
    }
    *to = 0;
    c->at++;
    return text;
}

static node *new_node(cursor *c, node_type type)
{
    node *n = tree_take(c->to, sizeof *n);
    memset(n, 0, sizeof *n);
    n->type = type;
    n->line = c->line;
    return n;
}

/* -12.5e3: digits as JSON has them. */
static node *read_number_node(cursor *c)
{
    const char *from = c->at;
    node *n = new_node(c, NODE_NUMBER);
    if (c->at < c->end && *c->at == '-') c->at++;
    const char *digits = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') c->at++;
    int good = c->at > digits && (*digits != '0' || c->at == digits + 1);
    if (good && c->at < c->end && *c->at == '.') {
        digits = ++c->at;
        while (c->at < c->end && *c->at >= '0' && *c->at <= '9') c->at++;
        good = c->at > digits;
    }
    if (good && c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        c->at++;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-')) c->at++;
        digits = c->at;
        while (c->at < c->end && *c->at >= '0' && *c->at <= '9') c->at++;
        good = c->at > digits;
    }
    char *text = tree_take(c->to, (size_t)(c->at - from) + 1);
    memcpy(text, from, (size_t)(c->at - from));
    text[c->at - from] = 0;
    if (!good) return wrong(c, "expected a number, got '%.20s'", text);
    n->text = text;
    n->number = strtod(text, NULL);
    if (!isfinite(n->number)) return wrong(c, "expected a number below 1.8e308, got %.40s", text);
    return n;
}

static node *read_word(cursor *c)
{
    static const struct {
        const char *word;
        node_type type;
        double number;
    } words[] = { { "true", NODE_BOOL, 1 }, { "false", NODE_BOOL, 0 }, { "null", NODE_NULL, 0 } };
    for (int i = 0; i < 3; i++) {
        const size_t length = strlen(words[i].word);
        if ((size_t)(c->end - c->at) < length || strncmp(c->at, words[i].word, length)) continue;
        node *n = new_node(c, words[i].type);
        n->number = words[i].number;
        c->at += length;
        return n;
    }
    char what[16];
    return wrong(c,
                 "expected a value (a text in double quotes, a number, true, false, null, [ or "
                 "{), got %s",
                 found(c, what));
}

static void append(node *to, node *n)
{
    if (to->last) to->last->next = n;
    else to->first = n;
    to->last = n;
    to->count++;
}

/* "key": of an object, at its quote. */
static const char *read_key(cursor *c, const node *object)
{
    char what[16];
    if (c->at >= c->end || *c->at != '"') {
        wrong(c, "expected a key in double quotes, got %s", found(c, what));
        return NULL;
    }
    c->at++;
    const char *key = read_text(c);
    if (!key) return NULL;
    if (node_member(object, key)) {
        wrong(c, "expected each key once, got \"%.60s\" again", key);
        return NULL;
    }
    skip_space(c);
    if (c->at >= c->end || *c->at != ':') {
        wrong(c, "expected ':' after \"%.60s\", got %s", key, found(c, what));
        return NULL;
    }
    c->at++;
    return key;
}

/* A list or an object, at its opening bracket. */
static node *read_group(cursor *c)
{
    const int object = *c->at == '{';
    const char close = object ? '}' : ']';
    node *group = new_node(c, object ? NODE_OBJECT : NODE_LIST);
    char what[16];
    c->at++;
    if (++c->depth > DEEPEST)
        return wrong(c, "expected at most %d brackets in each other, got more", DEEPEST);
    skip_space(c);
    while (c->at < c->end && *c->at != close) {
        const char *key = object ? read_key(c, group) : NULL;
        if (object && !key) return NULL;
        node *n = read_value(c);
        if (!n) return NULL;
        n->key = key;
        append(group, n);
        skip_space(c);
        if (c->at < c->end && *c->at == ',') {
            c->at++;
            skip_space(c);
            if (c->at < c->end && *c->at == close)
                return wrong(c, "expected a value after the comma, got '%c'", close);
        } else if (c->at < c->end && *c->at != close)
            return wrong(c, "expected ',' or '%c', got %s", close, found(c, what));
    }
    if (c->at >= c->end)
        return wrong(c, "expected '%c' for the bracket of line %d, got the end of the file", close,
                     group->line);
    c->at++;
    c->depth--;
    return group;
}

static node *read_value(cursor *c)
{
    skip_space(c);
    if (c->at < c->end && (*c->at == '{' || *c->at == '[')) return read_group(c);
    if (c->at < c->end && *c->at == '"') {
        node *n = new_node(c, NODE_TEXT);
        c->at++;
        return (n->text = read_text(c)) ? n : NULL;
    }
    if (c->at < c->end && (*c->at == '-' || (*c->at >= '0' && *c->at <= '9')))
        return read_number_node(c);
    return read_word(c);
}

/* ---- the whole ---- */

static node *read_whole(tree *t, const char *text, size_t size)
{
    cursor c = { t, text, text + size, 1, 0 };
    char what[16];
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) c.at += 3;
    node *n = read_value(&c);
    if (n) skip_space(&c);
    if (n && c.at < c.end)
        return wrong(&c, "expected nothing after the value, got %s", found(&c, what));
    return n;
}

int tree_read(tree *t, const char *text, size_t size, const char *name)
{
    memset(t, 0, sizeof *t);
    t->name = name;
    return (t->root = read_whole(t, text, size)) != NULL;
}

node *node_member(const node *object, const char *key)
{
    if (!object || object->type != NODE_OBJECT) return NULL;
    for (node *n = object->first; n; n = n->next)
        if (!strcmp(n->key, key)) return n;
    return NULL;
}

int tree_set(tree *t, const char *path, const char *value)
{
    node *object = t->root;
    cursor c = { t, value, value, 0, 0 };
    for (;;) {
        const size_t length = strcspn(path, ".");
        char *key = tree_take(t, length + 1);
        memcpy(key, path, length);
        key[length] = 0;
        if (!object || object->type != NODE_OBJECT || !length)
            return wrong(&c, "--set: expected keys with dots between them, got '%s'", path), 0;
        node *n = node_member(object, key);
        if (!n) {
            n = new_node(&c, NODE_OBJECT);
            n->key = key;
            append(object, n);
        }
        if (!path[length]) {
            node *next = n->next, *made = read_whole(t, value, strlen(value));
            if (!made) { /* a word that is no JSON is a text */
                made = new_node(&c, NODE_TEXT);
                char *text = tree_take(t, strlen(value) + 1);
                made->text = strcpy(text, value);
            }
            *t->error = 0;
            *n = *made;
            n->key = key;
            n->next = next;
            return 1;
        }
        object = n;
        path += length + 1;
    }
}

const char *node_kind(const node *n)
{
    static const char *const kinds[] = { "null",   "true or false", "a number",
                                         "a text", "a list",        "an object" };
    return n ? kinds[n->type] : "nothing";
}

/* ---- writing ---- */

typedef struct {
    char *bytes;
    size_t used, size;
} buffer;

static void add(buffer *b, const char *text, size_t length)
{
    if (b->used + length + 1 > b->size) {
        b->size = 2 * (b->used + length + 64);
        b->bytes = take_more(b->bytes, b->size);
    }
    memcpy(b->bytes + b->used, text, length);
    b->used += length;
    b->bytes[b->used] = 0;
}

static void add_text(buffer *b, const char *text)
{
    char escape[8];
    add(b, "\"", 1);
    for (; *text; text++)
        if (*text == '"' || *text == '\\') add(b, "\\", 1), add(b, text, 1);
        else if ((unsigned char)*text < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*text);
            add(b, escape, 6);
        } else add(b, text, 1);
    add(b, "\"", 1);
}

static void add_node(buffer *b, const node *n, const char *leave_out)
{
    const int object = n->type == NODE_OBJECT;
    int written = 0;
    switch (n->type) {
    case NODE_NULL: add(b, "null", 4); return;
    case NODE_BOOL: add(b, n->number != 0 ? "true" : "false", n->number != 0 ? 4 : 5); return;
    case NODE_NUMBER: add(b, n->text, strlen(n->text)); return;
    case NODE_TEXT: add_text(b, n->text); return;
    default: break;
    }
    add(b, object ? "{" : "[", 1);
    for (const node *m = n->first; m; m = m->next) {
        if (leave_out && m->key && !strcmp(m->key, leave_out)) continue;
        if (written++) add(b, ",", 1);
        if (object) add_text(b, m->key), add(b, ":", 1);
        add_node(b, m, NULL); /* as deep as the reader lets it be */
    }
    add(b, object ? "}" : "]", 1);
}

char *node_write(const node *n, const char *leave_out)
{
    buffer b = { 0 };
    add_node(&b, n, leave_out);
    return b.bytes;
}
