/* W' = Q(W), the nearest point of a block format. Passes see W'; its gradient is W's, where W lies
 * within the codes' ends: dW_j = dW'_j if low <= W_j <= high, else 0. Scales are the format's own
 * rounding of the W of now; formats that search for them keep them for some steps. */
#include "language/trunk/lattice.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"

enum { TILE = 8, EVERY = 16 }; /* rows that one thread takes; steps from search to search */

static const kd_lattice_options defaults = KD_LATTICE_OPTIONS_INIT;
void kd_lattice_options_init(kd_lattice_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

static kd__lattice *lattice_of(const kd_model *model) { return kd__trunk_of(model)->lattice; }

void kd__lattice_free(kd__lattice *l, kd_context *context)
{
    if (!l) return;
    kd__release(context, l->matrices);
    kd__release(context, l->codes);
    kd__release(context, l->before);
    kd__release(context, l->effective);
    kd__release(context, l);
}

const kd__lattice_matrix *kd__lattice_find(const kd_model *model, int32_t tensor)
{
    const kd__lattice *l = kd__has_trunk(model) ? lattice_of(model) : NULL;
    for (int64_t i = 0; l && i < l->count; i++)
        if (l->matrices[i].tensor == tensor) return &l->matrices[i];
    return NULL;
}

/* ---- a matrix, by rows ---- */

typedef struct {
    const kd__lattice_matrix *m;
    const float *x; /* the float32 numbers */
    float *y;       /* their points, or gradients */
    uint8_t *codes;
    int64_t rows, width, row_bytes;
    int32_t search; /* 0: the scales stay */
    double *sums;   /* (rows, 3): squared differences, squares, clipped numbers */
} job;

static job job_of(kd_model *model, const kd__lattice_matrix *m)
{
    const kd__tensor *t = &model->net.tensors[m->tensor];
    return (job){ .m = m,
                  .x = model->parameters + t->offset,
                  .codes = lattice_of(model)->codes + m->codes_from,
                  .rows = t->dims[0],
                  .width = t->dims[1],
                  .row_bytes = kd__block_row_bytes(m->format, t->dims[1]) };
}

static void run(kd_model *model, kd__work *work, job *j)
{
    kd__parallel(model->object.context, kd__ceil_div(j->rows, TILE), work, j);
}

static void round_tile(void *argument, int64_t index, int32_t worker)
{
    const job *j = argument;
    const kd__block_format *f = j->m->format;
    (void)worker;
    for (int64_t i = index * TILE; i < kd__min((index + 1) * TILE, j->rows); i++) {
        uint8_t *codes = j->codes + i * j->row_bytes;
        const float *x = j->x + i * j->width;
        if (j->search) f->encode(x, j->width, NULL, codes);
        /* after a search, too: another pass over the same numbers then has the same codes */
        if (f->recode) f->recode(x, j->width, codes);
        kd__block_decode_row(f, codes, j->width, j->y + i * j->width);
    }
}

/* ---- refreshing ---- */

/* A step of an optimizer makes gradients fresh; backward passes of parts do not. */
static void count_step(const kd_model *model, kd__lattice *l)
{
    if (!l->trained || !model->gradients_fresh) return;
    l->trained = 0;
    l->steps++;
}

static void refresh_matrix(kd_model *model, kd__lattice_matrix *m)
{
    const kd__lattice *l = lattice_of(model);
    job j = job_of(model, m);
    j.y = l->effective + model->net.tensors[m->tensor].offset;
    j.search = !m->format->recode || m->searched < 0 || l->steps >= m->searched + m->every;
    if (j.search) m->searched = l->steps;
    run(model, round_tile, &j);
}

kd_status kd__lattice_refresh(kd_model *model)
{
    kd__lattice *l = lattice_of(model);
    if (!l) return KD_OK;
    count_step(model, l);
    if (model->parameters_replaced)
        for (int64_t i = 0; i < l->count; i++) l->matrices[i].searched = -1;
    model->parameters_replaced = 0;
    memcpy(l->effective, model->parameters, (size_t)model->net.parameters * sizeof *l->effective);
    for (int64_t i = 0; i < l->count; i++) refresh_matrix(model, &l->matrices[i]);
    return KD_OK;
}

/* ---- gradients ---- */

static void clip_row(const job *j, const float *x, const uint8_t *codes, float *dx)
{
    const kd__block_format *f = j->m->format;
    for (int64_t at = 0; at < j->width; at += f->group) {
        const uint8_t *block = codes + at / f->numbers * f->bytes;
        float low, high;
        f->ends(block, (int32_t)(at % f->numbers / f->group), &low, &high);
        for (int64_t k = at; k < at + f->group; k++)
            if (x[k] < low || x[k] > high) dx[k] = 0;
    }
}

static void clip_tile(void *argument, int64_t index, int32_t worker)
{
    const job *j = argument;
    (void)worker;
    for (int64_t i = index * TILE; i < kd__min((index + 1) * TILE, j->rows); i++)
        clip_row(j, j->x + i * j->width, j->codes + i * j->row_bytes, j->y + i * j->width);
}

void kd__lattice_gradients(kd_model *model, int64_t first, int64_t end)
{
    kd__lattice *l = lattice_of(model);
    for (int64_t i = 0; l && i < l->count; i++) {
        const kd__lattice_matrix *m = &l->matrices[i];
        if (m->tensor < first || m->tensor >= end) continue;
        job j = job_of(model, m);
        j.y = kd__tensor_gradient(model, m->tensor);
        run(model, clip_tile, &j);
    }
    if (l) l->trained = 1;
}

/* ---- putting matrices on a lattice ---- */

static kd_status check_model(const kd_model *model)
{
    KD_FAIL_IF(!kd__has_trunk(model), KD_ERR_UNSUPPORTED,
               "lattice: the model is not a language model");
    KD_FAIL_IF(kd__trunk_of(model)->lora, KD_ERR_STATE,
               "lattice: the model has adapters: save it, which merges them, and load it");
    KD_FAIL_IF(kd__trunk_of(model)->packed, KD_ERR_UNSUPPORTED,
               "lattice: the model has weights of few bits (option weights): expected KD_FLOAT32");
    KD_FAIL_IF(model->on_gradients, KD_ERR_STATE,
               "lattice: a step is open: call kd_optimizer_step first");
    return KD_OK;
}

static kd_status find_format(const kd_lattice_options *o, const kd__block_format **f)
{
    *f = kd__block_find(o->format);
    KD_FAIL_IF(o->format && (!*f || !(*f)->encode), KD_ERR_UNSUPPORTED,
               "lattice: format: expected 0 or one that is written (" KD__BLOCKS_WRITTEN
               "), got %d",
               o->format);
    KD_FAIL_IF(o->every < 0, KD_ERR_RANGE, "lattice: every: expected 0 or more, got %d", o->every);
    return KD_OK;
}

static int is_matched(const kd_model *model, int64_t tensor, const char *pattern)
{
    const kd__tensor *t = &model->net.tensors[tensor];
    return t->rank == 2 && strncmp(t->name, "heads.", 6) && kd__matches(pattern, t->name);
}

static kd_status check_matches(const kd_model *model, const char *pattern,
                               const kd__block_format *f)
{
    int64_t matched = 0;
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        if (!is_matched(model, i, pattern)) continue;
        KD_FAIL_IF(f && t->dims[1] % f->numbers, KD_ERR_SHAPE,
                   "lattice: %s: rows of %lld numbers do not fit %s, whose blocks have %d%s",
                   t->name, (long long)t->dims[1], f->name, f->numbers,
                   f->numbers == 256 && t->dims[1] % 32 == 0 ? ": take Q4_0 or IQ4_NL" : "");
        matched++;
    }
    KD_FAIL_IF(!matched, KD_ERR_NOT_FOUND, "lattice: no matrix matches '%.60s'", pattern);
    return KD_OK;
}

/* What the model will have: those that do not match as they are, those that do in the format. */
static kd_status add_matrices(kd_model *model, kd__lattice *made, const char *pattern,
                              const kd__block_format *f, int32_t every)
{
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__lattice_matrix *old = kd__lattice_find(model, (int32_t)i);
        kd__lattice_matrix m = { .tensor = (int32_t)i, .format = f, .every = every };
        if (!is_matched(model, i, pattern)) {
            if (!old) continue;
            m = *old;
        } else if (!f) continue;
        m.searched = -1;
        m.codes_from = made->bytes;
        made->bytes += kd__block_row_bytes(m.format, model->net.tensors[i].count);
        KD_TRY(KD_RESERVE(model->object.context, &made->matrices, &made->room, made->count + 1));
        made->matrices[made->count++] = m;
    }
    return KD_OK;
}

static kd_status make_lattice(kd_model *model, kd__lattice *made, const char *pattern,
                              const kd__block_format *f, int32_t every)
{
    KD_TRY(add_matrices(model, made, pattern, f, every));
    KD_TRY(KD_NEW(model->object.context, &made->codes, made->bytes + 1));
    return KD_NEW(model->object.context, &made->effective, model->net.parameters);
}

/* Numbers that a block can hold: told before a pass. */
static kd_status check_numbers(kd_model *model, const kd__lattice *l)
{
    for (int64_t i = 0; i < l->count; i++) {
        const kd__tensor *t = &model->net.tensors[l->matrices[i].tensor];
        const float *x = model->parameters + t->offset;
        for (int64_t k = 0; k < t->count; k++)
            KD_FAIL_IF(!isfinite(x[k]), KD_ERR_RANGE, "lattice: %s: number %lld is not finite",
                       t->name, (long long)k);
    }
    return KD_OK;
}

kd_status kd_model_set_lattice(kd_model *model, const char *pattern,
                               const kd_lattice_options *options)
{
    kd_lattice_options o = defaults;
    const kd__block_format *f;
    kd__lattice *made = NULL;
    KD_NEED(model);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_lattice_options"));
    KD_TRY(check_model(model));
    KD_TRY(find_format(&o, &f));
    if (!pattern) pattern = "*_proj.weight";
    KD_TRY(check_matches(model, pattern, f));
    kd_context *context = model->object.context;
    KD_TRY(KD_NEW(context, &made, 1));
    kd_status status = make_lattice(model, made, pattern, f, o.every ? o.every : EVERY);
    if (status == KD_OK) status = check_numbers(model, made);
    if (status != KD_OK) {
        kd__lattice_free(made, context);
        return status;
    }
    kd__lattice_free(lattice_of(model), context);
    kd__trunk_of(model)->lattice = made;
    if (made->count) return kd__lattice_refresh(model);
    kd__lattice_free(made, context);
    kd__trunk_of(model)->lattice = NULL;
    return KD_OK;
}

/* ---- facts ---- */

static void measure_tile(void *argument, int64_t index, int32_t worker)
{
    const job *j = argument;
    const kd__block_format *f = j->m->format;
    (void)worker;
    for (int64_t i = index * TILE; i < kd__min((index + 1) * TILE, j->rows); i++) {
        const float *x = j->x + i * j->width, *y = j->y + i * j->width;
        double *sums = j->sums + 3 * i;
        sums[0] = sums[1] = sums[2] = 0;
        for (int64_t k = 0; k < j->width; k++) {
            const uint8_t *block = j->codes + i * j->row_bytes + k / f->numbers * f->bytes;
            float low = 0, high = 0;
            if (k % f->group == 0) { /* once a group */
                f->ends(block, (int32_t)(k % f->numbers / f->group), &low, &high);
                for (int64_t n = k; n < k + f->group; n++) sums[2] += x[n] < low || x[n] > high;
            }
            sums[0] += (double)(x[k] - y[k]) * (x[k] - y[k]);
            sums[1] += (double)x[k] * x[k];
        }
    }
}

static kd_status measure(kd_model *model, const kd__lattice_matrix *m, double to[3])
{
    job j = job_of(model, m);
    j.y = lattice_of(model)->effective + model->net.tensors[m->tensor].offset;
    KD_TRY(KD_NEW(model->object.context, &j.sums, 3 * j.rows));
    run(model, measure_tile, &j);
    for (int64_t i = 0; i < j.rows; i++)
        for (int k = 0; k < 3; k++) to[k] += j.sums[3 * i + k];
    kd__release(model->object.context, j.sums);
    return KD_OK;
}

/* Codes that differ from those of before: of codes of more than four bits the low four. */
static int64_t changed_codes(const kd__lattice *l, const kd__lattice_matrix *m, int64_t count)
{
    const kd__block_format *f = m->format;
    const int64_t blocks = count / f->numbers;
    const int32_t bytes = f->code_bits == 8 ? f->numbers : f->numbers / 2;
    int64_t changed = 0;
    for (int64_t i = 0; i < blocks; i++) {
        const uint8_t *now = l->codes + m->codes_from + i * f->bytes + f->codes_at;
        const uint8_t *then = l->before + m->codes_from + i * f->bytes + f->codes_at;
        for (int32_t k = 0; k < bytes; k++) {
            const int other = now[k] ^ then[k];
            changed += f->code_bits == 8 ? other != 0 : ((other & 15) != 0) + (other >> 4 != 0);
        }
    }
    return changed;
}

static kd_status keep_codes(kd_model *model, kd__lattice *l)
{
    if (!l->before) KD_TRY(KD_NEW(model->object.context, &l->before, l->bytes + 1));
    memcpy(l->before, l->codes, (size_t)l->bytes);
    return KD_OK;
}

kd_status kd_model_get_lattice_info(kd_model *model, kd_lattice_info *info)
{
    KD_NEED(model);
    KD_NEED(info);
    kd__lattice *l = kd__has_trunk(model) ? lattice_of(model) : NULL;
    kd_lattice_info now = { 0 };
    double sums[3] = { 0 }, changed = 0;
    KD_FAIL_IF(!l, KD_ERR_STATE, "lattice: the model has none: call kd_model_set_lattice first");
    KD_TRY(kd__lattice_refresh(model));
    for (int64_t i = 0; i < l->count; i++) {
        const int64_t count = model->net.tensors[l->matrices[i].tensor].count;
        KD_TRY(measure(model, &l->matrices[i], sums));
        if (l->before) changed += (double)changed_codes(l, &l->matrices[i], count);
        now.numbers += count;
    }
    KD_TRY(keep_codes(model, l));
    now.matrices = (int32_t)l->count;
    now.bits = 8.0 * (double)l->bytes / (double)now.numbers;
    now.error = sums[1] > 0 ? sqrt(sums[0] / sums[1]) : 0;
    now.changed_share = changed / (double)now.numbers;
    now.clipped_share = sums[2] / (double)now.numbers;
    return kd__info_write(info, &now, sizeof now, "kd_lattice_info");
}
