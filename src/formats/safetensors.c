/* safetensors: uint64 little-endian header length, JSON header {name: {dtype, shape,
 * data_offsets}}, data. The offsets must cover the data without gap or overlap. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/file.h"
#include "formats/formats.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"

#define HEADER_LIMIT 100000000

static const struct {
    const char *name;
    int32_t dtype;
} known[] = { { "F32", KD_FLOAT32 },   { "F64", KD_FLOAT64 }, { "F16", KD_FLOAT16 },
              { "BF16", KD_BFLOAT16 }, { "I8", KD_INT8 },     { "I16", KD_INT16 },
              { "I32", KD_INT32 },     { "I64", KD_INT64 },   { "U8", KD_UINT8 },
              { "U16", KD_UINT16 },    { "U32", KD_UINT32 },  { "U64", KD_UINT64 },
              { "BOOL", KD_UINT8 } };

static int32_t dtype_of(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name)) return known[i].dtype;
    return 0;
}

static const char *name_of(int32_t dtype)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].dtype == dtype) return known[i].name;
    return NULL;
}

static kd_status read_shape(const kd__json *shape, const char *what, const char *name,
                            kd_array *array)
{
    int64_t dims[KD_ARRAY_MAX_RANK];
    int32_t rank = 0;
    KD_FAIL_IF(!shape || shape->type != KD__JSON_ARRAY || shape->children > KD_ARRAY_MAX_RANK,
               KD_ERR_FORMAT, "%s: tensor %.60s: shape: expected a list of at most %d numbers",
               what, name, KD_ARRAY_MAX_RANK);
    for (const kd__json *dim = shape->first; dim; dim = dim->next)
        if (kd__json_integer(dim, 0, (int64_t)1 << 52, &dims[rank++], "shape") != KD_OK)
            return kd__fail(KD_ERR_FORMAT, "%s: tensor %.60s: shape: expected whole numbers from 0",
                            what, name);
    int32_t dtype = array->dtype;
    kd__array_view(array, NULL, dtype, rank, dims);
    KD_FAIL_IF(kd_array_count(array) < 0, KD_ERR_FORMAT,
               "%s: tensor %.60s: its size does not fit in 64 bits", what, name);
    return KD_OK;
}

static kd_status read_entry(const kd__json *node, const char *what, char *data, int64_t size,
                            kd__tensor_entry *entry, int64_t *begin)
{
    const kd__json *dtype = kd__json_member(node, "dtype"),
                   *offsets = kd__json_member(node, "data_offsets");
    int64_t end, bytes;
    entry->name = node->key;
    KD_FAIL_IF(!dtype || dtype->type != KD__JSON_STRING, KD_ERR_FORMAT,
               "%s: tensor %.60s: expected a dtype, got none", what, node->key);
    entry->array.dtype = dtype_of(dtype->text);
    KD_FAIL_IF(!entry->array.dtype, KD_ERR_DTYPE, "%s: tensor %.60s: dtype %.20s is not supported",
               what, node->key, dtype->text);
    KD_TRY(read_shape(kd__json_member(node, "shape"), what, node->key, &entry->array));
    KD_FAIL_IF(!offsets || offsets->type != KD__JSON_ARRAY || offsets->children != 2 ||
                   kd__json_integer(offsets->first, 0, size, begin, "data_offsets") != KD_OK ||
                   kd__json_integer(offsets->first->next, *begin, size, &end, "data_offsets") !=
                       KD_OK,
               KD_ERR_FORMAT,
               "%s: tensor %.60s: data_offsets do not lie within the file's %lld bytes of data",
               what, node->key, (long long)size);
    KD_TRY(kd__multiply(kd_array_count(&entry->array), (int64_t)kd_dtype_bytes(entry->array.dtype),
                        &bytes));
    KD_FAIL_IF(bytes != end - *begin, KD_ERR_FORMAT,
               "%s: tensor %.60s: its shape needs %lld bytes, its offsets hold %lld", what,
               node->key, (long long)bytes, (long long)(end - *begin));
    entry->array.data = data + *begin;
    return KD_OK;
}

static int64_t entry_bytes(const kd__tensor_entry *entry)
{
    return kd_array_count(&entry->array) * (int64_t)kd_dtype_bytes(entry->array.dtype);
}

static int compare_places(const void *a, const void *b)
{
    const kd__tensor_entry *x = a, *y = b;
    const char *p = x->array.data, *q = y->array.data;
    if (p != q) return p < q ? -1 : 1;
    return (entry_bytes(x) > 0) - (entry_bytes(y) > 0);
}

/* Sorted by place, each tensor begins where the one before ends. */
static kd_status check_cover(kd__safetensors *file, const char *what, const char *data,
                             int64_t size)
{
    int64_t at = 0;
    qsort(file->entries, (size_t)file->count, sizeof *file->entries, compare_places);
    for (int64_t i = 0; i < file->count; i++) {
        KD_FAIL_IF((const char *)file->entries[i].array.data != data + at, KD_ERR_FORMAT,
                   "%s: a gap or an overlap before tensor %.60s", what, file->entries[i].name);
        at += entry_bytes(&file->entries[i]);
    }
    KD_FAIL_IF(at != size, KD_ERR_FORMAT, "%s: the tensors hold %lld of %lld bytes of data", what,
               (long long)at, (long long)size);
    return KD_OK;
}

static kd_status parse(kd__safetensors *file, const char *bytes, int64_t size, const char *what)
{
    uint64_t length = 0;
    KD_FAIL_IF(size < 8, KD_ERR_FORMAT,
               "%s: expected a safetensors file of at least 8 bytes, got %lld", what,
               (long long)size);
    length = kd__get64(bytes);
    KD_FAIL_IF(length > HEADER_LIMIT || (int64_t)length > size - 8, KD_ERR_FORMAT,
               "%s: a safetensors header of %llu bytes in a file of %lld", what,
               (unsigned long long)length, (long long)size);
    KD_TRY(kd__json_parse(&file->header, file->context, bytes + 8, (size_t)length, what));
    const kd__json *root = file->header.root;
    KD_FAIL_IF(root->type != KD__JSON_OBJECT, KD_ERR_FORMAT,
               "%s: safetensors header: expected an object", what);
    KD_TRY(KD_NEW(file->context, &file->entries, root->children + 1));
    char *data = (char *)(uintptr_t)bytes + 8 + length;
    int64_t left = size - 8 - (int64_t)length, begin;
    for (const kd__json *node = root->first; node; node = node->next) {
        if (!strcmp(node->key, "__metadata__")) continue;
        KD_TRY(read_entry(node, what, data, left, &file->entries[file->count], &begin));
        file->count++;
    }
    return check_cover(file, what, data, left);
}

kd_status kd__safetensors_parse(kd__safetensors *file, kd_context *context, const char *bytes,
                                int64_t size, const char *what)
{
    *file = (kd__safetensors){ .context = context };
    kd_status status = parse(file, bytes, size, what);
    if (status != KD_OK) kd__safetensors_free(file);
    return status;
}

kd_status kd__safetensors_read(kd__safetensors *file, kd_context *context, const char *path)
{
    kd__map map;
    KD_TRY(kd__file_map(&map, path));
    kd_status status = kd__safetensors_parse(file, context, map.bytes, map.size, path);
    if (status == KD_OK) file->map = map;
    else kd__file_unmap(&map);
    return status;
}

void kd__safetensors_free(kd__safetensors *file)
{
    if (!file->context) return;
    kd__json_free(&file->header);
    kd__release(file->context, file->entries);
    kd__file_unmap(&file->map);
    *file = (kd__safetensors){ 0 };
}

const kd_array *kd__safetensors_find(const kd__safetensors *file, const char *name)
{
    for (int64_t i = 0; i < file->count; i++)
        if (!strcmp(file->entries[i].name, name)) return &file->entries[i].array;
    return NULL;
}

int32_t kd__safetensors_dtype(const kd_array *array, int32_t dtype)
{
    return array->dtype == KD_FLOAT32 ? dtype : array->dtype;
}

static kd_status write_header(kd__text *text, const kd__tensor_entry *entries, int64_t count,
                              int32_t dtype)
{
    int64_t offset = 0;
    KD_TRY(kd__text_format(
        text, "{\"__metadata__\":{\"format\":\"pt\",\"written_by\":\"kdistill %d.%d.%d\"}",
        KD_VERSION_MAJOR, KD_VERSION_MINOR, KD_VERSION_PATCH));
    for (int64_t i = 0; i < count; i++) {
        const kd_array *array = &entries[i].array;
        const int32_t as = kd__safetensors_dtype(array, dtype);
        KD_TRY(kd__text_append(text, ",", 1));
        KD_TRY(kd__text_quoted(text, entries[i].name));
        KD_TRY(kd__text_format(text, ":{\"dtype\":\"%s\",\"shape\":[", name_of(as)));
        for (int32_t d = 0; d < array->rank; d++)
            KD_TRY(kd__text_format(text, d ? ",%lld" : "%lld", (long long)array->dims[d]));
        int64_t end = offset + kd_array_count(array) * (int64_t)kd_dtype_bytes(as);
        KD_TRY(kd__text_format(text, "],\"data_offsets\":[%lld,%lld]}", (long long)offset,
                               (long long)end));
        offset = end;
    }
    KD_TRY(kd__text_append(text, "}", 1));
    while (text->size % 8) KD_TRY(kd__text_append(text, " ", 1));
    return KD_OK;
}

static kd_status write_converted(kd__output *output, const kd_array *array, int32_t dtype)
{
    uint16_t piece[4096];
    const float *values = array->data;
    const int64_t count = kd_array_count(array);
    const int32_t as = kd__safetensors_dtype(array, dtype);
    if (as == array->dtype)
        return kd__output_write(output, values, count * (int64_t)kd_dtype_bytes(as));
    for (int64_t at = 0; at < count; at += 4096) {
        const int64_t n = kd__min(count - at, 4096);
        kd__convert_from_float32(piece, dtype, values + at, n);
        KD_TRY(kd__output_write(output, piece, n * 2));
    }
    return KD_OK;
}

static kd_status write_all(kd__output *output, const kd__text *header,
                           const kd__tensor_entry *entries, int64_t count, int32_t dtype)
{
    unsigned char length[8];
    kd__put64(length, (uint64_t)header->size);
    KD_TRY(kd__output_write(output, length, 8));
    KD_TRY(kd__output_write(output, header->bytes, header->size));
    for (int64_t i = 0; i < count; i++) KD_TRY(write_converted(output, &entries[i].array, dtype));
    return kd__output_commit(output);
}

kd_status kd__safetensors_write(kd_context *context, const char *path,
                                const kd__tensor_entry *entries, int64_t count, int32_t dtype)
{
    kd__text header = { .context = context };
    kd__output output = { .context = context, .file = -1 };
    kd_status status;
    KD_TRY_GOTO(status, write_header(&header, entries, count, dtype), done);
    KD_TRY_GOTO(status, kd__output_open(&output, context, path, 1), done);
    status = write_all(&output, &header, entries, count, dtype);
done:
    if (status != KD_OK) kd__output_abandon(&output);
    kd__text_free(&header);
    return status;
}
