/* Projections of a loss: which terms have them, their widths, how they begin. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/hash.h"
#include "core/loss/features.h"
#include "math/random.h"

#define MOST_WIDTH ((int64_t)1 << 31)
/* softplus(rho) + KD__LEAST_VARIANCE is 5 */
#define FIRST_RHO (5 + log(-expm1(KD__LEAST_VARIANCE - 5)) - KD__LEAST_VARIANCE)

static const kd_projection_options defaults = KD_PROJECTION_OPTIONS_INIT;
void kd_projection_options_init(kd_projection_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

kd__projection *kd__projection_of(kd_loss *loss, int32_t term)
{
    const int32_t number = loss->terms[term].projection;
    return number ? &loss->projections[number - 1] : NULL;
}

/* ---- how they begin ---- */

static uint64_t stream_of(const kd_context *context, const char *name, uint64_t part)
{
    uint64_t key[2];
    kd__hash128(name, strlen(name), key);
    return kd__stream(context->seed, key[0], part);
}

static void fill_uniform(float *w, int64_t count, int64_t inputs, uint64_t stream)
{
    const double bound = 1 / sqrt((double)inputs);
    for (int64_t i = 0; i < count; i++)
        w[i] = (float)(bound * (2 * kd__uniform(stream, (uint64_t)i) - 1));
}

/* Box and Muller's pairs: a direction of no preference for kd__make_orthogonal. */
static void fill_normal(float *w, int64_t count, uint64_t stream)
{
    const double turn = 6.283185307179586;
    for (int64_t i = 0; i < count; i++) {
        const double u = kd__uniform(stream, (uint64_t)(2 * i));
        const double angle = turn * kd__uniform(stream, (uint64_t)(2 * i + 1));
        w[i] = (float)(sqrt(-2 * log1p(-u)) * cos(angle));
    }
}

/* Ones where row and column agree, minus ones where a second copy of the inputs stands: through
 * ReLU, x = max(x, 0) - max(-x, 0). */
static void fill_identity(float *w, const kd__tensor *tensor, int64_t inputs)
{
    const int64_t rows = tensor->dims[0], columns = tensor->dims[1];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            w[r * columns + c] = r == c && r < inputs                 ? 1
                                 : r - inputs == c || c - inputs == r ? -1
                                                                      : 0;
}

static kd_status start_weight(kd_loss *loss, const kd__projection *p, int32_t place)
{
    const kd__tensor *tensor = &loss->parameters.tensors[p->tensor[place]];
    float *w = loss->parameters.values + tensor->offset;
    const uint64_t stream = stream_of(loss->object.context, p->name, (uint64_t)place);
    const int orthogonal =
        p->start == KD_PROJECTION_START_ORTHOGONAL ||
        (p->kind == KD_PROJECTION_ORTHOGONAL && p->start == KD_PROJECTION_START_UNIFORM);
    if (orthogonal) {
        fill_normal(w, tensor->count, stream);
        return kd__make_orthogonal(loss->object.context, w, tensor->dims[0], tensor->dims[1]);
    }
    if (p->start == KD_PROJECTION_START_IDENTITY)
        fill_identity(w, tensor, p->kind == KD_PROJECTION_MLP ? p->from : MOST_WIDTH);
    else fill_uniform(w, tensor->count, tensor->dims[1], stream);
    return KD_OK;
}

static void start_bias(kd_loss *loss, const kd__projection *p, int32_t place)
{
    const kd__tensor *tensors = loss->parameters.tensors, *bias = &tensors[p->tensor[place]];
    const int64_t inputs = tensors[p->tensor[place - 1]].dims[1];
    const uint64_t stream = stream_of(loss->object.context, p->name, (uint64_t)place);
    if (p->start == KD_PROJECTION_START_UNIFORM)
        fill_uniform(loss->parameters.values + bias->offset, bias->count, inputs, stream);
}

static kd_status start_values(kd_loss *loss, const kd__projection *p)
{
    KD_TRY(start_weight(loss, p, KD__WEIGHT));
    if (p->tensor[KD__BIAS] >= 0) start_bias(loss, p, KD__BIAS);
    if (p->tensor[KD__SECOND_WEIGHT] < 0) return KD_OK;
    KD_TRY(start_weight(loss, p, KD__SECOND_WEIGHT));
    start_bias(loss, p, KD__SECOND_BIAS);
    return KD_OK;
}

/* ---- making ---- */

/* The name of a tensor: `part` "" or ".0" or ".2". */
static kd_status name_tensor(char to[KD_NAME_BYTES], const char *name, const char *part,
                             const char *what)
{
    char text[2 * KD_NAME_BYTES];
    snprintf(text, sizeof text, "projection.%s%s.%s", name, part, what);
    return kd__name_copy(to, text, "projection");
}

static kd_status form_layer(kd__tensor_form *forms, int32_t *count, const kd__projection *p,
                            const char *part, int64_t to, int64_t from)
{
    kd__tensor_form *weight = &forms[(*count)++];
    *weight = (kd__tensor_form){ .rank = 2, .dims = { to, from } };
    KD_TRY(name_tensor(weight->name, p->name, part, "weight"));
    if (p->kind != KD_PROJECTION_LINEAR_BIAS && p->kind != KD_PROJECTION_MLP) return KD_OK;
    kd__tensor_form *bias = &forms[(*count)++];
    *bias = (kd__tensor_form){ .rank = 1, .dims = { to } };
    return name_tensor(bias->name, p->name, part, "bias");
}

static kd_status form_all(kd__tensor_form *forms, int32_t *count, const kd__projection *p)
{
    const int64_t hidden = kd__projection_hidden(p);
    *count = 0;
    if (!hidden) return form_layer(forms, count, p, "", p->to, p->from);
    KD_TRY(form_layer(forms, count, p, ".0", hidden, p->from));
    return form_layer(forms, count, p, ".2", p->to, hidden);
}

static kd_status make(kd_loss *loss, kd__projection *p)
{
    kd__tensor_form forms[KD__PROJECTION_TENSORS];
    int32_t count, first;
    KD_TRY(form_all(forms, &count, p));
    KD_TRY(kd__parameters_add(loss, forms, count, &first));
    for (int32_t i = 0; i < KD__PROJECTION_TENSORS; i++) p->tensor[i] = i < count ? first + i : -1;
    if (p->kind == KD_PROJECTION_LINEAR || p->kind == KD_PROJECTION_ORTHOGONAL)
        p->tensor[KD__BIAS] = -1;
    const kd_status status = start_values(loss, p);
    if (status != KD_OK) kd__parameters_drop(loss, first);
    else p->made = 1;
    return status;
}

/* ---- widths ---- */

/* A width as a message says it. */
static void name_width(char to[24], int64_t width)
{
    if (width) snprintf(to, 24, "%lld", (long long)width);
    else snprintf(to, 24, "any");
}

static kd_status no_agreement(const kd__projection *p, int32_t term, int64_t from, int64_t to)
{
    const int shared = p->term != term;
    char whose[64] = "", widths[4][24];
    const int64_t all[4] = { p->from, p->to, from, to };
    if (shared) snprintf(whose, sizeof whose, " (of term %d)", p->term);
    for (int i = 0; i < 4; i++) name_width(widths[i], all[i]);
    return kd__fail(shared ? KD_ERR_MISMATCH : KD_ERR_SHAPE,
                    "projection '%s'%s maps %s to %s numbers, term %d needs %s to %s", p->name,
                    whose, widths[0], widths[1], term, widths[2], widths[3]);
}

kd_status kd__projection_fix(kd_loss *loss, int32_t term, int64_t from, int64_t to)
{
    kd__projection *p = kd__projection_of(loss, term);
    if ((p->from && from && p->from != from) || (p->to && to && p->to != to))
        return no_agreement(p, term, from, to);
    if (p->made) return KD_OK;
    const kd__projection before = *p;
    if (!p->from) p->from = from;
    if (!p->to) p->to = to;
    if (!p->from || !p->to) return KD_OK;
    const kd_status status = make(loss, p);
    if (status != KD_OK) *p = before;
    return status;
}

kd_status kd__variance_fix(kd_loss *loss, int32_t term, int64_t width)
{
    kd__tensor_form form = { .rank = 1, .dims = { width } };
    kd__parameters *p = &loss->parameters;
    int32_t *variance = &loss->terms[term].variance, first;
    if (*variance) {
        const int64_t count = p->tensors[*variance - 1].count;
        KD_FAIL_IF(count != width, KD_ERR_SHAPE,
                   "term %d: its variance is of %lld numbers, the sides have %lld", term,
                   (long long)count, (long long)width);
        return KD_OK;
    }
    snprintf(form.name, sizeof form.name, "variance.%d", term);
    KD_TRY(kd__parameters_add(loss, &form, 1, &first));
    float *rho = p->values + p->tensors[first].offset;
    for (int64_t i = 0; i < width; i++) rho[i] = (float)FIRST_RHO;
    *variance = first + 1;
    return KD_OK;
}

/* The shape of a layer's weight; 0: the file has none that could be one. */
static int shape_of_layer(const kd__projection *p, const char *part, kd__shape_of *shape,
                          const void *file, int64_t dims[2])
{
    char name[KD_NAME_BYTES];
    return name_tensor(name, p->name, part, "weight") == KD_OK && shape(file, name, dims) &&
           dims[0] > 0 && dims[0] <= MOST_WIDTH && dims[1] > 0 && dims[1] <= MOST_WIDTH;
}

/* The widths of a projection as a file has them; 0: it has none. Both layers of an MLP must fit
 * together, so that no more is made than the file holds. */
static int widths_in_file(const kd__projection *p, kd__shape_of *shape, const void *file,
                          int64_t *from, int64_t *to)
{
    const int two = p->kind == KD_PROJECTION_MLP;
    int64_t first[2], last[2];
    if (!shape_of_layer(p, two ? ".0" : "", shape, file, first)) return 0;
    if (!shape_of_layer(p, two ? ".2" : "", shape, file, last)) return 0;
    *from = first[1];
    *to = last[0];
    return !two || (first[0] == 2 * *from && last[1] == 2 * *from);
}

kd_status kd__projections_adopt(kd_loss *loss, kd__shape_of *shape, const void *file)
{
    int64_t from, to, dims[2];
    for (int32_t i = 0; i < loss->projection_count; i++) {
        const kd__projection *p = &loss->projections[i];
        if (!p->made && widths_in_file(p, shape, file, &from, &to))
            KD_TRY(kd__projection_fix(loss, p->term, from, to));
    }
    for (int32_t t = 0; t < loss->count; t++) {
        char name[KD_NAME_BYTES];
        if (!kd__kind_of(loss->terms[t].kind)->variance || loss->terms[t].variance) continue;
        snprintf(name, sizeof name, "variance.%d", t);
        if (shape(file, name, dims) && dims[0] > 0 && dims[0] <= MOST_WIDTH)
            KD_TRY(kd__variance_fix(loss, t, dims[0]));
    }
    return KD_OK;
}

/* ---- a term gets one ---- */

static kd_status check_options(const kd_projection_options *o)
{
    KD_FAIL_IF(o->kind < KD_PROJECTION_LINEAR || o->kind > KD_PROJECTION_ORTHOGONAL, KD_ERR_INVALID,
               "projection: kind: expected %d to %d, got %d", KD_PROJECTION_LINEAR,
               KD_PROJECTION_ORTHOGONAL, o->kind);
    KD_FAIL_IF(o->start < KD_PROJECTION_START_UNIFORM || o->start > KD_PROJECTION_START_ORTHOGONAL,
               KD_ERR_INVALID, "projection: start: expected %d to %d, got %d",
               KD_PROJECTION_START_UNIFORM, KD_PROJECTION_START_ORTHOGONAL, o->start);
    KD_FAIL_IF(o->from < 0 || o->from > MOST_WIDTH || o->to < 0 || o->to > MOST_WIDTH, KD_ERR_RANGE,
               "projection: widths: expected 0 (the sides') to 2^31, got from %lld, to %lld",
               (long long)o->from, (long long)o->to);
    return KD_OK;
}

static kd_status check_term(const kd_loss *loss, int32_t term)
{
    KD_TRY(kd__term_check(loss, term));
    const kd__term *of = &loss->terms[term];
    const kd__kind *kind = kd__kind_of(of->kind);
    KD_FAIL_IF((!kind->compare && !kind->relate) || kind->maps, KD_ERR_INVALID,
               "%s (term %d) takes no projection: it does not compare rows of features", kind->name,
               term);
    KD_FAIL_IF(of->o.classes, KD_ERR_INVALID, "%s (term %d): classes is for logits, not projected",
               kind->name, term);
    KD_FAIL_IF(of->projection, KD_ERR_STATE, "%s (term %d) has the projection '%s'", kind->name,
               term, loss->projections[of->projection - 1].name);
    KD_FAIL_IF(loss->optimizers, KD_ERR_STATE,
               "an optimizer has the loss: projections are set before kd_optimizer_add_loss");
    return KD_OK;
}

/* The number of this name, or of a new one behind the others. */
static kd_status find_named(const kd_loss *loss, const kd__projection *asked, int32_t *number)
{
    *number = 0;
    while (*number < loss->projection_count && strcmp(loss->projections[*number].name, asked->name))
        ++*number;
    if (*number == loss->projection_count) return KD_OK;
    const kd__projection *p = &loss->projections[*number];
    KD_FAIL_IF(p->kind != asked->kind || p->start != asked->start, KD_ERR_MISMATCH,
               "projection '%s': term %d has it with kind %d and start %d, term %d with %d and %d",
               p->name, p->term, p->kind, p->start, asked->term, asked->kind, asked->start);
    return KD_OK;
}

kd_status kd_loss_set_projection(kd_loss *loss, int32_t term, const kd_projection_options *options)
{
    kd_projection_options o = defaults;
    kd__projection asked = { .term = term };
    char fallback[24], longest[KD_NAME_BYTES];
    int32_t number;
    KD_NEED(loss);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_projection_options"));
    KD_TRY(check_options(&o));
    KD_TRY(check_term(loss, term));
    snprintf(fallback, sizeof fallback, "term.%d", term);
    KD_TRY(kd__name_copy(asked.name, o.name ? o.name : fallback, "projection"));
    KD_TRY(name_tensor(longest, asked.name, ".0", "weight"));
    asked.kind = o.kind;
    asked.start = o.start;
    KD_TRY(find_named(loss, &asked, &number));
    const int is_new = number == loss->projection_count;
    if (is_new) loss->projections[loss->projection_count++] = asked;
    loss->terms[term].projection = number + 1;
    const kd_status status = kd__projection_fix(loss, term, o.from, o.to);
    if (status == KD_OK) return KD_OK;
    loss->terms[term].projection = 0;
    loss->projection_count -= is_new;
    return status;
}

/* ---- open widths ---- */

/* Parameters of the term are not there yet. */
static int is_open(const kd_loss *loss, const kd__term *term)
{
    const int variance = kd__kind_of(term->kind)->variance && !term->variance;
    return variance || (term->projection && !loss->projections[term->projection - 1].made);
}

kd_status kd__parameters_check(const kd_loss *loss)
{
    for (int32_t t = 0; t < loss->count; t++)
        KD_FAIL_IF(is_open(loss, &loss->terms[t]), KD_ERR_STATE,
                   "%s (term %d): widths are open: give the projection from and to, or call "
                   "kd_loss_prepare(loss, model, targets) first",
                   kd__kind_of(loss->terms[t].kind)->name, t);
    return KD_OK;
}

/* ---- from a model's outputs and a teacher's fields ---- */

/* Rows inside samples, and numbers of all of them. */
typedef struct {
    int64_t grid, width;
} side;

static kd_status student_side(const kd__term *term, kd_model *student, side *to)
{
    kd_array values;
    KD_FAIL_IF(!student, KD_ERR_INVALID,
               "%s: the width of the student's '%s' is open: give a model",
               kd__kind_of(term->kind)->name, term->o.student_output);
    KD_TRY(kd_model_output(student, term->o.student_output, &values));
    to->width = kd__array_row(&values);
    to->grid = kd__grid_of(&values, KD__OF_SAMPLES, NULL); /* no model has others of rank 3 */
    return KD_OK;
}

static kd_status teacher_side(const kd__term *term, const kd_targets *targets, const side *student,
                              side *to)
{
    const char *kind = kd__kind_of(term->kind)->name, *name = term->o.teacher_field;
    KD_FAIL_IF(!name, KD_ERR_UNSUPPORTED,
               "%s compares with labels: give the projection from and to", kind);
    KD_FAIL_IF(!targets, KD_ERR_INVALID,
               "%s: the width of the teacher's '%s' is open: give targets", kind, name);
    const kd__field *field = kd__fields_find(&targets->fields, name);
    KD_FAIL_IF(!field, KD_ERR_NOT_FOUND, "%s: the targets have no field '%s'", kind, name);
    to->width = kd__array_row(&field->values);
    to->grid =
        kd__grid_of(&field->values, student->grid ? KD__OF_SAMPLES : field->unit, &targets->fields);
    return KD_OK;
}

kd_status kd_loss_prepare(kd_loss *loss, kd_model *student, kd_targets *targets)
{
    KD_NEED(loss);
    for (int32_t t = 0; t < loss->count; t++) {
        const kd__term *term = &loss->terms[t];
        side from, to;
        int64_t grid;
        if (!is_open(loss, term)) continue;
        KD_TRY(student_side(term, student, &from));
        KD_TRY(teacher_side(term, targets, &from, &to));
        KD_TRY(kd__grid_settle(term, from.grid, to.grid, to.width, &grid));
        KD_TRY(kd__feature_widths(loss, t, from.width / grid, to.width / grid));
    }
    return KD_OK;
}
