/* Dense layers of "embedding", in a student. */
#include "language/sentence/samples.h"
#include "language/trunk/slice.h"

void kd__stage_slice(kd_model *student, const kd__stage *to, const kd_model *teacher,
                     const kd__stage *from, const int32_t *rows, const int32_t *columns)
{
    kd__slice_tensor(student, to->weight, teacher, from->weight, rows, columns);
    kd__slice_tensor(student, to->bias, teacher, from->bias, rows, NULL);
}

kd_status kd__samples_slice(kd_model *student, const kd_model *teacher, const int32_t *hidden)
{
    const kd__chain *a = &kd__samples_of(student)->chain[KD__CHAIN_EMBEDDING],
                    *b = &kd__samples_of(teacher)->chain[KD__CHAIN_EMBEDDING];
    for (int64_t i = 0; i < a->count && i < b->count; i++) {
        const kd__stage *to = &a->stage[i], *from = &b->stage[i];
        KD_FAIL_IF(to->outputs != from->outputs, KD_ERR_CONFIG,
                   "kd_student_options.config: kd_dense: layer %lld of the teacher gives %lld "
                   "numbers, %lld were asked for",
                   (long long)i, (long long)from->outputs, (long long)to->outputs);
        kd__stage_slice(student, to, teacher, from, NULL, i ? NULL : hidden);
    }
    return KD_OK;
}
