/* Insides of a model: layers over one flat parameter block, activations in one planned block. */
#ifndef KD_MODEL_MODEL_H
#define KD_MODEL_MODEL_H

#include <kdistill/head.h>
#include <kdistill/model.h>

#include "base/json.h"
#include "base/state.h"
#include "nn/activation.h"
#include "nn/conv.h"

enum { KD__DENSE, KD__CONV, KD__MAX_POOL, KD__DROPOUT, KD__FLATTEN };

typedef struct kd__tensor {
    char name[KD_MAX_NAME];
    int64_t offset, count; /* in the flat block */
    int64_t gradient;      /* offset in the block of gradients: the same, unless layers share a place */
    int32_t rank;
    int64_t dims[4];
    int32_t frozen;
} kd__tensor;

typedef struct kd__layer {
    int32_t type, activation;
    char output[KD_MAX_NAME]; /* "hidden.2", "logits", "" */
    int32_t shape_rank;       /* of the output without rows: 1 or 3 */
    int64_t shape[3];
    int64_t inputs, outputs; /* numbers a row */
    kd__window window;
    double dropout;
    int32_t weight, bias;   /* tensors, -1: none */
    int64_t y, pre, places; /* offsets (floats) in the activation block for one max_rows plan; -1: none */
    float *external;        /* gradient of a named output, (max_rows, outputs); made when first asked for */
    int64_t external_room;
    int32_t has_external;
} kd__layer;

struct kd__decoder;

typedef struct kd__network {
    char *config; /* JSON text */
    char input[KD_MAX_NAME];
    int64_t input_size;
    int32_t input_rank;
    int64_t input_shape[3];
    kd__layer *layers;
    int64_t layer_count, layer_room;
    kd__tensor *tensors;
    int64_t tensor_count, tensor_room;
    int64_t parameters;
    struct kd__decoder *decoder; /* a language model; NULL: the layers above */
} kd__network;

/* What differs between the kinds of networks (src/model/pass.c, src/model/decoder.c). The model has checked its arguments. */
typedef struct kd__engine {
    kd_status (*forward)(kd_model *model, kd_batch *batch, int32_t mode);
    kd_status (*backward)(kd_model *model);
    kd_status (*output)(kd_model *model, const char *name, kd_array *values);
    /* The n-th name of the outputs that the last forward pass kept; NULL behind the last. */
    const char *(*output_name)(kd_model *model, int64_t n);
    kd_status (*gradient_slot)(kd_model *model, const char *name, float **to, int32_t *add);
    void (*forget_gradients)(kd_model *model);
    void (*initialise)(kd_model *model);
} kd__engine;

extern const kd__engine kd__layers_engine;

struct kd_model {
    kd__object object;
    kd__network net;
    const kd__engine *engine;
    int32_t frozen;
    uint64_t seed;
    float *parameters, *gradients;
    int64_t gradient_count;
    int32_t gradients_shared; /* 1: by the layers, in turn */
    int32_t gradients_fresh;  /* 1: the next backward pass overwrites them */
    /* Called by a backward pass when the gradients of tensors first .. end - 1 are whole; NULL: nobody waits. */
    void (*on_gradients)(void *user, const kd_model *model, int64_t first, int64_t end);
    void *on_gradients_user;
    float *block; /* activations */
    int64_t max_rows;
    int64_t gradient_a, gradient_b, scratch; /* offsets in the block */
    int64_t rows;                            /* of the last forward pass; 0: none */
    int32_t mode;
    int64_t passes; /* training passes: the counter of dropout */
    const float *input;
    float *input_copy;
    int64_t input_room;
    struct kd__int8_model *int8; /* of a frozen language model, NULL: none */
    int32_t weights;             /* KD_FLOAT32 or KD_INT8 */
    struct kd__lora *lora;       /* NULL: no adapters */
    char *folder;                /* that it was loaded from; NULL: none */
};

/* Reads a config into a network: layers, tensors, offsets. */
kd_status kd__network_read(kd__network *net, kd_context *context, const char *config);
void kd__network_free(kd__network *net, kd_context *context);
/* One more named tensor behind the others. */
kd_status kd__network_tensor(kd__network *net, kd_context *context, const char *name, int32_t rank, const int64_t *dims, int32_t *index);
/* Lays out activations for `rows`: sets the layers' offsets and the model's; returns the floats needed. */
kd_status kd__plan(kd__network *net, int64_t rows, int32_t frozen, int64_t *gradient_a, int64_t *gradient_b, int64_t *scratch, int64_t *floats);
/* A model without weights of its own yet (zero); kd__model_finish when they are there. */
kd_status kd__model_finish(kd_model *model);
kd_status kd__model_make(kd_model **out, kd_context *context, const char *config, const kd_model_options *options);
/* Exchanges what two models hold; references and contexts stay. */
void kd__model_swap(kd_model *a, kd_model *b);
kd_status kd__model_prepare(kd_model *model, int64_t rows);
/* Where an output's gradient for the coming backward pass is written: (rows, width); *add is 1 when something is there already. */
kd_status kd__model_gradient_slot(kd_model *model, const char *name, float **to, int32_t *add);
static inline float *kd__tensor_gradient(const kd_model *model, int32_t tensor)
{
    return tensor < 0 ? NULL : model->gradients + model->net.tensors[tensor].gradient;
}
/* What kd__model_gradient_slot gave out since the last pass is forgotten. */
void kd__model_forget_gradients(kd_model *model);
/* Logits of a language model are its hidden states times a head: 1, with both; `gradient` 1 makes the head's gradient ready to be added to.
 * 0 for other outputs.                                                                                                          */
int kd__model_head(kd_model *model, const char *output, int gradient, kd_head *head, const char **hidden);

kd_status kd__model_save_state(kd_model *model, kd__text *state);
kd_status kd__model_restore_state(kd_model *model, kd__state_reader *reader, int apply);

#endif
