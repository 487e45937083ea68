/* tokenizer.json into a tokenizer. What the file has and this library has not is refused by name. */
#include <string.h>

#include "tokenizer/gguf_tokenizer.h"
#include "tokenizer/tokenizer.h"

typedef struct {
    kd_tokenizer *t;
    const char *what; /* the file, for messages */
} reader;

static const char *text_of(const kd__json *node, const char *key)
{
    const kd__json *member = kd__json_member(node, key);
    return member && member->type == KD__JSON_STRING ? member->text : NULL;
}

static int is_on(const kd__json *node, const char *key, int otherwise)
{
    const kd__json *member = kd__json_member(node, key);
    return member && member->type == KD__JSON_BOOL ? member->number != 0 : otherwise;
}

static int is_given(const kd__json *node, const char *key)
{
    const kd__json *member = kd__json_member(node, key);
    return member && member->type != KD__JSON_NULL && !(member->type == KD__JSON_STRING && !member->length);
}

static kd_status unsupported(const reader *r, const char *part, const char *type)
{
    return kd__fail(KD_ERR_UNSUPPORTED, "%s: %s of type %.40s is not supported", r->what, part, type ? type : "(none)");
}

/* ---- steps ---- */

static kd_status add_step(reader *r, kd__steps *steps, kd__step step)
{
    kd_status status = KD_OK;
    if (steps->count == steps->room) status = KD_RESERVE(r->t->object.context, &steps->step, &steps->room, 2 * steps->room + 8);
    if (status != KD_OK) {
        kd__regex_free(step.regex);
        return status;
    }
    steps->step[steps->count++] = step;
    return KD_OK;
}

/* A text as a regular expression that matches it. */
static kd_status compile_text(reader *r, const char *text, int64_t bytes, kd__regex **regex)
{
    kd__text escaped = { .context = r->t->object.context };
    kd_status status = KD_OK;
    KD_FAIL_IF(!bytes, KD_ERR_UNSUPPORTED, "%s: an empty pattern", r->what);
    for (int64_t i = 0; i < bytes && status == KD_OK; i++) {
        const int plain = (unsigned char)text[i] >= 128 || (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
                          (text[i] >= '0' && text[i] <= '9');
        if (!plain) status = kd__text_append(&escaped, "\\", 1);
        if (status == KD_OK) status = kd__text_append(&escaped, text + i, 1);
    }
    if (status == KD_OK) status = kd__regex_compile(regex, escaped.context, escaped.bytes, escaped.size);
    kd__text_free(&escaped);
    return status;
}

static kd_status compile_pattern(reader *r, const kd__json *node, kd__regex **regex)
{
    const kd__json *pattern = kd__json_member(node, "pattern");
    if (pattern && pattern->type == KD__JSON_STRING) return compile_text(r, pattern->text, pattern->length, regex);
    const kd__json *string = kd__json_member(pattern, "String"), *expression = kd__json_member(pattern, "Regex");
    if (string && string->type == KD__JSON_STRING) return compile_text(r, string->text, string->length, regex);
    KD_FAIL_IF(!expression || expression->type != KD__JSON_STRING, KD_ERR_FORMAT, "%s: a pattern that is neither String nor Regex", r->what);
    return kd__regex_compile(regex, r->t->object.context, expression->text, expression->length);
}

static kd_status add_replace(reader *r, kd__steps *steps, const kd__json *node)
{
    const kd__json *content = kd__json_member(node, "content");
    kd__step step = { .type = KD__STEP_REPLACE };
    KD_FAIL_IF(!content || content->type != KD__JSON_STRING, KD_ERR_FORMAT, "%s: Replace without content", r->what);
    step.to = content->text;
    step.to_bytes = content->length;
    KD_TRY(compile_pattern(r, node, &step.regex));
    return add_step(r, steps, step);
}

/* ---- normalizers ---- */

static kd_status read_normalizer(reader *r, const kd__json *node)
{
    static const char *const forms[] = { "NFC", "NFD", "NFKC", "NFKD" };
    kd__steps *steps = &r->t->normalizers;
    const char *type = text_of(node, "type"), *prepend = text_of(node, "prepend");
    if (!type) return unsupported(r, "a normalizer", NULL);
    if (!strcmp(type, "Sequence")) {
        const kd__json *list = kd__json_member(node, "normalizers");
        for (const kd__json *n = list ? list->first : NULL; n; n = n->next) KD_TRY(read_normalizer(r, n));
        return KD_OK;
    }
    for (int32_t i = 0; i < 4; i++)
        if (!strcmp(type, forms[i])) return add_step(r, steps, (kd__step){ .type = KD__STEP_FORM, .option = i });
    if (!strcmp(type, "Lowercase")) return add_step(r, steps, (kd__step){ .type = KD__STEP_LOWER });
    if (!strcmp(type, "Replace")) return add_replace(r, steps, node);
    if (!strcmp(type, "Strip"))
        return add_step(r, steps, (kd__step){ .type = KD__STEP_STRIP, .option = is_on(node, "strip_left", 1) | is_on(node, "strip_right", 1) << 1 });
    if (!strcmp(type, "Prepend") && prepend)
        return add_step(r, steps, (kd__step){ .type = KD__STEP_PREPEND, .to = prepend, .to_bytes = (int64_t)strlen(prepend) });
    return unsupported(r, "a normalizer", type);
}

/* ---- pre-tokenizers ---- */

static kd_status add_split(reader *r, const char *pattern, int32_t behaviour, int inverted)
{
    kd__step step = { .type = KD__STEP_SPLIT, .option = behaviour, .inverted = inverted, .pattern = pattern };
    KD_TRY(kd__regex_compile(&step.regex, r->t->object.context, pattern, (int64_t)strlen(pattern)));
    return add_step(r, &r->t->cuts, step);
}

static kd_status read_behaviour(const reader *r, const kd__json *node, int32_t *behaviour)
{
    static const char *const names[] = { "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous" };
    const char *name = text_of(node, "behavior");
    if (!name) return KD_OK; /* as it was set before */
    for (int32_t i = 0; i < 5; i++)
        if (!strcmp(name, names[i])) return *behaviour = i, KD_OK;
    return unsupported(r, "a behavior", name);
}

static kd_status read_split(reader *r, const kd__json *node)
{
    kd__step step = { .type = KD__STEP_SPLIT, .inverted = is_on(node, "invert", 0), .pattern = text_of(kd__json_member(node, "pattern"), "Regex") };
    KD_TRY(read_behaviour(r, node, &step.option));
    KD_TRY(compile_pattern(r, node, &step.regex));
    return add_step(r, &r->t->cuts, step);
}

static kd_status read_byte_level(reader *r, const kd__json *node)
{
    r->t->byte_level = 1;
    if (is_on(node, "add_prefix_space", 1))
        KD_TRY(add_step(r, &r->t->cuts, (kd__step){ .type = KD__STEP_PREPEND, .option = KD__ALL_PIECES, .to = " ", .to_bytes = 1 }));
    return is_on(node, "use_regex", 1) ? add_split(r, kd__gpt2_pattern, KD__ISOLATED, 0) : KD_OK;
}

/* Spaces become a mark, which begins pieces. */
static kd_status read_metaspace(reader *r, const kd__json *node)
{
    const char *mark = text_of(node, "replacement"), *scheme = text_of(node, "prepend_scheme");
    kd__step step = { .type = KD__STEP_REPLACE, .to = mark, .to_bytes = mark ? (int64_t)strlen(mark) : 0 };
    KD_FAIL_IF(!mark || !*mark, KD_ERR_FORMAT, "%s: Metaspace without replacement", r->what);
    KD_FAIL_IF(scheme && strcmp(scheme, "always") && strcmp(scheme, "first") && strcmp(scheme, "never"), KD_ERR_UNSUPPORTED,
               "%s: prepend_scheme %.40s is not supported", r->what, scheme);
    if (!scheme) scheme = is_on(node, "add_prefix_space", 1) ? "always" : "never";
    KD_TRY(compile_text(r, " ", 1, &step.regex));
    KD_TRY(add_step(r, &r->t->cuts, step));
    step.regex = NULL;
    step.type = KD__STEP_PREPEND;
    step.option = *scheme == 'f' ? KD__FIRST_PIECE : KD__ALL_PIECES;
    if (*scheme != 'n') KD_TRY(add_step(r, &r->t->cuts, step));
    if (!is_on(node, "split", 1)) return KD_OK;
    step = (kd__step){ .type = KD__STEP_SPLIT, .option = KD__MERGED_WITH_NEXT };
    KD_TRY(compile_text(r, mark, (int64_t)strlen(mark), &step.regex));
    return add_step(r, &r->t->cuts, step);
}

static kd_status read_cut(reader *r, const kd__json *node)
{
    const char *type = text_of(node, "type");
    int32_t behaviour = KD__ISOLATED;
    if (!type) return unsupported(r, "a pre-tokenizer", NULL);
    KD_FAIL_IF(r->t->byte_level, KD_ERR_UNSUPPORTED, "%s: a pre-tokenizer (%.40s) behind ByteLevel is not supported", r->what, type);
    if (!strcmp(type, "Sequence")) {
        const kd__json *list = kd__json_member(node, "pretokenizers");
        for (const kd__json *n = list ? list->first : NULL; n; n = n->next) KD_TRY(read_cut(r, n));
        return KD_OK;
    }
    if (!strcmp(type, "ByteLevel")) return read_byte_level(r, node);
    if (!strcmp(type, "Split")) return read_split(r, node);
    if (!strcmp(type, "Metaspace")) return read_metaspace(r, node);
    if (!strcmp(type, "Digits"))
        return add_step(r, &r->t->cuts, (kd__step){ .type = KD__STEP_DIGITS, .option = is_on(node, "individual_digits", 0) });
    if (!strcmp(type, "Punctuation")) {
        KD_TRY(read_behaviour(r, node, &behaviour));
        return add_split(r, "[\\p{P}!-/:-@\\[-`{-~]", behaviour, 0);
    }
    if (!strcmp(type, "WhitespaceSplit")) return add_split(r, "\\s", KD__REMOVED, 0);
    if (!strcmp(type, "Whitespace")) return add_split(r, "\\w+|[^\\w\\s]+", KD__REMOVED, 1);
    return unsupported(r, "a pre-tokenizer", type);
}

/* ---- post-processors ---- */

static kd_status push_around(reader *r, int32_t **list, int64_t *count, const char *token)
{
    int64_t room = 0;
    const int32_t id = token ? kd__find_token(r->t, token, (int64_t)strlen(token)) : -1;
    KD_FAIL_IF(id < 0, KD_ERR_FORMAT, "%s: the post-processor's token %.40s is not in the vocabulary", r->what, token ? token : "(none)");
    room = *count;
    KD_TRY(KD_RESERVE(r->t->object.context, list, &room, *count + 1));
    (*list)[(*count)++] = id;
    return KD_OK;
}

/* Special tokens before and behind the one sequence. */
static kd_status read_template(reader *r, const kd__json *node)
{
    kd_tokenizer *t = r->t;
    const kd__json *single = kd__json_member(node, "single");
    int behind = 0;
    for (const kd__json *n = single ? single->first : NULL; n; n = n->next) {
        const char *token = text_of(kd__json_member(n, "SpecialToken"), "id");
        if (kd__json_member(n, "Sequence")) {
            KD_FAIL_IF(behind, KD_ERR_UNSUPPORTED, "%s: a template that has the text twice", r->what);
            behind = 1;
        } else if (behind) KD_TRY(push_around(r, &t->behind, &t->behind_count, token));
        else KD_TRY(push_around(r, &t->before, &t->before_count, token));
    }
    return KD_OK;
}

static kd_status read_around(reader *r, const kd__json *node)
{
    kd_tokenizer *t = r->t;
    const char *type = text_of(node, "type");
    if (!type) return unsupported(r, "a post-processor", NULL);
    if (!strcmp(type, "ByteLevel")) return KD_OK; /* it moves offsets only */
    if (!strcmp(type, "TemplateProcessing")) return read_template(r, node);
    if (!strcmp(type, "Sequence")) {
        const kd__json *list = kd__json_member(node, "processors");
        for (const kd__json *n = list ? list->first : NULL; n; n = n->next) KD_TRY(read_around(r, n));
        return KD_OK;
    }
    if (!strcmp(type, "RobertaProcessing") || !strcmp(type, "BertProcessing")) {
        const kd__json *cls = kd__json_member(node, "cls"), *sep = kd__json_member(node, "sep");
        KD_TRY(push_around(r, &t->before, &t->before_count, cls && cls->first ? cls->first->text : NULL));
        return push_around(r, &t->behind, &t->behind_count, sep && sep->first ? sep->first->text : NULL);
    }
    return unsupported(r, "a post-processor", type);
}

/* ---- decoders ---- */

static kd_status read_decoder(reader *r, const kd__json *node)
{
    kd__steps *steps = &r->t->decoders;
    const char *type = text_of(node, "type"), *content = text_of(node, "content"), *mark = text_of(node, "replacement"),
               *scheme = text_of(node, "prepend_scheme");
    if (!type) return unsupported(r, "a decoder", NULL);
    if (!strcmp(type, "Sequence")) {
        const kd__json *list = kd__json_member(node, "decoders");
        for (const kd__json *n = list ? list->first : NULL; n; n = n->next) KD_TRY(read_decoder(r, n));
        return KD_OK;
    }
    if (!strcmp(type, "ByteLevel")) return add_step(r, steps, (kd__step){ .type = KD__STEP_BYTES });
    if (!strcmp(type, "ByteFallback")) return add_step(r, steps, (kd__step){ .type = KD__STEP_BYTE_FALLBACK });
    if (!strcmp(type, "Fuse")) return add_step(r, steps, (kd__step){ .type = KD__STEP_FUSE });
    if (!strcmp(type, "Replace")) return add_replace(r, steps, node);
    if (!strcmp(type, "Strip") && content) {
        kd__step step = { .type = KD__STEP_STRIP_TEXT, .to = content, .to_bytes = (int64_t)strlen(content) };
        const kd__json *start = kd__json_member(node, "start"), *stop = kd__json_member(node, "stop");
        step.start = start ? (int32_t)start->number : 0;
        step.stop = stop ? (int32_t)stop->number : 0;
        return add_step(r, steps, step);
    }
    if (!strcmp(type, "Metaspace") && mark)
        return add_step(r, steps,
                        (kd__step){ .type = KD__STEP_METASPACE,
                                    .to = mark,
                                    .to_bytes = (int64_t)strlen(mark),
                                    .option = scheme ? strcmp(scheme, "never") != 0 : is_on(node, "add_prefix_space", 1) });
    return unsupported(r, "a decoder", type);
}

/* ---- the model ---- */

static kd_status check_utf8(const reader *r, const char *text, int64_t bytes)
{
    KD_FAIL_IF(kd__utf8_valid(text, bytes, NULL) != bytes, KD_ERR_FORMAT, "%s: a token that is not UTF-8", r->what);
    return KD_OK;
}

/* A file has more bytes than tokens: a large id in a small file would only make room for nothing. */
static kd_status read_id(const reader *r, const kd__json *node, int64_t *id)
{
    const int64_t most = r->t->source_bytes < 1 << 24 ? r->t->source_bytes : 1 << 24;
    return kd__json_integer(node, 0, most, id, "tokenizer: an id");
}

static kd_status read_vocabulary(reader *r, const kd__json *model)
{
    const kd__json *vocabulary = kd__json_member(model, "vocab");
    KD_FAIL_IF(!vocabulary || vocabulary->type != KD__JSON_OBJECT, KD_ERR_FORMAT, "%s: model.vocab is no object", r->what);
    for (const kd__json *n = vocabulary->first; n; n = n->next) {
        int64_t id;
        const int64_t bytes = (int64_t)strlen(n->key);
        KD_TRY(check_utf8(r, n->key, bytes));
        KD_TRY(read_id(r, n, &id));
        KD_TRY(kd__tokenizer_set(r->t, id, n->key, bytes, 0));
    }
    return KD_OK;
}

static kd_status read_added(reader *r, const kd__json *root)
{
    const kd__json *added = kd__json_member(root, "added_tokens");
    for (const kd__json *n = added && added->type == KD__JSON_ARRAY ? added->first : NULL; n; n = n->next) {
        const kd__json *content = kd__json_member(n, "content"), *number = kd__json_member(n, "id");
        int64_t id;
        KD_FAIL_IF(!content || content->type != KD__JSON_STRING || !number, KD_ERR_FORMAT, "%s: an added token without content or id", r->what);
        KD_TRY(check_utf8(r, content->text, content->length));
        KD_TRY(read_id(r, number, &id));
        int32_t flags = KD_TOKEN_ADDED;
        if (is_on(n, "special", 0)) flags |= KD_TOKEN_SPECIAL;
        if (is_on(n, "normalized", !is_on(n, "special", 0))) flags |= KD__TOKEN_NORMALIZED;
        if (is_on(n, "lstrip", 0)) flags |= KD__TOKEN_LEFT;
        if (is_on(n, "rstrip", 0)) flags |= KD__TOKEN_RIGHT;
        if (is_on(n, "single_word", 0)) flags |= KD__TOKEN_WORD;
        const int known = id < r->t->size && r->t->tokens[id].text && !strcmp(r->t->tokens[id].text, content->text);
        KD_TRY(kd__tokenizer_set(r->t, id, content->text, content->length, flags | (known ? 0 : KD__TOKEN_OUTSIDE)));
    }
    return KD_OK;
}

/* "a b" or ["a", "b"]. */
static int merge_sides(const kd__json *n, const char *side[2], int64_t bytes[2])
{
    if (n->type == KD__JSON_ARRAY && n->children == 2 && n->first->type == KD__JSON_STRING && n->first->next->type == KD__JSON_STRING) {
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

static kd_status read_merges(reader *r, const kd__json *model)
{
    kd_tokenizer *t = r->t;
    const kd__json *merges = kd__json_member(model, "merges");
    kd__text joined = { .context = t->object.context };
    kd_status status = KD_OK;
    int32_t rank = 0;
    KD_FAIL_IF(!merges || merges->type != KD__JSON_ARRAY, KD_ERR_FORMAT, "%s: model.merges is no list", r->what);
    for (t->merges_size = 64; t->merges_size < 2 * (int64_t)merges->children + 2;) t->merges_size *= 2;
    KD_TRY(KD_NEW(t->object.context, &t->merges, t->merges_size));
    memset(t->merges, -1, (size_t)t->merges_size * sizeof *t->merges);
    for (const kd__json *n = merges->first; n && status == KD_OK; n = n->next, rank++) {
        const char *side[2];
        int64_t bytes[2];
        if (!merge_sides(n, side, bytes)) {
            status = kd__fail(KD_ERR_FORMAT, "%s: merge %d is no pair", r->what, rank);
            break;
        }
        joined.size = 0;
        if ((status = kd__text_append(&joined, side[0], (size_t)bytes[0])) != KD_OK) break;
        if ((status = kd__text_append(&joined, side[1], (size_t)bytes[1])) != KD_OK) break;
        const int32_t left = kd__find_token(t, side[0], bytes[0]), right = kd__find_token(t, side[1], bytes[1]),
                      id = kd__find_token(t, joined.bytes, joined.size);
        if (left < 0 || right < 0 || id < 0)
            status = kd__fail(KD_ERR_FORMAT, "%s: merge %d (%.40s) has a token that is not in the vocabulary", r->what, rank, joined.bytes);
        else status = kd__tokenizer_merge(t, left, right, rank, id);
    }
    kd__text_free(&joined);
    return status;
}

static kd_status read_model(reader *r, const kd__json *root)
{
    kd_tokenizer *t = r->t;
    const kd__json *model = kd__json_member(root, "model");
    const char *type = text_of(model, "type"), *unknown = text_of(model, "unk_token");
    KD_FAIL_IF(!model || (type ? strcmp(type, "BPE") != 0 : !kd__json_member(model, "merges")), KD_ERR_UNSUPPORTED,
               "%s: a model of type %.40s: expected BPE", r->what, type ? type : "(none)");
    KD_FAIL_IF(is_given(model, "dropout") && kd__json_member(model, "dropout")->number != 0, KD_ERR_UNSUPPORTED, "%s: dropout is not supported",
               r->what);
    KD_FAIL_IF(is_given(model, "continuing_subword_prefix") || is_given(model, "end_of_word_suffix"), KD_ERR_UNSUPPORTED,
               "%s: continuing_subword_prefix and end_of_word_suffix are not supported", r->what);
    t->byte_fallback = is_on(model, "byte_fallback", 0);
    t->fuse_unknown = is_on(model, "fuse_unk", 0);
    t->ignore_merges = is_on(model, "ignore_merges", 0);
    KD_TRY(read_vocabulary(r, model));
    KD_TRY(read_added(r, root));
    KD_TRY(kd__tokenizer_index(t));
    KD_TRY(read_merges(r, model));
    t->unknown = unknown ? kd__find_token(t, unknown, (int64_t)strlen(unknown)) : -1;
    return KD_OK;
}

kd_status kd__tokenizer_read(kd_tokenizer *t, const char *what)
{
    reader r = { t, what };
    const kd__json *root = t->document.root;
    KD_FAIL_IF(root->type != KD__JSON_OBJECT, KD_ERR_FORMAT, "%s: no JSON object", what);
    if (is_given(root, "normalizer")) KD_TRY(read_normalizer(&r, kd__json_member(root, "normalizer")));
    if (is_given(root, "pre_tokenizer")) KD_TRY(read_cut(&r, kd__json_member(root, "pre_tokenizer")));
    if (is_given(root, "decoder")) KD_TRY(read_decoder(&r, kd__json_member(root, "decoder")));
    t->has_decoder = is_given(root, "decoder");
    KD_TRY(read_model(&r, root));
    if (is_given(root, "post_processor")) KD_TRY(read_around(&r, kd__json_member(root, "post_processor")));
    return kd__tokenizer_finish(t);
}
