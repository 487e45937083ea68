/* Images and spectrograms as what enters layer 0: patches of them, each a row, after the tokens
 * that every image begins with. Legend in trunk.h; T rows an image. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "core/data/data.h"
#include "language/trunk/trunk.h"
#include "nn/linear.h"
#include "nn/residual.h"

/* ---- the batch ---- */

/* "(3, 224, 224)" */
static void name_shape(const int64_t *dims, int32_t rank, char *to, size_t room)
{
    size_t at = (size_t)snprintf(to, room, "(");
    for (int32_t i = 0; i < rank && at < room; i++)
        at += (size_t)snprintf(to + at, room - at, "%s%lld", i ? ", " : "", (long long)dims[i]);
    if (at < room) snprintf(to + at, room - at, ")");
}

/* As a field has an image: (C, H, W), (H, W) of one channel too; frames come before mels. */
static int is_shape(const kd__patches *p, const kd_array *values)
{
    const int64_t lines = p->is_transposed ? p->width : p->height,
                  columns = p->is_transposed ? p->height : p->width, *dims = values->dims;
    if (values->rank == 2) return dims[1] == kd__patches_image(p);
    if (values->rank == 3) return p->channels == 1 && dims[1] == lines && dims[2] == columns;
    return values->rank == 4 && dims[1] == p->channels && dims[2] == lines && dims[3] == columns;
}

static kd_status check_images(const kd_model *model, const kd_array *values)
{
    const kd__patches *p = &kd__trunk_config_of(model)->patches;
    const int64_t expected[] = { p->channels, p->is_transposed ? p->width : p->height,
                                 p->is_transposed ? p->height : p->width };
    char wanted[80], found[120];
    KD_FAIL_IF(values->dtype != KD_FLOAT32, KD_ERR_DTYPE, "field '%s': expected float32, got %s",
               model->net.input, kd__dtype_name(values->dtype));
    if (is_shape(p, values)) return KD_OK;
    name_shape(expected + p->is_transposed, 3 - p->is_transposed, wanted, sizeof wanted);
    name_shape(values->dims + 1, values->rank - 1, found, sizeof found);
    return kd__fail(
        KD_ERR_SHAPE,
        "field '%s': the model takes %s or %lld numbers a sample, got %s: resize or cut "
        "before",
        model->net.input, wanted, (long long)kd__patches_image(p), found);
}

/* One entry for each sample of the batch, whatever rows it has. */
static kd_status find_images(const kd_model *model, const kd_batch *batch, kd_array *values)
{
    const char *name = model->net.input;
    const kd__field *field = kd__fields_find(&batch->fields, name);
    KD_FAIL_IF(!field, KD_ERR_NOT_FOUND, "the batch has no field '%s', which the model reads",
               name);
    KD_FAIL_IF(field->unit != KD__OF_SAMPLES && !batch->fields.one_row, KD_ERR_SHAPE,
               "field '%s' is %s (%lld): expected one image a sample (%lld): "
               "kd_batch_set_per_sample",
               name, kd__unit_name(field->unit), (long long)field->values.dims[0],
               (long long)batch->samples);
    *values = field->values;
    return check_images(model, values);
}

/* Of row r of an image: a patch has that of its place in the image. */
static int32_t position_of(const kd__trunk_pass *pass, int64_t image, int64_t r)
{
    const kd__patches *p = &pass->patches;
    if (!pass->chosen || r < p->before) return (int32_t)r;
    return (int32_t)p->before + pass->chosen[image * p->kept + r - p->before];
}

kd_status kd__trunk_take_images(const kd_model *model, kd__trunk_pass *pass, kd_batch *batch,
                                int64_t *rows)
{
    kd_context *context = model->object.context;
    kd_array values;
    KD_TRY(find_images(model, batch, &values));
    pass->images = values.data;
    pass->sequences = values.dims[0];
    KD_TRY(kd__trunk_choose_patches(model, pass, batch));
    const int64_t each = kd__patches_rows(&pass->patches);
    pass->longest = each;
    KD_TRY(kd__multiply(pass->sequences, each, rows));
    KD_TRY(KD_RESERVE(context, &pass->offsets, &pass->offsets_room, pass->sequences + 1));
    KD_TRY(KD_RESERVE(context, &pass->positions, &pass->positions_room, *rows));
    for (int64_t s = 0; s <= pass->sequences; s++) pass->offsets[s] = s * each;
    for (int64_t r = 0; r < *rows; r++) pass->positions[r] = position_of(pass, r / each, r % each);
    return KD_OK;
}

/* ---- forward ---- */

void kd__trunk_unfold(const kd_model *model, kd__trunk_pass *pass)
{
    const kd__rows images = { model->object.context, pass->sequences };
    kd__unfold(&images, &pass->patches, pass->images, pass->chosen,
               pass->block + pass->plan.gathered);
}

void kd__trunk_place_tokens(const kd_model *model, const kd__trunk_pass *pass, float *x)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const kd__rows images = { model->object.context, pass->sequences },
                   rows = { images.context, images.count * kd__patches_rows(&pass->patches) };
    const float *tokens[KD__MOST_IMAGE_TOKENS];
    for (int64_t e = 0; e < d->patches.before; e++)
        tokens[e] = kd__tensor_values(model, d->image_token[e]);
    kd__bias(&rows, x, kd__tensor_values(model, d->patch_bias), d->hidden);
    kd__place_tokens(&images, &pass->patches, tokens, d->hidden, x);
}

/* ---- backward ---- */

void kd__trunk_tokens_gradient(const kd_model *model, const kd__trunk_pass *pass, float *dx,
                               int add)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const kd__rows images = { model->object.context, pass->sequences },
                   rows = { images.context, images.count * kd__patches_rows(&pass->patches) };
    float *dtokens[KD__MOST_IMAGE_TOKENS];
    for (int64_t e = 0; e < d->patches.before; e++)
        dtokens[e] = kd__tensor_gradient(model, d->image_token[e]);
    kd__take_tokens(&images, &pass->patches, dx, d->hidden, dtokens, add);
    kd__bias_gradient(&rows, dx, d->hidden, kd__tensor_gradient(model, d->patch_bias), add);
}
