/* Weights written: one file, or shards and the index that names them. */
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "model/weights.h"

#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

static int64_t bytes_of(const kd__tensor_entry *entry, int32_t dtype) { return kd_array_count(&entry->array) * (int64_t)kd_dtype_size(dtype); }

/* Tensors from `first` on that one shard takes: as many as fit, one at least. */
static int64_t fill(const kd__tensor_entry *entries, int64_t first, int64_t count, int32_t dtype, int64_t shard_bytes)
{
    int64_t last = first, size = 0;
    while (last < count && (last == first || size + bytes_of(&entries[last], dtype) <= shard_bytes)) size += bytes_of(&entries[last++], dtype);
    return last - first;
}

static kd_status write_file(kd_context *context, const char *folder, const char *name, const kd__tensor_entry *entries, int64_t count, int32_t dtype)
{
    char *path = NULL;
    KD_TRY(kd__path_join(context, &path, folder, name));
    const kd_status status = kd__safetensors_write(context, path, entries, count, dtype);
    kd__release(context, path);
    return status;
}

/* Shard by shard, and the text of their index. */
static kd_status write_shards(kd_context *context, const char *folder, const kd__tensor_entry *entries, int64_t count, int32_t dtype,
                              int64_t shard_bytes, kd__text *index)
{
    int64_t shards = 0, total = 0, first = 0;
    for (int64_t i = 0; i < count; i++) total += bytes_of(&entries[i], dtype);
    for (int64_t i = 0; i < count; shards++) i += fill(entries, i, count, dtype, shard_bytes);
    KD_FAIL_IF(shards > KD__MOST_SHARDS, KD_ERR_RANGE, "shard_bytes: %lld bytes would be %lld shards of %lld, at most %d", (long long)total,
               (long long)shards, (long long)shard_bytes, KD__MOST_SHARDS);
    KD_TRY(kd__text_format(index, "{\"metadata\":{\"total_size\":%lld},\"weight_map\":{", (long long)total));
    for (int64_t s = 1; s <= shards; s++) {
        char name[64];
        const int64_t taken = fill(entries, first, count, dtype, shard_bytes);
        snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", (int)s, (int)shards);
        KD_TRY(write_file(context, folder, name, entries + first, taken, dtype));
        for (int64_t i = first; i < first + taken; i++) {
            KD_TRY(kd__text_append(index, ",", i > 0));
            KD_TRY(kd__text_quoted(index, entries[i].name));
            KD_TRY(kd__text_format(index, ":\"%s\"", name));
        }
        first += taken;
    }
    return kd__text_append(index, "}}", 2);
}

/* The index goes last; only then the single file that stood there goes away, which readers would take before it. */
static kd_status write_index(kd_context *context, const char *folder, const kd__text *index)
{
    char *path = NULL, *single = NULL;
    kd_status status = kd__path_join(context, &path, folder, INDEX);
    if (status == KD_OK) status = kd__path_join(context, &single, folder, SINGLE);
    if (status == KD_OK) status = kd__file_replace(context, path, index->bytes, index->size);
    if (status == KD_OK) unlink(single);
    kd__release(context, path);
    kd__release(context, single);
    return status;
}

kd_status kd__weights_write(kd_context *context, const char *folder, const kd__tensor_entry *entries, int64_t count, int32_t dtype,
                            int64_t shard_bytes)
{
    if (!shard_bytes || fill(entries, 0, count, dtype, shard_bytes) == count) return write_file(context, folder, SINGLE, entries, count, dtype);
    kd__text index = { .context = context };
    kd_status status = write_shards(context, folder, entries, count, dtype, shard_bytes, &index);
    if (status == KD_OK) status = write_index(context, folder, &index);
    kd__text_free(&index);
    return status;
}
