/* Windows that move over images (R, C, H, W): of convolutions and of pooling. */
#ifndef KD_NN_WINDOW_H
#define KD_NN_WINDOW_H

#include <stdint.h>

typedef struct kd__window {
    int64_t channels, height, width; /* input  */
    int64_t out_channels, out_height, out_width;
    int64_t kernel[2], stride[2], padding[2]; /* along the height, along the width */
    int64_t groups; /* of channels: an output channel sees those of its group */
} kd__window;

static inline int64_t kd__window_taps(const kd__window *w)
{
    return w->channels / w->groups * w->kernel[0] * w->kernel[1];
}
static inline int64_t kd__window_places(const kd__window *w)
{
    return w->out_height * w->out_width;
}

#endif
