/* The token table of an import: what a server spells to ids. Tables spell spaces and bytes in their
 * family's way ("\u0120the", "\u2581the", "<0x0A>"), servers often as text: every string is kept as
 * the bytes that it stands for. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "course/import/import.h"

#define MARK "\xe2\x96\x81"       /* SentencePiece's space */
#define ALPHABET_SPACE "\xc4\xa0" /* the space of GPT-2's alphabet */
enum { LONGEST = 4096 };

/* GPT-2's alphabet: printable bytes stand for themselves, the others for code points from 256
 * on. */
static int byte_of(uint32_t point)
{
    int next = 256;
    for (int b = 0; b < 256; b++) {
        const int plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if ((plain && point == (uint32_t)b) || (!plain && point == (uint32_t)next++)) return b;
    }
    return -1;
}

/* Code points of a UTF-8 string to bytes; the length, -1: not of the alphabet. */
static int64_t from_alphabet(const char *text, int64_t length, char *to)
{
    int64_t made = 0;
    for (int64_t i = 0; i < length;) {
        const unsigned char c = (unsigned char)text[i];
        uint32_t point = c;
        int64_t size = 1;
        if (c >= 0xc0 && i + 1 < length) {
            point = (uint32_t)(c & 0x1f) << 6 | ((unsigned char)text[i + 1] & 0x3f);
            size = 2;
        }
        const int b = c < 0x80 || (c >= 0xc0 && c < 0xe0) ? byte_of(point) : -1;
        if (b < 0) return -1;
        to[made++] = (char)b;
        i += size;
    }
    return made;
}

/* SentencePiece's marks to spaces, and "<0x0A>" to its byte. */
static int64_t from_pieces(const char *text, int64_t length, char *to)
{
    int64_t made = 0;
    if (length == 6 && !memcmp(text, "<0x", 3) && text[5] == '>') {
        char *end, digits[3] = { text[3], text[4], 0 };
        const long byte = strtol(digits, &end, 16);
        if (end == digits + 2) return to[0] = (char)byte, 1;
    }
    for (int64_t i = 0; i < length; i++)
        if (length - i >= 3 && !memcmp(text + i, MARK, 3)) to[made++] = ' ', i += 2;
        else to[made++] = text[i];
    return made;
}

/* ---- the table ---- */

/* An entry of `strings`: its length, its id, its bytes. */
enum { LENGTH_BYTES = 4, ID_BYTES = 8, HEAD_BYTES = LENGTH_BYTES + ID_BYTES };

typedef struct {
    const kd__import *import;
    const char *text;
    int64_t length;
} wanted;

static int has_text(const void *key, int64_t at)
{
    const wanted *w = key;
    const char *entry = w->import->strings.bytes + at;
    return kd__get32(entry) == w->length && !memcmp(entry + HEAD_BYTES, w->text, (size_t)w->length);
}

static uint64_t hash_of(const char *text, int64_t length)
{
    uint64_t key[2];
    kd__hash128(text, (size_t)length, key);
    return key[0];
}

/* Where the text's entry lies in `strings`, -1: nowhere. */
static int64_t find_entry(const kd__import *m, const char *text, int64_t length)
{
    const wanted w = { m, text, length };
    return kd__table_find(&m->table, hash_of(text, length), has_text, &w);
}

/* Two strings of one text: the first counts. */
static kd_status add(kd__import *m, const char *text, int64_t length, int64_t id)
{
    uint8_t head[HEAD_BYTES];
    if (find_entry(m, text, length) >= 0) return KD_OK;
    kd__put32(head, (uint32_t)length);
    kd__put64(head + LENGTH_BYTES, (uint64_t)id);
    const int64_t at = m->strings.size;
    KD_TRY(kd__text_append(&m->strings, head, sizeof head));
    KD_TRY(kd__text_append(&m->strings, text, (size_t)length));
    return kd__table_add(&m->table, hash_of(text, length), at);
}

static kd_status add_string(kd__import *m, const kd__json *node)
{
    char bytes[LONGEST];
    int64_t length = (int64_t)strlen(node->key), made = -1, id;
    KD_TRY(kd__json_integer(node, 0, UINT32_MAX, &id, "an id of the token table"));
    if (length >= LONGEST) return add(m, node->key, length, id);
    if (m->byte_level) made = from_alphabet(node->key, length, bytes);
    else if (m->marked) made = from_pieces(node->key, length, bytes);
    return made >= 0 ? add(m, bytes, made, id) : add(m, node->key, length, id);
}

/* A table that nobody said is in GPT-2's alphabet shows it by its spaces. */
static void look_at(kd__import *m, const kd__json *root)
{
    int alphabet = 0;
    for (const kd__json *n = root->first; n; n = n->next) {
        m->marked |= strstr(n->key, MARK) != NULL;
        alphabet |= !strncmp(n->key, ALPHABET_SPACE, 2);
    }
    m->byte_level = m->o.byte_level || (alphabet && !m->marked);
}

/* Single bytes of a marked table come last: a character that is a token of its own counts before
 * them. */
static kd_status add_all(kd__import *m, const kd__json *root)
{
    for (int bytes = 0; bytes < 2; bytes++)
        for (const kd__json *n = root->first; n; n = n->next)
            if ((strlen(n->key) == 6 && !strncmp(n->key, "<0x", 3)) == bytes)
                KD_TRY(add_string(m, n));
    return KD_OK;
}

kd_status kd__import_read_table(kd__import *m)
{
    kd__json_document document;
    char *text = NULL;
    int64_t size = 0;
    if (!m->o.token_table) return KD_OK;
    KD_TRY(kd__file_read(m->context, m->o.token_table, 1LL << 30, &text, &size));
    kd_status status = kd__json_parse(&document, m->context, text, (size_t)size, m->o.token_table);
    kd__release(m->context, text);
    KD_TRY(status);
    if (document.root->type != KD__JSON_OBJECT)
        status = kd__fail(KD_ERR_FORMAT, "%s: expected an object { \"token\": id, ... }",
                          m->o.token_table);
    if (status == KD_OK) look_at(m, document.root);
    if (status == KD_OK) status = add_all(m, document.root);
    kd__json_free(&document);
    return status;
}

/* ---- looking up ---- */

static int64_t find(const kd__import *m, const char *text, int64_t length)
{
    const int64_t at = find_entry(m, text, length);
    return at < 0 ? -1 : (int64_t)kd__get64(m->strings.bytes + at + LENGTH_BYTES);
}

/* vLLM's return_tokens_as_token_ids: "token_id:17". */
static int64_t numbered(const char *text, int64_t length)
{
    static const char prefix[] = "token_id:";
    const int64_t from = (int64_t)sizeof prefix - 1;
    int64_t id = 0;
    if (length <= from || length > from + 10 || memcmp(text, prefix, (size_t)from)) return -1;
    for (int64_t i = from; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return -1;
        id = 10 * id + text[i] - '0';
    }
    return id <= UINT32_MAX ? id : -1;
}

int64_t kd__import_id(kd__import *m, const char *text, int64_t length)
{
    char other[LONGEST];
    int64_t id = find(m, text, length);
    m->strings_seen++;
    if (id < 0) id = numbered(text, length);
    if (id < 0 && length < LONGEST) { /* spelled as the table's file does */
        const int64_t made = m->byte_level ? from_alphabet(text, length, other)
                                           : from_pieces(text, length, other);
        if (made >= 0) id = find(m, other, made);
    }
    if (id >= 0) return id;
    if (!m->counts.unmapped++) {
        const size_t kept = (size_t)length < sizeof m->unmapped ? (size_t)length
                                                                : sizeof m->unmapped - 1;
        memcpy(m->unmapped, text, kept);
        m->unmapped[kept] = 0;
    }
    return -1;
}
