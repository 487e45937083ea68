/* The kinds of terms: one entry says all that the rest of the loss knows of a kind. A new one is a
 * constant in the header, an entry here, and its row function beside the others of its family. */
#include <math.h>
#include <stdio.h>

#include <kdistill/contrast.h>

#include "core/loss/features.h"
#include "core/relation/relation.h"

#define TAIL(policy) (1 << KD_TAIL_##policy)
#define NUMBER(name) (1 << KD_TERM_##name)
#define TAILS_ALL                                                                                  \
    (TAIL(BUCKET) | TAIL(UNIFORM) | TAIL(RENORM_TEACHER) | TAIL(RENORM_BOTH) | TAIL(TRUNCATE))
#define TAILS_PROPER (TAILS_ALL & ~TAIL(TRUNCATE))

static const char no_truncate[] = "cut off at the ids its minimum lies at no probability on them";
static const char no_refusal[] = "cut off at the ids, what is accepted elsewhere counts as refused";
static const char needs_logits[] = "it needs the logit of every class";
static const char no_ranks[] = "it ranks whole distributions";
static const char needs_label[] = "it needs the label's probability, which may lie in the tail";

const char *kd__policy_name(int32_t tail)
{
    static const char *const names[] = { "BUCKET", "UNIFORM", "RENORM_TEACHER", "RENORM_BOTH",
                                         "TRUNCATE" };
    return names[tail];
}

/* Classes may be put together, into a bucket, only where alpha + beta = 1. */
static kd_status check_alpha_beta(const kd__term *term)
{
    const int32_t tail = term->o.tail;
    const int buckets = tail == KD_TAIL_BUCKET || tail == KD_TAIL_RENORM_TEACHER;
    const double sum = term->numbers.ab_alpha + term->numbers.ab_beta;
    KD_FAIL_IF(buckets && fabs(sum - 1) > 1e-9, KD_ERR_UNSUPPORTED,
               "alpha-beta divergence with the tail policy %s: classes may be put together only "
               "where alpha + beta = 1 (%g here)",
               kd__policy_name(tail), sum);
    return KD_OK;
}

/* A divergence between the teacher's distribution and the student's over the same classes. */
#define DISTRIBUTION .teacher_field = "logits", .corrected = 1, .watched = 1
#define DIVERGENCE DISTRIBUTION, .t2 = 1, .least_width = 1
#define LOGITS .teacher_field = "logits", .least_width = 1, .reason = needs_logits
#define VALUES .values = 1, .least_width = 1, .twice = 1
/* Hidden states, maps, relations of rows. */
#define FEATURE_NUMBERS (NUMBER(FIRST) | NUMBER(NORMALIZE))
#define FEATURE                                                                                    \
    .teacher_field = "hidden", .feature = 1, .least_width = 1, .reason = "it compares features"

#define RELATION FEATURE, .numbers = FEATURE_NUMBERS
/* Terms of two sides. */
#define SIDED .feature = 1, .least_width = 1, .reason = "it compares features"
#define SIDED_NUMBERS (FEATURE_NUMBERS | NUMBER(SCALE))
/* The teacher's scores of a query's candidates. */
#define RANKING SIDED, .teacher_field = "score", .numbers = SIDED_NUMBERS | NUMBER(TEACHER_SCALE)
#define TOKENS FEATURE, .tokens = 1, .numbers = NUMBER(RELATION_HEADS) | NUMBER(CAUSAL)

static const kd__kind kinds[] = {
    [KD_LOSS_CROSS_ENTROPY] = { .name = "cross-entropy",
                                .row = kd__row_cross_entropy,
                                .numbers = NUMBER(LABEL_SMOOTHING),
                                .label = 1,
                                .least_width = 1 },
    [KD_LOSS_FORWARD_KL] = { DIVERGENCE, .name = "forward KL", .row = kd__row_forward_kl,
                             .divergence = kd__forward_divergence, .counts = 1,
                             .tails = TAILS_ALL },
    [KD_LOSS_REVERSE_KL] = { DIVERGENCE, .name = "reverse KL", .row = kd__row_reverse_kl,
                             .numbers = NUMBER(LOG_FLOOR), .divergence = kd__reverse_divergence,
                             .tails = TAILS_PROPER, .reason = no_truncate,
                             .remedy = "the number log_floor bounds it" },
    [KD_LOSS_JSD] = { DIVERGENCE, .name = "JSD", .row = kd__row_jsd,
                      .numbers = NUMBER(TEACHER_SHARE) | NUMBER(NORMALIZED),
                      .divergence = kd__jensen_divergence, .tails = TAILS_PROPER,
                      .reason = no_truncate },
    [KD_LOSS_LOGIT_MSE] = { LOGITS, .name = "logit MSE", .row = kd__row_logit_mse, .twice = 1,
                            .corrected = 1, .watched = 1 },
    [KD_LOSS_DKD] = { DISTRIBUTION, .name = "DKD", .row = kd__row_dkd,
                      .numbers = NUMBER(DKD_ALPHA) | NUMBER(DKD_BETA), .label = 1, .t2 = 1,
                      .least_width = 2, .tails = TAIL(UNIFORM), .reason = needs_label },
    [KD_LOSS_BINARY_CROSS_ENTROPY] = { VALUES, .name = "binary cross-entropy",
                                       .row = kd__row_binary_cross_entropy },
    [KD_LOSS_BINARY_KL] = { LOGITS, .name = "binary KL", .row = kd__row_binary_kl, .t2 = 1,
                            .twice = 1 },
    [KD_LOSS_MEAN_SQUARED_ERROR] = { VALUES, .name = "mean squared error",
                                     .row = kd__row_mean_squared_error,
                                     .compare = kd__compare_squares, .numbers = FEATURE_NUMBERS },
    [KD_LOSS_HUBER] = { VALUES, .name = "Huber", .row = kd__row_huber, .compare = kd__compare_huber,
                        .numbers = FEATURE_NUMBERS | NUMBER(HUBER_DELTA) },
    [KD_LOSS_SKEWED_FORWARD_KL] = { DIVERGENCE, .name = "skewed forward KL",
                                    .row = kd__row_skewed_forward, .numbers = NUMBER(SKEW),
                                    .divergence = kd__skewed_forward_divergence,
                                    .tails = TAILS_ALL },
    [KD_LOSS_SKEWED_REVERSE_KL] = { DIVERGENCE, .name = "skewed reverse KL",
                                    .row = kd__row_skewed_reverse,
                                    .numbers = NUMBER(SKEW) | NUMBER(DETACH_MIXTURE),
                                    .divergence = kd__skewed_reverse_divergence,
                                    .tails = TAILS_PROPER, .reason = no_truncate },
    [KD_LOSS_TOTAL_VARIATION] = { DISTRIBUTION, .name = "total variation",
                                  .row = kd__row_total_variation,
                                  .divergence = kd__variation_divergence, .least_width = 1,
                                  .tails = TAILS_PROPER, .reason = no_truncate },
    [KD_LOSS_ACCEPTANCE] = { DISTRIBUTION, .name = "acceptance", .row = kd__row_acceptance,
                             .divergence = kd__acceptance_divergence, .least_width = 1,
                             .tails = TAILS_PROPER, .reason = no_refusal },
    [KD_LOSS_ALPHA_BETA] = { DIVERGENCE, .name = "alpha-beta divergence", .row = kd__row_alpha_beta,
                             .numbers = NUMBER(AB_ALPHA) | NUMBER(AB_BETA),
                             .divergence = kd__alpha_beta_divergence, .doubles = 1,
                             .tails = TAILS_PROPER, .reason = no_truncate,
                             .check_sparse = check_alpha_beta },
    [KD_LOSS_ADAPTIVE_KL] = { DIVERGENCE, .name = "adaptive KL", .row = kd__row_adaptive_kl,
                              .numbers = NUMBER(HEAD_MASS) | NUMBER(LOG_FLOOR),
                              .divergence = kd__adaptive_divergence, .doubles = 1,
                              .tails = TAILS_PROPER, .reason = no_truncate },
    [KD_LOSS_TAID] = { DIVERGENCE, .name = "TAID", .row = kd__row_taid, .numbers = NUMBER(PROGRESS),
                       .tails = TAIL(UNIFORM),
                       .reason = "its target mixes the logits of every class" },
    [KD_LOSS_STANDARDIZED_KL] = { DISTRIBUTION, .name = "standardized KL",
                                  .row = kd__row_standardized, .t2 = 1, .least_width = 2,
                                  .doubles = 1, .reason = needs_logits },
    [KD_LOSS_DIST] = { .name = "DIST",
                       .row = kd__row_dist,
                       .teacher_field = "logits",
                       .least_width = 2,
                       .doubles = 1,
                       .columns = 1,
                       .watched = 1,
                       .reason = "its columns need the probability of every class" },
    [KD_LOSS_ULD] = { .name = "ULD",
                      .row = kd__row_uld,
                      .sparse = kd__row_uld_sparse,
                      .teacher_field = "logits",
                      .teacher_width = KD__OWN_CLASSES,
                      .least_width = 1,
                      .doubles = 1,
                      .tails = TAIL(BUCKET) | TAIL(UNIFORM) | TAIL(RENORM_TEACHER),
                      .reason = no_ranks },
    [KD_LOSS_POLICY_GRADIENT] = { .name = "policy gradient",
                                  .row = kd__row_policy_gradient,
                                  .teacher_field = "log_probability",
                                  .teacher_width = KD__ONE_NUMBER,
                                  .label = 1,
                                  .least_width = 1,
                                  .reason = "it needs one log-probability a row" },
    [KD_LOSS_HIDDEN_COSINE] = { FEATURE, .name = "hidden cosine", .compare = kd__compare_cosine,
                                .numbers = FEATURE_NUMBERS },
    [KD_LOSS_HIDDEN_DISTANCE] = { FEATURE, .name = "hidden distance",
                                  .compare = kd__compare_distance, .numbers = FEATURE_NUMBERS },
    [KD_LOSS_VARIATIONAL] = { FEATURE, .name = "variational", .compare = kd__compare_variational,
                              .variance = 1, .numbers = FEATURE_NUMBERS },
    [KD_LOSS_ATTENTION_TRANSFER] = { FEATURE, .name = "attention transfer",
                                     .compare = kd__compare_maps, .maps = 1 },
    [KD_LOSS_SIMILARITY] = { RELATION, .name = "similarity", .relate = kd__relation_similarity },
    [KD_LOSS_GRAM] = { RELATION, .name = "Gram", .relate = kd__relation_gram },
    [KD_LOSS_RKD_DISTANCE] = { RELATION, .name = "RKD distance",
                               .relate = kd__relation_rkd_distance },
    [KD_LOSS_RKD_ANGLE] = { RELATION, .name = "RKD angle", .relate = kd__relation_rkd_angle },
    [KD_LOSS_PKT] = { RELATION, .name = "PKT", .relate = kd__relation_pkt },
    [KD_LOSS_CKA] = { FEATURE, .name = "CKA", .relate = kd__relation_cka,
                      .numbers = FEATURE_NUMBERS | NUMBER(UNBIASED) },
    [KD_LOSS_RELATION_KL] = { FEATURE, .name = "relation KL", .relate = kd__relation_kl,
                              .numbers = FEATURE_NUMBERS | NUMBER(TEACHER_TEMPERATURE) },
    [KD_LOSS_CONTRASTIVE] = { SIDED, .name = "contrastive", .sided = KD__SIDED_CONTRAST,
                              .numbers = SIDED_NUMBERS },
    [KD_LOSS_SIGMOID_CONTRASTIVE] = { SIDED, .name = "sigmoid contrastive",
                                      .sided = KD__SIDED_SIGMOID,
                                      .numbers = SIDED_NUMBERS | NUMBER(BIAS) },
    [KD_LOSS_AFFINITY_KL] = { FEATURE, .name = "affinity KL", .sided = KD__SIDED_AFFINITY,
                              .numbers = SIDED_NUMBERS | NUMBER(TEACHER_SCALE) },
    [KD_LOSS_ATTENTION_RELATION] = { TOKENS, .name = "attention relation" },
    [KD_LOSS_ATTENTION_KL] = { TOKENS, .name = "attention KL", .keys = 1 },
    [KD_LOSS_ATTENTION_MSE] = { TOKENS, .name = "attention MSE", .keys = 1, .squares = 1 },
    [KD_LOSS_MARGIN_MSE] = { RANKING, .name = "margin MSE", .sided = KD__SIDED_MARGIN },
    [KD_LOSS_LISTWISE_KL] = { RANKING, .name = "listwise KL", .sided = KD__SIDED_LIST },
};
#define KINDS ((int32_t)(sizeof kinds / sizeof *kinds))

/* "1 to 31, 35 to 37", where numbers below the last one are no kind's. */
static void list_kinds(char *text, size_t size)
{
    size_t used = 0;
    for (int32_t first = 1, last; first < KINDS && used < size; first = last + 1) {
        last = first;
        if (!kinds[first].name) continue;
        while (last + 1 < KINDS && kinds[last + 1].name) last++;
        used +=
            (size_t)snprintf(text + used, size - used, "%s%d to %d", used ? ", " : "", first, last);
    }
}

kd_status kd__kind_check(int32_t kind)
{
    char known[64];
    if (kind >= 1 && kind < KINDS && kinds[kind].name) return KD_OK;
    list_kinds(known, sizeof known);
    return kd__fail(KD_ERR_INVALID, "loss kind: expected %s, got %d", known, kind);
}

const kd__kind *kd__kind_of(int32_t kind) { return &kinds[kind]; }
