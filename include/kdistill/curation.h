/* kdistill/curation.h - which texts a student learns from.   SPDX-License-Identifier: Apache-2.0
 *
 * A curation is a list of filters. A run sends the records of a reader through them in order, writes those that remain with the filters' names in
 * "passed", and keeps the funnel: how many came to each filter, how many it dropped and why. Only facts about records are held in memory (about
 * 80 bytes each; near duplicates 1 kB): the file is read once more for each filter that compares records of the whole (marked *).
 *
 *   kd_curation_add(c, KD_FILTER_LENGTH, &length);  kd_curation_add(c, KD_FILTER_VERIFY, &right);  kd_curation_add(c, KD_FILTER_NEAR_DUPLICATES, NULL);
 *   kd_curation_run(c, reader, kept, held_back);    kd_curation_text(c, &table);                                                   */
#ifndef KDISTILL_CURATION_H
#define KDISTILL_CURATION_H

#include <kdistill/metrics.h>
#include <kdistill/record.h>
#include <kdistill/verify.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_curation kd_curation;

/* kind                          what it drops; the options it reads, with their defaults                                           */
#define KD_FILTER_LENGTH 1       /* completions shorter than `low` (1) or longer than `high` (no limit) in `unit`, and those that were cut off   */
#define KD_FILTER_REPETITION 2   /* loops: more than `threshold` (.3) of the completion's n-grams (n: 4 words) came before in it, or its last
                                    4 to 200 bytes stand `high` (4) times in a row at its end                                         */
#define KD_FILTER_SCRIPTS 3      /* mixed scripts: more than `threshold` (.05) of the completion's letters are of another script than most, and the
                                    prompt has none of that script. Latin, Greek, Cyrillic, Hebrew, Arabic, Indic, Thai, Hangul, Kana with Han */
#define KD_FILTER_MARKUP 4       /* unclosed or doubled <think>, code fences, \boxed{, environments, $$                                  */
#define KD_FILTER_PARAGRAPHS 5   /* a paragraph (up to an empty line) longer than `high` (2000) in `unit`                              */
#define KD_FILTER_DUPLICATES 6   /* the same prompt and completion as one before                                                       */
#define KD_FILTER_NEAR_DUPLICATES 7 /* MinHash: an estimated Jaccard similarity of word n-grams (n: 5) above `threshold` (.8) with one before
                                    that was kept; 128 permutations in bands chosen for the threshold                    [Broder 1997] */
#define KD_FILTER_CONTAMINATION 8 /* any n-gram (n: 10) of prompt or completion is in a text of `tests`: words, case and punctuation aside, or
                                    (`unit`) the tokenizer's tokens; texts of `tests` that are shorter are compared whole with the prompt, signs
                                    included                                                                                          */
#define KD_FILTER_VERIFY 9       /* the completion's answer is not the record's "expected" (`verify`); records without one are dropped  */
#define KD_FILTER_SCORE 10       /* a score below `threshold`; none                                                                   */
#define KD_FILTER_HOST 11        /* what `function` says; it may change score and domain                                              */
#define KD_FILTER_PASS_RATE 12   /* * prompts of which a share of right answers below low / 1000 or above high / 1000 came (`verify`): the
                                    teacher's own difficulty                                                                          */
#define KD_FILTER_BEST 13        /* * all but `high` (1) records of each prompt: `choose`                                             */
#define KD_FILTER_BALANCE 14     /* * what a domain has more than its part, in `unit`: `domains` with `shares`, or (no domains) each at most as much
                                    as the rarest times `threshold` (1)                                                               */
#define KD_FILTER_LENGTH_MIX 15  /* * so many that short ones (at most `low` in `unit`) are a share `threshold` (.8) of the records     */
#define KD_FILTER_AGREEMENT 16   /* * prompts whose most frequent answer has less than `threshold` (.5) of the answers, and the records with
                                    another answer; "expected", where it is empty, becomes that answer              [Wang et al. 2023] */
#define KD_FILTER_SAMPLE 17      /* * all but `high` records, drawn by the seed                                                       */
#define KD_FILTER_LANGUAGES 18   /* mixed languages of Latin script: at least `low` (4) and more than `threshold` (.2) of the completion's function words
                                    (of those that only one of English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish, Polish, Turkish
                                    has) are of other languages than most are, which the prompt has not twice or more                 */

#define KD_UNIT_BYTES 0
#define KD_UNIT_WORDS 1  /* runs without white space                     */
#define KD_UNIT_TOKENS 2 /* of the curation's tokenizer                  */
#define KD_UNIT_RECORDS 3

#define KD_CHOOSE_SCORE 0    /* the highest score, then the first                                                   */
#define KD_CHOOSE_SHORTEST 1
#define KD_CHOOSE_VARIED 2   /* the first, then always the one least like those chosen (Jaccard of words, by MinHash) */

/* Returns 1 to keep the record, 0 to drop it, a negative status (kd_set_error) to end the run. *reason, static, may be set. Of the record only score and
 * domain may be changed.                                                                                                       */
typedef int32_t (*kd_record_function)(void *user, kd_record *record, const char **reason);

typedef struct kd_filter_options {
    uint32_t struct_size;
    int32_t n;                        /* 0: the kind's default                                          */
    int32_t unit;                     /* KD_UNIT_BYTES ...; -1: the kind's default, bytes, for BALANCE records */
    int32_t choose;
    int64_t low, high;                /* -1: the kind's default                                          */
    double threshold;                 /* NaN: the kind's default                                         */
    const char *name;                 /* in the funnel and in "passed"; NULL: the kind's own             */
    const kd_verify_options *verify;  /* copied; NULL: defaults                                         */
    kd_record_reader *tests;          /* read by kd_curation_add                                         */
    kd_record_function function;
    void *user;
    const char *const *domains;       /* copied                                                         */
    const double *shares;
    int32_t domain_count;
    int32_t reserved;
} kd_filter_options;
#define KD_FILTER_OPTIONS_INIT { (uint32_t)sizeof(kd_filter_options), 0, -1, 0, -1, -1, NAN, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 }
KD_API void kd_filter_options_init(kd_filter_options *options, size_t size);

typedef struct kd_curation_options {
    uint32_t struct_size;
    int32_t reserved;
    uint64_t seed;           /* of draws and of the split; 0: the context's */
    double validation;       /* share of prompts, all their records, that goes to the second writer; 0: none */
    kd_tokenizer *tokenizer; /* for KD_UNIT_TOKENS; kept alive             */
} kd_curation_options;
#define KD_CURATION_OPTIONS_INIT { (uint32_t)sizeof(kd_curation_options), 0, 0, 0.0, NULL }
KD_API void kd_curation_options_init(kd_curation_options *options, size_t size);

KD_API kd_status kd_curation_create(kd_curation **out, kd_context *context, const kd_curation_options *options);
KD_API void kd_curation_free(kd_curation *curation);
/* Adds a filter at the end. KD_ERR_INVALID: what the kind needs is missing; KD_ERR_RANGE. */
KD_API kd_status kd_curation_add(kd_curation *curation, int32_t kind, const kd_filter_options *options);
/* Runs all filters over the reader's records, from its first on. validation may be NULL (with options.validation 0). Runs begin anew each time.
 * When a call fails, nothing was written behind the failure and the funnel is void.                                            */
KD_API kd_status kd_curation_run(kd_curation *curation, kd_record_reader *reader, kd_record_writer *kept, kd_record_writer *validation);

typedef struct kd_funnel {
    uint32_t struct_size;
    int32_t reasons;
    const char *name;         /* the first entry, "read", and the last, "validation" (if there is one), are no filters */
    int64_t came, dropped, kept;
    int64_t kept_bytes;       /* of prompts and completions                         */
    int64_t kept_prompts;     /* different ones                                     */
} kd_funnel;
KD_API kd_status kd_curation_steps(kd_curation *curation, int32_t *steps);
KD_API kd_status kd_curation_funnel(kd_curation *curation, int32_t step, kd_funnel *funnel);
KD_API kd_status kd_curation_reason(kd_curation *curation, int32_t step, int32_t reason, const char **text, int64_t *records);
/* The funnel as a table of text; freed by kd_text_free. */
KD_API kd_status kd_curation_text(kd_curation *curation, char **text);
/* Into a report under `name` (at most 40 bytes): the funnel, and histograms before and after of lengths, domains and the teacher's pass rates (where a filter verified). */
KD_API kd_status kd_curation_report(kd_curation *curation, kd_report *report, const char *name);

/* Which part of a split a prompt falls into: *held 1 with probability `share` (0 to 1), from its key and the seed alone. */
KD_API kd_status kd_prompt_is_held_back(const uint64_t prompt_key[2], uint64_t seed, double share, int32_t *held);

#ifdef __cplusplus
}
#endif
#endif
