/* Data of the two store examples: points around forty centers in sixteen dimensions. */
#ifndef STORE_DATA_H
#define STORE_DATA_H

#include <kdistill.h>
#include <stdint.h>

enum { SAMPLES = 4000, INPUTS = 16, CLASSES = 40, TRAIN_SEED = 1, TEST_SEED = 2 };

static inline float noise(uint64_t *state)
{
    float sum = 0;
    for (int i = 0; i < 4; i++) { /* near enough to a normal distribution */
        *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
        sum += (float)(*state >> 40) / 16777216.0f - 0.5f;
    }
    return sum * 1.7f;
}

static inline kd_status make_data(kd_dataset **out, kd_context *ctx, uint64_t seed)
{
    static float inputs[SAMPLES][INPUTS], centers[CLASSES][INPUTS];
    static int64_t labels[SAMPLES];
    kd_array xs = KD_ARRAY_2D(inputs, KD_FLOAT32, SAMPLES, INPUTS),
             ys = KD_ARRAY_1D(labels, KD_INT64, SAMPLES);
    uint64_t state = 7;
    for (int c = 0; c < CLASSES; c++)
        for (int i = 0; i < INPUTS; i++) centers[c][i] = 1.3f * noise(&state);
    state = seed * 1000003;
    for (int s = 0; s < SAMPLES; s++) {
        labels[s] = s % CLASSES;
        for (int i = 0; i < INPUTS; i++) inputs[s][i] = centers[s % CLASSES][i] + noise(&state);
    }
    kd_status status = kd_dataset_create(out, ctx, NULL);
    if (status == KD_OK) status = kd_dataset_add(*out, "inputs", &xs, NULL);
    return status == KD_OK ? kd_dataset_add(*out, "label", &ys, NULL) : status;
}

#endif
