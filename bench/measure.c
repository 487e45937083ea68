/* One piece of work, timed again and again: a line of seconds each, for bench/run.py.
 *   measure ROWS sgd|adam|forward|products|kl|kl-near|stream REPEATS [threads] */
#include <kdistill.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            fprintf(stderr, "%s: %s\n", #call, kd_last_error());                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *numbers(size_t count, int levels)
{
    float *values = aligned_alloc(64, (count * sizeof *values + 63) / 64 * 64);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)((double)(i * 2654435761u % 1000003u % (unsigned)levels) / levels - 0.3);
    return values;
}

/* Nearly normal: sums of twelve, deviation 1 about 0. */
static float *normal(size_t count, uint64_t seed)
{
    float *values = numbers(count, 2);
    for (size_t i = 0; i < count; i++) {
        float sum = -6;
        for (int k = 0; k < 12; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            sum += (float)(seed >> 40) * 0x1p-24f;
        }
        values[i] = sum;
    }
    return values;
}

typedef struct {
    kd_context *ctx;
    kd_batch *batch;
    kd_targets *targets;
    kd_model *model;
    kd_loss *loss;
    kd_optimizer *optimizer;
    int64_t rows;
} bench;

static void step(bench *b)
{
    CHECK(kd_model_forward(b->model, b->batch, KD_MODE_TRAIN));
    CHECK(kd_loss_backward(b->loss, b->model, b->batch, b->targets, NULL, NULL));
    CHECK(kd_optimizer_step(b->optimizer, 1e-4));
}

static void forward(bench *b) { CHECK(kd_model_forward(b->model, b->batch, KD_MODE_EVALUATE)); }

/* The products of a step alone: forward, weight gradients, input gradients but the first. */
static void products(bench *b)
{
    static float *w, *g, *x, *y;
    const int64_t sizes[] = { 784, 800, 800, 10 }, r = b->rows;
    if (!w)
        w = numbers(800 * 800, 7), g = numbers(800 * 800, 7), x = numbers((size_t)r * 800, 9),
        y = numbers((size_t)r * 800, 11);
    for (int i = 0; i < 3; i++)
        CHECK(kd_context_matmul(b->ctx, 0, 1, r, sizes[i + 1], sizes[i], 1, x, sizes[i], w,
                                sizes[i], 0, y, sizes[i + 1]));
    for (int i = 2; i >= 0; i--) {
        CHECK(kd_context_matmul(b->ctx, 1, 0, sizes[i + 1], sizes[i], r, 1, y, sizes[i + 1], x,
                                sizes[i], 0, g, sizes[i]));
        if (i)
            CHECK(kd_context_matmul(b->ctx, 0, 0, r, sizes[i], sizes[i + 1], 1, y, sizes[i + 1], w,
                                    sizes[i], 0, x, sizes[i]));
    }
}

static void set_up_mlp(bench *b, const char *kind)
{
    int teacher = !strcmp(kind, "forward");
    int64_t *labels = calloc((size_t)b->rows, sizeof *labels);
    kd_array x = KD_ARRAY_2D(numbers((size_t)b->rows * 784, 9), KD_FLOAT32, b->rows, 784);
    kd_array v = KD_ARRAY_2D(numbers((size_t)b->rows * 10, 31), KD_FLOAT32, b->rows, 10),
             y = KD_ARRAY_1D(labels, KD_INT64, b->rows);
    CHECK(kd_batch_borrow(b->batch, "inputs", &x, NULL));
    CHECK(kd_batch_borrow(b->batch, "label", &y, NULL));
    CHECK(kd_targets_borrow(b->targets, "logits", &v, NULL));
    CHECK(kd_model_create(&b->model, b->ctx,
                          teacher ? "{\"model_type\":\"mlp\",\"input_size\":784,\"hidden_sizes\":["
                                    "1200,1200],\"num_labels\":10}"
                                  : "{\"model_type\":\"mlp\",\"input_size\":784,\"hidden_sizes\":["
                                    "800,800],\"num_labels\":10}",
                          NULL));
    kd_term_options to = KD_TERM_OPTIONS_INIT;
    to.temperature = 4;
    CHECK(kd_loss_add(b->loss, KD_LOSS_FORWARD_KL, 0.9, &to, NULL));
    CHECK(kd_loss_add(b->loss, KD_LOSS_CROSS_ENTROPY, 0.1, NULL, NULL));
    CHECK(kd_optimizer_create(&b->optimizer, b->ctx,
                              strcmp(kind, "adam") ? KD_OPTIMIZER_SGD : KD_OPTIMIZER_ADAM, NULL));
    CHECK(kd_optimizer_add_model(b->optimizer, b->model));
}

/* KL from dense logits, T = 2, value and gradient. */
enum { VOCABULARY = 49152 };
static kd_array kl_z, kl_dz;

/* Logits of deviation 1; near: the student's are a fifth of that from the teacher's. */
static void set_up_kl(bench *b, int near)
{
    const int64_t dims[2] = { b->rows, VOCABULARY };
    const size_t count = (size_t)b->rows * VOCABULARY;
    float *z = normal(count, 1), *teacher = normal(count, 2);
    kd_array v;
    kd_term_options to = KD_TERM_OPTIONS_INIT;
    to.temperature = 2;
    for (size_t i = 0; near && i < count; i++) z[i] = teacher[i] + 0.2f * z[i];
    CHECK(kd_loss_add(b->loss, KD_LOSS_FORWARD_KL, 1, &to, NULL));
    CHECK(kd_array_init(&kl_z, z, KD_FLOAT32, 2, dims));
    CHECK(kd_array_init(&kl_dz, numbers(count, 3), KD_FLOAT32, 2, dims));
    CHECK(kd_array_init(&v, teacher, KD_FLOAT32, 2, dims));
    CHECK(kd_targets_borrow(b->targets, "logits", &v, NULL));
}

static void kl(bench *b)
{
    kd_loss_output output = { sizeof output, 0, NULL, &kl_z, &kl_dz, NULL };
    CHECK(kd_loss_evaluate(b->loss, &output, 1, b->batch, b->targets, NULL, NULL));
}

/* What memory allows: two arrays read, one written. */
static void stream(bench *b)
{
    const float *z = kl_z.data;
    float *dz = kl_dz.data;
    size_t count = (size_t)b->rows * VOCABULARY;
    static float *v;
    if (!v) v = numbers(count, 991);
    for (size_t i = 0; i < count; i++) dz[i] = z[i] + v[i];
}

int main(int argc, char **argv)
{
    if (argc < 4) return 2;
    bench b = { .rows = atoi(argv[1]) };
    const char *kind = argv[2];
    int repeats = atoi(argv[3]), logits = !strncmp(kind, "kl", 2) || !strcmp(kind, "stream");
    kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
    co.threads = argc > 4 ? atoi(argv[4]) : 2;
    if (getenv("KD_GEMM")) co.gemm = atoi(getenv("KD_GEMM"));
    CHECK(kd_context_create(&b.ctx, &co));
    CHECK(kd_context_set_blas_threads(b.ctx, 1));
    CHECK(kd_batch_create(&b.batch, b.ctx, NULL));
    CHECK(kd_batch_begin(b.batch, b.rows));
    CHECK(kd_targets_create(&b.targets, b.ctx, NULL));
    CHECK(kd_targets_begin(b.targets, b.rows));
    CHECK(kd_loss_create(&b.loss, b.ctx, NULL));
    if (logits) set_up_kl(&b, !strcmp(kind, "kl-near"));
    else set_up_mlp(&b, kind);
    void (*work)(bench *) = !strcmp(kind, "forward")    ? forward
                            : !strcmp(kind, "products") ? products
                            : !strcmp(kind, "stream")   ? stream
                            : logits                    ? kl
                                                        : step;
    for (int i = 0; i < 5; i++) work(&b);
    for (int i = 0; i < repeats; i++) {
        double start = now();
        work(&b);
        printf("%.9f\n", now() - start);
    }
    return 0;
}
