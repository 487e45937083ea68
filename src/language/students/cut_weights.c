/* A student's weights: those of its teacher that are kept. */
#include "base/memory.h"
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

static void cut(const kd__cutter *c, kd_model *student, int32_t to, int32_t from,
                const int32_t *rows, const int32_t *columns)
{
    kd__slice_tensor(student, to, c->teacher, from, rows, columns);
}

static void cut_norm(const kd__cutter *c, kd_model *student, int32_t to, int32_t from)
{
    cut(c, student, to, from, c->keep_hidden, NULL);
    if (c->t->layer_norm && to >= 0 && from >= 0)
        cut(c, student, to + 1, from + 1, c->keep_hidden, NULL);
}

static void cut_layer(const kd__cutter *c, kd_model *student, int64_t i, int32_t *q_rows,
                      int32_t *kv_rows)
{
    const kd__trunk_layer *a = &kd__trunk_config_of(student)->layer[i],
                          *b = &c->t->layer[c->map[i]];
    const int32_t *h = c->keep_hidden, *inner = c->keep_inner + i * c->inner;
    spread(c->keep_kv + i * c->kv, c->kv, c->t->heads / c->t->kv_heads * c->t->width, q_rows);
    spread(c->keep_kv + i * c->kv, c->kv, c->t->width, kv_rows);
    cut_norm(c, student, a->norm1, b->norm1);
    cut_norm(c, student, a->norm2, b->norm2);
    cut(c, student, a->q, b->q, q_rows, h);
    cut(c, student, a->k, b->k, kv_rows, h);
    cut(c, student, a->v, b->v, kv_rows, h);
    cut(c, student, a->qb, b->qb, q_rows, NULL);
    cut(c, student, a->kb, b->kb, kv_rows, NULL);
    cut(c, student, a->vb, b->vb, kv_rows, NULL);
    cut(c, student, a->qn, b->qn, NULL, NULL);
    cut(c, student, a->kn, b->kn, NULL, NULL);
    cut(c, student, a->o, b->o, h, q_rows);
    cut(c, student, a->ob, b->ob, h, NULL);
    cut(c, student, a->gate, b->gate, inner, h);
    cut(c, student, a->up, b->up, inner, h);
    cut(c, student, a->gateb, b->gateb, inner, NULL);
    cut(c, student, a->upb, b->upb, inner, NULL);
    cut(c, student, a->down, b->down, h, inner);
    cut(c, student, a->downb, b->downb, h, NULL);
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
    return KD_OK;
}

kd_status kd__cutter_weights(const kd__cutter *c, kd_model *student)
{
    kd_context *context = student->object.context;
    int32_t *rows = NULL;
    KD_TRY(check(c, student));
    const kd__trunk_config *d = kd__trunk_config_of(student);
    if (d->kind->slice) KD_TRY(d->kind->slice(student, c->teacher, c->keep_hidden));
    KD_TRY(check_tables(d, c->t));
    KD_TRY(cut_embedding(c, student));
    KD_TRY(KD_NEW(context, &rows, 2 * d->heads * d->width + 2));
    cut_norm(c, student, d->norm, c->t->norm);
    if (!d->tied) cut(c, student, d->head, c->t->head, NULL, c->keep_hidden);
    /* the first of shared ones last */
    for (int64_t i = d->layers; i-- > 0;)
        cut_layer(c, student, i, rows, rows + d->heads * d->width);
    kd__release(context, rows);
    return KD_OK;
}
