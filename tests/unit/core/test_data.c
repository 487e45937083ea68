#include "unit.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(2); }
static void teardown(void) { kd_context_free(ctx); }

/* 10 images of 4 x 6 with pixel = 10 * image + row, and labels image % 3. */
static uint8_t pixels[10 * 24], labels[10];

static kd_dataset *images(void)
{
    kd_dataset *data;
    kd_array x, y;
    for (int i = 0; i < 240; i++) pixels[i] = (uint8_t)(10 * (i / 24) + i % 24 / 6);
    for (int i = 0; i < 10; i++) labels[i] = (uint8_t)(i % 3);
    OK(kd_array_init(&x, pixels, KD_UINT8, 3, (const int64_t[]){ 10, 4, 6 }));
    OK(kd_array_init(&y, labels, KD_UINT8, 1, (const int64_t[]){ 10 }));
    OK(kd_dataset_create(&data, ctx, NULL));
    kd_field_options o = KD_FIELD_OPTIONS_INIT;
    o.scale = 0.5;
    OK(kd_dataset_add(data, "inputs", &x, &o));
    OK(kd_dataset_borrow(data, "label", &y, NULL));
    return data;
}

START_TEST(a_batch_holds_converted_fields)
{
    kd_dataset *data = images();
    kd_loader *loader;
    kd_batch *batch;
    kd_array x, y, present, numbers, keys, views, offsets;
    uint64_t key[2];
    int64_t samples, rows;
    kd_loader_options o = KD_LOADER_OPTIONS_INIT;
    o.batch_size = 4;
    OK(kd_loader_create(&loader, data, &o));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_loader_next(loader, batch));
    OK(kd_batch_field(batch, "inputs", &x, NULL));
    OK(kd_batch_field(batch, "label", &y, &present));
    OK(kd_batch_samples(batch, &numbers, &keys, &views));
    OK(kd_batch_get_counts(batch, &samples, &rows));
    OK(kd_batch_offsets(batch, &offsets));
    ck_assert(samples == 4 && rows == 4 && ((int64_t *)offsets.data)[4] == 4);
    ck_assert(x.dtype == KD_FLOAT32 && x.rank == 3 && y.dtype == KD_INT64 && !present.data);
    for (int i = 0; i < 4; i++) {
        int64_t n = ((int64_t *)numbers.data)[i];
        ck_assert_float_eq(((float *)x.data)[i * 24 + 7], (float)(10 * n + 1) / 2);
        ck_assert_int_eq(((int64_t *)y.data)[i], n % 3);
        OK(kd_dataset_key(data, n, key));
        ck_assert_int_eq(memcmp(key, (uint64_t *)keys.data + 2 * i, 16), 0);
        ck_assert_int_eq(((int64_t *)views.data)[i], 0);
    }
    kd_batch_free(batch);
    kd_dataset_free(data); /* the loader keeps it */
    kd_loader_free(loader);
}
END_TEST

/* The order of a whole pass. */
static int64_t walk(kd_loader *loader, int64_t *order, int *batches)
{
    kd_batch *batch;
    kd_array numbers;
    int64_t count = 0;
    kd_status status;
    *batches = 0;
    OK(kd_batch_create(&batch, ctx, NULL));
    while ((status = kd_loader_next(loader, batch)) == KD_OK) {
        OK(kd_batch_samples(batch, &numbers, NULL, NULL));
        for (int64_t i = 0; i < numbers.dims[0]; i++) order[count++] = ((int64_t *)numbers.data)[i];
        ++*batches;
    }
    ck_assert_int_eq(status, KD_END);
    kd_batch_free(batch);
    return count;
}

START_TEST(passes_are_permutations_that_the_seed_decides)
{
    kd_dataset *data = images();
    kd_loader *a, *b;
    int64_t first[20], second[20], again[20], seen[10] = { 0 };
    int batches;
    kd_loader_options o = KD_LOADER_OPTIONS_INIT;
    o.batch_size = 4;
    o.seed = 3;
    OK(kd_loader_create(&a, data, &o));
    OK(kd_loader_create(&b, data, &o));
    ck_assert_int_eq(walk(a, first, &batches), 10);
    ck_assert_int_eq(batches, 3);
    for (int i = 0; i < 10; i++) seen[first[i]]++;
    for (int i = 0; i < 10; i++) ck_assert_int_eq(seen[i], 1);
    walk(a, second, &batches);
    ck_assert_int_ne(memcmp(first, second, 80), 0);
    OK(kd_loader_seek(b, 1));
    walk(b, again, &batches);
    ck_assert_int_eq(memcmp(second, again, 80), 0);
    kd_loader_free(b);
    o.drop_last = 1;
    o.epochs = 2;
    OK(kd_loader_create(&b, data, &o));
    ck_assert_int_eq(walk(b, again, &batches), 16);
    kd_loader_free(b);
    o.drop_last = 0;
    o.epochs = 1;
    o.batch_size = 2;
    o.ranks = 2;
    int64_t parts = 0;
    for (o.rank = 0; o.rank < 2; o.rank++) {
        OK(kd_loader_create(&b, data, &o));
        int64_t count = walk(b, again, &batches);
        ck_assert_int_eq(batches, 2); /* five batches: the odd one is left out */
        for (int64_t i = 0; i < count; i++) parts |= (int64_t)1 << again[i];
        kd_loader_free(b);
    }
    ck_assert_int_eq(__builtin_popcountll((unsigned long long)parts), 8);
    kd_loader_free(a);
    kd_dataset_free(data);
}
END_TEST

START_TEST(augmentation_moves_and_mirrors)
{
    kd_dataset *data;
    kd_loader *loader;
    kd_batch *batch;
    kd_array x, xs, numbers, views;
    static float in[200 * 20];
    int moved[3] = { 0 }, flipped = 0;
    /* row 1, columns 1 and 2 of 4 x 5 */
    for (int i = 0; i < 200; i++) in[i * 20 + 6] = 1, in[i * 20 + 7] = 2;
    OK(kd_array_init(&xs, in, KD_FLOAT32, 3, (const int64_t[]){ 200, 4, 5 }));
    OK(kd_dataset_create(&data, ctx, NULL));
    OK(kd_dataset_add(data, "inputs", &xs, NULL));
    kd_loader_options o = KD_LOADER_OPTIONS_INIT;
    o.batch_size = 200;
    o.shift = 1;
    o.flip = 1;
    OK(kd_loader_create(&loader, data, &o));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_loader_next(loader, batch));
    OK(kd_batch_field(batch, "inputs", &x, NULL));
    OK(kd_batch_samples(batch, &numbers, NULL, &views));
    for (int i = 0; i < 200; i++) {
        const float *image = (float *)x.data + 20 * i;
        int at = 0, sum = 0;
        for (int k = 0; k < 20; k++) sum += (int)image[k], at = image[k] == 1 ? k : at;
        ck_assert_int_eq(sum, 3);
        moved[at / 5]++;
        flipped += at % 5 && image[at - 1] == 2;
        ck_assert_int_eq(((int64_t *)views.data)[i], 1);
    }
    for (int i = 0; i < 3; i++) ck_assert_int_gt(moved[i], 40);
    ck_assert_int_gt(flipped, 70);
    ck_assert_int_lt(flipped, 130);
    kd_batch_free(batch);
    kd_loader_free(loader);
    o.shift = 4;
    FAILS(kd_loader_create(&loader, data, &o), KD_ERR_RANGE, "than the image");
    kd_dataset_free(data);
}
END_TEST

START_TEST(labeled_and_unlabeled_parts_join)
{
    kd_dataset *all = images(), *labeled, *unlabeled, *joined, *bare;
    int64_t first[] = { 0, 1, 2 }, rest[] = { 5, 9, 9 };
    kd_array a = KD_ARRAY_1D(first, KD_INT64, 3), b = KD_ARRAY_1D(rest, KD_INT64, 3), x, y, present;
    OK(kd_dataset_select(&labeled, all, &a));
    OK(kd_dataset_select(&unlabeled, all, &b));
    OK(kd_dataset_field(unlabeled, "inputs", &x, NULL));
    kd_field_options o = KD_FIELD_OPTIONS_INIT;
    o.scale = 0.5;
    OK(kd_dataset_create(&bare, ctx, NULL));
    OK(kd_dataset_add(bare, "inputs", &x, &o));
    OK(kd_dataset_concat(&joined, (kd_dataset *[]){ labeled, bare }, 2));
    OK(kd_dataset_field(joined, "label", &y, &present));
    ck_assert_int_eq(y.dims[0], 6);
    for (int i = 0; i < 6; i++) ck_assert_int_eq(((uint8_t *)present.data)[i], i < 3);
    OK(kd_dataset_field(joined, "inputs", &x, NULL));
    ck_assert_int_eq(((uint8_t *)x.data)[5 * 24], 90);
    rest[1] = 10;
    kd_dataset *none = NULL;
    FAILS(kd_dataset_select(&none, all, &b), KD_ERR_RANGE, "indices[1]: expected 0 to 9, got 10");
    o.scale = 0.25;
    kd_dataset *other;
    OK(kd_dataset_create(&other, ctx, NULL));
    OK(kd_dataset_add(other, "inputs", &x, &o));
    FAILS(kd_dataset_concat(&none, (kd_dataset *[]){ joined, other }, 2), KD_ERR_SHAPE, "scale");
    kd_dataset *everything[] = { all, labeled, unlabeled, bare, joined, other };
    for (int i = 0; i < 6; i++) kd_dataset_free(everything[i]);
}
END_TEST

/* ---- files ---- */

static void check_file(const char *name, const void *bytes, size_t size, kd_status status,
                       const char *message)
{
    kd_dataset *data;
    const char *path = scratch_path(name);
    write_file(path, bytes, size);
    OK(kd_dataset_create(&data, ctx, NULL));
    if (status == KD_OK) OK(kd_dataset_add_file(data, "x", path, NULL));
    else FAILS(kd_dataset_add_file(data, "x", path, NULL), status, message);
    kd_dataset_free(data);
}

START_TEST(idx_and_npy_files_are_read_and_hostile_ones_refused)
{
    const unsigned char idx[] = { 0, 0, 0x0b, 2, 0, 0, 0, 2, 0, 0, 0,    3,
                                  0, 1, 0,    2, 0, 3, 0, 4, 0, 5, 0xff, 0xff };
    unsigned char bad[sizeof idx];
    kd_dataset *data;
    kd_array x;
    write_file(scratch_path("good.idx"), idx, sizeof idx);
    OK(kd_dataset_create(&data, ctx, NULL));
    OK(kd_dataset_add_file(data, "x", scratch_path("good.idx"), NULL));
    OK(kd_dataset_field(data, "x", &x, NULL));
    ck_assert(x.dtype == KD_INT16 && x.dims[0] == 2 && x.dims[1] == 3 &&
              ((int16_t *)x.data)[5] == -1 && ((int16_t *)x.data)[0] == 1);
    FAILS(kd_dataset_add_file(data, "y", scratch_path("nothing.idx"), NULL), KD_ERR_NOT_FOUND,
          "nothing.idx");
    kd_dataset_free(data);
    for (size_t cut = 0; cut < sizeof idx; cut++)
        check_file("cut.idx", idx, cut, KD_ERR_FORMAT, "");
    memcpy(bad, idx, sizeof idx);
    memset(bad + 4, 0xff, 8); /* 2^64 numbers */
    check_file("lying.idx", bad, sizeof bad, KD_ERR_FORMAT, "too large");
    memcpy(bad, idx, sizeof idx);
    bad[4] = 0x10; /* 300 million rows in 24 bytes */
    check_file("lying.idx", bad, sizeof bad, KD_ERR_FORMAT, "expected");
    bad[2] = 0x77;
    check_file("lying.idx", bad, sizeof bad, KD_ERR_FORMAT, "type 0x77");
    memcpy(bad, idx, sizeof idx);
    bad[7] = 1;
    check_file("long.idx", bad, sizeof bad, KD_ERR_FORMAT, "got more");

    char npy[128 + 24] = "\x93NUMPY\x01";
    const char *header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    const float numbers[6] = { 1, 2, 3, 4, 5, 6 };
    npy[8] = 118;
    memset(npy + 10, ' ', 118);
    memcpy(npy + 10, header, strlen(header));
    memcpy(npy + 128, numbers, 24);
    check_file("good.npy", npy, sizeof npy, KD_OK, "");
    for (size_t cut = 0; cut < sizeof npy; cut += 7)
        check_file("cut.npy", npy, cut, KD_ERR_FORMAT, "");
    memcpy(strstr(npy + 10, "False"), "True ", 5);
    check_file("order.npy", npy, sizeof npy, KD_OK, "");
    OK(kd_dataset_create(&data, ctx, NULL));
    OK(kd_dataset_add_file(data, "x", scratch_path("order.npy"), NULL));
    OK(kd_dataset_field(data, "x", &x, NULL));
    const float turned[6] = { 1, 3, 5, 2, 4, 6 };
    ck_assert(x.dims[0] == 2 && x.dims[1] == 3 && !memcmp(x.data, turned, sizeof turned));
    kd_dataset_free(data);
    memcpy(strstr(npy + 10, "True "), "False", 5);
    memcpy(strstr(npy + 10, "<f4"), "<c8", 3);
    check_file("complex.npy", npy, sizeof npy, KD_ERR_DTYPE, "complex");
    memcpy(strstr(npy + 10, "'<c8'"), "'|O' ", 5);
    check_file("objects.npy", npy, sizeof npy, KD_ERR_DTYPE, "objects");
    char lonely[128 + 24];
    memcpy(lonely, npy, sizeof lonely);
    memset(lonely + 10, ' ', 118);
    memcpy(lonely + 10, "{'fortran_order': False, ", 25);
    memcpy(lonely + 128 - 9, "'descr':'", 9); /* the header ends inside the type */
    check_file("lonely.npy", lonely, sizeof lonely, KD_ERR_DTYPE, "not supported");
    memcpy(strstr(npy + 10, "'|O' "), "[('a'", 5);
    check_file("records.npy", npy, sizeof npy, KD_ERR_DTYPE, "structured");
    check_file("text.npy", "hello, world", 12, KD_ERR_FORMAT, "neither");
}
END_TEST

START_TEST(csv_files_are_read_with_line_numbers)
{
    kd_dataset *data = NULL;
    kd_array x, y, present;
    const char *path = scratch_path("table.csv");
    const char good[] = "a,b,label\r\n1.5,\"2\",0\r\n-3e2, 4 ,\r\n5,6,2";
    write_file(path, good, strlen(good));
    OK(kd_dataset_load_csv(&data, ctx, path, NULL));
    OK(kd_dataset_field(data, "inputs", &x, NULL));
    OK(kd_dataset_field(data, "label", &y, &present));
    ck_assert(x.dims[0] == 3 && x.dims[1] == 2);
    ck_assert_float_eq(((float *)x.data)[2], -300);
    ck_assert_int_eq(((int64_t *)y.data)[2], 2);
    ck_assert(((uint8_t *)present.data)[0] == 1 && ((uint8_t *)present.data)[1] == 0);
    kd_dataset_free(data);
    data = NULL;
    static const struct {
        const char *text, *message;
    } wrong[] = { { "a,b\n1,2\n3\n", "line 3: expected 2 columns, got 1" },
                  { "a,b\n1,x7\n", "line 2, column 2: expected a number, got 'x7'" },
                  { "a,b\n", "expected a row" },
                  { "a,b\n1,\"2\n", "does not end" },
                  { "a,b\n1,2.5\n", "expected a whole number, got 2.5" },
                  { "", "expected a row" } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_file(path, wrong[i].text, strlen(wrong[i].text));
        FAILS(kd_dataset_load_csv(&data, ctx, path, NULL), KD_ERR_FORMAT, wrong[i].message);
    }
    ck_assert_ptr_null(data);
}
END_TEST

START_TEST(mnist_is_read_from_its_gzip_files)
{
    const char *folder = real_data("mnist_is_read_from_its_gzip_files");
    char path[600];
    kd_dataset *data;
    kd_array x, y;
    int64_t sum = 0;
    if (!folder) return;
    snprintf(path, sizeof path, "%s/mnist", folder);
    OK(kd_dataset_load_idx(&data, ctx, path, "t10k", NULL));
    OK(kd_dataset_field(data, "inputs", &x, NULL));
    OK(kd_dataset_field(data, "label", &y, NULL));
    ck_assert(x.dims[0] == 10000 && x.dims[1] == 28 && x.dims[2] == 28);
    for (int i = 0; i < 10000; i++) sum += ((uint8_t *)y.data)[i];
    ck_assert_int_eq(sum, 44434);
    uint64_t key[2];
    OK(kd_dataset_key(data, 0, key));
    ck_assert(key[0] != 0);
    kd_dataset_free(data);
    /* a gzip that is cut */
    size_t size;
    snprintf(path, sizeof path, "%s/mnist/t10k-labels-idx1-ubyte.gz", folder);
    char *bytes = read_whole(path, &size);
    for (size_t cut = 3; cut < size; cut += size / 11)
        check_file("cut.gz", bytes, cut, KD_ERR_FORMAT, "");
    bytes[size / 2] ^= 0x55;
    write_file(scratch_path("torn.gz"), bytes, size);
    OK(kd_dataset_create(&data, ctx, NULL));
    ck_assert_int_ne(kd_dataset_add_file(data, "x", scratch_path("torn.gz"), NULL), KD_OK);
    kd_dataset_free(data);
    free(bytes);
}
END_TEST

START_TEST(fields_that_do_not_fit_are_refused)
{
    kd_dataset *data = images();
    float x[10];
    kd_array nine = KD_ARRAY_1D(x, KD_FLOAT32, 9), half = KD_ARRAY_1D(x, KD_FLOAT16, 10);
    const char *name;
    int32_t fields;
    int64_t samples;
    FAILS(kd_dataset_add(data, "more", &nine, NULL), KD_ERR_SHAPE, "expected 10 samples, got 9");
    FAILS(kd_dataset_add(data, "label", &nine, NULL), KD_ERR_INVALID, "already");
    FAILS(kd_dataset_add(data, "", &nine, NULL), KD_ERR_INVALID, "empty");
    FAILS(kd_dataset_add(data, "half", &half, NULL), KD_ERR_DTYPE, "float16");
    FAILS(kd_dataset_add(data, "null", NULL, NULL), KD_ERR_INVALID, "NULL");
    OK(kd_dataset_field_count(data, &fields));
    OK(kd_dataset_field_name(data, 1, &name));
    OK(kd_dataset_sample_count(data, &samples));
    ck_assert(fields == 2 && samples == 10 && !strcmp(name, "label"));
    FAILS(kd_dataset_field_name(data, 2, &name), KD_ERR_RANGE, "field: expected 0 to 1, got 2");
    FAILS(kd_dataset_field(data, "more", NULL, NULL), KD_ERR_NOT_FOUND, "more");
    kd_dataset_free(data);
}
END_TEST

Suite *data_suite(void)
{
    Suite *suite = suite_create("data");
    TCase *tests = tcase_create("data");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_batch_holds_converted_fields);
    tcase_add_test(tests, passes_are_permutations_that_the_seed_decides);
    tcase_add_test(tests, augmentation_moves_and_mirrors);
    tcase_add_test(tests, labeled_and_unlabeled_parts_join);
    tcase_add_test(tests, idx_and_npy_files_are_read_and_hostile_ones_refused);
    tcase_add_test(tests, csv_files_are_read_with_line_numbers);
    tcase_add_test(tests, mnist_is_read_from_its_gzip_files);
    tcase_add_test(tests, fields_that_do_not_fit_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
