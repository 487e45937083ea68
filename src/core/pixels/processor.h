/* What a folder of a vision model says about its images. */
#ifndef KD_PIXELS_PROCESSOR_H
#define KD_PIXELS_PROCESSOR_H

#include "base/object.h"
#include "core/pixels/pixels.h"
#include "formats/json.h"

#define KD__MOST_CHANNELS 16

struct kd_image_processor {
    kd__object object;
    int32_t resizes, crops, rescales, normalizes;
    int32_t resample;
    int64_t size[2];  /* height, width; with `shortest`, both 0 */
    int64_t shortest; /* the smaller side's; 0: none */
    int64_t crop_size[2];
    double factor;
    int64_t channels; /* that are normalized; 0: any number */
    float mean[KD__MOST_CHANNELS], deviation[KD__MOST_CHANNELS];
};

/* model_type: of the folder's config.json, NULL: not known. */
kd_status kd__processor_read(kd_image_processor *processor, const kd__json *root,
                             const char *model_type);

#endif
