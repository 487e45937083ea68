/* A static student: every token alone through the teacher, its numbers turned to their principal
 * axes, rare tokens weighing more. Legend: V tokens, K of them kept, D numbers of the teacher's
 * output, d of the student.
 *
 *   x_v = teacher([before, v, after]);  c = 1 / (K - 1) sum_v (x_v - mean) (x_v - mean)'
 *   y_vk = axis_k (x_v - mean), axes by falling variance, the largest |y_vk| of an axis positive
 *   p_r = (1 / (r + 2)) / sum over ranks;  row_v = a / (a + p_rank(v)) y_v
 *
 * The recipe of model2vec; frequencies by Zipf's law from ranks, which are the tokens' order;
 * weights of [Arora et al. 2017]. */
#include <kdistill/student.h>
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "core/data/data.h"
#include "core/model/model.h"
#include "language/tokenizer/tokenizer.h"
#include "math/eigen.h"
#include "math/gemm.h"

static const kd_static_options defaults = KD_STATIC_OPTIONS_INIT;
void kd_static_options_init(kd_static_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

typedef struct {
    kd_context *context;
    kd_model *teacher;
    kd_tokenizer *tokenizer;
    kd_static_options o;
    const char *output;
    int64_t tokens, kept, inputs, outputs; /* V, K, D, d */
    int32_t *token;                        /* (K) */
    float *x;                              /* (K, D) */
    float *axes;                           /* (d, D) */
    float *y;                              /* (K, d) */
} maker;

/* ---- the tokens ---- */

static kd_status choose_tokens(maker *m)
{
    const char *skip = m->o.skip ? m->o.skip : "[unused*]";
    KD_TRY(kd_tokenizer_vocabulary_size(m->tokenizer, &m->tokens));
    KD_TRY(KD_NEW(m->context, &m->token, m->tokens));
    for (int64_t id = 0; id < m->tokens; id++) {
        const char *text;
        int32_t flags;
        if (kd_tokenizer_token(m->tokenizer, (int32_t)id, &text, &flags) != KD_OK) continue;
        if ((flags & KD_TOKEN_SPECIAL) || kd__matches(skip, text)) continue;
        m->token[m->kept++] = (int32_t)id;
    }
    KD_FAIL_IF(m->kept < 2, KD_ERR_RANGE, "tokenizer: expected 2 tokens or more, got %lld",
               (long long)m->kept);
    return KD_OK;
}

/* Tokens first .. first + count - 1 as packed texts of one token each. */
static kd_status fill_batch(const maker *m, kd_batch *batch, int64_t first, int64_t count)
{
    const kd__layout *around = &m->tokenizer->single;
    int64_t *ids = NULL, *offsets = NULL, n = 0;
    kd_status status = KD_NEW(m->context, &ids, count * around->count);
    if (status == KD_OK) status = KD_NEW(m->context, &offsets, count + 1);
    for (int64_t i = 0; i < count && status == KD_OK; i++) {
        for (int64_t j = 0; j < around->count; j++)
            ids[n++] = j == around->text ? m->token[first + i] : around->place[j].id;
        offsets[i + 1] = n;
    }
    const kd_array os = KD_ARRAY_1D(offsets, KD_INT64, count + 1),
                   ts = KD_ARRAY_1D(ids, KD_INT64, n);
    if (status == KD_OK) status = kd_batch_begin_packed(batch, &os);
    if (status == KD_OK) status = kd_batch_set(batch, "tokens", &ts, NULL);
    kd__release(m->context, ids);
    kd__release(m->context, offsets);
    return status;
}

static kd_status check_output(maker *m, const kd_array *values, int64_t count)
{
    KD_FAIL_IF(values->dims[0] != count, KD_ERR_SHAPE,
               "output '%.60s' has %lld rows for %lld tokens: a static student needs one for each, "
               "as \"pooled\" has",
               m->output, (long long)values->dims[0], (long long)count);
    if (m->x) return KD_OK;
    m->inputs = kd__array_row(values);
    return KD_NEW(m->context, &m->x, m->kept * m->inputs);
}

static kd_status run_teacher(maker *m, kd_batch *batch)
{
    for (int64_t first = 0; first < m->kept; first += m->o.batch_size) {
        const int64_t count = kd__min(m->kept - first, m->o.batch_size);
        kd_array values;
        KD_TRY(kd__progress(m->context, "static student", first, m->kept));
        KD_TRY(fill_batch(m, batch, first, count));
        KD_TRY(kd_model_forward(m->teacher, batch, KD_MODE_EVALUATE));
        KD_TRY(kd_model_output(m->teacher, m->output, &values));
        KD_TRY(check_output(m, &values, count));
        memcpy(m->x + first * m->inputs, values.data, (size_t)(count * m->inputs) * sizeof(float));
    }
    return KD_OK;
}

/* ---- principal axes ---- */

static void center(const maker *m)
{
    for (int64_t j = 0; j < m->inputs; j++) {
        double sum = 0;
        for (int64_t i = 0; i < m->kept; i++) sum += m->x[i * m->inputs + j];
        const float mean = (float)(sum / (double)m->kept);
        for (int64_t i = 0; i < m->kept; i++) m->x[i * m->inputs + j] -= mean;
    }
}

/* c (D, D) = x'x / (K - 1) */
static kd_status covariance(const maker *m, double *c)
{
    const int64_t d = m->inputs;
    float *product = NULL;
    KD_TRY(KD_NEW(m->context, &product, d * d));
    const kd__gemm g = { .a_t = 1,
                         .m = d,
                         .n = d,
                         .k = m->kept,
                         .alpha = 1,
                         .a = m->x,
                         .lda = d,
                         .b = m->x,
                         .ldb = d,
                         .c = product,
                         .ldc = d };
    const kd_status status = kd__gemm_float32(m->context, &g);
    for (int64_t i = 0; i < d && status == KD_OK; i++)
        for (int64_t j = 0; j < d; j++)
            c[i * d + j] = ((double)product[i * d + j] + product[j * d + i]) / 2 /
                           (double)(m->kept - 1);
    kd__release(m->context, product);
    return status;
}

static kd_status find_axes(maker *m)
{
    const int64_t d = m->inputs;
    double *c = NULL, *values = NULL, *vectors = NULL;
    kd_status status = KD_NEW(m->context, &c, d * d);
    if (status == KD_OK) status = KD_NEW(m->context, &values, d);
    if (status == KD_OK) status = KD_NEW(m->context, &vectors, d * d);
    if (status == KD_OK) status = KD_NEW(m->context, &m->axes, m->outputs * d);
    if (status == KD_OK) status = covariance(m, c);
    if (status == KD_OK) status = kd__eigen(m->context, c, d, values, vectors);
    for (int64_t i = 0; i < m->outputs * d && status == KD_OK; i++) m->axes[i] = (float)vectors[i];
    kd__release(m->context, c);
    kd__release(m->context, values);
    kd__release(m->context, vectors);
    return status;
}

/* The largest number of each axis becomes positive: an eigenvector's sign means nothing. */
static void choose_signs(const maker *m)
{
    for (int64_t k = 0; k < m->outputs; k++) {
        float most = 0;
        for (int64_t i = 0; i < m->kept; i++) {
            const float y = m->y[i * m->outputs + k];
            if (fabsf(y) > fabsf(most)) most = y;
        }
        for (int64_t i = 0; i < m->kept && most < 0; i++)
            m->y[i * m->outputs + k] = -m->y[i * m->outputs + k];
    }
}

static kd_status turn(maker *m)
{
    center(m);
    KD_TRY(find_axes(m));
    KD_TRY(KD_NEW(m->context, &m->y, m->kept * m->outputs));
    const kd__gemm g = { .b_t = 1,
                         .m = m->kept,
                         .n = m->outputs,
                         .k = m->inputs,
                         .alpha = 1,
                         .a = m->x,
                         .lda = m->inputs,
                         .b = m->axes,
                         .ldb = m->inputs,
                         .c = m->y,
                         .ldc = m->outputs };
    KD_TRY(kd__gemm_float32(m->context, &g));
    choose_signs(m);
    return KD_OK;
}

/* ---- the student ---- */

static void weigh(const maker *m)
{
    const double a = m->o.sif_coefficient;
    double sum = 0;
    for (int64_t r = 0; r < m->kept; r++) sum += 1 / (double)(r + 2);
    for (int64_t r = 0; r < m->kept && a > 0; r++) {
        const float weight = (float)(a / (a + 1 / (double)(r + 2) / sum));
        for (int64_t k = 0; k < m->outputs; k++) m->y[r * m->outputs + k] *= weight;
    }
}

/* As model2vec does, a text's unknown tokens are left out. */
static kd_status make_student(const maker *m, kd_model **student)
{
    kd__text config = { .context = m->context };
    kd_status status =
        kd__text_format(&config,
                        "{\"model_type\":\"static_embedding\",\"vocab_size\":%lld,"
                        "\"hidden_size\":%lld,\"normalize\":%s,\"ignored_token\":%d}",
                        (long long)m->tokens, (long long)m->outputs,
                        m->o.normalize ? "true" : "false", m->tokenizer->unknown);
    if (status == KD_OK) status = kd__model_make(student, m->context, config.bytes, &m->o.model);
    kd__text_free(&config);
    KD_TRY(status);
    for (int64_t i = 0; i < m->kept; i++) /* the table is the student's only tensor */
        memcpy((*student)->parameters + m->token[i] * m->outputs, m->y + i * m->outputs,
               (size_t)m->outputs * sizeof(float));
    KD_TRY(kd__model_finish(*student));
    return kd__copy_text(m->context, &(*student)->folder, m->teacher->folder);
}

static kd_status check_options(const kd_static_options *o)
{
    KD_FAIL_IF(o->hidden_size < 0, KD_ERR_RANGE, "hidden_size: expected 0 or more, got %d",
               o->hidden_size);
    KD_FAIL_IF(o->batch_size < 1, KD_ERR_RANGE, "batch_size: expected at least 1, got %d",
               o->batch_size);
    KD_FAIL_IF(!(o->sif_coefficient >= 0) || !isfinite(o->sif_coefficient), KD_ERR_RANGE,
               "sif_coefficient: expected 0 or more, got %g", o->sif_coefficient);
    return KD_OK;
}

static kd_status make_all(maker *m, kd_batch *batch, kd_model **student)
{
    KD_TRY(choose_tokens(m));
    KD_TRY(run_teacher(m, batch));
    const int64_t most = kd__min(m->inputs, m->kept);
    m->outputs = m->o.hidden_size ? kd__min(m->o.hidden_size, most) : most;
    KD_TRY(turn(m));
    weigh(m);
    return make_student(m, student);
}

kd_status kd_student_create_static(kd_model **out, kd_model *teacher, kd_tokenizer *tokenizer,
                                   const kd_static_options *options)
{
    maker m = { .teacher = teacher, .tokenizer = tokenizer, .o = defaults };
    kd_model *student = NULL;
    kd_batch *batch = NULL;
    KD_NEED(out);
    KD_NEED(teacher);
    KD_NEED(tokenizer);
    KD_TRY(kd__options_read(&m.o, sizeof m.o, options, "kd_static_options"));
    KD_TRY(check_options(&m.o));
    m.context = teacher->object.context;
    m.output = m.o.output ? m.o.output : "pooled";
    kd_status status = kd_batch_create(&batch, m.context, NULL);
    if (status == KD_OK) status = make_all(&m, batch, &student);
    void *blocks[] = { m.token, m.x, m.axes, m.y };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(m.context, blocks[i]);
    kd_batch_free(batch);
    if (status == KD_OK) *out = student;
    else kd_model_free(student);
    return status;
}
