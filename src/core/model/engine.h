/* What differs between the kinds of networks. An engine reads its part of a config, lays out its
 * memory and runs the passes; src/engines/engines.c lists the engines of this build. The model has
 * checked what a host gave before an engine is called.                                           */
#ifndef KD_MODEL_ENGINE_H
#define KD_MODEL_ENGINE_H

#include <kdistill/head.h>
#include <kdistill/model.h>

#include "core/data/fields.h"
#include "formats/formats.h"

struct kd__network;
struct kd__entries;
struct kd__task_head;
struct kd__head_class;
struct kd__weights;

/* An output of a network. Outputs have slots, from 0; slots of models of one config agree. */
typedef struct kd__output_facts {
    char name[KD_NAME_BYTES]; /* "": this network has no output in this slot */
    int64_t width;            /* numbers a row */
    int32_t unit;             /* KD_UNIT_OF_ROW .. */
    int32_t is_kept; /* 1: an evaluating pass keeps it unless kd_model_keep says otherwise */
    kd__attention_facts attention; /* of queries, keys and values */
    /* of "embedding": dense layers after what is pooled; 1: it has length 1 */
    int64_t layers;
    int32_t unit_length;
    /* of an output of samples: rows that one entry has, all of the same width; 0: it is one */
    int64_t entry_rows;
} kd__output_facts;

/* A dense layer that a network takes in: f(x W' + b). */
typedef struct kd__dense {
    const float *weight, *bias; /* (outputs, inputs); (outputs), NULL: none */
    int64_t inputs, outputs;
    int32_t activation; /* of nn/activation.h, one that needs no input */
} kd__dense;

typedef struct kd__engine {
    const char *model_types; /* for messages: "mlp or sequential" */
    /* 1: it counts a batch by its samples, so that one whose samples have no rows is not empty */
    int32_t by_samples;
    int (*knows)(const char *model_type);

    /* ---- a network: what the config says, before there are weights ---- */
    kd_status (*read)(struct kd__network *net, kd_context *context, const kd__json *root);
    void (*free)(struct kd__network *net, kd_context *context);
    /* Options that concern the engine: checked and kept. */
    kd_status (*configure)(struct kd__network *net, const kd_model_options *options);
    /* Marks the tensors that packed_only keeps in these weights alone; bytes that these take. NULL:
     * it has none. */
    kd_status (*pack)(struct kd__network *net, int32_t weights, int64_t *bytes);
    /* Gives all layers' gradients one place; floats of all gradients. */
    kd_status (*share_gradients)(struct kd__network *net, int64_t *floats);
    /* Floats of activations and scratch for options->max_rows. */
    kd_status (*memory)(struct kd__network *net, const kd_context *context,
                        const kd_model_options *options, int64_t *floats);
    /* Of these, scratch of the context's, which networks take turns with. NULL: none. */
    int64_t (*scratch)(const struct kd__network *net, const kd_context *context,
                       const kd_model_options *options);
    /* of the parameters in 8 bits; 0: it has none */
    int64_t (*int8_bytes)(const struct kd__network *net);
    int64_t (*active_parameters)(const struct kd__network *net); /* that one row goes through */
    /* that a language model has; 0: it is none */
    int64_t (*layers)(const struct kd__network *net);

    /* ---- a model ---- */
    kd_status (*reserve)(kd_model *model, int64_t rows, int32_t train);
    void (*initialize)(kd_model *model);
    kd_status (*finish)(kd_model *model); /* its weights are there */
    /* its weights changed: before a pass, a save, a generator */
    kd_status (*refresh)(kd_model *model);
    kd_status (*forward)(kd_model *model, kd_batch *batch, int32_t mode);
    kd_status (*backward)(kd_model *model);
    /* The n-th run of tensors that a backward pass tells on_gradients of, in the order of the pass;
     * 0: there are no more. NULL: it tells of none. */
    int (*gradient_run)(const kd_model *model, int64_t n, int64_t *first, int64_t *end);

    /* ---- outputs, by slot ---- */
    /* 0: there are no more. Known once the config is read. */
    int (*describe)(const struct kd__network *net, int32_t slot, kd__output_facts *facts);
    /* Of the last pass; an evaluating one kept it (net.kept), the model has looked. */
    kd_status (*output)(kd_model *model, int32_t slot, kd_array *values);
    /* Which entries of a slot's output are there, a byte each, until it is asked about another
     * batch: for a batch, or (NULL) in the last pass; *present NULL: all. NULL: all entries of all
     * outputs. */
    kd_status (*present)(kd_model *model, const kd_batch *batch, int32_t slot,
                         const uint8_t **present);
    /* Where the gradient for the coming backward pass goes; *add 1: something is there already. */
    kd_status (*gradient)(kd_model *model, int32_t slot, float **to, int32_t *add);
    void (*forget_gradients)(kd_model *model);
    /* Rows of a tensor whose gradients may not be 0 since they were last fresh, a bit each, all
     * others being 0; NULL: any row. NULL: any row of all tensors. */
    const uint64_t *(*touched)(const kd_model *model, int32_t tensor);
    /* Dense layers, one after another, after those that "embedding" has, before its length 1: all
     * or, after an error, none. NULL: it takes none. */
    kd_status (*append)(kd_model *model, const kd__dense *dense, int64_t count);
    /* Of an output that is made of another: the other's slot, or -1. dx += what dy, a gradient of
     * this one, gives it; no tensor's gradient changes. dx NULL: only asks. NULL: none is. */
    kd_status (*pull)(kd_model *model, int32_t slot, const float *dy, int32_t *source, float *dx);
    /* The output that this one is a head's product of, with the head; `gradient` 1 makes the head's
     * gradient ready to be added to. -1: none. NULL: no output is one. */
    int32_t (*head)(kd_model *model, int32_t slot, int gradient, kd_head *head);

    /* ---- heads on its outputs (task_heads.h) ---- */
    int32_t refuses_heads; /* 1: kd_heads is no key of its configs */
    /* Where the sequences of the last pass lie among the rows of an output; NULL: as the batch
     * says. *offsets (count + 1) live until the next pass. */
    kd_status (*sequences)(kd_model *model, int32_t slot, int64_t *count, const int64_t **offsets);
    /* Blocks for tensors that were added after the first `count`, of `before` numbers
     * (kd__model_grow); NULL: parameters and gradients are all there is. */
    kd_status (*grow)(kd_model *model, int64_t count, int64_t before);
    /* The class of transformers that has this head alone; KD_ERR_UNSUPPORTED. NULL: there is no
     * such class. */
    kd_status (*head_class)(kd_model *model, const struct kd__task_head *head,
                            struct kd__head_class *to);

    /* ---- folders ---- */
    /* The config with what a folder's other files say, into `to`; left empty: config.json is all.
     * weights->bytes grows by what other files have. NULL: config.json is all for every folder. */
    kd_status (*complete)(kd_context *context, const kd__json *root, const char *folder,
                          struct kd__weights *weights, struct kd__text *to);
    /* the n-th that some folders use; NULL: no more */
    const char *(*other_name)(const kd_model *model, int32_t tensor, int32_t n);
    /* Tensors that a folder has in files of their own; NULL: none. */
    int (*is_apart)(const kd_model *model, int32_t tensor);
    kd_status (*read_apart)(kd_model *model, const char *folder);
    kd_status (*write_apart)(kd_model *model, const char *folder,
                             const kd_model_save_options *options);
    /* A tensor of the file that is none of the model's: known, or an error that names it. */
    kd_status (*check_extra)(const kd_model *model, const char *name, const kd_array *values,
                             const char *folder);
    /* Of a packed_only model that trains: what is trained, as a folder. NULL: there is no such. */
    kd_status (*save_packed)(kd_model *model, const char *folder,
                             const kd_model_save_options *options);
    kd_status (*list_entries)(kd_model *model, const kd_model_save_options *options,
                              struct kd__entries *to);
    kd_status (*write_config)(kd_model *model, const kd_model_save_options *options,
                              struct kd__text *to);
} kd__engine;

/* Files, and folders of other programs, that are a whole model. */
typedef struct kd__model_format {
    kd_status (*find)(kd_context *context, const char *path, int *is);
    kd_status (*load)(kd_model **out, kd_context *context, const char *path,
                      const kd_model_options *options);
} kd__model_format;

extern const kd__engine *const kd__engines[];             /* NULL after the last */
extern const kd__model_format *const kd__model_formats[]; /* NULL after the last */

#endif
