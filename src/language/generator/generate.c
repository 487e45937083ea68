/* A step schedules one new token of every sequence that has begun and a share of the prompts that
 * wait, runs them through the model, and draws. */
#include "language/generator/generate.h"

#include <string.h>

#include "base/log.h"
#include "base/os.h"
#include "base/thread.h"
#include "math/random.h"

/* A request's next sample enters a slot, and up to `left` of its rows the step: they are scheduled
 * before the next sample looks for a shared beginning. */
static kd_status start_sample(kd_generator *g, kd__request *r, int32_t slot, int64_t left)
{
    kd__sequence *s = NULL;
    KD_TRY(KD_NEW(g->object.context, &s, 1));
    g->slots[slot] = s;
    const kd_status status = kd__sequence_fill(g, s, r);
    if (status != KD_OK) {
        kd__slot_clear(g, slot);
        return status;
    }
    s->sample = r->started++;
    return kd__sequence_rows(g, s, left);
}

/* Waiting samples enter free slots while the cache has room for all their tokens, and the step for
 * `left` more rows. */
static kd_status admit(kd_generator *g, int64_t left)
{
    const int64_t end = g->rows.count + left;
    kd__request *r = g->first;
    for (int32_t slot = 0; slot < g->options.max_sequences && g->rows.count < end; slot++) {
        if (g->slots[slot]) continue;
        while (r && r->started == r->sampling.samples) r = r->next;
        if (!r) return KD_OK;
        const int64_t tokens = r->count + r->sampling.max_tokens;
        if (kd__cache_blocks_for(&g->cache, tokens) > kd__cache_unused(&g->cache)) return KD_OK;
        KD_TRY(start_sample(g, r, slot, end - g->rows.count));
    }
    return KD_OK;
}

static int64_t waiting(const kd__sequence *s) { return s ? s->count - s->computed : 0; }

/* One row of each sequence that has begun to speak, and those proposed for it; then prompts, up to
 * prefill_tokens rows. */
static kd_status schedule(kd_generator *g)
{
    const int32_t slots = g->options.max_sequences;
    kd__rows_clear(g);
    for (int32_t i = 0; i < slots; i++)
        if (waiting(g->slots[i]) == 1)
            KD_TRY(kd__sequence_rows(g, g->slots[i], 1 + g->slots[i]->draft.count));
    const int64_t end = g->rows.count + g->options.prefill_tokens;
    for (int32_t i = 0; i < slots && g->rows.count < end; i++)
        if (waiting(g->slots[i]) > 1)
            KD_TRY(kd__sequence_rows(g, g->slots[i], end - g->rows.count));
    return admit(g, end - g->rows.count);
}

/* ---- draws ---- */

typedef struct {
    const kd_generator *g;
    kd__drawn *drawn; /* (outputs) */
    char *scratch;
    int64_t stride; /* of a thread's scratch */
} drawing;

static void draw_one(void *argument, int64_t index, int32_t worker)
{
    const drawing *w = argument;
    const kd_generator *g = w->g;
    const struct kd__output_row *output = &g->rows.outputs[index];
    const kd__sequence *s = output->sequence;
    const kd__request *r = s->request;
    const int64_t v = kd__trunk_config_of(g->model)->vocabulary;
    w->drawn[index] = (kd__drawn){ KD__UNFINISHED_PROMPT, 0 };
    if (output->seen < s->count) return;
    const uint64_t stream = kd__stream(r->stream, (uint64_t)s->sample, 0);
    w->drawn[index] = kd__draw(g->object.context->kernels, &r->sampling, g->logits + index * v, v,
                               s->tokens, output->seen, stream, (uint64_t)(output->seen - r->count),
                               w->scratch + worker * w->stride);
}

static kd_status reserve_drawing(kd_generator *g, drawing *w)
{
    kd_context *context = g->object.context;
    const int64_t v = kd__trunk_config_of(g->model)->vocabulary;
    const int64_t stride = kd__round_up(kd__draw_scratch(v), 64);
    const int64_t scratch = stride * context->threads;
    const int64_t need = scratch + g->rows.output_count * (int64_t)sizeof(kd__drawn);
    if (need > g->sampler_room) {
        kd__release(context, g->sampler);
        g->sampler = NULL;
        g->sampler_room = 0;
        KD_TRY(kd__allocate(context, &g->sampler, need, 1));
        g->sampler_room = need;
    }
    *w = (drawing){ .g = g, .scratch = g->sampler, .stride = stride };
    w->drawn = (kd__drawn *)(void *)(w->scratch + scratch);
    return KD_OK;
}

kd_status kd__generate_draws(kd_generator *g, kd__drawn **drawn)
{
    drawing w;
    KD_TRY(reserve_drawing(g, &w));
    kd__parallel(g->object.context, g->rows.output_count, draw_one, &w);
    *drawn = w.drawn;
    return KD_OK;
}

/* hidden (d): the state that the token was drawn from, kept where the request asks for it. */
static kd_status take_drawn(kd_generator *g, kd__sequence *s, kd__drawn drawn, const float *hidden)
{
    const int64_t d = kd__trunk_config_of(g->model)->outer;
    KD_FAIL_IF(drawn.token < 0, KD_ERR_NONFINITE,
               "generator: prompt %lld: the model's logits are not finite",
               (long long)s->request->number);
    if (s->hidden) {
        const int64_t made = s->count - s->request->count;
        memcpy(s->hidden + made * d, hidden, (size_t)d * sizeof *hidden);
    }
    return kd__sequence_take(g, s, drawn);
}

/* Tokens of a sequence's outputs, (count): the first is drawn as ever; each further one counts if
 * what was proposed before it was right. */
static kd_status take_outputs(kd_generator *g, kd__sequence *s, const kd__drawn *drawn,
                              const float *hidden, int64_t count)
{
    const int64_t d = kd__trunk_config_of(g->model)->outer;
    int64_t right = 0;
    if (drawn->token == KD__UNFINISHED_PROMPT) return KD_OK;
    for (int64_t i = 0; i < count; i++) {
        const int32_t proposed = i + 1 < count ? s->tokens[s->count] : -1;
        KD_TRY(take_drawn(g, s, drawn[i], hidden + i * d));
        if (drawn[i].token != proposed) break;
        right++;
        if (s->finished) break;
    }
    kd__draft_settle(g, s, right);
    return KD_OK;
}

/* `made`: tokens. */
static kd_status take_all(kd_generator *g, const float *hidden, int64_t *made)
{
    const kd__new_rows *rows = &g->rows;
    const int64_t d = kd__trunk_config_of(g->model)->outer, before = g->info.tokens;
    kd__drawn *drawn;
    KD_TRY(kd__generate_draws(g, &drawn));
    for (int64_t i = 0, end; i < rows->output_count; i = end) {
        kd__sequence *s = rows->outputs[i].sequence;
        for (end = i + 1; end < rows->output_count && rows->outputs[end].sequence == s;) end++;
        KD_TRY(take_outputs(g, s, drawn + i, hidden + i * d, end - i));
    }
    *made = g->info.tokens - before;
    return KD_OK;
}

/* ---- a step ---- */

/* After a failure everything that runs is dropped: half a step cannot be taken back. */
static void drop_all(kd_generator *g)
{
    for (int32_t i = 0; i < g->options.max_sequences; i++) {
        if (!g->slots[i]) continue;
        kd__request *r = g->slots[i]->request;
        kd__slot_clear(g, i);
        kd__request_close(g, r);
    }
    kd__cache_forget(&g->cache); /* some of what has a name was never computed */
    if (g->drafter) kd__cache_forget(&g->drafter->cache);
}

/* Rows of sequences that speak: one each and what is proposed; -1: prompts are among the rows. */
static int64_t speaking_rows(const kd_generator *g, int64_t *sequences)
{
    *sequences = g->rows.span_count;
    for (int64_t i = 0; i < g->rows.span_count; i++) {
        const struct kd__span *span = &g->rows.spans[i];
        if (span->position + span->count <= span->sequence->request->count) return -1;
    }
    return g->rows.count;
}

static kd_status step(kd_generator *g)
{
    float *hidden;
    int64_t made, sequences;
    KD_TRY(kd__draft_propose(g));
    KD_TRY(schedule(g));
    if (!g->rows.span_count) return KD_OK;
    const int64_t rows = speaking_rows(g, &sequences);
    const double begin = kd__os_now();
    KD_TRY(kd__generate_pass(g, &hidden));
    KD_TRY(kd__generate_logits(g, hidden));
    KD_TRY(take_all(g, hidden, &made));
    if (rows >= 0) kd__draft_time(g, kd__os_now() - begin, sequences, rows - sequences, made);
    g->info.steps++;
    for (int32_t i = 0; i < g->options.max_sequences; i++)
        if (g->slots[i] && g->slots[i]->finished) KD_TRY(kd__sequence_retire(g, i));
    return KD_OK;
}

kd_status kd_generator_next(kd_generator *g, kd_generated *text)
{
    KD_NEED(g);
    KD_NEED(text);
    kd__generated_forget(g);
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
    const kd_status status = kd__generated_fill(g, s, text);
    kd__request *r = s->request;
    s->request = NULL;
    kd__request_close(g, r);
    return status;
}
