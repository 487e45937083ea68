/* dlopen, use, dlclose in a loop: no thread and no memory stays. */
#include <dirent.h>
#include <dlfcn.h>
#include <kdistill.h>
#include <malloc.h>
#include <stdio.h>

static int threads(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/task");
    while (d && readdir(d)) count++;
    if (d) closedir(d);
    return count;
}

static int use(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return printf("%s\n", dlerror());
    kd_status (*create)(kd_context **, const kd_context_options *);
    kd_status (*matmul)(kd_context *, int32_t, int32_t, int64_t, int64_t, int64_t, float,
                        const float *, int64_t, const float *, int64_t, float, float *, int64_t);
    void (*destroy)(kd_context *);
    *(void **)&create = dlsym(library, "kd_context_create");
    *(void **)&matmul = dlsym(library, "kd_context_matmul");
    *(void **)&destroy = dlsym(library, "kd_context_free");
    static float a[200 * 200], c[200 * 200];
    kd_context *ctx;
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    o.threads = 3;
    o.gemm = KD_GEMM_OWN;
    if (create(&ctx, &o) < 0 || matmul(ctx, 0, 0, 200, 200, 200, 1, a, 200, a, 200, 0, c, 200) < 0)
        return printf("a call failed\n");
    destroy(ctx);
    return dlclose(library);
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    for (int i = 0; i < 3; i++)
        if (use(argv[1])) return 1;
    int before_threads = threads();
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 50; i++)
        if (use(argv[1])) return 1;
    size_t grown = mallinfo2().uordblks - before;
    if ((long)grown > 64 * 1024 || threads() != before_threads) {
        printf("50 rounds of dlopen and dlclose left %zu bytes and %d threads\n", grown,
               threads() - before_threads);
        return 1;
    }
    printf("dlopen and dlclose: nothing stays\n");
    return 0;
}
