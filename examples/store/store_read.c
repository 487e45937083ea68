/* A student trained from a store alone, in another process and at another time: store_read STORE
 *
 * No label is used. The temperature falls from 4 to 1; between the stored temperatures the tail is
 * taken as uniform, by name. */
#include "../check.h"
#include "store_data.h"

static double accuracy(kd_model *model, kd_dataset *data, kd_context *ctx)
{
    static float logits[SAMPLES * CLASSES];
    kd_array z = KD_ARRAY_2D(logits, KD_FLOAT32, SAMPLES, CLASSES), labels;
    kd_metrics *metrics;
    kd_metric value = { .struct_size = sizeof value };
    CHECK(kd_model_predict(model, data, "logits", 500, &z));
    CHECK(kd_dataset_field(data, "label", &labels, NULL));
    CHECK(kd_metrics_create(&metrics, ctx, CLASSES, NULL));
    CHECK(kd_metrics_add(metrics, &z, &labels, NULL));
    CHECK(kd_metrics_get(metrics, KD_METRIC_ACCURACY, &value));
    kd_metrics_free(metrics);
    return value.value;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "teacher.kdt";
    kd_context *ctx;
    kd_status status;
    kd_dataset *data, *test;
    kd_loader *loader;
    kd_batch *batch;
    kd_targets *targets;
    kd_teacher *teacher;
    kd_model *student;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_schedule *temperature, *rate;
    kd_loader_options lo = KD_LOADER_OPTIONS_INIT;
    kd_term_options soft = KD_TERM_OPTIONS_INIT;
    kd_loss_result result = { .struct_size = sizeof result };
    int64_t step = 0;

    CHECK(kd_context_create(&ctx, NULL));
    CHECK(make_data(&data, ctx, TRAIN_SEED)); /* the inputs; the store is asked by their keys */
    CHECK(make_data(&test, ctx, TEST_SEED));
    CHECK(kd_teacher_open(&teacher, ctx, path, NULL));
    CHECK(kd_model_create(
        &student, ctx,
        "{\"model_type\":\"mlp\",\"input_size\":16,\"hidden_sizes\":[64],\"num_labels\":40}",
        NULL));
    soft.teacher_field = "topk";
    CHECK(kd_loss_create(&loss, ctx, NULL));
    CHECK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, &soft, NULL));
    CHECK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    CHECK(kd_optimizer_add_model(optimizer, student));
    CHECK(kd_batch_create(&batch, ctx, NULL));
    CHECK(kd_targets_create(&targets, ctx, NULL));
    lo.batch_size = 100;
    lo.shuffle = 1;
    lo.epochs = 20;
    CHECK(kd_loader_create(&loader, data, &lo));
    CHECK(kd_schedule_create_linear(&temperature, ctx, 4, 1, 20 * SAMPLES / 100));
    CHECK(kd_schedule_create_cosine(&rate, ctx, 4e-3, 4e-4, 20 * SAMPLES / 100));

    while ((status = kd_loader_next(loader, batch)) == KD_OK) {
        CHECK(kd_loss_set(loss, 0, KD_TERM_TEMPERATURE, kd_schedule_value(temperature, step)));
        CHECK(kd_teacher_read(teacher, batch, targets));
        CHECK(kd_model_forward(student, batch, KD_MODE_TRAIN));
        CHECK(kd_loss_backward(loss, student, batch, targets, NULL, &result));
        CHECK(kd_optimizer_step(optimizer, kd_schedule_value(rate, step)));
        step++;
    }
    CHECK(status);
    const double right = accuracy(student, test, ctx);
    printf(
        "student: %lld steps from the store alone, last loss %.4f, accuracy on new samples %.3f\n",
        (long long)step, result.value, right);

    kd_schedule_free(rate);
    kd_schedule_free(temperature);
    kd_loader_free(loader);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_model_free(student);
    kd_teacher_free(teacher);
    kd_dataset_free(test);
    kd_dataset_free(data);
    kd_context_free(ctx);
    return right < 0.8; /* forty classes: chance is 0.025 */
}
