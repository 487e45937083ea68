/* Context, tokenizer, teachers and student of a run. */
#include <stdlib.h>
#include <string.h>

#include "tool/bar.h"
#include "tool/say.h"
#include "tool/train.h"

int train_open_context(train_run *run)
{
    static const kd_progress progress = { sizeof progress, 0, NULL, bar_progress };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    o.threads = (int32_t)run->recipe.threads;
    o.seed = (uint64_t)run->recipe.seed;
    o.matmul_precision = run->recipe.precision;
    o.logger = &say_logger;
    o.progress = &progress;
    NEED(kd_context_create(&run->context, &o));
    saying.listens = 1;
    return EXIT_DONE;
}

/* ---- tokenizer ---- */

/* Whose tokenizer: the recipe's, the student's, what it is cut from, the teacher's. */
static const char *tokenizer_name(const recipe *r)
{
    if (r->tokenizer && *r->tokenizer) return r->tokenizer;
    if (r->student.model) return r->student.model;
    if (r->student.from) return r->student.from;
    return r->teacher.model.count ? r->teacher.model.items[0] : NULL;
}

/* The teacher's ids must be the student's. */
static int compare_tokenizers(train_run *run, const char *ours, const char *name)
{
    char *theirs = recipe_path(&run->recipe, name), *text = NULL;
    kd_tokenizer *other;
    int64_t differences = 0;
    int code = EXIT_DONE;
    kd_status status = KD_ERR_NOT_FOUND; /* without a tokenizer: the number of classes tells */
    if (strcmp(ours, theirs)) status = kd_tokenizer_load(&other, run->context, theirs);
    if (status < 0) {
        free(theirs);
        return status == KD_ERR_NOT_FOUND ? EXIT_DONE : say_library();
    }
    status = kd_tokenizer_compare(run->tokenizer, other, NULL, 0, 1, &differences, &text);
    if (status < 0) code = say_library();
    else if (differences)
        code = say(EXIT_FAILED,
                   "%s: expected a teacher with the student's tokenizer, got %lld ids that differ "
                   "(%s); docs/losses.md shows how a program distills across tokenizers",
                   theirs, (long long)differences, text ? text : "");
    kd_context_free_text(run->context, text);
    kd_tokenizer_free(other);
    free(theirs);
    return code;
}

int train_open_tokenizer(train_run *run)
{
    const recipe *r = &run->recipe;
    const char *name = tokenizer_name(r);
    int code = EXIT_DONE;
    if (!recipe_is_of_tokens(&r->data)) return EXIT_DONE;
    if (!name)
        return say(EXIT_REFUSED,
                   "%s: expected \"tokenizer\", a folder with tokenizer.json, got "
                   "none",
                   r->source.name);
    char *path = recipe_path(r, name);
    if (kd_tokenizer_load(&run->tokenizer, run->context, path) < 0) code = say_library();
    for (int i = 0; i < r->teacher.model.count && code == EXIT_DONE; i++)
        code = compare_tokenizers(run, path, r->teacher.model.items[i]);
    free(path);
    return code;
}

/* ---- teachers ---- */

static int load_teachers(train_run *run)
{
    const recipe_teacher *t = &run->recipe.teacher;
    kd_teacher *members[MOST_TEACHERS] = { NULL };
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_status status = KD_OK;
    if (t->model.count > MOST_TEACHERS)
        return say(EXIT_REFUSED, "teacher.model: expected at most %d folders, got %d",
                   MOST_TEACHERS, t->model.count);
    o.frozen = 1;
    o.weights = t->weights;
    o.packed_only = t->packed_only;
    for (int i = 0; i < t->model.count && status == KD_OK; i++) {
        char *path = recipe_path(&run->recipe, t->model.items[i]);
        status = kd_model_load(&run->teachers[i], run->context, path, &o);
        free(path);
        if (status == KD_OK) status = kd_teacher_from_model(&members[i], run->teachers[i], NULL);
        run->teacher_count = i + 1;
    }
    if (status == KD_OK && t->model.count > 1)
        status =
            kd_teacher_from_ensemble(&run->teacher, run->context, members, t->model.count, NULL);
    else if (status == KD_OK) {
        run->teacher = members[0];
        members[0] = NULL;
    }
    for (int i = 0; i < MOST_TEACHERS; i++) kd_teacher_free(members[i]);
    return status < 0 ? say_library() : EXIT_DONE;
}

static kd_teacher_options teacher_options(const train_run *run, int32_t missing)
{
    kd_teacher_options o = KD_TEACHER_OPTIONS_INIT;
    o.missing = missing;
    o.any_tokens = run->recipe.teacher.any_tokens;
    o.any_view = run->recipe.teacher.any_view;
    return o;
}

static kd_status open_stores(train_run *run, int32_t missing, kd_teacher **out)
{
    const texts *names = &run->recipe.teacher.store;
    const kd_teacher_options o = teacher_options(run, missing);
    char **paths = take((size_t)names->count * sizeof *paths);
    kd_store *store = NULL;
    for (int i = 0; i < names->count; i++) paths[i] = recipe_path(&run->recipe, names->items[i]);
    kd_status status =
        kd_store_open(&store, run->context, (const char *const *)paths, names->count, NULL);
    if (status == KD_OK) status = kd_teacher_from_store(out, store, &o);
    kd_store_free(store);
    for (int i = 0; i < names->count; i++) free(paths[i]);
    free(paths);
    return status;
}

/* A file's array as a field of the teacher. */
static int add_teacher_array(train_run *run, kd_teacher *teacher, const node *n)
{
    kd_dataset *file = NULL;
    kd_array values;
    if (n->type != NODE_TEXT)
        return say(EXIT_REFUSED, "%s:%d: teacher.arrays.%.60s: expected an npy file, got %s",
                   run->recipe.source.name, n->line, n->key, node_kind(n));
    char *path = recipe_path(&run->recipe, n->text);
    kd_status status = kd_dataset_create(&file, run->context, NULL);
    if (status == KD_OK) status = kd_dataset_add_file(file, n->key, path, NULL);
    if (status == KD_OK) status = kd_dataset_field(file, n->key, &values, NULL);
    if (status == KD_OK) status = kd_teacher_add(teacher, n->key, &values);
    const int code = status < 0 ? say_library() : EXIT_DONE;
    kd_dataset_free(file);
    free(path);
    return code;
}

/* Answers as arrays, a row for each sample of the whole data; found by key, so that a part of the
 * data finds its own. */
static int open_teacher_arrays(train_run *run)
{
    const node *arrays = run->recipe.teacher.arrays;
    kd_teacher_options o = teacher_options(run, run->recipe.teacher.missing);
    int64_t samples;
    if (arrays->type != NODE_OBJECT || !arrays->count)
        return say(EXIT_REFUSED,
                   "%s:%d: teacher.arrays: expected an object of fields and npy "
                   "files, as {\"logits\": \"logits.npy\"}, got %s",
                   run->recipe.source.name, arrays->line, node_kind(arrays));
    NEED(kd_dataset_sample_count(run->whole, &samples));
    uint64_t *keys = take((size_t)samples * 2 * sizeof *keys);
    kd_status status = KD_OK;
    for (int64_t i = 0; i < samples && status == KD_OK; i++)
        status = kd_dataset_key(run->whole, i, keys + 2 * i);
    const kd_array of_samples = KD_ARRAY_2D(keys, KD_UINT64, samples, 2);
    o.lookup = KD_LOOKUP_KEY;
    if (status == KD_OK) status = kd_teacher_create(&run->teacher, run->context, &of_samples, &o);
    free(keys);
    NEED(status);
    for (const node *n = arrays->first; n; n = n->next)
        PART(add_teacher_array(run, run->teacher, n));
    return EXIT_DONE;
}

/* A live teacher's answers for all samples, kept in memory: it runs once instead of once an
 * epoch. */
static int ask_once(train_run *run)
{
    kd_teacher *live = run->teacher, *kept;
    const recipe *r = &run->recipe;
    if (r->batch.shift || r->batch.flip)
        return say(EXIT_REFUSED,
                   "%s: teacher.once: expected data without shift and flip, whose "
                   "views each need an answer",
                   r->source.name);
    NEED(kd_teacher_collect(&kept, live, run->whole, (int32_t)r->batch.samples));
    run->teacher = kept;
    run->held_teacher = live;
    return EXIT_DONE;
}

int train_open_teacher(train_run *run)
{
    const recipe *r = &run->recipe;
    if (!r->has_teacher) return EXIT_DONE;
    if (r->teacher.model.count) return load_teachers(run);
    if (r->teacher.arrays) return open_teacher_arrays(run);
    NEED(open_stores(run, r->teacher.missing, &run->teacher));
    if (r->has_validation) NEED(open_stores(run, KD_MISSING_ABSENT, &run->held_teacher));
    return EXIT_DONE;
}

int train_teacher_is_live(const train_run *run)
{
    return run->teacher_count > 0 && !run->recipe.teacher.once;
}

/* ---- student ---- */

static kd_model_options student_options(const train_run *run)
{
    const recipe_student *s = &run->recipe.student;
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.recompute = s->recompute;
    o.activations = s->activations;
    o.weights = s->weights;
    o.packed_only = s->packed_only;
    return o;
}

/* A config with the tokenizer's number of ids, where it says none of its own. */
static int create_student(train_run *run, const char *json, const char *what, int is_preset)
{
    const kd_model_options o = student_options(run);
    tree config;
    char number[24];
    int64_t size;
    if (!tree_read(&config, json, strlen(json), what)) {
        tree_free(&config);
        return say(EXIT_REFUSED, "%s", config.error);
    }
    if (run->tokenizer && (is_preset || !node_member(config.root, "vocab_size"))) {
        kd_status status = kd_tokenizer_vocabulary_size(run->tokenizer, &size);
        snprintf(number, sizeof number, "%lld", status == KD_OK ? (long long)size : 0LL);
        tree_set(&config, "vocab_size", number);
    }
    char *text = node_write(config.root, NULL);
    tree_free(&config);
    const kd_status status = kd_model_create(&run->student, run->context, text, &o);
    free(text);
    return status < 0 ? say_library() : EXIT_DONE;
}

static int create_from_config(train_run *run)
{
    const node *config = run->recipe.student.config;
    size_t size;
    if (config->type == NODE_OBJECT) {
        char *text = node_write(config, NULL);
        const int code = create_student(run, text, "student.config", 0);
        free(text);
        return code;
    }
    if (config->type != NODE_TEXT)
        return say(EXIT_REFUSED,
                   "%s:%d: student.config: expected an object, or a file's name, got "
                   "%s",
                   run->recipe.source.name, config->line, node_kind(config));
    char *path = recipe_path(&run->recipe, config->text), *text = file_read(path, &size);
    const int code = text ? create_student(run, text, path, 0) : EXIT_FAILED;
    free(text);
    free(path);
    return code;
}

/* A part of the teacher, or of `from`. */
static int cut_student(train_run *run)
{
    const recipe_student *s = &run->recipe.student;
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    kd_model *from = run->teachers[0], *loaded = NULL;
    kd_model_options frozen = KD_MODEL_OPTIONS_INIT;
    kd_batch *batch = NULL;
    kd_status status = KD_OK;
    if (s->from) {
        char *path = recipe_path(&run->recipe, s->from);
        frozen.frozen = 1;
        status = kd_model_load(&loaded, run->context, path, &frozen);
        from = loaded;
        free(path);
    }
    char *change = s->change ? node_write(s->change, NULL) : NULL;
    o.layers = (int32_t)s->layers;
    o.choose = s->choose;
    o.hidden_size = (int32_t)s->hidden_size;
    o.intermediate_size = (int32_t)s->intermediate_size;
    o.key_value_heads = (int32_t)s->key_value_heads;
    o.config = change;
    o.model = student_options(run);
    if (status == KD_OK && s->calibrate) {
        status = kd_batch_create(&batch, run->context, NULL);
        if (status == KD_OK) status = source_next(&run->train, batch);
        if (status == KD_OK) status = source_rewind(&run->train);
        o.calibration = batch;
    }
    if (status == KD_OK) status = kd_student_create(&run->student, from, &o);
    free(change);
    kd_batch_free(batch);
    const int code = status < 0 ? say_library() : EXIT_DONE;
    kd_model_free(loaded);
    return code;
}

static int load_student(train_run *run)
{
    const kd_model_options o = student_options(run);
    char *path = recipe_path(&run->recipe, run->recipe.student.model);
    const kd_status status = kd_model_load(&run->student, run->context, path, &o);
    free(path);
    return status < 0 ? say_library() : EXIT_DONE;
}

int train_open_student(train_run *run)
{
    const recipe_student *s = &run->recipe.student;
    const char *json;
    if (s->preset) {
        NEED(kd_student_preset(s->preset, &json));
        PART(create_student(run, json, s->preset, 1));
    } else if (s->config) PART(create_from_config(run));
    else if (s->model) PART(load_student(run));
    else PART(cut_student(run));
    for (int i = 0; i < s->freeze.count; i++)
        NEED(kd_model_freeze(run->student, s->freeze.items[i], 1));
    if (s->lora.rank) {
        kd_lora_options o = KD_LORA_OPTIONS_INIT;
        o.rank = (int32_t)s->lora.rank;
        o.alpha = s->lora.alpha > 0 ? s->lora.alpha : 2.0 * (double)s->lora.rank;
        NEED(kd_model_add_lora(run->student, s->lora.pattern, &o));
    }
    /* After the student, which may be cut from the live teacher. */
    return run->recipe.teacher.once && run->teacher_count ? ask_once(run) : EXIT_DONE;
}

/* ---- saving ---- */

/* What a reader of the folder needs beside the weights, where the model did not bring it along. */
static int save_tokenizer(train_run *run, const char *folder)
{
    static const char *const files[] = { "tokenizer.json", "tokenizer_config.json",
                                         "special_tokens_map.json", "generation_config.json",
                                         "chat_template.jinja" };
    char *from = recipe_path(&run->recipe, tokenizer_name(&run->recipe));
    int code = EXIT_DONE;
    for (size_t i = 0; i < sizeof files / sizeof *files && code == EXIT_DONE; i++) {
        char *here = take_text("%s/%s", from, files[i]),
             *there = take_text("%s/%s", folder, files[i]);
        code = file_copy(here, there);
        free(here);
        free(there);
    }
    free(from);
    return code;
}

int train_save_student(train_run *run, const char *folder)
{
    const recipe_save *s = &run->recipe.save;
    kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
    o.dtype = s->dtype;
    o.expand = s->expand;
    o.shard_bytes = s->shard_bytes;
    NEED(kd_model_save(run->student, folder, &o));
    return run->tokenizer ? save_tokenizer(run, folder) : EXIT_DONE;
}
