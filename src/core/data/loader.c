/* Loaders: the order of samples, by seed, epoch and rank. */
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/data/data.h"
#include "math/random.h"

static const kd_loader_options defaults = KD_LOADER_OPTIONS_INIT;
void kd_loader_options_init(kd_loader_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

static kd_status check_options(const kd_loader_options *o, kd_dataset *dataset)
{
    KD_FAIL_IF(o->batch_size < 1, KD_ERR_RANGE, "batch_size: expected at least 1, got %d",
               o->batch_size);
    KD_FAIL_IF(o->epochs < 1, KD_ERR_RANGE, "epochs: expected at least 1, got %d", o->epochs);
    KD_FAIL_IF(o->uneven != 0 && o->uneven != 1, KD_ERR_RANGE, "uneven: expected 0 or 1, got %d",
               o->uneven);
    KD_FAIL_IF(o->ranks < 1 || o->rank < 0 || o->rank >= o->ranks, KD_ERR_RANGE,
               "rank: expected 0 to ranks - 1 of at least 1 ranks, got rank %d of %d", o->rank,
               o->ranks);
    KD_FAIL_IF(dataset->samples < 1, KD_ERR_STATE,
               "the dataset has no samples: expected at least 1");
    KD_FAIL_IF(o->shift < 0, KD_ERR_RANGE, "shift: expected 0 or more pixels, got %d", o->shift);
    if (!o->shift && !o->flip) return KD_OK;
    const kd__column *inputs = kd__dataset_column(dataset, "inputs");
    KD_FAIL_IF(!inputs, KD_ERR_NOT_FOUND, "augmentation needs a field 'inputs'");
    KD_FAIL_IF(inputs->values.rank != 3 && inputs->values.rank != 4, KD_ERR_SHAPE,
               "augmentation: expected images, (N, H, W) or (N, C, H, W), got rank %d",
               inputs->values.rank);
    KD_FAIL_IF(o->shift >= inputs->values.dims[inputs->values.rank - 1] ||
                   o->shift >= inputs->values.dims[inputs->values.rank - 2],
               KD_ERR_RANGE, "shift: expected fewer pixels than the image is high and wide, got %d",
               o->shift);
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
    const int64_t batches = o.drop_last ? dataset->samples / o.batch_size
                                        : kd__ceil_div(dataset->samples, o.batch_size);
    loader->dataset = kd__object_hold(dataset);
    loader->options = o;
    loader->seed = o.seed ? o.seed : context->seed;
    loader->all_batches = batches;
    loader->batches = (batches + (o.uneven ? o.ranks - 1 : 0)) / o.ranks;
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
        int64_t j = (int64_t)kd__below(stream, (uint64_t)i, (uint64_t)i + 1),
                swap = loader->order[i];
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
    const kd__column *column;
} augmentation;

static void move_plane(float *plane, int64_t height, int64_t width, int64_t down, int64_t right,
                       int flip, float fill)
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
    uint64_t stream = kd__stream(a->loader->seed ^ 0x6175676d656e74, (uint64_t)a->batch->numbers[i],
                                 (uint64_t)a->loader->epoch);
    uint64_t span = 2 * (uint64_t)o->shift + 1;
    int64_t down = (int64_t)kd__below(stream, 0, span) - o->shift,
            right = (int64_t)kd__below(stream, 1, span) - o->shift;
    int flip = o->flip && (kd__random(stream, 2) >> 63);
    (void)worker;
    for (int64_t p = 0; p < a->planes; p++)
        move_plane(a->images + (i * a->planes + p) * a->height * a->width, a->height, a->width,
                   down, right, flip, (float)kd__column_zero(a->column, p));
}

static void augment(kd_loader *loader, kd_batch *batch)
{
    const kd__field *field = kd__fields_find(&batch->fields, "inputs");
    const kd_array *v = &field->values;
    augmentation a = { .loader = loader,
                       .batch = batch,
                       .images = v->data,
                       .height = v->dims[v->rank - 2],
                       .width = v->dims[v->rank - 1] };
    a.planes = v->rank == 4 ? v->dims[1] : 1;
    a.column = kd__dataset_column(loader->dataset, "inputs");
    kd__parallel(batch->object.context, batch->samples, augment_sample, &a);
    for (int64_t i = 0; i < batch->samples; i++) batch->views[i] = 1 + loader->epoch;
}

/* Batch `number` of all ranks' batches in this pass; behind the last one there are no samples. */
static kd_status fill_batch(kd_loader *loader, kd_batch *batch, int64_t number)
{
    const kd_loader_options *o = &loader->options;
    const int64_t first = number * o->batch_size,
                  left = number < loader->all_batches ? loader->dataset->samples - first : 0;
    KD_TRY(kd__batch_begin(batch, loader->dataset, kd__min(left, o->batch_size)));
    if (batch->samples)
        memcpy(batch->numbers, loader->order + first,
               (size_t)batch->samples * sizeof *batch->numbers);
    KD_TRY(kd__batch_gather(batch, loader->dataset));
    if (batch->samples && (o->shift || o->flip)) augment(loader, batch);
    return KD_OK;
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
    KD_TRY(fill_batch(loader, batch, loader->position * o->ranks + o->rank));
    loader->position++;
    return KD_OK;
}

/* Samples that all ranks take in one step. */
static int64_t round_of(const kd_loader *loader)
{
    return (int64_t)loader->options.batch_size * loader->options.ranks;
}

kd_status kd_loader_position(kd_loader *loader, int64_t *epoch, int64_t *sample, int64_t *batches)
{
    KD_NEED(loader);
    if (epoch) *epoch = loader->epoch;
    if (batches) *batches = loader->batches;
    if (sample) {
        const int64_t given = loader->position * round_of(loader);
        *sample = kd__min(given, loader->dataset->samples);
    }
    return KD_OK;
}

kd_status kd_loader_seek(kd_loader *loader, int64_t epoch)
{
    KD_NEED(loader);
    KD_FAIL_IF(epoch < 0, KD_ERR_RANGE, "epoch: expected 0 or more, got %lld", (long long)epoch);
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
    KD_TRY(kd__state_put_number(state, loader->passes));
    return kd__state_put_number(state, loader->options.ranks);
}

/* Steps of this loader that are as many samples as `steps` of one with another round. */
static kd_status convert_steps(const kd_loader *loader, int64_t steps, int64_t batch_size,
                               int64_t ranks, const char *part, int64_t *own)
{
    int64_t given;
    KD_FAIL_IF(
        steps < 0 || batch_size < 1 || ranks < 1 ||
            __builtin_mul_overflow(steps, batch_size, &given) ||
            __builtin_mul_overflow(given, ranks, &given),
        KD_ERR_FORMAT,
        "checkpoint part '%s': impossible position: %lld steps of %lld samples on %lld ranks", part,
        (long long)steps, (long long)batch_size, (long long)ranks);
    *own = steps;
    if (ranks == loader->options.ranks && batch_size == loader->options.batch_size) return KD_OK;
    KD_FAIL_IF(given - batch_size * ranks >= loader->dataset->samples, KD_ERR_FORMAT,
               "checkpoint part '%s': impossible position: %lld samples were given out, the "
               "dataset has %lld",
               part, (long long)given, (long long)loader->dataset->samples);
    if (given >= loader->dataset->samples) { /* the pass was over: so it is here */
        *own = loader->batches;
        return KD_OK;
    }
    KD_FAIL_IF(given % round_of(loader), KD_ERR_MISMATCH,
               "checkpoint part '%s': %lld samples were given out, by %lld ranks in batches of "
               "%lld: expected a multiple of %lld, which is a round of %d ranks with batches of %d",
               part, (long long)given, (long long)ranks, (long long)batch_size,
               (long long)round_of(loader), loader->options.ranks, loader->options.batch_size);
    *own = given / round_of(loader);
    return KD_OK;
}

/* Files of 0.1 do not say how many ranks wrote them: as many as read them now, and if not, then
 * this is another place. */
static void warn_of_ranks(const kd_loader *loader, const char *part)
{
    if (loader->options.ranks == 1) return;
    kd__log(loader->object.context, KD_LOG_WARNING,
            "checkpoint part '%s': it does not say how many ranks wrote it: read as written by %d, "
            "which are there now",
            part, loader->options.ranks);
}

kd_status kd__loader_restore(kd_loader *loader, kd__state_reader *reader, int apply)
{
    int64_t place[3], batch_size, ranks = loader->options.ranks;
    KD_TRY(kd__state_expect(reader, loader->dataset->samples, "samples"));
    KD_TRY(kd__state_get(reader, &batch_size, sizeof batch_size));
    KD_TRY(kd__state_expect(reader, (int64_t)loader->seed, "seed"));
    KD_TRY(kd__state_get(reader, place, sizeof place));
    const int told = reader->at < reader->end;
    if (told) KD_TRY(kd__state_get(reader, &ranks, sizeof ranks));
    KD_TRY(convert_steps(loader, place[1], batch_size, ranks, reader->name, &place[1]));
    KD_FAIL_IF(place[0] < 0 || place[1] < 0 || place[1] > loader->batches || place[2] < 0,
               KD_ERR_FORMAT,
               "checkpoint part '%s': impossible position: expected a batch of 0 to %lld, got %lld",
               reader->name, (long long)loader->batches, (long long)place[1]);
    if (!apply) return KD_OK;
    if (!told) warn_of_ranks(loader, reader->name);
    loader->epoch = place[0];
    loader->position = place[1];
    loader->passes = place[2];
    return KD_OK;
}
