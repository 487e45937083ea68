/* kdistill/plan.h - what a run will cost, before anything runs. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_plan_measure_machine(context, folder, 10, &machine);   what this machine attains
 *   2.  options.student = config;  options.samples = 800000;  options.tokens = 4300000000;
 *   3.  options.flops = machine.flops;  options.efficiency = machine.efficiency;
 *   4.  kd_plan_estimate(context, &options, &plan);
 *   5.  kd_plan_to_text(context, &plan, &text);
 *
 * Bytes, hours, memory of a rank, share of the network, and the size of a teacher's store. Every
 * formula is on docs/plan.md. Memory comes from the library's own functions
 * (kd_model_estimate_memory, kd_loss_estimate_memory); nothing is allocated for it. A rank is one
 * process; all ranks are alike. Bytes are bytes, not powers of 1024. */
#ifndef KDISTILL_PLAN_H
#define KDISTILL_PLAN_H

#include <kdistill/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the numbers say; several may be set. */
#define KD_PLAN_MEMORY 1     /* a rank needs more than memory_bytes */
#define KD_PLAN_TIME 2       /* more than 90 days */
#define KD_PLAN_NETWORK 4    /* ranks wait for the network for more than a fifth of the time */
#define KD_PLAN_STORE 8      /* the store has more than a hundred times the bytes of the texts */
#define KD_PLAN_ATTENTION 16 /* attention takes a third of the training or more: windows save it */
#define KD_PLAN_BATCH 32     /* fewer tokens in a batch than there are ranks */

typedef struct kd_plan_options {
    uint32_t struct_size;
    int32_t ranks;
    /* configs as kd_model_create takes them: a language model, an encoder, or an mlp, of which each
     * row is a token. teacher NULL: no forward passes of it, and the student's vocabulary */
    const char *student;
    const char *teacher;

    /* the data */
    int64_t samples;
    int64_t tokens;          /* of all samples */
    double length_deviation; /* standard deviation of a sample's tokens */
    double answer_share;     /* of tokens, those that are learned */
    double token_bytes;      /* of text, a token; 3.6 */
    double epochs;

    /* a step */
    int64_t batch_tokens; /* of all ranks */
    /* that a rank takes through the model at once; 0: all of its part of the batch */
    int64_t pass_tokens;
    /* of kd_model_options */
    int32_t recompute;
    int32_t recompute_layers;
    int32_t activations;
    int32_t shared_gradients;
    int32_t state_bytes; /* of the optimizer, a parameter: 8 for Adam, 4 for SGD with momentum */

    /* what ranks exchange (kdistill/exchange.h) */
    int32_t shard; /* 1: each rank keeps the optimizer's state of its part of the parameters */
    int32_t wire;  /* gradients travel as KD_FLOAT32 or KD_BFLOAT16 */
    int32_t clip;  /* 1: clipped by the norm of all, so that parameters travel after the last one */
    int64_t bucket_bytes; /* 0: 4 MiB, or 512 KiB a rank where that is more */

    /* what is kept of the teacher: KD_STORE_TOPK (entries: k), KD_STORE_COUNTS (entries: draws),
     * KD_STORE_HIDDEN (bits), KD_STORE_DENSE (encoding); 0: texts alone */
    int32_t kind;
    int32_t bits;
    int32_t encoding;
    int32_t reserved;
    int64_t entries;
    /* as `kdistill-store stats` prints them for a first shard; 0: what docs/store-figures.md
     * measured */
    double position_bytes;

    /* the machine of a rank */
    double flops;        /* attained by products alone, a second */
    double efficiency;   /* share of it that steps attain; with update_bytes: that passes do */
    double memory_bytes; /* 0: not known */
    double disk_bytes;   /* a second */
    double link_bytes;   /* a second, each way */
    double latency;      /* seconds */
    /* that a teacher of all ranks generates, a second and rank; 0: its answers are there already */
    double decode_rate;
    double failure_hours; /* mean time between failures of the whole job; 0: none are expected */
    /* of memory, a second, that an optimizer's update moves; 0: updates are within efficiency */
    double update_bytes;
} kd_plan_options;
#define KD_PLAN_OPTIONS_INIT                                                                       \
    {                                                                                              \
        (uint32_t)sizeof(kd_plan_options), 1, NULL, NULL, 0, 0, 0.0, 1.0, 3.6, 1.0, 65536, 0, 0,   \
            0, KD_FLOAT32, 0, 8, 1, KD_FLOAT32, 1, 0, 0, 8, KD_FLOAT16, 0, 64, 0.0, 0.0, 0.83,     \
            0.0, 5e8, 1.25e9, 5e-5, 0.0, 0.0, 0.0                                                  \
    }
KD_API void kd_plan_options_init(kd_plan_options *options, size_t size);

typedef struct kd_plan_info {
    uint32_t struct_size;
    int32_t ranks;
    int32_t advice; /* KD_PLAN_... */
    int32_t reserved;

    /* the student, a token; FLOP: a multiplication and an addition are two */
    int64_t parameters;
    double keys; /* that a token sees, a mean over tokens and layers */
    double forward_flops;
    double train_flops;
    double attention_share; /* of train_flops */

    /* steps */
    int64_t steps;
    double rank_tokens;       /* of one step */
    double step_seconds;      /* computing alone */
    double tokens_per_second; /* of all ranks, waits for the network included */
    double hours;             /* saving included */

    /* memory of a rank, bytes */
    int64_t parameter_bytes;
    int64_t gradient_bytes;
    int64_t state_bytes;
    int64_t activation_bytes;
    int64_t loss_bytes;
    int64_t target_bytes; /* the teacher's side of one pass, decoded */
    int64_t buffer_bytes; /* of the exchange */
    int64_t data_bytes;   /* packed tokens, and entries of the store's index */
    int64_t total_bytes;

    /* the network: a rank, a step */
    double sent_bytes;
    double exchange_seconds; /* were nothing else going on */
    double exposed_seconds;  /* of these, not hidden by the backward pass */
    double network_share;    /* exposed / (step + exposed) */
    double unhidden_share; /* exchange / step: 1.33 R / (B t) where products take all parameters */

    /* the teacher */
    double teacher_forward_flops;
    double capture_hours;  /* of forward passes for all tokens, and of what it generates */
    double position_bytes; /* of the store, without the records' own */
    double store_bytes;
    double text_bytes;
    double store_read_seconds; /* of one epoch, a rank's part */

    /* checkpoints */
    double checkpoint_bytes; /* that a rank writes */
    double save_seconds;
    double save_interval; /* best, seconds; 0: no failures are expected [Young 1974] */

    /* of step_seconds: what a rank moves in its memory to update, pack, sum and unpack parameters;
     * 0 without update_bytes */
    double update_seconds;
} kd_plan_info;

/* Fills in a plan; pure arithmetic, beside the library's estimates of memory.
 * - KD_ERR_INVALID: no student. KD_ERR_RANGE: a number out of bounds; flops is 0.
 * - KD_ERR_CONFIG: a config that kd_model_create would refuse, too.
 * - KD_ERR_UNSUPPORTED: a kind of network whose tokens are not counted here (images,
 *   convolutions, towers, static embeddings); shared_gradients where kd_model_options refuses. */
KD_API kd_status kd_plan_estimate(kd_context *context, const kd_plan_options *options,
                                  kd_plan_info *plan);
/* The plan as a text of lines, and what `advice` means; as one line of JSON. Freed by
 * kd_context_free_text. */
KD_API kd_status kd_plan_to_text(kd_context *context, const kd_plan_info *plan, char **text);
KD_API kd_status kd_plan_to_json(kd_context *context, const kd_plan_info *plan, char **json);

/* Members of kd_plan_options that can be measured. */
typedef struct kd_plan_machine {
    uint32_t struct_size;
    int32_t threads;
    double flops;
    double efficiency;
    double disk_bytes; /* written and on disk; 0: no folder was given */
    double seconds;    /* that measuring took */
    double update_bytes;
} kd_plan_machine;
/* Measures products (kd_context_measure_matmul), steps of a small Llama (288 wide, 6 layers, 512
 * tokens) for at most `seconds` (up to 60) and no less than two of them, whose medians tell passes
 * and updates apart, and a file of 64 MiB in `folder` (NULL: no file), which is removed. A quiet
 * machine is the caller's business; where several ranks share one, all of them measure at once. */
KD_API kd_status kd_plan_measure_machine(kd_context *context, const char *folder, double seconds,
                                         kd_plan_machine *machine);

#ifdef __cplusplus
}
#endif
#endif
