/* Rotary positions. Legend: D numbers a head, D/2 frequencies. [Su et al. 2021] */
#ifndef KD_NN_ROPE_H
#define KD_NN_ROPE_H

#include <stdint.h>

enum {
    KD__ROPE_DEFAULT,
    KD__ROPE_LINEAR,
    KD__ROPE_DYNAMIC,
    KD__ROPE_LLAMA3,
    KD__ROPE_YARN,
    KD__ROPE_DIVISORS
};

/* The keys of transformers' rope_parameters; 0 where a kind has no use for one. */
typedef struct kd__rope {
    int32_t kind, truncate;
    double theta, factor;
    double low, high;  /* llama3: low_freq_factor, high_freq_factor */
    double original;   /* original_max_position_embeddings; dynamic: max_position_embeddings */
    double fast, slow; /* yarn: beta_fast, beta_slow */
    double attention;  /* yarn, divisors: what cosine and sine are multiplied with */
    /* divisors (longrope with one list): (D/2), what each frequency is divided by */
    float *divisors;
} kd__rope;

/* yarn: pairs up to `low` keep their frequency, those from `high` on are stretched. */
void kd__rope_yarn_range(const kd__rope *rope, int64_t width, double *low, double *high);

/* inverse (D/2): the frequency of each pair, for a sequence of `length` rows (dynamic scaling alone
 * depends on it). */
void kd__rope_frequencies(const kd__rope *rope, int64_t width, int64_t length, float *inverse);

/* cosine, sine (D/2) of a position, times the attention factor. Angles are float32 products, as
 * transformers has them. */
void kd__rope_angles(const kd__rope *rope, int64_t width, const float *inverse, int64_t position,
                     float *cosine, float *sine);

#endif
