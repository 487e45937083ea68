/* Progress on the terminal, measuring, and the comparison as a table. */
#define _POSIX_C_SOURCE 200809L
#include "demo.h"

#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void demo_open(demo *d)
{
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context_info info = { .struct_size = sizeof info };
    o.seed = 1;
    CHECK(kd_context_create(&d->ctx, &o));
    /* products are cut by the library and run on its own threads */
    CHECK(kd_context_set_blas_threads(d->ctx, 1));
    CHECK(kd_context_get_info(d->ctx, &info));
    d->terminal = isatty(1);
    d->began = seconds();
    printf("%s\nthreads %d, products by %s, BLAS kernels %s%s%s\n", kd_build_info(), info.threads,
           info.gemm == KD_GEMM_OWN ? "the library" : "BLAS", info.blas_kernels,
           info.blas_is_slow ? ", made for an older processor: " : "", info.blas_remedy);
}

void demo_close(demo *d)
{
    for (int i = 0; i < d->row_count; i++) free(d->rows[i].rights);
    free(d->teacher_logits);
    kd_teacher_free(d->outputs);
    kd_model_free(d->teacher);
    kd_dataset *const data[] = { d->all, d->labeled, d->unlabeled, d->validation, d->test };
    for (int i = 0; i < 5; i++) kd_dataset_free(data[i]);
    kd_context_free(d->ctx);
}

/* ---- progress: a line that is written over on a terminal, nothing but finished lines elsewhere
 * ---- */

void progress_begin(demo *d, const char *stage, int64_t total)
{
    d->stage = stage;
    d->total = total;
    d->started = d->shown = seconds();
}

void progress_show(demo *d, int64_t done)
{
    double now = seconds(), rate = (double)done / (now - d->started);
    if (!d->terminal || now - d->shown < 0.2) return;
    d->shown = now;
    printf("\r%-12s %4lld / %lld steps  %.0f samples/s  %.0f s left ", d->stage, (long long)done,
           (long long)d->total, 128 * rate, (double)(d->total - done) / rate);
    fflush(stdout);
}

void progress_end(demo *d, double accuracy)
{
    double took = seconds() - d->started;
    printf("%s%-12s %lld steps in %.1f s, %.0f samples/s, best validation accuracy %.4f%s\n",
           d->terminal ? "\r" : "", d->stage, (long long)d->total, took,
           128 * (double)d->total / took, accuracy, d->terminal ? "        " : "");
    fflush(stdout);
}

void curve_add(curve *c, int64_t step, double accuracy, double rate, double temperature,
               double loss)
{
    if (c->count == POINTS) return;
    c->step[c->count] = (double)step;
    c->accuracy[c->count] = accuracy;
    c->rate[c->count] = rate;
    c->temperature[c->count] = temperature;
    c->loss[c->count++] = loss;
}

/* ---- measuring ---- */

static double get(kd_metrics *m, int32_t kind, kd_metric *whole)
{
    whole->struct_size = sizeof *whole;
    CHECK(kd_metrics_get(m, kind, whole));
    return whole->value;
}

static void mark_right(const float *logits, const kd_array *labels, int64_t samples, int32_t *right)
{
    for (int64_t i = 0; i < samples; i++) {
        const float *z = logits + 10 * i;
        int best = 0;
        for (int k = 1; k < 10; k++) best = z[k] > z[best] ? k : best;
        right[i] = best == ((const uint8_t *)labels->data)[i];
    }
}

figures evaluate(demo *d, kd_model *model, kd_dataset *data, const float *teacher_logits,
                 int32_t *right)
{
    figures f = { .agreement = NAN, .where_wrong = NAN };
    kd_metrics *m;
    kd_metric one;
    kd_array labels;
    int64_t samples;
    CHECK(kd_dataset_sample_count(data, &samples));
    float *logits = malloc((size_t)samples * 10 * sizeof *logits);
    if (!logits) exit(1);
    kd_array z = KD_ARRAY_2D(logits, KD_FLOAT32, samples, 10),
             v = KD_ARRAY_2D(teacher_logits, KD_FLOAT32, samples, 10);
    CHECK(kd_model_predict(model, data, "logits", 500, &z));
    CHECK(kd_dataset_field(data, "label", &labels, NULL));
    CHECK(kd_metrics_create(&m, d->ctx, 10, NULL));
    CHECK(kd_metrics_add(m, &z, &labels, teacher_logits ? &v : NULL));
    f.accuracy = get(m, KD_METRIC_ACCURACY, &one);
    f.ece = get(m, KD_METRIC_ECE, &one);
    f.nll = get(m, KD_METRIC_NLL, &one);
    f.f1 = get(m, KD_METRIC_MACRO_F1, &one);
    if (teacher_logits) {
        f.agreement = get(m, KD_METRIC_AGREEMENT, &one);
        f.where_wrong = get(m, KD_METRIC_ACCURACY_WHERE_TEACHER_WRONG, &one);
    }
    if (right) mark_right(logits, &labels, samples, right);
    kd_metrics_free(m);
    free(logits);
    return f;
}

/* The same images with "inputs" and an int64 "label" alone, so that parts with other label types
 * join. */
kd_dataset *with_labels(demo *d, kd_dataset *data)
{
    kd_dataset *made;
    kd_array inputs, labels;
    kd_field_options o = KD_FIELD_OPTIONS_INIT;
    CHECK(kd_dataset_field(data, "inputs", &inputs, NULL));
    CHECK(kd_dataset_field(data, "label", &labels, NULL));
    int64_t *numbers = malloc((size_t)labels.dims[0] * sizeof *numbers);
    if (!numbers) exit(1);
    for (int64_t i = 0; i < labels.dims[0]; i++)
        numbers[i] = labels.dtype == KD_UINT8 ? ((const uint8_t *)labels.data)[i]
                                              : ((const int64_t *)labels.data)[i];
    kd_array y = KD_ARRAY_1D(numbers, KD_INT64, labels.dims[0]);
    o.scale = 1.0 / 255;
    CHECK(kd_dataset_create(&made, d->ctx, NULL));
    CHECK(kd_dataset_add(made, "inputs", &inputs, &o));
    CHECK(kd_dataset_add(made, "label", &y, NULL));
    free(numbers);
    return made;
}

static void measure_size_and_speed(row *r, kd_model *model)
{
    kd_array parameters;
    r->single.struct_size = r->many.struct_size = sizeof r->single;
    CHECK(kd_model_parameters(model, &parameters));
    r->parameters = parameters.dims[0];
    r->bytes = 4 * r->parameters;
    CHECK(kd_model_measure_latency(model, 1, 0.5, &r->single));
    CHECK(kd_model_measure_latency(model, 256, 0.5, &r->many));
}

/* Means over seeds, and what the comparison says about accuracy. */
static void summarize(const demo *d, row *r, int seeds)
{
    for (size_t f = 0; f < sizeof(figures) / sizeof(double); f++) {
        double values[MAX_SEEDS];
        for (int s = 0; s < seeds; s++) values[s] = ((const double *)&r->runs[s])[f];
        CHECK(kd_metrics_mean(values, seeds, (double *)&r->mean + f, NULL));
    }
    r->accuracy.struct_size = r->against_hard.struct_size = sizeof r->accuracy;
    CHECK(kd_compare_runs(d->ctx, NULL, r->rights, seeds, TEST, 1, &r->accuracy));
    const row *hard = &d->rows[1];
    if (r > hard)
        CHECK(kd_compare_runs(d->ctx, hard->rights, r->rights, seeds, TEST, 1, &r->against_hard));
}

static int32_t *room_for_rights(int seeds)
{
    int32_t *rights = calloc((size_t)seeds * TEST, sizeof *rights);
    if (!rights) exit(1);
    return rights;
}

static void run_teacher(demo *d)
{
    row *r = &d->rows[0];
    r->a = (arm){
        "teacher",    "two hidden layers of 1200, dropout, all labels", NULL, d->all, 0, 1, 1, 1e-3,
        TEACHER_STEPS
    };
    r->rights = room_for_rights(1);
    r->runs[0] = evaluate(d, d->teacher, d->test, d->teacher_logits, r->rights);
    r->curves[0] = d->teacher_curve;
    summarize(d, r, 1);
    measure_size_and_speed(r, d->teacher);
}

static void run_arm(demo *d, const arm *a, row *r)
{
    r->a = *a;
    r->rights = room_for_rights(d->seeds);
    for (int s = 0; s < d->seeds; s++) {
        kd_model *student = train(d, a, 100 + (uint64_t)s, &r->curves[s]);
        r->runs[s] =
            evaluate(d, student, d->test, d->teacher_logits, r->rights + (int64_t)s * TEST);
        if (s == d->seeds - 1) measure_size_and_speed(r, student);
        kd_model_free(student);
    }
    summarize(d, r, d->seeds);
}

void run_arms(demo *d, const arm *arms, int count)
{
    run_teacher(d);
    for (int i = 0; i < count; i++) run_arm(d, &arms[i], &d->rows[i + 1]);
    d->row_count = count + 1;
}

/* ---- the table ---- */

/* A seed more or less can turn what is not larger than its error. */
static void show_differences(const demo *d)
{
    for (int i = 2; i < d->row_count; i++) {
        const kd_difference *of = &d->rows[i].against_hard;
        printf("%-11s against hard: %+.2f points", d->rows[i].a.name, 100 * of->difference);
        if (d->seeds > 1)
            printf(", 95 %% %+.2f to %+.2f, p %.2g: %s\n", 100 * of->low, 100 * of->high,
                   of->p_value,
                   of->p_value >= 0.05  ? "no clear difference"
                   : of->difference > 0 ? "helps"
                                        : "harms");
        else
            printf(" (standard error %.2f over images only, one training run)\n",
                   100 * of->standard_error);
    }
}

void show_table(const demo *d)
{
    const row *t = &d->rows[0];
    printf("\npseudo-labels: %lld images came, %lld below the threshold, %lld over the balance, "
           "%lld kept\n",
           (long long)d->pseudo.seen, (long long)d->pseudo.below_threshold,
           (long long)d->pseudo.over_balance, (long long)d->pseudo.kept);
    printf("\n%-11s %17s %9s %7s %7s %10s %9s %10s %12s\n", "", "accuracy +- SE", "agreement",
           "ECE", "NLL", "parameters", "bytes", "latency us", "samples/s");
    for (int i = 0; i < d->row_count; i++) {
        const row *r = &d->rows[i];
        printf("%-11s %8.2f +- %.2f %% %9.4f %7.4f %7.4f %10lld %9lld %10.1f %12.0f\n", r->a.name,
               100 * r->mean.accuracy, 100 * r->accuracy.standard_error, r->mean.agreement,
               r->mean.ece, r->mean.nll, (long long)r->parameters, (long long)r->bytes,
               1e6 * r->single.p50, r->many.samples_per_second);
        printf("%-11s %15.3f x  %9.3f %6.2fx %6.2fx %9.4fx %8.4fx %9.3fx %11.2fx\n",
               i ? "  / teacher" : "", r->mean.accuracy / t->mean.accuracy,
               r->mean.agreement / t->mean.agreement, r->mean.ece / t->mean.ece,
               r->mean.nll / t->mean.nll, (double)r->parameters / (double)t->parameters,
               (double)r->bytes / (double)t->bytes, r->single.p50 / t->single.p50,
               r->many.samples_per_second / t->many.samples_per_second);
    }
    printf(
        "\n%d seeds a student, %d test images, %d true labels but in the last row; SE over %s.\n",
        d->seeds, TEST, LABELED,
        d->seeds > 1 ? "seeds and images (the teacher's over images)"
                     : "images only, one training run");
    show_differences(d);
    printf("whole run %.0f s\n", seconds() - d->began);
}
