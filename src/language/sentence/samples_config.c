/* Keys of a config for outputs of samples. They are this library's own: sentence-transformers has
 * what they say in other files. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "language/sentence/samples.h"
#include "language/trunk/config_keys.h"
#include "nn/activation.h"

static kd_status read_stage(kd__stage *s, const kd__json *node, int64_t inputs)
{
    const char *activation;
    int32_t bias;
    for (const kd__json *n = node->first; n; n = n->next)
        KD_FAIL_IF(strcmp(n->key, "out_features") && strcmp(n->key, "bias") &&
                       strcmp(n->key, "activation") && strcmp(n->key, "folder"),
                   KD_ERR_CONFIG, "config: kd_dense: the key \"%.60s\" is unknown", n->key);
    KD_TRY(kd__config_integer(node, "out_features", 1, 0, &s->outputs));
    KD_FAIL_IF(s->outputs > 1 << 24, KD_ERR_CONFIG, "config: kd_dense: out_features beyond 2^24");
    KD_TRY(kd__config_flag(node, "bias", 1, &bias));
    KD_TRY(kd__config_text(node, "activation", "tanh", &activation));
    s->activation = kd__activation_kind(activation);
    const int other = s->activation > KD__SIGMOID || kd__activation_keeps_input(s->activation);
    KD_FAIL_IF(s->activation < 0 || other, KD_ERR_UNSUPPORTED,
               "config: kd_dense: activation: expected none, relu, tanh or sigmoid, got \"%.40s\"",
               activation);
    s->inputs = inputs;
    s->bias = bias ? 0 : -1;
    return KD_OK;
}

/* A folder in the model's folder: no name leads out of it. */
static kd_status read_place(char *to, const char *name)
{
    KD_FAIL_IF(strchr(name, '/') || name[0] == '.', KD_ERR_CONFIG,
               "config: kd_dense: folder: expected the name of a folder in the folder, got "
               "\"%.60s\"",
               name);
    return kd__name_copy(to, name, "config: kd_dense: folder");
}

static kd_status read_dense(kd__samples *s, kd__chain *c, const kd__json *list)
{
    const char *folder;
    if (kd__config_is_null(list)) return KD_OK;
    KD_FAIL_IF(list->type != KD__JSON_ARRAY || list->children > KD__MOST_STAGES, KD_ERR_CONFIG,
               "config: kd_dense: expected a list of at most %d objects", KD__MOST_STAGES);
    for (const kd__json *n = list->first; n; n = n->next) {
        KD_FAIL_IF(n->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
                   "config: kd_dense: expected a list of objects");
        KD_TRY(read_stage(&c->stage[c->count], n, kd__chain_outputs(c)));
        KD_TRY(kd__config_text(n, "folder", NULL, &folder));
        if (folder) KD_TRY(read_place(s->dense_folder[c->count], folder));
        c->count++;
    }
    return KD_OK;
}

kd_status kd__samples_read(kd__trunk *trunk, kd_context *context, const kd__json *root,
                           const char *pooling)
{
    KD_TRY(KD_NEW(context, &trunk->samples, 1));
    kd__samples *s = trunk->samples;
    kd__chain *pooled = &s->chain[KD__CHAIN_POOLED], *embedding = &s->chain[KD__CHAIN_EMBEDDING];
    KD_TRY(kd__config_text(root, "kd_pooling", pooling, &pooling));
    s->chains = KD__CHAIN_LOGITS;
    s->sentence = s->is_kept = !kd__config_is_null(kd__json_member(root, "kd_pooling"));
    pooled->width = trunk->config.outer;
    pooled->pooling = kd__pooling_kind(pooling);
    KD_FAIL_IF(pooled->pooling < 0, KD_ERR_CONFIG,
               "config: kd_pooling: expected cls, mean, max, last or weightedmean, got \"%.40s\"",
               pooling);
    KD_TRY(kd__config_flag(root, "kd_include_prompt", 1, &pooled->skips_prompt));
    s->leaves_out_prompt = pooled->skips_prompt = !pooled->skips_prompt;
    *embedding = *pooled;
    KD_TRY(read_dense(s, embedding, kd__json_member(root, "kd_dense")));
    KD_TRY(kd__config_flag(root, "kd_normalize", 0, &embedding->normalize));
    return kd__config_integer(root, "kd_max_length", 1, 1 << 30, &s->max_length);
}

kd_status kd__stage_tensors(kd__network *net, kd_context *context, kd__stage *s, int64_t number)
{
    const int64_t dims[2] = { s->outputs, s->inputs };
    char name[32];
    snprintf(name, sizeof name, "dense.%d.weight", (int)number);
    KD_TRY(kd__network_tensor(net, context, name, 2, dims, &s->weight));
    if (s->bias < 0) return KD_OK;
    snprintf(name, sizeof name, "dense.%d.bias", (int)number);
    return kd__network_tensor(net, context, name, 1, dims, &s->bias);
}

kd_status kd__samples_tensors(kd__network *net, kd_context *context, kd__chain *c)
{
    for (int64_t i = 0; i < c->count; i++) KD_TRY(kd__stage_tensors(net, context, &c->stage[i], i));
    return KD_OK;
}

void kd__samples_free(kd__samples *s, kd_context *context)
{
    if (!s) return;
    for (int32_t n = 0; n < KD__CHAINS; n++) {
        kd__release(context, s->chain[n].block);
        kd__release(context, s->chain[n].transform.block);
    }
    kd__release(context, s->prompts_block);
    kd__release(context, s);
}
