/* What bounds the readers of records, tables, stores and configs: the stack that hostile files
 * take, measured on a painted one, and the time (docs/bounds.md). */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

/* The stack also holds the thread-local variables of all tests. */
enum { STACK = 1 << 22, PAINT = 0xa5, LENGTH = 1 << 20, MOST_STACK = 16 << 10 };

typedef struct {
    kd_context *ctx;
    void (*read)(kd_context *ctx, const char *path);
    const char *path, *entry;
} work;

static void *read_hostile(void *argument)
{
    work *w = argument;
    char here;
    w->entry = &here;
    w->read(w->ctx, w->path);
    return NULL;
}

/* Bytes of a thread's stack, below its own frame, that lost their paint. */
static int64_t stack_used(work *w)
{
    pthread_t thread;
    pthread_attr_t attributes;
    void *memory;
    ck_assert_int_eq(posix_memalign(&memory, 1 << 16, STACK), 0);
    unsigned char *stack = memory;
    memset(stack, PAINT, STACK);
    pthread_attr_init(&attributes);
    ck_assert_int_eq(pthread_attr_setstack(&attributes, stack, STACK), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, read_hostile, w), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    const unsigned char *deepest = stack;
    /* where nobody looks: valgrind takes what an ended thread left for unreadable */
    while (!is_loose() && *deepest == PAINT) deepest++;
    const int64_t used = w->entry - (const char *)deepest;
    free(stack);
    return used;
}

/* ---- readers ---- */

static void read_records(kd_context *ctx, const char *path)
{
    kd_record_reader *r;
    kd_record record = KD_RECORD_INIT;
    kd_status status;
    if (kd_record_reader_open(&r, ctx, &path, 1, NULL) != KD_OK) return;
    for (int errors = 0; (status = kd_record_reader_next(r, &record)) != KD_END && errors < 20;)
        errors += status != KD_OK;
    kd_record_reader_free(r);
}

static void read_table(kd_context *ctx, const char *path)
{
    kd_dataset *data = NULL;
    (void)kd_dataset_load_csv(&data, ctx, path, NULL);
    kd_dataset_free(data);
}

static void read_array(kd_context *ctx, const char *path)
{
    kd_dataset *data = NULL;
    if (kd_dataset_create(&data, ctx, NULL) == KD_OK)
        (void)kd_dataset_add_file(data, "x", path, NULL);
    kd_dataset_free(data);
}

static void read_store(kd_context *ctx, const char *path)
{
    kd_store *store = NULL;
    if (kd_store_open(&store, ctx, &path, 1, NULL) == KD_OK) kd_store_free(store);
}

static void read_config(kd_context *ctx, const char *path)
{
    size_t size;
    char *bytes = read_whole(path, &size), *text = calloc(size + 1, 1);
    kd_model *model = NULL;
    ck_assert_ptr_nonnull(text);
    memcpy(text, bytes, size);
    free(bytes);
    (void)kd_model_create(&model, ctx, text, NULL);
    kd_model_free(model);
    free(text);
}

/* Texts that repeat a part: begin, part .. part, end. */
static const struct {
    void (*read)(kd_context *ctx, const char *path);
    const char *begin, *part, *end;
} cases[] = {
    { read_records, "", "[", "" },
    { read_records, "{\"prompt\":", "{\"a\":", "" },
    { read_records, "{\"messages\":[", "{\"role\":\"user\",\"content\":\"x\"},",
      "{\"role\":\"assistant\",\"content\":\"y\"}]}" },
    { read_records, "{\"messages\":[{\"role\":\"user\",\"content\":[",
      "{\"type\":\"text\",\"text\":\"x\"},", "{}]}]}" },
    { read_records, "{\"prompt\":\"q\",\"completion\":\"", "<think>", "\"}" },
    { read_records, "{\"prompt\":\"q\",\"completion\":\"", "\\\\\\\"\\u00e9", "\"}" },
    { read_records, "", "{\"prompt\":\"q\",\"answer\":1}\n", "" },
    { read_records, "", "\n", "" },
    { read_records, "{\"history\":[", "[\"a\",\"b\"],", "[\"c\",\"d\"]],\"prompt\":\"q\"}" },
    { read_table, "a,b\n", "\"", "" },
    { read_table, "a,b\n", "\"\"\n", "" },
    { read_table, "a\n", "1,", "" },
    { read_table, "a,b\n", "1,2\n", "" },
    { read_table, "a\n", " ", "1\n" },
    { read_table, "a\n", "\r\n", "" },
    { read_array, "\x93NUMPY\x01", "(", "" },
    { read_array, "\x93NUMPY\x02", "1,", "" },
    { read_store, "KDTS", "{\"a\":[", "" },
    { read_store, "", "[", "" },
    { read_config, "{\"model_type\":\"llama\",\"rope_scaling\":", "{\"a\":", "" },
    { read_config, "{\"model_type\":\"mlp\",\"hidden_sizes\":[", "1,", "1]}" },
    { read_config, "", "[", "" },
};

static const char *write_case(size_t i, int64_t length)
{
    const char *path = scratch_path("bounds.txt");
    FILE *file = fopen(path, "wb");
    const size_t part = strlen(cases[i].part);
    ck_assert_ptr_nonnull(file);
    fputs(cases[i].begin, file);
    for (int64_t at = 0; at < length; at += (int64_t)part) fputs(cases[i].part, file);
    fputs(cases[i].end, file);
    fclose(file);
    return path;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

START_TEST(hostile_files_take_little_stack_and_time)
{
    kd_context *ctx = make_context(1);
    static const int64_t sizes[] = { 100, 4000, LENGTH };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes - (getenv("KD_TEST_FEW") != NULL); s++) {
        work w = { ctx, cases[_i].read, write_case((size_t)_i, sizes[s]), NULL };
        const int64_t used = stack_used(&w);
        ck_assert_msg(used < MOST_STACK || is_loose(), "case %d, %lld bytes: %lld bytes of stack",
                      _i, (long long)sizes[s], (long long)used);
        const double begun = now();
        cases[_i].read(ctx, w.path);
        const double seconds = now() - begun;
        ck_assert_msg(seconds < (is_loose() ? 60 : 4), "case %d, %lld bytes: %.2f s", _i,
                      (long long)sizes[s], seconds);
        if (getenv("KD_TEST_TELL"))
            printf("case %d, %lld bytes: %lld bytes of stack, %.3f s\n", _i, (long long)sizes[s],
                   (long long)used, seconds);
    }
    kd_context_free(ctx);
}
END_TEST

/* A real store with bytes of its middle changed: opened and read, or refused. */
static void read_all(kd_context *ctx, const char *path)
{
    kd_store *store = NULL;
    kd_targets *targets;
    if (kd_store_open(&store, ctx, &path, 1, NULL) != KD_OK) return;
    if (kd_targets_create(&targets, ctx, NULL) == KD_OK) {
        for (int64_t r = 0; r < 4; r++) (void)kd_store_read(store, r, targets);
        kd_targets_free(targets);
    }
    kd_store_free(store);
}

START_TEST(damaged_stores_take_little_stack)
{
    kd_context *ctx = make_context(1);
    const char *folder = getenv("KD_OLD_FILES"), *path = scratch_path("bounds.kdt");
    char from[600];
    size_t size;
    ck_assert_ptr_nonnull(folder);
    snprintf(from, sizeof from, "%s/store-v1.kdt", folder);
    char *bytes = read_whole(from, &size);
    const size_t step = getenv("KD_TEST_FEW") ? size / 10 + 1 : size / 120 + 1;
    for (size_t at = 0; at < size; at += step) {
        const char before = bytes[at];
        bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
        write_file(path, bytes, size);
        bytes[at] = before;
        work w = { ctx, read_all, path, NULL };
        const int64_t used = stack_used(&w);
        ck_assert_msg(used < MOST_STACK || is_loose(), "byte %lld changed: %lld bytes of stack",
                      (long long)at, (long long)used);
    }
    free(bytes);
    kd_context_free(ctx);
}
END_TEST

Suite *reader_bounds_suite(void)
{
    Suite *suite = suite_create("reader_bounds");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, hostile_files_take_little_stack_and_time, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_test(tests, damaged_stores_take_little_stack);
    suite_add_tcase(suite, tests);
    return suite;
}
