/* Fields of samples and of rows of their own, a packer's numbers, a store of embeddings, and a loss
 * over samples: for the test that runs out of memory. */
#ifndef USE_SAMPLES_H
#define USE_SAMPLES_H

#include <kdistill.h>
#include <stdio.h>

enum { SAMPLES_WIDTH = 5 };

typedef struct samples_kit {
    kd_packer *packer;
    kd_batch *batch;
    kd_targets *targets;
    kd_store_writer *writer;
    kd_teacher *teacher;
    kd_loss *loss;
} samples_kit;

static inline kd_status samples_pack(samples_kit *k, kd_context *ctx)
{
    const int32_t ids[3] = { 1, 2, 3 };
    kd_record record = KD_RECORD_INIT;
    record.ids = ids;
    record.extra = "{\"label\":1,\"pair\":[1,2]}";
    kd_status status = kd_packer_create(&k->packer, ctx, NULL, NULL);
    if (status == KD_OK) status = kd_packer_add_field(k->packer, "label", KD_INT64, 1);
    if (status == KD_OK) status = kd_packer_add_field(k->packer, "pair", KD_FLOAT32, 2);
    for (record.tokens = 2; record.tokens <= 3 && status == KD_OK; record.tokens++) {
        record.key[0] = (uint64_t)record.tokens;
        status = kd_packer_add(k->packer, &record, 0);
    }
    if (status == KD_OK) status = kd_batch_create(&k->batch, ctx, NULL);
    return status == KD_OK ? kd_packer_next(k->packer, k->batch) : status;
}

static inline kd_status samples_frames(samples_kit *k)
{
    const float frames[4] = { 1, 2, 3, 4 };
    const int64_t offsets[3] = { 0, 4, 4 };
    const uint8_t has[2] = { 1, 0 };
    kd_array values = KD_ARRAY_1D(frames, KD_FLOAT32, 4), ends = KD_ARRAY_1D(offsets, KD_INT64, 3),
             present = KD_ARRAY_1D(has, KD_UINT8, 2);
    return kd_batch_set_ragged(k->batch, "frames", &values, &ends, &present);
}

static inline kd_status samples_store(samples_kit *k, kd_context *ctx, const char *path)
{
    const float vectors[2 * SAMPLES_WIDTH] = { 1, 2, 3 };
    kd_array values = KD_ARRAY_2D(vectors, KD_FLOAT32, 2, SAMPLES_WIDTH);
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    int64_t rows;
    f.kind = KD_STORE_EMBEDDING;
    f.name = "embedding";
    f.width = SAMPLES_WIDTH;
    f.encoding = KD_INT8;
    remove(path);
    kd_status status = kd_targets_create(&k->targets, ctx, NULL);
    if (status == KD_OK) status = kd_batch_get_counts(k->batch, NULL, &rows);
    if (status == KD_OK) status = kd_targets_begin(k->targets, rows);
    if (status == KD_OK) status = kd_targets_set_per_sample(k->targets, "embedding", &values, NULL);
    if (status == KD_OK) status = kd_store_writer_create(&k->writer, ctx, path, &o, &f, 1);
    if (status == KD_OK) status = kd_store_writer_add(k->writer, k->batch, k->targets);
    if (status == KD_OK) status = kd_store_writer_close(k->writer);
    if (status == KD_OK) status = kd_teacher_open(&k->teacher, ctx, path, NULL);
    return status == KD_OK ? kd_teacher_read(k->teacher, k->batch, k->targets) : status;
}

static inline kd_status samples_compare(samples_kit *k, kd_context *ctx)
{
    const float z[2 * SAMPLES_WIDTH] = { 3, 2, 1 };
    kd_array values = KD_ARRAY_2D(z, KD_FLOAT32, 2, SAMPLES_WIDTH);
    kd_loss_output output = { sizeof output, 0, NULL, &values, NULL, NULL };
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_status status = kd_loss_create(&k->loss, ctx, NULL);
    if (status == KD_OK) status = kd_loss_add(k->loss, KD_LOSS_CROSS_ENTROPY, 1, &o, NULL);
    o.teacher_field = "embedding";
    if (status == KD_OK) status = kd_loss_add(k->loss, KD_LOSS_FORWARD_KL, 1, &o, NULL);
    return status == KD_OK ? kd_loss_evaluate(k->loss, &output, 1, k->batch, k->targets, NULL, NULL)
                           : status;
}

static inline kd_status use_samples(kd_context *ctx, const char *folder)
{
    samples_kit k = { 0 };
    char path[600];
    snprintf(path, sizeof path, "%s/oom-samples.kdt", folder);
    kd_status status = samples_pack(&k, ctx);
    if (status == KD_OK) status = samples_frames(&k);
    if (status == KD_OK) status = samples_store(&k, ctx, path);
    if (status == KD_OK) status = samples_compare(&k, ctx);
    kd_loss_free(k.loss);
    kd_teacher_free(k.teacher);
    kd_store_writer_free(k.writer);
    kd_targets_free(k.targets);
    kd_batch_free(k.batch);
    kd_packer_free(k.packer);
    return status;
}

#endif
