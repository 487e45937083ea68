/* Beam search: the beams are sequences of one prompt, which share all their full blocks; a beam
 * that branches copies its last one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "language/generator/generate.h"

static const kd_beam_options defaults = KD_BEAM_OPTIONS_INIT;
void kd_beam_options_init(kd_beam_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

typedef struct {
    double score; /* sum of log-probabilities */
    int32_t beam, token;
    float logprob;
} branch;

typedef struct {
    kd_generator *g;
    kd_beam_options o;
    kd__request *request;
    kd__sequence **beams, **next, *best; /* best: the finished one of the highest score */
    double *scores, best_score;
    int64_t count;
    branch *branches;
} search;

static int compare(const void *a, const void *b)
{
    const branch *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->beam != y->beam ? x->beam - y->beam : x->token - y->token;
}

static double normalized(const search *s, double score, int64_t tokens)
{
    return score / pow((double)(tokens > 0 ? tokens : 1), s->o.length_penalty);
}

static void drop(search *s, kd__sequence *q)
{
    kd_context *context = s->g->object.context;
    if (!q) return;
    kd__sequence_release(s->g, q);
    kd__release(context, q->tokens);
    kd__release(context, q->logprobs);
    kd__release(context, q->blocks);
    kd_detokenizer_free(q->stream);
    kd__text_free(&q->text);
    kd__release(context, q);
}

static kd_status make(search *s, kd__sequence **out)
{
    kd_context *context = s->g->object.context;
    const int64_t limit = s->request->count + s->o.max_tokens;
    kd__sequence *q = NULL;
    KD_TRY(KD_NEW(context, &q, 1));
    *out = q;
    q->request = s->request;
    q->limit = limit;
    q->text.context = context;
    KD_TRY(KD_RESERVE(context, &q->tokens, &q->tokens_room, limit));
    KD_TRY(KD_RESERVE(context, &q->logprobs, &q->logprobs_room, s->o.max_tokens + 1));
    return KD_RESERVE(context, &q->blocks, &q->blocks_room, limit / s->g->cache.block_tokens + 2);
}

/* A block for the next token. */
static kd_status grow(search *s, kd__sequence *q)
{
    while (q->block_count * s->g->cache.block_tokens < q->count) {
        const int32_t block = kd__cache_take(&s->g->cache);
        KD_FAIL_IF(block < 0, KD_ERR_RANGE, "beam search: the cache is full: raise cache_tokens");
        q->blocks[q->block_count++] = block;
    }
    return KD_OK;
}

static void copy_block(kd__cache *c, int32_t from, int32_t to)
{
    for (int64_t layer = 0; layer < c->layers; layer++)
        memcpy(kd__cache_at(c, layer, to, 0), kd__cache_at(c, layer, from, 0),
               (size_t)(c->kv_heads * c->head_bytes));
}

/* `from` and one more token as a new sequence: full blocks are shared, the open one is copied. */
static kd_status branch_off(search *s, const kd__sequence *from, const branch *b,
                            kd__sequence **out)
{
    kd_generator *g = s->g;
    KD_TRY(make(s, out));
    kd__sequence *q = *out;
    memcpy(q->tokens, from->tokens, (size_t)from->count * sizeof *q->tokens);
    memcpy(q->logprobs, from->logprobs,
           (size_t)(from->count - s->request->count) * sizeof *q->logprobs);
    q->count = from->count;
    q->computed = from->computed;
    for (int64_t i = 0; i < from->computed / g->cache.block_tokens; i++) {
        q->blocks[q->block_count++] = from->blocks[i];
        g->cache.block[from->blocks[i]].users++;
    }
    if (from->computed % g->cache.block_tokens) {
        const int32_t block = kd__cache_take(&g->cache);
        KD_FAIL_IF(block < 0, KD_ERR_RANGE, "beam search: the cache is full: raise cache_tokens");
        copy_block(&g->cache, from->blocks[q->block_count], block);
        q->blocks[q->block_count++] = block;
    }
    return kd__sequence_push(q, g->object.context, b->token, b->logprob);
}

/* The 2 x beams best continuations of one beam; -1: its logits are not finite. */
static int64_t branches_of(search *s, int64_t beam, branch *to)
{
    const kd__kernels *kernels = s->g->object.context->kernels;
    const int64_t v = kd__trunk_config_of(s->g->model)->vocabulary, most = 2 * s->o.beams;
    const float *z = s->g->logits + beam * v;
    float *e = s->g->sampler;
    int32_t bad = 0;
    int64_t found = 0;
    const float max = kernels->scan(z, v, &bad);
    if (bad || max == -INFINITY) return -1;
    const double lse = max + log(kernels->exponentials(z, v, max, 1, e));
    /* a list in falling order; equal ones keep the lower id first */
    for (int32_t id = 0; id < v; id++) {
        if (found == most && z[id] <= to[found - 1].logprob) continue;
        int64_t at = found < most ? found++ : found - 1;
        for (; at && to[at - 1].logprob < z[id]; at--) to[at] = to[at - 1];
        to[at] = (branch){ 0, (int32_t)beam, id, z[id] };
    }
    for (int64_t i = 0; i < found; i++) {
        to[i].logprob = (float)(to[i].logprob - lse);
        to[i].score = s->scores[beam] + to[i].logprob;
    }
    return found;
}

static kd_status forward(search *s)
{
    float *hidden;
    kd__rows_clear(s->g);
    for (int64_t i = 0; i < s->count; i++) {
        KD_TRY(grow(s, s->beams[i]));
        KD_TRY(kd__sequence_rows(s->g, s->beams[i], s->beams[i]->count));
    }
    KD_TRY(kd__generate_pass(s->g, &hidden));
    return kd__generate_logits(s->g, hidden);
}

/* A finished text is kept when it is the best so far. */
static kd_status finish(search *s, const branch *b, int32_t reason)
{
    const kd__sequence *from = s->beams[b->beam];
    const double score = normalized(s, b->score, from->count + 1 - s->request->count);
    if (s->best && score <= s->best_score) return KD_OK;
    kd__sequence *made = NULL;
    const kd_status status = branch_off(s, from, b, &made);
    if (status != KD_OK) {
        drop(s, made);
        return status;
    }
    drop(s, s->best);
    kd__sequence_release(s->g, made);
    made->reason = reason;
    s->best = made;
    s->best_score = score;
    return KD_OK;
}

static int is_end(const kd__request *r, int32_t token)
{
    for (int32_t i = 0; i < r->sampling.stop_token_count; i++)
        if (r->stop_tokens[i] == token) return 1;
    return 0;
}

static kd_status step(search *s, int *done)
{
    int64_t found = 0, kept = 0;
    KD_TRY(forward(s));
    for (int64_t i = 0; i < s->count; i++) {
        const int64_t more = branches_of(s, i, s->branches + found);
        KD_FAIL_IF(more < 0, KD_ERR_NONFINITE, "beam search: the model's logits are not finite");
        found += more;
    }
    qsort(s->branches, (size_t)found, sizeof *s->branches, compare);
    double scores[256];
    for (int64_t i = 0; i < found && kept < s->o.beams; i++) {
        const branch *b = &s->branches[i];
        const int stops = is_end(s->request, b->token),
                  full = s->beams[b->beam]->count + 1 == s->request->count + s->o.max_tokens;
        if (stops || full) {
            if (i < s->o.beams || full)
                KD_TRY(finish(s, b, stops ? KD_STOP_TOKEN : KD_STOP_LENGTH));
            if (full) kept++;
            continue;
        }
        scores[kept] = b->score;
        KD_TRY(branch_off(s, s->beams[b->beam], b, &s->next[kept]));
        kept++;
    }
    for (int64_t i = 0; i < s->count; i++) drop(s, s->beams[i]), s->beams[i] = NULL;
    s->count = 0;
    for (int64_t i = 0; i < kept && s->next[i]; i++) {
        s->beams[s->count] = s->next[i];
        s->scores[s->count++] = scores[i];
        s->next[i] = NULL;
    }
    /* log-probabilities only fall: no open beam can pass the best when its own score, at the
     * longest, is behind it */
    const int64_t most = s->o.length_penalty > 0 ? s->o.max_tokens
                         : s->count              ? s->beams[0]->count - s->request->count
                                                 : 1;
    *done = !s->count || (s->best && normalized(s, s->scores[0], most) <= s->best_score);
    return KD_OK;
}

static kd_status run(search *s, kd__request *r)
{
    kd_context *context = s->g->object.context;
    int done = 0;
    KD_TRY(KD_NEW(context, &s->beams, s->o.beams));
    KD_TRY(KD_NEW(context, &s->next, s->o.beams));
    KD_TRY(KD_NEW(context, &s->scores, s->o.beams));
    KD_TRY(KD_NEW(context, &s->branches, (int64_t)2 * s->o.beams * s->o.beams));
    if (kd__trunk_config_of(s->g->model)->vocabulary * (int64_t)sizeof(float) >
        s->g->sampler_room) {
        kd__release(context, s->g->sampler);
        s->g->sampler = NULL;
        s->g->sampler_room = 0;
        KD_TRY(kd__allocate(context, &s->g->sampler, kd__trunk_config_of(s->g->model)->vocabulary,
                            sizeof(float)));
        memset(s->g->sampler, 0,
               (size_t)kd__trunk_config_of(s->g->model)->vocabulary * sizeof(float));
    }
    KD_TRY(make(s, &s->beams[0]));
    s->count = 1;
    memcpy(s->beams[0]->tokens, r->prompt, (size_t)r->count * sizeof *r->prompt);
    s->beams[0]->count = r->count;
    while (!done) KD_TRY(step(s, &done));
    return KD_OK;
}

static kd_status check_options(const kd_generator *g, const kd_beam_options *o)
{
    KD_FAIL_IF(o->beams < 1 || o->beams > g->options.max_sequences || o->beams > 256, KD_ERR_RANGE,
               "beams: expected 1 to %d (max_sequences, at most 256), got %d",
               g->options.max_sequences, o->beams);
    KD_FAIL_IF(!(fabs(o->length_penalty) <= 100), KD_ERR_RANGE,
               "length_penalty: expected -100 to 100, got %g", o->length_penalty);
    KD_FAIL_IF(o->stop_token < KD_END_TOKEN_DEFAULT, KD_ERR_RANGE,
               "stop_token: expected KD_END_TOKEN_DEFAULT, KD_END_TOKEN_NONE or an id, got %d",
               o->stop_token);
    return KD_OK;
}

/* The prompt as a request of the generator, which checks and copies it. */
static kd_status add_prompt(search *s, const int32_t *prompt, int64_t count)
{
    kd_sampling sampling = KD_SAMPLING_INIT;
    sampling.max_tokens = s->o.max_tokens;
    if (s->o.stop_token != KD_END_TOKEN_DEFAULT) {
        sampling.stop_tokens = &s->o.stop_token;
        sampling.stop_token_count = s->o.stop_token >= 0;
    }
    KD_TRY(kd_generator_add(s->g, prompt, count, &sampling, NULL));
    s->request = s->g->first;
    s->o.max_tokens = s->request->sampling.max_tokens;
    return KD_OK;
}

/* Frees all but the best text. */
static void drop_beams(search *s)
{
    kd_context *context = s->g->object.context;
    for (int64_t i = 0; i < s->o.beams; i++) {
        if (s->beams) drop(s, s->beams[i]);
        if (s->next) drop(s, s->next[i]);
    }
    kd__release(context, s->beams);
    kd__release(context, s->next);
    kd__release(context, s->scores);
    kd__release(context, s->branches);
}

kd_status kd_generator_beam_search(kd_generator *g, const int32_t *prompt, int64_t count,
                                   const kd_beam_options *options, kd_generated *text,
                                   double *score)
{
    search s = { .g = g, .o = defaults };
    KD_NEED(g);
    KD_NEED(text);
    KD_TRY(kd__options_read(&s.o, sizeof s.o, options, "kd_beam_options"));
    KD_FAIL_IF(g->first || g->done, KD_ERR_STATE,
               "beam search: expected no other prompt in this generator: take all texts first");
    KD_TRY(check_options(g, &s.o));
    KD_TRY(add_prompt(&s, prompt, count));
    kd_status status = run(&s, s.request);
    drop_beams(&s);
    if (status == KD_OK) status = kd__generated_take(g, s.best, text);
    if (status == KD_OK && score) *score = s.best_score;
    if (status != KD_OK) {
        drop(&s, s.best);
        kd__cache_forget(&g->cache);
    }
    kd_generator_cancel(g, g->first->number);
    return status;
}
