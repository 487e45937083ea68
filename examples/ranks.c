/* Several processes train one student over MPI: examples/loop.c with an exchange.
 *
 *   mpirun -n 4 build/examples/ranks [FOLDER]
 *
 * The batch of all ranks together has 96 samples, however many they are: so the losses are the same
 * to rounding. With a folder the run goes on where it was killed, on as many ranks or others. */
#include "check.h"

#include <kdistill/mpi.h>
#include <math.h>

enum { SAMPLES = 4000, DIMS = 8, CLASSES = 4, BATCH = 96, EPOCHS = 8 };

static float points[SAMPLES][DIMS], scores[SAMPLES][CLASSES];
static int64_t labels[SAMPLES];

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* The same on every rank; a loader takes a rank's samples out of it. */
static void make_task(void)
{
    uint64_t state = 1;
    float directions[CLASSES][DIMS];
    for (int c = 0; c < CLASSES; c++)
        for (int d = 0; d < DIMS; d++) directions[c][d] = (float)(2 * uniform(&state) - 1);
    for (int i = 0; i < SAMPLES; i++) {
        int best = 0;
        for (int d = 0; d < DIMS; d++) points[i][d] = (float)(2 * uniform(&state) - 1);
        for (int c = 0; c < CLASSES; c++) {
            scores[i][c] = 0;
            for (int d = 0; d < DIMS; d++) scores[i][c] += 4 * directions[c][d] * points[i][d];
            if (scores[i][c] > scores[i][best]) best = c;
        }
        labels[i] = uniform(&state) < 0.1 ? (int64_t)(uniform(&state) * CLASSES) : best;
    }
}

typedef struct {
    kd_context *ctx;
    kd_dataset *data;
    kd_loader *loader;
    kd_batch *batch;
    kd_teacher *teacher;
    kd_targets *targets;
    kd_model *student;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_exchange *exchange;
    kd_checkpoint *checkpoint;
    int64_t step;
} run;

static void make_run(run *r, const kd_transport *transport)
{
    kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
    kd_loader_options lo = KD_LOADER_OPTIONS_INIT;
    kd_optimizer_options oo = KD_OPTIMIZER_OPTIONS_INIT;
    const kd_array x = KD_ARRAY_2D(points, KD_FLOAT32, SAMPLES, DIMS),
                   y = KD_ARRAY_1D(labels, KD_INT64, SAMPLES),
                   v = KD_ARRAY_2D(scores, KD_FLOAT32, SAMPLES, CLASSES);
    co.threads = 1;
    co.seed = 1;
    CHECK(kd_context_create(&r->ctx, &co));
    CHECK(kd_dataset_create(&r->data, r->ctx, NULL));
    CHECK(kd_dataset_borrow(r->data, "inputs", &x, NULL));
    CHECK(kd_dataset_borrow(r->data, "label", &y, NULL));
    lo.rank = transport->rank;
    lo.ranks = transport->ranks;
    lo.uneven = 1; /* in the last round a rank may get an empty batch */
    lo.batch_size = BATCH / transport->ranks;
    lo.epochs = EPOCHS;
    CHECK(kd_loader_create(&r->loader, r->data, &lo));
    CHECK(kd_batch_create(&r->batch, r->ctx, NULL));
    CHECK(kd_teacher_create(&r->teacher, r->ctx, NULL, NULL));
    CHECK(kd_teacher_borrow(r->teacher, "logits", &v));
    CHECK(kd_targets_create(&r->targets, r->ctx, NULL));
    CHECK(kd_model_create(&r->student, r->ctx,
                          "{\"model_type\": \"mlp\", \"input_size\": 8, "
                          "\"hidden_sizes\": [32], \"num_labels\": 4}",
                          NULL));
    CHECK(kd_loss_create(&r->loss, r->ctx, NULL));
    CHECK(kd_loss_add(r->loss, KD_LOSS_FORWARD_KL, 0.9, NULL, NULL));
    CHECK(kd_loss_add(r->loss, KD_LOSS_CROSS_ENTROPY, 0.1, NULL, NULL));
    oo.clip_norm = 1;
    CHECK(kd_optimizer_create(&r->optimizer, r->ctx, KD_OPTIMIZER_ADAMW, &oo));
    CHECK(kd_optimizer_add_model(r->optimizer, r->student));
    CHECK(kd_exchange_create(&r->exchange, r->ctx, transport, NULL));
    CHECK(kd_exchange_add_optimizer(r->exchange, r->optimizer));
    CHECK(kd_checkpoint_create(&r->checkpoint, r->ctx, NULL));
    CHECK(kd_checkpoint_add_model(r->checkpoint, "student", r->student));
    CHECK(kd_checkpoint_add_exchange(r->checkpoint, "optimizer", r->exchange));
    CHECK(kd_checkpoint_add_loader(r->checkpoint, "loader", r->loader));
    CHECK(kd_checkpoint_borrow_bytes(r->checkpoint, "step", &r->step, sizeof r->step));
}

/* A step of all ranks; the loss is the whole batch's. */
static double take_step(run *r)
{
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result result = { .struct_size = sizeof result };
    CHECK(kd_teacher_read(r->teacher, r->batch, r->targets));
    CHECK(kd_loss_count(r->loss, r->batch, r->targets, &counts));
    CHECK(kd_exchange_set_learning_rate(r->exchange, 1e-2)); /* parameters come back early */
    CHECK(kd_exchange_sum_counts(r->exchange, r->batch, &counts, NULL));
    CHECK(kd_exchange_begin(r->exchange));
    CHECK(kd_model_forward(r->student, r->batch, KD_MODE_TRAIN));
    CHECK(kd_loss_backward(r->loss, r->student, r->batch, r->targets, &counts, &result));
    CHECK(kd_exchange_step(r->exchange, 1e-2));
    CHECK(kd_exchange_sum(r->exchange, &result.value, 1));
    return result.value;
}

static void train(run *r, int rank, const char *folder)
{
    kd_status status;
    while ((status = kd_loader_next(r->loader, r->batch)) == KD_OK) {
        const double loss = take_step(r);
        if (++r->step % 80) continue;
        if (!rank) printf("step %3lld  loss %.4f\n", (long long)r->step, loss);
        if (folder) CHECK(kd_checkpoint_save(r->checkpoint, folder));
    }
    CHECK(status == KD_END ? KD_OK : status);
}

static uint64_t bits_of(run *r)
{
    kd_array values;
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    CHECK(kd_model_parameters(r->student, &values));
    for (int64_t i = 0; i < 4 * kd_array_count(&values); i++)
        hash = (hash ^ ((const unsigned char *)values.data)[i]) * 1099511628211u;
    return hash;
}

static void free_run(run *r)
{
    kd_checkpoint_free(r->checkpoint);
    kd_exchange_free(r->exchange);
    kd_optimizer_free(r->optimizer);
    kd_loss_free(r->loss);
    kd_model_free(r->student);
    kd_targets_free(r->targets);
    kd_teacher_free(r->teacher);
    kd_batch_free(r->batch);
    kd_loader_free(r->loader);
    kd_dataset_free(r->data);
    kd_context_free(r->ctx);
}

int main(int argc, char **argv)
{
    run r = { 0 };
    kd_transport transport;
    int provided;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    CHECK(kd_transport_from_mpi(&transport, MPI_COMM_WORLD));
    make_task();
    make_run(&r, &transport);
    if (argc > 1) {
        const kd_status found = kd_checkpoint_load(r.checkpoint, argv[1]);
        if (found != KD_ERR_NOT_FOUND) CHECK(found);
    }
    train(&r, transport.rank, argc > 1 ? argv[1] : NULL);
    CHECK(kd_exchange_compare(r.exchange)); /* parameters are the same bits on all ranks */
    if (!transport.rank)
        printf("%d ranks, parameters %016llx\n", transport.ranks, (unsigned long long)bits_of(&r));
    free_run(&r);
    MPI_Finalize();
    return 0;
}
