/* Prints what some training runs end with, a line for each instruction set and network: two builds
 * of the library agree when their lines do. Own products, so that no BLAS matters. */
#include "../../examples/check.h"

enum { ROWS = 96, INPUTS = 64, CLASSES = 10, STEPS = 30 };
static float points[ROWS][INPUTS], scores[ROWS][CLASSES], said[ROWS][CLASSES];
static int64_t labels[ROWS];

static const char *const networks[] = {
    "{\"model_type\": \"mlp\", \"input_size\": 64, \"hidden_sizes\": [48, 33], \"num_labels\": 10}",
    "{\"model_type\": \"mlp\", \"input_size\": 64, \"hidden_sizes\": [40], \"num_labels\": 10, "
    "\"hidden_act\": \"tanh\"}",
};
static const int32_t kinds[] = { KD_LOSS_FORWARD_KL, KD_LOSS_REVERSE_KL, KD_LOSS_JSD };

static uint32_t hash_of(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ at[i]) * 16777619u;
    return hash;
}

static float next(void)
{
    static uint32_t state = 7;
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 16777216.0f - 0.5f;
}

static void make_data(void)
{
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < INPUTS; k++) points[i][k] = next();
        for (int c = 0; c < CLASSES; c++)
            scores[i][c] = 4 * points[i][c] + 2 * points[i][c + 1] * points[i][c + 2];
        labels[i] = i % CLASSES;
    }
}

static void train(kd_context *ctx, const char *network)
{
    kd_dataset *data;
    kd_loader *loader;
    kd_batch *batch;
    kd_teacher *teacher;
    kd_targets *targets;
    kd_model *student;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_array x = KD_ARRAY_2D(points, KD_FLOAT32, ROWS, INPUTS),
             v = KD_ARRAY_2D(scores, KD_FLOAT32, ROWS, CLASSES),
             y = KD_ARRAY_1D(labels, KD_INT64, ROWS),
             z = KD_ARRAY_2D(said, KD_FLOAT32, ROWS, CLASSES);
    kd_loader_options lo = KD_LOADER_OPTIONS_INIT;
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result result = { .struct_size = sizeof result };
    lo.batch_size = 37; /* no multiple of a vector */
    lo.epochs = STEPS;
    CHECK(kd_dataset_create(&data, ctx, NULL));
    CHECK(kd_dataset_borrow(data, "inputs", &x, NULL));
    CHECK(kd_dataset_borrow(data, "label", &y, NULL));
    CHECK(kd_loader_create(&loader, data, &lo));
    CHECK(kd_batch_create(&batch, ctx, NULL));
    CHECK(kd_teacher_create(&teacher, ctx, NULL, NULL));
    CHECK(kd_teacher_borrow(teacher, "logits", &v));
    CHECK(kd_targets_create(&targets, ctx, NULL));
    CHECK(kd_model_create(&student, ctx, network, NULL));
    CHECK(kd_loss_create(&loss, ctx, NULL));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        CHECK(kd_loss_add(loss, kinds[i], 0.3, NULL, NULL));
    CHECK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 0.1, NULL, NULL));
    CHECK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    CHECK(kd_optimizer_add_model(optimizer, student));
    while (kd_loader_next(loader, batch) == KD_OK) {
        CHECK(kd_teacher_read(teacher, batch, targets));
        CHECK(kd_loss_count(loss, batch, targets, &counts));
        CHECK(kd_model_forward(student, batch, KD_MODE_TRAIN));
        CHECK(kd_loss_backward(loss, student, batch, targets, &counts, &result));
        CHECK(kd_optimizer_step(optimizer, 1e-2));
    }
    CHECK(kd_model_predict(student, data, "logits", 50, &z));
    printf(" %08x %.17g", hash_of(said, sizeof said), result.value);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_model_free(student);
    kd_targets_free(targets);
    kd_teacher_free(teacher);
    kd_batch_free(batch);
    kd_loader_free(loader);
    kd_dataset_free(data);
}

int main(void)
{
    make_data();
    for (int32_t isa = KD_ISA_PORTABLE; isa <= KD_ISA_AVX512; isa++) {
        kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
        kd_context *ctx;
        o.isa = isa;
        o.gemm = KD_GEMM_OWN;
        if (kd_context_create(&ctx, &o) != KD_OK) continue; /* not on this processor */
        for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
            printf("isa %d, network %d:", (int)isa, (int)i);
            train(ctx, networks[i]);
            printf("\n");
        }
        kd_context_free(ctx);
    }
    return 0;
}
