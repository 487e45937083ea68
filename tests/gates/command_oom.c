/* Allocations of the command that fail: linked into it, the linker sends malloc, calloc and realloc
 * here. KD_FAIL_AT: the number of the allocation that fails, and with KD_FAIL_ON=1 all after it.
 * KD_COUNT_TO: a file that gets how many there were. */
#include <stdio.h>
#include <stdlib.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);

static long long seen, fail_at = -1;
static int goes_on;

static void write_count(void)
{
    FILE *file = fopen(getenv("KD_COUNT_TO"), "w");
    if (!file) return;
    fprintf(file, "%lld\n", __atomic_load_n(&seen, __ATOMIC_RELAXED));
    fclose(file);
}

__attribute__((constructor)) static void read_environment(void)
{
    const char *at = getenv("KD_FAIL_AT"), *on = getenv("KD_FAIL_ON");
    if (at) fail_at = atoll(at);
    goes_on = on && *on == '1';
    if (getenv("KD_COUNT_TO")) atexit(write_count);
}

static int fails(void)
{
    const long long n = __atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED);
    return fail_at >= 0 && (n == fail_at || (goes_on && n > fail_at));
}

void *__wrap_malloc(size_t bytes) { return fails() ? NULL : __real_malloc(bytes); }

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *block, size_t bytes)
{
    return fails() ? NULL : __real_realloc(block, bytes);
}
