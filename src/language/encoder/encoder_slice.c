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

/* The pooler is BERT's first stage, and gives as many numbers as it takes; so does the dense layer
 * that others have in its place. */
static kd_status slice_classifier(const slicer *s)
{
    const kd__stage *to = kd__samples_of(s->student)->chain[KD__CHAIN_LOGITS].stage,
                    *from = kd__samples_of(s->teacher)->chain[KD__CHAIN_LOGITS].stage;
    kd__slice_tensor(s->student, s->a->pooler, s->teacher, s->b->pooler, s->hidden, s->hidden);
    kd__slice_tensor(s->student, s->a->pooler_bias, s->teacher, s->b->pooler_bias, s->hidden, NULL);
    if (!s->a->classifier || !s->b->classifier) return KD_OK;
    KD_FAIL_IF(to[1].outputs != from[1].outputs, KD_ERR_CONFIG,
               "kd_student_options.config: num_labels: the teacher has %lld, %lld were asked for",
               (long long)from[1].outputs, (long long)to[1].outputs);
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
    return kd__samples_slice(student, teacher, hidden);
}
