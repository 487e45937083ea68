/* Tables of other programs: what would be lost or changed in silence is refused or told. */
#include "unit.h"

static int32_t warnings;

static void count_warning(void *user, int32_t level, const char *line)
{
    (void)user;
    warnings += level == KD_LOG_WARNING && strstr(line, "header = 0") != NULL;
}

static kd_context *listening(void)
{
    kd_context *ctx;
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_logger logger = { .struct_size = sizeof logger,
                         .level = KD_LOG_WARNING,
                         .log = count_warning };
    o.logger = &logger;
    OK(kd_context_create(&ctx, &o));
    return ctx;
}

/* Iris without its names: the first flower is gone when nobody says so. */
START_TEST(a_first_line_of_numbers_is_told)
{
    static const struct {
        const char *text;
        int32_t header, told;
    } tables[] = { { "5.1,3.5,0\n4.9,3,1\n", 1, 1 },
                   { "5.1,3.5,0\n4.9,3,1\n", 0, 0 },
                   { "length,width,kind\n1,2,0\n", 1, 0 },
                   { "\"1\",\"2\"\r\n1,2\r\n", 1, 1 },
                   { "a,2\n1,2\n", 1, 0 },
                   { ",2\n1,2\n", 1, 0 } };
    kd_context *ctx = listening();
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        kd_csv_options o = KD_CSV_OPTIONS_INIT;
        kd_dataset *data;
        o.header = tables[i].header;
        warnings = 0;
        write_file(scratch_path("first.csv"), tables[i].text, strlen(tables[i].text));
        OK(kd_dataset_load_csv(&data, ctx, scratch_path("first.csv"), &o));
        ck_assert_msg(warnings == tables[i].told, "%s", tables[i].text);
        kd_dataset_free(data);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(a_number_beyond_float32_is_refused)
{
    static const struct {
        const char *cell, *message;
    } cells[] = { { "1e400", "line 2, column 1: 1e400 is too large" },
                  { "-3.5e38", "line 2, column 1: -3.5e38 is too large" },
                  { "3.4e38", NULL },
                  { "inf", NULL },
                  { "-Infinity", NULL },
                  { "nan", NULL },
                  { "1e-400", NULL } };
    kd_context *ctx = listening();
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        char text[60];
        kd_dataset *data;
        const int size = snprintf(text, sizeof text, "x,label\n%s,1\n", cells[i].cell);
        write_file(scratch_path("large.csv"), text, (size_t)size);
        const kd_status status = kd_dataset_load_csv(&data, ctx, scratch_path("large.csv"), NULL);
        if (cells[i].message) FAILS(status, KD_ERR_FORMAT, cells[i].message);
        else {
            OK(status);
            kd_dataset_free(data);
        }
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(utf16_is_named)
{
    static const char text[] = "\xff\xfe"
                               "a\0,\0b\0\n\0"
                               "1\0,\0"
                               "2\0\n";
    kd_context *ctx = listening();
    kd_dataset *data;
    write_file(scratch_path("wide.csv"), text, sizeof text);
    FAILS(kd_dataset_load_csv(&data, ctx, scratch_path("wide.csv"), NULL), KD_ERR_UNSUPPORTED,
          "this is text in UTF-16");
    kd_context_free(ctx);
}
END_TEST

Suite *csv_suite(void)
{
    Suite *suite = suite_create("csv");
    TCase *tests = tcase_create("csv");
    tcase_add_test(tests, a_first_line_of_numbers_is_told);
    tcase_add_test(tests, a_number_beyond_float32_is_refused);
    tcase_add_test(tests, utf16_is_named);
    suite_add_tcase(suite, tests);
    return suite;
}
