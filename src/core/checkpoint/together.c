/* Saving a run of several ranks: rank 0 writes what all have in common, every rank the state of its
 * pieces, and when all files are on disk, rank 0 the manifest that makes them a checkpoint. Before
 * that the save before is the newest. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "core/checkpoint/parts.h"

enum { KEPT = 2 };

typedef struct {
    int64_t number; /* of the save; 0: none */
    int64_t bytes[2];
    uint32_t crc[2]; /* of the rank's state, and of common.kdc */
} save_word;

/* ---- files ---- */

static kd_status begin_save(const kd_checkpoint *checkpoint, const char *path, save_word *word)
{
    kd_context *context = checkpoint->object.context;
    char *folder = NULL;
    if (checkpoint->exchange->rank) return KD_OK;
    KD_TRY(kd__folder_make(path));
    word->number = kd__save_before(path, INT64_MAX, 0) + 1;
    KD_TRY(kd__save_path(context, &folder, path, word->number, NULL));
    const kd_status status = kd__folder_make(folder);
    kd__release(context, folder);
    return status;
}

static kd_status write_common(const kd_checkpoint *checkpoint, const char *path, save_word *word)
{
    kd_context *context = checkpoint->object.context;
    char *name = NULL;
    if (checkpoint->exchange->rank) return KD_OK;
    KD_TRY(kd__save_path(context, &name, path, word->number, KD__COMMON_NAME));
    kd_status status = kd__checkpoint_write_file(checkpoint, name);
    if (status == KD_OK) status = kd__file_sum(name, &word->bytes[1], &word->crc[1]);
    kd__release(context, name);
    return status;
}

static kd_status write_state(const kd_checkpoint *checkpoint, const char *path, save_word *word)
{
    const kd_exchange *exchange = checkpoint->exchange;
    kd_context *context = checkpoint->object.context;
    char *full = NULL, name[64];
    kd__state_name(name, exchange->rank, exchange->ranks);
    KD_TRY(kd__save_path(context, &full, path, word->number, name));
    kd_status status = kd__ranges_write(exchange, full);
    if (status == KD_OK) status = kd__file_sum(full, &word->bytes[0], &word->crc[0]);
    kd__release(context, full);
    return status;
}

/* ---- the manifest ---- */

static kd_status put_file(kd__text *text, const char *name, int64_t bytes, uint32_t crc, int last)
{
    return kd__text_format(text, "  {\"name\": \"%s\", \"bytes\": %lld, \"crc32\": %u}%s\n", name,
                           (long long)bytes, crc, last ? "" : ",");
}

static kd_status make_manifest(const kd_exchange *exchange, kd__text *text)
{
    save_word w;
    char name[64];
    memcpy(&w, kd__exchange_heard(exchange, 0), sizeof w);
    KD_TRY(kd__text_format(text,
                           "{\"format\": \"kdistill-checkpoint\", \"version\": 1, \"ranks\": %d, "
                           "\"steps\": %lld, \"files\": [\n",
                           exchange->ranks, (long long)exchange->optimizer->steps));
    KD_TRY(put_file(text, KD__COMMON_NAME, w.bytes[1], w.crc[1], 0));
    for (int32_t r = 0; r < exchange->ranks; r++) {
        memcpy(&w, kd__exchange_heard(exchange, r), sizeof w);
        kd__state_name(name, r, exchange->ranks);
        KD_TRY(put_file(text, name, w.bytes[0], w.crc[0], r + 1 == exchange->ranks));
    }
    return kd__text_format(text, "]}\n");
}

static kd_status write_manifest(const kd_checkpoint *checkpoint, const char *path, int64_t number)
{
    kd_context *context = checkpoint->object.context;
    kd__text text = { .context = context };
    char *name = NULL;
    if (checkpoint->exchange->rank) return KD_OK;
    KD_TRY(kd__save_path(context, &name, path, number, KD__MANIFEST_NAME));
    kd_status status = make_manifest(checkpoint->exchange, &text);
    if (status == KD_OK) status = kd__file_replace(context, name, text.bytes, text.size);
    kd__text_free(&text);
    kd__release(context, name);
    return status;
}

/* ---- older saves ---- */

typedef struct {
    kd_context *context;
    const char *path;
} removing;

static int remove_file(void *user, const char *file)
{
    const removing *r = user;
    char *name = NULL;
    if (file[0] != '.' && kd__path_join(r->context, &name, r->path, file) == KD_OK)
        kd__os_remove(name);
    kd__release(r->context, name);
    return 0;
}

static kd_status remove_save(kd_context *context, const char *path, int64_t number)
{
    char *folder = NULL, *name = NULL;
    KD_TRY(kd__save_path(context, &folder, path, number, NULL));
    /* the manifest first: what is left of the save is none */
    kd_status status = kd__path_join(context, &name, folder, KD__MANIFEST_NAME);
    if (status == KD_OK) kd__os_remove(name);
    kd__release(context, name);
    removing r = { context, folder };
    if (status == KD_OK) kd__os_list(folder, remove_file, &r);
    if (kd__os_remove(folder))
        kd__log(context, KD_LOG_WARNING, "checkpoint: the older save %s could not be removed",
                folder);
    kd__release(context, folder);
    return status;
}

/* The newest KEPT stay, and nothing that is older than these. */
static void remove_older(const kd_checkpoint *checkpoint, const char *path, int64_t number)
{
    int64_t oldest = number;
    if (checkpoint->exchange->rank) return;
    for (int i = 1; i < KEPT && oldest; i++) oldest = kd__save_before(path, oldest, 1);
    for (int64_t n = oldest; n && (n = kd__save_before(path, n, 0));)
        if (remove_save(checkpoint->object.context, path, n) != KD_OK) return;
}

kd_status kd__checkpoint_save_together(kd_checkpoint *checkpoint, const char *path)
{
    kd_exchange *exchange = checkpoint->exchange;
    save_word word = { 0 };
    KD_TRY(kd__exchange_check_optimizer(exchange));
    KD_TRY(kd__exchange_check_between(exchange, "kd_checkpoint_save"));
    kd_status status = kd__name_given(path, "path");
    if (status == KD_OK) status = begin_save(checkpoint, path, &word);
    KD_TRY(kd__exchange_agree(exchange, KD__WORD_SAVE, status, &word, sizeof word));
    memcpy(&word, kd__exchange_heard(exchange, 0), sizeof word);
    status = write_state(checkpoint, path, &word);
    if (status == KD_OK) status = write_common(checkpoint, path, &word);
    KD_TRY(kd__exchange_agree(exchange, KD__WORD_SAVE, status, &word, sizeof word));
    status = write_manifest(checkpoint, path, word.number);
    KD_TRY(kd__exchange_agree(exchange, KD__WORD_SAVE, status, NULL, 0));
    remove_older(checkpoint, path, word.number);
    return KD_OK;
}
