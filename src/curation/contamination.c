/* Texts that a test set holds. Long ones are found by their n-grams of words; those with fewer words are compared whole with prompts, signs
 * included, since 47*83 and 47+83 have the same words. */
#include <string.h>

#include "base/hash.h"
#include "curation/curation.h"

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
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == ' ' || (*p >= '\t' && *p <= '\r')) continue;
        h = (h ^ (*p >= 'A' && *p <= 'Z' ? *p + 32u : *p)) * 0x100000001b3ULL;
    }
    return h;
}

static kd_status learn_text(kd__filter *f, const char *text)
{
    int was_there;
    if (!*text) return KD_OK;
    if (kd__count_words(text, f->o.n) < f->o.n) return kd__set_add(&f->whole, whole_hash(text), &was_there);
    KD_FAIL_IF(kd__each_gram(text, f->o.n, learn, f), KD_ERR_MEMORY, "contamination: no memory for the n-grams of the tests");
    return KD_OK;
}

kd_status kd__contamination_learn(kd__filter *f, kd_context *context, kd_record_reader *tests)
{
    kd_record r = KD_RECORD_INIT;
    kd_status status;
    f->grams.context = f->whole.context = context;
    KD_TRY(kd_record_reader_rewind(tests));
    while ((status = kd_record_reader_next(tests, &r)) == KD_OK) {
        KD_TRY(learn_text(f, r.prompt));
        if (kd__count_words(r.completion, f->o.n) >= f->o.n) KD_TRY(learn_text(f, r.completion));
    }
    return status == KD_END ? KD_OK : status;
}

static int look(void *user, uint64_t hash) { return kd__set_has(&((const kd__filter *)user)->grams, hash); }

static int holds(const kd__filter *f, const char *text)
{
    if (kd__count_words(text, f->o.n) < f->o.n) return 0;
    return kd__each_gram(text, f->o.n, look, (void *)f);
}

const char *kd__rule_contamination(const kd__filter *f, const kd_record *r)
{
    if (kd__set_has(&f->whole, whole_hash(r->prompt))) return "the prompt is a test";
    if (holds(f, r->prompt)) return "n-grams of a test in the prompt";
    return holds(f, r->completion) ? "n-grams of a test in the completion" : NULL;
}
