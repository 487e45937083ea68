/* The tensors of a GGUF file before it is written: names, formats, and what did not fit. */
#include "language/gguf/gguf_plan.h"

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/memory.h"
#include "language/gguf/importance_matrix.h"
#include "language/trunk/lattice.h"

static const kd_gguf_options defaults = KD_GGUF_OPTIONS_INIT;
void kd_gguf_options_init(kd_gguf_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

/* ---- formats ---- */

static int is_float(int32_t format)
{
    return format == KD_FLOAT32 || format == KD_FLOAT16 || format == KD_BFLOAT16;
}

int32_t kd__gguf_type(int32_t format)
{
    return format == KD_FLOAT32    ? KD__GGML_F32
           : format == KD_FLOAT16  ? KD__GGML_F16
           : format == KD_BFLOAT16 ? KD__GGML_BF16
                                   : format - KD__GGML_BLOCKS;
}

const char *kd__gguf_format_name(int32_t format)
{
    const kd__block_format *f = kd__block_find(format);
    return f ? f->name : kd__dtype_name(format);
}

int64_t kd__gguf_bytes(int32_t format, int64_t count)
{
    const kd__block_format *f = kd__block_find(format);
    return f ? kd__block_row_bytes(f, count) : count * (int64_t)kd_dtype_bytes(format);
}

static kd_status check_format(const char *what, int32_t format)
{
    const kd__block_format *f = kd__block_find(format);
    KD_FAIL_IF(f && !f->encode, KD_ERR_UNSUPPORTED, "GGUF: %s: %s is only read; written are %s",
               what, f->name, KD__BLOCKS_WRITTEN);
    KD_FAIL_IF(!f && !is_float(format), KD_ERR_UNSUPPORTED,
               "GGUF: %s: expected KD_FLOAT32 (%d), KD_FLOAT16 (%d), KD_BFLOAT16 (%d) or a block "
               "format such as KD_BLOCK_Q4_0 (%d), got %d",
               what, KD_FLOAT32, KD_FLOAT16, KD_BFLOAT16, KD_BLOCK_Q4_0, format);
    return KD_OK;
}

static kd_status check_options(const kd_gguf_options *o)
{
    KD_TRY(check_format("format", o->format));
    if (o->head) KD_TRY(check_format("head", o->head));
    KD_FAIL_IF(o->mixture < KD_MIX_PURE || o->mixture > KD_MIX_MEDIUM, KD_ERR_RANGE,
               "GGUF: mixture: expected KD_MIX_PURE (0) to KD_MIX_MEDIUM (2), got %d", o->mixture);
    KD_FAIL_IF(o->rule_count < 0 || (o->rule_count && !o->rules), KD_ERR_INVALID,
               "GGUF: rules: expected %d of them, got NULL", o->rule_count);
    for (int32_t i = 0; i < o->rule_count; i++) {
        KD_TRY(kd__name_given(o->rules[i].pattern, "GGUF: a rule's pattern"));
        KD_TRY(check_format(o->rules[i].pattern, o->rules[i].format));
    }
    return KD_OK;
}

/* ---- entries ---- */

/* The format of the first rule that matches; 0: none does. */
static int32_t rule_for(const kd__gguf_plan *p, const char *ours, const char *theirs)
{
    int32_t found = 0;
    for (int32_t i = 0; i < p->o.rule_count; i++) {
        const kd_gguf_rule *r = &p->o.rules[i];
        if (!kd__matches(r->pattern, ours) && !kd__matches(r->pattern, theirs)) continue;
        p->matched[i] = 1;
        if (!found) found = r->format;
    }
    return found;
}

static int32_t wanted_format(const kd__gguf_plan *p, int32_t tensor, int64_t layer, int32_t ruled)
{
    if (ruled) return ruled;
    if (layer < 0 && p->o.head) return p->o.head;
    if (p->as_trained) return KD_BLOCK_Q8_0;
    return kd__gguf_mixture(p->d, &p->o, tensor, layer);
}

/* A matrix that did not get what it should: told, or with a pure format refused. */
static kd_status tell_fallback(kd__gguf_plan *p, const kd__tensor *t, const char *ours,
                               int32_t wanted, int32_t used)
{
    const kd__block_format *f = kd__block_find(wanted);
    KD_FAIL_IF(p->o.mixture == KD_MIX_PURE && !p->forgiving && used != KD_FLOAT16, KD_ERR_SHAPE,
               "GGUF: %s: %lld is no multiple of 256, which %s needs: take %s, or a mixture", ours,
               (long long)t->dims[1], f->name,
               wanted == KD_BLOCK_Q4_K ? "IQ4_NL or Q5_0" : kd__gguf_format_name(used));
    kd__log(p->model->object.context, KD_LOG_WARNING, "GGUF: %s: %lld is no multiple of %d: %s",
            ours, (long long)t->dims[1], t->dims[1] % 32 ? 32 : 256, kd__gguf_format_name(used));
    if (p->info.fallbacks++) return KD_OK;
    p->info.fallback = t->name;
    p->info.wanted = wanted;
    p->info.used = used;
    return KD_OK;
}

/* What the mixture would have said of a width that everything fits. */
static int32_t ideal_format(const kd__gguf_plan *p, int32_t tensor, int32_t wanted)
{
    const int is_head = tensor == p->d->head || (tensor == p->d->embedding && p->d->tied);
    const int chosen = wanted == KD_BLOCK_Q8_0 && is_head && !p->o.head;
    const int mixed = p->o.mixture != KD_MIX_PURE && kd__block_find(p->o.format);
    return chosen && mixed && p->o.format != KD_BLOCK_Q8_0 ? KD_BLOCK_Q6_K : wanted;
}

/* What a matrix was trained on is what is written; who asks for another format has to say so by
 * taking it off the lattice. */
static kd_status check_lattice(const kd__gguf_plan *p, const kd__lattice_matrix *m, int64_t layer,
                               int32_t ruled, const char *ours)
{
    const int32_t head = layer < 0 ? p->o.head : 0;
    const int32_t asked = ruled                        ? ruled
                          : head                       ? head
                          : p->as_trained || layer < 0 ? 0
                                                       : p->o.format;
    KD_FAIL_IF(asked && asked != m->format->format, KD_ERR_MISMATCH,
               "GGUF: %s is on a lattice of %s, and %s is asked for: leave format at 0, or take it "
               "off with kd_model_set_lattice",
               ours, m->format->name, kd__gguf_format_name(asked));
    return KD_OK;
}

static kd_status choose_format(kd__gguf_plan *p, int32_t tensor, int64_t layer, const char *ours,
                               kd__gguf_entry *e)
{
    const kd__tensor *t = &p->model->net.tensors[tensor];
    const kd__lattice_matrix *m = kd__lattice_find(p->model, tensor);
    const int32_t ruled = rule_for(p, ours, e->name);
    if (m) {
        e->format = m->format->format;
        return check_lattice(p, m, layer, ruled, ours);
    }
    const int32_t wanted = wanted_format(p, tensor, layer, ruled);
    const int32_t ideal = ideal_format(p, tensor, wanted);
    e->format = kd__gguf_fitting(wanted, t->dims[1]);
    return e->format == ideal ? KD_OK : tell_fallback(p, t, ours, ideal, e->format);
}

void kd__gguf_layer_name(const kd_model *model, int32_t tensor, int64_t layer,
                         char to[KD_NAME_BYTES])
{
    const char *name = model->net.tensors[tensor].name;
    const char *rest = layer < 0 ? NULL : strchr(name + strlen("model.layers."), '.');
    if (rest) snprintf(to, KD_NAME_BYTES, "model.layers.%d%.40s", (int)layer, rest);
    else snprintf(to, KD_NAME_BYTES, "%s", name);
}

static kd_status add_entry(kd__gguf_plan *p, int32_t tensor, int64_t layer)
{
    char ours[KD_NAME_BYTES];
    if (tensor < 0) return KD_OK;
    const kd__tensor *t = &p->model->net.tensors[tensor];
    kd__gguf_entry e = { .tensor = tensor, .format = KD_FLOAT32 };
    kd__gguf_layer_name(p->model, tensor, layer, ours);
    KD_FAIL_IF(!kd__gguf_name(ours, e.name), KD_ERR_UNSUPPORTED,
               "GGUF: tensor %s has no name there", ours);
    if (t->rank == 2) KD_TRY(choose_format(p, tensor, layer, ours, &e));
    KD_TRY(KD_RESERVE(p->model->object.context, &p->entries, &p->room, p->count + 1));
    p->entries[p->count++] = e;
    return KD_OK;
}

static kd_status add_layer(kd__gguf_plan *p, int64_t layer)
{
    const kd__trunk_layer *l = &p->d->layer[layer];
    const int32_t each[] = { l->norm1, l->q,  l->k,     l->v,   l->qb,   l->kb,
                             l->vb,    l->qn, l->kn,    l->o,   l->ob,   l->norm2,
                             l->gate,  l->up, l->gateb, l->upb, l->down, l->downb };
    for (size_t k = 0; k < sizeof each / sizeof *each; k++) KD_TRY(add_entry(p, each[k], layer));
    return KD_OK;
}

static kd_status add_divisors(kd__gguf_plan *p)
{
    const kd__gguf_entry e = { .tensor = -1, .format = KD_FLOAT32, .name = "rope_freqs.weight" };
    const int32_t kind = p->d->rope.kind;
    if (kind != KD__ROPE_LLAMA3 && kind != KD__ROPE_DIVISORS) return KD_OK;
    KD_TRY(KD_RESERVE(p->model->object.context, &p->entries, &p->room, p->count + 1));
    p->entries[p->count++] = e;
    return KD_OK;
}

static kd_status add_all(kd__gguf_plan *p)
{
    KD_TRY(add_entry(p, p->d->embedding, -1));
    for (int64_t i = 0; i < p->d->layers; i++) KD_TRY(add_layer(p, i));
    KD_TRY(add_entry(p, p->d->norm, -1));
    if (!p->d->tied) KD_TRY(add_entry(p, p->d->head, -1));
    KD_TRY(add_divisors(p));
    for (int32_t i = 0; i < p->o.rule_count; i++)
        KD_FAIL_IF(!p->matched[i], KD_ERR_NOT_FOUND, "GGUF: no matrix matches the rule '%.60s'%s",
                   p->o.rules[i].pattern, p->d->tied ? " (the head is the embedding)" : "");
    return KD_OK;
}

/* Format 0: that of the first matrix on the lattice is the file's. */
static kd_status take_lattice(kd__gguf_plan *p)
{
    const kd__lattice_matrix *found = NULL;
    for (int32_t i = 0; !found && i < (int32_t)p->model->net.tensor_count; i++)
        found = kd__lattice_find(p->model, i);
    KD_FAIL_IF(!found, KD_ERR_INVALID,
               "GGUF: format: 0 is what a model was trained on, and this one is on no lattice "
               "(kd_model_set_lattice)");
    p->as_trained = 1;
    p->o.format = found->format->format;
    p->o.mixture = KD_MIX_PURE;
    return KD_OK;
}

kd_status kd__gguf_plan_make(kd__gguf_plan *p, kd_model *model, const kd_gguf_options *options)
{
    p->model = model;
    p->d = kd__trunk_config_of(model);
    p->o = *options;
    KD_TRY(kd__model_check_whole(model, "gguf"));
    if (!p->o.format) KD_TRY(take_lattice(p));
    KD_TRY(check_options(&p->o));
    if (p->o.importance) KD_TRY(kd__importance_check(p->o.importance, model));
    KD_TRY(KD_NEW(model->object.context, &p->matched, p->o.rule_count + 1));
    return add_all(p);
}

void kd__gguf_plan_free(kd__gguf_plan *p)
{
    kd__release(p->model->object.context, p->entries);
    kd__release(p->model->object.context, p->matched);
}
