/* Ensembles with sparse members, merged on the union of their ids. Legend: V classes, U union, k_m
 * entries of member m, tail t_m.
 *   p(i) = sum_m w_m p_m(i),   p_m(i) = t_m / (V - k_m) where m lacks id i ("borrowed", counted)
 *   tail = sum_m w_m t_m (V - |U|) / (V - k_m)
 * A dense member knows every p_m(i) and its mass outside U. Draws: c(i) = N sum_m w_m c_m(i) / N_m,
 * N = sum_m N_m. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "math/kernels.h"
#include "core/teacher/teacher.h"

typedef struct {
    const kd__sparse *sparse; /* or */
    const float *logits;      /* (R, V) */
    const uint8_t *present;
    double weight;
} member;

typedef struct {
    member *members;
    int64_t count, vocabulary;
    int32_t kind;
    double temperature;
    kd_targets *targets;
    kd__sparse *to;
} merge;

static kd_status check_member(merge *m, int64_t index, const kd__sparse *s)
{
    KD_FAIL_IF(s->kind != m->kind, KD_ERR_MISMATCH,
               "ensemble: member %lld: top-k records and sampled counts do not mix",
               (long long)index);
    KD_FAIL_IF(fabs(s->temperature - m->temperature) > 1e-6 * m->temperature, KD_ERR_MISMATCH,
               "ensemble: member %lld was stored at temperature %g, the ensemble is asked for %g",
               (long long)index, s->temperature, m->temperature);
    KD_FAIL_IF(s->vocabulary < 1, KD_ERR_INVALID,
               "ensemble: member %lld does not say how many classes it has", (long long)index);
    KD_FAIL_IF(m->vocabulary && s->vocabulary != m->vocabulary, KD_ERR_SHAPE,
               "ensemble: member %lld has %lld classes, the first has %lld", (long long)index,
               (long long)s->vocabulary, (long long)m->vocabulary);
    m->vocabulary = s->vocabulary;
    return KD_OK;
}

static kd_status check_dense(merge *m, int64_t index, const kd__field *field)
{
    const int64_t width = kd__array_row(&field->values);
    KD_FAIL_IF(field->values.dtype != KD_FLOAT32, KD_ERR_DTYPE,
               "ensemble: member %lld: expected float32 logits", (long long)index);
    KD_FAIL_IF(m->kind != KD_SPARSE_TOPK, KD_ERR_MISMATCH,
               "ensemble: member %lld is dense: it does not mix with sampled counts",
               (long long)index);
    KD_FAIL_IF(m->vocabulary && width != m->vocabulary, KD_ERR_SHAPE,
               "ensemble: member %lld has %lld classes, the others %lld", (long long)index,
               (long long)width, (long long)m->vocabulary);
    m->vocabulary = width;
    return KD_OK;
}

static kd_status find_members(merge *m, kd_teacher *teacher, kd_targets *targets)
{
    const char *name = teacher->ensemble_field;
    m->kind = -1;
    for (int64_t i = 0; i < m->count && m->kind < 0; i++) {
        const kd__sparse *s = kd__sparse_find(targets->members[i], name);
        if (s) m->kind = s->kind;
    }
    for (int64_t i = 0; i < m->count; i++) {
        const kd__sparse *s = kd__sparse_find(targets->members[i], name);
        const kd__field *field = NULL;
        if (!s)
            KD_TRY(kd__fields_find_rows(&targets->members[i]->fields, name, "ensemble: a member's",
                                        &field));
        KD_FAIL_IF(!s && !field, KD_ERR_NOT_FOUND, "ensemble: member %lld gave no field '%s'",
                   (long long)i, name);
        if (s) KD_TRY(check_member(m, i, s));
        else KD_TRY(check_dense(m, i, field));
        m->members[i] = (member){ s, field ? field->values.data : NULL,
                                  s ? s->present : field->present, teacher->weights[i] };
    }
    return KD_OK;
}

/* The union of all sparse members' ids, rising. */
static int64_t unite(const merge *m, int64_t row, uint32_t *ids)
{
    int64_t count = 0;
    for (int64_t i = 0; i < m->count; i++) {
        const kd__sparse *s = m->members[i].sparse;
        if (!s || m->members[i].weight == 0) continue;
        const int64_t at = s->offsets[row], k = s->offsets[row + 1] - at;
        memcpy(ids + count, s->ids + at, (size_t)k * sizeof *ids);
        count += k;
    }
    return count;
}

static void add_sparse(const member *m, int64_t row, int64_t vocabulary, const uint32_t *ids,
                       double *p, int64_t count, double *tail, int32_t *borrowed)
{
    const kd__sparse *s = m->sparse;
    int64_t at = s->offsets[row];
    const int64_t end = s->offsets[row + 1], k = end - at, others = vocabulary - k;
    const double lent = others > 0 ? exp((double)s->tail[row]) / (double)others : 0;
    for (int64_t i = 0; i < count; i++) {
        const int own = at < end && s->ids[at] == ids[i];
        p[i] += m->weight * (own ? exp((double)s->values[at]) : lent);
        at += own;
        *borrowed += !own;
    }
    *tail += m->weight * lent * (double)(vocabulary - count);
}

static kd_status add_dense(const merge *m, const member *from, int64_t row, const uint32_t *ids,
                           double *p, int64_t count, double *tail)
{
    const kd__kernels *kernels = m->targets->object.context->kernels;
    const float *x = from->logits + row * m->vocabulary;
    float *e = m->targets->scratch;
    int32_t bad;
    const float max = kernels->scan(x, m->vocabulary, &bad);
    KD_FAIL_IF(bad || max == -INFINITY, KD_ERR_NONFINITE,
               "ensemble: row %lld of a member holds NaN or infinity", (long long)row);
    const double sum = kernels->exponentials(x, m->vocabulary, max, (float)(1 / m->temperature), e);
    for (int64_t i = 0; i < count; i++) {
        p[i] += from->weight * e[ids[i]] / sum;
        e[ids[i]] = 0;
    }
    *tail += from->weight * kernels->sum(e, m->vocabulary) / sum;
    return KD_OK;
}

static double draws_of(const kd__sparse *s, int64_t row)
{
    double sum = 0;
    for (int64_t i = s->offsets[row]; i < s->offsets[row + 1]; i++) sum += s->values[i];
    return sum;
}

static void add_counts(const member *m, int64_t row, double total, const uint32_t *ids, double *p,
                       int64_t count)
{
    const kd__sparse *s = m->sparse;
    const double share = total * m->weight / draws_of(s, row);
    int64_t at = s->offsets[row];
    for (int64_t i = 0; i < count && at < s->offsets[row + 1]; i++)
        if (s->ids[at] == ids[i]) p[i] += share * s->values[at++];
}

/* p lies in the targets' places: as many doubles as the union may have. */
static kd_status merge_row(merge *m, int64_t row)
{
    kd__sparse *to = m->to;
    int64_t room = 0;
    double tail = 0, total = 0;
    uint32_t *ids;
    float *values;
    for (int64_t i = 0; i < m->count; i++) {
        if (m->members[i].present && !m->members[i].present[row]) {
            to->present_buffer[row] = 0;
            kd__sparse_close_row(to, row, 0);
            return KD_OK;
        }
        const kd__sparse *s = m->members[i].sparse;
        if (!s) continue;
        room += s->offsets[row + 1] - s->offsets[row];
        total += m->kind == KD_SPARSE_COUNTS ? draws_of(s, row) : 0;
    }
    KD_TRY(kd__sparse_room(m->targets, to, row, room, &ids, &values));
    KD_TRY(KD_RESERVE(m->targets->object.context, &m->targets->places, &m->targets->places_room,
                      room + 1));
    double *p = (double *)(void *)m->targets->places;
    int64_t count = unite(m, row, ids);
    memset(values, 0, (size_t)count * sizeof *values);
    kd__sparse_sort(ids, values, &count, 1);
    memset(p, 0, (size_t)count * sizeof *p);
    for (int64_t i = 0; i < m->count; i++) {
        const member *from = &m->members[i];
        if (from->weight == 0) continue;
        if (!from->sparse) KD_TRY(add_dense(m, from, row, ids, p, count, &tail));
        else if (m->kind == KD_SPARSE_COUNTS) add_counts(from, row, total, ids, p, count);
        else add_sparse(from, row, m->vocabulary, ids, p, count, &tail, &to->borrowed[row]);
    }
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(m->kind == KD_SPARSE_COUNTS ? p[i] : log(p[i]));
    to->tail[row] = (float)log(tail);
    kd__sparse_close_row(to, row, count);
    return KD_OK;
}

kd_status kd__ensemble_merge_sparse(kd_teacher *teacher, kd_targets *targets)
{
    kd_context *context = targets->object.context;
    merge m = { .count = teacher->member_count,
                .temperature = teacher->ensemble.temperature,
                .targets = targets };
    KD_FAIL_IF(teacher->ensemble.mean != KD_MEAN_OF_PROBABILITIES, KD_ERR_UNSUPPORTED,
               "ensemble: a mean of logits needs every class, sparse members have some; use "
               "KD_MEAN_OF_PROBABILITIES");
    KD_TRY(KD_NEW(context, &m.members, m.count));
    kd_status status = find_members(&m, teacher, targets);
    if (status == KD_OK)
        status = kd__sparse_open(targets, teacher->ensemble_field, m.kind, m.vocabulary,
                                 m.temperature, &m.to);
    if (status == KD_OK) status = kd__sparse_open_present(targets, m.to);
    if (status == KD_OK)
        status = KD_RESERVE(context, &targets->scratch, &targets->scratch_room, m.vocabulary);
    for (int64_t r = 0; r < targets->fields.rows && status == KD_OK; r++) status = merge_row(&m, r);
    if (status != KD_OK && m.to) m.to->active = 0;
    kd__release(context, m.members);
    return status;
}
