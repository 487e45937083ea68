/* Top-k rows and counts into the record that a writer puts together. */
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "core/store/writer.h"

typedef struct {
    const uint32_t *ids;
    const float *values;
    uint32_t *codes;
    int64_t count;
    float tails[1 + KD__MAX_TEMPERATURES];
} entries;

/* The n most likely entries; of those with the last one's code the first ones. */
static void keep_likely(const entries *r, const int64_t *below, int64_t n, uint32_t *ids,
                        uint32_t *codes)
{
    uint32_t last = 0;
    int64_t kept = 0;
    while (below[last + 1] < n) last++;
    int64_t room = n - below[last];
    for (int64_t i = 0; i < r->count && kept < n; i++) {
        const uint32_t code = r->codes[i];
        if (code > last || (code == last && room-- < 1)) continue;
        ids[kept] = r->ids[i];
        codes[kept++] = code;
    }
}

/* What is left out goes to the tails: shares of the whole at each temperature. */
static void widen_tails(const kd_store_writer *w, entries *r, const uint32_t *ids, int64_t n)
{
    const int some = r->tails[0] > -INFINITY;
    for (int32_t t = 0; t < 1 + w->temperature_count; t++) {
        const int hotter = t && w->temperatures[t - 1] > w->temperature;
        if (hotter && some && r->tails[t] == -INFINITY) continue; /* not known, and so it stays */
        const double a = t ? w->temperature / w->temperatures[t - 1] : 1,
                     tail = exp((double)r->tails[t]);
        double left = 0, inside = 0;
        for (int64_t i = 0, kept = 0; i < r->count; i++) {
            const double e = exp(a * r->values[i]);
            inside += e;
            if (kept < n && ids[kept] == r->ids[i]) kept++;
            else left += e;
        }
        r->tails[t] = (float)log(tail + (inside > 0 ? left / inside * (1 - tail) : 0));
    }
}

/* As many of the most likely entries as fit into the field's bytes, one at least: `ids` and `codes`
 * are room for all. Bits are nearly a straight line over entries, so that the next guess comes from
 * it. */
static void fit_bytes(const kd_store_writer *w, const kd__store_field *f, entries *r, uint32_t *ids,
                      uint32_t *codes)
{
    const int64_t budget = 8 * f->bytes;
    const int32_t tails = 1 + w->temperature_count;
    int64_t below[KD__CURVE + 1] = { 0 }; /* entries with a smaller code */
    int64_t low = 1, high = r->count, low_bits = 0,
            high_bits = kd__topk_bits(w->vocabulary, r->count, r->ids, r->codes, tails);
    if (high_bits <= budget) return;
    for (int64_t i = 0; i < r->count; i++) below[r->codes[i] + 1]++;
    for (int c = 0; c < KD__CURVE; c++) below[c + 1] += below[c];
    for (int round = 0; high - low > 1; round++) { /* low fits, high does not */
        int64_t n = low + (high - low) / 2;
        if (round < 6)
            n = low + (int64_t)((double)(high - low) * (double)(budget - low_bits) /
                                (double)(high_bits - low_bits));
        n = n <= low ? low + 1 : n >= high ? high - 1 : n;
        keep_likely(r, below, n, ids, codes);
        const int64_t bits = kd__topk_bits(w->vocabulary, n, ids, codes, tails);
        if (bits <= budget) low = n, low_bits = bits;
        else high = n, high_bits = bits;
    }
    if (r->count > low) {
        keep_likely(r, below, low, ids, codes);
        widen_tails(w, r, ids, low);
        r->ids = ids;
        r->codes = codes;
        r->count = low;
    }
}

/* The tails of a row at the store's temperatures. */
static kd_status read_tails(const kd_store_writer *w, const kd__sparse *s, int64_t r, float *tails)
{
    tails[0] = s->tail[r];
    for (int32_t t = 0; t < w->temperature_count; t++) {
        int32_t at = 0;
        while (at < s->temperature_count &&
               fabs(s->temperatures[at] - w->temperatures[t]) > 1e-6 * w->temperatures[t])
            at++;
        const int known = at < s->temperature_count;
        KD_FAIL_IF(!known && !w->temperatures_default, KD_ERR_MISMATCH,
                   "the store keeps tails at temperature %g, which the sparse field lacks",
                   w->temperatures[t]);
        tails[t + 1] = known ? s->tails[r * s->temperature_count + at] : -INFINITY;
    }
    return KD_OK;
}

static kd_status check_sparse(const kd_store_writer *w, const kd__store_field *f,
                              const kd__sparse *s, int64_t first)
{
    KD_FAIL_IF(f->kind != (s->kind == KD_SPARSE_TOPK ? KD_STORE_TOPK : KD_STORE_COUNTS),
               KD_ERR_MISMATCH, "field '%s' and the sparse field '%s' are of different kinds",
               f->name, s->name);
    KD_FAIL_IF(fabs(s->temperature - w->temperature) > 1e-6 * w->temperature, KD_ERR_MISMATCH,
               "field '%s': the store is at temperature %g, the sparse field at %g", f->name,
               w->temperature, s->temperature);
    KD_FAIL_IF(first < 0 || first + w->header.positions > s->rows, KD_ERR_RANGE,
               "field '%s': rows %lld to %lld of a sparse field of %lld", f->name, (long long)first,
               (long long)(first + w->header.positions), (long long)s->rows);
    return KD_OK;
}

static kd_status check_row(const kd_store_writer *w, const kd__store_field *f, const entries *x,
                           int64_t r)
{
    KD_FAIL_IF(!kd__entries_fit(x->count, w->vocabulary), KD_ERR_RANGE,
               "field '%s': row %lld: expected 1 to %lld entries, got %lld", f->name, (long long)r,
               (long long)w->vocabulary, (long long)x->count);
    KD_FAIL_IF(x->ids[x->count - 1] >= w->vocabulary, KD_ERR_RANGE,
               "field '%s': row %lld: id %u is not in 0 to %lld", f->name, (long long)r,
               x->ids[x->count - 1], (long long)w->vocabulary - 1);
    const int counts = f->kind == KD_STORE_COUNTS;
    int odd = 0;
    for (int64_t i = 0; i < x->count && !counts; i++) odd |= isnan(x->values[i]);
    for (int64_t i = 0; i < x->count && (counts || odd); i++) {
        const float value = x->values[i];
        KD_FAIL_IF(isnan(value), KD_ERR_NONFINITE, "field '%s': row %lld: a value is NaN", f->name,
                   (long long)r);
        KD_FAIL_IF(counts && !(value >= 1 && value <= 1e9f && value == floorf(value)), KD_ERR_RANGE,
                   "field '%s': row %lld: expected a whole count of 1 to 1e9, got %g", f->name,
                   (long long)r, value);
    }
    return KD_OK;
}

/* 16 bits: steps of 1/2048 nat, 65535 is unknown. */
static kd_status put_entropy(const kd__store_field *f, const kd__sparse *s, int64_t r,
                             kd__bits_out *out)
{
    const double steps = s->has_entropy ? rint(s->entropy[r] * 2048.0) : 65535;
    KD_FAIL_IF(s->has_entropy && !(steps >= 0 && steps < 65535), KD_ERR_RANGE,
               "field '%s': row %lld: expected an entropy of 0 to 31.99 nat, got %g", f->name,
               (long long)r, s->entropy[r]);
    kd__bits_put(out, (uint64_t)steps, 16);
    return KD_OK;
}

/* room: three times the row's entries. */
static kd_status put_sparse_row(kd_store_writer *w, const kd__store_field *f, const kd__sparse *s,
                                int64_t r, kd__bits_out *out, uint32_t *room)
{
    const int64_t at = s->offsets[r], k = s->offsets[r + 1] - at;
    entries x = { s->ids + at, s->values + at, room, k, { 0 } };
    KD_TRY(check_row(w, f, &x, r));
    if (f->kind == KD_STORE_COUNTS) {
        kd__counts_encode(out, w->vocabulary, k, x.ids, x.values);
        return put_entropy(f, s, r, out);
    }
    KD_TRY(read_tails(w, s, r, x.tails));
    kd__topk_codes(k, x.values, x.codes);
    if (f->bytes) fit_bytes(w, f, &x, room + k, room + 2 * k);
    kd__topk_encode(out, w->vocabulary, x.count, x.ids, x.codes, 1 + w->temperature_count, x.tails);
    return KD_OK;
}

/* A directory of byte offsets, one for KD__BLOCK positions; then the rows' bits, each block from a
 * whole byte. */
static kd_status put_blocks(kd_store_writer *w, int32_t field, const kd__sparse *s, int64_t first)
{
    const kd__store_field *f = &w->fields[field];
    const int64_t rows = w->header.positions, blocks = kd__ceil_div(rows, KD__BLOCK),
                  from = w->record.size;
    uint8_t *to, *room;
    uint32_t flags;
    KD_TRY(kd__put_presence(w, s->present ? s->present + first : NULL, rows, &flags));
    const int64_t directory = w->record.size;
    KD_TRY(kd__put_room(w, 4 * blocks, &to));
    KD_TRY(KD_RESERVE(w->object.context, &w->scratch, &w->scratch_room, 3 * s->most));
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t last = kd__min((b + 1) * KD__BLOCK, rows), start = w->record.size;
        int64_t in_block = 0;
        for (int64_t r = b * KD__BLOCK; r < last; r++)
            in_block += s->offsets[first + r + 1] - s->offsets[first + r];
        KD_TRY(kd__put_room(w, kd__row_room(in_block) + KD__BLOCK * 64, &room));
        kd__bits_out out = { .bytes = room };
        for (int64_t r = b * KD__BLOCK; r < last; r++) {
            if (s->present && !s->present[first + r]) continue;
            KD_TRY(put_sparse_row(w, f, s, first + r, &out, (uint32_t *)(void *)w->scratch));
        }
        kd__bits_flush(&out);
        w->record.size = start + out.size;
        KD_FAIL_IF(start - directory > UINT32_MAX, KD_ERR_RANGE,
                   "field '%s': a record is larger than 4 GiB", f->name);
        kd__put32((uint8_t *)w->record.bytes + directory + 4 * b, (uint32_t)(start - directory));
    }
    return kd__writer_end_part(w, field, from, flags);
}

kd_status kd__put_sparse(kd_store_writer *w, int32_t field, const kd__sparse *s, int64_t first)
{
    const int64_t from = w->record.size;
    KD_TRY(check_sparse(w, &w->fields[field], s, first));
    kd_status status = put_blocks(w, field, s, first);
    if (status != KD_OK) w->record.size = from;
    return status;
}

kd_status kd_store_writer_put_sparse(kd_store_writer *w, const char *field, kd_targets *targets,
                                     const char *source, int64_t first_row)
{
    int32_t number;
    KD_NEED(w);
    KD_NEED(targets);
    KD_NEED(source);
    KD_TRY(kd__writer_field(w, field, &number));
    const kd__sparse *s = kd__sparse_find(targets, source);
    KD_FAIL_IF(!s, KD_ERR_NOT_FOUND, "targets: no sparse field '%.60s'", source);
    return kd__put_sparse(w, number, s, first_row);
}
