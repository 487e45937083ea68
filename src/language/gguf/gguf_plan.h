/* What a GGUF file holds of a model: each tensor with its name there and its format, found before
 * anything is written. */
#ifndef KD_GGUF_GGUF_PLAN_H
#define KD_GGUF_GGUF_PLAN_H

#include <kdistill/gguf.h>

#include "formats/blocks/blocks.h"
#include "formats/gguf_put.h"
#include "language/gguf/gguf_model.h"

typedef struct kd__gguf_entry {
    int32_t tensor; /* of the model; -1: rope_freqs.weight */
    int32_t format; /* KD_FLOAT32 .. or a block format */
    char name[KD_NAME_BYTES];
} kd__gguf_entry;

typedef struct kd__gguf_plan {
    kd_model *model;
    const kd__trunk_config *d;
    kd_gguf_options o;
    int32_t forgiving;  /* 1: rows that fit no block are float16, whatever the mixture says */
    int32_t as_trained; /* 1: format 0, the lattice's, was asked for */
    kd__gguf_entry *entries;
    int64_t count, room;
    uint8_t *matched; /* (rule_count) */
    kd_gguf_info info;
    double squares, errors, matrix_bits, matrix_numbers; /* sums, for the info */
} kd__gguf_plan;

/* ggml's number of a format. */
int32_t kd__gguf_type(int32_t format);
/* "Q4_K", "float16". */
const char *kd__gguf_format_name(int32_t format);
/* Bytes of `count` numbers in rows that fit. */
int64_t kd__gguf_bytes(int32_t format, int64_t count);
/* general.file_type */
int32_t kd__gguf_file_type(const kd_gguf_options *options);

/* The model's name of a tensor in a layer (-1: of none): shared layers have one each. */
void kd__gguf_layer_name(const kd_model *model, int32_t tensor, int64_t layer,
                         char to[KD_NAME_BYTES]);
/* What llama.cpp's mixture gives a matrix of a layer (-1: embedding, head). `tensor` is the
 * model's. */
int32_t kd__gguf_mixture(const kd__trunk_config *d, const kd_gguf_options *o, int32_t tensor,
                         int64_t layer);
/* The format of rows of so many numbers: `format`, or llama.cpp's substitute. */
int32_t kd__gguf_fitting(int32_t format, int64_t width);

/* Checks options, and finds the entries. The plan is freed whatever came. */
kd_status kd__gguf_plan_make(kd__gguf_plan *plan, kd_model *model, const kd_gguf_options *options);
void kd__gguf_plan_free(kd__gguf_plan *plan);

/* Encodes all tensors in order and adds up plan->info; output NULL: they are not written. */
kd_status kd__gguf_tensors(kd__gguf_plan *plan, kd__output *output);

#endif
