/* The MNIST table of Hinton, Vinyals and Dean 2015 (arXiv 1503.02531, section 3), run again.
 *   hinton FOLDER [epochs of the teacher, default 80] [epochs of a student, default 30] [seed,
 *     default 1] [folder that keeps the teacher]
 * FOLDER holds MNIST as IDX files. Prints one line a row: name, errors of 10,000 test images,
 * errors on threes.
 *
 * Teacher: 784-1200-1200-10, ReLU, dropout 0.2 on the input and 0.5 on hidden units, images moved
 * by up to 2 pixels, the incoming weights of a unit limited to norm 3. Students: 784-800-800-10
 * without any of it, but for the rows that say jitter. Soft rows see the teacher's distribution at
 * T = 20 alone, of the very image that the student sees. */
#include "../check.h"

#include <string.h>
#include <time.h>

enum { CLASSES = 10, TEST = 10000, BATCH = 128 };

static const char TEACHER[] = "{\"model_type\": \"mlp\", \"input_size\": 784, \"hidden_sizes\": "
                              "[1200, 1200], \"num_labels\": 10, "
                              "\"input_dropout_prob\": 0.2, \"hidden_dropout_prob\": 0.5}";
static const char STUDENT[] = "{\"model_type\": \"mlp\", \"input_size\": 784, \"hidden_sizes\": "
                              "[800, 800], \"num_labels\": 10}";

typedef struct {
    const char *name;
    const char *config;
    kd_dataset *data;
    kd_teacher *teacher; /* NULL: hard labels */
    int jitter, epochs;
    int32_t optimizer;
    double learning_rate, max_norm, temperature;
} run;

static kd_context *ctx;
static kd_dataset *test;
static int64_t test_labels[TEST];
static uint64_t seed = 1;

static void count_errors(const float logits[TEST][CLASSES], int *errors, int *threes)
{
    *errors = *threes = 0;
    for (int i = 0; i < TEST; i++) {
        int best = 0;
        for (int c = 1; c < CLASSES; c++)
            if (logits[i][c] > logits[i][best]) best = c;
        *errors += best != test_labels[i];
        *threes += best != test_labels[i] && test_labels[i] == 3;
    }
}

static void show(const char *name, const float logits[TEST][CLASSES])
{
    int errors, threes;
    count_errors(logits, &errors, &threes);
    printf("%-44s %5d errors  %4d on threes\n", name, errors, threes);
    fflush(stdout);
}

static void predict(kd_model *model, float logits[TEST][CLASSES])
{
    kd_array z = KD_ARRAY_2D(logits, KD_FLOAT32, TEST, CLASSES);
    CHECK(kd_model_predict(model, test, "logits", 500, &z));
}

static void train_epochs(const run *r, kd_model *model, kd_loader *loader, kd_loss *loss,
                         kd_optimizer *optimizer, kd_schedule *rate)
{
    kd_batch *batch;
    kd_targets *targets;
    kd_status status;
    kd_loss_result result = { .struct_size = sizeof result };
    int64_t step = 0, epoch, batches;
    double sum = 0;
    CHECK(kd_batch_create(&batch, ctx, NULL));
    CHECK(kd_targets_create(&targets, ctx, NULL));
    CHECK(kd_loader_position(loader, NULL, NULL, &batches));
    while ((status = kd_loader_next(loader, batch)) == KD_OK) {
        if (r->teacher) CHECK(kd_teacher_read(r->teacher, batch, targets));
        CHECK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        CHECK(kd_loss_backward(loss, model, batch, targets, NULL, &result));
        CHECK(kd_optimizer_step(optimizer, kd_schedule_value(rate, step)));
        sum += result.value;
        if (++step % (10 * batches)) continue;
        CHECK(kd_loader_position(loader, &epoch, NULL, NULL));
        fprintf(stderr, "  %s: epoch %lld of %d, loss %.5f\n", r->name, (long long)epoch + 1,
                r->epochs, sum / (double)(10 * batches));
        sum = 0;
    }
    CHECK(status);
    kd_targets_free(targets);
    kd_batch_free(batch);
}

static kd_model *train(const run *r)
{
    kd_model *model;
    kd_loader *loader;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_schedule *rate;
    int64_t batches;
    kd_model_options mo = KD_MODEL_OPTIONS_INIT;
    kd_loader_options lo = KD_LOADER_OPTIONS_INIT;
    kd_term_options to = KD_TERM_OPTIONS_INIT;
    kd_optimizer_options oo = KD_OPTIMIZER_OPTIONS_INIT;
    mo.seed = lo.seed = seed;
    lo.batch_size = BATCH;
    lo.epochs = r->epochs;
    lo.shift = r->jitter;
    to.temperature = r->temperature;
    oo.momentum = 0.9; /* of SGD */
    oo.nesterov = r->optimizer == KD_OPTIMIZER_SGD;
    oo.max_norm = r->max_norm;
    CHECK(kd_model_create(&model, ctx, r->config, &mo));
    CHECK(kd_loader_create(&loader, r->data, &lo));
    CHECK(kd_loader_position(loader, NULL, NULL, &batches));
    CHECK(kd_loss_create(&loss, ctx, NULL));
    CHECK(kd_loss_add(loss, r->teacher ? KD_LOSS_FORWARD_KL : KD_LOSS_CROSS_ENTROPY, 1, &to, NULL));
    CHECK(kd_optimizer_create(&optimizer, ctx, r->optimizer, &oo));
    CHECK(kd_optimizer_add_model(optimizer, model));
    CHECK(kd_schedule_create_cosine(&rate, ctx, r->learning_rate, 0, batches * r->epochs));
    train_epochs(r, model, loader, loss, optimizer, rate);
    kd_schedule_free(rate);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_loader_free(loader);
    return model;
}

static kd_model *train_and_show(run r)
{
    static float logits[TEST][CLASSES];
    time_t start = time(NULL);
    kd_model *model = train(&r);
    predict(model, logits);
    show(r.name, logits);
    fprintf(stderr, "  %s: %ld s\n", r.name, (long)(time(NULL) - start));
    return model;
}

/* The teacher, from the folder that keeps it where one is given and it is there. */
static kd_model *find_teacher(run r, const char *folder)
{
    static float logits[TEST][CLASSES];
    kd_model *model;
    kd_status status = folder ? kd_model_load(&model, ctx, folder, NULL) : KD_ERR_NOT_FOUND;
    if (status == KD_OK) {
        predict(model, logits);
        show(r.name, (const float(*)[CLASSES])logits);
        return model;
    }
    if (status != KD_ERR_NOT_FOUND) CHECK(status);
    model = train_and_show(r);
    if (folder) CHECK(kd_model_save(model, folder, NULL));
    return model;
}

static kd_dataset *without_digit(kd_dataset *data, int64_t digit)
{
    kd_array labels;
    kd_dataset *rest;
    int64_t *kept, count = 0;
    CHECK(kd_dataset_field(data, "label", &labels, NULL));
    kept = malloc((size_t)labels.dims[0] * sizeof *kept);
    if (!kept) exit(1);
    for (int64_t i = 0; i < labels.dims[0]; i++)
        if (((const uint8_t *)labels.data)[i] != digit) kept[count++] = i;
    kd_array numbers = KD_ARRAY_1D(kept, KD_INT64, count);
    CHECK(kd_dataset_select(&rest, data, &numbers));
    free(kept);
    return rest;
}

/* As the paper does: the bias of the missing class is raised by what is best on the test set. */
static void correct_bias(kd_model *student)
{
    static float logits[TEST][CLASSES], moved[TEST][CLASSES];
    int errors, threes, best = TEST + 1;
    double best_shift = 0;
    char name[64];
    predict(student, logits);
    for (int k = 0; k <= 200; k++) {
        memcpy(moved, logits, sizeof moved);
        for (int i = 0; i < TEST; i++) moved[i][3] += 0.1f * (float)k;
        count_errors((const float(*)[CLASSES])moved, &errors, &threes);
        if (errors >= best) continue;
        best = errors;
        best_shift = 0.1 * k;
    }
    for (int i = 0; i < TEST; i++) logits[i][3] += (float)best_shift;
    snprintf(name, sizeof name, "the same, bias of the 3 raised by %.1f", best_shift);
    show(name, (const float(*)[CLASSES])logits);
}

static void load(const char *folder, kd_dataset **train_set)
{
    kd_array labels;
    CHECK(kd_dataset_load_idx(train_set, ctx, folder, "train", NULL));
    CHECK(kd_dataset_load_idx(&test, ctx, folder, "t10k", NULL));
    CHECK(kd_dataset_field(test, "label", &labels, NULL));
    for (int i = 0; i < TEST; i++) test_labels[i] = ((const uint8_t *)labels.data)[i];
}

int main(int argc, char **argv)
{
    kd_dataset *all, *no_threes;
    kd_teacher *teacher;
    if (argc < 2) {
        fprintf(stderr,
                "usage: hinton FOLDER [teacher epochs] [student epochs] [seed] [teacher folder]\n");
        return 2;
    }
    const int teacher_epochs = argc > 2 ? atoi(argv[2]) : 80,
              epochs = argc > 3 ? atoi(argv[3]) : 30;
    if (argc > 4) seed = (uint64_t)atoll(argv[4]);
    CHECK(kd_context_create(&ctx, NULL));
    CHECK(kd_context_set_blas_threads(ctx, 1));
    load(argv[1], &all);
    no_threes = without_digit(all, 3);
    printf("seed %llu, teacher %d epochs, students %d epochs\n", (unsigned long long)seed,
           teacher_epochs, epochs);

    kd_model *big =
        find_teacher((run){ "teacher 1200-1200, dropout, jitter, max-norm", TEACHER, all, NULL, 2,
                            teacher_epochs, KD_OPTIMIZER_ADAM, 1e-3, 3, 1 },
                     argc > 5 ? argv[5] : NULL);
    CHECK(kd_teacher_from_model(&teacher, big, NULL));
    const run students[] = {
        { "student 800-800, hard", STUDENT, all, NULL, 0, epochs, KD_OPTIMIZER_SGD, 0.05, 0, 1 },
        { "student 800-800, soft T = 20", STUDENT, all, teacher, 0, epochs, KD_OPTIMIZER_ADAM, 1e-3,
          0, 20 },
        { "student 800-800, hard, jitter", STUDENT, all, NULL, 2, epochs, KD_OPTIMIZER_SGD, 0.05, 0,
          1 },
        { "student 800-800, soft T = 20, jitter", STUDENT, all, teacher, 2, epochs,
          KD_OPTIMIZER_ADAM, 1e-3, 0, 20 },
    };
    for (int i = 0; i < 4; i++) kd_model_free(train_and_show(students[i]));
    kd_model *blind =
        train_and_show((run){ "soft T = 20, no 3 in the transfer set", STUDENT, no_threes, teacher,
                              0, epochs, KD_OPTIMIZER_ADAM, 1e-3, 0, 20 });
    correct_bias(blind);

    kd_model_free(blind);
    kd_teacher_free(teacher);
    kd_model_free(big);
    kd_dataset_free(no_threes);
    kd_dataset_free(test);
    kd_dataset_free(all);
    kd_context_free(ctx);
    return 0;
}
