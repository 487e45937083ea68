/* A batch in chunks: rehearsed one by one, put together for the terms that look at all of it, and
 * passed again with the gradients that these gave. */
#include <math.h>
#include <string.h>

#include <kdistill/contrast.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "core/loss/features.h"
#include "core/loss/whole_batch.h"

typedef struct {
    kd_loss *loss;
    kd_model *model;
    kd_batch *const *chunks;
    kd_targets *const *targets;
    int32_t count;
    uint64_t whole, each; /* terms over the whole batch; terms of each chunk */
    kd_loss_counts counts;
    kd_loss_result sum;
    kd__whole of;
} call;

static kd_targets *targets_of(const call *c, int32_t chunk)
{
    return c->targets ? c->targets[chunk] : NULL;
}

/* ---- which terms ---- */

static int is_of_batch(const kd__term *term)
{
    const kd__kind *kind = kd__kind_of(term->kind);
    return kind->relate || kind->columns || kind->sided;
}

static void part_terms(call *c)
{
    for (int32_t t = 0; t < c->loss->count; t++)
        *(is_of_batch(&c->loss->terms[t]) ? &c->whole : &c->each) |= UINT64_C(1) << t;
}

/* ---- denominators: the rows of all chunks ---- */

static kd_status count_chunk(call *c, int32_t chunk)
{
    kd_loss *loss = c->loss;
    kd_batch *batch = c->chunks[chunk];
    kd__student_side sides[KD_LOSS_MAX_TERMS];
    for (int32_t t = 0; t < loss->count; t++) {
        kd__bound_output *output = &loss->outputs[loss->terms[t].output];
        kd__student student;
        KD_TRY(kd__output_bind(output, c->model));
        kd__student_set_unit(&student, batch, kd__model_unit(c->model, output->slot));
        sides[t] = (kd__student_side){ 0, 0, student.unit };
    }
    KD_TRY(kd__loss_resolve(loss, batch, targets_of(c, chunk), sides));
    for (int32_t t = 0; t < loss->count; t++) {
        c->counts.rows[t] += loss->sources[t].count;
        c->counts.weights[t] += loss->sources[t].weight_sum;
    }
    return KD_OK;
}

static kd_status count_all(call *c, const kd_loss_counts *given)
{
    c->counts = (kd_loss_counts){ .struct_size = sizeof c->counts, .terms = c->loss->count };
    if (given) return kd__options_read(&c->counts, sizeof c->counts, given, "kd_loss_counts");
    for (int32_t i = 0; i < c->count; i++)
        if (c->chunks[i]->fields.rows) KD_TRY(count_chunk(c, i));
    return KD_OK;
}

/* ---- the whole batch ---- */

/* A rehearsal keeps what the terms of the whole batch compare, whatever else it is asked for. */
static kd_status rehearse(call *c, int32_t chunk)
{
    kd_model *model = c->model;
    uint8_t *asked = NULL;
    KD_TRY(KD_NEW(model->object.context, &asked, model->net.slots));
    memcpy(asked, model->net.asked, (size_t)model->net.slots);
    for (int32_t i = 0; i < c->loss->output_count; i++)
        if (kd__whole_has(&c->of, i)) model->net.asked[c->loss->outputs[i].slot] = 1;
    kd_status status = kd_model_forward(model, c->chunks[chunk], KD_MODE_REHEARSE);
    memcpy(model->net.asked, asked, (size_t)model->net.slots);
    kd__release(model->object.context, asked);
    if (status == KD_OK) status = kd__whole_take(&c->of, model, chunk);
    return status;
}

/* Bounds of sums are at most the sums of bounds; the largest share is told. */
static void add_result(call *c, const kd_loss_result *part)
{
    c->sum.terms = c->loss->count;
    c->sum.value += part->value;
    for (int32_t t = 0; t < c->loss->count; t++) {
        c->sum.sum[t] += part->sum[t];
        c->sum.rows[t] += part->rows[t];
        c->sum.skipped[t] += part->skipped[t];
    }
    c->sum.skipped_share = fmax(c->sum.skipped_share, part->skipped_share);
    c->sum.dw_error_bound += part->dw_error_bound;
    c->sum.dh_error_bound += part->dh_error_bound;
}

static kd_status run_whole(call *c)
{
    kd__student students[KD__MOST_OUTPUTS];
    kd_loss_result made = { .struct_size = sizeof made };
    kd_loss *loss = c->loss;
    const int32_t count = kd__whole_students(&c->of, students);
    loss->left_out = c->each;
    KD_TRY(kd__students_resolve(loss, students, count, c->of.batch, c->of.targets));
    KD_TRY(kd__loss_run(loss, students, count, &c->counts, &made));
    kd__parameters_commit(loss);
    add_result(c, &made);
    return KD_OK;
}

static kd_status make_whole(call *c)
{
    KD_TRY(kd__whole_begin(&c->of, c->loss, c->whole, c->model, c->chunks, c->targets, c->count));
    for (int32_t i = 0; i < c->count; i++)
        if (c->chunks[i]->fields.rows) KD_TRY(rehearse(c, i));
    return run_whole(c);
}

/* ---- the passes that train ---- */

/* A chunk's own terms, and its rows of the whole's gradients. */
static kd_status run_chunk(call *c, int32_t chunk)
{
    kd__student students[KD__MOST_OUTPUTS];
    kd_loss_result made = { .struct_size = sizeof made };
    kd_loss *loss = c->loss;
    kd_batch *batch = c->chunks[chunk];
    loss->left_out = c->whole;
    KD_TRY(kd__students_of(loss, c->model, batch, students));
    KD_TRY(kd__students_resolve(loss, students, loss->output_count, batch, targets_of(c, chunk)));
    KD_TRY(kd__students_gradients(loss, c->model, students));
    KD_TRY(kd__loss_run(loss, students, loss->output_count, &c->counts, &made));
    if (c->whole) kd__whole_give(&c->of, chunk, students);
    add_result(c, &made);
    return KD_OK;
}

static kd_status train_chunk(call *c, int32_t chunk)
{
    KD_TRY(kd_model_forward(c->model, c->chunks[chunk], KD_MODE_TRAIN));
    if (!c->chunks[chunk]->fields.rows) return kd_model_backward(c->model);
    const kd_status status = run_chunk(c, chunk);
    if (status != KD_OK) {
        kd__model_forget_gradients(c->model);
        return status;
    }
    KD_TRY(kd_model_backward(c->model));
    kd__parameters_commit(c->loss);
    return KD_OK;
}

/* ---- the call ---- */

static kd_status check(const call *c)
{
    KD_FAIL_IF(c->count < 1, KD_ERR_RANGE, "chunks: expected at least 1, got %d", c->count);
    KD_FAIL_IF(!c->loss->count, KD_ERR_STATE, "the loss has no terms");
    for (int32_t i = 0; i < c->count; i++)
        KD_FAIL_IF(!c->chunks[i], KD_ERR_INVALID, "chunk %d of %d is NULL", i, c->count);
    KD_FAIL_IF(c->model->gradients_shared || c->model->on_gradients, KD_ERR_STATE,
               "chunks: gradients add up over several backward passes, but the model's are %s",
               c->model->gradients_shared ? "shared (shared_gradients)"
                                          : "for a step that was begun");
    KD_FAIL_IF(c->model->frozen, KD_ERR_STATE, "a frozen model cannot train");
    return KD_OK;
}

/* Without terms over the whole batch nothing is rehearsed: the passes are parts of one all the
 * same. */
static kd_status run(call *c, const kd_loss_counts *counts)
{
    int64_t rows = 0, samples = 0;
    KD_TRY(count_all(c, counts));
    for (int32_t i = 0; i < c->count; i++) {
        rows += c->chunks[i]->fields.rows;
        samples += c->chunks[i]->fields.rows ? c->chunks[i]->samples : 0;
    }
    if (c->whole && rows) KD_TRY(make_whole(c));
    else kd__model_begin_rehearsal(c->model, rows, samples);
    for (int32_t i = 0; i < c->count; i++) KD_TRY(train_chunk(c, i));
    return KD_OK;
}

kd_status kd_loss_backward_chunks(kd_loss *loss, kd_model *model, kd_batch *const *chunks,
                                  kd_targets *const *targets, int32_t count,
                                  const kd_loss_counts *counts, kd_loss_result *result)
{
    call c = { .loss = loss, .model = model, .chunks = chunks, .targets = targets, .count = count };
    KD_NEED(loss);
    KD_NEED(model);
    KD_NEED(chunks);
    KD_TRY(check(&c));
    part_terms(&c);
    c.sum = (kd_loss_result){ .struct_size = sizeof c.sum, .terms = loss->count };
    kd__model_end_rehearsal(model);
    const kd_status status = run(&c, counts);
    loss->left_out = 0;
    kd__model_end_rehearsal(model);
    kd__whole_free(&c.of);
    if (status != KD_OK) return status;
    return result ? kd__info_write(result, &c.sum, sizeof c.sum, "kd_loss_result") : KD_OK;
}
