/* An outside teacher: a server's answers with logprobs, as JSON lines, into a student of a Hugging
 * Face folder.
 *
 *   server_answers ANSWERS STUDENT OUT [STEPS]
 *
 * The lines are read twice: as records, which a curation verifies; and into a store, whose top-k
 * log-probabilities the loss reads beside the hard tokens. */
#include "../check.h"
#include <string.h>

static kd_context *ctx;
static kd_tokenizer *tokenizer;

/* The vocabulary as { "token": id }, which the store's importer wants. */
static void write_table(const char *path)
{
    int64_t size;
    FILE *file = fopen(path, "wb");
    if (!file) perror(path), exit(1);
    CHECK(kd_tokenizer_vocabulary_size(tokenizer, &size));
    for (int32_t id = 0; id < size; id++) {
        const char *token;
        if (kd_tokenizer_token(tokenizer, id, &token, NULL) != KD_OK) continue;
        fprintf(file, "%s\"", id ? "," : "{");
        for (; *token; token++)
            fprintf(file, *token == '"' || *token == '\\' ? "\\%c" : "%c", *token);
        fprintf(file, "\":%d", id);
    }
    fputs("}", file);
    fclose(file);
}

static void import(const char *answers, const char *path, const char *table)
{
    kd_store_writer *writer;
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field field = KD_STORE_FIELD_INIT;
    kd_import_options io = KD_IMPORT_OPTIONS_INIT;
    kd_import_counts counts = { .struct_size = sizeof counts };
    CHECK(kd_tokenizer_vocabulary_size(tokenizer, &o.vocabulary));
    o.align = KD_ALIGN_NEXT;
    field.kind = KD_STORE_TOPK;
    field.name = field.source = "logits";
    field.k = 8;
    io.token_table = table;
    remove(path);
    CHECK(kd_store_writer_create(&writer, ctx, path, &o, &field, 1));
    CHECK(kd_store_writer_import(writer, KD_IMPORT_OPENAI, answers, &io, &counts));
    CHECK(kd_store_writer_close(writer));
    kd_store_writer_free(writer);
    printf("store: %lld answers, %lld positions, %lld entries\n", (long long)counts.records,
           (long long)counts.positions, (long long)counts.entries);
}

/* Answers that are right, encoded as the server did: its tokens, not a second encoding of the text,
 * are what the store is keyed by. */
static kd_packer *pack_right_ones(const char *answers, const char *kept)
{
    kd_curation *curation;
    kd_record_reader *reader;
    kd_record_writer *writer;
    kd_packer *packer;
    kd_packer_options po = KD_PACKER_OPTIONS_INIT;
    kd_record r = KD_RECORD_INIT;
    char *table;
    const int32_t *ends;
    int32_t end_count;
    po.batch_tokens = 1024;
    CHECK(kd_tokenizer_end_tokens(tokenizer, &ends, &end_count));
    CHECK(kd_curation_create(&curation, ctx, NULL));
    CHECK(kd_curation_add(curation, KD_FILTER_LENGTH, NULL, NULL));
    CHECK(kd_curation_add(curation, KD_FILTER_VERIFY, NULL, NULL));
    CHECK(kd_record_reader_open(&reader, ctx, &answers, 1, NULL));
    CHECK(kd_record_writer_open(&writer, ctx, kept, NULL));
    CHECK(kd_curation_run(curation, reader, writer, NULL));
    CHECK(kd_record_writer_close(writer));
    CHECK(kd_curation_to_text(curation, &table));
    printf("%s", table);
    kd_context_free_text(ctx, table);
    kd_record_writer_free(writer);
    kd_record_reader_free(reader);
    kd_curation_free(curation);
    CHECK(kd_packer_create(&packer, ctx, tokenizer, &po));
    CHECK(kd_record_reader_open(&reader, ctx, &kept, 1, NULL));
    while (kd_record_reader_next(reader, &r) == KD_OK) {
        int32_t ids[512];
        uint8_t mask[512];
        uint64_t key[2];
        int64_t asked, said;
        kd_array content = KD_ARRAY_1D(ids, KD_INT32, 0);
        CHECK(kd_tokenizer_encode(tokenizer, r.prompt, -1, 0, ids, 512, &asked));
        CHECK(kd_tokenizer_encode(tokenizer, r.completion, -1, 0, ids + asked, 511 - asked, &said));
        if (end_count) ids[asked + said++] = ends[0];
        for (int64_t i = 0; i < asked + said; i++) mask[i] = i >= asked;
        content.dims[0] = asked + said;
        CHECK(kd_store_key(ctx, &content, &key[0], &key[1]));
        CHECK(kd_packer_add_ids(packer, ids, mask, asked + said, key, 0));
    }
    kd_record_reader_free(reader);
    return packer;
}

static void train(kd_model *student, kd_teacher *teacher, kd_packer *packer, int64_t steps)
{
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_schedule *rate;
    kd_batch *batch;
    kd_targets *targets;
    kd_recipe recipe = { .struct_size = sizeof recipe };
    kd_loss_result result = { .struct_size = sizeof result };
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    term.label_field = "tokens";
    term.mask_field = "answer";
    term.align = KD_ALIGN_NEXT;
    CHECK(kd_recipe_fill(&recipe, KD_RECIPE_MIXED, 1.5e9));
    recipe.learning_rate = 1e-3; /* the student is small */
    CHECK(kd_recipe_create_learning_rate(&rate, ctx, &recipe, steps));
    CHECK(kd_loss_create(&loss, ctx, NULL));
    CHECK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1 - recipe.soft_weight, &term, NULL));
    /* top-k and a tail: KD_TAIL_BUCKET, at the server's temperature */
    CHECK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, recipe.soft_weight, &term, NULL));
    CHECK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    CHECK(kd_optimizer_add_model(optimizer, student));
    CHECK(kd_batch_create(&batch, ctx, NULL));
    CHECK(kd_targets_create(&targets, ctx, NULL));
    for (int64_t step = 0; step < steps; step++) {
        CHECK(kd_packer_next(packer, batch));
        CHECK(kd_teacher_read(teacher, batch, targets));
        CHECK(kd_model_forward(student, batch, KD_MODE_TRAIN));
        CHECK(kd_loss_backward(loss, student, batch, targets, NULL, &result));
        CHECK(kd_optimizer_step(optimizer, kd_schedule_value(rate, step)));
        if (step == 0 || step + 1 == steps)
            printf("step %lld: loss %.4f; %lld tokens learned hard, %lld from the server's "
                   "distributions\n",
                   (long long)step, result.value, (long long)result.rows[0],
                   (long long)result.rows[1]);
    }
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_schedule_free(rate);
}

int main(int argc, char **argv)
{
    kd_model *student;
    kd_teacher *teacher;
    kd_teacher_options to = KD_TEACHER_OPTIONS_INIT;
    char store[600], table[600], kept[600];
    if (argc < 4) return fprintf(stderr, "server_answers ANSWERS STUDENT OUT [STEPS]\n"), 2;
    snprintf(store, sizeof store, "%s.kdt", argv[3]);
    snprintf(table, sizeof table, "%s.vocabulary.json", argv[3]);
    snprintf(kept, sizeof kept, "%s.kept.jsonl", argv[3]);
    CHECK(kd_context_create(&ctx, NULL));
    CHECK(kd_tokenizer_load(&tokenizer, ctx, argv[2]));
    CHECK(kd_model_load(&student, ctx, argv[2], NULL));
    write_table(table);
    import(argv[1], store, table);
    kd_packer *packer = pack_right_ones(argv[1], kept);
    /* an answer whose text is cut into other tokens than the server's has hard tokens only */
    to.missing = KD_MISSING_ABSENT;
    CHECK(kd_teacher_open(&teacher, ctx, store, &to));
    train(student, teacher, packer, argc > 4 ? atoll(argv[4]) : 100);
    CHECK(kd_model_save(student, argv[3], NULL));
    printf("saved in %s\n", argv[3]);
    kd_teacher_free(teacher);
    kd_packer_free(packer);
    kd_model_free(student);
    kd_tokenizer_free(tokenizer);
    kd_context_free(ctx);
    return 0;
}
