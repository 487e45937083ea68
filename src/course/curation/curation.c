/* Filters in order, passes over the reader, and what is written. */
#include "course/curation/curation.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "math/random.h"

static const kd_curation_options defaults = KD_CURATION_OPTIONS_INIT;
void kd_curation_options_init(kd_curation_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

/* ---- creation ---- */

kd_status kd_curation_create(kd_curation **out, kd_context *context,
                             const kd_curation_options *options)
{
    kd_curation_options o = defaults;
    kd_curation *c = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_curation_options"));
    KD_FAIL_IF(!(o.validation >= 0 && o.validation < 1), KD_ERR_RANGE,
               "validation: expected 0 to below 1, got %g", o.validation);
    KD_FAIL_IF(o.folder && !kd__is_folder(o.folder), KD_ERR_NOT_FOUND,
               "folder: expected one for scratch files, got '%.200s'", o.folder);
    KD_TRY(kd__object_create((void **)&c, context, sizeof *c));
    c->options = o;
    c->options.folder = NULL;
    c->arena.context = c->run.context = context;
    if (o.folder) {
        const kd_status status =
            kd__arena_text(&c->arena, o.folder, (int64_t)strlen(o.folder), &c->options.folder);
        if (status != KD_OK) {
            kd__object_destroy(c);
            return status;
        }
    }
    if (!o.seed) c->options.seed = context->seed;
    if (o.tokenizer) kd__object_hold(o.tokenizer);
    *out = c;
    return KD_OK;
}

static void free_filter(kd_context *context, kd__filter *f)
{
    kd__set_free(&f->grams);
    kd__set_free(&f->whole);
    kd__near_free(f->near);
    f->near = NULL;
    kd__outside_free(f->outside);
    f->outside = NULL;
    kd__release(context, f->ids);
}

static void forget_run(kd_curation *c)
{
    c->done = 0;
    kd__release(c->object.context, c->prompts);
    c->prompts = NULL;
    c->records = c->domain_count = 0;
    c->read_bytes = c->held_back = c->held_back_bytes = 0;
    for (int32_t i = 0; i < c->count; i++) {
        kd__filter *f = &c->filters[i];
        f->came = f->kept = f->kept_bytes = f->reason_count = 0;
        if (f->kind == KD_FILTER_DUPLICATES) kd__set_free(&f->grams);
        kd__near_free(f->near);
        f->near = NULL;
        kd__outside_free(f->outside);
        f->outside = NULL;
    }
    kd__arena_empty(&c->run);
}

void kd_curation_free(kd_curation *c)
{
    if (!kd__object_drop(c)) return;
    kd_context *context = c->object.context;
    forget_run(c);
    for (int32_t i = 0; i < c->count; i++) free_filter(context, &c->filters[i]);
    kd__arena_empty(&c->arena);
    kd__release(context, c->filters);
    kd__release(context, c->facts);
    kd__release(context, c->domains);
    kd_tokenizer_free(c->options.tokenizer);
    kd__object_destroy(c);
}

/* ---- filters ---- */

kd_status kd_curation_add(kd_curation *c, int32_t kind, const kd_filter_options *options,
                          int32_t *step)
{
    kd__filter made = { .kind = kind };
    KD_NEED(c);
    KD_FAIL_IF(c->count >= KD__MOST_FILTERS, KD_ERR_RANGE, "a curation has at most %d filters",
               KD__MOST_FILTERS);
    KD_TRY(KD_RESERVE(c->object.context, &c->filters, &c->filters_room, c->count + 1));
    const kd_status status = kd__filter_init(c, &made, options);
    if (status != KD_OK) {
        free_filter(c->object.context, &made);
        return status;
    }
    forget_run(c);
    c->filters[c->count++] = made;
    if (step) *step = c->count; /* the funnel's first entry is no filter */
    return KD_OK;
}

static kd_status find_filter(kd_curation *c, int32_t step, kd__filter **f)
{
    KD_NEED(c);
    KD_FAIL_IF(step < 1 || step > c->count, KD_ERR_RANGE, "step: expected 1 to %d, got %d",
               c->count, step);
    *f = &c->filters[step - 1];
    return KD_OK;
}

kd_status kd_curation_set(kd_curation *c, int32_t step, int32_t number, double value)
{
    kd__filter *f;
    KD_TRY(find_filter(c, step, &f));
    KD_TRY(kd__filter_check_number(f->kind, f->name, number, value));
    forget_run(c);
    f->numbers[number] = value;
    return KD_OK;
}

kd_status kd_curation_get(kd_curation *c, int32_t step, int32_t number, double *value)
{
    kd__filter *f;
    KD_NEED(value);
    KD_TRY(find_filter(c, step, &f));
    KD_TRY(kd_curation_bounds(f->kind, number, NULL, NULL, NULL));
    *value = f->numbers[number];
    return KD_OK;
}

/* ---- facts ---- */

static void count_reason(kd__filter *f, const char *reason)
{
    int32_t i = 0;
    while (i < f->reason_count && strcmp(f->reasons[i].text, reason)) i++;
    if (i == KD__MOST_REASONS) i--; /* the last one holds the rest */
    if (i == f->reason_count) f->reasons[f->reason_count++] = (kd__reason){ reason, 0 };
    f->reasons[i].count++;
}

void kd__drop(kd_curation *c, int32_t number, int64_t i, const char *reason)
{
    c->facts[i].alive = 0;
    c->facts[i].passed = number;
    count_reason(&c->filters[number], reason);
}

static kd_status domain_number(kd_curation *c, const char *name, int32_t *number)
{
    for (int64_t d = 0; d < c->domain_count; d++)
        if (!strcmp(c->domains[d], name)) return *number = (int32_t)d, KD_OK;
    KD_FAIL_IF(c->domain_count >= 65536, KD_ERR_RANGE, "more than 65536 domains");
    KD_TRY(KD_RESERVE(c->object.context, &c->domains, &c->domains_room, c->domain_count + 1));
    KD_TRY(kd__arena_text(&c->run, name, (int64_t)strlen(name), &c->domains[c->domain_count]));
    *number = (int32_t)c->domain_count++;
    return KD_OK;
}

static kd_status add_fact(kd_curation *c, const kd_record *r)
{
    const int64_t bytes = (int64_t)strlen(r->prompt) + (int64_t)strlen(r->completion);
    KD_TRY(KD_RESERVE(c->object.context, &c->facts, &c->facts_room, c->records + 1));
    kd__fact f = {
        .score = r->score, .bytes = (int32_t)kd__min(bytes, INT32_MAX), .right = -1, .alive = 1
    };
    memcpy(f.prompt, r->prompt_key, sizeof f.prompt);
    KD_TRY(domain_number(c, r->domain, &f.domain));
    c->facts[c->records++] = f;
    c->read_bytes += bytes;
    return KD_OK;
}

/* What filters before changed. */
static void put_facts(const kd_curation *c, const kd__fact *f, kd_record *r)
{
    if (f->changed) {
        r->score = f->score;
        r->domain = c->domains[f->domain];
    }
    if (f->expected && !*r->expected) r->expected = f->expected;
}

/* ---- one record through one filter ---- */

static kd_status look_host(kd_curation *c, kd__filter *f, kd__fact *fact, const kd_record *r,
                           const char **reason)
{
    const char *why = NULL;
    kd_record shown = *r; /* what else it changes stays with it */
    const int32_t said = f->o.function(f->o.user, &shown, &why);
    if (said < 0) return said;
    KD_FAIL_IF(
        said > 1, KD_ERR_CALLBACK,
        "filter '%s': the function returned %d: expected 1 (keep), 0 (drop) or a negative status",
        f->name, said);
    *reason = said ? NULL : why ? why : "dropped by the host";
    if (shown.score != fact->score && !(isnan(shown.score) && isnan(fact->score))) {
        fact->score = shown.score;
        fact->changed = 1;
    }
    int32_t domain;
    KD_TRY(domain_number(c, shown.domain ? shown.domain : "", &domain));
    fact->changed |= domain != fact->domain;
    fact->domain = domain;
    return KD_OK;
}

static kd_status judge(kd__filter *f, kd__fact *fact, const kd_record *r, const char **reason)
{
    int32_t right = 0;
    *reason = "no expected answer";
    if (!*r->expected) return KD_OK;
    KD_TRY(kd_verify_answer(r->completion, r->expected, &f->verify, &right, NULL));
    fact->right = (int8_t)right;
    *reason = right ? NULL : "wrong";
    return KD_OK;
}

static kd_status look_near(kd_curation *c, kd__filter *f, const kd_record *r, const char **reason)
{
    uint32_t signature[KD__PERMUTATIONS];
    int is_near;
    if (!f->near)
        KD_TRY(
            kd__near_create(&f->near, c->object.context, f->numbers[KD_CURATION_MAX_SIMILARITY]));
    kd__minhash(c->object.context, r->completion, f->o.ngram, signature);
    KD_TRY(kd__near_look(f->near, signature, &is_near));
    *reason = is_near ? "like one before" : NULL;
    return KD_OK;
}

/* The same for a curation that has a folder: the comparison comes when all texts were seen. */
static kd_status keep_signature(kd_curation *c, kd__filter *f, const kd_record *r)
{
    uint32_t signature[KD__PERMUTATIONS];
    if (!f->outside)
        KD_TRY(kd__outside_create(&f->outside, c->object.context, c->options.folder,
                                  c->options.memory, f->numbers[KD_CURATION_MAX_SIMILARITY]));
    kd__minhash(c->object.context, r->completion, f->o.ngram, signature);
    return kd__outside_add(f->outside, signature);
}

static kd_status look(kd_curation *c, int32_t number, kd__fact *fact, kd_record *r,
                      const char **reason)
{
    kd__filter *f = &c->filters[number];
    kd_status status = KD_OK;
    int was_there;
    switch (f->kind) {
    case KD_FILTER_LENGTH: *reason = kd__rule_length(c, f, r, &status); return status;
    case KD_FILTER_REPETITION: *reason = kd__rule_repetition(f, r, &status); return status;
    case KD_FILTER_SCRIPTS: *reason = kd__rule_scripts(f, r); return KD_OK;
    case KD_FILTER_MARKUP: *reason = kd__rule_markup(r); return KD_OK;
    case KD_FILTER_PARAGRAPHS: *reason = kd__rule_paragraphs(c, f, r, &status); return status;
    case KD_FILTER_DUPLICATES:
        status = kd__set_add(&f->grams, r->key[0] ^ kd__mix(r->key[1]), &was_there);
        *reason = was_there ? "the same as one before" : NULL;
        return status;
    case KD_FILTER_NEAR_DUPLICATES: return look_near(c, f, r, reason);
    case KD_FILTER_CONTAMINATION: *reason = kd__rule_contamination(c, f, r, &status); return status;
    case KD_FILTER_LANGUAGES: *reason = kd__rule_languages(f, r); return KD_OK;
    case KD_FILTER_VERIFY: return judge(f, fact, r, reason);
    case KD_FILTER_SCORE:
        *reason = isnan(r->score)                                ? "no score"
                  : r->score < f->numbers[KD_CURATION_MIN_SCORE] ? "a low score"
                                                                 : NULL;
        return KD_OK;
    default: return look_host(c, f, fact, r, reason);
    }
}

/* What a filter that compares will want to know of this record. */
static kd_status measure(kd_curation *c, int32_t number, kd__fact *fact, const kd_record *r)
{
    kd__filter *f = &c->filters[number];
    const char *ignored;
    int64_t bytes;
    if (f->kind == KD_FILTER_NEAR_DUPLICATES) return keep_signature(c, f, r);
    if (f->kind == KD_FILTER_PASS_RATE) return judge(f, fact, r, &ignored);
    if (f->kind == KD_FILTER_AGREEMENT) {
        const char *answer;
        KD_TRY(kd_verify_find_answer(r->completion, &answer, &bytes));
        return kd__arena_text(&c->run, answer, bytes, &fact->answer);
    }
    if (f->kind == KD_FILTER_BEST && f->o.choose == KD_CHOOSE_VARIED) {
        KD_TRY(kd__arena_take(&c->run, KD__PERMUTATIONS * (int64_t)sizeof *fact->signature,
                              (void **)&fact->signature));
        kd__minhash(c->object.context, r->completion, f->o.ngram, fact->signature);
    }
    return kd__measure(c, f->o.unit, r->completion, (int64_t)strlen(r->completion), &fact->length);
}

/* ---- passes ---- */

static kd_status pass_record(kd_curation *c, int32_t from, int32_t to, int64_t i, kd_record *r)
{
    for (int32_t number = from; number < to; number++) {
        const char *reason = NULL;
        put_facts(c, &c->facts[i], r);
        c->filters[number].came++;
        KD_TRY(look(c, number, &c->facts[i], r, &reason));
        if (reason) {
            kd__drop(c, number, i, reason);
            return KD_OK;
        }
        c->filters[number].kept++;
        c->filters[number].kept_bytes += c->facts[i].bytes;
    }
    put_facts(c, &c->facts[i], r);
    return to < c->count ? measure(c, to, &c->facts[i], r) : KD_OK;
}

/* Filters from .. to - 1 look at each record; filter `to` compares them. */
static kd_status run_pass(kd_curation *c, kd_record_reader *reader, int32_t from, int32_t to)
{
    kd_record r = KD_RECORD_INIT;
    kd_status status;
    int64_t i = 0;
    KD_TRY(kd_record_reader_rewind(reader));
    for (; (status = kd_record_reader_next(reader, &r)) == KD_OK; i++) {
        if (from == 0) KD_TRY(add_fact(c, &r));
        KD_FAIL_IF(i >= c->records, KD_ERR_MISMATCH,
                   "the reader gives more records than in the first pass: %lld",
                   (long long)c->records);
        if (c->facts[i].alive) KD_TRY(pass_record(c, from, to, i, &r));
        if (i % 1024 == 1023)
            KD_TRY(kd__progress(c->object.context, "curation", i + 1, from ? c->records : i + 1));
    }
    if (status < 0) return status;
    KD_FAIL_IF(i != c->records, KD_ERR_MISMATCH,
               "the reader gives %lld records, %lld in the first pass", (long long)i,
               (long long)c->records);
    c->read = (kd_record_counts){ .struct_size = sizeof c->read };
    return kd_record_reader_get_counts(reader, &c->read);
}

static kd_status compare(kd_curation *c, int32_t number)
{
    kd__filter *f = &c->filters[number];
    for (int64_t i = 0; i < c->records; i++) f->came += c->facts[i].alive;
    KD_TRY(kd__compare_records(c, number));
    for (int64_t i = 0; i < c->records; i++) {
        if (!c->facts[i].alive) continue;
        f->kept++;
        f->kept_bytes += c->facts[i].bytes;
    }
    return KD_OK;
}

/* "before,names of all filters" */
static kd_status passed_names(kd_curation *c, const char *before, kd__text *t)
{
    t->size = 0;
    if (*before) KD_TRY(kd__text_append(t, before, strlen(before)));
    for (int32_t i = 0; i < c->count; i++) {
        if (t->size) KD_TRY(kd__text_append(t, ",", 1));
        KD_TRY(kd__text_append(t, c->filters[i].name, strlen(c->filters[i].name)));
    }
    return kd__text_append(t, "", 0);
}

static kd_status write_kept(kd_curation *c, kd_record_reader *reader, kd_record_writer *kept,
                            kd_record_writer *validation, kd__text *names)
{
    kd_record r = KD_RECORD_INIT;
    kd_status status;
    int64_t i = 0;
    KD_TRY(kd_record_reader_rewind(reader));
    for (; (status = kd_record_reader_next(reader, &r)) == KD_OK; i++) {
        KD_FAIL_IF(i >= c->records, KD_ERR_MISMATCH,
                   "the reader gives more records than before: %lld", (long long)c->records);
        if (!c->facts[i].alive) continue;
        c->facts[i].passed = c->count;
        put_facts(c, &c->facts[i], &r);
        KD_TRY(passed_names(c, r.passed, names));
        r.passed = names->bytes;
        int32_t held;
        KD_TRY(
            kd_curation_is_held_out(r.prompt_key, c->options.seed, c->options.validation, &held));
        if (held) {
            c->facts[i].passed = c->count + 1;
            c->held_back++;
            c->held_back_bytes += c->facts[i].bytes;
        }
        if (held ? validation != NULL : kept != NULL)
            KD_TRY(kd_record_writer_add(held ? validation : kept, &r));
    }
    return status == KD_END ? KD_OK : status;
}

static kd_status run(kd_curation *c, kd_record_reader *reader)
{
    int32_t from = 0, to = 0, any = 0;
    while (!any || from < c->count) {
        for (to = from; to < c->count && !kd__compares(c, to);) to++;
        KD_TRY(run_pass(c, reader, from, to));
        any = 1;
        if (to < c->count) KD_TRY(compare(c, to));
        from = to + 1;
    }
    return KD_OK;
}

kd_status kd_curation_run(kd_curation *c, kd_record_reader *reader, kd_record_writer *kept,
                          kd_record_writer *validation)
{
    KD_NEED(c);
    KD_NEED(reader);
    KD_FAIL_IF(c->options.validation > 0 && kept && !validation, KD_ERR_INVALID,
               "a validation share of %g needs a second writer", c->options.validation);
    forget_run(c);
    kd_status status = run(c, reader);
    kd__text names = { .context = c->object.context };
    if (status == KD_OK) status = write_kept(c, reader, kept, validation, &names);
    kd__text_free(&names);
    if (status != KD_OK) {
        forget_run(c);
        return status;
    }
    c->done = 1;
    return KD_OK;
}

kd_status kd_curation_is_held_out(const uint64_t prompt_key[2], uint64_t seed, double share,
                                  int32_t *held)
{
    KD_NEED(prompt_key);
    KD_NEED(held);
    KD_FAIL_IF(!(share >= 0 && share <= 1), KD_ERR_RANGE, "share: expected 0 to 1, got %g", share);
    *held = kd__uniform(kd__stream(seed, prompt_key[0], prompt_key[1]), 0) < share;
    return KD_OK;
}
