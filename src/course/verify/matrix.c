/* Matrices: cell by cell as they are written, and sums and products of them by the values of their
 * cells. */
#include "course/verify/verify.h"

enum { TRIALS = 3, LARGEST = 6 /* rows and columns in a sum or product */ };

typedef struct {
    int rows, columns; /* 0: a number */
} shape;

static int op_of(kd__item i) { return kd__node_of(i)->op; }

static kd__item child_at(kd__item i, int k)
{
    kd__item c = kd__first(i);
    for (; k > 0 && c.node; k--) c = kd__next(c);
    return c;
}

/* ---- shapes: 0 where they do not fit ---- */

static int shape_of(kd__item i, shape *s);

static int shape_of_rows(kd__item i, shape *s)
{
    *s = (shape){ kd__children(i), kd__children(kd__first(i)) };
    /* or a determinant */
    if (kd__node_of(i)->what || s->rows > LARGEST || s->columns > LARGEST) return 0;
    for (kd__item row = kd__first(i); row.node; row = kd__next(row))
        if (kd__children(row) != s->columns) return 0;
    return 1;
}

static int shape_of_sum(kd__item i, shape *s)
{
    shape one;
    if (!shape_of(kd__first(i), s)) return 0;
    for (kd__item c = kd__next(kd__first(i)); c.node; c = kd__next(c))
        if (!shape_of(c, &one) || one.rows != s->rows || one.columns != s->columns) return 0;
    return 1;
}

static int shape_of_product(kd__item i, shape *s)
{
    shape one;
    *s = (shape){ 0, 0 };
    for (kd__item c = kd__first(i); c.node; c = kd__next(c)) {
        if (!shape_of(c, &one)) return 0;
        if (!one.rows) continue;
        if (kd__node_of(c)->sign == '/' || (s->rows && s->columns != one.rows)) return 0;
        *s = (shape){ s->rows ? s->rows : one.rows, one.columns };
    }
    return 1;
}

static int is_matrix(kd__item i)
{
    static const uint8_t matrices[] = { KD__MATRIX };
    return kd__holds(i, matrices, 1);
}

static int shape_of(kd__item i, shape *s)
{
    *s = (shape){ 0, 0 };
    if (op_of(i) == KD__MATRIX) return shape_of_rows(i, s);
    if (!is_matrix(i)) return 1;
    return op_of(i) == KD__SUM ? shape_of_sum(i, s)
                               : op_of(i) == KD__PRODUCT && shape_of_product(i, s);
}

/* ---- cells ---- */

typedef struct {
    int trial;
    kd__work *work;
} asked;

static kd__value cell(kd__item i, int row, int column, asked by);

/* Columns of a matrix, and a row times each. */
static int times(kd__value row[LARGEST], int n, kd__item matrix, asked by)
{
    kd__value made[LARGEST];
    shape s;
    if (!shape_of(matrix, &s)) return 0;
    for (int k = 0; k < s.columns; k++) {
        made[k] = kd__value_whole(0);
        for (int l = 0; l < n; l++)
            made[k] = kd__value_add(made[k], kd__value_multiply(row[l], cell(matrix, l, k, by)));
    }
    memcpy(row, made, (size_t)s.columns * sizeof *made);
    return s.columns;
}

/* Numbers times a row of the first matrix, which goes through the matrices after it. */
static kd__value cell_of_product(kd__item i, int row, int column, asked by)
{
    kd__value number = kd__value_whole(1), line[LARGEST];
    int n = 0;
    for (kd__item c = kd__first(i); c.node && by.work->steps > 0; c = kd__next(c)) {
        shape s;
        if (is_matrix(c)) {
            if (n) n = times(line, n, c, by);
            else if (shape_of(c, &s))
                for (; n < s.columns; n++) line[n] = cell(c, row, n, by);
            continue;
        }
        const kd__value v = kd__evaluate(c, by.trial, by.work);
        number = kd__value_multiply(number, kd__node_of(c)->sign == '/' ? kd__value_inverse(v) : v);
    }
    return column < n ? kd__value_multiply(number, line[column]) : kd__value_failed();
}

static kd__value cell_of_sum(kd__item i, int row, int column, asked by)
{
    kd__value sum = kd__value_whole(0);
    for (kd__item c = kd__first(i); c.node; c = kd__next(c)) {
        const kd__value v = cell(c, row, column, by);
        sum = kd__value_add(sum, kd__node_of(c)->sign == '-' ? kd__value_negative(v) : v);
    }
    return sum;
}

static kd__value cell(kd__item i, int row, int column, asked by)
{
    if (--by.work->steps < 0) return kd__value_failed();
    if (op_of(i) == KD__SUM) return cell_of_sum(i, row, column, by);
    if (op_of(i) == KD__PRODUCT) return cell_of_product(i, row, column, by);
    return kd__evaluate(child_at(child_at(i, row), column), by.trial, by.work);
}

static int same_cells(kd__item a, kd__item b, shape s, kd__work *work)
{
    for (int k = 0; k < TRIALS * s.rows * s.columns; k++) {
        const asked by = { k % TRIALS, work };
        const int row = k / TRIALS / s.columns, column = k / TRIALS % s.columns;
        const kd__value x = cell(a, row, column, by), y = cell(b, row, column, by);
        if (work->steps < 0 || !kd__value_same(x, y, work->tolerance)) return 0;
    }
    return 1;
}

/* Two matrices as they are written: their cells may be anything that can be compared. */
static int same_rows(kd__item a, kd__item b, kd__work *work, int depth)
{
    kd__item x = kd__first(a), y = kd__first(b);
    for (; x.node && y.node; x = kd__next(x), y = kd__next(y)) {
        kd__item p = kd__first(x), q = kd__first(y);
        for (; p.node && q.node; p = kd__next(p), q = kd__next(q))
            if (!kd__same(p, q, work, depth + 1)) return 0;
        if (p.node || q.node) return 0;
    }
    return !x.node && !y.node && kd__node_of(a)->what == kd__node_of(b)->what;
}

int kd__same_matrices(kd__item a, kd__item b, kd__work *work, int depth)
{
    shape s, t;
    if (op_of(a) == KD__MATRIX && op_of(b) == KD__MATRIX) return same_rows(a, b, work, depth);
    if (!shape_of(a, &s) || !shape_of(b, &t)) return 0;
    return s.rows && s.rows == t.rows && s.columns == t.columns && same_cells(a, b, s, work);
}
