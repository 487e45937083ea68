#include "loss/loss.h"

#include <math.h>
#include <string.h>

static const kd_loss_options loss_defaults = KD_LOSS_OPTIONS_INIT;
static const kd_term_options term_defaults = KD_TERM_OPTIONS_INIT;
void kd_loss_options_init(kd_loss_options *o, size_t size) { kd__options_init(o, size, &loss_defaults, sizeof loss_defaults); }
void kd_term_options_init(kd_term_options *o, size_t size) { kd__options_init(o, size, &term_defaults, sizeof term_defaults); }

#define TAIL(policy) (1 << KD_TAIL_##policy)
#define TAILS_ALL (TAIL(BUCKET) | TAIL(UNIFORM) | TAIL(RENORM_TEACHER) | TAIL(RENORM_BOTH) | TAIL(TRUNCATE))
#define TAILS_PROPER (TAILS_ALL & ~TAIL(TRUNCATE))

static const char no_truncate[] = "cut off at the ids its minimum lies at no probability on them";
static const char needs_logits[] = "it needs the logit of every class";
static const char needs_classes[] = "it needs the probability of every class";
static const char needs_label[] = "it needs the label's probability, which may lie in the tail";

static const struct {
    kd__kind kind;
    kd__row_function *row;
} kinds[] = {
    /* name, teacher, label, values, T^2, least width, twice, tails of sparse teachers and why no others */
    { { "none", 0, 0, 0, 0, 0, 0, 0, NULL }, NULL },
    { { "cross-entropy", 0, 1, 0, 0, 1, 0, 0, NULL }, kd__row_cross_entropy },
    { { "forward KL", 1, 0, 0, 1, 1, 0, TAILS_ALL, NULL }, kd__row_forward_kl },
    { { "reverse KL", 1, 0, 0, 1, 1, 0, TAILS_PROPER, no_truncate }, kd__row_reverse_kl },
    { { "JSD", 1, 0, 0, 1, 1, 0, TAILS_PROPER, no_truncate }, kd__row_jsd },
    { { "logit MSE", 1, 0, 0, 0, 1, 1, 0, needs_logits }, kd__row_logit_mse },
    { { "DKD", 1, 1, 0, 1, 2, 0, TAIL(UNIFORM), needs_label }, kd__row_dkd },
    { { "binary cross-entropy", 0, 0, 1, 0, 1, 1, 0, NULL }, kd__row_binary_cross_entropy },
    { { "binary KL", 1, 0, 0, 1, 1, 1, 0, needs_logits }, kd__row_binary_kl },
    { { "mean squared error", 0, 0, 1, 0, 1, 1, 0, needs_logits }, kd__row_mean_squared_error },
    { { "Huber", 0, 0, 1, 0, 1, 1, 0, needs_logits }, kd__row_huber },
    { { "skewed forward KL", 1, 0, 0, 1, 1, 0, TAILS_ALL, NULL }, kd__row_skewed },
    { { "skewed reverse KL", 1, 0, 0, 1, 1, 0, TAILS_PROPER, no_truncate }, kd__row_skewed },
    { { "total variation", 1, 0, 0, 0, 1, 0, TAILS_PROPER, no_truncate }, kd__row_total_variation },
    { { "alpha-beta divergence", 1, 0, 0, 1, 1, 0, TAILS_PROPER, no_truncate }, kd__row_alpha_beta },
    { { "adaptive KL", 1, 0, 0, 1, 1, 0, TAILS_PROPER, no_truncate }, kd__row_adaptive_kl },
    { { "TAID", 1, 0, 0, 1, 1, 0, TAIL(UNIFORM), "its target mixes the logits of every class" }, kd__row_taid },
    { { "standardised KL", 1, 0, 0, 1, 2, 0, 0, needs_logits }, kd__row_standardised },
    { { "DIST", 1, 0, 0, 0, 2, 0, 0, "its columns need the probability of every class" }, kd__row_dist },
    { { "ULD", 1, 0, 0, 0, 1, 0, 0, needs_classes }, kd__row_uld },
    { { "policy gradient", 1, 1, 0, 0, 1, 0, 0, "it needs one log-probability a row" }, kd__row_policy_gradient },
};

int kd__needs_wide(int32_t kind)
{
    return kind == KD_LOSS_ALPHA_BETA || kind == KD_LOSS_ADAPTIVE_KL || kind == KD_LOSS_ULD || kind == KD_LOSS_STANDARDISED_KL ||
           kind == KD_LOSS_DIST;
}

#define KINDS ((int32_t)(sizeof kinds / sizeof *kinds))

const kd__kind *kd__kind_of(int32_t kind) { return &kinds[kind].kind; }
kd__row_function *kd__kind_row(int32_t kind) { return kinds[kind].row; }

double kd__term_t2(const kd__term *term)
{
    int on = term->o.t2 == KD_T2_DEFAULT ? kinds[term->kind].kind.t2 : term->o.t2 == KD_T2_ON;
    return on ? term->o.temperature * term->o.temperature : 1;
}

kd_status kd_loss_create(kd_loss **out, kd_context *context, const kd_loss_options *options)
{
    kd_loss_options o = loss_defaults;
    kd_loss *loss = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_loss_options"));
    KD_FAIL_IF(o.memory_limit < 1, KD_ERR_RANGE, "memory_limit: expected at least 1 byte, got %lld", (long long)o.memory_limit);
    KD_FAIL_IF(!(o.skip_bound >= 0 && o.skip_bound < INFINITY), KD_ERR_RANGE, "skip_bound: expected 0 or more, got %g", o.skip_bound);
    KD_TRY(kd__object_create((void **)&loss, context, sizeof *loss));
    loss->memory_limit = o.memory_limit;
    loss->skip_bound = o.skip_bound;
    *out = loss;
    return KD_OK;
}

void kd_loss_free(kd_loss *loss)
{
    if (!kd__object_drop(loss)) return;
    kd__loss_free_shared(loss);
    kd__release(loss->object.context, loss->block);
    kd__release(loss->object.context, loss->scratch);
    kd__release(loss->object.context, loss->logits);
    kd__release(loss->object.context, loss->columns);
    kd__object_destroy(loss);
}

/* ---- numbers ---- */

static const struct {
    const char *name;
    double low, high;
    size_t offset; /* in kd_term_options; 0: the term's weight */
} numbers[] = {
    { "", 0, 0, 0 },
    { "temperature", 0.01, 1000, offsetof(kd_term_options, temperature) },
    { "weight", -1e6, 1e6, 0 },
    { "label_smoothing", 0, 1, offsetof(kd_term_options, label_smoothing) },
    { "teacher_share", 0, 1, offsetof(kd_term_options, teacher_share) },
    { "dkd_alpha", 0, 1e6, offsetof(kd_term_options, dkd_alpha) },
    { "dkd_beta", 0, 1e6, offsetof(kd_term_options, dkd_beta) },
    { "huber_delta", 1e-6, 1e6, offsetof(kd_term_options, huber_delta) },
    { "skew", 0, 1, offsetof(kd_term_options, skew) },
    { "ab_alpha", -2, 2, offsetof(kd_term_options, ab_alpha) },
    { "ab_beta", -2, 2, offsetof(kd_term_options, ab_beta) },
    { "head_mass", 0, 1, offsetof(kd_term_options, head_mass) },
    { "progress", 0, 1, offsetof(kd_term_options, progress) },
    { "confidence_power", 0, 100, offsetof(kd_term_options, confidence_power) },
};

#define NUMBERS ((int32_t)(sizeof numbers / sizeof *numbers))

static kd_status check_number(int32_t number, double value)
{
    KD_FAIL_IF(number < 1 || number >= NUMBERS, KD_ERR_INVALID, "number %d of a loss term is unknown", number);
    KD_FAIL_IF(!(value >= numbers[number].low && value <= numbers[number].high), KD_ERR_RANGE, "%s: expected %g to %g, got %g", numbers[number].name,
               numbers[number].low, numbers[number].high, value);
    return KD_OK;
}

static double *number_place(kd__term *term, int32_t number)
{
    return numbers[number].offset ? (double *)(void *)((char *)&term->o + numbers[number].offset) : &term->weight;
}

static kd_status check_term(const kd_loss *loss, int32_t term)
{
    KD_FAIL_IF(term < 0 || term >= loss->count, KD_ERR_RANGE, "term %d: the loss has %d terms", term, loss->count);
    return KD_OK;
}

kd_status kd_loss_bounds(int32_t number, double *low, double *high)
{
    KD_FAIL_IF(number < 1 || number >= NUMBERS, KD_ERR_INVALID, "number %d of a loss term is unknown", number);
    if (low) *low = numbers[number].low;
    if (high) *high = numbers[number].high;
    return KD_OK;
}

kd_status kd_loss_set(kd_loss *loss, int32_t term, int32_t number, double value)
{
    KD_NEED(loss);
    KD_TRY(check_term(loss, term));
    KD_TRY(check_number(number, value));
    *number_place(&loss->terms[term], number) = value;
    return KD_OK;
}

kd_status kd_loss_get(kd_loss *loss, int32_t term, int32_t number, double *value)
{
    KD_NEED(loss);
    KD_NEED(value);
    KD_TRY(check_term(loss, term));
    KD_FAIL_IF(number < 1 || number >= NUMBERS, KD_ERR_INVALID, "number %d of a loss term is unknown", number);
    *value = *number_place(&loss->terms[term], number);
    return KD_OK;
}

/* ---- terms ---- */

static kd_status check_options(int32_t kind, kd__term *term)
{
    const kd_term_options *o = &term->o;
    for (int32_t i = 1; i < NUMBERS; i++) KD_TRY(check_number(i, *number_place(term, i)));
    KD_FAIL_IF(o->t2 < KD_T2_DEFAULT || o->t2 > KD_T2_OFF, KD_ERR_RANGE, "t2: %d", o->t2);
    KD_FAIL_IF(o->align != KD_ALIGN_SAME && o->align != KD_ALIGN_NEXT, KD_ERR_RANGE, "align: %d", o->align);
    KD_FAIL_IF(o->nonfinite != KD_NONFINITE_REFUSE && o->nonfinite != KD_NONFINITE_SKIP, KD_ERR_RANGE, "nonfinite: %d", o->nonfinite);
    KD_FAIL_IF(o->count != KD_COUNT_ROWS && o->count != KD_COUNT_WEIGHTS, KD_ERR_RANGE, "count: %d", o->count);
    KD_FAIL_IF(o->classes < 0 || (o->classes && o->classes < kinds[kind].kind.least_width), KD_ERR_RANGE, "classes: %d", o->classes);
    KD_FAIL_IF(o->tail < KD_TAIL_BUCKET || o->tail > KD_TAIL_TRUNCATE, KD_ERR_RANGE, "tail: %d", o->tail);
    KD_FAIL_IF(o->retemper != KD_RETEMPER_EXACT && o->retemper != KD_RETEMPER_UNIFORM, KD_ERR_RANGE, "retemper: %d", o->retemper);
    KD_FAIL_IF(o->normalised != 0 && o->normalised != 1, KD_ERR_RANGE, "normalised: %d", o->normalised);
    KD_FAIL_IF(o->detach_mixture != 0 && o->detach_mixture != 1, KD_ERR_RANGE, "detach_mixture: %d", o->detach_mixture);
    KD_FAIL_IF(o->correction < KD_CORRECT_NONE || o->correction > KD_CORRECT_MIX, KD_ERR_RANGE, "correction: %d", o->correction);
    KD_FAIL_IF((o->correction || o->confidence_power > 0) && (!kinds[kind].kind.teacher || kind == KD_LOSS_BINARY_KL || kind == KD_LOSS_ULD ||
                                                              kind == KD_LOSS_DIST || kind == KD_LOSS_POLICY_GRADIENT),
               KD_ERR_INVALID, "%s: label correction and confidence gates need a teacher's distribution over the student's classes",
               kinds[kind].kind.name);
    KD_FAIL_IF(!(o->log_floor <= 0), KD_ERR_RANGE, "log_floor: expected 0 (none) or below, got %g", o->log_floor);
    return KD_OK;
}

static kd_status copy_name(const char **place, char to[KD_MAX_NAME], const char *fallback, const char *what)
{
    const char *from = *place ? *place : fallback;
    *place = NULL;
    if (!from) return KD_OK;
    KD_TRY(kd__name_copy(to, from, what));
    *place = to;
    return KD_OK;
}

kd_status kd_loss_add(kd_loss *loss, int32_t kind, double weight, const kd_term_options *options, int32_t *term)
{
    KD_NEED(loss);
    KD_FAIL_IF(kind < 1 || kind >= KINDS, KD_ERR_INVALID, "loss kind %d is unknown to this version (%d)", kind, kd_version());
    KD_FAIL_IF(loss->count == KD_LOSS_MAX_TERMS, KD_ERR_RANGE, "a loss has at most %d terms", KD_LOSS_MAX_TERMS);
    kd__term *made = &loss->terms[loss->count];
    memset(made, 0, sizeof *made);
    made->kind = kind;
    made->weight = weight;
    made->o = term_defaults;
    KD_TRY(kd__options_read(&made->o, sizeof made->o, options, "kd_term_options"));
    made->o.struct_size = sizeof made->o;
    KD_TRY(check_options(kind, made));
    const kd__kind *k = &kinds[kind].kind;
    KD_TRY(copy_name(&made->o.student_output, made->names[0], "logits", "student_output"));
    KD_TRY(copy_name(&made->o.teacher_field, made->names[1],
                     !k->teacher                       ? NULL
                     : kind == KD_LOSS_POLICY_GRADIENT ? "log_probability"
                                                       : "logits",
                     "teacher_field"));
    KD_TRY(copy_name(&made->o.label_field, made->names[2], "label", "label_field"));
    KD_TRY(copy_name(&made->o.mask_field, made->names[3], NULL, "mask_field"));
    KD_TRY(copy_name(&made->o.weight_field, made->names[4], NULL, "weight_field"));
    KD_FAIL_IF(k->label && !k->teacher && made->o.teacher_field, KD_ERR_INVALID, "%s compares with labels: use label_field \"teacher:%.40s\"",
               k->name, made->o.teacher_field);
    if (term) *term = loss->count;
    loss->count++;
    return KD_OK;
}

kd_status kd_loss_term(kd_loss *loss, int32_t term, int32_t *kind, kd_term_options *options)
{
    KD_NEED(loss);
    KD_TRY(check_term(loss, term));
    if (kind) *kind = loss->terms[term].kind;
    return options ? kd__info_write(options, &loss->terms[term].o, sizeof(kd_term_options), "kd_term_options") : KD_OK;
}

kd_status kd_loss_counts_add(kd_loss_counts *counts, const kd_loss_counts *more)
{
    kd_loss_counts a = { .struct_size = sizeof a }, b = { .struct_size = sizeof b };
    KD_NEED(counts);
    KD_NEED(more);
    KD_TRY(kd__options_read(&a, sizeof a, counts, "kd_loss_counts"));
    KD_TRY(kd__options_read(&b, sizeof b, more, "kd_loss_counts"));
    KD_FAIL_IF(a.terms && a.terms != b.terms, KD_ERR_SHAPE, "counts of %d and %d terms", a.terms, b.terms);
    a.terms = b.terms;
    for (int32_t i = 0; i < KD_LOSS_MAX_TERMS; i++) {
        a.rows[i] += b.rows[i];
        a.weights[i] += b.weights[i];
    }
    return kd__info_write(counts, &a, sizeof a, "kd_loss_counts");
}

kd_status kd_loss_set_diagnostics(kd_loss *loss, int32_t on)
{
    KD_NEED(loss);
    loss->diagnostics = on != 0;
    return KD_OK;
}

kd_status kd_loss_get_diagnostics(kd_loss *loss, int32_t term, kd_loss_diagnostics *diagnostics)
{
    KD_NEED(loss);
    KD_TRY(check_term(loss, term));
    KD_FAIL_IF(!loss->diagnostics, KD_ERR_STATE, "diagnostics are off: call kd_loss_set_diagnostics before the loss");
    return kd__info_write(diagnostics, &loss->terms[term].seen, sizeof(kd_loss_diagnostics), "kd_loss_diagnostics");
}

/* Version 0.1 began with the first seven numbers of each term; the others follow behind all terms. */
#define FIRST_NUMBERS 8

kd_status kd__loss_save(kd_loss *loss, kd__text *state)
{
    KD_TRY(kd__state_put_number(state, loss->count));
    for (int32_t t = 0; t < loss->count; t++) {
        KD_TRY(kd__state_put_number(state, loss->terms[t].kind));
        for (int32_t i = 1; i < FIRST_NUMBERS; i++) KD_TRY(kd__text_append(state, number_place(&loss->terms[t], i), sizeof(double)));
    }
    KD_TRY(kd__state_put_number(state, NUMBERS));
    for (int32_t t = 0; t < loss->count; t++)
        for (int32_t i = FIRST_NUMBERS; i < NUMBERS; i++) KD_TRY(kd__text_append(state, number_place(&loss->terms[t], i), sizeof(double)));
    return KD_OK;
}

static kd_status restore_numbers(kd__term *term, kd__state_reader *reader, int32_t first, int32_t last, int apply)
{
    for (int32_t i = first; i < last; i++) {
        double value;
        KD_TRY(kd__state_get(reader, &value, sizeof value));
        KD_TRY(check_number(i, value));
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
    if (reader->at == reader->end) return KD_OK;
    KD_TRY(kd__state_get(reader, &found, sizeof found));
    KD_FAIL_IF(found < FIRST_NUMBERS || found > NUMBERS, KD_ERR_MISMATCH, "checkpoint: %lld numbers of a loss term, this version knows %d",
               (long long)found, NUMBERS);
    for (int32_t t = 0; t < loss->count; t++) KD_TRY(restore_numbers(&loss->terms[t], reader, FIRST_NUMBERS, (int32_t)found, apply));
    return KD_OK;
}
