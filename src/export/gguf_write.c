/* Language models as GGUF files. */
#include <kdistill/gguf.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "model/gguf_model.h"
#include "tokenizer/gguf_tokenizer.h"

#define ALIGNMENT 32

typedef struct {
    kd_model *model;
    const kd__decoder *d;
    kd_tokenizer *t;
    kd_context *context;
    const char *architecture;
    int32_t dtype, end_token;
    kd__text pairs, infos;
    int64_t pair_count, tensor_count, offset;
    kd__output output;
} writer;

/* ---- key-values ---- */

static kd_status put(kd__text *to, const void *bytes, size_t size) { return kd__text_append(to, bytes, size); }

static kd_status put_string(kd__text *to, const char *text, int64_t bytes)
{
    const uint64_t size = (uint64_t)bytes;
    KD_TRY(put(to, &size, 8));
    return put(to, text, (size_t)bytes);
}

static kd_status begin_pair(writer *w, const char *key, int32_t type)
{
    char whole[96];
    if (*key == '.') snprintf(whole, sizeof whole, "%s%s", w->architecture, key);
    else snprintf(whole, sizeof whole, "%s", key);
    w->pair_count++;
    KD_TRY(put_string(&w->pairs, whole, (int64_t)strlen(whole)));
    return put(&w->pairs, &type, 4);
}

static kd_status put_count(writer *w, const char *key, int64_t value)
{
    const uint32_t number = (uint32_t)value;
    KD_TRY(begin_pair(w, key, KD__GGUF_U32));
    return put(&w->pairs, &number, 4);
}

static kd_status put_flag(writer *w, const char *key, int on)
{
    const uint8_t byte = on != 0;
    KD_TRY(begin_pair(w, key, KD__GGUF_BOOL));
    return put(&w->pairs, &byte, 1);
}

static kd_status put_float(writer *w, const char *key, double value)
{
    const float number = (float)value;
    KD_TRY(begin_pair(w, key, KD__GGUF_F32));
    return put(&w->pairs, &number, 4);
}

static kd_status put_text(writer *w, const char *key, const char *text)
{
    KD_TRY(begin_pair(w, key, KD__GGUF_STRING));
    return put_string(&w->pairs, text, (int64_t)strlen(text));
}

static kd_status begin_array(writer *w, const char *key, int32_t items, int64_t count)
{
    const uint64_t size = (uint64_t)count;
    KD_TRY(begin_pair(w, key, KD__GGUF_ARRAY));
    KD_TRY(put(&w->pairs, &items, 4));
    return put(&w->pairs, &size, 8);
}

static kd_status put_sizes(writer *w)
{
    const kd__decoder *d = w->d;
    const kd__rope *r = &d->rope;
    KD_TRY(put_text(w, "general.architecture", w->architecture));
    KD_TRY(put_count(w, "general.alignment", ALIGNMENT));
    KD_TRY(put_count(w, "general.file_type", w->dtype == KD_FLOAT32 ? 0 : w->dtype == KD_FLOAT16 ? 1 : 7));
    KD_TRY(put_count(w, ".block_count", d->layers));
    KD_TRY(put_count(w, ".context_length", d->positions));
    KD_TRY(put_count(w, ".embedding_length", d->hidden));
    KD_TRY(put_count(w, ".feed_forward_length", d->inner));
    KD_TRY(put_count(w, ".attention.head_count", d->heads));
    KD_TRY(put_count(w, ".attention.head_count_kv", d->kv_heads));
    KD_TRY(put_count(w, ".attention.key_length", d->width));
    KD_TRY(put_count(w, ".attention.value_length", d->width));
    KD_TRY(put_count(w, ".rope.dimension_count", d->width));
    KD_TRY(put_count(w, ".vocab_size", d->vocabulary));
    KD_TRY(put_float(w, ".attention.layer_norm_rms_epsilon", d->epsilon));
    KD_TRY(put_float(w, ".rope.freq_base", r->theta));
    if (r->kind == KD__ROPE_LINEAR || r->kind == KD__ROPE_YARN) {
        KD_TRY(put_text(w, ".rope.scaling.type", r->kind == KD__ROPE_YARN ? "yarn" : "linear"));
        KD_TRY(put_float(w, ".rope.scaling.factor", r->factor));
        KD_TRY(put_count(w, ".rope.scaling.original_context_length", (int64_t)r->original));
    }
    return KD_OK;
}

/* ---- the tokenizer ---- */

/* Ids beyond the tokenizer's are embeddings that no text has. */
static kd_status put_tokens(writer *w)
{
    const kd_tokenizer *t = w->t;
    KD_TRY(begin_array(w, "tokenizer.ggml.tokens", KD__GGUF_STRING, w->d->vocabulary));
    for (int64_t i = 0; i < w->d->vocabulary; i++) {
        char unused[32];
        const int known = i < t->size && t->tokens[i].text;
        snprintf(unused, sizeof unused, "[PAD%lld]", (long long)i);
        KD_TRY(put_string(&w->pairs, known ? t->tokens[i].text : unused, known ? t->tokens[i].text_bytes : (int64_t)strlen(unused)));
    }
    KD_TRY(begin_array(w, "tokenizer.ggml.token_type", KD__GGUF_I32, w->d->vocabulary));
    for (int64_t i = 0; i < w->d->vocabulary; i++) {
        const kd__token *token = i < t->size && t->tokens[i].text ? &t->tokens[i] : NULL;
        int32_t kind = !token ? 5 : i == t->unknown ? 2 : token->flags & KD_TOKEN_SPECIAL ? 3 : token->flags & KD_TOKEN_ADDED ? 4 : 1;
        for (int b = 0; b < 256 && t->byte_fallback && !t->byte_level; b++)
            if (t->bytes[b] == i) kind = 6;
        KD_TRY(put(&w->pairs, &kind, 4));
    }
    return KD_OK;
}

/* Merges by rank: ids of the two sides. */
static kd_status order_merges(const writer *w, uint64_t **pairs, int32_t **made, int64_t *count)
{
    const kd_tokenizer *t = w->t;
    *count = 0;
    for (int64_t i = 0; i < t->merges_size; i++)
        if (t->merges[i].pair != UINT64_MAX && t->merges[i].rank >= *count) *count = t->merges[i].rank + 1;
    KD_TRY(KD_NEW(w->context, pairs, *count + 1));
    KD_TRY(KD_NEW(w->context, made, *count + 1));
    for (int64_t i = 0; i < *count; i++) (*made)[i] = -1;
    for (int64_t i = 0; i < t->merges_size; i++)
        if (t->merges[i].pair != UINT64_MAX) (*pairs)[t->merges[i].rank] = t->merges[i].pair, (*made)[t->merges[i].rank] = t->merges[i].id;
    return KD_OK;
}

static kd_status put_merges(writer *w, const uint64_t *pairs, const int32_t *made, int64_t count)
{
    const kd_tokenizer *t = w->t;
    int64_t there = 0;
    for (int64_t i = 0; i < count; i++) there += made[i] >= 0;
    KD_TRY(begin_array(w, "tokenizer.ggml.merges", KD__GGUF_STRING, there));
    for (int64_t i = 0; i < count; i++) {
        const kd__token *left = &t->tokens[pairs[i] >> 32], *right = &t->tokens[(uint32_t)pairs[i]];
        const uint64_t bytes = (uint64_t)(left->text_bytes + 1 + right->text_bytes);
        if (made[i] < 0) continue;
        KD_TRY(put(&w->pairs, &bytes, 8));
        KD_TRY(put(&w->pairs, left->text, (size_t)left->text_bytes));
        KD_TRY(put(&w->pairs, " ", 1));
        KD_TRY(put(&w->pairs, right->text, (size_t)right->text_bytes));
    }
    return KD_OK;
}

/* Such files rank tokens, not pairs: a token's score is that of the first merge that makes it. */
static kd_status put_scores(writer *w, const int32_t *made, int64_t count)
{
    float *scores = NULL;
    KD_TRY(KD_NEW(w->context, &scores, w->d->vocabulary));
    for (int64_t i = count; i-- > 0;)
        if (made[i] >= 0 && made[i] < w->d->vocabulary) scores[made[i]] = -(float)i;
    kd_status status = begin_array(w, "tokenizer.ggml.scores", KD__GGUF_F32, w->d->vocabulary);
    if (status == KD_OK) status = put(&w->pairs, scores, (size_t)w->d->vocabulary * sizeof *scores);
    kd__release(w->context, scores);
    return status;
}

/* Character models begin with a mark for the space, or only have it for spaces; anything else has no name there. */
static int is_marked(const kd_tokenizer *t, int *prefix)
{
    const int64_t n = t->normalizers.count;
    const kd__step *s = t->normalizers.step;
    *prefix = n == 2 && s->type == KD__STEP_PREPEND && !strcmp(s->to, "\xe2\x96\x81");
    const kd__step *last = s + n - 1;
    return !t->cuts.count && n == 1 + *prefix && last->type == KD__STEP_REPLACE && last->to_bytes == 3 && !memcmp(last->to, "\xe2\x96\x81", 3);
}

static kd_status put_tokenizer(writer *w)
{
    const kd_tokenizer *t = w->t;
    uint64_t *pairs = NULL;
    int32_t *made = NULL;
    int64_t count;
    int prefix = 0;
    const kd__gguf_cut *cut = t->byte_level ? kd__gguf_cut_of(t) : NULL;
    KD_FAIL_IF(t->byte_level ? !cut : !is_marked(t, &prefix), KD_ERR_UNSUPPORTED,
               "GGUF: the tokenizer's way to normalise and cut text has no name in such files");
    KD_FAIL_IF(t->size > w->d->vocabulary, KD_ERR_MISMATCH, "GGUF: the tokenizer has %lld ids, the model's vocabulary is %lld", (long long)t->size,
               (long long)w->d->vocabulary);
    KD_TRY(put_text(w, "tokenizer.ggml.model", t->byte_level ? "gpt2" : "llama"));
    KD_TRY(put_text(w, "tokenizer.ggml.pre", cut ? cut->name : "default"));
    KD_TRY(put_tokens(w));
    kd_status status = order_merges(w, &pairs, &made, &count);
    if (status == KD_OK) status = t->byte_level ? put_merges(w, pairs, made, count) : put_scores(w, made, count);
    kd__release(w->context, pairs);
    kd__release(w->context, made);
    KD_TRY(status);
    if (t->before_count) KD_TRY(put_count(w, "tokenizer.ggml.bos_token_id", t->before[0]));
    if (w->end_token >= 0) KD_TRY(put_count(w, "tokenizer.ggml.eos_token_id", w->end_token));
    if (t->unknown >= 0) KD_TRY(put_count(w, "tokenizer.ggml.unknown_token_id", t->unknown));
    KD_TRY(put_flag(w, "tokenizer.ggml.add_bos_token", t->before_count > 0));
    if (!t->byte_level) KD_TRY(put_flag(w, "tokenizer.ggml.add_space_prefix", prefix));
    return t->chat_template ? put_text(w, "tokenizer.chat_template", t->chat_template) : KD_OK;
}

/* ---- tensors: each is visited twice, for its entry and for its numbers ---- */

static int32_t type_of(const writer *w, const kd__tensor *t)
{
    if (t->rank == 1 || w->dtype == KD_FLOAT32) return KD__GGML_F32;
    return w->dtype == KD_INT8 && t->dims[1] % 32 == 0 ? KD__GGML_Q8_0 : KD__GGML_F16;
}

static kd_status put_info(writer *w, const char *name, int32_t rank, const int64_t *dims, int32_t type)
{
    int64_t count = 1;
    KD_TRY(put_string(&w->infos, name, (int64_t)strlen(name)));
    KD_TRY(put(&w->infos, &rank, 4));
    for (int32_t i = rank; i-- > 0; count *= dims[i]) KD_TRY(put(&w->infos, &dims[i], 8));
    KD_TRY(put(&w->infos, &type, 4));
    KD_TRY(put(&w->infos, &w->offset, 8));
    w->offset += (kd__ggml_bytes(type, count) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    w->tensor_count++;
    return KD_OK;
}

/* Blocks of 32: a float16 scale, 32 bytes. */
static void pack_q8(const float *x, int64_t n, uint8_t *to)
{
    for (int64_t i = 0; i < n; i += 32, to += 34) {
        float largest = 0;
        for (int j = 0; j < 32; j++) largest = fabsf(x[i + j]) > largest ? fabsf(x[i + j]) : largest;
        const float d = largest / 127, inverse = d > 0 ? 1 / d : 0;
        kd__convert_from_float32(to, KD_FLOAT16, &d, 1);
        for (int j = 0; j < 32; j++) to[2 + j] = (uint8_t)(int8_t)lrintf(x[i + j] * inverse);
    }
}

static kd_status write_row(writer *w, const float *x, int64_t n, int32_t type, uint8_t *spare)
{
    if (type == KD__GGML_F32) return kd__output_write(&w->output, x, n * 4);
    if (type == KD__GGML_F16) kd__convert_from_float32(spare, KD_FLOAT16, x, n);
    else pack_q8(x, n, spare);
    return kd__output_write(&w->output, spare, kd__ggml_bytes(type, n));
}

static kd_status write_padding(writer *w, int64_t bytes)
{
    static const char zeros[ALIGNMENT];
    return kd__output_write(&w->output, zeros, (ALIGNMENT - bytes % ALIGNMENT) % ALIGNMENT);
}

static kd_status write_tensor(writer *w, int32_t tensor, int32_t type)
{
    const kd__tensor *t = &w->model->net.tensors[tensor];
    const float *x = kd__tensor_values(w->model, tensor);
    const int64_t width = t->rank == 2 ? t->dims[1] : 1;
    uint8_t *spare = NULL;
    KD_TRY(KD_NEW(w->context, &spare, 4 * width + 64));
    kd_status status = KD_OK;
    for (int64_t i = 0; i < t->dims[0] && status == KD_OK; i++) /* our row i lies at kd__gguf_row(i) there: find what lies at i */
        status = write_row(w, x + kd__gguf_row_back(w->d, t->name, i) * width, width, type, spare);
    kd__release(w->context, spare);
    return status == KD_OK ? write_padding(w, kd__ggml_bytes(type, t->count)) : status;
}

static kd_status visit(writer *w, int32_t tensor, int64_t layer, int writing)
{
    char name[KD_MAX_NAME], copy[KD_MAX_NAME];
    if (tensor < 0) return KD_OK;
    const kd__tensor *t = &w->model->net.tensors[tensor];
    const int32_t type = type_of(w, t);
    if (writing) return write_tensor(w, tensor, type);
    const char *rest = layer < 0 ? NULL : strchr(t->name + strlen("model.layers."), '.');
    if (rest) snprintf(copy, sizeof copy, "model.layers.%d%.40s", (int)layer, rest);
    else snprintf(copy, sizeof copy, "%s", t->name);
    KD_FAIL_IF(!kd__gguf_name(copy, name), KD_ERR_UNSUPPORTED, "GGUF: tensor %s has no name there", copy);
    return put_info(w, name, t->rank, t->dims, type);
}

/* Llama 3's scaling is a tensor of divisors there. */
static kd_status visit_divisors(writer *w, int writing)
{
    float plain[512], scaled[512];
    kd__rope base = w->d->rope;
    const int64_t half = w->d->width / 2;
    if (base.kind != KD__ROPE_LLAMA3) return KD_OK;
    if (!writing) return put_info(w, "rope_freqs.weight", 1, &half, KD__GGML_F32);
    kd__rope_frequencies(&w->d->rope, w->d->width, 1, scaled);
    base.kind = KD__ROPE_DEFAULT;
    kd__rope_frequencies(&base, w->d->width, 1, plain);
    for (int64_t i = 0; i < half; i++) plain[i] /= scaled[i];
    KD_TRY(kd__output_write(&w->output, plain, half * 4));
    return write_padding(w, half * 4);
}

static kd_status visit_all(writer *w, int writing)
{
    const kd__decoder *d = w->d;
    KD_TRY(visit(w, d->embedding, -1, writing));
    for (int64_t i = 0; i < d->layers; i++) {
        const kd__decoder_layer *l = &d->layer[i];
        const int32_t each[] = { l->norm1, l->q,  l->k,     l->v,    l->qb, l->kb,    l->vb,  l->qn,   l->kn,
                                 l->o,     l->ob, l->norm2, l->gate, l->up, l->gateb, l->upb, l->down, l->downb };
        for (size_t k = 0; k < sizeof each / sizeof *each; k++) KD_TRY(visit(w, each[k], i, writing));
    }
    KD_TRY(visit(w, d->norm, -1, writing));
    if (!d->tied) KD_TRY(visit(w, d->head, -1, writing));
    return visit_divisors(w, writing);
}

static kd_status write_all(writer *w, const char *path)
{
    const uint32_t magic = 0x46554747, version = 3;
    const uint64_t counts[2] = { (uint64_t)w->tensor_count, (uint64_t)w->pair_count };
    KD_TRY(kd__output_open(&w->output, w->context, path, 1));
    KD_TRY(kd__output_write(&w->output, &magic, 4));
    KD_TRY(kd__output_write(&w->output, &version, 4));
    KD_TRY(kd__output_write(&w->output, counts, 16));
    KD_TRY(kd__output_write(&w->output, w->pairs.bytes, w->pairs.size));
    KD_TRY(kd__output_write(&w->output, w->infos.bytes, w->infos.size));
    KD_TRY(write_padding(w, 24 + w->pairs.size + w->infos.size));
    KD_TRY(visit_all(w, 1));
    return kd__output_commit(&w->output);
}

static kd_status check(const writer *w)
{
    for (int64_t i = 0; i < w->d->layers; i++) KD_FAIL_IF(w->d->layer[i].window, KD_ERR_UNSUPPORTED, "GGUF: sliding windows are not written");
    KD_FAIL_IF(w->d->classifier, KD_ERR_UNSUPPORTED, "GGUF: classifiers are not written");
    KD_FAIL_IF(w->d->rope.kind == KD__ROPE_DYNAMIC, KD_ERR_UNSUPPORTED, "GGUF: dynamic rope scaling is not written");
    KD_FAIL_IF(w->d->rope.kind == KD__ROPE_LLAMA3 && (w->d->rope.low != 1 || w->d->rope.high != 4), KD_ERR_UNSUPPORTED,
               "GGUF: rope factors other than Llama 3's are not written");
    KD_FAIL_IF(w->dtype != KD_FLOAT32 && w->dtype != KD_FLOAT16 && w->dtype != KD_INT8, KD_ERR_UNSUPPORTED,
               "GGUF: expected float32 (%d), float16 (%d) or 8 bits (%d), got %d", KD_FLOAT32, KD_FLOAT16, KD_INT8, w->dtype);
    return KD_OK;
}

kd_status kd_gguf_save(kd_model *model, kd_tokenizer *tokenizer, const char *path, int32_t dtype, int32_t end_token)
{
    KD_NEED(model);
    KD_NEED(tokenizer);
    KD_NEED(path);
    KD_FAIL_IF(!model->net.decoder, KD_ERR_UNSUPPORTED, "GGUF: the model is no language model");
    KD_FAIL_IF(model->net.decoder->projection >= 0, KD_ERR_UNSUPPORTED, "GGUF knows no factorised embeddings: save with expand and load that first");
    kd_context *context = model->object.context;
    const int32_t family = model->net.decoder->family;
    writer w = { .model = model,
                 .d = model->net.decoder,
                 .t = tokenizer,
                 .context = context,
                 .architecture = family == KD__QWEN2   ? "qwen2"
                                 : family == KD__QWEN3 ? "qwen3"
                                                       : "llama",
                 .dtype = dtype,
                 .end_token = end_token,
                 .pairs = { .context = context },
                 .infos = { .context = context },
                 .output = { .context = context, .file = -1 } };
    KD_TRY(check(&w));
    KD_TRY(kd__lora_refresh(model));
    kd_status status = put_sizes(&w);
    if (status == KD_OK) status = put_tokenizer(&w);
    if (status == KD_OK) status = visit_all(&w, 0);
    if (status == KD_OK) {
        status = write_all(&w, path);
        if (status != KD_OK) kd__output_abandon(&w.output);
    }
    kd__text_free(&w.pairs);
    kd__text_free(&w.infos);
    return status;
}
