/* How well rows of one array find those of another: cosines in blocks of queries, the places of
 * what belongs to each. Legend: n queries, m candidates, d numbers. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/metrics/spread.h"
#include "core/relation/pairs.h"
#include "math/gemm.h"

#define BLOCK 64
#define TILE 4 /* queries of a piece of work */

typedef struct {
    float *x; /* (rows, d), of length 1 */
    int64_t *group;
    int64_t rows;
} side;

/* A candidate among the first k. */
typedef struct {
    float score;
    int32_t is_positive;
    int64_t at;
} found;

typedef struct {
    kd_context *context;
    int32_t kind, k, is_same;
    int64_t width;
    side query, candidate;
    float *scores; /* (BLOCK, m) */
    found *first;  /* (BLOCK, k) */
    int64_t begin; /* of the block */
    double *value; /* (n); NAN: left out */
} call;

/* ---- one query ---- */

/* Of equal scores, those of other groups come first, then the lower number. */
static int comes_before(const found *a, const found *b)
{
    if (a->score != b->score) return a->score > b->score;
    return a->is_positive < b->is_positive;
}

/* The first k candidates in order; how many there are. */
static int32_t find_first(const call *c, int64_t query, const float *scores, found *first)
{
    int32_t count = 0;
    for (int64_t j = 0; j < c->candidate.rows; j++) {
        const found now = { scores[j], c->candidate.group[j] == c->query.group[query], j };
        if (c->is_same && j == query) continue;
        if (count == c->k && !comes_before(&now, &first[count - 1])) continue;
        int32_t at = count < c->k ? count++ : count - 1;
        for (; at > 0 && comes_before(&now, &first[at - 1]); at--) first[at] = first[at - 1];
        first[at] = now;
    }
    return count;
}

static int64_t count_positives(const call *c, int64_t query)
{
    int64_t count = 0;
    for (int64_t j = 0; j < c->candidate.rows; j++)
        count += c->candidate.group[j] == c->query.group[query] && !(c->is_same && j == query);
    return count;
}

static double reciprocal_place(const call *c, int64_t query, const float *scores)
{
    float best = -INFINITY;
    int64_t place = 1;
    for (int64_t j = 0; j < c->candidate.rows; j++)
        if (c->candidate.group[j] == c->query.group[query] && !(c->is_same && j == query))
            best = fmaxf(best, scores[j]);
    for (int64_t j = 0; j < c->candidate.rows; j++)
        place += c->candidate.group[j] != c->query.group[query] && scores[j] >= best;
    return 1 / (double)place;
}

static double recall(const found *first, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        if (first[i].is_positive) return 1;
    return 0;
}

static double gain(const found *first, int32_t count, int64_t positives)
{
    double sum = 0, most = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += first[i].is_positive / log2(i + 2);
        most += (i < positives) / log2(i + 2);
    }
    return sum / most;
}

/* The group of most of the first; of several, the one whose nearest comes first. */
static double vote(const call *c, int64_t query, const found *first, int32_t count)
{
    int32_t most = 0, best = 0;
    for (int32_t i = 0; i < count; i++) {
        int32_t votes = 0;
        for (int32_t j = 0; j < count; j++)
            votes += c->candidate.group[first[j].at] == c->candidate.group[first[i].at];
        if (votes > most) most = votes, best = i;
    }
    return count && c->candidate.group[first[best].at] == c->query.group[query];
}

static double judge(const call *c, int64_t query, const float *scores, found *first)
{
    const int64_t positives = count_positives(c, query);
    if (!positives && c->kind != KD_RETRIEVAL_VOTE) return NAN;
    if (c->kind == KD_RETRIEVAL_MRR) return reciprocal_place(c, query, scores);
    const int32_t count = find_first(c, query, scores, first);
    if (c->kind == KD_RETRIEVAL_RECALL) return recall(first, count);
    return c->kind == KD_RETRIEVAL_NDCG ? gain(first, count, positives)
                                        : vote(c, query, first, count);
}

/* ---- all queries ---- */

static void judge_tile(void *argument, int64_t tile, int32_t worker)
{
    const call *c = argument;
    const int64_t end = kd__min(kd__min(c->query.rows - c->begin, BLOCK), (tile + 1) * TILE);
    (void)worker;
    for (int64_t i = tile * TILE; i < end; i++)
        c->value[c->begin + i] =
            judge(c, c->begin + i, c->scores + i * c->candidate.rows, c->first + i * c->k);
}

static kd_status judge_all(call *c)
{
    for (c->begin = 0; c->begin < c->query.rows; c->begin += BLOCK) {
        const int64_t rows = kd__min(c->query.rows - c->begin, BLOCK);
        const kd__gemm g = { .b_t = 1,
                             .m = rows,
                             .n = c->candidate.rows,
                             .k = c->width,
                             .alpha = 1,
                             .a = c->query.x + c->begin * c->width,
                             .lda = c->width,
                             .b = c->candidate.x,
                             .ldb = c->width,
                             .c = c->scores,
                             .ldc = c->candidate.rows };
        KD_TRY(kd__pairs_multiply(c->context, &g));
        kd__parallel(c->context, kd__ceil_div(rows, TILE), judge_tile, c);
    }
    return KD_OK;
}

static kd_status write_metric(const call *c, kd_metric *metric)
{
    kd_metric made = { .struct_size = sizeof made };
    kd__mean_of mean = { 0 };
    for (int64_t i = 0; i < c->query.rows; i++) {
        if (isnan(c->value[i])) continue;
        mean.sum += c->value[i];
        mean.squares += c->value[i] * c->value[i];
        mean.rows++;
    }
    KD_FAIL_IF(!mean.rows, KD_ERR_RANGE,
               "retrieval: none of the %lld queries has a candidate of its group",
               (long long)c->query.rows);
    if (c->kind == KD_RETRIEVAL_RECALL || c->kind == KD_RETRIEVAL_VOTE)
        kd__metric_share(&made, (int64_t)mean.sum, mean.rows);
    else kd__metric_mean(&made, &mean);
    return kd__info_write(metric, &made, sizeof made, "kd_metric");
}

/* ---- what is given ---- */

static kd_status read_rows(const call *c, const kd_array *array, const char *what, side *to)
{
    KD_TRY(KD_NEW(c->context, &to->x, to->rows * c->width));
    KD_TRY(kd__array_to_float32(array, to->x, what));
    for (int64_t r = 0; r < to->rows; r++) {
        float *x = to->x + r * c->width;
        double squares = 0;
        for (int64_t k = 0; k < c->width; k++) squares += (double)x[k] * x[k];
        KD_FAIL_IF(!(squares > 0 && squares < INFINITY), KD_ERR_NONFINITE,
                   "%s: row %lld has NaN, infinity, or nothing but zeros", what, (long long)r);
        for (int64_t k = 0; k < c->width; k++) x[k] = (float)(x[k] / sqrt(squares));
    }
    return KD_OK;
}

static kd_status read_groups(const call *c, const kd_array *groups, const char *what, side *to)
{
    KD_TRY(KD_NEW(c->context, &to->group, to->rows));
    for (int64_t r = 0; r < to->rows; r++) to->group[r] = r;
    if (!groups) return KD_OK;
    KD_TRY(kd__array_check(groups, what));
    KD_FAIL_IF(kd_array_count(groups) != to->rows, KD_ERR_SHAPE, "%s: expected %lld, got %lld",
               what, (long long)to->rows, (long long)kd_array_count(groups));
    return kd__array_to_int64(groups, to->group, what);
}

static kd_status check_sides(call *c, const kd_array *queries, const kd_array *candidates)
{
    KD_TRY(kd__array_check(queries, "queries"));
    KD_TRY(kd__array_check(candidates, "candidates"));
    KD_FAIL_IF(queries->rank != 2 || candidates->rank != 2 ||
                   queries->dims[1] != candidates->dims[1] || !queries->dims[1],
               KD_ERR_SHAPE,
               "retrieval: expected queries (n, width) and candidates (m, width), got rank %d with "
               "%lld numbers a row and rank %d with %lld",
               queries->rank, (long long)kd__array_row(queries), candidates->rank,
               (long long)kd__array_row(candidates));
    c->query.rows = queries->dims[0];
    c->candidate.rows = candidates->dims[0];
    c->width = queries->dims[1];
    c->is_same = queries->data == candidates->data && queries->dtype == candidates->dtype &&
                 queries->dims[0] == candidates->dims[0] &&
                 queries->strides[0] == candidates->strides[0];
    KD_FAIL_IF(!c->query.rows || !c->candidate.rows, KD_ERR_SHAPE,
               "retrieval: expected rows on both sides, got %lld and %lld",
               (long long)c->query.rows, (long long)c->candidate.rows);
    return KD_OK;
}

static kd_status check_choice(const call *c, const kd_array *query_groups,
                              const kd_array *candidate_groups)
{
    KD_FAIL_IF(c->kind < KD_RETRIEVAL_RECALL || c->kind > KD_RETRIEVAL_VOTE, KD_ERR_RANGE,
               "retrieval: kind: expected %d to %d, got %d", KD_RETRIEVAL_RECALL, KD_RETRIEVAL_VOTE,
               c->kind);
    KD_FAIL_IF(c->k < 1 && c->kind != KD_RETRIEVAL_MRR, KD_ERR_RANGE,
               "retrieval: k: expected at least 1, got %d", c->k);
    KD_FAIL_IF(!query_groups != !candidate_groups, KD_ERR_INVALID,
               "retrieval: expected groups of both sides, or of none");
    return KD_OK;
}

static kd_status run(call *c, const kd_array *queries, const kd_array *candidates,
                     const kd_array *query_groups, const kd_array *candidate_groups,
                     kd_metric *metric)
{
    int64_t floats;
    KD_TRY(read_rows(c, queries, "queries", &c->query));
    KD_TRY(read_rows(c, candidates, "candidates", &c->candidate));
    KD_TRY(read_groups(c, query_groups, "query_groups", &c->query));
    KD_TRY(read_groups(c, candidate_groups, "candidate_groups", &c->candidate));
    KD_TRY(kd__multiply(BLOCK, c->candidate.rows, &floats));
    KD_TRY(KD_NEW(c->context, &c->scores, floats));
    KD_TRY(KD_NEW(c->context, &c->first, BLOCK * c->k));
    KD_TRY(KD_NEW(c->context, &c->value, c->query.rows));
    KD_TRY(judge_all(c));
    return write_metric(c, metric);
}

kd_status kd_metrics_measure_retrieval(kd_context *context, int32_t kind, int32_t k,
                                       const kd_array *queries, const kd_array *candidates,
                                       const kd_array *query_groups,
                                       const kd_array *candidate_groups, kd_metric *metric)
{
    call c = { .context = context, .kind = kind, .k = k };
    KD_NEED(context);
    KD_NEED(queries);
    KD_NEED(candidates);
    KD_NEED(metric);
    KD_TRY(check_choice(&c, query_groups, candidate_groups));
    KD_TRY(check_sides(&c, queries, candidates));
    c.k = kind == KD_RETRIEVAL_MRR ? 1 : (int32_t)kd__min(k, c.candidate.rows);
    const kd_status status = run(&c, queries, candidates, query_groups, candidate_groups, metric);
    void *blocks[] = { c.query.x, c.query.group, c.candidate.x, c.candidate.group,
                       c.scores,  c.first,       c.value };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
    return status;
}
