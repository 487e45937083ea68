/* How long a forward pass takes. */
#include <kdistill/metrics.h>

#include <string.h>

#include "base/array.h"
#include "base/measure.h"
#include "base/memory.h"
#include "core/model/model.h"

#define MOST_RUNS 100000
#define WARM_UP 5

static void summarize(double *times, int64_t runs, kd_latency *made)
{
    double sum = 0;
    for (int64_t i = 0; i < runs; i++) sum += times[i];
    kd__sort_doubles(times, runs);
    made->runs = runs;
    made->mean = sum / (double)runs;
    made->min = times[0];
    made->p50 = times[(runs - 1) / 2];
    made->p90 = kd__percentile(times, runs, 0.9);
    made->p99 = kd__percentile(times, runs, 0.99);
    made->samples_per_second = made->batch_size / made->p50;
}

static kd_status time_passes(kd_model *model, kd_batch *batch, double seconds, double *times,
                             int64_t *runs)
{
    double end = kd__os_now() + seconds;
    for (int i = 0; i < WARM_UP; i++) KD_TRY(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    for (*runs = 0; *runs < MOST_RUNS && (*runs < 5 || kd__os_now() < end); ++*runs) {
        double start = kd__os_now();
        KD_TRY(kd_model_forward(model, batch, KD_MODE_EVALUATE));
        times[*runs] = kd__os_now() - start;
    }
    return KD_OK;
}

static kd_status zeros(kd_model *model, kd_batch *batch, int32_t batch_size, float **values)
{
    const int64_t dims[2] = { batch_size, model->net.input_size };
    kd_array array;
    KD_TRY(KD_NEW(model->object.context, values, dims[0] * dims[1]));
    kd__array_view(&array, *values, KD_FLOAT32, 2, dims);
    KD_TRY(kd_batch_begin(batch, batch_size));
    return kd_batch_borrow(batch, model->net.input, &array, NULL);
}

kd_status kd_model_measure_latency(kd_model *model, int32_t batch_size, double seconds,
                                   kd_latency *latency)
{
    kd_latency made = { .batch_size = batch_size };
    kd_batch *batch = NULL;
    float *values = NULL;
    double *times = NULL;
    int64_t runs;
    KD_NEED(model);
    KD_FAIL_IF(batch_size < 1, KD_ERR_RANGE, "batch_size: expected at least 1, got %d", batch_size);
    KD_FAIL_IF(!(seconds >= 0 && seconds <= 3600), KD_ERR_RANGE,
               "seconds: expected 0 to 3600, got %g", seconds);
    kd_context *context = model->object.context;
    kd_status status = kd_batch_create(&batch, context, NULL);
    if (status == KD_OK) status = zeros(model, batch, batch_size, &values);
    if (status == KD_OK) status = KD_NEW(context, &times, MOST_RUNS);
    if (status == KD_OK) status = time_passes(model, batch, seconds, times, &runs);
    if (status == KD_OK) summarize(times, runs, &made);
    kd_batch_free(batch);
    kd__release(context, values);
    kd__release(context, times);
    return status == KD_OK ? kd__info_write(latency, &made, sizeof made, "kd_latency") : status;
}
