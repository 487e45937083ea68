/* Loss handles: the table of kinds, terms and their options, numbers set by name. */
#include "core/loss/loss.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

static const kd_loss_options loss_defaults = KD_LOSS_OPTIONS_INIT;
static const kd_term_options term_defaults = KD_TERM_OPTIONS_INIT;
void kd_loss_options_init(kd_loss_options *o, size_t size)
{
    kd__options_init(o, size, &loss_defaults, sizeof loss_defaults);
}
void kd_term_options_init(kd_term_options *o, size_t size)
{
    kd__options_init(o, size, &term_defaults, sizeof term_defaults);
}

double kd__term_t2(const kd__term *term)
{
    int on = term->o.t2 == KD_T2_DEFAULT ? kd__kind_of(term->kind)->t2 : term->o.t2 == KD_T2_ON;
    return on ? term->o.temperature * term->o.temperature : 1;
}

kd_status kd_loss_create(kd_loss **out, kd_context *context, const kd_loss_options *options)
{
    kd_loss_options o = loss_defaults;
    kd_loss *loss = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_loss_options"));
    KD_FAIL_IF(o.memory_limit < 1, KD_ERR_RANGE, "memory_limit: expected at least 1 byte, got %lld",
               (long long)o.memory_limit);
    KD_FAIL_IF(!(o.skip_bound >= 0 && o.skip_bound < INFINITY), KD_ERR_RANGE,
               "skip_bound: expected 0 or more, got %g", o.skip_bound);
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
    kd__release(loss->object.context, loss->chosen);
    kd__release(loss->object.context, loss->columns);
    kd__release(loss->object.context, loss->features);
    kd__release(loss->object.context, loss->pulls);
    kd__release(loss->object.context, loss->spread);
    kd__parameters_free(loss);
    kd__object_destroy(loss);
}

kd_status kd__term_check(const kd_loss *loss, int32_t term)
{
    KD_FAIL_IF(term < 0 || term >= loss->count, KD_ERR_RANGE,
               "term: got %d, but the loss has %d terms, counted from 0", term, loss->count);
    return KD_OK;
}

/* ---- terms ---- */

/* An option that is one of a row of constants. */
static kd_status check_choice(const char *name, int32_t value, int32_t first, int32_t last)
{
    KD_FAIL_IF(value < first || value > last, KD_ERR_RANGE, "%s: expected %d to %d, got %d", name,
               first, last, value);
    return KD_OK;
}

static kd_status check_choices(const kd_term_options *o)
{
    KD_TRY(check_choice("t2", o->t2, KD_T2_DEFAULT, KD_T2_OFF));
    KD_TRY(check_choice("align", o->align, KD_ALIGN_SAME, KD_ALIGN_NEXT));
    KD_TRY(check_choice("nonfinite", o->nonfinite, KD_NONFINITE_REFUSE, KD_NONFINITE_SKIP));
    KD_TRY(check_choice("count", o->count, KD_COUNT_ROWS, KD_COUNT_WEIGHTS));
    KD_TRY(check_choice("tail", o->tail, KD_TAIL_BUCKET, KD_TAIL_TRUNCATE));
    KD_TRY(check_choice("retemper", o->retemper, KD_RETEMPER_EXACT, KD_RETEMPER_BETWEEN));
    return check_choice("correction", o->correction, KD_CORRECT_NONE, KD_CORRECT_MIX);
}

static kd_status check_options(kd__term *term)
{
    const kd__kind *kind = kd__kind_of(term->kind);
    const kd_term_options *o = &term->o;
    KD_TRY(kd__number_check(KD_TERM_WEIGHT, term->weight));
    KD_TRY(kd__number_check(KD_TERM_TEMPERATURE, o->temperature));
    KD_TRY(check_choices(o));
    KD_FAIL_IF(o->classes < 0 || (o->classes && o->classes < kind->least_width), KD_ERR_RANGE,
               "classes: expected 0 (all) or at least %d, got %d", kind->least_width, o->classes);
    const int takes_tail = o->tail == KD_TAIL_BUCKET || kind->tails >> o->tail & 1;
    KD_FAIL_IF(kind->teacher_field && !takes_tail, KD_ERR_UNSUPPORTED,
               "%s with the tail policy %s of a sparse teacher: %s", kind->name,
               kd__policy_name(o->tail), kind->reason);
    KD_FAIL_IF((kind->relate || kind->tokens || kind->sided) && o->weight_field, KD_ERR_UNSUPPORTED,
               "%s with weight_field: a row has no weight in its relations to others; mask_field "
               "leaves rows out",
               kind->name);
    KD_FAIL_IF(kind->feature && o->classes, KD_ERR_INVALID,
               "%s: classes is for logits: the number first cuts features", kind->name);
    KD_FAIL_IF(o->correction && !kind->corrected, KD_ERR_INVALID,
               "%s: label correction needs a teacher's distribution over the student's classes",
               kind->name);
    return KD_OK;
}

static kd_status copy_name(const char **place, char to[KD_NAME_BYTES], const char *fallback,
                           const char *what)
{
    const char *from = *place ? *place : fallback;
    *place = NULL;
    if (!from) return KD_OK;
    KD_TRY(kd__name_copy(to, from, what));
    *place = to;
    return KD_OK;
}

int32_t kd__output_named(const kd_loss *loss, const char *name)
{
    for (int32_t i = 0; i < loss->output_count; i++)
        if (!strcmp(loss->outputs[i].name, name)) return i;
    return -1;
}

/* Terms that compare the same output meet there. */
int32_t kd__output_of(kd_loss *loss, const char *name)
{
    const int32_t found = kd__output_named(loss, name);
    if (found >= 0) return found;
    loss->outputs[loss->output_count] = (kd__bound_output){ .name = name };
    return loss->output_count++;
}

int kd__output_is_scale(const kd_loss *loss, int32_t output)
{
    for (int32_t t = 0; t < loss->count; t++)
        for (int i = 0; i < KD__PAIR_SCALARS; i++)
            if (loss->terms[t].pairs.scalar[i] == 1 + output) return 1;
    return 0;
}

/* "attention.5.query" -> "attention.5.key" */
static kd_status name_keys(const char *query, const char *kind, const char *option,
                           char to[KD_NAME_BYTES])
{
    static const char ending[] = ".query";
    const size_t length = strlen(query), stem = length - (sizeof ending - 1);
    KD_FAIL_IF(
        length < sizeof ending || strcmp(query + stem, ending), KD_ERR_INVALID,
        "%s: %s: expected a name that ends in .query, beside which the keys lie as .key, got "
        "'%.60s'",
        kind, option, query);
    memcpy(to, query, stem);
    memcpy(to + stem, ".key", sizeof ".key");
    return KD_OK;
}

/* What a term compares, and what beside it. */
static kd_status name_outputs(kd_loss *loss, kd__term *term)
{
    const kd__kind *kind = kd__kind_of(term->kind);
    const kd_term_options *o = &term->o;
    if (kind->keys) {
        KD_TRY(name_keys(o->student_output, kind->name, "student_output", term->key_output_name));
        KD_TRY(name_keys(o->teacher_field, kind->name, "teacher_field", term->key_field));
    }
    term->output = kd__output_of(loss, o->student_output);
    term->key_output = kind->keys ? kd__output_of(loss, term->key_output_name) : term->output;
    return KD_OK;
}

kd_status kd_loss_add(kd_loss *loss, int32_t kind, double weight, const kd_term_options *options,
                      int32_t *term)
{
    KD_NEED(loss);
    KD_TRY(kd__kind_check(kind));
    KD_FAIL_IF(loss->count == KD_LOSS_MAX_TERMS, KD_ERR_RANGE, "a loss has at most %d terms",
               KD_LOSS_MAX_TERMS);
    kd__term *made = &loss->terms[loss->count];
    memset(made, 0, sizeof *made);
    made->kind = kind;
    made->weight = weight;
    made->collapse = (kd__collapse){ 0, 0, NAN, NAN, NAN, NAN, NAN, NAN, NAN };
    made->o = term_defaults;
    kd__numbers_init(made);
    KD_TRY(kd__options_read(&made->o, sizeof made->o, options, "kd_term_options"));
    made->o.struct_size = sizeof made->o;
    KD_TRY(check_options(made));
    const kd__kind *k = kd__kind_of(kind);
    KD_TRY(copy_name(&made->o.student_output, made->names[0], k->feature ? "hidden" : "logits",
                     "student_output"));
    KD_TRY(copy_name(&made->o.teacher_field, made->names[1], k->teacher_field, "teacher_field"));
    KD_TRY(copy_name(&made->o.label_field, made->names[2], "label", "label_field"));
    KD_TRY(copy_name(&made->o.mask_field, made->names[3], NULL, "mask_field"));
    KD_TRY(copy_name(&made->o.weight_field, made->names[4], NULL, "weight_field"));
    KD_FAIL_IF(k->label && !k->teacher_field && made->o.teacher_field, KD_ERR_INVALID,
               "%s compares with labels: use label_field \"teacher:%.40s\"", k->name,
               made->o.teacher_field);
    KD_FAIL_IF(k->sided && !k->teacher_field && made->o.teacher_field, KD_ERR_INVALID,
               "%s has no teacher: kd_loss_set_pairs makes a field of the targets the other side, "
               "\"teacher:%.40s\"",
               k->name, made->o.teacher_field);
    KD_TRY(name_outputs(loss, made));
    if (term) *term = loss->count;
    loss->count++;
    return KD_OK;
}

kd_status kd_loss_get_term(kd_loss *loss, int32_t term, int32_t *kind, kd_term_options *options)
{
    KD_NEED(loss);
    KD_TRY(kd__term_check(loss, term));
    if (kind) *kind = loss->terms[term].kind;
    return options ? kd__info_write(options, &loss->terms[term].o, sizeof(kd_term_options),
                                    "kd_term_options")
                   : KD_OK;
}

kd_status kd_loss_counts_add(kd_loss_counts *counts, const kd_loss_counts *more)
{
    kd_loss_counts a = { .struct_size = sizeof a }, b = { .struct_size = sizeof b };
    KD_NEED(counts);
    KD_NEED(more);
    KD_TRY(kd__options_read(&a, sizeof a, counts, "kd_loss_counts"));
    KD_TRY(kd__options_read(&b, sizeof b, more, "kd_loss_counts"));
    KD_FAIL_IF(a.terms && a.terms != b.terms, KD_ERR_SHAPE,
               "counts: expected as many terms on both sides, got %d and %d", a.terms, b.terms);
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
    KD_TRY(kd__term_check(loss, term));
    KD_FAIL_IF(!loss->diagnostics, KD_ERR_STATE,
               "diagnostics are off: call kd_loss_set_diagnostics before the loss");
    return kd__info_write(diagnostics, &loss->terms[term].seen, sizeof(kd_loss_diagnostics),
                          "kd_loss_diagnostics");
}
