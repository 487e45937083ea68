/* How many processors this process may use: those it is bound to (sched_setaffinity, mpirun,
 * taskset), less what a control group's quota leaves (containers). docs.kernel.org: cgroup-v2,
 * "cpu.max"; scheduler/sched-bwc, "cpu.cfs_quota_us". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/numbers.h"
#include "base/os.h"
#include "base/thread.h"

enum { MOST = 64, LONGEST = 4096 };

/* The beginning of a file of the kernel's, as text; 0: it is not there, or empty. */
static int read_text(const char *path, char *text, int64_t room)
{
    int64_t got = 0;
    const int file = kd__os_open(path, KD__OS_READ);
    if (file < 0) return 0;
    kd__read_all(file, text, room - 1, &got);
    text[got] = 0;
    kd__os_close(file);
    return got > 0;
}

static int first_line(const char *folder, const char *name, char line[LONGEST])
{
    char path[2 * LONGEST + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_text(path, line, LONGEST);
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
    char path[LONGEST], text[4 * LONGEST];
    int64_t count = kd__os_processors();
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (!read_text(path, text, sizeof text)) *text = 0;
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        if (*end) *end++ = 0;
        if (end - line > LONGEST) continue; /* no group's name is as long */
        const int64_t quota = quota_of_line(root, line);
        count = kd__min(quota, count);
    }
    return count > MOST ? MOST : (int32_t)count;
}
