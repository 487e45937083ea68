/* Towers out of models, and models out of towers. */
#include <kdistill/towers.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/text.h"
#include "language/static/static.h"
#include "language/towers/towers.h"

typedef struct {
    kd_context *context;
    const char *const *names;
    kd_model *const *models;
    int32_t count;
} given;

/* ---- checks ---- */

static kd_status check_model(const given *g, int32_t i)
{
    const kd_model *model = g->models[i];
    KD_FAIL_IF(!g->names[i] || !model, KD_ERR_INVALID, "towers: %s %d of %d is NULL",
               model ? "name" : "model", i, g->count);
    KD_FAIL_IF(model->object.context != g->context, KD_ERR_UNSUPPORTED,
               "towers: the model of '%.60s' is of another context", g->names[i]);
    KD_FAIL_IF(model->has_adapters, KD_ERR_UNSUPPORTED,
               "towers: the model of '%.60s' has adapters: merge them first", g->names[i]);
    const int is_mapped = model->net.engine == &kd__static_engine &&
                          kd__static_of(&model->net)->mapping;
    KD_FAIL_IF(is_mapped, KD_ERR_UNSUPPORTED,
               "towers: the static embedding of '%.60s' shares rows by a mapping, which a config "
               "cannot say",
               g->names[i]);
    for (int32_t k = 0; k < i; k++)
        KD_FAIL_IF(!strcmp(g->names[k], g->names[i]), KD_ERR_INVALID,
                   "towers: '%.60s' is named twice", g->names[i]);
    return KD_OK;
}

/* ---- the config ---- */

static kd_status put(kd__text *to, const char *before, const char *key, const kd__json *value)
{
    KD_TRY(kd__text_append(to, before, strlen(before)));
    KD_TRY(kd__text_quoted(to, key));
    KD_TRY(kd__text_append(to, ":", 1));
    return value ? kd__json_write(to, value) : KD_OK;
}

/* The network's keys, then the tower's own; "input" is the tower's where it says one. */
static kd_status join_keys(kd__text *to, const kd__json *network, const kd__json *node)
{
    const kd__json *input = kd__json_member(node, "input");
    const char *before = "{";
    for (const kd__json *n = network->first; n; n = n->next) {
        if (input && !strcmp(n->key, "input")) continue;
        KD_TRY(put(to, before, n->key, n));
        before = ",";
    }
    for (const kd__json *n = node->first; n; n = n->next) {
        KD_FAIL_IF(!kd__tower_is_key(n->key) && strcmp(n->key, "input") != 0, KD_ERR_CONFIG,
                   "config: towers: the key \"%.60s\" is the given model's to say", n->key);
        KD_TRY(put(to, before, n->key, n));
        before = ",";
    }
    return kd__text_append(to, "}", 1);
}

static kd_status put_tower(const given *g, kd__text *to, const kd__json *node)
{
    kd__json_document network = { 0 };
    int32_t i = 0;
    while (i < g->count && strcmp(g->names[i], node->key)) i++;
    if (i == g->count) return kd__json_write(to, node);
    const char *config = g->models[i]->net.config;
    KD_FAIL_IF(node->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
               "config: towers: \"%.60s\": expected an object, {} at least", node->key);
    KD_TRY(kd__json_parse(&network, g->context, config, strlen(config), "config"));
    const kd_status status = join_keys(to, network.root, node);
    kd__json_free(&network);
    return status;
}

static kd_status put_towers(const given *g, kd__text *to, const kd__json *node)
{
    KD_FAIL_IF(node->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
               "config: towers: expected an object of towers by name");
    for (int32_t i = 0; i < g->count; i++)
        KD_FAIL_IF(!kd__json_member(node, g->names[i]), KD_ERR_NOT_FOUND,
                   "config: towers: there is no tower \"%.60s\"", g->names[i]);
    KD_TRY(kd__text_append(to, "{", 1));
    for (const kd__json *n = node->first; n; n = n->next) {
        KD_TRY(put(to, n == node->first ? "" : ",", n->key, NULL));
        KD_TRY(put_tower(g, to, n));
    }
    return kd__text_append(to, "}", 1);
}

static kd_status write_whole(const given *g, const kd__json *root, kd__text *to)
{
    KD_FAIL_IF(root->type != KD__JSON_OBJECT, KD_ERR_CONFIG, "config: expected an object");
    const char *before = "{";
    KD_FAIL_IF(!kd__json_member(root, "towers"), KD_ERR_CONFIG,
               "config: towers: expected an object of towers by name");
    for (const kd__json *n = root->first; n; n = n->next) {
        const int is_towers = !strcmp(n->key, "towers");
        KD_TRY(put(to, before, n->key, is_towers ? NULL : n));
        if (is_towers) KD_TRY(put_towers(g, to, n));
        before = ",";
    }
    return kd__text_append(to, "}", 1);
}

static kd_status make_config(const given *g, const char *config, kd__text *to)
{
    kd__json_document document = { 0 };
    KD_FAIL_IF(!config, KD_ERR_INVALID, "config: expected a text in JSON, got NULL");
    KD_TRY(kd__json_parse(&document, g->context, config, strlen(config), "config"));
    const kd_status status = write_whole(g, document.root, to);
    kd__json_free(&document);
    return status;
}

/* ---- weights ---- */

static kd__tower *tower_named(const kd_model *model, const char *name)
{
    const kd__towers *t = kd__towers_of(&model->net);
    for (int64_t n = 0; n < t->count; n++)
        if (!strcmp(t->tower[n].name, name)) return &t->tower[n];
    return NULL;
}

static kd_status copy_weights(const given *g, kd_model *model)
{
    kd__towers_bind(model);
    for (int32_t i = 0; i < g->count; i++) {
        const kd_model *from = g->models[i];
        kd__tower *tower = tower_named(model, g->names[i]);
        KD_FAIL_IF(!tower || tower->model.net.parameters != from->net.parameters, KD_ERR_MISMATCH,
                   "tower '%.60s': the given model has %lld parameters, its config %lld",
                   g->names[i], (long long)from->net.parameters,
                   tower ? (long long)tower->model.net.parameters : 0);
        KD_TRY(kd__model_check_whole(from, g->names[i]));
        memcpy(tower->model.parameters, from->parameters,
               (size_t)from->net.parameters * sizeof(float));
        KD_TRY(kd__copy_text(g->context, &tower->model.folder, from->folder));
    }
    return KD_OK;
}

static kd_status make(kd_model **model, const given *g, const char *config,
                      const kd_model_options *options)
{
    KD_TRY(kd__model_make(model, g->context, config, options));
    KD_FAIL_IF((*model)->net.engine != &kd__towers_engine, KD_ERR_CONFIG,
               "config: model_type: expected \"towers\", got another");
    (*model)->net.engine->initialize(*model);
    KD_TRY(copy_weights(g, *model));
    return kd__model_finish(*model);
}

kd_status kd_towers_create(kd_model **out, kd_context *context, const char *config,
                           const char *const *names, kd_model *const *models, int32_t count,
                           const kd_model_options *options)
{
    const given g = { context, names, models, count };
    kd__text whole = { .context = context };
    kd_model *model = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_FAIL_IF(count < 0 || count > KD__MOST_TOWERS, KD_ERR_RANGE,
               "towers: expected 0 to %d models, got %d", KD__MOST_TOWERS, count);
    KD_FAIL_IF(count && (!names || !models), KD_ERR_INVALID, "towers: names and models are NULL");
    for (int32_t i = 0; i < count; i++) KD_TRY(check_model(&g, i));
    kd_status status = make_config(&g, config, &whole);
    if (status == KD_OK) status = make(&model, &g, whole.bytes, options);
    kd__text_free(&whole);
    if (status != KD_OK) {
        kd_model_free(model);
        return status;
    }
    *out = model;
    return KD_OK;
}

/* ---- a tower as a model of its own ---- */

kd_status kd_towers_save(kd_model *model, const char *name, const char *folder,
                         const kd_model_save_options *options)
{
    kd_model_options frozen = KD_MODEL_OPTIONS_INIT;
    kd_model *alone = NULL;
    KD_NEED(model);
    KD_NEED(name);
    KD_NEED(folder);
    const int are_towers = model->net.engine == &kd__towers_engine;
    const kd__tower *tower = are_towers ? tower_named(model, name) : NULL;
    KD_FAIL_IF(!tower, KD_ERR_NOT_FOUND, "the model has no tower '%.60s'", name);
    frozen.frozen = 1;
    kd__towers_bind(model);
    KD_TRY(kd__model_make(&alone, model->object.context, tower->model.net.config, &frozen));
    memcpy(alone->parameters, tower->model.parameters,
           (size_t)alone->net.parameters * sizeof(float));
    kd_status status = kd__copy_text(alone->object.context, &alone->folder, tower->model.folder);
    if (status == KD_OK) status = kd__model_finish(alone);
    if (status == KD_OK) status = kd_model_save(alone, folder, options);
    kd_model_free(alone);
    return status;
}

/* ---- presence ---- */

kd_status kd_model_output_present(kd_model *model, const char *name, kd_array *present)
{
    const uint8_t *bytes;
    kd_array values;
    int32_t slot;
    KD_NEED(model);
    KD_NEED(present);
    KD_TRY(kd__model_slot(model, name, &slot));
    KD_TRY(kd__model_output(model, slot, name, &values));
    KD_TRY(kd__model_present(model, NULL, slot, &bytes));
    kd__array_view(present, (void *)(uintptr_t)bytes, KD_UINT8, 1, values.dims);
    return KD_OK;
}
