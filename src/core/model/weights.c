/* Weights of a folder: one safetensors file, or the shards that an index names. */
#include "core/model/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static kd_status open_file(kd__weights *w, const char *folder, const char *name)
{
    char *path = NULL;
    KD_TRY(kd__path_join(w->context, &path, folder, name));
    kd_status status = kd__safetensors_read(&w->files[w->count], w->context, path);
    kd__release(w->context, path);
    KD_TRY(status);
    w->tensors += w->files[w->count].count;
    w->bytes += w->files[w->count++].map.size;
    return KD_OK;
}

/* A shard lies in the folder itself: no name leads out of it. */
static kd_status check_name(const kd__json *node, const char *path)
{
    KD_FAIL_IF(node->type != KD__JSON_STRING || !node->length || strchr(node->text, '/') ||
                   node->text[0] == '.',
               KD_ERR_FORMAT, "%s: weight_map: %.60s: expected the name of a file in the folder",
               path, node->key);
    return KD_OK;
}

static int is_open(const char *const *names, int64_t count, const char *name)
{
    /* tensors of a shard stand together: most often it is the last */
    for (int64_t i = count; i-- > 0;)
        if (!strcmp(names[i], name)) return 1;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first tensor, by name, in which two sorted lists differ. */
static kd_status name_first(const char *const *mapped, int64_t maps, const char *const *held,
                            int64_t holds, const char *path)
{
    int64_t i = 0;
    while (i < maps && i < holds && !strcmp(mapped[i], held[i])) i++;
    const int order = i == maps ? 1 : i == holds ? -1 : strcmp(mapped[i], held[i]);
    const int twice = order > 0 && i > 0 && !strcmp(held[i - 1], held[i]);
    return kd__fail(
        KD_ERR_FORMAT,
        "%s: weight_map has %lld tensors, the shards have %lld: tensor '%.120s' is in %s", path,
        (long long)maps, (long long)holds, order < 0 ? mapped[i] : held[i],
        order < 0 ? "no shard"
        : twice   ? "two shards"
                  : "a shard alone");
}

static kd_status name_difference(const kd__weights *w, const kd__json *map, const char *path)
{
    const char **mapped = NULL, **held = NULL;
    int64_t maps = 0, holds = 0;
    kd_status status = KD_NEW(w->context, &mapped, map->children + 1);
    if (status == KD_OK) status = KD_NEW(w->context, &held, w->tensors + 1);
    for (const kd__json *n = map->first; n && status == KD_OK; n = n->next) mapped[maps++] = n->key;
    for (int64_t f = 0; f < w->count && status == KD_OK; f++)
        for (int64_t i = 0; i < w->files[f].count; i++) held[holds++] = w->files[f].entries[i].name;
    if (status == KD_OK) {
        qsort(mapped, (size_t)maps, sizeof *mapped, by_name);
        qsort(held, (size_t)holds, sizeof *held, by_name);
        status = name_first(mapped, maps, held, holds, path);
    }
    kd__release(w->context, mapped);
    kd__release(w->context, held);
    return status;
}

/* A map that names other tensors than the shards have shows when the model looks for its own; their
 * numbers must agree here. */
static kd_status open_shards(kd__weights *w, const char *folder, const kd__json *map,
                             const char *path)
{
    const char *names[KD__MOST_SHARDS];
    KD_FAIL_IF(!map || map->type != KD__JSON_OBJECT || !map->first, KD_ERR_FORMAT,
               "%s: expected an object weight_map with at least one tensor", path);
    for (const kd__json *n = map->first; n; n = n->next) {
        KD_TRY(check_name(n, path));
        if (is_open(names, w->count, n->text)) continue;
        KD_FAIL_IF(w->count == KD__MOST_SHARDS, KD_ERR_FORMAT,
                   "%s: expected at most %d shards, got more", path, KD__MOST_SHARDS);
        names[w->count] = n->text;
        KD_TRY(open_file(w, folder, n->text));
    }
    return w->tensors == map->children ? KD_OK : name_difference(w, map, path);
}

static kd_status open_index(kd__weights *w, const char *folder, char *text, int64_t size,
                            const char *path)
{
    kd__json_document document = { 0 };
    kd_status status = kd__json_parse(&document, w->context, text, (size_t)size, path);
    if (status == KD_OK)
        status = open_shards(w, folder, kd__json_member(document.root, "weight_map"), path);
    kd__json_free(&document);
    return status;
}

kd_status kd__weights_open(kd__weights *w, kd_context *context, const char *folder)
{
    char *path = NULL, *text = NULL;
    int64_t size;
    *w = (kd__weights){ .context = context };
    KD_TRY(KD_NEW(context, &w->files, KD__MOST_SHARDS));
    kd_status status = open_file(w, folder, "model.safetensors");
    if (status == KD_ERR_NOT_FOUND) {
        status = kd__path_join(context, &path, folder, "model.safetensors.index.json");
        if (status == KD_OK) status = kd__file_read(context, path, 1 << 26, &text, &size);
        if (status == KD_ERR_NOT_FOUND)
            status = kd__fail(
                status, "%s: no model.safetensors and no model.safetensors.index.json", folder);
        if (status == KD_OK) status = open_index(w, folder, text, size, path);
    }
    kd__release(context, path);
    kd__release(context, text);
    if (status != KD_OK) kd__weights_close(w);
    return status;
}

void kd__weights_close(kd__weights *w)
{
    for (int64_t i = 0; i < w->count; i++) kd__safetensors_free(&w->files[i]);
    if (w->context) kd__release(w->context, w->files);
    *w = (kd__weights){ 0 };
}

const kd_array *kd__weights_find(const kd__weights *w, const char *name)
{
    const kd_array *found = NULL;
    for (int64_t i = 0; i < w->count && !found; i++)
        found = kd__safetensors_find(&w->files[i], name);
    return found;
}
