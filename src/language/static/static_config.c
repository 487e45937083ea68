/* Configs of static embeddings. */
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "language/static/static.h"
#include "language/trunk/config_keys.h"

#define MOST_CLASSES (1 << 24)

int kd__static_knows(const char *model_type) { return !strcmp(model_type, "static_embedding"); }

static kd_status check_keys(const kd__json *root)
{
    static const char *const used[] = { "model_type",    "input",         "vocab_size",
                                        "hidden_size",   "num_labels",    "normalize",
                                        "token_weights", "ignored_token", "embedding_rows",
                                        "max_length",    "layout" };
    const kd__config_keys keys = { used, sizeof used / sizeof *used, NULL, 0 };
    return kd__config_check_keys(root, &keys);
}

static kd_status read_layout(const kd__json *root, int32_t *sentence)
{
    const kd__json *node = kd__json_member(root, "layout");
    const char *name = !node ? "model2vec" : node->type == KD__JSON_STRING ? node->text : "?";
    *sentence = !strcmp(name, "sentence_transformers");
    KD_FAIL_IF(!*sentence && strcmp(name, "model2vec"), KD_ERR_CONFIG,
               "config: layout: expected \"model2vec\" or \"sentence_transformers\", got \"%.40s\"",
               name);
    return KD_OK;
}

static kd_status read_sizes(kd__static *s, const kd__json *root)
{
    KD_TRY(kd__config_integer(root, "vocab_size", 1, 0, &s->vocabulary));
    KD_TRY(kd__config_integer(root, "hidden_size", 1, 0, &s->hidden));
    KD_TRY(kd__config_integer(root, "embedding_rows", 1, s->vocabulary, &s->rows));
    KD_TRY(kd__config_integer(root, "num_labels", 0, 0, &s->classes));
    KD_TRY(kd__config_integer(root, "ignored_token", -1, -1, &s->ignored));
    KD_TRY(kd__config_integer(root, "max_length", -1, 0, &s->max_length));
    KD_FAIL_IF(s->vocabulary > INT32_MAX || s->rows > INT32_MAX || s->classes > MOST_CLASSES,
               KD_ERR_CONFIG, "config: %lld tokens, %lld rows, %lld classes are too many",
               (long long)s->vocabulary, (long long)s->rows, (long long)s->classes);
    KD_FAIL_IF(s->ignored >= s->vocabulary, KD_ERR_CONFIG,
               "config: ignored_token: expected a token below %lld, got %lld",
               (long long)s->vocabulary, (long long)s->ignored);
    return KD_OK;
}

static kd_status make_tensors(kd__network *net, kd_context *context, kd__static *s,
                              int32_t has_weights)
{
    const int64_t table[2] = { s->rows, s->hidden }, head[2] = { s->classes, s->hidden };
    s->weights = s->head = s->bias = -1;
    KD_TRY(kd__network_tensor(net, context, "embedding.weight", 2, table, &s->table));
    if (has_weights)
        KD_TRY(kd__network_tensor(net, context, "weights", 1, &s->vocabulary, &s->weights));
    if (!s->classes) return KD_OK;
    KD_TRY(kd__network_tensor(net, context, "classifier.weight", 2, head, &s->head));
    return kd__network_tensor(net, context, "classifier.bias", 1, head, &s->bias);
}

kd_status kd__static_read(kd__network *net, kd_context *context, const kd__json *root)
{
    const kd__json *input = kd__json_member(root, "input");
    int32_t has_weights;
    KD_TRY(KD_NEW(context, (kd__static **)&net->state, 1));
    kd__static *s = kd__static_of(net);
    KD_TRY(check_keys(root));
    KD_TRY(read_layout(root, &s->sentence));
    KD_TRY(read_sizes(s, root));
    KD_TRY(kd__config_flag(root, "normalize", 0, &s->normalize));
    KD_TRY(kd__config_flag(root, "token_weights", 0, &has_weights));
    KD_TRY(kd__name_copy(net->input, input ? input->text : "tokens", "config: input"));
    net->input_size = 1;
    return make_tensors(net, context, s, has_weights);
}
