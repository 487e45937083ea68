/* Heads fused with the loss: the same numbers as logits held whole, whatever the blocks, the
 * threads and the sides. */
#include "unit.h"

enum { N = 70, D = 24, DT = 12, V = 500 };

static float hidden[N * D], weight[V * D], bias[V], teacher_hidden[N * DT], teacher_weight[V * DT],
    z[N * V], v[N * V];
static int64_t labels[N];

static uint64_t stream = 3;
static float noise(void)
{
    stream = stream * 6364136223846793005ULL + 1442695040888963407ULL;
    return (float)((double)(stream >> 11) * 0x1p-53 - 0.5);
}

static void fill(float *x, int64_t n, float size)
{
    for (int64_t i = 0; i < n; i++) x[i] = size * noise();
}

static void product(const float *h, const float *w, const float *b, int64_t d, double scale,
                    double cap, float *out)
{
    for (int r = 0; r < N; r++)
        for (int j = 0; j < V; j++) {
            double sum = b ? b[j] : 0;
            for (int64_t i = 0; i < d; i++) sum += (double)h[r * d + i] * w[j * d + i];
            sum *= scale;
            out[r * V + j] = (float)(cap > 0 ? cap * tanh(sum / cap) : sum);
        }
}

typedef struct {
    kd_context *ctx;
    kd_loss *loss;
    kd_batch *batch;
    kd_targets *targets;
} parts;

static const int64_t *masks[2]; /* of the two terms; NULL: none */

static void make(parts *p, int32_t threads, int64_t limit)
{
    kd_loss_options o = KD_LOSS_OPTIONS_INIT;
    kd_term_options soft = KD_TERM_OPTIONS_INIT, hard = soft;
    kd_array ys = KD_ARRAY_1D(labels, KD_INT64, N), soft_rows = KD_ARRAY_1D(masks[0], KD_INT64, N),
             hard_rows = KD_ARRAY_1D(masks[1], KD_INT64, N);
    o.memory_limit = limit;
    soft.temperature = 2;
    soft.mask_field = masks[0] ? "soft" : NULL;
    hard.mask_field = masks[1] ? "hard" : NULL;
    p->ctx = make_context(threads);
    OK(kd_loss_create(&p->loss, p->ctx, &o));
    OK(kd_loss_add(p->loss, KD_LOSS_FORWARD_KL, 0.7, &soft, NULL));
    OK(kd_loss_add(p->loss, KD_LOSS_CROSS_ENTROPY, 0.3, &hard, NULL));
    OK(kd_batch_create(&p->batch, p->ctx, NULL));
    OK(kd_targets_create(&p->targets, p->ctx, NULL));
    OK(kd_batch_begin(p->batch, N));
    OK(kd_batch_set(p->batch, "label", &ys, NULL));
    if (masks[0]) OK(kd_batch_set(p->batch, "soft", &soft_rows, NULL));
    if (masks[1]) OK(kd_batch_set(p->batch, "hard", &hard_rows, NULL));
    OK(kd_targets_begin(p->targets, N));
}

static void drop(parts *p)
{
    kd_targets_free(p->targets);
    kd_batch_free(p->batch);
    kd_loss_free(p->loss);
    kd_context_free(p->ctx);
}

static void setup(void)
{
    masks[0] = masks[1] = NULL;
    fill(hidden, N * D, 2);
    fill(weight, V * D, 1);
    fill(bias, V, 2);
    fill(teacher_hidden, N * DT, 2);
    fill(teacher_weight, V * DT, 2);
    for (int i = 0; i < N; i++) labels[i] = i * 7 % V;
    product(teacher_hidden, teacher_weight, NULL, DT, 1, 0, v);
}

static void dense_teacher(parts *p)
{
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, N, V);
    OK(kd_targets_borrow(p->targets, "logits", &vs, NULL));
}

static void hidden_teacher(parts *p)
{
    static kd_array w;
    kd_head head = KD_HEAD_INIT;
    kd_array hs = KD_ARRAY_2D(teacher_hidden, KD_FLOAT32, N, DT),
             ws = KD_ARRAY_2D(teacher_weight, KD_FLOAT32, V, DT);
    w = ws;
    head.weight = &w;
    OK(kd_targets_borrow(p->targets, "hidden", &hs, NULL));
    OK(kd_targets_borrow_head(p->targets, "logits", "hidden", &head));
}

static kd_status run(parts *p, double scale, double cap, const float *b, double bound, float *dh,
                     float *dw, float *db, kd_loss_result *result)
{
    kd_array hs = KD_ARRAY_2D(hidden, KD_FLOAT32, N, D), dhs = KD_ARRAY_2D(dh, KD_FLOAT32, N, D),
             ws = KD_ARRAY_2D(weight, KD_FLOAT32, V, D);
    kd_array bs = KD_ARRAY_1D(b, KD_FLOAT32, V), dws = KD_ARRAY_2D(dw, KD_FLOAT32, V, D),
             dbs = KD_ARRAY_1D(db, KD_FLOAT32, V);
    kd_head head = KD_HEAD_INIT;
    head.weight = &ws;
    head.bias = b ? &bs : NULL;
    head.weight_gradient = dw ? &dws : NULL;
    head.bias_gradient = db ? &dbs : NULL;
    head.scale = scale;
    head.soft_cap = cap;
    head.skip_bound = bound;
    kd_loss_output output = { sizeof output, 0, NULL, &hs, dh ? &dhs : NULL, &head };
    memset(result, 0, sizeof *result);
    result->struct_size = sizeof *result;
    return kd_loss_evaluate(p->loss, &output, 1, p->batch, p->targets, NULL, result);
}

/* What the logits held whole give. */
static double whole(double scale, double cap, const float *b, float *dh, float *dw, float *db)
{
    static float dz[N * V];
    parts p;
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, N, V), dzs = KD_ARRAY_2D(dz, KD_FLOAT32, N, V);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, &dzs, NULL };
    kd_loss_result result = { .struct_size = sizeof result };
    product(hidden, weight, b, D, scale, cap, z);
    make(&p, 1, 64 << 20);
    dense_teacher(&p);
    OK(kd_loss_evaluate(p.loss, &output, 1, p.batch, p.targets, NULL, &result));
    drop(&p);
    memset(dh, 0, N * D * sizeof *dh);
    memset(dw, 0, V * D * sizeof *dw);
    memset(db, 0, V * sizeof *db);
    for (int r = 0; r < N; r++)
        for (int j = 0; j < V; j++) {
            const double y = z[r * V + j],
                         g = dz[r * V + j] * scale * (cap > 0 ? 1 - y * y / cap / cap : 1);
            for (int i = 0; i < D; i++) {
                dh[r * D + i] += (float)(g * weight[j * D + i]);
                dw[j * D + i] += (float)(g * hidden[r * D + i]);
            }
            db[j] += (float)g;
        }
    return result.value;
}

static double distance(const float *a, const float *b, int64_t n)
{
    double d = 0, size = 0;
    for (int64_t i = 0; i < n; i++)
        d += (a[i] - b[i]) * (double)(a[i] - b[i]), size += (double)b[i] * b[i];
    return size > 0 ? sqrt(d / size) : sqrt(d);
}

static float dh[N * D], dw[V * D], db[V], dh0[N * D], dw0[V * D], db0[V];

START_TEST(heads_give_what_whole_logits_give)
{
    static const struct {
        double scale, cap;
        int with_bias, hidden;
        int64_t limit;
    } cases[] = { { 1, 0, 0, 0, 64 << 20 },
                  { 1, 0, 1, 1, 300000 },
                  { 0.5, 4, 1, 1, 1 },
                  { 1, 0, 0, 1, 500000 },
                  { -2, 0, 1, 0, 400000 } };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        parts p;
        kd_loss_result result;
        const float *b = cases[c].with_bias ? bias : NULL;
        const double expected = whole(cases[c].scale, cases[c].cap, b, dh0, dw0, db0);
        make(&p, 2, cases[c].limit);
        if (cases[c].hidden) hidden_teacher(&p);
        else dense_teacher(&p);
        memset(dw, 0, sizeof dw);
        memset(db, 0, sizeof db);
        OK(run(&p, cases[c].scale, cases[c].cap, b, 0, dh, dw, db, &result));
        NEAR(result.value, expected, 1e-5 * (1 + expected));
        ck_assert_msg(distance(dh, dh0, N * D) < 3e-6, "case %zu: dH %g", c,
                      distance(dh, dh0, N * D));
        ck_assert_msg(distance(dw, dw0, V * D) < 3e-6, "case %zu: dW %g", c,
                      distance(dw, dw0, V * D));
        ck_assert_msg(distance(db, db0, V) < 3e-6, "case %zu: db %g", c, distance(db, db0, V));
        drop(&p);
    }
}
END_TEST

/* Rows that every term has masked do not enter the products: their hidden states may be anything.
 * Where not even one row fits into the limit, there is no room to gather rows. */
START_TEST(masked_rows_are_left_out_of_the_head)
{
    static const int64_t limits[] = { 64 << 20, 1500000, 1 };
    static float dh[2][N * D], dw[2][V * D], db[2][V], kept[N * D];
    int64_t mask[N];
    kd_array m = KD_ARRAY_1D(mask, KD_INT64, N);
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result result[2];
    o.mask_field = "mask";
    memcpy(kept, hidden, sizeof kept);
    for (int i = 0; i < N; i++) mask[i] = i % 3 == 1;
    for (int l = 0; l < 3; l++) {
        for (int hostile = 0; hostile < 2; hostile++) {
            parts p;
            make(&p, 2, limits[l]);
            kd_loss_free(p.loss);
            kd_loss_options lo = KD_LOSS_OPTIONS_INIT;
            lo.memory_limit = limits[l];
            OK(kd_loss_create(&p.loss, p.ctx, &lo));
            OK(kd_loss_add(p.loss, KD_LOSS_FORWARD_KL, 0.7, &o, NULL));
            OK(kd_loss_add(p.loss, KD_LOSS_CROSS_ENTROPY, 0.3, &o, NULL));
            OK(kd_batch_set(p.batch, "mask", &m, NULL));
            hidden_teacher(&p);
            memset(dw[hostile], 0, sizeof dw[0]);
            memset(db[hostile], 0, sizeof db[0]);
            for (int i = 0; i < N * D && hostile && l < 2; i++)
                if (!mask[i / D]) hidden[i] = NAN;
            OK(run(&p, 0.5, 3, bias, 0, dh[hostile], dw[hostile], db[hostile], &result[hostile]));
            memcpy(hidden, kept, sizeof kept);
            drop(&p);
        }
        ck_assert(result[0].value == result[1].value && result[0].rows[0] == N / 3);
        ck_assert_mem_eq(dh[0], dh[1], sizeof dh[0]);
        ck_assert_mem_eq(dw[0], dw[1], sizeof dw[0]);
        ck_assert_mem_eq(db[0], db[1], sizeof db[0]);
        for (int i = 0; i < N * D; i++) ck_assert(mask[i / D] || dh[0][i] == 0);
    }
}
END_TEST

/* ---- rows that some terms look at ---- */

enum { NONE, ONE, LAST, TWO_MASKS, ALL, ROW_SETS };

static void choose_rows(int set)
{
    static int64_t soft[N], hard[N];
    for (int i = 0; i < N; i++) {
        soft[i] = set == ALL || (set == ONE && i == 41) || (set == LAST && i == N - 1) ||
                  (set == TWO_MASKS && i % 3 == 0);
        hard[i] = set == TWO_MASKS ? i % 4 == 1 : soft[i];
    }
    masks[0] = soft;
    masks[1] = hard;
}

START_TEST(chosen_rows_give_what_whole_logits_give)
{
    static const struct {
        double scale, cap, bound;
        int with_bias, hidden;
        int64_t limit;
    } cases[] = { { 1, 0, 0, 0, 0, 64 << 20 },
                  { 0.5, 4, 0, 1, 1, 300000 },
                  { -2, 0, 0, 1, 1, 500000 },
                  { 1, 0, 1e-5, 1, 0, 64 << 20 } };
    static float first[3][V * D];
    const float *b;
    for (int k = 0; k < ROW_SETS * 4; k++) {
        const int set = k / 4, c = k % 4;
        b = cases[c].with_bias ? bias : NULL;
        choose_rows(set);
        const double expected = whole(cases[c].scale, cases[c].cap, b, dh0, dw0, db0);
        for (int32_t threads = 1; threads <= 3; threads++) {
            parts p;
            kd_loss_result result;
            make(&p, threads, cases[c].limit);
            if (cases[c].hidden) hidden_teacher(&p);
            else dense_teacher(&p);
            for (int i = 0; i < N * D; i++) dh[i] = 5;
            memset(dw, 0, sizeof dw);
            memset(db, 0, sizeof db);
            OK(run(&p, cases[c].scale, cases[c].cap, b, cases[c].bound, dh, dw, db, &result));
            NEAR(result.value, expected, 1e-5 * (1 + expected));
            const double near = cases[c].bound > 0 ? 1e-3 : 3e-6;
            ck_assert_msg(distance(dh, dh0, N * D) < near && distance(dw, dw0, V * D) < near &&
                              distance(db, db0, V) < 3e-6,
                          "rows %d, case %d: %g %g %g", set, c, distance(dh, dh0, N * D),
                          distance(dw, dw0, V * D), distance(db, db0, V));
            ck_assert(set != NONE || (result.value == 0 && result.rows[0] == 0));
            for (int i = 0; i < N * D; i++)
                ck_assert(masks[0][i / D] || masks[1][i / D] || dh[i] == 0);
            if (threads == 1) {
                memcpy(first[0], dh, sizeof dh);
                memcpy(first[1], dw, sizeof dw);
                memcpy(first[2], db, sizeof db);
            }
            ck_assert_mem_eq(first[0], dh, sizeof dh);
            ck_assert_mem_eq(first[1], dw, sizeof dw);
            ck_assert_mem_eq(first[2], db, sizeof db);
            drop(&p);
        }
    }
}
END_TEST

START_TEST(a_mask_that_masks_nothing_changes_no_bit)
{
    for (int masked = 0; masked < 2; masked++) {
        parts p;
        kd_loss_result result;
        if (masked) choose_rows(ALL);
        make(&p, 2, 300000);
        hidden_teacher(&p);
        memset(dw, 0, sizeof dw);
        OK(run(&p, 1, 0, bias, 0, dh, dw, NULL, &result));
        if (!masked) memcpy(dw0, dw, sizeof dw), memcpy(dh0, dh, sizeof dh);
        drop(&p);
    }
    ck_assert_mem_eq(dw, dw0, sizeof dw);
    ck_assert_mem_eq(dh, dh0, sizeof dh);
}
END_TEST

/* A teacher's head beside logits that the host has: the gradient of rows that nobody looks at is 0,
 * also over the values, or stays what it was where gradients add up. */
START_TEST(a_teachers_head_takes_chosen_rows_alone)
{
    static float dz[2][N * V];
    enum { APART, OVER, ADDED, WAYS };
    size_t taken[ROW_SETS];
    product(hidden, weight, NULL, D, 1, 0, z);
    for (int k = 0; k < ROW_SETS * WAYS; k++) {
        const int set = k / WAYS, way = k % WAYS;
        kd_loss_result result[2];
        choose_rows(set);
        for (int head = 0; head < 2; head++) {
            parts p;
            kd_context_info before = { .struct_size = sizeof before }, after = before;
            float *to = dz[head];
            for (int i = 0; i < N * V; i++) to[i] = way == OVER ? z[i] : 1;
            kd_array zs = KD_ARRAY_2D(way == OVER ? to : z, KD_FLOAT32, N, V),
                     dzs = KD_ARRAY_2D(to, KD_FLOAT32, N, V);
            kd_loss_output output = { sizeof output, way == ADDED, NULL, &zs, &dzs, NULL };
            result[head] = (kd_loss_result){ .struct_size = sizeof result[head] };
            make(&p, 2, 64 << 20);
            if (head) hidden_teacher(&p);
            else dense_teacher(&p);
            OK(kd_context_get_info(p.ctx, &before));
            OK(kd_loss_evaluate(p.loss, &output, 1, p.batch, p.targets, NULL, &result[head]));
            OK(kd_context_get_info(p.ctx, &after));
            if (head) taken[set] = after.peak_bytes - before.bytes;
            drop(&p);
        }
        NEAR(result[1].value, result[0].value, 1e-6 * (1 + result[0].value));
        ck_assert_msg(distance(dz[1], dz[0], N * V) < 3e-6, "rows %d, way %d: %g", set, way,
                      distance(dz[1], dz[0], N * V));
        for (int i = 0; i < N * V; i++)
            ck_assert(masks[0][i / V] || masks[1][i / V] || dz[1][i] == (way == ADDED));
    }
    ck_assert_msg(taken[ONE] + 50 * V * sizeof(float) < taken[ALL], "%zu bytes of one row, %zu",
                  taken[ONE], taken[ALL]);
}
END_TEST

START_TEST(bits_do_not_depend_on_threads_and_gradients_add_up)
{
    parts p;
    kd_loss_result result;
    for (int32_t threads = 1; threads <= 3; threads++) {
        make(&p, threads, 400000);
        dense_teacher(&p);
        memset(dw, 0, sizeof dw);
        OK(run(&p, 1, 0, NULL, 0, dh, dw, NULL, &result));
        if (threads == 1) memcpy(dw0, dw, sizeof dw), memcpy(dh0, dh, sizeof dh);
        ck_assert_mem_eq(dw, dw0, sizeof dw);
        ck_assert_mem_eq(dh, dh0, sizeof dh);
        if (threads == 3) {
            OK(run(&p, 1, 0, NULL, 0, dh, dw, NULL, &result));
            for (int i = 0; i < V * D; i++) NEAR(dw[i], 2 * dw0[i], 1e-6);
        }
        drop(&p);
    }
}
END_TEST

/* Rows that are alike, or classes whose head rows are: what stands in for skipped cells is then all
 * that they held. */
START_TEST(stand_ins_of_skipped_cells_keep_what_rows_and_classes_share)
{
    for (int side = 0; side < 2; side++) {
        parts p;
        kd_loss_result result;
        setup();
        for (int r = 1; r < N && side == 0; r++) {
            memcpy(hidden + r * D, hidden, D * sizeof *hidden);
            memcpy(v + r * V, v, V * sizeof *v);
            labels[r] = labels[0];
        }
        for (int j = 0; j < V && side == 1; j++)
            memcpy(weight + j * D, weight + j / 48 * 48 * D, D * sizeof *weight);
        const double value = whole(1.5, 0, NULL, dh0, dw0, db0);
        make(&p, 2, 64 << 20);
        dense_teacher(&p);
        memset(dw, 0, sizeof dw);
        OK(run(&p, 1.5, 0, NULL, 1e9, dh, dw, NULL, &result));
        ck_assert_double_eq_tol(result.value, value, 1e-5);
        ck_assert(result.skipped_share == 1);
        const double kept = side == 0 ? distance(dw, dw0, V * D) : distance(dh, dh0, N * D),
                     other = side == 1 ? distance(dw, dw0, V * D) : distance(dh, dh0, N * D);
        ck_assert_msg(kept < 1e-5 && other > 0.01, "side %d: %g, the other %g", side, kept, other);
        double size = 0;
        for (int i = 0; i < V * D; i++) size += (double)dw0[i] * dw0[i];
        if (side == 0)
            ck_assert_msg(result.dw_error_bound < 0.005 * sqrt(size), "%g of %g",
                          result.dw_error_bound, sqrt(size));
        drop(&p);
    }
}
END_TEST

START_TEST(skipping_keeps_within_the_bounds_it_reports)
{
    parts p;
    kd_loss_result result;
    static float sharp[V * D];
    memcpy(sharp, weight, sizeof sharp);
    /* most classes of the student are far down, as in a trained model */
    for (int j = 100; j < V; j++)
        bias[j] = -30, memset(&teacher_weight[j * DT], 0, DT * sizeof *teacher_weight);
    product(teacher_hidden, teacher_weight, NULL, DT, 1, 0, v);
    for (int r = 0; r < N; r++)
        for (int j = 100; j < V; j++) v[r * V + j] = -20;
    whole(1, 0, bias, dh0, dw0, db0);
    make(&p, 2, 64 << 20);
    dense_teacher(&p);
    double shares[3], last = -1;
    for (int i = 0; i < 3; i++) {
        memset(dw, 0, sizeof dw);
        OK(run(&p, 1, 0, bias, i == 0 ? 1e-12 : i == 1 ? 1e-4 : 0.05, dh, dw, NULL, &result));
        double ew = 0, eh = 0;
        for (int k = 0; k < V * D; k++) ew += (dw[k] - dw0[k]) * (double)(dw[k] - dw0[k]);
        for (int k = 0; k < N * D; k++) eh += (dh[k] - dh0[k]) * (double)(dh[k] - dh0[k]);
        ck_assert_msg(sqrt(ew) <= result.dw_error_bound + 1e-5 &&
                          sqrt(eh) <= result.dh_error_bound + 1e-5,
                      "bound %d: %g %g beyond %g %g", i, sqrt(ew), sqrt(eh), result.dw_error_bound,
                      result.dh_error_bound);
        shares[i] = result.skipped_share;
        ck_assert(shares[i] >= last);
        last = shares[i];
    }
    ck_assert_msg(shares[0] < 0.05 && shares[1] > 0.3, "%g %g %g", shares[0], shares[1], shares[2]);
    drop(&p);
}
END_TEST

START_TEST(memory_is_what_the_query_says)
{
    for (int i = 0; i < 2; i++) { /* as it is, cells skipped */
        parts p;
        int64_t bytes, rows;
        kd_context_info before = { .struct_size = sizeof before },
                        after = { .struct_size = sizeof after };
        kd_loss_options o = KD_LOSS_OPTIONS_INIT;
        kd_loss_result result;
        make(&p, 2, 600000);
        hidden_teacher(&p);
        o.memory_limit = 600000;
        o.skip_bound = i == 1 ? 0.01 : 0;
        kd_loss_free(p.loss);
        OK(kd_loss_create(&p.loss, p.ctx, &o));
        OK(kd_loss_add(p.loss, KD_LOSS_FORWARD_KL, 1, NULL, NULL));
        OK(kd_loss_estimate_memory(p.loss, N, V, D, DT, &bytes, &rows));
        ck_assert_int_ge(rows, 1);
        OK(kd_context_get_info(p.ctx, &before));
        memset(dw, 0, sizeof dw);
        OK(run(&p, 1, 0, NULL, o.skip_bound, dh, dw, NULL, &result));
        OK(kd_context_get_info(p.ctx, &after));
        const int64_t taken = (int64_t)(after.peak_bytes - before.bytes);
        ck_assert_msg(taken <= bytes + N * 256, "%d: %lld bytes taken, %lld told", i,
                      (long long)taken, (long long)bytes);
        const uint64_t calls = after.allocations; /* a second call allocates nothing */
        OK(run(&p, 1, 0, NULL, o.skip_bound, dh, dw, NULL, &result));
        OK(kd_context_get_info(p.ctx, &after));
        ck_assert_uint_eq(after.allocations, calls);
        drop(&p);
    }
    int64_t bytes, rows;
    kd_context *ctx = make_context(2);
    kd_loss *loss;
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_estimate_memory(loss, 1024, 151936, 896, 0, &bytes, &rows));
    ck_assert_int_le(bytes, 64 << 20);
    FAILS(kd_loss_estimate_memory(loss, INT64_MAX, 10, 10, 0, &bytes, &rows), KD_ERR_RANGE, "rows");
    FAILS(kd_loss_estimate_memory(loss, 10, 10, INT64_MAX, 0, &bytes, &rows), KD_ERR_RANGE,
          "widths");
    kd_loss_free(loss);
    kd_context_free(ctx);
}
END_TEST

/* Kinds that keep doubles of every class tell these too, and the limit holds. */
START_TEST(memory_of_wide_kinds_is_told)
{
    enum { FEW = 40, THIN = 2 };
    const int is_few = getenv("KD_TEST_FEW") != NULL;
    const int64_t wide = is_few ? 7500 : 60000, most = (16 << 20) / (is_few ? 8 : 1);
    const int32_t kinds[] = { KD_LOSS_FORWARD_KL, KD_LOSS_ADAPTIVE_KL };
    float *w = calloc((size_t)wide * THIN, sizeof *w), *t = calloc(FEW * (size_t)wide, sizeof *t),
          h[FEW * THIN] = { 1 }, g[FEW * THIN];
    kd_array ws = KD_ARRAY_2D(w, KD_FLOAT32, wide, THIN),
             ts = KD_ARRAY_2D(t, KD_FLOAT32, FEW, wide), hs = KD_ARRAY_2D(h, KD_FLOAT32, FEW, THIN),
             gs = KD_ARRAY_2D(g, KD_FLOAT32, FEW, THIN);
    for (int i = 0; i < 2; i++) {
        kd_head head = KD_HEAD_INIT;
        kd_loss_output output = { sizeof output, 0, NULL, &hs, &gs, &head };
        kd_loss_options o = KD_LOSS_OPTIONS_INIT;
        kd_context_info before = { .struct_size = sizeof before },
                        after = { .struct_size = sizeof after };
        kd_context *ctx = make_context(2);
        kd_loss *loss;
        kd_batch *batch;
        kd_targets *targets;
        int64_t bytes, rows;
        head.weight = &ws;
        o.memory_limit = most;
        OK(kd_loss_create(&loss, ctx, &o));
        OK(kd_loss_add(loss, kinds[i], 1, NULL, NULL));
        OK(kd_batch_create(&batch, ctx, NULL));
        OK(kd_batch_begin(batch, FEW));
        OK(kd_targets_create(&targets, ctx, NULL));
        OK(kd_targets_begin(targets, FEW));
        OK(kd_targets_borrow(targets, "logits", &ts, NULL));
        OK(kd_loss_estimate_memory(loss, FEW, wide, THIN, 0, &bytes, &rows));
        ck_assert_msg(bytes <= most, "%d: %lld bytes", i, (long long)bytes);
        OK(kd_context_get_info(ctx, &before));
        OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL));
        OK(kd_context_get_info(ctx, &after));
        const int64_t taken = (int64_t)(after.peak_bytes - before.bytes);
        ck_assert_msg(taken <= bytes + FEW * 256 && taken > bytes / (is_few ? 4 : 2),
                      "%d: %lld bytes taken, %lld told", i, (long long)taken, (long long)bytes);
        kd_targets_free(targets);
        kd_batch_free(batch);
        kd_loss_free(loss);
        kd_context_free(ctx);
    }
    free(w);
    free(t);
}
END_TEST

START_TEST(bad_heads_are_refused)
{
    parts p;
    kd_loss_result result;
    make(&p, 1, 64 << 20);
    dense_teacher(&p);
    FAILS(run(&p, 0, 0, NULL, 0, dh, dw, NULL, &result), KD_ERR_RANGE, "scale");
    FAILS(run(&p, 1, -1, NULL, 0, dh, dw, NULL, &result), KD_ERR_RANGE, "soft_cap");
    FAILS(run(&p, 1, 0, NULL, -1, dh, dw, NULL, &result), KD_ERR_RANGE, "skip_bound");
    hidden[5] = NAN;
    FAILS(run(&p, 1, 0, NULL, 0, dh, dw, NULL, &result), KD_ERR_NONFINITE, "row 0");
    kd_term_options dist = KD_TERM_OPTIONS_INIT;
    hidden[5] = 0;
    OK(kd_loss_add(p.loss, KD_LOSS_DIST, 1, &dist, NULL));
    FAILS(run(&p, 1, 0, NULL, 0, dh, dw, NULL, &result), KD_ERR_UNSUPPORTED, "columns");
    kd_head head = KD_HEAD_INIT;
    FAILS(kd_targets_borrow_head(p.targets, "logits", "hidden", &head), KD_ERR_INVALID, "weight");
    drop(&p);
}
END_TEST

Suite *head_suite(void)
{
    Suite *suite = suite_create("head");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, heads_give_what_whole_logits_give);
    tcase_add_test(tests, masked_rows_are_left_out_of_the_head);
    tcase_add_test(tests, chosen_rows_give_what_whole_logits_give);
    tcase_add_test(tests, a_mask_that_masks_nothing_changes_no_bit);
    tcase_add_test(tests, bits_do_not_depend_on_threads_and_gradients_add_up);
    tcase_add_test(tests, stand_ins_of_skipped_cells_keep_what_rows_and_classes_share);
    tcase_add_test(tests, skipping_keeps_within_the_bounds_it_reports);
    tcase_add_test(tests, memory_is_what_the_query_says);
    tcase_add_test(tests, memory_of_wide_kinds_is_told);
    tcase_add_test(tests, bad_heads_are_refused);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_add_checked_fixture(slow, setup, NULL);
    tcase_set_timeout(slow, 120);
    tcase_add_test(slow, a_teachers_head_takes_chosen_rows_alone);
    suite_add_tcase(suite, slow);
    return suite;
}
