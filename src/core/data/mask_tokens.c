/* Tokens hidden for masked language models: which, by what, and the labels. Legend: V vocabulary, S
 * special tokens; u, v, w uniform in [0, 1) for each row. [Devlin et al. 2019, 3.1]
 *
 *   a row that is not special is chosen where u < share
 *   it becomes the mask token where v < mask_share, one of the V - S others where v < mask_share +
 *   random_share, else it stays */
#include <kdistill/mask.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/data/data.h"
#include "math/random.h"

static const kd_mask_options defaults = KD_MASK_OPTIONS_INIT;
void kd_mask_options_init(kd_mask_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

typedef struct {
    const kd_mask_options *o;
    kd_context *context;
    uint64_t seed;
    int32_t *special; /* in order, each once, the mask token among them */
    int64_t special_count;
    int64_t *tokens, *labels, *mask; /* (rows) */
} masking;

/* ---- options ---- */

static kd_status check_shares(const kd_mask_options *o)
{
    const double shares[] = { o->share, o->mask_share, o->random_share };
    static const char *const names[] = { "share", "mask_share", "random_share" };
    for (int i = 0; i < 3; i++)
        KD_FAIL_IF(!(shares[i] >= 0 && shares[i] <= 1), KD_ERR_RANGE, "%s: expected 0 to 1, got %g",
                   names[i], shares[i]);
    KD_FAIL_IF(o->mask_share + o->random_share > 1 + 1e-9, KD_ERR_RANGE,
               "mask_share and random_share: expected at most 1 together, got %g and %g",
               o->mask_share, o->random_share);
    return KD_OK;
}

static kd_status check_token(const kd_mask_options *o, int64_t token, const char *what)
{
    KD_FAIL_IF(token < 0 || token >= o->vocabulary_size, KD_ERR_RANGE,
               "%s: expected 0 to %lld (vocabulary_size), got %lld", what,
               (long long)o->vocabulary_size - 1, (long long)token);
    return KD_OK;
}

/* Before anything is written. */
static kd_status check_names(const kd_mask_options *o)
{
    char name[KD_NAME_BYTES];
    if (o->label_field) KD_TRY(kd__name_copy(name, o->label_field, "label_field"));
    return o->mask_field ? kd__name_copy(name, o->mask_field, "mask_field") : KD_OK;
}

static kd_status check_options(const kd_mask_options *o)
{
    KD_TRY(check_shares(o));
    KD_TRY(check_names(o));
    KD_FAIL_IF(o->vocabulary_size < 2 || o->vocabulary_size > INT32_MAX, KD_ERR_RANGE,
               "vocabulary_size: expected 2 to 2^31 - 1, got %lld", (long long)o->vocabulary_size);
    KD_TRY(check_token(o, o->mask_token, "mask_token"));
    KD_FAIL_IF(o->special_count < 0, KD_ERR_RANGE, "special_count: expected 0 or more, got %d",
               o->special_count);
    KD_FAIL_IF(o->special_count && !o->special_tokens, KD_ERR_INVALID,
               "special_tokens: expected %d ids, got NULL", o->special_count);
    for (int32_t i = 0; i < o->special_count; i++)
        KD_TRY(check_token(o, o->special_tokens[i], "special_tokens"));
    return KD_OK;
}

static int by_id(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static kd_status sort_special(masking *m)
{
    const kd_mask_options *o = m->o;
    int32_t *s;
    KD_TRY(KD_NEW(m->context, &m->special, o->special_count + 1));
    s = m->special;
    s[0] = o->mask_token;
    for (int32_t i = 0; i < o->special_count; i++) s[i + 1] = o->special_tokens[i];
    qsort(s, (size_t)o->special_count + 1, sizeof *s, by_id);
    for (int32_t i = 0; i <= o->special_count; i++)
        if (!i || s[i] != s[i - 1]) s[m->special_count++] = s[i];
    KD_FAIL_IF(m->special_count == o->vocabulary_size && o->random_share > 0, KD_ERR_RANGE,
               "random_share: all %lld tokens are special: there is none to draw",
               (long long)o->vocabulary_size);
    return KD_OK;
}

/* ---- rows ---- */

static int is_special(const masking *m, int64_t token)
{
    const int32_t id = (int32_t)token;
    return bsearch(&id, m->special, (size_t)m->special_count, sizeof id, by_id) != NULL;
}

/* The n-th token that is not special. */
static int64_t ordinary(const masking *m, int64_t n)
{
    for (int64_t i = 0; i < m->special_count && m->special[i] <= n; i++) n++;
    return n;
}

static int64_t draw(const masking *m, uint64_t stream, int64_t row, int64_t token)
{
    const kd_mask_options *o = m->o;
    const uint64_t at = 3 * (uint64_t)row;
    const double v = kd__uniform(stream, at + 1);
    const int64_t others = o->vocabulary_size - m->special_count;
    if (v < o->mask_share) return o->mask_token;
    if (v >= o->mask_share + o->random_share) return token;
    return ordinary(m, (int64_t)kd__below(stream, at + 2, (uint64_t)others));
}

/* A sample without a key draws by its tokens. */
static uint64_t stream_of(const masking *m, const uint64_t key[2], const int64_t *tokens,
                          int64_t rows)
{
    uint64_t own[2] = { key[0], key[1] };
    if (!own[0] && !own[1]) kd__hash128(tokens, (size_t)rows * sizeof *tokens, own);
    return kd__stream(kd__stream(m->seed ^ 0x6d61736b, own[0], own[1]), (uint64_t)m->o->epoch, 0);
}

static kd_status mask_sample(const masking *m, const uint64_t key[2], int64_t first, int64_t end)
{
    int64_t *tokens = m->tokens + first;
    const uint64_t stream = stream_of(m, key, tokens, end - first);
    for (int64_t r = 0; r < end - first; r++) {
        KD_FAIL_IF(tokens[r] < 0 || tokens[r] >= m->o->vocabulary_size, KD_ERR_RANGE,
                   "row %lld: token %lld is not in 0 to %lld (vocabulary_size)",
                   (long long)(first + r), (long long)tokens[r],
                   (long long)m->o->vocabulary_size - 1);
        const int chosen = kd__uniform(stream, 3 * (uint64_t)r) < m->o->share &&
                           !is_special(m, tokens[r]);
        m->labels[first + r] = chosen ? tokens[r] : -100;
        m->mask[first + r] = chosen;
        if (chosen) tokens[r] = draw(m, stream, r, tokens[r]);
    }
    return KD_OK;
}

/* ---- the batch ---- */

static kd_status put(kd_batch *batch, const char *name, int64_t *numbers)
{
    kd_array values;
    kd__array_view(&values, numbers, KD_INT64, 1, &batch->fields.rows);
    return kd_batch_set(batch, name, &values, NULL);
}

static kd_status mask_batch(kd_batch *batch, masking *m, const int64_t *tokens, const char *field)
{
    const kd_mask_options *o = m->o;
    const int64_t rows = batch->fields.rows;
    const uint64_t *keys;
    KD_TRY(sort_special(m));
    KD_TRY(KD_NEW(m->context, &m->tokens, 3 * rows));
    m->labels = m->tokens + rows;
    m->mask = m->labels + rows;
    memcpy(m->tokens, tokens, (size_t)rows * sizeof *tokens);
    KD_TRY(kd__batch_keys(batch, &keys));
    for (int64_t s = 0; s < batch->samples; s++)
        KD_TRY(mask_sample(m, keys + 2 * s, batch->offsets[s], batch->offsets[s + 1]));
    KD_TRY(put(batch, o->label_field ? o->label_field : "label", m->labels));
    KD_TRY(put(batch, o->mask_field ? o->mask_field : "mask", m->mask));
    return put(batch, field, m->tokens);
}

kd_status kd_batch_mask_tokens(kd_batch *batch, const kd_mask_options *options)
{
    kd_mask_options o = defaults;
    const int64_t *tokens;
    KD_NEED(batch);
    KD_NEED(options);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_mask_options"));
    KD_TRY(check_options(&o));
    const char *field = o.tokens_field ? o.tokens_field : "tokens";
    KD_TRY(kd__batch_integers(batch, field, &tokens));
    KD_FAIL_IF(!tokens && batch->fields.rows, KD_ERR_NOT_FOUND,
               "the batch has no field '%.60s' of tokens", field);
    if (!batch->fields.rows) return KD_OK;
    masking m = { .o = &o, .context = batch->object.context };
    m.seed = o.seed ? o.seed : m.context->seed;
    const kd_status status = mask_batch(batch, &m, tokens, field);
    kd__release(m.context, m.special);
    kd__release(m.context, m.tokens);
    return status;
}
