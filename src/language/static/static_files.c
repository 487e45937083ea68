/* Folders of static embeddings. model2vec's: config.json, model.safetensors with `embeddings`,
 * `weights` and `mapping`. sentence-transformers': modules.json, which names a StaticEmbedding and
 * a Normalize or none, and `embedding.weight` in the folder itself or in the module's. What a
 * folder has decides, not its config, which may be missing. A module, or a tensor, that would
 * change the result and is not known is refused by name.
 *
 * The two programs differ: model2vec leaves unknown tokens out of the mean, sentence-transformers
 * counts them. Either is `ignored_token` in the config that is made here. */
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/model/weights.h"
#include "language/static/static.h"
#include "language/trunk/config_keys.h"

#define MOST_BYTES (1 << 20)
#define MOST_TOKENIZER_BYTES (1 << 27)

typedef struct {
    kd_context *context;
    const char *folder;
    char *place; /* of the weights and the tokenizer */
    kd__json_document config, modules;
    kd__weights weights;
    const kd_array *table, *factors, *mapping, *head, *bias;
    int32_t sentence, normalize;
    int64_t ignored;
} folder_reader;

/* ---- files ---- */

/* document->root stays NULL when there is no such file. */
static kd_status read_json(kd_context *context, const char *folder, const char *name, int64_t limit,
                           kd__json_document *document)
{
    char *path = NULL, *bytes = NULL;
    int64_t size;
    KD_TRY(kd__path_join(context, &path, folder, name));
    kd_status status = kd__file_read(context, path, limit, &bytes, &size);
    const int missing = status == KD_ERR_NOT_FOUND;
    if (status == KD_OK) status = kd__json_parse(document, context, bytes, (size_t)size, path);
    kd__release(context, bytes);
    kd__release(context, path);
    return missing ? KD_OK : status;
}

static void close_reader(folder_reader *r)
{
    kd__json_free(&r->config);
    kd__json_free(&r->modules);
    kd__weights_close(&r->weights);
    kd__release(r->context, r->place);
}

/* ---- modules ---- */

static const char *text_of(const kd__json *node, const char *key)
{
    const kd__json *member = kd__json_member(node, key);
    return member && member->type == KD__JSON_STRING ? member->text : "";
}

static int is_module(const kd__json *module, const char *class)
{
    const char *type = text_of(module, "type"), *last = strrchr(type, '.');
    return !strncmp(type, "sentence_transformers.", 22) && !strcmp(last + 1, class);
}

static int has_static_module(const kd__json *modules)
{
    return modules && modules->type == KD__JSON_ARRAY && modules->first &&
           is_module(modules->first, "StaticEmbedding");
}

/* A module lies in the folder itself: no name leads out of it. */
static kd_status find_place(folder_reader *r, const kd__json *module)
{
    const char *path = module ? text_of(module, "path") : "";
    if (!*path || !strcmp(path, ".")) return kd__copy_text(r->context, &r->place, r->folder);
    KD_FAIL_IF(strchr(path, '/') || path[0] == '.', KD_ERR_CONFIG,
               "modules.json: path: expected the name of a folder in the folder");
    return kd__path_join(r->context, &r->place, r->folder, path);
}

static kd_status read_modules(folder_reader *r)
{
    const kd__json *root = r->modules.root;
    if (!has_static_module(root)) return find_place(r, NULL);
    const kd__json *next = root->first->next;
    r->normalize = next != NULL;
    KD_FAIL_IF(next && (!is_module(next, "Normalize") || next->next), KD_ERR_UNSUPPORTED,
               "modules.json: module \"%.60s\" is not supported there: a StaticEmbedding is, and a "
               "Normalize after it",
               text_of(is_module(next, "Normalize") ? next->next : next, "type"));
    return find_place(r, root->first);
}

/* ---- the token that is left out ---- */

static const kd__json *id_of_added(const kd__json *list, const char *content)
{
    for (const kd__json *n = list ? list->first : NULL; n; n = n->next)
        if (!strcmp(text_of(n, "content"), content)) return kd__json_member(n, "id");
    return NULL;
}

/* The unknown token's id as tokenizers tells it: of a Unigram by number, else by name. */
static const kd__json *unknown_id(const kd__json *root)
{
    const kd__json *model = kd__json_member(root, "model");
    const char *name = text_of(model, "unk_token");
    const kd__json *added = id_of_added(kd__json_member(root, "added_tokens"), name);
    if (!*name) return kd__json_member(model, "unk_id");
    return added ? added : kd__json_member(kd__json_member(model, "vocab"), name);
}

static kd_status find_ignored(folder_reader *r, int64_t vocabulary)
{
    kd__json_document tokenizer = { 0 };
    const kd__json *said = r->config.root ? kd__json_member(r->config.root, "ignored_token") : NULL;
    r->ignored = -1;
    if (said) return kd__json_integer(said, -1, vocabulary - 1, &r->ignored, "ignored_token");
    if (r->sentence) return KD_OK;
    KD_TRY(read_json(r->context, r->place, "tokenizer.json", MOST_TOKENIZER_BYTES, &tokenizer));
    const kd__json *id = unknown_id(tokenizer.root);
    if (id && id->number >= 0 && id->number < (double)vocabulary) r->ignored = (int64_t)id->number;
    kd__json_free(&tokenizer);
    return KD_OK;
}

/* ---- tensors ---- */

static kd_status find_tensors(folder_reader *r)
{
    const struct {
        const char *name;
        const kd_array **array;
    } known[] = { { "embeddings", &r->table },       { "embedding.weight", &r->table },
                  { "weights", &r->factors },        { "mapping", &r->mapping },
                  { "classifier.weight", &r->head }, { "classifier.bias", &r->bias } };
    const size_t count = sizeof known / sizeof *known;
    int64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const kd_array *array = kd__weights_find(&r->weights, known[i].name);
        if (!array) continue;
        *known[i].array = array;
        found++;
    }
    r->sentence = r->table && r->table == kd__weights_find(&r->weights, "embedding.weight");
    KD_FAIL_IF(!r->table, KD_ERR_MISMATCH,
               "%s: the weights have no tensor 'embeddings' or 'embedding.weight'", r->place);
    KD_FAIL_IF(r->sentence && kd__weights_find(&r->weights, "embeddings"), KD_ERR_MISMATCH,
               "%s: the weights have both 'embeddings' and 'embedding.weight'", r->place);
    KD_FAIL_IF(found != r->weights.tensors, KD_ERR_MISMATCH,
               "%s: the weights have %lld tensors, %lld of them known: embeddings or "
               "embedding.weight, weights, mapping, classifier.weight, classifier.bias",
               r->place, (long long)r->weights.tensors, (long long)found);
    return KD_OK;
}

static kd_status check_shapes(const folder_reader *r, int64_t *vocabulary)
{
    const kd_array *t = r->table, *m = r->mapping, *f = r->factors, *h = r->head, *b = r->bias;
    KD_FAIL_IF(t->rank != 2 || t->dims[0] < 1 || t->dims[1] < 1, KD_ERR_SHAPE,
               "%s: the table: expected (rows, numbers), got rank %d", r->place, t->rank);
    KD_FAIL_IF(m && (m->rank != 1 || !kd__dtype_is_integer(m->dtype)), KD_ERR_SHAPE,
               "%s: mapping: expected a row for each token, whole numbers", r->place);
    *vocabulary = m ? m->dims[0] : t->dims[0];
    KD_FAIL_IF(f && (f->rank != 1 || f->dims[0] != *vocabulary), KD_ERR_SHAPE,
               "%s: weights: expected one for each of %lld tokens", r->place,
               (long long)*vocabulary);
    KD_FAIL_IF(!h != !b || (h && (h->rank != 2 || h->dims[1] != t->dims[1] || b->rank != 1 ||
                                  b->dims[0] != h->dims[0])),
               KD_ERR_SHAPE, "%s: classifier: expected weight (classes, %lld) and bias (classes)",
               r->place, (long long)t->dims[1]);
    return KD_OK;
}

/* ---- the config ---- */

/* A key of the folder's config that goes on as it is; NULL: it is not there. */
static const kd__json *key_of(const folder_reader *r, const char *name)
{
    return r->config.root ? kd__json_member(r->config.root, name) : NULL;
}

static kd_status put_input(const folder_reader *r, kd__text *to)
{
    const kd__json *input = key_of(r, "input");
    if (!input || input->type != KD__JSON_STRING) return KD_OK;
    KD_TRY(kd__text_format(to, ",\"input\":"));
    return kd__text_quoted(to, input->text);
}

/* null: no cut; not there: nothing is said. */
static kd_status put_length(const folder_reader *r, kd__text *to)
{
    const kd__json *node = key_of(r, "max_length");
    int64_t length = -1;
    if (!node) return KD_OK;
    if (node->type != KD__JSON_NULL)
        KD_TRY(kd__json_integer(node, -1, INT32_MAX, &length, "config: max_length"));
    return kd__text_format(to, ",\"max_length\":%lld", (long long)length);
}

static kd_status make_config(folder_reader *r, kd__text *to)
{
    int64_t vocabulary;
    KD_TRY(check_shapes(r, &vocabulary));
    KD_TRY(find_ignored(r, vocabulary));
    if (r->config.root)
        KD_TRY(kd__config_flag(r->config.root, "normalize", r->normalize, &r->normalize));
    KD_TRY(kd__text_format(to,
                           "{\"model_type\":\"static_embedding\",\"vocab_size\":%lld,"
                           "\"hidden_size\":%lld,\"normalize\":%s,\"layout\":\"%s\"",
                           (long long)vocabulary, (long long)r->table->dims[1],
                           r->normalize ? "true" : "false",
                           r->sentence ? "sentence_transformers" : "model2vec"));
    if (r->ignored >= 0)
        KD_TRY(kd__text_format(to, ",\"ignored_token\":%lld", (long long)r->ignored));
    if (r->mapping)
        KD_TRY(kd__text_format(to, ",\"embedding_rows\":%lld", (long long)r->table->dims[0]));
    if (r->factors) KD_TRY(kd__text_format(to, ",\"token_weights\":true"));
    if (r->head) KD_TRY(kd__text_format(to, ",\"num_labels\":%lld", (long long)r->head->dims[0]));
    KD_TRY(put_length(r, to));
    KD_TRY(put_input(r, to));
    return kd__text_append(to, "}", 1);
}

/* ---- the model ---- */

static void read_tensor(kd_model *model, int32_t tensor, const kd_array *found)
{
    if (tensor < 0) return;
    const kd__tensor *t = &model->net.tensors[tensor];
    kd__convert_float32(model->parameters + t->offset, found->data, found->dtype, t->count, 1, 0);
}

static kd_status read_mapping(kd_model *model, const kd_array *found, const char *place)
{
    kd__static *s = kd__static_of(&model->net);
    if (!found) return KD_OK;
    KD_TRY(KD_NEW(model->object.context, &s->mapping, s->vocabulary));
    const char *bytes = found->data;
    const size_t size = kd_dtype_bytes(found->dtype);
    for (int64_t i = 0; i < s->vocabulary; i++) {
        int64_t row;
        kd__convert_int64(&row, bytes + (size_t)i * size, found->dtype, 1);
        KD_FAIL_IF(row < 0 || row >= s->rows, KD_ERR_RANGE,
                   "%s: mapping: token %lld: row: expected 0 to %lld, got %lld", place,
                   (long long)i, (long long)s->rows - 1, (long long)row);
        s->mapping[i] = (int32_t)row;
    }
    return KD_OK;
}

static kd_status fill_model(kd_model *model, const folder_reader *r)
{
    const kd__static *s = kd__static_of(&model->net);
    read_tensor(model, s->table, r->table);
    read_tensor(model, s->weights, r->factors);
    read_tensor(model, s->head, r->head);
    read_tensor(model, s->bias, r->bias);
    KD_TRY(read_mapping(model, r->mapping, r->place));
    KD_TRY(kd__model_finish(model));
    return kd__copy_text(model->object.context, &model->folder, r->place);
}

static kd_status read_model(kd_model **out, folder_reader *r, const kd_model_options *options)
{
    kd__text config = { .context = r->context };
    kd_model *model = NULL;
    kd_status status = find_tensors(r);
    if (status == KD_OK) status = make_config(r, &config);
    if (status == KD_OK) status = kd__model_make(&model, r->context, config.bytes, options);
    if (status == KD_OK) status = fill_model(model, r);
    kd__text_free(&config);
    if (status == KD_OK) *out = model;
    else kd_model_free(model);
    return status;
}

static kd_status load(kd_model **out, kd_context *context, const char *folder,
                      const kd_model_options *options)
{
    folder_reader r = { .context = context, .folder = folder };
    kd_status status = read_json(context, folder, "config.json", MOST_BYTES, &r.config);
    if (status == KD_OK)
        status = read_json(context, folder, "modules.json", MOST_BYTES, &r.modules);
    if (status == KD_OK) status = read_modules(&r);
    if (status == KD_OK) status = kd__weights_open(&r.weights, context, r.place);
    if (status == KD_OK) status = read_model(out, &r, options);
    close_reader(&r);
    return status;
}

static int names_static(const kd__json *config)
{
    const char *type = config ? text_of(config, "model_type") : "";
    return kd__static_knows(type) || !strcmp(type, "model2vec");
}

/* A file that cannot be read is none of these: what the folder is read as says so. */
static kd_status find(kd_context *context, const char *folder, int *is)
{
    folder_reader r = { .context = context, .folder = folder };
    *is = 0;
    if (!kd__is_folder(folder)) return KD_OK;
    kd_status status = read_json(context, folder, "config.json", MOST_BYTES, &r.config);
    if (status == KD_OK && names_static(r.config.root)) *is = 1;
    else if (status == KD_OK) {
        status = read_json(context, folder, "modules.json", MOST_BYTES, &r.modules);
        *is = status == KD_OK && has_static_module(r.modules.root);
    }
    close_reader(&r);
    return status == KD_ERR_MEMORY ? status : KD_OK;
}

const kd__model_format kd__static_format = { find, load };
