/* What GGUF's metadata cannot say of a tokenizer. Such files have tokens, their kinds, and merges
 * or scores: no flags of added tokens, and of character models a rank for each token instead of one
 * for each merge. */
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "language/tokenizer/gguf_tokenizer.h"

#define SHOWN(token) (int)kd__min((token)->text_bytes, 60), (token)->text

/* Readers find an added token wherever it stands, before the text is normalized, and leave the
 * spaces around it alone. The order of the two is told by a warning alone: many published
 * tokenizers have it. */
kd_status kd__gguf_check_added(const kd_tokenizer *t)
{
    const kd__token *late = NULL;
    for (int64_t i = 0; i < t->size; i++) {
        const kd__token *token = &t->tokens[i];
        if (!token->text || !(token->flags & KD_TOKEN_ADDED)) continue;
        const char *flag = token->flags & KD__TOKEN_LEFT    ? "lstrip"
                           : token->flags & KD__TOKEN_RIGHT ? "rstrip"
                           : token->flags & KD__TOKEN_WORD  ? "single_word"
                                                            : NULL;
        KD_FAIL_IF(flag, KD_ERR_UNSUPPORTED,
                   "GGUF: token %lld, \"%.*s\", has %s, which such files cannot say", (long long)i,
                   SHOWN(token), flag);
        if (token->flags & KD__TOKEN_NORMALIZED && t->normalizers.count) late = token;
    }
    if (late)
        kd__log(t->object.context, KD_LOG_WARNING,
                "GGUF: the token \"%.*s\" is looked for in normalized text; readers of GGUF files "
                "look for it in the text as it is",
                SHOWN(late));
    return KD_OK;
}

/* Readers of character models fall back to bytes, and take what no byte has for one unknown token a
 * run; those of byte models know no unknown token. */
kd_status kd__gguf_check_bytes(const kd_tokenizer *t)
{
    const int as_read = t->byte_level ? t->unknown < 0 : t->unknown >= 0 && t->fuse_unknown;
    KD_FAIL_IF(!t->byte_level && !t->byte_fallback, KD_ERR_UNSUPPORTED,
               "GGUF: a character model without byte_fallback is not written");
    KD_FAIL_IF(!t->byte_level && t->ignore_merges, KD_ERR_UNSUPPORTED,
               "GGUF: ignore_merges of a character model is not written");
    for (int b = 0; b < 256 && !as_read; b++)
        KD_FAIL_IF(t->bytes[b] < 0, KD_ERR_UNSUPPORTED,
                   "GGUF: the tokenizer has no token for the byte 0x%02X, and its way with unknown "
                   "characters%s is not written",
                   b,
                   t->byte_level    ? " (unk_token)"
                   : t->unknown < 0 ? " (no unk_token)"
                                    : " (fuse_unk false)");
    return KD_OK;
}

/* A text that two tokens make though no merge does: readers would make it, with the best rank of
 * all. */
static int is_found(const kd_tokenizer *t, const kd__token *token)
{
    for (int32_t cut = 1; cut < token->text_bytes; cut++)
        if (((unsigned char)token->text[cut] & 0xc0) != 0x80 &&
            kd__find_token(t, token->text, cut) >= 0 &&
            kd__find_token(t, token->text + cut, token->text_bytes - cut) >= 0)
            return 1;
    return 0;
}

/* Does the merge of rank i keep the order of the files' readers? Those of a token stand together,
 * by ids. */
static kd_status check_merge(const kd_tokenizer *t, const uint64_t *pairs, const int32_t *made,
                             int64_t i, int64_t previous, const char *seen)
{
    const kd__token *token = &t->tokens[made[i]];
    const int follows = previous >= 0 && made[previous] == made[i];
    KD_FAIL_IF(!token->whole, KD_ERR_UNSUPPORTED,
               "GGUF: the merges do not make token %d, \"%.*s\", of its own text; readers of such "
               "files do",
               made[i], SHOWN(token));
    KD_FAIL_IF(seen[made[i]] && !(follows && pairs[previous] < pairs[i]), KD_ERR_UNSUPPORTED,
               "GGUF: merge %lld makes token %d, \"%.*s\", once more and out of order: such files "
               "have one rank for each token",
               (long long)i, made[i], SHOWN(token));
    return KD_OK;
}

static kd_status check_seen(const kd_tokenizer *t, const uint64_t *pairs, const int32_t *made,
                            int64_t count, char *seen)
{
    int64_t previous = -1;
    for (int64_t i = 0; i < count; i++) {
        if (made[i] < 0) continue;
        KD_TRY(check_merge(t, pairs, made, i, previous, seen));
        seen[made[i]] = 1;
        previous = i;
    }
    for (int64_t i = 0; i < t->size; i++) {
        const kd__token *token = &t->tokens[i];
        if (!token->text || token->flags & KD_TOKEN_ADDED) continue;
        KD_FAIL_IF(token->text_bytes > KD__GGUF_LONGEST, KD_ERR_UNSUPPORTED,
                   "GGUF: token %lld has %d bytes: expected at most %d", (long long)i,
                   token->text_bytes, KD__GGUF_LONGEST);
        if (seen[i]) continue;
        KD_FAIL_IF(is_found(t, token), KD_ERR_UNSUPPORTED,
                   "GGUF: token %lld, \"%.*s\", is made by no merge; readers of such files make it "
                   "of the tokens in it",
                   (long long)i, SHOWN(token));
    }
    return KD_OK;
}

/* Readers of a character model merge any two neighbors that make a token, the best token first.
 * That is what the merges do if each token's stand together in rank and make it of its own text: up
 * to that rank the text of a token, wherever it stands, has been merged as it is alone, so that no
 * other pair can be left of it. */
kd_status kd__gguf_check_merges(const kd_tokenizer *t, const uint64_t *pairs, const int32_t *made,
                                int64_t count)
{
    char *seen = NULL;
    KD_FAIL_IF(count > KD__GGUF_MOST_WAYS * t->size, KD_ERR_UNSUPPORTED,
               "GGUF: %lld merges of %lld tokens: expected at most %d a token", (long long)count,
               (long long)t->size, KD__GGUF_MOST_WAYS);
    KD_TRY(KD_NEW(t->object.context, &seen, t->size + 1));
    const kd_status status = check_seen(t, pairs, made, count, seen);
    kd__release(t->object.context, seen);
    return status;
}
