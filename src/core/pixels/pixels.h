/* Images as arrays, before they are a network's input. Legend: S images of H x W pixels with C
 * channels; a filter makes n pixels of a side out of m. */
#ifndef KD_PIXELS_PIXELS_H
#define KD_PIXELS_PIXELS_H

#include <kdistill/image.h>

#include "base/status.h"

#define KD__MOST_SIDE (1 << 24)

enum { KD__AT_SAMPLE, KD__AT_ROW, KD__AT_COLUMN, KD__AT_CHANNEL, KD__AXES };

/* An array of images, whatever its rank: dims (S, H, W, C), and elements from one to the next. */
typedef struct kd__pixels {
    char *data;
    int32_t dtype; /* KD_UINT8, KD_FLOAT32 */
    int64_t dims[KD__AXES], steps[KD__AXES];
} kd__pixels;

/* Of (H, W), (H, W, C) or (S, H, W, C); `what` begins messages. */
kd_status kd__pixels_read(kd__pixels *pixels, const kd_array *array, const char *what);
/* Two of the same dtype, rank, samples and channels. */
kd_status kd__pixels_read_pair(kd__pixels *from, kd__pixels *to, const kd_array *image,
                               const kd_array *made, const char *what);

/* Where the middle `part` pixels of a side begin: (side - part) / 2, rounded down. */
int64_t kd__pixels_middle(int64_t side, int64_t part);

/* Pixel i of n is the sum over t < taps[i] of weights[i room + t] times pixel first[i] + t. */
typedef struct kd__filter {
    kd_context *context;
    void *block;
    int64_t count, room;
    int32_t *first, *taps;
    double *weights; /* (n, room) */
    int32_t *fixed;  /* the same times 2^KD__FIXED_BITS, rounded */
} kd__filter;

#define KD__FIXED_BITS 22

/* The pixels of low .. high of a side of `from` become `count`. */
kd_status kd__filter_make(kd__filter *filter, kd_context *context, int32_t resample, int64_t from,
                          double low, double high, int64_t count);
void kd__filter_free(kd__filter *filter);

kd_status kd__resize(kd_context *context, const kd__pixels *from, const kd__pixels *to,
                     const kd_resize_options *options);

#endif
