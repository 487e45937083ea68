/* Decoder language models: Llama, Qwen2, Qwen3, Mistral. Legend: R rows (tokens of packed sequences), d hidden size, H query heads over
 * K key-value heads of D numbers, F intermediate size, V vocabulary, Q = (H + 2 K) D.
 *
 *   x = E[token];   for each layer  x += o(attention(rope(qkv(norm(x)))));  x += down(silu(gate(norm(x))) up(norm(x)));   hidden = norm(x)
 *   logits = hidden W'
 * With a factorised embedding (V, E) and its projection P (d, E):  x = E[token] P';  hidden = norm(x) P  where the embedding is the head, too. */
#ifndef KD_MODEL_DECODER_H
#define KD_MODEL_DECODER_H

#include "math/gemm.h"
#include "model/lora.h"
#include "model/model.h"
#include "nn/attention.h"
#include "nn/rope.h"

enum { KD__LLAMA, KD__QWEN2, KD__QWEN3, KD__MISTRAL };

typedef struct kd__decoder_layer {
    int64_t window;                      /* 0: full attention */
    int32_t again;                       /* 1: a layer behind this one has the same tensors */
    int32_t norm1, norm2;                /* tensors of the model, -1: none */
    int32_t q, k, v, qb, kb, vb, qn, kn; /* q, k, v lie behind each other, as do their biases */
    int32_t o, ob, gate, up, gateb, upb, down, downb;
} kd__decoder_layer;

/* Offsets of activations (in floats) in the model's block. */
typedef struct kd__decoder_plan {
    int64_t rows;
    int64_t x;                                       /* of layer 0; that of layer l lies l * x_step further, what the last layer leaves at L */
    int64_t qkv, raw, att, gu, mid, lse, r1, r2, rq; /* of the first place for a layer's values (kd__decoder_at) */
    int64_t x_step, step;
    int64_t halved, whole, stored, stored_step;   /* a place's numbers that are kept in 16 bits, those behind them; where, for layer `again` on */
    int64_t hidden, last_r, cosine, sine;         /* hidden (R, O) */
    int64_t gathered, dgathered;                  /* (R, E): rows of a factorised embedding, and their gradients */
    int64_t normed, act, dx, dy, dqkv, dgu, wide; /* scratch */
    int64_t floats;
} kd__decoder_plan;

typedef struct kd__decoder {
    int64_t again;                /* backward passes make the values of the first so many layers again from their x */
    int32_t kept;                 /* KD_FLOAT32, KD_BFLOAT16: how the others' values are kept */
    int64_t repeats, whole_stack; /* layers are repeated so many times: each at once, or all of them in turn */
    int32_t family, tied, qkv_bias, o_bias, mlp_bias, qk_norm;
    int32_t classifier; /* ForSequenceClassification: the head gives num_labels logits, tensor "score.weight" */
    int64_t classes;    /* of the head: vocabulary, or labels */
    int64_t hidden, layers, heads, kv_heads, width, inner, vocabulary, positions, sinks;
    double epsilon, range;
    kd__rope rope;
    kd__decoder_layer *layer; /* (layers) */
    int64_t *windows;         /* (layers) */
    int32_t embedding, norm, head;
    int32_t projection; /* of a factorised embedding, (d, E); -1: none */
    int64_t embedded;   /* E: numbers of an embedding's row */
    int64_t outer;      /* O: numbers of "hidden", which the head multiplies: E where it is the factorised embedding, else d */
    kd__decoder_plan plan;
    int32_t *tokens;
    int64_t *offsets; /* (sequences + 1) */
    int64_t tokens_room, offsets_room, sequences, longest;
    float *dhidden; /* gradient of "hidden" from outside */
    int64_t dhidden_room;
    int32_t has_dhidden;
    float **dlayers; /* (layers): gradients of "hidden.i" from outside */
    int64_t *dlayers_room;
    int32_t *has_dlayer;
    float *logits; /* on demand, (R, V) */
    int64_t logits_room;
    int32_t logits_known;
    float *dlogits;
    int64_t dlogits_room;
    int32_t has_dlogits, head_written; /* head_written: the head's gradient holds this pass's part already */
    kd_array head_view, head_gradient;
} kd__decoder;

/* Is this config's model_type a decoder's? */
int kd__decoder_knows(const char *model_type);
/* Reads a config into net->decoder: sizes, tensors, offsets. */
kd_status kd__decoder_read(kd__network *net, kd_context *context, const kd__json *root);
void kd__decoder_free(kd__decoder *decoder, kd_context *context);
kd_status kd__decoder_config(kd__decoder *decoder, kd_context *context, const kd__json *root);

/* One place for the gradients of all layers, behind those of the other tensors; the floats of all of it. */
kd_status kd__decoder_share_gradients(kd__network *net, int64_t *floats);
/* Activations of `rows` rows; train: what a backward pass needs. */
void kd__decoder_lay_out(kd__decoder *decoder, int64_t rows, int32_t train);
/* Floats of activations, tokens, the gradient of the last hidden states, and the scratch of products and attention. `weights` as in
 * kd_model_options.                                                                                                        */
kd_status kd__decoder_memory(const kd__decoder *decoder, const kd_context *context, int64_t rows, int32_t train, int32_t weights, int64_t *floats);
/* Takes the activations of `rows` rows now, for a training pass where the model is not frozen. */
kd_status kd__decoder_reserve(kd_model *model, int64_t rows, int32_t train);
extern const kd__engine kd__decoder_engine;

/* One row of what the q, k, v products gave: biases, q and k norms, rotation, in place. raw, inverse (NULL: not kept): the values before the
 * norms and the norms' factors, for a backward pass.                                                                            */
void kd__decoder_finish_qkv(const kd_model *model, const kd__decoder_layer *layer, float *row, float *raw, float *inverse, const float *cosine,
                            const float *sine);
/* to (F) = silu(gate) up of one row (2 F), whose biases are added in place. */
void kd__decoder_gate(const kd_model *model, const kd__decoder_layer *layer, float *gate_up, float *to);
kd__attention kd__decoder_attention(const kd__decoder *decoder, const kd__decoder_layer *layer);
kd_status kd__decoder_forward(kd_model *model, kd_batch *batch);
/* A layer's values of the last forward pass in their place once more: made again from the x that was kept, or widened. */
kd_status kd__decoder_layer_again(kd_model *model, int64_t layer);
/* Where a layer's values are, or are put when they are needed: those that are made again share the first place with the first that is kept,
 * which comes behind them and is pushed back before them.                                                                      */
static inline int64_t kd__decoder_at(const kd__decoder *d, int64_t layer) { return layer < d->again ? 0 : (layer - d->again) * d->plan.step; }
kd_status kd__decoder_backward(kd_model *model);
/* A layer's tensors: *first .. *end - 1. */
static inline void kd__decoder_tensors(const kd__decoder_layer *layer, int64_t *first, int64_t *end)
{
    *first = layer->norm1;
    *end = (layer->downb < 0 ? layer->down : layer->downb) + 1;
}
/* The last hidden states' head: W, and its gradient made ready to be added to (gradient 1). */
void kd__decoder_head(kd_model *model, kd_head *head, int gradient);

static inline float *kd__tensor_values(const kd_model *model, int32_t tensor)
{
    if (tensor < 0) return NULL;
    return (model->lora ? model->lora->effective : model->parameters) + model->net.tensors[tensor].offset;
}
/* Through the projection of a factorised embedding: into the residual stream, y (rows, d) = x P', or out of it, y (rows, E) = x P. */
static inline kd__gemm kd__decoder_projection(const kd_model *model, int into, int64_t rows, const float *x, float *y)
{
    const kd__decoder *d = model->net.decoder;
    const int64_t inputs = into ? d->embedded : d->hidden, outputs = into ? d->hidden : d->embedded;
    return (kd__gemm){ 0, into, rows, outputs, inputs, 1, x, inputs, kd__tensor_values(model, d->projection), d->embedded, 0, y, outputs };
}
#endif
