/* kdistill/curation.h - which texts a student learns from. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_curation_add(c, KD_FILTER_LENGTH, NULL, &step);
 *   2.  kd_curation_set(c, step, KD_CURATION_MAX_LENGTH, 8000);
 *   3.  kd_curation_add(c, KD_FILTER_VERIFY, &right, NULL);
 *   4.  kd_curation_add(c, KD_FILTER_NEAR_DUPLICATES, NULL, NULL);
 *   5.  kd_curation_run(c, reader, kept, held_out);
 *   6.  kd_curation_to_text(c, &table);
 *
 * A curation is a list of filters. A run sends a reader's records through them in order, writes
 * those that remain, with the filters' names in "passed", and keeps the funnel: how many records
 * reached each filter, how many it dropped, and why. Memory holds only facts about records (about
 * 80 bytes each, 1 kB for near duplicates, or what kd_curation_options.memory says); filters that
 * compare records with each other read the file again. */
#ifndef KDISTILL_CURATION_H
#define KDISTILL_CURATION_H

#include <kdistill/record.h>
#include <kdistill/report.h>
#include <kdistill/verify.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_curation kd_curation;

/* What each filter drops, and the options it reads beside `name`. A filter's limits are numbers
 * (KD_CURATION_...), set with kd_curation_set. */
/* Completions that are shorter than MIN_LENGTH or longer than MAX_LENGTH, and those that were cut
 * off. unit */
#define KD_FILTER_LENGTH 1
/* Loops: more than MAX_REPEATED_SHARE of the completion's n-grams came before in it, or its last 4
 * to 200 bytes stand LOOP_COUNT times in a row at its end. ngram (4 words) */
#define KD_FILTER_REPETITION 2
/* Mixed scripts: more than MAX_SCRIPT_SHARE of the completion's letters are of another script than
 * most, and the prompt has none of that script. Latin, Greek, Cyrillic, Hebrew, Arabic, Indic,
 * Thai, Hangul, Kana with Han */
#define KD_FILTER_SCRIPTS 3
/* Unclosed or doubled <think> (or another mark of docs/verify.md), code fences, \boxed{,
 * environments, $$ */
#define KD_FILTER_MARKUP 4
/* A paragraph (up to an empty line) that is longer than MAX_PARAGRAPH. unit */
#define KD_FILTER_PARAGRAPHS 5
/* The same prompt and completion as one before. */
#define KD_FILTER_DUPLICATES 6
/* An estimated Jaccard similarity of n-grams above MAX_SIMILARITY with one before that was kept:
 * MinHash, 128 permutations in bands chosen for that number [Broder 1997]. ngram (5 words) */
#define KD_FILTER_NEAR_DUPLICATES 7
/* An n-gram of prompt or completion is in a text of `tests`; texts of `tests` that are shorter are
 * compared whole with the prompt, signs included. Words are compared without case and punctuation.
 * tests; ngram (10 [Shao et al. 2024]); unit (words, or the tokenizer's tokens) */
#define KD_FILTER_CONTAMINATION 8
/* The completion's answer is not the record's "expected"; records without one. verify */
#define KD_FILTER_VERIFY 9
/* A score below MIN_SCORE; none. */
#define KD_FILTER_SCORE 10
/* What `function` says; it may change score and domain. function, user */
#define KD_FILTER_HOST 11
/* * Prompts of which a share of right answers below MIN_PASS_RATE or above MAX_PASS_RATE came: the
 * teacher's own difficulty. verify */
#define KD_FILTER_PASS_RATE 12
/* * All but MAX_PER_PROMPT records of each prompt. choose; unit (of the shortest); ngram (5 words:
 * of the most varied) */
#define KD_FILTER_BEST 13
/* * What a domain has more than its part: `domains` with `shares`, or (no domains) each at most
 * MAX_DOMAIN_RATIO times as much as the rarest. domains, shares; unit (records) */
#define KD_FILTER_BALANCE 14
/* * So many that short ones (at most SHORT_LENGTH) are SHORT_SHARE of the records. unit */
#define KD_FILTER_LENGTH_MIX 15
/* * Prompts whose most frequent answer has less than MIN_AGREEMENT of the answers, and the records
 * with another answer; "expected", where it is empty, becomes that answer [Wang et al. 2023].
 * verify */
#define KD_FILTER_AGREEMENT 16
/* * All but MAX_RECORDS records, drawn by the seed. */
#define KD_FILTER_SAMPLE 17
/* Mixed languages of Latin script: at least MIN_FOREIGN_WORDS and more than MAX_FOREIGN_SHARE of
 * the completion's function words (of those that only one of English, German, French, Spanish,
 * Italian, Portuguese, Dutch, Swedish, Polish, Turkish has) are of other languages than most are,
 * which the prompt has not twice or more. */
#define KD_FILTER_LANGUAGES 18

/* Numbers of filters: the kind that has it, its meaning, bounds, default. Lengths and counts are
 * whole numbers; lengths are in the filter's unit. */
#define KD_CURATION_MIN_LENGTH 1         /* LENGTH: the shortest that stays; 0 .., 1 */
#define KD_CURATION_MAX_LENGTH 2         /* LENGTH: the longest; 0 .., 0: no limit */
#define KD_CURATION_MAX_PARAGRAPH 3      /* PARAGRAPHS: the longest; 1 .., 2000 */
#define KD_CURATION_MAX_REPEATED_SHARE 4 /* REPETITION: of n-grams; 0 .. 1, .3 */
#define KD_CURATION_LOOP_COUNT 5         /* REPETITION: times in a row; 2 .., 4 */
#define KD_CURATION_MAX_SCRIPT_SHARE 6   /* SCRIPTS: of letters; 0 .. 1, .05 */
#define KD_CURATION_MAX_SIMILARITY 7    /* NEAR_DUPLICATES: Jaccard; 0 .. 1, .8 [Lee et al. 2022] */
#define KD_CURATION_MIN_SCORE 8         /* SCORE: the lowest that stays; any, .5 */
#define KD_CURATION_MIN_PASS_RATE 9     /* PASS_RATE: 0 .. 1, .001: what nobody solves goes */
#define KD_CURATION_MAX_PASS_RATE 10    /* PASS_RATE: 0 .. 1, 1; below 1 what all solve goes */
#define KD_CURATION_MAX_PER_PROMPT 11   /* BEST: records that stay; 1 .., 1 */
#define KD_CURATION_MAX_DOMAIN_RATIO 12 /* BALANCE: a domain's over the rarest's; 0 .., 1 */
#define KD_CURATION_SHORT_LENGTH 13     /* LENGTH_MIX: the longest short one; 0 .., 1000 */
#define KD_CURATION_SHORT_SHARE 14      /* LENGTH_MIX: of short ones; 0 .. 1, .8 [Li et al. 2025] */
#define KD_CURATION_MIN_AGREEMENT 15    /* AGREEMENT: of a prompt's answers; 0 .. 1, .5 */
#define KD_CURATION_MAX_RECORDS 16      /* SAMPLE: records that stay; 1 .., 1000 */
#define KD_CURATION_MIN_FOREIGN_WORDS 17 /* LANGUAGES: function words; 0 .., 4 */
#define KD_CURATION_MAX_FOREIGN_SHARE 18 /* LANGUAGES: of function words; 0 .. 1, .2 */

#define KD_UNIT_BYTES 0
/* runs without white space; each character of a script that has none (docs/records.md) */
#define KD_UNIT_WORDS 1
#define KD_UNIT_TOKENS 2 /* of the curation's tokenizer                  */
#define KD_UNIT_RECORDS 3

/* the highest score, then the first */
#define KD_CHOOSE_SCORE 0
#define KD_CHOOSE_SHORTEST 1
/* the first, then always the one least like those chosen (Jaccard of words, by MinHash) */
#define KD_CHOOSE_VARIED 2

/* Returns 1 to keep the record, 0 to drop it, a negative status (kd_set_error) to end the run.
 * *reason, static, may be set. Of the record only score and domain may be changed. */
typedef int32_t (*kd_filter_function)(void *user, kd_record *record, const char **reason);

/* Options of a filter. One that its kind does not read is refused: KD_ERR_INVALID. */
typedef struct kd_filter_options {
    uint32_t struct_size;
    /* KD_UNIT_BYTES ..., in what lengths are counted; -1: the kind's default, bytes where the kind
     * names none */
    int32_t unit;
    /* words, or tokens, in a row that are compared, 1 to 64; 0: the kind's default */
    int32_t ngram;
    /* KD_CHOOSE_SCORE ... */
    int32_t choose;
    /* in the funnel and in "passed"; NULL: the kind's own */
    const char *name;
    /* copied; NULL: defaults */
    const kd_verify_options *verify;
    /* read by kd_curation_add */
    kd_record_reader *tests;
    kd_filter_function function;
    void *user;
    /* copied */
    const char *const *domains;
    const double *shares;
    int32_t domain_count;
    int32_t reserved;
} kd_filter_options;
#define KD_FILTER_OPTIONS_INIT                                                                     \
    {                                                                                              \
        (uint32_t)sizeof(kd_filter_options), -1, 0, KD_CHOOSE_SCORE, NULL, NULL, NULL, NULL, NULL, \
            NULL, NULL, 0, 0                                                                       \
    }
KD_API void kd_filter_options_init(kd_filter_options *options, size_t size);

typedef struct kd_curation_options {
    uint32_t struct_size;
    int32_t reserved;
    uint64_t seed; /* of draws and of the split; 0: the context's */
    /* share of prompts, with all their records, that goes to the second writer; 0: none */
    double validation;
    kd_tokenizer *tokenizer; /* for KD_UNIT_TOKENS; kept alive */
    /* a folder for files of near duplicates, where memory does not hold them: signatures and bands
     * are sorted there, about 512 + 48 bytes a band (11 bands at .8) of each record that comes to
     * the filter, and removed. The result is the same; records are read once more. NULL: all in
     * memory */
    const char *folder;
    /* bytes that near duplicates may take with `folder`, at least 2^20. KD_ERR_MEMORY: too few for
     * what the kept texts of one 64th of the records have in common with later ones */
    int64_t memory;
} kd_curation_options;
#define KD_CURATION_OPTIONS_INIT                                                                   \
    {                                                                                              \
        (uint32_t)sizeof(kd_curation_options), 0, 0, 0.0, NULL, NULL, 1 << 30                      \
    }
KD_API void kd_curation_options_init(kd_curation_options *options, size_t size);

KD_API kd_status kd_curation_create(kd_curation **out, kd_context *context,
                                    const kd_curation_options *options);
KD_API void kd_curation_free(kd_curation *curation);
/* Adds a filter at the end; *step (may be NULL) is its number in the funnel, from 1.
 * KD_ERR_INVALID: something that the kind needs is missing, or an option is set that it does not
 * read; KD_ERR_RANGE. */
KD_API kd_status kd_curation_add(kd_curation *curation, int32_t kind,
                                 const kd_filter_options *options, int32_t *step);
/* Numbers of the filter at `step`, KD_CURATION_...; a change makes the last run's funnel void.
 * KD_ERR_INVALID: the number of another kind; KD_ERR_RANGE: out of bounds (the message names
 * them). */
KD_API kd_status kd_curation_set(kd_curation *curation, int32_t step, int32_t number, double value);
KD_API kd_status kd_curation_get(kd_curation *curation, int32_t step, int32_t number,
                                 double *value);
/* Bounds and default of a kind's number; each may be NULL. KD_ERR_INVALID: the kind has none. */
KD_API kd_status kd_curation_bounds(int32_t kind, int32_t number, double *low, double *high,
                                    double *standard);
/* Runs all filters over the reader's records, from the first. Every run starts over. validation may
 * be NULL (if options.validation is 0). If a call fails, nothing was written after the failure and
 * the funnel is void. */
KD_API kd_status kd_curation_run(kd_curation *curation, kd_record_reader *reader,
                                 kd_record_writer *kept, kd_record_writer *validation);

typedef struct kd_funnel {
    uint32_t struct_size;
    int32_t reasons;
    /* the first entry, "read", and the last, "validation" (if there is one), are not filters */
    const char *name;
    int64_t seen, dropped, kept;
    int64_t kept_bytes;   /* of prompts and completions */
    int64_t kept_prompts; /* distinct ones */
} kd_funnel;
KD_API kd_status kd_curation_step_count(kd_curation *curation, int32_t *steps);
KD_API kd_status kd_curation_get_step(kd_curation *curation, int32_t step, kd_funnel *funnel);
KD_API kd_status kd_curation_reason(kd_curation *curation, int32_t step, int32_t reason,
                                    const char **text, int64_t *records);
/* The funnel as a text table; freed by kd_context_free_text. */
KD_API kd_status kd_curation_to_text(kd_curation *curation, char **text);
/* Adds to a report under `name` (at most 40 bytes): the funnel, and histograms before and after of
 * lengths, domains and the teacher's pass rates (if a filter verified). */
KD_API kd_status kd_curation_fill_report(kd_curation *curation, kd_report *report,
                                         const char *name);

/* The side of a split that a prompt is on: *held is 1 with probability `share` (0 to 1), from its
 * key and the seed alone. */
KD_API kd_status kd_curation_is_held_out(const uint64_t prompt_key[2], uint64_t seed, double share,
                                         int32_t *held);

#ifdef __cplusplus
}
#endif
#endif
