/* A matrix that a static embedding takes in. What is pooled is a weighted mean of the table's rows:
 * a matrix after it is the same as the table times the matrix, (M, N) = (M, d) W'. */
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/text.h"
#include "language/static/static.h"
#include "math/gemm.h"
#include "nn/activation.h"

static kd_status check(const kd_model *model, const kd__dense *dense, int64_t count)
{
    KD_FAIL_IF(count > 1 || dense->bias || dense->activation != KD__NONE, KD_ERR_UNSUPPORTED,
               "append: a static embedding takes a matrix into its table, without a bias or an "
               "activation");
    KD_FAIL_IF(kd__static_of(&model->net)->classes, KD_ERR_UNSUPPORTED,
               "append: the model has a classifier on its embedding (num_labels)");
    return KD_OK;
}

static kd_status config_with(const kd_model *model, int64_t hidden, kd__text *to)
{
    kd__json_document document = { 0 };
    const char *config = model->net.config;
    kd_status status = kd__json_parse(&document, to->context, config, strlen(config), "config");
    if (status == KD_OK) {
        for (kd__json *n = document.root->first; n; n = n->next)
            if (!strcmp(n->key, "hidden_size")) kd__json_set(n, (double)hidden);
        status = kd__json_write(to, document.root);
    }
    kd__json_free(&document);
    return status;
}

static kd_status make_like(kd_model **made, const kd_model *model, int64_t hidden)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd__text config = { .context = model->object.context };
    o.frozen = model->frozen;
    o.seed = model->seed;
    kd_status status = config_with(model, hidden, &config);
    if (status == KD_OK) status = kd__model_make(made, config.context, config.bytes, &o);
    kd__text_free(&config);
    return status;
}

static float *values(const kd_model *model, int32_t tensor)
{
    return model->parameters + model->net.tensors[tensor].offset;
}

static kd_status fill(kd_model *made, const kd_model *model, const kd__dense *dense)
{
    kd_context *context = model->object.context;
    const kd__static *from = kd__static_of(&model->net);
    kd__static *to = kd__static_of(&made->net);
    const size_t weights = (size_t)from->vocabulary * sizeof(float);
    for (int64_t i = 0; i < model->net.tensor_count; i++)
        made->net.tensors[i].frozen = model->net.tensors[i].frozen;
    if (from->weights >= 0)
        memcpy(values(made, to->weights), values(model, from->weights), weights);
    to->max_length = from->max_length;
    if (from->mapping) {
        KD_TRY(KD_NEW(context, &to->mapping, from->vocabulary));
        memcpy(to->mapping, from->mapping, (size_t)from->vocabulary * sizeof *to->mapping);
    }
    const kd__gemm g = { .b_t = 1,
                         .m = from->rows,
                         .n = dense->outputs,
                         .k = dense->inputs,
                         .alpha = 1,
                         .a = values(model, from->table),
                         .lda = dense->inputs,
                         .b = dense->weight,
                         .ldb = dense->inputs,
                         .c = values(made, to->table),
                         .ldc = dense->outputs };
    return kd__gemm_float32(context, &g);
}

kd_status kd__static_append(kd_model *model, const kd__dense *dense, int64_t count)
{
    kd_model *made = NULL;
    KD_TRY(check(model, dense, count));
    KD_TRY(make_like(&made, model, dense->outputs));
    kd_status status = fill(made, model, dense);
    if (status == KD_OK) status = kd__model_finish(made);
    if (status == KD_OK) kd__model_swap(model, made); /* the handle stays, what it holds is new */
    kd_model_free(made);
    return status;
}
