/* Schedules: numbers as functions of the step, alone and combined. */
#include "core/schedule/schedule.h"

#include <math.h>

#include "base/memory.h"

enum {
    CONSTANT,
    LINEAR,
    COSINE,
    EXPONENTIAL,
    POLYNOMIAL,
    STEP,
    INVERSE_SQRT,
    WSD,
    PIECEWISE,
    PRODUCT,
    SEQUENCE,
    PLATEAU,
    TAID
};

static const kd_plateau_options plateau_defaults = KD_PLATEAU_OPTIONS_INIT;
void kd_plateau_options_init(kd_plateau_options *o, size_t size)
{
    kd__options_init(o, size, &plateau_defaults, sizeof plateau_defaults);
}

static const kd_taid_options taid_defaults = KD_TAID_OPTIONS_INIT;
void kd_taid_options_init(kd_taid_options *o, size_t size)
{
    kd__options_init(o, size, &taid_defaults, sizeof taid_defaults);
}

/* ---- making ---- */

static kd_status make(kd_schedule **out, kd_context *context, const kd_schedule *given)
{
    kd_schedule *schedule = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_FAIL_IF(!isfinite(given->from) || !isfinite(given->to) || !isfinite(given->power),
               KD_ERR_NONFINITE,
               "schedule: expected finite numbers, got from %g, to %g and power %g", given->from,
               given->to, given->power);
    KD_FAIL_IF(given->steps < 1, KD_ERR_RANGE, "schedule: steps: expected at least 1, got %lld",
               (long long)given->steps);
    KD_TRY(kd__object_create((void **)&schedule, context, sizeof *schedule));
    schedule->kind = given->kind;
    schedule->from = given->from;
    schedule->to = given->to;
    schedule->power = given->power;
    schedule->steps = given->steps;
    schedule->warmup = given->warmup;
    schedule->stable = given->stable;
    schedule->plateau = given->plateau;
    schedule->taid = given->taid;
    *out = schedule;
    return KD_OK;
}

kd_status kd_schedule_create_constant(kd_schedule **out, kd_context *context, double value)
{
    return make(out, context, &(kd_schedule){ .kind = CONSTANT, .from = value, .steps = 1 });
}

kd_status kd_schedule_create_linear(kd_schedule **out, kd_context *context, double from, double to,
                                    int64_t steps)
{
    return make(out, context,
                &(kd_schedule){ .kind = LINEAR, .from = from, .to = to, .steps = steps });
}

kd_status kd_schedule_create_cosine(kd_schedule **out, kd_context *context, double from, double to,
                                    int64_t steps)
{
    return make(out, context,
                &(kd_schedule){ .kind = COSINE, .from = from, .to = to, .steps = steps });
}

kd_status kd_schedule_create_exponential(kd_schedule **out, kd_context *context, double from,
                                         double to, int64_t steps)
{
    KD_FAIL_IF(!(from > 0) || !(to > 0), KD_ERR_RANGE,
               "exponential: both values must be above 0, got %g and %g", from, to);
    return make(out, context,
                &(kd_schedule){ .kind = EXPONENTIAL, .from = from, .to = to, .steps = steps });
}

kd_status kd_schedule_create_polynomial(kd_schedule **out, kd_context *context, double from,
                                        double to, int64_t steps, double power)
{
    KD_FAIL_IF(!(power > 0), KD_ERR_RANGE, "polynomial: the power must be above 0, got %g", power);
    return make(out, context,
                &(kd_schedule){
                    .kind = POLYNOMIAL, .from = from, .to = to, .steps = steps, .power = power });
}

kd_status kd_schedule_create_step(kd_schedule **out, kd_context *context, double value,
                                  double factor, int64_t every)
{
    KD_FAIL_IF(!(factor > 0), KD_ERR_RANGE, "step: the factor must be above 0, got %g", factor);
    return make(out, context,
                &(kd_schedule){ .kind = STEP, .from = value, .power = factor, .steps = every });
}

kd_status kd_schedule_create_inverse_sqrt(kd_schedule **out, kd_context *context, double value,
                                          int64_t warmup)
{
    return make(out, context,
                &(kd_schedule){ .kind = INVERSE_SQRT, .from = value, .steps = warmup });
}

kd_status kd_schedule_create_wsd(kd_schedule **out, kd_context *context, double value, double floor,
                                 int64_t warmup, int64_t stable, int64_t decay)
{
    KD_FAIL_IF(warmup < 0 || stable < 0, KD_ERR_RANGE,
               "wsd: expected warmup and stable of 0 or more, got %lld and %lld", (long long)warmup,
               (long long)stable);
    return make(out, context,
                &(kd_schedule){ .kind = WSD,
                                .from = value,
                                .to = floor,
                                .warmup = warmup,
                                .stable = stable,
                                .steps = decay });
}

static kd_status take_points(kd_schedule *made, const int64_t *points, const double *values,
                             int32_t count)
{
    KD_TRY(KD_NEW(made->object.context, &made->points, count));
    if (values) KD_TRY(KD_NEW(made->object.context, &made->values, count));
    for (int32_t i = 0; i < count; i++) {
        KD_FAIL_IF(i && points[i] <= points[i - 1], KD_ERR_RANGE,
                   "schedule: expected a step after %lld, got %lld", (long long)points[i - 1],
                   (long long)points[i]);
        KD_FAIL_IF(values && !isfinite(values[i]), KD_ERR_NONFINITE,
                   "schedule: value %d: expected a finite number, got %g", i, values[i]);
        made->points[i] = points[i];
        if (values) made->values[i] = values[i];
    }
    made->count = count;
    return KD_OK;
}

static kd_status finish(kd_schedule **out, kd_schedule *made, kd_status status)
{
    if (status == KD_OK) *out = made;
    else kd_schedule_free(made);
    return status;
}

kd_status kd_schedule_create_piecewise(kd_schedule **out, kd_context *context, const int64_t *steps,
                                       const double *values, int32_t count)
{
    kd_schedule *made = NULL;
    KD_NEED(steps);
    KD_NEED(values);
    KD_FAIL_IF(count < 1 || count > 4096, KD_ERR_RANGE,
               "piecewise: expected 1 to 4096 points, got %d", count);
    KD_TRY(make(out ? &made : NULL, context, &(kd_schedule){ .kind = PIECEWISE, .steps = 1 }));
    return finish(out, made, take_points(made, steps, values, count));
}

static kd_status take_parts(kd_schedule *made, kd_schedule *const *parts, int32_t count)
{
    KD_TRY(KD_NEW(made->object.context, &made->parts, count));
    for (int32_t i = 0; i < count; i++) {
        KD_FAIL_IF(!parts[i], KD_ERR_INVALID, "schedule: part %d: expected a schedule, got NULL",
                   i);
        made->parts[i] = kd__object_hold(parts[i]);
        made->count = i + 1;
    }
    return KD_OK;
}

kd_status kd_schedule_create_product(kd_schedule **out, kd_context *context,
                                     kd_schedule *const *parts, int32_t count)
{
    kd_schedule *made = NULL;
    KD_NEED(parts);
    KD_FAIL_IF(count < 1 || count > 16, KD_ERR_RANGE, "product: expected 1 to 16 parts, got %d",
               count);
    KD_TRY(make(out ? &made : NULL, context, &(kd_schedule){ .kind = PRODUCT, .steps = 1 }));
    return finish(out, made, take_parts(made, parts, count));
}

kd_status kd_schedule_create_sequence(kd_schedule **out, kd_context *context,
                                      kd_schedule *const *parts, const int64_t *starts,
                                      int32_t count)
{
    kd_schedule *made = NULL;
    KD_NEED(parts);
    KD_NEED(starts);
    KD_FAIL_IF(count < 1 || count > 16, KD_ERR_RANGE, "sequence: expected 1 to 16 parts, got %d",
               count);
    KD_FAIL_IF(starts[0], KD_ERR_RANGE, "sequence: expected the first part to start at 0, got %lld",
               (long long)starts[0]);
    KD_TRY(make(out ? &made : NULL, context, &(kd_schedule){ .kind = SEQUENCE, .steps = 1 }));
    kd_status status = take_parts(made, parts, count);
    if (status == KD_OK) status = take_points(made, starts, NULL, count);
    return finish(out, made, status);
}

kd_status kd_schedule_create_plateau(kd_schedule **out, kd_context *context,
                                     const kd_plateau_options *options)
{
    kd_plateau_options o = plateau_defaults;
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_plateau_options"));
    KD_FAIL_IF(!(o.factor > 0 && o.factor < 1), KD_ERR_RANGE,
               "plateau: factor: expected above 0 and below 1, got %g", o.factor);
    KD_FAIL_IF(
        o.patience < 0 || o.cooldown < 0 || o.recovery < 0, KD_ERR_RANGE,
        "plateau: expected patience, cooldown and recovery of 0 or more, got %lld, %lld and %lld",
        (long long)o.patience, (long long)o.cooldown, (long long)o.recovery);
    KD_FAIL_IF(
        !isfinite(o.value) || !isfinite(o.floor) || !(o.min_change >= 0), KD_ERR_NONFINITE,
        "plateau: expected a finite value and floor and a min_change from 0, got %g, %g and %g",
        o.value, o.floor, o.min_change);
    KD_FAIL_IF(o.better != KD_BETTER_LOWER && o.better != KD_BETTER_HIGHER, KD_ERR_RANGE,
               "plateau: better: expected KD_BETTER_LOWER or KD_BETTER_HIGHER, got %d", o.better);
    return make(out, context,
                &(kd_schedule){ .kind = PLATEAU, .steps = 1, .plateau = { .options = o } });
}

kd_status kd_schedule_create_taid(kd_schedule **out, kd_context *context,
                                  const kd_taid_options *options)
{
    kd_taid_options o = taid_defaults;
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_taid_options"));
    KD_FAIL_IF(!(o.from >= 0 && o.from < o.to && o.to <= 1), KD_ERR_RANGE,
               "taid: expected 0 <= from < to <= 1, got %g and %g", o.from, o.to);
    KD_FAIL_IF(!(o.rate >= 0 && o.rate <= 1), KD_ERR_RANGE, "taid: rate: expected 0 to 1, got %g",
               o.rate);
    KD_FAIL_IF(!(o.momentum >= 0 && o.momentum < 1), KD_ERR_RANGE,
               "taid: momentum: expected 0 to below 1, got %g", o.momentum);
    return make(out, context,
                &(kd_schedule){ .kind = TAID,
                                .from = o.from,
                                .to = o.to,
                                .steps = o.steps,
                                .taid = { o, o.from, 0, 0, 0 } });
}

void kd_schedule_free(kd_schedule *schedule)
{
    if (!kd__object_drop(schedule)) return;
    kd_context *context = schedule->object.context;
    for (int32_t i = 0; i < schedule->count && schedule->parts; i++)
        kd_schedule_free(schedule->parts[i]);
    kd__release(context, schedule->parts);
    kd__release(context, schedule->points);
    kd__release(context, schedule->values);
    kd__object_destroy(schedule);
}

/* ---- values ---- */

static double wsd(const kd_schedule *s, int64_t step)
{
    if (step < s->warmup) return s->from * (double)step / (double)s->warmup;
    step -= s->warmup;
    if (step < s->stable) return s->from;
    step -= s->stable;
    double part = step >= s->steps ? 1 : (double)step / (double)s->steps;
    return s->from + (s->to - s->from) * part;
}

static double piecewise(const kd_schedule *s, int64_t step)
{
    int32_t i = 0;
    if (step <= s->points[0]) return s->values[0];
    while (i + 1 < s->count && step >= s->points[i + 1]) i++;
    if (i + 1 == s->count) return s->values[i];
    double part = (double)(step - s->points[i]) / (double)(s->points[i + 1] - s->points[i]);
    return s->values[i] + (s->values[i + 1] - s->values[i]) * part;
}

static double product(const kd_schedule *s, int64_t step)
{
    double value = 1;
    for (int32_t i = 0; i < s->count; i++) value *= kd_schedule_value(s->parts[i], step);
    return value;
}

static double sequence(const kd_schedule *s, int64_t step)
{
    int32_t i = s->count - 1;
    while (i > 0 && step < s->points[i]) i--;
    return kd_schedule_value(s->parts[i], step - s->points[i]);
}

static double plateau(const kd__plateau *p)
{
    double value = p->options.value * pow(p->options.factor, (double)p->reductions);
    return value > p->options.floor ? value : p->options.floor;
}

static double taid(const kd_schedule *s, int64_t step)
{
    const double linear = s->from + (s->to - s->from) *
                                        (step >= s->steps ? 1 : (double)step / (double)s->steps);
    return fmin(s->to, fmax(linear, s->taid.t));
}

double kd_schedule_value(kd_schedule *s, int64_t step)
{
    if (!s) return NAN;
    if (step < 0) step = 0;
    const double part = step >= s->steps ? 1 : (double)step / (double)s->steps,
                 next = (double)step + 1;
    switch (s->kind) {
    case LINEAR: return s->from + (s->to - s->from) * part;
    case COSINE: return s->to + (s->from - s->to) * (1 + cos(3.14159265358979323846 * part)) / 2;
    case EXPONENTIAL: return s->from * pow(s->to / s->from, part);
    case POLYNOMIAL: return s->to + (s->from - s->to) * pow(1 - part, s->power);
    case STEP: return s->from * pow(s->power, (double)(step / s->steps));
    case INVERSE_SQRT:
        return s->from * fmin(next / (double)s->steps, sqrt((double)s->steps / next));
    case WSD: return wsd(s, step);
    case PIECEWISE: return piecewise(s, step);
    case PRODUCT: return product(s, step);
    case SEQUENCE: return sequence(s, step);
    case PLATEAU: return plateau(&s->plateau);
    case TAID: return taid(s, step);
    default: return s->from;
    }
}

/* ---- plateaus ---- */

static int improves(const kd__plateau *p, double metric)
{
    double change = p->options.min_change * fabs(p->best);
    if (!p->reports) return 1;
    return p->options.better == KD_BETTER_HIGHER ? metric > p->best + change
                                                 : metric < p->best - change;
}

static void report(kd__plateau *p, double metric)
{
    const kd_plateau_options *o = &p->options;
    if (improves(p, metric)) {
        p->best = metric;
        p->bad = 0;
        if (o->recovery && ++p->good >= o->recovery) {
            p->good = 0;
            p->reductions -= p->reductions > 0;
        }
    } else {
        p->good = 0;
        p->bad++;
    }
    p->reports++;
    if (p->cooldown > 0) {
        p->cooldown--;
        p->bad = 0;
    }
    if (p->bad <= o->patience) return;
    p->reductions += plateau(p) > o->floor; /* at the floor there is nothing to take back later */
    p->cooldown = o->cooldown;
    p->bad = 0;
}

static void report_taid(kd_schedule *s, double loss)
{
    kd__taid *state = &s->taid;
    const double t = taid(s, state->reports);
    if (state->reports) {
        const double change = (state->before - loss) / (state->before + 1e-15);
        state->momentum = state->options.momentum * state->momentum +
                          (1 - state->options.momentum) * change;
        state->t = t + state->options.rate / (1 + exp(-state->momentum)) * (1 - t);
    }
    state->before = loss;
    state->reports++;
}

kd_status kd_schedule_report(kd_schedule *schedule, double metric)
{
    KD_NEED(schedule);
    KD_FAIL_IF(!isfinite(metric), KD_ERR_NONFINITE,
               "the reported metric: expected a finite number, got %g", metric);
    if (schedule->kind == PLATEAU) report(&schedule->plateau, metric);
    if (schedule->kind == TAID) report_taid(schedule, metric);
    for (int32_t i = 0; i < schedule->count && schedule->parts; i++)
        KD_TRY(kd_schedule_report(schedule->parts[i], metric));
    return KD_OK;
}

/* ---- state: the first FREE numbers of a schedule may be any, the others are counts; in the order
 * of the parts ---- */

#define PLATEAU_NUMBERS 6
#define PLATEAU_FREE 1
#define TAID_NUMBERS 4
#define TAID_FREE 3

static int32_t own_numbers(const kd_schedule *s)
{
    return s->kind == PLATEAU ? PLATEAU_NUMBERS : s->kind == TAID ? TAID_NUMBERS : 0;
}

static int32_t count_numbers(const kd_schedule *s)
{
    int32_t count = own_numbers(s);
    for (int32_t i = 0; i < s->count && s->parts; i++) count += count_numbers(s->parts[i]);
    return count;
}

static double *put_state(const kd_schedule *s, double *to)
{
    const kd__plateau *p = &s->plateau;
    const kd__taid *t = &s->taid;
    const double of_plateau[] = { p->best,         (double)p->reports,  (double)p->bad,
                                  (double)p->good, (double)p->cooldown, (double)p->reductions };
    const double of_taid[] = { t->t, t->momentum, t->before, (double)t->reports };
    for (int i = 0; i < own_numbers(s); i++) *to++ = s->kind == TAID ? of_taid[i] : of_plateau[i];
    for (int32_t i = 0; i < s->count && s->parts; i++) to = put_state(s->parts[i], to);
    return to;
}

static const double *check_state(const kd_schedule *s, const double *from, kd_status *status)
{
    const int free_numbers = s->kind == TAID ? TAID_FREE : PLATEAU_FREE;
    for (int i = 0; i < own_numbers(s); i++, from++)
        if (!isfinite(*from) ||
            (i >= free_numbers && (*from < 0 || *from > 1e15 || *from != floor(*from))))
            *status =
                kd__fail(KD_ERR_RANGE, "schedule state: number %d of a schedule is %g", i, *from);
    for (int32_t i = 0; i < s->count && s->parts; i++)
        from = check_state(s->parts[i], from, status);
    return from;
}

static const double *take_state(kd_schedule *s, const double *from)
{
    kd__plateau *p = &s->plateau;
    if (s->kind == PLATEAU) {
        int64_t *counts[PLATEAU_NUMBERS] = { NULL,     &p->reports,  &p->bad,
                                             &p->good, &p->cooldown, &p->reductions };
        p->best = from[0];
        for (int i = 1; i < PLATEAU_NUMBERS; i++) *counts[i] = (int64_t)from[i];
    }
    if (s->kind == TAID) {
        s->taid.t = from[0];
        s->taid.momentum = from[1];
        s->taid.before = from[2];
        s->taid.reports = (int64_t)from[3];
    }
    from += own_numbers(s);
    for (int32_t i = 0; i < s->count && s->parts; i++) from = take_state(s->parts[i], from);
    return from;
}

kd_status kd_schedule_get_state(kd_schedule *schedule, double *values, int32_t *count)
{
    KD_NEED(schedule);
    KD_NEED(count);
    int32_t need = count_numbers(schedule);
    KD_FAIL_IF(values && *count < need, KD_ERR_SHAPE,
               "schedule state: expected room for %d numbers, got %d", need, *count);
    if (values) put_state(schedule, values);
    *count = need;
    return KD_OK;
}

kd_status kd_schedule_set_state(kd_schedule *schedule, const double *values, int32_t count)
{
    KD_NEED(schedule);
    KD_FAIL_IF(count != count_numbers(schedule), KD_ERR_MISMATCH,
               "schedule state: expected %d numbers, got %d", count_numbers(schedule), count);
    KD_FAIL_IF(count && !values, KD_ERR_INVALID, "schedule state: expected %lld values, got NULL",
               (long long)count);
    kd_status status = KD_OK;
    check_state(schedule, values, &status);
    KD_TRY(status);
    take_state(schedule, values);
    return KD_OK;
}

kd_status kd__schedule_save(kd_schedule *schedule, kd__text *state)
{
    int32_t count = count_numbers(schedule);
    double *values = NULL;
    KD_TRY(KD_NEW(schedule->object.context, &values, count + 1));
    put_state(schedule, values);
    kd_status status = kd__state_put_number(state, count);
    if (status == KD_OK) status = kd__text_append(state, values, (size_t)count * sizeof *values);
    kd__release(schedule->object.context, values);
    return status;
}

kd_status kd__schedule_restore(kd_schedule *schedule, kd__state_reader *reader, int apply)
{
    int32_t count = count_numbers(schedule);
    double *values = NULL;
    KD_TRY(kd__state_expect(reader, count, "numbers of the schedule"));
    KD_TRY(KD_NEW(schedule->object.context, &values, count + 1));
    kd_status status = kd__state_get(reader, values, (int64_t)count * (int64_t)sizeof *values);
    if (status == KD_OK && apply) status = kd_schedule_set_state(schedule, values, count);
    kd__release(schedule->object.context, values);
    return status;
}
