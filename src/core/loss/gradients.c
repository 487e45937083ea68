/* What tasks send to an output that they share: term by term through the loss, and from a term's
 * own output back to the shared one, without a pass of the trunk. Legend: K tasks, n numbers of
 * the shared output (rows x width), g (K, n). */
#include <kdistill/gradient.h>

#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/loss/loss.h"

static const kd_gradient_options defaults = KD_GRADIENT_OPTIONS_INIT;
void kd_gradient_options_init(kd_gradient_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

/* What watches a term's calls, and must not count this one. */
typedef struct {
    kd__watch watch;
    kd__collapse collapse;
    int64_t degenerate;
    double last_scale;
} watched;

typedef struct {
    kd_loss *loss;
    kd_model *model;
    kd_batch *batch;
    kd_targets *targets;
    kd_gradient_options o;
    int32_t tasks, slot;      /* slot: of the shared output */
    int64_t numbers, largest; /* n; of any output on the way */
    kd__student students[KD__MOST_OUTPUTS];
    float *g;               /* (K, n) */
    float *own[2], *way[2]; /* (largest): gradients of a term's outputs; on the way back */
    int32_t reaches[KD_LOSS_MAX_TERMS]; /* of tasks */
    watched before[KD_LOSS_MAX_TERMS];
    int32_t diagnostics;
} call;

/* ---- tasks ---- */

static int32_t task_of(const call *c, int32_t term)
{
    return c->o.task_of ? c->o.task_of[term] : term;
}

static kd_status check_tasks(call *c)
{
    const int32_t terms = c->loss->count;
    KD_FAIL_IF(!terms, KD_ERR_STATE, "the loss has no terms");
    c->tasks = c->o.task_of ? c->o.tasks : terms;
    KD_FAIL_IF(c->tasks < 1 || c->tasks > KD_LOSS_MAX_TERMS, KD_ERR_RANGE,
               "gradients: tasks: expected 1 to %d, got %d", KD_LOSS_MAX_TERMS, c->tasks);
    for (int32_t t = 0; t < terms; t++)
        KD_FAIL_IF(task_of(c, t) < -1 || task_of(c, t) >= c->tasks, KD_ERR_RANGE,
                   "gradients: the task of term %d: expected -1 (none) to %d, got %d", t,
                   c->tasks - 1, task_of(c, t));
    return KD_OK;
}

/* ---- where they meet ---- */

/* Where the loss puts the gradient of its output: its own, or a head's hidden states. */
static int32_t own_slot(const call *c, int32_t output)
{
    kd_head head = KD_HEAD_INIT;
    const int32_t slot = c->loss->outputs[output].slot;
    const int32_t hidden = kd__model_head(c->model, slot, 0, &head);
    return hidden >= 0 ? hidden : slot;
}

static int32_t source_of(const call *c, int32_t slot)
{
    int32_t source;
    return kd__model_pull(c->model, slot, NULL, &source, NULL) == KD_OK ? source : -1;
}

static int reaches(const call *c, int32_t output)
{
    for (int32_t slot = own_slot(c, output); slot >= 0; slot = source_of(c, slot))
        if (slot == c->slot) return 1;
    return 0;
}

static int32_t root_of(const call *c, int32_t output)
{
    int32_t slot = own_slot(c, output), source;
    while ((source = source_of(c, slot)) >= 0) slot = source;
    return slot;
}

static void name_of(const call *c, int32_t slot, char name[KD_NAME_BYTES])
{
    kd__output_facts facts;
    kd__network_describe(&c->model->net, slot, &facts);
    memcpy(name, facts.name, KD_NAME_BYTES);
}

/* The two outputs that a term compares. */
static void outputs_of(const kd__term *term, int32_t of[2])
{
    of[0] = term->output;
    of[1] = term->key_output == term->output ? -1 : term->key_output;
}

static kd_status meet(call *c, int32_t term)
{
    int32_t of[2];
    char one[KD_NAME_BYTES], other[KD_NAME_BYTES];
    outputs_of(&c->loss->terms[term], of);
    for (int i = 0; i < 2 && task_of(c, term) >= 0; i++) {
        if (of[i] < 0) continue;
        const int32_t root = root_of(c, of[i]);
        if (c->slot < 0) c->slot = root;
        if (root == c->slot) continue;
        name_of(c, c->slot, one);
        name_of(c, root, other);
        return kd__fail(KD_ERR_INVALID,
                        "gradients: the terms come from several outputs, '%s' and '%s': name one "
                        "in kd_gradient_options.output",
                        one, other);
    }
    return KD_OK;
}

static kd_status find_meeting(call *c)
{
    c->slot = -1;
    if (c->o.output) return kd__model_slot(c->model, c->o.output, &c->slot);
    for (int32_t t = 0; t < c->loss->count; t++) KD_TRY(meet(c, t));
    KD_FAIL_IF(c->slot < 0, KD_ERR_INVALID, "gradients: no term belongs to a task");
    return KD_OK;
}

/* ---- memory ---- */

static kd_status numbers_of(const call *c, int32_t slot, int64_t *numbers)
{
    char name[KD_NAME_BYTES];
    kd_array values;
    name_of(c, slot, name);
    KD_TRY(kd__model_output(c->model, slot, name, &values));
    *numbers = kd_array_count(&values);
    return KD_OK;
}

static kd_status lay_out(call *c)
{
    int64_t found, need;
    KD_TRY(numbers_of(c, c->slot, &c->numbers));
    c->largest = c->numbers;
    for (int32_t i = 0; i < c->loss->output_count; i++)
        for (int32_t slot = own_slot(c, i); slot >= 0; slot = source_of(c, slot)) {
            KD_TRY(numbers_of(c, slot, &found));
            c->largest = kd__max(c->largest, found);
        }
    KD_TRY(kd__multiply(c->tasks, c->numbers, &need));
    KD_TRY(KD_RESERVE(c->loss->object.context, &c->loss->pulls, &c->loss->pulls_room,
                      need + 4 * c->largest));
    c->g = c->loss->pulls;
    memset(c->g, 0, (size_t)need * sizeof *c->g);
    for (int i = 0; i < 2; i++) {
        c->own[i] = c->g + need + i * c->largest;
        c->way[i] = c->g + need + (2 + i) * c->largest;
    }
    return KD_OK;
}

/* ---- one term ---- */

/* From a term's output back to the shared one, onto its task's. */
static kd_status pull(call *c, int32_t task, int32_t output, const float *dy)
{
    const kd__kernels *kernels = c->loss->object.context->kernels;
    int32_t slot = own_slot(c, output);
    for (int turn = 0; slot != c->slot; turn = 1 - turn) {
        int32_t source = source_of(c, slot);
        int64_t numbers;
        KD_TRY(numbers_of(c, source, &numbers));
        memset(c->way[turn], 0, (size_t)numbers * sizeof *dy);
        KD_TRY(kd__model_pull(c->model, slot, dy, &source, c->way[turn]));
        dy = c->way[turn];
        slot = source;
    }
    kernels->axpby(c->g + task * c->numbers, 1, dy, 1, c->numbers);
    c->reaches[task] = 1;
    return KD_OK;
}

/* The outputs that a term reads, the first two with places for gradients. */
static int32_t students_of(call *c, const kd__term *term, kd__student used[4])
{
    int32_t of[2], count = 0;
    outputs_of(term, of);
    for (int i = 0; i < 2; i++) {
        if (of[i] < 0) continue;
        used[count] = c->students[of[i]];
        used[count].dz = c->own[i];
        used[count].add = 0;
        count++;
    }
    for (int i = 0; i < KD__PAIR_SCALARS; i++)
        if (term->pairs.scalar[i]) used[count++] = c->students[term->pairs.scalar[i] - 1];
    return count;
}

static kd_status run_term(call *c, int32_t t)
{
    kd_loss *loss = c->loss;
    const kd__term *term = &loss->terms[t];
    kd__student used[4];
    int32_t of[2];
    const int32_t count = students_of(c, term, used);
    loss->left_out = ~(UINT64_C(1) << t);
    KD_TRY(kd__students_resolve(loss, used, count, c->batch, c->targets));
    KD_TRY(kd__loss_run(loss, used, count, c->o.counts, NULL));
    outputs_of(term, of);
    for (int i = 0; i < 2; i++)
        if (of[i] >= 0 && reaches(c, of[i])) KD_TRY(pull(c, task_of(c, t), of[i], c->own[i]));
    return KD_OK;
}

/* ---- what must not see it ---- */

static void hush(call *c)
{
    kd_loss *loss = c->loss;
    c->diagnostics = loss->diagnostics;
    loss->diagnostics = 0;
    for (int32_t t = 0; t < loss->count; t++) {
        kd__term *term = &loss->terms[t];
        c->before[t] =
            (watched){ term->watch, term->collapse, term->degenerate, term->pairs.last_scale };
        term->watch.batches = INT64_MAX; /* enough were seen, and it was told */
        term->collapse.told = 1;
    }
}

static void go_on(const call *c)
{
    kd_loss *loss = c->loss;
    loss->diagnostics = c->diagnostics;
    loss->left_out = 0;
    for (int32_t t = 0; t < loss->count; t++) {
        kd__term *term = &loss->terms[t];
        term->watch = c->before[t].watch;
        term->collapse = c->before[t].collapse;
        term->degenerate = c->before[t].degenerate;
        term->pairs.last_scale = c->before[t].last_scale;
    }
}

static kd_status run_terms(call *c)
{
    for (int32_t t = 0; t < c->loss->count; t++)
        if (task_of(c, t) >= 0) KD_TRY(run_term(c, t));
    return KD_OK;
}

/* ---- norms and cosines ---- */

#define LANES 8
static double dot(const float *x, const float *y, int64_t n)
{
    double lanes[LANES] = { 0 }, sum = 0;
    const int64_t whole = n - n % LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int l = 0; l < LANES; l++) lanes[l] += (double)x[i + l] * y[i + l];
    for (int64_t i = whole; i < n; i++) sum += (double)x[i] * y[i];
    for (int l = 0; l < LANES; l++) sum += lanes[l];
    return sum;
}

typedef struct {
    const call *c;
    double *norms, *cosines;
} measures;

static void measure_norm(void *argument, int64_t task, int32_t worker)
{
    const measures *m = argument;
    const float *g = m->c->g + task * m->c->numbers;
    (void)worker;
    m->norms[task] = m->c->reaches[task] ? sqrt(dot(g, g, m->c->numbers)) : NAN;
}

/* Each pair by one thread, in both places. */
static void measure_cosines(void *argument, int64_t i, int32_t worker)
{
    const measures *m = argument;
    const int64_t tasks = m->c->tasks, n = m->c->numbers;
    (void)worker;
    for (int64_t j = 0; j <= i; j++) {
        const double norms = m->norms[i] * m->norms[j];
        double cosine = NAN;
        if (norms > 0) cosine = i == j ? 1 : dot(m->c->g + i * n, m->c->g + j * n, n) / norms;
        if (norms > 0) cosine = fmax(-1, fmin(1, cosine));
        m->cosines[i * tasks + j] = m->cosines[j * tasks + i] = cosine;
    }
}

/* Of a batch without rows. */
static kd_status nothing(const call *c, double *norms, double *cosines)
{
    for (int32_t i = 0; i < c->tasks; i++) norms[i] = 0;
    for (int32_t i = 0; cosines && i < c->tasks * c->tasks; i++) cosines[i] = NAN;
    return KD_OK;
}

static kd_status measure(call *c, double *norms, double *cosines)
{
    measures m = { c, norms, cosines };
    kd_context *context = c->loss->object.context;
    KD_FAIL_IF(c->model->mode != KD_MODE_TRAIN || !c->model->rows, KD_ERR_STATE,
               "gradients: expected a KD_MODE_TRAIN forward pass before it");
    KD_TRY(kd__students_of(c->loss, c->model, c->batch, c->students));
    KD_TRY(find_meeting(c));
    KD_TRY(lay_out(c));
    hush(c);
    const kd_status status = run_terms(c);
    go_on(c);
    KD_TRY(status);
    kd__parallel(context, c->tasks, measure_norm, &m);
    if (cosines) kd__parallel(context, c->tasks, measure_cosines, &m);
    return KD_OK;
}

kd_status kd_loss_measure_gradients(kd_loss *loss, kd_model *model, kd_batch *batch,
                                    kd_targets *targets, const kd_gradient_options *options,
                                    double *norms, double *cosines)
{
    call c = { .loss = loss, .model = model, .batch = batch, .targets = targets, .o = defaults };
    KD_NEED(loss);
    KD_NEED(model);
    KD_NEED(batch);
    KD_NEED(norms);
    KD_TRY(kd__options_read(&c.o, sizeof c.o, options, "kd_gradient_options"));
    KD_TRY(check_tasks(&c));
    return model->empty ? nothing(&c, norms, cosines) : measure(&c, norms, cosines);
}
