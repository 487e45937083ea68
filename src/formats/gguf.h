/* GGUF files (versions 2 and 3, little-endian): key-values and tensors, mapped. Every number of the
 * file is taken for hostile. */
#ifndef KD_BASE_GGUF_H
#define KD_BASE_GGUF_H

#include "base/file.h"

enum {
    KD__GGUF_U8,
    KD__GGUF_I8,
    KD__GGUF_U16,
    KD__GGUF_I16,
    KD__GGUF_U32,
    KD__GGUF_I32,
    KD__GGUF_F32,
    KD__GGUF_BOOL,
    KD__GGUF_STRING,
    KD__GGUF_ARRAY,
    KD__GGUF_U64,
    KD__GGUF_I64,
    KD__GGUF_F64
};

typedef struct kd__gguf_string {
    const char *text; /* not ended with 0 */
    int64_t bytes;
} kd__gguf_string;

typedef struct kd__gguf_pair {
    kd__gguf_string key;
    int32_t type, items; /* items: type of an array's elements */
    int64_t count;       /* of an array's elements */
    const char *value;   /* behind type, count and items */
} kd__gguf_pair;

/* Types of tensors that are no blocks, and what a block format has more than its type's number. */
enum { KD__GGML_F32 = 0, KD__GGML_F16 = 1, KD__GGML_BF16 = 30, KD__GGML_BLOCKS = 256 };

typedef struct kd__gguf_tensor {
    kd__gguf_string name;
    int32_t type, rank;
    int64_t dims[4]; /* as a row-major array has them: the file's, turned round */
    int64_t count;
    const char *data;
} kd__gguf_tensor;

typedef struct kd__gguf {
    kd_context *context;
    kd__map map;
    kd__gguf_pair *pairs;
    kd__gguf_tensor *tensors;
    int64_t pair_count, tensor_count;
    const char *what; /* the caller's name of it, for messages: lives as long as the file is open */
} kd__gguf;

int kd__gguf_is(const char *path);
kd_status kd__gguf_open(kd__gguf *file, kd_context *context, const char *path);
kd_status kd__gguf_parse(kd__gguf *file, kd_context *context, const char *bytes, int64_t size,
                         const char *what);
void kd__gguf_close(kd__gguf *file);

const kd__gguf_pair *kd__gguf_find(const kd__gguf *file, const char *key);
/* A number of any type, or a list of equal ones; `otherwise` when it is not there or neither. */
double kd__gguf_number(const kd__gguf *file, const char *key, double otherwise);
/* Is the value a number, or a list of equal ones? Which? */
int kd__gguf_uniform(const kd__gguf_pair *pair, double *value);
/* A value as text for messages, cut to the room. */
void kd__gguf_show(const kd__gguf_pair *pair, char *to, size_t room);
/* A text; 0 bytes when it is not there. */
kd__gguf_string kd__gguf_text(const kd__gguf *file, const char *key);
int kd__gguf_equals(kd__gguf_string s, const char *text);
/* Elements of an array of strings (or of int32 or float32): *at begins with pair->value. */
kd__gguf_string kd__gguf_next(const char **at);
const kd__gguf_tensor *kd__gguf_tensor_find(const kd__gguf *file, const char *name);
/* `rows` rows of `width` numbers from row `first` on, as float32. */
void kd__gguf_rows(const kd__gguf_tensor *tensor, int64_t first, int64_t rows, int64_t width,
                   float *to);
/* Bytes of `count` numbers of a type, 0: not supported or count no whole number of blocks. */
int64_t kd__ggml_bytes(int32_t type, int64_t count);

#endif
