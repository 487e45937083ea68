/* What a run did: the funnel, as numbers, as a table, and in a report. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "course/curation/curation.h"

static kd_status need_run(const kd_curation *c)
{
    KD_NEED(c);
    KD_FAIL_IF(!c->done, KD_ERR_STATE,
               "curation: no run has come to its end since the last filter was added");
    return KD_OK;
}

/* "read", the filters, and "validation". */
static int32_t steps_of(const kd_curation *c) { return c->count + 1 + (c->options.validation > 0); }

kd_status kd_curation_step_count(kd_curation *c, int32_t *steps)
{
    KD_NEED(c);
    KD_NEED(steps);
    *steps = steps_of(c);
    return KD_OK;
}

/* ---- different prompts ---- */

typedef struct {
    uint64_t key[2];
    int32_t passed;
} prompt;

static int by_key(const void *x, const void *y)
{
    const prompt *a = x, *b = y;
    if (a->key[0] != b->key[0]) return a->key[0] < b->key[0] ? -1 : 1;
    if (a->key[1] != b->key[1]) return a->key[1] < b->key[1] ? -1 : 1;
    return a->passed > b->passed ? -1 : a->passed < b->passed;
}

/* c->prompts[s]: prompts of which a record came past step s; [count + 1]: held back. */
static kd_status count_prompts(kd_curation *c)
{
    prompt *all = NULL;
    if (c->prompts) return KD_OK;
    KD_TRY(KD_NEW(c->object.context, &all, c->records + 1));
    const kd_status status = KD_NEW(c->object.context, &c->prompts, c->count + 2);
    for (int64_t i = 0; i < c->records && status == KD_OK; i++)
        all[i] = (prompt){ { c->facts[i].prompt[0], c->facts[i].prompt[1] }, c->facts[i].passed };
    if (status == KD_OK) qsort(all, (size_t)c->records, sizeof *all, by_key);
    for (int64_t i = 0; i < c->records && status == KD_OK; i++) {
        /* the one that came furthest is first */
        if (i && !memcmp(all[i].key, all[i - 1].key, sizeof all->key)) continue;
        for (int32_t s = 0; s <= all[i].passed && s <= c->count; s++) c->prompts[s]++;
        c->prompts[c->count + 1] += all[i].passed > c->count;
    }
    kd__release(c->object.context, all);
    return status;
}

kd_status kd_curation_get_step(kd_curation *c, int32_t step, kd_funnel *funnel)
{
    kd_funnel now = { 0 };
    KD_TRY(need_run(c));
    KD_NEED(funnel);
    KD_FAIL_IF(step < 0 || step >= steps_of(c), KD_ERR_RANGE, "step: expected 0 to %d, got %d",
               steps_of(c) - 1, step);
    KD_TRY(count_prompts(c));
    now.kept_prompts = c->prompts[step];
    if (step == 0) {
        now.name = "read";
        now.seen = c->records + c->read.bad;
        now.dropped = c->read.bad;
        now.reasons = c->read.bad > 0;
        now.kept = c->records;
        now.kept_bytes = c->read_bytes;
    } else if (step > c->count) {
        const int64_t left = c->count ? c->filters[c->count - 1].kept : c->records;
        now.name = "validation";
        now.seen = left;
        now.kept = c->held_back;
        now.dropped = left - c->held_back;
        now.kept_bytes = c->held_back_bytes;
    } else {
        const kd__filter *f = &c->filters[step - 1];
        now.name = f->name;
        now.seen = f->came;
        now.dropped = f->came - f->kept;
        now.kept = f->kept;
        now.kept_bytes = f->kept_bytes;
        now.reasons = f->reason_count;
    }
    return kd__info_write(funnel, &now, sizeof now, "kd_funnel");
}

kd_status kd_curation_reason(kd_curation *c, int32_t step, int32_t reason, const char **text,
                             int64_t *records)
{
    kd_funnel f = { .struct_size = sizeof f };
    KD_TRY(kd_curation_get_step(c, step, &f));
    KD_NEED(text);
    KD_NEED(records);
    KD_FAIL_IF(reason < 0 || reason >= f.reasons, KD_ERR_RANGE, "reason: expected 0 to %d, got %d",
               f.reasons - 1, reason);
    *text = step ? c->filters[step - 1].reasons[reason].text : "bad lines";
    *records = step ? c->filters[step - 1].reasons[reason].count : c->read.bad;
    return KD_OK;
}

/* ---- as a table ---- */

static kd_status write_table(kd_curation *c, kd__text *t)
{
    KD_TRY(kd__text_format(t, "%-18s %9s %9s %9s %9s %9s  %s\n", "step", "came", "dropped", "kept",
                           "prompts", "MB", "why"));
    for (int32_t s = 0; s < steps_of(c); s++) {
        kd_funnel f = { .struct_size = sizeof f };
        KD_TRY(kd_curation_get_step(c, s, &f));
        KD_TRY(kd__text_format(t, "%-18s %9lld %9lld %9lld %9lld %9.2f ", f.name, (long long)f.seen,
                               (long long)f.dropped, (long long)f.kept, (long long)f.kept_prompts,
                               (double)f.kept_bytes / 1e6));
        for (int32_t i = 0; i < f.reasons; i++) {
            const char *why;
            int64_t count;
            KD_TRY(kd_curation_reason(c, s, i, &why, &count));
            KD_TRY(kd__text_format(t, "%s %.100s %lld", i ? "," : "", why, (long long)count));
        }
        KD_TRY(kd__text_append(t, "\n", 1));
    }
    return KD_OK;
}

kd_status kd_curation_to_text(kd_curation *c, char **text)
{
    KD_TRY(need_run(c));
    KD_NEED(text);
    kd__text t = { .context = c->object.context };
    const kd_status status = write_table(c, &t);
    if (status == KD_OK) *text = t.bytes;
    else kd__text_free(&t);
    return status;
}

/* ---- in a report ---- */

typedef struct {
    kd_curation *c;
    kd_report *report;
    const char *name;
} target;

static kd_status cell(const target *t, const char *row, const char *column, double value)
{
    return kd_report_set_cell(t->report, t->name, row, column, value, NAN);
}

static kd_status report_funnel(const target *t)
{
    for (int32_t s = 0; s < steps_of(t->c); s++) {
        kd_funnel f = { .struct_size = sizeof f };
        KD_TRY(kd_curation_get_step(t->c, s, &f));
        KD_TRY(cell(t, f.name, "came", (double)f.seen));
        KD_TRY(cell(t, f.name, "dropped", (double)f.dropped));
        KD_TRY(cell(t, f.name, "kept", (double)f.kept));
        KD_TRY(cell(t, f.name, "prompts", (double)f.kept_prompts));
    }
    return KD_OK;
}

enum { BINS = 32 };

/* Lengths in bytes by powers of two, before and after. */
static kd_status report_lengths(const target *t, const char *picture)
{
    double counts[2][BINS] = { { 0 } }, edges[BINS];
    int first = BINS - 1, last = 0;
    for (int64_t i = 0; i < t->c->records; i++) {
        int bin = 0;
        while (bin < BINS - 1 && t->c->facts[i].bytes >> (bin + 1)) bin++;
        counts[0][bin]++;
        counts[1][bin] += t->c->facts[i].passed >= t->c->count;
        last = kd__max(bin, last);
        first = kd__min(bin, first);
    }
    for (int b = 0; b < BINS; b++) edges[b] = (double)((int64_t)1 << b);
    if (last < first) return KD_OK;
    KD_TRY(kd_report_add_series(t->report, picture, "before", KD_PICTURE_BARS, edges + first,
                                counts[0] + first, last - first + 1));
    KD_TRY(kd_report_add_series(t->report, picture, "after", KD_PICTURE_BARS, edges + first,
                                counts[1] + first, last - first + 1));
    return kd_report_set_axes(t->report, picture, "bytes, at least", "texts", 0);
}

static kd_status report_domains(const target *t, const char *table)
{
    for (int64_t d = 0; d < t->c->domain_count; d++) {
        double before = 0, after = 0;
        for (int64_t i = 0; i < t->c->records; i++) {
            if (t->c->facts[i].domain != d) continue;
            before++;
            after += t->c->facts[i].passed >= t->c->count;
        }
        const char *name = *t->c->domains[d] ? t->c->domains[d] : "(none)";
        KD_TRY(kd_report_set_cell(t->report, table, name, "before", before, NAN));
        KD_TRY(kd_report_set_cell(t->report, table, name, "after", after, NAN));
    }
    return KD_OK;
}

/* Share of right answers of each prompt, in tenths, before and after; nothing where no filter
 * judged. */
static kd_status report_rates(const target *t, const char *picture)
{
    double counts[2][11] = { { 0 } }, edges[11];
    prompt *all = NULL;
    int64_t judged = 0;
    KD_TRY(KD_NEW(t->c->object.context, &all, t->c->records + 1));
    for (int64_t i = 0; i < t->c->records; i++) {
        const kd__fact *f = &t->c->facts[i];
        if (f->right < 0) continue;
        all[judged++] =
            (prompt){ { f->prompt[0], f->prompt[1] }, f->right + 2 * (f->passed >= t->c->count) };
    }
    qsort(all, (size_t)judged, sizeof *all, by_key);
    for (int64_t from = 0, to; from < judged; from = to) {
        int64_t right = 0, kept = 0;
        for (to = from; to < judged && !memcmp(all[to].key, all[from].key, sizeof all->key); to++) {
            right += all[to].passed & 1;
            kept += all[to].passed > 1;
        }
        const int64_t bin = 10 * right / (to - from);
        counts[0][bin]++;
        counts[1][bin] += kept > 0;
    }
    kd__release(t->c->object.context, all);
    if (!judged) return KD_OK;
    for (int b = 0; b < 11; b++) edges[b] = b / 10.0;
    KD_TRY(
        kd_report_add_series(t->report, picture, "before", KD_PICTURE_BARS, edges, counts[0], 11));
    KD_TRY(
        kd_report_add_series(t->report, picture, "after", KD_PICTURE_BARS, edges, counts[1], 11));
    return kd_report_set_axes(t->report, picture, "share of right answers to a prompt", "prompts",
                              0);
}

kd_status kd_curation_fill_report(kd_curation *c, kd_report *report, const char *name)
{
    char part[KD_NAME_BYTES + 24];
    KD_TRY(need_run(c));
    KD_NEED(report);
    KD_NEED(name);
    KD_FAIL_IF(strlen(name) > 40, KD_ERR_INVALID,
               "a curation's name in a report: expected at most 40 bytes, got %zu", strlen(name));
    const target t = { c, report, name };
    KD_TRY(report_funnel(&t));
    snprintf(part, sizeof part, "%s, lengths in bytes", name);
    KD_TRY(report_lengths(&t, part));
    snprintf(part, sizeof part, "%s, domains", name);
    KD_TRY(report_domains(&t, part));
    snprintf(part, sizeof part, "%s, pass rates", name);
    return report_rates(&t, part);
}
