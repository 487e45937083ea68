/* Static embeddings: a sample is the mean of its tokens' rows of a table, as in model2vec and in
 * sentence-transformers' StaticEmbedding, with a classifier after it [Joulin et al. 2017] or
 * without. Legend: S samples, T tokens of all samples, V tokens of the vocabulary, table (M, d), C
 * classes; m: V -> M, or the same row where there is no mapping; w (V), or 1.
 *
 *   pooled[s]    = 1 / |s| sum_t w[id_t] table[m[id_t]];  0 for a sample without tokens
 *   embedding[s] = pooled[s] / |pooled[s]|, or pooled[s]
 *   logits[s]    = embedding[s] W' + b
 *
 * The field "tokens" is (R), packed, or (S, L); what is below 0, and the ignored token, is none. */
#ifndef KD_STATIC_STATIC_H
#define KD_STATIC_STATIC_H

#include "core/model/model.h"
#include "nn/embedding_bag.h"

enum { KD__STATIC_POOLED, KD__STATIC_EMBEDDING, KD__STATIC_LOGITS, KD__STATIC_SLOTS };

typedef struct kd__static {
    int64_t vocabulary, rows, hidden, classes; /* V, M, d, C; C 0: no classifier */
    int64_t ignored;                           /* token; -1: none */
    int64_t max_length;                        /* of the folder: 0: none is said, -1: no cut */
    int32_t normalize, sentence;               /* sentence: written as sentence-transformers does */
    int32_t table, weights, head, bias;        /* tensors, -1: none */
    int32_t *mapping;                          /* (V); NULL: a token is its row */
    /* ---- the last pass ---- */
    int64_t samples, tokens;
    int64_t *offsets; /* (S + 1) */
    int32_t *id, *row;
    float *factor, *dfactor; /* (T): weights of the tokens, and their gradients */
    int64_t sample_room, id_room, row_room, factor_room, dfactor_room;
    float *block, *length, *scratch;
    float *value[KD__STATIC_SLOTS], *gradient[KD__STATIC_SLOTS];
    int32_t has[KD__STATIC_SLOTS];
    /* ---- since the gradients were fresh: a bit for each row, and for each weight ---- */
    uint64_t *touched_rows, *touched_tokens;
} kd__static;

static inline kd__static *kd__static_of(const kd__network *net) { return net->state; }

/* Reads the config; makes tensors. */
kd_status kd__static_read(kd__network *net, kd_context *context, const kd__json *root);
int kd__static_knows(const char *model_type);
kd_status kd__static_forward(kd_model *model, kd_batch *batch, int32_t mode);
kd_status kd__static_backward(kd_model *model);
/* Room for the last pass of so many samples. */
kd_status kd__static_reserve(kd_model *model, int64_t samples, int32_t train);
void kd__static_free(kd__network *net, kd_context *context);
/* Floats that a sample takes beside its tokens. */
int64_t kd__static_floats(const kd__static *s);
/* A matrix alone: the table becomes the table times it. */
kd_status kd__static_append(kd_model *model, const kd__dense *dense, int64_t count);
const uint64_t *kd__static_touched(const kd_model *model, int32_t tensor);

kd_status kd__static_list_entries(kd_model *model, const kd_model_save_options *options,
                                  kd__entries *to);
kd_status kd__static_write_config(kd_model *model, const kd_model_save_options *options,
                                  struct kd__text *to);
kd_status kd__static_write_apart(kd_model *model, const char *folder,
                                 const kd_model_save_options *options);

extern const kd__engine kd__static_engine;
extern const kd__model_format kd__static_format;

#endif
