/* Schedules of a recipe: learning rates, temperatures, weights. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool/say.h"
#include "tool/train_schedule.h"

enum {
    CONSTANT = 1,
    LINEAR,
    COSINE,
    EXPONENTIAL,
    POLYNOMIAL,
    STEP,
    INVERSE_SQRT,
    WSD,
    PIECEWISE,
    TAID = SCHEDULE_TAID
};

static const choice kinds[] = { { "constant", CONSTANT },
                                { "linear", LINEAR },
                                { "cosine", COSINE },
                                { "exponential", EXPONENTIAL },
                                { "polynomial", POLYNOMIAL },
                                { "step", STEP },
                                { "inverse_sqrt", INVERSE_SQRT },
                                { "wsd", WSD },
                                { "piecewise", PIECEWISE },
                                { "taid", TAID },
                                { NULL, 0 } };

#define ROW(name, type, low, high)                                                                 \
    {                                                                                              \
#name, type, offsetof(schedule_plan, name), low, high, 0, 0                                \
    }
static const recipe_key keys[] = { { "kind", KEY_CHOICE, offsetof(schedule_plan, kind), 0, 0, kinds,
                                     NULL },
                                   ROW(steps, KEY_INTEGER, 1, 1e15),
                                   ROW(every, KEY_INTEGER, 1, 1e15),
                                   ROW(stable, KEY_INTEGER, 0, 1e15),
                                   ROW(decay, KEY_INTEGER, 1, 1e15),
                                   ROW(value, KEY_NUMBER, -1e30, 1e30),
                                   ROW(from, KEY_NUMBER, -1e30, 1e30),
                                   ROW(to, KEY_NUMBER, -1e30, 1e30),
                                   ROW(power, KEY_NUMBER, 1e-6, 1e6),
                                   ROW(factor, KEY_NUMBER, 1e-9, 1e9),
                                   ROW(floor, KEY_NUMBER, -1e30, 1e30),
                                   ROW(warmup, KEY_NUMBER, 0, 1e15),
                                   ROW(points, KEY_NODE, 0, 0),
                                   ROW(plateau, KEY_NODE, 0, 0),
                                   ROW(rate, KEY_NUMBER, 0, 1),
                                   ROW(momentum, KEY_NUMBER, 0, 0.999999),
                                   { NULL, 0, 0, 0, 0, NULL, NULL } };

/* Which of value, from and to a kind needs. */
static const char *missing(const node *n, const schedule_plan *plan)
{
    const int ends = plan->kind == LINEAR || plan->kind == COSINE || plan->kind == EXPONENTIAL ||
                     plan->kind == POLYNOMIAL;
    if (ends) return !node_member(n, "from") ? "from" : !node_member(n, "to") ? "to" : NULL;
    if (plan->kind == PIECEWISE) return plan->points ? NULL : "points";
    if (plan->kind == STEP && !node_member(n, "factor")) return "factor";
    return plan->kind == TAID || node_member(n, "value") ? NULL : "value";
}

static int read_points(problem *p, const char *where, const schedule_plan *plan, double low,
                       double high)
{
    double last = -1;
    if (plan->points->type != NODE_LIST || plan->points->count < 1 || plan->points->count > 4096)
        return wrong_at(p, plan->points, where, "points: expected 1 to 4096 of [step, value]");
    for (const node *m = plan->points->first; m; m = m->next) {
        const node *step = m->type == NODE_LIST && m->count == 2 ? m->first : NULL;
        if (!step || step->type != NODE_NUMBER || step->next->type != NODE_NUMBER ||
            step->number <= last || step->number > 1e15 || step->number != floor(step->number))
            return wrong_at(p, m, where, "points: expected [step, value] with rising steps, got %s",
                            node_kind(m));
        if (step->next->number < low || step->next->number > high)
            return wrong_at(p, m, where, "points: expected values from %g to %g, got %s", low, high,
                            step->next->text);
        last = step->number;
    }
    return 1;
}

typedef struct {
    int64_t patience, cooldown, recovery;
    double factor, floor, min_change;
} plateau_plan;

static int read_plateau(problem *p, const char *where, schedule_plan *plan)
{
#define PLATEAU(name, type, low, high)                                                             \
    {                                                                                              \
#name, type, offsetof(plateau_plan, name), low, high, 0, 0                                 \
    }
    static const recipe_key of_plateau[] = {
        PLATEAU(patience, KEY_INTEGER, 0, 1e6), PLATEAU(cooldown, KEY_INTEGER, 0, 1e6),
        PLATEAU(recovery, KEY_INTEGER, 0, 1e6), PLATEAU(factor, KEY_NUMBER, 1e-6, 0.999999),
        PLATEAU(floor, KEY_NUMBER, 0, 1),       PLATEAU(min_change, KEY_NUMBER, 0, 1),
        { NULL, 0, 0, 0, 0, NULL, NULL }
    };
    kd_plateau_options *o = &plan->plateau_options;
    char path[200];
    kd_plateau_options_init(o, sizeof *o);
    plateau_plan q = { o->patience, o->cooldown, o->recovery, o->factor, o->floor, o->min_change };
    snprintf(path, sizeof path, "%.180s.plateau", where);
    if (!keys_read(p, path, plan->plateau, of_plateau, &q)) return 0;
    o->patience = (int32_t)q.patience;
    o->cooldown = (int32_t)q.cooldown;
    o->recovery = (int32_t)q.recovery;
    o->factor = q.factor;
    o->floor = q.floor;
    o->min_change = q.min_change;
    return 1;
}

/* Values lie within the bounds of what they are for. */
static int check_values(problem *p, const char *where, const node *n, const schedule_plan *plan,
                        double low, double high)
{
    static const char *const names[] = { "value", "from", "to" };
    const double values[] = { plan->value, plan->from, plan->to };
    for (int i = 0; i < 3; i++) {
        const node *m = node_member(n, names[i]);
        if (m && (values[i] < low || values[i] > high))
            return wrong_at(p, m, where, "%s: expected a number from %g to %g, got %s", names[i],
                            low, high, m->text);
        if (m && plan->kind == EXPONENTIAL && values[i] <= 0)
            return wrong_at(p, m, where, "%s: expected more than 0 of an exponential, got %s",
                            names[i], m->text);
    }
    return 1;
}

int schedule_read(problem *p, const char *where, const node *n, double low, double high,
                  schedule_plan *to)
{
    memset(to, 0, sizeof *to);
    to->kind = CONSTANT;
    if (n->type == NODE_NUMBER) {
        if (n->number < low || n->number > high)
            return wrong_at(p, n, where, "expected a number from %g to %g, got %s", low, high,
                            n->text);
        to->value = n->number;
        return 1;
    }
    if (n->type != NODE_OBJECT)
        return wrong_at(p, n, where,
                        "expected a number, or an object as {\"kind\": \"linear\", \"from\": 4, "
                        "\"to\": 1}, got %s",
                        node_kind(n));
    kd_taid_options taid = KD_TAID_OPTIONS_INIT;
    to->rate = taid.rate;
    to->momentum = taid.momentum;
    to->power = to->every = 1;
    if (!keys_read(p, where, n, keys, to)) return 0;
    if (to->kind == TAID && !node_member(n, "from")) to->from = taid.from;
    if (to->kind == TAID && !node_member(n, "to")) to->to = taid.to;
    const char *lacks = missing(n, to);
    if (lacks) return wrong_at(p, n, where, "expected \"%s\" for this kind, got none", lacks);
    if (!check_values(p, where, n, to, low, high)) return 0;
    if (to->points && !read_points(p, where, to, low, high)) return 0;
    return !to->plateau || read_plateau(p, where, to);
}

/* ---- making ---- */

static kd_status create_piecewise(kd_schedule **out, kd_context *context, const node *points)
{
    int64_t *steps = take((size_t)points->count * sizeof *steps);
    double *values = take((size_t)points->count * sizeof *values);
    int32_t n = 0;
    for (const node *m = points->first; m; m = m->next, n++) {
        steps[n] = (int64_t)m->first->number;
        values[n] = m->first->next->number;
    }
    const kd_status status = kd_schedule_create_piecewise(out, context, steps, values, n);
    free(values);
    free(steps);
    return status;
}

static kd_status create_taid(kd_schedule **out, kd_context *context, const schedule_plan *plan,
                             int64_t steps)
{
    kd_taid_options o = KD_TAID_OPTIONS_INIT;
    o.from = plan->from;
    o.to = plan->to;
    o.rate = plan->rate;
    o.momentum = plan->momentum;
    o.steps = steps;
    return kd_schedule_create_taid(out, context, &o);
}

static int64_t warmup_steps(const schedule_plan *plan, int64_t steps)
{
    return (int64_t)ceil(plan->warmup < 1 ? plan->warmup * (double)steps : plan->warmup);
}

static kd_status create_plain(kd_schedule **out, kd_context *context, const schedule_plan *p,
                              int64_t run)
{
    const int64_t steps = p->steps ? p->steps : run, warm = warmup_steps(p, run);
    const int64_t decay = p->decay ? p->decay : steps / 10 + 1;
    const int64_t stable = p->stable ? p->stable : steps - warm - decay;
    switch (p->kind) {
    case LINEAR: return kd_schedule_create_linear(out, context, p->from, p->to, steps);
    case COSINE: return kd_schedule_create_cosine(out, context, p->from, p->to, steps);
    case EXPONENTIAL: return kd_schedule_create_exponential(out, context, p->from, p->to, steps);
    case POLYNOMIAL:
        return kd_schedule_create_polynomial(out, context, p->from, p->to, steps, p->power);
    case STEP: return kd_schedule_create_step(out, context, p->value, p->factor, p->every);
    case INVERSE_SQRT:
        return kd_schedule_create_inverse_sqrt(out, context, p->value, warm > 1 ? warm : 1);
    case WSD:
        return kd_schedule_create_wsd(out, context, p->value, p->floor, warm,
                                      stable > 0 ? stable : 0, decay);
    case PIECEWISE: return create_piecewise(out, context, p->points);
    case TAID: return create_taid(out, context, p, steps);
    default: return kd_schedule_create_constant(out, context, p->value);
    }
}

kd_status schedule_create(kd_schedule **out, kd_context *context, const schedule_plan *plan,
                          int64_t steps, int32_t better)
{
    kd_schedule *parts[3] = { NULL };
    int32_t n = 1;
    const int64_t warm = warmup_steps(plan, steps);
    kd_status status = create_plain(&parts[0], context, plan, steps);
    /* The first step already learns, as in kd_recipe_create_learning_rate. */
    if (status == KD_OK && warm > 0 && plan->kind != INVERSE_SQRT && plan->kind != WSD)
        status = kd_schedule_create_linear(&parts[n++], context, 1 / ((double)warm + 1), 1, warm);
    if (status == KD_OK && plan->plateau) {
        kd_plateau_options o = plan->plateau_options;
        o.better = better;
        status = kd_schedule_create_plateau(&parts[n++], context, &o);
    }
    if (status == KD_OK) status = kd_schedule_create_product(out, context, parts, n);
    for (int32_t i = 0; i < 3; i++) kd_schedule_free(parts[i]);
    return status;
}
