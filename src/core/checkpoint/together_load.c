/* Loading a run of several ranks, of as many or others: the newest save with a manifest, its files
 * checked by all ranks together, first everything without a change, then with. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "core/checkpoint/parts.h"

enum { MOST_RANKS = 4096 };

typedef struct {
    kd_context *context;
    char **paths; /* common.kdc, then the state of each rank */
    int64_t *bytes, *crcs;
    int32_t count;
    kd__ranges ranges;
    char *common;
    int64_t common_bytes;
} loading;

static void free_loading(loading *l)
{
    for (int32_t i = 0; i < l->count && l->paths; i++) kd__release(l->context, l->paths[i]);
    kd__release(l->context, l->paths);
    kd__release(l->context, l->bytes);
    kd__release(l->context, l->crcs);
    kd__release(l->context, l->common);
    if (l->ranges.context) kd__ranges_close(&l->ranges);
}

/* ---- the manifest ---- */

static kd_status read_whole(const kd__json *object, const char *key, int64_t low, int64_t high,
                            int64_t *value)
{
    const kd__json *node = kd__json_member(object, key);
    KD_FAIL_IF(!node || node->type != KD__JSON_NUMBER || node->number != floor(node->number) ||
                   !(node->number >= (double)low && node->number <= (double)high),
               KD_ERR_FORMAT, "%s: expected a whole number from %lld to %lld", key, (long long)low,
               (long long)high);
    *value = (int64_t)node->number;
    return KD_OK;
}

static kd_status read_entry(loading *l, const char *path, int64_t number, int32_t i,
                            const kd__json *entry)
{
    char expected[64] = KD__COMMON_NAME;
    const kd__json *name = kd__json_member(entry, "name");
    if (i) kd__state_name(expected, i - 1, l->count - 1);
    KD_FAIL_IF(!name || name->type != KD__JSON_STRING || strcmp(name->text, expected),
               KD_ERR_FORMAT, "file %d: expected the name %s", i, expected);
    KD_TRY(read_whole(entry, "bytes", 1, (int64_t)1 << 50, &l->bytes[i]));
    KD_TRY(read_whole(entry, "crc32", 0, 0xffffffff, &l->crcs[i]));
    return kd__save_path(l->context, &l->paths[i], path, number, expected);
}

static kd_status read_tree(loading *l, const char *path, int64_t number, const kd__json *root)
{
    int64_t version, ranks;
    const kd__json *files = kd__json_member(root, "files");
    KD_TRY(read_whole(root, "version", 1, 1000, &version));
    KD_FAIL_IF(version > 1, KD_ERR_VERSION, "expected a manifest of version 1, got %lld",
               (long long)version);
    KD_TRY(read_whole(root, "ranks", 1, MOST_RANKS, &ranks));
    KD_FAIL_IF(!files || files->type != KD__JSON_ARRAY || files->children != ranks + 1,
               KD_ERR_FORMAT, "files: expected a list of %lld", (long long)ranks + 1);
    KD_TRY(KD_NEW(l->context, &l->paths, ranks + 1));
    l->count = (int32_t)ranks + 1;
    KD_TRY(KD_NEW(l->context, &l->bytes, ranks + 1));
    KD_TRY(KD_NEW(l->context, &l->crcs, ranks + 1));
    int32_t i = 0;
    for (const kd__json *entry = files->first; entry; entry = entry->next)
        KD_TRY(read_entry(l, path, number, i++, entry));
    return KD_OK;
}

static kd_status read_manifest(loading *l, const char *path, int64_t number)
{
    char *name = NULL, *bytes = NULL;
    int64_t size;
    kd__json_document document = { 0 };
    KD_TRY(kd__save_path(l->context, &name, path, number, KD__MANIFEST_NAME));
    kd_status status = kd__file_read(l->context, name, (int64_t)1 << 24, &bytes, &size);
    if (status == KD_OK) {
        status = kd__json_parse(&document, l->context, bytes, (size_t)size, "");
        if (status == KD_OK) status = read_tree(l, path, number, document.root);
        if (status != KD_OK) kd__fail_in(status, name);
        kd__json_free(&document);
    }
    kd__release(l->context, bytes);
    kd__release(l->context, name);
    return status;
}

/* ---- checks ---- */

/* The files that this rank looks at: every N-th. */
static kd_status check_files(const loading *l, const kd_exchange *exchange)
{
    for (int32_t i = exchange->rank; i < l->count; i += exchange->ranks) {
        int64_t bytes;
        uint32_t crc;
        KD_TRY(kd__file_sum(l->paths[i], &bytes, &crc));
        KD_FAIL_IF(bytes != l->bytes[i], KD_ERR_FORMAT, "%s: expected %lld bytes, got %lld",
                   l->paths[i], (long long)l->bytes[i], (long long)bytes);
        KD_FAIL_IF(crc != l->crcs[i], KD_ERR_FORMAT,
                   "%s is damaged: its checksum is not the manifest's", l->paths[i]);
    }
    return KD_OK;
}

static kd_status check_all(loading *l, const kd_checkpoint *checkpoint)
{
    kd_optimizer *optimizer = checkpoint->exchange->optimizer;
    KD_TRY(kd__file_read(l->context, l->paths[0], (int64_t)1 << 42, &l->common, &l->common_bytes));
    KD_TRY(kd__checkpoint_read_bytes(checkpoint, l->paths[0], l->common, l->common_bytes, 0));
    KD_TRY(kd__ranges_open(&l->ranges, optimizer, (const char *const *)l->paths + 1, l->count - 1));
    return kd__ranges_read(&l->ranges, optimizer, 0);
}

static kd_status apply_all(loading *l, const kd_checkpoint *checkpoint)
{
    KD_TRY(kd__checkpoint_read_bytes(checkpoint, l->paths[0], l->common, l->common_bytes, 1));
    return kd__ranges_read(&l->ranges, checkpoint->exchange->optimizer, 1);
}

/* ---- loading ---- */

/* Rank 0 says which save it is; all read that one. */
static kd_status choose_save(const kd_checkpoint *checkpoint, const char *path, int64_t *number)
{
    kd_exchange *exchange = checkpoint->exchange;
    const kd_status status = kd__name_given(path, "path");
    *number = status == KD_OK && !exchange->rank ? kd__save_before(path, INT64_MAX, 1) : 0;
    KD_TRY(kd__exchange_agree(exchange, KD__WORD_LOAD, status, number, sizeof *number));
    memcpy(number, kd__exchange_heard(exchange, 0), sizeof *number);
    KD_FAIL_IF(!*number, KD_ERR_NOT_FOUND, "%s: no save with a manifest", path);
    return KD_OK;
}

static kd_status load(loading *l, kd_checkpoint *checkpoint, const char *path, int64_t number)
{
    kd_exchange *exchange = checkpoint->exchange;
    kd_status status = read_manifest(l, path, number);
    if (status == KD_OK) status = check_files(l, exchange);
    KD_TRY(kd__exchange_agree(exchange, KD__WORD_LOAD, status, NULL, 0));
    status = check_all(l, checkpoint);
    KD_TRY(kd__exchange_agree(exchange, KD__WORD_LOAD, status, NULL, 0));
    return kd__exchange_agree(exchange, KD__WORD_LOAD, apply_all(l, checkpoint), NULL, 0);
}

kd_status kd__checkpoint_load_together(kd_checkpoint *checkpoint, const char *path)
{
    loading l = { .context = checkpoint->object.context };
    int64_t number;
    KD_TRY(kd__exchange_check_optimizer(checkpoint->exchange));
    KD_TRY(kd__exchange_check_between(checkpoint->exchange, "kd_checkpoint_load"));
    KD_TRY(choose_save(checkpoint, path, &number));
    const kd_status status = load(&l, checkpoint, path, number);
    free_loading(&l);
    return status;
}
