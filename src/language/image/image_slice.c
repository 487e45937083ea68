/* What a transformer over patches adds to its trunk, in a student: tokens, patches, heads. A part
 * that the teacher lacks stays as it was initialized. */
#include <string.h>

#include "language/image/image.h"
#include "language/trunk/slice.h"

typedef struct {
    kd_model *student;
    const kd_model *teacher;
    const kd__image *a, *b; /* theirs */
    const int32_t *hidden;
} slicer;

static kd_status check_patches(const slicer *s)
{
    const kd__patches *p = &s->a->trunk.config.patches, *q = &s->b->trunk.config.patches;
    KD_FAIL_IF(s->a->trunk.config.family != s->b->trunk.config.family, KD_ERR_CONFIG,
               "kd_student_options.config: model_type: a student is of its teacher's family");
    const int same = p->channels == q->channels && p->height == q->height && p->width == q->width &&
                     p->patch_height == q->patch_height && p->patch_width == q->patch_width &&
                     p->stride_height == q->stride_height && p->stride_width == q->stride_width;
    KD_FAIL_IF(!same, KD_ERR_CONFIG,
               "kd_student_options.config: a student has its teacher's images and patches: "
               "(%lld, %lld, %lld) in patches of (%lld, %lld) every (%lld, %lld)",
               (long long)q->channels, (long long)q->height, (long long)q->width,
               (long long)q->patch_height, (long long)q->patch_width, (long long)q->stride_height,
               (long long)q->stride_width);
    return KD_OK;
}

static void slice_patches(const slicer *s)
{
    const kd__trunk_config *a = &s->a->trunk.config, *b = &s->b->trunk.config;
    for (int64_t e = 0; e < a->patches.before; e++)
        kd__slice_tensor(s->student, a->image_token[e], s->teacher, b->image_token[e], NULL,
                         s->hidden);
    kd__slice_tensor(s->student, a->projection, s->teacher, b->projection, s->hidden, NULL);
    kd__slice_tensor(s->student, a->patch_bias, s->teacher, b->patch_bias, s->hidden, NULL);
}

static void slice_norm(const slicer *s, const kd__stage *to, const kd__stage *from)
{
    for (int i = 0; i < 2 && to->is_normed && from->is_normed; i++)
        kd__slice_tensor(s->student, to->norm + i, s->teacher, from->norm + i, s->hidden, NULL);
}

static kd_status slice_head(const slicer *s, const kd__chain *to, const kd__chain *from)
{
    const kd__stage *a = &to->stage[0], *b = &from->stage[0];
    if (!to->count || !from->count) return KD_OK;
    KD_FAIL_IF(a->outputs != b->outputs, KD_ERR_CONFIG,
               "kd_student_options.config: num_labels: the teacher has %lld, %lld were asked for",
               (long long)b->outputs, (long long)a->outputs);
    slice_norm(s, a, b);
    kd__stage_slice(s->student, a, s->teacher, b, NULL, s->hidden);
    return KD_OK;
}

/* A pooler gives as many numbers as the config says: those of the rows where it has their width. */
static kd_status slice_pooler(const slicer *s)
{
    const int is_own = s->a->pooler_size == s->a->trunk.config.hidden &&
                       s->b->pooler_size == s->b->trunk.config.hidden;
    const int32_t *rows = is_own ? s->hidden : NULL;
    if (s->a->pooler < 0 || s->b->pooler < 0) return KD_OK;
    KD_FAIL_IF(!is_own && s->a->pooler_size != s->b->pooler_size, KD_ERR_CONFIG,
               "kd_student_options.config: pooler_output_size: the teacher has %lld, the student "
               "%lld",
               (long long)s->b->pooler_size, (long long)s->a->pooler_size);
    kd__slice_tensor(s->student, s->a->pooler, s->teacher, s->b->pooler, rows, s->hidden);
    kd__slice_tensor(s->student, s->a->pooler_bias, s->teacher, s->b->pooler_bias, rows, NULL);
    return KD_OK;
}

kd_status kd__image_slice(kd_model *student, const kd_model *teacher, const int32_t *hidden)
{
    const slicer s = { student, teacher, kd__image_of(student), kd__image_of(teacher), hidden };
    KD_TRY(check_patches(&s));
    slice_patches(&s);
    KD_TRY(slice_pooler(&s));
    if (s.a->head == s.b->head)
        for (int i = 0; i < KD__HEADS && s.a->head == KD__TWO_HEADS; i++)
            KD_TRY(slice_head(&s, &s.a->heads[i], &s.b->heads[i]));
    KD_TRY(slice_head(&s, &kd__samples_of(student)->chain[KD__CHAIN_LOGITS],
                      &kd__samples_of(teacher)->chain[KD__CHAIN_LOGITS]));
    return kd__samples_slice(student, teacher, hidden);
}
