/* Models as folders: config.json and model.safetensors. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/formats.h"
#include "model/decoder.h"
#include "model/model.h"

static kd_status read_tensor(kd_model *model, const kd__tensor *tensor, const kd__safetensors *file)
{
    const kd_array *found = kd__safetensors_find(file, tensor->name);
    if (!found && model->net.decoder && model->net.decoder->tied && tensor == &model->net.tensors[model->net.decoder->embedding])
        found = kd__safetensors_find(file, "lm_head.weight"); /* some folders keep the tied matrix under this name */
    KD_FAIL_IF(!found, KD_ERR_MISMATCH, "model.safetensors has no tensor '%s'", tensor->name);
    int same = found->rank == tensor->rank;
    for (int32_t i = 0; same && i < tensor->rank; i++) same = found->dims[i] == tensor->dims[i];
    KD_FAIL_IF(!same, KD_ERR_SHAPE, "tensor '%s': the config needs %lld numbers in rank %d, the file has another shape (rank %d)", tensor->name,
               (long long)tensor->count, tensor->rank, found->rank);
    KD_FAIL_IF(kd__dtype_is_integer(found->dtype), KD_ERR_DTYPE, "tensor '%s': expected floats, got %s", tensor->name, kd__dtype_name(found->dtype));
    kd__convert_float32(model->parameters + tensor->offset, found->data, found->dtype, tensor->count, 1, 0);
    return KD_OK;
}

static kd_status read_weights(kd_model *model, const char *path)
{
    kd__safetensors file;
    kd_status status = KD_OK;
    KD_TRY(kd__safetensors_read(&file, model->object.context, path));
    for (int64_t i = 0; i < model->net.tensor_count && status == KD_OK; i++) status = read_tensor(model, &model->net.tensors[i], &file);
    const int twice = model->net.decoder && model->net.decoder->tied && kd__safetensors_find(&file, "lm_head.weight") &&
                      kd__safetensors_find(&file, "model.embed_tokens.weight"); /* the same matrix under both names */
    if (status == KD_OK && file.count != model->net.tensor_count + twice)
        status = kd__fail(KD_ERR_MISMATCH, "%s: the config knows %lld tensors, the file has %lld", path, (long long)model->net.tensor_count,
                          (long long)file.count);
    kd__safetensors_free(&file);
    return status;
}

/* A config may claim any size: nothing is allocated for it before the weights' file is known to be large enough. */
static kd_status check_claim(kd_context *context, const char *config, const char *path)
{
    kd__network net;
    kd__input *input = NULL;
    KD_TRY(kd__network_read(&net, context, config));
    const int64_t parameters = net.parameters;
    kd__network_free(&net, context);
    KD_TRY(kd__input_open(&input, context, path));
    const int64_t bytes = kd__input_left(input);
    kd__input_close(input);
    KD_FAIL_IF(bytes < 2 * parameters, KD_ERR_FORMAT, "%s: the config needs %lld parameters, the file has %lld bytes", path, (long long)parameters,
               (long long)bytes);
    return KD_OK;
}

kd_status kd_model_load(kd_model **out, kd_context *context, const char *folder, const kd_model_options *options)
{
    char *path = NULL, *config = NULL;
    kd_model *model = NULL;
    int64_t size;
    kd_status status;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__path_join(context, &path, folder, "config.json"));
    KD_TRY_GOTO(status, kd__file_read(context, path, 1 << 20, &config, &size), done);
    kd__release(context, path);
    path = NULL;
    KD_TRY_GOTO(status, kd__path_join(context, &path, folder, "model.safetensors"), done);
    KD_TRY_GOTO(status, check_claim(context, config, path), done);
    KD_TRY_GOTO(status, kd__model_make(&model, context, config, options), done);
    status = read_weights(model, path);
done:
    kd__release(context, path);
    kd__release(context, config);
    if (status != KD_OK) {
        kd_model_free(model);
        return status;
    }
    *out = model;
    return KD_OK;
}

static kd_status write_weights(kd_model *model, const char *path)
{
    kd_context *context = model->object.context;
    kd__tensor_entry *entries = NULL;
    KD_TRY(KD_NEW(context, &entries, model->net.tensor_count + 1));
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *tensor = &model->net.tensors[i];
        entries[i].name = tensor->name;
        kd__array_view(&entries[i].array, model->parameters + tensor->offset, KD_FLOAT32, tensor->rank, tensor->dims);
    }
    kd_status status = kd__safetensors_write(context, path, entries, model->net.tensor_count);
    kd__release(context, entries);
    return status;
}

kd_status kd_model_save(kd_model *model, const char *folder, const kd_model_save_options *options)
{
    kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
    char *path = NULL;
    KD_NEED(model);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_model_save_options"));
    KD_FAIL_IF(o.dtype != KD_FLOAT32, KD_ERR_UNSUPPORTED, "models are saved as float32 (%d), not %d", KD_FLOAT32, o.dtype);
    kd_context *context = model->object.context;
    KD_TRY(kd__folder_make(folder));
    KD_TRY(kd__path_join(context, &path, folder, "model.safetensors"));
    kd_status status = write_weights(model, path);
    kd__release(context, path);
    KD_TRY(status);
    KD_TRY(kd__path_join(context, &path, folder, "config.json"));
    status = kd__file_replace(context, path, model->net.config, (int64_t)strlen(model->net.config));
    kd__release(context, path);
    return status;
}
