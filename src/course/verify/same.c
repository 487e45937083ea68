/* Equality of answers in mathematics: by structure down to expressions, and of those by value. */
#include "course/verify/verify.h"

enum { TRIALS = 4, MOST_ITEMS = 64, DEEPEST = 10, MOST_STEPS = 400000 };

static int op_of(kd__item i) { return kd__node_of(i)->op; }

/* ---- values ---- */

static int is_marked(kd__item i, int op)
{
    while (op_of(i) == KD__SUM && !kd__node_of(kd__first(i))->next) i = kd__first(i);
    return op_of(i) == op;
}

static kd__value radians(kd__value v)
{
    return kd__value_multiply(
        v, kd__value_multiply(kd__value_pi(), kd__value_inverse(kd__value_whole(180))));
}

/* 50% is 50 and .5; 90 degrees are 90 and pi/2. */
static int same_at(kd__item a, kd__item b, kd__value x, kd__value y, double tolerance)
{
    if (kd__value_same(x, y, tolerance)) return 1;
    const int percent = is_marked(a, KD__PERCENT) - is_marked(b, KD__PERCENT);
    if (percent)
        return kd__value_same(percent > 0 ? kd__value_share(x, 2) : x,
                              percent < 0 ? kd__value_share(y, 2) : y, tolerance);
    const int degrees = is_marked(a, KD__DEGREES) - is_marked(b, KD__DEGREES);
    return degrees &&
           kd__value_same(degrees > 0 ? radians(x) : x, degrees < 0 ? radians(y) : y, tolerance);
}

/* The letters of both, without the marks around words. */
static int same_letters(kd__item a, kd__item b)
{
    const kd__node *x = kd__node_of(a), *y = kd__node_of(b);
    const char *p = a.tree->flat + x->at, *q = b.tree->flat + y->at, *p_end = p + x->bytes,
               *q_end = q + y->bytes;
    for (;; p++, q++) {
        while (p < p_end && *p == KD__WORD) p++;
        while (q < q_end && *q == KD__WORD) q++;
        if (p == p_end || q == q_end) return p == p_end && q == q_end;
        if (kd__lower(*p) != kd__lower(*q)) return 0;
    }
}

/* Parts in the same proportion: 3:4:5 and 6:8:10. */
static int same_ratios(kd__item a, kd__item b, kd__work *work)
{
    const kd__item a0 = kd__first(a), b0 = kd__first(b);
    if (kd__children(a) != kd__children(b)) return 0;
    const kd__value x0 = kd__evaluate(a0, 0, work), y0 = kd__evaluate(b0, 0, work);
    kd__item x = kd__next(a0), y = kd__next(b0);
    for (; x.node; x = kd__next(x), y = kd__next(y)) {
        const kd__value left = kd__value_multiply(x0, kd__evaluate(y, 0, work)),
                        right = kd__value_multiply(y0, kd__evaluate(x, 0, work));
        if (!kd__value_same(left, right, work->tolerance)) return 0;
    }
    return 1;
}

static int same_at_points(kd__item a, kd__item b, kd__work *work)
{
    static const uint8_t variables[] = { KD__VARIABLE };
    const int constant = !kd__holds(a, variables, 1) && !kd__holds(b, variables, 1),
              trials = constant ? 1 : TRIALS;
    int compared = 0;
    for (int trial = 0; trial < trials; trial++) {
        const kd__value x = kd__evaluate(a, trial, work), y = kd__evaluate(b, trial, work);
        if (work->steps < 0 || x.failed != y.failed) return 0;
        if (x.failed) continue; /* no expression, or a pole at this point */
        if (!same_at(a, b, x, y, work->tolerance)) return 0;
        compared++;
    }
    return compared > trials / 3;
}

int kd__same_value(kd__item a, kd__item b, kd__work *work)
{
    static const uint8_t degrees[] = { KD__DEGREES };
    if (op_of(a) == KD__WORDS || op_of(b) == KD__WORDS) return same_letters(a, b);
    if (op_of(a) == KD__RATIO && op_of(b) == KD__RATIO) return same_ratios(a, b, work);
    if (same_at_points(a, b, work)) return 1;
    if (kd__holds(a, degrees, 1) == kd__holds(b, degrees, 1)) return 0;
    kd__work bare = *work;
    bare.bare_degrees = 1;
    const int same = same_at_points(a, b, &bare);
    work->steps = bare.steps;
    return same;
}

/* ---- lists ---- */

static int has_branches(kd__item i)
{
    for (kd__item c = kd__first(i); c.node; c = kd__next(c))
        if (kd__node_of(c)->sign == KD__PLUS_MINUS || kd__node_of(c)->sign == KD__MINUS_PLUS ||
            has_branches(c))
            return 1;
    return 0;
}

static int is_collection(int op) { return op == KD__LIST || op == KD__SET || op == KD__UNIONS; }

/* Members: nodes of one tree, small because a list may stand in a list. */
typedef struct {
    const kd__tree *tree;
    struct {
        uint16_t node;
        int16_t branch;
    } at[MOST_ITEMS];
    int count;
} items;

static kd__item item_of(const items *list, int i)
{
    return (kd__item){ list->tree, list->at[i].node, list->at[i].branch };
}

static int add_item(items *list, kd__item i, int branch)
{
    if (list->count == MOST_ITEMS) return 0;
    list->at[list->count].node = i.node;
    list->at[list->count++].branch = (int16_t)branch;
    return 1;
}

/* Both answers that plus-minus stands for. branch 0: none was chosen yet. */
static int add_branches(items *list, kd__item i)
{
    if (i.branch || !has_branches(i)) return add_item(list, i, i.branch);
    return add_item(list, i, 1) && add_item(list, i, -1);
}

static int add_children(items *list, kd__item i)
{
    for (kd__item c = kd__first(i); c.node; c = kd__next(c))
        if (!add_branches(list, c)) return 0;
    return 1;
}

/* \{1, 2\} \cup \{3\}: its members are those of its sets. */
static int is_union_of_sets(kd__item i)
{
    if (op_of(i) != KD__UNIONS) return 0;
    for (kd__item c = kd__first(i); c.node; c = kd__next(c))
        if (op_of(c) != KD__SET) return 0;
    return 1;
}

static int collect_union(items *list, kd__item i)
{
    for (kd__item c = kd__first(i); c.node; c = kd__next(c))
        if (!add_children(list, c)) return 0;
    return 1;
}

static int is_set(kd__item i) { return op_of(i) == KD__SET || is_union_of_sets(i); }

static int collect(items *list, kd__item i)
{
    list->tree = i.tree;
    list->count = 0;
    if (is_union_of_sets(i)) return collect_union(list, i);
    return is_collection(op_of(i)) ? add_children(list, i) : add_branches(list, i);
}

static int same_unordered(const items *a, const items *b, kd__work *work, int depth)
{
    char taken[MOST_ITEMS] = { 0 };
    for (int i = 0; i < a->count; i++) {
        int found = 0;
        for (int j = 0; j < b->count && !found; j++)
            if (!taken[j] && kd__same(item_of(a, i), item_of(b, j), work, depth + 1))
                taken[j] = 1, found = 1;
        if (!found) return 0;
    }
    return 1;
}

static int same_spelling(kd__item a, kd__item b)
{
    const kd__node *x = kd__node_of(a), *y = kd__node_of(b);
    return x->bytes == y->bytes && !memcmp(a.tree->flat + x->at, b.tree->flat + y->at, x->bytes);
}

/* 15 39/40 or 639/40: each of the list is `one`, and each is spelled in its own way. */
static int are_spellings(const items *list, kd__item one, kd__work *work, int depth)
{
    for (int i = 0; i < list->count; i++) {
        for (int j = 0; j < i; j++)
            if (same_spelling(item_of(list, i), item_of(list, j))) return 0;
        if (!kd__same(item_of(list, i), one, work, depth + 1)) return 0;
    }
    return list->count > 1;
}

/* Is each of a one of b? */
static int is_covered(const items *a, const items *b, kd__work *work, int depth)
{
    for (int i = 0; i < a->count; i++) {
        int found = 0;
        for (int j = 0; j < b->count && !found; j++)
            found = kd__same(item_of(a, i), item_of(b, j), work, depth + 1);
        if (!found) return 0;
    }
    return 1;
}

static int are_points(const items *list)
{
    for (int i = 0; i < list->count; i++)
        if (op_of(item_of(list, i)) != KD__TUPLE) return 0;
    return list->count > 1;
}

/* In a set, and among points, it does not count how often a member is named. */
static int are_sets(kd__item a, const items *x, kd__item b, const items *y)
{
    const int sets = is_set(a) + is_set(b);
    return sets == 2 || (sets == 1 && x->count > 1 && y->count > 1) ||
           (are_points(x) && are_points(y));
}

static int same_collections(kd__item a, kd__item b, kd__work *work, int depth)
{
    items x, y;
    if (!collect(&x, a) || !collect(&y, b)) return 0;
    if (are_sets(a, &x, b, &y))
        return is_covered(&x, &y, work, depth) && is_covered(&y, &x, work, depth);
    if (y.count == 1 && op_of(a) == KD__LIST) return are_spellings(&x, item_of(&y, 0), work, depth);
    if (x.count == 1 && op_of(b) == KD__LIST) return are_spellings(&y, item_of(&x, 0), work, depth);
    if (x.count != y.count) return 0;
    if (x.count == 1 && is_set(a) != is_set(b)) return 0; /* {1} is not 1 */
    return same_unordered(&x, &y, work, depth);
}

static int same_children(kd__item a, kd__item b, kd__work *work, int depth)
{
    kd__item x = kd__first(a), y = kd__first(b);
    for (; x.node && y.node; x = kd__next(x), y = kd__next(y))
        if (!kd__same(x, y, work, depth + 1)) return 0;
    return !x.node && !y.node;
}

/* ---- brackets ---- */

static int same_tuples(kd__item a, kd__item b, kd__work *work, int depth)
{
    const kd__node *x = kd__node_of(a), *y = kd__node_of(b);
    const char *p = a.tree->flat + x->at, *q = b.tree->flat + y->at;
    return p[0] == q[0] && p[x->bytes - 1] == q[y->bytes - 1] && same_children(a, b, work, depth);
}

/* 5, 2 and p = 5, q = 2 against (5, 2) */
static int is_open_tuple(kd__item list, kd__item tuple)
{
    if (op_of(list) != KD__LIST || op_of(tuple) != KD__TUPLE) return 0;
    const kd__node *n = kd__node_of(tuple);
    return tuple.tree->flat[n->at] == '(' && tuple.tree->flat[n->at + n->bytes - 1] == ')';
}

/* ---- everything ---- */

int kd__same(kd__item a, kd__item b, kd__work *work, int depth)
{
    static const uint8_t matrices[] = { KD__MATRIX };
    if (!a.node || !b.node || depth > DEEPEST || --work->steps < 0) return 0;
    if (a.branch == b.branch && same_spelling(a, b)) return 1;
    if ((op_of(a) == KD__RELATION) != (op_of(b) == KD__RELATION)) {
        const kd__item x = kd__without_name(a, work), y = kd__without_name(b, work),
                       v = kd__exact_side(a, work), w = kd__exact_side(b, work);
        if ((v.node != a.node || w.node != b.node) && kd__same(v, w, work, depth + 1)) return 1;
        if (x.node != a.node || y.node != b.node) return kd__same(x, y, work, depth + 1);
        return kd__same_interval(a, b, work) || kd__same_distance(a, b, work);
    }
    if (is_open_tuple(a, b) || is_open_tuple(b, a)) return same_children(a, b, work, depth);
    const int branches = (!a.branch && has_branches(a)) || (!b.branch && has_branches(b));
    if (is_collection(op_of(a)) || is_collection(op_of(b)) || branches)
        return same_collections(a, b, work, depth);
    if (op_of(a) == KD__RELATION) return kd__same_relations(a, b, work, depth);
    if (kd__holds(a, matrices, 1) && kd__holds(b, matrices, 1))
        return kd__same_matrices(a, b, work, depth);
    if (op_of(a) == KD__TUPLE && op_of(b) == KD__TUPLE) return same_tuples(a, b, work, depth);
    return kd__same_value(a, b, work);
}

/* The formula of an answer that is prose around one, in place of the whole. */
static void read_formula(kd__tree *tree, kd__answer answer)
{
    kd__stretch formula;
    if ((tree->root && !tree->prose) || !kd__formula_of(answer, &formula)) return;
    kd__tree_read(tree, formula);
    if (!tree->root) kd__tree_read(tree, answer.text);
}

int kd__same_mathematics(kd__answer a, kd__answer b, double tolerance)
{
    kd__tree x, y;
    kd__work work = { .steps = MOST_STEPS, .tolerance = tolerance };
    if (!kd__length(a.text) || !kd__length(b.text)) return 0;
    kd__tree_read(&x, a.text);
    kd__tree_read(&y, b.text);
    if (!x.length || !y.length) {
        if (kd__same_bytes(a.text, b.text)) return 1;
    } else if (x.length == y.length && !memcmp(x.flat, y.flat, (size_t)x.length)) return 1;
    read_formula(&x, a);
    read_formula(&y, b);
    return kd__same((kd__item){ &x, x.root, 0 }, (kd__item){ &y, y.root, 0 }, &work, 0);
}
