/* Folders of sentence-transformers. modules.json names what follows the trunk: pooling, dense
 * layers, length 1. Reading turns that into keys of the config (kd_pooling ..), writing turns the
 * keys back. A module, or a key, that would change the result and is not known is refused by
 * name. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "core/model/weights.h"
#include "language/sentence/samples.h"
#include "language/trunk/config_keys.h"
#include "nn/activation.h"

#define MOST_BYTES (1 << 20)

/* torch's class of an activation, by its kind. */
static const char *const classes[] = { "torch.nn.modules.linear.Identity",
                                       "torch.nn.modules.activation.ReLU", NULL,
                                       "torch.nn.modules.activation.Tanh",
                                       "torch.nn.modules.activation.Sigmoid" };
static const char *const activations[] = { "none", "relu", NULL, "tanh", "sigmoid" };

/* ---- reading: a JSON file of the folder ---- */

typedef struct {
    kd_context *context;
    const char *folder;
    kd__weights *weights;
    kd__text *to; /* keys of the config */
    int64_t dense;
    int pooled, normalized;
} reader;

typedef kd_status visit(reader *r, const kd__json *root, const char *place);

static kd_status path_of(const reader *r, const char *place, const char *file, char **path)
{
    char name[2 * KD_NAME_BYTES];
    snprintf(name, sizeof name, "%s%s%s", place, *place ? "/" : "", file);
    return kd__path_join(r->context, path, r->folder, name);
}

/* KD_OK without a visit when there is no such file and none is needed. */
static kd_status read_file(reader *r, const char *place, const char *file, int needed, visit *look)
{
    char *path = NULL, *bytes = NULL;
    int64_t size;
    kd__json_document document = { 0 };
    KD_TRY(path_of(r, place, file, &path));
    kd_status status = kd__file_read(r->context, path, MOST_BYTES, &bytes, &size);
    const int missing = status == KD_ERR_NOT_FOUND && !needed;
    if (status == KD_OK) status = kd__json_parse(&document, r->context, bytes, (size_t)size, path);
    if (status == KD_OK) status = look(r, document.root, place);
    kd__json_free(&document);
    kd__release(r->context, bytes);
    kd__release(r->context, path);
    return missing ? KD_OK : status;
}

static kd_status check_known(const kd__json *root, const char *const *known, size_t count,
                             const char *what)
{
    KD_FAIL_IF(root->type != KD__JSON_OBJECT, KD_ERR_CONFIG, "%s: expected an object", what);
    for (const kd__json *n = root->first; n; n = n->next) {
        int found = 0;
        for (size_t i = 0; i < count; i++) found |= !strcmp(n->key, known[i]);
        KD_FAIL_IF(!found, KD_ERR_CONFIG,
                   "%s: the key \"%.60s\" is unknown and may change the result", what, n->key);
    }
    return KD_OK;
}

/* A key that has one value, where it is there. */
static kd_status check_text(const kd__json *root, const char *key, const char *value,
                            const char *what)
{
    const kd__json *node = kd__json_member(root, key);
    KD_FAIL_IF(!kd__config_is_null(node) &&
                   (node->type != KD__JSON_STRING || strcmp(node->text, value)),
               KD_ERR_UNSUPPORTED, "%s: %s: only \"%s\" is supported", what, key, value);
    return KD_OK;
}

/* ---- reading: pooling ---- */

static kd_status old_pooling(const kd__json *root, const char **kind)
{
    static const char *const modes[][2] = { { "pooling_mode_cls_token", "cls" },
                                            { "pooling_mode_mean_tokens", "mean" },
                                            { "pooling_mode_max_tokens", "max" },
                                            { "pooling_mode_lasttoken", "last" },
                                            { "pooling_mode_mean_sqrt_len_tokens", NULL },
                                            { "pooling_mode_weightedmean_tokens",
                                              "weightedmean" } };
    int32_t on, count = 0;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        KD_TRY(kd__config_flag(root, modes[i][0], 0, &on));
        if (!on) continue;
        KD_FAIL_IF(!modes[i][1], KD_ERR_UNSUPPORTED, "1_Pooling: %s is not supported", modes[i][0]);
        *kind = modes[i][1];
        count++;
    }
    KD_FAIL_IF(count > 1, KD_ERR_UNSUPPORTED,
               "1_Pooling: %d modes at once are not supported, one is", count);
    return KD_OK;
}

static kd_status new_pooling(const kd__json *node, const char **kind)
{
    const char *name = node->type == KD__JSON_STRING ? node->text : "?";
    if (!strcmp(name, "lasttoken")) name = "last";
    KD_FAIL_IF(kd__pooling_kind(name) < 0, KD_ERR_UNSUPPORTED,
               "1_Pooling: pooling_mode \"%.40s\" is not cls, mean, max, lasttoken or weightedmean",
               name);
    *kind = kd__pooling_name(kd__pooling_kind(name));
    return KD_OK;
}

static kd_status pooling(reader *r, const kd__json *root, const char *place)
{
    static const char *const known[] = { "word_embedding_dimension",
                                         "embedding_dimension",
                                         "pooling_mode",
                                         "pooling_mode_cls_token",
                                         "pooling_mode_mean_tokens",
                                         "pooling_mode_max_tokens",
                                         "pooling_mode_lasttoken",
                                         "pooling_mode_mean_sqrt_len_tokens",
                                         "pooling_mode_weightedmean_tokens",
                                         "include_prompt" };
    const char *kind = NULL;
    int32_t prompt;
    KD_TRY(check_known(root, known, sizeof known / sizeof *known, place));
    KD_TRY(kd__config_flag(root, "include_prompt", 1, &prompt));
    KD_TRY(old_pooling(root, &kind));
    const kd__json *mode = kd__json_member(root, "pooling_mode");
    if (!kd__config_is_null(mode)) KD_TRY(new_pooling(mode, &kind));
    KD_FAIL_IF(!kind, KD_ERR_CONFIG, "%s: no pooling mode", place);
    r->pooled = 1;
    return kd__text_format(r->to, ",\"kd_pooling\":\"%s\"%s", kind,
                           prompt ? "" : ",\"kd_include_prompt\":false");
}

/* ---- reading: dense layers ---- */

static kd_status find_activation(const kd__json *root, const char *place, const char **name)
{
    const kd__json *node = kd__json_member(root, "activation_function");
    const char *class = node && node->type == KD__JSON_STRING ? node->text : classes[KD__TANH];
    *name = NULL;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (classes[i] && !strcmp(class, classes[i])) *name = activations[i];
    KD_FAIL_IF(!*name, KD_ERR_UNSUPPORTED, "%s: activation_function \"%.80s\" is not supported",
               place, class);
    return KD_OK;
}

/* A config may claim any size: the file must be large enough for it. */
static kd_status check_claim(const reader *r, const char *place, int64_t inputs, int64_t outputs)
{
    char *path = NULL;
    kd__safetensors file;
    KD_TRY(path_of(r, place, "model.safetensors", &path));
    kd_status status = kd__safetensors_read(&file, r->context, path);
    kd__release(r->context, path);
    KD_TRY(status);
    const kd_array *w = kd__safetensors_find(&file, "linear.weight");
    const int same = w && w->rank == 2 && w->dims[0] == outputs && w->dims[1] == inputs;
    r->weights->bytes += file.map.size;
    kd__safetensors_free(&file);
    KD_FAIL_IF(!same, KD_ERR_MISMATCH, "%s: no tensor 'linear.weight' of shape (%lld, %lld)", place,
               (long long)outputs, (long long)inputs);
    return KD_OK;
}

static kd_status dense(reader *r, const kd__json *root, const char *place)
{
    static const char *const known[] = {
        "in_features",         "out_features",      "bias",
        "activation_function", "module_input_name", "module_output_name"
    };
    int64_t inputs, outputs;
    int32_t bias;
    const char *activation;
    KD_TRY(check_known(root, known, sizeof known / sizeof *known, place));
    KD_TRY(check_text(root, "module_input_name", "sentence_embedding", place));
    KD_TRY(check_text(root, "module_output_name", "sentence_embedding", place));
    KD_TRY(kd__config_integer(root, "in_features", 1, 0, &inputs));
    KD_TRY(kd__config_integer(root, "out_features", 1, 0, &outputs));
    KD_TRY(kd__config_flag(root, "bias", 1, &bias));
    KD_TRY(find_activation(root, place, &activation));
    KD_TRY(check_claim(r, place, inputs, outputs));
    KD_TRY(kd__text_format(r->to, "%s{\"out_features\":%lld,\"bias\":%s,\"activation\":\"%s\",",
                           r->dense ? "," : ",\"kd_dense\":[", (long long)outputs,
                           bias ? "true" : "false", activation));
    KD_TRY(kd__text_format(r->to, "\"folder\":"));
    KD_TRY(kd__text_quoted(r->to, place));
    r->dense++;
    return kd__text_format(r->to, "}");
}

static kd_status normalize(reader *r, const kd__json *root, const char *place)
{
    static const char *const known[] = { "module_input_name", "module_output_name" };
    (void)r;
    KD_TRY(check_known(root, known, 2, place));
    KD_TRY(check_text(root, "module_input_name", "sentence_embedding", place));
    return check_text(root, "module_output_name", "sentence_embedding", place);
}

/* ---- reading: the length that counts ---- */

static kd_status add_length(reader *r, const kd__json *node)
{
    const int counts = node && node->type == KD__JSON_NUMBER && node->number >= 1 &&
                       node->number <= 1 << 30;
    return counts ? kd__text_format(r->to, ",\"kd_max_length\":%lld", (long long)node->number)
                  : KD_OK;
}

static kd_status tokenizer_length(reader *r, const kd__json *root, const char *place)
{
    (void)place;
    return add_length(r, kd__json_member(root, "model_max_length"));
}

/* Newer folders leave the length to the tokenizer's config. */
static kd_status transformer(reader *r, const kd__json *root, const char *place)
{
    static const char *const known[] = { "max_seq_length", "do_lower_case", "transformer_task",
                                         "modality_config", "module_output_name" };
    const kd__json *length = kd__json_member(root, "max_seq_length");
    int32_t lower;
    KD_TRY(check_known(root, known, sizeof known / sizeof *known, "sentence_bert_config.json"));
    KD_TRY(kd__config_flag(root, "do_lower_case", 0, &lower));
    KD_FAIL_IF(lower, KD_ERR_UNSUPPORTED,
               "sentence_bert_config.json: do_lower_case: only false is supported");
    KD_TRY(check_text(root, "transformer_task", "feature-extraction", "sentence_bert_config.json"));
    KD_TRY(check_text(root, "module_output_name", "token_embeddings", "sentence_bert_config.json"));
    if (!kd__config_is_null(length)) return add_length(r, length);
    return read_file(r, place, "tokenizer_config.json", 0, tokenizer_length);
}

/* ---- reading: modules.json ---- */

/* The class of a module of sentence-transformers; "?" of another's. */
static const char *class_of(const kd__json *module)
{
    const kd__json *type = kd__json_member(module, "type");
    if (!type || type->type != KD__JSON_STRING || strncmp(type->text, "sentence_transformers.", 22))
        return "?";
    return strrchr(type->text, '.') + 1;
}

/* A module lies in the folder itself: no name leads out of it. */
static kd_status place_of(const kd__json *module, const char **place)
{
    const kd__json *node = kd__json_member(module, "path");
    KD_FAIL_IF(!node || node->type != KD__JSON_STRING || strchr(node->text, '/') ||
                   node->text[0] == '.' || node->length >= KD_NAME_BYTES ||
                   strlen(node->text) != (size_t)node->length,
               KD_ERR_CONFIG, "modules.json: path: expected the name of a folder in the folder");
    *place = node->text;
    return KD_OK;
}

static kd_status read_module(reader *r, const kd__json *module, int64_t index)
{
    const char *class = class_of(module), *place;
    KD_TRY(place_of(module, &place));
    if (index == 0) {
        KD_FAIL_IF(strcmp(class, "Transformer") || *place, KD_ERR_UNSUPPORTED,
                   "modules.json: expected a Transformer in the folder itself first");
        return KD_OK;
    }
    KD_FAIL_IF(r->normalized, KD_ERR_UNSUPPORTED, "modules.json: module %lld comes after Normalize",
               (long long)index);
    if (index == 1 && !strcmp(class, "Pooling"))
        return read_file(r, place, "config.json", 1, pooling);
    if (index > 1 && !strcmp(class, "Dense")) return read_file(r, place, "config.json", 1, dense);
    KD_FAIL_IF(
        index < 2 || strcmp(class, "Normalize"), KD_ERR_UNSUPPORTED,
        "modules.json: module %lld, \"%.40s\", is not supported there: Transformer, Pooling, "
        "Dense and Normalize are, in this order",
        (long long)index, class);
    r->normalized = 1;
    return read_file(r, place, "config.json", 0, normalize);
}

static kd_status read_modules(reader *r, const kd__json *root, const char *place)
{
    int64_t index = 0;
    (void)place;
    KD_FAIL_IF(root->type != KD__JSON_ARRAY || !root->first, KD_ERR_CONFIG,
               "modules.json: expected a list of modules");
    for (const kd__json *m = root->first; m; m = m->next, index++) {
        KD_FAIL_IF(m->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
                   "modules.json: expected a list of objects");
        KD_TRY(read_module(r, m, index));
    }
    KD_FAIL_IF(!r->pooled, KD_ERR_CONFIG, "modules.json: no Pooling with a config.json");
    if (r->dense) KD_TRY(kd__text_format(r->to, "]"));
    if (r->normalized) KD_TRY(kd__text_format(r->to, ",\"kd_normalize\":true"));
    return read_file(r, "", "sentence_bert_config.json", 0, transformer);
}

/* ---- reading: the config ---- */

static const char *const keys[] = { "kd_pooling", "kd_dense", "kd_normalize", "kd_max_length",
                                    "kd_include_prompt" };

static int is_key(const char *key)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i])) return 1;
    return 0;
}

int kd__sentence_is_key(const kd_model *model, const char *key)
{
    return kd__samples_of(model)->sentence && is_key(key);
}

kd_status kd__sentence_join(const kd__json *root, const kd__text *found, kd__text *to)
{
    if (!found->size) return KD_OK;
    for (const kd__json *n = root->first; n; n = n->next)
        KD_FAIL_IF(strstr(found->bytes, "\"kd_pooling\"") && is_key(n->key), KD_ERR_CONFIG,
                   "config: the key \"%.60s\" is said in modules.json as well", n->key);
    return kd__config_extend(root, found, to);
}

kd_status kd__sentence_find(kd_context *context, const char *folder, struct kd__weights *weights,
                            kd__text *found)
{
    reader r = { .context = context, .folder = folder, .weights = weights, .to = found };
    return read_file(&r, "", "modules.json", 0, read_modules);
}

/* ---- the weights of dense layers ---- */

int kd__sentence_is_dense(const kd_model *model, int32_t tensor, int64_t *stage)
{
    const kd__chain *c = &kd__samples_of(model)->chain[KD__CHAIN_EMBEDDING];
    for (int64_t i = 0; i < c->count; i++) {
        if (tensor != c->stage[i].weight && tensor != c->stage[i].bias) continue;
        if (stage) *stage = i;
        return 1;
    }
    return 0;
}

int kd__sentence_is_apart(const kd_model *model, int32_t tensor)
{
    int64_t stage;
    return kd__sentence_is_dense(model, tensor, &stage) &&
           kd__samples_of(model)->dense_folder[stage][0];
}

int kd__sentence_is_written_apart(const kd_model *model, int32_t tensor)
{
    return kd__samples_of(model)->sentence && kd__sentence_is_dense(model, tensor, NULL);
}

static kd_status read_stage(kd_model *model, const kd__stage *s, const kd__safetensors *file,
                            const char *place)
{
    KD_TRY(kd__model_read_tensor(model, s->weight, kd__safetensors_find(file, "linear.weight"),
                                 place));
    KD_FAIL_IF(file->count != 1 + (s->bias >= 0), KD_ERR_MISMATCH,
               "%s: expected %d tensors, got %lld", place, 1 + (s->bias >= 0),
               (long long)file->count);
    if (s->bias < 0) return KD_OK;
    return kd__model_read_tensor(model, s->bias, kd__safetensors_find(file, "linear.bias"), place);
}

kd_status kd__sentence_read(kd_model *model, const char *folder)
{
    const kd__samples *s = kd__samples_of(model);
    const kd__chain *c = &s->chain[KD__CHAIN_EMBEDDING];
    const reader r = { .context = model->object.context, .folder = folder };
    for (int64_t i = 0; i < c->count; i++) {
        char *path = NULL;
        kd__safetensors file;
        if (!s->dense_folder[i][0]) continue;
        KD_TRY(path_of(&r, s->dense_folder[i], "model.safetensors", &path));
        kd_status status = kd__safetensors_read(&file, r.context, path);
        kd__release(r.context, path);
        KD_TRY(status);
        status = read_stage(model, &c->stage[i], &file, s->dense_folder[i]);
        kd__safetensors_free(&file);
        KD_TRY(status);
    }
    return KD_OK;
}

/* ---- writing ---- */

typedef struct {
    kd_model *model;
    const kd__samples *s;
    const char *folder;
    const kd_model_save_options *o;
} writer;

static kd_status write_text(const writer *w, const char *name, kd__text *text)
{
    char *path = NULL;
    kd_status status = kd__path_join(text->context, &path, w->folder, name);
    if (status == KD_OK) status = kd__file_replace(text->context, path, text->bytes, text->size);
    kd__release(text->context, path);
    return status;
}

static kd_status make_folder(const writer *w, const char *name)
{
    char *path = NULL;
    kd_status status = kd__path_join(w->model->object.context, &path, w->folder, name);
    if (status == KD_OK) status = kd__folder_make(path);
    kd__release(w->model->object.context, path);
    return status;
}

/* The names that every version of sentence-transformers reads. */
static kd_status put_module(kd__text *t, int index, const char *place, const char *class)
{
    return kd__text_format(t,
                           "%s  {\n    \"idx\": %d,\n    \"name\": \"%d\",\n    \"path\": \"%s\",\n"
                           "    \"type\": \"sentence_transformers.models.%s\"\n  }",
                           index ? ",\n" : "[\n", index, index, place, class);
}

static kd_status write_modules(const writer *w, kd__text *t)
{
    const kd__chain *c = &w->s->chain[KD__CHAIN_EMBEDDING];
    char place[32];
    int index = 2;
    KD_TRY(put_module(t, 0, "", "Transformer"));
    KD_TRY(put_module(t, 1, "1_Pooling", "Pooling"));
    for (int64_t i = 0; i < c->count; i++, index++) {
        snprintf(place, sizeof place, "%d_Dense", index);
        KD_TRY(put_module(t, index, place, "Dense"));
    }
    snprintf(place, sizeof place, "%d_Normalize", index);
    if (c->normalize) KD_TRY(put_module(t, index, place, "Normalize"));
    KD_TRY(kd__text_format(t, "\n]\n"));
    KD_TRY(write_text(w, "modules.json", t));
    return c->normalize ? make_folder(w, place) : KD_OK;
}

static kd_status write_pooling(const writer *w, kd__text *t)
{
    const kd__chain *c = &w->s->chain[KD__CHAIN_EMBEDDING];
    const int32_t kind = c->pooling;
    KD_TRY(make_folder(w, "1_Pooling"));
    KD_TRY(kd__text_format(
        t,
        "{\n  \"word_embedding_dimension\": %lld,\n  \"pooling_mode_cls_token\": %s,\n"
        "  \"pooling_mode_mean_tokens\": %s,\n  \"pooling_mode_max_tokens\": %s,\n"
        "  \"pooling_mode_mean_sqrt_len_tokens\": false,\n"
        "  \"pooling_mode_weightedmean_tokens\": %s,\n  \"pooling_mode_lasttoken\": %s,\n"
        "  \"include_prompt\": %s\n}\n",
        (long long)c->width, kind == KD__POOL_FIRST ? "true" : "false",
        kind == KD__POOL_MEAN ? "true" : "false", kind == KD__POOL_MAX ? "true" : "false",
        kind == KD__POOL_WEIGHTED ? "true" : "false", kind == KD__POOL_LAST ? "true" : "false",
        w->s->leaves_out_prompt ? "false" : "true"));
    return write_text(w, "1_Pooling/config.json", t);
}

static kd_status write_length(const writer *w, kd__text *t)
{
    const kd__trunk_config *d = kd__trunk_config_of(w->model);
    const int64_t most = w->s->max_length < d->positions ? w->s->max_length : d->positions;
    KD_TRY(kd__text_format(t, "{\n  \"max_seq_length\": %lld,\n  \"do_lower_case\": false\n}\n",
                           (long long)most));
    return write_text(w, "sentence_bert_config.json", t);
}

static kd_status write_dense_config(const writer *w, const kd__stage *s, const char *place,
                                    kd__text *t)
{
    char name[64];
    KD_TRY(kd__text_format(t,
                           "{\n  \"in_features\": %lld,\n  \"out_features\": %lld,\n"
                           "  \"bias\": %s,\n  \"activation_function\": \"%s\"\n}\n",
                           (long long)s->inputs, (long long)s->outputs,
                           s->bias < 0 ? "false" : "true", classes[s->activation]));
    snprintf(name, sizeof name, "%s/config.json", place);
    return write_text(w, name, t);
}

static kd_status write_dense(const writer *w, const kd__stage *s, const char *place)
{
    kd_context *context = w->model->object.context;
    const kd__tensor *tensors = w->model->net.tensors;
    kd__entries entries = { 0 };
    char *path = NULL;
    kd_status status = kd__path_join(context, &path, w->folder, place);
    if (status == KD_OK) status = kd__entries_create(&entries, context, 2);
    if (status == KD_OK) {
        const float *values = kd__parameters_seen(w->model);
        kd__entries_add(&entries, "linear.weight", &tensors[s->weight], values);
        if (s->bias >= 0) kd__entries_add(&entries, "linear.bias", &tensors[s->bias], values);
        status = kd__weights_write(context, path, entries.entry, entries.count, w->o->dtype, 0);
    }
    kd__entries_free(&entries);
    kd__release(context, path);
    return status;
}

typedef kd_status part(const writer *w, kd__text *t);
static kd_status with_text(const writer *w, part *write)
{
    kd__text t = { .context = w->model->object.context };
    const kd_status status = write(w, &t);
    kd__text_free(&t);
    return status;
}

static kd_status write_stages(const writer *w)
{
    const kd__chain *c = &w->s->chain[KD__CHAIN_EMBEDDING];
    for (int64_t i = 0; i < c->count; i++) {
        kd__text t = { .context = w->model->object.context };
        char place[32];
        snprintf(place, sizeof place, "%d_Dense", (int)i + 2);
        KD_TRY(make_folder(w, place));
        KD_TRY(write_dense(w, &c->stage[i], place));
        const kd_status status = write_dense_config(w, &c->stage[i], place, &t);
        kd__text_free(&t);
        KD_TRY(status);
    }
    return KD_OK;
}

kd_status kd__sentence_write(kd_model *model, const char *folder, const kd_model_save_options *o)
{
    const writer w = { model, kd__samples_of(model), folder, o };
    if (!w.s->sentence) return KD_OK;
    KD_TRY(write_stages(&w));
    KD_TRY(with_text(&w, write_pooling));
    KD_TRY(with_text(&w, write_length));
    return with_text(&w, write_modules); /* last: it names the others */
}
