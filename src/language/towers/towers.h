/* Several networks in one model, each of a modality: images, texts, sounds. A tower is a network of
 * any other engine, with its own field of the batch; its weights lie in the whole model's block, so
 * that optimizers, checkpoints and folders see one model. Legend: N towers, S samples, P numbers of
 * an embedding, D of `fused`; x_n the output of tower n, of w_n numbers.
 *
 *   e_n = x_n W_n', of length 1 with `normalize`             "embedding.NAME" (S, P)
 *   v_n = e_n, or what stands for it where sample or draw leave it out (fusion.c)
 *   fused = mean_n v_n;  [v_1 .. v_N] W' + b;  sum_n g_n v_n, g = softmax_n(v_n u_n + c_n)
 *
 * A tower sees the samples that have its modality, and no others: its batch holds their rows alone
 * (tower_batch.c), so that nothing goes through it for the rest, and their gradients are 0. */
#ifndef KD_TOWERS_TOWERS_H
#define KD_TOWERS_TOWERS_H

#include "core/data/data.h"
#include "core/model/model.h"

#define KD__MOST_TOWERS 16
#define KD__TOWER_NAME 24 /* bytes */

enum { KD__FUSE_NOT, KD__FUSE_MEAN, KD__FUSE_CONCAT, KD__FUSE_GATED };

/* What a tower reads of a batch: which samples have its modality, and their rows. */
typedef struct kd__tower_batch {
    kd_batch *batch;  /* of these samples alone; made by the first pass */
    int64_t all;      /* S: samples of the whole batch */
    int64_t all_rows; /* of the field */
    int64_t samples, rows;
    uint8_t *present; /* (S) */
    int64_t *sample;  /* (samples): numbers in the whole batch */
    int64_t *offsets; /* (samples + 1) */
    int64_t *row;     /* (rows): numbers in the field */
    int64_t present_room, sample_room, offsets_room, row_room;
    /* 1: the field has one entry for each row of the batch, and the tower's rows are those */
    int32_t is_of_rows;
} kd__tower_batch;

/* An output of a tower's network as one of the whole model's: where samples are absent, zeros stand
 * for them, and their gradients go nowhere. */
typedef struct kd__spread {
    float *values, *gradient;
    int64_t values_room, gradient_room;
    int32_t has_gradient;
} kd__spread;

typedef struct kd__tower {
    char name[KD__TOWER_NAME];
    kd_model model;        /* no handle: its blocks are parts of the whole model's */
    int64_t first;         /* its first tensor among the whole model's; -1: not there yet */
    int64_t place;         /* its first parameter */
    int32_t always_frozen; /* by its config */
    int32_t output;        /* slot of its network that is projected */
    int32_t pools;         /* 1: a row for each of a sample's rows, which `pooling` makes one */
    int32_t pooling;       /* KD__POOL_MEAN .. */
    int64_t width;         /* w: numbers of that output */
    int64_t rows_each;     /* of a sample, for the memory that is told */
    int32_t projection, missing; /* tensors of the whole model, -1: none */
    double drop;                 /* how often fusion leaves it out in training */
    int32_t first_slot, slots;
    kd__spread *spread; /* (slots) */
    /* ---- the last pass ---- */
    kd__tower_batch seen;
    int64_t rehearsed[2], trained[2]; /* rows and samples of the parts of a batch */
    int32_t has_run, is_frozen;
    int32_t is_clear;                          /* its gradients are known to be 0 */
    float *pooled, *projected, *unit, *length; /* (samples, ..) */
    float *embedding, *dembedding;             /* (S, P) */
    int32_t has_gradient;                      /* of its embedding */
    int32_t is_given;                          /* its network was given a gradient itself */
} kd__tower;

typedef struct kd__fusion {
    int32_t type;   /* KD__FUSE_NOT .. */
    int32_t learns; /* 1: a vector for each modality that is missing; 0: the mean of the others */
    int64_t width;  /* D */
    int32_t weight, bias; /* tensors, -1: none */
    /* ---- the last pass ---- */
    float *input, *dinput;   /* (S, N, P) */
    float *gate;             /* (S, N) */
    float *value, *gradient; /* (S, D) */
    uint8_t *used;           /* (S, N): 1: the sample's own embedding is in it */
    int64_t used_room;
    int32_t has_gradient;
} kd__fusion;

enum { KD__TOWERS_SCALE, KD__TOWERS_BIAS, KD__TOWERS_FUSED, KD__TOWERS_EMBEDDINGS };

typedef struct kd__towers {
    kd__tower *tower;
    int64_t count;     /* N */
    int64_t own;       /* parameters before those of the first tower */
    int64_t projected; /* projection_dim; 0: none */
    int64_t width;     /* P */
    int32_t normalize;
    int32_t scalar[2]; /* tensors logit_scale and logit_bias; -1: none */
    double initial[2];
    float dscalar[2];
    int32_t has_dscalar[2];
    kd__fusion fusion;
    float *block;
    int64_t max_samples, samples;
    int32_t has_train_room;
    float *scratch[2];                     /* (S, widest) */
    uint8_t *present[KD__MOST_TOWERS + 1]; /* asked for, of a batch; fused last */
    int64_t present_room[KD__MOST_TOWERS + 1];
    uint8_t *present_row[KD__MOST_TOWERS]; /* the same of rows, in the last pass */
    int64_t present_row_room[KD__MOST_TOWERS];
} kd__towers;

static inline kd__towers *kd__towers_of(const kd__network *net) { return net->state; }

/* ---- configs ---- */

kd_status kd__towers_read(kd__network *net, kd_context *context, const kd__json *root);
/* Keys of a tower that its network does not know. */
int kd__tower_is_key(const char *key);
void kd__towers_free(kd__network *net, kd_context *context);

/* ---- memory ---- */

kd_status kd__towers_memory(kd__network *net, const kd_context *context,
                            const kd_model_options *options, int64_t *floats);
kd_status kd__towers_reserve(kd_model *model, int64_t samples, int32_t train);
/* The embeddings' own block. */
kd_status kd__towers_block(kd_model *model, int64_t samples, int32_t train);
/* Points the towers at the whole model's blocks, and makes them as it is: seed, frozen. */
void kd__towers_bind(kd_model *model);

/* ---- a batch ---- */

/* Which samples of a batch have a tower's modality, (S); *all 1: every one. */
kd_status kd__tower_presence(const kd__tower *tower, const kd_batch *batch, uint8_t *present,
                             int *all);
/* What the tower reads of a batch into tower->seen. */
kd_status kd__tower_take(kd__tower *tower, kd_context *context, const kd_batch *batch);
/* The batch of the samples that were taken. */
kd_status kd__tower_fill(kd__tower *tower, kd_context *context, const kd_batch *batch);

/* to (S, width): from (samples, width) where the sample is there, else 0; and the way back. */
void kd__tower_spread(const kd__tower_batch *seen, const float *from, int64_t width, float *to);
void kd__tower_gather(const kd__tower_batch *seen, const float *from, int64_t width, float *to);

/* ---- passes ---- */

kd_status kd__towers_forward(kd_model *model, kd_batch *batch, int32_t mode);
kd_status kd__towers_backward(kd_model *model);
/* v and `fused` of the embeddings; the way back adds to the towers' dembedding. */
kd_status kd__fusion_forward(kd_model *model, kd_batch *batch);
kd_status kd__fusion_backward(kd_model *model);
/* A gradient of the embedding is written there; the first time it is cleared. */
float *kd__tower_dembedding(const kd__towers *towers, kd__tower *tower);

/* ---- outputs ---- */

/* The tower that an output is of, and its slot there (-1: its embedding); NULL: of none. */
kd__tower *kd__towers_find(const kd__network *net, int32_t slot, int32_t *inner);
int kd__towers_describe(const kd__network *net, int32_t slot, kd__output_facts *facts);
kd_status kd__towers_output(kd_model *model, int32_t slot, kd_array *values);
kd_status kd__towers_gradient(kd_model *model, int32_t slot, float **to, int32_t *add);
void kd__towers_forget_gradients(kd_model *model);
kd_status kd__towers_present(kd_model *model, const kd_batch *batch, int32_t slot,
                             const uint8_t **present);
int32_t kd__towers_head(kd_model *model, int32_t slot, int gradient, kd_head *head);

extern const kd__engine kd__towers_engine;

#endif
