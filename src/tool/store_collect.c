/* kdistill store collect: a teacher answers about a recipe's data, once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "tool/bar.h"
#include "tool/say.h"
#include "tool/store_fill.h"
#include "tool/train.h"

typedef struct {
    train_run *run;
    const store_filling *o;
    kd_store_writer *writer;
    kd_store *there; /* what an earlier call wrote; NULL: nothing */
    int64_t done, total;
} collecting;

/* The recipe's data in its own order, whole; the teacher of the command line, if it names one. */
static int change_recipe(recipe *r, const store_filling *o)
{
    static char *absolute; /* the recipe points to it until the program ends */
    r->batch.shuffle = r->batch.drop_last = r->batch.flip = 0;
    r->batch.shift = 0;
    r->teacher.once = 0;
    r->has_teacher = 1;
    if (o->model) {
        if (!(absolute = kd__os_absolute(o->model)))
            return say(EXIT_FAILED, "%s: expected a model's folder, got none", o->model);
        free(r->teacher.model.items);
        r->teacher.model.items = take(sizeof *r->teacher.model.items);
        r->teacher.model.items[0] = absolute;
        r->teacher.model.count = 1;
    }
    if (r->teacher.model.count == 1) return EXIT_DONE;
    return say(EXIT_REFUSED,
               "%s: expected a teacher of one model, got %d; name its folder: "
               "--teacher-model FOLDER",
               r->source.name, r->teacher.model.count);
}

/* The matrix that turns hidden states into logits: the embedding, where the two are tied. */
static kd_status find_head(kd_model *model, kd_array *head)
{
    int32_t count = 0;
    const char *name = "";
    kd_status status = kd_model_tensor_count(model, &count);
    if (status == KD_OK) status = kd_model_tensor(model, count - 1, &name, head);
    if (status == KD_OK && strcmp(name, "lm_head.weight"))
        status = kd_model_tensor(model, 0, &name, head);
    return status;
}

static int open_writer(collecting *c, const char *path)
{
    kd_model *model = c->run->teachers[0];
    const int tokens = recipe_is_of_tokens(&c->run->recipe.data);
    kd_output_info logits = { .struct_size = sizeof logits };
    kd_store_options so = KD_STORE_OPTIONS_INIT;
    kd_store_field field = KD_STORE_FIELD_INIT;
    kd_array head;
    field.kind = c->o->kind ? c->o->kind : tokens ? KD_STORE_TOPK : KD_STORE_DENSE;
    const char *output = field.kind == KD_STORE_EMBEDDING ? "embedding" : "logits";
    NEED(kd_model_get_output_info(model, output, &logits));
    field.name = c->o->name ? c->o->name : field.kind == KD_STORE_HIDDEN ? "hidden" : output;
    field.source = field.kind == KD_STORE_HIDDEN ? "hidden" : output;
    field.k = c->o->k < logits.width ? c->o->k : logits.width;
    field.bits = (int32_t)c->o->bits;
    field.width = logits.width;
    so.vocabulary = logits.width;
    so.temperature = c->o->temperature;
    so.align = tokens ? KD_ALIGN_NEXT : KD_ALIGN_SAME;
    so.teacher = c->o->teacher ? c->o->teacher : c->run->recipe.teacher.model.items[0];
    so.append = file_exists(path);
    if (field.kind == KD_STORE_HIDDEN) {
        NEED(find_head(model, &head));
        field.width = head.dims[1];
    }
    if (so.append && kd_store_open(&c->there, c->run->context, &path, 1, NULL) < 0) {
        say_note("%s: begun again: %s", path, kd_last_error()); /* killed before its first record */
        kd__os_remove(path);
        so.append = 0;
    }
    NEED(kd_store_writer_create(&c->writer, c->run->context, path, &so, &field, 1));
    if (field.kind == KD_STORE_HIDDEN && !so.append)
        NEED(kd_store_writer_set_head(c->writer, &head, KD_BFLOAT16));
    return EXIT_DONE;
}

/* Are all samples of a batch in the store already? */
static int is_there(const collecting *c, kd_batch *batch)
{
    kd_array keys;
    int64_t samples, record;
    if (!c->there || kd_batch_samples(batch, NULL, &keys, NULL) < 0 ||
        kd_batch_get_counts(batch, &samples, NULL) < 0)
        return 0;
    for (int64_t i = 0; i < samples; i++) {
        const uint64_t *k = (const uint64_t *)keys.data + 2 * i;
        if (kd_store_find(c->there, k[0], k[1], 0, &record) < 0) return 0;
    }
    return 1;
}

static int collect_source(collecting *c, train_source *source, kd_batch *batch, kd_targets *targets)
{
    for (int64_t seen = 0, samples = 0; seen < source->texts; seen += samples) {
        if (signals_came()) return say_library();
        NEED(source_next(source, batch));
        NEED(kd_batch_get_counts(batch, &samples, NULL));
        if (!is_there(c, batch)) {
            NEED(kd_teacher_read(c->run->teacher, batch, targets));
            NEED(kd_store_writer_add(c->writer, batch, targets));
        }
        c->done += samples;
        bar_show(c->done < c->total ? c->done : c->total, NULL);
    }
    return EXIT_DONE;
}

static int collect_all(collecting *c)
{
    kd_batch *batch = NULL;
    kd_targets *targets = NULL;
    train_run *run = c->run;
    kd_status status = kd_batch_create(&batch, run->context, NULL);
    if (status == KD_OK) status = kd_targets_create(&targets, run->context, NULL);
    int code = status < 0 ? say_library() : EXIT_DONE;
    c->total = run->train.texts + run->held.texts;
    bar_begin("collect", "texts", 0, c->total);
    signals_hold(1);
    if (code == EXIT_DONE) code = collect_source(c, &run->train, batch, targets);
    if (code == EXIT_DONE && run->held.texts) code = collect_source(c, &run->held, batch, targets);
    signals_hold(0);
    bar_end();
    kd_targets_free(targets);
    kd_batch_free(batch);
    if (code == EXIT_DONE && kd_store_writer_close(c->writer) < 0) code = say_library();
    return code;
}

static int collect(collecting *c, const char *recipe_file, const char *out, const char *part)
{
    train_run *run = c->run;
    if (file_exists(out))
        return say(EXIT_FAILED,
                   "%s: expected a name that is free, got a store; kdistill store info "
                   "shows it",
                   out);
    PART(recipe_load(&run->recipe, recipe_file, NULL));
    PART(change_recipe(&run->recipe, c->o));
    PART(train_open_context(run));
    PART(train_open_tokenizer(run));
    PART(train_open_data(run));
    PART(train_open_teacher(run));
    PART(open_writer(c, part));
    PART(collect_all(c));
    if (kd__os_replace(part, out)) return say(EXIT_FAILED, "%s: could not be written", out);
    if (saying.json) {
        printf("{\"texts\": %lld, \"out\": ", (long long)c->total);
        json_put_text(stdout, out);
        puts("}");
    } else printf("answers about %lld texts in %s\n", (long long)c->total, out);
    return EXIT_DONE;
}

int store_collect(const char *recipe_file, const char *out, const store_filling *o)
{
    static train_run run;
    collecting c = { .run = &run, .o = o };
    char *part = take_text("%s.part", out);
    signals_watch();
    const int code = collect(&c, recipe_file, out, part);
    kd_store_writer_free(c.writer);
    kd_store_free(c.there);
    train_free(&run);
    free(part);
    return code;
}
