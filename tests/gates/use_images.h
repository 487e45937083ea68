/* Transformers over patches, of images with two heads and of spectrograms with one: pushed back,
 * saved and loaded, for the test that runs out of memory. */
#ifndef USE_IMAGES_H
#define USE_IMAGES_H

#include <kdistill.h>
#include <stdio.h>

#define USED_PATCHES                                                                               \
    "\"hidden_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":2,"                         \
    "\"intermediate_size\":6,\"patch_size\":3,\"num_labels\":2"

enum { USED_IMAGES = 2, USED_PIXELS = 36 };

typedef struct images_kit {
    kd_model *model, *loaded;
    kd_batch *batch;
} images_kit;

static inline kd_status images_read(images_kit *k, kd_context *ctx, const char *config,
                                    const char *field)
{
    static float pixels[USED_IMAGES * USED_PIXELS] = { 1, 2, 3 };
    const kd_array x = KD_ARRAY_2D(pixels, KD_FLOAT32, USED_IMAGES, USED_PIXELS);
    kd_status status = kd_model_create(&k->model, ctx, config, NULL);
    if (status == KD_OK) status = kd_batch_create(&k->batch, ctx, NULL);
    if (status == KD_OK) status = kd_batch_begin(k->batch, USED_IMAGES);
    return status == KD_OK ? kd_batch_set(k->batch, field, &x, NULL) : status;
}

static inline kd_status images_train(images_kit *k)
{
    static const char *const names[] = { "logits", "hidden.0" };
    static float ones[USED_IMAGES * 8 * 8] = { 1, 1, 1 };
    kd_array v;
    kd_status status = kd_model_forward(k->model, k->batch, KD_MODE_TRAIN);
    for (int i = 0; i < 2 && status == KD_OK; i++) {
        status = kd_model_output(k->model, names[i], &v);
        v.data = ones;
        if (status == KD_OK) status = kd_model_add_output_gradient(k->model, names[i], &v);
    }
    return status == KD_OK ? kd_model_backward(k->model) : status;
}

static inline kd_status images_again(images_kit *k, kd_context *ctx, const char *path)
{
    kd_array v;
    kd_status status = kd_model_save(k->model, path, NULL);
    if (status == KD_OK) status = kd_model_load(&k->loaded, ctx, path, NULL);
    if (status == KD_OK) status = kd_model_forward(k->loaded, k->batch, KD_MODE_EVALUATE);
    return status == KD_OK ? kd_model_output(k->loaded, "logits", &v) : status;
}

/* An image as a folder's preprocessor_config.json wants it, and fields with a mean a channel. */
static inline kd_status use_pixels(kd_context *ctx)
{
    static const char config[] = "{\"image_processor_type\":\"DeiTImageProcessor\","
                                 "\"size\":{\"shortest_edge\":5},\"crop_size\":6}";
    static uint8_t image[7 * 9 * 3] = { 1, 2, 3 };
    static float pixels[3 * 6 * 6], scale[] = { 2, 3, 4 };
    const int64_t dims[] = { 7, 9, 3 }, out[] = { 3, 6, 6 }, field[] = { 1, 3, 6, 6 };
    const kd_array scales = KD_ARRAY_1D(scale, KD_FLOAT32, 3);
    kd_image_processor *processor = NULL;
    kd_dataset *data = NULL, *both = NULL;
    kd_field_options o = KD_FIELD_OPTIONS_INIT;
    kd_array x, y, z;
    kd_status status = kd_array_init(&x, image, KD_UINT8, 3, dims);
    if (status == KD_OK) status = kd_array_init(&y, pixels, KD_FLOAT32, 3, out);
    if (status == KD_OK) status = kd_array_init(&z, pixels, KD_FLOAT32, 4, field);
    if (status == KD_OK) status = kd_image_processor_create(&processor, ctx, config);
    if (status == KD_OK) status = kd_image_processor_prepare(processor, &x, &y);
    if (status == KD_OK) status = kd_dataset_create(&data, ctx, NULL);
    o.channel_scale = o.channel_shift = &scales;
    if (status == KD_OK) status = kd_dataset_add(data, "pixels", &z, &o);
    kd_dataset *const parts[] = { data, data };
    if (status == KD_OK) status = kd_dataset_concat(&both, parts, 2);
    kd_dataset_free(both);
    kd_dataset_free(data);
    kd_image_processor_free(processor);
    return status;
}

static inline kd_status use_images(kd_context *ctx, const char *folder)
{
    static const char *const uses[][2] = {
        { "{\"model_type\":\"deit\",\"image_size\":6,\"num_channels\":1,\"kd_patch_dropout\":0.5,"
          "\"architectures\":[\"DeiTForImageClassificationWithTeacher\"]," USED_PATCHES "}",
          "pixels" },
        { "{\"model_type\":\"audio-spectrogram-transformer\",\"num_mel_bins\":4,\"max_length\":9,"
          "\"frequency_stride\":1,\"time_stride\":3,"
          "\"architectures\":[\"ASTForAudioClassification\"]," USED_PATCHES "}",
          "mel" }
    };
    char path[600];
    kd_status status = KD_OK;
    snprintf(path, sizeof path, "%s/oom-images", folder);
    for (int i = 0; i < 2 && status == KD_OK; i++) {
        images_kit k = { 0 };
        status = images_read(&k, ctx, uses[i][0], uses[i][1]);
        if (status == KD_OK) status = images_train(&k);
        if (status == KD_OK) status = images_again(&k, ctx, path);
        kd_batch_free(k.batch);
        kd_model_free(k.loaded);
        kd_model_free(k.model);
    }
    return status == KD_OK ? use_pixels(ctx) : status;
}

#endif
