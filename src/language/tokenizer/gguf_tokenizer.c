/* Tokenizers out of GGUF files. Their metadata have tokens, kinds and merges, or scores, but only a
 * name for how text is cut: the cutting that belongs to each name is the one of the family's
 * tokenizer.json. */
#include "language/tokenizer/gguf_tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "formats/gguf_keys.h"

#define WORDS(numbers)                                                                             \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" numbers                    \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

const char kd__gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static const kd__gguf_cut cuts[] = { { "gpt-2", kd__gpt2_pattern, 0, 0, 0 },
                                     { "smollm", kd__gpt2_pattern, 1, 0, 0 },
                                     { "llama-bpe", WORDS("{1,3}"), 0, 0, 1 },
                                     { "qwen2", WORDS(""), 0, 1, 0 },
                                     { "deepseek-r1-qwen", WORDS(""), 0, 1, 0 } };

const kd__gguf_cut *kd__gguf_cut_named(const char *name)
{
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        if (!strcmp(name, cuts[i].name)) return &cuts[i];
    return NULL;
}

const kd__gguf_cut *kd__gguf_cut_of(const kd_tokenizer *t)
{
    const int64_t n = t->cuts.count;
    const kd__step *s = t->cuts.step, *last = s + n - 1;
    const int composed = t->normalizers.count == 1 && t->normalizers.step->type == KD__STEP_FORM &&
                         t->normalizers.step->option == KD__NFC;
    if (n < 1 || n > 2 || last->type != KD__STEP_SPLIT || last->option != KD__ISOLATED ||
        last->inverted || !last->pattern)
        return NULL;
    if ((n == 2 && (s->type != KD__STEP_DIGITS || s->option != 1)) ||
        (t->normalizers.count && !composed))
        return NULL;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        if (!strcmp(last->pattern, cuts[i].pattern) && cuts[i].digits == (n == 2) &&
            cuts[i].composed == composed && cuts[i].ignore_merges == t->ignore_merges)
            return &cuts[i];
    return NULL;
}

typedef struct {
    kd__gguf_string text;
    int32_t id;
} entry;

static int by_text(const void *a, const void *b)
{
    const kd__gguf_string *x = &((const entry *)a)->text, *y = &((const entry *)b)->text;
    const int order = memcmp(x->text, y->text, (size_t)kd__min(x->bytes, y->bytes));
    return order ? order : x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

typedef struct {
    const kd__gguf *file;
    kd__text *to;
    kd__gguf_string *tokens;
    entry *sorted;        /* by text */
    const int32_t *kinds; /* may be unaligned: read as bytes; NULL: none */
    const float *scores;
    int64_t count;
} source;

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER = 4, BYTE = 6 };

static int32_t kind_of(const source *s, int64_t id)
{
    return s->kinds ? (int32_t)kd__get32(s->kinds + id) : NORMAL;
}

static kd_status put(source *s, const char *text)
{
    return kd__text_append(s->to, text, strlen(text));
}

/* A JSON string of bytes that were UTF-8 checked. */
static kd_status put_string(source *s, kd__gguf_string text)
{
    KD_TRY(put(s, "\""));
    for (int64_t i = 0; i < text.bytes; i++) {
        const unsigned char c = (unsigned char)text.text[i];
        if (c < 32) KD_TRY(kd__text_format(s->to, "\\u%04x", c));
        else if (c == '"' || c == '\\') KD_TRY(kd__text_format(s->to, "\\%c", c));
        else KD_TRY(kd__text_append(s->to, text.text + i, 1));
    }
    return put(s, "\"");
}

static kd_status put_added(source *s)
{
    int first = 1;
    KD_TRY(put(s, "\"added_tokens\":["));
    for (int64_t id = 0; id < s->count; id++) {
        const int32_t kind = kind_of(s, id);
        if (kind != CONTROL && kind != USER && kind != UNKNOWN) continue;
        KD_TRY(
            kd__text_format(s->to, "%s{\"id\":%lld,\"content\":", first ? "" : ",", (long long)id));
        KD_TRY(put_string(s, s->tokens[id]));
        KD_TRY(kd__text_format(s->to,
                               ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                               "\"normalized\":false,\"special\":%s}",
                               kind == USER ? "false" : "true"));
        first = 0;
    }
    return put(s, "]");
}

static kd_status put_vocabulary(source *s)
{
    KD_TRY(put(s, "\"vocab\":{"));
    for (int64_t id = 0; id < s->count; id++) {
        if (id) KD_TRY(put(s, ","));
        KD_TRY(put_string(s, s->tokens[id]));
        KD_TRY(kd__text_format(s->to, ":%lld", (long long)id));
    }
    return put(s, "}");
}

/* ---- merges ---- */

static kd_status put_given_merges(source *s)
{
    const kd__gguf_pair *merges = kd__gguf_find(s->file, "tokenizer.ggml.merges");
    const char *at = merges ? merges->value : NULL;
    KD_FAIL_IF(!merges || merges->type != KD__GGUF_ARRAY || merges->items != KD__GGUF_STRING,
               KD_ERR_FORMAT, "%s: no tokenizer.ggml.merges", s->file->what);
    KD_TRY(put(s, "\"merges\":["));
    for (int64_t i = 0; i < merges->count; i++) {
        if (i) KD_TRY(put(s, ","));
        KD_TRY(put_string(s, kd__gguf_next(&at)));
    }
    return put(s, "]");
}

/* A unigram vocabulary with scores, as Llama 2's: every way to make a token of two others is a
 * merge; better tokens come first, and among the ways of one token those of lower ids, which is how
 * Hugging Face turns such files into merges. */
typedef struct {
    float score;
    int32_t token, left, right;
} way;

static int by_rank(const void *a, const void *b)
{
    const way *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    if (x->token != y->token) return x->token - y->token;
    return x->left != y->left ? x->left - y->left : x->right - y->right;
}

static int32_t find(const entry *sorted, int64_t count, const char *text, int64_t bytes)
{
    const entry key = { { text, bytes }, 0 },
                *found = bsearch(&key, sorted, (size_t)count, sizeof *sorted, by_text);
    return found ? found->id : -1;
}

/* The ways to make one token. */
static kd_status find_ways_of(source *s, int32_t id, way **ways, int64_t *count, int64_t *room)
{
    const kd__gguf_string t = s->tokens[id];
    KD_FAIL_IF(t.bytes > KD__GGUF_LONGEST, KD_ERR_UNSUPPORTED,
               "%s: token %d has %lld bytes: expected at most %d", s->file->what, id,
               (long long)t.bytes, KD__GGUF_LONGEST);
    for (int64_t cut = 1; cut < t.bytes; cut++) {
        if (((unsigned char)t.text[cut] & 0xc0) == 0x80) continue;
        const int32_t left = find(s->sorted, s->count, t.text, cut),
                      right = find(s->sorted, s->count, t.text + cut, t.bytes - cut);
        if (left < 0 || right < 0) continue;
        KD_TRY(KD_RESERVE(s->to->context, ways, room, *count + 1));
        way *w = &(*ways)[(*count)++];
        w->score = kd__get_float(s->scores + id);
        w->token = id, w->left = left, w->right = right;
    }
    return KD_OK;
}

static kd_status find_ways(source *s, way **ways, int64_t *count)
{
    const int64_t most = KD__GGUF_MOST_WAYS * s->count;
    int64_t room = 0;
    for (int64_t id = 0; id < s->count; id++) {
        if (kind_of(s, id) != NORMAL && kind_of(s, id) != USER) continue;
        KD_TRY(find_ways_of(s, (int32_t)id, ways, count, &room));
        KD_FAIL_IF(*count > most, KD_ERR_UNSUPPORTED,
                   "%s: %lld tokens can be made of others in more than %lld ways", s->file->what,
                   (long long)s->count, (long long)most);
    }
    return KD_OK;
}

static kd_status put_found_merges(source *s)
{
    kd_context *context = s->to->context;
    way *ways = NULL;
    int64_t count = 0;
    KD_FAIL_IF(!s->scores, KD_ERR_FORMAT, "%s: no tokenizer.ggml.scores", s->file->what);
    kd_status status = find_ways(s, &ways, &count);
    if (status == KD_OK && count) qsort(ways, (size_t)count, sizeof *ways, by_rank);
    if (status == KD_OK) status = put(s, "\"merges\":[");
    for (int64_t i = 0; i < count && status == KD_OK; i++) {
        status = put(s, i ? ",[" : "[");
        if (status == KD_OK) status = put_string(s, s->tokens[ways[i].left]);
        if (status == KD_OK) status = put(s, ",");
        if (status == KD_OK) status = put_string(s, s->tokens[ways[i].right]);
        if (status == KD_OK) status = put(s, "]");
    }
    kd__release(context, ways);
    return status == KD_OK ? put(s, "]") : status;
}

/* ---- the whole ---- */

/* A token that begins or ends every text, or stands for what is unknown: `otherwise` is llama.cpp's
 * id for files that give none. */
static kd_status find_end(const source *s, const char *key, double otherwise,
                          kd__gguf_string *token)
{
    const double id = kd__gguf_number(s->file, key, otherwise);
    KD_FAIL_IF(!(id >= 0 && id < (double)s->count), KD_ERR_FORMAT,
               "%s: %s is %g: expected one of %lld tokens", s->file->what, key, id,
               (long long)s->count);
    *token = s->tokens[(int64_t)id];
    return KD_OK;
}

static kd_status put_end(source *s, kd__gguf_string token)
{
    KD_TRY(put(s, "{\"SpecialToken\":{\"id\":"));
    KD_TRY(put_string(s, token));
    return put(s, "}}");
}

/* scored: a vocabulary of characters with scores, whose texts begin with token 1 if nothing is
 * said. */
static kd_status put_template(source *s, int scored)
{
    kd__gguf_string token;
    KD_TRY(put(s, "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["));
    if (kd__gguf_number(s->file, "tokenizer.ggml.add_bos_token", scored) != 0) {
        KD_TRY(find_end(s, "tokenizer.ggml.bos_token_id", scored ? 1 : -1, &token));
        KD_TRY(put_end(s, token));
        KD_TRY(put(s, ","));
    }
    KD_TRY(put(s, "{\"Sequence\":{\"id\":\"A\"}}"));
    if (kd__gguf_number(s->file, "tokenizer.ggml.add_eos_token", 0) != 0) {
        KD_TRY(find_end(s, "tokenizer.ggml.eos_token_id", scored ? 2 : -1, &token));
        KD_TRY(put(s, ","));
        KD_TRY(put_end(s, token));
    }
    return put(s, "]},");
}

/* How the file's tokenizer cuts text. */
static kd_status find_cut(const source *s, const kd__gguf_cut **cut)
{
    const kd__gguf_string pre = kd__gguf_text(s->file, "tokenizer.ggml.pre");
    char name[40] = "gpt-2";
    if (!pre.bytes || kd__gguf_equals(pre, "default"))
        kd__log(s->to->context, KD_LOG_WARNING,
                "%.200s: tokenizer.ggml.pre %s: text is cut as for GPT-2, which may not be this "
                "model's way",
                s->file->what, pre.bytes ? "is \"default\"" : "is missing");
    else {
        KD_FAIL_IF(pre.bytes >= (int64_t)sizeof name, KD_ERR_UNSUPPORTED,
                   "%s: tokenizer.ggml.pre is not known: %.*s", s->file->what,
                   (int)kd__min(pre.bytes, 60), pre.text);
        memcpy(name, pre.text, (size_t)pre.bytes);
        name[pre.bytes] = 0;
    }
    *cut = kd__gguf_cut_named(name);
    KD_FAIL_IF(!*cut, KD_ERR_UNSUPPORTED, "%s: tokenizer.ggml.pre %s is not known", s->file->what,
               name);
    return KD_OK;
}

static kd_status put_cut(source *s, const kd__gguf_cut *cut)
{
    const kd__gguf_string pattern = { cut->pattern, (int64_t)strlen(cut->pattern) };
    KD_TRY(put(s, cut->composed ? "\"normalizer\":{\"type\":\"NFC\"}" : "\"normalizer\":null"));
    KD_TRY(put(s, ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["));
    if (cut->digits) KD_TRY(put(s, "{\"type\":\"Digits\",\"individual_digits\":true},"));
    KD_TRY(put(s, "{\"type\":\"Split\",\"pattern\":{\"Regex\":"));
    KD_TRY(put_string(s, pattern));
    KD_TRY(put(s, "},\"behavior\":\"Isolated\",\"invert\":false},"));
    return put(s, "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}");
}

static kd_status put_bytes_model(source *s)
{
    const kd__gguf_cut *cut;
    KD_TRY(find_cut(s, &cut));
    KD_TRY(put_cut(s, cut));
    KD_TRY(put(s, ",\"decoder\":{\"type\":\"ByteLevel\"},"));
    KD_TRY(put_template(s, 0));
    KD_TRY(kd__text_format(s->to, "\"model\":{\"type\":\"BPE\",\"ignore_merges\":%s,",
                           cut->ignore_merges ? "true" : "false"));
    KD_TRY(put_vocabulary(s));
    KD_TRY(put(s, ","));
    KD_TRY(put_given_merges(s));
    return put(s, "}}");
}

static kd_status put_characters_model(source *s)
{
    const int prefix = kd__gguf_number(s->file, "tokenizer.ggml.add_space_prefix", 1) != 0;
    kd__gguf_string unknown;
    KD_TRY(find_end(s, "tokenizer.ggml.unknown_token_id", 0, &unknown));
    KD_TRY(put(s, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["));
    if (prefix) KD_TRY(put(s, "{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"},"));
    KD_TRY(put(s, "{\"type\":\"Replace\",\"pattern\":{\"String\":\" "
                  "\"},\"content\":\"\xe2\x96\x81\"}]},\"pre_tokenizer\":null,"
                  "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
                  "\"pattern\":{\"String\":\"\xe2\x96\x81\"},\"content\":\" \"},"
                  "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}"));
    if (prefix) KD_TRY(put(s, ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}"));
    KD_TRY(put(s, "]},"));
    KD_TRY(put_template(s, 1));
    KD_TRY(put(
        s, "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"fuse_unk\":true,\"unk_token\":"));
    KD_TRY(put_string(s, unknown));
    KD_TRY(put(s, ","));
    KD_TRY(put_vocabulary(s));
    KD_TRY(put(s, ","));
    KD_TRY(put_found_merges(s));
    return put(s, "}}");
}

/* What is known under "tokenizer.ggml.". Ids that only generation, other kinds of models or editors
 * use are harmless. */
static const kd__gguf_key keys[] = {
    { "model", KD__GGUF_TEXT, 0 },
    { "pre", KD__GGUF_TEXT, 0 },
    { "tokens", KD__GGUF_LIST, 0 },
    { "token_type", KD__GGUF_LIST, 0 },
    { "scores", KD__GGUF_LIST, 0 },
    { "merges", KD__GGUF_LIST, 0 },
    { "bos_token_id", KD__GGUF_NUMBER, 0 },
    { "eos_token_id", KD__GGUF_NUMBER, 0 },
    { "eot_token_id", KD__GGUF_NUMBER, 0 },
    { "eom_token_id", KD__GGUF_NUMBER, 0 },
    { "unknown_token_id", KD__GGUF_NUMBER, 0 },
    { "add_bos_token", KD__GGUF_NUMBER, 0 },
    { "add_eos_token", KD__GGUF_NUMBER, 0 },
    { "add_space_prefix", KD__GGUF_NUMBER, 0 },
    { "add_sep_token", KD__GGUF_FIXED, 0 },
    { "remove_extra_whitespaces", KD__GGUF_FIXED, 0 },
    { "added_tokens", KD__GGUF_HARMLESS, 0 }, /* they are among the tokens, with their types */
    { "token_type_count", KD__GGUF_HARMLESS, 0 },
    { "padding_token_id", KD__GGUF_HARMLESS, 0 },
    { "seperator_token_id", KD__GGUF_HARMLESS, 0 },
    { "separator_token_id", KD__GGUF_HARMLESS, 0 },
    { "cls_token_id", KD__GGUF_HARMLESS, 0 },
    { "mask_token_id", KD__GGUF_HARMLESS, 0 },
    { "prefix_token_id", KD__GGUF_HARMLESS, 0 },
    { "suffix_token_id", KD__GGUF_HARMLESS, 0 },
    { "middle_token_id", KD__GGUF_HARMLESS, 0 },
    { "fim_pre_token_id", KD__GGUF_HARMLESS, 0 },
    { "fim_suf_token_id", KD__GGUF_HARMLESS, 0 },
    { "fim_mid_token_id", KD__GGUF_HARMLESS, 0 },
    { "fim_pad_token_id", KD__GGUF_HARMLESS, 0 },
    { "fim_rep_token_id", KD__GGUF_HARMLESS, 0 },
    { "fim_sep_token_id", KD__GGUF_HARMLESS, 0 },
};

static kd_status check_keys(const kd__gguf *file)
{
    const kd__gguf_table table = { keys, sizeof keys / sizeof *keys, 0 };
    const kd__gguf_pair *chat = kd__gguf_find(file, "tokenizer.chat_template");
    KD_FAIL_IF(chat && chat->type != KD__GGUF_STRING, KD_ERR_FORMAT,
               "%s: tokenizer.chat_template: expected a text", file->what);
    return kd__gguf_check(file, "tokenizer.ggml.", &table);
}

static kd_status check_list(const source *s, const kd__gguf_pair *list, int32_t items,
                            const char *name)
{
    KD_FAIL_IF(
        list && (list->type != KD__GGUF_ARRAY || list->items != items || list->count != s->count),
        KD_ERR_FORMAT, "%s: %.*s: expected %lld %s", s->file->what,
        (int)kd__min(list->key.bytes, 60), list->key.text, (long long)s->count, name);
    return KD_OK;
}

/* A token that stands twice has two ids, and readers do not agree which counts
 * (ggml-org/llama.cpp#25739). */
static kd_status sort_tokens(source *s)
{
    KD_TRY(KD_NEW(s->to->context, &s->sorted, s->count + 1));
    for (int64_t i = 0; i < s->count; i++) s->sorted[i] = (entry){ s->tokens[i], (int32_t)i };
    qsort(s->sorted, (size_t)s->count, sizeof *s->sorted, by_text);
    for (int64_t i = 1; i < s->count; i++) {
        const entry *a = &s->sorted[i - 1], *b = &s->sorted[i];
        const int first = a->id < b->id;
        KD_FAIL_IF(!by_text(a, b), KD_ERR_FORMAT, "%s: the token \"%.*s\" has two ids, %d and %d",
                   s->file->what, (int)kd__min(a->text.bytes, 60), a->text.text,
                   first ? a->id : b->id, first ? b->id : a->id);
    }
    return KD_OK;
}

static kd_status gather(source *s, const kd__gguf_pair *tokens)
{
    const kd__gguf_pair *kinds = kd__gguf_find(s->file, "tokenizer.ggml.token_type"),
                        *scores = kd__gguf_find(s->file, "tokenizer.ggml.scores");
    const char *at = tokens->value;
    for (int64_t i = 0; i < s->count; i++) {
        s->tokens[i] = kd__gguf_next(&at);
        KD_FAIL_IF(!s->tokens[i].bytes || kd__utf8_valid(s->tokens[i].text, s->tokens[i].bytes,
                                                         NULL) != s->tokens[i].bytes,
                   KD_ERR_FORMAT, "%s: token %lld is empty or not UTF-8", s->file->what,
                   (long long)i);
    }
    KD_TRY(check_list(s, kinds, KD__GGUF_I32, "int32"));
    KD_TRY(check_list(s, scores, KD__GGUF_F32, "float32"));
    if (kinds) s->kinds = (const int32_t *)(const void *)kinds->value;
    if (scores) s->scores = (const float *)(const void *)scores->value;
    return sort_tokens(s);
}

kd_status kd__gguf_tokenizer_text(const kd__gguf *file, kd__text *to)
{
    const kd__gguf_pair *tokens = kd__gguf_find(file, "tokenizer.ggml.tokens");
    const kd__gguf_string model = kd__gguf_text(file, "tokenizer.ggml.model");
    KD_FAIL_IF(!tokens || tokens->type != KD__GGUF_ARRAY || tokens->items != KD__GGUF_STRING ||
                   !tokens->count,
               KD_ERR_NOT_FOUND, "%s: the file has no tokenizer (tokenizer.ggml.tokens)",
               file->what);
    KD_FAIL_IF(!kd__gguf_equals(model, "gpt2") && !kd__gguf_equals(model, "llama"),
               KD_ERR_UNSUPPORTED, "%s: tokenizer.ggml.model %.*s: expected gpt2 or llama",
               file->what, (int)kd__min(model.bytes, 40), model.text);
    KD_TRY(check_keys(file));
    source s = { .file = file, .to = to, .count = tokens->count };
    KD_TRY(KD_NEW(to->context, &s.tokens, s.count));
    kd_status status = gather(&s, tokens);
    if (status == KD_OK) status = put(&s, "{");
    if (status == KD_OK) status = put_added(&s);
    if (status == KD_OK) status = put(&s, ",");
    if (status == KD_OK)
        status = kd__gguf_equals(model, "gpt2") ? put_bytes_model(&s) : put_characters_model(&s);
    kd__release(to->context, s.tokens);
    kd__release(to->context, s.sorted);
    return status;
}
