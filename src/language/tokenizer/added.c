/* Added tokens of tokenizer.json. The tokenizers package does not take their ids from the file: a
 * token that the vocabulary has keeps its id, another one gets the next id after the vocabulary's
 * number of tokens. Where that is another id than the file's, one of the two is not what the model
 * was trained with: the file is refused (huggingface/tokenizers#1528). */
#include "language/tokenizer/added.h"

#include <string.h>

#include "base/numbers.h"
#include "language/tokenizer/reader.h"

#define MOST_BYTES 1000 /* of one added token: encoding a text is linear in the longest */

static int32_t read_flags(const kd__json *node)
{
    const int special = kd__is_on(node, "special", 0);
    int32_t flags = KD_TOKEN_ADDED;
    if (special) flags |= KD_TOKEN_SPECIAL;
    if (kd__is_on(node, "normalized", !special)) flags |= KD__TOKEN_NORMALIZED;
    if (kd__is_on(node, "lstrip", 0)) flags |= KD__TOKEN_LEFT;
    if (kd__is_on(node, "rstrip", 0)) flags |= KD__TOKEN_RIGHT;
    if (kd__is_on(node, "single_word", 0)) flags |= KD__TOKEN_WORD;
    return flags;
}

static int has_text(const kd_tokenizer *t, int64_t id, const kd__json *content)
{
    const kd__token *token = id < t->size ? &t->tokens[id] : NULL;
    return token && token->text && token->text_bytes == content->length &&
           !memcmp(token->text, content->text, (size_t)content->length);
}

/* The id that the package gives; `next` is the one of the next token that is new. */
static int64_t expected_id(const kd_tokenizer *t, const kd__json *content, int64_t id, int64_t next)
{
    if (has_text(t, id, content)) return id;
    const int32_t known = kd__find_token(t, content->text, content->length);
    return known >= 0 ? known : next;
}

static kd_status check_id(const kd_tokenizer *t, const char *what, const kd__json *content,
                          int64_t id, int64_t next)
{
    const int64_t expected = expected_id(t, content, id, next);
    KD_FAIL_IF(id != expected, KD_ERR_UNSUPPORTED,
               "%s: added token %.60s has the id %lld: expected %lld, which the tokenizers package "
               "gives it",
               what, content->text, (long long)id, (long long)expected);
    KD_FAIL_IF(id == next && id < t->size && t->tokens[id].text && !has_text(t, id, content),
               KD_ERR_UNSUPPORTED,
               "%s: added token %.60s has the id %lld, which is that of token %.60s", what,
               content->text, (long long)id, t->tokens[id].text);
    return KD_OK;
}

static kd_status read_one(kd_tokenizer *t, const char *what, const kd__json *node, int64_t most,
                          int64_t *next)
{
    const kd__json *content = kd__json_member(node, "content"),
                   *number = kd__json_member(node, "id");
    int64_t id;
    KD_FAIL_IF(!content || content->type != KD__JSON_STRING || !number, KD_ERR_FORMAT,
               "%s: an added token without content or id", what);
    KD_TRY(kd__json_integer(number, 0, most, &id, "tokenizer: an id"));
    if (!content->length) return KD_OK; /* the package passes it over */
    KD_FAIL_IF(content->length > MOST_BYTES, KD_ERR_UNSUPPORTED,
               "%s: added token %.60s has %lld bytes: expected at most %d", what, content->text,
               (long long)content->length, MOST_BYTES);
    KD_TRY(check_id(t, what, content, id, *next));

    const int32_t before = id < t->size ? t->tokens[id].flags : 0, flags = read_flags(node);
    if (before & KD_TOKEN_ADDED) {
        KD_FAIL_IF((before & ~KD__TOKEN_OUTSIDE) != flags, KD_ERR_UNSUPPORTED,
                   "%s: added token %.60s is there twice, with other properties", what,
                   content->text);
        return KD_OK;
    }
    const int is_new = !has_text(t, id, content);
    *next += is_new;
    return kd__tokenizer_set(t, id, content->text, content->length,
                             flags | (is_new ? KD__TOKEN_OUTSIDE : 0));
}

kd_status kd__added_read(kd_tokenizer *t, const char *what, const kd__json *list, int64_t most)
{
    int64_t next = kd__added_next(t);
    for (const kd__json *n = list && list->type == KD__JSON_ARRAY ? list->first : NULL; n;
         n = n->next)
        KD_TRY(read_one(t, what, n, most, &next));
    return KD_OK;
}

kd_status kd__added_check(const kd_tokenizer *t, const char *what)
{
    for (int64_t i = 0; i < t->size; i++) {
        const kd__token *token = &t->tokens[i];
        if (!token->text || !(token->flags & KD__TOKEN_OUTSIDE)) continue;
        const int32_t first = kd__find_token(t, token->text, token->text_bytes);
        KD_FAIL_IF(first != i, KD_ERR_UNSUPPORTED,
                   "%s: added token %.60s has the id %lld: expected %d, which it has already", what,
                   token->text, (long long)i, first);
    }
    return KD_OK;
}

int64_t kd__added_next(const kd_tokenizer *t)
{
    int64_t vocabulary = 0, after = 0;
    for (int64_t i = 0; i < t->size; i++) {
        if (!t->tokens[i].text) continue;
        if (t->tokens[i].flags & KD_TOKEN_ADDED) after = i + 1;
        vocabulary += !(t->tokens[i].flags & KD__TOKEN_OUTSIDE);
    }
    return kd__max(after, vocabulary);
}
