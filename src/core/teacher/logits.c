/* Logits of a head: a block of rows of hidden states through it. */
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/gemm.h"
#include "core/teacher/teacher.h"

#define BLOCK_FLOATS (16 << 20) /* of logits that are held at once */

int64_t kd__head_chunk(const kd_context *context, int64_t rows, int64_t classes)
{
    return kd__gemm_block_is_own(context) && rows > KD__THIN_LINES ? KD__HEAD_CHUNK : classes;
}

typedef struct {
    const kd__kernels *kernels;
    float *x;
    int64_t n, step;
    const float *bias;
    float scale, cap;
} finish;

static void finish_row(void *argument, int64_t r, int32_t worker)
{
    finish *f = argument;
    float *x = f->x + r * f->step;
    (void)worker;
    if (f->bias) f->kernels->axpby(x, f->scale, f->bias, 1, f->n);
    if (f->cap > 0) f->kernels->soft_cap(x, f->n, f->cap);
}

kd_status kd__head_logits(kd_context *context, const kd_head *head, const float *h, int64_t h_step,
                          int64_t rows, float *x, int64_t x_step)
{
    const int64_t n = head->weight->dims[0], d = head->weight->dims[1],
                  chunk = kd__head_chunk(context, rows, n);
    for (int64_t i = 0; i < n; i += chunk) {
        kd__gemm g = { .b_t = 1,
                       .m = rows,
                       .n = kd__min(n - i, chunk),
                       .k = d,
                       .alpha = (float)head->scale,
                       .a = h,
                       .lda = h_step,
                       .b = (const float *)head->weight->data + i * d,
                       .ldb = d,
                       .beta = 0,
                       .c = x + i,
                       .ldc = x_step };
        KD_TRY(kd__gemm_block(context, &g));
    }
    finish f = { context->kernels,
                 x,
                 n,
                 x_step,
                 head->bias ? head->bias->data : NULL,
                 (float)head->scale,
                 (float)head->soft_cap };
    if (f.bias || f.cap > 0) kd__parallel(context, rows, finish_row, &f);
    return KD_OK;
}

/* ---- rows to choose from ---- */

int kd__logits_find(const kd_targets *targets, const char *name, kd__logits *logits,
                    const uint8_t **present)
{
    const kd__virtual *head = kd__virtual_find(targets, name);
    const kd__field *field = kd__fields_find(&targets->fields, head ? head->hidden : name);
    if (!field || field->unit != KD__OF_ROWS) return 0;
    const int64_t width = kd__array_row(&field->values);
    *logits = (kd__logits){ .data = field->values.data,
                            .dtype = field->values.dtype,
                            .step = width * (int64_t)kd_dtype_bytes(field->values.dtype),
                            .classes = head ? head->weight.dims[0] : width,
                            .head = head ? &head->head : NULL };
    *present = field->present;
    return !head || (field->values.dtype == KD_FLOAT32 && width == head->weight.dims[1]);
}

int64_t kd__logits_block(const kd__logits *logits)
{
    const int64_t rows = BLOCK_FLOATS / logits->classes;
    return kd__max(rows, 1);
}

kd_status kd__logits_compute(kd_context *context, const kd__logits *l, int64_t first, int64_t count,
                             float *x)
{
    kd_head head = *l->head;
    kd_array weight = *head.weight;
    weight.dims[0] = l->classes; /* a bias is read as far as the classes go */
    head.weight = &weight;
    const float *hidden = (const float *)(const void *)(l->data + first * l->step);
    return kd__head_logits(context, &head, hidden, l->step / (int64_t)sizeof *hidden, count, x,
                           l->classes);
}

static kd_status fill(kd_targets *targets, const kd__logits *logits, const uint8_t *present,
                      kd__field *to)
{
    const int64_t rows = to->values.dims[0], block = kd__logits_block(logits);
    float *x = (float *)(void *)to->buffer;
    if (present) {
        KD_TRY(kd__fields_open_present(&targets->fields, to));
        memcpy(to->present_buffer, present, (size_t)rows);
    }
    for (int64_t first = 0; first < rows; first += block)
        KD_TRY(kd__logits_compute(targets->object.context, logits, first,
                                  kd__min(block, rows - first), x + first * logits->classes));
    return KD_OK;
}

kd_status kd__logits_open(kd_targets *targets, const char *name)
{
    const kd__virtual *head = kd__virtual_find(targets, name);
    const uint8_t *present;
    kd__logits logits;
    kd__field *to;
    if (!head || !kd__logits_find(targets, name, &logits, &present)) return KD_OK;
    const kd__field *hidden = kd__fields_find(&targets->fields, head->hidden);
    const int64_t dims[2] = { hidden->values.dims[0], logits.classes };
    KD_TRY(kd__fields_open_unit(&targets->fields, KD__OF_ROWS, name, KD_FLOAT32, 2, dims, &to));
    const kd_status status = fill(targets, &logits, present, to);
    if (status != KD_OK) to->active = 0;
    return status;
}
