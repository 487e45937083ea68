/* A student where resources are short: run_student FOLDER PROMPT [TOKENS]
 *
 * Needs only what the inference-only library has. One thread; prints the answer, its speed, and the
 * process's memory at its highest. */
#include "check.h"
#include <string.h>
#include <time.h>

/* A number of /proc/self/status in kB. */
static long status_kb(const char *name)
{
    char line[256];
    long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name))) value = atol(line + strlen(name));
    if (file) fclose(file);
    return value;
}

int main(int argc, char **argv)
{
    kd_context *ctx;
    kd_tokenizer *tokenizer;
    kd_model *model;
    kd_generator *generator;
    kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
    kd_model_options mo = KD_MODEL_OPTIONS_INIT;
    kd_generator_options go = KD_GENERATOR_OPTIONS_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    int32_t ids[256];
    int64_t count, request;
    struct timespec a, b;
    if (argc < 3) return fprintf(stderr, "run_student FOLDER PROMPT [TOKENS]\n"), 2;
    co.threads = 1;
    mo.frozen = 1;
    CHECK(kd_context_create(&ctx, &co));
    CHECK(kd_tokenizer_load(&tokenizer, ctx, argv[1]));
    CHECK(kd_model_load(&model, ctx, argv[1], &mo));
    go.tokenizer = tokenizer;
    go.max_sequences = 1;
    CHECK(kd_generator_create(&generator, model, &go));
    CHECK(kd_tokenizer_encode(tokenizer, argv[2], -1, KD_TOKENIZER_ADD_SPECIAL, ids, 256, &count));
    s.temperature = 0;
    s.max_tokens = argc > 3 ? atoi(argv[3]) : 96;
    clock_gettime(CLOCK_MONOTONIC, &a);
    CHECK(kd_generator_add(generator, ids, count, &s, &request));
    CHECK(kd_generator_next(generator, &text));
    clock_gettime(CLOCK_MONOTONIC, &b);
    const double seconds = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    printf("%s%s\n%lld tokens, %.0f tokens/s on one core; memory: resident at most %ld kB, mapped "
           "at most %ld kB\n",
           argv[2], text.text, (long long)text.count, (double)text.count / seconds,
           status_kb("VmHWM:"), status_kb("VmPeak:"));
    kd_generator_free(generator);
    kd_model_free(model);
    kd_tokenizer_free(tokenizer);
    kd_context_free(ctx);
    return 0;
}
