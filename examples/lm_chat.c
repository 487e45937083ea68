/* A chat with a model in the terminal: lm_chat MODEL [SYSTEM MESSAGE]
 *
 * MODEL is a Hugging Face folder or a GGUF file of the llama, mistral, qwen2 or qwen3 families
 * whose chat template is known. */
#include "check.h"
#include <string.h>

static int32_t show(void *user, int64_t request, int32_t sample, int32_t token, const char *text)
{
    (void)user, (void)request, (void)sample, (void)token;
    fputs(text, stdout);
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    kd_context *ctx;
    kd_model *model;
    kd_tokenizer *tokenizer;
    kd_generator *generator;
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_model_options mo = KD_MODEL_OPTIONS_INIT;
    kd_sampling sampling = KD_SAMPLING_INIT;
    kd_chat_options chat = KD_CHAT_OPTIONS_INIT;
    kd_message messages[64];
    int32_t count = 0;
    char line[4096];
    if (argc < 2) {
        fprintf(stderr, "lm_chat MODEL [SYSTEM MESSAGE]\n");
        return 2;
    }
    CHECK(kd_context_create(&ctx, NULL));
    CHECK(kd_tokenizer_load(&tokenizer, ctx, argv[1]));
    mo.frozen = 1;
    CHECK(kd_model_load(&model, ctx, argv[1], &mo));
    o.tokenizer = tokenizer;
    o.max_sequences = 1;
    o.cache_tokens = 2048;
    o.weights = KD_INT8;
    CHECK(kd_generator_create(&generator, model, &o));
    sampling.temperature = 0.7;
    sampling.top_p = 0.9;
    sampling.max_tokens = 400;
    sampling.token = show;
    chat.generation_prompt = 1;
    if (argc > 2) messages[count++] = (kd_message)KD_MESSAGE("system", argv[2]);
    while (count < 62 && printf("> ") && fflush(stdout) == 0 && fgets(line, sizeof line, stdin)) {
        kd_generated text = { .struct_size = sizeof text };
        static int32_t ids[2048];
        int64_t n;
        line[strcspn(line, "\n")] = 0;
        messages[count++] = (kd_message)KD_MESSAGE("user", strdup(line));
        CHECK(kd_chat_encode(tokenizer, messages, count, &chat, ids, NULL, 2048, &n));
        /* what was said before is in the cache still */
        CHECK(kd_generator_add(generator, ids, n, &sampling, NULL));
        CHECK(kd_generator_next(generator, &text));
        printf("\n");
        messages[count++] = (kd_message)KD_MESSAGE("assistant", strdup(text.text));
        sampling.seed++;
    }
    kd_generator_free(generator);
    kd_model_free(model);
    kd_tokenizer_free(tokenizer);
    kd_context_free(ctx);
    return 0;
}
