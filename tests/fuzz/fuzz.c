/* Every reader of files, by the first byte: JSON, safetensors, IDX and npy, CSV, checkpoint, model
 * config, stores, imports, tokenizers, GGUF, chat templates, folders of models or adapters, tensors
 * of a loss, image processors, WAV files; chats by parts, options of spectrograms, Arrow. With
 * libFuzzer (make fuzz-smoke), or alone over files named on the command line. */
#include <kdistill.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "adapters.h"
#include "answers.h"
#include "arrow_streams.h"
#include "formats/formats.h"
#include "fuzz.h"
#include "model_folder.h"
#include "sounds.h"
#include "base/hash.h"
#include "core/store/store.h"
#include "language/template/template.h"

enum { KINDS = 32 };

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
    kd_model_create(&model, ctx, "{\"model_type\":\"mlp\",\"input_size\":2,\"num_labels\":2}",
                    NULL);
    kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAM, NULL);
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
    kd_model_estimate_memory(ctx, text, NULL, &plan);
    free(text);
}

/* Tensors of a loss whose projections have widths, and of one that takes the file's. */
static kd_loss *loss_of_projections(void)
{
    static const char *const names[] = { "fit", "deep", "turned" };
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    kd_loss *loss;
    if (kd_loss_create(&loss, ctx, NULL) != KD_OK) abort();
    for (int32_t i = 0; i < 3; i++) {
        int32_t term;
        o.kind = KD_PROJECTION_LINEAR_BIAS + i; /* two layers; orthogonal */
        o.name = names[i];
        o.from = i ? 0 : 3;
        o.to = i ? 0 : 2;
        if (kd_loss_add(loss, i ? KD_LOSS_HIDDEN_COSINE : KD_LOSS_VARIATIONAL, 1, NULL, &term) ||
            kd_loss_set_projection(loss, term, &o) != KD_OK)
            abort();
    }
    return loss;
}

static void load_projections(const char *path)
{
    float s[6] = { 1, 2, 3, -1, 0, 2 }, t[4] = { 1, -1, 2, 0 };
    const kd_array ss = KD_ARRAY_2D(s, KD_FLOAT32, 2, 3), ts = KD_ARRAY_2D(t, KD_FLOAT32, 2, 2);
    const kd_loss_output output = { sizeof output, 0, "hidden", &ss, NULL, NULL };
    kd_batch *batch = NULL;
    kd_targets *targets = NULL;
    kd_loss *loss = loss_of_projections();
    if (kd_batch_create(&batch, ctx, NULL) || kd_targets_create(&targets, ctx, NULL) ||
        kd_batch_begin(batch, 2) || kd_targets_begin(targets, 2) ||
        kd_targets_set(targets, "hidden", &ts, NULL))
        abort();
    kd_loss_load_tensors(loss, path);
    kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL);
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_batch_free(batch);
}

/* A store's teacher, asked for a record with tokens 0, 1, 2 ..., which its checksums are compared
 * with. */
static void ask_store(kd_store *store, int64_t record, kd_targets *targets)
{
    enum { ROWS = 40 };
    kd_store_record r = { .struct_size = sizeof r };
    kd_teacher_options o = KD_TEACHER_OPTIONS_INIT;
    kd_teacher *teacher = NULL;
    kd_batch *batch = NULL;
    int64_t ends[2] = { 0, ROWS }, tokens[ROWS], places[ROWS];
    if (kd_store_get_record(store, record, &r) != KD_OK) return;
    for (int64_t i = 0; i < ROWS; i++) tokens[i] = i, places[i] = r.first + i;
    kd_array es = KD_ARRAY_1D(ends, KD_INT64, 2), ts = KD_ARRAY_1D(tokens, KD_INT64, ROWS),
             ps = KD_ARRAY_1D(places, KD_INT64, ROWS), ks = KD_ARRAY_2D(r.key, KD_UINT64, 1, 2),
             vs = KD_ARRAY_1D(&r.view, KD_INT64, 1);
    o.missing = (int32_t)(record & 1);
    if (kd_teacher_from_store(&teacher, store, &o) == KD_OK &&
        kd_batch_create(&batch, ctx, NULL) == KD_OK)
        for (int windows = 0; windows < 2; windows++) {
            kd_batch_begin_packed(batch, &es);
            kd_batch_set_samples(batch, NULL, &ks, &vs);
            kd_batch_set(batch, "tokens", &ts, NULL);
            if (windows) kd_batch_set(batch, "position", &ps, NULL);
            kd_teacher_read(teacher, batch, targets);
        }
    kd_batch_free(batch);
    kd_teacher_free(teacher);
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
    if (kd_store_open(&store, ctx, &path, 1, &o) == KD_OK &&
        kd_targets_create(&targets, ctx, NULL) == KD_OK) {
        kd_store_get_info(store, &info);
        for (int64_t i = 0; i < info.records && i < 100; i++) kd_store_read(store, i, targets);
        for (int64_t i = 0; i < info.records && i < 4 && info.vocabulary < 100000; i++)
            ask_store(store, i, targets);
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

/* A tokenizer of the bytes up to the first zero; what lies behind them is encoded, alone and as a
 * pair with itself, and its ids decoded, at once and as they come; their bytes are looked at. */
static void use_tokenizer(const uint8_t *data, size_t size)
{
    char path[64];
    const uint8_t *end = memchr(data, 0, size);
    const size_t json = end ? (size_t)(end - data) : size;
    kd_tokenizer *t = NULL;
    kd_detokenizer *d = NULL;
    int32_t ids[4096], types[4096];
    int64_t count = 0, bytes, ends[4096];
    const char *text;
    int file = as_file(data, json, path);
    if (kd_tokenizer_load(&t, ctx, path) == KD_OK && kd_detokenizer_create(&d, t, 0) == KD_OK) {
        if (end && kd_tokenizer_encode(t, (const char *)end + 1, (int64_t)(size - json - 1),
                                       KD_TOKENIZER_ADD_SPECIAL, ids, 4096, &count) != KD_OK)
            count = 0;
        kd_tokenizer_decode(t, ids, count, KD_TOKENIZER_SKIP_SPECIAL, NULL, 0, NULL);
        for (int64_t i = 0; i < count && i < 100; i++) {
            kd_detokenizer_push(d, ids[i], &text, NULL);
            kd_tokenizer_token_bytes(t, ids[i], NULL, 0, &bytes, NULL);
        }
        if (end) {
            const char *both = (const char *)end + 1;
            const int64_t size_of_both = (int64_t)(size - json - 1);
            kd_tokenizer_encode_pair(t, both, size_of_both, both, size_of_both,
                                     KD_TOKENIZER_ADD_SPECIAL, ids, types, 4096, &count);
            kd_tokenizer_encode_ends(t, both, size_of_both, 0, ids, ends, 4096, &count);
        }
        kd_detokenizer_finish(d, &text, NULL);
    }
    kd_detokenizer_free(d);
    kd_tokenizer_free(t);
    close(file);
}

/* What was read, rounded to one of the formats that are written. */
static void plan_gguf(kd_model *model, size_t size)
{
    static const int32_t formats[] = { KD_BLOCK_Q4_0,   KD_BLOCK_Q4_K, KD_BLOCK_Q5_K, KD_BLOCK_Q6_K,
                                       KD_BLOCK_IQ4_NL, KD_BLOCK_Q5_1, KD_BLOCK_Q8_0 };
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    kd_gguf_info info = { .struct_size = sizeof info };
    o.format = formats[size % (sizeof formats / sizeof *formats)];
    o.mixture = (int32_t)(size / 7 % 3);
    if (model) kd_model_plan_gguf(model, &o, &info);
}

/* An importance matrix, for a model of one layer. */
static void load_importance(const char *path)
{
    static kd_model *model;
    kd_importance *importance = NULL;
    kd_array means;
    int64_t count;
    if (!model && kd_model_create(&model, ctx,
                                  "{\"model_type\":\"llama\",\"vocab_size\":3,\"hidden_size\":4,"
                                  "\"intermediate_size\":3,\"num_hidden_layers\":1,"
                                  "\"num_attention_heads\":2,\"max_position_embeddings\":8}",
                                  NULL) != KD_OK)
        abort();
    if (kd_importance_load(&importance, model, path) != KD_OK) return;
    if (kd_importance_get(importance, "model.layers.0.mlp.down_proj.weight", &means, &count) !=
        KD_OK)
        abort();
    kd_importance_free(importance);
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
    plan_gguf(model, size);
    load_importance(path);
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

static void use_records(const uint8_t *data, size_t size, const kd_record_options *ro)
{
    kd_record_reader *reader = NULL;
    kd_curation *c = NULL;
    kd_packer *packer = NULL;
    kd_filter_options tests = KD_FILTER_OPTIONS_INIT, host = KD_FILTER_OPTIONS_INIT;
    kd_record r = KD_RECORD_INIT;
    char *json, *table = NULL;
    if (kd_record_reader_open_text(&reader, ctx, (const char *)data, (int64_t)size, ro) != KD_OK ||
        kd_curation_create(&c, ctx, NULL) != KD_OK)
        abort();
    if (kd_packer_create(&packer, ctx, NULL, NULL) != KD_OK) abort();
    while (kd_record_reader_next(reader, &r) == KD_OK) {
        kd_record_reader *again = NULL;
        kd_record s = KD_RECORD_INIT;
        if (kd_record_to_json(ctx, &r, &json) != KD_OK) abort();
        /* what is written is read again, the same */
        if (kd_record_reader_open_text(&again, ctx, json, -1, ro) != KD_OK ||
            kd_record_reader_next(again, &s) != KD_OK)
            abort();
        if (memcmp(r.key, s.key, sizeof r.key)) abort();
        kd_record_reader_free(again);
        kd_context_free_text(ctx, json);
        kd_packer_add(packer, &r, 0);
    }
    tests.tests = reader;
    host.function = drop_none;
    for (int32_t kind = KD_FILTER_LENGTH; kind <= KD_FILTER_SAMPLE; kind++)
        kd_curation_add(c, kind,
                        kind == KD_FILTER_CONTAMINATION ? &tests
                        : kind == KD_FILTER_HOST        ? &host
                                                        : NULL,
                        NULL);
    if (kd_curation_run(c, reader, NULL, NULL) == KD_OK && kd_curation_to_text(c, &table) == KD_OK)
        kd_context_free_text(ctx, table);
    kd_packer_free(packer);
    kd_curation_free(c);
    kd_record_reader_free(reader);
}

/* As they are read by default; and with what is not supported kept, and thoughts as members of
 * their turns. */
static void use_records_both_ways(const uint8_t *data, size_t size)
{
    kd_record_options ro = KD_RECORD_OPTIONS_INIT;
    ro.bad_lines = KD_BAD_LINES_SKIP;
    use_records(data, size, &ro);
    ro.unsupported = KD_MEMBERS_KEEP;
    ro.reasoning = KD_REASONING_MEMBER;
    use_records(data, size, &ro);
}

/* A file of records, which may be gzip: every record, and again after a rewind. */
static void read_record_file(const char *path)
{
    kd_record_reader *reader = NULL;
    kd_record r = KD_RECORD_INIT;
    kd_record_counts first = { .struct_size = sizeof first }, second = first;
    kd_record_options ro = KD_RECORD_OPTIONS_INIT;
    ro.bad_lines = KD_BAD_LINES_SKIP;
    if (kd_record_reader_open(&reader, ctx, &path, 1, &ro) != KD_OK) return;
    for (int pass = 0; pass < 2; pass++) {
        int errors = 0;
        for (kd_status status = KD_OK; status != KD_END; errors += status < 0)
            status = kd_record_reader_next(reader, &r);
        if (errors > 1) abort(); /* of one file: one error, then its end */
        if (kd_record_reader_get_counts(reader, pass ? &second : &first) != KD_OK ||
            kd_record_reader_rewind(reader) != KD_OK)
            abort();
    }
    if (memcmp(&first, &second, sizeof first)) abort();
    kd_record_reader_free(reader);
}

static void import_lines(const char *path, int32_t format)
{
    kd_store_writer *writer = NULL;
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_import_options import = KD_IMPORT_OPTIONS_INIT;
    static const char strings[] = "{\"a\":0,\"b\":1,\"\xe2\x96\x81"
                                  "c\":2,\"<0x0A>\":3}";
    char to[64], table[64];
    int file = as_file((const uint8_t *)"", 0, to),
        ids = as_file((const uint8_t *)strings, sizeof strings - 1, table);
    import.token_table = table;
    o.vocabulary = 1000;
    o.sync = KD_SYNC_NEVER;
    o.append = 1;
    f.kind = KD_STORE_TOPK;
    f.name = "topk";
    import.k = 4;
    import.max_unmapped = 1;
    if (kd_store_writer_create(&writer, ctx, to, &o, &f, 1) == KD_OK)
        kd_store_writer_import(writer, format, path, &import, NULL);
    kd_store_writer_free(writer);
    close(ids);
    close(file);
}

/* A template up to the first zero, rendered with the JSON object that lies behind it. */
static void use_template(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *end = memchr(data, 0, size);
    const size_t bytes = end ? (size_t)(end - text) : size;
    kd__template *t = NULL;
    kd__room room = { .context = ctx };
    kd__json_document json = { 0 };
    kd__value variables;
    kd__template_options o = { .now = 86400 };
    kd__template_output output;
    if (kd__dict_new(&room, &variables) != KD_OK) abort();
    if (end && kd__json_parse(&json, ctx, end + 1, size - bytes - 1, "fuzz") == KD_OK &&
        json.root->type == KD__JSON_OBJECT &&
        kd__value_from_json(&room, json.root, &variables) != KD_OK &&
        kd__dict_new(&room, &variables) != KD_OK)
        abort();
    room.most_work = 1 << 20;
    if (kd__template_parse(&t, ctx, text, (int64_t)bytes, "fuzz") == KD_OK &&
        kd__template_render(t, &room, &variables, &o, &output) == KD_OK &&
        strlen(output.text) > (size_t)output.bytes)
        abort();
    kd__template_free(t);
    kd__json_free(&json);
    kd__room_free(&room);
}

/* One kind alone, or by the first byte. */
static int kind_of(uint8_t first)
{
    static int only = -2;
    if (only == -2) only = getenv("KD_FUZZ_KIND") ? atoi(getenv("KD_FUZZ_KIND")) % KINDS : -1;
    return only >= 0 ? only : first % KINDS;
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
    const int kind = kind_of(*data++), file = as_file(data, --size, path);
    if (kind == 0 && kd__json_parse(&json, ctx, (const char *)data, size, "fuzz") == KD_OK)
        kd__json_free(&json);
    if (kind == 1 &&
        kd__safetensors_parse(&tensors, ctx, (const char *)data, (int64_t)size, "fuzz") == KD_OK)
        kd__safetensors_free(&tensors);
    if (kind == 2 && kd_dataset_create(&dataset, ctx, NULL) == KD_OK)
        kd_dataset_add_file(dataset, "x", path, NULL);
    if (kind == 3) kd_dataset_load_csv(&dataset, ctx, path, NULL);
    if (kind == 4) load_checkpoint(path);
    if (kind == 5) make_model(data, size);
    if (kind == 6 || kind == 7) open_store(path, kind == 7);
    if (kind == 8) open_mended(data, size);
    if (kind >= 9 && kind < 12) import_lines(path, kind - 8);
    for (int32_t form = KD_IMPORT_LLAMA_CPP; kind == 9 && form <= KD_IMPORT_TGI; form++)
        import_lines(path, form);
    if (kind == 12) use_tokenizer(data, size);
    if (kind == 13) load_gguf(data, size);
    if (kind == 14) use_records_both_ways(data, size);
    if (kind == 2) read_record_file(path);
    if (kind == 15) use_answers(ctx, data, size);
    if (kind == 16) use_template(data, size);
    if (kind == 17) use_chat_by_parts(ctx, data, size);
    if (kind == 18) use_model_folder(ctx, data, size);
    if (kind == 19) load_projections(path);
    if (kind == 20) use_pixels(ctx, data, size);
    if (kind == 21) use_wave(ctx, data, size);
    if (kind == 22) use_mel(ctx, data, size);
    if (kind == 23) use_arrow(ctx, data, size);
    if (kind == 24) use_adapters(ctx, data, size);
    kd_dataset_free(dataset);
    close(file);
    return 0;
}

#ifndef FUZZ_ALONE
#include "folder_mutate.h"
#include "gguf_mutate.h"

/* A JSON text up to the first zero. */
static size_t text_mutate(json_change *c, uint8_t *data, size_t size, size_t room, unsigned seed)
{
    const uint8_t *end = memchr(data, 0, size);
    const size_t bytes = end ? (size_t)(end - data) : size;
    json_mutate(c, (const char *)data, bytes, seed);
    return json_replace(c, data, size, 0, bytes, room);
}

/* By its structure, where the kind has one that is known; 0: it was not changed. */
static size_t mutate(int kind, uint8_t *data, size_t size, size_t room, unsigned seed)
{
    static json_change change;
    switch (kind) {
    case 0:
    case 5:
    case 12:
    case 20: return text_mutate(&change, data, size, room, seed);
    case 1:
    case 19: return tensors_mutate(&change, data, size, room, seed);
    case 13: return gguf_mutate(ctx, data, size, room, seed);
    case 18:
    case 24: return folder_mutate(&change, data, size, room, seed);
    default: return 0;
    }
}

/* By structure three times in four, else by bytes. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    size_t made = 0;
    if (!ctx && kd_context_create(&ctx, NULL) != KD_OK) return 0;
    if (size && seed % 4) made = mutate(kind_of(*data), data + 1, size - 1, room - 1, seed / 4);
    return made ? made + 1 : LLVMFuzzerMutate(data, size, room);
}
#endif

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
