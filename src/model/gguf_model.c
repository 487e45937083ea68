/* Models out of GGUF files: a config from the metadata, tensors by their names there. Llama files hold the rows of q and k in another order,
 * neighbours beside each other instead of halves, for rotation; they are put back.                                             */
#include "model/gguf_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/decoder.h"

/* ---- config ---- */

typedef struct {
    const kd__gguf *file;
    char architecture[16];
    kd__text *to;
} writer;

static double number(const writer *w, const char *name, double otherwise)
{
    char key[96];
    snprintf(key, sizeof key, "%s.%s", w->architecture, name);
    return kd__gguf_number(w->file, key, otherwise);
}

static kd_status put(writer *w, const char *key, double value)
{
    KD_TRY(kd__text_format(w->to, ",\"%s\":", key));
    return kd__text_number(w->to, value);
}

static kd_status need(writer *w, const char *key, const char *name)
{
    const double value = number(w, name, NAN);
    KD_FAIL_IF(!isfinite(value), KD_ERR_FORMAT, "GGUF: the key %s.%s is missing", w->architecture, name);
    return put(w, key, value);
}

/* rope_freqs.weight holds Llama 3's divisors: its scaling factor is the largest of them; the others are told by the family's constants. */
static kd_status put_scaling(writer *w)
{
    char key[64];
    const kd__gguf_tensor *divisors = kd__gguf_tensor_find(w->file, "rope_freqs.weight");
    snprintf(key, sizeof key, "%s.rope.scaling.type", w->architecture);
    const kd__gguf_string kind = kd__gguf_text(w->file, key);
    if (divisors) {
        float values[512], largest = 0;
        KD_FAIL_IF(divisors->count > 512, KD_ERR_FORMAT, "GGUF: rope_freqs.weight has %lld numbers", (long long)divisors->count);
        kd__gguf_rows(divisors, 0, 1, divisors->count, values);
        for (int64_t i = 0; i < divisors->count; i++) largest = values[i] > largest ? values[i] : largest;
        KD_TRY(kd__text_format(w->to, ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                                      "\"original_max_position_embeddings\":8192,\"factor\":"));
        KD_TRY(kd__text_number(w->to, largest));
        return kd__text_append(w->to, "}", 1);
    }
    if (!kind.bytes || kd__gguf_equals(kind, "none")) return KD_OK;
    KD_FAIL_IF(!kd__gguf_equals(kind, "linear") && !kd__gguf_equals(kind, "yarn"), KD_ERR_UNSUPPORTED,
               "GGUF: rope.scaling.type %.*s is not supported", (int)(kind.bytes < 40 ? kind.bytes : 40), kind.text);
    KD_TRY(kd__text_format(w->to, ",\"rope_scaling\":{\"rope_type\":\"%s\",\"factor\":", kd__gguf_equals(kind, "yarn") ? "yarn" : "linear"));
    KD_TRY(kd__text_number(w->to, number(w, "rope.scaling.factor", 1)));
    if (number(w, "rope.scaling.original_context_length", 0) > 0)
        KD_TRY(kd__text_format(w->to, ",\"original_max_position_embeddings\":%.0f", number(w, "rope.scaling.original_context_length", 0)));
    return kd__text_append(w->to, "}", 1);
}

kd_status kd__gguf_config(const kd__gguf *file, kd__text *to)
{
    writer w = { .file = file, .to = to };
    const kd__gguf_string name = kd__gguf_text(file, "general.architecture");
    const kd__gguf_tensor *embedding = kd__gguf_tensor_find(file, "token_embd.weight");
    KD_FAIL_IF(!kd__gguf_equals(name, "llama") && !kd__gguf_equals(name, "qwen2") && !kd__gguf_equals(name, "qwen3"), KD_ERR_UNSUPPORTED,
               "GGUF: the architecture %.*s is not llama, qwen2 or qwen3", (int)(name.bytes < 40 ? name.bytes : 40), name.text);
    snprintf(w.architecture, sizeof w.architecture, "%.*s", (int)name.bytes, name.text);
    KD_FAIL_IF(!embedding || embedding->rank != 2, KD_ERR_FORMAT, "GGUF: no token_embd.weight of rank 2");
    KD_FAIL_IF(number(&w, "expert_count", 0) > 0, KD_ERR_UNSUPPORTED, "GGUF: mixtures of experts are not supported");
    KD_TRY(kd__text_format(to, "{\"model_type\":\"%s\",\"tie_word_embeddings\":%s,\"vocab_size\":%lld", w.architecture,
                           kd__gguf_tensor_find(file, "output.weight") ? "false" : "true", (long long)embedding->dims[0]));
    KD_TRY(need(&w, "hidden_size", "embedding_length"));
    KD_TRY(need(&w, "num_hidden_layers", "block_count"));
    KD_TRY(need(&w, "intermediate_size", "feed_forward_length"));
    KD_TRY(need(&w, "num_attention_heads", "attention.head_count"));
    KD_TRY(put(&w, "num_key_value_heads", number(&w, "attention.head_count_kv", number(&w, "attention.head_count", 1))));
    KD_TRY(need(&w, "max_position_embeddings", "context_length"));
    KD_TRY(need(&w, "rms_norm_eps", "attention.layer_norm_rms_epsilon"));
    KD_TRY(put(&w, "rope_theta", number(&w, "rope.freq_base", 10000)));
    const double width = number(&w, "attention.key_length", number(&w, "embedding_length", 0) / number(&w, "attention.head_count", 1));
    KD_FAIL_IF(number(&w, "rope.dimension_count", width) != width, KD_ERR_UNSUPPORTED, "GGUF: rotation of a part of each head is not supported");
    KD_TRY(put(&w, "head_dim", width));
    if (kd__gguf_equals(name, "llama")) {
        if (kd__gguf_tensor_find(file, "blk.0.attn_q.bias")) KD_TRY(kd__text_format(to, ",\"attention_bias\":true"));
        if (kd__gguf_tensor_find(file, "blk.0.ffn_gate.bias")) KD_TRY(kd__text_format(to, ",\"mlp_bias\":true"));
    }
    KD_TRY(put_scaling(&w));
    return kd__text_append(to, "}", 1);
}

/* ---- tensors ---- */

static const struct {
    const char *ours, *theirs;
} names[] = { { "input_layernorm", "attn_norm" },    { "self_attn.q_proj", "attn_q" },
              { "self_attn.k_proj", "attn_k" },      { "self_attn.v_proj", "attn_v" },
              { "self_attn.o_proj", "attn_output" }, { "self_attn.q_norm", "attn_q_norm" },
              { "self_attn.k_norm", "attn_k_norm" }, { "post_attention_layernorm", "ffn_norm" },
              { "mlp.gate_proj", "ffn_gate" },       { "mlp.up_proj", "ffn_up" },
              { "mlp.down_proj", "ffn_down" } };

int kd__gguf_name(const char *ours, char theirs[KD_MAX_NAME])
{
    int layer, rest = 0;
    if (!strcmp(ours, "model.embed_tokens.weight")) return snprintf(theirs, KD_MAX_NAME, "token_embd.weight") > 0;
    if (!strcmp(ours, "model.norm.weight")) return snprintf(theirs, KD_MAX_NAME, "output_norm.weight") > 0;
    if (!strcmp(ours, "lm_head.weight")) return snprintf(theirs, KD_MAX_NAME, "output.weight") > 0;
    if (sscanf(ours, "model.layers.%d.%n", &layer, &rest) != 1 || !rest) return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t n = strlen(names[i].ours);
        if (!strncmp(ours + rest, names[i].ours, n) && ours[(size_t)rest + n] == '.')
            return snprintf(theirs, KD_MAX_NAME, "blk.%d.%s%s", layer, names[i].theirs, ours + rest + n) > 0;
    }
    return 0;
}

static int is_turned(const kd__decoder *d, const char *name)
{
    return (d->family == KD__LLAMA || d->family == KD__MISTRAL) && (strstr(name, ".q_proj.") || strstr(name, ".k_proj."));
}

int64_t kd__gguf_row_back(const kd__decoder *d, const char *name, int64_t row)
{
    const int64_t half = d->width / 2, i = row % d->width;
    return is_turned(d, name) ? row - i + i / 2 + i % 2 * half : row;
}

int64_t kd__gguf_row(const kd__decoder *d, const char *name, int64_t row)
{
    const int turned = is_turned(d, name);
    const int64_t half = d->width / 2, i = row % d->width;
    return turned ? row - i + i % half * 2 + i / half : row;
}

static kd_status read_tensor(kd_model *model, const kd__tensor *t, const kd__gguf *file)
{
    char name[KD_MAX_NAME] = "";
    const kd__gguf_tensor *found = kd__gguf_name(t->name, name) ? kd__gguf_tensor_find(file, name) : NULL;
    const int64_t width = t->rank == 2 ? t->dims[1] : 1;
    KD_FAIL_IF(!found, KD_ERR_MISMATCH, "GGUF: no tensor %s", name);
    KD_FAIL_IF(found->rank != t->rank || found->dims[0] != t->dims[0] || (t->rank == 2 && found->dims[1] != width), KD_ERR_SHAPE,
               "GGUF: tensor %s: the metadata need (%lld, %lld), the file has (%lld, %lld)", name, (long long)t->dims[0], (long long)width,
               (long long)found->dims[0], (long long)(found->rank > 1 ? found->dims[1] : 1));
    float *to = model->parameters + t->offset;
    if (t->rank == 1) { /* a row of its own; biases of q and k are turned number by number */
        kd__gguf_rows(found, 0, 1, t->dims[0], to);
        if (kd__gguf_row(model->net.decoder, t->name, 1) == 1) return KD_OK;
        float *copy = NULL;
        KD_TRY(KD_NEW(model->object.context, &copy, t->count));
        memcpy(copy, to, (size_t)t->count * sizeof *to);
        for (int64_t i = 0; i < t->count; i++) to[i] = copy[kd__gguf_row(model->net.decoder, t->name, i)];
        kd__release(model->object.context, copy);
        return KD_OK;
    }
    for (int64_t i = 0; i < t->dims[0]; i++) kd__gguf_rows(found, kd__gguf_row(model->net.decoder, t->name, i), 1, width, to + i * width);
    return KD_OK;
}

kd_status kd__gguf_load(kd_model **out, kd_context *context, const char *path, const kd_model_options *options)
{
    kd__gguf file;
    kd__text config = { .context = context };
    kd_model *model = NULL;
    kd__network net = { 0 };
    KD_TRY(kd__gguf_open(&file, context, path));
    kd_status status = kd__gguf_config(&file, &config);
    if (status == KD_OK) status = kd__network_read(&net, context, config.bytes); /* what the metadata claim, before anything large is taken */
    if (status == KD_OK && net.parameters / 3 > file.map.size)
        status = kd__fail(KD_ERR_FORMAT, "%s: the metadata need %lld parameters, the file has %lld bytes", path, (long long)net.parameters,
                          (long long)file.map.size);
    kd__network_free(&net, context);
    if (status == KD_OK) status = kd__model_make(&model, context, config.bytes, options);
    for (int64_t i = 0; status == KD_OK && i < model->net.tensor_count; i++) status = read_tensor(model, &model->net.tensors[i], &file);
    if (status == KD_OK) status = kd__model_finish(model);
    kd__text_free(&config);
    kd__gguf_close(&file);
    if (status != KD_OK) {
        kd_model_free(model);
        return status;
    }
    *out = model;
    return KD_OK;
}
