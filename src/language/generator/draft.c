/* Drafts: tokens are proposed for a sequence, and the model computes their rows in one step. It
 * draws each as it would have without them, with the same noise, and keeps what it was going to
 * write: a draft changes how long a text takes, never the text.
 * Proposals are found in the prompt and the text (draft_lookup.c), or written by a second, smaller
 * model: a generator of its own, whose sequences are shadows of this one's. */
#include "language/generator/generate.h"

#include "base/os.h"

void kd__draft_drop(kd_generator *g, kd__sequence *s)
{
    kd__sequence *shadow = s->draft.shadow;
    if (!shadow) return;
    s->draft.shadow = NULL;
    kd__sequence_release(g->drafter, shadow);
    shadow->tokens = NULL; /* the sequence's */
    kd__sequence_free(g->drafter, shadow);
}

void kd__draft_settle(kd_generator *g, kd__sequence *s, int64_t right)
{
    kd__drafted *d = &s->draft;
    if (d->count) {
        double *acceptance = &d->acceptance[d->by_lookup];
        for (int64_t i = 0; i < kd__min(right + 1, d->count); i++)
            *acceptance = 0.9 * *acceptance + 0.1 * (i < right);
        g->info.drafted += d->count;
        g->info.accepted += right;
    }
    d->count = 0;
    s->computed = kd__min(s->computed, s->count - 1);
    if (d->shadow) d->shadow->computed = kd__min(d->shadow->computed, s->count - 1);
}

/* ---- a model's proposals ---- */

/* Ids of the sequence from `first` on that the draft knows. */
static int knows(const kd_generator *drafter, const kd__sequence *s, int64_t first)
{
    const int64_t vocabulary = kd__trunk_config_of(drafter->model)->vocabulary;
    for (int64_t i = first; i < s->count; i++)
        if (s->tokens[i] >= vocabulary) return 0;
    return 1;
}

/* A shadow of the sequence, or the reason why there is none is kept: it takes no memory that a
 * running one's needs. */
static kd_status follow(kd_generator *g, kd__sequence *s)
{
    kd_generator *drafter = g->drafter;
    kd__sequence *shadow = NULL;
    const int64_t need = kd__cache_blocks_for(&drafter->cache, s->limit);
    if (need > kd__cache_unused(&drafter->cache) || !knows(drafter, s, 0)) {
        s->draft.refused = 1;
        return KD_OK;
    }
    KD_TRY(KD_NEW(drafter->object.context, &shadow, 1));
    s->draft.shadow = shadow;
    shadow->request = s->request;
    shadow->sample = s->sample;
    shadow->text.context = drafter->object.context;
    shadow->tokens = s->tokens;
    shadow->count = s->request->count;
    shadow->limit = s->limit;
    return kd__sequence_blocks(drafter, shadow);
}

/* What the draft can follow at most: the rows it computes lie within its positions. */
static int64_t within_positions(const kd_generator *drafter, const kd__sequence *s, int64_t most)
{
    return kd__min(most, kd__trunk_config_of(drafter->model)->positions - s->count);
}

/* Which sequences a model proposes for, and how many tokens each. */
static kd_status choose(kd_generator *g, kd__sequence *s, int64_t speaking)
{
    kd__drafted *d = &s->draft;
    const int64_t length = within_positions(g->drafter, s, kd__draft_length(g, s, 0, speaking));
    if (length < 1 || d->refused) return KD_OK;
    if (!d->shadow) KD_TRY(follow(g, s));
    if (!d->shadow) return KD_OK;
    if (!knows(g->drafter, s, d->shadow->computed)) {
        kd__draft_drop(g, s);
        d->refused = 1;
        return KD_OK;
    }
    d->by_lookup = 0;
    d->wanted = (int32_t)length;
    return KD_OK;
}

/* Rows of a round: those of each shadow that are not computed. 0: nobody wants more. */
static kd_status round_rows(kd_generator *g, int64_t *rows)
{
    kd_generator *drafter = g->drafter;
    kd__rows_clear(drafter);
    for (int32_t i = 0; i < g->options.max_sequences; i++) {
        kd__sequence *s = g->slots[i];
        const int64_t left = drafter->options.prefill_tokens - drafter->rows.count;
        if (!s || s->draft.wanted <= s->draft.count || left < 1) continue;
        s->draft.shadow->count = s->count + s->draft.count;
        KD_TRY(kd__sequence_rows(drafter, s->draft.shadow, left));
    }
    *rows = drafter->rows.count;
    return KD_OK;
}

/* A token that the model has, or none: then there are no more in this step. */
static void propose(const kd_generator *g, kd__sequence *s, int32_t token)
{
    if (token < 0 || token >= kd__trunk_config_of(g->model)->vocabulary) s->draft.wanted = 0;
    else s->tokens[s->count + s->draft.count++] = token;
}

/* A token more for each sequence whose shadow has come to its end. */
static kd_status run_round(kd_generator *g)
{
    kd_generator *drafter = g->drafter;
    const kd__new_rows *rows = &drafter->rows;
    float *hidden;
    kd__drawn *drawn;
    KD_TRY(kd__generate_pass(drafter, &hidden));
    KD_TRY(kd__generate_logits(drafter, hidden));
    KD_TRY(kd__generate_draws(drafter, &drawn));
    int64_t at = 0;
    for (int32_t i = 0; i < g->options.max_sequences; i++) {
        kd__sequence *s = g->slots[i];
        if (!s || s->draft.wanted <= s->draft.count) continue;
        if (at < rows->output_count && rows->outputs[at].sequence == s->draft.shadow)
            propose(g, s, drawn[at++].token);
        else s->draft.wanted = 0; /* no row of this round was left for it */
    }
    return KD_OK;
}

static kd_status run_rounds(kd_generator *g, int64_t speaking)
{
    int64_t rows;
    for (;;) {
        const double begin = kd__os_now();
        KD_TRY(round_rows(g, &rows));
        if (!rows) return KD_OK;
        KD_TRY(run_round(g));
        const double seconds = kd__os_now() - begin;
        const double now = seconds / (double)g->drafter->rows.span_count;
        g->times.proposing += seconds;
        if (rows > 2 * speaking) continue; /* prompts */
        g->times.token = kd__lately(g->times.token, now);
    }
}

/* ---- a step's ---- */

static int is_speaking(const kd__sequence *s) { return s && s->count - s->computed == 1; }

static int64_t count_speaking(const kd_generator *g)
{
    int64_t count = 0;
    for (int32_t i = 0; i < g->options.max_sequences; i++) count += is_speaking(g->slots[i]);
    return count;
}

static void find(kd_generator *g, kd__sequence *s, int64_t speaking)
{
    const int64_t most = kd__draft_length(g, s, 1, speaking);
    s->draft.by_lookup = 1;
    s->draft.count = (int32_t)kd__draft_lookup(s->tokens, s->count, g->options.lookup,
                                               s->tokens + s->count, most);
}

kd_status kd__draft_propose(kd_generator *g)
{
    g->times.proposing = 0;
    if (!g->drafter && !g->options.lookup) return KD_OK;
    const int64_t speaking = count_speaking(g);
    if (g->drafter) g->drafter->info.steps = g->info.steps;
    if (!speaking || kd__draft_rests(g, speaking)) return KD_OK;
    for (int32_t i = 0; i < g->options.max_sequences; i++) {
        kd__sequence *s = g->slots[i];
        if (!is_speaking(s)) continue;
        s->draft.count = s->draft.wanted = 0;
        if (g->options.lookup) find(g, s, speaking);
        if (!s->draft.count && g->drafter) KD_TRY(choose(g, s, speaking));
    }
    return g->drafter ? run_rounds(g, speaking) : KD_OK;
}

/* ---- memory ---- */

/* A step's rows, of which `outputs` have logits. */
static int64_t row_bytes(const kd_generator *g, int64_t rows, int64_t outputs)
{
    const int64_t row = (int64_t)(sizeof *g->rows.tokens + sizeof *g->rows.positions);
    const int64_t output = (int64_t)(sizeof *g->rows.outputs + sizeof(kd__drawn));
    return kd__generate_bytes(g, rows, outputs) + rows * row + outputs * output;
}

int64_t kd__draft_bytes(const kd_generator *g, const kd_generator *drafter)
{
    const int64_t sequences = g->options.max_sequences;
    const int64_t proposed = sequences * g->options.draft_tokens;
    int64_t bytes = row_bytes(g, proposed, proposed);
    if (!drafter) return bytes;
    const int64_t rows = drafter->options.prefill_tokens;
    const int64_t shadow =
        (int64_t)(sizeof(kd__sequence) + sizeof(kd__sequence *) + sizeof(struct kd__span));
    const int64_t drawing =
        drafter->object.context->threads *
        kd__round_up(kd__draw_scratch(kd__trunk_config_of(drafter->model)->vocabulary), 64);
    bytes += drafter->info.cache_bytes + drafter->info.weight_bytes;
    bytes += drafter->cache.blocks * (int64_t)(sizeof(kd__block) + sizeof(int32_t));
    bytes += row_bytes(drafter, rows, kd__min(sequences, rows)) + sequences * shadow;
    return bytes + drawing + (int64_t)sizeof *drafter;
}
