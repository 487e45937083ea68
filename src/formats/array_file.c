/* IDX: two zero bytes, type, rank, big-endian uint32 dims, big-endian data. npy: magic \x93NUMPY,
 * version, little-endian header length, a Python dict with descr, fortran_order and shape. */
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "formats/formats.h"

enum { MOST_EMPTY = 1 << 30 };

/* A dim of 0 lets the others say anything: what they would hold must be sensible without it. */
static int are_sensible(const kd_array *array)
{
    int64_t others = 1;
    for (int32_t i = 0; i < array->rank; i++)
        if (array->dims[i] && __builtin_mul_overflow(others, array->dims[i], &others)) return 0;
    return kd_array_count(array) > 0 || others <= MOST_EMPTY;
}

static kd_status claimed_bytes(const kd_array *array, const char *path, int64_t *bytes)
{
    int64_t count = kd_array_count(array);
    KD_FAIL_IF(count < 0 || !are_sensible(array), KD_ERR_FORMAT,
               "%s: the dims in the header are too large", path);
    return kd__multiply(count, (int64_t)kd_dtype_bytes(array->dtype), bytes);
}

static kd_status read_data(kd__input *input, const char *path, kd_array *array)
{
    int64_t bytes, got;
    char more;
    void *block = NULL;
    KD_TRY(claimed_bytes(array, path, &bytes));
    KD_TRY(kd__input_read_block(input, &block, bytes, "data"));
    kd_status status = kd__input_read_some(input, &more, 1, &got);
    if (status == KD_OK && got)
        status = kd__fail(KD_ERR_FORMAT,
                          "%s: expected %lld bytes of data as the header says, got more", path,
                          (long long)bytes);
    if (status != KD_OK) {
        kd__input_release(input, block);
        return status;
    }
    array->data = block;
    return KD_OK;
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

static kd_status read_idx(kd__input *input, const char *path, const unsigned char magic[4],
                          kd_array *array)
{
    int32_t dtype = idx_dtype(magic[2]), rank = magic[3];
    int64_t dims[KD_ARRAY_MAX_RANK];
    unsigned char size[4];
    KD_FAIL_IF(!dtype, KD_ERR_FORMAT, "%s: IDX type 0x%02x is unknown", path, magic[2]);
    KD_FAIL_IF(rank < 1 || rank > KD_ARRAY_MAX_RANK, KD_ERR_FORMAT,
               "%s: expected an IDX rank of 1 to %d, got %d", path, KD_ARRAY_MAX_RANK, rank);
    for (int32_t i = 0; i < rank; i++) {
        KD_TRY(kd__input_read(input, size, 4, "dims"));
        dims[i] = (int64_t)size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3];
    }
    kd__array_view(array, NULL, dtype, rank, dims);
    KD_TRY(read_data(input, path, array));
    if (KD__LITTLE_HOST) kd__swap_bytes(array->data, kd_array_count(array), kd_dtype_bytes(dtype));
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
    } known[] = { { "f4'", KD_FLOAT32 }, { "f8'", KD_FLOAT64 }, { "f2'", KD_FLOAT16 },
                  { "i1'", KD_INT8 },    { "i2'", KD_INT16 },   { "i4'", KD_INT32 },
                  { "i8'", KD_INT64 },   { "u1'", KD_UINT8 },   { "u2'", KD_UINT16 },
                  { "u4'", KD_UINT32 },  { "u8'", KD_UINT64 },  { "b1'", KD_UINT8 } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strncmp(descr, known[i].code, 3)) return known[i].dtype;
    return 0;
}

static kd_status npy_shape(const char *at, const char *path, int32_t *rank,
                           int64_t dims[KD_ARRAY_MAX_RANK])
{
    *rank = 0;
    KD_FAIL_IF(!at || *at != '(', KD_ERR_FORMAT, "%s: npy header: expected a tuple after 'shape'",
               path);
    for (at++; *at && *at != ')';) {
        int64_t dim = 0;
        int digits = 0;
        while (*at == ' ' || *at == ',') at++;
        if (*at == ')') break;
        for (; *at >= '0' && *at <= '9'; at++, digits++)
            KD_FAIL_IF(__builtin_mul_overflow(dim, 10, &dim) ||
                           __builtin_add_overflow(dim, *at - '0', &dim),
                       KD_ERR_FORMAT, "%s: npy header: shape: expected dims that fit in 64 bits",
                       path);
        KD_FAIL_IF(!digits, KD_ERR_FORMAT, "%s: npy header: shape: expected whole numbers", path);
        KD_FAIL_IF(*rank == KD_ARRAY_MAX_RANK, KD_ERR_FORMAT,
                   "%s: npy header: shape: expected a rank of at most %d, got more", path,
                   KD_ARRAY_MAX_RANK);
        dims[(*rank)++] = dim;
    }
    KD_FAIL_IF(*at != ')', KD_ERR_FORMAT, "%s: npy header: shape: expected ')' at the end", path);
    return KD_OK;
}

/* A text of Python's with its quotes. */
static int quoted_bytes(const char *text)
{
    const char *end = strchr("'\"", *text) && *text ? strchr(text + 1, *text) : NULL;
    return end && end - text < 40 ? (int)(end - text) + 1 : 10;
}

/* What numpy writes for arrays that are no numbers. */
static kd_status refuse_npy_dtype(const char *descr, const char *path)
{
    const int end = (int)strcspn(descr, "\n");
    KD_FAIL_IF(descr[0] == '[', KD_ERR_DTYPE,
               "%s: a structured npy array, a list of records %.*s: expected one type of numbers",
               path, (int)kd__min(end, 120), descr);
    const char kind = descr[0] && descr[1] ? descr[2] : 0;
    const int bytes = quoted_bytes(descr);
    KD_FAIL_IF(kind == 'O', KD_ERR_DTYPE,
               "%s: an npy array of Python objects (%.*s): expected numbers", path, bytes, descr);
    KD_FAIL_IF(kind == 'U' || kind == 'S' || kind == 'a', KD_ERR_DTYPE,
               "%s: an npy array of texts (%.*s): expected numbers", path, bytes, descr);
    KD_FAIL_IF(kind == 'c', KD_ERR_DTYPE,
               "%s: an npy array of complex numbers (%.*s): expected real ones", path, bytes,
               descr);
    return kd__fail(KD_ERR_DTYPE,
                    "%s: npy dtype %.*s is not supported: expected bool, integers or floats", path,
                    bytes, descr);
}

/* numpy reads the last of two: which was meant is not known. */
static kd_status check_once(const char *header, const char *path)
{
    static const char *const keys[] = { "descr", "fortran_order", "shape" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const size_t bytes = strlen(keys[i]);
        int count = 0;
        for (const char *at = header; (at = strstr(at, keys[i])); at += bytes)
            count += at > header && strchr("'\"", at[-1]) && at[bytes] == at[-1];
        KD_FAIL_IF(count > 1, KD_ERR_FORMAT, "%s: npy header: '%s' is there twice", path, keys[i]);
    }
    return KD_OK;
}

typedef struct {
    int swapped; /* bytes in the other order                     */
    int fortran; /* the first dim is the one that runs fastest   */
} npy_layout;

static kd_status parse_npy_header(const char *header, const char *path, kd_array *array,
                                  npy_layout *layout)
{
    const char *descr = npy_value(header, "'descr'"), *order = npy_value(header, "'fortran_order'");
    int64_t dims[KD_ARRAY_MAX_RANK];
    int32_t rank;
    KD_FAIL_IF(!descr || !order, KD_ERR_FORMAT,
               "%s: npy header: expected 'descr' and 'fortran_order'", path);
    const int32_t dtype = descr[0] == '\'' && descr[1] ? npy_dtype(descr + 2) : 0;
    if (!dtype || !strchr("<>|=", descr[1])) return refuse_npy_dtype(descr, path);
    KD_TRY(check_once(header, path));
    layout->fortran = !strncmp(order, "True", 4);
    KD_FAIL_IF(!layout->fortran && strncmp(order, "False", 5), KD_ERR_FORMAT,
               "%s: fortran_order: expected True or False", path);
    KD_TRY(npy_shape(npy_value(header, "'shape'"), path, &rank, dims));
    KD_FAIL_IF(!rank, KD_ERR_FORMAT,
               "%s: expected an npy array of rank 1 or more, got a single number", path);
    layout->swapped = descr[1] == (KD__LITTLE_HOST ? '>' : '<');
    kd__array_view(array, NULL, dtype, rank, dims);
    return KD_OK;
}

/* From the order in which the first dim runs fastest to the one in which the last does. */
static kd_status to_c_order(kd_context *context, kd_array *array)
{
    const size_t size = kd_dtype_bytes(array->dtype);
    const int64_t count = kd_array_count(array);
    int64_t at[KD_ARRAY_MAX_RANK] = { 0 }, steps[KD_ARRAY_MAX_RANK], from = 0;
    char *made = NULL;
    if (array->rank < 2 || count < 2) return KD_OK;
    KD_TRY(KD_NEW(context, &made, count * (int64_t)size));
    for (int32_t r = 0; r < array->rank; r++) steps[r] = r ? steps[r - 1] * array->dims[r - 1] : 1;
    for (int64_t i = 0; i < count; i++) {
        memcpy(made + (size_t)i * size, (const char *)array->data + (size_t)from * size, size);
        for (int32_t r = array->rank - 1; r >= 0; r--) {
            from += steps[r];
            if (++at[r] < array->dims[r]) break;
            from -= steps[r] * array->dims[r];
            at[r] = 0;
        }
    }
    kd__release(context, array->data);
    array->data = made;
    return KD_OK;
}

static kd_status read_npy(kd_context *context, kd__input *input, const char *path, kd_array *array)
{
    unsigned char more[8]; /* "PY", version, header length of 2 or 4 bytes */
    char header[4096];
    npy_layout layout;
    KD_TRY(kd__input_read(input, more, 6, "npy header"));
    KD_FAIL_IF(more[0] != 'P' || more[1] != 'Y', KD_ERR_FORMAT, "%s: not an npy file", path);
    KD_FAIL_IF(more[2] < 1 || more[2] > 3, KD_ERR_VERSION,
               "%s: expected npy version 1 to 3, got %d", path, more[2]);
    int64_t length = more[4] | more[5] << 8;
    if (more[2] > 1) {
        KD_TRY(kd__input_read(input, more + 6, 2, "npy header"));
        length |= (int64_t)more[6] << 16 | (int64_t)more[7] << 24;
    }
    KD_FAIL_IF(length >= (int64_t)sizeof header, KD_ERR_FORMAT,
               "%s: expected an npy header of fewer than %zu bytes, got %lld", path, sizeof header,
               (long long)length);
    KD_TRY(kd__input_read(input, header, length, "npy header"));
    header[length] = 0;
    KD_TRY(parse_npy_header(header, path, array, &layout));
    KD_TRY(read_data(input, path, array));
    if (layout.swapped)
        kd__swap_bytes(array->data, kd_array_count(array), kd_dtype_bytes(array->dtype));
    const kd_status status = layout.fortran ? to_c_order(context, array) : KD_OK;
    if (status != KD_OK) kd__release(context, array->data);
    return status;
}

kd_status kd__array_file_read(kd_context *context, const char *path, kd_array *array)
{
    kd__input *input = NULL;
    unsigned char magic[4];
    KD_TRY(kd__input_open(&input, context, path));
    kd_status status = kd__input_read(input, magic, 4, "magic");
    if (status == KD_OK) {
        if (magic[0] == 0 && magic[1] == 0) status = read_idx(input, path, magic, array);
        else if (!memcmp(magic, "\x93NUM", 4)) status = read_npy(context, input, path, array);
        else status = kd__fail(KD_ERR_FORMAT, "%s: neither an IDX nor an npy file", path);
    }
    kd__input_close(input);
    return status;
}
