/* Terms whose teacher kept only some classes S of its distribution. The record is brought to the
 * term's temperature, the student's mass is added up twice (on S, off S), and the divergence runs
 * over the classes of S and, by the policy, a bucket. Off S every policy shares one sum out by q:
 * dz_j = q_j / s_t (h_t - s_t sum h) / T. */
#include <math.h>
#include <string.h>

#include "core/loss/loss.h"

typedef struct {
    int64_t k;    /* entries */
    uint32_t *id; /* (k): copies, because a correction may change them */
    double *lp, *lq, *h;
    double lt;   /* log of the teacher's mass outside */
    double mass; /* on S, at T */
    float max;
    double off, sum; /* student: sum of exponentials off S (as they lie in ez), and of all */
    double ls;       /* log of the student's mass off S */
} record;

static double log_sum(const double *x, int64_t n)
{
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) max = x[i] > max ? x[i] : max;
    if (max == -INFINITY) return -INFINITY;
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - max);
    return max + log(sum);
}

/* log p on S and outside at the term's temperature; the sum is made 1. */
static void retemper(const kd__row *row, record *c)
{
    const kd__sparse *s = row->sources->sparse;
    const double a = s->temperature / row->term->o.temperature;
    const int64_t at = s->offsets[row->r];
    const int own_classes =
        s->vocabulary &&
        (s->vocabulary < row->n || kd__kind_of(row->term->kind)->teacher_width == KD__OWN_CLASSES);
    const double others = (double)(own_classes ? s->vocabulary : row->n) - (double)c->k;
    if (s->kind == KD_SPARSE_COUNTS) {
        for (int64_t i = 0; i < c->k; i++) c->lp[i] = log((double)s->values[at + i]);
        c->lt = -INFINITY;
    } else {
        const int32_t known = row->sources->tail_index;
        for (int64_t i = 0; i < c->k; i++)
            c->lp[i] = known == KD__TAIL_OWN ? s->values[at + i] : a * s->values[at + i];
        if (known == KD__TAIL_OWN) c->lt = s->tail[row->r];
        else if (known == KD__TAIL_BETWEEN)
            c->lt = kd__tail_between(s, row->r, row->term->o.temperature, others);
        else if (known >= 0) { /* the tail's share is known: S shares the rest */
            const double share = s->tails[row->r * s->temperature_count + known],
                         inside = log_sum(c->lp, c->k);
            c->lt = share >= 0 ? 0 : share - log1p(-exp(share)) + inside;
        } else
            c->lt = others > 0 && s->tail[row->r] > -INFINITY
                        ? log(others) + a * (s->tail[row->r] - log(others))
                        : -INFINITY;
    }
    const double inside = log_sum(c->lp, c->k), all = kd__log_add(inside, c->lt);
    for (int64_t i = 0; i < c->k; i++) c->lp[i] -= all;
    c->lt -= all;
    c->mass = exp(inside - all);
}

static int64_t largest(const record *c)
{
    int64_t best = 0;
    for (int64_t i = 1; i < c->k; i++)
        if (c->lp[i] > c->lp[best] || (c->lp[i] == c->lp[best] && c->id[i] < c->id[best])) best = i;
    return best;
}

static int64_t place_of(const record *c, int64_t label)
{
    int64_t i = 0;
    while (i < c->k && c->id[i] != label) i++;
    return i;
}

/* See correct.c. A label outside S has an even share of the tail. 0: dropped. */
static int correct(kd__row *row, record *c)
{
    const int64_t best = largest(c), y = place_of(c, row->label);
    const double top = c->lp[best], others = (double)(row->n - c->k);
    if (row->label < 0 || best == y || !row->term->o.correction) return 1;
    row->corrected = row->term->o.correction;
    if (row->term->o.correction == KD_CORRECT_DROP) return 0;
    if (row->term->o.correction == KD_CORRECT_SWAP) {
        /* what was the largest has the tail's share now */
        if (y == c->k) c->id[best] = (uint32_t)row->label;
        else c->lp[best] = c->lp[y], c->lp[y] = top;
        return 1;
    }
    if (y == c->k) {
        c->id[c->k++] = (uint32_t)row->label;
        c->lt = others > 1 ? c->lt + log1p(-1 / others) : -INFINITY;
    }
    c->lp[y] = top;
    const double all = kd__log_add(log_sum(c->lp, c->k), c->lt);
    for (int64_t i = 0; i < c->k; i++) c->lp[i] -= all;
    c->lt -= all;
    return 1;
}

/* Where the student's mass off S is too small for a float beside its maximum: exponentials from the
 * maximum off S. */
static void magnify(kd__row *row, record *c)
{
    const double t = row->term->o.temperature;
    int32_t bad;
    memcpy(row->spare, row->z, (size_t)row->n * sizeof *row->spare);
    for (int64_t i = 0; i < c->k; i++) row->spare[c->id[i]] = -INFINITY;
    const float max = row->kernels->scan(row->spare, row->n, &bad);
    c->ls = -INFINITY;
    if (max == -INFINITY) return;
    c->off = row->kernels->exponentials(row->spare, row->n, max, (float)(1 / t), row->ez);
    c->ls = ((double)max - c->max) / t + log(c->off) - log(c->sum);
}

/* The student's exponentials; those of S are taken out of ez. */
static int read_student(kd__row *row, record *c)
{
    const double t = row->term->o.temperature;
    int32_t bad;
    double inside = 0;
    c->max = row->kernels->scan(row->z, row->n, &bad);
    if (bad || c->max == -INFINITY) return 0;
    row->kernels->exponentials(row->z, row->n, c->max, (float)(1 / t), row->ez);
    for (int64_t i = 0; i < c->k; i++) {
        c->lq[i] = ((double)row->z[c->id[i]] - c->max) / t;
        inside += exp(c->lq[i]);
        row->ez[c->id[i]] = 0;
    }
    c->off = row->kernels->sum(row->ez, row->n);
    c->sum = inside + c->off;
    c->ls = log(c->off) - log(c->sum);
    if (c->off < 1e-25 * c->sum) magnify(row, c);
    for (int64_t i = 0; i < c->k; i++) c->lq[i] -= log(c->sum);
    return 1;
}

/* p log p */
static double weigh(double lp) { return lp > -INFINITY ? exp(lp) * lp : 0; }

static void look_at_teacher(kd__row *row, const record *c)
{
    const kd__sparse *s = row->sources->sparse;
    double entropy = -weigh(c->lt);
    for (int64_t i = 0; i < c->k; i++) entropy -= weigh(c->lp[i]);
    row->seen[KD__SEEN_MASS] = c->mass;
    row->seen[KD__SEEN_TEACHER_ENTROPY] = s->has_entropy ? s->entropy[row->r] : entropy;
}

static void look(kd__row *row, const record *c)
{
    const int64_t best = largest(c), y = place_of(c, row->label);
    look_at_teacher(row, c);
    row->seen[KD__SEEN_STUDENT_MASS] = 1 - exp(c->ls);
    row->seen[KD__SEEN_AGREEMENT] = row->kernels->argmax(row->z, row->n) == c->id[best];
    if (row->label < 0 || !row->sources->labels) return;
    row->seen[KD__SEEN_LABELED] = 1;
    row->seen[KD__SEEN_LIKELIHOOD] = y < c->k ? c->lp[y] : c->lt - log((double)(row->n - c->k));
    row->seen[KD__SEEN_HIT] = c->id[best] == row->label;
}

/* dz = c (h - q H) on S; elsewhere `part` (what the classes off S get together) shared out by ez,
 * which is 0 on S. */
static void write_gradient(kd__row *row, const record *c, double part, double total)
{
    const double scale = row->scale / row->term->o.temperature;
    if (part != 0 && c->off > 0)
        row->kernels->combine(row->dz, row->ez, (float)(scale * part / c->off), NULL, 0, row->n,
                              row->add);
    else if (!row->add) memset(row->dz, 0, (size_t)row->n * sizeof *row->dz);
    for (int64_t i = 0; i < c->k; i++)
        row->dz[c->id[i]] += (float)(scale * (c->h[i] - exp(c->lq[i]) * total));
}

static double sum_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

/* The classes by the policy; returns the sum of the gradient off S. */
static double diverge(kd__row *row, record *c, int32_t policy, double *total)
{
    double *tail = row->seen ? &row->seen[KD__SEEN_TAIL] : NULL;
    int64_t n = c->k;
    if (policy == KD_TAIL_RENORM_BOTH) {
        const double inside = log_sum(c->lq, c->k), kept = log_sum(c->lp, c->k);
        for (int64_t i = 0; i < c->k; i++) c->lq[i] -= inside, c->lp[i] -= kept;
    } else if (policy == KD_TAIL_RENORM_TEACHER) {
        const double kept = log_sum(c->lp, c->k);
        for (int64_t i = 0; i < c->k; i++) c->lp[i] -= kept;
        c->lt = -INFINITY;
    }
    if (policy == KD_TAIL_BUCKET || policy == KD_TAIL_RENORM_TEACHER) {
        c->lp[n] = c->lt;
        c->lq[n] = c->ls;
        n++;
    }
    const int whole = policy != KD_TAIL_TRUNCATE;
    row->loss = kd__divergence(row->term, n, c->lp, c->lq, c->h, whole, n > c->k ? c->k : -1, tail,
                               &row->guards);
    *total = sum_of(c->h, n);
    if (policy == KD_TAIL_RENORM_BOTH) return 0;
    return (n > c->k ? c->h[c->k] : 0) - exp(c->ls) * *total;
}

/* The record as a row of logits: the tail spread over the student's real classes outside S. */
static void spread(kd__row *row, const record *c)
{
    const double t = row->term->o.temperature;
    int64_t real = 0;
    float *v = row->spare;
    for (int64_t i = 0; i < row->n; i++) real += row->z[i] > -INFINITY;
    for (int64_t i = 0; i < c->k; i++) real -= row->z[c->id[i]] > -INFINITY;
    const double each = real > 0 ? t * (c->lt - log((double)real)) : -INFINITY;
    const int64_t top = largest(c);
    const double apart = row->z[c->id[top]] - t * c->lp[top],
                 constant = isfinite(apart) ? apart : 0;
    for (int64_t i = 0; i < row->n; i++) {
        v[i] = row->z[i] > -INFINITY ? (float)each : -INFINITY;
        row->apart[i] = (float)(row->z[i] - each - constant);
    }
    for (int64_t i = 0; i < c->k; i++) {
        v[c->id[i]] = (float)(t * c->lp[i]);
        row->apart[c->id[i]] = (float)(row->z[c->id[i]] - t * c->lp[i] - constant);
    }
    row->v = v;
    row->differences = row->apart;
    row->constant = constant;
}

void kd__row_sparse(kd__row *row)
{
    const kd_term_options *o = &row->term->o;
    const double power = row->term->numbers.confidence_power;
    const kd__kind *kind = kd__kind_of(row->term->kind);
    const kd__sparse *s = row->sources->sparse;
    const int64_t at = s->offsets[row->r];
    double total;
    record c = { .k = s->offsets[row->r + 1] - at,
                 .lp = row->wide,
                 .lq = row->wide + row->wide_room,
                 .h = row->wide + 2 * row->wide_room };
    c.id = (uint32_t *)(void *)(row->wide + 3 * row->wide_room);
    memcpy(c.id, s->ids + at, (size_t)c.k * sizeof *c.id);
    retemper(row, &c);
    if (kind->sparse) {
        if (row->seen) look_at_teacher(row, &c);
        kind->sparse(row, c.k, c.id, c.lp, c.lt);
        return;
    }
    if (power > 0) {
        row->gate = pow(exp(c.lp[largest(&c)]), power);
        row->scale *= row->gate;
    }
    const double mass = c.mass;
    if (!correct(row, &c)) return;
    c.mass = mass;
    if (s->kind != KD_SPARSE_COUNTS && o->tail == KD_TAIL_UNIFORM && !row->seen) {
        spread(row, &c);
        kind->row(row);
        return;
    }
    if (!read_student(row, &c)) {
        row->state = KD__ROW_NONFINITE;
        return;
    }
    if (row->seen) look(row, &c);
    if (s->kind != KD_SPARSE_COUNTS && o->tail == KD_TAIL_UNIFORM) {
        spread(row, &c);
        kind->row(row);
        return;
    }
    const double off =
        diverge(row, &c, s->kind == KD_SPARSE_COUNTS ? KD_TAIL_RENORM_TEACHER : o->tail, &total);
    /* the plug-in KL is biased: cross-entropy, less the entropy of p where it is known */
    if (s->kind == KD_SPARSE_COUNTS) {
        for (int64_t i = 0; i < c.k; i++) row->loss -= weigh(c.lp[i]);
        row->loss -= s->has_entropy ? s->entropy[row->r] : 0;
    }
    if (kd__is_finite(row) && row->dz) write_gradient(row, &c, off, total);
}
