/* How many processors this process may use: those it is bound to (sched_setaffinity, mpirun,
 * taskset), less what a control group's quota leaves (containers). docs.kernel.org: cgroup-v2,
 * "cpu.max"; scheduler/sched-bwc, "cpu.cfs_quota_us". */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/numbers.h"
#include "base/thread.h"

enum { MOST = 64, LONGEST = 4096 };

static int64_t bound_to(void)
{
    int64_t online = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef __linux__
    cpu_set_t *set = CPU_ALLOC(8192);
    const size_t size = CPU_ALLOC_SIZE(8192);
    if (set && sched_getaffinity(0, size, set) == 0) online = CPU_COUNT_S(size, set);
    if (set) CPU_FREE(set);
#endif
    return kd__max(online, 1);
}

/* The file's first line; 0: it is not there. */
static int first_line(const char *folder, const char *name, char line[LONGEST])
{
    char path[2 * LONGEST + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    const int found = file && fgets(line, LONGEST, file);
    if (file) fclose(file);
    return found;
}

/* Processors that the group in a folder leaves, rounded up; `MOST` for no quota. */
static int64_t quota_of(const char *folder)
{
    char line[LONGEST], period[LONGEST];
    long long quota = -1, of = 0;
    if (first_line(folder, "cpu.max", line)) {
        if (sscanf(line, "%lld %lld", &quota, &of) != 2) return MOST; /* "max 100000" */
    } else if (first_line(folder, "cpu.cfs_quota_us", line) &&
               first_line(folder, "cpu.cfs_period_us", period)) {
        quota = atoll(line);
        of = atoll(period);
    }
    if (quota <= 0 || of <= 0) return MOST;
    const int64_t left = (quota - 1) / of + 1;
    return kd__min(left, MOST);
}

/* The least quota of a group and those above it. */
static int64_t least_quota(const char *mount, char *group)
{
    char folder[2 * LONGEST];
    int64_t least = MOST;
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", mount, group);
        const int64_t here = quota_of(folder);
        least = kd__min(here, least);
        char *slash = strrchr(group, '/');
        if (!slash) return least;
        *slash = 0;
    }
}

/* Does "cpu" stand in the list of controllers between two colons? */
static int has_cpu(const char *controllers, const char *end)
{
    for (const char *at = controllers; at < end; at += strcspn(at, ",:") + 1)
        if (strcspn(at, ",:") == 3 && !strncmp(at, "cpu", 3)) return 1;
    return 0;
}

/* A line of /proc/self/cgroup: number:controllers:path; without controllers it is version 2.
 * Version 1 is mounted under the names of its controllers, "cpu,cpuacct" as a rule, and most
 * systems have a link "cpu" beside it. */
static int64_t quota_of_line(const char *root, char *line)
{
    char mount[LONGEST], path[LONGEST];
    char *controllers = strchr(line, ':'),
         *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) return MOST;
    line[strcspn(line, "\n")] = 0;
    const int second = group == controllers + 1;
    if (!second && !has_cpu(controllers + 1, group)) return MOST;
    *group++ = 0;
    memcpy(path, group, strlen(group) + 1); /* looking up the groups above cuts it */
    snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s%s", root, second ? "" : "/", controllers + 1);
    const int64_t named = least_quota(mount, group);
    if (second) return named;
    snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpu", root);
    const int64_t linked = least_quota(mount, path);
    return kd__min(named, linked);
}

int32_t kd__processors(const char *root)
{
    char path[LONGEST], line[LONGEST];
    int64_t count = bound_to();
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        const int64_t quota = quota_of_line(root, line);
        count = kd__min(quota, count);
    }
    if (file) fclose(file);
    return count > MOST ? MOST : (int32_t)count;
}
