/* A generator: its options, the memory it takes, creation, refreshing. */
#include <kdistill/block.h>
#include <math.h>

#include "language/generator/generate.h"

static const kd_generator_options generator_defaults = KD_GENERATOR_OPTIONS_INIT;

void kd_generator_options_init(kd_generator_options *o, size_t size)
{
    kd__options_init(o, size, &generator_defaults, sizeof generator_defaults);
}

/* ---- creation ---- */

static kd_status read_draft(kd_model *model, kd_generator_options *o)
{
    KD_FAIL_IF(o->draft_tokens < 0 || o->draft_tokens > 64, KD_ERR_RANGE,
               "draft_tokens: expected 0 (4) to 64, got %d", o->draft_tokens);
    KD_FAIL_IF(o->lookup < 0 || o->lookup > 32, KD_ERR_RANGE,
               "lookup: expected 0 (off) to 32 tokens, got %d", o->lookup);
    KD_FAIL_IF(o->always_draft != 0 && o->always_draft != 1, KD_ERR_INVALID,
               "always_draft: expected 0 or 1, got %d", o->always_draft);
    if (!o->draft_tokens) o->draft_tokens = 4;
    if (!o->draft) return KD_OK;
    KD_FAIL_IF(o->draft->object.context != model->object.context, KD_ERR_INVALID,
               "draft: the model is of another context: expected the generator's");
    KD_FAIL_IF(!kd__is_decoder(o->draft) || kd__trunk_config_of(o->draft)->classifier ||
                   kd__trunk_config_of(o->draft)->head < 0,
               KD_ERR_UNSUPPORTED, "draft: expected a language model with a head");
    const int64_t mine = kd__trunk_config_of(model)->vocabulary;
    const int64_t its = kd__trunk_config_of(o->draft)->vocabulary;
    KD_FAIL_IF(2 * its < mine || its > 2 * mine, KD_ERR_MISMATCH,
               "draft: expected the model's vocabulary, about %lld ids, got %lld: a draft has the "
               "same tokenizer",
               (long long)mine, (long long)its);
    return KD_OK;
}

static kd_status read_options(kd_model *model, const kd_generator_options *options,
                              kd_generator_options *o)
{
    *o = generator_defaults;
    KD_TRY(kd__options_read(o, sizeof *o, options, "kd_generator_options"));
    KD_FAIL_IF(!kd__is_decoder(model) || kd__trunk_config_of(model)->classifier, KD_ERR_UNSUPPORTED,
               "generator: the model is not a language model");
    KD_FAIL_IF(kd__trunk_config_of(model)->head < 0, KD_ERR_UNSUPPORTED,
               "generator: the model has no head: its architecture is the family's Model");
    KD_FAIL_IF(o->max_sequences < 1 || o->max_sequences > 65536, KD_ERR_RANGE,
               "max_sequences: expected 1 to 65536, got %d", o->max_sequences);
    KD_FAIL_IF(o->prefill_tokens < 1 || o->prefill_tokens > 65536, KD_ERR_RANGE,
               "prefill_tokens: expected 1 to 65536, got %d", o->prefill_tokens);
    KD_FAIL_IF(o->cache_tokens < 0 || o->cache_tokens > (int64_t)1 << 31, KD_ERR_RANGE,
               "cache_tokens: expected 0 to 2^31, got %lld", (long long)o->cache_tokens);
    KD_FAIL_IF(o->weights != KD_FLOAT32 && !kd__packed_has(o->weights), KD_ERR_UNSUPPORTED,
               "weights: expected KD_FLOAT32 (%d), KD_INT8 (%d), KD_BLOCK_Q4_0 (%d) or "
               "KD_BLOCK_IQ4_NL (%d), got %d",
               KD_FLOAT32, KD_INT8, KD_BLOCK_Q4_0, KD_BLOCK_IQ4_NL, o->weights);
    KD_FAIL_IF(model->packed_only && o->weights != model->weights, KD_ERR_UNSUPPORTED,
               "weights: the model is of packed_only and has no float32 matrices: expected its own "
               "weights, %d, got %d",
               model->weights, o->weights);
    const int known = o->cache == KD_FLOAT32 || o->cache == KD_FLOAT16 || o->cache == KD_BFLOAT16 ||
                      o->cache == KD_INT8;
    KD_FAIL_IF(!known, KD_ERR_UNSUPPORTED,
               "cache: expected KD_FLOAT32 (%d), KD_FLOAT16 (%d), KD_BFLOAT16 (%d) or KD_INT8 "
               "(%d), got %d",
               KD_FLOAT32, KD_FLOAT16, KD_BFLOAT16, KD_INT8, o->cache);
    KD_TRY(read_draft(model, o));
    const int64_t positions = kd__trunk_config_of(model)->positions;
    if (!o->cache_tokens) o->cache_tokens = (int64_t)o->max_sequences * kd__min(positions, 512);
    return KD_OK;
}

/* The model's own weights of this kind; NULL: it has none. */
static kd__packed *of_model(const kd_model *model, int32_t weights)
{
    kd__packed *packed = kd__trunk_of(model)->packed;
    return packed && kd__packed_weights(packed) == weights ? packed : NULL;
}

/* The draft's own generator. */
static kd_generator_options drafting_options(const kd_generator *g)
{
    kd_generator_options o = generator_defaults;
    o.max_sequences = g->options.max_sequences;
    o.cache_tokens = g->options.cache_tokens;
    o.prefill_tokens = g->options.prefill_tokens;
    o.weights = g->options.weights;
    o.cache = g->options.cache;
    return o;
}

static kd_generator_info plan(kd_model *model, const kd_generator_options *o, kd__cache *cache);

/* That proposals take besides, at most. */
static int64_t draft_bytes(kd_model *model, const kd_generator_options *o, const kd__cache *cache)
{
    kd_generator g = {
        .object.context = model->object.context, .model = model, .options = *o, .cache = *cache
    };
    kd_generator drafter = g;
    if (!o->draft) return o->lookup ? kd__draft_bytes(&g, NULL) : 0;
    drafter.model = o->draft;
    drafter.options = drafting_options(&g);
    drafter.info = plan(o->draft, &drafter.options, &drafter.cache);
    return kd__draft_bytes(&g, &drafter);
}

static kd_generator_info plan(kd_model *model, const kd_generator_options *o, kd__cache *cache)
{
    kd__cache_size(cache, model->object.context, kd__trunk_config_of(model), o->cache_tokens,
                   o->cache);
    kd_generator_info info = { .block_tokens = (int32_t)cache->block_tokens,
                               .cache_bytes = kd__cache_bytes(cache),
                               .cache_tokens = cache->blocks * cache->block_tokens };
    if (o->weights != KD_FLOAT32 && !of_model(model, o->weights))
        info.weight_bytes = kd__packed_bytes(kd__trunk_config_of(model), o->weights);
    info.draft_bytes = draft_bytes(model, o, cache);
    return info;
}

kd_status kd_generator_estimate_memory(kd_model *model, const kd_generator_options *options,
                                       kd_generator_info *info)
{
    kd_generator_options o;
    kd__cache cache = { 0 };
    KD_NEED(model);
    KD_NEED(info);
    KD_TRY(read_options(model, options, &o));
    const kd_generator_info now = plan(model, &o, &cache);
    return kd__info_write(info, &now, sizeof now, "kd_generator_info");
}

kd_status kd_generator_get_info(kd_generator *g, kd_generator_info *info)
{
    KD_NEED(g);
    KD_NEED(info);
    kd_generator_info now = g->info;
    now.draft_gain = g->times.gain > 0 ? g->times.gain : NAN;
    return kd__info_write(info, &now, sizeof now, "kd_generator_info");
}

/* The model's own, or some made of its float32 numbers. */
static kd_status take_packed(kd_generator *g)
{
    g->packed = of_model(g->model, g->options.weights);
    if (g->packed) return KD_OK;
    g->own_packed = 1;
    return kd__packed_make(&g->packed, g->model, g->options.weights, NULL);
}

kd_status kd_generator_create(kd_generator **out, kd_model *model,
                              const kd_generator_options *options)
{
    kd_generator_options o;
    kd_generator *g = NULL;
    kd_status status;
    KD_NEED(out);
    KD_NEED(model);
    KD_TRY(read_options(model, options, &o));
    KD_TRY(kd__model_refresh(model));
    KD_TRY(kd__object_create((void **)&g, model->object.context, sizeof *g));
    g->model = kd__object_hold(model);
    g->options = o;
    if (o.tokenizer) kd__object_hold(o.tokenizer);
    g->info = plan(model, &o, &g->cache);
    KD_TRY_GOTO(status, kd__cache_make(&g->cache, g->object.context), failed);
    KD_TRY_GOTO(status, KD_NEW(g->object.context, &g->slots, o.max_sequences), failed);
    if (o.weights != KD_FLOAT32) KD_TRY_GOTO(status, take_packed(g), failed);
    g->options.draft = NULL; /* the draft's generator keeps it alive */
    if (o.draft) {
        const kd_generator_options its = drafting_options(g);
        KD_TRY_GOTO(status, kd_generator_create(&g->drafter, o.draft, &its), failed);
    }
    *out = g;
    return KD_OK;
failed:
    kd_generator_free(g);
    return status;
}

void kd_generator_free(kd_generator *g)
{
    if (!kd__object_drop(g)) return;
    kd_context *context = g->object.context;
    for (int32_t i = 0; g->slots && i < g->options.max_sequences; i++)
        kd__sequence_free(g, g->slots[i]);
    for (kd__sequence *s = g->done; s;) {
        kd__sequence *next = s->next;
        kd__sequence_free(g, s);
        s = next;
    }
    kd__sequence_free(g, g->given);
    for (kd__request *r = g->first; r;) {
        kd__request *next = r->next;
        kd__request_free(g, r);
        r = next;
    }
    kd_generator_free(g->drafter);
    kd__cache_free(&g->cache);
    if (g->own_packed) kd__packed_free(g->packed);
    void *blocks[] = { g->slots,        g->rows.tokens, g->rows.positions, g->rows.spans,
                       g->rows.outputs, g->block,       g->logits,         g->sampler };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
    kd_tokenizer_free(g->options.tokenizer);
    kd_model_free(g->model);
    kd__object_destroy(g);
}

kd_status kd_generator_refresh(kd_generator *g)
{
    KD_NEED(g);
    KD_FAIL_IF(g->first || g->done, KD_ERR_STATE,
               "generator: expected no prompt in progress: take all texts first");
    KD_TRY(kd__model_refresh(g->model));
    if (g->drafter) KD_TRY(kd_generator_refresh(g->drafter));
    if (g->own_packed) {
        kd__packed *made = NULL;
        KD_TRY(kd__packed_make(&made, g->model, g->options.weights, NULL));
        kd__packed_free(g->packed);
        g->packed = made;
    }
    kd__cache_forget(&g->cache);
    return KD_OK;
}
