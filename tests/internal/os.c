/* What base/os.h promises of every system. */
#include "suites.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"

static char path[600], other[700];

static void setup(void)
{
    const char *folder = getenv("KD_TEST_DIR");
    snprintf(path, sizeof path, "%s/os-%lld", folder ? folder : "/tmp",
             (long long)kd__os_process());
    snprintf(other, sizeof other, "%s.other", path);
    kd__os_remove(path);
    kd__os_remove(other);
}

static void teardown(void)
{
    kd__os_remove(path);
    kd__os_remove(other);
}

static int make(const char *name, const char *text)
{
    const int file = kd__os_open(name, KD__OS_UPDATE);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(kd__os_write(file, text, (int64_t)strlen(text)), (int64_t)strlen(text));
    return file;
}

START_TEST(a_file_is_made_once_read_anywhere_and_cut)
{
    char text[8] = "";
    kd__os_facts facts;
    ck_assert_int_eq(kd__os_open(path, KD__OS_READ), -1);
    ck_assert_int_eq(errno, ENOENT);
    const int file = make(path, "abcdef");
    ck_assert_int_eq(kd__os_open(path, KD__OS_NEW), -1);
    ck_assert_int_eq(errno, EEXIST);
    ck_assert_int_eq(kd__os_read_at(file, text, 3, 2), 3);
    ck_assert_str_eq(text, "cde");
    ck_assert_int_eq(kd__os_read_at(file, text, 3, 6), 0);
    ck_assert_int_eq(kd__os_cut(file, 2), 0);
    ck_assert_int_eq(kd__os_write(file, "Z", 1), 1);
    ck_assert_int_eq(kd__os_rewind(file), 0);
    memset(text, 0, sizeof text);
    ck_assert_int_eq(kd__os_read(file, text, 7), 3);
    ck_assert_str_eq(text, "abZ");
    ck_assert_int_eq(kd__os_look(file, &facts), 0);
    ck_assert(facts.kind == KD__OS_FILE && facts.size == 3);
    ck_assert_int_eq(kd__os_close(file), 0);
}
END_TEST

START_TEST(a_file_takes_the_place_of_one_that_is_mapped)
{
    const int file = make(path, "old");
    const char *map = kd__os_map(file, 3);
    ck_assert_ptr_nonnull(map);
    kd__os_close(file);
    kd__os_close(make(other, "newer"));
    ck_assert_int_eq(kd__os_replace(other, path), 0);
    ck_assert_int_eq(memcmp(map, "old", 3), 0);
    kd__os_unmap(map, 3);
    kd__os_facts facts;
    ck_assert_int_eq(kd__os_look_at(path, &facts), 0);
    ck_assert_int_eq(facts.size, 5);
    ck_assert_int_eq(kd__os_look_at(other, &facts), -1);
}
END_TEST

START_TEST(a_lock_keeps_another_descriptor_away_until_it_is_closed)
{
    const int one = make(path, "x"), two = kd__os_open(path, KD__OS_UPDATE);
    ck_assert_int_eq(kd__os_lock(one, 0), KD__OS_LOCKED);
    ck_assert_int_eq(kd__os_lock(two, 0), KD__OS_ELSEWHERE);
    kd__os_close(one);
    ck_assert_int_eq(kd__os_lock(two, 0), KD__OS_LOCKED);
    kd__os_close(two);
}
END_TEST

static int stop_at_mine(void *user, const char *name)
{
    const char *slash = strrchr(path, '/');
    if (strcmp(name, slash + 1)) return 0;
    ++*(int *)user;
    return 1;
}

START_TEST(a_folder_lists_its_names)
{
    int found = 0;
    char folder[600];
    kd__os_facts facts;
    kd__os_close(make(path, "x"));
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    ck_assert_int_eq(kd__os_list(folder, stop_at_mine, &found), 0);
    ck_assert_int_eq(found, 1);
    ck_assert_int_eq(kd__os_list(other, stop_at_mine, &found), -1);
    ck_assert_int_eq(kd__os_look_at(folder, &facts), 0);
    ck_assert_int_eq(facts.kind, KD__OS_FOLDER);
}
END_TEST

START_TEST(texts_are_found_and_numbers_are_those_of_c)
{
    static const char text[] = "a mark, a remark\0behind";
    char number[32], *end;
    void *locale = kd__os_locale_create();
    ck_assert_ptr_eq(kd__os_find(text, sizeof text, "remark", 6), text + 10);
    ck_assert_ptr_eq(kd__os_find(text, sizeof text, "behind", 6), text + 17);
    ck_assert_ptr_null(kd__os_find(text, 15, "remark", 6));
    ck_assert_ptr_eq(kd__os_find(text, sizeof text, "", 0), text);
    ck_assert_int_eq(kd__os_compare_letters("UsEr", "user"), 0);
    ck_assert_int_eq(kd__os_print_double(locale, number, sizeof number, "%.*f", 2, 1234.5), 7);
    ck_assert_str_eq(number, "1234.50");
    ck_assert(kd__os_parse_double(locale, "0.25rest", &end) == 0.25);
    ck_assert_str_eq(end, "rest");
    kd__os_locale_free(locale);
}
END_TEST

START_TEST(the_clock_goes_on_and_dates_are_right)
{
    struct tm parts;
    const double before = kd__os_now();
    ck_assert_double_le(before, kd__os_now());
    ck_assert_int_eq(kd__os_date((time_t)1000000000, 1, &parts), 0);
    ck_assert(parts.tm_year == 101 && parts.tm_mon == 8 && parts.tm_mday == 9);
    ck_assert_int_ge(kd__os_processors(), 1);
}
END_TEST

Suite *os_suite(void)
{
    Suite *suite = suite_create("os");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_file_is_made_once_read_anywhere_and_cut);
    tcase_add_test(tests, a_file_takes_the_place_of_one_that_is_mapped);
    tcase_add_test(tests, a_lock_keeps_another_descriptor_away_until_it_is_closed);
    tcase_add_test(tests, a_folder_lists_its_names);
    tcase_add_test(tests, texts_are_found_and_numbers_are_those_of_c);
    tcase_add_test(tests, the_clock_goes_on_and_dates_are_right);
    suite_add_tcase(suite, tests);
    return suite;
}
