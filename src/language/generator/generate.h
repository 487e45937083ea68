/* Insides of a generator: sequences over a cache of blocks. Legend as in language/trunk/trunk.h; B
 * tokens a block. */
#ifndef KD_GENERATE_GENERATE_H
#define KD_GENERATE_GENERATE_H

#include <kdistill/generator.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/object.h"
#include "math/kernels.h"
#include "language/decoder/decoder.h"
#include "language/trunk/packed.h"
#include "language/tokenizer/tokenizer.h"

/* ---- cache: blocks of B tokens of all layers, counted by their users ---- A block of a layer and
 * key-value head holds keys as one panel of the kernels' tile, k[d][token], and values as panels of
 * tile_columns numbers, v[panel][token][number]: products read both as they lie, or widened a block
 * at a time where the cache holds numbers of 16 or 8 bits. After 8-bit numbers lie bfloat16 scales,
 * one of each token's key, then one of each value; keys are rotated (kd__cache_rotation). */
typedef struct kd__block {
    int32_t users;
    int32_t known;   /* 1: full of tokens that `key` tells: a prompt that begins alike may use it */
    uint64_t key[2]; /* of all tokens up to the block's end */
    int64_t used_at; /* step of its last use */
} kd__block;

typedef struct kd__cache {
    kd_context *context;
    int64_t block_tokens, blocks, width, kv_heads, layers;
    int64_t head_numbers; /* of one block, layer and key-value head: keys, then values */
    int64_t head_bytes;   /* of them and of their scales */
    int32_t dtype, size;  /* of a number: KD_FLOAT32, _FLOAT16, _BFLOAT16 or KD_INT8, its bytes */
    kd__block *block;
    char *values; /* (layers, blocks, kv_heads, head_bytes) */
} kd__cache;

void kd__cache_size(kd__cache *cache, const kd_context *context, const kd__trunk_config *decoder,
                    int64_t tokens, int32_t dtype);
kd_status kd__cache_make(kd__cache *cache, kd_context *context);
void kd__cache_free(kd__cache *cache);
int64_t kd__cache_bytes(const kd__cache *cache);
int64_t kd__cache_unused(const kd__cache *cache);
/* A block for new tokens; -1: none is free. Known blocks without users go last, the longest unused
 * first. */
int32_t kd__cache_take(kd__cache *cache);
void kd__cache_drop(kd__cache *cache, int32_t block);
/* No block may be shared any more by its tokens. */
void kd__cache_forget(kd__cache *cache);
/* Blocks that hold so many tokens. */
static inline int64_t kd__cache_blocks_for(const kd__cache *c, int64_t tokens)
{
    return kd__ceil_div(tokens, c->block_tokens);
}
/* The block that is full of the tokens that `key` tells, with one more user; -1: none. */
int32_t kd__cache_share(kd__cache *cache, const uint64_t key[2], int64_t step);
static inline void *kd__cache_at(const kd__cache *c, int64_t layer, int64_t block, int64_t head)
{
    return c->values + ((layer * c->blocks + block) * c->kv_heads + head) * c->head_bytes;
}
/* The scales of a head's 8-bit keys (B), and of its values after them. */
static inline uint16_t *kd__cache_scales(const kd__cache *c, void *head)
{
    return (uint16_t *)(void *)((char *)head + c->head_numbers);
}
/* Of 8-bit keys, and of the queries that meet them, each so many numbers are multiplied by a
 * Hadamard matrix, which spreads loud channels over all; q k' stays but for this factor. It is the
 * largest power of two that divides D. */
static inline int64_t kd__cache_rotation(const kd__cache *c)
{
    return c->dtype == KD_INT8 ? c->width & -c->width : 1;
}
/* A token's key and value, (D) each, into its place of a head's block; scratch (2 D). */
void kd__cache_put(const kd__cache *c, void *head, int64_t token, const float *k, const float *v,
                   float *scratch);

/* ---- sequences ---- */

typedef struct kd__request {
    int64_t number;
    kd_sampling sampling; /* with copies of what it points to */
    int32_t *prompt;
    int64_t count;
    int32_t *stop_tokens;
    char **stop_texts;
    int32_t started; /* samples that left the queue */
    int32_t open;    /* samples that are not given out */
    uint64_t stream; /* of random numbers, from seed and prompt */
    struct kd__request *next;
} kd__request;

/* Tokens that are proposed for a sequence; they lie after its own, and count once the model has
 * drawn the same. */
typedef struct kd__drafted {
    int32_t count, wanted;
    int32_t by_lookup;       /* 1: found in prompt and text; 0: a model's */
    int32_t refused;         /* 1: the draft model cannot follow: no memory, ids, positions */
    double acceptance[2];    /* share of proposals that were right, lately: a model's, found ones */
    int64_t paused_until[2]; /* tokens of the sequence */
    int64_t pause[2];        /* how many that were, the last time */
    struct kd__sequence *shadow; /* the same tokens in the draft's generator; NULL: none */
} kd__drafted;

typedef struct kd__sequence {
    kd__request *request; /* NULL: the slot is free */
    int32_t sample, reason, finished;
    int32_t *tokens; /* prompt and text */
    float *logprobs; /* of the text */
    float *hidden;
    int64_t tokens_room, logprobs_room, hidden_room;
    int64_t count, computed, limit; /* tokens; those whose keys lie in the cache; tokens at most */
    int32_t *blocks;
    int64_t blocks_room, block_count;
    uint64_t key[2];      /* of the full blocks */
    int64_t keyed_blocks; /* full blocks that have keys */
    kd_detokenizer *stream;
    kd__text text;
    struct kd__sequence *next; /* in the list of finished ones */
    kd__drafted draft;
} kd__sequence;

/* Rows of one step. */
typedef struct kd__new_rows {
    int64_t count;
    int32_t *tokens;
    int64_t *positions;
    int64_t tokens_room, positions_room;
    struct kd__span { /* new tokens of one sequence */
        kd__sequence *sequence;
        int64_t first, count, position;
    } * spans;
    int64_t span_count, spans_room;
    struct kd__output_row { /* a row whose logits are made: the last ones of each span, in order */
        kd__sequence *sequence;
        int64_t row, seen; /* tokens up to the row's */
    } * outputs;
    int64_t output_count, outputs_room;
} kd__new_rows;

/* A mean in which what was before counts less and less; before <= 0: nothing was. */
static inline double kd__lately(double before, double now)
{
    return before > 0 ? 0.9 * before + 0.1 * now : now;
}

/* Seconds that steps took lately, those with prompts apart; 0: not known. */
#define KD__MOST_TIMED 64
typedef struct kd__draft_times {
    double plain[KD__MOST_TIMED + 1]; /* a step of so many sequences without proposals */
    int32_t age[KD__MOST_TIMED + 1];  /* steps with proposals since it was measured */
    double row, token;                /* of a proposed row, of a proposal by the model */
    double gain;                      /* of steps with proposals over plain ones */
    int64_t steps, paused_until;      /* with proposals; a step's number */
    int64_t pause;                    /* steps, the last time; 0: proposals paid since */
    double proposing;                 /* of this step, so far */
} kd__draft_times;

struct kd_generator {
    kd__object object;
    kd_model *model;
    kd_generator_options options;
    kd__cache cache;
    /* NULL: the model's own weights; `own_packed` 1: freed with the generator */
    kd__packed *packed;
    int32_t own_packed;
    kd__request *first, *last; /* waiting or running */
    kd__sequence **slots;      /* (max_sequences) */
    kd__sequence *done, *done_last, *given;
    int64_t requests;
    kd__new_rows rows;
    float *block; /* activations of a step */
    int64_t block_room;
    float *logits; /* (sequences, V) */
    int64_t logits_room;
    void *sampler; /* scratch of the threads */
    int64_t sampler_room;
    kd_generator_info info;
    kd_generator *drafter; /* of options.draft; NULL: none */
    kd__draft_times times;
};

/* Runs the rows through the model: hidden (outputs, d), their states, normed. */
kd_status kd__generate_pass(kd_generator *g, float **hidden);
/* logits (outputs, V) from them */
kd_status kd__generate_logits(kd_generator *g, const float *hidden);
/* A token of each output, (outputs), valid until the next call. */
typedef struct kd__drawn {
    int32_t token;
    float logprob;
} kd__drawn;
#define KD__UNFINISHED_PROMPT -2 /* instead of a token */
kd_status kd__generate_draws(kd_generator *g, kd__drawn **drawn);
/* Bytes of a pass's activations and of its logits, at most. */
int64_t kd__generate_bytes(const kd_generator *g, int64_t rows, int64_t outputs);

/* ---- drafts (draft.c): what is proposed, before a step; what was right, after it ---- */
/* Bytes that proposals take besides, at most; `drafter` NULL: without a model. */
int64_t kd__draft_bytes(const kd_generator *g, const kd_generator *drafter);
kd_status kd__draft_propose(kd_generator *g);
/* `right` of the proposals were drawn by the model; the others are forgotten. */
void kd__draft_settle(kd_generator *g, kd__sequence *s, int64_t right);
void kd__draft_drop(kd_generator *g, kd__sequence *s);
/* `to` is where `tokens` end. Up to `most` tokens that followed where the last n stood before: the
 * place with most equal tokens before it, of several the latest. How many. */
int64_t kd__draft_lookup(const int32_t *tokens, int64_t count, int64_t n, int32_t *to,
                         int64_t most);
/* ---- how many (draft_length.c) ---- */
int64_t kd__draft_length(const kd_generator *g, kd__sequence *s, int by_lookup, int64_t speaking);
/* Is this step one without proposals: to measure it, or because they did not pay? */
int kd__draft_rests(const kd_generator *g, int64_t speaking);
/* A step of so many sequences, `proposed` rows and `made` tokens took so long. */
void kd__draft_time(kd_generator *g, double seconds, int64_t speaking, int64_t proposed,
                    int64_t made);

/* ---- attention of a layer over the cache (attend.c) ---- */
typedef struct kd__attend {
    kd_generator *g;
    int64_t layer;
    const float *qkv; /* (rows, (H + 2 K) D) of the step's rows: their keys enter the cache */
    float *att;       /* (rows, H D) */
    float *scratch;   /* (threads, stride) */
    int64_t stride;   /* kd__attend_scratch */
} kd__attend;
/* Floats that a thread needs for the step's spans, or for one that ends after so many tokens. */
int64_t kd__attend_scratch(const kd_generator *g);
int64_t kd__attend_floats(const kd_generator *g, int64_t tokens);
void kd__attend_run(kd__attend *attend);

/* Draws a token from logits (V). token -1: they have NaN or +infinity. `scratch` begins and ends
 * with zeros in its marks. */
kd__drawn kd__draw(const kd__kernels *kernels, const kd_sampling *sampling, const float *logits,
                   int64_t vocabulary, const int32_t *seen, int64_t seen_count, uint64_t stream,
                   uint64_t position, void *scratch);
int64_t kd__draw_scratch(int64_t vocabulary);

/* ---- requests (requests.c) ---- */
void kd__request_free(kd_generator *g, kd__request *request);
/* One sample less to come; the last one takes the request along. */
void kd__request_close(kd_generator *g, kd__request *request);

/* ---- what a new sequence takes and a finished one gives back (sequences.c), for the beams too */
/* A request's prompt, blocks for all its tokens; a known beginning is shared. */
kd_status kd__sequence_fill(kd_generator *g, kd__sequence *s, kd__request *request);
/* Blocks for all tokens of one that has a prompt and a limit. */
kd_status kd__sequence_blocks(kd_generator *g, kd__sequence *s);
void kd__sequence_free(kd_generator *g, kd__sequence *s);
/* A slot's sequence gives its blocks back and is freed. */
void kd__slot_clear(kd_generator *g, int32_t slot);
kd_status kd__sequence_push(kd__sequence *s, kd_context *context, int32_t token, float logprob);
/* The step has no rows. */
void kd__rows_clear(kd_generator *g);
/* Schedules up to `count` new tokens of a sequence, proposed ones among them. */
kd_status kd__sequence_rows(kd_generator *g, kd__sequence *s, int64_t count);
void kd__sequence_release(kd_generator *g, kd__sequence *s);

/* ---- texts (texts.c) ---- */
kd_status kd__sequence_take(kd_generator *g, kd__sequence *s, kd__drawn drawn);
/* A finished sequence leaves its slot and waits to be given out. */
kd_status kd__sequence_retire(kd_generator *g, int32_t slot);
kd_status kd__generated_fill(const kd_generator *g, const kd__sequence *s, kd_generated *out);
void kd__generated_forget(kd_generator *g);
/* Gives a finished sequence out: it becomes the generator's `given`. */
kd_status kd__generated_take(kd_generator *g, kd__sequence *s, kd_generated *out);

/* What the host gave over the defaults in `to`; without stop tokens the tokenizer's own. */
kd_status kd__sampling_read(const kd_generator *generator, const kd_sampling *given,
                            kd_sampling *to);

#endif
