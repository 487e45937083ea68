/* Heads on the teacher's side, and rows of teachers with another tokenizer. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "core/teacher/sparse.h"
#include "core/teacher/teacher.h"

static const kd_head head_defaults = KD_HEAD_INIT;
void kd_head_init(kd_head *o, size_t size)
{
    kd__options_init(o, size, &head_defaults, sizeof head_defaults);
}

static kd_status check_part(const kd_array *array, const char *what, int32_t rank, int64_t rows,
                            int64_t columns)
{
    KD_TRY(kd__array_check(array, what));
    KD_FAIL_IF(array->dtype != KD_FLOAT32 || array->rank != rank || !kd__array_contiguous(array),
               KD_ERR_SHAPE, "head: %s: expected a contiguous float32 array of rank %d", what,
               rank);
    KD_FAIL_IF(rows && (array->dims[0] != rows || (rank == 2 && array->dims[1] != columns)),
               KD_ERR_SHAPE, "head: %s: expected %lld rows, got %lld", what, (long long)rows,
               (long long)array->dims[0]);
    return KD_OK;
}

kd_status kd__head_read(kd_head *to, const kd_head *from, int64_t *classes, int64_t *width)
{
    *to = head_defaults;
    KD_TRY(kd__options_read(to, sizeof *to, from, "kd_head"));
    KD_FAIL_IF(!to->weight, KD_ERR_INVALID, "head: weight: expected an array, got NULL");
    KD_TRY(check_part(to->weight, "weight", 2, 0, 0));
    *classes = to->weight->dims[0];
    *width = to->weight->dims[1];
    KD_FAIL_IF(*classes < 1 || *width < 1, KD_ERR_SHAPE,
               "head: weight: expected at least (1, 1), got (%lld, %lld)", (long long)*classes,
               (long long)*width);
    if (to->bias) KD_TRY(check_part(to->bias, "bias", 1, *classes, 0));
    if (to->weight_gradient)
        KD_TRY(check_part(to->weight_gradient, "weight_gradient", 2, *classes, *width));
    if (to->bias_gradient) KD_TRY(check_part(to->bias_gradient, "bias_gradient", 1, *classes, 0));
    KD_FAIL_IF(to->scale == 0 || !isfinite(to->scale), KD_ERR_RANGE,
               "head: scale: expected a finite number other than 0, got %g", to->scale);
    KD_FAIL_IF(!(to->soft_cap >= 0) || !isfinite(to->soft_cap), KD_ERR_RANGE,
               "head: soft_cap: expected 0 (none) or above, got %g", to->soft_cap);
    KD_FAIL_IF(!(to->skip_bound >= 0), KD_ERR_RANGE,
               "head: skip_bound: expected 0 (exact) or above, got %g", to->skip_bound);
    return KD_OK;
}

const kd__virtual *kd__virtual_find(const kd_targets *targets, const char *name)
{
    for (int i = 0; i < KD__MAX_HEADS; i++)
        if (targets->heads[i].active && !strcmp(targets->heads[i].name, name))
            return &targets->heads[i];
    return NULL;
}

kd_status kd_targets_borrow_head(kd_targets *targets, const char *name, const char *hidden,
                                 const kd_head *head)
{
    kd__virtual made = { .active = 1 };
    int64_t classes, width;
    KD_NEED(targets);
    KD_NEED(head);
    KD_TRY(kd__name_copy(made.name, name, "field"));
    KD_TRY(kd__name_copy(made.hidden, hidden, "hidden"));
    KD_TRY(kd__head_read(&made.head, head, &classes, &width));
    KD_FAIL_IF(made.head.weight_gradient || made.head.bias_gradient, KD_ERR_INVALID,
               "a teacher's head has no gradients");
    made.weight = *made.head.weight;
    if (made.head.bias) made.bias = *made.head.bias;
    int place = 0;
    while (place < KD__MAX_HEADS && targets->heads[place].active &&
           strcmp(targets->heads[place].name, made.name))
        place++;
    KD_FAIL_IF(place == KD__MAX_HEADS, KD_ERR_RANGE, "targets have at most %d heads",
               KD__MAX_HEADS);
    kd__virtual *to = &targets->heads[place];
    *to = made;
    to->head.weight = &to->weight;
    if (to->head.bias) to->head.bias = &to->bias;
    return KD_OK;
}
