/* The part of libcheck's interface that the suites use, for C libraries that libcheck is not
 * packaged for. Each test runs in a process of its own; a failed assertion prints its place and
 * ends it. On Windows all run in one, and a failed assertion goes back to the runner.
 * CK_RUN_SUITE chooses a suite. */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef _WIN32
#include "posix.h"
#else
#include <sys/wait.h>
#endif

typedef struct {
    const char *name;
    void (*run)(int);
} ck_test;

typedef struct TCase {
    struct TCase *next;
    void (*setup)(void), (*teardown)(void);
    double timeout;
    struct ck_entry {
        ck_test test;
        int begin, end;
    } entries[96];
    int count;
} TCase;

typedef struct Suite {
    struct Suite *next;
    const char *name;
    TCase *cases;
} Suite;

typedef struct {
    Suite *suites[512];
    int count, failed;
} SRunner;

#define CK_ENV 0
#define START_TEST(name)                                                                           \
    static void name##_run(int _i);                                                                \
    static const ck_test name = { #name, name##_run };                                             \
    static void name##_run(int _i)                                                                 \
    {                                                                                              \
        (void)_i;
#define END_TEST }

#ifdef _WIN32
static jmp_buf ck_back; /* the runner's own; a test file reaches it through ck_leave_by */
extern void (*ck_leave_by)(void);
static inline void ck_leave(void) { ck_leave_by(); }
#else
static inline void ck_leave(void) { exit(1); }
#endif
#define ck_abort_msg(...)                                                                          \
    (fprintf(stderr, "%s:%d: ", __FILE__, __LINE__), fprintf(stderr, __VA_ARGS__),                 \
     fputc('\n', stderr), ck_leave())
#define ck_assert_msg(condition, ...) ((condition) ? (void)0 : ck_abort_msg(__VA_ARGS__))
#define ck_assert(condition) ck_assert_msg(condition, "%s", #condition)
#define CK_COMPARE(type, format, a, sign, b)                                                       \
    do {                                                                                           \
        const type ck_a = (a), ck_b = (b);                                                         \
        ck_assert_msg(ck_a sign ck_b, "%s " #sign " %s: " format ", " format, #a, #b, ck_a, ck_b); \
    } while (0)
#define CK_INT(a, sign, b) CK_COMPARE(intmax_t, "%jd", a, sign, b)
#define CK_UINT(a, sign, b) CK_COMPARE(uintmax_t, "%ju", a, sign, b)
#define CK_DOUBLE(a, sign, b) CK_COMPARE(double, "%.17g", a, sign, b)
#define ck_assert_int_eq(a, b) CK_INT(a, ==, b)
#define ck_assert_int_ne(a, b) CK_INT(a, !=, b)
#define ck_assert_int_lt(a, b) CK_INT(a, <, b)
#define ck_assert_int_le(a, b) CK_INT(a, <=, b)
#define ck_assert_int_gt(a, b) CK_INT(a, >, b)
#define ck_assert_int_ge(a, b) CK_INT(a, >=, b)
#define ck_assert_uint_eq(a, b) CK_UINT(a, ==, b)
#define ck_assert_uint_lt(a, b) CK_UINT(a, <, b)
#define ck_assert_uint_gt(a, b) CK_UINT(a, >, b)
#define ck_assert_double_eq(a, b) CK_DOUBLE(a, ==, b)
#define ck_assert_double_ne(a, b) CK_DOUBLE(a, !=, b)
#define ck_assert_double_lt(a, b) CK_DOUBLE(a, <, b)
#define ck_assert_double_le(a, b) CK_DOUBLE(a, <=, b)
#define ck_assert_double_ge(a, b) CK_DOUBLE(a, >=, b)
#define ck_assert_double_gt(a, b) CK_DOUBLE(a, >, b)
#define ck_assert_float_eq(a, b) CK_DOUBLE(a, ==, b)
#define ck_assert_float_ne(a, b) CK_DOUBLE(a, !=, b)
#define ck_assert_double_eq_tol(a, b, tolerance)                                                   \
    ck_assert(fabs((double)(a) - (double)(b)) < (tolerance))
#define ck_assert_ptr_eq(a, b) ck_assert((const void *)(a) == (const void *)(b))
#define ck_assert_ptr_null(a) ck_assert_ptr_eq(a, NULL)
#define ck_assert_ptr_nonnull(a) ck_assert((const void *)(a) != NULL)
#define CK_TEXT(a, sign, b)                                                                        \
    do {                                                                                           \
        const char *ck_a = (a), *ck_b = (b);                                                       \
        ck_assert_msg(strcmp(ck_a, ck_b) sign 0, "%s " #sign " %s: \"%s\", \"%s\"", #a, #b, ck_a,  \
                      ck_b);                                                                       \
    } while (0)
#define ck_assert_str_eq(a, b) CK_TEXT(a, ==, b)
#define ck_assert_str_ne(a, b) CK_TEXT(a, !=, b)
#define ck_assert_mem_eq(a, b, size) ck_assert(!memcmp(a, b, size))
#define ck_assert_mem_ne(a, b, size) ck_assert(memcmp(a, b, size) != 0)

static inline Suite *suite_create(const char *name)
{
    Suite *s = calloc(1, sizeof *s);
    s->name = name;
    return s;
}

static inline TCase *tcase_create(const char *name)
{
    TCase *c = calloc(1, sizeof *c);
    (void)name;
    c->timeout = 4;
    return c;
}

static inline void suite_add_tcase(Suite *s, TCase *c)
{
    TCase **at = &s->cases;
    while (*at) at = &(*at)->next;
    *at = c;
}

static inline void tcase_set_tags(TCase *c, const char *tags) { (void)c, (void)tags; }

static inline void tcase_set_timeout(TCase *c, double seconds) { c->timeout = seconds; }

static inline void tcase_add_checked_fixture(TCase *c, void (*setup)(void), void (*teardown)(void))
{
    c->setup = setup;
    c->teardown = teardown;
}

static inline void tcase_add_loop_test(TCase *c, ck_test test, int begin, int end)
{
    if (c->count == (int)(sizeof c->entries / sizeof *c->entries)) exit(2);
    c->entries[c->count++] = (struct ck_entry){ test, begin, end };
}

static inline void tcase_add_test(TCase *c, ck_test test) { tcase_add_loop_test(c, test, 0, 1); }

static inline void srunner_add_suite(SRunner *r, Suite *s)
{
    if (r->count == (int)(sizeof r->suites / sizeof *r->suites)) exit(2);
    if (s) r->suites[r->count++] = s;
}

static inline SRunner *srunner_create(Suite *s)
{
    SRunner *r = calloc(1, sizeof *r);
    srunner_add_suite(r, s);
    return r;
}

#ifdef _WIN32
void (*ck_leave_by)(void) __attribute__((weak));
static inline void ck_go_back(void) { longjmp(ck_back, 1); }

static inline int ck_run(const TCase *c, const ck_test *test, int i)
{
    ck_leave_by = ck_go_back;
    if (!setjmp(ck_back)) {
        if (c->setup) c->setup();
        test->run(i);
        if (c->teardown) c->teardown();
        return 0;
    }
    fprintf(stderr, "%s:%d failed\n", test->name, i);
    return 1;
}
#else
/* In the child. */
static inline void ck_run_here(const TCase *c, const ck_test *test, int i)
{
    alarm((unsigned)(10 * c->timeout)); /* the machine may be slow */
    if (c->setup) c->setup();
    test->run(i);
    if (c->teardown) c->teardown();
    exit(0);
}

static inline int ck_run(const TCase *c, const ck_test *test, int i)
{
    int status = 0;
    fflush(NULL);
    const pid_t child = fork();
    if (!child) ck_run_here(c, test, i);
    const int ended = child > 0 && waitpid(child, &status, 0) == child;
    if (ended && WIFEXITED(status) && !WEXITSTATUS(status)) return 0;
    fprintf(stderr, "%s:%d failed", test->name, i);
    if (ended && WIFSIGNALED(status)) fprintf(stderr, " by signal %d", WTERMSIG(status));
    fputc('\n', stderr);
    return 1;
}
#endif

static inline void srunner_run_all(SRunner *r, int mode)
{
    const char *chosen = getenv("CK_RUN_SUITE");
    int tests = 0;
    (void)mode;
    for (int s = 0; s < r->count; s++) {
        if (chosen && strcmp(chosen, r->suites[s]->name)) continue;
        for (const TCase *c = r->suites[s]->cases; c; c = c->next)
            for (int t = 0; t < c->count; t++)
                for (int i = c->entries[t].begin; i < c->entries[t].end; i++, tests++)
                    r->failed += ck_run(c, &c->entries[t].test, i);
    }
    printf("%d tests, %d failed\n", tests, r->failed);
}

static inline int srunner_ntests_failed(SRunner *r) { return r->failed; }
static inline void srunner_free(SRunner *r) { free(r); }

#endif
