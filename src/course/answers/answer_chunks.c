/* Answers by many workers, who share nothing but a folder: chunks of prompts, each claimed by one,
 * each a file that appears as a whole. plan.json says what the chunks are of. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/os.h"
#include "base/text.h"
#include "course/answers/answers.h"
#include "formats/json.h"
#include "math/random.h"

typedef struct {
    int64_t prompts, chunk_prompts, samples, chunks;
    uint64_t key; /* of all prompts, in order */
} plan;

/* ---- the plan ---- */

static kd_status read_prompts(kd_record_reader *reader, int64_t most, plan *p)
{
    kd_record record = KD_RECORD_INIT;
    kd_status status = kd_record_reader_rewind(reader);
    p->prompts = 0;
    p->key = 0;
    while (status == KD_OK && (!most || p->prompts < most)) {
        status = kd_record_reader_next(reader, &record);
        if (status != KD_OK) break;
        p->key = kd__mix(p->key ^ record.prompt_key[0]) + record.prompt_key[1];
        p->prompts++;
    }
    if (status != KD_OK && status != KD_END) return status;
    p->chunks = kd__ceil_div(p->prompts, p->chunk_prompts);
    return kd_record_reader_rewind(reader);
}

static kd_status plan_text(const plan *p, const kd_sampling *s, kd__text *to)
{
    KD_TRY(kd__text_format(to, "{\"prompts\": %lld, \"chunk_prompts\": %lld, \"samples\": %lld, ",
                           (long long)p->prompts, (long long)p->chunk_prompts,
                           (long long)p->samples));
    KD_TRY(kd__text_format(to, "\"key\": \"%016llx\", \"seed\": \"%llu\", \"temperature\": ",
                           (unsigned long long)p->key, (unsigned long long)s->seed));
    KD_TRY(kd__text_number(to, s->temperature));
    return kd__text_format(to, "}\n");
}

/* The first worker writes it; all compare it with theirs. */
static kd_status agree(kd_context *context, const char *path, const kd__text *mine)
{
    char *found = NULL;
    int64_t size;
    kd_status status = kd__file_read(context, path, 1 << 16, &found, &size);
    if (status == KD_ERR_NOT_FOUND) {
        KD_TRY(kd__file_replace(context, path, mine->bytes, mine->size));
        status = kd__file_read(context, path, 1 << 16, &found, &size);
    }
    KD_TRY(status);
    if (size != mine->size || memcmp(found, mine->bytes, (size_t)size))
        status = kd__fail(KD_ERR_MISMATCH,
                          "%s: expected prompts, samples, chunks and sampling as those who began, "
                          "%.300s, got %.300s",
                          path, found, mine->bytes);
    kd__release(context, found);
    return status;
}

static kd_status settle(kd_context *context, const char *folder, const plan *p,
                        const kd_sampling *s)
{
    kd__text mine = { .context = context };
    char *path = NULL;
    KD_TRY(kd__folder_make(folder));
    kd_status status = plan_text(p, s, &mine);
    if (status == KD_OK) status = kd__path_join(context, &path, folder, "plan.json");
    if (status == KD_OK) status = agree(context, path, &mine);
    kd__release(context, path);
    kd__text_free(&mine);
    return status;
}

/* ---- chunks ---- */

/* "folder/chunk-00012.jsonl" */
static kd_status chunk_path(kd_context *context, const char *folder, int64_t chunk,
                            const char *ending, char **path)
{
    char name[64];
    snprintf(name, sizeof name, "chunk-%05lld.%s", (long long)chunk, ending);
    return kd__path_join(context, path, folder, name);
}

static int is_there(const char *path)
{
    FILE *file = kd__os_file(path, "rb");
    if (file) fclose(file);
    return file != NULL;
}

typedef struct {
    kd_context *context;
    const char *folder;
    kd__answers_run *run;
    plan p;
    double lease;
    int64_t done, open; /* answers that are there; chunks that others hold */
} work;

static kd_status after_prompt(void *user) { return kd__claim_renew(user); }

static int64_t prompts_of(const work *w, int64_t chunk)
{
    return kd__min(w->p.chunk_prompts, w->p.prompts - chunk * w->p.chunk_prompts);
}

static kd_status answer_chunk(work *w, int64_t chunk, const char *path, kd__claim *claim)
{
    const kd__answers_range range = { .first = chunk * w->p.chunk_prompts,
                                      .count = prompts_of(w, chunk),
                                      .path = path,
                                      .before = w->done,
                                      .total = w->p.prompts * w->p.samples,
                                      .after_prompt = after_prompt,
                                      .user = claim };
    return kd__answers_collect(w->run, &range);
}

/* Answers a chunk that nobody has answered and nobody holds. */
static kd_status take_chunk(work *w, int64_t chunk)
{
    kd__claim claim = { .context = w->context };
    char *path = NULL, *lock = NULL;
    int mine = 0;
    kd_status status = chunk_path(w->context, w->folder, chunk, "jsonl", &path);
    if (status == KD_OK) status = chunk_path(w->context, w->folder, chunk, "claim", &lock);
    int there = status == KD_OK && is_there(path);
    if (status == KD_OK && !there)
        status = kd__claim_take(&claim, w->context, lock, w->lease, &mine);
    if (mine && is_there(path)) there = 1; /* it was finished in between */
    else if (mine) status = answer_chunk(w, chunk, path, &claim);
    if (mine) kd__claim_drop(&claim);
    kd__release(w->context, claim.path);
    if (status == KD_OK && (there || mine)) w->done += prompts_of(w, chunk) * w->p.samples;
    else if (status == KD_OK) w->open++;
    kd__release(w->context, path);
    kd__release(w->context, lock);
    return status;
}

kd_status kd_answers_collect_chunks(kd_context *context, kd_generator *generator,
                                    kd_record_reader *prompts, const char *folder,
                                    const kd_answers_options *options, kd_answers_progress *done)
{
    kd_answers_options o;
    work w = { .context = context, .folder = folder };
    KD_NEED(context);
    KD_NEED(prompts);
    KD_TRY(kd__name_given(folder, "folder"));
    kd_answers_options_init(&o, sizeof o);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_answers_options"));
    KD_FAIL_IF(o.first, KD_ERR_INVALID, "first: chunks are of all prompts, got %lld",
               (long long)o.first);
    KD_TRY(kd__answers_begin(&w.run, context, generator, prompts, options));
    w.lease = o.lease;
    w.p.chunk_prompts = o.chunk_prompts;
    w.p.samples = o.samples;
    kd_status status = read_prompts(prompts, o.max_prompts, &w.p);
    if (status == KD_OK) status = settle(context, folder, &w.p, kd__answers_sampling(w.run));
    for (int64_t c = 0; c < w.p.chunks && status == KD_OK; c++) status = take_chunk(&w, c);
    kd_answers_progress made = *kd__answers_progress(w.run);
    made.done = w.done;
    made.total = w.p.prompts * w.p.samples;
    kd__answers_end(w.run);
    KD_TRY(status);
    return done ? kd__info_write(done, &made, sizeof made, "kd_answers_progress") : KD_OK;
}

/* ---- one file of all chunks ---- */

static kd_status read_plan(kd_context *context, const char *folder, plan *p)
{
    kd__json_document document;
    char *path = NULL, *text = NULL;
    int64_t size;
    KD_TRY(kd__path_join(context, &path, folder, "plan.json"));
    kd_status status = kd__file_read(context, path, 1 << 16, &text, &size);
    if (status == KD_OK) status = kd__json_parse(&document, context, text, (size_t)size, path);
    kd__release(context, text);
    if (status == KD_OK) {
        const kd__json *prompts = kd__json_member(document.root, "prompts"),
                       *chunk = kd__json_member(document.root, "chunk_prompts");
        status = prompts && chunk ? kd__json_integer(prompts, 0, INT64_MAX / 2, &p->prompts, path)
                                  : kd__fail(KD_ERR_FORMAT,
                                             "%s: expected prompts and "
                                             "chunk_prompts",
                                             path);
        if (status == KD_OK)
            status = kd__json_integer(chunk, 1, INT64_MAX / 2, &p->chunk_prompts, path);
        kd__json_free(&document);
    }
    kd__release(context, path);
    KD_TRY(status);
    p->chunks = kd__ceil_div(p->prompts, p->chunk_prompts);
    return KD_OK;
}

static kd_status check_chunks(kd_context *context, const char *folder, const plan *p)
{
    int64_t missing = 0, first = 0;
    for (int64_t c = 0; c < p->chunks; c++) {
        char *path = NULL;
        KD_TRY(chunk_path(context, folder, c, "jsonl", &path));
        if (!is_there(path) && !missing++) first = c;
        kd__release(context, path);
    }
    KD_FAIL_IF(missing, KD_ERR_STATE,
               "%s: %lld of %lld chunks are missing, the first is %lld: run "
               "kd_answers_collect_chunks until none is",
               folder, (long long)missing, (long long)p->chunks, (long long)first);
    return KD_OK;
}

static kd_status copy_chunk(kd_context *context, const char *path, char *room, int64_t size,
                            kd__output *to)
{
    kd__input *input;
    int64_t got = 1;
    KD_TRY(kd__input_open(&input, context, path));
    kd_status status = KD_OK;
    while (status == KD_OK && got) {
        status = kd__input_read_some(input, room, size, &got);
        if (status == KD_OK && got) status = kd__output_write(to, room, got);
    }
    kd__input_close(input);
    return status;
}

static kd_status copy_chunks(kd_context *context, const char *folder, const plan *p, kd__output *to)
{
    enum { ROOM = 1 << 18 };
    char *room = NULL;
    kd_status status = KD_NEW(context, &room, ROOM);
    for (int64_t c = 0; c < p->chunks && status == KD_OK; c++) {
        char *path = NULL;
        status = chunk_path(context, folder, c, "jsonl", &path);
        if (status == KD_OK) status = copy_chunk(context, path, room, ROOM, to);
        kd__release(context, path);
    }
    kd__release(context, room);
    return status;
}

kd_status kd_answers_concat(kd_context *context, const char *folder, const char *path)
{
    plan p = { 0 };
    kd__output to;
    KD_NEED(context);
    KD_TRY(kd__name_given(folder, "folder"));
    KD_TRY(kd__name_given(path, "path"));
    KD_TRY(read_plan(context, folder, &p));
    KD_TRY(check_chunks(context, folder, &p));
    kd_status status = kd__output_open(&to, context, path, 1);
    if (status == KD_OK) status = copy_chunks(context, folder, &p, &to);
    if (status == KD_OK) status = kd__output_commit(&to);
    if (status != KD_OK) kd__output_abandon(&to);
    return status;
}
