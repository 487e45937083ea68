/* Streams of Arrow: arrays that are made by hand, right ones and each way of being wrong. */
#include "unit.h"

#include "../../../src/course/arrow/interface.h"

/* Two rows: prompt "ab", "c"; completion "x", null; input_ids is none of them. */
typedef struct table {
    struct ArrowSchema schema, columns[2], *schemas[2];
    struct ArrowArray array, children[2], *arrays[2];
    const void *none[1], *prompts[3], *completions[3];
    int32_t offsets[2][4];
    uint8_t valid[1];
    int given, returned, failing, batches;
} table;

static table *now;

static void release_schema(struct ArrowSchema *s) { s->release = NULL; }
static void release_array(struct ArrowArray *a)
{
    now->returned++;
    a->release = NULL;
}

static int get_schema(struct ArrowArrayStream *s, struct ArrowSchema *out)
{
    *out = ((table *)s->private_data)->schema;
    return ((table *)s->private_data)->failing == 1 ? 5 : 0;
}

static int get_next(struct ArrowArrayStream *s, struct ArrowArray *out)
{
    table *t = s->private_data;
    memset(out, 0, sizeof *out);
    if (t->failing == 2) return 5;
    if (t->batches-- <= 0) return 0;
    *out = t->array;
    t->given++;
    return 0;
}

static const char *get_error(struct ArrowArrayStream *s) { return (void)s, "it is broken"; }
static void release_stream(struct ArrowArrayStream *s)
{
    ((table *)s->private_data)->returned += 100;
    s->release = NULL;
}

static void column(table *t, int i, const char *name, const void **buffers, const char *bytes)
{
    t->columns[i] = (struct ArrowSchema){ .format = "u", .name = name, .release = release_schema };
    t->children[i] = (struct ArrowArray){
        .length = 2, .n_buffers = 3, .buffers = buffers, .release = release_array
    };
    t->schemas[i] = &t->columns[i];
    t->arrays[i] = &t->children[i];
    buffers[1] = t->offsets[i];
    buffers[2] = bytes;
}

static struct ArrowArrayStream fill(table *t)
{
    static const int32_t offsets[2][4] = { { 0, 2, 3, 3 }, { 0, 1, 1, 1 } };
    memset(t, 0, sizeof *t);
    now = t;
    memcpy(t->offsets, offsets, sizeof offsets);
    column(t, 0, "prompt", t->prompts, "abc");
    column(t, 1, "completion", t->completions, "x");
    t->valid[0] = 1;
    t->completions[0] = t->valid;
    t->children[1].null_count = 1;
    t->schema = (struct ArrowSchema){ .format = "+s",
                                      .name = "",
                                      .n_children = 2,
                                      .children = t->schemas,
                                      .release = release_schema };
    t->array = (struct ArrowArray){ .length = 2,
                                    .n_buffers = 1,
                                    .n_children = 2,
                                    .buffers = t->none,
                                    .children = t->arrays,
                                    .release = release_array };
    t->batches = 1;
    return (struct ArrowArrayStream){ get_schema, get_next, get_error, release_stream, t };
}

START_TEST(rows_are_records)
{
    kd_context *ctx = make_context(1);
    table t;
    struct ArrowArrayStream stream = fill(&t);
    kd_record_reader *reader;
    kd_record r = KD_RECORD_INIT;
    OK(kd_record_reader_from_arrow(&reader, ctx, &stream, NULL));
    ck_assert_ptr_null(stream.release);
    for (int pass = 0; pass < 2; pass++) {
        OK(kd_record_reader_next(reader, &r));
        ck_assert_str_eq(r.prompt, "ab");
        ck_assert_str_eq(r.completion, "x");
        OK(kd_record_reader_next(reader, &r));
        ck_assert_str_eq(r.prompt, "c");
        ck_assert_str_eq(r.completion, "");
        ck_assert_int_eq(r.line, 2);
        ck_assert_int_eq(kd_record_reader_next(reader, &r), KD_END);
        OK(kd_record_reader_rewind(reader));
    }
    kd_record_reader_free(reader);
    ck_assert_int_eq(t.returned, t.given + 100);
    kd_context_free(ctx);
}
END_TEST

/* What makes the table wrong, and what is said of it. */
static void short_column(table *t) { t->children[0].length = 1; }
static void falling(table *t) { t->offsets[0][1] = 9; }
static void negative(table *t) { t->offsets[0][0] = -1; }
static void no_offsets(table *t) { t->prompts[1] = NULL; }
static void no_bytes(table *t) { t->prompts[2] = NULL; }
static void few_buffers(table *t) { t->children[0].n_buffers = 2; }
static void no_buffers(table *t) { t->children[0].buffers = NULL; }
static void no_children(table *t) { t->array.children = NULL; }
static void one_child(table *t) { t->array.n_children = 1; }
static void null_child(table *t) { t->arrays[1] = NULL; }
static void released(table *t) { t->children[0].release = NULL; }
static void no_bitmap(table *t) { t->completions[0] = NULL; }
static void negative_length(table *t) { t->array.length = -1; }
static void far_offset(table *t) { t->array.offset = INT64_MAX - 1; }
static void offset_beyond(table *t) { t->array.offset = 1; }
static void many_nulls(table *t) { t->children[1].null_count = 3; }
static void no_dictionary(table *t) { t->children[0].dictionary = &t->children[1]; }
static void failing_schema(table *t) { t->failing = 1; }
static void failing_batch(table *t) { t->failing = 2; }
static void binary(table *t) { t->columns[0].format = "z"; }
static void no_format(table *t) { t->columns[0].format = NULL; }
static void fixed(table *t) { t->columns[0].format = "+w:-1"; }
static void list_alone(table *t) { t->columns[0].format = "+l"; }
static void not_rows(table *t) { t->schema.format = "u", t->schema.n_children = 0; }
static void same_name(table *t) { t->columns[1].name = "prompt"; }
static void null_schema(table *t) { t->schemas[0] = NULL; }

static const struct {
    void (*break_it)(table *);
    kd_status status;
    const char *message;
} broken[] = {
    { short_column, KD_ERR_FORMAT, "'prompt': a length of at least: expected 2, got 1" },
    { falling, KD_ERR_FORMAT, "'prompt': an offset of at least: expected 9, got 3" },
    { negative, KD_ERR_FORMAT, "'prompt': an offset of at least: expected 0, got -1" },
    { no_offsets, KD_ERR_FORMAT, "offsets, which are NULL" },
    { no_bytes, KD_ERR_FORMAT, "bytes of texts, which are NULL" },
    { few_buffers, KD_ERR_FORMAT, "buffers: expected 3, got 2" },
    { no_buffers, KD_ERR_FORMAT, "buffers, which are NULL" },
    { no_children, KD_ERR_FORMAT, "children, which are NULL" },
    { one_child, KD_ERR_FORMAT, "children: expected 2, got 1" },
    { null_child, KD_ERR_FORMAT, "'completion': its array is NULL" },
    { released, KD_ERR_FORMAT, "'prompt': its array is released" },
    { no_bitmap, KD_ERR_FORMAT, "nulls without a bitmap" },
    { negative_length, KD_ERR_FORMAT, "a length of at least" },
    { far_offset, KD_ERR_FORMAT, "an offset and length of at most" },
    { offset_beyond, KD_ERR_FORMAT, "a length of at least: expected 3, got 2" },
    { many_nulls, KD_ERR_FORMAT, "nulls of at most: expected 2, got 3" },
    { no_dictionary, KD_ERR_FORMAT, "dictionaries: expected 0, got 1" },
    { failing_schema, KD_ERR_IO, "schema: it is broken (code 5)" },
    { failing_batch, KD_ERR_IO, "batch: it is broken (code 5)" },
    { binary, KD_ERR_UNSUPPORTED, "'prompt': expected texts, numbers" },
    { no_format, KD_ERR_FORMAT, "'prompt': it has no format" },
    { fixed, KD_ERR_FORMAT, "the size of a fixed list" },
    { list_alone, KD_ERR_FORMAT, "a list has 1 child, got 0" },
    { not_rows, KD_ERR_UNSUPPORTED, "expected a stream of struct rows" },
    { same_name, KD_ERR_FORMAT, "'prompt' appears twice" },
    { null_schema, KD_ERR_FORMAT, "schema is NULL" },
};

START_TEST(what_does_not_fit_is_refused)
{
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        table t;
        struct ArrowArrayStream stream = fill(&t);
        kd_record_reader *reader = NULL;
        kd_record r = KD_RECORD_INIT;
        broken[i].break_it(&t);
        kd_status status = kd_record_reader_from_arrow(&reader, ctx, &stream, NULL);
        if (status == KD_OK) status = kd_record_reader_next(reader, &r);
        ck_assert_msg(status == broken[i].status && strstr(kd_last_error(), broken[i].message),
                      "%zu: %d, %s", i, status, kd_last_error());
        if (reader) ck_assert_int_eq(kd_record_reader_next(reader, &r), KD_END);
        kd_record_reader_free(reader);
        ck_assert_int_eq(t.returned, t.given + 100);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(a_stream_read_once_cannot_be_rewound)
{
    kd_context *ctx = make_context(1);
    table t;
    struct ArrowArrayStream stream = fill(&t);
    kd_record_reader *reader;
    kd_record r = KD_RECORD_INIT;
    kd_record_counts counts = { .struct_size = sizeof counts };
    kd_arrow_options o = KD_ARROW_OPTIONS_INIT;
    o.once = 1;
    t.batches = 2;
    OK(kd_record_reader_from_arrow(&reader, ctx, &stream, &o));
    OK(kd_record_reader_rewind(reader));
    for (int i = 0; i < 3; i++) OK(kd_record_reader_next(reader, &r));
    ck_assert_int_eq(t.returned, 1); /* the first batch went as the second one came */
    FAILS(kd_record_reader_rewind(reader), KD_ERR_STATE, "read once");
    OK(kd_record_reader_get_counts(reader, &counts));
    ck_assert_int_eq(counts.records, 3);
    kd_record_reader_free(reader);
    ck_assert_int_eq(t.returned, 102);
    stream = fill(&t);
    o.once = 2;
    FAILS(kd_record_reader_from_arrow(&reader, ctx, &stream, &o), KD_ERR_RANGE, "once");
    ck_assert_ptr_nonnull(stream.release); /* it was not looked at */
    stream.release(&stream);
    FAILS(kd_record_reader_from_arrow(&reader, ctx, &stream, NULL), KD_ERR_INVALID, "released");
    kd_context_free(ctx);
}
END_TEST

START_TEST(a_child_may_outlive_its_batch)
{
    kd_context *ctx = make_context(1);
    kd_record_reader *reader;
    struct ArrowArrayStream stream;
    struct ArrowArray batch, kept;
    OK(kd_record_reader_open_text(&reader, ctx,
                                  "{\"prompt\":\"p\",\"completion\":\"c\",\"id\":"
                                  "\"seven\"}",
                                  -1, NULL));
    OK(kd_record_reader_to_arrow(reader, &stream));
    kd_record_reader_free(reader);
    ck_assert_int_eq(stream.get_next(&stream, &batch), 0);
    ck_assert_int_eq(batch.length, 1);
    kept = *batch.children[0];
    batch.children[0]->release = NULL;
    batch.release(&batch);
    ck_assert_int_eq(stream.get_next(&stream, &batch), 0);
    ck_assert_ptr_null(batch.release);
    stream.release(&stream);
    kd_context_free(ctx);
    ck_assert_int_eq(memcmp(kept.buffers[2], "seven", 5), 0);
    kept.release(&kept);
}
END_TEST

Suite *arrow_suite(void);
Suite *arrow_suite(void)
{
    Suite *suite = suite_create("arrow");
    TCase *all = tcase_create("all");
    tcase_add_test(all, rows_are_records);
    tcase_add_test(all, what_does_not_fit_is_refused);
    tcase_add_test(all, a_stream_read_once_cannot_be_rewound);
    tcase_add_test(all, a_child_may_outlive_its_batch);
    suite_add_tcase(suite, all);
    return suite;
}
