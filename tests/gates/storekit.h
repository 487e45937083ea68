/* A small store of known records: used by the tests that kill, cut, and run out of memory. Record i
 * has key (i + 1, 7) and 3 positions. */
#ifndef STOREKIT_H
#define STOREKIT_H

#include <kdistill.h>
#include <stdio.h>
#include <string.h>

enum { KIT_V = 64, KIT_ROWS = 3 };

static inline float kit_logit(int64_t record, int row, int id)
{
    return (float)((record * 31 + row * 17 + id * 7) % 23) * 0.25f;
}

static inline kd_status kit_writer(kd_store_writer **w, kd_context *ctx, const char *path,
                                   int32_t append, int32_t sync)
{
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f[3] = { KD_STORE_FIELD_INIT, KD_STORE_FIELD_INIT, KD_STORE_FIELD_INIT };
    o.vocabulary = KIT_V;
    o.append = append;
    o.sync = sync;
    f[0].kind = KD_STORE_TOPK;
    f[0].name = "topk";
    f[0].k = 5;
    f[1].kind = KD_STORE_DENSE;
    f[1].name = "logits";
    f[1].encoding = KD_FLOAT32;
    f[2].kind = KD_STORE_HIDDEN;
    f[2].name = "hidden";
    f[2].source = "logits";
    f[2].width = KIT_V;
    return kd_store_writer_create(w, ctx, path, &o, f, 3);
}

typedef struct {
    kd_batch *batch;
    kd_targets *targets;
} kit;

static inline void kit_free(kit *k)
{
    kd_targets_free(k->targets);
    kd_batch_free(k->batch);
}

static inline kd_status kit_make(kit *k, kd_context *ctx)
{
    memset(k, 0, sizeof *k);
    kd_status status = kd_batch_create(&k->batch, ctx, NULL);
    return status == KD_OK ? kd_targets_create(&k->targets, ctx, NULL) : status;
}

static inline kd_status kit_add(kit *k, kd_store_writer *w, int64_t record)
{
    float logits[KIT_ROWS * KIT_V];
    int64_t offsets[2] = { 0, KIT_ROWS };
    uint64_t key[2] = { (uint64_t)record + 1, 7 };
    kd_array ls = KD_ARRAY_2D(logits, KD_FLOAT32, KIT_ROWS, KIT_V),
             os = KD_ARRAY_1D(offsets, KD_INT64, 2), ks = KD_ARRAY_2D(key, KD_UINT64, 1, 2);
    for (int i = 0; i < KIT_ROWS * KIT_V; i++) logits[i] = kit_logit(record, i / KIT_V, i % KIT_V);
    kd_status status = kd_batch_begin_packed(k->batch, &os);
    if (status == KD_OK) status = kd_batch_set_samples(k->batch, NULL, &ks, NULL);
    if (status == KD_OK) status = kd_targets_begin(k->targets, KIT_ROWS);
    if (status == KD_OK) status = kd_targets_set(k->targets, "logits", &ls, NULL);
    return status == KD_OK ? kd_store_writer_add(w, k->batch, k->targets) : status;
}

/* Records there, each read and compared; -1: something is wrong (told). */
static inline int64_t kit_check(kd_context *ctx, const char *path)
{
    kd_store *s;
    kd_targets *t;
    kd_store_info info = { .struct_size = sizeof info };
    if (kd_store_open(&s, ctx, &path, 1, NULL) != KD_OK ||
        kd_targets_create(&t, ctx, NULL) != KD_OK || kd_store_get_info(s, &info) != KD_OK) {
        printf("open: %s\n", kd_last_error());
        return -1;
    }
    int64_t found = info.records;
    for (int64_t i = 0; i < info.records && found >= 0; i++) {
        kd_array values;
        kd_store_record r = { .struct_size = sizeof r };
        if (kd_store_read(s, i, t) != KD_OK ||
            kd_targets_field(t, "logits", &values, NULL) != KD_OK ||
            kd_store_get_record(s, i, &r) != KD_OK) {
            printf("record %lld: %s\n", (long long)i, kd_last_error());
            found = -1;
            break;
        }
        for (int j = 0; j < KIT_ROWS * KIT_V; j++)
            if (((float *)values.data)[j] !=
                    kit_logit((int64_t)r.key[0] - 1, j / KIT_V, j % KIT_V) ||
                (int64_t)r.key[0] != i + 1) {
                printf("record %lld: a wrong number\n", (long long)i);
                found = -1;
                break;
            }
    }
    kd_targets_free(t);
    kd_store_free(s);
    return found;
}

#endif
