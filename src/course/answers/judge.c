/* Answers judged: pass@1, pass@k, cons@k. */
#include <kdistill/answers.h>

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/memory.h"
#include "base/object.h"
#include "course/record/record.h"

typedef struct {
    kd_context *context;
    const kd_verify_options *verify;
    kd__arena arena; /* texts of the prompt that is read */
    const char **texts;
    int32_t *rights;
    int64_t texts_room, rights_room, count; /* answers so far */
    uint64_t prompt[2];
    char *expected;
    int32_t n, samples; /* answers to this prompt, and to each */
    int32_t last;       /* number of the answer before */
    int64_t questions, right, consensus, bad_format, unfinished;
    double bytes, right_bytes;
} judge;

static kd_status has_format(const judge *j, const char *text, int32_t *kept)
{
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    *kept = 1;
    if (!j->verify || !j->verify->format) return KD_OK;
    o.verifiers = KD_VERIFY_EXACT;
    o.format = j->verify->format;
    return kd_verify_answer(text, text, &o, kept, NULL);
}

static kd_status end_prompt(judge *j)
{
    int32_t winner, votes;
    if (!j->n) return KD_OK;
    KD_FAIL_IF(j->samples && j->n != j->samples, KD_ERR_SHAPE,
               "prompt number %lld: expected %d answers, as the ones before have, got %d",
               (long long)j->questions, j->samples, j->n);
    j->samples = j->n;
    KD_TRY(kd_verify_majority(j->texts, j->n, j->verify, &winner, &votes));
    j->consensus += j->rights[j->count - j->n + winner];
    j->questions++;
    j->n = 0;
    kd__arena_empty(&j->arena);
    return KD_OK;
}

static kd_status take(judge *j, const kd_record *r)
{
    int32_t kept, right;
    KD_FAIL_IF(!*r->expected, KD_ERR_INVALID, "record of line %lld: it has no expected answer",
               (long long)r->line);
    if (j->n && (memcmp(r->prompt_key, j->prompt, sizeof j->prompt) || r->sample < j->last))
        KD_TRY(end_prompt(j));
    j->last = r->sample;
    memcpy(j->prompt, r->prompt_key, sizeof j->prompt);
    KD_TRY(KD_RESERVE(j->context, &j->texts, &j->texts_room, j->n + 1));
    KD_TRY(KD_RESERVE(j->context, &j->rights, &j->rights_room, j->count + 1));
    KD_TRY(
        kd__arena_text(&j->arena, r->completion, (int64_t)strlen(r->completion), &j->texts[j->n]));
    KD_TRY(kd_verify_answer(r->completion, r->expected, j->verify, &right, NULL));
    KD_TRY(has_format(j, r->completion, &kept));
    const double bytes = (double)strlen(r->completion);
    j->rights[j->count++] = right;
    j->n++;
    j->right += right;
    j->bytes += bytes;
    j->right_bytes += right ? bytes : 0;
    j->bad_format += !kept;
    j->unfinished += !strcmp(r->finish, "length");
    return KD_OK;
}

static kd_status finish(judge *j, int32_t k, int32_t *rights, int64_t room,
                        kd_answers_result *result)
{
    kd_answers_result made = { .struct_size = sizeof made,
                               .samples = j->samples,
                               .questions = j->questions,
                               .pass = { .struct_size = sizeof made.pass } };
    KD_FAIL_IF(!j->count, KD_ERR_STATE, "there are no answers to judge");
    KD_FAIL_IF(rights && room < j->count, KD_ERR_RANGE, "rights: expected room for %lld, got %lld",
               (long long)j->count, (long long)room);
    KD_TRY(kd_verify_pass_at_k(j->rights, j->questions, j->samples, k, &made.pass));
    if (rights) memcpy(rights, j->rights, (size_t)j->count * sizeof *rights);
    made.consensus = (double)j->consensus / (double)j->questions;
    made.format_errors = (double)j->bad_format / (double)j->count;
    made.unfinished = (double)j->unfinished / (double)j->count;
    made.mean_bytes = j->bytes / (double)j->count;
    made.mean_right_bytes = j->right ? j->right_bytes / (double)j->right : NAN;
    return kd__info_write(result, &made, sizeof made, "kd_answers_result");
}

kd_status kd_answers_judge(kd_record_reader *answers, const kd_verify_options *verify, int32_t k,
                           int32_t *rights, int64_t room, kd_answers_result *result)
{
    kd_record r = KD_RECORD_INIT;
    kd_status status;
    KD_NEED(answers);
    KD_NEED(result);
    judge j = { .context = ((kd__object *)answers)->context, .verify = verify };
    j.arena.context = j.context;
    while ((status = kd_record_reader_next(answers, &r)) == KD_OK)
        if ((status = take(&j, &r)) != KD_OK) break;
    if (status == KD_END) status = end_prompt(&j);
    if (status == KD_OK) status = finish(&j, k, rights, room, result);
    kd__arena_empty(&j.arena);
    kd__release(j.context, j.texts);
    kd__release(j.context, j.rights);
    return status;
}
