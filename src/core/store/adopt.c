/* Shards that a manifest does not name: which of them count, and naming them. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "core/store/store.h"

/* The first record is enough. */
static kd_status stop_at_first(void *user, const kd__record_header *header, int64_t offset)
{
    (void)header;
    (void)offset;
    *(int *)user = 1;
    return KD_END;
}

/* KD_OK: a store's file, with or without records. */
static kd_status look_at(kd_context *context, const char *folder, const char *name, int *has)
{
    kd__shard shard;
    char *path = NULL;
    *has = 0;
    KD_TRY(kd__path_join(context, &path, folder, name));
    kd_status status = kd__shard_open(context, &shard, path, 1);
    if (status == KD_OK) status = kd__shard_scan(context, &shard, stop_at_first, has);
    kd__shard_close(context, &shard);
    kd__release(context, path);
    return status == KD_END ? KD_OK : status;
}

int kd__shard_has_records(kd_context *context, const char *folder, const char *name)
{
    int has;
    return look_at(context, folder, name, &has) == KD_OK && has;
}

static kd_status adopt_file(kd_context *context, const char *folder, const char *name,
                            int64_t *added)
{
    const int64_t number = kd__shard_number(name);
    int has = 0, named = 0;
    if (number < 0) return KD_OK;
    KD_TRY(kd__manifest_has(context, folder, number, &named));
    if (named) return KD_OK;
    if (look_at(context, folder, name, &has) == KD_ERR_MEMORY) return KD_ERR_MEMORY;
    if (!has) return KD_OK; /* its writer is at the beginning of it, or was killed there */
    KD_TRY(kd__manifest_add(context, folder, number));
    ++*added;
    return KD_OK;
}

kd_status kd_store_adopt(kd_context *context, const char *folder, int64_t *added)
{
    int64_t count = 0;
    kd_status status = KD_OK;
    KD_NEED(context);
    KD_NEED(folder);
    DIR *directory = opendir(folder);
    KD_FAIL_IF(!directory, errno == ENOENT ? KD_ERR_NOT_FOUND : KD_ERR_IO, "%s: %s", folder,
               strerror(errno));
    for (struct dirent *entry; status == KD_OK && (entry = readdir(directory));)
        status = adopt_file(context, folder, entry->d_name, &count);
    closedir(directory);
    if (added) *added = count;
    return status;
}
