/* kdistill store import: what servers answered. */
#include <string.h>

#include "tool/say.h"
#include "tool/store_fill.h"

int32_t store_import_format(const char *name)
{
    static const char *const forms[] = {
        "", "openai", "vllm", "flat", "llama-cpp", "sglang", "tgi"
    };
    int32_t format = (int32_t)(sizeof forms / sizeof *forms) - 1;
    while (format && strcmp(forms[format], name)) format--;
    return format;
}

static int open_writer(kd_context *context, const char *out, const store_filling *o,
                       kd_store_writer **writer)
{
    kd_store_options store = KD_STORE_OPTIONS_INIT;
    kd_store_field field = KD_STORE_FIELD_INIT;
    store.vocabulary = o->vocabulary;
    store.temperature = o->temperature;
    store.align = o->align;
    store.tokenizer = o->tokenizer;
    store.teacher = o->teacher;
    store.append = o->append;
    field.kind = KD_STORE_TOPK;
    field.name = "topk";
    field.k = o->k;
    NEED(kd_store_writer_create(writer, context, out, &store, &field, 1));
    return EXIT_DONE;
}

static void put_counts(const char *file, const kd_import_counts *c)
{
    if (saying.json) {
        fputs("{\"file\": ", stdout);
        json_put_text(stdout, file);
        printf(", \"lines\": %lld, \"records\": %lld, \"positions\": %lld, \"entries\": %lld, "
               "\"unmapped\": %lld, \"absent\": %lld, \"doubled\": %lld}\n",
               (long long)c->lines, (long long)c->records, (long long)c->positions,
               (long long)c->entries, (long long)c->unmapped, (long long)c->absent,
               (long long)c->duplicates);
        return;
    }
    printf("%s: lines %lld, records %lld, positions %lld, entries %lld, unmapped %lld, absent "
           "%lld, doubled %lld\n",
           file, (long long)c->lines, (long long)c->records, (long long)c->positions,
           (long long)c->entries, (long long)c->unmapped, (long long)c->absent,
           (long long)c->duplicates);
}

int store_import(kd_context *context, const char *format, const char *out, const char **files,
                 int count, const store_filling *o)
{
    kd_import_options import = KD_IMPORT_OPTIONS_INIT;
    kd_store_writer *writer;
    int code = EXIT_DONE;
    if (!store_import_format(format))
        return say(EXIT_USAGE,
                   "import: expected openai, vllm, llama-cpp, sglang, tgi or flat, got "
                   "'%s'",
                   format);
    if (o->vocabulary < 1)
        return say(EXIT_USAGE, "import: expected --vocabulary, the teacher's number of ids, got "
                               "none");
    import.token_table = o->tokens;
    import.byte_level = o->byte_level;
    import.k = o->k;
    import.positions = o->positions;
    import.max_unmapped = o->max_unmapped;
    PART(open_writer(context, out, o, &writer));
    for (int i = 0; i < count && code == EXIT_DONE; i++) {
        kd_import_counts c = { .struct_size = sizeof c };
        const kd_status status =
            kd_store_writer_import(writer, store_import_format(format), files[i], &import, &c);
        put_counts(files[i], &c);
        if (status < 0) code = say_library();
    }
    if (kd_store_writer_close(writer) < 0 && code == EXIT_DONE) code = say_library();
    kd_store_writer_free(writer);
    return code;
}
