/* A language model distilled into one of fewer layers, through a store, beside the same student trained on the text alone:
 *
 *   lm_distil TEACHER LAYERS STEPS TEXT ...      TEACHER: a Hugging Face folder or a GGUF file
 *   lm_distil train LAYERS STEPS TEXT ...        the teacher is trained here, on the bytes of the texts
 *
 * The teacher reads the text once; its last hidden states (8 bits a number) and its head go into a store, from which the loss makes whole
 * distributions at any temperature. The student begins as a part of the teacher. The last tenth of the text is kept for the table. */
#include "check.h"
#include <math.h>
#include <string.h>
#include <time.h>

enum { LENGTH = 256, TOGETHER = 8 };

typedef struct {
    int64_t *tokens, count, held, vocabulary; /* sequences of LENGTH tokens, the last `held` of them for the table */
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

static char *read_files(char **paths, int count, size_t *size)
{
    char *all = NULL;
    *size = 0;
    for (int i = 0; i < count; i++) {
        FILE *file = fopen(paths[i], "rb");
        if (!file) continue;
        fseek(file, 0, SEEK_END);
        const size_t more = (size_t)ftell(file);
        rewind(file);
        all = realloc(all, *size + more + 1);
        *size += fread(all + *size, 1, more, file);
        fclose(file);
    }
    return all;
}

/* With a tokenizer its ids, without one the bytes. */
static text make_text(kd_tokenizer *tokenizer, int64_t vocabulary, char **paths, int count)
{
    size_t size;
    char *all = read_files(paths, count, &size);
    int64_t n = (int64_t)size;
    int32_t *ids = NULL;
    if (tokenizer) {
        CHECK(kd_tokenizer_encode(tokenizer, all, (int64_t)size, 0, NULL, 0, &n));
        ids = malloc((size_t)n * sizeof *ids);
        CHECK(kd_tokenizer_encode(tokenizer, all, (int64_t)size, 0, ids, n, &n));
    }
    text t = { .count = n / LENGTH, .vocabulary = vocabulary };
    if (t.count < 2 * TOGETHER) {
        fprintf(stderr, "the text is too short: %lld tokens\n", (long long)n);
        exit(1);
    }
    t.held = t.count / 10 > 40 ? 40 : t.count / 10 + 1;
    t.tokens = malloc((size_t)(t.count * LENGTH) * sizeof *t.tokens);
    for (int64_t i = 0; i < t.count * LENGTH; i++) t.tokens[i] = ids ? ids[i] : (unsigned char)all[i];
    free(ids);
    free(all);
    return t;
}

/* Sequences first, first + step, ... as one packed batch; a sequence's number is its key. */
static void fill(kd_batch *batch, const text *t, int64_t first, int64_t step, int64_t count)
{
    static int64_t offsets[TOGETHER + 1], tokens[TOGETHER * LENGTH];
    static uint64_t keys[TOGETHER][2];
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, count + 1), v = KD_ARRAY_1D(tokens, KD_INT64, count * LENGTH),
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

/* STEPS of hard tokens, mixed with a teacher's distribution where there is one: its share .9, its temperature falling from 1.5 to 1. */
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
    CHECK(kd_optimizer_create(&optimizer, ctx, KD_ADAMW, &oo));
    CHECK(kd_optimizer_add_model(optimizer, model));
    CHECK(kd_schedule_linear(&temperature, ctx, 1.5, 1, steps));
    CHECK(kd_schedule_cosine(&cosine, ctx, rate, rate / 10, steps));
    CHECK(kd_schedule_linear(&warm, ctx, 0.02, 1, steps / 20 + 1));
    CHECK(kd_batch_create(&batch, ctx, NULL));
    CHECK(kd_targets_create(&targets, ctx, NULL));
    for (int64_t step = 0; step < steps; step++) {
        fill(batch, t, step * 7 % usable, usable, TOGETHER); /* sequences far from each other */
        if (teacher) CHECK(kd_loss_set(loss, 1, KD_TEMPERATURE, kd_schedule_value(temperature, step)));
        if (teacher) CHECK(kd_teacher_read(teacher, batch, targets));
        CHECK(kd_model_forward(model, batch, KD_TRAIN));
        CHECK(kd_loss_backward(loss, model, batch, teacher ? targets : NULL, NULL, &result));
        CHECK(kd_optimizer_step(optimizer, kd_schedule_value(cosine, step) * kd_schedule_value(warm, step)));
        if (step % (steps / 5 + 1) == 0) fprintf(stderr, "  step %lld: loss %.3f\n", (long long)step, result.value);
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
    CHECK(kd_model_tensors(model, &count));
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
    CHECK(kd_store_writer_head(writer, &head, KD_BFLOAT16));
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

/* Perplexity on the text held back; agreement with the teacher's most probable tokens (`said`, written by the first call). */
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
        CHECK(kd_model_forward(model, batch, KD_EVALUATE));
        CHECK(kd_model_output(model, "logits", &z));
        seconds += now() - begin;
        CHECK(kd_loss_value(loss, model, batch, NULL, NULL, &result));
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
    return (row){ exp(sum / (double)t->held), agreed / (double)(t->held * LENGTH), (double)(t->held * LENGTH) / seconds, 4.0 * (double)p.dims[0],
                  (double)p.dims[0] };
}

static void print_row(const char *name, row r)
{
    printf("%-26s %10.3f %9.1f%% %12.0f %9.1f MB %12.0f\n", name, r.perplexity, 100 * r.agreement, r.parameters, r.bytes / 1e6, r.speed);
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
    CHECK(kd_context_create(&ctx, NULL));
    if (trained_here) {
        CHECK(kd_ready_config("llama-1m", &json));
        CHECK(kd_model_create(&teacher, ctx, json, NULL));
        CHECK(kd_model_resize(teacher, 256));
    } else {
        CHECK(kd_tokenizer_load(&tokenizer, ctx, argv[1]));
        CHECK(kd_model_load(&teacher, ctx, argv[1], NULL));
    }
    CHECK(kd_model_tensor(teacher, 0, NULL, &embedding));
    text t = make_text(tokenizer, embedding.dims[0], argv + 4, argc - 4);
    printf("text: %lld sequences of %d tokens, %lld of them held back\n", (long long)t.count, LENGTH, (long long)t.held);
    if (trained_here) {
        fprintf(stderr, "training the teacher\n");
        train(teacher, NULL, &t, 2 * steps, 3e-3);
    }
    fprintf(stderr, "writing the store\n");
    write_store(store, teacher, &t);
    kd_student_options so = KD_STUDENT_OPTIONS_INIT;
    so.layers = atoi(argv[2]);
    CHECK(kd_model_student(&soft, teacher, &so));
    CHECK(kd_model_student(&hard, teacher, &so));
    int32_t *said = malloc((size_t)(t.held * LENGTH) * sizeof *said);
    const row of_teacher = measure(teacher, &t, said, 1), before = measure(soft, &t, said, 0);
    CHECK(kd_teacher_open(&says, ctx, store, NULL));
    fprintf(stderr, "training the student from the store\n");
    train(soft, says, &t, steps, trained_here ? 2e-3 : 3e-4);
    fprintf(stderr, "training the same student on the text alone\n");
    train(hard, NULL, &t, steps, trained_here ? 2e-3 : 3e-4);
    printf("%-26s %10s %10s %12s %12s %12s\n", "", "perplexity", "agreement", "parameters", "float32", "tokens/s");
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
