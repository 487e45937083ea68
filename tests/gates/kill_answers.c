/* Three workers answer the chunks of one folder, one of them killed at a random moment; those that
 * are left go on. The file of all chunks has the bytes of a single worker's, whoever answered.
 * kill_answers FOLDER ROUNDS */
#include <dirent.h>
#include <kdistill.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 3, PROMPTS = 60 };

static void pause_for(long nanoseconds)
{
    const struct timespec wait = { nanoseconds / 1000000000, nanoseconds % 1000000000 };
    nanosleep(&wait, NULL);
}

static kd_status answer(void *user, const kd_record *prompt, int32_t sample, uint64_t seed,
                        char *text, int64_t capacity, int64_t *bytes)
{
    (void)user;
    pause_for(300000);
    *bytes = snprintf(text, (size_t)capacity, "%s, number %d, of seed %llu", prompt->prompt, sample,
                      (unsigned long long)seed);
    return KD_OK;
}

static kd_answers_options options_of(void)
{
    kd_answers_options o;
    kd_answers_options_init(&o, sizeof o);
    o.samples = 2;
    o.function = answer;
    o.chunk_prompts = 7;
    o.lease = 0.5;
    return o;
}

static kd_status prompts_of(kd_record_reader **reader, kd_context *ctx)
{
    char lines[PROMPTS * 40], *at = lines;
    for (int i = 0; i < PROMPTS; i++) at += sprintf(at, "{\"prompt\":\"question %d\"}\n", i);
    return kd_record_reader_open_text(reader, ctx, lines, -1, NULL);
}

/* Chunks until there is nothing left to take; *done: answers that are there. */
static int work_on(const char *folder, int64_t *done)
{
    kd_context *ctx;
    kd_record_reader *reader;
    kd_answers_progress p = { .struct_size = sizeof p };
    const kd_answers_options o = options_of();
    if (kd_context_create(&ctx, NULL) || prompts_of(&reader, ctx)) return 3;
    if (kd_answers_collect_chunks(ctx, NULL, reader, folder, &o, &p)) {
        printf("%s\n", kd_last_error());
        return 3;
    }
    *done = p.done;
    kd_record_reader_free(reader);
    kd_context_free(ctx);
    return 0;
}

static void clear(const char *folder)
{
    char path[1200];
    DIR *directory = opendir(folder);
    for (struct dirent *e; directory && (e = readdir(directory));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    if (directory) closedir(directory);
}

static int same_files(const char *a, const char *b)
{
    FILE *x = fopen(a, "rb"), *y = fopen(b, "rb");
    int same = x && y, c = 0;
    while (same && c != EOF) same = (c = fgetc(x)) == fgetc(y);
    if (x) fclose(x);
    if (y) fclose(y);
    return same;
}

static int run_round(kd_context *ctx, const char *folder, const char *whole, const char *joined)
{
    pid_t children[WORKERS];
    int64_t done = 0;
    int status;
    clear(folder);
    for (int i = 0; i < WORKERS; i++)
        if (!(children[i] = fork())) _exit(work_on(folder, &done));
    pause_for(rand() % 30000000);
    kill(children[0], SIGKILL);
    for (int i = 0; i < WORKERS; i++) {
        waitpid(children[i], &status, 0);
        if (i && (!WIFEXITED(status) || WEXITSTATUS(status))) return printf("worker %d failed\n", i);
    }
    for (int tries = 0; done < 2 * PROMPTS; tries++) { /* the dead one's lease ends */
        if (tries == 50) return printf("%lld answers after 50 tries\n", (long long)done);
        if (work_on(folder, &done)) return 1;
        if (done < 2 * PROMPTS) pause_for(200000000);
    }
    if (kd_answers_concat(ctx, folder, joined)) return printf("%s\n", kd_last_error());
    return same_files(whole, joined) ? 0 : printf("the answers are not those of one worker\n");
}

int main(int argc, char **argv)
{
    char folder[600], whole[700], joined[700];
    const int rounds = argc > 2 ? atoi(argv[2]) : 5;
    const unsigned seed = (unsigned)time(NULL);
    const kd_answers_options o = options_of();
    kd_context *ctx;
    kd_record_reader *reader;
    srand(seed);
    snprintf(folder, sizeof folder, "%s/chunks", argc > 1 ? argv[1] : "/tmp");
    snprintf(whole, sizeof whole, "%s.whole.jsonl", folder);
    snprintf(joined, sizeof joined, "%s.joined.jsonl", folder);
    mkdir(folder, 0777);
    unlink(whole);
    if (kd_context_create(&ctx, NULL) || prompts_of(&reader, ctx)) return 2;
    if (kd_answers_collect(ctx, NULL, reader, whole, &o, NULL)) return 2;
    for (int i = 0; i < rounds; i++)
        if (run_round(ctx, folder, whole, joined)) return printf("round %d, seed %u\n", i, seed), 1;
    kd_record_reader_free(reader);
    kd_context_free(ctx);
    printf("three workers, %d times one of them was killed: no answer lost, none doubled\n", rounds);
    return 0;
}
