/* Packed batches of texts. Text number n (over all batches) is of a task drawn by (seed, n), and
 * the next one of that task's order; a text that does not fit into the batch any more begins the
 * next one. */
#include <kdistill/packer.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/object.h"
#include "base/text.h"
#include "math/random.h"
#include "course/packer/sample_fields.h"
#include "course/record/record.h"
#include "language/tokenizer/ends.h"

static const kd_packer_options defaults = KD_PACKER_OPTIONS_INIT;
void kd_packer_options_init(kd_packer_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

enum { MOST_TASKS = 256 };

typedef struct {
    int64_t from, count; /* in the task's ids */
    uint64_t key[2];
} text;

typedef struct {
    char name[KD_NAME_BYTES];
    double weight;
    int32_t *ids;
    uint8_t *mask;
    text *texts;
    kd__sample_rows fields;
    int64_t *order;
    int64_t ids_room, mask_room, texts_room, order_room, tokens, count;
    int64_t at, pass, ordered; /* ordered: the pass that `order` belongs to; -1: none */
    int64_t given;
} task;

struct kd_packer {
    kd__object object;
    kd_tokenizer *tokenizer;
    kd_packer_options options;
    task *tasks;
    int64_t tasks_room;
    int32_t count;
    double temperature;
    kd_packer_info info;
    kd__sample_fields fields;
    kd__sample_rows chosen;              /* of a batch */
    int32_t last;                        /* the task of the text that was added last; -1: none */
    int64_t *tokens, *offsets, *of_task; /* of a batch */
    uint8_t *answer;
    uint64_t (*keys)[2];
    int64_t tokens_room, offsets_room, of_task_room, answer_room, keys_room;
    int32_t *encoded;
    uint8_t *encoded_mask;
    int64_t encoded_room, encoded_mask_room;
    /* of what was encoded; "": nothing was */
    char tokenizer_hash[KD_NAME_BYTES], rendering[KD_NAME_BYTES];
};

/* ---- creation ---- */

static kd_status check_options(const kd_packer_options *o)
{
    KD_FAIL_IF(o->chat < KD_CHAT_PLAIN || o->chat > KD_CHAT_DEEPSEEK, KD_ERR_RANGE,
               "chat: expected %d to %d, got %d", KD_CHAT_PLAIN, KD_CHAT_DEEPSEEK, o->chat);
    KD_FAIL_IF(o->batch_tokens < 1 || o->batch_tokens > (int64_t)1 << 40, KD_ERR_RANGE,
               "batch_tokens: expected at least 1, got %lld", (long long)o->batch_tokens);
    KD_FAIL_IF(o->max_tokens < 1 || o->max_tokens > INT32_MAX, KD_ERR_RANGE,
               "max_tokens: expected 1 to 2^31 - 1, got %lld", (long long)o->max_tokens);
    KD_FAIL_IF(o->keep_reasoning < -1 || o->keep_reasoning > 1, KD_ERR_RANGE,
               "keep_reasoning: expected -1, 0 or 1, got %d", o->keep_reasoning);
    KD_FAIL_IF(o->batch_texts < 0, KD_ERR_RANGE, "batch_texts: expected at least 0, got %lld",
               (long long)o->batch_texts);
    return KD_OK;
}

kd_status kd_packer_create(kd_packer **out, kd_context *context, kd_tokenizer *tokenizer,
                           const kd_packer_options *options)
{
    kd_packer_options o = defaults;
    kd_packer *p = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_packer_options"));
    KD_TRY(check_options(&o));
    KD_TRY(kd__end_token(tokenizer, o.end_token, &o.end_token));
    KD_TRY(kd__object_create((void **)&p, context, sizeof *p));
    p->options = o;
    if (!o.seed) p->options.seed = context->seed;
    p->temperature = 1;
    p->last = -1;
    if (tokenizer) p->tokenizer = kd__object_hold(tokenizer);
    const kd_status status = kd_packer_add_task(p, "all", 1, NULL);
    if (status == KD_OK) *out = p;
    else kd_packer_free(p);
    return status;
}

void kd_packer_free(kd_packer *p)
{
    if (!kd__object_drop(p)) return;
    kd_context *context = p->object.context;
    for (int32_t i = 0; i < p->count; i++) {
        task *t = &p->tasks[i];
        void *const blocks[] = { t->ids, t->mask, t->texts, t->order };
        for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) kd__release(context, blocks[b]);
        kd__sample_rows_free(context, &t->fields);
    }
    kd__sample_rows_free(context, &p->chosen);
    void *const blocks[] = { p->tasks,  p->tokens, p->offsets, p->of_task,
                             p->answer, p->keys,   p->encoded, p->encoded_mask };
    for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) kd__release(context, blocks[b]);
    kd_tokenizer_free(p->tokenizer);
    kd__object_destroy(p);
}

kd_status kd_packer_add_task(kd_packer *p, const char *name, double weight, int32_t *number)
{
    KD_NEED(p);
    KD_NEED(name);
    KD_FAIL_IF(!(weight >= 0) || isinf(weight), KD_ERR_RANGE,
               "task '%.60s': expected a weight of at least 0, got %g", name, weight);
    KD_FAIL_IF(p->count >= MOST_TASKS, KD_ERR_RANGE, "task '%.60s': a packer has at most %d tasks",
               name, MOST_TASKS);
    for (int32_t i = 0; i < p->count; i++)
        KD_FAIL_IF(!strcmp(p->tasks[i].name, name), KD_ERR_INVALID,
                   "task '%.60s': expected a new name, the packer has this task already", name);
    KD_TRY(KD_RESERVE(p->object.context, &p->tasks, &p->tasks_room, p->count + 1));
    task made = { .weight = weight, .ordered = -1 };
    KD_TRY(kd__name_copy(made.name, name, "task"));
    p->tasks[p->count] = made;
    if (number) *number = p->count;
    p->count++;
    p->info.tasks = p->count;
    return KD_OK;
}

static kd_status find_task(kd_packer *p, int32_t number, task **out)
{
    KD_NEED(p);
    KD_TRY(kd__check_index(number, p->count, "task"));
    *out = &p->tasks[number];
    return KD_OK;
}

/* ---- texts ---- */

/* record: what it says of the fields that travel; NULL: nothing. */
static kd_status add_text(kd_packer *p, const int32_t *ids, const uint8_t *mask, int64_t count,
                          const uint64_t key[2], int32_t number, const kd_record *record)
{
    task *t;
    KD_TRY(find_task(p, number, &t));
    KD_NEED(ids);
    KD_FAIL_IF(count < 1, KD_ERR_RANGE, "a text: expected at least 1 token, got %lld",
               (long long)count);
    const int64_t kept = kd__min(count, p->options.max_tokens);
    KD_TRY(KD_RESERVE(p->object.context, &t->ids, &t->ids_room, t->tokens + kept));
    KD_TRY(KD_RESERVE(p->object.context, &t->mask, &t->mask_room, t->tokens + kept));
    KD_TRY(KD_RESERVE(p->object.context, &t->texts, &t->texts_room, t->count + 1));
    KD_TRY(kd__sample_rows_open(p->object.context, &p->fields, &t->fields, t->count));
    if (record)
        KD_TRY(kd__sample_rows_read(p->object.context, &p->fields, &t->fields, t->count, record));
    t->texts[t->count++] = (text){ t->tokens, kept, { key ? key[0] : 0, key ? key[1] : 0 } };
    for (int64_t i = 0; i < kept; i++) {
        const uint8_t learned = mask ? mask[i] != 0 : 1;
        t->ids[t->tokens + i] = ids[i];
        t->mask[t->tokens + i] = learned;
        p->info.answer_tokens += learned;
    }
    t->tokens += kept;
    p->info.texts++;
    p->info.tokens += kept;
    p->info.cut += kept < count;
    t->ordered = -1; /* a pass that has begun goes on in a new order: see order_task */
    p->last = number;
    return KD_OK;
}

kd_status kd_packer_add_ids(kd_packer *p, const int32_t *ids, const uint8_t *mask, int64_t count,
                            const uint64_t key[2], int32_t number)
{
    return add_text(p, ids, mask, count, key, number, NULL);
}

static kd_status room_for(kd_packer *p, int64_t count)
{
    KD_TRY(KD_RESERVE(p->object.context, &p->encoded, &p->encoded_room, count));
    return KD_RESERVE(p->object.context, &p->encoded_mask, &p->encoded_mask_room, count);
}

static kd_status encode_plain(kd_packer *p, const kd_record *r, int64_t *count)
{
    int64_t asked, answered;
    const int32_t flags = KD_TOKENIZER_ADD_SPECIAL;
    KD_TRY(kd_tokenizer_encode(p->tokenizer, r->prompt, -1, flags, NULL, 0, &asked));
    KD_TRY(kd_tokenizer_encode(p->tokenizer, r->completion, -1, 0, NULL, 0, &answered));
    KD_TRY(room_for(p, asked + answered + 1));
    KD_TRY(kd_tokenizer_encode(p->tokenizer, r->prompt, -1, flags, p->encoded, asked, &asked));
    KD_TRY(kd_tokenizer_encode(p->tokenizer, r->completion, -1, 0, p->encoded + asked, answered,
                               &answered));
    if (p->options.end_token >= 0) p->encoded[asked + answered++] = p->options.end_token;
    memset(p->encoded_mask, p->options.train_on_prompt, (size_t)asked);
    memset(p->encoded_mask + asked, 1, (size_t)answered);
    *count = asked + answered;
    return KD_OK;
}

/* Encoded once, where the room that is there is enough. */
static kd_status encode_chat(kd_packer *p, const kd_record *r, int64_t *count)
{
    kd_chat_options o = KD_CHAT_OPTIONS_INIT;
    const kd_message pair[2] = { KD_MESSAGE("user", r->prompt),
                                 KD_MESSAGE("assistant", r->completion) };
    const kd_message *messages = r->message_count ? r->messages : pair;
    const int32_t n = r->message_count ? r->message_count : 2;
    o.format = p->options.chat;
    o.keep_reasoning = p->options.keep_reasoning;
    o.tools = *r->tools ? r->tools : NULL;
    o.variables = *r->variables ? r->variables : NULL;
    KD_TRY(room_for(p, 1024));
    kd_status status = kd_chat_encode(p->tokenizer, messages, n, &o, p->encoded, p->encoded_mask,
                                      p->encoded_room, count);
    if (status == KD_ERR_RANGE && *count > p->encoded_room) {
        KD_TRY(room_for(p, *count + *count / 2));
        status = kd_chat_encode(p->tokenizer, messages, n, &o, p->encoded, p->encoded_mask,
                                p->encoded_room, count);
    }
    KD_TRY(status);
    if (p->options.train_on_prompt) memset(p->encoded_mask, 1, (size_t)*count);
    return KD_OK;
}

static const char *reasoning_of(const kd_packer *p)
{
    const int32_t keep = p->options.keep_reasoning;
    return keep < 0 ? "" : keep ? ", reasoning kept" : ", reasoning dropped";
}

/* How texts are rendered, for the batches: once, when the first one is encoded. */
static kd_status name_origin(kd_packer *p)
{
    static const char *const formats[] = { "chatml", "llama3", "llama2", "deepseek" };
    const int32_t chat = p->options.chat;
    char hash[KD_HASH_BYTES] = "none";
    if (*p->tokenizer_hash) return KD_OK;
    if (chat == KD_CHAT_PLAIN && p->options.end_token < 0)
        snprintf(p->rendering, sizeof p->rendering, "plain");
    else if (chat == KD_CHAT_PLAIN)
        snprintf(p->rendering, sizeof p->rendering, "plain, end token %d", p->options.end_token);
    else if (chat == KD_CHAT_AUTO) {
        const kd_status status = kd_tokenizer_hash(p->tokenizer, KD_HASH_TEMPLATE, hash);
        if (status != KD_OK && status != KD_ERR_NOT_FOUND) return status;
        snprintf(p->rendering, sizeof p->rendering, "template %s%s", hash, reasoning_of(p));
    } else
        snprintf(p->rendering, sizeof p->rendering, "%s%s", formats[chat - KD_CHAT_CHATML],
                 reasoning_of(p));
    return kd_tokenizer_hash(p->tokenizer, KD_HASH_TOKENIZER, p->tokenizer_hash);
}

/* An answer may be a call of a tool alone. */
static int has_call(const kd_record *r)
{
    const kd_message *last = r->message_count ? &r->messages[r->message_count - 1] : NULL;
    return last && !strcmp(last->role, "assistant") && last->extra &&
           strstr(last->extra, "\"tool_calls\"");
}

/* Is there something to learn, and can the format hold all that belongs to it? */
static kd_status check_answer(const kd_packer *p, const kd_record *r)
{
    const char *beyond = p->options.chat == KD_CHAT_PLAIN ? kd__record_beyond_plain(r) : NULL;
    int32_t learned = !r->message_count;
    for (int32_t i = 0; i < r->message_count; i++)
        learned += !r->messages[i].skip && !strcmp(r->messages[i].role, "assistant");
    KD_FAIL_IF((!r->completion || !*r->completion) && !has_call(r), KD_ERR_INVALID,
               "record of line %lld: it has no answer", (long long)r->line);
    KD_FAIL_IF(!learned && !p->options.train_on_prompt, KD_ERR_INVALID,
               "record of line %lld: expected a turn of the assistant to learn, got none",
               (long long)r->line);
    KD_FAIL_IF(beyond, KD_ERR_UNSUPPORTED,
               "record of line %lld: KD_CHAT_PLAIN has no place for %s: name a chat format",
               (long long)r->line, beyond);
    return KD_OK;
}

kd_status kd_packer_add(kd_packer *p, const kd_record *record, int32_t number)
{
    kd_record r = KD_RECORD_INIT;
    int64_t count = 0;
    KD_NEED(p);
    KD_NEED(record);
    KD_TRY(kd__options_read(&r, sizeof r, record, "kd_record"));
    if (r.ids)
        return add_text(p, r.ids, p->options.train_on_prompt ? NULL : r.mask, r.tokens, r.key,
                        number, &r);
    KD_FAIL_IF(!p->tokenizer, KD_ERR_STATE, "packer: expected a tokenizer, or records with ids");
    KD_TRY(check_answer(p, &r));
    KD_TRY(p->options.chat == KD_CHAT_PLAIN ? encode_plain(p, &r, &count)
                                            : encode_chat(p, &r, &count));
    KD_TRY(name_origin(p));
    return add_text(p, p->encoded, p->encoded_mask, count, r.key, number, &r);
}

kd_status kd_packer_add_field(kd_packer *p, const char *name, int32_t dtype, int64_t width)
{
    KD_NEED(p);
    KD_NEED(name);
    KD_FAIL_IF(p->info.texts, KD_ERR_STATE,
               "packer: the field '%.60s' comes before the first text, and %lld are there", name,
               (long long)p->info.texts);
    return kd__sample_fields_add(&p->fields, name, dtype, width);
}

kd_status kd_packer_set_field(kd_packer *p, const char *name, const kd_array *values)
{
    KD_NEED(p);
    KD_NEED(name);
    KD_NEED(values);
    KD_FAIL_IF(p->last < 0, KD_ERR_STATE, "packer: field '%.60s': no text was added before it",
               name);
    task *t = &p->tasks[p->last];
    return kd__sample_rows_set(&p->fields, &t->fields, t->count - 1, name, values);
}

kd_status kd_packer_add_reader(kd_packer *p, kd_record_reader *reader, int32_t number,
                               int64_t *added)
{
    kd_record r = KD_RECORD_INIT;
    kd_status status;
    int64_t n = 0;
    KD_NEED(p);
    KD_NEED(reader);
    while ((status = kd_record_reader_next(reader, &r)) == KD_OK) {
        KD_TRY(kd_packer_add(p, &r, number));
        n++;
    }
    if (status < 0) return status;
    if (added) *added = n;
    return KD_OK;
}

kd_status kd_packer_clear(kd_packer *p, int32_t number)
{
    task *t;
    KD_TRY(find_task(p, number, &t));
    for (int64_t i = 0; i < t->tokens; i++) p->info.answer_tokens -= t->mask[i];
    p->info.texts -= t->count;
    p->info.tokens -= t->tokens;
    t->tokens = t->count = t->at = 0;
    if (p->last == number) p->last = -1;
    t->ordered = -1;
    t->pass++;
    return KD_OK;
}

/* ---- batches ---- */

kd_status kd_packer_mix(kd_packer *p, const double *weights, int32_t count, double temperature)
{
    KD_NEED(p);
    KD_FAIL_IF(weights && count != p->count, KD_ERR_SHAPE,
               "weights: expected %d, one a task, got %d", p->count, count);
    KD_FAIL_IF(!(temperature > 0), KD_ERR_RANGE, "temperature: expected above 0, got %g",
               temperature);
    for (int32_t i = 0; weights && i < count; i++)
        KD_FAIL_IF(!(weights[i] >= 0) || isinf(weights[i]), KD_ERR_RANGE,
                   "weights[%d]: expected at least 0, got %g", i, weights[i]);
    for (int32_t i = 0; weights && i < count; i++) p->tasks[i].weight = weights[i];
    p->temperature = temperature;
    return KD_OK;
}

static double share_of(const kd_packer *p, const task *t)
{
    return t->count ? t->weight * pow((double)t->count, 1 / p->temperature) : 0;
}

/* The task of text number n: as (seed, n) says. */
static task *draw_task(kd_packer *p, int64_t n)
{
    double sum = 0, at;
    task *last = NULL;
    for (int32_t i = 0; i < p->count; i++) sum += share_of(p, &p->tasks[i]);
    at = kd__uniform(kd__stream(p->options.seed, 0x7461736b, 0), (uint64_t)n) * sum;
    for (int32_t i = 0; i < p->count; i++) {
        const double share = share_of(p, &p->tasks[i]);
        if (share <= 0) continue;
        last = &p->tasks[i];
        if (at < share) return last;
        at -= share;
    }
    return last;
}

/* The order of a pass depends on the seed, the task's number, the pass and the number of texts. */
static kd_status order_task(kd_packer *p, task *t)
{
    if (t->at >= t->count) {
        t->at = 0;
        t->pass++;
    }
    if (t->ordered == t->pass) return KD_OK;
    KD_TRY(KD_RESERVE(p->object.context, &t->order, &t->order_room, t->count));
    const uint64_t stream =
        kd__stream(p->options.seed, (uint64_t)(t - p->tasks) + 1, (uint64_t)t->pass);
    for (int64_t i = 0; i < t->count; i++) t->order[i] = i;
    for (int64_t i = t->count - 1; i > 0; i--) {
        const int64_t j = (int64_t)kd__below(stream, (uint64_t)i, (uint64_t)i + 1),
                      swap = t->order[i];
        t->order[i] = t->order[j];
        t->order[j] = swap;
    }
    t->ordered = t->pass;
    return KD_OK;
}

static kd_status put_text(kd_packer *p, const task *t, const text *x, int64_t n, int64_t rows)
{
    kd_context *context = p->object.context;
    KD_TRY(KD_RESERVE(context, &p->tokens, &p->tokens_room, rows + x->count));
    KD_TRY(KD_RESERVE(context, &p->answer, &p->answer_room, rows + x->count));
    KD_TRY(KD_RESERVE(context, &p->of_task, &p->of_task_room, rows + x->count));
    KD_TRY(KD_RESERVE(context, &p->offsets, &p->offsets_room, n + 2));
    KD_TRY(KD_RESERVE(context, &p->keys, &p->keys_room, n + 1));
    for (int64_t i = 0; i < x->count; i++) {
        p->tokens[rows + i] = t->ids[x->from + i];
        p->answer[rows + i] = t->mask[x->from + i];
        p->of_task[rows + i] = t - p->tasks;
    }
    p->offsets[0] = 0;
    p->offsets[n + 1] = rows + x->count;
    memcpy(p->keys[n], x->key, sizeof x->key);
    return kd__sample_rows_copy(context, &p->fields, &p->chosen, n, &t->fields, x - t->texts);
}

static kd_status fill(kd_packer *p, kd_batch *batch, int64_t n, int64_t rows)
{
    kd_array o = KD_ARRAY_1D(p->offsets, KD_INT64, n + 1),
             t = KD_ARRAY_1D(p->tokens, KD_INT64, rows), a = KD_ARRAY_1D(p->answer, KD_UINT8, rows),
             k = KD_ARRAY_2D(p->keys, KD_UINT64, n, 2), d = KD_ARRAY_1D(p->of_task, KD_INT64, rows);
    KD_TRY(kd_batch_begin_packed(batch, &o));
    KD_TRY(kd_batch_set_origin(batch, p->tokenizer_hash, p->rendering));
    KD_TRY(kd_batch_set(batch, "tokens", &t, NULL));
    KD_TRY(kd_batch_set(batch, "answer", &a, NULL));
    KD_TRY(kd_batch_set(batch, "task", &d, NULL));
    KD_TRY(kd__sample_rows_fill(&p->fields, &p->chosen, n, batch));
    return kd_batch_set_samples(batch, NULL, &k, NULL);
}

kd_status kd_packer_next(kd_packer *p, kd_batch *batch)
{
    int64_t n = 0, rows = 0;
    KD_NEED(p);
    KD_NEED(batch);
    KD_FAIL_IF(!draw_task(p, 0), KD_ERR_STATE,
               "packer: expected a task of a weight above 0 with texts, got none");
    const int64_t most = p->options.batch_texts ? kd__min(p->options.batch_texts, p->info.texts)
                                                : p->info.texts;
    while (n < most) {
        task *t = draw_task(p, p->info.texts_given);
        KD_TRY(order_task(p, t));
        const text *x = &t->texts[t->order[t->at]];
        if (n && rows + x->count > p->options.batch_tokens) break;
        KD_TRY(put_text(p, t, x, n, rows));
        rows += x->count;
        n++;
        t->at++;
        t->given++;
        p->info.texts_given++;
    }
    p->info.tokens_given += rows;
    p->info.batches++;
    return fill(p, batch, n, rows);
}

/* ---- facts and state ---- */

kd_status kd_packer_get_info(kd_packer *p, kd_packer_info *info)
{
    KD_NEED(p);
    KD_NEED(info);
    kd_packer_info now = p->info;
    now.epochs = now.texts ? (double)now.texts_given / (double)now.texts : 0;
    return kd__info_write(info, &now, sizeof now, "kd_packer_info");
}

kd_status kd_packer_get_task(kd_packer *p, int32_t number, const char **name, int64_t *texts,
                             int64_t *tokens, double *epochs)
{
    task *t;
    KD_TRY(find_task(p, number, &t));
    if (name) *name = t->name;
    if (texts) *texts = t->count;
    if (tokens) *tokens = t->tokens;
    if (epochs) *epochs = t->count ? (double)t->given / (double)t->count : 0;
    return KD_OK;
}

/* Batches, texts and tokens given out; then of each task: texts held, place, pass, texts given. */
kd_status kd_packer_get_state(kd_packer *p, int64_t *values, int32_t *count)
{
    KD_NEED(p);
    KD_NEED(count);
    const int32_t room = *count;
    *count = 3 + 4 * p->count;
    if (!values) return KD_OK;
    KD_FAIL_IF(room < *count, KD_ERR_RANGE, "values: expected room for %d, got %d", *count, room);
    *values++ = p->info.batches;
    *values++ = p->info.texts_given;
    *values++ = p->info.tokens_given;
    for (const task *t = p->tasks; t < p->tasks + p->count; t++) {
        *values++ = t->count;
        *values++ = t->at;
        *values++ = t->pass;
        *values++ = t->given;
    }
    return KD_OK;
}

kd_status kd_packer_set_state(kd_packer *p, const int64_t *values, int32_t count)
{
    KD_NEED(p);
    KD_NEED(values);
    KD_FAIL_IF(count != 3 + 4 * p->count, KD_ERR_MISMATCH,
               "state: expected %d numbers for %d tasks, got %d", 3 + 4 * p->count, p->count,
               count);
    for (int32_t i = 0; i < p->count; i++) {
        const int64_t *v = values + 3 + 4 * i;
        KD_FAIL_IF(v[0] != p->tasks[i].count, KD_ERR_MISMATCH,
                   "task '%s': expected %lld texts, as when the state was taken, got %lld",
                   p->tasks[i].name, (long long)v[0], (long long)p->tasks[i].count);
        KD_FAIL_IF(v[1] < 0 || v[1] > v[0] || v[2] < 0 || v[3] < 0, KD_ERR_RANGE,
                   "task '%s': the state's place lies outside", p->tasks[i].name);
    }
    for (int32_t i = 0; i < 3; i++)
        KD_FAIL_IF(values[i] < 0, KD_ERR_RANGE,
                   "packer state: number %d: expected 0 or more, got %lld", i,
                   (long long)values[i]);
    p->info.batches = values[0];
    p->info.texts_given = values[1];
    p->info.tokens_given = values[2];
    for (int32_t i = 0; i < p->count; i++) {
        const int64_t *v = values + 3 + 4 * i;
        p->tasks[i].at = v[1];
        p->tasks[i].pass = v[2];
        p->tasks[i].given = v[3];
        p->tasks[i].ordered = -1;
    }
    return KD_OK;
}
