/* Towers of tiny networks, and batches of samples that lack a modality here and there. */
#ifndef TOWERKIT_H
#define TOWERKIT_H

#include <kdistill/contrast.h>
#include <kdistill/towers.h>

#include "unit.h"

enum { PAIRS = 6, PIXELS = 8, WORDS = 4, MELS = 3, JOINED = 5 };

#define IMAGE_TOWER                                                                                \
    "\"image\":{\"model_type\":\"mlp\",\"input_size\":8,\"hidden_sizes\":[7],\"hidden_act\":"      \
    "\"tanh\",\"num_labels\":6,\"input\":\"pixels\"}"
#define TEXT_TOWER                                                                                 \
    "\"text\":{\"model_type\":\"static_embedding\",\"vocab_size\":11,\"hidden_size\":4}"
#define SOUND_TOWER                                                                                \
    "\"sound\":{\"model_type\":\"mlp\",\"input_size\":3,\"hidden_sizes\":[5],\"hidden_act\":"      \
    "\"tanh\",\"num_labels\":4,\"input\":\"frames\"}"
#define TOWERS(more) "{\"model_type\":\"towers\",\"projection_dim\":5" more "}"
#define THREE ",\"towers\":{" IMAGE_TOWER "," TEXT_TOWER "," SOUND_TOWER "}"
#define TWO ",\"towers\":{" IMAGE_TOWER "," TEXT_TOWER "}"
#define UNIT_LENGTH ",\"normalize\":true"
#define SCALED ",\"logit_scale_init_value\":2.0,\"logit_bias_init_value\":-1.5"

/* A number for each place, of either sign. */
static inline float number_at(int64_t i) { return (float)sin(1.7 * (double)i + 0.3); }

typedef struct tower_batch {
    kd_batch *batch;
    float pixels[PAIRS * PIXELS], frames[4 * PAIRS * MELS];
    int64_t tokens[PAIRS * WORDS], frame_offsets[PAIRS + 1];
    uint8_t has_image[PAIRS];
} tower_batch;

/* Which of a sample's modalities it lacks, a bit each: image, text, sound. */
enum { NO_IMAGE = 1, NO_TEXT = 2, NO_SOUND = 4 };

/* Samples first .. first + count - 1: pixels with presence, tokens padded by -1, ragged frames. */
static inline void fill_towers(tower_batch *b, kd_context *ctx, int64_t first, int64_t count,
                               const int *lacks)
{
    int64_t frames = 0;
    if (!b->batch) OK(kd_batch_create(&b->batch, ctx, NULL));
    OK(kd_batch_begin(b->batch, count));
    b->frame_offsets[0] = 0;
    for (int64_t s = 0; s < count; s++) {
        const int64_t of = first + s;
        const int lack = lacks ? lacks[of] : 0;
        for (int i = 0; i < PIXELS; i++) b->pixels[s * PIXELS + i] = number_at(of * PIXELS + i);
        for (int i = 0; i < WORDS; i++)
            b->tokens[s * WORDS + i] = (lack & NO_TEXT) || i > of % WORDS ? -1
                                                                          : (of * 5 + i * 3) % 11;
        for (int64_t f = 0; f < 1 + of % 3 && !(lack & NO_SOUND); f++, frames++)
            for (int i = 0; i < MELS; i++)
                b->frames[frames * MELS + i] = number_at(100 + (of * 7 + f) * MELS + i);
        b->frame_offsets[s + 1] = frames;
        b->has_image[s] = !(lack & NO_IMAGE);
    }
    const kd_array x = KD_ARRAY_2D(b->pixels, KD_FLOAT32, count, PIXELS),
                   p = KD_ARRAY_1D(b->has_image, KD_UINT8, count),
                   t = KD_ARRAY_2D(b->tokens, KD_INT64, count, WORDS),
                   f = KD_ARRAY_2D(b->frames, KD_FLOAT32, frames, MELS),
                   o = KD_ARRAY_1D(b->frame_offsets, KD_INT64, count + 1);
    OK(kd_batch_set(b->batch, "pixels", &x, &p));
    OK(kd_batch_set(b->batch, "tokens", &t, NULL));
    OK(kd_batch_set_ragged(b->batch, "frames", &f, &o, NULL));
}

static inline const float *output_of(kd_model *model, const char *name, kd_array *values)
{
    OK(kd_model_output(model, name, values));
    return values->data;
}

/* Where a tensor lies in the flat blocks. */
static inline kd_array tensor_named(kd_model *model, const char *name, int32_t *index)
{
    kd_array values = KD_ARRAY_1D(NULL, KD_FLOAT32, 0);
    const char *found;
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (*index = 0; *index < count; (*index)++) {
        OK(kd_model_tensor(model, *index, &found, &values));
        if (!strcmp(found, name)) return values;
    }
    ck_abort_msg("no tensor %s", name);
    return values;
}

static inline double largest_gradient(kd_model *model, const char *name)
{
    kd_array g;
    double most = 0;
    int32_t index;
    tensor_named(model, name, &index);
    OK(kd_model_tensor_gradient(model, index, &g));
    for (int64_t i = 0; i < kd_array_count(&g); i++)
        most = fmax(most, fabs(((const float *)g.data)[i]));
    return most;
}

#endif
