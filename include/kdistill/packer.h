/* kdistill/packer.h - records into batches of packed tokens, several tasks mixed; a recipe's numbers.   SPDX-License-Identifier: Apache-2.0
 *
 * A packer holds encoded texts of one or more tasks and gives out batches without padding: "tokens" (rows) int64, "answer" (rows) int64, 1 where a
 * token is learned (the rows' own token: with KD_ALIGN_NEXT a loss looks at the row before it), "task" (rows) int64; a sample's key is its
 * record's. What a batch holds depends on the seed, its number and the weights at that time alone.                               */
#ifndef KDISTILL_PACKER_H
#define KDISTILL_PACKER_H

#include <kdistill/data.h>
#include <kdistill/record.h>
#include <kdistill/schedule.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_packer kd_packer;

#define KD_CHAT_PLAIN (-1) /* prompt, completion, end token: no chat format */

typedef struct kd_packer_options {
    uint32_t struct_size;
    int32_t chat;          /* KD_CHAT_AUTO ..., or KD_CHAT_PLAIN                                                      */
    int64_t batch_tokens;  /* a batch holds at most so many; one longer text is a batch of its own                       */
    int64_t max_tokens;    /* longer texts are cut at their end (their mask with it)                                   */
    int32_t end_token;     /* behind a plain completion; -1: none                                                     */
    int32_t whole;         /* 1: prompts are learned too                                                              */
    int64_t batch_texts;   /* and at most so many texts; 0: any number                                               */
    uint64_t seed;         /* 0: the context's                                                                       */
} kd_packer_options;
#define KD_PACKER_OPTIONS_INIT { (uint32_t)sizeof(kd_packer_options), KD_CHAT_AUTO, 4096, 32768, -1, 0, 0, 0 }
KD_API void kd_packer_options_init(kd_packer_options *options, size_t size);

/* Keeps the tokenizer alive; NULL: only ids are added. */
KD_API kd_status kd_packer_create(kd_packer **out, kd_context *context, kd_tokenizer *tokenizer, const kd_packer_options *options);
KD_API void kd_packer_free(kd_packer *packer);

/* A task with its weight: see kd_packer_mix. Task 0, "all", of weight 1, is
 * there from the beginning. *task is the new one's number. Errors: KD_ERR_RANGE (weight below 0), KD_ERR_INVALID (name taken).      */
KD_API kd_status kd_packer_task(kd_packer *packer, const char *name, double weight, int32_t *task);
/* Encodes a record into a task. Records with ids are taken as they are. KD_ERR_INVALID: it has no answer. */
KD_API kd_status kd_packer_add(kd_packer *packer, const kd_record *record, int32_t task);
/* Adds ids; mask (count) may be NULL: all are learned. */
KD_API kd_status kd_packer_add_ids(kd_packer *packer, const int32_t *ids, const uint8_t *mask, int64_t count, const uint64_t key[2], int32_t task);
/* Adds all that is left of a reader; *added may be NULL. */
KD_API kd_status kd_packer_add_reader(kd_packer *packer, kd_record_reader *reader, int32_t task, int64_t *added);
/* Drops a task's texts: on-policy training fills it again and again. */
KD_API kd_status kd_packer_clear(kd_packer *packer, int32_t task);

/* How tasks are mixed from the next batch on: every task's share of texts is weight n^(1 / temperature), normalised; temperature 1 (default):
 * proportional to their numbers, infinity: by weights alone. A host calls it each step for a schedule.                        [Raffel et al. 2020] */
KD_API kd_status kd_packer_mix(kd_packer *packer, const double *weights, int32_t count, double temperature);

/* Fills `batch` with the next texts, at most as many as are held. Each task is gone through in a new order each time it is through. Never ends.
 * KD_ERR_STATE: no texts. */
KD_API kd_status kd_packer_next(kd_packer *packer, kd_batch *batch);

typedef struct kd_packer_info {
    uint32_t struct_size;
    int32_t tasks;
    int64_t texts, tokens, answer_tokens; /* held                                                       */
    int64_t cut;                          /* texts cut at max_tokens                                    */
    int64_t batches;                      /* given out                                                  */
    int64_t texts_given, tokens_given;
    double epochs;                        /* texts given out / texts held                               */
} kd_packer_info;
KD_API kd_status kd_packer_get_info(kd_packer *packer, kd_packer_info *info);
/* Of one task: its name, texts and tokens held, and how often it was gone through. Any may be NULL. */
KD_API kd_status kd_packer_task_info(kd_packer *packer, int32_t task, const char **name, int64_t *texts, int64_t *tokens, double *epochs);
/* Where it stands, for checkpoints: *count in: room, out: numbers needed; values NULL: ask. The same texts must have been added. */
KD_API kd_status kd_packer_get_state(kd_packer *packer, int64_t *values, int32_t *count);
KD_API kd_status kd_packer_set_state(kd_packer *packer, const int64_t *values, int32_t count);

/* ---- recipes ---- */

#define KD_RECIPE_R1 1      /* DeepSeek-R1's distillation: texts only, 2 epochs, warm-up, cosine to a tenth, batch 64 texts of up to 32,768 tokens */
#define KD_RECIPE_MIXED 2   /* the same with a teacher's distributions: share .9, temperature 2 falling to 1 */
#define KD_RECIPE_SMALL 3   /* models of 100 k to 10 M parameters trained from their beginning: rates of 1e-3 and more */

/* Numbers of a training run. A recipe fills them; each may be changed before it is used, and none is read by the library but in the two calls below. */
typedef struct kd_recipe {
    uint32_t struct_size;
    int32_t optimizer;     /* KD_ADAMW                                                        */
    double epochs;
    double learning_rate;  /* its highest                                                     */
    double floor;          /* its end, as a share                                             */
    double warmup;         /* share of the steps                                              */
    double weight_decay, beta1, beta2, clip_norm;
    int32_t batch_texts;
    int32_t patience;      /* reports without improvement before the rate is halved; 0: no plateau */
    int64_t max_tokens;
    double soft_weight;    /* of the teacher's distributions; the rest is the hard tokens'     */
    double temperature, last_temperature;
    double sampling_temperature, top_p; /* of the teacher's texts, and of evaluation          */
    int32_t samples;       /* answers a prompt                                                */
    int32_t max_new_tokens;
} kd_recipe;

/* parameters: the student's, which the R1 rates go by (1.5e9: 1e-4, 7e9: 8e-5, 14e9: 7e-5, 32e9: 6e-5, 70e9: 2e-5; between them on the line of
 * logarithms; smaller models as the smallest).                                                              [DeepSeek-AI 2025] */
KD_API kd_status kd_recipe_fill(kd_recipe *recipe, int32_t kind, double parameters);
/* Its learning rate: warm-up, cosine to the floor, times a plateau where patience asks for one: report validation losses, or minus pass@1. */
KD_API kd_status kd_recipe_learning_rate(kd_schedule **out, kd_context *context, const kd_recipe *recipe, int64_t steps);
/* Its temperature, falling on a line. */
KD_API kd_status kd_recipe_temperature(kd_schedule **out, kd_context *context, const kd_recipe *recipe, int64_t steps);

#ifdef __cplusplus
}
#endif
#endif
