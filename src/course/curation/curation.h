/* Insides of curations. A record's number is its place in the reader's order; facts about it are
 * kept from pass to pass. */
#ifndef KD_CURATION_CURATION_H
#define KD_CURATION_CURATION_H

#include <kdistill/curation.h>

#include "base/arena.h"
#include "base/object.h"
#include "course/record/record.h"

#define KD__PERMUTATIONS 128
#define KD__MOST_FILTERS 64
#define KD__MOST_REASONS 16
#define KD__FILTER_NUMBERS (KD_CURATION_MAX_FOREIGN_SHARE + 1)

typedef struct kd__fact {
    uint64_t prompt[2];
    double score;
    int64_t length; /* in the unit of the filter that compares */
    int32_t bytes;  /* of prompt and completion, at most 2^31 - 1 */
    int32_t domain; /* number of its name */
    int32_t passed; /* filters that kept it; the first one that did not is number `passed` */
    int8_t right;   /* -1: no verifier looked */
    uint8_t alive, changed;
    const char *expected; /* given by agreement; NULL: its own */
    const char *answer;   /* for agreement */
    uint32_t *signature;  /* for the most varied */
} kd__fact;

/* A set of 64-bit numbers; 0 stands for itself. */
typedef struct kd__set {
    kd_context *context;
    uint64_t *slots;
    int64_t room, count;
    int holds_zero;
} kd__set;
kd_status kd__set_add(kd__set *set, uint64_t value, int *was_there);
int kd__set_has(const kd__set *set, uint64_t value);
void kd__set_free(kd__set *set);

typedef struct kd__reason {
    const char *text;
    int64_t count;
} kd__reason;

typedef struct kd__near kd__near; /* an index of signatures */
typedef struct kd__outside kd__outside; /* signatures in a file */

typedef struct kd__filter {
    int32_t kind;
    kd_filter_options o;                /* its pointers point into the curation's arena */
    double numbers[KD__FILTER_NUMBERS]; /* by KD_CURATION_... */
    kd_verify_options verify;
    char name[KD_NAME_BYTES];
    kd__set grams, whole; /* of contamination; of duplicates: grams */
    kd__near *near;
    kd__outside *outside; /* in place of near, where the curation has a folder */
    uint64_t (*languages)[2]; /* slots of words' hashes and their languages */
    int32_t *ids;             /* of contamination by tokens: the last text's */
    int64_t ids_room;
    kd__reason reasons[KD__MOST_REASONS];
    int32_t reason_count;
    int64_t came, kept, kept_bytes;
} kd__filter;

struct kd_curation {
    kd__object object;
    kd_curation_options options;
    kd__arena arena; /* what filters keep */
    kd__filter *filters;
    int64_t filters_room;
    int32_t count;
    /* of a run */
    kd__arena run;
    kd__fact *facts;
    int64_t facts_room, records;
    const char **domains;
    int64_t domains_room, domain_count;
    kd_record_counts read;
    int64_t read_bytes, held_back, held_back_bytes;
    int64_t *prompts; /* (count + 2): different prompts behind each step; NULL: not counted yet */
    int done;
};

/* ---- what filters are told (src/course/curation/options.c) ---- */
/* A filter of made->kind: options read, checked and copied, numbers at their defaults. */
kd_status kd__filter_init(kd_curation *c, kd__filter *made, const kd_filter_options *options);
kd_status kd__filter_check_number(int32_t kind, const char *name, int32_t number, double value);

/* ---- rules about one text: NULL to keep it, else the reason to drop it ---- */
const char *kd__rule_length(const kd_curation *c, const kd__filter *f, const kd_record *r,
                            kd_status *status);
const char *kd__rule_repetition(const kd__filter *f, const kd_record *r, kd_status *status);
const char *kd__rule_scripts(const kd__filter *f, const kd_record *r);
const char *kd__rule_languages(const kd__filter *f, const kd_record *r);
/* The function words that only one of the languages has: pairs of hash and language in
 * f->languages. */
kd_status kd__languages_learn(kd__filter *f, kd__arena *arena);
const char *kd__rule_markup(const kd_record *r);
const char *kd__rule_paragraphs(const kd_curation *c, const kd__filter *f, const kd_record *r,
                                kd_status *status);
kd_status kd__measure(const kd_curation *c, int32_t unit, const char *text, int64_t bytes,
                      int64_t *length);

/* ---- characters ---- */
enum { KD__LETTER_SPACE, KD__LETTER_MARK, KD__LETTER_OF_WORD, KD__LETTER_ALONE };
typedef struct kd__letter {
    uint32_t code; /* letters and digits of full width as those of ASCII, A to Z as a to z */
    int32_t kind;  /* KD__LETTER_ALONE: a word by itself, in scripts that have no spaces */
    int32_t worth; /* twelfths of a word that it is where n-grams are told by their worth */
} kd__letter;
#define KD__WORD_WORTH 12
#define KD__LEAST_WORTH 3
/* The character at *at, which moves after it. Valid UTF-8 that ends with a 0. */
kd__letter kd__next_letter(const unsigned char **at);

/* ---- words, and their hashes in order: runs of letters and digits, small; single characters of
 * scripts without spaces; or a tokenizer's tokens ---- */
typedef struct kd__words {
    const unsigned char *at;
    const int32_t *ids; /* in place of a text */
    int64_t left;
    int by_worth;  /* 0: a character that stands alone is a word; 1: a part of one */
    int32_t worth; /* of the last word */
} kd__words;
static inline kd__words kd__words_of(const char *text)
{
    return (kd__words){ .at = (const unsigned char *)text };
}
static inline kd__words kd__words_by_worth(const char *text)
{
    return (kd__words){ .at = (const unsigned char *)text, .by_worth = 1 };
}
int kd__next_word(kd__words *words, uint64_t *hash);
/* Calls back for each hash of n words in a row, or of as few as are worth n (of all of them, when
 * there are fewer); ends when that returns not 0. */
typedef int kd__gram_function(void *user, uint64_t hash);
int kd__each_gram(kd__words words, int32_t n, kd__gram_function *function, void *user);
/* Are all words together worth n of them? */
int kd__has_gram(kd__words words, int32_t n);

/* ---- near duplicates ---- */
void kd__minhash(const kd_context *context, const char *text, int32_t n,
                 uint32_t signature[KD__PERMUTATIONS]);
double kd__similarity(const uint32_t *a, const uint32_t *b);
kd_status kd__near_create(kd__near **out, kd_context *context, double threshold);
void kd__near_free(kd__near *near);
/* *is_near: one before is at least as similar as the threshold. If not, this one is added. */
kd_status kd__near_look(kd__near *near, const uint32_t signature[KD__PERMUTATIONS], int *is_near);
/* Keys of a signature, one a band: texts that share one are compared. */
int32_t kd__near_bands(const kd__near *near);
uint64_t kd__near_key(const kd__near *near, const uint32_t *signature, int32_t band);
int kd__near_enough(const kd__near *near, const uint32_t *a, const uint32_t *b);

/* ---- the same beyond memory: signatures of all records that are alive, then the comparison ---- */
kd_status kd__outside_create(kd__outside **out, kd_context *context, const char *folder,
                             int64_t memory, double threshold);
void kd__outside_free(kd__outside *outside);
kd_status kd__outside_add(kd__outside *outside, const uint32_t signature[KD__PERMUTATIONS]);
kd_status kd__outside_compare(kd__outside *outside, kd_curation *c, int32_t number);

/* ---- contamination ---- */
kd_status kd__contamination_learn(const kd_curation *c, kd__filter *f, kd_record_reader *tests);
const char *kd__rule_contamination(const kd_curation *c, kd__filter *f, const kd_record *r,
                                   kd_status *status);

/* ---- filters that compare records: run over the facts that are alive ---- */
int kd__compares(const kd_curation *c, int32_t number);
kd_status kd__compare_records(kd_curation *c, int32_t number);
/* Drops record i by filter `number`. */
void kd__drop(kd_curation *c, int32_t number, int64_t i, const char *reason);

#endif
