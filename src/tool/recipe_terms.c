/* Terms of a recipe's loss. */
#include <stdlib.h>
#include <string.h>

#include "tool/recipe_file.h"
#include "tool/say.h"

const choice term_kinds[] = { { "cross_entropy", KD_LOSS_CROSS_ENTROPY },
                              { "forward_kl", KD_LOSS_FORWARD_KL },
                              { "reverse_kl", KD_LOSS_REVERSE_KL },
                              { "jsd", KD_LOSS_JSD },
                              { "logit_mse", KD_LOSS_LOGIT_MSE },
                              { "dkd", KD_LOSS_DKD },
                              { "binary_cross_entropy", KD_LOSS_BINARY_CROSS_ENTROPY },
                              { "binary_kl", KD_LOSS_BINARY_KL },
                              { "mean_squared_error", KD_LOSS_MEAN_SQUARED_ERROR },
                              { "huber", KD_LOSS_HUBER },
                              { "skewed_forward_kl", KD_LOSS_SKEWED_FORWARD_KL },
                              { "skewed_reverse_kl", KD_LOSS_SKEWED_REVERSE_KL },
                              { "total_variation", KD_LOSS_TOTAL_VARIATION },
                              { "acceptance", KD_LOSS_ACCEPTANCE },
                              { "alpha_beta", KD_LOSS_ALPHA_BETA },
                              { "adaptive_kl", KD_LOSS_ADAPTIVE_KL },
                              { "taid", KD_LOSS_TAID },
                              { "standardized_kl", KD_LOSS_STANDARDIZED_KL },
                              { "dist", KD_LOSS_DIST },
                              { "hidden_cosine", KD_LOSS_HIDDEN_COSINE },
                              { "hidden_distance", KD_LOSS_HIDDEN_DISTANCE },
                              { "variational", KD_LOSS_VARIATIONAL },
                              { "attention_transfer", KD_LOSS_ATTENTION_TRANSFER },
                              { "similarity", KD_LOSS_SIMILARITY },
                              { "gram", KD_LOSS_GRAM },
                              { "rkd_distance", KD_LOSS_RKD_DISTANCE },
                              { "rkd_angle", KD_LOSS_RKD_ANGLE },
                              { "pkt", KD_LOSS_PKT },
                              { "cka", KD_LOSS_CKA },
                              { "relation_kl", KD_LOSS_RELATION_KL },
                              { "attention_relation", KD_LOSS_ATTENTION_RELATION },
                              { "attention_kl", KD_LOSS_ATTENTION_KL },
                              { "attention_mse", KD_LOSS_ATTENTION_MSE },
                              { NULL, 0 } };

const char *term_kind_name(int32_t kind)
{
    for (const choice *c = term_kinds; c->name; c++)
        if (c->value == kind) return c->name;
    return "term";
}

const term_number term_numbers[TERM_NUMBERS + 1] = {
    { "temperature", KD_TERM_TEMPERATURE },
    { "label_smoothing", KD_TERM_LABEL_SMOOTHING },
    { "teacher_share", KD_TERM_TEACHER_SHARE },
    { "dkd_alpha", KD_TERM_DKD_ALPHA },
    { "dkd_beta", KD_TERM_DKD_BETA },
    { "huber_delta", KD_TERM_HUBER_DELTA },
    { "skew", KD_TERM_SKEW },
    { "ab_alpha", KD_TERM_AB_ALPHA },
    { "ab_beta", KD_TERM_AB_BETA },
    { "head_mass", KD_TERM_HEAD_MASS },
    { "progress", KD_TERM_PROGRESS },
    { "confidence_power", KD_TERM_CONFIDENCE_POWER },
    { "log_floor", KD_TERM_LOG_FLOOR },
    { "normalized", KD_TERM_NORMALIZED },
    { "detach_mixture", KD_TERM_DETACH_MIXTURE },
    { "first", KD_TERM_FIRST },
    { "normalize", KD_TERM_NORMALIZE },
    { "relation_heads", KD_TERM_RELATION_HEADS },
    { "unbiased", KD_TERM_UNBIASED },
    { "teacher_temperature", KD_TERM_TEACHER_TEMPERATURE },
    { "causal", KD_TERM_CAUSAL },
    { NULL, 0 }
};

static const choice align_of[] = { { "same", KD_ALIGN_SAME },
                                   { "next", KD_ALIGN_NEXT },
                                   { NULL, 0 } };
static const choice t2_of[] = {
    { "default", KD_T2_DEFAULT }, { "on", KD_T2_ON }, { "off", KD_T2_OFF }, { NULL, 0 }
};
static const choice nonfinite_of[] = { { "refuse", KD_NONFINITE_REFUSE },
                                       { "skip", KD_NONFINITE_SKIP },
                                       { NULL, 0 } };
static const choice count_of[] = { { "rows", KD_COUNT_ROWS },
                                   { "weights", KD_COUNT_WEIGHTS },
                                   { NULL, 0 } };
static const choice tail_of[] = { { "bucket", KD_TAIL_BUCKET },
                                  { "uniform", KD_TAIL_UNIFORM },
                                  { "renorm_teacher", KD_TAIL_RENORM_TEACHER },
                                  { "renorm_both", KD_TAIL_RENORM_BOTH },
                                  { "truncate", KD_TAIL_TRUNCATE },
                                  { NULL, 0 } };
static const choice retemper_of[] = { { "exact", KD_RETEMPER_EXACT },
                                      { "uniform", KD_RETEMPER_UNIFORM },
                                      { "between", KD_RETEMPER_BETWEEN },
                                      { NULL, 0 } };
static const choice correction_of[] = { { "none", KD_CORRECT_NONE },
                                        { "drop", KD_CORRECT_DROP },
                                        { "swap", KD_CORRECT_SWAP },
                                        { "mix", KD_CORRECT_MIX },
                                        { NULL, 0 } };
static const choice layers_of[] = { { "uniform", KD_LAYERS_UNIFORM },
                                    { "first", KD_LAYERS_FIRST },
                                    { "last", KD_LAYERS_LAST },
                                    { "blocks", KD_LAYERS_BLOCKS },
                                    { NULL, 0 } };

static const choice projection_of[] = { { "linear", KD_PROJECTION_LINEAR },
                                        { "linear_bias", KD_PROJECTION_LINEAR_BIAS },
                                        { "mlp", KD_PROJECTION_MLP },
                                        { "orthogonal", KD_PROJECTION_ORTHOGONAL },
                                        { NULL, 0 } };
static const choice start_of[] = { { "uniform", KD_PROJECTION_START_UNIFORM },
                                   { "identity", KD_PROJECTION_START_IDENTITY },
                                   { "orthogonal", KD_PROJECTION_START_ORTHOGONAL },
                                   { NULL, 0 } };
static const recipe_key projection_keys[] = {
    { "kind", KEY_CHOICE, offsetof(recipe_projection, kind), 0, 0, projection_of, NULL },
    { "start", KEY_CHOICE, offsetof(recipe_projection, start), 0, 0, start_of, NULL },
    { "name", KEY_TEXT, offsetof(recipe_projection, name), 0, 0, NULL, NULL },
    { NULL, 0, 0, 0, 0, NULL, NULL }
};

#define ROW(name, type, low, high, choices)                                                        \
    {                                                                                              \
#name, type, offsetof(recipe_term, name), low, high, choices, NULL                         \
    }
#define COUNT_OF_ROWS 17
static const recipe_key plain_keys[COUNT_OF_ROWS] = {
    ROW(kind, KEY_CHOICE, 0, 0, term_kinds),
    ROW(name, KEY_TEXT, 0, 0, NULL),
    ROW(weight, KEY_SCHEDULE, -1e6, 1e6, NULL),
    ROW(student_output, KEY_TEXT, 0, 0, NULL),
    ROW(teacher_field, KEY_TEXT, 0, 0, NULL),
    ROW(label_field, KEY_TEXT, 0, 0, NULL),
    ROW(mask_field, KEY_TEXT, 0, 0, NULL),
    ROW(weight_field, KEY_TEXT, 0, 0, NULL),
    ROW(align, KEY_CHOICE, 0, 0, align_of),
    ROW(t2, KEY_CHOICE, 0, 0, t2_of),
    ROW(nonfinite, KEY_CHOICE, 0, 0, nonfinite_of),
    ROW(count, KEY_CHOICE, 0, 0, count_of),
    ROW(classes, KEY_INTEGER, 1, 1 << 30, NULL),
    ROW(ignore_label, KEY_INTEGER, -1e15, 1e15, NULL),
    ROW(layers, KEY_CHOICE, 0, 0, layers_of),
    { "projection", KEY_OBJECT, offsetof(recipe_term, projection), 0, 0, NULL, projection_keys },
    { NULL, 0, 0, 0, 0, NULL, NULL }
};

/* Of sparse teachers. */
static const recipe_key sparse_keys[] = { ROW(tail, KEY_CHOICE, 0, 0, tail_of),
                                          ROW(retemper, KEY_CHOICE, 0, 0, retemper_of),
                                          ROW(correction, KEY_CHOICE, 0, 0, correction_of) };

/* All keys of a term: those above, and its kind's numbers with their bounds. */
static void list_keys(int32_t kind, recipe_key keys[COUNT_OF_ROWS + 3 + TERM_NUMBERS])
{
    int n = 0;
    for (; plain_keys[n].name; n++) keys[n] = plain_keys[n];
    for (int i = 0; i < 3; i++) keys[n++] = sparse_keys[i];
    for (int i = 0; term_numbers[i].name; i++) {
        double low, high;
        if (kd_loss_bounds(kind, term_numbers[i].number, &low, &high, NULL) < 0) continue;
        keys[n++] =
            (recipe_key){ term_numbers[i].name,
                          KEY_SCHEDULE,
                          offsetof(recipe_term, numbers) + (size_t)i * sizeof(schedule_plan),
                          low,
                          high,
                          NULL,
                          NULL };
    }
    memset(&keys[n], 0, sizeof keys[n]);
}

/* A number that other kinds have: its name is known, so the message says so. */
static int other_kinds_number(problem *p, const char *where, const node *n, int32_t kind)
{
    double low, high;
    for (int i = 0; term_numbers[i].name; i++) {
        if (strcmp(term_numbers[i].name, n->key)) continue;
        if (kd_loss_bounds(kind, term_numbers[i].number, &low, &high, NULL) == KD_OK) return 1;
        return wrong_at(p, n, where, "a term of kind %s has no \"%s\"", term_kind_name(kind),
                        n->key);
    }
    return 1;
}

static int read_term(problem *p, const recipe *r, const node *n, const char *where, recipe_term *t)
{
    recipe_key keys[COUNT_OF_ROWS + 3 + TERM_NUMBERS];
    const node *kind = node_member(n, "kind");
    t->align = UNSET;
    t->layers = UNSET;
    t->ignore_label = -100;
    t->retemper = KD_RETEMPER_BETWEEN;
    if (n->type == NODE_OBJECT && !kind)
        return wrong_at(p, n, where, "expected \"kind\", as \"forward_kl\", got none");
    if (kind && !keys_read_value(p, where, kind, &plain_keys[0], &t->kind)) return 0;
    for (const node *m = n->type == NODE_OBJECT ? n->first : NULL; m; m = m->next)
        if (!other_kinds_number(p, where, m, t->kind)) return 0;
    list_keys(t->kind, keys);
    if (!keys_read(p, where, n, keys, t)) return 0;
    if (!t->weight.kind) t->weight = (schedule_plan){ .kind = 1, .value = 1 };
    if (node_member(n, "projection") && !t->projection.kind)
        t->projection.kind = KD_PROJECTION_LINEAR;
    if (!t->name) t->name = term_kind_name(t->kind);
    if (t->layers != UNSET && (!t->student_output || !strstr(t->student_output, "%d") ||
                               !t->teacher_field || !strstr(t->teacher_field, "%d")))
        return wrong_at(p, n, where,
                        "\"layers\": expected %%d in \"student_output\" and in "
                        "\"teacher_field\", as \"hidden.%%d\"");
    if (t->kind != KD_LOSS_CROSS_ENTROPY && t->kind != KD_LOSS_BINARY_CROSS_ENTROPY &&
        t->kind != KD_LOSS_MEAN_SQUARED_ERROR && t->kind != KD_LOSS_HUBER && !r->has_teacher)
        return wrong_at(p, n, where, "a term of kind %s needs a \"teacher\", got none",
                        term_kind_name(t->kind));
    return 1;
}

int recipe_read_terms(problem *p, recipe *r)
{
    const node *list = r->terms_node;
    const int count = list && list->type == NODE_LIST ? list->count : 0;
    if (count < 1 || count > KD_LOSS_MAX_TERMS)
        return wrong_at(p, list ? list : r->source.root, "loss",
                        "expected a list of 1 to %d terms, as [{\"kind\": \"forward_kl\"}], got %s "
                        "of %d",
                        KD_LOSS_MAX_TERMS, node_kind(list), list ? list->count : 0);
    r->terms = take((size_t)list->count * sizeof *r->terms);
    for (const node *m = list->first; m; m = m->next) {
        char where[24];
        snprintf(where, sizeof where, "loss[%d]", r->term_count);
        if (!read_term(p, r, m, where, &r->terms[r->term_count++])) return 0;
    }
    return 1;
}
