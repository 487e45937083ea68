/* Sequences: their tokens, the cache's blocks that hold them, their rows of a step. */
#include "language/generator/generate.h"

#include <string.h>

#include "base/hash.h"

void kd__sequence_free(kd_generator *g, kd__sequence *s)
{
    kd_context *context = g->object.context;
    if (!s) return;
    kd__release(context, s->tokens);
    kd__release(context, s->logprobs);
    kd__release(context, s->hidden);
    kd__release(context, s->blocks);
    kd__draft_drop(g, s);
    kd_detokenizer_free(s->stream);
    kd__text_free(&s->text);
    kd__release(context, s);
}

void kd__sequence_release(kd_generator *g, kd__sequence *s)
{
    for (int64_t i = 0; i < s->block_count; i++) kd__cache_drop(&g->cache, s->blocks[i]);
    s->block_count = 0;
    kd__draft_drop(g, s);
}

kd_status kd__sequence_push(kd__sequence *s, kd_context *context, int32_t token, float logprob)
{
    const int64_t made = s->count - s->request->count;
    KD_TRY(KD_RESERVE(context, &s->tokens, &s->tokens_room, s->count + 1));
    KD_TRY(KD_RESERVE(context, &s->logprobs, &s->logprobs_room, made + 1));
    s->tokens[s->count++] = token;
    s->logprobs[made] = logprob;
    return KD_OK;
}

/* The key of a block after the block whose key was `key`: a hash of that key and its tokens. */
static void chain(uint64_t key[2], const int32_t *tokens, int64_t count)
{
    uint64_t bytes[2 + 64];
    const size_t size = (size_t)count * sizeof *tokens;
    memcpy(bytes, key, 16);
    memcpy(bytes + 2, tokens, size);
    kd__hash128(bytes, 16 + size, key);
}

/* Full blocks of the prompt that the cache knows; at least one token is left to compute, for its
 * logits. */
static void share_prefix(kd_generator *g, kd__sequence *s)
{
    const int64_t b = g->cache.block_tokens;
    uint64_t key[2] = { 0, 0 };
    while ((s->block_count + 1) * b < s->count) {
        chain(key, s->tokens + s->block_count * b, b);
        const int32_t found = kd__cache_share(&g->cache, key, g->info.steps);
        if (found < 0) break;
        s->blocks[s->block_count++] = found;
        memcpy(s->key, key, sizeof key);
    }
    s->keyed_blocks = s->block_count;
    s->computed = s->block_count * b;
    g->info.shared_tokens += s->computed;
}

/* Full blocks whose tokens are all scheduled get their keys: from now on others may share them, in
 * this step too. */
static void name_blocks(kd_generator *g, kd__sequence *s)
{
    const int64_t b = g->cache.block_tokens;
    const int64_t full = kd__min(s->computed, s->request->count) / b;
    for (; s->keyed_blocks < full; s->keyed_blocks++) {
        kd__block *block = &g->cache.block[s->blocks[s->keyed_blocks]];
        chain(s->key, s->tokens + s->keyed_blocks * b, b);
        memcpy(block->key, s->key, sizeof s->key);
        block->known = 1;
        block->used_at = g->info.steps;
    }
}

kd_status kd__sequence_blocks(kd_generator *g, kd__sequence *s)
{
    const int64_t need = kd__cache_blocks_for(&g->cache, s->limit);
    KD_TRY(KD_RESERVE(g->object.context, &s->blocks, &s->blocks_room, need));
    share_prefix(g, s);
    while (s->block_count < need) s->blocks[s->block_count++] = kd__cache_take(&g->cache);
    return KD_OK;
}

kd_status kd__sequence_fill(kd_generator *g, kd__sequence *s, kd__request *r)
{
    kd_context *context = g->object.context;
    s->request = r;
    s->text.context = context;
    s->limit = r->count + r->sampling.max_tokens;
    KD_TRY(KD_RESERVE(context, &s->tokens, &s->tokens_room, s->limit));
    memcpy(s->tokens, r->prompt, (size_t)r->count * sizeof *s->tokens);
    s->count = r->count;
    if (g->options.tokenizer) KD_TRY(kd_detokenizer_create(&s->stream, g->options.tokenizer, 0));
    if (r->sampling.keep_hidden)
        KD_TRY(KD_RESERVE(context, &s->hidden, &s->hidden_room,
                          r->sampling.max_tokens * kd__trunk_config_of(g->model)->outer));
    return kd__sequence_blocks(g, s);
}

void kd__slot_clear(kd_generator *g, int32_t slot)
{
    kd__sequence_release(g, g->slots[slot]);
    kd__sequence_free(g, g->slots[slot]);
    g->slots[slot] = NULL;
}

void kd__rows_clear(kd_generator *g)
{
    g->rows.count = g->rows.span_count = g->rows.output_count = 0;
}

/* The logits of a span's last rows are made: of one, and of those that were proposed. */
static kd_status add_outputs(kd_generator *g, const struct kd__span *span)
{
    kd__new_rows *rows = &g->rows;
    const int64_t count = kd__min(span->count, 1 + span->sequence->draft.count);
    KD_TRY(KD_RESERVE(g->object.context, &rows->outputs, &rows->outputs_room,
                      rows->output_count + count));
    for (int64_t i = span->count - count; i < span->count; i++)
        rows->outputs[rows->output_count++] =
            (struct kd__output_row){ span->sequence, span->first + i, span->position + i + 1 };
    return KD_OK;
}

kd_status kd__sequence_rows(kd_generator *g, kd__sequence *s, int64_t count)
{
    kd_context *context = g->object.context;
    kd__new_rows *rows = &g->rows;
    count = kd__min(count, s->count + s->draft.count - s->computed);
    if (count < 1) return KD_OK;
    KD_TRY(KD_RESERVE(context, &rows->tokens, &rows->tokens_room, rows->count + count));
    KD_TRY(KD_RESERVE(context, &rows->positions, &rows->positions_room, rows->count + count));
    KD_TRY(KD_RESERVE(context, &rows->spans, &rows->spans_room, rows->span_count + 1));
    rows->spans[rows->span_count] = (struct kd__span){ s, rows->count, count, s->computed };
    KD_TRY(add_outputs(g, &rows->spans[rows->span_count++]));
    for (int64_t i = 0; i < count; i++) {
        rows->tokens[rows->count + i] = s->tokens[s->computed + i];
        rows->positions[rows->count + i] = s->computed + i;
    }
    rows->count += count;
    const int64_t prompt = kd__min(s->request->count - s->computed, count);
    g->info.prompt_tokens += kd__max(prompt, 0);
    s->computed += count;
    name_blocks(g, s);
    return KD_OK;
}
