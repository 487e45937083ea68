/* What stands around a text, and around a pair of texts: the post-processor of tokenizer.json. */
#include <string.h>

#include "base/memory.h"
#include "language/tokenizer/reader.h"

static kd_status put(kd__reader *r, kd__layout *layout, int32_t id, int32_t type)
{
    KD_TRY(KD_RESERVE(r->t->object.context, &layout->place, &layout->room, layout->count + 1));
    if (id == KD__FIRST_TEXT) layout->text = layout->count;
    layout->place[layout->count++] = (kd__place){ id, type };
    return KD_OK;
}

static kd_status put_token(kd__reader *r, kd__layout *layout, const char *name, int64_t id,
                           int32_t type)
{
    KD_FAIL_IF(id < 0 || id >= r->t->size || !r->t->tokens[id].text, KD_ERR_FORMAT,
               "%s: the post-processor's token %.40s is not in the vocabulary", r->what,
               name ? name : "(none)");
    return put(r, layout, (int32_t)id, type);
}

static int64_t find(const kd__reader *r, const char *name)
{
    return name ? kd__find_token(r->t, name, (int64_t)strlen(name)) : -1;
}

/* ---- TemplateProcessing ---- */

static kd_status read_type(const kd__json *node, int32_t *type)
{
    const kd__json *number = kd__json_member(node, "type_id");
    int64_t found = 0;
    if (number) KD_TRY(kd__json_integer(number, 0, INT32_MAX, &found, "tokenizer: a type_id"));
    *type = (int32_t)found;
    return KD_OK;
}

/* A template's special token may stand for several ids. */
static kd_status put_special(kd__reader *r, kd__layout *layout, const kd__json *special,
                             const kd__json *node)
{
    const char *name = kd__text_of(node, "id");
    const kd__json *known = name ? kd__json_member(special, name) : NULL,
                   *ids = known ? kd__json_member(known, "ids") : NULL;
    int32_t type;
    KD_TRY(read_type(node, &type));
    if (!ids || ids->type != KD__JSON_ARRAY) return put_token(r, layout, name, find(r, name), type);
    for (const kd__json *n = ids->first; n; n = n->next) {
        int64_t id;
        KD_TRY(kd__json_integer(n, 0, INT32_MAX, &id, "tokenizer: an id"));
        KD_TRY(put_token(r, layout, name, id, type));
    }
    return KD_OK;
}

static kd_status put_sequence(kd__reader *r, kd__layout *layout, const kd__json *node)
{
    const char *name = kd__text_of(node, "id");
    int32_t type;
    KD_FAIL_IF(!name || (strcmp(name, "A") && strcmp(name, "B")), KD_ERR_FORMAT,
               "%s: a template's Sequence: expected A or B, got %.40s", r->what,
               name ? name : "(none)");
    KD_TRY(read_type(node, &type));
    return put(r, layout, *name == 'A' ? KD__FIRST_TEXT : KD__SECOND_TEXT, type);
}

static kd_status read_layout(kd__reader *r, const kd__json *list, const kd__json *special,
                             kd__layout *layout)
{
    layout->count = 0;
    for (const kd__json *n = list ? list->first : NULL; n; n = n->next) {
        const kd__json *text = kd__json_member(n, "Sequence");
        KD_TRY(text ? put_sequence(r, layout, text)
                    : put_special(r, layout, special, kd__json_member(n, "SpecialToken")));
    }
    return KD_OK;
}

static int64_t count_places(const kd__layout *layout, int32_t id)
{
    int64_t count = 0;
    for (int64_t i = 0; i < layout->count; i++) count += layout->place[i].id == id;
    return count;
}

/* Templates of pairs that have a text twice, or not at all, are refused where one is used. */
static kd_status read_template(kd__reader *r, const kd__json *node)
{
    kd__layout *single = &r->t->single, *pair = &r->t->pair;
    const kd__json *special = kd__json_member(node, "special_tokens");
    KD_TRY(read_layout(r, kd__json_member(node, "single"), special, single));
    KD_FAIL_IF(count_places(single, KD__FIRST_TEXT) != 1 || count_places(single, KD__SECOND_TEXT),
               KD_ERR_UNSUPPORTED, "%s: a template for one text: expected it once", r->what);
    KD_TRY(read_layout(r, kd__json_member(node, "pair"), special, pair));
    if (count_places(pair, KD__FIRST_TEXT) != 1 || count_places(pair, KD__SECOND_TEXT) != 1)
        pair->count = 0;
    return KD_OK;
}

/* ---- BertProcessing, RobertaProcessing ---- */

/* ["[CLS]", 101] */
static int64_t id_of(const kd__reader *r, const kd__json *node, const char **name)
{
    const kd__json *first = node ? node->first : NULL;
    int64_t id;
    *name = first ? first->text : NULL;
    if (!first || !first->next || first->next->type != KD__JSON_NUMBER) return find(r, *name);
    return kd__json_integer(first->next, 0, INT32_MAX, &id, "tokenizer: an id") == KD_OK ? id : -1;
}

/* [CLS] A [SEP] B [SEP], the second text and its end of type 1; RoBERTa's has a second separator
 * between the texts, and one type. */
static kd_status read_bert(kd__reader *r, const kd__json *node, int is_roberta)
{
    const char *cls_name, *sep_name;
    const int64_t cls = id_of(r, kd__json_member(node, "cls"), &cls_name),
                  sep = id_of(r, kd__json_member(node, "sep"), &sep_name);
    const int32_t second = !is_roberta;
    kd__layout *layouts[] = { &r->t->single, &r->t->pair };
    for (int i = 0; i < 2; i++) {
        layouts[i]->count = 0;
        KD_TRY(put_token(r, layouts[i], cls_name, cls, 0));
        KD_TRY(put(r, layouts[i], KD__FIRST_TEXT, 0));
        KD_TRY(put_token(r, layouts[i], sep_name, sep, 0));
    }
    if (is_roberta) KD_TRY(put_token(r, &r->t->pair, sep_name, sep, 0));
    KD_TRY(put(r, &r->t->pair, KD__SECOND_TEXT, second));
    return put_token(r, &r->t->pair, sep_name, sep, second);
}

/* ---- all ---- */

/* `is_set`: a processor before it set the layouts. */
static kd_status read_one(kd__reader *r, const kd__json *node, int *is_set)
{
    const char *type = kd__text_of(node, "type");
    if (!type) return kd__unsupported(r, "a post-processor", NULL);
    if (!strcmp(type, "ByteLevel")) return KD_OK; /* it moves offsets only */
    if (!strcmp(type, "Sequence")) {
        const kd__json *list = kd__json_member(node, "processors");
        for (const kd__json *n = list ? list->first : NULL; n; n = n->next)
            KD_TRY(read_one(r, n, is_set));
        return KD_OK;
    }
    const int is_template = !strcmp(type, "TemplateProcessing"),
              is_roberta = !strcmp(type, "RobertaProcessing");
    if (!is_template && !is_roberta && strcmp(type, "BertProcessing"))
        return kd__unsupported(r, "a post-processor", type);
    KD_FAIL_IF(*is_set, KD_ERR_UNSUPPORTED, "%s: a second post-processor that puts tokens (%.40s)",
               r->what, type);
    *is_set = 1;
    return is_template ? read_template(r, node) : read_bert(r, node, is_roberta);
}

kd_status kd__around_read(kd__reader *r, const kd__json *post_processor)
{
    int is_set = 0;
    KD_TRY(put(r, &r->t->single, KD__FIRST_TEXT, 0));
    KD_TRY(put(r, &r->t->pair, KD__FIRST_TEXT, 0));
    KD_TRY(put(r, &r->t->pair, KD__SECOND_TEXT, 1));
    if (!post_processor || post_processor->type == KD__JSON_NULL) return KD_OK;
    return read_one(r, post_processor, &is_set);
}
