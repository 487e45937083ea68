/* Stores: what goes in comes out; what must be refused. */
#include "samplekit.h"

static const double further[2] = { 2, 4 };

static int32_t all_fields(kd_store_field *f)
{
    static const struct {
        int32_t kind, encoding;
        const char *name, *source;
    } made[] = { { KD_STORE_TOPK, 0, "topk", NULL },
                 { KD_STORE_HIDDEN, 0, "hidden", NULL },
                 { KD_STORE_COUNTS, 0, "draws", NULL },
                 { KD_STORE_DENSE, KD_FLOAT32, "whole", "logits" },
                 { KD_STORE_DENSE, KD_BFLOAT16, "half", "logits" },
                 { KD_STORE_VECTORS, KD_INT8, "hidden.1", "hidden" },
                 { KD_STORE_VECTORS, KD_FLOAT16, "small", "hidden" },
                 { KD_STORE_LABELS, 0, "label", NULL },
                 { KD_STORE_TEXT, 0, "text", NULL },
                 { KD_STORE_SCORE, 0, "score", NULL },
                 { KD_STORE_SEED, 0, "seed", NULL } };
    const int32_t count = sizeof made / sizeof *made;
    for (int32_t i = 0; i < count; i++) {
        kd_store_field_init(&f[i], sizeof *f);
        f[i].kind = made[i].kind;
        if (made[i].encoding) f[i].encoding = made[i].encoding;
        f[i].name = made[i].name;
        f[i].source = made[i].source;
        f[i].width = D;
        f[i].k = 16;
    }
    f[6].projection = 8;
    return count;
}

static kd_store_writer *writer_of(const char *path, const kd_store_options *o)
{
    kd_store_field f[16];
    kd_store_writer *w;
    const int32_t count = all_fields(f);
    OK(kd_store_writer_create(&w, ctx, path, o, f, count));
    return w;
}

/* Three samples and one of its own with text, score and seed. */
static const char *written(const char *name)
{
    const char *path = scratch_path(name);
    kd_store_options o = options();
    double score = 0.75;
    uint64_t seed = 1ULL << 63;
    kd_array ws = KD_ARRAY_2D(head, KD_FLOAT32, V, D), ss = KD_ARRAY_1D(&score, KD_FLOAT64, 1),
             es = KD_ARRAY_1D(&seed, KD_UINT64, 1);
    unlink(path);
    o.temperatures = further;
    o.temperature_count = 2;
    kd_store_writer *w = writer_of(path, &o);
    OK(kd_store_writer_set_head(w, &ws, KD_FLOAT32));
    OK(kd_store_writer_add(w, batch, targets));
    OK(kd_store_writer_begin(w, 7, 8, 5, 100, 0));
    OK(kd_store_writer_put_text(w, "text", "caf\xc3\xa9", 5));
    OK(kd_store_writer_put(w, "score", &ss));
    OK(kd_store_writer_put(w, "seed", &es));
    OK(kd_store_writer_commit(w));
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    return path;
}

static const float *floats(const char *field)
{
    kd_array a;
    OK(kd_targets_field(got, field, &a, NULL));
    return a.data;
}

START_TEST(what_goes_in_comes_out)
{
    const char *path = written("all.kdt");
    for (int32_t pread = 0; pread < 2; pread++) {
        kd_store *s = opened(path, pread);
        kd_store_info info = { .struct_size = sizeof info };
        int64_t record, size;
        kd_array ids, values, tails, offs, weight, rows = KD_ARRAY_2D(NULL, KD_FLOAT32, 16, D);
        OK(kd_store_get_info(s, &info));
        ck_assert_int_eq(info.records, 4);
        ck_assert_int_eq(info.positions, ROWS);
        OK(kd_store_find(s, 3, 4, 0, &record));
        OK(kd_store_read(s, record, got));
        for (int i = 0; i < 16 * V; i++) ck_assert_float_eq(floats("whole")[i], logits[20 * V + i]);
        for (int i = 0; i < 16 * V; i++)
            NEAR(floats("half")[i], logits[20 * V + i], 0.004 * fabs(logits[20 * V + i]));
        for (int i = 0; i < 16 * D; i++) NEAR(floats("hidden.1")[i], hidden[20 * D + i], 0.02);
        rows.data = (void *)(uintptr_t)floats("hidden");
        OK(kd_store_unrotate(s, "hidden", &rows));
        for (int i = 0; i < 16 * D; i++) NEAR(floats("hidden")[i], hidden[20 * D + i], 0.08);
        OK(kd_targets_sparse(got, "topk", &offs, &ids, &values, &tails, NULL));
        /* the largest sixteen, each near its log-probability, and the tail */
        for (int r = 0; r < 16; r++) {
            const float *x = logits + (20 + r) * V;
            double max = x[0], sum = 0, inside = 0;
            for (int j = 0; j < V; j++) max = x[j] > max ? x[j] : max;
            for (int j = 0; j < V; j++) sum += exp(x[j] - max);
            for (int64_t i = r * 16; i < r * 16 + 16; i++) {
                const uint32_t id = ((uint32_t *)ids.data)[i];
                int larger = 0;
                for (int j = 0; j < V; j++) larger += x[j] > x[id];
                ck_assert_int_lt(larger, 16);
                NEAR(((float *)values.data)[i], x[id] - max - log(sum), 0.06);
                inside += exp(x[id] - max) / sum;
            }
            NEAR(((float *)tails.data)[r], log(1 - inside), 0.01);
        }
        OK(kd_store_head(s, 0, &weight));
        for (int i = 0; i < V * D; i++) ck_assert_float_eq(((float *)weight.data)[i], head[i]);
        const char *text;
        double score;
        uint64_t seed;
        OK(kd_store_find(s, 7, 8, 5, &record));
        OK(kd_store_text(s, record, "text", &text, &size));
        ck_assert_int_eq(size, 5);
        ck_assert_mem_eq(text, "caf\xc3\xa9", 5);
        OK(kd_store_number(s, record, "score", &score, NULL));
        OK(kd_store_number(s, record, "seed", NULL, &seed));
        ck_assert_double_eq(score, 0.75);
        ck_assert(seed == 1ULL << 63);
        FAILS(kd_store_find(s, 9, 9, 0, &record), KD_ERR_NOT_FOUND, "0000000000000009");
        OK(kd_store_verify(s, NULL));
        kd_store_free(s);
    }
}
END_TEST

/* The loss on a store's teacher, against the dense one. */
static double loss_on(kd_targets *t, const char *field, double temperature, float *dz)
{
    static float z[ROWS * V];
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, ROWS, V), ds = KD_ARRAY_2D(dz, KD_FLOAT32, ROWS, V);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, &ds, NULL };
    kd_loss_result result = { .struct_size = sizeof result };
    o.temperature = temperature;
    o.teacher_field = field;
    for (int i = 0; i < ROWS * V; i++) z[i] = (float)(i % 17) * 0.1f;
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, &o, NULL));
    OK(kd_loss_evaluate(loss, &output, 1, batch, t, NULL, &result));
    kd_loss_free(loss);
    return result.value;
}

START_TEST(a_stored_teacher_feeds_the_losses)
{
    static float a[ROWS * V], b[ROWS * V];
    kd_teacher *teacher;
    OK(kd_teacher_open(&teacher, ctx, written("teacher.kdt"), NULL));
    OK(kd_teacher_read(teacher, batch, got));
    /* hidden states through the head: dense at any temperature */
    for (double t = 1; t < 9; t *= 2) {
        const double x = loss_on(targets, "logits", t, a), y = loss_on(got, "logits", t, b);
        NEAR(y, x, 0.01 * x);
        double d = 0, size = 0;
        for (int i = 0; i < ROWS * V; i++)
            d += (a[i] - b[i]) * (double)(a[i] - b[i]), size += (double)a[i] * a[i];
        ck_assert_msg(sqrt(d / size) < 0.03, "T %g: %g", t, sqrt(d / size));
    }
    ck_assert(loss_on(got, "topk", 4, b) > 0); /* its tail is kept at 4 */
    ck_assert(loss_on(got, "draws", 1, b) > 0);
    /* a shorter batch that begins in the middle: positions say where */
    int64_t cut[2] = { 0, 5 }, position[5] = { 10, 11, 12, 13, 40 };
    kd_array cs = KD_ARRAY_1D(cut, KD_INT64, 2), ps = KD_ARRAY_1D(position, KD_INT64, 5),
             ks = KD_ARRAY_2D(keys[0], KD_UINT64, 1, 2), values, present;
    OK(kd_batch_begin_packed(batch, &cs));
    OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
    OK(kd_batch_set(batch, "position", &ps, NULL));
    OK(kd_teacher_read(teacher, batch, got));
    OK(kd_targets_field(got, "whole", &values, &present));
    ck_assert_float_eq(((float *)values.data)[2 * V + 7], logits[12 * V + 7]);
    ck_assert_int_eq(((uint8_t *)present.data)[3], 1);
    ck_assert_int_eq(((uint8_t *)present.data)[4], 0); /* the record has no position 40 */
    uint64_t unknown[2] = { 99, 99 };
    kd_array us = KD_ARRAY_2D(unknown, KD_UINT64, 1, 2);
    OK(kd_batch_set_samples(batch, NULL, &us, NULL));
    FAILS(kd_teacher_read(teacher, batch, got), KD_ERR_NOT_FOUND, "0000000000000063");
    kd_teacher_free(teacher);
    kd_teacher_options o = KD_TEACHER_OPTIONS_INIT;
    o.missing = KD_MISSING_ABSENT;
    OK(kd_teacher_open(&teacher, ctx, scratch_path("teacher.kdt"), &o));
    OK(kd_teacher_read(teacher, batch, got));
    OK(kd_targets_field(got, "whole", &values, &present));
    ck_assert_int_eq(((uint8_t *)present.data)[0], 0);
    kd_teacher_free(teacher);
}
END_TEST

START_TEST(records_may_cover_some_positions)
{
    const char *path = scratch_path("some.kdt");
    kd_store_options o = options();
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_store_writer *w;
    kd_store_record r = { .struct_size = sizeof r };
    uint8_t there[ROWS];
    kd_array ps = KD_ARRAY_1D(there, KD_UINT8, ROWS), ls = KD_ARRAY_2D(logits, KD_FLOAT32, ROWS, V),
             present;
    unlink(path);
    f.kind = KD_STORE_TOPK;
    f.name = "topk";
    f.k = 4;
    /* the completion, with a hole */
    for (int i = 0; i < ROWS; i++) there[i] = i >= 5 && i < 18 && i != 9;
    OK(kd_targets_begin(targets, ROWS));
    OK(kd_targets_set(targets, "logits", &ls, &ps));
    OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
    OK(kd_store_writer_add(w, batch, targets));
    kd_store_writer_free(w); /* not closed: nothing is lost */
    kd_store *s = opened(path, 0);
    OK(kd_store_get_record(s, 0, &r));
    ck_assert_int_eq(r.first, 5);
    ck_assert_int_eq(r.positions, 13);
    OK(kd_store_read(s, 0, got));
    OK(kd_targets_sparse(got, "topk", NULL, NULL, NULL, NULL, &present));
    for (int i = 0; i < 13; i++) ck_assert_int_eq(((uint8_t *)present.data)[i], i != 4);
    kd_store_free(s);
}
END_TEST

START_TEST(the_last_of_a_key_wins_and_compaction_drops_the_others)
{
    const char *path = written("twice.kdt"), *small = scratch_path("compact.kdt");
    kd_store_options o = options();
    kd_store_info info = { .struct_size = sizeof info };
    int64_t added, record;
    kd_store *reader = opened(path, 0);
    o.append = 1;
    o.temperatures = further;
    o.temperature_count = 2;
    kd_store_writer *w = writer_of(path, &o);
    for (int i = 0; i < ROWS * V; i++) logits[i] += 1;
    kd_array ls = KD_ARRAY_2D(logits, KD_FLOAT32, ROWS, V);
    OK(kd_targets_set(targets, "logits", &ls, NULL));
    OK(kd_store_writer_add(w, batch, targets));
    OK(kd_store_refresh(reader, &added)); /* a reader beside the writer */
    ck_assert_int_eq(added, 3);
    OK(kd_store_get_info(reader, &info));
    ck_assert_int_eq(info.records, 4);
    ck_assert_int_eq(info.replaced, 3);
    OK(kd_store_find(reader, 1, 2, 0, &record));
    OK(kd_store_read(reader, record, got));
    ck_assert_float_eq(floats("whole")[3], logits[3]);
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    unlink(small);
    OK(kd_store_compact(reader, small));
    kd_store_free(reader);
    reader = opened(small, 0);
    OK(kd_store_get_info(reader, &info));
    ck_assert_int_eq(info.records, 4);
    ck_assert_int_eq(info.replaced, 0);
    OK(kd_store_find(reader, 1, 2, 0, &record));
    OK(kd_store_read(reader, record, got));
    ck_assert_float_eq(floats("whole")[3], logits[3]);
    kd_array weight;
    OK(kd_store_head(reader, 1, &weight));
    kd_store_free(reader);
}
END_TEST

static void remove_folder(const char *folder)
{
    char path[600];
    static const char *const names[] = { "shard-00000.kdt", "shard-00001.kdt", "shard-00007.kdt",
                                         "manifest.json", "manifest.lock" };
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

START_TEST(shards_are_one_store)
{
    const char *folder = scratch_path("shards.kdt");
    char path[600], other[600];
    kd_store_info info = { .struct_size = sizeof info };
    kd_store *s;
    remove_folder(folder);
    for (int32_t shard = 0; shard < 2; shard++) {
        kd_store_options o = options();
        o.shard = shard;
        kd_store_writer *w = writer_of(folder, &o);
        for (int i = 0; i < SAMPLES; i++) keys[i][0] += 10;
        kd_array ks = KD_ARRAY_2D(keys, KD_UINT64, SAMPLES, 2);
        OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
        OK(kd_store_writer_add(w, batch, targets));
        OK(kd_store_writer_close(w));
        kd_store_writer_free(w);
    }
    for (int i = 0; i < SAMPLES; i++) keys[i][0] -= 20;
    s = opened(folder, 0);
    OK(kd_store_get_info(s, &info));
    ck_assert_int_eq(info.shards, 2);
    ck_assert_int_eq(info.records, 6);
    kd_store_free(s);
    /* a shard that the manifest does not name; one that it names and is not there */
    snprintf(path, sizeof path, "%s/shard-00001.kdt", folder);
    snprintf(other, sizeof other, "%s/shard-00007.kdt", folder);
    ck_assert_int_eq(rename(path, other), 0);
    FAILS(kd_store_open(&s, ctx, &folder, 1, NULL), KD_ERR_FORMAT, "shard-00007.kdt");
    ck_assert_int_eq(unlink(other), 0);
    FAILS(kd_store_open(&s, ctx, &folder, 1, NULL), KD_ERR_NOT_FOUND, "shard-00001.kdt");
    remove_folder(folder);
}
END_TEST

START_TEST(stores_for_something_else_are_refused)
{
    const char *path = written("else.kdt"), *two[2] = { path, scratch_path("else2.kdt") };
    kd_store_open_options o = KD_STORE_OPEN_OPTIONS_INIT;
    kd_store_options w = options();
    kd_store *s;
    kd_store_writer *writer;
    kd_store_field f[16];
    const int32_t count = all_fields(f);
    o.tokenizer = "tok-2";
    FAILS(kd_store_open(&s, ctx, &path, 1, &o), KD_ERR_MISMATCH,
          "tokenizer: expected \"tok-2\", the store says \"tok-1\"");
    o.tokenizer = "tok-1", o.chat_template = "chat-2";
    FAILS(kd_store_open(&s, ctx, &path, 1, &o), KD_ERR_MISMATCH, "chat template");
    o.chat_template = NULL, o.align = KD_ALIGN_SAME;
    FAILS(kd_store_open(&s, ctx, &path, 1, &o), KD_ERR_MISMATCH,
          "alignment: expected \"same\", the store says \"next\"");
    unlink(two[1]);
    w.align = KD_ALIGN_SAME;
    w.temperatures = further, w.temperature_count = 1;
    writer = writer_of(two[1], &w);
    kd_store_writer_free(writer);
    FAILS(kd_store_open(&s, ctx, two, 2, NULL), KD_ERR_MISMATCH, "temperature");
    w.append = 1, w.align = KD_ALIGN_NEXT;
    FAILS(kd_store_writer_create(&writer, ctx, two[1], &w, f, count), KD_ERR_MISMATCH, "alignment");
    w.append = 0;
    FAILS(kd_store_writer_create(&writer, ctx, two[1], &w, f, count), KD_ERR_STATE, "already");
    /* tokens, one by one, with exceptions */
    const char *tokens[V], *mine[V], *path3 = scratch_path("tokens.kdt");
    char names[V][8];
    int64_t exception = 7;
    for (int i = 0; i < V; i++)
        snprintf(names[i], sizeof names[i], "t%d", i), tokens[i] = mine[i] = names[i];
    unlink(path3);
    w = options();
    w.tokens = tokens;
    writer = writer_of(path3, &w);
    kd_store_writer_free(writer);
    kd_store_open_options known = KD_STORE_OPEN_OPTIONS_INIT;
    mine[7] = "<think>";
    known.tokens = mine;
    known.token_count = V;
    FAILS(kd_store_open(&s, ctx, &path3, 1, &known), KD_ERR_MISMATCH,
          "id 7 is \"t7\" in the store and \"<think>\" here");
    known.exceptions = &exception;
    known.exception_count = 1;
    OK(kd_store_open(&s, ctx, &path3, 1, &known));
    kd_store_free(s);
}
END_TEST

START_TEST(bad_input_to_a_writer_is_refused_and_loses_nothing)
{
    const char *path = scratch_path("bad.kdt");
    kd_store_options o = options();
    kd_store_info info = { .struct_size = sizeof info };
    kd_store_writer *w, *second;
    kd_store_field f[16];
    const int32_t count = all_fields(f);
    unlink(path);
    w = writer_of(path, &o);
    OK(kd_store_writer_add(w, batch, targets));
    o.append = 1;
    FAILS(kd_store_writer_create(&second, ctx, path, &o, f, count), KD_ERR_STATE,
          "open for writing elsewhere");
    FAILS(kd_store_writer_put(w, "label", NULL), KD_ERR_INVALID, "NULL");
    FAILS(kd_store_writer_commit(w), KD_ERR_STATE, "no record");
    OK(kd_store_writer_begin(w, 1, 1, 0, 0, 2));
    FAILS(kd_store_writer_commit(w), KD_ERR_STATE, "no field");
    kd_array two = KD_ARRAY_1D(labels, KD_INT64, 2), one = KD_ARRAY_1D(labels, KD_INT64, 1),
             bad = KD_ARRAY_2D(hidden, KD_FLOAT32, 2, D);
    FAILS(kd_store_writer_put(w, "label", &one), KD_ERR_SHAPE,
          "expected 2 contiguous integers, got 1");
    FAILS(kd_store_writer_put(w, "nothing", &two), KD_ERR_NOT_FOUND, "nothing");
    const float keep = hidden[3];
    hidden[3] = NAN;
    FAILS(kd_store_writer_put(w, "hidden", &bad), KD_ERR_NONFINITE, "row 0");
    hidden[3] = keep;
    OK(kd_store_writer_put(w, "label", &two));
    FAILS(kd_store_writer_put(w, "label", &two), KD_ERR_STATE, "already");
    FAILS(kd_store_writer_put_sparse(w, "topk", targets, "topk", 0), KD_ERR_NOT_FOUND, "topk");
    kd_array ls = KD_ARRAY_2D(logits, KD_FLOAT32, ROWS, V);
    OK(kd_targets_select(targets, "hot", &ls, 4, 0, 3, NULL));
    FAILS(kd_store_writer_put_sparse(w, "topk", targets, "hot", 0), KD_ERR_MISMATCH, "temperature");
    OK(kd_store_writer_commit(w));
    uint64_t none[SAMPLES][2] = { { 1, 1 }, { 0, 0 }, { 2, 2 } };
    kd_array ns = KD_ARRAY_2D(none, KD_UINT64, SAMPLES, 2);
    OK(kd_batch_set_samples(batch, NULL, &ns, NULL));
    FAILS(kd_store_writer_add(w, batch, targets), KD_ERR_STATE, "sample 1 of the batch has no key");
    kd_store_writer_free(w);
    kd_store *s = opened(path, 0);
    OK(kd_store_get_info(s, &info));
    ck_assert_int_eq(info.records, 4);
    OK(kd_store_verify(s, NULL));
    kd_store_free(s);
    if (geteuid() != 0) {
        FAILS(kd_store_writer_create(&w, ctx, "/proc/none.kdt", &o, f, count), KD_ERR_IO,
              "cannot write");
    }
    const char *missing = "/nowhere/x.kdt";
    FAILS(kd_store_open(&s, ctx, &missing, 1, NULL), KD_ERR_NOT_FOUND, "/nowhere/x.kdt");
    o.temperature = 0;
    FAILS(kd_store_writer_create(&w, ctx, path, &o, f, count), KD_ERR_RANGE, "temperature");
}
END_TEST

Suite *store_suite(void)
{
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_goes_in_comes_out);
    tcase_add_test(tests, a_stored_teacher_feeds_the_losses);
    tcase_add_test(tests, records_may_cover_some_positions);
    tcase_add_test(tests, the_last_of_a_key_wins_and_compaction_drops_the_others);
    tcase_add_test(tests, shards_are_one_store);
    tcase_add_test(tests, stores_for_something_else_are_refused);
    tcase_add_test(tests, bad_input_to_a_writer_is_refused_and_loses_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}
