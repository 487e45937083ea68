/* Ids to text: the tokens' texts go through the file's decoders, which change a list of texts step
 * by step. */
#include <string.h>

#include "base/memory.h"
#include "language/tokenizer/tokenizer.h"

/* Texts behind each other: part i ends at end[i]. */
typedef struct {
    kd__text text;
    int64_t *end;
    int64_t count, room;
} parts;

static kd_status close_part(parts *p)
{
    KD_TRY(KD_RESERVE(p->text.context, &p->end, &p->room, p->count + 1));
    p->end[p->count++] = p->text.size;
    return KD_OK;
}

static kd_status put_replacement(kd__text *to) { return kd__text_append(to, "\xef\xbf\xbd", 3); }

/* Text with U+FFFD for what is no UTF-8. */
static kd_status put_repaired(kd__text *to, const char *text, int64_t bytes)
{
    while (bytes) {
        int64_t wrong;
        const int64_t valid = kd__utf8_valid(text, bytes, &wrong);
        KD_TRY(kd__text_append(to, text, (size_t)valid));
        if (!wrong) break;
        KD_TRY(put_replacement(to));
        const int64_t skip = wrong < 0 ? bytes - valid : wrong;
        text += valid + skip;
        bytes -= valid + skip;
    }
    return KD_OK;
}

static kd_status bytes_step(const parts *from, parts *to)
{
    kd__text raw = { .context = from->text.context };
    kd_status status = kd__text_append(&raw, "", 0);
    for (int64_t i = 0, begin = 0; i < from->count && status == KD_OK; begin = from->end[i++]) {
        const char *at = from->text.bytes + begin, *end = from->text.bytes + from->end[i];
        const int64_t start = raw.size;
        while (at < end && status == KD_OK) {
            const int32_t byte = kd__alphabet_byte(kd__utf8_next(&at));
            const char c = (char)byte;
            if (byte < 0) { /* a token with another character stands for itself */
                raw.size = start;
                status =
                    kd__text_append(&raw, from->text.bytes + begin, (size_t)(from->end[i] - begin));
                break;
            }
            status = kd__text_append(&raw, &c, 1);
        }
    }
    if (status == KD_OK) status = put_repaired(&to->text, raw.bytes, raw.size);
    kd__text_free(&raw);
    return status == KD_OK ? close_part(to) : status;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

int32_t kd__byte_token(const char *text, int64_t bytes)
{
    if (bytes != 6 || memcmp(text, "<0x", 3) || text[5] != '>' || hex(text[3]) < 0 ||
        hex(text[4]) < 0)
        return -1;
    return hex(text[3]) * 16 + hex(text[4]);
}

/* A run of bytes is one text when it is UTF-8, else U+FFFD for each. */
static kd_status flush_bytes(kd__text *run, parts *to)
{
    if (!run->size) return KD_OK;
    const int valid = kd__utf8_valid(run->bytes, run->size, NULL) == run->size;
    if (valid) {
        KD_TRY(kd__text_append(&to->text, run->bytes, (size_t)run->size));
        KD_TRY(close_part(to));
    }
    for (int64_t i = 0; i < run->size && !valid; i++) {
        KD_TRY(put_replacement(&to->text));
        KD_TRY(close_part(to));
    }
    run->size = 0;
    return KD_OK;
}

static kd_status fallback_step(const parts *from, parts *to)
{
    kd__text run = { .context = from->text.context };
    kd_status status = KD_OK;
    for (int64_t i = 0, begin = 0; i < from->count && status == KD_OK; begin = from->end[i++]) {
        const char *text = from->text.bytes + begin;
        const int byte = kd__byte_token(text, from->end[i] - begin);
        const char c = (char)byte;
        if (byte >= 0) {
            status = kd__text_append(&run, &c, 1);
            continue;
        }
        status = flush_bytes(&run, to);
        if (status == KD_OK)
            status = kd__text_append(&to->text, text, (size_t)(from->end[i] - begin));
        if (status == KD_OK) status = close_part(to);
    }
    if (status == KD_OK) status = flush_bytes(&run, to);
    kd__text_free(&run);
    return status;
}

static kd_status strip_part(const kd__step *step, const char *at, const char *end, kd__text *to)
{
    const int64_t n = step->to_bytes;
    for (int32_t i = 0; i < step->start && end - at >= n && !memcmp(at, step->to, (size_t)n); i++)
        at += n;
    for (int32_t i = 0; i < step->stop && end - at >= n && !memcmp(end - n, step->to, (size_t)n);
         i++)
        end -= n;
    return kd__text_append(to, at, (size_t)(end - at));
}

static kd_status metaspace_part(const kd__step *step, const char *at, const char *end, int first,
                                kd__text *to)
{
    while (at < end) {
        const int mark = end - at >= step->to_bytes &&
                         !memcmp(at, step->to, (size_t)step->to_bytes);
        const int64_t bytes = mark ? step->to_bytes : kd__utf8_size(*at);
        if (!mark) KD_TRY(kd__text_append(to, at, (size_t)bytes));
        else if (!(first && step->option)) KD_TRY(kd__text_append(to, " ", 1));
        at += bytes;
    }
    return KD_OK;
}

static kd_status replace_part(const kd_tokenizer *t, const kd__step *step, const char *at,
                              const char *end, kd__text *to)
{
    const kd__piece piece = { .at = at, .bytes = end - at };
    kd__traced made = { .text = *to };
    const kd_status status = kd__replace(t, step, &piece, &made);
    *to = made.text;
    return status;
}

static kd_status decode_step(const kd_tokenizer *t, const kd__step *step, const parts *from,
                             parts *to)
{
    if (step->type == KD__STEP_BYTES) return bytes_step(from, to);
    if (step->type == KD__STEP_BYTE_FALLBACK) return fallback_step(from, to);
    for (int64_t i = 0, begin = 0; i < from->count; begin = from->end[i++]) {
        const char *at = from->text.bytes + begin, *end = from->text.bytes + from->end[i];
        if (step->type == KD__STEP_REPLACE) KD_TRY(replace_part(t, step, at, end, &to->text));
        else if (step->type == KD__STEP_STRIP_TEXT) KD_TRY(strip_part(step, at, end, &to->text));
        else if (step->type == KD__STEP_METASPACE)
            KD_TRY(metaspace_part(step, at, end, !i, &to->text));
        else if (step->type == KD__STEP_WORDPIECE)
            KD_TRY(kd__wordpiece_show(step, at, end - at, !i, &to->text));
        else KD_TRY(kd__text_append(&to->text, at, (size_t)(end - at)));
        if (step->type != KD__STEP_FUSE) KD_TRY(close_part(to));
    }
    return step->type == KD__STEP_FUSE ? close_part(to) : KD_OK;
}

/* What decoders begin with. */
static kd__piece shown(const kd__token *token)
{
    if (token->normal) return (kd__piece){ .at = token->normal, .bytes = token->normal_bytes };
    return (kd__piece){ .at = token->text, .bytes = token->text_bytes };
}

/* The tokenizers package looks a token up by the text that it shows: one that normalizing changed
 * is not skipped, one that shows the text of a special token is. */
static int is_skipped(const kd_tokenizer *t, const kd__piece *text)
{
    const int32_t id = kd__find_token(t, text->at, text->bytes);
    return id >= 0 && t->tokens[id].flags & KD_TOKEN_SPECIAL;
}

/* What decoders see of an id; at NULL: nothing, it is no token or is left out. */
static kd__piece shown_id(const kd_tokenizer *t, int32_t id, int32_t flags)
{
    const kd__token *token = id < t->size ? &t->tokens[id] : NULL;
    const kd__piece nothing = { 0 };
    if (!token || !token->text) return nothing;
    const kd__piece text = shown(token);
    return flags & KD_TOKENIZER_SKIP_SPECIAL && is_skipped(t, &text) ? nothing : text;
}

int kd__leaves_bytes_open(const kd_tokenizer *t, const int32_t *ids, int64_t count, int32_t flags)
{
    int falls_back = 0;
    for (int64_t i = 0; i < t->decoders.count; i++)
        falls_back |= t->decoders.step[i].type == KD__STEP_BYTE_FALLBACK;
    while (falls_back && count) {
        const kd__piece text = shown_id(t, ids[--count], flags);
        if (text.at) return kd__byte_token(text.at, text.bytes) >= 0;
    }
    return 0;
}

static kd_status gather(const kd_tokenizer *t, const int32_t *ids, int64_t count, int32_t flags,
                        parts *to)
{
    KD_TRY(kd__text_append(&to->text, "", 0));
    for (int64_t i = 0; i < count; i++) {
        KD_FAIL_IF(ids[i] < 0, KD_ERR_RANGE, "ids[%lld]: expected 0 or more, got %d", (long long)i,
                   ids[i]);
        const kd__piece text = shown_id(t, ids[i], flags);
        if (!text.at) continue;
        if (!t->has_decoder && to->count) KD_TRY(kd__text_append(&to->text, " ", 1));
        KD_TRY(kd__text_append(&to->text, text.at, (size_t)text.bytes));
        KD_TRY(close_part(to));
    }
    return KD_OK;
}

kd_status kd__decode(kd_tokenizer *t, const int32_t *ids, int64_t count, int32_t flags,
                     kd__text *to)
{
    kd_context *context = t->object.context;
    parts a = { .text = { .context = context } }, b = { .text = { .context = context } };
    kd_status status = gather(t, ids, count, flags, &a);
    for (int64_t i = 0; i < t->decoders.count && status == KD_OK; i++) {
        const parts before = a;
        b.text.size = b.count = 0;
        status = kd__text_append(&b.text, "", 0);
        if (status == KD_OK) status = decode_step(t, &t->decoders.step[i], &a, &b);
        a = b;
        b = before;
    }
    if (status == KD_OK) status = kd__text_append(to, a.text.bytes, (size_t)a.text.size);
    kd__text_free(&a.text);
    kd__text_free(&b.text);
    kd__release(context, a.end);
    kd__release(context, b.end);
    return status;
}
