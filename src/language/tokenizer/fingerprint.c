/* What a tokenizer does to texts, as one number: equal for the same tokenizer in another file. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "language/tokenizer/tokenizer.h"

/* Parts are hashed one by one and each hash with what came before, so that nothing large is put
 * together. */
typedef struct {
    uint64_t words[4]; /* so far, and of the next part */
} running;

static void add(running *r, const void *data, size_t size)
{
    uint64_t key[2];
    kd__hash128(data, size, &r->words[2]);
    kd__hash128(r->words, sizeof r->words, key);
    memcpy(r->words, key, sizeof key);
}

static void add_number(running *r, int64_t x)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)x >> 8 * i);
    add(r, bytes, sizeof bytes);
}

static void add_vocabulary(running *r, const kd_tokenizer *t)
{
    for (int64_t id = 0; id < t->size; id++) {
        const kd__token *token = &t->tokens[id];
        if (!token->text) continue;
        add_number(r, id);
        add_number(r, token->flags);
        add(r, token->text, (size_t)token->text_bytes);
    }
}

/* A table in no order: the sum of what each merge hashes to. */
static void add_merges(running *r, const kd_tokenizer *t)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < t->merges_size; i++) {
        const kd__merge *m = &t->merges[i];
        if (m->pair == UINT64_MAX) continue;
        running one = { { 0 } };
        add_number(&one, (int64_t)m->pair);
        add_number(&one, m->rank);
        add_number(&one, m->id);
        sum += one.words[0];
    }
    add_number(r, (int64_t)sum);
}

static void add_steps(running *r, const kd__steps *steps)
{
    add_number(r, steps->count);
    for (int64_t i = 0; i < steps->count; i++) {
        const kd__step *s = &steps->step[i];
        const int64_t numbers[] = { s->type, s->option, s->inverted, s->start, s->stop };
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) add_number(r, numbers[n]);
        add(r, s->to ? s->to : "", s->to ? (size_t)s->to_bytes : 0);
        add(r, s->pattern ? s->pattern : "", s->pattern ? strlen(s->pattern) : 0);
    }
}

static void add_layout(running *r, const kd__layout *layout)
{
    add_number(r, layout->count);
    for (int64_t i = 0; i < layout->count; i++) {
        add_number(r, layout->place[i].id);
        add_number(r, layout->place[i].type);
    }
}

/* Pairs and types count for encoders alone: GGUF files of the others have none. */
static void add_wordpiece(running *r, const kd_tokenizer *t)
{
    add(r, t->wordpiece.prefix, (size_t)t->wordpiece.prefix_bytes);
    add_number(r, t->wordpiece.longest_word);
    add_layout(r, &t->single);
    add_layout(r, &t->pair);
}

static void add_tokenizer(running *r, const kd_tokenizer *t)
{
    const int64_t before = kd__before_count(t), behind = kd__behind_count(t);
    const int64_t numbers[] = { t->byte_level, t->byte_fallback, t->fuse_unknown, t->ignore_merges,
                                t->unknown,    before,           behind };
    add_vocabulary(r, t);
    add_merges(r, t);
    add_steps(r, &t->normalizers);
    add_steps(r, &t->cuts);
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) add_number(r, numbers[n]);
    for (int64_t i = 0; i < before; i++) add_number(r, kd__before(t, i));
    for (int64_t i = 0; i < behind; i++) add_number(r, kd__behind(t, i));
    if (t->wordpiece.is_model) add_wordpiece(r, t);
}

kd_status kd_tokenizer_hash(kd_tokenizer *t, int32_t what, char *text)
{
    running r = { { 0 } };
    KD_NEED(t);
    KD_NEED(text);
    KD_FAIL_IF(what != KD_HASH_TOKENIZER && what != KD_HASH_TEMPLATE, KD_ERR_RANGE,
               "hash: expected KD_HASH_TOKENIZER or KD_HASH_TEMPLATE, got %d", what);
    KD_FAIL_IF(what == KD_HASH_TEMPLATE && !t->chat_template, KD_ERR_NOT_FOUND,
               "the tokenizer has no chat template");
    if (what == KD_HASH_TOKENIZER) add_tokenizer(&r, t);
    else add(&r, t->chat_template, strlen(t->chat_template));
    snprintf(text, KD_HASH_BYTES, "%016llx%016llx", (unsigned long long)r.words[0],
             (unsigned long long)r.words[1]);
    return KD_OK;
}
