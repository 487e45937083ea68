/* What filters are told: which options and numbers a kind reads, defaults, bounds. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "course/curation/curation.h"

static const kd_filter_options defaults = KD_FILTER_OPTIONS_INIT;
void kd_filter_options_init(kd_filter_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

/* ---- kinds ---- */

enum {
    UNIT = 1,
    NGRAM = 2,
    CHOOSE = 4,
    VERIFY = 8,
    TESTS = 16,
    FUNCTION = 32,
    DOMAINS = 64,
};

static const struct {
    const char *name;
    int32_t reads, unit, ngram;
} kinds[] = {
    [KD_FILTER_LENGTH] = { "length", UNIT, KD_UNIT_BYTES, 0 },
    [KD_FILTER_REPETITION] = { "repetition", NGRAM, 0, 4 },
    [KD_FILTER_SCRIPTS] = { "scripts", 0, 0, 0 },
    [KD_FILTER_MARKUP] = { "markup", 0, 0, 0 },
    [KD_FILTER_PARAGRAPHS] = { "paragraphs", UNIT, KD_UNIT_BYTES, 0 },
    [KD_FILTER_DUPLICATES] = { "duplicates", 0, 0, 0 },
    [KD_FILTER_NEAR_DUPLICATES] = { "near_duplicates", NGRAM, 0, 5 },
    [KD_FILTER_CONTAMINATION] = { "contamination", UNIT | NGRAM | TESTS, KD_UNIT_WORDS, 10 },
    [KD_FILTER_VERIFY] = { "verify", VERIFY, 0, 0 },
    [KD_FILTER_SCORE] = { "score", 0, 0, 0 },
    [KD_FILTER_HOST] = { "host", FUNCTION, 0, 0 },
    [KD_FILTER_PASS_RATE] = { "pass_rate", VERIFY, 0, 0 },
    [KD_FILTER_BEST] = { "best", UNIT | NGRAM | CHOOSE, KD_UNIT_BYTES, 5 },
    [KD_FILTER_BALANCE] = { "balance", UNIT | DOMAINS, KD_UNIT_RECORDS, 0 },
    [KD_FILTER_LENGTH_MIX] = { "length_mix", UNIT, KD_UNIT_BYTES, 0 },
    [KD_FILTER_AGREEMENT] = { "agreement", VERIFY, 0, 0 },
    [KD_FILTER_SAMPLE] = { "sample", 0, 0, 0 },
    [KD_FILTER_LANGUAGES] = { "languages", 0, 0, 0 },
};

static kd_status check_kind(int32_t kind)
{
    KD_FAIL_IF(kind < KD_FILTER_LENGTH || kind > KD_FILTER_LANGUAGES, KD_ERR_RANGE,
               "filter: expected %d to %d, got %d", KD_FILTER_LENGTH, KD_FILTER_LANGUAGES, kind);
    return KD_OK;
}

/* ---- numbers: each belongs to one kind ---- */

#define LONGEST 1e15

static const struct {
    const char *name;
    int32_t kind, whole;
    double low, high, standard;
} numbers[KD__FILTER_NUMBERS] = {
    [KD_CURATION_MIN_LENGTH] = { "min_length", KD_FILTER_LENGTH, 1, 0, LONGEST, 1 },
    [KD_CURATION_MAX_LENGTH] = { "max_length", KD_FILTER_LENGTH, 1, 0, LONGEST, 0 },
    [KD_CURATION_MAX_PARAGRAPH] = { "max_paragraph", KD_FILTER_PARAGRAPHS, 1, 1, LONGEST, 2000 },
    [KD_CURATION_MAX_REPEATED_SHARE] = { "max_repeated_share", KD_FILTER_REPETITION, 0, 0, 1, 0.3 },
    [KD_CURATION_LOOP_COUNT] = { "loop_count", KD_FILTER_REPETITION, 1, 2, 1e9, 4 },
    [KD_CURATION_MAX_SCRIPT_SHARE] = { "max_script_share", KD_FILTER_SCRIPTS, 0, 0, 1, 0.05 },
    [KD_CURATION_MAX_SIMILARITY] = { "max_similarity", KD_FILTER_NEAR_DUPLICATES, 0, 0, 1, 0.8 },
    [KD_CURATION_MIN_SCORE] = { "min_score", KD_FILTER_SCORE, 0, -1e300, 1e300, 0.5 },
    [KD_CURATION_MIN_PASS_RATE] = { "min_pass_rate", KD_FILTER_PASS_RATE, 0, 0, 1, 0.001 },
    [KD_CURATION_MAX_PASS_RATE] = { "max_pass_rate", KD_FILTER_PASS_RATE, 0, 0, 1, 1 },
    [KD_CURATION_MAX_PER_PROMPT] = { "max_per_prompt", KD_FILTER_BEST, 1, 1, LONGEST, 1 },
    [KD_CURATION_MAX_DOMAIN_RATIO] = { "max_domain_ratio", KD_FILTER_BALANCE, 0, 0, 1e9, 1 },
    [KD_CURATION_SHORT_LENGTH] = { "short_length", KD_FILTER_LENGTH_MIX, 1, 0, LONGEST, 1000 },
    [KD_CURATION_SHORT_SHARE] = { "short_share", KD_FILTER_LENGTH_MIX, 0, 0, 1, 0.8 },
    [KD_CURATION_MIN_AGREEMENT] = { "min_agreement", KD_FILTER_AGREEMENT, 0, 0, 1, 0.5 },
    [KD_CURATION_MAX_RECORDS] = { "max_records", KD_FILTER_SAMPLE, 1, 1, LONGEST, 1000 },
    [KD_CURATION_MIN_FOREIGN_WORDS] = { "min_foreign_words", KD_FILTER_LANGUAGES, 1, 0, 1e9, 4 },
    [KD_CURATION_MAX_FOREIGN_SHARE] = { "max_foreign_share", KD_FILTER_LANGUAGES, 0, 0, 1, 0.2 },
};

static kd_status check_owner(int32_t kind, int32_t number)
{
    KD_FAIL_IF(number < 1 || number >= KD__FILTER_NUMBERS, KD_ERR_INVALID,
               "number of a filter: expected 1 to %d, got %d", KD__FILTER_NUMBERS - 1, number);
    KD_FAIL_IF(numbers[number].kind != kind, KD_ERR_INVALID, "%s: %s is a number of the filter %s",
               kinds[kind].name, numbers[number].name, kinds[numbers[number].kind].name);
    return KD_OK;
}

kd_status kd__filter_check_number(int32_t kind, const char *name, int32_t number, double value)
{
    KD_TRY(check_owner(kind, number));
    KD_FAIL_IF(!(value >= numbers[number].low && value <= numbers[number].high), KD_ERR_RANGE,
               "%s: %s: expected %g to %g, got %g", name, numbers[number].name, numbers[number].low,
               numbers[number].high, value);
    KD_FAIL_IF(numbers[number].whole && value != floor(value), KD_ERR_RANGE,
               "%s: %s: expected a whole number, got %g", name, numbers[number].name, value);
    return KD_OK;
}

kd_status kd_curation_bounds(int32_t kind, int32_t number, double *low, double *high,
                             double *standard)
{
    KD_TRY(check_kind(kind));
    KD_TRY(check_owner(kind, number));
    if (low) *low = numbers[number].low;
    if (high) *high = numbers[number].high;
    if (standard) *standard = numbers[number].standard;
    return KD_OK;
}

/* ---- options ---- */

static kd_status copy_verify(kd_curation *c, kd__filter *f)
{
    const kd_verify_options standard = KD_VERIFY_OPTIONS_INIT;
    f->verify = standard;
    KD_TRY(kd__options_read(&f->verify, sizeof f->verify, f->o.verify, "kd_verify_options"));
    if (!f->verify.pattern) return KD_OK;
    return kd__arena_text(&c->arena, f->verify.pattern, (int64_t)strlen(f->verify.pattern),
                          &f->verify.pattern);
}

static kd_status copy_domains(kd_curation *c, kd__filter *f)
{
    const char **names = NULL;
    double *shares = NULL;
    KD_FAIL_IF(f->o.domain_count < 0 || f->o.domain_count > 65536, KD_ERR_RANGE,
               "domain_count: expected 0 to 65536, got %d", f->o.domain_count);
    if (!f->o.domain_count) return KD_OK;
    KD_FAIL_IF(!f->o.domains || !f->o.shares, KD_ERR_INVALID, "%s: domains and shares are needed",
               f->name);
    KD_TRY(kd__arena_take(&c->arena, f->o.domain_count * (int64_t)sizeof *names, (void **)&names));
    KD_TRY(
        kd__arena_take(&c->arena, f->o.domain_count * (int64_t)sizeof *shares, (void **)&shares));
    for (int32_t i = 0; i < f->o.domain_count; i++) {
        KD_FAIL_IF(!f->o.domains[i] || !(f->o.shares[i] >= 0) || isinf(f->o.shares[i]),
                   KD_ERR_RANGE, "%s: domain %d: expected a name and a share from 0", f->name, i);
        KD_TRY(kd__arena_text(&c->arena, f->o.domains[i], (int64_t)strlen(f->o.domains[i]),
                              &names[i]));
        shares[i] = f->o.shares[i];
    }
    f->o.domains = names;
    f->o.shares = shares;
    return KD_OK;
}

static kd_status check_read(const kd__filter *f, int32_t member, int given, const char *what)
{
    KD_FAIL_IF(given && !(kinds[f->kind].reads & member), KD_ERR_INVALID,
               "%s: the filter %s has no option %s", f->name, kinds[f->kind].name, what);
    return KD_OK;
}

static kd_status check_members(const kd__filter *f)
{
    const kd_filter_options *o = &f->o;
    KD_TRY(check_read(f, UNIT, o->unit != -1, "unit"));
    KD_TRY(check_read(f, NGRAM, o->ngram != 0, "ngram"));
    KD_TRY(check_read(f, CHOOSE, o->choose != KD_CHOOSE_SCORE, "choose"));
    KD_TRY(check_read(f, VERIFY, o->verify != NULL, "verify"));
    KD_TRY(check_read(f, TESTS, o->tests != NULL, "tests"));
    KD_TRY(check_read(f, FUNCTION, o->function != NULL, "function"));
    KD_TRY(check_read(f, DOMAINS, o->domain_count != 0, "domains"));
    KD_FAIL_IF(f->kind == KD_FILTER_CONTAMINATION && !o->tests, KD_ERR_INVALID,
               "%s: tests are needed", f->name);
    KD_FAIL_IF(f->kind == KD_FILTER_HOST && !o->function, KD_ERR_INVALID,
               "%s: a function is needed", f->name);
    return KD_OK;
}

static kd_status check_ranges(const kd_curation *c, const kd__filter *f)
{
    const kd_filter_options *o = &f->o;
    KD_FAIL_IF(o->ngram < 0 || o->ngram > 64, KD_ERR_RANGE, "%s: ngram: expected 1 to 64, got %d",
               f->name, o->ngram);
    KD_FAIL_IF(o->unit < 0 || o->unit > KD_UNIT_RECORDS, KD_ERR_RANGE,
               "%s: unit: expected 0 to 3, got %d", f->name, o->unit);
    KD_FAIL_IF(o->unit == KD_UNIT_TOKENS && !c->options.tokenizer, KD_ERR_INVALID,
               "%s: tokens are counted by the curation's tokenizer: it has none", f->name);
    KD_FAIL_IF(o->choose < 0 || o->choose > KD_CHOOSE_VARIED, KD_ERR_RANGE,
               "%s: choose: expected 0 to 2, got %d", f->name, o->choose);
    return KD_OK;
}

static kd_status read_options(kd_curation *c, kd__filter *f, const kd_filter_options *options)
{
    f->o = defaults;
    KD_TRY(kd__options_read(&f->o, sizeof f->o, options, "kd_filter_options"));
    KD_TRY(kd__name_copy(f->name, f->o.name ? f->o.name : kinds[f->kind].name, "filter"));
    KD_FAIL_IF(strchr(f->name, ','), KD_ERR_INVALID, "filter '%s': a name holds no comma", f->name);
    KD_TRY(check_members(f));
    if (!f->o.ngram) f->o.ngram = kinds[f->kind].ngram;
    if (f->o.unit == -1) f->o.unit = kinds[f->kind].unit;
    KD_TRY(check_ranges(c, f));
    KD_TRY(copy_verify(c, f));
    return copy_domains(c, f);
}

kd_status kd__filter_init(kd_curation *c, kd__filter *f, const kd_filter_options *options)
{
    int32_t ignored;
    KD_TRY(check_kind(f->kind));
    f->grams.context = f->whole.context = c->object.context;
    KD_TRY(read_options(c, f, options));
    for (int32_t i = 1; i < KD__FILTER_NUMBERS; i++) f->numbers[i] = numbers[i].standard;
    if (kinds[f->kind].reads & VERIFY) KD_TRY(kd_verify_answer("", "", &f->verify, &ignored, NULL));
    if (f->kind == KD_FILTER_LANGUAGES) KD_TRY(kd__languages_learn(f, &c->arena));
    return f->kind == KD_FILTER_CONTAMINATION ? kd__contamination_learn(c, f, f->o.tests) : KD_OK;
}
