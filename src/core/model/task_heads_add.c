/* A head that a model gets after it was made, and the config that says so. */
#include <kdistill/task.h>

#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "core/model/task_heads.h"

/* ---- the config with it ---- */

static kd_status put_key(kd__text *to, const char *key, int *first)
{
    if (!*first) KD_TRY(kd__text_append(to, ",", 1));
    *first = 0;
    KD_TRY(kd__text_quoted(to, key));
    return kd__text_append(to, ":", 1);
}

static kd_status put_members(kd__text *to, const kd__json *object, const char *but, int *first)
{
    for (const kd__json *n = object ? object->first : NULL; n; n = n->next) {
        if (but && !strcmp(n->key, but)) continue;
        KD_TRY(put_key(to, n->key, first));
        KD_TRY(kd__json_write(to, n));
    }
    return KD_OK;
}

/* The config's members, and kd_heads with one more member at its end. */
static kd_status put_config(kd__text *to, const kd__json *root, const char *name,
                            const kd__json *head)
{
    const kd__json *heads = kd__json_member(root, "kd_heads");
    int first = 1, first_head = 1;
    KD_FAIL_IF(heads && kd__json_member(heads, name), KD_ERR_CONFIG,
               "head: the model has a head \"%.60s\" already", name);
    KD_TRY(kd__text_append(to, "{", 1));
    KD_TRY(put_members(to, root, "kd_heads", &first));
    KD_TRY(put_key(to, "kd_heads", &first));
    KD_TRY(kd__text_append(to, "{", 1));
    KD_TRY(put_members(to, heads, NULL, &first_head));
    KD_TRY(put_key(to, name, &first_head));
    KD_TRY(kd__json_write(to, head));
    return kd__text_append(to, "}}", 2);
}

static kd_status write_config(const kd_model *model, const char *name, const char *json,
                              kd__text *to)
{
    kd__json_document root = { 0 }, head = { 0 };
    const char *config = model->net.config;
    kd_status status = kd__json_parse(&root, to->context, config, strlen(config), "config");
    if (status == KD_OK)
        status = kd__json_parse(&head, to->context, json, strlen(json), "kd_model_add_head");
    if (status == KD_OK) status = put_config(to, root.root, name, head.root);
    kd__json_free(&root);
    kd__json_free(&head);
    return status;
}

/* ---- the head ---- */

static kd_status add_last(kd_model *model, const kd__json *root)
{
    const kd__json *node = kd__json_member(root, "kd_heads")->first;
    kd__network *net = &model->net;
    const int64_t tensors = net->tensor_count, before = net->parameters;
    while (node->next) node = node->next;
    KD_TRY(kd__task_head_read(net, model->object.context, root, node));
    KD_TRY(kd__network_begin_outputs(net, model->object.context));
    return kd__model_grow(model, tensors, before);
}

/* After a failure the model is as it was. */
static kd_status try_head(kd_model *model, const kd__json *root)
{
    kd__network *net = &model->net;
    const int64_t heads = net->heads ? net->heads->count : 0;
    const int64_t tensors = net->tensor_count, before = net->parameters;
    const int32_t slots = net->slots;
    const kd_status status = add_last(model, root);
    if (status == KD_OK) {
        kd__task_heads_initialize(model, heads);
        return KD_OK;
    }
    if (net->heads) net->heads->count = heads;
    net->tensor_count = tensors;
    net->parameters = before;
    net->slots = slots;
    return status;
}

static kd_status parse_and_try(kd_model *model, const char *config)
{
    kd__json_document document = { 0 };
    KD_TRY(kd__json_parse(&document, model->object.context, config, strlen(config),
                          "kd_model_add_head"));
    const kd_status status = try_head(model, document.root);
    kd__json_free(&document);
    return status;
}

static kd_status check(const kd_model *model)
{
    KD_FAIL_IF(model->net.engine->refuses_heads, KD_ERR_UNSUPPORTED,
               "head: a model of type %s takes none", model->net.engine->model_types);
    KD_FAIL_IF(model->frozen, KD_ERR_STATE, "head: a frozen model does not train");
    KD_FAIL_IF(model->on_gradients, KD_ERR_STATE,
               "head: a step is open: call kd_optimizer_step first");
    return KD_OK;
}

kd_status kd_model_add_head(kd_model *model, const char *name, const char *json)
{
    char *config = NULL;
    KD_NEED(model);
    KD_NEED(name);
    KD_NEED(json);
    KD_TRY(check(model));
    kd_context *context = model->object.context;
    kd__text text = { .context = context };
    kd_status status = write_config(model, name, json, &text);
    if (status == KD_OK) status = kd__copy_text(context, &config, text.bytes);
    kd__text_free(&text);
    if (status == KD_OK) status = parse_and_try(model, config);
    if (status != KD_OK) {
        kd__release(context, config);
        return status;
    }
    kd__release(context, model->net.config);
    model->net.config = config;
    return KD_OK;
}
