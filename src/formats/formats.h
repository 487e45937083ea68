/* Array files: IDX, npy, CSV, safetensors. Every reader treats its file as hostile. */
#ifndef KD_BASE_FORMATS_H
#define KD_BASE_FORMATS_H

#include "base/file.h"
#include "formats/json.h"

/* Reads an IDX (MNIST) or npy file, plain or gzip, into a new contiguous block: release array->data
 * with kd__release. */
kd_status kd__array_file_read(kd_context *context, const char *path, kd_array *array);

/* A table of numbers. Empty cells are NaN. Release `values`. `has_header` skips the first line. */
kd_status kd__csv_read(kd_context *context, const char *path, char separator, int has_header,
                       double **values, int64_t *rows, int64_t *columns);

/* ---- safetensors ---- */
typedef struct kd__tensor_entry {
    const char *name;
    kd_array array; /* points into the file's bytes */
} kd__tensor_entry;

typedef struct kd__safetensors {
    kd_context *context;
    kd__map map;
    kd__json_document header;
    kd__tensor_entry *entries;
    int64_t count;
} kd__safetensors;

/* Maps the file: its tensors are read when they are looked at. */
kd_status kd__safetensors_read(kd__safetensors *file, kd_context *context, const char *path);
/* The same from memory, which must outlive `file`. */
kd_status kd__safetensors_parse(kd__safetensors *file, kd_context *context, const char *bytes,
                                int64_t size, const char *what);
void kd__safetensors_free(kd__safetensors *file);
const kd_array *kd__safetensors_find(const kd__safetensors *file, const char *name);
/* Writes float32 tensors as float32, float16 or bfloat16, and others as they are, beside the place
 * and moves the file in. */
kd_status kd__safetensors_write(kd_context *context, const char *path,
                                const kd__tensor_entry *entries, int64_t count, int32_t dtype);
/* What a tensor is written as. */
int32_t kd__safetensors_dtype(const kd_array *array, int32_t dtype);

#endif
