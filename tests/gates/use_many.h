/* A plan, curation with files, chunks of answers, shards that come later: what oom.c does while
 * allocations fail. */
#ifndef USE_MANY_H
#define USE_MANY_H

#include <dirent.h>
#include <kdistill.h>
#include <stdio.h>
#include <sys/stat.h>

#include "../unit/run.h"

static inline kd_status use_plan(kd_context *ctx)
{
    kd_plan_options o = KD_PLAN_OPTIONS_INIT;
    kd_plan_info p = { .struct_size = sizeof p };
    char *text = NULL;
    o.student = o.teacher =
        "{\"model_type\":\"llama\",\"vocab_size\":9,\"hidden_size\":8,\"intermediate_size\":6,"
        "\"num_hidden_layers\":2,\"num_attention_heads\":2,\"max_position_embeddings\":8}";
    o.samples = 10;
    o.tokens = o.batch_tokens = 100;
    o.flops = 1e9;
    o.kind = KD_STORE_HIDDEN;
    RUN_TRY(kd_plan_estimate(ctx, &o, &p));
    RUN_TRY(kd_plan_to_text(ctx, &p, &text));
    kd_context_free_text(ctx, text);
    RUN_TRY(kd_plan_to_json(ctx, &p, &text));
    kd_context_free_text(ctx, text);
    return KD_OK;
}

static inline kd_status near_with_files(kd_context *ctx, const char *folder)
{
    const char *lines = "{\"prompt\":\"1\",\"completion\":\"a b c d e f g h\"}\n"
                        "{\"prompt\":\"2\",\"completion\":\"a b c d e f g h\"}\n"
                        "{\"prompt\":\"3\",\"completion\":\"z y x w v u t s\"}\n";
    kd_curation_options o = KD_CURATION_OPTIONS_INIT;
    kd_curation *c = NULL;
    kd_record_reader *reader = NULL;
    o.folder = folder;
    o.memory = 1 << 20;
    kd_status status = kd_record_reader_open_text(&reader, ctx, lines, -1, NULL);
    if (status == KD_OK) status = kd_curation_create(&c, ctx, &o);
    if (status == KD_OK) status = kd_curation_add(c, KD_FILTER_NEAR_DUPLICATES, NULL, NULL);
    if (status == KD_OK) status = kd_curation_run(c, reader, NULL, NULL);
    kd_curation_free(c);
    kd_record_reader_free(reader);
    return status;
}

static inline kd_status say_prompt(void *user, const kd_record *prompt, int32_t sample,
                                   uint64_t seed, char *text, int64_t capacity, int64_t *bytes)
{
    (void)user, (void)seed;
    *bytes = snprintf(text, (size_t)capacity, "%s %d", prompt->prompt, sample);
    return KD_OK;
}

static inline void empty_folder(const char *folder)
{
    char path[1200];
    DIR *directory = opendir(folder);
    for (struct dirent *e; directory && (e = readdir(directory));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        remove(path);
    }
    if (directory) closedir(directory);
}

static inline kd_status chunks_of_answers(kd_context *ctx, const char *folder)
{
    char chunks[600], joined[700];
    kd_answers_options o;
    kd_record_reader *reader = NULL;
    snprintf(chunks, sizeof chunks, "%s/oom-chunks", folder);
    snprintf(joined, sizeof joined, "%s/oom-joined.jsonl", folder);
    empty_folder(chunks);
    kd_answers_options_init(&o, sizeof o);
    o.samples = 1;
    o.function = say_prompt;
    o.chunk_prompts = 1;
    kd_status status =
        kd_record_reader_open_text(&reader, ctx, "{\"prompt\":\"1\"}\n{\"prompt\":\"2\"}\n", -1, NULL);
    if (status == KD_OK) status = kd_answers_collect_chunks(ctx, NULL, reader, chunks, &o, NULL);
    if (status == KD_OK) status = kd_answers_concat(ctx, chunks, joined);
    kd_record_reader_free(reader);
    return status;
}

static inline kd_status add_shard(kd_context *ctx, const char *folder, int32_t shard)
{
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_store_writer *w = NULL;
    o.vocabulary = 4;
    o.sync = KD_SYNC_NEVER;
    o.shard = shard;
    f.kind = KD_STORE_TEXT;
    f.name = "text";
    kd_status status = kd_store_writer_create(&w, ctx, folder, &o, &f, 1);
    if (status == KD_OK) status = kd_store_writer_begin(w, (uint64_t)shard + 1, 1, 0, 0, 0);
    if (status == KD_OK) status = kd_store_writer_put_text(w, "text", "said", 4);
    if (status == KD_OK) status = kd_store_writer_commit(w);
    if (status == KD_OK) status = kd_store_writer_close(w);
    kd_store_writer_free(w);
    return status;
}

static inline kd_status shards_that_come(kd_context *ctx, const char *folder)
{
    char path[600];
    const char *store_folder = path;
    kd_store *store = NULL;
    snprintf(path, sizeof path, "%s/oom-shards", folder);
    empty_folder(path);
    kd_status status = add_shard(ctx, path, 0);
    if (status == KD_OK) status = kd_store_open(&store, ctx, &store_folder, 1, NULL);
    if (status == KD_OK) status = add_shard(ctx, path, 1);
    if (status == KD_OK) status = kd_store_refresh(store, NULL);
    if (status == KD_OK) status = kd_store_adopt(ctx, path, NULL);
    kd_store_free(store);
    return status;
}

static inline kd_status use_many(kd_context *ctx, const char *folder)
{
    RUN_TRY(use_plan(ctx));
    RUN_TRY(near_with_files(ctx, folder));
    RUN_TRY(chunks_of_answers(ctx, folder));
    return shards_that_come(ctx, folder);
}

#endif
