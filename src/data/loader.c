#include <string.h>

#include "base/array.h"
#include "base/thread.h"
#include "data/data.h"
#include "math/random.h"

static const kd_loader_options defaults = KD_LOADER_OPTIONS_INIT;
void kd_loader_options_init(kd_loader_options *o, size_t size) { kd__options_init(o, size, &defaults, sizeof defaults); }

static kd_status check_options(const kd_loader_options *o, kd_dataset *dataset)
{
    KD_FAIL_IF(o->batch_size < 1, KD_ERR_RANGE, "batch_size: expected at least 1, got %d", o->batch_size);
    KD_FAIL_IF(o->epochs < 1, KD_ERR_RANGE, "epochs: expected at least 1, got %d", o->epochs);
    KD_FAIL_IF(o->ranks < 1 || o->rank < 0 || o->rank >= o->ranks, KD_ERR_RANGE, "rank %d of %d", o->rank, o->ranks);
    KD_FAIL_IF(dataset->samples < 1, KD_ERR_STATE, "the dataset has no samples");
    KD_FAIL_IF(o->shift < 0, KD_ERR_RANGE, "shift: expected 0 or more pixels, got %d", o->shift);
    if (!o->shift && !o->flip) return KD_OK;
    const kd__column *inputs = kd__dataset_column(dataset, "inputs");
    KD_FAIL_IF(!inputs, KD_ERR_NOT_FOUND, "augmentation needs a field 'inputs'");
    KD_FAIL_IF(inputs->values.rank != 3 && inputs->values.rank != 4, KD_ERR_SHAPE, "augmentation needs images, (N, H, W) or (N, C, H, W); rank is %d",
               inputs->values.rank);
    KD_FAIL_IF(o->shift >= inputs->values.dims[inputs->values.rank - 1] || o->shift >= inputs->values.dims[inputs->values.rank - 2], KD_ERR_RANGE,
               "shift: %d pixels move the whole image away", o->shift);
    return KD_OK;
}

kd_status kd_loader_create(kd_loader **out, kd_dataset *dataset, const kd_loader_options *options)
{
    kd_loader_options o = defaults;
    kd_loader *loader = NULL;
    KD_NEED(out);
    KD_NEED(dataset);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_loader_options"));
    KD_TRY(check_options(&o, dataset));
    kd_context *context = dataset->object.context;
    KD_TRY(kd__object_create((void **)&loader, context, sizeof *loader));
    kd_status status = KD_NEW(context, &loader->order, dataset->samples);
    if (status != KD_OK) {
        kd__object_destroy(loader);
        return status;
    }
    int64_t batches = o.drop_last ? dataset->samples / o.batch_size : (dataset->samples + o.batch_size - 1) / o.batch_size;
    loader->dataset = kd__object_hold(dataset);
    loader->options = o;
    loader->seed = o.seed ? o.seed : context->seed;
    loader->batches = batches / o.ranks;
    loader->order_epoch = -1;
    *out = loader;
    return KD_OK;
}

void kd_loader_free(kd_loader *loader)
{
    if (!kd__object_drop(loader)) return;
    kd__release(loader->object.context, loader->order);
    kd_dataset_free(loader->dataset);
    kd__object_destroy(loader);
}

/* Fisher and Yates with numbers from (seed, epoch). */
static void make_order(kd_loader *loader)
{
    int64_t n = loader->dataset->samples;
    uint64_t stream = kd__stream(loader->seed, 0x6f72646572, (uint64_t)loader->epoch);
    for (int64_t i = 0; i < n; i++) loader->order[i] = i;
    for (int64_t i = n - 1; i > 0 && loader->options.shuffle; i--) {
        int64_t j = (int64_t)kd__below(stream, (uint64_t)i, (uint64_t)i + 1), swap = loader->order[i];
        loader->order[i] = loader->order[j];
        loader->order[j] = swap;
    }
    loader->order_epoch = loader->epoch;
}

typedef struct {
    kd_loader *loader;
    kd_batch *batch;
    float *images;
    int64_t planes, height, width;
    float fill;
} augmentation;

static void move_plane(float *plane, int64_t height, int64_t width, int64_t down, int64_t right, int flip, float fill)
{
    for (int64_t k = 0; k < height; k++) {
        int64_t y = down > 0 ? height - 1 - k : k, from_y = y - down;
        float *to = plane + y * width;
        const float *from = plane + from_y * width;
        if (from_y < 0 || from_y >= height) {
            for (int64_t x = 0; x < width; x++) to[x] = fill;
            continue;
        }
        int64_t shift = right < 0 ? -right : right;
        if (right > 0) memmove(to + shift, from, (size_t)(width - shift) * 4);
        else memmove(to, from + shift, (size_t)(width - shift) * 4);
        for (int64_t x = 0; x < shift; x++) to[right > 0 ? x : width - 1 - x] = fill;
    }
    for (int64_t y = 0; y < height && flip; y++)
        for (int64_t x = 0; x < width / 2; x++) {
            float swap = plane[y * width + x];
            plane[y * width + x] = plane[y * width + width - 1 - x];
            plane[y * width + width - 1 - x] = swap;
        }
}

static void augment_sample(void *argument, int64_t i, int32_t worker)
{
    augmentation *a = argument;
    const kd_loader_options *o = &a->loader->options;
    uint64_t stream = kd__stream(a->loader->seed ^ 0x6175676d656e74, (uint64_t)a->batch->numbers[i], (uint64_t)a->loader->epoch);
    uint64_t span = 2 * (uint64_t)o->shift + 1;
    int64_t down = (int64_t)kd__below(stream, 0, span) - o->shift, right = (int64_t)kd__below(stream, 1, span) - o->shift;
    int flip = o->flip && (kd__random(stream, 2) >> 63);
    (void)worker;
    for (int64_t p = 0; p < a->planes; p++)
        move_plane(a->images + (i * a->planes + p) * a->height * a->width, a->height, a->width, down, right, flip, a->fill);
}

static void augment(kd_loader *loader, kd_batch *batch)
{
    const kd__field *field = kd__fields_find(&batch->fields, "inputs");
    const kd_array *v = &field->values;
    augmentation a = { .loader = loader, .batch = batch, .images = v->data, .height = v->dims[v->rank - 2], .width = v->dims[v->rank - 1] };
    a.planes = v->rank == 4 ? v->dims[1] : 1;
    a.fill = (float)kd__dataset_column(loader->dataset, "inputs")->shift;
    kd__parallel(batch->object.context, batch->samples, augment_sample, &a);
    for (int64_t i = 0; i < batch->samples; i++) batch->views[i] = 1 + loader->epoch;
}

kd_status kd_loader_next(kd_loader *loader, kd_batch *batch)
{
    KD_NEED(loader);
    KD_NEED(batch);
    const kd_loader_options *o = &loader->options;
    if (loader->position >= loader->batches) {
        loader->epoch++;
        loader->position = 0;
        if (++loader->passes >= o->epochs) {
            loader->passes = 0;
            return KD_END;
        }
    }
    if (loader->order_epoch != loader->epoch) make_order(loader);
    int64_t first = (loader->position * o->ranks + o->rank) * o->batch_size, left = loader->dataset->samples - first;
    KD_TRY(kd__batch_begin(batch, loader->dataset, left < o->batch_size ? left : o->batch_size));
    memcpy(batch->numbers, loader->order + first, (size_t)batch->samples * sizeof *batch->numbers);
    KD_TRY(kd__batch_gather(batch, loader->dataset));
    if (o->shift || o->flip) augment(loader, batch);
    loader->position++;
    return KD_OK;
}

kd_status kd_loader_position(kd_loader *loader, int64_t *epoch, int64_t *sample, int64_t *batches)
{
    KD_NEED(loader);
    if (epoch) *epoch = loader->epoch;
    if (batches) *batches = loader->batches;
    if (sample) {
        int64_t given = loader->position * loader->options.batch_size;
        *sample = given < loader->dataset->samples ? given : loader->dataset->samples;
    }
    return KD_OK;
}

kd_status kd_loader_seek(kd_loader *loader, int64_t epoch)
{
    KD_NEED(loader);
    KD_FAIL_IF(epoch < 0, KD_ERR_RANGE, "epoch %lld", (long long)epoch);
    loader->epoch = epoch;
    loader->position = loader->passes = 0;
    return KD_OK;
}

kd_status kd__loader_save(kd_loader *loader, kd__text *state)
{
    KD_TRY(kd__state_put_number(state, loader->dataset->samples));
    KD_TRY(kd__state_put_number(state, loader->options.batch_size));
    KD_TRY(kd__state_put_number(state, (int64_t)loader->seed));
    KD_TRY(kd__state_put_number(state, loader->epoch));
    KD_TRY(kd__state_put_number(state, loader->position));
    return kd__state_put_number(state, loader->passes);
}

kd_status kd__loader_restore(kd_loader *loader, kd__state_reader *reader, int apply)
{
    int64_t place[3];
    KD_TRY(kd__state_expect(reader, loader->dataset->samples, "samples"));
    KD_TRY(kd__state_expect(reader, loader->options.batch_size, "batch_size"));
    KD_TRY(kd__state_expect(reader, (int64_t)loader->seed, "seed"));
    KD_TRY(kd__state_get(reader, place, sizeof place));
    KD_FAIL_IF(place[0] < 0 || place[1] < 0 || place[1] > loader->batches || place[2] < 0, KD_ERR_FORMAT, "checkpoint part '%s': impossible position",
               reader->name);
    if (!apply) return KD_OK;
    loader->epoch = place[0];
    loader->position = place[1];
    loader->passes = place[2];
    return KD_OK;
}
