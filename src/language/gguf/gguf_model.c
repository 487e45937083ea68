/* Models out of GGUF files: tensors by their names there. Llama files hold the rows of q and k in
 * another order, neighbors beside each other instead of halves, for rotation; they are put back. */
#include "language/gguf/gguf_model.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "language/decoder/decoder.h"

/* ---- tensors ---- */

static const struct {
    const char *ours, *theirs;
} names[] = { { "input_layernorm", "attn_norm" },    { "self_attn.q_proj", "attn_q" },
              { "self_attn.k_proj", "attn_k" },      { "self_attn.v_proj", "attn_v" },
              { "self_attn.o_proj", "attn_output" }, { "self_attn.q_norm", "attn_q_norm" },
              { "self_attn.k_norm", "attn_k_norm" }, { "post_attention_layernorm", "ffn_norm" },
              { "mlp.gate_proj", "ffn_gate" },       { "mlp.up_proj", "ffn_up" },
              { "mlp.down_proj", "ffn_down" } };

int kd__gguf_name(const char *ours, char theirs[KD_NAME_BYTES])
{
    int layer, rest = 0;
    if (!strcmp(ours, "model.embed_tokens.weight"))
        return snprintf(theirs, KD_NAME_BYTES, "token_embd.weight") > 0;
    if (!strcmp(ours, "model.norm.weight"))
        return snprintf(theirs, KD_NAME_BYTES, "output_norm.weight") > 0;
    if (!strcmp(ours, "lm_head.weight"))
        return snprintf(theirs, KD_NAME_BYTES, "output.weight") > 0;
    if (sscanf(ours, "model.layers.%d.%n", &layer, &rest) != 1 || !rest) return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t n = strlen(names[i].ours);
        if (!strncmp(ours + rest, names[i].ours, n) && ours[(size_t)rest + n] == '.')
            return snprintf(theirs, KD_NAME_BYTES, "blk.%d.%s%s", layer, names[i].theirs,
                            ours + rest + n) > 0;
    }
    return 0;
}

static int is_turned(const kd__trunk_config *d, const char *name)
{
    return (d->family == KD__LLAMA || d->family == KD__MISTRAL) &&
           (strstr(name, ".q_proj.") || strstr(name, ".k_proj."));
}

int64_t kd__gguf_row_back(const kd__trunk_config *d, const char *name, int64_t row)
{
    const int64_t half = d->width / 2, i = row % d->width;
    return is_turned(d, name) ? row - i + i / 2 + i % 2 * half : row;
}

int64_t kd__gguf_row(const kd__trunk_config *d, const char *name, int64_t row)
{
    const int turned = is_turned(d, name);
    const int64_t half = d->width / 2, i = row % d->width;
    return turned ? row - i + i % half * 2 + i / half : row;
}

static kd_status read_tensor(kd_model *model, const kd__tensor *t, const kd__gguf *file)
{
    char name[KD_NAME_BYTES] = "";
    const kd__gguf_tensor *found = kd__gguf_name(t->name, name) ? kd__gguf_tensor_find(file, name)
                                                                : NULL;
    const int64_t width = t->rank == 2 ? t->dims[1] : 1;
    KD_FAIL_IF(!found, KD_ERR_MISMATCH, "%s: no tensor %s", file->what, name);
    KD_FAIL_IF(found->rank != t->rank || found->dims[0] != t->dims[0] ||
                   (t->rank == 2 && found->dims[1] != width),
               KD_ERR_SHAPE,
               "%s: tensor %s: the metadata need (%lld, %lld), the file has (%lld, %lld)",
               file->what, name, (long long)t->dims[0], (long long)width, (long long)found->dims[0],
               (long long)(found->rank > 1 ? found->dims[1] : 1));
    if (t->is_packed) return KD_OK;
    float *to = model->parameters + t->offset;
    if (t->rank == 1) { /* a row of its own; biases of q and k are turned number by number */
        kd__gguf_rows(found, 0, 1, t->dims[0], to);
        if (kd__gguf_row(kd__trunk_config_of(model), t->name, 1) == 1) return KD_OK;
        float *copy = NULL;
        KD_TRY(KD_NEW(model->object.context, &copy, t->count));
        memcpy(copy, to, (size_t)t->count * sizeof *to);
        for (int64_t i = 0; i < t->count; i++)
            to[i] = copy[kd__gguf_row(kd__trunk_config_of(model), t->name, i)];
        kd__release(model->object.context, copy);
        return KD_OK;
    }
    for (int64_t i = 0; i < t->dims[0]; i++)
        kd__gguf_rows(found, kd__gguf_row(kd__trunk_config_of(model), t->name, i), 1, width,
                      to + i * width);
    return KD_OK;
}

/* The file that a packed_only model is made from; its tensors are checked already. */
typedef struct {
    kd__model_source source;
    const kd__gguf *file;
} file_source;

static const kd__gguf_tensor *tensor_in(const kd__model_source *source, const kd__tensor *t)
{
    char name[KD_NAME_BYTES] = "";
    kd__gguf_name(t->name, name);
    return kd__gguf_tensor_find(((const file_source *)source)->file, name);
}

static kd_status read_source(const kd__model_source *source, const kd_model *model, int64_t tensor,
                             int64_t first, int64_t rows, float *to)
{
    const kd__tensor *t = &model->net.tensors[tensor];
    const kd__gguf_tensor *from = tensor_in(source, t);
    const int64_t width = t->count / t->dims[0];
    for (int64_t i = 0; i < rows; i++) {
        const int64_t row = kd__gguf_row(kd__trunk_config_of(model), t->name, first + i);
        kd__gguf_rows(from, row, 1, width, to + i * width);
    }
    return KD_OK;
}

static const uint8_t *blocks_of(const kd__model_source *source, const kd_model *model,
                                int64_t tensor, int64_t row, int32_t format)
{
    const kd__tensor *t = &model->net.tensors[tensor];
    const kd__gguf_tensor *from = tensor_in(source, t);
    const int64_t at = kd__gguf_row(kd__trunk_config_of(model), t->name, row);
    if (from->type + KD__GGML_BLOCKS != format) return NULL;
    return (const uint8_t *)from->data + at * kd__ggml_bytes(from->type, t->count / t->dims[0]);
}

/* Every tensor of the file has its place in the model, or is named. */
static kd_status check_tensors(const kd__network *net, const kd__gguf *file, uint8_t *used)
{
    char name[KD_NAME_BYTES];
    for (int64_t i = 0; i < net->tensor_count; i++) {
        const kd__gguf_tensor *t =
            kd__gguf_name(net->tensors[i].name, name) ? kd__gguf_tensor_find(file, name) : NULL;
        if (t) used[t - file->tensors] = 1;
    }
    for (int64_t i = 0; i < file->tensor_count; i++) {
        const kd__gguf_string found = file->tensors[i].name;
        KD_FAIL_IF(!used[i] && !kd__gguf_equals(found, "rope_freqs.weight"), KD_ERR_MISMATCH,
                   "%s: tensor %.*s has no place in the model that the metadata describe",
                   file->what, (int)kd__min(found.bytes, 100), found.text);
    }
    return KD_OK;
}

/* What the metadata claim is held against the file before anything large is taken. */
static kd_status check_claim(kd_context *context, const kd__gguf *file, const char *config)
{
    kd__network net = { 0 };
    uint8_t *used = NULL;
    kd_status status = kd__network_read(&net, context, config);
    if (status != KD_OK) return kd__fail_in(status, file->what);
    if (net.parameters / 3 > file->map.size)
        status = kd__fail(KD_ERR_FORMAT,
                          "%s: the metadata need %lld parameters, the file has %lld bytes",
                          file->what, (long long)net.parameters, (long long)file->map.size);
    if (status == KD_OK) status = KD_NEW(context, &used, file->tensor_count + 1);
    if (status == KD_OK) status = check_tensors(&net, file, used);
    kd__release(context, used);
    kd__network_free(&net, context);
    return status;
}

static kd_status read_model(kd_model **out, const kd__gguf *file, const kd_model_options *options)
{
    kd_context *context = file->context;
    const file_source source = { { read_source, blocks_of }, file };
    kd__text config = { .context = context };
    kd_model *model = NULL;
    kd_status status = kd__gguf_config(file, &config);
    if (status == KD_OK) status = check_claim(context, file, config.bytes);
    if (status == KD_OK) status = kd__model_make(&model, context, config.bytes, options);
    for (int64_t i = 0; status == KD_OK && i < model->net.tensor_count; i++)
        status = read_tensor(model, &model->net.tensors[i], file);
    if (status == KD_OK && model->packed_only) model->source = &source.source;
    if (status == KD_OK) status = kd__model_finish(model);
    kd__text_free(&config);
    if (status == KD_OK) *out = model;
    else kd_model_free(model);
    return status;
}

static kd_status load(kd_model **out, kd_context *context, const char *path,
                      const kd_model_options *options)
{
    kd__gguf file;
    KD_TRY(kd__gguf_open(&file, context, path));
    const kd_status status = read_model(out, &file, options);
    kd__gguf_close(&file);
    return status;
}

static kd_status find(kd_context *context, const char *path, int *is)
{
    (void)context;
    *is = !kd__is_folder(path) && kd__gguf_is(path);
    return KD_OK;
}

const kd__model_format kd__gguf_format = { find, load };
