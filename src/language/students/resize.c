/* A vocabulary of another size, and ready configs. */
#include <kdistill/student.h>

#include <stdio.h>
#include <string.h>

#include "base/numbers.h"
#include "base/text.h"
#include "language/decoder/decoder.h"

/* ---- vocabulary ---- */

/* Rows of `from` (old, width), then their mean. */
static void copy_rows(const float *from, int64_t old, int64_t width, float *to, int64_t rows)
{
    const int64_t kept = kd__min(old, rows);
    memcpy(to, from, (size_t)(kept * width) * sizeof *to);
    if (rows <= old) return;
    for (int64_t j = 0; j < width; j++) {
        double sum = 0;
        for (int64_t i = 0; i < old; i++) sum += from[i * width + j];
        for (int64_t i = old; i < rows; i++) to[i * width + j] = (float)(sum / (double)old);
    }
}

static kd_status config_with(kd_model *model, int64_t vocabulary, kd__text *to)
{
    kd__json_document document;
    KD_TRY(kd__json_parse(&document, to->context, model->net.config, strlen(model->net.config),
                          "config"));
    for (kd__json *n = document.root->first; n; n = n->next)
        if (!strcmp(n->key, "vocab_size")) kd__json_set(n, (double)vocabulary);
    const kd_status status = kd__json_write(to, document.root);
    kd__json_free(&document);
    return status;
}

static kd_status check_model(const kd_model *model)
{
    KD_FAIL_IF(!kd__is_decoder(model), KD_ERR_UNSUPPORTED,
               "resize: the model is not a language model");
    KD_FAIL_IF(kd__trunk_of(model)->lora, KD_ERR_STATE,
               "resize: the model has adapters: save it, which merges them, and load it");
    KD_FAIL_IF(kd__trunk_of(model)->lattice, KD_ERR_STATE,
               "resize: the model is on a lattice: take it off with kd_model_set_lattice, format "
               "0");
    KD_FAIL_IF(model->on_gradients, KD_ERR_STATE,
               "resize: a step is open: call kd_optimizer_step first");
    return KD_OK;
}

/* A model of the same options with another vocabulary. */
static kd_status make_like(kd_model **made, kd_model *model, int64_t vocabulary)
{
    const kd__trunk *s = kd__trunk_of(model);
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd__text config = { .context = model->object.context };
    o.frozen = model->frozen;
    o.seed = model->seed;
    o.weights = model->weights;
    o.recompute = s->kept.recompute > 0;
    o.recompute_layers = (int32_t)s->kept.recompute;
    o.activations = s->kept.dtype;
    o.shared_gradients = model->gradients_shared;
    kd_status status = config_with(model, vocabulary, &config);
    if (status == KD_OK) status = kd__model_make(made, config.context, config.bytes, &o);
    kd__text_free(&config);
    return status;
}

static void copy_weights(const kd_model *model, kd_model *made, int64_t vocabulary)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *from = &model->net.tensors[i];
        const float *values = model->parameters + from->offset;
        float *to = made->parameters + made->net.tensors[i].offset;
        const int of_tokens = i == d->embedding || (i == d->head && !d->classifier);
        made->net.tensors[i].frozen = from->frozen;
        if (of_tokens) copy_rows(values, d->vocabulary, from->dims[1], to, vocabulary);
        else memcpy(to, values, (size_t)from->count * sizeof *to);
    }
}

kd_status kd_model_resize_vocabulary(kd_model *model, int64_t vocabulary)
{
    kd_model *made = NULL;
    KD_NEED(model);
    KD_TRY(check_model(model));
    KD_TRY(kd__model_check_whole(model, "vocabulary"));
    KD_FAIL_IF(vocabulary < 1 || vocabulary > 1 << 30, KD_ERR_RANGE,
               "vocabulary: expected 1 to 2^30, got %lld", (long long)vocabulary);
    KD_TRY(make_like(&made, model, vocabulary));
    copy_weights(model, made, vocabulary);
    const kd_status status = kd__model_finish(made);
    if (status == KD_OK) kd__model_swap(model, made); /* the handle stays, what it holds is new */
    kd_model_free(made);
    return status;
}

/* ---- ready configs ---- */

#define SIZES(family, v, d, i, l, h, k, w, p)                                                      \
    "{\"model_type\":\"" family "\",\"vocab_size\":" #v ",\"hidden_size\":" #d                     \
    ",\"intermediate_size\":" #i ",\"num_hidden_layers\":" #l ",\"num_attention_heads\":" #h       \
    ",\"num_key_value_heads\":" #k ",\"head_dim\":" #w ",\"max_position_embeddings\":" #p          \
    ",\"tie_word_embeddings\":true,\"rms_norm_eps\":1e-06,\"rope_theta\":10000.0}"
#define LADDER(family)                                                                             \
    { family "-100k", SIZES(family, 2048, 32, 96, 3, 4, 2, 8, 512) },                              \
        { family "-1m", SIZES(family, 2048, 128, 384, 4, 8, 4, 16, 512) },                         \
        { family "-5m", SIZES(family, 8192, 192, 512, 8, 6, 3, 32, 1024) },                        \
        { family "-15m", SIZES(family, 8192, 320, 896, 10, 10, 5, 32, 1024) },                     \
        { family "-40m", SIZES(family, 49152, 384, 1024, 14, 6, 3, 64, 2048) },                    \
    {                                                                                              \
        family "-150m", SIZES(family, 49152, 640, 1728, 26, 10, 5, 64, 2048)                       \
    }

static const struct {
    const char *name, *config;
} ready[] = { LADDER("llama"), LADDER("qwen3") };

kd_status kd_student_preset(const char *name, const char **json)
{
    char names[300] = "";
    KD_NEED(name);
    KD_NEED(json);
    for (size_t i = 0; i < sizeof ready / sizeof *ready; i++) {
        if (!strcmp(name, ready[i].name)) {
            *json = ready[i].config;
            return KD_OK;
        }
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "",
                 ready[i].name);
    }
    return kd__fail(KD_ERR_NOT_FOUND, "no ready config '%.40s'; there are %s", name, names);
}
