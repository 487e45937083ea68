/* What begins and ends a text: as the files beside the tokenizer say it. */
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "formats/gguf.h"
#include "language/tokenizer/ends.h"

static int is_token(const kd_tokenizer *t, int64_t id)
{
    return id >= 0 && id < t->size && t->tokens[id].text;
}

/* An id that is no token ends nothing. */
static void add_end(kd_tokenizer *t, int64_t id)
{
    if (!is_token(t, id) || t->end_count == KD__MOST_ENDS) return;
    for (int32_t i = 0; i < t->end_count; i++)
        if (t->ends[i] == id) return;
    t->ends[t->end_count++] = (int32_t)id;
}

static int64_t id_of_number(const kd__json *node)
{
    int64_t id;
    return kd__json_integer(node, 0, INT32_MAX, &id, "id") == KD_OK ? id : -1;
}

/* A token as a text, or as an object with "content". */
static int64_t id_of_token(const kd_tokenizer *t, const kd__json *node)
{
    if (node && node->type == KD__JSON_OBJECT) node = kd__json_member(node, "content");
    return node && node->type == KD__JSON_STRING ? kd__find_token(t, node->text, node->length) : -1;
}

static void read_tokens(kd_tokenizer *t, const kd__json *root)
{
    add_end(t, id_of_token(t, kd__json_member(root, "eos_token")));
    if (t->begin < 0) t->begin = (int32_t)id_of_token(t, kd__json_member(root, "bos_token"));
}

/* A number, or a list of them. */
static void read_numbers(kd_tokenizer *t, const kd__json *root)
{
    const kd__json *end = kd__json_member(root, "eos_token_id"),
                   *begin = kd__json_member(root, "bos_token_id");
    if (end && end->type == KD__JSON_NUMBER) add_end(t, id_of_number(end));
    for (const kd__json *n = end && end->type == KD__JSON_ARRAY ? end->first : NULL; n; n = n->next)
        if (n->type == KD__JSON_NUMBER) add_end(t, id_of_number(n));
    const int64_t id = begin && begin->type == KD__JSON_NUMBER ? id_of_number(begin) : -1;
    if (t->begin < 0 && is_token(t, id)) t->begin = (int32_t)id;
}

/* A file that is not there says nothing; nor does one that is broken, which the log tells. */
static kd_status read_one(kd_tokenizer *t, const char *folder, const char *name,
                          void (*read)(kd_tokenizer *, const kd__json *))
{
    kd_context *context = t->object.context;
    kd__json_document document = { 0 };
    char *path = NULL, *text = NULL;
    int64_t bytes;
    KD_TRY(kd__path_join(context, &path, folder, name));
    kd_status status = kd__file_read(context, path, 1 << 24, &text, &bytes);
    if (status == KD_OK) status = kd__json_parse(&document, context, text, (size_t)bytes, path);
    if (status == KD_OK) read(t, document.root);
    else if (status != KD_ERR_NOT_FOUND)
        kd__log(context, KD_LOG_WARNING, "what ends a text is not read: %s", kd_last_error());
    kd__json_free(&document);
    kd__release(context, text);
    kd__release(context, path);
    return status == KD_ERR_MEMORY ? status : KD_OK;
}

kd_status kd__ends_read(kd_tokenizer *t, const char *folder)
{
    KD_TRY(read_one(t, folder, "tokenizer_config.json", read_tokens));
    KD_TRY(read_one(t, folder, "special_tokens_map.json", read_tokens));
    KD_TRY(read_one(t, folder, "generation_config.json", read_numbers));
    if (!t->end_count) KD_TRY(read_one(t, folder, "config.json", read_numbers));
    return KD_OK;
}

void kd__ends_read_gguf(kd_tokenizer *t, const kd__gguf *file)
{
    static const char *const ends[] = { "tokenizer.ggml.eos_token_id",
                                        "tokenizer.ggml.eot_token_id",
                                        "tokenizer.ggml.eom_token_id" };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const double id = kd__gguf_number(file, ends[i], -1);
        if (id >= 0 && id < (double)t->size) add_end(t, (int64_t)id);
    }
    const double id = kd__gguf_number(file, "tokenizer.ggml.bos_token_id", -1);
    if (id >= 0 && id < (double)t->size && is_token(t, (int64_t)id)) t->begin = (int32_t)id;
}

/* An assistant's turn ends with the last of the tokens that are learned, when it is one that no
 * text has of itself. */
kd_status kd__ends_of_turn(kd_tokenizer *t)
{
    enum { ROOM = 1024 };
    const kd_message messages[] = { KD_MESSAGE("user", "a"), KD_MESSAGE("assistant", "b") };
    kd_chat_options o = KD_CHAT_OPTIONS_INIT;
    int32_t ids[ROOM];
    uint8_t answer[ROOM];
    int64_t count = 0;
    if (!t->chat_template) return KD_OK;
    const kd_status status = kd_chat_encode(t, messages, 2, &o, ids, answer, ROOM, &count);
    /* a template that is not known ends nothing */
    if (status != KD_OK) return status == KD_ERR_MEMORY ? status : KD_OK;
    while (count > 0 && !answer[count - 1]) count--;
    if (!count || !(t->tokens[ids[count - 1]].flags & KD_TOKEN_ADDED)) return KD_OK;
    t->turn_end = ids[count - 1];
    add_end(t, t->turn_end);
    return KD_OK;
}

kd_status kd_tokenizer_end_tokens(kd_tokenizer *t, const int32_t **ids, int32_t *count)
{
    KD_NEED(t);
    KD_NEED(count);
    if (ids) *ids = t->ends;
    *count = t->end_count;
    return KD_OK;
}

kd_status kd_tokenizer_begin_token(kd_tokenizer *t, int32_t *id)
{
    KD_NEED(t);
    KD_NEED(id);
    *id = t->begin >= 0 ? t->begin : kd__before_count(t) ? kd__before(t, 0) : -1;
    return KD_OK;
}

kd_status kd__end_token(kd_tokenizer *t, int32_t asked, int32_t *id)
{
    KD_FAIL_IF(asked < KD_END_TOKEN_DEFAULT || (t && asked >= 0 && !is_token(t, asked)),
               KD_ERR_RANGE,
               "end_token: expected KD_END_TOKEN_DEFAULT (%d), KD_END_TOKEN_NONE (%d) or a token's "
               "id, got %d",
               KD_END_TOKEN_DEFAULT, KD_END_TOKEN_NONE, asked);
    *id = asked != KD_END_TOKEN_DEFAULT ? asked
          : t && t->end_count           ? t->ends[0]
                                        : KD_END_TOKEN_NONE;
    return KD_OK;
}
