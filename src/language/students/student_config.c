/* A student's config: the teacher's, with its own sizes, and the caller's keys over both. */
#include <string.h>

#include "language/students/cutter.h"

/* What a student's sizes are called in some family: none is taken over from the teacher, and none
 * is the caller's. */
static const char *const sizes[] = { "num_hidden_layers",
                                     "n_layers",
                                     "hidden_size",
                                     "dim",
                                     "head_dim",
                                     "intermediate_size",
                                     "hidden_dim",
                                     "n_heads",
                                     "num_attention_heads",
                                     "num_key_value_heads" };
/* Told by layer, or they hang on the number of layers or on a size. */
static const char *const depending[] = { "layer_types", "max_window_layers", "kd_layer_repeats",
                                         "kd_layer_sharing", "kd_embedding_size" };

static int is_one_of(const char *const *names, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(key, names[i])) return 1;
    return 0;
}
static int is_size(const char *key) { return is_one_of(sizes, sizeof sizes / sizeof *sizes, key); }
static int is_ours(const char *key)
{
    return is_size(key) || is_one_of(depending, sizeof depending / sizeof *depending, key);
}

/* ---- keys ---- */

static kd_status put_key(kd__text *to, const char *key, int *first)
{
    if (!*first) KD_TRY(kd__text_append(to, ",", 1));
    *first = 0;
    KD_TRY(kd__text_quoted(to, key));
    return kd__text_append(to, ":", 1);
}

/* key NULL: the family has no such key. */
static kd_status put_size(kd__text *to, const char *key, int64_t value, int *first)
{
    if (!key) return KD_OK;
    KD_TRY(put_key(to, key, first));
    return kd__text_format(to, "%lld", (long long)value);
}

static kd_status put_sizes(const kd__cutter *c, kd__text *to, int *first)
{
    const kd__trunk_kind *names = c->t->kind;
    KD_TRY(put_size(to, names->layers, c->layers, first));
    KD_TRY(put_size(to, names->hidden, c->hidden, first));
    KD_TRY(put_size(to, names->inner, c->inner, first));
    KD_TRY(put_size(to, names->kv_heads, c->kv, first));
    KD_TRY(put_size(to, names->heads, c->t->heads / c->t->kv_heads * c->kv, first));
    return put_size(to, names->width, c->t->width, first);
}

static kd_status put_layer_types(const kd__cutter *c, const kd__json *old, const kd__json *over,
                                 kd__text *to, int *first)
{
    int windows = kd__json_member(old, "layer_types") != NULL;
    for (int64_t l = 0; l < c->t->layers; l++) windows |= c->t->layer[l].window != 0;
    if (!windows || kd__json_member(over, "layer_types") || kd__json_member(over, "sliding_window"))
        return KD_OK;
    KD_TRY(put_key(to, "layer_types", first));
    for (int64_t i = 0; i < c->layers; i++)
        KD_TRY(kd__text_format(to, "%s\"%s\"", i ? "," : "[",
                               c->t->layer[c->map[i]].window ? "sliding_attention"
                                                             : "full_attention"));
    return kd__text_append(to, "]", 1);
}

static kd_status put_over(const kd__json *over, kd__text *to, int *first)
{
    for (const kd__json *n = over ? over->first : NULL; n; n = n->next) {
        KD_FAIL_IF(is_size(n->key), KD_ERR_CONFIG,
                   "kd_student_options.config: %s is a size: set it with the option instead",
                   n->key);
        KD_TRY(put_key(to, n->key, first));
        KD_TRY(kd__json_write(to, n));
    }
    return KD_OK;
}

/* ---- the whole ---- */

static kd_status put_config(const kd__cutter *c, const kd__json *old, const kd__json *over,
                            kd__text *to)
{
    int first = 1;
    KD_TRY(kd__text_append(to, "{", 1));
    for (const kd__json *n = old->first; n; n = n->next) {
        if (is_ours(n->key) || kd__json_member(over, n->key)) continue;
        KD_TRY(put_key(to, n->key, &first));
        if (!strcmp(n->key, "kd_heads")) KD_TRY(kd__cutter_put_heads(c, n, to));
        else KD_TRY(kd__json_write(to, n));
    }
    KD_TRY(put_sizes(c, to, &first));
    KD_TRY(put_layer_types(c, old, over, to, &first));
    KD_TRY(put_over(over, to, &first));
    return kd__text_append(to, "}", 1);
}

kd_status kd__cutter_config(const kd__cutter *c, kd__text *to)
{
    kd__json_document old = { 0 }, over = { 0 };
    const char *config = c->teacher->net.config;
    kd_status status = kd__json_parse(&old, to->context, config, strlen(config), "config");
    if (status == KD_OK && c->o.config)
        status = kd__json_parse(&over, to->context, c->o.config, strlen(c->o.config),
                                "kd_student_options.config");
    if (status == KD_OK && over.root && over.root->type != KD__JSON_OBJECT)
        status = kd__fail(KD_ERR_CONFIG, "kd_student_options.config: expected an object");
    if (status == KD_OK) status = put_config(c, old.root, over.root, to);
    kd__json_free(&old);
    kd__json_free(&over);
    return status;
}
