/* Images as a vision model's folder wants them: resized and cut as bytes, then each byte through a
 * table of 256 numbers a channel: ((float)(v factor) - mean) / deviation. */
#include "core/pixels/processor.h"

#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"

#define MOST_BYTES (1 << 20) /* of the file */
#define BYTES 256            /* values of a byte */

/* ---- making one ---- */

static kd_status make(kd_image_processor **out, kd_context *context, const kd__json *root,
                      const char *model_type)
{
    kd_image_processor *p = NULL;
    KD_TRY(kd__object_create((void **)&p, context, sizeof *p));
    const kd_status status = kd__processor_read(p, root, model_type);
    if (status != KD_OK) {
        kd__object_destroy(p);
        return status;
    }
    *out = p;
    return KD_OK;
}

kd_status kd_image_processor_create(kd_image_processor **out, kd_context *context, const char *json)
{
    kd__json_document document = { 0 };
    KD_NEED(out);
    KD_NEED(context);
    KD_NEED(json);
    KD_TRY(kd__json_parse(&document, context, json, strlen(json), "image processor"));
    const kd_status status = make(out, context, document.root, NULL);
    kd__json_free(&document);
    return status;
}

static kd_status read_json(kd_context *context, const char *folder, const char *name,
                           kd__json_document *document)
{
    char *path = NULL, *text = NULL;
    int64_t size;
    KD_TRY(kd__path_join(context, &path, folder, name));
    kd_status status = kd__file_read(context, path, MOST_BYTES, &text, &size);
    if (status == KD_OK) status = kd__json_parse(document, context, text, (size_t)size, path);
    kd__release(context, text);
    kd__release(context, path);
    return status;
}

kd_status kd_image_processor_load(kd_image_processor **out, kd_context *context, const char *folder)
{
    kd__json_document document = { 0 }, config = { 0 };
    const kd__json *type = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_NEED(folder);
    KD_TRY(read_json(context, folder, "preprocessor_config.json", &document));
    if (document.root->type == KD__JSON_OBJECT &&
        !kd__json_member(document.root, "image_processor_type") &&
        !kd__json_member(document.root, "feature_extractor_type") &&
        read_json(context, folder, "config.json", &config) == KD_OK &&
        config.root->type == KD__JSON_OBJECT)
        type = kd__json_member(config.root, "model_type");
    const kd_status status = make(out, context, document.root,
                                  type && type->type == KD__JSON_STRING ? type->text : NULL);
    if (config.root) kd__json_free(&config);
    kd__json_free(&document);
    return status == KD_OK ? KD_OK : kd__fail_in(status, folder);
}

void kd_image_processor_free(kd_image_processor *processor)
{
    if (kd__object_drop(processor)) kd__object_destroy(processor);
}

/* ---- sizes ---- */

/* The longer side is cut to a whole number, as PIL's users do. */
static kd_status resized_size(const kd_image_processor *p, int64_t height, int64_t width,
                              int64_t size[2])
{
    const int64_t shorter = kd__min(height, width), longer = kd__max(height, width);
    size[0] = p->resizes && !p->shortest ? p->size[0] : height;
    size[1] = p->resizes && !p->shortest ? p->size[1] : width;
    if (!p->resizes || !p->shortest) return KD_OK;
    const int64_t longer_made = (int64_t)((double)(p->shortest * longer) / (double)shorter);
    KD_FAIL_IF(longer_made > KD__MOST_SIDE, KD_ERR_RANGE,
               "image: (%lld, %lld) becomes longer than %d pixels", (long long)height,
               (long long)width, KD__MOST_SIDE);
    size[0] = width <= height ? longer_made : p->shortest;
    size[1] = width <= height ? p->shortest : longer_made;
    return KD_OK;
}

static kd_status check_sides(int64_t height, int64_t width)
{
    KD_FAIL_IF(height < 1 || width < 1 || height > KD__MOST_SIDE || width > KD__MOST_SIDE,
               KD_ERR_RANGE, "image: expected sides of 1 to %d, got (%lld, %lld)", KD__MOST_SIDE,
               (long long)height, (long long)width);
    return KD_OK;
}

kd_status kd_image_processor_find_size(const kd_image_processor *processor, int64_t height,
                                       int64_t width, int64_t *new_height, int64_t *new_width)
{
    int64_t size[2];
    KD_NEED(processor);
    KD_NEED(new_height);
    KD_NEED(new_width);
    KD_TRY(check_sides(height, width));
    KD_TRY(resized_size(processor, height, width, size));
    *new_height = processor->crops ? processor->crop_size[0] : size[0];
    *new_width = processor->crops ? processor->crop_size[1] : size[1];
    return KD_OK;
}

/* ---- an image ---- */

typedef struct {
    kd__pixels image; /* resized */
    float *to;        /* (S, C, height, width) */
    int64_t height, width, down, across;
    float table[KD__MOST_CHANNELS][BYTES];
    int32_t one_table; /* serves all channels */
} preparing;

static void fill_tables(preparing *w, const kd_image_processor *p)
{
    const int64_t count = p->channels ? p->channels : 1;
    w->one_table = !p->channels;
    for (int64_t c = 0; c < count; c++)
        for (int v = 0; v < BYTES; v++) {
            const float x = p->rescales ? (float)(v * p->factor) : (float)v;
            w->table[c][v] = p->normalizes ? (x - p->mean[c]) / p->deviation[c] : x;
        }
}

static void look_up_row(void *argument, int64_t index, int32_t worker)
{
    const preparing *w = argument;
    const kd__pixels *p = &w->image;
    const int64_t channels = p->dims[KD__AT_CHANNEL], y = index % w->height,
                  c = index / w->height % channels, s = index / w->height / channels,
                  row = y + w->down, step = p->steps[KD__AT_COLUMN];
    const float *table = w->table[w->one_table ? 0 : c];
    const uint8_t *from = (const uint8_t *)p->data + s * p->steps[KD__AT_SAMPLE] +
                          row * p->steps[KD__AT_ROW] + c * p->steps[KD__AT_CHANNEL];
    const int inside = row >= 0 && row < p->dims[KD__AT_ROW];
    float *to = w->to + index * w->width;
    (void)worker;
    for (int64_t x = 0; x < w->width; x++) {
        const int64_t column = x + w->across;
        const int is_there = inside && column >= 0 && column < p->dims[KD__AT_COLUMN];
        to[x] = table[is_there ? from[column * step] : 0];
    }
}

static kd_status check_pixels(const kd_image_processor *p, const kd__pixels *image,
                              const kd_array *array, const kd_array *made, preparing *w)
{
    const int32_t r = made->rank;
    const int64_t channels = image->dims[KD__AT_CHANNEL];
    KD_TRY(kd_image_processor_find_size(p, image->dims[KD__AT_ROW], image->dims[KD__AT_COLUMN],
                                        &w->height, &w->width));
    KD_FAIL_IF(p->channels && channels != p->channels, KD_ERR_SHAPE,
               "image: expected %lld channels (image_mean), got %lld", (long long)p->channels,
               (long long)channels);
    KD_FAIL_IF(r != array->rank || (r == 4 && made->dims[0] != image->dims[KD__AT_SAMPLE]) ||
                   made->dims[r - 3] != channels || made->dims[r - 2] != w->height ||
                   made->dims[r - 1] != w->width,
               KD_ERR_SHAPE, "pixels: expected (%s%lld, %lld, %lld), as find_size says",
               array->rank == 4 ? "samples, " : "", (long long)channels, (long long)w->height,
               (long long)w->width);
    return KD_OK;
}

/* The resized image into a block of its own; *block NULL: it is as it was. */
static kd_status resize(const kd_image_processor *p, const kd__pixels *image, preparing *w,
                        uint8_t **block)
{
    kd_context *context = p->object.context;
    int64_t size[2], count = 1;
    w->image = *image;
    KD_TRY(resized_size(p, image->dims[KD__AT_ROW], image->dims[KD__AT_COLUMN], size));
    if (size[0] == image->dims[KD__AT_ROW] && size[1] == image->dims[KD__AT_COLUMN]) return KD_OK;
    w->image.dims[KD__AT_ROW] = size[0];
    w->image.dims[KD__AT_COLUMN] = size[1];
    for (int i = KD__AXES - 1; i >= 0; i--) {
        w->image.steps[i] = count;
        KD_TRY(kd__multiply(count, w->image.dims[i], &count));
    }
    KD_TRY(KD_NEW(context, block, count));
    w->image.data = (char *)*block;
    kd_resize_options o = KD_RESIZE_OPTIONS_INIT;
    o.resample = p->resample;
    return kd__resize(context, image, &w->image, &o);
}

static kd_status prepare(const kd_image_processor *p, preparing *w, const kd_array *image,
                         const kd_array *pixels)
{
    kd_context *context = p->object.context;
    kd__pixels given;
    uint8_t *block = NULL;
    KD_TRY(kd__pixels_read(&given, image, "image"));
    KD_FAIL_IF(given.dtype != KD_UINT8 || image->rank < 3, KD_ERR_DTYPE,
               "image: expected uint8 (height, width, channels) or (samples, height, width, "
               "channels), got %s of rank %d",
               kd__dtype_name(given.dtype), image->rank);
    KD_TRY(check_pixels(p, &given, image, pixels, w));
    kd_status status = resize(p, &given, w, &block);
    w->to = pixels->data;
    w->down = kd__pixels_middle(w->image.dims[KD__AT_ROW], w->height);
    w->across = kd__pixels_middle(w->image.dims[KD__AT_COLUMN], w->width);
    fill_tables(w, p);
    if (status == KD_OK)
        kd__parallel(context, given.dims[KD__AT_SAMPLE] * given.dims[KD__AT_CHANNEL] * w->height,
                     look_up_row, w);
    kd__release(context, block);
    return status;
}

kd_status kd_image_processor_prepare(const kd_image_processor *processor, const kd_array *image,
                                     const kd_array *pixels)
{
    preparing *w = NULL;
    KD_NEED(processor);
    KD_TRY(kd__array_check_float32(pixels, "pixels"));
    KD_FAIL_IF(pixels->rank != 3 && pixels->rank != 4, KD_ERR_SHAPE,
               "pixels: expected (channels, height, width) or (samples, channels, height, width), "
               "got rank %d",
               pixels->rank);
    KD_TRY(KD_NEW(processor->object.context, &w, 1));
    const kd_status status = prepare(processor, w, image, pixels);
    kd__release(processor->object.context, w);
    return status;
}
