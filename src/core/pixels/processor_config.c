/* preprocessor_config.json: types, their defaults, and keys. Forms of transformers 4 and 5. */
#include <stdio.h>
#include <string.h>

#include "base/numbers.h"
#include "core/pixels/processor.h"

#define FILE_NAME "preprocessor_config.json"

/* ---- types ---- */

/* What a type does unless the file says otherwise. size: of both sides, or of the shorter one. */
typedef struct {
    const char *model_type, *stem;
    int32_t resample, is_shortest, crops;
    int64_t size, crop_size;
    float mean[3], deviation[3];
} family;

#define HALF                                                                                       \
    {                                                                                              \
        0.5f, 0.5f, 0.5f                                                                           \
    }

static const family families[] = {
    { "vit", "ViT", KD_RESAMPLE_BILINEAR, 0, 0, 224, 224, HALF, HALF },
    { "deit", "DeiT", KD_RESAMPLE_BICUBIC, 0, 1, 256, 224, HALF, HALF },
    { "clip",
      "CLIP",
      KD_RESAMPLE_BICUBIC,
      1,
      1,
      224,
      224,
      { 0.48145466f, 0.4578275f, 0.40821073f },
      { 0.26862954f, 0.26130258f, 0.27577711f } },
};
#define FAMILIES (sizeof families / sizeof *families)

/* "ViTImageProcessor", "ViTFeatureExtractor", and the ends of later names. */
static int is_type(const char *name, const char *stem)
{
    static const char *const kinds[] = { "ImageProcessor", "FeatureExtractor" };
    const size_t length = strlen(stem);
    if (strncmp(name, stem, length)) return 0;
    for (int i = 0; i < 2; i++) {
        const size_t kind = strlen(kinds[i]);
        const char *rest = name + length + kind;
        if (strncmp(name + length, kinds[i], kind)) continue;
        return !*rest || !strcmp(rest, "Fast") || !strcmp(rest, "Pil");
    }
    return 0;
}

static const kd__json *text_of(const kd__json *root, const char *key)
{
    const kd__json *node = kd__json_member(root, key);
    return node && node->type == KD__JSON_STRING ? node : NULL;
}

static kd_status find_family(const kd__json *root, const char *model_type, const family **found)
{
    const kd__json *type = text_of(root, "image_processor_type");
    if (!type) type = text_of(root, "feature_extractor_type");
    for (size_t i = 0; i < FAMILIES; i++) {
        *found = &families[i];
        if (type ? is_type(type->text, families[i].stem)
                 : model_type && !strcmp(model_type, families[i].model_type))
            return KD_OK;
    }
    KD_FAIL_IF(type, KD_ERR_UNSUPPORTED,
               FILE_NAME
               ": image_processor_type: expected that of ViT, DeiT or CLIP, got \"%.60s\"",
               type->text);
    return kd__fail(KD_ERR_UNSUPPORTED,
                    FILE_NAME ": image_processor_type: there is none, and the model is %.60s: "
                              "expected ViT, DeiT or CLIP",
                    model_type ? model_type : "not known");
}

/* ---- keys ---- */

static int is_null(const kd__json *node) { return !node || node->type == KD__JSON_NULL; }

static int is_listed(const char *key, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(key, list[i])) return 1;
    return 0;
}

static kd_status check_keys(const kd__json *root)
{
    static const char *const known[] = {
        "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale",
        "rescale_factor", "do_normalize", "image_mean", "image_std", "default_to_square",
        /* of images that are three channels already */
        "do_convert_rgb",
        /* of what is no number of the result */
        "image_processor_type", "feature_extractor_type", "processor_class", "image_seq_length",
        "model_input_names", "_valid_processor_keys", "_name_or_path", "device", "disable_grouping",
        "return_tensors", "transformers_version"
    };
    for (const kd__json *n = root->first; n; n = n->next) {
        const int off = n->type == KD__JSON_NULL || (n->type == KD__JSON_BOOL && !n->number);
        if (is_listed(n->key, known, sizeof known / sizeof *known)) continue;
        if (off && is_listed(n->key, (const char *const[]){ "do_pad" }, 1)) continue;
        if (n->type == KD__JSON_NULL) continue;
        if (!strcmp(n->key, "data_format") && n->type == KD__JSON_STRING &&
            !strcmp(n->text, "channels_first"))
            continue;
        return kd__fail(KD_ERR_UNSUPPORTED,
                        FILE_NAME ": the key \"%.60s\" is not supported and may change the result",
                        n->key);
    }
    return KD_OK;
}

static kd_status get_flag(const kd__json *root, const char *key, int32_t fallback, int32_t *value)
{
    const kd__json *node = kd__json_member(root, key);
    *value = fallback;
    if (is_null(node)) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_BOOL, KD_ERR_CONFIG, FILE_NAME ": %s: expected true or false",
               key);
    *value = node->number != 0;
    return KD_OK;
}

static kd_status get_side(const kd__json *node, const char *what, int64_t *side)
{
    char name[96];
    snprintf(name, sizeof name, FILE_NAME ": %s", what);
    return kd__json_integer(node, 1, KD__MOST_SIDE, side, name);
}

/* {"height": h, "width": w} */
static kd_status get_sides(const kd__json *node, const char *what, int64_t sides[2])
{
    const kd__json *height = kd__json_member(node, "height"),
                   *width = kd__json_member(node, "width");
    KD_FAIL_IF(!height || !width, KD_ERR_CONFIG, FILE_NAME ": %s: expected height and width%s",
               what, strcmp(what, "size") ? "" : ", or shortest_edge");
    KD_TRY(get_side(height, what, &sides[0]));
    return get_side(width, what, &sides[1]);
}

static kd_status check_members(const kd__json *node, const char *what)
{
    static const char *const known[] = { "height", "width", "shortest_edge" };
    for (const kd__json *n = node->first; n; n = n->next)
        KD_FAIL_IF(!is_listed(n->key, known, 3) && !is_null(n), KD_ERR_UNSUPPORTED,
                   FILE_NAME ": %s: \"%.60s\" is not supported", what, n->key);
    return KD_OK;
}

static kd_status read_size(kd_image_processor *p, const kd__json *root, const family *f)
{
    const kd__json *node = kd__json_member(root, "size");
    int32_t square;
    KD_TRY(get_flag(root, "default_to_square", !f->is_shortest, &square));
    if (is_null(node) || node->type == KD__JSON_NUMBER) {
        int64_t side = f->size;
        if (!is_null(node)) KD_TRY(get_side(node, "size", &side));
        else square = !f->is_shortest;
        p->shortest = square ? 0 : side;
        p->size[0] = p->size[1] = square ? side : 0;
        return KD_OK;
    }
    KD_FAIL_IF(node->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
               FILE_NAME ": size: expected a number or an object");
    KD_TRY(check_members(node, "size"));
    const kd__json *shortest = kd__json_member(node, "shortest_edge");
    if (is_null(shortest)) return get_sides(node, "size", p->size);
    KD_FAIL_IF(!is_null(kd__json_member(node, "height")) ||
                   !is_null(kd__json_member(node, "width")),
               KD_ERR_CONFIG, FILE_NAME ": size: expected height and width, or shortest_edge");
    return get_side(shortest, "size: shortest_edge", &p->shortest);
}

static kd_status read_crop(kd_image_processor *p, const kd__json *root, const family *f)
{
    const kd__json *node = kd__json_member(root, "crop_size");
    KD_TRY(get_flag(root, "do_center_crop", f->crops, &p->crops));
    p->crop_size[0] = p->crop_size[1] = f->crop_size;
    if (is_null(node)) return KD_OK;
    if (node->type == KD__JSON_NUMBER) {
        KD_TRY(get_side(node, "crop_size", &p->crop_size[0]));
        p->crop_size[1] = p->crop_size[0];
        return KD_OK;
    }
    KD_FAIL_IF(node->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
               FILE_NAME ": crop_size: expected a number or an object");
    KD_TRY(check_members(node, "crop_size"));
    return get_sides(node, "crop_size", p->crop_size);
}

static kd_status read_resample(kd_image_processor *p, const kd__json *root, const family *f)
{
    const kd__json *node = kd__json_member(root, "resample");
    int64_t found = f->resample;
    if (!is_null(node)) KD_TRY(kd__json_integer(node, 0, 5, &found, FILE_NAME ": resample"));
    KD_FAIL_IF(found < KD_RESAMPLE_LANCZOS || found > KD_RESAMPLE_BOX, KD_ERR_UNSUPPORTED,
               FILE_NAME ": resample: expected 1 (Lanczos), 2 (bilinear), 3 (bicubic) or 4 (box), "
                         "got %s",
               found ? "5 (Hamming)" : "0 (nearest)");
    p->resample = (int32_t)found;
    return KD_OK;
}

/* ---- mean and deviation ---- */

static kd_status get_number(const kd__json *node, const char *key, int positive, float *value)
{
    KD_FAIL_IF(node->type != KD__JSON_NUMBER || !(node->number >= -1e6 && node->number <= 1e6) ||
                   (positive && !(node->number >= 1e-12)),
               KD_ERR_CONFIG, FILE_NAME ": %s: expected %snumbers up to 1e6", key,
               positive ? "positive " : "");
    *value = (float)node->number;
    return KD_OK;
}

/* One number for all channels (*count 0), or one for each. */
static kd_status get_numbers(const kd__json *root, const char *key, int positive,
                             const float *fallback, float *to, int64_t *count)
{
    const kd__json *node = kd__json_member(root, key);
    *count = 3;
    if (is_null(node)) {
        memcpy(to, fallback, 3 * sizeof *to);
        return KD_OK;
    }
    if (node->type != KD__JSON_ARRAY) {
        KD_TRY(get_number(node, key, positive, &to[0]));
        for (int i = 1; i < KD__MOST_CHANNELS; i++) to[i] = to[0];
        *count = 0;
        return KD_OK;
    }
    *count = node->children;
    KD_FAIL_IF(*count < 1 || *count > KD__MOST_CHANNELS, KD_ERR_CONFIG,
               FILE_NAME ": %s: expected 1 to %d numbers, got %lld", key, KD__MOST_CHANNELS,
               (long long)*count);
    for (const kd__json *n = node->first; n; n = n->next)
        KD_TRY(get_number(n, key, positive, to++));
    return KD_OK;
}

static kd_status read_norm(kd_image_processor *p, const kd__json *root, const family *f)
{
    int64_t means, deviations;
    KD_TRY(get_flag(root, "do_normalize", 1, &p->normalizes));
    KD_TRY(get_numbers(root, "image_mean", 0, f->mean, p->mean, &means));
    KD_TRY(get_numbers(root, "image_std", 1, f->deviation, p->deviation, &deviations));
    KD_FAIL_IF(means && deviations && means != deviations, KD_ERR_CONFIG,
               FILE_NAME ": image_mean has %lld numbers, image_std %lld", (long long)means,
               (long long)deviations);
    p->channels = p->normalizes ? kd__max(means, deviations) : 0;
    return KD_OK;
}

static kd_status read_factor(kd_image_processor *p, const kd__json *root)
{
    const kd__json *node = kd__json_member(root, "rescale_factor");
    KD_TRY(get_flag(root, "do_rescale", 1, &p->rescales));
    p->factor = 1.0 / 255;
    if (is_null(node)) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_NUMBER || !(node->number > 0 && node->number <= 1e6),
               KD_ERR_CONFIG, FILE_NAME ": rescale_factor: expected a number above 0 up to 1e6");
    p->factor = node->number;
    return KD_OK;
}

kd_status kd__processor_read(kd_image_processor *p, const kd__json *root, const char *model_type)
{
    const family *f;
    KD_FAIL_IF(root->type != KD__JSON_OBJECT, KD_ERR_CONFIG, FILE_NAME ": expected an object");
    KD_TRY(find_family(root, model_type, &f));
    KD_TRY(check_keys(root));
    KD_TRY(get_flag(root, "do_resize", 1, &p->resizes));
    KD_TRY(read_size(p, root, f));
    KD_TRY(read_resample(p, root, f));
    KD_TRY(read_crop(p, root, f));
    KD_TRY(read_factor(p, root));
    return read_norm(p, root, f);
}
