/* One head as a class of transformers. Legend in head_class.h. */
#include "core/model/head_class.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "nn/activation.h"
#include "nn/sequence_pool.h"

/* ---- which head, which class ---- */

static const char *level_name(int32_t unit) { return unit == KD_UNIT_OF_ROW ? "row" : "sample"; }

static void name_form(const kd__head_form *f, char *to, size_t room)
{
    size_t at = (size_t)snprintf(to, room, "level %s", level_name(f->unit));
    if (f->unit != KD_UNIT_OF_ROW && at < room)
        at += (size_t)snprintf(to + at, room - at, ", pooling %s", kd__pooling_name(f->pooling));
    if (at < room)
        at += (size_t)snprintf(to + at, room - at, ", hidden_size %lld", (long long)f->hidden);
    if (f->hidden && at < room)
        at += (size_t)snprintf(to + at, room - at, ", activation %s",
                               kd__activation_name(f->activation));
    if (at < room) snprintf(to + at, room - at, ", bias %s", f->has_bias ? "true" : "false");
}

kd_status kd__head_check(const kd_model *model, const kd__task_head *h, const char *name,
                         const kd__head_form *f)
{
    kd__output_facts facts;
    char wanted[160];
    kd__network_describe(&model->net, h->source, &facts);
    const int fits = h->unit == f->unit && h->hidden == f->hidden &&
                     (h->bias >= 0) == (f->has_bias != 0) && !strcmp(facts.name, "hidden") &&
                     (f->unit == KD_UNIT_OF_ROW || h->pooling == f->pooling) &&
                     (!f->hidden || h->activation == f->activation);
    if (fits) return KD_OK;
    name_form(f, wanted, sizeof wanted);
    return kd__fail(KD_ERR_UNSUPPORTED, "save: '%s' is no head of %s, which has from hidden, %s",
                    h->output, name, wanted);
}

static const kd__task_head *find(const kd_model *model, const char *name)
{
    const kd__task_heads *heads = model->net.heads;
    char output[KD_NAME_BYTES];
    snprintf(output, sizeof output, "logits.%s", name);
    for (int64_t i = 0; heads && i < heads->count; i++)
        if (!strcmp(heads->head[i].output, output)) return &heads->head[i];
    return NULL;
}

kd_status kd__head_class_find(kd_model *model, const char *name, const kd__task_head **head,
                              kd__head_class *to)
{
    *head = find(model, name);
    KD_FAIL_IF(!*head, KD_ERR_NOT_FOUND, "save: head: the model has no head \"%.60s\"", name);
    KD_FAIL_IF(!model->net.engine->head_class, KD_ERR_UNSUPPORTED,
               "save: head: a model of type %s has no class with a head alone",
               model->net.engine->model_types);
    memset(to, 0, sizeof *to);
    return model->net.engine->head_class(model, *head, to);
}

/* ---- tensors ---- */

static int begins(const char *name, const char *with) { return !strncmp(name, with, strlen(with)); }

/* Of a tensor of a head: its name in the folder; NULL: it is not written. */
static const char *head_name(const kd__head_class *as, const char *head, const char *name)
{
    const char *rest = name + strlen("heads."), *own = head + strlen("logits.");
    const size_t length = strlen(own);
    if (strncmp(rest, own, length) || rest[length] != '.') return NULL;
    rest += length + 1;
    return !strcmp(rest, "weight")         ? as->weight
           : !strcmp(rest, "bias")         ? as->bias
           : !strcmp(rest, "dense.weight") ? as->dense_weight
                                           : as->dense_bias;
}

/* to: room for a name; NULL: it is not written. */
static const char *trunk_name(const kd__head_class *as, const char *name, char *to)
{
    const char *rest = begins(name, as->prefix) ? name + strlen(as->prefix) : name;
    for (const char *const *d = as->drops; *d; d++)
        if (begins(rest, *d)) return NULL;
    if (rest != name) return name;
    const int length = snprintf(to, KD_NAME_BYTES, "%s%s", as->prefix, name);
    return length < KD_NAME_BYTES ? to : name;
}

kd_status kd__head_class_entries(const kd_model *model, const kd__task_head *h,
                                 const kd__head_class *as, kd__entries *e)
{
    char(*names)[KD_NAME_BYTES] = NULL;
    int64_t count = 0;
    /* the engine's names may lie in a block that is filled here */
    KD_TRY(KD_NEW(model->object.context, &names, 2 * e->count));
    for (int64_t i = 0; i < e->count; i++) {
        const char *from = e->entry[i].name;
        char *kept = names[2 * i], *made = names[2 * i + 1];
        snprintf(kept, KD_NAME_BYTES, "%s", from);
        const char *name = begins(kept, "heads.") ? head_name(as, h->output, kept)
                                                  : trunk_name(as, kept, made);
        if (!name) continue;
        e->entry[count] = e->entry[i];
        e->entry[count++].name = name;
    }
    kd__release(model->object.context, e->names);
    e->names = names;
    e->count = count;
    return KD_OK;
}

/* ---- the config ---- */

/* Keys that say something of what is not there any more, or that are written below. */
static int is_left_out(const kd__head_class *as, const char *key)
{
    static const char *const keys[] = { "architectures", "num_labels", "id2label", "label2id" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i])) return 1;
    return begins(key, "kd_") || (as->dropout_key && !strcmp(key, as->dropout_key));
}

static kd_status write_labels(kd__text *to, int64_t labels)
{
    for (int pass = 0; pass < 2; pass++) {
        KD_TRY(kd__text_format(to, pass ? ",\"label2id\":{" : ",\"id2label\":{"));
        for (int64_t i = 0; i < labels; i++)
            KD_TRY(kd__text_format(to, pass ? "%s\"LABEL_%lld\":%lld" : "%s\"%lld\":\"LABEL_%lld\"",
                                   i ? "," : "", (long long)i, (long long)i));
        KD_TRY(kd__text_format(to, "}"));
    }
    return KD_OK;
}

static kd_status write_members(const kd__json *root, const kd__task_head *h,
                               const kd__head_class *as, kd__text *to)
{
    KD_TRY(kd__text_format(to, "{\"architectures\":[\"%s\"]", as->name));
    KD_TRY(write_labels(to, h->labels));
    if (as->dropout_key) {
        KD_TRY(kd__text_format(to, ",\"%s\":", as->dropout_key));
        KD_TRY(kd__text_number(to, h->dropout));
    }
    for (const kd__json *n = root->first; n; n = n->next) {
        if (is_left_out(as, n->key)) continue;
        KD_TRY(kd__text_format(to, ","));
        KD_TRY(kd__text_quoted(to, n->key));
        KD_TRY(kd__text_format(to, ":"));
        KD_TRY(kd__json_write(to, n));
    }
    return kd__text_format(to, "}");
}

kd_status kd__head_class_config(const kd__task_head *h, const kd__head_class *as,
                                const kd__text *config, kd__text *to)
{
    kd__json_document document = { 0 };
    KD_TRY(kd__json_parse(&document, to->context, config->bytes, (size_t)config->size, "config"));
    const kd_status status = write_members(document.root, h, as, to);
    kd__json_free(&document);
    return status;
}
