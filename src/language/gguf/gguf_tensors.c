/* The numbers of a GGUF file: each tensor's rows encoded by all threads, a piece at a time, and
 * what became of them. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "language/gguf/gguf_plan.h"
#include "language/gguf/importance_matrix.h"
#include "language/trunk/lattice.h"

enum { PIECE = 1 << 20, TILE = 8 }; /* bytes at once; rows that one thread takes */

typedef struct {
    kd__gguf_plan *plan;
    const kd__gguf_entry *entry;
    const kd__tensor *t;
    const kd__block_format *f; /* NULL: a dtype */
    const float *x;
    int64_t width, row_bytes;
    int64_t first, rows; /* of this piece */
    uint8_t *bytes;
    const uint8_t *codes;      /* of a lattice; NULL: it is on none */
    float *importance;         /* (width); NULL: none */
    float *spare;              /* (threads, width) */
    kd__block_report *reports; /* (rows) */
} job;

/* ---- rows ---- */

static kd__block_report convert_row(const job *j, const float *x, uint8_t *to, float *spare)
{
    kd__block_report report = { .finite = 1 };
    kd__convert_from_float32(to, j->entry->format, x, j->width);
    kd__convert_float32(spare, to, j->entry->format, j->width, 1, 0);
    kd__little_bytes(to, j->width, kd_dtype_bytes(j->entry->format));
    for (int64_t i = 0; i < j->width; i++) {
        report.error += (double)(spare[i] - x[i]) * (spare[i] - x[i]);
        report.square += (double)x[i] * x[i];
    }
    return report;
}

/* A row of a lattice as passes saw it: its blocks, nothing is rounded again. */
static kd__block_report copy_row(const job *j, int64_t row, uint8_t *to)
{
    kd__block_report report = { .finite = 1 };
    const float *x = j->x + row * j->width;
    memcpy(to, j->codes + row * j->row_bytes, (size_t)j->row_bytes);
    for (int64_t i = 0; i < j->width; i++) {
        report.square += (double)x[i] * x[i];
        report.finite &= isfinite(x[i]) != 0;
    }
    return report;
}

/* Row i of the file is row kd__gguf_row_back(i) of the model. */
static void encode_tile(void *argument, int64_t index, int32_t worker)
{
    const job *j = argument;
    float *spare = j->spare + worker * j->width;
    const int64_t end = kd__min((index + 1) * TILE, j->rows);
    for (int64_t i = index * TILE; i < end; i++) {
        const int64_t row = kd__gguf_row_back(j->plan->d, j->t->name, j->first + i);
        const float *x = j->x + row * j->width;
        uint8_t *to = j->bytes + i * j->row_bytes;
        if (j->codes) j->reports[i] = copy_row(j, row, to);
        else
            j->reports[i] = j->f ? kd__block_encode_row(j->f, x, j->width, j->importance, to, spare)
                                 : convert_row(j, x, to, spare);
    }
}

static kd_status add_reports(job *j)
{
    kd__gguf_plan *p = j->plan;
    for (int64_t i = 0; i < j->rows; i++) {
        KD_FAIL_IF(!j->reports[i].finite, KD_ERR_RANGE,
                   "GGUF: %s has a number that is not finite, or too large for a float16 scale of "
                   "%s: nothing was written",
                   j->t->name, kd__gguf_format_name(j->entry->format));
        p->errors += j->reports[i].error;
        p->squares += j->reports[i].square;
        p->info.vanished += j->reports[i].vanished;
    }
    return KD_OK;
}

static kd_status write_pieces(job *j, int64_t piece, kd__output *output)
{
    for (int64_t at = 0; at < j->t->dims[0]; at += piece) {
        j->first = at;
        j->rows = kd__min(piece, j->t->dims[0] - at);
        kd__parallel(j->plan->model->object.context, kd__ceil_div(j->rows, TILE), encode_tile, j);
        KD_TRY(add_reports(j));
        if (output) KD_TRY(kd__output_write(output, j->bytes, j->rows * j->row_bytes));
    }
    return KD_OK;
}

static kd_status take_importance(job *j)
{
    const kd_importance *all = j->plan->o.importance;
    const kd__importance_entry *e = all ? kd__importance_of(all, j->plan->d, j->entry->tensor)
                                        : NULL;
    if (!j->f || !e || !(e->count > 0)) return KD_OK;
    KD_TRY(KD_NEW(j->plan->model->object.context, &j->importance, j->width));
    kd__importance_means(e, j->importance);
    return KD_OK;
}

static kd_status write_matrix(kd__gguf_plan *p, const kd__gguf_entry *e, kd__output *output)
{
    kd_context *context = p->model->object.context;
    job j = { .plan = p,
              .entry = e,
              .t = &p->model->net.tensors[e->tensor],
              .f = kd__block_find(e->format),
              .x = kd__tensor_values(p->model, e->tensor) };
    j.width = j.t->dims[1];
    j.row_bytes = kd__gguf_bytes(e->format, j.width);
    const kd__lattice_matrix *m = kd__lattice_find(p->model, e->tensor);
    if (m) j.codes = kd__trunk_of(p->model)->lattice->codes + m->codes_from;
    const int64_t piece = kd__min(kd__ceil_div(PIECE, j.row_bytes), j.t->dims[0]);
    kd_status status = KD_NEW(context, &j.bytes, piece * j.row_bytes);
    if (status == KD_OK) status = KD_NEW(context, &j.spare, context->threads * j.width);
    if (status == KD_OK) status = KD_NEW(context, &j.reports, piece);
    if (status == KD_OK) status = take_importance(&j);
    if (status == KD_OK) status = write_pieces(&j, piece, output);
    kd__release(context, j.importance);
    kd__release(context, j.bytes);
    kd__release(context, j.spare);
    kd__release(context, j.reports);
    p->matrix_numbers += (double)j.t->count;
    p->matrix_bits += 8.0 * (double)kd__gguf_bytes(e->format, j.t->count);
    return status;
}

/* ---- vectors ---- */

/* A vector, whose numbers are rows of one: biases of q and k are turned like their rows. */
static kd_status write_vector(kd__gguf_plan *p, const kd__gguf_entry *e, kd__output *output)
{
    const kd__tensor *t = &p->model->net.tensors[e->tensor];
    const float *x = kd__tensor_values(p->model, e->tensor);
    float *made = NULL;
    if (!output) return KD_OK;
    KD_TRY(KD_NEW(p->model->object.context, &made, t->count));
    for (int64_t i = 0; i < t->count; i++) made[i] = x[kd__gguf_row_back(p->d, t->name, i)];
    kd__little_bytes(made, t->count, sizeof *made);
    const kd_status status = kd__output_write(output, made, t->count * 4);
    kd__release(p->model->object.context, made);
    return status;
}

/* Llama 3's scaling is a tensor of divisors there. */
static void llama3_divisors(const kd__trunk_config *d, float *to)
{
    float scaled[512];
    kd__rope base = d->rope;
    kd__rope_frequencies(&d->rope, d->width, 1, scaled);
    base.kind = KD__ROPE_DEFAULT;
    kd__rope_frequencies(&base, d->width, 1, to);
    for (int64_t i = 0; i < d->width / 2; i++) to[i] /= scaled[i];
}

static kd_status write_divisors(const kd__gguf_plan *p, kd__output *output)
{
    float made[512];
    const int64_t half = p->d->width / 2;
    if (!output) return KD_OK;
    if (p->d->rope.kind == KD__ROPE_LLAMA3) llama3_divisors(p->d, made);
    else memcpy(made, p->d->rope.divisors, (size_t)half * sizeof *made);
    kd__little_bytes(made, half, sizeof *made);
    return kd__output_write(output, made, half * 4);
}

/* ---- all ---- */

static kd_status write_entry(kd__gguf_plan *p, const kd__gguf_entry *e, kd__output *output)
{
    static const char zeros[KD__GGUF_ALIGNMENT];
    const kd__tensor *t = e->tensor < 0 ? NULL : &p->model->net.tensors[e->tensor];
    const int64_t bytes = t ? kd__gguf_bytes(e->format, t->count) : p->d->width / 2 * 4;
    const int64_t padding = kd__round_up(bytes, KD__GGUF_ALIGNMENT) - bytes;
    if (!t) KD_TRY(write_divisors(p, output));
    else KD_TRY(t->rank == 2 ? write_matrix(p, e, output) : write_vector(p, e, output));
    p->info.bytes += bytes + padding;
    return output ? kd__output_write(output, zeros, padding) : KD_OK;
}

kd_status kd__gguf_tensors(kd__gguf_plan *p, kd__output *output)
{
    for (int64_t i = 0; i < p->count; i++) KD_TRY(write_entry(p, &p->entries[i], output));
    p->info.bits = p->matrix_numbers > 0 ? p->matrix_bits / p->matrix_numbers : 0;
    p->info.error = p->squares > 0 ? sqrt(p->errors / p->squares) : 0;
    return KD_OK;
}
