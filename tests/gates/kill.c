/* A writer killed at random moments: every record whose commit returned is there, at most one more,
 * and nothing else. The next writer goes on behind them. kill FOLDER TIMES */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "storekit.h"

/* The child: tells each commit through the pipe as it returns. */
static int write_on(const char *path, int64_t from, int told)
{
    kd_context *ctx;
    kd_store_writer *w;
    kit k;
    if (kd_context_create(&ctx, NULL) || kit_writer(&w, ctx, path, 1, KD_SYNC_NEVER) ||
        kit_make(&k, ctx))
        return 3;
    for (int64_t i = from;; i++) {
        if (kit_add(&k, w, i)) return 3;
        if (i % 50 == 49) { /* now and then closed with an index, and begun again */
            if (kd_store_writer_close(w)) return 3;
            kd_store_writer_free(w);
            if (kit_writer(&w, ctx, path, 1, KD_SYNC_NEVER)) return 3;
        }
        const int64_t committed = i + 1;
        if (write(told, &committed, sizeof committed) != sizeof committed) return 3;
    }
}

int main(int argc, char **argv)
{
    char path[600];
    const int times = argc > 2 ? atoi(argv[2]) : 20;
    kd_context *ctx;
    int64_t records = 0, extra = 0;
    unsigned seed = (unsigned)time(NULL);
    srand(seed);
    snprintf(path, sizeof path, "%s/killed.kdt", argc > 1 ? argv[1] : "/tmp");
    unlink(path);
    if (kd_context_create(&ctx, NULL)) return 2;
    for (int round = 0; round < times; round++) {
        int ends[2], status;
        int64_t committed = records, last;
        if (pipe(ends)) return 2;
        pid_t child = fork();
        if (child == 0) _exit(write_on(path, records, ends[1]));
        close(ends[1]);
        struct timespec wait = { 0, 2000000 + rand() % 20000000 };
        nanosleep(&wait, NULL);
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        while (read(ends[0], &last, sizeof last) == sizeof last) committed = last;
        close(ends[0]);
        if (!WIFSIGNALED(status))
            return printf("round %d (seed %u): the writer failed by itself\n", round, seed);
        if (access(path, F_OK) != 0) continue; /* killed before the file was made */
        if (records == 0 && committed == 0) {  /* perhaps before its header was whole */
            unlink(path);
            continue;
        }
        const int64_t found = kit_check(ctx, path);
        if (found < committed || found > committed + 1)
            return printf("round %d (seed %u): %lld records, %lld were committed\n", round, seed,
                          (long long)found, (long long)committed);
        extra += found - committed;
        records = found;
    }
    kd_context_free(ctx);
    printf("a writer was killed %d times: %lld records, all there; %lld times one more than told\n",
           times, (long long)records, (long long)extra);
    return records < times;
}
