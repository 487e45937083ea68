/* A record of an import: rows of entries, checked by kd_targets_set_sparse as any host's are, and
 * committed. */
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "course/import/import.h"

void kd__import_begin(kd__import *m)
{
    m->rows = m->entries = m->token_count = 0;
    m->unknown_tokens = 0;
}

kd_status kd__import_row(kd__import *m)
{
    KD_TRY(KD_RESERVE(m->context, &m->offsets, &m->offsets_room, m->rows + 2));
    m->offsets[m->rows++] = m->entries;
    return KD_OK;
}

kd_status kd__import_entry(kd__import *m, int64_t id, double log_p)
{
    KD_FAIL_IF(isnan(log_p), KD_ERR_NONFINITE, "a log-probability is NaN");
    if (id < 0) return KD_OK;
    if (log_p <= -9999) {
        m->counts.absent++;
        return KD_OK;
    }
    for (int64_t i = m->offsets[m->rows - 1]; i < m->entries; i++)
        if (m->ids[i] == id) {
            m->counts.duplicates++;
            return KD_OK;
        }
    KD_TRY(KD_RESERVE(m->context, &m->ids, &m->ids_room, m->entries + 1));
    KD_TRY(KD_RESERVE(m->context, &m->values, &m->values_room, m->entries + 1));
    m->ids[m->entries] = id;
    m->values[m->entries++] = (float)log_p;
    return KD_OK;
}

kd_status kd__import_token(kd__import *m, int64_t id)
{
    KD_TRY(KD_RESERVE(m->context, &m->tokens, &m->tokens_room, m->token_count + 1));
    m->tokens[m->token_count++] = id < 0 ? UINT32_MAX : id;
    m->unknown_tokens += id < 0;
    return KD_OK;
}

static kd_status set_rows(kd__import *m, uint8_t *present)
{
    kd_sparse sparse = KD_SPARSE_INIT;
    kd_array offsets = KD_ARRAY_1D(m->offsets, KD_INT64, m->rows + 1),
             ids = KD_ARRAY_1D(m->ids, KD_INT64, m->entries);
    kd_array values = KD_ARRAY_1D(m->values, KD_FLOAT32, m->entries),
             there = KD_ARRAY_1D(present, KD_UINT8, m->rows);
    for (int64_t r = 0; r < m->rows; r++) present[r] = m->offsets[r + 1] > m->offsets[r];
    sparse.vocabulary = m->writer->vocabulary;
    sparse.temperature = m->writer->temperature;
    sparse.offsets = &offsets;
    sparse.ids = &ids;
    sparse.values = &values;
    KD_TRY(kd_targets_begin(m->writer->selected, m->rows));
    return kd_targets_set_sparse(m->writer->selected, m->field, &sparse, &there);
}

/* A text with a token that has no id cannot be compared with a batch's. Of one whose prompt is not
 * known, position 0 is the prompt's last token and only what follows can be compared. */
static kd_status put_tokens(kd__import *m, int unseen)
{
    const kd_array tokens = KD_ARRAY_1D(m->tokens, KD_INT64, m->token_count);
    if (!m->token_count || m->unknown_tokens) return KD_OK;
    if (unseen) return kd__put_sample(m->writer, m->tokens, 1, m->token_count, 0);
    return kd_store_writer_put_tokens(m->writer, &tokens);
}

static kd_status commit(kd__import *m, const uint64_t key[2], int64_t first, int unseen)
{
    uint8_t *present = NULL;
    if (!m->rows || !m->entries) return KD_OK;
    KD_FAIL_IF(m->writer->temperature_count && !m->writer->temperatures_default, KD_ERR_UNSUPPORTED,
               "servers do not tell tails at further temperatures: make the store without them");
    m->offsets[m->rows] = m->entries;
    KD_TRY(kd__allocate(m->context, (void **)&present, m->rows, 1));
    kd_status status = set_rows(m, present);
    kd__release(m->context, present);
    if (status == KD_OK)
        status = kd_store_writer_begin(m->writer, key[0], key[1], 0, first, m->rows);
    if (status == KD_OK)
        status = kd_store_writer_put_sparse(m->writer, m->field, m->writer->selected, m->field, 0);
    if (status == KD_OK) status = put_tokens(m, unseen);
    if (status == KD_OK) status = kd_store_writer_commit(m->writer);
    if (status != KD_OK) return status;
    m->counts.records++;
    m->counts.positions += m->rows;
    m->counts.entries += m->entries;
    m->unseen += unseen;
    return KD_OK;
}

kd_status kd__import_commit(kd__import *m, int64_t prompt)
{
    uint64_t key[2];
    const kd_array tokens = KD_ARRAY_1D(m->tokens, KD_INT64, m->token_count);
    const int next = m->writer->align == KD_ALIGN_NEXT;
    /* the row that predicts the answer's first token stands at a token that the line does not
     * have */
    const int unseen = next && !prompt;
    KD_TRY(kd_store_key(m->context, &tokens, &key[0], &key[1]));
    return commit(m, key, prompt + unseen - next, unseen);
}

kd_status kd__import_commit_numbered(kd__import *m)
{
    uint8_t number[8];
    uint64_t key[2];
    kd__put64(number, (uint64_t)m->counts.records);
    kd__hash128(number, 8, key);
    return commit(m, key, 0, 0);
}
