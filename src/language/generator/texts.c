/* A drawn token becomes text; what ends a sequence; texts are given out. */
#include "language/generator/generate.h"

#include <string.h>

#include "base/array.h"

static int is_stop_token(const kd__request *r, int32_t token)
{
    for (int32_t i = 0; i < r->sampling.stop_token_count; i++)
        if (r->stop_tokens[i] == token) return 1;
    return 0;
}

/* Where the first of the request's stop texts begins that ends beyond `before`; -1: nowhere. */
static int64_t find_stop_text(const kd__sequence *s, int64_t before)
{
    for (int32_t i = 0; i < s->request->sampling.stop_text_count; i++) {
        const char *stop = s->request->stop_texts[i];
        const int64_t length = (int64_t)strlen(stop);
        for (int64_t at = kd__max(before - length + 1, 0); at + length <= s->text.size; at++)
            if (!memcmp(s->text.bytes + at, stop, (size_t)length)) return at;
    }
    return -1;
}

static void finish(kd__sequence *s, int32_t reason)
{
    if (s->finished) return;
    s->finished = 1;
    s->reason = reason;
}

/* The token's piece joins the text, which ends before a stop text. */
static kd_status append_piece(kd__sequence *s, int32_t token, const char **piece)
{
    const int64_t before = s->text.size;
    int64_t bytes = 0;
    if (!s->stream) return KD_OK;
    KD_TRY(kd_detokenizer_push(s->stream, token, piece, &bytes));
    KD_TRY(kd__text_append(&s->text, *piece, (size_t)bytes));
    const int64_t cut = find_stop_text(s, before);
    if (cut < 0) return KD_OK;
    s->text.size = cut;
    s->text.bytes[cut] = 0;
    finish(s, KD_STOP_TEXT);
    return KD_OK;
}

/* The new token's text, what ends the sequence, and the host's say. */
kd_status kd__sequence_take(kd_generator *g, kd__sequence *s, kd__drawn drawn)
{
    const kd__request *r = s->request;
    const kd_sampling *sampling = &r->sampling;
    const char *piece = "";
    KD_TRY(kd__sequence_push(s, g->object.context, drawn.token, drawn.logprob));
    g->info.tokens++;
    if (is_stop_token(r, drawn.token)) finish(s, KD_STOP_TOKEN);
    else KD_TRY(append_piece(s, drawn.token, &piece));
    if (s->count == s->limit) finish(s, KD_STOP_LENGTH);
    if (!sampling->token) return KD_OK;
    if (sampling->token(sampling->user, r->number, s->sample, drawn.token, piece))
        finish(s, KD_STOP_HOST);
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

kd_status kd__sequence_retire(kd_generator *g, int32_t slot)
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

kd_status kd__generated_fill(const kd_generator *g, const kd__sequence *s, kd_generated *out)
{
    const kd__request *r = s->request;
    const int64_t made = s->count - r->count;
    const int64_t dims[2] = { made, kd__trunk_config_of(g->model)->outer };
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

void kd__generated_forget(kd_generator *g)
{
    kd__sequence_free(g, g->given);
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
    KD_TRY(kd__generated_fill(g, s, out));
    kd__generated_forget(g);
    s->request = NULL;
    g->given = s;
    return KD_OK;
}
