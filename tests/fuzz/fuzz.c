/* Every reader of files, by the first byte: JSON, safetensors, IDX and npy, CSV, checkpoint, model config. With libFuzzer
 * (make fuzz-smoke), or alone over files named on the command line.                                                        */
#include <kdistill.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/formats.h"

static kd_context *ctx;

/* The bytes as a file that has a path. */
static int as_file(const uint8_t *data, size_t size, char path[64])
{
    int file = memfd_create("fuzz", 0);
    if (file < 0 || write(file, data, size) != (ssize_t)size) exit(2);
    snprintf(path, 64, "/proc/self/fd/%d", file);
    return file;
}

static void load_checkpoint(const char *path)
{
    kd_checkpoint *checkpoint = NULL;
    kd_model *model = NULL;
    kd_optimizer *optimizer = NULL;
    static int64_t step;
    kd_model_create(&model, ctx, "{\"model_type\":\"mlp\",\"input_size\":2,\"num_labels\":2}", NULL);
    kd_optimizer_create(&optimizer, ctx, KD_ADAM, NULL);
    kd_optimizer_add_model(optimizer, model);
    kd_checkpoint_create(&checkpoint, ctx, NULL);
    kd_checkpoint_add_model(checkpoint, "m", model);
    kd_checkpoint_add_optimizer(checkpoint, "o", optimizer);
    kd_checkpoint_borrow_bytes(checkpoint, "s", &step, sizeof step);
    kd_checkpoint_load(checkpoint, path);
    kd_checkpoint_free(checkpoint);
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}

static void make_model(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    kd_model_memory_info plan = { .struct_size = sizeof plan };
    memcpy(text, data, size);
    text[size] = 0;
    kd_model_memory(ctx, text, NULL, &plan);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kd__json_document json;
    kd__safetensors tensors;
    kd_dataset *dataset = NULL;
    char path[64];
    if (!ctx && kd_context_create(&ctx, NULL) != KD_OK) return 0;
    if (!size) return 0;
    int kind = *data++ % 6, file = as_file(data, --size, path);
    if (kind == 0 && kd__json_parse(&json, ctx, (const char *)data, size, "fuzz") == KD_OK) kd__json_free(&json);
    if (kind == 1 && kd__safetensors_parse(&tensors, ctx, (const char *)data, (int64_t)size, "fuzz") == KD_OK) kd__safetensors_free(&tensors);
    if (kind == 2 && kd_dataset_create(&dataset, ctx, NULL) == KD_OK) kd_dataset_add_file(dataset, "x", path, NULL);
    if (kind == 3) kd_dataset_load_csv(&dataset, ctx, path, NULL);
    if (kind == 4) load_checkpoint(path);
    if (kind == 5) make_model(data, size);
    kd_dataset_free(dataset);
    close(file);
    return 0;
}

#ifdef FUZZ_ALONE
int main(int argc, char **argv)
{
    static uint8_t bytes[1 << 20];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) return 1;
        size_t size = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        LLVMFuzzerTestOneInput(bytes, size);
    }
    printf("%d inputs read\n", argc - 1);
    return 0;
}
#endif
