/* Does the teacher speak of these labels at all? A few rows of the first batches are looked at,
 * whether diagnostics are on or not: where the teacher finds the labels far less likely than its
 * own entropy lets expect, it was read under another tokenizer, template, order or alignment, and
 * one warning says so. Nothing of the result depends on it. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "core/loss/loss.h"

enum { MOST_BATCHES = 64, LEAST_ROWS = 32 };
/* nat below minus the entropy: e^4 times less likely than the teacher would expect */
#define MARGIN 4.0
/* of the hits that it expects: wrong labels among right ones leave more */
#define SHARE 0.25
/* probabilities below it are not told apart */
#define LEAST_LOG (-30.0)

/* ---- which rows ---- */

/* Where the class that a row speaks of lies: the term's label, else the batch's, else the sample's
 * next token. */
typedef struct {
    const int64_t *values;
    const uint8_t *present;
    int next;        /* values are tokens: the class of a row is the token of the next one */
    int64_t outside; /* tokens that are no class: the classes are no tokens */
} source;

static source find_source(const kd__term *term, const kd_batch *batch, const kd__sources *s)
{
    if (s->labels) return (source){ .values = s->labels, .present = s->label_present };
    if (s->unit != KD__OF_ROWS) return (source){ 0 };
    const kd__field *field = kd__fields_find(&batch->fields, term->o.label_field);
    const int tokens = !field || !strcmp(term->o.label_field, "tokens");
    if (!field) field = kd__fields_find(&batch->fields, "tokens");
    const int fits = field && field->unit == KD__OF_ROWS && field->values.dtype == KD_INT64 &&
                     kd__array_row(&field->values) == 1;
    return (source){ .values = fits ? field->values.data : NULL,
                     .present = fits ? field->present : NULL,
                     .next = tokens };
}

/* The class of row r, -1: none. `sample` is advanced to the sample of r, where it counts. */
static int64_t class_of(const kd__term *term, const kd_batch *batch, const kd__sources *s,
                        source *from, int64_t r, int64_t *sample)
{
    while (from->next && batch->offsets[*sample + 1] <= r) ++*sample;
    if (s->state[r] != KD__ROW_VALID || (from->next && r + 1 >= batch->offsets[*sample + 1]))
        return -1;
    const int64_t at = from->next ? r + 1 : s->row_target[r];
    if (from->present && !from->present[at]) return -1;
    const int64_t label = from->values[at];
    if (label != term->o.ignore_label && label >= 0 && label < s->classes) return label;
    from->outside += from->next;
    return -1;
}

void kd__watch_begin(const kd__term *term, kd__sources *s, const kd_batch *batch, uint8_t *slots)
{
    int64_t labeled = 0, seen = 0, sample = 0;
    if (term->watch.batches >= MOST_BATCHES || !s->width || !kd__kind_of(term->kind)->watched)
        return;
    source from = find_source(term, batch, s);
    if (!from.values) return;
    for (int64_t r = 0; r < s->rows; r++)
        labeled += slots[r] = class_of(term, batch, s, &from, r, &sample) >= 0;
    if (!labeled || from.outside) return;
    const int64_t step = labeled < KD__GLANCES ? 1 : labeled / KD__GLANCES;
    sample = 0;
    for (int64_t r = 0; r < s->rows; r++) {
        const int64_t slot = seen / step,
                      taken = slots[r] && seen % step == 0 && slot < KD__GLANCES;
        seen += slots[r];
        slots[r] = (uint8_t)(taken ? slot + 1 : 0);
        if (taken) s->glances[slot].label = class_of(term, batch, s, &from, r, &sample);
    }
    s->slots = slots;
}

/* ---- one row ---- */

static double at_least(double x) { return x > LEAST_LOG ? x : LEAST_LOG; }

static kd__glance dense_row(const kd__row *row, int64_t label)
{
    int32_t bad;
    const float max = row->kernels->scan(row->v, row->n, &bad);
    if (bad || max == -INFINITY) return (kd__glance){ 0 };
    const double sum = row->kernels->exponentials(row->v, row->n, max, 1, row->ez);
    return (kd__glance){
        .seen = 1,
        .hit = row->v[label] == max,
        .top = 1 / sum,
        .likelihood = at_least((double)row->v[label] - max - log(sum)),
        .entropy = log(sum) - row->kernels->weighted_sum(row->v, row->ez, row->n, max) / sum
    };
}

/* What is outside the ids is spread evenly; among draws a class that none fell on has the chance of
 * one more draw. */
static kd__glance sparse_row(const kd__row *row, const kd__sparse *s, int64_t label)
{
    const int64_t from = s->offsets[row->r], to = s->offsets[row->r + 1];
    const int counts = s->kind == KD_SPARSE_COUNTS;
    const double others = (double)((s->vocabulary ? s->vocabulary : row->n) - (to - from)),
                 spread = others > 1 ? log(others) : 0;
    double draws = 0;
    for (int64_t i = from; i < to && counts; i++) draws += s->values[i];
    const double tail = counts ? -log(draws + 1) : s->tail[row->r];
    kd__glance g = { .seen = 1, .likelihood = at_least(tail - spread) };
    for (int64_t i = from; i < to; i++) {
        const double log_p = counts ? log(s->values[i] / draws) : s->values[i], p = exp(log_p);
        if (p > 0) g.entropy -= p * log_p;
        if (p > g.top) g.top = p, g.hit = s->ids[i] == label;
        if (s->ids[i] == label) g.likelihood = at_least(log_p);
    }
    if (counts && s->has_entropy) g.entropy = s->entropy[row->r];
    if (!counts && tail > LEAST_LOG) g.entropy -= exp(tail) * (tail - spread);
    return g;
}

void kd__watch_row(const kd__row *row)
{
    kd__sources *s = (kd__sources *)(uintptr_t)row->sources;
    kd__glance *to = &s->glances[s->slots[row->r] - 1];
    const int64_t label = to->label;
    if (s->sparse) *to = sparse_row(row, s->sparse, label);
    else if (row->v) *to = dense_row(row, label);
    to->label = label; /* a row may be looked at again */
}

/* ---- all of them ---- */

static void tell(const kd_loss *loss, int32_t t)
{
    const kd__watch *w = &loss->terms[t].watch;
    const double n = (double)w->rows;
    kd__log(loss->object.context, KD_LOG_WARNING,
            "%s (term %d): the teacher finds the labels unlikely in %lld rows: mean log-likelihood "
            "%.2f (expected %.2f), first choice right in %.0f %% (expected %.0f %%). "
            "Check tokens, alignment and samples",
            kd__kind_of(loss->terms[t].kind)->name, t, (long long)w->rows, w->likelihood / n,
            -w->entropy / n, 100 * (double)w->hits / n, 100 * w->top / n);
}

void kd__watch_end(kd_loss *loss)
{
    for (int32_t t = 0; t < loss->count; t++) {
        kd__sources *s = &loss->sources[t];
        kd__watch *w = &loss->terms[t].watch;
        if (!s->slots) continue;
        for (int i = 0; i < KD__GLANCES; i++) {
            const kd__glance *g = &s->glances[i];
            w->rows += g->seen;
            w->likelihood += g->likelihood;
            w->entropy += g->entropy;
            w->top += g->top;
            w->hits += g->hit;
        }
        w->batches++;
        /* at most, by two standard errors */
        const double n = (double)w->rows, hits = (double)w->hits + 2 * sqrt((double)w->hits + 1);
        const int odd = w->rows >= LEAST_ROWS && w->likelihood < -(w->entropy + MARGIN * n) &&
                        hits < SHARE * w->top;
        if (odd && !w->odd) tell(loss, t);
        w->odd |= odd;
    }
}
