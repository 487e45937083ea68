#include "base/gguf.h"

#include <string.h>

#include "base/array.h"

#define MOST_PAIRS 100000
#define MOST_TENSORS 100000

/* ---- reading ---- */

typedef struct {
    const char *at, *end, *begin, *what;
} reader;

static kd_status take(reader *r, void *to, int64_t size)
{
    KD_FAIL_IF(size > r->end - r->at, KD_ERR_FORMAT, "%s: the file ends within byte %lld", r->what, (long long)(r->at - r->begin));
    memcpy(to, r->at, (size_t)size);
    r->at += size;
    return KD_OK;
}

static kd_status take_count(reader *r, int64_t most, const char *name, int64_t *count)
{
    uint64_t value = 0;
    KD_TRY(take(r, &value, 8));
    KD_FAIL_IF(value > (uint64_t)most, KD_ERR_FORMAT, "%s: %s: expected at most %lld, got %llu", r->what, name, (long long)most,
               (unsigned long long)value);
    *count = (int64_t)value;
    return KD_OK;
}

static kd_status take_string(reader *r, kd__gguf_string *s)
{
    KD_TRY(take_count(r, r->end - r->at, "a text's length", &s->bytes));
    KD_FAIL_IF(s->bytes > r->end - r->at, KD_ERR_FORMAT, "%s: a text reaches beyond the file", r->what);
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
    KD_FAIL_IF(size < 0 || type == KD__GGUF_ARRAY, KD_ERR_FORMAT, "%s: a value of type %d", r->what, type);
    if (type == KD__GGUF_STRING)
        for (int64_t i = 0; i < count; i++) KD_TRY(take_string(r, &s));
    else {
        KD_FAIL_IF(count > (r->end - r->at) / size, KD_ERR_FORMAT, "%s: an array reaches beyond the file", r->what);
        r->at += count * size;
    }
    return KD_OK;
}

static kd_status take_pair(reader *r, kd__gguf_pair *p)
{
    KD_TRY(take_string(r, &p->key));
    KD_TRY(take(r, &p->type, 4));
    p->count = 1;
    p->items = p->type;
    if (p->type == KD__GGUF_ARRAY) {
        KD_TRY(take(r, &p->items, 4));
        KD_TRY(take_count(r, r->end - r->at, "an array's length", &p->count));
    }
    p->value = r->at;
    return skip_values(r, p->items, p->count);
}

/* Numbers of a block, and its bytes. */
static int block_of(int32_t type, int64_t *numbers, int64_t *bytes)
{
    static const struct {
        int32_t type, numbers, bytes;
    } known[] = { { KD__GGML_F32, 1, 4 },      { KD__GGML_F16, 1, 2 },      { KD__GGML_BF16, 1, 2 },    { KD__GGML_Q4_0, 32, 18 },
                  { KD__GGML_Q4_1, 32, 20 },   { KD__GGML_Q5_0, 32, 22 },   { KD__GGML_Q5_1, 32, 24 },  { KD__GGML_Q8_0, 32, 34 },
                  { KD__GGML_Q4_K, 256, 144 }, { KD__GGML_Q5_K, 256, 176 }, { KD__GGML_Q6_K, 256, 210 } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].type == type) return *numbers = known[i].numbers, *bytes = known[i].bytes, 1;
    return 0;
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
    KD_TRY(take(r, &t->rank, 4));
    KD_FAIL_IF(t->rank < 1 || t->rank > 4, KD_ERR_FORMAT, "%s: tensor %.*s has rank %d", r->what, (int)(t->name.bytes < 60 ? t->name.bytes : 60),
               t->name.text, t->rank);
    t->count = 1;
    KD_TRY(take(r, dims, 8 * t->rank));
    for (int32_t i = 0; i < t->rank; i++) {
        KD_FAIL_IF(dims[i] < 1 || dims[i] > (uint64_t)1 << 40, KD_ERR_FORMAT, "%s: tensor %.*s: a dim of %llu", r->what,
                   (int)(t->name.bytes < 60 ? t->name.bytes : 60), t->name.text, (unsigned long long)dims[i]);
        t->dims[t->rank - 1 - i] = (int64_t)dims[i];
        KD_TRY(kd__multiply(t->count, (int64_t)dims[i], &t->count));
    }
    KD_TRY(take(r, &t->type, 4));
    return take(r, offset, 8);
}

static kd_status place_tensor(const reader *r, kd__gguf_tensor *t, uint64_t offset, const char *data)
{
    const int64_t left = r->end - data, bytes = kd__ggml_bytes(t->type, t->dims[t->rank - 1]) * (t->count / t->dims[t->rank - 1]);
    const int shown = (int)(t->name.bytes < 60 ? t->name.bytes : 60);
    KD_FAIL_IF(!kd__ggml_bytes(t->type, t->dims[t->rank - 1]), KD_ERR_UNSUPPORTED,
               "%s: tensor %.*s: type %d with rows of %lld numbers is not supported", r->what, shown, t->name.text, t->type,
               (long long)t->dims[t->rank - 1]);
    KD_FAIL_IF(t->count > (int64_t)1 << 40 || left < 0 || offset > (uint64_t)left || bytes > left - (int64_t)offset, KD_ERR_FORMAT,
               "%s: tensor %.*s does not lie within the file", r->what, shown, t->name.text);
    t->data = data + offset;
    return KD_OK;
}

static kd_status parse(kd__gguf *file, reader *r)
{
    uint32_t magic = 0, version = 0;
    uint64_t *offsets = NULL;
    KD_TRY(take(r, &magic, 4));
    KD_TRY(take(r, &version, 4));
    KD_FAIL_IF(magic != 0x46554747, KD_ERR_FORMAT, "%s: no GGUF file", r->what);
    KD_FAIL_IF(version != 2 && version != 3, KD_ERR_VERSION, "%s: GGUF version %u: expected 2 or 3", r->what, version);
    KD_TRY(take_count(r, MOST_TENSORS, "tensors", &file->tensor_count));
    KD_TRY(take_count(r, MOST_PAIRS, "keys", &file->pair_count));
    KD_FAIL_IF(file->tensor_count * 24 + file->pair_count * 13 > r->end - r->at, KD_ERR_FORMAT, "%s: the file is too short for its counts", r->what);
    KD_TRY(KD_NEW(file->context, &file->pairs, file->pair_count + 1));
    KD_TRY(KD_NEW(file->context, &file->tensors, file->tensor_count + 1));
    for (int64_t i = 0; i < file->pair_count; i++) KD_TRY(take_pair(r, &file->pairs[i]));
    KD_TRY(KD_NEW(file->context, &offsets, file->tensor_count + 1));
    kd_status status = KD_OK;
    for (int64_t i = 0; i < file->tensor_count && status == KD_OK; i++) status = take_tensor(r, &file->tensors[i], &offsets[i]);
    const double unit = kd__gguf_number(file, "general.alignment", 32);
    if (status == KD_OK && !(unit >= 1 && unit <= 1 << 20)) status = kd__fail(KD_ERR_FORMAT, "%s: an alignment of %g", r->what, unit);
    if (status == KD_OK) {
        const int64_t alignment = (int64_t)unit, at = (r->at - r->begin + alignment - 1) / alignment * alignment;
        for (int64_t i = 0; i < file->tensor_count && status == KD_OK; i++) status = place_tensor(r, &file->tensors[i], offsets[i], r->begin + at);
    }
    kd__release(file->context, offsets);
    return status;
}

kd_status kd__gguf_parse(kd__gguf *file, kd_context *context, const char *bytes, int64_t size, const char *what)
{
    reader r = { bytes, bytes + size, bytes, what };
    *file = (kd__gguf){ .context = context };
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

int kd__gguf_equals(kd__gguf_string s, const char *text) { return s.bytes == (int64_t)strlen(text) && !memcmp(s.text, text, (size_t)s.bytes); }

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

#define READ(kind)                                                                                                                                   \
    {                                                                                                                                                \
        kind value;                                                                                                                                  \
        memcpy(&value, p->value, sizeof value);                                                                                                      \
        return (double)value;                                                                                                                        \
    }

double kd__gguf_number(const kd__gguf *file, const char *key, double otherwise)
{
    const kd__gguf_pair *p = kd__gguf_find(file, key);
    switch (p ? p->type : -1) {
    case KD__GGUF_U8:
    case KD__GGUF_BOOL: READ(uint8_t)
    case KD__GGUF_I8: READ(int8_t)
    case KD__GGUF_U16: READ(uint16_t)
    case KD__GGUF_I16: READ(int16_t)
    case KD__GGUF_U32: READ(uint32_t)
    case KD__GGUF_I32: READ(int32_t)
    case KD__GGUF_F32: READ(float)
    case KD__GGUF_U64: READ(uint64_t)
    case KD__GGUF_I64: READ(int64_t)
    case KD__GGUF_F64: READ(double)
    default: return otherwise;
    }
}

kd__gguf_string kd__gguf_next(const char **at)
{
    uint64_t bytes;
    memcpy(&bytes, *at, 8);
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

/* ---- blocks to float32, as ggml lays them out ---- */

static float half(const uint8_t *at)
{
    uint16_t bits;
    float value;
    memcpy(&bits, at, 2);
    kd__convert_float32(&value, &bits, KD_FLOAT16, 1, 1, 0);
    return value;
}

/* Q4_0, Q4_1, Q5_0, Q5_1: 16 bytes of two nibbles; the fifth bits in a word; with a minimum, or around the middle. */
static void nibbles(const uint8_t *b, int fifth, int minimum, float *y)
{
    const float d = half(b), m = minimum ? half(b + 2) : 0;
    uint32_t high = 0;
    b += minimum ? 4 : 2;
    if (fifth) memcpy(&high, b, 4), b += 4;
    for (int j = 0; j < 16; j++) {
        const int low = (b[j] & 15) | (int)(high >> j & 1) << 4, up = b[j] >> 4 | (int)(high >> (j + 16) & 1) << 4,
                  middle = minimum ? 0
                           : fifth ? 16
                                   : 8;
        y[j] = d * (float)(low - middle) + m;
        y[j + 16] = d * (float)(up - middle) + m;
    }
}

static void scale_and_minimum(int j, const uint8_t *s, int *scale, int *minimum)
{
    if (j < 4) *scale = s[j] & 63, *minimum = s[j + 4] & 63;
    else *scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4, *minimum = s[j + 4] >> 4 | s[j] >> 6 << 4;
}

/* Q4_K, Q5_K: eight groups of 32 with 6-bit scales and minima. */
static void k_nibbles(const uint8_t *b, int fifth, float *y)
{
    const float d = half(b), m = half(b + 2);
    const uint8_t *scales = b + 4, *high = b + 16, *q = b + 16 + (fifth ? 32 : 0);
    for (int j = 0; j < 8; j++) {
        int scale, minimum;
        scale_and_minimum(j, scales, &scale, &minimum);
        for (int l = 0; l < 32; l++) {
            const int nibble = j % 2 ? q[j / 2 * 32 + l] >> 4 : q[j / 2 * 32 + l] & 15;
            y[j * 32 + l] = d * (float)scale * (float)(nibble + (fifth && high[l] >> j & 1 ? 16 : 0)) - m * (float)minimum;
        }
    }
}

static void q6_k(const uint8_t *b, float *y)
{
    const float d = half(b + 208);
    const int8_t *scales = (const int8_t *)(b + 192);
    for (int n = 0; n < 2; n++)
        for (int l = 0; l < 32; l++) {
            const uint8_t *low = b + 64 * n, high = b[128 + 32 * n + l];
            const int q[4] = { (low[l] & 15) | (high & 3) << 4, (low[l + 32] & 15) | (high >> 2 & 3) << 4, low[l] >> 4 | (high >> 4 & 3) << 4,
                               low[l + 32] >> 4 | (high >> 6 & 3) << 4 };
            for (int k = 0; k < 4; k++) y[128 * n + 32 * k + l] = d * (float)scales[8 * n + 2 * k + l / 16] * (float)(q[k] - 32);
        }
}

static void unpack(int32_t type, const uint8_t *b, float *y)
{
    const float d = type == KD__GGML_Q8_0 ? half(b) : 0;
    switch (type) {
    case KD__GGML_Q4_0: nibbles(b, 0, 0, y); break;
    case KD__GGML_Q4_1: nibbles(b, 0, 1, y); break;
    case KD__GGML_Q5_0: nibbles(b, 1, 0, y); break;
    case KD__GGML_Q5_1: nibbles(b, 1, 1, y); break;
    case KD__GGML_Q4_K: k_nibbles(b, 0, y); break;
    case KD__GGML_Q5_K: k_nibbles(b, 1, y); break;
    case KD__GGML_Q6_K: q6_k(b, y); break;
    default:
        for (int j = 0; j < 32; j++) y[j] = d * (float)(int8_t)b[2 + j];
    }
}

void kd__gguf_rows(const kd__gguf_tensor *t, int64_t first, int64_t rows, int64_t width, float *to)
{
    int64_t numbers = 1, bytes = 4;
    block_of(t->type, &numbers, &bytes);
    const uint8_t *from = (const uint8_t *)t->data + first * (width / numbers) * bytes;
    const int32_t dtype = t->type == KD__GGML_F32 ? KD_FLOAT32 : t->type == KD__GGML_F16 ? KD_FLOAT16 : t->type == KD__GGML_BF16 ? KD_BFLOAT16 : 0;
    if (dtype) kd__convert_float32(to, from, dtype, rows * width, 1, 0);
    else
        for (int64_t i = 0; i < rows * width / numbers; i++) unpack(t->type, from + i * bytes, to + i * numbers);
}
