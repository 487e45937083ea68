/* Dense layers that a model takes in after it was made: the way out for a projection that was
 * learned beside it. */
#include <kdistill/student.h>

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/loss/loss.h"
#include "language/sentence/samples.h"
#include "language/trunk/config_keys.h"
#include "nn/activation.h"

/* ---- the config with them ---- */

static kd_status list_stages(const kd_model *model, const kd__chain *c, kd__text *to)
{
    const kd__samples *s = kd__samples_of(model);
    KD_TRY(kd__text_format(to, ",\"kd_pooling\":\"%s\"", kd__pooling_name(c->pooling)));
    for (int64_t i = 0; i < c->count; i++) {
        const kd__stage *stage = &c->stage[i];
        KD_TRY(kd__text_format(to, "%s{\"out_features\":%lld,\"bias\":%s,\"activation\":\"%s\"",
                               i ? "," : ",\"kd_dense\":[", (long long)stage->outputs,
                               stage->bias < 0 ? "false" : "true",
                               kd__activation_name(stage->activation)));
        if (s->dense_folder[i][0]) {
            KD_TRY(kd__text_format(to, ",\"folder\":"));
            KD_TRY(kd__text_quoted(to, s->dense_folder[i]));
        }
        KD_TRY(kd__text_format(to, "}"));
    }
    return kd__text_format(to, "]");
}

static void leave_out(kd__json *root, const char *key)
{
    for (kd__json **n = &root->first; *n;)
        if (!strcmp((*n)->key, key)) *n = (*n)->next;
        else n = &(*n)->next;
}

static kd_status config_with(const kd_model *model, const kd__chain *c, kd__text *to)
{
    kd__json_document document = { 0 };
    kd__text members = { .context = to->context };
    const char *config = model->net.config;
    kd_status status = kd__json_parse(&document, to->context, config, strlen(config), "config");
    if (status == KD_OK) {
        leave_out(document.root, "kd_pooling");
        leave_out(document.root, "kd_dense");
        status = list_stages(model, c, &members);
    }
    if (status == KD_OK) status = kd__config_extend(document.root, &members, to);
    kd__json_free(&document);
    kd__text_free(&members);
    return status;
}

/* ---- of a model on a trunk ---- */

static kd_status check_trunk(const kd_model *model, int64_t count)
{
    const kd__trunk *trunk = kd__trunk_of(model);
    const kd__chain *c = &trunk->samples->chain[KD__CHAIN_EMBEDDING];
    KD_FAIL_IF(c->count + count > KD__MOST_STAGES, KD_ERR_RANGE,
               "append: \"embedding\" has %lld dense layers, with these %lld: at most %d",
               (long long)c->count, (long long)(c->count + count), KD__MOST_STAGES);
    KD_FAIL_IF(trunk->config.embedded < trunk->config.hidden, KD_ERR_UNSUPPORTED,
               "append: the rows of a factorized embedding are not pooled: save the model with "
               "option expand, and load that");
    return KD_OK;
}

/* Tensors and stages; the chain is a copy until all of it has succeeded. */
static kd_status add_stages(kd_model *model, const kd__dense *dense, int64_t count, kd__chain *c)
{
    const int64_t tensors = model->net.tensor_count, before = model->net.parameters;
    kd_status status = KD_OK;
    for (int64_t i = 0; i < count && status == KD_OK; i++) {
        kd__stage *s = &c->stage[c->count];
        *s = (kd__stage){ .inputs = dense[i].inputs,
                          .outputs = dense[i].outputs,
                          .bias = dense[i].bias ? 0 : -1,
                          .activation = dense[i].activation };
        status = kd__stage_tensors(&model->net, model->object.context, s, c->count++);
    }
    if (status == KD_OK) return kd__trunk_grow(model, tensors, before);
    kd__trunk_shrink(model, tensors, before);
    return status;
}

static void copy_values(kd_model *model, const kd__dense *dense, int64_t count, const kd__stage *s)
{
    for (int64_t i = 0; i < count; i++) {
        const kd__tensor *weight = &model->net.tensors[s[i].weight];
        memcpy(model->parameters + weight->offset, dense[i].weight,
               (size_t)weight->count * sizeof(float));
        if (s[i].bias < 0) continue;
        const kd__tensor *bias = &model->net.tensors[s[i].bias];
        memcpy(model->parameters + bias->offset, dense[i].bias,
               (size_t)bias->count * sizeof(float));
    }
}

/* From now on the folder is sentence-transformers', and evaluating passes keep what it is for. */
static void offer(kd_model *model)
{
    kd__samples *s = kd__samples_of(model);
    const int32_t first = kd__trunk_slots(kd__trunk_config_of(model));
    s->sentence = s->is_kept = 1;
    model->net.asked[first + KD__CHAIN_POOLED] = model->net.asked[first + KD__CHAIN_EMBEDDING] = 1;
}

/* The layers' numbers in a block of their own: what was given may be a view of the model, whose
 * block is another after it has grown. */
static kd_status copy_layers(kd_context *context, kd__dense *dense, int64_t count, float **block)
{
    int64_t floats = 0;
    for (int64_t i = 0; i < count; i++) floats += dense[i].outputs * (dense[i].inputs + 1);
    KD_TRY(KD_NEW(context, block, floats));
    float *at = *block;
    for (int64_t i = 0; i < count; i++) {
        const int64_t numbers = dense[i].outputs * dense[i].inputs;
        memcpy(at, dense[i].weight, (size_t)numbers * sizeof *at);
        dense[i].weight = at;
        at += numbers;
        if (!dense[i].bias) continue;
        memcpy(at, dense[i].bias, (size_t)dense[i].outputs * sizeof *at);
        dense[i].bias = at;
        at += dense[i].outputs;
    }
    return KD_OK;
}

static kd_status append_layers(kd_model *model, const kd__dense *dense, int64_t count)
{
    kd__chain *c = &kd__samples_of(model)->chain[KD__CHAIN_EMBEDDING], with = *c;
    kd__text text = { .context = model->object.context };
    char *config = NULL;
    for (int64_t i = 0; i < count; i++)
        with.stage[with.count++] = (kd__stage){ .outputs = dense[i].outputs,
                                                .bias = dense[i].bias ? 0 : -1,
                                                .activation = dense[i].activation };
    kd_status status = config_with(model, &with, &text);
    if (status == KD_OK) status = kd__copy_text(text.context, &config, text.bytes);
    kd__text_free(&text);
    with = *c;
    if (status == KD_OK) status = add_stages(model, dense, count, &with);
    if (status != KD_OK) {
        kd__release(model->object.context, config);
        return status;
    }
    copy_values(model, dense, count, &with.stage[c->count]);
    *c = with;
    kd__release(model->object.context, model->net.config);
    model->net.config = config;
    offer(model);
    return KD_OK;
}

kd_status kd__samples_append(kd_model *model, const kd__dense *dense, int64_t count)
{
    kd_context *context = model->object.context;
    kd__dense own[KD__MOST_STAGES];
    float *block = NULL;
    KD_TRY(check_trunk(model, count));
    KD_TRY(kd__model_check_whole(model, "appended layers"));
    memcpy(own, dense, (size_t)count * sizeof *own);
    kd_status status = copy_layers(context, own, count, &block);
    if (status == KD_OK) status = append_layers(model, own, count);
    kd__release(context, block);
    return status;
}

/* ---- what a host asks for ---- */

/* The width of "embedding"; KD_ERR_UNSUPPORTED: the model takes no layers. */
static kd_status find_embedding(const kd_model *model, const char *output, kd__output_facts *facts)
{
    int32_t slot;
    const char *name = output ? output : "embedding";
    KD_FAIL_IF(
        !model->net.engine->append, KD_ERR_UNSUPPORTED,
        "append: the model has no \"embedding\" that takes layers: models of language have one");
    KD_FAIL_IF(strcmp(name, "embedding"), KD_ERR_UNSUPPORTED,
               "append: output '%.60s': expected \"embedding\", the only one that takes layers",
               name);
    KD_FAIL_IF(model->net.heads, KD_ERR_STATE,
               "append: the model has heads (kd_heads), whose tensors come after those of "
               "\"embedding\": append first, then kd_model_add_head");
    KD_FAIL_IF(model->on_gradients, KD_ERR_STATE,
               "append: a step is open: call kd_optimizer_step first");
    KD_TRY(kd__model_slot(model, name, &slot));
    kd__network_describe(&model->net, slot, facts);
    return KD_OK;
}

static kd_status read_arrays(const kd_array *weight, const kd_array *bias, int64_t inputs,
                             kd__dense *dense)
{
    KD_TRY(kd__array_check_float32(weight, "weight"));
    KD_FAIL_IF(
        weight->rank != 2 || weight->dims[1] != inputs || weight->dims[0] < 1 ||
            weight->dims[0] > 1 << 24,
        KD_ERR_SHAPE,
        "weight: expected rows of %lld numbers, which \"embedding\" has, got %lld in rank %d",
        (long long)inputs, (long long)(weight->rank > 1 ? weight->dims[1] : weight->dims[0]),
        weight->rank);
    dense->inputs = inputs;
    dense->outputs = weight->dims[0];
    dense->weight = weight->data;
    if (!bias) return KD_OK;
    KD_TRY(kd__array_check_float32(bias, "bias"));
    KD_FAIL_IF(bias->rank != 1 || bias->dims[0] != dense->outputs, KD_ERR_SHAPE,
               "bias: expected %lld numbers, one for each row of the weight, got %lld in rank %d",
               (long long)dense->outputs, (long long)kd_array_count(bias), bias->rank);
    dense->bias = bias->data;
    return KD_OK;
}

kd_status kd_model_append_dense(kd_model *model, const char *output, const kd_array *weight,
                                const kd_array *bias, const char *activation)
{
    kd__output_facts facts;
    kd__dense dense = { 0 };
    KD_NEED(model);
    KD_NEED(weight);
    KD_TRY(find_embedding(model, output, &facts));
    KD_TRY(read_arrays(weight, bias, facts.width, &dense));
    dense.activation = activation ? kd__activation_kind(activation) : KD__NONE;
    KD_FAIL_IF(dense.activation < 0 || kd__activation_keeps_input(dense.activation),
               KD_ERR_UNSUPPORTED,
               "activation: expected none, relu, tanh or sigmoid, got \"%.40s\"", activation);
    return model->net.engine->append(model, &dense, 1);
}

/* ---- a projection of a loss ---- */

static const float *values_of(const kd_loss *loss, int32_t tensor)
{
    const kd__parameters *p = &loss->parameters;
    return tensor < 0 ? NULL : p->values + p->tensors[tensor].offset;
}

/* Its layers; how many. */
static int64_t read_projection(const kd_loss *loss, const kd__projection *p, kd__dense dense[2])
{
    const int64_t hidden = kd__projection_hidden(p);
    memset(dense, 0, 2 * sizeof *dense);
    dense[0].weight = values_of(loss, p->tensor[KD__WEIGHT]);
    dense[0].bias = values_of(loss, p->tensor[KD__BIAS]);
    dense[0].inputs = p->from;
    dense[0].outputs = hidden ? hidden : p->to;
    dense[0].activation = hidden ? KD__RELU : KD__NONE;
    if (!hidden) return 1;
    dense[1].weight = values_of(loss, p->tensor[KD__SECOND_WEIGHT]);
    dense[1].bias = values_of(loss, p->tensor[KD__SECOND_BIAS]);
    dense[1].inputs = hidden;
    dense[1].outputs = p->to;
    return 2;
}

/* What the term projects must be what the layer will get. Of an embedding of length 1 the layer
 * gets what comes before that, which changes the length of what a matrix alone gives, and nothing
 * else. */
static kd_status check_output(const kd_loss *loss, int32_t term, const kd__output_facts *facts)
{
    const kd__term *t = &loss->terms[term];
    const kd__projection *p = &loss->projections[t->projection - 1];
    const int alone = p->kind == KD_PROJECTION_LINEAR || p->kind == KD_PROJECTION_ORTHOGONAL;
    const int pooled = !strcmp(t->o.student_output, "pooled");
    KD_FAIL_IF(pooled ? facts->layers > 0 : strcmp(t->o.student_output, "embedding") != 0,
               KD_ERR_UNSUPPORTED,
               "append: term %d projects '%.60s': expected \"embedding\", or \"pooled\" of a model "
               "without dense layers",
               term, t->o.student_output);
    KD_FAIL_IF(!pooled && facts->unit_length && !alone, KD_ERR_UNSUPPORTED,
               "append: term %d projects embeddings of length 1 with a bias, and the layer comes "
               "before that length: project \"pooled\", or without a bias",
               term);
    return KD_OK;
}

kd_status kd_student_append_projection(kd_model *student, kd_loss *loss, int32_t term)
{
    kd__output_facts facts;
    kd__dense dense[2];
    KD_NEED(student);
    KD_NEED(loss);
    KD_TRY(find_embedding(student, NULL, &facts));
    KD_TRY(kd__term_check(loss, term));
    const kd__projection *p = kd__projection_of(loss, term);
    KD_FAIL_IF(!p, KD_ERR_NOT_FOUND, "append: term %d has no projection", term);
    KD_FAIL_IF(!p->made, KD_ERR_STATE,
               "append: the widths of projection '%s' are open: call kd_loss_prepare first",
               p->name);
    KD_TRY(check_output(loss, term, &facts));
    KD_FAIL_IF(p->from != facts.width, KD_ERR_SHAPE,
               "append: projection '%s' takes %lld numbers, \"embedding\" has %lld", p->name,
               (long long)p->from, (long long)facts.width);
    KD_TRY(kd__projections_retract(loss));
    return student->net.engine->append(student, dense, read_projection(loss, p, dense));
}
