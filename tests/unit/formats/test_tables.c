/* Tables and arrays of files at their edges: numbers as every reader of CSV means them, dims that
 * hold a zero. */
#include "unit.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

static kd_status load_number(const char *number, float *value)
{
    const char *path = scratch_path("number.csv");
    char text[2100];
    kd_csv_options o = KD_CSV_OPTIONS_INIT;
    kd_dataset *data = NULL;
    kd_array inputs;
    snprintf(text, sizeof text, "a,b\n1,%s\n", number);
    write_file(path, text, strlen(text));
    o.label_column = -2;
    const kd_status status = kd_dataset_load_csv(&data, ctx, path, &o);
    if (status == KD_OK) OK(kd_dataset_field(data, "inputs", &inputs, NULL));
    if (status == KD_OK) *value = ((const float *)inputs.data)[1];
    kd_dataset_free(data);
    return status;
}

START_TEST(numbers_of_tables_are_decimal)
{
    static const char *const no_numbers[] = { "0x10", "0X1p3", "-0x1", "nan(1)", "1_000",
                                              "1e",   "--1",   "1 2",  "x" };
    char digits[1200] = "0.";
    float value = 0;
    for (size_t i = 0; i < sizeof no_numbers / sizeof *no_numbers; i++)
        FAILS(load_number(no_numbers[i], &value), KD_ERR_FORMAT, "line 2, column 2");
    memset(digits + 2, '3', 900); /* as an exact decimal is printed */
    digits[902] = 0;
    OK(load_number(digits, &value));
    NEAR(value, 1.0 / 3, 1e-7);
    memset(digits + 2, '3', 1100);
    FAILS(load_number(digits, &value), KD_ERR_FORMAT, "expected a number");
    OK(load_number("-Infinity", &value));
    ck_assert(value < 0 && isinf(value));
}
END_TEST

static kd_status load_header(const char *header, int64_t dims[KD_ARRAY_MAX_RANK])
{
    const char *path = scratch_path("empty.npy");
    char bytes[200] = "\x93NUMPY\x01\x00\x76";
    kd_dataset *data;
    kd_array values;
    memset(bytes + 10, ' ', 118);
    memcpy(bytes + 10, header, strlen(header));
    write_file(path, bytes, 128);
    OK(kd_dataset_create(&data, ctx, NULL));
    const kd_status status = kd_dataset_add_file(data, "x", path, NULL);
    if (status == KD_OK) OK(kd_dataset_field(data, "x", &values, NULL));
    if (status == KD_OK) memcpy(dims, values.dims, (size_t)values.rank * sizeof *dims);
    kd_dataset_free(data);
    return status;
}

static kd_status load_npy(const char *shape, int64_t dims[KD_ARRAY_MAX_RANK])
{
    char header[118];
    snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }",
             shape);
    return load_header(header, dims);
}

/* numpy keeps the last of two, and nothing says which was meant. */
START_TEST(a_key_that_a_header_has_twice_is_refused_by_name)
{
    int64_t dims[KD_ARRAY_MAX_RANK];
    FAILS(load_header("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), 'shape': (0, 5)}",
                      dims),
          KD_ERR_FORMAT, "npy header: 'shape' is there twice");
    FAILS(load_header("{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (0,)}",
                      dims),
          KD_ERR_FORMAT, "'descr' is there twice");
    FAILS(load_header("{\"descr\": '<f8', 'descr': '<f4', 'fortran_order': False, 'shape': (0,)}",
                      dims),
          KD_ERR_FORMAT, "'descr' is there twice");
    FAILS(load_header("{'descr': '<f4', 'fortran_order': False, 'shape': (0,), "
                      "'fortran_order':True}",
                      dims),
          KD_ERR_FORMAT, "'fortran_order' is there twice");
    /* a field of records may have any name */
    FAILS(load_header("{'descr': [('shape', '<f4')], 'fortran_order': False, 'shape': (0,)}", dims),
          KD_ERR_DTYPE, "structured");
}
END_TEST

START_TEST(arrays_without_numbers_are_read_when_their_dims_make_sense)
{
    int64_t dims[KD_ARRAY_MAX_RANK];
    OK(load_npy("(0, 3)", dims));
    ck_assert(dims[0] == 0 && dims[1] == 3);
    OK(load_npy("(5, 0, 2)", dims));
    ck_assert(dims[0] == 5 && dims[1] == 0);
    FAILS(load_npy("(0, 999999999999, 999999999999)", dims), KD_ERR_FORMAT, "too large");
    FAILS(load_npy("(999999999999, 0)", dims), KD_ERR_FORMAT, "too large");
    FAILS(load_npy("(9223372036854775807, 9223372036854775807, 0)", dims), KD_ERR_FORMAT,
          "too large");
}
END_TEST

Suite *tables_suite(void)
{
    Suite *suite = suite_create("tables");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, numbers_of_tables_are_decimal);
    tcase_add_test(tests, a_key_that_a_header_has_twice_is_refused_by_name);
    tcase_add_test(tests, arrays_without_numbers_are_read_when_their_dims_make_sense);
    suite_add_tcase(suite, tests);
    return suite;
}
