/* kdistill/packer.h - records into batches of packed tokens, with several tasks mixed. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_packer_create(&packer, context, tokenizer, NULL);
 *   2.  kd_packer_add_task(packer, "math", 1.0, &task);
 *   3.  kd_packer_add_reader(packer, reader, task, NULL);
 *   4.  kd_packer_next(packer, batch);
 *
 * A packer holds encoded texts of one or more tasks and produces batches without padding. Fields:
 * - "tokens" (rows) int64;
 * - "answer" (rows) int64: 1 if the row's own token is learned (with KD_ALIGN_NEXT a loss reads the
 *   row before it);
 * - "task" (rows) int64;
 * - what kd_packer_add_field names, one entry a sample.
 * A sample's key is that of its record: of the texts, not of how they are rendered
 * (kdistill/data.h); kd_batch_origin says who rendered them. A batch depends only on the seed, its
 * number and the weights at that time. */
#ifndef KDISTILL_PACKER_H
#define KDISTILL_PACKER_H

#include <kdistill/data.h>
#include <kdistill/record.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_packer kd_packer;

typedef struct kd_packer_options {
    uint32_t struct_size;
    int32_t chat;         /* KD_CHAT_AUTO ..., or KD_CHAT_PLAIN */
    int64_t batch_tokens; /* at most this many per batch; a longer text is a batch by itself */
    int64_t max_tokens;   /* longer texts are truncated at the end, with their mask */
    /* after a plain completion: an id, KD_END_TOKEN_DEFAULT or KD_END_TOKEN_NONE
     * (kdistill/tokenizer.h) */
    int32_t end_token;
    int32_t train_on_prompt; /* 1: prompts are learned too */
    int64_t batch_texts;     /* at most this many texts per batch; 0: no limit */
    uint64_t seed;           /* 0: the context's */
    /* of chats, as in kd_chat_options; -1: the template decides, 1: kept, 0: dropped */
    int32_t keep_reasoning;
    int32_t reserved;
} kd_packer_options;
#define KD_PACKER_OPTIONS_INIT                                                                     \
    {                                                                                              \
        (uint32_t)sizeof(kd_packer_options), KD_CHAT_AUTO, 4096, 32768, KD_END_TOKEN_DEFAULT, 0,   \
            0, 0, -1, 0                                                                            \
    }
KD_API void kd_packer_options_init(kd_packer_options *options, size_t size);

/* Keeps the tokenizer alive; NULL: only ids can be added. */
KD_API kd_status kd_packer_create(kd_packer **out, kd_context *context, kd_tokenizer *tokenizer,
                                  const kd_packer_options *options);
KD_API void kd_packer_free(kd_packer *packer);

/* A task with its weight: see kd_packer_mix. Task 0, "all", with weight 1, always exists. *task is
 * the new task's number. Errors: KD_ERR_RANGE (negative weight), KD_ERR_INVALID (name taken). */
KD_API kd_status kd_packer_add_task(kd_packer *packer, const char *name, double weight,
                                    int32_t *task);
/* Encodes a record into a task. Ids that a record has are used directly. KD_ERR_INVALID: it has no
 * answer. */
KD_API kd_status kd_packer_add(kd_packer *packer, const kd_record *record, int32_t task);
/* Adds ids; mask (count) may be NULL: all are learned. */
KD_API kd_status kd_packer_add_ids(kd_packer *packer, const int32_t *ids, const uint8_t *mask,
                                   int64_t count, const uint64_t key[2], int32_t task);
/* Numbers that travel with a text: a label, a group, scores. Batches get a field of samples of that
 * name (kd_batch_set_per_sample), `width` numbers each, KD_INT64 or KD_FLOAT32, absent where a text
 * has none. Name them before the first text; at most 32. Since 0.2.
 * - A record's are the member of that name in "extra", a number or a list of numbers (true is 1,
 *   false 0, null none), or its score, temperature or sample. KD_ERR_DTYPE, KD_ERR_SHAPE: it is
 *   something else (the message names the line, and the record is not added).
 * - kd_packer_set_field gives the text that was added last its numbers ((width)). */
KD_API kd_status kd_packer_add_field(kd_packer *packer, const char *name, int32_t dtype,
                                     int64_t width);
KD_API kd_status kd_packer_set_field(kd_packer *packer, const char *name, const kd_array *values);
/* Adds all remaining records of a reader; *added may be NULL. */
KD_API kd_status kd_packer_add_reader(kd_packer *packer, kd_record_reader *reader, int32_t task,
                                      int64_t *added);
/* Drops a task's texts: on-policy training refills it again and again. */
KD_API kd_status kd_packer_clear(kd_packer *packer, int32_t task);

/* How tasks are mixed from the next batch on: each task's share of texts is weight * n^(1 /
 * temperature), normalized. Temperature 1 (default): proportional to their sizes; infinity: by
 * weights alone. For a schedule, call it every step. [Raffel et al. 2020] */
KD_API kd_status kd_packer_mix(kd_packer *packer, const double *weights, int32_t count,
                               double temperature);

/* Fills `batch` with the next texts, at most all that are held. Each pass over a task has a new
 * order. Never ends. KD_ERR_STATE: no texts. */
KD_API kd_status kd_packer_next(kd_packer *packer, kd_batch *batch);

typedef struct kd_packer_info {
    uint32_t struct_size;
    int32_t tasks;
    int64_t texts, tokens, answer_tokens; /* held */
    int64_t cut;                          /* texts truncated at max_tokens */
    int64_t batches;                      /* produced */
    int64_t texts_given, tokens_given;
    double epochs; /* texts produced / texts held */
} kd_packer_info;
KD_API kd_status kd_packer_get_info(kd_packer *packer, kd_packer_info *info);
/* Facts about a task: its name, the texts and tokens it holds, and its passes so far. Any may be
 * NULL. */
KD_API kd_status kd_packer_get_task(kd_packer *packer, int32_t task, const char **name,
                                    int64_t *texts, int64_t *tokens, double *epochs);
/* The packer's position, for checkpoints: *count in: capacity, out: numbers needed; values NULL:
 * only ask. To restore it, the same texts must have been added. */
KD_API kd_status kd_packer_get_state(kd_packer *packer, int64_t *values, int32_t *count);
KD_API kd_status kd_packer_set_state(kd_packer *packer, const int64_t *values, int32_t count);

#ifdef __cplusplus
}
#endif
#endif
