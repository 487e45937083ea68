/* Adapters from a folder of PEFT: adapter_config.json and adapter_model.safetensors. Ranks are the
 * tensors', scales the config's. */
#include <kdistill/student.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "formats/formats.h"
#include "language/trunk/lora.h"

#define PREFIX "base_model.model."
#define SIDE_A ".lora_A.weight"
#define CONFIG_BYTES ((int64_t)1 << 26)

typedef struct {
    kd_model *model;
    const char *folder;
    const kd__json *config;
    kd__safetensors *file;
    double alpha;
    int rooted; /* "use_rslora": alpha / sqrt(rank) */
    kd__adapter *wanted;
    const kd_array **a, **b; /* of each */
    int64_t count;
} reading;

/* ---- the config ---- */

static int is_on(const kd__json *config, const char *key)
{
    const kd__json *n = kd__json_member(config, key);
    return n && n->type == KD__JSON_BOOL && n->number != 0;
}

/* null, "none" or nothing in it. */
static int is_empty(const kd__json *config, const char *key)
{
    const kd__json *n = kd__json_member(config, key);
    if (!n || n->type == KD__JSON_NULL) return 1;
    if (n->type == KD__JSON_STRING) return !strcmp(n->text, "none");
    return (n->type == KD__JSON_ARRAY || n->type == KD__JSON_OBJECT) && !n->children;
}

/* What would change the result. */
static kd_status check_forms(const reading *r)
{
    static const char *const off[] = { "use_dora", "lora_bias", "fan_in_fan_out" };
    static const char *const empty[] = { "bias", "modules_to_save", "trainable_token_indices" };
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        KD_FAIL_IF(is_on(r->config, off[i]), KD_ERR_UNSUPPORTED,
                   "%s: adapter_config.json: expected \"%s\" false, got true", r->folder, off[i]);
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
        KD_FAIL_IF(!is_empty(r->config, empty[i]), KD_ERR_UNSUPPORTED,
                   "%s: adapter_config.json: expected nothing in \"%s\": only adapters of "
                   "matrices are read",
                   r->folder, empty[i]);
    return KD_OK;
}

static kd_status read_config(reading *r)
{
    const kd__json *type = kd__json_member(r->config, "peft_type"),
                   *alpha = kd__json_member(r->config, "lora_alpha");
    KD_FAIL_IF(!type || type->type != KD__JSON_STRING || strcmp(type->text, "LORA"),
               KD_ERR_UNSUPPORTED, "%s: adapter_config.json: expected \"peft_type\": \"LORA\"",
               r->folder);
    KD_FAIL_IF(!alpha || alpha->type != KD__JSON_NUMBER || !(fabs(alpha->number) <= 1e6),
               KD_ERR_CONFIG, "%s: adapter_config.json: expected a number in \"lora_alpha\"",
               r->folder);
    r->alpha = alpha->number;
    r->rooted = is_on(r->config, "use_rslora");
    return check_forms(r);
}

/* `key` names the module, or its last parts. PEFT takes keys for regular expressions; here they
 * are names. */
static int names_module(const char *key, const char *module)
{
    const size_t n = strlen(module), k = strlen(key);
    return k <= n && !strcmp(module + n - k, key) && (k == n || module[n - k - 1] == '.');
}

static kd_status scale_of(const reading *r, const char *module, int64_t rank, double *scale)
{
    const kd__json *pattern = kd__json_member(r->config, "alpha_pattern");
    double alpha = r->alpha;
    const int there = pattern && pattern->type == KD__JSON_OBJECT;
    for (const kd__json *n = there ? pattern->first : NULL; n; n = n->next) {
        KD_FAIL_IF(n->type != KD__JSON_NUMBER || !(fabs(n->number) <= 1e6) ||
                       strpbrk(n->key, "^$*+?()[]{}|\\"),
                   KD_ERR_UNSUPPORTED,
                   "%s: alpha_pattern: expected names of modules with numbers, got \"%.60s\"",
                   r->folder, n->key);
        if (names_module(n->key, module)) alpha = n->number;
    }
    *scale = alpha / (r->rooted ? sqrt((double)rank) : (double)rank);
    return KD_OK;
}

/* ---- the tensors ---- */

/* A matrix by its module: the name without ".weight". The module may have more in front of it, as
 * where the trunk was part of a larger model; -1: there is none. */
static int32_t matrix_of(const kd_model *model, const char *module)
{
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        char name[KD_NAME_BYTES];
        snprintf(name, sizeof name, "%s", model->net.tensors[i].name);
        const size_t n = strlen(name);
        if (n < 8 || strcmp(name + n - 7, ".weight")) continue;
        name[n - 7] = 0;
        if (names_module(name, module)) return (int32_t)i;
    }
    return -1;
}

static int is_of(const kd_array *array, int64_t rows, int64_t columns)
{
    return array->rank == 2 && array->dims[0] == rows && array->dims[1] == columns &&
           !kd__dtype_is_integer(array->dtype);
}

/* The adapter whose A has this name. */
static kd_status take(reading *r, const char *name, const kd_array *a)
{
    kd_model *model = r->model;
    char module[KD_NAME_BYTES], other[KD_NAME_BYTES + 32];
    const size_t head = strlen(PREFIX), n = strlen(name) - head - strlen(SIDE_A);
    KD_FAIL_IF(n >= sizeof module, KD_ERR_RANGE, "%s: the name %.80s is too long", r->folder, name);
    snprintf(module, sizeof module, "%.*s", (int)n, name + head);
    snprintf(other, sizeof other, PREFIX "%s.lora_B.weight", module);
    const kd_array *b = kd__safetensors_find(r->file, other);
    const int32_t matrix = matrix_of(model, module);
    KD_FAIL_IF(matrix < 0, KD_ERR_NOT_FOUND,
               "%s: %s: the model has no such matrix: were the adapters trained on another one?",
               r->folder, module);
    const kd__tensor *t = &model->net.tensors[matrix];
    const kd__lora *l = kd__trunk_of(model)->lora;
    int twice = l && kd__lora_of_tensor(l, matrix);
    for (int64_t i = 0; i < r->count; i++) twice |= r->wanted[i].matrix == matrix;
    KD_FAIL_IF(twice, KD_ERR_STATE, "%s: %s has an adapter already", r->folder, t->name);
    KD_FAIL_IF(!kd__lora_takes(model, matrix), KD_ERR_UNSUPPORTED, "%s: %s can have no adapter",
               r->folder, t->name);
    const int64_t rank = a->rank == 2 ? a->dims[0] : 0;
    KD_FAIL_IF(rank < 1 || rank > 65536 || !b || !is_of(a, rank, t->dims[1]) ||
                   !is_of(b, t->dims[0], rank),
               KD_ERR_SHAPE,
               "%s: %s: expected floats lora_A (rank, %lld) and lora_B (%lld, rank), of a rank of "
               "at most 65536",
               r->folder, module, (long long)t->dims[1], (long long)t->dims[0]);
    kd__adapter *wanted = &r->wanted[r->count];
    *wanted = (kd__adapter){ .matrix = matrix, .rank = rank };
    KD_TRY(scale_of(r, module, rank, &wanted->scale));
    r->a[r->count] = a;
    r->b[r->count++] = b;
    return KD_OK;
}

static int ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), e = strlen(end);
    return n >= e && !strcmp(name + n - e, end);
}

static kd_status choose(reading *r)
{
    for (int64_t i = 0; i < r->file->count; i++) {
        const char *name = r->file->entries[i].name;
        const int ours = !strncmp(name, PREFIX, strlen(PREFIX)) &&
                         strlen(name) > strlen(PREFIX SIDE_A);
        if (ours && ends_with(name, SIDE_A)) KD_TRY(take(r, name, &r->file->entries[i].array));
        else
            KD_FAIL_IF(!ours || !ends_with(name, ".lora_B.weight"), KD_ERR_UNSUPPORTED,
                       "%s: expected tensors " PREFIX "MODULE.lora_A.weight and .lora_B.weight, "
                       "got %.80s",
                       r->folder, name);
    }
    KD_FAIL_IF(!r->count || r->file->count != 2 * r->count, KD_ERR_FORMAT,
               "%s: expected a lora_B for each lora_A, got %lld tensors for %lld matrices",
               r->folder, (long long)r->file->count, (long long)r->count);
    return KD_OK;
}

static void put(kd_model *model, int32_t tensor, const kd_array *from)
{
    const kd__tensor *t = &model->net.tensors[tensor];
    kd__convert_float32(model->parameters + t->offset, from->data, from->dtype, t->count, 1, 0);
}

static void fill(kd_model *model, int64_t first, const void *argument)
{
    const reading *r = argument;
    for (int64_t i = 0; i < r->count; i++) {
        const kd__adapter *a = &kd__trunk_of(model)->lora->adapters[first + i];
        put(model, a->a, r->a[i]);
        put(model, a->b, r->b[i]);
    }
}

static kd_status read_adapters(reading *r)
{
    kd_context *context = r->model->object.context;
    KD_TRY(read_config(r));
    kd_status status = KD_NEW(context, &r->wanted, r->file->count);
    if (status == KD_OK) status = KD_NEW(context, &r->a, r->file->count);
    if (status == KD_OK) status = KD_NEW(context, &r->b, r->file->count);
    if (status == KD_OK) status = choose(r);
    if (status == KD_OK) status = kd__lora_add(r->model, r->wanted, r->count, fill, r);
    kd__release(context, r->wanted);
    kd__release(context, r->a);
    kd__release(context, r->b);
    return status;
}

/* ---- the files ---- */

static kd_status open_config(kd_context *context, const char *folder, kd__json_document *config)
{
    char *path, *text = NULL;
    int64_t size;
    KD_TRY(kd__path_join(context, &path, folder, "adapter_config.json"));
    kd_status status = kd__file_read(context, path, CONFIG_BYTES, &text, &size);
    if (status == KD_OK) status = kd__json_parse(config, context, text, (size_t)size, path);
    kd__release(context, text);
    kd__release(context, path);
    return status;
}

static kd_status open_numbers(kd_context *context, const char *folder, kd__safetensors *file)
{
    char *path;
    KD_TRY(kd__path_join(context, &path, folder, "adapter_model.safetensors"));
    const kd_status status = kd__safetensors_read(file, context, path);
    kd__release(context, path);
    return status;
}

kd_status kd_model_load_lora(kd_model *model, const char *folder)
{
    KD_NEED(model);
    KD_NEED(folder);
    KD_TRY(kd__lora_check(model));
    kd_context *context = model->object.context;
    kd__json_document config = { 0 };
    kd__safetensors file = { 0 };
    kd_status status = open_config(context, folder, &config);
    if (status == KD_OK) status = open_numbers(context, folder, &file);
    reading r = { .model = model, .folder = folder, .config = config.root, .file = &file };
    if (status == KD_OK) {
        status = read_adapters(&r);
        kd__safetensors_free(&file);
    }
    kd__json_free(&config);
    return status;
}
