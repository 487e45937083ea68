/* Relations between the rows of a sample: queries with keys, or one output with itself. Both sides
 * of a sample's valid rows are gathered and related (core/relation/token_relation.h); the gradients
 * are added to those of the outputs. Legend: A heads; L rows of the longest sample. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "core/loss/features.h"
#include "core/relation/token_relation.h"

enum { QUERY, KEY, TEACHER_QUERY, TEACHER_KEY, ARRAYS };

/* One of the four arrays that a term relates; rows are `step` numbers apart. */
typedef struct {
    const char *name, *data;
    int32_t dtype;
    int64_t step, width;
    kd__attention_facts attention;
} array;

typedef struct {
    const kd_loss *loss;
    const kd__term *term;
    const kd__kind *kind;
    kd__sources *s;
    const kd__student *query, *key;
    array of[ARRAYS];
    int64_t heads, most; /* A, L */
    int32_t is_causal;
    float *x[ARRAYS], *dx[2]; /* (L, width) */
    int64_t *rows;            /* (L): their numbers */
    kd__token_relation r;
} call;

/* ---- the arrays ---- */

static array of_student(const kd__student *st)
{
    return (array){ .name = st->name,
                    .data = st->z,
                    .dtype = st->dtype,
                    .step = st->z_step,
                    .width = st->width,
                    .attention = st->attention };
}

static array of_teacher(const kd__field *field)
{
    const int64_t width = kd__array_row(&field->values);
    return (array){ .name = field->name,
                    .data = field->values.data,
                    .dtype = field->values.dtype,
                    .step = width,
                    .width = width,
                    .attention = field->attention };
}

static call begin(const kd_loss *loss, int32_t t, kd__sources *s, const kd__student *query,
                  const kd__student *key)
{
    call c = { .loss = loss,
               .term = &loss->terms[t],
               .kind = kd__kind_of(loss->terms[t].kind),
               .s = s,
               .query = query,
               .key = key,
               .rows = s->row_label }; /* features have no label */
    c.of[QUERY] = of_student(query);
    c.of[KEY] = of_student(key);
    c.of[TEACHER_QUERY] = of_teacher(s->teacher_query);
    c.of[TEACHER_KEY] = of_teacher(s->teacher_key);
    return c;
}

/* ---- heads ---- */

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static kd_status refuse_heads(const call *c, int64_t heads, int64_t common)
{
    char known[160];
    size_t used = 0;
    for (int64_t i = 1; i <= common && used + 24 < sizeof known; i++)
        if (common % i == 0)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%lld", used ? ", " : "",
                                     (long long)i);
    return kd__fail(
        KD_ERR_RANGE,
        "%s: relation_heads: %lld does not cut '%s' (%lld numbers) and '%s' (%lld) into "
        "equal parts: expected one of %s",
        c->kind->name, (long long)heads, c->of[QUERY].name, (long long)c->of[QUERY].width,
        c->of[TEACHER_QUERY].name, (long long)c->of[TEACHER_QUERY].width, known);
}

/* Of one output with itself: any number that divides both widths. */
static kd_status choose_heads(call *c)
{
    const array *s = &c->of[QUERY], *t = &c->of[TEACHER_QUERY];
    const int64_t asked = (int64_t)c->term->numbers.relation_heads;
    const int64_t common = common_divisor(s->width, t->width);
    c->heads = asked ? asked : 48;
    if (common % c->heads == 0) return KD_OK;
    if (asked) return refuse_heads(c, asked, common);
    KD_FAIL_IF(!s->attention.heads || !t->attention.heads, KD_ERR_INVALID,
               "%s: 48 heads do not divide %lld and %lld numbers, and the heads of a side are not "
               "known: set the number relation_heads",
               c->kind->name, (long long)s->width, (long long)t->width);
    c->heads = common_divisor(s->attention.heads, t->attention.heads);
    return common % c->heads ? refuse_heads(c, c->heads, common) : KD_OK;
}

/* Heads of one side's queries and keys, as its model has them or the term's number says. */
static kd_status heads_of(const call *c, const char *side, const array *q, const array *k,
                          int64_t *heads)
{
    const int64_t asked = (int64_t)c->term->numbers.relation_heads;
    *heads = q->attention.heads ? q->attention.heads : asked;
    KD_FAIL_IF(!*heads, KD_ERR_INVALID,
               "%s: the heads of the %s's '%s' are not known: set the number relation_heads",
               c->kind->name, side, q->name);
    const int64_t width = q->width / *heads;
    const int fits = width && q->width % *heads == 0 && k->width % width == 0 &&
                     *heads % (k->width / width) == 0;
    KD_FAIL_IF(
        !fits, KD_ERR_SHAPE,
        "%s: the %s's '%s' has %lld numbers and '%s' %lld: expected %lld heads of one width, "
        "which keys may share",
        c->kind->name, side, q->name, (long long)q->width, k->name, (long long)k->width,
        (long long)*heads);
    return KD_OK;
}

static kd_status match_heads(call *c)
{
    int64_t taught;
    KD_TRY(heads_of(c, "student", &c->of[QUERY], &c->of[KEY], &c->heads));
    KD_TRY(heads_of(c, "teacher", &c->of[TEACHER_QUERY], &c->of[TEACHER_KEY], &taught));
    KD_FAIL_IF(c->heads != taught, KD_ERR_MISMATCH,
               "%s: the student's '%s' has %lld heads, the teacher's '%s' has %lld: "
               "KD_LOSS_ATTENTION_RELATION compares any two numbers of heads",
               c->kind->name, c->of[QUERY].name, (long long)c->heads, c->of[TEACHER_QUERY].name,
               (long long)taught);
    return KD_OK;
}

/* ---- what rows see ---- */

static kd_status choose_sight(call *c)
{
    static const char *const seen[] = { "", "all rows of a sample", "earlier rows only" };
    const array *s = &c->of[QUERY], *t = &c->of[TEACHER_QUERY];
    const int32_t own = s->attention.sees == KD__SEES_UNKNOWN ? KD__SEES_ALL : s->attention.sees;
    const int32_t sees = c->term->numbers.causal != 0 ? KD__SEES_EARLIER : own;
    KD_FAIL_IF(t->attention.sees != KD__SEES_UNKNOWN && t->attention.sees != sees, KD_ERR_MISMATCH,
               "%s: rows of the student's '%s' see %s, of the teacher's '%s' %s%s", c->kind->name,
               s->name, seen[sees], t->name, seen[t->attention.sees],
               s->attention.sees == KD__SEES_UNKNOWN
                   ? " (the number causal says what a host's own rows see)"
                   : "");
    c->is_causal = sees == KD__SEES_EARLIER;
    return KD_OK;
}

static kd_status settle(call *c)
{
    KD_TRY(choose_sight(c));
    return c->kind->keys ? match_heads(c) : choose_heads(c);
}

static kd_status check_student(const call *c, const kd__student *st)
{
    KD_FAIL_IF(st->unit != KD__OF_ROWS || st->has_head, KD_ERR_UNSUPPORTED,
               "%s: output '%s' is not of rows that a network holds: it relates the rows of a "
               "sample",
               c->kind->name, st->name);
    /* of a host's own array the shape says nothing: its rows are the batch's */
    if (!st->is_given) KD_TRY(kd__grid_check(c->term, st->grid));
    KD_FAIL_IF(st->alias, KD_ERR_INVALID,
               "%s: the gradient of '%s' lies over its value, which is read again: give it a place "
               "of its own",
               c->kind->name, st->name);
    return KD_OK;
}

kd_status kd__tokens_check(const kd_loss *loss, int32_t t, const kd__student *query,
                           const kd__student *key)
{
    kd__sources *s = (kd__sources *)(uintptr_t)&loss->sources[t];
    call c = begin(loss, t, s, query, key);
    KD_TRY(check_student(&c, query));
    KD_TRY(check_student(&c, key));
    return settle(&c);
}

/* ---- room ---- */

static int64_t even(int64_t floats) { return kd__round_up(floats, 16); }

static kd__token_relation relation_of(const call *c, int64_t rows)
{
    const array *of = c->of;
    const int64_t width = of[QUERY].width / c->heads,
                  teacher_width = of[TEACHER_QUERY].width / c->heads;
    return (kd__token_relation){ .context = c->loss->object.context,
                                 .s = { c->x[QUERY], c->x[KEY], of[QUERY].width, of[KEY].width,
                                        of[KEY].width / width, width },
                                 .t = { c->x[TEACHER_QUERY], c->x[TEACHER_KEY],
                                        of[TEACHER_QUERY].width, of[TEACHER_KEY].width,
                                        of[TEACHER_KEY].width / teacher_width, teacher_width },
                                 .rows = rows,
                                 .heads = c->heads,
                                 .is_causal = c->is_causal,
                                 .is_squares = c->kind->squares };
}

/* The four arrays, two gradients, shares, and what relating takes. */
static int64_t floats_of(const call *c)
{
    const kd__token_relation r = relation_of(c, c->most);
    int64_t numbers = 0;
    for (int i = 0; i < ARRAYS; i++) numbers += c->of[i].width;
    numbers += c->of[QUERY].width + c->of[KEY].width + 2;
    return numbers * c->most + 16 * (ARRAYS + 3) + kd__token_relation_room(&r);
}

int64_t kd__tokens_floats(const kd_loss *loss, int32_t t, int64_t rows, int64_t student,
                          int64_t teacher)
{
    call c = { .loss = loss,
               .term = &loss->terms[t],
               .kind = kd__kind_of(loss->terms[t].kind),
               .heads = kd__max(1, (int64_t)loss->terms[t].numbers.relation_heads),
               .most = rows };
    c.heads = kd__min(c.heads, kd__max(1, kd__min(student, teacher)));
    c.of[QUERY].width = c.of[KEY].width = student;
    c.of[TEACHER_QUERY].width = c.of[TEACHER_KEY].width = teacher;
    /* shares of as many key heads as there may be */
    return floats_of(&c) + 2 * even(rows) * student;
}

static float *take(float **at, int64_t floats)
{
    float *taken = *at;
    *at += even(floats);
    return taken;
}

static kd_status lay_out(call *c, kd_loss *loss)
{
    for (int64_t i = 0; i < c->s->samples; i++)
        c->most = kd__max(c->most, c->s->offsets[i + 1] - c->s->offsets[i]);
    KD_TRY(KD_RESERVE(loss->object.context, &loss->features, &loss->features_room, floats_of(c)));
    float *at = loss->features;
    const int keys = c->kind->keys;
    for (int i = 0; i < ARRAYS; i++)
        c->x[i] = i % 2 && !keys ? c->x[i - 1] : take(&at, c->most * c->of[i].width);
    for (int i = 0; i < 2 && c->query->dz; i++)
        c->dx[i] = i && !keys ? c->dx[0] : take(&at, c->most * c->of[i].width);
    c->r = relation_of(c, 0);
    c->r.shares = (double *)(void *)take(&at, 2 * c->most);
    c->r.scratch = at;
    return KD_OK;
}

/* ---- a sample ---- */

/* 0: a number is not finite. */
static int gather(const call *c, int i, int64_t r, int64_t place)
{
    const array *a = &c->of[i];
    const kd__kernels *kernels = c->loss->object.context->kernels;
    const char *from = a->data + r * a->step * (int64_t)kd_dtype_bytes(a->dtype);
    float *to = c->x[i] + place * a->width;
    int32_t bad;
    if (a->dtype == KD_FLOAT32) memcpy(to, from, (size_t)a->width * sizeof *to);
    else kernels->widen(a->dtype, from, a->width, to);
    kernels->scan(to, a->width, &bad);
    return !bad && kernels->largest_size(to, a->width) < INFINITY;
}

/* The valid rows of a sample, one after the other; a row that is not finite is left out. */
static int64_t gather_sample(const call *c, int64_t first, int64_t end)
{
    const int step = c->kind->keys ? 1 : 2;
    int64_t count = 0;
    for (int64_t r = first; r < end; r++) {
        int whole = 1;
        if (c->s->state[r] != KD__ROW_VALID) continue;
        for (int i = 0; i < ARRAYS; i += step) whole &= gather(c, i, r, count);
        if (whole) c->rows[count++] = r;
        else c->s->state[r] = KD__ROW_NONFINITE;
    }
    return count;
}

/* What diagnostics see of a row: both sides' queries, or what is related. */
static void look(const call *c, int64_t i)
{
    const kd__kernels *kernels = c->loss->object.context->kernels;
    const int64_t width = c->of[QUERY].width, other = c->of[TEACHER_QUERY].width;
    const float *s = c->x[QUERY] + i * width, *t = c->x[TEACHER_QUERY] + i * other;
    double *seen = c->s->seen + c->rows[i] * KD__SEEN_COUNT, dot = 0;
    memset(seen, 0, KD__SEEN_COUNT * sizeof *seen);
    seen[KD__SEEN_STUDENT_NORM] = sqrt(kernels->sum_squares(s, width));
    seen[KD__SEEN_TEACHER_NORM] = sqrt(kernels->sum_squares(t, other));
    for (int64_t k = 0; k < width && width == other; k++) dot += (double)s[k] * t[k];
    seen[KD__SEEN_COSINE] =
        width == other ? dot / (seen[KD__SEEN_STUDENT_NORM] * seen[KD__SEEN_TEACHER_NORM]) : NAN;
}

static void scatter(const call *c, const kd__student *st, const float *dx, int64_t count)
{
    const kd__kernels *kernels = c->loss->object.context->kernels;
    for (int64_t i = 0; i < count; i++)
        kernels->axpby(st->dz + c->rows[i] * st->dz_step, 1, dx + i * st->width, 1, st->width);
}

/* Scores that overflow spoil their whole sample: its rows have no value and no gradient. */
static int share_out(const call *c, int64_t count)
{
    const double t2 = kd__term_t2(c->term);
    int finite = 1;
    for (int64_t i = 0; i < count; i++) finite &= isfinite(c->r.shares[i]) != 0;
    for (int64_t i = 0; i < count; i++) {
        c->s->value[c->rows[i]] = finite ? c->r.shares[i] * t2 : 0;
        if (!finite) c->s->state[c->rows[i]] = KD__ROW_NONFINITE;
    }
    return finite;
}

static void run_sample(call *c, int64_t first, int64_t end)
{
    const int64_t count = gather_sample(c, first, end);
    if (!count) return;
    for (int64_t i = 0; i < count && c->s->seen; i++) look(c, i);
    for (int i = 0; i < 2 && c->dx[i]; i++)
        memset(c->dx[i], 0, (size_t)(count * c->of[i].width) * sizeof(float));
    c->r.rows = count;
    kd__token_relation_run(&c->r);
    if (!share_out(c, count) || !c->dx[0]) return;
    scatter(c, c->query, c->dx[0], count);
    if (c->kind->keys) scatter(c, c->key, c->dx[1], count);
}

kd_status kd__run_tokens(kd_loss *loss, int32_t t, const kd__student *query, const kd__student *key,
                         double scale)
{
    call c = begin(loss, t, &loss->sources[t], query, key);
    KD_TRY(settle(&c));
    KD_TRY(lay_out(&c, loss));
    c.r.dq = c.dx[0];
    c.r.dk = c.dx[1];
    c.r.scale = scale * kd__term_t2(c.term);
    for (int64_t i = 0; i < c.s->samples; i++) run_sample(&c, c.s->offsets[i], c.s->offsets[i + 1]);
    return KD_OK;
}
