/* What the other side of a term of two sides is, and what its rows belong to. */
#include <string.h>

#include <kdistill/contrast.h>

#include "core/loss/features.h"

#define CONSTANT "teacher:"

static const kd_pair_options defaults = KD_PAIR_OPTIONS_INIT;
void kd_pair_options_init(kd_pair_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

int kd__pairs_rank(const kd__term *term)
{
    return term->kind == KD_LOSS_MARGIN_MSE || term->kind == KD_LOSS_LISTWISE_KL;
}

static int is_affinity(const kd__term *term) { return term->kind == KD_LOSS_AFFINITY_KL; }

/* ---- checks ---- */

static kd_status check_term(const kd_loss *loss, int32_t t)
{
    KD_TRY(kd__term_check(loss, t));
    const char *kind = kd__kind_of(loss->terms[t].kind)->name;
    KD_FAIL_IF(!kd__kind_of(loss->terms[t].kind)->sided, KD_ERR_INVALID,
               "%s (term %d) has no other side: kinds 32 to 34, 38 and 39 have", kind, t);
    KD_FAIL_IF(loss->terms[t].pairs.is_set, KD_ERR_STATE, "%s (term %d) has its other side already",
               kind, t);
    return KD_OK;
}

static kd_status check_choices(const kd__term *term, const kd_pair_options *o)
{
    const char *kind = kd__kind_of(term->kind)->name;
    KD_FAIL_IF(o->directions < KD_DIRECTION_BOTH || o->directions > KD_DIRECTION_FROM_OTHER,
               KD_ERR_RANGE, "directions: expected %d to %d, got %d", KD_DIRECTION_BOTH,
               KD_DIRECTION_FROM_OTHER, o->directions);
    KD_FAIL_IF(o->positives < KD_POSITIVES_MEAN || o->positives > KD_POSITIVES_MASK, KD_ERR_RANGE,
               "positives: expected %d or %d, got %d", KD_POSITIVES_MEAN, KD_POSITIVES_MASK,
               o->positives);
    const int is_one_way = kd__pairs_rank(term) || term->kind == KD_LOSS_SIGMOID_CONTRASTIVE;
    KD_FAIL_IF(o->directions && is_one_way, KD_ERR_INVALID,
               "%s has no directions: every pair counts once", kind);
    KD_FAIL_IF(o->positives && kd__pairs_rank(term), KD_ERR_INVALID,
               "%s has no positives: the teacher's scores say what comes first", kind);
    KD_FAIL_IF(o->bias_output && term->kind != KD_LOSS_SIGMOID_CONTRASTIVE, KD_ERR_INVALID,
               "%s has no bias: bias_output is KD_LOSS_SIGMOID_CONTRASTIVE's", kind);
    KD_FAIL_IF(is_affinity(term) && (o->positives || o->group_field), KD_ERR_INVALID,
               "%s has no positives: the teacher's affinities say what belongs together", kind);
    KD_FAIL_IF(kd__pairs_rank(term) && o->other_teacher_field, KD_ERR_INVALID,
               "%s has one field of a teacher, the candidates' scores: '%.40s'", kind,
               term->o.teacher_field);
    KD_FAIL_IF(!is_affinity(term) && o->other_teacher_field, KD_ERR_INVALID,
               "%s has no teacher: other_output \"" CONSTANT
               "%.40s\" makes a field of the targets the other side",
               kind, o->other_teacher_field);
    return KD_OK;
}

static kd_status check_sides(const kd__term *term, const kd_pair_options *o)
{
    const char *kind = kd__kind_of(term->kind)->name;
    const int is_same = !o->other_output || !strcmp(o->other_output, term->o.student_output);
    KD_FAIL_IF(is_same && !o->side_field, KD_ERR_INVALID,
               "%s: other_output: expected another output than '%s', \"" CONSTANT
               "NAME\", or side_field, which tells its anchors and candidates apart",
               kind, term->o.student_output);
    KD_FAIL_IF(!is_same && o->side_field, KD_ERR_INVALID,
               "%s: side_field tells the rows of one output apart, but the other side is '%.60s'",
               kind, o->other_output);
    KD_FAIL_IF(o->side_field && !o->group_field && !is_affinity(term), KD_ERR_INVALID,
               "%s: side_field needs group_field, which says what belongs together", kind);
    KD_FAIL_IF(kd__pairs_rank(term) && !o->group_field, KD_ERR_INVALID,
               "%s needs group_field, which says whose candidates they are", kind);
    KD_FAIL_IF(o->side_field && o->other_teacher_field, KD_ERR_INVALID,
               "%s: with side_field the teacher's sides are rows of one field too, teacher_field",
               kind);
    KD_FAIL_IF(
        !o->side_field && is_affinity(term) && !o->other_teacher_field, KD_ERR_INVALID,
        "%s: other_teacher_field: expected the field of the teacher's candidates beside '%s'", kind,
        term->o.teacher_field);
    return KD_OK;
}

/* ---- names ---- */

static kd_status copy_name(char to[KD_NAME_BYTES], const char *from, const char *what)
{
    return from ? kd__name_copy(to, from, what) : KD_OK;
}

/* The name after "teacher:"; NULL: it is an output. */
static const char *constant_of(const kd_pair_options *o)
{
    const size_t length = sizeof CONSTANT - 1;
    const int is_constant = o->other_output && !strncmp(o->other_output, CONSTANT, length);
    return is_constant ? o->other_output + length : NULL;
}

static kd_status copy_names(const kd_pair_options *o, kd__pair_names *to)
{
    const char *constant = constant_of(o),
               *output = o->side_field || constant ? NULL : o->other_output;
    KD_TRY(copy_name(to->output, output, "other_output"));
    KD_TRY(copy_name(to->constant, constant, "other_output"));
    KD_TRY(copy_name(to->taught, o->other_teacher_field, "other_teacher_field"));
    KD_TRY(copy_name(to->group, o->group_field, "group_field"));
    KD_TRY(copy_name(to->side, o->side_field, "side_field"));
    KD_TRY(copy_name(to->scalar[KD__PAIR_SCALE], o->scale_output, "scale_output"));
    return copy_name(to->scalar[KD__PAIR_BIAS], o->bias_output, "bias_output");
}

kd_status kd_loss_set_pairs(kd_loss *loss, int32_t term, const kd_pair_options *options)
{
    kd_pair_options o = defaults;
    kd__pair_names names = { 0 };
    KD_NEED(loss);
    KD_NEED(options);
    KD_TRY(check_term(loss, term));
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_pair_options"));
    kd__term *of = &loss->terms[term];
    KD_TRY(check_choices(of, &o));
    KD_TRY(check_sides(of, &o));
    KD_TRY(copy_names(&o, &names));
    of->pairs = (kd__pairs_of){ .is_set = 1,
                                .directions = o.directions,
                                .is_masked = o.positives == KD_POSITIVES_MASK,
                                .names = names };
    if (*names.output) {
        memcpy(of->key_output_name, names.output, sizeof names.output);
        of->key_output = kd__output_of(loss, of->key_output_name);
    }
    for (int i = 0; i < KD__PAIR_SCALARS; i++)
        if (*names.scalar[i])
            of->pairs.scalar[i] = 1 + kd__output_of(loss, of->pairs.names.scalar[i]);
    return KD_OK;
}
