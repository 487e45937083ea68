/* A language model distilled into one of fewer layers, through a store, beside the same student
 * trained on the text alone:
 *
 *   lm_distil TEACHER LAYERS STEPS TEXT ...      TEACHER: a Hugging Face folder or a GGUF file
 *   lm_distil train LAYERS STEPS TEXT ...   the teacher is trained here, on the bytes of the texts
 *
 * TEXT is a file, or stories:N: so many short stories that the teacher writes itself. The teacher
 * reads the text once; its last hidden states (8 bits a number) and its head go into a store, from
 * which the loss makes whole distributions at any temperature. The student begins as a part of the
 * teacher. A tenth of the text's pieces, drawn once, is kept for the table. */
#include "../check.h"
#include <math.h>
#include <string.h>
#include <time.h>

enum { LENGTH = 256, TOGETHER = 8 };

typedef struct {
    /* sequences of LENGTH tokens, the last `held` of them for the table */
    int64_t *tokens, count, held, vocabulary;
} text;

typedef struct {
    double perplexity, agreement, speed, bytes, parameters;
} row;

static kd_context *ctx;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void append(text *t, const int32_t *ids, const char *bytes, int64_t count)
{
    t->tokens = realloc(t->tokens, (size_t)(t->count + count + 1) * sizeof *t->tokens);
    for (int64_t i = 0; i < count; i++)
        t->tokens[t->count++] = ids ? ids[i] : (unsigned char)bytes[i];
}

/* With a tokenizer its ids, without one the bytes. */
static void append_file(text *t, kd_tokenizer *tokenizer, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    const size_t size = (size_t)ftell(file);
    char *bytes = malloc(size + 1);
    int64_t n;
    rewind(file);
    if (fread(bytes, 1, size, file) != size) exit(1);
    fclose(file);
    if (tokenizer) {
        CHECK(kd_tokenizer_encode(tokenizer, bytes, (int64_t)size, 0, NULL, 0, &n));
        int32_t *ids = malloc((size_t)(n + 1) * sizeof *ids);
        CHECK(kd_tokenizer_encode(tokenizer, bytes, (int64_t)size, 0, ids, n, &n));
        append(t, ids, NULL, n);
        free(ids);
    } else append(t, NULL, bytes, (int64_t)size);
    free(bytes);
}

/* The ids that ask for story number i: a chat where the model has one, else a beginning. */
static int64_t ask(kd_tokenizer *tokenizer, int64_t i, int32_t ids[256])
{
    static const char *const who[] = { "boy",  "girl",  "cat",  "dog",  "bird",       "rabbit",
                                       "bear", "mouse", "fish", "frog", "grandmother" },
                             *const what[] = { "red ball",   "lost key",  "tall tree",
                                               "small boat", "rainy day", "birthday cake",
                                               "new friend", "big box",   "warm coat",
                                               "garden",     "song",      "bridge",
                                               "toy train" };
    kd_chat_options o = KD_CHAT_OPTIONS_INIT;
    char line[200];
    int64_t n;
    snprintf(line, sizeof line, "Write a short story for small children about a %s and a %s.",
             who[i % 11], what[i % 13]);
    kd_message message = KD_MESSAGE("user", line);
    o.generation_prompt = 1;
    if (kd_chat_encode(tokenizer, &message, 1, &o, ids, NULL, 256, &n) == KD_OK) return n;
    snprintf(line, sizeof line, "Once upon a time there was a %s that had a %s.", who[i % 11],
             what[i % 13]);
    CHECK(kd_tokenizer_encode(tokenizer, line, (int64_t)strlen(line), KD_TOKENIZER_ADD_SPECIAL, ids,
                              256, &n));
    return n;
}

/* Stories with what asked for them, many at once. */
static void append_stories(text *t, kd_model *model, kd_tokenizer *tokenizer, int64_t count)
{
    kd_generator *g;
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated story = { .struct_size = sizeof story };
    int32_t ids[256];
    if (!tokenizer) {
        fprintf(stderr, "stories: a teacher that is trained here on bytes has no tokenizer\n");
        exit(1);
    }
    o.tokenizer = tokenizer;
    o.weights = KD_INT8;
    o.cache = KD_FLOAT16;
    CHECK(kd_generator_create(&g, model, &o));
    s.max_tokens = 300;
    for (int64_t i = 0; i < count; i++) {
        s.seed = (uint64_t)i;
        CHECK(kd_generator_add(g, ids, ask(tokenizer, i, ids), &s, NULL));
    }
    while (kd_generator_next(g, &story) == KD_OK) {
        append(t, ids, NULL, ask(tokenizer, story.request, ids));
        append(t, story.ids, NULL, story.count);
    }
    kd_generator_free(g);
}

/* Pieces in a drawn order, so that those held back are of every kind. */
static void shuffle(text *t)
{
    uint64_t state = 1;
    int64_t kept[LENGTH];
    for (int64_t i = t->count - 1; i > 0; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        int64_t *a = t->tokens + i * LENGTH,
                *b = t->tokens + (int64_t)(state >> 33) % (i + 1) * LENGTH;
        memcpy(kept, a, sizeof kept);
        memmove(a, b, sizeof kept);
        memcpy(b, kept, sizeof kept);
    }
}

static text make_text(kd_model *teacher, kd_tokenizer *tokenizer, int64_t vocabulary,
                      char **sources, int count)
{
    text t = { .vocabulary = vocabulary };
    for (int i = 0; i < count; i++)
        if (!strncmp(sources[i], "stories:", 8))
            append_stories(&t, teacher, tokenizer, atoll(sources[i] + 8));
        else append_file(&t, tokenizer, sources[i]);
    t.count /= LENGTH;
    if (t.count < 2 * TOGETHER) {
        fprintf(stderr, "the text is too short: %lld pieces of %d tokens\n", (long long)t.count,
                LENGTH);
        exit(1);
    }
    shuffle(&t);
    t.held = t.count / 10 > 40 ? 40 : t.count / 10 + 1;
    return t;
}

/* Sequences first, first + step, ... as one packed batch; a sequence's number is its key. */
static void fill(kd_batch *batch, const text *t, int64_t first, int64_t step, int64_t count)
{
    static int64_t offsets[TOGETHER + 1], tokens[TOGETHER * LENGTH];
    static uint64_t keys[TOGETHER][2];
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, count + 1),
             v = KD_ARRAY_1D(tokens, KD_INT64, count * LENGTH),
             k = KD_ARRAY_2D(keys, KD_UINT64, count, 2);
    for (int64_t i = 0; i < count; i++) {
        const int64_t sequence = first + i * step;
        offsets[i + 1] = (i + 1) * LENGTH;
        keys[i][0] = (uint64_t)sequence + 1;
        memcpy(tokens + i * LENGTH, t->tokens + sequence * LENGTH, LENGTH * sizeof *tokens);
    }
    CHECK(kd_batch_begin_packed(batch, &o));
    CHECK(kd_batch_set(batch, "tokens", &v, NULL));
    CHECK(kd_batch_set_samples(batch, NULL, &k, NULL));
}

/* STEPS of hard tokens, mixed with a teacher's distribution where there is one: its share .9, its
 * temperature falling from 1.5 to 1. */
static void train(kd_model *model, kd_teacher *teacher, const text *t, int64_t steps, double rate)
{
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_schedule *temperature, *cosine, *warm;
    kd_batch *batch;
    kd_targets *targets;
    kd_term_options hard = KD_TERM_OPTIONS_INIT, soft = KD_TERM_OPTIONS_INIT;
    kd_loss_result result = { .struct_size = sizeof result };
    const int64_t usable = (t->count - t->held) / TOGETHER;
    hard.label_field = "tokens";
    hard.align = KD_ALIGN_NEXT;
    CHECK(kd_loss_create(&loss, ctx, NULL));
    CHECK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, teacher ? 0.1 : 1, &hard, NULL));
    if (teacher) CHECK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 0.9, &soft, NULL));
    kd_optimizer_options oo = KD_OPTIMIZER_OPTIONS_INIT;
    oo.weight_decay = 0.01;
    oo.clip_norm = 1;
    CHECK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, &oo));
    CHECK(kd_optimizer_add_model(optimizer, model));
    CHECK(kd_schedule_create_linear(&temperature, ctx, 1.5, 1, steps));
    CHECK(kd_schedule_create_cosine(&cosine, ctx, rate, rate / 10, steps));
    CHECK(kd_schedule_create_linear(&warm, ctx, 0.02, 1, steps / 20 + 1));
    CHECK(kd_batch_create(&batch, ctx, NULL));
    CHECK(kd_targets_create(&targets, ctx, NULL));
    for (int64_t step = 0; step < steps; step++) {
        fill(batch, t, step * 7 % usable, usable, TOGETHER); /* sequences far from each other */
        if (teacher)
            CHECK(kd_loss_set(loss, 1, KD_TERM_TEMPERATURE, kd_schedule_value(temperature, step)));
        if (teacher) CHECK(kd_teacher_read(teacher, batch, targets));
        CHECK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        CHECK(kd_loss_backward(loss, model, batch, teacher ? targets : NULL, NULL, &result));
        CHECK(kd_optimizer_step(optimizer,
                                kd_schedule_value(cosine, step) * kd_schedule_value(warm, step)));
        if (step % (steps / 5 + 1) == 0)
            fprintf(stderr, "  step %lld: loss %.3f\n", (long long)step, result.value);
    }
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_schedule_free(warm);
    kd_schedule_free(cosine);
    kd_schedule_free(temperature);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
}

/* The matrix that turns hidden states into logits: the embedding, where the two are tied. */
static kd_array head_of(kd_model *model)
{
    int32_t count;
    const char *name;
    kd_array values;
    CHECK(kd_model_tensor_count(model, &count));
    CHECK(kd_model_tensor(model, count - 1, &name, &values));
    if (strcmp(name, "lm_head.weight")) CHECK(kd_model_tensor(model, 0, &name, &values));
    return values;
}

/* The teacher's answers about every training sequence. */
static void write_store(const char *path, kd_model *model, const text *t)
{
    kd_store_writer *writer;
    kd_teacher *teacher;
    kd_batch *batch;
    kd_targets *targets;
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field field = KD_STORE_FIELD_INIT;
    kd_array head = head_of(model);
    CHECK(kd_batch_create(&batch, ctx, NULL));
    CHECK(kd_targets_create(&targets, ctx, NULL));
    CHECK(kd_teacher_from_model(&teacher, model, NULL));
    o.vocabulary = t->vocabulary;
    o.align = KD_ALIGN_NEXT;
    field.kind = KD_STORE_HIDDEN;
    field.name = field.source = "hidden";
    field.width = (int32_t)head.dims[1];
    remove(path);
    CHECK(kd_store_writer_create(&writer, ctx, path, &o, &field, 1));
    CHECK(kd_store_writer_set_head(writer, &head, KD_BFLOAT16));
    for (int64_t i = 0; i < t->count - t->held; i++) {
        fill(batch, t, i, 1, 1);
        CHECK(kd_teacher_read(teacher, batch, targets));
        CHECK(kd_store_writer_add(writer, batch, targets));
    }
    CHECK(kd_store_writer_close(writer));
    kd_store_writer_free(writer);
    kd_teacher_free(teacher);
    kd_targets_free(targets);
    kd_batch_free(batch);
}

/* Perplexity on the text held back; agreement with the teacher's most probable tokens (`said`,
 * written by the first call). */
static row measure(kd_model *model, const text *t, int32_t *said, int first)
{
    kd_loss *loss;
    kd_batch *batch;
    kd_term_options hard = KD_TERM_OPTIONS_INIT;
    kd_loss_result result = { .struct_size = sizeof result };
    kd_array z, p;
    double sum = 0, agreed = 0, seconds = 0;
    hard.label_field = "tokens";
    hard.align = KD_ALIGN_NEXT;
    CHECK(kd_loss_create(&loss, ctx, NULL));
    CHECK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &hard, NULL));
    CHECK(kd_batch_create(&batch, ctx, NULL));
    for (int64_t i = 0; i < t->held; i++) {
        fill(batch, t, t->count - t->held + i, 1, 1);
        const double begin = now();
        CHECK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
        CHECK(kd_model_output(model, "logits", &z));
        seconds += now() - begin;
        CHECK(kd_loss_forward(loss, model, batch, NULL, NULL, &result));
        sum += result.value;
        for (int64_t r = 0; r < LENGTH; r++) {
            const float *row_of = (const float *)z.data + r * z.dims[1];
            int32_t best = 0;
            for (int32_t v = 1; v < z.dims[1]; v++) best = row_of[v] > row_of[best] ? v : best;
            if (first) said[i * LENGTH + r] = best;
            agreed += best == said[i * LENGTH + r];
        }
    }
    CHECK(kd_model_parameters(model, &p));
    kd_batch_free(batch);
    kd_loss_free(loss);
    return (row){ exp(sum / (double)t->held), agreed / (double)(t->held * LENGTH),
                  (double)(t->held * LENGTH) / seconds, 4.0 * (double)p.dims[0],
                  (double)p.dims[0] };
}

static void print_row(const char *name, row r)
{
    printf("%-26s %10.3f %9.1f%% %12.0f %9.1f MB %12.0f\n", name, r.perplexity, 100 * r.agreement,
           r.parameters, r.bytes / 1e6, r.speed);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "lm_distil TEACHER|train LAYERS STEPS TEXT ...\n");
        return 2;
    }
    const int trained_here = !strcmp(argv[1], "train");
    const int64_t steps = atoll(argv[3]);
    const char *store = getenv("KD_STORE") ? getenv("KD_STORE") : "lm_distil.kdt", *json;
    kd_model *teacher, *soft, *hard;
    kd_tokenizer *tokenizer = NULL;
    kd_teacher *says;
    kd_array embedding;
    kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
    kd_context_info info = { .struct_size = sizeof info };
    /* mixed precision where this processor gains by it */
    co.matmul_precision = KD_PRECISION_MEASURED;
    CHECK(kd_context_create(&ctx, &co));
    CHECK(kd_context_get_info(ctx, &info));
    printf("products of %s\n",
           info.matmul_precision == KD_PRECISION_BFLOAT16 ? "bfloat16" : "float32");
    if (trained_here) {
        CHECK(kd_student_preset("llama-1m", &json));
        CHECK(kd_model_create(&teacher, ctx, json, NULL));
        CHECK(kd_model_resize_vocabulary(teacher, 256));
    } else {
        CHECK(kd_tokenizer_load(&tokenizer, ctx, argv[1]));
        CHECK(kd_model_load(&teacher, ctx, argv[1], NULL));
    }
    CHECK(kd_model_tensor(teacher, 0, NULL, &embedding));
    text t = make_text(teacher, tokenizer, embedding.dims[0], argv + 4, argc - 4);
    printf("text: %lld sequences of %d tokens, %lld of them held back\n", (long long)t.count,
           LENGTH, (long long)t.held);
    if (trained_here) {
        fprintf(stderr, "training the teacher\n");
        train(teacher, NULL, &t, 2 * steps, 3e-3);
    }
    fprintf(stderr, "writing the store\n");
    write_store(store, teacher, &t);
    kd_student_options so = KD_STUDENT_OPTIONS_INIT;
    so.layers = atoi(argv[2]);
    CHECK(kd_student_create(&soft, teacher, &so));
    CHECK(kd_student_create(&hard, teacher, &so));
    int32_t *said = malloc((size_t)(t.held * LENGTH) * sizeof *said);
    const row of_teacher = measure(teacher, &t, said, 1), before = measure(soft, &t, said, 0);
    CHECK(kd_teacher_open(&says, ctx, store, NULL));
    fprintf(stderr, "training the student from the store\n");
    train(soft, says, &t, steps, trained_here ? 2e-3 : 3e-4);
    fprintf(stderr, "training the same student on the text alone\n");
    train(hard, NULL, &t, steps, trained_here ? 2e-3 : 3e-4);
    printf("%-26s %10s %10s %12s %12s %12s\n", "", "perplexity", "agreement", "parameters",
           "float32", "tokens/s");
    print_row("teacher", of_teacher);
    print_row("student as it was cut out", before);
    print_row("student, distilled", measure(soft, &t, said, 0));
    print_row("student, hard tokens only", measure(hard, &t, said, 0));
    kd_teacher_free(says);
    kd_model_free(hard);
    kd_model_free(soft);
    kd_model_free(teacher);
    kd_tokenizer_free(tokenizer);
    kd_context_free(ctx);
    free(said);
    free(t.tokens);
    return 0;
}
