/* The recipe's keys, and what must agree among them. */
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "tool/recipe_file.h"
#include "tool/say.h"

#define BIG 1e15
#define KEY(struct_, name, type, low, high, choices, keys)                                         \
    {                                                                                              \
#name, type, offsetof(struct_, name), low, high, choices, keys                             \
    }
#define END_OF_KEYS                                                                                \
    {                                                                                              \
        NULL, 0, 0, 0, 0, NULL, NULL                                                               \
    }

/* ---- names of values ---- */

static const choice missing_of[] = { { "error", KD_MISSING_ERROR },
                                     { "absent", KD_MISSING_ABSENT },
                                     { NULL, 0 } };
static const choice layers_of[] = { { "uniform", KD_LAYERS_UNIFORM },
                                    { "first", KD_LAYERS_FIRST },
                                    { "last", KD_LAYERS_LAST },
                                    { "blocks", KD_LAYERS_BLOCKS },
                                    { NULL, 0 } };
static const choice activations_of[] = { { "float32", KD_FLOAT32 },
                                         { "bfloat16", KD_BFLOAT16 },
                                         { NULL, 0 } };
static const choice split_of[] = { { "window", SPLIT_WINDOW },
                                   { "line", SPLIT_LINE },
                                   { NULL, 0 } };
static const choice chat_of[] = { { "plain", KD_CHAT_PLAIN },
                                  { "auto", KD_CHAT_AUTO },
                                  { "chatml", KD_CHAT_CHATML },
                                  { "llama3", KD_CHAT_LLAMA3 },
                                  { "llama2", KD_CHAT_LLAMA2 },
                                  { "deepseek", KD_CHAT_DEEPSEEK },
                                  { NULL, 0 } };
static const choice bad_lines_of[] = { { "refuse", KD_BAD_LINES_REFUSE },
                                       { "skip", KD_BAD_LINES_SKIP },
                                       { NULL, 0 } };
static const choice members_of[] = { { "refuse", KD_MEMBERS_REFUSE },
                                     { "keep", KD_MEMBERS_KEEP },
                                     { "drop", KD_MEMBERS_DROP },
                                     { NULL, 0 } };
static const choice metric_of[] = { { "loss", METRIC_LOSS },
                                    { "cross_entropy", METRIC_CROSS_ENTROPY },
                                    { "accuracy", METRIC_ACCURACY },
                                    { "agreement", METRIC_AGREEMENT },
                                    { NULL, 0 } };
static const choice keep_of[] = { { "last", 0 }, { "best", 1 }, { NULL, 0 } };
static const choice optimizer_of[] = { { "sgd", KD_OPTIMIZER_SGD },
                                       { "adamw", KD_OPTIMIZER_ADAMW },
                                       { "adam", KD_OPTIMIZER_ADAM },
                                       { "muon", KD_OPTIMIZER_MUON },
                                       { NULL, 0 } };
static const choice dtype_of[] = {
    { "float32", KD_FLOAT32 }, { "float16", KD_FLOAT16 }, { "bfloat16", KD_BFLOAT16 }, { NULL, 0 }
};
static const choice precision_of[] = { { "float32", KD_PRECISION_FLOAT32 },
                                       { "bfloat16", KD_PRECISION_BFLOAT16 },
                                       { "measured", KD_PRECISION_MEASURED },
                                       { NULL, 0 } };

/* ---- keys ---- */

#define TEACHER(...) KEY(recipe_teacher, __VA_ARGS__)
static const recipe_key teacher_keys[] = { TEACHER(model, KEY_TEXTS, 0, 0, NULL, NULL),
                                           TEACHER(store, KEY_TEXTS, 0, 0, NULL, NULL),
                                           TEACHER(arrays, KEY_NODE, 0, 0, NULL, NULL),
                                           TEACHER(weights, KEY_CHOICE, 0, 0, choices_of_weights,
                                                   NULL),
                                           TEACHER(packed_only, KEY_BOOL, 0, 0, NULL, NULL),
                                           TEACHER(missing, KEY_CHOICE, 0, 0, missing_of, NULL),
                                           TEACHER(any_tokens, KEY_BOOL, 0, 0, NULL, NULL),
                                           TEACHER(any_view, KEY_BOOL, 0, 0, NULL, NULL),
                                           TEACHER(once, KEY_BOOL, 0, 0, NULL, NULL),
                                           END_OF_KEYS };

#define LORA(...) KEY(recipe_lora, __VA_ARGS__)
static const recipe_key lora_keys[] = { LORA(rank, KEY_INTEGER, 1, 1 << 16, NULL, NULL),
                                        LORA(alpha, KEY_NUMBER, 1e-6, 1e6, NULL, NULL),
                                        LORA(pattern, KEY_TEXT, 0, 0, NULL, NULL), END_OF_KEYS };

#define STUDENT(...) KEY(recipe_student, __VA_ARGS__)
static const recipe_key student_keys[] = {
    STUDENT(model, KEY_TEXT, 0, 0, NULL, NULL),
    STUDENT(preset, KEY_TEXT, 0, 0, NULL, NULL),
    STUDENT(config, KEY_NODE, 0, 0, NULL, NULL),
    STUDENT(from, KEY_TEXT, 0, 0, NULL, NULL),
    STUDENT(layers, KEY_INTEGER, 1, 4096, NULL, NULL),
    STUDENT(choose, KEY_CHOICE, 0, 0, layers_of, NULL),
    STUDENT(hidden_size, KEY_INTEGER, 1, 1 << 20, NULL, NULL),
    STUDENT(intermediate_size, KEY_INTEGER, 1, 1 << 24, NULL, NULL),
    STUDENT(key_value_heads, KEY_INTEGER, 1, 4096, NULL, NULL),
    STUDENT(change, KEY_NODE, 0, 0, NULL, NULL),
    STUDENT(calibrate, KEY_BOOL, 0, 0, NULL, NULL),
    STUDENT(recompute, KEY_BOOL, 0, 0, NULL, NULL),
    STUDENT(activations, KEY_CHOICE, 0, 0, activations_of, NULL),
    STUDENT(weights, KEY_CHOICE, 0, 0, choices_of_weights, NULL),
    STUDENT(packed_only, KEY_BOOL, 0, 0, NULL, NULL),
    STUDENT(lora, KEY_OBJECT, 0, 0, NULL, lora_keys),
    STUDENT(freeze, KEY_TEXTS, 0, 0, NULL, NULL),
    END_OF_KEYS
};

#define DATA(...) KEY(recipe_data, __VA_ARGS__)
static const recipe_key data_keys[] = { DATA(text, KEY_TEXTS, 0, 0, NULL, NULL),
                                        DATA(split, KEY_CHOICE, 0, 0, split_of, NULL),
                                        DATA(length, KEY_INTEGER, 2, 1 << 24, NULL, NULL),
                                        DATA(records, KEY_TEXTS, 0, 0, NULL, NULL),
                                        DATA(chat, KEY_CHOICE, 0, 0, chat_of, NULL),
                                        DATA(bad_lines, KEY_CHOICE, 0, 0, bad_lines_of, NULL),
                                        DATA(unsupported, KEY_CHOICE, 0, 0, members_of, NULL),
                                        DATA(train_on_prompt, KEY_BOOL, 0, 0, NULL, NULL),
                                        DATA(keep_reasoning, KEY_BOOL, 0, 0, NULL, NULL),
                                        DATA(max_tokens, KEY_INTEGER, 2, 1 << 24, NULL, NULL),
                                        DATA(arrays, KEY_NODE, 0, 0, NULL, NULL),
                                        DATA(idx, KEY_TEXT, 0, 0, NULL, NULL),
                                        DATA(part, KEY_TEXT, 0, 0, NULL, NULL),
                                        DATA(csv, KEY_TEXT, 0, 0, NULL, NULL),
                                        DATA(header, KEY_BOOL, 0, 0, NULL, NULL),
                                        DATA(label_column, KEY_INTEGER, -2, 1 << 24, NULL, NULL),
                                        DATA(limit, KEY_INTEGER, 1, BIG, NULL, NULL),
                                        END_OF_KEYS };

#define VALIDATION(...) KEY(recipe_validation, __VA_ARGS__)
static const recipe_key validation_keys[] = { VALIDATION(data, KEY_OBJECT, 0, 0, NULL, data_keys),
                                              VALIDATION(share, KEY_NUMBER, 1e-6, 0.9, NULL, NULL),
                                              VALIDATION(every, KEY_INTEGER, 1, BIG, NULL, NULL),
                                              VALIDATION(limit, KEY_INTEGER, 1, BIG, NULL, NULL),
                                              VALIDATION(patience, KEY_INTEGER, 0, 1 << 20, NULL,
                                                         NULL),
                                              VALIDATION(metric, KEY_CHOICE, 0, 0, metric_of, NULL),
                                              VALIDATION(keep, KEY_CHOICE, 0, 0, keep_of, NULL),
                                              END_OF_KEYS };

#define BATCH(...) KEY(recipe_batch, __VA_ARGS__)
static const recipe_key batch_keys[] = { BATCH(samples, KEY_INTEGER, 1, 1 << 24, NULL, NULL),
                                         BATCH(tokens, KEY_INTEGER, 1, 1 << 28, NULL, NULL),
                                         BATCH(texts, KEY_INTEGER, 1, 1 << 24, NULL, NULL),
                                         BATCH(accumulate, KEY_INTEGER, 1, 64, NULL, NULL),
                                         BATCH(shuffle, KEY_BOOL, 0, 0, NULL, NULL),
                                         BATCH(drop_last, KEY_BOOL, 0, 0, NULL, NULL),
                                         BATCH(shift, KEY_INTEGER, 0, 1 << 16, NULL, NULL),
                                         BATCH(flip, KEY_BOOL, 0, 0, NULL, NULL),
                                         END_OF_KEYS };

#define GROUP(...) KEY(recipe_group, __VA_ARGS__)
static const recipe_key group_keys[] = { GROUP(pattern, KEY_TEXT, 0, 0, NULL, NULL),
                                         GROUP(learning_rate, KEY_NUMBER, 0, 1e6, NULL, NULL),
                                         GROUP(weight_decay, KEY_NUMBER, 0, 1e6, NULL, NULL),
                                         GROUP(max_norm, KEY_NUMBER, 0, 1e30, NULL, NULL),
                                         GROUP(frozen, KEY_BOOL, 0, 0, NULL, NULL),
                                         GROUP(lazy, KEY_BOOL, 0, 0, NULL, NULL),
                                         END_OF_KEYS };

#define OPTIMIZER(...) KEY(recipe_optimizer, __VA_ARGS__)
static const recipe_key optimizer_keys[] = {
    OPTIMIZER(kind, KEY_CHOICE, 0, 0, optimizer_of, NULL),
    OPTIMIZER(nesterov, KEY_BOOL, 0, 0, NULL, NULL),
    OPTIMIZER(momentum, KEY_NUMBER, 0, 0.999999, NULL, NULL),
    OPTIMIZER(beta1, KEY_NUMBER, 0, 0.9999999, NULL, NULL),
    OPTIMIZER(beta2, KEY_NUMBER, 0, 0.9999999, NULL, NULL),
    OPTIMIZER(epsilon, KEY_NUMBER, 1e-30, 1, NULL, NULL),
    OPTIMIZER(weight_decay, KEY_NUMBER, 0, 1e6, NULL, NULL),
    OPTIMIZER(clip_norm, KEY_NUMBER, 0, 1e30, NULL, NULL),
    OPTIMIZER(clip_value, KEY_NUMBER, 0, 1e30, NULL, NULL),
    OPTIMIZER(max_norm, KEY_NUMBER, 0, 1e30, NULL, NULL),
    OPTIMIZER(average_decay, KEY_NUMBER, 0, 0.9999999, NULL, NULL),
    { "groups", KEY_NODE, offsetof(recipe_optimizer, groups_node), 0, 0, NULL, NULL },
    END_OF_KEYS
};

#define SAVE(...) KEY(recipe_save, __VA_ARGS__)
static const recipe_key save_keys[] = { SAVE(dtype, KEY_CHOICE, 0, 0, dtype_of, NULL),
                                        SAVE(expand, KEY_BOOL, 0, 0, NULL, NULL),
                                        SAVE(shard_bytes, KEY_INTEGER, 0, BIG, NULL, NULL),
                                        END_OF_KEYS };

typedef struct {
    int64_t every;
} every;
static const recipe_key checkpoint_keys[] = { KEY(every, every, KEY_INTEGER, 1, BIG, NULL, NULL),
                                              END_OF_KEYS };

#define TOP(...) KEY(recipe, __VA_ARGS__)
static const recipe_key top_keys[] = {
    TOP(out, KEY_TEXT, 0, 0, NULL, NULL),
    TOP(note, KEY_TEXT, 0, 0, NULL, NULL),
    TOP(seed, KEY_INTEGER, 0, BIG, NULL, NULL),
    TOP(threads, KEY_INTEGER, 0, 1024, NULL, NULL),
    TOP(precision, KEY_CHOICE, 0, 0, precision_of, NULL),
    TOP(teacher, KEY_OBJECT, 0, 0, NULL, teacher_keys),
    TOP(student, KEY_OBJECT, 0, 0, NULL, student_keys),
    TOP(tokenizer, KEY_TEXT, 0, 0, NULL, NULL),
    TOP(data, KEY_OBJECT, 0, 0, NULL, data_keys),
    TOP(validation, KEY_OBJECT, 0, 0, NULL, validation_keys),
    { "loss", KEY_NODE, offsetof(recipe, terms_node), 0, 0, NULL, NULL },
    TOP(learning_rate, KEY_SCHEDULE, 0, 1e6, NULL, NULL),
    TOP(optimizer, KEY_OBJECT, 0, 0, NULL, optimizer_keys),
    TOP(epochs, KEY_NUMBER, 1e-6, 1e6, NULL, NULL),
    TOP(steps, KEY_INTEGER, 1, 1e12, NULL, NULL),
    TOP(batch, KEY_OBJECT, 0, 0, NULL, batch_keys),
    { "checkpoint", KEY_OBJECT, offsetof(recipe, checkpoint_every), 0, 0, NULL, checkpoint_keys },
    { "log", KEY_OBJECT, offsetof(recipe, log_every), 0, 0, NULL, checkpoint_keys },
    TOP(save, KEY_OBJECT, 0, 0, NULL, save_keys),
    END_OF_KEYS
};

/* ---- defaults ---- */

static void set_data_defaults(recipe_data *d)
{
    d->length = 256;
    d->max_tokens = 32768;
    d->label_column = -1;
    d->header = 1;
    d->keep_reasoning = -1;
    d->chat = UNSET;
}

static void set_defaults(recipe *r)
{
    const kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    memset(r, 0, sizeof *r);
    r->seed = 1;
    set_data_defaults(&r->data);
    set_data_defaults(&r->validation.data);
    r->teacher.weights = KD_FLOAT32;
    r->student.weights = KD_FLOAT32;
    r->student.activations = KD_FLOAT32;
    r->batch = (recipe_batch){ .samples = 128, .tokens = 4096, .accumulate = 1, .shuffle = 1 };
    r->optimizer = (recipe_optimizer){
        .kind = KD_OPTIMIZER_ADAMW, .beta1 = o.beta1, .beta2 = o.beta2, .epsilon = o.epsilon
    };
    r->save.dtype = KD_FLOAT32;
}

int recipe_is_of_tokens(const recipe_data *d) { return d->text.count || d->records.count; }

int recipe_has_data(const recipe_data *d)
{
    return recipe_is_of_tokens(d) || d->arrays || d->idx || d->csv;
}

/* ---- lists of objects ---- */

static int read_groups(problem *p, recipe_optimizer *o)
{
    int32_t n = 0;
    if (!o->groups_node) return 1;
    if (o->groups_node->type != NODE_LIST || o->groups_node->count > 64)
        return wrong_at(p, o->groups_node, "optimizer.groups",
                        "expected a list of at most 64 objects with a pattern, got %s",
                        node_kind(o->groups_node));
    o->groups = take((size_t)(o->groups_node->count + 1) * sizeof *o->groups);
    o->group_count = o->groups_node->count;
    for (const node *m = o->groups_node->first; m; m = m->next, n++) {
        char where[60];
        snprintf(where, sizeof where, "optimizer.groups[%d]", n);
        o->groups[n].learning_rate = 1;
        o->groups[n].weight_decay = o->weight_decay;
        o->groups[n].max_norm = o->max_norm;
        if (!keys_read(p, where, m, group_keys, &o->groups[n])) return 0;
        if (!o->groups[n].pattern || !*o->groups[n].pattern)
            return wrong_at(p, m, where, "expected a \"pattern\" of names as \"*.bias\", got none");
    }
    return 1;
}

/* ---- what must agree ---- */

static int one_of(problem *p, const recipe *r, const char *where, int count, const char *expected)
{
    const node *n = node_member(r->source.root, where);
    if (count == 1) return 1;
    return wrong_at(p, n ? n : r->source.root, where, "expected %s of %s, got %s",
                    count ? "only one" : "one", expected, count ? "several" : "none");
}

static int count_data(const recipe_data *d)
{
    return (d->text.count > 0) + (d->records.count > 0) + !!d->arrays + !!d->idx + !!d->csv;
}

static int check_teacher(problem *p, const recipe *r)
{
    const recipe_teacher *t = &r->teacher;
    if (!r->has_teacher) return 1;
    if (!one_of(p, r, "teacher", (t->model.count > 0) + (t->store.count > 0) + !!t->arrays,
                "model (a folder), store or arrays"))
        return 0;
    if (recipe_is_of_tokens(&r->data) && (t->arrays || t->once))
        return wrong_at(p, node_member(r->source.root, "teacher"), "teacher",
                        "\"arrays\" and \"once\" are for data of arrays; of texts take a store: "
                        "kdistill store collect");
    return 1;
}

static int check_student(problem *p, const recipe *r)
{
    const recipe_student *s = &r->student;
    const int cut = s->layers || s->hidden_size || s->intermediate_size || s->key_value_heads ||
                    s->from || s->change;
    if (!one_of(p, r, "student", !!s->model + !!s->preset + !!s->config + cut,
                "model (a folder), config, preset, or layers (a part of the teacher)"))
        return 0;
    if (cut && !s->from && r->teacher.model.count != 1)
        return wrong_at(p, node_member(r->source.root, "student"), "student",
                        "expected \"from\", the folder that the student is cut from: the teacher "
                        "is not one model");
    if (s->packed_only && !s->lora.rank)
        return wrong_at(p, node_member(r->source.root, "student"), "student.packed_only",
                        "expected \"lora\" beside it: adapters are all that such a student saves");
    return 1;
}

static int check_validation(problem *p, const recipe *r)
{
    const recipe_validation *v = &r->validation;
    const node *n = node_member(r->source.root, "validation");
    const int of_data = count_data(&v->data);
    if (!r->has_validation) return 1;
    if (of_data + (v->share > 0) != 1)
        return wrong_at(p, n, "validation",
                        "expected \"share\" (of the data, held out) or \"data\", got %s",
                        of_data ? "several" : "neither");
    if (of_data && recipe_is_of_tokens(&v->data) != recipe_is_of_tokens(&r->data))
        return wrong_at(p, n, "validation", "expected data of the same kind as \"data\"");
    if (recipe_is_of_tokens(&r->data) && v->metric == METRIC_ACCURACY)
        return wrong_at(p, n, "validation.metric",
                        "expected loss, cross_entropy or agreement for texts, got \"accuracy\"");
    return 1;
}

static int check(problem *p, recipe *r)
{
    const node *root = r->source.root;
    r->has_teacher = node_member(root, "teacher") != NULL;
    r->has_validation = node_member(root, "validation") != NULL;
    const node *student = node_member(root, "student");
    if (student && node_member(student, "lora") && !r->student.lora.rank) r->student.lora.rank = 8;
    if (!r->out || !*r->out)
        return wrong_at(p, root, "", "expected \"out\", the folder of the run, got none");
    if (!one_of(p, r, "data", count_data(&r->data), "text, records, arrays, idx or csv")) return 0;
    if (!check_teacher(p, r) || !check_student(p, r) || !check_validation(p, r)) return 0;
    if (!r->epochs == !r->steps)
        return wrong_at(p, root, "", "expected \"epochs\" or \"steps\", got %s",
                        r->steps ? "both" : "neither");
    if (!r->learning_rate.kind)
        return wrong_at(p, root, "",
                        "expected \"learning_rate\", got none; 1e-3 suits small "
                        "students, 1e-4 large ones");
    return read_groups(p, &r->optimizer) && recipe_read_terms(p, r);
}

/* ---- files ---- */

/* "$KD_DATA/mnist": what the environment says; NULL: nothing. */
static char *from_environment(const char *name)
{
    const size_t length = strcspn(name, "/");
    char *variable = take_text("%.*s", (int)length - 1, name + 1);
    const char *value = getenv(variable);
    free(variable);
    return value ? take_text("%s%s", value, name + length) : NULL;
}

char *recipe_path(const recipe *r, const char *name)
{
    char *known = name[0] == '$' ? from_environment(name) : NULL;
    if (known) return known;
    return take_text("%s%s", kd__os_is_absolute(name) ? "" : r->folder, name);
}

/* "batch.tokens=512" */
static int put_overrides(recipe *r, const texts *overrides)
{
    for (int i = 0; overrides && i < overrides->count; i++) {
        const char *word = overrides->items[i], *equals = strchr(word, '=');
        if (!equals) return say(EXIT_USAGE, "--set: expected key=value, got '%s'", word);
        char *path = take_text("%.*s", (int)(equals - word), word);
        const int good = tree_set(&r->source, path, equals + 1);
        free(path);
        if (!good) return say(EXIT_USAGE, "%s", r->source.error);
    }
    return EXIT_DONE;
}

int recipe_load(recipe *r, const char *path, const texts *overrides)
{
    problem p = { .file = path };
    size_t size, folder = strlen(path);
    while (folder && !kd__os_separates(path[folder - 1])) folder--;
    set_defaults(r);
    r->folder = take_text("%.*s", (int)folder, path);
    if (!(r->text = file_read(path, &size))) return EXIT_FAILED;
    if (size > 16 << 20)
        return say(EXIT_REFUSED, "%s: expected a recipe of at most 16 MB, got %zu bytes", path,
                   size);
    if (!tree_read(&r->source, r->text, size, path))
        return say(EXIT_REFUSED, "%s", r->source.error);
    if (r->source.root->type != NODE_OBJECT)
        return say(EXIT_REFUSED,
                   "%s: expected an object { .. }, got %s; kdistill train --init "
                   "lists recipes to begin with",
                   path, node_kind(r->source.root));
    PART(put_overrides(r, overrides));
    if (!keys_read(&p, "", r->source.root, top_keys, r) || !check(&p, r))
        return say(EXIT_REFUSED, "%s", p.text);
    r->canonical = node_write(r->source.root, "threads");
    return EXIT_DONE;
}

static void free_texts(texts *t) { free(t->items); }

void recipe_free(recipe *r)
{
    free_texts(&r->teacher.model);
    free_texts(&r->teacher.store);
    free_texts(&r->student.freeze);
    free_texts(&r->data.text);
    free_texts(&r->data.records);
    free_texts(&r->validation.data.text);
    free_texts(&r->validation.data.records);
    free(r->optimizer.groups);
    free(r->terms);
    free(r->canonical);
    free(r->text);
    free(r->folder);
    tree_free(&r->source);
}
