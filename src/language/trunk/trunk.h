/* The trunk of language models: blocks of attention and feed-forward layers over packed sequences,
 * which engines make from their configs. Legend: R rows (tokens), d hidden size, H query
 * heads over K key-value heads of D numbers, F intermediate size, V vocabulary, Q = (H + 2 K) D.
 *
 *   x = E[token]
 *   each layer:  x += o(attention(rope(qkv(norm(x)))));  x += down(silu(gate(norm(x))) up(norm(x)))
 *   hidden = norm(x);  logits = hidden W'
 *
 * With post_norm, learned positions and token types, as encoders have them:
 *
 *   x = norm(E[token] + P[position] + T[type])
 *   each layer:  y = norm(x + o(attention(qkv(x))));  x = norm(y + down(gelu(gate(y))))
 *   hidden = x
 *
 * With images in place of a vocabulary's tokens: x = u K' + b + P[position] of the E numbers u of a
 * patch, K (d, E) the convolution's weight; the rows before an image's patches are T_e +
 * P[position] of tokens T_e.
 *
 * With gelu_gate and layer norms, as ModernBERT has them, gelu takes silu's place, and the first
 * layer's first norm is that of the embedding.
 *
 * With a factorized embedding (V, E) and its projection P (d, E): x = E[token] P'; hidden = norm(x)
 * P where the embedding is the head, too.
 *
 * Four structs: the config does not change after it was read; a plan is where a pass puts its
 * numbers; a pass is one batch on its way; what comes from outside are gradients of outputs. */
#ifndef KD_TRUNK_TRUNK_H
#define KD_TRUNK_TRUNK_H

#include "core/model/model.h"
#include "math/gemm.h"
#include "nn/attention.h"
#include "nn/dropout.h"
#include "nn/heads.h"
#include "nn/rope.h"
#include "nn/unfold.h"

#define KD__MOST_IMAGE_TOKENS 2

typedef struct kd__trunk_layer {
    int64_t window;       /* 0: full attention */
    int32_t shared_later; /* 1: a later layer has the same tensors */
    int32_t first, end;   /* its tensors are first .. end - 1 */
    /* tensors of the model, -1: none; a layer norm's bias is the next one. norm1 -1: what enters
     * the layer is normed */
    int32_t norm1, norm2;
    /* q, k, v are stored one after another, as are their biases */
    int32_t q, k, v, qb, kb, vb, qn, kn;
    int32_t o, ob, gate, up, gateb, upb, down, downb;
} kd__trunk_layer;

/* What an engine on a trunk tells those who cut students out of its models. */
typedef struct kd__trunk_kind {
    /* Keys of its config. NULL: it has none; without a width, heads fill a row. */
    const char *layers, *hidden, *inner, *heads, *kv_heads, *width;
    /* Tensors that it adds to the trunk; hidden: the teacher's number of each of the student's.
     * NULL: it adds none. */
    kd_status (*slice)(kd_model *student, const kd_model *teacher, const int32_t *hidden);
} kd__trunk_kind;

typedef struct kd__trunk_config {
    const kd__trunk_kind *kind; /* NULL: no students are cut out of it */
    int32_t family, tied, qkv_bias, o_bias, mlp_bias, qk_norm;
    /* the forms of a block; 0: norms before its two parts, root-mean-square norms, attention to
     * earlier rows, rotary positions, a gate */
    int32_t post_norm, layer_norm, both_sides, no_rotation, no_gate;
    int32_t plain_norm;       /* layer norms have no bias */
    int32_t gelu_gate;        /* gates are gelu's, not silu's */
    int32_t two_ropes;        /* layers with a window have positions of their own */
    double dropout;           /* of what a block's parts add, and of what enters layer 0 */
    double attention_dropout; /* of attention's probabilities */
    /* ForSequenceClassification: the head gives num_labels logits, tensor "score.weight" */
    int32_t classifier;
    int64_t classes; /* of the head: vocabulary, or labels; 0: the trunk has none */
    int64_t hidden, layers, heads, kv_heads, width, inner, vocabulary, positions, sinks;
    /* layers are repeated so many times: each at once, or all of them in turn */
    int64_t repeats, whole_stack;
    double epsilon, range;
    kd__rope rope, local_rope;
    kd__trunk_layer *layer;                   /* (layers) */
    int64_t *windows;                         /* (layers) */
    int32_t embedding, norm, head, head_bias; /* all but the embedding -1: none */
    /* learned positions (positions + first_position, d); types of tokens (types, d); the norm of
     * what enters layer 0; -1: none */
    int32_t position_table, type_table, embedding_norm;
    int64_t types, first_position, padding; /* padding -1: no token is one */
    int32_t projection; /* of a factorized embedding, or of patches, (d, E); -1: none */
    int64_t embedded;   /* E: numbers of an embedding's row */
    /* O: numbers of "hidden", which the head multiplies: E where it is the factorized embedding,
     * else d */
    int64_t outer;
    /* of images: patches through the projection, the tokens before them. patches.channels 0: what
     * is read is a vocabulary's tokens */
    kd__patches patches;
    int64_t kept_patches; /* of an image, in training passes; 0: all */
    int32_t patch_bias, image_token[KD__MOST_IMAGE_TOKENS];
} kd__trunk_config;

/* What a pass keeps of its layers. */
typedef struct kd__trunk_kept {
    /* backward passes make the values of the first so many layers again from their x */
    int64_t recompute;
    int32_t dtype; /* KD_FLOAT32, KD_BFLOAT16: of the others' values */
    /* by slot, not 0: outputs that are kept even where the values they are taken from are not;
     * NULL: none */
    const uint8_t *outputs;
} kd__trunk_kept;

/* Offsets of activations (in floats) in a pass's block. */
typedef struct kd__trunk_plan {
    int64_t rows;
    kd__trunk_kept kept;
    /* of layer 0; that of layer l lies l * x_step further, what the last layer leaves at L */
    int64_t x;
    /* of the first place for a layer's values (kd__trunk_at) */
    int64_t qkv, raw, att, gu, mid, sum, lse, r1, r2, rq;
    int64_t x_step, step;
    /* a place's numbers that are kept in 16 bits, those after them; where, from layer `recompute`
     * on */
    int64_t halved, whole, stored, stored_step;
    int64_t hidden, last_r, cosine, sine; /* hidden (R, O) */
    int64_t local_turn; /* from cosine and sine to those of layers with a window */
    /* (R, d) and (R, 2), with embedding_norm: sums of embeddings, and what the norm keeps */
    int64_t summed, summed_r;
    /* (R, E): rows of a factorized embedding, or patches, and the rows' gradients */
    int64_t gathered, dgathered;
    int64_t normed, act, dx, dy, dqkv, wide; /* scratch; dy is normed, dqkv act */
    int64_t outputs; /* of the first output that has a place of its own (kd__trunk_kept_at) */
    int64_t floats;
} kd__trunk_plan;

typedef struct kd__trunk_pass {
    kd__trunk_plan plan;
    float *block;
    int64_t rows, layers;                /* that it goes through */
    int32_t *tokens, *positions, *types; /* positions, types: where there are such tables */
    int64_t *offsets;                    /* (sequences + 1) */
    int64_t tokens_room, positions_room, types_room, offsets_room, sequences, longest;
    const float *images;   /* of the batch, while the pass goes forward */
    int32_t drops_patches; /* of this pass */
    kd__patches patches;   /* of this pass: all of an image, or as many as are kept */
    const int32_t *chosen; /* (sequences, patches.kept), which; NULL: all */
    int32_t *chosen_block;
    int64_t chosen_room;
    double dropout, attention_dropout; /* of this pass */
    kd__draws draws;
    /* sums of the inputs' squares, by product (smooth.h); NULL: nobody measures them */
    double *squares;
    /* what enters layer `first` (R, d), where the pass begins; NULL: it begins with the batch */
    const float *entered;
    int64_t first;
} kd__trunk_pass;

/* Gradients of outputs, from the terms and the host. */
typedef struct kd__outside {
    float *dhidden; /* of "hidden" */
    int64_t dhidden_room;
    int32_t has_dhidden;
    /* of the outputs from KD__SLOT_STREAM on */
    float **dlayers;
    int64_t *dlayers_room;
    int32_t *has_dlayer;
    float *dlogits;
    int64_t dlogits_room;
    /* head_written: the head's gradient holds this pass's part already */
    int32_t has_dlogits, head_written;
} kd__outside;

typedef struct kd__trunk {
    kd__trunk_config config;
    kd__trunk_kept kept;
    kd__trunk_pass pass; /* the last one that a host asked for */
    kd__outside outside;
    float *logits; /* of the last pass, made on demand, (R, V) */
    int64_t logits_room;
    int32_t logits_known;
    kd_array head_view, head_gradient, bias_view, bias_gradient;
    struct kd__lora *lora;       /* NULL: no adapters */
    struct kd__lattice *lattice; /* NULL: none; not beside adapters */
    struct kd__packed *packed;   /* of a frozen model, NULL: none */
    float *staged;               /* packed tensors of a layer, while they are made; NULL: none */
    struct kd__samples *samples; /* outputs of samples, NULL: none */
} kd__trunk;

/* Of models whose engine stands on a trunk: it is the first member of their state. */
static inline kd__trunk *kd__trunk_of(const kd_model *model) { return model->net.state; }
static inline const kd__trunk_config *kd__trunk_config_of(const kd_model *model)
{
    return &kd__trunk_of(model)->config;
}

/* ---- tensors ---- */

kd_status kd__trunk_configure(kd__network *net, const kd_model_options *options);
static inline int kd__has_trunk(const kd_model *model)
{
    return model->net.engine->configure == kd__trunk_configure;
}
/* Room for config.layers layers: tensors, gradients of their outputs. */
kd_status kd__trunk_begin(kd__trunk *trunk, kd_context *context);
void kd__trunk_free(kd__trunk *trunk, kd_context *context);
void kd__trunk_initialize(kd_model *model);
/* Tensors were added after the first `count`, of `before` numbers: blocks of the size of all, the
 * new numbers 0. Gradients are fresh, and no pass is there any more. After a failure the model has
 * the first `count` tensors. */
kd_status kd__trunk_grow(kd_model *model, int64_t count, int64_t before);
/* The first `count` tensors are all again, before their blocks have grown. */
void kd__trunk_shrink(kd_model *model, int64_t count, int64_t before);
kd_status kd__trunk_share_gradients(kd__network *net, int64_t *floats);
/* Numbers that enter a feed-forward layer's middle. */
static inline int64_t kd__trunk_units(const kd__trunk_config *d)
{
    return d->no_gate ? d->inner : 2 * d->inner;
}
/* The parameters as passes see them: with adapters, on a lattice, or the model's own. Made of those
 * of now before a pass, a save, a generator. */
kd_status kd__trunk_refresh(kd_model *model);
const float *kd__parameters_seen(const kd_model *model);
/* A head in the file where the config ties it to the embedding: KD_ERR_MISMATCH where it holds
 * other numbers. */
kd_status kd__trunk_check_tied(const kd_model *model, const char *name, const kd_array *head,
                               const char *folder);
/* NULL: there is no such tensor, or (packed_only) not in float32. */
static inline float *kd__tensor_values(const kd_model *model, int32_t tensor)
{
    if (tensor < 0) return NULL;
    const kd__tensor *t = &model->net.tensors[tensor];
    const float *block = t->is_packed ? kd__trunk_of(model)->staged : kd__parameters_seen(model);
    return block ? (float *)(uintptr_t)block + t->offset : NULL;
}
/* Is this tensor of a matrix that is packed alone, in a model that trains? */
int kd__trunk_trains_packed(const kd_model *model, int32_t tensor);
/* y (R, E): rows of the embedding, however it is kept. */
kd_status kd__trunk_look_up(const kd_model *model, const kd__rows *rows, const int32_t *tokens,
                            float *y);
/* The engine's pack. */
kd_status kd__trunk_pack(kd__network *net, int32_t weights, int64_t *bytes);
/* Through the projection of a factorized embedding: into the residual stream, y (rows, d) = x P',
 * or out of it, y (rows, E) = x P. */
kd__gemm kd__trunk_projection(const kd_model *model, int into, int64_t rows, const float *x,
                              float *y);
/* A gradient of 0; tensor -1: nothing is done. */
void kd__trunk_clear(kd_model *model, int32_t tensor);
/* The tensor of a layer norm's bias; -1: it has none. */
static inline int32_t kd__trunk_norm_bias(const kd__trunk_config *d, int32_t weight)
{
    return d->plain_norm ? -1 : weight + 1;
}
/* Queries, keys and values of a layer. cosine, sine: (rows, D / 2). */
kd__heads kd__trunk_heads(const kd_model *model, const kd__trunk_layer *layer, const float *cosine,
                          const float *sine);

/* ---- memory ---- */

/* Activations of `rows` rows; train: what a backward pass needs. */
void kd__trunk_lay_out(kd__trunk_plan *plan, const kd__trunk_config *config, kd__trunk_kept kept,
                       int64_t rows, int32_t train);
kd_status kd__trunk_memory(kd__network *net, const kd_context *context,
                           const kd_model_options *options, int64_t *floats);
int64_t kd__trunk_scratch(const kd__network *net, const kd_context *context,
                          const kd_model_options *options);
/* Takes the activations of `rows` rows; the block only grows. */
kd_status kd__trunk_pass_reserve(kd__trunk_pass *pass, const kd_model *model, kd__trunk_kept kept,
                                 int64_t rows, int32_t train);
void kd__trunk_pass_free(kd__trunk_pass *pass, kd_context *context);
/* Numbers that a norm keeps of a row. */
static inline int64_t kd__trunk_stats(const kd__trunk_config *d) { return d->layer_norm ? 2 : 1; }
/* Where a layer's values are, or are put when they are needed: those that are made again share
 * the first place with the first that is kept, which comes after them and is pushed back before
 * them. */
static inline int64_t kd__trunk_at(const kd__trunk_plan *p, int64_t layer)
{
    return layer < p->kept.recompute ? 0 : (layer - p->kept.recompute) * p->step;
}

/* The most rows of an image in a pass of this kind. */
static inline int64_t kd__trunk_rows_of_pass(const kd__trunk_config *d, int32_t train)
{
    if (!d->patches.channels) return 1;
    return train && d->kept_patches ? d->patches.before + d->kept_patches
                                    : kd__patches_rows(&d->patches);
}
/* T: rows of an image that keeps all its patches; 0: what is read are tokens. */
static inline int64_t kd__trunk_image_rows(const kd__trunk_config *d)
{
    return d->patches.channels ? kd__patches_rows(&d->patches) : 0;
}

/* Cosines of a layer's positions, and sines, in the pass's block. */
static inline const float *kd__trunk_turn(const kd__trunk_config *d, const kd__trunk_pass *pass,
                                          const kd__trunk_layer *layer, int64_t place)
{
    return pass->block + place + (d->two_ropes && layer->window ? pass->plan.local_turn : 0);
}

/* ---- facts ---- */

kd_status kd__trunk_finish(kd_model *model);
int64_t kd__trunk_layers(const kd__network *net);
int64_t kd__trunk_int8_bytes(const kd__network *net);
int64_t kd__trunk_active_parameters(const kd__network *net);

/* ---- passes ---- */

kd_status kd__trunk_reserve(kd_model *model, int64_t rows, int32_t train);
/* The pass that a host asks for. */
kd_status kd__trunk_run(kd_model *model, kd_batch *batch, int32_t mode);

/* A batch of so many random tokens, in texts of at most `longest`: the same for every model of this
 * vocabulary. */
kd_status kd__trunk_random_tokens(kd_batch **out, const kd_model *model, uint64_t seed,
                                  int64_t rows, int64_t longest);
/* A batch through all layers. train 1: everything that a backward pass, or who looks into the
 * layers, needs is kept. */
kd_status kd__trunk_forward(const kd_model *model, kd__trunk_pass *pass, kd__trunk_kept kept,
                            kd_batch *batch, int32_t train);
/* Images: sequences of T rows each, in place of tokens and their offsets. */
kd_status kd__trunk_take_images(const kd_model *model, kd__trunk_pass *pass, kd_batch *batch,
                                int64_t *rows);
/* Which of an image's patches the pass goes on with: pass->patches, pass->chosen. */
kd_status kd__trunk_choose_patches(const kd_model *model, kd__trunk_pass *pass,
                                   const kd_batch *batch);
/* Their patches, as rows that the projection takes. */
void kd__trunk_unfold(const kd_model *model, kd__trunk_pass *pass);
/* The projection's bias, then the tokens before the patches. */
void kd__trunk_place_tokens(const kd_model *model, const kd__trunk_pass *pass, float *x);
/* Gradients of both; rows of dx that are tokens become 0. */
void kd__trunk_tokens_gradient(const kd_model *model, const kd__trunk_pass *pass, float *dx,
                               int add);
/* A layer's values in their place once more: made again from the x that was kept, or widened. */
kd_status kd__trunk_layer_again(const kd_model *model, kd__trunk_pass *pass, int64_t layer);
kd__attention kd__trunk_attention(const kd__trunk_config *config, const kd__trunk_pass *pass,
                                  const kd__trunk_layer *layer);
/* A layer's, with the dropout of its pass. */
kd__attention kd__trunk_layer_attention(const kd_model *model, const kd__trunk_pass *pass,
                                        int64_t layer);
kd_status kd__trunk_backward(kd_model *model);
/* The engine's gradient_run: layers, the last first. */
int kd__trunk_gradient_run(const kd_model *model, int64_t n, int64_t *first, int64_t *end);
/* The lowest part that has a trained tensor, from 0: what enters layer 0, each layer's attention
 * and feed-forward (kd__trunk_part), the last norm, what is above it. */
int64_t kd__trunk_lowest(const kd_model *model);

/* Dropout's masks, by pass and site: what enters layer 0, for each layer what its two parts add and
 * its probabilities, and after them what an engine puts on the trunk. */
enum { KD__DROP_EMBEDDING, KD__DROP_LAYERS };
uint64_t kd__trunk_stream(const kd_model *model, const kd__trunk_pass *pass, int64_t site);
/* The same for what is dropped of the pass's rows. */
static inline uint64_t kd__trunk_row_stream(const kd_model *model, const kd__trunk_pass *pass,
                                            int64_t site)
{
    return kd__dropout_from(kd__trunk_stream(model, pass, site), pass->draws.first_row);
}
enum { KD__SITE_ATTENTION, KD__SITE_FEED_FORWARD, KD__SITE_PROBABILITIES, KD__SITES };
/* KD__SITE_ATTENTION or _FEED_FORWARD of a layer; attention of the layer after the last: the norm
 * there. */
static inline int64_t kd__trunk_part(int64_t layer, int site) { return 1 + 2 * layer + site; }
static inline int64_t kd__trunk_site(int64_t layer, int part)
{
    return KD__DROP_LAYERS + KD__SITES * layer + part;
}
/* y (R, d) = the norm whose weight this tensor is; kept (R, stats) NULL: not kept. */
void kd__trunk_norm(const kd_model *model, const kd__rows *rows, int32_t weight, const float *x,
                    float *y, float *kept);

/* ---- outputs ---- */

enum {
    KD__SLOT_HIDDEN,
    KD__SLOT_LOGITS,
    /* "hidden.embedding", what enters layer 0; + 1 + i: "hidden.i", what layer i leaves */
    KD__SLOT_STREAM
};
enum { KD__QUERY, KD__KEY, KD__VALUE, KD__ATTENTION_PARTS };
/* "attention.i.query" .. */
static inline int32_t kd__attention_slot(const kd__trunk_config *d, int64_t layer, int part)
{
    return (int32_t)(KD__SLOT_STREAM + 1 + d->layers + layer * KD__ATTENTION_PARTS + part);
}
/* The first slot that is an engine's own. */
static inline int32_t kd__trunk_slots(const kd__trunk_config *d)
{
    return kd__attention_slot(d, d->layers, 0);
}
static inline int64_t kd__attention_width(const kd__trunk_config *d, int part)
{
    return (part == KD__QUERY ? d->heads : d->kv_heads) * d->width;
}
/* Where a part begins in a row of queries, keys and values. */
static inline int64_t kd__attention_offset(const kd__trunk_config *d, int part)
{
    const int64_t q = kd__attention_width(d, KD__QUERY), k = kd__attention_width(d, KD__KEY);
    return part == KD__QUERY ? 0 : part == KD__KEY ? q : q + k;
}
int kd__trunk_describe(const kd__network *net, int32_t slot, kd__output_facts *facts);
kd_status kd__trunk_output(kd_model *model, int32_t slot, kd_array *values);
kd_status kd__trunk_gradient(kd_model *model, int32_t slot, float **to, int32_t *add);
/* Of the rows of the last pass (kd__engine.sequences). */
kd_status kd__trunk_sequences(kd_model *model, int32_t slot, int64_t *count,
                              const int64_t **offsets);
/* Of a slot from KD__SLOT_STREAM on, (R, width); NULL: it got none. */
const float *kd__trunk_outside(const kd__outside *outside, int32_t slot);
void kd__trunk_forget_gradients(kd_model *model);
/* 0: the head is kept in few bits alone, and logits are made whole. */
int kd__trunk_has_head_values(const kd_model *model);
int32_t kd__trunk_head(kd_model *model, int32_t slot, int gradient, kd_head *head);
/* The head as a whole, of states (R, O) that enter it: logits, and from their gradient (outside)
 * the head's and dstates, which is written or, with add, added to. */
kd_status kd__trunk_logits(kd_model *model, const float *states, kd_array *values);
kd_status kd__trunk_logits_gradient(kd_model *model, const float *states, float *dstates, int add);

/* ---- outputs that a pass keeps ---- */

/* Places at the plan's end for outputs whose values the pass itself writes over. */
void kd__trunk_place_outputs(kd__trunk_plan *plan, const kd__trunk_config *config);
/* The place of such an output in the block; -1: it has none. */
int64_t kd__trunk_kept_at(const kd__trunk_plan *plan, const kd__trunk_config *config, int32_t slot);
/* Whether a layer's values are there, as the pass made them, until the next pass. */
static inline int kd__trunk_layer_stays(const kd__trunk_plan *p, int64_t layer)
{
    return p->x_step && !p->stored && layer >= p->kept.recompute;
}
/* Layers that a pass goes through: all, or as many as the outputs that are kept need. */
int64_t kd__trunk_layers_wanted(const kd_model *model, kd__trunk_kept kept, int32_t train);
/* What enters layer 0; what a layer that was gone through leaves. */
void kd__trunk_keep_embedding(const kd_model *model, kd__trunk_pass *pass, const kd__rows *rows);
void kd__trunk_keep_layer(const kd_model *model, kd__trunk_pass *pass, int64_t layer,
                          const kd__rows *rows);

/* The head: W and bias, and their gradients made ready to be added to (gradient 1). */
void kd__trunk_view_head(kd_model *model, kd_head *head, int gradient);

#endif
