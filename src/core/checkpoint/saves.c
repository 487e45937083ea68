/* Names within the folder of a checkpoint of several ranks: save-0000012/ with common.kdc, a state
 * file of each rank, and manifest.json, which is written last. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/os.h"
#include "core/checkpoint/parts.h"

enum { DIGITS = 7, NUMBER_ROOM = 32 };

kd_status kd__save_path(kd_context *context, char **out, const char *path, int64_t number,
                        const char *name)
{
    char folder[NUMBER_ROOM], *inner;
    snprintf(folder, sizeof folder, "save-%0*lld", DIGITS, (long long)number);
    if (!name) return kd__path_join(context, out, path, folder);
    KD_TRY(kd__path_join(context, &inner, path, folder));
    const kd_status status = kd__path_join(context, out, inner, name);
    kd__release(context, inner);
    return status;
}

void kd__state_name(char name[64], int32_t rank, int32_t ranks)
{
    snprintf(name, 64, "state-%05d-of-%05d.safetensors", rank, ranks);
}

/* "save-0000012" is 12; 0: another name. */
static int64_t number_of(const char *name)
{
    char *end;
    if (strncmp(name, "save-", 5) || strlen(name) < 5 + DIGITS) return 0;
    const int64_t number = strtoll(name + 5, &end, 10);
    return *end || number < 0 ? 0 : number;
}

static int has_manifest(const char *path, int64_t number)
{
    char name[4096];
    kd__os_facts facts;
    snprintf(name, sizeof name, "%s/save-%0*lld/" KD__MANIFEST_NAME, path, DIGITS,
             (long long)number);
    return kd__os_look_at(name, &facts) == 0;
}

typedef struct {
    const char *path;
    int64_t below, most;
    int whole;
} looking;

static int look(void *user, const char *name)
{
    looking *l = user;
    const int64_t number = number_of(name);
    if (number > l->most && number < l->below && (!l->whole || has_manifest(l->path, number)))
        l->most = number;
    return 0;
}

int64_t kd__save_before(const char *path, int64_t below, int whole)
{
    looking l = { path, below, 0, whole };
    kd__os_list(path, look, &l);
    return l.most;
}

kd_status kd__file_sum(const char *path, int64_t *bytes, uint32_t *crc)
{
    kd__map map;
    KD_TRY(kd__file_map(&map, path));
    *bytes = map.size;
    *crc = kd__crc32(0, map.bytes, (size_t)map.size);
    kd__file_unmap(&map);
    return KD_OK;
}
