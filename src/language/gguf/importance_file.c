/* Importance matrices as llama-imatrix writes them in GGUF form: for a matrix "blk.0.attn_q.weight"
 * the tensors ".in_sum2" (1, inputs), sums of squares, and ".counts" (1, 1), rows. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "formats/gguf_put.h"
#include "language/gguf/gguf_plan.h"
#include "language/gguf/importance_matrix.h"

enum { SUMS, COUNTS };
static const char *const endings[] = { ".in_sum2", ".counts" };

/* A tensor's name in the file. */
static void name_of(const kd_importance *importance, int64_t entry, int ending,
                    char to[2 * KD_NAME_BYTES])
{
    char ours[KD_NAME_BYTES], theirs[KD_NAME_BYTES] = "";
    const int32_t tensor = importance->entries[entry].tensor;
    kd__gguf_layer_name(importance->model, tensor, entry / KD__LAYER_MATRICES, ours);
    kd__gguf_name(ours, theirs);
    snprintf(to, 2 * KD_NAME_BYTES, "%s%s", theirs, endings[ending]);
}

static int64_t entry_count(const kd_importance *importance)
{
    return importance->layers * KD__LAYER_MATRICES;
}

/* What is known of an entry: its own, or of shared tensors that of the first layer. */
static const kd__importance_entry *known(const kd_importance *importance, int64_t entry)
{
    const int32_t tensor = importance->entries[entry].tensor;
    const kd__trunk_config *d = kd__trunk_config_of(importance->model);
    const kd__importance_entry *e = tensor < 0 ? NULL : kd__importance_of(importance, d, tensor);
    return e && e->count > 0 ? e : NULL;
}

/* ---- writing ---- */

typedef struct {
    const kd_importance *importance;
    kd__text pairs, infos, data;
    int64_t tensors;
} writer;

static kd_status put_floats(writer *w, const char *name, const double *x, int64_t count)
{
    static const char zeros[KD__GGUF_ALIGNMENT];
    const int64_t dims[2] = { 1, count };
    KD_TRY(kd__gguf_put_tensor(&w->infos, name, 2, dims, KD__GGML_F32, w->data.size));
    for (int64_t i = 0; i < count; i++) {
        uint8_t bytes[4];
        kd__put_float(bytes, (float)x[i]);
        KD_TRY(kd__text_append(&w->data, bytes, sizeof bytes));
    }
    w->tensors++;
    const int64_t padding = kd__round_up(w->data.size, KD__GGUF_ALIGNMENT) - w->data.size;
    return kd__text_append(&w->data, zeros, (size_t)padding);
}

static kd_status put_entries(writer *w)
{
    char name[2 * KD_NAME_BYTES];
    for (int64_t i = 0; i < entry_count(w->importance); i++) {
        const kd__importance_entry *e = known(w->importance, i);
        if (!e) continue;
        name_of(w->importance, i, SUMS, name);
        KD_TRY(put_floats(w, name, e->sums, e->width));
        name_of(w->importance, i, COUNTS, name);
        KD_TRY(put_floats(w, name, &e->count, 1));
    }
    KD_FAIL_IF(!w->tensors, KD_ERR_STATE,
               "importance: nothing was added yet: call kd_importance_add first");
    return KD_OK;
}

/* llama-imatrix counts chunks of one size; here all rows are one. */
static kd_status put_pairs(writer *w, double rows)
{
    KD_TRY(kd__gguf_put_key(&w->pairs, "general.type", KD__GGUF_STRING));
    KD_TRY(kd__gguf_put_string(&w->pairs, "imatrix", 7));
    KD_TRY(kd__gguf_put_key(&w->pairs, "imatrix.datasets", KD__GGUF_ARRAY));
    KD_TRY(kd__gguf_put32(&w->pairs, KD__GGUF_STRING));
    KD_TRY(kd__gguf_put64(&w->pairs, 1));
    KD_TRY(kd__gguf_put_string(&w->pairs, "libkdistill", 11));
    KD_TRY(kd__gguf_put_key(&w->pairs, "imatrix.chunk_count", KD__GGUF_U32));
    KD_TRY(kd__gguf_put32(&w->pairs, 1));
    KD_TRY(kd__gguf_put_key(&w->pairs, "imatrix.chunk_size", KD__GGUF_U32));
    return kd__gguf_put32(&w->pairs, (uint32_t)fmin(rows, 4e9));
}

static kd_status write_all(const writer *w, kd__output *output)
{
    static const char zeros[KD__GGUF_ALIGNMENT];
    uint8_t head[24];
    const int64_t bytes = (int64_t)sizeof head + w->pairs.size + w->infos.size;
    kd__gguf_head(head, w->tensors, 4);
    KD_TRY(kd__output_write(output, head, sizeof head));
    KD_TRY(kd__output_write(output, w->pairs.bytes, w->pairs.size));
    KD_TRY(kd__output_write(output, w->infos.bytes, w->infos.size));
    KD_TRY(kd__output_write(output, zeros, kd__round_up(bytes, KD__GGUF_ALIGNMENT) - bytes));
    KD_TRY(kd__output_write(output, w->data.bytes, w->data.size));
    return kd__output_commit(output);
}

static kd_status save(writer *w, const char *path)
{
    kd__output output = { .context = w->importance->object.context, .file = -1 };
    KD_TRY(put_entries(w));
    KD_TRY(put_pairs(w, w->importance->entries[0].count));
    KD_TRY(kd__output_open(&output, w->importance->object.context, path, 1));
    const kd_status status = write_all(w, &output);
    if (status != KD_OK) kd__output_abandon(&output);
    return status;
}

kd_status kd_importance_save(kd_importance *importance, const char *path)
{
    KD_NEED(importance);
    KD_NEED(path);
    kd_context *context = importance->object.context;
    writer w = { .importance = importance,
                 .pairs = { .context = context },
                 .infos = { .context = context },
                 .data = { .context = context } };
    const kd_status status = save(&w, path);
    kd__text_free(&w.pairs);
    kd__text_free(&w.infos);
    kd__text_free(&w.data);
    return status;
}

/* ---- reading ---- */

static kd_status read_floats(const kd__gguf *file, const kd__gguf_tensor *t, int64_t expected,
                             double *to, float *spare)
{
    const int shown = (int)kd__min(t->name.bytes, 100);
    KD_FAIL_IF(t->type != KD__GGML_F32, KD_ERR_UNSUPPORTED,
               "%s: %.*s: expected float32, got type %d", file->what, shown, t->name.text, t->type);
    KD_FAIL_IF(t->count != expected, KD_ERR_SHAPE, "%s: %.*s: expected %lld numbers, got %lld",
               file->what, shown, t->name.text, (long long)expected, (long long)t->count);
    kd__gguf_rows(t, 0, 1, expected, spare);
    for (int64_t i = 0; i < expected; i++) {
        KD_FAIL_IF(!(spare[i] >= 0 && isfinite(spare[i])), KD_ERR_FORMAT,
                   "%s: %.*s: number %lld: expected 0 or more, got %g", file->what, shown,
                   t->name.text, (long long)i, (double)spare[i]);
        to[i] = spare[i];
    }
    return KD_OK;
}

static kd_status read_entry(kd_importance *importance, int64_t entry, const kd__gguf *file,
                            uint8_t *used)
{
    kd__importance_entry *e = &importance->entries[entry];
    char name[2][2 * KD_NAME_BYTES];
    const kd__gguf_tensor *found[2];
    if (e->tensor < 0) return KD_OK;
    for (int k = SUMS; k <= COUNTS; k++) {
        name_of(importance, entry, k, name[k]);
        found[k] = kd__gguf_tensor_find(file, name[k]);
        if (found[k]) used[found[k] - file->tensors] = 1;
    }
    KD_FAIL_IF(!found[SUMS] != !found[COUNTS], KD_ERR_FORMAT, "%s: %s without %s", file->what,
               name[found[SUMS] ? SUMS : COUNTS], name[found[SUMS] ? COUNTS : SUMS]);
    if (!found[SUMS]) return KD_OK;
    KD_TRY(read_floats(file, found[SUMS], e->width, e->sums, importance->means));
    return read_floats(file, found[COUNTS], 1, &e->count, importance->means);
}

/* Heads and embeddings may have entries, which no matrix of a layer has. */
static kd_status check_used(const kd__gguf *file, const uint8_t *used)
{
    for (int64_t i = 0; i < file->tensor_count; i++) {
        const kd__gguf_string name = file->tensors[i].name;
        const int apart = name.bytes > 6 &&
                          (!memcmp(name.text, "output", 6) || !memcmp(name.text, "token_", 6));
        KD_FAIL_IF(!used[i] && !apart, KD_ERR_MISMATCH,
                   "%s: %.*s is of none of the model's matrices", file->what,
                   (int)kd__min(name.bytes, 100), name.text);
    }
    return KD_OK;
}

static kd_status read_all(kd_importance *importance, const kd__gguf *file)
{
    uint8_t *used = NULL;
    const kd__gguf_string type = kd__gguf_text(file, "general.type");
    KD_FAIL_IF(!kd__gguf_equals(type, "imatrix"), KD_ERR_FORMAT,
               "%s: general.type: expected imatrix, got '%.*s'", file->what,
               (int)kd__min(type.bytes, 40), type.text);
    KD_TRY(KD_NEW(file->context, &used, file->tensor_count + 1));
    kd_status status = KD_OK;
    for (int64_t i = 0; status == KD_OK && i < entry_count(importance); i++)
        status = read_entry(importance, i, file, used);
    if (status == KD_OK) status = check_used(file, used);
    kd__release(file->context, used);
    return status;
}

kd_status kd_importance_load(kd_importance **out, kd_model *model, const char *path)
{
    kd_importance *made = NULL;
    kd__gguf file;
    KD_NEED(path);
    KD_TRY(kd_importance_create(out ? &made : NULL, model));
    kd_status status = kd__gguf_open(&file, model->object.context, path);
    if (status == KD_OK) {
        status = read_all(made, &file);
        kd__gguf_close(&file);
    }
    if (status == KD_OK) *out = made;
    else kd_importance_free(made);
    return status;
}
