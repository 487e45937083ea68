/* Requests: what a host asks for is checked, copied, queued, and canceled. */
#include "language/generator/generate.h"

#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "math/random.h"

static const kd_sampling sampling_defaults = KD_SAMPLING_INIT;

void kd_sampling_init(kd_sampling *o, size_t size)
{
    kd__options_init(o, size, &sampling_defaults, sizeof sampling_defaults);
}

static kd_status check_stops(const kd_generator *g, const kd_sampling *s)
{
    const int32_t tokens = s->stop_token_count, texts = s->stop_text_count;
    KD_FAIL_IF(tokens < 0 || (tokens && !s->stop_tokens), KD_ERR_INVALID,
               "stop_tokens: expected 0 or more, got %d at %s", tokens,
               s->stop_tokens ? "an address" : "NULL");
    KD_FAIL_IF(texts < 0 || (texts && !s->stop_texts), KD_ERR_INVALID,
               "stop_texts: expected 0 or more, got %d at %s", texts,
               s->stop_texts ? "an address" : "NULL");
    KD_FAIL_IF(texts && !g->options.tokenizer, KD_ERR_INVALID,
               "stop_texts need a generator with a tokenizer");
    for (int32_t i = 0; i < texts; i++) KD_TRY(kd__name_given(s->stop_texts[i], "stop_texts"));
    return KD_OK;
}

static kd_status check_sampling(const kd_generator *g, const kd_sampling *s)
{
    KD_FAIL_IF(s->samples < 1, KD_ERR_RANGE, "samples: expected at least 1, got %d", s->samples);
    KD_FAIL_IF(s->max_tokens < 1, KD_ERR_RANGE, "max_tokens: expected at least 1, got %d",
               s->max_tokens);
    KD_FAIL_IF(!(s->temperature >= 0 && s->temperature <= 1e4), KD_ERR_RANGE,
               "temperature: expected 0 to 1e4, got %g", s->temperature);
    KD_FAIL_IF(s->draw != KD_DRAW_INVERSE && s->draw != KD_DRAW_GUMBEL, KD_ERR_INVALID,
               "draw: expected KD_DRAW_INVERSE (%d) or KD_DRAW_GUMBEL (%d), got %d",
               KD_DRAW_INVERSE, KD_DRAW_GUMBEL, s->draw);
    KD_FAIL_IF(
        g->drafter && s->temperature > 0 && s->draw != KD_DRAW_GUMBEL, KD_ERR_INVALID,
        "draw: a draft at temperature %g is nearly never right with KD_DRAW_INVERSE: expected "
        "KD_DRAW_GUMBEL",
        s->temperature);
    KD_FAIL_IF(s->top_k < 0, KD_ERR_RANGE, "top_k: expected 0 or more, got %d", s->top_k);
    KD_FAIL_IF(!(s->top_p > 0 && s->top_p <= 1), KD_ERR_RANGE,
               "top_p: expected above 0, at most 1, got %g", s->top_p);
    KD_FAIL_IF(!(s->min_p >= 0 && s->min_p < 1), KD_ERR_RANGE,
               "min_p: expected 0 to below 1, got %g", s->min_p);
    KD_FAIL_IF(!(s->repetition_penalty > 0 && s->repetition_penalty <= 1e4), KD_ERR_RANGE,
               "repetition_penalty: expected above 0, at most 1e4, got %g", s->repetition_penalty);
    return check_stops(g, s);
}

static kd_status check_prompt(const kd_generator *g, const int32_t *prompt, int64_t count,
                              kd_sampling *s)
{
    const kd__trunk_config *d = kd__trunk_config_of(g->model);
    KD_FAIL_IF(count < 1 || !prompt, KD_ERR_RANGE, "prompt: expected at least one token, got %lld",
               (long long)count);
    for (int64_t i = 0; i < count; i++)
        KD_FAIL_IF(prompt[i] < 0 || prompt[i] >= d->vocabulary, KD_ERR_RANGE,
                   "prompt: number %lld: token %d is not in 0 to %lld", (long long)i, prompt[i],
                   (long long)d->vocabulary - 1);
    KD_FAIL_IF(count >= d->positions, KD_ERR_RANGE,
               "prompt: %lld tokens, the model has positions for %lld (max_position_embeddings)",
               (long long)count, (long long)d->positions);
    if (s->max_tokens > d->positions - count) s->max_tokens = (int32_t)(d->positions - count);
    const int64_t need = kd__cache_blocks_for(&g->cache, count + s->max_tokens);
    KD_FAIL_IF(
        need > g->cache.blocks, KD_ERR_RANGE,
        "prompt of %lld tokens and %d new ones: the cache has room for %lld: raise cache_tokens",
        (long long)count, s->max_tokens, (long long)g->info.cache_tokens);
    return KD_OK;
}

static kd_status copy_request(kd_generator *g, kd__request *r, const int32_t *prompt)
{
    kd_context *context = g->object.context;
    kd_sampling *s = &r->sampling;
    uint64_t key[2];
    KD_TRY(KD_NEW(context, &r->prompt, r->count));
    memcpy(r->prompt, prompt, (size_t)r->count * sizeof *prompt);
    KD_TRY(KD_NEW(context, &r->stop_tokens, s->stop_token_count + 1));
    if (s->stop_token_count)
        memcpy(r->stop_tokens, s->stop_tokens, (size_t)s->stop_token_count * sizeof *prompt);
    KD_TRY(KD_NEW(context, &r->stop_texts, s->stop_text_count + 1));
    for (int32_t i = 0; i < s->stop_text_count; i++)
        KD_TRY(kd__copy_text(context, &r->stop_texts[i], s->stop_texts[i]));
    kd__hash128(prompt, (size_t)r->count * sizeof *prompt, key);
    r->stream = kd__stream(s->seed, key[0], key[1]);
    return KD_OK;
}

void kd__request_free(kd_generator *g, kd__request *r)
{
    kd_context *context = g->object.context;
    for (int32_t i = 0; r->stop_texts && i < r->sampling.stop_text_count; i++)
        kd__release(context, r->stop_texts[i]);
    kd__release(context, r->stop_texts);
    kd__release(context, r->stop_tokens);
    kd__release(context, r->prompt);
    kd__release(context, r);
}

kd_status kd_generator_add(kd_generator *g, const int32_t *prompt, int64_t count,
                           const kd_sampling *sampling, int64_t *request)
{
    kd_sampling s = sampling_defaults;
    kd__request *r = NULL;
    KD_NEED(g);
    KD_TRY(kd__sampling_read(g, sampling, &s));
    KD_TRY(check_sampling(g, &s));
    KD_TRY(check_prompt(g, prompt, count, &s));
    KD_TRY(KD_NEW(g->object.context, &r, 1));
    r->sampling = s;
    r->count = count;
    r->open = s.samples;
    const kd_status status = copy_request(g, r, prompt);
    if (status != KD_OK) {
        kd__request_free(g, r);
        return status;
    }
    r->number = g->requests++;
    if (g->last) g->last->next = r;
    else g->first = r;
    g->last = r;
    if (request) *request = r->number;
    return KD_OK;
}

void kd__request_close(kd_generator *g, kd__request *request)
{
    if (--request->open > 0) return;
    kd__request *before = NULL;
    for (kd__request *r = g->first; r != request; r = r->next) before = r;
    if (before) before->next = request->next;
    else g->first = request->next;
    if (g->last == request) g->last = before;
    kd__request_free(g, request);
}

/* Finished texts of a request leave the list of those that wait to be given out. */
static void drop_done(kd_generator *g, const kd__request *request)
{
    kd__sequence *last = NULL;
    for (kd__sequence *s = g->done, *next; s; s = next) {
        next = s->next;
        if (s->request != request) {
            last = s;
            continue;
        }
        if (last) last->next = next;
        else g->done = next;
        kd__sequence_free(g, s);
    }
    g->done_last = last;
}

kd_status kd_generator_cancel(kd_generator *g, int64_t request)
{
    KD_NEED(g);
    kd__request *r = g->first;
    while (r && r->number != request) r = r->next;
    KD_FAIL_IF(!r, KD_ERR_NOT_FOUND, "generator: prompt %lld is neither waiting nor running",
               (long long)request);
    for (int32_t i = 0; i < g->options.max_sequences; i++)
        if (g->slots[i] && g->slots[i]->request == r) kd__slot_clear(g, i);
    drop_done(g, r);
    r->open = 1;
    kd__request_close(g, r);
    return KD_OK;
}
