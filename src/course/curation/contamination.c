/* Texts that a test set holds. Long ones are found by their n-grams of words (or tokens); those
 * with fewer words are compared whole with prompts, signs included, since 47*83 and 47+83 have the
 * same words. */
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "course/curation/curation.h"

static int learn(void *user, uint64_t hash)
{
    kd__filter *f = user;
    int was_there;
    return kd__set_add(&f->grams, hash, &was_there) != KD_OK;
}

/* The hash of a text, white space and case aside. */
static uint64_t whole_hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        const kd__letter letter = kd__next_letter(&at);
        if (letter.kind != KD__LETTER_SPACE) h = (h ^ letter.code) * 0x100000001b3ULL;
    }
    return h;
}

/* The words of a text, or its tokens. */
static kd_status words_of(const kd_curation *c, kd__filter *f, const char *text, kd__words *words)
{
    *words = kd__words_by_worth(text);
    if (f->o.unit != KD_UNIT_TOKENS) return KD_OK;
    /* a token has a byte or more */
    KD_TRY(KD_RESERVE(c->object.context, &f->ids, &f->ids_room, (int64_t)strlen(text) + 8));
    words->ids = f->ids;
    return kd_tokenizer_encode(c->options.tokenizer, text, -1, 0, f->ids, f->ids_room,
                               &words->left);
}

static kd_status learn_text(const kd_curation *c, kd__filter *f, const char *text, int whole)
{
    kd__words words;
    int was_there;
    if (!*text) return KD_OK;
    KD_TRY(words_of(c, f, text, &words));
    if (!kd__has_gram(words, f->o.ngram))
        return whole ? kd__set_add(&f->whole, whole_hash(text), &was_there) : KD_OK;
    KD_FAIL_IF(kd__each_gram(words, f->o.ngram, learn, f), KD_ERR_MEMORY,
               "contamination: no memory for the n-grams of the tests");
    return KD_OK;
}

kd_status kd__contamination_learn(const kd_curation *c, kd__filter *f, kd_record_reader *tests)
{
    kd_record r = KD_RECORD_INIT;
    kd_status status;
    KD_TRY(kd_record_reader_rewind(tests));
    while ((status = kd_record_reader_next(tests, &r)) == KD_OK) {
        KD_TRY(learn_text(c, f, r.prompt, 1));
        KD_TRY(learn_text(c, f, r.completion, 0));
    }
    return status == KD_END ? KD_OK : status;
}

static int look(void *user, uint64_t hash)
{
    return kd__set_has(&((const kd__filter *)user)->grams, hash);
}

static kd_status holds(const kd_curation *c, kd__filter *f, const char *text, int *found)
{
    kd__words words;
    KD_TRY(words_of(c, f, text, &words));
    *found = kd__has_gram(words, f->o.ngram) && kd__each_gram(words, f->o.ngram, look, f);
    return KD_OK;
}

const char *kd__rule_contamination(const kd_curation *c, kd__filter *f, const kd_record *r,
                                   kd_status *status)
{
    int in_prompt = 0, in_completion = 0;
    if (kd__set_has(&f->whole, whole_hash(r->prompt))) return "the prompt is a test";
    *status = holds(c, f, r->prompt, &in_prompt);
    if (*status == KD_OK && !in_prompt) *status = holds(c, f, r->completion, &in_completion);
    if (in_prompt) return "n-grams of a test in the prompt";
    return in_completion ? "n-grams of a test in the completion" : NULL;
}
