/* Top-k rows and counts. Ids rise and are coded by halves ("interpolative", A. Moffat and L.
 * Stuiver 2000): the middle one within the bounds that its neighbors leave, in as few bits as those
 * allow; clustered ids cost less, and no bits decode to ids that fall or lie outside.
 * Log-probabilities are steps of a curve, Rice-coded as distances from the smallest one. */
#include <math.h>

#include "core/store/codec.h"

#define STEP 0.009
#define STEP_MOST 0.1
#define ZERO (KD__CURVE - 1)
#define TAIL_STEPS 128.0
#define TAIL_ZERO 4095
#define ESCAPE 24 /* zeros that say: the number itself follows in 32 bits */

/* y(l) = integral from l to 0 of dl / step(l):  2/S (1 - e^(l/2)) down to p0 = (S/M)^2, then
 * straight. */
static double curve_of(double log_p)
{
    const double p0 = STEP * STEP / (STEP_MOST * STEP_MOST), l0 = log(p0);
    return log_p >= l0 ? 2 / STEP * (1 - exp(log_p / 2))
                       : 2 / STEP * (1 - sqrt(p0)) + (l0 - log_p) / STEP_MOST;
}

void kd__curve_make(kd__curve *curve)
{
    const double p0 = STEP * STEP / (STEP_MOST * STEP_MOST), l0 = log(p0),
                 y0 = 2 / STEP * (1 - sqrt(p0));
    for (int y = 0; y < ZERO; y++)
        curve->log_p[y] = (float)(y <= y0 ? 2 * log(1 - STEP / 2 * y) : l0 - (y - y0) * STEP_MOST);
    curve->log_p[ZERO] = -INFINITY;
}

static uint32_t code_of(float log_p)
{
    if (!(log_p > -1e4f)) return ZERO;
    const double y = rint(curve_of(log_p < 0 ? log_p : 0));
    return y < ZERO - 1 ? (uint32_t)y : ZERO - 1;
}

static uint32_t tail_code(float tail)
{
    if (!(tail > -1e4f)) return TAIL_ZERO;
    const double y = rint(-(double)(tail < 0 ? tail : 0) * TAIL_STEPS);
    return y < TAIL_ZERO - 1 ? (uint32_t)y : TAIL_ZERO - 1;
}

/* ---- whole numbers ---- */

static int32_t width_of(uint32_t x) { return x ? 32 - __builtin_clz(x) : 0; }

/* x in 0 .. range - 1 in `bits` bits; the middle of the range, `spare` numbers from `start` on,
 * takes one less. */
typedef struct {
    int32_t bits;
    uint32_t spare, start;
} bounded;

static bounded bounded_of(uint32_t range)
{
    const int32_t bits = width_of(range - 1);
    const uint32_t spare = (uint32_t)((1ULL << bits) - range);
    return (bounded){ bits, spare, (range - spare) / 2 };
}

static uint32_t turned(const bounded *b, uint32_t x, uint32_t range)
{
    return x >= b->start ? x - b->start : x + range - b->start;
}

/* A longer code: its first bits - 1 bits, then the last one. */
static void put_bounded(kd__bits_out *out, uint32_t x, uint32_t range)
{
    const bounded b = bounded_of(range);
    if (!b.bits) return;
    x = turned(&b, x, range);
    const uint32_t code = x + b.spare;
    if (x < b.spare) kd__bits_put(out, x, b.bits - 1);
    else kd__bits_put(out, code >> 1 | (uint64_t)(code & 1) << (b.bits - 1), b.bits);
}

static int32_t bounded_size(uint32_t x, uint32_t range)
{
    const bounded b = bounded_of(range);
    return b.bits - (b.bits && turned(&b, x, range) < b.spare);
}

static uint32_t get_bounded(kd__bits_in *in, uint32_t range)
{
    const bounded b = bounded_of(range);
    if (!b.bits) return 0;
    uint32_t x = b.bits > 1 ? kd__bits_get(in, b.bits - 1) : 0;
    if (x >= b.spare) x = (x << 1 | kd__bits_get(in, 1)) - b.spare;
    x += b.start;
    return x >= range ? x - range : x;
}

static void put_rice(kd__bits_out *out, uint32_t x, int32_t low)
{
    const uint32_t high = x >> low;
    if (high >= ESCAPE) {
        kd__bits_put(out, 0, ESCAPE);
        kd__bits_put(out, x, 32);
        return;
    }
    kd__bits_put(out, (1ULL << high) | (uint64_t)(x & ((1U << low) - 1)) << (high + 1),
                 (int32_t)high + 1 + low);
}

static uint32_t get_rice(kd__bits_in *in, int32_t low)
{
    const uint32_t high = kd__bits_unary(in, ESCAPE);
    return high == ESCAPE ? kd__bits_get(in, 32) : high << low | kd__bits_get(in, low);
}

static int64_t rice_bits(uint32_t x, int32_t low)
{
    return (x >> low) >= ESCAPE ? ESCAPE + 32 : (int64_t)(x >> low) + 1 + low;
}

/* ---- ids ---- */

typedef struct {
    int64_t first, last; /* entries first .. last - 1 */
    uint32_t low, high;  /* lie in low .. high - 1 */
} span;

#define DEPTH 64

static void put_ids(kd__bits_out *out, int64_t vocabulary, int64_t k, const uint32_t *ids)
{
    span stack[DEPTH];
    int depth = 0;
    stack[depth++] = (span){ 0, k, 0, (uint32_t)vocabulary };
    while (depth) {
        const span s = stack[--depth];
        if (s.first >= s.last) continue;
        const int64_t middle = s.first + (s.last - s.first) / 2;
        const uint32_t low = s.low + (uint32_t)(middle - s.first),
                       high = s.high - (uint32_t)(s.last - 1 - middle);
        put_bounded(out, ids[middle] - low, high - low);
        stack[depth++] = (span){ middle + 1, s.last, ids[middle] + 1, s.high };
        stack[depth++] = (span){ s.first, middle, s.low, ids[middle] };
    }
}

static void get_ids(kd__bits_in *in, int64_t vocabulary, int64_t k, uint32_t *ids)
{
    span stack[DEPTH];
    int depth = 0;
    stack[depth++] = (span){ 0, k, 0, (uint32_t)vocabulary };
    while (depth) {
        const span s = stack[--depth];
        if (s.first >= s.last) continue;
        const int64_t middle = s.first + (s.last - s.first) / 2;
        const uint32_t low = s.low + (uint32_t)(middle - s.first),
                       high = s.high - (uint32_t)(s.last - 1 - middle);
        ids[middle] = low + get_bounded(in, high - low);
        stack[depth++] = (span){ middle + 1, s.last, ids[middle] + 1, s.high };
        stack[depth++] = (span){ s.first, middle, s.low, ids[middle] };
    }
}

static int64_t id_bits(int64_t vocabulary, int64_t k, const uint32_t *ids)
{
    span stack[DEPTH];
    int64_t bits = 0;
    int depth = 0;
    stack[depth++] = (span){ 0, k, 0, (uint32_t)vocabulary };
    while (depth) {
        const span s = stack[--depth];
        if (s.first >= s.last) continue;
        const int64_t middle = s.first + (s.last - s.first) / 2;
        const uint32_t low = s.low + (uint32_t)(middle - s.first),
                       high = s.high - (uint32_t)(s.last - 1 - middle);
        bits += bounded_size(ids[middle] - low, high - low);
        stack[depth++] = (span){ middle + 1, s.last, ids[middle] + 1, s.high };
        stack[depth++] = (span){ s.first, middle, s.low, ids[middle] };
    }
    return bits;
}

/* ---- rows: k in a Rice code of 6, tails, the smallest probability's code, the Rice number, ids,
 * codes ---- */

void kd__topk_codes(int64_t k, const float *log_p, uint32_t *codes)
{
    for (int64_t i = 0; i < k; i++) codes[i] = code_of(log_p[i]);
}

/* How a row's codes are written: below the largest one, in the Rice code that takes fewest bits. */
typedef struct {
    uint32_t most;
    int32_t low;
    int64_t bits;
} rice;

static int64_t bits_with(int64_t k, const uint32_t *codes, uint32_t most, uint32_t least,
                         int32_t low)
{
    int64_t bits = 0;
    if ((most - least) >> low >= ESCAPE) {
        for (int64_t i = 0; i < k; i++) bits += rice_bits(most - codes[i], low);
        return bits;
    }
    for (int64_t i = 0; i < k; i++) bits += (most - codes[i]) >> low;
    return bits + k * (1 + low);
}

/* From the number that the mean asks for, as long as a neighbor is better: bits fall and then
 * rise. */
static rice best_rice(int64_t k, const uint32_t *codes)
{
    uint32_t most = 0, least = UINT32_MAX;
    uint64_t sum = 0;
    if (!k) return (rice){ 0, 0, 0 };
    for (int64_t i = 0; i < k; i++)
        most = kd__max(codes[i], most), least = kd__min(codes[i], least), sum += codes[i];
    int32_t low = width_of((uint32_t)(((uint64_t)k * most - sum) / (uint64_t)k)) - 1;
    low = kd__clamp(low, 0, 7);
    rice best = { most, low, bits_with(k, codes, most, least, low) };
    for (int32_t step = -1; step <= 1; step += 2)
        for (low = best.low + step; low >= 0 && low < 8; low += step) {
            const int64_t bits = bits_with(k, codes, most, least, low);
            if (bits >= best.bits) break;
            best.low = low;
            best.bits = bits;
        }
    return best;
}

int64_t kd__row_room(int64_t k) { return 64 + k * 12; }

void kd__topk_encode(kd__bits_out *out, int64_t vocabulary, int64_t k, const uint32_t *ids,
                     const uint32_t *codes, int32_t tail_count, const float *tails)
{
    const rice r = best_rice(k, codes);
    put_rice(out, (uint32_t)k, 6);
    for (int32_t t = 0; t < tail_count; t++) kd__bits_put(out, tail_code(tails[t]), 12);
    kd__bits_put(out, r.most, 10);
    kd__bits_put(out, (uint32_t)r.low, 3);
    put_ids(out, vocabulary, k, ids);
    for (int64_t i = 0; i < k; i++) put_rice(out, r.most - codes[i], r.low);
}

int64_t kd__topk_bits(int64_t vocabulary, int64_t k, const uint32_t *ids, const uint32_t *codes,
                      int32_t tail_count)
{
    return rice_bits((uint32_t)k, 6) + 12 * tail_count + 13 + id_bits(vocabulary, k, ids) +
           best_rice(k, codes).bits;
}

static int64_t checked_count(const kd__bits_in *in, int64_t k, int64_t vocabulary)
{
    return k > vocabulary || k > kd__bits_left(in) ? -1 : k;
}

int64_t kd__topk_count(kd__bits_in *in, int64_t vocabulary)
{
    const int64_t k = get_rice(in, 6);
    return checked_count(in, k, vocabulary);
}

void kd__topk_decode(kd__bits_in *in, const kd__curve *curve, int64_t vocabulary, int64_t k,
                     uint32_t *ids, float *log_p, int32_t tail_count, float *tails)
{
    for (int32_t t = 0; t < tail_count; t++) {
        const uint32_t code = kd__bits_get(in, 12);
        tails[t] = code == TAIL_ZERO ? -INFINITY : (float)(-(double)code / TAIL_STEPS);
    }
    const uint32_t most = kd__bits_get(in, 10);
    const int32_t low = (int32_t)kd__bits_get(in, 3);
    get_ids(in, vocabulary, k, ids);
    for (int64_t i = 0; i < k; i++) {
        const uint32_t below = get_rice(in, low);
        log_p[i] = curve->log_p[below <= most ? most - below : 0];
    }
}

void kd__counts_encode(kd__bits_out *out, int64_t vocabulary, int64_t k, const uint32_t *ids,
                       const float *counts)
{
    put_rice(out, (uint32_t)k, 4);
    put_ids(out, vocabulary, k, ids);
    for (int64_t i = 0; i < k; i++) put_rice(out, (uint32_t)counts[i] - 1, 1);
}

int64_t kd__counts_count(kd__bits_in *in, int64_t vocabulary)
{
    const int64_t k = get_rice(in, 4);
    return checked_count(in, k, vocabulary);
}

void kd__counts_decode(kd__bits_in *in, int64_t vocabulary, int64_t k, uint32_t *ids, float *counts)
{
    get_ids(in, vocabulary, k, ids);
    for (int64_t i = 0; i < k; i++) counts[i] = (float)(get_rice(in, 1) + 1ULL);
}
