/* A teacher runs once and its answers go into a store: store_write STORE
 *
 * The teacher is trained here on made-up data; any engine's logits go the same way, a batch at a
 * time. */
#include "../check.h"
#include "store_data.h"

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "teacher.kdt";
    kd_context *ctx;
    kd_status status;
    kd_dataset *data;
    kd_loader *loader;
    kd_batch *batch;
    kd_targets *targets;
    kd_model *teacher;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_teacher *says;
    kd_store_writer *writer;

    CHECK(kd_context_create(&ctx, NULL));
    CHECK(make_data(&data, ctx, TRAIN_SEED));
    CHECK(kd_model_create(
        &teacher, ctx,
        "{\"model_type\":\"mlp\",\"input_size\":16,\"hidden_sizes\":[256,256],\"num_labels\":40}",
        NULL));
    CHECK(kd_loss_create(&loss, ctx, NULL));
    CHECK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    CHECK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    CHECK(kd_optimizer_add_model(optimizer, teacher));
    CHECK(kd_batch_create(&batch, ctx, NULL));
    CHECK(kd_targets_create(&targets, ctx, NULL));

    kd_loader_options lo = KD_LOADER_OPTIONS_INIT;
    lo.batch_size = 100;
    lo.shuffle = 1;
    lo.epochs = 12;
    CHECK(kd_loader_create(&loader, data, &lo));
    while ((status = kd_loader_next(loader, batch)) == KD_OK) {
        CHECK(kd_model_forward(teacher, batch, KD_MODE_TRAIN));
        CHECK(kd_loss_backward(loss, teacher, batch, NULL, NULL, NULL));
        CHECK(kd_optimizer_step(optimizer, 2e-3));
    }
    CHECK(status);
    kd_loader_free(loader);

    /* The store: the eight largest classes of forty, and the mass outside at the temperatures that
     * training will use. */
    const double temperatures[] = { 2, 4 };
    kd_store_options so = KD_STORE_OPTIONS_INIT;
    kd_store_field field = KD_STORE_FIELD_INIT;
    so.teacher = "MLP 256-256"; /* a name for people */
    so.vocabulary = 40;
    so.temperatures = temperatures;
    so.temperature_count = 2;
    field.kind = KD_STORE_TOPK;
    field.name = "topk";
    field.k = 8;
    CHECK(kd_store_writer_create(&writer, ctx, path, &so, &field, 1));
    CHECK(kd_teacher_from_model(&says, teacher, NULL));
    lo.shuffle = 0;
    lo.epochs = 1;
    CHECK(kd_loader_create(&loader, data, &lo));
    while ((status = kd_loader_next(loader, batch)) == KD_OK) {
        CHECK(kd_teacher_read(says, batch, targets));
        CHECK(kd_store_writer_add(writer, batch, targets)); /* committed when it returns */
    }
    CHECK(status);
    CHECK(kd_store_writer_close(writer));
    printf("teacher: %lld samples written to %s\n", (long long)SAMPLES, path);

    kd_store_writer_free(writer);
    kd_teacher_free(says);
    kd_loader_free(loader);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_model_free(teacher);
    kd_dataset_free(data);
    kd_context_free(ctx);
    return 0;
}
