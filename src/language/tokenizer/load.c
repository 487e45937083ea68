/* tokenizer.json into a tokenizer. What the file has and this library has not is refused by
 * name. */
#include <string.h>

#include "base/memory.h"
#include "language/tokenizer/added.h"
#include "language/tokenizer/gguf_tokenizer.h"
#include "language/tokenizer/reader.h"

/* ---- steps ---- */

static kd_status add_step(kd__reader *r, kd__steps *steps, kd__step step)
{
    const kd_status status =
        KD_RESERVE(r->t->object.context, &steps->step, &steps->room, steps->count + 1);
    if (status != KD_OK) {
        kd__regex_free(step.regex);
        return status;
    }
    steps->step[steps->count++] = step;
    return KD_OK;
}

/* A text as a regular expression that matches it. */
static kd_status compile_text(kd__reader *r, const char *text, int64_t bytes, kd__regex **regex)
{
    kd__text escaped = { .context = r->t->object.context };
    kd_status status = KD_OK;
    KD_FAIL_IF(!bytes, KD_ERR_UNSUPPORTED, "%s: expected a pattern, got an empty one", r->what);
    for (int64_t i = 0; i < bytes && status == KD_OK; i++) {
        const int plain = (unsigned char)text[i] >= 128 || (text[i] >= 'a' && text[i] <= 'z') ||
                          (text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= '0' && text[i] <= '9');
        if (!plain) status = kd__text_append(&escaped, "\\", 1);
        if (status == KD_OK) status = kd__text_append(&escaped, text + i, 1);
    }
    if (status == KD_OK)
        status = kd__regex_compile(regex, escaped.context, escaped.bytes, escaped.size);
    kd__text_free(&escaped);
    return status;
}

static kd_status compile_pattern(kd__reader *r, const kd__json *node, kd__regex **regex)
{
    const kd__json *pattern = kd__json_member(node, "pattern");
    if (pattern && pattern->type == KD__JSON_STRING)
        return compile_text(r, pattern->text, pattern->length, regex);
    const kd__json *string = kd__json_member(pattern, "String"),
                   *expression = kd__json_member(pattern, "Regex");
    if (string && string->type == KD__JSON_STRING)
        return compile_text(r, string->text, string->length, regex);
    KD_FAIL_IF(!expression || expression->type != KD__JSON_STRING, KD_ERR_FORMAT,
               "%s: pattern: expected a String or a Regex", r->what);
    return kd__regex_compile(regex, r->t->object.context, expression->text, expression->length);
}

static kd_status add_replace(kd__reader *r, kd__steps *steps, const kd__json *node)
{
    const kd__json *content = kd__json_member(node, "content");
    kd__step step = { .type = KD__STEP_REPLACE };
    KD_FAIL_IF(!content || content->type != KD__JSON_STRING, KD_ERR_FORMAT,
               "%s: Replace: expected content, a text", r->what);
    step.to = content->text;
    step.to_bytes = content->length;
    KD_TRY(compile_pattern(r, node, &step.regex));
    return add_step(r, steps, step);
}

/* ---- normalizers ---- */

/* strip_accents null: as lowercase. */
static kd_status add_bert(kd__reader *r, kd__steps *steps, const kd__json *node)
{
    const int lower = kd__is_on(node, "lowercase", 1);
    const int32_t option =
        (kd__is_on(node, "clean_text", 1) ? KD__BERT_CLEAN : 0) |
        (kd__is_on(node, "handle_chinese_chars", 1) ? KD__BERT_HANDLE_CHINESE : 0) |
        (kd__is_on(node, "strip_accents", lower) ? KD__BERT_STRIP : 0) |
        (lower ? KD__BERT_LOWER : 0);
    return add_step(r, steps, (kd__step){ .type = KD__STEP_BERT, .option = option });
}

static kd_status read_normalizer(kd__reader *r, const kd__json *node)
{
    static const char *const forms[] = { "NFC", "NFD", "NFKC", "NFKD" };
    kd__steps *steps = &r->t->normalizers;
    const char *type = kd__text_of(node, "type"), *prepend = kd__text_of(node, "prepend");
    if (!type) return kd__unsupported(r, "a normalizer", NULL);
    if (!strcmp(type, "Sequence")) {
        const kd__json *list = kd__json_member(node, "normalizers");
        for (const kd__json *n = list ? list->first : NULL; n; n = n->next)
            KD_TRY(read_normalizer(r, n));
        return KD_OK;
    }
    for (int32_t i = 0; i < 4; i++)
        if (!strcmp(type, forms[i]))
            return add_step(r, steps, (kd__step){ .type = KD__STEP_FORM, .option = i });
    if (!strcmp(type, "Lowercase")) return add_step(r, steps, (kd__step){ .type = KD__STEP_LOWER });
    if (!strcmp(type, "BertNormalizer")) return add_bert(r, steps, node);
    if (!strcmp(type, "StripAccents"))
        return add_step(r, steps, (kd__step){ .type = KD__STEP_STRIP_MARKS });
    if (!strcmp(type, "Replace")) return add_replace(r, steps, node);
    if (!strcmp(type, "Strip"))
        return add_step(r, steps,
                        (kd__step){ .type = KD__STEP_STRIP,
                                    .option = kd__is_on(node, "strip_left", 1) |
                                              kd__is_on(node, "strip_right", 1) << 1 });
    if (!strcmp(type, "Prepend") && prepend)
        return add_step(r, steps,
                        (kd__step){ .type = KD__STEP_PREPEND,
                                    .to = prepend,
                                    .to_bytes = (int64_t)strlen(prepend) });
    return kd__unsupported(r, "a normalizer", type);
}

/* Text that the package's Replace puts before the beginning belongs to no character of the given
 * text: steps that walk over the characters then write it twice. */
static void mark_replacements(kd_tokenizer *t)
{
    int walks = t->byte_level;
    for (int64_t i = t->normalizers.count - 1; i >= 0; i--) {
        kd__step *step = &t->normalizers.step[i];
        if (step->type == KD__STEP_REPLACE) step->option = walks;
        walks |= step->type == KD__STEP_FORM || step->type == KD__STEP_LOWER ||
                 step->type == KD__STEP_STRIP || step->type == KD__STEP_BERT ||
                 step->type == KD__STEP_STRIP_MARKS;
    }
}

/* ---- pre-tokenizers ---- */

static kd_status add_split(kd__reader *r, const char *pattern, int32_t behavior, int inverted)
{
    kd__step step = {
        .type = KD__STEP_SPLIT, .option = behavior, .inverted = inverted, .pattern = pattern
    };
    KD_TRY(kd__regex_compile(&step.regex, r->t->object.context, pattern, (int64_t)strlen(pattern)));
    return add_step(r, &r->t->cuts, step);
}

static kd_status read_behavior(const kd__reader *r, const kd__json *node, int32_t *behavior)
{
    static const char *const names[] = { "Removed", "Isolated", "MergedWithPrevious",
                                         "MergedWithNext", "Contiguous" };
    const char *name = kd__text_of(node, "behavior");
    if (!name) return KD_OK; /* as it was set before */
    for (int32_t i = 0; i < 5; i++)
        if (!strcmp(name, names[i])) return *behavior = i, KD_OK;
    return kd__unsupported(r, "a behavior", name);
}

static kd_status read_split(kd__reader *r, const kd__json *node)
{
    kd__step step = { .type = KD__STEP_SPLIT,
                      .inverted = kd__is_on(node, "invert", 0),
                      .pattern = kd__text_of(kd__json_member(node, "pattern"), "Regex") };
    KD_TRY(read_behavior(r, node, &step.option));
    KD_TRY(compile_pattern(r, node, &step.regex));
    return add_step(r, &r->t->cuts, step);
}

static kd_status read_byte_level(kd__reader *r, const kd__json *node)
{
    r->t->byte_level = 1;
    if (kd__is_on(node, "add_prefix_space", 1))
        KD_TRY(add_step(
            r, &r->t->cuts,
            (kd__step){
                .type = KD__STEP_PREPEND, .option = KD__ALL_PIECES, .to = " ", .to_bytes = 1 }));
    return kd__is_on(node, "use_regex", 1) ? add_split(r, kd__gpt2_pattern, KD__ISOLATED, 0)
                                           : KD_OK;
}

/* Spaces become a mark, which begins pieces. */
static kd_status read_metaspace(kd__reader *r, const kd__json *node)
{
    const char *mark = kd__text_of(node, "replacement"),
               *scheme = kd__text_of(node, "prepend_scheme");
    kd__step step = { .type = KD__STEP_REPLACE,
                      .to = mark,
                      .to_bytes = mark ? (int64_t)strlen(mark) : 0 };
    KD_FAIL_IF(!mark || !*mark, KD_ERR_FORMAT, "%s: Metaspace: expected replacement, a text",
               r->what);
    KD_FAIL_IF(scheme && strcmp(scheme, "always") && strcmp(scheme, "first") &&
                   strcmp(scheme, "never"),
               KD_ERR_UNSUPPORTED,
               "%s: Metaspace: prepend_scheme: expected always, first or never, got %.40s", r->what,
               scheme);
    if (!scheme) scheme = kd__is_on(node, "add_prefix_space", 1) ? "always" : "never";
    KD_TRY(compile_text(r, " ", 1, &step.regex));
    KD_TRY(add_step(r, &r->t->cuts, step));
    step.regex = NULL;
    step.type = KD__STEP_PREPEND;
    step.option = *scheme == 'f' ? KD__FIRST_PIECE : KD__ALL_PIECES;
    if (*scheme != 'n') KD_TRY(add_step(r, &r->t->cuts, step));
    if (!kd__is_on(node, "split", 1)) return KD_OK;
    step = (kd__step){ .type = KD__STEP_SPLIT, .option = KD__MERGED_WITH_NEXT };
    KD_TRY(compile_text(r, mark, (int64_t)strlen(mark), &step.regex));
    return add_step(r, &r->t->cuts, step);
}

/* kd__unicode_is_word as a set: what is alphabetic and no letter are the letters in circles and
 * squares. */
#define RUST_WORD                                                                                  \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{200C}\\x{200D}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}"  \
    "\\x{1F150}-"                                                                                  \
    "\\x{1F169}\\x{1F170}-\\x{1F189}"

/* What became punctuation after Unicode 8, whose punctuation is the package's. */
#define NEW_PUNCTUATION                                                                            \
    "\\x{61D}\\x{9FD}\\x{A76}\\x{C77}\\x{C84}\\x{1B4E}\\x{1B4F}\\x{1B7D}-\\x{1B7F}\\x{2E43}-\\x{"  \
    "2E4F}\\x{2E52}-\\x{2E5D}"                                                                     \
    "\\x{10D6E}\\x{10EAD}\\x{10F55}-\\x{10F59}\\x{10F86}-\\x{10F89}\\x{113D4}\\x{113D5}\\x{113D7}" \
    "\\x{113D8}\\x{1144B}-\\x{1144F}"                                                              \
    "\\x{1145A}\\x{1145B}\\x{1145D}\\x{11660}-\\x{1166C}\\x{116B9}\\x{1183B}\\x{11944}-\\x{11946}" \
    "\\x{119E2}\\x{11A3F}-\\x{11A46}"                                                              \
    "\\x{11A9A}-\\x{11A9C}\\x{11A9E}-\\x{11AA2}\\x{11B00}-\\x{11B09}\\x{11BE1}\\x{11C41}-\\x{"     \
    "11C45}\\x{11C70}\\x{11C71}\\x{11EF7}\\x{11EF8}"                                               \
    "\\x{11F43}-\\x{11F4F}\\x{11FFF}\\x{12FF1}\\x{12FF2}\\x{16D6D}-\\x{16D6F}\\x{16E97}-\\x{"      \
    "16E9A}\\x{16FE2}\\x{1E5FF}\\x{1E95E}\\x{1E95F}"

static kd_status read_cut(kd__reader *r, const kd__json *node)
{
    const char *type = kd__text_of(node, "type");
    int32_t behavior = KD__ISOLATED;
    if (!type) return kd__unsupported(r, "a pre-tokenizer", NULL);
    KD_FAIL_IF(r->t->byte_level, KD_ERR_UNSUPPORTED,
               "%s: a pre-tokenizer (%.40s) after ByteLevel is not supported", r->what, type);
    if (!strcmp(type, "Sequence")) {
        const kd__json *list = kd__json_member(node, "pretokenizers");
        for (const kd__json *n = list ? list->first : NULL; n; n = n->next) KD_TRY(read_cut(r, n));
        return KD_OK;
    }
    if (!strcmp(type, "ByteLevel")) return read_byte_level(r, node);
    if (!strcmp(type, "Split")) return read_split(r, node);
    if (!strcmp(type, "Metaspace")) return read_metaspace(r, node);
    if (!strcmp(type, "Digits"))
        return add_step(r, &r->t->cuts,
                        (kd__step){ .type = KD__STEP_DIGITS,
                                    .option = kd__is_on(node, "individual_digits", 0) });
    if (!strcmp(type, "Punctuation")) {
        KD_TRY(read_behavior(r, node, &behavior));
        return add_split(r, "[!-/:-@\\[-`{-~\\x{166D}\\x{111C9}]|(?![" NEW_PUNCTUATION "])\\p{P}",
                         behavior, 0);
    }
    if (!strcmp(type, "BertPreTokenizer"))
        return add_step(r, &r->t->cuts, (kd__step){ .type = KD__STEP_BERT_CUT });
    if (!strcmp(type, "WhitespaceSplit")) return add_split(r, "\\s", KD__REMOVED, 0);
    if (!strcmp(type, "Whitespace"))
        return add_split(r, "[" RUST_WORD "]+|[^" RUST_WORD "\\s]+", KD__REMOVED, 1);
    return kd__unsupported(r, "a pre-tokenizer", type);
}

/* ---- decoders ---- */

static kd_status add_word_decoder(kd__reader *r, kd__steps *steps, const kd__json *node)
{
    const char *prefix = kd__text_of(node, "prefix");
    if (!prefix) prefix = "##";
    return add_step(r, steps,
                    (kd__step){ .type = KD__STEP_WORDPIECE,
                                .to = prefix,
                                .to_bytes = (int64_t)strlen(prefix),
                                .option = kd__is_on(node, "cleanup", 1) });
}

static kd_status read_number(const kd__json *node, const char *key, int64_t *value)
{
    const kd__json *number = kd__json_member(node, key);
    return number ? kd__json_integer(number, 0, INT32_MAX, value, key) : KD_OK;
}

static kd_status read_decoder(kd__reader *r, const kd__json *node)
{
    kd__steps *steps = &r->t->decoders;
    const char *type = kd__text_of(node, "type"), *content = kd__text_of(node, "content"),
               *mark = kd__text_of(node, "replacement"),
               *scheme = kd__text_of(node, "prepend_scheme");
    if (!type) return kd__unsupported(r, "a decoder", NULL);
    if (!strcmp(type, "Sequence")) {
        const kd__json *list = kd__json_member(node, "decoders");
        for (const kd__json *n = list ? list->first : NULL; n; n = n->next)
            KD_TRY(read_decoder(r, n));
        return KD_OK;
    }
    if (!strcmp(type, "ByteLevel")) return add_step(r, steps, (kd__step){ .type = KD__STEP_BYTES });
    if (!strcmp(type, "ByteFallback"))
        return add_step(r, steps, (kd__step){ .type = KD__STEP_BYTE_FALLBACK });
    if (!strcmp(type, "WordPiece")) return add_word_decoder(r, steps, node);
    if (!strcmp(type, "Fuse")) return add_step(r, steps, (kd__step){ .type = KD__STEP_FUSE });
    if (!strcmp(type, "Replace")) return add_replace(r, steps, node);
    if (!strcmp(type, "Strip") && content) {
        kd__step step = { .type = KD__STEP_STRIP_TEXT,
                          .to = content,
                          .to_bytes = (int64_t)strlen(content) };
        int64_t start = 0, stop = 0;
        KD_TRY(read_number(node, "start", &start));
        KD_TRY(read_number(node, "stop", &stop));
        step.start = (int32_t)start, step.stop = (int32_t)stop;
        return add_step(r, steps, step);
    }
    if (!strcmp(type, "Metaspace") && mark)
        return add_step(r, steps,
                        (kd__step){ .type = KD__STEP_METASPACE,
                                    .to = mark,
                                    .to_bytes = (int64_t)strlen(mark),
                                    .option = scheme ? strcmp(scheme, "never") != 0
                                                     : kd__is_on(node, "add_prefix_space", 1) });
    return kd__unsupported(r, "a decoder", type);
}

/* ---- the model ---- */

static kd_status check_utf8(const kd__reader *r, const char *text, int64_t bytes)
{
    KD_FAIL_IF(kd__utf8_valid(text, bytes, NULL) != bytes, KD_ERR_FORMAT,
               "%s: a token that is not UTF-8", r->what);
    return KD_OK;
}

/* A file has more bytes than tokens: a large id in a small file would only make room for
 * nothing. */
static int64_t most_id(const kd__reader *r)
{
    return r->t->source_bytes < 1 << 24 ? r->t->source_bytes : 1 << 24;
}

static kd_status read_vocabulary(kd__reader *r, const kd__json *model)
{
    const kd__json *vocabulary = kd__json_member(model, "vocab");
    KD_FAIL_IF(!vocabulary || vocabulary->type != KD__JSON_OBJECT, KD_ERR_FORMAT,
               "%s: model.vocab: expected an object", r->what);
    for (const kd__json *n = vocabulary->first; n; n = n->next) {
        int64_t id;
        const int64_t bytes = (int64_t)strlen(n->key);
        KD_TRY(check_utf8(r, n->key, bytes));
        KD_TRY(kd__json_integer(n, 0, most_id(r), &id, "tokenizer: an id"));
        KD_TRY(kd__tokenizer_set(r->t, id, n->key, bytes, 0));
    }
    return KD_OK;
}

/* "a b" or ["a", "b"]. */
static int merge_sides(const kd__json *n, const char *side[2], int64_t bytes[2])
{
    if (n->type == KD__JSON_ARRAY && n->children == 2 && n->first->type == KD__JSON_STRING &&
        n->first->next->type == KD__JSON_STRING) {
        side[0] = n->first->text, bytes[0] = n->first->length;
        side[1] = n->first->next->text, bytes[1] = n->first->next->length;
        return 1;
    }
    const char *space = n->type == KD__JSON_STRING ? strchr(n->text, ' ') : NULL;
    if (!space || strchr(space + 1, ' ')) return 0;
    side[0] = n->text, bytes[0] = space - n->text;
    side[1] = space + 1, bytes[1] = (int64_t)strlen(side[1]);
    return 1;
}

/* Merges that are lines of a merges.txt may bring its first line along. */
static int is_version_line(const kd__json *n)
{
    return n->type == KD__JSON_STRING && !strncmp(n->text, "#version", 8);
}

static kd_status read_merges(kd__reader *r, const kd__json *model)
{
    kd_tokenizer *t = r->t;
    const kd__json *merges = kd__json_member(model, "merges");
    kd__text joined = { .context = t->object.context };
    kd_status status = KD_OK;
    int32_t rank = 0;
    KD_FAIL_IF(!merges || merges->type != KD__JSON_ARRAY, KD_ERR_FORMAT,
               "%s: model.merges: expected a list", r->what);
    for (t->merges_size = 64; t->merges_size < 2 * (int64_t)merges->children + 2;)
        t->merges_size *= 2;
    KD_TRY(KD_NEW(t->object.context, &t->merges, t->merges_size));
    memset(t->merges, -1, (size_t)t->merges_size * sizeof *t->merges);
    for (const kd__json *n = merges->first; n && status == KD_OK; n = n->next, rank++) {
        if (is_version_line(n)) continue;
        const char *side[2];
        int64_t bytes[2];
        if (!merge_sides(n, side, bytes)) {
            status = kd__fail(KD_ERR_FORMAT, "%s: merge %d: expected a pair", r->what, rank);
            break;
        }
        joined.size = 0;
        if ((status = kd__text_append(&joined, side[0], (size_t)bytes[0])) != KD_OK) break;
        if ((status = kd__text_append(&joined, side[1], (size_t)bytes[1])) != KD_OK) break;
        const int32_t left = kd__find_token(t, side[0], bytes[0]),
                      right = kd__find_token(t, side[1], bytes[1]),
                      id = kd__find_token(t, joined.bytes, joined.size);
        if (left < 0 || right < 0 || id < 0)
            status = kd__fail(KD_ERR_FORMAT,
                              "%s: merge %d (%.40s) has a token that is not in the vocabulary",
                              r->what, rank, joined.bytes);
        else status = kd__tokenizer_merge(t, left, right, rank, id);
    }
    kd__text_free(&joined);
    return status;
}

static kd_status read_added(kd__reader *r, const kd__json *root)
{
    KD_TRY(kd__added_read(r->t, r->what, kd__json_member(root, "added_tokens"), most_id(r)));
    KD_TRY(kd__tokenizer_index(r->t));
    return kd__added_check(r->t, r->what);
}

static kd_status read_bpe(kd__reader *r, const kd__json *model)
{
    kd_tokenizer *t = r->t;
    KD_FAIL_IF(kd__is_given(model, "dropout") && kd__json_member(model, "dropout")->number != 0,
               KD_ERR_UNSUPPORTED, "%s: dropout is not supported", r->what);
    KD_FAIL_IF(kd__is_given(model, "continuing_subword_prefix") ||
                   kd__is_given(model, "end_of_word_suffix"),
               KD_ERR_UNSUPPORTED,
               "%s: continuing_subword_prefix and end_of_word_suffix are not supported", r->what);
    t->byte_fallback = kd__is_on(model, "byte_fallback", 0);
    t->fuse_unknown = kd__is_on(model, "fuse_unk", 0);
    t->ignore_merges = kd__is_on(model, "ignore_merges", 0);
    return KD_OK;
}

/* A model without a type is told by its members. */
static const char *type_of(const kd__json *model)
{
    const char *type = kd__text_of(model, "type");
    if (type || !model) return type;
    if (kd__json_member(model, "merges")) return "BPE";
    return kd__json_member(model, "max_input_chars_per_word") ? "WordPiece" : NULL;
}

static kd_status read_model(kd__reader *r, const kd__json *root)
{
    kd_tokenizer *t = r->t;
    const kd__json *model = kd__json_member(root, "model");
    const char *type = type_of(model), *unknown = kd__text_of(model, "unk_token");
    const int is_bpe = type && !strcmp(type, "BPE");
    KD_FAIL_IF(!type || (!is_bpe && strcmp(type, "WordPiece")), KD_ERR_UNSUPPORTED,
               "%s: a model of type %.40s: expected BPE or WordPiece", r->what,
               type ? type : "(none)");
    KD_TRY(is_bpe ? read_bpe(r, model) : kd__wordpiece_read(r, model));
    KD_TRY(read_vocabulary(r, model));
    /* merges and the unknown token are of the vocabulary: an added token is none of them */
    KD_TRY(kd__tokenizer_index(t));
    if (is_bpe) KD_TRY(read_merges(r, model));
    t->unknown_name = unknown;
    t->unknown = unknown ? kd__find_token(t, unknown, (int64_t)strlen(unknown)) : -1;
    return read_added(r, root);
}

/* ---- what is told and not applied ---- */

static kd_status read_told(kd__reader *r, const kd__json *root)
{
    kd_tokenizer_info *told = &r->t->told;
    const kd__json *padding = kd__json_member(root, "padding");
    int64_t token = -1, type = 0;
    KD_TRY(read_number(kd__json_member(root, "truncation"), "max_length", &told->max_tokens));
    told->padding_tokens = -1;
    if (padding && padding->type == KD__JSON_OBJECT) {
        told->padding_tokens = 0;
        KD_TRY(read_number(kd__json_member(padding, "strategy"), "Fixed", &told->padding_tokens));
        KD_TRY(read_number(padding, "pad_id", &token));
        KD_TRY(read_number(padding, "pad_type_id", &type));
    }
    told->padding_token = (int32_t)token;
    told->padding_type = (int32_t)type;
    return KD_OK;
}

kd_status kd__tokenizer_read(kd_tokenizer *t, const char *what)
{
    kd__reader r = { t, what };
    const kd__json *root = t->document.root;
    KD_FAIL_IF(root->type != KD__JSON_OBJECT, KD_ERR_FORMAT, "%s: expected a JSON object", what);
    if (kd__is_given(root, "normalizer"))
        KD_TRY(read_normalizer(&r, kd__json_member(root, "normalizer")));
    if (kd__is_given(root, "pre_tokenizer"))
        KD_TRY(read_cut(&r, kd__json_member(root, "pre_tokenizer")));
    mark_replacements(t);
    if (kd__is_given(root, "decoder")) KD_TRY(read_decoder(&r, kd__json_member(root, "decoder")));
    t->has_decoder = kd__is_given(root, "decoder");
    KD_TRY(read_model(&r, root));
    KD_TRY(read_told(&r, root));
    KD_TRY(kd__around_read(&r, kd__json_member(root, "post_processor")));
    return kd__tokenizer_finish(t);
}
