/* A folder of shards: manifest.json lists them, and is replaced as a whole under a lock when a
 * writer adds one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/text.h"
#include "formats/json.h"
#include "core/store/store.h"
#include "math/random.h"

static void shard_name(char to[32], int64_t shard)
{
    snprintf(to, 32, "shard-%05lld.kdt", (long long)shard);
}

int64_t kd__shard_number(const char *name)
{
    long long number;
    char again[32];
    if (sscanf(name, "shard-%lld.kdt", &number) != 1 || number < 0 || number > 1 << 20) return -1;
    shard_name(again, number);
    return strcmp(again, name) ? -1 : number;
}

static kd_status parse(kd_context *context, const char *path, const char *text, int64_t size,
                       int64_t **numbers, int64_t *count)
{
    kd__json_document document;
    KD_TRY(kd__json_parse(&document, context, text, (size_t)size, path));
    const kd__json *list =
        document.root->type == KD__JSON_OBJECT ? kd__json_member(document.root, "shards") : NULL;
    kd_status status = list && list->type == KD__JSON_ARRAY
                           ? KD_OK
                           : kd__fail(KD_ERR_FORMAT, "%s: expected a list of shards", path);
    if (status == KD_OK) status = KD_NEW(context, numbers, list->children + 1);
    *count = 0;
    for (const kd__json *n = status == KD_OK ? list->first : NULL; n && status == KD_OK;
         n = n->next) {
        const int64_t number = n->type == KD__JSON_STRING ? kd__shard_number(n->text) : -1;
        if (number < 0)
            status =
                kd__fail(KD_ERR_FORMAT, "%s: expected shards that are named shard-NNNNN.kdt", path);
        (*numbers)[(*count)++] = number;
    }
    kd__json_free(&document);
    if (status != KD_OK && *numbers) {
        kd__release(context, *numbers);
        *numbers = NULL;
    }
    return status;
}

/* The numbers in the manifest; none when there is no manifest and `missing_ok`. */
static kd_status read_numbers(kd_context *context, const char *folder, int missing_ok,
                              int64_t **numbers, int64_t *count)
{
    char *path, *text = NULL;
    int64_t size = 0;
    *numbers = NULL;
    *count = 0;
    KD_TRY(kd__path_join(context, &path, folder, "manifest.json"));
    kd_status status = kd__file_read(context, path, 16 << 20, &text, &size);
    if (status == KD_OK) status = parse(context, path, text, size, numbers, count);
    else if (missing_ok && status == KD_ERR_NOT_FOUND) status = KD_NEW(context, numbers, 1);
    else if (status == KD_ERR_NOT_FOUND)
        status =
            kd__fail(KD_ERR_FORMAT, "%s: a folder without manifest.json is not a store", folder);
    kd__release(context, text);
    kd__release(context, path);
    return status;
}

static kd_status write_manifest(kd_context *context, const char *folder, const int64_t *numbers,
                                int64_t count)
{
    kd__text text = { .context = context };
    char *path = NULL, name[32];
    kd_status status =
        kd__text_format(&text, "{\"format\": \"libkdistill store\", \"version\": 1, \"shards\": [");
    for (int64_t i = 0; i < count && status == KD_OK; i++) {
        shard_name(name, numbers[i]);
        status = kd__text_format(&text, "%s\"%s\"", i ? ", " : "", name);
    }
    if (status == KD_OK) status = kd__text_format(&text, "]}\n");
    if (status == KD_OK) status = kd__path_join(context, &path, folder, "manifest.json");
    if (status == KD_OK) status = kd__file_replace(context, path, text.bytes, text.size);
    kd__release(context, path);
    kd__text_free(&text);
    return status;
}

static kd_status add_locked(kd_context *context, const char *folder, int64_t shard)
{
    int64_t *numbers, count, at = 0, *more = NULL;
    KD_TRY(read_numbers(context, folder, 1, &numbers, &count));
    while (at < count && numbers[at] != shard) at++;
    kd_status status = at < count ? KD_OK : KD_NEW(context, &more, count + 1);
    if (more) {
        memcpy(more, numbers, (size_t)count * sizeof *more);
        int64_t place = count;
        for (; place && more[place - 1] > shard; place--) more[place] = more[place - 1];
        more[place] = shard;
        status = write_manifest(context, folder, more, count + 1);
    }
    kd__release(context, more);
    kd__release(context, numbers);
    return status;
}

kd_status kd__manifest_path(kd_context *context, const char *folder, int64_t shard, char **out)
{
    char name[32];
    KD_TRY(kd__folder_make(folder));
    shard_name(name, shard);
    return kd__path_join(context, out, folder, name);
}

/* A second lock of a file that is locked: it is refused where files have locks. */
static int has_locks(kd_context *context, const char *lock)
{
    const int file = kd__os_open(lock, KD__OS_UPDATE);
    const int refused = file >= 0 && kd__file_lock(context, file, 0, lock) == KD_ERR_STATE;
    if (file >= 0) kd__os_close(file);
    return refused;
}

/* Where they have none, a file that only one process can make keeps the others waiting. It holds a
 * number of whoever made it: one that is still the same after ten seconds was left by a process
 * that was killed. */
#define BUSY_SECONDS 10

static uint64_t holder_of(const char *busy)
{
    uint64_t holder = 0;
    const int file = kd__os_open(busy, KD__OS_READ);
    if (file < 0) return 0;
    if (kd__os_read(file, &holder, sizeof holder) != sizeof holder) holder = 0;
    kd__os_close(file);
    return holder;
}

/* Of those who have waited for it one moves it away; whoever has moved another's puts it back. */
static kd_status take_away(kd_context *context, const char *busy, uint64_t holder)
{
    kd__text mine = { .context = context };
    KD_TRY(kd__text_format(&mine, "%s.%lld", busy, (long long)kd__os_process()));
    if (!kd__os_replace(busy, mine.bytes)) {
        if (holder_of(mine.bytes) == holder) kd__os_remove(mine.bytes);
        else kd__os_replace(mine.bytes, busy);
    }
    kd__text_free(&mine);
    return KD_OK;
}

static kd_status take_busy(kd_context *context, const char *busy)
{
    uint64_t seen = 0;
    for (double begin = kd__os_now();;) {
        const uint64_t mine = kd__mix((uint64_t)kd__os_process()) ^ (uint64_t)(begin * 1e9);
        const int file = kd__os_open(busy, KD__OS_NEW);
        if (file >= 0) {
            kd__os_write(file, &mine, sizeof mine);
            kd__os_close(file);
            return KD_OK;
        }
        KD_FAIL_IF(errno != EEXIST, KD_ERR_IO, "%s: cannot make it: %s", busy, strerror(errno));
        kd__os_yield();
        const uint64_t holder = holder_of(busy);
        if (holder != seen) seen = holder, begin = kd__os_now();
        if (kd__os_now() - begin <= BUSY_SECONDS) continue;
        KD_TRY(take_away(context, busy, seen));
        begin = kd__os_now();
    }
}

static kd_status add_without_locks(kd_context *context, const char *folder, int64_t shard)
{
    char *busy = NULL;
    KD_TRY(kd__path_join(context, &busy, folder, "manifest.busy"));
    kd_status status = take_busy(context, busy);
    if (status == KD_OK) {
        status = add_locked(context, folder, shard);
        kd__os_remove(busy);
    }
    kd__release(context, busy);
    return status;
}

kd_status kd__manifest_add(kd_context *context, const char *folder, int64_t shard)
{
    char *lock = NULL;
    KD_TRY(kd__path_join(context, &lock, folder, "manifest.lock"));
    int file = kd__os_open(lock, KD__OS_UPDATE);
    kd_status status = file < 0 ? kd__fail(KD_ERR_IO, "%s: cannot open: %s", lock, strerror(errno))
                                : kd__file_lock(context, file, 1, lock);
    if (status == KD_OK)
        status = has_locks(context, lock) ? add_locked(context, folder, shard)
                                          : add_without_locks(context, folder, shard);
    if (file >= 0) kd__os_close(file);
    kd__release(context, lock);
    return status;
}

kd_status kd__manifest_has(kd_context *context, const char *folder, int64_t shard, int *has)
{
    int64_t *numbers, count;
    KD_TRY(read_numbers(context, folder, 1, &numbers, &count));
    *has = 0;
    for (int64_t i = 0; i < count; i++) *has |= numbers[i] == shard;
    kd__release(context, numbers);
    return KD_OK;
}

/* Has the shard records, and is it not named by now either? */
static int is_left_out(kd_context *context, const char *folder, const char *name)
{
    int named = 0;
    if (!kd__shard_has_records(context, folder, name)) return 0;
    return kd__manifest_has(context, folder, kd__shard_number(name), &named) != KD_OK || !named;
}

/* Every shard of the folder must be in the manifest, unless nobody has filled it; those of the
 * manifest are opened and so must be there. */
typedef struct {
    kd_context *context;
    const char *folder;
    const int64_t *numbers;
    int64_t count;
    kd_status status;
} named_shards;

static int check_name(void *user, const char *name)
{
    named_shards *named = user;
    const int64_t number = kd__shard_number(name);
    if (number < 0) return 0;
    for (int64_t at = 0; at < named->count; at++)
        if (named->numbers[at] == number) return 0;
    if (!is_left_out(named->context, named->folder, name)) return 0;
    named->status = kd__fail(KD_ERR_FORMAT,
                             "%s: %s is there, but manifest.json does not name it (kdistill-store "
                             "adopt names it)",
                             named->folder, name);
    return 1;
}

static kd_status check_folder(kd_context *context, const char *folder, const int64_t *numbers,
                              int64_t count)
{
    named_shards named = { context, folder, numbers, count, KD_OK };
    KD_FAIL_IF(kd__os_list(folder, check_name, &named), KD_ERR_IO, "%s: %s", folder,
               strerror(errno));
    return named.status;
}

kd_status kd__manifest_read(kd_context *context, const char *folder, char ***paths, int64_t *count)
{
    int64_t *numbers;
    char name[32];
    KD_TRY(read_numbers(context, folder, 0, &numbers, count));
    kd_status status = check_folder(context, folder, numbers, *count);
    *paths = NULL;
    if (status == KD_OK) status = KD_NEW(context, paths, *count + 1);
    for (int64_t i = 0; i < *count && status == KD_OK; i++) {
        shard_name(name, numbers[i]);
        status = kd__path_join(context, &(*paths)[i], folder, name);
    }
    kd__release(context, numbers);
    return status;
}
