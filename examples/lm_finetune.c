/* A language model trained further on a text file, and saved: lm_finetune MODEL TEXT OUT [STEPS
 * [RANK]]
 *
 * MODEL is a Hugging Face folder (or a GGUF file), OUT the new folder, which transformers loads.
 * With RANK low-rank adapters are trained instead of all parameters, and merged into OUT. */
#include "check.h"
#include <math.h>
#include <string.h>

enum { LENGTH = 256, TOGETHER = 4 };

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    *size = fread(bytes, 1, *size, file);
    fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    kd_context *ctx;
    kd_model *model;
    kd_tokenizer *tokenizer;
    kd_batch *batch;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_schedule *cosine, *warm;
    kd_model_options mo = KD_MODEL_OPTIONS_INIT;
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    kd_optimizer_options oo = KD_OPTIMIZER_OPTIONS_INIT;
    kd_loss_result result = { .struct_size = sizeof result };
    if (argc < 4) {
        fprintf(stderr, "lm_finetune MODEL TEXT OUT [STEPS [RANK]]\n");
        return 2;
    }
    const int64_t steps = argc > 4 ? atoll(argv[4]) : 100;
    const int rank = argc > 5 ? atoi(argv[5]) : 0;

    CHECK(kd_context_create(&ctx, NULL));
    CHECK(kd_tokenizer_load(&tokenizer, ctx, argv[1]));
    mo.recompute = 1; /* a layer's values at a time: less memory for a little time */
    CHECK(kd_model_load(&model, ctx, argv[1], &mo));
    if (rank > 0) {
        kd_lora_options lo = KD_LORA_OPTIONS_INIT;
        lo.rank = rank;
        lo.alpha = 2 * rank;
        CHECK(kd_model_add_lora(model, NULL, &lo));
    }

    size_t size;
    int64_t count;
    char *text = read_file(argv[2], &size);
    CHECK(kd_tokenizer_encode(tokenizer, text, (int64_t)size, 0, NULL, 0, &count));
    int32_t *ids = malloc((size_t)count * sizeof *ids);
    CHECK(kd_tokenizer_encode(tokenizer, text, (int64_t)size, 0, ids, count, &count));
    free(text);
    const int64_t windows = count / LENGTH;
    if (windows < TOGETHER) {
        fprintf(stderr, "the text is too short: %lld tokens\n", (long long)count);
        return 1;
    }

    term.label_field = "tokens";
    term.align = KD_ALIGN_NEXT;
    oo.weight_decay = 0.01;
    oo.clip_norm = 1;
    const double rate = rank > 0 ? 1e-3 : 1e-4;
    CHECK(kd_loss_create(&loss, ctx, NULL));
    CHECK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &term, NULL));
    CHECK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, &oo));
    CHECK(kd_optimizer_add_model(optimizer, model));
    CHECK(kd_schedule_create_cosine(&cosine, ctx, rate, rate / 10, steps));
    CHECK(kd_schedule_create_linear(&warm, ctx, 0.05, 1, steps / 20 + 1));
    CHECK(kd_batch_create(&batch, ctx, NULL));
    for (int64_t step = 0; step < steps; step++) {
        int64_t offsets[TOGETHER + 1] = { 0 };
        static int64_t tokens[TOGETHER * LENGTH];
        kd_array o = KD_ARRAY_1D(offsets, KD_INT64, TOGETHER + 1),
                 t = KD_ARRAY_1D(tokens, KD_INT64, TOGETHER * LENGTH);
        for (int64_t i = 0; i < TOGETHER; i++) {
            /* a prime: every window in its turn */
            const int64_t window = (step * TOGETHER + i) * 7919 % windows;
            offsets[i + 1] = (i + 1) * LENGTH;
            for (int64_t j = 0; j < LENGTH; j++) tokens[i * LENGTH + j] = ids[window * LENGTH + j];
        }
        CHECK(kd_batch_begin_packed(batch, &o));
        CHECK(kd_batch_set(batch, "tokens", &t, NULL));
        CHECK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        CHECK(kd_loss_backward(loss, model, batch, NULL, NULL, &result));
        CHECK(kd_optimizer_step(optimizer,
                                kd_schedule_value(cosine, step) * kd_schedule_value(warm, step)));
        if (step % (steps / 10 + 1) == 0 || step == steps - 1)
            printf("step %lld: perplexity %.3f\n", (long long)step, exp(result.value));
    }
    CHECK(kd_model_save(model, argv[3], NULL));
    printf("saved in %s\n", argv[3]);

    kd_batch_free(batch);
    kd_schedule_free(warm);
    kd_schedule_free(cosine);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_model_free(model);
    kd_tokenizer_free(tokenizer);
    kd_context_free(ctx);
    free(ids);
    return 0;
}
