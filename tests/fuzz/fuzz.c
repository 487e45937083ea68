/* Every reader of files, by the first byte: JSON, safetensors, IDX and npy, CSV, checkpoint, model config, stores, imports, tokenizers, GGUF. With libFuzzer
 * (make fuzz-smoke), or alone over files named on the command line.                                                        */
#include <kdistill.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/formats.h"
#include "base/hash.h"
#include "store/store.h"

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

/* A store: opened both ways, every record read. */
static void open_store(const char *path, int32_t pread)
{
    kd_store *store = NULL;
    kd_targets *targets = NULL;
    kd_store_info info = { .struct_size = sizeof info };
    kd_store_open_options o = KD_STORE_OPEN_OPTIONS_INIT;
    kd_array weight;
    o.pread = pread;
    if (kd_store_open(&store, ctx, &path, 1, &o) == KD_OK && kd_targets_create(&targets, ctx, NULL) == KD_OK) {
        kd_store_get_info(store, &info);
        for (int64_t i = 0; i < info.records && i < 100; i++) kd_store_read(store, i, targets);
        kd_store_verify(store, NULL);
        if (info.vocabulary < 100000) kd_store_head(store, 1, &weight);
    }
    kd_targets_free(targets);
    kd_store_free(store);
}

/* The same with its checksums put right, so that what lies behind them is reached. */
static void open_mended(const uint8_t *data, size_t size)
{
    char path[64];
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    if (size >= 64) {
        const uint64_t json = kd__get64(copy + 16);
        if (json < size - 64) kd__put32(copy + 24, kd__crc32(0, copy + 64, json));
        kd__put32(copy + 60, kd__crc32(0, copy, 60));
        for (size_t at = 64 + (json < size - 64 ? json : 0); at + 64 <= size;) {
            const uint64_t record = kd__get64(copy + at + 8);
            if (kd__get32(copy + at) != KD__RECORD_MAGIC || record < 64 || record > size - at) {
                at += 8;
                continue;
            }
            kd__put32(copy + at + 48, kd__crc32(0, copy + at + 64, record - 64));
            kd__put32(copy + at + 60, kd__crc32(0, copy + at, 60));
            at += record;
        }
    }
    int file = as_file(copy, size, path);
    open_store(path, 0);
    close(file);
    free(copy);
}

/* A tokenizer of the bytes up to the first zero; what lies behind them is encoded, and its ids decoded, at once and as they come. */
static void use_tokenizer(const uint8_t *data, size_t size)
{
    char path[64];
    const uint8_t *end = memchr(data, 0, size);
    const size_t json = end ? (size_t)(end - data) : size;
    kd_tokenizer *t = NULL;
    kd_detokenizer *d = NULL;
    int32_t ids[4096];
    int64_t count = 0;
    const char *text;
    int file = as_file(data, json, path);
    if (kd_tokenizer_load(&t, ctx, path) == KD_OK && kd_detokenizer_create(&d, t, 0) == KD_OK) {
        if (end && kd_tokenizer_encode(t, (const char *)end + 1, (int64_t)(size - json - 1), KD_ADD_SPECIAL, ids, 4096, &count) != KD_OK) count = 0;
        kd_tokenizer_decode(t, ids, count, KD_SKIP_SPECIAL, NULL, 0, NULL);
        for (int64_t i = 0; i < count && i < 100; i++) kd_detokenizer_push(d, ids[i], &text, NULL);
        kd_detokenizer_finish(d, &text, NULL);
    }
    kd_detokenizer_free(d);
    kd_tokenizer_free(t);
    close(file);
}

/* A GGUF file: its model and its tokenizer. */
static void load_gguf(const uint8_t *data, size_t size)
{
    char path[64];
    kd_model *model = NULL;
    kd_tokenizer *t = NULL;
    int file = as_file(data, size, path);
    kd_model_load(&model, ctx, path, NULL);
    kd_tokenizer_load(&t, ctx, path);
    kd_tokenizer_free(t);
    kd_model_free(model);
    close(file);
}

/* Lines of records through the reader, every rule and a packer; the text as two answers. */
static int32_t drop_none(void *user, kd_record *record, const char **reason)
{
    (void)user, (void)record, (void)reason;
    return 1;
}

static void use_records(const uint8_t *data, size_t size)
{
    kd_record_reader *reader = NULL;
    kd_curation *c = NULL;
    kd_packer *packer = NULL;
    kd_record_options ro = KD_RECORD_OPTIONS_INIT;
    kd_filter_options fo = KD_FILTER_OPTIONS_INIT;
    kd_record r = KD_RECORD_INIT;
    char *json, *table = NULL;
    ro.bad_lines = KD_BAD_LINES_SKIP;
    if (kd_record_reader_text(&reader, ctx, (const char *)data, (int64_t)size, &ro) != KD_OK || kd_curation_create(&c, ctx, NULL) != KD_OK) abort();
    if (kd_packer_create(&packer, ctx, NULL, NULL) != KD_OK) abort();
    while (kd_record_reader_next(reader, &r) == KD_OK) {
        kd_record_reader *again = NULL;
        kd_record s = KD_RECORD_INIT;
        if (kd_record_json(ctx, &r, &json) != KD_OK) abort();
        /* what is written is read again, the same */
        if (kd_record_reader_text(&again, ctx, json, -1, NULL) != KD_OK || kd_record_reader_next(again, &s) != KD_OK) abort();
        if (memcmp(r.key, s.key, sizeof r.key)) abort();
        kd_record_reader_free(again);
        kd_text_free(ctx, json);
        kd_packer_add(packer, &r, 0);
    }
    fo.tests = reader;
    fo.function = drop_none;
    for (int32_t kind = KD_FILTER_LENGTH; kind <= KD_FILTER_SAMPLE; kind++)
        kd_curation_add(c, kind, kind == KD_FILTER_CONTAMINATION || kind == KD_FILTER_HOST ? &fo : NULL);
    if (kd_curation_run(c, reader, NULL, NULL) == KD_OK && kd_curation_text(c, &table) == KD_OK) kd_text_free(ctx, table);
    kd_packer_free(packer);
    kd_curation_free(c);
    kd_record_reader_free(reader);
}

static void use_answers(const uint8_t *data, size_t size)
{
    char *a = malloc(size + 1), *b;
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    int32_t right, back;
    double bleu;
    memcpy(a, data, size);
    a[size] = 0;
    b = strchr(a, '\n'); /* two answers, a line each */
    if (b) *b++ = 0;
    else b = a;
    o.verifiers = 31;
    o.format = 3;
    kd_verify(a, b, &o, &right, NULL);
    o.format = 0;
    o.verifiers = KD_VERIFY_LATEX;
    kd_verify(a, b, &o, &right, NULL);
    kd_verify(b, a, &o, &back, NULL);
    if (right != back) abort();
    for (int32_t kind = KD_TEXT_BLEU; kind <= KD_TEXT_EXACT; kind++)
        kd_text_metric(ctx, kind, (const char *const *)&a, (const char *const *)&b, 1, &bleu);
    free(a);
}

static void import_lines(const char *path, int32_t format)
{
    kd_store_writer *writer = NULL;
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_import_options import = KD_IMPORT_OPTIONS_INIT;
    char to[64];
    int file = as_file((const uint8_t *)"", 0, to);
    o.vocabulary = 1000;
    o.sync = KD_SYNC_NEVER;
    o.append = 1;
    f.kind = KD_STORE_TOPK;
    f.name = "topk";
    import.k = 4;
    import.most_unmapped = 1;
    if (kd_store_writer_create(&writer, ctx, to, &o, &f, 1) == KD_OK) kd_store_import(writer, format, path, &import, NULL);
    kd_store_writer_free(writer);
    close(file);
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
    static int only = -2; /* one kind alone, or by the first byte */
    if (only == -2) only = getenv("KD_FUZZ_KIND") ? atoi(getenv("KD_FUZZ_KIND")) % 16 : -1;
    const int first = *data++ % 16, kind = only >= 0 ? only : first, file = as_file(data, --size, path);
    if (kind == 0 && kd__json_parse(&json, ctx, (const char *)data, size, "fuzz") == KD_OK) kd__json_free(&json);
    if (kind == 1 && kd__safetensors_parse(&tensors, ctx, (const char *)data, (int64_t)size, "fuzz") == KD_OK) kd__safetensors_free(&tensors);
    if (kind == 2 && kd_dataset_create(&dataset, ctx, NULL) == KD_OK) kd_dataset_add_file(dataset, "x", path, NULL);
    if (kind == 3) kd_dataset_load_csv(&dataset, ctx, path, NULL);
    if (kind == 4) load_checkpoint(path);
    if (kind == 5) make_model(data, size);
    if (kind == 6 || kind == 7) open_store(path, kind == 7);
    if (kind == 8) open_mended(data, size);
    if (kind >= 9 && kind < 12) import_lines(path, kind - 8);
    if (kind == 12) use_tokenizer(data, size);
    if (kind == 13) load_gguf(data, size);
    if (kind == 14) use_records(data, size);
    if (kind == 15) use_answers(data, size);
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
