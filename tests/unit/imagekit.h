/* Small transformers over patches, and a batch of two images (or spectrograms) for them. */
#ifndef UNIT_IMAGEKIT_H
#define UNIT_IMAGEKIT_H

#include "encoderkit.h"

/* (2, 7, 9) in patches of (3, 4): two lines of two, and a class token */
enum { IMAGES = 2, PIXELS = 2 * 7 * 9, VIT_ROWS = 5, DEIT_ROWS = 6 };
/* (9, 6) in patches of (3, 3), two of them up and three along, and two tokens */
enum { SOUNDS = 2, MELS = 9 * 6, AST_ROWS = 8 };

#define PATCHES(type, more)                                                                        \
    "{\"model_type\":\"" type "\",\"hidden_size\":12,\"num_hidden_layers\":2,"                     \
    "\"num_attention_heads\":3,\"intermediate_size\":20,\"initializer_range\":0.3" more "}"
#define VIT(more)                                                                                  \
    PATCHES("vit", ",\"image_size\":[7,9],\"patch_size\":[3,4],\"num_channels\":2" more)
#define DEIT(more)                                                                                 \
    PATCHES("deit", ",\"image_size\":[7,9],\"patch_size\":[3,4],\"num_channels\":2" more)
#define AST(more)                                                                                  \
    PATCHES("audio-spectrogram-transformer",                                                       \
            ",\"num_mel_bins\":6,\"max_length\":9,\"patch_size\":3,\"frequency_stride\":2,"        \
            "\"time_stride\":3" more)
#define HEAD(name) ",\"num_labels\":3,\"architectures\":[\"" name "\"]"
#define VIT_CLASSES HEAD("ViTForImageClassification")
#define TWO_HEADS HEAD("DeiTForImageClassificationWithTeacher")
#define AST_CLASSES HEAD("ASTForAudioClassification")

/* Two images and two spectrograms, a row each. */
static inline kd_batch *image_batch(kd_context *ctx)
{
    static float pixels[IMAGES * PIXELS], mels[SOUNDS * MELS];
    const int64_t as_images[] = { IMAGES, 2, 7, 9 }, as_sounds[] = { SOUNDS, 9, 6 };
    kd_array x, m;
    kd_batch *batch;
    for (int i = 0; i < IMAGES * PIXELS; i++) pixels[i] = (float)sin(0.7 * i + 0.3);
    for (int i = 0; i < SOUNDS * MELS; i++) mels[i] = (float)sin(0.7 * i + 0.3);
    OK(kd_array_init(&x, pixels, KD_FLOAT32, 4, as_images));
    OK(kd_array_init(&m, mels, KD_FLOAT32, 3, as_sounds));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin(batch, IMAGES));
    OK(kd_batch_set(batch, "pixels", &x, NULL));
    OK(kd_batch_set(batch, "mel", &m, NULL));
    return batch;
}

#endif
