/* What bounds every parser of files: depth, time and memory, on a thread whose stack is small
 * (docs/bounds.md). */
#include "suites.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/formats.h"
#include "formats/gguf.h"
#include "formats/json.h"
#include "language/text/regex.h"

#ifdef KD_TEST_LOOSE
enum { SEARCHED = 1 << 14 };
#define STACK ((size_t)8 << 20) /* frames are larger under sanitizers */
#else
enum { SEARCHED = 1 << 20 };
/* OpenBLAS, where it is linked, takes 60 kB of every thread's for itself */
#define STACK ((size_t)96 << 10)
#endif

static kd_context *ctx;
static void setup(void) { ck_assert_int_eq(kd_context_create(&ctx, NULL), KD_OK); }
static void teardown(void) { kd_context_free(ctx); }

static void *call(void *function)
{
    (*(void (**)(void))function)();
    return NULL;
}

static void on_a_small_stack(void (*function)(void))
{
    pthread_t thread;
    pthread_attr_t small;
    const long least = sysconf(_SC_THREAD_STACK_MIN); /* 128 kB on arm64 */
    const size_t stack = least > 0 && (size_t)least > STACK ? (size_t)least : STACK;
    ck_assert_int_eq(pthread_attr_init(&small), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&small, stack), 0);
    ck_assert_int_eq(pthread_create(&thread, &small, call, &function), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&small);
}

static char *repeat(const char *text, int64_t count, const char *last)
{
    const size_t size = strlen(text), end = strlen(last);
    char *made = malloc((size_t)count * size + end + 1);
    ck_assert_ptr_nonnull(made);
    for (int64_t i = 0; i < count; i++) memcpy(made + (size_t)i * size, text, size);
    memcpy(made + (size_t)count * size, last, end + 1);
    return made;
}

/* ---- JSON ---- */

static kd_status parse(const char *text)
{
    kd__json_document d;
    const kd_status status = kd__json_parse(&d, ctx, text, strlen(text), "test");
    if (status == KD_OK) kd__json_free(&d);
    return status;
}

static void nest(const char *open, const char *close, int64_t depth, kd_status expected)
{
    char *inner = repeat(close, depth, ""), *text = repeat(open, depth, inner);
    ck_assert_int_eq(parse(text), expected);
    free(text);
    free(inner);
}

static void deep_json(void)
{
    nest("[", "]", 64, KD_OK);
    nest("[", "]", 65, KD_ERR_FORMAT);
    nest("[", "]", 100000, KD_ERR_FORMAT);
    nest("[", "", 100000, KD_ERR_FORMAT);
}

static void wide_json(void)
{
    char *text = malloc(100000 * 12 + 3), *at = text;
    *at++ = '{';
    for (int i = 0; i < 100000; i++) at += sprintf(at, "%s\"%d\":1", i ? "," : "", 99999 - i);
    memcpy(at, "}", 2);
    ck_assert_int_eq(parse(text), KD_OK);
    memcpy(at - 9, "\"99999\":1}", 11); /* the first key again */
    ck_assert_int_eq(parse(text), KD_ERR_FORMAT);
    free(text);
}

START_TEST(json_is_64_deep) { on_a_small_stack(deep_json); }
END_TEST
START_TEST(objects_may_be_wide) { on_a_small_stack(wide_json); }
END_TEST

/* ---- regular expressions ---- */

static kd_status compile(const char *pattern)
{
    kd__regex *regex = NULL;
    const kd_status status = kd__regex_compile(&regex, ctx, pattern, (int64_t)strlen(pattern));
    kd__regex_free(regex);
    return status;
}

static void groups(const char *open, int64_t depth, kd_status expected)
{
    char *inner = repeat(")", depth, ""), *middle = repeat(open, depth, "a"),
         *text = malloc(strlen(inner) + strlen(middle) + 1);
    strcpy(text, middle);
    strcat(text, inner);
    ck_assert_int_eq(compile(text), expected);
    free(text);
    free(middle);
    free(inner);
}

static void deep_patterns(void)
{
    static const char *const open[] = { "(", "(?:", "(?=", "(?>", "(?i:" };
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        groups(open[i], 40, KD_OK);
        groups(open[i], 100000, KD_ERR_UNSUPPORTED);
    }
}

static void large_patterns(void)
{
    ck_assert_int_eq(compile("(?:(?:(?:a{1000}){1000}){1000}){1000}"), KD_ERR_UNSUPPORTED);
    char *many = repeat("a|", 100000, "a");
    ck_assert_int_eq(compile(many), KD_ERR_UNSUPPORTED);
    free(many);
}

/* All matches of a pattern in a text of 1 MB: found, or stopped for too many steps, within
 * seconds. */
static void search(const char *pattern, const char *unit, const char *last)
{
    kd__regex_state state = { 0 };
    kd__unicode *unicode = NULL;
    kd__regex *regex = NULL;
    const char *from = "", *behind;
    kd_status status = KD_OK;
    char *text = repeat(unit, getenv("KD_TEST_FEW") ? 1 << 12 : SEARCHED, last);
    ck_assert_int_eq(kd__unicode_make(&unicode, ctx), KD_OK);
    status = kd__regex_compile(&regex, ctx, pattern, (int64_t)strlen(pattern));
    ck_assert_msg(status == KD_OK, "%s: %s", pattern, kd_last_error());
    state.regex = regex;
    state.unicode = unicode;
    kd__regex_scan scan = kd__regex_scan_begin(&state, text, (int64_t)strlen(text));
    while (status == KD_OK && from) status = kd__regex_next(&scan, &from, &behind);
    ck_assert_msg(status == KD_OK || status == KD_ERR_RANGE, "%s: %d", pattern, status);
    kd__regex_state_free(&state);
    kd__regex_free(regex);
    kd__unicode_free(unicode);
    free(text);
}

static void exploding_patterns(void)
{
    search("(a+)+b", "a", "c");
    search("(a|a)*c", "a", "b");
    search("(?:a|a|a)*b", "a", "c");
    search("(?=(?:a+)*b)a", "a", "c");
    search("a*a*a*a*b", "a", "c");
    search("\\s+(?!\\S)|\\s+", " ", "x");
}

START_TEST(groups_are_50_deep) { on_a_small_stack(deep_patterns); }
END_TEST
START_TEST(patterns_are_20000_instructions) { on_a_small_stack(large_patterns); }
END_TEST
START_TEST(searches_end) { on_a_small_stack(exploding_patterns); }
END_TEST

/* ---- headers ---- */

static kd_status safetensors(uint64_t claimed, const char *header)
{
    kd__safetensors file;
    const size_t size = strlen(header);
    char *bytes = malloc(8 + size);
    memcpy(bytes, &claimed, 8);
    memcpy(bytes + 8, header, size);
    const kd_status status = kd__safetensors_parse(&file, ctx, bytes, 8 + (int64_t)size, "test");
    if (status == KD_OK) kd__safetensors_free(&file);
    free(bytes);
    return status;
}

static void hostile_safetensors(void)
{
    static const uint64_t claims[] = {
        3, 1 << 20, 1ULL << 40, INT64_MAX - 7, UINT64_MAX - 7, UINT64_MAX
    };
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
        ck_assert_int_lt(safetensors(claims[i], "{}"), KD_OK);
    char *deep = repeat("[", 100000, "");
    ck_assert_int_lt(safetensors(100000, deep), KD_OK);
    free(deep);
}

typedef struct {
    uint64_t tensors, pairs, key;
    uint32_t type, kind;
    uint64_t count;
} claims;

/* A header of one pair, an array, and 64 bytes of zero. */
static kd_status gguf(const claims *c)
{
    kd__gguf file;
    char bytes[128] = "GGUF\3", *at = bytes + 8;
    memcpy(at, &c->tensors, 8);
    memcpy(at + 8, &c->pairs, 8);
    memcpy(at + 16, &c->key, 8);
    memcpy(at + 24, "k", 1);
    memcpy(at + 25, &c->type, 4);
    memcpy(at + 29, &c->kind, 4);
    memcpy(at + 33, &c->count, 8);
    const kd_status status = kd__gguf_parse(&file, ctx, bytes, sizeof bytes, "test");
    if (status == KD_OK) kd__gguf_close(&file);
    return status;
}

static void hostile_gguf(void)
{
    static const claims cases[] = {
        { 1ULL << 62, 0, 1, 0, 0, 0 },
        { 0, 1ULL << 62, 1, 4, 0, 0 },
        { 0, 1, UINT64_MAX, 4, 0, 0 },
        { 0, 1, 1ULL << 63, 8, 0, 0 },
        { 0, 1, 1, 9, 4, UINT64_MAX },
        { 0, 1, 1, 9, 4, 1ULL << 62 },
        { 0, 1, 1, 9, 9, 1000 /* lists of lists */ },
        { 0, 1, 1, 9, 8, 1ULL << 40 },
        { 0, 1, 1, 77, 0, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(gguf(&cases[i]) < KD_OK, "case %d", (int)i);
}

START_TEST(headers_claim_what_they_have)
{
    on_a_small_stack(hostile_safetensors);
    on_a_small_stack(hostile_gguf);
}
END_TEST

Suite *bounds_suite(void)
{
    Suite *suite = suite_create("bounds");
    TCase *tests = tcase_create("bounds");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, json_is_64_deep);
    tcase_add_test(tests, objects_may_be_wide);
    tcase_add_test(tests, groups_are_50_deep);
    tcase_add_test(tests, patterns_are_20000_instructions);
    tcase_add_test(tests, searches_end);
    tcase_add_test(tests, headers_claim_what_they_have);
    suite_add_tcase(suite, tests);
    return suite;
}
