/* Numbers of terms: what kd_loss_set sets by name, and what a checkpoint keeps of a loss. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include <kdistill/contrast.h>

#include "core/loss/loss.h"

#define PLACE(member) offsetof(kd__term, member)

static const struct {
    const char *name;
    double low, high, standard;
    size_t place; /* in kd__term */
    int32_t whole;
} numbers[] = {
    [KD_TERM_TEMPERATURE] = { "temperature", 0.01, 1000, 1, PLACE(o.temperature), 0 },
    [KD_TERM_WEIGHT] = { "weight", -1e6, 1e6, 1, PLACE(weight), 0 },
    [KD_TERM_LABEL_SMOOTHING] = { "label_smoothing", 0, 1, 0, PLACE(numbers.label_smoothing), 0 },
    [KD_TERM_TEACHER_SHARE] = { "teacher_share", 0, 1, 0.5, PLACE(numbers.teacher_share), 0 },
    [KD_TERM_DKD_ALPHA] = { "dkd_alpha", 0, 1e6, 1, PLACE(numbers.dkd_alpha), 0 },
    [KD_TERM_DKD_BETA] = { "dkd_beta", 0, 1e6, 8, PLACE(numbers.dkd_beta), 0 },
    [KD_TERM_HUBER_DELTA] = { "huber_delta", 1e-6, 1e6, 1, PLACE(numbers.huber_delta), 0 },
    [KD_TERM_SKEW] = { "skew", 0, 1, 0.1, PLACE(numbers.skew), 0 },
    [KD_TERM_AB_ALPHA] = { "ab_alpha", -2, 2, 0.2, PLACE(numbers.ab_alpha), 0 },
    [KD_TERM_AB_BETA] = { "ab_beta", -2, 2, 0.7, PLACE(numbers.ab_beta), 0 },
    [KD_TERM_HEAD_MASS] = { "head_mass", 0, 1, 0.5, PLACE(numbers.head_mass), 0 },
    [KD_TERM_PROGRESS] = { "progress", 0, 1, 0.4, PLACE(numbers.progress), 0 },
    [KD_TERM_CONFIDENCE_POWER] = { "confidence_power", 0, 100, 0, PLACE(numbers.confidence_power),
                                   0 },
    [KD_TERM_LOG_FLOOR] = { "log_floor", -1e6, 0, 0, PLACE(numbers.log_floor), 0 },
    [KD_TERM_NORMALIZED] = { "normalized", 0, 1, 0, PLACE(numbers.normalized), 1 },
    [KD_TERM_DETACH_MIXTURE] = { "detach_mixture", 0, 1, 0, PLACE(numbers.detach_mixture), 1 },
    [KD_TERM_FIRST] = { "first", 0, 0x1p31, 0, PLACE(numbers.first), 1 },
    [KD_TERM_NORMALIZE] = { "normalize", 0, KD_NORMALIZE_LAYER, 0, PLACE(numbers.normalize), 1 },
    [KD_TERM_RELATION_HEADS] = { "relation_heads", 0, 0x1p16, 0, PLACE(numbers.relation_heads), 1 },
    [KD_TERM_UNBIASED] = { "unbiased", 0, 1, 0, PLACE(numbers.unbiased), 1 },
    [KD_TERM_TEACHER_TEMPERATURE] = { "teacher_temperature", 0, 1000, 0,
                                      PLACE(numbers.teacher_temperature), 0 },
    [KD_TERM_CAUSAL] = { "causal", 0, 1, 0, PLACE(numbers.causal), 1 },
    [KD_TERM_SCALE] = { "scale", 1e-6, 1000, 20, PLACE(numbers.scale), 0 },
    [KD_TERM_TEACHER_SCALE] = { "teacher_scale", 0, 1000, 0, PLACE(numbers.teacher_scale), 0 },
    [KD_TERM_BIAS] = { "bias", -1000, 1000, -10, PLACE(numbers.bias), 0 },
};

#define NUMBERS ((int32_t)(sizeof numbers / sizeof *numbers))

static double *number_place(kd__term *term, int32_t number)
{
    return (double *)(void *)((char *)term + numbers[number].place);
}

void kd__numbers_init(kd__term *term)
{
    for (int32_t i = KD_TERM_LABEL_SMOOTHING; i < NUMBERS; i++)
        *number_place(term, i) = numbers[i].standard;
}

kd_status kd__number_check(int32_t number, double value)
{
    KD_FAIL_IF(!(value >= numbers[number].low && value <= numbers[number].high), KD_ERR_RANGE,
               "%s: expected %g to %g, got %g", numbers[number].name, numbers[number].low,
               numbers[number].high, value);
    KD_FAIL_IF(numbers[number].whole && value != floor(value), KD_ERR_RANGE,
               "%s: expected %s, got %g", numbers[number].name,
               numbers[number].high == 1 ? "0 or 1" : "a whole number", value);
    return KD_OK;
}

/* ---- which kind has which ---- */

static int has_number(int32_t kind, int32_t number)
{
    const kd__kind *k = kd__kind_of(kind);
    if (number == KD_TERM_TEMPERATURE || number == KD_TERM_WEIGHT) return 1;
    if (number == KD_TERM_CONFIDENCE_POWER) return k->corrected;
    return k->numbers >> number & 1;
}

/* "temperature, weight, skew" */
static void list_numbers(int32_t kind, char *text, size_t size)
{
    size_t used = 0;
    for (int32_t i = 1; i < NUMBERS && used < size; i++)
        if (has_number(kind, i))
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                     numbers[i].name);
}

static kd_status check_kind(int32_t kind, int32_t number)
{
    char known[160];
    KD_FAIL_IF(number < 1 || number >= NUMBERS, KD_ERR_INVALID,
               "number of a loss term: expected 1 to %d, got %d", NUMBERS - 1, number);
    if (has_number(kind, number)) return KD_OK;
    list_numbers(kind, known, sizeof known);
    return kd__fail(KD_ERR_INVALID, "%s has no number %s: expected one of %s",
                    kd__kind_of(kind)->name, numbers[number].name, known);
}

kd_status kd_loss_bounds(int32_t kind, int32_t number, double *low, double *high, double *standard)
{
    KD_TRY(kd__kind_check(kind));
    KD_TRY(check_kind(kind, number));
    if (low) *low = numbers[number].low;
    if (high) *high = numbers[number].high;
    if (standard) *standard = numbers[number].standard;
    return KD_OK;
}

static kd_status check_place(const kd_loss *loss, int32_t term, int32_t number)
{
    KD_TRY(kd__term_check(loss, term));
    return check_kind(loss->terms[term].kind, number);
}

kd_status kd_loss_set(kd_loss *loss, int32_t term, int32_t number, double value)
{
    KD_NEED(loss);
    KD_TRY(check_place(loss, term, number));
    KD_TRY(kd__number_check(number, value));
    *number_place(&loss->terms[term], number) = value;
    return KD_OK;
}

kd_status kd_loss_get(kd_loss *loss, int32_t term, int32_t number, double *value)
{
    KD_NEED(loss);
    KD_NEED(value);
    KD_TRY(check_place(loss, term, number));
    *value = *number_place(&loss->terms[term], number);
    return KD_OK;
}

/* ---- checkpoints: all numbers of each term, whether its kind has them or not ---- */

/* Version 0.1 began with the first seven numbers of each term; the others follow behind all
 * terms. */
#define FIRST_NUMBERS 8

kd_status kd__loss_save(kd_loss *loss, kd__text *state)
{
    KD_TRY(kd__state_put_number(state, loss->count));
    for (int32_t t = 0; t < loss->count; t++) {
        KD_TRY(kd__state_put_number(state, loss->terms[t].kind));
        for (int32_t i = 1; i < FIRST_NUMBERS; i++)
            KD_TRY(kd__text_append(state, number_place(&loss->terms[t], i), sizeof(double)));
    }
    KD_TRY(kd__state_put_number(state, NUMBERS));
    for (int32_t t = 0; t < loss->count; t++)
        for (int32_t i = FIRST_NUMBERS; i < NUMBERS; i++)
            KD_TRY(kd__text_append(state, number_place(&loss->terms[t], i), sizeof(double)));
    return kd__parameters_save(loss, state);
}

static kd_status restore_numbers(kd__term *term, kd__state_reader *reader, int32_t first,
                                 int32_t last, int apply)
{
    for (int32_t i = first; i < last; i++) {
        double value;
        KD_TRY(kd__state_get(reader, &value, sizeof value));
        KD_TRY(kd__number_check(i, value));
        if (apply) *number_place(term, i) = value;
    }
    return KD_OK;
}

kd_status kd__loss_restore(kd_loss *loss, kd__state_reader *reader, int apply)
{
    int64_t found;
    KD_TRY(kd__state_expect(reader, loss->count, "terms"));
    for (int32_t t = 0; t < loss->count; t++) {
        KD_TRY(kd__state_expect(reader, loss->terms[t].kind, "kind of a term"));
        KD_TRY(restore_numbers(&loss->terms[t], reader, 1, FIRST_NUMBERS, apply));
    }
    if (reader->at == reader->end) return kd__parameters_restore(loss, reader, apply);
    KD_TRY(kd__state_get(reader, &found, sizeof found));
    KD_FAIL_IF(found < FIRST_NUMBERS || found > NUMBERS, KD_ERR_MISMATCH,
               "checkpoint: %lld numbers of a loss term, this version knows %d", (long long)found,
               NUMBERS);
    for (int32_t t = 0; t < loss->count; t++)
        KD_TRY(restore_numbers(&loss->terms[t], reader, FIRST_NUMBERS, (int32_t)found, apply));
    return kd__parameters_restore(loss, reader, apply);
}
