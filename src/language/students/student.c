/* Students cut out of a language model. */
#include <kdistill/student.h>

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "core/model/layer_map.h"
#include "language/decoder/decoder.h"
#include "language/students/factorize.h"

static const kd_student_options defaults = KD_STUDENT_OPTIONS_INIT;
void kd_student_options_init(kd_student_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

/* What is kept of a teacher: its numbers, in rising order. */
typedef struct {
    kd_model *teacher;
    const kd__trunk_config *t;
    kd_student_options o;
    int64_t layers, hidden, inner, kv; /* of the student */
    int32_t *map;                      /* (layers) */
    int32_t *keep_hidden;              /* (hidden) */
    int32_t *keep_inner;               /* (layers, inner) */
    int32_t *keep_kv;                  /* (layers, kv) */
} cutter;

/* ---- importance ---- */

typedef struct {
    double weight;
    int32_t index;
} ranked;

static int by_weight(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
    return x->index - y->index;
}
static int by_index(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

/* The `keep` heaviest of n, in rising order. */
static void heaviest(const double *weights, int64_t n, int64_t keep, ranked *list, int32_t *to)
{
    for (int64_t i = 0; i < n; i++) list[i] = (ranked){ weights ? weights[i] : 0, (int32_t)i };
    qsort(list, (size_t)n, sizeof *list, by_weight);
    for (int64_t i = 0; i < keep; i++) to[i] = list[i].index;
    qsort(to, (size_t)keep, sizeof *to, by_index);
}

static double silu(double x) { return x / (1 + exp(-x)); }

/* Mean absolute activations of a pass: hidden numbers after each norm, silu(gate) up, each
 * key-value group's part of what attention gives. */
static void measure(const cutter *c, const kd__trunk_pass *pass, double *hidden, double *inner,
                    double *kv)
{
    const kd__trunk_config *t = c->t;
    const kd__trunk_plan *p = &pass->plan;
    const float *block = pass->block;
    const int64_t rows = pass->rows, group = t->heads / t->kv_heads * t->width;
    for (int64_t l = 0; l < t->layers; l++) {
        const float *at = block + l * p->step, *x = block + p->x + l * p->x_step,
                    *w1 = kd__tensor_values(c->teacher, t->layer[l].norm1),
                    *w2 = kd__tensor_values(c->teacher, t->layer[l].norm2);
        for (int64_t r = 0; r < rows; r++) {
            const float *gu = at + p->gu + r * 2 * t->inner, *mid = at + p->mid + r * t->hidden,
                        r1 = at[p->r1 + r], r2 = at[p->r2 + r];
            for (int64_t i = 0; i < t->hidden; i++)
                hidden[i] += fabs(x[r * t->hidden + i] * r1 * w1[i]) + fabs(mid[i] * r2 * w2[i]);
            for (int64_t i = 0; i < t->inner; i++)
                inner[l * t->inner + i] += fabs(silu(gu[i]) * gu[t->inner + i]);
        }
        for (int64_t h = 0; h < t->kv_heads; h++)
            for (int64_t r = 0; r < rows; r++)
                for (int64_t i = 0; i < group; i++)
                    kv[l * t->kv_heads + h] += fabs(at[p->att + (r * t->kv_heads + h) * group + i]);
    }
}

/* The calibration texts through the teacher in a pass of its own, which keeps all layers'
 * values. */
static kd_status calibrate(const cutter *c, double *hidden, double *inner, double *kv)
{
    const kd__trunk_kept all = { .dtype = KD_FLOAT32 };
    kd__trunk_pass pass = { 0 };
    const kd_status status = kd__trunk_forward(c->teacher, &pass, all, c->o.calibration, 1);
    if (status == KD_OK) measure(c, &pass, hidden, inner, kv);
    kd__trunk_pass_free(&pass, c->teacher->object.context);
    return status;
}

static kd_status choose_parts(cutter *c)
{
    kd_context *context = c->teacher->object.context;
    const kd__trunk_config *t = c->t;
    double *weights = NULL;
    ranked *list = NULL;
    const int64_t n = t->hidden + t->layers * (t->inner + t->kv_heads),
                  most = kd__max(t->hidden, t->inner);
    kd_status status = KD_NEW(context, &weights, n);
    if (status == KD_OK) status = KD_NEW(context, &list, kd__max(most, t->kv_heads));
    double *inner = weights ? weights + t->hidden : NULL,
           *kv = inner ? inner + t->layers * t->inner : NULL;
    if (status == KD_OK && c->o.calibration) status = calibrate(c, weights, inner, kv);
    if (status == KD_OK) {
        heaviest(weights, t->hidden, c->hidden, list, c->keep_hidden);
        for (int64_t i = 0; i < c->layers; i++) {
            heaviest(inner + c->map[i] * t->inner, t->inner, c->inner, list,
                     c->keep_inner + i * c->inner);
            heaviest(kv + c->map[i] * t->kv_heads, t->kv_heads, c->kv, list,
                     c->keep_kv + i * c->kv);
        }
    }
    kd__release(context, weights);
    kd__release(context, list);
    return status;
}

/* ---- the config ---- */

static kd_status put_key(kd__text *to, const char *key, int *first)
{
    if (!*first) KD_TRY(kd__text_append(to, ",", 1));
    *first = 0;
    KD_TRY(kd__text_quoted(to, key));
    return kd__text_append(to, ":", 1);
}

static const struct {
    const char *key;
    size_t offset;
} sizes[] = { { "num_hidden_layers", offsetof(cutter, layers) },
              { "hidden_size", offsetof(cutter, hidden) },
              { "intermediate_size", offsetof(cutter, inner) },
              { "num_key_value_heads", offsetof(cutter, kv) } };

/* Keys whose values are the cutter's, or told by layer, or hang on them. */
static int is_ours(const char *key)
{
    static const char *const others[] = { "num_attention_heads", "head_dim",
                                          "layer_types",         "max_window_layers",
                                          "kd_layer_repeats",    "kd_layer_sharing",
                                          "kd_embedding_size" };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (!strcmp(key, sizes[i].key)) return 1;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(key, others[i])) return 1;
    return 0;
}

static kd_status put_layer_types(const cutter *c, kd__text *to)
{
    for (int64_t i = 0; i < c->layers; i++)
        KD_TRY(kd__text_format(to, "%s\"%s\"", i ? "," : "[",
                               c->t->layer[c->map[i]].window ? "sliding_attention"
                                                             : "full_attention"));
    return kd__text_append(to, "]", 1);
}

static kd_status put_config(const cutter *c, const kd__json *old, const kd__json *over,
                            kd__text *to)
{
    int first = 1, windows = 0;
    KD_TRY(kd__text_append(to, "{", 1));
    for (const kd__json *n = old->first; n; n = n->next) {
        if (is_ours(n->key) || kd__json_member(over, n->key)) continue;
        KD_TRY(put_key(to, n->key, &first));
        KD_TRY(kd__json_write(to, n));
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        KD_TRY(put_key(to, sizes[i].key, &first));
        KD_TRY(kd__text_format(
            to, "%lld",
            (long long)*(const int64_t *)(const void *)((const char *)c + sizes[i].offset)));
    }
    KD_TRY(put_key(to, "num_attention_heads", &first));
    KD_TRY(kd__text_format(to, "%lld", (long long)(c->t->heads / c->t->kv_heads * c->kv)));
    KD_TRY(put_key(to, "head_dim", &first));
    KD_TRY(kd__text_format(to, "%lld", (long long)c->t->width));
    for (int64_t l = 0; l < c->t->layers; l++) windows |= c->t->layer[l].window != 0;
    if (windows && !kd__json_member(over, "layer_types") &&
        !kd__json_member(over, "sliding_window")) {
        KD_TRY(put_key(to, "layer_types", &first));
        KD_TRY(put_layer_types(c, to));
    }
    for (const kd__json *n = over ? over->first : NULL; n; n = n->next) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            KD_FAIL_IF(!strcmp(n->key, sizes[i].key), KD_ERR_CONFIG,
                       "kd_student_options.config: %s is a size: set it with the option instead",
                       n->key);
        KD_TRY(put_key(to, n->key, &first));
        KD_TRY(kd__json_write(to, n));
    }
    return kd__text_append(to, "}", 1);
}

static kd_status make_config(const cutter *c, kd__text *to)
{
    kd__json_document old = { 0 }, over = { 0 };
    const char *config = c->teacher->net.config;
    kd_status status = kd__json_parse(&old, to->context, config, strlen(config), "config");
    if (status == KD_OK && c->o.config)
        status = kd__json_parse(&over, to->context, c->o.config, strlen(c->o.config),
                                "kd_student_options.config");
    if (status == KD_OK && over.root && over.root->type != KD__JSON_OBJECT)
        status = kd__fail(KD_ERR_CONFIG, "kd_student_options.config: expected an object");
    if (status == KD_OK) status = put_config(c, old.root, over.root, to);
    kd__json_free(&old);
    kd__json_free(&over);
    return status;
}

/* ---- weights ---- */

/* Rows (or numbers) and columns of a teacher's tensor that the student's has. NULL: all of them, in
 * order. */
static void cut(const cutter *c, kd_model *student, int32_t to, int32_t from, const int32_t *rows,
                const int32_t *columns)
{
    if (to < 0 || from < 0) return;
    const kd__tensor *a = &student->net.tensors[to], *b = &c->teacher->net.tensors[from];
    float *y = kd__tensor_values(student, to);
    const float *x = kd__tensor_values(c->teacher, from);
    const int64_t wide = a->rank == 2 ? a->dims[1] : 1, old = b->rank == 2 ? b->dims[1] : 1;
    for (int64_t i = 0; i < a->dims[0]; i++)
        for (int64_t j = 0; j < wide; j++)
            y[i * wide + j] =
                x[(rows ? rows[i] : i) * old + (columns && a->rank == 2 ? columns[j] : j)];
}

/* Rows of q (or k, v) of the kept groups: each has `each` rows. */
static void spread(const int32_t *keep, int64_t count, int64_t each, int32_t *to)
{
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < each; j++) to[i * each + j] = (int32_t)(keep[i] * each + j);
}

static void cut_layer(const cutter *c, kd_model *student, int64_t i, int32_t *q_rows,
                      int32_t *kv_rows)
{
    const kd__trunk_layer *a = &kd__trunk_config_of(student)->layer[i],
                          *b = &c->t->layer[c->map[i]];
    const int32_t *h = c->keep_hidden, *inner = c->keep_inner + i * c->inner;
    spread(c->keep_kv + i * c->kv, c->kv, c->t->heads / c->t->kv_heads * c->t->width, q_rows);
    spread(c->keep_kv + i * c->kv, c->kv, c->t->width, kv_rows);
    cut(c, student, a->norm1, b->norm1, h, NULL);
    cut(c, student, a->norm2, b->norm2, h, NULL);
    cut(c, student, a->q, b->q, q_rows, h);
    cut(c, student, a->k, b->k, kv_rows, h);
    cut(c, student, a->v, b->v, kv_rows, h);
    cut(c, student, a->qb, b->qb, q_rows, NULL);
    cut(c, student, a->kb, b->kb, kv_rows, NULL);
    cut(c, student, a->vb, b->vb, kv_rows, NULL);
    cut(c, student, a->qn, b->qn, NULL, NULL);
    cut(c, student, a->kn, b->kn, NULL, NULL);
    cut(c, student, a->o, b->o, h, q_rows);
    cut(c, student, a->ob, b->ob, h, NULL);
    cut(c, student, a->gate, b->gate, inner, h);
    cut(c, student, a->up, b->up, inner, h);
    cut(c, student, a->gateb, b->gateb, inner, NULL);
    cut(c, student, a->upb, b->upb, inner, NULL);
    cut(c, student, a->down, b->down, h, inner);
    cut(c, student, a->downb, b->downb, h, NULL);
}

/* The kept columns of the teacher's embeddings, or what comes nearest to them in fewer numbers. */
static kd_status cut_embedding(const cutter *c, kd_model *student)
{
    kd_context *context = student->object.context;
    const kd__trunk_config *d = kd__trunk_config_of(student);
    const float *x = kd__tensor_values(c->teacher, c->t->embedding);
    float *kept = NULL;
    if (d->projection < 0)
        return cut(c, student, d->embedding, c->t->embedding, NULL, c->keep_hidden), KD_OK;
    KD_TRY(KD_NEW(context, &kept, d->vocabulary * d->hidden));
    for (int64_t i = 0; i < d->vocabulary; i++)
        for (int64_t j = 0; j < d->hidden; j++)
            kept[i * d->hidden + j] = x[i * c->t->hidden + c->keep_hidden[j]];
    const kd_status status = kd__factorize(context, kept, d->vocabulary, d->hidden, d->embedded,
                                           kd__tensor_values(student, d->embedding),
                                           kd__tensor_values(student, d->projection));
    kd__release(context, kept);
    return status;
}

static int same_dense(const kd_model *student, const kd_model *teacher)
{
    const kd__chain *a = &kd__samples_of(student)->chain[KD__CHAIN_EMBEDDING],
                    *b = &kd__samples_of(teacher)->chain[KD__CHAIN_EMBEDDING];
    int same = a->count == b->count;
    for (int64_t i = 0; i < a->count && same; i++)
        same = a->stage[i].outputs == b->stage[i].outputs &&
               (a->stage[i].bias < 0) == (b->stage[i].bias < 0);
    return same;
}

/* Dense layers of "embedding": the first reads the hidden units that are kept. */
static void cut_dense(const cutter *c, kd_model *student)
{
    const kd__chain *a = &kd__samples_of(student)->chain[KD__CHAIN_EMBEDDING],
                    *b = &kd__samples_of(c->teacher)->chain[KD__CHAIN_EMBEDDING];
    for (int64_t i = 0; i < a->count; i++) {
        cut(c, student, a->stage[i].weight, b->stage[i].weight, NULL, i ? NULL : c->keep_hidden);
        cut(c, student, a->stage[i].bias, b->stage[i].bias, NULL, NULL);
    }
}

static kd_status cut_all(const cutter *c, kd_model *student)
{
    kd_context *context = student->object.context;
    const kd__trunk_config *d = kd__trunk_config_of(student);
    int32_t *rows = NULL;
    KD_FAIL_IF(
        d->vocabulary != c->t->vocabulary || d->layers != c->layers || d->hidden != c->hidden ||
            d->inner != c->inner || d->kv_heads != c->kv || d->width != c->t->width,
        KD_ERR_CONFIG, "kd_student_options.config changes a size: set it with the option instead");
    KD_FAIL_IF(!same_dense(student, c->teacher), KD_ERR_CONFIG,
               "kd_student_options.config changes kd_dense: append layers to the student instead");
    KD_FAIL_IF(c->t->projection >= 0, KD_ERR_UNSUPPORTED,
               "the teacher's embeddings are factorized: save it with option expand and load that");
    KD_TRY(cut_embedding(c, student));
    KD_TRY(KD_NEW(context, &rows, 2 * d->heads * d->width + 2));
    cut(c, student, d->norm, c->t->norm, c->keep_hidden, NULL);
    cut_dense(c, student);
    if (!d->tied) cut(c, student, d->head, c->t->head, NULL, c->keep_hidden);
    /* the first of shared ones last */
    for (int64_t i = d->layers; i-- > 0;)
        cut_layer(c, student, i, rows, rows + d->heads * d->width);
    kd__release(context, rows);
    return KD_OK;
}

/* ---- options ---- */

static kd_status size_of(int32_t asked, int64_t whole, const char *name, int64_t *size)
{
    KD_FAIL_IF(asked < 0 || asked > whole, KD_ERR_RANGE,
               "%s: expected 0 (all) to %lld, which the teacher has, got %d", name,
               (long long)whole, asked);
    *size = asked ? asked : whole;
    return KD_OK;
}

static kd_status make_map(cutter *c)
{
    const int64_t n = c->layers, whole = c->t->layers;
    KD_FAIL_IF(c->o.choose < KD_LAYERS_UNIFORM || c->o.choose > KD_LAYERS_BLOCKS, KD_ERR_RANGE,
               "choose: expected 0 to %d, got %d", KD_LAYERS_BLOCKS, c->o.choose);
    for (int64_t i = 0; i < n; i++) {
        c->map[i] = c->o.layer_map ? c->o.layer_map[i]
                                   : (int32_t)kd__mapped_layer(c->o.choose, i, n, whole);
        KD_FAIL_IF(c->map[i] < 0 || c->map[i] >= whole, KD_ERR_RANGE,
                   "layer_map: layer %lld: the teacher has no layer %d", (long long)i, c->map[i]);
    }
    return KD_OK;
}

static kd_status prepare(cutter *c)
{
    kd_context *context = c->teacher->object.context;
    KD_TRY(size_of(c->o.layers, c->o.layer_map ? 4096 : c->t->layers, "layers", &c->layers));
    KD_FAIL_IF(c->o.layer_map && !c->o.layers, KD_ERR_INVALID,
               "layer_map needs the number of layers");
    KD_TRY(size_of(c->o.hidden_size, c->t->hidden, "hidden_size", &c->hidden));
    KD_TRY(size_of(c->o.intermediate_size, c->t->inner, "intermediate_size", &c->inner));
    KD_TRY(size_of(c->o.key_value_heads, c->t->kv_heads, "key_value_heads", &c->kv));
    KD_TRY(KD_NEW(context, &c->map, c->layers));
    KD_TRY(KD_NEW(context, &c->keep_hidden, c->hidden));
    KD_TRY(KD_NEW(context, &c->keep_inner, c->layers * c->inner));
    KD_TRY(KD_NEW(context, &c->keep_kv, c->layers * c->kv));
    return make_map(c);
}

kd_status kd_student_create(kd_model **out, kd_model *teacher, const kd_student_options *options)
{
    cutter c = { .teacher = teacher, .o = defaults };
    kd_model *student = NULL;
    KD_NEED(out);
    KD_NEED(teacher);
    KD_TRY(kd__options_read(&c.o, sizeof c.o, options, "kd_student_options"));
    KD_FAIL_IF(!kd__is_decoder(teacher), KD_ERR_UNSUPPORTED,
               "student: the teacher is not a language model");
    c.t = kd__trunk_config_of(teacher);
    KD_TRY(kd__model_refresh(teacher));
    kd_context *context = teacher->object.context;
    kd__text config = { .context = context };
    kd_status status = prepare(&c);
    if (status == KD_OK) status = choose_parts(&c);
    if (status == KD_OK) status = make_config(&c, &config);
    if (status == KD_OK) status = kd__model_make(&student, context, config.bytes, &c.o.model);
    if (status == KD_OK) status = cut_all(&c, student);
    if (status == KD_OK) status = kd__model_finish(student);
    if (status == KD_OK && teacher->folder)
        status = kd__copy_text(context, &student->folder, teacher->folder);
    kd__text_free(&config);
    kd__release(context, c.map);
    kd__release(context, c.keep_hidden);
    kd__release(context, c.keep_inner);
    kd__release(context, c.keep_kv);
    if (status != KD_OK) {
        kd_model_free(student);
        return status;
    }
    *out = student;
    return KD_OK;
}
