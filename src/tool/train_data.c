/* The texts and arrays of a run, and the part of them that is held out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool/bar.h"
#include "tool/say.h"
#include "tool/train.h"

/* Which side of the split: by its key and the recipe's seed alone. */
static kd_status is_held(const train_run *run, const uint64_t key[2], int32_t *held)
{
    *held = 0;
    if (run->recipe.validation.share <= 0) return KD_OK;
    return kd_curation_is_held_out(key, (uint64_t)run->recipe.seed, run->recipe.validation.share,
                                   held);
}

/* ---- texts ---- */

/* The packers to fill: the second one NULL where nothing is held out of these files. */
typedef struct {
    train_run *run;
    const recipe_data *data;
    kd_packer *packer, *held;
    int64_t added, held_added;
} filling;

static int is_full(const filling *f) { return f->data->limit && f->added >= f->data->limit; }

/* Which packer a text goes into; NULL: none. */
static kd_status choose(filling *f, const uint64_t key[2], kd_packer **to)
{
    const int64_t limit = f->run->recipe.validation.limit;
    int32_t held = 0;
    kd_status status = f->held ? is_held(f->run, key, &held) : KD_OK;
    *to = held ? f->held : f->packer;
    if (held && limit && f->held_added >= limit) *to = NULL;
    if (*to) (*(held ? &f->held_added : &f->added))++;
    return status;
}

static kd_status add_ids(filling *f, const int32_t *ids, int64_t count)
{
    const kd_array tokens = KD_ARRAY_1D(ids, KD_INT32, count);
    uint64_t key[2];
    kd_packer *to;
    kd_status status = kd_store_key(f->run->context, &tokens, &key[0], &key[1]);
    if (status == KD_OK) status = choose(f, key, &to);
    return status == KD_OK && to ? kd_packer_add_ids(to, ids, NULL, count, key, 0) : status;
}

/* Pieces of so many tokens; what is left at the end is too short to learn much from. */
static int add_windows(filling *f, const char *text, size_t size)
{
    int64_t count;
    kd_tokenizer *t = f->run->tokenizer;
    NEED(kd_tokenizer_encode(t, text, (int64_t)size, 0, NULL, 0, &count));
    int32_t *ids = take((size_t)(count + 1) * sizeof *ids);
    kd_status status = kd_tokenizer_encode(t, text, (int64_t)size, 0, ids, count, &count);
    for (int64_t at = 0; status == KD_OK && at + 1 < count && !is_full(f); at += f->data->length) {
        const int64_t left = count - at, n = left < f->data->length ? left : f->data->length;
        if (at && n < f->data->length / 2) break;
        status = add_ids(f, ids + at, n);
    }
    free(ids);
    return status < 0 ? say_library() : EXIT_DONE;
}

/* A text each line: with what the tokenizer puts around a text, and an end token where there is
 * one. */
static int add_line(filling *f, const char *line, size_t length)
{
    kd_tokenizer *t = f->run->tokenizer;
    const int32_t *ends;
    int32_t end_count;
    int64_t count, room = (int64_t)length + 16;
    int32_t *ids = take((size_t)(room + 1) * sizeof *ids);
    kd_status status = kd_tokenizer_end_tokens(t, &ends, &end_count);
    if (status == KD_OK)
        status = kd_tokenizer_encode(t, line, (int64_t)length, KD_TOKENIZER_ADD_SPECIAL, ids, room,
                                     &count);
    if (status == KD_ERR_RANGE) { /* a token for less than a byte */
        room = count;
        ids = take_more(ids, (size_t)(room + 1) * sizeof *ids);
        status = kd_tokenizer_encode(t, line, (int64_t)length, KD_TOKENIZER_ADD_SPECIAL, ids, room,
                                     &count);
    }
    if (status == KD_OK && end_count && count && ids[count - 1] != ends[0]) ids[count++] = ends[0];
    if (status == KD_OK && count > f->data->max_tokens) count = f->data->max_tokens;
    if (status == KD_OK && count > 1) status = add_ids(f, ids, count);
    free(ids);
    return status < 0 ? say_library() : EXIT_DONE;
}

static int add_lines(filling *f, const char *text)
{
    while (*text && !is_full(f)) {
        size_t length = strcspn(text, "\n");
        const char *next = text + length + (text[length] == '\n');
        while (length && (text[length - 1] == '\r' || text[length - 1] == ' ')) length--;
        if (length) PART(add_line(f, text, length));
        text = next;
    }
    return EXIT_DONE;
}

static int add_text_files(filling *f)
{
    for (int i = 0; i < f->data->text.count && !is_full(f); i++) {
        char *path = recipe_path(&f->run->recipe, f->data->text.items[i]);
        size_t size;
        char *text = file_read(path, &size);
        int code = text ? EXIT_DONE : EXIT_FAILED;
        if (text && strlen(text) != size)
            code = say(EXIT_FAILED, "%s: expected a text, got a file with a byte 0", path);
        if (code == EXIT_DONE)
            code = f->data->split == SPLIT_LINE ? add_lines(f, text) : add_windows(f, text, size);
        free(text);
        free(path);
        PART(code);
    }
    return EXIT_DONE;
}

static int add_records(filling *f)
{
    const recipe_data *d = f->data;
    kd_record_options o = KD_RECORD_OPTIONS_INIT;
    kd_record record = KD_RECORD_INIT;
    kd_record_reader *reader;
    kd_packer *to;
    kd_status status;
    char **paths = take((size_t)d->records.count * sizeof *paths);
    for (int i = 0; i < d->records.count; i++)
        paths[i] = recipe_path(&f->run->recipe, d->records.items[i]);
    o.bad_lines = d->bad_lines;
    o.unsupported = d->unsupported;
    status = kd_record_reader_open(&reader, f->run->context, (const char *const *)paths,
                                   d->records.count, &o);
    for (int i = 0; i < d->records.count; i++) free(paths[i]);
    free(paths);
    NEED(status);
    while (!is_full(f) && (status = kd_record_reader_next(reader, &record)) == KD_OK) {
        if ((status = choose(f, record.prompt_key, &to)) < 0) break;
        if (to && (status = kd_packer_add(to, &record, 0)) < 0) break;
    }
    kd_record_reader_free(reader);
    return status < 0 ? say_library() : EXIT_DONE;
}

/* The chat format of records: the recipe's, else the folder's own where it has one. */
static int32_t chat_of(const train_run *run, const recipe_data *d)
{
    char hash[KD_HASH_BYTES];
    if (d->chat != UNSET) return d->chat;
    return kd_tokenizer_hash(run->tokenizer, KD_HASH_TEMPLATE, hash) == KD_OK ? KD_CHAT_AUTO
                                                                              : KD_CHAT_PLAIN;
}

static kd_status create_packer(train_run *run, const recipe_data *d, kd_packer **out)
{
    kd_packer_options o = KD_PACKER_OPTIONS_INIT;
    o.batch_tokens = run->recipe.batch.tokens;
    o.batch_texts = run->recipe.batch.texts;
    o.max_tokens = d->max_tokens;
    o.train_on_prompt = d->train_on_prompt;
    o.keep_reasoning = d->keep_reasoning;
    o.chat = chat_of(run, d);
    o.seed = (uint64_t)run->recipe.seed;
    return kd_packer_create(out, run->context, run->tokenizer, &o);
}

static int fill(train_run *run, const recipe_data *d, kd_packer *packer, kd_packer *held)
{
    filling f = { run, d, packer, held, 0, 0 };
    return d->text.count ? add_text_files(&f) : add_records(&f);
}

static int end_source(train_source *s, const char *what)
{
    kd_packer_info info = { .struct_size = sizeof info };
    int32_t count = PACKER_STATE;
    NEED(kd_packer_get_info(s->packer, &info));
    NEED(kd_packer_get_state(s->packer, s->first, &count));
    s->texts = info.texts;
    if (info.cut) say_note("%s: %lld texts were cut at max_tokens", what, (long long)info.cut);
    if (info.texts) return EXIT_DONE;
    return say(EXIT_FAILED, "%s: expected texts, got none; look at its files, length and share",
               what);
}

static int open_texts(train_run *run)
{
    const recipe *r = &run->recipe;
    const int apart = r->has_validation && recipe_has_data(&r->validation.data);
    recipe_data held = r->validation.data;
    if (!held.limit) held.limit = r->validation.limit;
    NEED(create_packer(run, &r->data, &run->train.packer));
    if (r->has_validation) NEED(create_packer(run, apart ? &held : &r->data, &run->held.packer));
    PART(fill(run, &r->data, run->train.packer, apart ? NULL : run->held.packer));
    if (apart) PART(fill(run, &held, run->held.packer, NULL));
    PART(end_source(&run->train, "data"));
    return r->has_validation ? end_source(&run->held, "validation") : EXIT_DONE;
}

/* ---- arrays ---- */

typedef struct {
    const char *file;
    double scale, shift;
} field_plan;

static int add_field(train_run *run, kd_dataset *dataset, const node *n)
{
    static const recipe_key keys[] = {
        { "file", KEY_TEXT, offsetof(field_plan, file), 0, 0, NULL, NULL },
        { "scale", KEY_NUMBER, offsetof(field_plan, scale), -1e30, 1e30, NULL, NULL },
        { "shift", KEY_NUMBER, offsetof(field_plan, shift), -1e30, 1e30, NULL, NULL },
        { NULL, 0, 0, 0, 0, NULL, NULL }
    };
    kd_field_options o = KD_FIELD_OPTIONS_INIT;
    field_plan plan = { NULL, 1, 0 };
    problem p = { .file = run->recipe.source.name };
    char where[100];
    snprintf(where, sizeof where, "data.arrays.%.60s", n->key);
    if (n->type == NODE_TEXT) plan.file = n->text;
    else if (!keys_read(&p, where, n, keys, &plan)) return say(EXIT_REFUSED, "%s", p.text);
    if (!plan.file || !*plan.file)
        return say(EXIT_REFUSED, "%s: expected \"file\", an npy or IDX file, got none", where);
    char *path = recipe_path(&run->recipe, plan.file);
    o.scale = plan.scale;
    o.shift = plan.shift;
    const kd_status status = kd_dataset_add_file(dataset, n->key, path, &o);
    free(path);
    return status < 0 ? say_library() : EXIT_DONE;
}

static int load_csv(train_run *run, const recipe_data *d, const char *path, kd_dataset **out)
{
    kd_csv_options o = KD_CSV_OPTIONS_INIT;
    o.header = d->header;
    o.label_column = (int32_t)d->label_column;
    NEED(kd_dataset_load_csv(out, run->context, path, &o));
    return EXIT_DONE;
}

static int load_arrays(train_run *run, const recipe_data *d, kd_dataset **out)
{
    if (d->idx || d->csv) {
        char *path = recipe_path(&run->recipe, d->idx ? d->idx : d->csv);
        kd_status status = KD_OK;
        int code = EXIT_DONE;
        if (d->idx)
            status =
                kd_dataset_load_idx(out, run->context, path, d->part ? d->part : "train", NULL);
        else code = load_csv(run, d, path, out);
        free(path);
        return status < 0 ? say_library() : code;
    }
    if (d->arrays->type != NODE_OBJECT || !d->arrays->count)
        return say(EXIT_REFUSED,
                   "%s:%d: data.arrays: expected an object of fields and files, as "
                   "{\"inputs\": \"x.npy\", \"label\": \"y.npy\"}, got %s",
                   run->recipe.source.name, d->arrays->line, node_kind(d->arrays));
    NEED(kd_dataset_create(out, run->context, NULL));
    for (const node *n = d->arrays->first; n; n = n->next) PART(add_field(run, *out, n));
    return EXIT_DONE;
}

/* The samples of a dataset on one side of the split, at most `limit` (0: all), as a new one. */
static int select_side(train_run *run, kd_dataset *from, int32_t side, int64_t limit,
                       kd_dataset **out)
{
    int64_t samples, count = 0;
    kd_status status = KD_OK;
    NEED(kd_dataset_sample_count(from, &samples));
    int64_t *chosen = take((size_t)(samples + 1) * sizeof *chosen);
    for (int64_t i = 0; i < samples && status == KD_OK && (!limit || count < limit); i++) {
        uint64_t key[2];
        int32_t held = side;
        status = kd_dataset_key(from, i, key);
        if (status == KD_OK && side >= 0) status = is_held(run, key, &held);
        if (held == side) chosen[count++] = i;
    }
    const kd_array indices = KD_ARRAY_1D(chosen, KD_INT64, count);
    if (status == KD_OK && count) status = kd_dataset_select(out, from, &indices);
    free(chosen);
    if (status < 0) return say_library();
    return count ? EXIT_DONE
                 : say(EXIT_FAILED, "%s: expected samples, got none; look at its files and share",
                       side ? "validation" : "data");
}

static int open_loader(train_run *run, train_source *s, int train)
{
    const recipe_batch *b = &run->recipe.batch;
    kd_loader_options o = KD_LOADER_OPTIONS_INIT;
    o.batch_size = (int32_t)b->samples;
    o.shuffle = train && b->shuffle;
    o.drop_last = train && b->drop_last;
    o.shift = train ? (int32_t)b->shift : 0;
    o.flip = train && b->flip;
    o.seed = (uint64_t)run->recipe.seed;
    NEED(kd_dataset_sample_count(s->dataset, &s->texts));
    NEED(kd_loader_create(&s->loader, s->dataset, &o));
    return EXIT_DONE;
}

static int open_arrays(train_run *run)
{
    const recipe *r = &run->recipe;
    const recipe_validation *v = &r->validation;
    kd_dataset *held = NULL;
    PART(load_arrays(run, &r->data, &run->whole));
    if (v->share > 0 || r->data.limit)
        PART(select_side(run, run->whole, v->share > 0 ? 0 : -1, r->data.limit,
                         &run->train.dataset));
    else run->train.dataset = run->whole;
    if (v->share > 0) PART(select_side(run, run->whole, 1, v->limit, &run->held.dataset));
    else if (r->has_validation) {
        int code = load_arrays(run, &v->data, &held);
        if (code == EXIT_DONE) code = select_side(run, held, -1, v->limit, &run->held.dataset);
        kd_dataset_free(held);
        PART(code);
    }
    PART(open_loader(run, &run->train, 1));
    return r->has_validation ? open_loader(run, &run->held, 0) : EXIT_DONE;
}

int train_open_data(train_run *run)
{
    return recipe_is_of_tokens(&run->recipe.data) ? open_texts(run) : open_arrays(run);
}

/* ---- batches ---- */

kd_status source_next(train_source *s, kd_batch *batch)
{
    if (s->packer) return kd_packer_next(s->packer, batch);
    kd_status status = kd_loader_next(s->loader, batch);
    return status == KD_END ? kd_loader_next(s->loader, batch) : status;
}

kd_status source_rewind(train_source *s)
{
    return s->packer ? kd_packer_set_state(s->packer, s->first, PACKER_STATE)
                     : kd_loader_seek(s->loader, 0);
}

/* Batches until `epochs` passes over a packer's texts: they are packed once to see. */
static int count_packed(train_run *run, double epochs, int64_t *count)
{
    kd_packer_info info = { .struct_size = sizeof info };
    kd_batch *batch;
    kd_status status = KD_OK;
    const double most = epochs * (double)run->train.texts;
    NEED(kd_batch_create(&batch, run->context, NULL));
    for (*count = 0; status == KD_OK && !signals_came() && (double)info.texts_given < most;
         ++*count) {
        status = kd_packer_next(run->train.packer, batch);
        if (status == KD_OK) status = kd_packer_get_info(run->train.packer, &info);
    }
    kd_batch_free(batch);
    if (status == KD_OK) status = source_rewind(&run->train);
    return status < 0 || signals_came() ? say_library() : EXIT_DONE;
}

int train_count_steps(train_run *run)
{
    const recipe *r = &run->recipe;
    int64_t batches = 0;
    if (r->steps) {
        run->steps = r->steps;
        return EXIT_DONE;
    }
    if (run->train.packer) PART(count_packed(run, r->epochs, &batches));
    else {
        NEED(kd_loader_position(run->train.loader, NULL, NULL, &batches));
        batches = (int64_t)ceil((double)batches * r->epochs - 1e-9);
    }
    run->steps = (batches + r->batch.accumulate - 1) / r->batch.accumulate;
    if (run->steps > 0) return EXIT_DONE;
    return say(EXIT_FAILED, "epochs: expected a step at least, got none; take a smaller batch");
}
