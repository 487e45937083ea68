/* Which matrix gets which format: llama.cpp's mixtures, which give more bits to what an error hurts
 * most, and its substitutes for rows that do not fit. (llama-quantize, for models that are no
 * mixtures of experts) */
#include "language/gguf/gguf_plan.h"

/* ---- rows ---- */

int32_t kd__gguf_fitting(int32_t format, int64_t width)
{
    static const struct {
        int32_t format, substitute;
    } smaller[] = { { KD_BLOCK_Q4_K, KD_BLOCK_Q5_0 },
                    { KD_BLOCK_Q5_K, KD_BLOCK_Q5_1 },
                    { KD_BLOCK_Q6_K, KD_BLOCK_Q8_0 } };
    const kd__block_format *f = kd__block_find(format);
    if (!f || width % f->numbers == 0) return format;
    if (width % 32) return KD_FLOAT16;
    for (size_t i = 0; i < sizeof smaller / sizeof *smaller; i++)
        if (smaller[i].format == format) return smaller[i].substitute;
    return KD_FLOAT16;
}

/* ---- mixtures ---- */

/* The first and the last eighth of the layers, and every third between them. */
static int has_more(int64_t layer, int64_t layers)
{
    const int64_t eighth = layers / 8;
    return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

/* Embeddings that are the head, too, and heads. */
static int32_t format_of_head(int32_t format, int64_t width)
{
    const kd__block_format *f = kd__block_find(format);
    if (width % f->numbers) return KD_BLOCK_Q8_0;
    return format == KD_BLOCK_Q8_0 ? format : KD_BLOCK_Q6_K;
}

static int32_t format_of_values(const kd__trunk_config *d, int32_t format, int medium,
                                int64_t layer)
{
    const int is_k = format == KD_BLOCK_Q4_K || format == KD_BLOCK_Q5_K;
    if (format == KD_BLOCK_IQ4_NL && d->heads / d->kv_heads >= 4) return KD_BLOCK_Q5_K;
    if (is_k && medium && has_more(layer, d->layers)) return KD_BLOCK_Q6_K;
    if (format == KD_BLOCK_Q4_K && !medium && layer < 4) return KD_BLOCK_Q5_K;
    /* Of 80 layers whose heads share values, llama.cpp knows one size: 70 billion. */
    const int shares = d->family != KD__LLAMA || d->heads != d->kv_heads;
    return format == KD_BLOCK_Q4_K && d->layers == 80 && shares ? KD_BLOCK_Q5_K : format;
}

static int32_t format_of_down(const kd__trunk_config *d, const kd_gguf_options *o, int64_t layer)
{
    const int32_t format = o->format, medium = o->mixture == KD_MIX_MEDIUM;
    const int early = layer < d->layers / 8;
    const int is_k = format == KD_BLOCK_Q4_K || format == KD_BLOCK_Q5_K;
    if (is_k && medium && has_more(layer, d->layers)) return KD_BLOCK_Q6_K;
    if (format == KD_BLOCK_Q4_K && !medium && early) return KD_BLOCK_Q5_K;
    if (format == KD_BLOCK_IQ4_NL && early && !o->importance) return KD_BLOCK_Q5_K;
    if (format == KD_BLOCK_Q4_0 && early && o->importance) return KD_BLOCK_Q4_1;
    if (format == KD_BLOCK_Q5_0 && early && o->importance) return KD_BLOCK_Q5_1;
    return format;
}

int32_t kd__gguf_mixture(const kd__trunk_config *d, const kd_gguf_options *o, int32_t tensor,
                         int64_t layer)
{
    const int is_head = tensor == d->head || (tensor == d->embedding && d->tied);
    const int medium = o->mixture == KD_MIX_MEDIUM;
    if (o->mixture == KD_MIX_PURE || !kd__block_find(o->format)) return o->format;
    if (is_head) return format_of_head(o->format, d->hidden);
    if (layer < 0) return o->format;
    if (tensor == d->layer[layer].v) return format_of_values(d, o->format, medium, layer);
    if (tensor == d->layer[layer].down) return format_of_down(d, o, layer);
    return o->format;
}

/* ---- what the formats are called ---- */

int32_t kd__gguf_file_type(const kd_gguf_options *o)
{
    static const struct {
        int32_t format, small, medium;
    } known[] = { { KD_FLOAT32, 0, 0 },      { KD_FLOAT16, 1, 1 },        { KD_BLOCK_Q4_0, 2, 2 },
                  { KD_BLOCK_Q4_1, 3, 3 },   { KD_BLOCK_Q8_0, 7, 7 },     { KD_BLOCK_Q5_0, 8, 8 },
                  { KD_BLOCK_Q5_1, 9, 9 },   { KD_BLOCK_Q4_K, 14, 15 },   { KD_BLOCK_Q5_K, 16, 17 },
                  { KD_BLOCK_Q6_K, 18, 18 }, { KD_BLOCK_IQ4_NL, 25, 25 }, { KD_BFLOAT16, 32, 32 } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].format == o->format)
            return o->mixture == KD_MIX_MEDIUM ? known[i].medium : known[i].small;
    return 0;
}
