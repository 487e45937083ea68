/* Requests, slots, steps. A step schedules one new token of every sequence that has begun and a share of the prompts that wait, runs them
 * through the model, and draws.                                                                                              */
#include "generate/generate.h"

#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "base/thread.h"
#include "model/int8.h"
#include "math/random.h"

static const kd_generator_options generator_defaults = KD_GENERATOR_OPTIONS_INIT;
static const kd_sampling sampling_defaults = KD_SAMPLING_INIT;
void kd_generator_options_init(kd_generator_options *o, size_t size) { kd__options_init(o, size, &generator_defaults, sizeof generator_defaults); }
void kd_sampling_init(kd_sampling *o, size_t size) { kd__options_init(o, size, &sampling_defaults, sizeof sampling_defaults); }

/* ---- creation ---- */

static kd_status read_options(kd_model *model, const kd_generator_options *options, kd_generator_options *o)
{
    const kd__decoder *d = model->net.decoder;
    *o = generator_defaults;
    KD_TRY(kd__options_read(o, sizeof *o, options, "kd_generator_options"));
    KD_FAIL_IF(!d || d->classifier, KD_ERR_UNSUPPORTED, "generator: the model is no language model");
    KD_FAIL_IF(o->max_sequences < 1 || o->max_sequences > 65536, KD_ERR_RANGE, "max_sequences: expected 1 to 65536, got %d", o->max_sequences);
    KD_FAIL_IF(o->prompt_rows < 1 || o->prompt_rows > 65536, KD_ERR_RANGE, "prompt_rows: expected 1 to 65536, got %d", o->prompt_rows);
    KD_FAIL_IF(o->cache_tokens < 0 || o->cache_tokens > (int64_t)1 << 31, KD_ERR_RANGE, "cache_tokens: %lld", (long long)o->cache_tokens);
    KD_FAIL_IF(o->weights != KD_FLOAT32 && o->weights != KD_INT8, KD_ERR_UNSUPPORTED, "weights: expected KD_FLOAT32 (%d) or KD_INT8 (%d), got %d",
               KD_FLOAT32, KD_INT8, o->weights);
    const int known = o->cache == KD_FLOAT32 || o->cache == KD_FLOAT16 || o->cache == KD_BFLOAT16;
    KD_FAIL_IF(!known, KD_ERR_UNSUPPORTED, "cache: expected KD_FLOAT32, KD_FLOAT16 or KD_BFLOAT16, got %d", o->cache);
    if (!o->cache_tokens) o->cache_tokens = (int64_t)o->max_sequences * (d->positions < 512 ? d->positions : 512);
    return KD_OK;
}

static kd_generator_info plan(kd_model *model, const kd_generator_options *o, kd__cache *cache)
{
    kd__cache_size(cache, model->object.context, model->net.decoder, o->cache_tokens, o->cache);
    return (kd_generator_info){ .block_tokens = (int32_t)cache->block_tokens,
                                .cache_bytes = kd__cache_bytes(cache),
                                .cache_tokens = cache->blocks * cache->block_tokens,
                                .weight_bytes = o->weights == KD_INT8 && !model->int8 ? kd__int8_model_bytes(model->net.decoder) : 0 };
}

kd_status kd_generator_memory(kd_model *model, const kd_generator_options *options, kd_generator_info *info)
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
    return kd__info_write(info, &g->info, sizeof g->info, "kd_generator_info");
}

kd_status kd_generator_create(kd_generator **out, kd_model *model, const kd_generator_options *options)
{
    kd_generator_options o;
    kd_generator *g = NULL;
    kd_status status;
    KD_NEED(out);
    KD_NEED(model);
    KD_TRY(read_options(model, options, &o));
    KD_TRY(kd__lora_refresh(model));
    KD_TRY(kd__object_create((void **)&g, model->object.context, sizeof *g));
    g->model = kd__object_hold(model);
    g->options = o;
    if (o.tokenizer) kd__object_hold(o.tokenizer);
    g->info = plan(model, &o, &g->cache);
    KD_TRY_GOTO(status, kd__cache_make(&g->cache, g->object.context), failed);
    KD_TRY_GOTO(status, KD_NEW(g->object.context, &g->slots, o.max_sequences), failed);
    if (o.weights == KD_INT8 && model->int8) g->int8 = model->int8;
    else if (o.weights == KD_INT8) {
        g->own_int8 = 1;
        KD_TRY_GOTO(status, kd__int8_model_make(&g->int8, model), failed);
    }
    *out = g;
    return KD_OK;
failed:
    kd_generator_free(g);
    return status;
}

static void free_request(kd_generator *g, kd__request *r)
{
    kd_context *context = g->object.context;
    for (int32_t i = 0; r->stop_texts && i < r->sampling.stop_text_count; i++) kd__release(context, r->stop_texts[i]);
    kd__release(context, r->stop_texts);
    kd__release(context, r->stop_tokens);
    kd__release(context, r->prompt);
    kd__release(context, r);
}

static void free_sequence(kd_generator *g, kd__sequence *s)
{
    kd_context *context = g->object.context;
    if (!s) return;
    kd__release(context, s->tokens);
    kd__release(context, s->logprobs);
    kd__release(context, s->hidden);
    kd__release(context, s->blocks);
    kd_detokenizer_free(s->stream);
    kd__text_free(&s->text);
    kd__release(context, s);
}

void kd_generator_free(kd_generator *g)
{
    if (!kd__object_drop(g)) return;
    kd_context *context = g->object.context;
    for (int32_t i = 0; g->slots && i < g->options.max_sequences; i++) free_sequence(g, g->slots[i]);
    for (kd__sequence *s = g->done, *next; s; s = next) next = s->next, free_sequence(g, s);
    free_sequence(g, g->given);
    for (kd__request *r = g->first, *next; r; r = next) next = r->next, free_request(g, r);
    kd__cache_free(&g->cache);
    if (g->own_int8) kd__int8_model_free(g->int8);
    void *blocks[] = { g->slots, g->rows.tokens, g->rows.positions, g->rows.spans, g->block, g->logits, g->sampler };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
    kd_tokenizer_free(g->options.tokenizer);
    kd_model_free(g->model);
    kd__object_destroy(g);
}

/* ---- requests ---- */

static kd_status check_sampling(const kd_generator *g, const kd_sampling *s)
{
    KD_FAIL_IF(s->samples < 1, KD_ERR_RANGE, "samples: expected at least 1, got %d", s->samples);
    KD_FAIL_IF(s->max_tokens < 1, KD_ERR_RANGE, "max_tokens: expected at least 1, got %d", s->max_tokens);
    KD_FAIL_IF(!(s->temperature >= 0 && s->temperature <= 1e4), KD_ERR_RANGE, "temperature: expected 0 to 1e4, got %g", s->temperature);
    KD_FAIL_IF(s->top_k < 0, KD_ERR_RANGE, "top_k: expected 0 or more, got %d", s->top_k);
    KD_FAIL_IF(!(s->top_p > 0 && s->top_p <= 1), KD_ERR_RANGE, "top_p: expected above 0, at most 1, got %g", s->top_p);
    KD_FAIL_IF(!(s->min_p >= 0 && s->min_p < 1), KD_ERR_RANGE, "min_p: expected 0 to below 1, got %g", s->min_p);
    KD_FAIL_IF(!(s->repetition_penalty > 0 && s->repetition_penalty <= 1e4), KD_ERR_RANGE, "repetition_penalty: expected above 0, got %g",
               s->repetition_penalty);
    KD_FAIL_IF(s->stop_token_count < 0 || (s->stop_token_count && !s->stop_tokens), KD_ERR_INVALID, "stop_tokens: %d of them", s->stop_token_count);
    KD_FAIL_IF(s->stop_text_count < 0 || (s->stop_text_count && !s->stop_texts), KD_ERR_INVALID, "stop_texts: %d of them", s->stop_text_count);
    KD_FAIL_IF(s->stop_text_count && !g->options.tokenizer, KD_ERR_INVALID, "stop_texts need a generator with a tokenizer");
    for (int32_t i = 0; i < s->stop_text_count; i++)
        KD_FAIL_IF(!s->stop_texts[i] || !*s->stop_texts[i], KD_ERR_INVALID, "stop_texts: number %d is empty", i);
    return KD_OK;
}

static int64_t blocks_for(const kd_generator *g, int64_t tokens) { return (tokens + g->cache.block_tokens - 1) / g->cache.block_tokens; }

static kd_status check_prompt(const kd_generator *g, const int32_t *prompt, int64_t count, kd_sampling *s)
{
    const kd__decoder *d = g->model->net.decoder;
    KD_FAIL_IF(count < 1 || !prompt, KD_ERR_RANGE, "prompt: expected at least one token, got %lld", (long long)count);
    for (int64_t i = 0; i < count; i++)
        KD_FAIL_IF(prompt[i] < 0 || prompt[i] >= d->vocabulary, KD_ERR_RANGE, "prompt: number %lld: token %d is not in 0 to %lld", (long long)i,
                   prompt[i], (long long)d->vocabulary - 1);
    KD_FAIL_IF(count >= d->positions, KD_ERR_RANGE, "prompt: %lld tokens, the model has positions for %lld (max_position_embeddings)",
               (long long)count, (long long)d->positions);
    if (s->max_tokens > d->positions - count) s->max_tokens = (int32_t)(d->positions - count);
    const int64_t need = blocks_for(g, count + s->max_tokens);
    KD_FAIL_IF(need > g->cache.blocks, KD_ERR_RANGE, "prompt of %lld tokens and %d new ones: the cache has room for %lld (cache_tokens)",
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
    if (s->stop_token_count) memcpy(r->stop_tokens, s->stop_tokens, (size_t)s->stop_token_count * sizeof *prompt);
    KD_TRY(KD_NEW(context, &r->stop_texts, s->stop_text_count + 1));
    for (int32_t i = 0; i < s->stop_text_count; i++) KD_TRY(kd__copy_text(context, &r->stop_texts[i], s->stop_texts[i]));
    kd__hash128(prompt, (size_t)r->count * sizeof *prompt, key);
    r->stream = kd__stream(s->seed, key[0], key[1]);
    return KD_OK;
}

kd_status kd_generator_add(kd_generator *g, const int32_t *prompt, int64_t count, const kd_sampling *sampling, int64_t *request)
{
    kd_sampling s = sampling_defaults;
    kd__request *r = NULL;
    KD_NEED(g);
    KD_TRY(kd__options_read(&s, sizeof s, sampling, "kd_sampling"));
    KD_TRY(check_sampling(g, &s));
    KD_TRY(check_prompt(g, prompt, count, &s));
    KD_TRY(KD_NEW(g->object.context, &r, 1));
    r->sampling = s;
    r->count = count;
    r->open = s.samples;
    const kd_status status = copy_request(g, r, prompt);
    if (status != KD_OK) {
        free_request(g, r);
        return status;
    }
    r->number = g->requests++;
    if (g->last) g->last->next = r;
    else g->first = r;
    g->last = r;
    if (request) *request = r->number;
    return KD_OK;
}

/* One sample less to come; the last one takes the request along. */
static void close_sample(kd_generator *g, kd__request *request)
{
    if (--request->open > 0) return;
    kd__request *before = NULL;
    for (kd__request *r = g->first; r != request; r = r->next) before = r;
    if (before) before->next = request->next;
    else g->first = request->next;
    if (g->last == request) g->last = before;
    free_request(g, request);
}

/* ---- sequences ---- */

void kd__sequence_release(kd_generator *g, kd__sequence *s)
{
    for (int64_t i = 0; i < s->block_count; i++) kd__cache_drop(&g->cache, s->blocks[i]);
    s->block_count = 0;
}

kd_status kd__sequence_push(kd__sequence *s, kd_context *context, int32_t token, float logprob)
{
    const int64_t made = s->count - s->request->count;
    if (s->count == s->tokens_room) KD_TRY(KD_RESERVE(context, &s->tokens, &s->tokens_room, 2 * s->count + 16));
    if (made == s->logprobs_room) KD_TRY(KD_RESERVE(context, &s->logprobs, &s->logprobs_room, 2 * made + 16));
    s->tokens[s->count++] = token;
    s->logprobs[made] = logprob;
    return KD_OK;
}

/* Full blocks of the prompt that the cache knows; at least one token is left to compute, for its logits. */
static void share_prefix(kd_generator *g, kd__sequence *s)
{
    const int64_t b = g->cache.block_tokens;
    uint64_t chain[2] = { 0, 0 };
    while ((s->block_count + 1) * b < s->count) {
        uint64_t bytes[2 + 64];
        bytes[0] = chain[0], bytes[1] = chain[1];
        memcpy(bytes + 2, s->tokens + s->block_count * b, (size_t)b * sizeof *s->tokens);
        kd__hash128(bytes, 16 + (size_t)b * sizeof *s->tokens, chain);
        const int32_t found = kd__cache_share(&g->cache, chain, g->info.steps);
        if (found < 0) break;
        s->blocks[s->block_count++] = found;
        s->key[0] = chain[0], s->key[1] = chain[1];
    }
    s->keyed_blocks = s->block_count;
    s->computed = s->block_count * b;
    g->info.shared_tokens += s->computed;
}

/* Full blocks whose tokens are all scheduled get their keys: from now on others may share them, in this step too. */
static void name_blocks(kd_generator *g, kd__sequence *s)
{
    const int64_t b = g->cache.block_tokens;
    while ((s->keyed_blocks + 1) * b <= s->computed && (s->keyed_blocks + 1) * b <= s->request->count) {
        uint64_t bytes[2 + 64];
        kd__block *block = &g->cache.block[s->blocks[s->keyed_blocks]];
        bytes[0] = s->key[0], bytes[1] = s->key[1];
        memcpy(bytes + 2, s->tokens + s->keyed_blocks * b, (size_t)b * sizeof *s->tokens);
        kd__hash128(bytes, 16 + (size_t)b * sizeof *s->tokens, s->key);
        block->key[0] = s->key[0], block->key[1] = s->key[1];
        block->known = 1;
        block->used_at = g->info.steps;
        s->keyed_blocks++;
    }
}

static kd_status fill_sequence(kd_generator *g, kd__sequence *s, kd__request *r)
{
    kd_context *context = g->object.context;
    const int64_t need = blocks_for(g, r->count + r->sampling.max_tokens);
    s->request = r;
    s->text.context = context;
    s->limit = r->count + r->sampling.max_tokens;
    KD_TRY(KD_RESERVE(context, &s->tokens, &s->tokens_room, s->limit));
    KD_TRY(KD_RESERVE(context, &s->blocks, &s->blocks_room, need));
    memcpy(s->tokens, r->prompt, (size_t)r->count * sizeof *s->tokens);
    s->count = r->count;
    if (g->options.tokenizer) KD_TRY(kd_detokenizer_create(&s->stream, g->options.tokenizer, 0));
    if (r->sampling.keep_hidden) KD_TRY(KD_RESERVE(context, &s->hidden, &s->hidden_room, r->sampling.max_tokens * g->model->net.decoder->outer));
    share_prefix(g, s);
    while (s->block_count < need) s->blocks[s->block_count++] = kd__cache_take(&g->cache);
    return KD_OK;
}

/* Waiting samples enter free slots while the cache has room for all their tokens, and the step for `left` more rows. */
static kd_status admit(kd_generator *g, int64_t left)
{
    kd__request *r = g->first;
    for (int32_t slot = 0; slot < g->options.max_sequences && left > 0; slot++) {
        const int64_t before = g->rows.count;
        kd__sequence *s = NULL;
        if (g->slots[slot]) continue;
        while (r && r->started == r->sampling.samples) r = r->next;
        if (!r || blocks_for(g, r->count + r->sampling.max_tokens) > kd__cache_unused(&g->cache)) return KD_OK;
        KD_TRY(KD_NEW(g->object.context, &s, 1));
        const kd_status status = fill_sequence(g, s, r);
        if (status != KD_OK) {
            kd__sequence_release(g, s);
            free_sequence(g, s);
            return status;
        }
        s->sample = r->started++;
        g->slots[slot] = s;
        /* its rows are scheduled before the next one looks for a shared beginning */
        KD_TRY(kd__sequence_rows(g, s, left));
        left -= g->rows.count - before;
    }
    return KD_OK;
}

/* ---- a step ---- */

/* Schedules up to `count` new tokens of a sequence. */
kd_status kd__sequence_rows(kd_generator *g, kd__sequence *s, int64_t count)
{
    kd_context *context = g->object.context;
    kd__rows *rows = &g->rows;
    if (count > s->count - s->computed) count = s->count - s->computed;
    if (count < 1) return KD_OK;
    if (rows->count + count > rows->room) {
        int64_t room = rows->room;
        KD_TRY(KD_RESERVE(context, &rows->tokens, &room, 2 * (rows->count + count)));
        KD_TRY(KD_RESERVE(context, &rows->positions, &rows->room, 2 * (rows->count + count)));
    }
    KD_TRY(KD_RESERVE(context, &rows->spans, &rows->spans_room, rows->span_count + 16));
    rows->spans[rows->span_count++] = (struct kd__span){ s, rows->count, count, s->computed };
    for (int64_t i = 0; i < count; i++) {
        rows->tokens[rows->count] = s->tokens[s->computed + i];
        rows->positions[rows->count++] = s->computed + i;
    }
    if (s->computed < s->request->count) g->info.prompt_tokens += count;
    s->computed += count;
    name_blocks(g, s);
    return KD_OK;
}

static kd_status schedule(kd_generator *g)
{
    g->rows.count = g->rows.span_count = 0;
    for (int32_t i = 0; i < g->options.max_sequences; i++) /* those that have begun */
        if (g->slots[i] && g->slots[i]->count - g->slots[i]->computed == 1) KD_TRY(kd__sequence_rows(g, g->slots[i], 1));
    int64_t left = g->options.prompt_rows;
    for (int32_t i = 0; i < g->options.max_sequences && left > 0; i++) {
        if (!g->slots[i] || g->slots[i]->count - g->slots[i]->computed < 2) continue;
        const int64_t before = g->rows.count;
        KD_TRY(kd__sequence_rows(g, g->slots[i], left));
        left -= g->rows.count - before;
    }
    return admit(g, left);
}

typedef struct {
    kd_generator *g;
    kd__drawn *drawn;
    char *scratch;
    int64_t stride;
} drawing;

static void draw_one(void *argument, int64_t index, int32_t worker)
{
    const drawing *w = argument;
    const kd_generator *g = w->g;
    const kd__sequence *s = g->rows.spans[index].sequence;
    const int64_t v = g->model->net.decoder->vocabulary;
    w->drawn[index] = (kd__drawn){ -2, 0 };
    if (s->computed < s->count) return; /* its prompt goes on */
    w->drawn[index] = kd__draw(g->object.context->kernels, &s->request->sampling, g->logits + index * v, v, s->tokens, s->count,
                               kd__stream(s->request->stream, (uint64_t)s->sample, 0), (uint64_t)(s->count - s->request->count),
                               w->scratch + worker * w->stride);
}

static int ends_with_stop_text(const kd__sequence *s, int64_t before, int64_t *cut)
{
    for (int32_t i = 0; i < s->request->sampling.stop_text_count; i++) {
        const int64_t length = (int64_t)strlen(s->request->stop_texts[i]);
        const int64_t from = before - length + 1 > 0 ? before - length + 1 : 0;
        for (int64_t at = from; at + length <= s->text.size; at++)
            if (!memcmp(s->text.bytes + at, s->request->stop_texts[i], (size_t)length)) return *cut = at, 1;
    }
    return 0;
}

/* The new token's text, what ends the sequence, and the host's say. */
static kd_status take_token(kd_generator *g, kd__sequence *s, kd__drawn drawn)
{
    kd_sampling *sampling = &s->request->sampling;
    const char *piece = "";
    int64_t bytes = 0, cut, before = s->text.size;
    KD_TRY(kd__sequence_push(s, g->object.context, drawn.token, drawn.logprob));
    g->info.tokens++;
    for (int32_t i = 0; i < sampling->stop_token_count; i++)
        if (s->request->stop_tokens[i] == drawn.token) s->finished = 1, s->reason = KD_STOP_TOKEN;
    if (s->stream && !s->finished) {
        KD_TRY(kd_detokenizer_push(s->stream, drawn.token, &piece, &bytes));
        KD_TRY(kd__text_append(&s->text, piece, (size_t)bytes));
    }
    if (!s->finished && ends_with_stop_text(s, before, &cut)) {
        s->finished = 1;
        s->reason = KD_STOP_TEXT;
        s->text.size = cut;
        s->text.bytes[cut] = 0;
    }
    if (!s->finished && s->count == s->limit) s->finished = 1, s->reason = KD_STOP_LENGTH;
    if (sampling->token && sampling->token(sampling->user, s->request->number, s->sample, drawn.token, piece) && !s->finished)
        s->finished = 1, s->reason = KD_STOP_HOST;
    return KD_OK;
}

static kd_status finish_text(kd__sequence *s)
{
    const char *piece;
    int64_t bytes;
    if (!s->stream) return KD_OK;
    KD_TRY(kd_detokenizer_finish(s->stream, &piece, &bytes));
    if (s->reason != KD_STOP_TEXT) KD_TRY(kd__text_append(&s->text, piece, (size_t)bytes));
    return kd__text_append(&s->text, "", 0);
}

static kd_status retire(kd_generator *g, int32_t slot)
{
    kd__sequence *s = g->slots[slot];
    KD_TRY(finish_text(s));
    kd__sequence_release(g, s);
    g->slots[slot] = NULL;
    s->next = NULL;
    if (g->done_last) g->done_last->next = s;
    else g->done = s;
    g->done_last = s;
    return KD_OK;
}

static kd_status draw_all(kd_generator *g, const float *hidden)
{
    kd_context *context = g->object.context;
    const kd__decoder *d = g->model->net.decoder;
    const int64_t stride = (kd__draw_scratch(d->vocabulary) + 63) / 64 * 64, spans = g->rows.span_count;
    const int64_t need = stride * context->threads + spans * (int64_t)sizeof(kd__drawn);
    if (need > g->sampler_room) {
        kd__release(context, g->sampler);
        g->sampler = NULL;
        g->sampler_room = 0;
        KD_TRY(kd__allocate(context, &g->sampler, need, 1));
        g->sampler_room = need;
    }
    drawing w = { g, (kd__drawn *)(void *)((char *)g->sampler + stride * context->threads), g->sampler, stride };
    kd__parallel(context, spans, draw_one, &w);
    for (int64_t i = 0; i < spans; i++) {
        kd__sequence *s = g->rows.spans[i].sequence;
        if (w.drawn[i].token == -2) continue;
        KD_FAIL_IF(w.drawn[i].token < 0, KD_ERR_NONFINITE, "generator: prompt %lld: the model's logits are not finite",
                   (long long)s->request->number);
        if (s->hidden) memcpy(s->hidden + (s->count - s->request->count) * d->outer, hidden + i * d->outer, (size_t)d->outer * sizeof *hidden);
        KD_TRY(take_token(g, s, w.drawn[i]));
    }
    return KD_OK;
}

/* After a failure everything that runs is dropped: half a step cannot be taken back. */
static void drop_all(kd_generator *g)
{
    for (int32_t i = 0; i < g->options.max_sequences; i++) {
        kd__sequence *s = g->slots[i];
        if (!s) continue;
        kd__sequence_release(g, s);
        close_sample(g, s->request);
        free_sequence(g, s);
        g->slots[i] = NULL;
    }
    kd__cache_forget(&g->cache); /* some of what has a name was never computed */
}

static kd_status step(kd_generator *g)
{
    float *hidden;
    KD_TRY(schedule(g));
    if (!g->rows.span_count) return KD_OK;
    KD_TRY(kd__generate_pass(g, &hidden));
    KD_TRY(kd__generate_logits(g, hidden));
    KD_TRY(draw_all(g, hidden));
    g->info.steps++;
    for (int32_t i = 0; i < g->options.max_sequences; i++)
        if (g->slots[i] && g->slots[i]->finished) KD_TRY(retire(g, i));
    return KD_OK;
}

static kd_status fill_generated(const kd_generator *g, const kd__sequence *s, kd_generated *out)
{
    const kd__request *r = s->request;
    const int64_t made = s->count - r->count, dims[2] = { made, g->model->net.decoder->outer };
    kd_generated now = { .reason = s->reason,
                         .request = r->number,
                         .sample = s->sample,
                         .count = made,
                         .ids = s->tokens + r->count,
                         .logprobs = s->logprobs,
                         .text = s->stream ? s->text.bytes : NULL,
                         .text_bytes = s->text.size };
    if (s->hidden) kd__array_view(&now.hidden, s->hidden, KD_FLOAT32, 2, dims);
    return kd__info_write(out, &now, sizeof now, "kd_generated");
}

static void forget_given(kd_generator *g)
{
    free_sequence(g, g->given);
    g->given = NULL;
}

/* A sequence without a stream of its own gets its text at once: a beam. */
kd_status kd__generated_take(kd_generator *g, kd__sequence *s, kd_generated *out)
{
    const int64_t made = s->count - s->request->count - (s->reason == KD_STOP_TOKEN);
    if (g->options.tokenizer) {
        KD_TRY(kd_detokenizer_create(&s->stream, g->options.tokenizer, 0));
        KD_TRY(kd__decode(g->options.tokenizer, s->tokens + s->request->count, made, 0, &s->text));
    }
    KD_TRY(fill_generated(g, s, out));
    forget_given(g);
    s->request = NULL;
    g->given = s;
    return KD_OK;
}

kd_status kd_generator_next(kd_generator *g, kd_generated *text)
{
    KD_NEED(g);
    KD_NEED(text);
    forget_given(g);
    while (!g->done) {
        if (!g->first) return KD_END;
        KD_TRY(kd__progress(g->object.context, "generate", g->info.tokens, 0));
        const kd_status status = step(g);
        if (status != KD_OK) {
            drop_all(g);
            return status;
        }
    }
    kd__sequence *s = g->done;
    g->done = s->next;
    if (!g->done) g->done_last = NULL;
    g->given = s;
    const kd_status status = fill_generated(g, s, text);
    kd__request *r = s->request;
    s->request = NULL;
    close_sample(g, r);
    return status;
}

kd_status kd_generator_refresh(kd_generator *g)
{
    KD_NEED(g);
    KD_FAIL_IF(g->first || g->done, KD_ERR_STATE, "generator: prompts wait or run, or texts are not given out");
    KD_TRY(kd__lora_refresh(g->model));
    if (g->own_int8) {
        kd__int8_model *made = NULL;
        KD_TRY(kd__int8_model_make(&made, g->model));
        kd__int8_model_free(g->int8);
        g->int8 = made;
    }
    kd__cache_forget(&g->cache);
    return KD_OK;
}

kd_status kd_generator_cancel(kd_generator *g, int64_t request)
{
    KD_NEED(g);
    kd__request *r = g->first;
    while (r && r->number != request) r = r->next;
    KD_FAIL_IF(!r, KD_ERR_NOT_FOUND, "generator: no prompt %lld waits or runs", (long long)request);
    for (int32_t i = 0; i < g->options.max_sequences; i++) {
        kd__sequence *s = g->slots[i];
        if (!s || s->request != r) continue;
        kd__sequence_release(g, s);
        free_sequence(g, s);
        g->slots[i] = NULL;
    }
    for (kd__sequence **at = &g->done; *at;) {
        kd__sequence *s = *at;
        if (s->request == r) {
            *at = s->next;
            free_sequence(g, s);
        } else at = &s->next;
    }
    g->done_last = g->done;
    while (g->done_last && g->done_last->next) g->done_last = g->done_last->next;
    r->open = 1;
    close_sample(g, r);
    return KD_OK;
}
