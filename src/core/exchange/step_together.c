/* One step of all ranks: counts, gradients that leave during the backward pass, the norm, the
 * update of the own pieces, and everybody's pieces to all. A rank that cannot continue goes through
 * the same sends and words as the others and says so in the last one, so that nobody waits for
 * it. */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/os.h"
#include "base/numbers.h"
#include "core/data/data.h"
#include "core/exchange/exchange.h"

/* ---- counts ---- */

typedef struct {
    int32_t terms, has_batch;
    int32_t foresees, reserved;
    int64_t rows, samples; /* of the batch */
    uint64_t frozen;
    int64_t passes[KD__EXCHANGE_MODELS]; /* training passes of each model */
    int64_t counted[KD_LOSS_MAX_TERMS];
    double weights[KD_LOSS_MAX_TERMS];
} counts_word;
_Static_assert(sizeof(counts_word) <= KD__WORD_PAYLOAD, "counts fit into a word");

static uint64_t frozen_now(const kd_optimizer *optimizer)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (int64_t i = 0; i < optimizer->count; i++)
        hash = (hash ^ (uint64_t)kd__parameter_is_frozen(&optimizer->parameters[i])) *
               1099511628211u;
    return hash;
}

static kd_status read_counts(const kd_exchange *x, const kd_batch *batch,
                             const kd_loss_counts *counts, counts_word *to)
{
    kd_loss_counts c = { .struct_size = sizeof c };
    memset(to, 0, sizeof *to);
    KD_FAIL_IF(!counts, KD_ERR_INVALID, "kd_exchange_sum_counts: counts is NULL");
    KD_TRY(kd__options_read(&c, sizeof c, counts, "kd_loss_counts"));
    KD_FAIL_IF(c.terms < 0 || c.terms > KD_LOSS_MAX_TERMS, KD_ERR_RANGE,
               "counts: expected 0 to %d terms, got %d", KD_LOSS_MAX_TERMS, c.terms);
    to->terms = c.terms;
    to->has_batch = batch != NULL;
    to->rows = batch ? batch->fields.rows : 0;
    to->samples = batch ? batch->samples : 0;
    to->frozen = frozen_now(x->optimizer);
    to->foresees = x->o.shard && x->has_rate && kd__optimizer_can_foresee(x->optimizer);
    for (int64_t i = 0; i < x->optimizer->model_count; i++)
        to->passes[i] = x->optimizer->models[i]->passes;
    for (int32_t i = 0; i < c.terms; i++) {
        to->counted[i] = c.rows[i];
        to->weights[i] = c.weights[i];
        if (!batch && c.rows[i] > 0) to->samples = 1;
    }
    return KD_OK;
}

/* Sums in rank order, and what comes before this rank. */
static kd_status add_counts(const kd_exchange *x, counts_word *sum, counts_word *before)
{
    counts_word first, w;
    memset(sum, 0, sizeof *sum);
    memcpy(&first, kd__exchange_heard(x, 0), sizeof first);
    for (int32_t r = 0; r < x->ranks; r++) {
        if (r == x->rank) *before = *sum;
        memcpy(&w, kd__exchange_heard(x, r), sizeof w);
        KD_FAIL_IF(w.frozen != first.frozen, KD_ERR_MISMATCH,
                   "rank %d has other parameters frozen than rank 0: expected the same on all "
                   "ranks",
                   r);
        KD_FAIL_IF(w.terms && sum->terms && w.terms != sum->terms, KD_ERR_MISMATCH,
                   "rank %d counts %d terms of a loss, a rank before it %d: expected the same loss "
                   "on all ranks",
                   r, w.terms, sum->terms);
        if (w.terms) sum->terms = w.terms;
        sum->rows += w.rows;
        sum->samples += w.samples;
        for (int32_t i = 0; i < KD__EXCHANGE_MODELS; i++)
            sum->passes[i] = kd__max(sum->passes[i], w.passes[i]);
        for (int32_t i = 0; i < KD_LOSS_MAX_TERMS; i++) {
            sum->counted[i] += w.counted[i];
            sum->weights[i] += w.weights[i];
        }
    }
    return KD_OK;
}

/* Whose random numbers the pass of this rank's batch draws: those of its rows in one batch of all
 * ranks, or, where that is not known, some that no other rank has. A rank that left a step out
 * comes to the pass of the others. */
static void place_draws(const kd_exchange *x, const counts_word *sum, const counts_word *before,
                        int has_batch)
{
    const int64_t apart = (int64_t)x->rank << 40;
    for (int64_t i = 0; i < x->optimizer->model_count; i++) {
        kd_model *model = x->optimizer->models[i];
        const int64_t rows = model->net.engine->by_samples ? before->samples : before->rows;
        if (!model->rehearsal.rows) model->passes = sum->passes[i];
        model->empty_counts = 1;
        model->rows_before = has_batch ? rows : apart;
        model->samples_before = has_batch ? before->samples : apart;
    }
}

static kd__course course_of(const kd_exchange *x)
{
    const kd_optimizer_options *o = &x->optimizer->o;
    return (kd__course){
        x->optimizer->gradient_scale, o->clip_norm, o->clip_value, o->momentum, o->weight_decay,
        frozen_now(x->optimizer)
    };
}

/* May sums go back while gradients travel? All ranks say so, or none does it. */
static int32_t back_of(const kd_exchange *x)
{
    counts_word w;
    if (!x->o.shard) return KD__BACK_SUMS;
    for (int32_t r = 0; r < x->ranks; r++) {
        memcpy(&w, kd__exchange_heard(x, r), sizeof w);
        if (!w.foresees) return KD__BACK_NOTHING;
    }
    return KD__BACK_FORESEEN;
}

static kd_status write_counts(kd_loss_counts *counts, const counts_word *sum)
{
    kd_loss_counts c = { .struct_size = sizeof c, .terms = sum->terms };
    memcpy(c.rows, sum->counted, sizeof c.rows);
    memcpy(c.weights, sum->weights, sizeof c.weights);
    return kd__info_write(counts, &c, sizeof c, "kd_loss_counts");
}

kd_status kd_exchange_sum_counts(kd_exchange *x, kd_batch *batch, kd_loss_counts *counts,
                                 int64_t *samples)
{
    counts_word own, sum, before;
    KD_NEED(x);
    KD_TRY(kd__exchange_check_optimizer(x));
    KD_TRY(kd__exchange_check_between(x, "kd_exchange_sum_counts"));
    const kd_status status = read_counts(x, batch, counts, &own);
    KD_TRY(kd__exchange_agree(x, KD__WORD_COUNTS, status, &own, sizeof own));
    KD_TRY(add_counts(x, &sum, &before));
    if (samples) *samples = sum.samples;
    place_draws(x, &sum, &before, own.has_batch);
    kd__exchange_rewind(x);
    kd__exchange_place(x, 0);
    x->is_counted = sum.samples > 0;
    x->back = x->ranks > 1 && x->is_counted ? back_of(x) : KD__BACK_NOTHING;
    x->course = course_of(x);
    return write_counts(counts, &sum);
}

/* ---- the backward pass ---- */

kd_status kd_exchange_set_learning_rate(kd_exchange *x, double learning_rate)
{
    KD_NEED(x);
    KD_TRY(kd__exchange_check_optimizer(x));
    KD_TRY(kd__exchange_check_between(x, "kd_exchange_set_learning_rate"));
    KD_FAIL_IF(!(learning_rate >= 0) || !isfinite(learning_rate), KD_ERR_RANGE,
               "learning rate: expected 0 or more, got %g", learning_rate);
    x->rate = learning_rate;
    x->has_rate = 1;
    return KD_OK;
}

static void gradients_ended(void *user, const kd_model *model, int64_t first, int64_t end)
{
    kd_exchange *x = user;
    const double from = kd__os_now();
    for (int64_t i = 0; i < x->ending_count; i++) {
        kd__ending *e = &x->endings[i];
        if (e->model != model || e->first != first || e->end != end) continue;
        x->has_changed |= e->has_ended;
        e->has_ended = 1;
    }
    if (!x->is_broken) kd__exchange_move(x, 0); /* a failure is remembered, for the step */
    x->seconds += kd__os_now() - from;
}

static void listen(kd_exchange *x, int on)
{
    for (int64_t i = 0; i < x->optimizer->model_count; i++) {
        kd_model *model = x->optimizer->models[i];
        model->on_gradients = on ? gradients_ended : NULL;
        model->on_gradients_user = on ? x : NULL;
        model->gradients_wait = on;
    }
}

kd_status kd_exchange_begin(kd_exchange *x)
{
    KD_NEED(x);
    KD_TRY(kd__exchange_check_optimizer(x));
    KD_FAIL_IF(!x->is_counted, KD_ERR_STATE,
               "kd_exchange_begin: expected kd_exchange_sum_counts before each step");
    KD_FAIL_IF(x->is_begun, KD_ERR_STATE, "kd_exchange_begin: the step has begun already");
    listen(x, 1);
    x->is_begun = 1;
    return KD_OK;
}

/* ---- the step ---- */

typedef struct {
    double learning_rate, gradient_scale, clip_norm, clip_value, momentum, weight_decay;
    double waited; /* since the last word of this kind */
    int32_t is_finite;
} step_word;

static kd_status check_rates(const kd_exchange *x, int *finite)
{
    static const char *const names[] = { "learning rate", "gradient_scale", "clip_norm",
                                         "clip_value",    "momentum",       "weight_decay" };
    step_word first, w;
    memcpy(&first, kd__exchange_heard(x, 0), sizeof first);
    *finite = 1;
    for (int32_t r = 0; r < x->ranks; r++) {
        memcpy(&w, kd__exchange_heard(x, r), sizeof w);
        const double ours[] = { w.learning_rate, w.gradient_scale, w.clip_norm,
                                w.clip_value,    w.momentum,       w.weight_decay },
                     theirs[] = { first.learning_rate, first.gradient_scale, first.clip_norm,
                                  first.clip_value,    first.momentum,       first.weight_decay };
        for (int i = 0; i < 6; i++)
            KD_FAIL_IF(memcmp(&ours[i], &theirs[i], sizeof *ours), KD_ERR_MISMATCH,
                       "%s: rank %d has %.17g, rank 0 has %.17g: expected the same on all ranks",
                       names[i], r, ours[i], theirs[i]);
        *finite = *finite && w.is_finite;
    }
    return KD_OK;
}

/* The one that waited least made the others wait. */
static int32_t slowest_of(const kd_exchange *x)
{
    int32_t slowest = 0;
    double least = INFINITY;
    for (int32_t r = 0; r < x->ranks; r++) {
        step_word w;
        memcpy(&w, kd__exchange_heard(x, r), sizeof w);
        if (w.waited < least) slowest = r;
        if (w.waited < least) least = w.waited;
    }
    return slowest;
}

static int64_t place_count(const kd_exchange *x, int32_t rank, int64_t bucket, int64_t *first)
{
    const int64_t *cuts = kd__exchange_cuts(x, bucket);
    *first = cuts[rank];
    return cuts[rank + 1] - cuts[rank];
}

/* Sums of squares of all pieces, from their owners, added in the order of the pieces: one norm for
 * every size of buckets. */
static kd_status sum_squares(kd_exchange *x, double *sum)
{
    double *partial = x->optimizer->partial;
    int64_t n = 0, first;
    for (int64_t b = 0; b < x->bucket_count; b++) {
        const int64_t count = place_count(x, x->rank, b, &first);
        for (int64_t i = first; i < first + count; i++) x->partials[n++] = partial[x->order[i]];
    }
    KD_TRY(kd__exchange_gather(x, x->partials, x->all_partials,
                               x->most_owned * (int64_t)sizeof *x->partials));
    for (int32_t r = 0; r < x->ranks; r++) {
        const double *theirs = x->all_partials + r * x->most_owned;
        for (int64_t b = 0; b < x->bucket_count; b++) {
            const int64_t count = place_count(x, r, b, &first);
            for (int64_t i = first; i < first + count; i++) partial[x->order[i]] = *theirs++;
        }
    }
    *sum = 0;
    for (int64_t i = 0; i < x->optimizer->piece_count; i++) *sum += partial[i];
    return KD_OK;
}

/* A pass that failed after gradients had left, or a second one. */
static kd_status check_pass(const kd_exchange *x)
{
    KD_FAIL_IF(x->has_changed, KD_ERR_STATE,
               "kd_exchange_step: expected one backward pass after kd_exchange_begin, got a second "
               "one after gradients had left");
    for (int64_t i = 0; i < x->optimizer->model_count; i++)
        KD_FAIL_IF(x->is_begun && x->started && x->optimizer->models[i]->gradients_fresh,
                   KD_ERR_STATE,
                   "kd_exchange_step: the backward pass failed after gradients had left: call "
                   "kd_exchange_fail");
    return KD_OK;
}

/* Is the step the one that others were given the parameters of? */
static kd_status check_course(const kd_exchange *x, double learning_rate)
{
    const kd__course now = course_of(x);
    KD_FAIL_IF(x->has_rate && learning_rate != x->rate, KD_ERR_INVALID,
               "kd_exchange_set_learning_rate had %g, kd_exchange_step got %g: expected the same",
               x->rate, learning_rate);
    KD_FAIL_IF(x->back == KD__BACK_FORESEEN && memcmp(&now, &x->course, sizeof now), KD_ERR_STATE,
               "kd_exchange_step: the optimizer's numbers, gradient_scale or what is frozen have "
               "changed while parameters travel: expected changes before kd_exchange_sum_counts");
    return KD_OK;
}

/* What is left of the step's sends, so that every rank gets to the step's word. */
static kd_status send_rest(kd_exchange *x, kd_status status)
{
    listen(x, 0);
    if (status == KD_OK) kd__optimizer_zero_stale(x->optimizer);
    return kd__exchange_move(x, 1);
}

static kd_status say_step(kd_exchange *x, kd_status status, double learning_rate, int *finite)
{
    const kd_optimizer *optimizer = x->optimizer;
    const kd_optimizer_options *o = &optimizer->o;
    step_word w = { .learning_rate = learning_rate,
                    .gradient_scale = optimizer->gradient_scale,
                    .clip_norm = o->clip_norm,
                    .clip_value = o->clip_value,
                    .momentum = o->momentum,
                    .weight_decay = o->weight_decay,
                    .waited = x->waited - x->told,
                    .is_finite = 1 };
    if (status == KD_OK) w.is_finite = kd__optimizer_measure(x->optimizer, x->owned);
    KD_TRY(kd__exchange_agree(x, KD__WORD_STEP, status, &w, sizeof w));
    x->told = x->waited;
    x->slowest = slowest_of(x);
    return check_rates(x, finite);
}

static kd_status update_all(kd_exchange *x, double learning_rate, int finite)
{
    double sum = NAN;
    if (finite) KD_TRY(sum_squares(x, &sum));
    kd__optimizer_finish(x->optimizer, learning_rate, finite, sum);
    if (!finite || !x->o.shard) return KD_OK;
    if (x->back == KD__BACK_NOTHING) return kd__exchange_share(x, KD__BACK_VALUES, -1);
    kd__exchange_adopt(x);
    return KD_OK;
}

/* From the sends that are left to the end; the step is over, whatever comes out. */
static kd_status go_through(kd_exchange *x, kd_status status, double learning_rate)
{
    int finite = 1;
    x->is_counted = 0;
    x->has_rate = 0;
    KD_TRY(send_rest(x, status));
    KD_TRY(say_step(x, status, learning_rate, &finite));
    return update_all(x, learning_rate, finite);
}

static kd_status end_step(kd_exchange *x, kd_status status, double learning_rate)
{
    const double from = kd__os_now();
    status = go_through(x, status, learning_rate);
    kd__optimizer_forget(x->optimizer);
    kd__exchange_rewind(x);
    x->steps += status == KD_OK;
    x->seconds += kd__os_now() - from;
    return status;
}

kd_status kd_exchange_step(kd_exchange *x, double learning_rate)
{
    KD_NEED(x);
    KD_TRY(kd__exchange_check_optimizer(x));
    KD_FAIL_IF(!x->is_counted, KD_ERR_STATE,
               "kd_exchange_step: expected kd_exchange_sum_counts before each step");
    kd_status status = check_pass(x);
    if (status == KD_OK) status = kd__optimizer_check(x->optimizer, learning_rate);
    if (status == KD_OK) status = check_course(x, learning_rate);
    return end_step(x, status, learning_rate);
}

kd_status kd_exchange_fail(kd_exchange *x, kd_status status)
{
    KD_NEED(x);
    KD_FAIL_IF(status == KD_OK, KD_ERR_INVALID,
               "kd_exchange_fail: expected the status of what failed, got KD_OK");
    const int64_t calls = x->calls;
    const kd_status said = x->is_counted ? end_step(x, status, 0)
                                         : kd__exchange_agree(x, KD__WORD_FAIL, status, NULL, 0);
    return x->calls > calls && !x->is_broken ? KD_OK : said;
}

/* ---- the average ---- */

kd_status kd_exchange_swap_average(kd_exchange *x)
{
    KD_NEED(x);
    KD_TRY(kd__exchange_check_optimizer(x));
    KD_TRY(kd__exchange_check_between(x, "kd_exchange_swap_average"));
    kd_status status = KD_OK;
    if (!x->optimizer->average)
        status = kd__fail(KD_ERR_STATE, "no averaged weights: set average_decay");
    KD_TRY(kd__exchange_agree(x, KD__WORD_SWAP, status, NULL, 0));
    kd__optimizer_swap_own(x->optimizer);
    if (!x->o.shard) return KD_OK;
    kd__exchange_place(x, 1);
    return kd__exchange_share(x, KD__BACK_VALUES, -1);
}
