/* Language models as GGUF files. */
#include <kdistill/gguf.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "formats/gguf_put.h"
#include "language/gguf/gguf_plan.h"
#include "language/tokenizer/ends.h"
#include "language/tokenizer/gguf_tokenizer.h"

typedef struct {
    kd_model *model;
    const kd__trunk_config *d;
    kd_tokenizer *t;
    kd_context *context;
    const char *architecture;
    kd__gguf_plan *plan;
    kd__text pairs, infos;
    int64_t pair_count, offset;
    kd__output output;
} writer;

/* ---- key-values ---- */

static kd_status begin_pair(writer *w, const char *key, int32_t type)
{
    char whole[96];
    if (*key == '.') snprintf(whole, sizeof whole, "%s%s", w->architecture, key);
    else snprintf(whole, sizeof whole, "%s", key);
    w->pair_count++;
    return kd__gguf_put_key(&w->pairs, whole, type);
}

static kd_status put_count(writer *w, const char *key, int64_t value)
{
    KD_TRY(begin_pair(w, key, KD__GGUF_U32));
    return kd__gguf_put32(&w->pairs, (uint32_t)value);
}

static kd_status put_flag(writer *w, const char *key, int on)
{
    const uint8_t byte = on != 0;
    KD_TRY(begin_pair(w, key, KD__GGUF_BOOL));
    return kd__text_append(&w->pairs, &byte, 1);
}

static kd_status put_float(writer *w, const char *key, double value)
{
    uint8_t bytes[4];
    kd__put_float(bytes, (float)value);
    KD_TRY(begin_pair(w, key, KD__GGUF_F32));
    return kd__text_append(&w->pairs, bytes, sizeof bytes);
}

static kd_status put_text(writer *w, const char *key, const char *text)
{
    KD_TRY(begin_pair(w, key, KD__GGUF_STRING));
    return kd__gguf_put_string(&w->pairs, text, (int64_t)strlen(text));
}

static kd_status begin_array(writer *w, const char *key, int32_t items, int64_t count)
{
    KD_TRY(begin_pair(w, key, KD__GGUF_ARRAY));
    KD_TRY(kd__gguf_put32(&w->pairs, (uint32_t)items));
    return kd__gguf_put64(&w->pairs, (uint64_t)count);
}

/* The float32 x whose product with `own` is `whole` in float32: the nearest quotient or a
 * neighbor. There may be none (own > 1 skips numbers); then the product is off by one unit in
 * the last place. */
static float attention_part(double whole, double own)
{
    const float nearest = (float)(whole / own);
    const float each[] = { nearest, nextafterf(nearest, 0), nextafterf(nearest, INFINITY) };
    for (int i = 0; i < 3; i++)
        if ((float)(each[i] * own) == (float)whole) return each[i];
    return nearest;
}

/* Readers multiply attn_factor with yarn's own 0.1 log(factor) + 1; attention is the whole. Llama
 * 3's divisors, and given ones, are the tensor rope_freqs.weight. */
static kd_status put_scaling(writer *w)
{
    const kd__rope *r = &w->d->rope;
    const int yarn = r->kind == KD__ROPE_YARN;
    const double own = yarn && r->factor > 1 ? 0.1 * log((float)r->factor) + 1 : 1;
    const float part = attention_part(r->attention, own);
    if (yarn || r->kind == KD__ROPE_LINEAR) {
        KD_TRY(put_text(w, ".rope.scaling.type", yarn ? "yarn" : "linear"));
        KD_TRY(put_float(w, ".rope.scaling.factor", r->factor));
        KD_TRY(put_count(w, ".rope.scaling.original_context_length", (int64_t)r->original));
    }
    if ((yarn || r->kind == KD__ROPE_DIVISORS) && part != 1)
        KD_TRY(put_float(w, ".rope.scaling.attn_factor", part));
    return KD_OK;
}

static kd_status put_sizes(writer *w)
{
    const kd__trunk_config *d = w->d;
    const kd__rope *r = &d->rope;
    KD_TRY(put_text(w, "general.architecture", w->architecture));
    if (w->plan->o.name) KD_TRY(put_text(w, "general.name", w->plan->o.name));
    KD_TRY(put_count(w, "general.alignment", KD__GGUF_ALIGNMENT));
    KD_TRY(put_count(w, "general.file_type", kd__gguf_file_type(&w->plan->o)));
    if (kd__block_find(w->plan->o.format)) KD_TRY(put_count(w, "general.quantization_version", 2));
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
    return put_scaling(w);
}

/* ---- the tokenizer ---- */

/* A name that no token has. */
static void unused_name(const kd_tokenizer *t, int64_t id, char name[64])
{
    int bytes = snprintf(name, 64, "[PAD%lld]", (long long)id);
    for (; bytes < 63 && kd__find_token(t, name, bytes) >= 0; bytes++)
        snprintf(name + bytes, 2, "_");
}

static int32_t kind_of(const kd_tokenizer *t, int64_t id)
{
    enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE };
    const int32_t flags = id < t->size && t->tokens[id].text ? t->tokens[id].flags : -1;
    if (flags < 0) return UNUSED;
    if (flags & KD_TOKEN_SPECIAL) return id == t->unknown ? UNKNOWN : CONTROL;
    if (flags & KD_TOKEN_ADDED) return USER;
    for (int b = 0; b < 256 && t->byte_fallback && !t->byte_level; b++)
        if (t->bytes[b] == id) return BYTE;
    return NORMAL;
}

/* Ids beyond the tokenizer's are embeddings that no text has. */
static kd_status put_tokens(writer *w)
{
    const kd_tokenizer *t = w->t;
    KD_TRY(begin_array(w, "tokenizer.ggml.tokens", KD__GGUF_STRING, w->d->vocabulary));
    for (int64_t i = 0; i < w->d->vocabulary; i++) {
        char unused[64];
        const kd__token *token = i < t->size && t->tokens[i].text ? &t->tokens[i] : NULL;
        KD_FAIL_IF(token && !token->text_bytes, KD_ERR_UNSUPPORTED,
                   "GGUF: token %lld is an empty text", (long long)i);
        unused_name(t, i, unused);
        KD_TRY(kd__gguf_put_string(&w->pairs, token ? token->text : unused,
                                   token ? token->text_bytes : (int64_t)strlen(unused)));
    }
    KD_TRY(begin_array(w, "tokenizer.ggml.token_type", KD__GGUF_I32, w->d->vocabulary));
    for (int64_t i = 0; i < w->d->vocabulary; i++) {
        const int32_t kind = kind_of(t, i);
        KD_TRY(kd__text_append(&w->pairs, &kind, 4));
    }
    return KD_OK;
}

/* Merges by rank: ids of the two sides. */
static kd_status order_merges(const writer *w, uint64_t **pairs, int32_t **made, int64_t *count)
{
    const kd_tokenizer *t = w->t;
    *count = 0;
    for (int64_t i = 0; i < t->merges_size; i++)
        if (t->merges[i].pair != UINT64_MAX && t->merges[i].rank >= *count)
            *count = t->merges[i].rank + 1;
    KD_TRY(KD_NEW(w->context, pairs, *count + 1));
    KD_TRY(KD_NEW(w->context, made, *count + 1));
    for (int64_t i = 0; i < *count; i++) (*made)[i] = -1;
    for (int64_t i = 0; i < t->merges_size; i++)
        if (t->merges[i].pair != UINT64_MAX)
            (*pairs)[t->merges[i].rank] = t->merges[i].pair,
            (*made)[t->merges[i].rank] = t->merges[i].id;
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
        KD_TRY(kd__gguf_put64(&w->pairs, bytes));
        KD_TRY(kd__text_append(&w->pairs, left->text, (size_t)left->text_bytes));
        KD_TRY(kd__text_append(&w->pairs, " ", 1));
        KD_TRY(kd__text_append(&w->pairs, right->text, (size_t)right->text_bytes));
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
    kd__little_bytes(scores, w->d->vocabulary, sizeof *scores);
    kd_status status = begin_array(w, "tokenizer.ggml.scores", KD__GGUF_F32, w->d->vocabulary);
    if (status == KD_OK)
        status = kd__text_append(&w->pairs, scores, (size_t)w->d->vocabulary * sizeof *scores);
    kd__release(w->context, scores);
    return status;
}

/* Character models begin with a mark for the space, or only have it for spaces; anything else has
 * no name there. */
static int is_marked(const kd_tokenizer *t, int *prefix)
{
    const int64_t n = t->normalizers.count;
    const kd__step *s = t->normalizers.step;
    *prefix = n == 2 && s->type == KD__STEP_PREPEND && !strcmp(s->to, "\xe2\x96\x81");
    const kd__step *last = s + n - 1;
    return !t->cuts.count && n == 1 + *prefix && last->type == KD__STEP_REPLACE &&
           last->to_bytes == 3 && !memcmp(last->to, "\xe2\x96\x81", 3);
}

/* The format knows one token before a text and one after it, which is the token that ends one. */
static kd_status check_around(const kd_tokenizer *t, int32_t end)
{
    KD_FAIL_IF(kd__before_count(t) > 1 || kd__behind_count(t) > 1, KD_ERR_UNSUPPORTED,
               "GGUF: the tokenizer puts %lld tokens before a text and %lld after it: at most one "
               "each is written",
               (long long)kd__before_count(t), (long long)kd__behind_count(t));
    KD_FAIL_IF(kd__behind_count(t) && kd__behind(t, 0) != end, KD_ERR_UNSUPPORTED,
               "GGUF: the tokenizer puts token %d after a text, the token that ends one is %d: "
               "only the same one is written",
               kd__behind(t, 0), end);
    return KD_OK;
}

/* What begins and ends a text. */
static kd_status put_ends(writer *w)
{
    const kd_tokenizer *t = w->t;
    const int32_t begin = kd__before_count(t) ? kd__before(t, 0) : t->begin;
    int32_t end;
    KD_TRY(kd__end_token(w->t, w->plan->o.end_token, &end));
    KD_TRY(check_around(t, end));
    if (kd__behind_count(t)) KD_TRY(put_flag(w, "tokenizer.ggml.add_eos_token", 1));
    if (begin >= 0) KD_TRY(put_count(w, "tokenizer.ggml.bos_token_id", begin));
    if (end >= 0) KD_TRY(put_count(w, "tokenizer.ggml.eos_token_id", end));
    if (w->plan->o.end_token != KD_END_TOKEN_DEFAULT || t->turn_end < 0 || t->turn_end == end)
        return KD_OK;
    return put_count(w, "tokenizer.ggml.eot_token_id", t->turn_end);
}

static kd_status put_tokenizer(writer *w)
{
    const kd_tokenizer *t = w->t;
    uint64_t *pairs = NULL;
    int32_t *made = NULL;
    int64_t count;
    int prefix = 0;
    const kd__gguf_cut *cut = t->byte_level ? kd__gguf_cut_of(t) : NULL;
    KD_FAIL_IF(t->wordpiece.is_model, KD_ERR_UNSUPPORTED,
               "GGUF: a WordPiece tokenizer is not written");
    KD_FAIL_IF(t->byte_level ? !cut : !is_marked(t, &prefix), KD_ERR_UNSUPPORTED,
               "GGUF: the tokenizer's way to normalize and cut text has no name in such files");
    KD_TRY(kd__gguf_check_added(t));
    KD_TRY(kd__gguf_check_bytes(t));
    KD_FAIL_IF(t->size > w->d->vocabulary, KD_ERR_MISMATCH,
               "GGUF: the tokenizer has %lld ids, the model's vocabulary is %lld",
               (long long)t->size, (long long)w->d->vocabulary);
    KD_TRY(put_text(w, "tokenizer.ggml.model", t->byte_level ? "gpt2" : "llama"));
    KD_TRY(put_text(w, "tokenizer.ggml.pre", cut ? cut->name : "default"));
    KD_TRY(put_tokens(w));
    kd_status status = order_merges(w, &pairs, &made, &count);
    if (status == KD_OK && !t->byte_level) status = kd__gguf_check_merges(t, pairs, made, count);
    if (status == KD_OK)
        status = t->byte_level ? put_merges(w, pairs, made, count) : put_scores(w, made, count);
    kd__release(w->context, pairs);
    kd__release(w->context, made);
    KD_TRY(status);
    KD_TRY(put_ends(w));
    if (t->unknown >= 0) KD_TRY(put_count(w, "tokenizer.ggml.unknown_token_id", t->unknown));
    KD_TRY(put_flag(w, "tokenizer.ggml.add_bos_token", kd__before_count(t) > 0));
    if (!t->byte_level) KD_TRY(put_flag(w, "tokenizer.ggml.add_space_prefix", prefix));
    return t->chat_template ? put_text(w, "tokenizer.chat_template", t->chat_template) : KD_OK;
}

/* ---- the file ---- */

static kd_status put_info(writer *w, const kd__gguf_entry *e)
{
    const int64_t half = w->d->width / 2;
    const kd__tensor *t = e->tensor < 0 ? NULL : &w->model->net.tensors[e->tensor];
    const int64_t *dims = t ? t->dims : &half, count = t ? t->count : half;
    const int32_t rank = t ? t->rank : 1;
    KD_TRY(
        kd__gguf_put_tensor(&w->infos, e->name, rank, dims, kd__gguf_type(e->format), w->offset));
    w->offset += kd__round_up(kd__gguf_bytes(e->format, count), KD__GGUF_ALIGNMENT);
    return KD_OK;
}

static kd_status write_padding(writer *w, int64_t bytes)
{
    static const char zeros[KD__GGUF_ALIGNMENT];
    return kd__output_write(&w->output, zeros, kd__round_up(bytes, KD__GGUF_ALIGNMENT) - bytes);
}

static kd_status write_all(writer *w, const char *path)
{
    uint8_t head[24];
    kd__gguf_head(head, w->plan->count, w->pair_count);
    KD_TRY(kd__output_open(&w->output, w->context, path, 1));
    KD_TRY(kd__output_write(&w->output, head, sizeof head));
    KD_TRY(kd__output_write(&w->output, w->pairs.bytes, w->pairs.size));
    KD_TRY(kd__output_write(&w->output, w->infos.bytes, w->infos.size));
    KD_TRY(write_padding(w, (int64_t)sizeof head + w->pairs.size + w->infos.size));
    KD_TRY(kd__gguf_tensors(w->plan, &w->output));
    return kd__output_commit(&w->output);
}

/* llama.cpp reads the ends of yarn's ramp for other architectures only, and rounds them. A factor
 * of 1 stretches nothing. */
static kd_status check_yarn(const kd__trunk_config *d)
{
    const kd__rope *r = &d->rope;
    double low, high;
    if (r->kind != KD__ROPE_YARN || r->factor == 1) return KD_OK;
    KD_FAIL_IF(r->fast != KD__GGUF_BETA_FAST || r->slow != KD__GGUF_BETA_SLOW, KD_ERR_UNSUPPORTED,
               "GGUF: yarn with beta_fast %g and beta_slow %g is not written: its readers take 32 "
               "and 1 for this architecture",
               r->fast, r->slow);
    KD_FAIL_IF(
        !r->truncate, KD_ERR_UNSUPPORTED,
        "GGUF: yarn with truncate false is not written: its readers round the range of pairs");
    kd__rope_yarn_range(r, d->width, &low, &high);
    KD_FAIL_IF(low > high, KD_ERR_UNSUPPORTED,
               "GGUF: yarn whose ramp ends (at pair %g) before it begins (at %g) is not written: "
               "its readers stretch other pairs",
               high, low);
    return KD_OK;
}

static kd_status check_scaling(const kd__trunk_config *d)
{
    const kd__rope *r = &d->rope;
    const int has_length = r->kind == KD__ROPE_LINEAR || r->kind == KD__ROPE_YARN;
    const int has_divisors = r->kind == KD__ROPE_LLAMA3 || r->kind == KD__ROPE_DIVISORS;
    KD_FAIL_IF(has_divisors && (d->family == KD__QWEN2 || d->family == KD__QWEN3),
               KD_ERR_UNSUPPORTED,
               "GGUF: rope_type %s of a qwen model is not written: rope_freqs.weight belongs to "
               "llama alone",
               r->kind == KD__ROPE_LLAMA3 ? "llama3" : "longrope");
    KD_FAIL_IF(r->kind == KD__ROPE_DYNAMIC, KD_ERR_UNSUPPORTED,
               "GGUF: dynamic rope scaling is not written");
    KD_TRY(check_yarn(d));
    KD_FAIL_IF(has_length && r->original != floor(r->original), KD_ERR_UNSUPPORTED,
               "GGUF: original_max_position_embeddings: expected a whole number, got %g",
               r->original);
    return KD_OK;
}

/* A window that no text of the model's positions fills changes nothing. */
static kd_status check_windows(const kd__trunk_config *d)
{
    for (int64_t i = 0; i < d->layers; i++)
        KD_FAIL_IF(d->layer[i].window && d->layer[i].window < d->positions, KD_ERR_UNSUPPORTED,
                   "GGUF: sliding windows are not written: layer %lld sees %lld of %lld tokens",
                   (long long)i, (long long)d->layer[i].window, (long long)d->positions);
    return KD_OK;
}

/* Whether the format has a place for what the model is. */
static kd_status check_model(const kd_model *model)
{
    KD_FAIL_IF(!kd__is_decoder(model), KD_ERR_UNSUPPORTED,
               "GGUF: the model is not a language model");
    const kd__trunk_config *d = kd__trunk_config_of(model);
    KD_FAIL_IF(d->projection >= 0, KD_ERR_UNSUPPORTED,
               "GGUF: factorized embeddings are not written: save with option expand, load that, "
               "and write it");
    KD_FAIL_IF(model->net.heads, KD_ERR_UNSUPPORTED,
               "GGUF has no place for heads (kd_heads): save the model as a folder");
    KD_TRY(check_windows(d));
    KD_TRY(check_scaling(d));
    KD_FAIL_IF(
        d->family == KD__QWEN3 && d->qkv_bias, KD_ERR_UNSUPPORTED,
        "GGUF: attention_bias of qwen3 is not written: the format's qwen3 has no such tensors");
    KD_FAIL_IF(d->classifier, KD_ERR_UNSUPPORTED, "GGUF: classifiers are not written");
    KD_FAIL_IF(d->head < 0, KD_ERR_UNSUPPORTED, "GGUF: models without a head are not written");
    KD_FAIL_IF(
        kd__samples_of(model)->sentence || kd__samples_of(model)->chain[KD__CHAIN_EMBEDDING].count,
        KD_ERR_UNSUPPORTED, "GGUF: embeddings of texts (config key kd_pooling) are not written");
    return KD_OK;
}

static kd_status put_all(writer *w)
{
    KD_TRY(put_sizes(w));
    KD_TRY(put_tokenizer(w));
    for (int64_t i = 0; i < w->plan->count; i++) KD_TRY(put_info(w, &w->plan->entries[i]));
    return KD_OK;
}

static kd_status write_plan(kd__gguf_plan *plan, kd_tokenizer *tokenizer, const char *path)
{
    kd_context *context = plan->model->object.context;
    const int32_t family = plan->d->family;
    writer w = { .model = plan->model,
                 .d = plan->d,
                 .t = tokenizer,
                 .context = context,
                 .architecture = family == KD__QWEN2   ? "qwen2"
                                 : family == KD__QWEN3 ? "qwen3"
                                                       : "llama",
                 .plan = plan,
                 .pairs = { .context = context },
                 .infos = { .context = context },
                 .output = { .context = context, .file = -1 } };
    kd_status status = put_all(&w);
    if (status == KD_OK) {
        status = write_all(&w, path);
        if (status != KD_OK) kd__output_abandon(&w.output);
    }
    kd__text_free(&w.pairs);
    kd__text_free(&w.infos);
    return status;
}

/* ---- the calls ---- */

/* tokenizer NULL: nothing is written. */
static kd_status run(kd_model *model, kd_tokenizer *tokenizer, const char *path,
                     const kd_gguf_options *options, int32_t forgiving, kd_gguf_info *info)
{
    kd__gguf_plan plan = { .forgiving = forgiving };
    KD_TRY(check_model(model));
    KD_TRY(kd__model_refresh(model));
    kd_status status = kd__gguf_plan_make(&plan, model, options);
    if (status == KD_OK)
        status = tokenizer ? write_plan(&plan, tokenizer, path) : kd__gguf_tensors(&plan, NULL);
    if (status == KD_OK && info)
        status = kd__info_write(info, &plan.info, sizeof plan.info, "kd_gguf_info");
    kd__gguf_plan_free(&plan);
    return status;
}

kd_status kd_model_write_gguf(kd_model *model, kd_tokenizer *tokenizer, const char *path,
                              const kd_gguf_options *options, kd_gguf_info *info)
{
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    KD_NEED(model);
    KD_NEED(tokenizer);
    KD_NEED(path);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_gguf_options"));
    return run(model, tokenizer, path, &o, 0, info);
}

kd_status kd_model_plan_gguf(kd_model *model, const kd_gguf_options *options, kd_gguf_info *info)
{
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    KD_NEED(model);
    KD_NEED(info);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_gguf_options"));
    return run(model, NULL, NULL, &o, 0, info);
}

kd_status kd_model_save_gguf(kd_model *model, kd_tokenizer *tokenizer, const char *path,
                             int32_t dtype, int32_t end_token)
{
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    KD_NEED(model);
    KD_NEED(tokenizer);
    KD_NEED(path);
    KD_FAIL_IF(dtype != KD_FLOAT32 && dtype != KD_FLOAT16 && dtype != KD_INT8, KD_ERR_UNSUPPORTED,
               "GGUF: expected float32 (%d), float16 (%d) or 8 bits (%d), got %d: other formats "
               "are kd_model_write_gguf's",
               KD_FLOAT32, KD_FLOAT16, KD_INT8, dtype);
    o.format = dtype == KD_INT8 ? KD_BLOCK_Q8_0 : dtype;
    o.mixture = KD_MIX_PURE;
    o.end_token = end_token;
    return run(model, tokenizer, path, &o, 1, NULL);
}
