/* Reading GGUF files: pairs, tensors, rows of each number type. */
#include "formats/gguf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "formats/blocks/blocks.h"

#define MOST_PAIRS 100000
#define MOST_TENSORS 100000

/* ---- reading ---- */

typedef struct {
    const char *at, *end, *begin, *what;
} reader;

/* The next `size` bytes. */
static kd_status take(reader *r, int64_t size, const char **at)
{
    KD_FAIL_IF(size > r->end - r->at, KD_ERR_FORMAT, "%s: the file ends within byte %lld", r->what,
               (long long)(r->at - r->begin));
    *at = r->at;
    r->at += size;
    return KD_OK;
}

static kd_status take32(reader *r, int32_t *value)
{
    const char *at;
    KD_TRY(take(r, 4, &at));
    *value = (int32_t)kd__get32(at);
    return KD_OK;
}

static kd_status take64(reader *r, uint64_t *value)
{
    const char *at;
    KD_TRY(take(r, 8, &at));
    *value = kd__get64(at);
    return KD_OK;
}

static kd_status take_count(reader *r, int64_t most, const char *name, int64_t *count)
{
    uint64_t value;
    KD_TRY(take64(r, &value));
    KD_FAIL_IF(value > (uint64_t)most, KD_ERR_FORMAT, "%s: %s: expected at most %lld, got %llu",
               r->what, name, (long long)most, (unsigned long long)value);
    *count = (int64_t)value;
    return KD_OK;
}

static kd_status take_string(reader *r, kd__gguf_string *s)
{
    KD_TRY(take_count(r, r->end - r->at, "a text's length", &s->bytes));
    KD_FAIL_IF(s->bytes > r->end - r->at, KD_ERR_FORMAT, "%s: a text reaches beyond the file",
               r->what);
    s->text = r->at;
    r->at += s->bytes;
    return KD_OK;
}

static int64_t size_of(int32_t type)
{
    static const int64_t sizes[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    return type >= 0 && type <= KD__GGUF_F64 ? sizes[type] : -1;
}

static kd_status skip_values(reader *r, int32_t type, int64_t count)
{
    const int64_t size = size_of(type);
    kd__gguf_string s;
    KD_FAIL_IF(size < 0 || type == KD__GGUF_ARRAY, KD_ERR_FORMAT,
               "%s: expected a value of a known type, got type %d", r->what, type);
    if (type == KD__GGUF_STRING)
        for (int64_t i = 0; i < count; i++) KD_TRY(take_string(r, &s));
    else {
        KD_FAIL_IF(count > (r->end - r->at) / size, KD_ERR_FORMAT,
                   "%s: an array reaches beyond the file", r->what);
        r->at += count * size;
    }
    return KD_OK;
}

static kd_status take_pair(reader *r, kd__gguf_pair *p)
{
    KD_TRY(take_string(r, &p->key));
    KD_TRY(take32(r, &p->type));
    p->count = 1;
    p->items = p->type;
    if (p->type == KD__GGUF_ARRAY) {
        KD_TRY(take32(r, &p->items));
        KD_TRY(take_count(r, r->end - r->at, "an array's length", &p->count));
    }
    p->value = r->at;
    return skip_values(r, p->items, p->count);
}

/* Numbers of a block, and its bytes. */
static int block_of(int32_t type, int64_t *numbers, int64_t *bytes)
{
    const kd__block_format *f = kd__block_find(type + KD__GGML_BLOCKS);
    *numbers = f ? f->numbers : 1;
    *bytes = f ? f->bytes : type == KD__GGML_F32 ? 4 : 2;
    return f || type == KD__GGML_F32 || type == KD__GGML_F16 || type == KD__GGML_BF16;
}

int64_t kd__ggml_bytes(int32_t type, int64_t count)
{
    int64_t numbers, bytes;
    return block_of(type, &numbers, &bytes) && count % numbers == 0 ? count / numbers * bytes : 0;
}

static kd_status take_tensor(reader *r, kd__gguf_tensor *t, uint64_t *offset)
{
    uint64_t dims[4] = { 1, 1, 1, 1 };
    KD_TRY(take_string(r, &t->name));
    KD_TRY(take32(r, &t->rank));
    KD_FAIL_IF(t->rank < 1 || t->rank > 4, KD_ERR_FORMAT,
               "%s: tensor %.*s: expected a rank of 1 to 4, got %d", r->what,
               (int)kd__min(t->name.bytes, 60), t->name.text, t->rank);
    t->count = 1;
    for (int32_t i = 0; i < t->rank; i++) {
        KD_TRY(take64(r, &dims[i]));
        KD_FAIL_IF(dims[i] < 1 || dims[i] > (uint64_t)1 << 40, KD_ERR_FORMAT,
                   "%s: tensor %.*s: expected dims of 1 to 2^40, got %llu", r->what,
                   (int)kd__min(t->name.bytes, 60), t->name.text, (unsigned long long)dims[i]);
        t->dims[t->rank - 1 - i] = (int64_t)dims[i];
        KD_TRY(kd__multiply(t->count, (int64_t)dims[i], &t->count));
    }
    KD_TRY(take32(r, &t->type));
    return take64(r, offset);
}

static kd_status place_tensor(const reader *r, kd__gguf_tensor *t, uint64_t offset,
                              const char *data)
{
    const int64_t left = r->end - data, bytes = kd__ggml_bytes(t->type, t->dims[t->rank - 1]) *
                                                (t->count / t->dims[t->rank - 1]);
    const int shown = (int)kd__min(t->name.bytes, 60);
    KD_FAIL_IF(!kd__ggml_bytes(t->type, t->dims[t->rank - 1]), KD_ERR_UNSUPPORTED,
               "%s: tensor %.*s: type %d with rows of %lld numbers is not supported", r->what,
               shown, t->name.text, t->type, (long long)t->dims[t->rank - 1]);
    KD_FAIL_IF(t->count > (int64_t)1 << 40 || left < 0 || offset > (uint64_t)left ||
                   bytes > left - (int64_t)offset,
               KD_ERR_FORMAT, "%s: tensor %.*s does not lie within the file", r->what, shown,
               t->name.text);
    t->data = data + offset;
    return KD_OK;
}

static int by_bytes(const void *a, const void *b)
{
    const kd__gguf_string *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return memcmp(x->text, y->text, (size_t)x->bytes);
}

/* Which of two values counts is nobody's to say; llama.cpp refuses such files, too. Sorts
 * `names`. */
static kd_status check_once(const reader *r, kd__gguf_string *names, int64_t count,
                            const char *kind)
{
    if (count) qsort(names, (size_t)count, sizeof *names, by_bytes);
    for (int64_t i = 1; i < count; i++)
        KD_FAIL_IF(!by_bytes(&names[i - 1], &names[i]), KD_ERR_FORMAT,
                   "%s: the %s %.*s appears twice", r->what, kind, (int)kd__min(names[i].bytes, 90),
                   names[i].text);
    return KD_OK;
}

static kd_status check_names(const kd__gguf *file, const reader *r)
{
    const int64_t most = kd__max(file->pair_count, file->tensor_count);
    kd__gguf_string *names = NULL;
    KD_TRY(KD_NEW(file->context, &names, most + 1));
    for (int64_t i = 0; i < file->pair_count; i++) names[i] = file->pairs[i].key;
    kd_status status = check_once(r, names, file->pair_count, "key");
    for (int64_t i = 0; i < file->tensor_count; i++) names[i] = file->tensors[i].name;
    if (status == KD_OK) status = check_once(r, names, file->tensor_count, "tensor");
    kd__release(file->context, names);
    return status;
}

/* The file's version, and how many keys and tensors follow. */
static kd_status take_header(kd__gguf *file, reader *r)
{
    int32_t magic, version;
    KD_TRY(take32(r, &magic));
    KD_TRY(take32(r, &version));
    KD_FAIL_IF(magic != 0x46554747, KD_ERR_FORMAT, "%s: not a GGUF file", r->what);
    KD_FAIL_IF(version != 2 && version != 3, KD_ERR_VERSION, "%s: GGUF version %u: expected 2 or 3",
               r->what, (unsigned)version);
    KD_TRY(take_count(r, MOST_TENSORS, "tensors", &file->tensor_count));
    KD_TRY(take_count(r, MOST_PAIRS, "keys", &file->pair_count));
    const int64_t least = file->tensor_count * 24 + file->pair_count * 13;
    const int64_t left = r->end - r->at;
    KD_FAIL_IF(least > left, KD_ERR_FORMAT,
               "%s: expected at least %lld bytes for its counts, the file has %lld left", r->what,
               (long long)least, (long long)left);
    return KD_OK;
}

static kd_status take_tensors(kd__gguf *file, reader *r, uint64_t *offsets)
{
    for (int64_t i = 0; i < file->tensor_count; i++)
        KD_TRY(take_tensor(r, &file->tensors[i], &offsets[i]));
    const double unit = kd__gguf_number(file, "general.alignment", 32);
    KD_FAIL_IF(!(unit >= 1 && unit <= 1 << 20), KD_ERR_FORMAT,
               "%s: general.alignment: expected 1 to 2^20, got %g", r->what, unit);
    const char *data = r->begin + kd__round_up(r->at - r->begin, (int64_t)unit);
    for (int64_t i = 0; i < file->tensor_count; i++)
        KD_TRY(place_tensor(r, &file->tensors[i], offsets[i], data));
    return KD_OK;
}

static kd_status parse(kd__gguf *file, reader *r)
{
    uint64_t *offsets = NULL;
    KD_TRY(take_header(file, r));
    KD_TRY(KD_NEW(file->context, &file->pairs, file->pair_count + 1));
    KD_TRY(KD_NEW(file->context, &file->tensors, file->tensor_count + 1));
    for (int64_t i = 0; i < file->pair_count; i++) KD_TRY(take_pair(r, &file->pairs[i]));
    KD_TRY(KD_NEW(file->context, &offsets, file->tensor_count + 1));
    const kd_status status = take_tensors(file, r, offsets);
    kd__release(file->context, offsets);
    KD_TRY(status);
    return check_names(file, r);
}

kd_status kd__gguf_parse(kd__gguf *file, kd_context *context, const char *bytes, int64_t size,
                         const char *what)
{
    reader r = { bytes, bytes + size, bytes, what };
    *file = (kd__gguf){ .context = context, .what = what };
    const kd_status status = parse(file, &r);
    if (status != KD_OK) kd__gguf_close(file);
    return status;
}

kd_status kd__gguf_open(kd__gguf *file, kd_context *context, const char *path)
{
    kd__map map;
    KD_TRY(kd__file_map(&map, path));
    const kd_status status = kd__gguf_parse(file, context, map.bytes, map.size, path);
    if (status == KD_OK) file->map = map;
    else kd__file_unmap(&map);
    return status;
}

void kd__gguf_close(kd__gguf *file)
{
    if (!file->context) return;
    kd__release(file->context, file->pairs);
    kd__release(file->context, file->tensors);
    kd__file_unmap(&file->map);
    *file = (kd__gguf){ 0 };
}

int kd__gguf_is(const char *path)
{
    kd__map map;
    if (kd__file_map(&map, path) != KD_OK) return 0;
    const int is = map.size >= 4 && !memcmp(map.bytes, "GGUF", 4);
    kd__file_unmap(&map);
    return is;
}

/* ---- values ---- */

int kd__gguf_equals(kd__gguf_string s, const char *text)
{
    return s.bytes == (int64_t)strlen(text) && !memcmp(s.text, text, (size_t)s.bytes);
}

const kd__gguf_pair *kd__gguf_find(const kd__gguf *file, const char *key)
{
    for (int64_t i = 0; i < file->pair_count; i++)
        if (kd__gguf_equals(file->pairs[i].key, key)) return &file->pairs[i];
    return NULL;
}

const kd__gguf_tensor *kd__gguf_tensor_find(const kd__gguf *file, const char *name)
{
    for (int64_t i = 0; i < file->tensor_count; i++)
        if (kd__gguf_equals(file->tensors[i].name, name)) return &file->tensors[i];
    return NULL;
}

/* NaN: no number. */
static double number_at(const kd__gguf_pair *p, int64_t index)
{
    const char *at = p->value + index * size_of(p->items);
    switch (p->items) {
    case KD__GGUF_U8:
    case KD__GGUF_BOOL: return (uint8_t)*at;
    case KD__GGUF_I8: return (int8_t)*at;
    case KD__GGUF_U16: return kd__get16(at);
    case KD__GGUF_I16: return (int16_t)kd__get16(at);
    case KD__GGUF_U32: return kd__get32(at);
    case KD__GGUF_I32: return (int32_t)kd__get32(at);
    case KD__GGUF_F32: return kd__get_float(at);
    case KD__GGUF_U64: return (double)kd__get64(at);
    case KD__GGUF_I64: return (double)(int64_t)kd__get64(at);
    case KD__GGUF_F64: return kd__get_double(at);
    default: return NAN;
    }
}

int kd__gguf_uniform(const kd__gguf_pair *pair, double *value)
{
    if (!pair->count) return 0;
    *value = number_at(pair, 0);
    for (int64_t i = 1; i < pair->count; i++)
        if (number_at(pair, i) != *value) return 0;
    return !isnan(*value);
}

double kd__gguf_number(const kd__gguf *file, const char *key, double otherwise)
{
    const kd__gguf_pair *p = kd__gguf_find(file, key);
    double value;
    return p && kd__gguf_uniform(p, &value) ? value : otherwise;
}

static int show_one(const kd__gguf_pair *p, int64_t index, const char **at, char *to, size_t room)
{
    if (p->items != KD__GGUF_STRING) return snprintf(to, room, "%.9g", number_at(p, index));
    const kd__gguf_string s = kd__gguf_next(at);
    return snprintf(to, room, "\"%.*s\"", (int)kd__min(s.bytes, 40), s.text);
}

void kd__gguf_show(const kd__gguf_pair *pair, char *to, size_t room)
{
    const char *at = pair->value;
    size_t used = 0;
    if (pair->type != KD__GGUF_ARRAY) {
        show_one(pair, 0, &at, to, room);
        return;
    }
    used += (size_t)snprintf(to, room, "[");
    for (int64_t i = 0; i < pair->count && i < 4 && used < room; i++) {
        used += (size_t)snprintf(to + used, room - used, "%s", i ? ", " : "");
        if (used < room) used += (size_t)show_one(pair, i, &at, to + used, room - used);
    }
    if (used < room) snprintf(to + used, room - used, pair->count > 4 ? ", ..]" : "]");
}

kd__gguf_string kd__gguf_next(const char **at)
{
    const uint64_t bytes = kd__get64(*at);
    kd__gguf_string s = { *at + 8, (int64_t)bytes };
    *at += 8 + bytes;
    return s;
}

kd__gguf_string kd__gguf_text(const kd__gguf *file, const char *key)
{
    const kd__gguf_pair *p = kd__gguf_find(file, key);
    const char *at = p ? p->value : NULL;
    return p && p->type == KD__GGUF_STRING ? kd__gguf_next(&at) : (kd__gguf_string){ "", 0 };
}

/* ---- numbers to float32 ---- */

/* Numbers in little-endian order, whatever the host's. */
static void convert(int32_t dtype, const uint8_t *from, int64_t count, float *to)
{
    uint32_t piece[256];
    const int64_t size = (int64_t)kd_dtype_bytes(dtype), most = (int64_t)sizeof piece / size;
    for (int64_t i = 0; i < count; i += most) {
        const int64_t n = kd__min(count - i, most);
        memcpy(piece, from + i * size, (size_t)(n * size));
        kd__little_bytes(piece, n, (size_t)size);
        kd__convert_float32(to + i, piece, dtype, n, 1, 0);
    }
}

void kd__gguf_rows(const kd__gguf_tensor *t, int64_t first, int64_t rows, int64_t width, float *to)
{
    const kd__block_format *f = kd__block_find(t->type + KD__GGML_BLOCKS);
    const int32_t dtype = t->type == KD__GGML_F32    ? KD_FLOAT32
                          : t->type == KD__GGML_F16  ? KD_FLOAT16
                          : t->type == KD__GGML_BF16 ? KD_BFLOAT16
                                                     : 0;
    const uint8_t *from = (const uint8_t *)t->data + first * kd__ggml_bytes(t->type, width);
    if (dtype) convert(dtype, from, rows * width, to);
    else kd__block_decode_row(f, from, rows * width, to);
}
