/* New prompts: other numbers, templates, what a teacher wrote. */
#include <kdistill/augment.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/log.h"
#include "base/memory.h"
#include "course/curation/curation.h"
#include "language/text/thoughts.h"
#include "math/random.h"

enum { MOST_NUMBERS = 64, DRAWS = 8 };
#define MOST_UNITS 999999999999999.0 /* fifteen digits, which a double holds */

static const kd_augment_options defaults = KD_AUGMENT_OPTIONS_INIT;
void kd_augment_options_init(kd_augment_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

typedef struct {
    kd_context *context;
    kd_augment_options o;
    kd_record_writer *writer;
    kd_augment_counts counts;
    kd__set prompts;           /* all there are */
    kd__text prompt, previous; /* the new one; that of the record before */
    kd__text names;            /* of filters that were passed, this one behind them */
    kd_message *messages;
    int64_t messages_room;
} run;

/* ---- numbers in a text ---- */

typedef struct {
    const char *at; /* in the prompt */
    int32_t bytes, decimals, separated;
    double value;
} number;

static int is_digit(char c) { return c >= '0' && c <= '9'; }
static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static int is_ordinal(const char *after)
{
    static const char *const endings[] = { "st", "nd", "rd", "th" };
    for (int i = 0; i < 4; i++)
        if (!strncmp(after, endings[i], 2) && !is_letter(after[2])) return 1;
    return 0;
}

/* "1,250": groups of three behind commas */
static const char *skip_separated(const char *p)
{
    while (*p == ',' && is_digit(p[1]) && is_digit(p[2]) && is_digit(p[3]) && !is_digit(p[4]))
        p += 4;
    return p;
}

/* The next number from *at on; 0 when there is none. Digits of words, with zeros before them or too
 * many to be exact are no numbers. */
static int next_number(const char *start, const char **at, number *n)
{
    for (const char *p = *at; *p;) {
        if (!is_digit(*p)) {
            p++;
            continue;
        }
        char digits[20];
        int32_t count = 0;
        const char *end = p, *whole;
        while (is_digit(*end)) end++;
        whole = end - p <= 3 ? skip_separated(end) : end;
        n->separated = whole > end;
        end = whole;
        n->decimals = 0;
        if (*end == '.' && is_digit(end[1])) {
            for (end++; is_digit(*end); end++) n->decimals++;
        }
        *at = end;
        const int inside = (p > start && (is_letter(p[-1]) ||
                                          (p[-1] == '.' && p > start + 1 && is_digit(p[-2])))) ||
                           is_ordinal(end);
        const int zeros = *p == '0' && is_digit(p[1]);
        for (const char *c = p; c < end && count < 17; c++)
            if (is_digit(*c)) digits[count++] = *c;
        if (!inside && !zeros && count <= 15) {
            digits[count] = 0;
            n->at = p;
            n->bytes = (int32_t)(end - p);
            n->value = strtod(digits, NULL) / pow(10, n->decimals);
            return 1;
        }
        p = end;
    }
    return 0;
}

static double draw_number(const run *a, const number *n, uint64_t stream, uint64_t position)
{
    const double scale = pow(10, n->decimals), units = rint(n->value * scale);
    double low = ceil(units * a->o.low), high = floor(units * a->o.high);
    if (units > 0 && low < 1) low = 1;
    if (high > MOST_UNITS) high = MOST_UNITS;
    if (units == 0 || high < low) return n->value;
    const double drawn = low + floor(kd__uniform(stream, position) * (high - low + 1));
    return (drawn > high ? high : drawn) / scale;
}

static kd_status put_number(kd__text *t, const number *n, double value)
{
    char digits[32];
    const int length = snprintf(digits, sizeof digits, "%0*lld", n->decimals + 1,
                                llrint(value * pow(10, n->decimals)));
    const int whole = length - n->decimals;
    for (int i = 0; i < whole; i++) {
        KD_TRY(kd__text_append(t, digits + i, 1));
        if (n->separated && i + 1 < whole && (whole - i - 1) % 3 == 0)
            KD_TRY(kd__text_append(t, ",", 1));
    }
    if (n->decimals) KD_TRY(kd__text_append(t, ".", 1));
    return kd__text_append(t, digits + whole, (size_t)n->decimals);
}

/* ---- one new record ---- */

static kd_status set_text(kd__text *t, const char *text)
{
    t->size = 0;
    return kd__text_append(t, text, strlen(text));
}

/* The assistant's turn at the end of a chat, or NULL. */
static const kd_message *answer_of(const kd_record *r)
{
    const kd_message *last = r->message_count ? &r->messages[r->message_count - 1] : NULL;
    return last && !strcmp(last->role, "assistant") ? last : NULL;
}

/* The user's turn that is answered, or NULL: what a tool said is no question that can be put in
 * other words. */
static const kd_message *question_of(const kd_record *r)
{
    const int32_t n = r->message_count - (answer_of(r) != NULL);
    return n && !strcmp(r->messages[n - 1].role, "user") ? &r->messages[n - 1] : NULL;
}

/* The chat with another last question; with the old answer, whatever belongs to it, or with another
 * `completion`, if there is one. */
static kd_status put_messages(run *a, const kd_record *from, kd_record *made)
{
    const kd_message *asked = question_of(from), *answer = answer_of(from);
    const int32_t before = a->o.kind == KD_AUGMENT_ANSWERS || !from->message_count
                               ? 0
                               : from->message_count - (answer != NULL) - (asked != NULL);
    int32_t n = before;
    KD_TRY(KD_RESERVE(a->context, &a->messages, &a->messages_room, n + 2));
    if (n) memcpy(a->messages, from->messages, (size_t)n * sizeof *a->messages);
    a->messages[n++] = (kd_message)KD_MESSAGE("user", made->prompt);
    if (a->o.kind == KD_AUGMENT_TEMPLATES && answer) a->messages[n++] = *answer;
    else if (*made->completion)
        a->messages[n++] = (kd_message)KD_MESSAGE("assistant", made->completion);
    made->messages = a->messages;
    made->message_count = n;
    return KD_OK;
}

/* A record with the prompt in a->prompt and nothing that belonged to the old text. */
static kd_status begin_record(run *a, const kd_record *from, kd_record *made)
{
    static const char *const kinds[] = { "", "numbers", "templates", "answers" };
    const char *name = a->o.name ? a->o.name : kinds[a->o.kind];
    a->names.size = 0;
    KD_TRY(kd__text_format(&a->names, "%s%s%s", from->passed, *from->passed ? "," : "", name));
    *made = *from;
    made->prompt = a->prompt.bytes;
    made->completion = made->expected = made->finish = "";
    made->passed = a->names.bytes;
    made->ids = NULL;
    made->mask = NULL;
    made->logprobs = NULL;
    made->logprob_ends = NULL;
    made->tokens = made->logprob_count = made->sample = 0;
    made->seed = 0;
    made->temperature = made->score = NAN;
    KD_TRY(put_messages(a, from, made));
    return kd_record_set_keys(made);
}

/* 1: not seen yet */
static kd_status is_new(run *a, const kd_record *made, int *fresh)
{
    int was_there;
    KD_TRY(
        kd__set_add(&a->prompts, made->prompt_key[0] ^ kd__mix(made->prompt_key[1]), &was_there));
    *fresh = !was_there;
    return KD_OK;
}

static kd_status write_record(run *a, const kd_record *from, kd_record *made)
{
    KD_TRY(put_messages(a, from, made));
    KD_TRY(kd_record_set_keys(made));
    KD_TRY(kd_record_writer_add(a->writer, made));
    a->counts.written++;
    return KD_OK;
}

/* ---- numbers ---- */

static kd_status put_numbers(run *a, const kd_record *r, const number *numbers, const double *now,
                             int32_t count)
{
    const char *from = r->prompt;
    a->prompt.size = 0;
    for (int32_t i = 0; i < count; i++) {
        KD_TRY(kd__text_append(&a->prompt, from, (size_t)(numbers[i].at - from)));
        KD_TRY(put_number(&a->prompt, &numbers[i], now[i]));
        from = numbers[i].at + numbers[i].bytes;
    }
    return kd__text_append(&a->prompt, from, strlen(from));
}

static kd_status ask_host(run *a, const kd_record *r, const double *before, const double *now,
                          int32_t count, kd_record *made, int *kept)
{
    const int32_t said = a->o.function(a->o.user, r, before, now, count, made);
    if (said < 0) return said;
    KD_FAIL_IF(
        said > 1, KD_ERR_CALLBACK,
        "augment: the function returned %d: expected 1 (write), 0 (drop) or a negative status",
        said);
    KD_FAIL_IF(said && (!made->expected || !made->completion), KD_ERR_CALLBACK,
               "augment: the function left expected or completion NULL");
    *kept = said;
    if (!said) a->counts.refused++;
    made->prompt = a->prompt.bytes;
    return KD_OK;
}

static kd_status with_numbers(run *a, const kd_record *r)
{
    number numbers[MOST_NUMBERS];
    double before[MOST_NUMBERS], now[MOST_NUMBERS];
    const char *at = r->prompt;
    int32_t count = 0;
    while (count < MOST_NUMBERS && next_number(r->prompt, &at, &numbers[count])) count++;
    for (int32_t i = 0; i < count; i++) before[i] = numbers[i].value;
    if (!count || !question_of(r)) return a->counts.skipped++, KD_OK;
    const uint64_t stream = kd__stream(a->o.seed, r->prompt_key[0], r->prompt_key[1]);
    for (int32_t copy = 0; copy < a->o.copies; copy++) {
        kd_record made;
        int fresh = 0, kept = 0;
        for (int draw = 0; draw < DRAWS && !fresh; draw++) {
            const uint64_t position = ((uint64_t)copy * DRAWS + (uint64_t)draw) * MOST_NUMBERS;
            for (int32_t i = 0; i < count; i++) {
                int32_t same = 0;
                while (numbers[same].value != numbers[i].value ||
                       numbers[same].decimals != numbers[i].decimals)
                    same++;
                now[i] = same < i ? now[same]
                                  : draw_number(a, &numbers[i], stream, position + (uint64_t)i);
            }
            KD_TRY(put_numbers(a, r, numbers, now, count));
            KD_TRY(begin_record(a, r, &made));
            KD_TRY(is_new(a, &made, &fresh));
        }
        if (!fresh) a->counts.known++;
        else KD_TRY(ask_host(a, r, before, now, count, &made, &kept));
        if (kept) KD_TRY(write_record(a, r, &made));
    }
    return KD_OK;
}

/* ---- templates ---- */

static kd_status fill_template(run *a, const char *template, const char *prompt)
{
    a->prompt.size = 0;
    for (const char *p = template; *p;) {
        const int now = !strncmp(p, "{prompt}", 8), before = !strncmp(p, "{previous}", 10);
        if (now) KD_TRY(kd__text_append(&a->prompt, prompt, strlen(prompt)));
        else if (before)
            KD_TRY(kd__text_append(&a->prompt, a->previous.bytes, (size_t)a->previous.size));
        else KD_TRY(kd__text_append(&a->prompt, p, 1));
        p += now ? 8 : before ? 10 : 1;
    }
    return KD_OK;
}

static kd_status with_templates(run *a, const kd_record *r)
{
    if (!*r->prompt || !question_of(r)) return a->counts.skipped++, KD_OK;
    for (int32_t i = 0; i < a->o.template_count; i++) {
        kd_record made;
        int fresh;
        if (!a->previous.size && strstr(a->o.templates[i], "{previous}")) {
            a->counts.skipped++;
            continue;
        }
        KD_TRY(fill_template(a, a->o.templates[i], r->prompt));
        KD_TRY(begin_record(a, r, &made));
        made.expected = r->expected;
        made.completion = r->completion;
        KD_TRY(is_new(a, &made, &fresh));
        if (fresh) KD_TRY(write_record(a, r, &made));
        else a->counts.known++;
    }
    return set_text(&a->previous, r->prompt);
}

/* ---- answers ---- */

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static kd_status from_answer(run *a, const kd_record *r)
{
    const kd__thoughts thoughts =
        kd__thoughts_of(r->completion, r->completion + strlen(r->completion));
    const char *text = thoughts.closed ? thoughts.last.end : r->completion, *end;
    kd_record made;
    int fresh;
    while (is_space(*text)) text++;
    for (end = text + strlen(text); end > text && is_space(end[-1]); end--) continue;
    if (text == end || !strcmp(r->finish, "length") || thoughts.open)
        return a->counts.skipped++, KD_OK;
    a->prompt.size = 0;
    KD_TRY(kd__text_append(&a->prompt, text, (size_t)(end - text)));
    KD_TRY(begin_record(a, r, &made));
    if (a->o.keep_expected) made.expected = r->expected;
    KD_TRY(is_new(a, &made, &fresh));
    if (fresh) return write_record(a, r, &made);
    a->counts.known++;
    return KD_OK;
}

/* ---- the call ---- */

static kd_status check_options(const run *a)
{
    const kd_augment_options *o = &a->o;
    KD_FAIL_IF(o->kind < KD_AUGMENT_NUMBERS || o->kind > KD_AUGMENT_ANSWERS, KD_ERR_RANGE,
               "augment: kind: expected 1 to 3, got %d", o->kind);
    KD_FAIL_IF(o->copies < 1 || o->copies > 1 << 20, KD_ERR_RANGE,
               "augment: copies: expected 1 to 2^20, got %d", o->copies);
    KD_FAIL_IF(!(o->low >= 0 && o->low <= o->high && o->high <= 1e6), KD_ERR_RANGE,
               "augment: expected 0 <= low <= high <= 1e6, got %g and %g", o->low, o->high);
    KD_FAIL_IF(o->name && (!*o->name || strlen(o->name) >= KD_NAME_BYTES || strchr(o->name, ',')),
               KD_ERR_INVALID, "augment: name: expected 1 to %d bytes without a comma",
               KD_NAME_BYTES - 1);
    if (o->kind == KD_AUGMENT_NUMBERS)
        KD_FAIL_IF(!o->function, KD_ERR_INVALID,
                   "augment: numbers need a function that says the answer");
    if (o->kind != KD_AUGMENT_TEMPLATES) return KD_OK;
    KD_FAIL_IF(o->template_count < 1 || !o->templates, KD_ERR_INVALID,
               "augment: templates are needed");
    for (int32_t i = 0; i < o->template_count; i++)
        KD_FAIL_IF(!o->templates[i] || !strstr(o->templates[i], "{prompt}"), KD_ERR_INVALID,
                   "augment: template %d has no {prompt}", i);
    return KD_OK;
}

static kd_status learn_prompts(run *a, kd_record_reader *reader)
{
    kd_record r = KD_RECORD_INIT;
    kd_status status;
    int fresh;
    KD_TRY(kd_record_reader_rewind(reader));
    while ((status = kd_record_reader_next(reader, &r)) == KD_OK) KD_TRY(is_new(a, &r, &fresh));
    return status == KD_END ? KD_OK : status;
}

static kd_status augment(run *a, kd_record_reader *reader)
{
    kd_record r = KD_RECORD_INIT;
    kd_status status;
    KD_TRY(learn_prompts(a, reader));
    KD_TRY(kd_record_reader_rewind(reader));
    while ((status = kd_record_reader_next(reader, &r)) == KD_OK) {
        a->counts.read++;
        if (a->o.kind == KD_AUGMENT_NUMBERS) KD_TRY(with_numbers(a, &r));
        else KD_TRY(a->o.kind == KD_AUGMENT_TEMPLATES ? with_templates(a, &r) : from_answer(a, &r));
        if (a->counts.read % 1024 == 0)
            KD_TRY(kd__progress(a->context, "augment", a->counts.read, a->counts.read));
    }
    return status == KD_END ? KD_OK : status;
}

kd_status kd_augment_prompts(kd_record_reader *reader, kd_record_writer *writer,
                             const kd_augment_options *options, kd_augment_counts *counts)
{
    run a = { .writer = writer, .counts = { .struct_size = sizeof a.counts } };
    KD_NEED(reader);
    KD_NEED(writer);
    KD_NEED(options);
    a.o = defaults;
    KD_TRY(kd__options_read(&a.o, sizeof a.o, options, "kd_augment_options"));
    KD_TRY(check_options(&a));
    a.context = a.prompts.context = a.prompt.context = a.previous.context = a.names.context =
        ((kd__object *)reader)->context;
    if (!a.o.seed) a.o.seed = a.context->seed;
    const kd_status status = augment(&a, reader);
    kd__set_free(&a.prompts);
    kd__text_free(&a.prompt);
    kd__text_free(&a.previous);
    kd__text_free(&a.names);
    kd__release(a.context, a.messages);
    if (status != KD_OK) return status;
    return counts ? kd__info_write(counts, &a.counts, sizeof a.counts, "kd_augment_counts") : KD_OK;
}
