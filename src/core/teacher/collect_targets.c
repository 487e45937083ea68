/* A teacher's answers over a whole dataset: kept in memory, or turned into labels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "math/kernels.h"
#include "core/teacher/teacher.h"

/* Calls `take` for each batch of a dataset with what the teacher said about it. */
typedef kd_status take_batch(void *user, kd_targets *targets, int64_t first, int64_t count);

static kd_status each_batch(kd_teacher *teacher, kd_dataset *dataset, int32_t batch_size,
                            const char *stage, take_batch *take, void *user)
{
    kd_context *context = teacher->object.context;
    kd_batch *batch = NULL;
    kd_targets *targets = NULL;
    KD_FAIL_IF(batch_size < 1, KD_ERR_RANGE, "batch_size: expected at least 1, got %d", batch_size);
    KD_FAIL_IF(dataset->samples < 1, KD_ERR_STATE, "the dataset has no samples");
    KD_TRY(kd_batch_create(&batch, context, NULL));
    kd_status status = kd_targets_create(&targets, context, NULL);
    for (int64_t i = 0; i < dataset->samples && status == KD_OK; i += batch_size) {
        int64_t count = kd__min(dataset->samples - i, batch_size);
        status = kd__progress(context, stage, i, dataset->samples);
        if (status == KD_OK) status = kd__batch_range(batch, dataset, i, count);
        if (status == KD_OK) status = kd_teacher_read(teacher, batch, targets);
        if (status == KD_OK) status = take(user, targets, i, count);
    }
    kd_targets_free(targets);
    kd_batch_free(batch);
    return status;
}

static kd_status keep_batch(void *user, kd_targets *targets, int64_t first, int64_t count)
{
    kd_teacher *made = user;
    for (int64_t f = 0; f < targets->fields.count; f++) {
        const kd__field *from = &targets->fields.items[f];
        kd__field *to = (kd__field *)(uintptr_t)kd__fields_find(&made->fields, from->name);
        size_t row = (size_t)kd__array_row(&from->values) * kd_dtype_bytes(from->values.dtype);
        if (!from->active) continue;
        if (!to) {
            int64_t dims[KD_ARRAY_MAX_RANK];
            memcpy(dims, from->values.dims, sizeof dims);
            dims[0] = made->samples;
            KD_TRY(kd__fields_open(&made->fields, from->name, from->values.dtype, from->values.rank,
                                   dims, &to));
            KD_TRY(kd__fields_open_present(&made->fields, to));
        }
        KD_FAIL_IF(kd__array_row(&to->values) != kd__array_row(&from->values) ||
                       to->values.dtype != from->values.dtype,
                   KD_ERR_SHAPE, "collect: field '%s' changed its shape at sample %lld", from->name,
                   (long long)first);
        memcpy(to->buffer + (size_t)first * row, from->values.data, (size_t)count * row);
        if (from->present) memcpy(to->present_buffer + first, from->present, (size_t)count);
    }
    return KD_OK;
}

kd_status kd_teacher_collect(kd_teacher **out, kd_teacher *teacher, kd_dataset *dataset,
                             int32_t batch_size)
{
    kd_teacher_options o = KD_TEACHER_OPTIONS_INIT;
    kd_teacher *made = NULL;
    const uint64_t *keys;
    KD_NEED(out);
    KD_NEED(teacher);
    KD_NEED(dataset);
    KD_TRY(kd_teacher_create(&made, teacher->object.context, NULL, &o));
    made->options.lookup = KD_LOOKUP_KEY;
    memcpy(made->name, teacher->name, sizeof made->name);
    kd_status status = kd__dataset_keys(dataset, &keys);
    if (status == KD_OK) status = kd__teacher_set_keys(made, keys, dataset->samples);
    made->fields.rows = dataset->samples;
    if (status == KD_OK)
        status = each_batch(teacher, dataset, batch_size, "collect", keep_batch, made);
    if (status != KD_OK) {
        kd_teacher_free(made);
        return status;
    }
    *out = made;
    return KD_OK;
}

/* ---- pseudo-labels ---- */

static const kd_pseudo_label_options defaults = KD_PSEUDO_LABEL_OPTIONS_INIT;
void kd_pseudo_label_options_init(kd_pseudo_label_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

typedef struct {
    kd_context *context;
    const kd_pseudo_label_options *options;
    kd_pseudo_label_counts counts;
    int64_t samples, *labels, *order, *per_class;
    float *confidence; /* -1: dropped */
    float *scratch;
    int64_t scratch_room;
} labeling;

static kd_status label_batch(void *user, kd_targets *targets, int64_t first, int64_t count)
{
    labeling *l = user;
    const kd__kernels *kernels = l->context->kernels;
    const char *name = l->options->field ? l->options->field : "logits";
    const kd__field *field = kd__fields_find(&targets->fields, name);
    KD_FAIL_IF(!field || field->values.dtype != KD_FLOAT32, KD_ERR_NOT_FOUND,
               "pseudo-labels: the teacher gave no float field '%.60s'", name);
    const int64_t classes = kd__array_row(&field->values);
    KD_FAIL_IF(classes > INT32_MAX || (l->counts.classes && classes != l->counts.classes),
               KD_ERR_SHAPE, "pseudo-labels: %lld classes", (long long)classes);
    l->counts.classes = (int32_t)classes;
    KD_TRY(KD_RESERVE(l->context, &l->scratch, &l->scratch_room, classes));
    for (int64_t i = 0; i < count; i++) {
        const float *v = (const float *)field->values.data + i * classes;
        int32_t bad;
        float max = kernels->scan(v, classes, &bad);
        l->confidence[first + i] = -1;
        if (field->present && !field->present[i]) {
            l->counts.without_teacher++;
            continue;
        }
        KD_FAIL_IF(bad || max == -INFINITY, KD_ERR_NONFINITE,
                   "pseudo-labels: sample %lld has NaN or infinite logits", (long long)(first + i));
        double top = 1 / kernels->exponentials(v, classes, max, 1, l->scratch);
        l->labels[first + i] = kernels->argmax(v, classes);
        if (top < l->options->threshold) l->counts.below_threshold++;
        else l->confidence[first + i] = (float)top;
    }
    return KD_OK;
}

typedef struct {
    float confidence;
    int64_t sample;
} ranked;

static int more_confident(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->confidence != y->confidence) return x->confidence > y->confidence ? -1 : 1;
    return x->sample < y->sample ? -1 : 1;
}

static int64_t class_limit(const labeling *l)
{
    int64_t limit = l->options->per_class ? l->options->per_class : INT64_MAX;
    for (int32_t c = 0; c < l->counts.classes && l->options->balance; c++)
        if (l->per_class[c] < limit) limit = l->per_class[c];
    return limit;
}

/* Drops what is over the limit of its class, the least confident first; leaves the kept samples'
 * numbers in order[0 .. kept - 1]. */
static kd_status balance(labeling *l)
{
    ranked *all = NULL;
    int64_t confident = 0;
    KD_TRY(KD_NEW(l->context, &l->per_class, l->counts.classes));
    KD_TRY(KD_NEW(l->context, &all, l->samples));
    for (int64_t i = 0; i < l->samples; i++) {
        if (l->confidence[i] < 0) continue;
        l->per_class[l->labels[i]]++;
        all[confident++] = (ranked){ l->confidence[i], i };
    }
    int64_t limit = class_limit(l);
    qsort(all, (size_t)confident, sizeof *all, more_confident);
    memset(l->per_class, 0, (size_t)l->counts.classes * sizeof *l->per_class);
    for (int64_t i = 0; i < confident; i++) {
        if (l->per_class[l->labels[all[i].sample]]++ < limit) continue;
        l->confidence[all[i].sample] = -1;
        l->counts.over_balance++;
    }
    kd__release(l->context, all);
    for (int64_t i = 0; i < l->samples; i++)
        if (l->confidence[i] >= 0) l->order[l->counts.kept++] = i;
    return KD_OK;
}

/* The selected dataset with the label column exchanged. */
static kd_status relabel(kd_dataset **out, kd_dataset *dataset, labeling *l)
{
    kd_array numbers, labels, confidence;
    kd_dataset *made = NULL;
    const int64_t kept = l->counts.kept;
    for (int64_t i = 0; i < kept; i++) {
        /* order rises, so nothing is overwritten before it is read */
        l->labels[i] = l->labels[l->order[i]];
        l->confidence[i] = l->confidence[l->order[i]];
    }
    kd__array_view(&numbers, l->order, KD_INT64, 1, &kept);
    kd__array_view(&labels, l->labels, KD_INT64, 1, &kept);
    kd__array_view(&confidence, l->confidence, KD_FLOAT32, 1, &kept);
    KD_TRY(kd_dataset_select(&made, dataset, &numbers));
    for (int64_t i = 0; i < made->count; i++) /* the old labels are taken out */
        if (!strcmp(made->columns[i].name, "label") ||
            !strcmp(made->columns[i].name, "confidence")) {
            kd__release(made->object.context, made->columns[i].values.data);
            kd__release(made->object.context, made->columns[i].present);
            made->columns[i] = made->columns[--made->count];
            i--;
        }
    kd_status status = kd_dataset_add(made, "label", &labels, NULL);
    if (status == KD_OK) status = kd_dataset_add(made, "confidence", &confidence, NULL);
    if (status != KD_OK) {
        kd_dataset_free(made);
        return status;
    }
    *out = made;
    return KD_OK;
}

static kd_status label_all(kd_dataset **out, kd_dataset *dataset, kd_teacher *teacher, labeling *l)
{
    KD_TRY(KD_NEW(l->context, &l->labels, l->samples));
    KD_TRY(KD_NEW(l->context, &l->order, l->samples));
    KD_TRY(KD_NEW(l->context, &l->confidence, l->samples));
    KD_TRY(each_batch(teacher, dataset, l->options->batch_size, "pseudo-label", label_batch, l));
    KD_TRY(balance(l));
    KD_FAIL_IF(!l->counts.kept, KD_ERR_STATE,
               "pseudo-labels: none of %lld samples is kept (%lld below the threshold)",
               (long long)l->samples, (long long)l->counts.below_threshold);
    return relabel(out, dataset, l);
}

kd_status kd_dataset_pseudo_label(kd_dataset **out, kd_dataset *dataset, kd_teacher *teacher,
                                  const kd_pseudo_label_options *options,
                                  kd_pseudo_label_counts *counts)
{
    kd_pseudo_label_options o = defaults;
    kd_dataset *made = NULL;
    KD_NEED(out);
    KD_NEED(dataset);
    KD_NEED(teacher);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_pseudo_label_options"));
    KD_FAIL_IF(!(o.threshold >= 0 && o.threshold <= 1), KD_ERR_RANGE,
               "threshold: expected 0 to 1, got %g", o.threshold);
    KD_FAIL_IF(o.per_class < 0, KD_ERR_RANGE, "per_class: expected 0 or more, got %lld",
               (long long)o.per_class);
    labeling l = { .context = dataset->object.context, .options = &o, .samples = dataset->samples };
    l.counts.seen = dataset->samples;
    kd_status status = label_all(&made, dataset, teacher, &l);
    void *blocks[] = { l.labels, l.order, l.confidence, l.per_class, l.scratch };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(l.context, blocks[i]);
    if (status == KD_OK && counts)
        status = kd__info_write(counts, &l.counts, sizeof l.counts, "kd_pseudo_label_counts");
    if (status != KD_OK) {
        kd_dataset_free(made);
        return status;
    }
    *out = made;
    return KD_OK;
}
