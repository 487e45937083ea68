/* Models, training, stores, answers: the host's own loops. */
#include "course.h"
#include <unistd.h>

kd_model *course_model(kd_context *ctx, kd_tokenizer *tokenizer, course_shape s, int positions,
                       uint64_t seed)
{
    char config[640];
    int64_t vocabulary;
    kd_model *model;
    kd_model_options mo = KD_MODEL_OPTIONS_INIT;
    CHECK(kd_tokenizer_vocabulary_size(tokenizer, &vocabulary));
    snprintf(config, sizeof config,
             "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"vocab_size\":%"
             "lld,\"hidden_size\":%d,\"intermediate_size\":%d,"
             "\"num_hidden_layers\":%d,\"num_attention_heads\":%d,\"num_key_value_heads\":%d,\"max_"
             "position_embeddings\":%d,\"rms_norm_eps\":1e-5,"
             "\"rope_theta\":10000.0,\"hidden_act\":\"silu\",\"initializer_range\":0.05,\"tie_word_"
             "embeddings\":true,\"bos_token_id\":0,\"eos_token_"
             "id\":0}",
             (long long)vocabulary, s.hidden, s.inner, s.layers, s.heads, s.heads, positions);
    mo.seed = seed;
    CHECK(kd_model_create(&model, ctx, config, &mo));
    return model;
}

static kd_packer *fill_packer(kd_context *ctx, kd_tokenizer *tokenizer, const char *const *files,
                              int count, int64_t batch_tokens, int64_t batch_texts, uint64_t seed)
{
    kd_packer *packer;
    kd_packer_options po = KD_PACKER_OPTIONS_INIT;
    kd_record_reader *reader;
    po.chat = KD_CHAT_PLAIN;
    po.batch_tokens = batch_tokens;
    po.batch_texts = batch_texts;
    po.seed = seed;
    CHECK(kd_packer_create(&packer, ctx, tokenizer, &po));
    CHECK(kd_record_reader_open(&reader, ctx, files, count, NULL));
    CHECK(kd_packer_add_reader(packer, reader, 0, NULL));
    kd_record_reader_free(reader);
    return packer;
}

/* ---- on-policy: the student answers, the teacher scores each of its tokens ---- */

typedef struct {
    kd_context *ctx;
    kd_tokenizer *tokenizer;
    kd_generator *generator;
    kd_packer *own;
    kd_teacher *teacher;
    kd_record_reader *prompts;
    kd_loss *loss;
    uint64_t draws;
} on_policy;

static on_policy start_on_policy(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *student,
                                 const course_training *t)
{
    on_policy o = { .ctx = ctx, .tokenizer = tokenizer };
    kd_generator_options go = KD_GENERATOR_OPTIONS_INIT;
    kd_packer_options po = KD_PACKER_OPTIONS_INIT;
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    go.tokenizer = tokenizer;
    go.max_sequences = 64;
    go.cache_tokens = 64 * 160;
    po.chat = KD_CHAT_PLAIN;
    po.batch_tokens = 1 << 20; /* all of them in one batch */
    term.label_field = "tokens";
    term.mask_field = "answer";
    term.align = KD_ALIGN_NEXT;
    CHECK(kd_generator_create(&o.generator, student, &go));
    CHECK(kd_packer_create(&o.own, ctx, tokenizer, &po));
    CHECK(kd_teacher_from_model(&o.teacher, t->live, NULL));
    CHECK(kd_record_reader_open(&o.prompts, ctx, &t->prompts, 1, NULL));
    CHECK(kd_loss_create(&o.loss, ctx, NULL));
    /* JSD between teacher and student [Agarwal et al. 2024] */
    CHECK(kd_loss_add(o.loss, KD_LOSS_JSD, 1, &term, NULL));
    CHECK(kd_loss_set(o.loss, 0, KD_TERM_TEACHER_SHARE, 0.5));
    return o;
}

static void end_on_policy(on_policy *o)
{
    kd_loss_free(o->loss);
    kd_record_reader_free(o->prompts);
    kd_teacher_free(o->teacher);
    kd_packer_free(o->own);
    kd_generator_free(o->generator);
}

/* A batch of the student's own answers to the next prompts. */
static void own_answers(on_policy *o, kd_batch *batch, int count)
{
    kd_sampling s = KD_SAMPLING_INIT;
    kd_record r = KD_RECORD_INIT;
    kd_generated g = { .struct_size = sizeof g };
    static int32_t ids[64][320];
    static uint8_t mask[320];
    int64_t lengths[64];
    s.max_tokens = 96;
    s.seed = ++o->draws;
    CHECK(kd_generator_refresh(o->generator));
    CHECK(kd_packer_clear(o->own, 0));
    int64_t first = -1;
    for (int i = 0; i < count; i++) {
        int64_t request;
        if (kd_record_reader_next(o->prompts, &r) != KD_OK) {
            CHECK(kd_record_reader_rewind(o->prompts));
            CHECK(kd_record_reader_next(o->prompts, &r));
        }
        CHECK(kd_tokenizer_encode(o->tokenizer, r.prompt, -1, 0, ids[i], 160, &lengths[i]));
        CHECK(kd_generator_add(o->generator, ids[i], lengths[i], &s, &request));
        if (first < 0) first = request;
    }
    while (kd_generator_next(o->generator, &g) == KD_OK) {
        const int64_t i = g.request - first, n = lengths[i];
        memcpy(ids[i] + n, g.ids, (size_t)g.count * sizeof *g.ids);
        for (int64_t j = 0; j < n + g.count; j++) mask[j] = j >= n;
        CHECK(kd_packer_add_ids(o->own, ids[i], mask, n + g.count, NULL, 0));
    }
    CHECK(kd_packer_next(o->own, batch));
}

/* ---- training ---- */

static void write_curve(const char *path, const course_curve *c)
{
    FILE *file = fopen(path, "wb");
    for (int i = 0; file && i < c->count; i++)
        fprintf(file, "%.17g %.17g %.17g %.17g\n", c->step[i], c->loss[i], c->temperature[i],
                c->rate[i]);
    if (file) fclose(file);
}

static void read_curve(const char *path, course_curve *c)
{
    FILE *file = fopen(path, "rb");
    c->count = 0;
    while (file && c->count < CURVE &&
           fscanf(file, "%lf %lf %lf %lf", &c->step[c->count], &c->loss[c->count],
                  &c->temperature[c->count], &c->rate[c->count]) == 4)
        c->count++;
    if (file) fclose(file);
}

static void add_point(course_curve *c, int64_t step, int64_t steps, double loss, double temperature,
                      double rate)
{
    if (c->count >= CURVE || (step % (steps / 100 + 1) && step + 1 < steps)) return;
    c->step[c->count] = (double)step;
    c->loss[c->count] = loss;
    c->temperature[c->count] = temperature;
    c->rate[c->count++] = rate;
}

static void train(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *model, kd_packer *packer,
                  const course_training *t, course_curve *curve)
{
    kd_recipe recipe = { .struct_size = sizeof recipe };
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_schedule *rate, *temperature;
    kd_batch *batch;
    kd_targets *targets;
    kd_teacher *teacher = NULL;
    kd_array parameters;
    kd_loss_result result = { .struct_size = sizeof result };
    kd_term_options hard = KD_TERM_OPTIONS_INIT, soft = KD_TERM_OPTIONS_INIT;
    kd_optimizer_options oo = KD_OPTIMIZER_OPTIONS_INIT;
    kd_teacher_options to = KD_TEACHER_OPTIONS_INIT;
    on_policy own;

    CHECK(kd_model_parameters(model, &parameters));
    CHECK(kd_recipe_fill(&recipe, KD_RECIPE_SMALL, (double)parameters.dims[0]));
    recipe.soft_weight = 0.5; /* of the teacher's distributions, whose temperature falls to 1 */
    recipe.temperature = 2;
    CHECK(kd_recipe_create_learning_rate(&rate, ctx, &recipe, t->steps));
    CHECK(kd_recipe_create_temperature(&temperature, ctx, &recipe, t->steps));
    hard.label_field = soft.label_field = "tokens";
    hard.mask_field = soft.mask_field = "answer"; /* prompts are not learned */
    hard.align = soft.align = KD_ALIGN_NEXT;
    CHECK(kd_loss_create(&loss, ctx, NULL));
    CHECK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, t->store ? 1 - recipe.soft_weight : 1, &hard,
                      NULL));
    if (t->store) {
        to.missing = KD_MISSING_ABSENT;
        CHECK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, recipe.soft_weight, &soft, NULL));
        CHECK(kd_teacher_open(&teacher, ctx, t->store, &to));
    }
    oo.weight_decay = recipe.weight_decay;
    oo.beta1 = recipe.beta1;
    oo.beta2 = recipe.beta2;
    oo.clip_norm = recipe.clip_norm;
    CHECK(kd_optimizer_create(&optimizer, ctx, recipe.optimizer, &oo));
    CHECK(kd_optimizer_add_model(optimizer, model));
    CHECK(kd_batch_create(&batch, ctx, NULL));
    CHECK(kd_targets_create(&targets, ctx, NULL));
    if (t->live) own = start_on_policy(ctx, tokenizer, model, t);
    for (int64_t step = 0; step < t->steps; step++) {
        const int on_own = t->live && fmod((double)step * t->own_share, 1) + t->own_share >= 1;
        kd_teacher *says = on_own ? own.teacher : teacher;
        if (on_own) own_answers(&own, batch, 48);
        else CHECK(kd_packer_next(packer, batch));
        if (t->store)
            CHECK(kd_loss_set(loss, 1, KD_TERM_TEMPERATURE, kd_schedule_value(temperature, step)));
        if (says) CHECK(kd_teacher_read(says, batch, targets));
        CHECK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        CHECK(kd_loss_backward(on_own ? own.loss : loss, model, batch, says ? targets : NULL, NULL,
                               &result));
        CHECK(kd_optimizer_step(optimizer, kd_schedule_value(rate, step)));
        if (!on_own)
            add_point(curve, step, t->steps, result.value,
                      t->store ? kd_schedule_value(temperature, step) : 1,
                      kd_schedule_value(rate, step));
    }
    if (t->live) end_on_policy(&own);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_optimizer_free(optimizer);
    kd_teacher_free(teacher);
    kd_loss_free(loss);
    kd_schedule_free(temperature);
    kd_schedule_free(rate);
}

kd_model *course_student(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *fresh,
                         const char *const *files, int count, const course_training *t,
                         const char *folder, course_curve *curve)
{
    kd_model *model;
    char config[600], points[600];
    snprintf(config, sizeof config, "%s/config.json", folder); /* is written last */
    snprintf(points, sizeof points, "%s/curve.txt", folder);
    if (course_exists(config)) {
        kd_model_free(fresh);
        CHECK(kd_model_load(&model, ctx, folder, NULL));
        read_curve(points, curve);
        return model;
    }
    kd_packer *packer = fill_packer(ctx, tokenizer, files, count, t->batch_tokens, 0, t->seed);
    curve->count = 0;
    train(ctx, tokenizer, fresh, packer, t, curve);
    CHECK(kd_tokenizer_save(tokenizer, folder));
    write_curve(points, curve);
    CHECK(kd_model_save(fresh, folder, NULL));
    kd_packer_free(packer);
    return fresh;
}

/* ---- the teacher's distributions ---- */

void course_store(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *model,
                  const char *const *files, int count, const char *path)
{
    kd_store_writer *writer;
    kd_teacher *teacher;
    kd_batch *batch;
    kd_targets *targets;
    kd_array head;
    kd_packer_info info = { .struct_size = sizeof info };
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field field = KD_STORE_FIELD_INIT;
    char part[620];
    if (course_exists(path)) return;
    snprintf(part, sizeof part, "%s.part", path);
    remove(part);
    /* one text at a time, each once */
    kd_packer *packer = fill_packer(ctx, tokenizer, files, count, 1 << 20, 1, 0);
    /* the embedding is the head, too */
    CHECK(kd_model_tensor(model, 0, NULL, &head));
    CHECK(kd_batch_create(&batch, ctx, NULL));
    CHECK(kd_targets_create(&targets, ctx, NULL));
    CHECK(kd_teacher_from_model(&teacher, model, NULL));
    o.vocabulary = head.dims[0];
    o.align = KD_ALIGN_NEXT;
    field.kind = KD_STORE_HIDDEN;
    field.name = field.source = "hidden";
    field.width = (int32_t)head.dims[1];
    CHECK(kd_store_writer_create(&writer, ctx, part, &o, &field, 1));
    CHECK(kd_store_writer_set_head(writer, &head, KD_BFLOAT16));
    CHECK(kd_packer_get_info(packer, &info));
    for (int64_t i = 0; i < info.texts; i++) {
        CHECK(kd_packer_next(packer, batch));
        CHECK(kd_teacher_read(teacher, batch, targets));
        CHECK(kd_store_writer_add(writer, batch, targets));
    }
    CHECK(kd_store_writer_close(writer));
    kd_store_writer_free(writer);
    kd_teacher_free(teacher);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_packer_free(packer);
    if (rename(part, path)) perror(path), exit(1);
}

/* ---- held-out texts ---- */

/* The logits that foretell tokens of the answer, one row behind the other, and those tokens: how
 * many. */
static int64_t answer_rows(kd_model *model, kd_batch *batch, float **rows, int64_t *labels)
{
    kd_array z, tokens, answer;
    CHECK(kd_batch_field(batch, "tokens", &tokens, NULL));
    CHECK(kd_batch_field(batch, "answer", &answer, NULL));
    CHECK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    CHECK(kd_model_output(model, "logits", &z));
    const int64_t width = z.dims[1], *ids = tokens.data, *learned = answer.data;
    int64_t n = 0;
    *rows = malloc((size_t)(z.dims[0] * width) * sizeof **rows);
    for (int64_t i = 0; i + 1 < z.dims[0]; i++) {
        if (!learned[i + 1]) continue;
        memcpy(*rows + n * width, (const float *)z.data + i * width, (size_t)width * sizeof **rows);
        labels[n++] = ids[i + 1];
    }
    return n;
}

course_fit course_measure(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *model,
                          kd_model *teacher, const char *file, int64_t most)
{
    course_fit fit = { 0 };
    kd_packer_info info = { .struct_size = sizeof info };
    kd_packer *packer = fill_packer(ctx, tokenizer, &file, 1, 1 << 20, 1, 1);
    kd_metrics *metrics;
    kd_batch *batch;
    int64_t vocabulary, *labels = malloc((1 << 16) * sizeof *labels);
    double losses = 0, agreed = 0, squares = 0, products = 0, counts = 0;
    CHECK(kd_tokenizer_vocabulary_size(tokenizer, &vocabulary));
    CHECK(kd_batch_create(&batch, ctx, NULL));
    CHECK(kd_metrics_create(&metrics, ctx, vocabulary, NULL));
    CHECK(kd_packer_get_info(packer, &info));
    for (; fit.texts < most && fit.texts < info.texts; fit.texts++) {
        kd_metric loss = { .struct_size = sizeof loss }, same = { .struct_size = sizeof same };
        float *rows, *said = NULL;
        CHECK(kd_packer_next(packer, batch));
        const int64_t n = answer_rows(model, batch, &rows, labels);
        if (teacher) answer_rows(teacher, batch, &said, labels);
        const kd_array y = KD_ARRAY_1D(labels, KD_INT64, n),
                       z = KD_ARRAY_2D(rows, KD_FLOAT32, n, vocabulary),
                       p = KD_ARRAY_2D(said, KD_FLOAT32, n, vocabulary);
        CHECK(kd_metrics_reset(metrics));
        CHECK(kd_metrics_add(metrics, &z, &y, teacher ? &p : NULL));
        CHECK(kd_metrics_get(metrics, KD_METRIC_NLL, &loss));
        if (teacher) CHECK(kd_metrics_get(metrics, KD_METRIC_AGREEMENT, &same));
        free(said);
        free(rows);
        const double sum = loss.value * (double)n;
        losses += sum;
        agreed += same.value * (double)n;
        squares += sum * sum;
        products += sum * (double)n;
        counts += (double)n * (double)n;
        fit.tokens += n;
    }
    fit.loss = losses / (double)fit.tokens; /* a ratio of two sums over texts, and its error */
    fit.error = sqrt((squares - 2 * fit.loss * products + fit.loss * fit.loss * counts) /
                     (double)(fit.texts - 1) * (double)fit.texts) /
                (double)fit.tokens;
    fit.agreement = teacher ? agreed / (double)fit.tokens : NAN;
    free(labels);
    kd_metrics_free(metrics);
    kd_batch_free(batch);
    kd_packer_free(packer);
    return fit;
}

/* ---- answers ---- */

static int32_t bar(void *user, const kd_answers_progress *p)
{
    static double shown;
    const int done = p->total > 0 ? (int)(30 * p->done / p->total) : 0;
    (void)user;
    if (!isatty(2) || (p->done < p->total && p->seconds > shown && p->seconds < shown + 0.3))
        return 0;
    shown = p->seconds;
    fprintf(stderr, "\r  [%.*s%*s] %lld answers, %.0f tokens/s, %.0f s left ", done,
            "##############################", 30 - done, "", (long long)p->done,
            p->tokens_per_second, p->seconds_left > 0 ? p->seconds_left : 0);
    if (p->done == p->total) fputs("\r\033[K", stderr);
    return 0;
}

void course_answers(kd_context *ctx, kd_tokenizer *tokenizer, kd_model *model, const char *prompts,
                    int n, uint64_t seed, const char *teacher, const char *path)
{
    kd_generator *generator;
    kd_record_reader *reader;
    kd_record_counts counts = { .struct_size = sizeof counts };
    kd_generator_options go = KD_GENERATOR_OPTIONS_INIT;
    kd_answers_options ao;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_record r = KD_RECORD_INIT;
    kd_answers_options_init(&ao, sizeof ao);
    CHECK(kd_record_reader_open(&reader, ctx, &prompts, 1, NULL));
    while (kd_record_reader_next(reader, &r) == KD_OK) continue;
    CHECK(kd_record_reader_get_counts(reader, &counts));
    go.tokenizer = tokenizer;
    go.max_sequences = 64;
    go.cache_tokens = 64 * 160;
    CHECK(kd_generator_create(&generator, model, &go));
    s.temperature = 0.6; /* DeepSeek-R1's */
    s.top_p = 0.95;
    s.max_tokens = 96;
    s.seed = seed;
    ao.samples = n;
    ao.max_prompts = counts.records;
    ao.chat = KD_CHAT_PLAIN;
    ao.sampling = &s;
    ao.verify = &course_verify;
    ao.teacher = teacher;
    ao.progress = bar;
    CHECK(kd_answers_collect(ctx, generator, reader, path, &ao, NULL));
    kd_generator_free(generator);
    kd_record_reader_free(reader);
}

kd_answers_result course_judge(kd_context *ctx, const char *answers, int32_t *rights, int64_t room)
{
    kd_record_reader *reader;
    kd_answers_result result = { .struct_size = sizeof result };
    CHECK(kd_record_reader_open(&reader, ctx, &answers, 1, NULL));
    CHECK(kd_answers_judge(reader, &course_verify, 1, rights, room, &result));
    kd_record_reader_free(reader);
    return result;
}
