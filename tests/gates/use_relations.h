/* Features between two encoders, used once: layers that are mapped, relations of tokens, pooled
 * texts, a teacher that keeps what the terms ask for. What oom.c does while allocations fail. */
#ifndef USE_RELATIONS_H
#define USE_RELATIONS_H

#include <kdistill.h>
#include <stdio.h>

#include "../unit/run.h"

#define RELATED(type, hidden, layers, heads, ffn, more)                                            \
    "{\"model_type\":\"" type "\",\"vocab_size\":9,\"" hidden "\":8,\"" layers "\":2,\"" heads     \
    "\":2,\"" ffn "\":6,\"max_position_embeddings\":8" more "}"

static inline kd_status add_relations(kd_loss *loss, kd_model *student, kd_teacher *teacher)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_projection_options fit = KD_PROJECTION_OPTIONS_INIT;
    int32_t teacher_of[2], first;
    RUN_TRY(kd_loss_map_layers(KD_LAYERS_BLOCKS, 2, 2, teacher_of));
    o.student_output = o.teacher_field = "hidden.%d";
    RUN_TRY(kd_loss_add_mapped(loss, KD_LOSS_MEAN_SQUARED_ERROR, 1, &o, teacher_of, 2, &first));
    fit.name = "fit";
    for (int32_t i = 0; i < 2; i++) RUN_TRY(kd_loss_set_projection(loss, first + i, &fit));
    o.student_output = o.teacher_field = "attention.1.query";
    RUN_TRY(kd_loss_add(loss, KD_LOSS_ATTENTION_KL, 1, &o, NULL));
    o.student_output = o.teacher_field = "attention.1.value";
    RUN_TRY(kd_loss_add(loss, KD_LOSS_ATTENTION_RELATION, 1, &o, NULL));
    o.student_output = o.teacher_field = "pooled";
    RUN_TRY(kd_loss_add(loss, KD_LOSS_GRAM, 1, &o, NULL));
    return kd_loss_keep_outputs(loss, student, teacher);
}

static inline kd_status run_relations(kd_loss *loss, kd_model *student, kd_teacher *teacher,
                                      kd_batch *batch, kd_targets *targets)
{
    static int64_t tokens[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 1 }, offsets[4] = { 0, 4, 6, 9 };
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 4), t = KD_ARRAY_1D(tokens, KD_INT64, 9);
    RUN_TRY(kd_batch_begin_packed(batch, &o));
    RUN_TRY(kd_batch_set(batch, "tokens", &t, NULL));
    RUN_TRY(add_relations(loss, student, teacher));
    RUN_TRY(kd_loss_set_diagnostics(loss, 1));
    RUN_TRY(kd_teacher_read(teacher, batch, targets));
    RUN_TRY(kd_model_forward(student, batch, KD_MODE_TRAIN));
    RUN_TRY(kd_loss_prepare(loss, student, targets));
    return kd_loss_backward(loss, student, batch, targets, NULL, NULL);
}

/* Saved and loaded first, so that pooling comes out of a folder. */
static inline kd_status use_relations(kd_context *ctx, const char *folder)
{
    static const char roberta[] = RELATED("roberta", "hidden_size", "num_hidden_layers",
                                          "num_attention_heads", "intermediate_size",
                                          ",\"kd_pooling\":\"max\"");
    static const char distilbert[] = RELATED("distilbert", "dim", "n_layers", "n_heads",
                                             "hidden_dim", ",\"kd_pooling\":\"last\"");
    char path[600];
    kd_model *made = NULL, *student = NULL, *big = NULL;
    kd_teacher *teacher = NULL;
    kd_loss *loss = NULL;
    kd_batch *batch = NULL;
    kd_targets *targets = NULL;
    kd_model_options frozen = KD_MODEL_OPTIONS_INIT;
    frozen.frozen = 1;
    snprintf(path, sizeof path, "%s/oom-relations", folder);
    kd_status status = kd_model_create(&made, ctx, roberta, NULL);
    if (status == KD_OK) status = kd_model_save(made, path, NULL);
    if (status == KD_OK) status = kd_model_load(&big, ctx, path, &frozen);
    if (status == KD_OK) status = kd_model_create(&student, ctx, distilbert, NULL);
    if (status == KD_OK) status = kd_teacher_from_model(&teacher, big, NULL);
    if (status == KD_OK) status = kd_loss_create(&loss, ctx, NULL);
    if (status == KD_OK) status = kd_batch_create(&batch, ctx, NULL);
    if (status == KD_OK) status = kd_targets_create(&targets, ctx, NULL);
    if (status == KD_OK) status = run_relations(loss, student, teacher, batch, targets);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_loss_free(loss);
    kd_teacher_free(teacher);
    kd_model_free(student);
    kd_model_free(big);
    kd_model_free(made);
    return status;
}

#endif
