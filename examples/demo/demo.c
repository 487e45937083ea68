/* The whole course on images: train a teacher, collect its outputs, train small students from them,
 * adjust, compare.
 *   demo FOLDER OUT [seeds]
 * FOLDER holds IDX files named as MNIST's (Fashion-MNIST by default); OUT gets report.json and
 * report.html.
 *
 * A student is trained four ways, each with several seeds, all on the same images or fewer:
 *   hard        true labels of the few labeled images
 *   soft        the same images: soft + hard labels, temperature falling from 4 to 1
 *   pseudo
 *       labeled images + many unlabeled ones with the teacher's hard pseudo-labels (confident ones,
 *       classes balanced)
 *   soft-many   labeled + unlabeled images with the teacher's soft labels
 *   all labels  true labels of every image: what the labels that nobody had would have given */
#include "demo.h"

#include <math.h>
#include <string.h>

static kd_dataset *take(kd_dataset *from, int64_t first, int64_t count)
{
    int64_t *numbers = malloc((size_t)count * sizeof *numbers);
    kd_dataset *part;
    if (!numbers) exit(1);
    for (int64_t i = 0; i < count; i++) numbers[i] = first + i;
    kd_array indices = KD_ARRAY_1D(numbers, KD_INT64, count);
    CHECK(kd_dataset_select(&part, from, &indices));
    free(numbers);
    return part;
}

static void load(demo *d, const char *folder)
{
    kd_dataset *train;
    int64_t samples;
    CHECK(kd_dataset_load_idx(&train, d->ctx, folder, "train", NULL));
    CHECK(kd_dataset_load_idx(&d->test, d->ctx, folder, "t10k", NULL));
    CHECK(kd_dataset_sample_count(train, &samples));
    d->validation = take(train, samples - VALIDATION, VALIDATION);
    d->all = take(train, 0, samples - VALIDATION);
    d->labeled = take(d->all, 0, LABELED);
    d->unlabeled = take(d->all, LABELED, samples - VALIDATION - LABELED);
    kd_dataset_free(train);
}

static double validate(demo *d, kd_model *model)
{
    return evaluate(d, model, d->validation, NULL, NULL).accuracy;
}

/* One run: the loop of every arm. The learning rate is a cosine times what the plateau makes of the
 * reported accuracy. */
kd_model *train(demo *d, const arm *a, uint64_t seed, curve *out)
{
    kd_model *model;
    kd_loader *loader;
    kd_batch *batch;
    kd_targets *targets;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_schedule *cosine, *plateau, *rate, *temperature;
    kd_monitor *monitor;
    int32_t soft = -1, verdict = 0;
    int64_t batches, step = 0;
    kd_model_options mo = KD_MODEL_OPTIONS_INIT;
    kd_loader_options lo = KD_LOADER_OPTIONS_INIT;
    kd_optimizer_options oo = KD_OPTIMIZER_OPTIONS_INIT;
    kd_plateau_options po = KD_PLATEAU_OPTIONS_INIT;
    kd_group_options no_decay = KD_GROUP_OPTIONS_INIT;
    kd_loss_result result = { .struct_size = sizeof result };
    mo.seed = lo.seed = seed;
    lo.batch_size = 128;
    oo.weight_decay = 0.01;
    po.better = KD_BETTER_HIGHER;
    po.patience = 3;
    CHECK(kd_model_create(&model, d->ctx, a->config, &mo));
    CHECK(kd_loader_create(&loader, a->data, &lo));
    CHECK(kd_batch_create(&batch, d->ctx, NULL));
    CHECK(kd_targets_create(&targets, d->ctx, NULL));
    CHECK(kd_loss_create(&loss, d->ctx, NULL));
    if (a->soft > 0) CHECK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, a->soft, NULL, &soft));
    if (a->hard > 0) CHECK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, a->hard, NULL, NULL));
    CHECK(kd_optimizer_create(&optimizer, d->ctx, KD_OPTIMIZER_ADAMW, &oo));
    CHECK(kd_optimizer_add_model(optimizer, model));
    CHECK(kd_optimizer_add_group(optimizer, "*.bias", &no_decay));
    CHECK(kd_loader_position(loader, NULL, NULL, &batches));
    const int64_t steps = a->steps;
    CHECK(
        kd_schedule_create_cosine(&cosine, d->ctx, a->learning_rate, a->learning_rate / 20, steps));
    CHECK(kd_schedule_create_plateau(&plateau, d->ctx, &po));
    CHECK(kd_schedule_create_product(&rate, d->ctx, (kd_schedule *[]){ cosine, plateau }, 2));
    CHECK(kd_schedule_create_cosine(&temperature, d->ctx, a->temperature, 1, steps));
    CHECK(kd_monitor_create(&monitor, model, NULL));

    progress_begin(d, a->name, steps);
    double sum = 0;
    while (step < steps) {
        kd_status status = kd_loader_next(loader, batch);
        if (status == KD_END) continue; /* the next pass */
        CHECK(status);
        if (soft >= 0) {
            CHECK(
                kd_loss_set(loss, soft, KD_TERM_TEMPERATURE, kd_schedule_value(temperature, step)));
            CHECK(kd_teacher_read(d->outputs, batch, targets));
        }
        CHECK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        CHECK(kd_loss_backward(loss, model, batch, targets, NULL, &result));
        CHECK(kd_optimizer_step(optimizer, kd_schedule_value(rate, step)));
        sum += result.value;
        if (++step % ROUND && step < steps) {
            progress_show(d, step);
            continue;
        }
        double accuracy = validate(d, model); /* the host reports: rate and monitor follow */
        CHECK(kd_schedule_report(rate, accuracy));
        CHECK(kd_monitor_report(monitor, accuracy, &verdict));
        curve_add(out, step, accuracy, kd_schedule_value(rate, step),
                  soft >= 0 ? kd_schedule_value(temperature, step) : NAN,
                  sum / (double)(step % ROUND ? step % ROUND : ROUND));
        sum = 0;
    }
    CHECK(kd_monitor_restore(monitor)); /* the best on validation */
    progress_end(d, validate(d, model));

    kd_monitor_free(monitor);
    kd_schedule_free(temperature);
    kd_schedule_free(rate);
    kd_schedule_free(plateau);
    kd_schedule_free(cosine);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_loader_free(loader);
    return model;
}

static void train_teacher(demo *d)
{
    static const char config[] = "{\"model_type\": \"mlp\", \"input_size\": 784, \"hidden_sizes\": "
                                 "[1200, 1200], \"num_labels\": 10, "
                                 "\"input_dropout_prob\": 0.1, \"hidden_dropout_prob\": 0.4}";
    const arm a = {
        "teacher",    "teacher 1200-1200, dropout, all labels", config, d->all, 0, 1, 1, 1e-3,
        TEACHER_STEPS
    };
    kd_teacher *live;
    d->teacher = train(d, &a, 1, &d->teacher_curve);
    CHECK(kd_teacher_from_model(&live, d->teacher, NULL));
    /* its outputs for every training image, by content */
    CHECK(kd_teacher_collect(&d->outputs, live, d->all, 512));
    kd_teacher_free(live);
    d->teacher_logits = malloc(sizeof(float) * 10 * TEST);
    if (!d->teacher_logits) exit(1);
    kd_array z = KD_ARRAY_2D(d->teacher_logits, KD_FLOAT32, TEST, 10);
    CHECK(kd_model_predict(d->teacher, d->test, "logits", 500, &z));
}

/* Confident pseudo-labels in equal numbers a class, joined with the images whose labels are
 * known. */
static kd_dataset *pseudo_labeled(demo *d)
{
    kd_dataset *guessed, *joined;
    kd_pseudo_label_options o = KD_PSEUDO_LABEL_OPTIONS_INIT;
    o.threshold = 0.5;
    o.balance = 1;
    d->pseudo.struct_size = sizeof d->pseudo;
    CHECK(kd_dataset_pseudo_label(&guessed, d->unlabeled, d->outputs, &o, &d->pseudo));
    kd_dataset *known = with_labels(d, d->labeled), *plain = with_labels(d, guessed);
    CHECK(kd_dataset_concat(&joined, (kd_dataset *[]){ known, plain }, 2));
    kd_dataset_free(plain);
    kd_dataset_free(known);
    kd_dataset_free(guessed);
    return joined;
}

int main(int argc, char **argv)
{
    static const char small[] = "{\"model_type\": \"mlp\", \"input_size\": 784, \"hidden_sizes\": "
                                "[64], \"num_labels\": 10}";
    if (argc < 3) {
        fprintf(stderr, "usage: demo FOLDER OUT [seeds]\n");
        return 2;
    }
    demo d = { .seeds = argc > 3 ? atoi(argv[3]) : SEEDS };
    if (d.seeds < 1 || d.seeds > MAX_SEEDS) return 2;
    demo_open(&d);
    load(&d, argv[1]);
    train_teacher(&d);
    kd_dataset *pseudo = pseudo_labeled(&d);
    const arm arms[] = {
        { "hard", "few true labels", small, d.labeled, 0, 1, 1, 3e-3, STEPS },
        { "soft", "the same images, soft + hard labels, T 4 to 1", small, d.labeled, 0.9, 0.1, 4,
          3e-3, STEPS },
        { "pseudo", "few true labels + the teacher's hard pseudo-labels", small, pseudo, 0, 1, 1,
          3e-3, STEPS },
        { "soft_many", "labeled and unlabeled images, soft labels, T 4 to 1", small, d.all, 1, 0, 4,
          3e-3, STEPS },
        { "all_labels", "true labels of every image (for comparison)", small, d.all, 0, 1, 1, 3e-3,
          STEPS },
    };
    run_arms(&d, arms, (int)(sizeof arms / sizeof *arms));
    show_table(&d);
    write_report(&d, argv[2]);
    kd_dataset_free(pseudo);
    demo_close(&d);
    return 0;
}
