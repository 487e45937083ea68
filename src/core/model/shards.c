/* Weights written: one file, or shards and the index that names them. */
#include <stdio.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/text.h"
#include "core/model/weights.h"

#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

static int64_t bytes_of(const kd__tensor_entry *entry, int32_t dtype)
{
    const int32_t as = kd__safetensors_dtype(&entry->array, dtype);
    return kd_array_count(&entry->array) * (int64_t)kd_dtype_bytes(as);
}

/* Tensors from `first` on that one shard takes: as many as fit, one at least. */
static int64_t fill(const kd__tensor_entry *entries, int64_t first, int64_t count, int32_t dtype,
                    int64_t shard_bytes)
{
    int64_t size = 0;
    for (int64_t i = first; i < count; i++) {
        size += bytes_of(&entries[i], dtype);
        if (size > shard_bytes && i > first) return i - first;
    }
    return count - first;
}

static kd_status write_file(kd_context *context, const char *folder, const char *name,
                            const kd__tensor_entry *entries, int64_t count, int32_t dtype)
{
    char *path = NULL;
    KD_TRY(kd__path_join(context, &path, folder, name));
    const kd_status status = kd__safetensors_write(context, path, entries, count, dtype);
    kd__release(context, path);
    return status;
}

/* How many shards the tensors take. */
static kd_status count_shards(const kd__tensor_entry *entries, int64_t count, int32_t dtype,
                              int64_t shard_bytes, int64_t *shards, int64_t *total)
{
    *shards = *total = 0;
    for (int64_t i = 0; i < count; i++) *total += bytes_of(&entries[i], dtype);
    for (int64_t i = 0; i < count; ++*shards) i += fill(entries, i, count, dtype, shard_bytes);
    KD_FAIL_IF(*shards > KD__MOST_SHARDS, KD_ERR_RANGE,
               "shard_bytes: expected at most %d shards, got %lld: %lld bytes in shards of %lld",
               KD__MOST_SHARDS, (long long)*shards, (long long)*total, (long long)shard_bytes);
    return KD_OK;
}

/* The index's lines for the tensors of one shard, of which `before` others stand in it. */
static kd_status name_tensors(kd__text *index, const kd__tensor_entry *entries, int64_t count,
                              int64_t before, const char *shard)
{
    for (int64_t i = 0; i < count; i++) {
        KD_TRY(kd__text_append(index, ",", before + i > 0));
        KD_TRY(kd__text_quoted(index, entries[i].name));
        KD_TRY(kd__text_format(index, ":\"%s\"", shard));
    }
    return KD_OK;
}

/* Shard by shard, and the text of their index. */
static kd_status write_shards(kd_context *context, const char *folder,
                              const kd__tensor_entry *entries, int64_t count, int32_t dtype,
                              int64_t shard_bytes, kd__text *index)
{
    int64_t shards, total, first = 0;
    KD_TRY(count_shards(entries, count, dtype, shard_bytes, &shards, &total));
    KD_TRY(kd__text_format(index, "{\"metadata\":{\"total_size\":%lld},\"weight_map\":{",
                           (long long)total));
    for (int64_t s = 1; s <= shards; s++) {
        char name[64];
        const int64_t taken = fill(entries, first, count, dtype, shard_bytes);
        snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", (int)s, (int)shards);
        KD_TRY(write_file(context, folder, name, entries + first, taken, dtype));
        KD_TRY(name_tensors(index, entries + first, taken, first, name));
        first += taken;
    }
    return kd__text_append(index, "}}", 2);
}

/* The index goes last; only then the single file that stood there goes away, which readers would
 * take before it. */
static kd_status write_index(kd_context *context, const char *folder, const kd__text *index)
{
    char *path = NULL, *single = NULL;
    kd_status status;
    KD_TRY_GOTO(status, kd__path_join(context, &path, folder, INDEX), done);
    KD_TRY_GOTO(status, kd__path_join(context, &single, folder, SINGLE), done);
    KD_TRY_GOTO(status, kd__file_replace(context, path, index->bytes, index->size), done);
    kd__os_remove(single);
done:
    kd__release(context, path);
    kd__release(context, single);
    return status;
}

kd_status kd__weights_write(kd_context *context, const char *folder,
                            const kd__tensor_entry *entries, int64_t count, int32_t dtype,
                            int64_t shard_bytes)
{
    if (!shard_bytes || fill(entries, 0, count, dtype, shard_bytes) == count)
        return write_file(context, folder, SINGLE, entries, count, dtype);
    kd__text index = { .context = context };
    kd_status status = write_shards(context, folder, entries, count, dtype, shard_bytes, &index);
    if (status == KD_OK) status = write_index(context, folder, &index);
    kd__text_free(&index);
    return status;
}
