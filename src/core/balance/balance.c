/* Weights of tasks: fixed, from running means of their losses, or from how fast these fall. The
 * formulas and their sources stand in kdistill/balance.h. */
#include "core/balance/balance.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

#define MOST_TASKS 1024

static const kd_balance_options defaults = KD_BALANCE_OPTIONS_INIT;
void kd_balance_options_init(kd_balance_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

/* ---- making ---- */

static kd_status check(int32_t kind, int32_t tasks, const kd_balance_options *o)
{
    KD_FAIL_IF(kind < KD_BALANCE_STATIC || kind > KD_BALANCE_DWA, KD_ERR_RANGE,
               "balance: kind: expected KD_BALANCE_STATIC, KD_BALANCE_MEAN or KD_BALANCE_DWA, got "
               "%d",
               kind);
    KD_FAIL_IF(tasks < 1 || tasks > MOST_TASKS, KD_ERR_RANGE,
               "balance: tasks: expected 1 to %d, got %d", MOST_TASKS, tasks);
    KD_FAIL_IF(!(o->decay >= 0 && o->decay <= 1), KD_ERR_RANGE,
               "balance: decay: expected 0 to 1, got %g", o->decay);
    KD_FAIL_IF(!(o->temperature >= 0.01 && o->temperature <= 1000), KD_ERR_RANGE,
               "balance: temperature: expected .01 to 1000, got %g", o->temperature);
    KD_FAIL_IF(!(o->max_ratio >= 1) || !isfinite(o->max_ratio), KD_ERR_RANGE,
               "balance: max_ratio: expected a finite number from 1, got %g", o->max_ratio);
    return KD_OK;
}

static kd_status set_importance(kd_balance *made, const double *weights)
{
    double largest = 0;
    for (int32_t i = 0; i < made->tasks; i++) {
        const double weight = weights ? weights[i] : 1;
        KD_FAIL_IF(!(weight >= 0 && weight <= 1e6), KD_ERR_RANGE,
                   "balance: weight of task %d: expected 0 to 1e6, got %g", i, weight);
        made->importance[i] = weight;
        largest = fmax(largest, weight);
    }
    KD_FAIL_IF(!(largest > 0), KD_ERR_RANGE, "balance: expected a weight above 0, got only zeros");
    return KD_OK;
}

static kd_status fill(kd_balance *made, const double *weights)
{
    KD_TRY(KD_NEW(made->object.context, &made->importance, made->tasks));
    KD_TRY(KD_NEW(made->object.context, &made->task, made->tasks));
    for (int32_t i = 0; i < made->tasks; i++)
        made->task[i] = (kd__task){ .last = -1, .before = -1 };
    return set_importance(made, weights);
}

kd_status kd_balance_create(kd_balance **out, kd_context *context, int32_t kind, int32_t tasks,
                            const kd_balance_options *options)
{
    kd_balance_options o = defaults;
    kd_balance *made = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_balance_options"));
    KD_TRY(check(kind, tasks, &o));
    KD_TRY(kd__object_create((void **)&made, context, sizeof *made));
    made->kind = kind;
    made->tasks = tasks;
    made->decay = o.decay;
    made->temperature = o.temperature;
    made->max_ratio = o.max_ratio;
    const kd_status status = fill(made, o.weights);
    if (status != KD_OK) {
        kd_balance_free(made);
        return status;
    }
    *out = made;
    return KD_OK;
}

void kd_balance_free(kd_balance *balance)
{
    if (!kd__object_drop(balance)) return;
    kd__release(balance->object.context, balance->importance);
    kd__release(balance->object.context, balance->task);
    kd__object_destroy(balance);
}

/* ---- reports ---- */

kd_status kd_balance_report(kd_balance *balance, int32_t task, double loss)
{
    KD_NEED(balance);
    KD_FAIL_IF(task < 0 || task >= balance->tasks, KD_ERR_RANGE,
               "balance: expected a task from 0 to %d, got %d", balance->tasks - 1, task);
    KD_FAIL_IF(!isfinite(loss), KD_ERR_NONFINITE,
               "balance: the loss of task %d: expected a finite number, got %g; a batch without "
               "rows of a task is not reported",
               task, loss);
    KD_FAIL_IF(fabs(loss) > 1e100, KD_ERR_RANGE,
               "balance: the loss of task %d: expected at most 1e100, got %g", task, loss);
    KD_FAIL_IF(loss < 0 && balance->kind != KD_BALANCE_STATIC, KD_ERR_RANGE,
               "balance: the loss of task %d: expected 0 or more, got %g; a balance by losses that "
               "change their sign means nothing",
               task, loss);
    kd__task *t = &balance->task[task];
    t->sum = balance->decay * t->sum + loss;
    t->count = balance->decay * t->count + 1;
    t->epoch_sum += loss;
    t->epoch_count++;
    return KD_OK;
}

kd_status kd_balance_end_epoch(kd_balance *balance)
{
    KD_NEED(balance);
    for (int32_t i = 0; i < balance->tasks; i++) {
        kd__task *t = &balance->task[i];
        if (!(t->epoch_count > 0)) continue;
        t->before = t->last;
        t->last = t->epoch_sum / t->epoch_count;
        t->epoch_sum = t->epoch_count = 0;
    }
    return KD_OK;
}

/* ---- weights ---- */

static int is_told(const kd_balance *b, int32_t task)
{
    const kd__task *t = &b->task[task];
    return b->kind == KD_BALANCE_MEAN ? t->count > 0 : t->before >= 0;
}

/* log of w_i / c_i, but for a number that all share; -log m is infinite where m is 0. */
static double logarithm(const kd_balance *b, int32_t task)
{
    const kd__task *t = &b->task[task];
    if (b->kind == KD_BALANCE_MEAN) return -log(t->sum / t->count);
    const double ratio = t->last == t->before ? 1 : t->last / t->before;
    return ratio / b->temperature;
}

/* Over the largest of them, so that neither infinity nor an underflow is divided. */
static double share(const kd_balance *b, int32_t task, double largest)
{
    const double l = logarithm(b, task);
    return l == largest ? 1 : fmax(exp(l - largest), 1 / b->max_ratio);
}

double kd_balance_value(const kd_balance *b, int32_t task)
{
    double largest = -INFINITY, sum = 0, whole = 0;
    if (!b || task < 0 || task >= b->tasks) return NAN;
    if (b->kind == KD_BALANCE_STATIC) return b->importance[task];
    for (int32_t i = 0; i < b->tasks; i++) {
        if (!(b->importance[i] > 0)) continue;
        if (!is_told(b, i)) return b->importance[task];
        largest = fmax(largest, logarithm(b, i));
    }
    if (!(b->importance[task] > 0)) return 0;
    for (int32_t i = 0; i < b->tasks; i++) {
        if (!(b->importance[i] > 0)) continue;
        whole += b->importance[i];
        sum += b->importance[i] * share(b, i, largest);
    }
    return whole * b->importance[task] * share(b, task, largest) / sum;
}

/* ---- checkpoints ---- */

kd_status kd__balance_save(kd_balance *balance, kd__text *state)
{
    KD_TRY(kd__state_put_number(state, balance->kind));
    KD_TRY(kd__state_put_number(state, balance->tasks));
    return kd__text_append(state, balance->task, (size_t)balance->tasks * sizeof *balance->task);
}

static int is_sane(const kd__task *t)
{
    const double numbers[] = { t->sum, t->count, t->epoch_sum, t->epoch_count, t->last, t->before };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!isfinite(numbers[i])) return 0;
    return t->count >= 0 && t->epoch_count >= 0;
}

kd_status kd__balance_restore(kd_balance *balance, kd__state_reader *reader, int apply)
{
    KD_TRY(kd__state_expect(reader, balance->kind, "kind of the balance"));
    KD_TRY(kd__state_expect(reader, balance->tasks, "tasks of the balance"));
    for (int32_t i = 0; i < balance->tasks; i++) {
        kd__task found;
        KD_TRY(kd__state_get(reader, &found, sizeof found));
        KD_FAIL_IF(!is_sane(&found), KD_ERR_FORMAT,
                   "checkpoint part '%s': task %d holds numbers that no report makes", reader->name,
                   i);
        if (apply) balance->task[i] = found;
    }
    return KD_OK;
}
