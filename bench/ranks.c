/* What ranks of MPI attain, for bench/ranks.py: lines of JSON from rank 0.
 *   ranks train CONFIG TEXTS LENGTH STEPS THREADS FORM BUCKET_BYTES    FORM: plain, begun, told
 *   ranks exchange CONFIG REPEATS      all gradients to their owners and parameters back, alone
 *   ranks allreduce BYTES REPEATS      MPI_Allreduce of as many, in pieces of each size */
#include <kdistill/mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/exchange/exchange.h"

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            fprintf(stderr, "%s: %s\n", #call, kd_last_error());                                   \
            MPI_Abort(MPI_COMM_WORLD, 1);                                                          \
        }                                                                                          \
    } while (0)

enum { MOST = 1000 };
static int rank, ranks;

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Of times that begin when all are there and end when the last is. */
static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_size);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static double reduced(double value, MPI_Op op)
{
    double all;
    MPI_Allreduce(&value, &all, 1, MPI_DOUBLE, op, MPI_COMM_WORLD);
    return all;
}

typedef struct {
    kd_context *ctx;
    kd_model *student;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_exchange *exchange;
    kd_batch *batch;
} parts;

static void make(parts *p, const char *config, int threads, int64_t bucket_bytes)
{
    kd_context_options c = KD_CONTEXT_OPTIONS_INIT;
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    kd_exchange_options e = KD_EXCHANGE_OPTIONS_INIT;
    kd_transport transport;
    c.threads = threads;
    CHECK(kd_context_create(&p->ctx, &c));
    CHECK(kd_model_create(&p->student, p->ctx, config, NULL));
    CHECK(kd_loss_create(&p->loss, p->ctx, NULL));
    term.label_field = "tokens";
    term.align = KD_ALIGN_NEXT;
    CHECK(kd_loss_add(p->loss, KD_LOSS_CROSS_ENTROPY, 1, &term, NULL));
    CHECK(kd_optimizer_create(&p->optimizer, p->ctx, KD_OPTIMIZER_ADAMW, NULL));
    CHECK(kd_optimizer_add_model(p->optimizer, p->student));
    CHECK(kd_transport_from_mpi(&transport, MPI_COMM_WORLD));
    e.bucket_bytes = bucket_bytes;
    CHECK(kd_exchange_create(&p->exchange, p->ctx, &transport, &e));
    CHECK(kd_exchange_add_optimizer(p->exchange, p->optimizer));
    CHECK(kd_batch_create(&p->batch, p->ctx, NULL));
}

static void end(parts *p)
{
    kd_batch_free(p->batch);
    kd_exchange_free(p->exchange);
    kd_optimizer_free(p->optimizer);
    kd_loss_free(p->loss);
    kd_model_free(p->student);
    kd_context_free(p->ctx);
}

static int64_t parameters_of(const parts *p)
{
    kd_array values;
    CHECK(kd_model_parameters(p->student, &values));
    return kd_array_count(&values);
}

/* ---- steps ---- */

static void fill(const parts *p, const char *config, int texts, int length, int step)
{
    const char *at = strstr(config, "\"vocab_size\"");
    const int vocabulary = at ? atoi(strchr(at, ':') + 1) : 2;
    int64_t *tokens = malloc((size_t)(texts * length) * sizeof *tokens),
            *offsets = malloc((size_t)(texts + 1) * sizeof *offsets);
    uint64_t draw = (uint64_t)(step * 64 + rank + 1) * 0x9e3779b97f4a7c15u;
    for (int i = 0; i <= texts; i++) offsets[i] = (int64_t)i * length;
    for (int i = 0; i < texts * length; i++) {
        draw = draw * 6364136223846793005u + 1442695040888963407u;
        tokens[i] = (int64_t)((draw >> 33) % (uint64_t)vocabulary);
    }
    const kd_array o = KD_ARRAY_1D(offsets, KD_INT64, texts + 1),
                   t = KD_ARRAY_1D(tokens, KD_INT64, texts * length);
    CHECK(kd_batch_begin_packed(p->batch, &o));
    CHECK(kd_batch_set(p->batch, "tokens", &t, NULL));
    free(tokens);
    free(offsets);
}

/* Seconds of a step, and, in *last, of kd_exchange_step: of the rank that came to it last, which
 * waits for nobody's computing. */
static double step(const parts *p, const char *form, double *last)
{
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result result = { .struct_size = sizeof result };
    MPI_Barrier(MPI_COMM_WORLD);
    const double from = MPI_Wtime();
    CHECK(kd_loss_count(p->loss, p->batch, NULL, &counts));
    if (!strcmp(form, "told")) CHECK(kd_exchange_set_learning_rate(p->exchange, 1e-4));
    CHECK(kd_exchange_sum_counts(p->exchange, p->batch, &counts, NULL));
    if (strcmp(form, "plain") != 0) CHECK(kd_exchange_begin(p->exchange));
    CHECK(kd_model_forward(p->student, p->batch, KD_MODE_TRAIN));
    CHECK(kd_loss_backward(p->loss, p->student, p->batch, NULL, &counts, &result));
    const double before = MPI_Wtime();
    CHECK(kd_exchange_step(p->exchange, 1e-4));
    const double now = MPI_Wtime();
    *last = reduced(now - before, MPI_MIN);
    return reduced(now - from, MPI_MAX);
}

static void train(char **a)
{
    const int texts = atoi(a[1]), length = atoi(a[2]), steps = atoi(a[3]) + 1;
    double seconds[MOST], last[MOST];
    parts p;
    make(&p, a[0], atoi(a[4]), atoll(a[6]));
    for (int i = 0; i < steps && i < MOST; i++) {
        fill(&p, a[0], texts, length, i);
        seconds[i] = step(&p, a[5], &last[i]);
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    kd_context_info info = { .struct_size = sizeof info };
    kd_exchange_info traffic = { .struct_size = sizeof traffic };
    CHECK(kd_context_get_info(p.ctx, &info));
    CHECK(kd_exchange_get_info(p.exchange, &traffic));
    const double median_step = median(seconds + 1, steps - 1); /* the first takes memory */
    if (!rank)
        printf("RESULT {\"speed\":%.3f,\"step\":%.6f,\"last\":%.6f,\"parameters\":%lld,"
               "\"early\":%.4f,\"waited\":%.6f,\"in_exchange\":%.6f,\"peak\":%lld,"
               "\"resident\":%lld,\"sent\":%.0f}\n",
               (double)ranks * texts * length / median_step, median_step,
               median(last + 1, steps - 1), (long long)parameters_of(&p),
               (double)traffic.early_bytes / (double)(traffic.sent_bytes + !traffic.sent_bytes),
               traffic.waited_seconds / steps, traffic.seconds / steps, (long long)info.peak_bytes,
               (long long)used.ru_maxrss * 1024, (double)traffic.sent_bytes / steps);
    end(&p);
}

/* ---- the exchange alone ---- */

static double travel_once(kd_exchange *x)
{
    MPI_Barrier(MPI_COMM_WORLD);
    const double from = MPI_Wtime();
    kd__exchange_rewind(x);
    CHECK(kd__exchange_move(x, 1));
    CHECK(kd__exchange_share(x, KD__BACK_VALUES, -1));
    return reduced(MPI_Wtime() - from, MPI_MAX);
}

static void exchange(char **a)
{
    static const int64_t sizes[] = { 1 << 18, 1 << 20, 4 << 20, 16 << 20 };
    const int repeats = atoi(a[1]);
    double seconds[MOST];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        parts p;
        make(&p, a[0], 1, sizes[i]);
        kd__exchange_place(p.exchange, 1);
        travel_once(p.exchange);
        for (int n = 0; n < repeats && n < MOST; n++) seconds[n] = travel_once(p.exchange);
        if (!rank)
            printf("RESULT {\"bucket\":%lld,\"bytes\":%lld,\"seconds\":%.6f}\n",
                   (long long)sizes[i], 4 * (long long)parameters_of(&p), median(seconds, repeats));
        end(&p);
    }
}

static double reduce_once(float *values, int64_t count, int64_t piece)
{
    MPI_Barrier(MPI_COMM_WORLD);
    const double from = MPI_Wtime();
    for (int64_t i = 0; i < count; i += piece)
        MPI_Allreduce(MPI_IN_PLACE, values + i, (int)(i + piece < count ? piece : count - i),
                      MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    return reduced(MPI_Wtime() - from, MPI_MAX);
}

static void allreduce(char **a)
{
    static const int64_t sizes[] = { 1 << 16, 1 << 18, 1 << 20, 4 << 20, 16 << 20, 1 << 30 };
    const int64_t count = atoll(a[0]) / 4;
    const int repeats = atoi(a[1]);
    double seconds[MOST];
    float *values = malloc((size_t)count * sizeof *values);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(values, 0, (size_t)count * sizeof *values);
        reduce_once(values, count, sizes[i] / 4);
        for (int n = 0; n < repeats && n < MOST; n++)
            seconds[n] = reduce_once(values, count, sizes[i] / 4);
        if (!rank)
            printf("RESULT {\"bucket\":%lld,\"bytes\":%lld,\"seconds\":%.6f}\n",
                   (long long)sizes[i], 4 * (long long)count, median(seconds, repeats));
    }
    free(values);
}

int main(int count, char **a)
{
    int provided;
    MPI_Init_thread(&count, &a, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (count == 9 && !strcmp(a[1], "train")) train(a + 2);
    else if (count == 4 && !strcmp(a[1], "exchange")) exchange(a + 2);
    else if (count == 4 && !strcmp(a[1], "allreduce")) allreduce(a + 2);
    else fprintf(stderr, "expected train, exchange or allreduce, as bench/ranks.c says\n");
    return MPI_Finalize();
}
