/* Records and a store as streams of Arrow, read back, for the test that runs out of memory. */
#ifndef USE_ARROW_H
#define USE_ARROW_H

#include <kdistill.h>
#include <stdio.h>
#include <string.h>

#include "../../src/course/arrow/interface.h"

static inline kd_status arrow_store(kd_context *ctx, const char *path, kd_store **store)
{
    const float z[2 * 5] = { 3, 2, 1 };
    const char *paths[1] = { path };
    kd_array rows = KD_ARRAY_2D(z, KD_FLOAT32, 2, 5);
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field fields[2] = { KD_STORE_FIELD_INIT, KD_STORE_FIELD_INIT };
    kd_store_writer *w = NULL;
    kd_targets *kept = NULL;
    o.vocabulary = 5;
    fields[0].kind = KD_STORE_TOPK;
    fields[0].name = "topk";
    fields[0].k = 2;
    fields[1].kind = KD_STORE_TEXT;
    fields[1].name = "text";
    remove(path);
    kd_status status = kd_store_writer_create(&w, ctx, path, &o, fields, 2);
    if (status == KD_OK) status = kd_store_writer_begin(w, 1, 2, 0, 0, 2);
    if (status == KD_OK) status = kd_targets_create(&kept, ctx, NULL);
    if (status == KD_OK) status = kd_targets_begin(kept, 2);
    if (status == KD_OK) status = kd_targets_select(kept, "k", &rows, 2, 0, 1, NULL);
    if (status == KD_OK) status = kd_store_writer_put_sparse(w, "topk", kept, "k", 0);
    if (status == KD_OK) status = kd_store_writer_put_text(w, "text", "yes", 3);
    if (status == KD_OK) status = kd_store_writer_commit(w);
    if (status == KD_OK) status = kd_store_writer_close(w);
    kd_store_writer_free(w);
    kd_targets_free(kept);
    return status == KD_OK ? kd_store_open(store, ctx, paths, 1, NULL) : status;
}

/* Its schema and every batch; a failure of the stream as the status that it stands for. */
static inline kd_status arrow_walk(struct ArrowArrayStream *stream)
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    int code = stream->get_schema(stream, &schema);
    if (!code) schema.release(&schema);
    while (!code) {
        code = stream->get_next(stream, &array);
        if (code || !array.release) break;
        array.release(&array);
    }
    stream->release(stream);
    return code ? KD_ERR_MEMORY : KD_OK;
}

static inline kd_status use_arrow(kd_context *ctx, const char *folder)
{
    static const char lines[] = "{\"prompt\":\"a\",\"completion\":\"b\",\"own\":1}\n"
                                "{\"input_ids\":[1,2],\"mask\":[0,1]}\n";
    char path[600];
    kd_record_reader *reader = NULL, *back = NULL;
    kd_store *store = NULL;
    struct ArrowArrayStream stream;
    kd_record r = KD_RECORD_INIT;
    memset(&stream, 0, sizeof stream);
    snprintf(path, sizeof path, "%s/oom-arrow.kdt", folder);
    kd_status status = kd_record_reader_open_text(&reader, ctx, lines, -1, NULL);
    if (status == KD_OK) status = kd_record_reader_to_arrow(reader, &stream);
    if (status == KD_OK) status = kd_record_reader_from_arrow(&back, ctx, &stream, NULL);
    if (stream.release) stream.release(&stream);
    while (status == KD_OK) status = kd_record_reader_next(back, &r);
    if (status == KD_END) status = kd_record_reader_rewind(back);
    if (status == KD_OK) status = arrow_store(ctx, path, &store);
    if (status == KD_OK) status = kd_store_to_arrow(store, &stream, NULL, 0);
    if (status == KD_OK) status = arrow_walk(&stream);
    kd_store_free(store);
    kd_record_reader_free(back);
    kd_record_reader_free(reader);
    return status;
}

#endif
