/* A config out of a GGUF file's metadata, in transformers' keys. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/gguf_keys.h"
#include "base/numbers.h"
#include "base/text.h"
#include "language/gguf/gguf_model.h"

#define MOST_PAIRS 512 /* of a head's numbers */

/* What is known under "llama.", "qwen2.", "qwen3.". */
static const kd__gguf_key keys[] = {
    { "context_length", KD__GGUF_NUMBER, 0 },
    { "embedding_length", KD__GGUF_NUMBER, 0 },
    { "block_count", KD__GGUF_NUMBER, 0 },
    { "vocab_size", KD__GGUF_NUMBER, 0 },
    { "feed_forward_length", KD__GGUF_LAYERS, 0 },
    { "attention.head_count", KD__GGUF_LAYERS, 0 },
    { "attention.head_count_kv", KD__GGUF_LAYERS, 0 },
    { "attention.key_length", KD__GGUF_NUMBER, 0 },
    { "attention.value_length", KD__GGUF_NUMBER, 0 },
    { "attention.layer_norm_rms_epsilon", KD__GGUF_NUMBER, 0 },
    { "rope.dimension_count", KD__GGUF_NUMBER, 0 },
    { "rope.freq_base", KD__GGUF_NUMBER, 0 },
    { "rope.scale_linear", KD__GGUF_NUMBER, 0 },
    { "rope.scaling.type", KD__GGUF_TEXT, 0 },
    { "rope.scaling.factor", KD__GGUF_NUMBER, 0 },
    { "rope.scaling.attn_factor", KD__GGUF_NUMBER, 0 },
    { "rope.scaling.original_context_length", KD__GGUF_NUMBER, 0 },
    { "rope.scaling.yarn_beta_fast", KD__GGUF_FIXED, KD__GGUF_BETA_FAST },
    { "rope.scaling.yarn_beta_slow", KD__GGUF_FIXED, KD__GGUF_BETA_SLOW },
    { "rope.scaling.yarn_log_multiplier", KD__GGUF_FIXED, 0 },
    { "rope.scaling.yarn_ext_factor", KD__GGUF_FIXED, 1 },
    { "rope.scaling.yarn_attn_factor", KD__GGUF_FIXED, 1 },
    { "attention.sliding_window", KD__GGUF_FIXED, 0 },
    { "attention.causal", KD__GGUF_FIXED, 1 },
    { "attention.scale", KD__GGUF_NUMBER, 0 },
    { "attention.clamp_kqv", KD__GGUF_FIXED, 0 },
    { "attention.max_alibi_bias", KD__GGUF_FIXED, 0 },
    { "attn_logit_softcapping", KD__GGUF_FIXED, 0 },
    { "final_logit_softcapping", KD__GGUF_FIXED, 0 },
    { "logit_scale", KD__GGUF_FIXED, 1 },
    { "residual_scale", KD__GGUF_FIXED, 1 },
    { "embedding_scale", KD__GGUF_FIXED, 1 },
    { "use_parallel_residual", KD__GGUF_FIXED, 0 },
    { "expert_count", KD__GGUF_FIXED, 0 },
    { "expert_used_count", KD__GGUF_FIXED, 0 },
    { "expert_shared_count", KD__GGUF_FIXED, 0 },
    { "leading_dense_block_count", KD__GGUF_FIXED, 0 },
    { "nextn_predict_layers", KD__GGUF_FIXED, 0 },
    { "rope.scaling.finetuned", KD__GGUF_HARMLESS, 0 }, /* a note */
    { "tensor_data_layout", KD__GGUF_HARMLESS, 0 },     /* a note */
    { "pooling_type", KD__GGUF_HARMLESS, 0 }, /* of what is made of the last hidden states */
};

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

static kd__gguf_string text_of(const writer *w, const char *name)
{
    char key[96];
    snprintf(key, sizeof key, "%s.%s", w->architecture, name);
    return kd__gguf_text(w->file, key);
}

static kd_status put(writer *w, const char *key, double value)
{
    KD_TRY(kd__text_format(w->to, ",\"%s\":", key));
    return kd__text_number(w->to, value);
}

static kd_status need(writer *w, const char *key, const char *name)
{
    const double value = number(w, name, NAN);
    KD_FAIL_IF(!isfinite(value), KD_ERR_FORMAT, "%s: the key %s.%s is missing", w->file->what,
               w->architecture, name);
    return put(w, key, value);
}

/* ---- positions: llama.cpp's rules ---- */

typedef struct {
    int64_t pairs;               /* D/2 */
    double width, factor, times; /* D; linear factor; what cosine and sine are multiplied with */
    float divisors[MOST_PAIRS];  /* of rope_freqs.weight, 1 where there is none */
    int32_t yarn;
} scaling;

static kd_status read_divisors(const writer *w, scaling *s)
{
    const char *file = w->file->what;
    const kd__gguf_tensor *t = kd__gguf_tensor_find(w->file, "rope_freqs.weight");
    for (int64_t i = 0; i < s->pairs; i++) s->divisors[i] = 1;
    if (!t) return KD_OK;
    KD_FAIL_IF(t->rank != 1 || t->count != s->pairs, KD_ERR_SHAPE,
               "%s: rope_freqs.weight: expected %lld numbers for heads of %g, got %lld", file,
               (long long)s->pairs, s->width, (long long)t->count);
    KD_FAIL_IF(s->yarn, KD_ERR_UNSUPPORTED,
               "%s: rope_freqs.weight beside rope.scaling.type yarn is not supported", file);
    kd__gguf_rows(t, 0, 1, t->count, s->divisors);
    for (int64_t i = 0; i < s->pairs; i++) {
        const float divisor = s->divisors[i];
        KD_FAIL_IF(!(divisor >= 1e-6f && divisor <= 1e9f), KD_ERR_FORMAT,
                   "%s: rope_freqs.weight: number %lld: expected 1e-6 to 1e9, got %g", file,
                   (long long)i, (double)divisor);
    }
    return KD_OK;
}

/* A factor without a type is linear; a type of none leaves the factor out. */
static kd_status read_scaling_type(const writer *w, scaling *s, int *none)
{
    const kd__gguf_string kind = text_of(w, "rope.scaling.type");
    const int linear = kd__gguf_equals(kind, "linear");
    *none = kd__gguf_equals(kind, "none");
    s->yarn = kd__gguf_equals(kind, "yarn");
    KD_FAIL_IF(kind.bytes && !*none && !s->yarn && !linear, KD_ERR_UNSUPPORTED,
               "%s: rope.scaling.type %.*s is not none, linear or yarn", w->file->what,
               (int)kd__min(kind.bytes, 40), kind.text);
    return KD_OK;
}

static kd_status read_scaling(const writer *w, scaling *s)
{
    const char *file = w->file->what;
    int none;
    KD_TRY(read_scaling_type(w, s, &none));
    s->factor = number(w, "rope.scaling.factor", 0);
    if (s->factor == 0) s->factor = number(w, "rope.scale_linear", 0);
    if (s->factor == 0 || none) s->factor = 1;
    s->times = number(w, "rope.scaling.attn_factor", 1);
    const double yarn_share = number(w, "rope.scaling.yarn_ext_factor", -1);
    KD_FAIL_IF(!(s->factor >= 1e-3 && s->factor <= 1e6), KD_ERR_UNSUPPORTED,
               "%s: rope.scaling.factor: expected 0.001 to 1e6, got %g", file, s->factor);
    KD_FAIL_IF(!(s->times >= 1e-6 && s->times <= 1e6), KD_ERR_UNSUPPORTED,
               "%s: rope.scaling.attn_factor: expected 1e-6 to 1e6, got %g", file, s->times);
    KD_FAIL_IF(!s->yarn && yarn_share > 0, KD_ERR_UNSUPPORTED,
               "%s: rope.scaling.yarn_ext_factor without rope.scaling.type yarn", file);
    return KD_OK;
}

static double own_attention(double factor) { return factor <= 1 ? 1 : 0.1 * log(factor) + 1; }

/* The config's class and llama.cpp have one ramp only where it ascends. */
static kd_status check_ramp(const writer *w, const scaling *s, double original, double theta)
{
    const kd__rope rope = { .theta = theta,
                            .original = original,
                            .fast = KD__GGUF_BETA_FAST,
                            .slow = KD__GGUF_BETA_SLOW,
                            .truncate = 1 };
    double low, high;
    kd__rope_yarn_range(&rope, 2 * s->pairs, &low, &high);
    KD_FAIL_IF(s->factor > 1 && low > high, KD_ERR_UNSUPPORTED,
               "%s: rope.scaling.type yarn: with original_context_length %g and freq_base %g its "
               "ramp ends (at pair %g) before it begins (at %g)",
               w->file->what, original, theta, high, low);
    return KD_OK;
}

/* attn_factor multiplies what yarn itself does; attention_factor stands for both. */
static kd_status put_yarn(writer *w, const scaling *s, double theta)
{
    const double given = number(w, "rope.scaling.original_context_length", 0);
    const double original = given > 0 ? given : number(w, "context_length", 1);
    KD_TRY(check_ramp(w, s, original, theta));
    KD_TRY(kd__text_format(w->to, ",\"rope_scaling\":{\"rope_type\":\"yarn\""));
    KD_TRY(put(w, "factor", s->factor));
    KD_TRY(put(w, "attention_factor", s->times * own_attention(s->factor)));
    KD_TRY(put(w, "original_max_position_embeddings", original));
    return kd__text_append(w->to, "}", 1);
}

static kd_status put_linear(writer *w, const scaling *s)
{
    KD_TRY(kd__text_format(w->to, ",\"rope_scaling\":{\"rope_type\":\"linear\""));
    KD_TRY(put(w, "factor", s->factor));
    return kd__text_append(w->to, "}", 1);
}

/* Are these Llama 3's divisors, of low_freq_factor 1 and high_freq_factor 4? */
static int is_llama3(const scaling *s, double theta, kd__rope *found)
{
    float scaled[MOST_PAIRS], plain[MOST_PAIRS], largest = 1;
    kd__rope base = { .kind = KD__ROPE_DEFAULT, .theta = theta };
    for (int64_t i = 0; i < s->pairs; i++) largest = fmaxf(largest, s->divisors[i]);
    kd__rope_frequencies(&base, 2 * s->pairs, 1, plain);
    *found = (kd__rope){
        .kind = KD__ROPE_LLAMA3, .theta = theta, .factor = largest, .low = 1, .high = 4
    };
    for (found->original = 1 << 20; found->original >= 16; found->original /= 2) {
        int64_t same = 0;
        kd__rope_frequencies(found, 2 * s->pairs, 1, scaled);
        while (same < s->pairs && fabsf(plain[same] / s->divisors[same] / scaled[same] - 1) < 1e-6f)
            same++;
        if (same == s->pairs) return 1;
    }
    return 0;
}

static kd_status put_llama3(writer *w, const kd__rope *r)
{
    KD_TRY(kd__text_format(w->to,
                           ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"low_freq_factor\":1.0,"
                           "\"high_freq_factor\":4.0"));
    KD_TRY(put(w, "original_max_position_embeddings", r->original));
    KD_TRY(put(w, "factor", r->factor));
    return kd__text_append(w->to, "}", 1);
}

static kd_status put_list(writer *w, const char *key, const scaling *s)
{
    KD_TRY(kd__text_format(w->to, ",\"%s\":[", key));
    for (int64_t i = 0; i < s->pairs; i++) {
        KD_TRY(kd__text_append(w->to, ",", i > 0));
        KD_TRY(kd__text_number(w->to, (double)s->divisors[i] * s->factor));
    }
    return kd__text_append(w->to, "]", 1);
}

/* transformers' name for divisors that are given: longrope, whose lists are for short and long
 * texts. */
static kd_status put_divisors(writer *w, const scaling *s)
{
    KD_TRY(kd__text_format(w->to, ",\"rope_scaling\":{\"rope_type\":\"longrope\""));
    KD_TRY(put(w, "factor", 1));
    KD_TRY(put(w, "attention_factor", s->times));
    KD_TRY(put(w, "original_max_position_embeddings", number(w, "context_length", 1)));
    KD_TRY(put_list(w, "short_factor", s));
    KD_TRY(put_list(w, "long_factor", s));
    return kd__text_append(w->to, "}", 1);
}

static kd_status put_scaling(writer *w, double width, double theta)
{
    scaling s = { .width = width };
    kd__rope llama3;
    int64_t ones = 0;
    KD_FAIL_IF(!(width >= 2 && width <= 2 * MOST_PAIRS), KD_ERR_UNSUPPORTED,
               "%s: heads of %g numbers: expected 2 to %d", w->file->what, width, 2 * MOST_PAIRS);
    s.pairs = (int64_t)(width / 2); /* only now: a head_count of 0 makes it infinite */
    KD_TRY(read_scaling(w, &s));
    KD_TRY(read_divisors(w, &s));
    if (s.yarn) return put_yarn(w, &s, theta);
    while (ones < s.pairs && s.divisors[ones] == 1) ones++;
    if (ones == s.pairs && s.times == 1 && s.factor >= 1)
        return s.factor == 1 ? KD_OK : put_linear(w, &s);
    if (s.factor == 1 && s.times == 1 && is_llama3(&s, theta, &llama3))
        return put_llama3(w, &llama3);
    return put_divisors(w, &s);
}

/* ---- the whole ---- */

static kd_status put_biases(writer *w)
{
    if (strcmp(w->architecture, "qwen2") && kd__gguf_tensor_find(w->file, "blk.0.attn_q.bias"))
        KD_TRY(kd__text_format(w->to, ",\"attention_bias\":true"));
    if (!strcmp(w->architecture, "llama") && kd__gguf_tensor_find(w->file, "blk.0.ffn_gate.bias"))
        KD_TRY(kd__text_format(w->to, ",\"mlp_bias\":true"));
    return KD_OK;
}

/* What queries times keys are multiplied with: only what a folder's attention does as well, to the
 * last bit of a single-precision number. 0: not set. */
static kd_status check_scale(const writer *w, double width)
{
    const double scale = number(w, "attention.scale", 0), own = 1 / sqrt(width);
    KD_FAIL_IF(scale != 0 && fabs(scale / own - 1) > FLT_EPSILON, KD_ERR_UNSUPPORTED,
               "%s: attention.scale: expected 1/sqrt(%g) = %g, as for heads of %g numbers, got %g",
               w->file->what, width, own, width, scale);
    return KD_OK;
}

static kd_status put_heads(writer *w)
{
    const char *file = w->file->what;
    const double heads = number(w, "attention.head_count", 1);
    const double kv_heads = number(w, "attention.head_count_kv", heads);
    const double split = number(w, "embedding_length", 0) / heads;
    const double width = number(w, "attention.key_length", split);
    const double rotated = number(w, "rope.dimension_count", width);
    const double values = number(w, "attention.value_length", width);
    const double theta = number(w, "rope.freq_base", 10000);
    KD_TRY(need(w, "num_attention_heads", "attention.head_count"));
    KD_FAIL_IF(rotated != width, KD_ERR_UNSUPPORTED,
               "%s: rope.dimension_count: expected all %g numbers of a head, got %g", file, width,
               rotated);
    KD_FAIL_IF(values != width, KD_ERR_UNSUPPORTED,
               "%s: attention.value_length: expected %g as for keys, got %g", file, width, values);
    KD_TRY(check_scale(w, width));
    KD_TRY(put(w, "num_key_value_heads", kv_heads));
    KD_TRY(put(w, "head_dim", width));
    KD_TRY(put(w, "rope_theta", theta));
    return put_scaling(w, width, theta);
}

/* A part of a model, an adapter or a projector is no model. */
static kd_status check_whole(const kd__gguf *file)
{
    const kd__gguf_string type = kd__gguf_text(file, "general.type");
    const double parts = kd__gguf_number(file, "split.count", 1);
    KD_FAIL_IF(type.bytes && !kd__gguf_equals(type, "model"), KD_ERR_UNSUPPORTED,
               "%s: general.type is %.*s, expected model", file->what, (int)kd__min(type.bytes, 40),
               type.text);
    KD_FAIL_IF(parts > 1, KD_ERR_UNSUPPORTED,
               "%s: split.count: one of %.0f parts of a model; merge them into one file first",
               file->what, parts);
    return KD_OK;
}

static kd_status check_keys(const writer *w)
{
    const kd__gguf_table table = { keys, sizeof keys / sizeof *keys, number(w, "block_count", 0) };
    char prefix[32];
    KD_TRY(check_whole(w->file));
    snprintf(prefix, sizeof prefix, "%s.", w->architecture);
    return kd__gguf_check(w->file, prefix, &table);
}

/* The architecture's name, when it is one of those that are known. */
static kd_status find_architecture(writer *w)
{
    static const char *const known[] = { "llama", "qwen2", "qwen3" };
    const kd__gguf_string name = kd__gguf_text(w->file, "general.architecture");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (kd__gguf_equals(name, known[i])) {
            snprintf(w->architecture, sizeof w->architecture, "%s", known[i]);
            return KD_OK;
        }
    return kd__fail(KD_ERR_UNSUPPORTED, "%s: the architecture %.*s is not llama, qwen2 or qwen3",
                    w->file->what, (int)kd__min(name.bytes, 40), name.text);
}

/* The embedding's rows, which vocab_size may name as well. */
static kd_status find_vocabulary(const writer *w, double *rows)
{
    const kd__gguf_tensor *embedding = kd__gguf_tensor_find(w->file, "token_embd.weight");
    KD_FAIL_IF(!embedding || embedding->rank != 2, KD_ERR_FORMAT,
               "%s: no token_embd.weight of rank 2", w->file->what);
    *rows = (double)embedding->dims[0];
    const double named = number(w, "vocab_size", *rows);
    KD_FAIL_IF(named != *rows, KD_ERR_MISMATCH,
               "%s: vocab_size is %g, token_embd.weight has %g rows", w->file->what, named, *rows);
    return KD_OK;
}

static kd_status put_sizes(writer *w)
{
    KD_TRY(need(w, "hidden_size", "embedding_length"));
    KD_TRY(need(w, "num_hidden_layers", "block_count"));
    KD_TRY(need(w, "intermediate_size", "feed_forward_length"));
    KD_TRY(need(w, "max_position_embeddings", "context_length"));
    return need(w, "rms_norm_eps", "attention.layer_norm_rms_epsilon");
}

kd_status kd__gguf_config(const kd__gguf *file, kd__text *to)
{
    writer w = { .file = file, .to = to };
    double rows;
    KD_TRY(find_architecture(&w));
    KD_TRY(check_keys(&w));
    KD_TRY(find_vocabulary(&w, &rows));
    KD_TRY(kd__text_format(to, "{\"model_type\":\"%s\",\"tie_word_embeddings\":%s", w.architecture,
                           kd__gguf_tensor_find(file, "output.weight") ? "false" : "true"));
    KD_TRY(put(&w, "vocab_size", rows));
    KD_TRY(put_sizes(&w));
    KD_TRY(put_heads(&w));
    KD_TRY(put_biases(&w));
    return kd__text_append(to, "}", 1);
}
