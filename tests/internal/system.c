/* What the system tells: processors under affinity and quotas; and states of files that older
 * releases wrote. */
#define _GNU_SOURCE
#include "suites.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/state.h"
#include "base/thread.h"
#include "core/data/data.h"

static kd_context *ctx;
static char warning[300];

static void keep_warning(void *user, int32_t level, const char *line)
{
    (void)user;
    if (level == KD_LOG_WARNING) snprintf(warning, sizeof warning, "%s", line);
}

static void setup(void)
{
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_logger logger = { .struct_size = sizeof logger,
                         .level = KD_LOG_WARNING,
                         .log = keep_warning };
    o.logger = &logger;
    *warning = 0;
    ck_assert_int_eq(kd_context_create(&ctx, &o), KD_OK);
}

static void teardown(void) { kd_context_free(ctx); }

/* ---- processors ---- */

static char root[600];

static void make_root(const char *name)
{
    const char *folder = getenv("KD_TEST_DIR");
    snprintf(root, sizeof root, "%s/%s-%d", folder ? folder : "/tmp", name, (int)getpid());
    mkdir(root, 0777);
}

static void put(const char *name, const char *text)
{
    char path[1400];
    snprintf(path, sizeof path, "%s%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(path, 0777);
    }
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void quota(const char *group, const char *us, const char *period)
{
    char path[700];
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s/cpu.cfs_quota_us", group);
    put(path, us);
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s/cpu.cfs_period_us", group);
    put(path, period);
}

#ifdef __linux__
/* A host that is bound to one processor gets one thread, whatever the machine has
 * (open-mpi/ompi#13009). */
START_TEST(threads_are_as_many_as_the_processors_that_the_process_is_bound_to)
{
    cpu_set_t before, one;
    kd_context *bound;
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context_info info = { .struct_size = sizeof info };
    int first = 0;
    make_root("bound");
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    while (!CPU_ISSET(first, &before)) first++;
    const int32_t all = kd__processors(root);
    ck_assert_int_eq(all, CPU_COUNT(&before) < 64 ? CPU_COUNT(&before) : 64);
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_int_eq(kd__processors(root), 1);
    o.threads = 0;
    ck_assert_int_eq(kd_context_create(&bound, &o), KD_OK);
    ck_assert_int_eq(kd_context_get_info(bound, &info), KD_OK);
    ck_assert_int_eq(info.threads, 1);
    kd_context_free(bound);
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
    ck_assert_int_eq(kd__processors(root), all);
}
END_TEST
#endif

/* Controllers that are mounted together carry both names; a link "cpu" beside them is usual, but
 * containers lack it. */
START_TEST(quotas_are_found_where_controllers_are_mounted_together)
{
    static const char *const mounts[] = { "cpu,cpuacct", "cpuacct,cpu", "cpu",
                                          "cpu,cpuacct,memory" };
    char line[100], group[100];
    for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        snprintf(line, sizeof line, "mounted-%d", (int)i);
        make_root(line);
        const int32_t bound = kd__processors(root);
        snprintf(line, sizeof line,
                 "9:memory:/x\n4:%s:/docker/3f\n1:name=systemd:/docker/3f\n0::/\n", mounts[i]);
        put("/proc/self/cgroup", line);
        ck_assert_int_eq(kd__processors(root), bound);
        snprintf(group, sizeof group, "%s/docker/3f", mounts[i]);
        quota(group, "-1\n", "100000\n");
        ck_assert_int_eq(kd__processors(root), bound);
        quota(mounts[i], "150000\n",
              "100000\n"); /* as a container sees its own group: the mount's root */
        ck_assert_int_eq(kd__processors(root), bound < 2 ? bound : 2);
        quota(group, "99999\n", "100000\n");
        ck_assert_int_eq(kd__processors(root), 1);
    }
    make_root("linked"); /* the name in the line, and the mount under "cpu" */
    const int32_t bound = kd__processors(root);
    put("/proc/self/cgroup", "4:cpu,cpuacct:/a/b\n");
    quota("cpu/a", "100000\n", "100000\n");
    ck_assert_int_eq(kd__processors(root), 1);
    quota("cpu/a", "6400000\n", "100000\n");
    ck_assert_int_eq(kd__processors(root), bound);
}
END_TEST

/* Files that say nothing sensible leave the processors that the process is bound to. */
START_TEST(groups_that_make_no_sense_change_nothing)
{
    static const char *const lines[] = { "",
                                         "\n",
                                         "x",
                                         ":",
                                         "::",
                                         "4:cpu",
                                         "4:cpu:",
                                         "0::",
                                         "0::/",
                                         "4:cpuset,cpuacct:/a\n",
                                         "0::/../../..\n" };
    static const char *const limits[] = { "",          "\n", "max",      "x y",       "0 0",
                                          "-5 100000", "5",  "100000 0", "100000 -1", "max max" };
    make_root("senseless");
    const int32_t bound = kd__processors(root);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        put("/proc/self/cgroup", lines[i]);
        ck_assert_int_eq(kd__processors(root), bound);
    }
    put("/proc/self/cgroup", "0::/a\n4:cpu:/a\n");
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        put("/sys/fs/cgroup/a/cpu.max", limits[i]);
        quota("cpu/a", limits[i], "0\n");
        ck_assert_int_eq(kd__processors(root), bound);
    }
}
END_TEST

/* ---- a loader's place as 0.1 wrote it ---- */

static kd_loader *loader_of(kd_dataset *data, int32_t ranks)
{
    kd_loader *loader;
    kd_loader_options o = KD_LOADER_OPTIONS_INIT;
    o.batch_size = 2;
    o.ranks = ranks;
    ck_assert_int_eq(kd_loader_create(&loader, data, &o), KD_OK);
    return loader;
}

/* The place without its last number, the ranks. */
static void restore_old(kd_loader *from, kd_loader *to, int64_t left_out)
{
    kd__text state = { .context = ctx };
    ck_assert_int_eq(kd__loader_save(from, &state), KD_OK);
    for (int apply = 0; apply < 2; apply++) {
        kd__state_reader reader = { state.bytes, state.bytes + state.size - left_out, "loader" };
        ck_assert_int_eq(kd__loader_restore(to, &reader, apply), KD_OK);
        ck_assert_ptr_eq(reader.at, reader.end);
    }
    kd__text_free(&state);
}

START_TEST(a_place_that_does_not_say_its_ranks_is_told_of)
{
    static float x[40];
    const kd_array inputs = KD_ARRAY_2D(x, KD_FLOAT32, 20, 2);
    kd_dataset *data;
    ck_assert_int_eq(kd_dataset_create(&data, ctx, NULL), KD_OK);
    ck_assert_int_eq(kd_dataset_add(data, "inputs", &inputs, NULL), KD_OK);
    for (int32_t ranks = 1; ranks < 4; ranks++) {
        kd_loader *loader = loader_of(data, ranks);
        *warning = 0;
        restore_old(loader, loader, 0);
        ck_assert_str_eq(warning, "");
        restore_old(loader, loader, sizeof(int64_t));
        ck_assert_int_eq(strstr(warning, "does not say how many ranks wrote it") != NULL,
                         ranks > 1);
        kd_loader_free(loader);
    }
    kd_dataset_free(data);
}
END_TEST

Suite *system_suite(void)
{
    Suite *suite = suite_create("system");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
#ifdef __linux__
    tcase_add_test(tests, threads_are_as_many_as_the_processors_that_the_process_is_bound_to);
#endif
    tcase_add_test(tests, quotas_are_found_where_controllers_are_mounted_together);
    tcase_add_test(tests, groups_that_make_no_sense_change_nothing);
    tcase_add_test(tests, a_place_that_does_not_say_its_ranks_is_told_of);
    suite_add_tcase(suite, tests);
    return suite;
}
