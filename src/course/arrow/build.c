/* Columns that grow value by value. */
#include <string.h>

#include "base/memory.h"
#include "course/arrow/arrow.h"

static int is_of(const kd__built *c, const char *formats)
{
    return strchr(formats, *c->format) != NULL;
}
static int is_list(const kd__built *c) { return !strcmp(c->format, "+L"); }
static int is_struct(const kd__built *c) { return !strcmp(c->format, "+s"); }

static size_t width_of(const kd__built *c) { return is_of(c, "c") ? 1 : is_of(c, "iIf") ? 4 : 8; }

int32_t kd__build_after(const kd__build *build, int32_t column)
{
    int32_t after = column + 1;
    for (int32_t i = 0; i < build->columns[column].children; i++)
        after = kd__build_after(build, after);
    return after;
}

static kd_status append(kd__build *build, kd__buffer *buffer, const void *bytes, int64_t size)
{
    KD_TRY(KD_RESERVE(build->context, &buffer->bytes, &buffer->room, buffer->size + size));
    if (size) memcpy(buffer->bytes + buffer->size, bytes, (size_t)size);
    buffer->size += size;
    build->bytes += size;
    return KD_OK;
}

static kd_status append_bit(kd__build *build, kd__buffer *buffer, int64_t at, int value)
{
    static const uint8_t none = 0;
    if (at / 8 >= buffer->size) KD_TRY(append(build, buffer, &none, 1));
    if (value) buffer->bytes[at / 8] |= (uint8_t)(1 << at % 8);
    return KD_OK;
}

static kd_status append_offset(kd__build *build, kd__built *c, int64_t offset)
{
    static const int64_t first = 0;
    if (!c->offsets.size) KD_TRY(append(build, &c->offsets, &first, sizeof first));
    return append(build, &c->offsets, &offset, sizeof offset);
}

static kd_status end_value(kd__build *build, kd__built *c, int valid)
{
    KD_TRY(append_bit(build, &c->valid, c->length, valid));
    c->nulls += !valid;
    c->length++;
    return KD_OK;
}

kd_status kd__build_text(kd__build *build, int32_t column, const char *text, int64_t bytes)
{
    kd__built *c = &build->columns[column];
    KD_TRY(append(build, &c->data, text, bytes));
    KD_TRY(append_offset(build, c, c->data.size));
    return end_value(build, c, 1);
}

kd_status kd__build_number(kd__build *build, int32_t column, const void *number, size_t size)
{
    return kd__build_numbers(build, column, number, 1, size);
}

kd_status kd__build_numbers(kd__build *build, int32_t column, const void *numbers, int64_t count,
                            size_t size)
{
    kd__built *c = &build->columns[column];
    KD_TRY(append(build, &c->data, numbers, count * (int64_t)size));
    for (int64_t i = 0; i < count; i++) KD_TRY(end_value(build, c, 1));
    return KD_OK;
}

kd_status kd__build_bool(kd__build *build, int32_t column, int value)
{
    kd__built *c = &build->columns[column];
    KD_TRY(append_bit(build, &c->data, c->length, value));
    return end_value(build, c, 1);
}

kd_status kd__build_entry(kd__build *build, int32_t column)
{
    kd__built *c = &build->columns[column];
    if (is_list(c)) KD_TRY(append_offset(build, c, build->columns[column + 1].length));
    return end_value(build, c, 1);
}

kd_status kd__build_null(kd__build *build, int32_t column)
{
    static const uint8_t zeros[8] = { 0 };
    kd__built *c = &build->columns[column];
    if (is_struct(c)) {
        int32_t child = column + 1;
        for (int32_t i = 0; i < c->children; i++, child = kd__build_after(build, child))
            KD_TRY(kd__build_null(build, child));
    } else if (is_list(c)) KD_TRY(append_offset(build, c, build->columns[column + 1].length));
    else if (is_of(c, "U")) KD_TRY(append_offset(build, c, c->data.size));
    else if (is_of(c, "b")) KD_TRY(append_bit(build, &c->data, c->length, 0));
    else KD_TRY(append(build, &c->data, zeros, (int64_t)width_of(c)));
    return end_value(build, c, 0);
}

void kd__build_clear(kd__build *build)
{
    build->bytes = 0;
    for (int32_t i = 0; i < build->count; i++) {
        kd__built *c = &build->columns[i];
        c->length = c->nulls = c->valid.size = c->offsets.size = c->data.size = 0;
    }
}

void kd__build_free(kd__build *build)
{
    for (int32_t i = 0; i < build->count; i++) {
        kd__release(build->context, build->columns[i].valid.bytes);
        kd__release(build->context, build->columns[i].offsets.bytes);
        kd__release(build->context, build->columns[i].data.bytes);
    }
    kd__release(build->context, build->columns);
    build->columns = NULL;
    build->count = 0;
}
