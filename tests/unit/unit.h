/* What every suite uses. */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <kdistill.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK(call) ck_assert_msg((call) == KD_OK, "%s: %s", #call, kd_last_error())
/* Fails with this status, and the message holds this text. */
#define FAILS(call, status, text)                                                                  \
    do {                                                                                           \
        kd_status got_status = (call);                                                             \
        ck_assert_msg(got_status == (status), "%s: %s (%s)", #call, kd_status_name(got_status),    \
                      kd_last_error());                                                            \
        ck_assert_msg(strstr(kd_last_error(), text) != NULL, "%s: the message is: %s", #call,      \
                      kd_last_error());                                                            \
    } while (0)
#define NEAR(a, b, tolerance)                                                                      \
    do {                                                                                           \
        double near_a = (a), near_b = (b);                                                         \
        ck_assert_msg(fabs(near_a - near_b) <= (tolerance), "%s = %.9g, %s = %.9g", #a, near_a,    \
                      #b, near_b);                                                                 \
    } while (0)

static inline kd_context *make_context(int32_t threads)
{
    kd_context *ctx = NULL;
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    o.threads = threads;
    o.seed = 7;
    OK(kd_context_create(&ctx, &o));
    OK(kd_context_set_blas_threads(ctx, 1));
    return ctx;
}

/* A path in the tests' scratch folder; static buffer, a few at a time. */
static inline const char *scratch_path(const char *name)
{
    static _Thread_local char paths[8][512];
    static _Thread_local int next;
    const char *folder = getenv("KD_TEST_DIR");
    char *path = paths[next++ % 8];
    snprintf(path, 512, "%s/%s", folder ? folder : "/tmp", name);
    return path;
}

static inline void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static inline char *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot read %s", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    ck_assert_uint_eq(fread(bytes, 1, *size, file), *size);
    bytes[*size] = 0;
    fclose(file);
    return bytes;
}

/* The folder of real data, or NULL: the test says so and is counted as skipped. */
/* Under sanitizers, valgrind and emulators: bounds on stacks and times are not looked at
 * closely. */
static inline int is_loose(void)
{
#ifdef KD_TEST_LOOSE
    return 1;
#else
    return getenv("KD_TEST_FEW") != NULL;
#endif
}

static inline const char *real_data(const char *test)
{
    const char *folder = getenv("KD_DATA");
    if (folder && !*folder) folder = NULL;
    if (!folder) printf("SKIPPED %s: KD_DATA is not set\n", test);
    return folder;
}

#define SUITE(name) Suite *name##_suite(void);
#include "suites.h"
#undef SUITE

#endif
