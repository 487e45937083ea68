/* Parts of collecting answers. */
#ifndef KD_ANSWERS_ANSWERS_H
#define KD_ANSWERS_ANSWERS_H

#include <kdistill/answers.h>

#include "base/status.h"

/* ---- ranges of prompts, one after another (collect_answers.c) ---- */
typedef struct kd__answers_run kd__answers_run;

/* A range that goes into a new file, which moves into its place when it is whole. */
typedef struct kd__answers_range {
    int64_t first, count; /* prompts */
    const char *path;
    int64_t before, total; /* of progress: answers before this range, of all ranges */
    kd_status (*after_prompt)(void *user);
    void *user;
} kd__answers_range;

kd_status kd__answers_begin(kd__answers_run **out, kd_context *context, kd_generator *generator,
                            kd_record_reader *prompts, const kd_answers_options *options);
/* Ranges in rising order read the prompts once. */
kd_status kd__answers_collect(kd__answers_run *run, const kd__answers_range *range);
const kd_answers_progress *kd__answers_progress(const kd__answers_run *run);
const kd_sampling *kd__answers_sampling(const kd__answers_run *run);
void kd__answers_end(kd__answers_run *run);

/* ---- who answers which range (claims.c) ---- */

/* A file that says that somebody is at work, and since when he was last heard of. Two workers may
 * have the same claim after a lease has ended: then both make the same file. */
typedef struct kd__claim {
    kd_context *context;
    char *path;
    double lease;
    int64_t told; /* seconds of the calendar */
} kd__claim;

/* *mine 1: nobody has it, or was not heard of for longer than the lease. */
kd_status kd__claim_take(kd__claim *claim, kd_context *context, const char *path, double lease,
                         int *mine);
/* Says that this worker is alive, now and then. */
kd_status kd__claim_renew(kd__claim *claim);
void kd__claim_drop(kd__claim *claim);

#endif
