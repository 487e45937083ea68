/* Answers to many prompts, in the prompts' order. A window of prompts is in work; the file is
 * always a beginning of the whole. */
#include "course/answers/answers.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/context.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "language/generator/generate.h"
#include "math/random.h"
#include "course/record/record.h"
#include "language/tokenizer/chat.h"

static const kd_answers_options defaults = { (uint32_t)sizeof(kd_answers_options),
                                             4,
                                             KD_CHAT_AUTO,
                                             64,
                                             0,
                                             NULL,
                                             NULL,
                                             NULL,
                                             NULL,
                                             NULL,
                                             NULL,
                                             NULL,
                                             0,
                                             256,
                                             3600.0 };
void kd_answers_options_init(kd_answers_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

/* One prompt in work. */
typedef struct {
    kd__arena arena;
    kd_record record;
    const char *opening; /* what the chat's end has written of the answer already */
    int64_t request;
    int32_t finished;
    const char **texts;
    const char **finish;
} job;

typedef struct kd__answers_run {
    kd_context *context;
    kd_generator *generator;
    kd_tokenizer *tokenizer;
    kd_record_reader *prompts;
    kd_record_writer *writer;
    kd_answers_options o;
    kd_sampling sampling;
    job *jobs;          /* a ring of o.window */
    int64_t head, tail; /* jobs head .. tail - 1 are in work */
    int64_t there;      /* records that the file had */
    int64_t written;    /* of all, those there included */
    int64_t prompts_read;
    int ended;
    double begin;
    kd_answers_progress progress;
    char *room; /* of texts of a function */
    int64_t room_bytes;
    int32_t *ids;
    int64_t ids_room;
    int64_t made, told;             /* answers of this call; of the range, counted already */
    int64_t place;                  /* prompts that the reader has given */
    const kd__answers_range *range; /* NULL: a file that goes on where it ends */
} run;

/* The reader's next prompt. */
static kd_status next_prompt(run *c, kd_record *record)
{
    const kd_status status = kd_record_reader_next(c->prompts, record);
    c->place += status == KD_OK;
    return status;
}

/* To the first prompt of this call: those before it are read over. */
static kd_status go_to_first(run *c)
{
    kd_record record = KD_RECORD_INIT;
    kd_status status = KD_OK;
    if (c->place > c->o.first || !c->range) {
        KD_TRY(kd_record_reader_rewind(c->prompts));
        c->place = 0;
    }
    while (status == KD_OK && c->place < c->o.first) status = next_prompt(c, &record);
    return status == KD_END ? KD_OK : status;
}

/* ---- what is there already ---- */

/* Reads the file's records beside the prompts: *there counts them. */
static kd_status compare(run *c, kd_record_reader *found)
{
    kd_record prompt = KD_RECORD_INIT, record = KD_RECORD_INIT;
    kd_status status;
    int32_t sample = c->o.samples;
    while ((status = kd_record_reader_next(found, &record)) == KD_OK) {
        if (sample == c->o.samples) {
            const kd_status asked = next_prompt(c, &prompt);
            KD_FAIL_IF(asked == KD_END, KD_ERR_MISMATCH,
                       "line %lld of the file answers no prompt: there are fewer",
                       (long long)record.line);
            if (asked != KD_OK) return asked;
            sample = 0;
        }
        KD_FAIL_IF(memcmp(record.prompt_key, prompt.prompt_key, sizeof prompt.prompt_key),
                   KD_ERR_MISMATCH,
                   "line %lld of the file answers another prompt than line %lld of the prompts",
                   (long long)record.line, (long long)prompt.line);
        KD_FAIL_IF(record.sample != sample, KD_ERR_MISMATCH,
                   "line %lld of the file: expected answer number %d, got %d",
                   (long long)record.line, sample, record.sample);
        KD_FAIL_IF(record.seed != c->sampling.seed || record.temperature != c->sampling.temperature,
                   KD_ERR_MISMATCH,
                   "line %lld of the file was sampled with seed %llu and temperature %g, not with "
                   "seed %llu and temperature %g",
                   (long long)record.line, (unsigned long long)record.seed, record.temperature,
                   (unsigned long long)c->sampling.seed, c->sampling.temperature);
        sample++;
        c->there++;
    }
    return status == KD_END ? KD_OK : status;
}

static kd_status look_at_file(run *c, const char *path)
{
    kd_record_reader *found = NULL;
    KD_TRY(kd_record_reader_open(&found, c->context, &path, 1, NULL));
    const kd_status status = compare(c, found);
    kd_record_reader_free(found);
    if (status != KD_OK) return status;
    c->written = c->there;
    return go_to_first(c);
}

/* ---- prompts ---- */

/* The chat without an answer it may have. */
static void cut_answer(kd_record *r)
{
    if (r->message_count && !strcmp(r->messages[r->message_count - 1].role, "assistant"))
        r->message_count--;
    r->completion = "";
    r->ids = NULL;
    r->mask = NULL;
    r->logprobs = NULL;
    r->tokens = r->logprob_count = 0;
}

static kd_status find_opening(run *c, job *j, const kd_chat_options *o)
{
    kd__text opening = { .context = c->context };
    const kd_record *r = &j->record;
    kd_status status = kd__chat_opening(c->tokenizer, r->messages, r->message_count, o, &opening);
    if (status == KD_OK && opening.size)
        status = kd__arena_text(&j->arena, opening.bytes, opening.size, &j->opening);
    kd__text_free(&opening);
    return status;
}

static kd_status encode(run *c, job *j, int64_t *count)
{
    kd_chat_options o = KD_CHAT_OPTIONS_INIT;
    const char *beyond = c->o.chat == KD_CHAT_PLAIN ? kd__record_beyond_plain(&j->record) : NULL;
    KD_FAIL_IF(beyond, KD_ERR_UNSUPPORTED,
               "line %lld of the prompts: KD_CHAT_PLAIN has no place for %s: name a chat format",
               (long long)j->record.line, beyond);
    if (c->o.chat == KD_CHAT_PLAIN) {
        KD_TRY(kd_tokenizer_encode(c->tokenizer, j->record.prompt, -1, KD_TOKENIZER_ADD_SPECIAL,
                                   NULL, 0, count));
        KD_TRY(KD_RESERVE(c->context, &c->ids, &c->ids_room, *count));
        return kd_tokenizer_encode(c->tokenizer, j->record.prompt, -1, KD_TOKENIZER_ADD_SPECIAL,
                                   c->ids, c->ids_room, count);
    }
    o.format = c->o.chat;
    o.generation_prompt = 1;
    o.tools = *j->record.tools ? j->record.tools : NULL;
    o.variables = *j->record.variables ? j->record.variables : NULL;
    KD_TRY(find_opening(c, j, &o));
    KD_TRY(kd_chat_encode(c->tokenizer, j->record.messages, j->record.message_count, &o, NULL, NULL,
                          0, count));
    KD_TRY(KD_RESERVE(c->context, &c->ids, &c->ids_room, *count));
    return kd_chat_encode(c->tokenizer, j->record.messages, j->record.message_count, &o, c->ids,
                          NULL, c->ids_room, count);
}

/* Takes the next prompt into work, if there is one. */
static kd_status begin_job(run *c)
{
    kd_record record = KD_RECORD_INIT;
    int64_t count;
    if (c->o.max_prompts && c->prompts_read >= c->o.max_prompts) {
        c->ended = 1;
        return KD_OK;
    }
    const kd_status status = next_prompt(c, &record);
    c->ended = status == KD_END;
    if (status != KD_OK) return status == KD_END ? KD_OK : status;
    KD_FAIL_IF(!record.message_count, KD_ERR_INVALID,
               "line %lld of the prompts has ids only: expected messages or a prompt",
               (long long)record.line);
    c->prompts_read++;
    if (c->prompts_read * c->o.samples <= c->there) return KD_OK; /* answered already */
    job *j = &c->jobs[c->tail % c->o.window];
    memset(j, 0, sizeof *j);
    j->arena.context = c->context;
    j->request = -1;
    cut_answer(&record);
    c->tail++; /* from here on its arena is emptied with the run */
    KD_TRY(kd__record_copy(&j->arena, &record, &j->record));
    KD_TRY(kd__arena_take(&j->arena, c->o.samples * (int64_t)sizeof *j->texts, (void **)&j->texts));
    KD_TRY(
        kd__arena_take(&j->arena, c->o.samples * (int64_t)sizeof *j->finish, (void **)&j->finish));
    j->opening = "";
    if (!c->generator) return KD_OK;
    kd_sampling s = c->sampling;
    s.samples = c->o.samples;
    KD_TRY(encode(c, j, &count));
    return kd_generator_add(c->generator, c->ids, count, &s, &j->request);
}

/* ---- answers ---- */

static kd_status join(job *j, const char *text, int64_t bytes, const char **out)
{
    char *both = NULL;
    const size_t opening = strlen(j->opening);
    KD_TRY(kd__arena_take(&j->arena, (int64_t)opening + bytes + 1, (void **)&both));
    memcpy(both, j->opening, opening);
    memcpy(both + opening, text, (size_t)bytes);
    *out = both;
    return KD_OK;
}

/* One more text of the generator to its prompt. */
static kd_status take_generated(run *c)
{
    kd_generated g = { .struct_size = sizeof g };
    const kd_status status = kd_generator_next(c->generator, &g);
    KD_FAIL_IF(status == KD_END, KD_ERR_STATE,
               "the generator ended, but prompts are still waiting");
    if (status != KD_OK) return status;
    for (int64_t i = c->head; i < c->tail; i++) {
        job *j = &c->jobs[i % c->o.window];
        if (j->request != g.request) continue;
        KD_TRY(join(j, g.text, g.text_bytes, &j->texts[g.sample]));
        j->finish[g.sample] = g.reason == KD_STOP_LENGTH ? "length" : "stop";
        j->finished++;
        c->progress.tokens += g.count;
        return KD_OK;
    }
    return KD_OK; /* a request of the host's own: its text is lost */
}

static kd_status ask_function(run *c, job *j, int32_t sample)
{
    const uint64_t seed =
        kd__mix(kd__stream(c->sampling.seed, j->record.prompt_key[0], j->record.prompt_key[1]) +
                (uint64_t)sample) >>
        11;
    int64_t bytes = 0;
    if (!c->room) {
        KD_TRY(KD_NEW(c->context, &c->room, 65536));
        c->room_bytes = 65536;
    }
    kd_status status =
        c->o.function(c->o.user, &j->record, sample, seed, c->room, c->room_bytes, &bytes);
    if (status == KD_ERR_RANGE && bytes >= c->room_bytes && bytes < (int64_t)1 << 31) {
        KD_TRY(KD_RESERVE(c->context, &c->room, &c->room_bytes, bytes + 1));
        status = c->o.function(c->o.user, &j->record, sample, seed, c->room, c->room_bytes, &bytes);
    }
    KD_FAIL_IF(status > 0, KD_ERR_CALLBACK,
               "the answer function returned %d: expected 0 or a negative status", status);
    if (status != KD_OK) return status;
    KD_FAIL_IF(bytes < 0 || bytes >= c->room_bytes, KD_ERR_CALLBACK,
               "the answer function says %lld bytes: expected 0 to %lld", (long long)bytes,
               (long long)c->room_bytes - 1);
    KD_FAIL_IF(memchr(c->room, 0, (size_t)bytes) || !kd__is_utf8(c->room, bytes), KD_ERR_CALLBACK,
               "the answer function gave a text that is not UTF-8 or holds a zero byte");
    j->finished++;
    return join(j, c->room, bytes, &j->texts[sample]);
}

/* ---- the file ---- */

static kd_status write_answer(run *c, job *j, int32_t sample)
{
    kd_record r = j->record;
    kd_message *messages = NULL;
    int32_t right = 0;
    KD_TRY(kd__arena_take(&j->arena, (r.message_count + 1) * (int64_t)sizeof *messages,
                          (void **)&messages));
    memcpy(messages, r.messages, (size_t)r.message_count * sizeof *messages);
    messages[r.message_count++] = (kd_message)KD_MESSAGE("assistant", j->texts[sample]);
    r.messages = messages;
    r.completion = j->texts[sample];
    r.finish = j->finish[sample] ? j->finish[sample] : "";
    r.sample = sample;
    r.seed = c->sampling.seed;
    r.temperature = c->sampling.temperature;
    if (c->o.teacher) r.teacher = c->o.teacher;
    r.score = NAN;
    if (c->o.verify && *r.expected) {
        KD_TRY(kd_verify_answer(r.completion, r.expected, c->o.verify, &right, NULL));
        r.score = right;
        c->progress.right += right;
    }
    return kd_record_writer_add(c->writer, &r);
}

static void count_progress(run *c)
{
    kd_answers_progress *p = &c->progress;
    p->seconds = kd__os_now() - c->begin;
    p->done = c->written + (c->range ? c->range->before : 0);
    p->total = c->o.max_prompts ? c->o.max_prompts * c->o.samples : -1;
    if (c->ended) p->total = c->prompts_read * c->o.samples;
    if (c->range) p->total = c->range->total;
    p->tokens_per_second = p->seconds > 0 ? (double)p->tokens / p->seconds : 0;
    c->made += c->written > c->there + c->told ? c->written - c->there - c->told : 0;
    c->told = c->written - c->there;
    p->seconds_left = p->total < 0 || !c->made
                          ? NAN
                          : p->seconds * (double)(p->total - p->done) / (double)c->made;
}

static kd_status report(run *c)
{
    kd_answers_progress *p = &c->progress;
    count_progress(c);
    if (c->range) KD_TRY(c->range->after_prompt(c->range->user));
    KD_FAIL_IF(c->o.progress && c->o.progress(c->o.progress_user, p), KD_ERR_CANCELED,
               "answers: the host's progress function ended the call");
    return kd__progress(c->context, "answers", p->done, p->total < 0 ? p->done : p->total);
}

/* Writes the first prompt's answers, but for those that are there, and lets it go. */
static kd_status end_job(run *c)
{
    job *j = &c->jobs[c->head % c->o.window];
    int32_t sample = (int32_t)(c->written % c->o.samples);
    for (; sample < c->o.samples; sample++) {
        KD_TRY(write_answer(c, j, sample));
        c->written++;
    }
    kd__arena_empty(&j->arena);
    c->head++;
    return report(c);
}

static kd_status work(run *c)
{
    for (;;) {
        const int64_t window = c->generator ? c->o.window : 1;
        while (!c->ended && c->tail - c->head < window) KD_TRY(begin_job(c));
        if (c->head == c->tail) return c->written == c->there ? report(c) : KD_OK;
        job *j = &c->jobs[c->head % c->o.window];
        while (j->finished < c->o.samples)
            KD_TRY(c->generator ? take_generated(c) : ask_function(c, j, j->finished));
        KD_TRY(end_job(c));
    }
}

/* ---- the call ---- */

static kd_status read_options(run *c, const kd_answers_options *options)
{
    static const kd_sampling sampling = KD_SAMPLING_INIT;
    c->o = defaults;
    KD_TRY(kd__options_read(&c->o, sizeof c->o, options, "kd_answers_options"));
    KD_FAIL_IF(c->o.samples < 1 || c->o.samples > 1 << 20, KD_ERR_RANGE,
               "samples: expected 1 to 2^20, got %d", c->o.samples);
    KD_FAIL_IF(c->o.window < 1 || c->o.window > 1 << 20, KD_ERR_RANGE,
               "window: expected 1 to 2^20, got %d", c->o.window);
    KD_FAIL_IF(c->o.max_prompts < 0, KD_ERR_RANGE, "prompts: expected at least 0, got %lld",
               (long long)c->o.max_prompts);
    KD_FAIL_IF(c->o.first < 0, KD_ERR_RANGE, "first: expected at least 0, got %lld",
               (long long)c->o.first);
    KD_FAIL_IF(c->o.chunk_prompts < 1, KD_ERR_RANGE, "chunk_prompts: expected at least 1, got %lld",
               (long long)c->o.chunk_prompts);
    KD_FAIL_IF(!(c->o.lease >= 0), KD_ERR_RANGE, "lease: expected at least 0 seconds, got %g",
               c->o.lease);
    KD_FAIL_IF(c->o.chat < KD_CHAT_PLAIN || c->o.chat > KD_CHAT_DEEPSEEK, KD_ERR_RANGE,
               "chat: expected %d to %d, got %d", KD_CHAT_PLAIN, KD_CHAT_DEEPSEEK, c->o.chat);
    KD_FAIL_IF(!c->generator == !c->o.function, KD_ERR_INVALID,
               "answers come from a generator or from a function: expected one of them");
    c->sampling = sampling;
    c->sampling.temperature = 0.6;
    c->sampling.top_p = 0.95;
    return kd__options_read(&c->sampling, sizeof c->sampling, c->o.sampling, "kd_sampling");
}

/* ---- a run of one file, or of ranges ---- */

/* Lets go of what is in work. */
static void end_file(run *c)
{
    for (int64_t i = c->head; i < c->tail; i++) {
        job *j = &c->jobs[i % c->o.window];
        if (c->generator && j->request >= 0) kd_generator_cancel(c->generator, j->request);
        kd__arena_empty(&j->arena);
    }
    c->head = c->tail = 0;
    kd_record_writer_free(c->writer);
    c->writer = NULL;
}

kd_status kd__answers_begin(kd__answers_run **out, kd_context *context, kd_generator *generator,
                            kd_record_reader *prompts, const kd_answers_options *options)
{
    run *c = NULL;
    KD_TRY(KD_NEW(context, &c, 1));
    *c = (run){ .context = context,
                .generator = generator,
                .prompts = prompts,
                .begin = kd__os_now(),
                .place = INT64_MAX, /* not known */
                .progress = { .struct_size = sizeof c->progress } };
    kd_status status = read_options(c, options);
    if (status == KD_OK && generator && !(c->tokenizer = generator->options.tokenizer))
        status = kd__fail(KD_ERR_STATE, "answers: the generator has no tokenizer");
    if (status == KD_OK) status = KD_NEW(context, &c->jobs, c->o.window);
    if (status == KD_OK) *out = c;
    else kd__answers_end(c);
    return status;
}

void kd__answers_end(kd__answers_run *c)
{
    if (!c) return;
    end_file(c);
    kd__release(c->context, c->jobs);
    kd__release(c->context, c->room);
    kd__release(c->context, c->ids);
    kd__release(c->context, c);
}

const kd_answers_progress *kd__answers_progress(const kd__answers_run *c) { return &c->progress; }
const kd_sampling *kd__answers_sampling(const kd__answers_run *c) { return &c->sampling; }

/* A message outlives what is let go after it. */
static kd_status end_with(run *c, kd_status status)
{
    char message[512];
    strncpy(message, kd_last_error(), sizeof message - 1);
    message[sizeof message - 1] = 0;
    end_file(c);
    return status == KD_OK ? KD_OK : kd_set_error(status, message);
}

kd_status kd__answers_collect(kd__answers_run *c, const kd__answers_range *range)
{
    kd_status status;
    c->range = range;
    c->o.first = range->first;
    c->o.max_prompts = range->count;
    c->there = c->written = c->told = c->prompts_read = 0;
    c->ended = 0;
    KD_TRY_GOTO(status, kd_record_writer_open(&c->writer, c->context, range->path, NULL), end);
    KD_TRY_GOTO(status, go_to_first(c), end);
    KD_TRY_GOTO(status, work(c), end);
    if (c->prompts_read != range->count)
        status = kd__fail(KD_ERR_MISMATCH, "%s: expected %lld prompts, got %lld: did their file "
                                           "change?",
                          range->path, (long long)range->count, (long long)c->prompts_read);
    else status = kd_record_writer_close(c->writer);
end:
    return end_with(c, status);
}

static kd_status collect_file(run *c, const char *path)
{
    kd_record_writer_options wo = KD_RECORD_WRITER_OPTIONS_INIT;
    kd_status status;
    wo.append = 1;
    KD_TRY_GOTO(status, kd_record_writer_open(&c->writer, c->context, path, &wo), end);
    KD_TRY_GOTO(status, go_to_first(c), end);
    KD_TRY_GOTO(status, look_at_file(c, path), end);
    KD_TRY_GOTO(status, work(c), end);
    status = kd_record_writer_close(c->writer);
end:
    return end_with(c, status);
}

kd_status kd_answers_collect(kd_context *context, kd_generator *generator,
                             kd_record_reader *prompts, const char *path,
                             const kd_answers_options *options, kd_answers_progress *done)
{
    run *c;
    KD_NEED(context);
    KD_NEED(prompts);
    KD_NEED(path);
    KD_TRY(kd__answers_begin(&c, context, generator, prompts, options));
    const kd_status status = collect_file(c, path);
    const kd_answers_progress made = c->progress;
    kd__answers_end(c);
    KD_TRY(status);
    return done ? kd__info_write(done, &made, sizeof made, "kd_answers_progress") : KD_OK;
}
