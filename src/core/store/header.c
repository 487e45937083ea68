/* The header: JSON behind a fixed beginning, so that any program can read what a store holds. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "formats/json.h"
#include "core/store/store.h"

static const kd_store_options option_defaults = KD_STORE_OPTIONS_INIT;
static const kd_store_field field_defaults = KD_STORE_FIELD_INIT;
static const kd_store_open_options open_defaults = KD_STORE_OPEN_OPTIONS_INIT;
void kd_store_options_init(kd_store_options *o, size_t size)
{
    kd__options_init(o, size, &option_defaults, sizeof option_defaults);
}
void kd_store_field_init(kd_store_field *o, size_t size)
{
    kd__options_init(o, size, &field_defaults, sizeof field_defaults);
}
void kd_store_open_options_init(kd_store_open_options *o, size_t size)
{
    kd__options_init(o, size, &open_defaults, sizeof open_defaults);
}

static const char *const kinds[] = { "",       "dense", "topk",  "counts", "hidden",   "vectors",
                                     "labels", "text",  "score", "seed",   "embedding" };
static const struct {
    const char *name;
    int32_t dtype;
} encodings[] = { { "float32", KD_FLOAT32 },
                  { "float16", KD_FLOAT16 },
                  { "bfloat16", KD_BFLOAT16 },
                  { "int8", KD_INT8 } };

static const char *encoding_name(int32_t dtype)
{
    for (int i = 0; i < 4; i++)
        if (encodings[i].dtype == dtype) return encodings[i].name;
    return "float32";
}

static const char *align_name(int32_t align) { return align == KD_ALIGN_NEXT ? "next" : "same"; }

static kd_status write_field(kd__text *json, const kd__store_field *f, int last)
{
    KD_TRY(kd__text_format(json, "    {\"name\": "));
    KD_TRY(kd__text_quoted(json, f->name));
    KD_TRY(kd__text_format(json,
                           ", \"kind\": \"%s\", \"encoding\": \"%s\", \"bits\": %d, \"width\": "
                           "%lld, \"projection\": %lld, \"k\": %lld, \"mass\": ",
                           kinds[f->kind], encoding_name(f->encoding), f->bits, (long long)f->width,
                           (long long)f->projection, (long long)f->k));
    KD_TRY(kd__text_number(json, f->mass));
    return kd__text_format(json, ", \"bytes\": %lld, \"draws\": %lld}%s\n", (long long)f->bytes,
                           (long long)f->draws, last ? "" : ",");
}

static kd_status write_string(kd__text *json, const char *key, const char *value)
{
    KD_TRY(kd__text_format(json, "  \"%s\": ", key));
    KD_TRY(kd__text_quoted(json, value ? value : ""));
    return kd__text_format(json, ",\n");
}

static kd_status write_temperatures(kd__text *json, const kd_store_options *o)
{
    KD_TRY(kd__text_format(json, "  \"temperature\": "));
    KD_TRY(kd__text_number(json, o->temperature));
    KD_TRY(kd__text_format(json, ",\n  \"temperatures\": ["));
    for (int32_t i = 0; i < o->temperature_count; i++) {
        KD_TRY(kd__text_append(json, ", ", i ? 2 : 0));
        KD_TRY(kd__text_number(json, o->temperatures[i]));
    }
    return kd__text_format(json, "],\n");
}

static kd_status write_fields(kd__text *json, const kd__store_field *fields, int32_t count)
{
    KD_TRY(kd__text_format(json, "  \"fields\": [\n"));
    for (int32_t i = 0; i < count; i++) KD_TRY(write_field(json, &fields[i], i + 1 == count));
    return kd__text_format(json, "  ]");
}

static kd_status write_tokens(kd__text *json, const kd_store_options *o)
{
    if (!o->tokens) return KD_OK;
    KD_TRY(kd__text_format(json, ",\n  \"tokens\": ["));
    for (int64_t i = 0; i < o->vocabulary; i++) {
        KD_FAIL_IF(!o->tokens[i], KD_ERR_INVALID, "tokens: string %lld: expected a text, got NULL",
                   (long long)i);
        KD_TRY(kd__text_append(json, ",", i > 0));
        KD_TRY(kd__text_quoted(json, o->tokens[i]));
    }
    return kd__text_format(json, "]");
}

kd_status kd__header_write(const kd_store_options *o, const kd__store_field *fields, int32_t count,
                           kd__text *json)
{
    const int32_t version = kd_version();
    KD_TRY(kd__text_format(json, "{\n  \"created_with\": \"libkdistill %d.%d.%d\",\n",
                           version / 10000, version / 100 % 100, version % 100));
    KD_TRY(write_string(json, "teacher", o->teacher));
    KD_TRY(kd__text_format(json, "  \"vocabulary\": %lld,\n  \"padded_vocabulary\": %lld,\n",
                           (long long)o->vocabulary, (long long)o->padded_vocabulary));
    KD_TRY(write_string(json, "align", align_name(o->align)));
    KD_TRY(kd__text_format(json, "  \"seed\": \"%llu\",\n", (unsigned long long)o->seed));
    KD_TRY(write_temperatures(json, o));
    KD_TRY(write_string(json, "tokenizer", o->tokenizer));
    KD_TRY(write_string(json, "chat_template", o->chat_template));
    KD_TRY(write_string(json, "key", "MurmurHash3_x64_128, seed 0"));
    KD_TRY(write_string(json, "sample_check", "CRC-32"));
    KD_TRY(write_fields(json, fields, count));
    KD_TRY(write_tokens(json, o));
    KD_TRY(kd__text_format(json, "\n}\n"));
    while (json->size % 8) KD_TRY(kd__text_append(json, " ", 1));
    return KD_OK;
}

void kd__file_header(uint8_t to[KD__FILE_HEADER], const kd__text *json)
{
    memset(to, 0, KD__FILE_HEADER);
    memcpy(to, KD__STORE_MAGIC, 8);
    kd__put32(to + 8, KD__STORE_VERSION);
    kd__put32(to + 12, 0x01020304);
    kd__put64(to + 16, (uint64_t)json->size);
    kd__put32(to + 24, kd__crc32(0, json->bytes, (size_t)json->size));
    kd__put32(to + 60, kd__crc32(0, to, 60));
}

/* ---- reading ---- */

static kd_status bad(const char *path, const char *what)
{
    return kd__fail(KD_ERR_FORMAT, "%s: header: %s", path, what);
}

static kd_status get_integer(const kd__json *object, const char *key, int64_t low, int64_t high,
                             int64_t *value, const char *path)
{
    const kd__json *node = kd__json_member(object, key);
    if (!node || node->type != KD__JSON_NUMBER || node->number != floor(node->number) ||
        !(node->number >= (double)low && node->number <= (double)high))
        return kd__fail(KD_ERR_FORMAT,
                        "%s: header: '%s' is missing or not a whole number in %lld to %lld", path,
                        key, (long long)low, (long long)high);
    *value = (int64_t)node->number;
    return KD_OK;
}

static kd_status get_number(const kd__json *node, double low, double high, double *value,
                            const char *path, const char *key)
{
    if (!node || node->type != KD__JSON_NUMBER || !(node->number >= low && node->number <= high))
        return kd__fail(KD_ERR_FORMAT, "%s: header: '%s' is missing or not in %g to %g", path, key,
                        low, high);
    *value = node->number;
    return KD_OK;
}

static kd_status get_name(const kd__json *object, const char *key, char to[KD_NAME_BYTES],
                          const char *path)
{
    const kd__json *node = kd__json_member(object, key);
    if (!node || node->type != KD__JSON_STRING || node->length >= KD_NAME_BYTES ||
        strlen(node->text) != (size_t)node->length)
        return kd__fail(KD_ERR_FORMAT, "%s: header: '%s' is missing or not a short string", path,
                        key);
    memcpy(to, node->text, (size_t)node->length + 1);
    return KD_OK;
}

static kd_status parse_kind(const kd__json *node, kd__store_field *f, const char *path)
{
    char text[KD_NAME_BYTES];
    KD_TRY(get_name(node, "kind", text, path));
    for (int32_t i = 1; i < (int32_t)(sizeof kinds / sizeof *kinds); i++)
        if (!strcmp(text, kinds[i])) f->kind = i;
    KD_FAIL_IF(!f->kind, KD_ERR_VERSION,
               "%s: header: kind '%s' of field '%s' is unknown to this version", path, text,
               f->name);
    return KD_OK;
}

static kd_status parse_encoding(const kd__json *node, kd__store_field *f, const char *path)
{
    char text[KD_NAME_BYTES];
    KD_TRY(get_name(node, "encoding", text, path));
    for (int i = 0; i < 4; i++)
        if (!strcmp(text, encodings[i].name)) f->encoding = encodings[i].dtype;
    KD_FAIL_IF(!f->encoding, KD_ERR_VERSION,
               "%s: header: encoding '%s' of field '%s' is unknown to this version", path, text,
               f->name);
    return KD_OK;
}

static kd_status parse_field(const kd__json *node, int64_t vocabulary, kd__store_field *f,
                             const char *path)
{
    int64_t bits;
    if (node->type != KD__JSON_OBJECT) return bad(path, "expected an object for each field");
    KD_TRY(get_name(node, "name", f->name, path));
    if (!*f->name) return bad(path, "expected a field's name, got an empty one");
    memcpy(f->source, f->name, sizeof f->source);
    KD_TRY(parse_kind(node, f, path));
    KD_TRY(parse_encoding(node, f, path));
    KD_TRY(get_integer(node, "bits", 0, INT32_MAX, &bits, path));
    f->bits = (int32_t)bits;
    KD_TRY(get_integer(node, "width", 0, INT32_MAX, &f->width, path));
    KD_TRY(get_integer(node, "projection", 0, INT32_MAX, &f->projection, path));
    KD_TRY(get_integer(node, "k", 0, INT32_MAX, &f->k, path));
    KD_TRY(get_integer(node, "bytes", 0, KD__MOST_BYTES, &f->bytes, path));
    KD_TRY(get_integer(node, "draws", 0, INT32_MAX, &f->draws, path));
    KD_TRY(get_number(kd__json_member(node, "mass"), 0, 1, &f->mass, path, "mass"));
    return kd__bounds_field(f, vocabulary, KD_ERR_FORMAT, path);
}

static kd_status parse_temperatures(const kd__json *root, kd__store_header *h, const char *path)
{
    const kd__json *list = kd__json_member(root, "temperatures");
    KD_TRY(get_number(kd__json_member(root, "temperature"), 0, 1000, &h->temperature, path,
                      "temperature"));
    KD_TRY(kd__bounds_temperature(h->temperature, KD_ERR_FORMAT, path));
    if (!list || list->type != KD__JSON_ARRAY || list->children > KD__MAX_TEMPERATURES)
        return bad(path, "'temperatures' is not a short list");
    for (const kd__json *t = list->first; t; t = t->next) {
        double *to = &h->temperatures[h->temperature_count++];
        KD_TRY(get_number(t, 0, 1000, to, path, "temperatures"));
        KD_TRY(kd__bounds_temperature(*to, KD_ERR_FORMAT, path));
    }
    return KD_OK;
}

static kd_status parse_seed(const char *text, uint64_t *seed, const char *path)
{
    *seed = 0;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9') return bad(path, "'seed' is not a number");
        const uint64_t digit = (uint64_t)(*c - '0');
        if (*seed > (UINT64_MAX - digit) / 10) return bad(path, "'seed' is not below 2^64");
        *seed = *seed * 10 + digit;
    }
    return KD_OK;
}

static kd_status parse_align(const kd__json *root, int32_t *align, const char *path)
{
    char text[KD_NAME_BYTES];
    KD_TRY(get_name(root, "align", text, path));
    *align = strcmp(text, "next") ? KD_ALIGN_SAME : KD_ALIGN_NEXT;
    return strcmp(text, align_name(*align)) ? bad(path, "'align' is neither \"next\" nor \"same\"")
                                            : KD_OK;
}

static kd_status parse_fields(const kd__json *root, kd__store_header *h, const char *path)
{
    const kd__json *fields = kd__json_member(root, "fields");
    if (!fields || fields->type != KD__JSON_ARRAY || fields->children > KD__MAX_FIELDS)
        return bad(path, "'fields' is not a list of at most 32");
    for (const kd__json *f = fields->first; f; f = f->next) {
        KD_TRY(parse_field(f, h->vocabulary, &h->fields[h->field_count], path));
        if (kd__header_field(h, h->fields[h->field_count].name) >= 0)
            return bad(path, "two fields of one name");
        h->field_count++;
    }
    return KD_OK;
}

static kd_status parse_root(const kd__json *root, kd__store_header *h, const char *path)
{
    char text[KD_NAME_BYTES];
    if (root->type != KD__JSON_OBJECT) return bad(path, "not an object");
    KD_TRY(get_integer(root, "vocabulary", 0, INT32_MAX, &h->vocabulary, path));
    KD_TRY(get_integer(root, "padded_vocabulary", 0, INT32_MAX, &h->padded, path));
    KD_TRY(kd__bounds_vocabulary(h->vocabulary, h->padded, KD_ERR_FORMAT, path));
    KD_TRY(parse_temperatures(root, h, path));
    KD_TRY(parse_align(root, &h->align, path));
    KD_TRY(get_name(root, "seed", text, path));
    KD_TRY(parse_seed(text, &h->seed, path));
    KD_TRY(get_name(root, "tokenizer", h->tokenizer, path));
    KD_TRY(get_name(root, "chat_template", h->chat_template, path));
    h->checked = kd__json_member(root, "sample_check") != NULL;
    KD_TRY(parse_fields(root, h, path));
    const kd__json *tokens = kd__json_member(root, "tokens");
    if (tokens && (tokens->type != KD__JSON_ARRAY || tokens->children != h->vocabulary))
        return bad(path, "'tokens' is not a list of the vocabulary");
    h->token_count = tokens ? tokens->children : 0;
    return KD_OK;
}

kd_status kd__header_parse(kd_context *context, kd__store_header *h, char *json, int64_t size,
                           const char *path)
{
    kd__json_document document;
    memset(h, 0, sizeof *h);
    KD_TRY(kd__json_parse(&document, context, json, (size_t)size, path));
    kd_status status = parse_root(document.root, h, path);
    kd__json_free(&document);
    if (status != KD_OK) return status;
    h->json = json;
    h->json_size = size;
    return KD_OK;
}

void kd__header_free(kd_context *context, kd__store_header *header)
{
    kd__release(context, header->json);
    header->json = NULL;
}

int32_t kd__header_field(const kd__store_header *header, const char *name)
{
    for (int32_t i = 0; i < header->field_count; i++)
        if (!strcmp(header->fields[i].name, name)) return i;
    return -1;
}

int64_t kd__dense_width(const kd__store_header *header)
{
    return header->padded ? header->padded : header->vocabulary;
}

int64_t kd__field_width(const kd__store_header *header, const kd__store_field *field)
{
    if (field->kind == KD_STORE_DENSE) return kd__dense_width(header);
    const int projects = field->kind == KD_STORE_VECTORS || field->kind == KD_STORE_EMBEDDING;
    return projects && field->projection ? field->projection : field->width;
}

int kd__kind_is_of_rows(int32_t kind) { return kind <= KD_STORE_LABELS; }

int kd__header_has_rows(const kd__store_header *header)
{
    for (int32_t i = 0; i < header->field_count; i++)
        if (kd__kind_is_of_rows(header->fields[i].kind)) return 1;
    return 0;
}

static kd_status differs(const char *path, const char *what, const char *a, const char *b)
{
    return kd__fail(KD_ERR_MISMATCH, "%s: %s: expected \"%s\", the store says \"%s\"", path, what,
                    a, b);
}

/* A side that says nothing agrees: what the records' tokens were is checked one by one. */
static int hashes_differ(const char *a, const char *b) { return *a && *b && strcmp(a, b) != 0; }

static kd_status sizes_agree(const kd__store_header *a, const kd__store_header *b, const char *path)
{
    const size_t further = sizeof *a->temperatures * (size_t)a->temperature_count;
    KD_FAIL_IF(a->vocabulary != b->vocabulary || a->padded != b->padded, KD_ERR_MISMATCH,
               "%s: vocabulary: expected %lld (padded %lld), the store says %lld (padded %lld)",
               path, (long long)a->vocabulary, (long long)a->padded, (long long)b->vocabulary,
               (long long)b->padded);
    const int same = a->temperature == b->temperature &&
                     a->temperature_count == b->temperature_count &&
                     !memcmp(a->temperatures, b->temperatures, further);
    KD_FAIL_IF(!same, KD_ERR_MISMATCH,
               "%s: temperature: expected %g and %d further, the store says %g and %d", path,
               a->temperature, a->temperature_count, b->temperature, b->temperature_count);
    return KD_OK;
}

static kd_status field_agrees(const kd__store_field *x, const kd__store_field *y, int32_t i,
                              const char *path)
{
    const int same = !strcmp(x->name, y->name) && x->kind == y->kind &&
                     x->encoding == y->encoding && x->bits == y->bits && x->width == y->width &&
                     x->projection == y->projection;
    KD_FAIL_IF(!same, KD_ERR_MISMATCH,
               "%s: field %d: expected '%s' (%s, %s, %d bits, width %lld), the store has '%s' "
               "(%s, %s, %d bits, width %lld)",
               path, i, x->name, kinds[x->kind], encoding_name(x->encoding), x->bits,
               (long long)x->width, y->name, kinds[y->kind], encoding_name(y->encoding), y->bits,
               (long long)y->width);
    return KD_OK;
}

kd_status kd__header_agree(const kd__store_header *a, const kd__store_header *b, const char *path)
{
    KD_TRY(sizes_agree(a, b, path));
    if (a->align != b->align)
        return differs(path, "alignment", align_name(a->align), align_name(b->align));
    if (hashes_differ(a->tokenizer, b->tokenizer))
        return differs(path, "tokenizer", a->tokenizer, b->tokenizer);
    if (hashes_differ(a->chat_template, b->chat_template))
        return differs(path, "chat template", a->chat_template, b->chat_template);
    KD_FAIL_IF(a->seed != b->seed, KD_ERR_MISMATCH,
               "%s: seed of the rotations: expected %llu, the store has %llu", path,
               (unsigned long long)a->seed, (unsigned long long)b->seed);
    KD_FAIL_IF(a->field_count != b->field_count, KD_ERR_MISMATCH,
               "%s: expected %d fields, the store has %d", path, a->field_count, b->field_count);
    for (int32_t i = 0; i < a->field_count; i++)
        KD_TRY(field_agrees(&a->fields[i], &b->fields[i], i, path));
    return KD_OK;
}

static int is_exception(const kd_store_open_options *o, int64_t id)
{
    for (int64_t i = 0; i < o->exception_count; i++)
        if (o->exceptions[i] == id) return 1;
    return 0;
}

static kd_status compare_tokens(const kd__json *tokens, const kd_store_open_options *o,
                                const char *path)
{
    int64_t id = 0, wrong = 0, first = -1;
    char ours[64] = "", theirs[64] = "";
    for (const kd__json *t = tokens->first; t; t = t->next, id++) {
        const char *given = id < o->token_count ? o->tokens[id] : NULL;
        if (t->type != KD__JSON_STRING || (given && strlen(given) == (size_t)t->length &&
                                           !memcmp(given, t->text, (size_t)t->length)))
            continue;
        if (is_exception(o, id)) continue;
        if (!wrong++) {
            first = id;
            snprintf(ours, sizeof ours, "%.60s", given ? given : "(none)");
            snprintf(theirs, sizeof theirs, "%.60s", t->text);
        }
    }
    KD_FAIL_IF(wrong, KD_ERR_MISMATCH,
               "%s: %lld tokens differ from the host's; the first: id %lld is \"%s\" in the store "
               "and \"%s\" here",
               path, (long long)wrong, (long long)first, theirs, ours);
    return KD_OK;
}

kd_status kd__header_tokens(kd_context *context, const kd__store_header *header,
                            const kd_store_open_options *o, const char *path)
{
    const int compare = o->tokens && header->token_count;
    kd__json_document document;
    if (o->align >= 0 && o->align != header->align)
        return differs(path, "alignment", align_name(o->align), align_name(header->align));
    if (o->tokenizer && strcmp(o->tokenizer, header->tokenizer) && !compare)
        return differs(path, "tokenizer", o->tokenizer, header->tokenizer);
    if (o->chat_template && strcmp(o->chat_template, header->chat_template))
        return differs(path, "chat template", o->chat_template, header->chat_template);
    if (!compare) return KD_OK;
    KD_TRY(kd__json_parse(&document, context, header->json, (size_t)header->json_size, path));
    kd_status status = compare_tokens(kd__json_member(document.root, "tokens"), o, path);
    kd__json_free(&document);
    return status;
}
