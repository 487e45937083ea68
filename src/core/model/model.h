/* Insides of a model: named tensors over one flat parameter block, gradients beside it, and an
 * engine that knows the rest. */
#ifndef KD_MODEL_MODEL_H
#define KD_MODEL_MODEL_H

#include <kdistill/model.h>

#include "base/object.h"
#include "base/state.h"
#include "core/data/data.h"
#include "core/model/engine.h"

typedef struct kd__tensor {
    char name[KD_NAME_BYTES];
    int64_t offset, count; /* in the flat block */
    /* offset in the block of gradients: the same, unless layers share a place */
    int64_t gradient;
    int32_t rank;
    int64_t dims[4];
    int32_t frozen;
    int32_t is_statistic; /* 1: passes write it, no optimizer does */
    int32_t is_packed;    /* 1: it is kept in few bits alone, and has no place in the block */
} kd__tensor;

typedef struct kd__network {
    char *config; /* JSON text */
    char input[KD_NAME_BYTES];
    int64_t input_size; /* numbers a row */
    kd__tensor *tensors;
    int64_t tensor_count, tensor_room;
    int64_t parameters, packed; /* numbers; of them in few bits alone, without a place */
    const kd__engine *engine;
    void *state; /* the engine's */
    /* (slots): what evaluating passes are asked to keep; what the last pass was asked for when it
     * began */
    uint8_t *asked, *kept;
    int32_t slots;
    int32_t engine_slots;         /* the first of them: the engine's; then heads' */
    struct kd__task_heads *heads; /* on the engine's outputs; NULL: none */
} kd__network;

/* Gradients that no backward pass wrote: none; those of a checkpoint, until they are fresh; what a
 * host writes through a view, from the first view on. */
enum { KD__FOREIGN_NONE, KD__FOREIGN_RESTORED, KD__FOREIGN_VIEWED };

/* Whose random numbers a pass draws: those of training pass `pass`, as its rows and samples from
 * these on. */
typedef struct kd__draws {
    int64_t pass, first_row, first_sample;
} kd__draws;

/* Parts of one batch: what was rehearsed (KD_MODE_REHEARSE), and what of it was trained since. */
typedef struct kd__rehearsal {
    int64_t rows, samples, trained_rows, trained_samples;
} kd__rehearsal;

/* Where the numbers of a packed_only model come from while it is made. */
typedef struct kd__model_source {
    /* Rows first .. first + rows - 1 of a matrix, as float32. */
    kd_status (*read)(const struct kd__model_source *source, const kd_model *model, int64_t tensor,
                      int64_t first, int64_t rows, float *to);
    /* A row as it is, where it is blocks of this format; else NULL. NULL: it never is. */
    const uint8_t *(*blocks)(const struct kd__model_source *source, const kd_model *model,
                             int64_t tensor, int64_t row, int32_t format);
} kd__model_source;

struct kd_model {
    kd__object object;
    uint64_t serial; /* of this model alone, in this process; never 0 */
    kd__network net;
    int32_t frozen;
    int32_t has_adapters; /* 1: frozen tensors stay frozen */
    int32_t weights;      /* KD_FLOAT32, KD_INT8 or a block format */
    /* 1: matrices are kept in `weights` alone (kd__tensor.is_packed), which take packed_bytes */
    int32_t packed_only;
    int64_t packed_bytes;
    const kd__model_source *source; /* while it is made; NULL: it is */
    uint64_t seed;
    float *parameters, *gradients; /* of the tensors that are not packed */
    /* 1: since a checkpoint was saved, or other numbers put in their place, no pass came: what is
     * made of parameters over several steps begins from the start */
    int32_t parameters_replaced;
    int64_t gradient_count;
    int32_t gradients_shared;  /* 1: by the layers, in turn */
    int32_t gradients_fresh;   /* 1: the next backward pass overwrites them */
    int32_t gradients_foreign; /* KD__FOREIGN_NONE .. */
    /* Called by a backward pass when the gradients of tensors first .. end - 1 are whole, and
     * with first == end between products; NULL: nobody waits. */
    void (*on_gradients)(void *user, const kd_model *model, int64_t first, int64_t end);
    void *on_gradients_user;
    /* 1: the coming pass may add to gradients that wait, though somebody waits for their end */
    int32_t gradients_wait;
    /* rows and samples of one batch of all ranks that come before this rank's */
    int64_t rows_before, samples_before;
    int32_t empty_counts; /* 1: a training pass without rows counts, as it does on other ranks */
    int64_t rows;         /* of the last forward pass; 0: none */
    int32_t empty;        /* 1: the last forward pass was of a batch without rows */
    /* 1: an output of the engine got a gradient for the coming backward pass */
    int32_t engine_has_gradient;
    int32_t mode;
    int64_t passes;  /* training passes: the counter of dropout */
    kd__draws draws; /* of the last pass */
    kd__rehearsal rehearsal;
    char *folder; /* that it was loaded from; NULL: none */
};

/* ---- networks ---- */

/* Reads a config into a network: engine, tensors, offsets. */
kd_status kd__network_read(kd__network *net, kd_context *context, const char *config);
/* A folder's config with what its other files say. */
kd_status kd__network_complete(kd_context *context, const char *folder, struct kd__weights *weights,
                               char **config);
void kd__network_free(kd__network *net, kd_context *context);
/* Evaluating passes keep the outputs whose names match (on 1), or not (0); KD_ERR_NOT_FOUND. */
kd_status kd__network_keep(kd__network *net, const char *pattern, int32_t on);
/* The same for each of the names and patterns of a text, which commas separate; NULL: none. */
kd_status kd__network_keep_all(kd__network *net, const char *patterns);
/* One more named tensor after the others. */
kd_status kd__network_tensor(kd__network *net, kd_context *context, const char *name, int32_t rank,
                             const int64_t *dims, int32_t *index);

/* Marks what packed_only keeps in few bits alone, which no optimizer writes, and moves the others
 * together; bytes of what is packed. */
kd_status kd__network_pack(kd__network *net, int32_t weights, int64_t *bytes);
/* Numbers of the block of parameters, and of that of gradients: all but the packed ones. */
static inline int64_t kd__network_held(const kd__network *net)
{
    return net->parameters - net->packed;
}

/* An output of the engine or of a head; 0: there are no more slots. */
int kd__network_describe(const kd__network *net, int32_t slot, kd__output_facts *facts);
/* The slot of a name among the first `slots`; KD_ERR_NOT_FOUND lists them. */
kd_status kd__network_slot(const kd__network *net, int32_t slots, const char *name, int32_t *slot);
/* Room for what passes are asked to keep, of the slots that there are now; what was asked for so
 * far stays, of new ones what their facts say. */
kd_status kd__network_begin_outputs(kd__network *net, kd_context *context);

/* ---- models ---- */

/* Name and view of a tensor of a block; each may be NULL. */
kd_status kd__tensor_view(const kd__tensor *tensors, int64_t count, int32_t index, float *block,
                          const char **name, kd_array *values);
/* A model without weights of its own yet (zero); kd__model_finish when they are there. */
kd_status kd__model_make(kd_model **out, kd_context *context, const char *config,
                         const kd_model_options *options);
kd_status kd__model_finish(kd_model *model);
/* The defaults where options is NULL. */
kd_status kd__model_save_options_read(kd_model_save_options *o,
                                      const kd_model_save_options *options);
/* KD_ERR_STATE: what `what` names needs all parameters in float32, and the model has none of its
 * matrices. */
kd_status kd__model_check_whole(const kd_model *model, const char *what);
/* Tensors were added after the first `count`, of `before` numbers: blocks of the size of all, the
 * new numbers 0. Gradients are fresh, and no pass is there any more. After a failure the model has
 * the first `count` tensors. */
kd_status kd__model_grow(kd_model *model, int64_t count, int64_t before);
kd_status kd__model_refresh(kd_model *model);
/* A pass of a network that is asked to keep net.kept, with these random numbers: what
 * kd_model_forward does beside checks and counts. */
kd_status kd__model_pass(kd_model *model, kd_batch *batch, int32_t mode, const kd__draws *draws);
/* What a pass counts its batch by: rows, or samples. */
static inline int64_t kd__model_entries(const kd_model *model, const kd_batch *batch)
{
    return model->net.engine->by_samples ? batch->samples : batch->fields.rows;
}
/* The training passes that follow are parts of a batch of so many rows and samples. */
void kd__model_begin_rehearsal(kd_model *model, int64_t rows, int64_t samples);
/* A rehearsal is over, whatever was trained of it. */
void kd__model_end_rehearsal(kd_model *model);
/* Exchanges what two models of the same outputs hold; references and contexts stay, and what each
 * was asked to keep. */
void kd__model_swap(kd_model *a, kd_model *b);
static inline float *kd__tensor_gradient(const kd_model *model, int32_t tensor)
{
    return tensor < 0 ? NULL : model->gradients + model->net.tensors[tensor].gradient;
}
/* The same where it is wanted; NULL: the tensor is frozen, or there is none. */
static inline float *kd__tensor_wanted(const kd_model *model, int32_t tensor)
{
    return tensor < 0 || model->net.tensors[tensor].frozen ? NULL
                                                           : kd__tensor_gradient(model, tensor);
}

/* Rows of a tensor whose gradients may not be 0, a bit each; NULL: any. */
const uint64_t *kd__model_touched(const kd_model *model, int32_t tensor);

/* ---- outputs ---- */

/* The slot of an output's name; KD_ERR_NOT_FOUND. Slots are the same for all models of one
 * config. */
kd_status kd__model_slot(const kd_model *model, const char *name, int32_t *slot);
int32_t kd__model_unit(const kd_model *model, int32_t slot); /* KD_UNIT_OF_ROW .. */
kd__attention_facts kd__model_attention(const kd_model *model, int32_t slot);
kd_status kd__model_output(kd_model *model, int32_t slot, const char *name, kd_array *values);
/* Which entries of an output are there, for a batch or (NULL) in the last pass; NULL: all. */
kd_status kd__model_present(kd_model *model, const kd_batch *batch, int32_t slot,
                            const uint8_t **present);
/* Where an output's gradient for the coming backward pass is written: (rows, width); *add is 1 when
 * something is there already. */
kd_status kd__model_gradient(kd_model *model, int32_t slot, const char *name, float **to,
                             int32_t *add);
/* What kd__model_gradient gave out since the last pass is forgotten. */
void kd__model_forget_gradients(kd_model *model);
/* Logits of a language model are its hidden states times a head: the slot of the hidden states, and
 * the head; `gradient` 1 makes the head's gradient ready to be added to. -1 for other outputs. */
int32_t kd__model_head(kd_model *model, int32_t slot, int gradient, kd_head *head);
/* The engine's pull (engine.h); *source -1: the output is made of no other. */
kd_status kd__model_pull(kd_model *model, int32_t slot, const float *dy, int32_t *source,
                         float *dx);

/* ---- checkpoints ---- */

kd_status kd__model_save_state(kd_model *model, kd__text *state);
kd_status kd__model_restore_state(kd_model *model, kd__state_reader *reader, int apply);

/* ---- folders ---- */

/* A tensor from a file's values; `found` NULL: the file has none. */
kd_status kd__model_read_tensor(kd_model *model, int64_t index, const kd_array *found,
                                const char *folder);
/* Rows of a file's tensor as float32. */
void kd__read_rows(const kd_array *found, int64_t first, int64_t rows, float *to);

/* Tensors as they are written, with what was made for them alone. */
typedef struct kd__entries {
    kd_context *context;
    kd__tensor_entry *entry;
    char (*names)[KD_NAME_BYTES]; /* of copies */
    int64_t count;
    float *made; /* values of an entry that the model does not hold as they are; NULL: none */
} kd__entries;

/* Room for `most` entries. */
kd_status kd__entries_create(kd__entries *entries, kd_context *context, int64_t most);
void kd__entries_free(kd__entries *entries);
void kd__entries_add(kd__entries *entries, const char *name, const kd__tensor *tensor,
                     const float *parameters);

#endif
