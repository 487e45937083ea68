/* Kernels of matrix products, part of kernels_body.h: one source, compiled once an instruction set.
 * A tile is ROWS x (2 W) sums in registers. */
#if W == 16
#define ROWS 12
#else
#define ROWS 6
#endif
#define COLUMNS (2 * W)

/* ---- sides are packed ---- */

/* `width` numbers of `depth` columns that lie `column` apart; a known width is copied without a
 * call. */
static inline __attribute__((always_inline)) void
copy_columns(const float *from, int64_t column, int64_t depth, int64_t width, float *to)
{
    for (int64_t p = 0; p < depth; p++, from += column, to += width)
        memcpy(to, from, (size_t)width * sizeof *to);
}

/* Four lines of four numbers to four columns. */
typedef float four __attribute__((vector_size(16)));
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define SHUFFLE(a, b, i, j, k, l)                                                                  \
    __builtin_shuffle(a, b, (int32_t __attribute__((vector_size(16)))){ i, j, k, l })
#endif
static inline void transpose_four(const float *from, int64_t row, float *to, int64_t width)
{
    four r[4], t[4];
    for (int i = 0; i < 4; i++) memcpy(&r[i], from + i * row, sizeof r[i]);
    t[0] = SHUFFLE(r[0], r[1], 0, 4, 1, 5);
    t[1] = SHUFFLE(r[2], r[3], 0, 4, 1, 5);
    t[2] = SHUFFLE(r[0], r[1], 2, 6, 3, 7);
    t[3] = SHUFFLE(r[2], r[3], 2, 6, 3, 7);
    r[0] = SHUFFLE(t[0], t[1], 0, 1, 4, 5);
    r[1] = SHUFFLE(t[0], t[1], 2, 3, 6, 7);
    r[2] = SHUFFLE(t[2], t[3], 0, 1, 4, 5);
    r[3] = SHUFFLE(t[2], t[3], 2, 3, 6, 7);
    for (int i = 0; i < 4; i++) memcpy(to + i * width, &r[i], sizeof r[i]);
}

#if W >= 8
#define LINES_AT_ONCE 8
/* Eight lines of four numbers: lines 0 to 3 and 4 to 7 in the halves of a register. */
static inline void transpose_lines(const float *from, int64_t row, float *to, int64_t width)
{
    __m256 r[4], t[4];
    for (int i = 0; i < 4; i++)
        r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from + i * row)),
                                    _mm_loadu_ps(from + (i + 4) * row), 1);
    t[0] = _mm256_unpacklo_ps(r[0], r[1]);
    t[1] = _mm256_unpacklo_ps(r[2], r[3]);
    t[2] = _mm256_unpackhi_ps(r[0], r[1]);
    t[3] = _mm256_unpackhi_ps(r[2], r[3]);
    _mm256_storeu_ps(to, _mm256_shuffle_ps(t[0], t[1], 0x44));
    _mm256_storeu_ps(to + width, _mm256_shuffle_ps(t[0], t[1], 0xee));
    _mm256_storeu_ps(to + 2 * width, _mm256_shuffle_ps(t[2], t[3], 0x44));
    _mm256_storeu_ps(to + 3 * width, _mm256_shuffle_ps(t[2], t[3], 0xee));
}
#else
#define LINES_AT_ONCE 4
#define transpose_lines transpose_four
#endif

/* The first `whole` lines, a multiple of four, of four numbers each. */
static inline void transpose_step(const float *from, int64_t row, int64_t whole, float *to,
                                  int64_t width)
{
    int64_t i = 0;
    for (; i + LINES_AT_ONCE <= whole; i += LINES_AT_ONCE)
        transpose_lines(from + i * row, row, to + i, width);
    for (; i < whole; i += 4) transpose_four(from + i * row, row, to + i, width);
}

static void pack(const float *x, int64_t row, int64_t column, int64_t count, int64_t depth,
                 int64_t width, float *to)
{
    const int64_t whole = count / 4 * 4, deep = depth / 4 * 4;
    if (count < width) memset(to, 0, (size_t)(width * depth) * sizeof *to);
    if (row == 1) {
        if (count == ROWS && width == ROWS) copy_columns(x, column, depth, ROWS, to);
        else if (count == COLUMNS && width == COLUMNS) copy_columns(x, column, depth, COLUMNS, to);
        else
            for (int64_t p = 0; p < depth; p++)
                memcpy(to + p * width, x + p * column, (size_t)count * sizeof *to);
        return;
    }
    for (int64_t p = 0; p < deep; p += 4) transpose_step(x + p, row, whole, to + p * width, width);
    for (int64_t p = 0; p < depth; p++)
        for (int64_t i = p < deep ? whole : 0; i < count; i++) to[p * width + i] = x[i * row + p];
}

/* ---- and multiplied ---- */

/* The sums go over k in one order, whatever the tile, and whatever part of it is made: `made` rows
 * of the ROWS that are packed. */
static inline __attribute__((always_inline)) void
tile_of(int made, int64_t k, float alpha, const float *a, const float *b, float beta, float *c,
        int64_t ldc, int32_t rows, int32_t columns, const kd__ahead *ahead)
{
    vf low[ROWS], high[ROWS], b0 = load(b), b1 = load(b + W);
    /* it is far away when the result is large, and comes while the sums are made */
    for (int i = 0; i < rows; i++) {
        __builtin_prefetch(c + i * ldc, 1, 3);
        __builtin_prefetch(c + i * ldc + columns - 1, 1, 3);
    }
    /* zeros first would go through memory */
    for (int i = 0; i < made; i++) {
        low[i] = b0 * a[i];
        high[i] = b1 * a[i];
    }
    kd__fetching next = kd__fetch_begin(ahead);
    for (int64_t p = 1; p < k;) {
        const int64_t steps = made <= 3 ? 1 : KD__AHEAD_STEPS;
        const int64_t stop = p + steps < k ? p + steps : k;
        kd__fetch_line(&next);
        for (; p < stop; p++) {
            a += ROWS;
            b += COLUMNS;
            b0 = load(b);
            b1 = load(b + W);
            ROUNDED(b0); /* in registers: few rows would read them as operands, once each */
            ROUNDED(b1);
            for (int i = 0; i < made; i++) {
                low[i] += b0 * a[i];
                high[i] += b1 * a[i];
            }
        }
    }
    if (rows == made && columns == COLUMNS) { /* as below, without memory between */
        for (int i = 0; i < made; i++) {
            vf y0 = low[i] * alpha, y1 = high[i] * alpha;
            ROUNDED(y0);
            ROUNDED(y1);
            if (beta != 0) {
                y0 = y0 + load(c + i * ldc) * beta;
                y1 = y1 + load(c + i * ldc + W) * beta;
            }
            store(c + i * ldc, y0);
            store(c + i * ldc + W, y1);
        }
        return;
    }
    float sums[ROWS][COLUMNS];
    for (int i = 0; i < made; i++) {
        store(sums[i], low[i] * alpha);
        store(sums[i] + W, high[i] * alpha);
    }
    for (int32_t i = 0; i < rows; i++, c += ldc)
        for (int32_t j = 0; j < columns; j += W) {
            vf y = load(sums[i] + j);
            if (beta != 0) y = y + load_at(c + j, columns - j, 0) * beta;
            store_at(c + j, y, columns - j);
        }
}

static void tile(int64_t k, float alpha, const float *a, const float *b, float beta, float *c,
                 int64_t ldc, int32_t rows, int32_t columns, const kd__ahead *ahead)
{
    if (rows <= 1) tile_of(1, k, alpha, a, b, beta, c, ldc, rows, columns, ahead);
    else if (rows <= 3) tile_of(3, k, alpha, a, b, beta, c, ldc, rows, columns, ahead);
    else if (rows <= ROWS / 2)
        tile_of(ROWS / 2, k, alpha, a, b, beta, c, ldc, rows, columns, ahead);
    else tile_of(ROWS, k, alpha, a, b, beta, c, ldc, rows, columns, ahead);
}
