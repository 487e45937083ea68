/* Texts by two tokenizers: batches with the ends of tokens, and the classes that both know. */
#include <kdistill/align.h>
#include <kdistill/store.h>

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "language/tokenizer/ends.h"

/* Rows of a batch that is put together. */
typedef struct {
    kd_context *context;
    kd_tokenizer *tokenizer;
    int64_t *tokens, *ends, *offsets, rows, tokens_room, ends_room;
    int32_t *ids, end_token;
    int64_t *text_ends, ids_room, text_ends_room;
    uint64_t *keys;
} texts;

static void release(texts *t)
{
    void *const blocks[] = { t->tokens, t->ends, t->offsets, t->ids, t->text_ends, t->keys };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(t->context, blocks[i]);
}

static kd_status encode(texts *t, const char *text, int64_t bytes, int64_t *count)
{
    const int32_t how = KD_TOKENIZER_ADD_SPECIAL;
    int64_t n;
    KD_TRY(kd_tokenizer_encode(t->tokenizer, text, bytes, how, NULL, 0, &n));
    KD_TRY(KD_RESERVE(t->context, &t->ids, &t->ids_room, n + 1));
    KD_TRY(KD_RESERVE(t->context, &t->text_ends, &t->text_ends_room, n + 1));
    KD_TRY(kd_tokenizer_encode_ends(t->tokenizer, text, bytes, how, t->ids, t->text_ends, n, &n));
    *count = n;
    if (t->end_token < 0) return KD_OK;
    t->ids[n] = t->end_token;
    t->text_ends[n] = bytes;
    ++*count;
    return KD_OK;
}

static kd_status add_text(texts *t, const char *text, int32_t number)
{
    int64_t count;
    KD_FAIL_IF(!text, KD_ERR_INVALID, "text %d: expected a text, got NULL", number);
    KD_TRY(encode(t, text, (int64_t)strlen(text), &count));
    KD_FAIL_IF(!count, KD_ERR_INVALID, "text %d has no tokens", number);
    const int64_t need = t->rows + count;
    KD_TRY(KD_RESERVE(t->context, &t->tokens, &t->tokens_room, need));
    KD_TRY(KD_RESERVE(t->context, &t->ends, &t->ends_room, need));
    for (int64_t i = 0; i < count; i++) {
        t->tokens[t->rows + i] = t->ids[i];
        t->ends[t->rows + i] = t->text_ends[i];
    }
    const kd_array content = KD_ARRAY_1D(t->tokens + t->rows, KD_INT64, count);
    t->rows = t->offsets[number + 1] = need;
    return kd_store_key(t->context, &content, &t->keys[2 * number], &t->keys[2 * number + 1]);
}

/* Who made the tokens, for stores: the words are a packer's for plain texts. */
static kd_status name_origin(kd_batch *batch, const texts *t)
{
    char hash[KD_HASH_BYTES], rendering[40] = "plain";
    if (t->end_token >= 0)
        snprintf(rendering, sizeof rendering, "plain, end token %d", t->end_token);
    KD_TRY(kd_tokenizer_hash(t->tokenizer, KD_HASH_TOKENIZER, hash));
    return kd_batch_set_origin(batch, hash, rendering);
}

static kd_status fill(kd_batch *batch, texts *t, int32_t count)
{
    const kd_array offsets = KD_ARRAY_1D(t->offsets, KD_INT64, count + 1);
    const kd_array keys = KD_ARRAY_2D(t->keys, KD_UINT64, count, 2);
    const kd_array tokens = KD_ARRAY_1D(t->tokens, KD_INT64, t->rows);
    const kd_array ends = KD_ARRAY_1D(t->ends, KD_INT64, t->rows);
    KD_TRY(kd_batch_begin_packed(batch, &offsets));
    KD_TRY(kd_batch_set(batch, "tokens", &tokens, NULL));
    KD_TRY(kd_batch_set(batch, "end", &ends, NULL));
    KD_TRY(kd_batch_set_samples(batch, NULL, &keys, NULL));
    return name_origin(batch, t);
}

kd_status kd_batch_begin_texts(kd_batch *batch, kd_tokenizer *tokenizer, const char *const *given,
                               int32_t count, int32_t end_token)
{
    texts t = { .tokenizer = tokenizer };
    kd_status status;
    KD_NEED(batch);
    KD_NEED(tokenizer);
    KD_NEED(given);
    KD_FAIL_IF(count < 1, KD_ERR_RANGE, "texts: expected at least 1, got %d", count);
    KD_TRY(kd__end_token(tokenizer, end_token, &t.end_token));
    t.context = tokenizer->object.context;
    KD_TRY_GOTO(status, KD_NEW(t.context, &t.offsets, count + 1), done);
    KD_TRY_GOTO(status, KD_NEW(t.context, &t.keys, 2 * (int64_t)count), done);
    for (int32_t i = 0; i < count && status == KD_OK; i++) status = add_text(&t, given[i], i);
    if (status == KD_OK) status = fill(batch, &t, count);
done:
    release(&t);
    return status;
}

/* ---- classes ---- */

/* What ends a text has another name in every family. */
static void pair_ends(const kd_tokenizer *student, const kd_tokenizer *teacher, int64_t *teacher_of,
                      int64_t classes, int64_t *shared)
{
    if (!student->end_count || !teacher->end_count) return;
    const int64_t end = teacher->ends[0];
    int64_t *to = &teacher_of[student->ends[0]];
    if (*to >= 0) return;
    for (int64_t i = 0; i < classes; i++)
        if (teacher_of[i] == end) return;
    *to = end;
    ++*shared;
}

static kd_status check_classes(const kd_tokenizer *student, int64_t student_classes,
                               const kd_tokenizer *teacher, int64_t teacher_classes)
{
    const int fit = student_classes >= student->size && student_classes <= INT32_MAX &&
                    teacher_classes >= teacher->size;
    KD_FAIL_IF(!fit, KD_ERR_RANGE,
               "classes: expected at least %lld of the student and %lld of the teacher, got %lld "
               "and %lld",
               (long long)student->size, (long long)teacher->size, (long long)student_classes,
               (long long)teacher_classes);
    return KD_OK;
}

static kd_status make_map(kd_tokenizer *student, int64_t classes, kd_tokenizer *teacher,
                          int32_t *map, int64_t *teacher_of, int64_t *shared)
{
    KD_TRY(kd_tokenizer_map(student, teacher, map, student->size, shared));
    for (int64_t i = 0; i < classes; i++) teacher_of[i] = i < student->size ? map[i] : -1;
    pair_ends(student, teacher, teacher_of, classes, shared);
    return KD_OK;
}

kd_status kd_loss_set_shared_tokens(kd_loss *loss, int32_t term, kd_tokenizer *student,
                                    int64_t student_classes, kd_tokenizer *teacher,
                                    int64_t teacher_classes, int64_t *shared)
{
    int32_t *map = NULL;
    int64_t *teacher_of = NULL, found;
    kd_status status;
    KD_NEED(loss);
    KD_NEED(student);
    KD_NEED(teacher);
    KD_TRY(check_classes(student, student_classes, teacher, teacher_classes));
    kd_context *context = student->object.context;
    KD_TRY_GOTO(status, KD_NEW(context, &map, student->size), done);
    KD_TRY_GOTO(status, KD_NEW(context, &teacher_of, student_classes), done);
    KD_TRY_GOTO(status, make_map(student, student_classes, teacher, map, teacher_of, &found), done);
    const kd_array classes = KD_ARRAY_1D(teacher_of, KD_INT64, student_classes);
    status = kd_loss_set_shared_classes(loss, term, &classes, teacher_classes);
    if (status == KD_OK && shared) *shared = found;
done:
    kd__release(context, map);
    kd__release(context, teacher_of);
    return status;
}
