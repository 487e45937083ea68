/* A network: its config, its named tensors, and the engine that the model_type asks for. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "core/model/model.h"
#include "core/model/task_heads.h"

kd_status kd__network_tensor(kd__network *net, kd_context *context, const char *name, int32_t rank,
                             const int64_t *dims, int32_t *index)
{
    KD_TRY(KD_RESERVE(context, &net->tensors, &net->tensor_room, net->tensor_count + 1));
    kd__tensor *tensor = &net->tensors[net->tensor_count];
    memset(tensor, 0, sizeof *tensor);
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->rank = rank;
    tensor->count = 1;
    for (int32_t i = 0; i < rank; i++) {
        tensor->dims[i] = dims[i];
        KD_TRY(kd__multiply(tensor->count, dims[i], &tensor->count));
    }
    tensor->offset = tensor->gradient = kd__network_held(net);
    KD_FAIL_IF(tensor->count > ((int64_t)1 << 40) || net->parameters > ((int64_t)1 << 40),
               KD_ERR_CONFIG, "config: more than 2^40 parameters");
    net->parameters += tensor->count;
    *index = (int32_t)net->tensor_count++;
    return KD_OK;
}

kd_status kd__network_pack(kd__network *net, int32_t weights, int64_t *bytes)
{
    KD_FAIL_IF(!net->engine->pack, KD_ERR_UNSUPPORTED,
               "packed_only: expected a language model or a transformer over patches: only these "
               "have weights of few bits");
    KD_TRY(net->engine->pack(net, weights, bytes));
    int64_t held = 0;
    for (int64_t i = 0; i < net->tensor_count; i++) {
        kd__tensor *t = &net->tensors[i];
        t->offset = t->gradient = held;
        if (t->is_packed) t->frozen = 1;
        else held += t->count;
    }
    net->packed = net->parameters - held;
    return KD_OK;
}

/* "a, b, c or d": what all engines know. */
static kd_status refuse_type(const char *type)
{
    char names[200] = "";
    for (const kd__engine *const *e = kd__engines; *e; e++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", *names ? ", " : "",
                 (*e)->model_types);
    return kd__fail(KD_ERR_CONFIG, "config: model_type \"%.40s\" is not one of %s", type, names);
}

static const kd__engine *engine_of(const char *type)
{
    for (const kd__engine *const *e = kd__engines; *e; e++)
        if ((*e)->knows(type)) return *e;
    return NULL;
}

int kd__network_describe(const kd__network *net, int32_t slot, kd__output_facts *facts)
{
    if (slot < net->engine_slots) return net->engine->describe(net, slot, facts);
    return kd__task_heads_describe(net->heads, slot - net->engine_slots, facts);
}

kd_status kd__network_begin_outputs(kd__network *net, kd_context *context)
{
    kd__output_facts facts;
    uint8_t *asked = NULL, *kept = NULL;
    const int32_t before = net->slots;
    int32_t slots = before;
    while (kd__network_describe(net, slots, &facts)) slots++;
    KD_TRY(KD_NEW(context, &asked, slots));
    const kd_status status = KD_NEW(context, &kept, slots);
    if (status != KD_OK) {
        kd__release(context, asked);
        return status;
    }
    for (int32_t s = 0; s < slots; s++) {
        kd__network_describe(net, s, &facts);
        asked[s] = s < before ? net->asked[s] : facts.is_kept != 0;
    }
    kd__release(context, net->asked);
    kd__release(context, net->kept);
    net->asked = asked;
    net->kept = kept;
    net->slots = slots;
    return KD_OK;
}

static kd_status read_root(kd__network *net, kd_context *context, const kd__json *root)
{
    const kd__json *type = kd__json_member(root, "model_type"),
                   *input = kd__json_member(root, "input");
    KD_FAIL_IF(root->type != KD__JSON_OBJECT, KD_ERR_CONFIG, "config: expected an object");
    KD_FAIL_IF(!type || type->type != KD__JSON_STRING, KD_ERR_CONFIG,
               "config: the key \"model_type\" is missing or not a text");
    KD_FAIL_IF(input && input->type != KD__JSON_STRING, KD_ERR_CONFIG,
               "config: input: expected the name of a field");
    net->engine = engine_of(type->text);
    if (!net->engine) return refuse_type(type->text);
    KD_TRY(net->engine->read(net, context, root));
    kd__output_facts facts;
    while (net->engine->describe(net, net->engine_slots, &facts)) net->engine_slots++;
    KD_TRY(kd__task_heads_read(net, context, root));
    return kd__network_begin_outputs(net, context);
}

kd_status kd__network_read(kd__network *net, kd_context *context, const char *config)
{
    kd__json_document document = { 0 };
    memset(net, 0, sizeof *net);
    KD_FAIL_IF(!config, KD_ERR_INVALID, "config: expected a text in JSON, got NULL");
    KD_TRY(kd__json_parse(&document, context, config, strlen(config), "config"));
    kd_status status = read_root(net, context, document.root);
    kd__json_free(&document);
    if (status == KD_OK) status = kd__copy_text(context, &net->config, config);
    if (status != KD_OK) kd__network_free(net, context);
    return status;
}

static kd_status complete(kd_context *context, const kd__json *root, const char *folder,
                          struct kd__weights *weights, kd__text *to)
{
    const kd__json *type = kd__json_member(root, "model_type");
    const kd__engine *engine = type && type->type == KD__JSON_STRING ? engine_of(type->text) : NULL;
    return engine && engine->complete ? engine->complete(context, root, folder, weights, to)
                                      : KD_OK;
}

kd_status kd__network_complete(kd_context *context, const char *folder, struct kd__weights *weights,
                               char **config)
{
    kd__json_document document = { 0 };
    kd__text whole = { .context = context };
    char *made = NULL;
    kd_status status = kd__json_parse(&document, context, *config, strlen(*config), "config");
    if (status == KD_OK) status = complete(context, document.root, folder, weights, &whole);
    kd__json_free(&document);
    if (status == KD_OK && whole.size) status = kd__copy_text(context, &made, whole.bytes);
    kd__text_free(&whole);
    if (status != KD_OK) return kd__fail_in(status, folder);
    if (!made) return KD_OK;
    kd__release(context, *config);
    *config = made;
    return KD_OK;
}

void kd__network_free(kd__network *net, kd_context *context)
{
    if (net->state) net->engine->free(net, context);
    kd__task_heads_free(net->heads, context);
    kd__release(context, net->state);
    kd__release(context, net->tensors);
    kd__release(context, net->asked);
    kd__release(context, net->kept);
    kd__release(context, net->config);
    memset(net, 0, sizeof *net);
}
