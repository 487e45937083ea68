/* Configs of transformers over patches, with the keys of transformers 4 and 5, and this library's
 * own for outputs of samples: kd_pooling, kd_dense, kd_normalize, kd_pooler. */
#include <string.h>

#include "base/log.h"
#include "base/numbers.h"
#include "base/text.h"
#include "language/image/image.h"
#include "language/trunk/config_keys.h"

#define MOST_SIDE 65536 /* of an image */
#define MOST_CHANNELS 4096
#define MOST_NUMBERS (1 << 24) /* of a row, and rows of an image */

/* architecture: before Model and the head's name; tokens: rows before the patches */
static const struct {
    const char *model_type, *architecture, *head, *prefix, *field;
    int64_t tokens;
} families[] = {
    { "vit", "ViT", "ForImageClassification", "vit.", "pixels", 1 },
    { "deit", "DeiT", "ForImageClassification", "deit.", "pixels", 2 },
    { "audio-spectrogram-transformer", "AST", "ForAudioClassification",
      "audio_spectrogram_transformer.", "mel", 2 },
};

static int32_t family_of(const char *model_type)
{
    for (int32_t i = 0; i < (int32_t)(sizeof families / sizeof *families); i++)
        if (!strcmp(model_type, families[i].model_type)) return i;
    return -1;
}

int kd__image_knows(const char *model_type) { return family_of(model_type) >= 0; }
const char *kd__image_prefix(const kd__image *m) { return families[m->trunk.config.family].prefix; }
const char *kd__image_field(const kd__image *m) { return families[m->trunk.config.family].field; }

/* ---- keys ---- */

#define COMMON                                                                                     \
    "model_type", "architectures", "input", "hidden_size", "num_hidden_layers",                    \
        "num_attention_heads", "intermediate_size", "hidden_act", "hidden_dropout_prob",           \
        "attention_probs_dropout_prob", "initializer_range", "layer_norm_eps", "qkv_bias",         \
        "patch_size", "num_labels", "id2label", "kd_pooling", "kd_dense", "kd_normalize",          \
        "gradient_checkpointing", "kd_patch_dropout"

static const char *const of_images[] = { COMMON, "image_size", "num_channels", "pooler_output_size",
                                         "kd_pooler",
                                         /* of what nothing here goes through */
                                         "pooler_act", "encoder_stride" };
static const char *const of_sounds[] = { COMMON, "frequency_stride", "time_stride", "max_length",
                                         "num_mel_bins" };

static kd_status check_keys(const kd__image *m, const kd__json *root)
{
    const int sound = m->trunk.config.family == KD__AST;
    const kd__config_keys keys = { .used = sound ? of_sounds : of_images,
                                   .used_count = sound ? sizeof of_sounds / sizeof *of_sounds
                                                       : sizeof of_images / sizeof *of_images };
    return kd__config_check_keys(root, &keys);
}

static kd_status check_architecture(kd__image *m, const char *name)
{
    const int32_t family = m->trunk.config.family;
    const char *stem = families[family].architecture, *head = families[family].head;
    const size_t length = strlen(stem), after = strlen(head);
    const char *rest = strncmp(name, stem, length) ? "?" : name + length;
    const int one = !strcmp(rest, head), two = family == KD__DEIT && !strncmp(rest, head, after) &&
                                               !strcmp(rest + after, "WithTeacher");
    m->head = two ? KD__TWO_HEADS : one ? KD__ONE_HEAD : KD__NO_HEAD;
    KD_FAIL_IF(!m->head && strcmp(rest, "Model"), KD_ERR_UNSUPPORTED,
               "config: architectures: \"%.60s\" is not supported; %s has %sModel, %s%s%s%s%s%s",
               name, families[family].model_type, stem, stem, head, family == KD__DEIT ? ", " : "",
               family == KD__DEIT ? stem : "", family == KD__DEIT ? head : "",
               family == KD__DEIT ? "WithTeacher" : "");
    return KD_OK;
}

static kd_status read_identity(kd__image *m, const kd__json *root)
{
    const kd__json *list = kd__json_member(root, "architectures");
    m->trunk.config.family = family_of(kd__json_member(root, "model_type")->text);
    KD_FAIL_IF(!kd__config_is_null(list) && list->type != KD__JSON_ARRAY, KD_ERR_CONFIG,
               "config: architectures: expected a list of names");
    if (!kd__config_is_null(list))
        for (const kd__json *n = list->first; n; n = n->next)
            KD_TRY(check_architecture(m, n->type == KD__JSON_STRING ? n->text : "?"));
    return check_keys(m, root);
}

/* ---- sizes of rows ---- */

static kd_status check_sizes(const kd__trunk_config *d)
{
    KD_FAIL_IF(d->hidden % d->heads, KD_ERR_CONFIG,
               "config: %lld numbers do not divide into %lld heads", (long long)d->hidden,
               (long long)d->heads);
    KD_FAIL_IF(d->layers > 4096, KD_ERR_CONFIG, "config: expected at most 4096 layers, got %lld",
               (long long)d->layers);
    KD_FAIL_IF(d->width > 1024 || d->heads > 65536 || d->inner > MOST_NUMBERS ||
                   d->hidden > MOST_NUMBERS,
               KD_ERR_CONFIG,
               "config: sizes beyond 1024 numbers a head, 65536 heads or 2^24 numbers a row");
    return KD_OK;
}

/* "gelu" is the exact one; its approximations have other names and give other numbers. */
static kd_status check_activation(const kd__json *root)
{
    const char *name;
    KD_TRY(kd__config_text(root, "hidden_act", "gelu", &name));
    KD_FAIL_IF(strcmp(name, "gelu"), KD_ERR_UNSUPPORTED,
               "config: hidden_act: only gelu is supported, got \"%.40s\"", name);
    return KD_OK;
}

static kd_status read_sizes(kd__trunk_config *d, const kd__json *root)
{
    KD_TRY(kd__config_integer(root, "hidden_size", 1, 0, &d->hidden));
    KD_TRY(kd__config_integer(root, "num_hidden_layers", 1, 0, &d->layers));
    KD_TRY(kd__config_integer(root, "num_attention_heads", 1, 0, &d->heads));
    KD_TRY(kd__config_integer(root, "intermediate_size", 1, 0, &d->inner));
    KD_TRY(kd__config_number(root, "hidden_dropout_prob", 0, 0.99, 0, &d->dropout));
    KD_TRY(
        kd__config_number(root, "attention_probs_dropout_prob", 0, 0.99, 0, &d->attention_dropout));
    KD_TRY(check_activation(root));
    KD_TRY(kd__config_number(root, "layer_norm_eps", 0, 1, 1e-12, &d->epsilon));
    KD_TRY(kd__config_number(root, "initializer_range", 0, 1e3, 0.02, &d->range));
    KD_TRY(kd__config_flag(root, "qkv_bias", 1, &d->qkv_bias));
    d->kv_heads = d->heads;
    d->width = d->hidden / d->heads;
    return check_sizes(d);
}

/* ---- images ---- */

/* A number for both sides, or [height, width]. */
static kd_status read_sides(const kd__json *root, const char *key, int64_t fallback,
                            int64_t *height, int64_t *width)
{
    const kd__json *node = kd__json_member(root, key);
    if (kd__config_is_null(node) || node->type != KD__JSON_ARRAY) {
        KD_TRY(kd__config_integer(root, key, 1, fallback, height));
        *width = *height;
    } else {
        KD_FAIL_IF(node->children != 2, KD_ERR_CONFIG,
                   "config: %s: expected a number or [height, width]", key);
        KD_TRY(kd__json_integer(node->first, 1, MOST_SIDE, height, key));
        KD_TRY(kd__json_integer(node->first->next, 1, MOST_SIDE, width, key));
    }
    KD_FAIL_IF(*height > MOST_SIDE || *width > MOST_SIDE, KD_ERR_CONFIG,
               "config: %s: expected at most %d, got (%lld, %lld)", key, MOST_SIDE,
               (long long)*height, (long long)*width);
    return KD_OK;
}

static kd_status read_image(kd__patches *p, const kd__json *root)
{
    KD_TRY(read_sides(root, "image_size", 224, &p->height, &p->width));
    KD_TRY(read_sides(root, "patch_size", 16, &p->patch_height, &p->patch_width));
    KD_TRY(kd__config_integer(root, "num_channels", 1, 3, &p->channels));
    p->stride_height = p->patch_height;
    p->stride_width = p->patch_width;
    return KD_OK;
}

/* A spectrogram is an image of one channel, mels high and frames wide, whose frames come one after
 * the other in memory. */
static kd_status read_sound(kd__patches *p, const kd__json *root)
{
    KD_TRY(kd__config_integer(root, "num_mel_bins", 1, 128, &p->height));
    KD_TRY(kd__config_integer(root, "max_length", 1, 1024, &p->width));
    KD_TRY(kd__config_integer(root, "patch_size", 1, 16, &p->patch_height));
    KD_TRY(kd__config_integer(root, "frequency_stride", 1, 10, &p->stride_height));
    KD_TRY(kd__config_integer(root, "time_stride", 1, 10, &p->stride_width));
    KD_FAIL_IF(p->height > MOST_SIDE || p->width > MOST_SIDE, KD_ERR_CONFIG,
               "config: num_mel_bins, max_length: expected at most %d, got %lld, %lld", MOST_SIDE,
               (long long)p->height, (long long)p->width);
    p->patch_width = p->patch_height;
    p->channels = p->is_transposed = 1;
    return KD_OK;
}

static kd_status check_patches(const kd__patches *p)
{
    const int64_t most = MOST_NUMBERS;
    KD_FAIL_IF(p->channels > MOST_CHANNELS, KD_ERR_CONFIG,
               "config: num_channels: expected at most %d, got %lld", MOST_CHANNELS,
               (long long)p->channels);
    KD_FAIL_IF(!kd__patches_count(p), KD_ERR_CONFIG,
               "config: patch_size: a patch of (%lld, %lld) does not fit into (%lld, %lld)",
               (long long)p->patch_height, (long long)p->patch_width, (long long)p->height,
               (long long)p->width);
    KD_FAIL_IF(kd__patches_numbers(p) > most || kd__patches_rows(p) > most, KD_ERR_CONFIG,
               "config: patch_size: more than 2^24 numbers a patch, or patches an image");
    return KD_OK;
}

/* Patches are counted as transformers counts them: what is left of an image after the last whole
 * one has no patch. Of sounds, whose patches overlap, that is usual. */
static void warn_of_rest(kd_context *context, const kd__patches *p)
{
    const int64_t rows = p->height % p->patch_height, columns = p->width % p->patch_width;
    if (!rows && !columns) return;
    kd__log(context, KD_LOG_WARNING,
            "config: image_size (%lld, %lld) is no multiple of patch_size (%lld, %lld): the last "
            "%lld rows and %lld columns of an image are not seen, as in transformers",
            (long long)p->height, (long long)p->width, (long long)p->patch_height,
            (long long)p->patch_width, (long long)rows, (long long)columns);
}

/* A share of patches that training passes leave out; at least one stays. */
static kd_status read_patch_dropout(kd__trunk_config *d, const kd__json *root)
{
    const int64_t all = kd__patches_count(&d->patches);
    double share;
    KD_TRY(kd__config_number(root, "kd_patch_dropout", 0, 0.99, 0, &share));
    d->kept_patches = share > 0 ? kd__max(1, (int64_t)((double)all * (1 - share) + 1e-9)) : 0;
    return KD_OK;
}

static kd_status read_patches(kd__trunk_config *d, kd_context *context, const kd__json *root)
{
    kd__patches *p = &d->patches;
    p->before = families[d->family].tokens;
    KD_TRY(d->family == KD__AST ? read_sound(p, root) : read_image(p, root));
    KD_TRY(check_patches(p));
    if (d->family != KD__AST) warn_of_rest(context, p);
    d->embedded = kd__patches_numbers(p);
    d->positions = kd__patches_rows(p);
    return read_patch_dropout(d, root);
}

/* What all of this kind have in common. */
static void set_forms(kd__trunk_config *d)
{
    static const kd__trunk_kind kind = { .layers = "num_hidden_layers",
                                         .hidden = "hidden_size",
                                         .inner = "intermediate_size",
                                         .heads = "num_attention_heads",
                                         .slice = kd__image_slice };
    d->kind = &kind;
    d->layer_norm = d->both_sides = d->no_rotation = d->no_gate = 1;
    d->o_bias = d->mlp_bias = 1;
    d->repeats = 1;
    d->padding = -1;
    d->outer = d->hidden;
    d->embedding = d->head = d->head_bias = d->type_table = d->embedding_norm = -1;
}

/* ---- outputs of samples ---- */

/* num_labels, or as many as id2label names; transformers' default is 2. */
static kd_status read_labels(const kd__json *root, int64_t *labels)
{
    const kd__json *list = kd__json_member(root, "id2label");
    const int64_t named = kd__config_is_null(list) ? 0 : list->children;
    KD_TRY(kd__config_integer(root, "num_labels", 1, named ? named : 2, labels));
    KD_FAIL_IF(*labels > MOST_NUMBERS, KD_ERR_CONFIG, "config: num_labels beyond 2^24");
    return KD_OK;
}

static kd__chain head_of(const kd__image *m, int32_t pooling, int64_t labels)
{
    const int64_t hidden = m->trunk.config.hidden;
    kd__chain c = { .pooling = pooling, .count = 1, .width = hidden };
    c.stage[0] = (kd__stage){ .inputs = hidden,
                              .outputs = labels,
                              .is_normed = m->trunk.config.family == KD__AST };
    return c;
}

static kd_status read_heads(kd__image *m, const kd__json *root)
{
    kd__samples *s = m->trunk.samples;
    const int sound = m->trunk.config.family == KD__AST;
    int64_t labels;
    if (m->head == KD__NO_HEAD) return KD_OK;
    KD_TRY(read_labels(root, &labels));
    m->heads[KD__HEAD_CLASS] = head_of(m, KD__POOL_FIRST, labels);
    m->heads[KD__HEAD_DISTILLATION] = head_of(m, KD__POOL_SECOND, labels);
    if (m->head == KD__TWO_HEADS) return KD_OK;
    s->chain[KD__CHAIN_LOGITS] = head_of(m, sound ? KD__POOL_FIRST_TWO : KD__POOL_FIRST, labels);
    s->chains = KD__CHAINS;
    return KD_OK;
}

/* A sample is its class token, or of a spectrogram the mean of its two tokens. */
static kd_status read_samples(kd__image *m, kd_context *context, const kd__json *root)
{
    const int sound = m->trunk.config.family == KD__AST;
    KD_TRY(kd__samples_read(&m->trunk, context, root, "cls"));
    kd__samples *s = m->trunk.samples;
    s->sentence = 0;
    s->is_kept = 1;
    if (sound && kd__config_is_null(kd__json_member(root, "kd_pooling")))
        s->chain[KD__CHAIN_POOLED].pooling = s->chain[KD__CHAIN_EMBEDDING].pooling =
            KD__POOL_FIRST_TWO;
    KD_TRY(kd__config_flag(root, "kd_pooler", 1, &m->has_pooler));
    m->has_pooler &= !sound && m->head == KD__NO_HEAD;
    KD_TRY(
        kd__config_integer(root, "pooler_output_size", 1, m->trunk.config.hidden, &m->pooler_size));
    KD_FAIL_IF(m->pooler_size > MOST_NUMBERS, KD_ERR_CONFIG,
               "config: pooler_output_size beyond 2^24");
    return read_heads(m, root);
}

kd_status kd__image_read_config(kd__image *m, kd_context *context, const kd__json *root)
{
    kd__trunk_config *d = &m->trunk.config;
    KD_TRY(read_identity(m, root));
    KD_TRY(read_sizes(d, root));
    KD_TRY(read_patches(d, context, root));
    set_forms(d);
    return read_samples(m, context, root);
}
