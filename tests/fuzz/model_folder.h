/* A model's folder of one input, which is a list of parts: a byte that names the file, two bytes of
 * its length, its bytes. What is loaded runs, and is the same after it was saved. */
#ifndef KD_FUZZ_MODEL_FOLDER_H
#define KD_FUZZ_MODEL_FOLDER_H

#include <kdistill.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const folder_files[] = { "config.json",
                                            "modules.json",
                                            "tokenizer.json",
                                            "model.safetensors",
                                            "1_Pooling/config.json",
                                            "2_Dense/config.json",
                                            "2_Dense/model.safetensors",
                                            "sentence_bert_config.json",
                                            "tokenizer_config.json",
                                            "3_Normalize/config.json",
                                            "2_Normalize/config.json",
                                            "0_StaticEmbedding/model.safetensors",
                                            "0_StaticEmbedding/tokenizer.json",
                                            "adapter_config.json",
                                            "adapter_model.safetensors" };
static const char *const folder_places[] = { "1_Pooling",   "2_Dense",     "3_Normalize",
                                             "2_Normalize", "1_Normalize", "0_StaticEmbedding" };
enum { FOLDER_FILES = sizeof folder_files / sizeof *folder_files, FOLDER_PLACES = 6 };
enum { LOADED, SAVED };

static char folder_paths[2][64];

static void empty_folder(int which)
{
    char path[160];
    for (int i = 0; i < FOLDER_FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", folder_paths[which], folder_files[i]);
        unlink(path);
    }
}

static void remove_folders(void)
{
    char path[160];
    for (int which = LOADED; which <= SAVED; which++) {
        empty_folder(which);
        for (int i = 0; i < FOLDER_PLACES; i++) {
            snprintf(path, sizeof path, "%s/%s", folder_paths[which], folder_places[i]);
            rmdir(path);
        }
        rmdir(folder_paths[which]);
    }
}

static void make_folders(void)
{
    char path[160];
    if (*folder_paths[LOADED]) return;
    for (int which = LOADED; which <= SAVED; which++) {
        snprintf(folder_paths[which], sizeof folder_paths[which], "/dev/shm/kd-fuzz-XXXXXX");
        if (!mkdtemp(folder_paths[which])) exit(2);
        for (int i = 0; i < FOLDER_PLACES; i++) {
            snprintf(path, sizeof path, "%s/%s", folder_paths[which], folder_places[i]);
            if (mkdir(path, 0700)) exit(2);
        }
    }
    atexit(remove_folders);
}

/* ---- parts ---- */

typedef struct {
    size_t at, size; /* its bytes */
    int file;
} folder_part;

/* The part that begins at `from`; 0: none does. A length that goes beyond the end is cut. */
static int next_part(const uint8_t *data, size_t size, size_t from, folder_part *part)
{
    if (from + 3 > size) return 0;
    part->file = data[from] % FOLDER_FILES;
    part->at = from + 3;
    part->size = data[from + 1] | (size_t)data[from + 2] << 8;
    if (part->size > size - part->at) part->size = size - part->at;
    return 1;
}

static void put_parts(const uint8_t *data, size_t size)
{
    char path[160];
    folder_part part;
    for (size_t at = 0; next_part(data, size, at, &part); at = part.at + part.size) {
        snprintf(path, sizeof path, "%s/%s", folder_paths[LOADED], folder_files[part.file]);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(data + part.at, 1, part.size, file) != part.size) exit(2);
        fclose(file);
    }
}

/* ---- use ---- */

/* Two texts of the first tokens; the output's numbers, which stay the model's, or NULL. */
static const float *run_model(kd_context *ctx, kd_model *model, const char *output, int64_t *count)
{
    int64_t ids[4] = { 0, 1, 2, 0 }, ends[3] = { 0, 3, 4 };
    const kd_array ts = KD_ARRAY_1D(ids, KD_INT64, 4), es = KD_ARRAY_1D(ends, KD_INT64, 3);
    kd_batch *batch = NULL;
    kd_array out = { 0 };
    if (kd_batch_create(&batch, ctx, NULL) != KD_OK) abort();
    if (kd_batch_begin_packed(batch, &es) != KD_OK) abort();
    if (kd_batch_set(batch, "tokens", &ts, NULL) != KD_OK) abort();
    const int ran = kd_model_forward(model, batch, KD_MODE_EVALUATE) == KD_OK &&
                    kd_model_output(model, output, &out) == KD_OK;
    kd_batch_free(batch);
    *count = ran ? kd_array_count(&out) : 0;
    return ran ? out.data : NULL;
}

/* Saved and loaded, it gives the same numbers. */
static void save_again(kd_context *ctx, kd_model *model)
{
    kd_model *again = NULL;
    int64_t count = 0, second = 0;
    const float *out = run_model(ctx, model, "embedding", &count);
    empty_folder(SAVED);
    if (kd_model_save(model, folder_paths[SAVED], NULL) != KD_OK) abort();
    if (kd_model_load(&again, ctx, folder_paths[SAVED], NULL) != KD_OK) {
        fprintf(stderr, "what was saved is not read: %s\n", kd_last_error());
        abort();
    }
    const float *other = run_model(ctx, again, "embedding", &second);
    if (count != second || (out && memcmp(out, other, (size_t)count * sizeof *out))) abort();
    kd_model_free(again);
}

static void use_model_folder(kd_context *ctx, const uint8_t *data, size_t size)
{
    kd_model *model = NULL;
    kd_tokenizer *tokenizer = NULL;
    make_folders();
    put_parts(data, size);
    if (kd_model_load(&model, ctx, folder_paths[LOADED], NULL) == KD_OK) save_again(ctx, model);
    kd_tokenizer_load(&tokenizer, ctx, folder_paths[LOADED]);
    kd_tokenizer_free(tokenizer);
    kd_model_free(model);
    empty_folder(LOADED);
}

#endif
