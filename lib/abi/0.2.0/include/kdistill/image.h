/* kdistill/image.h - images before they enter a model: size, place, mean and deviation. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_image_processor_load(&processor, context, "vit-folder");  its preprocessor_config.json
 *   2.  kd_image_processor_find_size(processor, height, width, &h, &w);  pixels is (C, h, w)
 *   3.  kd_image_processor_prepare(processor, &image, &pixels);          image (height, width, C)
 *   4.  kd_batch_set(batch, "pixels", &pixels, NULL);                   several: (samples, C, h, w)
 *
 * Or by hand: kd_image_resize, kd_image_crop, and channel_scale and channel_shift of
 * kd_field_options (kdistill/data.h). Files are the host's to decode: an image is an array
 * (height, width), (height, width, channels) or (samples, height, width, channels) of any strides,
 * so that a view of (channels, height, width) serves as well. */
#ifndef KDISTILL_IMAGE_H
#define KDISTILL_IMAGE_H

#include <kdistill/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_image_processor kd_image_processor;

/* Filters; the numbers are those of PIL, which preprocessor_config.json has. x: pixels, or pixels
 * of the result where that is smaller. */
#define KD_RESAMPLE_LANCZOS 1  /* sinc(x) sinc(x / 3) for |x| < 3 */
#define KD_RESAMPLE_BILINEAR 2 /* 1 - |x| for |x| < 1 */
#define KD_RESAMPLE_BICUBIC 3  /* Keys's cubic for |x| < 2, a = -1/2 */
#define KD_RESAMPLE_BOX 4      /* 1 for -1/2 < x <= 1/2 */

typedef struct kd_resize_options {
    uint32_t struct_size;
    int32_t resample; /* KD_RESAMPLE_... */
    /* The part of the image that is resized, in pixels and parts of them, as PIL's `box`; all 0:
     * the whole image. */
    double left, top, right, bottom;
    int32_t down_first; /* 1: down before across, 0: across before down */
    int32_t reserved;
} kd_resize_options;
#define KD_RESIZE_OPTIONS_INIT                                                                     \
    {                                                                                              \
        (uint32_t)sizeof(kd_resize_options), KD_RESAMPLE_BILINEAR, 0, 0, 0, 0, 0, 0                \
    }
KD_API void kd_resize_options_init(kd_resize_options *options, size_t size);

/* Resizes one image or several, each channel by itself, across and down. A pixel of the result is
 * the mean of the image's pixels around its place, weighted by the filter; pixel i of `to` lies at
 * ((i + 1/2) from / to), and where the result is smaller the filter is stretched by from / to
 * (anti-alias). Weights of a pixel add up to 1; what lies outside the image has none.
 * - image: uint8 or float32. resized: of the same dtype, rank, channels and samples; its height and
 *   width are the new ones. Both may have any strides; they do not overlap.
 * - uint8 has the numbers of PIL's Image.resize to the bit (weights of 22 bits, each of the two
 *   passes rounded to 0 .. 255), as Pillow 3.3 to 12 have them; float32 has those of its mode F.
 *   Pillow 13 goes down first where the height shrinks much more than the width, and 12.2 where it
 *   is more than 100 times the width: `down_first`.
 * - With alpha PIL multiplies colors by it before and divides after: the host's, if it wants that.
 * - The same bits for any number of threads.
 * - KD_ERR_DTYPE, KD_ERR_SHAPE: other arrays; an empty side. KD_ERR_RANGE: resample; a part that is
 *   empty or not inside the image; a side above 2^24. */
KD_API kd_status kd_image_resize(kd_context *context, const kd_array *image,
                                 const kd_array *resized, const kd_resize_options *options);

/* Copies the middle of one image or several, as many pixels as `cropped` has; where the image is
 * smaller, it stands in the middle of zeros. Row i of the result is row i + floor((height - new
 * height) / 2). uint8 or float32, any strides, the same dtype, rank, channels and samples; errors
 * as above. */
KD_API kd_status kd_image_crop(kd_context *context, const kd_array *image, const kd_array *cropped);

/* What the folder of a vision model says about its images.
 * - load: preprocessor_config.json of a folder; where it does not name its image_processor_type (or
 *   feature_extractor_type), the model_type of the folder's config.json decides.
 * - create: the same from JSON text, which names the type.
 * Types: those of ViT, DeiT and CLIP, and their defaults. Keys: do_resize, size, resample,
 * do_center_crop, crop_size, do_rescale, rescale_factor, do_normalize, image_mean, image_std,
 * do_convert_rgb.
 * - KD_ERR_CONFIG: a value that is none. KD_ERR_UNSUPPORTED: a type or a key that would change the
 *   result and is not known, by name. KD_ERR_NOT_FOUND, KD_ERR_FORMAT: no such file, no JSON. */
KD_API kd_status kd_image_processor_load(kd_image_processor **out, kd_context *context,
                                         const char *folder);
KD_API kd_status kd_image_processor_create(kd_image_processor **out, kd_context *context,
                                           const char *json);
KD_API void kd_image_processor_free(kd_image_processor *processor);

/* The size that an image of height x width will have. */
KD_API kd_status kd_image_processor_find_size(const kd_image_processor *processor, int64_t height,
                                              int64_t width, int64_t *new_height,
                                              int64_t *new_width);

/* Resizes, crops, rescales and normalizes one image or several of one size: pixels (channels, h, w)
 * or (samples, channels, h, w), contiguous float32, of image (height, width, channels) or (samples,
 * height, width, channels), uint8 of any strides. The numbers are those of transformers' image
 * processors on PIL. One context's processor may be used by several threads.
 * - KD_ERR_DTYPE, KD_ERR_SHAPE: other arrays; channels that are not those of image_mean; pixels
 *   that are not as find_size says. */
KD_API kd_status kd_image_processor_prepare(const kd_image_processor *processor,
                                            const kd_array *image, const kd_array *pixels);

#ifdef __cplusplus
}
#endif
#endif
