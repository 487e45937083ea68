/* What a store may hold: the bounds that a writer keeps and a reader asks for are the same calls,
 * so that nothing is written that cannot be read. `code` and `where` are the caller's: an option of
 * the host's is out of range, a file's header is of a wrong format. */
#include <math.h>

#include "core/store/store.h"

#define MOST_DRAWS (1 << 20)

static int encoding_suits(const kd__store_field *f)
{
    const int float_or_half = f->encoding == KD_FLOAT32 || f->encoding == KD_FLOAT16;
    if (f->kind == KD_STORE_DENSE) return float_or_half || f->encoding == KD_BFLOAT16;
    if (f->kind == KD_STORE_VECTORS || f->kind == KD_STORE_EMBEDDING)
        return float_or_half || f->encoding == KD_INT8;
    return 1; /* the others do not look at it */
}

/* Whole numbers of a field: `value` is one of low .. high. */
static kd_status check_member(const kd__store_field *f, const char *member, int64_t value,
                              int64_t low, int64_t high, kd_status code, const char *where)
{
    KD_FAIL_IF(value < low || value > high, code,
               "%s: field '%s': %s: expected %lld to %lld, got %lld", where, f->name, member,
               (long long)low, (long long)high, (long long)value);
    return KD_OK;
}

kd_status kd__bounds_field(const kd__store_field *f, int64_t vocabulary, kd_status code,
                           const char *where)
{
    const int vector = f->kind == KD_STORE_HIDDEN || f->kind == KD_STORE_VECTORS ||
                       f->kind == KD_STORE_EMBEDDING;
    KD_FAIL_IF(!encoding_suits(f), code == KD_ERR_RANGE ? KD_ERR_DTYPE : code,
               "%s: field '%s': encoding %d does not suit its kind", where, f->name, f->encoding);
    KD_TRY(check_member(f, "bits", f->bits, 3, 8, code, where));
    KD_TRY(check_member(f, "width", f->width, vector, KD__MOST_WIDTH, code, where));
    KD_TRY(check_member(f, "projection", f->projection, 0, KD__MOST_WIDTH, code, where));
    KD_TRY(check_member(f, "k", f->k, 1, INT32_MAX, code, where));
    KD_TRY(check_member(f, "bytes", f->bytes, 0, KD__MOST_BYTES, code, where));
    KD_TRY(check_member(f, "draws", f->draws, 1, MOST_DRAWS, code, where));
    KD_FAIL_IF(!(f->mass >= 0 && f->mass < 1), code,
               "%s: field '%s': mass: expected 0 (none) or below 1, got %g", where, f->name,
               f->mass);
    KD_FAIL_IF(f->kind <= KD_STORE_COUNTS && vocabulary < 1, code,
               "%s: field '%s': vocabulary: expected the number of classes, got %lld", where,
               f->name, (long long)vocabulary);
    return KD_OK;
}

kd_status kd__bounds_vocabulary(int64_t vocabulary, int64_t padded, kd_status code,
                                const char *where)
{
    KD_FAIL_IF(vocabulary < 0 || vocabulary > INT32_MAX || padded < 0 || padded > INT32_MAX ||
                   (padded && padded < vocabulary),
               code,
               "%s: vocabulary %lld, padded %lld: expected 0 to 2^31 - 1, and the padded one 0 "
               "(none) or not below it",
               where, (long long)vocabulary, (long long)padded);
    return KD_OK;
}

kd_status kd__bounds_temperature(double temperature, kd_status code, const char *where)
{
    KD_FAIL_IF(!(temperature >= 0.01 && temperature <= 1000), code,
               "%s: temperature: expected 0.01 to 1000, got %g", where, temperature);
    return KD_OK;
}

/* Positions beyond a bit each are those of texts whose fields are all absent: nothing is allocated
 * for more. */
int kd__positions_fit(int64_t positions, int64_t record_bytes)
{
    return positions <= KD__LONGEST_UNSEEN + 8 * record_bytes;
}

int kd__entries_fit(int64_t entries, int64_t vocabulary)
{
    return entries >= 1 && entries <= vocabulary;
}

/* Bytes of a row of fixed size; 0: rows of this kind have none. */
static int64_t row_bytes(const kd__store_field *f, int64_t width)
{
    const int64_t number = f->encoding == KD_FLOAT32 ? 4 : 2;
    if (f->kind == KD_STORE_HIDDEN) return kd__quantized_bytes(width, f->bits);
    if (f->kind == KD_STORE_LABELS) return 8;
    if (f->kind != KD_STORE_DENSE && f->kind != KD_STORE_VECTORS && f->kind != KD_STORE_EMBEDDING)
        return 0;
    return f->encoding == KD_INT8 ? kd__quantized_bytes(width, 8) : width * number;
}

int kd__part_size_fits(const kd__store_header *header, const kd__store_field *f, int64_t positions,
                       int64_t size)
{
    const int64_t row = row_bytes(f, kd__field_width(header, f));
    if (f->kind == KD_STORE_SCORE || f->kind == KD_STORE_SEED) return size == 8;
    if (f->kind == KD_STORE_EMBEDDING) return size == row;
    if (!row) return 1;
    return positions <= INT64_MAX / row && size == positions * row;
}

/* The largest number that an encoding gives back as a number. */
static float most_of(const kd__store_field *f)
{
    if (f->kind == KD_STORE_HIDDEN || f->encoding == KD_INT8) return KD__MOST_QUANTIZED;
    if (f->encoding == KD_FLOAT16) return KD__MOST_HALF;
    return f->encoding == KD_BFLOAT16 ? KD__MOST_BFLOAT16 : INFINITY;
}

kd_status kd__bounds_row(const kd__store_field *f, const float *x, int64_t n, int64_t row)
{
    const float most = most_of(f);
    int beyond = 0;
    for (int64_t i = 0; i < n; i++) beyond |= !(fabsf(x[i]) < most);
    for (int64_t i = 0; i < n && beyond; i++) {
        const int padding = f->kind == KD_STORE_DENSE && x[i] == -INFINITY;
        KD_FAIL_IF(!isfinite(x[i]) && !padding, KD_ERR_NONFINITE,
                   "field '%s': row %lld: expected finite numbers, got %g", f->name, (long long)row,
                   x[i]);
        KD_FAIL_IF(isfinite(x[i]) && !(fabsf(x[i]) < most), KD_ERR_RANGE,
                   "field '%s': row %lld: its encoding takes numbers below %g in size, got %g",
                   f->name, (long long)row, most, x[i]);
    }
    return KD_OK;
}
