/* One step, in pieces of at most PIECE numbers: the pool takes them in any order, sums are made in
 * their order. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/kernels.h"
#include "core/optimizer/optimizer.h"

#define PIECE 32768

static double max_norm_of(const kd_optimizer *optimizer, const kd__parameter *p)
{
    return p->grouped ? p->group.max_norm : optimizer->o.max_norm;
}

/* Numbers of a piece. Those of a row that one process must have together are not cut. */
static int64_t piece_of(const kd_optimizer *optimizer, const kd__parameter *p)
{
    const int whole = max_norm_of(optimizer, p) > 0 || (p->grouped && p->group.lazy);
    if (!optimizer->is_shared || !whole || !p->rows || !p->count) return PIECE;
    return kd__max(PIECE / p->width, 1) * p->width;
}

kd_status kd__optimizer_cut(kd_optimizer *optimizer)
{
    kd_context *context = optimizer->object.context;
    int64_t most = 0;
    KD_TRY(kd__muon_prepare(optimizer));
    for (int64_t i = 0; i < optimizer->count; i++)
        most += kd__ceil_div(optimizer->parameters[i].count,
                             piece_of(optimizer, &optimizer->parameters[i]));
    KD_TRY(KD_RESERVE(context, &optimizer->pieces, &optimizer->piece_room, most + 1));
    double *partial = NULL;
    KD_TRY(KD_NEW(context, &partial, most + 1));
    kd__release(context, optimizer->partial);
    optimizer->partial = partial;
    optimizer->piece_count = 0;
    for (int64_t i = 0; i < optimizer->count; i++) {
        const kd__parameter *p = &optimizer->parameters[i];
        const int64_t piece = piece_of(optimizer, p);
        for (int64_t first = 0; first < p->count; first += piece)
            optimizer->pieces[optimizer->piece_count++] =
                (kd__piece){ .parameter = (int32_t)i,
                             .first = first,
                             .count = kd__min(p->count - first, piece),
                             .state = p->offset + first };
    }
    return KD_OK;
}

int kd__optimizer_wants(const kd_optimizer *optimizer, int block)
{
    const int adam = optimizer->kind != KD_OPTIMIZER_SGD;
    const int second = adam &&
                       (optimizer->kind != KD_OPTIMIZER_MUON || optimizer->second_total > 0);
    const int wanted[] = { adam || optimizer->o.momentum > 0, second,
                           optimizer->o.average_decay > 0 };
    return wanted[block];
}

/* number: 0, 1 moments, 2 the average. */
static kd_status make_state(kd_optimizer *optimizer, int number, float **block)
{
    const int64_t count = number == 1 ? optimizer->second_total : optimizer->total;
    if (!count) return KD_OK;
    if (number < 2 && optimizer->o.moments == KD_BFLOAT16) {
        uint16_t **half = &optimizer->half[number];
        return *half ? KD_OK : KD_NEW(optimizer->object.context, half, count);
    }
    return *block ? KD_OK : KD_NEW(optimizer->object.context, block, count);
}

kd_status kd__optimizer_prepare(kd_optimizer *optimizer)
{
    float **blocks[] = { &optimizer->first, &optimizer->second, &optimizer->average };
    if (optimizer->ready) return KD_OK;
    KD_FAIL_IF(!optimizer->count, KD_ERR_STATE,
               "the optimizer has no parameters: add a model or an array");
    KD_TRY(kd__optimizer_cut(optimizer));
    for (int i = 0; i < 3; i++)
        if (kd__optimizer_wants(optimizer, i)) KD_TRY(make_state(optimizer, i, blocks[i]));
    for (int64_t i = 0; i < optimizer->count && optimizer->average; i++) {
        const kd__parameter *p = &optimizer->parameters[i];
        memcpy(optimizer->average + p->offset, p->values, (size_t)p->count * sizeof(float));
    }
    optimizer->state_count = optimizer->total;
    optimizer->ready = 1;
    return KD_OK;
}

int kd__parameter_is_frozen(const kd__parameter *p)
{
    return (p->grouped && p->group.frozen) || (p->model && p->model->net.tensors[p->tensor].frozen);
}

typedef struct {
    kd_optimizer *optimizer;
    int64_t first;        /* piece */
    const uint8_t *owned; /* of each piece: 1: it is measured; NULL: all are */
    float scale, clip;    /* of each gradient */
    double learning_rate;
    float correction1, correction2;
    uint32_t key; /* of what rounds moments in 16 bits */
} step_work;

static double squares(const step_work *w, const float *g, int64_t count)
{
    double sum = 0;
    if (!(w->clip < INFINITY))
        return w->optimizer->object.context->kernels->sum_squares(g, count) * w->scale * w->scale;
    for (int64_t i = 0; i < count; i++) {
        double x = (double)g[i] * w->scale;
        x = x > w->clip ? w->clip : x < -w->clip ? -w->clip : x;
        sum += x * x;
    }
    return sum;
}

static void add_squares(void *argument, int64_t index, int32_t worker)
{
    step_work *w = argument;
    const kd__piece *piece = &w->optimizer->pieces[w->first + index];
    const kd__parameter *p = &w->optimizer->parameters[piece->parameter];
    int64_t end;
    double sum = 0;
    (void)worker;
    if (p->passed || (w->owned && !w->owned[w->first + index])) return;
    if (!kd__parameter_is_frozen(p))
        for (int64_t at = piece->first; kd__optimizer_next(p, piece, &at, &end); at = end)
            sum += squares(w, p->gradients + at, end - at);
    w->optimizer->partial[w->first + index] = sum;
}

static int is_finite(const kd_optimizer *optimizer, const kd__piece *piece)
{
    const kd__parameter *p = &optimizer->parameters[piece->parameter];
    int64_t end;
    if (p->passed || kd__parameter_is_frozen(p)) return 1;
    for (int64_t at = piece->first; kd__optimizer_next(p, piece, &at, &end); at = end)
        if (!isfinite(optimizer->object.context->kernels->sum(p->gradients + at, end - at)))
            return 0;
    return 1;
}

/* Sums of squares of `count` pieces from w->first on, and whether all their gradients are finite. A
 * clipped infinity is: so the gradients themselves are asked. Of what the step has passed the sums
 * are there. */
static int measure(step_work *w, int64_t count, double *sum)
{
    const kd_optimizer *optimizer = w->optimizer;
    *sum = 0;
    kd__parallel(optimizer->object.context, count, add_squares, w);
    for (int64_t i = w->first; i < w->first + count; i++)
        if (!w->owned || w->owned[i]) *sum += optimizer->partial[i];
    if (!isfinite(*sum)) return 0;
    for (int64_t i = w->first; i < w->first + count && w->clip < INFINITY; i++)
        if ((!w->owned || w->owned[i]) && !is_finite(optimizer, &optimizer->pieces[i])) return 0;
    return 1;
}

/* What a step changes of a parameter: n values with their gradients and moments. */
typedef struct {
    float *values, *first, *second;
    const float *g;
    int64_t n;
} run;

static void update_values(const step_work *w, const kd__parameter *p, const run *r)
{
    const kd_optimizer *optimizer = w->optimizer;
    const kd__kernels *kernels = optimizer->object.context->kernels;
    const kd_optimizer_options *o = &optimizer->o;
    const float rate = (float)(w->learning_rate * (p->grouped ? p->group.learning_rate : 1));
    const float decay = (float)(p->grouped ? p->group.weight_decay : o->weight_decay);
    if (optimizer->kind == KD_OPTIMIZER_SGD && !r->first)
        kernels->sgd(r->values, r->g, r->n, w->scale, rate, decay, w->clip);
    else if (optimizer->kind == KD_OPTIMIZER_SGD)
        kernels->momentum(r->values, r->g, r->first, r->n, w->scale, rate, decay, w->clip,
                          (float)o->momentum, o->nesterov);
    else {
        const kd__adam_step step = {
            rate,  (float)o->beta1, (float)o->beta2, (float)o->epsilon,
            decay, w->correction1,  w->correction2,  optimizer->kind != KD_OPTIMIZER_ADAM
        };
        kernels->adam(r->values, r->g, r->first, r->second, r->n, w->scale, w->clip, &step);
    }
}

#define WIDENED 1024 /* numbers of moments in 16 bits that are widened at once */

/* at: where the blocks of both moments have the run; number: of its first value among all, for the
 * hash. */
static void update_half(const step_work *w, const kd__parameter *p, const int64_t at[2],
                        int64_t number, const run *all)
{
    uint16_t *const *half = w->optimizer->half;
    float moments[2][WIDENED];
    for (int64_t i = 0; i < all->n; i += WIDENED) {
        const int64_t n = kd__min(all->n - i, WIDENED);
        const run r = { all->values + i, moments[0], moments[1], all->g + i, n };
        for (int k = 0; k < 2 && half[k]; k++) kd__half_widen(half[k] + at[k] + i, n, moments[k]);
        update_values(w, p, &r);
        for (int k = 0; k < 2 && half[k]; k++)
            kd__half_narrow(moments[k], n, w->key, number + i, k, half[k] + at[k] + i);
    }
}

/* Numbers first .. first + n - 1 of a piece's parameter. */
static void update_run(const step_work *w, const kd__piece *piece, int64_t first, int64_t n)
{
    const kd_optimizer *optimizer = w->optimizer;
    const kd__parameter *p = &optimizer->parameters[piece->parameter];
    const int64_t state = piece->state + first - piece->first;
    const int64_t at[2] = { state, optimizer->is_shared ? state : p->second + first };
    const run r = { p->values + first, optimizer->first ? optimizer->first + at[0] : NULL,
                    optimizer->second ? optimizer->second + at[1] : NULL, p->gradients + first, n };
    if (optimizer->half[0]) update_half(w, p, at, p->offset + first, &r);
    else update_values(w, p, &r);
}

static void update(void *argument, int64_t index, int32_t worker)
{
    step_work *w = argument;
    kd_optimizer *optimizer = w->optimizer;
    const kd__piece *piece = &optimizer->pieces[w->first + index];
    const kd__parameter *p = &optimizer->parameters[piece->parameter];
    const double average = optimizer->o.average_decay;
    int64_t end;
    (void)worker;
    if (piece->is_others || p->passed || p->is_muon || kd__parameter_is_frozen(p)) return;
    for (int64_t at = piece->first; kd__optimizer_next(p, piece, &at, &end); at = end)
        update_run(w, piece, at, end - at);
    if (optimizer->average && optimizer->o.max_norm == 0)
        optimizer->object.context->kernels->axpby(optimizer->average + piece->state,
                                                  (float)(1 - average), p->values + piece->first,
                                                  (float)average, piece->count);
}

/* Pieces from w->first on are updated, then the matrices that begin among them. */
static kd_status update_pieces(step_work *w, int64_t count)
{
    kd_optimizer *optimizer = w->optimizer;
    const kd_optimizer_options *o = &optimizer->o;
    kd__parallel(optimizer->object.context, count, update, w);
    for (int64_t i = w->first; i < w->first + count; i++) {
        const kd__piece *piece = &optimizer->pieces[i];
        const kd__parameter *p = &optimizer->parameters[piece->parameter];
        if (!p->is_muon || piece->first || p->passed || kd__parameter_is_frozen(p)) continue;
        const kd__muon_step step = {
            .scale = w->scale,
            .clip = w->clip,
            .momentum = (float)o->momentum,
            .nesterov = o->nesterov,
            .rate = w->learning_rate * (p->grouped ? p->group.learning_rate : 1),
            .decay = p->grouped ? p->group.weight_decay : o->weight_decay,
            .key = w->key,
        };
        KD_TRY(kd__muon_update(optimizer, p, &step));
    }
    return KD_OK;
}

/* ---- max-norm ---- */

typedef struct {
    const kd__kernels *kernels;
    const kd__parameter *p;
    int64_t first; /* row */
    double limit;
} norm_work;

static void limit_row(void *argument, int64_t row, int32_t worker)
{
    norm_work *w = argument;
    const int64_t width = w->p->count / w->p->rows;
    float *values = w->p->values + (w->first + row) * width;
    double norm = sqrt(w->kernels->sum_squares(values, width));
    (void)worker;
    if (norm > w->limit) w->kernels->axpby(values, (float)(w->limit / norm), values, 0, width);
}

/* The rows of numbers first .. first + count - 1 of a parameter. */
static void limit_rows(kd_optimizer *optimizer, const kd__parameter *p, int64_t first,
                       int64_t count)
{
    norm_work w = { optimizer->object.context->kernels, p, 0, max_norm_of(optimizer, p) };
    if (!(w.limit > 0) || !p->rows || !count || kd__parameter_is_frozen(p)) return;
    const int64_t width = p->count / p->rows;
    w.first = first / width;
    kd__parallel(optimizer->object.context, count / width, limit_row, &w);
}

static void limit_norms(kd_optimizer *optimizer)
{
    if (!optimizer->is_shared)
        for (int64_t i = 0; i < optimizer->count; i++)
            limit_rows(optimizer, &optimizer->parameters[i], 0, optimizer->parameters[i].count);
    else
        for (int64_t i = 0; i < optimizer->piece_count; i++) {
            const kd__piece *piece = &optimizer->pieces[i];
            if (piece->is_others) continue;
            limit_rows(optimizer, &optimizer->parameters[piece->parameter], piece->first,
                       piece->count);
        }
}

static void average_late(kd_optimizer *optimizer)
{
    for (int64_t i = 0;
         i < optimizer->piece_count && optimizer->average && optimizer->o.max_norm > 0; i++) {
        const kd__piece *piece = &optimizer->pieces[i];
        if (piece->is_others) continue;
        optimizer->object.context->kernels->axpby(
            optimizer->average + piece->state, (float)(1 - optimizer->o.average_decay),
            optimizer->parameters[piece->parameter].values + piece->first,
            (float)optimizer->o.average_decay, piece->count);
    }
}

/* No backward pass since the last step: what lies in the block counts as zero. */
void kd__optimizer_zero_stale(kd_optimizer *optimizer)
{
    for (int64_t i = 0; i < optimizer->model_count; i++) {
        kd_model *model = optimizer->models[i];
        if (model->gradients_fresh)
            memset(model->gradients, 0, (size_t)model->gradient_count * sizeof *model->gradients);
    }
}

/* Gradients count as zero: models overwrite them at the next backward pass, arrays are cleared. */
void kd__optimizer_forget(kd_optimizer *optimizer)
{
    for (int64_t i = 0; i < optimizer->model_count; i++) optimizer->models[i]->gradients_fresh = 1;
    for (int64_t i = 0; i < optimizer->count; i++)
        if (!optimizer->parameters[i].model)
            memset(optimizer->parameters[i].gradients, 0,
                   (size_t)optimizer->parameters[i].count * sizeof(float));
}

/* The step that comes next. */
static step_work work_of(kd_optimizer *optimizer, double learning_rate)
{
    const kd_optimizer_options *o = &optimizer->o;
    const double step = (double)(optimizer->steps + 1);
    return (step_work){ .optimizer = optimizer,
                        .scale = (float)optimizer->gradient_scale,
                        .clip = o->clip_value > 0 ? (float)o->clip_value : INFINITY,
                        .learning_rate = learning_rate,
                        .correction1 = (float)(1 / (1 - pow(o->beta1, step))),
                        .correction2 = (float)(1 / (1 - pow(o->beta2, step))),
                        .key = kd__half_key(optimizer->steps + 1) };
}

static kd_status take_step(kd_optimizer *optimizer, step_work *w)
{
    const kd_optimizer_options *o = &optimizer->o;
    optimizer->steps++;
    if (o->clip_norm > 0 && optimizer->norm > o->clip_norm) {
        /* as torch.nn.utils.clip_grad_norm_ */
        float factor = (float)(o->clip_norm / (optimizer->norm + 1e-6));
        w->scale *= factor;
        w->clip *= factor;
        optimizer->clipped++;
    }
    const kd_status status = update_pieces(w, optimizer->piece_count);
    limit_norms(optimizer);
    average_late(optimizer);
    return status;
}

kd_status kd__optimizer_check(kd_optimizer *optimizer, double learning_rate)
{
    KD_NEED(optimizer);
    KD_FAIL_IF(!(learning_rate >= 0) || !isfinite(learning_rate), KD_ERR_RANGE,
               "learning rate: expected 0 or more, got %g", learning_rate);
    KD_FAIL_IF(
        optimizer->swapped, KD_ERR_STATE,
        "the averaged weights are in place: call kd_optimizer_swap_average before the next step");
    return kd__optimizer_prepare(optimizer);
}

static kd_status check_alone(kd_optimizer *optimizer)
{
    KD_NEED(optimizer);
    KD_FAIL_IF(optimizer->is_shared, KD_ERR_STATE,
               "the optimizer is an exchange's: expected kd_exchange_step and "
               "kd_exchange_swap_average");
    return KD_OK;
}

/* ---- a step that is begun before the backward pass ---- */

/* Tensors first .. end - 1 of a model have their gradients: they are updated now, or not at all. */
static void pass_tensors(void *user, const kd_model *model, int64_t first, int64_t end)
{
    kd_optimizer *optimizer = user;
    step_work w = work_of(optimizer, optimizer->begun_rate);
    int64_t count = 0;
    double sum;
    if (first == end) return;
    kd__optimizer_find_touched(optimizer);
    for (int64_t i = 0; i < optimizer->piece_count; i++) {
        const kd__parameter *p = &optimizer->parameters[optimizer->pieces[i].parameter];
        if (p->model != model || p->tensor < first || p->tensor >= end) continue;
        if (!count++) w.first = i; /* they lie behind each other */
    }
    if (!measure(&w, count, &sum)) optimizer->begun_bad = 1;
    if (!optimizer->begun_bad && optimizer->begun_status == KD_OK)
        optimizer->begun_status = update_pieces(&w, count);
    for (int64_t i = w.first; i < w.first + count; i++)
        optimizer->parameters[optimizer->pieces[i].parameter].passed = 1;
}

void kd__optimizer_let_go(kd_optimizer *optimizer)
{
    if (!optimizer->begun) return;
    for (int64_t i = 0; i < optimizer->model_count; i++) optimizer->models[i]->on_gradients = NULL;
    for (int64_t i = 0; i < optimizer->count; i++) optimizer->parameters[i].passed = 0;
    optimizer->begun = optimizer->begun_bad = 0;
    optimizer->begun_status = KD_OK;
}

kd_status kd_optimizer_begin_step(kd_optimizer *optimizer, double learning_rate)
{
    KD_TRY(check_alone(optimizer));
    KD_TRY(kd__optimizer_check(optimizer, learning_rate));
    KD_FAIL_IF(
        optimizer->o.clip_norm > 0, KD_ERR_STATE,
        "clip_norm needs all gradients at once: a step cannot be begun before the backward pass");
    for (int64_t i = 0; i < optimizer->model_count; i++) {
        const kd_model *model = optimizer->models[i];
        KD_FAIL_IF(model->on_gradients && model->on_gradients_user != optimizer, KD_ERR_STATE,
                   "another optimizer has begun a step of this model");
        KD_FAIL_IF(!model->gradients_fresh, KD_ERR_STATE,
                   "an earlier backward pass left gradients: call kd_optimizer_step first");
    }
    kd__optimizer_let_go(optimizer); /* of a pass that failed */
    for (int64_t i = 0; i < optimizer->model_count; i++) {
        optimizer->models[i]->on_gradients = pass_tensors;
        optimizer->models[i]->on_gradients_user = optimizer;
    }
    optimizer->begun = 1;
    optimizer->begun_rate = learning_rate;
    return KD_OK;
}

kd_status kd_optimizer_step(kd_optimizer *optimizer, double learning_rate)
{
    double sum;
    KD_TRY(check_alone(optimizer));
    KD_TRY(kd__optimizer_check(optimizer, learning_rate));
    KD_FAIL_IF(
        optimizer->begun && learning_rate != optimizer->begun_rate, KD_ERR_INVALID,
        "kd_optimizer_begin_step had learning rate %g, kd_optimizer_step got %g: expected the same",
        optimizer->begun_rate, learning_rate);
    for (int64_t i = 0; i < optimizer->model_count; i++) {
        const kd_model *model = optimizer->models[i];
        KD_FAIL_IF(optimizer->begun && model->gradients_fresh, KD_ERR_STATE,
                   "the step is open: expected a backward pass before kd_optimizer_step");
        KD_FAIL_IF(model->gradients_shared && !optimizer->begun, KD_ERR_STATE,
                   "the layers share gradients: call kd_optimizer_begin_step and the backward pass "
                   "before the step");
    }
    kd_status status = KD_OK;
    kd__optimizer_zero_stale(optimizer);
    kd__optimizer_find_touched(optimizer);
    step_work w = work_of(optimizer, learning_rate);
    const int finite = measure(&w, optimizer->piece_count, &sum);
    optimizer->norm = sqrt(sum);
    optimizer->last_skipped = !finite || optimizer->begun_bad;
    if (optimizer->last_skipped) optimizer->skipped++;
    else status = take_step(optimizer, &w);
    if (status == KD_OK) status = optimizer->begun_status;
    kd__optimizer_let_go(optimizer);
    kd__optimizer_forget(optimizer);
    return status;
}

void kd__optimizer_swap_own(kd_optimizer *optimizer)
{
    for (int64_t i = 0; i < optimizer->piece_count; i++) {
        const kd__piece *piece = &optimizer->pieces[i];
        float *average = optimizer->average + piece->state;
        float *values = optimizer->parameters[piece->parameter].values + piece->first;
        for (int64_t j = 0; j < piece->count && !piece->is_others; j++) {
            float swap = values[j];
            values[j] = average[j];
            average[j] = swap;
        }
    }
    optimizer->swapped = !optimizer->swapped;
}

kd_status kd_optimizer_swap_average(kd_optimizer *optimizer)
{
    KD_TRY(check_alone(optimizer));
    KD_FAIL_IF(!optimizer->average, KD_ERR_STATE,
               "no averaged weights: set average_decay, and take a step");
    KD_FAIL_IF(optimizer->begun, KD_ERR_STATE, "a step is open: call kd_optimizer_step first");
    kd__optimizer_swap_own(optimizer);
    return KD_OK;
}

/* ---- steps of an exchange ---- */

int kd__optimizer_measure(kd_optimizer *optimizer, const uint8_t *owned)
{
    step_work w = work_of(optimizer, 0);
    double sum;
    w.owned = owned;
    for (int64_t i = 0; i < optimizer->count; i++) optimizer->parameters[i].touched = NULL;
    return measure(&w, optimizer->piece_count, &sum);
}

/* The kernels see the same numbers in runs of the same lengths as in `update`: the same bits. */
void kd__optimizer_foresee(kd_optimizer *optimizer, double learning_rate, int64_t piece,
                           float *values, float *scratch)
{
    const step_work w = work_of(optimizer, learning_rate);
    const kd__piece *one = &optimizer->pieces[piece];
    const kd__parameter *p = &optimizer->parameters[one->parameter];
    const size_t bytes = (size_t)one->count * sizeof *values;
    float *first = optimizer->first ? scratch : NULL,
          *second = optimizer->second ? scratch + one->count : NULL;
    int64_t end;
    memcpy(values, p->values + one->first, bytes);
    if (first) memcpy(first, optimizer->first + one->state, bytes);
    if (second) memcpy(second, optimizer->second + one->state, bytes);
    for (int64_t at = one->first; kd__optimizer_next(p, one, &at, &end); at = end) {
        const int64_t i = at - one->first;
        const run r = { values + i, first ? first + i : NULL, second ? second + i : NULL,
                        p->gradients + at, end - at };
        update_values(&w, p, &r);
    }
}

/* Only where a step changes each number by its own gradient and moments. */
int kd__optimizer_can_foresee(const kd_optimizer *optimizer)
{
    if (optimizer->o.clip_norm > 0 || optimizer->swapped) return 0;
    for (int64_t i = 0; i < optimizer->count; i++)
        if (max_norm_of(optimizer, &optimizer->parameters[i]) > 0) return 0;
    return 1;
}

void kd__optimizer_finish(kd_optimizer *optimizer, double learning_rate, int finite, double sum)
{
    step_work w = work_of(optimizer, learning_rate);
    optimizer->norm = sqrt(sum);
    optimizer->last_skipped = !finite;
    if (!finite) optimizer->skipped++;
    else (void)take_step(optimizer, &w); /* Muon alone can fail, and is no exchange's */
}
