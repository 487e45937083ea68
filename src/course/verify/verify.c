/* Verifiers of texts: the public functions. */
#include <float.h>
#include <math.h>

#include "course/verify/verify.h"

static const kd_verify_options defaults = KD_VERIFY_OPTIONS_INIT;
void kd_verify_options_init(kd_verify_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

kd_status kd_verify_find_answer(const char *text, const char **answer, int64_t *bytes)
{
    KD_NEED(text);
    KD_NEED(answer);
    KD_NEED(bytes);
    const kd__stretch s = kd__answer_of(text).text;
    *answer = s.at;
    *bytes = kd__length(s);
    return KD_OK;
}

kd_status kd_verify_find_number(const char *text, double *value, int32_t *percent)
{
    kd__value found;
    double _Complex x;
    int sign = 0;
    KD_NEED(text);
    KD_NEED(value);
    KD_FAIL_IF(!kd__number_of(kd__answer_of(text), &found, &sign), KD_ERR_NOT_FOUND,
               "the answer has no number");
    KD_FAIL_IF(!kd__value_number(found, &x), KD_ERR_RANGE,
               "the answer's number: expected at most %g in size", DBL_MAX);
    *value = creal(x);
    if (percent) *percent = sign;
    return KD_OK;
}

static kd_status ask_host(const kd_verify_options *o, const char *text, const char *expected,
                          int *yes)
{
    KD_FAIL_IF(!o->function, KD_ERR_INVALID,
               "verify: KD_VERIFY_HOST: expected a function, got NULL");
    const int32_t said = o->function(o->user, text, expected);
    if (said < 0) return said;
    KD_FAIL_IF(
        said > 1, KD_ERR_CALLBACK,
        "the verifier function returned %d: expected 0 (wrong), 1 (right) or a negative status",
        said);
    *yes = said;
    return KD_OK;
}

static kd_status check_options(const kd_verify_options *o)
{
    KD_FAIL_IF(!o->verifiers || o->verifiers & ~127, KD_ERR_INVALID,
               "verifiers: expected bits of 1 to 127, got %d", o->verifiers);
    KD_FAIL_IF(o->format & ~3, KD_ERR_INVALID, "format: expected bits of 0 to 3, got %d",
               o->format);
    KD_FAIL_IF(!(o->tolerance >= 0), KD_ERR_RANGE, "tolerance: expected 0 or more, got %g",
               o->tolerance);
    return KD_OK;
}

/* The bits among those of the library's own comparisons that say yes. */
static int32_t compared(int32_t verifiers, kd__answer a, kd__answer b, double tolerance)
{
    int32_t said = 0;
    if (verifiers & KD_VERIFY_EXACT && kd__same_bytes(a.text, b.text)) said |= KD_VERIFY_EXACT;
    if (verifiers & KD_VERIFY_NORMALIZED && kd__same_plain(a.text, b.text))
        said |= KD_VERIFY_NORMALIZED;
    if (verifiers & KD_VERIFY_NUMBER && kd__same_number(a, b, tolerance)) said |= KD_VERIFY_NUMBER;
    if (verifiers & KD_VERIFY_CHOICE && kd__same_choice(a.text, b.text)) said |= KD_VERIFY_CHOICE;
    if (verifiers & KD_VERIFY_LATEX && kd__same_mathematics(a, b, tolerance))
        said |= KD_VERIFY_LATEX;
    return said;
}

kd_status kd_verify_answer(const char *text, const char *expected, const kd_verify_options *options,
                           int32_t *right, int32_t *passed)
{
    kd_verify_options o = defaults;
    int yes = 0;
    KD_NEED(text);
    KD_NEED(expected);
    KD_NEED(right);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_verify_options"));
    KD_TRY(check_options(&o));
    const kd__answer a = kd__answer_of(text), b = kd__answer_of(expected);
    int32_t said = compared(o.verifiers, a, b, o.tolerance);
    if (o.verifiers & KD_VERIFY_PATTERN) KD_TRY(kd__pattern_match(o.pattern, a.text, &yes));
    if (o.verifiers & KD_VERIFY_PATTERN && yes) said |= KD_VERIFY_PATTERN;
    if (o.verifiers & KD_VERIFY_HOST) KD_TRY(ask_host(&o, text, expected, &yes));
    if (o.verifiers & KD_VERIFY_HOST && yes) said |= KD_VERIFY_HOST;
    *right = (o.all ? said == o.verifiers : said != 0) && kd__keeps_format(text, o.format);
    if (passed) *passed = said;
    return KD_OK;
}
