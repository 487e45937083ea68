/* A student's weights: those of its teacher that are kept. */
#include "base/memory.h"
#include "base/numbers.h"
#include "language/students/cutter.h"
#include "language/students/factorize.h"
#include "language/trunk/slice.h"

/* ---- layers ---- */

/* Rows of q (or k, v) of the kept groups: each has `each` rows. */
static void spread(const int32_t *keep, int64_t count, int64_t each, int32_t *to)
{
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < each; j++) to[i * each + j] = (int32_t)(keep[i] * each + j);
}

/* The same rows of each of the parts that lie in one matrix, `whole` rows of the teacher's each. */
static void stack(const int32_t *rows, int64_t count, int64_t whole, int64_t parts, int32_t *to)
{
    for (int64_t p = 0; p < parts; p++)
        for (int64_t i = 0; i < count; i++) to[p * count + i] = (int32_t)(p * whole + rows[i]);
}

static void cut(const kd__cutter *c, kd_model *student, int32_t to, int32_t from,
                const int32_t *rows, const int32_t *columns)
{
    kd__slice_tensor(student, to, c->teacher, from, rows, columns);
}

static void cut_norm(const kd__cutter *c, kd_model *student, int32_t to, int32_t from)
{
    cut(c, student, to, from, c->keep_hidden, NULL);
    if (c->t->layer_norm && to >= 0 && from >= 0)
        cut(c, student, kd__trunk_norm_bias(kd__trunk_config_of(student), to),
            kd__trunk_norm_bias(c->t, from), c->keep_hidden, NULL);
}

/* Room for the rows that are kept of a layer's matrices. */
typedef struct {
    int32_t *q, *kv, *fused;
} kept_rows;

static void cut_attention(const kd__cutter *c, kd_model *student, int64_t i, kept_rows rows)
{
    const kd__trunk_layer *a = &kd__trunk_config_of(student)->layer[i],
                          *b = &c->t->layer[c->map[i]];
    const int32_t *h = c->keep_hidden, *of_q = rows.q;
    const int64_t group = c->t->heads / c->t->kv_heads * c->t->width;
    spread(c->keep_kv + i * c->kv, c->kv, group, rows.q);
    spread(c->keep_kv + i * c->kv, c->kv, c->t->width, rows.kv);
    if (a->k < 0) { /* one matrix of the three */
        stack(rows.q, c->kv * group, c->t->heads * c->t->width, 3, rows.fused);
        of_q = rows.fused;
    }
    cut(c, student, a->q, b->q, of_q, h);
    cut(c, student, a->k, b->k, rows.kv, h);
    cut(c, student, a->v, b->v, rows.kv, h);
    cut(c, student, a->qb, b->qb, of_q, NULL);
    cut(c, student, a->kb, b->kb, rows.kv, NULL);
    cut(c, student, a->vb, b->vb, rows.kv, NULL);
    cut(c, student, a->qn, b->qn, NULL, NULL);
    cut(c, student, a->kn, b->kn, NULL, NULL);
    cut(c, student, a->o, b->o, h, rows.q);
    cut(c, student, a->ob, b->ob, h, NULL);
}

static void cut_feed_forward(const kd__cutter *c, kd_model *student, int64_t i, kept_rows rows)
{
    const kd__trunk_layer *a = &kd__trunk_config_of(student)->layer[i],
                          *b = &c->t->layer[c->map[i]];
    const int32_t *h = c->keep_hidden, *inner = c->keep_inner + i * c->inner, *of_gate = inner;
    if (a->up < 0 && !c->t->no_gate) { /* one matrix of the two */
        stack(inner, c->inner, c->t->inner, 2, rows.fused);
        of_gate = rows.fused;
    }
    cut(c, student, a->gate, b->gate, of_gate, h);
    cut(c, student, a->up, b->up, inner, h);
    cut(c, student, a->gateb, b->gateb, of_gate, NULL);
    cut(c, student, a->upb, b->upb, inner, NULL);
    cut(c, student, a->down, b->down, h, inner);
    cut(c, student, a->downb, b->downb, h, NULL);
}

static void cut_layer(const kd__cutter *c, kd_model *student, int64_t i, kept_rows rows)
{
    const kd__trunk_layer *a = &kd__trunk_config_of(student)->layer[i],
                          *b = &c->t->layer[c->map[i]];
    cut_norm(c, student, a->norm1, b->norm1);
    cut_norm(c, student, a->norm2, b->norm2);
    cut_attention(c, student, i, rows);
    cut_feed_forward(c, student, i, rows);
}

static kd_status cut_layers(const kd__cutter *c, kd_model *student)
{
    kd_context *context = student->object.context;
    const kd__trunk_config *d = kd__trunk_config_of(student);
    const int64_t q = d->heads * d->width;
    int32_t *block = NULL;
    KD_TRY(KD_NEW(context, &block, 2 * q + kd__max(3 * q, 2 * d->inner)));
    const kept_rows rows = { block, block + q, block + 2 * q };
    /* the first of shared ones last */
    for (int64_t i = d->layers; i-- > 0;) cut_layer(c, student, i, rows);
    kd__release(context, block);
    return KD_OK;
}

/* ---- embeddings ---- */

/* The nearest to the kept columns in fewer numbers. */
static kd_status factorize_embedding(const kd__cutter *c, kd_model *student)
{
    kd_context *context = student->object.context;
    const kd__trunk_config *d = kd__trunk_config_of(student);
    const float *x = kd__tensor_values(c->teacher, c->t->embedding);
    float *kept = NULL;
    KD_TRY(KD_NEW(context, &kept, d->vocabulary * d->hidden));
    for (int64_t i = 0; i < d->vocabulary; i++)
        for (int64_t j = 0; j < d->hidden; j++)
            kept[i * d->hidden + j] = x[i * c->t->hidden + c->keep_hidden[j]];
    const kd_status status = kd__factorize(context, kept, d->vocabulary, d->hidden, d->embedded,
                                           kd__tensor_values(student, d->embedding),
                                           kd__tensor_values(student, d->projection));
    kd__release(context, kept);
    return status;
}

static kd_status cut_embedding(const kd__cutter *c, kd_model *student)
{
    const kd__trunk_config *d = kd__trunk_config_of(student), *t = c->t;
    const int32_t *h = c->keep_hidden;
    if (d->projection >= 0 && d->embedding >= 0) return factorize_embedding(c, student);
    cut(c, student, d->embedding, t->embedding, NULL, h);
    cut(c, student, d->position_table, t->position_table, NULL, h);
    cut(c, student, d->type_table, t->type_table, NULL, h);
    cut_norm(c, student, d->embedding_norm, t->embedding_norm);
    return KD_OK;
}

/* ---- the whole ---- */

static kd_status check_tables(const kd__trunk_config *d, const kd__trunk_config *t)
{
    if (d->position_table < 0) return KD_OK;
    KD_FAIL_IF(d->positions > t->positions || d->first_position != t->first_position, KD_ERR_CONFIG,
               "kd_student_options.config: max_position_embeddings, pad_token_id: the teacher has "
               "positions for %lld tokens from row %lld on, %lld from row %lld on were asked for",
               (long long)t->positions, (long long)t->first_position, (long long)d->positions,
               (long long)d->first_position);
    KD_FAIL_IF(d->types > t->types, KD_ERR_CONFIG,
               "kd_student_options.config: type_vocab_size: the teacher has %lld, %lld were asked "
               "for",
               (long long)t->types, (long long)d->types);
    return KD_OK;
}

static kd_status check(const kd__cutter *c, const kd_model *student)
{
    KD_FAIL_IF(student->net.engine != c->teacher->net.engine, KD_ERR_CONFIG,
               "kd_student_options.config: model_type: a student is of its teacher's kind (%s)",
               c->teacher->net.engine->model_types);
    const kd__trunk_config *d = kd__trunk_config_of(student), *t = c->t;
    KD_FAIL_IF(d->vocabulary != t->vocabulary || d->layers != c->layers || d->hidden != c->hidden ||
                   d->inner != c->inner || d->kv_heads != c->kv || d->width != t->width,
               KD_ERR_CONFIG,
               "kd_student_options.config changes a size: set it with the option instead");
    KD_FAIL_IF(t->projection >= 0 && t->embedding >= 0, KD_ERR_UNSUPPORTED,
               "the teacher's embeddings are factorized: save it with option expand and load that");
    for (int64_t i = 0; i < d->layers; i++)
        KD_FAIL_IF((d->layer[i].norm1 < 0) != (t->layer[c->map[i]].norm1 < 0), KD_ERR_UNSUPPORTED,
                   "layer_map: layer %lld: a teacher of this family has no first norm in layer 0: "
                   "expected layer 0 for the student's layer 0 and for no other, got %d",
                   (long long)i, c->map[i]);
    return KD_OK;
}

kd_status kd__cutter_weights(const kd__cutter *c, kd_model *student)
{
    KD_TRY(check(c, student));
    const kd__trunk_config *d = kd__trunk_config_of(student);
    if (d->kind->slice) KD_TRY(d->kind->slice(student, c->teacher, c->keep_hidden));
    kd__cutter_heads(c, student);
    KD_TRY(check_tables(d, c->t));
    KD_TRY(cut_embedding(c, student));
    cut_norm(c, student, d->norm, c->t->norm);
    if (!d->tied) cut(c, student, d->head, c->t->head, NULL, c->keep_hidden);
    cut(c, student, d->head_bias, c->t->head_bias, NULL, NULL);
    return cut_layers(c, student);
}
