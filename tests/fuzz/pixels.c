/* Images before they enter a model: preprocessor_config.json up to the first zero, which
 * prepares an image whose sides the bytes behind it give; and a resize whose sizes and options
 * are bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { MOST_SIDE = 40, MOST_PIXELS = MOST_SIDE * MOST_SIDE * 4 };

typedef struct {
    const uint8_t *at, *end;
} parts;

static uint8_t next(parts *p) { return p->at < p->end ? *p->at++ : 0; }

/* Of any kind, NaN among them. */
static double number(parts *p)
{
    static const double odd[] = { 0, 1, -1, 0.5, 1e-30, 1e30, NAN, INFINITY };
    const uint8_t b = next(p);
    return b < 8 ? odd[b] : (b - 8) / 6.0;
}

static void resize(kd_context *ctx, parts *p)
{
    static uint8_t from[MOST_PIXELS * 4], to[MOST_PIXELS * 4];
    const int32_t dtype = next(p) % 2 ? KD_FLOAT32 : KD_UINT8;
    const int64_t channels = 1 + next(p) % 4;
    const int64_t dims[] = { next(p) % MOST_SIDE, next(p) % MOST_SIDE, channels },
                  made[] = { next(p) % MOST_SIDE, next(p) % MOST_SIDE, channels };
    kd_resize_options o = KD_RESIZE_OPTIONS_INIT;
    kd_array image, resized;
    o.resample = next(p) % 7;
    o.down_first = next(p) % 2;
    o.left = number(p);
    o.top = number(p);
    o.right = number(p);
    o.bottom = number(p);
    for (size_t i = 0; i < sizeof from; i++) from[i] = (uint8_t)(i * 37);
    if (kd_array_init(&image, from, dtype, 3, dims) || kd_array_init(&resized, to, dtype, 3, made))
        abort();
    kd_image_resize(ctx, &image, &resized, &o);
    kd_image_crop(ctx, &image, &resized);
}

static void prepare(kd_context *ctx, const kd_image_processor *processor, parts *p)
{
    static uint8_t pixels[MOST_PIXELS];
    const int64_t dims[] = { 1 + next(p) % MOST_SIDE, 1 + next(p) % MOST_SIDE, 1 + next(p) % 4 };
    int64_t height, width;
    kd_array image, made;
    (void)ctx;
    if (kd_image_processor_find_size(processor, dims[0], dims[1], &height, &width) != KD_OK ||
        height * width > 1 << 16)
        return;
    const int64_t out[] = { dims[2], height, width };
    float *to = malloc((size_t)(dims[2] * height * width) * sizeof *to);
    if (!to || kd_array_init(&image, pixels, KD_UINT8, 3, dims) ||
        kd_array_init(&made, to, KD_FLOAT32, 3, out))
        abort();
    kd_image_processor_prepare(processor, &image, &made);
    free(to);
}

void use_pixels(kd_context *ctx, const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, 0, size);
    parts p = { end ? end + 1 : data + size, data + size };
    kd_image_processor *processor = NULL;
    char *json = calloc(size + 1, 1);
    if (!json) abort();
    memcpy(json, data, (size_t)(end ? end - data : (int64_t)size));
    if (kd_image_processor_create(&processor, ctx, json) == KD_OK) prepare(ctx, processor, &p);
    kd_image_processor_free(processor);
    free(json);
    resize(ctx, &p);
}
