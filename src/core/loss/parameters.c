/* Parameters of a loss: one flat block of values, one of gradients, and one of those that a call
 * has made and that count when it succeeds. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "core/loss/loss.h"
#include "formats/formats.h"

/* ---- making ---- */

/* A larger block that begins with what the old one holds. */
static kd_status copy_block(kd_context *context, const float *old, int64_t held, int64_t total,
                            float **made)
{
    KD_TRY(KD_NEW(context, made, total));
    if (held) memcpy(*made, old, (size_t)held * sizeof **made);
    return KD_OK;
}

static kd_status grow(kd_loss *loss, int64_t total)
{
    kd_context *context = loss->object.context;
    kd__parameters *p = &loss->parameters;
    float **places[] = { &p->values, &p->gradients, &p->fresh }, *made[3] = { NULL };
    kd_status status = KD_OK;
    for (int i = 0; i < 3 && status == KD_OK; i++)
        status = copy_block(context, *places[i], p->total, total, &made[i]);
    for (int i = 0; i < 3; i++) {
        kd__release(context, status == KD_OK ? *places[i] : made[i]);
        if (status == KD_OK) *places[i] = made[i];
    }
    return status;
}

static kd_status count_form(const kd__tensor_form *form, int64_t *count)
{
    *count = 1;
    for (int32_t d = 0; d < form->rank; d++) KD_TRY(kd__multiply(*count, form->dims[d], count));
    KD_FAIL_IF(*count > (int64_t)1 << 40, KD_ERR_RANGE, "%s: more than 2^40 numbers", form->name);
    return KD_OK;
}

static void append(kd__parameters *p, const kd__tensor_form *form, int64_t count)
{
    kd__tensor *tensor = &p->tensors[p->count++];
    memset(tensor, 0, sizeof *tensor);
    memcpy(tensor->name, form->name, sizeof form->name);
    tensor->rank = form->rank;
    memcpy(tensor->dims, form->dims, sizeof form->dims);
    tensor->count = count;
    tensor->offset = tensor->gradient = p->total;
    p->total += count;
}

kd_status kd__parameters_add(kd_loss *loss, const kd__tensor_form *forms, int32_t count,
                             int32_t *first)
{
    kd__parameters *p = &loss->parameters;
    int64_t counts[KD__PROJECTION_TENSORS], total = p->total;
    KD_FAIL_IF(loss->optimizers, KD_ERR_STATE,
               "%s: an optimizer has the loss: its parameters are made before "
               "kd_optimizer_add_loss",
               forms[0].name);
    for (int32_t i = 0; i < count; i++) {
        KD_TRY(count_form(&forms[i], &counts[i]));
        total += counts[i];
    }
    KD_TRY(KD_RESERVE(loss->object.context, &p->tensors, &p->room, p->count + count));
    KD_TRY(grow(loss, total));
    *first = (int32_t)p->count;
    for (int32_t i = 0; i < count; i++) append(p, &forms[i], counts[i]);
    return KD_OK;
}

void kd__parameters_drop(kd_loss *loss, int32_t first)
{
    kd__parameters *p = &loss->parameters;
    p->count = first;
    p->total = p->tensors[first].offset;
}

void kd__parameters_free(kd_loss *loss)
{
    kd__parameters *p = &loss->parameters;
    void *blocks[] = { p->tensors, p->values, p->gradients, p->fresh };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        kd__release(loss->object.context, blocks[i]);
}

/* ---- a call ---- */

void kd__parameters_begin(kd_loss *loss)
{
    kd__parameters *p = &loss->parameters;
    if (p->total) memset(p->fresh, 0, (size_t)p->total * sizeof *p->fresh);
}

void kd__parameters_commit(kd_loss *loss)
{
    kd__parameters *p = &loss->parameters;
    if (p->total) loss->object.context->kernels->axpby(p->gradients, 1, p->fresh, 1, p->total);
}

/* ---- views ---- */

kd_status kd_loss_tensor_count(kd_loss *loss, int32_t *count)
{
    KD_NEED(loss);
    KD_NEED(count);
    *count = (int32_t)loss->parameters.count;
    return KD_OK;
}

static kd_status view(const kd_loss *loss, int32_t index, float *block, const char **name,
                      kd_array *values)
{
    const kd__parameters *p = &loss->parameters;
    return kd__tensor_view(p->tensors, p->count, index, block, name, values);
}

kd_status kd_loss_tensor(kd_loss *loss, int32_t index, const char **name, kd_array *values)
{
    KD_NEED(loss);
    return view(loss, index, loss->parameters.values, name, values);
}

kd_status kd_loss_tensor_gradient(kd_loss *loss, int32_t index, kd_array *values)
{
    KD_NEED(loss);
    KD_NEED(values);
    return view(loss, index, loss->parameters.gradients, NULL, values);
}

kd_status kd_loss_zero_gradients(kd_loss *loss)
{
    KD_NEED(loss);
    kd__parameters *p = &loss->parameters;
    if (p->total) memset(p->gradients, 0, (size_t)p->total * sizeof *p->gradients);
    return KD_OK;
}

/* ---- files ---- */

static kd_status write_file(const kd_loss *loss, kd__tensor_entry *entries, const char *path)
{
    const kd__parameters *p = &loss->parameters;
    for (int64_t i = 0; i < p->count; i++) {
        entries[i].name = p->tensors[i].name;
        KD_TRY(view(loss, (int32_t)i, p->values, NULL, &entries[i].array));
    }
    return kd__safetensors_write(loss->object.context, path, entries, p->count, KD_FLOAT32);
}

kd_status kd_loss_save_tensors(kd_loss *loss, const char *path)
{
    kd__tensor_entry *entries = NULL;
    KD_NEED(loss);
    KD_NEED(path);
    KD_FAIL_IF(!loss->parameters.count, KD_ERR_STATE,
               "the loss has no tensors: no term has a projection or a variance, or their widths "
               "are open (kd_loss_prepare)");
    KD_TRY(KD_NEW(loss->object.context, &entries, loss->parameters.count));
    const kd_status status = write_file(loss, entries, path);
    kd__release(loss->object.context, entries);
    return status;
}

static kd_status find_tensor(const kd__safetensors *file, const kd__tensor *tensor,
                             const char *path, const kd_array **found)
{
    const kd_array *a = *found = kd__safetensors_find(file, tensor->name);
    KD_FAIL_IF(!a, KD_ERR_NOT_FOUND, "%s: no tensor '%s'", path, tensor->name);
    int same = a->rank == tensor->rank;
    for (int32_t d = 0; d < tensor->rank && same; d++) same = a->dims[d] == tensor->dims[d];
    KD_FAIL_IF(!same, KD_ERR_SHAPE, "%s: '%s': expected %lld x %lld numbers, got %lld x %lld", path,
               tensor->name, (long long)tensor->dims[0],
               (long long)(tensor->rank > 1 ? tensor->dims[1] : 1),
               (long long)(a->rank > 0 ? a->dims[0] : 0),
               (long long)(a->rank > 1 ? kd__array_row(a) : 1));
    const int32_t dtype = a->dtype;
    KD_FAIL_IF(dtype != KD_FLOAT32 && dtype != KD_FLOAT16 && dtype != KD_BFLOAT16, KD_ERR_DTYPE,
               "%s: '%s': expected floats, got %s", path, tensor->name, kd__dtype_name(dtype));
    return KD_OK;
}

static int shape_in_file(const void *file, const char *name, int64_t dims[2])
{
    const kd_array *found = kd__safetensors_find(file, name);
    if (!found || found->rank < 1) return 0;
    dims[0] = found->dims[0];
    dims[1] = found->rank > 1 ? found->dims[1] : 0;
    return 1;
}

/* Everything is looked at before anything is copied. */
static kd_status load_file(kd_loss *loss, const kd__safetensors *file, const char *path)
{
    const kd__parameters *p = &loss->parameters;
    const kd_array *found;
    KD_TRY(kd__projections_adopt(loss, shape_in_file, file));
    for (int64_t i = 0; i < p->count; i++) KD_TRY(find_tensor(file, &p->tensors[i], path, &found));
    for (int64_t i = 0; i < p->count; i++) {
        KD_TRY(find_tensor(file, &p->tensors[i], path, &found));
        KD_TRY(kd__array_to_float32(found, p->values + p->tensors[i].offset, path));
    }
    return KD_OK;
}

kd_status kd_loss_load_tensors(kd_loss *loss, const char *path)
{
    kd__safetensors file;
    KD_NEED(loss);
    KD_NEED(path);
    KD_TRY(kd__safetensors_read(&file, loss->object.context, path));
    const kd_status status = load_file(loss, &file, path);
    kd__safetensors_free(&file);
    return status;
}

/* ---- checkpoints: behind the numbers of all terms ---- */

static int has_gradient(const kd__parameters *p)
{
    for (int64_t i = 0; i < p->total; i++)
        if (p->gradients[i] != 0) return 1; /* NaN too */
    return 0;
}

kd_status kd__parameters_save(const kd_loss *loss, kd__text *state)
{
    const kd__parameters *p = &loss->parameters;
    const size_t bytes = (size_t)p->total * sizeof(float);
    const int pending = has_gradient(p);
    KD_TRY(kd__state_put_number(state, p->count));
    for (int64_t i = 0; i < p->count; i++) {
        KD_TRY(kd__text_append(state, p->tensors[i].name, KD_NAME_BYTES));
        KD_TRY(kd__text_append(state, p->tensors[i].dims, 2 * sizeof *p->tensors[i].dims));
    }
    KD_TRY(kd__state_put_number(state, pending));
    if (bytes) KD_TRY(kd__text_append(state, p->values, bytes));
    return pending ? kd__text_append(state, p->gradients, bytes) : KD_OK;
}

static kd_status expect_tensor(const kd__tensor *tensor, kd__state_reader *reader)
{
    char name[KD_NAME_BYTES];
    int64_t dims[2];
    KD_TRY(kd__state_get(reader, name, sizeof name));
    KD_TRY(kd__state_get(reader, dims, sizeof dims));
    name[KD_NAME_BYTES - 1] = 0;
    KD_FAIL_IF(strcmp(name, tensor->name) || memcmp(dims, tensor->dims, sizeof dims),
               KD_ERR_MISMATCH,
               "checkpoint part '%s': expected tensor '%s' (%lld x %lld), the file has '%s' (%lld "
               "x %lld)",
               reader->name, tensor->name, (long long)tensor->dims[0], (long long)tensor->dims[1],
               name, (long long)dims[0], (long long)dims[1]);
    return KD_OK;
}

/* The tensors that a checkpoint lists: the reader stands behind their number. */
typedef struct {
    const char *at;
    int64_t count, bytes; /* bytes: of the list and all behind it */
} listed;
#define LISTED_BYTES (KD_NAME_BYTES + 2 * (int64_t)sizeof(int64_t))

static int shape_in_list(const void *list, const char *name, int64_t dims[2])
{
    const listed *l = list;
    for (int64_t i = 0; i < l->count; i++) {
        const char *at = l->at + i * LISTED_BYTES;
        if (strncmp(at, name, KD_NAME_BYTES)) continue;
        memcpy(dims, at + KD_NAME_BYTES, 2 * sizeof *dims);
        const int64_t columns = dims[1] > 0 ? dims[1] : 1;
        return dims[0] > 0 && dims[0] <= l->bytes / 4 / columns;
    }
    return 0;
}

kd_status kd__parameters_restore(kd_loss *loss, kd__state_reader *reader, int apply)
{
    const kd__parameters *p = &loss->parameters;
    int64_t found = 0, pending;
    /* files of before there were parameters end here */
    if (reader->at == reader->end && !p->count) return KD_OK;
    if (reader->at != reader->end) KD_TRY(kd__state_get(reader, &found, sizeof found));
    const listed list = { reader->at, found, reader->end - reader->at };
    if (found >= 0 && found <= (reader->end - reader->at) / LISTED_BYTES)
        KD_TRY(kd__projections_adopt(loss, shape_in_list, &list));
    const int64_t bytes = p->total * (int64_t)sizeof(float);
    KD_FAIL_IF(found != p->count, KD_ERR_MISMATCH,
               "checkpoint part '%s': it holds %lld tensors of the loss, this one has "
               "%lld",
               reader->name, (long long)found, (long long)p->count);
    for (int64_t i = 0; i < p->count; i++) KD_TRY(expect_tensor(&p->tensors[i], reader));
    KD_TRY(kd__state_get(reader, &pending, sizeof pending));
    KD_TRY(kd__state_get(reader, apply ? p->values : NULL, bytes));
    if (pending) KD_TRY(kd__state_get(reader, apply ? p->gradients : NULL, bytes));
    else if (apply) KD_TRY(kd_loss_zero_gradients(loss));
    return KD_OK;
}
