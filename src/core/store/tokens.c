/* Of what tokens a record was made: a part beside its fields that a reader's batch is compared
 * with. A checksum of all tokens finds any one that was exchanged; a byte a position, of the last
 * four tokens, finds where, and also speaks for a sample that was cut or that a batch begins in the
 * middle. */
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "core/store/writer.h"

enum { PIECE = 64, HEAD = 16 };

/* CRC-32 of tokens as little-endian uint32 each, continued. */
static uint32_t checksum(uint32_t crc, const int64_t *tokens, int64_t n)
{
    uint8_t bytes[4 * PIECE];
    for (int64_t done = 0; done < n; done += PIECE) {
        const int64_t count = kd__min(n - done, PIECE);
        for (int64_t i = 0; i < count; i++) kd__put32(bytes + 4 * i, (uint32_t)tokens[done + i]);
        crc = kd__crc32(crc, bytes, (size_t)(4 * count));
    }
    return crc;
}

/* The check of a position: `last` is its token, `before` (at most 3) are those in front of it that
 * count. */
static uint8_t check_of(const int64_t *last, int64_t before)
{
    static const uint32_t factors[KD__CHECK_REACH + 1] = { 0x9e3779b1, 0x85ebca77, 0xc2b2ae3d,
                                                           0x27d4eb2f };
    uint32_t h = 0;
    for (int64_t i = 0; i <= before; i++) h += (uint32_t)last[-i] * factors[i];
    h = (h ^ h >> 15) * 0x2c1b3c6d;
    return (uint8_t)(h >> 24);
}

/* The first position whose check is not as it was written; -1: none. `tokens` begin at position
 * 0. */
static int64_t first_other(const kd__sample *s, const int64_t *tokens, int64_t n)
{
    const int64_t end = kd__min(s->from + s->check_count, n);
    int64_t p = s->from;
    for (; p < end && p < KD__CHECK_REACH; p++)
        if (check_of(tokens + p, p) != s->checks[p - s->from]) return p;
    for (; p < end; p++)
        if (check_of(tokens + p, KD__CHECK_REACH) != s->checks[p - s->from]) return p;
    return -1;
}

static int64_t in_front(int64_t position) { return kd__min(position, KD__CHECK_REACH); }

/* ---- writing ---- */

kd_status kd__put_sample(kd_store_writer *w, const int64_t *tokens, int64_t first, int64_t count,
                         int whole)
{
    /* the token that the last row speaks of */
    const int64_t end = (int64_t)w->header.first + w->header.positions +
                        (w->align == KD_ALIGN_NEXT);
    const int64_t last = kd__min(end, first + count), known = first ? first + KD__CHECK_REACH : 0;
    const int64_t from = kd__max(w->header.first, known),
                  checks = tokens && last > from ? last - from : 0;
    const int64_t start = w->record.size;
    uint8_t *to;
    KD_FAIL_IF(first + count > UINT32_MAX, KD_ERR_RANGE,
               "record: expected at most 2^32 - 1 tokens, got %lld", (long long)(first + count));
    KD_TRY(kd__put_room(w, tokens ? HEAD + checks : 4, &to));
    kd__put32(to, whole ? (uint32_t)count : 0);
    if (tokens) {
        kd__put32(to + 4, whole ? checksum(0, tokens, count) : 0);
        kd__put32(to + 8, (uint32_t)from);
        kd__put32(to + 12, whole ? checksum(0, tokens, kd__min(from, count)) : 0);
        for (int64_t p = from; p < from + checks; p++)
            to[HEAD + p - from] = check_of(tokens + p - first, in_front(p));
    }
    return kd__writer_end_part(w, KD__PART_SAMPLE, start, 0);
}

kd_status kd_store_writer_put_tokens(kd_store_writer *w, const kd_array *tokens)
{
    int64_t *wide = NULL;
    KD_NEED(w);
    KD_FAIL_IF(!w->open, KD_ERR_STATE, "no record was begun: call kd_store_writer_begin first");
    KD_TRY(kd__array_check(tokens, "tokens"));
    const int64_t count = kd_array_count(tokens);
    for (int32_t p = 0; p < w->part_count; p++)
        KD_FAIL_IF(w->parts[p] == KD__PART_SAMPLE, KD_ERR_STATE,
                   "tokens were put into this record already");
    KD_FAIL_IF((int64_t)w->header.first + w->header.positions > count, KD_ERR_SHAPE,
               "tokens: expected those of the whole sample, at least %lld for positions %u to "
               "%lld, got %lld",
               (long long)w->header.first + w->header.positions, w->header.first,
               (long long)w->header.first + w->header.positions - 1, (long long)count);
    KD_TRY(KD_NEW(w->object.context, &wide, count + 1));
    const int64_t from = w->record.size;
    kd_status status = kd__array_to_int64(tokens, wide, "tokens");
    if (status == KD_OK) status = kd__put_sample(w, wide, 0, count, 1);
    if (status != KD_OK) w->record.size = from;
    kd__release(w->object.context, wide);
    return status;
}

/* ---- reading ---- */

int kd__sample_read(kd__sample *sample, const uint8_t *data, int64_t size)
{
    *sample = (kd__sample){ 0 };
    if (!data) return 1;
    if (size < 4) return 0;
    sample->known = 1;
    sample->tokens = kd__get32(data);
    if (size == 4) return 1;
    if (size < HEAD) return 0;
    sample->hashed = 1;
    sample->whole = kd__get32(data + 4);
    sample->from = kd__get32(data + 8);
    sample->before = kd__get32(data + 12);
    sample->checks = data + HEAD;
    sample->check_count = size - HEAD;
    return !sample->tokens || !sample->check_count ||
           sample->from + sample->check_count <= sample->tokens;
}

/* Tokens 0 .. n - 1 of the batch's sample against the record's checksums; -1: they agree, as far as
 * the checksums tell. */
static int64_t compare_whole(const kd__sample *s, const int64_t *tokens, int64_t n)
{
    if (!s->tokens || n < s->from) return -1;
    const uint32_t before = checksum(0, tokens, kd__min(s->from, s->tokens));
    if (before != s->before) return 0;
    if (n < s->tokens) return -1;
    const int64_t rest = s->tokens - s->from;
    return (rest > 0 ? checksum(before, tokens + s->from, rest) : before) != s->whole ? s->from
                                                                                      : -1;
}

int64_t kd__sample_compare(const kd__sample *s, const int64_t *tokens, const int64_t *positions,
                           int64_t rows)
{
    int64_t run = 0, leading = 0;
    if (!positions) {
        const int64_t other = first_other(s, tokens, rows);
        return other >= 0 ? other : compare_whole(s, tokens, rows);
    }
    for (int64_t r = 0; r < rows; r++) {
        const int64_t p = positions[r];
        const int follows = r && p > 0 && positions[r - 1] == p - 1;
        run = follows ? run + 1 : 1;
        if (p == r && run == r + 1) leading = r + 1;
        if (p < s->from || p - s->from >= s->check_count || run <= in_front(p)) continue;
        if (check_of(tokens + r, in_front(p)) != s->checks[p - s->from]) return p;
    }
    return compare_whole(s, tokens, leading);
}
