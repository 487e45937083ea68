/* Heads for tasks on a network of any kind: each reads one output of the engine and gives logits,
 * for each row of it, or for each sample of it after its rows were pooled. The engine does not know
 * of them: they read its outputs by slot, and give gradients to them by slot. Legend: n entries
 * (rows or samples) of d numbers, h hidden units, N labels.
 *
 *   x = the output's rows, or pool(rows)
 *   u = f(x V' + c), or x where h is 0
 *   logits = dropout(u) W' + b
 *
 * A head is computed when its logits are asked for, by a term or a host, and not before. */
#ifndef KD_MODEL_TASK_HEADS_H
#define KD_MODEL_TASK_HEADS_H

#include "core/model/model.h"

#define KD__MOST_HEADS 64

typedef struct kd__task_head {
    char output[KD_NAME_BYTES]; /* "logits.NAME" */
    int32_t source;             /* slot of the engine's output that it reads */
    int32_t unit, pooling;      /* KD_UNIT_OF_..; pooling -1: entries are as the output has them */
    int64_t width, hidden, labels; /* d, h (0: none), N */
    int32_t activation;
    double dropout, range;
    uint64_t stream; /* of its random numbers, by its name alone */
    /* tensors V, c, W, b; -1: none */
    int32_t dense, dense_bias, weight, bias;
    /* ---- of the last pass ---- */
    int32_t is_made, has_gradient;
    int64_t entries; /* n */
    float *block;    /* pooled, u, what entered f, logits, their gradient, scratch */
    int64_t room;
} kd__task_head;

typedef struct kd__task_heads {
    kd__task_head *head;
    int64_t count, room;
    /* the batch's sequences, where the engine has none of its own */
    int64_t sequences, *offsets, offsets_room;
} kd__task_heads;

/* ---- configs and tensors ---- */

/* The key kd_heads, when the engine has read its part and its slots are known. */
kd_status kd__task_heads_read(kd__network *net, kd_context *context, const kd__json *root);
/* One more head, of the member of kd_heads: its key is the head's name. */
kd_status kd__task_head_read(kd__network *net, kd_context *context, const kd__json *root,
                             const kd__json *node);
void kd__task_heads_free(kd__task_heads *heads, kd_context *context);
/* First values of the heads from `first` on: N(0, range), biases 0. */
void kd__task_heads_initialize(kd_model *model, int64_t first);

/* ---- outputs and passes; number: of a head ---- */

/* Heads that are asked for ask for what they read; *floats grows by what their passes over so many
 * entries of the batch take, at most. */
void kd__task_heads_ask(kd__network *net);
kd_status kd__task_heads_memory(const kd__network *net, int64_t entries, int32_t mode,
                                int64_t *floats);
int kd__task_heads_describe(const kd__task_heads *heads, int32_t number, kd__output_facts *facts);
/* Before the engine's pass and after it: what heads that are kept read is kept. */
kd_status kd__task_heads_begin(kd_model *model, kd_batch *batch);
void kd__task_heads_end(kd_model *model);
/* The engine's slot whose entries an output has one by one: itself, or what a head without pooling
 * reads; -1: none. */
int32_t kd__task_head_entries_of(const kd_model *model, int32_t slot);
kd_status kd__task_head_output(kd_model *model, int32_t number, kd_array *values);
kd_status kd__task_head_gradient(kd_model *model, int32_t number, float **to, int32_t *add);
/* As an engine's pull (engine.h): dx += what dy (n, N) gives to what the head reads. */
kd_status kd__task_head_pull(kd_model *model, int32_t number, const float *dy, int32_t *source,
                             float *dx);
void kd__task_heads_forget(kd__task_heads *heads);
/* Gradients of heads, into those of what they read. *done 1: the engine's tensors are all frozen
 * and its outputs got none from elsewhere: its gradients are 0, and its pass is left out. */
kd_status kd__task_heads_backward(kd_model *model, int *done);

#endif
