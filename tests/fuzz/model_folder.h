/* A model's folder of one input: config.json, modules.json and tokenizer.json, each up to a zero,
 * then model.safetensors. An empty one is not there. */
#ifndef KD_FUZZ_MODEL_FOLDER_H
#define KD_FUZZ_MODEL_FOLDER_H

#include <kdistill.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder_path[64];
static void remove_folder(void) { rmdir(folder_path); }

static const char *model_folder(void)
{
    if (*folder_path) return folder_path;
    snprintf(folder_path, sizeof folder_path, "/dev/shm/kd-fuzz-XXXXXX");
    if (!mkdtemp(folder_path)) exit(2);
    atexit(remove_folder);
    return folder_path;
}

static void put_file(const char *name, const uint8_t *bytes, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", model_folder(), name);
    remove(path);
    if (!size) return;
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size) exit(2);
    fclose(file);
}

/* Two texts of the first tokens. */
static void run_model(kd_context *ctx, kd_model *model)
{
    int64_t ids[4] = { 0, 1, 2, 0 }, ends[3] = { 0, 3, 4 };
    const kd_array ts = KD_ARRAY_1D(ids, KD_INT64, 4), es = KD_ARRAY_1D(ends, KD_INT64, 3);
    kd_batch *batch = NULL;
    kd_array out;
    if (kd_batch_create(&batch, ctx, NULL) != KD_OK) abort();
    if (kd_batch_begin_packed(batch, &es) != KD_OK) abort();
    if (kd_batch_set(batch, "tokens", &ts, NULL) != KD_OK) abort();
    if (kd_model_forward(model, batch, KD_MODE_EVALUATE) == KD_OK)
        kd_model_output(model, "embedding", &out);
    kd_batch_free(batch);
}

static void use_model_folder(kd_context *ctx, const uint8_t *data, size_t size)
{
    static const char *const names[] = { "config.json", "modules.json", "tokenizer.json" };
    kd_model *model = NULL;
    for (int i = 0; i < 3; i++) {
        const uint8_t *end = memchr(data, 0, size);
        const size_t length = end ? (size_t)(end - data) : size;
        put_file(names[i], data, length);
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
    put_file("model.safetensors", data, size);
    if (kd_model_load(&model, ctx, model_folder(), NULL) == KD_OK) run_model(ctx, model);
    kd_model_free(model);
    for (int i = 0; i < 3; i++) put_file(names[i], NULL, 0);
    put_file("model.safetensors", NULL, 0);
}

#endif
