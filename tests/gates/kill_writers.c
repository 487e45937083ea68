/* Four writers, each its own shard of one folder, and a reader that follows; one writer is killed
 * at a random moment, in every second round files have no locks: every record whose commit returned
 * is there, and no shard is forgotten. Of more than 20 rounds every 50th begins behind a writer
 * that was killed before, which takes ten seconds. kill_writers FOLDER ROUNDS */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "storekit.h"

enum { WRITERS = 4, RECORDS = 60 };

static int no_locks;

int __real_flock(int, int);
int __wrap_flock(int, int);
int __wrap_flock(int file, int operation)
{
    if (!no_locks) return __real_flock(file, operation);
    errno = ENOLCK;
    return -1;
}

static kd_status writer_of(kd_store_writer **w, kd_context *ctx, const char *folder, int shard)
{
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    o.vocabulary = KIT_V;
    o.append = 1;
    o.sync = KD_SYNC_NEVER;
    o.shard = shard;
    f.kind = KD_STORE_DENSE;
    f.name = "logits";
    f.encoding = KD_FLOAT32;
    return kd_store_writer_create(w, ctx, folder, &o, &f, 1);
}

/* Record i of a shard has the number 1000 shard + i. */
static int write_shard(const char *folder, int shard, int from, int told)
{
    kd_context *ctx;
    kd_store_writer *w;
    kit k;
    if (kd_context_create(&ctx, NULL) || writer_of(&w, ctx, folder, shard) || kit_make(&k, ctx))
        return 3;
    for (int i = from; i < RECORDS; i++) {
        const int committed = i + 1;
        if (kit_add(&k, w, 1000 * shard + i)) return 3;
        if (told >= 0 && write(told, &committed, sizeof committed) != sizeof committed) return 3;
    }
    if (kd_store_writer_close(w)) return 3;
    kd_store_writer_free(w);
    kit_free(&k);
    kd_context_free(ctx);
    return 0;
}

static int has_record(kd_store *store, int64_t number)
{
    int64_t record;
    return kd_store_find(store, (uint64_t)number + 1, 7, 0, &record) == KD_OK;
}

/* Records of a shard in order, from the first on. */
static int records_of(kd_store *store, int shard)
{
    int count = 0;
    while (count < RECORDS && has_record(store, 1000 * shard + count)) count++;
    return count;
}

/* Follows the folder while writers write; nothing that was found may go again. */
static int follow(kd_context *ctx, kd_store **store, const char *folder, int64_t *seen)
{
    kd_store_info info = { .struct_size = sizeof info };
    char path[700];
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    if (!*store && access(path, F_OK) != 0) return 0;
    if (!*store && kd_store_open(store, ctx, &folder, 1, NULL))
        return printf("open while writers write: %s\n", kd_last_error());
    if (kd_store_refresh(*store, NULL) || kd_store_get_info(*store, &info))
        return printf("refresh while writers write: %s\n", kd_last_error());
    if (info.records < *seen) return printf("records went\n");
    *seen = info.records;
    return 0;
}

static void clear(const char *folder)
{
    char path[700];
    for (int i = 0; i < WRITERS; i++) {
        snprintf(path, sizeof path, "%s/shard-%05d.kdt", folder, i);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    unlink(path);
}

/* What a writer that was killed while it named its shard leaves where files have no locks: all
 * others wait for it, and no two of them may then name theirs at once. */
static int leave_busy(const char *folder)
{
    char path[700];
    snprintf(path, sizeof path, "%s/manifest.busy", folder);
    FILE *file = fopen(path, "w");
    return !file || fclose(file);
}

static int check_round(kd_context *ctx, const char *folder, const int committed[WRITERS],
                       int victim)
{
    kd_store *store;
    kd_store_open_options o = KD_STORE_OPEN_OPTIONS_INIT;
    kd_store_info info = { .struct_size = sizeof info };
    int64_t adopted, parts = 0, bad;
    if (kd_store_adopt(ctx, folder, &adopted) || kd_store_open(&store, ctx, &folder, 1, NULL))
        return printf("open: %s\n", kd_last_error());
    for (int i = 0; i < WRITERS; i++) {
        const int found = records_of(store, i), expected = i == victim ? committed[i] : RECORDS;
        if (found < expected || (i == victim && found > expected + 1))
            return printf("shard %d: %d records, %d were committed\n", i, found, expected);
    }
    if (kd_store_verify(store, &bad) || kd_store_get_info(store, &info)) return printf("verify\n");
    kd_store_free(store);
    for (o.part = 0, o.parts = 3; o.part < 3; o.part++) { /* three ranks read it */
        kd_store_info part = { .struct_size = sizeof part };
        if (kd_store_open(&store, ctx, &folder, 1, &o) || kd_store_get_info(store, &part))
            return printf("part %d: %s\n", o.part, kd_last_error());
        parts += part.records;
        kd_store_free(store);
    }
    return parts == info.records ? 0 : printf("three parts are not the whole\n");
}

static int run_round(kd_context *ctx, const char *folder, int round, int is_busy)
{
    int ends[WRITERS][2], committed[WRITERS] = { 0 }, last, status, victim = rand() % WRITERS;
    pid_t children[WRITERS];
    kd_store *store = NULL;
    int64_t seen = 0;
    no_locks = round % 2;
    clear(folder);
    if (is_busy && leave_busy(folder)) return printf("no place for a busy file\n");
    for (int i = 0; i < WRITERS; i++) {
        if (pipe(ends[i])) return 1;
        children[i] = fork();
        if (!children[i]) _exit(write_shard(folder, i, 0, ends[i][1]));
        close(ends[i][1]);
    }
    const int steps = rand() % 20;
    for (int s = 0; s < steps; s++) {
        const struct timespec wait = { 0, 500000 };
        nanosleep(&wait, NULL);
        if (follow(ctx, &store, folder, &seen)) return 1;
    }
    kill(children[victim], SIGKILL);
    for (int i = 0; i < WRITERS; i++) {
        while (read(ends[i][0], &last, sizeof last) == sizeof last) committed[i] = last;
        close(ends[i][0]);
        waitpid(children[i], &status, 0);
        if (i != victim && (!WIFEXITED(status) || WEXITSTATUS(status)))
            return printf("round %d: writer %d failed\n", round, i);
        if (follow(ctx, &store, folder, &seen)) return 1;
    }
    kd_store_free(store);
    if (check_round(ctx, folder, committed, victim)) return 1;
    return write_shard(folder, victim, committed[victim], -1); /* goes on where it was */
}

int main(int argc, char **argv)
{
    char folder[600];
    const int rounds = argc > 2 ? atoi(argv[2]) : 20;
    const unsigned seed = (unsigned)time(NULL);
    const int none[WRITERS] = { RECORDS, RECORDS, RECORDS, RECORDS };
    kd_context *ctx;
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    srand(seed);
    snprintf(folder, sizeof folder, "%s/writers", argc > 1 ? argv[1] : "/tmp");
    if (kd_context_create(&ctx, &o)) return 2;
    for (int round = 0; round < rounds; round++)
        if (run_round(ctx, folder, round, rounds > 20 && round % 50 == 1) ||
            check_round(ctx, folder, none, -1))
            return printf("round %d, seed %u: %s\n", round, seed, kd_last_error()), 1;
    kd_context_free(ctx);
    printf("four writers of one folder, %d times one of them was killed: every committed record is "
           "there, read while they grew\n",
           rounds);
    return 0;
}
