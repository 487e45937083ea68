/* GSM8K's rationales, token by token: what a teacher's distributions are worth on text that people
 * wrote. */
#include "course.h"
#include <sys/stat.h>

enum { POSITIONS = 2560, STUDENTS = 5 };

static const struct {
    const char *name, *label;
    course_shape shape;
    int soft, layers;
} who[STUDENTS] = {
    { "teacher", "teacher", { 4, 96, 256, 4 }, 0, 0 },
    { "hard", "student: hard tokens", { 2, 64, 176, 4 }, 0, 0 },
    { "soft", "student: + distributions", { 2, 64, 176, 4 }, 1, 0 },
    { "layers-hard", "2 of the teacher's layers: hard tokens", { 2, 96, 256, 4 }, 0, 2 },
    { "layers-soft", "2 of the teacher's layers: + distributions", { 2, 96, 256, 4 }, 1, 2 }
};

/* The first `most` records of a file. */
static void copy_records(kd_context *ctx, const char *from, const char *to, int64_t most)
{
    kd_record_reader *reader;
    kd_record_writer *writer;
    kd_record r = KD_RECORD_INIT;
    CHECK(kd_record_reader_open(&reader, ctx, &from, 1, NULL));
    CHECK(kd_record_writer_open(&writer, ctx, to, NULL));
    for (int64_t i = 0; i < most && kd_record_reader_next(reader, &r) == KD_OK; i++)
        CHECK(kd_record_writer_add(writer, &r));
    CHECK(kd_record_writer_close(writer));
    kd_record_writer_free(writer);
    kd_record_reader_free(reader);
}

static void one_seed(kd_context *ctx, kd_tokenizer *tokenizer, const char *folder, int seed,
                     int64_t steps, course_fit fits[STUDENTS])
{
    char train[600], held[600], store[600], place[600];
    const char *files[] = { train };
    kd_model *teacher = NULL;
    snprintf(train, sizeof train, "%s", course_path(folder, "train.jsonl"));
    snprintf(held, sizeof held, "%s", course_path(folder, "held-out.jsonl"));
    snprintf(store, sizeof store, "%s", course_path(folder, "teacher-%d.kdt", seed));
    for (int i = 0; i < STUDENTS; i++) {
        course_curve curve;
        kd_model *model;
        kd_student_options so = KD_STUDENT_OPTIONS_INIT;
        course_training t = { .steps = steps,
                              .batch_tokens = 3072,
                              .seed = (uint64_t)seed,
                              .store = who[i].soft ? store : NULL };
        snprintf(place, sizeof place, "%s", course_path(folder, "%s-%d", who[i].name, seed));
        so.layers = who[i].layers;
        if (who[i].layers) CHECK(kd_student_create(&model, teacher, &so));
        else
            model = course_model(ctx, tokenizer, who[i].shape, POSITIONS, (uint64_t)seed * 100 + 7);
        fprintf(stderr, "rationales, seed %d: %s\n", seed, who[i].label);
        model = course_student(ctx, tokenizer, model, files, 1, &t, place, &curve);
        if (!i) teacher = model;
        if (!i) course_store(ctx, tokenizer, teacher, files, 1, store);
        fits[i] = course_measure(ctx, tokenizer, model, teacher, held, INT64_MAX);
        fprintf(stderr, "  %.4f nats a byte\n", fits[i].loss);
        if (i) kd_model_free(model);
    }
    kd_model_free(teacher);
}

void course_rationales(kd_context *ctx, kd_report *report, const char *folder, const char *data,
                       int texts, int seeds, int64_t steps)
{
    char inner[600], from[600], line[240];
    course_fit fits[MOST_SEEDS][STUDENTS];
    double mean[STUDENTS];
    kd_tokenizer *tokenizer;
    const char *table = "held-out loss on GSM8K's rationales";
    snprintf(inner, sizeof inner, "%s", course_path(folder, "rationales"));
    mkdir(inner, 0777);
    course_byte_tokenizer(course_path(inner, "tokenizer.json"));
    CHECK(kd_tokenizer_load(&tokenizer, ctx, inner));
    snprintf(from, sizeof from, "%s/gsm8k/train.jsonl", data);
    copy_records(ctx, from, course_path(inner, "train.jsonl"), texts);
    snprintf(from, sizeof from, "%s/gsm8k/test.jsonl", data);
    copy_records(ctx, from, course_path(inner, "held-out.jsonl"), texts / 5);
    for (int s = 0; s < seeds; s++) one_seed(ctx, tokenizer, inner, s + 1, steps, fits[s]);
    for (int i = 0; i < STUDENTS; i++) {
        double loss[MOST_SEEDS], of_seeds, of_texts = 0, agreement = 0;
        for (int s = 0; s < seeds; s++) {
            loss[s] = fits[s][i].loss;
            /* the same texts for all seeds */
            of_texts += fits[s][i].error * fits[s][i].error / seeds;
            agreement += fits[s][i].agreement / seeds;
        }
        CHECK(kd_metrics_mean(loss, seeds, &mean[i], &of_seeds));
        if (seeds == 1) of_seeds = 0;
        CHECK(kd_report_set_cell(report, table, who[i].label, "nats a byte", mean[i],
                                 sqrt(of_texts + of_seeds * of_seeds)));
        CHECK(
            kd_report_set_cell(report, table, who[i].label, "bits a byte", mean[i] / log(2), NAN));
        CHECK(kd_report_set_cell(report, table, who[i].label, "agreement", agreement, NAN));
        CHECK(kd_report_set_cell(report, table, who[i].label, "less than hard tokens",
                                 who[i].soft ? mean[i - 1] - mean[i] : NAN, NAN));
    }
    snprintf(line, sizeof line,
             "%d training texts, %lld steps, loss on the answers of %lld texts, %lld bytes, errors "
             "over %s",
             texts, (long long)steps, (long long)fits[0][0].texts, (long long)fits[0][0].tokens,
             seeds > 1 ? "seeds and texts" : "texts only, one training run");
    CHECK(kd_report_set_text(report, "rationales", line));
    kd_tokenizer_free(tokenizer);
}
