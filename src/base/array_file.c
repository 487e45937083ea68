/* IDX: two zero bytes, type, rank, big-endian uint32 dims, big-endian data.
 * npy: magic \x93NUMPY, version, little-endian header length, a Python dict with descr, fortran_order and shape. */
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/formats.h"

static kd_status claimed_bytes(const kd_array *array, const char *path, int64_t *bytes)
{
    int64_t count = kd_array_count(array);
    KD_FAIL_IF(count < 0, KD_ERR_FORMAT, "%s: the dims in the header are too large", path);
    return kd__multiply(count, (int64_t)kd_dtype_size(array->dtype), bytes);
}

static kd_status read_data(kd__input *input, const char *path, kd_array *array)
{
    int64_t bytes, got;
    char more;
    void *block = NULL;
    KD_TRY(claimed_bytes(array, path, &bytes));
    KD_TRY(kd__input_read_block(input, &block, bytes, "data"));
    kd_status status = kd__input_read_some(input, &more, 1, &got);
    if (status == KD_OK && got) status = kd__fail(KD_ERR_FORMAT, "%s: more data than the header says (%lld bytes)", path, (long long)bytes);
    if (status != KD_OK) {
        kd__input_release(input, block);
        return status;
    }
    array->data = block;
    return KD_OK;
}

static void swap_bytes(void *data, int64_t count, size_t size)
{
    unsigned char *bytes = data;
    for (int64_t i = 0; i < count && size > 1; i++, bytes += size)
        for (size_t j = 0; j < size / 2; j++) {
            unsigned char b = bytes[j];
            bytes[j] = bytes[size - 1 - j];
            bytes[size - 1 - j] = b;
        }
}

static int32_t idx_dtype(int code)
{
    switch (code) {
    case 0x08: return KD_UINT8;
    case 0x09: return KD_INT8;
    case 0x0b: return KD_INT16;
    case 0x0c: return KD_INT32;
    case 0x0d: return KD_FLOAT32;
    case 0x0e: return KD_FLOAT64;
    default: return 0;
    }
}

static int little_endian_host(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 1;
}

static kd_status read_idx(kd__input *input, const char *path, const unsigned char magic[4], kd_array *array)
{
    int32_t dtype = idx_dtype(magic[2]), rank = magic[3];
    int64_t dims[KD_MAX_RANK];
    unsigned char size[4];
    KD_FAIL_IF(!dtype, KD_ERR_FORMAT, "%s: IDX type 0x%02x is unknown", path, magic[2]);
    KD_FAIL_IF(rank < 1 || rank > KD_MAX_RANK, KD_ERR_FORMAT, "%s: IDX rank %d is not 1 to %d", path, rank, KD_MAX_RANK);
    for (int32_t i = 0; i < rank; i++) {
        KD_TRY(kd__input_read(input, size, 4, "dims"));
        dims[i] = (int64_t)size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3];
    }
    kd__array_view(array, NULL, dtype, rank, dims);
    KD_TRY(read_data(input, path, array));
    if (little_endian_host()) swap_bytes(array->data, kd_array_count(array), kd_dtype_size(dtype));
    return KD_OK;
}

/* The text behind 'key': in the header's dict, or NULL. */
static const char *npy_value(const char *header, const char *key)
{
    const char *found = strstr(header, key);
    if (!found) return NULL;
    found += strlen(key);
    while (*found == ' ' || *found == ':') found++;
    return found;
}

static int32_t npy_dtype(const char *descr)
{
    static const struct {
        char code[4];
        int32_t dtype;
    } known[] = { { "f4'", KD_FLOAT32 }, { "f8'", KD_FLOAT64 }, { "f2'", KD_FLOAT16 }, { "i1'", KD_INT8 },
                  { "i2'", KD_INT16 },   { "i4'", KD_INT32 },   { "i8'", KD_INT64 },   { "u1'", KD_UINT8 },
                  { "u2'", KD_UINT16 },  { "u4'", KD_UINT32 },  { "u8'", KD_UINT64 },  { "b1'", KD_UINT8 } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strncmp(descr, known[i].code, 3)) return known[i].dtype;
    return 0;
}

static kd_status npy_shape(const char *at, const char *path, int32_t *rank, int64_t dims[KD_MAX_RANK])
{
    *rank = 0;
    KD_FAIL_IF(!at || *at != '(', KD_ERR_FORMAT, "%s: npy header without a shape", path);
    for (at++; *at && *at != ')';) {
        int64_t dim = 0;
        int digits = 0;
        while (*at == ' ' || *at == ',') at++;
        if (*at == ')') break;
        for (; *at >= '0' && *at <= '9'; at++, digits++)
            KD_FAIL_IF(__builtin_mul_overflow(dim, 10, &dim) || __builtin_add_overflow(dim, *at - '0', &dim), KD_ERR_FORMAT,
                       "%s: a dim in the npy header is too large", path);
        KD_FAIL_IF(!digits, KD_ERR_FORMAT, "%s: npy header with a strange shape", path);
        KD_FAIL_IF(*rank == KD_MAX_RANK, KD_ERR_FORMAT, "%s: npy rank above %d", path, KD_MAX_RANK);
        dims[(*rank)++] = dim;
    }
    KD_FAIL_IF(*at != ')', KD_ERR_FORMAT, "%s: npy header with an unfinished shape", path);
    return KD_OK;
}

static kd_status parse_npy_header(const char *header, const char *path, kd_array *array, int *swapped)
{
    const char *descr = npy_value(header, "'descr'"), *order = npy_value(header, "'fortran_order'");
    int64_t dims[KD_MAX_RANK];
    int32_t rank;
    KD_FAIL_IF(!descr || descr[0] != '\'' || !order, KD_ERR_FORMAT, "%s: npy header without descr or fortran_order", path);
    int32_t dtype = npy_dtype(descr + 2);
    KD_FAIL_IF(!dtype || !strchr("<>|=", descr[1]), KD_ERR_DTYPE, "%s: npy dtype %.10s is not supported", path, descr);
    KD_FAIL_IF(strncmp(order, "False", 5), KD_ERR_UNSUPPORTED, "%s: npy arrays in Fortran order are not supported", path);
    KD_TRY(npy_shape(npy_value(header, "'shape'"), path, &rank, dims));
    KD_FAIL_IF(!rank, KD_ERR_FORMAT, "%s: an npy file of a single number", path);
    *swapped = descr[1] == (little_endian_host() ? '>' : '<');
    kd__array_view(array, NULL, dtype, rank, dims);
    return KD_OK;
}

static kd_status read_npy(kd__input *input, const char *path, kd_array *array)
{
    unsigned char more[8]; /* "PY", version, header length of 2 or 4 bytes */
    char header[4096];
    int swapped;
    KD_TRY(kd__input_read(input, more, 6, "npy header"));
    KD_FAIL_IF(more[0] != 'P' || more[1] != 'Y', KD_ERR_FORMAT, "%s: not an npy file", path);
    KD_FAIL_IF(more[2] < 1 || more[2] > 3, KD_ERR_VERSION, "%s: npy version %d is not 1 to 3", path, more[2]);
    int64_t length = more[4] | more[5] << 8;
    if (more[2] > 1) {
        KD_TRY(kd__input_read(input, more + 6, 2, "npy header"));
        length |= (int64_t)more[6] << 16 | (int64_t)more[7] << 24;
    }
    KD_FAIL_IF(length >= (int64_t)sizeof header, KD_ERR_FORMAT, "%s: an npy header of %lld bytes", path, (long long)length);
    KD_TRY(kd__input_read(input, header, length, "npy header"));
    header[length] = 0;
    KD_TRY(parse_npy_header(header, path, array, &swapped));
    KD_TRY(read_data(input, path, array));
    if (swapped) swap_bytes(array->data, kd_array_count(array), kd_dtype_size(array->dtype));
    return KD_OK;
}

kd_status kd__array_file_read(kd_context *context, const char *path, kd_array *array)
{
    kd__input *input = NULL;
    unsigned char magic[4];
    KD_TRY(kd__input_open(&input, context, path));
    kd_status status = kd__input_read(input, magic, 4, "magic");
    if (status == KD_OK) {
        if (magic[0] == 0 && magic[1] == 0) status = read_idx(input, path, magic, array);
        else if (!memcmp(magic, "\x93NUM", 4)) status = read_npy(input, path, array);
        else status = kd__fail(KD_ERR_FORMAT, "%s: neither an IDX nor an npy file", path);
    }
    kd__input_close(input);
    return status;
}
