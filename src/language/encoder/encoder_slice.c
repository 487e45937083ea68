/* What an encoder adds to its trunk, in a student: pooler, classifier, dense layers. A part that
 * the teacher lacks stays as it was initialized. */
#include "language/encoder/encoder.h"
#include "language/trunk/slice.h"

typedef struct {
    kd_model *student;
    const kd_model *teacher;
    const kd__encoder *a, *b; /* theirs */
    const int32_t *hidden;
} slicer;

static void slice_transform(const slicer *s, const kd__transform *to, const kd__transform *from)
{
    const int32_t *h = s->hidden;
    kd__slice_tensor(s->student, to->dense, s->teacher, from->dense, h, h);
    kd__slice_tensor(s->student, to->dense_bias, s->teacher, from->dense_bias, h, NULL);
    kd__slice_tensor(s->student, to->norm, s->teacher, from->norm, h, NULL);
    kd__slice_tensor(s->student, kd__trunk_norm_bias(&s->a->trunk.config, to->norm), s->teacher,
                     kd__trunk_norm_bias(&s->b->trunk.config, from->norm), h, NULL);
}

static kd_status check_labels(const kd__stage *to, const kd__stage *from)
{
    KD_FAIL_IF(to->outputs != from->outputs, KD_ERR_CONFIG,
               "kd_student_options.config: num_labels: the teacher has %lld, %lld were asked for",
               (long long)from->outputs, (long long)to->outputs);
    return KD_OK;
}

/* ModernBERT's, which begins as a masked head does. */
static kd_status slice_transformed(const slicer *s, const kd__chain *to, const kd__chain *from)
{
    KD_TRY(check_labels(&to->stage[0], &from->stage[0]));
    slice_transform(s, &to->transform, &from->transform);
    kd__stage_slice(s->student, &to->stage[0], s->teacher, &from->stage[0], NULL, s->hidden);
    return KD_OK;
}

/* The pooler is BERT's first stage, and gives as many numbers as it takes; so does the dense layer
 * that others have in its place. */
static kd_status slice_classifier(const slicer *s)
{
    const kd__chain *a = &kd__samples_of(s->student)->chain[KD__CHAIN_LOGITS],
                    *b = &kd__samples_of(s->teacher)->chain[KD__CHAIN_LOGITS];
    const kd__stage *to = a->stage, *from = b->stage;
    kd__slice_tensor(s->student, s->a->pooler, s->teacher, s->b->pooler, s->hidden, s->hidden);
    kd__slice_tensor(s->student, s->a->pooler_bias, s->teacher, s->b->pooler_bias, s->hidden, NULL);
    if (!s->a->classifier || !s->b->classifier) return KD_OK;
    if (a->has_transform) return slice_transformed(s, a, b);
    KD_TRY(check_labels(&to[1], &from[1]));
    kd__stage_slice(s->student, &to[0], s->teacher, &from[0], s->hidden, s->hidden);
    kd__stage_slice(s->student, &to[1], s->teacher, &from[1], NULL, s->hidden);
    return KD_OK;
}

kd_status kd__encoder_slice(kd_model *student, const kd_model *teacher, const int32_t *hidden)
{
    const slicer s = { student, teacher, kd__encoder_of(student), kd__encoder_of(teacher), hidden };
    KD_FAIL_IF(s.a->trunk.config.family != s.b->trunk.config.family, KD_ERR_CONFIG,
               "kd_student_options.config: model_type: a student is of its teacher's family");
    KD_TRY(slice_classifier(&s));
    if (s.a->masked.is_there && s.b->masked.is_there)
        slice_transform(&s, &s.a->masked.transform, &s.b->masked.transform);
    return kd__samples_slice(student, teacher, hidden);
}
