/* A row of Arrow's arrays as the tree that a line of JSON would be. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "course/arrow/arrow.h"
#include "language/text/unicode.h"

#define BLOCK_BYTES (64 << 10)

/* ---- room ---- */

struct kd__arrow_block {
    struct kd__arrow_block *next;
    int64_t size, used;
};

/* What a text of JSON was parsed into; in a row's room. */
struct kd__arrow_document {
    struct kd__arrow_document *next;
    kd__json_document parsed;
};

static void free_documents(kd__arrow_room *room)
{
    for (; room->documents; room->documents = room->documents->next)
        kd__json_free(&room->documents->parsed);
}

void kd__arrow_room_clear(kd__arrow_room *room)
{
    free_documents(room);
    for (struct kd__arrow_block *b = room->first; b; b = b->next) b->used = 0;
    room->now = room->first;
}

void kd__arrow_room_free(kd__arrow_room *room)
{
    free_documents(room);
    while (room->first) {
        struct kd__arrow_block *next = room->first->next;
        kd__release(room->context, room->first);
        room->first = next;
    }
    room->now = NULL;
}

static kd_status add_block(kd__arrow_room *room, int64_t bytes)
{
    const int64_t head = (int64_t)sizeof(struct kd__arrow_block),
                  size = kd__max(bytes, BLOCK_BYTES - head);
    uint8_t *made = NULL;
    KD_TRY(KD_NEW(room->context, &made, head + size));
    struct kd__arrow_block *block = (struct kd__arrow_block *)made;
    block->size = size;
    struct kd__arrow_block **place = room->now ? &room->now->next : &room->first;
    block->next = *place;
    *place = room->now = block;
    return KD_OK;
}

/* Bytes that are not zeroed, aligned to 8, until the row's room is cleared. */
static kd_status take(kd__arrow_room *room, int64_t bytes, void **out)
{
    KD_FAIL_IF(bytes > INT64_MAX / 2, KD_ERR_RANGE, "a text of %lld bytes", (long long)bytes);
    const int64_t size = (bytes + 7) & ~(int64_t)7;
    while (room->now && room->now->size - room->now->used < size && room->now->next)
        room->now = room->now->next;
    if (!room->now || room->now->size - room->now->used < size) KD_TRY(add_block(room, size));
    *out = (uint8_t *)(room->now + 1) + room->now->used;
    room->now->used += size;
    return KD_OK;
}

static kd_status add_node(kd__arrow_room *room, int32_t type, kd__json **out)
{
    void *made = NULL;
    KD_TRY(take(room, sizeof(kd__json), &made));
    *out = made;
    **out = (kd__json){ .type = type };
    return KD_OK;
}

static kd_status add_text(kd__arrow_room *room, kd__json *node, const char *text, int64_t bytes)
{
    void *copy = NULL;
    KD_TRY(take(room, bytes + 1, &copy));
    if (bytes) memcpy(copy, text, (size_t)bytes);
    ((char *)copy)[bytes] = 0;
    node->text = copy;
    node->length = bytes;
    return KD_OK;
}

/* ---- values ---- */

static int is_set(const void *bits, int64_t i)
{
    return ((const uint8_t *)bits)[i >> 3] >> (i & 7) & 1;
}

static int is_valid(const kd__arrow_column *c, const struct ArrowArray *a, int64_t at)
{
    if (c->type == KD__COLUMN_NULL) return 0;
    return !a->null_count || !a->buffers[0] || is_set(a->buffers[0], at);
}

static int64_t signed_at(const kd__arrow_column *c, const void *numbers, int64_t i)
{
    switch (c->width) {
    case 1: return ((const int8_t *)numbers)[i];
    case 2: return ((const int16_t *)numbers)[i];
    case 4: return ((const int32_t *)numbers)[i];
    default: return ((const int64_t *)numbers)[i];
    }
}

static uint64_t unsigned_at(const kd__arrow_column *c, const void *numbers, int64_t i)
{
    switch (c->width) {
    case 1: return ((const uint8_t *)numbers)[i];
    case 2: return ((const uint16_t *)numbers)[i];
    case 4: return ((const uint32_t *)numbers)[i];
    default: return ((const uint64_t *)numbers)[i];
    }
}

static double float_at(const kd__arrow_column *c, const void *numbers, int64_t i)
{
    float half = 0;
    if (c->width == 8) return ((const double *)numbers)[i];
    if (c->width == 4) return (double)((const float *)numbers)[i];
    kd__convert_float32(&half, (const uint16_t *)numbers + i, KD_FLOAT16, 1, 1, 0);
    return (double)half;
}

/* The digits of a whole number, which a double may not hold. */
static kd_status add_whole(kd__arrow_room *room, uint64_t size, int negative, kd__json *node)
{
    char digits[24];
    int at = sizeof digits;
    node->number = negative ? -(double)size : (double)size;
    do digits[--at] = (char)('0' + size % 10);
    while (size /= 10);
    if (negative) digits[--at] = '-';
    return add_text(room, node, digits + at, (int64_t)sizeof digits - at);
}

static kd_status read_number(kd__arrow_room *room, const kd__arrow_column *c,
                             const struct ArrowArray *a, int64_t at, kd__json *node)
{
    char text[32];
    node->type = KD__JSON_NUMBER;
    if (c->type == KD__COLUMN_UNSIGNED)
        return add_whole(room, unsigned_at(c, a->buffers[1], at), 0, node);
    if (c->type == KD__COLUMN_SIGNED) {
        const int64_t value = signed_at(c, a->buffers[1], at);
        return add_whole(room, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0, node);
    }
    node->number = float_at(c, a->buffers[1], at);
    KD_FAIL_IF(isinf(node->number), KD_ERR_FORMAT,
               "'%.80s': infinity is no number of a record: expected a number or null", c->name);
    if (isnan(node->number)) {
        node->type = KD__JSON_NULL;
        return KD_OK;
    }
    kd__format_double(room->context, text, node->number);
    return add_text(room, node, text, (int64_t)strlen(text));
}

static int64_t offset_at(const kd__arrow_column *c, const void *offsets, int64_t i)
{
    return c->width == 4 ? ((const int32_t *)offsets)[i] : ((const int64_t *)offsets)[i];
}

static kd_status read_text(kd__arrow_room *room, const kd__arrow_column *c,
                           const struct ArrowArray *a, int64_t at, kd__json *node)
{
    const char *text;
    int64_t bytes;
    if (c->type == KD__COLUMN_TEXT) {
        const int64_t from = offset_at(c, a->buffers[1], at);
        bytes = offset_at(c, a->buffers[1], at + 1) - from;
        text = bytes ? (const char *)a->buffers[2] + from : "";
    } else {
        const int32_t *view = (const int32_t *)a->buffers[1] + 4 * at;
        bytes = view[0];
        text = bytes <= 12 ? (const char *)(view + 1)
                           : (const char *)a->buffers[2 + view[2]] + view[3];
    }
    KD_FAIL_IF(kd__utf8_valid(text, bytes, NULL) != bytes, KD_ERR_FORMAT,
               "'%.80s': a text is not UTF-8", c->name);
    node->type = KD__JSON_STRING;
    return add_text(room, node, text, bytes);
}

static kd_status read_value(kd__arrow_room *room, const kd__arrow_column *c,
                            const struct ArrowArray *a, int64_t row, kd__json **out);

static kd_status read_list(kd__arrow_room *room, const kd__arrow_column *c,
                           const struct ArrowArray *a, int64_t at, kd__json *node)
{
    int64_t from = at * c->list_size, count = c->list_size;
    if (c->type != KD__COLUMN_LIST_FIXED) {
        from = offset_at(c, a->buffers[1], at);
        count = c->type == KD__COLUMN_LIST ? offset_at(c, a->buffers[1], at + 1) - from
                                           : offset_at(c, a->buffers[2], at);
    }
    KD_FAIL_IF(count > INT32_MAX, KD_ERR_FORMAT, "'%.80s': a list of %lld", c->name,
               (long long)count);
    kd__json **tail = &node->first;
    node->type = KD__JSON_ARRAY;
    node->children = (int32_t)count;
    for (int64_t i = 0; i < count; i++) {
        KD_TRY(read_value(room, &c->children[0], a->children[0], from + i, tail));
        tail = &(*tail)->next;
    }
    return KD_OK;
}

/* ---- objects ---- */

static kd_status check_twice(const kd__json *object, const kd__json *members)
{
    for (; members; members = members->next)
        KD_FAIL_IF(kd__json_member(object, members->key), KD_ERR_FORMAT,
                   "'extra' holds '%.80s', which is a column as well", members->key);
    return KD_OK;
}

/* Members of a JSON object in a column "extra", after those of the row. */
static kd_status splice(kd__arrow_room *room, kd__json *object, kd__json **tail,
                        const kd__json *text)
{
    void *made = NULL;
    if (!text->length) return KD_OK;
    KD_TRY(take(room, sizeof(struct kd__arrow_document), &made));
    struct kd__arrow_document *document = made;
    *document = (struct kd__arrow_document){ .next = NULL };
    KD_TRY(kd__json_parse(&document->parsed, room->context, text->text, (size_t)text->length,
                          "'extra'"));
    document->next = room->documents;
    room->documents = document;
    KD_FAIL_IF(document->parsed.root->type != KD__JSON_OBJECT, KD_ERR_FORMAT,
               "'extra': expected a JSON object");
    KD_TRY(check_twice(object, document->parsed.root->first));
    object->children += document->parsed.root->children;
    *tail = document->parsed.root->first;
    return KD_OK;
}

static kd_status read_struct(kd__arrow_room *room, const kd__arrow_column *c,
                             const struct ArrowArray *a, int64_t at, kd__json *node)
{
    kd__json **tail = &node->first, *extra = NULL;
    node->type = KD__JSON_OBJECT;
    for (int32_t i = 0; i < c->child_count; i++) {
        kd__json *value = NULL;
        const kd__arrow_column *child = &c->children[i];
        if (child->skipped) continue;
        KD_TRY(read_value(room, child, a->children[i], at, &value));
        if (value->type == KD__JSON_NULL) continue; /* absent: tables have all columns */
        if (value->type == KD__JSON_STRING && !strcmp(child->name, "extra")) {
            extra = value;
            continue;
        }
        value->key = child->name;
        *tail = value;
        tail = &value->next;
        node->children++;
    }
    return extra ? splice(room, node, tail, extra) : KD_OK;
}

/* The entry of a dictionary that stands for a value. */
static kd_status look_up(const kd__arrow_column *c, const struct ArrowArray *a, int64_t at,
                         int64_t *entry)
{
    const int64_t count = a->dictionary->length;
    const int negative = c->type == KD__COLUMN_SIGNED && signed_at(c, a->buffers[1], at) < 0;
    const uint64_t index = c->type == KD__COLUMN_SIGNED ? (uint64_t)signed_at(c, a->buffers[1], at)
                                                        : unsigned_at(c, a->buffers[1], at);
    KD_FAIL_IF(negative || index >= (uint64_t)count, KD_ERR_FORMAT,
               "'%.80s': expected an index of the dictionary below %lld, got %lld", c->name,
               (long long)count, (long long)index);
    *entry = (int64_t)index;
    return KD_OK;
}

static kd_status read_value(kd__arrow_room *room, const kd__arrow_column *c,
                            const struct ArrowArray *a, int64_t row, kd__json **out)
{
    const int64_t at = a->offset + row;
    kd__json *node = NULL;
    if (c->dictionary && is_valid(c, a, at)) {
        int64_t entry = 0;
        KD_TRY(look_up(c, a, at, &entry));
        return read_value(room, c->dictionary, a->dictionary, entry, out);
    }
    KD_TRY(add_node(room, KD__JSON_NULL, &node));
    *out = node;
    if (!is_valid(c, a, at)) return KD_OK;
    switch (c->type) {
    case KD__COLUMN_BOOL:
        node->type = KD__JSON_BOOL;
        node->number = is_set(a->buffers[1], at);
        return KD_OK;
    case KD__COLUMN_TEXT:
    case KD__COLUMN_TEXT_VIEW: return read_text(room, c, a, at, node);
    case KD__COLUMN_LIST:
    case KD__COLUMN_LIST_VIEW:
    case KD__COLUMN_LIST_FIXED: return read_list(room, c, a, at, node);
    case KD__COLUMN_STRUCT: return read_struct(room, c, a, at, node);
    default: return read_number(room, c, a, at, node);
    }
}

kd_status kd__arrow_row_read(kd__arrow_room *room, const kd__arrow_column *column,
                             const struct ArrowArray *array, int64_t row, const kd__json **out)
{
    kd__json *made = NULL;
    kd__arrow_room_clear(room);
    KD_TRY(read_value(room, column, array, row, &made));
    KD_FAIL_IF(made->type != KD__JSON_OBJECT, KD_ERR_FORMAT, "the row is null");
    *out = made;
    return KD_OK;
}
