/* Loss, schedules, optimizer and checkpoint of a run. */
#include <stdlib.h>
#include <string.h>

#include "tool/say.h"
#include "tool/train.h"

/* ---- terms ---- */

/* "" is the recipe's null: none. */
static const char *named(const char *name, const char *otherwise)
{
    if (!name) return otherwise;
    return *name ? name : NULL;
}

/* Does the term compare rows of tokens? (What a whole text has, has one row a text.) */
static int is_of_rows(const char *output)
{
    return !output || (strncmp(output, "embedding", 9) && strcmp(output, "pooled"));
}

/* Texts predict the next token where the answer is; arrays have their labels. */
static kd_term_options options_of(const train_run *run, const recipe_term *t)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    const int tokens = recipe_is_of_tokens(&run->recipe.data) && is_of_rows(t->student_output);
    o.student_output = named(t->student_output, NULL);
    o.teacher_field = named(t->teacher_field, NULL);
    o.label_field = named(t->label_field, tokens ? "tokens" : NULL);
    o.mask_field = named(t->mask_field, tokens ? "answer" : NULL);
    o.weight_field = named(t->weight_field, NULL);
    o.align = t->align != UNSET ? t->align : tokens ? KD_ALIGN_NEXT : KD_ALIGN_SAME;
    o.t2 = t->t2;
    o.nonfinite = t->nonfinite;
    o.count = t->count;
    o.classes = (int32_t)t->classes;
    o.ignore_label = t->ignore_label;
    o.tail = t->tail;
    o.retemper = t->retemper;
    o.correction = t->correction;
    return o;
}

static int add_mapped(train_run *run, const recipe_term *t, const kd_term_options *o,
                      int32_t *first, int32_t *count)
{
    kd_model_info student = { .struct_size = sizeof student },
                  teacher = { .struct_size = sizeof teacher };
    if (run->teacher_count != 1)
        return say(EXIT_REFUSED, "%s: \"layers\": expected a teacher of one model", t->name);
    NEED(kd_model_get_info(run->student, &student));
    NEED(kd_model_get_info(run->teachers[0], &teacher));
    int32_t *map = take((size_t)(student.layers + 1) * sizeof *map);
    kd_status status = kd_loss_map_layers(t->layers, student.layers, teacher.layers, map);
    if (status == KD_OK)
        status = kd_loss_add_mapped(run->loss, t->kind, 1, o, map, student.layers, first);
    free(map);
    *count = student.layers;
    return status < 0 ? say_library() : EXIT_DONE;
}

static int set_projections(train_run *run, const recipe_term *t, int32_t first, int32_t count)
{
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    o.kind = t->projection.kind;
    o.start = t->projection.start;
    o.name = t->projection.name;
    for (int32_t i = 0; t->projection.kind && i < count; i++)
        NEED(kd_loss_set_projection(run->loss, first + i, &o));
    return EXIT_DONE;
}

static int add_term(train_run *run, int32_t which)
{
    const recipe_term *t = &run->recipe.terms[which];
    const kd_term_options o = options_of(run, t);
    int32_t *first = &run->first_term[which], *count = &run->terms_of[which];
    *count = 1;
    if (t->layers != UNSET) PART(add_mapped(run, t, &o, first, count));
    else NEED(kd_loss_add(run->loss, t->kind, 1, &o, first));
    return set_projections(run, t, *first, *count);
}

/* ---- numbers that change ---- */

static int add_number(train_run *run, int32_t which, const char *name, int32_t number,
                      const schedule_plan *plan)
{
    const recipe_term *t = &run->recipe.terms[which];
    train_number *n = &run->numbers[run->number_count];
    if (!plan->kind) return EXIT_DONE;
    if (run->number_count >= MOST_SCHEDULES)
        return say(EXIT_REFUSED, "loss: expected at most %d numbers of terms, got more",
                   MOST_SCHEDULES);
    snprintf(n->name, sizeof n->name, "%.60s.%s", t->name, name);
    n->first = run->first_term[which];
    n->count = run->terms_of[which];
    n->number = number;
    n->is_told = plan->kind == SCHEDULE_TAID;
    n->changes = plan->kind != 1 || plan->plateau || plan->warmup > 0;
    n->term = which;
    n->scale = number == KD_TERM_WEIGHT ? 1.0 / n->count : 1;
    NEED(
        schedule_create(&n->schedule, run->context, plan, run->steps, train_metric_is_better(run)));
    run->number_count++;
    return EXIT_DONE;
}

static int add_numbers(train_run *run, int32_t which)
{
    const recipe_term *t = &run->recipe.terms[which];
    PART(add_number(run, which, "weight", KD_TERM_WEIGHT, &t->weight));
    for (int i = 0; term_numbers[i].name; i++)
        PART(add_number(run, which, term_numbers[i].name, term_numbers[i].number, &t->numbers[i]));
    return EXIT_DONE;
}

kd_status train_set_numbers(train_run *run, int64_t step)
{
    kd_status status = KD_OK;
    for (int32_t i = 0; i < run->number_count; i++) {
        const train_number *n = &run->numbers[i];
        const double value = kd_schedule_value(n->schedule, step) * n->scale;
        for (int32_t k = 0; k < n->count && status == KD_OK; k++)
            status = kd_loss_set(run->loss, n->first + k, n->number, value);
    }
    return status;
}

double train_term_value(const train_run *run, int32_t term, const kd_loss_result *result)
{
    double sum = 0, rows = 0;
    for (int32_t i = 0; i < run->terms_of[term]; i++) {
        sum += result->sum[run->first_term[term] + i];
        rows += (double)result->rows[run->first_term[term] + i];
    }
    return rows > 0 ? sum / rows : 0;
}

/* ---- validation's own cross-entropy ---- */

static int has_labels(const train_run *run)
{
    kd_array values;
    if (recipe_is_of_tokens(&run->recipe.data)) return 1;
    return run->held.dataset &&
           kd_dataset_field(run->held.dataset, "label", &values, NULL) == KD_OK &&
           values.rank == 1 && values.dtype != KD_FLOAT32 && values.dtype != KD_FLOAT64;
}

static int open_labels(train_run *run)
{
    kd_output_info logits = { .struct_size = sizeof logits };
    const recipe_term t = { .align = UNSET, .ignore_label = -100 };
    const kd_term_options o = options_of(run, &t);
    if (!run->recipe.has_validation || !has_labels(run)) return EXIT_DONE;
    if (kd_model_get_output_info(run->student, "logits", &logits) < 0) return EXIT_DONE;
    NEED(kd_loss_create(&run->labels, run->context, NULL));
    NEED(kd_loss_add(run->labels, KD_LOSS_CROSS_ENTROPY, 1, &o, NULL));
    return EXIT_DONE;
}

/* ---- parameters of the loss ---- */

static int has_parameters(const train_run *run)
{
    for (int32_t i = 0; i < run->recipe.term_count; i++)
        if (run->recipe.terms[i].projection.kind ||
            run->recipe.terms[i].kind == KD_LOSS_VARIATIONAL)
            return 1;
    return 0;
}

/* Widths of projections, from a first batch, which comes again. */
static int prepare(train_run *run)
{
    if (!has_parameters(run)) return EXIT_DONE;
    NEED(source_next(&run->train, run->batches[0]));
    NEED(kd_teacher_read(run->teacher, run->batches[0], run->targets[0]));
    NEED(kd_model_forward(run->student, run->batches[0], KD_MODE_EVALUATE));
    NEED(kd_loss_prepare(run->loss, run->student, run->targets[0]));
    NEED(source_rewind(&run->train));
    return EXIT_DONE;
}

/* ---- optimizer ---- */

static int open_optimizer(train_run *run)
{
    const recipe_optimizer *r = &run->recipe.optimizer;
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    o.nesterov = r->nesterov;
    o.momentum = r->momentum;
    o.beta1 = r->beta1;
    o.beta2 = r->beta2;
    o.epsilon = r->epsilon;
    o.weight_decay = r->weight_decay;
    o.clip_norm = r->clip_norm;
    o.clip_value = r->clip_value;
    o.max_norm = r->max_norm;
    o.average_decay = r->average_decay;
    NEED(kd_optimizer_create(&run->optimizer, run->context, r->kind, &o));
    NEED(kd_optimizer_add_model(run->optimizer, run->student));
    if (has_parameters(run)) NEED(kd_optimizer_add_loss(run->optimizer, run->loss));
    for (int32_t i = 0; i < r->group_count; i++) {
        kd_group_options g = KD_GROUP_OPTIONS_INIT;
        g.learning_rate = r->groups[i].learning_rate;
        g.weight_decay = r->groups[i].weight_decay;
        g.max_norm = r->groups[i].max_norm;
        g.frozen = r->groups[i].frozen;
        g.lazy = r->groups[i].lazy;
        NEED(kd_optimizer_add_group(run->optimizer, r->groups[i].pattern, &g));
    }
    return EXIT_DONE;
}

static int open_monitor(train_run *run)
{
    const recipe_validation *v = &run->recipe.validation;
    kd_monitor_options o = KD_MONITOR_OPTIONS_INIT;
    if (!run->recipe.has_validation) return EXIT_DONE;
    o.better = train_metric_is_better(run);
    o.patience = (int32_t)v->patience;
    o.keep_best = v->keep;
    NEED(kd_monitor_create(&run->monitor, run->student, &o));
    return EXIT_DONE;
}

static int open_checkpoint(train_run *run)
{
    NEED(kd_checkpoint_create(&run->checkpoint, run->context, NULL));
    NEED(kd_checkpoint_add_model(run->checkpoint, "student", run->student));
    NEED(kd_checkpoint_add_optimizer(run->checkpoint, "optimizer", run->optimizer));
    NEED(kd_checkpoint_add_loss(run->checkpoint, "loss", run->loss));
    NEED(kd_checkpoint_add_schedule(run->checkpoint, "learning_rate", run->rate));
    for (int32_t i = 0; i < run->number_count; i++) {
        char name[24];
        snprintf(name, sizeof name, "number.%d", i);
        NEED(kd_checkpoint_add_schedule(run->checkpoint, name, run->numbers[i].schedule));
    }
    if (run->monitor) NEED(kd_checkpoint_add_monitor(run->checkpoint, "monitor", run->monitor));
    if (run->train.loader)
        NEED(kd_checkpoint_add_loader(run->checkpoint, "loader", run->train.loader));
    NEED(kd_checkpoint_borrow_bytes(run->checkpoint, "state", &run->state, sizeof run->state));
    return EXIT_DONE;
}

int train_open_loss(train_run *run)
{
    const recipe *r = &run->recipe;
    for (int64_t i = 0; i < r->batch.accumulate; i++) {
        NEED(kd_batch_create(&run->batches[i], run->context, NULL));
        NEED(kd_targets_create(&run->targets[i], run->context, NULL));
    }
    NEED(kd_loss_create(&run->loss, run->context, NULL));
    for (int32_t i = 0; i < r->term_count; i++) PART(add_term(run, i));
    for (int32_t i = 0; i < r->term_count; i++) PART(add_numbers(run, i));
    NEED(schedule_create(&run->rate, run->context, &r->learning_rate, run->steps,
                         train_metric_is_better(run)));
    NEED(kd_loss_keep_outputs(run->loss, run->student,
                              train_teacher_is_live(run) ? run->teacher : NULL));
    PART(open_labels(run));
    PART(prepare(run));
    NEED(train_set_numbers(run, 0));
    PART(open_optimizer(run));
    PART(open_monitor(run));
    return open_checkpoint(run);
}

void train_free(train_run *run)
{
    kd_checkpoint_free(run->checkpoint);
    kd_monitor_free(run->monitor);
    kd_optimizer_free(run->optimizer);
    for (int32_t i = 0; i < run->number_count; i++) kd_schedule_free(run->numbers[i].schedule);
    kd_schedule_free(run->rate);
    kd_loss_free(run->labels);
    kd_loss_free(run->loss);
    for (int i = 0; i < MOST_BATCHES; i++) {
        kd_batch_free(run->batches[i]);
        kd_targets_free(run->targets[i]);
    }
    kd_model_free(run->student);
    kd_teacher_free(run->held_teacher);
    kd_teacher_free(run->teacher);
    for (int i = 0; i < MOST_TEACHERS; i++) kd_model_free(run->teachers[i]);
    for (train_source *s = &run->train; s; s = s == &run->train ? &run->held : NULL) {
        kd_loader_free(s->loader);
        kd_packer_free(s->packer);
        if (s->dataset != run->whole) kd_dataset_free(s->dataset);
    }
    kd_dataset_free(run->whole);
    kd_tokenizer_free(run->tokenizer);
    kd_context_free(run->context);
    if (run->log) fclose(run->log);
    free(run->folder);
    recipe_free(&run->recipe);
}
