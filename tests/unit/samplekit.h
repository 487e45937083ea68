/* A store of three samples with every kind of field. */
#ifndef UNIT_SAMPLEKIT_H
#define UNIT_SAMPLEKIT_H

#include "unit.h"
#include "gates/storekit.h"

#include <sys/stat.h>
#include <unistd.h>

enum { V = 300, D = 40, ROWS = 37, SAMPLES = 3 };

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets, *got;
static float logits[ROWS * V], hidden[ROWS * D], head[V * D];
static int64_t labels[ROWS];

static uint64_t keys[SAMPLES][2] = { { 1, 2 }, { 3, 4 }, { 5, 6 } };

static int64_t offsets[SAMPLES + 1] = { 0, 20, 36, 37 };
static uint64_t stream = 9;

static inline float noise(void)
{
    stream = stream * 6364136223846793005ULL + 1442695040888963407ULL;
    return (float)((double)(stream >> 11) * 0x1p-53 - 0.5);
}

static inline void setup(void)
{
    kd_array os = KD_ARRAY_1D(offsets, KD_INT64, SAMPLES + 1),
             ks = KD_ARRAY_2D(keys, KD_UINT64, SAMPLES, 2);
    kd_array ls = KD_ARRAY_2D(logits, KD_FLOAT32, ROWS, V),
             hs = KD_ARRAY_2D(hidden, KD_FLOAT32, ROWS, D),
             ys = KD_ARRAY_1D(labels, KD_INT64, ROWS);
    ctx = make_context(2);
    for (int i = 0; i < V * D; i++) head[i] = noise();
    for (int i = 0; i < ROWS * D; i++) hidden[i] = 8 * noise();
    for (int r = 0; r < ROWS; r++) {
        labels[r] = r;
        for (int j = 0; j < V; j++) {
            double sum = 0;
            for (int i = 0; i < D; i++) sum += hidden[r * D + i] * head[j * D + i];
            logits[r * V + j] = (float)sum;
        }
    }
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_targets_create(&got, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
    OK(kd_targets_begin(targets, ROWS));
    OK(kd_targets_set(targets, "logits", &ls, NULL));
    OK(kd_targets_set(targets, "hidden", &hs, NULL));
    OK(kd_targets_set(targets, "label", &ys, NULL));
}

static inline void teardown(void)
{
    kd_targets_free(got);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static inline kd_store_options options(void)
{
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    o.vocabulary = V;
    o.align = KD_ALIGN_NEXT;
    o.tokenizer = "tok-1";
    o.chat_template = "chat-1";
    o.sync = KD_SYNC_NEVER;
    return o;
}

static inline kd_store *opened(const char *path, int32_t pread)
{
    kd_store *s;
    kd_store_open_options o = KD_STORE_OPEN_OPTIONS_INIT;
    o.pread = pread;
    OK(kd_store_open(&s, ctx, &path, 1, &o));
    return s;
}

#endif
