/* Early stopping, the best parameters kept, rates that fall on a plateau. */
#include "core/monitor/monitor.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

static const kd_monitor_options defaults = KD_MONITOR_OPTIONS_INIT;
void kd_monitor_options_init(kd_monitor_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

static size_t kept_bytes(const kd_monitor *monitor)
{
    return (size_t)kd__network_held(&monitor->model->net) * sizeof *monitor->kept;
}

kd_status kd_monitor_create(kd_monitor **out, kd_model *model, const kd_monitor_options *options)
{
    kd_monitor_options o = defaults;
    kd_monitor *monitor = NULL;
    KD_NEED(out);
    KD_NEED(model);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_monitor_options"));
    KD_FAIL_IF(o.better != KD_BETTER_LOWER && o.better != KD_BETTER_HIGHER, KD_ERR_RANGE,
               "better: expected KD_BETTER_LOWER or KD_BETTER_HIGHER, got %d", o.better);
    KD_FAIL_IF(o.patience < 0, KD_ERR_RANGE, "patience: expected 0 (never stop) or more, got %d",
               o.patience);
    KD_FAIL_IF(!(o.min_change >= 0), KD_ERR_RANGE, "min_change: expected 0 or more, got %g",
               o.min_change);
    if (o.keep_best && model->frozen) KD_TRY(kd__model_check_whole(model, "keep_best"));
    KD_TRY(kd__object_create((void **)&monitor, model->object.context, sizeof *monitor));
    kd_status status =
        o.keep_best ? KD_NEW(model->object.context, &monitor->kept, kd__network_held(&model->net))
                    : KD_OK;
    if (status != KD_OK) {
        kd__object_destroy(monitor);
        return status;
    }
    monitor->model = kd__object_hold(model);
    monitor->options = o;
    monitor->best_report = -1;
    *out = monitor;
    return KD_OK;
}

void kd_monitor_free(kd_monitor *monitor)
{
    if (!kd__object_drop(monitor)) return;
    kd__release(monitor->object.context, monitor->kept);
    kd_model_free(monitor->model);
    kd__object_destroy(monitor);
}

static int improves(const kd_monitor *monitor, double metric)
{
    if (!isfinite(metric)) return 0;
    if (monitor->best_report < 0) return 1;
    double gain = monitor->options.better == KD_BETTER_HIGHER ? metric - monitor->best
                                                              : monitor->best - metric;
    return gain > monitor->options.min_change;
}

kd_status kd_monitor_report(kd_monitor *monitor, double metric, int32_t *verdict)
{
    KD_NEED(monitor);
    int improved = improves(monitor, metric);
    if (improved) {
        monitor->best = metric;
        monitor->best_report = monitor->reports;
        monitor->bad = 0;
        if (monitor->kept) memcpy(monitor->kept, monitor->model->parameters, kept_bytes(monitor));
    } else monitor->bad++;
    monitor->reports++;
    int stop = monitor->options.patience && monitor->bad >= monitor->options.patience;
    if (verdict) *verdict = (improved ? KD_MONITOR_IMPROVED : 0) | (stop ? KD_MONITOR_STOP : 0);
    return KD_OK;
}

kd_status kd_monitor_best(kd_monitor *monitor, double *metric, int64_t *report)
{
    KD_NEED(monitor);
    KD_FAIL_IF(monitor->best_report < 0, KD_ERR_STATE,
               "the monitor has no finite metric yet: report one first");
    if (metric) *metric = monitor->best;
    if (report) *report = monitor->best_report;
    return KD_OK;
}

kd_status kd_monitor_restore(kd_monitor *monitor)
{
    KD_NEED(monitor);
    KD_FAIL_IF(!monitor->kept, KD_ERR_STATE, "the monitor was created with keep_best = 0");
    KD_FAIL_IF(monitor->best_report < 0, KD_ERR_STATE,
               "the monitor has no finite metric yet: report one first");
    memcpy(monitor->model->parameters, monitor->kept, kept_bytes(monitor));
    return KD_OK;
}

kd_status kd__monitor_save(kd_monitor *monitor, kd__text *state)
{
    const int64_t numbers[] = { monitor->reports, monitor->best_report, monitor->bad };
    KD_TRY(kd__state_put_number(state, monitor->kept ? kd__network_held(&monitor->model->net) : 0));
    KD_TRY(kd__text_append(state, numbers, sizeof numbers));
    KD_TRY(kd__text_append(state, &monitor->best, sizeof monitor->best));
    return monitor->kept ? kd__text_append(state, monitor->kept, kept_bytes(monitor)) : KD_OK;
}

kd_status kd__monitor_restore_state(kd_monitor *monitor, kd__state_reader *reader, int apply)
{
    int64_t numbers[3];
    double best;
    KD_TRY(kd__state_expect(reader, monitor->kept ? kd__network_held(&monitor->model->net) : 0,
                            "parameters kept by the monitor"));
    KD_TRY(kd__state_get(reader, numbers, sizeof numbers));
    KD_TRY(kd__state_get(reader, &best, sizeof best));
    if (monitor->kept)
        KD_TRY(kd__state_get(reader, apply ? monitor->kept : NULL, (int64_t)kept_bytes(monitor)));
    if (!apply) return KD_OK;
    monitor->reports = numbers[0];
    monitor->best_report = numbers[1];
    monitor->bad = numbers[2];
    monitor->best = best;
    return KD_OK;
}
